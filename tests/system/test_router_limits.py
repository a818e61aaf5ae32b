#!/usr/bin/env python3
"""P14: the limits of the router, each at the limit and one beyond it."""

import json
import time

from support import strict_http
from support.case import main
from support.raw_upstream import read_until_end
from support.router_limits import KIB, MIB, REQUEST, LimitTest
from support.router_process import run_router
from support.waiting import let_time_pass, patience, wait_until


class Limits(LimitTest):
    def test_p14_target_of_8_kib(self):
        self.start()
        self.assert_limit(*(b"GET /" + b"t" * (size - 1) + b" HTTP/1.1\r\nHost: g\r\n\r\n" for size in (8192, 8193)),
                          414)

    def test_p14_field_of_8_kib(self):
        self.start()
        self.assert_limit(*(REQUEST + b"X-Abc: " + b"v" * (size - 5) + b"\r\n\r\n" for size in (8192, 8193)), 431)
        self.assert_limit(*(REQUEST + b"X" * (size - 1) + b": v\r\n\r\n" for size in (8192, 8193)), 431)

    def test_p14_100_fields(self):
        self.start()
        self.assert_limit(*(REQUEST + b"X: 1\r\n" * (count - 1) + b"\r\n" for count in (100, 101)), 431)

    def test_p14_fields_of_32_kib_in_all(self):
        """max_header_bytes is the head as a whole, with its line and separators."""
        self.start()
        for size, status in ((32 * KIB, 200), (32 * KIB + 1, 431)):
            filler = size - len(REQUEST) - 2
            lines = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 4000) for n in range(filler // 4007))
            head = REQUEST + lines + b"X: " + b"v" * (filler - len(lines) - 5) + b"\r\n\r\n"
            self.assertEqual(len(head), size)
            self.assertEqual(self.status_of(head), status)
        self.assertEqual(len(self.upstream.requests), 1)

    def test_p14_chunk_extensions_of_4_kib_in_all(self):
        self.start()
        head = REQUEST.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\n"
        for pieces in (1, 8):
            def body(size, pieces=pieces):
                each = b"1;" + b"e" * (4096 // pieces - 1) + b"\r\nx\r\n"
                return head + each * (pieces - 1) + each.replace(b";", b";" + b"e" * (size - 4096)) + b"0\r\n\r\n"
            self.assert_limit(body(4096), body(4097), 400)

    def test_p14_trailers_of_8_kib(self):
        self.start()
        head = REQUEST.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
        self.assert_limit(*(head + b"X-A: " + b"t" * (size - 5) + b"\r\n\r\n" for size in (8192, 8193)), 400)
        self.assert_limit(head + b"X: 1\r\n" * 1000 + b"\r\n", head + b"X: 1\r\n" * 2000 + b"\r\n", 400)

    def test_p14_body_of_max_body_bytes(self):
        self.start("--max-body-bytes", "100000")
        for size, status in ((100_000, 200), (100_001, 413)):
            body = b"b" * size
            post = REQUEST.replace(b"GET", b"POST")
            self.assertEqual(self.status_of(post + b"Content-Length: %d\r\n\r\n" % size + body), status)
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:60_000], body[60_000:]))
            self.assertEqual(self.status_of(post + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"),
                             status)
        self.assertEqual([len(message.body) for message in self.upstream.requests], [100_000, 100_000])

    def test_p14_a_body_beyond_the_limit_is_413_before_it_is_sent(self):
        self.start()
        sock = self.connect(REQUEST.replace(b"GET",
                                            b"POST") + b"Expect: 100-continue\r\nContent-Length: 67108865\r\n\r\n")
        data, how = read_until_end(sock)
        answer, = strict_http.read_answers(data, ended=True)
        self.assertEqual((answer.status, how), (413, "closed"))
        self.assertNotIn(b"100 Continue", data)

    def test_p14_a_head_must_be_there_within_header_timeout(self):
        self.start("--header-timeout", "500ms")
        for way in ("silence", "drip"):
            with self.subTest(way):
                begun = time.monotonic()
                sock = self.connect(REQUEST)
                if way == "drip":
                    while time.monotonic() - begun < 0.8:  # it helps nothing
                        try:
                            sock.send(b"X")
                        except OSError:
                            break
                        let_time_pass(0.02)
                data, how = read_until_end(sock)
                self.assertEqual(strict_http.read_answers(data, ended=True)[0].status, 408)
                self.assertIn(how, ("closed", "reset"))
                self.assertLess(time.monotonic() - begun, patience(4))

    def test_p14_default_times(self):
        """10 s for a head, 60 to 75 s for an idle connection."""
        shown = json.loads(run_router("--print-config", folder=self.folder).stdout)["router"]
        self.assertEqual((shown["header_timeout"], shown["max_header_bytes"], shown["max_body_bytes"]), (10, 32 * KIB,
                                                                                                     64 * MIB))
        self.assertTrue(60 <= shown["idle_timeout"] <= 75)

    def test_p14_an_idle_connection_is_closed(self):
        self.start("--idle-timeout", "1s")
        with self.router.connection() as connection:
            begun = time.monotonic()
            connection.send(REQUEST + b"\r\n")
            self.assertEqual(connection.read_response().status, 200)
            self.assertTrue(connection.is_closed_by_peer())
            self.assertTrue(1 <= time.monotonic() - begun <= patience(3))

    def test_health_interval_zero_means_one_probe_when_an_instance_is_found_and_none_after(self):
        self.start("--health-interval", "0")
        wait_until(lambda: self.upstream.probes, 10, "the first probe")
        let_time_pass(1)
        self.assertEqual(self.upstream.probes, 1)
        self.assert_serves()


if __name__ == "__main__":
    main()
