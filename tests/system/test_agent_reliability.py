#!/usr/bin/env python3
"""The statements S1 to S12 about supervisors; each test names the one that it shows. S10 is in test_agent_logs."""

import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

from support import http_wire, proc_tree
from support.agent_process import AgentTest, port_pair, program, seconds_until, sim, toy
from support.bench_process import SteadyLoad, describe
from support.case import main
from support.waiting import best_of, let_time_pass, patience, percentile, under_sanitizer, wait_until

SOON = ("--restart-delay=20ms",)
KINDS = "plain,double,setsid,setsid-double"
ROUNDS = 5 if under_sanitizer() else 20  # 20 of 20 in the plain build


class Death(AgentTest):
    def test_s1_a_kill_9_is_seen_told_and_repaired_at_once(self):
        """S1: seen within 100 ms, out of rotation within 200 ms (unhealthy within 500 ms), started again within 1 s;
        ready again within 1 s and the time to load."""
        agent = self.running_agent(sim("--ready-after=0.2"), "--restart-backoff-first=1s", "--start-limit=0",
                                   "--healthy-after=1ms")
        registry, name = agent.registry, agent.server_name
        seen, told, unhealthy, ready = [], [], [], []

        def one_round():
            registry.wait_status(name, "running")
            with agent.connection() as pages:
                begun = agent.kill_engine()
                while pages.request("GET", "/status").json()["state"] == "running":
                    pass
                seen.append(time.monotonic() - begun)

            def news():  # a heartbeat may have been on its way
                return [(text, moment) for text, moment in registry.statuses_of(name, begun) if text != "running"]
            wait_until(news, 5, "a word to the registry", 0.001)
            text, moment = news()[0]
            self.assertEqual(text, "unhealthy")
            unhealthy.append(moment - begun)
            told.append(moment - begun)
            wait_until(lambda: agent.engines(), 5, "the next start", 0.001)
            started = time.monotonic() - begun
            registry.wait_status(name, "running")
            ready.append(time.monotonic() - begun - 0.2)
            return max(seen[-1] / 0.1, told[-1] / 0.2, unhealthy[-1] / 0.5, started / 1.0, ready[-1] / 1.0)
        self.assertLessEqual(best_of(5, 1.0, one_round), 1.0, (seen, told, unhealthy, ready))
        print(f"\nkill -9: seen {min(seen) * 1000:.0f} ms, unhealthy in the registry {min(unhealthy) * 1000:.0f} ms, "
              f"ready again {min(ready) * 1000:.0f} ms and the load", end=" ")
        self.finish(agent)

    def test_s1_the_registry_takes_the_dead_engine_out_of_rotation(self):
        """S1, with our registry: within 200 ms its list of healthy services is without the engine."""
        registry = self.start_registry()
        agent = self.running_agent(sim(), "--start-limit=0", registry=registry)

        def healthy():
            return registry.names("?healthy=true")

        def one_round():
            wait_until(lambda: healthy() == [agent.name, agent.server_name], 20, "both healthy")
            return seconds_until(lambda: agent.server_name not in healthy(), agent.kill_engine())
        self.assertLess(best_of(5, 0.2, one_round), 0.21)
        self.finish(agent)

    def test_s2_a_crash_loop_is_slowed_down_and_ends(self):
        """S2: the defaults: at most 6 starts, growing pauses, then `failed`, with the reason and the last 20 lines."""
        starts = self.folder / "starts"
        lines = [f"--say=line {number}" for number in range(30)]
        agent = self.start_agent(toy(*lines, "--die=start:5", f"--starts={starts}"), "--restart-backoff-first=1s")
        agent.wait_state("failed", timeout=40)
        self.assertEqual(len(self.starts(starts)), 5)
        waits = re.findall(r" for=([\d.]+)(ms|s) ", agent.stderr_text())
        self.assertEqual(len(waits), 4, agent.tail())
        for (number, unit), limit in zip(waits, (1, 2, 4, 8)):
            self.assertLessEqual(float(number) / (1000 if unit == "ms" else 1), limit, waits)
        agent.registry.wait_status(agent.name, "failed")
        metadata = agent.registry.entry(agent.name)["metadata"]
        said = str(metadata)
        self.assertIn("exit code 5", said)
        for number in range(10, 30):
            self.assertIn(f"line {number}'", said)
        self.assertNotIn("line 9'", said)
        self.assertFalse(agent.is_ready())
        self.finish(agent)

    def test_s2_health_forgives(self):
        """S2: after `healthy_after` of health the earlier failures do not count any more; without it they do."""
        agent = self.start_agent(toy("--die=2:1"), *SOON, "--healthy-after=200ms", "--start-limit=2")
        never = self.start_agent(toy("--die=0.1:1"), *SOON, "--healthy-after=10m", "--start-limit=2")
        never.wait_state("failed")
        wait_until(lambda: agent.status()["restarts"] >= 3, 20, "three restarts")
        self.assertNotEqual(agent.state, "failed")
        self.finish(agent)
        self.finish(never)


