#!/usr/bin/env python3
"""How the agent finds out that an engine lives, loads or hangs."""

import resource
import signal
import time

from support import http_wire
from support.agent_process import HASTY, AgentTest, sim, toy
from support.case import main
from support.waiting import let_time_pass, patience, wait_until

SOON = ("--restart-delay=20ms",)


class LivenessTest(AgentTest):
    def assert_left_alone(self, agent, seconds=1.5):
        engine = agent.engine_pid()
        let_time_pass(seconds, lambda: self.assertEqual(agent.state, "running"))
        self.assertEqual((agent.engine_pid(), agent.status()["restarts"]), (engine, 0))

    def wait_restarted(self, agent, times=1):
        wait_until(lambda: agent.status()["restarts"] >= times, 20, "the restart")
        agent.running()


class Hang(LivenessTest):
    def test_an_engine_that_answers_models_while_its_step_is_dead_is_caught(self):
        control, tell = self.switch()
        agent = self.running_agent(toy(f"--control={control}"), *SOON)
        since = time.monotonic()
        tell("health 503")
        agent.registry.wait_status(agent.server_name, "unhealthy")
        self.assertLess(time.monotonic() - since, patience(4), "three intervals of 200 ms, no time-out")
        agent.registry.wait_status(agent.name, "unhealthy")
        tell()
        self.wait_restarted(agent)
        self.assertIn("hung", agent.last_exit()["text"])
        agent.registry.wait_status(agent.server_name, "running")
        said = [text for text, _ in agent.registry.statuses_of(agent.server_name, since)]
        said = said[said[0] == "running":]  # a heartbeat from before
        self.assertEqual((said[0], said[-1]), ("unhealthy", "running"))
        self.finish(agent)

    def test_silence_is_a_hang(self):
        control, tell = self.switch()
        agent = self.running_agent(toy(f"--control={control}"), *SOON, *HASTY)
        tell("health hang")
        agent.registry.wait_status(agent.server_name, "unhealthy")
        tell()
        self.wait_restarted(agent)
        self.finish(agent)

    def test_the_simulator_hangs(self):
        agent = self.running_agent(sim(), *SOON, *HASTY)
        http_wire.call(agent.engine_port, "POST", "/sim/fault", {"fault": "hang_health"})
        self.wait_restarted(agent)
        self.assertEqual(agent.last_exit()["kind"], "hang")
        self.finish(agent)

    def test_the_simulator_refuses_connections(self):
        agent = self.running_agent(sim("--control-port=0"), *SOON)
        http_wire.call(agent.engine_port, "POST", "/sim/fault", {"fault": "refuse"})
        self.wait_restarted(agent)
        self.finish(agent)

    def test_heartbeats_do_not_vouch_for_a_hung_engine(self):
        agent = self.running_agent(toy("--ignore-term"), *HASTY, "--stop-grace=3s", "--heartbeat-interval=1s")
        agent.kill_engine(signal.SIGSTOP)
        agent.registry.wait_status(agent.server_name, "unhealthy")
        since = time.monotonic()
        agent.registry.wait_status(agent.server_name, "running")  # the next engine
        beats = [call.status for call in agent.registry.calls_of(agent.server_name, "heartbeat", since)]
        before = beats[:beats.index("running")] if "running" in beats else beats
        self.assertGreaterEqual(len(before), 2, "heartbeats went on meanwhile")
        self.assertLessEqual(set(before), {"unhealthy", "starting"}, "one without a status keeps `running` alive")
        self.finish(agent)


class Alive(LivenessTest):
    def test_an_engine_without_a_health_page_is_alive(self):
        agent = self.running_agent(toy("--no-health"))
        self.assert_left_alone(agent)
        self.finish(agent)

    def test_an_engine_with_only_bare_models_is_ready(self):
        agent = self.running_agent(toy("--no-health", "--paths=bare"))
        self.assertEqual(agent.get("/models")["data"][0]["id"], "toy-model")
        self.finish(agent)

    def test_an_engine_with_only_v1_models_is_ready(self):
        agent = self.running_agent(toy("--paths=v1"))
        self.assertEqual(agent.get("/models")["data"][0]["id"], "toy-model")
        self.finish(agent)

    def test_an_open_port_without_a_model_list_is_not_ready(self):
        agent = self.start_agent(toy("--paths=none"))
        wait_until(lambda: "Uvicorn running" in agent.engine_log(), 10, "its port")
        let_time_pass(1.0, lambda: self.assertEqual(agent.state, "starting"))
        self.assertEqual(agent.registry.calls_of(agent.server_name), [])
        self.assertFalse(agent.is_ready())
        self.finish(agent)

    def test_liveness_can_be_switched_off(self):
        control, tell = self.switch()
        agent = self.running_agent(toy(f"--control={control}"), "--probe-failures=0")
        tell("health 503")
        self.assert_left_alone(agent)
        self.finish(agent)

    def test_an_agent_without_descriptors_says_nothing_of_its_engine(self):
        agent = self.running_agent(toy(), "--completion-probe-interval=300ms")
        limits = resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        wait_until(lambda: agent.stderr_text().count("could not be asked") > 10, 20, "several probes")
        resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, limits)
        self.assert_left_alone(agent, 0.5)
        self.assertNotIn("did not pass a liveness probe", agent.stderr_text())
        self.finish(agent)

    def test_another_health_path(self):
        control, tell = self.switch()
        agent = self.running_agent(toy(f"--control={control}"), *SOON, "--health-path=/my/health")
        tell("health 503")
        self.assert_left_alone(agent, 1.0)
        tell("/my/health 503")
        agent.registry.wait_status(agent.server_name, "unhealthy")
        tell()
        self.wait_restarted(agent)
        self.finish(agent)


class Completions(LivenessTest):
    FLAGS = ("--completion-probe-interval=300ms", "--completion-probe-timeout=1s")

    def test_an_engine_that_generates_nothing_is_restarted(self):
        control, tell = self.switch()
        agent = self.running_agent(toy(f"--control={control}"), *SOON, *self.FLAGS)
        self.assert_left_alone(agent, 1.2)
        tell("chat hang")
        agent.registry.wait_status(agent.server_name, "unhealthy")
        tell()
        self.wait_restarted(agent)
        self.finish(agent)

    def test_it_asks_for_one_token(self):
        agent = self.running_agent(sim("--record-body=10000"), *self.FLAGS)

        def asked():
            found = http_wire.call(agent.engine_port, "GET", "/sim/requests").json()["requests"]
            return [item for item in found if "/chat/completions" in item["head"]]
        first = wait_until(asked, 10, "a completion")[0]
        self.assertIn('"max_tokens":1', first["body"].replace(" ", ""))
        self.assertIn("sim-model", first["body"])
        self.finish(agent)

    def test_by_default_nothing_is_generated(self):
        agent = self.running_agent(sim())
        let_time_pass(1.0)
        self.assertEqual(http_wire.call(agent.engine_port, "GET", "/sim/stats").json()["generations"], 0)
        self.finish(agent)


class Loading(LivenessTest):
    def test_progress_is_told_every_10_s(self):
        agent = self.start_agent(toy("--load=30", "--say=loading shard 3 of 9"))
        wait_until(lambda: "still loading" in agent.stderr_text(), 14, "a line about the progress")
        line = next(line for line in agent.stderr_text().splitlines() if "still loading" in line)
        self.assertRegex(line, r" for=1\ds ")
        self.assertIn("loading shard 3 of 9", line)
        self.assertRegex(line, r"rss_mib=[1-9]")
        self.finish(agent)


if __name__ == "__main__":
    main()
