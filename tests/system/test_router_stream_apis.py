#!/usr/bin/env python3
"""/v1/responses and /v1/messages: when an answer begins, and what it used."""

import hashlib
import json
import threading
import time

from support import http_wire
from support.case import main
from support.raw_upstream import answer_bytes, chunk, raw_router, raw_upstream, stream_head
from support.router_process import MODEL, RouterTest
from support.waiting import let_time_pass, wait_until

PREFILL = 0.5  # seconds, which the upstream lets pass
LONG = "word " * 12_000  # about two seconds of prefill: more than hold_prefill_seconds
SECRET = "key-with-few-tokens-01"
END = b"0\r\n\r\n"


def named(name, **fields):
    return chunk(f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode())


RESPONSES = {
    "path": "/v1/responses",
    "body": {"input": LONG},
    "preamble": [named("response.created", response={"instructions": "x" * 20_000, "usage": None}),
                 named("response.queued", response={"usage": None}),
                 chunk(b": waiting\n\n"),
                 named("response.in_progress", response={"usage": None})],
    "delta": named("response.output_text.delta", delta="one"),
    "end": [named("response.completed", sequence_number=9, response={
        "usage": {"input_tokens": 14_000, "input_tokens_details": {"cached_tokens": 256}, "output_tokens": 7,
                  "total_tokens": 14_007}, "user": None, "metadata": {}})],
    "used": (14_000, 256, 7),
}
MESSAGES = {
    "path": "/v1/messages",
    "body": {"messages": [{"role": "user", "content": LONG}], "max_tokens": 100},
    "preamble": [named("message_start", message={"usage": {
        "input_tokens": 13_000, "cache_creation_input_tokens": 744, "cache_read_input_tokens": 256,
        "output_tokens": 1}}),
                 named("ping"), chunk(b":\n\n"), named("ping", number=2)],
    "delta": named("content_block_delta", index=0, delta={"type": "text_delta", "text": "one"}),
    "end": [named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7}),
            named("message_stop")],
    "used": (14_000, 256, 7),
}


