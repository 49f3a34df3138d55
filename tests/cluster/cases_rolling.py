"""A rolling restart of five nodes under load: no write fails, and each waits only briefly."""

import threading
import time

from checker import Op
from harness import LONG, SLOW, Cluster
from runner import case, expect, expect_equal
from workload import Workload, perform

ROUNDS = 4 if LONG else 1
SOME = 1000 if LONG else 300


class Roaming(threading.Thread):
    """A client that moves to another node when its node says that it stops, like `vesper put` and
    any client with a list. It never resends a write with an unknown outcome."""

    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load, self.number = load, number
        self.ops, self.failed, self.moves = [], [], 0

    def run(self):
        nodes, at, count = self.load.cluster.nodes, self.number, 0
        api = nodes[at % len(nodes)].api()
        while not self.load.stopping.is_set():
            count += 1
            for _ in range(len(nodes)):
                node = nodes[at % len(nodes)]
                op = Op('put', f'once/roaming-{self.number}-{count}', f'{self.number}-{count}-{at}',
                        invoked=0, client=f'roaming {self.number}', node=node.id)
                self.ops.append(perform(api, op, self.load.timeout))
                if op.outcome == 'ok':
                    break
                if op.outcome == 'unknown':
                    self.failed.append(op)
                    count += 1
                api.close()
                at, self.moves = at + 1, self.moves + 1
                api = nodes[at % len(nodes)].api()
            else:
                self.failed.append(op)
        api.close()


def rolling_restart(binary, count, seed, rounds=ROUNDS):
    """Restarts the nodes one by one; returns (workload, roaming clients), checked except delays."""
    with Cluster(binary, count) as cluster, Workload(cluster, seed, clients=2 * count) as load:
        roaming = [Roaming(load, i) for i in range(count)]
        for client in roaming:
            client.start()
        load.wait_acknowledged(SOME)
        load.calm_until = time.monotonic_ns()
        for _ in range(rounds):
            for node in cluster.nodes:
                expect_equal(node.terminate(), 0, f'exit code of {node}')
                load.wait_acknowledged(SOME)
                cluster.restart(node)
                load.wait_acknowledged(SOME)
        load.__exit__(None, None, None)
        for client in roaming:
            client.join()
            load.extra += client.ops
        load.verify()
        load.expect_no_errors_where_up()
        failed = [op for client in roaming for op in client.failed]
        expect(not failed, lambda: f'{len(failed)} writes failed: {failed[:5]}')
        expect(sum(client.moves for client in roaming) > 0, 'no client had to move to another node')
        return load, roaming


def delays(load, until=None):
    """Milliseconds that writes took on nodes that stayed up meanwhile, longest first."""
    nodes = {node.id: node for node in load.cluster.nodes}
    return sorted(((op.completed - op.invoked) / 1e6 for op in load.ops()
                   if op.kind != 'get' and op.outcome == 'ok' and
                   (until is None or op.completed < until) and
                   not nodes[op.node].was_down(op.invoked, op.completed)), reverse=True)


@case('in a rolling restart of five nodes no write fails and none waits for an election')
def _(binary):
    load, _ = rolling_restart(binary, 5, 2001)
    took, calm = delays(load), delays(load, load.calm_until)
    # 150 ms is the shortest election timeout; a busy machine is also slow without a restart.
    expect(took[0] < 150 * SLOW + calm[0],
           f'the slowest writes, of {len(took)}: {took[:5]} ms; before: {calm[:5]} ms')
