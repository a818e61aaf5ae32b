#!/usr/bin/env python3
"""Where instances come from: our registry's watch, an original registry's list, the view on disk; and their losses."""

import time

from support.case import main
from support.original_registry import FakeOriginalRegistry, registered
from support.router_process import MODEL, RouterTest, free_port
from support.traffic import Traffic
from support.waiting import best_of, let_time_pass, patience, wait_until

ENGINE = {"type": "openai-api", "models": [MODEL]}


class Discovery(RouterTest):
    def lasting_registry(self, *flags, warming="2s"):
        """A registry that comes back on its port."""
        return self.start_registry(f"--port={free_port()}", f"--warming-time={warming}", *flags)

    def register(self, registry, sim, **fields):
        registry.register(sim.name, port=sim.port, **{"metadata": ENGINE, **fields})

    def wait_names(self, router, *names):
        wait_until(lambda: tuple(sorted(router.services())) == names, 15, f"exactly {names}", 0.002)

    def health(self, router):
        return router.get("/health")

    def seconds_until(self, condition):
        begun = time.monotonic()
        wait_until(condition, 10, "the change at the router", 0.001)
        return time.monotonic() - begun

    def kept_view(self, router):
        path = router.folder / "state" / "router_view.json"
        return path.read_text() if path.exists() else ""

    # -- our registry --------------------------------------------------------------------------------------------------
    def test_r12_a_new_and_a_removed_instance_are_known_within_100_ms(self):
        sims = self.start_sims(2)
        registry = self.start_registry("--warming-time=0")
        self.register(registry, sims[0])
        router = self.start_router(registry=registry)
        self.wait_names(router, "sim-0")

        def come_and_go():
            self.register(registry, sims[1])
            come = self.seconds_until(lambda: router.chat(max_tokens=1).header("x-sim-name") == "sim-1")
            self.assertEqual(registry.call("DELETE", "/services/sim-1").status, 200)
            gone = self.seconds_until(lambda: "sim-1" not in router.services())
            served = sims[1].stats()["generations"]
            for _ in range(6):
                self.assertEqual(router.chat(max_tokens=1).header("x-sim-name"), "sim-0")
            self.assertEqual(sims[1].stats()["generations"], served)
            return max(come, gone)
        self.assertLessEqual(best_of(10, 0.1, come_and_go), 0.1)

    def test_an_instance_that_drains_gets_nothing_new_and_ends_what_it_has(self):
        sims = self.start_sims(2, "--decode-us=20000")
        registry = self.start_registry("--warming-time=0")
        for sim in sims:
            self.register(registry, sim)
        router = self.start_router(registry=registry)
        self.wait_names(router, "sim-0", "sim-1")
        streams = [router.stream(max_tokens=50) for _ in range(2)]
        for stream in streams:
            self.addCleanup(stream.connection.close)
        self.assertEqual({stream.headers["x-sim-name"] for stream in streams}, {"sim-0", "sim-1"})
        for way in ("PUT", "heartbeat"):
            def drain(way=way):
                if way == "PUT":
                    self.assertEqual(registry.call("PUT", "/services/sim-0", json={"status": "draining"}).status, 200)
                else:
                    registry.heartbeat("sim-0", json={"status": "draining"})
                seconds = self.seconds_until(lambda: router.state("sim-0") == "draining")
                served = sims[0].stats()["generations"]
                for _ in range(6):
                    self.assertEqual(router.chat(max_tokens=1).header("x-sim-name"), "sim-1")
                self.assertEqual(sims[0].stats()["generations"], served)
                registry.heartbeat("sim-0", json={"status": "running"})
                wait_until(lambda: router.state("sim-0") != "draining", 10)
                return seconds
            self.assertLessEqual(best_of(5, 0.1, drain), 0.1)
        for stream in streams:
            self.assertEqual(stream.events()[-1], "[DONE]")
        router.wait_idle()

    def test_a_removal_is_followed_at_once_while_the_registry_warms_up(self):
        sim, = self.start_sims(1)
        registry = self.start_registry()
        self.register(registry, sim)
        router = self.start_router(registry=registry)
        self.wait_names(router, "sim-0")
        self.assertEqual(registry.call("DELETE", "/services/sim-0").status, 200)
        self.wait_names(router)

    def test_changes_of_a_record_are_followed(self):
        sims = self.start_sims(2)
        registry = self.start_registry("--warming-time=0")
        self.register(registry, sims[0], weight=3)
        self.register(registry, sims[1], metadata={"type": "openai-api", "models": ["other"]})
        registry.register("agent", port=sims[0].port, metadata={"type": "InfiniLM", "models": [MODEL]})
        registry.register("no-type", port=sims[0].port, metadata={"cache_type": "paged"})
        router = self.start_router(registry=registry)
        self.wait_names(router, "sim-0", "sim-1")
        self.assertEqual([router.service("sim-0")[key] for key in ("weight", "models")], [3, [MODEL]])
        registry.call("PUT", "/services/sim-1", json={"metadata": ENGINE})
        wait_until(lambda: router.service("sim-1")["models"] == [MODEL], 10)
        registry.call("PUT", "/services/sim-0", json={"metadata": {"type": "InfiniLM"}})
        self.wait_names(router, "sim-1")
        self.assertEqual(router.chat().header("x-sim-name"), "sim-1")

    def test_r7_the_registry_is_down_and_traffic_goes_on(self):
        sims = self.start_sims(3)
        registry = self.lasting_registry()
        for sim in sims:
            self.register(registry, sim)
        router = self.start_router(registry=registry, config={"registry_sync_interval": "200ms",
                                                              "service_removal_grace_period": "300ms"})
        self.wait_names(router, "sim-0", "sim-1", "sim-2")
        wait_until(lambda: self.health(router)["view_age_seconds"] < 0.3, 5)
        self.assertLess(router.metric("infinilm_router_view_age_seconds"), 2)
        traffic = Traffic(router)
        registry.kill()
        wait_until(lambda: self.health(router)["registry_state"] == "unreachable", 10)
        wait_until(lambda: self.health(router)["view_age_seconds"] > 2, 10, "an age above 2 s")
        self.assertGreater(router.metric("infinilm_router_view_age_seconds"), 2)
        self.assertEqual(router.metric('infinilm_router_registry_state{state="unreachable"}'), 1)
        health = self.health(router)
        self.assertEqual((health["status"], health["healthy_services"]), ("healthy", "3/3"))
        self.assertTrue(health["registry_error"])
        sims[2].kill()  # its own checks go on
        router.wait_state("sim-2", "down")
        traffic.wait_more(100)
        registry.start()
        wait_until(lambda: self.health(router)["registry_state"] == "watching", 10)
        wait_until(lambda: self.health(router)["view_age_seconds"] < 1, 10)
        self.assertEqual(sorted(router.services()), ["sim-0", "sim-1", "sim-2"])
        traffic.wait_more(50)
        self.assertEqual(traffic.stop(), [])
        self.assertEqual(router.metric('infinilm_router_registry_state{state="watching"}'), 1)

    def test_r8_a_router_starts_from_the_kept_view_while_the_registry_is_down(self):
        sims = self.start_sims(2)
        registry = self.lasting_registry()
        for sim in sims:
            self.register(registry, sim, weight=2)
        router = self.start_router(registry=registry)
        self.wait_names(router, "sim-0", "sim-1")
        wait_until(lambda: '"sim-1"' in self.kept_view(router), 10, "the view on disk")
        registry.kill()
        for way in ("kill -9", "SIGTERM"):
            with self.subTest(way):
                def first_answer(way=way):
                    if way == "SIGTERM":
                        self.assertEqual(router.stop(), 0)
                    else:
                        router.kill()
                    let_time_pass(1.1)
                    begun = time.monotonic()
                    router.start()
                    self.assertEqual(router.chat().status, 200)
                    return time.monotonic() - begun
                self.assertLessEqual(best_of(4, 1.0, first_answer), 1.0)
                health = self.health(router)
                self.assertEqual([health["healthy_services"], health["view_from_disk"]], ["2/2", True])
                self.assertGreater(health["view_age_seconds"], 1.0)
                self.assertGreater(router.metric("infinilm_router_view_age_seconds"), 1.0)
                self.assertEqual([item["weight"] for item in router.services().values()], [2, 2])
        registry.start()
        wait_until(lambda: not self.health(router)["view_from_disk"], 15, "the registry's own view")
        self.assertEqual(sorted(router.services()), ["sim-0", "sim-1"])

    def test_a_damaged_view_on_disk_does_not_hinder_the_start(self):
        sim, = self.start_sims(1)
        for text in ("", "{", "[]", '{"version": 99}', "\0" * 100):
            router = self.new_router([sim], registry=f"http://127.0.0.1:{free_port()}", name=f"router{len(text)}")
            (router.folder / "state").mkdir()
            (router.folder / "state" / "router_view.json").write_text(text)
            self.assertEqual(router.start().chat().status, 200)
            self.assertEqual(self.health(router)["view_from_disk"], False)

    def test_a_registry_that_comes_back_empty_removes_nobody_at_once(self):
        """Another epoch, an empty store: who registers again stays without a gap, the rest goes when it has warmed."""
        sims = self.start_sims(3)
        registry = self.lasting_registry(warming="6s")
        for sim in sims:
            self.register(registry, sim)
        router = self.start_router(registry=registry, config={"registry_sync_interval": "200ms"})
        self.wait_names(router, "sim-0", "sim-1", "sim-2")
        epoch = registry.position()[1]
        traffic = Traffic(router)
        registry.kill()
        for path in registry.folder.glob("registry.db*"):
            path.unlink()
        registry.start()
        self.assertNotEqual(registry.position()[1], epoch)
        wait_until(lambda: self.health(router)["registry_state"] == "watching", 10)
        self.register(registry, sims[0])
        let_time_pass(0.8, lambda: self.assertEqual(sorted(router.services()), ["sim-0", "sim-1", "sim-2"]))
        self.register(registry, sims[1])
        self.wait_names(router, "sim-0", "sim-1")
        traffic.wait_more(30)
        self.assertEqual(traffic.stop(), [])

    # -- an original registry ------------------------------------------------------------------------------------------
    def original(self, *services, **config):
        registry = FakeOriginalRegistry(*services)
        self.addCleanup(registry.close)
        router = self.start_router(registry=f"http://127.0.0.1:{registry.port}/services",
                                   config={"registry_sync_interval": "150ms", **config})
        return registry, router

    def test_an_original_registry_is_polled_with_the_exact_question(self):
        sims = self.start_sims(2)
        agent = registered("svc", sims[0].port + 1, metadata={"type": "InfiniLM"})
        registry, router = self.original(agent, registered("svc-server", sims[0].port))
        self.wait_names(router, "svc-server")
        self.assertEqual(self.health(router)["registry_state"], "polling")
        self.assertEqual(router.get("/models")["data"], [{"id": MODEL}])
        registry.services.append(registered("two-server", sims[1].port, metadata={"models": ["two"]}))
        self.wait_names(router, "svc-server", "two-server")
        self.assertEqual(router.chat(model="two").header("x-sim-name"), "sim-1")
        count = len(registry.asked)
        begun = time.monotonic()
        registry.wait_asked(10)
        self.assertGreater(time.monotonic() - begun, 9 * 0.15 * 0.95, "it asks too often")
        self.assertGreaterEqual(len(registry.asked), count + 10)
        self.assertEqual(set(registry.asked), {"/services?healthy=true"})
        self.assertLess(self.health(router)["view_age_seconds"], 2)

    def test_what_an_original_registry_no_longer_lists_stays_for_the_grace_period(self):
        sims = self.start_sims(2)
        both = [registered(sim.name, sim.port) for sim in sims]
        registry, router = self.original(*both, service_removal_grace_period="2500ms")
        self.wait_names(router, "sim-0", "sim-1")
        registry.services = both[:1]
        registry.wait_asked(2)
        begun = time.monotonic()
        let_time_pass(0.5, lambda: self.assertEqual(len(router.services()), 2))
        registry.services = both  # back in time: the grace begins anew
        registry.wait_asked(2)
        let_time_pass(2.5 - (time.monotonic() - begun) + 0.5, lambda: self.assertEqual(len(router.services()), 2))
        self.assertEqual({router.chat().header("x-sim-name") for _ in range(4)}, {"sim-0", "sim-1"}, "still routed to")
        begun = time.monotonic()
        registry.services = both[:1]
        registry.wait_asked(1)
        self.seconds_until(lambda: sorted(router.services()) == ["sim-0"])
        seconds = time.monotonic() - begun
        self.assertGreater(seconds, 2.4)
        self.assertLess(seconds, patience(6))

    def test_weight_missing_is_1_and_entries_that_make_no_sense_are_passed_over(self):
        sim, = self.start_sims(1)
        bad = [7, {}, {"name": "x"}, registered("port", "x"), registered("host", sim.port, host="a b"),
               registered("zero", 0), {"name": "null", "host": None, "port": 1, "metadata": None}]
        good = registered("text", str(sim.port))
        good["metadata"]["unknown"] = [1]
        _, router = self.original(*bad, good, registered("weighted", sim.port, weight="oops"))
        self.wait_names(router, "text", "weighted")
        self.assertEqual([router.service(name)["weight"] for name in ("text", "weighted")], [1, 1])
        self.assertGreaterEqual(router.stats()["registry"]["unreadable"], 5)

    def test_no_registry_is_no_failure(self):
        sim, = self.start_sims(1)
        router = self.start_router([sim])
        health = self.health(router)
        self.assertEqual([health[key] for key in ("registry_state", "view_age_seconds", "registry_url")],
                         ["none", None, None])
        self.assertIsNone(router.metric("infinilm_router_view_age_seconds"))


if __name__ == "__main__":
    main()
