"""Load on the cache and on jobs, as people use them: Zipf-distributed keys, 80 % reads, 15 % writes, 5 % deletes; now and then a query.

Run by run_test.sh, which says what the service-level objectives are (SLO_*). The process exits with 1 when one of them is broken.
"""

import os
import random
from bisect import bisect_left
from itertools import accumulate

from locust import FastHttpUser, constant_throughput, events, tag, task

KEYS = int(os.environ.get("CACHE_KEYS", "10000"))
VALUE = b"x" * int(os.environ.get("VALUE_BYTES", "100"))
# Popularity of the n-th key is 1/n^0.9, the shape measured for web caches.
WEIGHTS = list(accumulate(1 / (rank**0.9) for rank in range(1, KEYS + 1)))
DATA = os.environ.get("JOB_DATA", "file:///data")
# The wait for a job is part of its request; how many a cluster can take depends on its workers, not on its users.
JOBS = os.environ.get("JOBS", "1") == "1"

SLO = {
    "p95_ms": float(os.environ.get("SLO_P95_MS", "50")),
    "p99_ms": float(os.environ.get("SLO_P99_MS", "250")),
    "failures": float(os.environ.get("SLO_FAILURES", "0.001")),
}
reads = {"hit": 0, "miss": 0}


def key() -> str:
    return f"load-{bisect_left(WEIGHTS, random.random() * WEIGHTS[-1])}"


class CacheUser(FastHttpUser):
    """One client, ten operations a second at most."""

    weight = 19
    wait_time = constant_throughput(10)

    @tag("cache")
    @task(80)
    def get(self) -> None:
        name = key()
        with self.client.get(f"/cache/{name}", name="GET /cache", catch_response=True) as response:
            if response.status_code == 404:
                # A miss is an answer; fill it, as a cache's users do.
                reads["miss"] += 1
                response.success()
            elif response.status_code == 200:
                reads["hit"] += 1
        if response.status_code == 404:
            self.client.put(f"/cache/{name}", data=VALUE, name="PUT /cache")

    @tag("cache")
    @task(15)
    def put(self) -> None:
        self.client.put(f"/cache/{key()}?ttl=10m", data=VALUE, name="PUT /cache")

    @tag("cache")
    @task(5)
    def delete(self) -> None:
        with self.client.delete(f"/cache/{key()}", name="DELETE /cache", catch_response=True) as response:
            if response.status_code in (204, 404):
                response.success()


class JobUser(FastHttpUser):
    """Somebody at a notebook: a query every five seconds."""

    weight = 1 if JOBS else 0
    # `wait` asks the server for 30 s; locust's own default would cut that short.
    network_timeout = 60.0
    connection_timeout = 10.0
    wait_time = constant_throughput(0.2)

    @tag("jobs")
    @task
    def count_by_flag(self) -> None:
        body = {
            "kind": "sql",
            "query": "SELECT l_returnflag, count(*) AS items, sum(l_quantity) AS quantity FROM lineitem GROUP BY l_returnflag",
            "tables": {"lineitem": {"uri": f"{DATA}/lineitem.csv"}},
        }
        with self.client.post("/jobs", json=body, headers={"Prefer": "wait=30"}, name="POST /jobs", catch_response=True) as response:
            if response.status_code == 200 and response.json()["state"] != "succeeded":
                response.failure(f"the job {response.json()['state']}")
            elif response.status_code == 429:
                # Said politely, with Retry-After: the queue of jobs is full.
                response.success()


@events.quitting.add_listener
def judge(environment, **_kwargs) -> None:
    stats = environment.stats
    print()
    print(f"{'request':<16}{'count':>10}{'failed':>8}{'req/s':>9}{'p50 ms':>8}{'p95 ms':>8}{'p99 ms':>8}")
    for entry in [*sorted(stats.entries.values(), key=lambda e: e.name), stats.total]:
        p50, p95, p99 = (entry.get_response_time_percentile(p) for p in (0.5, 0.95, 0.99))
        row = (entry.name, entry.num_requests, entry.num_failures, entry.total_rps, p50, p95, p99)
        print("{:<16}{:>10}{:>8}{:>9.1f}{:>8.0f}{:>8.0f}{:>8.0f}".format(*row))
    all_reads = sum(reads.values())
    print(f"hit rate: {reads['hit'] / all_reads:.1%} of {all_reads} reads" if all_reads else "hit rate: no reads")

    broken = []
    if stats.total.num_requests == 0:
        broken.append("no request was answered")
    if stats.total.fail_ratio > SLO["failures"]:
        broken.append(f"{stats.total.fail_ratio:.2%} of the requests failed; allowed are {SLO['failures']:.2%}")
    for entry in stats.entries.values():
        if not entry.name.endswith("/cache"):
            continue
        for name, share in (("p95_ms", 0.95), ("p99_ms", 0.99)):
            if (measured := entry.get_response_time_percentile(share)) > SLO[name]:
                broken.append(f"{entry.name}: {name} is {measured:.0f}; allowed are {SLO[name]:.0f}")
    for line in broken:
        print(f"SLO broken: {line}")
    print("SLO: " + ("broken" if broken else "kept"))
    environment.process_exit_code = 1 if broken else 0
