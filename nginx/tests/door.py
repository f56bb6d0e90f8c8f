"""A real NGINX with the configuration that is shipped, before fake masters that misbehave on command."""

import http.client
import json
import os
import re
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
        # The same as they came, and the bodies.
        self.lines: list[list[str]] = []
        self.bodies: list[bytes] = []
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
                method, target, _ = line.decode("latin-1").split(" ", 2)
                headers, lines = {}, []
                while (header := stream.readline().decode("latin-1").strip()):
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                    lines.append(header)
                if self.mode != "503":
                    self.lines.append(lines)
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
        if self.mode == "still":
            self.finish_stream.wait(60)
            return False
        if target.endswith("/events"):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: first\n\n")
            self.finish_stream.wait(10)
            return False
        connection.sendall(reply(200, b"x" * 10))
        return True

    def _drain(self, stream, headers) -> None:
        """Reads the body, sized or chunked, and tells when its first bytes are here."""
        body = bytearray()
        left = int(headers.get("content-length", 0))
        while left > 0 and (part := stream.read(min(left, 65536))):
            left -= len(part)
            body += part
            self.body_started.set()
        if headers.get("transfer-encoding") == "chunked":
            while (size := int(stream.readline(), 16)) > 0:
                body += stream.read(size + 2)[:-2]
                self.body_started.set()
            stream.readline()
        self.bodies.append(bytes(body))


def reply(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


class DoorTest(unittest.TestCase):
    """Three masters and NGINX, anew for each test."""

    # Variables of nginx/render.
    SETTINGS: dict[str, str] = {}

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
        } | self.SETTINGS
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

    def exchange(self, request: bytes, patience: float = 5) -> list[int]:
        """Sends bytes, and gives the statuses of all that is answered until the connection is closed, by NGINX or by the end of patience."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as connection:
            received = bytearray()
            try:
                connection.sendall(request)
                while part := connection.recv(65536):
                    received += part
            except OSError:
                pass
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]

    def log(self) -> list[dict]:
        """What NGINX thinks it was asked."""
        return [json.loads(line) for line in self.scratch.joinpath("access.log").read_text().splitlines()]

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

    def calls(self) -> list[tuple[str, str]]:
        """Method and target of what masters executed."""
        return [call for master in self.masters for call in master.executed]

    def fields(self) -> list[list[tuple[str, str]]]:
        """Names (in lower case) and values of the header fields that came to the masters."""
        split = lambda line: (line.partition(":")[0].lower(), line.partition(":")[2].strip())
        return [[split(line) for line in lines] for master in self.masters for lines in master.lines]

    def until(self, what: str, condition, limit: float = 5) -> None:
        deadline = time.monotonic() + limit
        while not condition():
            self.assertLess(time.monotonic(), deadline, f"after {limit} s still not so: {what}")
            time.sleep(0.02)
