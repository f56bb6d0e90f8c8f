"""A stack of real processes on free ports: etcd or the built-in Raft, masters, NGINX, auxiliaries, workers, exporters, Prometheus."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BINARIES = Path(os.environ.get("ELASTICORE_BIN_DIR", "target/debug"))
# More often than in prometheus/prometheus.yml (5 s), so that a short run has enough samples.
SCRAPE_SECONDS = 2
COUNTS = {"master": 3, "auxiliary": 3, "worker": 2}
# Seconds a process may take to come up on a machine that is busy.
START_LIMIT = 90


def free_ports(count: int) -> list[int]:
    """Different ports: all are held until all are found."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def ask(url: str, timeout: float = 5) -> bytes:
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read()


def until(what: str, condition, limit: float = START_LIMIT) -> None:
    """Waits for a condition; an error is a condition that does not hold yet."""
    deadline, last = time.monotonic() + limit, None
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except (OSError, urllib.error.URLError, ValueError) as error:
            last = error
        time.sleep(0.2)
    raise SystemExit(f"error: after {limit:.0f} s still not: {what}" + (f" ({last})" if last else ""))


class Stack:
    """Processes, by name. All end with the `with` block."""

    def __init__(self, store: str, directory: Path):
        self.store, self.directory = store, directory
        self.processes: dict[str, subprocess.Popen] = {}
        self.commands: dict[str, tuple[list[str], dict[str, str]]] = {}
        self.names = [f"{role}-{n}" for role, count in COUNTS.items() for n in range(1, count + 1)]
        extra = ["public-1", "public-2", "public-3", "etcd", "etcd-peer", "nginx", "nginx-status", "nginx-exporter", "host", "prometheus"]
        self.ports = dict(zip([*self.names, *extra], free_ports(len(self.names) + len(extra)), strict=True))
        self.front = f"http://127.0.0.1:{self.ports['nginx']}"
        self.prometheus = f"http://127.0.0.1:{self.ports['prometheus']}"

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error) -> None:
        for name in reversed(list(self.processes)):
            self.processes[name].send_signal(signal.SIGKILL if name == "prometheus" else signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def run(self, name: str, command: list[str], **environment: str) -> None:
        """Starts a process, or starts it again."""
        self.commands[name] = (command, environment)
        log = open(self.directory / f"{name}.log", "ab")
        self.processes[name] = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log, cwd=self.directory)
        log.close()

    def restart(self, name: str) -> None:
        """Stops a process as an operator does, and starts it again."""
        self.processes[name].terminate()
        self.processes[name].wait(timeout=60)
        command, environment = self.commands[name]
        self.run(name, command, **environment)

    def _start(self) -> None:
        if self.store == "etcd":
            self._etcd()
        self._exporters_and_prometheus()
        for n in (1, 2, 3):
            self._node("master", n)
        until("masters are ready", lambda: all(ask(f"http://127.0.0.1:{self.ports[f'public-{n}']}/ready") for n in (1, 2, 3)))
        self._nginx()
        # Prometheus has seen masters without a ring: so the making of the ring is an increase.
        until("Prometheus sees the masters", lambda: len(self.query('up{job="master"} == 1')) == COUNTS["master"])
        for role in ("auxiliary", "worker"):
            for n in range(1, COUNTS[role] + 1):
                self._node(role, n)
        until("the ring is whole", lambda: self.value("max(cluster_ring_members)") == COUNTS["auxiliary"])
        until("all workers poll", lambda: self.value("max(job_workers)") == COUNTS["worker"])
        until("every target is scraped", lambda: not self.query("up == 0"))

    def _etcd(self) -> None:
        client, peer = (f"http://127.0.0.1:{self.ports[name]}" for name in ("etcd", "etcd-peer"))
        self.run(
            "etcd",
            [
                "etcd",
                "--name",
                "etcd-1",
                "--data-dir",
                str(self.directory / "etcd"),
                "--listen-client-urls",
                client,
                "--advertise-client-urls",
                client,
                "--listen-peer-urls",
                peer,
                "--initial-advertise-peer-urls",
                peer,
                "--initial-cluster",
                f"etcd-1={peer}",
                "--quota-backend-bytes",
                str(2 << 30),
            ],
        )
        until("etcd is healthy", lambda: b"true" in ask(f"{client}/health"))

    def _node(self, role: str, n: int) -> None:
        name = f"{role}-{n}"
        own = self.directory / name
        own.mkdir()
        settings = {
            "NODE_ID": name,
            "BIND": "127.0.0.1",
            "ADVERTISE_ADDR": "127.0.0.1",
            "CLUSTER_TOKEN": "monitoring",
            "RUST_LOG": "info,openraft=error",
        }
        if role == "master":
            settings |= {"PORT": str(self.ports[f"public-{n}"]), "INTERNAL_PORT": str(self.ports[name])}
            if self.store == "etcd":
                settings |= {"CONTROL_STORE": "etcd", "ETCD_ENDPOINTS": f"http://127.0.0.1:{self.ports['etcd']}"}
            else:
                cluster = ",".join(f"master-{i}=127.0.0.1:{self.ports[f'master-{i}']}" for i in (1, 2, 3))
                settings |= {"CONTROL_STORE": "raft", "RAFT_DIR": str(own / "raft"), "RAFT_INITIAL_CLUSTER": cluster}
        else:
            settings |= {"PORT": str(self.ports[name]), "MASTER_ADDRESS": f"127.0.0.1:{self.ports['nginx']}"}
        if role == "auxiliary":
            settings |= {"BACKUP_DIR": str(own / "backups"), "BLOB_DIR": str(own / "blobs"), "BACKUP_INTERVAL": "10"}
        if role == "worker":
            settings |= {"WORK_DIR": str(own / "work"), "DATA_DIRS": str(ROOT / "deploy/sample-data"), "WORKER_SLOTS": "2"}
        self.run(name, [str(BINARIES / f"elasticore-{role}")], **settings)

    def _nginx(self) -> None:
        masters = " ".join(f"127.0.0.1:{self.ports[f'public-{n}']}" for n in (1, 2, 3))
        self.run(
            "nginx",
            ["sh", str(ROOT / "nginx/start")],
            MASTERS=masters,
            LISTEN=f"127.0.0.1:{self.ports['nginx']}",
            WORKERS="1",
            STATUS_LISTEN=f"127.0.0.1:{self.ports['nginx-status']}",
            RUNTIME_DIR=str(self.directory / "nginx"),
            ACCESS_LOG="off",
        )
        until("NGINX answers", lambda: ask(f"{self.front}/ready"))

    def _exporters_and_prometheus(self) -> None:
        self.run(
            "nginx-exporter",
            [
                "prometheus-nginx-exporter",
                f"-web.listen-address=127.0.0.1:{self.ports['nginx-exporter']}",
                f"-nginx.scrape-uri=http://127.0.0.1:{self.ports['nginx-status']}/stub_status",
                # It waits for NGINX, which comes later.
                "-nginx.retries=200",
                "-nginx.retry-interval=500ms",
            ],
        )
        self.run("host", ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{self.ports['host']}"])
        config = self.directory / "prometheus.json"
        config.write_text(json.dumps(self._configuration(), indent=1))
        self.run(
            "prometheus",
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={self.directory / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}",
            ],
        )
        until("Prometheus is ready", lambda: ask(f"{self.prometheus}/-/ready"))

    def _configuration(self) -> dict:
        """The same jobs as in prometheus/prometheus.yml, at the ports of this stack."""

        def job(name: str, *nodes: str) -> dict:
            targets = [{"targets": [f"127.0.0.1:{self.ports[node]}"], "labels": {"instance": node}} for node in nodes]
            return {"job_name": name, "static_configs": targets}

        jobs = [job(role, *(name for name in self.names if name.startswith(role))) for role in COUNTS]
        jobs += [job("nginx", "nginx-exporter"), job("host", "host"), job("prometheus", "prometheus")]
        if self.store == "etcd":
            jobs.append(job("etcd", "etcd"))
        interval = f"{SCRAPE_SECONDS}s"
        # JSON is YAML too.
        return {
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": [str(path) for path in sorted((ROOT / "prometheus/rules").glob("*.yml"))],
            "scrape_configs": jobs,
        }

    def query(self, expr: str, at: float | None = None) -> list[tuple[dict[str, str], float]]:
        """Series and their values now, or at a time."""
        result = self._ask("query", query=expr, **({"time": f"{at:.3f}"} if at else {}))["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def query_range(self, expr: str, start: float, end: float) -> list[dict]:
        """Series that were there at any time between."""
        return self._ask("query_range", query=expr, start=f"{start:.3f}", end=f"{end:.3f}", step=str(SCRAPE_SECONDS))["result"]

    def rules(self) -> list[dict]:
        """All rules, with how their last evaluation went."""
        return [rule | {"group": group["name"]} for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def value(self, expr: str) -> float | None:
        answer = self.query(expr)
        return answer[0][1] if answer else None

    def _ask(self, what: str, **parameters: str) -> dict:
        body = urllib.parse.urlencode(parameters).encode() or None
        request = urllib.request.Request(f"{self.prometheus}/api/v1/{what}", data=body)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error).get("error", error)) from error
