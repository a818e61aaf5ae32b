#!/usr/bin/env python3
"""P3, P4 and P11: who fails is left alone for a time, who is back gets a little at first, and when too few are left all
are used; when nobody is left that is said at once.
"""

import time

from support.bench_process import describe, even_load
from support.case import main
from support.router_process import RouterTest
from support.waiting import best_of, let_time_pass, patience, wait_until

# One thread and fresh connections: who is asked is known. No probes but those of instances that are out.
BARE = {"threads": 1, "health_interval": 0, "upstream_idle_connections": 0, "slow_start": 0}


class HealthTest(RouterTest):
    def start_bare(self, sims, config=None, **fields):
        router = self.new_router(config={**BARE, **(config or {})})
        router.set_static(*sims, **fields)
        router.start()
        for sim in sims:
            router.wait_state(sim.name, "up")
        return router

    def asked(self, *sims):
        return [sim.stats()["generations"] for sim in sims]

    def chat(self, router):
        """One request, which must be answered. Returns by whom."""
        response = router.chat(max_tokens=1)
        self.assertEqual(response.status, 200, response)
        return response.header("x-sim-name")

    def fail_once(self, router, sim):
        """Lets one request fail at this instance; its client must not notice."""
        faults = sim.stats()["faults"]
        sim.fault("reset", count=1)
        for _ in range(20):
            self.chat(router)
            if sim.stats()["faults"] > faults:
                return
        self.fail(f"{sim.name} was not asked in 20 requests")

    def names_of(self, router, count):
        return [self.chat(router) for _ in range(count)]


class Ejection(HealthTest):
    def test_p3_max_fails_within_fail_timeout_eject_for_fail_timeout(self):
        sims = self.start_sims(3)
        router = self.start_bare(sims, max_fails=2, fail_timeout="2s")
        self.fail_once(router, sims[0])
        self.assertEqual(router.state("sim-0"), "up")
        self.assertIn("sim-0", self.names_of(router, 6))
        begun = time.monotonic()
        self.fail_once(router, sims[0])
        self.assertEqual(router.state("sim-0"), "ejected")

        def back():
            self.assertEqual(len(self.names_of(router, 3)), 3)
            return "sim-0" in self.names_of(router, 3)
        wait_until(back, 10, "its return", interval=0.05)
        self.assertGreater(time.monotonic() - begun, 1.9)
        self.assertLess(time.monotonic() - begun, patience(6.0))
        self.assertEqual(router.service("sim-0")["ejections"], 1)

    def test_p3_failures_further_apart_than_fail_timeout_are_not_added_up(self):
        sims = self.start_sims(3)
        router = self.start_bare(sims, max_fails=2, fail_timeout="300ms")
        for _ in range(3):
            self.fail_once(router, sims[0])
            self.assertEqual(router.service("sim-0")["ejections"], 0)
            let_time_pass(0.4)

    def test_p3_after_its_time_one_more_failure_ejects_again(self):
        sims = self.start_sims(3)
        router = self.start_bare(sims, max_fails=3, fail_timeout="2s")
        sims[0].fault("reset", count=4)
        wait_until(lambda: self.chat(router) and router.service("sim-0")["ejections"] == 2, 20, "the second ejection",
                   interval=0.005)
        self.assertEqual(sims[0].stats()["faults"], 4)
        wait_until(lambda: self.chat(router) == "sim-0", 10, "its return")

    def test_p3_max_fails_0_never_ejects(self):
        sims = self.start_sims(3)
        router = self.start_bare(sims, max_fails=0)
        for _ in range(5):
            self.fail_once(router, sims[0])
        self.assertEqual((router.state("sim-0"), router.service("sim-0")["ejections"]), ("up", 0))

    def test_p3_good_probes_do_not_hide_failures(self):
        """Its /health is fine all the time, and it breaks off whatever it is asked to do."""
        sims = self.start_sims(3)
        router = self.start_bare(sims, {"health_interval": "100ms"}, max_fails=3, fail_timeout="30s")
        sims[0].fault("reset")

        def ejected():
            let_time_pass(0.1)
            self.chat(router)
            return router.state("sim-0") == "ejected"
        wait_until(ejected, 5, "its ejection")
        self.assertEqual(sims[0].stats()["faults"], 3)

    def test_p3_answers_of_any_status_are_no_failures(self):
        sims = self.start_sims(3)
        router = self.start_bare(sims, {"retry_on_503": False}, max_fails=1)
        for status in (400, 404, 429, 500, 503):
            for sim in sims:
                sim.fault("status", status=status, count=2)
            self.assertEqual({router.chat().status for _ in range(6)}, {status})
        self.assertEqual([item["ejections"] for item in router.services().values()], [0, 0, 0])

    def test_p3_one_refused_connection_takes_an_instance_out_at_once(self):
        sims = self.start_sims(3)
        router = self.start_bare(sims, {"recovery_interval": "10s"}, max_fails=100)
        sims[0].fault("refuse", rst=True)
        wait_until(lambda: self.chat(router) and router.totals()["retries"] > 0, 10, "a refusal", interval=0)
        self.assertIn(router.state("sim-0"), ("ejected", "down"))
        self.assertNotIn("sim-0", self.names_of(router, 9))
        self.assertEqual(router.totals()["retries"], 1, "it was asked again")

    def test_p3_the_last_one_is_never_taken_out_by_its_failures(self):
        sim, = self.start_sims(1)
        router = self.start_bare([sim], max_fails=1, fail_timeout="60s")
        for _ in range(3):
            sim.fault("reset", count=1)
            self.assert_openai_error(router.chat(), 502, "upstream_reset")
            self.assertEqual(self.chat(router), "sim-0")


