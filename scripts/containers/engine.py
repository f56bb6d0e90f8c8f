"""The stack of docker-compose.yml in a project, a network and ports of its own, so that it disturbs no stack that is running.

One stack at a time, shared by all tests of a run: `ensure_up` makes it the one that a module wants, `take_down` ends it.
"""

import contextlib
import json
import os
import random
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLE = ROOT / "deploy" / "sample-data"
PROJECT = f"elasticore-test-{os.getpid()}"
NETWORK = f"{PROJECT}_cluster"
SERVICES = {
    *(f"{role}-{i}" for role in ("etcd", "master", "auxiliary") for i in (1, 2, 3)),
    "worker-1",
    "worker-2",
    "nginx",
    "nginx-exporter",
    "node-exporter",
    "prometheus",
}
# Seconds: how long a stack may take to be healthy once there are images, and a condition to become true once it is.
START_LIMIT = 90
CONDITION_LIMIT = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# Docker's own variables stay; what somebody has set for a stack of theirs must not get into this one.
OWN = ("COMPOSE_", "ELASTICORE_")
KEPT = ("ELASTICORE_CACHE", "ELASTICORE_KEEP")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name in KEPT or not name.startswith(OWN)} | {
    "COMPOSE_PROJECT_NAME": PROJECT,
    "ELASTICORE_PORT": str(free_port()),
    "PROMETHEUS_PORT": str(free_port()),
    "ELASTICORE_SUBNET": f"172.30.{random.randint(100, 250)}",
    "ELASTICORE_DATA": str(SAMPLE),
    "CLUSTER_TOKEN": "compose-test-token",
    "ELASTICORE_IMAGES": "elasticore-offline",
    "ELASTICORE_VERSION": "latest",
}
FRONT = f"http://127.0.0.1:{ENVIRONMENT['ELASTICORE_PORT']}"
PROMETHEUS = f"http://127.0.0.1:{ENVIRONMENT['PROMETHEUS_PORT']}"
FILES = ["docker-compose.yml", "deploy/compose.offline.yml"]
# What is up: its files; none before the first.
running: list[str] = []
engine_is_ours = False


def run(*command: str, check: bool = True, **variables: str) -> str:
    environment = ENVIRONMENT | variables
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout


def compose(*arguments: str, files: list[str] | None = None, check: bool = True) -> str:
    return run("docker-compose", *arguments, check=check, COMPOSE_FILE=":".join(files or running or FILES))


