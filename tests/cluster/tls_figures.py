"""Measures what TLS costs on this machine: tls_figures.py BINARY

Two clusters of three nodes, one of them with TLS 1.3, and wrk with 64 connections on the leader of
each in turn; then handshakes, by the processor time of the node. Needs wrk and openssl."""

import argparse
import os
import re
import subprocess
import sys
import tempfile

from cases_tls import SecureCluster
from harness import Cluster
from throughput import PUT, load, median


def processor_seconds(node):
    with open(f'/proc/{node.process.pid}/stat', encoding='ascii') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def compare(name, leaders, rounds, seconds, script=None, path=''):
    """Rates with and without TLS, and the processor time of the node for a request."""
    rates, costs = ([], []), ([], [])
    for _ in range(rounds):
        for i, leader in enumerate(leaders):
            before = processor_seconds(leader)
            good, rate = load(leader.url, 64, seconds, script, path)
            rates[i].append(rate)
            costs[i].append(1e6 * (processor_seconds(leader) - before) / max(good, 1))
    shares = [100 * tls / plain for plain, tls in zip(*rates)]
    print(f'{name}: plain {median(rates[0]):.0f}/s, TLS {median(rates[1]):.0f}/s, '
          f'{median(shares):.0f} % (median of {rounds}); the node takes '
          f'{median(costs[0]):.1f} us and {median(costs[1]):.1f} us each')


def handshakes(node, pki, seconds):
    before = processor_seconds(node)
    out = subprocess.run(['openssl', 's_time', '-connect', f'127.0.0.1:{node.port}', '-new',
                          '-time', str(seconds), '-CAfile', pki.path('ca.crt')],
                         capture_output=True, text=True, check=True).stdout
    count = int(re.findall(r'(\d+) connections in [\d.]+ real seconds', out)[-1])
    cost = 1e3 * (processor_seconds(node) - before) / count
    print(f'full handshakes: {count / seconds:.0f}/s from one client, {cost:.2f} ms of the node')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binary')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--seconds', type=int, default=2)
    options = parser.parse_args()
    binary = os.path.abspath(options.binary)
    with tempfile.NamedTemporaryFile('w', suffix='.lua') as script, \
            Cluster(binary, 3) as plain, SecureCluster(binary, 3) as secure:
        script.write(PUT)
        script.flush()
        leaders = plain.wait_leader(), secure.start()
        for leader in leaders:
            leader.api().put('key1', 'x' * 256)
        compare('puts', leaders, options.rounds, options.seconds, script.name)
        compare('gets', leaders, options.rounds, options.seconds, path='/kv/key1')
        handshakes(leaders[1], secure.pki, options.seconds)
    return 0


if __name__ == '__main__':
    sys.exit(main())
