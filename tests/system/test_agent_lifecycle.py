#!/usr/bin/env python3
"""The life of an agent and of its engine: start, restart, drain, stop, and the death of any of the processes."""

import contextlib
import datetime
import os
import re
import signal
import socket
import time
from pathlib import Path

from support import http_wire, proc_tree
from support.agent_process import HASTY, AgentTest, program, run_agent, seconds_until, sim, toy, toy_command
from support.case import main
from support.waiting import best_of, let_time_pass, patience, under_sanitizer, wait_until

SOON = ("--restart-delay=20ms",)
LONG = ("--restart-delay=1h",)
# What a service manager tells the agent, and nobody below it. Without WATCHDOG_PID, which would be another process's.
OF_THE_AGENT = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS")


class Stop(AgentTest):
    def stops_within(self, agent, seconds):
        begun = time.monotonic()
        self.finish(agent)
        self.assertLess(time.monotonic() - begun, patience(seconds))

    def test_sigterm_and_sigint_end_it_with_exit_code_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            agent = self.running_agent(sim())
            agent.signal(number)
            self.assertEqual(agent.wait_exit(), 0)
            self.assert_nothing_left(agent)

    def test_a_stop_while_the_model_loads_does_not_drain(self):
        agent = self.start_agent(toy("--load=60"), "--drain-timeout=30s")
        wait_until(agent.engines, 10, "the engine")
        self.stops_within(agent, 10)

    def test_a_stop_right_after_the_start(self):
        for number in range(8):
            agent = self.start_agent(toy("--children=setsid-double"), "--stop-grace=300ms")
            time.sleep(number * 0.01)  # the moment is what varies
            self.finish(agent)

    def test_a_stop_between_two_starts(self):
        agent = self.start_agent(toy("--die=start:1"), *LONG)
        agent.wait_state("backing_off")
        self.stops_within(agent, 10)

    def test_a_stop_after_it_gave_up(self):
        agent = self.start_agent(toy("--die=start:1"), *SOON, "--start-limit=1")
        agent.wait_state("failed")
        self.stops_within(agent, 10)

    def test_a_stop_while_a_hung_engine_is_being_ended(self):
        agent = self.running_agent(toy(), *HASTY, "--stop-grace=1s", "--drain-timeout=1h")
        agent.kill_engine(signal.SIGSTOP)
        agent.registry.wait_status(agent.server_name, "unhealthy")
        self.stops_within(agent, 10)

    def test_a_second_sigterm_does_not_wait_and_leaves_nothing_either(self):
        agent = self.running_agent(toy("--ignore-term", "--children=setsid-double"), "--stop-grace=1h",
                                   "--drain-timeout=1h")
        with http_wire.Connection(agent.engine_port) as connection:
            connection.send(http_wire.request_bytes("GET", "/slow?60"))
            agent.signal(signal.SIGTERM)
            agent.wait_state("draining")
            agent.signal(signal.SIGTERM)
            self.assertEqual(agent.wait_exit(), 0)  # within 30 s, not after an hour
            wait_until(lambda: not agent.marked(), 3, "the end of all processes")

    def test_the_registry_hangs_when_the_agent_is_stopped(self):
        agent = self.running_agent(sim())
        agent.registry.refuse = "hang"
        begun = time.monotonic()
        self.assertEqual(agent.stop(), 0)
        self.assertLess(time.monotonic() - begun, patience(10), "not for as long as the whole stop may take")
        agent.registry.refuse = None
        self.assertEqual(agent.marked(), [])

    def test_the_registry_is_down_when_the_agent_is_stopped(self):
        agent = self.running_agent(sim())
        agent.registry.down()
        begun = time.monotonic()
        self.assertEqual(agent.stop(), 0)
        self.assertLess(time.monotonic() - begun, patience(10), "not for as long as the whole stop may take")
        self.assertEqual(agent.marked(), [])


