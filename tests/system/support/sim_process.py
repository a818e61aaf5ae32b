"""The engine simulator (bench/sim) as a process of a test."""

import json as json_module
import pathlib
import signal
import subprocess
import threading

from . import http_wire
from .case import SystemTest
from .daemon_process import BIN_DIR, die_with_the_test
from .waiting import patience, wait_until

SIM = BIN_DIR / "infinilm-sim"
CHAT = "/v1/chat/completions"


class Stream:
    """A streamed answer that is being read: one event after the other."""

    def __init__(self, connection):
        self.connection = connection
        status_line = connection.reader.readline()
        if not status_line:
            raise ConnectionError("closed before an answer")
        self.status = int(status_line.split()[1])
        self.headers = dict((name.lower(), value) for name, value in connection._read_headers())

    def chunk(self):
        """The next HTTP chunk's bytes; b"" is the last one. ConnectionError: the stream was cut."""
        size = self.connection.reader.readline()
        if not size.endswith(b"\r\n"):
            raise ConnectionError("cut inside a stream")
        data = self.connection.reader.read(int(size, 16) + 2)
        if len(data) != int(size, 16) + 2:
            raise ConnectionError("cut inside a chunk")
        return data[:-2]

    def events(self):
        """All events to the end: objects, and "[DONE]". A chunk may end within one, after a jam."""
        found, rest = [], b""
        while chunk := self.chunk():
            *whole, rest = (rest + chunk).split(b"\n\n")
            for event in whole:
                text = event.decode().removeprefix("data: ")
                found.append(text if text == "[DONE]" else json_module.loads(text))
        return found

    def text(self):
        """What the model said."""
        return "".join(event["choices"][0]["delta"].get("content", "")
                       for event in self.events() if isinstance(event, dict) and event["choices"])


def chat(content="hello", **fields):
    """The body of a chat request."""
    return {"model": "sim-model", "messages": [{"role": "user", "content": content}], **fields}


class Sim:
    """One simulator. `sim.get/call` speak to its port, `sim.stats/fault` to the one that no fault touches."""

    def __init__(self, folder, *flags):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.flags = [str(flag) for flag in flags]
        self.process = None
        self.port = None
        self.control_port = None

    def spawn(self):
        """Starts the process and waits until its control port is open."""
        for name in ("port", "control"):
            (self.folder / name).unlink(missing_ok=True)
        files = [f"--port-file={self.folder / 'port'}", f"--control-port-file={self.folder / 'control'}"]
        command = [str(SIM), *files, *self.flags]
        with open(self.folder / "stdout.txt", "ab") as stdout, open(self.folder / "stderr.txt", "ab") as stderr:
            self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=stdout,
                                            stderr=stderr, preexec_fn=die_with_the_test)
        self.control_port = self._wait_for_port("control")
        return self

    def start(self):
        """Starts the process and waits until it is ready."""
        self.spawn()
        return self.wait_ready()

    def wait_ready(self):
        self.port = self._wait_for_port("port")
        return self

    def _wait_for_port(self, name):
        path = self.folder / name

        def port():
            if self.process.poll() is not None:
                raise RuntimeError(f"infinilm-sim ended with {self.process.returncode}:\n{self.stderr_text()}")
            text = path.read_text() if path.exists() else ""
            return int(text) if text.strip().isdigit() else 0
        return wait_until(port, 60, f"infinilm-sim's file {name}", interval=0.002)

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, timeout=30.0):
        return self.process.wait(patience(timeout))

    def kill(self):
        if self.alive:
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def restart(self):
        """kill -9 (unless it is dead already) and a start on the same port, as an instance that crashed."""
        self.kill()
        return self.come_back()

    def come_back(self):
        """A start on the port that it had."""
        self.flags = [flag for flag in self.flags if not flag.startswith("--port=")] + [f"--port={self.port}"]
        return self.start()

    def pause(self):
        """SIGSTOP: connections are accepted (by the kernel) and never answered."""
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def cleanup(self):
        """Two SIGTERMs end it whatever is open; the exit code must be 0."""
        if self.alive:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                code = self.wait_exit(0.2)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGTERM)
                code = self.wait_exit(10)
            assert code == 0, f"infinilm-sim: exit code {code}\n{self.stderr_text()}"
        for word in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
            assert word not in self.stderr_text(), self.stderr_text()

    def stderr_text(self):
        return (self.folder / "stderr.txt").read_text(errors="replace")

    def stdout_text(self):
        return (self.folder / "stdout.txt").read_text(errors="replace")

    # -- as a client of the engine -------------------------------------------------------------------------------------
    def connection(self, timeout=30.0):
        return http_wire.Connection(self.port, timeout)

    def call(self, method, path, json=None, body=None, headers=(), timeout=30.0):
        return http_wire.call(self.port, method, path, json, body, headers, timeout)

    def chat(self, content="hello", **fields):
        """A plain answer; must be 200. Returns the JSON."""
        response = self.call("POST", CHAT, json=chat(content, **fields))
        assert response.status == 200, response
        return response.json()

    def stream(self, content="hello", connection=None, **fields):
        """A streamed answer that has begun."""
        connection = connection or self.connection()
        body = chat(content, stream=True, **fields)
        connection.send(http_wire.request_bytes("POST", CHAT, json=body))
        return Stream(connection)

    # -- its own API ---------------------------------------------------------------------------------------------------
    def control(self, method, path, json=None):
        response = http_wire.call(self.control_port, method, path, json)
        assert response.status == 200, f"{method} {path}: {response}"
        return response.json()

    def stats(self):
        return self.control("GET", "/sim/stats")

    def requests(self):
        """The requests that arrived: dicts, "head" as bytes."""
        found = self.control("GET", "/sim/requests")["requests"]
        return [entry | {"head": entry["head"].encode("latin-1")} for entry in found]

    def fault(self, kind, **fields):
        """Sets a fault; `length="1s"` stands for its field "for"."""
        if "length" in fields:
            fields["for"] = fields.pop("length")
        return self.control("POST", "/sim/fault", {"fault": kind, **fields})["faults"]

    def no_faults(self):
        self.control("DELETE", "/sim/fault")

    def wait_stats(self, timeout=10.0, **wanted):
        """Waits until the counters have these values."""
        def reached():
            stats = self.stats()
            got = {key: stats[key] for key in wanted}
            assert got == wanted, got
            return stats
        return wait_until(reached, timeout, f"stats {wanted}")


def start_sim(test, *flags, name="sim", ready=True):
    """A simulator of this test; ended with it."""
    sim = Sim(test.folder / name, *flags)
    test.addCleanup(sim.cleanup)
    return sim.start() if ready else sim.spawn()


def words(count):
    """The text of an answer of so many tokens."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return "".join(f" {digits[n // 1296 % 36]}{digits[n // 36 % 36]}{digits[n % 36]}" for n in range(count))


class SimTest(SystemTest):
    def start_sim(self, *flags, **options):
        return start_sim(self, *flags, **options)

    def stream(self, sim, **fields):
        """A stream whose connection ends with the test."""
        stream = sim.stream(**fields)
        self.addCleanup(stream.connection.close)
        return stream

    def in_background(self, call):
        """Runs `call` on a thread; the function that is returned waits and gives its result."""
        results = []

        def run():
            try:
                results.append(call())
            except OSError as error:
                results.append(error)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def wait():
            thread.join(patience(60))
            assert results, f"no end of {call}"
            return results[0]
        return wait
