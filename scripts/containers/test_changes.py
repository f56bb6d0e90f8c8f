"""What operators do to a stack that works: scale, upgrade, restart. The commands are those of docs/deployment.md."""

import json
import secrets
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from . import faults, queries
from .bounds import Bounds
from .documented import do, documented
from .engine import (
    ENVIRONMENT, FILES, FRONT, PROJECT, ask, bring_up, compose, container, containers, health, nodes, prometheus, ring_is_whole, run, running, take_down,
    until,
)  # fmt: skip
from .faulty import Faulty
from .traffic import Connection, Traffic

UPGRADED = ("worker-1", "worker-2", *(f"{role}-{n}" for role in ("auxiliary", "master", "etcd") for n in (1, 2, 3)))


def workers() -> set[str]:
    return {node["id"] for node in nodes()["nodes"] if node["role"] == "worker"}


def scaled_volumes() -> list[str]:
    """Volumes of scaled workers: nobody removes them with the containers, for they have no names."""
    ids = run("docker", "ps", "-q", "--filter", f"label=com.docker.compose.project={PROJECT}", "--filter", "label=com.docker.compose.service=worker").split()
    return [mount["Name"] for container in json.loads(run("docker", "inspect", *ids)) for mount in container["Mounts"] if mount["Type"] == "volume"]


