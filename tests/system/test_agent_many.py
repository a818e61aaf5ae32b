#!/usr/bin/env python3
"""Fifty services on one agent, and what an agent uses."""

import json
import os
import signal
import time

from support import http_wire, proc_tree
from support.agent_process import SIM, AgentTest, is_optimised, port_pair, program, sim, to_toml
from support.case import main
from support.usage import rss
from support.waiting import best_of, let_time_pass, machine_is_busy, patience, under_sanitizer, wait_until

COUNT = 20 if under_sanitizer() else 50


class Many(AgentTest):
    def many(self, *flags):
        """An agent of COUNT services that share one TOML; each has a simulator. Not started yet."""
        registry = self.start_registry()
        flags = ("--heartbeat-interval=10s", "--probe-interval=5s", *flags)
        agent = self.new_agent(None, *flags, services={}, registry=registry)
        agent.ports = {f"s-{port}": port for port in (port_pair() for _ in range(COUNT))}
        agent.names = list(agent.ports)
        agent.services = {"services": [{"name": name, "host": "127.0.0.1", "port": port, "weight": 1 + port % 5}
                                       for name, port in agent.ports.items()]}
        agent.services_path.write_text(json.dumps(agent.services))
        document = {"registry_url": f"http://127.0.0.1:{registry.port}",
                    "backend": program(SIM, "--port=${PORT}", "--name=${NAME}")}
        (agent.folder / "service.toml").write_text(to_toml(document))
        return agent

    def assert_all_gone(self, agent):
        self.assertEqual(agent.marked(), [])
        ports = {number for port in agent.ports.values() for number in (port, port + 1)}
        self.assertEqual(ports & proc_tree.listening_ports(), set())

    def wait_all_running(self, agent):
        wanted = sorted([*agent.names, *(f"{name}-server" for name in agent.names)])
        wait_until(lambda: agent.registry.names("?healthy=true") == wanted, 60, "all services healthy in the registry")

    def engine(self, agent, name):
        """The process of this service's engine."""
        pids = http_wire.call(agent.ports[name] + 1, "GET", "/status").json()["pids"]
        return pids[0] if pids else None

    def idle_percent(self, agent):
        begun, used = time.monotonic(), proc_tree.cpu_time(agent.pid)
        let_time_pass(11)
        return 100 * (proc_tree.cpu_time(agent.pid) - used) / (time.monotonic() - begun)

    def test_50_services_start_run_and_stop_cleanly(self):
        agent = self.many()
        begun = time.monotonic()
        agent.start()
        self.wait_all_running(agent)
        started = time.monotonic() - begun
        self.assertEqual(len(agent.engines()), COUNT)
        for name, port in agent.ports.items():
            response = http_wire.call(port, "GET", "/health")
            self.assertEqual((response.status, response.header("x-sim-name")), (200, name))
            self.assertEqual(http_wire.call(port + 1, "GET", "/health").json()["service"], name)
        if not under_sanitizer():
            self.assertLess(rss(agent.pid), 40e6)
        percent, most_percent = self.idle_percent(agent), 5 if is_optimised() else 10
        if not under_sanitizer() and not machine_is_busy():
            self.assertLess(percent, most_percent, "one reading of the system for all services")
        begun = time.monotonic()
        self.assertEqual(agent.stop(60), 0)
        stopped = time.monotonic() - begun
        self.assertLess(stopped, patience(20), "all at once, not one after the other")  # a second each
        self.assert_all_gone(agent)
        self.assertEqual(agent.registry.names(), [])
        print(f"\n{COUNT} services: running after {started:.1f} s, idle at {percent:.2f} %, stopped after "
              f"{stopped:.1f} s", end=" ")

    def test_one_that_dies_is_no_business_of_the_others(self):
        agent = self.many().start()
        self.wait_all_running(agent)
        before = {name: self.engine(agent, name) for name in agent.names}
        victims = agent.names[3:8]
        for name in victims:
            os.kill(before[name], signal.SIGKILL)
        wait_until(lambda: all(self.engine(agent, name) not in (None, before[name]) for name in victims), 20,
                   "new engines")
        self.wait_all_running(agent)
        after = {name: self.engine(agent, name) for name in agent.names}
        self.assertEqual({name for name in agent.names if before[name] != after[name]}, set(victims))
        self.assertEqual(agent.stop(60), 0)
        self.assert_all_gone(agent)

    def test_50_engines_die_with_the_agent(self):
        agent = self.many().start()
        self.wait_all_running(agent)
        agent.kill()
        wait_until(lambda: not agent.marked(), 5, "the end of all engines")
        self.assert_all_gone(agent)

    def test_50_engines_are_adopted(self):
        agent = self.many("--on-agent-death=keep").start()
        self.wait_all_running(agent)
        before = {name: self.engine(agent, name) for name in agent.names}
        agent.kill()
        agent.start()
        wait_until(lambda: all(http_wire.call(port + 1, "GET", "/health").status == 200
                               for port in agent.ports.values()), 30, "all services ready")
        self.assertEqual({name: self.engine(agent, name) for name in agent.names}, before)
        self.assertEqual(agent.stop(60), 0)
        self.assert_all_gone(agent)


class Usage(AgentTest):
    def test_memory_and_idle_cpu(self):
        """Under 15 MB, and under 0.1 % of a processor when idle, with the default intervals; agent and shim together."""
        most_memory, most_percent = (15e6, 0.1) if is_optimised() else (25e6, 1.0)
        agent = self.new_agent(sim(), "--probe-interval=5s", "--heartbeat-interval=10s")
        agent.running()
        shim, = agent.shims()
        if under_sanitizer():
            self.finish(agent)
            self.skipTest("an instrumented binary says nothing about memory and time")

        def idle_percent():
            begun, used = time.monotonic(), proc_tree.cpu_time(agent.pid) + proc_tree.cpu_time(shim.pid)
            let_time_pass(11)
            spent = proc_tree.cpu_time(agent.pid) + proc_tree.cpu_time(shim.pid) - used
            return 100 * spent / (time.monotonic() - begun)
        percent = best_of(2, most_percent, idle_percent)
        memory = rss(agent.pid)
        print(f"\nidle: {memory / 1e6:.1f} MB, the shim {rss(shim.pid) / 1e6:.1f} MB, both {percent:.3f} %", end=" ")
        self.assertLess(memory, most_memory)
        self.assertLessEqual(percent, most_percent)
        self.finish(agent)


if __name__ == "__main__":
    main()
