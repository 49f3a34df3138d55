"""A leader with a full or stalled disk transfers leadership. If the disks of a majority are full,
writes are refused with 507 until there is space."""

import json
import time

from disks import (DISK, Injected, Pour, SmallDisks, fill_up, has_spare, is_full, make_space,
                   verified)
from harness import LONG, SLOW, Cluster, wait_for
from runner import case, expect, expect_equal
from workload import Workload

ROUNDS = 4 if LONG else 1
SOME = 1000 if LONG else 200


@case('a leader with a full disk transfers leadership, and the cluster keeps serving')
def _(binary):
    with SmallDisks(binary, 3, DISK) as cluster, Workload(cluster, 5002) as load:
        load.wait_acknowledged(SOME)
        for turn in range(ROUNDS):
            leader = cluster.wait_leader()
            fill_up(leader)
            Pour(cluster.followers()[0], turn).until('its disk was full',
                                                     lambda n=leader: is_full(n))
            wait_for('another one to lead', lambda n=leader: cluster.find_leader() not in (None, n))
            load.wait_acknowledged(SOME)
            make_space(leader)
            wait_for('it to use the space', lambda n=leader: not is_full(n))
            cluster.wait_ready()
        verified(load)
        load.expect_no_errors_where_up()


@case('while the disks of a majority are full, writes get 507 and reads are served')
def _(binary):
    with SmallDisks(binary, 3, DISK) as cluster:
        # All disks begin with equal room. A node with a full disk cannot append what was committed
        # through a node with more room, and so cannot read it.
        wait_for('the next segments', lambda: all(map(has_spare, cluster.nodes)))
        with Workload(cluster, 5003) as load:
            load.wait_acknowledged(SOME)
            for turn in range(ROUNDS):
                full = cluster.nodes[turn % 2:turn % 2 + 2]
                for node in cluster.nodes:  # 507 is not an error here
                    node.begin_down()
                short_keys(cluster.nodes[2])
                for node in full:
                    fill_up(node)
                refused_for_space(cluster, turn)
                for node in cluster.nodes:
                    expect_equal(node.api().get('pour/1').status, 200, 'a linearizable read')
                # Nothing can be written, so what was due before the clock stopped stays, and no
                # read waits for its end.
                wait_for('an overdue key', lambda: all(map(overdue_keys, cluster.nodes)))
                make_space(full[0])
                # Without a request for a transfer.
                load.wait_acknowledged(SOME)
                make_space(full[1])
                wait_for('it to use the space', lambda n=full[1]: not is_full(n))
                cluster.wait_ready()
                load.wait_acknowledged(SOME)
            verified(load)
            load.expect_no_errors_where_up()


def short_keys(node):
    """Keys of which one is due every 50 ms, for 20 s and longer."""
    puts = [{'put': {'key': f'short/{i}', 'value': 'v', 'ttl': f'{500 + 50 * i}ms'}}
            for i in range(round(400 * SLOW))]
    reply = node.api().request('POST', '/txn', json.dumps({'then': puts}).encode())
    expect_equal(reply.status, 200, 'the status of the transaction')


def overdue_keys(node):
    reply = node.api().request('GET', '/kv?prefix=short/&timeout=2s')
    expect_equal(reply.status, 200, 'a read of a range')
    return [pair['key'] for pair in reply.json()['kvs'] if pair['ttl_ms'] == 1]


def refused_for_space(cluster, seed):
    """Writes until the log has no room; every node then replies 507 with the reason."""
    pours = [Pour(node, 10 * seed + node.id) for node in cluster.nodes]
    deadline = time.monotonic() + 15 * SLOW
    while True:
        replies = [pour(1) for pour in pours]
        if all(reply is not None and reply.status == 507 for reply in replies):
            break
        # 504: the write is in a log, and it is unknown whether a majority has it yet.
        expect(all(r is None or r.status in (507, 504) for r in replies), lambda: f'{replies}')
        expect(time.monotonic() < deadline, lambda: f'no 507 from every node: {replies}')
    expect_equal([reply.code for reply in replies], ['disk_full'] * 3, f'{replies}')


@case('a leader whose disk stalls transfers leadership, and clients wait no longer than that')
def _(binary):
    with Cluster(binary, 3) as cluster, Workload(cluster, 5004) as load:
        load.wait_acknowledged(SOME)
        for _ in range(ROUNDS):
            old = cluster.wait_leader()
            with Injected(old, 'fdatasync:delay_enter=3s'):
                begin = time.monotonic_ns()
                wait_for('another one to lead',
                         lambda old=old: cluster.find_leader() not in (None, old), 5)
                took = (time.monotonic_ns() - begin) / 1e9
                expect(took < 1.5 * SLOW, f'{took:.2f} s until another one led')
                load.wait_acknowledged(SOME)
            cluster.wait_ready()
            load.wait_acknowledged(SOME)
        verified(load)
        load.expect_no_errors_where_up()
