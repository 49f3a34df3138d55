#!/usr/bin/env python3
"""Writes of the command line that are asked for again until their outcome is known, against servers
that say what the test wants. Usage: test_once.py <vesper>
"""
import unittest

from cli_case import Cli
from fake_server import problem, reply

PUT_REPLY = {"key": "name", "revision": 7, "create_revision": 5, "version": 2}


class Once(Cli):
    def test_a_write_is_retried_with_its_key_until_its_outcome_is_known(self):
        for broken in (
            None,
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
            problem(504, "outcome_unknown"),
        ):
            bad = self.fake(broken)
            good = self.fake(reply(200, {"deleted": 1, **PUT_REPLY}))
            for command, out in ((["put", "k", "v"], b"7\n"), (["delete", "k"], b"1\n")):
                result = self.vesper(*command, endpoints=[bad.url, good.url])
                self.expect(result, 0, out)
            keys = [
                [request.headers["idempotency-key"] for request in fake.requests]
                for fake in (bad, good)
            ]
            self.assertEqual(keys[0], keys[1])
            self.assertRegex(keys[0][0], "^[0-9a-f]{32}$")
            self.assertNotEqual(keys[0][0], keys[0][1])
            self.assertEqual(
                [(r.method, r.target.split("?")[0], r.body) for r in bad.requests],
                [(r.method, r.target.split("?")[0], r.body) for r in good.requests],
            )

    def test_a_read_has_no_idempotency_key(self):
        fake = self.fake(reply(200, b"v"))
        self.expect(self.vesper("get", "k", endpoints=[fake.url]), 0, b"v")
        self.assertNotIn("idempotency-key", fake.requests[0].headers)

    def test_if_a_write_may_be_applied_only_an_answer_stored_with_its_key_decides(self):
        for later in (
            problem(429, "overloaded"),
            problem(503, "no_leader"),
            problem(504, "outcome_unknown"),
            problem(413, "value_too_large"),
            problem(422, "idempotency_key_reused"),
        ):
            answers = [None]
            fake = self.fake(lambda r, c: answers.pop() if answers else later)
            result = self.vesper("put", "k", "v", "--timeout", "500ms", endpoints=[fake.url])
            self.expect(result, 6)
            self.assertIn("hint: the write was sent", result.err)
            self.assertGreater(len(fake.requests), 1)
        for last, code in ((problem(412, "precondition_failed"), 4), (reply(200, PUT_REPLY), 0)):
            answers = [last, problem(429, "overloaded"), None]
            fake = self.fake(lambda r, c: answers.pop())
            result = self.vesper("put", "k", "v", endpoints=[fake.url])
            self.expect(result, code, b"7\n" if code == 0 else b"")
            self.assertEqual(len({r.headers["idempotency-key"] for r in fake.requests}), 1)

    def test_a_write_that_may_be_applied_is_retried_until_the_timeout(self):
        fake = self.fake(None)

        def answer(request, connection):
            fake.close()

        fake.answer = answer
        self.fakes.remove(fake)
        result = self.vesper("put", "k", "v", "--timeout", "600ms", endpoints=[fake.url])
        self.expect(result, 6)
        self.assertGreater(result.seconds, 0.3)


if __name__ == "__main__":
    unittest.main()
