#!/usr/bin/env python3
"""Every file of deployment_configs/ is valid, and every key in it is explained in docs/configuration.md."""

import json
import re
import tomllib
import unittest

from support.agent_process import run_agent
from support.case import SystemTest, main
from support.daemon_process import BIN_DIR, SOURCE_DIR, run_binary
from support.documents import page, rows, section

CONFIGS = SOURCE_DIR / "deployment_configs"
FILES = sorted(path for path in CONFIGS.rglob("*") if path.is_file())
PAGE = page("docs/configuration.md")
FREE = ("metadata", "env")  # anything may be in them
SEED = {
    "registry_config.json": {"registry": {"port", "health_interval", "health_timeout", "cleanup_interval"},
                             "servers": {"name", "host", "services"}},
    "router_config.json": {"router": {"port", "registry_url", "load_balancing_method", "proxy_timeout",
                                      "proxy_connect_timeout"},
                           "static_services": {"services"}},
    "server1_services.json": {"services": {"name", "host", "port", "weight", "max_fails", "fail_timeout", "metadata",
                                           "config"}},
}


def kind_of(path):
    """How a file is recognised, and so validated; None: nobody has said how."""
    if path.name in ("registry_config.json", "router_config.json"):
        return path.name.split("_")[0]
    if re.fullmatch(r"server\d+_services\.json", path.name):
        return "services"
    if path.suffix == ".toml":
        return "engine" if path.name.startswith("service_instance") else "agent"
    return "page" if path.name == "README.md" else None


def read(path):
    if path.suffix == ".toml":
        return tomllib.loads(path.read_text(encoding="utf-8"))
    return json.loads(path.read_text(encoding="utf-8"))


def cells_of(title, level=3):
    """The keys that a table of the page names, in its first column."""
    return {key for cells in rows(section(PAGE, title, level)) for key in re.findall(r"\w+", cells[0])}


def settings(daemon):
    return {cells[0] for cells in rows(section(PAGE, f"Settings of the {daemon}")) if len(cells) == 8}


class Valid(SystemTest):
    def assert_accepted(self, done, words):
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(words, done.stdout)

    def test_every_file_is_of_a_known_kind(self):
        self.assertGreater(len(FILES), 20)
        for path in FILES:
            with self.subTest(path.relative_to(CONFIGS)):
                self.assertIsNotNone(kind_of(path), "say in kind_of() how this file is validated")

    def test_registry_and_router_take_theirs(self):
        for daemon in ("registry", "router"):
            paths = [path for path in FILES if kind_of(path) == daemon]
            self.assertEqual(len(paths), 3)
            for path in paths:
                with self.subTest(path.relative_to(CONFIGS)):
                    done = run_binary(BIN_DIR / f"infinilm-{daemon}", "--config", path, "--check-config",
                                      folder=self.folder)
                    self.assert_accepted(done, "configuration is valid")

    def test_the_agent_takes_its_services_files_for_each_of_their_hosts(self):
        for path in (path for path in FILES if kind_of(path) == "services"):
            services = read(path)["services"]
            for host in {service["host"] for service in services}:
                with self.subTest(file=path.relative_to(CONFIGS), host=host):
                    done = run_agent("--services", path, "--host", host, "--registry", "http://127.0.0.1:8081",
                                     "--dry-run", folder=self.folder)
                    for service in services:
                        if service["host"] == host:
                            self.assert_accepted(done, f"service {service['name']} (")
                    self.assertNotIn("unused", done.stdout)

    def test_the_agent_takes_each_file_of_an_engine(self):
        kinds = set()
        for path in (path for path in FILES if kind_of(path) in ("engine", "agent")):
            with self.subTest(path.relative_to(CONFIGS)):
                port = () if "port" in read(path) else ("--port=5001",)
                done = run_agent("--config", path, *port, "--dry-run", folder=self.folder)
                self.assert_accepted(done, "command")
                self.assertNotIn("unused", done.stdout)
                kinds.add(re.search(r"^service \S+ \((.*)\)$", done.stdout, re.M)[1])
        self.assertEqual(kinds, {"infinilm", "infinilm-rust", "vllm", "sglang", "llama-cpp", "command", "sim"})

    def test_what_is_started_is_what_the_samples_are_for(self):
        for name, words in (("infinilm", "infinilm.server.inference_server"), ("infinilm_legacy", "--model-path"),
                            ("infinilm_pp", "--node-rank 1"), ("infinilm_rust", "xtask service"), ("vllm", "vllm serve"),
                            ("sglang", "sglang.launch_server"), ("llama_cpp", "llama-server --model"),
                            ("command", "'two words'"), ("sim", "infinilm-sim")):
            with self.subTest(name):
                done = run_agent("--config", CONFIGS / "engines" / f"{name}.toml", "--dry-run", folder=self.folder)
                self.assertIn(words, done.stdout)


