#!/usr/bin/env python3
"""Reliability statements about leases and removal: R4, R5, R6 and R9 of the reliability notes, by name."""

import signal
import struct
import threading
import time

from support.case import SystemTest, main
from support.daemon_process import BIN_DIR
from support.fakes import FakeAgent, start_agents
from support.registry_process import ChangeStream, service
from support.waiting import best_of, let_time_pass, patience, percentile, under_sanitizer, wait_until


def kinds(events, kind):
    return [event for event in events if event["event"] == kind]


class Expiry(SystemTest):
    def test_reloads_that_come_more_often_than_sweeps_do_not_put_them_off(self):
        registry = self.start_registry("--cleanup-interval=1s", "--heartbeat-timeout=1s", "--remove-after=1s",
                                       "--max-removal-share=1", "--state-db=:memory:")
        registry.register("stale")

        def reloaded_and_gone():
            registry.signal(signal.SIGHUP)
            return registry.names() == []
        wait_until(reloaded_and_gone, 6, "the removal, with a reload every 0.2 s", interval=0.2)

    def test_R4_expiry_is_never_early_and_late_by_at_most_a_second(self):
        """R4: of 200 leases of 3 s (half of them renewed once) none expires early, and p99 is late by at most 1 s."""
        lease = 3.0
        registry = self.start_registry("--heartbeat-timeout", "3s", "--remove-after", "1h", "--state-db", ":memory:")
        stream = ChangeStream(registry)
        renewed = {}  # name -> (sent, answered)
        events = []
        watcher = threading.Thread(target=lambda: events.extend(stream.until(
            lambda seen: len(kinds(seen, "lease_expired")) == 200, 20, "200 expirations")))
        watcher.start()
        with registry.connection() as connection:
            for index in range(200):
                sent = time.monotonic()
                self.assertEqual(connection.request("POST", "/services", json=service(f"s{index}")).status, 201)
                renewed[f"s{index}"] = (sent, time.monotonic())
                time.sleep(0.002)  # spreads the ends of the leases
            for index in range(0, 200, 2):
                sent = time.monotonic()
                if sent - renewed[f"s{index}"][0] > lease / 2:
                    continue  # a slow machine: it must not be renewed while it runs out
                self.assertEqual(connection.request("POST", f"/services/s{index}/heartbeat").status, 200)
                renewed[f"s{index}"] = (sent, time.monotonic())
        watcher.join(patience(30))
        expired = kinds(events, "lease_expired")
        self.assertEqual(sorted(event["name"] for event in expired), sorted(renewed))
        early = [event["seen"] - renewed[event["name"]][0] - lease for event in expired]
        late = [event["seen"] - renewed[event["name"]][1] - lease for event in expired]
        self.assertGreaterEqual(min(early), 0, "a lease ended early")
        self.assertLessEqual(best_of(1, 1.0, lambda: percentile(late, 0.99)), patience(1.0))
        print(f"\nR4: 200 leases of 3 s: late by {min(early):.3f} s to {max(late):.3f} s", end=" ")

    def test_R4_a_clock_jump_of_an_hour_expires_nothing(self):
        """R4: the wall clock jumps by +1 h and by -1 h: no lease ends early, and leases still end when they should."""
        clock = self.folder / "clock"
        clock.write_bytes(struct.pack("=q", 0))
        lease = 9 if under_sanitizer() else 5  # starved agents must not lose it
        registry = self.start_registry(
            "--heartbeat-timeout", f"{lease}s", "--remove-after", f"{3 * lease}s", "--cleanup-interval", "200ms",
            env={"LD_PRELOAD": str(BIN_DIR / "shifted_wall_clock.so"), "SHIFTED_WALL_CLOCK": str(clock)})
        agents = start_agents(self, registry, 10, 0.5)
        wait_until(lambda: len(registry.names()) == 10, 10, "10 services")
        stream = ChangeStream(registry)
        for jump in (3600, -3600, 0):
            with clock.open("r+b") as file:  # in place: the process has it mapped
                file.write(struct.pack("=q", jump))
            wait_until(lambda: abs(registry.service("svc-000")["last_heartbeat"] - time.time() - jump) < 60, 5,
                       f"the clock's jump of {jump} s reaching the registry")
            let_time_pass(1.5)
            self.assertEqual(stream.poll("1ms"), [], f"after {jump}")
        agents[0].cut_off.set()
        seen = stream.until(lambda events: kinds(events, "lease_expired"), 2 * lease)
        self.assertEqual([event["name"] for event in seen], ["svc-000"])
        self.assertGreaterEqual(seen[0]["seen"] - agents[0].last_sent, lease)

    def test_R9_a_partitioned_agent_goes_unhealthy_at_T_is_removed_at_2_T_and_is_back_within_H(self):
        """R9: T = 4 s, removal at 2 T, H = 0.5 s; the other nine agents notice nothing."""
        lease, interval = 4.0, 0.5
        registry = self.start_registry("--heartbeat-timeout", "4s", "--remove-after", "8s", "--cleanup-interval",
                                       "250ms")
        agents = start_agents(self, registry, 10, interval)
        wait_until(lambda: len(registry.names("?healthy=true")) == 10, 10, "10 healthy services")
        stream = ChangeStream(registry)
        agents[4].cut_off.set()
        events = stream.until(lambda seen: kinds(seen, "removed_stale"), 20)
        self.assertEqual([(event["event"], event["name"]) for event in events],
                         [("lease_expired", "svc-004"), ("removed_stale", "svc-004")])
        unhealthy, removed = (event["seen"] - agents[4].last_sent for event in events)
        self.assertTrue(lease <= unhealthy <= patience(lease + interval + 2), unhealthy)
        self.assertTrue(2 * lease <= removed <= patience(2 * lease + interval + 2), removed)
        agents[4].cut_off.clear()
        back = time.monotonic()
        events = stream.until(lambda seen: kinds(seen, "registered"), 15)
        self.assertLess(events[-1]["seen"] - back, patience(interval + 2))
        self.assertEqual(len(registry.names("?healthy=true")), 10)

    def test_heartbeat_interval_in_the_registration_makes_the_lease(self):
        registry = self.start_registry()
        for interval, lease in ((0.5, 5), (1, 5), (2, 6), ("10s", 30)):
            answer = registry.register("s", heartbeat_interval=interval)["lease"]
            self.assertEqual((answer["heartbeat_timeout"], answer["remove_after"]), (lease, lease * 2.5))
        self.assertEqual(registry.register("s", heartbeat_interval=2, remove_after=60)["lease"]["remove_after"], 60)


