"""Older copies of a data directory, and states that have diverged: the server takes no part, sets
the directory aside, and starts again without data."""

import os
import re
import shutil

from cases_members import change, start_joiner
from harness import Cluster, Node, free_ports, wait_for
from runner import case, expect, expect_equal

# The record "diverged" with the content "at index 9" (docs/disk-format.md).
DIVERGED = bytes.fromhex('5645535052524543 01000000 0a000000 617420696e6465782039 351e42a996af1fe4'
                         .replace(' ', ''))


def says(node, level, pattern, since=0):
    """True if a line of the node's log at this level matches."""
    return any(re.search(rf' {level} .*(?:{pattern})', line)
               for line in node.log_text()[since:].splitlines())


def write(node, first, count):
    for n in range(first, first + count):
        expect_equal(node.api().put(f'k{n}', 'v').status, 200, f'write {n}')


def set_aside(node):
    """The folders in the node's directory that hold what was set aside."""
    return sorted(name for name in os.listdir(node.dir) if name.startswith('set-aside-'))


def make_older_copy(cluster, victim):
    """Stops the victim, copies its directory, starts it and stops it again after more writes.
    Returns the newest directory; the node's own is the older copy."""
    leader = cluster.wait_leader()
    write(leader, 0, 20)
    victim.kill()
    older, newest = victim.dir + '-older', victim.dir + '-newest'
    shutil.copytree(victim.dir, older)
    cluster.restart(victim)
    write(leader, 20, 20)
    cluster.wait_equal()
    victim.kill()
    os.rename(victim.dir, newest)
    os.rename(older, victim.dir)
    return newest


def expect_taken_in(cluster, leader, victim):
    """The victim is treated like one that has lost its disk: it is taken in again, and votes."""
    write(leader, 40, 10)
    cluster.wait_ready()
    expect_equal([m['voter'] for m in leader.status()['members']], [True] * 3, 'the voters')
    expect(victim.process.poll() is None, f'{victim} has ended')
    expect_equal(victim.api().get('k49').json()['value'], 'v', 'the value of a late write')


def expect_nothing_set_aside(cluster):
    cluster.wait_equal()
    for node in cluster.nodes:
        expect_equal(set_aside(node), [], f'folders of {node}')


@case('an older copy of a data directory is noticed at once, and is set aside')
def _(binary):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        victim, other = cluster.followers()
        newest = make_older_copy(cluster, victim)
        before = {node: len(node.log_text()) for node in cluster.nodes}
        victim.start()
        pid = victim.process.pid
        wait_for('the victim to set its directory aside',
                 lambda: says(victim, 'W', 'its files are now in set-aside-', before[victim]))
        expect_equal(victim.process.pid, pid, 'the process')
        expect(says(victim, 'E', r'older copy: this is start 2 of it, but server \d has seen '
                    'another start 2', before[victim]), 'no error line of the victim')
        wait_for('another server to report it', lambda: any(
            says(node, 'E', f'server {victim.id} has started with an older copy', before[node])
            for node in (leader, other)))
        ended = victim.log_text().index('its files are now in set-aside-')
        expect('taking no part until a leader is heard' in
               victim.log_text()[before[victim]:ended], 'the older copy took part')
        folder, = set_aside(victim)
        kept = os.listdir(os.path.join(victim.dir, folder))
        expect('wal-0000000000000001' in kept and 'set-aside.reason' in kept, kept)
        expect_taken_in(cluster, leader, victim)
        # The newest directory has lost its place to the one that was begun without data.
        victim.kill()
        kept = victim.dir + '-kept'
        os.rename(victim.dir, kept)
        os.rename(newest, victim.dir)
        victim.start()
        expect_equal(victim.reap(10), 13, 'the exit code of a disk that was replaced')
        shutil.rmtree(victim.dir)
        os.rename(kept, victim.dir)
        cluster.restart(victim)
        cluster.wait_equal()
        for n in range(50):
            expect_equal(victim.api().get(f'k{n}').json()['value'], 'v', f'k{n}')


@case('a log that lacks acknowledged entries is noticed though its starts were counted')
def _(binary):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        victim, other = cluster.followers()
        victim.kill()
        older = victim.dir + '-older'
        shutil.copytree(victim.dir, older)
        cluster.restart(victim)
        other.kill()
        write(leader, 0, 20)  # acknowledged by the leader and the victim
        cluster.restart(other)
        victim.kill()
        shutil.copy(os.path.join(victim.dir, 'boot-number'), older)
        shutil.rmtree(victim.dir)
        os.rename(older, victim.dir)
        before = {node: len(node.log_text()) for node in cluster.nodes}
        victim.start()
        wait_for('the victim to set its directory aside',
                 lambda: says(victim, 'W', 'its files are now in set-aside-', before[victim]))
        expect(says(victim, 'E', r'it lacks entries that this server acknowledged',
                    before[victim]), 'no error line of the victim')
        expect_taken_in(cluster, leader, victim)


