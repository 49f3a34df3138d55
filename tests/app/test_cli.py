#!/usr/bin/env python3
"""The command line against servers that say what the test wants. Usage: test_cli.py <vesper>

Nothing here knows Raft: what a real cluster does is in tests/cluster.
"""
import json
import os
import pty
import socket
import subprocess
import threading
import time
import unittest

from cli_case import VESPER, Cli
from fake_server import problem, refused_url, reply


PUT_REPLY = {"key": "name", "revision": 7, "create_revision": 5, "version": 2}


class GetPutDelete(Cli):
    def test_get_prints_only_the_bytes_of_the_value(self):
        value = b"\x00\xffline\nend"
        fake = self.fake(reply(200, value, "application/octet-stream"))
        self.expect(self.vesper("get", "name", endpoints=[fake.url]), 0, value)
        request = fake.requests[0]
        self.assertEqual(request.method, "GET")
        self.assertRegex(request.target, r"^/kv/name\?raw&timeout=\d+ms$")
        self.assertEqual(request.headers["host"], f"127.0.0.1:{fake.port}")

    def test_get_adds_a_newline_only_on_a_terminal(self):
        fake = self.fake(reply(200, b"value", "application/octet-stream"))
        master, slave = pty.openpty()
        subprocess.run(
            [VESPER, "get", "name", "--endpoints", fake.url], stdout=slave, timeout=30, check=True
        )
        os.close(slave)
        self.assertEqual(os.read(master, 100), b"value\r\n")
        os.close(master)

    def test_an_empty_value_is_a_value(self):
        fake = self.fake(lambda r, c: reply(200, b"" if r.method == "GET" else PUT_REPLY))
        self.expect(self.vesper("put", "name", "", endpoints=[fake.url]), 0, b"7\n")
        self.assertEqual(
            (fake.requests[0].body, fake.requests[0].headers["content-length"]), (b"", "0")
        )
        self.expect(self.vesper("get", "name", endpoints=[fake.url]), 0, b"")

    def test_a_key_is_any_bytes_and_is_escaped_in_the_url(self):
        fake = self.fake(reply(200, b"v"))
        for key, path in [
            ("a/b", "/kv/a/b"),
            ("a b?c#d%e+f", "/kv/a%20b%3Fc%23d%25e%2Bf"),
            ("..", "/kv/.."),
            ("é", "/kv/%C3%A9"),
            ("get", "/kv/get"),
            ("a\nb", "/kv/a%0Ab"),
            (b"\xff\xfe", "/kv/%FF%FE"),
            ("/", "/kv//"),
        ]:
            self.expect(self.vesper("get", key, endpoints=[fake.url]), 0, b"v")
            self.assertEqual(fake.requests[-1].target.split("?")[0], path)
        self.expect(self.vesper("get", "--", "--help", endpoints=[fake.url]), 0, b"v")
        self.assertEqual(fake.requests[-1].target.split("?")[0], "/kv/--help")

    def test_a_key_has_1_to_4096_bytes(self):
        fake = self.fake(reply(200, b"v"))
        self.expect(self.vesper("get", "", endpoints=[fake.url]), 2)
        self.expect(self.vesper("delete", "x" * 4097, endpoints=[fake.url]), 2)
        self.assertEqual(fake.requests, [])
        self.expect(self.vesper("get", "x" * 4096, endpoints=[fake.url]), 0, b"v")

    def test_put_reads_the_value_from_an_argument_stdin_or_a_file(self):
        fake = self.fake(reply(200, PUT_REPLY))
        path = os.path.join(self.folder.name, "file")
        big = bytes(range(256)) * 4096
        with open(path, "wb") as file:
            file.write(big)
        for arguments, stdin, body in [
            (["v"], b"no", b"v"),
            (["-"], big, big),
            (["--file", path], b"no", big),
            (["-5"], b"no", b"-5"),
            (["--", "--help"], b"", b"--help"),
        ]:
            self.expect(
                self.vesper("put", "name", *arguments, endpoints=[fake.url], stdin=stdin), 0, b"7\n"
            )
            self.assertEqual((fake.requests[-1].method, fake.requests[-1].body), ("PUT", body))
        self.expect(self.vesper("put", "name", "--file", path + "x", endpoints=[fake.url]), 1)
        self.expect(self.vesper("put", "name", "v", "--file", path, endpoints=[fake.url]), 2)
        self.expect(self.vesper("put", "name", endpoints=[fake.url]), 2)
        self.assertEqual(len(fake.requests), 5)

    def test_delete_prints_a_count_and_zero_is_not_an_error(self):
        for deleted in (1, 0):
            fake = self.fake(reply(200, {"deleted": deleted, "revision": 8}))
            self.expect(self.vesper("delete", "name", endpoints=[fake.url]), 0, b"%d\n" % deleted)
            self.assertEqual(fake.requests[0].method, "DELETE")

    def test_o_json_prints_the_reply_unchanged_and_o_table_prints_a_table(self):
        body = (
            '{"key":"name", "value":"a\\u001b[31m","revision":7,"create_revision":5,"version":2}\n'
        )
        fake = self.fake(reply(200, body))
        self.expect(
            self.vesper("get", "name", "-o", "json", endpoints=[fake.url]), 0, body.encode()
        )
        self.assertRegex(fake.requests[0].target, r"^/kv/name\?timeout=\d+ms$")
        result = self.vesper("-o", "table", "get", "name", endpoints=[fake.url])
        self.expect(
            result, 0, b"key   value      revision  version\nname  a\\x1b[31m  7         2\n"
        )
        self.expect(
            self.vesper("put", "name", "v", "--output=json", endpoints=[fake.url]), 0, body.encode()
        )
        self.expect(self.vesper("put", "name", "v", "-o", "xml", endpoints=[fake.url]), 2)

    def test_errors_go_to_stderr_with_their_exit_codes(self):
        for method, answer, code in [
            ("get", problem(404, "key_not_found"), 3),
            ("get", problem(404, "no_such_path"), 1),
            ("put", problem(412, "precondition_failed"), 4),
            ("put", problem(413, "value_too_large"), 1),
            ("put", problem(504, "outcome_unknown"), 6),
            ("put", problem(500, "internal"), 6),
            ("get", problem(500, "internal"), 1),
            ("get", problem(400, "invalid_key"), 1),
            ("delete", problem(504, "outcome_unknown"), 6),
            ("put", problem(507, "quota_exceeded"), 5),
        ]:
            fake = self.fake(answer)
            value = ["v"] if method == "put" else []
            result = self.vesper(
                method, "name", *value, "--timeout", "300ms", endpoints=[fake.url]
            )
            self.expect(result, code)
            self.assertIn("why not", result.err)
            if answer != problem(504, "outcome_unknown"):
                self.assertEqual(len(fake.requests), 1)

    def test_a_hint_from_the_server_is_shown_with_control_characters_escaped(self):
        fake = self.fake(problem(400, "invalid_key", hint="quote it", detail="bad \x1b[2J key"))
        result = self.vesper("get", "name", endpoints=[fake.url])
        self.assertEqual(result.err, "vesper: bad \\x1b[2J key (invalid_key)\nhint: quote it\n")

    def test_interim_replies_are_skipped(self):
        fake = self.fake(b"HTTP/1.1 100 Continue\r\n\r\n" + reply(200, PUT_REPLY))
        self.expect(self.vesper("put", "name", "v", endpoints=[fake.url]), 0, b"7\n")

    def test_chunked_replies_and_replies_that_end_with_the_connection_are_read(self):
        chunked = (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        )
        self.expect(self.vesper("get", "k", endpoints=[self.fake(chunked).url]), 0, b"abcde")
        closed = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"
        self.expect(self.vesper("get", "k", endpoints=[self.fake(closed).url]), 0, b"abc")

    def test_a_reply_that_is_not_http_fails_a_read_and_leaves_a_write_unknown(self):
        fake = self.fake(b"SSH-2.0-OpenSSH_9.2\r\n")
        self.expect(self.vesper("get", "k", endpoints=[fake.url]), 1)
        self.expect(self.vesper("put", "k", "v", endpoints=[fake.url]), 6)

    def test_a_full_disk_on_stdout_is_an_error(self):
        fake = self.fake(reply(200, b"value"))
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [VESPER, "get", "k", "--endpoints", fake.url],
                stdout=full,
                stderr=subprocess.PIPE,
                timeout=30,
                check=False,
            )
        self.assertEqual(done.returncode, 1)


