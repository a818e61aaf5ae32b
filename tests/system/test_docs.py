#!/usr/bin/env python3
"""The documents are true: settings, metrics, routes, the example client and links."""

import json
import re
import subprocess
import threading
import unittest
import urllib.parse

from support.case import SystemTest, main
from support.documents import PAGES, blocks, page, rows, section
from support.registry_process import BINARY, SOURCE_DIR, clean_environment
from support.waiting import patience, wait_until

DAEMONS = ("registry", "router", "agent")
# Settings without which there is no valid configuration.
REQUIRED = {"agent": {"port": "--port=5001", "command": "--command=engine"}}
ALIASES = ("PROXY_TIMEOUT_SECONDS", "CACHE_TYPE_ROUTING_THRESHOLD")


def run_daemon(name, *flags, folder):
    """Runs a daemon's binary to its end, without settings of somebody else's."""
    environment = {key: value for key, value in clean_environment().items()
                   if not key.startswith("INFINILM_") and key not in ALIASES}
    return subprocess.run([str(BINARY.with_name(name)), *map(str, flags)], cwd=folder, env=environment, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=patience(60), check=False)


class Configuration(SystemTest):
    def documented(self, daemon):
        """key: (flag, variable, default, bounds) of the page."""
        table = {}
        for cells in rows(section(page("docs/configuration.md"), f"Settings of the {daemon}")):
            key, flag, variable, default, bounds = cells[:5]
            self.assertNotIn(key, table)
            self.assertIn(cells[6], ("SIGHUP", "restart"), key)
            self.assertTrue(cells[5] and cells[7], key)
            self.assertEqual(bounds == "", cells[5].startswith(("flag", "list", "map")), key)
            table[key] = (flag, variable, default, bounds)
        return table

    def in_help(self, daemon):
        """The same, as --help says it."""
        table = {}
        text = run_daemon(f"infinilm-{daemon}", "--help", folder=self.folder).stdout.split("\nSettings", 1)[1]
        for flag, words in re.findall(r"^  (--[a-z0-9-]+) .*\n((?:      .*\n)+)", text, re.M):
            match = re.search(r"; default (.*?); env (\w+)$", " ".join(words.split()))
            bounds = re.search(r"; ([^;]*)$", " ".join(words.split())[:match.start()])
            table[flag[2:].replace("-", "_")] = (flag, match[2], match[1], bounds[1] if bounds else "")
        return table

    def test_the_page_has_every_setting_as_help_says_it(self):
        for daemon in DAEMONS:
            documented, in_help = self.documented(daemon), self.in_help(daemon)
            self.assertEqual(set(documented), set(in_help))
            for key, (flag, variable, default, bounds) in documented.items():
                with self.subTest(daemon=daemon, key=key):
                    self.assertEqual((flag, variable, default), in_help[key][:3])
                    if bounds:
                        self.assertEqual(bounds, in_help[key][3])

    def test_the_defaults_of_the_page_are_those_in_force(self):
        for daemon in DAEMONS:
            binary = f"infinilm-{daemon}"
            required = REQUIRED.get(daemon, {})
            flags = ["--print-config", *required.values()]
            in_force = json.loads(run_daemon(binary, *flags, folder=self.folder).stdout)[daemon]
            documented = self.documented(daemon)
            self.assertEqual(set(documented), set(in_force))
            given = [f"{flag}={default}" for key, (flag, _, default, _) in documented.items()
                     if default != "empty" and key not in required]
            again = run_daemon(binary, *flags, *given, folder=self.folder)
            self.assertEqual((again.returncode, again.stderr), (0, ""))
            self.assertEqual(json.loads(again.stdout)[daemon], in_force)
            for key, (_, _, default, _) in documented.items():
                if key not in required:
                    self.assertEqual(default == "empty", in_force[key] in ("", [], {}), key)

    def test_the_example_files_are_valid_and_those_of_the_page(self):
        shown = [text for language, text in blocks(page("docs/configuration.md")) if language == "json"]
        daemons = ("registry", "router")
        paths = [SOURCE_DIR / "deployment_configs" / f"{daemon}_config.json" for daemon in daemons]
        self.assertEqual(shown, [path.read_text(encoding="utf-8") for path in paths])
        for daemon, path in zip(daemons, paths):
            checked = run_daemon(f"infinilm-{daemon}", "--config", path, "--check-config", folder=self.folder)
            self.assertEqual((checked.returncode, checked.stderr), (0, ""))

    def test_the_names_of_earlier_implementations_are_on_the_page(self):
        text = section(page("docs/configuration.md"), "Settings of the router")
        for name in ("--router-port", *ALIASES):
            self.assertIn(f"Also `{name}`", text)


