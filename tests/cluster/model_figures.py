"""Measures the figures of docs/performance.md about the data model: model_figures.py BINARY

Three nodes with real disks, except where one node is named. With --before OTHER, a build of another
commit, puts and gets are measured in turn with both. Needs wrk."""

import argparse
import base64
import json
import multiprocessing
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from harness import Cluster, free_ports, wait_for
from http_api import Api, Broken, Connection, NotSent, request_bytes
from runner import expect
from throughput import PUT, load

CLIENTS = (1, 64, 256)
LINES = 20_000  # of one import


def line(name, text):
    print(f'{name:<44} {text}', flush=True)


def rate(leader, clients, seconds, script, path=''):
    return load(leader.url, clients, seconds, script, path)[1]


def puts_and_gets(binary, before, rounds, seconds, script):
    """Medians of alternating measurements; the ratio is that of the medians."""
    builds = {'now': binary, **({'before': before} if before else {})}
    found = {}
    for _ in range(rounds):
        for name, path in builds.items():
            with Cluster(path, 3) as cluster:
                leader = cluster.wait_leader()
                leader.api().put('key1', 'x' * 256)
                for clients in CLIENTS:
                    for kind, wrk in (('put', (script,)), ('get', (None, '/kv/key1'))):
                        found.setdefault((kind, clients, name), []).append(
                            rate(leader, clients, seconds, *wrk))
    for kind in ('put', 'get'):
        for clients in CLIENTS:
            now = statistics.median(found[kind, clients, 'now'])
            text = f'{now:>9.0f} /s'
            if before:
                then = statistics.median(found[kind, clients, 'before'])
                text += f'   before {then:>9.0f}   {100 * now / then:.1f} %'
            line(f'{kind}, {clients} connections', text)


def resident(node):
    with open(f'/proc/{node.process.pid}/status', encoding='ascii') as f:
        return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1)) * 1024


def import_lines(node, lines):
    """Imports NDJSON over one connection; returns the seconds until the last line of the answer."""
    connection = Connection(node.port, 600)
    began = time.monotonic()
    body = b''.join(lines)
    connection.send(request_bytes('POST', '/kv', body,
                                  {'Content-Type': 'application/x-ndjson'}), 600)
    reply = connection.read('POST', 600)
    took = time.monotonic() - began
    connection.close()
    last = json.loads(reply.body.splitlines()[-1])
    expect(reply.status == 200 and 'error' not in last, lambda: f'import: {reply}')
    return took


def random_lines(count, size, prefix='key/'):
    noise = os.urandom(1 << 16).hex()
    for i in range(count):
        at = i * 31 % 60000
        yield (json.dumps({'key': f'{prefix}{i:028d}', 'value': noise[at:at + size]}) +
               '\n').encode()


def million(binary, keys):
    """Memory and restart of one node with `keys` keys of 32 bytes and values of 128."""
    with Cluster(binary, 1) as cluster:
        node = cluster.nodes[0]
        empty = resident(node)
        lines = list(random_lines(keys, 128))
        for at in range(0, keys, LINES * 5):
            import_lines(node, lines[at:at + LINES * 5])
        wait_for('the snapshots', lambda: not node.status()['taking_snapshot'], 60)
        line(f'resident memory, {keys} keys',
             f'{(resident(node) - empty) / keys:>9.0f} bytes a key')
        node.terminate(30)
        began = time.monotonic()
        node.start()
        wait_for('ready', node.is_ready, 60)
        line('restart, exec to ready', f'{time.monotonic() - began:>9.2f} s')
        wait_for('the snapshots', lambda: not node.status()['taking_snapshot'], 60)
        line('resident memory after the restart',
             f'{(resident(node) - empty) / keys:>9.0f} bytes a key')
        stream(node, keys)  # first: the longest turn is that of the last minute
        ranges(node)


def processor_time(node):
    """Of the thread of the loop, in seconds."""
    with open(f'/proc/{node.process.pid}/schedstat', encoding='ascii') as f:
        return int(f.read().split()[0]) / 1e9


def time_of(api, method, path, body=None):
    began = time.monotonic()
    reply = api.request(method, path, body, timeout=30)
    took = time.monotonic() - began
    expect(reply.status == 200, lambda: f'{reply}')
    return took


def ranges(node, rounds=20):
    """Reads a page of 10,000 keys, from etcd's JSON gateway in turn if it is installed. The time is
    that of the whole exchange, with a client that only counts bytes, and that of the node alone."""
    api, ours, theirs, alone = node.api(30), [], [], []
    path = '/kv?prefix=key/&limit=10000'
    with Etcd() as etcd:
        for _ in range(rounds):
            before = processor_time(node)
            ours.append(time_of(api, 'GET', path))
            alone.append(processor_time(node) - before)
            if etcd.api:
                theirs.append(etcd.time_of_range())
    text = f'{10_000 / statistics.median(ours):>9.0f} keys/s'
    if theirs:
        text += f'   etcd: {10_000 / statistics.median(theirs):.0f} keys/s'
    line('range of 10,000 keys, JSON', text)
    line('  by the processor time of the node', f'{10_000 / statistics.median(alone):>9.0f} keys/s')


