#!/usr/bin/env python3
"""The registry's HTTP contract: every endpoint, field, status code and message that clients of the original rely on."""

import datetime
import re
import time
import unittest

from support import http_wire
from support.case import SystemTest, main
from support.registry_process import service

ISO_UTC = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
REQUIRED = ("name", "host", "port", "hostname", "url", "status")
SERVICE_FIELDS = {
    "name": str, "host": str, "port": int, "hostname": str, "url": str, "status": str, "timestamp": str,
    "metadata": dict, "weight": int, "max_fails": int, "fail_timeout": str, "backup": bool, "models": list,
    "generation": int, "last_heartbeat": float, "health_status": str, "is_healthy": bool, "revision": int}


class ContractTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.registry = self.start_registry()

    def assert_service(self, item):
        for field, kind in SERVICE_FIELDS.items():
            self.assertIs(type(item.get(field)), kind, f"field {field}: {item.get(field)!r}")
        self.assertAlmostEqual(item["last_heartbeat"], time.time(), delta=30)


class Health(ContractTest):
    def test_health_has_the_fields_of_the_original(self):
        self.registry.register("a")
        self.registry.register("b", status="stopped")
        answer = self.registry.get("/health")
        self.assertEqual((answer["status"], answer["registry"]), ("healthy", "running"))
        self.assertEqual((answer["registered_services"], answer["healthy_services"]), (2, 1))
        self.assertRegex(answer["timestamp"], ISO_UTC)

    def test_health_says_what_else_an_operator_needs(self):
        answer = self.registry.get("/health")
        self.assertIs(answer["ready"], True)
        self.assertEqual(answer["store"]["state"], "ok")
        self.assertEqual(answer["removal"], {"on_hold": False, "waiting": 0, "holds": 0})
        self.assertIs(type(answer["uptime"]), float)
        for field in ("revision", "epoch", "version", "warming"):
            self.assertIn(field, answer)


class Registration(ContractTest):
    def test_registration_answers_201_with_message_and_service(self):
        response = self.registry.call("POST", "/services", json=service("gpu1", port=8100))
        self.assertEqual(response.status, 201)
        answer = response.json()
        self.assertEqual(answer["message"], "Service 'gpu1' registered successfully")
        self.assert_service(answer["service"])
        self.assertEqual((answer["service"]["name"], answer["service"]["port"]), ("gpu1", 8100))
        self.assertEqual(answer["service"]["health_status"], "unknown")
        self.assertIs(answer["service"]["is_healthy"], True)
        self.assertEqual(answer["revision"], answer["service"]["revision"])
        lease = answer["lease"]
        self.assertEqual((lease["heartbeat_timeout"], lease["remove_after"]), (120, 300))
        self.assertAlmostEqual(lease["expires_in"], 120, delta=1)

    def test_each_missing_field_is_named_in_the_order_of_the_original(self):
        body = {}
        for field in REQUIRED:
            with self.subTest(missing=field):
                response = self.registry.call("POST", "/services", json=body)
                self.assertEqual(response.status, 400)
                self.assertEqual(response.json()["error"], f"Missing required field: {field}")
            body[field] = service("x")[field]
        self.assertEqual(self.registry.call("POST", "/services", json=body).status, 201)

    def test_a_body_that_is_no_json_is_400_invalid_json(self):
        for body in ("", "{", "nonsense", "{'name': 1}"):
            with self.subTest(body=body):
                response = self.registry.call("POST", "/services", body=body)
                self.assertEqual((response.status, response.json()["error"]), (400, "Invalid JSON"))

    def test_json_is_read_whatever_the_content_type(self):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"):
            with self.subTest(content_type=kind):
                response = self.registry.call("POST", "/services", json=service("typed"),
                                              headers=[("Content-Type", kind)])
                self.assertEqual(response.status, 201)
        raw = http_wire.request_bytes("POST", "/services", body=http_wire.json_module.dumps(service("untyped")))
        self.assertNotIn(b"Content-Type", raw)
        self.assertEqual(http_wire.raw_exchange(self.registry.port, raw).status, 201)

    def test_a_port_may_be_a_string_of_digits(self):
        self.assertEqual(self.registry.register("digits", port="39001")["service"]["port"], 39001)

    def test_metadata_is_optional_and_null_means_empty(self):
        self.assertEqual(self.registry.register("none")["service"]["metadata"], {})
        self.assertEqual(self.registry.register("null", metadata=None)["service"]["metadata"], {})
        nested = {"type": "openai-api", "deep": {"list": [1, 2.5, None, "ü"]}}
        self.assertEqual(self.registry.register("some", metadata=nested)["service"]["metadata"], nested)

    def test_a_timestamp_of_the_client_is_kept_and_else_made(self):
        sent = "2024-05-06T07:08:09.123456"
        self.assertEqual(self.registry.register("sent", timestamp=sent)["service"]["timestamp"], sent)
        made = self.registry.register("made")["service"]["timestamp"]
        self.assertRegex(made, ISO_UTC)
        age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(made)
        self.assertLess(abs(age.total_seconds()), 30)

    def test_unknown_fields_are_dropped(self):
        made = self.registry.register("extra", colour="red", is_healthy=False, health_status="unhealthy")["service"]
        self.assertNotIn("colour", made)
        self.assertEqual((made["health_status"], made["is_healthy"]), ("unknown", True))

    def test_weight_and_its_companions_are_kept_and_returned(self):
        made = self.registry.register("weighty", weight=7, max_fails=2, fail_timeout="45s", backup=True,
                                      models=["m1", "m2"])["service"]
        self.assertEqual((made["weight"], made["max_fails"], made["fail_timeout"], made["backup"], made["models"]),
                         (7, 2, "45s", True, ["m1", "m2"]))
        plain = self.registry.register("plain")["service"]
        self.assertEqual((plain["weight"], plain["fail_timeout"], plain["backup"], plain["models"]),
                         (1, "30s", False, []))

    def test_models_come_from_the_metadata_when_the_registration_has_none(self):
        made = self.registry.register("meta", metadata={"type": "openai-api", "models": ["q"]})["service"]
        self.assertEqual(made["models"], ["q"])

    def test_registering_a_present_name_replaces_the_entry(self):
        first = self.registry.register("same", weight=3, metadata={"a": 1})["service"]
        second = self.registry.register("same", port=39002)["service"]
        self.assertEqual((second["port"], second["weight"], second["metadata"]), (39002, 1, {}))
        self.assertGreater(second["generation"], first["generation"])
        self.assertEqual(self.registry.names(), ["same"])


