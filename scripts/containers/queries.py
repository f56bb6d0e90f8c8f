"""Jobs whose answers are known, because Python works them out of the same files."""

import csv
import json
from collections import Counter

from .engine import FRONT, SAMPLE, ask

JOIN = """
    SELECT l_returnflag, o_orderpriority, count(*) AS items
    FROM lineitem JOIN orders ON l_orderkey = o_orderkey
    GROUP BY l_returnflag, o_orderpriority
"""
# Each item with each other one of its supplier, and those with some more: many rows of many tasks, for some seconds.
LONG = """
    SELECT a.l_returnflag AS flag, count(*) AS items
    FROM lineitem a JOIN lineitem b ON a.l_suppkey = b.l_suppkey JOIN lineitem c ON b.l_suppkey = c.l_suppkey
    WHERE c.l_orderkey < 100
    GROUP BY a.l_returnflag
"""


def submission(query: str) -> bytes:
    return json.dumps({"kind": "sql", "query": query, "tables": {name: {"uri": f"file:///data/{name}.csv"} for name in ("lineitem", "orders")}}).encode()


def submit(query: str, wait: int = 0) -> dict:
    """The job as it was accepted, or as it ended within `wait` seconds."""
    prefer = {"Prefer": f"wait={wait}"} if wait else {}
    status, _, answer = ask("POST", f"{FRONT}/jobs", submission(query), Content_Type="application/json", **prefer)
    if status not in (200, 202):
        raise AssertionError(f"POST /jobs: {status} {answer!r}")
    return json.loads(answer)


def job_succeeds() -> bool:
    """Whether a small job is taken and done now."""
    status, _, answer = ask("POST", f"{FRONT}/jobs", submission(JOIN), Content_Type="application/json", Prefer="wait=30")
    return status == 200 and json.loads(answer)["state"] == "succeeded"


def is_running(query: str) -> bool:
    """Whether a job with this query runs."""
    status, _, answer = ask("GET", f"{FRONT}/jobs?state=running&limit=100")
    return status == 200 and any(job["query"].split() == query.split() for job in json.loads(answer)["items"])


def job(id: str) -> dict | None:
    """What is known of a job; nothing while nobody says."""
    status, _, answer = ask("GET", f"{FRONT}/jobs/{id}")
    return json.loads(answer) if status == 200 else None


def ended(id: str) -> dict | None:
    """The job, when it is over."""
    found = job(id)
    return found if found and found["state"] in ("succeeded", "failed", "cancelled") else None


def rows(id: str) -> list[dict]:
    status, _, answer = ask("GET", f"{FRONT}/jobs/{id}/result?format=json")
    if status != 200:
        raise AssertionError(f"result of {id}: {status} {answer!r}")
    return json.loads(answer)


def workers_of(id: str, *states: str) -> set[str]:
    """Who had tasks of this job, in these states if any are given."""
    status, _, answer = ask("GET", f"{FRONT}/jobs/{id}/tasks?limit=1000")
    tasks = json.loads(answer)["items"] if status == 200 else []
    return {attempt["worker"] for task in tasks for attempt in task["attempts"] if not states or attempt["state"] in states}


def _read(name: str) -> list[dict]:
    with open(SAMPLE / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def join_rows() -> dict[tuple[str, str], int]:
    priority = {row["o_orderkey"]: row["o_orderpriority"] for row in _read("orders")}
    return dict(Counter((row["l_returnflag"], priority[row["l_orderkey"]]) for row in _read("lineitem")))


def long_rows() -> dict[str, int]:
    items = _read("lineitem")
    of_supplier = Counter(row["l_suppkey"] for row in items)
    few = Counter(row["l_suppkey"] for row in items if int(row["l_orderkey"]) < 100)
    counted: Counter = Counter()
    for row in items:
        counted[row["l_returnflag"]] += of_supplier[row["l_suppkey"]] * few[row["l_suppkey"]]
    return dict(counted)


def got_join(id: str) -> dict[tuple[str, str], int]:
    return {(row["l_returnflag"], row["o_orderpriority"]): row["items"] for row in rows(id)}


def got_long(id: str) -> dict[str, int]:
    return {row["flag"]: row["items"] for row in rows(id)}
