#!/usr/bin/env python3
"""Instances and a registry that are known by name, with a name server that says nothing for a while."""

import time

from support.case import main
from support.name_server import NameServer, asking_it
from support.network import Network, OnHost
from support.router_process import RouterTest, static_service
from support.waiting import patience, wait_until


class Names(RouterTest):
    def setUp(self):
        super().setUp()
        self.host = Network(self).add_host("front")
        self.names = NameServer(self.host)
        self.addCleanup(self.names.close)
        with self.host.inside():
            self.sims = self.start_sims(2)

    def start_named(self, **options):
        """A router that knows the first instance by its address and the second by a name."""
        services = [static_service(self.sims[0]), static_service(self.sims[1]) | {"host": "gpu.example"}]
        router = self.new_router(services, wrapper=asking_it(self.folder / "names"), **options)
        with self.host.inside():
            router.start()
        return OnHost(self.host, router)

    def test_a_name_server_that_hangs_holds_up_no_request(self):
        router = self.start_named(registry="http://registry.example:8081", args=["--registry-sync-interval=1s"])
        wait_until(lambda: {"gpu.example", "registry.example"} & set(self.names.asked), 10, "a question for a name")
        slowest = 0.0
        until = time.monotonic() + 3  # while questions wait for the server's answer
        while time.monotonic() < until:
            begun = time.monotonic()
            self.assertEqual(router.chat().header("x-sim-name"), "sim-0")
            slowest = max(slowest, time.monotonic() - begun)
        self.assertLess(slowest, patience(1))
        self.assertEqual(router.call("GET", "/ready").status, 200)
        self.names.silent = False
        router.wait_state("sim-1", "up", timeout=30)
        self.assertEqual({router.chat().header("x-sim-name") for _ in range(6)}, {"sim-0", "sim-1"})

    def test_an_address_that_was_found_stays_in_use_when_the_server_falls_silent(self):
        self.names.silent = False
        router = self.start_named()
        router.wait_state("sim-1", "up", timeout=30)
        self.names.silent = True
        asked = len(self.names.asked)
        wait_until(lambda: len(self.names.asked) > asked, 90, "the name to be looked up again")
        until = time.monotonic() + 4  # the look-up fails after two
        while time.monotonic() < until:
            self.assertEqual({router.chat().header("x-sim-name") for _ in range(2)}, {"sim-0", "sim-1"})


if __name__ == "__main__":
    main()
