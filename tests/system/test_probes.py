#!/usr/bin/env python3
"""Probes: what is probed, in which order, how often, and what the results do."""

import collections
import signal
import threading
import time

from support.case import SystemTest, main
from support.fakes import FakeService, HungService
from support.ports import port_pair
from support.registry_process import ChangeStream
from support.waiting import let_time_pass, patience, wait_until


class ProbeTest(SystemTest):
    def fake(self, answers=None, port=0):
        fake = FakeService(answers, port)
        self.addCleanup(fake.close)
        return fake

    def register(self, registry, name, fake, **fields):
        return registry.register(name, port=fake.port, url=f"http://127.0.0.1:{fake.port}", **fields)

    def probe(self, registry, name):
        response = registry.call("GET", f"/services/{name}/health")
        self.assertEqual(response.status, 200)
        return response.json()


class Periodic(ProbeTest):
    def test_probes_really_run_and_set_the_health(self):
        registry = self.start_registry("--health-interval", "300ms")
        good, bad = self.fake({"/health": 200}), self.fake({"/health": 500})
        self.register(registry, "good", good)
        self.register(registry, "bad", bad)
        wait_until(lambda: len(good.hits) >= 4, 8, "four probes")
        wait_until(lambda: registry.service("bad")["health_status"] == "unhealthy", 8, "the bad one unhealthy")
        after = registry.service("good")
        self.assertEqual((after["health_status"], after["is_healthy"]), ("healthy", True))
        self.assertEqual(registry.service("bad")["is_healthy"], False)
        self.assertEqual(registry.names("?healthy=true"), ["good"])
        self.assertEqual(set(good.paths()), {"/health"})
        times = [moment for _, moment in good.hits]
        mean = (times[-1] - times[0]) / (len(times) - 1)
        self.assertGreater(mean, 0.2, "probes come once per interval, not in bursts")

    def test_a_periodic_success_is_no_heartbeat_but_an_asked_for_one_is(self):
        registry = self.start_registry("--health-interval", "200ms")
        fake = self.fake({"/health": 204})  # any 2xx
        before = self.register(registry, "s", fake)["service"]["last_heartbeat"]
        wait_until(lambda: len(fake.hits) >= 3, 5, "three probes")
        self.assertEqual(registry.service("s")["last_heartbeat"], before)
        answer = self.probe(registry, "s")
        self.assertEqual((answer["health_status"], answer["probe"]["status"]), ("healthy", 204))
        self.assertGreater(registry.service("s")["last_heartbeat"], before)

    def test_hung_services_are_probed_in_parallel_and_do_not_delay_the_others(self):
        registry = self.start_registry("--health-interval", "500ms", "--health-timeout", "1s")
        good = self.fake({"/health": 200})
        with HungService() as hung:
            registry.register_many([{"name": f"hung{index}", "host": "127.0.0.1", "port": hung.port, "hostname": "h",
                                     "url": f"http://127.0.0.1:{hung.port}",
                                     "status": "running"} for index in range(30)])
            self.register(registry, "good", good)
            begun = time.monotonic()
            wait_until(lambda: len(good.hits) >= 5, 10, "five probes of the good one")
            self.assertLess(time.monotonic() - begun, patience(15), "one after another they would take 30 s for each")
            wait_until(lambda: len(registry.names("?healthy=true")) == 1, 12, "all hung ones unhealthy")
        self.assertEqual(registry.names("?healthy=true"), ["good"])

    def test_at_most_so_many_probes_at_once(self):
        registry = self.start_registry("--health-interval", "300ms", "--health-timeout", "10s", "--probe-concurrency",
                                       "4")
        open_now, worst = collections.Counter(), [0]

        def slow(handler):
            open_now["n"] += 1
            worst[0] = max(worst[0], open_now["n"])
            time.sleep(0.1)
            open_now["n"] -= 1
            handler.answer(200)
        fake = self.fake({"/health": slow})
        for index in range(20):
            self.register(registry, f"s{index}", fake)
        wait_until(lambda: len(fake.hits) >= 40, 15, "40 probes")
        self.assertLessEqual(worst[0], 5)  # four, and one whose answer is on its way
        self.assertGreaterEqual(worst[0], 2)

    def test_probes_on_demand_beyond_as_many_at_once_are_refused(self):
        registry = self.start_registry("--health-interval", "0", "--health-timeout", "1m", "--probe-concurrency", "1")
        answers = []
        with HungService() as hung:
            registry.register("hung", port=hung.port, url=f"http://127.0.0.1:{hung.port}")
            asking = [threading.Thread(target=lambda: answers.append(registry.call("GET", "/services/hung/health")))
                      for _ in range(2)]
            for thread in asking:
                thread.start()
            wait_until(lambda: answers, 5, "the answer to one of them")
        for thread in asking:  # the service is gone: nothing holds up the other one any more
            thread.join(patience(10))
        refused, probed = answers
        self.assertEqual((refused.status, refused.json()["error"]),
                         (503, "Too many probes are in progress; try again in a moment"))
        self.assertEqual(refused.header("Retry-After"), "1")
        self.assertEqual((probed.status, probed.json()["health_status"]), (200, "unhealthy"))

    def slow(self, status, seconds=1.0):
        """(a service that takes its time, the most requests that it has ever had at once)"""
        begun, open_now, worst = threading.Event(), collections.Counter(), [0]

        def answer(handler):
            open_now["n"] += 1
            worst[0] = max(worst[0], open_now["n"])
            begun.set()
            time.sleep(seconds)
            open_now["n"] -= 1
            handler.answer(status)
        fake = self.fake({"/health": answer})
        fake.begun, fake.worst = begun, worst
        return fake

    def test_a_service_slower_than_the_interval_is_probed_once_at_a_time(self):
        registry = self.start_registry("--health-interval", "100ms", "--health-timeout", "10s")
        slow = self.slow(200, 0.7)
        self.register(registry, "slow", slow)
        wait_until(lambda: len(slow.hits) >= 4, 20, "four probes")
        self.assertEqual(slow.worst[0], 1)
        self.assertEqual(registry.service("slow")["health_status"], "healthy")

    def test_a_probe_of_the_address_before_says_nothing_about_the_one_after(self):
        registry = self.start_registry("--health-interval", "100ms", "--unhealthy-after", "1")
        old, new = self.slow(500), self.fake({"/health": 200})
        self.register(registry, "s", old)
        self.assertTrue(old.begun.wait(patience(10)))
        stream = ChangeStream(registry)
        moved = registry.call("PUT", "/services/s", json={"url": f"http://127.0.0.1:{new.port}"})
        self.assertEqual(moved.status, 200)
        wait_until(lambda: registry.service("s")["health_status"] == "healthy", 10, "a probe of the new one")
        let_time_pass(1.5)  # until the one of the old address has its answer
        self.assertNotIn("became_unhealthy", [event["event"] for event in stream.poll("1ms")])

    def test_a_probe_on_demand_of_what_was_replaced_renews_nothing(self):
        registry = self.start_registry()
        old, new = self.slow(200), self.fake({"/health": 200})
        self.register(registry, "s", old)
        asking = threading.Thread(target=self.probe, args=(registry, "s"), daemon=True)
        asking.start()
        self.assertTrue(old.begun.wait(patience(10)))
        after = self.register(registry, "s", new)["service"]
        asking.join(patience(10))
        now = registry.service("s")
        self.assertEqual((now["last_heartbeat"], now["health_status"]), (after["last_heartbeat"], "unknown"))

    def test_interval_0_probes_nothing(self):
        registry = self.start_registry("--health-interval", "0")
        fake = self.fake({"/health": 200})
        self.register(registry, "s", fake)
        let_time_pass(1)
        self.assertEqual(fake.hits, [])
        self.assertEqual(self.probe(registry, "s")["health_status"], "healthy")


