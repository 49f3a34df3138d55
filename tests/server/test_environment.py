"""A server whose standard descriptors are full, closed, stuck or gone, and signals of a terminal:
it serves as ever, and ends with the documented exit code."""

import fcntl
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import time

import harness
from harness import Server, free_ports
from test_peers import dial, wait


class Streams(Server):
    """A server that gets descriptors of the test's choice. None: closed."""

    def start(self, wait=True, env=None, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
              stderr=None, before=None, **more):
        gone = [fd for fd, s in enumerate((stdin, stdout, stderr)) if s is None]

        def prepare():
            for fd in gone:
                os.close(fd)
            if before is not None:
                before()
        self.process = subprocess.Popen(
            [self.binary, "server", str(self.node), self.list] + self.flags,
            stdin=stdin, stdout=stdout, stderr=stderr, env=env, preexec_fn=prepare, **more)
        if wait:
            self.wait_ready()
        return self

    def log_text(self):
        return ""


def one(binary, directory, flags=()):
    return Streams(binary, directory, free_ports(1), flags=flags)


def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def say(server, lines):
    """Makes it log so many lines: a peer that is refused, each time for another reason."""
    for n in range(lines):
        assert dial(server, Cluster="%032x" % (2 + n % 2))[0] == 403


# Lines that are more than any buffer, the kernel's and ours.
MANY = 1500


def test_a_broken_stderr_does_not_disturb_the_server(binary, directory):
    for kind in ("full", "closed", "closed pipe"):
        stderr = {"full": lambda: os.open("/dev/full", os.O_WRONLY), "closed": lambda: None,
                  "closed pipe": closed_pipe}[kind]()
        os.makedirs(os.path.join(directory, kind))
        server = Streams(binary, os.path.join(directory, kind), free_ports(2)[:1])
        server.start(stderr=stderr)
        assert server.request("PUT", "/kv/a", "1")[0] == 200, kind
        assert server.metric("log_lines_dropped_total") > 0, kind
        # What is refused has its exit code, too.
        for args, code in (([], 10), (["--listen", "127.0.0.1:%d" % free_ports(1)[0]], 11),
                           (["--max-lease", "5s"], 2), (["--log-level", "loud"], 2)):
            second = Streams(binary, server.directory, server.ports, flags=args)
            second.start(wait=False, stderr=stderr)
            assert second.process.wait(10) == code, (kind, args, second.process.returncode)
        assert server.stop() == 0, kind
        if stderr is not None:
            os.close(stderr)


def test_no_file_or_socket_gets_the_number_of_a_closed_descriptor(binary, directory):
    server = one(binary, directory)
    server.start(stdin=None, stdout=None, stderr=None)
    for fd in range(3):
        path = os.readlink("/proc/%d/fd/%d" % (server.process.pid, fd))
        assert path == "/dev/null", (fd, path)
    assert server.request("PUT", "/kv/a", "1")[0] == 200
    server.process.kill()
    server.process.wait()
    server.start(stdin=None, stdout=None, stderr=None)
    assert server.request("GET", "/kv/a?raw")[2] == b"1"
    assert server.stop() == 0


class Stuck:
    """A reader of stderr that does not read. `read(n)`: now it does."""

    def __init__(self, kind):
        if kind == "socket":
            self.ours, self.theirs = [s.detach() for s in socket.socketpair()]
        elif kind == "terminal":
            self.ours, self.theirs = pty.openpty()
            termios.tcflow(self.theirs, termios.TCOOFF)  # what Ctrl-S does
            attributes = termios.tcgetattr(self.theirs)
            attributes[1] &= ~termios.OPOST
            termios.tcsetattr(self.theirs, termios.TCSANOW, attributes)
        else:
            self.ours, self.theirs = os.pipe()
            fcntl.fcntl(self.theirs, fcntl.F_SETPIPE_SZ, 8192)
            os.write(self.theirs, b"-" * 8191 + b"\n")
        self.kind = kind
        self.flags = fcntl.fcntl(self.theirs, fcntl.F_GETFL)

    def unchanged(self):
        return fcntl.fcntl(self.theirs, fcntl.F_GETFL) == self.flags

    def lines_until(self, needle, seconds=10):
        """Reads on until a line holds `needle`; all lines so far."""
        if self.kind == "terminal":
            termios.tcflow(self.theirs, termios.TCOON)
        os.set_blocking(self.ours, False)
        text = b""
        end = time.monotonic() + seconds
        while not any(needle in line for line in text.split(b"\n")[:-1]):
            assert time.monotonic() < end, text[-500:]
            try:
                text += os.read(self.ours, 65536)
            except BlockingIOError:
                time.sleep(0.01)
        return text.decode().split("\n")[:-1]

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


