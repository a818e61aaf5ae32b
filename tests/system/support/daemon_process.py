"""A daemon under test: the real binary in a folder of its own, and the processes that use it one after another."""

import contextlib
import ctypes
import os
import pathlib
import re
import signal
import subprocess

from . import http_wire
from .waiting import patience, wait_until

SOURCE_DIR = pathlib.Path(os.environ.get("INFINILM_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[3]))
BIN_DIR = pathlib.Path(os.environ.get("INFINILM_BIN_DIR", SOURCE_DIR / "build" / "dev" / "bin")).absolute()

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_SUPERVISORS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


def clean_environment(**extra):
    """The environment without settings of somebody else's daemons."""
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith(("INFINILM_REGISTRY", "INFINILM_ROUTER")) and key not in _SUPERVISORS}
    kept.update(extra)
    return kept


def die_with_the_test():
    """For preexec_fn: a test that is killed leaves nothing behind."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def run_binary(binary, *flags, folder, env=None, timeout=60.0):
    """Runs a binary to its end (bad flags, --help and so on). Returns the CompletedProcess, output as text."""
    return subprocess.run([str(binary), *map(str, flags)], cwd=folder, env=env or clean_environment(), text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=patience(timeout), check=False)


class Daemon:
    """What all daemons have in common. A subclass says which binary, which log, and which flags by default."""

    binary = None    # path
    log_name = None  # in its folder

    def __init__(self, folder, flags=(), env=None, wrapper=(), preexec=None, restore_signals=True, tls=None,
                 token=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.flags = [str(flag) for flag in flags]
        self.env = env or {}
        self.wrapper = [str(part) for part in wrapper]
        self.preexec = preexec
        self.restore_signals = restore_signals
        self.tls = tls
        self.token = token
        self.process = None
        self.port = None
        self.starts = 0

    def default_flags(self):
        """{name: value} of the flags that are given unless `flags` has them."""
        return {}

    # -- the process ---------------------------------------------------------------------------------------------------
    def command(self):
        given = {flag.split("=")[0] for flag in self.flags}
        flags = [f"--{key}={value}" for key, value in self.default_flags().items() if f"--{key}" not in given]
        return [*self.wrapper, str(self.binary), *flags, f"--port-file={self.port_file}", *self.flags]

    def spawn(self):
        """Starts the process and does not wait for it."""
        if not self.binary.exists():
            raise AssertionError(f"{self.binary} does not exist: build it, or set INFINILM_BIN_DIR")
        self.starts += 1
        self.port_file.unlink(missing_ok=True)
        with open(self.stderr_path, "ab") as stderr, open(self.stdout_path, "ab") as stdout:
            self.process = subprocess.Popen(self.command(), cwd=self.folder, env=clean_environment(**self.env),
                                            stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                                            preexec_fn=self._in_the_child, restore_signals=self.restore_signals)
        return self

    def _in_the_child(self):
        die_with_the_test()
        if self.preexec is not None:
            self.preexec()

    def start(self, timeout=60.0):
        """Starts the process and waits until it is ready. Returns self."""
        self.spawn()
        return self.wait_ready(timeout)

    def wait_ready(self, timeout=60.0):
        name = self.binary.name

        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"{name} ended with {self.process.returncode} at its start:\n{self.tail()}")
            text = self.port_file.read_text() if self.port_file.exists() else ""
            if not text.strip().isdigit():
                return False
            self.port = int(text)
            return True
        wait_until(ready, timeout, f"{name}'s port file", interval=0.002)
        return self

    @property
    def pid(self):
        return self.process.pid

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, timeout=30.0):
        return self.process.wait(patience(timeout))

    def stop(self, timeout=30.0):
        """SIGTERM; returns the exit code."""
        if self.alive:
            self.signal(signal.SIGTERM)
        return self.wait_exit(timeout)

    def kill(self):
        """SIGKILL, and gone when this returns."""
        if self.alive:
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def restart(self):
        """kill -9, then a start in the same folder (on another port)."""
        self.kill()
        return self.start()

    def cleanup(self):
        """Ends what still runs, as an operator would: whatever the test did to it, SIGTERM must give exit code 0."""
        if self.alive:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                code = self.wait_exit(1)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGTERM)  # a request is still open: do not wait for it
                code = self._wait_or_kill()
            assert code == 0, f"SIGTERM at the end of the test: exit code {code}\n{self.tail()}"
        for word in ("AddressSanitizer", "ThreadSanitizer", "LeakSanitizer", "runtime error:"):
            assert word not in self.stderr_text(), self.stderr_text()

    def _wait_or_kill(self):
        try:
            return self.wait_exit(10)
        except subprocess.TimeoutExpired:
            self.kill()
            return "none within 10 s"

    # -- its files -----------------------------------------------------------------------------------------------------
    port_file = property(lambda self: self.folder / "port")
    log_path = property(lambda self: self.folder / self.log_name)
    stderr_path = property(lambda self: self.folder / "stderr.txt")
    stdout_path = property(lambda self: self.folder / "stdout.txt")

    def log_text(self):
        """What the log file has, up to the last line on stderr: a thread writes the file, and may be a moment behind."""
        if self.alive:
            said = re.findall(r"^(?:\d{4}-\d\d-\d\dT|\{).*\n", self.stderr_text(), re.M)
            with contextlib.suppress(AssertionError):  # another log file by now, or none
                wait_until(lambda: not said or said[-1] in self._log_text(), 0.7, "the last line in the log", 0.002)
        return self._log_text()

    def _log_text(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def stderr_text(self):
        return self.stderr_path.read_text(errors="replace") if self.stderr_path.exists() else ""

    def tail(self, lines=30):
        return "\n".join(self.stderr_text().splitlines()[-lines:])

    # -- its API -------------------------------------------------------------------------------------------------------
    def connection(self, timeout=30.0):
        return http_wire.Connection(self.port, timeout, self.tls, self.token)

    def call(self, method, path, json=None, body=None, headers=(), timeout=30.0):
        return http_wire.call(self.port, method, path, json, body, headers, timeout, tls=self.tls, token=self.token)

    def get(self, path):
        """GET; the answer must be 200. Returns the JSON."""
        response = self.call("GET", path)
        assert response.status == 200, f"GET {path}: {response}"
        return response.json()

    def metric(self, name):
        """The value of the metric line that begins with `name` (labels included), or None."""
        for line in self.call("GET", "/metrics").text.splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        return None
