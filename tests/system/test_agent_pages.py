#!/usr/bin/env python3
"""The agent's pages on port + 1: those of the earlier agents, and those that came later."""

import signal
import time

from support import http_wire
from support.agent_process import HASTY, AgentTest, sim, toy
from support.case import main
from support.certificates import client_context, make_certificate, require_openssl
from support.waiting import let_time_pass, patience, wait_until

SOON = ("--restart-delay=20ms",)


class Earlier(AgentTest):
    """Contract 3.1."""

    def test_the_pages_are_up_before_the_engine_is(self):
        agent = self.start_agent(toy("--load=60"))
        self.assertEqual(agent.port, agent.engine_port + 1)
        self.assertEqual(agent.call("GET", "/health").status, 503)
        self.assertEqual(agent.call("GET", "/info").status, 200)
        self.finish(agent)

    def test_health_is_200_only_when_the_engine_is_ready(self):
        agent = self.start_agent(toy("--load=3"))
        self.assertEqual(agent.call("GET", "/health").status, 503)
        agent.running()
        response = agent.call("GET", "/health")
        self.assertEqual(response.status, 200)
        health = response.json()
        self.assertEqual((health["status"], health["service"], health["babysitter"]),
                         ("healthy", agent.name, "enhanced"))
        self.assertIs(health["infinilm_server_running"], True)
        self.assertEqual(health["infinilm_server_port"], agent.engine_port)
        self.assertAlmostEqual(health["timestamp"], time.time(), delta=5)
        self.assertEqual(agent.call("POST", "/drain").status, 202)
        self.assertEqual(agent.call("GET", "/health").status, 503)
        self.finish(agent)
        agent = self.running_agent(toy(), "--restart-delay=1h")
        agent.kill_engine()
        agent.wait_state("backing_off")
        response = agent.call("GET", "/health")
        self.assertEqual((response.status, response.json()["infinilm_server_running"]), (503, False))
        self.finish(agent)

    def test_compat_health_is_always_200(self):
        agent = self.start_agent(toy("--load=60"))
        response = agent.call("GET", "/health?compat=1")
        self.assertEqual((response.status, response.json()["status"]), (200, "healthy"))
        self.assertEqual(agent.call("GET", "/health?compat=0").status, 503)
        self.finish(agent)
        agent = self.start_agent(toy("--die=start:1"), "--restart-delay=1h", "--compat-health")
        agent.wait_state("backing_off")
        response = agent.call("GET", "/health")
        self.assertEqual((response.status, response.json()["infinilm_server_running"]), (200, False))
        self.finish(agent)

    def test_models_are_those_of_the_engine(self):
        agent = self.start_agent(toy("--load=3", "--model=m7"))
        response = agent.call("GET", "/models")
        self.assertEqual((response.status, response.json()), (503, {"error": "InfiniLM server not ready"}))
        agent.running()
        self.assertEqual([item["id"] for item in agent.get("/models")["data"]], ["m7"])
        self.finish(agent)

    def test_info(self):
        agent = self.running_agent(toy())
        info = agent.get("/info")
        self.assertEqual((info["name"], info["host"], info["port"], info["url"], info["infinilm_server_port"]),
                         (agent.name, "127.0.0.1", agent.port, f"http://127.0.0.1:{agent.port}", agent.engine_port))
        self.assertGreater(info["uptime"], 0)
        self.assertLess(info["uptime"], 60)
        self.assertIsInstance(info["metadata"], dict)
        self.assertEqual((info["service_type"], info["restart_count"]), ("command", 0))
        self.finish(agent)


