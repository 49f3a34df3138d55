"""One server process on a free loopback port, and raw HTTP to talk to it. Standard library only."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support")]

from ports import free_ports  # noqa: F401  (the tests import it from here)


def memory(server):
    """Resident bytes of the process of a server."""
    with open("/proc/%d/status" % server.process.pid) as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


class Server:
    """`vesper server` as a child process. Directory and list outlive it until the test's end."""

    def __init__(self, binary, directory, ports, node=0, flags=(), list_name="list.txt"):
        self.binary, self.directory, self.ports, self.node = binary, directory, ports, node
        self.list = os.path.join(directory, list_name)
        if not os.path.exists(self.list):
            with open(self.list, "w") as f:
                f.writelines("http://127.0.0.1:%d\n" % p for p in ports)
        self.port = ports[node]
        self.flags = list(flags)
        self.log = os.path.join(directory, "n%d.log" % node)
        self.process = None

    def start(self, wait=True, env=None):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "server", str(self.node), self.list] + self.flags,
                stdout=log, stderr=log, env=env)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError("the server ended with %d:\n%s" %
                                     (self.process.returncode, self.log_text()))
            try:
                if self.request("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise AssertionError("the server is not ready:\n" + self.log_text())

    def log_text(self):
        with open(self.log, errors="replace") as f:
            return f.read()[-4000:]

    def stop(self, sig=signal.SIGTERM, seconds=5):
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("the server did not stop on signal %d" % sig)
        return self.process.returncode

    def connect(self, timeout=10):
        return Connection(self.port, timeout)

    def request(self, method, target, body=None, headers=()):
        with self.connect() as c:
            c.send_request(method, target, body, list(headers) + [("Connection", "close")])
            return c.read_reply(method == "HEAD")

    def metric(self, name):
        text = self.request("GET", "/metrics")[2].decode()
        return next(int(line.split()[1]) for line in text.splitlines()
                    if line.startswith("vesper_%s " % name))


class Connection:
    """A socket with just enough HTTP to read one reply after the other."""

    def __init__(self, port, timeout):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def send_request(self, method, target, body=None, headers=()):
        head = "%s %s HTTP/1.1\r\nHost: localhost\r\n" % (method, target)
        for name, value in headers:
            head += "%s: %s\r\n" % (name, value)
        if body is not None:
            body = body if isinstance(body, bytes) else body.encode()
            head += "Content-Length: %d\r\n" % len(body)
        self.send(head.encode("latin-1") + b"\r\n" + (body or b""))

    def fill(self):
        data = self.socket.recv(1 << 16)
        self.buffer += data
        return bool(data)

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            if not self.fill():
                raise EOFError("closed in the middle of a head: %r" % self.buffer)
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            fields[name.lower()] = value.strip()
        return int(lines[0].split(" ")[1]), fields

    def read_reply(self, to_head=False):
        """(status, fields, body). A body that ends with the connection is not understood."""
        status, fields = self.read_head()
        if to_head or status in (100, 204, 304):
            return status, fields, b""
        if "transfer-encoding" in fields:
            body, complete = self.read_chunks()
            if not complete:
                raise EOFError("a chunked body was cut off after %r" % body[-200:])
            return status, fields, body
        size = int(fields["content-length"])
        while len(self.buffer) < size:
            if not self.fill():
                raise EOFError("closed in the middle of a body")
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return status, fields, body

    def read_chunk(self):
        """The next chunk of a body; empty: the last one; None: the body was cut off."""
        while b"\r\n" not in self.buffer:
            if not self.fill():
                return None
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        size = int(line, 16)
        while len(self.buffer) < size + 2:
            if not self.fill():
                return None
        chunk, self.buffer = self.buffer[:size], self.buffer[size + 2:]
        return chunk

    def read_chunks(self):
        """The rest of a chunked body, and whether it was complete."""
        body = []
        while True:
            chunk = self.read_chunk()
            if not chunk:
                return b"".join(body), chunk is not None
            body.append(chunk)

    def at_end(self):
        """True when the server has closed its half and nothing is left."""
        while self.fill():
            pass
        return self.buffer == b""


def run(module, binary):
    """Runs every test_ function of a module; prints `N passed, N failed`."""
    passed = failed = 0
    wanted = sys.argv[2:]
    for name, test in sorted(vars(module).items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        directory = tempfile.mkdtemp(prefix="vesper-")
        begun = time.monotonic()
        try:
            test(binary, directory)
            passed += 1
            print("ok    %s (%.2f s)" % (name, time.monotonic() - begun), flush=True)
        except Exception:
            failed += 1
            print("FAIL  %s" % name)
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
        shutil.rmtree(directory, ignore_errors=True)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0
