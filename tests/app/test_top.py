#!/usr/bin/env python3
"""`vesper top`: what it shows of healthy and broken clusters, as text and on a terminal."""
import fcntl
import json
import os
import pty
import queue
import select
import signal
import struct
import subprocess
import termios
import threading
import time
import unittest

from cli_case import VESPER, Cli
from fake_server import chunk, chunked, problem, refused_url, reply
from terminal import Terminal

# The statuses that are alarms of the page, which tests/ui checks with the same file.
ALARMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../ui/alarms.json")
METRICS = """vesper_requests_total{route="kv",status="200"} %d
vesper_requests_total{route="status",status="200"} %d
vesper_entries_applied_total %d
vesper_request_seconds_bucket{route="kv",le="0.001"} %d
vesper_request_seconds_bucket{route="kv",le="+Inf"} %d
vesper_fsync_seconds_bucket{le="0.05"} %d
vesper_fsync_seconds_bucket{le="0.25"} %d
vesper_fsync_seconds_bucket{le="+Inf"} %d
"""


class Screen:
    """A terminal of the given size that runs `vesper top`."""

    def __init__(self, url, columns=80, rows=24, term="xterm", interval="100ms", more=(),
                 token=None):
        self.master, self.slave = pty.openpty()
        self.terminal = Terminal(columns, rows)
        self.resize(columns, rows)
        self.modes = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [VESPER, "top", "--interval", interval, "--endpoints", url, *more],
            stdin=self.slave,
            stdout=self.slave,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TERM": term, **({"VESPER_TOKEN": token} if token else {})},
        )

    def resize(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.terminal.resize(columns, rows)

    @property
    def text(self):
        return self.terminal.text

    def wait_for(self, text, seconds=20, is_shown=True):
        end = time.monotonic() + seconds
        while (text in self.text) != is_shown:
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"waiting for {text!r}, shown: {is_shown}:\n{self.text}")
            if select.select([self.master], [], [], 0.1)[0]:
                self.terminal.feed(os.read(self.master, 65536))

    def end(self):
        """The exit code, and whether the terminal is as it was."""
        self.process.wait(10)
        restored = termios.tcgetattr(self.slave) == self.modes
        os.close(self.master)
        os.close(self.slave)
        return self.process.returncode, restored


