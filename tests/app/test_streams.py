#!/usr/bin/env python3
"""Commands whose standard input, output or error cannot be used: the documented exit code stands,
whatever cannot be said. Usage: test_streams.py <vesper>"""
import os
import subprocess
import tempfile
import unittest

from cli_case import VESPER, Cli
from fake_server import problem, refused_url, reply
from store_stand_in import Store

PUT_REPLY = {"key": "name", "revision": 7, "create_revision": 5, "version": 2}
SECONDS = 30


def closed_pipe():
    """The writing end of a pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full():
    return os.open("/dev/full", os.O_WRONLY)


def closed():
    return None


BROKEN = {"full": full, "closed": closed, "a closed pipe": closed_pipe}


class Streams(Cli):
    def setUp(self):
        super().setUp()
        status = {"id": 0, "role": "leader", "term": 1, "leader": "http://x:1", "members": []}
        ok = self.fake(reply(200, PUT_REPLY)).url
        deleted = self.fake(reply(200, {"deleted": 1, "revision": 8})).url
        value = self.fake(reply(200, b"value")).url
        missing = self.fake(problem(404, "key_not_found")).url
        unknown = self.fake(problem(504, "outcome_unknown", hint="read it")).url
        changed = self.fake(problem(412, "precondition_failed")).url
        leads = self.fake(reply(200, status), answers_status=True).url
        follows = self.fake(reply(200, {**status, "role": "follower", "leader": None}),
                            answers_status=True).url
        moved = self.fake(reply(200, {"leader": "http://x:1", "term": 2})).url
        success = self.fake(reply(200, {"code": "success"})).url
        fail = self.fake(reply(200, {"code": "fail", "payload": {"key": "k"}})).url
        hangs_up = self.fake(lambda r, c: None).url
        down = refused_url()
        bad_list = os.path.join(self.folder.name, "bad.txt")
        with open(bad_list, "w", encoding="ascii") as file:
            file.write("ftp://x\n")
        short = ["--timeout", "300ms", "--endpoints"]
        # What is asked, the documented exit code, and whether something belongs on stdout.
        self.table = [
            (["get", "k", *short, value], 0, True),
            (["get", "k", "-o", "json", *short, ok], 0, True),
            (["get", "k", "-o", "table", *short, ok], 0, True),
            (["get", "k", *short, missing], 3, False),
            (["get", "k", *short, down], 5, False),
            (["put", "k", "v", *short, ok], 0, True),
            (["put", "k", "v", "-o", "json", *short, ok], 0, True),
            (["put", "k", "v", *short, changed], 4, False),
            (["put", "k", "v", *short, unknown], 6, False),
            (["put", "k", "v", "-o", "json", *short, unknown], 6, False),
            (["put", "k", "v", *short, down], 5, False),
            (["put", "k", "--file", "/nowhere", *short, ok], 1, False),
            (["delete", "k", *short, deleted], 0, True),
            (["delete", "k", *short, unknown], 6, False),
            (["status", *short, leads], 0, True),
            (["status", "--json", *short, leads], 0, True),
            (["status", *short, follows], 5, True),
            (["status", *short, down], 5, True),
            (["cluster", "transfer", *short, moved], 0, True),
            (["cluster", "transfer", *short, down], 5, False),
            (["client", success, "k", "v"], 0, True),
            (["client", fail, "k"], 3, True),
            (["client", unknown, "k", "v"], 6, True),
            (["client", hangs_up, "k", "v"], 6, False),
            (["client", down, "k"], 5, False),
            (["client", down, b"\xff"], 2, False),
            (["server", "0", bad_list], 2, False),
            (["server", "0", bad_list, "--log-level", "loud"], 2, False),
            ([], 2, False),
            (["fly"], 2, False),
            (["get"], 2, False),
            (["get", "k", "--endpoints", "http://"], 2, False),
            (["put", "k", "v", "--what"], 2, False),
            (["--help"], 0, True),
            (["put", "--help"], 0, True),
            (["--version"], 0, True),
            *self.many_keys(short, down, unknown),
        ]

    def many_keys(self, short, down, unknown):
        """The part of the table about many keys."""
        chosen = self.fake(reply(200, {"succeeded": False, "results": []})).url
        store = Store()
        store.put(b"k", b"v")
        stored = self.fake(store).url
        lines = os.path.join(self.folder.name, "lines")
        with open(lines, "wb") as file:
            file.write(b'{"key":"k","value":"v"}\n')
        return [
            (["list", *short, stored], 0, True),
            (["list", "-o", "table", *short, stored], 0, True),
            (["list", *short, down], 5, False),
            (["txn", lines, *short, chosen], 4, True),
            (["txn", lines, *short, unknown], 6, False),
            (["export", *short, stored], 0, True),
            (["export", *short, down], 5, False),
            (["import", lines, *short, stored], 0, True),
            (["import", lines, "-o", "json", *short, stored], 0, True),
            (["import", lines, *short, down], 5, False),
            (["delete", "--prefix", "none", *short, stored], 0, True),
            *self.waiting(short, down),
            (["get", "k", "--curl", *short, down], 0, True),
            (["completion", "bash"], 0, True),
            (["man"], 0, True),
        ]

    def waiting(self, short, down):
        """The part of the table about leases, locks and watches."""
        lease = {"lease": "7", "ttl_ms": 9000, "granted_ttl_ms": 9000, "keys": 1, "deleted": 1}
        leased = self.fake(reply(200, lease)).url
        held = self.fake(reply(200, {"token": 7, "ttl_ms": 9000, "released": True})).url
        lists = {"leases": [lease], "locks": [{"lock": "n", "token": 7}]}
        listed = self.fake(reply(200, lists)).url
        busy = self.fake(problem(409, "lock_busy")).url
        lost = self.fake(problem(412, "lock_lost")).url
        gone = self.fake(problem(404, "lease_not_found")).url
        unknown = self.fake(problem(504, "outcome_unknown")).url
        return [
            (["lease", "get", "7", *short, leased], 0, True),
            (["lease", "get", "7", *short, gone], 1, False),
            (["lease", "list", *short, listed], 0, True),
            (["lock", "--list", *short, listed], 0, True),
            (["lock", "n", "--renew", "7", *short, lost], 4, False),
            (["lock", "n", "--release", "7", *short, unknown], 6, False),
            (["lock", "n", "--wait", "0", *short, busy], 4, False),
            (["lock", "n", *short, down], 5, False),
            (["lock", "n", *short, held, "--", "true"], 0, False),
            (["lock", "n", *short, held, "--", "false"], 1, False),
            (["watch", *short, down], 5, False),
        ]

    def run_with(self, arguments, stdin=subprocess.DEVNULL, stdout=None, stderr=None):
        """Each of stdout and stderr is a file, or None: closed. stdin: None is closed."""
        streams = {0: stdin, 1: stdout, 2: stderr}
        gone = [fd for fd, stream in streams.items() if stream is None]
        environment = {k: v for k, v in os.environ.items() if k != "VESPER_ENDPOINTS"}
        return subprocess.run(
            [VESPER, *arguments], stdin=stdin, stdout=stdout, stderr=stderr, timeout=SECONDS,
            cwd=self.folder.name, env=environment, check=False,
            preexec_fn=lambda: [os.close(fd) for fd in gone]).returncode

    def captured(self, arguments, **streams):
        """The exit code, and what came on the streams that are not in `streams`."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            code = self.run_with(arguments, **{"stdout": out, "stderr": err, **streams})
            out.seek(0)
            err.seek(0)
            return code, out.read(), err.read().decode()

    def broken(self, make, name, arguments):
        stream = make()
        try:
            return self.captured(arguments, **{name: stream})
        finally:
            if stream is not None:
                os.close(stream)

    def test_the_table_of_exit_codes_is_right_if_all_streams_work(self):
        for arguments, code, prints in self.table:
            with self.subTest(arguments=arguments):
                found, out, err = self.captured(arguments)
                self.assertEqual((found, out != b""), (code, prints), err)

    def test_a_broken_stderr_does_not_change_the_exit_code(self):
        for kind, make in BROKEN.items():
            for arguments, code, prints in self.table:
                with self.subTest(arguments=arguments, stderr=kind):
                    found, out, _ = self.broken(make, "stderr", arguments)
                    self.assertEqual((found, out != b""), (code, prints))

    def test_a_result_that_cannot_be_written_to_stdout_ends_with_1(self):
        for kind, make in BROKEN.items():
            for arguments, code, prints in self.table:
                with self.subTest(arguments=arguments, stdout=kind):
                    found, _, err = self.broken(make, "stdout", arguments)
                    # A code that says more than "not printed" stands.
                    self.assertEqual(found, 1 if prints and code == 0 else code, err)
                    self.assertEqual("stdout" in err, prints, err)

    def test_closed_descriptors_change_the_exit_code_only_if_a_result_is_lost(self):
        for arguments, code, prints in self.table:
            with self.subTest(arguments=arguments):
                found = self.run_with(arguments, stdin=None)
                self.assertEqual(found, 1 if prints and code == 0 else code)

    def test_an_error_on_stdout_says_that_the_write_took_effect(self):
        for arguments, code, prints in self.table:
            if code == 0 and "--help" not in arguments:
                with self.subTest(arguments=arguments):
                    _, _, err = self.broken(full, "stdout", arguments)
                    is_write = arguments[0] in ("put", "delete", "import") or arguments[-1] == "v"
                    self.assertEqual("took effect" in err, is_write, err)

    def test_a_closed_stdin_is_not_an_empty_value(self):
        fake = self.fake(reply(200, PUT_REPLY))
        code, out, err = self.captured(["put", "k", "-", "--endpoints", fake.url], stdin=None)
        self.assertEqual((code, out, fake.requests), (1, b"", []), err)
        self.assertIn("standard input", err)

    def test_no_socket_gets_the_number_of_a_closed_descriptor(self):
        # Were it otherwise, the value would go to the server after the request, or nowhere.
        seen = []
        fake = self.fake(lambda r, c: seen.append(r) or reply(200, b"x" * 100000))
        self.assertEqual(self.run_with(["get", "k", "--endpoints", fake.url], stdin=None), 1)
        self.assertEqual(len(seen), 1)

    def test_output_waits_for_a_pipe_that_another_process_made_non_blocking(self):
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        value = bytes(range(256)) * 4096
        fake = self.fake(reply(200, value))
        command = subprocess.Popen([VESPER, "get", "k", "--endpoints", fake.url], stdout=writer)
        os.close(writer)
        with os.fdopen(reader, "rb") as out:
            self.assertEqual(out.read(), value)
        self.assertEqual(command.wait(SECONDS), 0)

    def test_input_waits_for_a_non_blocking_stdin(self):
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        fake = self.fake(reply(200, PUT_REPLY))
        command = subprocess.Popen([VESPER, "put", "k", "-", "--endpoints", fake.url],
                                   stdin=reader, stdout=subprocess.PIPE)
        os.close(reader)
        with self.assertRaises(subprocess.TimeoutExpired):
            command.wait(0.2)
        os.write(writer, b"late")
        os.close(writer)
        self.assertEqual(command.communicate(timeout=SECONDS)[0], b"7\n")
        self.assertEqual(fake.requests[0].body, b"late")


if __name__ == "__main__":
    unittest.main()
