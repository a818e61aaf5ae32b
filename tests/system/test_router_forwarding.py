#!/usr/bin/env python3
"""What the router adds for the instances and what it takes away: loops, Via, addresses of clients, request ids."""

from support import http_wire
from support.case import main
from support.raw_upstream import answer_bytes, raw_router, raw_upstream
from support.router_process import MODEL, RouterTest, free_port
from support.waiting import let_time_pass, wait_until

CALM = {"health_interval": "24h", "hung_timeout": 0, "learn_models": False, "threads": 1}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Loops(RouterTest):
    def loop_of_two(self, **config):
        """first -> second -> first; returns both."""
        first = self.start_router(config={**CALM, **config}, name="first")
        second = self.start_router([{"name": "first", "host": "127.0.0.1", "port": first.port}], config=CALM,
                                   name="second")
        first.set_static({"name": "second", "host": "127.0.0.1", "port": second.port})
        first.reload()
        wait_until(lambda: first.services() and second.services(), 10, "the loop")
        return first, second

    def test_cve_2020_15114_a_loop_through_two_routers_ends_with_508_at_the_first_hop_back(self):
        first, second = self.loop_of_two()
        for index in range(3):
            self.assert_openai_error(first.chat(), 508, "loop_detected")
            self.assertEqual((first.totals()["attempts"], second.totals()["attempts"]), (index + 1, index + 1))
            self.assertEqual(first.totals()["refusals"], {"loop_detected": index + 1})
        for router in (first, second):
            router.wait_idle()
            self.assertEqual(router.service(list(router.services())[0])["error_count"], 0, "a loop is nobody's failure")

    def test_the_routers_own_addresses_are_refused_as_instances(self):
        router = self.start_router(config={**CALM, "host": "0.0.0.0"})
        hosts = ("127.0.0.1", "127.0.0.2", "localhost", "::1", "0.0.0.0", "::ffff:127.0.0.1")
        router.set_static(*({"name": f"own-{index}", "host": host, "port": router.port, "models": [MODEL]}
                            for index, host in enumerate(hosts)))
        router.reload()
        before = router.totals()["connections_accepted"]
        response = router.chat()
        self.assert_openai_error(response, 503, "no_ready_instance")
        self.assertIsNotNone(response.header("Retry-After"))
        totals = router.totals()
        self.assertEqual(totals["upstream_connects"], 0)
        self.assertLessEqual(totals["connections_accepted"] - before, 2, "the router spoke to itself")

    def test_a_registered_address_of_the_router_is_refused_too(self):
        registry = self.start_registry()
        port = free_port()
        registry.register("own", port=port, metadata={"type": "openai-api", "models": [MODEL]})
        router = self.start_router(registry=registry, config={**CALM, "port": port})
        wait_until(lambda: "own" in router.services(), 10, "the service")
        self.assert_openai_error(router.chat(), 503, "no_ready_instance")
        self.assertEqual(router.totals()["upstream_connects"], 0)

    def test_link_local_and_unlisted_addresses_get_nothing(self):
        upstream = raw_upstream(self)
        bad = [{"name": "metadata", "host": "169.254.169.254", "port": 80, "models": [MODEL]},
               {"name": "multicast", "host": "224.0.0.1", "port": 80, "models": [MODEL]},
               {"name": "none", "host": "0.0.0.0", "port": upstream.port, "models": [MODEL]}]
        router = self.start_router(bad, config=CALM, name="bad")
        self.assert_openai_error(router.chat(), 503, "no_ready_instance")
        self.assertEqual(router.totals()["upstream_connects"], 0)
        listed = self.start_router([upstream], config={**CALM, "allow_networks": ["10.0.0.0/8"]}, name="listed")
        self.assert_openai_error(listed.chat(), 503, "no_ready_instance")
        self.assertEqual((upstream.received(), upstream.probes), (0, 0))

    def test_via_grows_by_the_routers_name(self):
        upstream = raw_upstream(self)
        router = raw_router(self, [upstream])
        router.call("GET", "/v1/a")
        name = upstream.requests[-1].value(b"via").decode()
        self.assertRegex(name, r"^1\.1 infinilm-router-[0-9a-f]{12}$")
        router.call("GET", "/v1/b", headers=[("Via", "1.0 fred, 1.1 p.example.net"), ("via", "2 last")])
        joined = f"1.0 fred, 1.1 p.example.net, 2 last, {name}"
        self.assertEqual(upstream.requests[-1].values(b"via"), [joined.encode()])
        with router.connection() as connection:
            connection.send(b"GET /v1/c HTTP/1.0\r\n\r\n")
            self.assertEqual(connection.read_response().status, 200)
        self.assertEqual(upstream.requests[-1].value(b"via").decode(), name.replace("1.1 ", "1.0 "))
        for via in (name, name.upper(), f"1.1 x, {name} (comment), 1.1 y", f"HTTP/1.1\t{name[4:]}"):
            self.assert_openai_error(router.call("GET", "/v1/d", headers=[("Via", via)]), 508, "loop_detected")
            self.assertEqual(router.call("GET", "/v1/d", headers=[("Via", "1.1 x"), ("Via", via)]).status, 508)
        self.assertEqual(len(upstream.requests), 3)


