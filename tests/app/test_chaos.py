#!/usr/bin/env python3
"""/chaos of `vesper dev`: each act on a real cluster, and what the trace and /cluster show of it
(docs/http-api.md, "Chaos")."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../support"), os.path.join(HERE, "../server")]

from cli_case import VESPER  # noqa: E402
from openapi_contract import Contract  # noqa: E402
from ports import free_ports  # noqa: E402
from test_dev import children_of, first_of, wait_for  # noqa: E402
from watching import Watch  # noqa: E402

SECONDS = 20


def send(port, method, path, body=None):
    """(status, fields, body)"""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, method=method)
    try:
        reply = urllib.request.urlopen(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        reply = error
    with reply:
        return reply.status, dict(reply.headers.items()), reply.read()


def is_ready(port):
    try:
        return send(port, "GET", "/readyz")[0] == 200
    except OSError:
        return False


class Chaos(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.port = first_of(3)
        cls.dev = subprocess.Popen(
            [VESPER, "dev", "--nodes", "3", "--port", str(cls.port), "--dir", "play"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            cwd=cls.folder.name)
        assert cls.dev.stdout.readline().endswith("/ui/\n")
        cls.contract = Contract(json.loads(send(cls.port, "GET", "/openapi.json")[2]))

    @classmethod
    def tearDownClass(cls):
        cls.dev.send_signal(signal.SIGINT)
        try:
            code = cls.dev.wait(SECONDS)
        finally:
            cls.dev.kill()
            cls.dev.stdout.close()
            cls.folder.cleanup()
        assert code == 0, code

    def setUp(self):
        self.traces = []

    def tearDown(self):
        for trace in self.traces:
            trace.close()
        wait_for("the node that is asked", lambda: is_ready(self.port))
        self.do(do="heal")
        for node in self.report()["nodes"]:
            if not node["running"]:
                self.do(do="restart", node=node["id"])
            elif node["paused"]:
                self.do(do="resume", node=node["id"])
        wait_for("all nodes", lambda: all(self.member(id).get("reachable") for id in range(3)))

    def do(self, node_asked=0, expected=200, **act):
        reply = send(self.port + node_asked, "POST", "/chaos", json.dumps(act).encode())
        self.assertEqual(reply[0], expected, reply[2])
        self.contract.check("/chaos", "post", "/chaos", reply)
        return json.loads(reply[2])

    def report(self, node_asked=0):
        reply = send(self.port + node_asked, "GET", "/chaos")
        self.contract.check("/chaos", "get", "/chaos", reply)
        self.assertEqual(reply[0], 200, reply[2])
        return json.loads(reply[2])

    def member(self, id, asked=0):
        try:
            reply = send(self.port + asked, "GET", "/cluster?timeout=1s")
            members = json.loads(reply[2])["members"]
        except (OSError, KeyError, ValueError):
            return {}
        return members[id]

    def role(self, id):
        return json.loads(send(self.port + id, "GET", "/status")[2])["role"]

    def trace(self, asked=0):
        trace = Watch(self.port + asked, timeout=SECONDS, path="/trace")
        self.traces.append(trace)
        return trace

    def seen(self, trace, node, kind, **members):
        """The next event of that node and kind with these members."""
        while True:
            block = trace.block()
            item = block.get("data", {})
            if item.get("node") == node and item["kind"] == kind and \
                    members.items() <= item.items():
                return item

    def begin(self, trace, count=3):
        """Reads until the states of all nodes were there."""
        nodes = set()
        while len(nodes) < count:
            item = trace.block().get("data", {})
            if item.get("kind") in ("state", "silent"):
                nodes.add(item["node"])

    def follower(self):
        """A node that follows, and does not serve the page."""
        return next(id for id in (1, 2) if self.role(id) == "follower")

    def test_a_node_that_is_killed_stays_down_until_it_is_started(self):
        trace = self.trace()
        self.begin(trace)
        victim = self.follower()
        before = children_of(self.dev.pid)
        self.assertEqual(self.do(do="kill", node=victim), {"done": True})
        self.assertEqual(len(children_of(self.dev.pid)), 2)
        self.assertFalse(self.report()["nodes"][victim]["running"])
        self.seen(trace, victim, "silent")
        wait_for("it to be unreachable",
                 lambda: self.member(victim).get("reachable") is False)
        self.do(do="kill", node=victim, expected=409)
        self.do(do="restart", node=victim)
        self.assertTrue(self.report()["nodes"][victim]["running"])
        self.seen(trace, victim, "state")
        self.do(do="restart", node=victim)  # of one that runs
        self.assertFalse(set(children_of(self.dev.pid)) == set(before))
        wait_for("it to be back", lambda: self.member(victim).get("reachable"))

    def test_the_node_that_is_asked_comes_back_by_itself(self):
        [pid] = set(children_of(self.dev.pid)[:1])
        begun = time.monotonic()
        with self.assertRaises((OSError, urllib.error.URLError)):
            send(self.port, "POST", "/chaos", b'{"do":"kill","node":0}')
        self.assertFalse(self.report(1)["nodes"][0]["running"])
        wait_for("it to be back", lambda: self.report(1)["nodes"][0]["running"])
        self.assertGreater(time.monotonic() - begun, 2)
        self.assertNotIn(pid, children_of(self.dev.pid))
        wait_for("its members", lambda: self.member(1).get("reachable"))

    def test_a_node_that_is_paused_goes_on_when_it_is_resumed(self):
        trace = self.trace()
        self.begin(trace)
        victim = self.follower()
        self.do(do="pause", node=victim)
        self.assertTrue(self.report()["nodes"][victim]["paused"])
        self.seen(trace, victim, "silent")
        self.do(do="slow_disk", node=victim, ms=1)  # nobody waits for a frozen node
        self.do(do="resume", node=victim)
        self.assertFalse(self.report()["nodes"][victim]["paused"])
        self.seen(trace, victim, "state")
        self.do(do="slow_disk", node=victim, ms=0)

    def test_an_isolated_leader_is_replaced_and_steps_down_when_links_are_whole(self):
        self.do(do="transfer", to=2)
        wait_for("node 2 to lead", lambda: self.role(2) == "leader")
        trace = self.trace()
        self.begin(trace)
        self.do(do="isolate", node=2)
        report = self.report()
        self.assertTrue(report["nodes"][2]["isolated"])
        self.assertEqual(sorted((c["from"], c["to"]) for c in report["cuts"]),
                         [(0, 2), (1, 2), (2, 0), (2, 1)])
        self.seen(trace, 2, "silent")
        wait_for("another leader", lambda: "leader" in (self.role(0), self.role(1)))
        self.do(do="heal", node=2)
        self.assertEqual(self.report()["cuts"], [])
        self.assertEqual(self.seen(trace, 2, "state").get("role") in ("leader", "follower"), True)
        wait_for("it to follow", lambda: self.role(2) == "follower")

    def test_one_direction_of_a_link_is_cut(self):
        trace = self.trace()
        self.begin(trace)
        self.do(do="cut", **{"from": 1, "to": 0})
        self.assertEqual(self.report()["cuts"], [{"from": 1, "to": 0}])
        self.seen(trace, 1, "silent")  # node 0 hears nothing of it
        self.do(do="cut", **{"from": 1, "to": 0, "both": True})
        self.assertEqual(len(self.report()["cuts"]), 2)
        self.do(do="heal")
        self.seen(trace, 1, "state")

    def test_a_cut_outlives_the_process(self):
        victim = self.follower()
        self.do(do="isolate", node=victim)
        self.do(do="restart", node=victim)
        trace = self.trace()
        self.begin(trace)
        self.assertTrue(self.report()["nodes"][victim]["isolated"])
        wait_for("it to be unreachable", lambda: self.member(victim).get("reachable") is False)
        self.do(do="heal")
        self.seen(trace, victim, "state")

    def test_a_slow_disk_delays_writes(self):
        for id in range(3):
            self.do(do="slow_disk", node=id, ms=150)
        self.assertEqual([n["slow_disk_ms"] for n in self.report()["nodes"]], [150] * 3)
        begun = time.monotonic()
        self.assertEqual(send(self.port, "PUT", "/kv/k", b"v")[0], 200)
        self.assertGreater(time.monotonic() - begun, 0.15)
        for id in range(3):
            self.do(do="slow_disk", node=id, ms=0)
        wait_for("a fast write", lambda: self.put_takes() < 0.15)

    def put_takes(self):
        begun = time.monotonic()
        send(self.port, "PUT", "/kv/k", b"v")
        return time.monotonic() - begun

    def test_an_election_is_asked_for_and_leadership_is_handed_over(self):
        self.do(do="transfer", to=1)
        wait_for("node 1 to lead", lambda: self.role(1) == "leader")
        trace = self.trace()
        self.begin(trace)
        self.do(do="campaign", node=2)
        self.seen(trace, 2, "vote", **{"for": 2})
        self.do(do="transfer", to=0)
        self.seen(trace, 0, "role", role="leader")
        self.assertEqual(self.do(do="transfer", to=7, expected=409)["code"], "not_possible")

    def test_wrong_requests_are_refused(self):
        for wrong in ({}, {"do": "explode"}, {"do": "kill"}, {"do": "kill", "node": "x"},
                      {"do": "kill", "node": 1, "colour": 1}, {"do": "cut", "from": 1},
                      {"do": "slow_disk", "node": 1, "ms": 5001}, {"do": "transfer"}):
            self.do(expected=400, **wrong)
        # What an act would ignore may change what is meant, and an id is a number.
        for wrong, field in (({"do": "heal", "from": 0, "to": 1}, "from"),
                             ({"do": "kill", "node": 1, "ms": 5}, "ms"),
                             ({"do": "transfer", "to": 1, "node": 1}, "node"),
                             ({"do": "slow_disk", "node": "1", "ms": 5}, "node"),
                             ({"do": "slow_disk", "node": 1, "ms": "5"}, "ms"),
                             ({"do": "cut", "from": 0, "to": "1"}, "to"),
                             ({"do": "heal", "node": "1"}, "node")):
            reply = self.do(expected=400, **wrong)
            self.assertEqual((reply["code"], reply["field"]), ("invalid_field", field), wrong)
        self.assertEqual(self.do(do="kill", node=3, expected=409)["code"], "not_possible")
        self.do(do="cut", **{"from": 1, "to": 1}, expected=409)


class Flag(unittest.TestCase):
    def serve(self, folder, *flags, own="127.0.0.1"):
        [port] = free_ports(1)
        with open(os.path.join(folder, "list.txt"), "w", encoding="ascii") as file:
            file.write(f"http://{own}:{port}\n")
        return port, subprocess.Popen([VESPER, "server", "0", "list.txt", *flags], cwd=folder,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def test_it_is_refused_on_other_than_loopback_addresses(self):
        # 192.0.2.1 is an address for documentation: that of a proxy, for example.
        for own, listen in (("127.0.0.1", "0.0.0.0"), ("127.0.0.1", "[::]"),
                            ("192.0.2.1", "127.0.0.1")):
            with self.subTest(own=own, listen=listen), tempfile.TemporaryDirectory() as folder:
                _, process = self.serve(folder, "--chaos", "--insecure-clients", "--listen",
                                        f"{listen}:{free_ports(1)[0]}", own=own)
                self.addCleanup(process.kill)
                self.assertEqual(process.wait(SECONDS), 2)
                with process.stderr:
                    said = process.stderr.read()
                self.assertIn("--chaos", said)
                self.assertIn(own if own != "127.0.0.1" else listen, said)

    def test_without_the_flag_there_is_no_such_path_and_without_a_supervisor_503(self):
        for flags, status, code in (([], 404, "no_such_path"), (["--chaos"], 503, "no_supervisor")):
            with tempfile.TemporaryDirectory() as folder:
                port, process = self.serve(folder, *flags)
                try:
                    wait_for("the node", lambda: is_ready(port))
                    for method, body in (("GET", None), ("POST", b'{"do":"heal"}')):
                        reply = send(port, method, "/chaos", body)
                        self.assertEqual((reply[0], json.loads(reply[2])["code"]), (status, code))
                finally:
                    process.terminate()
                    process.wait(SECONDS)
                    process.stderr.close()


if __name__ == "__main__":
    unittest.main()
