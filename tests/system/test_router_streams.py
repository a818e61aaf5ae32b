#!/usr/bin/env python3
"""Streams through the router: clients that leave (P7), streams that are cut (P8), pieces on time (P9), silence and length."""

import json
import re
import socket
import struct
import threading
import time

from support import http_wire, strict_http
from support.case import main
from support.raw_upstream import answer_bytes, chunk, event, raw_router, raw_upstream, read_until_end, stream_head
from support.router_process import RouterTest
from support.sim_process import CHAT, chat
from support.waiting import best_of, let_time_pass, patience, percentile, wait_until

END = b"0\r\n\r\n"
TOLD_WITHIN = 0.1


def request(target="/stream", version="1.1"):
    return f"GET {target} HTTP/{version}\r\nHost: gateway\r\n\r\n".encode()


class Client:
    """A client of raw bytes that reads as far as it is told."""

    def __init__(self, test, router, data=None, receive_buffer=None):
        self.sock = socket.socket()
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(patience(10))
        self.sock.connect(("127.0.0.1", router.port))
        self.seen = b""
        test.addCleanup(self.sock.close)
        self.sock.sendall(data or request())

    def wait_for(self, wanted):
        while wanted not in self.seen:
            piece = self.sock.recv(65536)
            assert piece, f"ended before {wanted!r} came: {self.seen[-300:]!r}"
            self.seen += piece

    def leave(self, with_reset=False):
        """Returns the moment."""
        if with_reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        now = time.monotonic()
        self.sock.close()
        return now

    def rest(self):
        """Everything to the end, with what was seen before: (bytes, how it ended)."""
        data, how = read_until_end(self.sock)
        return self.seen + data, how


