"""Measures the figures of README about failover, on this machine: figures.py BINARY

Again and again, the leader of a three-node cluster under load is killed, frozen, given a stalled
disk (strace delays its fdatasync) or asked to transfer leadership. Prints how long it took until a
write that was sent after that was acknowledged, and checks the whole history. For a stall it
measures until another node leads. For a transfer it measures until the reply to POST
/cluster/transfer, which arrives when the new leader has committed."""

import argparse
import os
import signal
import statistics
import sys
import time

from disks import Injected
from harness import Cluster, wait_for
from runner import Failed
from workload import Workload

FAULTS_A_CLUSTER = 20
FAULTS = {'kill': signal.SIGKILL, 'freeze': signal.SIGSTOP}
STALL = 'fdatasync:delay_enter=3s'


def fault(cluster, load, kind, between):
    """Kills or freezes the leader once; returns the milliseconds to the first acknowledgement of a
    write that was sent after it."""
    victim = cluster.wait_leader()
    load.wait_acknowledged(between, timeout=30)
    victim.begin_down()
    begin = time.monotonic_ns()
    victim.process.send_signal(FAULTS[kind])
    wait_for('an acknowledged write', lambda: load.acknowledged(begin), 20)
    if kind == 'kill':
        victim.reap(10)
    else:
        victim.paused = True
    load.wait_acknowledged(20)
    first = min(op.completed for op in load.acknowledged(begin) if op.node != victim.id)
    if kind == 'kill':
        victim.start()
    else:
        victim.resume()
    cluster.wait_ready()
    return (first - begin) / 1e6


def led_by_another(cluster, load, begin, old):
    """Milliseconds from `begin` until another node leads in its own view."""
    wait_for('another one to lead', lambda: cluster.find_leader() not in (None, old), 20)
    took = (time.monotonic_ns() - begin) / 1e6
    load.wait_acknowledged(20)
    return took


def stall(cluster, load, between):
    leader = cluster.wait_leader()
    load.wait_acknowledged(between, timeout=30)
    with Injected(leader, STALL):
        took = led_by_another(cluster, load, time.monotonic_ns(), leader)
    cluster.wait_ready(timeout=30)
    return took


def transfer(cluster, load, between):
    leader = cluster.wait_leader()
    load.wait_acknowledged(between, timeout=30)
    begin = time.monotonic_ns()
    reply = leader.api().request('POST', '/cluster/transfer')
    took = (time.monotonic_ns() - begin) / 1e6
    if reply.status != 200:
        raise Failed(f'transfer: {reply}')
    load.wait_acknowledged(20)
    return took


def once(cluster, load, kind, between):
    if kind == 'stall':
        return stall(cluster, load, between)
    if kind == 'transfer':
        return transfer(cluster, load, between)
    return fault(cluster, load, kind, between)


def measure(binary, kind, count, seed, between):
    with Cluster(binary, 3) as cluster, Workload(cluster, seed, clients=9) as load:
        load.wait_acknowledged(100)
        took = []
        for n in range(count):
            took.append(once(cluster, load, kind, between))
            print(f'\r{kind} {n + 1}/{count}: {took[-1]:.0f} ms   ', end='', file=sys.stderr)
        print(file=sys.stderr)
        load.__exit__(None, None, None)
        load.verify()
        load.expect_no_errors_where_up()
        return took, len(load.acknowledged()), len(load.ops())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binary')
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--freezes', type=int, default=5)
    parser.add_argument('--stalls', type=int, default=5)
    parser.add_argument('--transfers', type=int, default=20)
    parser.add_argument('--between', type=int, default=300,
                        help='acknowledged writes before the next fault')
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args()
    print(f'{"leader":<8} {"times":>5} {"median":>8} {"of 20":>8} {"90 %":>8} {"most":>8}')
    for kind, count in (('kill', options.kills), ('freeze', options.freezes),
                        ('stall', options.stalls), ('transfer', options.transfers)):
        if count == 0:
            continue
        took, writes, ops = [], 0, 0
        try:
            while len(took) < count:
                # A new cluster for every few faults: the cost of the check limits how many unknown
                # outcomes one history may have.
                some = min(FAULTS_A_CLUSTER, count - len(took))
                t, w, o = measure(os.path.abspath(options.binary), kind, some,
                                  options.seed + len(took), options.between)
                took, writes, ops = took + t, writes + w, ops + o
        except Failed as failed:
            print(f'{kind}: {failed}')
            print('\n'.join(getattr(failed, '__notes__', ())))
            return 1
        ordered = sorted(took)
        columns = [statistics.median(took), statistics.median(took[:20]),
                   ordered[int(0.9 * (count - 1))], ordered[-1]]
        print(f'{kind:<8} {count:>5} ' + ' '.join(f'{ms:>5.0f} ms' for ms in columns))
        print(f'         {ops} operations, linearizable; {writes} acknowledged writes, none lost')
    return 0


if __name__ == '__main__':
    sys.exit(main())
