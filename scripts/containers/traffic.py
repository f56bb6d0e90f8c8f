"""Clients that never rest, and remember what they were told.

Each key has one writer, so that what a read may answer is known: the value of the last write that was acknowledged, or of one since then whose
outcome nobody told (504, a broken connection). Of /kv such a write may also be executed later than a newer one: what is on its way to etcd when a master
is cut off has no stamp by which it could be known for old (docs/api-kv.md). Anything else is *wrong*, at any time, under any fault.

They do what docs/troubleshooting.md tells clients to do: 429 and 503 were not executed, and are sent again; so are reads, puts, and jobs with an idempotency key
that were answered with 504. That is counted in *resent*. What is not answered as it should be all the same is *failed*.
"""

import http.client
import json
import random
import threading
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

from . import queries
from .engine import FRONT

KEYS = 40
PAUSE = 0.01
# How often, and after how long, a request is sent again.
ATTEMPTS = 5
AGAIN = 0.5


@dataclass
class Known:
    """What one key may hold."""

    acknowledged: bytes | None = None
    possible: set[bytes] = field(default_factory=set)
    late: bool = False

    def acknowledge(self, value: bytes) -> None:
        self.acknowledged = value
        if not self.late:
            self.possible = set()

    def allows(self, status: int, value: bytes) -> bool:
        if status == 404:
            return self.acknowledged is None
        return value == self.acknowledged or value in self.possible


@dataclass
class Failure:
    """A request that was not answered as it should be."""

    when: float
    kind: str
    request: str
    what: str

    def __str__(self) -> str:
        return f"{self.when:.1f} s {self.request}: {self.what}"


