"""The stack without etcd: deploy/compose.raft.yml."""

import json
import unittest

from . import faults
from .bounds import Bounds
from .engine import FILES, FRONT, SERVICES, all_healthy, ask, bring_up, compose, ensure_up, until


class WithoutEtcd(Bounds, unittest.TestCase):
    """The masters keep the store themselves."""

    FILES = [*FILES, "deploy/compose.raft.yml"]
    SERVICES = {service for service in SERVICES if not service.startswith("etcd-")}

    @classmethod
    def setUpClass(cls):
        ensure_up(cls.SERVICES, cls.FILES)

    def assert_there(self, key: str, value: bytes):
        until(f"/kv/{key} is {value!r}", lambda: ask("GET", f"{FRONT}/kv/{key}")[::2] == (200, value))

    def test_store_outlives_its_leader_and_the_containers(self):
        self.assertEqual(ask("PUT", f"{FRONT}/kv/before", b"one")[0], 201)
        status = json.loads(ask("GET", f"{FRONT}/cluster/status")[2])
        self.assertEqual((status["engine"], status["quorum"]), ("raft", True))
        self.assertEqual({member["name"] for member in status["members"]}, {"master-1", "master-2", "master-3"})

        leader = status["leader"]
        faults.kill(leader)
        until("a write without the leader", lambda: ask("PUT", f"{FRONT}/kv/between", b"two")[0] in (200, 201))
        self.assert_there("before", b"one")
        after = json.loads(ask("GET", f"{FRONT}/cluster/status")[2])
        self.assertNotEqual(after["leader"], leader)
        faults.start(leader)
        until("the old leader is healthy again", lambda: all_healthy(self.SERVICES))

        # Nothing but the volumes is left.
        compose("down", "--timeout", "20")
        bring_up(self.SERVICES, self.FILES)
        self.assert_there("before", b"one")
        self.assert_there("between", b"two")
        self.assertEqual(ask("PUT", f"{FRONT}/kv/after", b"three")[0], 201)
