"""Who may take part: locks, ports, foreign and wiped disks, and the files where they are meant
to be. What is refused is refused by name, and nothing else suffers."""

import os
import re
import shutil
import subprocess

from harness import SLOW, Cluster, free_ports, running, wait_for
from runner import case, expect, expect_equal


def run_server(args, timeout=10):
    """Starts a server that should end by itself: its exit code and what it said."""
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
        expect_equal(node.api().put('name', 'b').status, 200, 'the first server goes on')


@case('neither removing files nor moving them lets a second server write the same log')
def _(binary):
    with Cluster(binary, 1) as cluster:
        node = cluster.nodes[0]
        api = node.api()
        expect_equal(api.put('name', 'a').status, 200, 'a write')

        def second(folder):
            port = free_ports(1)[0]
            refused([binary, 'server', '0', cluster.list, '--data-dir', folder,
                     '--listen', f'127.0.0.1:{port}'], 11, r'locked: another vesper server')

        for name in os.listdir(node.dir):  # a lock of an earlier build
            if name == 'LOCK':
                os.remove(os.path.join(node.dir, name))
        second(node.dir)
        # The directory under another name, and its files in another directory.
        moved = node.dir + '-moved'
        os.rename(node.dir, moved)
        second(moved)
        os.mkdir(node.dir)
        linked = node.dir + '-linked'
        os.mkdir(linked)
        for name in os.listdir(moved):
            os.link(os.path.join(moved, name), os.path.join(linked, name))
        second(linked)
        # A file LOCK that somebody holds says nothing: it is not what is locked.
        os.rmdir(node.dir)
        os.rename(moved, node.dir)
        expect_equal(api.put('name', 'b').status, 200, 'the first server goes on')
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
        refused([binary, 'server', '0', cluster.list, '--data-dir', other], 10,
                f'{node.port}')
        expect_equal(node.api().put('name', 'b').status, 200, 'the first server goes on')


@case('the data directory of another id is refused with exit code 11')
def _(binary):
    with Cluster(binary, 3) as cluster:
        first, second = cluster.nodes[:2]
        expect_equal(first.api().put('name', 'a').status, 200, 'a write')
        first.kill()
        second.kill()
        refused([binary, 'server', '1', cluster.list, '--data-dir', first.dir], 11,
                r'\b0\b.*\b1\b|\b1\b.*\b0\b')
        cluster.restart(first, second)
        expect_equal(first.api().get('name').json()['value'], 'a', 'the value')


@case('the data directory of another cluster is refused by name, and both clusters stay whole')
def _(binary):
    with Cluster(binary, 3) as cluster, Cluster(binary, 3) as foreign:
        expect_equal(cluster.nodes[0].api().put('name', 'ours').status, 200, 'a write')
        expect_equal(foreign.nodes[0].api().put('name', 'theirs').status, 200, 'a write')
        ours, theirs = cluster.nodes[0], foreign.nodes[0]
        term = cluster.wait_leader().status()['term']
        ours.kill()
        theirs.kill()
        moved = os.path.join(cluster.dir, 'moved')
        shutil.copytree(theirs.dir, moved)
        log = os.path.join(cluster.dir, 'stranger.log')
        args = [binary, 'server', '0', cluster.list, '--data-dir', moved]
        with open(log, 'wb') as out:
            stranger = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        running[stranger.pid] = stranger

        wait_for('the stranger to end', lambda: stranger.poll() is not None, 5)
        running.pop(stranger.pid)
        with open(log, encoding='utf-8', errors='replace') as f:
            said = f.read()
        expect_equal(stranger.returncode, 11, f'exit code; it said:\n{said}')
        expect(re.search(r'cluster', said, re.I), f'no word about the cluster in:\n{said}')
        cluster.restart(ours)
        foreign.restart(theirs)
        expect_equal(ours.api().get('name').json()['value'], 'ours', 'the value')
        expect_equal(theirs.api().get('name').json()['value'], 'theirs', 'the value')
        expect_equal(cluster.wait_leader().status()['term'] >= term, True, 'terms never fall')


