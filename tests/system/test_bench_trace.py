#!/usr/bin/env python3
"""Recorded requests in real time: the simulator's engine model, infinilm-bench trace, and the script that compares them
with virtual time."""

import json
import subprocess
import sys
import time
import unittest

from support.case import SystemTest, main
from support.daemon_process import BIN_DIR, SOURCE_DIR
from support.sim_process import SIM, SimTest
from support.waiting import patience, processors_are_short, under_sanitizer

BENCH = BIN_DIR / "infinilm-bench"
MODEL = ("--kind=vllm", "--pace=model", "--model=sim", "--max-batch=256", "--num-blocks=3125", "--stamp")
# 4,300 tokens in three prompts. The second begins as the first does, the third as the second.
TRACE = """#trace small block=512 rows=3
0,2000,5,-1,-1,0,0-2
-1,1800,7,-1,0,0.5,0-1 9
-1,500,3,7,1,0,
"""


@unittest.skipUnless(BENCH.exists(), "built without infinilm-bench")
class Trace(SimTest):
    def run_program(self, *command, code=0):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=patience(300))
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def small_trace(self):
        path = self.folder / "small trace.tr"
        path.write_text(TRACE)
        return path

    def test_prefill_takes_the_time_of_the_model(self):
        """8 chunks of 1,024 tokens: 1.5 ms and 128 ms each, and 4 ns for each pair of tokens, ten times as fast."""
        sim = self.start_sim(*MODEL, "--speed=10")
        prompt = "word" * 8192

        def seconds():
            begun = time.monotonic()
            sim.chat(prompt, model="sim", max_tokens=1)
            return time.monotonic() - begun
        self.assertGreater(seconds(), 0.117)
        self.assertGreaterEqual(sim.stats()["steps"], 8)
        steps = sim.stats()["steps"]
        seconds()
        self.assertEqual(sim.stats()["steps"], steps + 1, "all but the end of it is cached")

    def test_answers_go_on_beside_a_prompt(self):
        """Each step of the long prompt brings the other answer a token; no step is spent on it alone."""
        sim = self.start_sim(*MODEL, "--speed=20")
        stream = self.stream(sim, model="sim", max_tokens=4000)
        stream.chunk()
        before = sim.stats()
        sim.chat("word" * 10_240, model="sim", max_tokens=1)
        after = sim.stats()
        self.assertGreaterEqual(after["steps"] - before["steps"], 10)
        self.assertGreaterEqual(after["tokens"] - before["tokens"], 10)
        stream.connection.close()
        sim.wait_stats(active=0, cancelled=1, free_blocks=3125 - 40)

    def test_a_prompt_that_is_left_half_way_frees_everything(self):
        sim = self.start_sim(*MODEL, "--speed=1")
        stream = self.stream(sim, content="word" * 400_000, model="sim", max_tokens=5)
        sim.wait_stats(active=1)
        stream.connection.close()
        sim.wait_stats(active=0, cancelled=1)
        self.assertEqual(sim.chat(model="sim", max_tokens=3)["usage"]["completion_tokens"], 3)

    def test_the_role_comes_with_the_first_token(self):
        sim = self.start_sim(*MODEL, "--speed=0.1")
        stream = self.stream(sim, content="word" * 30_000, model="sim", max_tokens=2)
        self.assertEqual(stream.status, 200)
        sim.wait_stats(active=1)
        stream.connection.sock.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            stream.chunk()
        stream.connection.close()

    def test_the_model_has_times_of_its_own(self):
        said = self.run_program(SIM, "--pace=model", "--decode-us=5", code=2).stderr
        self.assertIn("leave out --decode-us", said)
        self.assertIn("--speed is for --pace model", self.run_program(SIM, "--speed=5", code=2).stderr)

    def test_prompts_are_as_long_and_as_alike_as_recorded(self):
        sim = self.start_sim(*MODEL, "--speed=50")
        report = json.loads(self.run_program(BENCH, "trace", self.small_trace(), "--port", sim.port, "--speed", 50, "--pid",
                                             sim.pid, "--policy", "none").stdout)
        stats = sim.stats()
        self.assertEqual((stats["prompt_tokens"], stats["tokens"]), (4300, 15))
        self.assertEqual((stats["cached_tokens"], stats["prefix_hits"]), (1024, 1))
        self.assertAlmostEqual(report["hit_share"], 1024 / 4300)
        self.assertEqual((report["requests"], report["failed"], report["tokens_lost_or_wrong"]), (3, 0, 0))
        self.assertEqual((report["mode"], report["policy"], report["connections"]), ("trace", "none", 1))
        self.assertGreater(report["ttft_s"]["mean"], 0.14)  # in the time of the trace: 143 ms, if nothing else takes any
        self.assertGreater(report["latency_s"]["mean"], report["ttft_s"]["mean"])
        self.assertEqual(len(report["cores"]), 1)
        heads = [request["head"] for request in sim.requests()]
        self.assertEqual(sum(b"X-Session-Id: b1\r\n" in head for head in heads), 2)
        self.assertEqual(sum(b"X-Session-Id: s8\r\n" in head for head in heads), 1)

    def test_failures_are_told(self):
        sim = self.start_sim(*MODEL, "--speed=50", "--fault=status:status=503,count=1")
        report = json.loads(self.run_program(BENCH, "trace", self.small_trace(), "--port", sim.port, "--speed", 50,
                                             code=1).stdout)
        self.assertEqual((report["requests"], report["failed"], report["errors"]), (2, 1, {"status": 1}))
        said = self.run_program(BENCH, "trace", self.folder / "nowhere", "--port", sim.port, code=1).stderr
        self.assertIn("cannot open", said)
        self.assertIn("--port", self.run_program(BENCH, "trace", self.small_trace(), code=2).stderr)

    @unittest.skipUnless((BIN_DIR / "infinilm-router").exists(), "built without the router")
    def test_the_script_runs_both(self):
        results = self.folder / "results of it"
        done = self.run_program(SOURCE_DIR / "scripts/bench_routing_sockets.sh", "--quick", "--bin", BIN_DIR, "--results",
                                results)
        self.assertRegex(done.stdout, r"\| \*\*prefix_aware, hold\*\* \|")
        self.assertIn("conversation, its first requests (54 measured), 4 engines, load 0.9", done.stdout)
        self.assertNotIn("missed", done.stdout)
        runs = [json.loads(line) for line in (results / "real.jsonl").read_text().splitlines()]
        self.assertEqual([run["report"]["policy"] for run in runs], ["round_robin", "prefix_aware+hold"])
        for run in runs:
            self.assertGreaterEqual(sum(engine["completed"] for engine in run["engines"]), 61)  # one says that all is ready
        self.assert_gain_is_borne_out(json.loads((results / "virtual.json").read_text()), runs)
        script = SOURCE_DIR / "scripts/bench_routing_sockets.sh"
        self.assertIn("'best' is no method of the router", self.run_program(script, "--policies", "best", code=1).stderr)
        self.assertIn("at most 75", self.run_program(script, "--speed", 100, code=1).stderr)

    def assert_gain_is_borne_out(self, virtual, runs):
        lost = max(engine["lost_us"] for run in runs for engine in run["engines"]) / 1e6
        if under_sanitizer() or processors_are_short() or lost > 0.1:
            return  # then this machine is what was measured

        def gain(first, second):
            return 1 - second["ttft_s"]["mean"] / first["ttft_s"]["mean"]
        simulated = gain(*virtual["runs"])
        self.assertGreater(simulated, 0.4)
        self.assertGreater(gain(*(run["report"] for run in runs)), 0.6 * simulated)


