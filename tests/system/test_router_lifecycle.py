#!/usr/bin/env python3
"""P10: a reload, a drain and an upgrade cost no request and no stream; a bad configuration changes nothing."""

import signal
import time

from support.bench_process import Bench, describe, even_load
from support.case import main
from support.new_connections import NewConnections
from support.router_process import RouterTest
from support.waiting import let_time_pass, patience, wait_until

FAST = ("--decode-us=2000", "--max-batch=1000", "--num-blocks=0", "--stamp")


class LifecycleTest(RouterTest):
    def start_streams(self, port, count, tokens, sims):
        """`count` streams, each once; returns the Bench when the instances have them all."""
        before = sum(sim.stats()["generations"] for sim in sims)
        bench = Bench(self, "sse", port, "--streams", count, "--requests", count, "--rate", 200, "--even",
                      "--tokens", tokens)
        wait_until(lambda: sum(sim.stats()["generations"] for sim in sims) >= before + count, 20, "the streams")
        return bench

    def assert_whole(self, streams, count):
        report = streams.report()
        self.assertEqual((report["failed"], report["chunks_lost"]), (0, 0), describe(report))
        self.assertGreaterEqual(report["total"]["finished"], count)

    def assert_none_failed(self, load):
        report = load.report()
        self.assertEqual(report["failed"], 0, describe(report))

    def open_stream(self, router, tokens):
        """A stream of which two pieces have come."""
        stream = router.stream(max_tokens=tokens)
        self.addCleanup(stream.connection.close)
        self.pieces = [stream.chunk(), stream.chunk()]
        return stream

    def assert_cut(self, stream):
        """It ends visibly: an error event, no [DONE], no last chunk."""
        pieces = []
        with self.assertRaises(ConnectionError):
            while True:
                piece = stream.chunk()
                self.assertNotEqual(piece, b"", "an end that looks complete")
                pieces.append(piece)
        text = b"".join(pieces)
        self.assertNotIn(b"[DONE]", text)
        self.assertIn(b'"error"', text)


class Reload(LifecycleTest):
    def bad_files(self, router):
        good = router.config_path.read_text()
        bad = ["", "{", good.replace("{", "[", 1), good.replace('"router"', '"ruter"'),
               good.replace('"max_errors"', '"max_error"'), good.replace('"max_errors": 4', '"max_errors": "many"'),
               good.replace('"127.0.0.1"', '"no host"'), good.replace('"port": ', '"port": 9')]
        self.assertNotIn(good, bad)
        return bad

    def test_p10_good_and_bad_reloads_under_load_cost_nothing(self):
        sims = self.start_sims(3, *FAST)
        router = self.start_router(sims, config={"max_errors": 4})
        streams = self.start_streams(router.port, 20, 1500, sims)
        load = even_load(self, router, 200, 5)
        for count in (2, 3, 1, 3):
            router.set_static(*sims[:count])
            router.config["load_balancing_method"] = "random" if count == 3 else "least_connections"
            router.write_config()
            router.reload()
            wait_until(lambda count=count: len(router.services()) == count, 5, "the new list")
            for text in self.bad_files(router)[count:count + 2]:
                router.config_path.write_text(text)
                with self.assertRaisesRegex(AssertionError, "the reload failed"):
                    router.reload()
                self.assertEqual(len(router.services()), count)
        self.assert_none_failed(load)
        self.assert_whole(streams, 20)
        router.wait_idle()

    def test_p10_a_bad_configuration_keeps_the_old_one_and_says_where_it_is_wrong(self):
        sim, = self.start_sims(1)
        router = self.start_router([sim], config={"max_errors": 4})
        for text in self.bad_files(router):
            with self.subTest(text[:40]):
                router.config_path.write_text(text)
                with self.assertRaises(AssertionError):
                    router.reload()
                errors = [line for line in router.stderr_text().splitlines() if " ERROR " in line]
                self.assertIn(str(router.config_path), errors[-1])
                self.assertEqual(router.chat().status, 200)
        router.write_config()
        router.reload()
        self.assertEqual(router.chat().status, 200)

    def test_p10_what_is_reloaded_is_used_by_the_next_request(self):
        sims = self.start_sims(2)
        router = self.start_router(sims[:1], config={"expose_route": False})
        with router.connection() as kept:
            self.assertEqual(kept.request("GET", "/v1/chat/completions").header("x-sim-name"), "sim-0")
            router.set_static(sims[1])
            router.config["expose_route"] = True
            router.write_config()
            router.reload()

            def by_the_other():
                response = kept.request("GET", "/v1/chat/completions")
                self.assertEqual(response.header("x-sim-name"), "sim-1")
                return response.header("X-Router-Upstream") == "sim-1"
            wait_until(by_the_other, 2, "the new configuration")


