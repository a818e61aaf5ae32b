#!/usr/bin/env python3
"""P1 and P2: what fails before its answer begins is done elsewhere, within limits; what has begun is never repeated."""

import signal

from support.bench_process import Bench, describe, even_load
from support.case import main
from support.router_process import RouterTest
from support.sim_process import CHAT, chat
from support.waiting import let_time_pass, wait_until

# Instances are probed once and never ejected, connections are used once: each request shows what becomes of itself.
BARE = {"threads": 1, "health_interval": 0, "upstream_idle_connections": 0}
BEFORE_THE_FIRST_BYTE = ("reset_on_accept", "reset_on_head", "reset")


class Failover(RouterTest):
    def start_bare(self, sims, **config):
        router = self.new_router(config={**BARE, **config})
        router.set_static(*sims, max_fails=0)
        router.start()
        for sim in sims:
            router.wait_state(sim.name, "up")  # their only probe: what is counted from here on are requests
        return router

    def ask(self, router, method):
        return router.call(method, CHAT, json=None if method == "GET" else chat(max_tokens=2))

    def by_an_instance(self, response):
        return (response.header("x-sim-name") or "").startswith("sim-")

    def ask_until_struck(self, router, sim, method):
        """Asks until the fault of `sim` has struck, and returns that answer; the others come from an instance."""
        before = sim.stats()["faults"]
        for _ in range(5):
            response = self.ask(router, method)
            if sim.stats()["faults"] > before:
                return response
            self.assertTrue(self.by_an_instance(response), response)
        self.fail(f"the fault never struck: {sim.stats()}")

    def served(self, *sims):
        return sum(sim.stats()["requests"] for sim in sims)

    def test_p1_a_refused_connection_is_tried_elsewhere_whatever_the_method(self):
        sims = self.start_sims(2)
        router = self.start_bare(sims, retry_post=False)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            with self.subTest(method):
                router.wait_state("sim-0", "up")
                retries = router.totals()["retries"]
                sims[0].fault("refuse", rst=True)
                for _ in range(3):  # of two in a row one at least meets it
                    self.assertEqual(self.ask(router, method).header("x-sim-name"), "sim-1")
                self.assertGreater(router.totals()["retries"], retries)
                sims[0].no_faults()

    def test_p1_a_reset_before_the_first_byte_is_tried_elsewhere_also_for_a_post(self):
        sims = self.start_sims(2)
        router = self.start_bare(sims)
        for fault in BEFORE_THE_FIRST_BYTE:
            for method in ("GET", "POST", "PUT", "DELETE"):
                with self.subTest(fault=fault, method=method):
                    retries = router.totals()["retries"]
                    sims[0].fault(fault, count=1, on="all" if fault == "reset_on_accept" else "generate")
                    response = self.ask_until_struck(router, sims[0], method)
                    self.assertEqual(response.header("x-sim-name"), "sim-1", response)
                    self.assertEqual(router.totals()["retries"], retries + 1)
        router.wait_idle()

    def test_p1_retry_post_off_sends_no_post_twice(self):
        sims = self.start_sims(2)
        router = self.start_bare(sims, retry_post=False)
        sims[0].fault("reset", count=1)
        before = self.served(*sims)
        self.assert_openai_error(self.ask_until_struck(router, sims[0], "POST"), 502, "upstream_reset")
        self.assertEqual(router.totals()["retries"], 0)
        self.assertLessEqual(self.served(*sims) - before, 2)
        sims[0].fault("reset", count=1)
        self.assertTrue(self.by_an_instance(self.ask_until_struck(router, sims[0], "GET")))

    def test_p1_a_patch_is_not_sent_twice(self):
        sims = self.start_sims(2)
        router = self.start_bare(sims)
        sims[0].fault("reset", count=1)
        self.assert_openai_error(self.ask_until_struck(router, sims[0], "PATCH"), 502, "upstream_reset")
        self.assertEqual(router.totals()["retries"], 0)

    def test_p1_nothing_is_repeated_after_the_first_byte(self):
        sims = self.start_sims(2, "--decode-us", "1000")
        router = self.start_bare(sims)
        for rst in (False, True):
            for stream in (True, False):
                for fault, fields in (("die_mid_stream", {"after": 3, "rst": rst}), ("reset_after_head", {})):
                    with self.subTest(fault, stream=stream, rst=rst):
                        for sim in sims:
                            sim.fault(fault, count=1, **fields)
                        before = self.served(*sims)
                        self.assert_cut(router, stream)
                        self.assertEqual(self.served(*sims), before + 1)
                        for sim in sims:
                            sim.no_faults()
        self.assertEqual(router.totals()["retries"], 0)
        router.wait_idle()

    def assert_cut(self, router, stream):
        """An answer that begins and does not come to its end; what came is the beginning of one answer."""
        begun = router.stream(max_tokens=20) if stream else None
        if begun is None:
            with self.assertRaises((ConnectionError, AssertionError)):
                answer = router.chat(max_tokens=20)
                self.assertNotEqual(answer.status, 200, "half an answer was shown as a whole one")
                self.assertEqual(answer.status, 502)  # nothing of it had been passed on yet: as good as a cut
                raise ConnectionError
            return
        self.addCleanup(begun.connection.close)
        pieces = []
        with self.assertRaises(ConnectionError):
            while piece := begun.chunk():
                pieces.append(piece)
        text = b"".join(pieces)
        self.assertNotIn(b"[DONE]", text)
        self.assertLessEqual(text.count(b'"content":" 000"'), 1)

    def test_p1_p2_each_attempt_is_at_another_instance_and_there_are_three_at_most(self):
        sims = self.start_sims(5)
        router = self.start_bare(sims)
        for sim in sims:
            sim.fault("reset")
        for method in ("GET", "POST"):
            before = [sim.stats()["faults"] for sim in sims]
            self.assert_openai_error(self.ask(router, method), 502, "upstream_reset")
            struck = [sim.stats()["faults"] - count for sim, count in zip(sims, before)]
            self.assertEqual(sorted(struck), [0, 0, 1, 1, 1])

    def test_p1_a_single_instance_is_asked_once(self):
        sim, = self.start_sims(1)
        router = self.start_bare([sim])
        sim.fault("reset")
        self.assert_openai_error(self.ask(router, "POST"), 502, "upstream_reset")
        self.assertEqual(sim.stats()["faults"], 1)

    def test_p1_a_kept_connection_that_the_instance_closes_costs_nobody_a_request(self):
        """The instance closes idle connections just when the next request is due."""
        sim = self.new_sim("sim-0", "--keepalive=0.1").start()
        router = self.start_router([sim], config={"health_interval": 0, "retry_max": 0, "retry_post": False})
        report = Bench(self, "unary", router.port, "--rate", 10, "--requests", 40, "--connections", 1).report()
        self.assertEqual(report["failed"], 0, describe(report))
        connects = router.totals()["upstream_connects"]
        self.assertGreater(connects, 5, "no connection was closed in between: nothing was tested")

    def test_p2_all_answer_503_and_retries_stay_within_their_budget(self):
        sims = self.start_sims(3)
        # Those that are granted however little is asked come on top of the 20 %, for a second or two.
        router = self.start_router(sims, config={"health_interval": 0, "retry_budget_minimum": 0})
        for sim in sims:
            sim.fault("status", status=503, retry_after=2)
        report = even_load(self, router, 300, 3).report()
        asked = report["total"]["begun"]
        self.assertEqual(report["statuses"], {"503": asked}, describe(report))
        load = sum(sim.stats()["faults"] for sim in sims) / asked
        self.assertLessEqual(load, 1.2)
        self.assertGreater(load, 1.05, "nothing was tried elsewhere")
        totals = router.totals()
        self.assertEqual(totals["attempts"], asked + totals["retries"])
        self.assertEqual(sum(item["retries"] for item in router.stats()["services"]), totals["retries"])
        self.assertGreater(totals["retries_denied"], 0)
        self.assertEqual(router.chat().header("Retry-After"), "2")

    def test_p2_all_break_off_and_retries_stay_within_their_budget(self):
        sims = self.start_sims(3)
        router = self.start_router(sims, config={"health_interval": 0})
        for sim in sims:
            router.wait_state(sim.name, "up")
            sim.fault("reset")
        report = even_load(self, router, 200, 3).report()
        asked = report["total"]["begun"]
        self.assertEqual(report["statuses"], {"502": asked}, describe(report))
        load = sum(sim.stats()["faults"] for sim in sims) / asked
        self.assertLessEqual(load, 1.25)  # nobody knows that it is all of them until each has failed three times

    def test_p2_one_of_three_answers_503_and_no_client_sees_it(self):
        sims = self.start_sims(3)
        router = self.start_router(sims, config={"health_interval": 0})
        sims[0].fault("status", status=503, share=0.3)
        report = even_load(self, router, 200, 3).report()
        self.assertEqual((report["failed"], report["requests"]), (0, 600), describe(report))
        self.assertGreater(sims[0].stats()["faults"], 20)

    def test_row_11_kill_9_of_one_of_three_fails_no_post(self):
        sims = self.start_sims(3, "--decode-us", "5000", "--max-batch", "1000", "--num-blocks", "0")
        router = self.start_router(sims)
        load = even_load(self, router, 200, 5)
        wait_until(lambda: sims[0].stats()["requests"] > 60, 20, "requests at the victim")
        wait_until(lambda: sims[0].stats()["active"] > 0, 5, "a request in progress")
        sims[0].kill()
        report = load.report()
        self.assertEqual((report["failed"], report["requests"]), (0, 1000), describe(report))
        self.assertGreater(router.totals()["retries"], 0, "nothing was in progress: nothing was tested")
        router.wait_state("sim-0", "down")
        router.wait_idle()

    def test_row_13_a_rolling_restart_fails_none_of_2000_posts(self):
        sims = self.start_sims(3, "--decode-us", "2000", "--max-batch", "1000", "--num-blocks", "0")
        router = self.start_router(sims)
        load = even_load(self, router, 250, 8)
        wait_until(lambda: min(sim.stats()["requests"] for sim in sims) > 50, 20, "requests at all")
        for index, sim in enumerate(sims):
            if index == 1:  # one of them in an orderly way
                sim.signal(signal.SIGTERM)
                sim.wait_exit()
            sim.restart()
            let_time_pass(2)
        report = load.report()
        self.assertEqual((report["failed"], report["requests"]), (0, 2000), describe(report))
        for sim in sims:
            self.assertGreater(sim.stats()["requests"], 0, "a restarted instance got nothing to do")
        # One that broke off several requests while it went may be out for its fail_timeout.
        wait_until(lambda: [item["state"] for item in router.services().values()] == ["up"] * 3, 45, "all are back")


if __name__ == "__main__":
    main()
