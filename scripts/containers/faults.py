"""What can happen to a container."""

import contextlib
import json

from .engine import NETWORK, container, containers, health, run


def kill(service: str) -> None:
    """By hand: the engine does not start it again by itself."""
    run("docker", "kill", container(service))


def start(service: str) -> None:
    run("docker", "start", container(service))


def die(service: str) -> None:
    """It ends by itself, at once: the engine starts it again."""
    # Signals from within do not reach the first process; when its child has died it ends.
    loop = 'for p in /proc/[0-9]*; do case "$(cat $p/comm 2>/dev/null)" in elasticore-*) kill -9 "${p#/proc/}";; esac; done'
    run("docker", "exec", container(service), "sh", "-c", loop)


def restarts(service: str) -> int:
    return containers()[service]["RestartCount"]


def is_healthy(service: str) -> bool:
    found = containers().get(service)
    return found is not None and health(found) in ("healthy", "running")


def leader_of_etcd() -> str:
    """The service of etcd whose server leads the others."""
    return next(service for service in ("etcd-1", "etcd-2", "etcd-3") if leads_etcd(service))


def leads_etcd(service: str) -> bool:
    status = json.loads(run("docker", "exec", container(service), "etcdctl", "endpoint", "status", "--write-out=json"))[0]["Status"]
    return status["header"]["member_id"] == status["leader"]


def inside(service: str, url: str) -> str:
    """What a container answers when it is asked from within; nothing when it does not."""
    return run("docker", "exec", container(service), "curl", "-s", "-m", "5", url, check=False)


def leads(master: str) -> bool:
    """Whether a master holds itself for the leader."""
    return "\ncluster_is_leader 1\n" in inside(master, "http://127.0.0.1:9000/metrics")


@contextlib.contextmanager
def cut_off(service: str):
    """A container without a network, for as long as this lasts."""
    id, address = container(service), containers()[service]["NetworkSettings"]["Networks"][NETWORK]
    fixed = (address["IPAMConfig"] or {}).get("IPv4Address")
    run("docker", "network", "disconnect", NETWORK, id)
    try:
        yield
    finally:
        # Names and fixed addresses are of the connection, not of the container.
        run("docker", "network", "connect", "--alias", service, *(["--ip", fixed] if fixed else []), NETWORK, id)