class Sets(unittest.TestCase):
    """A folder's files are of one deployment."""

    def folders(self):
        return sorted({path.parent for path in FILES if kind_of(path) == "registry"})

    def test_the_registry_expects_the_services_that_there_are(self):
        self.assertEqual([folder.name for folder in self.folders()], ["deployment_configs", "demo", "two_servers"])
        for folder in self.folders():
            with self.subTest(folder.name):
                expected = sorted((server["host"], name) for server in read(folder / "registry_config.json")["servers"]
                                  for name in server["services"])
                there = sorted((service["host"], service["name"]) for path in folder.glob("*_services.json")
                               for service in read(path)["services"])
                self.assertEqual(expected, there)

    def test_the_router_asks_the_registrys_port(self):
        for folder in self.folders():
            port = read(folder / "registry_config.json")["registry"]["port"]
            self.assertTrue(read(folder / "router_config.json")["router"]["registry_url"].endswith(f":{port}"), folder)

    def test_the_demo_keeps_conversations_at_their_cache(self):
        router = read(CONFIGS / "demo/router_config.json")["router"]
        self.assertEqual(router["load_balancing_method"], "prefix_aware")

    def test_the_three_files_of_old_keep_their_form(self):
        for name, form in SEED.items():
            with self.subTest(name):
                document = read(CONFIGS / name)
                self.assertEqual(set(document), set(form))
                for key, keys in form.items():
                    for item in document[key] if isinstance(document[key], list) else [document[key]]:
                        self.assertEqual(set(item), keys)


class Documented(unittest.TestCase):
    def assert_known(self, keys, known, where):
        self.assertEqual(sorted(set(keys) - set(known)), [], where)

    def test_every_key_is_on_the_page(self):
        tables = {"servers": cells_of("The file of the registry", 2), "static": cells_of("Static services"),
                  "services": cells_of("The services file", 2)}
        for path in FILES:
            kind = kind_of(path)
            if kind in ("page", "engine"):
                continue  # the latter is the engine's own form
            document = read(path)
            with self.subTest(path.relative_to(CONFIGS)):
                if kind in ("registry", "router"):
                    self.assert_known(document[kind], settings(kind), kind)
                    for server in document.get("servers", []):
                        self.assert_known(server, tables["servers"], "servers")
                    for service in document.get("static_services", {}).get("services", []):
                        self.assert_known(service, tables["static"], "static_services")
                elif kind == "services":
                    for service in document["services"]:
                        self.assert_known(service, tables["services"], "services")
                else:
                    self.assert_flat_file(document)

    def agents_places(self):
        """{"top" or "[TABLE]": the keys that the page has there}"""
        lines = section(PAGE, "The file of the agent").splitlines()
        found = (re.fullmatch(r"\| (?:`(\[\w+\])`|(top)) \| (.*) \|", line) for line in lines)
        return {match[1] or match[2]: set(re.findall(r"`(\w+)`", match[3])) for match in found if match}

    def assert_flat_file(self, document):
        tables = self.agents_places()
        self.assert_known((key for key, value in document.items() if not isinstance(value, dict)), tables["top"], "top")
        for table in (key for key, value in document.items() if isinstance(value, dict)):
            self.assertIn(f"[{table}]", tables)
            if table == "agent":
                self.assert_known(document[table], settings("agent"), table)
            elif table not in FREE:
                self.assert_known(document[table], tables[f"[{table}]"], table)

    def test_the_tables_are_those_of_the_parsers(self):
        for source, title, level in (("src/router/core/static_services.cpp", "Static services", 3),
                                     ("src/common/core/services_file.cpp", "The services file", 2),
                                     ("src/registry/core/server_roster.cpp", "The file of the registry", 2)):
            text = (SOURCE_DIR / source).read_text(encoding="utf-8")
            arrays = re.findall(r"array<std::string_view, \d+> k\w*[Kk]eys?\w*\s*(?:=\s*)?\{([^}]*)\}", text)
            self.assertEqual(len(arrays), 1, source)
            self.assertEqual(set(re.findall(r'"(\w+)"', arrays[0])), cells_of(title, level), source)

    def test_the_agents_tables_are_those_of_its_parser(self):
        code = (SOURCE_DIR / "src/agent/core/settings_document.cpp").read_text(encoding="utf-8")

        def names(array):
            [text] = re.findall(rf"string_view(?:, \d+>)? {array}(?:\[\] = )?\{{([^}}]*)\}}", code)
            return set(re.findall(r'"(\w+)"', text))

        places = self.agents_places()
        self.assertEqual(set(places) - {"top"}, {f"[{table}]" for table in names("kTables")})
        self.assertEqual(places["top"], names("kTop"))
        self.assertEqual(places["[babysitter]"], names("kBabysitter"))
        backend = names("kBackend") | names("kModelPath") | names("kModel") | names("kConfigFile")
        # `type` is the setting that the page calls by its other name.
        self.assertEqual(places["[backend]"] - {"service_type"}, backend | {"type", "models"})

    def test_each_sample_is_in_the_list(self):
        text = (CONFIGS / "README.md").read_text(encoding="utf-8")
        linked = set(re.findall(r"\]\(([^)]+)\)", text))
        for path in FILES:
            name = str(path.relative_to(CONFIGS))
            folder = name.split("/")[0] + "/"
            if name != "README.md":
                self.assertTrue(name in linked or (folder in linked and folder != "engines/"), name)
        for link in linked:
            self.assertTrue((CONFIGS / link.split("#")[0]).exists(), link)


if __name__ == "__main__":
    main()
