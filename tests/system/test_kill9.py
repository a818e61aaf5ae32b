#!/usr/bin/env python3
"""kill -9, 200 times, in the middle of concurrent writes: every acknowledged write is found after each restart.

Each writer owns some names and knows of each name the last acknowledged state. A write that was sent but not answered
when the kill came may have happened or not; both are right. Anything else is a lost or an invented write.
"""

import random
import threading
import time

from support.case import SystemTest, main
from support.http_wire import Connection
from support.registry_process import service
from support.waiting import under_sanitizer

ROUNDS = 40 if under_sanitizer() else 200
WRITERS = 4
NAMES_PER_WRITER = 15
ABSENT = None


class Writer:
    def __init__(self, number):
        self.noise = random.Random(number)
        self.names = [f"w{number}-{index}" for index in range(NAMES_PER_WRITER)]
        self.known = dict.fromkeys(self.names, ABSENT)  # name -> weight of the last acknowledged write, or ABSENT
        self.in_doubt = None                            # (name, weight) of the write that was not answered
        self.version = 0
        self.acknowledged = 0
        self.errors = []

    def run(self, port):
        """Writes until the registry is gone."""
        try:
            with Connection(port, timeout=10) as connection:
                while True:
                    self.write(connection)
        except (ConnectionError, TimeoutError, OSError):
            pass

    def write(self, connection):
        name = self.noise.choice(self.names)
        self.version += 1
        if self.known[name] is ABSENT:
            request = ("POST", "/services", service(name, weight=self.version))
        elif self.noise.random() < 0.3:
            request = ("DELETE", f"/services/{name}", None)
        elif self.noise.random() < 0.5:
            request = ("POST", "/services", service(name, weight=self.version))
        else:
            request = ("PUT", f"/services/{name}", {"weight": self.version})
        method, path, body = request
        wanted = ABSENT if method == "DELETE" else self.version
        self.in_doubt = (name, wanted)
        response = connection.request(method, path, json=body)
        if response.status != (201 if method == "POST" else 200):
            self.errors.append((request, response))
        self.known[name] = wanted
        self.in_doubt = None
        self.acknowledged += 1

    def check(self, listed):
        """Compares with what is there after the restart; returns what is wrong."""
        wrong = []
        for name in self.names:
            found = listed.get(name, ABSENT)
            allowed = [self.known[name]]
            if self.in_doubt and self.in_doubt[0] == name:
                allowed.append(self.in_doubt[1])
            if found not in allowed:
                wrong.append(f"{name}: found {found}, acknowledged {self.known[name]}, in doubt {self.in_doubt}")
            self.known[name] = found
        self.in_doubt = None
        return wrong


class Kill9(SystemTest):
    def test_kill_9_in_a_loop_loses_no_acknowledged_write(self):
        registry = self.start_registry()
        writers = [Writer(number) for number in range(WRITERS)]
        moments = random.Random(9)
        startup = []
        for round_number in range(ROUNDS):
            threads = [threading.Thread(target=writer.run, args=(registry.port,)) for writer in writers]
            for thread in threads:
                thread.start()
            time.sleep(moments.uniform(0.01, 0.09))  # the moment of the kill is what varies, not a synchronisation
            registry.kill()
            for thread in threads:
                thread.join(30)
            self.assertEqual([error for writer in writers for error in writer.errors], [], f"round {round_number}")
            begun = time.monotonic()
            registry.start()
            startup.append(time.monotonic() - begun)
            answer = registry.get("/services")
            listed = {item["name"]: item["weight"] for item in answer["services"]}
            wrong = [line for writer in writers for line in writer.check(listed)]
            self.assertEqual(wrong, [], f"round {round_number}")
            strangers = set(listed) - {name for writer in writers for name in writer.names}
            self.assertEqual(strangers, set())
        total = sum(writer.acknowledged for writer in writers)
        self.assertGreater(total, ROUNDS * 5, "too little traffic to mean anything")
        health = registry.get("/health")["store"]
        self.assertEqual((health["state"], health.get("unreadable_rows", 0)), ("ok", 0))
        self.assertEqual(list(registry.folder.glob("*.damaged*")), [])
        print(f"\nkill -9 x {ROUNDS}: {total} acknowledged writes, 0 lost; start-up median "
              f"{sorted(startup)[len(startup) // 2] * 1000:.0f} ms, worst {max(startup) * 1000:.0f} ms", end=" ")


if __name__ == "__main__":
    main()
