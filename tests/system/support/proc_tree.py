"""Processes and ports as /proc shows them: who descends from whom, who carries a mark, who listens."""

import collections
import os
import pathlib

Process = collections.namedtuple("Process", "pid parent group session state start command")


def process(pid):
    """The process, or None when it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (OSError, IndexError):
        return None
    parent, group, session = map(int, fields[1:4])
    return Process(int(pid), parent, group, session, fields[0], int(fields[19]), command.strip())


def processes():
    """All of this machine that could be read."""
    found = (process(name) for name in os.listdir("/proc") if name.isdigit())
    return [item for item in found if item is not None]


def descendants(root):
    """All processes below `root`, parents first; zombies too."""
    children = collections.defaultdict(list)
    for item in processes():
        children[item.parent].append(item)
    found, ahead = [], [root]
    while ahead:
        below = children[ahead.pop(0)]
        found += below
        ahead += [item.pid for item in below]
    return found


def zombies_below(root):
    return [item for item in descendants(root) if item.state == "Z"]


def marked(mark):
    """The processes with these bytes in their environment (as it was at their exec; forks keep it). No zombies."""
    wanted = mark.encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            environment = pathlib.Path(f"/proc/{name}/environ").read_bytes()
        except OSError:
            continue
        if wanted in environment:
            item = process(name)
            if item is not None and item.state != "Z":
                found.append(item)
    return found


def cpu_time(pid):
    """Seconds of processor time of all its threads, to the nanosecond."""
    tasks = pathlib.Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def _sockets(state):
    """(local port, remote port) of the TCP sockets in this state."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = pathlib.Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if int(fields[3], 16) == state:
                yield int(fields[1].rsplit(":", 1)[1], 16), int(fields[2].rsplit(":", 1)[1], 16)


def listening_ports():
    return {local for local, _ in _sockets(0x0A)}


def open_files(pid):
    """What its descriptors are: {number: "socket:[123]" or a path}."""
    folder = f"/proc/{pid}/fd"
    found = {}
    for name in os.listdir(folder):
        try:
            found[int(name)] = os.readlink(f"{folder}/{name}")
        except OSError:
            continue
    return found
