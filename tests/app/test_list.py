#!/usr/bin/env python3
"""The commands about many keys, against a store in memory and against servers that answer what the
test wants: list, delete --prefix and txn. Usage: test_list.py <vesper>"""
import json
import os
import pty
import subprocess
import unittest

from cli_case import VESPER, Cli, read_terminal
from fake_server import problem, reply
from store_stand_in import Store, line_of

ANSI = b"\x1b["


def on_terminal(*arguments, env=None, columns=80):
    """What a command prints if stdout is a terminal."""
    master, slave = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "VESPER_ENDPOINTS")}
    environment.update({"TERM": "xterm", "LC_ALL": "C.UTF-8", **(env or {})})
    subprocess.run(["stty", "cols", str(columns), "rows", "24"], stdin=slave, check=True)
    subprocess.run(
        [VESPER, *arguments], stdout=slave, env=environment, timeout=30, check=True, cwd="/"
    )
    os.close(slave)
    return read_terminal(master).replace(b"\r\n", b"\n")


class List(Cli):
    def store(self, keys=(), page=1000):
        store = Store(page)
        for key in keys:
            store.put(key, b"value of " + key)
        return store, self.fake(store)

    def test_it_prints_one_key_a_line_if_stdout_is_not_a_terminal(self):
        _, fake = self.store([b"b", b"a", "é".encode(), b"\xff\x01", b"a b"])
        result = self.vesper("list", endpoints=[fake.url])
        self.expect(result, 0, b"a\na b\nb\n\xc3\xa9\n\xff\x01\n")
        self.assertRegex(fake.requests[0].target, r"^/kv\?limit=10000&keys_only&timeout=\d+ms$")
        result = self.vesper("list", "a", "-z", endpoints=[fake.url])
        self.expect(result, 0, b"a\0a b\0")

    def test_it_follows_the_pages_up_to_the_limit(self):
        keys = [b"k%03d" % i for i in range(25)]
        _, fake = self.store(keys, page=10)
        self.expect(self.vesper("list", endpoints=[fake.url]), 0, b"\n".join(keys) + b"\n")
        self.assertEqual(len(fake.requests), 3)
        self.assertIn("&next=20-", fake.requests[2].target)
        result = self.vesper("list", "--limit", "12", endpoints=[fake.url])
        self.expect(result, 0, b"\n".join(keys[:12]) + b"\n")
        result = self.vesper("list", "--reverse", "--limit", "2", endpoints=[fake.url])
        self.expect(result, 0, b"k024\nk023\n")

    def test_o_json_prints_each_page_unchanged(self):
        _, fake = self.store([b"a", b"b", b"c"], page=2)
        result = self.vesper("list", "-o", "json", endpoints=[fake.url])
        self.assertEqual(result.code, 0, result.err)
        pages = [json.loads(line) for line in result.out.splitlines()]
        self.assertEqual([[kv["key"] for kv in page["kvs"]] for page in pages], [["a", "b"], ["c"]])
        self.assertEqual(pages[0]["kvs"][0]["value"], "value of a")
        result = self.vesper("list", "--keys", "-o", "json", endpoints=[fake.url])
        self.assertNotIn(b"value", result.out)
        result = self.vesper("list", "--limit", "2", "-o", "json", endpoints=[fake.url])
        self.assertEqual(result.out.count(b"\n"), 1, "one page")
        self.assertIn(b'"next"', result.out)

    def test_a_range_and_the_read_options_are_sent(self):
        _, fake = self.store()
        self.vesper("list", "--start", "a b", "--end", "c&", "--revision", "7", "--consistency",
                    "stale", "--max-staleness", "1s", endpoints=[fake.url])
        self.assertIn("/kv?start=a%20b&end=c%26&limit=10000&keys_only&consistency=stale"
                      "&max_staleness=1s&revision=7&timeout=", fake.requests[0].target)
        # An empty prefix is no prefix.
        self.vesper("list", "", endpoints=[fake.url])
        self.assertNotIn("prefix", fake.requests[1].target)

    def test_count_prints_a_number(self):
        _, fake = self.store([b"a/1", b"a/2", b"b"])
        self.expect(self.vesper("list", "a/", "--count", endpoints=[fake.url]), 0, b"2\n")
        result = self.vesper("list", "--count", "-o", "table", endpoints=[fake.url])
        self.expect(result, 0, b"count  revision\n3      4\n")

    def test_a_separator_folds_keys_in_their_order(self):
        _, fake = self.store([b"a/x", b"a/y", b"aa", b"a", b"b/z"])
        result = self.vesper("list", "--separator", "/", endpoints=[fake.url])
        self.expect(result, 0, b"a\na/\naa\nb/\n")
        result = self.vesper("list", "--separator", "/", "--reverse", endpoints=[fake.url])
        self.expect(result, 0, b"b/\naa\na/\na\n")
        result = self.vesper("list", "--separator", "/", "--limit", "3", endpoints=[fake.url])
        self.expect(result, 0, b"a\na/\naa\n")
        fake.answer.put(b"\xff/x", b"")
        result = self.vesper("list", "--separator", "/", "--start", "b", endpoints=[fake.url])
        self.expect(result, 0, b"b/\n\xff/\n")
        result = self.vesper("list", "--separator", "/", "-o", "table", endpoints=[fake.url])
        self.assertRegex(result.out, rb"\na/ +- +- +-\n")

    def test_a_table_shortens_values_and_escapes_control_characters(self):
        store, fake = self.store()
        store.put(b"a\x1b[2J", b"v" * 1000)
        store.put("ключ".encode(), "日本".encode())
        store.put(b"z", b"\xff\n")
        out = on_terminal("list", "--endpoints", fake.url, env={"NO_COLOR": "1"}).decode()
        lines = out.splitlines()
        self.assertRegex(lines[0], r"^KEY +REVISION  VERSION  VALUE$")
        self.assertRegex(lines[1], r"^a\\x1b\[2J +2 +1 +v+\.\.\.$")
        self.assertLessEqual(len(lines[1]), 80)
        self.assertRegex(lines[2], r"^z +4 +1 +\\xff\\n$")
        self.assertRegex(lines[3], r"^ключ +3 +1 +日本$")
        self.assertEqual(lines[2].index("4"), lines[3].index("3"), "columns are aligned")
        narrow = on_terminal("list", "--endpoints", fake.url, columns=30, env={"NO_COLOR": "1"})
        self.assertTrue(narrow.startswith(b"KEY "))

    def test_colours_are_for_terminals_without_NO_COLOR(self):
        _, fake = self.store([b"a/b"])
        arguments = ["list", "--separator", "/", "--endpoints", fake.url]
        self.assertIn(ANSI, on_terminal(*arguments))
        self.assertIn(ANSI, on_terminal(*arguments, env={"NO_COLOR": ""}))
        self.assertNotIn(ANSI, on_terminal(*arguments, env={"NO_COLOR": "1"}))
        self.assertNotIn(ANSI, on_terminal(*arguments, env={"TERM": "dumb"}))
        result = self.vesper(*arguments, "-o", "table", env={"TERM": "xterm"})
        self.assertNotIn(ANSI, result.out)

    def test_a_page_that_is_compacted_away_is_an_error_after_the_pages_before_it(self):
        store = Store(page=1)
        store.put(b"a", b"")
        store.put(b"b", b"")
        fake = self.fake(
            lambda r, c: problem(410, "compacted") if "next=" in r.target else store(r, c)
        )
        self.expect(self.vesper("list", endpoints=[fake.url]), 1, b"a\n")

    def test_a_reply_of_another_shape_is_an_error(self):
        for body in ({}, [], {"kvs": 1}, "nonsense"):
            result = self.vesper("list", endpoints=[self.fake(reply(200, body)).url])
            self.expect(result, 1)


