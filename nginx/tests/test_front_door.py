"""What NGINX promises in front of the masters, proved with a real NGINX and fake masters that misbehave on command."""

import http.client
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

RENDER = Path(__file__).parent.parent / "render"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Master:
    """A listener that answers as `mode` says and remembers what it executed."""

    def __init__(self) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.mode = "ok"
        self.executed: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.body_started = threading.Event()
        self.finish_stream = threading.Event()
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None

    def start(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """From now on connections are refused, as by a process that was killed."""
        if self._listener is None:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._listener = None
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        try:
            while line := stream.readline():
                method, target, _ = line.decode().split(" ", 2)
                headers = {}
                while (header := stream.readline().decode().strip()):
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                if not self._answer(connection, stream, method, target, headers):
                    return
        except OSError:
            return
        finally:
            connection.close()

    def _answer(self, connection, stream, method, target, headers) -> bool:
        if self.mode == "503":
            self._drain(stream, headers)
            connection.sendall(reply(503, b'{"code":"unavailable","detail":"said by the master"}'))
            return True
        self.headers.append(headers)
        self.executed.append((method, target))
        if self.mode == "break":
            self._drain(stream, headers)
            connection.shutdown(socket.SHUT_RDWR)
            return False
        self._drain(stream, headers)
        if target.endswith("/events"):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: first\n\n")
            self.finish_stream.wait(10)
            return False
        connection.sendall(reply(200, b"x" * 10))
        return True

    def _drain(self, stream, headers) -> None:
        """Reads the body, sized or chunked, and tells when its first bytes are here."""
        left = int(headers.get("content-length", 0))
        while left > 0:
            left -= len(stream.read(min(left, 65536)))
            self.body_started.set()
        if headers.get("transfer-encoding") == "chunked":
            while (size := int(stream.readline(), 16)) > 0:
                stream.read(size + 2)
                self.body_started.set()
            stream.readline()


def reply(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


class FrontDoor(unittest.TestCase):
    def setUp(self) -> None:
        self.masters = [Master() for _ in range(3)]
        for master in self.masters:
            master.start()
        self.port = free_port()
        scratch = tempfile.TemporaryDirectory(prefix="elasticore-nginx-")
        self.addCleanup(scratch.cleanup)
        os.chmod(scratch.name, 0o755)
        environment = os.environ | {
            "MASTERS": " ".join(master.address for master in self.masters),
            "LISTEN": f"127.0.0.1:{self.port}",
            "STATUS_LISTEN": f"127.0.0.1:{free_port()}",
            "RUNTIME_DIR": scratch.name,
            "WORKERS": "1",
            "ACCESS_LOG": f"{scratch.name}/access.log",
            "ERROR_LOG": f"{scratch.name}/error.log",
        }
        config = Path(scratch.name, "nginx.conf")
        config.write_bytes(subprocess.check_output(["sh", RENDER], env=environment))
        self.scratch = Path(scratch.name)
        nginx = subprocess.Popen(["nginx", "-c", config, "-e", f"{scratch.name}/error.log"])
        self.addCleanup(nginx.wait)
        self.addCleanup(nginx.terminate)
        for master in self.masters:
            self.addCleanup(master.stop)
        self._wait_for_listener(nginx)

    def _wait_for_listener(self, nginx: subprocess.Popen) -> None:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                if nginx.poll() is not None or time.monotonic() > deadline:
                    self.fail("NGINX did not start")
                time.sleep(0.02)

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def raw(self, request: bytes) -> tuple[int, bytes]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.status, response.read()

    def assert_problem(self, answer, status: int, code: str) -> dict:
        self.assertEqual(answer[0], status, answer)
        self.assertEqual(answer[1]["content-type"], "application/problem+json")
        problem = json.loads(answer[2])
        self.assertEqual(set(problem), {"type", "title", "status", "detail", "code", "request_id"})
        self.assertEqual((problem["status"], problem["code"], problem["type"]), (status, code, f"/problems/{code}"))
        self.assertEqual(problem["request_id"], answer[1]["x-request-id"])
        return problem

    def executed(self) -> int:
        return sum(len(master.executed) for master in self.masters)

    def test_reads_survive_a_dead_master(self):
        self.masters[0].stop()
        for i in range(40):
            self.assertEqual(self.ask("GET", f"/cache/{i}")[0], 200)

    def test_reads_survive_a_master_that_breaks_connections(self):
        self.masters[0].mode = "break"
        for i in range(40):
            self.assertEqual(self.ask("GET", f"/cache/{i}")[0], 200)

    def test_writes_refused_by_a_dead_master_are_executed_once_by_another(self):
        self.masters[0].stop()
        self.masters[1].stop()
        for i in range(40):
            method = ("PUT", "POST", "DELETE")[i % 3]
            self.assertEqual(self.ask(method, f"/cache/{i}", b"value")[0], 200)
        self.assertEqual(len(self.masters[2].executed), 40)

    def test_writes_refused_with_503_are_executed_once_by_another(self):
        self.masters[0].mode = "503"
        for i in range(40):
            method = ("PUT", "POST", "DELETE")[i % 3]
            self.assertEqual(self.ask(method, f"/cache/{i}", b"value")[0], 200)
        self.assertEqual(self.executed(), 40)

    def test_write_with_unknown_outcome_is_never_replayed(self):
        for master in self.masters:
            master.mode = "break"
        for i, method in enumerate(("PUT", "POST", "DELETE", "PATCH")):
            answer = self.ask(method, f"/kv/{i}", b"value")
            self.assert_problem(answer, 504, "timeout")
            self.assertEqual(self.executed(), i + 1)

    def test_write_after_a_503_with_unknown_outcome_is_never_replayed(self):
        self.masters[0].mode = "503"
        self.masters[1].mode = "break"
        self.masters[2].mode = "break"
        for i in range(12):
            before = self.executed()
            answer = self.ask("PUT", f"/kv/{i}", b"value")
            self.assertIn(answer[0], (503, 504))
            self.assertLessEqual(self.executed(), before + 1)
            if self.executed() > before:
                self.assert_problem(answer, 504, "timeout")

    def test_no_master_at_all_says_not_executed(self):
        for master in self.masters:
            master.stop()
        for method in ("GET", "PUT", "POST", "DELETE"):
            answer = self.ask(method, "/kv/a", b"value" if method in ("PUT", "POST") else None)
            self.assert_problem(answer, 503, "unavailable")
            self.assertEqual(answer[1]["retry-after"], "1")
        self.assert_problem(self.ask("PUT", "/datasets/a/b", b"value"), 503, "unavailable")

    def test_masters_come_back_within_seconds(self):
        for master in self.masters:
            master.stop()
        self.assertEqual(self.ask("GET", "/kv/a")[0], 503)
        self.masters[0].start()
        deadline = time.monotonic() + 5
        while self.ask("PUT", "/kv/a", b"v")[0] != 200:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def test_when_all_masters_say_503_their_own_words_arrive_and_nothing_else_suffers(self):
        for master in self.masters:
            master.mode = "503"
        for method in ("GET", "POST", "POST", "GET"):
            status, _, body = self.ask(method, "/jobs", b"{}" if method == "POST" else None)
            self.assertEqual((status, json.loads(body)["detail"]), (503, "said by the master"))
        for master in self.masters:
            master.mode = "ok"
        self.assertEqual(self.ask("GET", "/cache/a")[0], 200)
        self.assertEqual(self.ask("PUT", "/cache/a", b"v")[0], 200)

    def test_internal_is_never_proxied(self):
        for path in ("/internal", "/internal/v1/cache", "//internal/v1", "/%69nternal/v1", "/x/../internal/v1", "/./internal/"):
            for method in ("GET", "POST"):
                self.assert_problem(self.ask(method, path), 404, "not_found")
        self.assertEqual(self.executed(), 0)

    def test_request_id_goes_through_and_hostile_ones_are_replaced(self):
        self.ask("GET", "/cache/a", headers={"X-Request-Id": "abc-123"})
        self.ask("PUT", "/cache/a", b"", headers={"X-Request-Id": "abc-124"})
        self.ask("GET", "/cache/a", headers={"X-Request-Id": 'a"b'})
        self.ask("GET", "/cache/a")
        seen = [h["x-request-id"] for master in self.masters for h in master.headers]
        self.assertEqual(len(seen), 4)
        self.assertIn("abc-123", seen)
        self.assertIn("abc-124", seen)
        for request_id in set(seen) - {"abc-123", "abc-124"}:
            self.assertRegex(request_id, "^[0-9a-f]{32}$")
        answer = self.ask("GET", "/internal/", headers={"X-Request-Id": "abc-125"})
        self.assertEqual(self.assert_problem(answer, 404, "not_found")["request_id"], "abc-125")

    def test_path_and_query_arrive_as_they_were_sent(self):
        targets = ("/cache/a%2Fb%20c?ttl=5m&x=%C3%A9", "/cache//double", "/cache/?key=user:1&value=a%26b", "/kv/%E2%82%AC")
        for target in targets:
            for method in ("GET", "PUT", "DELETE"):
                self.ask(method, target)
        seen = {call for master in self.masters for call in master.executed}
        self.assertEqual(seen, {(method, target) for method in ("GET", "PUT", "DELETE") for target in targets})

    def test_own_errors_are_problems(self):
        self.assert_problem(self.ask("PUT", "/cache/a", b"x" * (33 << 20)), 413, "too_large")
        self.assert_problem(self.ask("GET", "/" + "x" * 70000), 414, "too_large")
        self.assert_problem(self.ask("GET", "/", headers={"X-Big": "x" * 70000}), 431, "too_large")
        self.assert_problem(self.ask("GET", "/%zz"), 400, "invalid_argument")
        self.assert_problem(self.ask("GET", "/../../etc/passwd"), 400, "invalid_argument")
        self.assert_problem(self.ask("TRACE", "/"), 405, "invalid_argument")
        for request in (b"GET / HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n", b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"):
            status, body = self.raw(request)
            self.assertEqual((status, json.loads(body)["code"]), (400, "invalid_argument"), request)
        self.assertEqual(self.executed(), 0)

    def test_a_chunked_body_over_the_limit_is_a_problem(self):
        def chunks():
            for _ in range(33):
                yield b"x" * (1 << 20)
        answer = self.ask("PUT", "/cache/a", chunks())
        self.assert_problem(answer, 413, "too_large")

    def test_values_of_8_mib_fit(self):
        self.assertEqual(self.ask("PUT", "/cache/a", b"x" * (8 << 20))[0], 200)

    def test_events_arrive_one_by_one(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/jobs/abc/events")
        response = connection.getresponse()
        self.assertEqual(response.readline(), b"data: first\n")
        for master in self.masters:
            master.finish_stream.set()
        connection.close()

    def test_uploads_stream_and_have_no_size_limit(self):
        def chunks():
            for i in range(40):
                if i == 10:
                    started = any(master.body_started.wait(5 / 3) for master in self.masters)
                    self.assertTrue(started, "the body reached no master before it was complete")
                yield b"x" * (1 << 20)
        self.assertEqual(self.ask("PUT", "/datasets/d/f", chunks())[0], 200)

    def test_broken_upload_is_never_replayed(self):
        for master in self.masters:
            master.mode = "break"
        self.assert_problem(self.ask("PUT", "/datasets/d/f", b"x" * 1000), 504, "timeout")
        self.assertEqual(self.executed(), 1)

    def test_connections_to_masters_are_kept(self):
        for i in range(200):
            self.ask("GET" if i % 2 else "PUT", f"/cache/{i}")
        self.assertEqual(self.executed(), 200)
        self.assertLessEqual(sum(master.connections for master in self.masters), 6)

    def test_access_log_is_json_and_leaves_probes_out(self):
        self.ask("GET", "/health")
        self.ask("GET", '/cache/a"b', headers={"X-Request-Id": "logged"})
        deadline = time.monotonic() + 5
        while not (lines := self.scratch.joinpath("access.log").read_text().splitlines()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        self.assertEqual(len(lines), 1)
        entry = json.loads(lines[0])
        self.assertEqual((entry["request_id"], entry["path"], entry["status"]), ("logged", '/cache/a"b', 200))


if __name__ == "__main__":
    unittest.main()