class Lists(ContractTest):
    def test_the_list_has_services_total_and_timestamp(self):
        self.registry.register("a")
        answer = self.registry.get("/services")
        self.assertEqual(answer["total"], 1)
        self.assertRegex(answer["timestamp"], ISO_UTC)
        self.assert_service(answer["services"][0])
        self.assertEqual(answer["services"][0], {key: value for key, value in self.registry.service("a").items()
                                                 if key in SERVICE_FIELDS})

    def test_json_is_compact_so_that_grep_finds_names(self):
        self.registry.register("grep-me", metadata={"models_list": [{"id": "model-1"}]})
        for path in ("/services", "/services/grep-me"):
            text = self.registry.call("GET", path).text
            self.assertIn('"name":"grep-me"', text)
            self.assertIn('"id":"model-1"', text)

    def test_filters(self):
        self.registry.register("up", metadata={"type": "openai-api", "models": ["m"]}, hostname="node-1")
        self.registry.register("down", status="stopped", host="127.0.0.2")
        self.registry.register("other", metadata={"type": "babysitter"}, models=["x", "y"])
        for query, names in {
                "": ["down", "other", "up"],
                "?status=running": ["other", "up"], "?status=stopped": ["down"], "?status=Running": [],
                "?healthy=true": ["other", "up"], "?healthy=TRUE": ["other", "up"], "?healthy=True": ["other", "up"],
                "?healthy=false": ["down"], "?healthy=1": ["down"], "?healthy=": ["down"],
                "?type=openai-api": ["up"], "?type=": ["down", "other", "up"], "?model=m": ["up"],
                "?model=y": ["other"], "?model=z": [],
                "?host=127.0.0.2": ["down"], "?host=node-1": ["up"],
                "?status=running&type=babysitter": ["other"],
                "?unknown=parameter&x": ["down", "other", "up"], "?&&=&%zz": ["down", "other", "up"]}.items():
            with self.subTest(query=query):
                answer = self.registry.get("/services" + query)
                self.assertEqual(sorted(item["name"] for item in answer["services"]), names)
                self.assertEqual(answer["total"], len(names))

    def test_every_services_answer_carries_revision_and_epoch(self):
        self.registry.register("a")
        epoch = self.registry.get("/health")["epoch"]
        for method, path in (("GET", "/services"), ("GET", "/services/a"), ("GET", "/services/none"),
                             ("POST", "/services/a/heartbeat"), ("POST", "/services"), ("DELETE", "/services/none")):
            response = self.registry.call(method, path)
            self.assertEqual(int(response.header("X-Registry-Revision")), self.registry.get("/services")["revision"])
            self.assertEqual(response.header("X-Registry-Epoch"), epoch)


