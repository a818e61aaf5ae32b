#!/usr/bin/env python3
"""The engine simulator fails on demand: each fault does what its name says, as often as asked, to whom it should."""

import re
import time

from support import http_wire
from support.case import main
from support.http_wire import request_bytes
from support.sim_process import CHAT, SimTest, chat, words
from support.waiting import let_time_pass, wait_until


class Faults(SimTest):
    def refused(self, sim):
        try:
            with sim.connection(5):
                return False
        except ConnectionRefusedError:
            return True

    def exchange(self, sim, stream=False, path=CHAT, timeout=20.0):
        """Everything that came, and whether the end was a reset."""
        body = chat(stream=stream, max_tokens=20) if path == CHAT else None
        data = b""
        try:
            with sim.connection(timeout) as connection:
                connection.send(request_bytes("POST" if body else "GET", path, json=body))
                while piece := connection.sock.recv(65536):
                    data += piece
            return data, False
        except (ConnectionResetError, BrokenPipeError):  # an early reset may show in the connect already
            return data, True

    def test_refuse_and_for(self):
        sim = self.start_sim()
        with sim.connection() as held:
            sim.fault("refuse")
            self.assertTrue(self.refused(sim))
            self.assertEqual(held.request("GET", "/health").status, 200)
            sim.fault("refuse", rst=True)
            self.assertTrue(held.is_closed_by_peer())
        sim.no_faults()
        self.assertEqual(sim.call("GET", "/health").status, 200)
        sim.fault("refuse", length="1s")
        self.assertTrue(self.refused(sim))
        wait_until(lambda: not self.refused(sim), 10, "the end of the fault")

    def test_resets(self):
        sim = self.start_sim()
        for kind in ("reset_on_accept", "reset_on_head", "reset"):
            with self.subTest(kind):
                sim.fault(kind, count=1)
                self.assertEqual(self.exchange(sim), (b"", True))
                self.assertEqual(sim.chat()["object"], "chat.completion")
        for stream in (False, True):
            sim.fault("reset_after_head", count=1)
            data, reset = self.exchange(sim, stream)
            self.assertTrue(reset)
            self.assertTrue(data.startswith(b"HTTP/1.1 200 OK\r\n") and data.endswith(b"\r\n\r\n"), data)

    def test_hang(self):
        sim = self.start_sim("--fault=hang_health")

        def assert_hangs(path):
            struck = sim.stats()["faults"]
            with sim.connection() as connection:
                connection.send(request_bytes("GET", path))
                sim.wait_stats(faults=struck + 1)
                connection.sock.settimeout(0.2)
                with self.assertRaises(TimeoutError):
                    connection.sock.recv(1)
        self.assertEqual(sim.call("GET", "/v1/models").status, 200)
        assert_hangs("/health")
        sim.no_faults()
        sim.fault("hang", count=2)
        for path in ("/health", "/models"):
            assert_hangs(path)
        self.assertEqual(sim.call("GET", "/health").status, 200)
        self.assertEqual(sim.stats()["faults"], 3)

    def test_slow(self):
        sim = self.start_sim()
        for stream in (False, True):
            sim.fault("slow", ms=300, count=1)
            begun = time.monotonic()
            with sim.connection() as connection:
                connection.send(request_bytes("POST", CHAT, json=chat(stream=stream, max_tokens=2)))
                self.assertTrue(connection.reader.read(1))
            self.assertGreater(time.monotonic() - begun, 0.29)

    def test_death_in_the_middle(self):
        sim = self.start_sim()
        for rst in (False, True):
            with self.subTest(rst=rst):
                sim.fault("die_mid_stream", after=3, rst=rst, count=2)
                data, reset = self.exchange(sim, stream=True)
                self.assertEqual((data.count(b"data: "), reset), (3, rst))
                self.assertNotIn(b"[DONE]", data)
                self.assertFalse(data.endswith(b"0\r\n\r\n"))
                data, reset = self.exchange(sim)
                head, body = data.split(b"\r\n\r\n")
                length = int(re.search(rb"content-length: (\d+)", head)[1])
                self.assertEqual((reset, len(body)), (rst, length // 2))
        sim.wait_stats(active=0, free_blocks=512)

    def test_step_failure(self):
        sim = self.start_sim("--decode-us=5000")
        stream = self.stream(sim, max_tokens=20)
        stream.chunk()
        sim.fault("step_failure")
        answer = sim.call("GET", "/health")
        self.assertEqual((answer.status, answer.text), (503, '{"status":"unhealthy"}'))
        self.assertEqual(sim.call("GET", "/models").status, 200)
        late = self.stream(sim, max_tokens=3)  # its head comes at once all the same
        self.assertEqual(late.status, 200)
        tokens = sim.stats()["tokens"]
        let_time_pass(0.1)
        self.assertEqual((sim.stats()["tokens"], sim.stats()["failed"]), (tokens, True))
        sim.no_faults()
        self.assertEqual(stream.events()[-1], "[DONE]")
        self.assertEqual(late.text(), words(3))

    def test_status_count_share_and_target(self):
        sim = self.start_sim("--fault=status:status=429,retry_after=7,count=2", "--seed=5")
        for _ in range(2):
            answer = sim.call("POST", CHAT, json=chat())
            self.assertEqual((answer.status, answer.header("retry-after")), (429, "7"))
        sim.chat()
        sim.fault("status", on="health")
        self.assertEqual([sim.call("GET", path).status for path in ("/health", "/models")], [503, 200])
        sim.no_faults()
        faults = sim.fault("status", share=0.3)
        with sim.connection() as connection:
            bad = sum(connection.request("POST", CHAT, json=chat()).status == 503 for _ in range(300))
        self.assertTrue(50 < bad < 130, bad)
        self.assertEqual((sim.control("GET", "/sim/fault")["faults"][0]["done"], faults[0]["share"]), (bad, 0.3))
        self.assertEqual(sim.control("DELETE", "/sim/fault/status")["faults"], [])
        wrong = http_wire.call(sim.port, "POST", "/sim/fault", {"fault": "framing", "name": "x"})
        self.assertEqual(wrong.status, 400)

    def framing_names(self, sim):
        error = http_wire.call(sim.port, "POST", "/sim/fault", {"fault": "framing", "name": "x"}).json()["error"]
        return error.split("must be one of ")[1].split(", ")

    def test_every_bad_framing_goes_out(self):
        sim = self.start_sim()
        names = self.framing_names(sim)
        self.assertGreater(len(names), 40)
        marks = {"chunk_negative": b"\r\n-2\r\n", "cl_double": b"Content-Length: 5\r\n\r\n", "bare_lf": b"200 OK\nC",
                 "nul_in_header": b"a\x00b", "switching": b" 101 ", "garbage_status": b" abc ",
                 "huge_header": b"x" * (1 << 20), "trailers": b"X-Late: 1\r\n", "cl_long": b"Length: 99999\r\n"}
        for name in names:
            with self.subTest(name):
                sim.fault("framing", name=name, count=1)
                with sim.connection(20) as connection:
                    connection.send(request_bytes("POST", CHAT, json=chat(), headers=[("Connection", "close")]))
                    data = connection.read_to_end()
                self.assertEqual(name == "nothing", data == b"")
                self.assertIn(marks.get(name, b""), data)
        self.assertEqual(sim.chat()["object"], "chat.completion")

    def test_two_answers_to_one_request(self):
        sim = self.start_sim("--fault=framing:name=two_answers,count=1")
        with sim.connection() as connection:
            self.assertEqual(connection.request("POST", CHAT, json=chat()).status, 200)
            self.assertEqual(connection.read_response().json(), {"b": "2"})
            self.assertEqual(connection.request("GET", "/health").json(), {"status": "healthy"})

    def test_early_answers(self):
        sim = self.start_sim()
        head = b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: s\r\nContent-Length: 10\r\n\r\n"
        sim.fault("framing", name="early_answer", count=1)
        with sim.connection() as connection:
            connection.send(head)
            self.assertEqual(connection.read_response().json(), {"early": True})
            connection.send(b"0123456789" + request_bytes("GET", "/health"))
            self.assertEqual(connection.read_response().json(), {"status": "healthy"})
        sim.fault("framing", name="early_close", count=1)
        with sim.connection() as connection:
            connection.send(head)
            self.assertEqual(connection.read_response().status, 413)
            self.assertTrue(connection.is_closed_by_peer())


if __name__ == "__main__":
    main()
