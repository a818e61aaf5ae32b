"""Streams through a router that a test controls from both ends."""

import json
import socket
import struct
import time

from . import strict_http
from .raw_upstream import answer_bytes, event, raw_router, raw_upstream, read_until_end, stream_head
from .router_process import RouterTest
from .waiting import patience

END = b"0\r\n\r\n"


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


class StreamTest(RouterTest):
    """One router, and an upstream that the test speaks for; in the end nothing may be left in flight."""

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
