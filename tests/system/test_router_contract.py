#!/usr/bin/env python3
"""What clients and scripts of the original router rely on: flags, files, its own pages, answers about models."""

import json

from support.case import main
from support.daemon_process import SOURCE_DIR
from support.raw_upstream import raw_router, raw_upstream
from support.router_process import MODEL, RouterTest, free_port, run_router
from support.sim_process import CHAT
from support.waiting import wait_until

SEED_FILE = SOURCE_DIR / "deployment_configs" / "router_config.json"
HEALTH_KEYS = ["status", "router", "healthy_services", "registry_url", "message", "timestamp"]
SERVICE_KEYS = ["name", "host", "port", "url", "babysitter_url", "healthy", "request_count", "error_count",
                "response_time", "weight", "models", "metadata"]
OLD_FLAGS = {"router-port": ("18080", "port", 18080), "registry-url": ("http://127.0.0.1:9", "registry_url", None),
             "health-interval": ("31", "health_interval", 31), "health-timeout": ("6", "health_timeout", 6),
             "max-errors": ("4", "max_errors", 4), "registry-sync-interval": ("11", "registry_sync_interval", 11),
             "service-removal-grace-period": ("61", "service_removal_grace_period", 61)}


def without(body, *keys):
    return {key: value for key, value in body.items() if key not in keys}


