"""The checker of documents finds what is wrong, and leaves alone what is right."""

import re
import tempfile
import unittest
from pathlib import Path

from documents import blocks, running

HEAD = "HTTP/1.1 200 OK\r\nx-cache: HIT\r\n"


def matches(expected: str, shown: str) -> bool:
    return re.fullmatch(running.pattern(expected.splitlines()), running.squeezed(shown)) is not None


class Answers(unittest.TestCase):
    def test_what_is_stated_must_be_there(self):
        right = ["200", "200, X-Cache: HIT, hello", '200, {"a":{"b":[{"c":1}]}}', None]
        body = '{"z":"hello","a":{"b":[{"c":1,"d":2}]}}'
        for stated in right:
            self.assertIsNone(running.refute("curl x", stated, HEAD, body), stated)
        for stated in ["201", "200, X-Cache: STALE", "200, goodbye", '200, {"a":1}', '200, {"a":{"b":[]}}']:
            self.assertIsNotNone(running.refute("curl x", stated, HEAD, body), stated)
        self.assertIsNotNone(running.refute("curl x", "200", "", ""), "there is no answer at all")

    def test_without_a_statement_an_answer_must_not_be_an_error(self):
        self.assertIsNotNone(running.refute("curl x", None, "HTTP/1.1 404 Not Found\r\n", ""))
        self.assertIsNone(running.refute("until curl x; do", None, "HTTP/1.1 503 Unavailable\r\n", ""))

    def test_calls_are_numbered_and_keep_what_is_stated_of_them(self):
        script, examples = running.numbered(["curl a   # 200", "curl b -d '{", "}'   # 201, x", "curl c"])
        self.assertEqual([stated for _, stated in examples], ["200", "201, x", None])
        self.assertIn("EXAMPLE=2 LIMIT=", script)


class Shown(unittest.TestCase):
    def test_ellipses_stand_for_what_differs(self):
        self.assertTrue(matches("id …\n…\nend", "id 42\nany\nthing\nend\n"))
        self.assertTrue(matches(" a   b\n────", "a\tb\n──\n"))
        self.assertFalse(matches("id …", "id 42\nmore\n"))
        self.assertFalse(matches("a b", "a c\n"))


class Blocks(unittest.TestCase):
    def test_comments_above_a_block_are_about_it_alone(self):
        text = "# A b\n<!-- stack: up -->\n```sh\none\n```\n<!-- not run: why -->\n```console\n$ two\n```\n```\nno command\n```\n"
        with tempfile.TemporaryDirectory(dir=blocks.ROOT) as directory:
            path = Path(directory) / "document.md"
            path.write_text(text)
            first, second = blocks.blocks_of(path)
        self.assertEqual((first.stack, first.section, first.not_run, first.lines), ("up", "a-b", None, ["one"]))
        self.assertEqual((second.stack, second.not_run, second.language), ("up", "why", "console"))

    def test_anchors_are_those_of_github(self):
        self.assertEqual(blocks.slug("The disk of `BLOB_DIR` is full"), "the-disk-of-blob_dir-is-full")
        self.assertEqual(blocks.slug("[0.1.0] - *now*, or later?"), "010---now-or-later")


if __name__ == "__main__":
    unittest.main()
