#!/usr/bin/env python3
"""Tokens, addresses that may be registered, and what a probe must never do."""

import signal

from support.case import SystemTest, main
from support.fakes import FakeService
from support.registry_process import run_registry, sentences, service
from support.waiting import let_time_pass, wait_until

READ, WRITE = "read-token-0123456789", "write-token-0123456789"
TOKENS = f"# for the tests\n{READ} read\n\n{WRITE} write\n"


class Tokens(SystemTest):
    def setUp(self):
        super().setUp()
        self.tokens = self.write("tokens", TOKENS)
        self.registry = self.start_registry("--token-file", self.tokens)

    def call(self, method, path, token=None, json=None, headers=()):
        if token:
            headers = [*headers, ("Authorization", f"Bearer {token}")]
        return self.registry.call(method, path, json=json, headers=headers)

    def test_health_and_the_api_description_are_open(self):
        for path in ("/health", "/openapi.json"):
            self.assertEqual(self.call("GET", path).status, 200)

    def test_everything_else_needs_a_token(self):
        for method, path in (("GET", "/services"), ("POST", "/services"), ("GET", "/services/x"),
                             ("PUT", "/services/x"),
                             ("DELETE", "/services/x"), ("GET", "/services/x/health"),
                             ("POST", "/services/x/heartbeat"),
                             ("GET", "/stats"), ("GET", "/metrics"), ("HEAD", "/services")):
            with self.subTest(method=method, path=path):
                response = self.call(method, path, json={} if method in ("POST", "PUT") else None)
                self.assertEqual(response.status, 401)
                self.assertEqual(response.header("WWW-Authenticate"), "Bearer")
                if method != "HEAD":
                    self.assertEqual(response.json()["error"], "A bearer token is required")

    def test_the_scopes(self):
        self.assertEqual(self.call("POST", "/services", WRITE, service("s")).status, 201)
        for path in ("/services", "/services/s", "/stats", "/metrics"):
            for token in (READ, WRITE):
                self.assertEqual(self.call("GET", path, token).status, 200)
        for method, path in (("POST", "/services"), ("PUT", "/services/s"), ("DELETE", "/services/s"),
                             ("POST", "/services/s/heartbeat")):
            response = self.call(method, path, READ, service("s") if method in ("POST", "PUT") else None)
            self.assertEqual((response.status, response.json()["error"]), (403, "This needs a token with write scope"))
        self.assertEqual(self.call("POST", "/services/s/heartbeat", WRITE).status, 200)
        self.assertEqual(self.call("DELETE", "/services/s", WRITE).status, 200)

    def test_what_is_not_a_valid_token(self):
        self.assertEqual(self.call("GET", "/services", headers=[("Authorization", f"bearer   {READ}")]).status, 200)
        for value in (READ, f"Basic {READ}", f"Bearer {READ}x", f"Bearer {READ[:-1]}", "Bearer",
                      f"Bearer {READ} {READ}",
                      f"Bearer  {READ.upper()}", "Bearer " + "x" * 5000):
            with self.subTest(value=value[:40]):
                response = self.call("GET", "/services", headers=[("Authorization", value)])
                self.assertEqual((response.status, response.json()["error"]), (401, "The bearer token is not valid"))
        both = [("Authorization", f"Bearer {READ}x"), ("Authorization", f"Bearer {READ}")]
        self.assertIn(self.call("GET", "/services", headers=both).status, (400, 401))

    def test_a_refusal_comes_before_the_body_is_read(self):
        with self.registry.connection() as connection:
            connection.send(b"POST /services HTTP/1.1\r\nHost: r\r\nContent-Length: 100000\r\n\r\n")
            self.assertEqual(connection.read_response().status, 401)

    def test_sighup_reloads_the_tokens_and_a_bad_file_changes_nothing(self):
        fresh = "fresh-token-0123456789"
        self.tokens.write_text(f"{fresh} read\n")
        self.registry.signal(signal.SIGHUP)
        wait_until(lambda: self.call("GET", "/services", fresh).status == 200, 5, "the new token")
        self.assertEqual(self.call("GET", "/services", READ).status, 401)
        for bad in ("", "# only a comment\n", "short read\n", f"{fresh} admin\n", "\0\0\0"):
            with self.subTest(file=bad):
                failures = self.registry.log_text().count("reload failed")
                self.tokens.write_text(bad)
                self.registry.signal(signal.SIGHUP)
                wait_until(lambda: self.registry.log_text().count("reload failed") > failures, 5, "the refused reload")
                self.assertEqual(self.call("GET", "/services", fresh).status, 200)
                self.assertEqual(self.call("GET", "/services").status, 401)
        self.assertNotIn(fresh, self.registry.log_text() + self.registry.stderr_text())

    def test_a_bad_token_file_stops_the_start(self):
        for content, why in ((None, "cannot be read"), ("", "there is no token in it"),
                             ("tooshort read\n", "line 1: a token must have 16 to 256 characters"),
                             (f"#\n{READ}\n", "line 2: expected '<token> read' or '<token> write'"),
                             (f"{READ} root\n", "line 1: the scope must be 'read' or 'write'"),
                             (f"{READ} read\n{READ} write\n", "line 2: the token of line 1 again")):
            with self.subTest(content=content):
                path = self.folder / "bad-tokens"
                path.unlink(missing_ok=True)
                if content is not None:
                    path.write_text(content)
                ended = run_registry("--port=0", "--state-db=:memory:", f"--token-file={path}", folder=self.folder)
                self.assertIn(ended.returncode, (1, 2))
                self.assertEqual(len(sentences(ended.stderr)), 1, ended.stderr)
                self.assertIn(why, ended.stderr)
                self.assertNotIn(READ, ended.stderr)


