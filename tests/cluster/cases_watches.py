"""Watches of several nodes: leaders, followers, kills, pauses. What a client sees over reconnects
is exactly the log from its start on (docs/http-api.md, "Watches")."""

import json
import os
import sys
import threading
import time

from harness import LONG, SLOW, Cluster, wait_for
from http_api import Broken, NotSent
from runner import case, expect, expect_equal

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'server'))
from watching import Watch  # noqa: E402

KILLS = 6 if LONG else 3


def watch(node, query='', last=None):
    headers = [] if last is None else [('Last-Event-ID', last)]
    return Watch(node.port, query, headers, 20 * SLOW, node.host, tls=node.tls)


def put(node, key, value='v'):
    api = node.api()
    try:
        reply = api.request('PUT', '/kv/' + key, value.encode())
        expect_equal(reply.status, 200, 'the status of a put')
        return json.loads(reply.body)['revision']
    finally:
        api.close()


@case('a watch on any node sees every event, and a follower learns of it at once')
def _(binary):
    # Without the early notice, a follower would learn of a commit with the next heartbeat.
    with Cluster(binary, 3, ['--heartbeat', '2s', '--election-timeout', '5s']) as cluster:
        leader = cluster.wait_leader()
        watches = [watch(node, '?key=k') for node in cluster.nodes]
        for w in watches:
            w.block()

        def one_event(value):
            put(leader, 'k', value)
            for w in watches:
                expect_equal(w.next_of('put')[2]['value'], value, 'the value of an event')
        one_event('first')  # by then the followers have told the leader that they have watches
        begin = time.monotonic()
        for i in range(20):
            one_event(str(i))
        took = time.monotonic() - begin
        expect(took < 10 * SLOW, f'20 events took {took:.1f} s')
        for w in watches:
            w.close()


class Writer:
    """Puts numbered values through any node that serves, until the end of the block."""

    def __init__(self, cluster):
        self.cluster, self.stopped, self.done = cluster, threading.Event(), 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopped.is_set():
            for node in self.cluster.serving():
                api = node.api(2.0 * SLOW)
                try:
                    while not self.stopped.is_set():
                        body = json.dumps({'then': [{'put': {'key': 'a', 'value': 'x'}},
                                                    {'put': {'key': 'b', 'value': 'y'}}]})
                        if api.request('POST', '/txn', body.encode()).status != 200:
                            break
                        self.done += 1
                        time.sleep(0.001)
                except (Broken, NotSent):
                    pass
                finally:
                    api.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()


@case('a watch resumes on other nodes over kills, without a gap, a duplicate or a reordering')
def _(binary):
    with Cluster(binary, 3) as cluster:
        seen, last, kills = [], '1', 0
        with Writer(cluster):
            turn = 0
            while kills < KILLS:
                node = cluster.serving()[turn % len(cluster.serving())]
                turn += 1
                try:
                    with watch(node, '?prefix=', last) as w:
                        for _ in range(51):
                            kind, number, _ = w.event()
                            if kind in ('stale', 'fresh'):
                                continue
                            expect_equal(kind, 'put', 'the type of an event')
                            last = number
                            seen.append(number)
                        node.kill()
                        kills += 1
                        cluster.wait_leader()
                        node.start()
                        cluster.wait_ready()
                except (OSError, EOFError):
                    continue
        final = put(cluster.wait_leader(), 'end')
        with watch(cluster.followers()[0], '?prefix=', last) as w:
            while last != str(final):
                kind, number, _ = w.event()
                if kind not in ('stale', 'fresh'):
                    seen.append(number)
                    last = number
        expected = [i for r in range(2, final) for i in (f'{r}.1', str(r))] + [str(final)]
        expect_equal(seen, expected, 'the ids of all events')


def check_stale_and_fresh(cluster, alone):
    """The nodes beside `alone` are paused for a while."""
    rest = [node for node in cluster.nodes if node is not alone]
    revision = put(cluster.wait_leader(), 'other')
    cluster.wait_equal()
    with watch(alone, '?key=k') as w:
        w.block()
        for node in rest:
            node.pause()
        kind, number, data = w.event()
        expect_equal((kind, number), ('stale', None), 'the first event')
        expect_equal(data, {'revision': revision}, 'its data')
        with watch(alone, '?key=k') as late:
            expect_equal(late.event()[0], 'stale', 'the first event of a later watch')
            for node in rest:
                node.resume()
            expect_equal(w.event()[0], 'fresh', 'the event after the pause')
            expect_equal(late.event()[0], 'fresh', 'the event after the pause')
            put(cluster.wait_leader(), 'k')
            expect_equal(w.next_of('put')[1], str(revision + 1), 'the id of the put')
    cluster.wait_ready()


