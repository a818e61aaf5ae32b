#!/usr/bin/env python3
"""TLS in front of the router and towards instances and the registry; its own tokens for both."""

import os
import signal
import socket
import ssl
import time

from support.case import main
from support.certificates import client_context, make_certificate, old_client_context, require_openssl
from support.raw_upstream import answer_bytes, raw_router, raw_upstream, read_until_end
from support.router_process import MODEL, RouterTest
from support.tls_upstream import TlsUpstream
from support.waiting import patience, wait_until
from test_router_upgrades import ASK, KEY, accepted

TOKEN = "token-of-the-instances"


def plain_answer(sock, _):
    sock.sendall(answer_bytes(b"over tls"))


class InFront(RouterTest):
    def setUp(self):
        super().setUp()
        require_openssl()
        self.identity = make_certificate(self.folder, "server", "first")
        self.tls = client_context(self.identity[0])

    def start_tls(self, upstreams, **config):
        config.update(tls_cert=str(self.identity[0]), tls_key=str(self.identity[1]))
        router = self.new_router(upstreams, config={**config, "health_interval": "24h", "threads": 1}, tls=self.tls)
        return router.start()

    def common_name(self, router):
        with socket.create_connection(("127.0.0.1", router.port), timeout=10) as plain:
            with client_context(self.identity[0]).wrap_socket(plain, server_hostname="localhost") as secure:
                return dict(item[0] for item in secure.getpeercert()["subject"])["commonName"], secure.version()

    def test_requests_and_streams_over_tls(self):
        sims = self.start_sims(1, "--decode-us", "1000")
        router = self.start_tls(sims)
        self.assertEqual(self.common_name(router), ("first", "TLSv1.3"))
        with router.connection() as connection:
            for size in (1, 20_000, 300_000):
                stream = router.stream("x" * size, connection, max_tokens=5)
                self.assertEqual((stream.status, len(stream.text().split())), (200, 5))
        heads = [entry["head"] for entry in sims[0].requests() if b"chat" in entry["head"]]
        self.assertIn(b"\r\nX-Forwarded-Proto: https\r\n", heads[-1])
        router.wait_idle()

    def test_large_bodies_both_ways_over_tls(self):
        body = os.urandom(8 << 20)
        upstream = raw_upstream(self, lambda connection, request: connection.send(answer_bytes(request.body)) or None)
        router = self.start_tls([upstream])
        response = router.call("POST", "/v1/echo", body=body)
        self.assertEqual((response.status, response.body == body), (200, True))

    def test_plain_http_and_silence_on_the_tls_port_are_closed(self):
        router = self.start_tls([raw_upstream(self)], header_timeout="1500ms")
        for data in (b"GET /health HTTP/1.1\r\nHost: r\r\n\r\n",
                     b"\x16\x03\x01" + b"x" * 300, b"\x80\x2e\x01\x03\x01", b""):
            with socket.create_connection(("127.0.0.1", router.port), timeout=10) as plain:
                plain.sendall(data)
                got, how = read_until_end(plain)
                self.assertNotEqual(how, "open", data)
                self.assertFalse(got.startswith(b"HTTP/"), got)
        self.assertEqual(router.get("/health")["status"], "healthy")

    def test_tls_1_1_is_refused_and_1_2_is_not(self):
        router = self.start_tls([raw_upstream(self)])

        def version(highest):
            with socket.create_connection(("127.0.0.1", router.port), timeout=10) as plain:
                with old_client_context(highest).wrap_socket(plain) as secure:
                    return secure.version()
        self.assertEqual(version(ssl.TLSVersion.TLSv1_2), "TLSv1.2")
        for old in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1):
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                version(old)

    def test_sighup_takes_a_new_certificate_and_keeps_the_old_one_when_it_is_bad(self):
        router = self.start_tls([raw_upstream(self)])
        kept = router.connection()
        self.addCleanup(kept.close)
        self.assertEqual(kept.request("GET", "/health").status, 200)
        self.identity[0].write_text("no certificate")
        bad = router.reloads()[1]
        router.signal(signal.SIGHUP)
        wait_until(lambda: router.reloads()[1] > bad, 10, "the refusal")
        make_certificate(self.folder, "server", "second")
        router.reload()
        wait_until(lambda: self.common_name(router)[0] == "second", 10, "the new certificate")
        self.assertEqual(kept.request("GET", "/health").status, 200)