class MassExpiry(SystemTest):
    """Services with the default lease (1 s here) go stale at once; those with an interval of 60 s outlive a test."""

    FLAGS = ("--heartbeat-timeout", "1s", "--remove-after", "2s", "--cleanup-interval", "1s", "--state-db", ":memory:")

    def sweeps(self, registry):
        """Removals that the registry carried out together belong to one sweep."""
        groups = []
        for moment, _, name in registry.transitions("removed_stale"):
            if not groups or moment - groups[-1][-1][0] > 0.4:
                groups.append([])
            groups[-1].append((moment, name))
        return [[name for _, name in group] for group in groups]

    def expire_15_of_40(self, *flags):
        registry = self.start_registry(*self.FLAGS, *flags)
        names = [f"s{index:02d}" for index in range(40)]
        registry.register_many([service(name, heartbeat_interval=60) for name in names[15:]])
        stream = ChangeStream(registry)
        registry.register_many([service(name) for name in names[:15]])
        events = stream.until(lambda seen: len(kinds(seen, "removed_stale")) == 15, 20, "15 removals")
        self.assertEqual({event["name"] for event in events}, set(names[:15]))
        self.assertEqual(registry.names(), names[15:])
        self.registered = [event["name"] for event in kinds(events, "registered")]
        return self.sweeps(registry)

    def test_R5_a_sweep_removes_at_most_15_percent_chosen_at_random(self):
        """R5: 15 of 40 services go stale together: sweeps of at most 6, 5 and 4 (15 % of what is left), at random."""
        sweeps = self.expire_15_of_40()
        left = 40
        for names in sweeps:
            self.assertLessEqual(len(names), max(1, int(left * 0.15)), sweeps)
            left -= len(names)
        self.assertNotEqual([name for names in sweeps for name in names], self.registered, "not at random")

    def test_R5_the_share_is_a_setting(self):
        """R5: --max-removal-share 0.5 lets one sweep take all 15 of 40."""
        sweeps = self.expire_15_of_40("--max-removal-share", "0.5")
        self.assertLessEqual(len(sweeps), 2, "they may straddle two sweeps, no more")

    def test_R5_a_collapse_stops_removal_until_heartbeats_return_and_is_visible(self):
        """R5: more than half of all leases end within one interval: nothing is removed, /health, /stats and a metric
        say so, and when half of the fleet is back removal goes on with what is still stale."""
        registry = self.start_registry(*self.FLAGS)
        names = [f"s{index:02d}" for index in range(20)]
        registry.register_many([service(name) for name in names])
        on_hold = wait_until(lambda: registry.get("/health")["removal"]["on_hold"], 6, "the hold")
        self.assertIs(on_hold, True)
        let_time_pass(3, lambda: self.assertEqual(len(registry.names()), 20), interval=0.3)
        removal = registry.get("/health")["removal"]
        self.assertEqual((removal["holds"], removal["waiting"]), (1, 20))
        self.assertEqual(registry.get("/stats")["removal"]["on_hold"], True)
        self.assertEqual(registry.metric("infinilm_registry_removal_on_hold"), 1)
        self.assertIn("hold", registry.log_text())
        for name in names[:10]:  # a heartbeat that also lengthens the lease, so that these stay
            self.assertEqual(registry.call("PUT", f"/services/{name}", json={"heartbeat_interval": 60}).status, 200)
        wait_until(lambda: not registry.get("/health")["removal"]["on_hold"], 5, "the end of the hold")
        wait_until(lambda: registry.names() == names[:10], 12, "the removal of the ten that stay silent")

    def test_R5_a_hold_ends_after_its_limit(self):
        """R5: a fleet that never comes back is cleaned up in the end, 15 % a sweep."""
        registry = self.start_registry(*self.FLAGS, "--removal-hold-limit", "2s")
        registry.register_many([service(f"s{index}") for index in range(5)])
        wait_until(lambda: len(registry.transitions("removed_stale")) == 5, 20, "the removal of all")
        first_expiry = registry.transitions("lease_expired")[0][0]
        self.assertGreater(registry.transitions("removed_stale")[0][0] - first_expiry, 1.9)