class Top(Cli):
    def fake(self, answer):
        fake = super().fake(answer)
        fake.status = None  # `answer` says it
        return fake

    def cluster(self, roles, leader=0, changes=None):
        """Fake nodes, each 100 requests further at each question."""
        fakes = [self.fake(None) for _ in roles]
        urls = [fake.url for fake in fakes]
        for i, (role, fake) in enumerate(zip(roles, fakes)):
            status = {
                "id": i,
                "cluster": "0123456789abcdef" * 2,
                "role": role,
                "term": 3,
                "leader": None if leader is None else urls[leader],
                "revision": 1234,
                "last_index": 40,
                "commit_index": 40,
                "applied_index": 40 - i,
                "uptime_ms": 3_723_000,
                "watchers": 1,
                "keys": 5,
                "leases": 0,
                "locks": 0,
                "members": [
                    {"id": j, "address": url, "voter": j < 3} for j, url in enumerate(urls)
                ],
                "log": {"file_bytes": 3 << 20, "disk_full": False},
                "history": {"bytes": 0, "keep_bytes": 1000},
                "idempotency": {"keys": 0, "max": 10},
                "quota": {"bytes": 8 << 30, "used_bytes": 2048, "state": "fine"},
            }
            status.update((changes or {}).get(i, {}))
            fake.answer = self.answers(status, urls)
        return fakes

    @staticmethod
    def answers(status, urls):
        asked, slow = 0, 0

        def answer(request, _):
            nonlocal asked, slow
            if request.target == "/status":
                return reply(200, status)
            if request.target == "/metrics":
                asked += 1
                slow += status.get("slow_writes", 0)
                n = 100 * asked
                return reply(200, METRICS % (n, n, n, n, n, n - slow, n, n), "text/plain")
            if request.target == "/cluster":
                rows = [{"id": j, "state": "replicating"} for j, _ in enumerate(urls)]
                return reply(
                    200, {"configuration": {"index": 7, "joint": True}, "members": rows}
                )
            return problem(404, "no_such_path")

        return answer

    def once(self, url, *arguments):
        return self.vesper("top", "--once", "--interval", "100ms", *arguments, endpoints=[url])

    def test_once_prints_the_nodes_and_what_they_do(self):
        fakes = self.cluster(["leader", "follower", "follower", "learner"])
        result = self.once(fakes[2].url)
        self.assertEqual((result.code, result.err), (0, ""))
        lines = result.out.decode().splitlines()
        self.assertEqual(
            lines[0], "vesper top   cluster 0123456789ab   term 3   leader 0   revision 1,234"
        )
        self.assertEqual(
            lines[1],
            "3 voters, a write needs both majorities   1 learner   configuration 7 (joint)",
        )
        self.assertEqual(
            lines[2],
            "keys 5   store 2.00KiB of 8.00GiB   history 0B   leases 0   locks 0   watches 4",
        )
        self.assertRegex(lines[3], r"^load [\d,]+ requests/s   p50 500us   p99 990us   [\d,]+ entr")
        self.assertEqual(
            lines[5].split(), "ID ADDRESS ROLE STATE LAG REQ/S 99% FSYNC LOG".split()
        )
        rows = [line.split() for line in lines[6:10]]
        self.assertEqual([row[0] for row in rows], list("0123"))
        self.assertEqual([row[2] for row in rows], ["leader", "follower", "follower", "learner"])
        self.assertEqual([row[3] for row in rows], ["-"] + ["replicating"] * 3)
        self.assertEqual([row[4] for row in rows], list("0123"))
        for row in rows:
            # 100 requests in an interval, which lasts a little longer than 100 ms.
            self.assertTrue(20 < int(row[5].replace(",", "")) <= 1000, row)
            self.assertEqual(row[8], "3.00MiB")
        self.assertTrue(all(len(line) <= 80 for line in lines), lines)

    def test_it_goes_on_after_the_end_of_the_given_endpoint(self):
        fakes = self.cluster(["leader", "follower", "follower"])
        given = fakes[2]
        process = subprocess.Popen(
            [VESPER, "top", "--once", "--interval", "2s", "--endpoints", given.url],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 20
        while not any(request.target == "/metrics" for request in given.requests):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        self.fakes.remove(given)
        given.close()
        out, err = process.communicate(timeout=30)
        self.assertEqual((process.returncode, err), (0, b""))
        rows = [line.split() for line in out.decode().splitlines()]
        self.assertEqual([row[2] for row in rows if row and row[0] in ("0", "1")],
                         ["leader", "follower"])

    def test_alarms_come_first(self):
        fakes = self.cluster(
            ["leader", "follower", "follower"],
            changes={
                0: {"slow_writes": 2},
                1: {
                    "log": {"disk_full": True},
                    "history": {"bytes": 900, "keep_bytes": 1000},
                    "idempotency": {"keys": 8, "max": 10},
                },
                2: {"diverged": {}, "quota": {"state": "exceeded"}, "commit_index": 5000},
            },
        )
        text = self.once(fakes[0].url).out.decode()
        alarms = [line for line in text.splitlines() if line.startswith("! ")]
        self.assertEqual(
            [line.split(":")[0] for line in alarms],
            ["! node 0"] + ["! node 1"] * 3 + ["! node 2"] * 2 + ["! and 1 more"],
        )
        self.assertIn("! node 0: the disk is slow: 1 write in 100 took ", text)
        self.assertIn("! node 1: the history is near its bound", text)
        self.assertIn("! node 1: the table of Idempotency-Keys is nearly full", text)
        self.assertIn("! node 1: the disk is full", text)
        self.assertIn("! node 2: its state has diverged", text)
        self.assertLess(text.index("! node 0"), text.index("ADDRESS"))

    def test_it_has_every_alarm_of_the_page_with_the_same_bounds(self):
        with open(ALARMS, encoding="ascii") as file:
            cases = json.load(file)
        self.assertGreater(len(cases), 10)
        fakes = self.cluster(["leader", "follower", "follower"])
        healthy = self.once(fakes[0].url).out.decode()
        self.assertNotIn("! ", healthy)
        said = set()
        for case in cases:
            status = {"slow_writes": 2} if "fsync" in case else case["status"]
            with self.subTest(alarm=case["title"]):
                leads = "leader" not in status
                fakes = self.cluster(["leader" if leads else "candidate", "follower", "follower"],
                                     leader=0 if leads else None, changes={0: status})
                text = self.once(fakes[0].url).out.decode()
                alarms = [line for line in text.splitlines() if line.startswith("! ")]
                self.assertEqual(len(alarms), 1, text)
                said.add(alarms[0].replace("in 7 days", "").replace("in 29 days", ""))
        self.assertEqual(len(said), len({case["title"] for case in cases}), said)

    def test_nodes_that_are_down_and_a_lost_leader(self):
        fakes = self.cluster(["candidate", "follower", "follower"], leader=None)
        self.fakes.remove(fakes[2])
        fakes[2].close()
        result = self.once(fakes[0].url)
        self.assertEqual(result.code, 5)
        text = result.out.decode()
        self.assertIn("   no leader   ", text.splitlines()[0])
        self.assertIn("! no leader, so no quorum", text)
        self.assertIn("! node 2 does not answer", text)
        self.assertRegex(text, r"2  \S+ +unreachable")
        nothing = self.once(refused_url())
        self.assertEqual(nothing.code, 5)
        self.assertIn("no node answers", nothing.out.decode())

    def test_what_a_node_says_cannot_control_the_terminal(self):
        evil = "\x1b]0;x\x07"
        fakes = self.cluster(["leader"], changes={0: {"cluster": evil, "role": "leader"}})
        out = self.once(fakes[0].url).out
        self.assertNotIn(b"\x1b", out)
        fakes = self.cluster(["leader", evil])
        self.assertNotIn(b"\x1b", self.once(fakes[0].url).out)

    def test_it_is_drawn_again_fits_the_size_and_ends_with_q(self):
        fakes = self.cluster(["leader", "follower"])
        screen = Screen(fakes[0].url)
        screen.wait_for("replicating")
        self.assertNotIn("UPTIME", screen.text)
        screen.resize(160, 40)
        screen.wait_for("UPTIME")
        os.write(screen.master, b"q")
        self.assertEqual(screen.end(), (0, True))

    def trace(self, fake, *events):
        """Makes a fake serve these events, and what is put into the queue that this returns."""
        more, others = queue.SimpleQueue(), fake.answer

        def answer(request, connection):
            if request.target != "/trace":
                return others(request, connection)
            self.traced.append(request)
            connection.sendall(chunked(200, *map(block, events), ends=False))
            while True:
                try:
                    event = more.get(timeout=1)
                except queue.Empty:
                    connection.sendall(chunk(b":\n\n"))  # as a node does each second
                    continue
                if event is None:
                    return None  # and the connection ends
                connection.sendall(chunk(block(event)))

        def block(event):
            return b"data: " + json.dumps(event).encode() + b"\n\n"

        self.traced = []
        fake.answer = answer
        self.addCleanup(more.put, None)
        return more

    def test_it_shows_what_the_trace_says_at_once(self):
        fakes = self.cluster(["leader", "follower"])
        state = {"kind": "state", "at": 1, "role": "follower", "term": 3}
        send = {"node": 0, "kind": "send", "at": 2, "to": 1, "message": "append"}
        vote = {"node": 1, "kind": "vote", "at": 3, "term": 4, "for": 0, "pre_vote": False}
        events = self.trace(fakes[0], {"node": 0, **state}, {"node": 1, **state}, send, vote)
        # The next survey is a minute away, so only the trace can make it draw: the vote does, and
        # the message before it does not.
        screen = Screen(fakes[0].url, interval="60s", token="vsp_top")
        screen.wait_for("node 1  term 4: granted its vote to node 0")
        screen.wait_for("appends 1")
        events.put({"node": 1, "kind": "silent", "at": 300})
        screen.wait_for("has fallen silent")
        screen.wait_for("  silent  ")  # the role
        self.assertEqual(self.traced[0].headers["authorization"], "Bearer vsp_top")
        os.write(screen.master, b"q")
        self.assertEqual(screen.end(), (0, True))

    def test_a_node_that_hangs_does_not_delay_what_the_trace_says(self):
        fakes = self.cluster(["leader", "follower"])
        events = self.trace(fakes[0], {"node": 0, "kind": "state", "at": 1, "term": 3})
        screen = Screen(fakes[0].url, interval="100ms", more=["--timeout", "60s"])
        screen.wait_for("replicating")
        asked = threading.Event()

        def hang(request, connection):
            asked.set()
            connection.recv(1)

        fakes[1].answer = hang
        self.assertTrue(asked.wait(20))
        events.put({"node": 1, "kind": "silent", "at": 300})
        screen.wait_for("has fallen silent")
        screen.process.kill()
        screen.end()

    def test_without_a_trace_it_shows_the_rest(self):
        fakes = self.cluster(["leader", "follower"])
        screen = Screen(fakes[0].url)  # /trace is 404
        screen.wait_for("replicating")
        self.assertNotIn("messages/s", screen.text)
        more = self.trace(fakes[1], {"node": 0, "kind": "state", "at": 1, "term": 3})
        os.write(screen.master, b"q")
        self.assertEqual(screen.end(), (0, True))
        # The stream goes on at the next endpoint, and ends with this one.
        screen = Screen(f"{fakes[0].url},{fakes[1].url}")
        screen.wait_for("messages/s")
        more.put({"node": 0, "kind": "silent", "at": 2})
        screen.wait_for("node 0  has fallen silent")
        os.write(screen.master, b"q")
        self.assertEqual(screen.end(), (0, True))

    def test_the_trace_goes_on_at_a_member_that_has_joined_meanwhile(self):
        state = {"node": 0, "kind": "state", "at": 1, "term": 3}
        silent = {"node": 0, "kind": "silent", "at": 2}
        first, second = self.cluster(["leader", "follower"])
        self.trace(second, state, silent)
        more = self.trace(first, state)
        both, joined, left = first.answer, threading.Event(), threading.Event()
        alone = reply(200, {"id": 0, "role": "leader", "leader": first.url, "members": [
            {"id": 0, "address": first.url, "voter": True}]})

        def answer(request, connection):
            if request.target == "/status":
                return both(request, connection) if joined.is_set() else alone
            return problem(503, "not_a_member") if left.is_set() else both(request, connection)

        first.answer = answer
        # The next survey is a minute away, so only the trace asks for the members.
        screen = Screen(first.url, interval="60s")
        screen.wait_for("messages/s")
        joined.set()
        deadline = time.monotonic() + 20
        while not any(request.target == "/status" for request in second.requests):
            self.assertLess(time.monotonic(), deadline)
            more.put({"node": 0, "kind": "commit", "at": 2, "index": 9})
            time.sleep(0.1)
        # If the second one answered too late to count, the first one can still name it.
        left.set()
        more.put(None)
        screen.wait_for("node 0  has fallen silent")
        os.write(screen.master, b"q")
        self.assertEqual(screen.end(), (0, True))

    def test_a_signal_restores_the_terminal(self):
        fakes = self.cluster(["leader", "follower"])
        for number, code in ((signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 0)):
            screen = Screen(fakes[0].url)
            screen.wait_for("follower")
            screen.process.send_signal(number)
            self.assertEqual(screen.end(), (code, True))

    def test_it_ends_with_its_terminal(self):
        fakes = self.cluster(["leader", "follower"])
        screen = Screen(fakes[0].url)
        screen.wait_for("follower")
        os.close(screen.slave)
        os.close(screen.master)
        self.assertEqual(screen.process.wait(10), 1)

    def test_a_cluster_that_goes_away_is_shown_and_comes_back(self):
        fakes = self.cluster(["leader", "follower"])
        screen = Screen(fakes[0].url)
        screen.wait_for("replicating")
        healthy = fakes[1].answer
        fakes[1].answer = lambda request, connection: problem(500, "internal")
        screen.wait_for("! node 1 does not answer")
        screen.wait_for("replicating", is_shown=False)
        fakes[1].answer = healthy
        screen.wait_for("replicating")
        os.write(screen.master, b"q")
        self.assertEqual(screen.end(), (0, True))

    def test_it_needs_a_terminal(self):
        fakes = self.cluster(["leader"])
        result = self.vesper("top", endpoints=[fakes[0].url])
        self.assertEqual(result.code, 2)
        self.assertIn("top needs a terminal; for a script, use --once", result.err)
        screen = Screen(fakes[0].url, term="dumb")
        self.assertEqual(screen.end(), (2, True))

    def test_arguments(self):
        for interval in ("99ms", "61s", "0", "x"):
            result = self.vesper("top", "--once", "--interval", interval)
            self.assertEqual(result.code, 2, interval)
            self.assertIn("--interval", result.err)
        self.assertEqual(self.vesper("top", "--json").code, 2)


if __name__ == "__main__":
    unittest.main()