class StartupWarning(SystemTest):
    def warnings(self, *flags):
        registry = self.start_registry(*flags,
                                       name="".join(character for character in str(flags) if character.isalnum()))
        lines = [line for line in registry.log_text().splitlines() if " WARN " in line and "token" in line]
        registry.signal(signal.SIGHUP)  # does not say it again
        wait_until(lambda: "reloaded" in registry.log_text(), 5, "the reload")
        again = [line for line in registry.log_text().splitlines() if " WARN " in line and "token" in line]
        self.assertEqual(len(again), len(lines))
        return len(lines)

    def test_without_tokens_on_a_public_address_the_log_says_so_once(self):
        self.assertEqual(self.warnings("--host=0.0.0.0"), 1)

    def test_no_warning_on_loopback_or_with_tokens(self):
        self.assertEqual(self.warnings("--host=127.0.0.1"), 0)
        self.assertEqual(self.warnings("--host=0.0.0.0", f"--token-file={self.write('tokens', TOKENS)}"), 0)


class Addresses(SystemTest):
    def refusal(self, registry, **fields):
        response = registry.call("POST", "/services", json=service("s") | fields)
        return response.status, response.json().get("error", "")

    def test_link_local_unspecified_and_metadata_addresses_are_refused(self):
        registry = self.start_registry()
        for host in ("169.254.169.254", "169.254.0.1", "0.0.0.0", "0.1.2.3", "::", "fe80::1", "fd00:ec2::254",
                     "224.0.0.1",
                     "255.255.255.255", "ff02::1", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "[fe80::1]",
                     "2002:a9fe:a9fe::"):
            shown = host if host.startswith("[") or ":" not in host else f"[{host}]"
            for fields in ({"host": host}, {"url": f"http://{shown}:80/"},
                           {"metadata": {"health_url": f"http://{shown}/latest/meta-data"}}):
                with self.subTest(fields=fields):
                    status, error = self.refusal(registry, **fields)
                    self.assertEqual(status, 403, error)
                    self.assertIn(" is not allowed: ", error)
        self.assertEqual(registry.names(), [])

    def test_odd_forms_of_ipv4_are_refused(self):
        registry = self.start_registry()
        for host in ("2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.01", "1.2.3.4.5",
                     "256.1.1.1"):
            for fields in ({"host": host}, {"url": f"http://{host}/"},
                           {"metadata": {"health_url": f"http://{host}:80/h"}}):
                with self.subTest(fields=fields):
                    self.assertIn(self.refusal(registry, **fields)[0], (400, 403))
        self.assertEqual(registry.names(), [])

    def test_an_update_is_checked_as_a_registration_is(self):
        registry = self.start_registry()
        registry.register("s")
        for fields in ({"host": "169.254.169.254"}, {"url": "http://169.254.169.254/"},
                       {"metadata": {"health_url": "http://169.254.169.254/"}}):
            self.assertEqual(registry.call("PUT", "/services/s", json=fields).status, 403)
        self.assertEqual(registry.service("s")["host"], "127.0.0.1")

    def test_a_host_name_is_judged_by_what_it_resolves_to(self):
        registry = self.start_registry("--allow-networks", "127.0.0.0/8,::1/128")
        self.assertEqual(self.refusal(registry, host="localhost", url="http://localhost:1/")[0], 201)
        other = self.start_registry("--allow-networks", "10.0.0.0/8", name="other")
        status, error = self.refusal(other, host="localhost", url="http://localhost:1/")
        self.assertEqual(status, 403, error)

    def test_link_local_may_be_allowed(self):
        registry = self.start_registry("--allow-link-local")
        self.assertEqual(self.refusal(registry, host="169.254.1.1", url="http://169.254.1.1:1/")[0], 201)
        self.assertEqual(self.refusal(registry, host="0.0.0.0", url="http://0.0.0.0:1/")[0], 403)

    def test_allow_networks_is_a_list_of_all_that_may_register(self):
        registry = self.start_registry("--allow-networks", "10.1.0.0/16, 127.0.0.0/8,2001:db8::/32")
        for host, status in (("10.1.2.3", 201), ("127.0.0.9", 201), ("10.2.0.1", 403), ("192.168.1.1", 403),
                             ("8.8.8.8", 403),
                             ("::1", 403), ("2001:db8::1", 201), ("::ffff:10.1.0.1", 201)):
            with self.subTest(host=host):
                shown = f"[{host}]" if ":" in host else host
                self.assertEqual(self.refusal(registry, host=host, url=f"http://{shown}:1/")[0], status)
        status, error = self.refusal(registry, host="10.1.2.3", url="http://10.2.0.1/")
        self.assertEqual(status, 403)
        self.assertIn("10.2.0.1 is in none of the allowed networks", error)


