"""Measures what a viewer of /trace costs the writes: trace_figures.py BINARY

Three nodes with real disks, 64 connections. Each round measures without a viewer, with one, with
one, and without: so a machine that slows down or speeds up meanwhile favours neither. The result is
the ratio of the sums of all rounds, and beside it how far the rounds differ. The processor time of
the nodes for each put depends less on what else the machine does than the rate. Needs wrk and
curl.

--instructions counts what the leader executes instead, under valgrind, and hardly depends on the
machine: so many more instructions each second that somebody watches."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

from harness import Cluster, wait_for
from throughput import PUT, load


FULL_SPEED = 20_000  # puts a second, for which the instructions of a viewer are a share of all


def processor_seconds(nodes):
    ticks = 0
    for node in nodes:
        with open(f'/proc/{node.process.pid}/stat', encoding='ascii', errors='replace') as file:
            fields = file.read().rsplit(')', 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf('SC_CLK_TCK')


def lead_slowly(cluster):
    """Starts a cluster whose node 0 runs under valgrind, and makes that node lead."""
    node, other, _ = cluster.nodes
    node.prefix = ['valgrind', '--tool=callgrind',
                   '--callgrind-out-file=' + os.path.join(cluster.dir, 'instructions')]
    for one in cluster.nodes:
        one.start()
    cluster.wait_ready(timeout=120)
    while cluster.wait_leader(60) is not node:
        other.api(20).request('POST', '/cluster/transfer?to=0')
    return node


def instructions(node, script, seconds):
    """(puts a second, instructions of the node for each put)"""
    control = ['callgrind_control', str(node.process.pid)]
    subprocess.run([*control, '-z'], check=True, capture_output=True)
    puts, rate = load(node.url, 64, seconds, script)
    subprocess.run([*control, '-d'], check=True, capture_output=True)
    folder = node.cluster.dir
    newest = max((os.path.join(folder, name) for name in os.listdir(folder)
                  if name.startswith('instructions')), key=os.path.getmtime)
    with open(newest, encoding='utf-8', errors='replace') as file:
        total = sum(int(line.split()[1]) for line in file if line.startswith('totals:'))
    return rate, total / puts


def count_instructions(binary, rounds, seconds):
    counted = []
    with tempfile.NamedTemporaryFile('w', suffix='.lua') as script, \
            Cluster(binary, 3, ['--election-timeout', '3s', '--heartbeat', '300ms'],
                    start=False) as cluster:
        script.write(PUT)
        script.flush()
        node = lead_slowly(cluster)
        load(node.url, 64, 2, script.name)
        for _ in range(rounds):
            _, alone = instructions(node, script.name, seconds)
            with Viewer(node) as viewer:
                before = viewer.events()
                rate, watched = instructions(node, script.name, seconds)
                events = (viewer.events() - before) / seconds
            counted.append((alone, (watched - alone) * rate, events))
        node.kill()  # it would write its figures, which takes long
    alone, more, events = (statistics.median(column) for column in zip(*counted))
    print(f'instructions of the leader for each put     {alone:>9.0f} (median of {rounds})')
    print(f'more with a viewer, each second             {more:>9.0f}, for {events:.0f} events '
          f'({min(one[1] for one in counted):.0f} to {max(one[1] for one in counted):.0f})')
    print(f'the same of all at {FULL_SPEED} puts a second    '
          f'{100 * more / (alone * FULL_SPEED):>9.2f} %')


class Viewer:
    """Reads the trace of a node while it is open."""

    def __init__(self, node):
        self.node = node

    def __enter__(self):
        self.seen = tempfile.NamedTemporaryFile()
        self.process = subprocess.Popen(['curl', '-sN', self.node.url + '/trace'],
                                        stdout=self.seen)
        wait_for('the trace', lambda: os.path.getsize(self.seen.name) > 0)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.seen.close()

    def events(self):
        """How many have come so far."""
        with open(self.seen.name, 'rb') as file:
            return file.read().count(b'data: ')


class Measurement:
    def __init__(self, cluster, leader, script, seconds):
        self.cluster, self.leader, self.script, self.seconds = cluster, leader, script, seconds

    def alone(self):
        """(puts a second, processor seconds for each put)"""
        before = processor_seconds(self.cluster.nodes)
        puts, rate = load(self.leader.url, 64, self.seconds, self.script)
        return rate, (processor_seconds(self.cluster.nodes) - before) / puts

    def watched(self, events):
        """The same with a viewer, whose events a second are added to `events`."""
        with Viewer(self.leader) as viewer:
            figures = self.alone()
            events.append(viewer.events() / self.seconds)
        return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binary')
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--seconds', type=int, default=4)
    parser.add_argument('--instructions', action='store_true')
    options = parser.parse_args()
    if options.instructions:
        count_instructions(os.path.abspath(options.binary), options.rounds, options.seconds)
        return 0
    rounds, events = [], []
    with tempfile.NamedTemporaryFile('w', suffix='.lua') as script, \
            Cluster(os.path.abspath(options.binary), 3) as cluster:
        script.write(PUT)
        script.flush()
        leader = cluster.wait_leader()
        load(leader.url, 64, 1, script.name)
        measure = Measurement(cluster, leader, script.name, options.seconds)
        for _ in range(options.rounds):
            first, *beside, last = (measure.alone(), measure.watched(events),
                                    measure.watched(events), measure.alone())
            rounds.append(([first, last], beside))
    everything = [figures for without, _ in rounds for figures in without]
    print(f'puts, 64 connections, without a viewer      '
          f'{statistics.mean(rate for rate, _ in everything):>9.0f} /s, and '
          f'{1e6 * statistics.mean(cost for _, cost in everything):.1f} us of the processor each')
    for what, place in (('puts with one viewer', 0), ('processor time for each put', 1)):
        def total(figures, place=place):
            return sum(one[place] for one in figures)
        shares = [100 * total(beside) / total(without) for without, beside in rounds]
        whole = 100 * total(one for _, beside in rounds for one in beside) / total(everything)
        low, _, high = statistics.quantiles(shares, n=4)
        print(f'{what:<43} {whole:>9.1f} % of without '
              f'(all rounds; half of them within {low:.1f} to {high:.1f})')
    print(f'events that the viewer gets                 {statistics.median(events):>9.0f} /s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
