"""Measures the figures of docs/performance.md about watches, time to live and locks:
watch_figures.py BINARY

Three nodes with real disks. Ratios are medians of alternating measurements. Needs wrk, and a limit
of open files above 11,000 (the script raises its own)."""

import argparse
import json
import os
import random
import re
import resource
import selectors
import signal
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from harness import Cluster, wait_for
from http_api import Broken, Connection, NotSent, request_bytes
from model_figures import line, resident
from runner import expect
from throughput import PUT, load


class Watch:
    """One watch over one connection, read by hand."""

    def __init__(self, node, query):
        self.connection = Connection(node.port, 30)
        self.connection.send(request_bytes('GET', '/watch?format=ndjson&' + query), 30)
        self.text = b''

    def wait(self, needle, timeout=30):
        """Reads until `needle` has come, and returns when."""
        deadline = time.monotonic() + timeout
        while needle not in self.text:
            self.connection.more(deadline)
            self.text += self.connection.buffer
            self.connection.buffer = b''
        return time.monotonic()

    def close(self):
        self.connection.close()


def many(node, count, query):
    watches = [Watch(node, query.format(i)) for i in range(count)]
    for watch in watches:
        watch.wait(b'HTTP/1.1 200')
    return watches


def idle_watchers(leader, script, count, rounds, seconds):
    empty = resident(leader)
    with_them, without = [], []
    for n in range(rounds):
        without.append(load(leader.url, 64, seconds, script)[1])
        before = resident(leader)
        watches = many(leader, count, 'prefix=idle/{}/')
        if n == 0:
            line(f'memory of an idle watcher, {count}',
                 f'{(resident(leader) - max(before, empty)) / count:>9.0f} bytes')
        with_them.append(load(leader.url, 64, seconds, script)[1])
        for watch in watches:
            watch.close()
    now, then = statistics.median(with_them), statistics.median(without)
    line(f'puts beside {count} idle watchers', f'{now:>9.0f} /s   without {then:.0f}   '
         f'{100 * now / then:.1f} %')


def latency(leader, follower, rounds=200):
    """From the answer of a put to the event."""
    for name, node in (('the leader', leader), ('a follower', follower)):
        watch = Watch(node, 'key=seen')
        watch.wait(b'HTTP/1.1 200')
        api, took = leader.api(), []
        for i in range(rounds):
            api.put('seen', f'value {i}.')
            answered = time.monotonic()
            took.append(watch.wait(f'value {i}.'.encode()) - answered)
        watch.close()
        line(f'put answered to event, {name}', f'{1000 * statistics.median(took):>9.2f} ms '
             f'(median of {rounds})')


def fan_out(leader, count=1000, rounds=10):
    watches = many(leader, count, 'key=all')
    selector = selectors.DefaultSelector()
    for watch in watches:
        watch.connection.socket.setblocking(False)
        selector.register(watch.connection.socket, selectors.EVENT_READ, watch)
    api, took = leader.api(), []
    for i in range(rounds):
        needle = f'value {i}.'.encode()
        api.put('all', needle)
        answered, left = time.monotonic(), count
        while left > 0:
            for key, _ in selector.select(10):
                data = key.fileobj.recv(1 << 16)
                if needle in data:
                    left -= 1
        took.append(time.monotonic() - answered)
    for watch in watches:
        watch.close()
    line(f'one event to {count} watchers, the last', f'{1000 * statistics.median(took):>9.1f} ms')


def locks(leader, rounds=50):
    """From the release of a lock to the answer that the next holder gets."""
    api, took, puts = leader.api(), [], []
    for _ in range(rounds):
        token = api.request('POST', '/locks/n?ttl=15s').json()['token']
        waiter = Connection(leader.port, 30)
        waiter.send(request_bytes('POST', '/locks/n?ttl=15s&wait=10s'), 30)
        wait_for('a waiter', lambda: api.request('GET', '/locks/n').json()['waiters'] == 1)
        began = time.monotonic()
        api.request('DELETE', f'/locks/n?token={token}')
        reply = waiter.read('POST', 10)
        took.append(time.monotonic() - began)
        api.request('DELETE', f'/locks/n?token={reply.json()["token"]}')
        waiter.close()
        began = time.monotonic()
        api.put('one', 'x')
        puts.append(time.monotonic() - began)
    lock, put = statistics.median(took), statistics.median(puts)
    line('lock released to the next holder', f'{1000 * lock:>9.2f} ms, '
         f'{lock / put:.1f} times one put')


def read_until_gone(cluster, key, deadline):
    """When a linearizable read no longer finds the key; None: it did until the deadline."""
    while time.monotonic() < deadline:
        for node in cluster.serving():
            began = time.monotonic()
            try:
                reply = node.api(1).get(key, '?timeout=500ms', timeout=1)
            except (Broken, NotSent):
                continue
            if reply.status == 404:
                return began
    return None


