#!/usr/bin/env python3
"""What an agent says to a registry, to the earlier one (which is enough) and to ours."""

import os
import time

from support import http_wire
from support.agent_process import AgentTest, port_pair, sim, toy
from support.case import main
from support.waiting import let_time_pass, patience, wait_until

SOON = ("--restart-delay=20ms",)


class Registrations(AgentTest):
    def test_the_two_registrations_are_those_of_the_earlier_agents(self):
        agent = self.running_agent(toy("--model=m1"), config={"metadata": {"cache_type": "paged", "zone": 3}})
        registry = agent.registry
        registry.wait_status(agent.name, "running")
        registry.wait_status(agent.server_name, "running")
        own, engine = registry.entry(agent.name), registry.entry(agent.server_name)
        for entry, port in ((own, agent.engine_port + 1), (engine, agent.engine_port)):
            self.assertEqual((entry["host"], entry["hostname"], entry["port"], entry["url"], entry["is_healthy"]),
                             ("127.0.0.1", "127.0.0.1", port, f"http://127.0.0.1:{port}", True))
        self.assertEqual(own["metadata"]["babysitter"], "enhanced")
        self.assertNotEqual(own["metadata"]["type"], "openai-api")
        self.assertIn("started_at", own["metadata"])
        metadata = engine["metadata"]
        self.assertEqual((metadata["type"], metadata["parent_service"], metadata["babysitter"], metadata["models"]),
                         ("openai-api", agent.name, "enhanced", ["m1"]))
        self.assertEqual([(item["id"], item["owned_by"]) for item in metadata["models_list"]], [("m1", "toy")])
        self.assertEqual((metadata["cache_type"], metadata["zone"]), ("paged", 3))
        self.finish(agent)
        self.assertEqual(registry.names(), [])
        self.assertEqual(registry.strange, [], "more than the earlier registry knew")

    def test_nothing_is_running_before_the_engine_is_ready(self):
        agent = self.start_agent(toy("--load=4"))
        registry = agent.registry

        def check():
            self.assertEqual(registry.calls_of(agent.server_name), [])
            self.assertNotEqual(registry.status(agent.name), "running")
        let_time_pass(0.6, check)
        agent.running()
        registry.wait_status(agent.server_name, "running")
        registry.wait_status(agent.name, "running")
        self.finish(agent)

    def test_both_names_are_gone_after_the_engine_and_not_before(self):
        agent = self.running_agent(sim())
        registry = agent.registry
        registry.wait_status(agent.server_name, "running")
        self.finish(agent)
        for name in (agent.name, agent.server_name):
            self.assertEqual(registry.statuses_of(name)[-1][0], "gone")

    def test_without_a_registry_it_works_all_the_same(self):
        agent = self.running_agent(sim(), registry=None)
        self.assertTrue(agent.is_ready())
        self.finish(agent)

    def test_a_host_that_nobody_else_can_reach_is_said(self):
        for url, lines in ((f"http://{os.uname().nodename}:9/services", 1), ("http://localhost:9", 0)):
            agent = self.running_agent(sim(), f"--registry={url}", "--host=127.0.0.1", registry=None)
            self.assertEqual(agent.stderr_text().count("others will look for the service on their own machine"), lines)
            self.assertEqual(agent.stop(), 0)

    def test_our_registry_gets_weight_and_limits_too(self):
        registry = self.start_registry()
        agent = self.new_agent(services={}, registry=registry)
        self.write_services(agent, weight=3, max_fails=4, fail_timeout="40s", metadata={"gpu_count": 8})
        agent.start()
        wait_until(lambda: agent.server_name in registry.names("?healthy=true"), 20, "the engine in the registry")
        entry = registry.service(agent.server_name)
        self.assertEqual((entry["weight"], entry["max_fails"]), (3, 4))
        self.assertEqual(entry["metadata"]["gpu_count"], 8)
        self.assertEqual(entry["models"] if "models" in entry else entry["metadata"]["models"], ["sim-model"])
        self.finish(agent)

    def write_services(self, agent, **fields):
        entry = {"name": agent.name, "host": "127.0.0.1", "port": agent.engine_port, "config": "e1.toml", **fields}
        agent.services = {"services": [entry]}
        agent.backend = sim()
        agent.config = {}
        agent.write_config()
        agent.config_path.rename(agent.folder / "e1.toml")

    def test_a_service_is_moved_by_starting_the_new_one_and_stopping_the_old_one(self):
        registry = self.start_registry()
        old = self.running_agent(sim(), registry=registry, name="moved")
        wait_until(lambda: "moved-server" in registry.names("?healthy=true"), 20, "the old engine in the registry")
        new = self.running_agent(sim(), registry=registry, name="moved")
        place = (("moved", new.pages_port), ("moved-server", new.engine_port))

        def is_new():
            for name, port in place:
                entry = registry.service(name)
                self.assertEqual((entry["port"], entry["status"], entry["is_healthy"]), (port, "running", True))
            return True
        wait_until(is_new, 20, "the new engine in the registry")
        self.assertEqual(old.stop(), 0)  # it drains, which it would tell
        let_time_pass(2.5, is_new)  # as long as two heartbeats of the new one
        self.assertEqual(registry.log_text().count("service unregistered"), 0)
        self.assertEqual(new.log_text().count("registered name=moved "), 1, "it was not registered anew")
        self.finish(new)

    def test_a_name_that_another_agent_took_is_left_to_it_and_comes_back_when_it_is_free(self):
        registry = self.start_registry()
        first = self.running_agent(sim(), registry=registry, name="twice")
        wait_until(lambda: "twice-server" in registry.names("?healthy=true"), 20, "the first engine in the registry")
        second = self.running_agent(sim(), registry=registry, name="twice")
        taken = "somebody else has registered the name since"
        wait_until(lambda: first.log_text().count(taken) == 2, 20, "the first one to notice")
        self.assertEqual(registry.service("twice-server")["port"], second.engine_port)
        self.assertEqual(second.stop(), 0)
        wait_until(lambda: registry.service("twice-server")["port"] == first.engine_port, 20, "the first one again")
        self.assertEqual(first.log_text().count(taken), 2)
        self.finish(first)


