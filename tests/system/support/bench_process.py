"""The load generator (bench/load) as a process of a test."""

import json
import subprocess
import threading
import time

from .daemon_process import BIN_DIR
from .waiting import patience

BENCH = BIN_DIR / "infinilm-bench"


class Bench:
    """One run of infinilm-bench against a router; begins at once. Nothing is warm-up: every request counts.

    The flags of the common ones: --rate, --even, --requests, --duration; of the mode: --connections or --streams.
    """

    def __init__(self, test, mode, ports, *flags):
        ports = [ports] if isinstance(ports, int) else ports
        command = [str(BENCH), mode, "--port", ",".join(map(str, ports)), "--model", "sim-model", "--warmup", "0",
                   *map(str, flags)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, cwd=test.folder)
        self.begun = time.monotonic()
        test.addCleanup(self._end)

    def _end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def report(self, timeout=60.0):
        """Waits for its end. `failed` is added: how many requests failed, whatever the reason."""
        stdout, stderr = self.process.communicate(timeout=patience(timeout))
        assert self.process.returncode in (0, 1), f"exit code {self.process.returncode}: {stderr}"
        report = json.loads(stdout)
        report["failed"] = report["total"]["failed"]
        return report


def even_load(test, router, rate, seconds, *flags, connections=512, timeout=5):
    """Plain POSTs at an even rate, open loop: a client that gives up after `timeout` seconds of silence."""
    return Bench(test, "unary", router.port, "--rate", rate, "--even", "--requests", int(rate * seconds), "--tokens", 4,
                 "--timeout", timeout, "--connections", connections, *flags)


class SteadyLoad:
    """even_load() for as long as the test likes: one run after another until reports() ends them."""

    def __init__(self, test, router, rate, *flags):
        self.runs = []
        self.stopping = False

        def run():
            while not self.stopping:
                self.runs.append(even_load(test, router, rate, 2, *flags).report())
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def reports(self):
        """Of all runs, when the last one has ended."""
        self.stopping = True
        self.thread.join()
        return self.runs


def describe(report):
    """The part of a report that explains failures."""
    return {key: report.get(key) for key in ("requests", "failed", "errors", "statuses")}