def ttl_over_kills(binary, kills):
    """The error of a TTL of 2 s, while the leader is killed meanwhile. The time without a leader is
    measured by a writer, and is not counted."""
    late, early = [], 0
    with Cluster(binary, 3) as cluster:
        for n in range(kills):
            leader = cluster.wait_leader()
            key = f'ttl/{n}'
            began = time.monotonic()
            leader.api().put(key, 'x', '?ttl=2s')
            put_at = time.monotonic()
            time.sleep(random.uniform(0.1, 1.5))  # the kill is to come at any moment of the TTL
            last = time.monotonic()
            leader.api().put('pulse', 'x')
            leader.kill()
            led = None
            while led is None:
                for node in cluster.serving():
                    try:
                        if node.api(1).put('pulse', 'y', '?timeout=200ms', timeout=1).status == 200:
                            led = time.monotonic()
                            break
                    except (Broken, NotSent):
                        continue
            gone = read_until_gone(cluster, key, time.monotonic() + 10)
            expect(gone, f'{key} did not expire')
            # Not counted: at most the time from the last write before the kill to the first after.
            most = led - last
            if gone < began + 2.0 - 0.001:
                early += 1
            late.append(gone - put_at - 2.0 - most)
            leader.start()
            cluster.wait_ready()
    line(f'TTL of 2 s over {kills} kills: early', f'{early:>9}')
    line('  late, at most', f'{1000 * max(late):>9.0f} ms')


def expiry_of_many(binary, nodes, count=100_000):
    """Keys that expire in one instant, and the writes beside them."""
    with Cluster(binary, nodes) as cluster:
        leader = cluster.wait_leader()
        api = leader.api(30)
        began = time.monotonic()
        ttl = 10.0
        for at in range(0, count, 1000):
            left = max(1, round(1000 * (ttl - (time.monotonic() - began))))
            body = json.dumps({'then': [{'put': {'key': f'many/{i}', 'value': 'x',
                                                 'ttl': f'{left}ms'}}
                                        for i in range(at, at + 1000)]}).encode()
            expect(api.request('POST', '/txn', body).status == 200, 'refused')
        expect(time.monotonic() < began + ttl, 'this machine is too slow for it')
        nodes_asked = [leader, *cluster.followers()]
        with ThreadPoolExecutor() as pool:
            stop = threading.Event()
            readers = [pool.submit(read_ending_keys, node, path, began + ttl, stop)
                       for path in (f'/kv/many/{count - 1}?', '/kv?prefix=many/&count_only&')
                       for node in nodes_asked]
            worst, gone = 0.0, None
            while gone is None:
                start = time.monotonic()
                api.put('beside', 'x')
                if start > began + ttl - 0.2:
                    worst = max(worst, time.monotonic() - start)
                if start > began + ttl:
                    path = '/kv?prefix=many/&count_only&consistency=stale'
                    if api.request('GET', path).json()['count'] == 0:
                        gone = time.monotonic() - began - ttl
            stop.set()
            found, waited = (max(figures) for figures in zip(*(read.result() for read in readers)))
        line(f'{count} keys that expire at once, {nodes} nodes', f'gone after {1000 * gone:.0f} '
             f'ms, found until {1000 * found:.0f} ms, a read took up to {1000 * waited:.0f} ms, '
             f'a write beside it {1000 * worst:.1f} ms')


def read_ending_keys(node, path, due, stop):
    """Reads on and on from `due` on. Returns how long after it the last read began that found any,
    and how long a read took at most, in seconds."""
    api, found, took = node.api(30), 0.0, 0.0
    while not stop.is_set():
        start = time.monotonic()
        reply = api.request('GET', path + 'consistency=linearizable')
        if start < due:
            continue
        took = max(took, time.monotonic() - start)
        if reply.status == 200 and reply.json().get('count', 1) > 0:
            found = start - due
    return found, took


def memory_of_ttl(binary, keys):
    found = {}
    for name, ttl in (('without', ''), ('with', '1h')):
        with Cluster(binary, 1) as cluster:
            node = cluster.nodes[0]
            api, empty = node.api(60), resident(node)
            for at in range(0, keys, 1000):
                body = json.dumps({'then': [
                    {'put': {'key': f'{i:032d}', 'value': 'x' * 128,
                             **({'ttl': ttl} if ttl else {})}}
                    for i in range(at, at + 1000)]}).encode()
                expect(api.request('POST', '/txn', body).status == 200, 'refused')
            node.terminate(30)
            node.start()
            wait_for('ready', node.is_ready, 60)
            found[name] = (resident(node) - empty) / keys
    line(f'memory of a TTL, {keys} keys', f'{found["with"] - found["without"]:>9.0f} bytes a key '
         f'({found["with"]:.0f} with, {found["without"]:.0f} without)')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binary')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=int, default=2)
    parser.add_argument('--watchers', type=int, default=10_000)
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--keys', type=int, default=1_000_000)
    options = parser.parse_args()
    binary = os.path.abspath(options.binary)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, options.watchers * 2 + 1000), hard))
    flags = ['--max-connections', str(options.watchers + 1000)]
    with tempfile.NamedTemporaryFile('w', suffix='.lua') as script:
        script.write(PUT)
        script.flush()
        with Cluster(binary, 3, flags=flags) as cluster:
            leader = cluster.wait_leader()
            follower = cluster.followers()[0]
            latency(leader, follower)
            fan_out(leader)
            locks(leader)
            idle_watchers(leader, script.name, options.watchers, options.rounds, options.seconds)
    ttl_over_kills(binary, options.kills)
    for nodes in (1, 3):
        expiry_of_many(binary, nodes)
    memory_of_ttl(binary, options.keys)
    return 0


if __name__ == '__main__':
    sys.exit(main())
