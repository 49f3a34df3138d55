#!/usr/bin/env python3
"""What tokens cost: processor time of the nodes for each put, with and without a token, in turn.

token_figures.py BINARY [--rounds N] [--puts N] [--nodes N]
prints the median of each, and of their ratios. With one node, a connection sends 32 puts at a time.
With more, each of 64 connections, spread over the nodes, sends one at a time.

token_figures.py BINARY --instructions [--puts N]
counts the instructions of one node for each put, with valgrind."""

import argparse
import contextlib
import os
import re
import statistics
import subprocess
import tempfile

from harness import Server, free_ports
from test_auth import add, bearer, enable, ok, prefix
from test_peers import cluster, start_all, stop_all, wait

PIPELINED = 32
CONNECTIONS = 64


def processor_time(servers):
    """Seconds of all threads, in user and system mode."""
    ticks = 0
    for server in servers:
        with open("/proc/%d/stat" % server.process.pid, encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def puts(servers, count, headers):
    """Microseconds of the nodes for each of `count` puts of 256 bytes."""
    lanes, at_once = (1, PIPELINED) if len(servers) == 1 else (CONNECTIONS, 1)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(servers[i % len(servers)].connect(60))
                       for i in range(lanes)]
        before = processor_time(servers)
        for _ in range(count // (lanes * at_once)):
            for connection in connections:
                for at in range(at_once):
                    connection.send_request("PUT", "/kv/key%d" % at, "v" * 256, headers)
            for connection in connections:
                for _ in range(at_once):
                    status = connection.read_reply()[0]
                    assert status == 200, status
        return (processor_time(servers) - before) / count * 1e6


def count_instructions(server, switch):
    subprocess.run(["callgrind_control", "-i", switch, str(server.process.pid)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def instructions(binary, directory, count, needs_token):
    """Of a node for each of `count` puts."""
    found = os.path.join(directory, "callgrind.out")
    wrapper = os.path.join(directory, "under-valgrind")
    with open(wrapper, "w", encoding="ascii") as file:
        file.write('#!/bin/sh\nexec valgrind -q --tool=callgrind --instr-atstart=no '
                   '--callgrind-out-file=%s %s "$@"\n' % (found, os.path.abspath(binary)))
    os.chmod(wrapper, 0o755)
    server = Server(wrapper, directory, free_ports(1)).start(wait=False)
    try:
        server.wait_ready(60)
        headers = []
        if needs_token:
            app = add(enable(server), "app", ("read", prefix("key")), ("write", prefix("key")))
            headers = bearer(app.token)
        puts([server], 320, headers)
        count_instructions(server, "on")
        puts([server], count, headers)
        count_instructions(server, "off")
    finally:
        server.stop(seconds=30)
    with open(found, encoding="ascii") as file:
        return int(re.search(r"^totals: (\d+)", file.read(), re.MULTILINE)[1]) / count


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--puts", type=int, default=20_000)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--instructions", action="store_true")
    arguments = parser.parse_args()
    if arguments.instructions:
        found = []
        for needs_token in (False, True):
            with tempfile.TemporaryDirectory(prefix="vesper-") as directory:
                found.append(instructions(arguments.binary, directory, arguments.puts, needs_token))
        print("instructions of a put: %d without a token, %d with one" % tuple(found))
        return
    plain, with_token, ratios = [], [], []
    with tempfile.TemporaryDirectory(prefix="vesper-") as directory:
        # The machine may be busy, and no leader is to change.
        servers = cluster(arguments.binary, directory, arguments.nodes,
                          ("--election-timeout", "5s"))
        start_all(servers)
        try:
            puts(servers, arguments.puts, [])
            for i in range(arguments.rounds):
                plain.append(puts(servers, arguments.puts, []))
                root = enable(servers[0])
                app = add(root, "app%d" % i, ("read", prefix("key")), ("write", prefix("key")))
                with_token.append(puts(servers, arguments.puts, bearer(app.token)))
                ok(root.request("POST", "/auth/disable"))
                wait(lambda: all(s.request("GET", "/status")[0] == 200 for s in servers))
                ratios.append(with_token[-1] / plain[-1])
        finally:
            stop_all(servers)
    print("processor time of a put: %.1f us without a token, %.1f us with one; ratio %.3f" %
          (statistics.median(plain), statistics.median(with_token), statistics.median(ratios)))


if __name__ == "__main__":
    main()