class Changed(Bounds, Faulty):
    def test_workers_are_scaled(self):
        command = documented("deployment.md", "--scale worker=4")
        files = [*FILES, "deploy/compose.workers.yml"]
        self.addCleanup(compose, "up", "-d", "--no-build", "--scale", "worker=0", files=files)
        with Traffic(cache=1, kv=0, jobs=2).running() as traffic:
            do(command, 120)
            until("there are six workers", lambda: len(workers()) == 6)
            busy: set[str] = set()

            def all_had_tasks() -> bool:
                id = queries.submit(queries.JOIN, wait=30)["id"]
                busy.update(queries.workers_of(id))
                return busy == workers()
            until("each of them has had tasks", all_had_tasks)
            self.addCleanup(run, "docker", "volume", "rm", *scaled_volumes(), check=False)
            do(command.replace("worker=4", "worker=1"), 120)
            until("there are three workers", lambda: len(workers()) == 3)
            self.assert_more(traffic, 20)
            do(command.replace("worker=4", "worker=0"), 120)
            until("there are two workers", lambda: len(workers()) == 2)
        self.assert_nothing_noticed(traffic)
        self.assert_promises_kept(traffic)

    def test_a_fourth_auxiliary_comes_and_goes(self):
        files = [*FILES, "deploy/compose.auxiliary-4.yml"]
        with Traffic().running() as traffic:
            self.assert_more(traffic)
            self.addCleanup(compose, "up", "-d", "--no-build", "--no-deps", "prometheus")
            self.addCleanup(compose, "rm", "-sf", "auxiliary-4", files=files)
            do(documented("deployment.md", "up -d auxiliary-4 prometheus"), 120)
            until("auxiliary-4 is healthy", lambda: health(containers()["auxiliary-4"]) == "healthy")
            until("the ring has it", lambda: ring_is_whole(4))
            self.assert_bounded(containers()["auxiliary-4"])
            until("Prometheus scrapes it", lambda: prometheus('up{instance="auxiliary-4"} == 1'))
            self.assert_more(traffic)
            until("it is drained", lambda: ask("POST", f"{FRONT}/nodes/auxiliary-4/drain", Prefer="wait=30")[0] == 200)
            compose("rm", "-sf", "auxiliary-4", files=files)
            until("the ring is without it", lambda: ring_is_whole(3))
        self.assert_nothing_noticed(traffic)
        self.assert_promises_kept(traffic)

    def test_auth_and_its_first_key_reach_masters(self):
        key = secrets.token_hex(16)

        def answer(*headers: str) -> str:
            command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *headers, "http://127.0.0.1:8000/nodes"]
            return run("docker", "exec", container("master-1"), *command)
        self.assertEqual(answer(), "200")
        self.addCleanup(compose, "up", "-d", "--no-deps", "--no-build", "master-1")
        run("docker-compose", "up", "-d", "--no-deps", "--no-build", "master-1", COMPOSE_FILE=":".join(running), AUTH="on", ELASTICORE_ROOT_KEY=key)
        until("master-1 is healthy", lambda: faults.is_healthy("master-1"))
        until("master-1 serves", lambda: answer("-H", f"Authorization: Bearer {key}") == "200")
        self.assertEqual(answer(), "401")

    def test_every_service_is_upgraded_and_no_request_fails(self):
        images = {service: containers()[service]["Image"] for service in UPGRADED}
        for image in ("master", "auxiliary", "worker", "etcd"):
            tag = f"elasticore-offline/{image}:upgraded"
            again = ["docker", "build", "--label", f"elasticore.upgraded={time.time()}", "-t", tag, "-"]
            subprocess.run(again, input=f"FROM elasticore-offline/{image}\n", text=True, check=True, capture_output=True, env=ENVIRONMENT | {"DOCKER_BUILDKIT": "0"})
            self.addClassCleanup(run, "docker", "rmi", "-f", tag)
        # It goes on with the new images; tests of other modules begin with the old ones.
        self.addClassCleanup(ENVIRONMENT.update, ELASTICORE_VERSION=ENVIRONMENT["ELASTICORE_VERSION"])
        ENVIRONMENT["ELASTICORE_VERSION"] = "upgraded"
        self.addClassCleanup(take_down)
        begun = time.monotonic()
        with Traffic(jobs=1).running() as traffic:
            self.assert_more(traffic)
            script = documented("deployment.md", "replace()")
            do(script, 400)
            self.assert_more(traffic)
            self.assert_nothing_noticed(traffic)
            # Writes of /kv that are in the hands of an etcd that stops are the one thing that is to be sent again.
            functions = script[: script.index("for n in")]
            do(functions + documented("deployment.md", "replace etcd-$n"), 200)
            self.assert_more(traffic)
        print(f"upgraded within {time.monotonic() - begun:.0f} s", flush=True)
        for service, before in images.items():
            self.assertNotEqual(containers()[service]["Image"], before, service)
        self.assert_resent_only(traffic, 20, "PUT /kv")
        # NGINX closed no connection meanwhile: nothing was asked twice, not even by the HTTP client.
        self.assertEqual(traffic.repeated, 0)
        self.assertGreater(traffic.done["job"], 20)
        self.assert_promises_kept(traffic)

    def test_nginx_takes_a_new_configuration_and_no_request_fails(self):
        before = containers()["nginx"]["State"]["StartedAt"]
        with Traffic(jobs=1).running() as traffic:
            for _ in range(3):
                self.assert_more(traffic)
                do(documented("deployment.md", "nginx/reload").splitlines()[0], 30)
            self.assert_more(traffic)
        self.assertEqual(containers()["nginx"]["State"]["StartedAt"], before)
        self.assert_nothing_noticed(traffic)
        # Idle connections end with the workers that held them.
        self.assertGreater(traffic.repeated, 0)
        self.assert_promises_kept(traffic)

    def test_nginx_is_made_anew(self):
        with Traffic(jobs=1).running() as traffic, ThreadPoolExecutor(1) as slow:
            self.assert_more(traffic)
            answer = slow.submit(queries.submit, queries.LONG, 30)
            until("a request of some seconds is under way", lambda: queries.is_running(queries.LONG))
            compose("up", "-d", "--no-deps", "--no-build", "--force-recreate", "nginx")
            # Before it ended it has answered what it had begun.
            self.assertEqual(answer.result()["state"], "succeeded")
            until("NGINX is healthy", lambda: health(containers()["nginx"]) == "healthy")
            self.assert_more(traffic)
        # There is no front door meanwhile: nobody takes connections (0), or the engine's proxy does, and resets them (-1). Nothing else fails.
        self.assertEqual({failure.what.split()[0] for failure in traffic.failed} - {"0", "-1"}, set())
        self.assertLess(traffic.longest("/cache read", "/cache write", "/kv read", "/kv write"), 20)
        self.assert_promises_kept(traffic)

    def test_a_restart_of_everything_loses_nothing(self):
        for how in ("down", "kill"):
            with self.subTest(how):
                kept = self.write(how)
                if how == "kill":
                    # Of the cache that is what was there at the last backup.
                    self.assertTrue(json.loads(ask("POST", f"{FRONT}/backup")[2])["complete"])
                    ids = run("docker", "ps", "-q", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
                    run("docker", "kill", *ids)
                else:
                    compose("down")
                    self.assertEqual(containers(), {})
                bring_up()
                self.assert_kept(kept)

    def write(self, how: str) -> dict[str, bytes]:
        """A piece of everything that must stay, by path."""
        kept = {}
        for n in range(50):
            for root in ("cache", "kv"):
                kept[f"/{root}/{how}-{n}"] = b"%s-%d" % (root.encode(), n)
                self.assertIn(ask("PUT", f"{FRONT}/{root}/{how}-{n}", kept[f"/{root}/{how}-{n}"])[0], (200, 201))
        kept[f"/datasets/{how}/numbers.csv"] = b"a,b\n1,2\n3,4\n"
        self.assertIn(ask("PUT", f"{FRONT}/datasets/{how}/numbers.csv", kept[f"/datasets/{how}/numbers.csv"])[0], (200, 201))
        id = queries.submit(queries.JOIN, wait=30)["id"]
        kept[f"/jobs/{id}/result?format=csv"] = ask("GET", f"{FRONT}/jobs/{id}/result?format=csv")[2]
        return kept

    def assert_kept(self, kept: dict[str, bytes]):
        connection = Connection()
        found = {path: connection.patiently("GET", path) for path in kept}
        self.assertEqual({path: answer for path, answer in found.items() if answer != (200, kept[path])}, {})
