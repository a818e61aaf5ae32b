#!/usr/bin/env python3
"""How long a stream may be silent and how long it may last: proxy_timeout, proxy_total_timeout."""

import time

from support.case import main
from support.raw_upstream import event
from support.router_streams import END, StreamTest
from support.waiting import let_time_pass, patience


class StreamTimes(StreamTest):
    def test_a_stream_that_makes_progress_outlives_proxy_timeout(self):
        self.start("--proxy-timeout", "3s")
        client, connection = self.stream()
        begun = time.monotonic()
        while time.monotonic() - begun < 5:
            connection.send(event("more"))
            let_time_pass(0.25)
        connection.send(event("[DONE]") + END)
        client.wait_for(END)
        self.assertIn(b"[DONE]", client.seen)

    def test_silence_beyond_proxy_timeout_cuts_a_stream_visibly(self):
        self.start("--proxy-timeout", "700ms")
        client, connection = self.stream()
        begun = time.monotonic()
        self.assert_cut_stream(*client.rest(), code="upstream_timeout")
        self.assertTrue(0.6 <= time.monotonic() - begun <= patience(4), time.monotonic() - begun)
        connection.wait_closed()

    def test_silence_before_the_first_byte_is_504(self):
        self.start("--proxy-timeout", "500ms")
        answer = self.router.call("GET", "/wait")
        self.assert_openai_error(answer, 504, "upstream_timeout")
        self.upstream.connections[0].wait_closed()

    def test_p5_the_limit_of_the_first_byte_is_one_of_its_own(self):
        self.start("--proxy-first-byte-timeout", "1s", "--proxy-timeout", "60s")
        self.assert_openai_error(self.router.call("GET", "/wait"), 504, "upstream_timeout")
        self.upstream.connections[0].wait_closed()
        client, connection = self.stream()
        let_time_pass(1.6)  # between two pieces it may be silent for longer
        connection.send(event("[DONE]") + END)
        client.wait_for(END)

    def test_proxy_total_timeout_bounds_a_stream_that_makes_progress(self):
        self.start("--proxy-total-timeout", "2s", "--proxy-connect-timeout", "1s")
        begun = time.monotonic()
        client, connection = self.stream()
        while connection.ended_at is None and time.monotonic() - begun < patience(5):
            connection.send(event("more"))
            let_time_pass(0.05)
        self.assert_cut_stream(*client.rest(), code="total_timeout")
        self.assertTrue(1.95 <= connection.wait_closed() - begun <= patience(5))
        self.assert_openai_error(self.router.call("GET", "/wait"), 504, "total_timeout")

    def test_proxy_total_timeout_is_for_a_request_and_not_for_its_connection(self):
        self.start("--proxy-total-timeout", "1s", "--proxy-connect-timeout", "1s")
        with self.router.connection() as connection:
            for _ in range(4):
                self.assertEqual(connection.request("GET", "/plain").body, b"plain")
                let_time_pass(0.4)  # 1.6 s on one connection


if __name__ == "__main__":
    main()
