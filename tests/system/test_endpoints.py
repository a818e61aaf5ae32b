#!/usr/bin/env python3
"""Every endpoint of the manuals answers plain curl with the status and the shape that is expected of it.

The endpoints are those of the manuals' tables: one that is added there without a line here is a failure.
"""

import json
import re

from support.agent_process import AgentTest, sim
from support.case import SystemTest, main
from support.curl import curl, first_line, mismatch
from support.documents import page, rows, section
from support.router_process import RouterTest
from support.sim_process import words

READER, WRITER = "reader-0123456789", "writer-0123456789"
ERROR = {"error": str}
OPENAI_ERROR = {"error": {"message": str, "type": str, "param": (None, str), "code": str}}
MODEL = {"id": str, "object": str, "created": int, "owned_by": str}
MODELS = {"object": str, "data": [MODEL]}

# The registry's.
SERVICE = {"name": str, "host": str, "port": int, "hostname": str, "url": str, "status": str, "timestamp": str,
           "metadata": dict, "weight": int, "max_fails": int, "fail_timeout": str, "backup": bool, "models": [str],
           "generation": int, "last_heartbeat": float, "health_status": str, "is_healthy": bool, "revision": int}
LEASE = {"expires_in": float, "heartbeat_timeout": float, "remove_after": float}
AT = {"timestamp": str, "revision": int, "epoch": str, "warming?": bool}
REMOVAL = {"on_hold": bool, "waiting": int, "holds": int, "since_seconds?": float}
STORE = {"path": str, "state": str}
REGISTERED = {"message": str, "service": SERVICE, "revision": int, "lease": LEASE}
REGISTRY_HEALTH = AT | {"status": str, "registry": str, "ready": bool, "registered_services": int,
                        "healthy_services": int, "uptime": float, "version": str, "removal": REMOVAL, "store": STORE}

# The router's.
ROUTER_HEALTH = {"status": str, "router": str, "healthy_services": str, "registry_url": (None, str),
                 "message": (None, str), "timestamp": str, "view_age_seconds": (None, float), "registry_state": str,
                 "registry_error?": str, "view_from_disk": bool, "version": str, "uptime": float, "draining": bool,
                 "panic": bool}
INSTANCE = {"name": str, "host": str, "port": int, "url": str, "babysitter_url": (None, str), "healthy": bool,
            "request_count": int, "error_count": int, "response_time": float, "weight": int, "models": [str],
            "metadata": dict, "state": str, "in_flight": int}
QUANTILES = {"p50": float, "p95": float}
TRAFFIC = {"answers": dict, "failures": dict, "retries": int, "queue_seconds": QUANTILES, "ttft_seconds": QUANTILES,
           "itl_seconds": QUANTILES, "total_seconds": QUANTILES, "prompt_tokens": int, "cached_tokens": int,
           "completion_tokens": int, "bytes_to_clients": int}
INSTANCE_STATS = INSTANCE | TRAFFIC | {
    "last_check": (None, str), "checks_good": int, "checks_bad": int, "backup": bool, "static": bool,
    "max_concurrency": int, "slow_start_share": float, "ejections": int, "by_model": dict, "addresses": [str],
    "last_error?": str, "error?": str}
TOTALS = {name: int for name in (
    "requests", "own_requests", "attempts", "retries", "retries_denied", "requests_active", "connections_open",
    "connections_accepted", "connections_refused", "upstream_connects", "upstream_reuses", "panic_picks",
    "backup_picks", "clients_gone", "buffered_bytes")} | {"refusals": dict}
ROUTER_STATS = {"total_services": int, "healthy_services": int, "registry_url": (None, str),
                "services": [INSTANCE_STATS], "timestamp": str, "uptime": float, "view_revision": int,
                "totals": TOTALS, "by_model": dict, "queues": {"waiting": int, "max_waiting": int, "by_model": dict,
                                                       "queue_seconds": QUANTILES},
                "registry": (None, dict)}
