#!/usr/bin/env python3
"""The units: systemd takes them without a word, their sandbox is tight, and they say what the manuals promise."""

import configparser
import pathlib
import re
import shutil
import tempfile
import unittest

from support.agent_process import run_agent
from support.case import main
from support.daemon_process import SOURCE_DIR
from support.documents import blocks, page
from support.scratch_root import run

UNITS = {path.name: path for path in (SOURCE_DIR / "systemd").glob("*.service")}
# Tenths, as --threshold counts.
MOST_EXPOSED = {"infinilm-registry.service": 15, "infinilm-router.service": 15, "infinilm-agent@.service": 25}
ANALYZE = shutil.which("systemd-analyze")
TARGETS = pathlib.Path("/lib/systemd/system")


class _Lines(dict):
    """Keys that come again keep all their values, as in a unit."""

    def __setitem__(self, key, value):
        if key in self and isinstance(value, list):
            value = self[key] + value
        super().__setitem__(key, value)


def read(name):
    """{section: {key: [value, ...]}}"""
    parser = configparser.RawConfigParser(strict=False, dict_type=_Lines, interpolation=None, comment_prefixes="#")
    parser.optionxform = str
    parser.read(UNITS[name], encoding="utf-8")
    return {section: {key: value.split("\n") for key, value in parser.items(section)} for section in parser.sections()}


class Units(unittest.TestCase):
    def test_there_is_one_for_each_daemon(self):
        self.assertEqual(set(UNITS), set(MOST_EXPOSED))

    @unittest.skipIf(ANALYZE is None, "needs systemd-analyze (scripts/install_deps.sh --dev)")
    def test_systemd_takes_them_without_a_word(self):
        root = pathlib.Path(tempfile.mkdtemp(prefix="infinilm-test-"))
        self.addCleanup(shutil.rmtree, root, True)
        folder = root / "usr/lib/systemd/system"
        folder.mkdir(parents=True)
        (root / "lib").symlink_to("usr/lib")
        for target in TARGETS.glob("*.target"):
            shutil.copy(target, folder)
        for path in UNITS.values():
            shutil.copy(path, folder)
            for program in re.findall(r"^Exec\w+=[-+!@:]*(/\S+)", path.read_text(), re.M):
                stub = root / program.lstrip("/")
                stub.parent.mkdir(parents=True, exist_ok=True)
                stub.write_text("#!/bin/sh\n")
                stub.chmod(0o755)
        names = [name.replace("@.", "@gpu1.") for name in UNITS]
        done = run(ANALYZE, "verify", f"--root={root}", "--man=no", *names)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        # And it would have said something.
        bad = folder / "infinilm-router.service"
        bad.write_text(bad.read_text().replace("Restart=always", "Restrat=always"))
        self.assertIn("Restrat", run(ANALYZE, "verify", f"--root={root}", "--man=no", *names).stdout)

    @unittest.skipIf(ANALYZE is None, "needs systemd-analyze (scripts/install_deps.sh --dev)")
    def test_the_sandbox_is_tight(self):
        for name, most in MOST_EXPOSED.items():
            with self.subTest(name):
                done = run(ANALYZE, "security", "--offline=true", "--no-pager", f"--threshold={most}", UNITS[name])
                self.assertEqual(done.returncode, 0, done.stdout)
                exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)[1])
                self.assertLessEqual(exposure * 10, most)

    def test_life_and_death(self):
        for name in UNITS:
            unit = read(name)
            service = unit["Service"]
            with self.subTest(name):
                for key, value in (("Type", "notify"), ("Restart", "always"), ("KillMode", "mixed"), ("WatchdogSec", "30"),
                                   ("RestartPreventExitStatus", "2"), ("User", "infinilm")):
                    self.assertEqual(service[key], [value], key)
                self.assertEqual(unit["Unit"]["StartLimitBurst"], ["10"])
                check, signal = service["ExecReload"]
                self.assertEqual(signal, "/bin/kill -HUP $MAINPID")
                self.assertEqual(check, service["ExecStart"][0] + " --check-config")
                self.assertEqual(unit["Install"]["WantedBy"], ["multi-user.target"])

    def test_the_agent_may_do_what_its_engines_need(self):
        service = read("infinilm-agent@.service")["Service"]
        for key, value in (("Delegate", "yes"), ("OOMPolicy", "continue"), ("DeviceAllow", "char-* rw"),
                           ("LimitMEMLOCK", "infinity"), ("TasksMax", "infinity")):
            self.assertEqual(service[key], [value], key)
        # A GPU's compiler, a control group for each run, NUMA, and what the kernel tells of ports would be gone.
        for key in ("MemoryDenyWriteExecute", "ProtectControlGroups", "PrivateDevices", "PrivateUsers", "ProcSubset",
                    "PrivateNetwork"):
            self.assertNotIn(key, service)
        self.assertNotRegex(" ".join(service["SystemCallFilter"]), "@resources|@debug|@system-service")

    def test_stop_times_leave_room_for_the_drains(self):
        seconds = {"infinilm-registry.service": 10, "infinilm-router.service": 30, "infinilm-agent@.service": 30 + 10 + 10}
        for name, drain in seconds.items():
            self.assertGreater(int(read(name)["Service"]["TimeoutStopSec"][0]), drain)

    def test_the_agents_file_of_the_page_is_valid(self):
        [text] = [text for language, text in blocks(page("docs/packaging.md")) if language == "toml"]
        services = SOURCE_DIR / "deployment_configs/demo/server1_services.json"
        folder = pathlib.Path(tempfile.mkdtemp(prefix="infinilm-test-"))
        self.addCleanup(shutil.rmtree, folder, True)
        config = folder / "all.toml"
        config.write_text(text.replace("/etc/infinilm/server1_services.json", str(services)))
        done = run_agent("--config", config, "--dry-run", folder=folder)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("service demo-gpu1 (sim)", done.stdout)

    def test_the_page_has_the_folders_and_files(self):
        text = page("docs/packaging.md")
        for name in UNITS:
            service = read(name)["Service"]
            self.assertIn(f"`{name}`", text)
            for key in ("WorkingDirectory", "EnvironmentFile"):
                self.assertIn(service[key][0].lstrip("-").replace("%i", "NAME"), text)


if __name__ == "__main__":
    main()