class DeletePrefix(Cli):
    def store(self, count, prefix=b"p/"):
        store = Store()
        for i in range(count):
            store.put(prefix + b"%03d" % i, b"")
        store.put(b"other", b"")
        return store, self.fake(store)

    def test_a_prefix_is_one_write(self):
        store, fake = self.store(10)
        self.expect(self.vesper("delete", "--prefix", "p/", endpoints=[fake.url]), 0, b"10\n")
        self.assertEqual(list(store.keys), [b"other"])
        self.assertEqual(len(fake.requests), 1)
        self.assertRegex(fake.requests[0].target, r"^/kv\?prefix=p%2F&timeout=")
        self.assertIn("idempotency-key", fake.requests[0].headers)

    def test_too_many_keys_are_deleted_in_slices(self):
        for prefix in (b"p/", b"\xff\xff"):
            store, fake = self.store(25, prefix)
            result = self.vesper("delete", "--prefix", prefix, endpoints=[fake.url])
            self.assertEqual((result.code, result.out), (0, b"25\n"), result.err)
            self.assertIn("slices of up to 10 keys", result.err)
            self.assertEqual([len(write) for write in store.writes], [10, 10, 5])
            self.assertEqual(list(store.keys), [b"other"])
            keys = [r.headers.get("idempotency-key") for r in fake.requests if r.method != "GET"]
            self.assertEqual(len(set(keys)), len(keys))

    def test_all_deletes_every_key(self):
        store, fake = self.store(24)
        result = self.vesper("delete", "--all", "-o", "json", endpoints=[fake.url])
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual([json.loads(line)["deleted"] for line in result.out.splitlines()],
                         [10, 10, 5])
        self.assertEqual(store.keys, {})

    def test_keys_that_others_write_meanwhile_make_smaller_slices(self):
        store, fake = self.store(25)
        listed = []

        def answer(request, connection):
            out = store(request, connection)
            if request.method == "GET" and not listed:
                listed.append(request)
                for i in range(5):
                    store.put(b"p/000x%d" % i, b"")
            return out

        fake.answer = answer
        self.assertEqual(
            self.vesper("delete", "--prefix", "p/", endpoints=[fake.url]).out, b"30\n")
        self.assertEqual(list(store.keys), [b"other"])

    def test_a_failure_after_some_slices_says_how_many_keys_are_deleted(self):
        store, fake = self.store(25)

        def answer(request, connection):
            if request.method == "DELETE" and len(store.writes) == 1:
                return problem(503, "no_leader")
            return store(request, connection)

        fake.answer = answer
        result = self.vesper("delete", "--prefix", "p/", "--timeout", "300ms", endpoints=[fake.url])
        self.assertEqual((result.code, result.out), (1, b""))
        self.assertIn("10 keys were deleted before", result.err)

    def test_an_empty_prefix_is_a_usage_error(self):
        for arguments in (["--prefix", ""], ["--prefix="], ["k", "--all"], ["k", "--prefix", "p"],
                          ["--all", "--prefix", "p"], []):
            self.expect(self.vesper("delete", *arguments, endpoints=["a:1"]), 2)