class OneService(ContractTest):
    def test_get_one(self):
        self.registry.register("one")
        answer = self.registry.service("one")
        self.assert_service(answer)
        self.assertEqual(set(answer["lease"]), {"expires_in", "heartbeat_timeout", "remove_after"})
        self.assertEqual(answer["probe"], {"consecutive_failures": 0, "consecutive_successes": 0})

    def test_an_unknown_name_is_404_everywhere(self):
        for method, path in (("GET", "/services/no"), ("PUT", "/services/no"), ("DELETE", "/services/no"),
                             ("GET", "/services/no/health"), ("POST", "/services/no/heartbeat")):
            with self.subTest(method=method, path=path):
                response = self.registry.call(method, path, json={} if method == "PUT" else None)
                self.assertEqual((response.status, response.json()["error"]), (404, "Service 'no' not found"))

    def test_update_changes_what_is_given_and_ignores_the_name(self):
        self.registry.register("up", metadata={"a": 1, "b": 2}, weight=4)
        answer = self.registry.call("PUT", "/services/up", json={"name": "other", "status": "draining",
                                                                 "metadata": {"c": 3}, "port": "5000"})
        self.assertEqual(answer.status, 200)
        body = answer.json()
        self.assertEqual(body["message"], "Service 'up' updated successfully")
        self.assert_service(body["service"])
        kept = {key: body["service"][key] for key in ("name", "status", "metadata", "port", "weight", "is_healthy")}
        self.assertEqual(kept, {"name": "up", "status": "draining", "metadata": {"c": 3}, "port": 5000, "weight": 4,
                                "is_healthy": False})
        self.assertEqual(self.registry.names(), ["up"])

    def test_an_update_counts_as_a_heartbeat(self):
        before = self.registry.register("beat")["service"]["last_heartbeat"]
        after = self.registry.call("PUT", "/services/beat", json={}).json()["service"]["last_heartbeat"]
        self.assertGreater(after, before)

    def test_a_bad_update_is_400_invalid_json(self):
        self.registry.register("up")
        response = self.registry.call("PUT", "/services/up", body="{")
        self.assertEqual((response.status, response.json()["error"]), (400, "Invalid JSON"))

    def test_delete(self):
        self.registry.register("gone")
        response = self.registry.call("DELETE", "/services/gone")
        self.assertEqual((response.status, response.json()["message"]),
                         (200, "Service 'gone' unregistered successfully"))
        self.assertEqual(self.registry.call("DELETE", "/services/gone").status, 404)

    def test_heartbeat_needs_no_body(self):
        before = self.registry.register("hb")["service"]["last_heartbeat"]
        raw = b"POST /services/hb/heartbeat HTTP/1.1\r\nHost: registry\r\n\r\n"
        response = http_wire.raw_exchange(self.registry.port, raw)
        self.assertEqual(response.status, 200)
        answer = response.json()
        self.assertEqual(answer["message"], "Heartbeat received")
        self.assertRegex(answer["timestamp"], ISO_UTC)
        self.assertAlmostEqual(answer["lease_remaining"], 120, delta=1)
        self.assertGreater(self.registry.service("hb")["last_heartbeat"], before)

    def test_heartbeat_may_carry_a_status_and_ignores_what_is_no_json(self):
        self.registry.register("hb")
        self.assertEqual(self.registry.heartbeat("hb", {"status": "busy"}).status, 200)
        self.assertEqual(self.registry.service("hb")["status"], "busy")
        for body in ("not json", "[]", "{", '"text"'):
            self.assertEqual(self.registry.call("POST", "/services/hb/heartbeat", body=body).status, 200)
        self.assertEqual(self.registry.service("hb")["status"], "busy")

    def test_health_of_one_probes_now_and_answers_200_also_when_the_probe_failed(self):
        self.registry.register("dead", port=1, url="http://127.0.0.1:1")
        response = self.registry.call("GET", "/services/dead/health")
        self.assertEqual(response.status, 200)
        answer = response.json()
        self.assertEqual((answer["service"], answer["health_status"]), ("dead", "unhealthy"))
        self.assertIs(type(answer["is_healthy"]), bool)
        self.assertIs(type(answer["last_heartbeat"]), float)
        self.assertRegex(answer["timestamp"], ISO_UTC)
        self.assertEqual(answer["probe"]["url"], "http://127.0.0.1:1/health")

    def test_names_with_encoded_slashes_and_blanks_work_in_paths(self):
        for name, path in (("team/gpu 1", "team%2Fgpu%201"), ("ünïcode", "%C3%BCn%C3%AFcode"), ("a%b", "a%25b"),
                           ("dots..", "dots.."), ("plus+", "plus+")):
            with self.subTest(name=name):
                self.registry.register(name)
                self.assertEqual(self.registry.service(path)["name"], name)
                self.assertEqual(self.registry.call("POST", f"/services/{path}/heartbeat").status, 200)
                self.assertEqual(self.registry.call("DELETE", f"/services/{path}").status, 200)


