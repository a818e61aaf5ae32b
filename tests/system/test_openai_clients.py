#!/usr/bin/env python3
"""The official OpenAI clients for Python and Node, through the router: what they ask arrives, what they raise is right.

tests/clients/ has their programs; support/openai_clients.py installs them.
"""

import hashlib
import json
import pathlib
import tempfile
import unittest
from unittest import mock

from support import openai_clients
from support.case import main
from support.openai_clients import NotInstalled, Raised
from support.raw_upstream import RawUpstream, chunk, event, stream_head
from support.router_process import MODEL, RouterTest
from support.sim_process import words
from support.waiting import patience, wait_until

KEYS = {"team-a": {}, "other": {"models": ["another-model"]}, "slow": {"requests_per_minute": 1}}
HELLO = [{"role": "user", "content": "hello"}]
TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "the weather of a city, such as \"Köln\"",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "enum": ["Köln", "北京"]}},
                   "required": ["city"], "additionalProperties": False}}}]
# No probe and no search for hung instances: what an instance does here is what a client sees.
CALM = {"health_interval": "24h", "hung_timeout": 0}


class ClientTest(RouterTest):
    command = None  # gives the client's command, or raises NotInstalled
    timed_out = ()  # the classes of what a client raises
    cancelled = ()

    @classmethod
    def setUpClass(cls):
        openai_clients.skip_if_told()
        stderr = tempfile.TemporaryFile()
        cls.addClassCleanup(stderr.close)
        cls.client = openai_clients.Client(cls.command(), stderr)
        cls.addClassCleanup(cls.client.close)

    def start(self, *sim_flags, count=1, args=(), config=None, **client):
        """A router with so many engines of kind vllm, and the client connected to it."""
        kind = () if any(flag.startswith("--kind") for flag in sim_flags) else ("--kind=vllm",)
        self.sims = self.start_sims(count, *kind, "--record-body=2000000", *sim_flags)
        self.router = self.start_router(self.sims, args=args, config=CALM | (config or {}))
        self.connect(**client)
        return self.sims[0]

    def connect(self, **options):
        options.setdefault("timeout", patience(60))
        self.client.connect(base_url=f"http://127.0.0.1:{self.router.port}/v1", **options)

    def raised(self, call, *classes, **fields):
        """What the call raises, which is of these classes."""
        with self.assertRaises(Raised) as caught:
            call(**fields)
        error = caught.exception
        for name in classes:
            self.assertIn(name, error.classes, error)
        return error

    def chat_raises(self, kind, status, code, **fields):
        """A chat request is answered with an error of the router: as this class, with this status and code."""
        error = self.raised(self.client.chat, kind, "APIError", **({"model": MODEL, "messages": HELLO} | fields))
        self.assertEqual((error.classes[0], error.status, error.code), (kind, status, code), error)
        self.assertTrue(error.request_id and error.type, error)
        streamed = self.raised(self.client.stream, **({"model": MODEL, "messages": HELLO} | fields))
        self.assertEqual((streamed.classes[0], streamed.status), (kind, status), streamed)
        return error

    def last_post(self, sim):
        """The last request of a client that the engine got."""
        return [request for request in sim.requests() if request["head"].startswith(b"POST ")][-1]

    def body_at(self, sim):
        """Its body, which is there whole."""
        last = self.last_post(sim)
        body = last["body"].encode("latin-1")
        self.assertEqual(len(body), last["body_bytes"])
        return json.loads(body)

    def wait_busy(self, sim):
        wait_until(lambda: sim.stats()["active"] == 1, 20, "a request at the engine", 0.002)

    def assert_cancelled(self, sim):
        """The engine saw the client leave, and nothing is in flight any more."""
        def left():
            stats = sim.stats()
            self.assertEqual((stats["cancelled"], stats["active"]), (max(1, stats["generations"]), 0))
            return True
        wait_until(left, 20, "the end of the request at the engine")
        self.router.wait_idle()


