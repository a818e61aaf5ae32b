"""A name server on a host of the test's network that may fall silent, and a way to make a daemon ask it."""

import contextlib
import socket
import struct
import threading

ADDRESS = "127.0.0.1"


class NameServer:
    """Says 127.0.0.1 to every question for an IPv4 address; nothing while `silent`. `asked`: names, in order."""

    def __init__(self, host):
        self.silent = True
        self.asked = []
        with host.inside():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind((ADDRESS, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                question, client = self.socket.recvfrom(512)
                if len(question) <= 12:
                    continue  # the end of the socket
                self.asked.append(_name(question))
                if not self.silent:
                    self.socket.sendto(_answer(question), client)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def _name(question):
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode("ascii"))
        at += 1 + question[at]
    return ".".join(labels)


def _answer(question):
    asked = question[12:12 + len(_name(question)) + 2 + 4]
    wants_ipv4 = struct.unpack(">H", asked[-4:-2])[0] == 1
    head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, int(wants_ipv4), 0, 0)
    record = struct.pack(">HHHIH", 0xC00C, 1, 1, 30, 4) + socket.inet_aton(ADDRESS)
    return head + asked + (record if wants_ipv4 else b"")


def asking_it(folder):
    """The wrapper of a daemon that asks this server for names, and no other."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "resolv.conf"
    settings.write_text(f"nameserver {ADDRESS}\noptions timeout:2 attempts:1\n")
    return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(settings)]