class FailOver(Cli):
    def test_a_refused_connection_leads_to_the_next_endpoint(self):
        fake = self.fake(reply(200, PUT_REPLY))
        result = self.vesper("put", "k", "v", endpoints=[refused_url(), fake.url])
        self.expect(result, 0, b"7\n")
        self.assertLess(result.seconds, 4)  # the timeout is 5 s

    def test_if_all_endpoints_refuse_the_command_ends_with_5_at_once(self):
        result = self.vesper("put", "k", "v", endpoints=[refused_url(), refused_url()])
        self.expect(result, 5)
        self.assertIn("refused", result.err)
        self.assertLess(result.seconds, 4)  # the timeout is 5 s

    def test_429_and_503_lead_to_the_next_endpoint_even_for_writes(self):
        for status, code in ((429, "overloaded"), (503, "no_leader")):
            busy = self.fake(problem(status, code))
            good = self.fake(reply(200, PUT_REPLY))
            self.expect(self.vesper("put", "k", "v", endpoints=[busy.url, good.url]), 0, b"7\n")
            self.assertEqual((len(busy.requests), len(good.requests)), (1, 1))

    def test_the_first_endpoint_is_tried_again_after_the_last(self):
        answers = [problem(503, "starting"), problem(503, "no_leader"), reply(200, b"v")]
        fake = self.fake(lambda r, c: answers.pop(0))
        self.expect(self.vesper("get", "k", endpoints=[refused_url(), fake.url]), 0, b"v")
        self.assertEqual(answers, [])

    def test_a_member_that_an_endpoint_names_is_asked_if_that_endpoint_does_not_serve(self):
        good = self.fake(reply(200, PUT_REPLY))
        good.status = reply(200, {"id": 7, "role": "leader", "members": []})
        busy = self.fake(problem(503, "no_leader"))
        busy.status = reply(200, {"id": 1, "role": "follower", "members": [
            {"id": 7, "address": good.url}, {"id": 8, "address": refused_url()}]})
        self.expect(self.vesper("put", "k", "v", endpoints=[busy.url]), 0, b"7\n")
        self.assertEqual(len(good.requests), 1)

    def test_503_until_the_timeout_ends_with_5_and_the_message_of_the_server(self):
        fake = self.fake(problem(503, "no_leader", hint="wait"))
        result = self.vesper("put", "k", "v", "--timeout", "1s", endpoints=[fake.url])
        self.expect(result, 5)
        self.assertIn("no_leader", result.err)
        self.assertIn("hint: wait", result.err)
        self.assertGreater(len(fake.requests), 1)
        self.assertGreater(result.seconds, 0.5)
        self.assertLess(result.seconds, 4)

    def test_a_write_that_was_sent_in_part_is_sent_to_the_next_endpoint(self):
        listener = socket.create_server(("127.0.0.1", 0))

        def cut():
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()

        thread = threading.Thread(target=cut)
        thread.start()
        good = self.fake(reply(200, PUT_REPLY))
        value = b"x" * (32 << 20)  # above what socket buffers take
        bad = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.expect(self.vesper("put", "k", "-", endpoints=[bad, good.url], stdin=value), 0, b"7\n")
        thread.join()
        listener.close()

    def test_an_answer_that_arrives_before_the_body_is_sent_is_read(self):
        listener = socket.create_server(("127.0.0.1", 0))

        def refuse():
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.sendall(problem(413, "value_too_large"))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1 << 20):
                pass
            connection.close()

        thread = threading.Thread(target=refuse)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        result = self.vesper("put", "k", "-", endpoints=[url], stdin=b"x" * (32 << 20))
        self.expect(result, 1)
        self.assertIn("value_too_large", result.err)
        thread.join()
        listener.close()

    def test_a_read_whose_connection_broke_is_sent_to_the_next_endpoint(self):
        bad = self.fake(None)
        good = self.fake(reply(200, b"v"))
        self.expect(self.vesper("get", "k", endpoints=[bad.url, good.url]), 0, b"v")

    def test_a_frozen_node_delays_a_command_but_does_not_fail_it(self):
        frozen = self.fake(lambda r, c: time.sleep(20))
        good = self.fake(lambda r, c: reply(200, b"v" if r.method == "GET" else PUT_REPLY))
        for command, out in ((["get", "k"], b"v"), (["put", "k", "v"], b"7\n")):
            result = self.vesper(
                *command, "--timeout", "3s", endpoints=[frozen.url, good.url]
            )
            self.expect(result, 0, out)
        result = self.vesper("put", "k", "v", "--timeout", "300ms", endpoints=[frozen.url])
        self.expect(result, 6)
        self.assertLess(result.seconds, 4)

    def test_the_server_is_asked_to_answer_before_the_command_gives_up(self):
        fake = self.fake(reply(200, b"v"))
        self.vesper("get", "k", "--timeout", "2s", endpoints=[fake.url])
        wait = int(fake.requests[0].target.rsplit("timeout=", 1)[1][:-2])
        self.assertGreaterEqual(wait, 1000)
        self.assertLess(wait, 2000)
        self.vesper("get", "k", "--timeout", "2h", endpoints=[fake.url])
        self.assertTrue(fake.requests[1].target.endswith("timeout=60000ms"))

    def test_get_sends_the_read_level_to_the_server(self):
        fake = self.fake(reply(200, b"v"))
        self.vesper("get", "k", "--consistency", "stale", "--max-staleness", "200ms",
                    "--min-revision", "7", endpoints=[fake.url])
        self.assertIn("?consistency=stale&max_staleness=200ms&min_revision=7&raw&timeout=",
                      fake.requests[0].target)