class Stop(AgentTest):
    def test_s3_a_stop_leaves_no_process(self):
        """S3: TERM, KILL after the limit, then nothing is left within 1 s, whatever the engine had forked."""
        starts = self.folder / "starts"
        switches = ("--ignore-term", f"--children={KINDS}", f"--starts={starts}")
        agent = self.new_agent(toy(*switches), "--stop-grace=500ms")

        def one_round():
            agent.start().running()
            self.assertEqual(len(agent.engines()), 5)
            begun = time.monotonic()
            agent.signal(signal.SIGTERM)
            wait_until(lambda: starts.read_text().endswith("term\n"), 10, "SIGTERM at the engine")
            asked = float(starts.read_text().splitlines()[-1].split()[1])
            after = seconds_until(lambda: not agent.engines(), asked)
            self.assertGreater(time.monotonic() - begun, 0.5, "the limit was not kept")
            self.assertEqual(agent.wait_exit(), 0)
            self.assert_nothing_left(agent)
            return after
        self.assertLess(best_of(3, 0.5 + 1.0, one_round), 0.5 + 1.01)

    def test_s3_twenty_stops_leave_nothing(self):
        """S3, 20 of 20: the three kinds of grandchildren, an engine that ends at once and orphans that do not."""
        for number in range(ROUNDS):
            agent = self.running_agent(toy("--children=plain,setsid,setsid-double"), "--drain-timeout=0s",
                                       registry=None)
            self.assertEqual(len(agent.engines()), 4)
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(agent.leftovers(), [], f"round {number}")