class Restart(AgentTest):
    def test_a_restart_on_demand_drains_and_is_no_failure(self):
        starts = self.folder / "starts"
        control, tell = self.switch()
        agent = self.running_agent(toy(f"--starts={starts}", f"--control={control}"), "--drain-timeout=1h",
                                   "--start-limit=1")
        registry, since = agent.registry, time.monotonic()
        before = agent.engine_pid()
        with http_wire.Connection(agent.engine_port) as connection:
            connection.send(http_wire.request_bytes("GET", "/held"))
            self.assertEqual(agent.call("POST", "/restart").status // 100, 2)
            agent.wait_state("draining")
            self.assertFalse(agent.is_ready())
            let_time_pass(1.5, lambda: self.assertEqual(agent.state, "draining"))
            tell("release now")
            self.assertEqual(connection.read_response().status, 200)
        wait_until(lambda: len(self.starts(starts)) == 2, 10, "the new engine")
        agent.running()
        self.assertNotEqual(agent.engine_pid(), before)
        registry.wait_status(agent.server_name, "running")
        said = [text for text, _ in registry.statuses_of(agent.server_name, since)]
        first = 1 if said[0] == "running" else 0  # a heartbeat of just before
        self.assertEqual([said[first], said[-1]], ["draining", "running"], said)
        self.assertNotIn("unhealthy", said)
        self.assertNotIn("gone", said)
        self.finish(agent)

    def test_connections_that_are_kept_do_not_hold_up_a_drain(self):
        agent = self.running_agent(sim(), "--drain-timeout=1h")
        connections = [http_wire.Connection(agent.engine_port) for _ in range(3)]  # never used
        begun = time.monotonic()
        agent.call("POST", "/restart")
        wait_until(lambda: agent.status()["exits"], 30, "the end of the first engine")
        self.assertLess(time.monotonic() - begun, patience(8), "sooner than after an answer")
        for connection in connections:
            connection.close()
        agent.running()
        self.finish(agent)

    def test_connections_of_answered_requests_hold_up_a_drain_for_10_s(self):
        agent = self.running_agent(toy(), "--drain-timeout=1h")  # it closes nothing by itself
        with http_wire.Connection(agent.engine_port) as connection:
            connection.send(http_wire.request_bytes("GET", "/health"))
            self.assertEqual(connection.read_response().status, 200)
            begun = time.monotonic()
            agent.call("POST", "/restart")
            wait_until(lambda: agent.status()["exits"], 60, "the end of the first engine")
            self.assertGreater(time.monotonic() - begun, 9)
        agent.running()
        self.finish(agent)

    def test_a_request_that_waits_holds_up_a_drain_however_silent(self):
        agent = self.running_agent(toy(), "--drain-timeout=1h")
        with http_wire.Connection(agent.engine_port) as connection:
            connection.send(http_wire.request_bytes("GET", "/slow?13"))
            agent.call("POST", "/restart")
            self.assertEqual(connection.read_response().status, 200, "longer than an answered connection would last")
        agent.running()
        self.finish(agent)

    def test_a_drain_that_became_a_stop_waits_for_requests_too(self):
        agent = self.running_agent(toy(), "--drain-timeout=1h")
        agent.call("POST", "/drain")
        agent.registry.wait_status(agent.server_name, "draining")
        let_time_pass(1.2)
        with http_wire.Connection(agent.engine_port) as connection:
            connection.send(http_wire.request_bytes("GET", "/slow?2"))
            for _ in range(3):  # each has the agent look again, at what it may have read before the request
                agent.call("POST", "/restart")
            self.assertEqual(connection.read_response().status, 200)
        agent.running()
        self.finish(agent)

    def test_restarts_on_demand_in_a_row_end_in_one_running_engine(self):
        alone = self.folder / "alone"
        agent = self.running_agent(toy(f"--alone={alone}"), "--drain-timeout=0s")
        for _ in range(5):
            agent.call("POST", "/restart")
        wait_until(lambda: agent.state == "running" and len(agent.engines()) == 1, 20, "an engine")
        let_time_pass(0.3)
        agent.running()
        self.assertEqual(alone.read_text(), "")
        self.finish(agent)

    def test_a_restart_right_behind_a_start_ends_in_a_running_engine(self):
        """The second order comes when the first has been taken, and before its task has begun."""
        mended = self.folder / "mended"
        command, args = toy_command()
        backend = program("/bin/sh", "-c", f'test -e "{mended}" && exec "$@"; exit 1', "sh", command, *args)
        agent = self.start_agent(backend, *LONG)
        agent.wait_state("backing_off")
        mended.touch()
        with contextlib.ExitStack() as open_until_the_end:
            callers = [open_until_the_end.enter_context(http_wire.Connection(agent.pages_port)) for _ in range(4)]
            for caller in callers:
                self.assertEqual(caller.request("GET", "/status").status, 200)
            agent.signal(signal.SIGSTOP)
            for caller in callers:
                caller.send(http_wire.request_bytes("POST", "/restart"))
            agent.signal(signal.SIGCONT)
            for caller in callers:
                self.assertEqual(caller.read_response().status // 100, 2)
        agent.running()
        self.finish(agent)

    def test_a_drain_on_demand_takes_it_out_of_rotation_and_a_restart_back(self):
        agent = self.running_agent(toy())
        engine = agent.engine_pid()
        self.assertEqual(agent.call("POST", "/drain").status // 100, 2)
        agent.registry.wait_status(agent.server_name, "draining")
        let_time_pass(2.5, lambda: self.assertEqual((agent.state, agent.engine_pid()), ("draining", engine)))
        self.assertEqual(http_wire.call(agent.engine_port, "GET", "/health").status, 200)
        self.assertFalse(agent.is_ready())
        agent.call("POST", "/restart")
        agent.running()
        agent.registry.wait_status(agent.server_name, "running")
        self.finish(agent)

    def test_max_restarts_is_the_end(self):
        agent = self.start_agent(toy("--die=0.05:1"), *SOON, "--start-limit=0", "--max-restarts=2")
        agent.wait_state("failed")
        self.assertEqual(agent.status()["restarts"], 2)
        self.finish(agent)

    def test_restart_delay_is_constant_and_without_jitter(self):
        starts = self.folder / "starts"
        agent = self.start_agent(toy("--die=start:1", f"--starts={starts}"), "--restart-delay=500ms", "--start-limit=4")
        agent.wait_state("failed")
        times = [moment for _, moment in self.starts(starts)]
        self.assertEqual(len(times), 4)
        for before, after in zip(times, times[1:]):
            self.assertGreater(after - before, 0.49)
        waits = re.findall(r" for=(\d+)ms ", agent.stderr_text())  # what is left of them when the line is written
        self.assertEqual(len(waits), 3, agent.tail())
        for left in map(int, waits):
            self.assertTrue(300 < left <= 500, waits)
        self.finish(agent)

    def test_exit_on_failed_ends_the_agent_with_an_error(self):
        agent = self.start_agent(toy("--die=start:1"), *SOON, "--start-limit=2", "--exit-on-failed")
        self.assertNotEqual(agent.wait_exit(), 0)
        self.assert_nothing_left(agent)

    def test_without_exit_on_failed_it_stays_and_says_so(self):
        agent = self.start_agent(toy("--die=start:9"), *SOON, "--start-limit=2")
        agent.wait_state("failed")
        response = agent.call("GET", "/health")
        self.assertEqual(response.status, 503)
        self.assertIn("failed", response.text)
        self.assertTrue(agent.alive)
        self.finish(agent)


class Processes(AgentTest):
    def test_the_engine_has_a_clean_environment_and_its_own_session(self):
        script = "grep -E 'Sig(Blk|Ign)' /proc/self/status | tr -d '\\t'; ls -l /proc/$$/fd; sleep 1000"
        backend = program("/bin/sh", "-c", script, env={"MY_VALUE": "a b ${PORT} c", "LISTEN_FDNAMES": "the engine's"})
        agent = self.start_agent(backend, env={"LISTEN_FDNAMES": "the agent's", **dict.fromkeys(OF_THE_AGENT, "1")})
        wait_until(lambda: "2 ->" in agent.engine_log() and agent.engines(), 10, "its output")
        engine = proc_tree.process(agent.engine_pid())
        self.assertEqual((engine.group, engine.session), (engine.pid, engine.pid))
        files = proc_tree.open_files(engine.pid)
        self.assertEqual(files[0], "/dev/null")
        self.assertEqual({number for number in files if number < 10}, {0, 1, 2}, files)
        self.assertIn("SigBlk:0000000000000000", agent.engine_log())
        self.assertIn("SigIgn:0000000000000000", agent.engine_log())
        environment = Path(f"/proc/{engine.pid}/environ").read_bytes().split(b"\0")
        self.assertIn(b"MY_VALUE=a b %d c" % agent.engine_port, environment)
        self.assertEqual({item.split(b"=")[0].decode() for item in environment} & set(OF_THE_AGENT), set())
        self.assertIn(b"LISTEN_FDNAMES=the engine's", environment)
        self.finish(agent)

    def test_arguments_stay_whole(self):
        odd = ["two words", "", "$HOME; touch x", "'quoted' \"twice\"", "back\\slash", "*", "ümläut", "--port=${PORT}",
               "$${PORT}", "line\nbreak"]
        agent = self.start_agent(program("/bin/sh", "-c", "sleep 1000", "sh", *odd))
        pid = wait_until(agent.engine_pid, 10, "the engine")
        given = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[4:-1]
        wanted = [text.replace("$${PORT}", "<").replace("${PORT}", str(agent.engine_port)).replace("<", "${PORT}")
                  for text in odd]
        self.assertEqual(given, wanted)
        self.finish(agent)

    def test_the_shim_is_killed(self):
        alone = self.folder / "alone"
        agent = self.running_agent(toy("--children=plain,setsid-double", f"--alone={alone}"), *SOON)
        engine = agent.engine_pid()
        shim, = agent.shims()
        os.kill(shim.pid, signal.SIGKILL)
        wait_until(lambda: proc_tree.process(engine) is None, 5, "the engine's end")
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        agent.running()
        self.assertEqual(len(agent.engines()), 3)
        self.assertEqual(alone.read_text(), "")
        self.assertEqual(agent.last_exit()["kind"], "lost")
        self.assertIn("ERROR instance: the shim of the service ended unexpectedly", agent.stderr_text())
        self.finish(agent)

    def test_agent_and_shim_are_killed_together(self):
        alone = self.folder / "alone"
        agent = self.running_agent(toy(f"--alone={alone}"))
        for _ in range(5):
            shim, = agent.shims()
            os.kill(shim.pid, signal.SIGSTOP)
            agent.kill()
            os.kill(shim.pid, signal.SIGKILL)
            wait_until(lambda: not agent.marked(), 3, "the engine's end")
            agent.start().running()
        self.assertEqual(alone.read_text(), "")
        self.finish(agent)

    def test_the_agent_dies_while_the_engine_has_children(self):
        children = "--children=plain,double,setsid,setsid-double"
        agent = self.running_agent(toy("--ignore-term", children), "--stop-grace=1h")

        def one_round():
            agent.running()
            agent.kill()
            killed = time.monotonic()
            took = seconds_until(lambda: not agent.marked(), killed)
            agent.start()
            return took
        limit = 3.0 if under_sanitizer() else 1.0  # the shim looks for leaks at its end
        self.assertLess(best_of(4, limit, one_round), limit + 0.01)
        agent.running().kill()  # no stop would end this one
        wait_until(lambda: not agent.marked(), 5, "the end of all processes")

    def test_a_kept_engine_ends_with_an_agent_that_does_not_keep(self):
        agent = self.running_agent(toy(), "--on-agent-death=keep")
        engine = agent.engine_pid()
        agent.kill()
        agent.flags.remove("--on-agent-death=keep")
        agent.start().running()
        self.assertEqual(agent.engine_pid(), engine, "it is taken over all the same")
        agent.kill()
        wait_until(lambda: not agent.marked(), 3, "the engine's end")

    def test_the_registry_is_told_when_the_engine_ended(self):
        begun = time.time()
        agent = self.start_agent(toy("--die=0.1:4"), *LONG)
        agent.wait_state("backing_off")
        at = agent.last_exit()["at"]
        ended = datetime.datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
        self.assertTrue(begun - 1 < ended < time.time() + 1, at)
        agent.registry.entries.clear()  # the next heartbeat finds out, and registers it anew
        told = wait_until(lambda: (agent.registry.entry(agent.name) or {}).get("metadata", {}).get("last_exit"), 10,
                          "a registration")
        self.assertEqual((told["text"], told["at"]), ("exit code 4", at))
        self.finish(agent)

    def test_a_second_agent_of_the_same_service_is_refused(self):
        agent = self.running_agent(toy())
        engine = agent.engine_pid()
        result = run_agent(*agent.command()[1:], folder=agent.folder)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(str(agent.pid), result.stderr)
        self.assertIn("agent", result.stderr)
        self.assertEqual((agent.state, agent.engine_pid()), ("running", engine))
        self.finish(agent)

    def test_two_agents_of_the_same_name_in_two_folders(self):
        first = self.running_agent(toy("--children=setsid-double"), name="twin")
        second = self.running_agent(toy(), name="twin")
        before = first.engine_pid()
        second.kill_engine()
        wait_until(lambda: second.status()["restarts"] == 1, 10, "the restart")
        second.running()
        let_time_pass(0.3)
        self.assertEqual((first.state, first.engine_pid(), first.status()["restarts"]), ("running", before, 0))
        self.finish(second)
        self.assertEqual((first.state, first.engine_pid(), first.status()["restarts"]), ("running", before, 0))
        self.finish(first)

    def test_an_agent_that_is_paused_is_no_reason_to_end_the_engine(self):
        agent = self.running_agent(toy("--print=lines:20000"))
        engine = agent.engine_pid()
        agent.signal(signal.SIGSTOP)
        let_time_pass(1.0, lambda: self.assertEqual(http_wire.call(agent.engine_port, "GET", "/health").status, 200))
        agent.signal(signal.SIGCONT)
        self.assertEqual(agent.running().engine_pid(), engine)
        self.assertEqual(agent.status()["restarts"], 0)
        self.finish(agent)

    def test_sighup_keeps_the_engine_and_opens_the_logs_anew(self):
        agent = self.running_agent(toy("--say=first words"))
        engine = agent.engine_pid()
        agent.engine_log_path.rename(agent.engine_log_path.with_suffix(".moved"))
        agent.signal(signal.SIGHUP)
        wait_until(agent.engine_log_path.exists, 10, "a new log")
        self.assertEqual((agent.state, agent.engine_pid()), ("running", engine))
        self.finish(agent)

    def test_an_engine_on_a_port_that_is_still_in_time_wait_starts_at_once(self):
        agent = self.running_agent(toy(), *SOON)
        for _ in range(20):
            socket.create_connection(("127.0.0.1", agent.engine_port)).close()
        agent.kill_engine()
        wait_until(lambda: agent.status()["restarts"] == 1, 5, "the restart")
        agent.running()
        self.assertNotIn("is taken", agent.stderr_text())
        self.finish(agent)


if __name__ == "__main__":
    main()
