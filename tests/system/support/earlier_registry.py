"""The registry of the earlier Python programs, as far as an agent can see it: its endpoints, its checks, its fields,
and nothing that came later. It also keeps a record of every call."""

import http.server
import json
import socket
import threading
import time
import urllib.parse
from typing import NamedTuple

from .waiting import wait_until

REQUIRED = ("name", "host", "port", "hostname", "url", "status")
CHANGEABLE = ("host", "port", "hostname", "url", "status", "metadata")
LEASE = 120.0


class Call(NamedTuple):
    """One call as it came. `what`: register, heartbeat, change, withdraw or look; `status`: the service's, if it was
    said."""
    time: float  # monotonic
    what: str
    name: str
    body: object
    code: int

    @property
    def status(self):
        return self.body.get("status") if isinstance(self.body, dict) else None


class EarlierRegistry:
    """Answers on 127.0.0.1 from the start. `calls` grows; `strange`: requests that the earlier one did not know."""

    def __init__(self):
        self.entries = {}
        self.calls = []
        self.strange = []
        self.refuse = None  # a status code for all calls, "hang", or None
        self.lock = threading.RLock()
        self.sockets = set()
        self.server = None
        self.port = 0
        self.up()

    def up(self):
        """Opens the port, the same as before if there was one."""
        registry = self

        class Handler(_Handler):
            owner = registry

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 256

            def handle_error(self, *_):
                pass  # a caller may hang up whenever it likes

        def opened():
            return Server(("127.0.0.1", self.port), Handler)  # its old port may be at the end of a connection just now
        self.server = wait_until(opened, 10, "the registry's port")
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self):
        """The port is closed and every connection cut; the entries stay."""
        if self.server is None:
            return
        self.server.shutdown()
        self.server.server_close()
        self.server = None
        with self.lock:
            for connection in list(self.sockets):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    close = down

    def forget(self):
        """As after a restart: it kept its entries in memory only."""
        with self.lock:
            self.entries.clear()

    # -- for tests -----------------------------------------------------------------------------------------------------
    url = property(lambda self: f"http://127.0.0.1:{self.port}")

    def names(self):
        with self.lock:
            return sorted(self.entries)

    def entry(self, name):
        """The service as it is answered, or None."""
        with self.lock:
            return self._public(self.entries[name]) if name in self.entries else None

    def status(self, name):
        entry = self.entry(name)
        return entry and entry["status"]

    def calls_of(self, name, what=None, since=0.0):
        with self.lock:
            return [call for call in self.calls
                    if call.name == name and call.time >= since and what in (None, call.what)]

    def statuses_of(self, name, since=0.0):
        """What was said of it, in order, repetitions left out; "gone" for a withdrawal. (text, first time) pairs."""
        said = []
        for call in self.calls_of(name, since=since):
            text = "gone" if call.what == "withdraw" else call.status
            if text is not None and call.code < 300 and (not said or said[-1][0] != text):
                said.append((text, call.time))
        return said

    def wait_status(self, name, status, timeout=20.0):
        """Waits until this is what is registered (None: nothing is)."""
        def reached():
            found = self.status(name)
            assert found == status, f"{name} is {found}"
            return True
        wait_until(reached, timeout, f"{name} {status} in the registry", 0.002)

    # -- its behaviour -------------------------------------------------------------------------------------------------
    @staticmethod
    def _public(entry):
        shown = dict(entry, last_heartbeat=entry["last_heartbeat"])
        shown["is_healthy"] = entry["status"] == "running" and time.time() - entry["last_heartbeat"] < LEASE
        return shown

    def register(self, body):
        if not isinstance(body, dict):
            return 400, {"error": "Invalid JSON"}
        for field in REQUIRED:
            if field not in body:
                return 400, {"error": f"Missing required field: {field}"}
        entry = {field: body[field] for field in REQUIRED}
        entry["timestamp"] = body.get("timestamp") or time.strftime("%Y-%m-%dT%H:%M:%S.000000")
        entry["metadata"] = body.get("metadata") or {}
        entry["last_heartbeat"] = time.time()
        entry["health_status"] = "unknown"
        self.entries[body["name"]] = entry
        return 201, {"message": f"Service '{body['name']}' registered successfully", "service": self._public(entry)}

    def named(self, what, name, body):
        entry = self.entries.get(name)
        if entry is None:
            return 404, {"error": f"Service '{name}' not found"}
        if what == "withdraw":
            del self.entries[name]
            return 200, {"message": f"Service '{name}' unregistered successfully"}
        if what == "look":
            return 200, self._public(entry)
        if what == "change" and not isinstance(body, dict):
            return 400, {"error": "Invalid JSON"}
        entry["last_heartbeat"] = time.time()
        if isinstance(body, dict):
            allowed = CHANGEABLE if what == "change" else ("status",)
            entry.update({field: body[field] for field in allowed if field in body})
        if what == "heartbeat":
            return 200, {"message": "Heartbeat received", "timestamp": time.time()}
        return 200, {"message": f"Service '{name}' updated successfully", "service": self._public(entry)}

    def listing(self, query):
        with self.lock:
            found = [self._public(entry) for entry in self.entries.values()]
        if "status" in query:
            found = [item for item in found if item["status"] == query["status"]]
        if "healthy" in query:
            found = [item for item in found if item["is_healthy"] == (query["healthy"].lower() == "true")]
        return 200, {"services": found, "total": len(found), "timestamp": time.time()}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner = None

    def setup(self):
        super().setup()
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.owner.lock:
            self.owner.sockets.add(self.request)

    def finish(self):
        with self.owner.lock:
            self.owner.sockets.discard(self.request)
        super().finish()

    def handle_any(self):
        now = time.monotonic()
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = "not JSON"
        path, _, query = self.path.partition("?")
        code, answer = self.answer(now, path, dict(urllib.parse.parse_qsl(query)), body)
        data = json.dumps(answer).encode() if answer is not None else b"404: Not Found"
        self.send_response(code)
        self.send_header("Content-Type", "application/json; charset=utf-8" if answer is not None else "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = handle_any

    def answer(self, now, path, query, body):
        if self.owner.refuse == "hang":
            wait_until(lambda: self.owner.refuse != "hang", 600, "the end of the hang")
        if isinstance(self.owner.refuse, int):
            return self.owner.refuse, {"error": "as the test wants it"}
        parts = [urllib.parse.unquote(part) for part in path.split("/")[1:]]
        if self.command == "GET" and path == "/health":
            return 200, {"status": "healthy", "registry": "running", "registered_services": len(self.owner.entries)}
        if self.command == "GET" and path == "/services":
            return self.owner.listing(query)
        what = {("POST", 1): "register", ("GET", 2): "look", ("PUT", 2): "change", ("DELETE", 2): "withdraw",
                ("POST", 3): "heartbeat"}.get((self.command, len(parts)))
        if parts[0] != "services" or what is None or (what == "heartbeat" and parts[2] != "heartbeat") or query:
            self.owner.strange.append(f"{self.command} {self.path}")
            return 404, None
        with self.owner.lock:
            name = parts[1] if len(parts) > 1 else body.get("name") if isinstance(body, dict) else None
            code, answer = self.owner.register(body) if what == "register" else self.owner.named(what, name, body)
            self.owner.calls.append(Call(now, what, name, body, code))
        return code, answer

    def log_message(self, *_):
        pass