class Panic(HealthTest):
    def eject_three_of_four(self, **config):
        sims = self.start_sims(4)
        router = self.start_bare(sims, config, max_fails=1, fail_timeout="60s")
        for sim in sims[:3]:
            sim.fault("reset", count=1)
        wait_until(lambda: self.chat(router) and sum(sim.stats()["faults"] for sim in sims) == 3, 10, "three failures",
                   interval=0)
        wait_until(lambda: sum(item["state"] == "ejected" for item in router.services().values()) == 3, 5, "ejections")
        return sims, router

    def test_p4_when_fewer_than_half_are_left_all_are_used_and_it_is_counted(self):
        _, router = self.eject_three_of_four()
        wait_until(lambda: len(set(self.names_of(router, 8))) == 4, 5, "all four in use")
        self.assertGreater(router.totals()["panic_picks"], 0)
        self.assertGreater(router.metric("infinilm_router_panic_picks_total") or 0, 0)

    def test_p4_a_panic_threshold_of_0_uses_only_the_healthy_ones(self):
        _, router = self.eject_three_of_four(panic_threshold=0)
        self.assertEqual(set(self.names_of(router, 12)), {"sim-3"})
        self.assertEqual(router.totals()["panic_picks"], 0)

    def test_p4_half_of_them_is_enough(self):
        sims = self.start_sims(4)
        router = self.start_bare(sims, max_fails=1, fail_timeout="60s")
        for sim in sims[:2]:
            self.fail_once(router, sim)
            wait_until(lambda sim=sim: router.state(sim.name) == "ejected", 5, "the ejection")
        self.assertEqual(set(self.names_of(router, 12)), {"sim-2", "sim-3"})
        self.assertEqual(router.totals()["panic_picks"], 0)


