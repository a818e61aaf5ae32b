#!/usr/bin/env python3
"""A soak: mixed load while instances are killed, hung, drained and added at random and the registry is restarted.

No request is lost without an error to its client, no half answer looks whole, nothing leaks. INFINILM_SOAK_SECONDS and
INFINILM_SOAK_SEED repeat a run; the seed is printed.
"""

import collections
import os
import random
import threading
import time

from support import http_wire
from support.case import main
from support.fakes import FakeAgent
from support.router_process import MODEL, RouterTest, chat, free_port
from support.sim_process import CHAT, Stream, words
from support.waiting import patience, under_sanitizer, wait_until

SECONDS = float(os.environ.get("INFINILM_SOAK_SECONDS", 120))
SEED = int(os.environ.get("INFINILM_SOAK_SEED", random.randrange(1_000_000)))
CLIENTS = 8
MIB = 1 << 20

CONFIG = {"health_interval": "500ms", "health_timeout": "1s", "recovery_interval": "200ms", "slow_start": "1s",
          "hung_silence": "300ms", "hung_timeout": "500ms", "refused_first": "200ms", "refused_most": "1s",
          "registry_sync_interval": "2s", "upstream_idle_timeout": "1s", "access_log": "off"}


class Lost(AssertionError):
    """A request that ended without an answer and without an error, or with a lie."""


class Fleet:
    """Simulators with agents. At least two of them are left alone at any time."""

    def __init__(self, test, registry, dice):
        self.test = test
        self.registry = registry
        self.dice = dice
        self.members = {}  # name -> (sim, agent)
        self.started = 0
        self.events = collections.Counter()

    def add(self):
        sim = self.test.new_sim(f"sim-{self.started}", "--decode-us", "2000", "--max-batch", "64", "--num-blocks", "0")
        self.started += 1
        sim.start()
        agent = FakeAgent(self.registry, sim.name, 1.0, port=sim.port, fail_timeout=2,
                          metadata={"type": "openai-api", "models": [MODEL]})
        self.members[sim.name] = (sim, agent.start())

    def victim(self):
        return self.members[self.dice.choice(sorted(self.members))]

    def kill(self):
        sim, _ = self.victim()
        sim.kill()
        self.pause(0.1, 1.5)
        sim.come_back()

    def hang(self):
        sim, _ = self.victim()
        sim.pause()
        self.pause(0.5, 3.0)
        sim.resume()

    def fault(self):
        sim, _ = self.victim()
        kind = self.dice.choice(("reset", "reset_on_head", "die_mid_stream", "reset_on_accept", "slow", "status"))
        more = {"die_mid_stream": {"after": 3}, "slow": {"ms": 200}, "status": {"status": 503}}
        sim.fault(kind, count=self.dice.randrange(1, 6), **more.get(kind, {}))
        self.pause(0.2, 0.5)
        sim.no_faults()

    def drain(self):
        """Leaves the registry, finishes its work and ends, as an agent does it; a new one comes in its place."""
        if len(self.members) < 4:
            return self.add()
        sim, agent = self.victim()
        del self.members[sim.name]
        agent.stop()
        try:
            http_wire.call(self.registry.port, "DELETE", f"/services/{sim.name}")
        except OSError:
            pass  # the registry will see it by the lease
        deadline = time.monotonic() + patience(5)
        while sim.stats()["active"] + sim.stats()["waiting"] > 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)  # requests that were on their way
        sim.kill()

    def restart_registry(self):
        self.registry.kill()
        self.pause(0.1, 1.5)
        self.registry.start()

    def pause(self, least, most):
        time.sleep(self.dice.uniform(least, most))

    def harm_until(self, end):
        deeds = [self.kill, self.kill, self.hang, self.fault, self.fault, self.drain, self.add, self.restart_registry]
        while time.monotonic() < end:
            deed = self.dice.choice(deeds)
            if deed == self.add and len(self.members) >= 6:
                deed = self.drain
            self.events[deed.__name__] += 1
            deed()
            self.pause(0.1, 0.8)

    def stop(self):
        for sim, agent in self.members.values():
            agent.stop()


