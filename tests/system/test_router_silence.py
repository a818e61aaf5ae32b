#!/usr/bin/env python3
"""Silence, and what is not: hung instances whose requests find a place later, tunnels, clients that do not read."""

import json
import socket
import threading
import time

from support import http_wire
from support.case import main
from support.raw_upstream import answer_bytes, chunk, end_listening, event, raw_upstream, stream_head
from support.router_process import RouterTest
from support.waiting import let_time_pass, wait_until
from test_router_upgrades import ASK, KEY, accepted

QUICK = {"hung_silence": "100ms", "hung_timeout": "300ms", "learn_models": False, "proxy_timeout": "60s"}


def record(name, server):
    return {"name": name, "host": "127.0.0.1", "port": server.port, "models": ["m"]}


class Server:
    """Takes connections; `serve(sock, head)` has each, with the head of its first request."""

    def __init__(self, case, serve):
        self.serve = serve
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        case.addCleanup(self.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        end_listening(self.listener)
        for sock in self.sockets:
            sock.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(sock)
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                data = sock.recv(65536)
                if not data:
                    return
                head += data
            self.serve(sock, head)
        except OSError:
            return


class Frozen(Server):
    """Answers its health page until it gets a request; then nothing any more, as a process that is stopped."""

    def __init__(self, case):
        self.has_request = threading.Event()
        super().__init__(case, self._until_it_has_work)

    def _until_it_has_work(self, sock, head):
        if head.startswith(b"POST"):
            self.has_request.set()
        elif not self.has_request.is_set():
            sock.sendall(answer_bytes())
            sock.close()


class Hung(RouterTest):
    def ask(self, router):
        return self.in_background(lambda: router.call("POST", "/v1/x", json={"model": "m"}, timeout=90))

    def test_a_request_moves_to_an_instance_that_comes_after_the_verdict(self):
        frozen, other = Frozen(self), raw_upstream(self)
        router = self.start_router([record("a", frozen)], config=QUICK)
        router.wait_state("a", "up")
        answer = self.ask(router)
        router.wait_state("a", "hung")
        router.set_static(record("a", frozen), record("b", other))
        router.reload()
        self.assertEqual(answer().status, 200)

    def test_a_request_moves_when_the_others_have_room_again(self):
        frozen = Frozen(self)
        go = threading.Event()
        self.addCleanup(go.set)
        other = raw_upstream(self, lambda connection, _: go.wait(60) and connection.send(answer_bytes()))
        router = self.start_router([record("a", frozen), record("b", other)], config={**QUICK, "max_concurrency": 1})
        router.wait_state("a", "up")
        answers = [self.ask(router), self.ask(router)]
        router.wait_state("a", "hung")
        let_time_pass(0.3)  # what could be moved at once has been
        self.assertEqual(router.service("a")["in_flight"], 1)
        go.set()
        self.assertEqual([answer().status for answer in answers], [200, 200])

    def test_an_instance_that_is_removed_with_requests_is_found_to_hang_all_the_same(self):
        frozen, other = Frozen(self), raw_upstream(self)
        router = self.start_router([record("a", frozen)], config=QUICK)
        router.wait_state("a", "up")
        answer = self.ask(router)
        self.assertTrue(frozen.has_request.wait(30))
        router.set_static(record("b", other))
        router.reload()
        self.assertEqual(answer().status, 200)
        router.wait_idle()


class NotHung(RouterTest):
    def test_a_tunnel_that_carries_bytes_is_a_sign_of_life(self):
        busy = threading.Event()
        stop = threading.Event()
        self.addCleanup(stop.set)

        def serve(sock, head):
            if b"pgrade: websocket" not in head:
                if busy.is_set():
                    stop.wait(1)  # a health page that takes longer than hung_timeout, as one of a busy process
                sock.sendall(answer_bytes())
                sock.close()
                return
            sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                         b"Sec-WebSocket-Accept: " + accepted(KEY) + b"\r\n\r\n")
            while not stop.wait(0.02):
                sock.sendall(b"\x81\x05hello")
        router = self.start_router([record("a", Server(self, serve))], config={**QUICK, "hung_silence": "500ms"})
        router.wait_state("a", "up")
        busy.set()
        connection = router.connection()
        self.addCleanup(connection.close)
        connection.send(ASK % KEY)

        def reads_and_is_up():
            self.assertTrue(connection.reader.read1(65536))
            self.assertEqual(router.state("a"), "up")
        let_time_pass(4, reads_and_is_up)

    def test_a_client_that_does_not_read_is_no_fault_of_the_instance(self):
        """prefix_aware: streams that this router does not read, since their clients take nothing, tell nothing."""
        def stream(connection, request):
            count = json.loads(request.body)["max_tokens"]
            connection.send(stream_head())
            for _ in range(count):
                if not connection.send(event("x" * 200)):
                    return False
                if count < 100:
                    time.sleep(0.01)  # a rate to be learned
            return connection.send(event("[DONE]") + chunk(b"")) or False

        upstream = raw_upstream(self, stream)
        router = self.start_router([record("a", upstream)], config={
            "load_balancing_method": "prefix_aware", "health_interval": "24h", "learn_models": False, "hung_timeout": 0})
        router.wait_state("a", "up")

        def body(tokens):
            return {"model": "m", "stream": True, "max_tokens": tokens, "messages": [{"role": "user", "content": "hi"}]}
        for _ in range(4):
            self.assertEqual(router.call("POST", "/v1/chat/completions", json=body(20)).status, 200)
        slow = socket.socket()
        self.addCleanup(slow.close)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", router.port))
        slow.sendall(http_wire.request_bytes("POST", "/v1/chat/completions", json=body(200_000)))
        wait_until(lambda: router.service("a")["in_flight"] == 1, 10, "the stream")
        let_time_pass(13, lambda: self.assertEqual(router.state("a"), "up"),
                      interval=0.3)  # an instance that is silent for 10 s would be out


class Early(RouterTest):
    def test_an_answer_that_comes_with_the_connection_is_read(self):
        """An instance at its limit says so before it has read anything: with what tells of the connection, and nothing after."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.addCleanup(end_listening, listener)

        def linger(sock):
            try:
                while sock.recv(65536):
                    pass
            except OSError:
                pass
            sock.close()

        def refuse_all():
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                try:
                    sock.sendall(answer_bytes(b"busy", b"429 Too Many Requests", b"Connection: close"))
                    sock.shutdown(socket.SHUT_WR)
                except OSError:
                    sock.close()
                    continue
                threading.Thread(target=linger, args=(sock,), daemon=True).start()
        threading.Thread(target=refuse_all, daemon=True).start()
        target = {"name": "a", "host": "127.0.0.1", "port": listener.getsockname()[1]}
        router = self.start_router([target], args=["--proxy-timeout=60s", "--health-interval=0", "--hung-timeout=0"],
                                   config={"learn_models": False})

        def many():
            return [router.call("POST", "/v1/x", json={"a": 1}, timeout=30).status for _ in range(40)]
        for answers in [self.in_background(many) for _ in range(8)]:
            self.assertEqual(answers(), [429] * 40)


if __name__ == "__main__":
    main()
