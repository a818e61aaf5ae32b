"""The agent under test: the real binary in a folder of its own, a toy engine or a simulator in its care."""

import json
import os
import signal
import sys
import time
import uuid

from . import proc_tree
from .daemon_process import BIN_DIR, SOURCE_DIR, Daemon, run_binary
from .earlier_registry import EarlierRegistry
from .ports import port_pair
from .router_process import RouterTest
from .sim_process import SIM
from .waiting import under_sanitizer, wait_until

BINARY = BIN_DIR / "infinilm-agent"
TOY = SOURCE_DIR / "tests" / "system" / "support" / "toy_engine.py"
SHIM_WORD = "--internal-shim"

# Faster than in production, where a test would only wait. A probe has time all the same: an engine that is starved on a
# busy machine must not count as one that hangs.
_DEFAULTS = {"bind": "127.0.0.1", "probe-interval": "200ms", "probe-timeout": "5s", "stop-grace": "2s",
             "drain-timeout": "2s", "restart-backoff-first": "100ms", "heartbeat-interval": "1s",
             "state-dir": "state"}
HASTY = ("--probe-timeout=300ms",)  # for an engine that is to hang


def run_agent(*flags, folder, env=None, timeout=60.0):
    """Runs the binary to its end (bad flags, --dry-run and so on). Returns the CompletedProcess, output as text."""
    return run_binary(BINARY, *flags, folder=folder, env=env, timeout=timeout)


def is_optimised():
    """Whether the binary is one to be judged by what it uses: debug builds are many times as large."""
    return not under_sanitizer() and BINARY.stat().st_size < 10_000_000


def to_toml(document):
    """TOML of nested dicts of texts, numbers, booleans and lists."""
    plain = [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in document.items()
             if not isinstance(value, dict)]
    tables = []
    for key, value in document.items():
        if isinstance(value, dict):
            inner = to_toml({name: item for name, item in value.items() if not isinstance(item, dict)})
            tables += [f"[{key}]", inner]
            tables += [f"[{key}.{name}]\n{to_toml(item)}" for name, item in value.items() if isinstance(item, dict)]
    return "\n".join(plain + tables)


def toy_command(*switches, port="${PORT}"):
    """(program, arguments) of a toy engine."""
    return sys.executable, ["-S", "-E", "-B", str(TOY), f"--port={port}", *map(str, switches)]


def toy(*switches, **more):
    """The table [backend] of a toy engine."""
    program, args = toy_command(*switches)
    return {"type": "command", "command": program, "args": args, **more}


def program(path, *args, **more):
    """The table [backend] of any program."""
    return {"type": "command", "command": str(path), "args": [str(item) for item in args], **more}


def sim(*flags):
    """The table [backend] of a simulator, which starts much faster than a toy."""
    return program(SIM, "--port=${PORT}", *flags)


