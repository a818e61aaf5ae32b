#!/usr/bin/env python3
"""Reliability statements about watching and ownership: R10, R11, R13 and R14 of the reliability notes, by name."""

import asyncio
import json
import signal
import threading
import time

from support import http_wire
from support.case import SystemTest, main
from support.pipeline import run_pipelined
from support.registry_process import ChangeStream, service
from support.waiting import best_of, patience, percentile, under_sanitizer, wait_until


class AsyncClient:
    """One keep-alive connection of an asyncio program."""

    def __init__(self, port):
        self.port = port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    async def call(self, method, path, body=None):
        self.writer.write(http_wire.request_bytes(method, path, json=body))
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        return int(head[9:12]), json.loads(await self.reader.readexactly(length))


class Watch(SystemTest):
    def test_R10_every_change_reaches_100_watchers_in_order(self):
        """R10: 300 changes at about 100 a second, 100 watchers: 30,000 of 30,000 delivered, in order, none twice."""
        registry = self.start_registry()
        since, epoch = registry.position()
        changes, watchers = (100, 30) if under_sanitizer() else (300, 100)
        sent, lags = {}, []

        async def watch():
            seen = []
            position = since
            async with AsyncClient(registry.port) as client:
                while len(seen) < changes:
                    path = f"/services?changes=true&wait=20s&since={position}&epoch={epoch}"
                    status, answer = await client.call("GET", path)
                    self.assertEqual((status, answer["resync"]), (200, False))
                    now = time.monotonic()
                    seen += [(change["revision"], change["event"], change["name"]) for change in answer["changes"]]
                    lags.extend(now - sent[change["name"]] for change in answer["changes"] if change["name"] in sent)
                    position = answer["revision"]
            return seen

        async def change():
            async with AsyncClient(registry.port) as client:
                for index in range(changes):
                    name = f"s{index}"
                    sent[name] = time.monotonic()
                    self.assertEqual((await client.call("POST", "/services", service(name)))[0], 201)
                    await asyncio.sleep(0.008)

        async def run():
            watching = [asyncio.create_task(watch()) for _ in range(watchers)]
            while registry.get("/stats")["watchers"] < watchers:
                await asyncio.sleep(0.01)
            await change()
            return await asyncio.wait_for(asyncio.gather(*watching), patience(30))

        seen = asyncio.run(run())
        expected = [(since + 1 + index, "registered", f"s{index}") for index in range(changes)]
        self.assertEqual(len(seen), watchers)
        for one in seen:
            self.assertEqual(one, expected)
        print(f"\nR10: {len(lags)} events, lag p50 {percentile(lags, .5) * 1000:.1f} ms, "
              f"p99 {percentile(lags, .99) * 1000:.1f} ms (this client included)", end=" ")

    def test_R10_a_watcher_that_fell_behind_is_told_to_resync(self):
        """R10: more changes than the log keeps: a slow watcher gets a resync with the full list, never a silent gap."""
        registry = self.start_registry("--state-db", ":memory:")
        names = [f"s{index:02d}" for index in range(16)]
        registry.register_many([service(name) for name in names])
        since, epoch = registry.position()
        flips = [http_wire.request_bytes("POST", f"/services/{name}/heartbeat", json={"status": status})
                 for status in ("busy", "running") * 550 for name in names]  # one connection for each name
        self.assertTrue(all(response.status == 200 for response in run_pipelined(registry.port, flips, len(names))))
        answer = registry.changes(since, epoch, wait="5s")
        self.assertIs(answer["resync"], True)
        self.assertEqual(sorted(item["name"] for item in answer["services"]), names)
        self.assertEqual(answer["revision"], since + len(flips))
        self.assertNotIn("changes", answer)
        recent = registry.changes(answer["revision"] - 100, epoch)
        self.assertEqual([change["revision"] for change in recent["changes"]],
                         list(range(answer["revision"] - 99, answer["revision"] + 1)))

    def test_R10_the_last_change_of_a_name_carries_its_state(self):
        """R10: what a watcher applies in order leaves it with what a full list shows."""
        registry = self.start_registry()
        registry.register("kept")
        since, epoch = registry.position()
        registry.register("short")
        registry.call("PUT", "/services/kept", json={"weight": 5})
        registry.call("DELETE", "/services/short")
        registry.call("PUT", "/services/kept", json={"weight": 6})
        changes = registry.changes(since, epoch)["changes"]
        self.assertEqual([(change["event"], change["name"]) for change in changes],
                         [("registered", "short"), ("updated", "kept"), ("unregistered", "short"), ("updated", "kept")])
        self.assertEqual([("service" in change) for change in changes], [False, False, True, True])
        self.assertIsNone(changes[2]["service"])
        self.assertEqual(changes[3]["service"], registry.services()[0])

    def test_wait_answers_at_the_first_change_or_at_the_end(self):
        registry = self.start_registry()
        registry.register("a")
        revision, epoch = registry.position()
        begun = time.monotonic()
        answer = registry.get(f"/services?wait=1s&since={revision}")
        took = time.monotonic() - begun
        self.assertTrue(0.9 <= took <= patience(5), f"the wait, shortened by at most 1/16: {took}")
        self.assertEqual((answer["revision"], answer["total"]), (revision, 1))
        got = []
        thread = threading.Thread(target=lambda: got.append(registry.get(f"/services?wait=20s&since={revision}")))
        thread.start()
        wait_until(lambda: registry.get("/stats")["watchers"] == 1, 5, "the watcher")
        registry.register("b")
        thread.join(patience(5))
        self.assertEqual((got[0]["revision"], got[0]["total"]), (revision + 1, 2))
        for query in (f"since={revision}", f"since={revision + 999}", f"since={revision + 1}&epoch=another"):
            begun = time.monotonic()
            self.assertEqual(registry.get(f"/services?wait=20s&{query}")["total"], 2)
            self.assertLess(time.monotonic() - begun, patience(5), query)

    def test_a_watcher_that_hangs_up_is_forgotten(self):
        registry = self.start_registry()
        revision, _ = registry.position()
        with registry.connection() as connection:
            connection.send(http_wire.request_bytes("GET", f"/services?wait=60s&since={revision}"))
            wait_until(lambda: registry.get("/stats")["watchers"] == 1, 5, "the watcher")
        wait_until(lambda: registry.get("/stats")["watchers"] == 0, 5, "the watcher's end")

    def test_R11_the_revision_never_goes_back_and_a_new_boot_has_a_new_epoch(self):
        """R11: over 8 boots (kill -9 and clean stops) the revision only grows; each boot has its own epoch, and a
        watcher of an earlier boot is told at once to resync."""
        registry = self.start_registry()
        last, epochs = 0, set()
        for boot in range(8):
            revision, epoch = registry.position()
            self.assertGreaterEqual(revision, last)
            self.assertNotIn(epoch, epochs)
            if epochs:
                begun = time.monotonic()
                answer = registry.changes(last, sorted(epochs)[0], wait="20s")
                self.assertIs(answer["resync"], True)
                self.assertLess(time.monotonic() - begun, patience(5))
            epochs.add(epoch)
            revisions = [registry.register(f"s{boot}-{index}")["revision"] for index in range(5)]
            self.assertEqual(revisions, list(range(revision + 1, revision + 6)))
            last = registry.position()[0]
            self.assertEqual(last, revisions[-1])
            if boot % 2:
                self.assertEqual(registry.stop(), 0)
                registry.start()
            else:
                registry.restart()


