"""Hosts on one machine: network namespaces of a test, joined by switches whose ports can be unplugged."""

import contextlib
import ctypes
import itertools
import os
import re
import shutil
import subprocess
import unittest

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_PREFIX = "infinilm-test"
_NUMBERS = itertools.count(1)


def _ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def _namespaces():
    return [line.split()[0] for line in _ip("netns", "list").splitlines()]


def _remove_those_of_dead_tests():
    """What a test that was killed could not remove."""
    for name in _namespaces():
        found = re.match(rf"{_PREFIX}-(\d+)-", name)
        if found and not os.path.exists(f"/proc/{found[1]}"):
            with contextlib.suppress(OSError):  # another test is at it too
                _ip("netns", "del", name)


def _enter(namespace):
    if _LIBC.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Host:
    """One namespace. `with host.inside():` this thread, and what it starts, is on that host."""

    def __init__(self, namespace):
        self.namespace = namespace

    def make(self):
        _ip("netns", "add", self.namespace)
        _ip("-n", self.namespace, "link", "set", "lo", "up")
        return self

    @contextlib.contextmanager
    def inside(self):
        with open("/proc/thread-self/ns/net", "rb") as own, open(f"/run/netns/{self.namespace}", "rb") as there:
            _enter(there)
            try:
                yield self
            finally:
                _enter(own)

    def remove(self):
        if self.namespace in _namespaces():
            _ip("netns", "del", self.namespace)


class OnHost:
    """An object whose methods and properties are evaluated on a host: the processes that they start and the connections
    that they open are there."""

    def __init__(self, host, subject):
        self._host = host
        self._subject = subject

    def __getattr__(self, name):
        with self._host.inside():
            found = getattr(self._subject, name)
        if not callable(found):
            return found

        def there(*args, **options):
            with self._host.inside():
                return found(*args, **options)
        return there


class Network:
    """Switches, and the hosts that are plugged into them. All of it is removed with the test, also when that fails.

    Raises unittest.SkipTest where namespaces may not be made, with the reason.
    """

    def __init__(self, test, *switches):
        if shutil.which("ip") is None:
            raise unittest.SkipTest("network namespaces need `ip` (package iproute2)")
        self.test = test
        self.prefix = f"{_PREFIX}-{os.getpid()}-{next(_NUMBERS)}"
        try:
            _remove_those_of_dead_tests()
            self.middle = self._host("switches")
            for name in switches:
                _ip("-n", self.middle.namespace, "link", "add", name, "type", "bridge")
                _ip("-n", self.middle.namespace, "link", "set", name, "up")
            with self.middle.inside():
                pass
        except OSError as error:
            raise unittest.SkipTest(f"network namespaces are not permitted here: {error}") from None

    def _host(self, name):
        host = Host(f"{self.prefix}-{name}")
        self.test.addCleanup(host.remove)
        return host.make()

    def add_host(self, name, **addresses):
        """`addresses`: {switch: "10.0.0.1"}, each in a network of 256; the host's interfaces are named as the
        switches."""
        host = self._host(name)
        for switch, address in addresses.items():
            port = _port(name, switch)
            _ip("link", "add", switch, "netns", host.namespace, "type", "veth",
                "peer", "name", port, "netns", self.middle.namespace)
            _ip("-n", self.middle.namespace, "link", "set", port, "up")
            _ip("-n", host.namespace, "address", "add", f"{address}/24", "dev", switch)
            _ip("-n", host.namespace, "link", "set", switch, "up")
            self.plug(name, switch)
        return host

    def plug(self, host, switch):
        _ip("-n", self.middle.namespace, "link", "set", _port(host, switch), "master", switch)

    def unplug(self, host, switch):
        """What is sent either way is lost without a word; the host's own link stays up."""
        _ip("-n", self.middle.namespace, "link", "set", _port(host, switch), "nomaster")


def _port(host, switch):
    """The switch's end of the cable; the kernel takes names of at most 15 characters."""
    return f"{host}-{switch}"