class Heartbeats(AgentTest):
    def test_both_names_are_kept_alive_with_their_status(self):
        agent = self.running_agent(sim(), "--heartbeat-interval=1s", "--probe-interval=1h")  # a probe is a connection too
        since = time.monotonic()

        def beats_of(name):
            return agent.registry.calls_of(name, "heartbeat", since)
        names = (agent.name, agent.server_name)
        wait_until(lambda: all(len(beats_of(name)) >= 5 for name in names), 10, "five heartbeats of each")
        for name in names:
            beats = beats_of(name)
            self.assertEqual({call.status for call in beats}, {"running"})
            mean = (beats[-1].time - beats[0].time) / (len(beats) - 1)
            self.assertGreater(mean, 0.8, "one a second, each up to a tenth early")
            self.assertLess(mean, patience(1.5))
        load = agent.registry.calls_of(agent.server_name, "heartbeat")[-1].body["load"]
        self.assertGreater(load["rss_bytes"], 1_000_000)
        self.assertEqual((load["open_connections"], load["in_flight"]), (0, 0))
        self.assertNotIn("queue", load)
        self.finish(agent)

    def test_the_load_counts_open_requests(self):
        agent = self.running_agent(toy(), "--heartbeat-interval=500ms")
        connections = [http_wire.Connection(agent.engine_port) for _ in range(3)]
        for connection in connections:
            self.addCleanup(connection.close)
            connection.send(http_wire.request_bytes("GET", "/slow?30"))

        def told():
            beats = agent.registry.calls_of(agent.server_name, "heartbeat")
            load = beats and beats[-1].body["load"]
            return load and (load["open_connections"], load["in_flight"]) == (3, 3)
        wait_until(told, 10, "three open connections in a heartbeat")
        for connection in connections:
            connection.close()
        self.finish(agent)

    def test_the_load_is_what_the_engine_says_where_it_does(self):
        agent = self.running_agent(toy("--metrics=2,7"), "--heartbeat-interval=500ms")

        def told():
            beats = agent.registry.calls_of(agent.server_name, "heartbeat")
            load = beats and beats[-1].body["load"]
            return load and (load["in_flight"], load.get("queue")) == (2, 7)
        wait_until(told, 10, "the engine's own counts in a heartbeat")
        self.assertEqual([agent.status()["load"][key] for key in ("in_flight", "queue")], [2, 7])
        self.finish(agent)

    def test_a_registry_that_forgot_everything_is_told_again_at_once(self):
        agent = self.running_agent(sim(), "--heartbeat-interval=3s")
        registry = agent.registry
        names = (agent.name, agent.server_name)

        def told_all():  # no registration is under way any more: a heartbeat of that state has come behind it
            last = [registry.calls_of(name)[-1:] for name in names]
            return all(calls and (calls[0].what, calls[0].status) == ("heartbeat", "running") for calls in last)
        wait_until(told_all, 20, "heartbeats of both names behind their registrations")
        before = {name: len(registry.calls_of(name, "register")) for name in names}
        registry.forget()
        for name in names:
            wait_until(lambda n=name: len(registry.calls_of(n, "register")) > before[n], 20, f"{name} registered again")
            registry.wait_status(name, "running")
            calls = registry.calls_of(name)
            again = max(place for place, call in enumerate(calls) if call.what == "register")
            calls = calls[again - 1:again + 1]
            self.assertEqual([(call.what, call.code) for call in calls], [("heartbeat", 404), ("register", 201)])
            self.assertLess(calls[1].time - calls[0].time, 2, "not with the next heartbeat")
        self.finish(agent)

    def test_our_registry_restarts_without_its_state(self):
        registry = self.start_registry("--state-db=:memory:", f"--port={port_pair()}")
        agent = self.running_agent(sim(), "--heartbeat-interval=1s", registry=registry)
        wait_until(lambda: registry.names() == [agent.name, agent.server_name], 10, "both registered")
        registry.restart()
        wait_until(lambda: registry.names("?healthy=true") == [agent.name, agent.server_name], 10, "both again")
        self.assertEqual(agent.status()["restarts"], 0)
        self.finish(agent)