class Ownership(SystemTest):
    def test_R13_a_second_owner_is_refused_when_so_configured(self):
        """R13: --on-name-conflict reject: a live name stays with its owner (409), a dead one may be taken over."""
        registry = self.start_registry("--on-name-conflict", "reject", "--heartbeat-timeout", "3s", "--remove-after",
                                       "1h")
        registry.register("n", port=1000)
        response = registry.call("POST", "/services", json=service("n", port=2000))
        self.assertEqual(response.status, 409)
        self.assertIn("Service 'n' is already registered by 127.0.0.1:1000", response.json()["error"])
        self.assertEqual(registry.service("n")["port"], 1000)
        self.assertEqual(registry.register("n", port=1000, weight=2)["service"]["weight"], 2)  # its owner may
        self.assertEqual(registry.get("/stats")["name_conflicts"], 1)
        held = registry.service("n")["generation"]
        self.assertEqual(registry.call("PUT", "/services/n", json={"port": 2000}).status, 409)
        self.assertEqual(registry.get("/stats")["name_conflicts"], 2)
        moved = registry.call("PUT", "/services/n", json={"port": 1001, "generation": held})
        self.assertEqual(moved.status, 200)
        self.assertGreater(moved.json()["service"]["generation"], held)
        wait_until(lambda: registry.call("POST", "/services", json=service("n", port=2000)).status == 201, 4,
                   "the take-over after the lease")

    def test_R13_refusals_do_not_fill_the_log(self):
        registry = self.start_registry("--on-name-conflict", "reject")
        registry.register("n", port=1000)
        for port in range(2000, 2200):
            self.assertEqual(registry.call("POST", "/services", json=service("n", port=port)).status, 409)
        refused = [line for line in registry.log_text().splitlines() if "registration of a live name refused" in line]
        self.assertLess(len(refused), 100)
        self.assertGreaterEqual(len(refused), 20)
        self.assertIn("reason=", refused[0])

    def test_R13_an_earlier_owner_is_fenced_by_its_generation(self):
        """R13: with conflicts accepted (as the original) an earlier owner that names its generation gets 409 and cannot
        keep the new owner's entry alive or change it; there is no flip-flop."""
        registry = self.start_registry()
        first = registry.register("n", port=1000)["service"]["generation"]
        second = registry.register("n", port=2000)["service"]["generation"]
        self.assertEqual(registry.get("/stats")["name_conflicts"], 1)
        self.assertIn("n", [word.split("=")[-1] for line in registry.log_text().splitlines() if " WARN " in line
                            for word in line.split()])
        fenced = registry.heartbeat("n", {"generation": first, "status": "stopped"})
        self.assertEqual((fenced.status, fenced.json()["error"]),
                         (409, f"Service 'n' has been registered by someone else since: its generation is {second}, "
                               f"not {first}"))
        self.assertEqual(registry.heartbeat("n", {"generation": second}).json()["generation"], second)
        for method, path, body in (("PUT", "/services/n", {"generation": first, "status": "stopped"}),
                                   ("POST", "/services", service("n", port=1000, generation=first)),
                                   ("DELETE", f"/services/n?generation={first}", None)):
            self.assertEqual(registry.call(method, path, json=body).status, 409, method)
        self.assertEqual(registry.call("DELETE", "/services/n?generation=x").status, 400)
        now = registry.service("n")
        self.assertEqual((now["port"], now["status"]), (2000, "running"))
        self.assertIn('heartbeats_total{outcome="refused"} 1\n', registry.call("GET", "/metrics").text)
        self.assertIn("infinilm_registry_name_conflicts_total 2\n", registry.call("GET", "/metrics").text)
        registry.restart()  # generations survive
        self.assertEqual(registry.heartbeat("n", {"generation": first}).status, 409)
        self.assertEqual(registry.heartbeat("n", {"generation": second}).status, 200)
        self.assertEqual(registry.call("DELETE", f"/services/n?generation={second}").status, 200)

    def test_R13_an_earlier_owner_is_fenced_though_the_registry_lost_its_store(self):
        """R13: without a store, or after its loss, generations do not begin again."""
        registry = self.start_registry("--state-db=:memory:")
        first = registry.register("n", port=1000)["service"]["generation"]
        registry.restart()
        self.assertGreater(registry.register("n", port=2000)["service"]["generation"], first)
        self.assertEqual(registry.heartbeat("n", {"generation": first}).status, 409)

    def test_R13_the_generation_grows_even_after_a_removal(self):
        """R13: a name removed and registered again fences the owner from before the removal, over a restart."""
        registry = self.start_registry()
        first = registry.register("n")["service"]["generation"]
        registry.call("DELETE", "/services/n")
        registry.restart()
        self.assertGreater(registry.register("n")["service"]["generation"], first)

    def test_R13_renewal_of_an_unknown_name_is_404(self):
        """R13: 404 to a heartbeat, so that the agent registers again."""
        registry = self.start_registry()
        self.assertEqual(registry.heartbeat("nobody").status, 404)
        self.assertEqual(registry.heartbeat("nobody", {"generation": 1}).status, 404)

    def test_R14_a_deregistered_service_is_gone_at_once_for_everybody(self):
        """R14, deregistration: watchers are told and lists are without it within 100 ms."""
        registry = self.start_registry()

        def deregister():
            registry.register("n")
            stream = ChangeStream(registry)
            seen = []
            thread = threading.Thread(target=lambda: seen.extend(stream.poll("20s")))
            thread.start()
            wait_until(lambda: registry.get("/stats")["watchers"] == 1, 5, "the watcher")
            begun = time.monotonic()
            self.assertEqual(registry.call("DELETE", "/services/n").status, 200)
            thread.join(patience(5))
            self.assertEqual([(event["event"], event["service"]) for event in seen], [("unregistered", None)])
            self.assertEqual(registry.names(), [])
            return seen[0]["seen"] - begun
        self.assertLessEqual(best_of(5, 0.1, deregister), patience(0.1))

    def test_R14_sigterm_is_not_ready_at_once_finishes_what_is_open_and_exits_0(self):
        """R14, the registry's drain: no new connection is served as ready, requests in progress are finished (and told
        that the registry is draining), long polls are answered, and the exit code is 0."""
        registry = self.start_registry()
        registry.register("n")
        revision, _ = registry.position()
        open_head, open_body, poll = (registry.connection() for _ in range(3))
        for connection in (open_head, open_body, poll):
            self.addCleanup(connection.close)
        body = json.dumps(service("late")).encode()
        open_head.send(b"GET /health HTTP/1.1\r\nHost: r\r\n")
        open_body.send(b"POST /services HTTP/1.1\r\nHost: r\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body[:20]))
        poll.send(http_wire.request_bytes("GET", f"/services?wait=60s&since={revision}"))
        wait_until(lambda: registry.get("/stats")["watchers"] == 1, 5, "the watcher")
        registry.signal(signal.SIGTERM)
        begun = time.monotonic()
        self.assertEqual(poll.read_response().status, 200)  # answered early
        self.assertLess(time.monotonic() - begun, patience(10))
        open_head.send(b"\r\n")
        answer = open_head.read_response()
        self.assertEqual((answer.status, answer.json()["status"], answer.json()["ready"]), (503, "draining", False))
        self.assertEqual(answer.header("Connection"), "close")
        open_body.send(body[20:])
        self.assertEqual(open_body.read_response().status, 201)
        self.assertEqual(registry.wait_exit(), 0)
        registry.start()
        self.assertEqual(registry.names(), ["late", "n"])


if __name__ == "__main__":
    main()
