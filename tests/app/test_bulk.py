#!/usr/bin/env python3
"""`vesper export` and `vesper import`, against a store in memory and against servers that fail when
the test wants. Usage: test_bulk.py <vesper>"""
import json
import os
import pty
import socket
import subprocess
import threading
import time
import unittest

from cli_case import VESPER, Cli, read_terminal
from fake_server import chunk, chunked, problem, refused_url, reply
from store_stand_in import Store, line_of

KEYS = {
    b"plain": (b"value", False),
    b"json": (b'{"a":[1,2]}', True),
    b"empty": (b"", False),
    "ключ\n\"".encode(): ("значение\u2028".encode(), False),
    b"\xff\x00key": (bytes(range(256)), False),
    b"text\x01\x7f": (b"\x00\x1f\\\"", False),
}


def filled(keys=None):
    store = Store()
    for key, (value, mark) in (KEYS if keys is None else keys).items():
        store.put(key, value, mark)
    return store


def content(store):
    return {key: version[:2] for key, version in store.keys.items()}


class Export(Cli):
    def test_an_export_can_be_imported_byte_by_byte(self):
        source, target = self.fake(filled()), self.fake(Store())
        exported = self.vesper("export", endpoints=[source.url])
        self.assertEqual((exported.code, exported.err), (0, ""))
        self.assertEqual(len(exported.out.splitlines()), len(KEYS))
        result = self.vesper("import", "-", endpoints=[target.url], stdin=exported.out)
        self.expect(result, 0, b"%d\n" % len(KEYS))
        self.assertEqual(content(target.answer), KEYS)

    def test_lines_are_printed_unchanged(self):
        lines = [line_of({"key": "é", "value": "a", "revision": 2, "later": [1]}),
                 b'{ "key" : "b","value":"\\u00e9", "json":true}\n']
        fake = self.fake(chunked(200, lines[0] + lines[1][:5], lines[1][5:]))
        self.expect(self.vesper("export", "p", endpoints=[fake.url]), 0, b"".join(lines))
        self.assertRegex(fake.requests[0].target, r"^/kv\?prefix=p&format=ndjson&timeout=\d+ms$")
        self.vesper("export", "--revision", "7", endpoints=[fake.url])
        self.assertIn("/kv?format=ndjson&revision=7&", fake.requests[1].target)

    def test_it_goes_on_at_the_next_node_at_the_same_revision(self):
        store = filled({b"p%03d" % i: (b"v" * 100, False) for i in range(50)})
        lines = [line_of(store.version(key)) for key in sorted(store.keys)]
        revision = "Vesper-Revision: 51\r\n"
        error = line_of({"error": {"status": 503, "code": "shutting_down", "detail": "why not"}})
        for broken in (
            chunked(200, *lines[:20], lines[20][:30], extra=revision, ends=False),
            chunked(200, *lines[:20], error, extra=revision, ends=False),
            chunked(200, *lines[:20], lines[20][:30], extra=revision),
        ):
            bad, good = self.fake(broken), self.fake(store)
            result = self.vesper("export", "p", endpoints=[bad.url, good.url])
            self.expect(result, 0, b"".join(lines))
            self.assertIn("/kv?start=p019%00&end=q&format=ndjson&revision=51&",
                          good.requests[0].target)

    def test_an_export_that_cannot_be_completed_fails_and_says_so(self):
        line = line_of({"key": "a", "value": "b"})
        gone = line_of({"error": {"status": 410, "code": "compacted", "detail": "why not"}})
        for answer, code, out in (
            (problem(503, "no_leader"), 5, b""),
            (problem(400, "invalid_parameter"), 1, b""),
            (problem(410, "compacted"), 1, b""),
            (chunked(200, line, gone, ends=False), 1, line),
            (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + line, 5, line),
            (b"SSH-2.0-OpenSSH_9.2\r\n", 1, b""),
        ):
            answers = [answer]
            fake = self.fake(lambda r, c: answers.pop() if answers else problem(503, "x"))
            result = self.vesper("export", "--timeout", "300ms", endpoints=[fake.url])
            self.expect(result, code, out)
            self.assertEqual("incomplete" in result.err, out != b"", result.err)
        result = self.vesper("export", "--timeout", "300ms", endpoints=[refused_url()])
        self.expect(result, 5)

    def test_a_stream_may_pause_and_a_stalled_one_ends_with_an_error(self):
        line = line_of({"key": "a", "value": "b"})

        def slow(request, connection):
            connection.sendall(chunked(200, line, ends=False))
            time.sleep(1)
            connection.sendall(chunk(line) + b"0\r\n\r\n")

        result = self.vesper("export", "--timeout", "500ms", endpoints=[self.fake(slow).url])
        self.expect(result, 0, line * 2)
        head = chunked(200, line, ends=False)
        stalled = self.fake(lambda r, c: c.sendall(head) or time.sleep(20))
        result = self.vesper("export", "--timeout", "300ms", endpoints=[stalled.url])
        self.expect(result, 5, line)
        self.assertLess(result.seconds, 10)

    def test_a_stdout_that_cannot_be_written_ends_it(self):
        fake = self.fake(filled())
        with open("/dev/full", "wb") as full:
            done = subprocess.run([VESPER, "export", "--endpoints", fake.url], stdout=full,
                                  stderr=subprocess.PIPE, timeout=30, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"stdout", done.stderr)


