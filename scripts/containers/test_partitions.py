"""Containers that are cut off from the network, and come back without having been started anew."""

import time
from concurrent.futures import ThreadPoolExecutor

from . import faults, queries
from .engine import FRONT, all_healthy, ask, containers, leader, nodes, ring_is_whole, until
from .faulty import Faulty
from .traffic import Traffic

MASTERS = ("master-1", "master-2", "master-3")


class CutOff(Faulty):
    def setUp(self):
        super().setUp()
        self.started = {service: container["State"]["StartedAt"] for service, container in containers().items()}

    def assert_nobody_was_started_anew(self):
        self.assertEqual({service: container["State"]["StartedAt"] for service, container in containers().items()}, self.started)

    def test_an_auxiliary(self):
        with Traffic(jobs=1).running() as traffic:
            self.assert_more(traffic)
            with faults.cut_off("auxiliary-2"):
                until("the ring goes on with two", lambda: ring_is_whole(2))
                self.assert_more(traffic, 300)
            until("it has joined again by itself", lambda: ring_is_whole(3))
            self.assert_more(traffic)
        self.assert_nothing_noticed(traffic)
        self.assertLess(traffic.longest("/cache read"), 3)
        self.assert_nobody_was_started_anew()
        self.assert_promises_kept(traffic)

    def test_the_master_that_leads(self):
        before = leader()
        others = [master for master in MASTERS if master != before]
        with Traffic().running() as traffic:
            id, _ = self.begin_long_job()
            with faults.cut_off(before):
                until("another master leads", lambda: any(faults.leads(master) for master in others))
                until("the old leader knows that it is none", lambda: not faults.leads(before))
                until("clients hear of the new one", lambda: nodes()["leader"] in others)
                self.assert_job_ends_well(id)
                self.assertEqual([faults.leads(master) for master in others].count(True), 1)
            until("it is healthy again", lambda: faults.is_healthy(before))
            self.assert_more(traffic)
            until("there is one leader", lambda: [faults.leads(master) for master in MASTERS].count(True) == 1)
        # What it was asked when it was cut off, on connections that looked well: unknown, after the time NGINX gives it.
        self.assert_resent_only(traffic, 20, "/cache", "/kv")
        self.assert_kv_goes_on(traffic)
        self.assert_nobody_was_started_anew()
        self.assert_promises_kept(traffic)

    def test_what_was_given_up_is_not_executed_later(self):
        """NGINX answered 504 for it, the client wrote anew: what is still on its way to the master that was cut off must not undo that."""
        master = next(master for master in MASTERS if master != leader())
        keys = [f"{FRONT}/cache/given-up-{n}" for n in range(60)]
        with ThreadPoolExecutor(len(keys)) as clients:
            # So that NGINX has connections to it.
            list(clients.map(lambda key: ask("PUT", key, b"older"), keys))
            with faults.cut_off(master):
                begun = time.monotonic()
                outcomes = list(clients.map(lambda key: ask("PUT", key, b"old")[0], keys))
                given_up = [key for key, status in zip(keys, outcomes, strict=True) if status == 504]
                self.assertTrue(given_up, "nothing was sent to it")
                self.assertEqual({ask("PUT", key, b"new")[0] for key in given_up}, {200})
        until("it is healthy again", lambda: faults.is_healthy(master))
        # TCP repeats what was not acknowledged after 0.2 s, and then after twice as long each time: 25 s after the first time here.
        while time.monotonic() < begun + 30:
            self.assertEqual({ask("GET", key)[2] for key in given_up}, {b"new"})

    def test_a_worker(self):
        id, at_work = self.begin_long_job()
        worker = sorted(at_work)[0]
        with faults.cut_off(worker):
            self.assertIsNone(queries.ended(id), "the job was over before the worker was cut off")
            self.assert_job_ends_well(id)
        until("it is healthy again", lambda: faults.is_healthy(worker))

        # A job needs both: it is made of more tasks than one worker has slots.
        def takes_part() -> bool:
            id = queries.submit(queries.JOIN, wait=30)["id"]
            return worker in queries.workers_of(id)
        until("it has tasks again", takes_part)
        self.assert_nobody_was_started_anew()

    def test_an_etcd(self):
        with Traffic().running() as traffic:
            self.assert_more(traffic)
            with faults.cut_off(faults.leader_of_etcd()):
                begun = time.monotonic()
                until("masters have done without it for longer than leases last", lambda: time.monotonic() - begun > 12)
                self.assert_more(traffic, 200)
            until("all are healthy again", all_healthy)
        self.assert_resent_only(traffic, 20, "/kv")
        self.assert_kv_goes_on(traffic)
        self.assert_nobody_was_started_anew()
        self.assert_promises_kept(traffic)
