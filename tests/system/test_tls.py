#!/usr/bin/env python3
"""The registry over TLS: certificates, their reload on SIGHUP, old protocol versions, clients' certificates."""

import signal
import socket
import ssl
import threading

from support.case import SystemTest, main
from support.certificates import client_context, make_certificate, old_client_context, require_openssl
from support.fakes import FakeService
from support.registry_process import run_registry, sentences
from support.waiting import wait_until


class Tls(SystemTest):
    def setUp(self):
        super().setUp()
        require_openssl()
        self.certificate, self.key = make_certificate(self.folder, "server", "first")
        self.tls = client_context(self.certificate)

    def start_tls(self, *flags):
        return self.start_registry("--tls-cert", self.certificate, "--tls-key", self.key, *flags, tls=self.tls)

    def common_name(self, registry):
        context = ssl.create_default_context(cafile=str(self.certificate))
        with socket.create_connection(("127.0.0.1", registry.port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                subject = dict(item[0] for item in secure.getpeercert()["subject"])
                return subject["commonName"], secure.version()

    def test_requests_over_tls(self):
        registry = self.start_tls()
        with registry.connection() as connection:
            for _ in range(3):
                self.assertEqual(connection.request("GET", "/health").status, 200)
        registry.register("s", metadata={"filling": "x" * 60_000})
        self.assertEqual(registry.names(), ["s"])
        self.assertEqual(self.common_name(registry), ("first", "TLSv1.3"))
        self.assertEqual(registry.stop(), 0)

    def test_plain_http_on_the_tls_port_is_no_crash(self):
        registry = self.start_tls()
        with socket.create_connection(("127.0.0.1", registry.port), timeout=10) as plain:
            plain.sendall(b"GET /health HTTP/1.1\r\nHost: r\r\n\r\n")
            data = plain.recv(1000)
            self.assertFalse(data.startswith(b"HTTP/1.1 200"), data)
        self.assertEqual(registry.get("/health")["status"], "healthy")

    def test_a_client_that_never_shakes_hands_is_cut(self):
        registry = self.start_tls("--header-timeout", "500ms")
        with socket.create_connection(("127.0.0.1", registry.port), timeout=10) as silent:
            try:
                self.assertEqual(silent.recv(100), b"")
            except ConnectionResetError:
                pass

    def test_tls_1_1_is_refused_and_1_2_is_not(self):
        registry = self.start_tls()

        def version(port, highest):
            context = old_client_context(highest)
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                with context.wrap_socket(plain) as secure:
                    return secure.version()
        self.assertEqual(version(registry.port, ssl.TLSVersion.TLSv1_2), "TLSv1.2")
        with self.permissive_server() as port:  # the client itself could do it
            self.assertEqual(version(port, ssl.TLSVersion.TLSv1_1), "TLSv1.1")
        for old in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1):
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                version(registry.port, old)
        self.assertEqual(registry.get("/health")["status"], "healthy")

    def permissive_server(self):
        """A server that accepts TLS 1.1, as a control for the client side of the test above."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.load_cert_chain(str(self.certificate), str(self.key))
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]

        def serve():
            try:
                with context.wrap_socket(listener, server_side=True) as secure:
                    secure.accept()[0].close()
            except OSError:
                pass

        class Running:
            def __enter__(self):
                self.thread = threading.Thread(target=serve, daemon=True)
                self.thread.start()
                return port

            def __exit__(self, *_):
                self.thread.join(10)
                listener.close()
        return Running()

    def test_sighup_reloads_the_certificate_and_open_connections_stay(self):
        registry = self.start_tls()
        with registry.connection() as connection:
            self.assertEqual(connection.request("GET", "/health").status, 200)
            make_certificate(self.folder, "server", "second")
            registry.signal(signal.SIGHUP)
            wait_until(lambda: self.common_name_or_none(registry) == "second", 5, "the new certificate")
            self.assertEqual(connection.request("GET", "/health").status, 200)

    def common_name_or_none(self, registry):
        try:
            return self.common_name(registry)[0]
        except ssl.SSLError:
            return None  # still the old one, which the new file does not vouch for

    def test_a_bad_certificate_at_reload_keeps_the_old_one(self):
        registry = self.start_tls()
        good = self.certificate.read_text()
        self.certificate.write_text("nonsense")
        registry.signal(signal.SIGHUP)
        wait_until(lambda: "reload failed" in registry.log_text(), 5, "the refused reload")
        self.certificate.write_text(good)
        self.assertEqual(self.common_name(registry)[0], "first")

    def test_bad_tls_files_stop_the_start_with_one_sentence(self):
        _, other_key = make_certificate(self.folder, "other")
        nonsense = self.write("nonsense.pem", "nonsense")
        for certificate, key in ((self.certificate, None), (None, self.key), (self.certificate, other_key),
                                 (nonsense, self.key), (self.certificate, self.folder / "none.key")):
            with self.subTest(certificate=certificate, key=key):
                flags = [f"--tls-cert={certificate}"] * bool(certificate) + [f"--tls-key={key}"] * bool(key)
                ended = run_registry("--port=0", "--state-db=:memory:", "--log-file=", *flags, folder=self.folder)
                self.assertIn(ended.returncode, (1, 2))
                lines = sentences(ended.stderr)
                self.assertEqual(len(lines), 1, ended.stderr)
                self.assertRegex(lines[0], "tls|TLS")

    def test_with_a_ca_clients_must_show_a_certificate(self):
        client = make_certificate(self.folder, "client", "client")
        registry = self.start_tls("--tls-ca", client[0])
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            registry.call("GET", "/health")
        registry.tls = client_context(self.certificate, client)
        self.assertEqual(registry.get("/health")["status"], "healthy")

    def test_https_services_are_probed_and_their_certificates_verified(self):
        stranger = make_certificate(self.folder, "stranger", "stranger")
        registry = self.start_registry("--tls-ca", self.certificate)
        for identity, verdict in (((self.certificate, self.key), "healthy"), (stranger, "unhealthy")):
            fake = FakeService({"/health": 200})
            self.addCleanup(fake.close)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, identity))
            fake.server.socket = context.wrap_socket(fake.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
            registry.register(verdict, port=fake.port, host="localhost", url=f"https://localhost:{fake.port}")
            answer = registry.get(f"/services/{verdict}/health")
            self.assertEqual(answer["health_status"], verdict, answer)


if __name__ == "__main__":
    main()
