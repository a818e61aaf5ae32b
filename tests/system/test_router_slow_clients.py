#!/usr/bin/env python3
"""Slow clients by the thousand, readers that do not read (P6), idle connections: what they cost; nobody else waits."""

import resource
import threading
import time

from support import http_wire, strict_http
from support.case import main
from support.raw_upstream import answer_bytes, echo, exchange, raw_upstream, read_until_end
from support.router_limits import KIB, MIB, REQUEST, LimitTest
from support.usage import cpu_seconds, rss
from support.waiting import best_of, let_time_pass, percentile, wait_until


class SlowClients(LimitTest):
    # -- slow clients --------------------------------------------------------------------------------------------------
    def test_1000_slow_heads_cost_little_and_hold_nobody_up(self):
        self.start("--header-timeout", "5s")
        self.assert_serves()
        before = rss(self.router.pid)
        slow = self.connect_many(1000, REQUEST + b"X-Slow: " + b"x" * 1000)
        self.assert_grew_at_most(before, 16 * MIB)

        def others():
            times = []
            for _ in range(50):
                begun = time.monotonic()
                self.assert_serves()
                times.append(time.monotonic() - begun)
            return percentile(times, 0.99)
        self.assertLessEqual(best_of(12, 0.02, others), 0.02)
        for sock in slow:
            data, _ = read_until_end(sock)
            self.assertEqual(strict_http.read_answers(data, ended=True)[0].status, 408)
        self.assert_serves()

    def test_slow_bodies_cost_what_they_sent_and_end_in_408(self):
        """500 clients announce 64 MiB each and send 1 byte: memory is for bytes that came, not for promises."""
        self.start("--body-timeout", "6s")
        self.assert_serves()
        before = rss(self.router.pid)
        slow = self.connect_many(500, REQUEST.replace(b"GET", b"POST") + b"Content-Length: 67108864\r\n\r\nx")
        wait_until(lambda: self.router.totals()["requests_active"] >= 500, 10, "500 open requests")
        self.assert_grew_at_most(before, 16 * MIB)
        self.assert_serves()
        for sock in slow:
            data, _ = read_until_end(sock)
            self.assertEqual(strict_http.read_answers(data, ended=True)[0].status, 408)
        self.assertEqual(set(self.upstream.targets), {"/x"})
        self.router.wait_idle()

    def test_bodies_in_memory_are_bounded_all_together(self):
        self.start("--max-buffered-bytes", "8000000", "--max-body-bytes", "8000000")
        post = REQUEST.replace(b"GET", b"POST") + b"Content-Length: 4000000\r\n\r\n"
        first = self.connect(post + b"x" * 3_900_000)
        second = self.connect(post + b"x" * 3_900_000)
        wait_until(lambda: self.router.metric("infinilm_router_buffered_bytes") >= 7_750_000, 10, "two uploads")
        data, _ = exchange(self.router.port, post + b"x" * 4_000_000)
        answer, = strict_http.read_answers(data, ended=True)
        self.assertEqual((answer.status, answer.value(b"retry-after") != b""), (503, True))
        for sock in (first, second):
            sock.sendall(b"x" * 100_000)
            self.assertTrue(sock.recv(1000).startswith(b"HTTP/1.1 200"))

    # -- P6: slow readers ----------------------------------------------------------------------------------------------
    def test_p6_20_slow_readers_of_40_mb_pause_the_upstream_and_cost_little(self):
        size, streams = 40_000_000, 20
        answer = answer_bytes(b"a" * size)
        self.upstream.script = lambda connection, _: connection.send(answer)
        self.start()
        self.assertEqual(http_wire.raw_exchange(self.router.port, REQUEST + b"\r\n").status, 200)
        before = rss(self.router.pid)
        count = len(self.upstream.connections)
        slow = [self.connect(REQUEST + b"\r\n", receive_buffer=65536) for _ in range(streams)]

        def sent():
            return sum(connection.sent for connection in self.upstream.connections[count:])
        wait_until(lambda: len(self.upstream.connections) >= count + streams - 1, 10, "all streams at the upstream")
        last = -1
        while sent() != last:  # until it stands still
            last = sent()
            let_time_pass(0.4)
        self.assertLess(last, streams * size / 2, "the upstream was not paused")
        self.assert_grew_at_most(before, 5 * MIB)  # 256 KiB a stream

        for sock in slow[:2]:  # and then they get it all
            head, got = sock.recv(4096).split(b"\r\n\r\n", 1)
            self.assertIn(b"Content-Length: %d" % size, head)
            left = size - len(got)
            buffer = bytearray(MIB)
            while left:
                part = sock.recv_into(buffer)
                self.assertTrue(part)
                left -= part
        self.assert_grew_at_most(before, 5 * MIB)
        for sock in slow:
            sock.close()
        self.router.wait_idle()

    def test_a_client_that_takes_nothing_is_cut_after_write_timeout(self):
        self.upstream.script = lambda connection, _: (connection.send(answer_bytes(b"a" * 40_000_000)),
                                                      connection.wait_end()) and False
        self.start("--write-timeout", "1s")
        self.connect(REQUEST + b"\r\n", receive_buffer=65536)
        self.upstream.wait_connection().wait_closed(timeout=10)
        self.router.wait_idle()

    # -- connections ---------------------------------------------------------------------------------------------------
    def test_3000_idle_connections_cost_little_whatever_they_asked(self):
        self.start()
        self.assert_serves()
        for request in REQUEST + b"\r\n", REQUEST + b"X-Long: " + b"x" * 6000 + b"\r\n\r\n":
            before = rss(self.router.pid)
            for _ in range(150):  # a few at a time: what they held at the same time is not the question
                for sock in self.connect_many(20, request):
                    self.assertTrue(sock.recv(4096).startswith(b"HTTP/1.1 200"))
            self.router.wait_idle()
            self.assert_grew_at_most(before, 3000 * KIB)
        used = cpu_seconds(self.router.pid)
        let_time_pass(1)
        self.assertLess(cpu_seconds(self.router.pid) - used, 0.1, "seconds of CPU in a second of nothing")
        self.assert_serves()

    def start_with_files(self, files, static, **config):
        config = {"threads": 1, "learn_models": False, **config}
        self.router = self.start_router(static, config=config,
                                        preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)))

    def test_idle_clients_do_not_take_the_descriptors_that_instances_need(self):
        self.start_with_files(200, [self.upstream], health_interval="100ms")
        self.router.wait_state("instance-0", "up")
        for _ in range(300):  # more than there are descriptors: the rest is told so
            self.connect(b"")
        inside = self.open[0]
        for _ in range(5):
            good = self.upstream.probes
            wait_until(lambda good=good: self.upstream.probes > good, 20, "a probe that reaches the instance")
            inside.sendall(REQUEST + b"\r\n")
            self.assertTrue(inside.recv(4096).startswith(b"HTTP/1.1 200"))
        self.assertNotIn(" is down", self.router.log_text())
        self.assertIn("the limit of open files bounds the client connections open_files=200 max_connections=75",
                      self.router.log_text())

    def test_kept_connections_make_room_for_new_ones(self):
        """40 clients speak to one instance, and then to the other: 120 connections, and no more descriptors than that."""
        upstreams = [self.upstream, raw_upstream(self)]
        self.start_with_files(120, [{"name": name, "host": "127.0.0.1", "port": upstream.port, "models": [name]}
                                    for name, upstream in zip("ab", upstreams)], health_interval="24h", hung_timeout=0)
        clients = [self.router.connection() for _ in range(40)]
        for connection in clients:
            self.addCleanup(connection.close)
        all_there = threading.Barrier(len(clients), timeout=60)  # so that none can use another's connection
        for upstream in upstreams:
            upstream.script = lambda connection, message: (all_there.wait(), echo(connection, message))
        for model in "ab":
            for connection in clients:
                connection.send(http_wire.request_bytes("POST", "/x", json={"model": model}))
            self.assertEqual([connection.read_response().status for connection in clients], [200] * len(clients))

    def test_connections_beyond_the_limits_are_refused_and_room_comes_back(self):
        for flag, status in (("--max-connections", 503), ("--max-connections-per-client", 429)):
            with self.subTest(flag):
                self.start(flag, "10", name=f"router{flag}")
                inside = [self.connect(b"") for _ in range(10)]
                wait_until(lambda: self.router.alive, 1)
                data, _ = exchange(self.router.port, REQUEST + b"\r\n")
                answer, = strict_http.read_answers(data, ended=True)
                self.assertEqual((answer.status, answer.closes), (status, True), data)
                for sock in inside:
                    sock.close()
                wait_until(lambda: self.status_of(REQUEST + b"\r\n") == 200, 10, "room")


if __name__ == "__main__":
    main()
