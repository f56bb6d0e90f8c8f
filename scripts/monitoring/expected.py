"""What the queries must answer while the load of load.py runs: exactly where it follows from the load, within bounds everywhere else."""

import math
from dataclasses import dataclass

from .load import HITS, KEYS, MISSES, NAMESPACE, NAMESPACED_HITS, NAMESPACED_KEYS, NAMESPACED_MISSES, QUOTA_ENTRIES, Load
from .queries import Query
from .stack import COUNTS

MASTERS, AUXILIARIES, WORKERS = COUNTS.values()
NODES = sum(COUNTS.values())
CACHE_COPIES = BLOB_COPIES = 2
HIT_RATIO = HITS / (HITS + MISSES)
NAMESPACED_READS = NAMESPACED_HITS + NAMESPACED_MISSES

# Rows of one control store are empty with the other.
OTHER_STORE = {"etcd": ("raft_", "control_store_revision", "control_store_db_bytes"), "raft": ("etcd_",)}

# Empty while all is well, each with its reason.
MAY_BE_EMPTY = {
    "cache / Time of ring changes, range syncs and backups / range sync": "a sync that ended before the first scrape of a node is no increase",
    "control / Changes of the raft leader, snapshots / snapshots {{way}}": "snapshots are made after many entries",
    "control / Lag of members / {{member}}": "known to the raft leader only, and only once it has followers",
    "nodes / Certificates: time left / {{role}}": "encryption is off",
    "nodes / Connections refused in the handshake, or ended later / {{reason}}": "encryption is off",
    "nodes / Connections refused in the handshake, or ended later / ended, {{reason}}": "encryption is off",
    "nodes / Certificates renewed / {{role}} {{result}}": "encryption is off",
    "control / Entries and reads per message / reads per question": "the leader answers reads by its lease",
    "cache / Quota taken / {{namespace}} bytes": "the quota is of entries",
}
# Selectors of alerts that match nothing while all is well.
NEVER_IN_HEALTH = {
    'requests_limited_total': "no client asks too much",
    'http_connections_closed_total{reason="no_room"}': "there is room",
    'http_connections_closed_total{reason=~"slow_.*"}': "no client is slow",
    'audit_entries_lost_total': "nothing is lost",
    'http_requests_total{status=~"5.."}': "no request fails",
    'http_requests_total{job="master",route=~"/cache.*",status=~"5.."}': "no request fails",
    'blob_operations_total{operation="put",result="error"}': "no write of a blob fails",
    "tls_certificate_expiry_timestamp_seconds": "encryption is off",
    "peer_breaker_open": "breakers are shown once a call failed",
}


@dataclass(frozen=True)
class Facts:
    """What is known of the load at a time."""

    load: Load
    at: float
    # Of `$__rate_interval`, in seconds.
    window: float

    def rate(self, kinds: str) -> float:
        return self.load.rate(kinds, self.at, self.window)


@dataclass(frozen=True)
class Expectation:
    """Bounds for every series, and where known for their number and sum."""

    low: float = 0
    high: float = 1e15
    series: int | None = None
    # Computed from the facts, with a share by which it may be missed.
    total: object = None
    tolerance: float = 0.0
    # What they must come to at least.
    least: float = 0
    # What single series must be, computed from the facts, by the value of their only label.
    parts: dict[str, object] | None = None

    def problem(self, answer: list[tuple[dict, float]], facts: Facts) -> str | None:
        values = [value for _, value in answer]
        if not values:
            return "empty"
        if any(not math.isfinite(value) for value in values):
            return f"not a number: {answer}"
        if not all(self.low <= value <= self.high for value in values):
            return f"{rounded(values)} is not between {self.low:g} and {self.high:g}"
        if self.series is not None and len(values) != self.series:
            return f"{len(values)} series in place of {self.series}"
        if sum(values) < self.least:
            return f"{rounded(values)} come to less than {self.least:g}"
        if self.total is not None and (missed := self._missed(sum(values), self.total, facts)):
            return f"{rounded(values)} come to {missed}"
        found = {next(iter(labels.values()), ""): value for labels, value in answer}
        for label, wanted in (self.parts or {}).items():
            if label not in found:
                return f"no {label} among {sorted(found)}"
            if missed := self._missed(found[label], wanted, facts):
                return f"{label} is {missed}"
        return None

    def _missed(self, value: float, wanted, facts: Facts) -> str | None:
        wanted = wanted(facts) if callable(wanted) else wanted
        if abs(value - wanted) <= self.tolerance * abs(wanted) + 1e-9:
            return None
        return f"{value:.4g}, not {wanted:.4g} within {self.tolerance:.0%}"


