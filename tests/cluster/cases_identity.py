"""Which servers may take part: locks, ports, foreign and wiped disks, new clusters, and the places
of the files. A refusal names its reason, and nothing else is affected."""

import os
import re
import shutil
import subprocess
import time

from cases_members import verbose
from harness import SLOW, TLS, Cluster, free_ports, running, wait_for
from runner import case, expect, expect_equal


def run_server(args, timeout=10):
    """Starts a server that should end by itself; returns its exit code and its output."""
    try:
        done = subprocess.run(args, capture_output=True, timeout=timeout * SLOW, check=False,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f'still running: {args}\n{(error.stderr or b"").decode()}') from None
    expect_equal(done.stdout, b'', 'stdout of a server')
    return done.returncode, done.stderr.decode(errors='replace')


def refused(args, code, pattern):
    found, said = run_server(args)
    expect_equal(found, code, f'exit code of {args}; it said:\n{said}')
    expect(re.search(pattern, said, re.I), f'{pattern!r} expected in:\n{said}')


@case('a second server on the same data directory is refused with exit code 11')
def _(binary):
    with Cluster(binary, 1) as cluster:
        node = cluster.nodes[0]
        node.api().put('name', 'a')
        port = free_ports(1)[0]
        refused(cluster.server_args(node) + ['--listen', f'127.0.0.1:{port}'], 11,
                r'lock|in use|another')
        expect_equal(node.api().put('name', 'b').status, 200, 'a write through the first server')


@case('a second server cannot write the same log, even after files were removed or moved')
def _(binary):
    with Cluster(binary, 1) as cluster:
        node = cluster.nodes[0]
        api = node.api()
        expect_equal(api.put('name', 'a').status, 200, 'a write')

        def second(folder):
            port = free_ports(1)[0]
            refused([binary, 'server', '0', cluster.list, '--data-dir', folder,
                     *node.tls_flags, '--listen', f'127.0.0.1:{port}'], 11,
                    r'locked: another vesper server')

        for name in os.listdir(node.dir):  # the lock file of an earlier build
            if name == 'LOCK':
                os.remove(os.path.join(node.dir, name))
        second(node.dir)
        # The same directory under another name, and its files in another directory.
        moved = node.dir + '-moved'
        os.rename(node.dir, moved)
        second(moved)
        os.mkdir(node.dir)
        linked = node.dir + '-linked'
        os.mkdir(linked)
        for name in os.listdir(moved):
            os.link(os.path.join(moved, name), os.path.join(linked, name))
        second(linked)
        # Another process holds a file LOCK. That means nothing, because this file is not the lock.
        os.rmdir(node.dir)
        os.rename(moved, node.dir)
        expect_equal(api.put('name', 'b').status, 200, 'a write through the first server')
        node.kill()
        for path in (node.dir, linked):
            open(os.path.join(path, 'LOCK'), 'wb').close()
        cluster.restart(node)
        expect_equal(node.api().get('name').json()['value'], 'b', 'the value')
        expect('LOCK' not in node.log_text(), 'an old LOCK file is mentioned')


@case('a second server on the same port is refused with exit code 10')
def _(binary):
    with Cluster(binary, 1) as cluster:
        node = cluster.nodes[0]
        other = os.path.join(cluster.dir, 'other')
        refused([binary, 'server', '0', cluster.list, '--data-dir', other, *node.tls_flags], 10,
                f'{node.port}')
        expect_equal(node.api().put('name', 'b').status, 200, 'a write through the first server')


@case('the data directory of another id is refused with exit code 11')
def _(binary):
    with Cluster(binary, 3) as cluster:
        first, second = cluster.nodes[:2]
        expect_equal(first.api().put('name', 'a').status, 200, 'a write')
        first.kill()
        second.kill()
        refused([binary, 'server', '1', cluster.list, '--data-dir', first.dir,
                 *first.tls_flags], 11,
                r'\b0\b.*\b1\b|\b1\b.*\b0\b')
        cluster.restart(first, second)
        expect_equal(first.api().get('name').json()['value'], 'a', 'the value')