def containers() -> dict[str, dict]:
    """What the engine knows about each service's container."""
    ids = run("docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
    # One that is being removed may be gone by now.
    found = json.loads(run("docker", "inspect", *ids, check=False).split("\n[Error", 1)[0].split("\nError", 1)[0]) if ids else []
    return {c["Config"]["Labels"]["com.docker.compose.service"]: c for c in found}


def container(service: str) -> str:
    """The id of a service's container."""
    ids = run(
        "docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={PROJECT}", "--filter", f"label=com.docker.compose.service={service}"
    )  # fmt: skip
    return ids.split()[0]


def target_directory() -> Path:
    """Where cargo leaves binaries."""
    command = f". {ROOT}/scripts/env.sh && printf '%s' \"$CARGO_TARGET_DIR\""
    return Path(subprocess.check_output(["bash", "-c", command], text=True, env=ENVIRONMENT))


def health(container: dict) -> str:
    state = container["State"]
    return state.get("Health", {}).get("Status", state["Status"])


def ask(method: str, url: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, names, method=method)
    try:
        with urllib.request.urlopen(request, timeout=40) as response:
            return response.status, {k.lower(): v for k, v in response.headers.items()}, response.read()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def until(what: str, condition, limit: float = CONDITION_LIMIT):
    """Waits for `condition` to return something true, which is returned."""
    deadline = time.monotonic() + limit
    while True:
        with contextlib.suppress(OSError):
            if value := condition():
                return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {limit} s still not so: {what}")
        time.sleep(0.3)


def prometheus(query: str) -> list[dict]:
    status, _, body = ask("GET", f"{PROMETHEUS}/api/v1/query?" + urllib.parse.urlencode({"query": query}))
    answer = json.loads(body)
    if status != 200:
        raise AssertionError(f"{query}: {answer}")
    return answer["data"]["result"]


def nodes() -> dict:
    """What `/nodes` says; nothing while nobody answers."""
    status, _, body = ask("GET", f"{FRONT}/nodes")
    return json.loads(body) if status == 200 else {"leader": None, "phase": None, "nodes": []}


def leader() -> str:
    """The master that leads, once there is one."""
    return until("there is a leader", lambda: nodes()["leader"])


def ring_is_whole(count: int) -> bool:
    """Whether so many auxiliaries are in a ring at rest, each with all it must hold."""
    told = nodes()
    synced = [n for n in told["nodes"] if n["role"] == "auxiliary" and n["share"] is not None and (n.get("cache") or {}).get("synced")]
    return told["phase"] == "stable" and len(synced) == count == sum(n["share"] is not None for n in told["nodes"])


def all_healthy(services: set[str] = SERVICES) -> bool:
    states = {service: health(container) for service, container in containers().items()}
    return set(states) == services and all(state in ("healthy", "running") for state in states.values())


def bring_up(services: set[str] = SERVICES, files: list[str] = FILES) -> None:
    begun = time.monotonic()
    running[:] = files
    try:
        compose("up", "-d", "--no-build")
        until("every container is healthy", lambda: all_healthy(services), START_LIMIT)
        until("NGINX reaches a ready master", lambda: ask("GET", f"{FRONT}/ready")[0] == 200)
        until("a cache write is accepted", lambda: ask("PUT", f"{FRONT}/cache/warm", b"up")[0] in (200, 201))
        until("the ring is whole", lambda: ring_is_whole(3))
        took = time.monotonic() - begun
        if took > START_LIMIT:
            raise AssertionError(f"up and healthy after {took:.0f} s; it should be {START_LIMIT} s at most")
    except BaseException:
        explain()
        raise
    print(f"up and healthy after {took:.0f} s", flush=True)


def ensure_up(services: set[str] = SERVICES, files: list[str] = FILES) -> None:
    """Makes the stack that of these files: a new one, with nothing kept, unless it is the one that runs."""
    if running == files and all_healthy(services):
        return
    if running:
        compose("down", "-v", "--remove-orphans", "--timeout", "20")
    bring_up(services, files)


def explain() -> None:
    """Says on failure what a person would look up first."""
    print(compose("ps", check=False))
    for service, found in containers().items():
        if health(found) not in ("healthy", "running"):
            print(f"--- {service}: {health(found)}\n" + compose("logs", "--no-color", "--tail=15", service, check=False))


def take_down() -> None:
    if os.environ.get("ELASTICORE_KEEP") == "1":
        print(f"left up: project {PROJECT}, {FRONT}, {PROMETHEUS}")
        return
    compose("down", "-v", "--remove-orphans", "--timeout", "20", check=False)
    running.clear()
    # What a service of an override left, should the file not name it.
    for kind, listed in (("container", ["ps", "-aq"]), ("network", ["network", "ls", "-q"]), ("volume", ["volume", "ls", "-q"])):
        left = run("docker", *listed, "--filter", f"label=com.docker.compose.project={PROJECT}").split()
        if left:
            run("docker", kind, "rm", *(["-f"] if kind == "container" else []), *left)


@contextlib.contextmanager
def engine():
    """A Docker engine with the images; what was started is ended, and what was brought up is taken down."""
    ours = subprocess.check_output([ROOT / "scripts/docker-up"], text=True, env=ENVIRONMENT).strip() == "started"
    try:
        subprocess.run([ROOT / "scripts/offline-images"], check=True, env=ENVIRONMENT)
        yield
    finally:
        take_down()
        if ours and os.environ.get("ELASTICORE_KEEP") != "1":
            subprocess.run([ROOT / "scripts/docker-down"], check=True, env=ENVIRONMENT)