class Endpoints(Cli):
    def test_the_flag_overrides_the_variable_the_list_and_the_default_in_this_order(self):
        flag, variable, listed = (
            self.fake(reply(200, name)) for name in (b"flag", b"variable", b"list")
        )
        with open(os.path.join(self.folder.name, "ip_list.txt"), "w", encoding="utf-8") as file:
            file.write(f"# nodes\r\n\r\n {listed.url}/ \r\n")
        self.expect(
            self.vesper("get", "k", "--endpoints", flag.url, endpoints=[variable.url]), 0, b"flag"
        )
        self.expect(
            self.vesper("--endpoints", flag.url, "get", "k", endpoints=[variable.url]), 0, b"flag"
        )
        self.expect(self.vesper("get", "k", endpoints=[variable.url]), 0, b"variable")
        self.expect(self.vesper("get", "k"), 0, b"list")
        self.expect(self.vesper("get", "k", env={"VESPER_ENDPOINTS": ""}), 0, b"list")

    def test_scheme_slash_and_spaces_are_optional(self):
        fake = self.fake(reply(200, b"v"))
        for text in (
            f"127.0.0.1:{fake.port}",
            f"http://127.0.0.1:{fake.port}/",
            f"localhost:{fake.port}",
            f" {refused_url()}/ , 127.0.0.1:{fake.port} ",
        ):
            self.expect(self.vesper("get", "k", "--endpoints", text), 0, b"v")

    def test_bad_endpoints_and_a_bad_list_are_usage_errors(self):
        for text in (
            "",
            "foo",
            "http://a:0",
            "ftp://a:1",
            "https://a",
            "http://a:1/x",
            "a:1,,b:1",
            "::1:5000",
        ):
            result = self.vesper("get", "k", "--endpoints", text)
            self.expect(result, 2)
            self.assertIn("expected http://host:port", result.err)
        with open(os.path.join(self.folder.name, "ip_list.txt"), "w", encoding="utf-8") as file:
            file.write("http://a:1\nnonsense\n")
        result = self.vesper("get", "k")
        self.expect(result, 2)
        self.assertIn("ip_list.txt:2: found", result.err)


