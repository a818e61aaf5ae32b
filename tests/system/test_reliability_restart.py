#!/usr/bin/env python3
"""Reliability statements about losing the registry: R1, R2, R3 and R7 of the reliability notes, by name."""

import random
import shutil
import time

from support.case import SystemTest, main
from support.fakes import start_agents
from support.ports import port_pair
from support.registry_process import ChangeStream, service
from support.waiting import best_of, let_time_pass, patience, under_sanitizer, wait_until


class RestartReliability(SystemTest):
    def test_R1_acknowledged_registrations_survive_kill_9(self):
        """R1: an acknowledged registration survives kill -9: 0 lost of 1,200 in 20 rounds."""
        registry = self.start_registry()
        acknowledged = {}
        for round_number in range(20):
            bodies = [service(f"r{round_number}-{index}", port=1000 + index, weight=round_number + 1,
                              metadata={"round": round_number}) for index in range(60)]
            registry.register_many(bodies, connections=4)
            acknowledged.update({body["name"]: body for body in bodies})
            registry.restart()
            listed = {item["name"]: item for item in registry.services()}
            self.assertEqual(set(listed), set(acknowledged), f"after round {round_number}")
        for name, body in acknowledged.items():
            kept = {key: listed[name][key] for key in body}
            self.assertEqual(kept, body)
        self.assertEqual(registry.get("/health")["store"]["state"], "ok")

    def test_R1_updates_and_removals_survive_kill_9_too(self):
        """R1, for the other acknowledged writes: the last acknowledged state is what is there after kill -9."""
        registry = self.start_registry()
        registry.register_many([service(f"s{index}") for index in range(30)])
        for index in range(0, 30, 3):
            self.assertEqual(registry.call("DELETE", f"/services/s{index}").status, 200)
        for index in range(1, 30, 3):
            answer = registry.call("PUT", f"/services/s{index}", json={"status": "draining", "weight": index})
            self.assertEqual(answer.status, 200)
        self.assertEqual(registry.heartbeat("s2", {"status": "busy"}).status, 200)
        registry.restart()
        after = {item["name"]: (item["status"], item["weight"]) for item in registry.services()}
        expected = {f"s{index}": ("draining", index) if index % 3 == 1 else ("running", 1)
                    for index in range(30) if index % 3 != 0}
        expected["s2"] = ("busy", 1)
        self.assertEqual(after, expected)

    def test_R2_after_total_data_loss_the_agents_alone_rebuild_the_catalogue_within_two_heartbeats(self):
        """R2, the registry's half: the store is deleted, the 404 to each heartbeat makes the (fake) agents register
        again, and within 2 H the list is complete; until then it says that it is warming up."""
        interval = 1.0
        registry = self.start_registry("--port", port_pair())
        start_agents(self, registry, 30, interval)
        wait_until(lambda: len(registry.names()) == 30, 10, "the first registration of 30 agents")
        registry.kill()
        for path in registry.folder.glob("registry.db*"):
            path.unlink()
        registry.start()
        ready = time.monotonic()
        self.assertIs(registry.get("/services").get("warming"), True)
        wait_until(lambda: len(registry.names()) == 30, 2 * interval + 1, "the rebuilt catalogue")
        took = time.monotonic() - ready
        self.assertLess(best_of(1, 2 * interval, lambda: took), patience(2 * interval) + 0.01)

    def test_R3_ready_within_a_second_with_10_000_instances_and_never_a_partial_list(self):
        """R3: ready in at most 1 s with 10,000 instances, and the first list that is answered is complete."""
        count = 1_000 if under_sanitizer() else 10_000
        registry = self.start_registry()
        registry.register_many([service(f"instance-{index:05d}", metadata={"type": "openai-api", "models": ["m"]})
                                for index in range(count)], connections=32)

        def start_up():
            registry.kill()
            begun = time.monotonic()
            registry.start()
            took = time.monotonic() - begun
            answer = registry.get("/services")
            self.assertEqual((answer["total"], len(answer["services"])), (count, count))
            self.assertNotIn("warming", answer)
            self.assertTrue(all(item["is_healthy"] for item in answer["services"]))
            return took
        took = best_of(3, 1.0, start_up)
        self.assertLessEqual(took, patience(1.0))
        print(f"\nR3: ready in {took:.3f} s with {count} instances", end=" ")

    def test_R3_an_empty_store_is_reported_as_warming_until_the_time_has_passed(self):
        """R3: a list that may be incomplete is never shown as complete: it is marked `warming`, here for 4 s."""
        registry = self.start_registry("--warming-time", "4s")
        registry.register("early")
        self.assertIs(registry.get("/health")["warming"], True)
        self.assertIs(registry.get("/services")["warming"], True)
        wait_until(lambda: not registry.get("/health")["warming"], 4, "the end of warming")
        self.assertNotIn("warming", registry.get("/services"))
        registry.restart()  # not empty now: complete at once
        self.assertIs(registry.get("/health")["warming"], False)
        self.assertNotIn("warming", registry.get("/services"))

    def test_R3_a_damaged_store_is_moved_aside_and_said(self):
        """R3: what is lost is said: the damaged file is kept, /health names it, the list is marked `warming`."""
        registry = self.start_registry()
        registry.register_many([service(f"s{index}") for index in range(50)])
        registry.stop()
        data = bytearray(registry.db_path.read_bytes())
        noise = random.Random(3)
        for offset in range(0, len(data), 64):
            data[offset] = noise.randrange(256)
        registry.db_path.write_bytes(bytes(data))
        registry.start()
        health = registry.get("/health")
        self.assertEqual((health["store"]["state"], health["registered_services"]), ("reset", 0))
        self.assertTrue(health["store"]["damage"])
        self.assertEqual((registry.folder / health["store"]["moved_to"]).read_bytes(), bytes(data))
        self.assertIs(registry.get("/services")["warming"], True)
        self.assertIn(health["store"]["moved_to"], registry.log_text())
        self.assertEqual(registry.register("works")["service"]["name"], "works")

    def test_R7_after_an_absence_the_registry_comes_back_complete_and_blames_nobody(self):
        """R7, the registry's own half (routers keep their last list by themselves): down for longer than every lease
        and every removal time, it comes back with the full list, all healthy, with one full lease of grace, and nothing
        expires as long as the agents find it again within that lease."""
        registry = self.start_registry("--heartbeat-timeout", "4s", "--remove-after", "4s", "--cleanup-interval",
                                       "200ms", "--port", port_pair())
        agents = start_agents(self, registry, 10, 0.5)
        wait_until(lambda: all(agent.registrations == 1 for agent in agents), 10, "10 answered registrations")
        registry.kill()
        let_time_pass(5)
        registry.start()
        self.assertEqual(len(registry.names("?healthy=true")), 10)
        stream = ChangeStream(registry)
        beats = [agent.heartbeats for agent in agents]
        wait_until(lambda: all(agent.heartbeats > before for agent, before in zip(agents, beats)), 3,
                   "a heartbeat of every agent")
        let_time_pass(4.5)
        self.assertEqual(stream.poll("1ms"), [])
        self.assertEqual(len(registry.names("?healthy=true")), 10)
        self.assertTrue(all(agent.registrations == 1 for agent in agents))

    def test_a_backup_of_the_database_file_is_a_full_state(self):
        """After a clean stop the database file alone holds everything (no -wal needed)."""
        registry = self.start_registry()
        registry.register_many([service(f"s{index}") for index in range(20)])
        self.assertEqual(registry.stop(), 0)
        other = self.new_registry(name="other")
        shutil.copy(registry.db_path, other.db_path)
        other.start()
        self.assertEqual(len(other.names()), 20)


if __name__ == "__main__":
    main()