class AgentDeath(AgentTest):
    """S4: the agent is killed with -9. Its moment varies: at the start, while the engine loads, or when it is ready."""

    def kill_at_some_moment(self, agent, number):
        if number % 4 == 0:
            time.sleep(random.Random(number).uniform(0.0, 0.15))  # the moment of the kill is what varies
        else:
            agent.running()
        agent.kill()

    def test_s4_the_engine_dies_with_the_agent_and_never_are_there_two(self):
        """S4: with --on-agent-death=stop nothing is left 1 s after the kill (the engine is asked by SIGTERM first and
        ends in time), and a next agent, started at once, never has a second copy beside the first: 20 of 20 rounds."""
        alone = self.folder / "alone"
        agent = self.new_agent(toy(f"--alone={alone}", "--children=setsid-double"), "--stop-grace=300ms")
        times = []
        for number in range(ROUNDS):
            agent.start()
            self.kill_at_some_moment(agent, number)
            if number % 2 == 0:
                killed = time.monotonic()
                times.append(seconds_until(lambda: not agent.marked(), killed, what=f"the end in round {number}"))
        # On a shared machine one or the other may be late through no fault of the shim.
        self.assertLess(percentile(times, 0.5), patience(1), times)
        agent.start().running()
        self.assertEqual(alone.read_text(), "", "two copies at once")
        self.assertEqual(len(agent.engines()), 2)
        self.finish(agent)

    def test_s4_the_next_agent_adopts_the_engine(self):
        """S4: with --on-agent-death=keep the engine goes on serving and the next agent takes it over: the same process,
        never a second copy, 20 of 20 rounds."""
        alone, starts = self.folder / "alone", self.folder / "starts"
        agent = self.new_agent(toy(f"--alone={alone}", f"--starts={starts}"), "--on-agent-death=keep")
        agent.start().running()
        engine = agent.engine_pid()
        for number in range(ROUNDS):
            agent.kill()
            self.assertEqual([item.pid for item in agent.engines()], [engine], f"round {number}")
            self.assertEqual(http_wire.call(agent.engine_port, "GET", "/health").status, 200)
            agent.start()
            if number % 3 != 0:
                agent.running()
                self.assertEqual(agent.engine_pid(), engine)
        agent.running()
        self.assertEqual(agent.engine_pid(), engine)
        self.assertEqual(len(self.starts(starts)), 1)
        self.assertEqual(alone.read_text(), "")
        agent.registry.wait_status(agent.server_name, "running")
        self.assertEqual(agent.registry.entry(agent.server_name)["port"], agent.engine_port)
        self.finish(agent)

    def test_s4_an_adopted_engine_is_watched_and_restarted(self):
        """S4: an engine that was taken over is a child of its shim still: its death is seen, and how it died."""
        agent = self.running_agent(toy("--children=setsid-double"), *SOON, "--on-agent-death=keep")
        agent.kill()
        agent.start().running()
        agent.kill_engine(signal.SIGABRT)
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        self.assertIn("SIGABRT", agent.running().last_exit()["text"])
        self.finish(agent)

    def test_s4_the_shim_of_an_adopted_engine_is_killed(self):
        """S4: what it leaves behind is no child of this agent, and is ended all the same; then there is one engine."""
        agent = self.running_agent(toy("--children=setsid-double"), *SOON, "--on-agent-death=keep")
        agent.kill()
        agent.start().running()
        engine = agent.engine_pid()
        os.kill(agent.shims()[0].pid, signal.SIGKILL)
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        agent.running()
        left = proc_tree.process(engine)
        self.assertTrue(left is None or left.state == "Z", left)  # pid 1 may be one that does not reap
        self.assertEqual(len(agent.engines()), 2)
        self.finish(agent)

    def test_s4_a_shim_that_is_silent_for_a_while_is_waited_for(self):
        """S4: a shim that cannot answer (its disk hangs) is no reason to give its engine up, or to start another one."""
        agent = self.running_agent(toy(), "--on-agent-death=keep")
        engine, (shim,) = agent.engine_pid(), agent.shims()
        os.kill(shim.pid, signal.SIGSTOP)
        agent.kill()
        agent.start()
        wait_until(lambda: "its shim does not answer" in agent.stderr_text(), 10, "a word about it")
        self.assertEqual([item.pid for item in agent.engines()], [engine])
        self.assertEqual(http_wire.call(agent.engine_port, "GET", "/health").status, 200)
        os.kill(shim.pid, signal.SIGCONT)
        agent.running()
        self.assertEqual((agent.engine_pid(), agent.status()["restarts"]), (engine, 0))
        self.assertEqual(agent.stderr_text().count("its shim does not answer"), 1)
        self.finish(agent)

    def test_s4_a_silent_shim_that_ends_makes_room(self):
        """S4: when it dies its engine does, and a new one is started."""
        agent = self.running_agent(toy(), "--on-agent-death=keep")
        engine, (shim,) = agent.engine_pid(), agent.shims()
        os.kill(shim.pid, signal.SIGSTOP)
        agent.kill()
        agent.start()
        wait_until(lambda: "its shim does not answer" in agent.stderr_text(), 10, "a word about it")
        os.kill(shim.pid, signal.SIGKILL)
        self.assertNotEqual(agent.running().engine_pid(), engine)
        self.finish(agent)

    def test_s4_an_engine_of_other_settings_is_replaced(self):
        """S4: what the last agent left is not adopted when the command is another one; it is stopped first."""
        alone = self.folder / "alone"
        agent = self.running_agent(toy(f"--alone={alone}", "--model=one"), "--on-agent-death=keep")
        engine = agent.engine_pid()
        agent.kill()
        agent.backend = toy(f"--alone={alone}", "--model=two")
        agent.write_config()
        agent.start().running()
        self.assertNotEqual(agent.engine_pid(), engine)
        self.assertIsNone(proc_tree.process(engine))
        self.assertEqual(agent.get("/models")["data"][0]["id"], "two")
        self.assertEqual(alone.read_text(), "")
        self.finish(agent)

    def test_s4_an_engine_that_dies_while_there_is_no_agent(self):
        """S4: with --on-agent-death=keep and the engine dead meanwhile, the next agent starts one."""
        agent = self.running_agent(toy("--children=setsid-double"), "--on-agent-death=keep")
        agent.kill()
        agent.kill_engine()
        agent.start().running()
        self.assertEqual(len(agent.engines()), 2)
        self.finish(agent)


