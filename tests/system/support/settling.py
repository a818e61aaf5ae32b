"""When the daemons that were just started, or hit, have come to rest: what a person sees before typing on."""

import http.client
import json
import os
import pathlib
import socket
import ssl
import struct
import time

from . import proc_tree
from .waiting import patience

LISTENING, ESTABLISHED = 0x0A, 0x01
_LOOKS = 2          # in a row that are good
_PAUSE = 0.1
_SHIM = "--internal-shim"


def sockets_of(pid, state):
    """(address, port) of the process's TCP sockets in this state."""
    try:
        held = {text[8:-1] for text in proc_tree.open_files(pid).values() if text.startswith("socket:[")}
    except OSError:
        return set()
    found = set()
    for table, family in (("/proc/net/tcp", socket.AF_INET), ("/proc/net/tcp6", socket.AF_INET6)):
        for line in pathlib.Path(table).read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if int(fields[3], 16) == state and fields[9] in held:
                address, port = fields[1].split(":")
                words = struct.pack(f"={len(address) // 8}I", *(int(address[at:at + 8], 16)
                                                                for at in range(0, len(address), 8)))
                found.add((socket.inet_ntop(family, words), int(port, 16)))
    return found


def is_connected(pid):
    """Whether it, or a process below it, listens or has a connection."""
    pids = [pid, *(item.pid for item in proc_tree.descendants(pid))]
    return any(sockets_of(one, state) for one in pids for state in (LISTENING, ESTABLISHED))


def get(at, path):
    """(status, JSON or None) of a page. OSError or HTTPException: there is none."""
    host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(at[0], at[0])
    try:
        return _get(http.client.HTTPConnection(host, at[1], timeout=patience(5)), path)
    except (http.client.HTTPException, ConnectionError):
        trusting = ssl._create_unverified_context()
        return _get(http.client.HTTPSConnection(host, at[1], timeout=patience(5), context=trusting), path)


def _get(connection, path):
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    try:
        return response.status, json.loads(body)
    except ValueError:
        return response.status, None


class Unsettled(Exception):
    """Says what is not at rest."""


class Fleet:
    """The project's processes with a mark in their environment, as they are at this moment."""

    def __init__(self, mark):
        self.running = {}
        for item in proc_tree.marked(mark):
            try:
                name = os.path.basename(os.readlink(f"/proc/{item.pid}/exe"))
            except OSError:
                continue
            if _SHIM not in item.command:
                self.running.setdefault(name, []).append(item.pid)

    def look(self):
        """Unsettled, OSError or HTTPException: something is not at rest yet."""
        engines = set()
        for pid in self.running.get("infinilm-registry", ()):
            for at in self._ports(pid):
                self._expect(get(at, "/health")[0] == 200, f"the registry on port {at[1]} is not healthy")
                status, list_ = get(at, "/services?healthy=true&type=openai-api")
                engines |= {service["name"] for service in list_["services"]} if status == 200 else set()
        for pid in self.running.get("infinilm-sim", ()):
            self._ports(pid)
        for pid in self.running.get("infinilm-agent", ()):
            for at in self._ports(pid):
                self._look_at_agent(at)
        for pid in self.running.get("infinilm-router", ()):
            for at in self._ports(pid):
                self._look_at_router(at, engines)

    def _ports(self, pid):
        found = sockets_of(pid, LISTENING)
        self._expect(found, f"process {pid} does not listen yet")
        return found

    def _look_at_agent(self, at):
        self._expect(get(at, "/health")[0] == 200, f"the engine of the agent on port {at[1]} is not ready")
        status, said = get(at, "/status")
        if status == 200:
            alive = [proc_tree.process(pid) for pid in said["pids"]]
            self._expect(all(item and item.state != "Z" for item in alive), f"{said['name']} has just lost its engine")
            self._expect("infinilm-registry" not in self.running or all(said["registered"].values()),
                         f"{said['name']} is not registered")

    def _look_at_router(self, at, engines):
        _, health = get(at, "/health")
        _, known = get(at, "/services")
        states = {service["name"]: service["state"] for service in known["services"]}
        self._expect(set(states.values()) <= {"up"}, f"the router on port {at[1]} has {states}")
        if health["registry_url"] is not None:
            self._expect(engines <= set(states), f"the router on port {at[1]} does not know {engines - set(states)}")

    @staticmethod
    def _expect(holds, words):
        if not holds:
            raise Unsettled(words)


def settle(mark, seconds):
    """Waits until all is at rest. Returns what is not when the time is over, else None."""
    deadline = time.monotonic() + patience(seconds)
    good = 0
    while True:
        try:
            Fleet(mark).look()
            good, why = good + 1, None
        except (Unsettled, OSError, http.client.HTTPException) as error:
            good, why = 0, str(error)
        if good == _LOOKS or time.monotonic() > deadline:
            return why
        time.sleep(_PAUSE)
