"""Names that a resolver does not know yet, or never answers for: a server waits and can be ended, a
command keeps its --timeout. Runs in namespaces of its own, where the test is the resolver."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import harness
from harness import Server, free_ports
from test_peers import wait

INSIDE = "VESPER_TEST_NAMES"
SKIPPED = 77


def unshare():
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def enter():
    """Goes on inside; False where that cannot be."""
    if INSIDE in os.environ:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for path, text in (("/etc/resolv.conf", "nameserver 127.0.0.1\n"),
                           ("/etc/nsswitch.conf", "hosts: files dns\n")):
            with tempfile.NamedTemporaryFile("w", delete=False) as f:
                f.write(text)
            os.chmod(f.name, 0o644)
            subprocess.run(["mount", "--bind", f.name, path], check=True)
            os.unlink(f.name)
        return True
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    probe = "ip link set lo up && mount --bind /etc/passwd /etc/resolv.conf"
    try:
        if subprocess.run([*unshare(), "sh", "-c", probe], capture_output=True).returncode != 0:
            return False
    except FileNotFoundError:
        return False
    os.environ[INSIDE] = "1"
    os.execvp("unshare", [*unshare(), sys.executable, "-B", *sys.argv])


NO_ANSWER, UNKNOWN, BROKEN = "no answer", 3, 2  # the latter two are RFC 1035's RCODEs
LOOPBACK = "127.0.0.1"


class Resolver:
    """`answers[name]` is one of the above, or an IPv4 address. Names it lacks are UNKNOWN."""

    def __init__(self, /, **answers):
        self.answers = {name + ".test": answer for name, answer in answers.items()}
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.socket.settimeout(0.05)
        self.over = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        self.socket.close()

    def set(self, name, answer, /):
        self.answers[name + ".test"] = answer

    def serve(self):
        while not self.over:
            with contextlib.suppress(TimeoutError):
                query, client = self.socket.recvfrom(1500)
                reply = self.answer(query)
                if reply is not None:
                    self.socket.sendto(reply, client)

    def answer(self, query):
        labels, at = [], 12
        while query[at] != 0:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, (kind,) = ".".join(labels).lower(), struct.unpack_from(">H", query, at + 1)
        question = query[12:at + 5]
        self.asked.append(name)
        answer = self.answers.get(name, UNKNOWN)
        if answer == NO_ANSWER:
            return None
        code = answer if isinstance(answer, int) else 0
        records = b""
        if code == 0 and kind == 1:
            records = (b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4)
                       + socket.inet_aton(answer))
        head = struct.pack(">2sHHHHH", query[:2], 0x8180 | code, 1, 1 if records else 0, 0, 0)
        return head + question + records


def named(binary, directory, hosts, node=0, flags=()):
    """A server of a list of these hosts, and its ports."""
    ports = free_ports(len(hosts))
    with open(os.path.join(directory, "list.txt"), "w", encoding="ascii") as f:
        f.writelines("http://%s:%d\n" % (host, port) for host, port in zip(hosts, ports))
    return Server(binary, directory, ports, node, flags)


def with_hosts(binary, directory):
    """A program that runs `binary` with a hosts file of its own."""
    hosts, program = os.path.join(directory, "hosts"), os.path.join(directory, "with_hosts")
    with open(hosts, "w", encoding="ascii") as f:
        f.write("127.0.0.1 a.test b.test c.test\n")
    with open(program, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\nexec unshare --mount sh -c 'mount --bind %s /etc/hosts && "
                "exec %s \"$@\"' - \"$@\"\n" % (hosts, binary))
    os.chmod(program, 0o755)
    return program


def logged(server, text):
    assert server.process.poll() is None, server.log_text()
    return text in server.log_text()


def ends(server, code=0, within=1.0, sig=signal.SIGTERM):
    begun = time.monotonic()
    server.process.send_signal(sig)
    found = server.process.wait(20)
    took = time.monotonic() - begun
    assert (found, took < within) == (code, True), (found, took, server.log_text())


def test_sigterm_ends_a_server_within_the_drain_time_while_a_peer_lookup_hangs(binary, directory):
    with Resolver(a=NO_ANSWER, b=NO_ANSWER) as resolver:
        server = named(binary, directory, ["127.0.0.1", "a.test", "b.test"],
                       flags=["--insecure-peers"]).start(wait=False)
        # The dial has given up, the thread of the pool has not.
        wait(lambda: logged(server, "its name was not resolved in time"))
        assert resolver.asked
        ends(server)


def test_a_server_waits_until_its_own_name_resolves(binary, directory):
    for n, answer in enumerate((UNKNOWN, BROKEN)):
        folder = os.path.join(directory, str(n))
        os.mkdir(folder)
        with Resolver(self=answer) as resolver:
            server = named(binary, folder, ["self.test"]).start(wait=False)
            wait(lambda: logged(server, "cannot resolve self.test"), 20)
            resolver.set("self", LOOPBACK)
            server.wait_ready(30)
            assert "self.test has an address now" in server.log_text()
            assert server.request("PUT", "/kv/a", "1")[0] == 200
            ends(server)


def test_a_server_without_a_key_waits_until_the_names_of_its_peers_resolve(binary, directory):
    with Resolver(self=LOOPBACK, a=UNKNOWN, b=LOOPBACK) as resolver:
        server = named(binary, directory, ["self.test", "a.test", "b.test"]).start(wait=False)
        wait(lambda: logged(server, "cannot resolve a.test"), 20)
        resolver.set("a", LOOPBACK)
        wait(lambda: logged(server, "listens on"), 20)
        ends(server)
        # One that is no loopback address is still refused.
        resolver.set("a", "192.0.2.1")
        server.start(wait=False)
        assert server.process.wait(20) == 2, server.log_text()
        assert "--insecure-peers" in server.log_text()


def test_signals_are_obeyed_while_the_name_of_the_server_does_not_resolve(binary, directory):
    for name, answer, line in (("slow", NO_ANSWER, "has not answered for slow.test"),
                               ("new", UNKNOWN, "cannot resolve new.test")):
        for sig in (signal.SIGTERM, signal.SIGINT):
            folder = os.path.join(directory, name + str(int(sig)))
            os.mkdir(folder)
            with Resolver(**{name: answer}):
                server = named(binary, folder, [name + ".test"]).start(wait=False)
                wait(lambda: logged(server, line))
                ends(server, sig=sig)
            assert not os.path.exists(os.path.join(folder, "vesper-data"))


def test_a_peer_is_dialled_at_its_last_address_while_the_resolver_is_down(binary, directory):
    with Resolver(a=LOOPBACK, b=LOOPBACK, c=LOOPBACK) as resolver:
        first = named(binary, directory, ["a.test", "b.test", "c.test"])
        servers = [first] + [Server(binary, directory, first.ports, i) for i in (1, 2)]
        for s in servers:
            s.start(wait=False)
        try:
            for s in servers:
                s.wait_ready(30)
            for answer in (NO_ANSWER, BROKEN, UNKNOWN):
                for name in "abc":
                    resolver.set(name, answer)
                servers[2].process.kill()
                servers[2].process.wait()
                # It has a hosts file and needs no resolver, the two others do.
                servers[2] = Server(with_hosts(binary, directory), directory, first.ports, 2)
                servers[2].start()
        finally:
            for s in servers:
                s.stop()


def test_an_invalid_name_is_refused_at_once(binary, directory):
    for hosts, code in ((["a" * 64 + ".test"], 10), (["127.0.0.1", "a..b"], 2)):
        with Resolver():
            server = named(binary, directory, hosts).start(wait=False)
            assert server.process.wait(5) == code, server.log_text()
            assert "not a host name" in server.log_text()


def command(binary, *args):
    begun = time.monotonic()
    done = subprocess.run([binary, *args], capture_output=True, timeout=30, check=False,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr.decode(), time.monotonic() - begun


def test_a_command_keeps_its_timeout_while_a_lookup_hangs(binary, directory):
    with Resolver(slow=NO_ANSWER):
        url = "http://slow.test:5000"
        for args in (["get", "k", "--endpoints", url, "--timeout", "300ms"],
                     ["put", "k", "v", "--endpoints", url, "--timeout", "300ms"],
                     ["delete", "k", "--endpoints", url, "--timeout", "300ms"],
                     ["cluster", "transfer", "--endpoints", url, "--timeout", "300ms"],
                     ["status", "--endpoints", url, "--timeout", "300ms"],
                     ["client", "--timeout", "300ms", url, "k", "v"]):
            code, _, err, took = command(binary, *args)
            assert code == 5 and took < 2, (args, code, took, err)
            assert "not resolved in time" in err or args[0] == "status", err


def test_a_name_that_hangs_or_is_unknown_leads_to_the_next_endpoint(binary, directory):
    server = Server(binary, directory, free_ports(1), flags=["--allow-host", "good.test"]).start()
    with Resolver(slow=NO_ANSWER, good=LOOPBACK):
        good = "good.test:%d" % server.port
        for bad in ("slow.test:5000", "nowhere.test:5000"):
            both = bad + "," + good
            code, out, err, took = command(binary, "put", "k", "v", "--endpoints", both)
            assert code == 0 and took < 5, (bad, code, took, err)
            assert command(binary, "get", "k", "--endpoints", both)[:2] == (0, b"v"), bad
            code, out, err, took = command(binary, "status", "--json", "--endpoints", both)
            assert code == 0 and took < 3, (bad, code, took, err)
            nodes = json.loads(out)["nodes"]
            assert {n["address"].split(":")[1]: n["reachable"] for n in nodes}.items() >= {
                ("//" + bad.split(":")[0], False), ("//good.test", True)}, nodes
        # No child that asked is left.
        children = subprocess.run(["ps", "-eo", "args"], capture_output=True, check=True).stdout
        assert b"vesper put" not in children and b"vesper get" not in children, children
    assert server.stop() == 0


def main():
    if not enter():
        print("skipped: needs permission to create namespaces (root, unshare, ip)")
        return SKIPPED
    return harness.run(sys.modules[__name__], os.path.abspath(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