class Judgement(SystemTest):
    def table(self, virtual, real, code):
        """Both: policy -> mean time to the first token."""
        def run(policy, mean):
            return {"policy": policy, "ttft_s": {"mean": mean, "p50": mean / 2, "p99": mean * 4}, "hit_share": 0.1}
        runs = [{"load": 0.9, **run(*entry)} for entry in virtual.items()]
        (self.folder / "virtual.json").write_text(json.dumps({"runs": runs}))
        fields = {"trace": "t", "requests": 9, "speed": 20, "machine_share": 0.5, "own_cores": 0.1, "cores": [0.1, 0.2],
                  "real_seconds": 10}
        engines = [{"late_us": 10, "lost_us": 0, "steps": 5}]
        lines = [json.dumps({"round": 1, "report": {**fields, **run(*entry)}, "engines": engines}) for entry in real.items()]
        (self.folder / "real.jsonl").write_text("\n".join(lines) + "\n")
        (self.folder / "facts").write_text("cores=2\nquick=\n")
        page = self.folder / "page.md"
        page.write_text("before\n<!-- routing over sockets: begin -->\n<!-- routing over sockets: end -->\n")
        done = subprocess.run([sys.executable, SOURCE_DIR / "bench/routing_sockets_table.py", self.folder, page],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertIn(done.stdout.strip(), page.read_text())
        return done.stdout

    def test_what_bears_the_simulator_out(self):
        virtual = {"round_robin": 10, "session": 7, "prefix_aware": 4, "prefix_aware+hold": 3.8}
        told = self.table(virtual, {"round_robin": 9, "session": 8, "prefix_aware": 4.5, "prefix_aware+hold": 4.6}, 0)
        self.assertEqual(told.count(": met"), 2)
        self.assertIn("| **prefix_aware** | 4.00 / 2.00 / 16.0 | 10 % | 60 % | 4.50 / 2.25 / 18.0 | 10 % | 50 % | 83 % |", told)
        told = self.table(virtual, {"round_robin": 9, "session": 6, "prefix_aware": 6, "prefix_aware+hold": 5}, 1)
        self.assertIn("**missed**: prefix_aware behind session", told)
        self.assertIn("**missed**: prefix_aware 56 %", told)


if __name__ == "__main__":
    main()
