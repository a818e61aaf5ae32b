#!/usr/bin/env python3
"""A file that is a folder, a folder that is a file, a port that is taken: the start ends with one sentence that says
which and why, and nothing else is left."""

import socket

from support.agent_process import run_agent
from support.case import SystemTest, main
from support.registry_process import run_registry
from support.router_process import run_router

AGENT = ("--port=5001", "--service-type=sim", "--models=m", "--log-file=")
START = {"infinilm-registry": lambda *flags, **more: run_registry("--port=0", *flags, **more),
         "infinilm-router": lambda *flags, **more: run_router("--port=0", *flags, **more),
         "infinilm-agent": lambda *flags, **more: run_agent(*AGENT, *flags, **more)}
READS = {
    "infinilm-registry": ("config", "token-file", "tls-cert", "port-file", "state-db", "log-file"),
    "infinilm-router": ("config", "registry-token-file", "api-keys-file", "upstream-token-file", "static-services",
                        "tls-cert", "tls-ca", "port-file", "log-file"),
    "infinilm-agent": ("config", "services", "token-file", "registry-token-file", "engine-api-key-file", "tls-cert",
                       "tls-ca", "port-file", "log-file"),
}
BELOW_A_FILE = {"infinilm-registry": ("state-db", "log-file", "port-file", "token-file"),
                "infinilm-router": ("log-file", "port-file", "static-services"),
                "infinilm-agent": ("log-file", "port-file", "services")}
REASONS = {"folder": "Is a directory", "file/below": "Not a directory"}


class StartTest(SystemTest):
    def sentence(self, program, *flags):
        """The one that the start ends with."""
        ended = START[program](*flags, folder=self.folder)
        self.assertIn(ended.returncode, (1, 2), ended.stderr)
        said = [line for line in ended.stderr.splitlines() if line.startswith(f"{program}: ")]
        self.assertEqual(len(said), 1, ended.stderr)
        self.assertNotIn("exception", said[0])
        return said[0]


class BadFiles(StartTest):
    def refused(self, program, option, value):
        flags = [f"--{option}={value}"]
        if option == "tls-cert":
            flags.append(f"--tls-key={value}")
        if option == "registry-token-file":
            flags.append("--registry-url=http://127.0.0.1:9")
        with self.subTest(program=program, option=option):
            said = self.sentence(program, *flags)
            self.assertIn(value, said)
            self.assertIn(REASONS[value].lower(), said.lower())

    def test_a_folder_where_a_file_should_be(self):
        (self.folder / "folder").mkdir()
        for program, options in READS.items():
            for option in options:
                self.refused(program, option, "folder")

    def test_a_file_where_a_folder_should_be(self):
        self.write("file", "")
        for program, options in BELOW_A_FILE.items():
            for option in options:
                self.refused(program, option, "file/below")

    def test_the_state_folder_of_an_agent_is_a_file(self):
        self.write("file", "")
        self.assertIn("'file/sim-5001.agent': Not a directory", self.sentence("infinilm-agent", "--state-dir=file"))


class TakenPorts(StartTest):
    def test_all_say_the_same(self):
        for host, address, family in (("127.0.0.1", "127.0.0.1", socket.AF_INET), ("::1", "[::1]", socket.AF_INET6)):
            with socket.socket(family) as taken:
                try:
                    taken.bind((host, 0))
                except OSError:
                    continue  # no IPv6 here
                taken.listen()
                port = taken.getsockname()[1]
                for program, flags in (("infinilm-registry", (f"--host={host}", f"--port={port}")),
                                       ("infinilm-router", (f"--host={host}", f"--port={port}")),
                                       ("infinilm-agent", (f"--bind={host}", f"--port={port - 1}"))):
                    with self.subTest(program=program, host=host):
                        said = self.sentence(program, *flags)
                        self.assertTrue(said.endswith(
                            f"cannot listen on {address}:{port}: Address already in use; stop the other process (see "
                            "`ss -ltnp`) or choose another port"), said)

    def test_an_address_of_another_machine(self):
        for program, flag in (("infinilm-registry", "host"), ("infinilm-router", "host"), ("infinilm-agent", "bind")):
            with self.subTest(program):
                self.assertIn("Cannot assign requested address; it is no address of this machine",
                              self.sentence(program, f"--{flag}=203.0.113.9"))


if __name__ == "__main__":
    main()
