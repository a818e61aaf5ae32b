#!/usr/bin/env python3
"""The engine simulator speaks as the engines do, and takes and refuses requests as it should."""

import json
import subprocess
import time

from support import http_wire
from support.case import main
from support.http_wire import request_bytes
from support.sim_process import CHAT, SIM, SimTest, Stream, chat, words
from support.waiting import let_time_pass, wait_until


class Contract(SimTest):
    def test_paths_and_errors(self):
        sim = self.start_sim("--model=m")
        for path in ("/health", "/models", "/v1/models", "/chat/completions"):
            with self.subTest(path):
                posts = path.endswith("completions")
                self.assertEqual(sim.call("POST" if posts else "GET", path, json=chat() if posts else None).status, 200)
        self.assertEqual(sim.call("GET", "/health").json(), {"status": "healthy"})
        models = sim.call("GET", "/v1/models").json()
        self.assertEqual((models["object"], models["data"][0]["id"], models["data"][0]["owned_by"]),
                         ("list", "m", "infinilm"))
        for path in ("/v1/completions", "/metrics", "/", "/v1/health"):
            answer = sim.call("GET", path)
            self.assertEqual((answer.status, answer.text), (404, '{"detail":"Not Found"}'))
        self.assertEqual(sim.call("GET", CHAT).status, 405)
        for body, text in (("{", '{"error":"Invalid JSON"}'), ('{"a":1} x', '{"error":"Invalid JSON"}'),
                           ("[" * 10_000, '{"error":"Invalid JSON"}'), ("{}", '{"error":"No message provided"}'),
                           ('{"messages":[]}', '{"error":"No message provided"}')):
            answer = sim.call("POST", CHAT, body=body)
            self.assertEqual((answer.status, answer.text), (400, text), body[:20])

    def test_plain_answer(self):
        sim = self.start_sim()
        answer = sim.chat(max_tokens=5)
        choice = answer["choices"][0]
        self.assertEqual((answer["object"], answer["model"], answer["system_fingerprint"]),
                         ("chat.completion", "sim-model", None))
        self.assertRegex(answer["id"], "^cmpl-[0-9a-f]{16}$")
        self.assertEqual(choice["message"], {"role": "assistant", "content": words(5)})
        self.assertEqual(choice["finish_reason"], "length")
        usage = answer["usage"]
        self.assertEqual((usage["completion_tokens"], usage["total_tokens"]), (5, 5 + usage["prompt_tokens"]))
        self.assertEqual(sim.chat()["choices"][0]["finish_reason"], "stop")
        nested = sim.chat(sampling_params={"max_tokens": 2})
        self.assertEqual(nested["usage"]["completion_tokens"], 2)

    def test_stream(self):
        sim = self.start_sim()
        stream = self.stream(sim, max_tokens=40)
        self.assertEqual((stream.status, stream.headers["transfer-encoding"]), (200, "chunked"))
        self.assertTrue(stream.headers["content-type"].startswith("text/event-stream"))
        events = stream.events()
        self.assertEqual(events[-1], "[DONE]")
        self.assertEqual([event["choices"][0]["finish_reason"] for event in events[:-1]], [None] * 40 + ["length"])
        self.assertEqual("".join(event["choices"][0]["delta"].get("content", "") for event in events[:-1]), words(40))
        self.assertNotIn("usage", events[-2])
        self.assertEqual(sim.stats()["chunks"], 40)

    def test_http_10_gets_a_stream_without_chunks(self):
        sim = self.start_sim()
        body = json.dumps(chat(stream=True, max_tokens=2)).encode()
        with sim.connection() as connection:
            connection.send(b"POST " + CHAT.encode() + b" HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            answer = connection.read_to_end()
        self.assertNotIn(b"transfer-encoding", answer)
        self.assertTrue(answer.endswith(b"data: [DONE]\n\n"))

    def test_vllm(self):
        sim = self.start_sim("--kind=vllm")
        self.assertEqual(sim.call("POST", "/chat/completions", json=chat()).status, 404)
        self.assertEqual((sim.call("GET", "/health").status, sim.call("GET", "/health").text), (200, ""))
        plain = sim.call("POST", "/v1/completions", json={"model": "sim-model", "prompt": "x", "max_tokens": 3}).json()
        self.assertEqual((plain["object"], plain["choices"][0]["text"]), ("text_completion", words(3)))
        self.assertEqual(plain["usage"]["prompt_tokens_details"], {"cached_tokens": 0})
        events = self.stream(sim, max_tokens=2, stream_options={"include_usage": True}).events()
        self.assertEqual((events[-1], events[-2]["choices"]), ("[DONE]", []))
        self.assertEqual(events[-2]["usage"]["completion_tokens"], 2)
        self.assertEqual(events[0]["choices"][0]["delta"]["role"], "assistant")
        other = sim.call("POST", CHAT, json=chat() | {"model": "other"})
        self.assertEqual((other.status, other.json()["error"]["type"]), (404, "NotFoundError"))

    def test_several_models(self):
        for kind, path in (("infinilm", CHAT), ("vllm", CHAT), ("infinilm-rust", "/chat/completions")):
            with self.subTest(kind):
                sim = self.start_sim(f"--kind={kind}", "--model", "a", "--model=b c", "--model", "ü", name=kind)
                listed = sim.call("GET", path.replace("chat/completions", "models")).json()["data"]
                self.assertEqual([model["id"] for model in listed], ["a", "b c", "ü"])
                self.assertEqual(len({tuple(sorted(model)) for model in listed}), 1, "all fields of all")
                for model in ("b c", "a", "ü"):
                    with sim.connection() as connection:
                        connection.send(request_bytes("POST", path, json=chat(model=model, stream=True, max_tokens=2)))
                        events = Stream(connection).events()
                    self.assertEqual({event["model"] for event in events if event != "[DONE]"}, {model})
                    if kind != "infinilm-rust":
                        self.assertEqual(sim.chat(model=model)["model"], model)
                unknown = sim.call("POST", path, json=chat(model="c"))
                self.assertEqual(unknown.status, 200 if kind == "infinilm" else 404)
                if kind == "infinilm":
                    self.assertEqual(unknown.json()["model"], "a")

    def test_fixed_sizes_hold_for_each_model(self):
        sim = self.start_sim("--kind=vllm", "--model=m", f"--model={'n' * 100}", "--answer-bytes=600")
        for model in ("m", "n" * 100):
            self.assertEqual(len(sim.call("POST", CHAT, json=chat(model=model, max_tokens=2)).body), 600)

    def test_a_forced_function_call(self):
        tools = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
                 for name in ("weather", 'ti"me\u00e9')]
        named = {"type": "function", "function": {"name": tools[1]["function"]["name"]}}
        sim = self.start_sim("--kind=vllm")
        for choice, name in (("required", tools[0]["function"]["name"]), (named, named["function"]["name"])):
            [choice_made] = sim.chat(tools=tools, tool_choice=choice, max_tokens=3)["choices"]
            [call] = choice_made["message"]["tool_calls"]
            self.assertEqual((choice_made["message"]["content"], choice_made["finish_reason"], call["type"]),
                             (None, "tool_calls", "function"))
            self.assertEqual(call["function"], {"name": name, "arguments": json.dumps({"text": words(3)},
                                                                                      separators=(",", ":"))})
            events = self.stream(sim, tools=tools, tool_choice=choice, max_tokens=3).events()
            self.assertEqual((events[-1], events[-2]["choices"][0]["finish_reason"]), ("[DONE]", "tool_calls"))
            calls = [event["choices"][0]["delta"]["tool_calls"][0] for event in events[1:-2]]
            self.assertEqual((len(calls), calls[0]["function"]["name"]), (5, name))
            self.assertRegex(calls[0]["id"], "^call_[0-9]+$")
            self.assertEqual(json.loads("".join(call["function"]["arguments"] for call in calls)), {"text": words(3)})
        for choice in ("none", "auto", None, 7):
            [choice_made] = sim.chat(tools=tools, tool_choice=choice, max_tokens=3)["choices"]
            self.assertEqual(choice_made["message"]["content"], words(3))
        for more in ({"tools": tools, "tool_choice": {"type": "function", "function": {"name": "nobody"}}},
                     {"tools": [], "tool_choice": "required"}, {"tool_choice": "required"}):
            answer = sim.call("POST", CHAT, json=chat(**more))
            self.assertEqual((answer.status, answer.json()["error"]["type"]), (400, "BadRequestError"), more)

    def test_other_kinds_call_no_function(self):
        tools = [{"type": "function", "function": {"name": "weather"}}]
        answer = self.start_sim().chat(tools=tools, tool_choice="required", max_tokens=2)
        self.assertEqual(answer["choices"][0]["message"]["content"], words(2))

    def test_fixed_sizes_hold_for_calls_that_fit(self):
        sim = self.start_sim("--kind=vllm", "--answer-bytes=700", "--chunk-bytes=300")
        tools = [{"type": "function", "function": {"name": "f"}}]
        body = chat(tools=tools, tool_choice="required", max_tokens=2)
        answer = sim.call("POST", CHAT, json=body)
        self.assertEqual(len(answer.body), 700)
        json.loads(answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"])
        long = chat(tools=[{"type": "function", "function": {"name": "f" * 800}}], tool_choice="required")
        self.assertGreater(len(sim.call("POST", CHAT, json=long).body), 800)

    def test_rust(self):
        sim = self.start_sim("--kind=infinilm-rust")
        self.assertEqual(sim.call("GET", "/models").json()["data"][0]["owned_by"], "QYLab")
        self.assertEqual(sim.call("GET", "/health").json(), {"method": "GET", "uri": "/health"})
        self.assertEqual(sim.call("GET", "/v1/models").status, 404)
        with sim.connection() as connection:
            connection.send(request_bytes("POST", "/chat/completions", json=chat()))  # always a stream
            self.assertTrue(Stream(connection).events()[0]["id"].startswith("InfiniLM-Service-chatcmpl-0x"))
        other = sim.call("POST", "/chat/completions", json=chat() | {"model": "x"})
        self.assertEqual((other.status, other.text), (404, "Model not found: x"))
        lines = sim.stdout_text()
        self.assertLess(lines.index("start service at"), lines.index("ready to accept"))

    def test_not_ready_means_refused(self):
        sim = self.start_sim("--ready-after=2", ready=False)
        self.assertEqual(sim.stats()["port"], 0)
        self.assertIn("Starting API Server", sim.stdout_text())
        self.assertNotIn("Uvicorn running", sim.stderr_text())
        sim.wait_ready()
        self.assertEqual(sim.call("GET", "/health").status, 200)
        wait_until(lambda: f"Uvicorn running on http://127.0.0.1:{sim.port} (Press CTRL+C to quit)"
                   in sim.stderr_text(), 5, "uvicorn's line")

    def test_sizes_are_exact(self):
        sim = self.start_sim("--answer-bytes=600", "--chunk-bytes=200", "--stamp", "--name=one")
        answer = sim.call("POST", CHAT, json=chat())
        self.assertEqual((len(answer.body), answer.header("x-sim-name")), (600, "one"))
        self.assertEqual(answer.json()["object"], "chat.completion")
        stream = self.stream(sim, max_tokens=100)
        before = time.monotonic_ns()
        for number in range(100):
            event = stream.chunk()
            self.assertEqual(len(event), 200)
            fields = json.loads(event.removeprefix(b"data: "))
            self.assertEqual(fields["seq"], number)
            self.assertLess(abs(fields["t"] - before), 60e9)
        bad = subprocess.run([SIM, "--answer-bytes=10"], capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual((bad.returncode, "must be at least" in bad.stderr), (2, True))

    def test_sigterm_waits_for_open_requests_and_a_second_one_does_not(self):
        sim = self.start_sim("--decode-us=50000", name="a")
        stream = self.stream(sim, max_tokens=6)
        stream.chunk()
        sim.signal(15)
        self.assertEqual(stream.events()[-1], "[DONE]")
        self.assertEqual(sim.wait_exit(), 0)
        other = self.start_sim("--fault=hang", name="b")
        with other.connection() as connection:
            connection.send(request_bytes("GET", "/health"))
            other.wait_stats(faults=1)
            other.signal(15)
            let_time_pass(0.2, lambda: self.assertTrue(other.alive))
            other.signal(15)
            self.assertEqual(other.wait_exit(), 0)


class Wire(SimTest):
    def test_keep_alive_pipelining_and_head(self):
        sim = self.start_sim()
        with sim.connection() as connection:
            request = request_bytes("POST", CHAT, json=chat(max_tokens=2))
            connection.send(request * 20 + request_bytes("HEAD", "/health") + request_bytes("GET", "/health"))
            for _ in range(20):
                self.assertEqual(connection.read_response().json()["usage"]["completion_tokens"], 2)
            head = connection.read_response("HEAD")
            self.assertEqual((head.status, head.header("content-length")), (200, "20"))
            self.assertEqual(connection.read_response().json(), {"status": "healthy"})

    def test_pipelining_while_tokens_take_time(self):
        sim = self.start_sim("--decode-us=2000")
        with sim.connection() as connection:
            connection.send(request_bytes("POST", CHAT, json=chat(max_tokens=3)) * 5)
            for _ in range(5):
                self.assertEqual(connection.read_response().json()["choices"][0]["message"]["content"], words(3))

    def test_idle_connections_are_closed(self):
        sim = self.start_sim("--keepalive=1")
        with sim.connection(10) as connection:
            self.assertEqual(connection.request("GET", "/health").status, 200)
            self.assertTrue(connection.is_closed_by_peer())

    def test_expect_100_and_chunked_bodies(self):
        sim = self.start_sim("--record-body=1000")
        body = json.dumps(chat(max_tokens=1)).encode()
        with sim.connection() as connection:
            connection.send(b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: s\r\nExpect: 100-continue\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n")
            self.assertEqual(connection.reader.readline() + connection.reader.readline(),
                             b"HTTP/1.1 100 Continue\r\n\r\n")
            for byte in b"".join(b"%x;a=b\r\n%c\r\n" % (1, byte) for byte in body) + b"0\r\nX-T: 1\r\n\r\n":
                connection.send(bytes([byte]))
            self.assertEqual(connection.read_response().status, 200)
        entry = sim.requests()[-1]
        self.assertEqual((entry["body"].encode("latin-1"), entry["body_bytes"], entry["trailer"]),
                         (body, len(body), "X-T: 1\r\n\r\n"))

    def test_large_bodies(self):
        sim = self.start_sim("--max-body-bytes=1000000", "--num-blocks=4096")
        for size in (64 << 10, 512 << 10, 990_000):
            usage = sim.chat("x" * size, max_tokens=1)["usage"]
            self.assertAlmostEqual(usage["prompt_tokens"], size / 4, delta=20)
        self.assertEqual(sim.call("POST", CHAT, json=chat("x" * 1_000_000)).status, 413)

    def test_bad_requests_are_refused_and_end_the_connection(self):
        sim = self.start_sim()
        get = b"GET / HTTP/1.1\r\n"
        good = get + b"Host: a\r\n"
        chunked = good + b"Transfer-Encoding: chunked\r\n"
        for data, status in ((get + b"\r\n", 400), (b"GET /\r\n\r\n", 400), (b"GET / HTTP/2.0\r\n\r\n", 505),
                             (b"GET / HTTP/1.1\nHost: a\n\r\n\r\n", 400), (good + b"X: \x01\r\n\r\n", 400),
                             (good + b"Host: a\r\n\r\n", 400), (good + b"Content-Length: -1\r\n\r\n", 400),
                             (good + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
                             (chunked + b"Content-Length: 1\r\n\r\n", 400), (chunked + b"\r\n2\n{}\n", 400),
                             (chunked + b"\r\n-1\r\n", 400), (good + b"X: " + b"x" * 70_000, 431)):
            with self.subTest(data[:60]), sim.connection(10) as connection:
                connection.send(data)
                self.assertEqual(connection.read_response().status, status)
                self.assertEqual(connection.read_to_end(), b"")
        self.assertEqual(sim.stats()["bad_requests"], 12)

    def test_recorded_heads_are_what_was_sent(self):
        sim = self.start_sim("--record=2")
        raw = b"GET /health?a=b HTTP/1.1\r\nhOST: x\r\nX-A:  b\xe4\t \r\n\r\n"
        for data in (b"GET /models HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /models HTTP/1.1\r\nHost: b\r\n\r\n", raw):
            http_wire.raw_exchange(sim.port, data)
        self.assertEqual([entry["head"] for entry in sim.requests()], [b"GET /models HTTP/1.1\r\nHost: b\r\n\r\n", raw])
        self.assertEqual(sim.requests()[1]["n"], 3)


if __name__ == "__main__":
    main()
