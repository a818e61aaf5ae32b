#!/usr/bin/env python3
"""Malformed, truncated and surprising answers of an upstream: 502 or a visible cut, never one that looks complete, and
never bytes of one answer in another.

The bytes are in support/router_bad_answers.py; what the client gets is judged by a strict parser.
"""

import pathlib
import signal
import socket
import threading

from support import http_wire, strict_http
from support.case import main
from support.raw_upstream import answer_bytes, chunk, echo, exchange, raw_router, raw_upstream, read_until_end
from support.router_bad_answers import BAD_HEADS, BROKEN_BODIES
from support.router_process import RouterTest
from support.waiting import patience, wait_until

EVIL = answer_bytes(b"evil", b"200 OK", b"X-Evil: yes")


def request(target, version="1.1", close=True, name="-"):
    end = "Connection: close\r\n" if close else ""
    return f"GET {target} HTTP/{version}\r\nHost: gateway\r\nX-Test: {name}\r\n{end}\r\n".encode()


class Answers(RouterTest):
    def setUp(self):
        super().setUp()
        self.answer = (b"", "close")
        self.go_on = threading.Event()  # for scripts that wait for the test
        self.upstream = raw_upstream(self, self.script)
        self.router = raw_router(self, [self.upstream], "--proxy-timeout", "2s")
        self.victims = 0

    def tearDown(self):
        self.go_on.set()
        self.assertTrue(self.router.alive, self.router.tail())
        super().tearDown()

    def script(self, connection, message):
        if message.target == b"/bad":
            return self.send_bad(connection)
        if message.target == b"/good":
            return echo(connection, message)
        return getattr(self, "on_" + message.target[1:].decode())(connection, message)

    def send_bad(self, connection):
        data, end = self.answer
        connection.send(data)
        if end == "open":
            connection.wait_end()
        if end == "reset":
            connection.reset()
        else:
            connection.close()
        return False

    def assert_victims_are_well(self, count=2):
        for _ in range(count):
            self.victims += 1
            name = f"victim-{self.victims}"
            answer = http_wire.raw_exchange(self.router.port, request("/good", name=name, close=False))
            self.assertIsNotNone(answer)
            self.assertEqual((answer.status, answer.json()["test"]), (200, name), answer)

    def assert_not_reused(self):
        """After a request whose answer was wrong nothing more went over its connection."""
        for connection in self.upstream.connections:
            targets = [message.target for message in connection.requests]
            self.assertNotIn(b"/bad", targets[:-1])
            self.assertIsNone(connection.malformed)

    # -- the table -----------------------------------------------------------------------------------------------------
    def test_a_bad_head_is_502_and_nothing_of_it_is_shown(self):
        self.assertGreaterEqual(len({title for title, *_ in BAD_HEADS}), 41)
        for title, data, end in BAD_HEADS:
            for version in ("1.1", "1.0"):
                with self.subTest(title, version=version):
                    self.answer = (data, end)
                    read, how = exchange(self.router.port, request("/bad", version))
                    answer, = strict_http.read_answers(read, ended=how == "closed")
                    self.assertEqual(answer.status, 502, read[:300])
                    self.assertIn(b'"type":"server_error"', answer.body)
                    self.assertNotIn(b"secret", read)
                    self.assert_victims_are_well(1)
        self.assert_not_reused()

    def test_a_broken_body_never_looks_complete(self):
        self.assertGreaterEqual(len({title for title, *_ in BROKEN_BODIES}), 41)
        for title, data, end in BROKEN_BODIES:
            with self.subTest(title):
                self.answer = (data, end)
                read, how = exchange(self.router.port, request("/bad"))
                self.assert_visibly_cut(read, how)
                self.assert_victims_are_well(1)
        self.assert_not_reused()

    def test_a_broken_body_never_looks_complete_to_an_http_1_0_client(self):
        """Where the end of the connection is the end of the body, only a reset tells."""
        for title, data, end in BROKEN_BODIES:
            with self.subTest(title):
                self.answer = (data, end)
                self.assert_visibly_cut(*exchange(self.router.port, request("/bad", "1.0")))
        self.assert_victims_are_well()

    def test_a_broken_body_after_a_pause_never_looks_complete(self):
        """The head and the first bytes are with the client before the rest comes."""
        for title, data, end in BROKEN_BODIES:
            if b"\r\n\r\n" not in data or len(data) > 1000:
                continue
            with self.subTest(title):
                self.on_late = lambda connection, _, data=data, end=end: self.send_late(connection, data, end)
                with socket.create_connection(("127.0.0.1", self.router.port), timeout=patience(10)) as sock:
                    self.go_on.clear()
                    sock.sendall(request("/late"))
                    first = sock.recv(65536)  # the head
                    self.go_on.set()
                    rest, how = read_until_end(sock)
                self.assert_visibly_cut(first + rest, how)

    def send_late(self, connection, data, end):
        head = data.index(b"\r\n\r\n") + 4
        connection.send(data[:head])
        self.go_on.wait(10)
        self.answer = (data[head:], end)
        return self.send_bad(connection)

    def assert_visibly_cut(self, read, how):
        self.assertNotEqual(how, "open", "the connection was left open")
        try:
            answers = strict_http.read_answers(read, ended=how == "closed")
        except strict_http.Incomplete:
            return
        self.assertEqual([answer.status for answer in answers], [502], f"{how}: {read[:400]!r}")

    # -- connections that must not be used again -----------------------------------------------------------------------
    def test_surplus_bytes_behind_an_answer_are_nobodys_answer(self):
        for title, data in {
            "after Content-Length": answer_bytes(b"mine") + EVIL,
            "after chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmine\r\n0\r\n\r\n" + EVIL,
            "after 204": b"HTTP/1.1 204 No Content\r\n\r\n" + EVIL,
            "after 304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n" + EVIL,
            "a body with 204": b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nmine",
            "one byte": answer_bytes(b"mine") + b"\n",
        }.items():
            with self.subTest(title):
                self.on_surplus = lambda connection, _, data=data: connection.send(data)
                read, how = exchange(self.router.port, request("/surplus"))
                answer, = strict_http.read_answers(read, ended=how == "closed")
                self.assertIn(answer.body, (b"mine", b""))
                self.assertNotIn(b"vil", read)
                self.assert_victims_are_well(3)
        for connection in self.upstream.connections:
            self.assertNotIn(b"/surplus", [message.target for message in connection.requests][:-1])

    def test_surplus_bytes_on_an_idle_connection_end_it(self):
        def later(connection, _):
            connection.send(answer_bytes(b"mine"))
            self.go_on.wait(10)
            connection.send(EVIL)
            connection.wait_end()
            return False
        self.on_later = later
        self.assertEqual(http_wire.raw_exchange(self.router.port, request("/later")).body, b"mine")
        self.go_on.set()
        self.upstream.wait_connection().wait_closed()
        self.assert_victims_are_well(3)

    def test_surplus_bytes_that_wait_in_the_socket_are_not_the_next_answer(self):
        """The router finds the next request and the surplus bytes at the same time, the request first."""
        used = []

        def later(connection, _):
            used.append((connection, connection.sent + len(answer_bytes(b"mine") + EVIL)))
            connection.send(answer_bytes(b"mine"))
            self.go_on.wait(10)
            connection.send(EVIL)
            connection.wait_end()
            return False
        self.on_later = later
        for _ in range(3):
            self.go_on.clear()
            with self.router.connection() as connection:
                connection.send(request("/later", close=False))
                self.assertEqual(connection.read_response().body, b"mine")
                self.router.signal(signal.SIGSTOP)
                wait_until(self.router_has_stopped, 10, "a router that stands still", 0.001)
                connection.send(request("/good", name="victim", close=False))
                self.go_on.set()
                bad, sent = used[-1]
                wait_until(lambda bad=bad, sent=sent: bad.sent == sent, 10, "the surplus bytes in the socket")
                self.router.signal(signal.SIGCONT)
                answer = connection.read_response()
                self.assertEqual((answer.status, answer.header("X-Evil")), (200, None), answer)
                self.assertEqual(answer.json()["test"], "victim")

    def router_has_stopped(self):
        """All its threads: a signal takes its time."""
        states = [stat.read_text().rsplit(")", 1)[1].split()[0]
                  for stat in pathlib.Path(f"/proc/{self.router.pid}/task").glob("*/stat")]
        return set(states) == {"T"}

    def test_an_answer_to_head_has_no_body_whatever_the_upstream_sends(self):
        self.on_head = lambda connection, _: connection.send(EVIL)
        data = request("/head", close=False).replace(b"GET", b"HEAD") + request("/good", name="next")
        read, how = exchange(self.router.port, data)
        head = strict_http.read_answer(read, method=b"HEAD")
        self.assertEqual((head.status, head.value(b"content-length")), (200, b"4"))
        answer = strict_http.read_answer(read, head.end, ended=how == "closed")
        self.assertIn(b'"next"', answer.body)
        self.assert_victims_are_well()

    def test_an_early_answer_to_a_large_body_arrives_and_ends_the_upstream_connection(self):
        """CVE-2025-30346, CVE-2025-4366: an answer before the body was read; what is unread is no request."""
        upstream = raw_upstream(self, receive_buffer=65536)

        def early(connection):
            connection.receive()
            connection.send(answer_bytes(b"too large", b"413 Content Too Large"))
            self.go_on.wait(20)
            connection.wait_end()
        router = raw_router(self, [upstream], name="early")
        upstream.add = lambda connection: (upstream.connections.append(connection), early(connection))
        body = (b"GET /smuggled HTTP/1.1\r\nHost: g\r\n\r\n" * 300_000)[:8_000_000]
        with router.connection(patience(20)) as connection:
            connection.send(http_wire.request_bytes("POST", "/large", body=body))
            answer = connection.read_response()
            self.assertEqual((answer.status, answer.body), (413, b"too large"))
            del upstream.add
            connection.send(request("/good", name="next", close=False))
            self.assertEqual(connection.read_response().json()["test"], "next")
        self.go_on.set()
        upstream.connections[0].wait_closed()
        self.assertEqual(upstream.targets, ["/good"])

    # -- what is odd and good ------------------------------------------------------------------------------------------
    def test_interim_answers_are_read_over(self):
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n"
        for pieces in ([interim + answer_bytes(b"mine")], [interim[:30], interim[30:], answer_bytes(b"mine")]):
            self.on_interim = lambda connection, _, pieces=pieces: [connection.send(piece) for piece in pieces] and None
            self.assertEqual(http_wire.raw_exchange(self.router.port, request("/interim")).body, b"mine")
        self.assert_victims_are_well()
        self.assertEqual(len(self.upstream.connections), 1, "the connection was good for reuse")

    def test_good_answers_in_odd_forms_pass(self):
        odd = {
            "no reason": (b"HTTP/1.1 200\r\nContent-Length: 4\r\n\r\nmine", b"mine"),
            "an empty reason": (b"HTTP/1.1 200 \r\nContent-Length: 4\r\n\r\nmine", b"mine"),
            "equal lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nmine", b"mine"),
            "extensions and trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\nTrailer: X-T\r\n\r\n"
                                        b"2;a=\"b c\"\r\nmi\r\n02\r\nne\r\n000\r\nX-T: 1\r\nContent-Length: 9\r\n\r\n",
                                        b"mine"),
            "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nmine", b"mine"),
            "until the end": (b"HTTP/1.1 200 OK\r\n\r\nmine", b"mine"),
            "high bytes": (b"HTTP/1.1 200 \xc3\xa4\r\nX-A: \xff\r\nContent-Length: 0\r\n\r\n", b""),
        }
        for title, (data, body) in odd.items():
            for pieces in ([data], [data[n:n + 1] for n in range(len(data))]):
                with self.subTest(title, pieces=len(pieces)):
                    self.on_odd = lambda connection, _, pieces=pieces: (
                        [connection.send(piece) for piece in pieces], connection.close()) and False
                    read, how = exchange(self.router.port, request("/odd"))
                    answer, = strict_http.read_answers(read, ended=how == "closed")
                    self.assertEqual((answer.status, answer.body, answer.trailers), (200, body, []), read)
        self.assert_victims_are_well()

    def test_fields_of_an_answer_are_kept_and_hop_by_hop_ones_are_not(self):
        self.on_fields = lambda connection, _: connection.send(answer_bytes(
            b"mine", b"201 Made", b"Set-Cookie: a=1", b"X-A: 1", b"Set-Cookie: b=2", b"Connection: x-gone, keep-alive",
            b"X-Gone: 1", b"Keep-Alive: timeout=5", b"Proxy-Authenticate: Basic", b"Content-Encoding: gzip"))
        answer = http_wire.raw_exchange(self.router.port, request("/fields", close=False))
        self.assertEqual((answer.status, answer.reason, answer.body), (201, "Made", b"mine"))
        kept = [pair for pair in answer.headers if pair[0] in ("Set-Cookie", "X-A", "Content-Encoding")]
        self.assertEqual(kept, [("Set-Cookie", "a=1"), ("X-A", "1"), ("Set-Cookie", "b=2"), ("Content-Encoding",
                                                                                             "gzip")])
        self.assertIsNone(answer.header("X-Gone"))
        self.assertIsNone(answer.header("Keep-Alive"))

    def test_a_good_connection_is_used_again_and_again(self):
        """The counterpart of the rest: the checks above do not pass because nothing is ever reused."""
        self.on_chunks = lambda connection, _: connection.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(b"mine") + b"0\r\n\r\n")
        for _ in range(10):
            read, _ = exchange(self.router.port, request("/chunks"))
            self.assertEqual(strict_http.read_answers(read)[0].body, b"mine")
            self.assert_victims_are_well(1)
        self.assertEqual(len(self.upstream.connections), 1)


if __name__ == "__main__":
    main()