class Stats(ContractTest):
    def test_stats_has_the_fields_of_the_original(self):
        self.registry.register("a")
        self.registry.register("b", host="127.0.0.2")
        self.registry.register("c", status="stopped")
        answer = self.registry.get("/stats")
        self.assertEqual((answer["total_services"], answer["healthy_services"], answer["unhealthy_services"]),
                         (3, 2, 1))
        self.assertEqual(answer["status_distribution"], {"running": 2, "stopped": 1})
        self.assertEqual(answer["host_distribution"], {"127.0.0.1": 2, "127.0.0.2": 1})
        self.assertIs(type(answer["uptime"]), float)
        self.assertRegex(answer["timestamp"], ISO_UTC)

    def test_stats_says_what_else_an_operator_needs(self):
        answer = self.registry.get("/stats")
        for field in ("health_distribution", "revision", "epoch", "name_conflicts", "expected_missing", "watchers",
                      "removal", "store"):
            self.assertIn(field, answer)

    def test_metrics_are_prometheus_text(self):
        self.registry.register("a")
        self.registry.heartbeat("a")
        response = self.registry.call("GET", "/metrics")
        self.assertTrue(response.header("Content-Type").startswith("text/plain"))
        for line in response.text.splitlines():
            self.assertRegex(line, r"^(# (HELP|TYPE) |[a-z_:]+(\{.*\})? \S+$)")
        self.assertEqual(self.registry.metric("infinilm_registry_services"), 1)
        self.assertEqual(self.registry.metric('infinilm_registry_heartbeats_total{outcome="accepted"}'), 1)


class Methods(ContractTest):
    def test_head_works_where_get_does(self):
        self.registry.register("a")
        with self.registry.connection() as connection:
            for path in ("/health", "/services", "/services/a", "/stats", "/metrics", "/openapi.json"):
                head = connection.request("HEAD", path)
                self.assertEqual(head.status, 200, path)
                self.assertGreater(int(head.header("Content-Length")), 0)
                self.assertEqual(head.header("Content-Type"), connection.request("GET", path).header("Content-Type"))
            self.assertEqual(connection.request("HEAD", "/services/none").status, 404)

    def test_a_wrong_method_is_405_with_allow(self):
        for method, path, allow in (
                ("PUT", "/services", "GET, HEAD, POST"), ("DELETE", "/services", "GET, HEAD, POST"),
                ("POST", "/services/a", "DELETE, GET, HEAD, PUT"), ("PATCH", "/services/a", "DELETE, GET, HEAD, PUT"),
                ("GET", "/services/a/heartbeat", "POST"), ("POST", "/services/a/health", "GET, HEAD"),
                ("POST", "/health", "GET, HEAD"), ("POST", "/stats", "GET, HEAD"), ("DELETE", "/metrics", "GET, HEAD")):
            with self.subTest(method=method, path=path):
                response = self.registry.call(method, path)
                self.assertEqual((response.status, response.json()["error"]), (405, "Method not allowed"))
                self.assertEqual(", ".join(sorted(response.header("Allow").split(", "))), allow)

    def test_an_unknown_path_is_404_json(self):
        for path in ("/", "/nothing", "/services/a/b/c", "/services/a/none", "/Health", "/healthz"):
            with self.subTest(path=path):
                response = self.registry.call("GET", path)
                self.assertEqual((response.status, response.text), (404, '{"error":"Not found"}'))
                self.assertEqual(response.header("Content-Type"), "application/json")

    def test_a_trailing_slash_is_tolerated(self):
        self.registry.register("a")
        for path in ("/services/", "/health/", "/stats/", "/services/a/"):
            with self.subTest(path=path):
                self.assertEqual(self.registry.call("GET", path).status, 200)

    def test_a_connection_serves_many_requests_and_pipelined_ones_in_order(self):
        with self.registry.connection() as connection:
            connection.send(b"".join(http_wire.request_bytes("POST", "/services", json=service(f"n{index}"))
                                     for index in range(20)) + http_wire.request_bytes("GET", "/services"))
            for index in range(20):
                self.assertEqual(connection.read_response().json()["service"]["name"], f"n{index}")
            self.assertEqual(connection.read_response().json()["total"], 20)

    def test_http_1_0_is_answered_and_closed(self):
        with self.registry.connection() as connection:
            connection.send(b"GET /health HTTP/1.0\r\n\r\n")
            self.assertEqual(connection.read_response().status, 200)
            self.assertTrue(connection.is_closed_by_peer())


if __name__ == "__main__":
    main()