class Later(AgentTest):
    def test_status_tells_the_whole_story(self):
        agent = self.running_agent(toy("--say=hello there"), *SOON)
        status = agent.status()
        self.assertEqual((status["state"], status["ready"], status["restarts"], status["pids"]),
                         ("running", True, 0, [agent.engine_pid()]))
        self.assertEqual(status["exits"], [])
        agent.kill_engine(signal.SIGTERM)
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        agent.running()
        agent.kill_engine(signal.SIGKILL)
        wait_until(lambda: agent.status()["restarts"] == 2, 10, "the restart")
        status = agent.running().status()
        self.assertEqual([exit["kind"] for exit in status["exits"]], ["signal", "exit_code"], "newest first")
        self.assertIn("hello there", status["exits"][0]["last_lines"])
        self.finish(agent)

    def test_only_the_last_exits_are_kept(self):
        agent = self.start_agent(toy("--die=start:1"), "--restart-delay=1ms", "--start-limit=13")
        agent.wait_state("failed")
        self.assertEqual(len(agent.status()["exits"]), 10)
        self.finish(agent)

    def test_logs_gives_the_last_lines(self):
        agent = self.running_agent(toy("--print=lines:5000"))
        wait_until(lambda: "printed everything" in agent.engine_log(), 10, "its lines")
        response = agent.call("GET", "/logs?lines=3")
        self.assertEqual(response.status, 200)
        self.assertEqual(len(response.text.splitlines()), 3)
        self.assertIn("printed everything\n", response.text)
        self.assertGreaterEqual(len(agent.call("GET", "/logs?lines=1000").text.splitlines()), 1000)
        self.assertGreater(len(agent.call("GET", "/logs").text.splitlines()), 5)
        for query in ("lines=-1", "lines=many", "lines=99999999999999999999"):
            self.assertEqual(agent.call("GET", f"/logs?{query}").status, 400, query)
        self.finish(agent)

    def test_logs_before_there_is_a_log(self):
        agent = self.start_agent({"type": "command", "command": "/nowhere/engine"}, "--restart-delay=1h")
        agent.wait_state("backing_off")
        self.assertIn(agent.call("GET", "/logs").status, (200, 404))
        self.finish(agent)

    def test_logs_can_be_followed(self):
        agent = self.running_agent(toy("--say=marker of a start"), *SOON)
        with agent.connection(timeout=10) as connection:
            connection.send(http_wire.request_bytes("GET", "/logs?follow=1&lines=0"))
            self.assertIn(b" 200 ", connection.reader.readline())
            while connection.reader.readline() not in (b"\r\n", b""):
                pass
            agent.kill_engine()
            text = b""
            begun = time.monotonic()
            while b"marker of a start" not in text:
                text += connection.reader.read1(65536)
                self.assertLess(time.monotonic() - begun, patience(5), text)
        agent.running()
        self.finish(agent)

    def test_a_follower_does_not_hold_up_the_end(self):
        agent = self.running_agent(sim())
        with agent.connection(timeout=10) as connection:
            connection.send(http_wire.request_bytes("GET", "/logs?follow=1"))
            connection.reader.readline()
            begun = time.monotonic()
            self.finish(agent)
            self.assertLess(time.monotonic() - begun, patience(4))

    def test_metrics(self):
        agent = self.running_agent(toy(), *SOON)
        text = agent.call("GET", "/metrics").text
        self.assertIn("infinilm_agent_", text)
        ups = [line for line in text.splitlines() if agent.name in line]
        self.assertTrue(ups, "a series of this service")
        names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
        self.assertTrue([name for name in names if "restart" in name], names)
        agent.kill_engine()
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        agent.running()
        restarts = [line for line in agent.call("GET", "/metrics").text.splitlines()
                    if "restart" in line and not line.startswith("#")]
        self.assertTrue(any(line.endswith(" 1") for line in restarts), restarts)
        self.finish(agent)

    def test_unknown_paths_and_methods(self):
        agent = self.running_agent(sim())
        self.assertEqual(agent.call("GET", "/nothing").status, 404)
        for method, path in (("GET", "/restart"), ("GET", "/drain"), ("POST", "/health"), ("DELETE", "/status")):
            response = agent.call(method, path)
            self.assertEqual(response.status, 405, f"{method} {path}")
            self.assertIsNotNone(response.header("Allow"))
        self.assertEqual(agent.status()["restarts"], 0)
        self.finish(agent)

    def test_fifty_clients_at_once(self):
        agent = self.running_agent(sim())
        connections = [agent.connection() for _ in range(50)]
        for connection in connections:
            self.addCleanup(connection.close)
            connection.send(http_wire.request_bytes("GET", "/status") * 5)
        for connection in connections:
            for _ in range(5):
                self.assertEqual(connection.read_response().json()["state"], "running")
        for connection in connections:
            connection.close()
        self.finish(agent)


