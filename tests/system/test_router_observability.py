#!/usr/bin/env python3
"""/metrics of the router: well-formed, complete, and with the right numbers after known traffic."""

import re

from support import http_wire
from support.case import main
from support.router_process import MODEL, RouterTest
from support.waiting import wait_until

CALM = {"health_interval": "24h", "hung_timeout": 0}
LINE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?[0-9.e+-]+|\+Inf|NaN)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')

FAMILIES = {
    "ttft_seconds": "histogram", "itl_seconds": "histogram", "request_seconds": "histogram",
    "queue_seconds": "histogram", "hold_seconds": "histogram", "held_requests": "gauge",
    "attempts_total": "counter", "retries_total": "counter",
    "upstream_ejections_total": "counter", "upstream_in_flight": "gauge", "requests_active": "gauge",
    "prompt_tokens_total": "counter", "completion_tokens_total": "counter", "upstream_failures_total": "counter",
    "refusals_total": "counter", "view_age_seconds": "gauge", "queue_length": "gauge", "requests_total": "counter",
    "upstream_requests_total": "counter", "upstream_retries_total": "counter", "upstream_queue_seconds": "histogram",
    "connections": "gauge", "clients_gone_total": "counter",
}


def parse(test, text):
    """({family: type}, {(name, labels as a frozenset): value}); every line must be well-formed and come once."""
    types, samples = {}, {}
    test.assertTrue(text.endswith("\n"))
    family = None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            test.assertNotIn(family, types, "a family comes in one piece")
        elif line.startswith("# TYPE "):
            test.assertEqual(line.split()[2], family)
            types[family] = line.split()[3]
        else:
            found = LINE.fullmatch(line)
            test.assertIsNotNone(found, line)
            labels = found[2] or ""
            pairs = LABEL.findall(labels)
            test.assertEqual("".join(f'{name}="{value}",' for name, value in pairs).rstrip(","), labels, line)
            test.assertTrue(found[1] == family or (types[family] == "histogram" and found[1].startswith(family)), line)
            place = (found[1], frozenset(pairs))
            test.assertNotIn(place, samples, "a sample comes once")
            samples[place] = float(found[3])
    return types, samples


