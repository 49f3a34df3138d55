#!/usr/bin/env python3
"""`vesper cluster transfer`: what is asked for, what is printed, and the exit codes."""
import unittest

from cli_case import Cli
from fake_server import problem, reply

DONE = b'{"leader":"http://127.0.0.1:5002","term":4}\n'


class Transfer(Cli):
    def test_it_prints_the_new_leader(self):
        fake = self.fake(reply(200, DONE))
        result = self.vesper("cluster", "transfer", endpoints=[fake.url])
        self.expect(result, 0, b"http://127.0.0.1:5002\n")
        self.assertEqual(fake.requests[0].method, "POST")
        self.assertTrue(fake.requests[0].target.startswith("/cluster/transfer?timeout="))

    def test_it_sends_the_id_of_the_node_that_is_to_lead(self):
        fake = self.fake(reply(200, DONE))
        result = self.vesper("cluster", "transfer", "2", "-o", "json", endpoints=[fake.url])
        self.expect(result, 0, DONE)
        self.assertTrue(fake.requests[0].target.startswith("/cluster/transfer?to=2&timeout="))

    def test_a_transfer_that_times_out_is_unavailable(self):
        fake = self.fake(problem(503, "timeout"))
        result = self.vesper("cluster", "transfer", "--timeout", "300ms", endpoints=[fake.url])
        self.expect(result, 5)

    def test_a_cluster_of_one_is_an_error(self):
        fake = self.fake(problem(409, "no_other_member"))
        result = self.vesper("cluster", "transfer", endpoints=[fake.url])
        self.expect(result, 1)
        self.assertEqual(len(fake.requests), 1, "it is asked only once")
        self.assertIn("why not", result.err)

    def test_an_unknown_member_is_an_error(self):
        fake = self.fake(problem(400, "invalid_parameter"))
        self.expect(self.vesper("cluster", "transfer", "7", endpoints=[fake.url]), 1)

    def test_invalid_arguments_are_a_usage_error(self):
        self.expect(self.vesper("cluster"), 2)
        self.expect(self.vesper("cluster", "join"), 2)
        self.expect(self.vesper("cluster", "transfer", "two"), 2)
        self.expect(self.vesper("cluster", "transfer", "1", "2"), 2)


if __name__ == "__main__":
    unittest.main()
