"""The router under test: the real binary in a folder of its own, its configuration in a file there."""

import json
import signal
import time

from . import http_wire
from .daemon_process import BIN_DIR, Daemon, run_binary
from .ports import port_pair
from .sim_process import CHAT, Sim, SimTest, Stream, chat
from .waiting import wait_until

BINARY = BIN_DIR / "infinilm-router"
MODEL = "sim-model"


def run_router(*flags, folder, env=None, timeout=60.0):
    """Runs the binary to its end (bad flags, --help and so on). Returns the CompletedProcess, output as text."""
    return run_binary(BINARY, *flags, folder=folder, env=env, timeout=timeout)


def static_service(target, index=0, **fields):
    """An entry of static_services. `target`: a simulator (or anything with .port), a port, or an entry as it is."""
    if isinstance(target, dict):
        return target | fields
    port = target if isinstance(target, int) else target.port
    entry = {"name": getattr(target, "name", None) or f"instance-{index}", "host": "127.0.0.1", "port": port,
             "models": [MODEL]}
    return entry | fields


class RouterProcess(Daemon):
    """A router. `static`: simulators, ports or entries; `registry`: a Registry or a URL; `args`: flags;
    `config`: keys of the section "router" of its file; `sections`: further sections ("models").

    It is not started yet: start() does, or RouterTest.start_router, which also ends it with the test.
    """

    binary = BINARY
    log_name = "router.log"

    def __init__(self, folder, static=(), registry=None, args=(), config=None, sections=None, **options):
        super().__init__(folder, args, **options)
        self.config = dict(config or {})
        self.sections = dict(sections or {})
        self.registry = registry
        self.set_static(*static)

    def default_flags(self):
        flags = {"host": "127.0.0.1", "port": "0", "threads": "2", "state-dir": self.folder / "state",
                 "log-file": self.log_path, "config": self.config_path}
        if self.registry is not None:
            flags["registry-url"] = self.registry if isinstance(self.registry, str) else self.registry_url()
        return {key: value for key, value in flags.items() if key.replace("-", "_") not in self.config}

    def registry_url(self):
        return f"http://127.0.0.1:{self.registry.port}"

    config_path = property(lambda self: self.folder / "router_config.json")

    def set_static(self, *targets, **fields):
        """Writes the file anew with these static services; `fields` go into each. reload() makes it so."""
        self.static = [static_service(target, index, **fields) for index, target in enumerate(targets)]
        self.write_config()

    def write_config(self):
        document = {"router": self.config, "static_services": {"services": self.static}, **self.sections}
        self.config_path.write_text(json.dumps(document, indent=1))

    def reload(self):
        """SIGHUP, and the configuration is in force when this returns. AssertionError: it was refused."""
        good, bad = self.reloads()
        self.signal(signal.SIGHUP)
        wait_until(lambda: self.reloads() != (good, bad), 20, "a word about the reload in the log")
        assert self.reloads()[0] > good, f"the reload failed:\n{self.tail(5)}"

    def reloads(self):
        """(good, bad) reloads so far, out of the log."""
        text = self.stderr_text()
        good = text.count("reloaded") - text.count("configuration reloaded")  # the daemon's own word comes last
        return good, text.count("the old configuration stays")

    # -- as a client ---------------------------------------------------------------------------------------------------
    def chat(self, content="hello", headers=(), **fields):
        """One plain request for the simulators' model. Returns the Response, whatever its status."""
        return self.call("POST", CHAT, json=chat(content, **fields), headers=headers)

    def stream(self, content="hello", connection=None, headers=(), **fields):
        """A streamed answer that has begun."""
        connection = connection or self.connection()
        body = chat(content, stream=True, **fields)
        connection.send(http_wire.request_bytes("POST", CHAT, json=body, headers=headers))
        return Stream(connection)

    # -- what it says about itself -------------------------------------------------------------------------------------
    def stats(self):
        return self.get("/stats")

    def totals(self):
        return self.stats()["totals"]

    def services(self):
        """{name: its record in /stats}"""
        return {item["name"]: item for item in self.stats()["services"]}

    def service(self, name):
        return self.services()[name]

    def state(self, name):
        return self.service(name)["state"]

    def wait_state(self, name, state, timeout=20.0):
        """Waits until the instance is in this state; returns the seconds that it took."""
        begun = time.monotonic()

        def reached():
            found = self.state(name)
            assert found == state, found
            return True
        wait_until(reached, timeout, f"state {state} of {name}")
        return time.monotonic() - begun

    def wait_idle(self, timeout=10.0):
        """No request is in progress, at no instance either."""
        def idle():
            stats = self.stats()
            busy = {item["name"]: item["in_flight"] for item in stats["services"] if item["in_flight"]}
            assert not busy and stats["totals"]["requests_active"] <= 1, (busy, stats["totals"])  # this one
            return True
        wait_until(idle, timeout, "no request in flight")


def free_port():
    """A port that nothing listens on, and that nobody else gets."""
    return port_pair()


class RouterTest(SimTest):
    """A test with routers and simulators."""

    def new_router(self, static=(), registry=None, args=(), config=None, name="router", **options):
        """A router that is not started yet; ended with the test."""
        router = RouterProcess(self.folder / name, static, registry, args, config, **options)
        self.addCleanup(router.cleanup)
        return router

    def start_router(self, static=(), registry=None, args=(), config=None, **options):
        return self.new_router(static, registry, args, config, **options).start()

    def start_sims(self, count, *flags):
        """`count` simulators, sim-0, sim-1 ..., which say their name with each answer (field x-sim-name)."""
        sims = [self.new_sim(f"sim-{index}", *flags).spawn() for index in range(count)]
        return [sim.wait_ready() for sim in sims]

    def new_sim(self, name, *flags):
        given = " ".join(map(str, flags))
        keepalive = () if "--keepalive=" in given else ("--keepalive=0",)
        port = () if "--port=" in given else (f"--port={free_port()}",)  # it may come back on it
        sim = Sim(self.folder / name, f"--name={name}", *keepalive, *port, *flags)
        sim.name = name
        self.addCleanup(sim.cleanup)
        return sim

    def assert_openai_error(self, response, status, code):
        """OpenAI's error object with this status and code. Returns the error."""
        self.assertEqual(response.status, status, response)
        error = response.json()["error"]
        self.assertEqual(error["code"], code, response)
        self.assertEqual(sorted(error), ["code", "message", "param", "type"])
        return error
