"""Peers of the registry that obey a script: services that are probed, and agents that register and heartbeat."""

import http.server
import json
import socket
import threading
import time

from . import http_wire
from .registry_process import service


class FakeService:
    """An HTTP server on 127.0.0.1 that answers GET by a table {path: status or callable(handler)}.

    Paths that are not in the table get 404. `hits` holds (path, monotonic time) of every request; `headers` the
    fields of the last one.
    """

    def __init__(self, answers=None, port=0):
        self.answers = dict(answers or {})
        self.hits = []
        self.headers = {}
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                fake.hits.append((self.path, time.monotonic()))
                fake.headers = dict(self.headers.items())
                answer = fake.answers.get(self.path, 404)
                if callable(answer):
                    answer(self)
                else:
                    self.answer(answer)

            def answer(self, status, body=b"{}", headers=()):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 256

            def handle_error(self, *_):
                pass  # the prober may hang up whenever it likes

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def paths(self):
        return [path for path, _ in list(self.hits)]


class HungService:
    """Accepts connections and never answers."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


class FakeAgent:
    """Behaves as an agent should: registers, sends heartbeats every `interval`, and registers again after a 404.

    `registry` may be restarted on another port at any time: the present port is asked for before each call.
    """

    def __init__(self, registry, name, interval, **fields):
        self.registry = registry
        self.name = name
        self.interval = interval
        self.body = service(name, **fields)
        self.registrations = 0
        self.heartbeats = 0
        self.last_sent = None  # time.monotonic() before the last call that could renew the lease
        self.cut_off = threading.Event()  # set: a partition, nothing gets through
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        """No more heartbeats, and no goodbye either."""
        self._stop.set()
        self._thread.join(30)

    def _run(self):
        registered = False
        while not self._stop.is_set():
            pause = self.interval
            if not self.cut_off.is_set():
                try:
                    registered = self._beat() if registered else self._register()
                    pause = self.interval if registered else min(0.05, self.interval)
                except (OSError, ConnectionError, json.JSONDecodeError):
                    pause = min(0.1, self.interval)  # not reachable: try again soon
            self._stop.wait(pause)

    def _register(self):
        self.last_sent = time.monotonic()
        response = http_wire.call(self.registry.port, "POST", "/services", json=self.body, timeout=10)
        self.registrations += response.status == 201
        return response.status == 201

    def _beat(self):
        self.last_sent = time.monotonic()
        response = http_wire.call(self.registry.port, "POST", f"/services/{self.name}/heartbeat", timeout=10)
        self.heartbeats += response.status == 200
        return response.status != 404


def start_agents(test, registry, count, interval, prefix="svc", **fields):
    """`count` agents, stopped with the test."""
    agents = [FakeAgent(registry, f"{prefix}-{index:03d}", interval, port=20000 + index, **fields)
              for index in range(count)]
    for agent in agents:
        agent.start()

    def stop():
        for agent in agents:
            agent._stop.set()
        for agent in agents:
            agent.stop()
    test.addCleanup(stop)
    return agents