@case('a watch on a node without a majority says that it may be behind, and when it is not')
def _(binary):
    with Cluster(binary, 3) as cluster:
        cluster.wait_ready()
        check_stale_and_fresh(cluster, cluster.followers()[0])
        check_stale_and_fresh(cluster, cluster.wait_leader())


@case('a watch on a learner sees every event')
def _(binary):
    with Cluster(binary, 3) as cluster:
        learner = cluster.followers()[0]
        number = cluster.nodes.index(learner)
        with watch(learner, '?key=k') as before:
            before.block()
            body = json.dumps({'demote': [number]}).encode()
            reply = cluster.wait_leader().api().request('POST', '/cluster/members', body)
            expect_equal(reply.status, 200, f'{reply}')
            with watch(learner, '?key=k&since=1') as after:
                for i in range(20):
                    revision = put(cluster.wait_leader(), 'k', str(i))
                    for w in (before, after):
                        kind, number, data = w.next_of('put')
                        expect_equal((number, data['value']), (str(revision), str(i)), 'an event')


@case('an id that a lagging node has not reached is no error, and one of another history a reset')
def _(binary):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        lags = cluster.followers()[0]
        lags.pause()
        for _ in range(50):
            revision = put(leader, 'k')
        lags.resume()
        with watch(lags, '?key=k', str(revision)) as w:
            put(leader, 'k', 'next')
            while (event := w.event())[0] in ('stale', 'fresh'):
                pass
            expect_equal(event[:2], ('put', str(revision + 1)), 'the first event')
        for node in cluster.nodes:
            with watch(node, '?key=k', '4711') as w:
                reset, state, synced = w.events(3)
                expect_equal(reset[0], 'reset', 'the first event')
                expect_equal(state[2]['value'], 'next', 'the present state')
                expect_equal(synced[:2], ('synced', str(revision + 1)), 'its end')
        cluster.wait_ready()


@case('a watch goes on over a snapshot that its node installs, or is reset')
def _(binary):
    with Cluster(binary, 3, ['--snapshot-entries', '100', '--log-tail-entries', '10',
                             '--keep-revisions', '100000']) as cluster:
        leader = cluster.wait_leader()
        behind = cluster.followers()[0]
        first = put(leader, 'k', 'first')
        with watch(behind, '?key=k', str(first)) as w:
            behind.pause()

            def is_cut():
                for _ in range(20):
                    put(leader, 'k')
                # Above what may be in flight to the node.
                return leader.status()['log']['first_index'] > 150
            wait_for('the log to be cut', is_cut, 60)
            final = put(leader, 'k', 'final')
            behind.resume()
            ids = []
            while not ids or ids[-1] != str(final):
                kind, number, _ = w.event()
                if kind not in ('stale', 'fresh'):
                    expect_equal(kind, 'put', 'the type of an event')
                    ids.append(number)
            expect_equal(ids, [str(i) for i in range(first + 1, final + 1)], 'the ids')
        api = behind.api()
        page = api.request('GET', '/metrics').body.decode()
        api.close()
        expect('\nvesper_snapshots_installed_total 0\n' not in page, 'no snapshot was installed')
        cluster.wait_ready()


@case('a long poll on a follower is released at once, and a 304 is linearizable')
def _(binary):
    with Cluster(binary, 3) as cluster:
        leader, follower = cluster.wait_leader(), cluster.followers()[0]
        api = follower.api()
        try:
            for i in range(10):
                revision = put(leader, 'k', str(i))
                reply = api.request('GET', f'/kv/k?wait=10m&since={revision - 1}')
                expect_equal(json.loads(reply.body)['value'], str(i), 'the value')
            expect_equal(api.request('GET', f'/kv/k?wait=20ms&since={revision}').status, 304,
                         'the status without a change')
        finally:
            api.close()
