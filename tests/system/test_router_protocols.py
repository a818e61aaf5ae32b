#!/usr/bin/env python3
"""What HTTP/1 has besides GET and POST: 100-continue, HEAD, OPTIONS, chunked uploads, limits, HTTP/1.0."""

import hashlib
import os
import socket
import threading

from support import http_wire
from support.case import main
from support.raw_upstream import (answer_bytes, chunk, end_listening, event, raw_router, raw_upstream, read_until_end,
                                  stream_head)
from support.router_process import RouterTest
from support.sim_process import CHAT
from support.waiting import patience, wait_until

MIB = 1 << 20


def mirror(connection, request):
    connection.send(answer_bytes(request.body))


class Uploads(RouterTest):
    def test_100_continue_is_said_by_the_router(self):
        upstream = raw_upstream(self, mirror)
        router = raw_router(self, [upstream])
        for framing, body in (("Content-Length: 4", b"body"),
                              ("Transfer-Encoding: chunked", b"4\r\nbody\r\n0\r\n\r\n")):
            with router.connection() as connection:
                head = f"POST {CHAT} HTTP/1.1\r\nHost: r\r\nExpect: 100-continue\r\n{framing}\r\n\r\n"
                connection.send(head.encode())
                self.assertEqual(connection.reader.readline(), b"HTTP/1.1 100 Continue\r\n")
                self.assertEqual(connection.reader.readline(), b"\r\n")
                connection.send(body)
                self.assertEqual(connection.read_response().body, b"body")
                self.assertEqual(connection.request("POST", CHAT, body=b"next").body, b"next")
        self.assertEqual([request.values(b"expect") for request in upstream.requests], [[]] * 4)

    def test_100_continue_is_not_said_when_there_is_no_need_or_the_answer_is_no(self):
        upstream = raw_upstream(self)
        router = raw_router(self, [upstream], "--max-body-bytes=2000")
        expect = b"Host: r\r\nExpect: 100-continue\r\n"
        for rest, status in ((b"Content-Length: 4\r\n\r\nbody", 200), (b"Content-Length: 2001\r\n\r\n", 413)):
            with router.connection() as connection:
                connection.send(b"POST /v1/x HTTP/1.1\r\n" + expect + rest)
                self.assertEqual(connection.reader.readline().split()[1], str(status).encode())
        with router.connection() as connection:
            connection.send(b"POST /v1/x HTTP/1.0\r\n" + expect + b"Content-Length: 4\r\n\r\n")
            connection.sock.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                connection.sock.recv(1)
        response = http_wire.raw_exchange(router.port, b"POST /v1/x HTTP/1.1\r\nHost: r\r\nExpect: 200-ok\r\n"
                                                       b"Content-Length: 4\r\n\r\nbody")
        self.assertEqual(response.status, 417)

    def test_chunked_uploads_arrive_whole_however_they_are_cut(self):
        upstream = raw_upstream(self, mirror)
        router = raw_router(self, [upstream])
        body = os.urandom(300_000)
        forms = [chunk(body), b"".join(chunk(body[at:at + 7]) for at in range(0, 7000, 7)),
                 b"5;name=value\r\nhello\r\n00005 ;x=\"y\"\r\nworld\r\n".replace(b" ;", b";")]
        wanted = [body, body[:7000], b"helloworld"]
        head = b"POST /v1/x HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\n\r\n"
        with router.connection() as connection:
            for data, want in zip(forms, wanted):
                connection.send(head + data + b"0\r\nX-Trailer: 1\r\n\r\n")
                self.assertEqual(connection.read_response().body, want)
            for byte in head + forms[2] + b"0\r\n\r\n":
                connection.send(bytes([byte]))
            self.assertEqual(connection.read_response().body, wanted[2])
        for request in upstream.requests:
            self.assertEqual(request.values(b"content-length"), [str(len(request.body)).encode()])
            self.assertEqual(request.values(b"transfer-encoding") + request.values(b"x-trailer"), [])

    def digester(self):
        """A server that answers a connection's first request with its body's hash, without a strict parser's cost."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(end_listening, listener)

        def serve():
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock, sock.makefile("rb") as reader:
                    length = 0
                    while (line := reader.readline()).strip():
                        length = int(line.split(b":")[1]) if line.startswith(b"Content-Length") else length
                    digest = hashlib.sha256()
                    while length > 0 and (piece := reader.read1(min(length, MIB))):
                        digest.update(piece)
                        length -= len(piece)
                    sock.sendall(answer_bytes(digest.hexdigest(), b"200 OK", b"Connection: close"))
        threading.Thread(target=serve, daemon=True).start()
        return listener.getsockname()[1]

    def test_64_mib_pass_and_a_byte_more_is_413_before_reading(self):
        router = self.start_router([self.digester()], config={"health_interval": "24h", "learn_models": False})
        body = os.urandom(MIB) * 64
        response = router.call("POST", CHAT, body=body, timeout=patience(60))
        self.assertEqual((response.status, response.text), (200, hashlib.sha256(body).hexdigest()))
        wait_until(lambda: router.metric("infinilm_router_buffered_bytes") == 0, 10, "the body's memory given back")
        for length in (64 * MIB + 1, 10**18):
            with router.connection() as connection:
                connection.send(f"POST {CHAT} HTTP/1.1\r\nHost: r\r\nContent-Length: {length}\r\n\r\n".encode())
                response = connection.read_response()
                self.assert_openai_error(response, 413, "body_too_large")
                self.assertEqual(response.header("Connection"), "close")
        self.assertEqual(router.totals()["attempts"], 1)

    def test_cve_2025_46728_the_limit_is_for_chunked_bodies_too(self):
        upstream = raw_upstream(self)
        router = raw_router(self, [upstream], "--max-body-bytes=100000")
        head = b"POST /v1/x HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\n\r\n"
        for size, status in ((100_000, 200), (100_001, 413)):
            for pieces in (1, 10):
                step = -(-size // pieces)
                data = b"".join(chunk(b"x" * min(step, size - at)) for at in range(0, size, step)) + b"0\r\n\r\n"
                response = http_wire.raw_exchange(router.port, head + data)
                self.assertEqual(response and response.status, status, (size, pieces))
        self.assertEqual(len(upstream.requests), 2)


class Others(RouterTest):
    def test_head_has_the_length_and_no_body(self):
        def answer(connection, request):
            body = b"" if request.method == b"HEAD" else b"12345"
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-M: " + request.method + b"\r\n\r\n" + body)
        router = raw_router(self, [raw_upstream(self, answer)])
        with router.connection() as connection:
            for _ in range(2):
                response = connection.request("HEAD", "/v1/files/x")
                self.assertEqual((response.status, response.header("Content-Length"), response.header("X-M")),
                                 (200, "5", "HEAD"))
                self.assertEqual(connection.request("GET", "/v1/files/x").body, b"12345")
            for page in ("/health", "/metrics", "/stats"):
                self.assertGreater(int(connection.request("HEAD", page).header("Content-Length")), 10)
            self.assertEqual(connection.request("GET", "/health").status, 200)

    def test_options_goes_to_an_instance_and_the_own_pages_answer_theirs(self):
        upstream = raw_upstream(self, lambda connection, request: connection.send(
            b"HTTP/1.1 204 No Content\r\nAllow: GET, POST\r\nAccess-Control-Allow-Origin: *\r\n\r\n") or None)
        router = raw_router(self, [upstream])
        with router.connection() as connection:
            for target in (CHAT, "*"):
                response = connection.request("OPTIONS", target, headers=[("Origin", "http://x")])
                self.assertEqual((response.status, response.header("Access-Control-Allow-Origin")), (204, "*"))
            response = connection.request("OPTIONS", "/stats")
            self.assertEqual((response.status, response.header("Allow")), (204, "GET, HEAD, OPTIONS"))
            self.assertIsNone(response.header("Content-Length"))
        self.assertEqual(upstream.targets, [CHAT, "*"])

    def test_an_http_1_0_client(self):
        router = raw_router(self, [raw_upstream(self)])
        with router.connection() as connection:
            connection.send(b"GET /v1/a HTTP/1.0\r\nX-Test: one\r\n\r\n")
            response = connection.read_response()
            self.assertEqual((response.status, response.json()["test"]), (200, "one"))
            self.assertTrue(connection.is_closed_by_peer())
        with router.connection() as connection:
            for _ in range(2):
                connection.send(b"GET /v1/a HTTP/1.0\r\nHost: r\r\nConnection: keep-alive\r\n\r\n")
                response = connection.read_response()
                self.assertEqual((response.status, response.header("Connection")), (200, "keep-alive"))

    def test_a_stream_for_an_http_1_0_client_ends_with_the_connection_and_a_cut_one_with_a_reset(self):
        for whole in (True, False):
            with self.subTest(whole=whole):
                def stream(connection, _, whole=whole):
                    connection.send(stream_head() + event("one") + (event("[DONE]") + b"0\r\n\r\n" if whole else b""))
                    connection.close()
                    return False
                router = raw_router(self, [raw_upstream(self, stream)], name=f"router-{whole}")
                with router.connection() as connection:
                    connection.send(b"GET /v1/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                    data, how = read_until_end(connection.sock)
                head, _, body = data.partition(b"\r\n\r\n")
                self.assertNotIn(b"transfer-encoding", head.lower())
                self.assertIn(b"connection: close", head.lower())
                self.assertTrue(body.startswith(b"data: one\n\n"), body)
                self.assertEqual(how, "closed" if whole else "reset", body)
                self.assertEqual(b"[DONE]" in body, whole)
                self.assertEqual(b"event: error" in body, not whole)


if __name__ == "__main__":
    main()
