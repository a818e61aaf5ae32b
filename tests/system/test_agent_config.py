#!/usr/bin/env python3
"""The agent's settings: flags of earlier agents, forms of the file, the services file, --dry-run, bad ones."""

import json
import os
import shlex
import subprocess

from support.case import SystemTest, main
from support.daemon_process import BIN_DIR, SOURCE_DIR, clean_environment, run_binary
from support.waiting import patience

BINARY = BIN_DIR / "infinilm-agent"
SCRIPT = SOURCE_DIR / "scripts" / "start_service_instance.sh"

KINDS = "command, infinilm, infinilm-rust, vllm, sglang, llama-cpp, sim, mock"
PORT_IS_MISSING = "port is required: --port 5001, or 'port' in the configuration file, or --services FILE"

URL = "must be an http or https URL of at most 1024 bytes"

FLAT = """name = "gpu1"
host = "10.0.0.1"
port = 8100
registry_url = "http://registry:18000"
router_url = "http://router:8000"

[babysitter]
max_restarts = 7
restart_delay = 5
heartbeat_interval = 30

[backend]
type = "command"
command = "python3 -u"
args = ["engine.py", "--port", "${PORT}", "a b", "--json={\\"a\\": 1}"]
work_dir = "/srv/${NAME}"
env = { CUDA_VISIBLE_DEVICES = "0,1" }

[metadata]
cache_type = "paged"
deep = { list = [1, 2] }

[agent]
startup_timeout = "5m"
"""

ENGINE = '[Qwen3-32B]\npath = "/models/Qwen3-32B"\ngpus = [0, 1]\nmax-tokens = 4096\n'


def environment(**extra):
    kept = {key: value for key, value in clean_environment().items() if not key.startswith("INFINILM_AGENT")}
    return {**kept, **extra}


def entry(name, port, host="server1", **more):
    return {"name": name, "host": host, "port": port, **more}


class AgentConfigTest(SystemTest):
    def run_with(self, *flags, **env):
        return run_binary(BINARY, *flags, folder=self.folder, env=environment(**env))

    def output(self, *flags, **env):
        ended = self.run_with(*flags, **env)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""), flags)
        return ended.stdout

    def printed(self, *flags, **env):
        return json.loads(self.output("--print-config", *flags, **env))["agent"]

    def dry_run(self, *flags, **env):
        """{service: {what: [values]}}; the registrations as (URL, JSON)."""
        services = {}
        for line in self.output("--dry-run", *flags, **env).splitlines():
            if not line.startswith("  "):
                current = services[line.split()[1]] = {"type": line.split()[2].strip("()")}
                continue
            what, value = line.strip().split(": ", 1)
            if what == "registered" and value != "nowhere":
                method, url, body = value.split(" ", 2)
                self.assertEqual(method, "POST")
                value = (url, json.loads(body))
            current.setdefault(what, []).append(value)
        return services

    def command(self, *flags, **env):
        """The words of the one command of the one service."""
        [service] = self.dry_run(*flags, **env).values()
        [command] = service["command"]
        return shlex.split(command)

    def assert_refused(self, flags, sentence, **env):
        for more in ([], ["--check-config"], ["--dry-run"]):
            ended = self.run_with(*flags, *more, **env)
            self.assertEqual((ended.returncode, ended.stdout), (2, ""), ended)
            first = ended.stderr.splitlines()[0].split(": ", 2)
            self.assertEqual(first[0], "infinilm-agent")
            self.assertEqual(first[2], sentence)
            if not more:
                self.assertEqual(len(ended.stderr.splitlines()), 1, ended.stderr)

    def write_json(self, name, value):
        return self.write(name, json.dumps(value))

    def services(self, *entries, name="services.json"):
        return self.write_json(name, {"services": list(entries)})