class Thresholds(ProbeTest):
    def statuses(self, registry, name, count):
        """health_status of the service after each of `count` probes asked for."""
        seen = []
        for _ in range(count):
            self.probe(registry, name)
            seen.append(registry.service(name)["health_status"])
        return seen

    def test_unhealthy_after_three_failures_in_a_row_and_back_after_one_success(self):
        registry = self.start_registry()
        fake = self.fake({"/health": 503})
        self.register(registry, "s", fake)
        stream = ChangeStream(registry)
        self.assertEqual(self.statuses(registry, "s", 3), ["unknown", "unknown", "unhealthy"])
        self.assertEqual(registry.service("s")["probe"], {"consecutive_failures": 3, "consecutive_successes": 0})
        fake.answers["/health"] = 200
        self.assertEqual(self.statuses(registry, "s", 1), ["healthy"])
        self.assertIs(registry.service("s")["is_healthy"], True)
        fake.answers["/health"] = 503
        self.assertEqual(self.statuses(registry, "s", 2), ["healthy", "healthy"])
        fake.answers["/health"] = 200
        self.statuses(registry, "s", 1)
        fake.answers["/health"] = 503
        self.assertEqual(self.statuses(registry, "s", 3), ["healthy", "healthy", "unhealthy"])
        events = [event["event"] for event in stream.poll("1ms")]
        self.assertEqual(events[:2], ["became_unhealthy", "became_healthy"])
        self.assertEqual(events[-1], "became_unhealthy")

    def test_both_thresholds_are_settings(self):
        registry = self.start_registry("--unhealthy-after", "1", "--healthy-after", "3")
        fake = self.fake({"/health": 503})
        self.register(registry, "s", fake)
        self.assertEqual(self.statuses(registry, "s", 1), ["unhealthy"])
        fake.answers["/health"] = 200
        self.assertEqual(self.statuses(registry, "s", 3), ["unhealthy", "unhealthy", "healthy"])

    def test_max_fails_of_the_service_wins_over_the_setting(self):
        registry = self.start_registry()
        fake = self.fake({"/health": 503})
        self.register(registry, "two", fake, max_fails=2)
        self.register(registry, "never", fake, max_fails=0)
        self.assertEqual(self.statuses(registry, "two", 2), ["unknown", "unhealthy"])
        self.assertNotIn("unhealthy", self.statuses(registry, "never", 6))
        self.assertIs(registry.service("never")["is_healthy"], True)

    def test_a_reload_after_which_no_probe_makes_unhealthy_leaves_nobody_so(self):
        config = self.write("config.json", '{"registry": {"unhealthy_after": 1}}')
        registry = self.start_registry("--config", config)
        fake = self.fake({"/health": 503})
        self.register(registry, "s", fake)
        self.assertEqual(self.statuses(registry, "s", 1), ["unhealthy"])
        stream = ChangeStream(registry)
        self.write("config.json", '{"registry": {"unhealthy_after": 0}}')
        registry.signal(signal.SIGHUP)
        wait_until(lambda: registry.service("s")["is_healthy"], 10, "the reload")
        self.assertEqual(registry.service("s")["health_status"], "unknown")
        self.assertEqual([event["event"] for event in stream.poll("1ms")], ["became_healthy"])

    def test_a_new_registration_starts_over(self):
        registry = self.start_registry()
        fake = self.fake({"/health": 503})
        self.register(registry, "s", fake, max_fails=1)
        self.assertEqual(self.statuses(registry, "s", 1), ["unhealthy"])
        self.assertEqual(self.register(registry, "s", fake, max_fails=1)["service"]["health_status"], "unknown")

    def test_one_log_line_per_transition(self):
        registry = self.start_registry("--health-interval", "150ms")
        fake = self.fake({"/health": 503})
        self.register(registry, "only-once", fake)
        wait_until(lambda: len(fake.hits) >= 9, 8, "nine failed probes")
        lines = [line for line in registry.log_text().splitlines() if "only-once" in line and "unhealthy" in line]
        self.assertEqual(len(lines), 1, lines)


