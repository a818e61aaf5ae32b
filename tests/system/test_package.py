#!/usr/bin/env python3
"""The Debian package, made of the binaries under test: what is in it, and that it installs, upgrades and goes."""

import gzip
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from support import http_wire
from support.agent_process import port_pair
from support.case import main
from support.daemon_process import BIN_DIR, SOURCE_DIR, clean_environment
from support.package import NAME, PackageTest
from support.scratch_root import ScratchRoot, as_root, run
from support.waiting import wait_until

DAEMONS = ("registry", "router", "agent")
BINARIES = [f"infinilm-{daemon}" for daemon in DAEMONS] + ["infinilm-ctl"]
PAGES = {f"infinilm-{daemon}": 8 for daemon in DAEMONS} | {"infinilm-ctl": 1}
CONFFILES = ["/etc/infinilm/registry_config.json", "/etc/infinilm/router_config.json"]
UNITS = ["infinilm-registry.service", "infinilm-router.service", "infinilm-agent@.service"]
SHARE = "usr/share/infinilm"


class Contents(PackageTest):
    def fields(self):
        text = run("dpkg-deb", "--field", self.deb).stdout
        return dict(re.findall(r"^([\w-]+): (.*)$", text, re.M))

    def listing(self):
        """{path: (mode as ls shows it, owner)}"""
        lines = run("dpkg-deb", "--contents", self.deb).stdout.splitlines()
        found = {}
        for line in lines:
            mode, owner, _, _, _, path = line.split(maxsplit=5)
            found[path.removeprefix("./").rstrip("/")] = (mode, owner)
        return found

    def test_fields(self):
        fields = self.fields()
        version = run(self.tree / "usr/bin/infinilm-registry", "--version").stdout.split()[1]
        self.assertEqual(fields["Package"], NAME)
        self.assertEqual(fields["Version"], version + "-1")
        self.assertEqual(fields["Architecture"], run("dpkg", "--print-architecture").stdout.strip())
        self.assertRegex(fields["Maintainer"], r"^.+ <\S+@\S+>$")
        self.assertGreater(int(fields["Installed-Size"]), 1000)
        self.assertEqual(self.deb.name, f"{NAME}_{version}-1_{fields['Architecture']}.deb")
        description = run("dpkg-deb", "--field", self.deb, "Description").stdout.splitlines()
        self.assertLess(len(description[0]), 80)
        self.assertFalse(description[0].endswith("."))
        self.assertGreater(len(description), 1)
        for line in description[1:]:
            self.assertTrue(line.startswith(" "))
            self.assertLess(len(line), 81, line)

    def test_dependencies_are_computed(self):
        depends = self.fields()["Depends"]
        needed = run("readelf", "-d", self.tree / "usr/bin/infinilm-registry").stdout
        for library, package in (("libc.so", r"libc6 \(>= [\d.]+\)"), ("libssl.so", r"libssl3(t64)? \(>= [\d.]+\)"),
                                 ("libsqlite3.so", r"libsqlite3-0 \(>= [\d.]+\)"), ("libspdlog.so", "libspdlog")):
            self.assertIn(library, needed)
            self.assertRegex(depends, package)
        for package in ("passwd", "bash"):
            self.assertIn(package, depends)
        self.assertNotIn("-dev", depends)

    def test_what_is_in_it_and_what_is_not(self):
        listing = self.listing()
        wanted = [f"usr/bin/{name}" for name in BINARIES]
        wanted += [f"usr/share/man/man{chapter}/{name}.{chapter}.gz" for name, chapter in PAGES.items()]
        wanted += [f"usr/lib/systemd/system/{unit}" for unit in UNITS]
        wanted += [path.lstrip("/") for path in CONFFILES] + ["etc/infinilm/agents", f"{SHARE}/prepare_host.sh"]
        wanted += [f"{SHARE}/scripts/start_service_instance.sh", f"{SHARE}/scripts/common.sh"]
        wanted += [f"{SHARE}/{path.relative_to(SOURCE_DIR)}" for path in (SOURCE_DIR / "deployment_configs").rglob("*")]
        wanted += [f"usr/share/doc/{NAME}/{name}" for name in ("copyright", "changelog.gz", "changelog.Debian.gz", "README.md",
                                                              "docs/agent.md")]
        self.assertEqual([path for path in wanted if path not in listing], [])
        self.assertEqual({path for path in listing if path.startswith("usr/bin/")}, {f"usr/bin/{b}" for b in BINARIES})
        places = ("usr/bin", "usr/lib/systemd/system", "usr/share/man", "usr/share/doc", SHARE, "etc/infinilm")
        for path in listing:
            self.assertTrue(path == "" or any((path + "/").startswith(place + "/") or place.startswith(path + "/")
                                              for place in places), path)
            self.assertNotRegex(path, r"infinilm-(sim|bench)|(^|/)\.|~$|\.orig$")

    def test_modes_and_owners(self):
        for path, (mode, owner) in self.listing().items():
            with self.subTest(path):
                self.assertEqual(owner, "root/root")
                runs = path.startswith("usr/bin/") or (path.startswith(SHARE) and path.endswith(".sh")
                                                       and not path.endswith("common.sh"))
                if mode.startswith("d"):
                    self.assertEqual(mode, "drwxr-xr-x")
                else:
                    self.assertEqual(mode, "-rwxr-xr-x" if runs else "-rw-r--r--")

    def test_control_files(self):
        self.assertEqual({path.name for path in self.control.iterdir()},
                         {"control", "md5sums", "conffiles", "postinst", "prerm", "postrm"})
        self.assertEqual((self.control / "conffiles").read_text().splitlines(), CONFFILES)
        for script in ("postinst", "prerm", "postrm"):
            path = self.control / script
            self.assertEqual(path.stat().st_mode & 0o777, 0o755)
            self.assertTrue(path.read_text().startswith("#!/bin/bash\nset -euo pipefail\n"))
        sums = dict(reversed(line.split("  ", 1)) for line in (self.control / "md5sums").read_text().splitlines())
        for name in BINARIES:
            self.assertIn(f"usr/bin/{name}", sums)

    def test_binaries_are_stripped_and_hardened(self):
        for name in BINARIES:
            with self.subTest(name):
                text = run("readelf", "-W", "-h", "-l", "-d", "-S", self.tree / "usr/bin" / name).stdout
                self.assertRegex(text, r"Type: +DYN \(Position-Independent Executable")
                self.assertIn("GNU_RELRO", text)
                self.assertRegex(text, r"BIND_NOW|FLAGS_1.*NOW")
                self.assertRegex(text, r"GNU_STACK +\S+ \S+ \S+ \S+ \S+ RW ")
                self.assertNotRegex(text, r"\.symtab|\.debug_|RPATH|RUNPATH")

    def test_nothing_speaks_of_the_machine_that_it_was_made_on(self):
        for path in self.tree.rglob("*"):
            if path.is_file() and path.parent.name != "bin":
                data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
                self.assertNotIn(str(SOURCE_DIR).encode(), data, path)
                self.assertNotIn(str(self.folder).encode(), data, path)

    def test_the_installed_scripts_run(self):
        script = self.tree / SHARE / "scripts/start_service_instance.sh"
        self.assertIn("usage:", run(script, "--help").stdout)
        done = run(script, "--port=5001", "--service-type=sim", "--models=m", "--dry-run",
                   env=clean_environment(PATH=f"{self.tree}/usr/bin:{os.environ['PATH']}"), cwd=self.folder)
        self.assertIn("service sim-5001", done.stdout)

    def test_the_installed_deploy_script_leaves_its_own_folder_alone(self):
        before = sorted(self.tree.rglob("*"))
        env = clean_environment(PATH=f"{self.tree}/usr/bin:{os.environ['PATH']}")
        script = self.tree / SHARE / "scripts/deploy_services.sh"
        self.assertIn(" /etc/infinilm/ h:", run(script, "deploy-remote", "--dry-run", "h", env=env, cwd=self.folder).stdout)
        said = run(script, "-c", self.tree / "etc/infinilm", "check", env=env, cwd=self.folder).stdout
        self.assertIn(" folder /var/lib/infinilm/logs: ", said)
        self.assertIn(" router_config.json: valid\n", said)
        self.assertEqual(sorted(self.tree.rglob("*")), before)


