"""Load as people make it, on /cache, /kv and /jobs. Started by run_test.sh, which says what the scenarios, shapes and objectives are.

The process exits with 1 when an objective is broken, and writes its figures to RESULT_FILE when that is set.
"""

import json
import os
import random
import time

from locust import FastHttpUser, LoadTestShape, constant_throughput, events, tag, task
from locust.stats import calculate_response_time_percentile

import shapes
import slo
from zipf import Zipf, size_of

SCENARIO = os.environ.get("SCENARIO", "mixed")
SHAPE = os.environ.get("SHAPE", "steady")
USERS = int(os.environ.get("USERS", "100"))
DURATION = shapes.seconds(os.environ.get("DURATION", "5m"))
RATE = float(os.environ.get("RATE", "10"))
# Users of the cache, of /kv and of jobs, of each 100. How many jobs a cluster can take depends on its workers, not on its users.
SHARES = {"cache": (100, 0, 0), "kv": (0, 100, 0), "jobs": (0, 0, 100), "mixed": (80, 15, 5)}
CACHE_SHARE, KV_SHARE, JOBS_SHARE = SHARES[SCENARIO]
if os.environ.get("JOBS", "1") != "1":
    JOBS_SHARE = 0

CACHE_KEYS = Zipf(int(os.environ.get("CACHE_KEYS", "10000")))
KV_KEYS = Zipf(int(os.environ.get("KV_KEYS", "1000")))
VALUE_BYTES = int(os.environ.get("VALUE_BYTES", "0"))
VALUES = random.Random(1).randbytes(10 * 1024)
DATA = os.environ.get("JOB_DATA", "file:///data")
begun = 0.0
# Of the second half of the run: at first everything is a miss.
reads = {"hit": 0, "miss": 0}


def note_read(result: str) -> None:
    if time.time() - begun >= DURATION / 2:
        reads[result] += 1


def value_of(key: str) -> bytes:
    return VALUES[: VALUE_BYTES or size_of(key)]


class CacheUser(FastHttpUser):
    """One client of the cache, ten operations a second at most: 80 % reads, 15 % writes, 5 % deletes."""

    weight = CACHE_SHARE
    wait_time = constant_throughput(10)

    @tag("cache")
    @task(80)
    def get(self) -> None:
        key = f"load-{CACHE_KEYS.rank()}"
        with self.client.get(f"/cache/{key}", name="GET /cache", catch_response=True) as response:
            if response.status_code == 404:
                # A miss is an answer; fill it, as a cache's users do.
                note_read("miss")
                response.success()
            elif response.status_code == 200:
                note_read("hit")
                if len(response.content) != len(value_of(key)):
                    response.failure(f"{len(response.content)} bytes in place of {len(value_of(key))}")
        if response.status_code == 404:
            self.client.put(f"/cache/{key}", data=value_of(key), name="PUT /cache")

    @tag("cache")
    @task(15)
    def put(self) -> None:
        key = f"load-{CACHE_KEYS.rank()}"
        self.client.put(f"/cache/{key}?ttl=10m", data=value_of(key), name="PUT /cache")

    @tag("cache")
    @task(5)
    def delete(self) -> None:
        with self.client.delete(f"/cache/load-{CACHE_KEYS.rank()}", name="DELETE /cache", catch_response=True) as response:
            if response.status_code in (204, 404):
                response.success()


class KvUser(FastHttpUser):
    """Configuration and coordination: 70 % reads, 20 % writes, 5 % compare-and-set, 5 % listings; five a second at most."""

    weight = KV_SHARE
    wait_time = constant_throughput(5)

    def path(self) -> str:
        return f"/kv/load%2F{KV_KEYS.rank()}"

    @tag("kv")
    @task(70)
    def get(self) -> None:
        with self.client.get(self.path(), name="GET /kv", catch_response=True) as response:
            if response.status_code == 404:
                response.success()

    @tag("kv")
    @task(20)
    def put(self) -> None:
        self.client.put(self.path(), data=VALUES[:100], name="PUT /kv")

    @tag("kv")
    @task(5)
    def compare_and_set(self) -> None:
        path = self.path()
        with self.client.get(path, name="GET /kv", catch_response=True) as response:
            if response.status_code == 404:
                response.success()
        seen = response.headers.get("etag") if response.status_code == 200 else None
        condition = {"If-Match": seen} if seen else {"If-None-Match": "*"}
        with self.client.put(path, data=VALUES[:100], headers=condition, name="CAS /kv", catch_response=True) as response:
            if response.status_code == 412:
                # Somebody else was faster: that is what it is for.
                response.success()

    @tag("kv")
    @task(5)
    def list_some(self) -> None:
        self.client.get("/kv?prefix=load%2F1&limit=20", name="LIST /kv")


