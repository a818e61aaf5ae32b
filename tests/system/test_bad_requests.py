#!/usr/bin/env python3
"""Bad requests: a table of more than 60 with the exact status and message of each, and the registry unharmed."""

import re
import socket
import time

from support import http_wire
from support.bad_requests import TABLE
from support.case import SystemTest, main
from support.waiting import patience


class BadRequests(SystemTest):
    def setUp(self):
        super().setUp()
        self.registry = self.start_registry()
        self.registry.register("present")

    def impatient(self):
        """In place of the usual one, which has ten seconds for a head: on a busy machine they may be needed."""
        self.registry = self.start_registry("--header-timeout", "500ms", "--body-timeout", "500ms", name="impatient")
        self.registry.register("present")

    def assert_unharmed(self):
        self.assertTrue(self.registry.alive)
        health = self.registry.get("/health")
        self.assertEqual((health["status"], health["registered_services"]), ("healthy", 1))
        self.assertNotIn("unexpected", self.registry.log_text())

    def test_every_bad_request_has_its_exact_status_and_message(self):
        self.assertGreaterEqual(len({title for title, *_ in TABLE}), 60)
        for title, data, status, message in TABLE:
            with self.subTest(title):
                answer = http_wire.raw_exchange(self.registry.port, data)
                self.assertIsNotNone(answer, "closed without an answer")
                got = answer.json()["error"]
                self.assertEqual((answer.status, got), (status, message))
                self.assertEqual(answer.header("Content-Type"), "application/json")
                if status == 405:
                    self.assertTrue(answer.header("Allow"))
        self.assert_unharmed()

    def test_the_answer_is_the_same_when_the_request_comes_byte_by_byte(self):
        for title, data, status, message in TABLE:
            if len(data) > 300:
                continue
            with self.subTest(title):
                with self.registry.connection(10) as connection:
                    try:
                        for index in range(len(data)):
                            connection.send(data[index:index + 1])
                    except ConnectionError:
                        pass  # refused before the end
                    answer = connection.read_response()
                self.assertEqual((answer.status, answer.json()["error"]), (status, message))
        self.assert_unharmed()

    def test_a_malformed_request_ends_its_connection_so_that_nothing_is_smuggled(self):
        """What follows a request whose framing is in doubt must never be read as a request."""
        smuggled = b"GET /stats HTTP/1.1\r\nHost: r\r\n\r\n"
        for title, data, status, _ in TABLE:
            if status not in (400, 413, 414, 431, 505) or b"\r\n\r\n" not in data or b"HTTP" not in data:
                continue
            head = data.split(b"\r\n\r\n", 1)[0].lower()
            in_doubt = b"length" in head and data[:3] == b"GET" or b"encoding" in head or status in (413, 431, 505)
            if not in_doubt:
                continue
            with self.subTest(title):
                with self.registry.connection(5) as connection:
                    try:
                        connection.send(data + smuggled)
                    except ConnectionError:
                        pass
                    answers = connection.read_to_end()
                self.assertLessEqual(len(re.findall(rb"HTTP/1\.1 \d{3} ", answers)), 1, answers)
                self.assertNotIn(b"total_services", answers)
        self.assert_unharmed()

    def test_a_slow_head_is_cut_with_408(self):
        self.impatient()
        with self.registry.connection() as connection:
            connection.send(b"GET /health HTTP/1.1\r\nHo")
            begun = time.monotonic()
            answer = connection.read_response()
            self.assertEqual((answer.status, answer.json()["error"]), (408, "The request head did not arrive in time"))
            self.assertLess(time.monotonic() - begun, patience(5))
            self.assertTrue(connection.is_closed_by_peer())
        self.assert_unharmed()

    def test_a_head_that_drips_in_is_cut_all_the_same(self):
        """The limit is for the whole head, not for the pause between two bytes."""
        self.impatient()
        with self.registry.connection() as connection:
            begun = time.monotonic()
            try:
                while time.monotonic() - begun < patience(6):
                    connection.send(b"G" if time.monotonic() == begun else b"X")
                    time.sleep(0.05)  # the drip
            except ConnectionError:
                pass
            self.assertLess(time.monotonic() - begun, patience(5))
        self.assert_unharmed()

    def test_a_slow_body_is_cut_with_408(self):
        self.impatient()
        with self.registry.connection() as connection:
            connection.send(b"POST /services HTTP/1.1\r\nHost: r\r\nContent-Length: 50\r\n\r\n{")
            answer = connection.read_response()
            self.assertEqual((answer.status, answer.json()["error"]), (408, "The request body did not arrive in time"))
            self.assertTrue(connection.is_closed_by_peer())
        self.assert_unharmed()

    def test_an_idle_connection_is_closed(self):
        registry = self.start_registry("--idle-timeout", "1s", name="idle")
        with registry.connection() as connection:
            self.assertEqual(connection.request("GET", "/health").status, 200)
            self.assertTrue(connection.is_closed_by_peer())

    def test_a_request_byte_by_byte_is_as_good_as_any(self):
        data = http_wire.request_bytes("PUT", "/services/present", json={"weight": 3})
        with self.registry.connection() as connection:
            for index in range(len(data)):
                connection.send(data[index:index + 1])
            self.assertEqual(connection.read_response().json()["service"]["weight"], 3)

    def test_valid_but_unusual_requests_are_answered(self):
        """What must be accepted: the counterpart of the table."""
        good = {
            "an absolute target": b"GET http://registry:8081/health HTTP/1.1\r\nHost: registry:8081\r\n\r\n",
            "an absolute target with a query": b"GET http://registry:8081/health?x HTTP/1.1\r\nHost: r\r\n\r\n",
            "a small body where none is needed": b"GET /health HTTP/1.1\r\nHost: r\r\nContent-Length: 2\r\n\r\n{}",
            "lower-case field names": b"GET /health HTTP/1.1\r\nhost: registry\r\n\r\n",
            "no blank after the colon": b"GET /health HTTP/1.1\r\nHost:registry\r\n\r\n",
            "blanks around a value": b"GET /health HTTP/1.1\r\nHost: \t registry \t\r\n\r\n",
            "an IPv6 Host": b"GET /health HTTP/1.1\r\nHost: [::1]:8081\r\n\r\n",
            "an empty value": b"GET /health HTTP/1.1\r\nHost: r\r\nX-Empty:\r\n\r\n",
            "bytes beyond ASCII in a value": b"GET /health HTTP/1.1\r\nHost: r\r\nX-A: \xc3\xa4\r\n\r\n",
            "99 more fields": b"GET /health HTTP/1.1\r\nHost: r\r\n%s\r\n" % b"".join(b"X-%d: 1\r\n" % n
                                                                                      for n in range(99)),
            "a long query": b"GET /health?" + b"q" * 8000 + b" HTTP/1.1\r\nHost: r\r\n\r\n",
            "Content-Length 0": b"GET /health HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\n\r\n",
            "leading zeros": b"PUT /services/present HTTP/1.1\r\nHost: r\r\nContent-Length: 0002\r\n\r\n{}",
            "chunks": b"PUT /services/present HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: Chunked\r\n\r\n"
                      b"1;ext=\"v\"\r\n{\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n",
            "Expect: 100-continue": b"PUT /services/present HTTP/1.1\r\nHost: r\r\nExpect: 100-continue\r\n"
                                    b"Content-Length: 2\r\n\r\n{}",
            "an empty line before the request": b"\r\nGET /health HTTP/1.1\r\nHost: r\r\n\r\n",
        }
        for title, data in good.items():
            with self.subTest(title):
                answer = http_wire.raw_exchange(self.registry.port, data)
                self.assertIsNotNone(answer)
                self.assertEqual(answer.status, 200, answer)

    def test_expect_100_continue_gets_its_100_before_the_body(self):
        with socket.create_connection(("127.0.0.1", self.registry.port), timeout=10) as client:
            client.sendall(b"PUT /services/present HTTP/1.1\r\nHost: r\r\nExpect: 100-continue\r\n"
                           b"Content-Length: 2\r\n\r\n")
            self.assertEqual(client.recv(1000), b"HTTP/1.1 100 Continue\r\n\r\n")
            client.sendall(b"{}")
            self.assertTrue(client.recv(1000).startswith(b"HTTP/1.1 200 OK"))


if __name__ == "__main__":
    main()
