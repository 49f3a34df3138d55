#!/usr/bin/env python3
"""The commands about the versions of one key, against servers that answer what the test wants:
increment, append, history, restore, compact, and get at a revision.
Usage: test_versions.py <vesper>
"""
import os
import unittest

from cli_case import Cli
from fake_server import problem, reply

CHANGED = {"key": "n", "value": "42", "revision": 7, "create_revision": 5, "version": 2}
HISTORY = {
    "key": "n",
    "versions": [
        {"revision": 9, "create_revision": 9, "version": 1, "value": "new\nline\\"},
        {"revision": 8, "deleted": True},
        {"revision": 7, "create_revision": 5, "version": 2, "value_base64": "/wA="},
        {"revision": 5, "create_revision": 5, "version": 1, "value": "v" * 200},
    ],
    "oldest_revision": 4,
}


class Versions(Cli):
    def sent(self, answer, *arguments, stdin=b""):
        """The result of a command, and its request with the path and the query but the timeout."""
        fake = self.fake(answer)
        result = self.vesper(*arguments, "--timeout", "300ms", endpoints=[fake.url], stdin=stdin)
        request = fake.requests[0]
        return result, request, request.target.rsplit("timeout=", 1)[0].rstrip("?&")

    def test_increment_prints_the_new_value(self):
        for arguments, target in ((["n"], "/kv/n?increment=1"), (["n", "5"], "/kv/n?increment=5"),
                                  (["n", "-5"], "/kv/n?increment=-5"),
                                  (["n", "0"], "/kv/n?increment=0"),
                                  (["n", str(-2**63)], f"/kv/n?increment={-2**63}")):
            result, request, sent = self.sent(reply(200, CHANGED), "increment", *arguments)
            self.expect(result, 0, b"42\n")
            self.assertEqual((request.method, sent, request.body), ("POST", target, b""))
            self.assertIn("idempotency-key", request.headers)
        for by in ("x", "+5", "05", "-0", "1.5", "", " 1", str(2**63), "-"):
            self.expect(self.vesper("increment", "n", by, endpoints=["a:1"]), 2)
        for code in ("not_an_integer", "out_of_range"):
            self.expect(self.sent(problem(409, code), "increment", "n")[0], 1)

    def test_append_sends_the_suffix_and_prints_the_revision(self):
        path = os.path.join(self.folder.name, "file")
        with open(path, "wb") as file:
            file.write(b"\x00of a file\n")
        for arguments, body in ((["more"], b"more"), (["-"], b"\xffstdin\n"),
                                (["--file", path], b"\x00of a file\n"), ([""], b"")):
            result, request, sent = self.sent(reply(200, CHANGED), "append", "a/b", *arguments,
                                              stdin=b"\xffstdin\n")
            self.expect(result, 0, b"7\n")
            self.assertEqual((request.method, sent, request.body),
                             ("POST", "/kv/a/b?append", body))
            self.assertEqual(request.headers["content-length"], str(len(body)))
        self.expect(self.vesper("append", "k", endpoints=["a:1"]), 2)
        self.expect(self.vesper("append", "k", "--file", "-", endpoints=["a:1"]), 2)

    def test_history_prints_versions_with_tabs_or_as_a_table(self):
        result, request, sent = self.sent(reply(200, HISTORY), "history", "n", "--limit", "9",
                                          "--consistency", "stale")
        self.expect(result, 0, b"9\t1\tnew\\nline\\\\\n8\t-\t(deleted)\n7\t2\t\\xff\\x00\n5\t1\t"
                    + b"v" * 200 + b"\n")
        self.assertEqual((request.method, sent), ("GET", "/kv/n?history&limit=9&consistency=stale"))
        self.assertNotIn("idempotency-key", request.headers)
        result = self.sent(reply(200, HISTORY), "history", "n", "-o", "table")[0]
        self.assertEqual(result.code, 0)
        lines = result.out.decode().splitlines()
        self.assertEqual(lines[0].split(), ["REVISION", "VERSION", "VALUE"])
        self.assertEqual(lines[2].split(), ["8", "-", "(deleted)"])
        self.assertTrue(lines[4].endswith("v..."))
        body = b'{"key": "n", "versions": []}\n'
        result = self.sent(reply(200, body), "history", "n", "-o", "json")[0]
        self.expect(result, 0, body)
        self.expect(self.sent(problem(404, "key_not_found"), "history", "n")[0], 3)
        self.expect(self.sent(reply(200, {}), "history", "n")[0], 1)

    def test_a_history_with_more_versions_says_so(self):
        result = self.sent(reply(200, {**HISTORY, "more": True}), "history", "n")[0]
        self.assertEqual(result.code, 0)
        self.assertIn("older versions", result.err)

    def test_restore_writes_and_prints_the_revision(self):
        for answer in (CHANGED, {"deleted": 1, "revision": 7}):
            result, request, sent = self.sent(reply(200, answer), "history", "n", "--restore", "3")
            self.expect(result, 0, b"7\n")
            self.assertEqual((request.method, sent), ("POST", "/kv/n?restore=3"))
            self.assertIn("idempotency-key", request.headers)
        self.expect(self.sent(problem(410, "compacted"), "history", "n", "--restore", "3")[0], 1)
        for extra in (["--limit", "3"], ["--consistency", "stale"]):
            self.expect(self.vesper("history", "n", "--restore", "3", *extra), 2)
        self.expect(self.vesper("history", "n", "--restore", "0"), 2)

    def test_a_reply_too_large_for_a_key_is_asked_for_without_one(self):
        for arguments in (("append", "n", "more"), ("history", "n", "--restore", "3")):
            answers = [reply(200, CHANGED), problem(413, "reply_too_large")]
            fake = self.fake(lambda r, c, answers=answers: answers.pop())
            self.expect(self.vesper(*arguments, endpoints=[fake.url]), 0, b"7\n")
            self.assertIn("idempotency-key", fake.requests[0].headers)
            self.assertNotIn("idempotency-key", fake.requests[1].headers)
            self.assertEqual(*(request.body for request in fake.requests))

    def test_compact_prints_the_oldest_revision(self):
        result, request, sent = self.sent(reply(200, {"oldest_revision": 7}), "compact", "7")
        self.expect(result, 0, b"7\n")
        self.assertEqual((request.method, sent), ("POST", "/compact?revision=7"))
        self.expect(self.sent(problem(410, "compacted"), "compact", "7")[0], 1)
        for revision in ("0", "x", "-1"):
            self.expect(self.vesper("compact", revision), 2)

    def test_get_reads_at_a_revision(self):
        result, _, sent = self.sent(reply(200, b"v"), "get", "k", "--revision", "3")
        self.expect(result, 0, b"v")
        self.assertEqual(sent, "/kv/k?revision=3&raw")
        self.expect(self.vesper("get", "k", "--revision", "0"), 2)


if __name__ == "__main__":
    unittest.main()