@case('restarts and kills of servers with their own data set nothing aside')
def _(binary):
    with Cluster(binary, 3) as cluster:
        for turn in range(3):
            for node in cluster.nodes:
                if turn % 2:
                    node.kill()
                else:
                    node.terminate()
                cluster.restart(node)
            write(cluster.wait_leader(), turn * 10, 10)
        expect_nothing_set_aside(cluster)


@case('--discard-state sets aside only a state that has diverged')
def _(binary):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        victim = cluster.followers()[0]
        write(leader, 0, 10)
        victim.kill()
        victim.start(['--discard-state'])
        cluster.wait_ready()
        expect(says(victim, 'W', 'nothing says that the state has diverged'), 'no line')
        expect_equal(set_aside(victim), [], 'folders')
        victim.kill()
        with open(os.path.join(victim.dir, 'diverged'), 'wb') as record:
            record.write(DIVERGED)
        cluster.restart(victim)
        expect(says(victim, 'W', 'at index 9 -> start this server with --discard-state'), 'no line')
        expect_equal(set_aside(victim), [], 'folders')
        victim.kill()
        victim.start(['--discard-state'])
        wait_for('the directory to be set aside',
                 lambda: says(victim, 'W', 'at index 9 -> its files are now in set-aside-'))
        folder, = set_aside(victim)
        expect('diverged' in os.listdir(os.path.join(victim.dir, folder)), 'the record stayed')
        expect('diverged' not in os.listdir(victim.dir), 'the record stayed')
        victim.kill()
        # The flag may stay: without a new record it does nothing.
        victim.start(['--discard-state'])
        wait_for('the line', lambda: victim.log_text().count('nothing says that the state') == 2)
        expect_equal(set_aside(victim), [folder], 'folders')


@case('a server that has learned that its directory is an older copy knows it at every later start')
def _(binary):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        victim, other = cluster.followers()
        make_older_copy(cluster, victim)
        leader.kill()  # no leader is heard, so the copy keeps its files
        wait_for('the other one to miss the leader', lambda: other.status()['leader'] is None)
        victim.start()
        record = os.path.join(victim.dir, 'older-copy')
        wait_for('the copy to be recorded', lambda: os.path.exists(record))
        # Each start counts the number up, beyond what the others have seen.
        for _ in range(2):
            victim.kill()
            before = len(victim.log_text())
            victim.start()
            wait_for('the copy to take no part', lambda b=before: says(
                victim, 'E', 'older copy: this is start 2 .* taking no part until', b))
        expect(other.status()['leader'] is None, 'the older copy has voted')
        expect_equal(set_aside(victim), [], 'folders')
        cluster.restart(leader)
        wait_for('the victim to set its directory aside', lambda: set_aside(victim))
        expect_taken_in(cluster, cluster.wait_leader(), victim)


class Clone(Node):
    """A second process of a member, on a copy of its directory and another port."""

    def command(self, extra):
        return [self.cluster.binary, 'server', '0', self.cluster.list, '--data-dir', self.dir,
                '--listen', f'127.0.0.1:{self.port}', *self.tls_flags, *self.cluster.flags, *extra]


@case('a second process on a copy of a running directory is refused by name, and disturbs no one')
def _(binary):
    with Cluster(binary, 3) as cluster:
        write(cluster.wait_leader(), 0, 20)
        cluster.wait_equal()
        clone = Clone(cluster, 'clone', free_ports(1)[0])
        shutil.copytree(cluster.nodes[0].dir, clone.dir)
        term = cluster.wait_leader().status()['term']
        clone.start()
        try:
            for node in cluster.nodes[1:]:
                wait_for(f'{node} to refuse it', lambda n=node: says(
                    n, 'W', 'two processes run on copies of the data directory of server 0: '
                    f'start 1 at {re.escape(cluster.nodes[0].url)} is connected, and start 2'))
            wait_for('it to be told', lambda: says(clone, 'E', 'refused by the server at .*two '
                                                   'processes run on copies'))
            write(cluster.wait_leader(), 20, 20)
            expect(not clone.is_ready(), 'the clone is ready')
            expect_equal(cluster.wait_leader().status()['term'], term, 'the term')
        finally:
            clone.kill()
        expect_nothing_set_aside(cluster)


@case('an older copy from a cluster of one does not lead the cluster that has grown since')
def _(binary):
    with Cluster(binary, 1) as cluster:
        victim = cluster.nodes[0]
        write(victim, 0, 5)
        victim.kill()
        older = victim.dir + '-older'
        shutil.copytree(victim.dir, older)
        cluster.restart(victim)
        new = [start_joiner(cluster, f'new{n}') for n in range(2)]
        added = ','.join('{"address":"%s"}' % node.url for node in new)
        change(cluster, '{"add":[%s]}' % added)
        cluster.nodes += new
        cluster.wait_ready()
        write(victim, 5, 5)
        victim.kill()
        shutil.rmtree(victim.dir)
        os.rename(older, victim.dir)
        victim.start()
        wait_for('the victim to set its directory aside', lambda: set_aside(victim))
        cluster.wait_ready()
        for n in range(10):
            expect_equal(victim.api().get(f'k{n}').json()['value'], 'v', f'k{n}')
