#!/usr/bin/env python3
"""The engine simulator's queue, batch, memory, prefix cache and speed are those of the engine."""

import time

from support.case import main
from support.sim_process import CHAT, SimTest, words
from support.waiting import machine_is_busy, wait_until


class Scheduling(SimTest):
    def test_steps_take_their_time_and_the_batch_is_limited(self):
        sim = self.start_sim("--decode-us=20000", "--max-batch=2")
        sim.fault("step_failure")  # none of them may be done before all have come
        waits = [self.in_background(lambda: sim.chat(max_tokens=10)) for _ in range(4)]
        sim.wait_stats(active=0, waiting=4)
        begun = time.monotonic()
        sim.no_faults()
        for wait in waits:
            self.assertEqual(wait()["usage"]["completion_tokens"], 10)
        took = time.monotonic() - begun
        self.assertGreater(took, 0.34)  # two after the other, nine steps each after the first token
        if not machine_is_busy():
            self.assertLess(took, 2)
        self.assertEqual(sim.stats()["peak_active"], 2)

    def test_prefill_takes_time_only_for_what_is_not_cached(self):
        sim = self.start_sim("--prefill-us-per-token=100", "--kind=vllm", "--tokens=1")
        prompt = "p" * 4096  # about 1,030 tokens: four blocks

        def timed():
            begun = time.monotonic()
            details = sim.chat(prompt)["usage"]["prompt_tokens_details"]
            return time.monotonic() - begun, details["cached_tokens"]
        first, cached_first = timed()
        self.assertEqual((timed()[1], cached_first), (1024, 0))
        self.assertGreater(first, 0.1)
        stats = sim.stats()
        self.assertEqual((stats["prefix_hits"], stats["cached_tokens"]), (1, 1024))

    def test_the_next_turn_finds_prompt_and_answer(self):
        sim = self.start_sim("--kind=vllm")
        messages = [{"role": "user", "content": "q" * 2000}]
        for _ in range(3):
            answer = sim.call("POST", CHAT, json={"model": "sim-model", "messages": messages, "max_tokens": 300}).json()
            usage = answer["usage"]
            messages += [answer["choices"][0]["message"], {"role": "user", "content": "next"}]
        self.assertGreater(usage["prompt_tokens_details"]["cached_tokens"], 900)
        self.assertGreater(usage["prompt_tokens_details"]["cached_tokens"], usage["prompt_tokens"] - 300)

    def test_memory_admits_in_order(self):
        """8 blocks of 256 tokens: what does not fit waits, also what comes behind it."""
        sim = self.start_sim("--num-blocks=8", "--decode-us=1000000")
        first = self.stream(sim, max_tokens=1500)
        first.chunk()
        second = self.stream(sim, max_tokens=1500)
        third = self.stream(sim, max_tokens=600)
        sim.wait_stats(active=1, waiting=2, free_blocks=2)
        first.connection.close()
        sim.wait_stats(active=1, waiting=1, cancelled=1)
        second.connection.close()
        sim.wait_stats(active=1, waiting=0, cancelled=2)
        self.assertTrue(third.chunk())
        third.connection.close()
        sim.wait_stats(active=0, free_blocks=8)

    def test_one_that_never_fits_lets_the_others_pass(self):
        sim = self.start_sim("--num-blocks=8", "--request-timeout=2")
        huge = self.stream(sim, max_tokens=100_000)
        self.assertEqual(sim.chat(max_tokens=10)["usage"]["completion_tokens"], 10)
        events = huge.events()
        self.assertEqual(events[0]["choices"][0]["delta"]["content"], "[Request timeout]")
        self.assertEqual((events[0]["choices"][0]["finish_reason"], events[1]), ("timeout", "[DONE]"))

    def test_blocks_are_evicted_the_least_recently_used_first(self):
        sim = self.start_sim("--num-blocks=8", "--kind=vllm", "--tokens=1")

        def cached(letter):
            return sim.chat(letter * 2048)["usage"]["prompt_tokens_details"]["cached_tokens"]
        self.assertEqual([cached(letter) for letter in "abcabc"], [0, 0, 0, 512, 512, 512])
        self.assertEqual([cached(letter) for letter in "dea"], [0, 0, 0])

    def test_static_cache_runs_one_at_a_time_and_keeps_the_last_prefix(self):
        sim = self.start_sim("--cache=static", "--kind=vllm", "--decode-us=1000", "--tokens=5")
        waits = [self.in_background(lambda: sim.chat("z")) for _ in range(4)]
        for wait in waits:
            wait()
        self.assertEqual(sim.stats()["peak_active"], 1)

        def cached(letter):
            return sim.chat(letter * 640)["usage"]["prompt_tokens_details"]["cached_tokens"]
        self.assertEqual([cached(letter) for letter in "aab"], [0, 160, 0])
        self.assertEqual(cached("a"), 0)
        long = sim.chat("x" * 20_000)
        choice = long["choices"][0]
        self.assertEqual((choice["message"]["content"], choice["finish_reason"]), ("", "length"))

    def test_each_request_may_have_its_own_clock(self):
        sim = self.start_sim("--decode-us=20000", "--pace=each", "--max-batch=100", "--num-blocks=0")
        streams = [self.stream(sim, max_tokens=5) for _ in range(20)]
        for stream in streams:
            self.assertEqual(stream.text(), words(5))
        self.assertEqual(sim.stats()["completed"], 20)

    def test_a_client_that_leaves_frees_what_it_held(self):
        sim = self.start_sim("--decode-us=5000")
        stream = self.stream(sim, max_tokens=100_000, sim_cancel_after=3)
        for _ in range(3):
            stream.chunk()
        stream.connection.close()
        stats = sim.wait_stats(active=0, cancelled=1, connections=0, free_blocks=512)
        self.assertEqual(stats["chunks"], stats["cancelled_chunks"])
        self.assertEqual(stats["chunks_after_gone"], stats["chunks"] - 3)

    def test_a_flood_is_whole_and_stops_when_nobody_reads(self):
        sim = self.start_sim("--num-blocks=0", "--merge=3")
        stream = self.stream(sim, max_tokens=30_000)
        self.assertEqual(stream.text(), words(30_000))
        idle = self.stream(sim, max_tokens=900_000_000)
        stalled = wait_until(lambda: sim.stats()["tokens"], 10)
        wait_until(lambda: sim.stats()["tokens"] == sim.stats()["tokens"] >= stalled, 10)
        idle.connection.close()
        sim.wait_stats(active=0)


if __name__ == "__main__":
    main()
