#!/usr/bin/env python3
"""What the command line writes for other programs: --curl for curl, completion scripts for shells,
and the manual page for man. Usage: test_shell.py <vesper>

Completion is tested in interactive shells. Shells and tools that are not installed are skipped.
"""
import os
import pty
import re
import select
import shutil
import subprocess
import time
import unittest

from cli_case import VESPER, Cli
from fake_server import reply
from store_stand_in import Store

SECONDS = 20


def needs(tool):
    return unittest.skipUnless(shutil.which(tool), f"{tool} is not installed")


def without_timeout(target):
    return re.sub(r"[?&]timeout=\d+ms$", "", target)


@needs("curl")
class Curl(Cli):
    STDIN = b"from stdin\n\x00\xff"
    COMMANDS = [
        ["get", "name"],
        ["get", "a b?c#d%e+f", "-o", "json", "--revision", "7"],
        ["get", "x/../y"],
        ["get", "é[1-3]{a,b}"],
        ["put", "name", "Kyle Chard"],
        ["put", "name", ""],
        ["put", "name", "it's \"$HOME\" `id` \\ !x"],
        ["put", "name", "@FILE"],
        ["put", "name", "-"],
        ["put", "name", "--file", "FILE"],
        ["put", "name", b"line\n\x01\t\xff'\\1"],
        ["put", "name", "naïve 日本"],
        ["put", b"\xff'\n", "v"],
        ["append", "log", "more"],
        ["append", "log", "-"],
        ["increment", "n"],
        ["increment", "n", "-5"],
        ["delete", "name"],
        ["delete", "--prefix", "a b"],
        ["delete", "--all"],
        ["history", "name", "--limit", "3"],
        ["history", "name", "--restore", "3"],
        ["list", "users/", "--separator", "/"],
        ["list", "--count"],
        ["txn", "FILE"],
        ["txn"],
        ["export", "users/"],
        ["compact", "7"],
        ["put", "name", "v", "--ttl", "10s", "--fence", "a:b:7"],
        ["lease", "grant", "10s"],
        ["lease", "end", "7"],
        ["lease", "list"],
        ["lock", "a b/c", "--wait", "0"],
        ["lock", "n", "--renew", "7"],
        ["lock", "--list", "p"],
        ["elect", "n", "it's me", "--wait", "0"],
        ["elect", "n", "--release", "7"],
        ["cluster", "transfer", "2"],
        ["status"],
    ]

    def setUp(self):
        super().setUp()
        with open(os.path.join(self.folder.name, "FILE"), "wb") as file:
            file.write(b'{"then":[]}\r\n')

    def run_printed(self, printed, stdin):
        done = subprocess.run(["bash", "-c", printed], input=stdin, capture_output=True,
                              cwd=self.folder.name, timeout=SECONDS, check=False)
        self.assertEqual(done.returncode, 0, (printed, done.stderr))

    def printed(self, arguments, url):
        """The command that --curl prints, which must not send anything."""
        result = self.vesper(*arguments, "--curl", endpoints=[url], stdin=self.STDIN)
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual(result.out.count(b"\n"), 1, "one line")
        self.assertRegex(result.out, rb"^[\x20-\x7e\x80-\xff]+\n$")
        return result.out

    def test_the_printed_command_sends_the_same_request(self):
        fake = self.fake(reply(200, {"kvs": []}), answers_status=True)
        for arguments in self.COMMANDS:
            with self.subTest(arguments=arguments):
                self.vesper(*arguments, endpoints=[fake.url], stdin=self.STDIN)
                sent = len(fake.requests)
                printed = self.printed(arguments, fake.url)
                self.assertEqual(len(fake.requests), sent, "nothing was sent")
                self.run_printed(printed, self.STDIN)
                # Commands that run for long ask for the members, too.
                by_vesper = [request for request in fake.requests[:sent]
                             if request.target != "/status" or arguments[0] == "status"][-1]
                by_curl, = fake.requests[sent:]
                self.assertEqual((by_curl.method, by_curl.target, by_curl.body),
                                 (by_vesper.method, without_timeout(by_vesper.target),
                                  by_vesper.body))
                self.assertEqual("content-length" in by_curl.headers,
                                 "content-length" in by_vesper.headers)
                fake.requests.clear()

    def test_the_client_and_a_given_timeout(self):
        fake = self.fake(reply(200, {"code": "success"}))
        self.vesper("client", fake.url, "k", "it's")
        result = self.vesper("client", "--curl", fake.url, "k", "it's")
        self.run_printed(result.out, b"")
        self.assertEqual(*((r.method, r.target, r.body) for r in fake.requests))
        result = self.vesper("get", "k", "--timeout", "2s", "--curl", endpoints=[fake.url])
        self.assertIn(b"timeout=2000ms", result.out)

    def test_a_watch_is_shown_as_it_arrives(self):
        result = self.vesper("watch", "a", "--curl", endpoints=["a:1"])
        self.expect(result, 0, b"curl -N 'http://a:1/watch?key=a&format=ndjson'\n")

    def test_an_import_is_sent_by_line(self):
        lines = [b'{"key":"%d","value":""}\n' % i for i in range(4)]
        with open(os.path.join(self.folder.name, "[1] lines"), "wb") as file:
            file.writelines(lines)
        for arguments, stdin, count in ((["[1] lines"], b"", 4),
                                        (["[1] lines", "--from-line", "3"], b"", 2),
                                        (["-", "--from-line", "2"], b"".join(lines), 3)):
            fake = self.fake(Store())
            result = self.vesper("import", *arguments, "--curl", endpoints=[fake.url])
            self.assertEqual(result.code, 0)
            self.run_printed(result.out, stdin)
            self.assertEqual(len(fake.answer.keys), count)

    def test_only_the_first_endpoint_is_named_and_a_bad_one_is_an_error(self):
        result = self.vesper("get", "k", "--curl", endpoints=["[::1]:5000", "b:1"])
        self.assertEqual(result.out, b"curl 'http://[::1]:5000/kv/k?raw'\n")
        self.expect(self.vesper("get", "k", "--curl", endpoints=["nonsense"]), 2)
        self.expect(self.vesper("get", "", "--curl", endpoints=["a:1"]), 2)


