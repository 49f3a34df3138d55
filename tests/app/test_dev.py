#!/usr/bin/env python3
"""`vesper dev` as a process: it starts a cluster, prints the address of its page, and leaves
nothing behind, however it ends."""
import os
import pty
import signal
import socket
import ssl
import subprocess
import sys
import time
import unittest
import urllib.request

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support")]

from cli_case import VESPER, Cli, read_terminal  # noqa: E402
from ports import free_ports  # noqa: E402

SECONDS = 20


def wait_for(what, condition):
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for " + what)
        time.sleep(0.01)
    return found


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(one) for one in file.read().split()]


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def first_of(count):
    """The first of `count` neighbouring ports that are free."""
    while True:
        ports = free_ports(count)
        if ports == list(range(ports[0], ports[0] + count)):
            return ports[0]


class Dev(Cli):
    def setUp(self):
        super().setUp()
        self.started = []
        self.temporary = os.path.join(self.folder.name, "tmp")
        os.mkdir(self.temporary)

    def tearDown(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
        super().tearDown()

    def dev(self, *arguments):
        process = subprocess.Popen([VESPER, "dev", *arguments], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   cwd=self.folder.name,
                                   env={**os.environ, "TMPDIR": self.temporary})
        self.started.append(process)
        return process

    def page_of(self, process, scheme="http"):
        """The address of the page, once the cluster serves."""
        line = process.stdout.readline()
        self.assertRegex(line, "^" + scheme + r"://127\.0\.0\.1:[0-9]+/ui/\n$")
        return line.strip()

    def get(self, url, trust=None):
        context = ssl.create_default_context(cafile=trust) if trust else None
        with urllib.request.urlopen(url, timeout=SECONDS, context=context) as reply:
            return reply.read()

    def end(self, process, sent=signal.SIGINT):
        nodes = children_of(process.pid)
        process.send_signal(sent)
        out, err = process.communicate(timeout=SECONDS)
        self.assertEqual([pid for pid in nodes if runs(pid)], [], "nodes that still run")
        return process.returncode, out, err

    def test_it_starts_five_nodes_serves_the_page_and_ends_all_on_a_signal(self):
        for sent in (signal.SIGINT, signal.SIGTERM):
            port = first_of(5)
            process = self.dev("--port", str(port))
            page = self.page_of(process)
            self.assertEqual(page, f"http://127.0.0.1:{port}/ui/")
            self.assertIn(b"<title>Vesper</title>", self.get(page))
            self.assertEqual(len(children_of(process.pid)), 5)
            put = self.vesper("put", "name", "Ada", endpoints=[f"http://127.0.0.1:{port + 4}"])
            self.expect(put, 0, b"2\n")
            self.assertEqual(len(os.listdir(self.temporary)), 1)
            code, out, err = self.end(process, sent)
            self.assertEqual((code, out), (0, ""), err)
            self.assertIn("5 nodes run", err)
            self.assertEqual(os.listdir(self.temporary), [], "the temporary directory")

    def test_ctrl_c_in_a_terminal_ends_all(self):
        port = first_of(3)
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ["TMPDIR"] = self.temporary
            os.execv(VESPER, [VESPER, "dev", "--nodes", "3", "--port", str(port)])
        shown = b""
        while b"/ui/\r\n" not in shown:
            shown += os.read(terminal, 4096)
        nodes = children_of(pid)
        self.assertEqual(len(nodes), 3, shown)
        self.assertEqual(os.tcgetpgrp(terminal), pid, "the foreground of the terminal")
        os.write(terminal, b"\x03")
        shown += read_terminal(terminal)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, shown)
        self.assertEqual([one for one in nodes if runs(one)], [], "nodes that still run")
        self.assertEqual(os.listdir(self.temporary), [], "the temporary directory")

    def test_it_finds_free_ports_by_itself(self):
        process = self.dev("--nodes", "1")
        self.assertIn(b"<title>Vesper</title>", self.get(self.page_of(process)))
        self.assertEqual(self.end(process)[0], 0)

    def test_a_directory_keeps_the_cluster(self):
        port = str(first_of(3))
        process = self.dev("--nodes", "3", "--dir", "play", "--port", port)
        page = self.page_of(process)
        self.expect(self.vesper("put", "name", "Ada", endpoints=[page[:-4]]), 0, b"2\n")
        self.assertEqual(self.end(process)[0], 0)
        process = self.dev("--dir", "play")
        self.assertEqual(self.page_of(process), page)
        self.expect(self.vesper("get", "name", endpoints=[page[:-4]]), 0, b"Ada")
        self.assertEqual(len(children_of(process.pid)), 3)
        self.assertEqual(self.end(process)[0], 0)
        for wrong in (["--nodes", "5"], ["--port", port]):
            result = self.vesper("dev", "--dir", "play", *wrong)
            self.expect(result, 2)
            self.assertIn("has a cluster of 3 nodes already", result.err)

    def test_with_tls_it_makes_certificates_and_says_how_to_trust_them(self):
        process = self.dev("--nodes", "3", "--tls", "--port", str(first_of(3)))
        page = self.page_of(process, "https")
        place = os.path.join(self.temporary, os.listdir(self.temporary)[0])
        authority = os.path.join(place, "pki", "ca.crt")
        self.assertIn(b"<title>Vesper</title>", self.get(page, authority))
        with self.assertRaises(OSError):
            self.get(page)  # the authorities of the system have not signed it
        with open(os.path.join(place, "ip_list.txt"), encoding="ascii") as file:
            self.assertTrue(all(line.startswith("https://127.0.0.1:") for line in file))
        # The commands that it shows work as they are.
        said = [process.stderr.readline() for _ in range(4)]
        command = said[1].split("terminal: ", 1)[1].replace("vesper put", VESPER + " put")
        done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=SECONDS)
        self.assertEqual((done.returncode, done.stdout), (0, b"2\n"), done.stderr)
        command = said[2].split("vesper: ", 1)[1].split(" trusts", 1)[0]
        done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=SECONDS)
        self.assertIn(b"<title>Vesper</title>", done.stdout, command)
        self.assertEqual(self.end(process)[0], 0)
        self.assertEqual(os.listdir(self.temporary), [], "the temporary directory")

    def test_a_directory_keeps_its_certificates(self):
        process = self.dev("--nodes", "3", "--tls", "--dir", "play", "--port", str(first_of(3)))
        page = self.page_of(process, "https")
        authority = os.path.join(self.folder.name, "play", "pki", "ca.crt")
        flags = ["--cacert", authority]
        self.expect(self.vesper("put", "name", "Ada", *flags, endpoints=[page[:-4]]), 0, b"2\n")
        self.assertEqual(self.end(process)[0], 0)
        for more in ([], ["--tls"]):
            process = self.dev("--dir", "play", *more)
            self.assertEqual(self.page_of(process, "https"), page)
            self.expect(self.vesper("get", "name", *flags, endpoints=[page[:-4]]), 0, b"Ada")
            self.assertEqual(self.end(process)[0], 0)
        process = self.dev("--nodes", "1", "--dir", "plain", "--port", str(first_of(1)))
        self.page_of(process)
        self.assertEqual(self.end(process)[0], 0)
        result = self.vesper("dev", "--dir", "plain", "--tls")
        self.expect(result, 2)
        self.assertIn("has a cluster of 1 nodes without TLS already", result.err)

    def test_the_nodes_end_when_it_is_killed(self):
        process = self.dev("--nodes", "3", "--port", str(first_of(3)))
        self.page_of(process)
        nodes = children_of(process.pid)
        self.assertEqual(len(nodes), 3)
        process.kill()
        wait_for("the nodes to end", lambda: not any(runs(pid) for pid in nodes))

    def test_a_paused_node_ends_too(self):
        process = self.dev("--nodes", "3", "--port", str(first_of(3)))
        self.page_of(process)
        os.kill(children_of(process.pid)[1], signal.SIGSTOP)
        self.assertEqual(self.end(process)[0], 0)

    def test_a_node_that_ends_is_reported_and_not_started_again(self):
        process = self.dev("--nodes", "3", "--port", str(first_of(3)))
        page = self.page_of(process)
        nodes = children_of(process.pid)
        os.kill(nodes[2], signal.SIGKILL)
        lines = iter(process.stderr.readline, "")
        self.assertTrue(any("node 2 has ended with exit code 137" in line for line in lines))
        self.assertEqual(children_of(process.pid), nodes[:2])
        self.assertIn(b"<title>Vesper</title>", self.get(page))
        os.kill(nodes[0], signal.SIGTERM)
        os.kill(nodes[1], signal.SIGTERM)
        self.assertEqual(process.wait(SECONDS), 1, "no node is left")
        self.assertEqual(os.listdir(self.temporary), [], "the temporary directory")

    def test_a_port_in_use_is_an_error_with_the_log_of_the_node(self):
        port = first_of(3)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port + 1))
            taken.listen()
            process = self.dev("--nodes", "3", "--port", str(port))
            out, err = process.communicate(timeout=SECONDS)
        self.assertEqual((process.returncode, out), (1, ""), err)
        self.assertIn("node 1 ended with exit code 10 before the cluster served", err)
        self.assertIn(f"127.0.0.1:{port + 1}", err)
        self.assertEqual(os.listdir(self.temporary), [], "the temporary directory")

    def test_wrong_usage_starts_nothing(self):
        for wrong in (["--nodes", "0"], ["--nodes", "10"], ["--nodes", "x"], ["--port", "0"],
                      ["--port", "65536"], ["--port", "65533"], ["--dir", ""], ["extra"]):
            self.expect(self.vesper("dev", *wrong, env={"TMPDIR": self.temporary}), 2)
        self.assertEqual(os.listdir(self.temporary), [])
        self.expect(self.vesper("dev", "--dir", "/proc/nothing"), 1)


if __name__ == "__main__":
    unittest.main()
