#!/usr/bin/env python3
"""What an agent is asked while it takes over an earlier agent's engine, or while that keeps it from starting its own."""

import os
import signal
import sys

from support import proc_tree
from support.agent_process import AgentTest, program, toy, toy_command
from support.case import main
from support.waiting import wait_until

KEEP = "--on-agent-death=keep"
NOT_YET = "--listen=no"  # an engine that loads for as long as the test takes


class AdoptionTest(AgentTest):
    def kept_engine(self, *switches, flags=()):
        """An agent that was killed while its engine ran, and the pid of that."""
        agent = self.start_agent(toy(*switches), KEEP, *flags)
        engine = wait_until(agent.engine_pid, 10, "an engine")
        if NOT_YET in switches:
            wait_until(lambda: agent.status()["pids"] == [engine], 10, "the shim's report")
        else:
            agent.running()
            wait_until(lambda: agent.server_name in agent.registry.names(), 10, "both names")
        agent.kill()
        return agent, engine

    def adopting(self, *switches, flags=()):
        """Likewise, with the next agent waiting for the engine's shim, which is silent."""
        agent, engine = self.kept_engine(*switches, flags=flags)
        shim, = agent.shims()
        os.kill(shim.pid, signal.SIGSTOP)
        agent.start()
        self.await_word(agent, "its shim does not answer")
        return agent, engine, shim

    def replacing(self, *switches, then=(), flags=()):
        """Likewise, with the next agent waiting for the end of the engine, which has other settings."""
        agent, engine = self.kept_engine(*switches, flags=flags)
        agent.backend = toy("--model=another", *then)
        agent.write_config()
        agent.start()
        self.await_word(agent, "runs with other settings")
        return agent, engine

    def await_word(self, agent, word):
        wait_until(lambda: word in agent.stderr_text(), 10, f"the word '{word}'")

    def assert_replaced(self, agent, engine):
        """One engine runs, and not this one."""
        wait_until(lambda: agent.engine_pid() != engine, 30, "another engine")
        self.assertIsNone(proc_tree.process(engine))
        self.assertEqual(len(agent.engines()), 1)
        self.assertEqual(len(agent.shims()), 1)


class Restart(AdoptionTest):
    """POST /restart is carried out when it is known what runs: until then nothing may be started beside that."""

    def test_while_the_shim_of_a_loading_engine_is_silent(self):
        agent, engine, shim = self.adopting(NOT_YET)
        self.assertEqual(agent.call("POST", "/restart").status, 202)
        self.assertEqual([item.pid for item in agent.engines()], [engine])
        os.kill(shim.pid, signal.SIGCONT)
        self.assert_replaced(agent, engine)
        self.finish(agent)

    def test_while_the_shim_of_a_serving_engine_is_silent(self):
        agent, engine, shim = self.adopting()
        self.assertEqual(agent.call("POST", "/restart").status, 202)
        self.assertEqual(agent.state, "idle", "the port is not looked at: the engine that may be taken over has it")
        os.kill(shim.pid, signal.SIGCONT)
        self.assert_replaced(agent, engine)
        agent.running()
        self.finish(agent)

    def test_while_an_engine_of_other_settings_is_ended(self):
        """The port is free all the while; the next engine still waits for the end of the one before."""
        alone = self.folder / "alone"
        agent, engine = self.replacing(NOT_YET, "--ignore-term", f"--alone={alone}", then=(f"--alone={alone}",))
        self.assertEqual(agent.call("POST", "/restart").status, 202)
        agent.running()
        self.assert_replaced(agent, engine)
        self.assertEqual(alone.read_text(), "", "two copies at once")
        agent.kill_engine()
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "a word of the engine's end")
        agent.running()
        self.finish(agent)


