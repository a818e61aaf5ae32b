#!/usr/bin/env python3
"""A registry that has to look names up, with a name server that says nothing."""

from support.case import SystemTest, main
from support.name_server import NameServer, asking_it
from support.network import Network, OnHost
from support.registry_process import service


class Names(SystemTest):
    def setUp(self):
        super().setUp()
        host = Network(self).add_host("registry")
        self.names = NameServer(host)
        self.addCleanup(self.names.close)
        self.registry = OnHost(host, self.new_registry("--allow-networks=127.0.0.0/8",
                                                       wrapper=asking_it(self.folder / "names")))
        self.registry.start()

    def test_a_name_that_cannot_be_looked_up_for_the_moment_is_no_address_that_is_refused(self):
        registry, body = self.registry, service("s", host="gpu.example")
        response = registry.call("POST", "/services", json=body)
        self.assertEqual((response.status, response.header("Retry-After")), (503, "1"))
        self.assertIn("'host' cannot be judged for the moment: ", response.json()["error"])
        self.names.silent = False
        registry.register("s", host="gpu2.example")
        self.names.silent = True
        for fields, status in (({"status": "draining"}, 200), ({"weight": 2, "port": 2}, 200),
                               ({"host": "gpu3.example"}, 503)):
            self.assertEqual(registry.call("PUT", "/services/s", json=fields).status, status, fields)


if __name__ == "__main__":
    main()
