#!/usr/bin/env python3
"""The lessons of other servers' CVEs that concern a router, each by its number.

Elsewhere: CVE-2023-25725 (empty name), -2023-40225 (empty Content-Length), -2023-45539 ('#'), -2019-9900 (NUL),
-2026-45352 (chunk size -2), -2025-55315 (newline in an extension), -2026-48746 and -48710 (Host): rows of
support/router_bad_requests.py, in test_router_requests. CVE-2025-30346 and -2025-4366 (early answer, unread body):
test_router_answers. CVE-2025-48956, -2025-46728, -2025-53628 and -2025-52887 (header size, body limit, endless line,
number of fields): test_router_limits and unit test RequestHeadRefusals. API keys, and CVE-2021-29441 (a User-Agent that
opens the door): test_router_cves_keys. nginx CVE-2026-123634 (its resolver frees a look-up that is under way):
component test Resolver under ASan. CVE-2026-97205 (a counter overflows): the gauges of the soak end at zero. Not here,
for want of a subject: CVE-2026-7301, -3059, -3060 and CVE-2025-10164 (objects unpacked from a socket: there is no such
format), CVE-2016-1247 (a package's root follows a link in the log's folder: logs are opened by the daemon's own user).
"""

import json
import socket
import struct
import time

from support import http_wire, strict_http
from support.case import main
from support.fakes import FakeService
from support.raw_upstream import answer_bytes, exchange, raw_router, raw_upstream
from support.router_process import RouterTest, free_port, static_service
from support.usage import cpu_seconds, rss
from support.waiting import best_of, patience, under_sanitizer, wait_until

GET = b"GET /x HTTP/1.1\r\nHost: gateway\r\n"
UPGRADE = b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"


