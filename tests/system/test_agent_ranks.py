#!/usr/bin/env python3
"""An instance of several processes: ready when rank 0 answers, restarted and stopped as a whole."""

import os
import signal

from support import proc_tree
from support.agent_process import AgentTest, toy
from support.case import main
from support.waiting import let_time_pass, wait_until

SOON = ("--restart-delay=20ms",)


class Ranks(AgentTest):
    def ranks(self, *switches, flags=(), count=3):
        agent = self.new_agent(toy("--rank=${RANK}", *switches), f"--pp={count}", *SOON, *flags)
        return agent.start()

    def by_rank(self, agent):
        """{rank: pid}, without what a rank has forked."""
        found = {}
        for item in agent.engines():
            rank = next(word for word in item.command.split() if word.startswith("--rank="))
            found.setdefault(int(rank.removeprefix("--rank=")), item.pid)
        return found

    def all_forked(self, agent):
        """Three ranks and a child of each: rank 0 is ready before the others have forked theirs."""
        wait_until(lambda: len(agent.engines()) == 6, 10, "three ranks and three children")

    def test_all_ranks_run_and_rank_0_serves(self):
        agent = self.ranks("--load=0.3")
        wait_until(lambda: len(self.by_rank(agent)) == 3, 10, "three ranks")
        agent.running()
        pids = self.by_rank(agent)
        self.assertEqual(sorted(pids), [0, 1, 2])
        self.assertEqual(agent.status()["pids"], [pids[rank] for rank in range(3)])
        self.assertEqual(len({proc_tree.process(pid).session for pid in pids.values()}), 3, "a session each")
        self.finish(agent)

    def one_dies(self, rank, number):
        agent = self.ranks("--children=setsid-double")
        agent.running()
        agent.registry.wait_status(agent.server_name, "running")
        wait_until(lambda: "stage=1" in agent.engine_log() and "stage=2" in agent.engine_log(), 10, "the workers")
        before = self.by_rank(agent)
        os.kill(before[rank], number)
        agent.registry.wait_status(agent.server_name, "unhealthy")
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        agent.running()
        after = self.by_rank(agent)
        self.assertEqual(len(after), 3)
        self.assertEqual(set(before.values()) & set(after.values()), set(), "all ranks are new")
        self.all_forked(agent)
        exit = agent.last_exit()
        self.assertEqual(exit["rank"], rank)
        self.finish(agent)
        return exit

    def test_a_worker_dies(self):
        exit = self.one_dies(2, signal.SIGUSR1)
        self.assertIn("exit code 3", exit["text"])
        self.assertIn("rank 2", exit["text"])

    def test_a_worker_is_killed(self):
        self.assertIn("SIGKILL", self.one_dies(1, signal.SIGKILL)["text"])

    def test_the_coordinator_is_killed(self):
        self.assertNotIn("rank", self.one_dies(0, signal.SIGKILL)["text"])

    def test_a_worker_dies_while_the_model_loads(self):
        agent = self.ranks("--load=2")
        wait_until(lambda: len(self.by_rank(agent)) == 3, 10, "three ranks")
        os.kill(self.by_rank(agent)[2], signal.SIGKILL)
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        self.assertEqual(agent.registry.calls_of(agent.server_name), [])
        agent.running()
        self.assertEqual(len(self.by_rank(agent)), 3)
        self.finish(agent)

    def test_a_rank_that_cannot_be_started_leaves_none_of_the_others(self):
        program = self.folder / "engine-1"
        backend = toy()
        agent = self.new_agent({"type": "command", "command": str(self.folder / "engine-${RANK}"), "args": []},
                               "--pp=3", *SOON, "--start-limit=2")
        for rank in (0, 2):
            path = self.folder / f"engine-{rank}"
            path.write_text("#!/bin/sh\nexec " + " ".join([backend["command"], *backend["args"][:4]]) +
                            f" --port={agent.engine_port} --rank={rank}\n")
            path.chmod(0o755)
        agent.start().wait_state("failed")
        self.assertIn(str(program), agent.stderr_text())
        self.assertEqual(agent.engines(), [])
        self.finish(agent)

    def test_every_rank_is_asked_to_stop_once(self):
        starts = self.folder / "starts"
        agent = self.ranks(f"--starts={starts}")
        agent.running()
        wait_until(lambda: len(self.starts(starts)) == 3, 10, "three starts")
        pids = self.by_rank(agent)
        self.finish(agent)
        asked = [int(line.split()[0]) for line in starts.read_text().splitlines() if line.endswith("term")]
        self.assertEqual(sorted(asked), sorted(pids.values()))

    def test_each_rank_has_its_own_mark_in_the_log(self):
        agent = self.ranks()
        agent.running()
        wait_until(lambda: "stage=2" in agent.engine_log() and "stage=1" in agent.engine_log(), 10, "the workers")
        for rank in (1, 2):
            line = next(line for line in agent.engine_log().splitlines() if f"stage={rank}" in line)
            self.assertRegex(line, rf" out\.{rank} ")
        self.finish(agent)

    def test_ranks_die_with_the_agent(self):
        agent = self.ranks("--children=setsid-double")
        agent.running()
        self.all_forked(agent)
        agent.kill()
        wait_until(lambda: not agent.marked(), 3, "the end of all ranks")

    def test_ranks_are_adopted(self):
        agent = self.ranks(flags=("--on-agent-death=keep",))
        agent.running()
        before = self.by_rank(agent)
        agent.kill()
        let_time_pass(0.3)
        agent.start().running()
        self.assertEqual(self.by_rank(agent), before)
        os.kill(before[1], signal.SIGKILL)
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        agent.running()
        self.assertEqual(agent.last_exit()["rank"], 1)
        self.finish(agent)


if __name__ == "__main__":
    main()