class Shell:
    """An interactive shell on a terminal."""

    # What turns the line under the cursor into one that prints its words.
    SHOW = b"\x01printf '<%s>' : \x05; echo ENDS\n"

    def __init__(self, arguments, folder, setup):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            environment = {"PATH": folder + ":" + os.environ["PATH"], "HOME": folder,
                           "TERM": "dumb", "LC_ALL": "C.UTF-8", "XDG_CONFIG_HOME": folder,
                           "XDG_DATA_HOME": folder}
            os.execvpe(arguments[0], arguments, environment)
        self.seen = b""
        self.send(setup.encode() + b"\n" + b"echo 'REA''DY'\n")
        self.wait_for(rb"READY\r?\n")

    def send(self, text):
        os.write(self.terminal, text)

    def wait_for(self, pattern):
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.seen)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.terminal], [], [], left)[0]:
                raise AssertionError(f"{pattern} did not come: {self.seen}")
            self.seen += os.read(self.terminal, 65536)
        self.seen = self.seen[found.end():]
        return found

    def complete(self, line):
        """The words of the line after a completion of its last one."""
        self.send(line.encode() + b"\t" + self.SHOW)
        words = self.wait_for(rb"(?:\n|\r)<:>((?:<[^<>]*>)*)ENDS").group(1)
        return [word.decode() for word in re.findall(rb"<([^<>]*)>", words)]

    def close(self):
        os.close(self.terminal)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