class Traffic:
    """Clients of the cache, of /kv and of jobs, in threads."""

    def __init__(self, cache: int = 3, kv: int = 2, jobs: int = 0):
        self.known: dict[str, Known] = {}
        self.wrong: list[str] = []
        self.failed: list[Failure] = []
        self.resent: list[Failure] = []
        self.done: Counter = Counter()
        # Requests that met the end of an idle connection and were sent once more, as every HTTP client does.
        self.repeated = 0
        self.gaps: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._begun = time.monotonic()
        self._rows = queries.join_rows()
        works = [(self._values, "/cache", n) for n in range(cache)] + [(self._values, "/kv", n) for n in range(kv)] + [(self._jobs, "/jobs", n) for n in range(jobs)]
        self._threads = [threading.Thread(target=self._work, args=work, daemon=True) for work in works]

    @contextmanager
    def running(self):
        """Traffic in the background; its account is printed at the end."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            ended = time.monotonic()
            for thread in self._threads:
                thread.join()
            # What was never answered again has paused until now.
            for kind, last in self._last.items():
                self.gaps[kind] = max(self.gaps[kind], ended - last)
            print(self, flush=True)

    def count(self) -> int:
        with self._lock:
            return sum(self.done.values())

    def longest(self, *kinds: str) -> float:
        """The longest time without a success of one of these kinds, in seconds."""
        with self._lock:
            return max(self.gaps[kind] for kind in kinds)

    def verify(self) -> list[str]:
        """Reads every key once more; says which ones do not hold what they must."""
        connection = Connection()
        bad = []
        for path, known in sorted(self.known.items()):
            status, value = connection.patiently("GET", path)
            if status not in (200, 404) or not known.allows(status, value):
                bad.append(f"{path}: {status} {value[:80]!r}, expected {known}")
        return bad

    def __str__(self) -> str:
        failed, resent = (Counter(f"{f.kind} {f.what.split()[0]}" for f in told) for told in (self.failed, self.resent))
        gaps = ", ".join(f"{kind} {gap:.1f} s" for kind, gap in sorted(self.gaps.items()))
        return f"traffic: {dict(self.done)}, failed {dict(failed)}, resent {dict(resent)}, repeated {self.repeated}, longest without: {gaps}"

    def _work(self, work, path: str, n: int) -> None:
        connection = Connection()
        turn = 0
        try:
            while not self._stop.is_set():
                turn += 1
                work(connection, path, n, turn)
                self._stop.wait(PAUSE)
        except Exception:
            # A client that is gone has no more complaints.
            self.wrong.append(traceback.format_exc())
        self.repeated += connection.repeated

    def _values(self, connection: "Connection", root: str, n: int, turn: int) -> None:
        path = f"{root}/traffic-{id(self) % 10000}-{n}-{turn % KEYS}"
        known = self.known.setdefault(path, Known(late=root == "/kv"))
        value = f"{turn} {random.random()}".encode()
        status, text = self._ask(connection, f"{root} write", "PUT", path, value, {200, 201})
        if status in (200, 201):
            known.acknowledge(value)
        elif status not in (429, 503, REFUSED):
            known.possible.add(value)
        again = f"{root}/traffic-{id(self) % 10000}-{n}-{random.randrange(KEYS)}"
        for read in (path, again):
            known = self.known.get(read)
            if known is None:
                continue
            status, text = self._ask(connection, f"{root} read", "GET", read, None, {200} if known.acknowledged else {200, 404})
            if status in (200, 404) and not known.allows(status, text):
                self.wrong.append(f"{time.monotonic() - self._begun:.1f} s {read}: {status} {text[:80]!r}, expected {known}")

    def _jobs(self, connection: "Connection", path: str, n: int, turn: int) -> None:
        headers = {"Content-Type": "application/json", "Prefer": "wait=20", "Idempotency-Key": f"{id(self)}-{n}-{turn}"}
        status, text = self._ask(connection, "job", "POST", path, queries.submission(queries.JOIN), {200, 202}, headers)
        if status not in (200, 202):
            return
        told = json.loads(text)
        while told["state"] not in ("succeeded", "failed", "cancelled"):
            if self._stop.wait(0.2):
                return
            status, text = self._ask(connection, "job", "GET", f"/jobs/{told['id']}", None, {200})
            told = json.loads(text) if status == 200 else told
        if told["state"] != "succeeded":
            with self._lock:
                self.failed.append(Failure(time.monotonic() - self._begun, "job", told["id"], json.dumps(told)))
            return
        status, text = self._ask(connection, "job", "GET", f"/jobs/{told['id']}/result?format=json", None, {200})
        if status == 200:
            got = {(row["l_returnflag"], row["o_orderpriority"]): row["items"] for row in json.loads(text)}
            if got != self._rows:
                self.wrong.append(f"job {told['id']}: {got}")

    def _ask(
        self, connection: "Connection", kind: str, method: str, path: str, body: bytes | None, expected: set[int], headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        begun, unknown = time.monotonic(), False
        for attempt in range(1, ATTEMPTS + 1):
            sent = time.monotonic()
            status, text = connection.ask(method, path, body, headers or {})
            ended = time.monotonic()
            if status in expected:
                with self._lock:
                    self.done[kind] += 1
                    self.gaps[kind] = max(self.gaps.get(kind, 0.0), ended - self._last.get(kind, begun))
                    self._last[kind] = ended
                break
            again = status in (429, 503, 504) and attempt < ATTEMPTS
            unknown |= status == 504
            if status == 504 and body is not None and path in self.known:
                self.known[path].possible.add(body)
            failure = Failure(ended - self._begun, kind, f"{method} {path} after {ended - sent:.1f} s", f"{status} {text[:300].decode(errors='replace')}")
            with self._lock:
                (self.resent if again else self.failed).append(failure)
            # Nobody hammers what has just failed.
            self._stop.wait(AGAIN)
            if not again or self._stop.is_set():
                # An attempt of unknown outcome is not undone by a later one that was refused.
                return 504 if unknown else status, text
        return status, text


# In place of a status: nobody took the connection, and an answer that did not come.
REFUSED, BROKEN = 0, -1


class Connection:
    """A connection that is kept, as browsers and client libraries do."""

    def __init__(self):
        self._connection: http.client.HTTPConnection | None = None
        self.repeated = 0

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        reused = self._connection is not None
        try:
            return self._once(method, path, body, headers or {})
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            self._connection = None
            if not reused:
                return BROKEN, repr(error).encode()
            self.repeated += 1
            return self.ask(method, path, body, headers)
        except ConnectionRefusedError as error:
            self._connection = None
            return REFUSED, repr(error).encode()
        except (OSError, http.client.HTTPException) as error:
            self._connection = None
            return BROKEN, repr(error).encode()

    def patiently(self, method: str, path: str) -> tuple[int, bytes]:
        """Asks until there is an answer other than an error, for a while."""
        deadline = time.monotonic() + 30
        while True:
            status, text = self.ask(method, path)
            if 200 <= status < 500 or time.monotonic() > deadline:
                return status, text
            time.sleep(0.2)

    def _once(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._connection is None:
            connection = http.client.HTTPConnection(FRONT.removeprefix("http://"), timeout=90)
            connection.connect()
            self._connection = connection
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.will_close:
            self._connection = None
        return answer.status, text
