"""Exactly once (thesis 6.3): a write that is retried with its Idempotency-Key, on any node,
whatever happens in between, is carried out once and always gets the same reply."""

import json
import signal
import subprocess
import threading
import time

from cases_serving import MIB
from harness import LONG, SLOW, Cluster, wait_for
from http_api import Broken, NotSent
from runner import case, expect, expect_equal

ROUNDS = 8 if LONG else 3
SOME = 300 if LONG else 80  # decided writes between two faults


def told(reply):
    """The part that is equal in every reply to a request."""
    return reply.status, reply.body, reply.headers.get('etag'), reply.headers['vesper-revision']


class Writer:
    """Writes a key that no other client writes. Each write has a new idempotency key and is retried
    on the next node until it is decided. So the n-th write makes version n, unless a write was lost
    or carried out twice."""

    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.decided = self.repeated = self.replayed = 0
        self.answers = []  # (idempotency key, value, reply)
        self.error = None
        self.stop = False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.stop:
                self.write()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def send(self, api, token, value):
        return api.put(f'once/{self.number}', value, '?timeout=1s',
                       headers={'Idempotency-Key': token})

    def ask(self, node, token, value):
        api = node.api(2.0 * SLOW)
        try:
            return self.send(api, token, value)
        except NotSent:
            return None
        except Broken:
            self.repeated += 1
            return None
        finally:
            api.close()

    def decide(self, token, value):
        """The reply that decides the write; None if the test ends first."""
        turn = self.number
        while True:
            reply = self.ask(self.cluster.nodes[turn % len(self.cluster.nodes)], token, value)
            turn += 1
            if reply is None:
                time.sleep(0.002)
            elif reply.status == 504:
                self.repeated += 1
            elif reply.status not in (429, 503):
                expect_equal(reply.status, 200, f'{reply}')
                self.replayed += reply.headers.get('vesper-replayed') == 'true'
                return reply
            if self.stop and reply is None:
                return None

    def write(self):
        n = self.decided + 1
        token, value = f'w{self.number}-{n}', f'value {n}'
        reply = self.decide(token, value)
        if reply is None:
            return
        expect_equal(reply.json()['version'], n, f'version after write {n} of {token}: {reply}')
        self.answers.append((token, value, told(reply)))
        self.decided = n


class Writers:
    def __init__(self, cluster, count, kind=Writer):
        self.all = [kind(cluster, i) for i in range(count)]

    def __enter__(self):
        for writer in self.all:
            writer.thread.start()
        return self

    def __exit__(self, kind, *_):
        for writer in self.all:
            writer.stop = True
        for writer in self.all:
            writer.thread.join()
        if kind is None:
            self.total('decided')

    def total(self, what):
        for writer in self.all:
            if writer.error:
                raise writer.error
        return sum(getattr(writer, what) for writer in self.all)

    def wait_decided(self, more):
        goal = self.total('decided') + more
        wait_for(f'{goal} decided writes', lambda: self.total('decided') >= goal, 20)


def ask_again(cluster, writers):
    """Repeats every write on every node: the replies are the same, and nothing changes."""
    before = cluster.wait_equal()['revision']
    for node in cluster.nodes:
        api = node.api()
        for writer in writers.all:
            for token, value, answer in writer.answers:
                reply = api.put(f'once/{writer.number}', value, headers={'Idempotency-Key': token})
                expect_equal(told(reply), answer, f'the answer to {token} by {node}')
                expect_equal(reply.headers.get('vesper-replayed'), 'true', f'{reply}')
        api.close()
    expect_equal(cluster.wait_equal()['revision'], before, 'revision after all retries')


@case('writes that are retried on other nodes after their leader was killed are applied once')
def _(binary):
    with Cluster(binary, 3) as cluster:
        with Writers(cluster, 12) as writers:
            for _ in range(ROUNDS):
                writers.wait_decided(SOME)
                victim = cluster.wait_leader()
                victim.kill()
                writers.wait_decided(SOME)
                cluster.restart(victim)
            # Repeat until a kill has hit a write between its commit and its reply.
            for _ in range(20):
                if writers.total('replayed') > 0:
                    break
                victim = cluster.wait_leader()
                victim.kill()
                cluster.restart(victim)
                writers.wait_decided(SOME)
        expect(writers.total('repeated') > 0, 'no write was interrupted by a kill')
        expect(writers.total('replayed') > 0, 'no repeated write had been applied before')
        ask_again(cluster, writers)


class Commands(Writer):
    """The same with `vesper put`, which draws idempotency keys and retries by itself."""

    def write(self):
        n = self.decided + 1
        urls = [node.url for node in self.cluster.nodes]
        first = self.number % len(urls)
        endpoints = ','.join(urls[first:] + urls[:first])
        done = subprocess.run(
            [self.cluster.binary, 'put', f'once/{self.number}', f'value {n}', '-o', 'json',
             '--timeout', f'{int(10 * SLOW)}s', '--endpoints', endpoints],
            capture_output=True, check=False, timeout=30 * SLOW)
        expect_equal(done.returncode, 0, f'exit code of put {n}: {done.stderr}')
        expect_equal(json.loads(done.stdout)['version'], n, f'version after put {n}')
        self.decided = n


