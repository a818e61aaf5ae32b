#!/usr/bin/env python3
"""The access log of the router: its forms, what is left out, what nobody can forge; and the route in the answer."""

import json
import os
import signal

from support.case import main
from support.router_process import MODEL, RouterTest
from support.waiting import let_time_pass, wait_until

CALM = {"health_interval": "24h", "hung_timeout": 0}


class AccessLog(RouterTest):
    def lines(self, router, count=None, word="access: request"):
        def all_there():
            found = [line for line in router.log_text().splitlines() if word in line]
            assert count is None or len(found) >= count, found
            return found or True
        found = wait_until(all_there, 10, f"{count} lines")
        return found if isinstance(found, list) else []

    def stream_to_its_end(self, router, headers=()):
        """Returns how many events came before [DONE]: the tokens, as far as the router can tell without `usage`."""
        stream = router.stream(max_tokens=3, headers=headers)
        events = stream.events()
        self.assertEqual(events[-1], "[DONE]")
        stream.connection.close()
        return len(events) - 1

    def test_a_line_of_text_for_each_request(self):
        router = self.start_router(self.start_sims(1), config={**CALM, "threads": 1})  # whose lines are in order
        router.chat(max_tokens=3, headers=[("X-Request-Id", "first")])
        router.chat(model="nobody", headers=[("X-Request-Id", "second\tx")])
        events = self.stream_to_its_end(router)
        lines = self.lines(router, 3)
        self.assertRegex(lines[0], r"^\d{4}-\d\d-\d\dT[\d:.]+Z INFO +access: request request_id=first "
                                   r"client=127\.0\.0\.1 method=POST path=/v1/chat/completions status=200 "
                                   r"model=sim-model upstream=sim-0 attempts=1 "
                                   r"ttft_ms=[\d.]+ total_ms=[\d.]+ bytes_in=\d+ bytes_out=\d+ ")
        self.assertIn("status=404 reason=model_not_found model=nobody", lines[1])
        self.assertRegex(lines[2], rf" completion_tokens={events} stream=true$")

    def test_a_client_can_not_write_lines_of_its_own(self):
        router = self.start_router(self.start_sims(1), config=CALM)
        model = 'x"\n2026-01-01T00:00:00Z INFO access: request status=200 \x1b[31m'
        router.chat(model=model, headers=[("X-Request-Id", "a b\"c")])
        router.call("GET", "/v1/%0d%0aaccess?x=\"y\"")
        self.lines(router, 2)
        text = router.log_text()
        self.assertNotIn("\x1b", text)
        self.assertEqual([line for line in text.splitlines() if line.startswith("2026-01-01")], [])

    def test_json_lines(self):
        router = self.start_router(self.start_sims(1), config={**CALM, "access_log": "json"})
        events = self.stream_to_its_end(router, [("X-Request-Id", "mine")])
        record = json.loads(self.lines(router, 1, '"access"')[0])
        expected = {"request_id": "mine", "client": "127.0.0.1", "method": "POST", "path": "/v1/chat/completions",
                    "status": 200, "model": MODEL, "upstream": "sim-0", "attempts": 1, "completion_tokens": events,
                    "stream": True}
        self.assertEqual({name: record.get(name) for name in expected}, expected)
        self.assertGreaterEqual(record["total_ms"], record["ttft_ms"])

    def test_off_means_off_and_a_sample_keeps_the_failures(self):
        sims = self.start_sims(1)
        router = self.start_router(sims, config={**CALM, "access_log": "off"})
        router.chat()
        router.chat(model="nobody")
        router.config.update(access_log="text", access_log_sample=0)
        router.write_config()
        router.reload()
        with router.connection() as connection:
            for _ in range(50):
                connection.request("GET", "/v1/models")
                connection.request("GET", "/v1/models/nobody")
        self.assertEqual(router.chat(model="nobody").status, 404)
        lines = self.lines(router, 51)
        let_time_pass(0.2)
        self.assertEqual(len(self.lines(router, 51)), 51, "off: none; sample 0: only the failed ones")
        self.assertTrue(all("status=404" in line for line in lines))
        router.config.update(access_log_sample=0.5)
        router.write_config()
        router.reload()
        with router.connection() as connection:
            for _ in range(400):
                connection.request("GET", "/v1/models")
        router.call("GET", "/v1/models/the-last-one")
        wait_until(lambda: "the-last-one" in router.log_text(), 10, "the last line")
        sampled = len(self.lines(router)) - 52
        self.assertTrue(130 < sampled < 270, sampled)

    def test_sighup_opens_the_log_file_anew(self):
        router = self.start_router(self.start_sims(1), config=CALM)
        router.chat(headers=[("X-Request-Id", "before-the-move")])
        self.lines(router, 1)
        moved = router.log_path.with_suffix(".1")
        os.rename(router.log_path, moved)
        router.signal(signal.SIGHUP)
        wait_until(router.log_path.exists, 10, "a new file")
        router.chat(headers=[("X-Request-Id", "after-the-move")])
        wait_until(lambda: "after-the-move" in router.log_text(), 10, "the line")
        self.assertNotIn("after-the-move", moved.read_text())
        self.assertIn("before-the-move", moved.read_text())

    def test_expose_route(self):
        sims = self.start_sims(2)
        router = self.start_router(sims, config={**CALM, "expose_route": True})
        response = router.chat()
        self.assertEqual(response.header("X-Router-Upstream"), response.header("x-sim-name"))
        self.assertEqual(response.header("X-Router-Attempts"), "1")
        sims[0].fault("reset", on="all")
        attempts = {router.chat().header("X-Router-Attempts") for _ in range(2)}
        self.assertEqual(attempts, {"1", "2"})
        plain = self.start_router(sims[1:], config=CALM, name="plain").chat()
        self.assertIsNone(plain.header("X-Router-Upstream"))


if __name__ == "__main__":
    main()
