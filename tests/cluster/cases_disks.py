"""Disks that fill up, stall or fail under load, and processes that die at every call. No
acknowledged write is lost, and the cluster keeps serving while a majority of its disks works."""

import os
import random
import re
import signal
import time

from disks import (DISK, MIB, Injected, Pour, RealDisk, SmallDisks, fill_up, free_bytes, has_spare,
                   is_full, make_space, verified)
from cases_identity import find_in_files, tear
from harness import LONG, SLOW, Cluster, wait_for
from http_api import Broken, NotSent
from runner import case, expect, expect_equal
from workload import Workload

ROUNDS = 4 if LONG else 1
SOME = 1000 if LONG else 200


@case('the cluster serves without a follower whose disk is full, and it catches up later')
def _(binary):
    with SmallDisks(binary, 3, DISK) as cluster, Workload(cluster, 5001) as load:
        load.wait_acknowledged(SOME)
        for turn in range(ROUNDS):
            leader, victim = cluster.wait_leader(), cluster.followers()[turn % 2]
            fill_up(victim)
            Pour(leader, turn).until('its disk was full', lambda v=victim: is_full(v))
            load.wait_acknowledged(SOME)
            make_space(victim)
            load.wait_acknowledged(SOME)
            wait_for('it to use the space', lambda v=victim: not is_full(v))
            cluster.wait_ready()
        verified(load)
        load.expect_no_errors_where_up()


@case('a follower whose disk stalls does not slow clients down')
def _(binary):
    with Cluster(binary, 3) as cluster, Workload(cluster, 5005) as load:
        load.wait_acknowledged(SOME)
        leader = cluster.wait_leader()
        term = leader.status()['term']
        for turn in range(ROUNDS):
            with Injected(cluster.followers()[turn % 2], 'fdatasync:delay_enter=3s'):
                load.wait_acknowledged(SOME)
                begin = time.monotonic_ns()
                load.wait_acknowledged(SOME)
                slow = max((op.completed - op.invoked) / 1e9 for op in load.acknowledged(begin))
                expect(slow < 1 * SLOW, f'a write took {slow:.2f} s')
            cluster.wait_ready()
        expect_equal(leader.status()['term'], term, 'the term')
        verified(load)
        load.expect_no_errors_where_up()


@case('a disk that fails ends the process with exit code 12, and the other nodes keep serving')
def _(binary):
    with Cluster(binary, 3) as cluster, Workload(cluster, 5006) as load:
        load.wait_acknowledged(SOME)
        for call in ('fdatasync', 'pwritev'):
            for victim in (cluster.wait_leader(), cluster.followers()[0]):
                victim.begin_down()
                before = len(victim.log_text())
                with Injected(victim, f'{call}:error=EIO'):
                    expect_equal(victim.reap(10), 12, f'exit code after a failed {call}')
                said = victim.log_text()[before:]
                expect(re.search(r'E n\d .*Input/output error', said), f'it said:\n{said}')
                load.wait_acknowledged(SOME)
                cluster.restart(victim)
        verified(load)
        load.expect_no_errors_where_up()


@case('a read-only disk ends a running process with exit code 12 and a start with 11')
def _(binary):
    with Cluster(binary, 3, start=False) as cluster, RealDisk(cluster.nodes[1], 64) as disk:
        victim = cluster.nodes[1]
        cluster.start()
        with Workload(cluster, 5007) as load:
            load.wait_acknowledged(SOME)
            victim.begin_down()
            before = len(victim.log_text())
            disk.become_read_only()
            expect_equal(victim.reap(10), 12, 'exit code')
            said = victim.log_text()[before:]
            expect_equal(len(re.findall(r' E n1 .*Read-only file system', said)), 1,
                         f'number of lines about it in:\n{said}\n')
            load.wait_acknowledged(SOME)
            victim.start()
            expect_equal(victim.reap(10), 11, 'exit code of the next start')
            said = victim.log_text().splitlines()[-1]
            expect('Read-only file system' in said, f'it said: {said}')
            load.wait_acknowledged(SOME)
            verified(load)
            load.expect_no_errors_where_up()