class StreamApis(RouterTest):
    def start(self, script, name="router", **config):
        self.upstream = raw_upstream(self, script)
        self.router = raw_router(self, [self.upstream], "--access-log", "json", name=name, config=config,
                                 models=[MODEL])
        return self.router

    def metric(self, name):
        lines = self.router.call("GET", "/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + " ", name + "{")))

    def logged(self, request_id):
        def line():
            found = [text for text in self.router.log_path.read_text().splitlines() if f'"{request_id}"' in text]
            return json.loads(found[0]) if found else None
        return wait_until(line, 20, "the line of the access log")

    def ask(self, api, request_id):
        connection = self.router.connection()
        self.addCleanup(connection.close)
        connection.send(http_wire.request_bytes("POST", api["path"], headers=[("X-Request-Id", request_id)],
                                                json={"model": MODEL, "stream": True, **api["body"]}))
        return connection

    def check_stream(self, api):
        self.start(lambda connection, _: connection.wait_end(), load_balancing_method="prefix_aware", hold=True,
                   slow_start=0)
        first = self.ask(api, "ask-1")
        upstream = self.upstream.wait_connection(0)
        begun = time.monotonic()
        upstream.send(stream_head())
        for piece in api["preamble"]:
            upstream.send(piece)
        last_line = api["preamble"][-1].splitlines(keepends=True)[-3]
        self.assertIn(last_line, iter(first.reader.readline, b""))
        held = self.ask({**api, "body": json.loads(json.dumps(api["body"]).replace("word", "term"))}, "ask-2")
        wait_until(lambda: self.metric("infinilm_router_held_requests") == 1, 10, "the second one is held")

        def still_computing():
            self.assertEqual(self.metric("infinilm_router_prefix_upstream_decoding"), 0)
            self.assertIsNone(self.router.get("/explain?request_id=ask-1")["first_byte_seconds"])
            self.assertEqual(len(self.upstream.requests), 1)
        let_time_pass(PREFILL, still_computing)
        waited = time.monotonic() - begun
        upstream.send(api["delta"])
        second = self.upstream.wait_connection(1)
        self.assertEqual(self.metric("infinilm_router_prefix_upstream_decoding"), 1)
        self.assertGreaterEqual(self.router.get("/explain?request_id=ask-1")["first_byte_seconds"], waited)
        self.assertEqual(self.metric("infinilm_router_itl_seconds_count"), 0, "the preamble is no piece of the answer")
        for piece in [*api["end"], END]:
            upstream.send(piece)
        record = self.logged("ask-1")
        self.assertGreaterEqual(record["ttft_ms"], waited * 1000)
        self.assertEqual((record["prompt_tokens"], record["completion_tokens"]), (api["used"][0], api["used"][2]))
        counted = tuple(self.metric(f"infinilm_router_{kind}_tokens_total")
                        for kind in ("prompt", "cached", "completion"))
        self.assertEqual(counted, api["used"])
        self.assertGreaterEqual(self.metric("infinilm_router_ttft_seconds_sum"), waited)
        self.assertEqual(self.metric("infinilm_router_ttft_seconds_count"), 1)
        for connection in (first, held):
            connection.close()
        second.wait_closed()
        self.router.wait_idle()

    def test_a_responses_stream_begins_with_its_first_delta(self):
        self.check_stream(RESPONSES)

    def test_a_messages_stream_begins_with_its_first_delta(self):
        self.check_stream(MESSAGES)

    # -- what a key has used -------------------------------------------------------------------------------------------
    def start_with_a_key(self, script, name):
        key = {"name": "few", "sha256": hashlib.sha256(SECRET.encode()).hexdigest(), "tokens_per_minute": 60}
        return self.start(script, name, api_keys_file=str(self.write("keys.json", json.dumps({"keys": [key]}))))

    def assert_spent(self, api):
        again = self.router.call("POST", api["path"], json={"model": MODEL}, headers=self.bearer)
        self.assert_openai_error(again, 429, "token_rate_limited")
        # 100 tokens of 60 are used: 40 of debt, and one to have.
        self.assertTrue(30 <= int(again.header("Retry-After")) <= 41, again.headers)

    bearer = [("Authorization", f"Bearer {SECRET}")]

    def test_plain_answers_are_charged(self):
        answers = {"/v1/responses": {"output": [{"content": "y" * 20_000}],
                                     "usage": {"input_tokens": 60, "output_tokens": 40}, "metadata": {}},
                   "/v1/messages": {"content": [{"type": "text", "text": "y" * 20_000}],
                                    "usage": {"input_tokens": 10, "cache_creation_input_tokens": 20,
                                              "cache_read_input_tokens": 30, "output_tokens": 40}}}

        def script(connection, request):
            body = json.dumps(answers[request.target.decode()])
            connection.send(answer_bytes(body, b"200 OK", b"Content-Type: application/json"))
        for api in (RESPONSES, MESSAGES):
            with self.subTest(api["path"]):
                router = self.start_with_a_key(script, api["path"].rsplit("/", 1)[1])
                answer = router.call("POST", api["path"], json={"model": MODEL},
                                     headers=[*self.bearer, ("X-Request-Id", "ask-1")])
                self.assertEqual(answer.status, 200, answer)
                self.assert_spent(api)
                record = self.logged("ask-1")
                self.assertEqual((record["prompt_tokens"], record["completion_tokens"]), (60, 40))
                router.stop()

    def test_streams_are_charged_when_the_client_reads_their_last_event(self):
        last = {"/v1/responses": [named("response.completed", response={"usage": {"input_tokens": 60,
                                                                                  "output_tokens": 40}})],
                "/v1/messages": [named("message_start", message={"usage": {"input_tokens": 60, "output_tokens": 1}}),
                                 named("message_delta", usage={"output_tokens": 40}), named("message_stop")]}
        read = threading.Event()

        def script(connection, request):
            connection.send(stream_head() + b"".join(last[request.target.decode()]))
            read.wait(30)
            connection.send(END)
        for api in (RESPONSES, MESSAGES):
            with self.subTest(api["path"]):
                read.clear()
                router = self.start_with_a_key(script, api["path"].rsplit("/", 1)[1])
                with router.connection() as connection:
                    connection.send(http_wire.request_bytes("POST", api["path"], json={"model": MODEL, "stream": True},
                                                            headers=self.bearer))
                    ends = (b'"response.completed"', b'"message_stop"')
                    self.assertTrue(any(any(end in line for end in ends)
                                        for line in iter(connection.reader.readline, b"")))
                    self.assert_spent(api)
                    read.set()
                router.wait_idle()
                self.assert_spent(api)  # once, not twice
                router.stop()


if __name__ == "__main__":
    main()