class Etcd:
    """One etcd with 10,000 keys like ours, if there is one on this machine. `api`: None if not."""

    def __enter__(self):
        self.api = self.process = None
        if not shutil.which('etcd'):
            return self
        self.dir = tempfile.mkdtemp(prefix='etcd-')
        client, peer = (f'http://127.0.0.1:{port}' for port in free_ports(2))
        self.process = subprocess.Popen(
            ['etcd', '--data-dir', self.dir, '--listen-client-urls', client,
             '--advertise-client-urls', client, '--listen-peer-urls', peer,
             '--initial-advertise-peer-urls', peer, '--initial-cluster', f'default={peer}'],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        api = Api(int(client.rsplit(':', 1)[1]), 30)
        wait_for('etcd', lambda: self.fill(api), 30)
        self.api = api
        return self

    @staticmethod
    def fill(api):
        try:
            for at in range(0, 10_000, 100):
                puts = [{'request_put': {'key': base64.b64encode(b'key/%028d' % i).decode(),
                                         'value': base64.b64encode(b'x' * 128).decode()}}
                        for i in range(at, at + 100)]
                if api.request('POST', '/v3/kv/txn',
                               json.dumps({'success': puts}).encode()).status != 200:
                    return False
        except (Broken, NotSent):
            return False
        return True

    def time_of_range(self):
        body = json.dumps({'key': base64.b64encode(b'key/').decode(),
                           'range_end': base64.b64encode(b'key0').decode()}).encode()
        return time_of(self.api, 'POST', '/v3/kv/range', body)

    def __exit__(self, *_):
        if self.process:
            self.process.kill()
            self.process.wait()
            shutil.rmtree(self.dir, ignore_errors=True)


def metrics(node):
    text = node.api().request('GET', '/metrics').body.decode()
    return {row.rsplit(' ', 1)[0]: float(row.rsplit(' ', 1)[1])
            for row in text.splitlines() if not row.startswith('#')}


def write_beside(node, stop, times):
    """Writes until told to stop. A process of its own, because a thread would wait for the one that
    reads. Reports what each write took."""
    api, took = node.api(30), []
    while not stop.is_set():
        began = time.monotonic()
        api.put('beside', 'x')
        took.append(time.monotonic() - began)
    times.put(took)


def stream(node, keys):
    """NDJSON of all keys, while another client writes."""
    stop, times = multiprocessing.Event(), multiprocessing.Queue()
    writer = multiprocessing.Process(target=write_beside, args=(node, stop, times))
    before = resident(node)
    metrics(node)
    writer.start()
    connection = Connection(node.port, 60)
    began = time.monotonic()
    connection.send(request_bytes('GET', '/kv?prefix=key/&format=ndjson'), 60)
    received, most, tail = 0, before, b''
    while not tail.endswith(b'0\r\n\r\n'):
        data = connection.socket.recv(1 << 20)
        expect(data, 'the stream was cut off')
        received += len(data)
        tail = (tail + data)[-16:]
        most = max(most, resident(node))
    seconds = time.monotonic() - began
    connection.close()
    stop.set()
    took = sorted(times.get())
    writer.join()
    longest = metrics(node)['vesper_loop_longest_turn_seconds']
    line(f'NDJSON of {keys} keys', f'{seconds:>9.2f} s, {received / seconds / 1e6:.0f} MB/s')
    line('  resident memory rises by', f'{(most - before) / 1e6:>9.1f} MB')
    line('  longest turn of the loop', f'{1000 * longest:>9.2f} ms')
    line('  a put beside it, 99th percentile', f'{1000 * took[int(0.99 * len(took))]:>9.2f} ms')


def bulk(binary, rounds, seconds, script):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        imports, singles, txns, alone = [], [], [], []
        for n in range(rounds):
            singles.append(rate(leader, 64, seconds, script))
            imports.append(5 * LINES / import_lines(
                leader, list(random_lines(5 * LINES, 128, f'import{n}/'))))
            api = leader.api()
            txn = json.dumps({'then': [{'put': {'key': f'txn/{i}', 'value': 'x' * 128}}
                                       for i in range(100)]}).encode()
            began = time.monotonic()
            for _ in range(50):
                expect(api.request('POST', '/txn', txn).status == 200, 'a transaction was refused')
            txns.append(50 * 100 / (time.monotonic() - began))
            began = time.monotonic()
            for i in range(500):
                api.put(f'txn/{i % 100}', 'x' * 128)
            alone.append(500 / (time.monotonic() - began))
        line('import, 128-byte values', f'{statistics.median(imports):>9.0f} keys/s')
        line('  single puts from 64 clients', f'{statistics.median(singles):>9.0f} /s   '
             f'{statistics.median(imports) / statistics.median(singles):.1f} times')
        line('transactions of 100 puts, one client', f'{statistics.median(txns):>9.0f} puts/s')
        line('  single puts, one client', f'{statistics.median(alone):>9.0f} /s   '
             f'{statistics.median(txns) / statistics.median(alone):.1f} times')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binary')
    parser.add_argument('--before', help='the binary of another commit')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=int, default=2)
    parser.add_argument('--keys', type=int, default=1_000_000)
    options = parser.parse_args()
    binary = os.path.abspath(options.binary)
    before = options.before and os.path.abspath(options.before)
    with tempfile.NamedTemporaryFile('w', suffix='.lua') as script:
        script.write(PUT)
        script.flush()
        puts_and_gets(binary, before, options.rounds, options.seconds, script.name)
        bulk(binary, options.rounds, options.seconds, script.name)
    million(binary, options.keys)
    return 0


if __name__ == '__main__':
    sys.exit(main())
