"""What a request may not do to get past NGINX: be two requests, reach what is inside, or speak in the name of others.

A smuggled request is one that a master saw and NGINX did not. So for every attack, what the masters executed is compared with NGINX's own log.
"""

import re
import unittest
from urllib.parse import unquote_to_bytes

from door import DoorTest

# What an attacker would like a master to see.
PRIZE = b"GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
# The body that ends at once for those who read chunks, and has five bytes for those who count.
NOTHING = b"0\r\n\r\n"

REFUSED_FRAMINGS = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    b"Transfer-Encoding: xchunked\r\nContent-Length: 5",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    b"Transfer-Encoding: identity",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: chunked;q=1",
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding:\tchunked",
    b"Transfer-Encoding: \x0bchunked",
    b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding\n: chunked",
    b" Transfer-Encoding: chunked",
    b"X: y\r\n Transfer-Encoding: chunked",
    b"X: y\x00\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
    b"X: y\rTransfer-Encoding: chunked\r\nContent-Length: 5",
    b"Content-Length: 0\r\nContent-Length: 5",
    b"Content-Length: 5\r\nContent-Length: 5",
    b"Content-Length: 5, 5",
    b"Content-Length: 5 5",
    b"Content-Length: +5",
    b"Content-Length: -5",
    b"Content-Length: 0x5",
    b"Content-Length: 5\x00",
    b"Content-Length: 18446744073709551621",
    b"Content-Length:",
    b"Content-Length : 5",
    b"Content-Length\t: 5",
    b"Content-Length:\r\n 5",
]
# Fields that mean nothing to anybody: the request is what the others say.
HARMLESS_FRAMINGS = [
    b"Transfer_Encoding: chunked\r\nContent-Length: 5",
    b"Content_Length: 50\r\nContent-Length: 5",
    b"Content-Length: 005",
    b"transfer-encoding: CHUNKED",
    b"X-Transfer-Encoding: chunked\r\nContent-Length: 5",
]
REFUSED_CHUNKS = [
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"\r\n5\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhelloXX0\r\n\r\n",
    b"5\rXhello\r\n0\r\n\r\n",
    b"5;\rx\r\nhello\r\n0\r\n\r\n",
    b"FFFFFFFFFFFFFFFF1\r\nhello\r\n0\r\n\r\n",
    b"hello\r\n0\r\n\r\n",
]
# Read as five bytes, however they are written.
ODD_CHUNKS = [
    b"5;name=value\r\nhello\r\n0;last\r\n\r\n",
    b"5;name\nhello\r\n0\r\n\r\n",
    b"5\nhello\n0\n\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"000000005\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\nContent-Length: 50\r\nX-Cluster-Token: t\r\n\r\n",
]
# One body that is kept until it is whole, one that streams, one whose location gives up sooner.
PATHS = ["/kv/a", "/datasets/d/f", "/cache/a"]

INTERNAL_PATHS = [
    "/internal", "/internal/", "/internal/v1/jobs/poll", "/internal?x=1", "/internal#x", "/internal;x", "/internal%3bx", "/internal.", "/internal%20",
    "/internal\\v1", "/internal%2fv1", "/internalx", "/INTERNAL/v1", "/Internal", "/%49nternal/v1",
    "//internal", "///internal/v1", "/./internal", "/%2e/internal", "/%2finternal", "/.//internal", "/%69%6e%74%65%72%6e%61%6c/v1",
    "/cache/../internal/v1", "/cache/x/../../internal", "/cache/%2e%2e/internal", "/cache/%2E%2e%2Finternal", "/cache/..%2finternal", "/cache;/../internal",
    "/datasets/../internal/v1", "/kv/_watch/../../internal", "/internal/x/../v1", "http://a/internal", "http://internal/internal/v1",
]  # fmt: skip
# Twice encoded, or in signs of other systems: for NGINX and masters alike, names like any other.
LITERAL_PATHS = [
    "/cache/%252e%252e/internal", "/cache/..;/internal", "/cache/..%5cinternal", "/;/internal", "/%c0%afinternal", "/%ef%bc%8finternal", "/%5cinternal",
]  # fmt: skip
# What a client may not say of itself or of others.
REMOVED = [
    "X-Cluster-Token", "X-Ring-Epoch", "X-Boot-Id", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "Upgrade", "HTTP2-Settings", "TE", "Trailer",
    "Keep-Alive", "Proxy-Connection", "Expect",
]  # fmt: skip


