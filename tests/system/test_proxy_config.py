#!/usr/bin/env python3
"""infinilm-ctl generate-config: nginx and HAProxy take the files, and requests and streams pass through them."""

import json
import re
import stat
import subprocess
import unittest

from support import http_wire
from support.case import main
from support.certificates import make_certificate
from support.documents import page, rows, section
from support.fakes import FakeService
from support.foreign_proxy import CTL, HAPROXY, NGINX, ForeignProxy, check, run_ctl
from support.raw_upstream import event, raw_upstream, stream_head
from support.router_process import RouterTest, free_port
from support.sim_process import CHAT, Stream, chat
from support.waiting import patience

METHODS = ("round_robin", "weighted", "least_connections", "ip_hash", "session", "random", "no_such_method")
HERE = [kind for kind, binary in (("nginx", NGINX), ("haproxy", HAPROXY)) if binary]
# Names and hosts that would be directives if they were not names.
HOSTILE_NAMES = ["a;b", "}\n", "x\n}\nserver { listen 1; }\n#", "$host ${remote_addr}", "'\"\\", "\\", "тест", "a" * 253,
                 " ", "#", "\u2028", "%[env(HOME)]", "a\rb", "../../etc/passwd"]
HOSTILE_HOSTS = ["1.2.3.4;", "h {", "127.0.0.1:1 weight=9", "unix:/run/x.sock", "$host", "a\nb", "", "127.0.0.1 backup",
                 "-e", "0x7f.1"]


def entry(name, port, host="127.0.0.1", **fields):
    """As a registry lists it."""
    return {"name": name, "host": host, "port": port, "hostname": "h", "url": f"http://{host}:{port}",
            "status": "running", "is_healthy": True, "metadata": {"type": "openai-api"}} | fields


class ProxyConfigTest(RouterTest):
    def generate(self, *flags, kind="nginx", name=None, code=0):
        """Returns (path of the file, what was said)."""
        path = self.folder / (name or f"{kind}.conf")
        done = run_ctl("generate-config", *flags, "--format", kind, "-o", path, folder=self.folder)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        return path, done.stderr

    def start_proxy(self, *flags, kind):
        port = free_port()
        path, _ = self.generate(*flags, "--listen", f"127.0.0.1:{port}", kind=kind)
        proxy = ForeignProxy(self, kind, path, port)
        proxy.wait_for(lambda: self.call(proxy, "GET", "/health").status == 200, f"{kind} to answer")
        return proxy

    def call(self, proxy, method, path, **options):
        return http_wire.call(proxy.port, method, path, **options)

    def fake_registry(self, services):
        """A registry that says what it is told."""
        answer = json.dumps({"services": services}).encode()
        fake = FakeService({"/services?healthy=true": lambda handler: handler.answer(200, answer)})
        self.addCleanup(fake.close)
        return f"http://127.0.0.1:{fake.port}"

    def static_file(self, *services, name="static.json"):
        return self.write(name, json.dumps({"services": list(services)}))

    def config_file(self, services=(), **settings):
        return self.write("router.json", json.dumps({"router": settings, "static_services": {"services": services}}))