class Cases:
    """What every client can do."""

    def test_models(self):
        self.start(count=2)
        [model] = self.client.models()
        self.assertEqual((model["id"], model["object"]), (MODEL, "model"))
        self.assertEqual(self.client.model(name=MODEL), model)
        error = self.raised(self.client.model, "NotFoundError", name="nobody's")
        self.assertEqual((error.status, error.code), (404, "model_not_found"))

    def test_chat(self, kind="vllm"):
        sim = self.start(f"--kind={kind}")
        fields = {"model": MODEL, "messages": HELLO, "max_tokens": 5}
        answer = self.client.chat(**fields)
        self.assertEqual((answer["content"], answer["role"], answer["model"]), (words(5), "assistant", MODEL))
        self.assertEqual((answer["finish_reason"], answer["usage"]["completion_tokens"]), ("length", 5))
        wait_until(lambda: f"request_id={answer['request_id']} " in self.router.log_text(), 10, "its access log line")
        self.assertEqual(self.body_at(sim), fields)

    def test_chat_with_infinilm(self):
        self.test_chat("infinilm")

    def test_streamed_chat(self, kind="vllm"):
        sim = self.start(f"--kind={kind}")
        fields = {"model": MODEL, "messages": HELLO, "max_tokens": 40, "stream_options": {"include_usage": True}}
        answer = self.client.stream(**fields)
        self.assertEqual(("".join(answer["pieces"]), len(answer["pieces"])), (words(40), 40))
        self.assertEqual(answer["finish_reason"], "length")
        self.assertEqual(self.body_at(sim), fields | {"stream": True})
        if kind == "vllm":
            self.assertEqual((answer["role"], answer["usage"]["completion_tokens"]), ("assistant", 40))

    def test_streamed_chat_with_infinilm(self):
        self.test_streamed_chat("infinilm")

    def test_completions(self):
        self.start()
        self.assertEqual(self.client.completion(model=MODEL, prompt="hello", max_tokens=3), words(3))

    def test_a_long_conversation_arrives_whole(self):
        sim = self.start("--num-blocks=0")
        texts = ("Ünïcödé 北京 \U0001f600 \"quoted\" \\ \u2028\x01\n\t", "x" * 1_000_000, "")
        fields = {"model": MODEL, "messages": [{"role": role, "content": text}
                                               for role, text in zip(("system", "user", "assistant"), texts)],
                  "temperature": 0.1, "stop": ["\n"], "seed": 7, "user": "somebody", "max_tokens": 1}
        self.client.chat(**fields)
        self.assertEqual(self.body_at(sim), fields)

    def test_tools_are_passed_through(self):
        """The request arrives as it was made, the call of the answer comes back, and so does the tool's result."""
        sim = self.start("--num-blocks=0")
        fields = {"model": MODEL, "messages": HELLO, "tools": TOOLS, "max_tokens": 6, "parallel_tool_calls": False,
                  "tool_choice": {"type": "function", "function": {"name": "get_weather"}}}
        answer = self.client.chat(**fields)
        self.assertEqual(self.body_at(sim), fields)
        [call] = answer["tool_calls"]
        self.assertEqual((answer["content"], answer["finish_reason"], call["name"]),
                         (None, "tool_calls", "get_weather"))
        self.assertEqual(json.loads(call["arguments"]), {"text": words(6)})

        streamed = self.client.stream(**fields | {"tool_choice": "required"})
        [same] = streamed["tool_calls"]
        self.assertEqual((streamed["pieces"], streamed["finish_reason"], same["name"], json.loads(same["arguments"])),
                         ([], "tool_calls", "get_weather", {"text": words(6)}))

        more = [*HELLO, {"role": "assistant", "content": None, "tool_calls": [
            {"id": call["id"], "type": "function", "function": {key: call[key] for key in ("name", "arguments")}}]},
            {"role": "tool", "tool_call_id": call["id"], "content": "{\"sky\": \"晴\"}"}]
        fields = fields | {"messages": more, "tool_choice": "auto"}
        answer = self.client.chat(**fields)
        self.assertEqual((answer["content"], answer["tool_calls"]), (words(6), []))
        self.assertEqual(self.body_at(sim), fields)

    def test_keys(self):
        keys = [{"name": name, "sha256": hashlib.sha256(self.key(name).encode()).hexdigest(), **more}
                for name, more in KEYS.items()]
        file = self.write("keys.json", json.dumps({"keys": keys}))
        file.chmod(0o600)
        sim = self.start(args=[f"--api-keys-file={file}"], key=self.key("team-a"))
        self.assertEqual([model["id"] for model in self.client.models()], [MODEL])
        self.client.chat(model=MODEL, messages=HELLO)
        self.assertNotIn(b"authorization", self.last_post(sim)["head"].lower())
        self.connect(key="sk-nobodys-key-000000")
        self.chat_raises("AuthenticationError", 401, "invalid_api_key")
        self.raised(self.client.models, "AuthenticationError")
        self.connect(key=self.key("other"))
        self.chat_raises("PermissionDeniedError", 403, "model_not_allowed")
        self.connect(key=self.key("slow"))
        self.client.chat(model=MODEL, messages=HELLO)
        self.chat_raises("RateLimitError", 429, "rate_limited")

    @staticmethod
    def key(name):
        return f"sk-{name}-0123456789abcdef"

    def test_a_model_that_nobody_has(self):
        self.start()
        error = self.chat_raises("NotFoundError", 404, "model_not_found", model="gpt-nobody")
        self.assertIn("gpt-nobody", error.message)

    def test_no_instance(self):
        sim = self.start()
        sim.kill()
        self.raised(self.client.chat, "InternalServerError", model=MODEL, messages=HELLO)
        self.router.wait_state(sim.name, "down")
        self.chat_raises("InternalServerError", 503, "no_ready_instance")

    def test_a_body_that_is_too_large(self):
        self.start(config={"max_body_bytes": 1024})
        long = [{"role": "user", "content": "x" * 2000}]
        error = self.raised(self.client.chat, "APIError", model=MODEL, messages=long)
        self.assertEqual((error.status, error.code), (413, "body_too_large"))

    def test_errors_of_the_engine_are_passed_on(self):
        sim = self.start()
        error = self.raised(self.client.chat, "BadRequestError", model=MODEL, messages=HELLO, tool_choice="required")
        self.assertIn("tool_choice needs a function of tools", error.message)
        for status, kind in ((400, "BadRequestError"), (422, "UnprocessableEntityError"), (500, "InternalServerError")):
            sim.fault("status", status=status, count=1)
            self.assertEqual(self.raised(self.client.chat, kind, model=MODEL, messages=HELLO).status, status)

    def test_nobody_listens(self):
        self.start()
        self.router.kill()
        self.raised(self.client.chat, "APIConnectionError", model=MODEL, messages=HELLO)

    def test_a_full_instance_is_429_and_the_clients_retries_wait_it_out(self):
        sim = self.start("--decode-us=60000000", "--pace=each", args=["--max-concurrency=1"])
        self.client.begin(model=MODEL, messages=HELLO)
        self.wait_busy(sim)
        self.chat_raises("RateLimitError", 429, "queue_full")
        refused = 'infinilm_router_refusals_total{reason="queue_full"}'
        self.raised(self.client.cancel)
        self.assert_cancelled(sim)
        stream = self.router.stream()
        self.wait_busy(sim)
        before = self.router.metric(refused)
        self.connect(retries=5)
        self.client.begin(model=MODEL, messages=HELLO, max_tokens=1)
        wait_until(lambda: self.router.metric(refused) > before, 20, "the first refusal")
        stream.connection.close()
        self.assertEqual(self.client.finish(), words(1))

    def test_a_time_out_ends_the_request_at_the_engine(self):
        sim = self.start("--decode-us=60000000")
        for seconds in (0.5, 2, 8, 30):  # until it has come that far, on a busy machine
            self.connect(timeout=seconds)
            error = self.raised(self.client.chat, "APIConnectionError", *self.timed_out, model=MODEL, messages=HELLO)
            self.assertIsNone(error.status)
            if sim.stats()["generations"]:
                break
        self.assert_cancelled(sim)

    def test_cancel_ends_the_request_at_the_engine(self):
        sim = self.start("--decode-us=60000000")
        self.client.begin(model=MODEL, messages=HELLO)
        self.wait_busy(sim)
        self.raised(self.client.cancel, *self.cancelled)
        self.assert_cancelled(sim)

    def test_leaving_a_stream_ends_the_request_at_the_engine(self):
        sim = self.start("--decode-us=5000")
        self.assertEqual(self.client.leave(after=3, model=MODEL, messages=HELLO, max_tokens=100_000), 3)
        self.assert_cancelled(sim)

    def test_a_cut_stream_raises(self):
        sim = self.start()
        for rst in (False, True):
            sim.fault("die_mid_stream", after=5, rst=rst, count=1)
            error = self.raised(self.client.stream, "APIError", model=MODEL, messages=HELLO, max_tokens=50)
            self.assertEqual((error.code, error.type), ("upstream_cut", "server_error"), error)
            self.assertRegex(error.message, r"\[after [0-5] pieces\]$")
        for after in (0, 5):
            sim.fault("die_mid_stream", after=after, count=1)
            self.raised(self.client.chat, model=MODEL, messages=HELLO, max_tokens=50)
        self.router.wait_idle()

    def test_a_stream_cut_anywhere_raises(self):
        """Between two events, inside one, inside a chunk: never a shorter answer that looks whole."""
        one = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": MODEL,
               "choices": [{"index": 0, "delta": {"content": "one"}, "finish_reason": None}]}
        cuts = (b"", chunk(b"data: {\"id\":\"x\",\"cho"), chunk(b"data: " + json.dumps(one).encode() + b"\n"),
                b"40\r\ndata: {\"half\"", b"5")
        left = list(cuts)

        def answer(connection, _):
            connection.send(stream_head() + event(one) + left.pop(0))
            connection.close()
        upstream = RawUpstream(answer)
        self.addCleanup(upstream.close)
        self.router = self.start_router([upstream.port], config=CALM | {"learn_models": False, "retry_post": False})
        self.connect()
        for cut in cuts:
            with self.subTest(cut=cut):
                error = self.raised(self.client.stream, model=MODEL, messages=HELLO)
                self.assertRegex(error.message, r"\[after [12] pieces\]$")
                if b"cho" not in cut and b"half" not in cut:  # half an event is no JSON, and that is said
                    self.assertEqual(error.code, "upstream_cut", error)

    def test_a_router_that_dies_raises(self):
        self.start("--decode-us=5000", "--num-blocks=0")
        self.assertEqual(self.client.open_streams(count=3, model=MODEL, messages=HELLO, max_tokens=100_000), 3)
        self.router.kill()
        self.assertEqual([list(stream) for stream in self.client.finish_streams()], 3 * [["raised"]])

    def test_100_streams_at_once(self):
        """All are open at the same time before any goes on, and each gets its own whole answer."""
        sims = [self.start("--max-batch=100", "--num-blocks=0", "--role-at-once", count=2), self.sims[1]]
        for sim in sims:
            sim.fault("step_failure")  # a stream begins, and its tokens wait
        self.assertEqual(self.client.open_streams(count=100, model=MODEL, messages=HELLO, max_tokens=60), 100)
        self.assertEqual(self.router.totals()["requests_active"], 101)
        self.assertEqual(sum(sim.stats()["waiting"] + sim.stats()["active"] for sim in sims), 100)
        for sim in sims:
            sim.no_faults()
        answers = self.client.finish_streams()
        self.assertEqual([("".join(answer["pieces"]), answer["finish_reason"]) for answer in answers],
                         100 * [(words(60), "length")])
        self.router.wait_idle()