class Order(ProbeTest):
    """For openai-api entries: the agent on port+1, and only when nothing listens there the service itself."""

    def setUp(self):
        super().setUp()
        self.registry = self.start_registry()
        self.port = port_pair()

    def register_engine(self, **metadata):
        self.registry.register("engine", port=self.port, url=f"http://127.0.0.1:{self.port}",
                               metadata={"type": "openai-api", **metadata})

    def verdict(self):
        answer = self.probe(self.registry, "engine")
        return answer["health_status"], answer["probe"]["url"].removeprefix("http://127.0.0.1:")

    def test_the_agent_is_asked_first_and_its_word_is_final(self):
        engine, agent = self.fake({"/health": 200}, self.port), self.fake({"/health": 200}, self.port + 1)
        self.register_engine()
        self.assertEqual(self.verdict(), ("healthy", f"{self.port + 1}/health"))
        agent.answers["/health"] = 503
        self.assertEqual(self.verdict(), ("unhealthy", f"{self.port + 1}/health"))
        agent.answers["/health"] = 404
        self.assertEqual(self.verdict(), ("unhealthy", f"{self.port + 1}/health"))
        self.assertEqual(engine.hits, [])

    def test_without_an_agent_the_service_is_asked_path_by_path(self):
        engine = self.fake({"/health": 200, "/v1/models": 200, "/models": 200}, self.port)
        self.register_engine()
        for gone, expected in ((None, "/health"), ("/health", "/v1/models"), ("/v1/models", "/models")):
            engine.answers.pop(gone, None)
            self.assertEqual(self.verdict(), ("healthy", f"{self.port}{expected}"))
        engine.answers.pop("/models")
        self.assertEqual(self.verdict(), ("unhealthy", f"{self.port}/models"))
        self.assertEqual(engine.paths()[-3:], ["/health", "/v1/models", "/models"])

    def test_a_failing_health_of_the_service_is_not_covered_up_by_its_model_list(self):
        self.fake({"/health": 503, "/v1/models": 200}, self.port)
        self.register_engine()
        self.assertEqual(self.verdict(), ("unhealthy", f"{self.port}/health"))

    def test_a_hung_agent_is_unhealthy_without_a_fallback(self):
        registry = self.start_registry("--health-timeout", "500ms", name="impatient")
        engine = self.fake({"/health": 200}, self.port)
        import socket
        with socket.create_server(("127.0.0.1", self.port + 1)):
            registry.register("engine", port=self.port, url=f"http://127.0.0.1:{self.port}",
                              metadata={"type": "openai-api"})
            begun = time.monotonic()
            answer = self.probe(registry, "engine")
            took = time.monotonic() - begun
        self.assertEqual(answer["health_status"], "unhealthy")
        self.assertTrue(0.45 <= took <= patience(4), took)  # 5 s is the default
        self.assertRegex(answer["probe"]["error"], "time")
        self.assertEqual(engine.hits, [])

    def test_a_health_url_in_the_metadata_wins(self):
        agent, own = self.fake({"/health": 503}, self.port + 1), self.fake({"/live?deep=1": 200})
        self.register_engine(health_url=f"http://127.0.0.1:{own.port}/live?deep=1")
        self.assertEqual(self.verdict(), ("healthy", f"{own.port}/live?deep=1"))
        self.assertEqual(agent.hits, [])

    def test_a_service_cannot_have_the_registry_vouch_for_it(self):
        # Its health_url is the registry's own probe of it: that would renew the lease for ever.
        own = f"http://127.0.0.1:{self.registry.port}/services/loop/health"
        self.registry.register("loop", metadata={"health_url": own})
        before = self.registry.get("/services/loop")["last_heartbeat"]
        answer = self.probe(self.registry, "loop")
        self.assertEqual((answer["health_status"], answer["probe"]["status"]), ("unhealthy", 403))
        self.assertEqual(self.registry.get("/services/loop")["last_heartbeat"], before)

    def test_other_types_are_asked_at_their_url(self):
        fake = self.fake({"/base/health": 200})
        self.registry.register("plain", port=fake.port, url=f"http://127.0.0.1:{fake.port}/base/")
        self.assertEqual(self.probe(self.registry, "plain")["health_status"], "healthy")
        self.assertEqual(fake.paths(), ["/base/health"])
        self.assertEqual(fake.headers["Host"], f"127.0.0.1:{fake.port}")


if __name__ == "__main__":
    main()
