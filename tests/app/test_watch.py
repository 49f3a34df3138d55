#!/usr/bin/env python3
"""vesper watch against servers that send what the test wants. Usage: test_watch.py <vesper>"""
import json
import os
import pty
import re
import signal
import socket
import subprocess
import threading
import time
import unittest
import urllib.parse

from cli_case import VESPER, Cli, read_terminal
from fake_server import chunk, chunked, problem, refused_url, reply

SECONDS = 30
HEAD = "Vesper-Revision: 6\r\n"


def line(type_, **members):
    return json.dumps({"type": type_, **members}, separators=(",", ":")).encode() + b"\n"


def put(key, revision, value="v", **members):
    return line("put", key=key, value=value, revision=revision, create_revision=revision,
                version=1, **members)


def delete(key, revision, **members):
    return line("delete", key=key, revision=revision, **members)


def since(request):
    query = urllib.parse.urlsplit(request.target).query
    return urllib.parse.parse_qs(query, keep_blank_values=True).get("since", [None])[0]


def members(role, leader, *urls):
    return reply(200, {"role": role, "leader": leader, "members": [
        {"id": i, "address": url, "voter": True} for i, url in enumerate(urls)]})


class Watch(Cli):
    def setUp(self):
        super().setUp()
        self.over = threading.Event()
        self.running = []

    def tearDown(self):
        self.over.set()
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()
        super().tearDown()

    def streams(self, *parts, extra=HEAD):
        """A server that sends one stream after the other. Each is the parts that it sends; the last
        one stays open."""
        left = list(parts)

        def answer(request, connection):
            lines = left.pop(0)
            connection.sendall(chunked(200, *lines, extra=extra, ends=False))
            if not left:
                left.append([])
                self.over.wait(SECONDS)

        return self.fake(answer)

    def start(self, *arguments, endpoints, env=None, **streams):
        environment = {**os.environ, "VESPER_ENDPOINTS": ",".join(endpoints), **(env or {})}
        process = subprocess.Popen(
            [VESPER, "watch", *arguments], env=environment, cwd=self.folder.name,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
               **streams})
        self.running.append(process)
        return process

    def read(self, process, count):
        return [process.stdout.readline() for _ in range(count)]

    def stop(self, process, how=signal.SIGTERM, err=""):
        process.send_signal(how)
        out, found = process.communicate(timeout=SECONDS)
        self.assertEqual((process.returncode, out), (0, b""), found)
        self.assertRegex(found.decode(), f"^{err}$")

    def test_it_prints_one_line_per_event_if_stdout_is_not_a_terminal(self):
        fake = self.streams([put("a", 7), put("b\n\t\\", 8, "x\ny"), delete("a", 9),
                             line("put", key_base64="/wA=", value_base64="AQ==", revision=10),
                             line("held", lock="n", token=11, revision=11),
                             line("held", election="e", token=12, value="me", revision=12),
                             line("free", lock="n", revision=13, cause="expired"),
                             line("progress", revision=20), line("later", x=1)])
        process = self.start(endpoints=[fake.url])
        self.assertEqual(self.read(process, 7), [
            b"put\ta\t7\tv\n", b"put\tb\\n\\t\\\\\t8\tx\\ny\n", b"delete\ta\t9\n",
            b"put\t\\xff\\x00\t10\t\\x01\n", b"held\tn\t11\n", b"held\te\t12\tme\n",
            b"free\tn\t13\n"])
        self.stop(process)
        self.assertEqual(fake.requests[0].target, "/watch?format=ndjson")

    def test_json_is_the_line_of_the_server(self):
        lines = [put("a", 5, value="\u2028é"), line("synced", revision=6), delete("a", 7, part=1,
                                                                                  more=True)]
        fake = self.streams([*lines, line("progress", revision=8)])
        process = self.start("-o", "json", "--initial", endpoints=[fake.url])
        self.assertEqual(self.read(process, 3), lines)
        self.stop(process, signal.SIGINT)
        self.assertEqual(fake.requests[0].target, "/watch?format=ndjson&initial")

    def test_a_line_may_arrive_in_parts(self):
        whole = put("a", 7, "x" * 100_000) + put("b", 8)
        parts = [whole[at:at + 33_333] for at in range(0, len(whole), 33_333)]
        process = self.start(endpoints=[self.streams(parts).url])
        self.assertEqual([len(text) for text in self.read(process, 2)], [100_009, 10])
        self.stop(process)

    def test_the_filters_and_options_are_parameters(self):
        fake = self.streams([put("a", 7)])
        process = self.start("a b", "[c]", "--prefix", "p/", "--prefix", "", "--lock", "l",
                             "--election", "e", "--since", "7.2", "--prev", "--events", "put",
                             endpoints=[fake.url])
        self.read(process, 1)
        self.assertEqual(fake.requests[0].target,
                         "/watch?key=a%20b&key=%5Bc%5D&prefix=p%2F&prefix=&lock=l&election=e&prev"
                         "&events=put&format=ndjson&since=7.2")
        for bad in (["--since", "x"], ["--since", "7."], ["--since", "7.0"], ["--events", "all"],
                    ["--since", "1", "--initial"], ["--exec"], ["--what"],
                    ["--lock", "a", "--lock", "b"], ["--election", "a", "--election", "b"]):
            self.expect(self.vesper("watch", *bad, endpoints=[fake.url]), 2)

    def learns(self, second, tell):
        """A watch that is given one endpoint, which ends when it has told the members twice. The
        event after that comes from `second`. `tell(n, url)`: its n-th answer to GET /status."""
        asked = []

        def answer(request, connection):
            if request.target == "/status":
                asked.append(request)
                return tell(len(asked), first.url)
            connection.sendall(chunked(200, put("a", 7), extra=HEAD, ends=False))
            while len(asked) < 2 and not self.over.wait(0.1):
                connection.sendall(chunk(line("progress", revision=7)))
            # It ends as soon as it is known who is to follow.
            self.fakes.remove(first)
            first.close()
            return None

        first = self.fake(answer, answers_status=True)
        process = self.start(endpoints=[first.url])
        self.assertEqual(self.read(process, 2), [b"put\ta\t7\tv\n", b"put\tb\t8\tv\n"])
        self.assertEqual(since(second.requests[0]), "7")
        return process

    def test_it_learns_members_that_join_while_a_stream_is_open(self):
        second = self.streams([put("b", 8)], [put("c", 9)])

        def tell(n, url):
            # The second node is cut off, and knows only what was before.
            second.status = members("follower", None, url)
            return members("leader", url, url, *([] if n == 1 else [second.url]))

        process = self.learns(second, tell)
        # So it is still known when its stream ends.
        self.assertEqual(self.read(process, 1), [b"put\tc\t9\tv\n"])
        self.stop(process)

    def test_it_learns_a_member_that_was_down_when_it_was_first_named(self):
        second = self.streams([put("b", 8)])

        def tell(n, url):
            if n == 2:
                second.status = members("follower", url)
            return members("leader", url, url, second.url)

        self.stop(self.learns(second, tell))

    def test_it_goes_on_after_the_last_event_at_the_next_endpoint(self):
        first = self.streams([put("a", 7), put("b", 8, part=1, more=True)], [put("d", 10)])
        second = self.streams([put("c", 8), line("progress", revision=9)], [])
        process = self.start(endpoints=[first.url, refused_url(), second.url])
        self.assertEqual([text.split(b"\t")[1] for text in self.read(process, 4)],
                         [b"a", b"b", b"c", b"d"])
        self.stop(process)
        self.assertEqual([since(r) for r in first.requests], [None, "9"])
        self.assertEqual(since(second.requests[0]), "8.1")

    def test_without_an_event_it_goes_on_after_the_revision_at_which_it_began(self):
        fake = self.streams([], [put("a", 7)])
        process = self.start(endpoints=[fake.url])
        self.read(process, 1)
        self.assertEqual([since(r) for r in fake.requests], [None, "6"])
        # A node that cannot tell the revision is not used, since events might be lost.
        unknown = self.streams([put("x", 1)], [], extra="")
        process = self.start(endpoints=[unknown.url, self.streams([put("a", 7)]).url])
        self.assertEqual(self.read(process, 1), [b"put\ta\t7\tv\n"])

    def test_the_present_state_has_no_ids(self):
        fake = self.streams([put("a", 9), put("b", 3)],
                            [put("a", 9), put("b", 3), line("synced", revision=9)],
                            [line("reset", revision=30), put("a", 29)],
                            [line("reset", revision=31), put("a", 29), line("synced", revision=31)],
                            [put("b", 32)])
        process = self.start("--initial", "-o", "json", endpoints=[fake.url])
        shown = [json.loads(text) for text in self.read(process, 11)]
        self.assertEqual([(e["type"], e["revision"]) for e in shown],
                         [("put", 9), ("put", 3), ("put", 9), ("put", 3), ("synced", 9),
                          ("reset", 30), ("put", 29), ("reset", 31), ("put", 29), ("synced", 31),
                          ("put", 32)])
        sent = "vesper: the connection ended while the present state was sent: it is sent again\n"
        reset = "vesper: events are missing: the present state follows\n"
        self.stop(process, err=sent + reset + sent + reset)
        self.assertEqual([since(r) for r in fake.requests], [None, None, "9", "9", "31"])
        self.assertEqual(["initial" in r.target for r in fake.requests],
                         [True, True, False, False, False])

    def test_a_node_that_closes_the_watch_or_hears_no_leader_is_left(self):
        closes = self.streams([put("a", 7), line("closed", code="shutting_down", detail="bye")], [])
        stale = self.streams([line("stale", revision=7)], [])
        good = self.streams([put("b", 8)])
        process = self.start(endpoints=[closes.url, stale.url, good.url])
        self.assertEqual([text.split(b"\t")[1] for text in self.read(process, 2)], [b"a", b"b"])
        self.stop(process, err=re.escape(f"vesper: {closes.url}: bye (shutting_down)\n"))

    def test_a_single_node_that_hears_no_leader_is_kept(self):
        fake = self.streams([line("stale", revision=6), put("a", 7), line("fresh", revision=7),
                             put("b", 8)])
        process = self.start(endpoints=[fake.url])
        self.read(process, 2)
        late = f"vesper: {fake.url}: this node hears no leader, and events may be late\n"
        self.stop(process, err=re.escape(late + f"vesper: {fake.url}: events arrive again\n"))

    def test_it_waits_for_nodes_that_come_back(self):
        fake = self.streams([put("a", 7)], [])
        process = self.start(endpoints=[fake.url])
        self.read(process, 1)
        port, answer = fake.port, []
        fake.close()
        self.fakes.remove(fake)
        self.over.set()  # ends the connection, too
        self.assertIn(b"trying again", process.stderr.readline())
        with socket.create_server(("127.0.0.1", port)) as listener:
            connection, _ = listener.accept()
            answer.append(connection.recv(65536))
            connection.sendall(chunked(200, put("b", 8), extra=HEAD, ends=False))
            self.assertEqual(self.read(process, 1), [b"put\tb\t8\tv\n"])
            self.assertIn(b"since=7", answer[0])
            self.stop(process, err=re.escape(f"vesper: {fake.url}: events arrive again\n"))
            connection.close()

    def test_if_no_node_serves_it_ends_with_5_and_if_the_request_is_wrong_with_1(self):
        result = self.vesper("watch", endpoints=[refused_url()])
        self.expect(result, 5)
        self.assertLess(result.seconds, 3)
        for answer in (problem(503, "shutting_down"), problem(429, "overloaded"), None):
            fake = self.fake(answer)
            self.expect(self.vesper("watch", "--timeout", "400ms", endpoints=[fake.url]), 5)
            self.assertGreater(len(fake.requests), 1)
        fake = self.fake(problem(400, "invalid_parameter", hint="other"))
        result = self.vesper("watch", endpoints=[fake.url])
        self.expect(result, 1)
        self.assertIn("hint: other", result.err)
        self.expect(self.vesper("watch", endpoints=[self.fake(b"HTTP?\r\n\r\n").url]), 1)

    def test_a_closed_stdout_ends_it_with_1(self):
        reader, writer = os.pipe()
        process = self.start(endpoints=[self.streams([put("a", 7)]).url], stdout=writer)
        os.close(reader)
        os.close(writer)
        self.assertEqual(process.wait(SECONDS), 1)

    def test_on_a_terminal_it_prints_a_table(self):
        master, slave = pty.openpty()
        fake = self.streams([put("a\x1b", 7), delete("b", 8)])
        process = self.start(endpoints=[fake.url], stdout=slave, env={"NO_COLOR": "1"})
        shown = b""
        while shown.count(b"\n") < 3:
            shown += os.read(master, 65536)
        self.stop_quietly(process)
        os.close(slave)
        read_terminal(master)
        self.assertEqual([text.split() for text in shown.decode().splitlines()],
                         [["EVENT", "KEY", "REVISION", "VALUE"], ["put", "a\\x1b", "7", "v"],
                          ["delete", "b", "8", "-"]])

    def stop_quietly(self, process):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(SECONDS), 0)

    # Appends what the command got to a file, as a line of JSON.
    RECORD = ("import json, os, sys\n"
              "got = {k: v for k, v in os.environ.items() if k.startswith('VESPER_')}\n"
              "got.pop('VESPER_ENDPOINTS')\n"
              "got['stdin'] = sys.stdin.read()\n"
              "with open('got', 'a') as file: file.write(json.dumps(got) + '\\n')\n")

    def recorded(self, count):
        path = os.path.join(self.folder.name, "got")
        deadline = time.monotonic() + SECONDS
        while True:
            self.assertLess(time.monotonic(), deadline)
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    got = file.read().splitlines()
                if len(got) >= count:
                    return [json.loads(text) for text in got]
            time.sleep(0.01)

    def test_exec_runs_the_command_for_each_event(self):
        big = "x" * (64 * 1024)
        lines = [put("a", 7, "1"), put("b", 8, big), put("c", 9, big + "x"), put("d", 10, "\0"),
                 delete("a", 11), line("held", lock="n", token=12, revision=12)]
        fake = self.streams([*lines, line("progress", revision=13)])
        process = self.start("--exec", "python3", "-c", self.RECORD, "--what", endpoints=[fake.url],
                             env={"VESPER_VALUE": "old"})
        got = self.recorded(len(lines))
        self.assertEqual([entry.pop("stdin").encode() for entry in got], lines)
        self.assertEqual([entry.pop("VESPER_REVISION") for entry in got],
                         ["7", "8", "9", "10", "11", "12"])
        self.assertEqual([entry.pop("VESPER_EVENT") for entry in got],
                         ["put", "put", "put", "put", "delete", "held"])
        self.assertEqual([entry.pop("VESPER_KEY") for entry in got], ["a", "b", "c", "d", "a", "n"])
        self.assertEqual(got, [{"VESPER_VALUE": "1"}, {"VESPER_VALUE": big}, {}, {}, {}, {}])
        self.stop(process)

    def test_exec_runs_one_command_at_a_time_in_order(self):
        fake = self.streams([put("k", revision) for revision in range(7, 17)])
        script = "echo begin $VESPER_REVISION; sleep 0.02; echo end $VESPER_REVISION"
        process = self.start("--exec", "sh", "-c", script, endpoints=[fake.url])
        self.assertEqual(self.read(process, 20),
                         [b"%s %d\n" % (word, revision) for revision in range(7, 17)
                          for word in (b"begin", b"end")])
        self.stop(process)

    def test_a_command_that_fails_or_ignores_its_input_does_not_end_the_watch(self):
        fake = self.streams([put("k", 7, "x" * 1_000_000), put("k", 8)])
        process = self.start("--exec", "sh", "-c", "echo $VESPER_REVISION; exit 3",
                             endpoints=[fake.url])
        self.assertEqual(self.read(process, 2), [b"7\n", b"8\n"])
        for revision in (7, 8):
            self.assertEqual(
                process.stderr.readline().decode(),
                f'vesper: put of "k" at {revision}: "sh" ended with exit code 3\n')
        self.stop(process)
        process = self.start("--exec=./nowhere", endpoints=[self.streams([put("k", 7)]).url])
        self.assertIn(b"cannot run", process.stderr.readline())
        self.stop(process)

    def test_an_event_whose_command_has_run_is_not_repeated_after_a_reconnect(self):
        fake = self.streams([put("k", 7), put("k", 8)], [put("k", 9)])
        process = self.start("--exec", "sh", "-c", "echo $VESPER_REVISION", endpoints=[fake.url])
        self.assertEqual(self.read(process, 3), [b"7\n", b"8\n", b"9\n"])
        self.assertEqual([since(r) for r in fake.requests], [None, "8"])
        self.stop(process)

    def test_sigterm_is_passed_on_to_the_command_and_waits_for_its_end(self):
        fake = self.streams([put("k", 7), put("k", 8)])
        script = "trap 'echo ends; exit' TERM; echo begins; while :; do sleep 0.01; done"
        process = self.start("--exec", "bash", "-c", script, endpoints=[fake.url])
        self.assertEqual(self.read(process, 1), [b"begins\n"])
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=SECONDS)
        self.assertEqual((process.returncode, out), (0, b"ends\n"))


if __name__ == "__main__":
    unittest.main()
