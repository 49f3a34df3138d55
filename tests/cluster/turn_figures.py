"""Measures how long the largest requests hold the loop: turn_figures.py BINARY

One node. The figure is the longest turn that /metrics reports, as a median of several rounds: on a
busy machine, a turn also lasts while other processes run."""

import argparse
import json
import os
import shutil
import statistics
import sys

from harness import Cluster, wait_for
from http_api import Connection, request_bytes
from model_figures import LINES, import_lines, line, metrics, random_lines
from runner import expect

OPERATIONS = 4096  # of one transaction
KEYS = 10_000      # of a page
DELETED = 5_000    # keys of a range that one request deletes
LEAST_KEYS = 200_000


def send(node, method, path, body=None):
    reply = node.api(60).request(method, path, body, timeout=60)
    expect(reply.status == 200, lambda: f'{reply}')


def transaction(node, operations):
    send(node, 'POST', '/txn', json.dumps({'then': list(operations)}).encode())


def put(name):
    return {'put': {'key': name, 'value': 'x' * 128}}


def far_apart():
    """Names of existing keys. No two that follow each other lie in one node of the tree."""
    return (f'key/{i * 7919 % LEAST_KEYS:028d}' for i in range(OPERATIONS))


def stream(node):
    """Reads all keys as NDJSON."""
    connection = Connection(node.port, 60)
    connection.send(request_bytes('GET', '/kv?prefix=key/&format=ndjson'), 60)
    tail = b''
    while not tail.endswith(b'0\r\n\r\n'):
        data = connection.socket.recv(1 << 20)
        expect(data, 'the stream was cut off')
        tail = (tail + data)[-16:]
    connection.close()


def delete(node, n):
    send(node, 'DELETE', f'/kv?start=key/{(n + 1) * DELETED:028d}&end=key/{(n + 2) * DELETED:028d}')


# What is measured, by name. Each takes the node and the number of the round.
REQUESTS = {
    'NDJSON of all keys': lambda node, _: stream(node),
    f'a page of {KEYS} keys, JSON':
        lambda node, _: send(node, 'GET', f'/kv?prefix=key/&limit={KEYS}'),
    f'a transaction of {OPERATIONS} puts, new keys':
        lambda node, n: transaction(node, (put(f'new/{n}/{i:05d}') for i in range(OPERATIONS))),
    f'a transaction of {OPERATIONS} puts, existing keys':
        lambda node, n: transaction(node, (put(f'key/{i * 7:028d}') for i in range(OPERATIONS))),
    f'a transaction of {OPERATIONS} puts, existing keys far apart':
        lambda node, n: transaction(node, (put(name) for name in far_apart())),
    f'a transaction of {OPERATIONS} gets':
        lambda node, n: transaction(node, ({'get': {'key': f'key/{i * 7:028d}'}}
                                           for i in range(OPERATIONS))),
    f'a transaction of {OPERATIONS} gets, keys far apart':
        lambda node, n: transaction(node, ({'get': {'key': name}} for name in far_apart())),
    f'a delete of a range of {DELETED} keys': delete,
    f'an import of {5 * LINES} keys':
        lambda node, n: import_lines(node, list(random_lines(5 * LINES, 128, f'more{n}/'))),
}


def start_with(node, files):
    node.wipe()
    shutil.copytree(files, node.dir)
    node.start()
    wait_for('ready', node.is_ready, 60)


def later_deletes(node, count):
    """What the loop does for each of several deletes in a row, after a first one."""
    times = []
    delete(node, 0)
    for n in range(1, count + 1):
        before = metrics(node)['vesper_loop_turn_seconds_sum']
        delete(node, n)
        times.append(1000 * (metrics(node)['vesper_loop_turn_seconds_sum'] - before))
    return times


def compaction(node, loaded):
    """The longest turn while the older versions of keys are freed, in ms. A restart begins the
    measurement, and the turns of the import before it do not count."""
    start_with(node, loaded)
    import_lines(node, list(random_lines(LEAST_KEYS, 128)))
    node.terminate(30)
    node.start()
    wait_for('ready', node.is_ready, 60)
    before = node.status()['history']['bytes']
    send(node, 'POST', f'/compact?revision={node.status()["revision"]}')

    def is_freed():
        busy = metrics(node)['vesper_loop_turn_seconds_sum']
        return metrics(node)['vesper_loop_turn_seconds_sum'] - busy < 0.001
    wait_for('the history to be freed', is_freed, 60)
    expect(node.status()['history']['bytes'] < before / 10, 'little was compacted')
    longest = 1000 * metrics(node)['vesper_loop_longest_turn_seconds']
    node.terminate(30)
    return longest


def show(name, times):
    line(name, f'{statistics.median(times):>9.2f} ms   (at most {max(times):.2f})')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binary')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--keys', type=int, default=1_000_000, help=f'at least {LEAST_KEYS}')
    options = parser.parse_args()
    if options.keys < LEAST_KEYS:
        parser.error(f'--keys {options.keys}: expected at least {LEAST_KEYS}')
    with Cluster(os.path.abspath(options.binary), 1) as cluster:
        node = cluster.nodes[0]
        import_lines(node, list(random_lines(options.keys, 128)))
        node.terminate(30)
        loaded = f'{node.dir}.loaded'
        shutil.copytree(node.dir, loaded)
        for name, request in REQUESTS.items():
            longest = []
            for n in range(options.rounds):
                # The longest turn is that of the last minute, or of the time since the start. Each
                # round starts from the same files, because a start repeats what the log has.
                start_with(node, loaded)
                request(node, n)
                longest.append(1000 * metrics(node)['vesper_loop_longest_turn_seconds'])
                node.terminate(30)
            show(name, longest)
        start_with(node, loaded)
        show('a further delete, several in a row', later_deletes(node, 4 * options.rounds))
        node.terminate(30)
        show(f'compaction, {LEAST_KEYS} older versions',
             [compaction(node, loaded) for _ in range(options.rounds)])
    return 0


if __name__ == '__main__':
    sys.exit(main())
