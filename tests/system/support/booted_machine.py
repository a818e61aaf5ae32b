"""A machine that boots with systemd, on this machine's own files: nothing that is done there reaches the real ones.

A container (systemd-nspawn) whose root is an overlay in memory. It needs root, and a kernel that allows both.
"""

import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from .scratch_root import run
from .waiting import patience, wait_until

_PREPARE = """set -e
mount -t tmpfs -o size=1G,mode=755 infinilm-test "$1"
mkdir "$1/changed" "$1/work" "$1/root"
mount -t overlay infinilm-test -o "lowerdir=/,upperdir=$1/changed,workdir=$1/work" "$1/root"
rm -f "$1/root"/etc/systemd/system/*.wants/* "$1/root/usr/sbin/policy-rc.d"
echo 0123456789abcdef0123456789abcdef >"$1/root/etc/machine-id"
export UNIFIED_CGROUP_HIERARCHY=1
exec systemd-nspawn --quiet --register=no --keep-unit --private-network --machine=infinilm-test \
  --directory="$1/root" --boot
"""
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class BootedMachine:
    """`test`: it is switched off with it. SkipTest: such machines cannot be had here."""

    def __init__(self, test):
        for tool in ("systemd-nspawn", "unshare", "nsenter"):
            if shutil.which(tool) is None:
                raise unittest.SkipTest(f"needs {tool} (scripts/install_deps.sh --dev)")
        if os.getuid() != 0:
            raise unittest.SkipTest("needs root, for a container")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="infinilm-machine-"))
        test.addCleanup(shutil.rmtree, self.folder, True)
        self.console = self.folder.with_suffix(".console")
        test.addCleanup(self.console.unlink, missing_ok=True)
        with open(self.console, "wb") as console:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "bash", "-c", _PREPARE, "bash", str(self.folder)], stdin=subprocess.DEVNULL,
                stdout=console, stderr=console, preexec_fn=lambda: _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))
        test.addCleanup(self.switch_off)
        self.leader = None
        wait_until(self._booted, 120, "the boot of a container", 0.1)

    def _booted(self):
        if self.process.poll() is not None:
            raise unittest.SkipTest("no container can be booted here: " + self.console.read_text(errors="replace")[-300:])
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        if not children:
            return False
        self.leader = children[0]
        return self.run("systemctl is-system-running").stdout.strip() in ("running", "degraded")

    def path(self, name):
        """A file of the machine, as it is reached from here."""
        return pathlib.Path(f"/proc/{self.leader}/root") / name.lstrip("/")

    def run(self, command, timeout=120.0):
        """A command in the machine's shell; output and errors together."""
        return run("nsenter", "--target", self.leader, "--all", "/usr/bin/env", "-i",
                   "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "/bin/sh", "-c", command, timeout=timeout)

    def must(self, command, timeout=120.0):
        """Its output; the command must succeed."""
        done = self.run(command, timeout)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def property(self, unit, name):
        return self.must(f"systemctl show --property={name} --value {unit}").strip()

    def switch_off(self):
        """Its processes end with its first one."""
        if self.process.poll() is None and self.leader:
            try:
                os.kill(int(self.leader), signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            self.process.wait(patience(20))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