class Cves(RouterTest):
    def setUp(self):
        super().setUp()
        self.upstream = raw_upstream(self)

    def start(self, *args, **fields):
        self.router = raw_router(self, [self.upstream], *args, **fields)
        return self.router

    def send(self, data):
        answer = http_wire.raw_exchange(self.router.port, data)
        self.assertIsNotNone(answer, data[:200])
        return answer

    def seen(self, *fields):
        """What the upstream sees of a GET with these fields."""
        self.assertEqual(self.send(GET + b"".join(field + b"\r\n" for field in fields) + b"\r\n").status, 200)
        return self.upstream.requests[-1]

    def post(self, body, path="/v1/chat/completions", **options):
        return self.router.call("POST", path, body=body, **options)

    # -- parsing -------------------------------------------------------------------------------------------------------
    def test_cve_2021_40346_lengths_of_names_and_values_do_not_overflow(self):
        self.start()
        for size in (255, 256, 257, 8000):
            for name, value in ((b"N" * size, b"v"), (b"N", b"v" * size), (b"Content-Length" + b"N" * (size - 14),
                                                                           b"0")):
                request = self.seen(name + b": " + value, b"X-After: 1")
                self.assertEqual((request.value(name), request.value(b"x-after"), request.body), (value, b"1", b""))
        for size in (65535, 65536, 65537):
            for field in (b"N" * size + b": v", b"N: " + b"v" * size, b"Content-Length0" + b"a" * size + b": 5"):
                self.assertEqual(self.send(GET + field + b"\r\n\r\n").status, 431)

    def test_cve_2019_15226_ten_thousand_small_fields_are_refused_in_5_ms(self):
        self.start()
        for data in (GET + b"".join(b"X-%d: 1\r\n" % n for n in range(10_000)) + b"\r\n",
                     GET + b"X:\r\n" * 10_000 + b"\r\n"):
            def took(data=data):
                begun = time.monotonic()
                self.assertEqual(self.send(data).status, 431)
                return time.monotonic() - begun
            self.assertLessEqual(best_of(10, 0.005, took), 0.005)

    def test_cve_2025_11230_hostile_json_burns_no_time(self):
        self.start()
        bodies = {"exponent": b'{"model": 1e999999999, "n": 1e999999999}',
                  "digits": b'{"n": ' + b"9" * 1_000_000 + b"}",
                  "depth": b'{"messages": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "open": b'{"a":' * 10_000,
                  "keys": b"{" + b",".join(b'"k%d":1' % n for n in range(20_000)) + b"}",
                  "escapes": b'{"model": "' + b"\\u0041" * 100_000 + b'"}', "quotes": b'{"a": "' + b'\\"' * 300_000}
        for title, body in bodies.items():
            with self.subTest(title):
                def used(body=body):
                    before = cpu_seconds(self.router.pid)
                    for _ in range(10):
                        self.assertIn(self.post(body).status, (200, 400, 404))
                    return (cpu_seconds(self.router.pid) - before) / 10
                limit = 0.5 if under_sanitizer() else 0.01  # there only what grows with the square is of interest
                self.assertLessEqual(best_of(4, limit, used), limit)
        self.assertTrue(self.router.alive)

    def test_cve_2020_8659_chunks_of_one_byte_do_not_eat_memory(self):
        self.start()
        head = GET.replace(b"GET", b"POST") + b"Transfer-Encoding: chunked\r\n\r\n"
        self.send(head + b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n")
        before = rss(self.router.pid)
        self.assertEqual(self.send(head + b"1\r\nx\r\n" * 1_000_000 + b"0\r\n\r\n").json()["bytes"], 1_000_000)
        self.assertLess(rss(self.router.pid) - before, 80_000_000 if under_sanitizer() else 8_000_000)

    def test_cve_2020_8659_answers_in_chunks_of_one_byte_do_not_either(self):
        self.upstream.script = lambda connection, _: connection.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 200_000 + b"0\r\n\r\n")
        self.start()
        before = rss(self.router.pid)
        data, _ = exchange(self.router.port, GET + b"Connection: close\r\n\r\n")
        self.assertEqual(strict_http.read_answer(data).body, b"x" * 200_000)
        # A sanitizer keeps freed memory for a while.
        self.assertLess(rss(self.router.pid) - before, 40_000_000 if under_sanitizer() else 4_000_000)

    def test_cve_2023_38522_and_2024_35161_trailers_are_not_merged(self):
        self.start()
        self.send(GET.replace(b"GET",
                              b"POST") + b"Transfer-Encoding: chunked\r\nTrailer: X-Role\r\n\r\n2\r\nab\r\n0\r\n"
                  b"X-Role: admin\r\nAuthorization: Bearer stolen\r\nContent-Length: 50\r\n\r\n")
        request = self.upstream.requests[-1]
        self.assertEqual((request.body, request.trailers, request.values(b"content-length")), (b"ab", [], [b"2"]))
        for name in (b"x-role", b"authorization", b"trailer"):
            self.assertEqual(request.values(name), [])

    def test_nginx_2026_118899_a_body_byte_by_byte_is_whole(self):
        self.start()
        body = bytes(range(256)) * 8
        for framing in (b"Content-Length: %d\r\n\r\n" % len(body) + body, b"Transfer-Encoding: chunked\r\n\r\n" +
                        b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"):
            data, _ = exchange(self.router.port, GET.replace(b"GET", b"POST") + b"Connection: close\r\n" + framing,
                               byte_by_byte=True)
            self.assertEqual(strict_http.read_answers(data)[0].status, 200)
            self.assertEqual(self.upstream.requests[-1].body, body)

    # -- fields that somebody trusts -----------------------------------------------------------------------------------
    def test_cve_2022_31813_and_2025_48865_connection_does_not_remove_the_routers_fields(self):
        self.start()
        request = self.seen(b"Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, Via, Host, "
                            b"X-Request-Id, X-Mine, close", b"X-Mine: gone")
        self.assertEqual(request.value(b"x-forwarded-for"), b"127.0.0.1")
        self.assertEqual(request.value(b"x-forwarded-proto"), b"http")
        self.assertEqual(request.value(b"x-forwarded-host"), b"gateway")
        for name in (b"via", b"host", b"x-request-id"):
            self.assertEqual(len(request.values(name)), 1)
        self.assertEqual(request.values(b"x-mine"), [])

    def test_clients_cannot_say_who_they_are(self):
        self.start()
        request = self.seen(b"X-Forwarded-For: 10.0.0.1", b"X-Forwarded-For: 10.0.0.2", b"X-Forwarded-Proto: https",
                            b"X-Forwarded-Host: evil", b"X-Real-IP: 10.0.0.1", b"Forwarded: for=10.0.0.1")
        self.assertEqual(request.values(b"x-forwarded-for"), [b"127.0.0.1"])
        self.assertEqual(request.values(b"x-forwarded-proto"), [b"http"])
        self.assertEqual(request.values(b"x-forwarded-host"), [b"gateway"])
        self.assertEqual(request.values(b"x-real-ip") + request.values(b"forwarded"), [])

    def test_cve_2025_64484_names_with_underscores_are_not_taken_for_others(self):
        self.start()
        request = self.seen(b"X_Forwarded_For: 10.0.0.1", b"X-Forwarded_Proto: https", b"x_request_id: 1", b"A_B: 1")
        self.assertEqual([name for name, _ in request.fields if b"_" in name], [])

    # -- who decides where a request goes ------------------------------------------------------------------------------
    def test_cve_2024_6587_and_2025_6242_the_request_never_chooses_the_host(self):
        other = raw_upstream(self)
        self.start()
        url = f"http://127.0.0.1:{other.port}"
        body = json.dumps({"api_base": url, "base_url": url, "user_config": {"api_base": url}, "api_key": "x"})
        self.assertEqual(self.post(body).status, 200)
        for data in (f"GET {url}/x HTTP/1.1\r\nHost: 127.0.0.1:{other.port}\r\n\r\n",
                     f"GET /x?url={url} HTTP/1.1\r\nHost: 127.0.0.1:{other.port}\r\n\r\n",
                     f"GET /{url} HTTP/1.1\r\nHost: g\r\nX-Forwarded-Host: 127.0.0.1:{other.port}\r\n\r\n"):
            self.assertEqual(self.send(data.encode()).status, 200)
        self.assertEqual((other.received(), len(self.upstream.requests)), (0, 4))
        for request in self.upstream.requests:
            self.assertEqual(request.value(b"host").decode(), f"127.0.0.1:{self.upstream.port}")

    def test_cve_2020_15114_a_loop_to_itself_is_508_at_the_first_hop(self):
        port = free_port()
        router = self.new_router([port], args=[f"--port={port}", "--learn-models=false", "--health-interval=24h"])
        router.start()
        self.addCleanup(setattr, self, "router", router)
        accepted = router.totals()["connections_accepted"]
        answer = router.call("GET", "/x")
        self.assertIn(answer.status, (503, 508), answer)
        self.assertLessEqual(router.totals()["connections_accepted"] - accepted,
                             3)  # the client, a hop, and this question

    def test_cve_2020_15114_a_loop_over_another_router_is_508_as_well(self):
        first_port = free_port()
        second = self.start_router([first_port], args=["--learn-models=false", "--health-interval=24h"], name="second")
        first = self.start_router([second.port], args=[f"--port={first_port}", "--learn-models=false",
                                                       "--health-interval=24h", "--retry-max=0"], name="first")
        second.wait_state("instance-0", "up")  # it was asked before the other was there
        answer = first.call("GET", "/x")
        self.assertEqual(answer.status, 508, answer)
        self.assertEqual((first.totals()["attempts"], second.totals()["attempts"]), (1, 1))

    def test_cve_2022_29153_a_probe_follows_no_redirect(self):
        target = FakeService({"/health": 200})
        self.addCleanup(target.close)
        location = [("Location", f"http://127.0.0.1:{target.port}/health")]
        probed = FakeService({"/health": lambda handler: handler.answer(302, b"", location)})
        self.addCleanup(probed.close)
        router = self.start_router([static_service(probed.port, name="redirects")],
                                   args=["--health-interval=100ms", "--recovery-interval=100ms", "--max-errors=1"])
        router.wait_state("redirects", "down")
        self.assertEqual(target.hits, [])

    # -- upgrades ------------------------------------------------------------------------------------------------------
    def test_cve_2024_23326_only_101_switches_and_only_if_asked(self):
        """A 200 to an upgrade is an answer like any other: what follows on the connection is a request of its own."""
        self.upstream.script = lambda connection, message: connection.send(answer_bytes(message.target))
        self.start()
        with self.router.connection() as connection:
            connection.send(GET + UPGRADE)
            self.assertEqual(connection.read_response().body, b"/x")
            connection.send(b"GET /health HTTP/1.1\r\nHost: gateway\r\n\r\n")  # in a tunnel it would go to the upstream
            self.assertIn("healthy_services", connection.read_response().json())
        self.assertEqual(self.upstream.targets, ["/x"])

    def test_h2c_and_other_upgrades_are_not_passed_on(self):
        """Only a WebSocket may become a tunnel: h2c in one is a way past keys, models and limits."""
        self.start()
        for protocol in (b"h2c", b"h2", b"TLS/1.0", b"websocket, h2c", b"h2c, websocket", b"websocket/2",
                         b"web socket"):
            with self.subTest(protocol):
                request = self.seen(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + protocol,
                                    b"HTTP2-Settings: AA")
                for name in (b"upgrade", b"connection", b"http2-settings"):
                    self.assertEqual(request.values(name), [])

    def test_an_upgrade_that_was_asked_for_is_a_tunnel(self):
        def script(connection, message):
            self.assertEqual(message.value(b"upgrade"), b"websocket")
            connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                            b"Upgrade: websocket\r\n\r\nhello")
            connection.receive()
            connection.send(b"got " + bytes(connection.received[-4:]))
            connection.wait_end()
            connection.close()
            return False
        self.upstream.script = script
        self.start()
        with self.router.connection() as connection:
            connection.send(GET + UPGRADE)
            self.assertTrue(connection.reader.readline().startswith(b"HTTP/1.1 101 "))
            self.assertEqual(dict(connection._read_headers())["Upgrade"], "websocket")
            self.assertEqual(connection.reader.read(5), b"hello")
            connection.send(b"\x00\r\n\xff")
            self.assertEqual(connection.reader.read(8), b"got \x00\r\n\xff")
        self.upstream.connections[0].wait_closed()
        self.router.wait_idle()

    # -- many clients --------------------------------------------------------------------------------------------------
    def test_cve_2021_32778_two_thousand_clients_that_leave_at_once_cost_no_second(self):
        self.upstream.script = lambda connection, _: connection.wait_end() or False
        self.start("--max-concurrency", "50", "--queue-size", "10000")
        clients = []
        for _ in range(2000):
            sock = socket.create_connection(("127.0.0.1", self.router.port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(GET + b"\r\n")
            clients.append(sock)
        wait_until(lambda: self.router.stats()["queues"]["waiting"] == 1950, 20, "1950 in the queue")
        before = cpu_seconds(self.router.pid)
        for sock in clients:
            sock.close()
        self.router.wait_idle()
        self.assertLess(cpu_seconds(self.router.pid) - before, patience(1))
        self.assertEqual(self.router.stats()["queues"]["waiting"], 0)

    def test_cve_2020_7219_one_address_cannot_take_all_connections(self):
        self.start("--max-connections", "20", "--max-connections-per-client", "5")
        held = [socket.create_connection(("127.0.0.1", self.router.port)) for _ in range(5)]
        self.addCleanup(lambda: [sock.close() for sock in held])
        self.assertEqual(self.send(GET + b"\r\n").status, 429)
        with socket.create_connection(("127.0.0.1", self.router.port), source_address=("127.0.0.2", 0)) as other:
            other.sendall(GET + b"\r\n")
            self.assertTrue(other.recv(1000).startswith(b"HTTP/1.1 200"))


if __name__ == "__main__":
    main()