class ManualPages(PackageTest):
    def page(self, name):
        path = self.tree / f"usr/share/man/man{PAGES[name]}/{name}.{PAGES[name]}.gz"
        return gzip.decompress(path.read_bytes()).decode()

    def plain(self, text):
        done = run("groff", "-t", "-man", "-Tutf8", "-P-cbou", "-rLL=500n", "-", env=os.environ | {"LC_ALL": "C.UTF-8"},
                   **self.input(text))
        return done.stdout

    def input(self, text):
        path = self.folder / "page"
        path.write_text(text)
        return {"preexec_fn": lambda: os.dup2(os.open(path, os.O_RDONLY), 0)}

    def test_they_are_well_formed(self):
        for name in PAGES:
            with self.subTest(name):
                text = self.page(name)
                (self.folder / "page").write_text(text)
                done = run("groff", "-t", "-man", "-Tutf8", "-ww", "-z", self.folder / "page")
                self.assertEqual((done.returncode, done.stdout), (0, ""))
                self.assertRegex(text, r'(?m)^\.TH \S+ %d ' % PAGES[name])
                self.assertRegex(text, r"(?m)^\.SH NAME\n%s \\- " % name.replace("-", r"\\-"))
                self.assertNotIn("@", re.sub(r"agent@|@\w+\.service", "", text), "a placeholder")

    def test_daemons_have_exactly_the_flags_of_their_help(self):
        for daemon in DAEMONS:
            name = f"infinilm-{daemon}"
            with self.subTest(name):
                text = run(self.tree / "usr/bin" / name, "--help").stdout
                said = {flag: " ".join(words.split()) for flag, words in
                        re.findall(r"^  (--[a-z0-9-]+).*\n((?:      .*\n)+)", text, re.M)}
                options = self.plain(self.page(name)).split("\nSIGNALS\n")[0].split("\nOPTIONS\n")[1]
                told = {flag: " ".join(words.split()) for flag, words in
                        re.findall(r"^       (--[a-z0-9-]+).*\n((?:              .*\n)+)", options, re.M)}
                self.assertGreater(len(said), 30)
                self.assertEqual(told, said)

    def test_the_tool_has_exactly_its_commands_and_flags(self):
        tool = self.tree / "usr/bin/infinilm-ctl"
        commands = re.findall(r"^  ([a-z-]+) ", run(tool, "--help").stdout.split("Subcommands:\n")[1], re.M)
        self.assertIn("generate-config", commands)
        text = self.plain(self.page("infinilm-ctl")).split("\nEXIT STATUS\n")[0].split("\nCOMMANDS\n")[1]
        sections = dict(re.findall(r"^   (\S+) .*\n((?:(?:     .*)?\n)+)", text, re.M))
        self.assertEqual(sorted(sections), sorted(commands))
        for command in commands:
            flags = set(re.findall(r"^  (?:-\w,)?(--[a-z-]+)", run(tool, command, "--help").stdout, re.M)) - {"--help"}
            self.assertEqual(set(re.findall(r"^       (?:-\w, )?(--[a-z-]+)", sections[command], re.M)), flags, command)


