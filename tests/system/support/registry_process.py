"""The registry under test: the real binary in a folder of its own."""

import datetime
import json
import re
import time

from . import http_wire
from .daemon_process import BIN_DIR, SOURCE_DIR, Daemon, clean_environment, run_binary  # noqa: F401 (some for others)
from .pipeline import run_pipelined
from .waiting import patience

BINARY = BIN_DIR / "infinilm-registry"

# Not part of what most tests are about: no probe disturbs them, and the log stays in the test's folder.
_DEFAULTS = {"host": "127.0.0.1", "port": "0", "health-interval": "1h"}


def service(name, port=39001, host="127.0.0.1", **fields):
    """A valid registration; `fields` add to it or replace parts of it."""
    body = {"name": name, "host": host, "port": port, "hostname": host, "url": f"http://{host}:{port}",
            "status": "running"}
    body.update(fields)
    return body


def run_registry(*flags, folder, env=None, timeout=60.0):
    """Runs the binary to its end (bad flags, --help and so on). Returns the CompletedProcess, output as text."""
    return run_binary(BINARY, *flags, folder=folder, env=env, timeout=timeout)


def sentences(stderr):
    """What the daemon says to the one who started it, without the log lines around it."""
    return [line for line in stderr.splitlines() if line.startswith("infinilm-registry: ")]


class Registry(Daemon):
    """One folder with a state database and logs, and the processes that use it one after another."""

    binary = BINARY
    log_name = "registry.log"

    def __init__(self, folder, *flags, **options):
        super().__init__(folder, flags, **options)

    def default_flags(self):
        return {**_DEFAULTS, "state-db": self.db_path, "log-file": self.log_path}

    db_path = property(lambda self: self.folder / "registry.db")

    def transitions(self, kind=None):
        """What became of services, out of the log: [(seconds, kind, name)] in order. The times are the registry's own,
        however late this process hears of it."""
        pattern = re.compile(r"^(\S+)Z (?:INFO |WARN ) registry: service (\w+) name=(\S+) ", re.M)
        found = [(datetime.datetime.fromisoformat(time_text).timestamp(), word, name)
                 for time_text, word, name in pattern.findall(self.log_text())]
        return [item for item in found if kind in (None, item[1])]

    # -- its API -------------------------------------------------------------------------------------------------------
    def services(self, query=""):
        return self.get("/services" + query)["services"]

    def names(self, query=""):
        return sorted(item["name"] for item in self.services(query))

    def service(self, name):
        return self.get(f"/services/{name}")

    def register(self, name, **fields):
        response = self.call("POST", "/services", json=service(name, **fields))
        assert response.status == 201, f"registration of {name}: {response}"
        return response.json()

    def heartbeat(self, name, json=None):
        return self.call("POST", f"/services/{name}/heartbeat", json=json)

    def register_many(self, bodies, connections=16):
        """Registers all, pipelined; each must be answered 201."""
        requests = [http_wire.request_bytes("POST", "/services", json=body) for body in bodies]
        responses = run_pipelined(self.port, requests, connections)
        bad = [response for response in responses if response.status != 201]
        assert not bad, f"{len(bad)} of {len(bodies)} registrations failed: {bad[0]}"
        return responses

    def position(self):
        """(revision, epoch) to watch from."""
        answer = self.get("/services")
        return answer["revision"], answer["epoch"]

    def changes(self, since, epoch=None, wait="20s"):
        """One long poll of the changes protocol."""
        query = f"?changes=true&wait={wait}&since={since}" + (f"&epoch={epoch}" if epoch else "")
        return self.get("/services" + query)


class ChangeStream:
    """Follows changes from now on: `next()` gives one event after another, in order, with the time it came."""

    def __init__(self, registry):
        self.registry = registry
        self.since, self.epoch = registry.position()
        self.pending = []

    def poll(self, wait):
        answer = self.registry.changes(self.since, self.epoch, wait)
        assert not answer["resync"], f"an unexpected resync: {json.dumps(answer)[:500]}"
        now = time.monotonic()
        self.since = answer["revision"]
        return [dict(change, seen=now) for change in answer["changes"]]

    def until(self, condition, timeout=15.0, what="the awaited changes"):
        """Collects events until condition(events) is true; returns them."""
        events = []
        deadline = time.monotonic() + patience(timeout)
        while not condition(events):
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{what} did not come within {timeout:g} s; seen: "
                                     f"{[(event['event'], event['name']) for event in events][-20:]}")
            events += self.poll(f"{max(1, int(min(left, 1.0) * 1000))}ms")
        return events
