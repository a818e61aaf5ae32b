#!/usr/bin/env python3
"""scripts/quickstart.sh: what it starts, what it says to type, and that nothing stays; scripts/stream_chat.py."""

import os
import re
import signal
import socket
import subprocess
import uuid

from support import proc_tree
from support.agent_process import port_pair
from support.case import main
from support.daemon_process import BIN_DIR, SOURCE_DIR, clean_environment
from support.sim_process import SimTest, words
from support.waiting import patience, wait_until

SCRIPT = "scripts/quickstart.sh"
STREAM = "scripts/stream_chat.py"


def four_ports():
    """The first of four neighbours that are free."""
    first, second = port_pair(), port_pair()
    while second != first + 2:
        first, second = second, port_pair()
    return first


def commands(text):
    """What a user is told to type."""
    return re.findall(r"^    (\S.*)$", text, re.M)


class Quickstart(SimTest):
    def setUp(self):
        super().setUp()
        self.mark = f"INFINILM_TEST_MARK={uuid.uuid4()}"
        self.dir = self.folder / "a demo"
        self.registry, self.router, self.engine = port_pair(), port_pair(), four_ports()
        self.ports = {self.registry, self.router, *range(self.engine, self.engine + 4)}
        self.addCleanup(self.end)

    def end(self):
        for item in proc_tree.marked(self.mark):
            try:
                os.kill(item.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def environment(self, bin_dir=BIN_DIR):
        kept = {key: value for key, value in clean_environment().items() if not key.startswith("INFINILM_AGENT")}
        return kept | dict([self.mark.split("=")], INFINILM_BIN_DIR=str(bin_dir))

    def line(self, *words_of_it):
        return [SCRIPT, "--dir", str(self.dir), *words_of_it]

    def start_line(self):
        return self.line(f"--registry-port={self.registry}", "--router-port", str(self.router), "--engine-port",
                         str(self.engine))

    def run_script(self, line, code=0, **environment):
        """Runs it to its end; the exit code must be this one. Returns everything that it said."""
        done = subprocess.run(line, cwd=SOURCE_DIR, env=self.environment(**environment), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=patience(120), check=False)
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def assert_nothing_left(self):
        wait_until(lambda: not proc_tree.marked(self.mark), 10, "the end of all processes")
        self.assertEqual(self.ports & proc_tree.listening_ports(), set())

    def test_a_first_hour(self):
        said = self.run_script(self.start_line())
        self.assertIn("\n== A question, through the router: ", said)
        self.assertRegex(said, r"200 OK, text/event-stream.*, from gpu[12]-server\n")
        self.assertIn(words(24), re.sub(r"\n *[\d.]+ s  \| ", "", said))
        self.assertRegex(said, r"gpu[12]-server answered in 24 pieces: the first after [\d.]+ s")

        again = self.run_script(self.line())
        self.assertIn("it runs already, with the engine sim", again)
        self.assertEqual(commands(again), commands(said))
        self.assertIn(f"it runs already, with --router-port {self.router}; first: {SCRIPT} --dir",
                      self.run_script(self.line("--router-port=1"), code=1))

        told = commands(said)
        self.assertGreater(len(told), 8)
        for command in told:
            with self.subTest(command):
                if command.endswith(" status"):
                    self.wait_until_well(command)
                else:
                    self.type(command)
        self.assertTrue(told[-1].endswith(" stop"))
        self.assert_nothing_left()
        self.assertFalse(self.dir.exists())
        self.assertIn("nothing runs", self.run_script(self.line("status"), code=3))
        self.assertIn("nothing runs", self.run_script(self.line("stop")))

    def type(self, command):
        said = self.run_script(["bash", "-o", "pipefail", "-c", command])
        self.assertNotIn('"error"', said, command)
        return said

    def wait_until_well(self, command):
        """After a death and a restart on demand; its exit code says so."""
        def well():
            self.assertRegex(self.type(command), r"(?m)^. gpu1 +127\.0\.0\.1:\d+ .* 1$")
            return True
        wait_until(well, 60, "a fleet that is well again, gpu1 with one restart")

    def test_a_taken_port_is_named_with_a_way_out(self):
        for option, port in (("registry-port", self.registry), ("router-port", self.router),
                             ("engine-port", self.engine + 3)):
            with self.subTest(option), socket.create_server(("127.0.0.1", port)):
                said = self.run_script(self.start_line(), code=1)
                self.assertIn(f"port {port} is taken", said)
                [way_out] = re.findall(rf"{SCRIPT} --dir .*a\\ demo(.*) --{option} (\d+)(.*)$", said, re.M)
                self.assertNotIn(int(way_out[1]), proc_tree.listening_ports())
                self.assertIn(f" --{'router' if option == 'registry-port' else 'registry'}-port ", way_out[0] + way_out[2])
        self.assert_nothing_left()

    def test_what_makes_no_sense_is_refused(self):
        port = str(self.registry)
        for line, code, sentence in (
                (["--engine", "gpt"], 2, "--engine is sim or llama-cpp, not 'gpt'"),
                (["--router-port"], 2, "--router-port needs a value"),
                (["--router-port", "0"], 2, "--router-port is a number from 1 to 65535, not '0'"),
                (["--engine-port=70000"], 2, "--engine-port is a number from 1 to 65535, not '70000'"),
                (["begin"], 2, "unknown argument 'begin'"),
                (["--engine-port=65533"], 1, "--engine-port needs four ports"),
                (["--registry-port", port, "--router-port", port], 1, "cannot share port"),
                (["--router-port", "5004"], 1, "--engine-port must be away from 5004")):
            with self.subTest(line):
                self.assertIn(sentence, self.run_script(self.line(*line), code))

    def test_a_folder_of_somebody_else_is_left_alone(self):
        self.dir.mkdir()
        (self.dir / "mine").write_text("mine")
        self.assertIn("is not empty", self.run_script(self.start_line(), code=1))
        self.assertEqual((self.dir / "mine").read_text(), "mine")

    def test_missing_programs_are_named(self):
        bin_dir = self.folder / "bin"
        bin_dir.mkdir()
        self.assertIn(f"{bin_dir}/infinilm-registry is not there (INFINILM_BIN_DIR",
                      self.run_script(self.start_line(), code=1, bin_dir=bin_dir))

    def test_an_interrupted_start_leaves_nothing(self):
        with subprocess.Popen(self.start_line(), cwd=SOURCE_DIR, env=self.environment(), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              start_new_session=True) as process:
            for text in process.stdout:
                if text.startswith("== The fleet, in "):
                    break
            wait_until(lambda: self.registry in proc_tree.listening_ports(), 30, "a registry")
            os.killpg(process.pid, signal.SIGINT)
            said = process.stdout.read()
            self.assertEqual(process.wait(patience(60)), 130, said)
        self.assertIn("nothing runs any more", said)
        self.assert_nothing_left()
        self.run_script(self.line("stop"))
        self.assertFalse(self.dir.exists())


class StreamChat(SimTest):
    def ask(self, sim, code, *flags):
        done = subprocess.run([STREAM, f"http://127.0.0.1:{sim.port}", "sim-model", "hi", "--max-tokens=5", *flags],
                              cwd=SOURCE_DIR, text=True, capture_output=True, timeout=patience(60), check=False)
        self.assertEqual(done.returncode, code, done)
        return done.stdout if code == 0 else done.stderr

    def test_it_shows_an_answer_as_it_comes(self):
        sim = self.start_sim("--decode-us=10000")
        said = self.ask(sim, 0)
        self.assertRegex(said, r"\| {2}000 001 002 003 004\n")
        self.assertRegex(said, rf"127.0.0.1:{sim.port} answered in 5 pieces")

    def test_a_broken_answer_is_no_answer(self):
        sim = self.start_sim()
        for fault, sentence in (({"kind": "die_mid_stream", "after": 2}, "the answer broke off"),
                                ({"kind": "status", "status": 503}, "no answer: ")):
            with self.subTest(fault):
                sim.fault(**fault)
                self.assertIn(sentence, self.ask(sim, 1))
                sim.no_faults()
        sim.kill()
        self.assertIn("Connection refused", self.ask(sim, 1))


if __name__ == "__main__":
    main()