class Leaks(AgentTest):
    def test_s5_200_restarts_leak_no_descriptor_and_1000_children_no_zombie(self):
        """S5: each of 201 runs forks five children and dies. Then: no zombie, no more open files than at the start."""
        restarts = 50 if under_sanitizer() else 200
        script = "for i in 1 2 3 4 5; do sleep 0 & done; exit 3"
        agent = self.start_agent(program("/bin/sh", "-c", script), "--restart-delay=1ms", "--start-limit=0",
                                 f"--max-restarts={restarts}")
        wait_until(lambda: agent.status()["restarts"] >= 5, 30, "the first restarts")
        agent.get("/status")
        before = proc_tree.open_files(agent.pid)
        agent.wait_state("failed", timeout=120)
        self.assertEqual(agent.status()["restarts"], restarts)
        wait_until(lambda: proc_tree.descendants(agent.pid) == [], 5, "no child, no zombie")

        def none_leaked():  # what the last words to the registry need is closed a moment later; a leak never is
            after = proc_tree.open_files(agent.pid)
            self.assertLessEqual(len(after), len(before), sorted(set(after.values()) - set(before.values())))
            return True
        wait_until(none_leaked, 10, "no more open files than at the start")
        self.finish(agent)

    def test_s5_1000_orphans_of_a_running_engine_are_reaped(self):
        """S5: an engine forks 1000 orphans that end at once; none stays as a zombie below the shim or the agent."""
        count = 200 if under_sanitizer() else 1000
        loop = f"i=0; while [ $i -lt {count} ]; do (sleep 0 &); i=$((i+1)); done"
        script = f"{loop}; echo all were forked; exec sleep 1000"
        agent = self.start_agent(program("/bin/sh", "-c", script))
        wait_until(lambda: "all were forked" in agent.engine_log(), 60, "the forks")
        shim, = agent.shims()
        files = len(proc_tree.open_files(shim.pid))
        wait_until(lambda: len(proc_tree.descendants(shim.pid)) == 1, 10, "the engine alone below the shim")
        self.assertEqual(proc_tree.zombies_below(agent.pid), [])
        self.assertLess(files, 20)
        self.finish(agent)


def give_pid(pid):
    """Makes the kernel hand out `pid` next, or raises OSError. Others may be faster."""
    pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1), encoding="ascii")


class UsedAgain(AgentTest):
    def innocent_with(self, pid):
        """A process of ours in a group and session of its own that has got this very pid."""
        for _ in range(50):
            try:
                give_pid(pid)
            except OSError as error:
                raise unittest.SkipTest(f"pids cannot be chosen here: {error}") from None
            child = subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True, stdin=subprocess.DEVNULL)
            self.addCleanup(child.wait)
            self.addCleanup(child.kill)
            if child.pid == pid:
                return child
            child.kill()
        raise unittest.SkipTest("the machine is too busy to get a pid a second time")

    def test_s6_a_pid_that_was_used_again_is_not_signalled(self):
        """S6: the engine's process ends and its pid goes to somebody else, while an orphan of it is being killed."""
        agent = self.running_agent(toy("--children=setsid"), "--stop-grace=1s", "--start-limit=1")
        engine = agent.engine_pid()
        orphan, = [item.pid for item in agent.engines() if item.pid != engine]
        os.kill(orphan, signal.SIGSTOP)
        agent.kill_engine()
        wait_until(lambda: proc_tree.process(engine) is None, 5, "the pid is free", 0.0005)
        innocent = self.innocent_with(engine)
        wait_until(lambda: not agent.engines(), 10, "the end of the run")
        agent.wait_state("failed")
        self.assertIsNone(innocent.poll(), "a stranger was killed")
        self.finish(agent)
        self.assertIsNone(innocent.poll(), "a stranger was killed")

    def test_s6_what_a_dead_agent_wrote_down_is_not_believed(self):
        """S6: agent and shim are killed; their files name a pid that now is somebody else's: it is left alone."""
        stranger = subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True, stdin=subprocess.DEVNULL)
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        agent = self.running_agent(toy(), "--on-agent-death=keep")
        shim, = agent.shims()
        old = {agent.pid, shim.pid, agent.engine_pid()}
        agent.kill()
        os.kill(shim.pid, signal.SIGKILL)
        wait_until(lambda: not agent.marked(), 5, "the engine's end with its shim")
        for path in (agent.folder / "state").iterdir():
            if path.is_file():
                text = path.read_text(errors="replace")
                for pid in old:
                    text = text.replace(str(pid), str(stranger.pid))
                path.write_text(text)
        agent.start().running()
        self.finish(agent)
        self.assertIsNone(stranger.poll(), "a stranger was killed")


