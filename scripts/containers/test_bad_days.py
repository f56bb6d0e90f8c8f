"""Days that should not come: volumes that are lost, secrets that are not there. The stack says what is wrong, and the documents what to do."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from . import faults, queries
from .documented import do, documented
from .engine import ENVIRONMENT, FRONT, PROJECT, ROOT, ask, compose, container, containers, run, running, take_down, target_directory, until
from .faulty import Faulty
from .traffic import Traffic

ETCD = ("etcd-1", "etcd-2", "etcd-3")


def forget(service: str) -> None:
    """The container and its volume are no more."""
    compose("rm", "-sf", service)
    run("docker", "volume", "rm", f"{PROJECT}_{service}")


class BadDays(Faulty):
    def test_one_etcd_has_lost_its_data(self):
        with Traffic().running() as traffic:
            self.assert_more(traffic)
            forget("etcd-2")
            compose("up", "-d", "--no-deps", "--no-build", "etcd-2")
            until("etcd says what is wrong", lambda: "has already been bootstrapped" in compose("logs", "--no-color", "etcd-2"))
            # elasticore is the name that Compose gives a project in a directory elasticore.
            do(documented("troubleshooting.md", "etcdctl member remove").replace("elasticore_etcd-2", f"{PROJECT}_etcd-2"), 120)
            until("etcd-2 is healthy again", lambda: faults.is_healthy("etcd-2"))
            self.assert_more(traffic)
        listed = run("docker", "exec", container("etcd-1"), "etcdctl", "endpoint", "status", "--cluster")
        self.assertEqual(len(listed.splitlines()), 3, listed)
        self.assert_resent_only(traffic, 20, "/kv")
        self.assert_kv_goes_on(traffic)
        self.assert_promises_kept(traffic)

    def test_z_all_of_etcd_has_lost_its_data(self):
        """Last: what was in the store does not come back."""
        self.assertIn(ask("PUT", f"{FRONT}/kv/lost", b"x")[0], (200, 201))
        with Traffic(kv=0).running() as traffic:
            self.assert_more(traffic)
            for service in ETCD:
                forget(service)
            compose("up", "-d", "--no-deps", "--no-build", *ETCD)
            until("/kv is empty", lambda: ask("GET", f"{FRONT}/kv/lost")[0] == 404)
            until("jobs run", queries.job_succeeds)
            self.assert_more(traffic)
        said = compose("logs", "--no-color", "master-1", "master-2", "master-3", "auxiliary-1")
        self.assertIn("etcd has lost its data", said)
        self.assert_promises_kept(traffic)


class SecretsMissing(unittest.TestCase):
    """deploy/compose.secure.yml without its certificates and secrets, or with some that do not fit."""

    FILES = ["docker-compose.yml", "deploy/compose.secure.yml", "deploy/compose.offline.yml"]

    def setUp(self):
        take_down()
        self.secrets = Path(tempfile.mkdtemp(prefix="elasticore-secrets-"))
        self.addCleanup(shutil.rmtree, self.secrets)
        self.addCleanup(ENVIRONMENT.pop, "ELASTICORE_SECRETS")
        ENVIRONMENT["ELASTICORE_SECRETS"] = str(self.secrets)
        running[:] = self.FILES
        self.addCleanup(take_down)

    def test_nothing_starts_without_any_and_says_which_file_is_missing(self):
        said = compose("up", "-d", "--no-build", check=False)
        self.assertIn("uses an undefined secret file", said)
        self.assertRegex(said, rf"bind source path does not exist: {self.secrets}/\S+")
        self.assertEqual({name for name, found in containers().items() if name.startswith("etcd") and found["State"]["Running"]}, set())
        # Nothing was made in their place that would be in the way of the real ones.
        self.assertEqual(list(self.secrets.iterdir()), [])

    def test_a_node_with_the_certificate_of_another_says_so(self):
        setup = ENVIRONMENT | {"ELASTICORE": str(target_directory() / "debug" / "elasticore")}
        subprocess.run([ROOT / "deploy" / "secure-setup"], env=setup, check=True, capture_output=True)
        shutil.copy(self.secrets / "worker-1.pem", self.secrets / "worker-2.pem")
        (self.secrets / "auxiliary-2.pem").write_text("")
        # They need nobody else to find out.
        compose("up", "-d", "--no-build", "--no-deps", "worker-2", "auxiliary-2")

        def says(service: str, *words: str):
            until(f"{service} says {words}", lambda: all(word in compose("logs", "--no-color", service) for word in words))
        says("worker-2", "TLS_CERT", "TLS_KEY")
        says("auxiliary-2", "TLS_CERT", "/run/secrets/node.pem")
