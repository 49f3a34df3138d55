"""Measures what README claims about failover, on this machine: figures.py BINARY

Kills and freezes the leader of a three-node cluster under load, again and again; prints how long it
took until a write that was sent after the fault was acknowledged, and judges the whole history."""

import argparse
import os
import signal
import statistics
import sys
import time

from harness import Cluster, wait_for
from runner import Failed
from workload import Workload

FAULTS = {'kill': signal.SIGKILL, 'freeze': signal.SIGSTOP}


def fault(cluster, load, kind, between):
    """One kill or freeze of the leader; milliseconds to the first acknowledgement of a write that
    was sent after it."""
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


def measure(binary, kind, count, seed, between):
    with Cluster(binary, 3) as cluster, Workload(cluster, seed, clients=9) as load:
        load.wait_acknowledged(100)
        took = []
        for n in range(count):
            took.append(fault(cluster, load, kind, between))
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
    parser.add_argument('--between', type=int, default=300,
                        help='acknowledged writes before the next fault')
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args()
    print(f'{"leader":<8} {"times":>5} {"median":>8} {"of 20":>8} {"90 %":>8} {"most":>8}')
    for kind, count in (('kill', options.kills), ('freeze', options.freezes)):
        if count == 0:
            continue
        try:
            took, writes, ops = measure(os.path.abspath(options.binary), kind, count,
                                        options.seed, options.between)
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