class Settings(RouterTest):
    def effective(self, *flags, env=None):
        done = run_router("--print-config", *flags, folder=self.folder, env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["router"]

    def test_the_original_flags_are_taken_by_their_names(self):
        static = self.write("static.json", '{"services": []}')
        for joined in (True, False):
            flags = []
            for name, (text, _, _) in {**OLD_FLAGS, "static-services": (static, "", "")}.items():
                flags += [f"--{name}={text}"] if joined else [f"--{name}", str(text)]
            found = self.effective(*flags)
            for text, key, value in [*OLD_FLAGS.values(), (str(static), "static_services", None)]:
                self.assertEqual(found[key], text if value is None else value, key)

    def test_the_original_environment_variables_are_taken(self):
        found = self.effective(env={"PROXY_TIMEOUT_SECONDS": "1234", "CACHE_TYPE_ROUTING_THRESHOLD": "99"})
        self.assertEqual((found["proxy_timeout"], found["cache_type_routing_threshold"]), (1234, 99))

    def test_router_port_on_the_command_line_wins_over_the_file(self):
        port = free_port()
        router = self.start_router(config={"port": 1}, args=["--router-port", port])
        self.assertEqual(router.port, port)
        self.assertEqual(router.get("/health")["router"], "running")

    def test_a_registry_url_that_ends_in_services_is_tolerated(self):
        for tail in ("", "/", "/services", "/services/"):
            self.assertEqual(self.effective(f"--registry-url=http://127.0.0.1:9{tail}")["registry_url"],
                             "http://127.0.0.1:9")

    def test_the_seeds_router_config_is_a_configuration_as_it_stands(self):
        for flags in ((f"--config={SEED_FILE}",), (f"--config={SEED_FILE}", f"--static-services={SEED_FILE}")):
            found = self.effective(*flags)
            self.assertEqual([found[key] for key in ("port", "registry_url", "load_balancing_method", "proxy_timeout",
                                                     "proxy_connect_timeout")],
                             [8080, "http://192.168.1.100:8081", "round_robin", 300, 60])

    def test_fault_15_services_of_the_seeds_nested_form_are_used(self):
        """The original read only a `services` at the top and so took none of its own example."""
        sim = self.start_sim("--name=engine")
        document = json.loads(SEED_FILE.read_text())
        document["static_services"]["services"][0].update(host="127.0.0.1", port=sim.port)
        path = self.write("seed.json", json.dumps(document))
        for name, flags in {"static": (f"--static-services={path}",),
                            "config": (f"--config={path}", "--port=0", "--registry-url="),
                            "both": (f"--config={path}", "--port=0", "--registry-url=", f"--static-services={path}")
                            }.items():
            with self.subTest(name):
                router = self.start_router(args=flags, name=name)
                self.assertEqual([item["name"] for item in router.get("/services")["services"]], ["infinilm-backup1"])
                self.assertEqual(router.chat().header("x-sim-name"), "engine")

    def test_static_services_in_all_accepted_forms(self):
        sim = self.start_sim("--name=engine")
        item = {"host": "127.0.0.1", "port": sim.port}
        forms = {"services": {"services": [item]}, "nested": {"static_services": {"services": [item]}},
                 "section": {"static_services": [item]}, "array": [item]}
        for name, form in forms.items():
            with self.subTest(name):
                path = self.write(f"{name}.json", json.dumps(form))
                router = self.start_router(name=name, args=["--static-services", path])
                service, = router.get("/services")["services"]
                self.assertEqual((service["name"], service["weight"], service["metadata"]), ("service_1", 1, {}))
                self.assertEqual(router.chat().header("x-sim-name"), "engine")

    def test_a_bad_static_services_file_ends_the_start_with_one_sentence(self):
        cases = {None: "bad.json", "{": "bad.json", '{"services": [{"host": "a"}]}': "services[0].port",
                 '[{"port": 1}]': "services[0].host", '[{"host": "a", "port": "x"}]': "services[0].port",
                 '[{"host": "a", "port": 1, "prot": 2}]': "prot", '[{"host": "a b", "port": 1}]': "host"}
        for text, word in cases.items():
            with self.subTest(text):
                path = self.folder / "bad.json" if text is None else self.write("bad.json", text)
                done = run_router(f"--static-services={path}", "--port=0", "--log-file=", folder=self.folder)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                self.assertIn(word, done.stderr)


class OwnPages(RouterTest):
    def assert_page(self, response, status=200):
        self.assertEqual((response.status, response.header("Content-Type")), (status, "application/json"), response)
        self.assertEqual(response.text, json.dumps(response.json(), separators=(",", ":"), ensure_ascii=False))
        self.assertTrue(response.header("X-Request-Id"))
        return response.json()

    def test_health_and_status_have_the_original_shape(self):
        sims = self.start_sims(2)
        router = self.start_router(sims, config={"recovery_interval": "100ms"})
        body = self.assert_page(router.call("GET", "/health"))
        self.assertEqual(list(body)[:6], HEALTH_KEYS)
        self.assertEqual([body[key] for key in list(body)[:5]], ["healthy", "running", "2/2", None, None])
        self.assertRegex(body["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        moving = ("timestamp", "uptime")
        self.assertEqual(without(self.assert_page(router.call("GET", "/status")), *moving), without(body, *moving))
        sims[0].kill()
        router.chat()
        router.chat()
        router.wait_state("sim-0", "down")
        body = router.get("/health")
        self.assertEqual((body["healthy_services"], body["status"]), ("1/2", "healthy"))

    def test_health_is_200_with_no_healthy_service_as_well(self):
        for name, static, share in (("none", [], "0/0"), ("dead", [free_port()], "0/1")):
            router = self.start_router(static, name=name, args=["--registry-url=http://127.0.0.1:9/services"])
            if static:
                router.wait_state("instance-0", "down")
            body = self.assert_page(router.call("GET", "/health"))
            self.assertEqual([body[key] for key in ("status", "router", "healthy_services", "registry_url", "message")],
                             ["running", "running", share, "http://127.0.0.1:9", "No healthy services available"])

    def test_services_and_stats_have_the_original_shape(self):
        sim, = self.start_sims(1)
        metadata = {"type": "openai-api", "models": ["m"], "deep": {"list": [1, None, "é"]}}
        router = self.start_router([{"name": "a", "host": "127.0.0.1", "port": sim.port, "weight": 3,
                                     "metadata": metadata}])
        router.wait_state("a", "up")
        for _ in range(3):
            self.assertEqual(router.chat(model="m").status, 200)
        router.wait_idle()
        body = self.assert_page(router.call("GET", "/services"))
        self.assertEqual((list(body), body["total"], body["registry_url"]),
                         (["services", "total", "registry_url"], 1, None))
        service, = body["services"]
        self.assertEqual(list(service)[:12], SERVICE_KEYS)
        expected = {"name": "a", "host": "127.0.0.1", "port": sim.port, "url": f"http://127.0.0.1:{sim.port}",
                    "babysitter_url": f"http://127.0.0.1:{sim.port + 1}", "healthy": True, "request_count": 3,
                    "error_count": 0, "weight": 3, "models": ["m"], "metadata": metadata}
        self.assertEqual({key: service[key] for key in expected}, expected)
        self.assertIsInstance(service["response_time"], float)
        stats = self.assert_page(router.call("GET", "/stats"))
        self.assertEqual(list(stats)[:4], ["total_services", "healthy_services", "registry_url", "services"])
        self.assertEqual([stats["total_services"], stats["healthy_services"], stats["registry_url"]], [1, 1, None])
        item, = stats["services"]
        self.assertEqual({key: item[key] for key in expected}, expected)
        self.assertRegex(item["last_check"], r"^\d{4}-")

    def test_error_count_grows_with_failures_of_the_instance(self):
        sim, = self.start_sims(1)
        router = self.new_router(config={"health_interval": "1h"})
        router.set_static(sim, max_fails=0)
        router.start()
        router.wait_state("sim-0", "up")
        sim.fault("reset")
        self.assertEqual(router.chat().status, 502)
        self.assertEqual([router.service("sim-0")[key] for key in ("request_count", "error_count")], [1, 1])

    def test_models_aggregates_the_healthy_fleet(self):
        """Sorted by id; the first full object of an id wins, else {"id":m,...}; the same under /v1."""
        sims = self.start_sims(3)
        full = [{"id": "zeta", "object": "model", "owned_by": "x", "extra": {"n": 1}}, {"id": "org/beta", "q": 2}]
        metadata = [{"models": ["zeta"], "models_list": full}, {"models": ["alpha", "zeta"]}, {"models": ["gone"]}]
        router = self.start_router([{"name": f"s{n}", "host": "127.0.0.1", "port": sim.port, "metadata": metadata[n]}
                                    for n, sim in enumerate(sims)])
        sims[2].kill()
        for _ in range(2):
            router.chat(model="gone")
        router.wait_state("s2", "down")
        body = self.assert_page(router.call("GET", "/models"))
        self.assertEqual((list(body), body["object"]), (["object", "data"], "list"))
        ids = [entry["id"] for entry in body["data"]]
        self.assertEqual((ids, "gone" in ids), (sorted(ids), False))
        found = {entry["id"]: entry for entry in body["data"]}
        self.assertEqual((found["zeta"], found["alpha"]["object"]), (full[0], "model"))
        self.assertEqual(self.assert_page(router.call("GET", "/v1/models")), body)
        for name in ("zeta", "alpha"):
            self.assertEqual(self.assert_page(router.call("GET", f"/v1/models/{name}")), found[name])
        self.assert_openai_error(router.call("GET", "/v1/models/gone"), 503, "no_ready_instance")
        self.assert_openai_error(router.call("GET", "/v1/models/%00"), 404, "model_not_found")

    def test_a_model_with_a_slash_in_its_id_is_found_plain_and_encoded(self):
        sim, = self.start_sims(1)
        router = self.start_router([{"host": "127.0.0.1", "port": sim.port, "models": ["org/beta 7"]}])
        for path in ("org/beta%207", "org%2Fbeta%207", "org%2fbeta%207"):
            self.assertEqual(router.get(f"/v1/models/{path}")["id"], "org/beta 7")

    def test_models_of_an_instance_that_states_none_are_asked_for(self):
        sim = self.start_sim("--model=told-by-itself")
        router = self.start_router([{"name": "a", "host": "127.0.0.1", "port": sim.port}])
        wait_until(lambda: [entry["id"] for entry in router.get("/models")["data"]] == ["told-by-itself"], 10)
        self.assert_openai_error(router.chat(), 404, "model_not_found")

    def test_own_pages_take_get_head_and_options_and_proxy_nothing(self):
        upstream = raw_upstream(self)
        router = raw_router(self, [upstream])
        for path in ("/health", "/status", "/services", "/stats", "/models", "/v1/models", "/ready", "/metrics"):
            with self.subTest(path), router.connection() as connection:
                got = connection.request("GET", path + "?x=%20&y")
                self.assertEqual(got.status, 200, got)
                head = connection.request("HEAD", path)
                self.assertEqual((head.status, head.body), (200, b""))
                self.assertGreater(int(head.header("Content-Length")), 0)
                self.assertEqual(head.header("Content-Type"), got.header("Content-Type"))
                for method in ("POST", "PUT", "PATCH", "DELETE"):
                    refused = connection.request(method, path, body="{}")
                    self.assertEqual((refused.status, refused.header("Allow")), (405, "GET, HEAD, OPTIONS"))
                    self.assertIn("error", refused.json())
                self.assertEqual(connection.request("OPTIONS", path).status, 204)
        self.assertEqual(upstream.targets, [])

    def test_paths_that_only_look_like_own_ones_are_proxied(self):
        upstream = raw_upstream(self)
        router = raw_router(self, [upstream])
        paths = ["/healthz", "/health/", "/services/x", "/v1/model", "/v1/models/", "/HEALTH", "//health", "/"]
        for path in paths:
            self.assertEqual(router.get(path)["target"], path)
        self.assertEqual(upstream.targets, paths)


class Models(RouterTest):
    def test_an_unknown_model_is_404_and_reaches_nobody(self):
        sim, = self.start_sims(1)
        router = self.start_router([sim])
        before = sim.stats()["generations"]
        error = self.assert_openai_error(router.chat(model="nobody"), 404, "model_not_found")
        self.assertEqual((error["param"], error["type"]), ("model", "invalid_request_error"))
        self.assertIn("nobody", error["message"])
        self.assertEqual(sim.stats()["generations"], before)

    def test_unknown_model_status_503_gives_the_original_answer(self):
        sim, = self.start_sims(1)
        router = self.start_router([sim], args=["--unknown-model-status", "503"])
        response = router.chat(model="nobody")
        error = self.assert_openai_error(response, 503, "model_not_found")
        self.assertEqual(error["message"], "No healthy services available for model 'nobody'")
        self.assertGreater(int(response.header("Retry-After")), 0)

    def test_a_model_whose_instances_are_all_down_is_503_with_retry_after(self):
        sim, = self.start_sims(1)
        router = self.start_router([sim, {"name": "b", "host": "127.0.0.1", "port": free_port(), "models": ["m"]}])
        router.wait_state("b", "down")
        response = router.chat(model="m")
        error = self.assert_openai_error(response, 503, "no_ready_instance")
        self.assertIn("No healthy services available for model 'm'", error["message"])
        self.assertGreater(int(response.header("Retry-After")), 0)
        page = router.call("GET", "/v1/models/m")
        self.assert_openai_error(page, 503, "no_ready_instance")
        self.assertGreater(int(page.header("Retry-After")), 0)
        self.assert_openai_error(router.call("GET", "/v1/models/nobody"), 404, "model_not_found")
        self.assertEqual(router.chat().status, 200)

    def test_nothing_known_yet_is_503_with_retry_after(self):
        router = self.start_router(registry="http://127.0.0.1:9")
        for response, code in ((router.chat(), "view_not_ready"), (router.call("GET", "/v1/a"), "view_not_ready"),
                               (router.call("GET", "/v1/models/m"), "view_not_ready")):
            self.assert_openai_error(response, 503, code)
            self.assertGreater(int(response.header("Retry-After")), 0)
        self.assertEqual(router.call("GET", "/ready").status, 503)

    def test_a_model_that_the_registry_may_know_is_503_until_it_was_heard(self):
        """A static service beside it is not the whole picture: 404 would tell clients never to ask again."""
        sim, = self.start_sims(1)
        router = self.start_router([sim], registry=f"http://127.0.0.1:{free_port()}")
        response = router.chat(model="registered")
        self.assert_openai_error(response, 503, "view_not_ready")
        self.assertGreater(int(response.header("Retry-After")), 0)
        self.assertEqual((router.chat().status, router.call("GET", "/ready").status), (200, 200))

    def test_the_first_request_after_a_start_finds_an_instance_that_has_a_name(self):
        sim, = self.start_sims(1)
        for number in range(5):
            router = self.start_router([{"host": "localhost", "port": sim.port, "models": [MODEL]}],
                                       name=f"router-{number}")
            self.assertEqual(router.chat().status, 200)
            router.stop()

    def test_what_names_no_model_goes_to_any_instance(self):
        upstream = raw_upstream(self)
        router = raw_router(self, [upstream], models=[MODEL])
        bodies = ['[1, "model"]', '"text"', "7", "null", "{}", '{"model": 7}', '{"model": null}', "not json", "",
                  '{"a": {"model": "nobody"}}', '{"model', "\xff\xfe"]
        for body in bodies:
            with self.subTest(body):
                data = body.encode("latin-1")
                answer = router.call("POST", CHAT, body=data, headers=[("Content-Type", "application/json")])
                self.assertEqual((answer.status, answer.json()["bytes"]), (200, len(data)), answer)

    def test_the_model_counts_whatever_the_shape_of_the_rest(self):
        """The original (Rust) lost the model when messages or prompt were of another shape, such as token ids."""
        sims = self.start_sims(2)
        router = self.start_router([{"name": sim.name, "host": "127.0.0.1", "port": sim.port, "models": [f"m{n}"]}
                                    for n, sim in enumerate(sims)])
        shapes = [{"prompt": [1, 2, 3]}, {"prompt": [[1], [2]]}, {"messages": "text"}, {"messages": [[]]}, {},
                  {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
                  {"deep": [[[{}]]] * 9}, {"metadata": {"model": "m0"}}]
        for shape in shapes:
            for place in ("first", "last"):
                body = {"model": "m1", **shape} if place == "first" else {**shape, "model": "m1"}
                answer = router.call("POST", "/v1/completions", json=body)
                self.assertEqual(answer.header("x-sim-name"), "sim-1", (body, answer))
        text = '{"mod\\u0065l" : "m\\u0031", "x": "' + "é" * 40000 + '"}'
        self.assertEqual(router.call("POST", "/x", body=text).header("x-sim-name"), "sim-1")


if __name__ == "__main__":
    main()
