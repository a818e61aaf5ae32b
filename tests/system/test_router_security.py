#!/usr/bin/env python3
"""API keys, and what a client can not bring about: another model, another upstream, another's address, a loop."""

import hashlib
import json
import random
import signal

from support import http_wire
from support.case import main
from support.raw_upstream import event, raw_router, raw_upstream, stream_head
from support.router_process import MODEL, RouterTest, chat, run_router
from support.sim_process import CHAT
from support.waiting import wait_until

ALL, FEW, OTHER = "key-for-everything-01", "key-for-one-model-0001", "key-that-comes-later-1"


def key(name, secret, **fields):
    return {"name": name, "sha256": hashlib.sha256(secret.encode()).hexdigest(), **fields}


def bearer(secret):
    return [("Authorization", f"Bearer {secret}")]


def what_an_engine_reads(request):
    """The model that a usual engine (the last of equal keys counts) finds in a body."""
    return json.loads(request.body).get("model")


class Keys(RouterTest):
    def write_keys(self, *keys):
        return self.write("keys.json", json.dumps({"keys": keys}))

    def start_with_keys(self, *keys, models=(MODEL, "other"), **config):
        upstream = raw_upstream(self)
        path = self.write_keys(*(keys or (key("all", ALL), key("few", FEW, models=[MODEL]))))
        config = {"api_keys_file": str(path), **config}
        return upstream, raw_router(self, [upstream], config=config, models=list(models))

    def post(self, router, secret, body=None, headers=(), **fields):
        headers = [*(bearer(secret) if secret else []), *headers]
        return router.call("POST", CHAT, json=None if body is not None else chat(**fields), body=body, headers=headers)

    def test_401_without_a_key_or_with_a_wrong_one(self):
        upstream, router = self.start_with_keys()
        for secret, code in ((None, "missing_api_key"), ("wrong-key-0123456789", "invalid_api_key"),
                             (ALL + "x", "invalid_api_key"), (ALL[:-1], "invalid_api_key"),
                             (ALL.upper(), "invalid_api_key")):
            with self.subTest(secret):
                response = self.post(router, secret)
                error = self.assert_openai_error(response, 401, code)
                self.assertEqual(error["type"], "authentication_error")
                self.assertEqual(response.header("WWW-Authenticate"), "Bearer")
                self.assertNotIn(str(secret), response.text)
        for headers in ([("Authorization", f"Basic {ALL}")], [("X-Api-Key", ALL)], [("Authorization", ALL)]):
            self.assertEqual(self.post(router, None, headers=headers).status, 401, headers)
        self.assertEqual(router.call("POST", f"{CHAT}?api_key={ALL}", json=chat()).status, 401)
        self.assertEqual(upstream.requests, [])
        self.assertEqual(self.post(router, ALL).status, 200)
        self.assertEqual(router.call("GET", "/v1/models").status, 401)
        self.assertEqual(router.call("GET", "/v1/models", headers=bearer(ALL)).status, 200)
        for path in ("//stats", "/stats/", "/%73tats", "/v1/../stats", "/v1/files"):
            self.assertEqual(router.call("GET", path).status, 401, path)

    def test_401_comes_before_the_body(self):
        upstream, router = self.start_with_keys()
        for framing in ("Content-Length: 50000000", "Transfer-Encoding: chunked"):
            with router.connection() as connection:
                connection.send(f"POST {CHAT} HTTP/1.1\r\nHost: r\r\n{framing}\r\n\r\n".encode())
                response = connection.read_response()
                self.assert_openai_error(response, 401, "missing_api_key")
                self.assertEqual(response.header("Connection"), "close")
        self.assertEqual(upstream.received(), 0)

    def test_the_clients_key_is_not_passed_on_nor_shown_anywhere(self):
        upstream, router = self.start_with_keys(access_log="json")
        self.assertEqual(self.post(router, ALL).status, 200)
        self.assertEqual(self.post(router, FEW, model="other").status, 403)
        self.assertNotIn(ALL.encode(), bytes(upstream.connections[0].received))
        wait_until(lambda: '"status":403' in router.log_text(), 5, "the access log")
        shown = "".join(router.call("GET", page).text for page in ("/stats", "/metrics", "/services", "/health"))
        for secret in (ALL, FEW):
            self.assertNotIn(secret, router.log_text() + router.stderr_text() + shown)
        self.assertIn('"key":"few"', router.log_text())

    def test_403_for_a_model_that_the_key_does_not_allow(self):
        upstream, router = self.start_with_keys()
        error = self.assert_openai_error(self.post(router, FEW, model="other"), 403, "model_not_allowed")
        self.assertEqual((error["param"], error["type"]), ("model", "permission_error"))
        self.assertEqual(self.post(router, FEW).status, 200)
        self.assertEqual(self.post(router, ALL, model="other").status, 200)
        self.assertEqual(router.call("GET", "/v1/files", headers=bearer(FEW)).status, 403)
        self.assertEqual([what_an_engine_reads(request) for request in upstream.requests], [MODEL, "other"])

    def test_a_model_can_not_be_smuggled_past_a_key(self):
        good, bad = MODEL, "other"
        rest = '"messages":[]'
        bodies = [
            f'{{"model":"{good}","model":"{bad}",{rest}}}', f'{{"model":"{bad}","model":"{good}",{rest}}}',
            f'{{"model":"{good}",{rest},"mod\\u0065l":"{bad}"}}', f'{{"mod\\u0065l":"{bad}",{rest}}}',
            f'{{"model":"{good}","model":null,{rest}}}', f'{{"model":"{good}","model":["{bad}"],{rest}}}',
            f'{{"model":"{good}",{rest}}}{{"model":"{bad}"}}', f'{{"model":"{good}",{rest}', f'[{{"model":"{bad}"}}]',
            f'{{"model":"{good}\\u0000","messages":[]}}', f'{{"model":"{good} ","messages":[]}}',
            f'{{"Model":"{good}","model":"{bad}",{rest}}}', f'{{"x":{{"model":"{good}"}},{rest}}}',
            f'{{"x":{{"model":"{good}"}},"model":"{bad}"}}', f'{{/*"model":"{good}",*/"model":"{bad}"}}',
            f"{{'model':'{good}'}}", f'\ufeff{{"model":"{bad}",{rest}}}', f'{{"model":"\\ud800","model":"{bad}"}}',
            f'{{"n":NaN,"model":"{bad}"}}', f'{{"n":' + "[" * 2000 + "]" * 2000 + f',"model":"{bad}"}}', "", "null",
            f"model={bad}", f'  \n\t{{"model" : "{bad}"}}',
        ]
        bodies = [body.encode() for body in bodies] + [
            f'{{"model":"{bad}","x":"{good}"}}'.encode(encoding) for encoding in ("utf-16", "utf-16-le", "utf-32")]
        bodies.append(f'{{"model":"{good}","x":"'.encode() + b"\xff" + f'","model":"{bad}"}}'.encode())
        upstream, router = self.start_with_keys()
        for body in bodies:
            for chunked in (False, True):
                with self.subTest(body[:80], chunked=chunked):
                    before = len(upstream.requests)
                    if chunked:
                        data = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
                        response = self.post(router, FEW, data, [("Transfer-Encoding", "chunked")])
                    else:
                        response = self.post(router, FEW, body)
                    if response.status == 200:
                        self.assertEqual(what_an_engine_reads(upstream.requests[-1]), good)
                        self.assertEqual(upstream.requests[-1].body, body)
                    else:
                        self.assertIn(response.status, (400, 403), response)
                        self.assertEqual(len(upstream.requests), before)

    def test_a_key_goes_for_the_alias_or_for_what_it_stands_for(self):
        upstream, router = self.start_with_keys(key("few", FEW, models=[MODEL]), key("alias", ALL, models=["nick"]),
                                                model_aliases={"nick": MODEL, "wrong": "other"})
        self.assertEqual(self.post(router, FEW, model="nick").status, 200)
        self.assertEqual(self.post(router, ALL, model="nick").status, 200)
        self.assertEqual(self.post(router, ALL).status, 403)
        self.assertEqual(self.post(router, FEW, model="wrong").status, 403)

    def test_429_when_the_requests_of_a_minute_are_used(self):
        upstream, router = self.start_with_keys(key("slow", FEW, requests_per_minute=2), key("all", ALL))
        self.assertEqual([self.post(router, FEW).status for _ in range(2)], [200, 200])
        response = self.post(router, FEW)
        error = self.assert_openai_error(response, 429, "rate_limited")
        self.assertEqual(error["type"], "rate_limit_error")
        self.assertTrue(20 <= int(response.header("Retry-After")) <= 31, response.headers)
        self.assertEqual(self.post(router, ALL).status, 200)
        router.reload()
        self.assertEqual(self.post(router, FEW).status, 429, "a reload must not give a minute's worth again")
        self.assertEqual(len(upstream.requests), 3)

    def test_429_when_the_tokens_of_a_minute_are_used(self):
        sims = self.start_sims(1, "--kind", "vllm")
        for stream in (False, True):
            with self.subTest(stream=stream):
                path = self.write_keys(key("slow", FEW, tokens_per_minute=60), key("all", ALL))
                router = self.start_router(sims, config={"api_keys_file": str(path)}, name=f"router-{stream}")
                if stream:
                    answer = router.stream(max_tokens=100, headers=bearer(FEW))
                    self.assertEqual(answer.events()[-1], "[DONE]")
                    answer.connection.close()
                else:
                    self.assertEqual(self.post(router, FEW, max_tokens=100).status, 200)
                response = self.post(router, FEW)
                self.assert_openai_error(response, 429, "token_rate_limited")
                self.assertTrue(30 <= int(response.header("Retry-After")) <= 61, response.headers)
                self.assertEqual(self.post(router, ALL).status, 200)

    def test_tokens_are_used_up_when_the_client_reads_done(self):
        def script(connection, _):
            usage = {"prompt_tokens": 50, "completion_tokens": 50, "total_tokens": 100}
            connection.send(stream_head() + event({"choices": [], "usage": usage}) + event("[DONE]"))
            connection.wait_end()

        upstream, router = self.start_with_keys(key("slow", FEW, tokens_per_minute=60))
        upstream.script = script
        with router.connection() as connection:
            connection.send(http_wire.request_bytes("POST", CHAT, json=chat(stream=True), headers=bearer(FEW)))
            self.assertIn(b"data: [DONE]\n", iter(connection.reader.readline, b""))
            self.assert_openai_error(self.post(router, FEW), 429, "token_rate_limited")
        router.wait_idle()
        response = self.post(router, FEW)
        self.assertTrue(30 <= int(response.header("Retry-After")) <= 41, "spent once, not twice")

    def test_check_config_reads_the_files_that_settings_name(self):
        keys = self.write_keys(key("all", ALL))
        self.assertEqual(run_router("--check-config", f"--api-keys-file={keys}", folder=self.folder).returncode, 0)
        for flag in ("api-keys-file", "registry-token-file", "upstream-token-file", "tls-ca"):
            ended = run_router("--check-config", f"--{flag}={self.folder}/none", folder=self.folder)
            self.assertEqual((ended.returncode, ended.stdout), (2, ""), flag)
            self.assertIn("/none", ended.stderr)

    def test_sighup_reloads_the_keys_and_a_bad_file_keeps_the_old_ones(self):
        upstream, router = self.start_with_keys()
        self.write_keys(key("later", OTHER))
        router.reload()
        self.assertEqual([self.post(router, secret).status for secret in (ALL, FEW, OTHER)], [401, 401, 200])
        for bad in ("", "{", '{"keys":[]}', json.dumps({"keys": [{"name": "x", "key": "short"}]}),
                    json.dumps({"keys": [{"name": "x", "key": ALL, "modles": []}]}),
                    json.dumps({"keys": [key("x", ALL), key("x", FEW)]}),
                    json.dumps({"keys": [key("x", ALL, models=[])]}), None):
            with self.subTest(bad):
                path = self.folder / "keys.json"
                path.unlink() if bad is None else path.write_text(bad)
                before = router.reloads()[1]
                router.signal(signal.SIGHUP)
                wait_until(lambda: router.reloads()[1] > before, 10, "the refusal")
                self.assertEqual([self.post(router, secret).status for secret in (ALL, OTHER)], [401, 200])
                self.assertNotIn(ALL, router.stderr_text())

    def test_a_bad_key_file_stops_the_start_and_is_not_quoted(self):
        for index, bad in enumerate(("", '{"keys":[]}', json.dumps({"keys": [{"name": "x", "key": ALL, "sha256": 1}]}),
                                     json.dumps({"keys": [{"name": "x", ALL: 1}]}))):
            ended = run_router("--port=0", "--log-file=", f"--api-keys-file={self.write(f'bad{index}', bad)}",
                               folder=self.folder, timeout=20)
            self.assertNotEqual(ended.returncode, 0, bad)
            self.assertIn("api_keys_file", ended.stderr)
            self.assertNotIn(ALL, ended.stderr + ended.stdout)

    def test_cve_2026_42208_whatever_authorization_says_it_is_401_or_400(self):
        upstream, router = self.start_with_keys()
        dice = random.Random(7)
        values = [b"", b"Bearer", b"Bearer ", b"Bearer \t", b"bearer", b"Bearer ' OR 1=1 --", b"Bearer " + b"A" * 8000,
                  b"Bearer Bearer " + ALL.encode(), b"Bearer " + ALL.encode() + b" x", b"Negotiate " + ALL.encode()]
        values += [b"Bearer " + bytes(dice.choice(range(32, 256)) for _ in range(dice.randrange(1, 60)))
                   for _ in range(150)]
        for value in values:
            data = b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: r\r\nContent-Length: 2\r\nAuthorization: "
            response = http_wire.raw_exchange(router.port, data + value + b"\r\n\r\n{}")
            self.assertIn(response and response.status, (400, 401), (value, response))
        self.assertEqual(upstream.requests, [])
        self.assertEqual(self.post(router, ALL).status, 200)

    def test_cve_2024_6587_the_request_never_chooses_the_host(self):
        trap = raw_upstream(self)
        upstream = raw_upstream(self)
        router = raw_router(self, [upstream])
        there = f"http://127.0.0.1:{trap.port}"
        fields = {name: there for name in ("api_base", "base_url", "url", "host", "endpoint", "proxy")}
        headers = [(name, there) for name in ("X-Api-Base", "X-Forwarded-Server", "X-Original-Url", "X-Rewrite-Url")]
        headers += [("X-Forwarded-Host", f"127.0.0.1:{trap.port}"), ("X-Router-Upstream", there)]
        self.assertEqual(router.chat(headers=headers, **fields).status, 200)
        target = f"{there}{CHAT}".encode()
        host = f"127.0.0.1:{trap.port}".encode()
        data = b"POST " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nContent-Length: 2\r\n\r\n{}"
        response = http_wire.raw_exchange(router.port, data)
        self.assertIn(response.status, (200, 400))
        self.assertEqual(trap.received(), 0)
        self.assertEqual([request.target for request in upstream.requests][0], CHAT.encode())

    def test_the_own_pages_change_nothing(self):
        upstream, router = self.start_with_keys()
        for page in ("/health", "/status", "/ready", "/services", "/stats", "/models", "/metrics", "/explain"):
            self.assertEqual(router.call("GET", page).status, 200, page)
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                response = router.call(method, page, body=b"{}")
                self.assertEqual(response.status, 405, (method, page))
                self.assertIn("GET", response.header("Allow"))
        self.assertEqual(upstream.requests, [])


if __name__ == "__main__":
    main()
