#!/usr/bin/env python3
"""P8: a stream that the instance cuts is never shown as whole: 12 of 12, with an error event in OpenAI's shape."""

import re

from support import http_wire, strict_http
from support.case import main
from support.raw_upstream import chunk, event, stream_head
from support.router_streams import END, Client, StreamTest, request
from support.sim_process import CHAT, chat


class CutStreams(StreamTest):
    def test_p8_a_cut_stream_is_visible_12_of_12(self):
        self.start()
        cuts = (b"", event("two"), event("two") + b"5\r\nda", b"20\r\ndata: half of an ev", chunk(b"data: half"),
                chunk(b"data: two\n"))
        seen = 0
        for cut in cuts:
            for end in ("close", "reset"):
                with self.subTest(cut=cut, end=end):
                    client, connection = self.stream()
                    connection.send(cut)
                    if b"half" in cut or b"two" in cut:
                        client.wait_for(b"half" if b"half" in cut else b"two")
                    getattr(connection, end)()
                    self.assert_cut_stream(*client.rest())
                    seen += 1
        self.assertEqual(seen, 12)

    def test_p8_a_cut_stream_is_visible_to_http_1_0_clients(self):
        """The end of the connection would be the end of the answer: it is reset, behind the error event."""
        self.start()
        for end in ("close", "reset"):
            client, connection = self.stream(version="1.0")
            getattr(connection, end)()
            data, how = client.rest()
            self.assertEqual(how, "reset")
            head, _, payload = data.partition(b"\r\n\r\n")
            self.assertNotIn(b"transfer-encoding", head.lower())
            self.assertTrue(payload.startswith(b"data: one\n\n"), payload)
            self.assert_error_event(payload, "upstream_cut")

    def test_p8_a_whole_stream_for_an_http_1_0_client_ends_in_order(self):
        self.start()
        client, connection = self.stream(version="1.0")
        connection.send(event("two") + event("[DONE]") + END)
        data, how = client.rest()
        self.assertEqual((how, data.partition(b"\r\n\r\n")[2]), ("closed",
                                                                 b"data: one\n\ndata: two\n\ndata: [DONE]\n\n"))
        self.assertIsNone(re.search(rb"(?i)\r\n(transfer-encoding|content-length):", data))

    def test_p8_a_stream_that_only_its_connection_ends_must_say_that_it_is_whole(self):
        """Without a length or chunks a dead instance ends it in the same way: [DONE] makes the difference."""
        self.start()
        completion, other = "/v1/chat/completions", "/v1/responses"
        for target, rest, whole in ((completion, b"data: [DONE]\n\n", True), (completion, b"", False),
                                    (completion, b"data: ha", False), (other, b"data: two\n\n", True),
                                    (other, b"data: ha", False)):
            with self.subTest(target=target, rest=rest):
                count = len(self.upstream.connections)
                client = Client(self, self.router, request(target))
                connection = self.upstream.wait_connection(count)
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n" + rest)
                client.wait_for(b"data: one\n\n" + rest)
                connection.close()
                data, how = client.rest()
                payload = data.partition(b"\r\n\r\n")[2]
                if whole:
                    self.assertEqual((payload, how), (b"data: one\n\n" + rest, "closed"))
                else:
                    self.assertEqual(how, "reset")
                    self.assert_error_event(payload, "upstream_cut")

    def test_p8_nothing_is_put_into_a_compressed_stream(self):
        self.start()
        client = Client(self, self.router)
        connection = self.upstream.wait_connection()
        connection.send(stream_head(b"Content-Encoding: gzip") + chunk(b"\x1f\x8b\x08\x00"))
        client.wait_for(b"\x1f\x8b\x08\x00")
        connection.close()
        data, _ = client.rest()
        self.assertRaises(strict_http.Incomplete, strict_http.read_answer, data, ended=True)
        self.assertNotIn(b"error", data)

    def test_p8_a_cut_answer_that_is_no_event_stream_just_ends_early(self):
        self.start()
        for head in (b"Content-Length: 100\r\n\r\n[1, 2", b"Transfer-Encoding: chunked\r\n\r\n6\r\n[1, 2,\r\n"):
            for end in ("close", "reset"):
                count = len(self.upstream.connections)
                client = Client(self, self.router)
                connection = self.upstream.wait_connection(count)
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + head)
                client.wait_for(b"[1, 2")
                getattr(connection, end)()
                data, _ = client.rest()
                self.assertRaises(strict_http.Incomplete, strict_http.read_answer, data, ended=True)
                self.assertNotIn(b"error", data)

    def test_p8_engines_that_are_killed_in_the_middle_of_12_streams(self):
        sim = self.start_sim("--decode-us", "10000", "--max-batch", "16", "--tokens", "100000", "--num-blocks", "0")
        self.router = self.start_router([sim], args=["--learn-models=false"])
        body = http_wire.request_bytes("POST", CHAT, json=chat(stream=True))
        clients = [Client(self, self.router, body) for _ in range(12)]
        for client in clients:
            client.wait_for(b"data: ")
        sim.kill()
        for client in clients:
            self.assert_cut_stream(*client.rest())


if __name__ == "__main__":
    main()
