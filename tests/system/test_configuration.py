#!/usr/bin/env python3
"""Settings: file < environment < flags, messages of bad ones, the seed's registry_config.json and its `servers`."""

import json
import signal

from support.case import SystemTest, main
from support.registry_process import clean_environment, run_registry, service
from support.waiting import wait_until

SEED = {"registry": {"port": 8081, "health_interval": 30, "health_timeout": 5, "cleanup_interval": 60},
        "servers": [{"name": "server1", "host": "127.0.0.1", "services": ["gpu1", "gpu2"]},
                    {"name": "server2", "host": "127.0.0.2", "services": ["gpu3"]}]}


class Settings(SystemTest):
    def run_with(self, *flags, **env):
        return run_registry(*flags, folder=self.folder, env=clean_environment(**env))

    def printed(self, *flags, **env):
        ended = self.run_with("--print-config", *flags, **env)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        return json.loads(ended.stdout)["registry"]

    def test_the_defaults_are_those_of_the_original(self):
        defaults = self.printed()
        for key, value in {"port": 8081, "host": "0.0.0.0", "health_interval": 30, "health_timeout": 5,
                           "cleanup_interval": 60, "heartbeat_timeout": 120, "remove_after": 300, "unhealthy_after": 3,
                           "healthy_after": 1, "probe_concurrency": 64, "max_removal_share": 0.15,
                           "max_services": 100000,
                           "log_file": "logs/registry.log", "state_db": "data/registry.db"}.items():
            self.assertEqual(defaults[key], value, key)

    def test_the_flags_of_the_original(self):
        got = self.printed("--port", "9000", "--health-interval", "10", "--health-timeout=2", "--cleanup-interval",
                           "20")
        self.assertEqual([got[key] for key in ("port", "health_interval", "health_timeout", "cleanup_interval")],
                         [9000, 10, 2, 20])

    def test_file_is_below_environment_is_below_flags(self):
        config = self.write("config.json",
                            json.dumps({"registry": {"port": 1001, "health_interval": 11, "max_services": 7}}))
        env = {"INFINILM_REGISTRY_PORT": "1002", "INFINILM_REGISTRY_HEALTH_INTERVAL": "12s"}
        got = self.printed("--config", config, "--port", "1003", **env)
        self.assertEqual((got["port"], got["health_interval"], got["max_services"]), (1003, 12, 7))
        got = self.printed(INFINILM_REGISTRY_CONFIG=str(config))
        self.assertEqual((got["port"], got["health_interval"]), (1001, 11))

    def test_what_is_printed_can_be_read_again(self):
        printed = self.run_with("--print-config", "--health-interval", "1500ms", "--allow-networks",
                                "10.0.0.0/8,::1/128",
                                "--strict-servers=false").stdout
        again = self.run_with("--print-config", "--config", self.write("again.json", printed)).stdout
        self.assertEqual(again, printed)
        self.assertEqual(json.loads(printed)["registry"]["health_interval"], 1.5)

    def test_check_config(self):
        good = self.write("good.json", json.dumps(SEED))
        ended = self.run_with("--check-config", "--config", good)
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "configuration is valid\n", ""))
        self.assertEqual(list(self.folder.glob("data")), [], "nothing is opened or made")

    def test_check_config_reads_the_files_that_settings_name(self):
        tokens = self.write("tokens", "0123456789abcdef write\n")
        self.assertEqual(self.run_with("--check-config", "--token-file", tokens).returncode, 0)
        bad = self.write("bad", "short write\n")
        for flags, message in ((["--token-file", self.folder / "none"], "none"),
                               (["--token-file", bad], "line 1"),
                               (["--tls-cert", tokens, "--tls-key", tokens], "tokens"),
                               (["--tls-ca", self.folder / "none"], "none")):
            with self.subTest(flags=flags):
                ended = self.run_with("--check-config", *flags)
                self.assertEqual((ended.returncode, ended.stdout), (2, ""))
                self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
                self.assertIn(message, ended.stderr)

    def test_bad_flags(self):
        for flags, message in (
                (["--prot", "1"], "unknown flag '--prot'; did you mean '--port'?"),
                (["--port", "abc"], "'--port' must be an integer from 0 to 65535, got \"abc\""),
                (["--port", "70000"], "'--port' must be an integer from 0 to 65535, got 70000"),
                (["--port"], "flag '--port' needs a value"),
                (["--health-interval", "-1"], "'--health-interval' must be a duration from 0s to 24h, got \"-1\""),
                (["--health-interval", "5x"], "'--health-interval' must be a duration from 0s to 24h, got \"5x\""),
                (["--on-name-conflict", "maybe"],
                 "'--on-name-conflict' must be one of 'accept', 'reject', got \"maybe\""),
                (["--strict-servers=perhaps"], "'--strict-servers' must be true or false, got \"perhaps\""),
                (["--allow-networks", "10.0.0.0/33"], "allow_networks"),
                (["--max-removal-share", "0"], "'--max-removal-share' must be a number from 0.0001 to 1, got 0"),
                (["--remove-after", "5"], "remove_after must not be shorter than heartbeat_timeout"),
                (["--strict-servers"], "strict_servers needs a `servers` list"),
                (["--tls-cert", "x.pem"], "tls_cert and tls_key go together"),
                (["--log-level", "loud"], "loud"),
                (["extra"], "unexpected argument 'extra'")):
            with self.subTest(flags=flags):
                for more in ([], ["--check-config"]):
                    ended = self.run_with(*flags, *more)
                    self.assertEqual(ended.returncode, 2, ended)
                    self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
                    self.assertIn(message, ended.stderr)

    def test_bad_environment(self):
        ended = self.run_with(INFINILM_REGISTRY_PORT="many")
        self.assertEqual(ended.returncode, 2)
        self.assertIn("INFINILM_REGISTRY_PORT", ended.stderr)

    def test_bad_files(self):
        for text, message in (
                (None, "config.json: No such file or directory"),
                ("{\n  \"registry\": {\n    \"port\": 1,,\n", "config.json:3:15: "),
                ("[]", "config.json: the file must hold one JSON object"),
                ('{"registy": {}}', "config.json: unknown section 'registy'; did you mean 'registry'?"),
                ('{"registry": {"prot": 1}}', "config.json: unknown key 'registry.prot'; did you mean 'port'?"),
                ('{"registry": {"port": "x"}}',
                 "config.json: 'registry.port' must be an integer from 0 to 65535, got \"x\""),
                ('{"registry": {"port": 1.5}}',
                 "config.json: 'registry.port' must be an integer from 0 to 65535, got 1.5"),
                ('{"registry": 5}', "config.json: 'registry' must be an object, got 5"),
                ('{"servers": {}}', "config.json: 'servers' must be"),
                ('{"servers": [{"name": "a"}]}', "servers[0].host"),
                ('{"servers": [{"name": "a", "host": "h", "services": [1]}]}',
                 "'servers[0].services[0]' must be a string, got 1"),
                ('{"servers": [{"name": "a", "host": "h", "service": []}]}',
                 "unknown key 'servers[0].service'; did you mean 'services'?")):
            with self.subTest(text=text):
                path = self.folder / "config.json"
                path.unlink(missing_ok=True)
                if text is not None:
                    path.write_text(text)
                ended = self.run_with("--check-config", "--config", path)
                self.assertEqual(ended.returncode, 2, ended)
                self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)
                self.assertIn(message, ended.stderr)

    def test_check_config_finds_all_of_several_mistakes(self):
        config = self.write("config.json", '{"registry": {"prot": 1}}')
        ended = self.run_with("--check-config", "--config", config, "--max-services", "none", INFINILM_REGISTRY_HOST="")
        self.assertEqual(len(ended.stderr.splitlines()), 2, ended.stderr)

    def test_help_and_version(self):
        text = self.run_with("--help").stdout
        for flag in self.printed():
            self.assertIn("--" + flag.replace("_", "-"), text)
        self.assertRegex(self.run_with("--version").stdout, r"^infinilm-registry \d+\.\d+\.\d+")