@unittest.skipIf(as_root() is None, "needs root or fakeroot")
class Installation(PackageTest):
    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="infinilm-root-", dir=self.folder))
        self.root = ScratchRoot(self.scratch / "root")

    def install(self):
        return self.root.dpkg("--install", self.deb)

    def ids(self):
        user, group = self.root.entry("passwd", "infinilm"), self.root.entry("group", "infinilm")
        return int(user[2]), int(group[2])

    def test_files_user_and_folders(self):
        self.install()
        self.assertEqual(self.root.status(NAME), "Status: install ok installed")
        user = self.root.entry("passwd", "infinilm")
        self.assertEqual(user[5:], ["/var/lib/infinilm", "/usr/sbin/nologin"])
        for group in ("video", "render"):  # GPUs
            self.assertEqual(self.root.entry("group", group)[3], "infinilm")
        uid, gid = self.ids()
        self.assertLess(uid, 1000)
        if os.getuid() != 0:
            return  # fakeroot forgets owners between two commands
        files = self.root.files()
        wanted = {"etc/infinilm": (0o750, 0, gid, None), "etc/infinilm/agents": (0o750, 0, gid, None),
                  "var/lib/infinilm": (0o755, 0, 0, None), "var/log/infinilm": (0o750, uid, gid, None)}
        for daemon in DAEMONS:
            wanted[f"var/lib/infinilm/{daemon}"] = (0o750, uid, gid, None)
            wanted[f"var/lib/infinilm/{daemon}/logs"] = (0o777, 0, 0, "/var/log/infinilm")
        self.assertEqual({path: files.get(path) for path in wanted}, wanted)

    def test_what_is_installed_works(self):
        self.install()
        for name in BINARIES:
            done = run(self.root / "usr/bin" / name, "--version")
            self.assertRegex(done.stdout, rf"^{name} \d+\.\d+\.\d+ \(\w+\)\n$")
        for daemon in ("registry", "router"):
            done = run(self.root / f"usr/bin/infinilm-{daemon}", "--config",
                       self.root / f"etc/infinilm/{daemon}_config.json", "--check-config", env=clean_environment())
            self.assertEqual((done.returncode, done.stdout), (0, "configuration is valid\n"))
        for unit in UNITS:
            text = (self.root / "usr/lib/systemd/system" / unit).read_text()
            for program in re.findall(r"^Exec\w+=[-+!@:]*(/usr/\S+)", text, re.M):
                self.assertTrue(os.access(self.root / program.lstrip("/"), os.X_OK), program)
            for config in re.findall(r"--config (/\S+\.json)", text):
                self.assertTrue((self.root / config.lstrip("/")).exists(), config)

    def start(self, name, *flags):
        process = subprocess.Popen([str(self.root / "usr/bin" / name), *map(str, flags)], cwd=self.scratch,
                                   env=clean_environment(PATH=f"{BIN_DIR}:{os.environ['PATH']}"),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_an_installed_agent_finds_its_shim(self):
        self.install()
        port = port_pair()
        agent = self.start("infinilm-agent", f"--port={port}", "--service-type=sim", "--models=m", "--bind=127.0.0.1",
                           "--host=127.0.0.1")

        def ready():
            self.assertIsNone(agent.poll())
            return http_wire.call(port + 1, "GET", "/health").status == 200
        wait_until(ready, 60, "the engine of the installed agent", 0.02)
        status = http_wire.call(port + 1, "GET", "/status").json()
        self.assertEqual(os.readlink(f"/proc/{status['shim_pid']}/exe"), str(self.root / "usr/bin/infinilm-agent"))
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(60), 0)

    def test_an_upgrade_keeps_what_the_administrator_made(self):
        self.install()
        config = self.root / "etc/infinilm/router_config.json"
        config.write_text('{"router": {"port": 9000}}')
        (self.root / "etc/infinilm/agents/gpu1.toml").write_text("port = 5001\n")
        (self.root / "etc/infinilm").chmod(0o700)
        link = self.root / "var/lib/infinilm/registry/logs"
        link.unlink()
        link.mkdir()
        before = self.root.files()
        ids = self.ids()
        self.install()
        self.assertEqual(self.ids(), ids)
        self.assertEqual(config.read_text(), '{"router": {"port": 9000}}')
        after = self.root.files()
        changed = {path for path in set(before) | set(after) if before.get(path) != after.get(path)}
        self.assertEqual({path for path in changed if not re.match(r"etc/(passwd|group|g?shadow)-?$", path)}, set())

    def test_removed_and_purged(self):
        pristine = self.root.files()
        self.install()
        state = self.root / "var/lib/infinilm/registry/registry.db"
        state.write_text("x")
        (self.root / "etc/infinilm/token").write_text("x")
        wants = self.root / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True)
        for unit in ("infinilm-router.service", "infinilm-agent@gpu1.service", "other.service"):
            (wants / unit).symlink_to(f"/usr/lib/systemd/system/{unit}")
        self.root.dpkg("--remove", NAME)
        self.assertEqual(self.root.status(NAME), "Status: deinstall ok config-files")
        self.assertFalse((self.root / "usr/bin/infinilm-registry").exists())
        self.assertFalse((self.root / SHARE).exists())
        for kept in (state, self.root / "etc/infinilm/token", *(self.root / path.lstrip("/") for path in CONFFILES)):
            self.assertTrue(kept.exists(), kept)
        self.root.dpkg("--purge", NAME)
        self.assertIsNone(self.root.status(NAME))
        left = set(self.root.files()) - set(pristine)
        self.assertEqual({path for path in left if "infinilm" in path}, set())
        self.assertEqual(os.listdir(wants), ["other.service"])
        self.assertIsNotNone(self.root.entry("passwd", "infinilm"))

    def test_installed_again_after_a_removal(self):
        self.install()
        self.root.dpkg("--remove", NAME)
        self.install()
        self.assertEqual(self.root.status(NAME), "Status: install ok installed")
        self.assertTrue((self.root / "usr/bin/infinilm-registry").exists())


