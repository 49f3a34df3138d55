"""Measures the figures of docs about members: member_figures.py BINARY

Fills a cluster of three, with large values and then with many keys, and replaces one of its nodes
by an empty one with a single request: the time until the new node votes, the rate at which it
catches up, beside what the disk itself does in the same run, and the memory of the leader and of
the new node meanwhile. Then it measures the delay of writes of one client with and without a change
of the members."""

import argparse
import os
import re
import socket
import statistics
import sys
import threading
import time

from cases_members import change, start_joiner
from harness import Cluster, wait_for
from runner import Failed
from snapshot_figures import metrics

CHUNK = 248 << 10  # of a snapshot
MARGIN = 16 << 20  # random bytes of which values are parts, far apart from one to the next


class Filler:
    """Pipelined PUTs of values that do not compress."""

    def __init__(self, node, size):
        self.socket = socket.create_connection(('127.0.0.1', node.port), 60)
        self.noise = os.urandom(MARGIN + size)
        self.size = size

    def put(self, numbers):
        out = bytearray()
        for n in numbers:
            out += b'PUT /kv/key-%09d HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n' % (
                n, self.size)
            at = n * (self.size + 7) % MARGIN
            out += self.noise[at:at + self.size]
        sender = threading.Thread(target=self.socket.sendall, args=(out,))
        sender.start()
        answered, tail = 0, b''
        while answered < len(numbers):
            data = self.socket.recv(1 << 18)
            if not data:
                raise Failed('the connection was closed')
            data = tail + data
            if re.search(rb'HTTP/1.1 [345]', data):
                raise Failed('a write was refused: %r' % data[-300:])
            answered += data.count(b'HTTP/1.1 2')
            tail = data[-9:] if not data.endswith(b'}\n') else b''
        sender.join()