class Drain(LifecycleTest):
    def test_p10_a_drain_finishes_what_is_open_and_takes_nothing_new(self):
        sims = self.start_sims(2, *FAST)
        router = self.start_router(sims)
        streams = self.start_streams(router.port, 20, 700, sims)
        idle, silent = router.connection(), router.connection()
        self.addCleanup(idle.close)
        self.addCleanup(silent.close)
        for connection in (idle, silent):
            self.assertEqual(connection.request("GET", "/ready").status, 200)
        router.signal(signal.SIGTERM)
        wait_until(lambda: "draining" in router.stderr_text(), 5, "the drain")
        answer = idle.request("GET", "/health")  # a kept connection is answered once more, and told to go
        self.assertEqual((answer.status, answer.header("Connection")), (503, "close"))
        self.assertTrue(idle.is_closed_by_peer())
        self.assertTrue(silent.is_closed_by_peer())

        def refused():
            try:
                router.connection(timeout=2).close()
                return False
            except ConnectionRefusedError:
                return True
        wait_until(refused, 5, "new connections refused")
        self.assertTrue(router.alive)
        self.assert_whole(streams, 20)
        self.assertEqual(router.wait_exit(), 0)

    def test_p10_a_request_in_progress_is_answered_and_its_connection_closed(self):
        sim, = self.start_sims(1)
        router = self.start_router([sim])
        sim.fault("slow", ms=3000, count=1)
        answer = self.in_background(router.chat)
        wait_until(lambda: sim.stats()["faults"] == 1, 10, "the request at the instance")
        router.signal(signal.SIGTERM)
        response = answer()
        self.assertEqual((response.status, response.header("Connection")), (200, "close"))
        self.assertEqual(router.wait_exit(), 0)

    def test_p10_a_drain_is_bounded_and_then_cuts_visibly(self):
        sim, = self.start_sims(1, "--decode-us=20000")
        router = self.start_router([sim], args=["--drain-timeout=1s"])
        stream = self.open_stream(router, 5000)
        begun = time.monotonic()
        router.signal(signal.SIGTERM)
        self.assert_cut(stream)
        self.assertGreater(time.monotonic() - begun, 0.9)
        self.assertEqual(router.wait_exit(), 0)
        self.assertLess(time.monotonic() - begun, patience(4))
        wait_until(lambda: sim.stats()["active"] == 0, 5, "the end of the work at the instance")

    def test_p10_a_second_sigterm_ends_it_now(self):
        sim, = self.start_sims(1, "--decode-us=20000")
        router = self.start_router([sim])
        stream = self.open_stream(router, 5000)
        router.signal(signal.SIGTERM)
        wait_until(lambda: "draining" in router.stderr_text(), 5, "the drain")
        stream.chunk()
        begun = time.monotonic()
        router.signal(signal.SIGTERM)
        self.assertEqual(router.wait_exit(), 0)
        self.assertLess(time.monotonic() - begun, patience(4))  # the drain alone may take 30 s
        self.assert_cut(stream)

    def test_p10_any_number_of_sigterms_is_exit_code_0(self):
        for index in range(8):
            router = self.start_router([1], name=f"router-{index}")
            while router.alive:
                router.signal(signal.SIGTERM)
            self.assertEqual(router.wait_exit(), 0)

    def test_p10_sigint_drains_too(self):
        router = self.start_router([1])
        router.signal(signal.SIGINT)
        self.assertEqual(router.wait_exit(), 0)


class Upgrade(LifecycleTest):
    def test_p10_two_routers_share_a_port(self):
        sims = self.start_sims(2)
        first = self.start_router(sims)
        second = self.start_router(sims, args=[f"--port={first.port}"], name="second")
        self.assertEqual(second.port, first.port)
        clients = NewConnections(self, first.port)
        wait_until(lambda: clients.done > 200, 20, "requests")
        _, failures = clients.stop()
        self.assertEqual(failures, [])

        def both_worked():
            counts = [router.log_text().count("method=POST path=/v1/chat/completions") for router in (first, second)]
            self.assertGreater(min(counts), 20, counts)
            return sum(counts) >= clients.done
        wait_until(both_worked, 10, "a good part of the requests at each")

    def test_p10_row_16_an_upgrade_under_load_costs_no_request_and_no_stream(self):
        sims = self.start_sims(3, *FAST)
        old = self.start_router(sims)
        port = old.port
        clients = NewConnections(self, port)
        load = even_load(self, old, 100, 6, connections=32)
        for generation in range(3):
            streams = self.start_streams(port, 20, 400, sims)
            new = self.start_router(sims, args=[f"--port={port}"], name=f"router-{generation}")
            self.assertEqual(old.stop(), 0)
            self.assert_whole(streams, 20)
            old = new
        self.assert_none_failed(load)
        done, failures = clients.stop()
        self.assertEqual(failures, [])
        self.assertGreater(done, 100)


if __name__ == "__main__":
    main()
