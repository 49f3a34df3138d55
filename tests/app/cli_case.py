"""A test case that runs the command line against fake servers. The binary is the first argument."""
import os
import subprocess
import sys
import tempfile
import time
import unittest

from fake_server import Fake

VESPER = os.path.abspath(sys.argv.pop(1))


class Result:
    def __init__(self, done, seconds):
        self.code, self.out, self.err, self.seconds = (
            done.returncode,
            done.stdout,
            done.stderr.decode(),
            seconds,
        )


def read_terminal(master):
    """What was written to a terminal, whose other side is closed. Closes this side."""
    shown = b""
    try:
        while part := os.read(master, 65536):
            shown += part
    except OSError:  # the terminal is closed
        pass
    os.close(master)
    return shown


class Cli(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.fakes = []

    def tearDown(self):
        for fake in self.fakes:
            fake.close()
        self.folder.cleanup()

    def fake(self, answer, reads_body=True, answers_status=False):
        """`answers_status`: what it says of GET /status, `answer` says, too."""
        fake = Fake(
            answer if callable(answer) else lambda request, connection: answer, reads_body
        )
        if answers_status:
            fake.status = None
        self.fakes.append(fake)
        return fake

    def vesper(self, *arguments, endpoints=None, stdin=b"", env=None):
        environment = {k: v for k, v in os.environ.items() if k != "VESPER_ENDPOINTS"}
        if endpoints:
            environment["VESPER_ENDPOINTS"] = ",".join(endpoints)
        environment.update(env or {})
        began = time.monotonic()
        done = subprocess.run(
            [VESPER, *arguments],
            input=stdin,
            capture_output=True,
            timeout=30,
            cwd=self.folder.name,
            env=environment,
            check=False,
        )
        return Result(done, time.monotonic() - began)

    def expect(self, result, code, out=b""):
        self.assertEqual((result.code, result.out), (code, out), result.err)
        if code == 0:
            self.assertEqual(result.err, "")
        else:
            self.assertTrue(result.err.startswith("vesper: "), result.err)
