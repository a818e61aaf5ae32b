#!/usr/bin/env python3
"""S10: the engine's log: no line is lost, the disk is bounded, and nothing ever blocks the engine or grows memory."""

import json
import re
import signal
import time

from support import http_wire
from support.agent_process import AgentTest, toy
from support.case import main
from support.usage import rss
from support.waiting import let_time_pass, patience, under_sanitizer, wait_until

CONTROL = {chr(number) for number in (*range(32), 127)} - {"\t"}
LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (out|err|agent)(\.\d+)? ")


class LogTest(AgentTest):
    def files(self, agent):
        """The log's files, oldest first."""
        folder, name = agent.engine_log_path.parent, agent.engine_log_path.name
        rotated = sorted(folder.glob(f"{name}.*"), key=lambda path: -int(path.name.rsplit(".", 1)[1]))
        return [*rotated, agent.engine_log_path]

    def texts(self, agent):
        """What the engine printed, line by line, out of all files."""
        found = []
        for path in self.files(agent):
            for line in path.read_text(errors="strict").split("\n")[:-1]:  # splitlines() knows more ends than a log has
                self.assertRegex(line, LINE)
                found.append(line.split(" ", 2)[2])
        return found

    def printed(self, agent, timeout=60):
        wait_until(lambda: "printed everything" in agent.engine_log(), timeout, "the last line in the log")