CANDIDATE = {"name": str, "url": str, "state": str, "usable": bool, "in_flight": int, "max_concurrency": int,
             "weight": int, "slow_start_share": float, "backup": bool, "cache_type": str, "models": [str]}
EXPLAIN = {"model": str, "served_as": str, "upstream": str, "reason": str, "method": str, "url": str, "panic": bool,
           "client": str, "key": str, "text_bytes": int, "candidates": [CANDIDATE]}

# The agent's.
AGENT_HEALTH = {"status": str, "service": str, "babysitter": str, "infinilm_server_running": bool,
                "infinilm_server_port": (None, int), "timestamp": float}
INFO = {"name": str, "host": str, "port": int, "url": str, "infinilm_server_port": (None, int), "service_type": str,
        "restart_count": int, "uptime": float, "metadata": dict}
STATUS = {"name": str, "service_type": str, "host": str, "port": int, "pages_port": int, "engine_port": (None, int),
          "state": str, "status": str, "ready": bool, "running": bool, "pids": [int], "shim_pid": (None, int),
          "state_seconds": float, "up_seconds": (None, float), "ready_seconds": (None, float), "restarts": int,
          "probe_failures": int, "exits": list, "exit_counts": dict, "last_line": str, "models": [str],
          "load": {"in_flight": (None, int), "queue": (None, int), "open_connections": (None, int), "rss_bytes": (None, int), "gpu_memory_bytes": (None, int)},
          "registered": {"agent": bool, "engine": bool}, "log_file": str, "log_lines_lost": int,
          "agent_started": str, "uptime": float, "version": str, "timestamp": str}


class Endpoints:
    """`self.port` is the daemon's."""

    token = None

    def url(self, target):
        return f"http://127.0.0.1:{self.port}{target}"

    def curl(self, method, target, *options, token=None):
        """`token`: another than the usual one, or "" for none."""
        token = self.token if token is None else token
        bearer = ["-H", f"Authorization: Bearer {token}"] if token else []
        how = ["-I"] if method == "HEAD" else ["-X", method] if method != "GET" else []
        return curl(self.url(target), *how, *bearer, *options)

    def check(self, method, target, shape, *options, status=200, **more):
        """The answer has this status and shape: of JSON, or a pattern that text has to match."""
        answer = self.curl(method, target, *options, **more)
        self.assertEqual(answer.status, status, answer)
        if isinstance(shape, str):
            self.assertEqual(answer.kind, "text/plain", answer)
            self.assertRegex(answer.body, shape)
        else:
            self.assertEqual((answer.kind, mismatch(answer.json(), shape)), ("application/json", None), answer)
        return answer

    def check_all_of_the_page(self, documented, checked):
        self.assertEqual(sorted(documented), sorted(checked), "endpoints of the manual, and what is checked here")


