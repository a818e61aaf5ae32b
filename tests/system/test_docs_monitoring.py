#!/usr/bin/env python3
"""docs/monitoring is true: what its alerts and its dashboard ask for is what the daemons export, and each alert is
explained."""

import json
import os
import re
import shutil
import subprocess
import unittest

import yaml

from support import http_wire
from support.agent_process import AgentTest, sim
from support.case import main
from support.daemon_process import SOURCE_DIR
from support.documents import page, rows, section
from support.promql import TARGET_LABELS, Metric, Refused, examine, metrics_of
from support.sim_process import CHAT, chat
from support.waiting import wait_until

FOLDER = SOURCE_DIR / "docs" / "monitoring"
# Of a fake nvidia-smi: every process uses some.
SMI = '#!/bin/sh\nfor process in /proc/[0-9]*; do echo "${process#/proc/}, 7"; done\n'
TEMPLATE = re.compile(r"\{\{ (?:\$labels\.(\w+)|\$value(?: \| humanize(?:Percentage|Duration)?)?) \}\}")


def alerts():
    document = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard():
    return json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))


def jobs():
    document = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    return {entry["job_name"] for entry in document["scrape_configs"]}


class Expressions(AgentTest):
    def exported(self):
        """{name: Metric} of the three daemons, after a fleet has done a little of everything."""
        smi = self.write("nvidia-smi", SMI)
        smi.chmod(0o755)
        registry = self.start_registry()
        agent = self.running_agent(sim("--decode-us=20000"), "--heartbeat-interval=100ms", registry=registry,
                                   env={"PATH": f"{self.folder}:{os.environ['PATH']}"})
        router = self.start_router(registry=registry, args=("--max-concurrency=1", "--queue-size=9"))
        router.wait_state(agent.server_name, "up")
        router.chat(max_tokens=1)
        first = router.stream(max_tokens=100_000)
        self.addCleanup(first.connection.close)
        first.chunk()
        second = router.connection()
        self.addCleanup(second.close)
        second.send(http_wire.request_bytes("POST", CHAT, json=chat("hi")))
        wait_until(lambda: router.metric("infinilm_router_queue_length") == 1, 10, "a request that waits")

        def all_known():
            found = metrics_of(daemon.call("GET", "/metrics").text for daemon in (registry, router, agent))
            self.assertIn("infinilm_agent_engine_gpu_memory_bytes", found)
            return found
        found = wait_until(all_known, 15, "the GPU memory of the engine")
        states = [cells[0] for cells in rows(section(page("docs/router.md"), "Own pages")) if len(cells) == 3]
        found["infinilm_router_upstream_state"].labels["state"] |= set(states)  # an instance is in one at a time
        return found

    def test_alerts_and_dashboard_ask_for_what_is_exported(self):
        metrics = self.exported()
        for rule in alerts():
            with self.subTest(rule["alert"]):
                shape = self.examined(rule["expr"], metrics)
                for text in rule["annotations"].values():
                    labels = [found[1] for found in TEMPLATE.finditer(text)]
                    self.assertEqual(len(labels), text.count("{{"), text)
                    self.assertLessEqual(set(labels) - {None}, shape.labels, text)
        document = dashboard()
        variables = {}
        for variable in document["templating"]["list"]:
            if variable["type"] == "query":
                name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
                self.assertEqual(variable["query"]["query"], variable["definition"])
                self.assertIn(label, TARGET_LABELS | set(metrics[name].labels), name)
                variables[variable["name"]] = label
        for panel in document["panels"]:
            for target in panel.get("targets", ()):
                with self.subTest(panel=panel["title"], expression=target["expr"]):
                    shape = self.examined(target["expr"], metrics, variables)
                    if target["legendFormat"] != "__auto":
                        self.assertLessEqual(set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])), shape.labels)
        told = re.findall(r"^\| .* \| `(.*)` \|$", page("docs/monitoring/README.md"), re.M)
        self.assertGreater(len(told), 5)
        for text in told:
            with self.subTest(text):
                self.examined(text.replace("\\|", "|"), metrics)
        for note in document["annotations"]["list"]:
            shape = self.examined(note["expr"], metrics)
            named = set(re.findall(r"\{\{(\w+)\}\}", note["titleFormat"] + note["textFormat"]))
            self.assertLessEqual(named, shape.labels)

    def examined(self, text, metrics, variables=()):
        """The shape of an expression; the values that it compares labels with must be there as well."""
        shape, uses = examine(text.replace("$__rate_interval", "5m"), metrics)
        for name, label, operator, value in uses.values:
            if value.startswith("$"):
                self.assertEqual(variables.get(value[1:]), label, text)
                self.assertEqual(operator, "=~", text)
                continue
            known = jobs() if label == "job" else metrics[name].labels.get(label, set())
            for wanted in value.split("|") if "~" in operator else [re.escape(value)]:
                self.assertTrue(any(re.fullmatch(wanted, one) for one in known),
                                f"{name}: {label} is never {wanted}, but {sorted(known)}")
        return shape