class Liveness(AgentTest):
    def test_s7_a_hung_engine_is_found_and_restarted(self):
        """S7: its port is open and nothing answers: found within failures x (period + time-out), then restarted."""
        agent = self.running_agent(toy(), *SOON, "--probe-interval=200ms", "--probe-timeout=200ms",
                                   "--stop-grace=200ms", "--start-limit=0")
        registry = agent.registry

        def one_round():
            registry.wait_status(agent.server_name, "running")
            since = agent.kill_engine(signal.SIGSTOP)
            wait_until(lambda: socket.create_connection(("127.0.0.1", agent.engine_port), 5), 5, "its port").close()
            return seconds_until(lambda: registry.status(agent.server_name) == "unhealthy", since)
        self.assertLess(best_of(6, 3 * 0.4 + 0.2, one_round), 3 * 0.4 + 0.2 + 0.01)
        wait_until(lambda: agent.status()["restarts"] >= 1, 10, "the restart")
        registry.wait_status(agent.server_name, "running")
        self.finish(agent)

    def test_s7_less_than_three_failures_change_nothing(self):
        """S7: two failed probes in a row are forgiven; a model list that fails does not restart the engine."""
        control, tell = self.switch()
        agent = self.running_agent(toy(f"--control={control}"), "--probe-interval=1s")
        engine = agent.engine_pid()
        tell("health 503")
        wait_until(lambda: agent.status()["probe_failures"] >= 1, 10, "a failed probe")
        tell("models 503")
        wait_until(lambda: agent.status()["probe_failures"] == 0, 10, "a good probe")
        let_time_pass(1.5, lambda: self.assertEqual(agent.state, "running"))
        self.assertEqual((agent.engine_pid(), agent.status()["restarts"]), (engine, 0))
        self.finish(agent)

    def test_s8_a_slow_start_is_not_killed(self):
        """S8: while a model loads no liveness probe counts: it takes ten times as long as a hang would be tolerated."""
        agent = self.start_agent(toy("--load=3"), "--probe-interval=100ms", "--probe-failures=1")
        agent.registry.wait_status(agent.name, "starting")
        engine = wait_until(agent.engine_pid, 10, "the engine")
        agent.running()
        self.assertEqual((agent.engine_pid(), agent.status()["restarts"]), (engine, 0))
        self.finish(agent)

    def test_s8_a_port_that_is_open_while_the_model_loads(self):
        """S8: the port answers 503 everywhere until the model is there, and is neither ready nor killed before."""
        control, tell = self.switch()
        tell("all 503")
        agent = self.start_agent(toy(f"--control={control}"), "--probe-interval=100ms", "--probe-failures=1")
        engine = wait_until(agent.engine_pid, 10, "the engine")
        let_time_pass(1.5, lambda: self.assertEqual((agent.state, agent.registry.status(agent.server_name)),
                                                    ("starting", None)))
        tell()
        agent.running()
        self.assertEqual((agent.engine_pid(), agent.status()["restarts"]), (engine, 0))
        self.finish(agent)