@case('a node leaves the last bytes of a shared disk free, and keeps no spare after it ends')
def _(binary):
    with SmallDisks(binary, 1, DISK) as cluster:
        node = cluster.nodes[0]
        wait_for('the next segment', lambda: has_spare(node))
        expect_equal(node.terminate(), 0, 'exit code')
        expect('spare' not in os.listdir(node.dir), os.listdir(node.dir))
        # Less than twice a segment is free, so the node does not make one in advance.
        fill_up(node, leave=30 * MIB)
        cluster.restart(node)
        refused = Pour(node, 5009)(4)
        expect(refused is None, f'refused: {refused}')
        expect(free_bytes(node) > 24 * MIB, f'{free_bytes(node)} bytes are free')
        # It uses small segments up to the last byte, and gives back those that do not fit.
        fill_up(node, leave=3 * MIB + MIB // 2)
        refused = Pour(node, 5010)(8)
        expect(refused is not None and refused.status in (504, 507), f'{refused}')
        expect(is_full(node), 'it does not report a full disk')
        expect('spare' not in os.listdir(node.dir), os.listdir(node.dir))
        expect(free_bytes(node) >= MIB // 4, f'{free_bytes(node)} bytes are free')
        make_space(node)
        wait_for('it to use the space', lambda: not is_full(node))
        cluster.wait_ready()


@case('a node with a torn tail on a full disk deletes unfinished files and starts')
def _(binary):
    with SmallDisks(binary, 1, DISK) as cluster:
        node = cluster.nodes[0]
        expect_equal(node.api().put('name', 'last-one').status, 200, 'a write')
        node.kill()
        path, _ = find_in_files(node.dir, b'last-one')
        tear(path)
        for name in set(os.listdir(node.dir)) & {'spare'}:
            os.remove(os.path.join(node.dir, name))
        with open(os.path.join(node.dir, 'received.tmp'), 'wb') as f:
            f.write(bytes(64 << 10))
        fill_up(node)
        cluster.restart(node)
        expect('received.tmp' not in os.listdir(node.dir), os.listdir(node.dir))
        expect_equal(node.api().get('name').json()['value'], 'last-one', 'the value')


@case('a limit on file sizes acts like a full disk: what fits is used, snapshots are abandoned')
def _(binary):
    with Cluster(binary, 3, flags=['--snapshot-bytes', str(4 * MIB)]) as cluster:
        victim = cluster.followers()[0]
        victim.kill()
        victim.prefix = ['prlimit', f'--fsize={2 * MIB}', '--']
        cluster.restart(victim)
        refused = Pour(cluster.wait_leader(), 5008)(12)
        expect(refused is None, f'refused: {refused}')
        cluster.wait_equal()
        wait_for('a snapshot that does not fit to be abandoned', lambda: failed_snapshots(victim))
        expect(max(os.path.getsize(os.path.join(victim.dir, name))
                   for name in os.listdir(victim.dir)) <= 2 * MIB, os.listdir(victim.dir))
        expect_equal(victim.terminate(), 0, 'exit code')
        victim.prefix = []
        cluster.restart(victim)
        cluster.wait_equal()


def failed_snapshots(node):
    text = node.api().request('GET', '/metrics').body.decode()
    return int(re.search(r'^vesper_snapshots_failed_total (\d+)$', text, re.M).group(1))


@case('an unreadable disk ends a start with exit code 11, and the error names file and offset')
def _(binary):
    with Cluster(binary, 1) as cluster:
        node = cluster.nodes[0]
        for n in range(20):
            expect_equal(node.api().put(f'k{n}', 'v').status, 200, 'a write')
        node.kill()
        log = sorted(name for name in os.listdir(node.dir) if name.startswith('wal-'))[0]
        path = os.path.join(node.dir, log)
        node.prefix = ['strace', '-f', '-qq', '-o', '/dev/null', '-P', path,
                       '-e', 'inject=pread64:error=EIO:when=1']
        node.start()
        expect_equal(node.reap(10), 11, 'exit code')
        said = node.log_text().splitlines()[-1]
        expect(log in said and 'offset' in said, f'it said: {said}')
        node.prefix = []
        cluster.restart(node)
        expect_equal(node.api().get('k19').json()['value'], 'v', 'a value')


WRITES = 'pwrite64,pwritev,fdatasync,fsync,ftruncate,renameat,renameat2,unlinkat,mkdir'


def killed_at(cluster, number, write):
    """Starts the node so that it dies at this call that changes its disk, and calls `write` while
    it lives. Returns whether the node died at that call."""
    node = cluster.nodes[0]
    # One thread in the pool, so that the calls have a fixed order.
    node.prefix = ['env', 'UV_THREADPOOL_SIZE=1', 'strace', '-f', '-qq', '-o', '/dev/null', '-e',
                   f'trace={WRITES}', '-e', f'inject={WRITES}:signal=KILL:when={number}']
    node.start()
    api, died = node.api(), False
    try:
        wait_for('the node to answer or to die',
                 lambda: node.process.poll() is not None or node.is_ready())
        write(api)
        # Not strace itself: if strace ends, it detaches and the node survives.
        os.kill(int(run_pid(node)), signal.SIGKILL)
    except (NotSent, Broken):
        died = True
    finally:
        api.close()
    node.reap(10)
    node.prefix = []
    return died


def run_pid(node):
    """The pid of the node itself, a child of strace."""
    with open(f'/proc/{node.process.pid}/task/{node.process.pid}/children', encoding='ascii') as f:
        return f.read().split()[0]


def kill_everywhere(binary, numbers, flags=(), size=100, count=20, fresh=False):
    """One node, killed at each of these calls; afterwards everything that it acknowledged is
    there."""
    with Cluster(binary, 1, flags=flags, start=False) as cluster:
        node, rng = cluster.nodes[0], random.Random(count)
        known, died = {}, 0  # key -> the values that it may hold

        def write(api):
            for n in range(count):
                key, value = f'k{n % 8}', rng.randbytes(size).hex()
                known.setdefault(key, {None}).add(value)
                if api.put(key, value).status == 200:
                    known[key] = {value}
        for number in numbers:
            if fresh and os.path.exists(node.dir):
                node.wipe()
                known.clear()
            died += killed_at(cluster, number, write)
            cluster.restart(node)
            api = node.api()
            for key, values in known.items():
                got = api.get(key)
                found = got.json()['value'] if got.status == 200 else None
                expect(found in values, f'killed at call {number}: {key} is {str(found)[:20]}, '
                       f'not one of {[str(value)[:20] for value in values]}')
                known[key] = {found}
            api.close()
            expect_equal(node.terminate(), 0, 'exit code')
        expect(died > len(numbers) // 2, f'only {died} of {len(numbers)} were killed')


@case('a node that is killed at any call of its first start keeps what it acknowledged')
def _(binary):
    kill_everywhere(binary, range(1, 25 if LONG else 13), count=40, fresh=True)


@case('a node that is killed at any call of restarts and small writes keeps what it acknowledged')
def _(binary):
    kill_everywhere(binary, range(1, 30, 1 if LONG else 3), count=40)


@case('a node that is killed at any call for a new log segment keeps what it acknowledged')
def _(binary):
    kill_everywhere(binary, range(1, 160, 1 if LONG else 16),
                    size=256 << 10, count=60)
