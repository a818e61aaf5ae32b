"""An HTTPS upstream in front of a raw one's script: the same requests, seen after the TLS layer."""

import socket
import ssl
import threading

from . import strict_http
from .raw_upstream import end_listening


class TlsUpstream:
    """`script(connection, request)` answers each request on the TLS socket; False: the connection is the script's.

    GET /health is answered on the side. `requests`: all others. `failed`: handshakes that came to nothing.
    """

    def __init__(self, identity, script, host="127.0.0.1"):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*map(str, identity))
        self.script = script
        self.requests = []
        self.failed = 0
        self.names = []  # of the server, that clients asked for
        self.context.sni_callback = lambda _, name, __: self.names.append(name)
        self.listener = socket.create_server((host, 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, plain):
        try:
            sock = self.context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=True)
        except OSError:
            self.failed += 1
            plain.close()
            return
        data = b""
        try:
            while True:
                try:
                    request = strict_http.read_request(data)
                except strict_http.Incomplete:
                    piece = sock.recv(65536)
                    if not piece:
                        return
                    data += piece
                    continue
                data = data[request.end:]
                if request.target == b"/health":
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    continue
                self.requests.append(request)
                if self.script(sock, request) is False:
                    return
        except OSError:
            pass
        finally:
            sock.close()

    def close(self):
        end_listening(self.listener)