class Drain(AgentTest):
    def test_s9_the_order_of_a_stop(self):
        """S9: draining in the registry, then the open request ends, then SIGTERM, then both names are gone."""
        starts = self.folder / "starts"
        control, tell = self.switch()
        agent = self.running_agent(toy(f"--starts={starts}", f"--control={control}"), "--drain-timeout=1h")
        registry, names = agent.registry, (agent.name, agent.server_name)
        for name in names:
            registry.wait_status(name, "running")
        with http_wire.Connection(agent.engine_port) as connection:
            connection.send(http_wire.request_bytes("GET", "/held"))
            begun = time.monotonic()
            agent.signal(signal.SIGTERM)
            for name in names:
                registry.wait_status(name, "draining")
            let_time_pass(1.5, lambda: self.assertNotIn("term", starts.read_text()))
            tell("release now")
            self.assertEqual(connection.read_response().status, 200)
            answered = time.monotonic()
        self.assertEqual(agent.wait_exit(), 0)
        term = float(starts.read_text().splitlines()[-1].split()[1])
        for name in names:
            said = [(text, moment) for text, moment in registry.statuses_of(name, begun)
                    if text not in ("running", "stopped")]  # a heartbeat may have been on its way
            self.assertEqual([text for text, _ in said], ["draining", "gone"], said)
            self.assertGreater(said[-1][1], term)
        self.assertLess(term - answered, patience(5), "at once, and not when its connection would be an old one")
        self.assert_nothing_left(agent)

    def test_s9_a_drain_is_bounded(self):
        """S9: a request that does not end gets drain_timeout, not more."""
        starts = self.folder / "starts"
        agent = self.running_agent(toy(f"--starts={starts}"), "--drain-timeout=1500ms")
        with http_wire.Connection(agent.engine_port) as connection:
            connection.send(http_wire.request_bytes("GET", "/slow?60"))
            begun = time.monotonic()
            self.finish(agent)
        term = float(starts.read_text().splitlines()[-1].split()[1])
        self.assertGreater(term - begun, 1.4)
        self.assertLess(term - begun, 1.5 + patience(5))

    def test_s9_the_kept_connections_of_a_router_do_not_hold_up_a_restart(self):
        """S9: a router closes them when the instance drains, long before the engine or the agent lose patience."""
        registry = self.start_registry()
        agent = self.running_agent(sim(), "--drain-timeout=60s", registry=registry)
        router = self.start_router(registry=registry)

        def one_round():
            before = agent.engine_pid()
            wait_until(lambda: router.chat().status == 200, 20, "an answer")
            begun = time.monotonic()
            self.assertEqual(agent.call("POST", "/restart").status, 202)
            wait_until(lambda: agent.state == "running" and agent.engine_pid() != before, 30, "the new engine")
            return time.monotonic() - begun
        self.assertLess(best_of(3, 4.0, one_round), 4.01)
        self.finish(agent)

    def test_s9_a_rolling_restart_behind_the_router_costs_no_request(self):
        """S9: three services behind the real router at 200 requests a second, restarted one after the other, once by
        POST /restart and once with their agents: no request fails."""
        registry = self.start_registry()
        agents = [self.new_agent(sim(f"--name=e{index}"), "--drain-timeout=10s", registry=registry)
                  for index in range(3)]
        for agent in agents:
            agent.start()
        for agent in agents:
            agent.running()
        router = self.start_router(registry=registry)

        def in_rotation():
            found = router.services()
            return all(found.get(agent.server_name, {}).get("state") == "up" for agent in agents)
        wait_until(in_rotation, 20, "all three in rotation")
        load = SteadyLoad(self, router, 40 if under_sanitizer() else 200)
        for agent in agents:
            before = agent.engine_pid()
            self.assertEqual(agent.call("POST", "/restart").status // 100, 2)
            wait_until(lambda: agent.state == "running" and agent.engine_pid() != before, 30, "the new engine")
            wait_until(in_rotation, 20, "all in rotation again")
        for agent in agents:
            self.assertEqual(agent.stop(), 0)
            agent.start().running()
            wait_until(in_rotation, 20, "all in rotation again")
        reports = load.reports()
        self.assertGreaterEqual(len(reports), 3)
        for report in reports:
            self.assertEqual(report["failed"], 0, describe(report))
        for agent in agents:
            self.finish(agent)


class NotifySocket:
    """What a service manager is told: (time, text) pairs, as they come."""

    def __init__(self, path):
        self.path = path
        self.said = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(0.1)
        self.over = threading.Event()
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self):
        while not self.over.is_set():
            try:
                text = self.socket.recv(4096).decode()
                self.said.append((time.monotonic(), text))
            except TimeoutError:
                continue

    def close(self):
        self.over.set()
        self.listener.join()
        self.socket.close()

    def moments(self, word):
        """When messages with a line that begins so arrived."""
        return [moment for moment, text in list(self.said)
                if any(line.startswith(word) for line in text.splitlines())]

    def statuses(self):
        return [text.removeprefix("STATUS=") for _, text in list(self.said) if text.startswith("STATUS=")]