class Streams(RouterTest):
    def setUp(self):
        super().setUp()
        self.upstream = raw_upstream(self, self.script)

    def start(self, *args, **fields):
        self.router = raw_router(self, [self.upstream], *args, **fields)
        return self.router

    def tearDown(self):
        self.router.wait_idle()  # whatever happened, nothing is counted as in flight
        self.assertEqual(self.router.stats()["queues"]["waiting"], 0)
        super().tearDown()

    def script(self, connection, message):
        """The test speaks for the upstream; this only sees when the router hangs up."""
        if message.target == b"/plain":
            connection.send(answer_bytes(b"plain"))
            return True
        connection.wait_end()
        return False

    def stream(self, version="1.1", first=b"one"):
        """A stream that has begun: the client, and the upstream's connection."""
        count = len(self.upstream.connections)
        client = Client(self, self.router, request(version=version))
        connection = self.upstream.wait_connection(count)
        connection.send(stream_head() + event(first.decode()))
        client.wait_for(first)
        return client, connection

    # -- P7: clients that leave ----------------------------------------------------------------------------------------
    def test_p7_a_client_that_leaves_a_stream_ends_it_at_the_upstream_within_100_ms(self):
        self.start()
        for with_reset in (False, True):
            def told(with_reset=with_reset):
                client, connection = self.stream()
                return connection_ended(connection, client.leave(with_reset))
            self.assertLessEqual(best_of(5, TOLD_WITHIN, told), TOLD_WITHIN)
            self.router.wait_idle()

    def test_p7_a_client_that_leaves_before_the_first_byte_ends_the_upstream_within_100_ms(self):
        self.start()
        for target, body in (("GET", b""), ("POST", b"Content-Length: 3\r\n\r\nabc")):
            def told(target=target, body=body):
                count = len(self.upstream.connections)
                client = Client(self, self.router, target.encode() + b" /wait HTTP/1.1\r\nHost: g\r\n" + (body or b"\r\n"))
                connection = self.upstream.wait_connection(count)
                return connection_ended(connection, client.leave())
            self.assertLessEqual(best_of(5, TOLD_WITHIN, told), TOLD_WITHIN)
        self.assertEqual(self.router.totals()["retries"], 0)

    def test_p7_a_client_that_reads_nothing_and_leaves_ends_the_upstream_within_100_ms(self):
        self.start()

        def told():
            count = len(self.upstream.connections)
            client = Client(self, self.router, receive_buffer=4096)
            connection = self.upstream.wait_connection(count)
            threading.Thread(target=connection.send, args=(stream_head() + chunk(b"x" * 40_000_000),), daemon=True).start()
            wait_until(lambda: connection.sent > 1_000_000, 10, "a full pipe")
            return connection_ended(connection, client.leave(with_reset=True), also_sending=True)
        self.assertLessEqual(best_of(3, TOLD_WITHIN, told), TOLD_WITHIN)

    def test_p7_a_client_that_leaves_the_queue_is_forgotten_at_once(self):
        self.start("--max-concurrency", "1", "--queue-size", "10")
        first, connection = self.stream()
        waiting = [Client(self, self.router, request("/queued")) for _ in range(3)]
        wait_until(lambda: self.router.stats()["queues"]["waiting"] == 3, 10, "three in the queue")

        left = waiting[0].leave()
        wait_until(lambda: self.router.stats()["queues"]["waiting"] == 2, 10, "two in the queue", 0.001)
        self.assertLessEqual(best_of(1, TOLD_WITHIN, lambda: time.monotonic() - left), TOLD_WITHIN)
        for client in waiting[1:]:
            client.leave()
        wait_until(lambda: self.router.stats()["queues"]["waiting"] == 0, 10, "an empty queue")
        connection.send(END)
        first.wait_for(END)
        self.assertEqual(self.router.call("GET", "/plain").body, b"plain")
        self.assertEqual(self.upstream.targets, ["/stream", "/plain"])

    def test_p7_clients_that_leave_are_not_the_instances_fault(self):
        """Fault 3 of the original: a client's hang-up took the instance out."""
        self.start(max_fails=1)
        for _ in range(20):
            client, connection = self.stream()
            client.leave(with_reset=True)
            connection.wait_closed()
        self.assertEqual(self.router.call("GET", "/plain").status, 200)
        self.assertEqual(self.router.totals()["retries"], 0)

    # -- P8: streams that are cut --------------------------------------------------------------------------------------
    def assert_error_event(self, payload, code):
        """The last event is OpenAI's error object; nothing says [DONE]."""
        self.assertNotIn(b"[DONE]", payload)
        self.assertTrue(payload.endswith(b"\n\n"), payload)
        last = payload.rstrip(b"\n").rsplit(b"\n\n", 1)[-1].strip(b"\n").split(b"\n")
        self.assertEqual(last[0], b"event: error", payload[-300:])
        self.assertTrue(last[1].startswith(b"data: "), payload[-300:])
        error = json.loads(last[1][6:])["error"]
        self.assertEqual((sorted(error), error["code"], error["type"]),
                         (["code", "message", "param", "type"], code, "server_error"))

    def assert_cut_stream(self, data, how, code="upstream_cut"):
        """Chunks that are whole, the error event as the last of them, and then no final chunk."""
        self.assertEqual(how, "closed")
        self.assertRaises(strict_http.Incomplete, strict_http.read_answer, data, ended=True)
        answer = strict_http.read_answer(data + END)  # which is all that is missing
        self.assertEqual(answer.end, len(data + END))
        self.assert_error_event(answer.body, code)

    def test_p8_a_cut_stream_is_visible_12_of_12(self):
        self.start()
        cuts = (b"", event("two"), event("two") + b"5\r\nda", b"20\r\ndata: half of an ev", chunk(b"data: half"),
                chunk(b"data: two\n"))
        seen = 0
        for cut in cuts:
            for end in ("close", "reset"):
                with self.subTest(cut=cut, end=end):
                    client, connection = self.stream()
                    connection.send(cut)
                    if b"half" in cut or b"two" in cut:
                        client.wait_for(b"half" if b"half" in cut else b"two")
                    getattr(connection, end)()
                    self.assert_cut_stream(*client.rest())
                    seen += 1
        self.assertEqual(seen, 12)

    def test_p8_a_cut_stream_is_visible_to_http_1_0_clients(self):
        """The end of the connection would be the end of the answer: it is reset, behind the error event."""
        self.start()
        for end in ("close", "reset"):
            client, connection = self.stream(version="1.0")
            getattr(connection, end)()
            data, how = client.rest()
            self.assertEqual(how, "reset")
            head, _, payload = data.partition(b"\r\n\r\n")
            self.assertNotIn(b"transfer-encoding", head.lower())
            self.assertTrue(payload.startswith(b"data: one\n\n"), payload)
            self.assert_error_event(payload, "upstream_cut")

    def test_p8_a_whole_stream_for_an_http_1_0_client_ends_in_order(self):
        self.start()
        client, connection = self.stream(version="1.0")
        connection.send(event("two") + event("[DONE]") + END)
        data, how = client.rest()
        self.assertEqual((how, data.partition(b"\r\n\r\n")[2]), ("closed", b"data: one\n\ndata: two\n\ndata: [DONE]\n\n"))
        self.assertIsNone(re.search(rb"(?i)\r\n(transfer-encoding|content-length):", data))

    def test_p8_a_cut_answer_that_is_no_event_stream_just_ends_early(self):
        self.start()
        for head in (b"Content-Length: 100\r\n\r\n[1, 2", b"Transfer-Encoding: chunked\r\n\r\n6\r\n[1, 2,\r\n"):
            for end in ("close", "reset"):
                count = len(self.upstream.connections)
                client = Client(self, self.router)
                connection = self.upstream.wait_connection(count)
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + head)
                client.wait_for(b"[1, 2")
                getattr(connection, end)()
                data, _ = client.rest()
                self.assertRaises(strict_http.Incomplete, strict_http.read_answer, data, ended=True)
                self.assertNotIn(b"error", data)

    def test_p8_engines_that_are_killed_in_the_middle_of_12_streams(self):
        sim = self.start_sim("--decode-us", "10000", "--max-batch", "16", "--tokens", "100000", "--max-cache-len", "1000000")
        self.router = self.start_router([sim], args=["--learn-models=false"])
        body = http_wire.request_bytes("POST", CHAT, json=chat(stream=True))
        clients = [Client(self, self.router, body) for _ in range(12)]
        for client in clients:
            client.wait_for(b"data: ")
        sim.kill()
        for client in clients:
            self.assert_cut_stream(*client.rest())

    # -- P9: pieces on time --------------------------------------------------------------------------------------------
    def test_p9_every_piece_is_passed_on_before_the_next_one_is_made(self):
        """The upstream waits for the client to have each piece: nothing may be held back to be sent with more."""
        self.start()
        client, connection = self.stream()
        for number in range(300):
            connection.send(event(f"piece-{number:04d}"))
            client.wait_for(b"piece-%04d" % number)
            client.seen = b""
        for byte in chunk(b"data: byte by byte\n\n"):
            connection.send(bytes([byte]))
        client.wait_for(b"byte by byte")
        connection.send(END)
        client.wait_for(END)

    def test_p9_the_lag_of_a_piece_is_2_ms_at_most(self):
        sim = self.start_sim("--decode-us", "20000", "--max-batch", "64", "--tokens", "40", "--stamp", "--pace", "each")
        self.router = self.start_router([sim], args=["--learn-models=false"])

        def added():
            return percentile(lags(self.router.port), 0.99) - percentile(lags(sim.port), 0.99)
        self.assertLessEqual(best_of(4, 0.002, added), 0.002)

    # -- silence and length --------------------------------------------------------------------------------------------
    def test_a_stream_that_makes_progress_outlives_proxy_timeout(self):
        self.start("--proxy-timeout", "1s")
        client, connection = self.stream()
        begun = time.monotonic()
        while time.monotonic() - begun < 3:
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
        self.assertTrue(0.6 <= time.monotonic() - begun <= patience(2), time.monotonic() - begun)
        connection.wait_closed()

    def test_silence_before_the_first_byte_is_504(self):
        self.start("--proxy-timeout", "500ms")
        answer = self.router.call("GET", "/wait")
        self.assert_openai_error(answer, 504, "upstream_timeout")
        self.upstream.connections[0].wait_closed()

    def test_proxy_total_timeout_bounds_a_stream_that_makes_progress(self):
        self.start("--proxy-total-timeout", "1s")
        client, connection = self.stream()
        begun = time.monotonic()
        while connection.ended_at is None and time.monotonic() - begun < patience(5):
            connection.send(event("more"))
            let_time_pass(0.05)
        self.assert_cut_stream(*client.rest(), code="total_timeout")
        self.assertTrue(0.5 <= connection.wait_closed() - begun <= patience(2))
        self.assert_openai_error(self.router.call("GET", "/wait"), 504, "total_timeout")

    def test_proxy_total_timeout_is_for_a_request_and_not_for_its_connection(self):
        self.start("--proxy-total-timeout", "1s")
        with self.router.connection() as connection:
            for _ in range(4):
                self.assertEqual(connection.request("GET", "/plain").body, b"plain")
                let_time_pass(0.4)  # 1.6 s on one connection


def connection_ended(connection, left, also_sending=False):
    """Seconds from `left` until the upstream was told."""
    if also_sending:  # its reader sees the end when the unsent bytes are out of the way
        wait_until(lambda: connection.ended_at is not None, 10, "the end of the upstream connection", 0.001)
    return connection.wait_closed() - left


def lags(port, streams=25):
    """Of every event of so many streams: seconds from the engine's stamp to its reader here."""
    found = []
    body = http_wire.request_bytes("POST", CHAT, json=chat(stream=True), headers=[("Connection", "close")])

    def read():
        with socket.create_connection(("127.0.0.1", port), timeout=patience(20)) as sock:
            sock.sendall(body)
            while piece := sock.recv(65536):
                now = time.monotonic_ns()
                found.extend((now - int(stamp)) / 1e9 for stamp in re.findall(rb'"t":(\d+)', piece))
    threads = [threading.Thread(target=read) for _ in range(streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) >= streams * 40, len(found)
    return found


if __name__ == "__main__":
    main()
