#!/usr/bin/env python3
"""prefix_aware and hold: a conversation stays at its cache, work goes where it is done soonest, and who waits waits in order."""

import hashlib
import json
import threading
import urllib.parse

from support import http_wire
from support.case import main
from support.router_process import MODEL, RouterTest
from support.sim_process import CHAT, chat
from support.waiting import wait_until

KEYS = {"team-a": "sk-team-a-0123456789", "team-b": "sk-team-b-0123456789", "batch": "sk-batch-0123456789"}


def text(number, size):
    """Prose of that many bytes, another for each number."""
    words = []
    state = number * 7919 + 1
    for _ in range(size // 6 + 1):
        state = (state * 48271) % 2147483647
        words.append("".join(chr(97 + (state >> shift) % 26) for shift in (3, 7, 11, 15, 19)))
    return " ".join(words)[:size]


class Prefix(RouterTest):
    def balancer(self, sims, args=(), sections=None, fields=None, **config):
        services = [{"name": sim.name, "host": "127.0.0.1", "port": sim.port, "models": [MODEL], **(fields or {})}
                    for sim in sims]
        router = self.start_router(services, args=args, sections=sections,
                                   config={"slow_start": 0, "load_balancing_method": "prefix_aware", **config})
        for sim in sims:
            router.wait_state(sim.name, "up")
        return router

    def who(self, router, messages, **fields):
        answer = router.call("POST", CHAT, json={"model": MODEL, "messages": messages, "max_tokens": 4, **fields})
        self.assertEqual(answer.status, 200, answer)
        return answer

    def metric(self, router, name):
        values = [float(line.rsplit(" ", 1)[1]) for line in router.call("GET", "/metrics").text.splitlines()
                  if line.startswith(name + " ") or line.startswith(name + "{")]
        self.assertTrue(values, name)
        return sum(values)

    # -- affinity ------------------------------------------------------------------------------------------------------
    def test_a_conversation_stays_where_its_cache_is(self):
        sims = self.start_sims(4)
        router = self.balancer(sims)
        talks = []
        for number in range(8):
            messages = [{"role": "system", "content": text(number, 3000)}, {"role": "user", "content": text(100, 300)}]
            answer = self.who(router, messages)
            talks.append((messages, answer.header("x-sim-name"), answer.json()))
        for messages, home, first in talks:
            said = first["choices"][0]["message"]
            turn = messages + [said, {"role": "user", "content": "go on"}]
            answer = self.who(router, turn, stream=True)
            self.assertEqual(answer.header("x-sim-name"), home)
        self.assertGreater(self.metric(router, "infinilm_router_prefix_matched_tokens_total"), 8 * 700)
        self.assertAlmostEqual(self.metric(router, "infinilm_router_prefix_upstream_index_bytes"),
                               self.metric(router, "infinilm_router_prefix_index_bytes"), delta=1)
        router.wait_idle()
        self.assertEqual(self.metric(router, "infinilm_router_prefix_upstream_decoding"), 0)
        self.assertEqual(self.metric(router, "infinilm_router_prefix_upstream_queued_tokens"), 0)

    def test_work_goes_elsewhere_when_the_home_has_more_to_do_than_the_cache_saves(self):
        sims = self.start_sims(2)
        router = self.balancer(sims, hung_timeout=0, health_interval=0)
        messages = [{"role": "user", "content": text(1, 8000)}]
        home = self.who(router, messages).header("x-sim-name")
        query = "/explain?" + urllib.parse.urlencode({"model": MODEL, "prompt": messages[0]["content"]})
        said = router.get(query)
        self.assertEqual((said["upstream"], said["reason"]), (home, "prefix"))
        for sim in sims:
            sim.pause()
        threads = [threading.Thread(target=router.chat, args=(text(number, 60_000),),
                                    kwargs={"stream": True, "max_tokens": 1}) for number in range(2, 7)]
        for number, thread in enumerate(threads):
            thread.start()
            wait_until(lambda n=number: sum(s["in_flight"] for s in router.services().values()) == n + 1, 20,
                       "a long prompt is on its way")
        said = router.get(query)
        candidates = {c["name"]: c for c in said["candidates"]}
        away = next(name for name in candidates if name != home)
        self.assertEqual(sorted(s["in_flight"] for s in router.services().values()), [2, 3])
        self.assertEqual(candidates[away]["matched_tokens"], 0)
        self.assertGreater(candidates[home]["matched_tokens"], 1700)
        # Three long prompts ahead cost more than 8,000 bytes that would have to be computed anew; two are less.
        least = min(candidates, key=lambda name: candidates[name]["score"])
        self.assertEqual(said["upstream"], least)
        busier = max(router.services(), key=lambda name: router.service(name)["in_flight"])
        self.assertNotEqual(least, busier)
        for sim in sims:
            sim.resume()
        for thread in threads:
            thread.join()
        router.wait_idle()

    def test_an_instance_that_was_restarted_has_an_empty_cache(self):
        registry = self.start_registry()
        sims = self.start_sims(2)

        def register(sim, started):
            answer = registry.call("POST", "/services", json={
                "name": sim.name, "host": "127.0.0.1", "port": sim.port, "hostname": "here", "status": "running",
                "url": f"http://127.0.0.1:{sim.port}", "metadata": {"type": "openai-api", "models": [MODEL],
                                                                    "started_at": started}})
            self.assertEqual(answer.status, 201, answer)
        for sim in sims:
            register(sim, "2026-01-01T00:00:00Z")
        router = self.start_router(registry=registry, config={"load_balancing_method": "prefix_aware",
                                                              "slow_start": 0})
        for sim in sims:
            wait_until(lambda s=sim: router.services().get(s.name, {}).get("state") == "up", 20, sim.name)
        messages = [{"role": "user", "content": text(1, 4000)}]
        home = self.who(router, messages).header("x-sim-name")
        query = "/explain?" + urllib.parse.urlencode({"model": MODEL, "prompt": messages[0]["content"]})

        def matched():
            return {c["name"]: c["matched_tokens"] for c in router.get(query)["candidates"]}[home]
        self.assertGreater(matched(), 800)
        sim = next(sim for sim in sims if sim.name == home)
        sim.restart()
        register(sim, "2026-01-02T00:00:00Z")
        wait_until(lambda: matched() == 0, 20, "the new incarnation is known")

    def test_a_prompt_that_was_refused_or_never_answered_is_in_no_cache(self):
        sims = self.start_sims(1)
        router = self.balancer(sims, fields={"max_fails": 0}, hung_timeout=0, health_interval=0)
        messages = [{"role": "user", "content": text(1, 6000)}]
        query = "/explain?" + urllib.parse.urlencode({"model": MODEL, "prompt": messages[0]["content"]})

        def matched():
            return router.get(query)["candidates"][0]["matched_tokens"]
        for status in (404, 429, 500):
            sims[0].fault("status", status=status, count=1)
            answer = router.call("POST", CHAT, json={"model": MODEL, "messages": messages})
            self.assertEqual(answer.status, status)
            self.assertEqual(matched(), 0, status)
        sims[0].fault("reset")  # over a kept connection it is sent twice
        self.assertEqual(router.call("POST", CHAT, json={"model": MODEL, "messages": messages}).status, 502)
        sims[0].no_faults()
        self.assertEqual(matched(), 0)
        self.assertEqual(self.metric(router, "infinilm_router_prefix_index_entries"), 0)
        self.who(router, messages)
        self.assertGreater(matched(), 1300)

    def test_prompt_cache_key_gives_affinity_where_the_text_gives_none(self):
        sims = self.start_sims(4)
        router = self.balancer(sims)
        homes = {}
        for round_number in range(3):
            for key in ("alice", "bob", "carol"):
                prompt = [{"role": "user", "content": text(1000 * round_number + len(key), 1200)}]
                name = self.who(router, prompt, prompt_cache_key=key).header("x-sim-name")
                self.assertEqual(homes.setdefault(key, name), name, key)

    # -- what it says --------------------------------------------------------------------------------------------------
    def test_explain_tells_of_a_request_that_was_sent(self):
        sims = self.start_sims(2)
        router = self.balancer(sims, args=["--access-log=json", "--access-log-prefixes"])
        messages = [{"role": "user", "content": text(5, 9000)}]
        self.who(router, messages)
        stream = router.stream(messages[0]["content"], max_tokens=3,
                               headers=[("X-Request-Id", "ask-1"), ("X-Priority", "batch")])
        self.assertEqual(stream.events()[-1], "[DONE]")
        stream.connection.close()
        said = router.get("/explain?request_id=ask-1")
        self.assertEqual(said["upstream"], stream.headers["x-sim-name"])
        self.assertEqual({c["name"] for c in said["candidates"]}, {"sim-0", "sim-1"})
        best = min(said["candidates"], key=lambda c: c["score"])
        self.assertEqual(best["name"], said["upstream"])
        self.assertGreater(best["matched_tokens"], 2000)
        self.assertGreaterEqual(said["first_byte_seconds"], 0)
        self.assertEqual(router.call("GET", "/explain?request_id=nobody").status, 404)

        def line():
            lines = [json.loads(text) for text in router.log_path.read_text().splitlines() if '"ask-1"' in text]
            assert lines, "no line yet"
            return lines[0]
        logged = wait_until(line, 20, "the line of the access log")
        self.assertEqual(logged["priority"], "batch")
        self.assertGreater(logged["matched_tokens"], 2000)
        self.assertEqual(logged["candidates"], 2)
        self.assertEqual(len(logged["prefix"].split(".")), 9000 // 2048)
        self.assertIn("predicted_ttft_ms", logged)

    def test_explain_knows_texts_of_models_that_nobody_states_and_of_aliases(self):
        sims = self.start_sims(1)
        router = self.balancer(sims, fields={"models": []}, learn_models=False, model_aliases={"short": MODEL})
        prompt = text(1, 4000)
        self.who(router, [{"role": "user", "content": prompt}])
        for model in (MODEL, "short"):
            said = router.get("/explain?" + urllib.parse.urlencode({"model": model, "prompt": prompt}))
            self.assertGreater(said["candidates"][0]["matched_tokens"], 800, model)

    def test_explain_tells_of_the_attempt_that_was_answered(self):
        sims = self.start_sims(2)
        router = self.balancer(sims, fields={"max_fails": 0}, hung_timeout=0, health_interval=0)
        home = router.chat(text(1, 6000)).header("x-sim-name")
        next(sim for sim in sims if sim.name == home).fault("status", status=503)
        answer = router.chat(text(1, 6000), headers=[("X-Request-Id", "moved")])
        self.assertEqual(answer.status, 200)
        self.assertNotEqual(answer.header("x-sim-name"), home)
        router.wait_idle()
        said = router.get("/explain?request_id=moved")
        self.assertEqual(said["upstream"], answer.header("x-sim-name"))
        self.assertIsNotNone(said["first_byte_seconds"])

    def test_nothing_of_a_refused_prompt_is_in_the_next_request(self):
        keys = [{"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest(), **fields}
                for (name, key), fields in zip(KEYS.items(), ({}, {"models": ["other"]}))]
        path = self.folder / "keys.json"
        path.write_text(json.dumps({"keys": keys}))
        router = self.balancer(self.start_sims(1), threads=1, api_keys_file=str(path), access_log="json",
                               access_log_prefixes=True)
        prompts = {"tools": [{"description": text(1, 3_000_000)}], "messages": [{"role": "user", "content": text(2, 9000)}]}
        refused = (("nobody", "team-a", 404), ("n" * 600, "team-a", 404), (MODEL, "team-b", 403))
        for number, (model, key, status) in enumerate(refused):
            def ask(method, target, of, **more):
                return router.call(method, target, headers=[("Authorization", "Bearer " + KEYS[of]),
                                                            ("X-Request-Id", f"ask-{method}-{number}")], **more)
            self.assertEqual(ask("POST", CHAT, key, json={"model": model, **prompts}).status, status)
            ask("GET", "/docs", "team-a")
            ask("PUT", "/docs", "team-a", body=b"[]")

        def lines():
            found = [json.loads(line) for line in router.log_text().splitlines() if '"request_id":"ask-' in line]
            assert len(found) == 9, len(found)
            return found
        for line in wait_until(lines, 20, "the lines of the access log"):
            self.assertNotIn("prefix", line)
            self.assertEqual(line.get("matched_tokens", 0), 0)
        self.assertEqual(self.metric(router, "infinilm_router_prefix_index_entries"), 0)

    # -- holding -------------------------------------------------------------------------------------------------------
    def order_of(self, router, sim, requests, headers=()):
        """The order in which the engine gets them: (name, body, headers) each, sent while it is busy with another."""
        def ask(name, body, fields):
            self.assertEqual(router.chat(headers=[*fields, ("X-Name", name)], stream=True, **body).status, 200)

        sim.pause()
        threads = [threading.Thread(target=ask, args=("first", {"content": text(999, 60_000), "max_tokens": 1}, headers))]
        threads[0].start()
        wait_until(lambda: router.service(sim.name)["in_flight"] == 1, 20, "the engine is busy")
        for number, (name, body, fields) in enumerate(requests):
            threads.append(threading.Thread(target=ask, args=(name, body, fields)))
            threads[-1].start()
            wait_until(lambda n=number: self.metric(router, "infinilm_router_queue_length") == n + 1, 20, f"{name} waits")
        sim.resume()
        for thread in threads:
            thread.join()
        order = [line.split(b": ")[1].decode() for request in sim.requests()
                 for line in request["head"].split(b"\r\n") if line.lower().startswith(b"x-name:")]
        self.assertEqual(order[0], "first")
        return order[1:]

    def test_held_requests_go_shortest_first(self):
        sims = self.start_sims(1, "--prefill-us-per-token=10")
        router = self.balancer(sims, hold=True, aging=0, hung_timeout=0, health_interval=0)
        order = self.order_of(router, sims[0], [
            ("long", {"content": text(1, 80_000), "max_tokens": 1}, ()),
            ("middle", {"content": text(2, 60_000), "max_tokens": 1}, ()),
            ("short", {"content": text(3, 40_000), "max_tokens": 1}, ())])
        self.assertEqual(order, ["short", "middle", "long"])
        router.wait_idle()
        self.assertEqual(self.metric(router, "infinilm_router_queue_length"), 0)
        self.assertEqual(self.metric(router, "infinilm_router_held_requests"), 0)
        self.assertEqual(self.metric(router, "infinilm_router_hold_seconds_count"), 3)
        self.assertEqual(self.metric(router, "infinilm_router_queue_seconds_count"), 3)
        self.assertGreater(self.metric(router, "infinilm_router_hold_seconds_sum"), 0)

    def test_a_slow_answer_counts_in_the_ratio_however_many_came_meanwhile(self):
        sims = self.start_sims(2)
        router = self.balancer(sims, hung_timeout=0, health_interval=0)
        slow = router.connection()
        self.addCleanup(slow.close)
        for sim in sims:
            sim.pause()
        slow.send(http_wire.request_bytes("POST", CHAT, json=chat(text(1, 60_000), stream=True, max_tokens=1)))
        name = wait_until(lambda: next((n for n, s in router.services().items() if s["in_flight"]), None), 20, "its way")
        next(sim for sim in sims if sim.name != name).resume()
        for number in range(300):
            self.assertNotEqual(router.chat(text(number, 40), max_tokens=1).header("x-sim-name"), name)
        ratio = "infinilm_router_prefix_ttft_ratio_count"
        self.assertEqual(self.metric(router, ratio), 0)
        next(sim for sim in sims if sim.name == name).resume()
        self.assertEqual(slow.read_response().status, 200)
        router.wait_idle()
        self.assertEqual(self.metric(router, ratio), 1)

    def test_a_held_request_whose_client_leaves_is_gone_at_once(self):
        sims = self.start_sims(1)
        router = self.balancer(sims, hold=True, hung_timeout=0, health_interval=0)
        sims[0].pause()
        busy = router.connection()
        waiting = router.connection()
        for connection, number in ((busy, 1), (waiting, 2)):
            body = json.dumps(chat(text(number, 60_000), stream=True, max_tokens=1)).encode()
            connection.send(b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: "
                            + str(len(body)).encode() + b"\r\n\r\n" + body)
            if number == 1:
                wait_until(lambda: router.service("sim-0")["in_flight"] == 1, 20, "the engine is busy")
        wait_until(lambda: self.metric(router, "infinilm_router_queue_length") == 1, 20, "one is held")
        self.assertEqual(self.metric(router, "infinilm_router_held_requests"), 1)
        waiting.close()
        wait_until(lambda: self.metric(router, "infinilm_router_queue_length") == 0, 20, "it is gone")
        busy.close()
        sims[0].resume()
        router.wait_idle()

    def test_requests_that_do_not_stream_are_let_go_by_time(self):
        sims = self.start_sims(1, "--prefill-us-per-token=20", "--decode-us=1000")
        router = self.balancer(sims, hold=True)
        answers = []
        threads = [threading.Thread(target=lambda n=number: answers.append(router.chat(text(n, 40_000), max_tokens=2)))
                   for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([answer.status for answer in answers], [200] * 4)
        router.wait_idle()

    # -- classes and keys ----------------------------------------------------------------------------------------------
    def keys_file(self):
        path = self.folder / "keys.json"
        keys = [{"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest(),
                 "priority": "batch" if name == "batch" else "default"} for name, key in KEYS.items()]
        path.write_text(json.dumps({"keys": keys}))
        return path

    def busy_router(self, **config):
        sims = self.start_sims(1)
        router = self.balancer(sims, load_balancing_method="round_robin", max_concurrency=1, queue_size=100,
                               hung_timeout=0, health_interval=0, **config)
        return router, sims[0]

    def test_priorities_are_served_in_order(self):
        router, sim = self.busy_router()
        body = {"content": "hi", "max_tokens": 1}
        order = self.order_of(router, sim, [("batch", body, [("X-Priority", "batch")]), ("default", body, ()),
                                            ("interactive", body, [("X-Priority", "interactive")])])
        self.assertEqual(order, ["interactive", "default", "batch"])

    def test_a_flood_of_one_key_is_its_own_wait(self):
        router, sim = self.busy_router(api_keys_file=str(self.keys_file()))
        body = {"content": "hi", "max_tokens": 1}

        def of(name, *more):
            return [("Authorization", "Bearer " + KEYS[name]), *more]
        # A key's class is the best that its requests may have: the batch key asks for more in vain.
        requests = [("batch", body, of("batch", ("X-Priority", "interactive")))]
        requests += [(f"a{number}", body, of("team-a")) for number in range(4)] + [("b", body, of("team-b"))]
        order = self.order_of(router, sim, requests, headers=of("team-a"))
        self.assertLess(order.index("b"), 2, order)
        self.assertEqual(order[-1], "batch", order)

    # -- engines that make no progress ---------------------------------------------------------------------------------
    def test_an_instance_whose_answers_stop_is_taken_out_and_reported(self):
        registry = self.start_registry()
        sims = self.start_sims(2, "--decode-us=2000")
        for sim in sims:
            registry.call("POST", "/services", json={
                "name": sim.name, "host": "127.0.0.1", "port": sim.port, "hostname": "here", "status": "running",
                "url": f"http://127.0.0.1:{sim.port}", "metadata": {"type": "openai-api", "models": [MODEL]}})
        router = self.start_router(registry=registry, config={"load_balancing_method": "prefix_aware",
                                                              "slow_start": 0})
        for sim in sims:
            wait_until(lambda s=sim: router.services().get(s.name, {}).get("state") == "up", 20, sim.name)
        for number in range(6):
            stream = router.stream(text(number, 6000), max_tokens=20)
            stream.events()
        victim = router.stream(text(50, 6000), max_tokens=100_000)
        name = victim.headers["x-sim-name"]
        self.addCleanup(victim.connection.close)
        for _ in range(20):
            victim.chunk()
        sim = next(sim for sim in sims if sim.name == name)
        sim.fault("step_failure")
        sim.fault("status", status=200, on="health")  # it calls itself healthy
        wait_until(lambda: "makes no progress" in router.stderr_text(), 60, "the router's word on it")
        wait_until(lambda: registry.get(f"/services/{name}")["status"] == "unhealthy", 20, "the report")
        for number in range(4):
            self.assertNotEqual(router.chat(text(60 + number, 600), max_tokens=1).header("x-sim-name"), name)


if __name__ == "__main__":
    main()
