"""What a process uses: memory and processor time, out of /proc."""

import os


def rss(pid):
    """Bytes in memory."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def cpu_seconds(pid):
    """Seconds of user and system time so far, to a hundredth."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
