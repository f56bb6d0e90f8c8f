"""The objectives, the shapes and the choice of keys: everything that can be wrong without a stack."""

import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.dont_write_bytecode = True

import shapes
import slo
from zipf import SIZES, Zipf, size_of

OBJECTIVES = slo.Objectives.from_environment({})


def requests(name: str = "GET /cache", **changes) -> slo.Requests:
    return slo.Requests(**({"name": name, "count": 1000, "failed": 0, "per_second": 10.0, "p50": 5, "p95": 20, "p99": 100} | changes))


def broken(*of: slo.Requests, **changes) -> list[str]:
    return slo.judge(slo.Result(list(of), **({"hits": 90, "misses": 10} | changes)), OBJECTIVES)


class Objectives(unittest.TestCase):
    def test_a_good_run_keeps_them(self):
        self.assertEqual(broken(requests(), requests("PUT /kv", p95=90, p99=400), requests("POST /jobs", p95=4000, p99=9000)), [])

    def test_each_bound_is_told(self):
        for changes, said in (({"p95": 51}, "p95 is 51 ms; allowed are 50 ms"), ({"p99": 251}, "p99 is 251 ms; allowed are 250 ms")):
            self.assertEqual(broken(requests(**changes)), [f"GET /cache: {said}"])
        self.assertEqual(broken(requests("CAS /kv", p95=101)), ["CAS /kv: p95 is 101 ms; allowed are 100 ms"])

    def test_a_bound_may_be_reached(self):
        self.assertEqual(broken(requests(p95=50, p99=250)), [])

    def test_failures_count_over_all_requests(self):
        self.assertEqual(broken(requests(failed=1)), [])
        self.assertEqual(broken(requests(failed=2)), ["0.20% of the requests failed; allowed are 0.10%"])
        self.assertEqual(broken(requests(failed=2), requests("PUT /cache", count=9000)), [])

    def test_a_run_without_requests_is_broken(self):
        self.assertEqual(broken(), ["no request was answered"])

    def test_a_run_must_have_all_its_kinds(self):
        self.assertEqual(broken(requests(), wanted=["/cache", "/kv"]), ["no request to /kv was answered"])
        self.assertEqual(broken(requests(), requests("LIST /kv"), wanted=["/cache", "/kv"]), [])

    def test_jobs_for_which_there_was_no_room_are_none(self):
        self.assertEqual(broken(requests(slo.QUEUE_FULL, p95=9, p99=9), wanted=["/jobs"]), ["no request to /jobs was answered"])
        self.assertEqual(broken(requests(slo.QUEUE_FULL), requests("POST /jobs", count=9), wanted=["/jobs"]), [])

    def test_the_hit_rate_counts_only_where_there_are_reads(self):
        self.assertEqual(broken(requests(), hits=49, misses=51), ["the hit rate is 49.0%; at least 50.0% is wanted"])
        self.assertEqual(broken(requests("PUT /kv"), hits=0, misses=0), [])

    def test_only_a_soak_looks_at_drift(self):
        slower = requests(early_p95=10, late_p95=31)
        self.assertEqual(broken(slower), [])
        self.assertEqual(broken(slower, soak=True), ["GET /cache: p95 grew from 10 ms in the first quarter to 31 ms in the last"])
        self.assertEqual(broken(requests(early_p95=10, late_p95=30), soak=True), [])
        self.assertEqual(broken(requests(early_p95=None, late_p95=500), soak=True), [])

    def test_the_environment_sets_them(self):
        objectives = slo.Objectives.from_environment({"SLO_P95_MS": "7", "SLO_FAILURES": "0.5", "SLO_HIT_RATE": ""})
        self.assertEqual((objectives.kinds["/cache"].p95_ms, objectives.failures, objectives.hit_rate), (7, 0.5, 0.5))
        with self.assertRaisesRegex(ValueError, "SLO_P99_MS=fast is no number"):
            slo.Objectives.from_environment({"SLO_P99_MS": "fast"})

    def test_the_table_has_what_is_asked_for(self):
        text = slo.table(slo.Result([requests()], 90, 10, errors={"GET /cache: 503": 2}))
        for word in ("p50 ms", "p95 ms", "p99 ms", "failed", "hit rate: 90.0% of 100 reads in the second half", "2 times: GET /cache: 503"):
            self.assertIn(word, text)


class Keys(unittest.TestCase):
    def test_ranks_are_in_range(self):
        keys = Zipf(100)
        self.assertEqual((keys.rank(0.0), keys.rank(1 - 1e-12)), (0, 99))
        self.assertEqual(Zipf(1).rank(), 0)
        with self.assertRaises(ValueError):
            Zipf(0)

    def test_ranks_are_as_frequent_as_the_law_says(self):
        keys, draws, generator = Zipf(1000), 50_000, random.Random(7)
        counts = [0] * 1000
        for _ in range(draws):
            counts[keys.rank(generator.random())] += 1
        for rank in (0, 1, 9):
            wanted = draws * (keys.share(rank + 1) - (keys.share(rank) if rank else 0))
            self.assertAlmostEqual(counts[rank], wanted, delta=5 * wanted**0.5)
        self.assertAlmostEqual(counts[0] / counts[9], 10**0.9, delta=1.5)
        self.assertAlmostEqual(sum(counts[:100]) / draws, keys.share(100), delta=0.01)

    def test_sizes_have_their_shares_and_stay(self):
        sizes = [size_of(f"load-{n}") for n in range(20_000)]
        for size, share in SIZES:
            self.assertAlmostEqual(sizes.count(size) / len(sizes), share, delta=0.02)
        self.assertEqual(size_of("load-1"), size_of("load-1"))


class Shapes(unittest.TestCase):
    def test_a_ramp_rises_in_ten_steps(self):
        self.assertEqual([shapes.users_at("ramp", t, 100, 100) for t in (0, 9.9, 10, 55, 99.9)], [10, 10, 20, 60, 100])
        self.assertEqual(shapes.users_at("ramp", 0, 3, 100), 1)

    def test_a_spike_comes_and_goes(self):
        self.assertEqual([shapes.users_at("spike", t, 100, 100) for t in (0, 39.9, 40, 59.9, 60, 99)], [20, 20, 100, 100, 20, 20])

    def test_a_soak_stays(self):
        self.assertEqual({shapes.users_at("soak", t, 50, 3600) for t in range(0, 3600, 60)}, {50})

    def test_every_shape_ends(self):
        for shape in shapes.NAMES:
            self.assertIsNone(shapes.users_at(shape, 100, 10, 100))
        with self.assertRaisesRegex(ValueError, "no shape wave"):
            shapes.users_at("wave", 0, 10, 100)

    def test_times_are_those_of_locust(self):
        self.assertEqual([shapes.seconds(t) for t in ("90", "30s", "5m", "1h30m", "1h")], [90, 30, 300, 5400, 3600])
        for wrong in ("", "m", "5x", "0s"):
            with self.assertRaises(ValueError):
                shapes.seconds(wrong)


if __name__ == "__main__":
    unittest.main()
