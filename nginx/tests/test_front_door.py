"""What NGINX promises in front of the masters: what is replayed and what is not, and what it says itself."""

import http.client
import json
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from door import DoorTest


class FrontDoor(DoorTest):
    def test_reads_survive_a_dead_master(self):
        self.masters[0].stop()
        for i in range(40):
            self.assertEqual(self.ask("GET", f"/cache/{i}")[0], 200)

    def test_reads_survive_a_master_that_breaks_connections(self):
        self.masters[0].mode = "break"
        for i in range(40):
            self.assertEqual(self.ask("GET", f"/cache/{i}")[0], 200)

    def test_writes_refused_by_a_dead_master_are_executed_once_by_another(self):
        self.masters[0].stop()
        self.masters[1].stop()
        for i in range(40):
            method = ("PUT", "POST", "DELETE")[i % 3]
            self.assertEqual(self.ask(method, f"/cache/{i}", b"value")[0], 200)
        self.assertEqual(len(self.masters[2].executed), 40)

    def test_writes_refused_with_503_are_executed_once_by_another(self):
        self.masters[0].mode = "503"
        for i in range(40):
            method = ("PUT", "POST", "DELETE")[i % 3]
            self.assertEqual(self.ask(method, f"/cache/{i}", b"value")[0], 200)
        self.assertEqual(self.executed(), 40)

    def test_write_with_unknown_outcome_is_never_replayed(self):
        for master in self.masters:
            master.mode = "break"
        for i, method in enumerate(("PUT", "POST", "DELETE", "PATCH")):
            answer = self.ask(method, f"/kv/{i}", b"value")
            self.assert_problem(answer, 504, "timeout")
            self.assertEqual(self.executed(), i + 1)

    def test_write_after_a_503_with_unknown_outcome_is_never_replayed(self):
        self.masters[0].mode = "503"
        self.masters[1].mode = "break"
        self.masters[2].mode = "break"
        for i in range(12):
            before = self.executed()
            answer = self.ask("PUT", f"/kv/{i}", b"value")
            self.assertIn(answer[0], (503, 504))
            self.assertLessEqual(self.executed(), before + 1)
            if self.executed() > before:
                self.assert_problem(answer, 504, "timeout")

    def test_write_after_a_503_that_then_reaches_nobody_was_not_executed(self):
        self.masters[0].mode = "503"
        self.masters[1].stop()
        self.masters[2].stop()
        for i in range(12):
            answer = self.ask(("PUT", "POST", "DELETE")[i % 3], f"/kv/{i}", b"value")
            self.assertEqual(answer[0], 503, answer)
        self.assertEqual(self.executed(), 0)

    def test_a_master_that_stands_still_holds_clients_of_the_cache_and_of_kv_for_seconds_only(self):
        for master in self.masters:
            master.mode = "still"
            self.addCleanup(master.finish_stream.set)
        def given_up(path: str) -> float:
            begun = time.monotonic()
            with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)) as connection:
                connection.request("PUT", path, b"value")
                self.assertEqual(connection.getresponse().status, 504)
            return time.monotonic() - begun
        with ThreadPoolExecutor(2) as clients:
            for took in clients.map(given_up, ("/cache/a", "/kv/a")):
                self.assertLess(took, 20)
        self.assertEqual(self.executed(), 2)

    def test_no_master_at_all_says_not_executed(self):
        for master in self.masters:
            master.stop()
        for method in ("GET", "PUT", "POST", "DELETE"):
            answer = self.ask(method, "/kv/a", b"value" if method in ("PUT", "POST") else None)
            self.assert_problem(answer, 503, "unavailable")
            self.assertEqual(answer[1]["retry-after"], "1")
        self.assert_problem(self.ask("PUT", "/datasets/a/b", b"value"), 503, "unavailable")

    def test_masters_come_back_within_seconds(self):
        for master in self.masters:
            master.stop()
        self.assertEqual(self.ask("GET", "/kv/a")[0], 503)
        self.masters[0].start()
        deadline = time.monotonic() + 5
        while self.ask("PUT", "/kv/a", b"v")[0] != 200:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def test_when_all_masters_say_503_their_own_words_arrive_and_nothing_else_suffers(self):
        for master in self.masters:
            master.mode = "503"
        for method in ("GET", "POST", "POST", "GET"):
            status, _, body = self.ask(method, "/jobs", b"{}" if method == "POST" else None)
            self.assertEqual((status, json.loads(body)["detail"]), (503, "said by the master"))
        for master in self.masters:
            master.mode = "ok"
        self.assertEqual(self.ask("GET", "/cache/a")[0], 200)
        self.assertEqual(self.ask("PUT", "/cache/a", b"v")[0], 200)

    def test_internal_is_never_proxied(self):
        for path in ("/internal", "/internal/v1/cache", "//internal/v1", "/%69nternal/v1", "/x/../internal/v1", "/./internal/"):
            for method in ("GET", "POST"):
                self.assert_problem(self.ask(method, path), 404, "not_found")
        self.assertEqual(self.executed(), 0)

    def test_request_id_goes_through_and_hostile_ones_are_replaced(self):
        self.ask("GET", "/cache/a", headers={"X-Request-Id": "abc-123"})
        self.ask("PUT", "/cache/a", b"", headers={"X-Request-Id": "abc-124"})
        self.ask("GET", "/cache/a", headers={"X-Request-Id": 'a"b'})
        self.ask("GET", "/cache/a")
        seen = [h["x-request-id"] for master in self.masters for h in master.headers]
        self.assertEqual(len(seen), 4)
        self.assertIn("abc-123", seen)
        self.assertIn("abc-124", seen)
        for request_id in set(seen) - {"abc-123", "abc-124"}:
            self.assertRegex(request_id, "^[0-9a-f]{32}$")
        answer = self.ask("GET", "/internal/", headers={"X-Request-Id": "abc-125"})
        self.assertEqual(self.assert_problem(answer, 404, "not_found")["request_id"], "abc-125")

    def test_path_and_query_arrive_as_they_were_sent(self):
        targets = ("/cache/a%2Fb%20c?ttl=5m&x=%C3%A9", "/cache//double", "/cache/?key=user:1&value=a%26b", "/kv/%E2%82%AC")
        for target in targets:
            for method in ("GET", "PUT", "DELETE"):
                self.ask(method, target)
        seen = {call for master in self.masters for call in master.executed}
        self.assertEqual(seen, {(method, target) for method in ("GET", "PUT", "DELETE") for target in targets})

    def test_own_errors_are_problems(self):
        self.assert_problem(self.ask("PUT", "/cache/a", b"x" * (33 << 20)), 413, "too_large")
        self.assert_problem(self.ask("GET", "/" + "x" * 70000), 414, "too_large")
        self.assert_problem(self.ask("GET", "/", headers={"X-Big": "x" * 70000}), 431, "too_large")
        self.assert_problem(self.ask("GET", "/%zz"), 400, "invalid_argument")
        self.assert_problem(self.ask("GET", "/../../etc/passwd"), 400, "invalid_argument")
        self.assert_problem(self.ask("TRACE", "/"), 405, "invalid_argument")
        for request in (b"GET / HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n", b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"):
            status, body = self.raw(request)
            self.assertEqual((status, json.loads(body)["code"]), (400, "invalid_argument"), request)
        self.assertEqual(self.executed(), 0)

    def test_a_chunked_body_over_the_limit_is_a_problem(self):
        def chunks():
            for _ in range(33):
                yield b"x" * (1 << 20)
        answer = self.ask("PUT", "/cache/a", chunks())
        self.assert_problem(answer, 413, "too_large")

    def test_values_of_8_mib_fit(self):
        self.assertEqual(self.ask("PUT", "/cache/a", b"x" * (8 << 20))[0], 200)

    def test_events_arrive_one_by_one(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/jobs/abc/events")
        response = connection.getresponse()
        self.assertEqual(response.readline(), b"data: first\n")
        for master in self.masters:
            master.finish_stream.set()
        connection.close()

    def test_uploads_stream_and_have_no_size_limit(self):
        def chunks():
            for i in range(40):
                if i == 10:
                    started = any(master.body_started.wait(5 / 3) for master in self.masters)
                    self.assertTrue(started, "the body reached no master before it was complete")
                yield b"x" * (1 << 20)
        self.assertEqual(self.ask("PUT", "/datasets/d/f", chunks())[0], 200)

    def test_broken_upload_is_never_replayed(self):
        for master in self.masters:
            master.mode = "break"
        self.assert_problem(self.ask("PUT", "/datasets/d/f", b"x" * 1000), 504, "timeout")
        self.assertEqual(self.executed(), 1)

    def test_connections_to_masters_are_kept(self):
        for i in range(200):
            self.ask("GET" if i % 2 else "PUT", f"/cache/{i}")
        self.assertEqual(self.executed(), 200)
        self.assertLessEqual(sum(master.connections for master in self.masters), 6)

    def test_access_log_is_json_and_leaves_probes_out(self):
        self.ask("GET", "/health")
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        self.ask("GET", '/cache/a"b', headers={"X-Request-Id": "logged", "traceparent": trace, "tracestate": "a=b"})
        deadline = time.monotonic() + 5
        while not (lines := self.scratch.joinpath("access.log").read_text().splitlines()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        self.assertEqual(len(lines), 1)
        entry = json.loads(lines[0])
        self.assertEqual((entry["request_id"], entry["path"], entry["status"]), ("logged", '/cache/a"b', 200))
        self.assertEqual(entry["traceparent"], trace)
        seen = [(h.get("traceparent"), h.get("tracestate")) for master in self.masters for h in master.headers]
        self.assertIn((trace, "a=b"), seen)


if __name__ == "__main__":
    unittest.main()