class Systemd(AgentTest):
    def notify_socket(self):
        notify = NotifySocket(self.folder / "notify")
        self.addCleanup(notify.close)
        return notify

    def agent_of(self, notify, *arguments, **options):
        return self.new_agent(*arguments, env={"NOTIFY_SOCKET": str(notify.path), "WATCHDOG_USEC": "400000"}, **options)

    def test_s11_systemd_is_told_ready_after_the_registration(self):
        """S11: READY=1 only once the service is registered, until then the start is extended; WATCHDOG=1 from the main
        loop all along, STOPPING=1."""
        notify = self.notify_socket()
        agent = self.agent_of(notify, toy("--load=1"), "--heartbeat-interval=200ms").spawn()
        wait_until(lambda: len(notify.moments("WATCHDOG=1")) >= 2, 20, "WATCHDOG=1 while the model loads")
        wait_until(lambda: notify.moments("READY=1"), 20, "READY=1")
        ready = notify.moments("READY=1")[0]
        registered = [call.time for call in agent.registry.calls_of(agent.server_name, "register")]
        self.assertTrue(registered, "READY=1 before the registration")
        self.assertGreater(ready, registered[0])
        extended = notify.moments("EXTEND_TIMEOUT_USEC=")
        self.assertTrue(extended and extended[0] < registered[0], extended)
        self.assertEqual(notify.statuses()[0], f"0 of 1 service in service; {agent.name}: starting")
        self.assertIn("1 of 1 service in service", notify.statuses())
        beats = len(notify.moments("WATCHDOG=1"))
        wait_until(lambda: len(notify.moments("WATCHDOG=1")) > beats + 3, 10, "WATCHDOG=1, again and again")
        agent.wait_ready()
        self.finish(agent)
        wait_until(lambda: notify.moments("STOPPING=1"), 5, "STOPPING=1")
        self.assertEqual(len(notify.moments("READY=1")), 1)
        self.assertEqual(notify.moments("MAINPID"), [])

    def test_s11_ready_is_told_when_all_services_are_and_one_that_failed_holds_nothing_up(self):
        """S11: of several services all must be registered, or have failed for good, which STATUS= names."""
        notify = self.notify_socket()
        registry = self.earlier_registry()
        agent = self.agent_of(notify, toy("--load=0.7"), "--start-limit=1", registry=registry, services={}, config={})
        other = port_pair()
        agent.config_path.rename(agent.folder / "good.toml")
        agent.backend = toy("--die=start:3")
        agent.write_config()
        agent.config_path.rename(agent.folder / "bad.toml")
        agent.services = {"services": [
            {"name": agent.name, "host": "127.0.0.1", "port": agent.engine_port, "config": "good.toml"},
            {"name": "bad", "host": "127.0.0.1", "port": other, "config": "bad.toml"}]}
        agent.write_config()
        agent.spawn()
        wait_until(lambda: notify.moments("READY=1"), 20, "READY=1")
        registered = registry.calls_of(agent.server_name, "register")
        self.assertTrue(registered and registered[0].time < notify.moments("READY=1")[0])
        self.assertEqual(notify.statuses()[-1], "1 of 2 services in service; bad: failed")
        agent.wait_ready()
        self.assertEqual(agent.stop(), 0)

    def test_s11_a_start_that_ends_is_not_ready(self):
        """S11: no READY=1 for an agent that is stopped while the model loads, nor for one that gives up."""
        notify = self.notify_socket()
        agent = self.agent_of(notify, toy("--load=60")).start()
        wait_until(lambda: notify.moments("EXTEND_TIMEOUT_USEC="), 10, "an extension")
        self.finish(agent)
        agent = self.agent_of(notify, toy("--die=start:3"), "--start-limit=1", "--exit-on-failed").spawn()
        self.assertEqual(agent.wait_exit(), 1)
        wait_until(lambda: len(notify.moments("STOPPING=1")) >= 3, 5, "STOPPING=1 of both")
        self.assertEqual(notify.moments("READY=1"), [])


