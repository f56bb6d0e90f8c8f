"""What a run must achieve, and whether it did. Knows nothing of Locust, so that it can be tested."""

from dataclasses import asdict, dataclass, field

# What requests are called that were answered with 429: of a kind of their own, for which there is no objective.
QUEUE_FULL = "queue full"


@dataclass(frozen=True)
class Objective:
    """What requests of a kind must achieve. Kinds are the second word of a name: `GET /cache` is of the kind `/cache`."""

    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Objectives:
    """What a run must achieve."""

    kinds: dict[str, Objective]
    # Share of all requests that may fail.
    failures: float
    # Share of reads of the cache that must find something in the second half of a run, when it is warm.
    hit_rate: float
    # By how much the last quarter of a soak may be slower than its first.
    drift: float = 2.0

    @staticmethod
    def from_environment(environment: dict[str, str]) -> "Objectives":
        def figure(name: str, default: float) -> float:
            text = environment.get(name) or str(default)
            try:
                return float(text)
            except ValueError:
                raise ValueError(f"{name}={text} is no number") from None

        return Objectives(
            kinds={
                "/cache": Objective(figure("SLO_P95_MS", 50), figure("SLO_P99_MS", 250)),
                "/kv": Objective(figure("SLO_KV_P95_MS", 100), figure("SLO_KV_P99_MS", 500)),
                "/jobs": Objective(figure("SLO_JOBS_P95_MS", 5000), figure("SLO_JOBS_P99_MS", 15000)),
            },
            failures=figure("SLO_FAILURES", 0.001),
            hit_rate=figure("SLO_HIT_RATE", 0.5),
        )


@dataclass(frozen=True)
class Requests:
    """What became of the requests of a name. Times in milliseconds."""

    name: str
    count: int
    failed: int
    per_second: float
    p50: float
    p95: float
    p99: float
    # p95 of the first and the last quarter of the run, where there were enough requests.
    early_p95: float | None = None
    late_p95: float | None = None

    @property
    def kind(self) -> str:
        return self.name.split(" ")[-1]


@dataclass(frozen=True)
class Result:
    """What became of a run."""

    requests: list[Requests]
    # Of reads of the cache in the second half of the run.
    hits: int = 0
    misses: int = 0
    soak: bool = False
    errors: dict[str, int] = field(default_factory=dict)
    # Kinds of which there must be requests.
    wanted: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(r.count for r in self.requests)

    @property
    def failed(self) -> int:
        return sum(r.failed for r in self.requests)

    @property
    def hit_rate(self) -> float | None:
        reads = self.hits + self.misses
        return self.hits / reads if reads else None

    def as_json(self, broken: list[str]) -> dict:
        return asdict(self) | {"hit_rate": self.hit_rate, "count": self.count, "failed": self.failed, "broken": broken}


def judge(result: Result, objectives: Objectives) -> list[str]:
    """What the run did not achieve; nothing when all is well."""
    if result.count == 0:
        return ["no request was answered"]
    answered = {requests.kind for requests in result.requests if requests.count}
    broken = [f"no request to {kind} was answered" for kind in result.wanted if kind not in answered]
    if result.failed > objectives.failures * result.count:
        broken.append(f"{result.failed / result.count:.2%} of the requests failed; allowed are {objectives.failures:.2%}")
    for requests in result.requests:
        # What was hardly asked has no 99th percentile.
        objective = objectives.kinds.get(requests.kind)
        if objective is None or requests.count == 0:
            continue
        for share, measured, allowed in (("p95", requests.p95, objective.p95_ms), ("p99", requests.p99, objective.p99_ms)):
            if measured > allowed:
                broken.append(f"{requests.name}: {share} is {measured:.0f} ms; allowed are {allowed:.0f} ms")
        early, late = requests.early_p95, requests.late_p95
        # 10 ms more are noise.
        if result.soak and early is not None and late is not None and late > objectives.drift * early + 10:
            broken.append(f"{requests.name}: p95 grew from {early:.0f} ms in the first quarter to {late:.0f} ms in the last")
    if result.hit_rate is not None and result.hit_rate < objectives.hit_rate:
        broken.append(f"the hit rate is {result.hit_rate:.1%}; at least {objectives.hit_rate:.1%} is wanted")
    return broken


def table(result: Result) -> str:
    """The figures of a run for people."""
    lines = [f"{'request':<18}{'count':>10}{'failed':>8}{'req/s':>9}{'p50 ms':>8}{'p95 ms':>8}{'p99 ms':>8}"]
    for r in sorted(result.requests, key=lambda r: (r.kind, r.name)):
        lines.append(f"{r.name:<18}{r.count:>10}{r.failed:>8}{r.per_second:>9.1f}{r.p50:>8.0f}{r.p95:>8.0f}{r.p99:>8.0f}")
    lines.append(f"{'all':<18}{result.count:>10}{result.failed:>8}{sum(r.per_second for r in result.requests):>9.1f}")
    reads = result.hits + result.misses
    lines.append(f"hit rate: {result.hit_rate:.1%} of {reads} reads in the second half" if reads else "hit rate: no reads of the cache")
    lines += [f"{count} times: {error}" for error, count in sorted(result.errors.items(), key=lambda item: -item[1])[:10]]
    return "\n".join(lines)