def says(node, level, pattern):
    """True if a line of the node's log at this level matches."""
    return any(re.search(rf'\b{level}\b.*(?:{pattern})', line) for line in
               node.log_text().splitlines())


def expect_unready(node, *words):
    """/readyz is not ready, and gives the reason."""
    reply = node.api().request('GET', '/readyz?verbose')
    said = reply.body.decode()
    expect(reply.status == 503 and all(word in said for word in words), f'{reply.status} {said}')


def named_cluster(node):
    """The cluster that the node has seen but does not belong to, or None."""
    view = node.status()
    return view and view.get('cluster_seen')


@case('a server with the data of another cluster keeps running, reports it, and harms neither')
def _(binary):
    with Cluster(binary, 3) as cluster, Cluster(binary, 3) as foreign:
        expect_equal(cluster.nodes[0].api().put('name', 'ours').status, 200, 'a write')
        expect_equal(foreign.nodes[0].api().put('name', 'theirs').status, 200, 'a write')
        ours, theirs = cluster.nodes[0], foreign.nodes[0]
        term = cluster.wait_leader().status()['term']
        names = [c.nodes[1].status()['cluster'] for c in (cluster, foreign)]
        entries = foreign.wait_equal()['last_index']
        ours.kill()
        theirs.kill()
        own, moved = ours.dir, os.path.join(cluster.dir, 'moved')
        shutil.copytree(theirs.dir, moved)
        ours.dir = moved
        ours.start()
        wait_for('the stranger to name the cluster', lambda: named_cluster(ours) == names[0], 5)
        expect_equal(ours.status()['cluster'], names[1], 'the cluster of its data')
        wait_for('an error line', lambda: says(ours, 'E', f'{names[0]}.*{names[1]}'), 5)
        expect_unready(ours, names[0])
        expect(ours.status()['last_index'] >= entries, 'its log became shorter')
        expect_equal(cluster.nodes[1].api().put('other', 'x').status, 200, 'a write without it')
        ours.kill()
        ours.dir = own
        cluster.restart(ours)
        foreign.restart(theirs)
        expect_equal(ours.api().get('name').json()['value'], 'ours', 'the value')
        expect_equal(theirs.api().get('name').json()['value'], 'theirs', 'the value')
        expect_equal(cluster.wait_leader().status()['term'] >= term, True, 'the term did not fall')


def expect_no_second_cluster(empty, keeper, before):
    """Servers without data, while `keeper` has the cluster's data: they found nothing and say
    why."""
    name = before['cluster']
    for node in empty:
        wait_for(f'{node} to name the cluster', lambda n=node: named_cluster(n) == name)
        wait_for(f'{node} to log it as an error', lambda n=node: says(n, 'E', name))
        view = node.status()
        expect('cluster' not in view and view['leader'] is None, f'{view}')
        expect_unready(node, name, '--data-dir')
        expect_equal(node.api().put('new', 'x', '?timeout=300ms').status, 503, 'a write')
    expect(keeper.process.poll() is None, f'{keeper} has ended')
    view = keeper.status()
    expect(view['cluster'] == name and view['last_index'] >= before['last_index'], f'{view}')


@case('two of three servers that lost their disks found no second cluster, in any order of starts')
def _(binary):
    for empty_first in (False, True):
        with Cluster(binary, 3, ['--found-after', '1s']) as cluster:
            keeper, *empty = cluster.nodes
            expect_equal(keeper.api().put('name', 'kept').status, 200, 'a write')
            cluster.wait_equal()
            before = keeper.status()
            for node in cluster.nodes if empty_first else empty:
                node.kill()
            for node in empty:
                node.wipe()
                node.start()
            if empty_first:
                for node in empty:
                    wait_for('it to name the missing server',
                             lambda n=node: f'no word from server 0 ({keeper.url})' in n.log_text())
                keeper.start()
            expect_no_second_cluster(empty, keeper, before)
            wait_for('it to say what is lost', lambda: 'nodes 1, 2 came back without data, and '
                     'the other voters are no majority' in keeper.log_text())
            ready = keeper.api().request('GET', '/readyz?verbose').body.decode()
            expect('see `vesper recover`' in ready, lambda: ready)
            # Nor after a restart while `keeper` is there.
            for node in empty:
                node.kill()
                node.start()
            expect_no_second_cluster(empty, keeper, before)