class Client:
    """One client: a request after the other, and what became of each, as it sees it."""

    def __init__(self, router, seed):
        self.router = router
        self.dice = random.Random(seed)
        self.outcomes = collections.Counter()
        self.failures = []
        self.lost = []
        self.connection = None

    def run_until(self, end):
        while time.monotonic() < end:
            kind = self.dice.choice(("unary", "stream", "stream", "cancel"))
            try:
                outcome = getattr(self, kind)(self.dice.randrange(5, 60))
            except (Lost, TimeoutError) as problem:
                self.lost.append(f"{kind}: {problem!r}")
                outcome = "lost"
            self.outcomes[f"{kind} {outcome}"] += 1
            if outcome == "refused":
                time.sleep(0.5)  # as Retry-After asks for: who asks on at once counts one pause a thousand times
            if outcome != "whole" or self.dice.random() < 0.1:
                self.leave()
        self.leave()

    def leave(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def send(self, tokens, **fields):
        if self.connection is None:
            self.connection = self.router.connection(timeout=patience(30))
        body = chat("x" * self.dice.choice((10, 1000, 50_000)), max_tokens=tokens, **fields)
        try:
            self.connection.send(http_wire.request_bytes("POST", CHAT, json=body))
        except ConnectionError as problem:
            raise Lost(f"the connection broke while the request was sent: {problem}") from problem

    def refused(self, response):
        error = response.json()["error"]
        if response.status < 500 or not error["code"]:
            raise Lost(f"an odd refusal: {response}")
        self.failures.append(f"{response.status} {error['code']}")
        return "refused"

    def unary(self, tokens):
        self.send(tokens)
        try:
            line = self.connection.reader.peek(12)
            if not line:
                raise Lost("closed without a byte")
            response = self.connection.read_response("POST")
        except ConnectionError as problem:
            if "ended after" in str(problem):
                return "cut"
            raise Lost(f"no answer: {problem}") from problem
        if response.status != 200:
            return self.refused(response)
        text = response.json()["choices"][0]["message"]["content"]
        if text != words(tokens):
            raise Lost(f"half an answer as a whole one: {text[-50:]!r}, {tokens} tokens")
        return "whole"

    def begin_stream(self, tokens):
        self.send(tokens, stream=True)
        try:
            if not self.connection.reader.peek(12):
                raise Lost("closed without a byte")
            stream = Stream(self.connection)
        except ConnectionError as problem:
            raise Lost(f"no answer: {problem}") from problem
        if stream.status == 200:
            return stream
        body = self.connection.reader.read(int(stream.headers["content-length"]))
        self.refused(http_wire.Response(stream.status, "", [], body))
        return None

    def stream(self, tokens):
        stream = self.begin_stream(tokens)
        if stream is None:
            return "refused"
        pieces = []
        try:
            while piece := stream.chunk():
                pieces.append(piece)
        except ConnectionError:
            return "cut with a word" if b"event: error" in b"".join(pieces) else "cut"
        data = b"".join(pieces)
        last = f"{words(tokens)[-4:]}".encode()
        whole = data.endswith(b"data: [DONE]\n\n") and b'"content":"' + last in data
        if not whole or data.count(b"data: ") < tokens:
            raise Lost(f"half a stream as a whole one: {data[-200:]!r}, {tokens} tokens")
        return "whole"

    def cancel(self, tokens):
        if self.dice.random() < 0.5:
            self.send(tokens, stream=True)
            return "left early"
        stream = self.begin_stream(tokens + 200)
        if stream is None:
            return "refused"
        try:
            for _ in range(self.dice.randrange(1, 5)):
                stream.chunk()
        except ConnectionError:
            return "cut"
        return "left"


class Soak(RouterTest):
    def descriptors(self, router):
        return len(os.listdir(f"/proc/{router.pid}/fd"))

    def resident(self, router):
        with open(f"/proc/{router.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))

    def settle(self, router, sims):
        router.wait_idle(30)
        wait_until(lambda: router.stats()["totals"]["connections_open"] == 1, 30, "no client connected")
        for sim in sims:
            self.assertTrue(sim.alive, f"{sim.name} ended by itself: {sim.process.returncode}")
            wait_until(lambda: sim.stats()["active"] + sim.stats()["waiting"] == 0, 30, f"no work left at {sim.name}")

    def test_soak(self):
        print(f"seed {SEED}, {SECONDS:g} s", flush=True)
        dice = random.Random(SEED)
        registry = self.start_registry("--port", free_port())
        fleet = Fleet(self, registry, dice)
        self.addCleanup(fleet.stop)
        for _ in range(4):
            fleet.add()
        router = self.start_router(registry=registry, config=CONFIG)
        wait_until(lambda: len(router.services()) == 4, 20, "the fleet")
        clients = [Client(router, SEED + 1 + index) for index in range(CLIENTS)]
        self.load(clients, time.monotonic() + 3)
        self.settle(router, [sim for sim, _ in fleet.members.values()])
        wait_until(lambda: self.descriptors(router) < 60, 15, "idle connections closed")
        before = self.descriptors(router)
        end = time.monotonic() + SECONDS
        resident = []
        watcher = threading.Thread(target=self.watch, args=(router, end, resident), daemon=True)
        watcher.start()
        load = threading.Thread(target=self.load, args=(clients, end), daemon=True)
        load.start()
        fleet.harm_until(end)  # on this thread: processes end with the thread that started them
        load.join()
        watcher.join()

        total = sum((client.outcomes for client in clients), collections.Counter())
        failures = collections.Counter(text for client in clients for text in client.failures)
        print(f"{sum(total.values())} requests {dict(sorted(total.items()))}, refusals {dict(failures)}, "
              f"deeds {dict(fleet.events)}", flush=True)
        self.assertEqual([text for client in clients for text in client.lost], [])
        self.assertTrue(router.alive)
        self.settle(router, [sim for sim, _ in fleet.members.values()])
        self.assertLessEqual(sum(failures.values()), 0.01 * sum(total.values()), failures)
        for name in list(fleet.members):
            router.wait_state(name, "up", 30)
        self.assertEqual(sorted(fleet.members), sorted(router.services()))
        self.assertEqual(router.metric("infinilm_router_buffered_bytes"), 0)
        self.assertEqual(router.metric("infinilm_router_queue_length"), 0)
        spare = 2 * len(fleet.members)  # probes, and the link to the registry
        wait_until(lambda: self.descriptors(router) <= before + spare, 15, f"at most {before + spare} descriptors")
        if not under_sanitizer():  # theirs keep freed memory
            self.assertLessEqual(max(resident[-5:]) - resident[len(resident) // 4], 16 * MIB, resident[::5])

    def load(self, clients, end):
        threads = [threading.Thread(target=client.run_until, args=(end,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def watch(self, router, end, resident):
        while time.monotonic() < end:
            resident.append(self.resident(router))
            time.sleep(min(1.0, SECONDS / 20))


if __name__ == "__main__":
    main()