class Stop(AdoptionTest):
    """SIGTERM: what an earlier agent left ends with this one, and so do the names that it has registered."""

    def test_while_an_engine_of_other_settings_is_ended(self):
        agent, engine = self.replacing("--ignore-term")
        self.finish(agent)
        self.assertIsNone(proc_tree.process(engine))

    def test_before_a_silent_shim_says_what_runs(self):
        """It hears of the stop in its own good time, and is waited for."""
        starts = self.folder / "starts"
        agent, engine = self.kept_engine("--slow-term=0.5", f"--starts={starts}", flags=("--stop-grace=5s",))
        shim, = agent.shims()
        os.kill(shim.pid, signal.SIGSTOP)
        agent.start()
        agent.signal(signal.SIGTERM)
        self.await_word(agent, "stopping the services")
        os.kill(shim.pid, signal.SIGCONT)
        self.assertEqual(agent.wait_exit(), 0)
        self.assert_nothing_left(agent)
        self.assertIsNone(proc_tree.process(engine))
        self.assertTrue(starts.read_text().endswith("term\n"), "it was asked first")

    def test_before_an_adopted_engine_answers(self):
        agent, engine = self.kept_engine()
        os.kill(engine, signal.SIGSTOP)
        agent.start()
        agent.wait_state("starting")
        self.finish(agent)

    def test_before_the_next_engine_is_ready(self):
        """The shim has ended the engine of a killed agent, but nobody has told the registry."""
        agent = self.running_agent(toy())
        wait_until(lambda: agent.server_name in agent.registry.names(), 10, "both names")
        agent.kill()
        wait_until(lambda: not agent.marked(), 10, "the engine's end")
        agent.backend = toy(NOT_YET)
        agent.write_config()
        agent.start()
        wait_until(agent.engine_pid, 10, "an engine")
        self.finish(agent)

    def test_a_second_one_while_the_engine_of_a_silent_shim_has_its_grace(self):
        agent, _, _ = self.adopting("--ignore-term", "--children=plain,setsid-double", flags=("--stop-grace=1h",))
        agent.signal(signal.SIGTERM)
        self.await_word(agent, "it is ended without it")
        self.end_by_a_second_one(agent)

    def test_a_second_one_while_an_engine_of_other_settings_is_ended(self):
        agent, _ = self.replacing("--ignore-term", "--children=plain,setsid-double", flags=("--stop-grace=1h",))
        agent.signal(signal.SIGTERM)
        self.await_word(agent, "stopping the services")
        self.end_by_a_second_one(agent)

    def end_by_a_second_one(self, agent):
        agent.signal(signal.SIGTERM)
        self.assertEqual(agent.wait_exit(), 0)  # not after an hour
        wait_until(lambda: not agent.marked(), 3, "the end of all processes")


class Leftovers(AdoptionTest):
    """Agent and shim were both killed: nobody can be taken over, and what holds the port is in the way."""

    def kill_both(self, agent):
        shim, = agent.shims()
        os.kill(shim.pid, signal.SIGSTOP)
        agent.kill()
        os.kill(shim.pid, signal.SIGKILL)

    def test_a_process_that_has_left_its_session(self):
        agent = self.running_agent(toy("--children=late-setsid-double"))
        left = agent.engines()[-1]
        self.kill_both(agent)
        self.assertIn(agent.engine_port, proc_tree.listening_ports())
        agent.start()
        agent.running()
        self.assertNotIn(left.pid, [item.pid for item in agent.marked()])
        self.finish(agent)

    def test_a_process_that_has_nothing_in_its_environment(self):
        """It is known by its cgroup alone, where there is one."""
        path = self.folder / "engine.py"
        path.write_text("import subprocess, sys\n"
                        "subprocess.run(['env', '-i', *sys.argv[1:]], start_new_session=True)\n", encoding="ascii")
        command, args = toy_command()
        agent = self.running_agent(program(sys.executable, path, command, *args))
        if 'cgroup=""' in agent.stderr_text():
            self.skipTest("no cgroup can be made here")
        self.kill_both(agent)
        self.assertIn(agent.engine_port, proc_tree.listening_ports())
        agent.start()
        agent.running()
        self.finish(agent)


if __name__ == "__main__":
    main()