def wait_lost(node, ids):
    """Until the node says in its log and in /readyz that these have lost their disks."""
    lost = f'nodes {ids} came back without data, and the other voters are no majority'
    wait_for(f'{node} to log what is lost', lambda: says(node, 'E', lost))
    wait_for(f'{node} to show it', lambda: lost in verbose(node))
    expect_unready(node, 'see `vesper recover`')


def wipe(node):
    node.kill()
    node.wipe()
    node.start()


@case('a leader says that its followers lost their disks, also if it was replacing the first')
def _(binary):
    with Cluster(binary, 3, ['--election-timeout', '500ms']) as cluster:
        survivor = cluster.wait_leader()
        expect_equal(survivor.api().put('name', 'kept').status, 200, 'a write')
        first, second = cluster.followers()
        wipe(first)
        wait_for(f'{first} to be heard', lambda: named_cluster(first))
        # Before the leader misses the first one: it begins a replacement that no one commits.
        wipe(second)
        wait_lost(survivor, '{}, {}'.format(*sorted((first.id, second.id))))


@case('a leader says that a follower lost its disk while the new disk of the other was filled')
def _(binary):
    with Cluster(binary, 3) as cluster:
        for n in range(8):
            reply = cluster.nodes[0].api(30 * SLOW).put(f'large{n}', b'v' * (7 << 20))
            expect_equal(reply.status, 200, 'a large write')
        cluster.wait_equal(30)
        survivor = cluster.wait_leader()  # one whose disk is slow hands over
        first, second = cluster.followers()
        wipe(first)

        def learns():
            rows = survivor.api().request('GET', '/cluster').json()['members']
            return rows[first.id].get('goal') == 'vote'
        wait_for(f'{first} to be a learner', learns)
        first.kill()
        wipe(second)
        first.start()
        wait_lost(survivor, '{}, {}'.format(*sorted((first.id, second.id))))


@case('two survivors of five say that three nodes lost their disks')
def _(binary):
    with Cluster(binary, 5) as cluster:
        survivor = cluster.wait_leader()
        expect_equal(survivor.api().put('name', 'kept').status, 200, 'a write')
        cluster.wait_equal()
        other, *lost = cluster.followers()
        for node in lost:
            wipe(node)
        ids = ', '.join(str(i) for i in sorted(node.id for node in lost))
        for node in (survivor, other):
            wait_lost(node, ids)


@case('a cluster of one whose list grows keeps its data, and new servers found no second cluster')
def _(binary):
    for restarted in (False, True):
        with Cluster(binary, 3, ['--found-after', '1s'], start=False) as cluster:
            first, *new = cluster.nodes
            whole = cluster.nodes
            cluster.nodes = [first]
            cluster.write_list()
            cluster.start()
            expect_equal(first.api().put('name', 'kept').status, 200, 'a write')
            before = first.status()
            cluster.nodes = whole
            cluster.write_list()
            if restarted:
                first.kill()
                first.start()
            for node in new:
                node.start()
            expect_no_second_cluster(new, first, before)
            cluster.wait_ready([first])
            expect_equal(first.api().put('name', 'kept').status, 200, 'a write by itself')


@case('a new cluster waits for a silent server, counts down, and then starts without it')
def _(binary):
    with Cluster(binary, 3, ['--found-after', '2s'], start=False) as cluster:
        late = cluster.nodes[2]
        begun = time.monotonic()
        for node in cluster.nodes[:2]:
            node.start()
        wait_for('the first line', lambda: f'no word from server 2 ({late.url})'
                 in cluster.nodes[0].log_text())
        expect_unready(cluster.nodes[0], 'no word from server 2')
        cluster.wait_ready(cluster.nodes[:2])
        expect(time.monotonic() - begun >= 2, 'the cluster was founded too early')
        for left in (2, 1):
            expect(any(f'without it in {left} s' in node.log_text() for node in cluster.nodes[:2]),
                   f'no line says {left} s')
        cluster.restart(late)
        expect_equal(late.api().put('name', 'a').status, 200, 'a write through the late server')


