#!/usr/bin/env python3
"""docs/agent.md is true: metrics, pages, states, log lines, settings files."""

import os
import re
import signal

from support import http_wire
from support.agent_process import AgentTest, run_agent, sim
from support.case import main
from support.daemon_process import SOURCE_DIR
from support.documents import blocks, page, rows, section
from support.waiting import wait_until

MANUAL = page("docs/agent.md")
READER, WRITER = "reader-0123456789", "writer-0123456789"
# Of a fake nvidia-smi: every process uses some.
SMI = '#!/bin/sh\nfor process in /proc/[0-9]*; do echo "${process#/proc/}, 7"; done\n'


def words(cell):
    return re.findall(r"[a-z_]+", cell)


def sources():
    """What an agent is made of, with string literals that go on in the next line joined."""
    files = [path for folder in ("agent", "common") for path in sorted((SOURCE_DIR / "src" / folder).rglob("*.cpp"))]
    return re.sub(r'"\s*\n\s*"', "", "\n".join(path.read_text(encoding="utf-8") for path in files))


class Manual(AgentTest):
    def test_it_has_every_metric_with_its_labels_and_no_other(self):
        smi = self.write("nvidia-smi", SMI)
        smi.chmod(0o755)
        agent = self.running_agent(sim(), "--restart-delay=1ms", "--heartbeat-interval=100ms",
                                   env={"PATH": f"{self.folder}:{os.environ['PATH']}"})
        agent.kill_engine(signal.SIGKILL)
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "an exit that is counted")
        agent.running()
        documented = {cells[0]: cells[1:3] for cells in rows(section(MANUAL, "Metrics")) if len(cells) == 4}

        def served():
            text = agent.call("GET", "/metrics").text
            kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
            self.assertEqual({name: kind for name, (kind, _) in documented.items()}, kinds)
            return text
        text = wait_until(served, 15, "all metrics")
        for name, (_, labels) in documented.items():
            with self.subTest(name):
                found = {label for line in re.findall(rf"^{name}{{(.*)}} ", text, re.M)
                         for label in re.findall(r'(\w+)="', line)}
                self.assertEqual(set(words(labels.split(":")[0])), found)
        states = set(re.findall(r'^infinilm_agent_state{.*state="(\w+)"', text, re.M))
        life = section(MANUAL, "The life of an engine")
        told = [cells[0] for cells in rows(life) if len(cells) == 3]
        self.assertEqual(set(told), states)
        self.finish(agent)

    def test_its_kinds_of_exits_are_those_of_the_code(self):
        code = (SOURCE_DIR / "src/agent/core/exit_outcome.cpp").read_text(encoding="utf-8")
        in_code = re.findall(r'return "(\w+)";', code.split("word_of(ExitKind", 1)[1].split("\n}", 1)[0])
        told = [cells[0] for cells in rows(section(MANUAL, "The life of an engine")) if len(cells) == 2]
        self.assertEqual(told, in_code)

    def test_its_pages_are_there_and_need_what_it_says(self):
        tokens = self.write("tokens", f"{READER} read\n{WRITER} write\n")
        tokens.chmod(0o600)
        agent = self.new_agent(sim(), f"--token-file={tokens}")
        agent.token = READER
        agent.start().running()
        methods = {}
        for request, needs, _ in [cells for cells in rows(section(MANUAL, "Pages")) if len(cells) == 3]:
            method, target = request.split()
            if "follow" in target:
                continue
            target = target.replace("=N", "=1")
            methods.setdefault(target.split("?")[0], set()).add(method)
            with self.subTest(request):
                for token, enough in ((None, {"nothing"}), (READER, {"nothing", "read"}), (WRITER, {needs})):
                    response = http_wire.call(agent.port, method, target, token=token)
                    self.assertEqual(response.status not in (401, 403), needs in enough, token)
                    self.assertNotIn(response.status, (404, 405))
        for path, allowed in methods.items():
            response = http_wire.call(agent.port, "DELETE", path, token=WRITER)
            self.assertEqual(set(words(response.header("Allow").lower())) - {"head", "options"},
                             {method.lower() for method in allowed}, path)
        agent.token = WRITER
        agent.call("POST", "/restart")
        agent.running()
        self.finish(agent)

    def test_its_table_of_the_status_has_every_field(self):
        agent = self.running_agent(sim())
        told = [name for cells in rows(section(MANUAL, "Status", 3)) for name in words(cells[0])]
        self.assertEqual(sorted(told), sorted(agent.status()))
        self.finish(agent)

    def test_its_log_lines_are_those_of_the_code(self):
        code = sources()
        lines = [line for cells in rows(section(MANUAL, "When something is wrong"))
                 for line in re.findall(r"`([^`]+)`", cells[0]) or [cells[0]]]
        self.assertGreater(len(lines), 15)
        for line in lines:
            for piece in filter(None, map(str.strip, line.split("..."))):
                with self.subTest(piece):
                    self.assertIn(piece, code)

    def test_its_settings_files_are_valid(self):
        for name in ("docs/agent.md", "docs/configuration.md"):
            files = [text for language, text in blocks(page(name)) if language == "toml"]
            self.assertTrue(files, name)
            for text in files:
                with self.subTest(page=name, file=text):
                    path = self.write("service.toml", text)
                    done = run_agent("--config", path, "--port=5001", "--dry-run", folder=self.folder)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    self.assertNotIn("unused", done.stdout)


if __name__ == "__main__":
    main()
