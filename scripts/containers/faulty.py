"""What tests of faults have in common: a stack that is whole before and after each, and what is promised whatever happens."""

import unittest

from . import faults, queries
from .engine import FRONT, all_healthy, ask, containers, ensure_up, explain, ring_is_whole, until
from .traffic import Traffic


class Faulty(unittest.TestCase):
    """Each test leaves the stack as it found it: whole, at rest."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        ensure_up()

    def setUp(self):
        # Last of all cleanups, after those that end the fault.
        self.addCleanup(self.assert_whole)

    def assert_whole(self):
        # What a test that failed has left behind.
        for service, container in containers().items():
            if not container["State"]["Running"]:
                faults.start(service)
        try:
            until("every container is healthy again", all_healthy)
            until("the ring is whole again", lambda: ring_is_whole(3))
            until("/kv is written again", lambda: ask("PUT", f"{FRONT}/kv/whole", b"x")[0] in (200, 201))
            until("jobs are done again", queries.job_succeeds)
        except AssertionError:
            explain()
            raise

    def assert_promises_kept(self, traffic: Traffic):
        """Nothing wrong was read, and nothing that was acknowledged is lost."""
        self.assertEqual(traffic.wrong, [])
        self.assertEqual(traffic.verify(), [])

    def assert_nothing_failed(self, traffic: Traffic):
        """Every request was answered as it should be at last; most at once, or the clients were not told to send it again."""
        self.assertEqual([str(failure) for failure in traffic.failed], [])

    def assert_nothing_noticed(self, traffic: Traffic):
        """Every request was answered as it should be, the first time."""
        self.assert_nothing_failed(traffic)
        self.assertEqual([str(failure) for failure in traffic.resent], [])

    def assert_resent_only(self, traffic: Traffic, limit: int, *requests: str):
        """At most so many requests had to be sent again, all of them such that begin with one of these, as in `/cache` or `PUT /kv`."""
        self.assert_nothing_failed(traffic)
        told = [str(failure) for failure in traffic.resent]
        self.assertLessEqual(len(told), limit, told[:20])
        self.assertEqual([one for one in told if not any(f" {request}/" in one or f" {request} " in one for request in requests)], [])

    def assert_kv_goes_on(self, traffic: Traffic):
        """It paused for no longer than what NGINX gives a master that does not answer (12 s), or an election and what masters give an etcd (5 s, once
        or twice): all of few clients may have had a request there."""
        self.assertLess(traffic.longest("/kv read", "/kv write"), 15)

    def assert_more(self, traffic: Traffic, requests: int = 100):
        """The clients go on: so many requests are done from now on."""
        begun = traffic.count()
        until(f"{requests} more requests are done", lambda: traffic.count() > begun + requests)

    def begin_long_job(self) -> tuple[str, set[str]]:
        """A job of some seconds, and the workers that have tasks of it."""
        id = queries.submit(queries.LONG)["id"]
        at_work = until("workers have tasks of the job", lambda: queries.workers_of(id, "running") if self.is_well_under_way(id) else None)
        return id, at_work

    @staticmethod
    def is_well_under_way(id: str) -> bool:
        """Whether some of its tasks are done, so that there is something to lose."""
        job = queries.job(id)
        return job is not None and job["progress"]["tasks"]["done"] > 4

    def assert_job_ends_well(self, id: str, limit: float = 90):
        ended = until("the job is over", lambda: queries.ended(id), limit)
        self.assertEqual((ended["state"], ended.get("error")), ("succeeded", None))
        self.assertEqual(queries.got_long(id), queries.long_rows())
