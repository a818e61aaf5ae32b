#!/usr/bin/env python3
"""infinilm-bench against infinilm-sim: each mode counts what there is to count, and notices what goes wrong."""

import json
import pathlib
import socket
import subprocess
import unittest

from support import http_wire
from support.case import SystemTest, main
from support.registry_process import BIN_DIR
from support.waiting import patience, wait_until

BENCH, SIM = BIN_DIR / "infinilm-bench", BIN_DIR / "infinilm-sim"
TIMES = {"count", "mean_us", "p50_us", "p90_us", "p99_us", "p99.9_us", "max_us"}


@unittest.skipUnless(BENCH.exists() and SIM.exists(), "built without SVC_BUILD_BENCH")
class BenchTools(SystemTest):
    def start_sim(self, *flags):
        port_file = self.folder / "sim.port"
        port_file.unlink(missing_ok=True)
        command = [SIM, "--port=0", f"--port-file={port_file}", "--keepalive=0", "--max-batch=100000", "--num-blocks=0",
                   "--pace=each", "--stamp", *flags]
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, cwd=self.folder)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        port = wait_until(lambda: int(port_file.read_text() or 0), 30, "the simulator's port")
        return port, process.pid

    def bench(self, *flags, code=0):
        """Runs it to its end and returns the report."""
        done = subprocess.run([str(BENCH), *map(str, flags)], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=patience(60))
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("\n"), 1)
        return json.loads(done.stdout)

    def run_mode(self, mode, *flags, sim=(), code=0):
        port, pid = self.start_sim(*sim)
        report = self.bench(mode, "--port", port, "--sim-port", port, "--pid", pid, "--warmup", 0.1, *flags, code=code)
        self.assertEqual(report["mode"], mode)
        self.assertEqual(set(report["latency"]), TIMES)
        self.assertGreater(report["rss_bytes"], 0)
        self.assertEqual(report["clean"], code == 0)
        return report

    def assert_whole(self, report):
        for key in ("chunks_lost", "chunks_duplicated", "chunks_out_of_order"):
            self.assertEqual(report[key], 0, key)
        self.assertEqual((report["errors"], report["total"]["failed"]), ({}, 0))

    def test_unary_counts_each_answer(self):
        report = self.run_mode("unary", "--connections", 4, "--requests", 500, sim=["--answer-bytes=600"])
        total = report["total"]
        self.assertEqual((report["loop"], report["errors"]), ("closed", {}))
        self.assertGreaterEqual(report["requests"], 500)
        self.assertEqual((total["begun"], total["connections"]), (total["finished"], 4))
        self.assertGreater(total["bytes_received"], 600 * total["finished"])
        self.assertGreater(report["cpu_us_per_request"], 0)
        times = report["latency"]
        self.assertEqual(times["count"], report["requests"])
        order = [times[key] for key in ("p50_us", "p90_us", "p99_us", "p99.9_us", "max_us")]
        self.assertEqual(order, sorted(order))

    def test_an_open_loop_keeps_its_rate(self):
        for flags, loop in (([], "poisson"), (["--even"], "even")):
            report = self.run_mode("unary", "--rate", 200, "--duration", 1, *flags)
            self.assertEqual((report["loop"], report["errors"]), (loop, {}))
            self.assertGreater(report["requests"], 100)
            self.assertLess(report["requests"], 300)
            self.assertEqual(set(report["start_lag"]), TIMES)

    def test_the_body_has_the_size_that_was_asked_for(self):
        """The request as it arrives, at a server that answers nothing."""
        for size in (300, 1024, 65536):
            with socket.create_server(("127.0.0.1", 0)) as server:
                port = server.getsockname()[1]
                with subprocess.Popen([str(BENCH), "unary", f"--port={port}", f"--body-bytes={size}", "--connections=1",
                                       "--warmup=0", "--duration=0.1", "--timeout=1"],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as bench:
                    client = server.accept()[0]
                    with client, client.makefile("rb") as stream:
                        head = b"".join(iter(stream.readline, b"\r\n"))
                        self.assertIn(b"Content-Length: %d\r\n" % size, head)
                        body = json.loads(stream.read(size))
                        report = json.loads(bench.communicate(timeout=patience(30))[0])
                self.assertEqual((body["model"], body["stream"]), ("sim", False))
                self.assertEqual(body["messages"][0]["role"], "user")
                # Nothing was answered: the end of its patience, and that is no success.
                self.assertEqual((bench.returncode, report["errors"]), (1, {"timeout": 1}))

    def test_distinct_requests_have_no_beginning_in_common(self):
        port, _ = self.start_sim("--record=8", "--record-body=300")
        for size in (64, 1024):
            http_wire.call(port, "DELETE", "/sim/requests")
            self.bench("unary", "--port", port, "--connections", 2, "--body-bytes", size, "--distinct", "--warmup", 0,
                       "--requests", 6)
            requests = http_wire.call(port, "GET", "/sim/requests").json()["requests"]
            texts = [request["body"].split('"content":"')[1] for request in requests]
            self.assertGreaterEqual(len(texts), 6)
            self.assertEqual(len({text[:12] for text in texts}), len(texts), texts)
            self.assertEqual(len({text[12:] for text in texts}), 1, "alike but for that")

    def test_sse_checks_each_chunk(self):
        report = self.run_mode("sse", "--streams", 10, "--tokens", 50, "--requests", 40,
                               sim=["--decode-us=500", "--chunk-bytes=200"])
        self.assert_whole(report)
        total = report["total"]
        self.assertEqual(total["chunks"], total["finished"] * 50)
        self.assertEqual((report["chunks_generated"], report["chunks_for_nobody"]), (total["chunks"], 0))
        self.assertEqual(report["chunk_latency"]["count"], report["chunks"])
        self.assertGreater(report["cpu_us_per_chunk"], 0)
        self.assertIn("rss_per_stream", report)

    def test_cancel_leaves_after_some_chunks(self):
        report = self.run_mode("cancel", "--streams", 10, "--after", 3, "--requests", 50, "--tokens", 100000,
                               sim=["--decode-us=2000"])
        self.assert_whole(report)
        self.assertGreaterEqual(report["total"]["cancelled"], 50)
        self.assertEqual(report["total"]["finished"], 0)
        self.assertGreaterEqual(report["chunks_generated"], report["total"]["chunks"])
        self.assertIn("chunks_for_nobody_per_cancel", report)

    def test_hold_keeps_its_streams_open(self):
        report = self.run_mode("hold", "--streams", 50, "--ramp", 0.1, "--duration", 0.5, "--tokens", 1000000,
                               sim=["--decode-us=20000"])
        self.assert_whole(report)
        self.assertEqual((report["open_streams"], report["total"]["connections"]), (50, 50))
        self.assertGreater(report["chunks"], 50)

    def test_an_error_answer_is_a_failure(self):
        report = self.run_mode("unary", "--connections", 2, "--duration", 0.3, sim=["--fault=status:status=503"],
                               code=1)
        self.assertEqual(set(report["errors"]), {"status"})
        self.assertEqual(set(report["statuses"]), {"503"})

    def test_nobody_there_is_a_failure(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            report = self.bench("unary", "--port", port, "--duration", 0.2, "--connections", 2, code=1)
        self.assertEqual(set(report["errors"]), {"connect"})

    def scripted(self, *events, end=True):
        """Streams the events to one client, as chunks, and returns what infinilm-bench says to them."""
        body = b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events) + (b"0\r\n\r\n" if end else b"")
        answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + body
        with socket.create_server(("127.0.0.1", 0)) as server:
            with subprocess.Popen([str(BENCH), "sse", f"--port={server.getsockname()[1]}", "--streams=1", "--tokens=4",
                                   "--warmup=0", "--requests=1", "--timeout=20", "--rate=1"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as bench:
                client = server.accept()[0]
                with client:
                    client.recv(1 << 16)
                    client.sendall(answer)
                    client.shutdown(socket.SHUT_WR)
                    server.close()  # what comes after it is refused
                    return json.loads(bench.communicate(timeout=patience(30))[0])

    def test_faults_of_a_stream_are_told_apart(self):
        token = [b'data: {"t":1,"seq":%d}\n\n' % number for number in range(4)]
        done = b"data: [DONE]\n\n"
        cases = {
            "lost": ([token[0], token[1], token[3], done], {"chunks_lost": 1}),
            "the last one lost": ([*token[:3], done], {"chunks_lost": 1}),
            "twice": ([*token, token[3], done], {"chunks_duplicated": 1}),
            "out of order": ([token[0], token[2], token[1], token[3], done], {"chunks_out_of_order": 1}),
            "merged": ([token[0] + token[1], token[2] + token[3], done], {"chunks_merged": 2}),
            "an event over two chunks": ([*token[:3], token[3][:9], token[3][9:], done], {}),
        }
        for title, (events, expected) in cases.items():
            with self.subTest(title):
                report = self.scripted(*events)
                counts = {key: report[key] for key in ("chunks_lost", "chunks_duplicated", "chunks_out_of_order",
                                                       "chunks_merged") if report[key]}
                self.assertEqual(counts, expected)
        for title, events, end, error in (("cut", token, False, "truncated"),
                                          ("without [DONE]", token, True, "no_done"),
                                          ("an error event", [*token, b'data: {"error":{}}\n\n'], True, "error_event")):
            with self.subTest(title):
                self.assertGreaterEqual(self.scripted(*events, end=end)["errors"].get(error, 0), 1)

    def test_wrong_flags_end_with_2(self):
        for flags in ([], ["unary"], ["unary", "--port=1", "--host=192.0.2.1"], ["sse", "--port=1", "--tokens=0"]):
            done = subprocess.run([str(BENCH), *flags], capture_output=True, check=False, timeout=patience(30))
            self.assertEqual(done.returncode, 2, flags)


@unittest.skipUnless(pathlib.Path("/usr/bin/python3").exists(), "needs python3")
class Table(SystemTest):
    def test_the_table_names_ratios_and_aims(self):
        source = pathlib.Path(__file__).resolve().parents[2]
        lines = []
        for proxy, cpu in (("direct", None), ("nginx", 22.0), ("haproxy", 20.0), ("router", 18.0)):
            report = {"requests_per_second": 1000, "requests": 1000, "latency": {"p50_us": 10.0, "p99_us": 20.0},
                      "total": {"failed": 0}, "cpu_kernel_share": 0.8}
            if cpu:
                report["cpu_us_per_request"] = cpu
            lines.append(json.dumps({"work": "unary-1k", "proxy": proxy, "round": 1, "report": report}))
        self.write("results.jsonl", "\n".join(lines) + "\n")
        self.write("facts", "cores=2\nrounds=1\nseconds=1\nnginx=1.22\nhaproxy=2.6\ncommit=\nload=0.1\n")
        page = self.write("page.md", "a\n<!-- proxy benchmark: begin -->\nold\n<!-- proxy benchmark: end -->\nz\n")
        subprocess.run(["python3", str(source / "bench" / "proxy_table.py"), str(self.folder), str(page)], check=True,
                       stdout=subprocess.DEVNULL, timeout=patience(30))
        text = page.read_text()
        self.assertIn("| infinilm-router | 18.00 | - | 0.90 x |", text)
        self.assertIn("CPU at most 0.95 x the better peer: met; p99 at most theirs: met.", text)
        self.assertIn("Not measured: Unary, 1 KiB request, 2 threads on 2 cores", text)
        self.assertNotIn("old", text)

    def test_the_price_of_prefix_aware_is_told_against_round_robin(self):
        source = pathlib.Path(__file__).resolve().parents[2]
        report = {"requests_per_second": 1000, "requests": 1000, "latency": {"p50_us": 10.0, "p99_us": 20.0},
                  "total": {"failed": 0}, "cpu_kernel_share": 0.8}
        self.write("results.jsonl", "".join(
            json.dumps({"work": "prefix-64k", "proxy": proxy, "round": 1, "report": {**report, "cpu_us_per_request": cpu}})
            + "\n" for proxy, cpu in (("router", 50.0), ("router-prefix", 75.0))))
        self.write("facts", "cores=2\nrounds=1\nseconds=1\nnginx=\nhaproxy=\ncommit=\nload=0.1\n")
        done = subprocess.run(["python3", str(source / "bench" / "proxy_table.py"), str(self.folder)], check=True,
                              stdout=subprocess.PIPE, text=True, timeout=patience(30))
        self.assertIn("against round_robin", done.stdout)
        self.assertIn("| infinilm-router, prefix_aware | 75.00 | - | 1.50 x |", done.stdout)
        self.assertNotIn("better peer", done.stdout)


if __name__ == "__main__":
    main()