class Txn(Cli):
    THEN = {"succeeded": True, "revision": 9,
            "results": [{"key": "a", "revision": 9, "create_revision": 9, "version": 1},
                        {"kvs": [{"key": "b", "value": "x", "revision": 3, "create_revision": 3,
                                  "version": 1}], "count": 1},
                        {"deleted": 2, "revision": 9},
                        {"succeeded": False, "results": [{"key": "c", "exists": False}]}]}

    def test_it_reads_stdin_or_a_file_and_prints_the_reply(self):
        body = json.dumps(self.THEN).encode() + b"\n"
        fake = self.fake(reply(200, body))
        path = os.path.join(self.folder.name, "txn.json")
        sent = b'{"then":[]}'
        with open(path, "wb") as file:
            file.write(sent)
        for arguments in ([], ["-"], [path], ["-o", "json"]):
            result = self.vesper("txn", *arguments, endpoints=[fake.url], stdin=sent)
            self.expect(result, 0, body)
            request = fake.requests[-1]
            self.assertEqual((request.method, request.target.split("?")[0], request.body),
                             ("POST", "/txn", sent))
            self.assertIn("idempotency-key", request.headers)

    def test_else_is_exit_code_4(self):
        body = line_of({"succeeded": False, "revision": 9, "results": []})
        result = self.vesper("txn", endpoints=[self.fake(reply(200, body)).url], stdin=b"{}")
        self.assertEqual((result.code, result.out, result.err), (4, body, ""))

    def test_a_table_shows_one_result_a_row(self):
        fake = self.fake(reply(200, self.THEN))
        result = self.vesper("txn", "-o", "table", endpoints=[fake.url], stdin=b"{}")
        self.assertEqual(result.code, 0, result.err)
        lines = result.out.decode().splitlines()
        self.assertEqual(lines[0], "then ran at revision 9")
        self.assertEqual([line.split()[:2] for line in lines[2:]],
                         [["0", "a"], ["1", "-"], ["1.0", "b"], ["2", "-"], ["3", "-"],
                          ["3.0", "c"]])

    def test_a_reply_too_large_for_a_key_is_asked_for_without_one(self):
        answers = [reply(200, self.THEN), problem(413, "reply_too_large")]
        fake = self.fake(lambda r, c: answers.pop())
        result = self.vesper("txn", endpoints=[fake.url], stdin=b"{}")
        self.assertEqual(result.code, 0, result.err)
        self.assertIn("idempotency-key", fake.requests[0].headers)
        self.assertNotIn("idempotency-key", fake.requests[1].headers)
        fake = self.fake(problem(413, "reply_too_large"))
        self.expect(self.vesper("txn", endpoints=[fake.url], stdin=b"{}"), 1)
        self.assertEqual(len(fake.requests), 2)

    def test_errors_have_their_exit_codes(self):
        for answer, code in ((problem(400, "invalid_field"), 1), (problem(504, "x"), 6),
                             (problem(507, "quota_exceeded"), 5), (reply(200, {}), 1)):
            result = self.vesper("txn", "--timeout", "300ms", endpoints=[self.fake(answer).url],
                                 stdin=b"{}")
            self.expect(result, code)
        self.expect(self.vesper("txn", "/nowhere", endpoints=["a:1"]), 1)


if __name__ == "__main__":
    unittest.main()
