"""Read levels: what lease and stale reads must not do, whatever is frozen, and what min_revision
guarantees on any node."""

import bisect
import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

from harness import LONG, SLOW, Cluster, wait_for
from http_api import Broken, NotSent
from runner import case, expect, expect_equal
from workload import Workload

ROUNDS = 10 if LONG else 3


def level_of(reply):
    return reply.headers.get('vesper-consistency')


@case('a lease read without a lease is linearizable, and the next one needs no round')
def _(binary):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        cluster.nodes[0].api().put('k', 'v')
        api = leader.api()
        expect_equal(level_of(api.get('k', '?consistency=lease')), 'linearizable', 'the first')
        # On a busy machine a lease may end before it is used.
        for node in (leader, *cluster.followers()):
            api = node.api()
            wait_for(f'a read by the lease at {node}',
                     lambda a=api: level_of(a.get('k', '?consistency=lease')) == 'lease')
        expect_equal(level_of(api.get('k')), 'linearizable', 'the default')


@case('if leases are disabled, every lease read is linearizable')
def _(binary):
    with Cluster(binary, 3, flags=['--max-lease', '0']) as cluster:
        for node in cluster.nodes:
            api = node.api()
            for _ in range(3):
                got = api.get('k', '?consistency=lease')
                expect_equal(level_of(got), 'linearizable', f'{node}')


@case('a leader that is frozen for longer than its lease, with readers on it, reads nothing stale')
def _(binary):
    frozen_leader(binary, 201, lambda rng: 0.2 + rng.random() * 0.6)


@case('a leader that is often frozen for about as long as its lease reads nothing stale')
def _(binary):
    frozen_leader(binary, 202, lambda rng: 0.05 + rng.random() * 0.2, pauses=4)


def frozen_leader(binary, seed, how_long, pauses=1):
    rng = random.Random(seed)
    with Cluster(binary, 3) as cluster, \
            Workload(cluster, seed, clients=9, keys=3, read_query='consistency=lease') as load:
        load.wait_acknowledged(100)
        for _ in range(2 * ROUNDS):
            for _ in range(pauses):
                leader = cluster.wait_leader()
                api = leader.api()
                wait_for('a lease', lambda a=api: level_of(a.get('k', '?consistency=lease')) ==
                         'lease')
                leader.pause()
                time.sleep(how_long(rng))  # this is the fault: how long the process is stopped
                leader.resume()
            load.wait_acknowledged(100)
        cluster.wait_ready()
        load.__exit__(None, None, None)
        load.verify()
        by_lease = sum(op.note == 'lease' for op in load.ops())
        expect(by_lease > 100, f'only {by_lease} reads by a lease')


def by_lease_beside_an_overdue_key(cluster, key):
    """Freezes the followers shortly before the key is due, so that the leader cannot end it, and
    reads by the lease that the leader still has. Returns whether the lease and the key were there
    still."""
    leader, followers = cluster.wait_leader(), cluster.followers()
    api = leader.api()
    api.put(key, 'v', '?ttl=150ms')
    due = time.monotonic() + 0.15
    with ThreadPoolExecutor() as pool:
        queries = (f'/{key}?', f'?prefix={key}&', f'/{key}?history&')
        apis = [leader.api(20 * SLOW) for _ in queries]
        while time.monotonic() < due - 0.01:
            api.get('kept', '?consistency=lease')  # a leader keeps a lease only for those who read
        for follower in followers:
            follower.pause()
        time.sleep(max(0, due + 0.055 - time.monotonic()))  # reads wait from 50 ms on
        waiting = [pool.submit(client.request, 'GET', f'/kv{query}consistency=lease&timeout=10s')
                   for client, query in zip(apis, queries)]
        stale = api.get(key, '?consistency=stale').status
        kept = pool.submit(api.get, 'kept', '?consistency=lease')
        at_once = [bool(wait([read], 0.5).done) for read in (kept, *waiting)]
        for follower in followers:
            follower.resume()
        single, page, history = (read.result() for read in waiting)
    if stale != 200:
        return False
    expect_equal(at_once[1:], [False] * 3, 'reads of the overdue key that did not wait')
    expect_equal((single.status, page.json()['kvs']), (404, []), 'what was found')
    expect(history.json()['versions'][0].get('deleted'), f'{history}')
    return at_once[0] and level_of(kept.result()) == 'lease'


@case('a read waits for a key that is overdue, and which the leader cannot end yet')
def _(binary):
    with Cluster(binary, 3, ['--election-timeout', '4s', '--heartbeat', '10ms']) as cluster:
        cluster.wait_leader().api().put('kept', 'v')
        # On a busy machine the lease may end before, or the followers stop too late.
        keys = (f'short/{i}' for i in range(30))
        expect(any(by_lease_beside_an_overdue_key(cluster, key) for key in keys),
               'no lease was long enough, or no follower stopped in time')


@case('with min_revision a client reads its own writes on every node')
def _(binary):
    with Cluster(binary, 3) as cluster:
        apis = [node.api() for node in cluster.nodes]
        for turn, (write, read) in enumerate(itertools.product(apis, apis * 10)):
            revision = write.put('mine', str(turn)).headers['vesper-revision']
            for level in ('stale', 'lease', 'linearizable'):
                got = read.get('mine', f'?consistency={level}&min_revision={revision}')
                expect_equal((got.status, got.json().get('value')), (200, str(turn)), f'{got}')
                expect(int(got.headers['vesper-revision']) >= int(revision), f'{got}')
        late = apis[0].get('mine', f'?consistency=stale&min_revision={10 ** 9}&timeout=100ms')
        expect_equal((late.status, late.code), (503, 'timeout'), f'{late}')


