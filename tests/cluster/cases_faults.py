"""Kills and pauses under load: no acknowledged write is lost and no read is out of order. A client
of a node that stays up sees a delay, not an error."""

import signal
import time

from checker import Op
from deadlines import check_round
from harness import LONG, SLOW, Cluster, wait_for
from runner import case, expect, expect_equal
from workload import Workload, perform

ROUNDS = 10 if LONG else 3
SOME = 1000 if LONG else 200  # acknowledged writes between two faults


def verified(cluster, load):
    """Stops the clients, reads everything, and checks the history."""
    load.__exit__(None, None, None)
    load.verify()


@case('clients see a delay but no error when the leader of three nodes is killed and restarted')
def _(binary):
    kill_leaders(binary, 3, seed=11)


@case('clients see a delay but no error when the leader of five nodes is killed and restarted')
def _(binary):
    kill_leaders(binary, 5, seed=12)


def kill_leaders(binary, count, seed):
    with Cluster(binary, count) as cluster, Workload(cluster, seed, clients=2 * count) as load:
        load.wait_acknowledged(SOME)
        for _ in range(ROUNDS):
            victim = cluster.wait_leader()
            victim.kill()
            load.wait_acknowledged(SOME)
            cluster.restart(victim)
            load.wait_acknowledged(SOME)
        verified(cluster, load)
        load.expect_no_errors_where_up()


@case('clients of other nodes notice nothing when a follower is killed and restarted')
def _(binary):
    with Cluster(binary, 3) as cluster, Workload(cluster, 21) as load:
        load.wait_acknowledged(SOME)
        same_term = 0
        for turn in range(ROUNDS):
            term = cluster.wait_leader().status()['term']
            victim = cluster.followers()[turn % 2]
            victim.kill()
            load.wait_acknowledged(SOME)
            cluster.restart(victim)
            load.wait_acknowledged(SOME)
            same_term += cluster.wait_leader().status()['term'] == term
        # §9.6 (pre-vote). A busy machine can also cost a leader its term, but not every time.
        expect(same_term > 0, 'each time that a follower came back, the term changed')
        verified(cluster, load)
        load.expect_no_errors_where_up()


@case('nothing acknowledged is lost when all nodes are killed at once and restarted')
def _(binary):
    with Cluster(binary, 3) as cluster, Workload(cluster, 31) as load:
        load.wait_acknowledged(SOME)
        for _ in range(ROUNDS):
            for node in cluster.nodes:
                node.begin_down()
                node.process.send_signal(signal.SIGKILL)
            for node in cluster.nodes:
                expect_equal(node.reap(10), -9, 'exit code')
            cluster.restart(*cluster.nodes)
            cluster.wait_leader()
            load.wait_acknowledged(SOME)
        verified(cluster, load)


@case('three of five nodes keep serving when any two are killed')
def _(binary):
    with Cluster(binary, 5) as cluster, Workload(cluster, 41, clients=10) as load:
        load.wait_acknowledged(SOME)
        for _ in range(ROUNDS):
            leader = cluster.wait_leader()
            victims = [leader, next(n for n in cluster.nodes if n is not leader)]
            for victim in victims:
                victim.kill()
            load.wait_acknowledged(SOME)
            cluster.restart(*victims)
        verified(cluster, load)
        load.expect_no_errors_where_up()


@case('the cluster serves without a paused follower, and it catches up')
def _(binary):
    with Cluster(binary, 3) as cluster, Workload(cluster, 51) as load:
        load.wait_acknowledged(SOME)
        for turn in range(ROUNDS):
            victim = cluster.followers()[turn % 2]
            victim.pause()
            load.wait_acknowledged(SOME)
            victim.resume()
            cluster.wait_ready()
            load.wait_acknowledged(SOME)
        verified(cluster, load)
        load.expect_no_errors_where_up()


@case('a paused leader is replaced, and neither acknowledges writes nor reads stale when resumed')
def _(binary):
    with Cluster(binary, 3) as cluster, Workload(cluster, 61) as load:
        load.wait_acknowledged(SOME)
        for _ in range(ROUNDS):
            old = cluster.wait_leader()
            old.pause()
            load.wait_acknowledged(SOME)
            expect(cluster.wait_leader() is not old, 'no other leader')
            old.resume()
            cluster.wait_ready()
            load.wait_acknowledged(SOME)
        verified(cluster, load)
        load.expect_no_errors_where_up()


@case('nothing is acknowledged while all nodes but the leader are paused')
def _(binary):
    majority_paused(binary, 71, lambda leader, node: node is not leader)


@case('nothing is acknowledged while all nodes but one follower are paused')
def _(binary):
    def all_but_one_follower(leader, node):
        others = [n for n in leader.cluster.nodes if n is not leader]
        return node is not others[0]
    majority_paused(binary, 72, all_but_one_follower)


