#!/usr/bin/env python3
"""The disk of the registry's store, or of a log, hangs: leases live on, nobody waits for ever, and a stop is one."""

import contextlib
import signal
import threading

from support import http_wire
from support.case import SystemTest, main
from support.daemon_process import BIN_DIR
from support.raw_upstream import raw_upstream
from support.router_limits import REQUEST
from support.router_process import RouterTest
from support.waiting import wait_until


def hanging(case, folder):
    """What makes calls for files in `folder` hang while the path that comes with it exists."""
    control = case.folder.resolve() / "hangs"
    case.addCleanup(lambda: control.unlink(missing_ok=True))
    return control, {"LD_PRELOAD": str(BIN_DIR / "hung_disk.so"), "HUNG_DISK_CONTROL": str(control),
                     "HUNG_DISK_FOLDER": f"{folder}/"}


class HungStore(SystemTest):
    def setUp(self):
        super().setUp()
        self.disk = self.folder.resolve() / "disk"
        self.disk.mkdir()
        self.control, environment = hanging(self, self.disk)
        self.registry = self.start_registry(f"--state-db={self.disk}/registry.db", "--drain-timeout=1s",
                                            env=environment)
        for name, interval in (("a", 2), ("b", 20), ("c", 2)):
            self.registry.register(name, heartbeat_interval=interval)

    def in_background(self, call):
        answers = []

        def run():
            with contextlib.suppress(OSError):  # cut by a stop
                answers.append(call())
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread, answers

    def test_heartbeats_of_a_service_that_is_being_changed_go_on_and_the_change_is_told_to_wait(self):
        registry = self.registry
        self.control.touch()
        thread, answers = self.in_background(
            lambda: registry.call("PUT", "/services/a", json={"weight": 7}, timeout=60))

        def beats():
            for name in ("a", "b", "c"):
                self.assertEqual(registry.heartbeat(name).status, 200, name)
            self.assertEqual(registry.names("?healthy=true"), ["a", "b", "c"])
            return not thread.is_alive()
        wait_until(beats, 15, "the answer to the change, while heartbeats go on", interval=0.2)
        self.assertEqual(answers[0].status, 503)
        self.assertIn("does not answer", answers[0].json()["error"])
        store = registry.get("/health")["store"]
        self.assertEqual((store["state"], store["last_error"]),
                         ("failing", "the disk of the store does not answer"))
        self.assertLessEqual(registry.metric("infinilm_registry_store_pending"), 1, "the change, and no reservation")
        # A new status is a change too, but whoever tells it lives.
        status = registry.call("POST", "/services/b/heartbeat", json={"status": "draining"}, timeout=60)
        self.assertEqual(status.status, 503)
        self.assertTrue(registry.service("b")["is_healthy"])

        self.control.unlink()
        wait_until(lambda: registry.service("a")["weight"] == 7, 10, "the change that was begun")
        wait_until(lambda: registry.call("PUT", "/services/b", json={"weight": 2}).status == 200, 10, "a change")
        self.assertEqual(registry.get("/health")["store"]["state"], "ok")
        registry.restart()
        self.assertEqual((registry.service("a")["weight"], registry.service("b")["weight"]), (7, 2))

    def test_a_stop_does_not_wait_for_the_disk_for_ever(self):
        self.control.touch()
        self.in_background(
            lambda: self.registry.call("PUT", "/services/a", json={"weight": 7}, timeout=60))
        wait_until(lambda: self.registry.metric("infinilm_registry_store_pending") > 0, 10, "the change at the store")
        self.registry.signal(signal.SIGTERM)
        self.assertEqual(self.registry.wait_exit(20), 0)


class HungLog(RouterTest):
    def test_a_registry_whose_log_hangs_serves_on_and_stops(self):
        folder = self.folder.resolve() / "registry" / "logs"
        control, environment = hanging(self, folder)
        registry = self.start_registry(f"--log-file={folder}/registry.log", env=environment)
        registry.register("a")
        control.touch()
        for index in range(50):
            registry.register(f"more-{index}")
            self.assertEqual(registry.heartbeat("a").status, 200)
        self.assertEqual(registry.get("/health")["status"], "healthy")
        registry.signal(signal.SIGTERM)
        self.assertEqual(registry.wait_exit(20), 0)

    def test_a_router_whose_log_hangs_serves_on_and_stops(self):
        upstream = raw_upstream(self)
        folder = self.folder.resolve() / "router-logs"
        control, environment = hanging(self, folder)
        router = self.start_router([upstream], args=[f"--log-file={folder}/router.log"], env=environment)
        control.touch()
        router.signal(signal.SIGHUP)  # several lines, and the file is to be opened anew
        for _ in range(50):
            self.assertEqual(http_wire.raw_exchange(router.port, REQUEST + b"\r\n").status, 200)
        router.signal(signal.SIGTERM)
        self.assertEqual(router.wait_exit(20), 0)


if __name__ == "__main__":
    main()
