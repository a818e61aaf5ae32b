"""An upstream that answers when the test says so: what waits where, and in which order, can then be seen exactly."""

import threading

from . import http_wire
from .raw_upstream import RawUpstream, answer_bytes
from .router_process import MODEL, RouterTest, chat
from .waiting import patience, wait_until

CALM = {"health_interval": "24h", "hung_timeout": 0, "learn_models": False}


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
        """Dies: what waits here is not answered."""
        super().close()
        self.open()


class GatedTest(RouterTest):
    """Tests of who waits where."""

    def gates(self, count=1):
        gates = [GatedUpstream(f"gate-{index}") for index in range(count)]
        for gate in gates:
            self.addCleanup(gate.close)
        return gates

    def start_gated(self, gates, limit=1, queue=10, wait="60s", **config):
        return self.start_router(gates, config={**CALM, "max_concurrency": limit, "queue_size": queue,
                                                "queue_timeout": wait, **config})

    def ask(self, router, name, model=MODEL, headers=()):
        """Sends a request whose target names it, on a connection of its own, and does not wait."""
        connection = router.connection(timeout=patience(60))
        self.addCleanup(connection.close)
        connection.send(http_wire.request_bytes("POST", f"/v1/{name}", json=chat(model=model),
                                                headers=headers))
        return connection

    def waiting(self, router):
        return router.stats()["queues"]["waiting"]

    def wait_waiting(self, router, count):
        def reached():
            self.assertEqual(self.waiting(router), count)
            return True
        wait_until(reached, 10, f"{count} requests in the queue", 0.002)

    def fill(self, router, gate, running, waiting):
        """So many requests at the instance and so many in the queue, in this order; returns their connections."""
        connections = []
        for index in range(running + waiting):
            connections.append(self.ask(router, f"r{index}"))
            gate.wait_held(min(index + 1, running))
            self.wait_waiting(router, max(0, index + 1 - running))
        return connections

    def assert_all_quiet(self, router):
        router.wait_idle()
        stats = router.stats()
        self.assertEqual((stats["queues"]["waiting"], stats["queues"]["by_model"]), (0, {}))
        self.assertEqual([item["in_flight"] for item in stats["services"]], [0] * len(stats["services"]))
        self.assertEqual(router.metric("infinilm_router_queue_length"), 0)
