#!/usr/bin/env python3
"""`vesper status`: which nodes are asked, what is shown of each, and the exit codes."""
import json
import time
import unittest

from cli_case import Cli
from fake_server import problem, refused_url, reply


class Status(Cli):
    def fake(self, answer):
        return super().fake(answer, answers_status=True)

    @staticmethod
    def body(fakes, i, role, leader=0, lag=0):
        """What GET /status of the i-th says."""
        urls = [fake.url for fake in fakes]
        return {
            "id": i,
            "address": urls[i],
            "version": "0.1.0",
            "cluster": "00",
            "role": role,
            "term": 3,
            "leader": None if leader is None else urls[leader],
            "revision": 12,
            "last_index": 40,
            "commit_index": 40,
            "applied_index": 40 - i * lag,
            "digest": "00",
            "uptime_ms": 3_723_000,
            "members": [{"id": j, "address": url, "voter": True} for j, url in enumerate(urls)],
            "limits": {},
        }

    def cluster(self, roles, leader=0, lag=0):
        fakes = [self.fake(None) for _ in roles]
        for i, (role, fake) in enumerate(zip(roles, fakes)):
            body = self.body(fakes, i, role, leader, lag)
            fake.answer = (
                lambda r, c, body=body: reply(200, body)
                if r.target == "/status"
                else problem(404, "no_such_path")
            )
        return fakes

    def test_all_members_are_found_from_one_endpoint(self):
        fakes = self.cluster(["leader", "follower", "follower"], lag=2)
        result = self.vesper("status", endpoints=[fakes[2].url])
        self.assertEqual((result.code, result.err), (0, ""))
        lines = [line.split() for line in result.out.decode().splitlines()]
        self.assertEqual(
            lines[0],
            [
                "ID",
                "ADDRESS",
                "ROLE",
                "TERM",
                "LEADER",
                "LAST",
                "COMMIT",
                "APPLIED",
                "LAG",
                "UPTIME",
            ],
        )
        self.assertEqual(
            lines[1], ["0", fakes[0].url, "leader", "3", "0", "40", "40", "40", "0", "1h02m"]
        )
        self.assertEqual(
            lines[3], ["2", fakes[2].url, "follower", "3", "0", "40", "40", "36", "4", "1h02m"]
        )

    def test_nodes_that_are_down_or_frozen_are_shown_after_one_timeout(self):
        fakes = self.cluster(["leader", "follower", "follower", "follower"])
        fakes[1].close()
        self.fakes.remove(fakes[1])
        for i in (2, 3):
            fakes[i].answer = lambda r, c: time.sleep(20)
        result = self.vesper("status", "--timeout", "2s", endpoints=[fakes[0].url])
        self.assertEqual(result.code, 0)
        lines = result.out.decode().splitlines()
        self.assertRegex(lines[2], r"^1 .*unreachable .*refused")
        self.assertRegex(lines[3], r"^2 .*unreachable .*no answer in time")
        self.assertLess(result.seconds, 3.9)

    def test_the_exit_code_is_5_without_a_leader_and_without_a_node(self):
        fakes = self.cluster(["follower", "candidate"], leader=None)
        result = self.vesper("status", endpoints=[fakes[0].url])
        self.assertEqual((result.code, len(result.out.splitlines())), (5, 3))
        self.assertIn("no leader", result.err)
        result = self.vesper("status", endpoints=[refused_url()])
        self.assertEqual((result.code, len(result.out.splitlines())), (5, 2))

    def test_the_exit_code_is_7_if_no_node_serves_the_client_without_a_better_token(self):
        denied = self.fake(reply(401, {"code": "unauthorized", "detail": "no such token"})).url
        lacks = self.fake(reply(403, {"code": "forbidden", "detail": "it lacks a right"})).url
        for endpoints in ([denied], [lacks], [refused_url(), denied]):
            result = self.vesper("status", endpoints=endpoints)
            self.assertEqual(result.code, 7)
            self.assertIn(b"denied", result.out)
            self.assertRegex(result.err, r"\((unauthorized|forbidden)\)")
            self.assertEqual(self.vesper("top", "--once", endpoints=endpoints).code, 7)
        serving = self.cluster(["leader"])[0].url
        self.assertEqual(self.vesper("status", endpoints=[denied, serving]).code, 0)

    def test_json_is_one_line_with_the_leader_and_all_nodes(self):
        fakes = self.cluster(["follower", "leader"], leader=1)
        down = refused_url()
        for flag in (["--json"], ["-o", "json"]):
            result = self.vesper("status", *flag, endpoints=[down, fakes[0].url])
            self.assertEqual((result.code, len(result.out.splitlines())), (0, 1))
            report = json.loads(result.out)
            self.assertEqual(report["leader"], fakes[1].url)
            self.assertEqual([node["reachable"] for node in report["nodes"]], [True, True, False])
            self.assertEqual(report["nodes"][1]["status"]["role"], "leader")
            self.assertEqual(report["nodes"][2]["address"], down)

    def test_a_server_that_is_not_vesper_is_shown_as_unreachable(self):
        for answer in (
            reply(200, "<html>"),
            reply(200, {"ok": True}),
            reply(404, {}),
            b"hello\r\n",
        ):
            result = self.vesper("status", endpoints=[self.fake(answer).url])
            self.assertEqual(result.code, 5)
            self.assertIn(b"unreachable", result.out)

    def test_raw_has_tabs_and_no_header(self):
        fakes = self.cluster(["leader"])
        result = self.vesper("status", "-o", "raw", endpoints=[fakes[0].url])
        self.assertEqual(result.out.decode().split("\t")[:3], ["0", fakes[0].url, "leader"])

    def test_a_member_that_moved_is_shown_at_its_new_address(self):
        # The first one's list is older than the leader's move, or it announces the log's address.
        fakes = self.cluster(["follower", "leader", "follower"], leader=1)
        stale = self.body(fakes, 0, "follower", leader=1)
        stale["leader"] = stale["members"][1]["address"] = refused_url()
        # One that is nowhere stands behind it in what is named.
        gone = {"id": 3, "address": refused_url(), "voter": True}
        stale["members"].append(gone)
        fakes[0].answer = lambda r, c: reply(200, stale)
        for endpoints in ([fake.url for fake in fakes], [fakes[0].url]):
            result = self.vesper("status", "-o", "raw", endpoints=endpoints)
            self.assertEqual((result.code, result.err), (0, ""))
            rows = [line.split("\t")[:5] for line in result.out.decode().splitlines()]
            self.assertEqual(
                rows,
                [
                    ["0", fakes[0].url, "follower", "3", "1"],
                    ["1", fakes[1].url, "leader", "3", "1"],
                    ["2", fakes[2].url, "follower", "3", "1"],
                    ["3", gone["address"], "unreachable", "-", "-"],
                ],
            )

    def test_a_node_whose_state_has_diverged_is_marked_and_complained_of(self):
        fakes = self.cluster(["leader", "follower", "follower"])
        body = self.body(fakes, 1, "follower")
        body["diverged"] = {"index": 9, "digest": "0a", "majority_digest": "0b"}
        fakes[1].answer = lambda r, c: reply(200, body)
        for form in ("table", "raw"):
            result = self.vesper("status", "-o", form, endpoints=[fakes[0].url])
            self.assertEqual(result.code, 0)
            roles = [line.split()[2] for line in result.out.decode().splitlines()[-3:]]
            self.assertEqual(roles, ["leader", "follower,diverged", "follower"])
            self.assertEqual(result.err.splitlines()[0],
                             f"vesper: {fakes[1].url}: its state has diverged: after entry 9 its "
                             "digest is 0a, that of a majority 0b")
            self.assertIn("--discard-state", result.err)

    def test_an_endpoint_that_does_not_answer_is_always_shown(self):
        fakes = self.cluster(["leader"])
        down = refused_url()
        result = self.vesper("status", "-o", "raw", endpoints=[down, fakes[0].url])
        self.assertEqual((result.code, len(result.out.splitlines())), (0, 2))

    def test_servers_of_two_clusters_are_shown_separately(self):
        ours, theirs = self.cluster(["leader", "follower"]), self.cluster(["leader", "follower"])
        for i, role in enumerate(["leader", "follower"]):
            body = self.body(theirs, i, role)
            body["cluster"] = "ff"
            theirs[i].answer = lambda r, c, body=body: reply(200, body)
        result = self.vesper("status", "-o", "raw", endpoints=[ours[0].url, theirs[0].url])
        self.assertEqual((result.code, len(result.out.splitlines())), (0, 4))


if __name__ == "__main__":
    unittest.main()