class Pause(SystemTest):
    def pause(self, registry, seconds):
        registry.signal(signal.SIGSTOP)
        let_time_pass(seconds)
        registry.signal(signal.SIGCONT)
        return time.monotonic()

    def test_R6_a_registry_stopped_for_longer_than_every_lease_expires_nobody_on_its_return(self):
        """R6: SIGSTOP for 12 s with leases of 4 s and 5 s (60 s in the statement), then SIGCONT:
        nobody expires before having had one full lease to renew; three that died meanwhile do expire after it."""
        default, own = 4.0, 5.0
        registry = self.start_registry("--heartbeat-timeout", "4s", "--remove-after", "4s", "--cleanup-interval",
                                       "200ms")
        agents = [FakeAgent(registry, f"svc-{index}", 1.0, port=20000 + index).start() for index in range(12)]
        self.addCleanup(lambda: [agent._stop.set() for agent in agents])
        wait_until(lambda: len(registry.names()) == 12, 10, "12 services")
        registry.register("silent-4")
        registry.register("silent-5", heartbeat_interval=1)
        registry.register("silent-5b", heartbeat_interval=1)
        stream = ChangeStream(registry)
        resumed = self.pause(registry, 12)
        self.assertEqual(len(registry.names("?healthy=true")), 15)
        self.assertGreaterEqual(registry.metric("infinilm_registry_pauses_total"), 1)
        events = stream.until(lambda seen: len(kinds(seen, "removed_stale")) == 3, 27, "the three silent ones")
        after = {event["name"]: event["seen"] - resumed for event in kinds(events, "lease_expired")}
        self.assertEqual(sorted(after), ["silent-4", "silent-5", "silent-5b"])
        for name, lease in (("silent-4", default), ("silent-5", own), ("silent-5b", own)):
            self.assertGreater(after[name], lease - 0.1)
            self.assertLess(after[name], patience(lease + 2))
        self.assertEqual(len(registry.names("?healthy=true")), 12)
        self.assertTrue(all(agent.registrations == 1 for agent in agents))
        print(f"\nR6: stopped for 12 s: 12 of 15 renewed, the others expired {min(after.values()):.2f} s to "
              f"{max(after.values()):.2f} s after it", end=" ")

    def test_R6_a_pause_a_little_shorter_than_the_lease_counts_as_well(self):
        """R6: a service renewed 2 s before a pause of 4 s, with a lease of 5 s, is not blamed for the pause."""
        registry = self.start_registry("--heartbeat-timeout", "5s", "--remove-after", "5s", "--cleanup-interval",
                                       "200ms")
        registry.register("victim")
        stream = ChangeStream(registry)
        let_time_pass(2)
        self.pause(registry, 4)
        self.assertEqual([event["event"] for event in stream.poll("1500ms")], [])
        self.assertEqual(registry.heartbeat("victim").status, 200)


if __name__ == "__main__":
    main()