class AgentProcess(Daemon):
    """One agent of one service (or of those in `services`, a document of --services).

    `port` is that of its pages, `engine_port` the one before. Everything that it starts carries `mark` in its
    environment.
    """

    binary = BINARY
    log_name = "agent.log"

    def __init__(self, folder, backend=None, *flags, registry=None, name=None, config=None, services=None, port=None,
                 **options):
        super().__init__(folder, flags, **options)
        self.engine_port = port or port_pair()
        self.name = name or f"toy-{self.engine_port}"
        self.registry = registry
        self.mark = f"INFINILM_TEST_MARK={uuid.uuid4()}"
        self.env = dict([self.mark.split("=")], **self.env)
        self.backend = backend
        self.services = services
        self.config = {"name": self.name, "host": "127.0.0.1", "port": self.engine_port, **(config or {})}
        self.write_config()

    config_path = property(lambda self: self.folder / "agent.toml")
    services_path = property(lambda self: self.folder / "services.json")
    engine_log_path = property(lambda self: self.folder / "logs" / f"{self.name}.log")
    server_name = property(lambda self: f"{self.name}-server")
    pages_port = property(lambda self: self.engine_port + 1)

    def write_config(self):
        document = dict(self.config)
        if self.registry is not None:
            document["registry_url"] = f"http://127.0.0.1:{self.registry.port}/services"
        if self.backend is not None:
            document["backend"] = self.backend
        self.config_path.write_text(to_toml(document))
        if self.services is not None:
            self.services_path.write_text(json.dumps(self.services))

    def default_flags(self):
        which = {"config": self.config_path} if self.services is None else {"services": self.services_path}
        return {**_DEFAULTS, "log-file": self.log_path, **which}

    def engine_log(self):
        return self.engine_log_path.read_text(errors="replace") if self.engine_log_path.exists() else ""

    # -- what it says --------------------------------------------------------------------------------------------------
    def status(self):
        return self.get("/status")

    @property
    def state(self):
        return self.status()["state"]

    def last_exit(self):
        """Why its engine ended the last time: {"kind", "value", "rank", "text", "last_lines" ...}."""
        exits = self.status()["exits"]
        assert exits, "no engine has ended yet"
        return exits[0]

    def is_ready(self):
        return self.call("GET", "/health").status == 200

    def wait_state(self, *states, timeout=30.0):
        """Waits until it is in one of these states; returns its status then."""
        def reached():
            found = self.status()
            assert found["state"] in states, found["state"]
            return found
        try:
            return wait_until(reached, timeout, f"state {' or '.join(states)} of {self.name}", 0.005)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}\n-- engine:\n{self.engine_log()[-3000:]}") from None

    def running(self, timeout=30.0):
        """Starts it, if that was not done, and waits until its engine is ready. Returns self."""
        if self.process is None:
            self.start()
        self.wait_state("running", timeout=timeout)
        return self

    # -- its processes -------------------------------------------------------------------------------------------------
    def marked(self):
        """All processes of this agent, itself included."""
        return proc_tree.marked(self.mark)

    def shims(self):
        return [item for item in self.marked() if SHIM_WORD in item.command]

    def engines(self):
        """All processes that it started, shims left out, in the order of their start."""
        own = " ".join(self.command())  # also of a shim between fork and exec
        found = [item for item in self.marked()  # without a command: it is in the middle of an exec, or of its exit
                 if item.command and SHIM_WORD not in item.command and item.command != own]
        return sorted(found, key=lambda item: (item.start, item.pid))

    def engine_pid(self):
        """The process of rank 0, which is the child of a shim."""
        shims = {item.pid for item in self.shims()}
        direct = [item.pid for item in self.engines() if item.parent in shims]
        assert direct, "no engine runs"
        return direct[0]

    def kill_engine(self, number=signal.SIGKILL):
        """Sends a signal to rank 0, as soon as that runs; returns the time."""
        pid = wait_until(self.engine_pid, 10, "an engine", 0.001)
        begun = time.monotonic()
        os.kill(pid, number)
        return begun

    def leftovers(self):
        """Processes, ports and registry entries that should not be there after it ended."""
        found = [f"{item.pid} {item.state} {item.command}" for item in self.marked()
                 if not (self.alive and item.pid == self.pid)]
        found += [f"port {port}" for port in {self.engine_port, self.engine_port + 1} & proc_tree.listening_ports()]
        if self.registry is not None:
            found += [f"entry {name}" for name in self.registry.names() if name in (self.name, self.server_name)]
        return found

    def cleanup(self):
        """As an operator would end it, and then whatever is left, which is an error."""
        try:
            super().cleanup()
        finally:
            self.kill()
            left = [] if self._gone_soon() else self.marked()
            for item in left:
                try:
                    os.kill(item.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        assert not left, f"left behind: {left}"

    def _gone_soon(self):
        try:
            wait_until(lambda: not self.marked(), 3, "the end of all its processes")
        except AssertionError:
            return False
        return True


class AgentTest(RouterTest):
    """A test with agents."""

    def setUp(self):
        super().setUp()
        self.agents = 0

    def earlier_registry(self):
        registry = EarlierRegistry()
        self.addCleanup(registry.close)
        return registry

    def new_agent(self, backend=None, *flags, **options):
        """An agent that is not started yet; ended with the test. Without `registry` an earlier one is made for it."""
        self.agents += 1
        if "registry" not in options:
            options["registry"] = self.earlier_registry()
        folder = self.folder / options.pop("folder", f"agent-{self.agents}")
        agent = AgentProcess(folder, backend, *flags, **options)
        self.addCleanup(agent.cleanup)
        return agent

    def start_agent(self, backend, *flags, **options):
        return self.new_agent(backend, *flags, **options).start()

    def running_agent(self, backend, *flags, **options):
        return self.new_agent(backend, *flags, **options).running()

    def finish(self, agent, timeout=30.0):
        """SIGTERM, exit code 0, and then nothing is left: no process, no port, no entry."""
        self.assertEqual(agent.stop(timeout), 0, agent.tail())
        self.assert_nothing_left(agent)

    def assert_nothing_left(self, agent):
        self.assertEqual(agent.leftovers(), [])

    def switch(self, name="control"):
        """A file that a toy engine reads at every request, and a function that writes it."""
        path = self.folder / name

        def tell(text=""):
            fresh = path.with_suffix(".new")
            fresh.write_text(text + "\n")
            fresh.rename(path)
        return path, tell

    def starts(self, path):
        """[(pid, time)] out of a toy's file of starts."""
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(line.split()[0]), float(line.split()[1])) for line in lines if not line.endswith("term")]


def seconds_until(condition, since, timeout=30.0, what="the condition"):
    """Polls closely; the seconds that had passed since `since`."""
    wait_until(condition, timeout, what, 0.001)
    return time.monotonic() - since