class Smuggling(DoorTest):
    def put(self, path: str, framing: bytes, body: bytes) -> bytes:
        return b"PUT %s HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n%s" % (path.encode(), framing, body)

    def assert_nothing_was_smuggled(self) -> None:
        """Masters executed what NGINX logged, each with one length."""
        passed = lambda: sorted((entry["method"], entry["path"]) for entry in self.log() if entry["upstream"])
        plain = lambda target: re.sub("/+", "/", target.partition("?")[0])
        self.until("all requests are logged", lambda: len(passed()) >= self.executed())
        self.assertEqual(sorted((method, plain(target)) for method, target in self.calls()), passed())
        for fields in self.fields():
            names = [name for name, _ in fields]
            self.assertEqual(names.count("host"), 1, fields)
            self.assertLessEqual(names.count("content-length") + names.count("transfer-encoding"), 1, fields)

    def test_bodies_with_two_lengths_or_an_odd_one_are_refused(self):
        for path in PATHS:
            for framing in REFUSED_FRAMINGS:
                with self.subTest(path=path, framing=framing):
                    statuses = self.exchange(self.put(path, framing, NOTHING + PRIZE))
                    self.assertEqual(len(statuses), 1)
                    self.assertIn(statuses[0], (400, 501))
        self.assertEqual(self.calls(), [])

    def test_fields_that_only_look_like_lengths_change_nothing(self):
        for path in PATHS:
            for framing in HARMLESS_FRAMINGS:
                with self.subTest(path=path, framing=framing):
                    # What follows the body is another request, and NGINX thinks so too.
                    self.assertEqual(self.exchange(self.put(path, framing, NOTHING + PRIZE)), [200, 200])
        self.assert_nothing_was_smuggled()
        for fields in self.fields():
            self.assertFalse([name for name, _ in fields if "_" in name], fields)

    def test_broken_chunks_are_refused(self):
        for path in PATHS:
            for chunks in REFUSED_CHUNKS:
                with self.subTest(path=path, chunks=chunks):
                    self.assertEqual(self.exchange(self.put(path, b"Transfer-Encoding: chunked", chunks + PRIZE)), [400])
        self.assert_nothing_was_smuggled()
        self.assertNotIn(("GET", "/smuggled"), self.calls())

    def test_odd_chunks_are_written_anew(self):
        for path in PATHS:
            for chunks in ODD_CHUNKS:
                with self.subTest(path=path, chunks=chunks):
                    self.assertEqual(self.exchange(self.put(path, b"Transfer-Encoding: chunked", chunks + PRIZE)), [200, 200])
        self.assert_nothing_was_smuggled()
        bodies = [body for master in self.masters for body in master.bodies]
        self.assertEqual(set(bodies), {b"hello", b""})
        self.assertEqual(bodies.count(b"hello"), len(PATHS) * len(ODD_CHUNKS))

    def test_body_of_a_read_is_no_request(self):
        for framing, body in (
            (b"Content-Length: %d" % len(PRIZE), PRIZE),
            (b"Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(PRIZE), PRIZE)),
        ):
            request = b"GET /kv/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n\r\n%s" % (framing, body)
            self.assertEqual(self.exchange(request), [200])
        self.assert_nothing_was_smuggled()
        self.assertEqual(set(self.calls()), {("GET", "/kv/a")})

    def test_a_request_refused_half_way_leaves_no_rest_behind(self):
        # NGINX answers before it has the body; what comes after must not count as a request.
        for path in ("/internal", "/kv/%00"):
            statuses = self.exchange(self.put(path, b"Content-Length: %d\r\nConnection: close" % (5 + len(PRIZE)), NOTHING + PRIZE))
            self.assertEqual(len(statuses), 1)
            self.assertIn(statuses[0], (400, 404))
        self.assertEqual(self.calls(), [])

    def test_other_versions_of_http_lead_nowhere(self):
        for line, statuses in (
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]),
            (b"GET /kv/a HTTP/2.0\r\nHost: a\r\n\r\n", [505]),
            (b"GET /kv/a HTTP/11.1\r\nHost: a\r\n\r\n", [505]),
            (b"GET /kv/a HTTP/1\r\nHost: a\r\n\r\n", [400]),
            (b"GET /kv/a http/1.1\r\nHost: a\r\n\r\n", [400]),
            (b"PUT /kv/a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + NOTHING + PRIZE, [400]),
            # HTTP/0.9 has no headers, and knows nothing but reads.
            (b"GET /internal/v1\r\n", []),
            (b"PUT /kv/a\r\n", []),
            (b"DELETE /kv/a\r\n", []),
            (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", [400]),
            (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", [400]),
        ):
            with self.subTest(line=line):
                self.assertEqual(self.exchange(line, patience=0.5), statuses)
        self.assertEqual(self.calls(), [])

    def test_upgrades_are_not_passed_on(self):
        for protocol in ("h2c", "websocket", "elasticore-frames"):
            upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": protocol, "HTTP2-Settings": "AAMAAABkAAQAAP__"}
            self.assertEqual(self.ask("GET", "/kv/a", headers=upgrade)[0], 200)
            self.assertEqual(self.ask("PUT", "/kv/a", b"v", headers=upgrade)[0], 200)
        for fields in self.fields():
            names = [name for name, _ in fields]
            self.assertFalse({"upgrade", "http2-settings", "connection"} & set(names), fields)


class Inside(DoorTest):
    def request(self, method: str, path: str) -> bytes:
        return f"{method} {path} HTTP/1.1\r\nHost: a\r\nX-Cluster-Token: t\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()

    def test_internal_paths_are_404_however_they_are_written(self):
        for path in INTERNAL_PATHS:
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PROPFIND", "internal"):
                with self.subTest(method=method, path=path):
                    expected = [400] if method == "internal" else [404]
                    self.assertEqual(self.exchange(self.request(method, path)), expected)
        self.assertEqual(self.calls(), [])

    def test_what_only_looks_internal_stays_a_name(self):
        for path in LITERAL_PATHS:
            self.assertEqual(self.exchange(self.request("GET", path)), [200])
        for _, target in self.calls():
            decoded = unquote_to_bytes(target).decode("latin-1")
            self.assertFalse(decoded.startswith("/internal"), target)
            self.assertNotIn("/../", decoded)

    def test_control_characters_in_a_path_are_refused(self):
        for sign in (b"\r", b"\x00", b"\t", b" ", b"\x01", b"\x7f", b"%00"):
            for target in (b"/kv/a%sb" % sign, b"/kv/a?x=%sb" % sign):
                # Encoded, it may be part of a value.
                if target == b"/kv/a?x=%00b":
                    continue
                with self.subTest(target=target):
                    self.assertEqual(self.exchange(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target), [400])
        self.assertEqual(self.calls(), [])

    def test_encoded_line_ends_stay_encoded(self):
        self.assertEqual(self.ask("GET", "/kv/a%0d%0aX-Injected:%201%0d%0a%0d%0aGET%20/smuggled")[0], 200)
        self.assertEqual(self.calls(), [("GET", "/kv/a%0d%0aX-Injected:%201%0d%0a%0d%0aGET%20/smuggled")])
        self.assertNotIn("x-injected", dict(self.fields()[0]))
        # One line in the log, whatever the path says.
        self.until("the request is logged", lambda: self.log())
        self.assertEqual([entry["path"] for entry in self.log()], ["/kv/a\r\nX-Injected: 1\r\n\r\nGET /smuggled"])

    def test_odd_hosts_are_refused_and_lead_nowhere_else(self):
        for host in (b"Host: a\r\nHost: b", b"Host: a\r\nHost: a", b"Host: a/b", b"Host: a b", b"Host: a\tb", b"Host:", b"Host : a", b"Host: a\x00", b"X: y"):
            with self.subTest(host=host):
                self.assertEqual(self.exchange(b"GET /kv/a HTTP/1.1\r\n%s\r\n\r\n" % host), [400])
        self.assertEqual(self.calls(), [])
        # A target with a host in it goes to the same masters, by its path alone.
        for target in ("http://elsewhere/kv/a", "http://127.0.0.1:1/kv/a", "https://elsewhere:443/kv/a"):
            self.assertEqual(self.exchange(self.request("GET", target)), [200])
        self.assertEqual(set(self.calls()), {("GET", "/kv/a")})


class Names(DoorTest):
    def test_the_last_address_is_the_clients_own(self):
        lies = ["10.0.0.1", "127.0.0.1, 10.0.0.2", "unknown", "\"", "," * 1000, "1.1.1.1\r\nX-Forwarded-For: 2.2.2.2", "1.1.1.1\r\nx-forwarded-for:"]
        for method in ("GET", "PUT"):
            for path in PATHS:
                for lie in lies:
                    statuses = self.exchange(
                        f"{method} {path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {lie}\r\nX_Forwarded_For: 3.3.3.3\r\n"
                        "X-Forwarded-Proto: https\r\nContent-Length: 0\r\nConnection: close, X-Forwarded-For\r\n\r\n".encode()
                    )
                    self.assertEqual(statuses, [200])
        for fields in self.fields():
            forwarded = [value for name, value in fields if name == "x-forwarded-for"]
            self.assertEqual(len(forwarded), 1, fields)
            self.assertEqual(forwarded[0].split(",")[-1].strip(), "127.0.0.1")
            self.assertEqual([value for name, value in fields if name == "x-forwarded-proto"], ["http"])

    def test_what_only_nodes_and_proxies_say_is_not_passed_on(self):
        for method in ("GET", "PUT"):
            for path in (*PATHS, "/cluster/status", "/jobs/a/events"):
                lines = "".join(f"{name}: forged\r\n{name.lower()}: forged\r\n" for name in REMOVED if name not in ("Expect", "Upgrade", "TE"))
                request = f"{method} {path} HTTP/1.1\r\nHost: a\r\n{lines}TE: trailers\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                for master in self.masters:
                    master.finish_stream.set()
                self.assertEqual(self.exchange(request.encode()), [200])
        seen = {name for fields in self.fields() for name, _ in fields}
        self.assertFalse(seen & {name.lower() for name in REMOVED})

    def test_token_passes_where_it_is_asked_for_and_nowhere_else(self):
        wanted = ("/cluster/join", "/cluster/join?x=1", "/cluster//join", "/auth/init")
        for path in (*wanted, "/cluster/join/", "/cluster/members", "/auth/keys", "/auth/init/x", "/kv/auth/init"):
            self.ask("POST", path, b"{}", headers={"X-Cluster-Token": "secret"})
        for (_, target), fields in zip(self.calls(), self.fields()):
            self.assertEqual("x-cluster-token" in dict(fields), target in wanted, target)


if __name__ == "__main__":
    unittest.main()
