"""An upstream of bytes: it keeps exactly what arrives, reads it with a strict parser, and sends what a script says."""

import json
import socket
import struct
import threading
import time

from . import strict_http
from .waiting import patience, wait_until


def answer_bytes(body=b"ok", status=b"200 OK", *fields):
    """A plain answer with Content-Length."""
    if isinstance(body, str):
        body = body.encode()
    head = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def stream_head(*fields):
    head = [b"HTTP/1.1 200 OK", b"Content-Type: text/event-stream", b"Transfer-Encoding: chunked", *fields]
    return b"\r\n".join(head) + b"\r\n\r\n"


def event(data):
    """One SSE event as a chunk of its own."""
    text = data if isinstance(data, str) else json.dumps(data)
    return chunk(b"data: " + text.encode() + b"\n\n")


def end_listening(listener):
    """Closes it, and ends the accept() of another thread, which might go on with whoever gets its number next."""
    try:
        listener.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    listener.close()


def echo(connection, request):
    """Says whose request this was: its target and its field X-Test."""
    connection.send(answer_bytes(json.dumps({
        "target": request.target.decode(), "test": request.value(b"x-test").decode("latin-1"),
        "bytes": len(request.body)}), b"200 OK", b"Content-Type: application/json"))


class RawConnection:
    """One connection that was accepted. `requests`: those that were whole; `malformed`: the first problem, or None."""

    def __init__(self, upstream, sock):
        self.upstream = upstream
        self.sock = sock
        self.number = None  # in upstream.connections, from the first byte on
        self.received = bytearray()
        self.requests = []
        self.malformed = None
        self.ended_at = None  # monotonic time at which the peer closed
        self.ended_by_reset = False
        self.sent = 0
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        """Sends all of it. False: the peer is gone."""
        try:
            view = memoryview(data)
            while view:
                count = self.sock.send(view[:262144])
                self.sent += count
                view = view[count:]
            return True
        except OSError:
            return False

    def receive(self):
        """Waits for bytes. False: the peer has closed."""
        try:
            data = self.sock.recv(262144)
        except ConnectionResetError:
            data = b""
            self.ended_by_reset = True
        except OSError:
            data = b""
        if not data:
            if self.ended_at is None:
                self.ended_at = time.monotonic()
            return False
        self.received += data
        return True

    def wait_end(self):
        """Reads until the peer closes."""
        while self.receive():
            pass

    def wait_closed(self, timeout=10.0):
        """Used by the test's thread: the peer has closed within the time; returns when it did."""
        wait_until(lambda: self.ended_at is not None, timeout, "the end of the upstream connection", 0.002)
        return self.ended_at

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            self.sock.shutdown(socket.SHUT_RD)  # says nothing to the peer, but ends a recv() of the script's thread
        except OSError:
            pass
        self.sock.close()

    def _run(self):
        begun = 0
        if not self.receive():
            self.close()
            return
        if b"GET /health " in self.received and b"\r\nUser-Agent: infinilm-router/" in self.received:
            self.upstream.probes += 1
            self.send(answer_bytes())
            self.wait_end()
            self.close()
            return
        self.upstream.add(self)
        while True:
            try:
                request = strict_http.read_request(bytes(self.received[begun:]))
                begun += request.end
                self.requests.append(request)
                if self.upstream.script(self, request) is False:
                    return
                continue
            except strict_http.Incomplete:
                pass
            except strict_http.Malformed as problem:
                self.malformed = f"{problem}: {bytes(self.received[begun:begun + 300])!r}"
                self.close()
                return
            except OSError:
                return
            if not self.receive():
                self.close()
                return


class RawUpstream:
    """Listens on 127.0.0.1. `script(connection, request)` answers each request; False: the connection is the script's.

    The router's probes are answered on the side: they are neither recorded nor given to the script, only counted.
    """

    def __init__(self, script=echo, receive_buffer=None, send_buffer=None):
        self.script = script
        self.connections = []
        self.lock = threading.Lock()
        self.probes = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        for option, size in ((socket.SO_RCVBUF, receive_buffer), (socket.SO_SNDBUF, send_buffer)):
            if size is not None:
                self.listener.setsockopt(socket.SOL_SOCKET, option, size)  # accepted sockets inherit it
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=RawConnection(self, sock)._run, daemon=True).start()

    def add(self, connection):
        with self.lock:
            connection.number = len(self.connections)
            self.connections.append(connection)

    def close(self):
        end_listening(self.listener)
        for connection in list(self.connections):
            connection.close()

    @property
    def requests(self):
        """All whole requests, those of the first connection first."""
        return [request for connection in list(self.connections) for request in connection.requests]

    @property
    def targets(self):
        return [request.target.decode("latin-1") for request in self.requests]

    @property
    def problems(self):
        return [connection.malformed for connection in list(self.connections) if connection.malformed]

    def received(self):
        return sum(len(connection.received) for connection in list(self.connections))

    def wait_requests(self, count, timeout=10.0):
        wait_until(lambda: len(self.requests) >= count, timeout, f"{count} requests at the upstream", 0.002)
        return self.requests

    def wait_connection(self, number=0, timeout=10.0):
        """The connection of that number, with a request on it."""
        wait_until(lambda: len(self.connections) > number and self.connections[number].requests, timeout,
                   f"a request on connection {number}", 0.002)
        return self.connections[number]


def raw_router(test, upstreams, *args, config=None, name="router", **fields):
    """A router of one thread in front of raw upstreams: one probe each, no questions for models, no ejections.

    `fields` go into each static entry. One thread, so that all its clients share one pool of connections.
    """
    entries = [{"name": f"raw-{index}", "host": "127.0.0.1", "port": upstream.port, "max_fails": 0, **fields}
               for index, upstream in enumerate(upstreams)]
    flags = {"threads": "1", "health-interval": "24h", "learn-models": "false", "hung-timeout": "0"}
    given = {str(arg).split("=")[0] for arg in args}
    defaults = [f"--{key}={value}" for key, value in flags.items() if f"--{key}" not in given]
    return test.start_router(entries, args=[*defaults, *args], config=config, name=name)


def raw_upstream(test, script=echo, **options):
    upstream = RawUpstream(script, **options)
    test.addCleanup(upstream.close)
    return upstream


def read_until_end(sock, timeout=10.0):
    """Everything until the peer closes: (bytes, "closed" | "reset" | "open" when it stays open for `timeout`)."""
    sock.settimeout(patience(timeout))
    data = bytearray()
    while True:
        try:
            piece = sock.recv(262144)
        except ConnectionResetError:
            return bytes(data), "reset"
        except TimeoutError:
            return bytes(data), "open"
        if not piece:
            return bytes(data), "closed"
        data += piece


def exchange(port, data, timeout=10.0, byte_by_byte=False):
    """Sends raw bytes over a connection of their own and reads to its end: as read_until_end."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience(timeout)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if byte_by_byte:
                for index in range(len(data)):
                    sock.send(data[index:index + 1])
            else:
                sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before everything was sent: the answer may be there all the same
        return read_until_end(sock, timeout)
