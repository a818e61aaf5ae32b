"""scripts/deploy_services.sh and infinilm-ctl: real daemons and simulated engines, in folders with blanks."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

from support import http_wire
from support.case import main
from support.certificates import make_certificate, require_openssl
from support.daemon_process import BIN_DIR
from support.deployment import MODEL, SCRIPT, DeploymentTest
from support.fakes import FakeService
from support.waiting import patience, wait_until

CTL = BIN_DIR / "infinilm-ctl"


def row_of(table, name):
    """The line of a table that is about `name`."""
    lines = [line for line in table.splitlines() if line.startswith(("✓ " + name + "  ", "✗ " + name + "  "))]
    return lines[0] if lines else ""


class Life(DeploymentTest):
    def test_start_status_restart_stop(self):
        home = self.new_deployment()
        said = self.assert_runs(home, "start")
        for line in ("registry: started, pid ", "router: started, pid ", "gpu 1: started, pid ", "gpu2: ready: running"):
            self.assertIn(line, said)
        self.assertLess(said.index("registry: ready"), said.index("router: started"))
        self.assertLess(said.index("router: ready"), said.index("gpu2: started"))
        names = ("registry", "distributed_router", "gpu 1", "gpu2")
        pids = {name: home.pid(name) for name in names}
        for name in names:
            self.assertTrue((home.logs / f"{name}.log").stat().st_size, name)
            self.assertEqual(os.getsid(pids[name]), pids[name], f"{name} outlives the terminal")
        self.assertEqual(home.ask().status, 200)

        table = self.assert_runs(home, "status")
        self.assertRegex(row_of(table, "registry"), rf"{pids['registry']} +{home.registry_port} +\d+s  healthy, 4/4 entries")
        self.assertRegex(row_of(table, "router"), rf"{pids['distributed_router']} +{home.router_port} +\d+s  healthy, 2/2 ")
        self.assertRegex(row_of(table, "gpu2"), rf"{pids['gpu2']} +{home.services['gpu2'] + 1} +\d+s  running")
        self.assertIn(f"127.0.0.1:{home.services['gpu 1']}  running  up", table)
        self.assertTrue(table.endswith("\nAll is well.\n"), table)
        whole = json.loads(self.assert_runs(home, "status", "--json"))
        self.assertTrue(whole["ok"])
        self.assertEqual([row["name"] for row in whole["services"]], ["gpu 1", "gpu2"])
        self.assertEqual(sum(row["requests"] for row in whole["services"]), 1)
        for row in whole["services"]:
            self.assertEqual((row["models"], row["weight"], row["in_flight"], row["errors"], row["restarts"]),
                             ([MODEL], 1, 0, 0, 0))
            self.assertEqual(row["ttft_p50_seconds"] is None, row["requests"] == 0)

        again = self.assert_runs(home, "start")
        self.assertIn(f"gpu 1: runs already, pid {pids['gpu 1']}", again)
        self.assertNotIn("started", again)
        self.assertEqual({name: home.pid(name) for name in names}, pids)

        os.kill(pids["distributed_router"], signal.SIGKILL)
        wait_until(lambda: home.run("status").returncode == 1, 10, "a status that is not well")
        table = self.assert_runs(home, "status", code=1)
        self.assertRegex(row_of(table, "router"), rf" - +{home.router_port} +-  not started")
        self.assertIn("Not well:\n  router: not started\n", table)
        self.assertIn("router: started, pid ", self.assert_runs(home, "start"))
        self.assertNotEqual(home.pid("distributed_router"), pids["distributed_router"])
        self.assertEqual(home.pid("gpu2"), pids["gpu2"])
        self.assertEqual(home.ask().status, 200)

        said = self.assert_runs(home, "restart")
        self.assertLess(said.index("gpu2: stopped"), said.index("router: stopped"))
        self.assertLess(said.index("router: stopped"), said.index("registry: stopped"))
        self.assertTrue(set(pids.values()).isdisjoint({home.pid(name) for name in names}))

        said = self.assert_runs(home, "stop")
        self.assertEqual(home.processes(), [])
        self.assertEqual(sorted(home.logs.glob("*.pid")), [])
        table = self.assert_runs(home, "status", code=1)
        self.assertRegex(row_of(table, "gpu2"), rf" - +{home.services['gpu2'] + 1} +-  not started")
        self.assertIn(f"✗ gpu2   127.0.0.1:{home.services['gpu2']}  not started  ", table)
        self.assertEqual([(row["host"], row["port"]) for row in home.status()["services"]],
                         [("127.0.0.1", port) for port in home.services.values()])
        self.assertIn("router: was not running", self.assert_runs(home, "stop"))
        self.assertEqual(home.said_outside_of_logs(), {})

    def test_parts_one_by_one(self):
        home = self.new_deployment(services=("gpu1",))
        for part, daemons in (("registry", {"infinilm-registry": 1}),
                              ("router", {"infinilm-registry": 1, "infinilm-router": 1}),
                              ("services", {"infinilm-registry": 1, "infinilm-router": 1, "infinilm-agent": 1})):
            self.assert_runs(home, f"start-{part}")
            self.assertEqual(home.daemons(), daemons)
        self.assert_runs(home, "stop-router")
        self.assertEqual(home.daemons(), {"infinilm-registry": 1, "infinilm-agent": 1})
        self.assert_runs(home, "stop-services")
        self.assert_runs(home, "start", "--parts", "router,services")
        self.assertEqual(home.daemons(), {"infinilm-registry": 1, "infinilm-router": 1, "infinilm-agent": 1})
        self.assert_runs(home, "stop-registry")
        table = self.assert_runs(home, "status", code=1)
        self.assertIn("registry: not started", table)
        self.assertIn("gpu1", table.split("SERVICE", 1)[1], "the router and the agent still know it")

    def test_service_is_added_and_dropped_without_the_others(self):
        home = self.new_deployment(services=("gpu1", "gpu2"))
        kept = home.services.pop("gpu2")
        home.write_services()
        self.assert_runs(home, "start")
        first = home.pid("gpu1")
        home.services["gpu2"] = kept
        home.write_services()
        said = self.assert_runs(home, "start-services")
        self.assertIn(f"gpu1: runs already, pid {first}", said)
        self.assertIn("gpu2: started", said)
        del home.services["gpu1"]
        home.write_services()
        table = self.assert_runs(home, "status", code=1)
        self.assertIn("gpu1: no answer: no file of the configuration names it any more", table)
        self.assertNotIn("gpu1", self.assert_runs(home, "stop"))
        self.assertEqual(home.daemons(), {"infinilm-agent": 1})
        self.assertIn("gpu1: stopped", self.assert_runs(home, "stop-all"))
        self.assertEqual(home.processes(), [])

    def test_drain_is_shown_and_waited_for(self):
        home = self.new_deployment(services=("gpu1",))
        # Without probes: each would be a connection too.
        home.write_service_toml(agent={"drain_timeout": "1h", "probe_interval": "1h"})
        self.assert_runs(home, "start")
        port = home.services["gpu1"]
        http_wire.call(port, "POST", "/sim/fault", {"fault": "step_failure"})  # the stream begins, and its tokens wait
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            body = json.dumps({"model": MODEL, "stream": True, "max_tokens": 30,
                               "messages": [{"role": "user", "content": "x"}]}).encode()
            client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                           b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            self.assertTrue(client.recv(1))
            stopping = home.spawn("stop-services")
            said = ""
            while "draining, 1 connections open" not in said:
                line = stopping.stdout.readline()
                self.assertTrue(line, said)
                said += line
            http_wire.call(port, "DELETE", "/sim/fault")
            received = b""
            while data := client.recv(65536):
                received += data
            self.assertIn(b"[DONE]", received)
        said += stopping.communicate(timeout=120)[0]
        self.assertEqual(stopping.returncode, 0, said)
        self.assertIn("gpu1: stopped", said)

    def test_stop_has_a_limit(self):
        home = self.new_deployment(services=("gpu1",))
        home.write_service_toml(args=["--decode-us", "100000"], agent={"drain_timeout": "1h"})
        self.assert_runs(home, "start")
        with socket.create_connection(("127.0.0.1", home.services["gpu1"]), 10) as client:
            body = json.dumps({"model": MODEL, "stream": True, "max_tokens": 100000,
                               "messages": [{"role": "user", "content": "x"}]}).encode()
            client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
                           % (len(body), body))
            self.assertTrue(client.recv(1))
            said = self.assert_runs(home, "stop-services", "--timeout", "2s", code=1)
        self.assertIn("gpu1: not gone in time: told to stop at once", said)
        self.assertIn("gpu1: stopped by force", said)
        self.assertEqual(home.daemons(), {"infinilm-registry": 1, "infinilm-router": 1})


class StartedByOthers(DeploymentTest):
    def spawn(self, home, program, *flags):
        process = subprocess.Popen([BIN_DIR / program, *flags], cwd=home.run_dir, env=home.environment(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process.pid

    def test_status_has_their_pids(self):
        home = self.new_deployment(services=("gpu1",))
        home.run_dir.mkdir()
        # Neither has anything to do with the registry: an address of its own, and a program that only waits there.
        self.enterContext(socket.create_server(("127.0.0.2", home.registry_port)))
        silent = self.enterContext(socket.create_server(("127.0.0.1", home.router_port)))
        pids = {"registry": self.spawn(home, "infinilm-registry", "--config", home.config / "registry_config.json"),
                "gpu1": self.spawn(home, "infinilm-agent", "--config", home.config / "agent_config.json", "--services",
                                   home.config / "server1_services.json", "--registry",
                                   f"http://127.0.0.1:{home.registry_port}")}
        wait_until(lambda: [row["state"] for row in home.status()["services"]] == ["running"], 60, "a running service")
        table = self.assert_runs(home, "status", code=1)
        self.assertRegex(row_of(table, "registry"), rf"^✓ registry +{pids['registry']} +{home.registry_port} .* healthy, 2/2")
        self.assertRegex(row_of(table, "gpu1"), rf"^✓ gpu1 +{pids['gpu1']} ")
        self.assertIn("Not well:\n  router: no answer: ", table)
        self.assertEqual({row["name"]: row["pid"] for row in home.status()["daemons"]}, pids | {"router": os.getpid()})
        self.assertIn("registry: was not running", self.assert_runs(home, "stop"), "they are others'")

        silent.close()
        self.assertIn("Not well:\n  router: not started\n", self.assert_runs(home, "status", code=1))
        pids["router"] = self.spawn(home, "infinilm-router", "--config", home.config / "router_config.json")
        wait_until(lambda: home.status()["ok"], 60, "a fleet that is well")
        self.assert_runs(home, "status")
        self.assertEqual({row["name"]: row["pid"] for row in home.status()["daemons"]}, pids)


class PidFiles(DeploymentTest):
    def test_stale_ones_harm_nobody(self):
        home = self.new_deployment(services=())
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
            home.logs.mkdir(parents=True)
            for text in (f"{stranger.pid}\n", "4194304\n", "not a number\n", ""):
                home.pid_file("registry").write_text(text)
                self.assertIn("registry: was not running", self.assert_runs(home, "stop-registry"))
                home.pid_file("registry").write_text(text)
                self.assertIn("registry: started", self.assert_runs(home, "start-registry"))
                self.assert_runs(home, "stop-registry")
            self.assertIsNone(stranger.poll(), "nobody signals a process that was not started as this part")
            stranger.communicate(b"\n")

    def test_lost_one_is_found_again(self):
        home = self.new_deployment(services=("gpu1",))
        self.assert_runs(home, "start")
        for name in ("registry", "gpu1"):
            pid = home.pid(name)
            home.pid_file(name).unlink()
            self.assertEqual([row["pid"] for row in home.status()["daemons"] if row["name"] == name], [pid])
            self.assertIn(f"{name}: runs already, pid {pid}", self.assert_runs(home, "start"))
            self.assertEqual(home.pid(name), pid)
        home.pid_file("registry").unlink()
        self.assertIn("registry: stopped", self.assert_runs(home, "stop-registry"))

    def test_two_starts_at_once_start_one(self):
        home = self.new_deployment(services=())
        starts = [home.spawn("start-registry") for _ in range(4)]
        said = [start.communicate(timeout=120)[0] for start in starts]
        self.assertEqual([start.returncode for start in starts], [0] * 4, said)
        self.assertEqual(sum("registry: started" in text for text in said), 1, said)
        self.assertEqual(home.daemons(), {"infinilm-registry": 1})

    def test_two_folders_do_not_know_each_other(self):
        one, two = self.new_deployment(services=()), self.new_deployment(services=())
        self.assert_runs(one, "start")
        self.assert_runs(two, "start")
        two.pid_file("registry").write_text(one.pid_file("registry").read_text())
        self.assert_runs(two, "stop-all")
        self.assertEqual(one.daemons(), {"infinilm-registry": 1, "infinilm-router": 1})
        self.assertEqual(two.daemons(), {})


class FakeRouter(FakeService):
    """Says that it uses the engines in `used`, and no other."""

    def __init__(self, port):
        self.used = []
        health = {"status": "healthy", "router": "running", "healthy_services": "1/1", "registry_state": "watching"}
        super().__init__({"/health": lambda request: self.say(request, health), "/stats": lambda request: self.say(
            request, {"services": [{"name": name, "state": "up", "healthy": True} for name in self.used]})}, port)

    @staticmethod
    def say(request, document):
        request.answer(200, json.dumps(document).encode())


class RouterThatHasNotHeard(DeploymentTest):
    WAITS = "router: does not use yet: gpu1 (running, for the router unknown to it)"

    def setUp(self):
        super().setUp()
        self.home = self.new_deployment(services=("gpu1",))
        self.assert_runs(self.home, "start-registry")
        self.router = FakeRouter(self.home.router_port)
        self.addCleanup(self.router.close)

    def test_a_start_waits_for_it(self):
        starting = self.home.spawn("start-services")
        self.addCleanup(starting.communicate)
        self.addCleanup(starting.kill)
        for line in starting.stdout:
            if self.WAITS in line:
                break
        else:
            self.fail("it did not wait")
        self.router.used = ["gpu1-server"]
        said = starting.communicate(timeout=patience(60))[0]
        self.assertEqual((starting.returncode, said.splitlines()[-1:]), (0, ["  router: uses gpu1"]), said)
        self.assert_runs(self.home, "status")
        self.assertNotIn("router: ", self.assert_runs(self.home, "start-services"), "there is nothing to wait for")

    def test_a_start_does_not_wait_for_ever(self):
        self.router.used = ["gpu1-server"]
        self.assert_runs(self.home, "start-services")
        self.router.used = []
        said = self.assert_runs(self.home, "start-services", "--timeout", "2s", code=1)
        self.assertIn("not used by the router within 2s: gpu1 (running, for the router unknown to it)\n", said)

    def test_a_start_waits_for_no_other(self):
        # Not of this host; then no router; and then none that answers.
        (self.home.config / "router_config.json").rename(self.home.home / "away")
        self.assertNotIn("router: ", self.assert_runs(self.home, "start-services"))
        self.assertNotIn("/stats", self.router.paths())
        (self.home.home / "away").rename(self.home.config / "router_config.json")
        self.router.answers.clear()
        self.assertNotIn("router: ", self.assert_runs(self.home, "start-services"))
        self.assertIn("/stats", self.router.paths())
        self.router.close()
        self.assertNotIn("router: ", self.assert_runs(self.home, "start-services"))


class FailedStarts(DeploymentTest):
    def test_bad_file_says_what_is_wrong(self):
        home = self.new_deployment(services=())
        home.write_json("router_config.json", {"router": {"prot": 1}})
        said = self.assert_runs(home, "start-router", code=1)
        self.assertIn("router cannot be started: parse: ", said)
        self.assertIn("unknown key 'router.prot'; did you mean 'port'?", said)
        (home.config / "x_services.json").write_text("{")
        self.assertIn("x_services.json:1:", self.assert_runs(home, "start-services", code=1))
        self.assertEqual(home.processes(), [])

    def test_port_of_somebody_else(self):
        home = self.new_deployment(services=())
        with socket.create_server(("127.0.0.1", home.registry_port)):
            said = self.assert_runs(home, "start", code=1)
            self.assertIn(f"port {home.registry_port} is taken by pid {os.getpid()} ", said)
            self.assertIn("registry is not started", said)
            self.assertIn("what comes after the registry is not started", said)
        self.assertEqual(home.processes(), [])
        self.assertFalse(home.pid_file("registry").exists())

    def test_daemon_that_ends_shows_its_last_lines(self):
        home = self.new_deployment(services=())
        (home.run_dir / "a folder").mkdir(parents=True)
        home.write_json("registry_config.json", {"registry": {"port": home.registry_port, "state_db": "a folder"}})
        said = self.assert_runs(home, "start", code=1)
        self.assertIn("registry: its process has ended", said)
        self.assertIn("registry.err:\n    infinilm-registry: bind: ", said)
        self.assertIn("registry.log:\n", said)
        self.assertFalse(home.pid_file("registry").exists())

    def test_service_that_fails_shows_its_engines_last_words(self):
        home = self.new_deployment(services=("gpu1", "gpu2"))
        home.write_service_toml("gpu1", agent={"start_limit": 1}, args=["--no-such-flag"])
        said = self.assert_runs(home, "start", code=1)
        self.assertRegex(said, r"gpu1: failed.*ended before: exit code \d")
        self.assertIn("--no-such-flag", said.split("gpu1.log:", 1)[1])
        self.assertIn("gpu2: ready: running", said, "the others are started all the same")
        table = self.assert_runs(home, "status", code=1)
        self.assertIn("service gpu1: failed, ended: exit code", table)
        home.write_service_toml("gpu1")
        self.assertIn("gpu1: failed", self.assert_runs(home, "start-services", code=1), "it runs on, with its old settings")
        self.assert_runs(home, "stop-services")
        self.assert_runs(home, "start-services")

    def test_time_out_is_said_and_it_loads_on(self):
        home = self.new_deployment(services=("gpu1",))
        home.write_service_toml(args=["--ready-after", "3600"])
        self.assert_runs(home, "start", "--parts", "registry")
        said = self.assert_runs(home, "start-services", "--timeout", "5s", code=1)
        self.assertRegex(said, r"gpu1: not ready within 5s: starting for \d+s")
        self.assertEqual(home.daemons(), {"infinilm-registry": 1, "infinilm-agent": 1})
        self.assertIn("service gpu1: starting", self.assert_runs(home, "status", code=1))

    def test_router_without_its_registry_waits_and_says_so(self):
        home = self.new_deployment(services=())
        said = self.assert_runs(home, "start-router", "--timeout", "5s", code=1)
        self.assertIn("router: not ready within 5s: waits for its first list of services", said)


class Hosts(DeploymentTest):
    def plan(self, home, *flags):
        done = subprocess.run([CTL, "plan", "-c", home.config, "--run-dir", home.run_dir, *flags], text=True,
                              capture_output=True, check=False, env=home.environment())
        return [line.split(":")[0] for line in done.stdout.splitlines() if "belongs to this host" in line]

    def test_files_are_shared_and_each_host_takes_its_own(self):
        home = self.new_deployment(services=())
        home.write_json("router_config.json", {"router": {"registry_url": "http://198.51.100.1:8081"}})
        home.write_json("a_services.json", {"services": [{"name": "a", "host": "198.51.100.2", "port": 5001}]})
        home.write_json("b_services.json", {"services": [{"name": "b", "host": "198.51.100.3", "port": 5001}]})
        self.assertEqual(self.plan(home, "--host", "198.51.100.1"), ["registry", "router"])
        self.assertEqual(self.plan(home, "--host", "198.51.100.2"), ["a"])
        self.assertEqual(self.plan(home, "--host", "198.51.100.3"), ["b"])
        (home.config / "registry_config.json").unlink()
        (home.config / "router_config.json").unlink()
        said = self.assert_runs(home, "start", code=1)
        self.assertIn("nothing of", said)
        self.assertIn("registry: there is no registry_config.json", said)

    def test_port_of_a_file_wins(self):
        home = self.new_deployment(services=())
        said = self.assert_runs(home, "-r", home.router_port, "start-registry")
        self.assertIn(f"registry_config.json says port {home.registry_port}, which wins over {home.router_port}", said)
        self.assert_runs(home, "stop-all")
        for name in home.config.iterdir():
            name.unlink()
        self.assert_runs(home, "-r", home.registry_port, "--router-port", home.router_port, "start-registry")
        self.assert_runs(home, f"--registry-port={home.registry_port}", "-p", home.router_port, "start-router")
        table = self.assert_runs(home, "-r", home.registry_port, "-p", home.router_port, "status", code=1)
        self.assertRegex(row_of(table, "router"), rf"{home.router_port} +\d+s  running, 0/0 .*registry watching")


class Secured(DeploymentTest):
    def test_tokens_and_tls_come_from_the_daemons_files(self):
        require_openssl()
        home = self.new_deployment(services=("gpu1",))
        home.run_dir.mkdir()
        cert, key = make_certificate(home.run_dir, "localhost")
        (home.run_dir / "tokens").write_text("reader-token-0123456789 read\n")
        (home.run_dir / "token").write_text("writer-token-0123456789 write\n")
        (home.run_dir / "registry tokens").write_text("writer-token-0123456789 write\n")
        home.write_json("registry_config.json", {"registry": {
            "port": home.registry_port, "tls_cert": cert.name, "tls_key": key.name, "token_file": "registry tokens"}})
        home.write_json("router_config.json", {"router": {
            "port": home.router_port, "registry_url": f"https://localhost:{home.registry_port}", "tls_cert": cert.name,
            "tls_key": key.name, "tls_ca": cert.name, "registry_token_file": "token", "threads": 1}})
        home.write_json("agent_config.json", {"agent": {"bind": "127.0.0.1", "token_file": "tokens", "tls_ca": cert.name,
                                                        "registry_token_file": "token"}})
        said = self.assert_runs(home, "start")
        self.assertIn("gpu1: ready: running", said)
        table = self.assert_runs(home, "status")
        self.assertIn("All is well.", table)
        self.assertEqual(home.status()["services"][0]["restarts"], 0)
        self.assert_runs(home, "check")
        wrong = self.assert_runs(home, "status", "--token-file", home.run_dir / "tokens", code=1)
        self.assertIn("the registry wants a token to list its services", wrong)
        self.assertIn("/no/such.pem", self.assert_runs(home, "status", "--tls-ca", "/no/such.pem", code=2))


class Check(DeploymentTest):
    def lines(self, home, code=0):
        out = self.assert_runs(home, "check", code=code)
        self.assertEqual(home.processes(), [], "it starts nothing")
        return out

    def test_good_folder(self):
        home = self.new_deployment()
        out = self.lines(home)
        self.assertRegex(out, r"[✓!] infinilm-agent: .*version \d")
        for line in ("✓ registry_config.json: valid", "✓ router_config.json: valid",
                     "✓ server1_services.json for 127.0.0.1: valid, 2 services",
                     f"✓ port {home.registry_port} of registry: free", f"✓ port {home.services['gpu2']} of gpu2's engine: free",
                     "! registry: is to be started here", "✓ service gpu2: runs infinilm-sim", "can be written",
                     "GiB free"):
            self.assertIn(line, out)
        self.assertRegex(out, r"\n\d+ checks, \d+ notes?, 0 bad\n$")

    def test_everything_wrong_is_one_line_each(self):
        home = self.new_deployment(services=("gpu1",))
        home.write_json("registry_config.json", {"registry": {"health_interval": "x"}, "servres": []})
        home.write_json("b_services.json", {"services": [
            {"name": "far", "host": "198.51.100.7", "port": 5001, "config": "far.toml"}]})
        (home.config / "far.toml").write_text('[backend]\ntype = "vlm"\n')
        (home.config / "stray.toml").write_text("x = [\n")
        (home.config / "odd.json").write_text("{}")
        (home.config / "gpu1.toml").write_text('[backend]\ntype = "command"\ncommand = "\'/no/such program\' --x"\n')
        with socket.create_server(("127.0.0.1", home.services["gpu1"] + 1)):
            out = self.lines(home, code=1)
        bad = [line for line in out.splitlines() if line.startswith("✗")]
        for pattern in (r"registry_config.json: .*health_interval.*", r"b_services.json for 198.51.100.7: .*vlm",
                        r"stray.toml: .*stray.toml:", rf"port {home.services['gpu1'] + 1} of gpu1: .*taken by pid",
                        r"service gpu1: its program /no/such program is not there"):
            self.assertTrue(any(re.search(pattern, line) for line in bad), f"{pattern} in\n{out}")
        self.assertIn("! odd.json: nothing here reads it", out)
        self.assertIn(" bad\n", out)

    def test_registry_that_others_look_for_elsewhere(self):
        home = self.new_deployment(services=())
        home.write_json("registry_config.json", {"registry": {"port": home.router_port}})
        self.assertRegex(self.lines(home, code=1), r"✗ registry: others look for it at .*, but it listens on port")
        (home.config / "registry_config.json").unlink()
        self.assertRegex(self.lines(home, code=1), rf"✗ registry: http://127.0.0.1:{home.registry_port}: nothing listens")


class Words(DeploymentTest):
    def test_logs(self):
        home = self.new_deployment(services=("gpu1",))
        self.assertIn("there are no logs in", self.assert_runs(home, "logs", code=1))
        self.assert_runs(home, "start")
        every = self.assert_runs(home, "logs")
        for name in ("registry.log", "distributed_router.log", "gpu1.log", "gpu1.agent.log"):
            self.assertIn(f"{name} <==", every)
        one = self.assert_runs(home, "logs", "router", "-n", "1")
        self.assertEqual(len(one.splitlines()), 1, one)
        self.assertIn("there is no log of 'x'; there are parts called: registry router gpu1",
                      self.assert_runs(home, "logs", "x", code=1))
        following = home.spawn("logs", "registry", "-f")
        try:
            self.assertIn("INFO", following.stdout.readline())
            self.assert_runs(home, "stop-registry")
            for line in following.stdout:
                if "stopped" in line:
                    break
            else:
                self.fail("the log's end was not shown")
        finally:
            following.kill()
            following.communicate()

    def test_usage(self):
        home = self.new_deployment(services=())
        for arguments, sentence in (
                (("strat",), "unknown command 'strat'"), (("--foo", "start"), "unknown option '--foo'"),
                (("start", "now"), "start takes no argument, got 'now'"), (("start", "--timeout"), "--timeout needs a value"),
                (("start", "--parts", "registry,x"), "--parts takes registry, router and services, got 'x'"),
                (("logs", "-n", "x"), "--lines must be a number, got 'x'"), (("-r", "0", "start"), "--registry-port"),
                (("--registry-url", "ftp://x", "status"), "--registry-url"), (("deploy-remote",), "deploy-remote needs hosts")):
            self.assertIn(sentence, self.assert_runs(home, *arguments, code=2))
        self.assertIn("start-registry", self.assert_runs(home, "--help"))
        empty = subprocess.run([SCRIPT], env=home.environment(), capture_output=True, text=True, check=False)
        self.assertEqual((empty.returncode, empty.stdout, empty.stderr[:6]), (2, "", "usage:"))
        missing = home.run("status", env=home.environment(INFINILM_BIN_DIR="/no/such"))
        self.assertEqual(missing.returncode, 1)
        self.assertIn("/no/such/infinilm-ctl is not there", missing.stdout)
        home.config.rename(home.home / "away")
        self.assertIn("cannot be read", self.assert_runs(home, "start", code=2))

    def test_the_configuration_stands_in_for_a_registry_that_is_not_started(self):
        home = self.new_deployment(services=("gpu1", "gpu2"))
        said = self.assert_runs(home, "generate-config", "-o", self.folder / "made.conf")
        self.assertIn("what the files say is taken", said)
        self.assertEqual((self.folder / "made.conf").read_text().count("    server 127.0.0.1:"), 2)

    def test_folders_of_each_place_of_the_script(self):
        home = self.new_deployment(services=())
        env = home.environment(PATH=f"{BIN_DIR}:{os.environ['PATH']}")
        del env["INFINILM_BIN_DIR"], env["INFINILM_RUN_DIR"]

        def folders(root, **extra):
            """(configuration, where it runs) of a script in this folder that is told neither."""
            (root / "scripts").mkdir(parents=True, exist_ok=True)
            script = shutil.copy(SCRIPT, root / "scripts")
            said = [subprocess.run([script, *words], env=env | extra, cwd="/", capture_output=True, text=True, check=False)
                    for words in (("deploy-remote", "--dry-run", "h"), ("check", "-c", home.config))]
            return (re.search(r" (\S+)/ h:infinilm/deployment_configs/", said[0].stdout)[1],
                    re.search(r"folder (.+)/logs: ", said[1].stdout)[1])

        place = self.folder / "place"
        (place / "deployment_configs").mkdir(parents=True)
        own = (str(place / "deployment_configs"), str(place))
        self.assertEqual(folders(place), own)
        (place / "prepare_host.sh").touch()  # as the package has it
        self.assertEqual(folders(place), ("/etc/infinilm", "/var/lib/infinilm"))
        self.assertEqual(folders(place, INFINILM_RUN_DIR="/srv/x"), ("/etc/infinilm", "/srv/x"))
        (place / "bin").mkdir()
        (place / "bin" / "infinilm-ctl").symlink_to(CTL)
        self.assertEqual(folders(place), own)

    def test_a_place_that_cannot_be_written_is_one_sentence(self):
        home = self.new_deployment(services=())
        home.run_dir.touch()  # root may write anywhere, but not here
        said = self.assert_runs(home, "start", code=1)
        self.assertRegex(said, r"^deploy_services.sh: .*run dir.*: INFINILM_RUN_DIR says where the daemons are started\n$")

    def test_only_bash_and_coreutils_are_needed(self):
        home = self.new_deployment(services=("gpu1",))
        tools = self.folder / "tools"
        tools.mkdir()
        packaged = subprocess.run(["dpkg", "-L", "coreutils"], capture_output=True, text=True, check=False).stdout.split()
        if not packaged:
            self.skipTest("dpkg does not know what coreutils has")
        for path in [*packaged, "/bin/bash"]:
            if path.startswith(("/bin/", "/usr/bin/")):
                (tools / os.path.basename(path)).symlink_to(path)
        env = home.environment(PATH=str(tools))
        for arguments in (("start",), ("status",), ("logs",), ("check",), ("restart",), ("stop",)):
            done = home.run(*arguments, env=env)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertNotIn("not found", done.stdout)

    def test_ctl_explains_itself(self):
        for command in ("status", "check", "plan", "launch", "pid", "stop", "wait", "wait-routed"):
            done = subprocess.run([CTL, command, "--help"], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0)
            self.assertIn("--", done.stdout)
        for arguments, sentence in ((("stauts",), "unknown command 'stauts', did you mean 'status'?"),
                                    (("wait", "--timeuot", "1s"), "unknown flag '--timeuot', did you mean '--timeout'?"),
                                    (("wait", "registry"), "URL is required"),
                                    (("wait-routed",), "SERVICE is required"), ((), "Subcommands:")):
            done = subprocess.run([CTL, *arguments], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(sentence, done.stderr)


if __name__ == "__main__":
    main()