class Registry(Endpoints, SystemTest):
    def documented(self):
        """{"GET /path": the scope that it needs} of the manual."""
        return {cells[0]: cells[1] for cells in rows(section(page("docs/registry.md"), "Routes"))
                if re.match(r"[A-Z]+ /", cells[0])}

    def test_every_endpoint(self):
        tokens = self.write("tokens", f"{READER} read\n{WRITER} write\n")
        tokens.chmod(0o600)
        self.token = WRITER
        self.port = self.start_registry(f"--token-file={tokens}", token=WRITER).port
        service = {"name": "gpu 1", "host": "127.0.0.1", "port": self.port, "hostname": "node-1",
                   "url": self.url(""), "status": "running", "models": ["m"]}
        probe = {"url": str, "status": int, "error": str, "took_ms": float}
        metrics = r"(?m)^# TYPE infinilm_registry_services gauge$"
        calls = {  # in the order in which they are made
            "POST /services": ("/services", REGISTERED, 201, "-d", json.dumps(service)),
            "GET /health": ("/health", REGISTRY_HEALTH, 200),
            "GET /services": ("/services?healthy=true&model=m&status=running&host=node-1",
                              AT | {"services": [SERVICE], "total": int}, 200),
            "GET /services/{name}": ("/services/gpu%201", SERVICE | {
                "lease": LEASE, "probe": {"consecutive_failures": int, "consecutive_successes": int}}, 200),
            "PUT /services/{name}": ("/services/gpu%201", REGISTERED, 200, "-d", '{"weight":2}'),
            "POST /services/{name}/heartbeat": ("/services/gpu%201/heartbeat", {
                "message": str, "timestamp": str, "lease_remaining": float, "revision": int, "generation": int}, 200),
            "GET /services/{name}/health": ("/services/gpu%201/health", AT | {
                "service": str, "health_status": str, "is_healthy": bool, "last_heartbeat": float,
                "probe": probe}, 200),
            "GET /stats": ("/stats", AT | {
                "total_services": int, "healthy_services": int, "unhealthy_services": int,
                "status_distribution": dict, "host_distribution": dict, "health_distribution": dict, "uptime": float,
                "name_conflicts": int, "expected_missing": [str], "watchers": int, "removal": REMOVAL,
                "store": STORE}, 200),
            "GET /metrics": ("/metrics", metrics, 200),
            "GET /openapi.json": ("/openapi.json", {
                "openapi": str, "info": dict, "servers": list, "security": list, "tags": list, "paths": dict,
                "components": dict}, 200),
            "DELETE /services/{name}": ("/services/gpu%201", {"message": str, "revision": int}, 200),
        }
        documented = self.documented()
        self.check_all_of_the_page(documented, calls)
        for name, (target, shape, status, *options) in calls.items():
            with self.subTest(name):
                method, path = name.split()
                if documented[name] != "nothing":
                    self.check(method, target, ERROR, *options, status=401, token="")
                if documented[name] == "write":
                    self.check(method, target, ERROR, *options, status=403, token=READER)
                answer = self.check(method, target, shape, *options, status=status)
                if method == "GET":
                    self.assertEqual(self.curl("HEAD", target).status, 200)
                if name == "GET /openapi.json":
                    self.assertEqual({f"{verb.upper()} {path}" for path, item in answer.json()["paths"].items()
                                      for verb in item if verb != "parameters"}, set(documented))
        self.check("GET", "/services?changes=true&since=1&wait=0s", AT | {
            "resync": bool, "total_changes?": int, "changes?": list, "services?": list, "total?": int})
        self.check("GET", "/services/nobody", ERROR, status=404)
        self.check("POST", "/services", ERROR | {"detail": str}, "-d", "{", status=400)
        self.check("PATCH", "/services", ERROR, status=405)
        self.check("GET", "/nowhere", ERROR, status=404)


