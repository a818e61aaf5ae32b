"""The official OpenAI clients: installed, pinned, into a folder of their own, and spoken to line by line.

They are installed at the first use, below build/clients (INFINILM_CLIENTS_DIR says otherwise), and used again until
their lock file, or the interpreter, is another. INFINILM_SKIP_CLIENTS=1 skips what needs them.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import time
import unittest

from .daemon_process import SOURCE_DIR, die_with_the_test
from .waiting import patience

PROGRAMS = SOURCE_DIR / "tests" / "clients"
INSTALLED = pathlib.Path(os.environ.get("INFINILM_CLIENTS_DIR") or SOURCE_DIR / "build" / "clients")
OLDEST_NODE = 18
HOW_TO_SKIP = "INFINILM_SKIP_CLIENTS=1 skips these tests"

_INSTALL_SECONDS = 300


class NotInstalled(Exception):
    """Says what is missing, or what the package index said."""


def python_command():
    """The command of the Python client, which is installed if it is not."""
    program = PROGRAMS / "python" / "client.py"
    lock = PROGRAMS / "python" / "requirements.txt"

    def install(folder):
        _run("python3 -m venv", [sys.executable, "-m", "venv", folder],
             "python3-venv is needed: scripts/install_deps.sh --tests")
        _run("pip install", [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-input", "--no-deps",
                             "--disable-pip-version-check", "--only-binary=:all:", "--retries=2", "--timeout=30",
                             "--requirement", lock], "is the Python package index reachable?")
    folder = _installed("python", install, lock.read_bytes() + f"{sys.version} {sys.base_prefix}".encode())
    return [folder / "bin" / "python", "-B", program]


def node_command():
    """The command of the Node client, which is installed if it is not."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NotInstalled("node and npm are needed: scripts/install_deps.sh --tests")
    version = _run("node --version", [node, "--version"], "does node work?").strip()
    major = re.match(r"v(\d+)\.", version)
    if major is None or int(major[1]) < OLDEST_NODE:
        raise NotInstalled(f"node {version} is too old: {OLDEST_NODE} is the oldest that will do")
    files = [PROGRAMS / "node" / name for name in ("package.json", "package-lock.json")]

    def install(folder):
        folder.mkdir()
        for file in files:
            shutil.copy(file, folder)
        _run("npm ci", [npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=2",
                        "--fetch-retry-mintimeout=1000", "--fetch-retry-factor=2"],
             "is the npm registry reachable?", cwd=folder)
    folder = _installed("node", install, b"".join(file.read_bytes() for file in files))
    return [node, PROGRAMS / "node" / "client.mjs", folder]


def _installed(name, install, key):
    """The folder in which install(folder) was once done to its end, for this key."""
    folder = INSTALLED / f"{name}-{hashlib.sha256(key).hexdigest()[:12]}"
    complete = folder / "complete"
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with open(INSTALLED / f"{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests of two builds may come at once
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)  # an installation that was cut short
            install(folder)
            complete.touch()
    return folder


def _run(what, command, hint, **options):
    """The command's output. NotInstalled: it failed."""
    try:
        done = subprocess.run([str(part) for part in command], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=patience(_INSTALL_SECONDS),
                              check=False, **options)
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"{what} did not end within {_INSTALL_SECONDS} s; {hint}") from None
    if done.returncode != 0:
        said = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise NotInstalled(f"{what} failed with exit code {done.returncode}; {hint} ({HOW_TO_SKIP})\n{said}")
    return done.stdout


class Raised(Exception):
    """What a client raised: `classes` from its own to the most general, message, status, code, type, request_id."""

    def __init__(self, classes, message, **fields):
        super().__init__(f"{classes[0]}: {message}")
        self.classes = classes
        self.message = message
        self.status, self.code, self.type, self.request_id = (
            fields[name] for name in ("status", "code", "type", "request_id"))


class Client:
    """A client's process: every attribute that is not its own is one of its calls."""

    def __init__(self, command, stderr):
        environment = {key: value for key, value in os.environ.items()
                       if not re.match(r"(?i)OPENAI_|(https?|all|no)_proxy$|NODE_OPTIONS$|PYTHON", key)}
        self._stderr = stderr
        self._process = subprocess.Popen([str(part) for part in command], env=environment, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=stderr, preexec_fn=die_with_the_test)
        self._said = b""

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *names, **arguments: self._call(name, *names, **arguments)

    def close(self):
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience(10))
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def _call(self, call, **arguments):
        line = json.dumps({"call": call, **arguments}) + "\n"
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()
        answer = json.loads(self._line(call))
        if "raised" in answer:
            raise Raised(**answer["raised"])
        return answer["ok"]

    def _line(self, call):
        deadline = time.monotonic() + patience(60)
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._said:
            readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(descriptor, 1 << 20) if readable else b""
            if not data:
                why = f"ended with {self._process.poll()}" if readable else "did not answer within a minute"
                raise AssertionError(f"the client {why} in {call}:\n{self._complaints()}")
            self._said += data
        line, self._said = self._said.split(b"\n", 1)
        return line

    def _complaints(self):
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")[-3000:]


def skip_if_told():
    if os.environ.get("INFINILM_SKIP_CLIENTS"):
        raise unittest.SkipTest("INFINILM_SKIP_CLIENTS is set")
