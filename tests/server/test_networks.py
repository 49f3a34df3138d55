"""A server that listens on an address of a network: what it serves before there are tokens, and to
which clients. Runs in namespaces of its own, whose loopback interface has two more addresses."""

import http.client
import json
import os
import subprocess
import sys

import harness
from certificates import Pki
from harness import free_ports
from test_names import SKIPPED, enter
from test_peers import wait
from test_tls import SecureServer

OWN = "10.99.0.1"    # of the node
OTHER = "10.99.0.2"  # stands for the address of another machine


def ask(server, pki, method, path, source):
    """(status, code) for a client with this address."""
    connection = http.client.HTTPSConnection(OWN, server.port, timeout=10, context=pki.context(),
                                             source_address=(source, 0))
    try:
        connection.request(method, path)
        reply = connection.getresponse()
        body = reply.read()
        return reply.status, json.loads(body)["code"] if reply.status == 401 else None
    finally:
        connection.close()


class NetworkServer(SecureServer):
    """The only node of a list that has OWN, and the node listens nowhere else."""

    def __init__(self, binary, directory, pki):
        ports = free_ports(1)
        with open(os.path.join(directory, "list.txt"), "w") as f:
            f.write("https://%s:%d\n" % (OWN, ports[0]))
        super().__init__(binary, directory, pki, pki.server_flags(OWN), ports)
        self.pki = pki

    def wait_ready(self, seconds=10):
        wait(lambda: ask(self, self.pki, "GET", "/readyz", OWN)[0] == 200, seconds, self.log_text)


def test_tokens_are_enabled_from_the_machine_itself_whatever_its_address(binary, directory):
    pki = Pki(binary, directory, OWN)
    with NetworkServer(binary, directory, pki) as s:
        for source in (OWN, OTHER):
            assert ask(s, pki, "GET", "/status", source) == (401, "unauthorized"), source
        assert ask(s, pki, "POST", "/auth/enable", OTHER) == (401, "unauthorized")
        done = subprocess.run(
            [binary, "auth", "enable", "--endpoints", "https://%s:%d" % (OWN, s.port), "--cacert",
             pki.path("ca.crt")], stdout=subprocess.PIPE, timeout=20)
        assert done.returncode == 0 and done.stdout.startswith(b"vsp_"), done
        assert ask(s, pki, "POST", "/auth/enable", OWN) == (401, "unauthorized")


def main():
    if not enter():
        print("skipped: needs permission to create namespaces (root, unshare, ip)")
        return SKIPPED
    for address in (OWN, OTHER):
        subprocess.run(["ip", "addr", "add", address + "/32", "dev", "lo"], check=True)
    return harness.run(sys.modules[__name__], os.path.abspath(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
