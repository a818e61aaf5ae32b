#!/usr/bin/env python3
"""A shim that is stopped, or hangs, takes no orders: a stop is one all the same, and ends nobody else's processes."""

import os
import pathlib
import re
import signal

from support import proc_tree
from support.agent_process import AgentTest, toy
from support.case import main
from support.daemon_process import BIN_DIR
from support.waiting import wait_until


class SilentShim(AgentTest):
    def running_and_silent(self, *flags, switches=()):
        """An agent whose shim has been stopped, and the file in which its engine notes a SIGTERM."""
        starts = self.folder / "starts"
        agent = self.running_agent(toy(f"--starts={starts}", *switches), *flags)
        shim, = agent.shims()
        os.kill(shim.pid, signal.SIGSTOP)
        return agent, starts

    def test_an_engine_that_was_kept_ends_with_the_agent(self):
        """The next agent waits for the shim, and is told to stop: the engine gets SIGTERM, and is gone after it."""
        agent, starts = self.running_and_silent("--on-agent-death=keep")
        agent.kill()
        agent.start()
        wait_until(lambda: "its shim does not answer" in agent.stderr_text(), 10, "a word about it")
        self.finish(agent)
        self.assertIn("it is ended without it", agent.stderr_text())
        self.assertTrue(starts.read_text().endswith("term\n"), "it was asked first")

    def test_an_engine_that_ignores_sigterm_ends_after_the_grace(self):
        """With all that it has left in sessions of their own."""
        agent, _ = self.running_and_silent("--on-agent-death=keep",
                                           switches=("--ignore-term", "--children=plain,setsid-double"))
        agent.kill()
        agent.start()
        wait_until(lambda: "its shim does not answer" in agent.stderr_text(), 10, "a word about it")
        self.finish(agent)

    def test_a_later_engine_s_shim_that_somebody_kills_is_told(self):
        """That the agent has ended one shim does not make it silent about the next."""
        agent, _ = self.running_and_silent("--restart-delay=20ms")
        engine = agent.engine_pid()
        agent.call("POST", "/restart")
        wait_until(lambda: agent.engines() and agent.engine_pid() != engine, 30, "another engine")
        agent.running()
        shim, = agent.shims()
        os.kill(shim.pid, signal.SIGKILL)
        wait_until(lambda: "ERROR instance: the shim of the service ended unexpectedly" in agent.stderr_text(), 10,
                   "a word about it")
        self.finish(agent)

    def test_a_stop_and_a_restart_of_the_own_engine(self):
        """The agent's own shim does not take the order: the run is ended without it, and what was asked for follows."""
        agent, starts = self.running_and_silent()
        engine = agent.engine_pid()
        self.assertEqual(agent.call("POST", "/restart").status, 202)
        wait_until(lambda: agent.engines() and agent.engine_pid() != engine, 30, "another engine")
        agent.running()
        self.assertIsNone(proc_tree.process(engine))
        self.assertIn("term\n", starts.read_text())
        shim, = agent.shims()
        os.kill(shim.pid, signal.SIGSTOP)
        self.finish(agent)
        said = agent.stderr_text()
        self.assertEqual(said.count("INFO  instance: the run was ended without its shim"), 2)
        self.assertNotIn("ended unexpectedly", said, "nobody else did it")
        cgroup = re.search(r"cgroup=(\S+)", said)[1].strip('"')
        shims = re.findall(r"shim=(\d+)", said)
        self.assertEqual(len(shims), 2)
        self.assertEqual([left for shim in shims for left in pathlib.Path(cgroup or ".").glob(f"infinilm-*-{shim}")], [])

    def test_a_shim_that_hangs_before_its_first_word(self):
        """Its engine's work directory is on a disk that hangs: it can be restarted and stopped as any other."""
        disk, control = self.folder.resolve() / "disk", self.folder / "hangs"
        (disk / "work").mkdir(parents=True)
        control.touch()
        self.addCleanup(lambda: control.unlink(missing_ok=True))
        environment = {"LD_PRELOAD": str(BIN_DIR / "hung_disk.so"), "HUNG_DISK_CONTROL": str(control),
                       "HUNG_DISK_FOLDER": f"{disk}/"}
        agent = self.start_agent(toy(work_dir=str(disk / "work")), "--stop-grace=1s", env=environment)
        wait_until(agent.shims, 10, "a shim")
        first, = agent.shims()

        def another():
            shims = agent.shims()
            return len(shims) == 1 and shims[0].pid != first.pid
        self.assertEqual(agent.call("POST", "/restart").status, 202)
        wait_until(another, 30, "another shim")
        self.assertEqual(agent.state, "starting")
        self.finish(agent)


if __name__ == "__main__":
    main()