class Python(Cases, ClientTest):
    command = staticmethod(openai_clients.python_command)
    timed_out = ("APITimeoutError",)
    cancelled = ("CancelledError",)


class Node(Cases, ClientTest):
    command = staticmethod(openai_clients.node_command)
    timed_out = ("APIConnectionTimeoutError",)
    cancelled = ("APIUserAbortError", "APIError")


class Installing(unittest.TestCase):
    """What keeps a client from being installed is said in a sentence, and is a failure."""

    def setUp(self):
        openai_clients.skip_if_told()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        patches = (mock.patch.object(openai_clients, "INSTALLED", pathlib.Path(folder.name) / "clients"),
                   mock.patch.dict("os.environ", {
                       "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_NO_CACHE_DIR": "1", "PIP_FIND_LINKS": "",
                       "npm_config_registry": "http://127.0.0.1:9/", "npm_config_cache": folder.name}))
        for patch in patches:
            patch.start()
            self.addCleanup(patch.stop)

    def test_an_index_that_cannot_be_reached(self):
        for what, command in (("pip install", openai_clients.python_command), ("npm ci", openai_clients.node_command)):
            with self.subTest(what):
                self.assertRaisesRegex(NotInstalled, rf"^{what} failed .* reachable\? \(INFINILM_SKIP_C", command)

    def test_no_node(self):
        with mock.patch.dict("os.environ", {"PATH": "/nowhere"}):
            self.assertRaisesRegex(NotInstalled, "^node and npm are needed: scripts/install_deps.sh --tests$",
                                   openai_clients.node_command)


if __name__ == "__main__":
    main()
