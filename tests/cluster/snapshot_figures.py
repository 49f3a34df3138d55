"""Measures the figures of README and docs about snapshots: snapshot_figures.py BINARY

Fills a node of a cluster of one, restarts it, writes until it takes the next snapshot, and prints
the longest turn of its loop meanwhile. Then, in a cluster of three, a follower that missed
everything catches up by a snapshot while writes continue."""

import argparse
import os
import re
import socket
import statistics
import sys
import threading
import time

from harness import Cluster, wait_for
from runner import Failed

BATCH = 500
PUT = 'PUT /kv/key-%09d HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s'


class Writer:
    """Pipelined PUTs on one connection, with values of `size` bytes that do not compress well."""

    def __init__(self, port, keys, size):
        self.socket = socket.create_connection(('127.0.0.1', port), 30)
        self.keys, self.size, self.sent = keys, size, 0
        self.noise = os.urandom(1 << 16).hex()

    def batch(self, count=BATCH):
        out = []
        for _ in range(count):
            key = self.sent * 7919 % self.keys
            at = self.sent * 31 % 60000
            out.append(PUT % (key, self.size, self.noise[at:at + self.size]))
            self.sent += 1
        self.socket.sendall(''.join(out).encode())
        answered, tail = 0, b''
        while answered < count:
            data = self.socket.recv(1 << 18)
            if not data:
                raise Failed('the connection was closed')
            data = tail + data
            answered += data.count(b'HTTP/1.1 2')
            if re.search(rb'HTTP/1.1 [345]', data):
                raise Failed('a write was refused: %r' % data[-300:])
            tail = data[-9:] if not data.endswith(b'}\n') else b''


def metrics(node):
    text = node.api().request('GET', '/metrics').body.decode()
    return {line.rsplit(' ', 1)[0]: float(line.rsplit(' ', 1)[1])
            for line in text.splitlines() if not line.startswith('#')}


def positions(keys):
    """For a million keys the production settings; for fewer, so that snapshots are taken, too."""
    return ['--snapshot-entries', str(keys)]


def fill(node, keys, size):
    writer = Writer(node.port, keys, size)
    began = time.monotonic()
    while writer.sent < keys * 1.02:  # a round number of entries would be a snapshot position
        writer.batch()
    print(f'filled                            {keys:>9} keys of {size} bytes in '
          f'{time.monotonic() - began:.0f} s')


def restarts(node, rounds):
    took, cpu = [], []
    for _ in range(rounds):
        node.terminate(20)
        began = time.monotonic()
        node.start()
        wait_for('ready', node.is_ready, 60)
        took.append(1000 * (time.monotonic() - began))
        fields = open(f'/proc/{node.process.pid}/stat').read().rsplit(')', 1)[1].split()
        cpu.append(1000 * (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK'))
    notes = [line.split('INFO', 1)[-1].strip() for line in node.log_text().splitlines()
             if ' read: ' in line][-2:]
    print(f'restart, exec to /readyz 200      {statistics.median(took):>9.0f} ms '
          f'(median of {rounds}, best {min(took):.0f}; '
          f'{statistics.median(cpu):.0f} ms of processor)')
    for note in notes:
        print(f'    {note}')


def stall(node, keys, size):
    """From here on the gauge covers nothing else: the process has just been started."""
    writer = Writer(node.port, keys, size)
    wait_for('no snapshot', lambda: metrics(node)['vesper_snapshot_taking'] == 0, 60)
    longest = {'before': 0.0, 'while': 0.0}
    before = metrics(node)
    began = None
    while True:
        writer.batch(100)
        if writer.sent % 1000:
            continue
        now = metrics(node)
        taking = now['vesper_snapshot_taking'] == 1
        turn = now['vesper_loop_longest_turn_seconds']
        if began is None and not taking:
            longest['before'] = turn
            before = now
        if taking and began is None:
            began = time.monotonic()
        if began is not None:
            longest['while'] = max(longest['while'], turn)
            if not taking:
                break
    bounds = ['0.001', '0.0025', '0.005', '0.01', '0.025', '0.05']
    total = now['vesper_loop_turn_seconds_count'] - before['vesper_loop_turn_seconds_count']
    print(f'longest turn before a snapshot    {1000 * longest["before"]:>9.2f} ms')
    print(f'longest turn while one is taken   {1000 * longest["while"]:>9.2f} ms '
          f'({time.monotonic() - began:.1f} s, {total:.0f} turns, '
          f'{now["vesper_snapshot_bytes"] / 1e6:.0f} MB)')
    for bound in bounds:
        name = f'vesper_loop_turn_seconds_bucket{{le="{bound}"}}'
        print(f'    turns above {1000 * float(bound):>5.1f} ms            '
              f'{total - (now[name] - before[name]):>9.0f}')


def catch_up(binary, keys, size):
    with Cluster(binary, 3, flags=positions(keys)) as cluster:
        leader = cluster.wait_leader()
        victim = next(node for node in cluster.nodes if node is not leader)
        victim.terminate(5)
        fill(leader, keys, size)
        wait_for('a snapshot', lambda: metrics(leader)['vesper_snapshots_taken_total'] > 0, 60)
        writer = Writer(leader.port, keys, size)
        stop = threading.Event()

        def load():
            while not stop.wait(0.02):
                writer.batch(20)
        thread = threading.Thread(target=load)
        thread.start()
        began = time.monotonic()
        victim.start()
        try:
            wait_for('the follower to catch up', lambda: caught_up(leader, victim), 120)
        finally:
            took = time.monotonic() - began
            stop.set()
            thread.join()
        now = metrics(victim)
        print(f'catch-up of an empty follower     {took:>9.1f} s, '
              f'{now["vesper_store_bytes"] / took / 1e6:.0f} MB/s of keys and values, '
              f'{now["vesper_snapshots_installed_total"]:.0f} snapshots, '
              f'longest turn {1000 * now["vesper_loop_longest_turn_seconds"]:.1f} ms')


def caught_up(leader, victim):
    theirs, ours = leader.status(), victim.status()
    return theirs and ours and ours['applied_index'] >= theirs['commit_index'] - 2000


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binary')
    parser.add_argument('--keys', type=int, default=1_000_000)
    parser.add_argument('--size', type=int, default=100)
    parser.add_argument('--rounds', type=int, default=5)
    options = parser.parse_args()
    binary = os.path.abspath(options.binary)
    with Cluster(binary, 1, flags=positions(options.keys)) as cluster:
        node = cluster.nodes[0]
        fill(node, options.keys, options.size)
        restarts(node, options.rounds)
        stall(node, options.keys, options.size)
    catch_up(binary, options.keys, options.size)
    return 0


if __name__ == '__main__':
    sys.exit(main())
