#!/usr/bin/env python3
"""GET /openapi.json is true: what it lists is served, real answers fit its schemas, nothing else is served."""

import re
import unittest

try:
    import jsonschema
except ImportError:
    jsonschema = None

from support.case import SystemTest, main
from support.fakes import FakeService
from support.registry_process import service

METHODS = ("get", "put", "post", "delete", "patch", "options", "trace")
NAME = "walked"


@unittest.skipIf(jsonschema is None, "needs jsonschema (package python3-jsonschema)")
class OpenApi(SystemTest):
    def setUp(self):
        super().setUp()
        self.tokens = self.write("tokens", "write-token-0123456789 write\nread-token-0123456789 read\n")
        self.registry = self.start_registry("--token-file", self.tokens, "--on-name-conflict", "reject",
                                            "--max-services", "2", token="write-token-0123456789")
        self.document = self.registry.get("/openapi.json")

    def operations(self):
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield method, path, item[method]

    def resolve(self, node):
        """Follows a $ref inside the document."""
        while "$ref" in node:
            node_at = self.document
            for key in node["$ref"].removeprefix("#/").split("/"):
                node_at = node_at[key.replace("~1", "/").replace("~0", "~")]
            node = node_at
        return node

    def validate(self, value, schema, what):
        whole = {"$ref": "#/the-schema", "the-schema": schema, **{key: self.document[key] for key in ("components",)
                                                                  if key in self.document}}
        errors = sorted(jsonschema.Draft202012Validator(whole).iter_errors(value), key=str)
        self.assertEqual([f"{list(error.absolute_path)}: {error.message[:300]}" for error in errors], [], what)

    def check_answer(self, method, template, path, **arguments):
        """One real call: its status must be described, and its body must fit."""
        operation = self.document["paths"][template][method]
        response = self.registry.call(method.upper(), path, **arguments)
        what = f"{method} {path}: {response}"
        self.assertIn(str(response.status), operation["responses"], what)
        described = self.resolve(operation["responses"][str(response.status)])
        kind = response.header("Content-Type").split(";")[0]
        self.assertIn(kind, [key.split(";")[0] for key in described["content"]], what)
        for name in self.resolve_headers(described):
            self.assertIsNotNone(response.header(name), f"{what}: header {name}")
        if kind == "application/json":
            media = next(value for key, value in described["content"].items() if key.startswith(kind))
            self.validate(response.json(), media["schema"], what)
        return response

    def resolve_headers(self, described):
        return [name for name, header in described.get("headers", {}).items() if self.resolve(header).get("required")]

    def test_the_document_is_openapi_3_1(self):
        self.assertRegex(self.document["openapi"], r"^3\.1\.\d+$")
        self.assertTrue(self.document["info"]["title"])
        self.assertEqual(self.document["info"]["version"], self.registry.get("/health")["version"])
        ids = [operation["operationId"] for _, _, operation in self.operations() if "operationId" in operation]
        self.assertEqual(len(ids), len(set(ids)))
        for method, path, operation in self.operations():
            self.assertTrue(operation["responses"], f"{method} {path}")
            declared = {parameter["name"] for item in (operation, self.document["paths"][path])
                        for parameter in map(self.resolve, item.get("parameters", [])) if parameter["in"] == "path"}
            self.assertEqual(declared, set(re.findall(r"\{(\w+)\}", path)), f"{method} {path}")
        self.check_references(self.document)

    def check_references(self, node):
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                self.resolve(node)
            for value in node.values():
                self.check_references(value)
        elif isinstance(node, list):
            for value in node:
                self.check_references(value)

    def test_the_schemas_are_schemas(self):
        for name, schema in self.document["components"]["schemas"].items():
            with self.subTest(name):
                jsonschema.Draft202012Validator.check_schema(schema)

    def test_it_lists_every_endpoint_of_the_contract(self):
        listed = {(method.upper(), path) for method, path, _ in self.operations()}
        expected = {("GET", "/health"), ("GET", "/services"), ("POST", "/services"), ("GET", "/services/{name}"),
                    ("PUT", "/services/{name}"), ("DELETE", "/services/{name}"), ("GET", "/services/{name}/health"),
                    ("POST", "/services/{name}/heartbeat"), ("GET", "/stats"), ("GET", "/metrics"),
                    ("GET", "/openapi.json")}
        self.assertEqual(listed, expected)

    def test_what_is_listed_is_served_and_what_is_not_listed_is_not(self):
        for path, item in self.document["paths"].items():
            listed = {method.upper() for method in METHODS if method in item}
            allowed = listed | ({"HEAD"} if "GET" in listed else set())
            real = path.replace("{name}", NAME)
            for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"):
                with self.subTest(method=method, path=path):
                    response = self.registry.call(method, real)
                    if method in allowed:
                        self.assertNotEqual(response.status, 405)
                        if method != "HEAD" and response.status == 404:
                            self.assertNotEqual(response.json()["error"], "Not found")
                    else:
                        self.assertEqual(response.status, 405)
                        self.assertEqual(set(response.header("Allow").split(", ")), allowed)

    def test_real_answers_fit_their_schemas(self):
        fake = FakeService({"/health": 200})
        self.addCleanup(fake.close)
        body = service(NAME, port=fake.port, url=f"http://127.0.0.1:{fake.port}", weight=2, models=["m"],
                       metadata={"type": "openai-api", "models_list": [{"id": "m"}]})
        one, many = "/services/{name}", "/services"
        present, absent = f"/services/{NAME}", "/services/absent"
        ok = [  # (status, method, template, path, arguments)
            (200, "get", "/health", "/health", {}), (200, "get", "/stats", "/stats", {}),
            (200, "get", "/metrics", "/metrics", {}), (200, "get", "/openapi.json", "/openapi.json", {}),
            (200, "get", many, many, {}),
            (201, "post", many, many, {"json": body}),
            (200, "get", many, many, {}), (200, "get", many, many + "?healthy=true&status=running&host=x", {}),
            (200, "get", many, many + "?wait=100ms", {}),
            (200, "get", many, many + "?changes=true&since=1&wait=1ms", {}),
            (200, "get", many, many + "?changes=true&since=999999999&wait=1ms", {}),
            (200, "get", one, present, {}), (200, "put", one, present, {"json": {"weight": 3}}),
            (200, "post", one + "/heartbeat", present + "/heartbeat", {}),
            (200, "post", one + "/heartbeat", present + "/heartbeat", {"json": {"status": "running"}}),
            (200, "get", one + "/health", present + "/health", {}),
            (409, "post", many, many, {"json": body | {"port": 1}}),
            (409, "post", one + "/heartbeat", present + "/heartbeat", {"json": {"generation": 1}}),
            (409, "put", one, present, {"json": {"generation": 1}}),
            (409, "delete", one, present + "?generation=1", {}), (400, "delete", one, present + "?generation=x", {}),
            (400, "post", many, many, {"body": "{"}), (400, "post", many, many, {"json": {}}),
            (403, "post", many, many, {"json": body | {"host": "0.0.0.0"}}),
            (413, "post", many, many, {"body": "x" * 200_000}),
            (400, "get", many, many + "?since=x", {}),
            (400, "put", one, present, {"json": {"port": 0}}),
            (403, "put", one, present, {"json": {"host": "0.0.0.0"}}),
            (413, "put", one, present, {"body": "x" * 200_000}),
            (404, "get", one, absent, {}), (404, "put", one, absent, {"json": {}}), (404, "delete", one, absent, {}),
            (404, "get", one + "/health", absent + "/health", {}),
            (404, "post", one + "/heartbeat", absent + "/heartbeat", {}),
            (400, "get", one, "/services/%zz", {}),
            (201, "post", many, many, {"json": service("second")}),
            (429, "post", many, many, {"json": service("third")}),
            (200, "delete", one, present, {}),
        ]
        for status, method, template, path, arguments in ok:
            with self.subTest(status=status, method=method, path=path):
                self.assertEqual(self.check_answer(method, template, path, **arguments).status, status)

    def test_refusals_of_tokens_are_described(self):
        for token, status in ((None, 401), ("read-token-0123456789", 403)):
            self.registry.token = token
            for method, path, _ in list(self.operations()):
                if path in ("/health", "/openapi.json") or (status == 403 and method == "get"):
                    continue
                with self.subTest(method=method, path=path, status=status):
                    self.assertEqual(self.check_answer(method, path, path.replace("{name}", NAME)).status, status)

    def test_the_security_scheme_is_bearer(self):
        schemes = self.document["components"]["securitySchemes"].values()
        self.assertIn(("http", "bearer"), [(scheme["type"], scheme.get("scheme")) for scheme in schemes])


if __name__ == "__main__":
    main()