class Client(Cli):
    def test_a_key_alone_reads_and_a_key_with_a_value_writes(self):
        fake = self.fake(
            lambda r, c: reply(
                200,
                {"code": "success", "payload": {"key": "name", "value": "Kyle Chard"}}
                if r.method == "GET"
                else {"code": "success"},
            )
        )
        for address in (fake.url, fake.url + "/", f"127.0.0.1:{fake.port}"):
            self.expect(
                self.vesper("client", address, "name"),
                0,
                b'{"code":"success","payload":{"key":"name","value":"Kyle Chard"}}\n',
            )
            self.expect(
                self.vesper("client", address, "name", "Kyle Chard"), 0, b'{"code":"success"}\n'
            )
        get, put = fake.requests[0], fake.requests[1]
        self.assertEqual(
            (get.method, get.target, put.method, put.target), ("GET", "/request", "PUT", "/request")
        )
        self.assertEqual(json.loads(get.body), {"type": "get", "payload": {"key": "name"}})
        self.assertEqual(
            json.loads(put.body), {"type": "put", "payload": {"key": "name", "value": "Kyle Chard"}}
        )

    def test_arguments_after_the_address_are_never_flags(self):
        fake = self.fake(reply(200, {"code": "success"}))
        for key, value in (
            ("k", "-5"),
            ("k", "--help"),
            ("--timeout", "--"),
            ("-o", "-h"),
            ("é", "\"\\\n"),
        ):
            self.expect(self.vesper("client", fake.url, key, value), 0, b'{"code":"success"}\n')
            self.assertEqual(
                json.loads(fake.requests[-1].body)["payload"], {"key": key, "value": value}
            )
        self.expect(
            self.vesper("client", "--timeout", "2s", fake.url, "k", "--json"),
            0,
            b'{"code":"success"}\n',
        )
        self.expect(
            self.vesper("--timeout", "2s", "client", "--", fake.url, "k", "-x"),
            0,
            b'{"code":"success"}\n',
        )
        self.expect(self.vesper("client", fake.url, "k", "v", "more"), 2)
        self.expect(self.vesper("client", fake.url), 2)
        self.expect(self.vesper("client", "--endpoints", "x:1", fake.url, "k"), 2)

    def test_the_answer_is_printed_on_one_line(self):
        fake = self.fake(
            reply(200, '{\n  "code": "success",\n  "payload": {"key": "k", "value": 1e999}\n}\n')
        )
        self.expect(
            self.vesper("client", fake.url, "k"),
            0,
            b'{"code":"success","payload":{"key":"k","value":1e999}}\n',
        )

    def test_the_answer_decides_the_exit_code(self):
        fail = {"code": "fail", "payload": {"key": "k"}}
        for answer, get_code, put_code in [
            (reply(200, fail), 3, 5),
            (reply(200, {**fail, "reason": "no_leader"}), 5, 5),
            (problem(504, "outcome_unknown"), 1, 6),
            (problem(400, "invalid_field"), 1, 1),
            (problem(503, "starting"), 5, 5),
            (reply(200, []), 1, 1),
        ]:
            fake = self.fake(answer)
            for arguments, code in ((["k"], get_code), (["k", "v"], put_code)):
                result = self.vesper("client", fake.url, *arguments)
                self.assertEqual(result.code, code, result.out)
                self.assertEqual(result.out, answer.split(b"\r\n\r\n", 1)[1])
        self.expect(self.vesper("client", refused_url(), "k", "v"), 5)
        self.expect(self.vesper("client", "nonsense", "k", "v"), 2)
        self.expect(self.vesper("client", self.fake(None).url, "k", "v"), 6)
        self.expect(self.vesper("client", self.fake(None).url, "k"), 5)
        self.expect(self.vesper("client", self.fake(reply(200, "<html>")).url, "k"), 1)
        self.expect(self.vesper("client", self.fake(reply(200, "<html>")).url, "k", "v"), 6)


