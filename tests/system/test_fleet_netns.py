#!/usr/bin/env python3
"""A fleet on hosts of its own: servers come, are cut off, come back and go, and no request through the router fails."""

import contextlib

from support.agent_process import AgentTest
from support.case import main
from support.network import Network, OnHost
from support.router_process import MODEL
from support.sim_process import SIM, words
from support.traffic import Traffic
from support.waiting import wait_until

# Two networks, so that a server can lose the one and keep the other: the registry is found in `control`, instances are
# registered with their addresses in `data`.
REGISTRY = "10.77.1.1"
FRONT = "10.77.2.1"
SERVERS = {"gpu1": ("10.77.1.11", "10.77.2.11"), "gpu2": ("10.77.1.12", "10.77.2.12")}
STEP = 0.01  # seconds for a token
SHORT = 10  # tokens of the streams of the load
LONG = 600  # tokens of the stream that a cut interrupts


class Streams(Traffic):
    """One stream after another; each must be whole."""

    def ask(self):
        stream = self.router.stream(max_tokens=SHORT)
        with contextlib.closing(stream.connection):
            said = stream.text() if stream.status == 200 else stream.status
        return None if said == words(SHORT) else said


class Fleet(AgentTest):
    def setUp(self):
        super().setUp()
        self.network = Network(self, "control", "data")
        front = self.network.add_host("front", control=REGISTRY, data=FRONT)
        self.registry = OnHost(front, self.new_registry("--host=0.0.0.0", "--port=8081", "--health-interval=1s",
                                                        "--health-timeout=1s"))
        self.router = OnHost(front, self.new_router(registry=f"http://{REGISTRY}:8081", args=(
            "--port=8080", "--expose-route", "--health-interval=1s")))
        self.registry.start()
        self.router.start()

    def start_server(self, name):
        """A host with an agent and its engine, which is in rotation when this returns."""
        control, data = SERVERS[name]
        host = self.network.add_host(name, control=control, data=data)
        engine = {"type": "sim", "command": str(SIM), "models": [MODEL],
                  "args": [f"--decode-us={STEP * 1e6:.0f}", "--keepalive=0"]}
        config = {"host": data, "registry_url": f"http://{REGISTRY}:8081"}
        agent = OnHost(host, self.new_agent(engine, "--bind=0.0.0.0", registry=None, name=name, port=5001, folder=name,
                                            config=config))
        agent.start()
        self.wait_in_rotation(name)
        return agent

    def start_load(self, kind):
        load = kind(self.router)
        self.addCleanup(load.stop)
        return load

    # -- who is used ---------------------------------------------------------------------------------------------------
    def state(self, name):
        """As the router sees it; None when it does not know it."""
        return self.router.services().get(f"{name}-server", {}).get("state")

    def wait_in_rotation(self, name):
        wait_until(lambda: self.state(name) == "up", 60, f"{name} in rotation")

    def wait_out_of_rotation(self, name):
        wait_until(lambda: self.state(name) != "up", 60, f"{name} out of rotation")

    def served(self, name):
        return self.router.services().get(f"{name}-server", {}).get("request_count", 0)

    def assert_served_by(self, *names, loads):
        """Each of these servers gets requests, each load gets on, and nothing has failed yet."""
        before = {name: self.served(name) for name in names}
        goals = [(load, load.count + 5) for load in loads]
        for name in names:
            wait_until(lambda name=name: self.served(name) >= before[name] + 3, 60, f"requests at {name}")
        for load, goal in goals:
            wait_until(lambda load=load, goal=goal: load.count >= goal, 60, f"more requests of {type(load).__name__}")
            self.assertEqual(load.failed, [])

    def stream_at(self, name, **fields):
        """A stream whose answer has begun, at this server."""
        for _ in range(50):
            stream = self.router.stream(**fields)
            self.addCleanup(stream.connection.close)
            self.assertEqual(stream.status, 200)
            if stream.headers["x-router-upstream"] == f"{name}-server":
                return stream
            stream.connection.close()
        raise AssertionError(f"{name} got none of 50 requests")

    # -- the test ------------------------------------------------------------------------------------------------------
    def test_no_request_fails_while_servers_come_are_cut_off_and_go(self):
        gpu1 = self.start_server("gpu1")
        plain, streams = loads = self.start_load(Traffic), self.start_load(Streams)
        self.assert_served_by("gpu1", loads=loads)

        gpu2 = self.start_server("gpu2")
        self.assert_served_by("gpu1", "gpu2", loads=loads)

        # The registry does not hear of gpu1 any more: its lease ends. Its engine runs on.
        self.network.unplug("gpu1", "control")
        self.wait_out_of_rotation("gpu1")
        self.assertFalse(self.registry.service("gpu1-server")["is_healthy"])
        self.assertEqual(gpu1.state, "running")
        self.assert_served_by("gpu2", loads=loads)

        self.network.plug("gpu1", "control")
        self.wait_in_rotation("gpu1")
        self.assertTrue(self.registry.service("gpu1-server")["is_healthy"])
        self.assert_served_by("gpu1", "gpu2", loads=loads)

        # The router does not reach gpu2 any more, though its heartbeats arrive. What has not begun to answer there goes
        # to gpu1; an answer that has begun can only wait.
        streams.stop()
        interrupted = self.stream_at("gpu2", max_tokens=LONG)
        self.network.unplug("gpu2", "data")
        self.wait_out_of_rotation("gpu2")
        self.assertEqual(gpu2.state, "running")
        loads = plain, self.start_load(Streams)
        self.assert_served_by("gpu1", loads=loads)

        self.network.plug("gpu2", "data")
        self.wait_in_rotation("gpu2")
        self.assert_served_by("gpu1", "gpu2", loads=loads)
        self.assertEqual(interrupted.text(), words(LONG))

        # An orderly stop: nothing of it is left.
        self.assertEqual(gpu1.stop(), 0)
        self.assertEqual(self.registry.names(), ["gpu2", "gpu2-server"])
        self.wait_out_of_rotation("gpu1")
        self.assert_served_by("gpu2", loads=loads)
        for load in (streams, *loads):
            self.assertEqual(load.stop(), [])
        print(f"\n{plain.count} requests and {streams.count + loads[1].count} streams, none failed", end=" ")


if __name__ == "__main__":
    main()
