#!/usr/bin/env python3
"""infinilm-bench replay: the engine model against published and closed-form numbers, recorded requests of every form, and
the log of a real router."""

import gzip
import json
import subprocess
import sys
import unittest

from support.case import main
from support.daemon_process import BIN_DIR, SOURCE_DIR
from support.router_process import RouterTest
from support.waiting import patience, wait_until

BENCH = BIN_DIR / "infinilm-bench"
TRACES = SOURCE_DIR / "bench/routing/traces"


@unittest.skipUnless(BENCH.exists(), "built without infinilm-bench")
class Replay(RouterTest):
    def replay(self, *arguments, code=0):
        """Returns the report, or what was complained about."""
        done = subprocess.run([str(BENCH), "replay", *map(str, arguments)], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=patience(120))
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        if code != 0:
            self.assertEqual(done.stdout, "")
            return done.stderr
        self.assertEqual(done.stdout.count("\n"), 1)
        self.table = done.stderr
        return json.loads(done.stdout)

    def run_of(self, *arguments):
        (run,) = self.replay(*arguments)["runs"]
        return run

    def test_round_robin_waits_ten_seconds_where_it_is_said_to_be_saturated(self):
        for engines in (4, 8, 16):
            for trace in ("conversation", "toolmix", "azure"):
                run = self.run_of(TRACES / f"{trace}.tr.gz", "--policy", "round_robin", "--engines", engines, "--load", 1)
                self.assertEqual(run["engines"], engines)
                self.assertAlmostEqual(run["ttft_s"]["mean"], 10, delta=0.5, msg=f"{trace}, {engines}")

    def test_idle_engines_are_as_fast_as_arithmetic_says(self):
        """With a cache without end and hardly any load, reuse and prefill can be added up by hand."""
        run = self.run_of(TRACES / "conversation.tr.gz", "--policy", "round_robin", "--engines", 1, "--rate", 0.005,
                          "--kv-tokens", 1 << 40)
        self.assertAlmostEqual(run["hit_share"], 0.391, delta=0.001)
        self.assertAlmostEqual(run["ttft_s"]["mean"], 1.42, delta=0.02)
        run = self.run_of(TRACES / "azure.tr.gz", "--policy", "round_robin", "--engines", 4, "--rate", 0.02)
        self.assertAlmostEqual(run["ttft_s"]["mean"], 0.19, delta=0.01)
        self.assertEqual(run["hit_share"], 0)

    def test_policies_are_compared(self):
        report = self.replay(TRACES / "conversation.tr.gz", "--policies",
                             "round_robin,least_connections,prefix_aware,prefix_aware+hold", "--load", 0.9)
        self.assertEqual((report["mode"], report["trace"], report["requests"]), ("replay", "conversation", 12031))
        waits = [run["ttft_s"]["mean"] for run in report["runs"]]
        self.assertEqual(sorted(waits, reverse=True)[:2], waits[:2])
        self.assertLess(waits[2], 0.3 * waits[0])
        self.assertLess(waits[3], waits[2] * 1.02)
        for run in report["runs"]:
            self.assertEqual((run["engines"], run["load"], run["requests"]), (8, 0.9, 10828))
            self.assertIn(run["policy"], self.table)

    def test_tables_are_made_of_the_runs(self):
        report = self.replay(TRACES / "conversation.tr.gz", "--loads", "0.7,1.1", "--policies",
                             "round_robin,prefix_aware,prefix_aware+hold,oracle")
        results = self.folder / "results"
        results.mkdir()
        (results / "1.jsonl").write_text("".join(json.dumps(run) + "\n" for run in report["runs"]))
        page = self.folder / "page.md"
        page.write_text("before\n<!-- routing benchmark: begin -->\nstale\n<!-- routing benchmark: end -->\nafter\n")
        done = subprocess.run([sys.executable, SOURCE_DIR / "bench/routing_table.py", results, page], check=True,
                              capture_output=True, text=True)
        self.assertIn("| policy | conversation 0.7 | conversation 1.1 |", done.stdout)
        self.assertRegex(done.stdout, r"\| round robin \| \+\d{3} \| \+\d{3} \|")
        self.assertIn("up to load 1.1: met", done.stdout)
        self.assertEqual(page.read_text().splitlines()[0], "before")
        self.assertIn(done.stdout.strip(), page.read_text())
        self.assertNotIn("stale", page.read_text())

    def test_the_log_of_a_router(self):
        sims = self.start_sims(2, "--kind", "vllm", "--prefill-us-per-token", 100, "--decode-us", 1000)
        router = self.start_router(sims, config={"load_balancing_method": "prefix_aware", "access_log": "json",
                                                 "access_log_prefixes": True, "health_interval": "24h",
                                                 "hung_timeout": 0})
        text = "the same long beginning " * 400
        for turn in range(6):
            router.chat(text + str(turn), max_tokens=10 + turn)
        router.chat(model="nobody")
        stream = router.stream(text, max_tokens=9)
        self.assertEqual(stream.events()[-1], "[DONE]")
        stream.connection.close()
        wait_until(lambda: router.log_text().count('"logger":"access"') >= 8, 20, "eight lines")
        report = self.replay(router.log_path, "--policies", "round_robin,prefix_aware")
        self.assertEqual((report["requests"], report["left_out"]), (7, 1))
        self.assertEqual(report["recorded"]["requests"], 7)
        self.assertGreater(report["recorded"]["ttft_s"]["mean"], 0)
        self.assertIn("(as recorded)", self.table)
        entries = [json.loads(line) for line in router.log_text().splitlines() if '"logger":"access"' in line]
        answered = {entry["upstream"] for entry in entries if entry["status"] == 200}
        for run in report["runs"]:
            self.assertEqual((run["engines"], run["rate"]), (len(answered), 1))
            self.assertGreater(run["hit_share"], 0.3, "the log tells that the prompts begin alike")
            self.assertGreater(run["latency_s"]["mean"], run["ttft_s"]["mean"])

    def test_the_log_of_a_router_with_another_method_tells_what_prefix_aware_would_bring(self):
        sims = self.start_sims(4, "--kind", "vllm", "--prefill-us-per-token", 100, "--decode-us", 1000)
        router = self.start_router(sims, config={"load_balancing_method": "round_robin", "access_log": "json",
                                                 "access_log_prefixes": True, "health_interval": "24h",
                                                 "hung_timeout": 0})
        texts = [word * 1500 for word in ("one long ", "two long ", "three long ")]
        names = ({"prompt_cache_key": "a", "user": "x"}, {"user": "b"}, {})
        for turn in range(8):
            for text, name in zip(texts, names):
                answer = router.chat(text + str(turn), max_tokens=5, headers=[("X-Session-Id", "c")], **name)
                self.assertEqual(answer.status, 200)
        entries = wait_until(lambda: self.answered(router, 24), 20, "all lines")
        sessions = [entry["session"] for entry in entries]
        self.assertEqual(len(set(sessions)), 3, "the key, else the user, else the field")
        self.assertEqual(len({entry["prefix"].split(".")[0] for entry in entries}), 3)
        for entry in entries:
            self.assertRegex(entry["session"], "^[0-9a-f]{16}$")
            self.assertNotIn("matched_tokens", entry)
        report = self.replay(router.log_path, "--policies", "round_robin,session,prefix_aware")
        self.assertEqual((report["requests"], report["left_out"]), (24, 0))
        by_turns, by_session, by_prefix = (run["hit_share"] for run in report["runs"])
        self.assertGreater(by_prefix, 0.7)
        self.assertGreater(by_session, 0.7)
        self.assertLess(by_turns, by_prefix - 0.1)

    def answered(self, router, count):
        entries = [json.loads(line) for line in router.log_text().splitlines() if '"logger":"access"' in line]
        assert len(entries) >= count, len(entries)
        return entries

    def test_plain_and_packed_files_are_the_same(self):
        lines = gzip.decompress((TRACES / "azure.tr.gz").read_bytes()).decode().splitlines()[:500]
        text = "\n".join(["#trace some block=512 rows=499", *lines[1:]]) + "\n"
        plain, packed = self.folder / "a trace.tr", self.folder / "packed"
        plain.write_text(text)
        packed.write_bytes(gzip.compress(text.encode()))
        arguments = ("--policy", "lmetric", "--engines", 2)
        self.assertEqual(self.replay(plain, *arguments), self.replay(packed, *arguments))

    def test_mistakes_get_a_sentence(self):
        trace = TRACES / "conversation.tr.gz"
        self.assertIn("cannot open", self.replay(self.folder / "nowhere", code=1))
        cut = self.folder / "cut.gz"
        cut.write_bytes(trace.read_bytes()[:5000])
        self.assertIn("to its end", self.replay(cut, code=1))
        self.assertIn("cannot read", self.replay(self.folder, code=1))
        self.assertIn('did you mean "prefix_aware"?', self.replay(trace, "--policy", "prefix_awar", code=2))
        self.assertIn("--engines", self.replay(trace, "--engines", 0, code=2))
        self.assertIn("excludes", self.replay(trace, "--load", 1, "--rate", 1, code=2))
        self.assertIn("FILE", self.replay(code=2))
        few = self.folder / "few.tr"
        few.write_text("#trace few block=512\n0,100,10,-1,-1,0,\n")
        self.assertIn("give a rate", self.replay(few, "--load", 1, code=1))
        few.write_text("#trace few block=512\n0,2000000,10,-1,-1,0,\n")
        self.assertIn("no request that fits", self.replay(few, code=1))


if __name__ == "__main__":
    main()
