"""Measures what a viewer of /trace costs the writes: trace_figures.py BINARY

Three nodes with real disks, 64 connections. Pairs of measurements in turn, with one viewer and
without any, since absolute figures say as much about the machine as about Vesper. The processor
time of the nodes for each put hardly depends on what else the machine does. Needs wrk and curl."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

from harness import Cluster, wait_for
from throughput import PUT, load


def processor_seconds(nodes):
    ticks = 0
    for node in nodes:
        with open(f'/proc/{node.process.pid}/stat', encoding='ascii', errors='replace') as file:
            fields = file.read().rsplit(')', 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf('SC_CLK_TCK')


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
        with tempfile.NamedTemporaryFile() as seen:
            viewer = subprocess.Popen(['curl', '-sN', self.leader.url + '/trace'], stdout=seen)
            try:
                wait_for('the trace', lambda: os.path.getsize(seen.name) > 0)
                figures = self.alone()
            finally:
                viewer.kill()
                viewer.wait()
            with open(seen.name, 'rb') as file:
                events.append(file.read().count(b'data: ') / self.seconds)
        return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binary')
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--seconds', type=int, default=2)
    options = parser.parse_args()
    pairs, events = [], []
    with tempfile.NamedTemporaryFile('w', suffix='.lua') as script, \
            Cluster(os.path.abspath(options.binary), 3) as cluster:
        script.write(PUT)
        script.flush()
        leader = cluster.wait_leader()
        load(leader.url, 64, 1, script.name)
        measure = Measurement(cluster, leader, script.name, options.seconds)
        for turn in range(options.rounds):
            # The one that comes first takes turns, too: a machine that slows down favours it.
            if turn % 2 == 0:
                without, beside = measure.alone(), measure.watched(events)
            else:
                beside, without = measure.watched(events), measure.alone()
            pairs.append((without, beside))
    print(f'puts, 64 connections, without a viewer      '
          f'{statistics.median(without[0] for without, _ in pairs):>9.0f} /s '
          f'(median of {options.rounds})')
    for what, place in (('puts with one viewer', 0), ('processor time for each put', 1)):
        shares = [100 * beside[place] / without[place] for without, beside in pairs]
        print(f'{what:<43} {statistics.median(shares):>9.1f} % of without '
              f'(median of the pairs; {min(shares):.1f} to {max(shares):.1f})')
    print(f'events that the viewer gets                 {statistics.median(events):>9.0f} /s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