class Flags(AgentConfigTest):
    def test_check_config_reads_the_files_that_settings_name(self):
        flags = ["--port=5001", "--name=g", "--service-type=sim", "--check-config"]
        self.assertEqual(self.run_with(*flags).returncode, 0)
        for flag in ("token-file", "registry-token-file", "tls-ca"):
            ended = self.run_with(*flags, f"--{flag}={self.folder}/none")
            self.assertEqual((ended.returncode, ended.stdout), (2, ""), ended)
            self.assertIn("/none", ended.stderr)

    def test_those_of_the_seed(self):
        config = self.write("service_instance1.toml", ENGINE)
        [[name, service]] = self.dry_run("--port", "5001", "--config", config, "--name", "infinilm-gpu1", "--registry",
                                         "http://192.168.1.100:8081/services", "--host", "192.168.1.10").items()
        self.assertEqual((name, service["type"]), ("infinilm-gpu1", "infinilm-rust"))
        self.assertEqual(service["command"], [f"xtask service {config} -p 5001"])
        self.assertEqual(service["alive"], ["http://192.168.1.10:5001/health"])
        self.assertEqual(service["pages"], ["http://192.168.1.10:5002/health"])
        self.assertEqual(service["log"], ["logs/infinilm-gpu1.log"])
        [agent, engine] = service["registered"]
        for url, body in (agent, engine):
            self.assertEqual(url, "http://192.168.1.100:8081/services")
            self.assertEqual((body["host"], body["status"]), ("192.168.1.10", "running"))
        self.assertEqual((agent[1]["name"], agent[1]["port"], agent[1]["metadata"]["type"]),
                         ("infinilm-gpu1", 5002, "infinilm-rust"))
        self.assertEqual((engine[1]["name"], engine[1]["port"], engine[1]["metadata"]["type"]),
                         ("infinilm-gpu1-server", 5001, "openai-api"))

    def test_the_script_of_the_seed_takes_them(self):
        config = self.write("service_instance1.toml", ENGINE)
        flags = ["--port", "5001", "--config", config, "--name", "infinilm-gpu1", "--registry",
                 "http://127.0.0.1:8081/services", "--dry-run"]
        done = subprocess.run([str(SCRIPT), *map(str, flags)], cwd=self.folder, text=True, capture_output=True,
                              env=environment(INFINILM_BIN_DIR=str(BIN_DIR)), timeout=patience(60), check=False)
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", self.output(*flags)))
        for arguments, code in (["-h"], 0), (["--help"], 0), ([], 2):
            done = subprocess.run([str(SCRIPT), *arguments], cwd=self.folder, text=True, capture_output=True,
                                  timeout=patience(60), check=False)
            self.assertEqual(done.returncode, code)
            self.assertIn("usage: scripts/start_service_instance.sh --port PORT", done.stdout + done.stderr)

    def test_those_of_the_python_agent(self):
        got = self.printed("--host", "10.0.0.1", "-p", "5001", "-n", "x", "--registry", "http://r:1", "--router",
                           "http://o:1", "--max-restarts", "10", "--restart-delay", "5", "--heartbeat-interval", "30",
                           "--service-type", "InfiniLM", "--path", "/m", "--dev", "nvidia", "--ndev", "2",
                           "--max-batch", "3", "--max-tokens", "512", "--awq", "--request-timeout", "300",
                           "--max-concurrency", "8", "--launch-script", "/opt/s/launch_server.py")
        wanted = {"host": "10.0.0.1", "port": 5001, "name": "x", "registry_url": "http://r:1",
                  "router_url": "http://o:1", "max_restarts": 10, "restart_delay": 5, "heartbeat_interval": 30,
                  "service_type": "InfiniLM", "path": "/m", "device": "nvidia", "tp": 2, "max_batch": 3,
                  "max_tokens": 512, "awq": True, "request_timeout": 300, "max_concurrency": 8,
                  "launch_script": "/opt/s/launch_server.py"}
        self.assertEqual({key: got[key] for key in wanted}, wanted)

    def test_those_of_the_rust_agent(self):
        got = self.printed("--name", "x", "--port", "8100", "--service-type", "command", "--command", "run",
                           "--args", "a 'b c'", "--args=--port", "--work-dir", "/w", "--registry-url", "http://r:1",
                           "--router-url", "http://o:1", "--env", "A=1,GPUS=0,1", "--env", "B=2")
        wanted = {"name": "x", "port": 8100, "command": "run", "args": ["a", "b c", "--port"], "work_dir": "/w",
                  "registry_url": "http://r:1", "router_url": "http://o:1",
                  "env": {"A": "1", "B": "2", "GPUS": "0,1"}}
        self.assertEqual({key: got[key] for key in wanted}, wanted)

    def test_the_registry_url_may_end_in_the_list(self):
        for url in "http://r:8081", "http://r:8081/", "http://r:8081/services", "http://r:8081/services/":
            [service] = self.dry_run("-p", "1", "--command", "x", "--registry", url).values()
            self.assertEqual([sent for sent, _ in service["registered"]], ["http://r:8081/services"] * 2)

    def test_file_is_below_environment_is_below_flags(self):
        config = self.write("c.toml", FLAT)
        got = self.printed("--config", config, "--port", "8102", INFINILM_AGENT_NAME="by-variable",
                           INFINILM_AGENT_PORT="8101", INFINILM_AGENT_ENV="MORE=1")
        self.assertEqual((got["port"], got["name"], got["host"]), (8102, "by-variable", "10.0.0.1"))
        self.assertEqual(got["env"], {"CUDA_VISIBLE_DEVICES": "0,1", "MORE": "1"})

    def test_what_is_printed_can_be_read_again(self):
        printed = self.output("--print-config", "--config", self.write("c.toml", FLAT))
        self.assertEqual(json.loads(printed)["metadata"], {"cache_type": "paged", "deep": {"list": [1, 2]}})
        again = self.write("again.json", printed)
        self.assertEqual(self.output("--print-config", "--config", again), printed)
        flags = ["--dry-run", "--config"]
        self.assertEqual(self.output(*flags, again), self.output(*flags, self.folder / "c.toml"))
        again.write_text(self.output("--print-config", "-p", "5001", "--path", "/m"))
        self.assertEqual(self.output(*flags, again), self.output("--dry-run", "-p", "5001", "--path", "/m"))