class Manual(SystemTest):
    def test_it_has_every_metric_and_no_other(self):
        registry = self.start_registry()
        registry.register("one")
        text = registry.call("GET", "/metrics").text
        text = registry.call("GET", "/metrics").text  # now with the first call's own series
        served = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        documented = {cells[0]: cells[1] for cells in rows(section(page("docs/registry.md"), "Metrics"))}
        self.assertEqual(documented, served)

    def test_labels_are_those_of_the_manual(self):
        registry = self.start_registry()
        registry.register("one")
        registry.get("/stats")
        text = registry.call("GET", "/metrics").text
        for cells in rows(section(page("docs/registry.md"), "Metrics")):
            with self.subTest(cells[0]):
                documented = set(re.findall(r"\w+", cells[2].split(":")[0]))  # after a colon: the values
                served = {name for labels in re.findall(rf"^{cells[0]}(?:_count)?{{(.*)}} ", text, re.M)
                          for name in re.findall(r'(\w+)="', labels)}
                self.assertEqual(documented, served)

    def test_its_routes_are_those_of_the_api(self):
        document = self.start_registry().get("/openapi.json")
        served = {f"{method.upper()} {path}": operation.get("security") == []
                  for path, item in document["paths"].items()
                  for method, operation in item.items() if method != "parameters"}
        documented = {cells[0]: cells[1] == "nothing"
                      for cells in rows(section(page("docs/registry.md"), "Routes")) if cells[0].split()[0].isupper()}
        self.assertEqual(documented, served)

    def test_its_client_follows_over_a_restart(self):
        registry = self.start_registry("--warming-time", "0")
        registry.register("early")
        names = {}
        [code] = [text for language, text in blocks(page("docs/registry.md")) if language == "python"]
        exec(compile(code, "docs/registry.md", "exec"), names)  # pylint: disable=exec-used
        names["REGISTRY"] = f"http://127.0.0.1:{registry.port}"
        fleet = {}
        threading.Thread(target=names["follow"], args=(fleet,), daemon=True).start()

        def current():
            wanted = {item["name"]: item["revision"] for item in registry.services()}
            return {name: item["revision"] for name, item in dict(fleet).items()} == wanted
        wait_until(current, 10, "the first list")
        registry.register("late")
        registry.call("PUT", "/services/early", json={"weight": 5})
        wait_until(current, 10, "two changes")
        registry.call("DELETE", "/services/early")
        wait_until(current, 10, "a removal")
        self.assertEqual(set(fleet), {"late"})
        registry.restart()
        names["REGISTRY"] = f"http://127.0.0.1:{registry.port}"
        registry.register("after")
        wait_until(current, 20, "the new boot")
        self.assertEqual(set(fleet), {"late", "after"})


class Links(unittest.TestCase):
    def anchors(self, path):
        text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.S | re.M)
        return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
                for title in re.findall(r"^#+ (.*)$", text, re.M)}

    def test_every_link_leads_somewhere(self):
        self.assertGreater(len(PAGES), 10)
        for path in PAGES:
            for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
                if re.match(r"[a-z]+:", link):
                    continue
                with self.subTest(page=path.name, link=link):
                    target, _, anchor = urllib.parse.unquote(link).partition("#")
                    file = (path.parent / target).resolve() if target else path
                    self.assertTrue(file.exists())
                    if anchor:
                        self.assertIn(anchor, self.anchors(file))

    def test_every_file_that_the_pages_name_exists(self):
        known = {str(file.relative_to(SOURCE_DIR)) for folder in ("src", "tests", "scripts", "docs", "bench")
                 for file in (SOURCE_DIR / folder).rglob("*") if file.is_file()}
        for path in PAGES:
            for name in re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:cpp|hpp|py|sh))`", path.read_text(encoding="utf-8")):
                with self.subTest(page=path.name, file=name):
                    self.assertTrue(re.match(r"(x_|test_x)", name.rsplit("/", 1)[-1])
                                    or any(file == name or file.endswith("/" + name) for file in known))

    def test_the_statements_about_reliability_are_where_the_table_says(self):
        table = re.findall(r"^\| ([RS]\d+) \| .* \| `(system/test_\w+\.py)`", page("docs/testing.md"), re.M)
        self.assertEqual([number[0] for number, _ in table], 15 * ["R"] + 12 * ["S"])
        for number, name in table:
            with self.subTest(number):
                text = (SOURCE_DIR / "tests" / name).read_text(encoding="utf-8")
                self.assertRegex(text, rf'(""")?{number}[_:,]|def test_{number.lower()}_')


if __name__ == "__main__":
    main()