def majority_paused(binary, seed, chosen):
    with Cluster(binary, 3) as cluster, Workload(cluster, seed, timeout=0.6) as load:
        load.wait_acknowledged(SOME)
        for _ in range(ROUNDS):
            leader = cluster.wait_leader()
            victims = [node for node in cluster.nodes if chosen(leader, node)]
            for victim in victims:
                victim.pause()
            since = time.monotonic_ns()
            left = next(node for node in cluster.nodes if node.up)
            left.begin_down()
            refused_in_time(left, load)
            until = time.monotonic_ns()
            for victim in victims:
                victim.resume()
            cluster.wait_ready()
            load.wait_acknowledged(SOME)
            wrong = [op for op in load.ops() if op.outcome in ('ok', 'refused') and
                     op.invoked >= since and op.completed <= until]
            expect(not wrong, lambda w=wrong: f'answered without a majority: {w[:3]}')
        verified(cluster, load)
        load.expect_no_errors_where_up()


def refused_in_time(node, load):
    """Without a majority a write gets 503 or 504 and a read gets 503, within their timeout."""
    api = node.api()
    for kind in ('put', 'get', 'put'):
        timeout = 0.4
        op = Op(kind, 'shared/0', f'alone-{time.monotonic_ns()}' if kind == 'put' else None,
                invoked=0, client='alone', node=node.id)
        perform(api, op, timeout + 2 * SLOW, f'?timeout={int(timeout * 1000)}ms')
        load.extra.append(op)
        expect(op.outcome in ('failed', 'unknown'), f'answered without a majority: {op}')
        expected = ('503',) if kind == 'get' else ('503', '504')
        expect(op.note.split()[0] in expected, f'expected {expected}: {op}')
        took = (op.completed - op.invoked) / 1e9
        expect(took < timeout + 0.5 * SLOW, f'{took:.2f} s for a timeout of {timeout} s: {op}')
    api.close()


@case('SIGTERM under load ends every node within a second with exit code 0')
def _(binary):
    for turn in range(3):
        with Cluster(binary, 3) as cluster, Workload(cluster, 81 + turn) as load:
            load.wait_acknowledged(SOME)
            leader = cluster.wait_leader()
            order = [leader] + cluster.followers()
            order = order[turn:] + order[:turn]
            for node in order:
                begin = time.monotonic()
                expect_equal(node.terminate(), 0, f'exit code of {node} after SIGTERM')
                took = time.monotonic() - begin
                expect(took < 1 * SLOW, f'{took:.2f} s from SIGTERM to the end')
            cluster.restart(*cluster.nodes)
            load.wait_acknowledged(SOME)
            verified(cluster, load)


@case('clients of the other nodes see only delays during a rolling restart by SIGTERM')
def _(binary):
    with Cluster(binary, 3) as cluster, Workload(cluster, 91) as load:
        load.wait_acknowledged(SOME)
        for node in cluster.nodes:
            expect_equal(node.terminate(), 0, f'exit code of {node}')
            load.wait_acknowledged(SOME)
            cluster.restart(node)
        verified(cluster, load)
        load.expect_no_errors_where_up()


@case('a cluster of one node serves, and a kill loses nothing that it acknowledged')
def _(binary):
    with Cluster(binary, 1) as cluster, Workload(cluster, 101, clients=4) as load:
        load.wait_acknowledged(SOME)
        for _ in range(ROUNDS):
            cluster.nodes[0].kill()
            cluster.restart(cluster.nodes[0])
            load.wait_acknowledged(SOME)
        verified(cluster, load)


@case('nodes that start one after the other serve as soon as a majority is up')
def _(binary):
    with Cluster(binary, 3, start=False) as cluster:
        first, second, third = cluster.nodes
        first.start()
        wait_for('the first node to answer', first.status)
        expect_equal(first.is_ready(), False, 'ready without a majority')
        second.start()
        cluster.wait_ready()
        reply = second.api().put('name', 'Kyle Chard')
        expect_equal(reply.status, 200, f'{reply}')
        third.start()
        cluster.wait_ready()
        expect_equal(third.api().get('name').json()['value'], 'Kyle Chard', 'the value')
        cluster.wait_equal()


def check_deadlines(binary, fault, mend):
    """Takes one leader after the other away with its method `fault`, and gives it back."""
    with Cluster(binary, 3) as cluster:
        for turn in range(ROUNDS):
            leader = cluster.wait_leader()
            check_round(cluster, leader, cluster.followers(), turn, getattr(leader, fault),
                        getattr(leader, mend))


@case('a time to live ends on time while leaders are frozen, and one that wakes up ends nothing')
def _(binary):
    check_deadlines(binary, 'pause', 'resume')


@case('a time to live ends on time while leaders are killed, and one that returns ends nothing')
def _(binary):
    check_deadlines(binary, 'kill', 'start')
