#!/usr/bin/env python3
"""Malformed and odd requests at the router: nothing malformed is forwarded, and nobody gets another client's answer.

Behind the router is an upstream that keeps the exact bytes and reads them with a strict parser
(support/strict_http.py). The forms are in support/router_bad_requests.py.
"""

import socket

from support import http_wire, strict_http
from support.case import main
from support.raw_upstream import exchange, raw_router, raw_upstream, read_until_end
from support.router_bad_requests import EITHER, HOSTS, MUST_ACCEPT, MUST_REFUSE
from support.router_process import RouterTest
from support.waiting import patience

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: gateway\r\nX-Test: smuggled\r\n\r\n"


def good(name):
    return b"GET /good HTTP/1.1\r\nHost: gateway\r\nX-Test: %s\r\n\r\n" % name.encode()


class Requests(RouterTest):
    def setUp(self):
        super().setUp()
        self.upstream = raw_upstream(self)
        self.router = raw_router(self, [self.upstream])
        self.victim = self.router.connection()
        self.addCleanup(self.victim.close)
        self.victims = 0

    def tearDown(self):
        self.assertTrue(self.router.alive, self.router.tail())
        self.assertEqual(self.upstream.problems, [], "malformed bytes were forwarded")
        super().tearDown()

    def assert_victim_is_well(self):
        """Another client, which shares the connections to the upstream, gets its own answer."""
        self.victims += 1
        name = f"victim-{self.victims}"
        self.victim.send(good(name))
        answer = self.victim.read_response()
        self.assertEqual((answer.status, answer.json()["target"], answer.json()["test"]), (200, "/good", name), answer)

    def assert_refused(self, data, end, others=0):
        """One refusal (after `others` good answers), well-formed, and the end of the connection."""
        self.assertEqual(end, "closed", f"the connection was not closed in order: {data[:300]!r}")
        answers = strict_http.read_answers(data, ended=True)
        self.assertEqual(len(answers), others + 1, data[:500])
        self.assertEqual([answer.status for answer in answers[:-1]], [200] * others)
        refusal = answers[-1]
        self.assertTrue(400 <= refusal.status < 500 or refusal.status == 505, data[:300])
        self.assertTrue(refusal.closes, data[:300])
        self.assertFalse(refusal.until_close)
        return refusal

    def assert_only_good_arrived(self):
        self.assertEqual(set(self.upstream.targets) - {"/good"}, set())

    def test_every_malformed_request_is_refused_and_nothing_of_it_is_forwarded(self):
        self.assertGreaterEqual(len({title for title, _ in MUST_REFUSE}), 178)
        for title, data in MUST_REFUSE:
            with self.subTest(title):
                before = self.upstream.received()
                refusal = self.assert_refused(*exchange(self.router.port, data))
                self.assertEqual(self.upstream.received(), before, "bytes of it reached the upstream")
                if title.startswith("version"):
                    self.assertIn(refusal.status, (400, 505))
                self.assert_victim_is_well()
        self.assert_only_good_arrived()

    def test_a_malformed_request_that_comes_byte_by_byte_is_refused_the_same(self):
        for title, data in MUST_REFUSE:
            if len(data) > 250:
                continue
            with self.subTest(title):
                self.assert_refused(*exchange(self.router.port, data, byte_by_byte=True))
                self.assert_victim_is_well()
        self.assert_only_good_arrived()

    def test_what_follows_a_malformed_request_is_never_read_as_a_request(self):
        for title, data in MUST_REFUSE:
            with self.subTest(title):
                self.assert_refused(*exchange(self.router.port, data + SMUGGLED))
                self.assertNotIn("/smuggled", self.upstream.targets)
                self.assert_victim_is_well()
        self.assert_only_good_arrived()

    def test_a_malformed_request_behind_a_good_one_in_a_pipeline_is_refused_after_the_good_answer(self):
        for title, data in MUST_REFUSE:
            with self.subTest(title):
                refusal = self.assert_refused(*exchange(self.router.port, good("first") + data + SMUGGLED), others=1)
                self.assertNotEqual(refusal.status, 200)
                self.assertNotIn("/smuggled", self.upstream.targets)
        self.assert_victim_is_well()
        self.assert_only_good_arrived()

    def test_the_twelve_forms_of_a_bad_host_are_400(self):
        """No Host, two, an invalid one: an engine's key check may be bypassed through it (CVE-2026-48746, -48710)."""
        for title, data in HOSTS[:12]:
            with self.subTest(title):
                self.assertEqual(self.assert_refused(*exchange(self.router.port, data)).status, 400)
        self.assertEqual(self.upstream.received(), 0)

    def test_valid_but_unusual_requests_are_forwarded_well_formed(self):
        self.assertGreaterEqual(len(MUST_ACCEPT), 20)
        for title, data, target, size in MUST_ACCEPT:
            for way in ("whole", "byte by byte"):
                with self.subTest(title, way=way):
                    self.check_accepted(data, target, size, way == "byte by byte" and len(data) < 500)

    def check_accepted(self, data, target, size, byte_by_byte):
        count = len(self.upstream.requests)
        with self.router.connection(patience(10)) as connection:
            for piece in ([data[n:n + 1] for n in range(len(data))] if byte_by_byte else [data]):
                connection.send(piece)
            answer = connection.read_response()
        self.assertEqual((answer.status, answer.json()["target"], answer.json()["bytes"]), (200, target, size), answer)
        self.assertEqual(len(self.upstream.requests), count + 1)

    def test_odd_requests_are_refused_or_repaired(self):
        for title, data in EITHER:
            with self.subTest(title):
                last = good("behind").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
                read, _ = exchange(self.router.port, data + last)
                for answer in strict_http.read_answers(read, ended=True):
                    self.assertIn(answer.status, (200, 400, 426, 505), read[:300])
                self.assert_victim_is_well()
        for request in self.upstream.requests:
            names = {name.lower() for name, _ in request.fields}
            for name in (b"connection", b"upgrade", b"http2-settings", b"te", b"keep-alive", b"proxy-connection",
                         b"transfer-encoding", b"trailer", b"expect"):
                self.assertNotIn(name, names, request.fields)
            self.assertEqual(request.value(b"host").decode(), f"127.0.0.1:{self.upstream.port}")

    def test_pipelined_requests_are_answered_in_order(self):
        count = 100
        with self.router.connection(patience(20)) as connection:
            connection.send(b"".join(
                good(f"n-{n}") if n % 2 else
                b"POST /good HTTP/1.1\r\nHost: g\r\nX-Test: n-%d\r\nContent-Length: 3\r\n\r\nabc" % n
                for n in range(count)))
            got = [connection.read_response().json() for _ in range(count)]
        self.assertEqual([answer["test"] for answer in got], [f"n-{n}" for n in range(count)])
        self.assertEqual([answer["bytes"] for answer in got], [0 if n % 2 else 3 for n in range(count)])

    def test_desync_a_body_that_looks_like_a_request_stays_a_body(self):
        """CL and TE in all well-formed ways, with a request as content: the upstream sees one request and its body."""
        forms = {
            "Content-Length": b"Content-Length: %d\r\n\r\n%s" % (len(SMUGGLED), SMUGGLED),
            "one chunk": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
            "chunks of one byte": b"Transfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n" % b"".join(
                b"1\r\n%c\r\n" % byte for byte in SMUGGLED),
            "zero first": b"Transfer-Encoding: chunked\r\n\r\n000%x\r\n%s\r\n00000\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
            "trailers like a head": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nHost: evil\r\n"
                                    b"Content-Length: 99\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
        }
        for title, rest in forms.items():
            with self.subTest(title), self.router.connection() as connection:
                connection.send(b"POST /good HTTP/1.1\r\nHost: gateway\r\nX-Test: a\r\n" + rest + good("b"))
                first, second = (connection.read_response().json() for _ in range(2))
                self.assertEqual((first["test"], first["bytes"], second["test"]), ("a", len(SMUGGLED), "b"))
                self.assert_victim_is_well()
        self.assertEqual(set(self.upstream.targets), {"/good"})

    def test_desync_a_refused_body_is_not_read_as_a_request(self):
        """An answer before the body was read (413, 401, 404 of a model): what is unread must not become a request."""
        router = raw_router(self, [self.upstream], "--max-body-bytes", "1024", name="small")
        big = SMUGGLED + b"x" * 2000
        for title, rest in {
            "Content-Length": b"Content-Length: %d\r\n\r\n%s" % (len(big), big),
            "chunked": b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(big), big),
            "many chunks": b"Transfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n" % (b"40\r\n%s\r\n" % (b"x" * 64) * 17),
        }.items():
            with self.subTest(title):
                data, end = exchange(router.port, b"POST /big HTTP/1.1\r\nHost: gateway\r\n" + rest + SMUGGLED)
                self.assertEqual(self.assert_refused(data, end).status, 413)
        self.assertEqual(self.upstream.targets, [])

    def test_desync_the_routers_own_pages_swallow_bodies_too(self):
        """GET /health with a body: the body is not the next request on the connection."""
        for rest in (b"Content-Length: %d\r\n\r\n%s" % (len(SMUGGLED), SMUGGLED),
                     b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)):
            with self.subTest(rest[:20]):
                data, _ = exchange(self.router.port, b"GET /health HTTP/1.1\r\nHost: gateway\r\n" + rest +
                                   b"GET /good HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")
                self.assertLessEqual(len(strict_http.read_answers(data, ended=True)), 2)
                self.assertNotIn("/smuggled", self.upstream.targets)

    def test_a_request_whose_client_leaves_in_the_middle_is_not_forwarded(self):
        for data in (b"POST /cut HTTP/1.1\r\nHost: gateway\r\nContent-Length: 50\r\n\r\nhalf",
                     b"POST /cut HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
                     b"POST /cut HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
                     b"GET /cut HTTP/1.1\r\nHost: gateway\r\n"):
            with socket.create_connection(("127.0.0.1", self.router.port)) as sock:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                read_until_end(sock)
            self.assert_victim_is_well()
        self.assert_only_good_arrived()

    def test_what_arrives_is_what_was_sent(self):
        """Bodies are never altered, whichever bytes they are, and fields keep order and duplicates."""
        body = bytes(range(256)) * 40
        fields = [("X-One", "1"), ("Cookie", "a=b"), ("X-Two", "\xe4\xff"), ("X-One", "2"), ("Accept", "*/*")]
        with self.router.connection() as connection:
            connection.send(http_wire.request_bytes("POST", "/a/../b?c=%20&d", body=body, headers=fields))
            self.assertEqual(connection.read_response().status, 200)
        request = self.upstream.requests[-1]
        self.assertEqual((request.method, request.target, request.body), (b"POST", b"/a/../b?c=%20&d", body))
        kept = [(name, value) for name, value in request.fields if name in (b"X-One", b"Cookie", b"X-Two", b"Accept")]
        self.assertEqual(kept, [(name.encode(), value.encode("latin-1")) for name, value in fields])


if __name__ == "__main__":
    main()
