#!/usr/bin/env python3
"""What runs out: file descriptors, connections, the log's disk, the database file, a client's patience."""

import os
import resource
import socket

from support import http_wire
from support.case import SystemTest, main
from support.registry_process import service
from support.waiting import under_sanitizer, wait_until


class Connections(SystemTest):
    def test_running_out_of_file_descriptors_is_survived(self):
        if under_sanitizer():
            self.skipTest("UBSan takes an object's type for broken when it has no descriptor left to look at it")
        registry = self.start_registry(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
        held = []
        try:
            for _ in range(120):  # the kernel accepts them all, the registry cannot
                held.append(socket.create_connection(("127.0.0.1", registry.port), timeout=5))
            wait_until(lambda: "accept" in registry.log_text(), 5, "a log line about it")
            self.assertTrue(registry.alive)
        finally:
            for connection in held:
                connection.close()
        wait_until(lambda: registry.get("/health")["ready"], 10, "the recovery")
        registry.register("after")
        lines = [line for line in registry.log_text().splitlines() if "accept" in line]
        self.assertLess(len(lines), 30, "the log is not flooded")

    def test_beyond_the_limit_of_all_connections_clients_get_503(self):
        registry = self.start_registry("--max-connections", "10")
        held = [registry.connection() for _ in range(10)]
        for connection in held:
            self.assertEqual(connection.request("GET", "/health").status, 200)
        with registry.connection() as refused:
            answer = refused.read_response()
            self.assertEqual((answer.status, answer.json()["error"]), (503, "Too many connections"))
            self.assertIsNotNone(answer.header("Retry-After"))
        for connection in held:
            connection.close()
        wait_until(lambda: registry.call("GET", "/health").status == 200, 5, "room again")

    def test_a_client_that_does_not_read_is_cut(self):
        registry = self.start_registry("--write-timeout", "500ms")
        registry.register_many([service(f"s{index}", metadata={"filling": "x" * 20_000}) for index in range(100)])
        with registry.connection() as greedy:
            greedy.send(http_wire.request_bytes("GET", "/services") * 20)  # 40 MB that nobody takes
            wait_until(lambda: registry.metric("infinilm_registry_connections") == 1, 10, "the cut")
        self.assertEqual(registry.get("/health")["status"], "healthy")

    def test_connections_that_come_and_go_leave_nothing_behind(self):
        registry = self.start_registry()

        def open_files():
            return len(os.listdir(f"/proc/{registry.pid}/fd"))
        registry.get("/health")
        before = open_files()
        for index in range(300):
            with registry.connection() as connection:
                connection.send((b"", b"GET", http_wire.request_bytes("GET", "/services?wait=30s&since=1"))[index % 3])
        wait_until(lambda: open_files() <= before + 1, 10, "all connections closed")
        wait_until(lambda: registry.get("/stats")["watchers"] == 0, 10, "all watchers forgotten")

    def test_a_client_may_close_its_sending_side_and_still_gets_its_answer(self):
        registry = self.start_registry()
        with socket.create_connection(("127.0.0.1", registry.port), timeout=10) as client:
            client.sendall(http_wire.request_bytes("POST", "/services", json=service("half")))
            client.shutdown(socket.SHUT_WR)
            data = b""
            while chunk := client.recv(65536):
                data += chunk
        self.assertTrue(data.startswith(b"HTTP/1.1 201 "), data)


class Files(SystemTest):
    def test_a_log_that_cannot_be_written_stops_nothing(self):
        registry = self.start_registry("--log-file", "/dev/full")
        registry.register("s")
        self.assertEqual(registry.get("/health")["registered_services"], 1)
        self.assertEqual(registry.stop(), 0)

    def test_a_database_removed_under_the_running_registry_refuses_writes(self):
        registry = self.start_registry()
        registry.register("before")
        registry.db_path.unlink()
        response = registry.call("POST", "/services", json=service("lost"))
        self.assertEqual(response.status, 503, response)
        self.assertEqual(registry.names(), ["before"])
        self.assertEqual(registry.get("/health")["store"]["state"], "failing")

    def test_statuses_that_come_and_go_do_not_pile_up_in_the_metrics(self):
        registry = self.start_registry("--state-db", ":memory:")
        registry.register("s")
        for index in range(200):
            registry.heartbeat("s", {"status": f"state-{index}"})
        text = registry.call("GET", "/metrics").text
        self.assertLess(text.count("infinilm_registry_services_by_status{"), 20)
        registry.heartbeat("s", {"status": 'odd "quotes" \\ and\u00e4'})
        line = next(line for line in registry.call("GET", "/metrics").text.splitlines() if "odd" in line)
        self.assertEqual(line, 'infinilm_registry_services_by_status{status="odd \\"quotes\\" \\\\ and\u00e4"} 1')

    def test_memory_does_not_grow_with_registrations_that_are_replaced(self):
        if under_sanitizer():
            self.skipTest("sanitizers keep freed memory")
        registry = self.start_registry("--state-db", ":memory:")

        def resident_kib():
            with open(f"/proc/{registry.pid}/status") as status:
                return int(next(line for line in status if line.startswith("VmRSS")).split()[1])
        bodies = [service(f"s{index}", metadata={"filling": "x" * 2000}) for index in range(200)]
        registry.register_many(bodies * 5)
        before = resident_kib()
        registry.register_many(bodies * 50)
        self.assertLess(resident_kib() - before, 30_000)


if __name__ == "__main__":
    main()
