#!/usr/bin/env python3
"""Start, signals and stop: what the daemon says, where, and with which exit code."""

import json
import os
import signal
import socket
import sqlite3

from support import http_wire
from support.case import SystemTest, main
from support.registry_process import run_registry, sentences, service
from support.waiting import wait_until


class Signals(SystemTest):
    def test_sigterm_and_sigint_end_it_with_exit_code_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            registry = self.start_registry(name=number.name)
            registry.signal(number)
            self.assertEqual(registry.wait_exit(), 0)
            self.assertIn("stopped", registry.log_text())

    def hold_open(self, registry):
        """A request that is never finished: it keeps a drain going."""
        connection = registry.connection()
        self.addCleanup(connection.close)
        connection.send(b"POST /services HTTP/1.1\r\nHost: r\r\nContent-Length: 100\r\n\r\n{")
        registry.get("/health")  # answered after the above was read
        return connection

    def test_a_second_sigterm_ends_a_drain_at_once(self):
        registry = self.start_registry("--drain-timeout", "1h", "--body-timeout", "1h")
        self.hold_open(registry)
        registry.signal(signal.SIGTERM)
        wait_until(lambda: "draining" in registry.log_text(), 5, "the drain")
        self.assertTrue(registry.alive)
        registry.signal(signal.SIGTERM)
        self.assertEqual(registry.wait_exit(), 0)

    def test_a_drain_is_bounded(self):
        registry = self.start_registry("--drain-timeout", "500ms")
        connection = self.hold_open(registry)
        registry.signal(signal.SIGTERM)
        self.assertEqual(registry.wait_exit(), 0)
        self.assertTrue(connection.is_closed_by_peer())

    def test_a_drain_takes_no_new_connections_and_ends_idle_ones(self):
        registry = self.start_registry("--drain-timeout", "1h", "--body-timeout", "1h")
        self.hold_open(registry)
        with registry.connection() as idle:
            idle.request("GET", "/health")
            registry.signal(signal.SIGTERM)
            self.assertTrue(idle.is_closed_by_peer())

        def refused():
            try:
                registry.connection(1).close()
                return False
            except ConnectionRefusedError:
                return True
        wait_until(refused, 5, "refused connections")
        registry.signal(signal.SIGTERM)
        self.assertEqual(registry.wait_exit(), 0)

    def test_a_client_that_hangs_up_in_the_middle_is_no_trouble(self):
        registry = self.start_registry()
        registry.register("s", metadata={"filling": "x" * 60_000})
        for sent in (b"GET", b"POST /services HTTP/1.1\r\nHost: r\r\nContent-Length: 9\r\n\r\n{",
                     http_wire.request_bytes("GET", "/services") * 200):
            for _ in range(20):
                with registry.connection() as connection:
                    connection.send(sent)
        self.assertEqual(registry.get("/health")["status"], "healthy")
        self.assertEqual(registry.stop(), 0)