@case('a new cluster does not wait if all servers report that they have no data')
def _(binary):
    with Cluster(binary, 5, ['--found-after', '1h'], start=False) as cluster:
        begun = time.monotonic()
        for node in cluster.nodes:
            node.start()
        cluster.wait_ready()
        expect(time.monotonic() - begun < 2 * SLOW, 'the cluster took too long to start')


@case('without --data-dir the data is beside the list, whatever the current directory is')
def _(binary):
    with Cluster(binary, 1, start=False) as cluster:
        node = cluster.nodes[0]
        elsewhere = os.path.join(cluster.dir, 'elsewhere')
        os.mkdir(elsewhere)
        with open(node.log, 'ab') as log:
            node.process = subprocess.Popen(
                [os.path.abspath(binary), 'server', '0', cluster.list, *node.tls_flags],
                cwd=elsewhere, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        running[node.process.pid] = node.process
        cluster.wait_ready()
        expect_equal(node.api().put('name', 'a').status, 200, 'a write')
        expect(os.path.isdir(os.path.join(cluster.dir, 'vesper-data', '0')),
               f'{os.listdir(cluster.dir)}')
        expect_equal(os.listdir(elsewhere), [], 'the current directory')


@case('a bad list, a bad id and an unusable directory are refused with their exit codes')
def _(binary):
    with Cluster(binary, 1, start=False) as cluster:
        node = cluster.nodes[0]
        refused([binary, 'server', '1', cluster.list, '--data-dir', node.dir], 2, r'ip_list|\b1\b')
        bad = os.path.join(cluster.dir, 'bad.txt')
        with open(bad, 'w', encoding='ascii') as f:
            f.write(f'# nodes\n{node.url}\n{"http" if TLS else "https"}://127.0.0.1:1\n')
        refused([binary, 'server', '0', bad, '--data-dir', node.dir], 2, r'bad\.txt:3:')
        missing = os.path.join(cluster.dir, 'no-such-list')
        refused([binary, 'server', '0', missing, '--data-dir', node.dir], 2, 'no-such-list')
        blocked = os.path.join(cluster.dir, 'file')
        with open(blocked, 'w', encoding='ascii') as f:
            f.write('in the way')
        refused([binary, 'server', '0', cluster.list, '--data-dir', blocked, *node.tls_flags], 11,
                'file')


@case('a log with a flipped byte in the middle is refused with exit code 11')
def _(binary):
    with Cluster(binary, 1) as cluster:
        node = cluster.nodes[0]
        api = node.api()
        for n in range(50):
            expect_equal(api.put(f'k{n}', 'flip-me-' + 'v' * 100).status, 200, 'a write')
        node.kill()
        path, at = find_in_files(node.dir, b'flip-me-')
        with open(path, 'r+b') as f:
            f.seek(at)
            f.write(b'X')
        refused(cluster.server_args(node), 11, os.path.basename(path))


@case('a node with half a frame after its last write starts and has lost nothing')
def _(binary):
    with Cluster(binary, 1) as cluster:
        node = cluster.nodes[0]
        for turn in range(3):
            value = f'last-one-{turn}'
            expect_equal(node.api().put(f'k{turn}', value).status, 200, 'a write')
            node.kill()
            path, _ = find_in_files(node.dir, value.encode())
            tear(path)
            cluster.restart(node)
        for turn in range(3):
            expect_equal(node.api().get(f'k{turn}').json()['value'], f'last-one-{turn}', 'a value')


def tear(path):
    """Appends half a frame after the last one of a segment. Frames begin at multiples of 512; the
    bytes before the next multiple are padding and never read."""
    with open(path, 'r+b') as f:
        end = len(f.read().rstrip(b'\0'))
        f.seek((end + 511) // 512 * 512 + 16)
        f.write(b'\xa5' * 40)


def find_in_files(folder, needle):
    """The first file below `folder` that contains `needle`, and the offset."""
    for parent, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = os.path.join(parent, name)
            with open(path, 'rb') as f:
                at = f.read().find(needle)
            if at >= 0:
                return path, at
    raise AssertionError(f'{needle!r} is in no file below {folder}')
