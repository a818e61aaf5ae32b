"""Clients at and beyond the limits of a router."""

import socket

from . import http_wire, strict_http
from .raw_upstream import exchange, raw_router, raw_upstream
from .router_process import RouterTest
from .usage import rss
from .waiting import patience, under_sanitizer

KIB = 1024
MIB = 1024 * 1024
REQUEST = b"GET /x HTTP/1.1\r\nHost: gateway\r\n"


class LimitTest(RouterTest):
    """One router, one raw upstream, and clients by the thousand."""

    def setUp(self):
        super().setUp()
        self.upstream = raw_upstream(self)
        self.open = []
        self.addCleanup(lambda: [sock.close() for sock in self.open])

    def start(self, *args, **fields):
        self.router = raw_router(self, [self.upstream], *args, **fields)
        return self.router

    def connect(self, data, receive_buffer=None):
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(patience(10))
        sock.connect(("127.0.0.1", self.router.port))
        sock.sendall(data)
        self.open.append(sock)
        return sock

    def connect_many(self, count, data):
        return [self.connect(data) for _ in range(count)]

    def status_of(self, data):
        answer = http_wire.raw_exchange(self.router.port, data)
        return answer and answer.status

    def assert_limit(self, at, beyond, status):
        """`at` is forwarded; `beyond` gets the status, is closed, and is not forwarded."""
        count = len(self.upstream.requests)
        self.assertEqual(self.status_of(at), 200)
        data, how = exchange(self.router.port, beyond)
        answer, = strict_http.read_answers(data, ended=True)
        self.assertEqual((answer.status, how, answer.closes), (status, "closed", True))
        self.assertEqual(len(self.upstream.requests), count + 1)

    def assert_serves(self):
        self.assertEqual(self.status_of(REQUEST + b"\r\n"), 200)

    def assert_grew_at_most(self, before, most):
        if not under_sanitizer():  # quarantine and shadow memory
            self.assertLessEqual((rss(self.router.pid) - before) / MIB, most / MIB, "MiB of growth")