class Logs(SystemTest):
    def test_the_default_log_is_logs_registry_log_below_the_working_directory(self):
        registry = self.new_registry("--log-file=logs/registry.log").start()
        registry.register("gpu1")
        log = registry.folder / "logs" / "registry.log"
        text = wait_until(lambda: log.read_text() if "gpu1" in log.read_text() else None, 5, "the registration's line")
        self.assertRegex(text, r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z INFO  .*gpu1")
        self.assertIn('"log_file": "logs/registry.log"', self.print_defaults())
        self.assertIn('"state_db": "data/registry.db"', self.print_defaults())

    def print_defaults(self):
        return run_registry("--print-config", folder=self.folder).stdout

    def test_sighup_opens_the_log_anew(self):
        registry = self.start_registry()
        moved = registry.folder / "registry.log.old"
        registry.log_path.rename(moved)
        registry.register("between")
        wait_until(lambda: "between" in moved.read_text(), 5, "its line, where the file is now")
        registry.signal(signal.SIGHUP)
        wait_until(lambda: "reloaded" in registry.log_text(), 5, "the new log")
        registry.register("after")
        self.assertIn("after", registry.log_text())
        self.assertNotIn("after", moved.read_text())

    def test_logs_rotate_by_size(self):
        registry = self.start_registry("--log-max-bytes", "20000", "--log-max-files", "2")
        for index in range(300):
            registry.register(f"service-with-a-rather-long-name-{index:04d}")
        files = sorted(path.name for path in registry.folder.glob("registry.log*"))
        self.assertEqual(files, ["registry.log", "registry.log.1", "registry.log.2"])
        for name in files:
            self.assertLess((registry.folder / name).stat().st_size, 21_000)
        newest = (registry.folder / "registry.log.1").read_text() + registry.log_text()
        self.assertIn("name-0299", newest)

    def test_log_format_json_is_one_object_a_line(self):
        registry = self.start_registry("--log-format", "json", "--log-level", "debug")
        registry.register('quoted "name" ü')
        registry.call("DELETE", "/services/quoted%20%22name%22%20%C3%BC")
        registry.stop()
        lines = [json.loads(line) for line in registry.log_text().splitlines()]
        for line in lines:
            self.assertTrue({"ts", "level", "logger", "msg"} <= set(line), line)
        self.assertTrue(any(line.get("name") == 'quoted "name" ü' for line in lines))

    def test_one_line_per_transition(self):
        registry = self.start_registry("--heartbeat-timeout", "1s", "--remove-after", "2s", "--cleanup-interval",
                                       "200ms")
        registry.register("gpu7")
        wait_until(lambda: registry.names() == [], 10, "the removal")
        lines = [line for line in registry.log_text().splitlines() if "gpu7" in line]
        self.assertEqual(len(lines), 3, lines)  # registered, lease ran out, removed


class Supervision(SystemTest):
    def test_sd_notify_says_ready_reloading_and_stopping(self):
        path = self.folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(path))
            notify.settimeout(60)
            registry = self.new_registry(env={"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"}).spawn()

            def next_with(text):
                for _ in range(200):
                    message = notify.recv(4096).decode()
                    if text in message:
                        return message
                raise AssertionError(f"no message with {text}")
            next_with("READY=1")
            registry.wait_ready()
            self.assertEqual(registry.get("/health")["ready"], True)
            next_with("WATCHDOG=1")
            registry.signal(signal.SIGHUP)
            self.assertIn("MONOTONIC_USEC=", next_with("RELOADING=1"))
            next_with("READY=1")
            registry.signal(signal.SIGTERM)
            next_with("STOPPING=1")
            self.assertEqual(registry.wait_exit(), 0)

    def test_the_port_file_is_written_when_requests_are_answered(self):
        registry = self.start_registry()
        self.assertEqual(registry.get("/health")["ready"], True)
        self.assertEqual(int(registry.port_file.read_text()), registry.port)
        self.assertIn(f"port={registry.port}", registry.log_text())