class EvilRegistry:
    """Gives one of `answers` to each call, in turn."""

    def __init__(self):
        self.answers = []
        self.asked = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                client.settimeout(1)
                try:
                    client.recv(65536)
                    client.sendall(self.answers[self.asked % len(self.answers)])
                except OSError:
                    continue
                finally:
                    self.asked += 1

    @staticmethod
    def names():
        return []


class Commands(AgentTest):
    def test_s12_no_http_client_can_make_the_agent_run_anything(self):
        """S12: bodies, queries and headers that name commands and paths change nothing; unknown paths and methods are
        refused; the engine's command line stays as the local configuration has it."""
        witness = self.folder / "witness"
        agent = self.running_agent(toy("--model=${NAME}"), *SOON)
        command = proc_tree.process(agent.engine_pid()).command
        evil = {"command": f"/usr/bin/touch {witness}", "args": [f"; touch {witness}"], "path": str(witness),
                "env": {"LD_PRELOAD": "/tmp/x.so"}, "backend": {"type": "command", "command": "touch"}}
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            for path in ("/", "/info", "/status", "/config", "/services", "/command", "/run", "/logs", "/health"):
                response = agent.call(method, path, json=evil)
                self.assertIn(response.status, (404, 405), f"{method} {path}")
        for path in ("/restart?command=touch", f"/restart?log_file={witness}"):
            before = agent.status()["restarts"], agent.engine_pid()
            agent.call("POST", path, json=evil)
            wait_until(lambda: agent.state == "running" and agent.engine_pid() != before[1], 20, "the restart")
            self.assertEqual(proc_tree.process(agent.engine_pid()).command, command)
        for path in ("/logs?file=/etc/passwd", "/logs?lines=5&name=../../etc/passwd", "/logs/../../etc/passwd"):
            response = agent.call("GET", path)
            self.assertNotIn("root:", response.text)
        self.assertFalse(witness.exists())
        self.finish(agent)

    def test_s12_no_registry_can_make_the_agent_run_anything(self):
        """S12: a registry that answers with commands, with redirects or with nonsense is only answered to."""
        witness = self.folder / "witness"
        registry = EvilRegistry()
        self.addCleanup(registry.close)
        agent = self.new_agent(toy(), "--heartbeat-interval=1s", registry=registry)
        command = b'{"command":"touch %s","service":{"command":"x"}}' % str(witness).encode()
        registry.answers = [
            b"HTTP/1.1 201 X\r\nContent-Length: %d\r\n\r\n%s" % (len(command), command),
            b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:%d/restart\r\nContent-Length: 0\r\n\r\n" % agent.pages_port,
            b"HTTP/1.1 200 X\r\nContent-Length: 4\r\n\r\n\0\1\2\3",
            b"\0\1\2\3 no HTTP at all\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: shell\r\nConnection: Upgrade\r\n\r\n/bin/sh -c id\n"]
        agent.start().running()
        engine = proc_tree.process(agent.engine_pid())
        wait_until(lambda: registry.asked > 8, 30, "some calls")
        self.assertEqual((agent.state, agent.status()["restarts"]), ("running", 0))
        self.assertEqual(proc_tree.process(engine.pid), engine._replace(state=proc_tree.process(engine.pid).state))
        self.assertFalse(witness.exists())
        self.finish(agent)

    def test_s12_a_name_is_never_a_path(self):
        """S12: a service whose name looks like a path makes no file outside the agent's own folders."""
        for name in ("../../escape", "/tmp/absolute-escape", "a/b/../../../escape"):
            folder = self.folder / f"case-{abs(hash(name))}" / "deep" / "agent"
            agent = self.new_agent(toy(), folder=str(folder.relative_to(self.folder)), name=name).spawn()
            wait_until(lambda: not agent.alive or agent.port_file.exists(), 20, "the start or the refusal")
            if agent.alive:
                agent.wait_ready().running()
                self.assertEqual(agent.stop(), 0)
            outside = [path for path in (self.folder / folder.parts[-3]).rglob("*escape*")
                       if folder not in path.parents]
            self.assertEqual((outside, pathlib.Path("/tmp/absolute-escape.log").exists()), ([], False))
            self.assertFalse(any(path.name.endswith("escape.log") for path in self.folder.glob("*")))


if __name__ == "__main__":
    main()
