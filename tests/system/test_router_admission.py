#!/usr/bin/env python3
"""Admission: limits of concurrency, the queue in front of them, and P12 (overload is refused at once, not suffered)."""

import threading
import time

from support import http_wire
from support.case import main
from support.gated_upstream import CALM, GatedTest
from support.router_process import MODEL, chat
from support.sim_process import CHAT
from support.waiting import best_of, patience, percentile, wait_until


class Admission(GatedTest):
    def test_the_limit_is_never_exceeded_and_the_queue_is_first_come_first_served(self):
        (gate,) = self.gates()
        router = self.start_gated([gate], limit=2)
        connections = self.fill(router, gate, 2, 6)
        self.assertEqual(router.stats()["queues"]["by_model"], {MODEL: 6})
        self.assertEqual(router.metric("infinilm_router_queue_length"), 6)
        self.assertEqual(router.metric("infinilm_router_held_requests"), 0)
        self.assertEqual(router.metric(f'infinilm_router_queue_length_by_model{{model="{MODEL}"}}'), 6)
        for done in range(8):
            gate.release()
            gate.wait_held(min(2, 7 - done))
        self.assertEqual([connection.read_response().status for connection in connections], [200] * 8)
        self.assertEqual(gate.most, 2)
        self.assertEqual(gate.arrived, [f"/v1/r{index}" for index in range(8)])
        self.assertEqual(router.metric("infinilm_router_queue_seconds_count"), 6)
        labels = f'{{model="{MODEL}",upstream="{router.stats()["services"][0]["name"]}"}}'
        self.assertEqual(router.metric(f"infinilm_router_upstream_queue_seconds_count{labels}"), 6)
        self.assertGreater(router.stats()["by_model"][MODEL]["queue_seconds"]["p95"], 0)
        self.assertEqual(router.metric("infinilm_router_hold_seconds_count"), 0)
        self.assert_all_quiet(router)

    def test_without_a_queue_what_finds_no_room_is_429(self):
        (gate,) = self.gates()
        router = self.start_gated([gate], queue=0)
        first = self.ask(router, "first")
        gate.wait_held(1)
        response = router.chat()
        self.assert_openai_error(response, 429, "queue_full")
        self.assertTrue(1 <= int(response.header("Retry-After")) <= 60, response.headers)
        gate.open()
        self.assertEqual(first.read_response().status, 200)
        self.assertEqual(router.chat().status, 200)
        self.assert_all_quiet(router)

    def test_a_full_queue_is_429_with_retry_after(self):
        (gate,) = self.gates()
        router = self.start_gated([gate], queue=3)
        connections = self.fill(router, gate, 1, 3)
        for _ in range(3):
            response = router.chat()
            error = self.assert_openai_error(response, 429, "queue_full")
            self.assertEqual(error["type"], "rate_limit_error")
            self.assertTrue(1 <= int(response.header("Retry-After")) <= 60, response.headers)
        self.assertEqual(router.totals()["refusals"], {"queue_full": 3})
        gate.open()
        self.assertEqual([connection.read_response().status for connection in connections], [200] * 4)
        self.assertEqual(len(gate.arrived), 4)
        self.assert_all_quiet(router)

    def test_a_queue_that_lower_classes_have_filled_is_not_full_for_a_higher_one(self):
        (gate,) = self.gates()
        router = self.start_gated([gate], queue=2)
        low, high = [("X-Priority", "batch")], [("X-Priority", "interactive")]
        running = self.ask(router, "running", headers=low)
        gate.wait_held(1)
        batch = []
        for number in range(2):
            batch.append(self.ask(router, f"batch{number}", headers=low))
            self.wait_waiting(router, number + 1)
        self.assert_openai_error(router.chat(headers=low), 429, "queue_full")
        first = self.ask(router, "first", headers=high)
        refused = batch[1].read_response()
        error = self.assert_openai_error(refused, 429, "queue_full")
        self.assertIn("of a higher class", error["message"])
        self.assertIn(refused.header("retry-after"), [str(seconds) for seconds in range(1, 61)])
        gate.release()
        wait_until(lambda: gate.arrived[-1] == "/v1/first", 10, "the higher class at the instance")
        gate.open()
        for connection in (running, first, batch[0]):
            self.assertEqual(connection.read_response().status, 200)
        self.assertEqual(router.metric('infinilm_router_refusals_total{reason="queue_full"}'), 2)
        self.assert_all_quiet(router)

    def test_p12_a_refusal_takes_at_most_5_ms(self):
        (gate,) = self.gates()
        router = self.start_gated([gate], queue=1)
        self.fill(router, gate, 1, 1)
        connection = router.connection()
        self.addCleanup(connection.close)

        def measure():
            begun = time.monotonic()
            response = connection.request("POST", CHAT, json=chat())
            took = time.monotonic() - begun
            self.assertEqual(response.status, 429)
            return took
        self.assertLessEqual(best_of(20, 0.005, measure), 0.005)

    def test_who_waits_too_long_is_503_with_retry_after(self):
        (gate,) = self.gates()
        router = self.start_gated([gate], wait="300ms")
        first = self.ask(router, "first")
        gate.wait_held(1)
        begun = time.monotonic()
        response = router.chat()
        took = time.monotonic() - begun
        self.assert_openai_error(response, 503, "queue_timeout")
        self.assertTrue(1 <= int(response.header("Retry-After")) <= 60, response.headers)
        self.assertGreaterEqual(took, 0.29)
        self.assertLessEqual(took, patience(3))
        gate.open()
        self.assertEqual(first.read_response().status, 200)
        self.assertEqual(gate.arrived, ["/v1/first"])
        self.assert_all_quiet(router)

    def test_the_next_free_instance_takes_the_head_of_the_queue(self):
        gates = self.gates(3)
        router = self.start_gated(gates)
        for index in range(3):
            self.ask(router, f"r{index}")
            wait_until(lambda: sum(len(gate.held) for gate in gates) == index + 1, 10, "one more at an instance")
        for name in ("a", "b", "c", "d"):
            self.ask(router, name)
            self.wait_waiting(router, ("a", "b", "c", "d").index(name) + 1)
        for name, which in (("a", 2), ("b", 0), ("c", 2), ("d", 1)):
            gates[which].release()
            wait_until(lambda: gates[which].arrived[-1] == f"/v1/{name}", 10, f"{name} at {which}", 0.002)
        for gate in gates:
            self.assertEqual(gate.most, 1)
            gate.open()
        self.assert_all_quiet(router)

    def test_an_instance_that_is_added_takes_the_head_of_the_queue(self):
        gates = self.gates(2)
        router = self.start_gated(gates[:1])
        connections = self.fill(router, gates[0], 1, 2)
        router.set_static(*gates)
        router.reload()
        gates[1].wait_held(1)
        self.assertEqual(gates[1].arrived, ["/v1/r1"])
        self.assertEqual(gates[0].arrived, ["/v1/r0"])
        for gate in gates:
            gate.open()
        self.assertEqual([connection.read_response().status for connection in connections], [200] * 3)
        self.assert_all_quiet(router)

    def test_who_waits_goes_to_a_free_instance_also_where_another_has_its_prompt(self):
        """prefix_aware without `hold`: the best instance is not waited for."""
        beginning = "the same long beginning of a conversation " * 400
        gates = self.gates(2)
        router = self.start_gated(gates, load_balancing_method="prefix_aware")

        def ask(name, text):
            connection = router.connection(timeout=patience(60))
            self.addCleanup(connection.close)
            body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": text}]}
            connection.send(http_wire.request_bytes("POST", f"/v1/{name}", json=body))
            return connection
        connections = [ask("first", beginning)]
        best = wait_until(lambda: next((gate for gate in gates if gate.held), None), 10, "the first at its instance")
        other = next(gate for gate in gates if gate is not best)
        connections.append(ask("second", "something else"))
        other.wait_held(1)
        connections.append(ask("third", beginning + "and more"))
        self.wait_waiting(router, 1)
        other.release()
        wait_until(lambda: other.arrived[-1] == "/v1/third", 10, "the one that waited, at the free instance")
        for gate in gates:
            gate.open()
        self.assertEqual([connection.read_response().status for connection in connections], [200] * 3)
        self.assert_all_quiet(router)

    def test_who_waits_stays_when_nobody_may_wait_any_more(self):
        (gate,) = self.gates()
        router = self.start_gated([gate])
        connections = self.fill(router, gate, 1, 3)
        router.config["queue_size"] = 0
        router.write_config()
        router.reload()
        self.assert_openai_error(router.chat(), 429, "queue_full")
        self.assertEqual(self.waiting(router), 3)
        for _ in range(3):
            gate.release()
            gate.wait_held(1)
        gate.open()
        self.assertEqual([connection.read_response().status for connection in connections], [200] * 4)
        self.assert_all_quiet(router)

    def test_who_waits_for_a_model_whose_last_instance_goes_is_told_so(self):
        """The one that waits was the last to know the table of before: its group is gone with it, not its name."""
        gates = self.gates(2)
        model = "a-model-with-a-name-that-is-no-short-text"

        def record(gate, served):
            return {"name": gate.name, "host": "127.0.0.1", "port": gate.port, "models": [served]}
        router = self.new_router(config={**CALM, "max_concurrency": 1, "queue_size": 5, "queue_timeout": "60s"})
        router.set_static(record(gates[0], model), record(gates[1], "another"))
        router.start()
        running = self.ask(router, "running", model)
        gates[0].wait_held(1)
        router.set_static(record(gates[0], model), record(gates[1], "other"))  # a new table, for those that come now
        router.reload()
        waiting = self.ask(router, "waiting", model)
        self.wait_waiting(router, 1)
        router.set_static(record(gates[1], "other"))
        router.reload()
        error = self.assert_openai_error(waiting.read_response(), 503, "no_ready_instance")
        self.assertIn(f"model '{model}'", error["message"])
        gates[0].open()
        self.assertEqual(running.read_response().status, 200)
        self.assert_all_quiet(router)

    def test_a_client_that_leaves_the_queue_gives_up_its_place(self):
        (gate,) = self.gates()
        router = self.start_gated([gate])
        connections = self.fill(router, gate, 1, 3)
        connections[2].close()
        self.wait_waiting(router, 2)
        self.assertEqual(router.totals()["clients_gone"], 1)
        for _ in range(2):
            gate.release()
            gate.wait_held(1)
        gate.release()
        for index in (0, 1, 3):
            self.assertEqual(connections[index].read_response().status, 200)
        self.assertEqual(gate.arrived, ["/v1/r0", "/v1/r1", "/v1/r3"])
        self.assert_all_quiet(router)

    def test_a_client_that_leaves_an_instance_frees_its_slot_within_100_ms(self):
        (gate,) = self.gates()
        router = self.start_gated([gate], queue=100)

        def measure():
            connections = self.fill(router, gate, 1, 1)
            before = len(gate.arrived)
            begun = time.monotonic()
            connections[0].close()
            wait_until(lambda: len(gate.arrived) > before, 10, "the one that waited", 0.001)
            took = time.monotonic() - begun
            gate.forget("/v1/r0")
            gate.release()
            self.assertEqual(connections[1].read_response().status, 200)
            self.assert_all_quiet(router)
            return took
        self.assertLessEqual(best_of(5, 0.1, measure), 0.1)

    def test_models_have_queues_of_their_own(self):
        gates = self.gates(2)
        router = self.new_router(config={**CALM, "max_concurrency": 1, "queue_size": 1, "queue_timeout": "60s"})
        router.set_static(*({"name": gate.name, "host": "127.0.0.1", "port": gate.port, "models": [model]}
                            for gate, model in zip(gates, ("red", "blue"))))
        router.start()
        for model, gate in (("red", gates[0]), ("blue", gates[1])):
            self.ask(router, "running", model)
            gate.wait_held(1)
        self.ask(router, "waiting", "red")
        self.wait_waiting(router, 1)
        self.assert_openai_error(router.chat(model="red"), 429, "queue_full")
        blue = self.ask(router, "blue", "blue")
        self.wait_waiting(router, 2)
        gates[1].release()
        wait_until(lambda: gates[1].arrived[-1] == "/v1/blue", 10, "the blue one at its instance")
        self.assertEqual(len(gates[0].arrived), 1)
        gates[1].open()  # also for one that has arrived and is not held yet
        self.assertEqual(blue.read_response().status, 200)
        gates[0].open()
        self.assert_all_quiet(router)

    def test_what_an_instance_states_is_its_limit_only_when_asked_for(self):
        for honour, keys in ((True, {"max_batch_size": 2}), (True, {"max_concurrency": 2, "max_batch_size": 7}),
                             (False, {"max_batch_size": 2})):
            with self.subTest(honour=honour, keys=keys):
                (gate,) = self.gates()
                router = self.new_router(config={**CALM, "honour_stated_concurrency": honour},
                                         name=f"router-{honour}-{len(keys)}")
                router.set_static(gate, metadata=keys)
                router.start()
                self.assertEqual(router.service(gate.name)["max_concurrency"], 2 if honour else 0)
                self.fill(router, gate, 2, 0)
                if honour:
                    self.assert_openai_error(router.chat(), 429, "queue_full")
                else:
                    self.ask(router, "third")
                    gate.wait_held(3)
                gate.open()
                self.assert_all_quiet(router)

    def test_limits_are_reloaded(self):
        (gate,) = self.gates()
        router = self.start_gated([gate], queue=0)
        self.fill(router, gate, 1, 0)
        self.assertEqual(router.chat().status, 429)
        router.config.update(max_concurrency=2, queue_size=1)
        router.write_config()
        router.reload()
        self.ask(router, "second")
        gate.wait_held(2)
        self.ask(router, "third")
        self.wait_waiting(router, 1)
        self.assertEqual(router.chat().status, 429)
        gate.open()
        self.assert_all_quiet(router)

    def test_who_waits_is_told_when_the_only_instance_dies(self):
        (gate,) = self.gates()
        router = self.start_gated([gate])
        connections = self.fill(router, gate, 1, 3)
        gate.close()
        begun = time.monotonic()
        self.assertIn(connections[0].read_response().status, (502, 503))
        for connection in connections[1:]:
            response = connection.read_response()
            self.assert_openai_error(response, 503, "no_ready_instance")
            self.assertIsNotNone(response.header("Retry-After"))
        self.assertLess(time.monotonic() - begun, patience(5))
        self.assert_all_quiet(router)

    def test_who_waits_is_served_while_the_router_drains(self):
        (gate,) = self.gates()
        router = self.start_gated([gate])
        connections = self.fill(router, gate, 1, 2)
        router.signal(15)
        wait_until(lambda: "draining" in router.stderr_text(), 10, "the drain")
        gate.open()
        self.assertEqual([connection.read_response().status for connection in connections], [200] * 3)
        self.assertEqual(router.wait_exit(), 0)

    def test_p12_accepted_requests_are_as_fast_as_without_the_overload(self):
        sims = self.start_sims(2, "--decode-us", "5000", "--max-batch", "100")
        router = self.start_router(sims, config={**CALM, "max_concurrency": 2})

        def run(clients, seconds):
            accepted, refused = [], []
            end = time.monotonic() + seconds

            def client():
                with router.connection() as connection:
                    while time.monotonic() < end:
                        begun = time.monotonic()
                        response = connection.request("POST", CHAT, json=chat(max_tokens=8))
                        took = time.monotonic() - begun
                        (accepted if response.status == 200 else refused).append(took)
                        self.assertIn(response.status, (200, 429))
                        if response.status == 429:
                            time.sleep(0.01)
            threads = [threading.Thread(target=client) for _ in range(clients)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return accepted, refused

        def measure():
            calm, none = run(2, 0.5)
            self.assertEqual(none, [])
            accepted, refused = run(12, 0.6)
            self.assertGreater(len(refused), 0)
            return percentile(accepted, 0.99) / percentile(calm, 0.99)
        # Short and often: one pause of the machine spoils a try, a router that makes them wait spoils all.
        self.assertLessEqual(best_of(10, 2.0, measure), 2.0)
        self.assert_all_quiet(router)


if __name__ == "__main__":
    main()