@case('a read waits until its revision is reached, and does not delay other requests')
def _(binary):
    with Cluster(binary, 3) as cluster:
        follower = cluster.followers()[0]
        now = int(follower.api().get('k').headers['vesper-revision'])
        replies = []

        def wait_for_revision(revision):
            reply = follower.api(20).get('k', f'?consistency=stale&min_revision={revision}'
                                              '&timeout=20s')
            replies.append((revision, reply))
        waiting = [threading.Thread(target=wait_for_revision, args=(now + 1 + i % 20,))
                   for i in range(60)]
        for thread in waiting:
            thread.start()
        api = follower.api()
        expect_equal(api.get('k', '?consistency=stale').status, 404, 'a read meanwhile')
        for i in range(20):
            api.put('k', str(i))
        for thread in waiting:
            thread.join(20 * SLOW)
        expect_equal(len(replies), 60, 'answers')
        for revision, reply in replies:
            expect_equal(reply.status, 200, f'{reply}')
            expect(int(reply.headers['vesper-revision']) >= revision, f'{revision}: {reply}')


@case('a stale read needs no leader, reports its age, and is refused beyond max_staleness')
def _(binary):
    with Cluster(binary, 3) as cluster:
        alone, *others = cluster.nodes
        alone.api().put('k', 'v')
        cluster.wait_equal()
        api = alone.api()
        got = wait_for('a bound', lambda: (lambda r: r if 'vesper-staleness-ms' in r.headers else
                                           None)(api.get('k', '?consistency=stale')))
        expect_equal((got.json()['value'], level_of(got)), ('v', 'stale'), f'{got}')
        fresh = '?consistency=stale&max_staleness=10s'
        expect_equal(api.get('k', fresh).status, 200, 'within')
        for node in others:
            node.pause()
        since = time.monotonic()
        wait_for('refused', lambda: api.get('k', '?consistency=stale&max_staleness=400ms').code ==
                 'too_stale')
        got = api.get('k', '?consistency=stale')
        expect_equal(got.json()['value'], 'v', f'{got}')
        least = (time.monotonic() - since) * 1000 - 400
        expect(int(got.headers['vesper-staleness-ms']) >= least, f'{got}, at least {least} ms')
        expect_equal(api.get('k', '?consistency=stale&min_revision=99&timeout=50ms').code,
                     'timeout', 'a wait for a revision is no wait for a leader')
        expect_equal(api.get('k', '?timeout=50ms').status, 503, 'linearizable')
        for node in others:
            node.resume()
        cluster.wait_ready()


@case('a node without news since its start answers stale reads, and states no age for them')
def _(binary):
    with Cluster(binary, 3) as cluster:
        cluster.nodes[0].api().put('k', 'v')
        cluster.wait_equal()
        for node in cluster.nodes:
            node.kill()
        alone = cluster.nodes[0]
        alone.start()
        wait_for('the node to answer', alone.status)
        api = alone.api()
        got = wait_for('its log to be read', lambda: (lambda r: r if r.status != 503 else None)(
            api.get('k', '?consistency=stale')))
        expect_equal(level_of(got), 'stale', f'{got}')
        expect('vesper-staleness-ms' not in got.headers, f'{got}')
        expect_equal(api.get('k', '?consistency=stale&max_staleness=3650d').code, 'too_stale',
                     'an unknown age exceeds every bound')


@case('a stale read misses only writes younger than its stated age, whatever was frozen')
def _(binary):
    with Cluster(binary, 3) as cluster:
        acknowledged, stopping, reads = [], threading.Event(), []

        def write(node):
            api = node.api(0.7)
            while not stopping.is_set():
                try:
                    reply = api.put('k', 'v', '?timeout=500ms')
                except (Broken, NotSent):
                    continue
                if reply.status == 200:
                    acknowledged.append((time.monotonic(), reply.json()['revision']))

        def read(node):
            api = node.api(5 * SLOW)
            while not stopping.is_set():
                began = time.monotonic()
                try:
                    reply = api.get('k', '?consistency=stale')
                except (Broken, NotSent):
                    continue
                if reply.status in (200, 404) and 'vesper-staleness-ms' in reply.headers:
                    reads.append((began - int(reply.headers['vesper-staleness-ms']) / 1000,
                                  int(reply.headers['vesper-revision']), reply))
        threads = [threading.Thread(target=work, args=(node,))
                   for node in cluster.nodes for work in (write, read)]
        for thread in threads:
            thread.start()
        rng = random.Random(301)
        for _ in range(4 * ROUNDS):
            victim = rng.choice(cluster.nodes)
            victim.pause()
            time.sleep(rng.random() * 0.6)  # this is the fault
            victim.resume()
            seen = len(reads)
            wait_for('reads', lambda s=seen: len(reads) > s + 50)
        stopping.set()
        for thread in threads:
            thread.join()
        check_bounds(acknowledged, reads)


def check_bounds(acknowledged, reads):
    acknowledged.sort()
    times = [at for at, _ in acknowledged]
    reached = list(itertools.accumulate((revision for _, revision in acknowledged), max))
    for as_of, revision, reply in reads:
        at = bisect.bisect_left(times, as_of)
        if at > 0:
            expect(revision >= reached[at - 1], lambda a=at, r=reply: f'revision {reached[a - 1]} '
                   f'had been acknowledged before the time that this reply claims: {r}')
    expect(len(reads) > 100 and len(acknowledged) > 100, 'nothing was proven')
