"""Followers that were away while the log was cut. They catch up by snapshot under load, whichever
node is killed meanwhile, and however often."""

import random
import re

from cases_disks import kill_everywhere
from harness import LONG, SLOW, Cluster, wait_for
from runner import case, expect, expect_equal
from workload import Scene

ROUNDS = 10 if LONG else 3
SOME = 500 if LONG else 100
MIB = 1 << 20
# Snapshots every few megabytes and almost no log after them, so that a returning node needs one.
FLAGS = ['--snapshot-bytes', str(2 * MIB), '--log-tail-bytes', '65536', '--log-tail-entries', '100']


class Filled(Scene):
    """with Filled(binary, seed) as scene: ...   A cluster with some MiB of data, and clients."""

    def __init__(self, binary, seed, mib=16):
        super().__init__(Cluster(binary, 3, flags=FLAGS), seed, SOME)
        self.rng, self.mib = random.Random(seed), mib

    def prepare(self):
        self.fill(self.mib)

    def fill(self, mib, keys=10**6):
        """Writes incompressible bytes, under new keys or over a few old ones."""
        api = self.cluster.wait_leader().api(20)
        for n in range(4 * mib):
            put = api.put(f'fill/{n % keys}', self.rng.randbytes(MIB // 4), timeout=20 * SLOW)
            expect_equal(put.status, 200, f'{put}')
        api.close()

    def cut_log(self, away):
        """Writes until the log has no entry left that `away` needs: then only a snapshot helps."""
        leader = self.cluster.wait_leader(nodes=[n for n in self.cluster.nodes if n is not away])
        last = self.last_index[away]
        while leader.status()['log']['first_index'] <= last + 1:
            self.fill(4, keys=16)
        self.load.wait_acknowledged(SOME)

    def take_down(self, node):
        # The leader keeps entries for a while for a follower that dies soon after a transfer. Let
        # the leader notice at its next snapshot that this follower is done.
        self.fill(6, keys=16)
        self.last_index = {node: node.status()['last_index']}
        node.kill()
        self.cut_log(node)

    def same_snapshot(self, nodes):
        """Waits until these nodes have the same newest snapshot. They may differ, because a node
        skips a snapshot that comes due while it is still writing the one before."""
        while True:
            wait_for('snapshots in progress to end',
                     lambda: not any(node.status()['taking_snapshot'] for node in nodes))
            if len({node.status().get('snapshot', {}).get('index') for node in nodes}) == 1:
                return
            self.fill(1, keys=16)


def metric(node, name):
    text = node.api().request('GET', '/metrics').body.decode()
    return float(re.search(rf'^vesper_{name} (\S+)$', text, re.MULTILINE).group(1))


def receiving(node):
    """The number of chunks that the node has of a snapshot that it is receiving, or None."""
    view = node.status()
    found = view and view.get('receiving_snapshot')
    return found['chunks'] if found else None


def installs(node):
    return node.log_text().count('replace state and log')


@case('a follower that was down while the log was cut catches up by snapshot under load')
def _(binary):
    with Filled(binary, 4001) as scene:
        term = scene.cluster.wait_leader().status()['term']
        for turn in range(ROUNDS):
            away = scene.cluster.followers()[turn % 2]
            before = installs(away)
            scene.take_down(away)
            scene.cluster.restart(away)
            expect_equal(installs(away), before + 1, 'snapshots installed')
            scene.load.wait_acknowledged(SOME)
        leader = scene.cluster.wait_leader()
        expect(leader.status()['term'] <= term + 1, 'leaders changed while snapshots were sent')


@case('a receiver that is killed repeatedly during a snapshot transfer gets it in the end')
def _(binary):
    with Filled(binary, 4002) as scene:
        away = scene.cluster.followers()[0]
        before, half = installs(away), 0
        scene.take_down(away)
        for turn in range(ROUNDS + 2):
            away.start()
            least = 1 + 9 * turn
            wait_for('chunks to come, or the whole snapshot',
                     lambda least=least: installs(away) > before or (receiving(away) or 0) >= least)
            half += installs(away) == before
            away.kill()
        expect(half > 0, 'it was never killed in the middle of a transfer')
        scene.cluster.restart(away)
        expect(installs(away) > before, 'no snapshot was installed')


@case('the leader is killed while it sends a snapshot: the next one goes on where the follower is',
      slow=True)
def _(binary):
    with Filled(binary, 4003) as scene:
        resumed = 0
        for _ in range(ROUNDS):
            away = scene.cluster.followers()[0]
            before = installs(away)
            scene.take_down(away)
            scene.same_snapshot(scene.cluster.serving())
            leader = scene.cluster.wait_leader()
            next_one = next(node for node in scene.cluster.serving() if node is not leader)
            away.start()
            wait_for('chunks to come',
                     lambda: installs(away) > before or (receiving(away) or 0) > 3)
            leader.kill()
            # The next leader and the receiver are the majority now: the receiver votes with its
            # log.
            scene.load.wait_acknowledged(SOME)
            wait_for('the snapshot to be installed', lambda: installs(away) > before, 20)
            resumed += metric(next_one, 'snapshot_transfers_resumed_total')
            scene.cluster.restart(leader)
        expect(resumed > 0, 'no transfer resumed where it had stopped')


@case('everything is killed while a snapshot comes: what was half received is no state',
      slow=True)
def _(binary):
    with Filled(binary, 4004) as scene:
        half = 0
        for _ in range(ROUNDS):
            away = scene.cluster.followers()[0]
            before = installs(away)
            scene.take_down(away)
            away.start()
            wait_for('chunks to come',
                     lambda: installs(away) > before or (receiving(away) or 0) > 3)
            for node in scene.cluster.nodes:
                node.kill()
            half += installs(away) == before
            scene.cluster.restart(*scene.cluster.nodes)
            scene.load.wait_acknowledged(SOME)
        expect(half > 0, 'it was never killed in the middle of a transfer')


@case('a node that is killed at any call while it takes snapshots keeps what it acknowledged')
def _(binary):
    kill_everywhere(binary, range(1, 120, 1 if LONG else 8), ['--snapshot-bytes', str(MIB)],
                    size=128 << 10, count=16)
