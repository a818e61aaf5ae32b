#!/usr/bin/env python3
"""WebSockets through the router: bytes in both directions after 101, and only then."""

import base64
import hashlib
import os
import socket
import threading
import time

from support import http_wire
from support.case import main
from support.raw_upstream import answer_bytes, raw_router, raw_upstream
from support.router_process import RouterTest
from support.waiting import best_of

ASK = (b"GET /v1/realtime?model=m HTTP/1.1\r\nHost: r\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
       b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: chat\r\n\r\n")
KEY = base64.b64encode(b"0123456789abcdef")
MIB = 1 << 20


def accepted(key):
    return base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def websocket_echo(connection, request):
    """Accepts the upgrade, says hello with the head, then sends back what comes until the client has ended."""
    key = request.value(b"sec-websocket-key")
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    b"Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: " + accepted(key) + b"\r\n\r\nhello")
    begun = request.end
    while True:
        data = bytes(connection.received[begun:])
        begun += len(data)
        if b"bye" in data:
            break
        if data and not connection.send(data):
            break
        if begun == len(connection.received) and not connection.receive():
            break
    connection.close()
    return False


class Upgrades(RouterTest):
    def start_tunnel(self, script=websocket_echo, *args, ask=ASK % KEY):
        self.upstream = raw_upstream(self, script)
        self.router = raw_router(self, [self.upstream], *args)
        connection = self.router.connection()
        self.addCleanup(connection.close)
        connection.send(ask)
        return connection

    def read_switch(self, connection):
        line = connection.reader.readline()
        fields = {name.lower(): value for name, value in connection._read_headers()}
        self.assertEqual(line.split()[1], b"101", (line, fields))
        return fields

    def test_a_websocket_is_passed_through(self):
        connection = self.start_tunnel()
        fields = self.read_switch(connection)
        self.assertEqual(fields["sec-websocket-accept"], accepted(KEY).decode())
        self.assertEqual((fields["connection"].lower(), fields["upgrade"]), ("upgrade", "websocket"))
        self.assertEqual(fields["sec-websocket-protocol"], "chat")
        self.assertTrue({"content-length", "transfer-encoding"}.isdisjoint(fields), fields)
        self.assertEqual(connection.reader.read(5), b"hello")
        for frame in (b"\x81\x05first", b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
            connection.send(frame)
            self.assertEqual(connection.reader.read(len(frame)), frame)
        asked = self.upstream.requests[0]
        self.assertEqual((asked.value(b"upgrade"), asked.value(b"connection").lower()), (b"websocket", b"upgrade"))
        self.assertEqual(self.router.service("raw-0")["in_flight"], 1)
        connection.send(b"bye")
        self.assertTrue(connection.is_closed_by_peer(), "the end of the instance's side must reach the client")
        connection.close()
        self.router.wait_idle()

    def test_what_a_client_sends_ahead_arrives(self):
        connection = self.start_tunnel(ask=ASK % KEY + b"early")
        self.read_switch(connection)
        self.assertEqual(connection.reader.read(10), b"helloearly")

    def test_megabytes_in_both_directions_at_once(self):
        connection = self.start_tunnel()
        self.read_switch(connection)
        self.assertEqual(connection.reader.read(5), b"hello")
        data = os.urandom(4 * MIB).replace(b"bye", b"BYE")
        sender = threading.Thread(target=connection.send, args=(data,), daemon=True)
        sender.start()
        self.assertEqual(connection.reader.read(len(data)) == data, True)
        sender.join(10)
        connection.sock.shutdown(socket.SHUT_WR)
        self.assertTrue(connection.is_closed_by_peer(), "the client's end must reach the instance")
        self.router.wait_idle()

    def test_p7_a_client_that_leaves_closes_the_instances_side_within_100_ms(self):
        self.start_tunnel().close()

        def measure():
            before = len(self.upstream.connections)
            connection = self.router.connection()
            connection.send(ASK % KEY)
            self.read_switch(connection)
            self.assertEqual(connection.reader.read(5), b"hello")
            begun = time.monotonic()
            connection.close()
            return self.upstream.wait_connection(before).wait_closed() - begun
        self.assertLessEqual(best_of(5, 0.1, measure), 0.1)
        self.router.wait_idle()

    def test_cve_2024_23326_only_101_switches(self):
        connection = self.start_tunnel(lambda connection, request: connection.send(
            answer_bytes(request.target, b"200 OK", b"Upgrade: websocket", b"Connection: upgrade")) or None)
        self.assertEqual(connection.read_response().body, b"/v1/realtime?model=m")
        self.assertEqual(connection.request("GET", "/v1/next").body, b"/v1/next")
        self.assertEqual(self.upstream.targets, ["/v1/realtime?model=m", "/v1/next"])

    def test_cve_2024_23326_a_101_that_nobody_asked_for_is_refused(self):
        connection = self.start_tunnel(websocket_echo, ask=b"GET /v1/x HTTP/1.1\r\nHost: r\r\n\r\n")
        self.assert_openai_error(connection.read_response(), 502, "upstream_protocol_error")

    def test_an_upgrade_that_is_refused_is_an_answer_like_any_other(self):
        connection = self.start_tunnel(lambda connection, _: connection.send(
            answer_bytes(b"no", b"426 Upgrade Required", b"Upgrade: websocket")) or None)
        self.assertEqual(connection.read_response().status, 426)
        self.router.wait_idle()

    def test_h2c_is_not_passed_on(self):
        for name in ("h2c", "h2", "HTTP/2.0", "TLS/1.0"):
            ask = (f"GET /v1/x HTTP/1.1\r\nHost: r\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {name}\r\n"
                   "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n").encode()
            with self.subTest(name):
                upstream = raw_upstream(self)
                router = raw_router(self, [upstream], name=f"router-{name.replace('/', '')}")
                response = http_wire.raw_exchange(router.port, ask)
                self.assertIn(response.status, (200, 400, 426), response)
                for request in upstream.requests:
                    self.assertEqual([request.values(one) for one in (b"upgrade", b"http2-settings", b"connection")],
                                     [[], [], []])


if __name__ == "__main__":
    main()