class Router(Endpoints, RouterTest):
    def test_every_own_page(self):
        documented = [path for cells in rows(section(page("docs/router.md"), "Own pages")) if len(cells) == 2
                      for path in re.findall(r"`?(/[\w/{}]+)`?", cells[0])]
        [engine] = self.start_sims(1)
        self.port = self.start_router([engine]).port
        self.check("POST", "/v1/chat/completions", dict, "-d", '{"messages":[{"role":"user","content":"hi"}]}')
        calls = {
            "/health": ("/health", ROUTER_HEALTH),
            "/status": ("/status", ROUTER_HEALTH),
            "/ready": ("/ready", {"ready": bool}),
            "/services": ("/services", {"services": [INSTANCE], "total": int, "registry_url": (None, str)}),
            "/stats": ("/stats", ROUTER_STATS),
            "/models": ("/models", MODELS),
            "/v1/models": ("/v1/models", MODELS),
            "/v1/models/{id}": ("/v1/models/sim-model", MODEL),
            "/metrics": ("/metrics", r"(?m)^# TYPE infinilm_router_requests_total counter$"),
            "/explain": ("/explain?model=sim-model&key=a&client=127.0.0.1&text_bytes=9", EXPLAIN),
        }
        self.check_all_of_the_page(documented, calls)
        for name, (target, shape) in calls.items():
            with self.subTest(name):
                self.check("GET", target, shape)
                self.assertEqual(self.curl("HEAD", target).status, 200)
                self.assertIn(self.curl("OPTIONS", target).status, (200, 204))
                error = OPENAI_ERROR if target.startswith("/v1/") else ERROR
                self.check("DELETE", target, error, status=405)
        self.check("GET", "/v1/models/nobody", OPENAI_ERROR, status=404)

    def test_what_is_proxied(self):
        [engine] = self.start_sims(1, "--kind=vllm")
        self.port = self.start_router([engine]).port
        usage = {"prompt_tokens": int, "completion_tokens": int, "total_tokens": int, "prompt_tokens_details": dict}
        choice = {"index": int, "logprobs": None, "finish_reason": str}
        whole = {"id": str, "object": str, "created": int, "model": str, "system_fingerprint": None, "usage": usage}
        body = {"model": "sim-model", "max_tokens": 3, "messages": [{"role": "user", "content": "hi"}]}
        self.check("POST", "/v1/chat/completions", whole | {
            "choices": [choice | {"message": {"role": str, "content": str}}]}, "-d", json.dumps(body))
        self.check("POST", "/v1/completions", whole | {"choices": [choice | {"text": str}]},
                   "-d", json.dumps({"model": "sim-model", "prompt": "hi"}))
        answer = self.curl("POST", "/v1/chat/completions", "-N", "-d", json.dumps(body | {"stream": True}))
        events = re.findall(r"data: (.*)\n\n", answer.body)
        self.assertEqual((answer.status, answer.kind, events[-1]), (200, "text/event-stream", "[DONE]"))
        self.assertEqual("".join(json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-1]),
                         words(3))
        self.check("POST", "/v1/chat/completions", OPENAI_ERROR, "-d", '{"model":"nobody"}', status=404)
        self.check("GET", "/anything/else", {"detail": str}, status=404)  # the engine's answer


class Agent(Endpoints, AgentTest):
    def test_every_page(self):
        documented = {cells[0]: cells[1] for cells in rows(section(page("docs/agent.md"), "Pages")) if len(cells) == 3}
        tokens = self.write("tokens", f"{READER} read\n{WRITER} write\n")
        tokens.chmod(0o600)
        self.token = WRITER
        agent = self.running_agent(sim(), f"--token-file={tokens}", token=WRITER)
        self.port = agent.port
        calls = {  # in the order in which they are made
            "GET /health": ("/health", AGENT_HEALTH, 200),
            "GET /health?compat=1": ("/health?compat=1", AGENT_HEALTH, 200),
            "GET /models": ("/models", MODELS, 200),
            "GET /v1/models": ("/v1/models", MODELS, 200),
            "GET /info": ("/info", INFO, 200),
            "GET /status": ("/status", STATUS, 200),
            "GET /logs?lines=N": ("/logs?lines=2", r"\A(.* (out|err|agent) .*\n){2}\n?\Z", 200),
            "GET /logs?follow=1": ("/logs?follow=1", None, 200),
            "GET /metrics": ("/metrics", r"(?m)^# TYPE infinilm_agent_state gauge$", 200),
            "POST /drain": ("/drain", {"message": str}, 202),
            "POST /restart": ("/restart", {"message": str}, 202),
        }
        self.check_all_of_the_page(documented, calls)
        for name, (target, shape, status) in calls.items():
            with self.subTest(name):
                method = name.split()[0]
                if documented[name] != "nothing":
                    self.check(method, target, ERROR, status=401, token="")
                if documented[name] == "write":
                    self.check(method, target, ERROR, status=403, token=READER)
                if shape is None:
                    line = first_line(self.url(target), "-H", f"Authorization: Bearer {READER}")
                    self.assertRegex(line, r" (out|err|agent) .*\n$")
                else:
                    self.check(method, target, shape, status=status)
        agent.running()
        self.check("POST", "/info", ERROR, status=405)
        self.check("GET", "/nowhere", ERROR, status=404)
        self.finish(agent)


if __name__ == "__main__":
    main()
