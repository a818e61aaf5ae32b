#!/usr/bin/env python3
"""The package on a machine that boots with systemd: what an operator does on the first day, and what goes wrong later."""

import json
import shutil

from support.booted_machine import BootedMachine
from support.case import main
from support.daemon_process import BIN_DIR, SOURCE_DIR
from support.package import NAME, PackageTest
from support.scratch_root import run
from support.waiting import wait_until

CHAT = """curl -s http://127.0.0.1:8080/v1/chat/completions -d '{"messages": [{"role": "user", "content": "hi"}]}'"""


class FirstDay(PackageTest):
    def setUp(self):
        if run("dpkg", "--status", NAME).returncode == 0:
            self.skipTest(f"{NAME} is installed on this machine, whose files the container has")
        self.machine = BootedMachine(self)
        for source, target in ((self.deb, "/root/package.deb"), (BIN_DIR / "infinilm-sim", "/usr/local/bin/infinilm-sim")):
            shutil.copy(source, self.machine.path(target))

    def active(self, unit):
        return self.machine.property(unit, "ActiveState")

    def restarts(self, unit):
        return int(self.machine.property(unit, "NRestarts"))

    def test_installed_started_hurt_and_removed(self):
        machine = self.machine
        machine.must("dpkg --install /root/package.deb")
        for unit in ("infinilm-registry", "infinilm-router"):
            self.assertEqual(self.active(unit), "inactive", "nothing is started unasked")

        # The samples, an engine and its agent, and a request through all of it. READY: each start waits for it.
        sample = (SOURCE_DIR / "deployment_configs/engines/sim.toml").read_text()
        machine.path("/etc/infinilm/agents/gpu1.toml").write_text(sample.replace('"localhost"', '"127.0.0.1"'))
        machine.must("systemctl enable --now infinilm-registry infinilm-router infinilm-agent@gpu1")
        self.assertIn("1 of 1 service in service", machine.must("systemctl status --no-pager infinilm-agent@gpu1"))
        wait_until(lambda: '"choices"' in machine.must(CHAT), 30, "an answer through the router", 0.1)
        groups = machine.must("find /sys/fs/cgroup -type d -path '*infinilm-agent@gpu1*/infinilm-sim-1*'")
        self.assertTrue(groups, "the run of an engine has a control group of its own")
        self.assertIn("Uvicorn running", machine.path("/var/log/infinilm/sim-1.log").read_text())
        self.assertTrue(machine.path("/var/lib/infinilm/registry/data/registry.db").exists())

        # An agent that is killed is started again, and so is its engine, once.
        machine.must("systemctl kill --kill-whom=main --signal=KILL infinilm-agent@gpu1")
        wait_until(lambda: self.restarts("infinilm-agent@gpu1") == 1 and self.active("infinilm-agent@gpu1") == "active",
                   60, "the agent to be back", 0.2)
        self.assertEqual(machine.must("pgrep --count --exact infinilm-sim").strip(), "1")
        wait_until(lambda: '"choices"' in machine.must(CHAT), 30, "an answer through the router", 0.1)

        # A mistake in the configuration: the reload says so, and the router goes on; a start with it is not repeated.
        config = machine.path("/etc/infinilm/router_config.json")
        good = config.read_text()
        config.write_text(good.replace('"port"', '"prot"'))
        self.assertNotEqual(machine.run("systemctl reload infinilm-router").returncode, 0)
        self.assertIn("did you mean 'port'?", machine.must("journalctl --no-pager --unit infinilm-router"))
        self.assertEqual(self.active("infinilm-router"), "active")
        self.assertNotEqual(machine.run("systemctl restart infinilm-router").returncode, 0)
        self.assertEqual((self.active("infinilm-router"), self.restarts("infinilm-router")), ("failed", 0))
        config.write_text(good)
        machine.must("systemctl start infinilm-router && systemctl reload infinilm-router")

        # A stop: drained and unregistered, and no process is left. The registry has a list again after it was killed.
        machine.must("systemctl kill --signal=KILL infinilm-registry")
        wait_until(lambda: self.restarts("infinilm-registry") == 1 and self.active("infinilm-registry") == "active", 60,
                   "the registry to be back", 0.2)
        services = json.loads(machine.must("curl -s http://127.0.0.1:8081/services"))["services"]
        self.assertEqual(sorted(service["name"] for service in services), ["sim-1", "sim-1-server"])
        machine.must("systemctl stop infinilm-agent@gpu1")
        self.assertEqual(machine.run("pgrep --count infinilm-s").stdout.strip(), "0")
        self.assertEqual(json.loads(machine.must("curl -s http://127.0.0.1:8081/services"))["services"], [])

        # An upgrade leaves alone what runs; a removal stops it.
        said = machine.must("dpkg --install /root/package.deb")
        self.assertIn("until they are restarted: infinilm-registry.service infinilm-router.service", said)
        self.assertEqual(self.restarts("infinilm-registry"), 1)
        machine.must(f"dpkg --remove {NAME}")
        self.assertEqual(machine.run("pgrep --list-full infinilm").stdout, "")
        machine.must(f"dpkg --purge {NAME}")
        self.assertEqual(machine.must("find /etc /var/lib /var/log -path '/var/lib/dpkg' -prune -o -name '*infinilm*' -print"),
                         "")


if __name__ == "__main__":
    main()