class ProbeSafety(SystemTest):
    def test_redirects_are_not_followed(self):
        registry = self.start_registry()
        with FakeService({"/secret": 200}) as target, FakeService() as redirecting:
            for code in (301, 302, 303, 307, 308):
                redirecting.answers["/health"] = lambda handler, code=code: handler.answer(
                    code, headers=[("Location", f"http://127.0.0.1:{target.port}/secret")])
                registry.register("s", port=redirecting.port, url=f"http://127.0.0.1:{redirecting.port}")
                answer = registry.get("/services/s/health")
                self.assertEqual((answer["health_status"], answer["probe"]["status"]), ("unhealthy", code))
            self.assertEqual(target.hits, [])

    def test_a_probe_carries_no_token_of_the_caller(self):
        registry = self.start_registry("--token-file", self.write("tokens", TOKENS), token=WRITE)
        with FakeService({"/health": 200}) as fake:
            registry.register("s", port=fake.port, url=f"http://127.0.0.1:{fake.port}")
            self.assertEqual(registry.get("/services/s/health")["health_status"], "healthy")
            self.assertNotIn("Authorization", fake.headers)
            self.assertNotIn("token", str(fake.headers))

    def test_an_endless_answer_does_not_hold_the_prober(self):
        registry = self.start_registry("--health-timeout", "1s")

        def endless(handler):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                handler.wfile.write(b"X-Filler: " + b"x" * 1000 + b"\r\n")
        with FakeService({"/health": endless}) as fake:
            registry.register("s", port=fake.port, url=f"http://127.0.0.1:{fake.port}")
            self.assertEqual(registry.get("/services/s/health")["health_status"], "unhealthy")

    def test_log_lines_cannot_be_forged_by_names(self):
        registry = self.start_registry()
        before = len(registry.log_text().splitlines())
        registry.register("n", status="x y=\"z\"")
        response = registry.call("POST", "/services", json=service("evil\n2026-01-01T00:00:00.000000Z ERROR forged"))
        self.assertEqual(response.status, 400)
        let_time_pass(0.1)
        self.assertNotIn("\n2026-01-01T00:00:00.000000Z ERROR", registry.log_text())
        self.assertLessEqual(len(registry.log_text().splitlines()) - before, 3)


if __name__ == "__main__":
    main()
