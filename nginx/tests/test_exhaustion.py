"""What a client may take of NGINX: bounded bytes, bounded time, bounded connections; and others are served meanwhile."""

import contextlib
import http.client
import resource
import select
import socket
import threading
import time
import unittest

from door import DoorTest

# As in the configuration.
HEADER_LIMIT = 10
# More than the connections that one worker process has.
IDLE = 9000
# How long anybody else may wait while somebody holds much.
PATIENCE = 2


class Sizes(DoorTest):
    def test_long_targets_and_large_headers_are_refused(self):
        self.assertEqual(self.ask("GET", "/kv/" + "k" * 60_000)[0], 200)
        before = self.executed()
        for request, status in (
            (b"GET /" + b"k" * 70_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
            (b"GET /" + b"k" * 10_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"v" * 70_000 + b"\r\n\r\n", 431),
            (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X" * 70_000 + b": v\r\n\r\n", 431),
            (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: 1\r\n" % i for i in range(20_000)) + b"\r\n", 431),
            (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: %s\r\n" % (b"v" * 40_000) * 4 + b"\r\n", 431),
            (b"M" * 70_000 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        ):
            with self.subTest(request=request[:40]):
                statuses = self.exchange(request)
                # A connection that is closed while much is still on its way may lose the answer.
                self.assertIn(statuses, ([status], []))
        self.assertEqual(self.executed(), before)

    def test_bodies_over_the_limit_are_refused_before_they_are_sent(self):
        for method in ("PUT", "POST", "PATCH"):
            for path in ("/cache/a", "/kv/a", "/jobs"):
                for length in (33 << 20, 1 << 40, (1 << 63) - 1):
                    with self.subTest(method=method, path=path, length=length):
                        request = f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
                        self.assertEqual(self.exchange(request.encode(), patience=0.3), [413])
        self.assertEqual(self.executed(), 0)

    def test_bodies_without_an_end_are_refused_when_they_are_too_long(self):
        sent = 0
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"PUT /cache/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
            while not select.select([connection], [], [], 0)[0] and sent < 256 << 20:
                connection.sendall(chunk)
                sent += 0x10000
            self.assertIn(b" 413 ", connection.recv(4096))
        self.assertLess(sent, 64 << 20)
        self.assertEqual(self.executed(), 0)


class Slow(DoorTest):
    def drip(self, start: bytes, drop: bytes, pause: float, limit: float) -> float:
        """Sends a byte now and then, and says after how many seconds the other side had enough."""
        begun = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port), timeout=pause) as connection:
            connection.sendall(start)
            while time.monotonic() < begun + limit:
                try:
                    if connection.recv(1) == b"":
                        break
                except TimeoutError:
                    with contextlib.suppress(OSError):
                        connection.sendall(drop)
                except OSError:
                    break
        return time.monotonic() - begun

    def test_slow_requests_are_cut_off_and_hinder_nobody(self):
        took = {}
        attacks = {
            "nothing at all": (b"", b""),
            "a slow request line": (b"GET /kv/", b"k"),
            "slow headers": (b"GET /kv/a HTTP/1.1\r\nHost: a\r\n", b"X-A: b\r\n"),
            "a slow header": (b"GET /kv/a HTTP/1.1\r\nHost: a\r\nX-A: ", b"b"),
            "headers of a second request": (b"GET /kv/a HTTP/1.1\r\nHost: a\r\n\r\nGET /kv/b HTTP/1.1\r\nHost: a\r\n", b"X-A: b\r\n"),
        }

        def attack(name: str) -> None:
            took[name] = self.drip(*attacks[name], pause=0.2, limit=HEADER_LIMIT + 10)

        threads = [threading.Thread(target=attack, args=(name,)) for name in attacks]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            begun = time.monotonic()
            self.assertEqual(self.ask("PUT", "/kv/other", b"v")[0], 200)
            self.assertLess(time.monotonic() - begun, PATIENCE)
            time.sleep(0.1)
        # What was begun and not finished never reached a master.
        self.assertEqual({target for _, target in self.calls()} - {"/kv/other"}, {"/kv/a"})
        # A connection that was of use once has answered; only silence may last, up to the time kept for it.
        for name, seconds in took.items():
            self.assertLess(seconds, HEADER_LIMIT + 5, name)

    def test_slow_bodies_occupy_no_master(self):
        slow = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(50)]
        try:
            for connection in slow:
                connection.sendall(b"PUT /kv/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx")
            for i in range(20):
                self.assertEqual(self.ask("PUT", f"/kv/{i}", b"v")[0], 200)
            self.assertNotIn(("PUT", "/kv/slow"), self.calls())
        finally:
            for connection in slow:
                connection.close()


class Connections(DoorTest):
    def setUp(self) -> None:
        limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = IDLE + 500
        if limit < wanted:
            if most < wanted:
                self.skipTest(f"{wanted} open files are needed, and {most} allowed")
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (limit, most))
        super().setUp()

    def assert_served(self) -> None:
        for i in range(20):
            begun = time.monotonic()
            self.assertEqual(self.ask("PUT" if i % 2 else "GET", f"/kv/{i}", b"v" if i % 2 else None)[0], 200)
            self.assertLess(time.monotonic() - begun, PATIENCE)

    def test_thousands_of_silent_connections_make_room(self):
        with contextlib.ExitStack() as held:
            for _ in range(IDLE):
                held.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=30))
            self.assert_served()

    def test_thousands_of_kept_connections_make_room(self):
        request = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
        with contextlib.ExitStack() as held:
            for _ in range(IDLE):
                connection = held.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=30))
                connection.sendall(request)
                self.assertIn(b" 200 ", connection.recv(4096))
            self.assert_served()


class Share(DoorTest):
    SETTINGS = {"REQUESTS_PER_ADDRESS": "10"}

    def test_one_address_has_so_many_requests_under_way(self):
        head = "{} /{}/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx"
        slow = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(10)]
        try:
            for i, connection in enumerate(slow):
                connection.sendall(head.format("PUT" if i % 2 else "POST", ("kv", "cache", "datasets/d", "jobs")[i % 4]).encode())
            for method, path in (("GET", "/kv/a"), ("PUT", "/kv/a"), ("GET", "/cache/a"), ("PUT", "/cache/a"), ("PUT", "/datasets/d/f"), ("POST", "/jobs")):
                body = None if method == "GET" else b"v"
                self.until("more are refused", lambda: self.ask(method, path, body)[0] == 429)
                answer = self.ask(method, path, body)
                self.assert_problem(answer, 429, "rate_limited")
                self.assertEqual(answer[1]["retry-after"], "1")
        finally:
            for connection in slow:
                connection.close()
        # Their end makes room at once.
        self.until("requests are taken again", lambda: self.ask("PUT", "/kv/a", b"v")[0] == 200)

    def test_requests_one_after_the_other_have_no_bound(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        for _ in range(100):
            connection.request("GET", "/kv/a")
            response = connection.getresponse()
            self.assertEqual((response.status, len(response.read())), (200, 10))
        connection.close()


if __name__ == "__main__":
    unittest.main()