class Trouble(AgentTest):
    def assert_serving(self, agent, engine):
        self.assertEqual(http_wire.call(agent.engine_port, "GET", "/health").status, 200)
        self.assertEqual((agent.state, agent.engine_pid(), agent.status()["restarts"]), ("running", engine, 0))

    def test_the_registry_is_down_for_a_while(self):
        agent = self.running_agent(sim(), "--heartbeat-interval=500ms")
        registry, engine = agent.registry, agent.engine_pid()
        registry.wait_status(agent.server_name, "running")
        registry.down()
        registry.forget()
        let_time_pass(2.0, lambda: self.assert_serving(agent, engine), interval=0.2)
        self.assertTrue(agent.is_ready())
        registry.up()
        registry.wait_status(agent.server_name, "running")
        registry.wait_status(agent.name, "running")
        self.assertLess(agent.stderr_text().count(" WARN "), 20, "the log is not flooded")
        self.finish(agent)

    def test_the_registry_is_down_at_the_start(self):
        registry = self.earlier_registry()
        registry.down()
        agent = self.running_agent(sim(), "--heartbeat-interval=500ms", registry=registry)
        self.assertTrue(agent.is_ready())
        let_time_pass(0.5)
        registry.up()
        registry.wait_status(agent.server_name, "running")
        self.finish(agent)

    def test_the_registry_hangs(self):
        agent = self.running_agent(sim(), "--heartbeat-interval=500ms")
        registry, engine = agent.registry, agent.engine_pid()
        registry.wait_status(agent.server_name, "running")
        registry.refuse = "hang"
        let_time_pass(1.5, lambda: self.assert_serving(agent, engine), interval=0.2)
        registry.refuse = None
        since = time.monotonic()
        wait_until(lambda: registry.calls_of(agent.server_name, "heartbeat", since), 20, "a heartbeat")
        self.finish(agent)

    def test_the_registry_answers_errors(self):
        agent = self.new_agent(sim(), "--heartbeat-interval=500ms")
        registry = agent.registry
        for code in (500, 503, 429, 400, 401):
            registry.refuse = code
            if agent.process is None:
                agent.running()
            let_time_pass(0.3, lambda: self.assertTrue(agent.is_ready()), interval=0.1)
        registry.refuse = None
        registry.wait_status(agent.server_name, "running", timeout=35)
        self.finish(agent)

    def test_somebody_else_removes_the_entry(self):
        agent = self.running_agent(sim(), "--heartbeat-interval=500ms")
        registry = agent.registry
        registry.wait_status(agent.server_name, "running")
        self.assertEqual(http_wire.call(registry.port, "DELETE", f"/services/{agent.server_name}").status, 200)
        registry.wait_status(agent.server_name, "running", timeout=3)
        self.assertEqual(http_wire.call(registry.port, "DELETE", f"/services/{agent.name}").status, 200)
        self.assertEqual(http_wire.call(registry.port, "DELETE", f"/services/{agent.server_name}").status, 200)
        self.finish(agent)  # also when the entries are gone already

    def test_heartbeats_stop_vouching_for_a_dead_engine(self):
        agent = self.running_agent(toy(), "--heartbeat-interval=500ms", "--restart-delay=1h")
        registry = agent.registry
        registry.wait_status(agent.server_name, "running")
        since = agent.kill_engine()
        registry.wait_status(agent.server_name, "unhealthy")
        let_time_pass(1.5, lambda: self.assertFalse(registry.entry(agent.server_name)["is_healthy"]))
        beats = registry.calls_of(agent.server_name, "heartbeat", since + 0.3)
        self.assertTrue(beats)
        self.assertNotIn(None, [call.status for call in beats])
        self.finish(agent)

    def test_a_status_alone_is_no_new_registration(self):
        """A router takes each registration for a new instance: of the engine there is one for each time it is ready."""
        agent = self.running_agent(toy("--load=0.3"), *SOON)
        registry, name = agent.registry, agent.server_name
        registry.wait_status(name, "running")
        since = agent.kill_engine()
        registry.wait_status(name, "unhealthy")
        registry.wait_status(name, "running")
        self.finish(agent)
        registrations = registry.calls_of(name, "register")
        self.assertEqual([call.status for call in registrations], ["running", "running"])
        said = [(call.what, call.status) for call in registry.calls_of(name, since=since)
                if call.what != "heartbeat" or call.status != "running"]
        self.assertEqual(said[0], ("heartbeat", "unhealthy"))
        self.assertIn(("heartbeat", "starting"), said)
        self.assertEqual(said[-2:], [("heartbeat", "draining"), ("withdraw", None)])

    def test_a_drain_is_no_new_registration_at_our_registry_either(self):
        registry = self.start_registry()
        agent = self.running_agent(toy(), "--drain-timeout=20s", registry=registry)
        before = wait_until(lambda: registry.service(agent.server_name), 20, "the engine in the registry")
        self.assertEqual(agent.call("POST", "/drain").status, 202)
        wait_until(lambda: registry.service(agent.server_name)["status"] == "draining", 10, "draining")
        self.assertEqual(registry.service(agent.server_name)["generation"], before["generation"])
        self.finish(agent)

    def test_the_exit_is_told_to_the_registry(self):
        agent = self.start_agent(toy("--die=0.1:7", "--say=the last words"), *SOON, "--start-limit=1")
        agent.wait_state("failed")
        agent.registry.wait_status(agent.name, "failed")
        said = str(agent.registry.entry(agent.name)["metadata"])
        self.assertIn("exit code 7", said)
        self.assertIn("the last words", said)
        self.assertEqual(agent.registry.strange, [])
        self.finish(agent)


if __name__ == "__main__":
    main()