def rounded(values: list[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def exactly(value: float, series: int | None = None) -> Expectation:
    return Expectation(total=value, series=series)


def rate_of(kinds: str, series: int | None = None, factor: float = 1) -> Expectation:
    # A window ends at a scrape, up to two seconds before the query; ticks are half a second.
    return Expectation(total=lambda facts: factor * facts.rate(kinds), tolerance=0.25, series=series)


def rates(**kinds: str) -> Expectation:
    """What the series of some labels must be; others may be there."""
    # Names of arguments cannot be numbers: `_404` stands for 404.
    parts = {label.removeprefix("_"): (lambda facts, of=of: facts.rate(of)) for label, of in kinds.items()}
    return Expectation(parts=parts, tolerance=0.3)


def by_namespace(default, named, tolerance: float) -> Expectation:
    """Others may be there: who reads a namespace before a node knows of it is counted among those."""
    return Expectation(parts={"_default": default, NAMESPACE: named}, tolerance=tolerance)


def jobs_ended() -> Expectation:
    parts = {"succeeded": lambda f: f.load.count("succeeded"), "failed": lambda f: f.load.count("failed"), "cancelled": 0}
    # An increase is extrapolated to the whole window.
    return Expectation(parts=parts, tolerance=0.25, series=len(parts))


RATIO, LATENCY, AGE = Expectation(high=1), Expectation(low=1e-9, high=10), Expectation(high=3600)
# Far more than a load of some dozen requests a second can be the cause of.
UNITS = {
    "ops": Expectation(high=5000),
    "reqps": Expectation(high=1000),
    "Bps": Expectation(high=1e8),
    "bytes": Expectation(high=1e10),
    "short": Expectation(high=1e5),
}
CACHE_KINDS = "cache_hit cache_miss cache_put cache_delete"
KV_KINDS = "kv_put kv_get kv_miss"
ALL_KINDS = f"{CACHE_KINDS} {KV_KINDS} submitted"
# What no unit says better.
KNOWN = {
    "overview / Masters / masters": exactly(MASTERS, 1),
    "overview / Auxiliaries / auxiliaries": exactly(AUXILIARIES, 1),
    "overview / Workers / workers": exactly(WORKERS, 1),
    "overview / Leaders / leaders": exactly(1, 1),
    "overview / Nodes down / down": exactly(0, 1),
    "overview / Alerts / firing": exactly(0, 1),
    "overview / Hit rate / hit rate": Expectation(total=HIT_RATIO, tolerance=0.05, series=1),
    "overview / Requests / cache": rate_of(CACHE_KINDS, 1),
    "overview / Requests / kv": rate_of(KV_KINDS, 1),
    "overview / Requests / jobs and datasets": rate_of("submitted", 1),
    "overview / Errors by status / {{status}}": Expectation(parts={"404": lambda f: f.rate("cache_miss kv_miss")}, tolerance=0.3),
    "overview / NGINX / requests/s": Expectation(total=lambda f: f.rate(ALL_KINDS), tolerance=0.4),
    "overview / Cache operations / {{operation}}": rates(get="cache_hit cache_miss", put="cache_put", delete="cache_delete"),
    "overview / Jobs that ended / {{state}}": jobs_ended(),
    "overview / Processor time / {{instance}}": Expectation(high=64, series=NODES, least=0.01),
    "overview / Memory / {{instance}}": Expectation(low=1e6, high=64e9, series=NODES),
    "overview / Error budget burn: availability / 5 minutes": exactly(0, 1),
    "overview / Error budget burn: availability / 1 hour": exactly(0, 1),
    "overview / Error budget burn: availability / 6 hours": exactly(0, 1),
    "overview / Error budget burn: latency / 5 minutes": Expectation(low=-1e-9, high=100),
    "overview / Error budget burn: latency / 1 hour": Expectation(low=-1e-9, high=100),
    "overview / Error budget burn: latency / 6 hours": Expectation(low=-1e-9, high=100),
    "cache / Operations / {{operation}}": rates(get="cache_hit cache_miss", put="cache_put", delete="cache_delete"),
    "cache / Hit rate / hit rate": Expectation(total=HIT_RATIO, tolerance=0.05),
    "cache / Failed operations / {{operation}} {{result}}": exactly(0),
    "cache / Batching / operations per batch": Expectation(low=1, high=1000),
    "cache / Entries by node / {{instance}}": Expectation(total=CACHE_COPIES * (KEYS + NAMESPACED_KEYS), tolerance=0.1, series=AUXILIARIES),
    "cache / Bytes by node / {{instance}}": Expectation(low=1000, high=1e8, series=AUXILIARIES),
    "cache / Operations by node / {{instance}}": Expectation(total=lambda f: f.rate(CACHE_KINDS), tolerance=0.3, series=AUXILIARIES),
    "cache / Time at the node (p99) / p99 {{instance}}": Expectation(low=1e-9, high=10, series=AUXILIARIES),
    "cache / Writes to copies / {{instance}}": Expectation(
        total=lambda f: f.rate("cache_put cache_delete"), tolerance=0.3, series=AUXILIARIES
    ),
    "cache / Entries by namespace / {{namespace}}": by_namespace(KEYS, NAMESPACED_KEYS, 0.15),
    "cache / Bytes by namespace / {{namespace}}": Expectation(least=1000, high=1e6),
    "cache / Reads by namespace / {{namespace}}": by_namespace(
        lambda f: f.rate("cache_hit cache_miss") * (1 - NAMESPACED_READS / (HITS + MISSES)),
        lambda f: f.rate("cache_hit cache_miss") * NAMESPACED_READS / (HITS + MISSES),
        0.3,
    ),
    "cache / Hit rate by namespace / {{namespace}}": by_namespace(
        (HITS - NAMESPACED_HITS) / (HITS + MISSES - NAMESPACED_READS), NAMESPACED_HITS / NAMESPACED_READS, 0.1
    ),
    "cache / Evictions by namespace / {{namespace}}": exactly(0),
    # Parts of nodes are rounded up.
    "cache / Quota taken / {{namespace}} entries": Expectation(total=NAMESPACED_KEYS / QUOTA_ENTRIES, tolerance=0.05, series=1),
    "cache / Ring phase / {{phase}}": exactly(1, 3),
    "cache / Ring phase / too few copies": exactly(0, 1),
    "cache / Ring phase / nodes that cannot be reached": exactly(0, 1),
    "cache / Refused batches / {{reason}}": exactly(0),
    "cache / Evictions and expirations / for room: {{reason}}": exactly(0),
    "cache / Evictions and expirations / expired": Expectation(least=0.1, high=20),
    "cache / Backups / {{result}}": Expectation(least=1, high=200),
    "cache / Age of the newest backup / {{instance}}": Expectation(high=60, series=AUXILIARIES),
    "control / Members by role / {{role}}": exactly(NODES, len(COUNTS)),
    "control / Members by role / in the ring": exactly(AUXILIARIES, 1),
    "control / Leader / {{instance}}": exactly(1, MASTERS),
    "control / Ring epoch by node / {{instance}}": Expectation(low=1, series=MASTERS + AUXILIARIES + WORKERS),
    "control / Complaints / auxiliaries": exactly(0, 1),
    "control / Requests to /kv / {{method}}": rates(GET="kv_get kv_miss", PUT="kv_put"),
    "control / Errors of /kv / {{status}}": rates(_404="kv_miss"),
    "control / Members with a leader / {{instance}}": exactly(1, 1),
    "control / Share of the quota / {{instance}}": Expectation(low=1e-9, high=0.5, series=1),
    "control / Changes of etcd's leader, failed proposals / leader changes": Expectation(high=1),
    "control / Changes of etcd's leader, failed proposals / failed proposals": exactly(0),
    "control / Changes of etcd's leader, failed proposals / pending proposals": Expectation(high=50),
    "control / Watches of etcd / watchers": Expectation(low=1),
    "control / Watches of etcd / behind": exactly(0, 1),
    "control / Raft leader and term / leaders": exactly(1, 1),
    "control / Raft leader and term / term": Expectation(low=1, high=100),
    "control / Raft log / applied": Expectation(low=1),
    "control / Raft log / revisions": Expectation(low=1),
    "control / Lag of members / {{member}}": Expectation(high=1000),
    "control / Size of the store / bytes": Expectation(low=100, high=1e8),
    "control / Disk of the raft log full / {{instance}}": exactly(0, MASTERS),
    "jobs / Submissions / {{status}}": Expectation(parts={"200": lambda f: f.rate("submitted")}, tolerance=0.4),
    "jobs / Jobs that ended / {{state}}": jobs_ended(),
    "jobs / Workers / workers": exactly(WORKERS, 1),
    "jobs / Workers / left out": exactly(0, 1),
    "jobs / Slots / {{state}}": exactly(2 * WORKERS, 2),
    "jobs / Tasks / {{result}}": Expectation(low=0, high=1000),
    "jobs / Memory of a task / p50": Expectation(low=1, high=16e9),
    "jobs / Memory of a task / p95": Expectation(low=1, high=16e9),
    "jobs / Shuffle / written": Expectation(low=1),
    "jobs / Failed attempts by worker / {{instance}} {{result}}": Expectation(high=1),
    "jobs / Spilled by worker / {{instance}}": exactly(0, WORKERS),
    "jobs / Room in WORK_DIR by worker / {{instance}}": Expectation(low=1e6, series=WORKERS),
    "jobs / Bytes of blobs by node / {{instance}}": Expectation(high=1e9, series=AUXILIARIES),
    "jobs / Blobs by node / {{instance}}": exactly(BLOB_COPIES, AUXILIARIES),
    "jobs / Room for blobs by node / {{instance}}": Expectation(low=1e6, series=AUXILIARIES),
    "jobs / Damaged copies found / {{instance}}": exactly(0, AUXILIARIES),
    "nodes / State / {{instance}}": exactly(NODES, NODES),
    "nodes / Processor time / {{instance}}": Expectation(high=64, series=NODES, least=0.01),
    "nodes / Memory / {{instance}}": Expectation(low=1e6, high=64e9, series=NODES),
    "nodes / Time since the start / {{instance}}": Expectation(low=0, high=3600, series=NODES),
    "nodes / File descriptors / {{instance}}": Expectation(low=1e-9, high=0.5, series=NODES),
    "nodes / Threads / {{instance}}": Expectation(low=1, high=1000, series=NODES),
    "nodes / Requests by route / {{route}}": Expectation(
        parts={"/cache/{key}": lambda f: f.rate(CACHE_KINDS), "/kv/{key}": lambda f: f.rate(KV_KINDS)}, tolerance=0.3
    ),
    "nodes / Refused by limits / {{instance}} {{limit}}": exactly(0),
    "nodes / Spans of traces / {{outcome}}": exactly(0),
    "nodes / Open circuit breakers / {{instance}} to {{peer}}": exactly(0),
    "nodes / Load / {{instance}}": Expectation(low=0, high=1000, series=1),
    "nodes / Memory in use / {{instance}}": Expectation(low=0.001, high=1, series=1),
    "nodes / NGINX: requests / requests": Expectation(total=lambda f: f.rate(ALL_KINDS), tolerance=0.4),
    "nodes / NGINX: connections / active": Expectation(low=1, high=1000),
    "nodes / NGINX: connections / reading": Expectation(high=100),
    "nodes / NGINX: connections / writing": Expectation(high=100),
    "nodes / NGINX: connections / waiting": Expectation(high=100),
    "nodes / NGINX: dropped connections / dropped": exactly(0, 1),
    "nodes / Prometheus / samples": Expectation(low=10),
    "nodes / Prometheus / failed evaluations": exactly(0, 1),
}
# Values of recording rules.
RECORDED = {
    "slo:cache_errors:": exactly(0, 1),
    "slo:cache_slow:": Expectation(low=-1e-9, high=1, series=1),
    "slo:cache_requests:": Expectation(low=1e-3, series=1),
    "cache:hit_ratio:": Expectation(total=HIT_RATIO, tolerance=0.05, series=1),
    "cache:reads:": Expectation(low=0.1, series=1),
}


def of(query: Query) -> Expectation:
    """What is known of a query, or else what its unit says."""
    if query.place in KNOWN:
        return KNOWN[query.place]
    if query.unit == "percentunit":
        return RATIO
    if query.unit == "s":
        return LATENCY if "histogram_quantile" in query.expr else AGE
    return UNITS[query.unit]
