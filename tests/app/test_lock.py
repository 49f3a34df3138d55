#!/usr/bin/env python3
"""lock, elect and lease, against locks in memory and against servers that answer what the test
wants. Usage: test_lock.py <vesper>"""
import os
import pty
import signal
import subprocess
import sys
import time
import unittest

from cli_case import VESPER, Cli, read_terminal
from fake_server import problem, refused_url, reply
from lock_stand_in import Locks
from test_shell import Shell, needs

SECONDS = 30


class Running:
    """A command that runs beside the test."""

    def __init__(self, *arguments, endpoints, **streams):
        environment = {**os.environ, "VESPER_ENDPOINTS": ",".join(endpoints)}
        self.process = subprocess.Popen(
            [VESPER, *arguments], env=environment,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
               **streams})

    def line(self):
        return self.process.stdout.readline()

    def end(self):
        out, err = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, out, err.decode()


def is_alive(pid):
    """False for a zombie, too."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Lock(Cli):
    def setUp(self):
        super().setUp()
        self.locks = Locks()
        self.urls = [self.fake(self.locks).url]

    def wait_for_end(self, pid):
        deadline = time.monotonic() + SECONDS
        while is_alive(pid):
            self.assertLess(time.monotonic(), deadline, f"process {pid} lives on")
            time.sleep(0.01)

    def test_the_command_runs_with_the_token_and_its_exit_code_is_kept(self):
        for code in (0, 1, 4, 7, 125):
            script = f"echo $VESPER_FENCE; exit {code}"
            result = self.vesper("lock", "a/b", "--", "sh", "-c", script, endpoints=self.urls)
            token = self.locks.token
            self.assertEqual((result.code, result.out, result.err), (code, b"%d\n" % token, ""))
            self.assertIsNone(self.locks.held("/locks/a/b"), "it was released")
        result = self.vesper("lock", "n", "--", "sh", "-c", "kill -9 $$", endpoints=self.urls)
        self.assertEqual((result.code, result.err), (137, ""))
        self.assertIsNone(self.locks.held("/locks/n"))

    def test_the_arguments_of_the_command_are_its_own(self):
        words = ["-x", "--ttl", "--", "[a]", "", "--help", "a b", "{}"]
        script = "import sys; print(sys.argv[1:])"
        result = self.vesper("lock", "n", "--", sys.executable, "-c", script, *words,
                             endpoints=self.urls)
        self.expect(result, 0, f"{words}\n".encode())
        # A name that looks like a flag.
        result = self.vesper("lock", "--", "-n", "printf", "%s\\n", "-e", endpoints=self.urls)
        self.expect(result, 0, b"-e\n")
        self.assertEqual(self.locks.log[-1][1], "/locks/-n")

    def test_a_command_that_cannot_run_releases_the_lock(self):
        result = self.vesper("lock", "n", "--", "./nowhere", endpoints=self.urls)
        self.expect(result, 127)
        self.assertIsNone(self.locks.held("/locks/n"))
        self.expect(self.vesper("lock", "n", "--", "/", endpoints=self.urls), 126)

    def test_a_busy_lock_is_4_and_the_command_does_not_run(self):
        self.locks.hold("/locks/n")
        for arguments in (["--wait", "0"], ["--wait", "0s"], ["--wait", "300ms"]):
            result = self.vesper("lock", "n", *arguments, "--", "touch", "ran", endpoints=self.urls)
            self.expect(result, 4)
            self.assertIn("lock_busy", result.err)
        self.expect(self.vesper("lock", "n", "--wait", "0", endpoints=self.urls), 4)
        self.assertNotIn("ran", os.listdir(self.folder.name))
        self.assertNotIn("wait", self.locks.log[0][2])
        self.assertLessEqual(int(self.locks.log[2][2]["wait"][:-2]), 300)

    def test_without_a_server_that_serves_it_is_5(self):
        result = self.vesper("lock", "n", "--", "touch", "ran", endpoints=[refused_url()])
        self.expect(result, 5)
        self.assertLess(result.seconds, 3)
        for answer in (problem(503, "no_leader"), problem(429, "overloaded"),
                       problem(504, "outcome_unknown"), None):
            fake = self.fake(answer)
            result = self.vesper("lock", "n", "--timeout", "400ms", "--", "touch", "ran",
                                 endpoints=[fake.url])
            self.expect(result, 5)
            self.assertGreater(len(fake.requests), 1)
            self.assertEqual(len({r.headers["idempotency-key"] for r in fake.requests}), 1)
        self.expect(self.vesper("lock", "n", "--", "true",
                                endpoints=[self.fake(problem(400, "invalid_key")).url]), 1)
        self.assertNotIn("ran", os.listdir(self.folder.name))

    def test_a_waiter_that_a_node_sends_away_goes_to_the_next(self):
        def stops(request, connection):
            time.sleep(1.1)
            return problem(503, "shutting_down")

        first = self.fake(stops)
        result = self.vesper("lock", "n", "--timeout", "1s", "--", "true",
                             endpoints=[first.url, *self.urls])
        self.expect(result, 0)
        self.assertEqual(first.requests[0].headers["idempotency-key"],
                         self.fakes[0].requests[0].headers["idempotency-key"])

    def test_a_lock_that_is_lost_before_the_command_starts_is_5(self):
        def answer(request, connection):
            if request.method == "PUT":
                return problem(412, "lock_lost")
            time.sleep(0.3)
            return reply(200, {"token": 7, "ttl_ms": 600})

        result = self.vesper("lock", "n", "--ttl", "600ms", "--wait", "0", "--", "touch", "ran",
                             endpoints=[self.fake(answer).url])
        self.expect(result, 5)
        self.assertNotIn("ran", os.listdir(self.folder.name))

    def test_it_waits_for_its_turn(self):
        self.locks.hold("/locks/n")
        command = Running("lock", "n", "--", "sh", "-c", "echo $VESPER_FENCE", endpoints=self.urls)
        self.locks.wait_for("POST")
        self.locks.free("/locks/n")
        self.assertEqual(command.end(), (0, b"18\n", ""))

    def test_a_broken_connection_keeps_the_place(self):
        cut = [True]

        def answer(request, connection):
            if request.method == "POST" and cut.pop() is True:
                cut.append(False)
                return None
            cut.append(False)
            return self.locks(request, connection)

        fake = self.fake(answer)
        self.expect(self.vesper("lock", "n", "--", "true", endpoints=[fake.url]), 0)
        posts = [r for r in fake.requests if r.method == "POST"]
        self.assertEqual(len(posts), 2)
        self.assertEqual(*(r.headers["idempotency-key"] for r in posts))

    def test_it_does_not_wait_for_a_node_that_has_stopped(self):
        stopped = self.fake(lambda r, c: time.sleep(SECONDS))
        result = self.vesper("lock", "n", "--", "true", endpoints=[stopped.url, *self.urls])
        self.expect(result, 0)
        self.assertLess(result.seconds, 10)
        self.assertEqual([r.method for r in stopped.requests], ["POST"], "released elsewhere")

    def test_a_grant_that_has_lapsed_is_asked_for_anew(self):
        answers = [reply(200, {"token": 9, "ttl_ms": 15000}), problem(412, "lock_lost")]
        fake = self.fake(lambda r, c: answers.pop() if r.method == "POST"
                         else reply(200, {"released": True}))
        result = self.vesper("lock", "n", "--", "sh", "-c", "echo $VESPER_FENCE",
                             endpoints=[fake.url])
        self.expect(result, 0, b"9\n")
        keys = [r.headers["idempotency-key"] for r in fake.requests if r.method == "POST"]
        self.assertEqual((len(keys), len(set(keys))), (2, 2))

    def test_after_a_long_wait_the_lock_is_renewed_before_the_command_starts(self):
        self.locks.hold("/locks/n")
        command = Running("lock", "n", "--ttl", "2s", "--", "echo", "ran", endpoints=self.urls)
        self.locks.wait_for("POST")
        time.sleep(2.1)  # longer than the ttl, so that the grant may be as old
        self.locks.refuse_renewals = problem(503, "no_leader")
        self.locks.free("/locks/n")
        self.locks.wait_for("PUT")
        self.assertIsNone(command.process.poll())
        self.locks.refuse_renewals = None
        self.assertEqual(command.end(), (0, b"ran\n", ""))

    def test_it_renews_while_the_command_runs(self):
        command = Running("lock", "n", "--ttl", "1500ms", "--", "sh", "-c", "echo up; cat",
                          endpoints=self.urls, stdin=subprocess.PIPE)
        self.assertEqual(command.line(), b"up\n")
        self.locks.wait_for("PUT", 4)
        self.assertEqual(self.locks.held("/locks/n"), 17)
        self.assertEqual(command.end(), (0, b"", ""))
        self.assertIsNone(self.locks.held("/locks/n"))

    def test_it_renews_over_any_endpoint(self):
        first = self.fake(lambda r, c: self.locks(r, c) if r.method != "PUT" else None)
        command = Running("lock", "n", "--ttl", "3s", "--", "sh", "-c", "echo up; cat",
                          endpoints=[first.url, refused_url(), *self.urls], stdin=subprocess.PIPE)
        self.assertEqual(command.line(), b"up\n")
        self.locks.wait_for("PUT", 3)
        self.assertEqual(command.end(), (0, b"", ""))

    # A command whose grandchild ignores SIGTERM and has no other tie to it.
    STUBBORN = ("import os, signal, sys, time\n"
                "if os.fork() == 0:\n"
                "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                "    print(os.getpid(), flush=True)\n"
                "    os.close(1); os.close(2)\n"
                "    time.sleep(600)\n"
                "time.sleep(600)\n")

    def lose(self, *arguments):
        """The seconds from the loss to the end of a command, and what it said on stderr."""
        command = Running("lock", "n", "--ttl", "3s", *arguments, "--", sys.executable, "-c",
                          self.STUBBORN, endpoints=self.urls)
        grandchild = int(command.line())
        self.locks.wait_for("PUT")
        began = time.monotonic()
        yield
        code, _, err = command.end()
        self.assertEqual(code, 125, err)
        self.assertIn("lost", err)
        self.wait_for_end(grandchild)
        yield time.monotonic() - began, err

    def test_if_renewals_fail_the_whole_process_group_is_killed_and_it_is_125(self):
        steps = self.lose()
        next(steps)
        self.locks.refuse_renewals = problem(503, "no_leader")
        took, _ = next(steps)
        self.assertGreater(took, 5, "SIGKILL follows 5 s after SIGTERM")
        self.assertEqual(self.locks.requests("DELETE"), [])

    def test_if_a_renewal_says_that_the_lock_is_lost_it_is_125(self):
        steps = self.lose()
        next(steps)
        self.locks.hold("/locks/n")
        _, err = next(steps)
        self.assertIn("lock_lost", err)

    def test_the_ttl_counts_from_when_the_renewal_was_sent(self):
        sent = []

        def answer(request, connection):
            if request.method != "PUT":
                return reply(200, {"token": 7, "ttl_ms": 4000})
            sent.append(time.monotonic())
            if len(sent) > 1:
                return problem(503, "no_leader")
            time.sleep(2)
            return reply(200, {"token": 7, "ttl_ms": 4000})

        result = self.vesper("lock", "n", "--ttl", "4s", "--", "sleep", "600",
                             endpoints=[self.fake(answer).url])
        took = time.monotonic() - sent[0]
        self.assertEqual(result.code, 125, result.err)
        self.assertTrue(3.5 < took < 5.5, took)  # 6 if it counted from the reply

    def test_a_group_that_ends_at_sigterm_is_not_waited_for(self):
        self.locks.refuse_renewals = problem(503, "no_leader")
        result = self.vesper("lock", "n", "--ttl", "300ms", "--", "sleep", "600",
                             endpoints=self.urls)
        self.assertEqual(result.code, 125, result.err)
        self.assertIn("no_leader", result.err)
        self.assertLess(result.seconds, 5)

    def test_a_holder_that_was_stopped_finds_its_lock_lost(self):
        command = Running("lock", "n", "--ttl", "1500ms", "--", "sh", "-c",
                          "echo up; exec sleep 600", endpoints=self.urls)
        self.assertEqual(command.line(), b"up\n")
        command.process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + SECONDS
        while self.locks.held("/locks/n"):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        time.sleep(0.1)  # the client's ttl began before the server's
        before = len(self.locks.requests("PUT"))
        command.process.send_signal(signal.SIGCONT)
        code, _, err = command.end()
        self.assertEqual(code, 125, err)
        self.assertEqual(len(self.locks.requests("PUT")), before, "it does not ask first")

    def test_signals_are_passed_on_to_the_command(self):
        script = "trap 'echo got it; exit 9' {}; echo up; while :; do sleep 0.01; done"
        for name in ("INT", "TERM", "HUP"):
            command = Running("lock", "n", "--", "bash", "-c", script.format(name),
                              endpoints=self.urls)
            self.assertEqual(command.line(), b"up\n")
            command.process.send_signal(getattr(signal, "SIG" + name))
            self.assertEqual(command.end()[:2], (9, b"got it\n"))
            self.assertIsNone(self.locks.held("/locks/n"))

    def test_if_it_is_killed_the_command_gets_sigterm(self):
        command = Running("lock", "n", "--", "sh", "-c", "echo $$; exec sleep 600",
                          endpoints=self.urls)
        child = int(command.line())
        command.process.kill()
        command.end()
        self.wait_for_end(child)

    def test_a_signal_while_it_waits_ends_it(self):
        self.locks.hold("/locks/n")
        command = Running("lock", "n", "--", "touch", "ran", endpoints=self.urls)
        self.locks.wait_for("POST")
        command.process.send_signal(signal.SIGTERM)
        self.assertEqual(command.end(), (-signal.SIGTERM, b"", ""))
        self.assertNotIn("ran", os.listdir(self.folder.name))

    def test_the_command_has_the_terminal(self):
        master, slave = pty.openpty()
        script = "import os; print(os.tcgetpgrp(0) == os.getpgrp(), os.getpgrp() == os.getpid())"
        command = subprocess.Popen(
            [VESPER, "lock", "n", "--endpoints", self.urls[0], "--", sys.executable, "-c", script],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0))
        self.assertEqual(command.wait(SECONDS), 0)
        os.close(slave)
        self.assertEqual(read_terminal(master), b"True True\r\n")

    @needs("bash")
    def test_ctrl_z_stops_the_command_until_it_is_in_the_foreground_again(self):
        shell = Shell(["bash", "--norc", "--noprofile", "-i"], self.folder.name,
                      f"PS1='> '; export VESPER_ENDPOINTS={self.urls[0]}")
        try:
            script = "echo UP\"\"1; read x; echo got $x"
            shell.send(f"{VESPER} lock n -- sh -c '{script}'\n".encode())
            shell.wait_for(b"UP1")
            shell.send(b"\x1a")
            shell.wait_for(b"Stopped")
            shell.send(b"echo SHE\"\"LL; fg\n")
            shell.wait_for(b"SHELL")
            shell.wait_for(b"lock n")
            shell.send(b"it\n")
            shell.wait_for(b"got it")
            shell.send(b"echo co\"\"de $?\n")
            shell.wait_for(b"code 0")
        finally:
            shell.close()

    def test_without_a_command_it_prints_the_token_and_keeps_the_lock(self):
        self.expect(self.vesper("lock", "n", "--ttl", "1m", endpoints=self.urls), 0, b"17\n")
        self.assertEqual(self.locks.held("/locks/n"), 17)
        result = self.vesper("lock", "n", "--renew", "17", endpoints=self.urls)
        self.expect(result, 0, b"60000\n")
        self.expect(self.vesper("lock", "n", "--renew", "16", endpoints=self.urls), 4)
        result = self.vesper("lock", "n", "--release", "17", "-o", "json", endpoints=self.urls)
        self.expect(result, 0, b'{"released":true}\n')
        result = self.vesper("lock", "n", "--release", "17", endpoints=self.urls)
        self.expect(result, 0, b"false\n")

    def test_an_election_has_a_value(self):
        result = self.vesper("elect", "n", "-", "--", "sh", "-c", "echo $VESPER_FENCE",
                             endpoints=self.urls)
        self.expect(result, 0, b"17\n")
        sent = self.fakes[0].requests[0]
        self.assertEqual((sent.method, sent.target.split("?")[0], sent.body),
                         ("POST", "/elections/n", b"-"))
        self.expect(self.vesper("elect", "n", "v", endpoints=self.urls), 0, b"18\n")
        self.expect(self.vesper("elect", "n", "w", "--renew", "18", endpoints=self.urls), 0,
                    b"15000\n")
        self.assertEqual(self.fakes[0].requests[-1].body, b"w")

    def test_the_lists_follow_the_pages(self):
        pages = [{"locks": [{"lock": "b", "token": 8, "ttl_ms": 1, "waiters": 0}]},
                 {"locks": [{"lock_base64": "/wA=", "token": 7, "ttl_ms": 900, "waiters": 2}],
                  "next": "n1"}]
        fake = self.fake(lambda r, c: reply(200, pages["next=" not in r.target]))
        result = self.vesper("lock", "--list", "a/", endpoints=[fake.url])
        self.expect(result, 0, b"\\xff\\x00\t7\t900\t2\nb\t8\t1\t0\n")
        self.assertRegex(fake.requests[0].target, r"^/locks\?prefix=a%2F&limit=1000&timeout=")
        self.assertIn("&next=n1&", fake.requests[1].target)
        fake = self.fake(reply(200, {"elections": [{"election": "n", "token": 7, "ttl_ms": 9,
                                                    "waiters": 0, "value": "me"}]}))
        result = self.vesper("elect", "--list", "-o", "table", endpoints=[fake.url])
        self.expect(result, 0, b"ELECTION  TOKEN  TTL_MS  WAITERS  VALUE\n"
                               b"n         7      9       0        me\n")

    def test_wrong_usage_is_2(self):
        for arguments in (["lock"], ["lock", ""], ["lock", "n" * 5000], ["lock", "n", "--"],
                          ["lock", "n", "--ttl", "0"],
                          ["lock", "n", "--ttl", "99ms", "--", "ls"], ["lock", "n", "--wait", "-1"],
                          ["lock", "n", "--renew", "0"], ["lock", "n", "--renew", "1", "--", "ls"],
                          ["lock", "n", "--renew", "1", "--release", "1"],
                          ["lock", "n", "--list", "--ttl", "1s"],
                          ["lock", "n", "--curl", "--", "ls"],
                          ["lock", "n", "ls"], ["elect", "n"], ["elect", "n", "--", "ls"],
                          ["elect", "n", "v", "--release", "1"]):
            with self.subTest(arguments=arguments):
                self.expect(self.vesper(*arguments, endpoints=self.urls), 2)
        self.assertEqual(self.locks.log, [])


class Fence(Cli):
    def test_every_write_takes_a_fence(self):
        done = {"key": "k", "value": "1", "revision": 7, "create_revision": 5, "version": 2,
                "deleted": 1, "succeeded": True, "results": []}
        fake = self.fake(reply(200, done))
        fence = ["--fence", "a:b:17"]
        for command in (["put", "k", "v"], ["append", "k", "v"], ["increment", "k"],
                        ["delete", "k"], ["delete", "--prefix", "p"], ["txn"]):
            result = self.vesper(*command, *fence, endpoints=[fake.url], stdin=b'{"then":[]}')
            self.assertEqual(result.code, 0, result.err)
            self.assertRegex(fake.requests[-1].target, r"[?&]fence=a%3Ab%3A17&timeout=")
        refuses = self.fake(problem(412, "fenced", token=18))
        self.expect(self.vesper("put", "k", "v", *fence, endpoints=[refuses.url]), 4)
        for bad in ("", "17", ":17", "n:", "n:0", "n:x", "n:-1"):
            self.expect(self.vesper("put", "k", "v", "--fence", bad, endpoints=[fake.url]), 2)

    def test_a_put_takes_a_time_to_live(self):
        fake = self.fake(reply(200, {"key": "k", "revision": 7}))
        for arguments, sent in ((["--ttl", "10s"], "ttl=10s"), (["--lease", "7"], "lease=7"),
                                (["--lease", str(2**64 - 1)], f"lease={2**64 - 1}"),
                                (["--keep-ttl"], "keep_ttl"), ([], "")):
            self.expect(self.vesper("put", "k", "v", *arguments, endpoints=[fake.url]), 0, b"7\n")
            self.assertEqual(fake.requests[-1].target.split("timeout")[0].strip("?&"),
                             f"/kv/k?{sent}".strip("?"))
        for bad in (["--ttl", "0"], ["--ttl", "-1"], ["--ttl", "1ns"], ["--ttl", "3651d"],
                    ["--lease", "x"], ["--lease", "0"], ["--ttl", "1s", "--lease", "1"],
                    ["--ttl", "1s", "--keep-ttl"], ["--lease", "1", "--keep-ttl"]):
            with self.subTest(arguments=bad):
                self.expect(self.vesper("put", "k", "v", *bad, endpoints=[fake.url]), 2)


class Lease(Cli):
    def test_its_actions(self):
        state = {"lease": "7", "ttl_ms": 9000, "granted_ttl_ms": 10000, "keys": 2}
        ended = {"lease": "7", "deleted": 2, "revision": 9}
        granted = {"lease": "7", "ttl_ms": 10000}
        for arguments, body, method, target, out in (
                (["grant", "10s"], granted, "POST", "/leases?ttl=10000ms&", b"7\n"),
                (["renew", "7"], granted, "PUT", "/leases/7?", b"10000\n"),
                (["get", "7"], state, "GET", "/leases/7?", b"9000\n"),
                (["get", "7", "-o", "table"], state, "GET", "/leases/7?",
                 b"lease  ttl_ms  granted_ttl_ms  keys\n7      9000    10000           2\n"),
                (["end", "7"], ended, "DELETE", "/leases/7?", b"2\n"),
                (["list"], {"leases": [state]}, "GET", "/leases?limit=1000&",
                 b"7\t9000\t10000\t2\n")):
            fake = self.fake(reply(200, body))
            self.expect(self.vesper("lease", *arguments, endpoints=[fake.url]), 0, out)
            sent = fake.requests[0]
            self.assertEqual((sent.method, sent.target.split("timeout")[0]), (method, target))
            self.assertEqual("idempotency-key" in sent.headers, method != "GET")
        gone = self.fake(problem(404, "lease_not_found"))
        self.expect(self.vesper("lease", "get", "7", endpoints=[gone.url]), 1)
        for bad in ([], ["grant"], ["grant", "0"], ["renew"], ["renew", "x"], ["get", "0"],
                    ["list", "7"], ["fly"], ["keep", "7", "--curl"]):
            self.expect(self.vesper("lease", *bad, endpoints=[gone.url]), 2)

    def test_keep_renews_until_it_is_interrupted(self):
        for interrupt in (signal.SIGINT, signal.SIGTERM):
            fake = self.fake(reply(200, {"lease": "7", "ttl_ms": 900}))
            command = Running("lease", "keep", "7", endpoints=[refused_url(), fake.url])
            deadline = time.monotonic() + SECONDS
            while len(fake.requests) < 4:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
            command.process.send_signal(interrupt)
            self.assertEqual(command.end(), (0, b"", ""))

    def test_keep_ends_with_1_when_the_lease_is_over(self):
        for end in (problem(404, "lease_not_found"), problem(503, "no_leader")):
            answers = [reply(200, {"lease": "7", "ttl_ms": 900})] * 3
            fake = self.fake(lambda r, c: answers.pop() if answers else end)
            result = self.vesper("lease", "keep", "7", endpoints=[fake.url])
            self.expect(result, 1)
            self.assertIn("lease 7 is over", result.err)


if __name__ == "__main__":
    unittest.main()