class AllDown(HealthTest):
    def refused_in(self, router):
        """Seconds until the 503."""
        with router.connection() as connection:
            connection.request("GET", "/health")  # the connection is there
            begun = time.monotonic()
            response = connection.request("POST", "/v1/chat/completions",
                                          json={"model": "sim-model", "messages": []})
            took = time.monotonic() - begun
        self.assert_openai_error(response, 503, "no_ready_instance")
        self.assertRegex(response.header("Retry-After") or "", "^[1-9][0-9]*$")
        return took

    def test_p4_row_14_all_down_is_503_within_10_ms_and_good_again_within_1_s(self):
        sims = self.start_sims(3)
        router = self.start_router(sims)
        self.assertEqual(len(set(self.names_of(router, 12))), 3)
        for sim in sims:
            sim.kill()
        self.refused_in(router)  # at once: nobody knows yet
        self.assertLess(best_of(10, 0.010, lambda: self.refused_in(router)), 0.0101)
        for sim in sims:
            router.wait_state(sim.name, "down")
        self.assertLess(best_of(10, 0.010, lambda: self.refused_in(router)), 0.0101)
        self.assertEqual(router.get("/health")["healthy_services"], "0/3")

        def good_again():
            for sim in sims:
                sim.kill()
            for sim in sims:
                router.wait_state(sim.name, "down")
            for sim in sims:
                sim.come_back()
            begun = time.monotonic()
            good = 0
            while good < 5:
                status = router.chat(max_tokens=1).status
                self.assertIn(status, (200, 503))
                good = good + 1 if status == 200 else 0
                self.assertLess(time.monotonic() - begun, patience(20), "five good in a row")
            return time.monotonic() - begun
        self.assertLessEqual(best_of(4, 1.0, good_again), 1.0)
        wait_until(lambda: router.get("/health")["healthy_services"] == "3/3", 5, "all three")

    def test_p4_all_refuse_but_one_and_nobody_fails_while_it_goes_round(self):
        sims = self.start_sims(6)
        router = self.start_router(sims)
        for sim in sims[:5]:
            sim.kill()
        self.assertEqual(set(self.names_of(router, 12)), {"sim-5"})  # five refusals are not five retries too many


class Return(HealthTest):
    def test_p11_row_15_one_that_is_back_is_in_rotation_within_1500_ms(self):
        sims = self.start_sims(3)
        router = self.start_router(sims, args=["--threads=1", "--health-interval=500ms"])

        def measure():
            sims[0].kill()
            router.wait_state("sim-0", "down")
            sims[0].come_back()
            begun = time.monotonic()
            wait_until(lambda: self.chat(router) == "sim-0", 20, "its first request", interval=0)
            return time.monotonic() - begun
        self.assertLessEqual(best_of(3, 1.5, measure), 1.5)

    def test_p11_one_that_is_back_begins_with_a_tenth_and_grows_to_its_share(self):
        sims = self.start_sims(2)
        router = self.start_router(sims, config={"slow_start": "4s", "health_interval": "500ms"})
        self.assertEqual([item["slow_start_share"] for item in router.services().values()], [1, 1])  # not at the start
        sims[0].kill()
        router.wait_state("sim-0", "down")
        load = even_load(self, router, 200, 8)
        begun = time.monotonic()
        sims[0].come_back()
        router.wait_state("sim-0", "up")

        def reading():
            """(its share of its own weight as the router says, when that was at the latest, requests so far)"""
            weight = router.service("sim-0")["slow_start_share"]
            return weight, time.monotonic() - begun, self.asked(*sims)
        readings = [reading()]
        self.assertLessEqual(readings[0][0], 0.1 + 0.9 * readings[0][1] / 4 + 0.01, "it began with more than a tenth")
        while readings[-2:-1] == [] or readings[-2][0] < 1:  # and one more when it has its full weight
            let_time_pass(1.0)
            readings.append(reading())
            self.assertLess(len(readings), 10, readings)
        shares = []
        for (least, _, before), (most, _, after) in zip(readings, readings[1:]):
            got = [count - earlier for count, earlier in zip(after, before)]
            shares.append(got[0] / sum(got))
            # Beside one of weight 1; a table is made each second, so it may be a second old.
            self.assertGreater(shares[-1], (least - 0.25) / (1 + least - 0.25) - 0.05, readings)
            self.assertLess(shares[-1], most / (1 + most) + 0.05, readings)
        self.assertGreater(shares[-1], 0.45, shares)
        report = load.report()
        self.assertEqual(report["failed"], 0, describe(report))


if __name__ == "__main__":
    main()
