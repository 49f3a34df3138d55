#!/usr/bin/env python3
"""`vesper cluster`: what is asked for, what is printed, and the exit codes."""
import json
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
        self.expect(self.vesper("cluster", "join"), 2)
        self.expect(self.vesper("cluster", "transfer", "two"), 2)
        self.expect(self.vesper("cluster", "transfer", "1", "2"), 2)


CHANGED = b'{"configuration":{"index":9,"joint":false}}\n'
MEMBERS = (b'{"cluster":"00","configuration":{"index":7,"joint":false},"members":['
           b'{"id":0,"name":"a","address":"http://a:1","voter":true,"leader":true,'
           b'"incarnation":"0000000000000001","reachable":true,"match_index":8,"lag":0,'
           b'"state":"replicating"},'
           b'{"id":3,"name":"http://b:1","address":"http://b:1","voter":false,"goal":"vote",'
           b'"reachable":false,"match_index":2,"lag":6,"state":"unreachable"}]}\n')


class Members(Cli):
    def change(self, *words, code=0, answer=None):
        """The body and the target that the command sends."""
        fake = self.fake(answer or reply(200, CHANGED))
        result = self.vesper("cluster", *words, endpoints=[fake.url])
        self.assertEqual(result.code, code, result)
        self.assertEqual(fake.requests[0].method, "POST")
        return json.loads(fake.requests[0].body), fake.requests[0].target

    def test_each_action_sends_its_change(self):
        for words, body in (
                ("add http://a:1", {"add": [{"address": "http://a:1"}]}),
                ("add a:1,B:2 --learner", {"add": [{"address": "http://a:1", "learner": True},
                                                   {"address": "http://b:2", "learner": True}]}),
                ("add a:1 --name n", {"add": [{"address": "http://a:1", "name": "n"}]}),
                ("remove 1", {"remove": [1]}),
                ("remove 1 2,3", {"remove": [1, 2, 3]}),
                ("promote 4", {"promote": [4]}),
                ("demote 4", {"demote": [4]}),
                ("update 2 http://c:3/", {"update": [{"id": 2, "address": "http://c:3"}]}),
                ("replace 1,2 with a:1,b:1", {"add": [{"address": "http://a:1"},
                                                      {"address": "http://b:1"}],
                                              "remove": [1, 2]})):
            with self.subTest(words):
                sent, target = self.change(*words.split())
                self.assertEqual(sent, body)
                self.assertTrue(target.startswith("/cluster/members?timeout="), target)

    def test_wait_and_force_are_parameters(self):
        target = self.change("remove", "1", "--wait", "30s", "--force")[1]
        self.assertTrue(target.startswith("/cluster/members?wait=30s&force&timeout="), target)

    def test_it_prints_the_configuration(self):
        fake = self.fake(reply(200, CHANGED))
        self.expect(self.vesper("cluster", "remove", "1", endpoints=[fake.url]), 0, b"9\n")
        fake = self.fake(reply(200, CHANGED))
        self.expect(self.vesper("cluster", "remove", "1", "-o", "json", endpoints=[fake.url]), 0,
                    CHANGED)

    def test_members_that_do_not_vote_in_time_are_an_error(self):
        fake = self.fake(reply(200, b'{"configuration":{"index":9,"joint":false},"pending":[3,4]}'))
        result = self.vesper("cluster", "add", "a:1", "--wait", "1s", endpoints=[fake.url])
        self.assertEqual((result.code, result.out), (1, b"9\n"))
        self.assertIn("3, 4", result.err)

    def test_refusals_have_their_exit_codes(self):
        for status, code, exit_code in ((409, "change_in_progress", 4),
                                        (409, "would_lose_quorum", 4), (409, "address_taken", 4),
                                        (409, "too_many_members", 4), (409, "no_voter", 4),
                                        (400, "invalid_field", 1), (504, "outcome_unknown", 6),
                                        (503, "no_leader", 5)):
            with self.subTest(code):
                fake = self.fake(problem(status, code))
                result = self.vesper("cluster", "remove", "1", "--timeout", "300ms",
                                     endpoints=[fake.url])
                self.expect(result, exit_code)

    def test_status_is_a_table_of_the_members(self):
        for words in ((), ("status",)):
            fake = self.fake(reply(200, MEMBERS))
            result = self.vesper("cluster", *words, "-o", "raw", endpoints=[fake.url])
            self.expect(result, 0, b"0\ta\thttp://a:1\tleader\treplicating\t8\t0\t-\n"
                                   b"3\thttp://b:1\thttp://b:1\tlearner\tunreachable\t2\t6\tvote\n")
            self.assertTrue(fake.requests[0].target.startswith("/cluster?timeout="))
        fake = self.fake(reply(200, MEMBERS))
        self.expect(self.vesper("cluster", "-o", "json", endpoints=[fake.url]), 0, MEMBERS)

    def test_curl_shows_the_request(self):
        result = self.vesper("cluster", "remove", "1", "--curl", endpoints=["http://a:1"])
        self.expect(result, 0,
                    b"curl --data-raw '{\"remove\":[1]}' http://a:1/cluster/members\n")

    def test_invalid_arguments_are_a_usage_error(self):
        for words in ("add", "add a", "add ftp://a:1", "add a:1,b:1 --name n", "remove",
                      "remove one", "remove 1 --learner", "remove 1 --wait 30", "promote -1",
                      "replace 1", "replace 1 with", "replace with a:1", "replace 1 by a:1",
                      "update 1", "update 1 a:1 b:1", "update a:1 1", "status 1", "--force",
                      "transfer --wait 1s", "join a:1"):
            with self.subTest(words):
                self.expect(self.vesper("cluster", *words.split(), endpoints=["http://a:1"]), 2)


if __name__ == "__main__":
    unittest.main()