class Metrics(RouterTest):
    def scrape(self, router):
        response = router.call("GET", "/metrics")
        self.assertEqual(response.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8")
        return parse(self, response.text)

    def wait_gauges(self, router, **expected):
        """Awaits these values, the scrape itself included: the call before it may not be over on the router's side when
        its client has the answer and hangs up. Returns the samples.
        """
        def reached():
            _, samples = self.scrape(router)
            self.assertEqual({name: self.value(samples, name) for name in expected}, expected)
            return samples
        return wait_until(reached, 10, "the gauges at rest")

    def value(self, samples, name, **labels):
        return samples.get((f"infinilm_router_{name}", frozenset(labels.items())))

    def test_it_has_all_families_and_each_is_what_it_should_be(self):
        registry = self.start_registry()
        router = self.start_router(self.start_sims(1), registry=registry, config=CALM)
        router.chat()
        wait_until(lambda: router.get("/health")["view_age_seconds"] is not None, 10, "the registry's list")
        types, samples = self.scrape(router)
        for name, kind in FAMILIES.items():
            self.assertEqual(types.get(f"infinilm_router_{name}"), kind, name)
        self.assertLess(self.value(samples, "view_age_seconds"), 60)
        self.assertEqual(self.value(samples, "queue_length_by_model", model=MODEL), 0, "also when there is no queue")
        for name, kind in types.items():
            if kind == "counter":
                self.assertTrue(name.endswith("_total"), name)
        for (name, labels), value in samples.items():
            if "_total" in name or name.endswith(("_count", "_bucket")):
                self.assertGreaterEqual(value, 0, (name, labels))

    def test_the_numbers_after_known_traffic(self):
        sims = self.start_sims(2, "--kind", "vllm")
        router = self.start_router(sims, config=CALM)
        for _ in range(6):
            self.assertEqual(router.chat(max_tokens=5).status, 200)
        streams = [router.stream(max_tokens=7, stream_options={"include_usage": True}) for _ in range(4)]
        for stream in streams:
            self.assertEqual(stream.events()[-1], "[DONE]")
            stream.connection.close()
        self.assertEqual(router.chat(model="nobody-has-it").status, 404)
        http_wire.raw_exchange(router.port, b"GET /v1/x HTTP/1.1\r\nHost: a b\r\n\r\n")
        router.wait_idle()
        types, samples = self.scrape(router)
        for sim in ("sim-0", "sim-1"):
            labels = {"model": MODEL, "upstream": sim}
            self.assertEqual(self.value(samples, "upstream_requests_total", **labels), 5)
            self.assertEqual(self.value(samples, "upstream_answers_total", **labels, **{"class": "2xx"}), 5)
            for name in ("ttft_seconds", "request_seconds"):
                self.assertEqual(self.value(samples, name + "_count", **labels), 5, name)
                self.assertEqual(self.value(samples, name + "_bucket", **labels, le="+Inf"), 5, name)
            self.assertEqual(self.value(samples, "completion_tokens_total", **labels), 3 * 5 + 2 * 7)
            self.assertGreater(self.value(samples, "prompt_tokens_total", **labels), 0)
            self.assertEqual(self.value(samples, "upstream_in_flight", upstream=sim), 0)
            self.assertEqual(self.value(samples, "upstream_retries_total", **labels), 0)
            self.assertEqual(self.value(samples, "upstream_queue_seconds_count", **labels), 0)
            self.assertGreater(self.value(samples, "itl_seconds_count", **labels), 0)
            self.assertGreater(self.value(samples, "answer_bytes_total", **labels), 0)
        self.assertEqual(self.value(samples, "attempts_total"), 10)
        self.assertEqual(self.value(samples, "retries_total"), 0)
        self.assertEqual(self.value(samples, "refusals_total", reason="model_not_found"), 1)
        self.assertEqual(self.value(samples, "refusals_total", reason="bad_request"), 1)
        asked = self.value(samples, "requests_total") - self.value(samples, "own_requests_total")
        self.assertEqual(asked, 12)
        self.assert_histograms(types, samples)
        self.wait_gauges(router, requests_active=1)

    def assert_histograms(self, types, samples):
        """Buckets never fall, the last one is the count."""
        rows = {}
        for (name, labels), value in samples.items():
            if name.endswith("_bucket"):
                pairs = dict(labels)
                bound = float(pairs.pop("le").replace("+Inf", "inf"))
                rows.setdefault((name[:-7], frozenset(pairs.items())), []).append((bound, value))
        self.assertGreater(len(rows), 4)
        for (name, labels), row in rows.items():
            counts = [count for _, count in sorted(row)]
            self.assertEqual(counts, sorted(counts), name)
            self.assertEqual(samples[(name + "_count", labels)], counts[-1], name)
            self.assertIn((name + "_sum", labels), samples)

    def test_retries_failures_and_ejections_are_counted(self):
        sims = self.start_sims(2)
        router = self.new_router(config=CALM)
        router.set_static(*sims, max_fails=2, fail_timeout="1h")
        router.start()
        sims[0].fault("reset")
        for _ in range(8):
            self.assertEqual(router.chat().status, 200)
        _, samples = self.scrape(router)
        labels = {"model": MODEL, "upstream": "sim-0"}
        failed = self.value(samples, "upstream_failures_total", **labels, reason="upstream_reset")
        self.assertGreaterEqual(failed, 2)
        self.assertEqual(self.value(samples, "retries_total"), failed)
        self.assertEqual(self.value(samples, "attempts_total"), 8 + failed)
        self.assertEqual(self.value(samples, "upstream_failures_total", **labels, reason="upstream_cut"), 0,
                         "a series before the first failure, so that this one shows")
        self.assertEqual(self.value(samples, "upstream_answers_total", **labels, **{"class": "5xx"}), 0)
        self.assertEqual(self.value(samples, "upstream_ejections_total", upstream="sim-0"), 1)
        labels = {"model": MODEL, "upstream": "sim-1", "class": "2xx"}
        self.assertEqual(self.value(samples, "upstream_answers_total", **labels), 8)

    def test_gauges_are_zero_after_every_kind_of_end(self):
        sims = self.start_sims(1, "--decode-us", "20000")
        router = self.start_router(sims, config={**CALM, "header_timeout": "600ms"})
        bad = (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
               b"POST /v1/x HTTP/1.1\r\nHost: r\r\nContent-Length: x\r\n\r\n",
               b"POST /v1/x HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"GET /unfinished")
        for data in bad * 3:
            http_wire.raw_exchange(router.port, data)
        gone = [router.stream(max_tokens=1000) for _ in range(5)]
        for stream in gone:
            stream.chunk()
            stream.connection.close()
        for data in (b"POST /v1/x HTTP/1.1\r\nHost: r\r\nContent-Length: 100\r\n\r\nhalf", b"GET /v1/x HTT"):
            with router.connection() as connection:
                connection.send(data)
        sims[0].fault("die_mid_stream", after=2)
        cut = router.stream(max_tokens=10)
        self.addCleanup(cut.connection.close)
        with self.assertRaises(ConnectionError):
            while cut.chunk():
                pass
        sims[0].no_faults()
        router.wait_idle()
        samples = self.wait_gauges(router, requests_active=1, connections=1, buffered_bytes=0)
        self.assertEqual(self.value(samples, "upstream_in_flight", upstream="sim-0"), 0)
        self.assertEqual(self.value(samples, "clients_gone_total"), 6)

    def test_labels_are_escaped(self):
        sims = self.start_sims(1)
        nasty = 'back\\slash "quote" \u00e9'
        router = self.new_router(config=CALM)
        router.set_static({"name": "odd", "host": "127.0.0.1", "port": sims[0].port, "models": [nasty]})
        router.start()
        self.assertEqual(router.chat(model=nasty).status, 200)
        _, samples = self.scrape(router)
        escaped = nasty.replace("\\", "\\\\").replace('"', '\\"')
        self.assertEqual(self.value(samples, "upstream_requests_total", model=escaped, upstream="odd"), 1)

    def test_clients_can_not_make_series(self):
        sims = self.start_sims(1)
        router = self.new_router(config={**CALM, "learn_models": False})
        router.set_static({"name": "any", "host": "127.0.0.1", "port": sims[0].port})
        router.start()
        with router.connection() as connection:
            for index in range(500):
                connection.request("POST", "/v1/chat/completions", json={"model": f"made-up-{index}", "messages": []})
        _, samples = self.scrape(router)
        series = [labels for name, labels in samples if name == "infinilm_router_upstream_requests_total"]
        self.assertLessEqual(len(series), 70)
        self.assertEqual(sum(value for (name, _), value in samples.items()
                             if name == "infinilm_router_upstream_requests_total"), 500)


if __name__ == "__main__":
    main()
