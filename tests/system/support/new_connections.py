"""Clients that open a connection for each request: what a restart of a listener would hurt first."""

import threading

from . import http_wire
from .sim_process import CHAT, chat


class NewConnections:
    """`threads` clients in a closed loop, from now on. `failures` has what went wrong, `done` counts what went well."""

    def __init__(self, test, port, threads=4):
        self.port = port
        self.done = 0
        self.failures = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._request = http_wire.request_bytes("POST", CHAT, json=chat(max_tokens=1),
                                                headers=[("Connection", "close")])
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()
        test.addCleanup(self.stop)

    def stop(self):
        """No more requests; returns (done, failures)."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        return self.done, self.failures

    def _run(self):
        while not self._stop.is_set():
            failure = self._one()
            with self._lock:
                if failure is None:
                    self.done += 1
                else:
                    self.failures.append(failure)
            self._stop.wait(0.003)  # leaves the machine to others

    def _one(self):
        try:
            with http_wire.Connection(self.port, timeout=20) as connection:
                connection.send(self._request)
                response = connection.read_response("POST")
            return None if response.status == 200 else repr(response)
        except (OSError, AssertionError) as error:
            return repr(error)