@unittest.skipIf(as_root() is None, "needs root or fakeroot")
class InstallScript(unittest.TestCase):
    """systemd/install.sh, for those who do not use the package."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="infinilm test-"))  # with a blank
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.root = ScratchRoot(self.folder / "root")
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for name in BINARIES:
            (self.bin / name).write_text("#!/bin/sh\necho old\n")
            (self.bin / name).chmod(0o755)

    def install(self, *flags, code=0, bin_dir=None):
        done = run(*as_root(), SOURCE_DIR / "systemd/install.sh", "--root", self.root.path, "--bin-dir",
                   bin_dir or self.bin, *flags, cwd="/")
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def test_it_installs_and_again(self):
        self.install()
        for name in BINARIES:
            self.assertTrue(os.access(self.root / "usr/local/bin" / name, os.X_OK))
        for unit in UNITS:
            text = (self.root / "etc/systemd/system" / unit).read_text()
            self.assertNotIn("/usr/bin/infinilm", text)
            self.assertRegex(text, r"(?m)^ExecStart=/usr/local/bin/infinilm-\w+ --config /etc/infinilm/")
            self.assertRegex(text, r"(?m)^ExecReload=/usr/local/bin/infinilm-\w+ .* --check-config$")
        self.assertIsNotNone(self.root.entry("passwd", "infinilm"))
        config = self.root / "etc/infinilm/router_config.json"
        config.write_text("{}")
        (self.bin / "infinilm-agent").write_text("#!/bin/sh\necho new\n")
        before = self.root.files()
        self.install()
        self.assertEqual(config.read_text(), "{}")
        self.assertIn("new", (self.root / "usr/local/bin/infinilm-agent").read_text())
        self.assertEqual(self.root.files(), before)

    def test_folders_that_are_there_stay_as_they_are(self):
        modes = {"usr/local/bin": 0o2775, "var/log": 0o775, "etc": 0o751, "etc/systemd/system": 0o700}
        for name, mode in modes.items():
            (self.root / name).mkdir(parents=True, exist_ok=True)
            (self.root / name).chmod(mode)
        self.install()
        self.assertEqual({name: (self.root / name).stat().st_mode & 0o7777 for name in modes}, modes)

    def test_another_prefix(self):
        self.install("--prefix=/opt/infinilm")
        self.assertTrue((self.root / "opt/infinilm/bin/infinilm-ctl").exists())
        text = (self.root / "etc/systemd/system/infinilm-agent@.service").read_text()
        self.assertIn("\nExecStart=/opt/infinilm/bin/infinilm-agent ", text)

    def test_a_dry_run_changes_nothing(self):
        before = self.root.files()
        said = self.install("--dry-run")
        self.assertIn("infinilm-registry", said)
        self.assertIn("infinilm-agent@.service", said)
        self.assertEqual(self.root.files(), before)
        self.install()
        before = self.root.files()
        self.install("--dry-run", "--uninstall", "--purge")
        self.assertEqual(self.root.files(), before)

    def test_uninstall_and_purge(self):
        before = set(self.root.files())
        self.install()
        (self.root / "var/lib/infinilm/agent/model").write_text("x")
        self.install("--uninstall")
        left = {path for path in set(self.root.files()) - before if "infinilm" in path}
        self.assertTrue(left)
        self.assertEqual({path for path in left if not re.match(r"(etc|var/lib|var/log)/infinilm", path)}, set())
        self.install("--uninstall", "--purge")
        self.assertEqual({path for path in set(self.root.files()) - before if "infinilm" in path}, set())
        self.install("--uninstall")  # nothing is there: no mistake

    def test_wrong_usage_is_one_sentence(self):
        for flags, code, message in ((["--nope"], 2, "unknown flag '--nope'"), (["--prefix"], 2, "--prefix needs a folder"),
                                     (["--prefix", "opt"], 2, "must be an absolute path"),
                                     (["--prefix", "/a b"], 2, "a unit cannot name a program below '/a b'"),
                                     (["--purge"], 2, "--purge goes with --uninstall")):
            with self.subTest(flags):
                said = self.install(*flags, code=code)
                self.assertIn(message, said)
                self.assertEqual(len(said.splitlines()), 1, said)
        said = self.install(code=1, bin_dir=self.folder / "nowhere")
        self.assertIn("infinilm-registry is not there: build it", said)


if __name__ == "__main__":
    main()
