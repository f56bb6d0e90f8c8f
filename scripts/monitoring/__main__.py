"""Starts a stack, puts the load on it, and asks everything."""

import os
import re
import shutil
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from . import expected, queries
from .expected import Facts
from .load import Load
from .stack import COUNTS, Stack, until

# Seconds of `$__rate_interval`: in Grafana it is four times the scrape interval.
WINDOW = 20
# So long the load runs before anything is asked: the window, and the scrapes around it.
WARM_UP = 40


def main() -> int:
    stores = sys.argv[1:] or ["etcd", "raft"]
    problems = stale()
    asked = 0
    for store in stores:
        begun = time.monotonic()
        directory = Path(tempfile.mkdtemp(prefix="elasticore-monitoring-"))
        try:
            count, found = check(store, directory)
        finally:
            if os.environ.get("ELASTICORE_KEEP") == "1":
                print(f"left: {directory}")
            else:
                shutil.rmtree(directory, ignore_errors=True)
        print(f"{store}: {count} queries, {len(found)} problems, {time.monotonic() - begun:.0f} s")
        asked += count
        problems += [f"{store}: {problem}" for problem in found]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"Ran {asked} tests in all")
    if problems:
        print(f"FAILED (failures={len(problems)})")
    return 1 if problems else 0


def stale() -> list[str]:
    """Expectations of panels that are no more."""
    places = {query.place for query in queries.panels()}
    return [f"expected.py names {place}, which no dashboard has" for place in {*expected.KNOWN, *expected.MAY_BE_EMPTY} - places]


def check(store: str, directory: Path) -> tuple[int, list[str]]:
    with Stack(store, directory) as stack:
        begun = time.time()
        # So that changes of members and ring, a start, and a move of entries are among what is seen.
        stack.restart(f"auxiliary-{COUNTS['auxiliary']}")
        until("auxiliary-3 was started again", lambda: stack.query("resets(server_uptime_seconds[1m]) > 0"))
        until(
            "the ring is whole and at rest",
            lambda: stack.value(
                f'min(cluster_ring_members == {COUNTS["auxiliary"]}) and min(cluster_ring_phase{{phase="stable"}}) == 1 and max(cluster_under_replicated) == 0'
            ),
        )
        with Load(stack.front).running() as load:
            urllib.request.urlopen(urllib.request.Request(f"{stack.front}/rebalance", method="POST"), timeout=30).close()
            time.sleep(WARM_UP)
            until("recording rules were evaluated under load", lambda: (stack.value("cache:reads:rate5m") or 0) > 0.1)
            # The answers of one moment, about which the load knows all.
            facts = Facts(load, time.time(), WINDOW)
            results = ask_panels(stack, facts)
            results += ask_of_choices(stack, facts)
            results += ask_rules(stack, facts)
        change_the_leader(stack)
        results += ask_annotations(stack, begun)
        results += [("load", problem) for problem in load.problems[:10]]
    return len(results), [f"{place}: {problem}" for place, problem in results if problem]


def ask_panels(stack: Stack, facts: Facts) -> list[tuple[str, str | None]]:
    results = []
    for query in queries.panels(f"{WINDOW}s"):
        if any(name in query.expr for name in expected.OTHER_STORE[stack.store]):
            continue
        try:
            answer = stack.query(query.expr, facts.at)
        except ValueError as error:
            results.append((query.place, str(error)))
            continue
        problem = expected.of(query).problem(answer, facts)
        if problem == "empty" and query.place in expected.MAY_BE_EMPTY:
            problem = None
        results.append((query.place, problem))
    return results


def ask_of_choices(stack: Stack, facts: Facts) -> list[tuple[str, str | None]]:
    """With one node or namespace chosen, a dashboard shows that one and no other."""
    results = [(variable, "is never chosen") for variable in sorted(queries.never_chosen())]
    for choice in queries.CHOICES:
        asked, seen = choice.queries(f"{WINDOW}s"), 0
        for query in asked:
            answer = stack.query(query.expr, facts.at)
            seen += bool(answer)
            others = sorted({labels[choice.label] for labels, _ in answer if choice.label in labels} - {choice.value})
            results.append((f"{query.place} of {choice.value}", f"shows {others}" if others else None))
        results.append((f"{choice.board}: {choice.value}", None if seen > len(asked) / 2 else f"only {seen} of {len(asked)} queries have data"))
    return results


def change_the_leader(stack: Stack) -> None:
    """Restarts the master that leads, and waits until Prometheus has seen what follows."""
    (leader,) = [labels["instance"] for labels, _ in stack.query("cluster_is_leader == 1")]
    stack.restart(leader)
    until("another master leads", lambda: stack.value(f'max(cluster_is_leader{{instance!="{leader}"}})') == 1)
    until("it does for some scrapes", lambda: (stack.value(f'max(sum_over_time(cluster_is_leader{{instance!="{leader}"}}[15s]))') or 0) >= 3)


def ask_rules(stack: Stack, facts: Facts) -> list[tuple[str, str | None]]:
    """Rules are evaluated without an error, alerts are silent and ask for what is there, recorded values are plausible."""
    results = []
    for rule in stack.rules():
        name = f"rule {rule['name']}"
        if rule["health"] != "ok":
            results.append((name, f"{rule['health']}: {rule.get('lastError')}"))
        elif rule["type"] == "recording":
            (expectation,) = [e for prefix, e in expected.RECORDED.items() if rule["name"].startswith(prefix)]
            results.append((name, expectation.problem(stack.query(rule["name"], facts.at), facts)))
        else:
            results.append((name, "fires on a healthy stack" if rule["state"] == "firing" else None))
            results += [(f"{name}: {selector}", problem) for selector, problem in ask_selectors(stack, rule["query"], facts)]
    return results


def ask_selectors(stack: Stack, expr: str, facts: Facts) -> list[tuple[str, str | None]]:
    """An alert on a metric that nobody has would be silent for ever."""
    results = []
    for selector in sorted(set(re.findall(r"\b[a-z]\w*(?::\w+)+|\b[a-z]+_\w+(?:\{[^}]*\})?|\bup\b(?:\{[^}]*\})?", without_words(expr)))):
        if any(name in selector for name in expected.OTHER_STORE[stack.store]) or selector in expected.NEVER_IN_HEALTH:
            continue
        results.append((selector, None if stack.query(f"count({selector})", facts.at) else "no such series"))
    return results


def without_words(expr: str) -> str:
    """A query without functions, and without the labels it groups by."""
    expr = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", expr)
    return re.sub(r"\b[a-z_]+\s*\(", "(", expr)


def ask_annotations(stack: Stack, begun: float) -> list[tuple[str, str | None]]:
    results = []
    for name, expr in queries.annotations().items():
        marks = stack.query_range(expr, begun, time.time())
        results.append((f"annotation {name}", None if marks else "no mark for what happened"))
    return results


if __name__ == "__main__":
    sys.exit(main())