class Reader(unittest.TestCase):
    """What reads the expressions refuses what Prometheus would take, and answer with nothing for ever."""

    METRICS = {"up": Metric("gauge"), "c_total": Metric("counter", {"a": {"1"}}),
               "h_bucket": Metric("bucket", {"a": {"1"}, "le": {"1"}})}

    def test_it_takes_what_is_right(self):
        for text, labels in (("up == 0", {"instance", "job"}),
                             ("histogram_quantile(0.9, sum by (le, a) (rate(h_bucket[5m])))", {"a"}),
                             ('sum by (a) (rate(c_total{a=~"1|2"}[5m])) / on (a) sum by (a) (rate(c_total[1h]))', "a"),
                             ("up == 0 unless on (instance) increase(c_total[5m] offset 1h) > 0", {"instance", "job"}),
                             ("count by (job) (1 - up) > bool 1", {"job"}),
                             ("changes(c_total[1m]) > 0 or up", {"instance", "job"})):
            self.assertEqual(examine(text, self.METRICS)[0].labels, set(labels), text)

    def test_it_refuses_what_is_wrong(self):
        for text in ("up ==", "c_total", "c_total > 5", "rate(up[5m])", "rate(c_total)", "sum by (b) (up)", "other",
                     'up{b="1"}', "sum(c_total)", "up + sum(up)", "up and 1", "up[5m]", 'up{job="x}', "up up", "up{",
                     "histogram_quantile(0.9, rate(c_total[5m]))", "sum by (a) (sum(rate(c_total[5m])))", "1 == 1",
                     "up == 0 unless on (a) rate(c_total[5m])", "up - on (job) group_left (a) rate(c_total[5m])",
                     "nice(up)"):
            with self.subTest(text), self.assertRaises(Refused):
                examine(text, self.METRICS)


class Alerts(unittest.TestCase):
    def test_each_has_a_section_and_each_section_an_alert(self):
        explained = re.findall(r"^### (\w+)$", section(page("docs/operations.md"), "Alerts"), re.M)
        self.assertEqual(explained, [rule["alert"] for rule in alerts()])
        self.assertEqual(len(explained), len(set(explained)))

    def test_each_says_how_bad_it_is_and_where_to_read_on(self):
        for rule in alerts():
            with self.subTest(rule["alert"]):
                self.assertIn(rule["labels"]["severity"], ("critical", "warning", "info"))
                self.assertEqual(set(rule["annotations"]), {"summary", "description", "runbook"})
                self.assertEqual(rule["annotations"]["runbook"], f"docs/operations.md#{rule['alert'].lower()}")
                self.assertIn(f"| {rule['labels']['severity']} |", self.row(rule["alert"]))

    def row(self, alert):
        """Of the table of all alerts at the beginning of the section."""
        found = [line for line in section(page("docs/operations.md"), "Alerts").splitlines()
                 if line.startswith(f"| [{alert}](#{alert.lower()}) |")]
        self.assertEqual(len(found), 1, alert)
        return found[0]

    def test_each_is_tried(self):
        document = yaml.safe_load((FOLDER / "alerts_test.yml").read_text(encoding="utf-8"))
        [expected] = document["tests"][1]["promql_expr_test"]
        fired = [re.fullmatch(r'{alertname="(\w+)"}', sample["labels"])[1] for sample in expected["exp_samples"]]
        self.assertEqual(fired, [rule["alert"] for rule in alerts()])

    def test_prometheus_takes_the_files(self):
        promtool = shutil.which("promtool") or shutil.which(SOURCE_DIR / "build" / "tools" / "promtool")
        self.assertIsNotNone(promtool, "promtool is needed: scripts/install_deps.sh --tests")
        for command in (["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"],
                        ["test", "rules", "alerts_test.yml"]):
            done = subprocess.run([promtool, *command], cwd=FOLDER, text=True, capture_output=True, timeout=120,
                                  check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Dashboard(unittest.TestCase):
    def test_panels_have_ids_and_places_of_their_own(self):
        panels = dashboard()["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        taken = {}
        for panel in panels:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertEqual(taken.setdefault((x, y), panel["title"]), panel["title"])

    def test_panels_say_what_they_show_in_which_unit_and_where_it_comes_from(self):
        for panel in dashboard()["panels"]:
            if panel["type"] == "row":
                continue
            with self.subTest(panel["title"]):
                self.assertTrue(panel["description"])
                for target in panel["targets"]:
                    self.assertEqual(target["datasource"], {"type": "prometheus", "uid": "${datasource}"})
                if panel["type"] != "state-timeline":
                    self.assertTrue(panel["fieldConfig"]["defaults"]["unit"])


if __name__ == "__main__":
    main()
