#!/usr/bin/env python3
"""What tokens cost: processor time of a server for each put, with and without a token, in turn.

token_figures.py BINARY [--rounds N] [--puts N] prints the median of each, and of their ratios."""

import argparse
import os
import statistics
import tempfile

from harness import Server, free_ports

PIPELINED = 32


def processor_time(pid):
    """Seconds of all threads, in user and system mode."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def puts(server, count, headers):
    """Microseconds of the server for each of `count` puts of 256 bytes."""
    before = processor_time(server.process.pid)
    with server.connect(60) as connection:
        for _ in range(count // PIPELINED):
            for at in range(PIPELINED):
                connection.send_request("PUT", "/kv/key%d" % at, "v" * 256, headers)
            for _ in range(PIPELINED):
                status = connection.read_reply()[0]
                assert status == 200, status
    return (processor_time(server.process.pid) - before) / count * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--puts", type=int, default=20_000)
    arguments = parser.parse_args()
    from test_auth import bearer, enable, ok
    plain, with_token, ratios = [], [], []
    with tempfile.TemporaryDirectory(prefix="vesper-") as directory:
        server = Server(arguments.binary, directory, free_ports(1)).start()
        try:
            puts(server, arguments.puts, [])
            for _ in range(arguments.rounds):
                plain.append(puts(server, arguments.puts, []))
                root = enable(server)
                with_token.append(puts(server, arguments.puts, bearer(root.token)))
                ok(root.request("POST", "/auth/disable"))
                ratios.append(with_token[-1] / plain[-1])
        finally:
            server.stop()
    print("processor time of a put: %.1f us without a token, %.1f us with one; ratio %.3f" %
          (statistics.median(plain), statistics.median(with_token), statistics.median(ratios)))


if __name__ == "__main__":
    main()