class Completion(Cli):
    def complete(self, shell, cases):
        """`cases`: a line, and the words that it has after a completion."""
        store = Store()
        for key in (b"users/alice", b"users/bob", b"a b", b"host:80/x", b"it's", b"new\nline"):
            store.put(key, b"")
        fake = self.fake(store)
        os.symlink(VESPER, os.path.join(self.folder.name, "vesper"))
        with open(os.path.join(self.folder.name, "lines.ndjson"), "wb"):
            pass
        script = os.path.join(self.folder.name, "_vesper")
        with open(script, "wb") as file:
            file.write(self.vesper("completion", shell).out)
        arguments, setup = {
            "bash": (["bash", "--norc", "--noprofile", "-i"], "PS1='> '; source ./_vesper"),
            "zsh": (["zsh", "-f", "-i"],
                    "PS1='> '; unsetopt zle_bracketed_paste 2>/dev/null; autoload -U compinit; "
                    "compinit -u -D; source ./_vesper"),
            "fish": (["fish", "--no-config", "-i"], "source ./_vesper"),
        }[shell]
        terminal = Shell(arguments, self.folder.name, setup)
        try:
            for line, words in cases:
                with self.subTest(shell=shell, line=line):
                    line = line.replace("URL", fake.url)
                    words = [word.replace("URL", fake.url) for word in words]
                    self.assertEqual(terminal.complete(line), words)
        finally:
            terminal.close()

    CASES = [
        ("vesper incr", ["vesper", "increment"]),
        ("vesper list --separ", ["vesper", "list", "--separator"]),
        ("vesper -o json hist", ["vesper", "-o", "json", "history"]),
        ("vesper get k --consistency li", ["vesper", "get", "k", "--consistency", "linearizable"]),
        ("vesper put k v --output t", ["vesper", "put", "k", "v", "--output", "table"]),
        ("vesper completion z", ["vesper", "completion", "zsh"]),
        ("vesper cluster tr", ["vesper", "cluster", "transfer"]),
        ("vesper lease gr", ["vesper", "lease", "grant"]),
        ("vesper watch --ex", ["vesper", "watch", "--exec"]),
        ("vesper watch --events d", ["vesper", "watch", "--events", "delete"]),
        ("vesper import lin", ["vesper", "import", "lines.ndjson"]),
        ("vesper --endpoints URL get us", ["vesper", "--endpoints", "URL", "get", "users/"]),
        ("vesper get --endpoints URL users/a",
         ["vesper", "get", "--endpoints", "URL", "users/alice"]),
        ("vesper delete --endpoints URL --prefix us",
         ["vesper", "delete", "--endpoints", "URL", "--prefix", "users/"]),
        ("vesper get --endpoints URL a", ["vesper", "get", "--endpoints", "URL", "a b"]),
        ("vesper get --endpoints URL it", ["vesper", "get", "--endpoints", "URL", "it's"]),
        ("vesper get --endpoints URL host:8",
         ["vesper", "get", "--endpoints", "URL", "host:80/"]),
        # A value is not a key.
        ("vesper put --endpoints URL k us", ["vesper", "put", "--endpoints", "URL", "k", "us"]),
    ]

    @needs("bash")
    def test_bash(self):
        self.complete("bash", [*self.CASES,
                               ("vesper get k --consistency=li",
                                ["vesper", "get", "k", "--consistency=linearizable"]),
                               ("vesper get --endpoints=URL us",
                                ["vesper", "get", "--endpoints=URL", "users/"])])

    @needs("zsh")
    def test_zsh(self):
        self.complete("zsh", self.CASES)

    @needs("fish")
    def test_fish(self):
        self.complete("fish", self.CASES)

    @needs("bash")
    def test_without_a_cluster_it_is_silent_and_quick(self):
        script = self.vesper("completion", "bash").out.decode()
        lines = (f"{script}\nCOMP_LINE='{VESPER} get us' COMP_POINT=${{#COMP_LINE}}\n"
                 f"COMP_WORDS=({VESPER} get us) COMP_CWORD=2\n_vesper\n"
                 'echo "${COMPREPLY[@]}"\n')
        began = time.monotonic()
        done = subprocess.run(["bash", "-c", lines], capture_output=True, cwd=self.folder.name,
                              env={**os.environ, "VESPER_ENDPOINTS": "127.0.0.1:1"},
                              timeout=SECONDS, check=False)
        self.assertEqual((done.stdout, done.stderr), (b"\n", b""))
        self.assertLess(time.monotonic() - began, 3)

    def test_every_command_and_flag_is_in_every_script(self):
        listed = self.vesper("--help").out.decode()
        commands = re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE)
        commands = [name for name in commands if name not in ("vesper",)]
        self.assertIn("export", commands)
        for shell in ("bash", "zsh", "fish"):
            script = self.vesper("completion", shell).out.decode()
            for command in commands:
                self.assertIn(command, script)
                text = self.vesper(command, "--help").out.decode()
                for flag in re.findall(r"^  \S*--([a-z-]+)", text, re.MULTILINE):
                    self.assertIn(f"-l {flag}" if shell == "fish" else f"--{flag}", script)
        self.expect(self.vesper("completion", "tcsh"), 2)
        self.expect(self.vesper("completion"), 2)

    def test_the_shells_accept_the_scripts(self):
        for shell in ("bash", "zsh", "fish"):
            if shutil.which(shell):
                script = self.vesper("completion", shell).out
                done = subprocess.run([shell, "-n"], input=script, capture_output=True,
                                      timeout=SECONDS, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, b""), shell)


class Manual(Cli):
    def setUp(self):
        super().setUp()
        self.page = self.vesper("man").out

    def test_it_has_the_sections_commands_and_flags(self):
        page = self.page.decode()
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "ENVIRONMENT", "FILES",
                        "SEE ALSO"):
            self.assertIn(f"\n.SH {section}\n", page)
        plain = page.replace("\\-", "-")
        for command in ("get", "put", "list", "txn", "export", "import", "watch", "lease", "lock",
                        "elect", "server", "completion"):
            self.assertIn(f'\n.SS "vesper {command}"\n', page)
            text = self.vesper(command, "--help").out.decode()
            for flag in re.findall(r"^  (\S*--[a-z-]+)", text, re.MULTILINE):
                self.assertIn(flag, plain)
        self.assertNotIn("vesper man", page.split("\n", 1)[1])

    def test_no_line_begins_with_an_unintended_request(self):
        for line in self.page.decode().splitlines():
            if line.startswith((".", "'")):
                self.assertRegex(line, r'^\.(\\"|TH|SH|SS|PP|TP|RS|RE|nf|fi|BR)\b|^\.\\"')

    @needs("mandoc")
    def test_mandoc_accepts_it(self):
        done = subprocess.run(["mandoc", "-T", "lint"], input=self.page, capture_output=True,
                              timeout=SECONDS, check=False)
        findings = [line for line in done.stdout.decode().splitlines()
                    if "missing date" not in line]  # a date would make builds differ
        self.assertEqual(findings, [])

    @needs("groff")
    def test_groff_renders_it(self):
        done = subprocess.run(["groff", "-man", "-Tascii", "-ww", "-P-c"], input=self.page,
                              capture_output=True, timeout=SECONDS, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        text = re.sub(r".\x08", "", done.stdout.decode())
        self.assertIn("vesper put name 'Kyle Chard'", text)


if __name__ == "__main__":
    unittest.main()
