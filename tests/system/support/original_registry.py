"""The original registry as its own tests mock it: GET /services?healthy=true, exactly, and nothing else."""

import http.server
import json
import threading
import time

from .router_process import MODEL
from .waiting import wait_until

STAMP = "2026-01-01T00:00:00.000001"


class FakeOriginalRegistry:
    """`services`: what it lists; replace the list at will. `asked`: the targets of all requests."""

    def __init__(self, *services):
        self.services = list(services)
        self.asked = []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                fake.asked.append(self.path)
                good = self.path == "/services?healthy=true"
                body = {"services": fake.services, "total": len(fake.services), "timestamp": STAMP}
                data = json.dumps(body).encode() if good else b"404: Not Found"
                self.send_response(200 if good else 404)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def wait_asked(self, more=1):
        """So many further answers."""
        before = len(self.asked)
        wait_until(lambda: len(self.asked) >= before + more, 20, f"{more} more polls", 0.002)


def registered(name, port, **fields):
    """An engine's entry as the original registry lists it."""
    metadata = {"type": "openai-api", "parent_service": name, "babysitter": "enhanced", "models": [MODEL],
                "models_list": [{"id": MODEL}], **fields.pop("metadata", {})}
    return {"name": name, "host": "127.0.0.1", "port": port, "hostname": "127.0.0.1", "url": f"http://127.0.0.1:{port}",
            "status": "running", "timestamp": STAMP, "last_heartbeat": time.time(),
            "health_status": "unknown", "metadata": metadata, "is_healthy": True, **fields}