@case('`vesper put` knows every outcome and writes once while leaders are killed and frozen')
def _(binary):
    with Cluster(binary, 3) as cluster, Writers(cluster, 4, Commands) as writers:
        for turn in range(2 * ROUNDS):
            writers.wait_decided(SOME // 4)
            victim = cluster.wait_leader()
            if turn % 2 == 0:
                victim.kill()
            else:
                victim.pause()
            writers.wait_decided(SOME // 8)
            if turn % 2 == 0:
                cluster.restart(victim)
            else:
                victim.resume()
                cluster.wait_ready()


@case('writes that are retried on other nodes while nodes freeze and resume are applied once')
def _(binary):
    with Cluster(binary, 3) as cluster:
        with Writers(cluster, 9) as writers:
            for turn in range(ROUNDS):
                writers.wait_decided(SOME)
                victim = cluster.wait_leader() if turn % 2 == 0 else cluster.followers()[0]
                victim.pause()
                writers.wait_decided(SOME // 4)
                victim.resume()
                cluster.wait_ready()
        ask_again(cluster, writers)


@case('retries get the same answer although all nodes are killed at once, repeatedly')
def _(binary):
    with Cluster(binary, 3) as cluster:
        with Writers(cluster, 6) as writers:
            for _ in range(ROUNDS):
                writers.wait_decided(SOME)
                for node in cluster.nodes:
                    node.process.send_signal(signal.SIGKILL)
                for node in cluster.nodes:
                    expect_equal(node.reap(10), -9, 'exit code')
                cluster.restart(*cluster.nodes)
        ask_again(cluster, writers)


@case('stored replies reach a node by snapshot, and survive a restart of all nodes')
def _(binary):
    with Cluster(binary, 3) as cluster:
        away = cluster.followers()[0]
        away.kill()
        with Writers(cluster, 3) as writers:
            writers.wait_decided(SOME)
        api = cluster.wait_leader().api(20 * SLOW)
        for n in range(11):  # past the 64 MiB at which a snapshot is taken and the log is cut
            expect_equal(api.put('large', bytes([n]) * (8 * MIB)).status, 200, 'a large value')
        wait_for('a snapshot on both', lambda: all(
            'snapshot taken' in node.log_text() for node in cluster.serving()), 20)
        cluster.restart(away)
        wait_for('a snapshot received', lambda: 'snapshot received' in away.log_text(), 20)
        ask_again(cluster, writers)
        for node in cluster.nodes:
            node.kill()
        cluster.restart(*cluster.nodes)
        ask_again(cluster, writers)


@case('a request sent to all nodes at once with one idempotency key is applied once')
def _(binary):
    with Cluster(binary, 3) as cluster:
        for turn in range(10 * ROUNDS):
            replies = []
            barrier = threading.Barrier(9)

            def ask(node, turn=turn, replies=replies, barrier=barrier):
                api = node.api()
                barrier.wait()
                replies.append(api.put('k', f'{turn}', headers={
                    'Idempotency-Key': f'"turn-{turn}"', 'If-Match': '*'} if turn else {
                    'Idempotency-Key': f'"turn-{turn}"'}))
                api.close()
            threads = [threading.Thread(target=ask, args=(cluster.nodes[i % 3],))
                       for i in range(9)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            expect_equal(len({told(reply) for reply in replies}), 1, f'answers: {replies}')
            expect_equal(replies[0].json()['version'], turn + 1, f'{replies[0]}')
            first = [r for r in replies if 'vesper-replayed' not in r.headers]
            expect_equal(len(first), 1, f'answers that are not replays: {replies}')
        cluster.wait_equal()


class Counter(Writer):
    """Increments a key that all clients increment, by amounts that tell the clients apart."""

    def send(self, api, token, value):
        return api.request('POST', f'/kv/counter?increment={value}&timeout=1s',
                           headers={'Idempotency-Key': token})

    def decide(self, token, value):
        # The sum is exact only if every increment is decided.
        while (reply := super().decide(token, value)) is None:
            pass
        return reply

    def write(self):
        n = self.decided + 1
        self.decide(f'c{self.number}-{n}', self.number + 1)
        self.decided = n


@case('increments of 64 clients add up exactly while leaders are killed')
def _(binary):
    with Cluster(binary, 3) as cluster:
        with Writers(cluster, 64, Counter) as writers:
            for _ in range(ROUNDS):
                writers.wait_decided(SOME)
                victim = cluster.wait_leader()
                victim.kill()
                writers.wait_decided(SOME)
                cluster.restart(victim)
        cluster.wait_equal()
        expect(writers.total('repeated') > 0, 'no increment was interrupted by a kill')
        expected = sum(writer.decided * (writer.number + 1) for writer in writers.all)
        api = cluster.nodes[0].api()
        expect_equal(api.get('counter').json()['value'], str(expected), 'the sum of all increments')
        api.close()