class Commands(AgentConfigTest):
    def test_each_kind(self):
        common = ["--port", "5001", "--path", "/m", "--service-type"]
        listen = ["--host", "127.0.0.1", "--port", "5001"]
        for flags, words in (
                ([*common, "infinilm"],
                 ["python3", "-m", "infinilm.server.inference_server", "--model", "/m", *listen,
                  "--enable-paged-attn"]),
                ([*common, "InfiniLM", "--launch-script", "/o/inference_server.py", "--dev", "metax", "--tp", "4",
                  "--max-batch", "16", "--max-tokens", "1024", "--paged-attention=false", "--args", "--attn 'x y'"],
                 ["python3", "/o/inference_server.py", "--model", "/m", "--device", "metax", "--tp", "4", *listen,
                  "--max-batch-size", "16", "--max-new-tokens", "1024", "--attn", "x y"]),
                ([*common, "infinilm", "--flags", "legacy", "--launch-script", "/o/s/launch_server.py", "--dev",
                  "nvidia", "--ndev", "1", "--max-batch", "3", "--awq", "--request-timeout", "300"],
                 ["python3", "/o/s/launch_server.py", "--port", "5001", "--host", "127.0.0.1", "--model-path", "/m",
                  "--dev", "nvidia", "--ndev", "1", "--max-batch", "3", "--awq", "--request-timeout", "300"]),
                ([*common, "infinilm-rust"], ["xtask", "service", "/m", "-p", "5001"]),
                ([*common, "InfiniLM-Rust", "--command", "cargo xtask"],
                 ["cargo", "xtask", "service", "/m", "-p", "5001"]),
                ([*common, "vLLM", "--ndev", "2"],
                 ["vllm", "serve", "/m", *listen, "--tensor-parallel-size", "2"]),
                ([*common, "sglang", "--ndev", "2"],
                 ["python3", "-m", "sglang.launch_server", "--model-path", "/m", *listen, "--tp", "2"]),
                ([*common, "llama-cpp"], ["llama-server", "--model", "/m", *listen]),
                ([*common, "llama-cpp", "--command", "python3 -m llama_cpp.server"],
                 ["python3", "-m", "llama_cpp.server", "--model", "/m", *listen]),
                (["-p", "5001", "--service-type", "mock", "--models", "a,b", "--host", "127.0.0.1"],
                 ["infinilm-sim", "--host", "127.0.0.1", "--port", "5001", "--model", "a", "--model",
                  "b"]),
                (["-p", "5001", "--command", "run", "--args", "${PORT} ${NAME} '$x y' $${PORT}"],
                 ["run", "5001", "command-5001", "$x y", "${PORT}"])):
            with self.subTest(flags=flags):
                self.assertEqual(self.command(*flags), words)

    def test_the_kind_follows_from_the_path(self):
        self.assertIn("infinilm-5001", self.dry_run("-p", "5001", "--path", "/m"))
        self.assertIn("infinilm-rust-5001", self.dry_run("-p", "5001", "--path", "/m/gpu1.toml"))

    def test_ranks_of_a_pipeline(self):
        [service] = self.dry_run("-p", "5001", "--path", "/m", "--pp", "3").values()
        for rank in range(3):
            [command] = service[f"command of rank {rank}"]
            self.assertIn(f"--pp 3 --node-rank {rank} --master-addr 127.0.0.1 --master-port 15001 ", command)
        [service] = self.dry_run("-p", "5001", "--command", "run", "--args", "${RANK}", "--env", "R=${RANK}", "--pp",
                                 "2", "--work-dir", "/w/${RANK}").values()
        for rank in "01":
            self.assertEqual(service[f"command of rank {rank}"], [f"run {rank}"])
            self.assertEqual(service[f"environment of rank {rank}"], [f"R={rank}"])
            self.assertEqual(service[f"folder of rank {rank}"], [f"/w/{rank}"])

    def test_pages_in_https_are_registered_as_such(self):
        [service] = self.dry_run("-p", "5001", "--command", "x", "--registry", "http://r:1", "--tls-cert", "c",
                                 "--tls-key", "k").values()
        self.assertEqual(service["pages"], ["https://localhost:5002/health"])
        [(_, agent), (_, engine)] = service["registered"]
        self.assertEqual((agent["url"], engine["url"], engine["metadata"]["health_url"]),
                         ("https://localhost:5002", "http://localhost:5001", "https://localhost:5002/health"))

    def test_the_engines_key_is_never_printed(self):
        path = self.write("key", "sk-toy-0123456789\n")
        for flag in "--print-config", "--dry-run":
            text = self.output(flag, "-p", "1", "--command", "x", INFINILM_AGENT_ENGINE_API_KEY_FILE=str(path))
            self.assertNotIn("sk-toy", text)
        self.assertEqual(self.printed("-p", "1", "--command", "x", "--engine-api-key-file",
                                      path)["engine_api_key_file"], str(path))

    def test_settings_without_use_are_named(self):
        [service] = self.dry_run("-p", "1", "--service-type", "vllm", "--path", "/m", "--awq", "--dev", "x").values()
        self.assertEqual(service["unused"], ["device (vllm has no use for it)", "awq (vllm has no use for it)"])

    def test_nothing_is_started_or_written(self):
        self.output("--dry-run", "-p", "1", "--command", "touch", "--args", str(self.folder / "x"))
        self.assertEqual(list(self.folder.iterdir()), [])


