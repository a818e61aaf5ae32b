#!/usr/bin/env python3
"""What is not the router's own goes to an instance and comes back as it is; faults of the original are not copied."""

import gzip
import json
import threading
import time

from support import http_wire
from support.case import main
from support.raw_upstream import answer_bytes, chunk, raw_router, raw_upstream, stream_head
from support.router_process import RouterTest
from support.sim_process import CHAT, chat, words
from support.waiting import patience

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "X-OWN")
CHUNKED = [("Transfer-Encoding", "chunked")]


class Proxying(RouterTest):
    def proxied(self, script, *args, **config):
        upstream = raw_upstream(self, script)
        return raw_router(self, [upstream], *args, config=config), upstream

    def answering(self, *fields, body=b"", status=b"200 OK"):
        return self.proxied(lambda connection, _: connection.send(answer_bytes(body, status, *fields)))

    def test_any_method_path_and_query_arrive_unchanged(self):
        router, upstream = self.answering(body=b"x")
        targets = ["/v1/chat/completions", "/chat/completions", "/a%2Fb/%20/%C3%A9?q=%26&q=+&=", "/a//b/./../c;p=1?",
                   "/~user/(1)/*'!$,@:?a=/?b", "/" + "x" * 4000, "/v1/files/abc?purpose=fine-tune"]
        for method in METHODS:
            for target in targets:
                self.assertEqual(router.call(method, target, body=b"b" if method != "GET" else None).status, 200)
        seen = [(request.method.decode(), request.target.decode()) for request in upstream.requests]
        self.assertEqual(seen, [(method, target) for method in METHODS for target in targets])

    def test_fault_16_bodies_of_put_patch_and_delete_arrive(self):
        router, upstream = self.answering()
        body = bytes(range(256)) * 100
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "GET"):
            for form in ("length", "chunked"):
                with self.subTest(method, form=form), router.connection() as connection:
                    if form == "length":
                        connection.request(method, "/x", body=body)
                    else:
                        connection.send(http_wire.request_bytes(method, "/x", headers=CHUNKED))
                        connection.send(chunk(body[:7]) + chunk(body[7:]) + b"0\r\n\r\n")
                        self.assertEqual(connection.read_response().status, 200)
                    request = upstream.requests[-1]
                    self.assertEqual((request.method, request.body), (method.encode(), body))

    def test_fault_16_set_cookie_twice_stays_twice(self):
        cookies = [b"Set-Cookie: a=1; Path=/", b"X-Between: 1", b"Set-Cookie: b=2, c", b"set-cookie: a=1; Path=/"]
        router, _ = self.answering(*cookies)
        got = [(name, value) for name, value in router.call("GET", "/x").headers
               if name.lower() in ("set-cookie", "x-between")]
        self.assertEqual([f"{name}: {value}".encode() for name, value in got], cookies)

    def test_fault_16_a_gzip_body_is_not_touched(self):
        packed = gzip.compress(b'{"model": "x"}' * 100)
        router, upstream = self.answering(b"Content-Encoding: gzip", b"Content-Type: application/json", body=packed)
        answer = router.call("POST", "/x", body=packed, headers=[("Content-Encoding", "gzip"),
                                                                 ("Accept-Encoding", "gzip, br")])
        self.assertEqual((answer.body, answer.header("Content-Encoding")), (packed, "gzip"))
        request = upstream.requests[-1]
        self.assertEqual((request.body, request.value(b"content-encoding"), request.value(b"accept-encoding")),
                         (packed, b"gzip", b"gzip, br"))

    def test_fault_16_redirects_are_not_followed(self):
        for status in (b"301 Moved Permanently", b"302 Found", b"303 See Other", b"307 Temporary Redirect",
                       b"308 Permanent Redirect"):
            upstream = raw_upstream(self, lambda connection, _, status=status: connection.send(
                answer_bytes(b"go", status, b"Location: /elsewhere?a=1")))
            router = raw_router(self, [upstream], name=f"router-{status[:3].decode()}")
            answer = router.call("GET", "/x")
            self.assertEqual((answer.status, answer.header("Location"), answer.body),
                             (int(status[:3]), "/elsewhere?a=1", b"go"))
            self.assertEqual(upstream.targets, ["/x"])

    def test_answers_of_all_kinds_pass_with_status_reason_fields_and_body(self):
        cases = [b"200 OK", b"201 Created", b"202 Accepted Indeed", b"206 Partial Content", b"400 Bad Request",
                 b"401 No", b"404 Not Found", b"409 Conflict", b"422 Unprocessable Entity", b"429 Too Many Requests",
                 b"500 Internal Server Error", b"501 Not Implemented", b"503 Service Unavailable", b"418 I'm a teapot"]
        answers = iter(cases)
        router, _ = self.proxied(lambda connection, _: connection.send(answer_bytes(
            b'{"detail": "\xff"}', next(answers), b"X-Thing: \xe4", b"Content-Type: application/problem+json",
            b"Retry-After: 7", b"Date: Mon, 01 Jan 2024 00:00:00 GMT", b"Server: engine")))
        for status in cases:
            got = router.call("POST", "/x", body="{}")
            self.assertEqual(f"{got.status} {got.reason}".encode(), status)
            self.assertEqual((got.body, got.header("X-Thing"), got.header("Content-Type"), got.header("Retry-After"),
                              got.header("Server"), got.header("Date")),
                             (b'{"detail": "\xff"}', "\xe4", "application/problem+json", "7", "engine",
                              "Mon, 01 Jan 2024 00:00:00 GMT"))
        self.assertEqual(router.service("raw-0")["failures"], {}, "answers do not mark the instance")

    def test_answers_without_a_body_and_with_any_framing_pass(self):
        plain = {"/204": b"HTTP/1.1 204 No Content\r\n\r\n",
                 "/304": b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", "/0": answer_bytes(b""),
                 "/big": answer_bytes(b"y" * 3_000_000)}

        def script(connection, request):
            target = request.target.decode()
            if target in plain:
                return connection.send(plain[target])
            connection.send(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n" + b"z" * 100_000)  # until the connection closes
            connection.close()
            return False
        router, _ = self.proxied(script)
        with router.connection() as connection:
            for target, status, size in (("/204", 204, 0), ("/304", 304, 0), ("/0", 200, 0), ("/big", 200, 3_000_000)):
                got = connection.request("GET", target)
                self.assertEqual((got.status, len(got.body)), (status, size))
        with router.connection() as connection:
            connection.send(http_wire.request_bytes("GET", "/close", headers=[("Connection", "close")]))
            head, _, body = connection.read_to_end().partition(b"\r\n\r\n")
        self.assertIn(b"X-A: 1", head)
        self.assertEqual(body.count(b"z"), 100_000)

    def test_pieces_of_a_stream_are_passed_on_as_they_come(self):
        """Each is read before the instance may send the next."""
        gates = [threading.Event() for _ in range(5)]

        def script(connection, _):
            connection.send(stream_head())
            for number, gate in enumerate(gates):
                connection.send(chunk(b"data: %d\n\n" % number))
                if not gate.wait(patience(20)):
                    return False
            return connection.send(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        router, _ = self.proxied(script)
        stream = router.stream()
        self.addCleanup(stream.connection.close)
        for number, gate in enumerate(gates):
            self.assertEqual(stream.chunk(), b"data: %d\n\n" % number)
            gate.set()
        self.assertEqual((stream.chunk(), stream.chunk()), (b"data: [DONE]\n\n", b""))

    def test_both_chat_paths_work_plain_and_streamed(self):
        sim = self.start_sim("--path=both", "--tokens=4")
        router = self.start_router([sim])
        for path in (CHAT, "/chat/completions"):
            plain = router.call("POST", path, json=chat())
            self.assertEqual(plain.json()["choices"][0]["message"]["content"], words(4))
            with router.connection() as connection:
                connection.send(http_wire.request_bytes("POST", path, json=chat(stream=True)))
                data = b""
                while b"0\r\n\r\n" not in data:
                    data += connection.reader.read1(65536)
            self.assertIn(b"data: [DONE]\n\n", data)

    def test_fault_6_a_body_far_above_1_mib_passes_unharmed(self):
        router, upstream = self.answering()
        body = json.dumps(chat("x" * (20 << 20))).encode()
        self.assertEqual(router.call("POST", CHAT, body=body).status, 200)
        self.assertEqual(upstream.requests[-1].body, body)

    def test_fault_5_proxy_timeout_bounds_silence_and_not_the_whole(self):
        sim = self.start_sim("--decode-us=150000")
        router = self.start_router([sim], config={"proxy_timeout": 2, "hung_timeout": 0})
        begun = time.monotonic()
        stream = router.stream(max_tokens=24)
        self.assertEqual(stream.text(), words(24))
        self.assertGreater(time.monotonic() - begun, 3.3, "too short to show anything")
        stream.connection.close()

    def test_fault_5_silence_longer_than_proxy_timeout_is_cut_visibly(self):
        def script(connection, _):
            connection.send(stream_head() + chunk(b"data: 1\n\n"))
            connection.wait_end()
            return False
        router, upstream = self.proxied(script, hung_timeout=0, proxy_timeout="400ms")
        stream = router.stream()
        self.addCleanup(stream.connection.close)
        begun = time.monotonic()
        with self.assertRaises(ConnectionError):
            while stream.chunk():
                pass
        self.assertGreater(time.monotonic() - begun, 0.3)
        upstream.wait_connection(0).wait_closed()


if __name__ == "__main__":
    main()
