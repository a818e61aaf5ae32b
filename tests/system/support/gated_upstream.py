"""An upstream that answers when the test says so: what waits where, and in which order, can then be seen exactly."""

import threading

from .raw_upstream import RawUpstream, answer_bytes
from .waiting import wait_until


class Held:
    """A request that has arrived and is not answered yet."""

    def __init__(self, connection, request):
        self.connection = connection
        self.request = request
        self.answer = None
        self.go = threading.Event()

    @property
    def target(self):
        return self.request.target.decode("latin-1")


class GatedUpstream(RawUpstream):
    """`held`: requests without an answer, oldest first. `arrived`: targets of all, in order. `most`: held at once."""

    def __init__(self, name="gated"):
        self.name = name
        self.held = []
        self.arrived = []
        self.most = 0
        self.is_open = False
        self.gate = threading.Lock()
        super().__init__(self._hold)

    def _hold(self, connection, request):
        held = Held(connection, request)
        with self.gate:
            self.arrived.append(held.target)
            self.held.append(held)
            self.most = max(self.most, len(self.held))
            if self.is_open:
                self.held.remove(held)
                held.go.set()
        held.go.wait(120)
        connection.send(held.answer or answer_bytes(self.name, b"200 OK", b"x-gate: " + self.name.encode()))

    def wait_held(self, count, timeout=10.0):
        def reached():
            assert len(self.held) == count, f"{len(self.held)} requests wait at {self.name}: {self.arrived}"
            return True
        wait_until(reached, timeout, f"{count} requests at {self.name}", 0.002)

    def release(self, answer=None):
        """Answers the oldest one; returns its target."""
        with self.gate:
            held = self.held.pop(0)
        held.answer = answer
        held.go.set()
        return held.target

    def forget(self, target):
        """The request's client is gone: lets its thread go."""
        with self.gate:
            held = next(one for one in self.held if one.target == target)
            self.held.remove(held)
        held.go.set()

    def open(self):
        """From now on everything is answered at once."""
        with self.gate:
            self.is_open = True
            waiting, self.held = self.held, []
        for held in waiting:
            held.go.set()

    def close(self):
        self.open()
        super().close()
