#!/usr/bin/env python3
"""Who gets the next request: each method through real requests, and /explain, which says it beforehand."""

import collections
import re
import urllib.parse

from support.case import main
from support.router_process import MODEL, RouterTest
from support.sim_process import CHAT, chat
from support.waiting import wait_until


def nginx_order(weights, count):
    """ngx_http_upstream_get_peer, without failures: each peer gains its weight, the largest (the first of equals) is
    chosen and loses the total."""
    current = dict.fromkeys(weights, 0)
    order = []
    for _ in range(count):
        for name, weight in weights.items():
            current[name] += weight
        best = max(current, key=lambda name: current[name])  # max() takes the first of equals
        current[best] -= sum(weights.values())
        order.append(best)
    return order


class Balancing(RouterTest):
    def balancer(self, sims, *fields, sections=None, name="router", **config):
        """One data thread; `fields`: what each service has besides its address."""
        services = [{"name": sim.name, "host": "127.0.0.1", "port": sim.port, "models": [MODEL], **extra}
                    for sim, extra in zip(sims, fields or [{}] * len(sims))]
        router = self.start_router(services, args=["--threads=1"], config={"slow_start": 0, **config}, name=name,
                                   sections=sections)
        for sim in sims:
            router.wait_state(sim.name, "up")
        return router

    def names(self, router, bodies, headers=()):
        """Who answered each of these requests."""
        with router.connection() as connection:
            answers = [connection.request("POST", CHAT, json={"max_tokens": 1, **body}, headers=headers)
                       for body in bodies]
        for answer in answers:
            self.assertEqual(answer.status, 200, answer)
        return [answer.header("x-sim-name") for answer in answers]

    def counts(self, router, count, **fields):
        return collections.Counter(self.names(router, [chat(**fields)] * count))

    def hold(self, router, count, **fields):
        """Streams that stay open to the end of the test; who has them."""
        streams = [router.stream(max_tokens=100000, **fields) for _ in range(count)]
        for stream in streams:
            self.addCleanup(stream.connection.close)
        return streams, collections.Counter(stream.headers["x-sim-name"] for stream in streams)

    def explain(self, router, **query):
        return router.get("/explain?" + urllib.parse.urlencode({"model": MODEL, **query}))

    # -- round robin ---------------------------------------------------------------------------------------------------
    def test_round_robin_with_weights_is_nginx_order(self):
        sims = self.start_sims(4)
        for number, weights in enumerate(((5, 1, 1, 2), (1, 1, 1, 1), (3, 2, 1, 1), (1, 7, 3, 10))):
            for method in ("round_robin", "weighted"):
                with self.subTest(weights, method=method):
                    router = self.balancer(sims, *[{"weight": weight} for weight in weights],
                                           load_balancing_method=method, name=f"{method}-{number}")
                    wanted = nginx_order({sim.name: weight for sim, weight in zip(sims, weights)}, 3 * sum(weights))
                    self.assertEqual(self.names(router, [chat()] * len(wanted)), wanted)
                    router.stop()

    def test_weights_hold_over_many_threads(self):
        sims = self.start_sims(2)
        router = self.start_router([{"name": sim.name, "host": "127.0.0.1", "port": sim.port, "weight": weight,
                                     "models": [MODEL]} for sim, weight in zip(sims, (3, 1))], args=["--threads=4"])
        counts = collections.Counter(router.chat(max_tokens=1).header("x-sim-name") for _ in range(200))
        self.assertEqual(counts, {"sim-0": 150, "sim-1": 50})

    def test_weight_0_gets_nothing(self):
        sims = self.start_sims(3)
        for method in ("round_robin", "least_connections", "random", "session", "ip_hash"):
            router = self.balancer(sims, {"weight": 0}, {}, {}, load_balancing_method=method, name=method)
            found = set(self.names(router, [chat(prompt_cache_key=str(n)) for n in range(40)]))
            self.assertEqual(found - {"sim-1", "sim-2"}, set(), method)
            router.stop()

    def test_weighted_demands_weights(self):
        router = self.new_router([{"host": "127.0.0.1", "port": 1}], config={"load_balancing_method": "weighted"})
        with self.assertRaisesRegex(RuntimeError, "'service_1' states no weight above 0"):
            router.start()

    def test_random_uses_all_by_weight(self):
        sims = self.start_sims(3)
        router = self.balancer(sims, {"weight": 6}, {"weight": 2}, {"weight": 2}, load_balancing_method="random")
        counts = self.counts(router, 400)
        self.assertTrue(180 < counts["sim-0"] < 300 and min(counts.values()) > 40, counts)
        self.assertNotEqual(self.names(router, [chat()] * 50), nginx_order({"sim-0": 3, "sim-1": 1, "sim-2": 1}, 50))

    # -- least connections ---------------------------------------------------------------------------------------------
    def test_least_connections_divides_by_weight(self):
        sims = self.start_sims(3, "--decode-us=50000", "--max-batch=100", "--num-blocks=0")
        for method in ("least_connections", "least_conn"):
            router = self.balancer(sims, {"weight": 3}, {"weight": 2}, {"weight": 1}, load_balancing_method=method,
                                   name=method)
            streams, counts = self.hold(router, 12)
            self.assertEqual(counts, {"sim-0": 6, "sim-1": 4, "sim-2": 2})
            for stream in streams:
                if stream.headers["x-sim-name"] == "sim-1":
                    stream.connection.close()
            wait_until(lambda router=router: router.service("sim-1")["in_flight"] == 0, 10)
            self.assertEqual(self.hold(router, 4)[1], {"sim-1": 4})

    def test_round_robin_does_not_look_at_connections(self):
        sims = self.start_sims(2, "--decode-us=50000", "--max-batch=100")
        router = self.balancer(sims)
        self.hold(router, 1)
        self.assertEqual(self.counts(router, 10), {"sim-0": 5, "sim-1": 5})

    # -- ip_hash -------------------------------------------------------------------------------------------------------
    def test_ip_hash_believes_only_trusted_proxies(self):
        sims = self.start_sims(4)
        clients = [f"10.1.{n}.{n * 7 % 250}" for n in range(30)]

        def homes(router, form="{}"):
            return [self.names(router, [chat()], [("X-Forwarded-For", form.format(client))])[0] for client in clients]
        plain = self.balancer(sims, load_balancing_method="ip_hash", name="plain")
        self.assertEqual(len(set(homes(plain))), 1, "an unknown client chose its place by a field of its own")
        router = self.balancer(sims, load_balancing_method="ip_hash", name="trusting",
                               trusted_proxies=["127.0.0.0/8", "192.168.0.0/16"])
        found = homes(router)
        self.assertEqual(homes(router), found)
        self.assertGreaterEqual(len(set(found)), 3)
        self.assertEqual(homes(router, "9.9.9.9, {}"), found, "what stands before the client was made up by it")
        self.assertEqual(homes(router, "{}, 192.168.3.4"), found, "a chain of trusted proxies")
        two_fields = [self.names(router, [chat()], [("X-Forwarded-For", "9.9.9.9"), ("x-forwarded-for", client)])[0]
                      for client in clients]
        self.assertEqual(two_fields, found, "a proxy that adds a field of its own instead of a word")
        self.assertEqual([self.explain(router, client=client)["upstream"] for client in clients], found)

    # -- session -------------------------------------------------------------------------------------------------------
    def test_session_key_is_prompt_cache_key_then_user_then_header(self):
        sims = self.start_sims(5)
        router = self.balancer(sims, load_balancing_method="session", session_header="X-Conversation")
        for n in range(25):
            home = self.explain(router, key=f"key {n}")["upstream"]
            mine, other, header = f"key {n}", f"other {n}", [("X-Conversation", f"key {n}")]
            self.assertEqual(self.names(router, [chat(prompt_cache_key=mine, user=other), chat(user=mine),
                                                 chat("x" * 100_000, prompt_cache_key=mine, stream=False)]), [home] * 3)
            self.assertEqual(self.names(router, [chat()], header), [home])
            away = self.explain(router, key=other)["upstream"]
            self.assertEqual(self.names(router, [chat(user=other), chat(prompt_cache_key=other, user=mine)], header),
                             [away] * 2)

    def test_requests_without_a_session_go_to_the_least_loaded(self):
        sims = self.start_sims(3, "--decode-us=50000", "--max-batch=100", "--num-blocks=0")
        router = self.balancer(sims, load_balancing_method="session")
        self.assertEqual(self.hold(router, 9)[1], {"sim-0": 3, "sim-1": 3, "sim-2": 3})

    def test_p13_a_member_less_moves_its_own_keys_and_no_other(self):
        sims = self.start_sims(2)
        names = [f"member-{n}" for n in range(8)]

        def services(members):
            return [{"name": name, "host": "127.0.0.1", "port": sims[0].port, "models": [MODEL]} for name in members]
        router = self.start_router(services(names), args=["--threads=1"], config={"load_balancing_method": "session"})
        keys = [f"key-{n}" for n in range(400)]

        def homes():
            with router.connection() as connection:
                answers = [connection.request("GET", f"/explain?model={MODEL}&key={key}") for key in keys]
            return [answer.json()["upstream"] for answer in answers]
        before = homes()
        shares = collections.Counter(before)
        self.assertEqual(set(shares), set(names))
        self.assertLess(max(shares.values()), 2 * 400 / 8)
        router.set_static(*services(names[1:]))
        router.reload()
        wait_until(lambda: len(router.services()) == 7, 10)
        after = homes()
        self.assertEqual([was for was, now in zip(before, after) if was != now], ["member-0"] * shares["member-0"])
        router.set_static(*services([*names, "member-8"]))
        router.reload()
        wait_until(lambda: len(router.services()) == 9, 10)
        moved = {now for was, now in zip(before, homes()) if was != now}
        self.assertEqual(moved, {"member-8"}, "a new member takes keys and moves no others")

    def test_a_session_leaves_its_home_only_while_that_is_overloaded_or_out(self):
        sims = self.start_sims(4, "--decode-us=50000", "--max-batch=100", "--num-blocks=0")
        router = self.balancer(sims, load_balancing_method="session", recovery_interval="50ms", refused_first="50ms")
        home = self.explain(router, key="hot")["upstream"]
        self.assertEqual(self.explain(router, key="hot")["reason"], "affinity")
        streams, counts = self.hold(router, 20, prompt_cache_key="hot")
        self.assertEqual(counts.most_common(1)[0][0], home)
        # bound 1.25: at the n-th of them the home has at most ceil(1.25 * n / 4)
        self.assertLessEqual(counts[home], 7)
        self.assertEqual(self.explain(router, key="hot")["reason"], "affinity_overflow")
        for stream in streams:
            stream.connection.close()
        router.wait_idle()
        self.assertEqual(self.explain(router, key="hot")["upstream"], home)
        victim = next(sim for sim in sims if sim.name == home)
        victim.kill()
        second, = set(self.names(router, [chat(prompt_cache_key="hot")] * 5))
        self.assertNotEqual(second, home)
        victim.come_back()
        router.wait_state(home, "up")
        wait_until(lambda: self.names(router, [chat(prompt_cache_key="hot")]) == [home], 10, "the way home")

    # -- size, models, backups -----------------------------------------------------------------------------------------
    def test_cache_type_by_the_bytes_of_message_text(self):
        sims = self.start_sims(4)
        kinds = [{"metadata": {"cache_type": kind}} for kind in ("paged", "static", "paged", "static")]
        router = self.balancer(sims, *kinds, cache_type_routing_threshold=1000)
        paged, static = {"sim-0", "sim-2"}, {"sim-1", "sim-3"}
        parts = [{"type": "text", "text": "x" * 600}, {"type": "text", "text": "y" * 401}]
        cases = [(chat("x" * 1000), paged), (chat("x" * 1001), static), (chat("é" * 500), paged),
                 (chat("é" * 501), static), (chat("x", metadata={"long": "z" * 5000}), paged), (chat(parts), static),
                 (chat() | {"messages": chat("a" * 600)["messages"] + chat("b" * 600)["messages"]}, static)]
        for number, (body, wanted) in enumerate(cases):
            self.assertEqual(set(self.names(router, [body] * 4)), wanted, number)
        for prompt, wanted in (("x" * 1001, static), (["x" * 500, "y" * 501], static), ("x" * 1000, paged)):
            answer = router.call("POST", "/v1/completions", json={"model": MODEL, "prompt": prompt})
            self.assertIn(answer.header("x-sim-name"), wanted)
        for sim in sims[1::2]:
            sim.kill()
        for name in ("sim-1", "sim-3"):
            wait_until(lambda name=name: router.chat("x" * 2000).status == 200 and router.state(name) == "down", 20)
        self.assertEqual(set(self.names(router, [chat("x" * 2000)] * 4)), paged, "a preference, not a condition")

    def test_models_have_methods_of_their_own_and_aliases(self):
        sims = self.start_sims(4)
        models = [{"models": ["one"]}, {"models": ["one", "two"]}, {"models": ["two"]}, {"models": ["three"]}]
        router = self.balancer(sims, *models, sections={"models": {"one": {"load_balancing_method": "session"}}},
                               model_aliases={"gpt-4o": "alias", "alias": "one", "3": "three"})
        self.assertEqual(len(set(self.names(router, [chat(model="one", user="u")] * 6))), 1)
        self.assertEqual(self.names(router, [chat(model="two", user="u")] * 4), ["sim-1", "sim-2"] * 2)
        self.assertEqual([self.explain(router, model=model)["method"] for model in ("one", "two", "gpt-4o")],
                         ["session", "round_robin", "session"])
        home = self.names(router, [chat(model="one", user="u")])
        self.assertEqual(self.names(router, [chat(model="gpt-4o", user="u"), chat(model="alias", user="u")]), home * 2)
        self.assertEqual(self.names(router, [chat(model="3")] * 3), ["sim-3"] * 3)
        listed = {entry["id"]: entry for entry in router.get("/v1/models")["data"]}
        self.assertEqual(sorted(listed), ["3", "alias", "gpt-4o", "one", "three", "two"])
        self.assertEqual((listed["gpt-4o"]["root"], router.get("/v1/models/3")["root"]), ("one", "three"))

    def test_a_backup_works_only_while_no_primary_is_usable(self):
        sims = self.start_sims(4)
        router = self.balancer(sims, {}, {"backup": True}, {}, {"metadata": {"backup": True}}, refused_first="50ms",
                               recovery_interval="50ms")
        self.assertEqual(self.counts(router, 20), {"sim-0": 10, "sim-2": 10})
        sims[0].kill()
        self.assertEqual(self.counts(router, 10), {"sim-2": 10})
        sims[2].kill()
        self.assertEqual(set(self.counts(router, 10)), {"sim-1", "sim-3"})
        self.assertGreater(router.totals()["backup_picks"], 0)
        wait_until(lambda: self.explain(router)["reason"] == "backup", 10)
        sims[2].come_back()
        router.wait_state("sim-2", "up")
        wait_until(lambda: self.counts(router, 5) == {"sim-2": 5}, 10, "the primary's work back at the primary")

    # -- /explain ------------------------------------------------------------------------------------------------------
    def test_explain_says_who_gets_the_next_request_and_takes_no_turn(self):
        sims = self.start_sims(3)
        router = self.balancer(sims, {"weight": 5}, {"weight": 1}, {"weight": 1})
        before = [sim.stats()["generations"] for sim in sims]
        said, got = [], []
        for _ in range(14):
            said.append({self.explain(router)["upstream"] for _ in range(3)})
            got += self.names(router, [chat()])
        self.assertEqual(said, [{name} for name in got])
        self.assertEqual(sum(sim.stats()["generations"] for sim in sims), sum(before) + 14)
        body = self.explain(router, text_bytes=7, client="10.0.0.1", key="k")
        self.assertEqual([body[key] for key in ("model", "served_as", "method", "reason", "panic", "client", "key",
                                                "text_bytes")],
                         [MODEL, MODEL, "round_robin", "policy", False, "10.0.0.1", "k", 7])
        self.assertEqual([(item["name"], item["state"], item["usable"], item["weight"], item["in_flight"])
                          for item in body["candidates"]],
                         [("sim-0", "up", True, 5, 0), ("sim-1", "up", True, 1, 0), ("sim-2", "up", True, 1, 0)])
        unknown = self.explain(router, model="nobody")
        self.assertEqual([unknown["upstream"], unknown["candidates"], unknown["reason"]],
                         [None, [], "no instance serves the model"])
        self.assertEqual(router.call("GET", "/explain?text_bytes=x").status, 400)

    def test_answers_that_refuse_teach_no_speed(self):
        router = self.balancer(self.start_sims(1), load_balancing_method="prefix_aware")

        def rate():
            return re.search(r"prefix_upstream_prefill_rate\{.*\} (.*)", router.call("GET", "/metrics").text)[1]
        before = rate()
        for number in range(5):
            asked = {"model": MODEL, "stream": True, "prompt": f"{number} is a number. " * 2000}
            self.assertEqual(router.call("POST", "/v1/unknown", json=asked).status, 404)
        self.assertEqual(rate(), before)


if __name__ == "__main__":
    main()