class Three:
    """Three servers, of which the first leads; its log has no reader."""

    def __init__(self, binary, directory, stuck, **more):
        self.stuck = stuck
        null = os.open("/dev/null", os.O_WRONLY)
        ports = free_ports(3)
        # Only that level shows every refusal of a peer.
        flags = ("--log-level", "debug")
        self.servers = [Streams(binary, directory, ports, i, flags=flags) for i in range(3)]
        for s in self.servers:
            s.start(wait=False, stderr=null if s is not self.servers[0] else stuck.theirs, **more)
        os.close(null)

    def __enter__(self):
        first = self.servers[0]
        try:
            for s in self.servers:
                s.wait_ready()
            wait(lambda: first.request("POST", "/cluster/transfer?to=0")[0] == 200)
        except BaseException:
            self.__exit__()
            raise
        return first, self.servers[1]

    def __exit__(self, *_):
        try:
            for s in self.servers:
                s.stop()
        finally:
            for s in self.servers:
                s.process.kill()
                s.process.wait()
            self.stuck.close()


def freezes_nothing(binary, directory, stuck, **more):
    with Three(binary, directory, stuck, **more) as (first, other):
        say(first, MANY)
        dropped = first.metric("log_lines_dropped_total")
        assert 0 < dropped < MANY, dropped
        # Longer than any election timeout: it heartbeats all the while.
        term = first.metric("term")
        time.sleep(1)
        assert other.request("PUT", "/kv/a", "1")[0] == 200
        assert first.request("GET", "/kv/a?raw")[2] == b"1"
        assert (first.metric("term"), first.metric("is_leader")) == (term, 1)
        assert stuck.unchanged()
        # Nothing else is logged meanwhile: the notice needs no other line to push it.
        lines = stuck.lines_until(b"log lines were dropped")
        assert lines[-1].endswith(
            "W n0 %d log lines were dropped: stderr accepted no more" % dropped), lines[-1]
        assert sum("peer refused" in line for line in lines) == MANY - dropped, len(lines)
        ours = [line for line in lines if not line.startswith("---")]
        assert all(line[:2] == "20" and " n0 " in line for line in ours), ours
        assert first.metric("log_lines_dropped_total") == dropped
        say(first, MANY)
        begun = time.monotonic()
        assert first.stop(seconds=10) == 0
        assert time.monotonic() - begun < 2, "took %.1f s" % (time.monotonic() - begun)
        assert stuck.unchanged()


def test_a_full_log_pipe_does_not_block_the_server(binary, directory):
    freezes_nothing(binary, directory, Stuck("pipe"))


def test_a_full_log_socket_does_not_block_the_server(binary, directory):
    freezes_nothing(binary, directory, Stuck("socket"))


def test_a_stopped_terminal_does_not_block_the_server(binary, directory):
    freezes_nothing(binary, directory, Stuck("terminal"))


def test_a_log_pipe_of_another_user_does_not_block_the_server(binary, directory):
    # It cannot be opened a second time then.
    if os.geteuid() == 0:
        os.chmod(directory, 0o777)
        freezes_nothing(binary, directory, Stuck("pipe"), user=65534)


def test_sighup_ends_no_server(binary, directory):
    for before in (None, lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)):  # nohup
        folder = os.path.join(directory, "nohup" if before else "usual")
        os.mkdir(folder)
        server = one(binary, folder)
        server.start(stderr=subprocess.DEVNULL, before=before)
        for n in range(3):
            server.process.send_signal(signal.SIGHUP)
            assert server.request("PUT", "/kv/a", str(n))[0] == 200
        assert server.process.poll() is None
        assert server.stop() == 0


def test_sighup_ends_no_server_that_has_just_begun(binary, directory):
    port = free_ports(1)[0]
    path = os.path.join(directory, "list.txt")
    os.mkfifo(path)  # the server waits for what the list says
    server = Streams(binary, directory, [port])
    server.start(wait=False, stderr=subprocess.DEVNULL)
    with open(path, "w") as f:
        for _ in range(3):
            server.process.send_signal(signal.SIGHUP)
        f.write("http://127.0.0.1:%d\n" % port)
    server.wait_ready()
    server.process.send_signal(signal.SIGHUP)
    assert server.request("PUT", "/kv/a", "1")[0] == 200
    assert server.stop() == 0


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], os.path.abspath(sys.argv[1])))