class Servers(SystemTest):
    def start_with_servers(self, *flags):
        config = self.write("registry_config.json", json.dumps(SEED))
        return self.start_registry("--config", config, *flags)

    def missing(self, registry):
        return [item["name"] for item in registry.get("/stats")["expected_missing"]]

    def test_the_servers_of_the_file_that_are_not_registered_are_expected_missing(self):
        registry = self.start_with_servers()
        self.assertEqual(registry.get("/stats")["expected_missing"],
                         [{"name": "gpu1", "server": "server1", "host": "127.0.0.1"},
                          {"name": "gpu2", "server": "server1", "host": "127.0.0.1"},
                          {"name": "gpu3", "server": "server2", "host": "127.0.0.2"}])
        registry.register("gpu1")
        registry.register("gpu3-server", host="127.0.0.2")  # the engine's entry of that service
        registry.register("somebody-else")
        self.assertEqual(self.missing(registry), ["gpu2"])

    def test_strict_servers_admits_only_what_is_listed(self):
        registry = self.start_with_servers("--strict-servers")
        self.assertEqual(registry.register("gpu1")["service"]["name"], "gpu1")
        self.assertEqual(registry.register("gpu1-server")["service"]["name"], "gpu1-server")
        for fields, message in (({"name": "gpu9"}, "Service 'gpu9' is not in the registry's list of servers"),
                                ({"name": "gpu3"}, "Service 'gpu3' is listed for host 127.0.0.2, not for 127.0.0.1")):
            response = registry.call("POST", "/services", json=service("x") | fields)
            self.assertEqual((response.status, response.json()["error"]), (403, message))
        self.assertEqual(registry.call("PUT", "/services/gpu1", json={"host": "127.0.0.2"}).status, 403)

    def test_sighup_reads_the_file_again(self):
        registry = self.start_with_servers()
        changed = {"registry": {"unhealthy_after": 1},
                   "servers": [{"name": "s", "host": "127.0.0.1", "services": ["new"]}]}
        (self.folder / "registry_config.json").write_text(json.dumps(changed))
        registry.signal(signal.SIGHUP)
        wait_until(lambda: self.missing(registry) == ["new"], 5, "the new list")
        registry.register("dead", port=1, url="http://127.0.0.1:1")
        registry.get("/services/dead/health")
        self.assertEqual(registry.service("dead")["health_status"], "unhealthy")

    def test_a_bad_file_at_sighup_keeps_the_old_settings(self):
        registry = self.start_with_servers()
        (self.folder / "registry_config.json").write_text('{"registry": {"prot": 1}}')
        registry.signal(signal.SIGHUP)
        wait_until(lambda: "reload failed" in registry.log_text(), 5, "the refused reload")
        self.assertIn("did you mean 'port'?", registry.log_text())
        self.assertEqual(self.missing(registry), ["gpu1", "gpu2", "gpu3"])


if __name__ == "__main__":
    main()