class Rotation(LogTest):
    def test_s10_rotation_loses_no_line_of_100_000(self):
        """S10: 100 000 lines through a dozen rotations: all there, in order."""
        count = 20_000 if under_sanitizer() else 100_000
        agent = self.running_agent(toy(f"--print=lines:{count}"), "--engine-log-max-bytes=500000",
                                   "--engine-log-max-files=30")
        self.printed(agent)
        numbers = [int(text.split()[1]) for text in self.texts(agent) if text.startswith("line ")]
        self.assertEqual(numbers, list(range(count)))
        self.assertGreater(len(self.files(agent)), count // 20_000)
        self.finish(agent)

    def test_s10_the_disk_is_bounded(self):
        """S10: no more than the files that were allowed, each no larger than allowed."""
        agent = self.running_agent(toy("--print=bytes:5000000"), "--engine-log-max-bytes=200000",
                                   "--engine-log-max-files=3")
        self.printed(agent)
        sizes = [path.stat().st_size for path in self.files(agent)]
        self.assertEqual(len(sizes), 4)
        self.assertLessEqual(max(sizes), 200_000)
        self.finish(agent)

    def test_s10_rotation_by_age(self):
        """S10: a file whose first line is too old is rotated, however small it is."""
        agent = self.running_agent(toy("--say=an old line"), *("--restart-delay=20ms", "--engine-log-max-age=1s"))
        let_time_pass(1.2)
        agent.kill_engine()
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        agent.running()
        wait_until(lambda: len(self.files(agent)) >= 2, 10, "a rotated file")
        self.assertIn("an old line", self.files(agent)[0].read_text())
        self.finish(agent)


class Trouble(LogTest):
    def test_s10_a_full_disk_never_blocks_the_engine(self):
        """S10: no line can be written: the engine goes on, the lines are counted, and it is said."""
        agent = self.new_agent(toy("--print=lines:50000"))
        agent.engine_log_path.parent.mkdir(parents=True)
        agent.engine_log_path.symlink_to("/dev/full")
        agent.start().running()
        wait_until(lambda: agent.status()["log_lines_lost"] >= 50_000, 10, "the count of the lost lines")
        self.assertEqual((agent.state, agent.status()["restarts"]), ("running", 0), "told while the run lasts")
        self.assertEqual(agent.stderr_text().count("cannot be written: its lines are lost"), 1)
        self.finish(agent)

    def test_s10_a_log_that_can_be_written_again_says_how_much_is_missing(self):
        """S10: the disk was full, has room again (the file is opened anew), and the log counts what is not in it."""
        agent = self.new_agent(toy("--print=lines:1000"))
        agent.engine_log_path.parent.mkdir(parents=True)
        agent.engine_log_path.symlink_to("/dev/full")
        agent.start().running()
        wait_until(lambda: agent.status()["log_lines_lost"] >= 1000, 10, "the count of the lost lines")
        agent.engine_log_path.unlink()
        agent.signal(signal.SIGHUP)
        wait_until(agent.engine_log_path.exists, 10, "a new log")
        agent.kill_engine()
        wait_until(lambda: re.search(r"agent 100\d lines were lost", agent.engine_log()), 10, "the count in the log")
        wait_until(lambda: "can be written again" in agent.stderr_text(), 10, "a word about it")
        self.finish(agent)

    def test_s10_a_reader_that_stops_never_blocks_the_engine(self):
        """S10: a client of /logs?follow=1 reads nothing while the engine prints 20 MB."""
        count = 2_000_000 if under_sanitizer() else 20_000_000
        agent = self.start_agent(toy("--load=0.5", f"--print=bytes:{count}"), "--engine-log-max-bytes=3000000")
        with http_wire.Connection(agent.port) as reader:
            reader.send(http_wire.request_bytes("GET", "/logs?follow=1"))
            begun = time.monotonic()
            agent.running(60)
            self.printed(agent)
            if not under_sanitizer():
                self.assertLess(rss(agent.pid), 40e6)
            self.assertLess(time.monotonic() - begun, patience(20))
        self.finish(agent)

    def test_s10_an_endless_line_does_not_grow_memory(self):
        """S10: 10 MB without a line end: cut in the log, and neither agent nor shim holds it."""
        agent = self.start_agent(toy("--print=endless:10000000"))
        agent.running(60)
        self.printed(agent)
        shim, = agent.shims()
        if not under_sanitizer():
            for pid in (agent.pid, shim.pid):
                self.assertLess(rss(pid), 20e6)
        long, = [text for text in self.texts(agent) if text.startswith("yyy")]
        self.assertLess(len(long), 10_000)
        self.assertTrue(long.endswith("[cut]"))
        self.finish(agent)

    def test_s10_binary_survives(self):
        """S10: any bytes: the log stays text, and the JSON of the pages and of the registry stays valid."""
        agent = self.start_agent(toy("--print=binary:300000", "--die=0.3:1"), "--restart-delay=1h")
        self.printed(agent)
        for text in self.texts(agent):
            self.assertFalse(set(text) & CONTROL, repr(text))
        agent.wait_state("backing_off")
        self.assertEqual(len(agent.last_exit()["last_lines"]), 20)
        agent.registry.wait_status(agent.name, "unhealthy")
        json.dumps(agent.registry.entry(agent.name))
        self.assertEqual(agent.call("GET", "/logs?lines=100").status, 200)
        self.finish(agent)

    def test_s10_the_agent_is_busy_or_gone_and_the_log_goes_on(self):
        """S10: the shim writes the log: a paused agent holds nothing up, and nothing is lost."""
        agent = self.start_agent(toy("--load=0.5", "--print=lines:20000"))
        wait_until(agent.engine_pid, 10, "the engine")
        agent.signal(signal.SIGSTOP)
        self.printed(agent)
        agent.signal(signal.SIGCONT)
        agent.running()
        numbers = [int(text.split()[1]) for text in self.texts(agent) if text.startswith("line ")]
        self.assertEqual(numbers, list(range(20_000)))
        self.finish(agent)


class Form(LogTest):
    def test_lines_carry_time_and_stream(self):
        agent = self.running_agent(toy("--say=to the output", "--errors=to the errors", "--say=ümläut"))
        wait_until(lambda: "Uvicorn" in agent.engine_log(), 10, "its lines")
        lines = agent.engine_log().splitlines()
        for text, stream in (("to the output", "out"), ("to the errors", "err"), ("ümläut", "out")):
            line = next(line for line in lines if text in line)
            self.assertRegex(line, LINE)
            self.assertEqual(line.split(" ", 2)[1:], [stream, text])
        self.finish(agent)

    def test_a_line_without_an_end_is_there_when_the_engine_ends(self):
        agent = self.start_agent({"type": "command", "command": "/bin/sh", "args": ["-c", "printf 'no end'; exit 4"]},
                                 "--restart-delay=1h")
        agent.wait_state("backing_off")
        self.assertIn("no end", self.texts(agent))
        self.assertEqual(agent.last_exit()["last_lines"][-1], "no end")
        self.finish(agent)


if __name__ == "__main__":
    main()
