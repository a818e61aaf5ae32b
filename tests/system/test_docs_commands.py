#!/usr/bin/env python3
"""The shell blocks of README.md, docs/ and bench/README.md work: each page is followed literally, in a fresh folder, on
the ports that it names. support/doc_blocks.py says which blocks are run and why others are not."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

from support import proc_tree
from support.case import SystemTest, main
from support.daemon_process import BIN_DIR, SOURCE_DIR, die_with_the_test
from support.doc_blocks import PAGES, blocks_of, name_of, runnable, scripts_named
from support.waiting import patience

RUNNER = SOURCE_DIR / "tests" / "system" / "support" / "doc_runner.py"
PAGE_SECONDS = 300
# The ways into a network of one's own, where every documented port is free and nothing else can be reached.
OWN_NETWORK = (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"])
DEFAULT_PORTS = {8080, 8081}

# What the output of a page has to have, in this order.
EXPECTED = {
    "README.md": [
        r'"name": "gpu1-server"', r'"object":"list"', r"X-Router-Upstream: gpu", r"data: \[DONE\]",
        r"(?m)^200\n200\n200\n200$", r'"restarts": 1', r"signal 9 \(SIGKILL\)", r"Restart requested", r'"reason":',
        r'"services":\[\]',
        r'"status":"healthy"', r"'gpu1' registered successfully", r"'gpu2' registered successfully",
        r'"lease_remaining":', r"""(?s)"changes":\[\{.*'gpu1' updated|'gpu1' updated.*"changes":\[\{""",
        r'"health_status":"unhealthy"', r'"status":"draining"',
        r"(?m)^infinilm_registry_services 2$", r"/services/{name}/heartbeat", r"'gpu2' unregistered successfully",
        r"configuration is valid", r'"infinilm-gpu1"', r"service infinilm-rust-5001", r"service infinilm-gpu2"],
    "docs/deployment.md": [r"\d+ checks, .* 0 bad", r"demo-gpu\d: ready: running", r"demo-gpu1\.log <==",
                           r"nginx_distributed\.conf written: [12] instances?", r"registry: stopped"],
    "bench/README.md": [r'"completion_tokens":8'],
    "docs/router.md": [r'"id":"Qwen3-32B"', r'"object":"chat.completion"', r"sk-[0-9a-f]{48}\n[0-9a-f]{64}  -",
                       r'"object":"chat.completion"', r'"status":"healthy"'],
    "docs/agent.md": [r'"id":"Qwen3-32B"', r'"state":"running"', r"signal 9 \(SIGKILL\)", r"service sim-5001"],
}
# Pages that show errors.
ERRORS_SHOWN = ()


@functools.lru_cache(maxsize=None)
def own_network():
    """The command that gives a process a network of its own; []: it is not permitted here."""
    for command in OWN_NETWORK:
        try:
            if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
                return command
        except FileNotFoundError:
            break
    return []


class Marks(unittest.TestCase):
    def test_every_block_is_marked_as_the_rules_say(self):
        mistakes = [mistake for path in PAGES for block in blocks_of(path) for mistake in block.mistakes()]
        self.assertEqual(mistakes, [])

    def test_shell_blocks_are_bash_also_those_that_are_not_run(self):
        for path in PAGES:
            for block in blocks_of(path):
                if block.language == "bash":
                    with self.subTest(block.where):
                        done = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True,
                                              check=False)
                        self.assertEqual(done.stderr, "")
                        for name in scripts_named(block):
                            self.assertTrue((SOURCE_DIR / name).is_file(), name)


class PageTest(SystemTest):
    def run_page(self, path, **environment):
        """What the runner says of the page."""
        self.assertTrue((BIN_DIR / "infinilm-registry").exists(), f"no binaries in {BIN_DIR}")
        if not own_network():
            self.check_ports(path)
        command = [*own_network(), sys.executable, "-B", str(RUNNER), str(path), str(self.folder)]
        done = subprocess.run(command, env=os.environ | environment, text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=patience(PAGE_SECONDS), preexec_fn=die_with_the_test,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def check_ports(self, path):
        """Without a network of its own the page gets the ports that it names, or nothing."""
        named = {int(port) for block in runnable(path) for port in re.findall(r"\b[1-9]\d{3,4}\b", block.text)}
        taken = (named | DEFAULT_PORTS) & proc_tree.listening_ports()
        self.assertEqual(taken, set(), "ports of the page are in use on this machine; end what uses them, or permit "
                                       "`unshare --user --net`")


class Pages(PageTest):
    """One test for each page with runnable blocks; they are made below."""

    def follow(self, path):
        name = name_of(path)
        result = self.run_page(path)
        said = result["output"]
        if result["failed"] is not None:
            self.fail(f"{result['failed']['where']}: {result['failed']['why']}\n{said[-4000:]}")
        self.assertEqual(result["left"], [], f"{name} does not say how to end these:\n{said[-4000:]}")
        rest = said
        for pattern in EXPECTED.get(name, ()):
            found = re.search(pattern, rest)
            self.assertIsNotNone(found, f"{name}: no {pattern} in what is left of the output:\n{rest[-6000:]}")
            rest = rest[found.end():]
        if name not in ERRORS_SHOWN:
            self.assertNotIn('{"error"', said, f"{name} gets an error; if it means to, it belongs to ERRORS_SHOWN")

    def test_the_pages_with_expectations_are_followed(self):
        self.assertLessEqual(set(EXPECTED), {name_of(path) for path in PAGES if runnable(path)})


class Runner(PageTest):
    """A page that is wrong is found to be."""

    def result(self, *blocks):
        """Of a page with these blocks, (mark, text); the first command of the first one is in line 3."""
        text = "# A page\n" + "\n".join(f"```bash {mark}\n{text}\n```" for mark, text in blocks)
        return self.run_page(self.write("page.md", text), INFINILM_DOC_END_SECONDS="0.2")

    def test_what_a_block_leaves_is_there_for_the_next_one(self):
        result = self.result(("", "word=kept\nmkdir -p 'a b' && cd 'a b'\nsleep 600 &"), ("needs-root", "false"),
                             ("", "test \"$word\" = kept\ntest \"${PWD##*/}\" = 'a b'\nkill %1"), ("fails", "false"))
        self.assertEqual((result["failed"], result["left"]), (None, []), result)

    def test_the_line_that_fails_is_named(self):
        for wrong, why in (("(exit 3)", "exit code 3"), ("false | true", "exit code 1"), ("no-such", "exit code 127")):
            with self.subTest(wrong):
                result = self.result(("", "true"), ("", f"true \\\n  true\n{wrong}\necho \"went\" on"))
                self.assertEqual(result["failed"], {"where": "page.md:8", "why": why}, result)
                self.assertNotIn("went on", result["output"])
                shutil.rmtree(self.folder)
                self.folder.mkdir()

    def test_a_word_without_a_value(self):
        result = self.result(("", "echo \"$nothing\""))
        self.assertEqual(result["failed"]["where"], "page.md:3")
        self.assertIn("page.md: line 3: nothing: unbound variable", result["output"])

    def test_what_should_fail_and_works(self):
        self.assertEqual(self.result(("fails", "true"))["failed"]["where"], "page.md:3")

    def test_what_is_left_running(self):
        result = self.result(("", "sleep 611 &"))
        self.assertEqual([item.split()[1:] for item in result["left"]], [["sleep", "611"]])

    def test_a_terminal_is_left_by_ctrl_c(self):
        result = self.result(("terminal=1", "infinilm-registry"), ("", "curl -s http://127.0.0.1:8081/health"),
                             ("terminal=1", "infinilm-registry --port 8082"),
                             ("fails", "curl -s http://127.0.0.1:8081/health"),
                             ("", "curl -s http://127.0.0.1:8082/health"))
        self.assertEqual((result["failed"], result["left"]), (None, []), result)

    def test_a_terminal_whose_command_ends_badly(self):
        result = self.result(("terminal=1", "infinilm-registry --no-such-flag"), ("", "true"))
        self.assertEqual(result["failed"], {"where": "page.md:3", "why": "exit code 2"})


def _add_tests():
    for path in PAGES:
        if runnable(path):
            name = re.sub(r"\W+", "_", name_of(path).removesuffix(".md"))
            setattr(Pages, f"test_{name}", lambda self, path=path: self.follow(path))


_add_tests()

if __name__ == "__main__":
    main()