class FailedStarts(SystemTest):
    def assert_fails(self, registry, *words):
        registry.spawn()
        self.assertEqual(registry.wait_exit(), 1)
        said = sentences(registry.stderr_text())
        self.assertEqual(len(said), 1, registry.stderr_text())
        for word in words:
            self.assertIn(str(word), said[0])
        self.assertNotIn("terminate called", registry.stderr_text())

    def test_the_port_is_in_use(self):
        first = self.start_registry()
        second = self.new_registry("--port", first.port, name="second")
        self.assert_fails(second, "bind", f"127.0.0.1:{first.port}", "in use")
        self.assertEqual(first.get("/health")["status"], "healthy")

    def test_the_database_is_in_use_by_a_second_registry(self):
        first = self.start_registry()
        first.register("mine")
        second = self.new_registry("--state-db", first.db_path, name="second")
        self.assert_fails(second, first.db_path, "in use by another process")
        self.assertEqual(first.names(), ["mine"])
        self.assertEqual(list(first.folder.glob("*.damaged*")), [])

    def test_the_database_belongs_to_another_application(self):
        registry = self.new_registry()
        with sqlite3.connect(registry.db_path) as database:
            database.execute("create table customers (name text)")
            database.execute("pragma application_id = 12345")
        database.close()
        before = registry.db_path.read_bytes()
        self.assert_fails(registry, registry.db_path)
        self.assertEqual(registry.db_path.read_bytes(), before)

    def test_folders_that_cannot_be_made(self):
        (self.folder / "file").write_text("")
        self.assert_fails(self.new_registry("--state-db", self.folder / "file" / "registry.db", name="a"), "state")
        self.assert_fails(self.new_registry("--log-file", self.folder / "file" / "registry.log", name="b"), "log")
        self.assert_fails(self.new_registry("--port-file", self.folder / "none" / "port", name="c"), "port file")

    def test_an_address_that_is_not_ours(self):
        self.assert_fails(self.new_registry("--host", "192.0.2.1"), "bind", "192.0.2.1")

    def test_missing_folders_are_made(self):
        registry = self.start_registry("--state-db", "deep/er/registry.db", "--log-file", "log/s/registry.log")
        self.assertTrue((registry.folder / "deep" / "er" / "registry.db").exists())
        self.assertTrue((registry.folder / "log" / "s" / "registry.log").exists())


class Store(SystemTest):
    def test_damaged_files_of_every_kind_are_moved_aside_and_said(self):
        def truncated(data):
            return data[:len(data) // 2]

        def noise(data):
            return os.urandom(len(data))

        def torn_page(data):
            return data[:4096] + os.urandom(4096) + data[8192:]
        for damage in (truncated, noise, torn_page):
            with self.subTest(damage=damage.__name__):
                registry = self.start_registry(name=damage.__name__)
                registry.register_many([service(f"s{index}", metadata={"x": "y" * 100}) for index in range(200)])
                registry.stop()
                broken = damage(registry.db_path.read_bytes())
                registry.db_path.write_bytes(broken)
                registry.start()
                health = registry.get("/health")
                self.assertEqual((health["store"]["state"], health["registered_services"]), ("reset", 0))
                self.assertEqual((registry.folder / health["store"]["moved_to"]).read_bytes(), broken)
                self.assertRegex(registry.log_text(), " ERROR .*damaged")
                registry.register("new")
                registry.restart()
                self.assertEqual((registry.names(), registry.get("/health")["store"]["state"]), (["new"], "ok"))

    def test_one_unreadable_row_costs_that_row_only_and_is_said(self):
        registry = self.start_registry()
        registry.register_many([service(f"s{index}") for index in range(10)])
        registry.stop()
        database = sqlite3.connect(registry.db_path)
        table, column = self.spec_column(database)
        row = database.execute(f"select rowid from {table} order by rowid limit 1 offset 4").fetchone()[0]
        database.execute(f"update {table} set {column} = 'nonsense' where rowid = ?", (row,))
        database.commit()
        database.close()
        registry.start()
        health = registry.get("/health")
        self.assertEqual((health["registered_services"], health["store"]["unreadable_rows"]), (9, 1))
        self.assertRegex(registry.log_text(), "(WARN|ERROR) .*unreadable")

    def spec_column(self, database):
        for (table,) in database.execute("select name from sqlite_master where type = 'table'").fetchall():
            for column in database.execute(f"pragma table_info({table})").fetchall():
                value = database.execute(f"select {column[1]} from {table} limit 1").fetchone()
                if value and isinstance(value[0], (str, bytes)) and "hostname" in str(value[0]):
                    return table, column[1]
        raise AssertionError("no table with registrations")

    def test_memory_keeps_nothing_and_says_so(self):
        registry = self.start_registry("--state-db", ":memory:")
        registry.register("s")
        self.assertEqual(registry.get("/health")["store"]["state"], "memory")
        registry.restart()
        self.assertEqual((registry.names(), registry.get("/health")["warming"]), ([], True))
        self.assertEqual(list(registry.folder.glob("*memory*")), [])


if __name__ == "__main__":
    main()
