#!/usr/bin/env python3
"""docs/agent.md and the README's tour are true: metrics, pages, states, log lines, settings files, commands."""

import os
import re
import shutil
import signal
import subprocess
import unittest
import uuid

from support import http_wire, proc_tree
from support.agent_process import AgentTest, port_pair, run_agent, sim
from support.case import SystemTest, main
from support.daemon_process import BIN_DIR, SOURCE_DIR, clean_environment
from support.documents import blocks, page, rows, section
from support.waiting import patience, wait_until

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

    @unittest.skipIf(shutil.which("curl") is None, "needs curl")
    def test_its_first_commands_work_when_pasted(self):
        engine = port_pair()
        shell = Shell(self, {5001: engine, 5002: engine + 1})
        commands = [text for language, text in blocks(section(MANUAL, "Start in one minute")) if language == "bash"]
        self.assertEqual(len(commands), 5)
        start, look, kill, launcher, dry_run = commands
        shell.add(start.rstrip("\n") + " 2>/dev/null &\n")
        shell.wait_for(5002, "/health")
        shell.add(look)
        shell.add(kill)
        shell.wait_for(5002, "/health")
        shell.add(look)
        shell.add("kill %1; wait %1\n")
        shell.add(launcher.rstrip("\n") + " --dry-run\n")
        shell.add(dry_run)
        said = shell.run()
        for text in ('"id":"Qwen3-32B"', '"state":"running"', "signal 9 (SIGKILL)", "xtask service", "infinilm-sim"):
            self.assertIn(text, said)
        self.assertEqual(shell.left(), [])


class Shell:
    """Commands of a page in one bash, with other ports than the page's and the binaries of this build, in the test's
    folder, where the project's scripts and examples seem to be."""

    def __init__(self, test, ports):
        """`ports`: those of the page, and what is put in their place."""
        self.test = test
        self.ports = {str(port): str(fresh) for port, fresh in ports.items()}
        self.mark = f"INFINILM_TEST_MARK={uuid.uuid4()}"
        self.script = ""
        for name in ("scripts", "deployment_configs"):
            (test.folder / name).symlink_to(SOURCE_DIR / name)
        test.addCleanup(self.end)

    def add(self, text):
        text = text.replace("build/release/bin", str(BIN_DIR))
        self.script += re.sub(r"\b\d{4}\b", lambda found: self.ports.get(found[0], found[0]), text)

    def wait_for(self, port, path, text=""):
        """Until this page is 200 and has `text`."""
        url = f"http://127.0.0.1:{port}{path}"
        self.add(f"for i in $(seq 400); do curl -sf '{url}' | grep -q '{text}' && break; sleep 0.05; done\n")

    def run(self, **environment):
        """Everything that it says."""
        kept = {key: value for key, value in clean_environment().items() if not key.startswith("INFINILM_AGENT")}
        kept |= dict([self.mark.split("=")], PATH=f"{BIN_DIR}:{os.environ['PATH']}", INFINILM_BIN_DIR=str(BIN_DIR),
                     **environment)
        done = subprocess.run(["bash", "-c", self.script], cwd=self.test.folder, env=kept, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=patience(120), check=False)
        return done.stdout + done.stderr

    def left(self):
        return proc_tree.marked(self.mark)

    def end(self):
        for item in self.left():
            try:
                os.kill(item.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


@unittest.skipIf(shutil.which("curl") is None, "needs curl")
class Readme(SystemTest):
    def test_the_tour_works_when_pasted(self):
        registry, router, first, second = (port_pair() for _ in range(4))
        shell = Shell(self, {8081: registry, 8080: router, 5001: first, 5002: first + 1, 5003: second,
                             5004: second + 1})
        tour = [text for language, text in blocks(section(page("README.md"), "A tour")) if language == "bash"]
        self.assertEqual(len(tour), 6)
        for number, text in enumerate(tour):
            shell.add(text)
            if number in (0, 4):
                for name in ("gpu1-server", "gpu2-server"):
                    shell.wait_for(8081, f"/services/{name}", '"is_healthy":true')
                    shell.wait_for(8080, "/services", f'"name":"{name}".*"state":"up"')
        said = shell.run(INFINILM_REGISTRY_PORT=str(registry), INFINILM_ROUTER_PORT=str(router))
        self.assertEqual(re.findall(r"^200$", said, re.M), ["200"] * 4, said)
        for text in ('"name": "gpu1-server"', '"object":"list"', "X-Router-Upstream: gpu", "data: [DONE]",
                     '"restarts": 1', "signal 9 (SIGKILL)", "Restart requested", '"reason":', '"services":[]'):
            self.assertIn(text, said)
        self.assertNotIn('{"error"', said)
        wait_until(lambda: not shell.left(), 10, "the end of all processes")

    def test_its_dry_runs_work(self):
        commands = [text for _, text in blocks(section(page("README.md"), "Configuration")) if "--dry-run" in text]
        self.assertEqual(len(commands), 1)
        shell = Shell(self, {})
        shell.add(commands[0])
        said = shell.run()
        for text in ("service infinilm-rust-5001", "service infinilm-gpu1", "service infinilm-gpu2", "xtask service"):
            self.assertIn(text, said)


if __name__ == "__main__":
    main()
