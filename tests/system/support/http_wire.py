"""A small HTTP/1.1 client that hides nothing: raw bytes can be sent, and answers are kept as they came."""

import json as json_module
import socket

HOST = "127.0.0.1"


class Response:
    def __init__(self, status, reason, headers, body):
        self.status = status
        self.reason = reason
        self.headers = headers  # list of (name, value) in order
        self.body = body

    def header(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return default

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return json_module.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Connection:
    """One keep-alive connection. Raises ConnectionError when the peer has closed it."""

    def __init__(self, port, timeout=30.0, tls=None, token=None, host=HOST):
        self.sock = socket.create_connection((host, port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self.reader = self.sock.makefile("rb")
        self.token = token

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.reader.close()
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def request(self, method, path, json=None, body=None, headers=()):
        self.send(request_bytes(method, path, json, body, self._with_token(headers)))
        return self.read_response(method)

    def read_response(self, method="GET"):
        """The next answer, 1xx answers skipped."""
        while True:
            status_line = self.reader.readline()
            if not status_line.endswith(b"\r\n"):
                raise ConnectionError(f"the connection was closed before an answer (got {status_line!r})")
            version, status, reason = (status_line.decode("latin-1").rstrip("\r\n").split(" ", 2) + [""])[:3]
            if not version.startswith("HTTP/1."):
                raise AssertionError(f"not an HTTP answer: {status_line!r}")
            headers = self._read_headers()
            if not 100 <= int(status) < 200:
                break
        length = next((int(value) for key, value in headers if key.lower() == "content-length"), 0)
        body = b"" if method == "HEAD" else self.reader.read(length)
        if method != "HEAD" and len(body) != length:
            raise ConnectionError(f"the answer ended after {len(body)} of {length} bytes")
        return Response(int(status), reason, headers, body)

    def read_to_end(self):
        """Everything until the peer closes. A reset after bytes have come counts as an end."""
        data = b""
        try:
            while chunk := self.reader.read1(65536):
                data += chunk
        except ConnectionResetError:
            pass
        return data

    def is_closed_by_peer(self):
        """Waits (up to the socket's timeout) for the end; False when bytes come instead."""
        try:
            return self.reader.read1(1) == b""
        except ConnectionResetError:
            return True

    def _read_headers(self):
        headers = []
        while True:
            line = self.reader.readline()
            if line == b"":
                raise ConnectionError("the connection was closed inside a head")
            line = line.decode("latin-1").rstrip("\r\n")
            if line == "":
                return headers
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))

    def _with_token(self, headers):
        if self.token is None:
            return headers
        return [*headers, ("Authorization", f"Bearer {self.token}")]


def request_bytes(method, path, json=None, body=None, headers=()):
    """A well-formed request. `json` sets body and content type; `body` is text or bytes as they are."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    names = {name.lower() for name, _ in headers}
    if json is not None:
        body = json_module.dumps(json)
        if "content-type" not in names:
            lines.append("Content-Type: application/json")
    if isinstance(body, str):
        body = body.encode("utf-8")
    if body is not None and "content-length" not in names and "transfer-encoding" not in names:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


def call(port, method, path, json=None, body=None, headers=(), timeout=30.0, tls=None, token=None):
    """One request over a connection of its own."""
    with Connection(port, timeout, tls, token) as connection:
        return connection.request(method, path, json, body, headers)


def raw_exchange(port, data, method="GET", timeout=15.0):
    """Sends raw bytes and returns the first answer, or None when the peer closed without one."""
    with Connection(port, timeout) as connection:
        try:
            connection.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before everything was sent: the answer may be there all the same
        try:
            return connection.read_response(method)
        except (ConnectionError, TimeoutError):
            return None
