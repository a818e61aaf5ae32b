#!/usr/bin/env python3
"""The ways in which an engine can misbehave, a test each. After each no process, no port, no registry entry is left."""

import http.server
import os
import re
import signal
import socket
import threading
import time

from support import http_wire, proc_tree
from support.agent_process import HASTY, AgentTest, program, sim, toy
from support.case import main
from support.sim_process import CHAT, chat
from support.usage import cpu_seconds, rss
from support.waiting import let_time_pass, patience, under_sanitizer, wait_until

SOON = ("--restart-delay=20ms",)
FEW = (*SOON, "--start-limit=3")
KINDS = "plain,double,setsid,setsid-double,late-plain,late-setsid-double"


class Exits(AgentTest):
    def restarted(self, agent, times=1):
        """Waits until it was started again so often; returns the newest exit."""
        wait_until(lambda: agent.status()["restarts"] >= times, 20, f"{times} restarts")
        return agent.last_exit()

    def test_exits_0(self):
        agent = self.start_agent(toy("--die=0.1:0"), *SOON)
        exit = self.restarted(agent)
        self.assertIn("exit code 0", exit["text"])
        self.finish(agent)

    def test_exits_non_zero(self):
        agent = self.start_agent(toy("--die=0.1:42", "--say=one thing", "--errors=and another"), *SOON)
        exit = self.restarted(agent)
        self.assertEqual((exit["kind"], exit["value"]), ("exit_code", 42))
        self.assertIn("exit code 42", exit["text"])
        self.assertIn("one thing", "\n".join(exit["last_lines"]))
        self.assertIn("and another", "\n".join(exit["last_lines"]))
        self.finish(agent)

    def test_exits_by_each_signal(self):
        harmless = {signal.SIGCHLD, signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU,
                    signal.SIGURG, signal.SIGWINCH}
        agent = self.start_agent(program("/bin/sleep", 1000), *SOON, "--start-limit=0")
        for restarts, number in enumerate(sorted(set(range(1, 32)) - harmless)):
            wait_until(agent.engines, 10, "the next engine")
            agent.kill_engine(number)
            exit = self.restarted(agent, restarts + 1)
            self.assertEqual((exit["kind"], exit["value"]), ("signal", number), exit)
            name = re.search(rf"signal {number} \((\w+)\)", exit["text"])
            self.assertEqual(getattr(signal, name[1]) if name else None, number, exit["text"])  # 29: SIGIO or SIGPOLL
        self.assertNotIn("the shim of the service ended unexpectedly", agent.stderr_text())
        self.finish(agent)

    def test_the_simulator_exits_by_a_signal(self):
        agent = self.running_agent(sim())
        agent.kill_engine(signal.SIGABRT)  # a sanitizer would catch SIGSEGV
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        self.assertIn("SIGABRT", agent.running().last_exit()["text"])
        self.finish(agent)

    def test_dies_while_loading(self):
        agent = self.start_agent(toy("--load=0.2", "--die=loading:7"), *SOON, "--start-limit=0")
        exit = self.restarted(agent, 2)
        self.assertIn("exit code 7", exit["text"])
        self.assertEqual(agent.registry.calls_of(agent.server_name), [])
        self.finish(agent)

    def test_dies_in_a_loop(self):
        starts = self.folder / "starts"
        agent = self.start_agent(toy("--die=start:5", f"--starts={starts}"), *FEW)
        agent.wait_state("failed")
        before = self.starts(starts)
        self.assertEqual(len(before), 3)
        agent.registry.wait_status(agent.name, "failed")
        let_time_pass(0.3)
        self.assertEqual(self.starts(starts), before, "no start after it gave up")
        self.assertEqual(agent.call("POST", "/restart").status // 100, 2)
        wait_until(lambda: len(self.starts(starts)) > 3, 10, "a start, since somebody asked for it")
        agent.wait_state("failed")
        self.finish(agent)


class Stubborn(AgentTest):
    def test_ignores_term(self):
        starts = self.folder / "starts"
        agent = self.running_agent(toy("--ignore-term", f"--starts={starts}"), "--stop-grace=500ms")
        begun = time.monotonic()
        self.finish(agent)
        self.assertGreater(time.monotonic() - begun, 0.5)
        asked = [line for line in starts.read_text().splitlines() if line.endswith("term")]
        self.assertEqual(len(asked), 1, "SIGTERM once")

    def test_the_simulator_with_an_open_stream_ignores_term(self):
        agent = self.running_agent(sim("--decode-us=50000"), "--stop-grace=300ms", "--drain-timeout=100ms")
        with http_wire.Connection(agent.engine_port) as connection:
            connection.send(http_wire.request_bytes("POST", CHAT, json=chat(stream=True, max_tokens=5000)))
            connection.reader.readline()
            self.finish(agent)

    def test_grandchildren_that_outlive_it_are_gone_after_a_stop(self):
        agent = self.running_agent(toy(f"--children={KINDS}"), "--stop-grace=500ms")
        self.assertEqual(len(agent.engines()), 1 + len(KINDS.split(",")))
        self.finish(agent)

    def outlived(self, kind):
        """The engine is killed; what it forked, and what holds the port, is gone before the next one is started."""
        alone = self.folder / "alone"
        agent = self.running_agent(toy(f"--children={kind},late-{kind}", f"--alone={alone}"), *SOON)
        before = {item.pid for item in agent.engines()}
        self.assertEqual(len(before), 3)
        agent.kill_engine()
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        agent.running()
        self.assertEqual({item.pid for item in agent.engines()} & before, set())
        self.assertEqual(alone.read_text(), "", "never two copies")
        self.finish(agent)

    def test_forks_grandchildren_that_outlive_it(self):
        self.outlived("plain")

    def test_forks_twice(self):
        self.outlived("double")

    def test_forks_into_a_session_of_its_own(self):
        self.outlived("setsid")

    def test_forks_twice_into_a_session_of_its_own(self):
        self.outlived("setsid-double")


class Output(AgentTest):
    def test_closes_its_output(self):
        agent = self.running_agent(toy("--close-output"))
        shim, = agent.shims()
        begun, used = time.monotonic(), cpu_seconds(shim.pid)
        let_time_pass(0.5, lambda: self.assertEqual(agent.state, "running"))
        self.assertLess(cpu_seconds(shim.pid) - used, (time.monotonic() - begun) / 4, "the shim spins on a closed pipe")
        agent.kill_engine()
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        agent.running()
        self.finish(agent)

    def test_prints_100_mb_at_once(self):
        count = 10_000_000 if under_sanitizer() else 100_000_000
        agent = self.start_agent(toy(f"--print=bytes:{count}"), "--engine-log-max-bytes=1000000",
                                 "--engine-log-max-files=2")
        agent.running(60)
        shim, = agent.shims()
        if not under_sanitizer():
            self.assertLess(rss(shim.pid), 20e6)
        wait_until(lambda: "printed everything" in agent.engine_log(), 30, "the last line in the log")
        logs = list(agent.engine_log_path.parent.glob(f"{agent.name}.log*"))
        self.assertLess(sum(path.stat().st_size for path in logs), 3.1e6)
        self.finish(agent)


class ModelList(http.server.BaseHTTPRequestHandler):
    """What any OpenAI-style server says."""

    def do_GET(self):
        body = b'{"object": "list", "data": [{"id": "another", "object": "model"}]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Ports(AgentTest):
    def stranger(self, port):
        """A server of this process at the port."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), ModelList)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

        def close():
            server.shutdown()
            server.server_close()
        return close

    def test_the_port_is_taken_by_somebody_else_while_the_engine_starts(self):
        """A model list at the engine's port does not make it ready when another process answers there."""
        script = self.write("inference_server.py", "import signal\nsignal.pause()\n")
        backend = {"type": "infinilm", "path": str(self.folder)}
        agent = self.start_agent(backend, *SOON, f"--launch-script={script}")
        wait_until(agent.engines, 10, "the engine")
        close = self.stranger(agent.engine_port)
        wait_until(lambda: "is taken by somebody else" in agent.stderr_text(), 10, "a word about it")
        self.assertIn(f"pid {os.getpid()}", agent.stderr_text())
        let_time_pass(1.0, lambda: self.assertEqual(agent.state, "starting"))
        self.assertEqual(agent.stderr_text().count("is taken by somebody else"), 1)
        self.assertEqual(agent.registry.calls_of(agent.server_name), [])
        close()
        self.finish(agent)

    def test_a_command_may_be_served_by_another_process(self):
        """As a container engine's client is: it is believed, and said."""
        agent = self.start_agent(toy("--listen=no"), *SOON)
        wait_until(agent.engines, 10, "the engine")
        close = self.stranger(agent.engine_port)
        agent.wait_state("running")
        self.assertIn("a process that this agent did not start", agent.stderr_text())
        self.assertEqual(agent.get("/status")["models"], ["another"])
        agent.stop()
        close()
        self.finish(agent)

    def test_never_opens_its_port(self):
        agent = self.start_agent(toy("--listen=no"), *FEW, "--startup-timeout=400ms", "--stop-grace=300ms")
        wait_until(lambda: agent.status()["restarts"] >= 1, 20, "a restart")
        exit = agent.last_exit()
        self.assertEqual(exit["kind"], "start_timeout")
        self.assertIn("not ready within", exit["text"])
        agent.wait_state("failed")
        self.assertEqual(agent.registry.calls_of(agent.server_name), [])
        self.finish(agent)

    def opens_another_port(self, ready):
        agent = self.running_agent(toy("--listen=0", f"--ready={ready}"))
        port = agent.status()["engine_port"]
        self.assertNotEqual(port, agent.engine_port)
        self.assertEqual(http_wire.call(port, "GET", "/health").status, 200)
        self.assertEqual(agent.get("/info")["infinilm_server_port"], port)
        agent.registry.wait_status(agent.server_name, "running")
        entry = agent.registry.entry(agent.server_name)
        self.assertEqual((entry["port"], entry["url"]), (port, f"http://127.0.0.1:{port}"))
        self.assertEqual(agent.registry.entry(agent.name)["port"], agent.port)
        self.finish(agent)
        self.assertNotIn(port, proc_tree.listening_ports())

    def test_opens_another_port_as_uvicorn_says_it(self):
        self.opens_another_port("uvicorn")

    def test_opens_another_port_as_infinilm_rust_says_it(self):
        self.opens_another_port("rust")

    def test_opens_another_port_as_llama_cpp_says_it(self):
        self.opens_another_port("llama")

    def test_the_port_is_taken_by_somebody_else(self):
        starts = self.folder / "starts"
        agent = self.new_agent(toy(f"--starts={starts}"), *FEW)
        with socket.create_server(("127.0.0.1", agent.engine_port)):
            agent.start()
            agent.wait_state("port_taken")
            wait_until(lambda: f"port {agent.engine_port} is taken" in agent.stderr_text(), 5, "a word about it")
            self.assertIn(f"pid {os.getpid()}", agent.stderr_text())
            let_time_pass(1.0, lambda: self.assertEqual(agent.state, "port_taken"))
            self.assertEqual((self.starts(starts), agent.status()["restarts"]), ([], 0), "no restart storm")
            self.assertLess(agent.stderr_text().count("is taken"), 4)
            self.assertEqual(agent.registry.calls_of(agent.server_name), [])
        agent.running()
        self.assertEqual(len(self.starts(starts)), 1)
        self.finish(agent)

    def test_the_port_is_taken_when_the_agent_is_stopped(self):
        agent = self.new_agent(toy())
        with socket.create_server(("127.0.0.1", agent.engine_port)):
            agent.start().wait_state("port_taken")
            self.assertEqual(agent.stop(), 0)
            self.assertEqual(agent.leftovers(), [f"port {agent.engine_port}"])  # the other's

    def test_the_port_of_the_pages_is_taken(self):
        agent = self.new_agent(toy())
        with socket.create_server(("127.0.0.1", agent.engine_port + 1)):
            agent.spawn()
            self.assertEqual(agent.wait_exit(), 1)
        self.assertIn(str(agent.engine_port + 1), agent.stderr_text())
        self.assertEqual(agent.engines(), [], "no engine without its pages")
        self.assert_nothing_left(agent)


class Sick(AgentTest):
    def test_turns_its_health_503(self):
        control, tell = self.switch()
        agent = self.running_agent(toy(f"--control={control}"), *SOON)
        tell("health 503")
        agent.registry.wait_status(agent.server_name, "unhealthy")
        tell()
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        self.assertEqual(agent.running().last_exit()["kind"], "hang")
        self.finish(agent)

    def test_hangs(self):
        agent = self.running_agent(toy(), *SOON, *HASTY, "--stop-grace=300ms")
        agent.kill_engine(signal.SIGSTOP)
        agent.registry.wait_status(agent.server_name, "unhealthy")
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        self.assertEqual(agent.running().last_exit()["kind"], "hang")
        self.finish(agent)

    def test_hangs_and_leaves_grandchildren(self):
        agent = self.running_agent(toy(f"--children={KINDS}"), *HASTY, "--stop-grace=300ms")
        agent.kill_engine(signal.SIGSTOP)
        agent.registry.wait_status(agent.server_name, "unhealthy")
        self.finish(agent)

    def test_is_stopped_by_sigstop_when_the_agent_is_told_to_stop(self):
        agent = self.running_agent(toy(), "--stop-grace=300ms", "--probe-failures=0")
        agent.kill_engine(signal.SIGSTOP)
        self.finish(agent)


class Wrong(AgentTest):
    def cannot_be_started(self, backend, *words):
        """It gives up after the start limit, and says why, with the path."""
        agent = self.start_agent(backend, *FEW)
        agent.wait_state("failed")
        exit = agent.last_exit()
        self.assertEqual(exit["kind"], "start_failed", exit)
        for word in words:
            self.assertIn(word, agent.stderr_text())
            self.assertIn(word, exit["text"] + "".join(exit["last_lines"]))
        agent.registry.wait_status(agent.name, "failed")
        self.assertEqual(agent.registry.calls_of(agent.server_name), [])
        self.finish(agent)

    def test_the_binary_does_not_exist(self):
        self.cannot_be_started(program("/nowhere/at/all/engine"), "/nowhere/at/all/engine", "No such file")

    def test_the_binary_is_not_in_the_path(self):
        self.cannot_be_started(program("no-such-engine-here"), "no-such-engine-here")

    def test_the_binary_is_not_executable(self):
        path = self.write("engine", "#!/bin/sh\nexec sleep 1000\n")
        path.chmod(0o644)
        self.cannot_be_started(program(path), str(path), "Permission denied")

    def test_the_binary_is_a_folder(self):
        self.cannot_be_started(program(self.folder), str(self.folder), "Is a directory")

    def test_the_binary_is_no_program(self):
        path = self.write("engine", "\0\1\2\3 what is this")
        path.chmod(0o755)
        self.cannot_be_started(program(path), str(path), "Exec format error")

    def test_the_interpreter_of_the_script_does_not_exist(self):
        path = self.write("engine", "#!/nowhere/python\n")
        path.chmod(0o755)
        self.cannot_be_started(program(path), str(path), "No such file")

    def test_the_work_directory_is_missing(self):
        missing = self.folder / "missing"
        self.cannot_be_started(toy(work_dir=str(missing)), str(missing), "No such file")

    def test_the_work_directory_appears(self):
        missing = self.folder / "later"
        agent = self.start_agent(toy(work_dir=str(missing)), "--restart-delay=100ms", "--start-limit=0")
        wait_until(lambda: agent.status()["restarts"] >= 1, 10, "a restart")
        missing.mkdir()
        agent.running()
        self.assertEqual(os.readlink(f"/proc/{agent.engine_pid()}/cwd"), str(missing))
        self.finish(agent)


class Simulator(AgentTest):
    def test_the_simulator_loads_for_a_while_and_is_stopped_meanwhile(self):
        agent = self.start_agent(sim("--ready-after=60"))
        wait_until(agent.engines, 10, "the engine")
        begun = time.monotonic()
        self.finish(agent)
        self.assertLess(time.monotonic() - begun, patience(10), "not when it has loaded")

    def test_a_mock_serves_all_its_models_behind_a_router(self):
        registry = self.start_registry()
        agent = self.running_agent({"type": "mock", "models": ["a", "b"]}, registry=registry)
        self.assertEqual(agent.status()["models"], ["a", "b"])
        wait_until(lambda: agent.server_name in registry.names("?healthy=true"), 20, "the engine in the registry")
        entry = registry.service(agent.server_name)
        self.assertEqual((entry["models"], [item["id"] for item in entry["metadata"]["models_list"]]),
                         (["a", "b"], ["a", "b"]))
        router = self.start_router(registry=registry)
        wait_until(lambda: router.chat(model="b").status == 200, 20, "an answer")
        for model in ("b", "a"):
            answer = router.chat(model=model)
            self.assertEqual((answer.status, answer.json()["model"]), (200, model))
        self.assert_openai_error(router.chat(model="c"), 404, "model_not_found")
        self.finish(agent)

    def test_the_step_of_the_simulator_fails(self):
        agent = self.running_agent(sim(), *SOON)
        http_wire.call(agent.engine_port, "POST", "/sim/fault", {"fault": "step_failure"})
        agent.registry.wait_status(agent.server_name, "unhealthy")
        wait_until(lambda: agent.status()["restarts"] == 1, 10, "the restart")
        agent.running()
        self.finish(agent)


if __name__ == "__main__":
    main()