class Usage(Cli):
    COMMANDS = ("server", "client", "get", "put", "delete", "increment", "append", "history",
                "list", "txn", "export", "import", "compact", "status", "cluster", "recover",
                "dev",
                "completion")

    def test_help_goes_to_stdout_and_begins_with_examples(self):
        for command in self.COMMANDS:
            for arguments in ((command, "--help"), ("--help", command), (command, "-h")):
                result = self.vesper(*arguments)
                self.assertEqual((result.code, result.err), (0, ""))
                self.assertTrue(
                    result.out.startswith(f"Examples:\n  vesper {command} ".encode())
                    or result.out.startswith(f"Examples:\n  vesper {command}\n".encode()),
                    result.out,
                )
                self.assertIn(f"Usage: vesper {command} [flags]".encode(), result.out)
        result = self.vesper("--help")
        self.assertEqual(result.code, 0)
        self.assertTrue(result.out.startswith(b"Examples:\n  vesper "))
        for command in self.COMMANDS:
            self.assertIn(f"\n  {command} ".encode(), result.out)

    def test_version(self):
        result = self.vesper("--version")
        self.assertEqual(result.code, 0)
        self.assertRegex(result.out.decode(), r"^vesper \d+\.\d+\.\d+\n$")

    def test_invalid_arguments_are_refused_with_a_hint(self):
        for arguments in (
            [],
            ["frobnicate"],
            ["get"],
            ["get", "a", "b"],
            ["get", "k", "--frob"],
            ["--frob", "get", "k"],
            ["get", "k", "--timeout", "5"],
            ["get", "k", "--timeout", "0s"],
            ["get", "k", "--timeout"],
            ["get", "k", "--timeout", "1s", "--timeout", "2s"],
            ["get", "k", "--consistency", "strong"],
            ["get", "k", "--max-staleness", "1s"],
            ["get", "k", "--consistency", "stale", "--max-staleness", "1"],
            ["get", "k", "--min-revision", "0"],
            ["put", "k", "v", "--consistency", "stale"],
            ["server", "0", "list", "--max-lease", "5"],
            ["server", "0", "list", "--store-bytes", "0GiB"],
            ["server", "0", "list", "--store-bytes", "4GB"],
            ["server", "0", "list", "--max-value", "99999999TiB"],
            ["status", "k"],
            ["get", "k", "--json"],
            ["get", "k", "--curl", "--curl=x"],
            ["list", "a", "--start", "b"],
            ["list", "--count", "--limit", "1"],
            ["list", "--count", "--reverse"],
            ["list", "--limit", "10001", "-o", "json"],
            ["list", "--limit", "0"],
            ["list", "--separator", ""],
            ["list", "-z", "-o", "json"],
            ["list", "a", "b"],
            ["export", "-o", "table"],
            ["export", "--revision", "x"],
            ["import"],
            ["txn", "a", "b"],
            ["compact"],
            ["completion"],
            ["delete"],
            ["status", "--json", "-o", "raw"],
            ["server", "--endpoints", "a:1", "0", "list"],
            ["server", "-1", "list"],
            ["server", "x", "list"],
            ["server", "0"],
            ["server", "--join", "http://a:1"],
            ["server", "--join", "http://a:1", "--address", "http://b:1"],
            ["server", "--join", "http://a:1", "--address", "http://b:1", "--data-dir", "d", "0"],
            ["server", "0", "list", "--address", "http://b:1"],
            ["get", "--file", "f", "k"],
            ["--timeout", "1s"],
            ["put", "k", "v", "-x"],
            ["client", "--nope", "a:1", "k"],
        ):
            result = self.vesper(*arguments)
            self.expect(result, 2)
            self.assertIn("hint: ", result.err, arguments)


if __name__ == "__main__":
    unittest.main()
