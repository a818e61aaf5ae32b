#!/usr/bin/env python3
"""Started with standard streams closed (`2>&-`): no file or socket takes their place."""

import itertools
import os
import subprocess

from support.agent_process import AgentTest, toy
from support.case import main
from support.daemon_process import BIN_DIR
from support.waiting import patience, wait_until

STREAMS = (0, 1, 2)


def closer(*streams):
    """For preexec_fn."""
    def close():
        for stream in streams:
            os.close(stream)
    return close


class ClosedStreams(AgentTest):
    def check(self, daemon, closed):
        """What was closed is /dev/null, and each line of the log is there once."""
        for stream in closed:
            self.assertEqual(os.readlink(f"/proc/{daemon.pid}/fd/{stream}"), "/dev/null", stream)
        self.assertEqual(daemon.stop(), 0)
        lines = daemon.log_text().splitlines()
        self.assertIn("stopped", lines[-1])
        self.assertEqual([line for line, same in itertools.groupby(lines) if len(list(same)) > 1], [])

    def test_the_registry(self):
        for closed in ((0,), (1,), (2,), STREAMS):
            with self.subTest(closed=closed):
                name = "-".join(map(str, closed))
                registry = self.start_registry(name=name, preexec=closer(*closed))
                registry.register("s")
                self.check(registry, closed)

    def test_the_router(self):
        self.check(self.start_router(preexec=closer(*STREAMS)), STREAMS)

    def test_the_agent(self):
        """Its shim and its engine have all three as well."""
        agent = self.running_agent(toy("--say=one", "--errors=two"), preexec=closer(*STREAMS))
        shim, = agent.shims()
        self.assertEqual(os.readlink(f"/proc/{shim.pid}/fd/2"), "/dev/null")
        wait_until(lambda: "out one" in agent.engine_log() and "err two" in agent.engine_log(), 10, "both in the log")
        self.check(agent, STREAMS)
        self.assert_nothing_left(agent)

    def test_what_infinilm_ctl_launches(self):
        """It has its output where it was told to."""
        output = self.folder / "output"
        done = subprocess.run([BIN_DIR / "infinilm-ctl", "launch", f"--pid-file={self.folder / 'pid'}",
                               f"--output={output}", "--", "/bin/sh", "-c", "echo one; echo two >&2"],
                              preexec_fn=closer(*STREAMS), timeout=patience(60), check=False)
        self.assertEqual(done.returncode, 0)
        wait_until(lambda: output.read_text() == "one\ntwo\n", 10, "both in the file")


if __name__ == "__main__":
    main()