def fill(node, keys, size):
    filler = Filler(node, size)
    batch = max(1, min(1000, (8 << 20) // size))
    began = time.monotonic()
    for first in range(0, keys, batch):
        filler.put(range(first, min(keys, first + batch)))
    print(f'filled                         {keys:>9} keys of {size} bytes in '
          f'{time.monotonic() - began:.0f} s')


class Memory(threading.Thread):
    """The most memory that each process has resident while this runs, in MB."""

    def __init__(self, **nodes):
        super().__init__(daemon=True)
        self.nodes, self.stopping = nodes, threading.Event()
        self.before = {name: self.of(node) for name, node in nodes.items()}
        self.most = dict(self.before)
        self.start()

    @staticmethod
    def of(node):
        with open(f'/proc/{node.process.pid}/statm', encoding='ascii') as file:
            return int(file.read().split()[1]) * os.sysconf('SC_PAGESIZE') / 1e6

    def run(self):
        while not self.stopping.wait(0.05):
            for name, node in self.nodes.items():
                self.most[name] = max(self.most[name], self.of(node))

    def end(self):
        self.stopping.set()
        self.join()


def disk_rate(folder, size):
    """Bytes a second that the disk takes in chunks like those of a snapshot: each one synced, as
    the receiver does, and all of them synced once."""
    rates = []
    for every in (True, False):
        name = os.path.join(folder, 'disk-rate')
        noise = os.urandom(CHUNK)
        began = time.monotonic()
        with open(name, 'wb', buffering=0) as file:
            for _ in range(size // CHUNK):
                file.write(noise)
                if every:
                    os.fdatasync(file.fileno())
            os.fdatasync(file.fileno())
        rates.append(size / (time.monotonic() - began))
        os.remove(name)
    return rates


def replace(binary, keys, size):
    with Cluster(binary, 3, flags=['--snapshot-entries', str(max(keys // 2, 1000))]) as cluster:
        leader = cluster.wait_leader()
        fill(leader, keys, size)
        wait_for('a snapshot', lambda: metrics(leader)['vesper_snapshots_taken_total'] > 0
                 and metrics(leader)['vesper_snapshot_taking'] == 0, 120)
        cluster.wait_equal(60)
        new = start_joiner(cluster)
        gone = cluster.followers()[0]
        memory = Memory(leader=leader, new=new)
        moved = metrics(new)['vesper_peer_bytes_total{direction="in"}']
        began = time.monotonic()
        change(cluster, '{"add":[{"address":"%s"}],"remove":[%d]}' % (new.url, gone.id), '')
        wait_for('the new node to vote', new.is_ready, 600)
        took = time.monotonic() - began
        memory.end()
        gone.reap(10)
        cluster.nodes[cluster.nodes.index(gone)] = new
        moved = metrics(new)['vesper_peer_bytes_total{direction="in"}'] - moved
        synced, at_once = disk_rate(cluster.dir, min(int(moved), 512 << 20))
        print(f'node replaced, keys of {size:>6} B   {took:>9.1f} s: {moved / 1e6:.0f} MB '
              f'received, {moved / took / 1e6:.0f} MB/s')
        print(f'    the disk itself              {synced / 1e6:>9.0f} MB/s with each chunk synced, '
              f'{at_once / 1e6:.0f} MB/s synced once')
        for name in ('leader', 'new'):
            print(f'    memory of the {name:<6}         {memory.before[name]:>9.0f} MB before, at '
                  f'most {memory.most[name]:.0f} MB meanwhile')


class Client(threading.Thread):
    """Puts one value after the other, and notes how long each took, in ms."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.api, self.took, self.stopping = node.api(30), [], threading.Event()
        self.start()

    def run(self):
        while not self.stopping.is_set():
            began = time.monotonic()
            status = self.api.put('delay', b'v').status
            self.took.append(1000 * (time.monotonic() - began))
            if status != 200:
                raise Failed(f'a write got {status}')

    def since(self, begin):
        took = sorted(self.took[begin:])
        return statistics.median(took), took[len(took) * 99 // 100], len(took)


def delays(binary, seconds, rounds):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        follower = cluster.followers()[0]
        client = Client(leader)
        usual, during = [], []
        try:
            for _ in range(rounds):
                at = len(client.took)
                time.sleep(seconds)
                usual.append(client.since(at))
                at, end = len(client.took), time.monotonic() + seconds
                while time.monotonic() < end:
                    change(cluster, '{"demote":[%d]}' % follower.id)
                    change(cluster, '{"promote":[%d]}' % follower.id)
                during.append(client.since(at))
        finally:
            client.stopping.set()
            client.join()
        fsync = metrics(leader)
        fsync = fsync['vesper_fsync_seconds_sum'] / fsync['vesper_fsync_seconds_count']
        names = (('as usual', usual), ('while members change', during))
        for name, found in names:
            median, high, count = (statistics.median(each) for each in zip(*found))
            print(f'writes {name:<24} {median:>7.2f} ms median, {high:.2f} ms p99 '
                  f'({count:.0f} writes, median of {rounds})')
        more = statistics.median(d[1] - u[1] for u, d in zip(usual, during))
        print(f'    p99 rises by                 {more:>9.2f} ms; an fsync takes '
              f'{1000 * fsync:.2f} ms on average, a write (one fsync, one round trip) '
              f'{statistics.median(u[0] for u in usual):.2f} ms')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binary')
    parser.add_argument('--keys', type=int, default=1_000_000)
    parser.add_argument('--values', type=int, default=8192, help='of 128 KiB')
    parser.add_argument('--seconds', type=float, default=3)
    parser.add_argument('--rounds', type=int, default=5)
    options = parser.parse_args()
    binary = os.path.abspath(options.binary)
    replace(binary, options.values, 128 << 10)
    replace(binary, options.keys, 128)
    delays(binary, options.seconds, options.rounds)
    return 0


if __name__ == '__main__':
    sys.exit(main())