class Files(AgentConfigTest):
    def test_the_flat_form(self):
        [[name, service]] = self.dry_run("--config-file", self.write("c.toml", FLAT)).items()
        self.assertEqual(name, "gpu1")
        self.assertEqual(shlex.split(service["command"][0]),
                         ["python3", "-u", "engine.py", "--port", "8100", "a b", '--json={"a": 1}'])
        self.assertEqual(service["environment"], ["CUDA_VISIBLE_DEVICES=0,1"])
        self.assertEqual(service["folder"], ["/srv/gpu1"])
        metadata = service["registered"][1][1]["metadata"]
        self.assertEqual((metadata["cache_type"], metadata["deep"]), ("paged", {"list": [1, 2]}))
        got = self.printed("--config", self.folder / "c.toml")
        self.assertEqual([got[key] for key in ("max_restarts", "restart_delay", "heartbeat_interval",
                                               "startup_timeout", "router_url")],
                         [7, 5, 30, 300, "http://router:8000"])

    def test_each_kind_of_backend(self):
        for text, word in (('type = "vllm"\nmodel = "/m"', "serve /m "),
                           ('type = "infinilm"\nmodel_path = "/m"', "--model /m "),
                           ('type = "infinilm-rust"\nconfig_file = "x.toml"', "xtask service x.toml -p 8100"),
                           ('type = "mock"\nmodels = ["a", "b"]', "--model a --model b"),
                           ('type = "sglang"\nmodel = "/m"', "--model-path /m "),
                           ('type = "llama-cpp"\nmodel = "/m"', "llama-server --model /m "),
                           ('type = "command"\ncommand = "x"\n[backend.env]\nA = "1"', "x")):
            with self.subTest(text=text):
                config = self.write("c.toml", f"port = 8100\n[backend]\n{text}\n")
                [service] = self.dry_run("--config", config).values()
                self.assertIn(word, service["command"][0])

    def test_a_host_to_listen_on_is_not_registered(self):
        config = self.write("c.toml", FLAT.replace("10.0.0.1", "0.0.0.0"))
        for flags, host in ([], "localhost"), (["--host", "gpu1.example"], "gpu1.example"):
            [service] = self.dry_run("--config", config, *flags).values()
            self.assertEqual({body["host"] for _, body in service["registered"]}, {host})
        for listens, flags, told in (("0.0.0.0", [], "0.0.0.0"), ("::", [], "::"), ("[::]", [], "::"),
                                     ("localhost", [], "127.0.0.1"), ("0.0.0.0", ["--host", "::1"], "::1"),
                                     ("0.0.0.0", ["--host", "localhost"], "0.0.0.0")):
            with self.subTest(listens=listens, flags=flags):
                config = self.write("c.toml", f'host = "{listens}"\nport = 8100\n[backend]\ntype = "sim"\n')
                [service] = self.dry_run("--config", config, *flags).values()
                self.assertEqual(service["command"], [f"infinilm-sim --host {told} --port 8100"])

    def test_a_flag_of_localhost_leaves_the_host_of_the_file(self):
        """The earlier launcher passes --host always, and localhost is its default."""
        config = self.write("c.toml", FLAT)
        for flags, variables, host in ((["--host", "localhost"], {}, "10.0.0.1"),
                                       (["--host", "127.0.0.1"], {}, "127.0.0.1"),
                                       ([], {"INFINILM_AGENT_HOST": "localhost"}, "localhost")):
            with self.subTest(flags=flags, variables=variables):
                self.assertEqual(self.printed("--config", config, *flags, **variables)["host"], host)
                [service] = self.dry_run("--config", config, *flags, **variables).values()
                self.assertEqual({body["host"] for _, body in service["registered"]}, {host})
        self.assertEqual(self.printed("-p", "1", "--command", "x", "--host", "localhost")["host"], "localhost")

    def test_max_concurrency_is_told_in_the_metadata(self):
        [service] = self.dry_run("--config", self.write("c.toml", FLAT), "--max-concurrency", "8").values()
        metadata = service["registered"][1][1]["metadata"]
        self.assertEqual((metadata["max_concurrency"], metadata["cache_type"]), (8, "paged"))

    def test_bad_files(self):
        config = self.folder / "c.toml"
        backend = "port = 1\n[backend]\n"
        for text, sentence in (
                ("port = = 1\n", None),
                ("prot = 1\n", "unknown key 'prot'; did you mean 'port'?"),
                (backend + 'type = "command"\ncomand = "x"\n', "unknown key 'backend.comand'; did you mean 'command'?"),
                (backend + 'type = "vlm"\n', f"'backend.type' must be one of {KINDS}, got 'vlm'; did you mean 'vllm'?"),
                (backend + 'command = "x"\n', "Missing required field: backend.type"),
                (backend + 'type = "command"\ncommand = 5\n', "'backend.command' must be a string, got 5"),
                (backend + 'type = "command"\nargs = [1]\n', "'backend.args[0]' must be a string, got 1"),
                (backend + 'type = "command"\nargs = "a \'b"\n', "'backend.args' has an open quote"),
                (backend + 'type = "command"\nenv = { A = 1 }\n', "'backend.env.A' must be a string, got 1"),
                ('port = "x"\n', "'port' must be an integer from 0 to 65535, got \"x\""),
                ("[babysitter]\nrestart_delay = -1\n", "'babysitter.restart_delay' must be a duration from 0s to 24h, "
                                                       "got -1"),
                ("port = 1\n[agent]\nport = 2\n", "'agent.port' and 'port' say the same thing"),
                ("[agent]\nstart_limt = 2\n", "unknown key 'agent.start_limt'; did you mean 'start_limit'?"),
                ("[agent]\nweight = -2\n", "'agent.weight' must be an integer from -1 to 1000000, got -2"),
                ("[agent]\nweight = 1.5\n", "'agent.weight' must be an integer from -1 to 1000000, got 1.5"),
                ('[agent]\nmax_fails = "x"\n', "'agent.max_fails' must be an integer from -1 to 1000000, got \"x\""),
                ('[agent]\nfail_timeout = "soon"\n',
                 "'agent.fail_timeout' must be a duration from 0s to 24h, got \"soon\""),
                ("[agent]\nfail_timeout = 90000\n",
                 "'agent.fail_timeout' must be a duration from 0s to 24h, got 90000"),
                ('[metadata]\nhealth_url = "gpu1:5002"\n',
                 f"'metadata.health_url' {URL}, got \"gpu1:5002\""),
                ("[metadata]\nhealth_url = 5\n", "'metadata.health_url' must be a string, got 5"),
                (f'[metadata]\nx = "{"x" * 65536}"\n',
                 "'metadata' must be at most 64 KiB as JSON, got 65544 bytes"),
                (f"[metadata]\nx = {'[' * 31}{']' * 31}\n", "'metadata' must not be nested deeper than 31 levels"),
                ("metadata = 5\n", "'metadata' must be an object, got 5")):
            with self.subTest(text=text):
                config.write_text(text)
                if sentence is None:
                    ended = self.run_with("--config", config)
                    self.assertRegex(ended.stderr, rf"^infinilm-agent: parse: {config}:1:8: .+\n$")
                    self.assertEqual(ended.returncode, 2)
                else:
                    self.assert_refused(["--config", config], f"{config}: {sentence}")

    def test_bad_flags(self):
        for flags, sentence in (
                ([], PORT_IS_MISSING),
                (["--port", "0"], PORT_IS_MISSING),
                (["-p", "65535", "--command", "x"],
                 "port 65535 leaves none for the agent's own pages, which are on the next one"),
                (["-p", "1", "--service-type", "vlm"],
                 f"service_type must be one of {KINDS}, got 'vlm'; did you mean 'vllm'?"),
                (["-p", "1"], "command needs 'command' (the program)"),
                (["-p", "1", "--service-type", "vllm"], "vllm needs 'path' (the model)"),
                (["-p", "1", "--service-type", "sim", "--pp", "2"], "pp must be 1 for sim, got 2"),
                (["-p", "1", "--command", "x", "--args", "'a"], "'--args' has an open quote"),
                (["-p", "1", "--command", "x", "--args", "${PROT}"],
                 "args: unknown ${PROT}; did you mean ${PORT}?"),
                (["-p", "1", "--command", "x", "--env", "A"], "'--env' must begin with NAME="),
                (["-p", "1", "--command", "x", "--name", "a/b"],
                 "name must not have '/' nor begin with '.': files are named after it, got 'a/b'"),
                (["-p", "1", "--command", "x", "--host", "a b"],
                 "host must be a DNS name, an IPv4 or an IPv6 address, got 'a b'"),
                (["-p", "1", "--command", "x", "--bind", "localhost"],
                 "bind must be an IP address, got 'localhost'"),
                (["-p", "1", "--command", "x", "--tls-cert", "c"], "tls_cert and tls_key go together"),
                (["-p", "1", "--command", "x", "--registry", "http://r?x=1"],
                 "registry_url: must not have a query, got 'http://r?x=1'"),
                (["-p", "1", "--command", "x", "--fail-timeout", "soon"],
                 "'--fail-timeout' must be a duration from 0s to 24h, got \"soon\""),
                (["-p", "1", "--command", "x", "--fail-timeout", "9us"],
                 "fail_timeout must be 1ms or more (0 = not stated), got '9us'"),
                (["--prot", "1"], "unknown flag '--prot'; did you mean '--port'?"),
                (["-p"], "flag '--port' needs a value")):
            with self.subTest(flags=flags):
                self.assert_refused(flags, sentence)


