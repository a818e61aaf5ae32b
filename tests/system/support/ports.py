"""Neighbouring ports that are nobody's, for an engine and the pages of its agent."""

import atexit
import os
import random
import socket

from . import proc_tree

_PORTS_PER_BLOCK = 250
_FIRST_PORT, _LAST_PORT = 10_000, 32_000  # below what the kernel hands out by itself


class _PortPairs:
    """They stay free: a block of them belongs to one test process at a time, by the name of an abstract socket, and none
    is one that the kernel gives to others."""

    def __init__(self):
        self.claim = None
        self.ports = iter(())

    def take(self):
        for _ in range(2):
            for port in self.ports:
                if not {port, port + 1} & proc_tree.listening_ports():
                    return port
            self._claim_block()
        raise AssertionError("no two neighbouring free ports")

    def _claim_block(self):
        blocks = list(range(_FIRST_PORT, _LAST_PORT, _PORTS_PER_BLOCK))
        random.Random(os.getpid()).shuffle(blocks)
        if self.claim is not None:
            self.claim.close()
        for first in blocks:
            self.claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                self.claim.bind(f"\0infinilm-test-ports-{first}")
            except OSError:
                self.claim.close()
                continue
            atexit.register(self.claim.close)
            self.ports = iter(range(first, first + _PORTS_PER_BLOCK, 2))
            return
        raise AssertionError("all blocks of ports are taken")


_PAIRS = _PortPairs()


def port_pair():
    """N, with N and N + 1 free and nobody's."""
    return _PAIRS.take()
