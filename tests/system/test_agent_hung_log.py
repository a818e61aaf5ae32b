#!/usr/bin/env python3
"""S10: the disk of the logs hangs: the engine serves on, the registry hears of it, a stop is one, memory is bounded."""

import re
import signal
import time

from support import http_wire
from support.agent_process import AgentTest, toy
from support.case import main
from support.daemon_process import BIN_DIR
from support.usage import rss
from support.waiting import best_of, patience, under_sanitizer, wait_until

LINES = 200_000  # several times what may wait in memory, with what the log puts before each
LOST = re.compile(r" agent (\d+) lines were lost")


class HungDiskTest(AgentTest):
    def setUp(self):
        super().setUp()
        self.control = self.folder / "hangs"
        self.addCleanup(lambda: self.control.unlink(missing_ok=True))

    def on_disk(self, *switches, flags=()):
        """An agent whose folder of logs, for the engine's and for its own, is on a disk that may hang."""
        folder = self.folder.resolve() / "agent"
        environment = {"LD_PRELOAD": str(BIN_DIR / "hung_disk.so"), "HUNG_DISK_CONTROL": str(self.control),
                       "HUNG_DISK_FOLDER": f"{folder}/logs/"}
        return self.new_agent(toy(*switches), "--log-file=logs/own.log", *flags, folder="agent", env=environment)

    def print_much(self, agent, what=f"lines:{LINES}"):
        """The engine answers when it has printed all of it."""
        self.assertEqual(http_wire.call(agent.engine_port, "GET", f"/print?{what}", timeout=120).status, 200)

    def heartbeats(self, agent, name):
        return sum(call.what == "heartbeat" and call.name == name for call in agent.registry.calls)

    def wait_heartbeats(self, agent, more=2):
        """Of both names."""
        for name in (agent.name, agent.server_name):
            before = self.heartbeats(agent, name)
            wait_until(lambda n=name, b=before: self.heartbeats(agent, n) >= b + more, 30, f"heartbeats of {name}")


class HungDisk(HungDiskTest):
    def test_s10_a_disk_that_hangs_holds_up_nobody(self):
        """S10: the engine prints and serves on, heartbeats go on; the log says what is missing when the disk answers."""
        agent = self.on_disk().running()
        wait_until(lambda: "Uvicorn" in agent.engine_log(), 10, "its first lines")
        shim, = agent.shims()
        before = rss(shim.pid)
        self.control.touch()
        self.print_much(agent)
        if not under_sanitizer():
            self.assertLess(rss(shim.pid), before + 8e6, "4 MiB of lines, and what they are kept in")
        self.assertEqual(http_wire.call(agent.engine_port, "GET", "/health").status, 200)
        wait_until(lambda: agent.status()["log_lines_lost"] > LINES / 4, 10, "the count, while it hangs")
        self.wait_heartbeats(agent)
        status = agent.status()
        self.assertEqual((status["state"], status["restarts"], status["last_line"]),
                         ("running", 0, "printed everything"))
        answer = agent.call("GET", "/logs?lines=5")
        self.assert_error(answer, 503, "the disk of the log does not answer")
        wait_until(lambda: "the disk of the engine's log does not answer" in agent.stderr_text(), 20, "a word about it")
        self.assertNotRegex(agent.engine_log(), LOST)

        self.control.unlink()
        wait_until(lambda: LOST.search(agent.engine_log()), 20, "the count in the log")
        self.print_much(agent, "lines:1")
        wait_until(lambda: "can be written again" in agent.stderr_text(), 10, "a word about it")
        text = wait_until(lambda: agent.engine_log() if agent.engine_log().count("printed everything") else None, 20,
                          "what was printed later")
        lost = sum(int(count) for count in LOST.findall(text))
        self.assertEqual(agent.status()["log_lines_lost"], lost)
        numbers = [int(line.split()[3]) for line in text.splitlines() if re.match(r"\S+ out line \d+$", line)]
        first = numbers[:-1]  # the last is the line of the second time
        self.assertEqual(first, list(range(len(first))), "the oldest are kept, and whole")
        self.assertEqual(len(first) + lost, LINES + 2, "each line is there or counted")
        self.assertEqual(agent.call("GET", "/logs?lines=5").status, 200)
        own = agent.folder / "logs" / "own.log"
        wait_until(lambda: "does not answer" in own.read_text(), 10, "the agent's own log goes on too")
        self.finish(agent)

    def test_s10_restarts_and_stops_work_while_it_hangs(self):
        """S10: an engine that dies is started again, a reload does no harm, a stop leaves nothing behind."""
        agent = self.on_disk().running()
        self.control.touch()
        self.print_much(agent)
        agent.kill_engine()
        wait_until(lambda: agent.status()["restarts"] == 1, 20, "the restart")
        agent.running()
        agent.signal(signal.SIGHUP)
        wait_until(lambda: "its disk does not answer" in agent.stderr_text(), 30, "the reload's failure")
        self.wait_heartbeats(agent)
        self.finish(agent)

    def test_s10_the_end_of_an_engine_waits_2_s_for_its_log_and_that_of_the_agent_2_s_more(self):
        """S10: what an end needs for itself is far less than the second that is left here for it."""
        starts = self.folder / "starts"
        agent = self.on_disk(f"--starts={starts}").running()

        def newest_term():
            term = [line for line in starts.read_text().splitlines() if line.endswith("term")][-1]
            return float(term.split()[1])

        def restart():
            """Seconds from the engine's SIGTERM, at which it ends at once, to the beginning of the next one."""
            before = len(self.starts(starts))
            self.assertEqual(agent.call("POST", "/restart").status, 202)
            wait_until(lambda: len(self.starts(starts)) > before, 30, "the next engine")
            agent.running()
            return self.starts(starts)[-1][1] - newest_term()

        def stop():
            """Seconds from the engine's SIGTERM to the end of the agent."""
            self.control.unlink()
            if not agent.alive:
                agent.start().running()
            self.control.touch()
            self.assertEqual(agent.stop(), 0)
            return time.monotonic() - newest_term()
        self.control.touch()
        took = best_of(3, 2 + patience(1.0), restart)
        self.assertLessEqual(took, 2 + patience(1.0))
        took = best_of(3, 2 + 2 + patience(1.0), stop)
        self.assertLessEqual(took, 2 + 2 + patience(1.0))
        self.assert_nothing_left(agent)

    def test_s10_an_engine_starts_while_it_hangs(self):
        """S10: the disk of the engine's log hangs from the beginning, and answers later."""
        agent = self.on_disk(flags=("--log-file=agent.log",))
        self.control.touch()
        agent.running()
        self.assertFalse(agent.engine_log_path.exists())
        self.control.unlink()
        wait_until(lambda: "Uvicorn" in agent.engine_log(), 10, "the first lines, which waited")
        self.finish(agent)


if __name__ == "__main__":
    main()