class Access(AgentTest):
    def test_write_calls_need_the_token(self):
        tokens = self.write("tokens", "reader-0123456789 read\nwriter-0123456789 write\n")
        tokens.chmod(0o600)
        agent = self.new_agent(sim(), f"--token-file={tokens}")
        agent.token = "writer-0123456789"
        agent.start().running()
        engine = agent.engine_pid()
        for token, status in ((None, 401), ("wrong-0123456789", 401), ("reader-0123456789", 403)):
            for path in ("/restart", "/drain"):
                response = http_wire.call(agent.port, "POST", path, token=token)
                self.assertEqual(response.status, status, f"{path} with {token}")
        self.assertEqual(http_wire.call(agent.port, "GET", "/health").status, 200, "probes have no token")
        let_time_pass(0.2, lambda: self.assertEqual(agent.state, "running"))
        self.assertEqual(agent.engine_pid(), engine)
        self.assertEqual(agent.call("POST", "/restart").status // 100, 2)
        wait_until(lambda: agent.state == "running" and agent.engine_pid() != engine, 20, "the restart")
        self.finish(agent)

    def test_tls(self):
        require_openssl()
        certificate, key = make_certificate(self.folder, "agent")
        agent = self.new_agent(sim(), f"--tls-cert={certificate}", f"--tls-key={key}")
        agent.tls = client_context(certificate)
        agent.start().running()
        self.assertEqual(agent.call("GET", "/health").status, 200)
        agent.registry.wait_status(agent.name, "running")
        agent.registry.wait_status(agent.server_name, "running")
        pages = f"https://127.0.0.1:{agent.port}"
        self.assertEqual((agent.registry.entry(agent.name)["url"], agent.get("/info")["url"]), (pages, pages))
        engine = agent.registry.entry(agent.server_name)
        self.assertEqual((engine["url"], engine["metadata"]["health_url"]),
                         (f"http://127.0.0.1:{agent.engine_port}", f"{pages}/health"))
        self.finish(agent)

    def test_sighup_reads_tokens_and_certificates_again(self):
        require_openssl()
        certificate, key = make_certificate(self.folder, "agent")
        tokens = self.write("tokens", "the-first-0123456789 write\n")
        agent = self.new_agent(sim(), f"--tls-cert={certificate}", f"--tls-key={key}", f"--token-file={tokens}")
        agent.tls, agent.token = client_context(certificate), "the-first-0123456789"
        agent.start().running()
        engine = agent.engine_pid()
        tokens.write_text("nonsense\n")
        agent.signal(signal.SIGHUP)
        wait_until(lambda: "reload failed" in agent.stderr_text(), 10, "the refused reload")
        self.assertEqual(agent.status()["state"], "running", "the old ones stay")
        tokens.write_text("the-second-0123456789 write\n")
        make_certificate(self.folder, "agent")
        agent.tls = client_context(certificate)  # knows the new one alone
        agent.token = "the-second-0123456789"
        agent.signal(signal.SIGHUP)
        wait_until(agent.is_ready, 10, "the new certificate")
        self.assertEqual(agent.status()["state"], "running")
        self.assertEqual(http_wire.call(agent.port, "GET", "/status", tls=agent.tls, token="the-first-0123456789").status,
                         401)
        self.assertEqual(agent.engine_pid(), engine)
        self.finish(agent)

    def test_our_registry_probes_pages_in_https(self):
        require_openssl()
        certificate, key = make_certificate(self.folder, "agent")
        registry = self.start_registry(f"--tls-ca={certificate}", "--health-interval=200ms")
        agent = self.new_agent(sim(), *HASTY, f"--tls-cert={certificate}", f"--tls-key={key}", registry=registry)
        agent.tls = client_context(certificate)
        agent.start().running()

        def probed(word):
            return [registry.service(name)["health_status"] for name in (agent.name, agent.server_name)] == [word] * 2
        wait_until(lambda: probed("healthy"), 20, "good probes of both entries")
        agent.kill_engine(signal.SIGSTOP)
        wait_until(lambda: registry.service(agent.server_name)["is_healthy"] is False, 20, "the hang is seen")
        self.finish(agent)

    def test_a_registry_that_asks_for_a_certificate_is_shown_the_agents(self):
        require_openssl()
        (authority, authority_key), mine = make_certificate(self.folder, "registry"), make_certificate(self.folder, "me")
        both = self.write("both.pem", authority.read_text() + mine[0].read_text())
        registry = self.start_registry(f"--tls-cert={authority}", f"--tls-key={authority_key}", f"--tls-ca={both}",
                                       "--health-interval=200ms", tls=client_context(authority, mine))
        agent = self.new_agent(sim(), f"--tls-cert={mine[0]}", f"--tls-key={mine[1]}", f"--tls-ca={authority}",
                               registry=registry)
        agent.config_path.write_text(agent.config_path.read_text().replace("http://", "https://"))
        agent.tls = client_context(mine[0])
        agent.start().running()
        wait_until(lambda: registry.names("?healthy=true") == [agent.name, agent.server_name], 20, "both registered")
        wait_until(lambda: registry.service(agent.name)["health_status"] == "healthy", 20, "a probe of its pages")
        self.finish(agent)

    def test_the_registry_is_shown_its_token(self):
        tokens = self.write("tokens", "the-agent-0123456789 write\n")
        mine = self.write("mine", "the-agent-0123456789\n")
        for path in (tokens, mine):
            path.chmod(0o600)
        registry = self.start_registry(f"--token-file={tokens}", token="the-agent-0123456789")
        agent = self.running_agent(sim(), f"--registry-token-file={mine}", registry=registry)
        wait_until(lambda: registry.names() == [agent.name, agent.server_name], 10, "both registered")
        self.finish(agent)


class EngineKey(AgentTest):
    """Engines that were started with an API key answer 401 without it."""

    KEY = "sk-toy-0123456789"

    def key_file(self, text):
        path = self.write("engine.key", text + "\n")
        path.chmod(0o600)
        return path

    def test_the_key_is_shown_to_the_engine_and_to_nobody_else(self):
        path = self.key_file(self.KEY)
        agent = self.running_agent(toy(f"--api-key={self.KEY}"), "--completion-probe-interval=100ms",
                                   config={"agent": {"engine_api_key_file": str(path)}})
        agent.registry.wait_status(agent.server_name, "running")
        self.assertEqual(agent.get("/models")["data"][0]["id"], "toy-model")
        let_time_pass(0.5, lambda: self.assertEqual(agent.state, "running"))
        told = str([call.body for call in agent.registry.calls])
        for page in ("/status", "/info", "/metrics"):
            told += agent.call("GET", page).text
        # The command line of this engine names it, which the agent cannot know for a secret.
        told += "".join(line for line in agent.stderr_text().splitlines() if "--api-key" not in line)
        self.assertNotIn(self.KEY, told)
        self.finish(agent)

    def test_an_engine_that_asks_for_a_key_is_told_once_and_gets_it_with_a_reload(self):
        path = self.key_file("wrong-0123456789")
        for flags, said in (((), "the engine asks for an API key"),
                            ((f"--engine-api-key-file={path}",), "the engine refuses the key of engine_api_key_file")):
            agent = self.start_agent(toy(f"--api-key={self.KEY}"), *flags)
            wait_until(lambda: said in agent.stderr_text(), 20, said)  # noqa: B023 (called at once)
            let_time_pass(0.7, lambda: self.assertEqual(agent.state, "starting"))  # noqa: B023
            self.assertEqual(agent.stderr_text().count("engine_api_key_file"), 1, agent.tail())
            self.assertFalse(agent.is_ready())
            if flags:
                self.key_file(self.KEY)
                agent.signal(signal.SIGHUP)
                agent.running()
                agent.registry.wait_status(agent.server_name, "running")
            self.finish(agent)

    def test_a_key_file_that_cannot_be_read_ends_the_start(self):
        agent = self.new_agent(sim(), "--engine-api-key-file=nowhere").spawn()
        self.assertEqual(agent.wait_exit(), 1)
        self.assertIn(f"bind: engine_api_key_file of '{agent.name}': cannot read the token file 'nowhere'",
                      agent.stderr_text())


if __name__ == "__main__":
    main()