@case('a wiped disk is refused by name, does not count as a vote, and the others go on')
def _(binary):
    with Cluster(binary, 3) as cluster:
        for n in range(20):
            expect_equal(cluster.nodes[n % 3].api().put(f'k{n}', 'v').status, 200, 'a write')
        cluster.wait_equal()
        wiped, follower = cluster.followers()
        leader = cluster.wait_leader()
        wiped.kill()
        wiped.wipe()
        before = {node: len(node.log_text()) for node in cluster.nodes}
        wiped.start()

        def named():
            return any(re.search(r'incarnation|wiped', node.log_text()[before[node]:], re.I)
                       for node in cluster.nodes)
        wait_for('somebody to name the wiped disk', named)
        expect_equal(leader.api().put('name', 'a').status, 200, 'the two others go on')
        # A majority only together with the wiped node: it must not count.
        follower.kill()
        for node in (leader, wiped):
            if node.process.poll() is None:
                reply = node.api().put('name', 'b', '?timeout=1s')
                expect(reply.status in (503, 504), f'acknowledged with a wiped disk: {reply}')
        follower.start()
        cluster.wait_ready([leader, follower])
        value = follower.api().get('name').json()['value']
        expect(value in ('a', 'b'), f'{value!r}')
        for n in range(20):
            expect_equal(follower.api().get(f'k{n}').json()['value'], 'v', f'k{n}')
        if wiped.process.poll() is not None:
            wiped.reap(1)


@case('without --data-dir the data lies beside the list, whatever the current directory')
def _(binary):
    with Cluster(binary, 1, start=False) as cluster:
        node = cluster.nodes[0]
        elsewhere = os.path.join(cluster.dir, 'elsewhere')
        os.mkdir(elsewhere)
        with open(node.log, 'ab') as log:
            node.process = subprocess.Popen(
                [os.path.abspath(binary), 'server', '0', cluster.list], cwd=elsewhere,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        running[node.process.pid] = node.process
        cluster.wait_ready()
        expect_equal(node.api().put('name', 'a').status, 200, 'a write')
        expect(os.path.isdir(os.path.join(cluster.dir, 'vesper-data', '0')),
               f'{os.listdir(cluster.dir)}')
        expect_equal(os.listdir(elsewhere), [], 'the current directory')


@case('a bad list, a bad id and a directory that cannot be are refused with their exit codes')
def _(binary):
    with Cluster(binary, 1, start=False) as cluster:
        node = cluster.nodes[0]
        refused([binary, 'server', '1', cluster.list, '--data-dir', node.dir], 2, r'ip_list|\b1\b')
        bad = os.path.join(cluster.dir, 'bad.txt')
        with open(bad, 'w', encoding='ascii') as f:
            f.write(f'# nodes\n{node.url}\nhttps://127.0.0.1:1\n')
        refused([binary, 'server', '0', bad, '--data-dir', node.dir], 2, r'bad\.txt:3:')
        missing = os.path.join(cluster.dir, 'no-such-list')
        refused([binary, 'server', '0', missing, '--data-dir', node.dir], 2, 'no-such-list')
        blocked = os.path.join(cluster.dir, 'file')
        with open(blocked, 'w', encoding='ascii') as f:
            f.write('in the way')
        refused([binary, 'server', '0', cluster.list, '--data-dir', blocked], 11, 'file')


@case('a flipped byte in the middle of a log is damage: refused with exit code 11')
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


@case('half a frame behind the last write is a torn tail: the node starts and nothing is lost')
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
    """Half a frame behind the last one of a segment. Frames begin at multiples of 512; what stands
    before the next one is padding, which nobody reads."""
    with open(path, 'r+b') as f:
        end = len(f.read().rstrip(b'\0'))
        f.seek((end + 511) // 512 * 512 + 16)
        f.write(b'\xa5' * 40)


def find_in_files(folder, needle):
    """The first file below `folder` that has `needle`, and where."""
    for parent, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = os.path.join(parent, name)
            with open(path, 'rb') as f:
                at = f.read().find(needle)
            if at >= 0:
                return path, at
    raise AssertionError(f'{needle!r} is in no file below {folder}')
