#!/usr/bin/env python3
"""Faults of the original router that must not come back. (5, 6 and 16: test_router_proxying.py; 15: the contract's.)"""

from support.case import main
from support.original_registry import FakeOriginalRegistry, registered
from support.raw_upstream import raw_router, raw_upstream
from support.router_process import MODEL, RouterTest
from support.sim_process import CHAT, chat
from support.waiting import wait_until

FAST_POLLS = {"registry_sync_interval": "100ms", "recovery_interval": "50ms"}


class OriginalFaults(RouterTest):
    def original_registry(self, *services):
        registry = FakeOriginalRegistry(*services)
        self.addCleanup(registry.close)
        return registry

    def served(self, sims):
        return [sim.stats()["generations"] for sim in sims]

    def test_fault_2_a_sync_does_not_revive_a_dead_instance(self):
        """The registry says is_healthy all the time, as the original one does of whatever still has an agent."""
        sims = self.start_sims(2)
        registry = self.original_registry(*[registered(sim.name, sim.port) for sim in sims])
        router = self.start_router(registry=registry, config=FAST_POLLS)
        wait_until(lambda: router.get("/health")["healthy_services"] == "2/2", 10)
        sims[0].kill()
        wait_until(lambda: router.chat().status == 200 and router.state("sim-0") == "down", 20, "sim-0 seen as down")
        failures = router.service("sim-0")["failures"]
        for _ in range(15):
            registry.wait_asked()
            self.assertEqual(router.state("sim-0"), "down")
            for _ in range(4):
                self.assertEqual(router.chat().header("x-sim-name"), "sim-1")
        self.assertEqual(router.service("sim-0")["failures"], failures, "somebody's request was sent to the dead one")
        sims[0].come_back()
        router.wait_state("sim-0", "up")

    def test_fault_2_a_good_probe_alone_does_not_hide_failing_answers(self):
        """Its /health is fine, each request is reset: it stays out after max_fails of them, whatever the probes say."""
        sims = self.start_sims(3)
        router = self.new_router(config={"health_interval": "50ms", "panic_threshold": 0.1, "slow_start": 0})
        router.set_static(*sims, max_fails=3, fail_timeout="30s")
        router.start()
        router.wait_state("sim-0", "up")
        sims[0].fault("reset", on="generate")
        for _ in range(30):
            self.assertEqual(router.chat().status, 200)
        struck = sims[0].stats()["faults"]
        self.assertEqual((struck, router.state("sim-0")), (3, "ejected"))
        good = router.service("sim-0")["checks_good"]
        wait_until(lambda: router.service("sim-0")["checks_good"] >= good + 5, 10, "five more good probes")
        for _ in range(10):
            self.assertEqual(router.chat().status, 200)
        self.assertEqual(sims[0].stats()["faults"], struck)

    def test_fault_3_clients_that_hang_up_do_not_take_the_instance_out(self):
        sim, = self.start_sims(1, "--decode-us", "20000", "--max-batch", "100")
        router = self.new_router(config={"health_interval": "1h"})
        router.set_static(sim, max_fails=1)
        router.start()
        router.wait_state("sim-0", "up")
        for number in range(10):
            stream = router.stream(max_tokens=1000)
            stream.chunk()
            stream.connection.close()
            self.assertEqual(router.chat(max_tokens=1).status, 200, number)
        sim.fault("hang", on="generate", count=5)  # and before the first byte
        for _ in range(5):
            connection = router.connection()
            struck = sim.stats()["faults"]
            connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: r\r\nContent-Length: 2\r\n\r\n{}")
            wait_until(lambda struck=struck: sim.stats()["faults"] > struck, 10, "the request at the instance", 0.002)
            connection.close()
        self.assertEqual(router.chat(max_tokens=1).status, 200)
        router.wait_idle()
        service = router.service("sim-0")
        self.assertEqual((service["state"], service["error_count"], service["ejections"]), ("up", 0, 0))
        self.assertEqual(router.totals()["clients_gone"], 15)

    def test_fault_4_a_connection_failure_is_retried_and_a_timeout_of_a_post_is_not(self):
        def silent(connection, _):
            connection.wait_end()
            return False
        upstreams = [raw_upstream(self, silent), raw_upstream(self, silent)]
        router = raw_router(self, upstreams, config={"proxy_timeout": "300ms"})
        self.assert_openai_error(router.chat(), 504, "upstream_timeout")
        self.assertEqual(len(upstreams[0].requests) + len(upstreams[1].requests), 1, "a POST was sent twice")
        sims = self.start_sims(2)
        router = self.start_router(sims, config={"health_interval": "1h"}, name="second")
        router.wait_state("sim-1", "up")
        sims[1].kill()
        for _ in range(6):
            self.assertEqual(router.chat().header("x-sim-name"), "sim-0")
        self.assertGreaterEqual(router.totals()["retries"], 1)

    def test_fault_12_metadata_static_pins_nobody_that_is_registered(self):
        sims = self.start_sims(3)
        static_cache = registered("pinned", sims[0].port, metadata={"static": True, "cache_type": "static"})
        registry = self.original_registry(static_cache, registered("other", sims[1].port))
        router = self.start_router([sims[2]], registry=registry,
                                   config={**FAST_POLLS, "service_removal_grace_period": "500ms"})
        wait_until(lambda: sorted(router.services()) == ["other", "pinned", "sim-2"], 10)
        registry.services = registry.services[1:]
        registry.wait_asked(2)
        wait_until(lambda: sorted(router.services()) == ["other", "sim-2"], 10, "the pinned one gone")
        registry.services = []
        wait_until(lambda: sorted(router.services()) == ["sim-2"], 10, "only the static service")

    def test_fault_12_cache_type_static_and_static_services_are_two_things(self):
        sim, = self.start_sims(1)
        router = self.new_router(config={"cache_type_routing_threshold": 1000})
        router.set_static(sim, metadata={"static": True, "cache_type": "paged"})
        router.start()
        explained = router.get(f"/explain?model={MODEL}&text_bytes=5000")
        self.assertEqual((explained["upstream"], explained["reason"]), ("sim-0", "policy"))
        self.assertEqual([item["cache_type"] for item in explained["candidates"]], ["paged"])

    def test_fault_13_size_does_not_override_a_session(self):
        sims = self.start_sims(4)
        router = self.new_router(args=["--load-balancing-method", "session"],
                                 config={"cache_type_routing_threshold": 1000})
        router.set_static(*[{"name": sim.name, "host": "127.0.0.1", "port": sim.port, "models": [MODEL],
                             "metadata": {"cache_type": "static" if n % 2 else "paged"}} for n, sim in enumerate(sims)])
        router.start()
        homes = set()
        for key in range(12):
            chosen = [router.chat("x" * size, prompt_cache_key=f"key-{key}").header("x-sim-name")
                      for size in (10, 5000, 10, 50000)]
            self.assertEqual(len(set(chosen)), 1, (key, chosen))
            homes.add(chosen[0])
        self.assertEqual({int(name[-1]) % 2 for name in homes}, {0, 1}, "all keys in one half: nothing was tested")

    def test_fault_14_only_the_sessions_of_the_one_that_left_move(self):
        """mod N moved nearly all. Real requests here; P13's shares are in test_router_balancing.py."""
        sims = self.start_sims(5)
        router = self.start_router(sims, config={"load_balancing_method": "session", "slow_start": 0})
        keys = [f"session {n}" for n in range(60)]

        def homes():
            with router.connection() as connection:
                return {key: connection.request("POST", CHAT, json=chat(prompt_cache_key=key, max_tokens=1))
                        .header("x-sim-name") for key in keys}
        before = homes()
        self.assertEqual(homes(), before)
        self.assertGreaterEqual(len(set(before.values())), 4)
        victim = before[keys[0]]
        router.set_static(*[sim for sim in sims if sim.name != victim])
        router.reload()
        wait_until(lambda: len(router.services()) == 4, 10)
        after = homes()
        moved = {key for key in keys if before[key] != after[key]}
        self.assertEqual(moved, {key for key in keys if before[key] == victim})
        router.set_static(*sims)
        router.reload()
        wait_until(lambda: len(router.services()) == 5, 10)
        self.assertEqual(homes(), before, "they come home")

    def test_fault_14_a_session_survives_the_restart_of_the_router_and_of_another_router(self):
        sims = self.start_sims(4)
        homes = []
        for name in ("one", "two"):
            router = self.start_router(sims if name == "one" else sims[::-1], name=name,
                                       config={"load_balancing_method": "session"})
            homes.append([router.chat(user=f"user {n}").header("x-sim-name") for n in range(20)])
        self.assertEqual(homes[0], homes[1])
        self.assertGreater(len(set(homes[0])), 2)


if __name__ == "__main__":
    main()
