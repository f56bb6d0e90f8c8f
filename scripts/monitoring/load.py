"""A load of which everything is known: what was asked, how often, when, and what came back."""

import http.client
import json
import threading
import time
from collections import defaultdict
from contextlib import contextmanager

from .stack import ROOT

# Of each tick: so many hits, misses, writes … The working set is written once before.
TICK_SECONDS = 0.5
HITS, MISSES, PUTS, EXPIRING, KV_PUTS, KV_GETS, KV_MISSES = 9, 3, 4, 1, 2, 3, 1
KEYS = 50
# Of these hits and misses so many are in a namespace with a quota, which has entries of its own.
NAMESPACE, NAMESPACED_KEYS, NAMESPACED_HITS, NAMESPACED_MISSES, QUOTA_ENTRIES = "known", 10, 2, 2, 300
JOB_SECONDS = 2.0
QUERY = """
    SELECT l_returnflag, o_orderpriority, count(*) AS items FROM lineitem JOIN orders ON l_orderkey = o_orderkey
    GROUP BY l_returnflag, o_orderpriority
"""


class Load:
    """What was done, by kind, with its time."""

    def __init__(self, front: str):
        self.host = front.removeprefix("http://")
        self.done: dict[str, list[float]] = defaultdict(list)
        self.problems: list[str] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def count(self, kind: str) -> int:
        with self._lock:
            return len(self.done[kind])

    def rate(self, kinds: str, at: float, window: float) -> float:
        """Requests of these kinds (separated by spaces) a second, in the window before a time."""
        with self._lock:
            return sum(at - window < moment <= at for kind in kinds.split() for moment in self.done[kind]) / window

    @contextmanager
    def running(self):
        """Load in the background."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        for n in range(KEYS):
            self._ask(connection, "cache_put", "PUT", f"/cache/known-{n}", b"x" * 100, {201})
        quota = json.dumps({"max_entries": QUOTA_ENTRIES}).encode()
        self._ask(connection, "quota", "PUT", f"/namespaces/{NAMESPACE}", quota, {201}, Content_Type="application/json")
        for n in range(NAMESPACED_KEYS):
            self._ask(connection, "cache_put", "PUT", f"/cache/known-{n}?ns={NAMESPACE}", b"x" * 100, {201})
        self._dataset(connection)
        threads = [
            threading.Thread(target=self._work, args=(work, pause))
            for work, pause in ((self._cache, TICK_SECONDS), (self._kv, TICK_SECONDS), (self._jobs, JOB_SECONDS))
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _ask(self, connection, kind: str, method: str, path: str, body: bytes | None, expected: set[int], **headers: str) -> bytes:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        text = answer.read()
        with self._lock:
            self.done[kind].append(time.time())
            if answer.status not in expected:
                self.problems.append(f"{method} {path}: {answer.status} {text[:200]!r}")
        return text

    def _work(self, work, pause: float) -> None:
        connection = http.client.HTTPConnection(self.host, timeout=40)
        tick, due = 0, time.monotonic()
        while not self._stop.is_set():
            try:
                work(connection, tick)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.problems.append(f"{work.__name__}: {error!r}")
                connection.close()
            tick += 1
            # By the clock rather than by a pause, so that the rate does not depend on how long answers take.
            due += pause
            self._stop.wait(max(0.0, due - time.monotonic()))

    def _cache(self, connection, tick: int) -> None:
        for n in range(HITS):
            key = f"known-{n}?ns={NAMESPACE}" if n < NAMESPACED_HITS else f"known-{(tick * HITS + n) % KEYS}"
            self._ask(connection, "cache_hit", "GET", f"/cache/{key}", None, {200})
        for n in range(MISSES):
            namespace = f"?ns={NAMESPACE}" if n < NAMESPACED_MISSES else ""
            self._ask(connection, "cache_miss", "GET", f"/cache/unknown-{tick}-{n}{namespace}", None, {404})
        for n in range(PUTS):
            self._ask(connection, "cache_put", "PUT", f"/cache/known-{(tick * PUTS + n) % KEYS}", b"y" * 100, {200})
        for n in range(EXPIRING):
            # Not written again before it has ended.
            self._ask(connection, "cache_put", "PUT", f"/cache/short-{n}-{tick % 3}?ttl=1", b"z", {200, 201})
        # Written and deleted at once, so that it does not count as an entry.
        self._ask(connection, "cache_put", "PUT", "/cache/deleted", b"d", {201})
        self._ask(connection, "cache_delete", "DELETE", "/cache/deleted", None, {204})

    def _kv(self, connection, tick: int) -> None:
        for n in range(KV_PUTS):
            self._ask(connection, "kv_put", "PUT", f"/kv/known-{n}", b"%d" % tick, {200, 201})
        for n in range(KV_GETS):
            self._ask(connection, "kv_get", "GET", f"/kv/known-{n % KV_PUTS}", None, {200})
        for n in range(KV_MISSES):
            self._ask(connection, "kv_miss", "GET", f"/kv/unknown-{n}", None, {404})

    def _jobs(self, connection, tick: int) -> None:
        tables = {name: {"uri": f"file://{ROOT}/deploy/sample-data/{name}.csv"} for name in ("lineitem", "orders")}
        wrong = tick == 1
        query = "SELECT 1 / (o_orderkey - o_orderkey) AS wrong FROM orders" if wrong else QUERY
        body = json.dumps({"kind": "sql", "query": query, "tables": tables}).encode()
        # To whom waits, a job that failed for its query is answered with the error.
        expected = {400} if wrong else {200}
        answer = self._ask(connection, "submitted", "POST", "/jobs", body, expected, Content_Type="application/json", Prefer="wait=30")
        state = "failed" if wrong else json.loads(answer).get("state")
        with self._lock:
            self.done[state].append(time.time())
            if not wrong and state != "succeeded":
                self.problems.append(f"a job {state}: {answer[:300]!r}")

    def _dataset(self, connection) -> None:
        rows = (ROOT / "deploy/sample-data/orders.csv").read_bytes()
        self._ask(connection, "upload", "PUT", "/datasets/known/orders.csv", rows, {200, 201}, Content_Type="text/csv")
        self._ask(connection, "download", "GET", "/datasets/known/orders.csv", None, {200})
