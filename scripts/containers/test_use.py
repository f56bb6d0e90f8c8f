"""The stack used as people use it."""

import json
import re
import time
import unittest

from monitoring import expected
from monitoring.queries import panels

from . import queries
from .bounds import Bounds
from .engine import FRONT, PROMETHEUS, ROOT, ask, containers, ensure_up, prometheus, until


class Stack(Bounds, unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        ensure_up()

    def test_ports_are_published_on_loopback_only(self):
        published = {}
        for service, container in containers().items():
            for bindings in container["HostConfig"]["PortBindings"].values():
                for binding in bindings:
                    self.assertEqual(binding["HostIp"], "127.0.0.1", service)
                    published[service] = binding["HostPort"]
        self.assertEqual(set(published), {"nginx", "prometheus"})

    def test_cache_writes_reads_and_deletes(self):
        for i in range(20):
            self.assertEqual(ask("PUT", f"{FRONT}/cache/path-{i}?ttl=60", b"value-%d" % i, Content_Type="text/plain")[0], 201)
        for i in range(20):
            status, headers, body = ask("GET", f"{FRONT}/cache/path-{i}")
            self.assertEqual((status, body, headers["content-type"]), (200, b"value-%d" % i, "text/plain"))
            self.assertEqual(headers["x-cache"], "HIT")
            self.assertRegex(headers["x-cache-node"], "^auxiliary-[1-4]$")
        self.assertEqual(ask("DELETE", f"{FRONT}/cache/path-0")[0], 204)
        status, headers, body = ask("GET", f"{FRONT}/cache/path-0")
        self.assertEqual((status, headers["content-type"]), (404, "application/problem+json"))
        self.assertEqual(json.loads(body)["code"], "not_found")

    def test_cache_has_the_original_form(self):
        self.assertEqual(ask("PUT", f"{FRONT}/cache/?key=user:1&value=Ada&ttl=60")[0], 200)
        status, _, body = ask("GET", f"{FRONT}/cache/?key=user:1")
        entry = json.loads(body)
        self.assertEqual((status, entry["key"], entry["value"]), (200, "user:1", "Ada"))
        self.assertLessEqual(entry["ttl"], 60)

    def test_kv_writes_reads_and_compares(self):
        key = f"{FRONT}/kv/compose-test"
        self.assertIn(ask("PUT", key, b"one")[0], (200, 201))
        status, headers, body = ask("GET", key)
        self.assertEqual((status, body), (200, b"one"))
        self.assertIn(ask("PUT", key, b"two", If_Match=headers["etag"])[0], (200, 201))
        self.assertEqual(ask("PUT", key, b"three", If_Match=headers["etag"])[0], 412)
        self.assertEqual(ask("GET", key)[2], b"two")

    def test_job_answers_with_the_right_rows(self):
        job = queries.submit(queries.JOIN, wait=30)
        self.assertEqual(job["state"], "succeeded", job)
        self.assertGreaterEqual(job["progress"]["stages"]["total"], 2)
        self.assertEqual(queries.got_join(job["id"]), queries.join_rows())

    def test_job_over_a_file_outside_the_data_directories_is_refused(self):
        body = json.dumps({"query": "SELECT * FROM t", "tables": {"t": {"uri": "file:///etc/passwd", "format": "csv"}}}).encode()
        status, headers, answer = ask("POST", f"{FRONT}/jobs", body, Content_Type="application/json", Prefer="wait=30")
        text = answer.decode()
        self.assertIn("/etc/passwd", text)
        self.assertTrue(400 <= status < 500 or json.loads(text).get("state") == "failed", text)
        self.assertNotIn("root:", text)

    def test_prometheus_scrapes_every_target(self):
        def up() -> bool:
            targets = json.loads(ask("GET", f"{PROMETHEUS}/api/v1/targets")[2])["data"]["activeTargets"]
            return len(targets) >= 14 and all(target["health"] == "up" for target in targets)
        until("all 14 targets are up", up)
        self.assertEqual(len(prometheus("cluster_is_leader == 1")), 1)
        for what, count in (("nginx_connections_active", 1), ("etcd_server_has_leader == 1", 3), ("node_memory_MemTotal_bytes", 1)):
            self.assertEqual(len(prometheus(what)), count, what)

    def test_every_panel_has_data(self):
        # Whether it is right, scripts/check-monitoring finds out. Those of the built-in Raft are empty where etcd is the control store.
        queries = [
            query for query in panels()
            if query.place not in expected.MAY_BE_EMPTY and not any(name in query.expr for name in expected.OTHER_STORE["etcd"])
        ]
        self.assertGreater(len(queries), 100)

        ask("PUT", f"{FRONT}/namespaces/panel", b'{"max_entries": 100}', Content_Type="application/json")
        self.addCleanup(ask, "DELETE", f"{FRONT}/namespaces/panel")

        def missing() -> list[str]:
            # A quantile over a minute is empty where nothing happened in that minute: so something of each kind happens.
            for i in range(20):
                ask("PUT", f"{FRONT}/cache/panel-{i}", b"x")
                ask("GET", f"{FRONT}/cache/panel-{i}")
                ask("PUT", f"{FRONT}/cache/panel-{i}?ns=panel", b"x")
            ask("PUT", f"{FRONT}/kv/panel", b"x")
            ask("POST", f"{FRONT}/rebalance")
            self.test_job_answers_with_the_right_rows()
            return [q.place for q in queries if not any(r["value"][1] != "NaN" for r in prometheus(q.expr))]
        try:
            until("every panel has data", lambda: not missing())
        except AssertionError:
            self.fail("panels without data:\n" + "\n".join(missing()))

    def test_hit_rate_divides_hits_by_hits_and_misses(self):
        dashboard = json.loads((ROOT / "grafana/dashboards/elasticore-overview.json").read_text())
        (expr,) = [p["targets"][0]["expr"] for p in dashboard["panels"] if p["title"] == "Hit rate" and p["type"] == "stat"]
        # Over counters rather than rates, the same expression is exact.
        expr = re.sub(r"rate\((.*?)\[5m\]\)", r"\1", expr)
        results = re.sub(r"\s*/.*", "", expr), re.sub(r".*/\s*", "", expr)
        ask("PUT", f"{FRONT}/cache/rate", b"x")

        def figures() -> tuple[float, float]:
            return tuple(float(prometheus(q)[0]["value"][1]) for q in results)
        time_of = lambda: float(prometheus('min(timestamp(up{job="master"}))')[0]["value"][1])
        settled = time.time()
        until("a scrape after the last request", lambda: time_of() > settled)
        hits, reads = figures()
        for _ in range(30):
            self.assertEqual(ask("GET", f"{FRONT}/cache/rate")[0], 200)
        for i in range(10):
            self.assertEqual(ask("GET", f"{FRONT}/cache/rate-missing-{i}")[0], 404)
        settled = time.time()
        until("a scrape after the last request", lambda: time_of() > settled)
        more_hits, more_reads = figures()
        self.assertEqual((more_hits - hits, more_reads - reads), (30, 40))