class Fields(RouterTest):
    SPOOFED = [("X-Forwarded-For", "6.6.6.6"), ("x-forwarded-for", "7.7.7.7"), ("X-Forwarded-Proto", "https"),
               ("X-Forwarded-Host", "evil.example"), ("X-Real-IP", "6.6.6.6"), ("Forwarded", "for=6.6.6.6"),
               ("X_Forwarded_For", "6.6.6.6"), ("X-Forwarded_For", "6.6.6.6")]

    def forwarded(self, headers, *args):
        upstream = raw_upstream(self)
        router = raw_router(self, [upstream], *args, name=f"router-{len(self._cleanups)}")
        self.assertEqual(router.call("GET", "/v1/x", headers=headers).status, 200)
        return upstream.requests[-1]

    def test_a_client_can_not_say_whose_address_it_has(self):
        request = self.forwarded(self.SPOOFED)
        self.assertEqual(request.values(b"x-forwarded-for"), [b"127.0.0.1"])
        self.assertEqual(request.values(b"x-forwarded-proto"), [b"http"])
        self.assertEqual(request.values(b"x-forwarded-host"), [b"127.0.0.1"])
        self.assertEqual([request.values(name) for name in (b"x-real-ip", b"forwarded")], [[], []])

    def test_cve_2025_64484_names_with_underscores_are_dropped(self):
        request = self.forwarded([*self.SPOOFED, ("Content_Type", "x"), ("plain_name", "x")])
        names = [name for name, _ in request.fields]
        self.assertEqual([name for name in names if b"_" in name], [])

    def test_a_trusted_proxy_is_believed_and_added_to(self):
        request = self.forwarded(self.SPOOFED, "--trusted-proxies=127.0.0.0/8")
        self.assertEqual(request.values(b"x-forwarded-for"), [b"6.6.6.6, 7.7.7.7, 127.0.0.1"])
        self.assertEqual(request.values(b"x-forwarded-proto"), [b"https"])
        self.assertEqual(request.values(b"x-forwarded-host"), [b"evil.example"])
        self.assertEqual(request.values(b"forwarded"), [b"for=6.6.6.6"])

    def test_cve_2022_31813_connection_can_not_remove_the_routers_own_fields(self):
        ours = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id", "Via", "Host",
                "Content-Length")
        named = ", ".join(["close", "X-Mine", *ours])
        request = self.forwarded([("Connection", named), ("X-Mine", "1"), ("X-Kept", "1")])
        self.assertEqual(request.values(b"x-forwarded-for"), [b"127.0.0.1"])
        for name in ours[:-1]:
            self.assertEqual(len(request.values(name.lower().encode())), 1, name)
        self.assertEqual((request.values(b"x-mine"), request.values(b"x-kept")), ([], [b"1"]))

    def test_hop_by_hop_fields_stay_here(self):
        hop = [("Keep-Alive", "timeout=5"), ("TE", "trailers"), ("Trailer", "X"), ("Proxy-Authorization", "Basic x"),
               ("Proxy-Connection", "keep-alive"), ("Connection", "keep-alive, TE")]
        request = self.forwarded(hop)
        for name in ("keep-alive", "te", "trailer", "proxy-authorization", "proxy-connection"):
            self.assertEqual(request.values(name.encode()), [], name)

        def answer(connection, _):
            connection.send(answer_bytes(b"ok", b"200 OK", b"Keep-Alive: timeout=5", b"Proxy-Authenticate: Basic",
                                         b"Connection: X-Inner", b"X-Inner: 1", b"X-Outer: 1"))
        upstream = raw_upstream(self, answer)
        response = raw_router(self, [upstream], name="answers").call("GET", "/v1/x")
        names = {name.lower() for name, _ in response.headers}
        self.assertTrue(names.isdisjoint({"keep-alive", "x-inner"}), names)
        self.assertIn("x-outer", names)

    def test_request_ids_are_kept_or_made_and_come_back(self):
        upstream = raw_upstream(self)
        router = raw_router(self, [upstream], models=[MODEL])
        made = []
        with router.connection() as connection:
            for given in ("my-id-1", "x" * 128, None, None, "y" * 129):
                headers = [("X-Request-Id", given)] if given else []
                response = connection.request("GET", "/v1/x", headers=headers)
                sent = upstream.requests[-1].values(b"x-request-id")
                self.assertEqual(sent, [response.header("X-Request-Id").encode()])
                if given and len(given) <= 128:
                    self.assertEqual(response.header("X-Request-Id"), given)
                else:
                    made.append(response.header("X-Request-Id"))
                    self.assertNotEqual(made[-1], given)
        self.assertEqual(len(set(made)), 3)
        self.assertTrue(all(16 <= len(one) <= 64 for one in made), made)
        refused = (router.chat(model="nobody-has-it"), router.call("POST", "/stats"),
                   http_wire.raw_exchange(router.port, b"GET / HTTP/1.1\r\n\r\n"))
        self.assertEqual([response.status for response in refused], [404, 405, 400])
        for response in refused:
            self.assertTrue(response.header("X-Request-Id"), response.headers)
        response = router.chat(model="nobody-has-it", headers=[("X-Request-Id", "mine")])
        self.assertEqual(response.header("X-Request-Id"), "mine")

    def test_an_instance_can_not_change_the_request_id(self):
        upstream = raw_upstream(self, lambda connection, _: connection.send(
            answer_bytes(b"ok", b"200 OK", b"X-Request-Id: other", b"x-request-id: third")) or None)
        response = raw_router(self, [upstream]).call("GET", "/v1/x", headers=[("X-Request-Id", "mine")])
        self.assertEqual([value for name, value in response.headers if name.lower() == "x-request-id"], ["mine"])

    def test_a_trace_goes_on(self):
        request = self.forwarded([("traceparent", TRACE), ("tracestate", "congo=t61rcWkgMzE")])
        self.assertEqual(request.values(b"traceparent"), [TRACE.encode()])
        self.assertEqual(request.values(b"tracestate"), [b"congo=t61rcWkgMzE"])
        self.assertEqual(self.forwarded([("tracestate", "alone=1")]).values(b"tracestate"), [])

    def test_a_probe_never_follows_a_redirect(self):
        trap = raw_upstream(self)
        upstream = raw_upstream(self, lambda connection, _: connection.send(
            answer_bytes(b"", b"302 Found", f"Location: http://127.0.0.1:{trap.port}/health".encode())) or None)
        router = self.start_router([upstream], config={**CALM, "health_path": "/probe", "health_interval": "100ms"})
        wait_until(lambda: len(upstream.requests) >= 2, 10, "two probes")
        let_time_pass(0.2)
        self.assertEqual((trap.received(), trap.probes), (0, 0))
        self.assertNotEqual(router.state("instance-0"), "up")


if __name__ == "__main__":
    main()