class Services(AgentConfigTest):
    def test_those_of_this_host_are_chosen(self):
        hostname = os.uname().nodename
        self.write("service.toml", '[backend]\ntype = "command"\ncommand = "run"\n')
        file = self.services(entry("a", 5001, "localhost"), entry("b", 5003, "127.0.0.1"), entry("c", 5005, hostname),
                             entry("d", 5001, "192.0.2.77"), entry("e", 5001, "server1"))
        self.assertEqual(list(self.dry_run("--services", file)), ["a", "b", "c"])
        self.assertEqual(list(self.dry_run("--services", file, "--host", "server1")), ["e"])
        self.assertEqual(list(self.dry_run("--services", file, "--host", "SERVER1")), ["e"])
        self.assertEqual(list(self.dry_run("--services", file, INFINILM_AGENT_HOST="192.0.2.77")), ["d"])
        self.assert_refused(["--services", file, "--host", "nowhere"],
                            f"{file}: no service of the file belongs to this host (nowhere); the file's hosts are "
                            f"localhost, 127.0.0.1, {hostname}, 192.0.2.77, server1; --host says which one this is")

    def test_where_the_settings_come_from(self):
        """Defaults, the file of --config, the service's file, its entry, the environment, flags."""
        base = self.write_json("base.json", {"agent": {"stop_grace": 1, "drain_timeout": 1, "work_dir": "/base",
                                                       "registry_url": "http://base"}, "metadata": {"x": 1, "y": 1}})
        self.write("a.toml", '[backend]\ntype = "command"\ncommand = "own"\nwork_dir = "/own"\n'
                             '[metadata]\ny = 2\nz = 2\n[agent]\nweight = 9\n')
        self.write("service.toml", '[backend]\ntype = "command"\ncommand = "shared"\n')
        os.mkdir(self.folder / "more")
        (self.folder / "more" / "named.toml").write_text('[backend]\ntype = "command"\ncommand = "named"\n')
        file = self.services(entry("a", 5001, weight=3, max_fails=2, fail_timeout="10s", backup=True,
                                   metadata={"z": 3}),
                             entry("b", 5003), entry("c", 5005, config="more/named.toml"))
        flags = ["--services", file, "--host", "server1"]
        services = self.dry_run(*flags, "--config", base, "--port", "1", "--name", "ignored",
                                INFINILM_AGENT_ENV="A=1")
        self.assertEqual(list(services), ["a", "b", "c"])
        self.assertEqual([service["command"] for service in services.values()], [["own"], ["shared"], ["named"]])
        self.assertEqual([service["folder"] for service in services.values()], [["/own"], ["/base"], ["/base"]])
        self.assertEqual([service["environment"] for service in services.values()], [["A=1"]] * 3)
        self.assertEqual([service["log"] for service in services.values()],
                         [["logs/a.log"], ["logs/b.log"], ["logs/c.log"]])
        url, body = services["a"]["registered"][1]
        self.assertEqual((url, body["name"], body["host"], body["port"]),
                         ("http://base/services", "a-server", "server1", 5001))
        self.assertEqual([body[key] for key in ("weight", "max_fails", "fail_timeout", "backup")], [3, 2, "10s", True])
        self.assertEqual([body["metadata"][key] for key in "xyz"], [1, 2, 3])
        body = services["b"]["registered"][1][1]
        for key in "weight", "max_fails", "fail_timeout", "backup":
            self.assertNotIn(key, body)
        services = self.dry_run(*flags, "--weight", "5", "--command", "flag", "--env", "A=2", INFINILM_AGENT_ENV="A=1",
                                INFINILM_AGENT_WEIGHT="4", INFINILM_AGENT_REGISTRY_URL="http://variable")
        for service in services.values():
            self.assertEqual((service["command"], service["environment"]), (["flag"], ["A=2"]))
            self.assertEqual((service["registered"][1][0], service["registered"][1][1]["weight"]),
                             ("http://variable/services", 5))

    def test_an_engine_file_is_handed_to_the_engine(self):
        self.write("one.toml", ENGINE)
        services = self.dry_run("--services", self.services(entry("a", 5001, config="one.toml")), "--host", "server1")
        self.assertEqual(services["a"]["command"], [f"xtask service {self.folder}/one.toml -p 5001"])

    def test_flags_may_be_all_that_there_is(self):
        file = self.services(entry("a", 5001), entry("b", 5003))
        services = self.dry_run("--services", file, "--host", "server1", "--service-type", "sim")
        self.assertEqual([service["command"] for service in services.values()],
                         [["infinilm-sim --host 0.0.0.0 --port 5001"], ["infinilm-sim --host 0.0.0.0 --port 5003"]])
        self.assert_refused(["--services", file, "--host", "server1"],
                            f"service 'a': it has no settings: its entry names no 'config', and neither "
                            f"{self.folder}/a.toml nor {self.folder}/service.toml is there")

    def test_bad_ones(self):
        self.write("service.toml", '[backend]\ntype = "command"\ncommand = "run"\n')
        self.write("agent.toml", '[agent]\nstate_dir = "x"\n')
        self.write("fault.toml", '[backend]\ntype = "command"\ncomand = "x"\n')
        self.write("empty.toml", "")
        self.write("health.toml", '[metadata]\nhealth_url = "h"\n[backend]\ntype = "command"\ncommand = "run"\n')
        path = self.folder / "services.json"
        for entries, sentence in (
                ([], f"{path}: the list 'services' is empty"),
                ([entry("a", 5001), entry("b", 5002)],
                 f"{path}: services 'a' (port 5001) and 'b' (port 5002) both need port 5002: each takes its own and "
                 "the next one"),
                ([entry("a", 5001), entry("a", 5003)],
                 f"{path}: 'services[0]' and 'services[1]' have the same name 'a'"),
                ([entry("a", 5001, wieght=1)], f"{path}: unknown key 'services[0].wieght'; did you mean 'weight'?"),
                ([entry("a", 5001, weight=1000001)],
                 f"{path}: 'services[0].weight' must be an integer from 0 to 1000000, got 1000001"),
                ([entry("a", 5001, max_fails=-1)],
                 f"{path}: 'services[0].max_fails' must be an integer from 0 to 1000000, got -1"),
                ([entry("a", 5001, fail_timeout="0s")],
                 f"{path}: 'services[0].fail_timeout' must be a duration from 1ms to 24h, got \"0s\""),
                ([entry("a", 5001, metadata={"health_url": "//h/x"})],
                 f"{path}: 'services[0].metadata.health_url' {URL}, got \"//h/x\""),
                ([entry("a", 5001, config="health.toml")],
                 f"service 'a': {self.folder}/health.toml: 'metadata.health_url' {URL}, got \"h\""),
                ([entry("a", 5001, config="none.toml")],
                 f"service 'a': {self.folder}/none.toml: No such file or directory"),
                ([entry("a", 5001, config="fault.toml")],
                 f"service 'a': {self.folder}/fault.toml: unknown key 'backend.comand'; did you mean 'command'?"),
                ([entry("a", 5001, config="agent.toml")],
                 f"service 'a': {self.folder}/agent.toml: 'agent.state_dir' is about the agent as a whole and has no "
                 "place in the file of one service"),
                ([entry("a", 5001, config="empty.toml")], "service 'a': command needs 'command' (the program)"),
                ([entry("a/b", 5001, config="service.toml")],
                 "service 'a/b': name must not have '/' nor begin with '.': files are named after it, got 'a/b'")):
            with self.subTest(entries=entries):
                self.assert_refused(["--services", self.services(*entries), "--host", "server1"], sentence)
        file = self.services(entry("a", 5001), entry("b", 5003))
        self.assert_refused(["--services", file, "--host", "server1", "--engine-log-file", "x.log"],
                            "services 'a' and 'b' both use the log file x.log")
        self.assert_refused(["--services", "none.json"], "services: none.json: No such file or directory")

    def test_the_examples_are_valid(self):
        folder = SOURCE_DIR / "deployment_configs"
        services = self.dry_run("--services", folder / "server1_services.json", "--host", "192.168.1.10",
                                "--registry", "http://192.168.1.100:8081/services")
        self.assertEqual({name: service["command"] for name, service in services.items()},
                         {"infinilm-gpu1": [f"xtask service {folder}/service_instance1.toml -p 5001"],
                          "infinilm-gpu2": [f"xtask service {folder}/service_instance2.toml -p 5003"]})
        listed = json.loads((folder / "registry_config.json").read_text())["servers"][0]
        self.assertEqual((list(services), "192.168.1.10"), (listed["services"], listed["host"]))

    def test_the_agents_own_log_is_named_after_the_service(self):
        for flags, path in ((["-p", "1", "--command", "x", "--name", "gpu1"], "logs/gpu1.agent.log"),
                            (["-p", "1", "--command", "x", "--log-file", "own.log"], "own.log"),
                            (["--services", self.services(entry("a", 1)), "--host", "server1", "--command", "x"],
                             "logs/agent.log")):
            self.assertEqual(self.printed(*flags)["log_file"], path)


if __name__ == "__main__":
    main()