@unittest.skipIf(len(HERE) < 2, "needs nginx and haproxy (scripts/install_deps.sh --dev)")
class Traffic(ProxyConfigTest):
    def registered_sims(self, count):
        registry = self.start_registry()
        sims = self.start_sims(count)
        for sim in sims:
            registry.register(sim.name, port=sim.port, metadata={"type": "openai-api", "models": ["sim-model"]})
        registry.register("an-agent", port=1, metadata={"type": "infinilm"})
        return registry, sims

    def names_of(self, proxy, count):
        answers = [self.call(proxy, "POST", CHAT, json=chat()) for _ in range(count)]
        self.assertEqual({answer.status for answer in answers}, {200}, answers)
        return [answer.header("x-sim-name") for answer in answers]

    def test_requests_and_streams_reach_the_registered_instances(self):
        registry, sims = self.registered_sims(2)
        for kind in HERE:
            with self.subTest(kind):
                proxy = self.start_proxy("--registry", f"http://127.0.0.1:{registry.port}/services", kind=kind)
                proxy.wait_for(lambda: set(self.names_of(proxy, 6)) == {"sim-0", "sim-1"}, "both to be used")
                stream = Stream(self.streaming(proxy))
                self.assertEqual(stream.status, 200)
                events = stream.events()
                self.assertEqual(events[-1], "[DONE]")
                self.assertGreater(len(events), 5)
                # One dies; nobody notices.
                sims[0].kill()
                self.assertEqual(set(self.names_of(proxy, 6)), {"sim-1"})
                sims[0].come_back()

    def streaming(self, proxy):
        connection = http_wire.Connection(proxy.port)
        self.addCleanup(connection.close)
        connection.send(http_wire.request_bytes("POST", CHAT, json=chat(stream=True, max_tokens=8)))
        return connection

    def test_each_piece_of_a_stream_comes_before_the_next_one_is_made(self):
        def script(connection, request):
            if request.target == b"/health":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                return True
            connection.wait_end()  # the test speaks for it
            return False
        for kind in HERE:
            with self.subTest(kind):
                upstream = raw_upstream(self, script)
                proxy = self.start_proxy("--static", self.static_file(entry("raw", upstream.port)), kind=kind)
                client = self.streaming(proxy)
                engine = proxy.wait_for(lambda: next((connection for connection in upstream.connections
                                                      if CHAT.encode() in connection.received), None), "the request")
                engine.send(stream_head() + event("one"))
                stream = Stream(client)
                self.assertEqual(stream.chunk(), b"data: one\n\n")
                engine.send(event("two"))
                self.assertEqual(stream.chunk(), b"data: two\n\n")
                # It breaks off: that must not look like an end.
                engine.close()
                self.assertRaises(ConnectionError, stream.chunk)

    def test_hosts_that_are_none_are_refused(self):
        for kind in HERE:
            with self.subTest(kind):
                upstream = raw_upstream(self)
                proxy = self.start_proxy("--static", self.static_file(entry("raw", upstream.port)), kind=kind)
                for host in ("localhost/v1/models?", "a?b", "a#b", "a b", "a@b"):
                    answer = http_wire.raw_exchange(proxy.port, f"GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                    self.assertEqual(answer.status, 400, host)
                for host in ("localhost", "127.0.0.1:8080", "[::1]:80"):
                    answer = http_wire.raw_exchange(proxy.port, f"GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                    self.assertEqual(answer.status, 200, host)

    def test_backups_work_beside_every_method(self):
        [spare] = self.start_sims(1)
        services = [entry("dead", free_port()), entry("spare", spare.port, backup=True)]
        for method in ("ip_hash", "session", "least_connections"):
            for kind in HERE:
                with self.subTest(method=method, kind=kind):
                    config = self.config_file(services=[{key: value for key, value in service.items() if key in
                                                         ("name", "host", "port", "backup")} for service in services],
                                              load_balancing_method=method)
                    proxy = self.start_proxy("--router-config", config, kind=kind)
                    proxy.wait_for(lambda: self.call(proxy, "POST", CHAT, json=chat()).status == 200, "the backup")
                    self.assertEqual(set(self.names_of(proxy, 3)), {"sim-0"})
                    proxy.stop()

    def test_own_pages_of_nginx(self):
        registry = self.fake_registry([entry(name, 5001 + number) for number, name in enumerate(HOSTILE_NAMES)])
        proxy = self.start_proxy("--registry", registry, kind="nginx")
        self.assertEqual(self.call(proxy, "GET", "/health").body, b"healthy\n")
        page = self.call(proxy, "GET", "/services").json()
        self.assertEqual([item["name"] for item in page["services"]], HOSTILE_NAMES)
        self.assertEqual(page["total"], len(HOSTILE_NAMES))


class Files(ProxyConfigTest):
    def test_both_take_every_method(self):
        services = [{"name": "a", "host": "127.0.0.1", "port": 1, "weight": 1_000_000},
                    {"name": "b", "host": "::1", "port": 2, "weight": 3, "fail_timeout": "1500ms"},
                    {"name": "c", "host": "127.0.0.1", "port": 3, "backup": True, "max_fails": 0},
                    {"name": "d", "host": "127.0.0.1", "port": 4, "weight": 0}]
        static = self.static_file(*services)
        for method in METHODS[:-1]:
            config = self.config_file(load_balancing_method=method, proxy_timeout="500ms", retry_max=0)
            for kind in HERE:
                with self.subTest(method=method, kind=kind):
                    path, said = self.generate("--static", static, "--router-config", config, kind=kind)
                    good, words = check(path, kind)
                    self.assertTrue(good, words)
                    self.assertNotRegex(words, r"(?i)\[?(warn|emerg|alert)")
                    self.assertIn("weights are scaled down", said)
                    self.assertIn("3 instances", said)

    def test_both_take_thousands(self):
        static = self.static_file(*({"name": f"n{number}", "host": f"10.0.{number // 250}.{number % 250}", "port": 5001}
                                    for number in range(5000)))
        for kind in HERE:
            path, said = self.generate("--static", static, kind=kind)
            self.assertIn("5000 instances", said)
            good, words = check(path, kind)
            self.assertTrue(good, words)

    def test_nothing_that_is_registered_becomes_configuration(self):
        services = [entry(name, 5001 + number) for number, name in enumerate(HOSTILE_NAMES)]
        services += [entry(f"bad-host-{number}", 1, host) for number, host in enumerate(HOSTILE_HOSTS)]
        services += [entry("bad-port", 0), entry("worse-port", "80; include x"), entry("odd", 6000, weight="9 backup",
                                                                                      fail_timeout="1s; x", max_fails={})]
        registry = self.fake_registry(services)
        for kind in ("nginx", "haproxy"):
            with self.subTest(kind):
                path, said = self.generate("--registry", registry, kind=kind)
                for number in range(len(HOSTILE_HOSTS)):
                    self.assertIn(f"left out: 'bad-host-{number}' has no usable host\n", said)
                self.assertIn("left out: 'worse-port' has no usable port", said)
                text = path.read_text()
                servers = [line.split() for line in text.splitlines() if line.strip().startswith("server ")
                           and not line.endswith("{")]
                address = 1 if kind == "nginx" else 2
                self.assertEqual([words[address] for words in servers],
                                 [f"127.0.0.1:{5001 + number}" for number in range(len(HOSTILE_NAMES))]
                                 + ["127.0.0.1:6000"])
                if kind in HERE:
                    good, words = check(path, kind)
                    self.assertTrue(good, words)

    def test_with_nobody_to_send_to_the_old_file_stays(self):
        path = self.write("nginx.conf", "the old one\n")
        unhealthy = [entry("x", 1, is_healthy=False), entry("y", 1, status="draining"),
                     entry("agent", 2, metadata={"type": "vllm"})]
        for source, message in (
                (["--registry", self.fake_registry([])], "lists no healthy instance"),
                (["--registry", self.fake_registry(unhealthy)], "lists no healthy instance"),
                (["--registry", f"http://127.0.0.1:{free_port()}"], "cannot be asked: nothing listens"),
                (["--registry", self.fake_registry([entry("zero", 1, weight=0)])], "no instance that may get requests"),
                (["--registry", self.fake_registry([entry("m", 1, models=["a"])]), "--model", "b"],
                 "no instance that may get requests for the model 'b'"),
                (["--registry", self.fake_registry([entry("far", 1, "no-such-host.invalid")])],
                 "its host no-such-host.invalid has no address here")):
            with self.subTest(source):
                _, said = self.generate(*source, code=1)
                self.assertIn(message, said)
                self.assertEqual(path.read_text(), "the old one\n")
        self.assertEqual([item.name for item in self.folder.iterdir() if item.name.startswith("nginx")], ["nginx.conf"])

    def test_files_stand_in_for_a_registry_that_does_not_answer_at_all(self):
        server = self.write("server1_services.json", json.dumps({"services": [
            {"name": "one", "host": "127.0.0.1", "port": 5001, "weight": 3},
            {"name": "spare", "host": "127.0.0.1", "port": 5003}]}))
        config = self.config_file([{"name": name, "host": "127.0.0.1", "port": port, "backup": True}
                                   for name, port in (("spare", 5005), ("fixed", 5007))])
        flags = ["--stand-in", server, "--router-config", config]
        path, said = self.generate("--registry", f"http://127.0.0.1:{free_port()}", *flags)
        self.assertIn("nothing listens", said)
        self.assertIn("what the files say is taken", said)
        for server_line in ("127.0.0.1:5001 weight=3 ", "127.0.0.1:5003 ", "127.0.0.1:5007 "):
            self.assertIn(f"server {server_line}", path.read_text())
        self.assertNotIn("5005", path.read_text())
        self.assertIn(str(server), path.read_text().splitlines()[0])
        before = path.read_text()
        _, said = self.generate("--registry", self.fake_registry([]), *flags, code=1)  # it answers
        self.assertIn("lists no healthy instance", said)
        self.assertEqual(path.read_text(), before)

    def test_a_registry_that_is_none(self):
        fake = FakeService({"/services?healthy=true": lambda handler: handler.answer(200, b"<html>")})
        self.addCleanup(fake.close)
        _, said = self.generate("--registry", f"http://127.0.0.1:{fake.port}", code=1)
        self.assertIn("the registry's answer cannot be read", said)
        fake.answers.clear()
        _, said = self.generate("--registry", f"http://127.0.0.1:{fake.port}", code=1)
        self.assertIn("answers 404", said)

    def test_a_name_without_an_address_costs_nginx_nothing(self):
        registry = self.fake_registry([entry("far", 1, "no-such-host.invalid"), entry("near", 2)])
        path, said = self.generate("--registry", registry)
        self.assertIn("left out: 'far': its host no-such-host.invalid has no address here", said)
        self.assertNotIn("no-such-host", path.read_text())
        path, _ = self.generate("--registry", registry, kind="haproxy")
        self.assertIn("no-such-host.invalid:1", path.read_text())  # it looks names up by itself, and goes on without
        for kind in HERE:
            good, words = check(self.folder / f"{kind}.conf", kind)
            self.assertTrue(good, words)

    def test_the_file_is_written_whole_or_not_at_all(self):
        static = self.static_file({"name": "a", "host": "127.0.0.1", "port": 1})
        path, said = self.generate("--static", static)
        self.assertIn("nginx.conf written: 1 instance\n", said)
        path.chmod(0o600)
        before = path.stat()
        _, said = self.generate("--static", static)
        self.assertIn("is up to date: 1 instance\n", said)
        self.assertEqual(path.stat().st_mtime_ns, before.st_mtime_ns)
        # Another list: the new text under the old mode, also behind a link.
        link = self.folder / "link.conf"
        link.symlink_to(path)
        other = self.static_file({"name": "b", "host": "127.0.0.1", "port": 2}, name="other.json")
        self.generate("--static", other, name="link.conf")
        self.assertTrue(link.is_symlink())
        self.assertIn("127.0.0.1:2 ", path.read_text())
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        _, said = self.generate("--static", static, name="no/such/folder.conf", code=1)
        self.assertIn("cannot write", said)
        _, said = self.generate("--static", static, name=".", code=2)
        self.assertIn("is no file", said)

    def test_without_a_file_it_is_printed(self):
        static = self.static_file({"name": "a", "host": "127.0.0.1", "port": 1})
        done = run_ctl("generate-config", "--static", static, folder=self.folder)
        path, _ = self.generate("--static", static)
        self.assertEqual((done.returncode, done.stdout), (0, path.read_text()))

    def test_a_full_disk_is_an_error(self):
        static = self.static_file({"host": "127.0.0.1", "port": 1})
        with open("/dev/full", "wb") as full:
            done = subprocess.run([CTL, "generate-config", "--static", static], stdout=full, stderr=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL, timeout=patience(60), check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cannot write to standard output: No space left on device", done.stderr)

    def test_the_settings_are_the_routers(self):
        static = self.static_file({"name": "a", "host": "127.0.0.1", "port": 1})
        # Without a file: as with one that changes nothing.
        empty, _ = self.generate("--static", static, "--router-config", self.config_file(), name="empty.conf")
        none, _ = self.generate("--static", static, name="none.conf")
        self.assertEqual(empty.read_text(), none.read_text())
        config = self.config_file(port=9123, load_balancing_method="least_conn", proxy_timeout=77,
                                  proxy_connect_timeout="2500ms", max_body_bytes=4096)
        path, _ = self.generate("--static", static, "--router-config", config)
        for line in ("listen 9123;", "least_conn;", "proxy_read_timeout 77s;", "proxy_connect_timeout 2500ms;",
                     "client_max_body_size 4096;"):
            self.assertIn(line, path.read_text())
        path, _ = self.generate("--static", static, "--router-config", config, kind="haproxy")
        for line in ("bind :9123\n", "balance leastconn\n", "timeout server 77s\n", "timeout connect 2500ms\n"):
            self.assertIn(line, path.read_text())

    def test_the_router_configuration_names_registry_and_static_services(self):
        registry = self.fake_registry([entry("both", 5001), entry("registered", 5003)])
        static = [{"name": "both", "host": "127.0.0.1", "port": 1}, {"name": "spare", "host": "127.0.0.1", "port": 5005,
                                                                   "backup": True}]
        second = self.static_file({"name": "second", "host": "127.0.0.1", "port": 5007})
        config = self.config_file(static, registry_url=registry + "/services", static_services=str(second))
        path, _ = self.generate("--router-config", config)
        text = path.read_text()
        for port in (5001, 5003, 5005, 5007):
            self.assertIn(f"server 127.0.0.1:{port} ", text)
        self.assertNotIn("127.0.0.1:1 ", text)
        # Without a registry its static services are all there is.
        path, _ = self.generate("--router-config", self.config_file(static))
        self.assertIn("server 127.0.0.1:1 ", path.read_text())

    def test_a_registry_with_a_token(self):
        tokens = self.write("tokens", "reader-0123456789 read\n")
        token = self.write("token", "reader-0123456789\n")
        registry = self.start_registry("--token-file", tokens)
        url = f"http://127.0.0.1:{registry.port}"
        _, said = self.generate("--registry", url, code=1)
        self.assertIn("answers 401; --token-file has its token", said)
        _, said = self.generate("--registry", url, "--token-file", token, code=1)
        self.assertIn("lists no healthy instance", said)
        _, said = self.generate("--router-config", self.config_file(registry_url=url, registry_token_file=str(token)),
                                code=1)
        self.assertIn("lists no healthy instance", said)

    def test_tls_of_port_and_instances(self):
        authority, key = make_certificate(self.folder, "proxy")
        both = self.folder / "both.pem"
        both.write_text(authority.read_text() + key.read_text())
        services = [{"name": "a", "host": "localhost", "port": 1, "tls": True},
                    {"name": "b", "host": "localhost", "port": 2, "tls": True}]
        for kind, cert, key_file in (("nginx", authority, key), ("haproxy", both, both)):
            config = self.config_file(services, tls_cert=str(cert), tls_key=str(key_file), tls_ca=str(authority))
            path, _ = self.generate("--router-config", config, kind=kind)
            if kind in HERE:
                good, words = check(path, kind)
                self.assertTrue(good, words)
        config = self.config_file(services, tls_cert=str(authority), tls_key=str(key))
        _, said = self.generate("--router-config", config, kind="haproxy", code=2)
        self.assertIn("HAProxy wants certificate and key in one file", said)
        mixed = [*services, {"name": "c", "host": "localhost", "port": 3}]
        _, said = self.generate("--router-config", self.config_file(mixed), code=2)
        self.assertIn("nginx cannot have http and https instances in one group", said)

    def test_the_page_has_every_flag(self):
        said = set(re.findall(r"(--[a-z-]+)", run_ctl("generate-config", "--help", folder=self.folder).stdout))
        told = {flag for cells in rows(section(page("docs/packaging.md"), "nginx and HAProxy"))
                for flag in re.findall(r"--[a-z-]+", cells[0])}
        self.assertEqual(told, said - {"--help"})

    def test_wrong_usage_is_one_sentence(self):
        bad = self.write("bad.json", '{"router": {"prot": 1}}')
        static = self.static_file({"name": "a", "host": "127.0.0.1", "port": 1})
        for flags, message in (
                ([], "say where the instances are"),
                (["--registry", "http://127.0.0.1:1", "--static", static], "excludes"),
                (["--registry", "ftp://x"], "--registry"),
                (["--static", "nope.json"], "nope.json: No such file or directory"),
                (["--static", self.write("list.json", '{"services": [{"host": "h"}]}')],
                 "list.json: services[0] has no usable port"),
                (["--router-config", "nope.json"], "nope.json: No such file or directory"),
                (["--router-config", bad], "unknown key 'router.prot'; did you mean 'port'?"),
                (["--router-config", self.config_file()], "has neither a registry_url nor static services"),
                (["--static", static, "--format", "apache"], "apache"),
                (["--static", static, "--listen", "x"], "--listen must be PORT or ADDRESS:PORT, got 'x'"),
                (["--static", static, "--listen", "0"], "--listen"),
                (["--nope"], "--nope")):
            with self.subTest(flags=flags):
                done = run_ctl("generate-config", *flags, folder=self.folder)
                self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertIn(message, done.stderr)


if __name__ == "__main__":
    main()