class Towards(RouterTest):
    def setUp(self):
        super().setUp()
        require_openssl()
        self.identity = make_certificate(self.folder, "instance")

    def tls_upstream(self, script=plain_answer, **options):
        upstream = TlsUpstream(self.identity, script, **options)
        self.addCleanup(upstream.close)
        return upstream

    def start_towards(self, upstream, *args, host="127.0.0.1", ca=True, name="router", **fields):
        entry = {"name": "secure", "host": host, "port": upstream.port, "tls": True, "models": [MODEL], "max_fails": 0}
        flags = ["--health-interval=24h", "--hung-timeout=0", "--threads=1", *args]
        if ca:
            flags.append(f"--tls-ca={self.identity[0]}")
        return self.start_router([entry | fields], args=flags, name=name)

    def test_an_instance_that_speaks_https(self):
        upstream = self.tls_upstream()
        for host in ("127.0.0.1", "localhost"):
            router = self.start_towards(upstream, host=host, name=f"router-{host}")
            wait_until(lambda: router.chat().status == 200, 10, "the first answer")
            self.assertEqual(router.chat().text, "over tls")
            self.assertEqual(router.wait_state("secure", "up") >= 0, True)
            self.assertGreater(router.totals()["upstream_reuses"], 0)
        self.assertIn("localhost", upstream.names)

    def test_a_certificate_of_somebody_else_is_refused(self):
        upstream = self.tls_upstream()
        stranger = make_certificate(self.folder, "stranger")
        router = self.start_towards(upstream, f"--tls-ca={stranger[0]}", "--health-interval=0", ca=False)
        for _ in range(3):
            self.assertIn(router.chat().status, (502, 503))
        self.assertEqual(upstream.requests, [], "the request was sent to an unproven peer")
        self.assertIn("upstream_tls_failed", router.service("secure")["failures"] | {router.state("secure"): 1})

    def test_a_certificate_for_another_name_is_refused(self):
        upstream = self.tls_upstream(host="127.0.0.2")
        router = self.start_towards(upstream, host="127.0.0.2")
        for _ in range(3):
            self.assertIn(router.chat().status, (502, 503))
        self.assertEqual(upstream.requests, [])

    def test_verification_can_be_turned_off(self):
        upstream = self.tls_upstream(host="127.0.0.2")
        router = self.start_towards(upstream, "--upstream-tls-verify=false", host="127.0.0.2", ca=False)
        self.assertEqual(router.chat().text, "over tls")
        self.assertEqual(router.wait_state("secure", "up") >= 0, True)

    def test_a_tunnel_carries_all_of_an_answer_behind_the_end_of_the_question(self):
        """The client ends its side and reads slowly: each piece that it takes shows that end again."""
        size = 12 << 20

        def script(sock, request):
            sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                         b"Sec-WebSocket-Accept: " + accepted(KEY) + b"\r\n\r\n")
            while sock.recv(65536):
                pass
            for _ in range(size // 65536):
                sock.sendall(b"x" * 65536)
            sock.unwrap()
            return False
        router = self.start_towards(self.tls_upstream(script))
        client = socket.socket()
        self.addCleanup(client.close)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.settimeout(patience(10))
        client.connect(("127.0.0.1", router.port))
        client.sendall(ASK.replace(b"model=m", b"model=" + MODEL.encode()) % KEY)
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        self.assertTrue(head.startswith(b"HTTP/1.1 101"), head)
        client.sendall(b"all I have to say")
        client.shutdown(socket.SHUT_WR)
        got = len(head.split(b"\r\n\r\n", 1)[1])
        while piece := client.recv(16384):
            got += len(piece)
            time.sleep(0.0003)  # slower than the instance
        self.assertEqual(got, size)

    def test_a_plain_instance_is_never_spoken_to_when_tls_is_asked_for(self):
        upstream = raw_upstream(self)
        router = self.start_towards(upstream)
        self.assertIn(router.chat().status, (502, 503))
        self.assertEqual(upstream.requests, [])

    def test_p8_an_answer_that_is_cut_without_close_notify_is_not_complete(self):
        def cut(sock, request):
            body = {b"/v1/length": b"Content-Length: 100\r\n\r\nhalf", b"/v1/close": b"Connection: close\r\n\r\nhalf",
                    b"/v1/chunks": b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"}[request.target]
            sock.sendall(b"HTTP/1.1 200 OK\r\n" + body)
            os.close(sock.detach())  # no close_notify
            return False
        router = self.start_towards(self.tls_upstream(cut))
        for path in ("/v1/length", "/v1/chunks", "/v1/close"):
            with self.subTest(path):
                with router.connection() as connection:
                    connection.send(f"GET {path} HTTP/1.1\r\nHost: r\r\n\r\n".encode())
                    data, how = read_until_end(connection.sock)
                    self.assertTrue(b"half" in data, (data, how))
                    self.assertFalse(data.endswith(b"0\r\n\r\n"), data)
                    if path == "/v1/close":
                        self.assertEqual(how, "reset", "half an answer ended as a whole one does")
        self.assertEqual(router.service("secure")["failures"].get("upstream_cut"), 3)
        router.wait_idle()

    def test_the_routers_token_goes_to_instances_in_place_of_the_clients(self):
        upstream = self.tls_upstream()
        path = self.write("token", TOKEN + "\n")
        router = self.start_towards(upstream, f"--upstream-token-file={path}")
        own = [("Authorization", "Bearer the-clients-own-secret")]
        self.assertEqual(router.chat(headers=own).status, 200)
        self.assertEqual(router.chat().status, 200)
        chats = [request for request in upstream.requests if b"chat" in request.target]
        for request in chats:
            self.assertEqual(request.values(b"authorization"), [b"Bearer " + TOKEN.encode()])
        path.write_text("another-token-for-them")
        router.reload()
        router.chat()
        self.assertEqual(upstream.requests[-1].values(b"authorization"), [b"Bearer another-token-for-them"])
        self.assertNotIn(TOKEN, router.log_text() + router.stderr_text() + router.call("GET", "/stats").text)

    def test_without_a_token_the_clients_own_goes_through(self):
        upstream = raw_upstream(self)
        router = raw_router(self, [upstream])
        router.chat(headers=[("Authorization", "Bearer for-the-engine")])
        self.assertEqual(upstream.requests[0].values(b"authorization"), [b"Bearer for-the-engine"])

    def test_models_are_learned_with_the_token_too(self):
        def guarded(sock, request):
            good = request.values(b"authorization") == [b"Bearer " + TOKEN.encode()]
            body = b'{"object":"list","data":[{"id":"learned","object":"model"}]}'
            sock.sendall(answer_bytes(body, b"200 OK" if good else b"401 Unauthorized"))
        upstream = self.tls_upstream(guarded)
        router = self.start_towards(upstream, f"--upstream-token-file={self.write('token', TOKEN)}", models=[])
        wait_until(lambda: router.service("secure")["models"] == ["learned"], 10, "the model")

    def test_the_registry_over_tls_with_a_token(self):
        tokens = self.write("tokens", "read-token-0123456789 read\nwrite-token-0123456789 write\n")
        registry = self.new_registry("--tls-cert", self.identity[0], "--tls-key", self.identity[1],
                                     "--token-file", tokens, tls=client_context(self.identity[0]),
                                     token="write-token-0123456789").start()
        upstream = raw_upstream(self)
        registry.register("one", port=upstream.port, metadata={"type": "openai-api", "models": [MODEL]})
        token = self.write("token", "# for reading\nread-token-0123456789\n")
        url = f"https://localhost:{registry.port}"
        flags = [f"--tls-ca={self.identity[0]}", f"--registry-token-file={token}"]
        router = self.start_router(registry=url, args=flags)
        wait_until(lambda: "one" in router.services(), 10, "the service")
        self.assertEqual(router.chat().status, 200)
        self.assertNotIn("read-token", router.log_text() + router.call("GET", "/stats").text)
        for index, args in enumerate((flags[:1], flags[1:])):
            other = self.start_router(registry=url, args=args, name=f"other-{index}")
            wait_until(lambda: other.get("/health").get("registry_error"), 10, "the registry's refusal")
            self.assertEqual(other.services(), {})

    def test_a_registry_that_asks_for_a_certificate_is_shown_the_routers(self):
        mine = make_certificate(self.folder, "router")
        known = client_context(self.identity[0], mine)
        registry = self.new_registry("--tls-cert", self.identity[0], "--tls-key", self.identity[1],
                                     "--tls-ca", mine[0], tls=known).start()
        upstream = raw_upstream(self)
        registry.register("one", port=upstream.port, metadata={"type": "openai-api", "models": [MODEL]})
        flags = [f"--tls-ca={self.identity[0]}", f"--tls-cert={mine[0]}", f"--tls-key={mine[1]}"]
        router = self.start_router(registry=f"https://localhost:{registry.port}", args=flags, tls=client_context(mine[0]))
        wait_until(lambda: "one" in router.services(), 10, "the service")


if __name__ == "__main__":
    main()
