"""Measures the figures of README about speed and cost, on this machine: throughput.py BINARY

Three nodes with real disks. Ratios are medians of several alternating measurements within one run,
since absolute figures say as much about the machine as about Vesper. Needs wrk and strace."""

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from cases_overload import offer
from harness import Cluster, Node, wait_for

PUT = '''
local n = 0
local value = string.rep("x", 256)
request = function()
  n = n + 1
  return wrk.format("PUT", "/kv/key" .. (n % 1000), nil, value)
end
'''


def load(url, clients, seconds, script=None, path=''):
    """Runs wrk for some seconds; returns (replies with status 200, replies a second)."""
    command = ['wrk', '-t1', f'-c{clients}', f'-d{seconds}s']
    if script:
        command += ['-s', script]
    out = subprocess.run([*command, url + path], capture_output=True, text=True, check=True).stdout
    answers = int(re.search(r'(\d+) requests in', out).group(1))
    refused = re.search(r'Non-2xx or 3xx responses: (\d+)', out)
    good = answers - (int(refused.group(1)) if refused else 0)
    return good, good / seconds


def median(values):
    return statistics.median(values)


def writes(leader, script, rounds, seconds):
    one, many = [], []
    for _ in range(rounds):
        one.append(load(leader.url, 1, seconds, script)[1])
        many.append(load(leader.url, 64, seconds, script)[1])
    print(f'writes/s, 256 bytes, 1 client     {median(one):>9.0f}   (median of {rounds})')
    print(f'writes/s, 256 bytes, 64 clients   {median(many):>9.0f}   '
          f'{median(many) / median(one):.1f} times one client')


def reads(leader, follower, rounds, seconds):
    levels = ('linearizable', 'lease', 'stale')
    for name, node in (('leader', leader), ('follower', follower)):
        many, one = {level: [] for level in levels}, {level: [] for level in levels}
        for _ in range(rounds):
            for level in levels:
                path = f'/kv/key1?consistency={level}'
                many[level].append(load(node.url, 64, seconds, path=path)[1])
                one[level].append(load(node.url, 1, seconds, path=path)[1])
        for level in levels:
            print(f'{level} reads/s, 64 clients, {name:<8}'.ljust(44) +
                  f'{median(many[level]):>9.0f}   one client: '
                  f'{1e6 / median(one[level]):.0f} us a read')


def overload(leader, rounds, seconds):
    """Ten times the clients, each with sixteen writes at once, alternating with 64 clients."""
    peaks, goods, refusals = [], [], []
    for _ in range(rounds):
        peaks.append(offer(leader, 64, 1, seconds)[0])
        good, refused = offer(leader, 640, 16, seconds)
        goods.append(good)
        refusals.append(refused)
    shares = [good / peak for good, peak in zip(goods, peaks)]
    print(f'goodput under overload, writes/s  {median(goods):>9.0f}   '
          f'{median(shares):.2f} times that of 64 clients, {median(refusals):.0f} refused/s')


def syncs(nodes, leader, script, seconds):
    """fdatasync calls that a node makes for acknowledged writes, counted by strace -c."""
    with tempfile.TemporaryDirectory() as folder:
        tracers = []
        for node in nodes:
            out = os.path.join(folder, str(node.id))
            tracers.append((subprocess.Popen(
                ['strace', '-f', '-c', '-e', 'trace=fdatasync', '-o', out, '-p',
                 str(node.process.pid)], stderr=subprocess.DEVNULL), out))
        for node in nodes:
            status = f'/proc/{node.process.pid}/status'
            wait_for('strace', lambda path=status: 'TracerPid:\t0' not in open(path).read(), 10)
        acknowledged = load(leader.url, 64, seconds, script)[0]
        counts = []
        for tracer, out in tracers:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(10)
            found = re.search(r'(\d+)\s+(?:\d+\s+)?fdatasync', open(out).read())
            counts.append(int(found.group(1)) if found else 0)
    print(f'fdatasync calls, 64 clients       {max(counts):>9}   '
          f'for {acknowledged} acknowledged writes: 1 for {acknowledged / max(counts):.1f}')


def idle(nodes, seconds):
    tick = os.sysconf('SC_CLK_TCK')

    def used(node: Node):
        fields = open(f'/proc/{node.process.pid}/stat').read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / tick

    before = [used(node) for node in nodes]
    began = time.monotonic()
    time.sleep(seconds)  # the measurement covers this idle time
    took = time.monotonic() - began
    shares = [100 * (used(node) - b) / took for node, b in zip(nodes, before)]
    resident = [int(re.search(r'VmRSS:\s+(\d+)', open(f'/proc/{node.process.pid}/status').read())
                    .group(1)) / 1024 for node in nodes]
    print(f'idle, busiest of {len(nodes)} nodes         {max(shares):>8.2f} % of a core')
    print(f'idle, resident memory             {max(resident):>8.1f} MB')


def start_up(binary, rounds):
    took = []
    for _ in range(rounds):
        with Cluster(binary, 3, start=False) as cluster:
            began = time.monotonic()
            for node in cluster.nodes:
                node.start()
            wait_for('all ready', lambda c=cluster: all(n.is_ready() for n in c.nodes), 10)
            took.append(1000 * (time.monotonic() - began))
    print(f'start of three nodes to serving   {median(took):>9.0f} ms (median of {rounds})')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binary')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=int, default=4)
    parser.add_argument('--reads', action='store_true', help='only the reads')
    options = parser.parse_args()
    binary = os.path.abspath(options.binary)
    if not options.reads:
        start_up(binary, options.rounds)
    with tempfile.NamedTemporaryFile('w', suffix='.lua') as script, Cluster(binary, 3) as cluster:
        script.write(PUT)
        script.flush()
        cluster.wait_ready()
        leader = cluster.wait_leader()
        follower = next(node for node in cluster.nodes if node is not leader)
        if not options.reads:
            idle(cluster.nodes, 10)
            writes(leader, script.name, options.rounds, options.seconds)
        leader.api().put('key1', 'x' * 256)
        reads(leader, follower, options.rounds, options.seconds)
        if not options.reads:
            overload(leader, options.rounds, options.seconds)
            syncs(cluster.nodes, leader, script.name, options.seconds)
    return 0


if __name__ == '__main__':
    sys.exit(main())
