"""A folder that looks like an empty machine to dpkg, to useradd and to systemd-analyze."""

import os
import pathlib
import shutil
import subprocess

from .waiting import patience

_PASSWD = "root:x:0:0:root:/root:/bin/bash\n"
_GROUP = "root:x:0:\nvideo:x:44:\nrender:x:105:\n"


def as_root():
    """What commands that change owners are run with; None: they cannot be."""
    if os.getuid() == 0:
        return []
    return ["fakeroot"] if shutil.which("fakeroot") else None


def run(*command, timeout=120.0, **options):
    """Output as text, errors with it; whatever the exit code."""
    return subprocess.run([str(part) for part in command], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=patience(timeout), check=False, **options)


class ScratchRoot:
    def __init__(self, folder):
        self.path = pathlib.Path(folder)
        (self.path / "etc").mkdir(parents=True)
        (self.path / "etc/passwd").write_text(_PASSWD)
        (self.path / "etc/group").write_text(_GROUP)
        for name in ("shadow", "gshadow"):
            (self.path / "etc" / name).write_text("")
        dpkg = self.path / "var/lib/dpkg"
        (dpkg / "info").mkdir(parents=True)
        (dpkg / "updates").mkdir()
        (dpkg / "status").write_text("")

    def __truediv__(self, name):
        return self.path / name

    def dpkg(self, *arguments):
        """dpkg of this root. Maintainer scripts run outside of it, and hear where it is (DPKG_ROOT)."""
        # Containers often leave documents out: not here.
        done = run(*as_root(), "dpkg", f"--root={self.path}", "--force-script-chrootless", "--force-depends",
                   "--force-not-root", "--force-confold", "--path-include=/*", *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def status(self, package):
        for entry in (self / "var/lib/dpkg/status").read_text().split("\n\n"):
            if f"Package: {package}\n" in entry:
                return next(line for line in entry.splitlines() if line.startswith("Status:"))
        return None

    def entry(self, database, name):
        """The line of passwd or group, split; None when there is none."""
        lines = [line.split(":") for line in (self / "etc" / database).read_text().splitlines()]
        found = [line for line in lines if line[0] == name]
        assert len(found) < 2, found
        return found[0] if found else None

    def files(self):
        """{path: (mode, owner, group, target of a link)} of all that is there, without dpkg's own."""
        found = {}
        for path in self.path.rglob("*"):
            name = str(path.relative_to(self.path))
            if not name.startswith("var/lib/dpkg"):
                facts = path.lstat()
                found[name] = (facts.st_mode & 0o7777, facts.st_uid, facts.st_gid,
                               os.readlink(path) if path.is_symlink() else None)
        return found