class JobUser(FastHttpUser):
    """Somebody at a notebook: a query every five seconds."""

    weight = JOBS_SHARE
    # `wait` asks the server for 30 s; Locust's own default would cut that short.
    network_timeout = 60.0
    connection_timeout = 10.0
    wait_time = constant_throughput(0.2)

    @tag("jobs")
    @task(6)
    def count_by_flag(self) -> None:
        self.submit("SELECT l_returnflag, count(*) AS items, sum(l_quantity) AS quantity FROM lineitem GROUP BY l_returnflag", "lineitem")

    @tag("jobs")
    @task(3)
    def join(self) -> None:
        self.submit(
            "SELECT o_orderpriority, count(*) AS items FROM lineitem JOIN orders ON l_orderkey = o_orderkey GROUP BY o_orderpriority",
            "lineitem",
            "orders",
        )

    @tag("jobs")
    @task(1)
    def top(self) -> None:
        self.submit("SELECT o_orderkey, o_totalprice FROM orders ORDER BY o_totalprice DESC LIMIT 10", "orders")

    def submit(self, query: str, *tables: str) -> None:
        body = {"kind": "sql", "query": query, "tables": {name: {"uri": f"{DATA}/{name}.csv"} for name in tables}}
        with self.client.post("/jobs", json=body, headers={"Prefer": "wait=30"}, name="POST /jobs", catch_response=True) as response:
            if response.status_code == 200 and response.json()["state"] != "succeeded":
                response.failure(f"the job {response.json()['state']}")
            elif response.status_code == 202:
                response.failure("the job took longer than 30 s")
            elif response.status_code == 429:
                # Said politely, with Retry-After: the queue of jobs is full. No failure, but no job either: times of jobs are not to be made better by it.
                response.request_meta["name"] = slo.QUEUE_FULL
                response.success()


if SHAPE != "steady":

    class Shape(LoadTestShape):
        """More and fewer users over time; `steady` is Locust's own."""

        def tick(self) -> tuple[int, float] | None:
            users = shapes.users_at(SHAPE, self.get_run_time(), USERS, DURATION)
            # A spike comes at once.
            return None if users is None else (users, max(RATE, USERS) if SHAPE == "spike" else RATE)


# Times of a soak's first and last quarter, rounded as Locust rounds them: a bounded number of different ones.
quarters: dict[tuple[str, str], dict[int, int]] = {}


@events.test_start.add_listener
def begin(**_kwargs) -> None:
    global begun
    begun = time.time()


@events.request.add_listener
def note_quarter(name, response_time, start_time, **_kwargs) -> None:
    share = (start_time - begun) / DURATION
    if SHAPE == "soak" and (share < 0.25 or share >= 0.75):
        times = quarters.setdefault((name, "early" if share < 0.25 else "late"), {})
        rounded = round(response_time) if response_time < 100 else round(response_time, -1)
        times[rounded] = times.get(rounded, 0) + 1


def p95_of(name: str, quarter: str) -> float | None:
    times = quarters.get((name, quarter), {})
    count = sum(times.values())
    return calculate_response_time_percentile(times, count, 0.95) if count >= 20 else None


@events.quitting.add_listener
def finish(environment, **_kwargs) -> None:
    stats = environment.stats
    requests = [
        slo.Requests(
            entry.name,
            entry.num_requests,
            entry.num_failures,
            entry.total_rps,
            *(entry.get_response_time_percentile(share) for share in (0.5, 0.95, 0.99)),
            early_p95=p95_of(entry.name, "early"),
            late_p95=p95_of(entry.name, "late"),
        )
        for entry in stats.entries.values()
    ]
    errors = {f"{error.name}: {error.error}": error.occurrences for error in stats.errors.values()}
    shares = {"/cache": CACHE_SHARE, "/kv": KV_SHARE, "/jobs": JOBS_SHARE}
    # Of few users none may be at a notebook.
    wanted = [kind for kind, share in shares.items() if share * USERS >= 100]
    result = slo.Result(requests, reads["hit"], reads["miss"], SHAPE == "soak", errors, wanted)
    broken = slo.judge(result, slo.Objectives.from_environment(os.environ))
    print()
    print(slo.table(result))
    for line in broken:
        print(f"SLO broken: {line}")
    print("SLO: " + ("broken" if broken else "kept"))
    if file := os.environ.get("RESULT_FILE"):
        with open(file, "w") as out:
            json.dump(result.as_json(broken), out, indent=1)
    environment.process_exit_code = 1 if broken else 0
