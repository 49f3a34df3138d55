"""Counts the instructions of a node for a put, a get, a key of a page, and an operation of a
transaction, and the processor time of a put: instruction_figures.py BINARY [--before OTHER]

Instructions are those of one node under valgrind's callgrind, with one connection that sends 16
small requests at a time. Unlike rates, these figures hardly change on a busy machine. They lack
what the kernel does. Needs valgrind."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

from harness import Cluster, wait_for
from http_api import Connection, request_bytes
from model_figures import import_lines, line, random_lines
from runner import expect

WINDOW = 16    # requests on their way
KEYS = 1000    # that the puts write
PAGE = 10_000  # keys
OPERATIONS = 4096  # of a transaction


def put(number):
    return request_bytes('PUT', f'/kv/key{number % KEYS}', b'x' * 256)


def transaction(number):
    puts = [{'put': {'key': f'txn/{number}/{i:020d}', 'value': 'x' * 128}}
            for i in range(OPERATIONS)]
    return request_bytes('POST', '/txn', json.dumps({'then': puts}).encode())


GET = request_bytes('GET', '/kv/key1')
# The requests, and what one of them counts for.
FIGURES = {
    'a put of 256 bytes': ([put(n) for n in range(2 * KEYS)], 1),
    'a get of 256 bytes': ([GET] * 2 * KEYS, 1),
    f'a key of a page of {PAGE}':
        ([request_bytes('GET', f'/kv?prefix=page/&limit={PAGE}')] * 3, PAGE),
    f'an operation of a transaction of {OPERATIONS} puts':
        ([transaction(n) for n in range(3)], OPERATIONS),
}


def drive(node, requests, size=WINDOW):
    """Sends `size` requests at a time."""
    connection = Connection(node.port, 120)
    size = size if len(requests) > size else 1  # the few are large
    for at in range(0, len(requests), size):
        window = requests[at:at + size]
        connection.send(b''.join(window), 120)
        for _ in window:
            reply = connection.read('GET', 120)
            expect(reply.status == 200, lambda: f'{reply}')
    connection.close()


def under_callgrind(node, scratch):
    """Returns the file that will tell what it counted."""
    out = os.path.join(scratch, f'callgrind.{node.id}')
    node.prefix = ['valgrind', '--quiet', '--tool=callgrind', '--instr-atstart=no',
                   f'--callgrind-out-file={out}']
    return out


def switch(node, state):
    subprocess.run(['callgrind_control', '-i', state, str(node.process.pid)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def total(out):
    with open(out, encoding='utf-8', errors='replace') as f:
        return int(re.search(r'^totals: (\d+)', f.read(), re.MULTILINE).group(1))


NEWER = (b'/txn', b'page/')  # what the build before may lack


def count(binary, requests, scratch):
    """Instructions of a node for these requests."""
    cluster = Cluster(binary, 1, start=False)
    node = cluster.nodes[0]
    out = under_callgrind(node, scratch)
    with cluster:
        node.start()
        wait_for('ready', node.is_ready, 60)
        if b'page/' in requests[0]:
            import_lines(node, list(random_lines(PAGE, 128, 'page/')))
        drive(node, [put(n) for n in range(KEYS)])
        drive(node, requests[:WINDOW])
        switch(node, 'on')
        drive(node, requests)
        switch(node, 'off')
        node.terminate(60)
    return total(out)


def read_of_three(binary, scratch, reads=500):
    """Instructions of a leader of three, and of a follower, for one read at a time."""
    cluster = Cluster(binary, 3, start=False)
    outs = {node: under_callgrind(node, scratch) for node in cluster.nodes}
    with cluster:
        for node in cluster.nodes:
            node.start()
        for node in cluster.nodes:
            wait_for('ready', node.is_ready, 60)
        leader = cluster.wait_leader()
        drive(leader, [put(n) for n in range(2 * WINDOW)])
        for node in cluster.nodes:
            switch(node, 'on')
        drive(leader, [GET] * reads, 1)
        for node in cluster.nodes:
            switch(node, 'off')
            node.terminate(60)
    follower = next(node for node in cluster.nodes if node is not leader)
    return total(outs[leader]) / reads, total(outs[follower]) / reads


def processor_time(binary):
    """Of a put, in three nodes together, without valgrind: (microseconds, share of the kernel)."""
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        drive(leader, [put(n) for n in range(KEYS)])

        def times():
            found = []
            for node in cluster.nodes:
                with open(f'/proc/{node.process.pid}/stat', encoding='ascii') as f:
                    fields = f.read().rsplit(')', 1)[1].split()
                found.append([int(ticks) for ticks in fields[11:13]])
            return [sum(column) for column in zip(*found)]
        before = times()
        drive(leader, [put(n) for n in range(100 * KEYS)])
        user, system = (now - then for now, then in zip(times(), before))
        return (1e6 * (user + system) / os.sysconf('SC_CLK_TCK') / 100 / KEYS,
                system / (user + system))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binary')
    parser.add_argument('--before', help='the binary of another commit')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name, (requests, each) in FIGURES.items():
            is_old = not any(path in requests[0] for path in NEWER)
            now, *before = (
                count(os.path.abspath(binary), requests, scratch) / len(requests) / each
                for binary in (options.binary, is_old and options.before) if binary)
            text = f'{now:>9.0f} instructions'
            if before:
                text += f'   before {before[0]:>9.0f}   {100 * now / before[0]:.1f} %'
            line(name, text)
        for binary in (options.binary, options.before):
            if binary:
                leader, follower = read_of_three(os.path.abspath(binary), scratch)
                line(f'a read at a time, {os.path.basename(binary)}',
                     f'{leader:>9.0f} instructions of the leader of three, {follower:.0f} of a '
                     'follower')
    time, kernel = processor_time(os.path.abspath(options.binary))
    line('a put, on three nodes together', f'{time:>9.1f} us of processor time, {100 * kernel:.0f} '
         '% in the kernel')
    return 0


if __name__ == '__main__':
    sys.exit(main())