class Import(Cli):
    def write(self, *lines):
        path = os.path.join(self.folder.name, "lines.ndjson")
        with open(path, "wb") as file:
            file.write(b"".join(lines))
        return path

    def lines(self, count):
        return [line_of({"key": f"k{i}", "value": str(i)}) for i in range(1, count + 1)]

    def test_it_sends_what_the_server_accepts_and_prints_a_total(self):
        path = self.write(
            b'{"key":"a","value":"1","revision":5,"create_revision":4,"version":2,"lease":"9"}\r\n',
            b"\n  \n",
            b' {"value_base64":"/w==","key_base64":"AP8="} \n',
            b'{"key":"j","json":true,"value":"[1]","ttl_ms":9}',
        )
        fake = self.fake(Store())
        result = self.vesper("import", path, endpoints=[fake.url])
        self.expect(result, 0, b"3\n")
        self.assertEqual([r.target.split("?")[0] for r in fake.requests], ["/readyz", "/kv"])
        request = fake.requests[1]
        self.assertEqual((request.method, request.headers["content-type"]),
                         ("POST", "application/x-ndjson"))
        self.assertNotIn("idempotency-key", request.headers)
        self.assertEqual(request.body.splitlines(), [
            b'{"key":"a","value":"1"}',
            b'{"key_base64":"AP8=","value_base64":"/w=="}',
            b'{"key":"j","value":"[1]","json":true}',
        ])

    def test_o_json_prints_the_reply_and_o_table_a_table(self):
        path = self.write(*self.lines(4))
        fake = self.fake(Store())
        result = self.vesper("import", path, "-o", "json", endpoints=[fake.url])
        self.expect(result, 0, line_of({"lines": [1, 3], "revision": 4}) +
                    line_of({"lines": [4, 4], "revision": 5}) +
                    line_of({"lines": 4, "keys": 4, "revision": 5}))
        result = self.vesper("import", path, "-o", "table", endpoints=[fake.url])
        self.expect(result, 0, b"lines  revision\n4      9\n")

    def test_from_line_skips_the_lines_before_it(self):
        path = self.write(b"nonsense\n", *self.lines(3))
        fake = self.fake(Store())
        self.expect(self.vesper("import", path, "--from-line", "3", endpoints=[fake.url]), 0,
                    b"2\n")
        self.assertEqual(sorted(fake.answer.keys), [b"k2", b"k3"])
        result = self.vesper("import", path, "--from-line", "9", endpoints=[fake.url])
        self.expect(result, 1)
        self.assertIn("has only 4 lines", result.err)
        self.expect(self.vesper("import", path, "--from-line", "0", endpoints=[fake.url]), 2)

    def test_nothing_to_import_is_not_an_error(self):
        for lines in (b"", b"\n\n"):
            self.expect(self.vesper("import", self.write(lines), endpoints=["a:1"]), 0, b"0\n")

    def test_a_bad_line_is_named_and_the_lines_before_it_are_written(self):
        for bad, what in (
            (b"nonsense\n", "byte"),
            (b"[]\n", "a JSON object"),
            (b"{}\n", '"key" is missing'),
            (b'{"key":"a"}\n', '"value" is missing'),
            (b'{"key":1,"value":"b"}\n', '"key": expected a string'),
            (b'{"key":"a","value":null}\n', '"value": expected a string'),
            (b'{"key":"a","value":"b","json":1}\n', '"json": expected true or false'),
            (b'{"key":"a","key_base64":"YQ==","value":"b"}\n', "exclude each other"),
            (b'{"key":"a","value_base64":"YQ"}\n', '"value_base64": expected base64'),
            (b'{"key":"a","value":"b","ttl":"5s"}\n', 'unknown member "ttl"'),
            (b'{"key":"a","key":"a","value":"b"}\n', "key"),
            (b'{"key":"\xff","value":"b"}\n', "byte"),
        ):
            store = Store()
            path = self.write(*self.lines(5), b"\n", bad, *self.lines(2))
            result = self.vesper("import", path, endpoints=[self.fake(store).url])
            self.expect(result, 1)
            self.assertIn(f"{path}:7: ", result.err)
            self.assertIn(what, result.err)
            self.assertIn("the lines before 7 are written; to continue: vesper import "
                          f"{path} --from-line 7\n", result.err)
            self.assertEqual(sorted(store.keys), [b"k1", b"k2", b"k3", b"k4", b"k5"])
            fake = self.fake(store)
            result = self.vesper("import", self.write(bad), endpoints=[fake.url])
            self.expect(result, 1)
            self.assertIn(":1: ", result.err)
            self.assertEqual(fake.requests, [], "nothing was sent")

    def answer_with(self, *parts, ends=True):
        """A server that reads everything and then answers with these parts."""
        def answer(request, connection):
            if request.target.startswith("/readyz"):
                return reply(200, "ok", "text/plain")
            return chunked(200, *parts, ends=ends)
        return self.fake(answer)

    def test_an_error_of_the_server_says_where_to_continue(self):
        # Line 2 of the file is blank, so that the server's line 4 is line 5.
        lines = self.lines(6)
        path = self.write(lines[0], b"\n", *lines[1:])
        batch = line_of({"lines": [1, 3], "revision": 4})

        def error(status, code, **members):
            return line_of({"error": {"status": status, "code": code, "detail": "why not",
                                      **members}})

        for parts, code, where, words in (
            ((batch, error(400, "invalid_field", line=4)), 1, 5, f"{path}:5: why not"),
            ((batch, error(503, "no_leader")), 1, 5, "the lines before 5 are written; to"),
            ((batch, error(504, "outcome_unknown")), 6, 5, "some lines from 5 on may be written"),
            ((error(504, "outcome_unknown"),), 6, 1, "some lines from 1 on may be written"),
            ((error(503, "no_leader"),), 5, None, "why not"),
            ((error(507, "quota_exceeded"),), 5, None, "why not"),
            ((batch,), 6, 5, "no totals"),
        ):
            for ends in (True, False):
                fake = self.answer_with(*parts, ends=ends)
                result = self.vesper("import", path, endpoints=[fake.url])
                self.expect(result, code)
                self.assertEqual("--from-line" in result.err, where is not None, result.err)
                if where is not None:
                    self.assertIn(f" --from-line {where}\n", result.err)
                if ends or "totals" not in words:
                    self.assertIn(words, result.err)

    def test_a_refusal_and_a_node_that_is_not_ready_apply_nothing(self):
        path = self.write(*self.lines(2))
        for answer, code in ((problem(400, "invalid_field", line=2), 1), (problem(415, "x"), 1),
                             (problem(503, "no_leader"), 5), (problem(504, "x"), 6)):
            fake = self.fake(lambda r, c: reply(200, "ok", "text/plain")
                             if r.target.startswith("/readyz") else answer)
            result = self.vesper("import", path, endpoints=[fake.url])
            self.expect(result, code)
            self.assertEqual(f"{path}:2: why not" in result.err, b"line" in answer, result.err)
        fake = self.fake(reply(503, "[-]leader none", "text/plain"))
        result = self.vesper("import", path, "--timeout", "300ms", endpoints=[fake.url])
        self.expect(result, 5)
        self.assertIn("not ready", result.err)
        self.expect(self.vesper("import", path, endpoints=[refused_url()]), 5)
        self.expect(self.vesper("import", "/nowhere", endpoints=[refused_url()]), 1)

    def test_the_first_node_that_is_ready_gets_the_lines(self):
        path = self.write(*self.lines(2))
        starting, ready = self.fake(reply(503, "no", "text/plain")), self.fake(Store())
        result = self.vesper("import", path, endpoints=[refused_url(), starting.url, ready.url])
        self.expect(result, 0, b"2\n")
        self.assertEqual(len(starting.requests), 1)

    def test_replies_are_read_while_lines_are_sent(self):
        """A server that answers as it reads, and stops reading while nobody takes its answer."""
        batches = 3000
        path = self.write(*[line_of({"key": f"k{i}", "value": "v" * 1000})
                            for i in range(batches)])

        def answer(request, connection):
            if request.target.startswith("/readyz"):
                return reply(200, "ok", "text/plain")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            connection.sendall(chunked(200, ends=False))
            rest, count = bytearray(request.body), 0
            while not rest.endswith(b"0\r\n\r\n"):
                more = connection.recv(65536)
                count += more.count(b'"key"')
                rest = (rest + more)[-100:]
                line = line_of({"lines": [1, max(count, 1)], "revision": count + 1})
                connection.sendall(chunk(line + b" " * 20000 + b"\n"))
            return chunk(line_of({"lines": batches})) + b"0\r\n\r\n"

        fake = self.fake(answer, reads_body=False)
        result = self.vesper("import", path, endpoints=[fake.url])
        self.assertEqual(result.code, 0, result.err)

    def test_an_early_error_ends_the_sending(self):
        error = line_of({"error": {"status": 507, "code": "quota_exceeded", "detail": "full"}})

        def answer(request, connection):
            if request.target.startswith("/readyz"):
                return reply(200, "ok", "text/plain")
            connection.sendall(chunked(200, line_of({"lines": [1, 2], "revision": 3}), error))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 20):
                pass
            return None

        path = self.write(*self.lines(200_000))
        fake = self.fake(answer, reads_body=False)
        result = self.vesper("import", path, endpoints=[fake.url])
        self.expect(result, 1)
        self.assertIn("full", result.err)
        self.assertIn("--from-line 3\n", result.err)

    def test_a_slow_stdin_is_waited_for(self):
        fake = self.fake(Store())
        command = subprocess.Popen(
            [VESPER, "import", "-", "--timeout", "300ms", "--endpoints", fake.url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        def feed():
            for line in self.lines(3):
                command.stdin.write(line[:7])
                command.stdin.flush()
                time.sleep(0.7)
                command.stdin.write(line[7:])
                command.stdin.flush()
            command.stdin.close()

        thread = threading.Thread(target=feed)
        thread.start()
        self.assertEqual(command.stdout.read(), b"3\n")
        self.assertEqual((command.stderr.read(), command.wait(30)), (b"", 0))
        command.stdout.close()
        command.stderr.close()
        thread.join()

    def test_large_values_come_through(self):
        keys = {b"control": (b"\x01" * (8 << 20), False), b"binary": (b"\xff" * (8 << 20), False),
                b"json": (b'"' + b"x" * (3 << 20) + b'"', True)}
        source, target = self.fake(filled(keys)), self.fake(Store())
        exported = self.vesper("export", endpoints=[source.url])
        self.assertEqual(exported.code, 0, exported.err)
        result = self.vesper("import", "-", endpoints=[target.url], stdin=exported.out)
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual(content(target.answer), keys)
        # A line of 48 MiB is sent in base64.
        self.assertLess(max(map(len, target.requests[1].body.splitlines())), 12 << 20)


class ProgressBar(Cli):
    def on_terminal(self, *arguments):
        """What a command prints to a terminal that is its stderr, and its stdout."""
        master, slave = pty.openpty()
        environment = {k: v for k, v in os.environ.items() if k != "VESPER_ENDPOINTS"}
        done = subprocess.run([VESPER, *arguments], stdout=subprocess.PIPE, stderr=slave,
                              env={**environment, "TERM": "xterm"}, timeout=30, check=False)
        os.close(slave)
        return done, read_terminal(master)

    def slowly(self, store):
        def answer(request, connection):
            if request.target.startswith("/readyz") or "count_only" in request.target:
                return store(request, connection)
            time.sleep(0.3)
            return store(request, connection)
        return self.fake(answer)

    def test_it_is_drawn_on_a_terminal_and_removed(self):
        store = Store()
        fake = self.slowly(store)
        path = os.path.join(self.folder.name, "lines")
        with open(path, "wb") as file:
            file.writelines(line_of({"key": f"k{i}", "value": ""}) for i in range(20000))
        done, shown = self.on_terminal("import", path, "--endpoints", fake.url)
        self.assertEqual((done.returncode, done.stdout), (0, b"20000\n"), shown)
        self.assertIn(b"importing [", shown)
        self.assertTrue(shown.endswith(b"\r\x1b[K"), shown)
        done, shown = self.on_terminal("export", "--endpoints", fake.url)
        self.assertEqual((done.returncode, done.stdout.count(b"\n")), (0, 20000))
        self.assertIn(b"exporting [", shown)
        self.assertIn(b" lines ", shown)
        self.assertTrue(shown.endswith(b"\r\x1b[K"), shown)

    def test_an_error_stands_on_a_line_of_its_own(self):
        fake = self.fake(problem(503, "no_leader"))
        done, shown = self.on_terminal("export", "--timeout", "300ms", "--endpoints", fake.url)
        self.assertEqual(done.returncode, 5)
        self.assertIn(b"why not (no_leader)\r\n", shown)


if __name__ == "__main__":
    unittest.main()
