"""The command line against real clusters: what its commands do to the store, and how they survive
faults. What they print and send is tested in tests/app."""

import json
import os
import signal
import subprocess
import threading
import time

from harness import LONG, SLOW, Cluster, wait_for
from runner import case, expect, expect_equal

KEYS = 20_000 if LONG else 5_000

CONTENT = {
    b'plain': (b'value', False),
    b'empty': (b'', False),
    'ключ\n"'.encode(): ('значение\u2028'.encode(), False),
    b'\xff\x01key': (bytes(range(256)), False),
    b'k' * 4096: (b'v' * 100_000, False),
    b'text\x01\x7f': (b'\x00\x1f\\"', False),
}


class Command:
    """Runs commands against the nodes of a cluster."""

    def __init__(self, cluster, nodes=None):
        self.binary, self.folder = cluster.binary, cluster.dir
        self.endpoints = ','.join(node.url for node in nodes or cluster.nodes)

    def start(self, *arguments, **streams):
        environment = {**os.environ, 'VESPER_ENDPOINTS': self.endpoints}
        return subprocess.Popen([self.binary, *arguments], cwd=self.folder, env=environment,
                                **streams)

    def run(self, *arguments, stdin=b''):
        """(exit code, stdout, stderr)"""
        process = self.start(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        out, err = process.communicate(stdin, timeout=60 * SLOW)
        return process.returncode, out, err.decode()

    def out(self, *arguments, stdin=b'', code=0):
        """What a command prints that must end with `code`, silently unless it fails."""
        found, out, err = self.run(*arguments, stdin=stdin)
        expect_equal((found, err == ''), (code, code == 0), f'{arguments}: {err}')
        return out


def lines(count, value='v' * 100):
    return b''.join(b'{"key":"k/%06d","value":"%s"}\n' % (i, value.encode()) for i in range(count))


@case('the versions of a key are listed, restored and compacted away')
def _(binary):
    with Cluster(binary, 3) as cluster:
        vesper = Command(cluster)
        expect_equal(vesper.out('put', 'name', 'a'), b'2\n', 'put')
        expect_equal(vesper.out('append', 'name', 'b'), b'3\n', 'append')
        expect_equal(vesper.out('delete', 'name'), b'1\n', 'delete')
        expect_equal(vesper.out('history', 'name'), b'4\t-\t(deleted)\n3\t2\tab\n2\t1\ta\n',
                     'history')
        expect_equal(vesper.out('history', 'name', '--limit', '1'), b'4\t-\t(deleted)\n', 'limit')
        expect_equal(vesper.out('history', 'name', '--restore', '2'), b'5\n', 'restore')
        expect_equal(vesper.out('get', 'name'), b'a', 'restored')
        expect_equal(vesper.out('get', 'name', '--revision', '3'), b'ab', 'an old revision')
        expect_equal(vesper.out('history', 'name', '--restore', '1'), b'6\n', 'restore of nothing')
        vesper.out('get', 'name', code=3)
        expect_equal(vesper.out('compact', '4'), b'4\n', 'compact')
        vesper.out('get', 'name', '--revision', '3', code=1)
        vesper.out('compact', '4000', code=1)
        expect_equal(vesper.out('increment', 'n', '-5'), b'-5\n', 'increment')
        expect_equal(vesper.out('increment', 'n'), b'-4\n', 'increment')
        vesper.out('increment', 'n', str(-2**63), code=1)
        table = vesper.out('history', 'n', '-o', 'table').decode().split()
        expect_equal(table, ['REVISION', 'VERSION', 'VALUE', '8', '2', '-4', '7', '1', '-5'],
                     'table')


@case('a large value is appended to and restored, although no reply of its size is kept')
def _(binary):
    with Cluster(binary, 3) as cluster:
        vesper = Command(cluster)
        large = b'v' * 100_000
        expect_equal(vesper.out('put', 'large', '-', stdin=large), b'2\n', 'put')
        expect_equal(vesper.out('append', 'large', 'more'), b'3\n', 'append to a large value')
        expect_equal(vesper.out('history', 'large', '--restore', '2'), b'4\n', 'restore of one')
        expect_equal(vesper.out('get', 'large'), large, 'the large value')
        expect_equal(vesper.out('append', 'new', '-', stdin=large), b'5\n', 'append of one')
        expect_equal(vesper.out('get', 'new'), large, 'what was appended')


@case('a transaction prints its reply, and its exit code tells which branch ran')
def _(binary):
    with Cluster(binary, 3) as cluster:
        vesper = Command(cluster)
        txn = json.dumps({'if': [{'key': 'a', 'exists': False}],
                          'then': [{'put': {'key': 'a', 'value': '1'}}],
                          'else': [{'get': {'key': 'a'}}]}).encode()
        expect_equal(json.loads(vesper.out('txn', stdin=txn))['succeeded'], True, 'then')
        code, out, err = vesper.run('txn', '-', stdin=txn)
        expect_equal((code, json.loads(out)['succeeded'], err), (4, False, ''), 'else')
        code, _, err = vesper.run('txn', stdin=b'{"then":[{"put":{"key":1,"value":"x"}}]}')
        expect(code == 1 and 'then[0].put.key' in err, f'{code}: {err}')
        # More than what the cluster keeps with an idempotency key.
        big = json.dumps({'then': [{'put': {'key': 'big', 'value': 'x' * 200_000}},
                                   {'get': {'key': 'big'}}]}).encode()
        expect(len(vesper.out('txn', stdin=big)) > 200_000, 'the reply is too short')
        expect(b'then ran at revision 4' in vesper.out('txn', '-o', 'table', stdin=big), 'table')


@case('list follows pages, folds, counts and reads old revisions')
def _(binary):
    with Cluster(binary, 3) as cluster:
        vesper = Command(cluster)
        expect_equal(vesper.out('list'), b'', 'an empty store')
        expect_equal(vesper.out('import', '-', stdin=lines(2500)), b'2500\n', 'import')
        before = vesper.out('list', '--count', '-o', 'json')
        revision = str(json.loads(before)['revision'])
        vesper.out('put', 'a b', 'x')
        keys = [b'a b', *(b'k/%06d' % i for i in range(2500))]
        expect_equal(vesper.out('list').splitlines(), keys, 'keys')
        expect_equal(vesper.out('list', '-z').split(b'\0'), [*keys, b''], 'keys with NUL')
        expect_equal(vesper.out('list', '--limit', '2', '--reverse').splitlines(),
                     [b'k/002499', b'k/002498'], 'reverse')
        expect_equal(vesper.out('list', '--separator', '/'), b'a b\nk/\n', 'separator')
        expect_equal(vesper.out('list', 'k/', '--count'), b'2500\n', 'count')
        expect_equal(vesper.out('list', '--count', '--revision', revision), b'2500\n', 'then')
        expect_equal(vesper.out('list', '--start', 'k/000001', '--end', 'k/000003').splitlines(),
                     [b'k/000001', b'k/000002'], 'range')
        pages = vesper.out('list', '-o', 'json').splitlines()
        expect_equal(sum(len(json.loads(page)['kvs']) for page in pages), 2501, 'pages')
        expect_equal({json.loads(page)['revision'] for page in pages}, {int(revision) + 1},
                     'one revision')
        expect_equal(vesper.out('list', '--limit', '1500', '-o', 'json').count(b'"value"'), 1500,
                     'one page')
        table = vesper.out('list', '--limit', '1500', '-o', 'table').splitlines()
        expect_equal((len(table), table[-1].split()[0]), (1501, b'k/001498'), 'a cut page')
        table = vesper.out('list', 'k/00000', '-o', 'table').decode().splitlines()
        expect_equal((len(table), table[1].split()[0]), (11, 'k/000000'), 'table')


@case('a prefix is deleted in one write, or in slices that are announced')
def _(binary):
    with Cluster(binary, 3) as cluster:
        vesper = Command(cluster)
        vesper.out('put', 'other', 'x')
        vesper.out('import', '-', stdin=lines(500))
        revision = int(json.loads(vesper.out('list', '--count', '-o', 'json'))['revision'])
        reply = json.loads(vesper.out('delete', '--prefix', 'k/', '-o', 'json'))
        expect_equal(reply, {'deleted': 500, 'revision': revision + 1}, 'one write')
        count = 25_000
        vesper.out('import', '-', stdin=lines(count, ''))
        code, out, err = vesper.run('delete', '--prefix', 'k/')
        expect_equal((code, out), (0, b'%d\n' % count), err)
        expect('slices' in err, err)
        expect_equal(vesper.out('list'), b'other\n', 'what is left')
        expect_equal(vesper.out('delete', '--all'), b'1\n', 'all')
        cluster.wait_equal()


@case('an export is imported byte by byte into another cluster')
def _(binary):
    with Cluster(binary, 1) as source, Cluster(binary, 3) as target:
        api = source.nodes[0].api()
        for key, (value, _) in CONTENT.items():
            expect_equal(api.put(key, value).status, 200, 'put')
        marked = b'{"type":"put","payload":{"key":"marked","value":{"a":[1,2.50]}}}'
        expect_equal(api.request('PUT', '/request', marked).status, 200, 'a marked value')
        exported = Command(source).out('export')
        vesper = Command(target)
        count = len(CONTENT) + 1
        expect_equal(vesper.out('import', '-', stdin=exported), b'%d\n' % count, 'import')
        reader = target.followers()[0].api()
        for key, (value, _) in CONTENT.items():
            expect_equal(reader.get(key, '?raw').body, value, f'{key}')
        expect_equal(reader.get('marked').json()['json'], True, 'the mark')

        def without_versions(text):
            wanted = ('key', 'key_base64', 'value', 'value_base64', 'json')
            return [{k: v for k, v in json.loads(line).items() if k in wanted}
                    for line in text.splitlines()]
        expect_equal(without_versions(vesper.out('export')), without_versions(exported), 'export')
        expect_equal(len(vesper.out('export', 'k').splitlines()), 1, 'a prefix')


@case('an import stops at a bad line and goes on from there')
def _(binary):
    with Cluster(binary, 3) as cluster:
        vesper = Command(cluster)
        good = lines(300).splitlines(keepends=True)
        path = os.path.join(cluster.dir, 'lines')
        with open(path, 'wb') as file:
            # The key is too long for the store, which only the server knows.
            file.writelines([*good[:200], b'{"key":"%s","value":""}\n' % (b'x' * 5000),
                             *good[200:]])
        code, out, err = vesper.run('import', path)
        expect_equal((code, out), (1, b''), err)
        expect(f'{path}:201: ' in err and '--from-line 201' in err, err)
        expect_equal(vesper.out('list', '--count'), b'200\n', 'the lines before it')
        expect_equal(vesper.out('import', path, '--from-line', '202'), b'100\n', 'the rest')
        expect_equal(vesper.out('list', '--count'), b'300\n', 'all')


@case('an export survives the death of its node, at one revision')
def _(binary):
    with Cluster(binary, 3) as cluster:
        vesper = Command(cluster)
        vesper.out('import', '-', stdin=lines(KEYS, 'v' * 2000))
        first = cluster.nodes[0]
        export = vesper.start('export', stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out = os.read(export.stdout.fileno(), 100_000)
        # The pipe is full: most of the export is still to come.
        cluster.nodes[1].api().put('k/new', 'written after the export began')
        first.kill()
        rest, err = export.communicate(timeout=60 * SLOW)
        expect_equal((export.returncode, err), (0, b''), 'exit code')
        found = [json.loads(line) for line in (out + rest).splitlines()]
        expect_equal([entry['key'] for entry in found], [f'k/{i:06}' for i in range(KEYS)], 'keys')
        cluster.restart(first)


@case('an import under kills of the leader is completed with --from-line')
def _(binary):
    with Cluster(binary, 3) as cluster:
        vesper = Command(cluster)
        path = os.path.join(cluster.dir, 'lines')
        with open(path, 'wb') as file:
            file.write(lines(KEYS * 10, 'v' * 200))
        stop, kills = threading.Event(), []

        def kill():
            while not stop.is_set():
                leader = cluster.wait_leader()
                leader.kill()
                kills.append(leader)
                cluster.restart(leader)

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            complete(vesper, path)
        finally:
            stop.set()
            thread.join()
        expect(kills, 'the import ended before the first kill')
        expect_equal(vesper.out('list', '--count'), b'%d\n' % (KEYS * 10), 'keys')
        cluster.wait_equal()


def complete(vesper, path):
    """Runs an import until it has ended well, each time from the line that it names."""
    deadline = time.monotonic() + 120 * SLOW
    line = '1'
    while True:
        code, _, err = vesper.run('import', path, '--from-line', line, '--timeout', '2s')
        if code == 0:
            return
        expect(code in (1, 5, 6), f'{code}: {err}')
        expect(time.monotonic() < deadline, f'the import does not end: {err}')
        if '--from-line ' in err:
            following = err.rsplit('--from-line ', 1)[1].split()[0]
            expect(int(following) >= int(line), f'{line}: {err}')
            line = following


@case('a watch goes on over kills of its node, without a gap or a duplicate')
def _(binary):
    with Cluster(binary, 3) as cluster:
        vesper = Command(cluster)
        watch = vesper.start('watch', '--prefix', 'k/', '--since', '1', '-o', 'json',
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        count, stop = 0, threading.Event()

        def kill():
            while not stop.is_set():
                for node in cluster.nodes:
                    node.kill()
                    cluster.restart(node)
                    cluster.wait_ready()

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            rounds = time.monotonic() + 5 * SLOW
            while time.monotonic() < rounds:
                vesper.out('put', f'k/{count:06}', str(count), '--timeout', '30s')
                count += 1
        finally:
            stop.set()
            thread.join()
        vesper.out('put', 'k/end', '', '--timeout', '30s')
        seen = []
        while not seen or seen[-1]['key'] != 'k/end':
            seen.append(json.loads(watch.stdout.readline()))
        watch.terminate()
        expect_equal(watch.wait(20 * SLOW), 0, 'the exit code of the watch')
        watch.communicate()
        expect_equal([event['key'] for event in seen],
                     [*(f'k/{i:06}' for i in range(count)), 'k/end'], 'the keys')
        expect_equal([event['revision'] for event in seen], list(range(2, count + 3)), 'revisions')


@case('exec runs a command for each change, which may use the store itself')
def _(binary):
    with Cluster(binary, 3) as cluster:
        vesper = Command(cluster)
        script = f'{binary} put "copy/$VESPER_KEY" "$VESPER_VALUE" >&2; echo "$VESPER_REVISION"'
        watch = vesper.start('watch', '--prefix', 'k', '--initial', '--exec', 'sh', '-c', script,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for i in range(5):
            vesper.out('put', f'k{i}', f'v{i}')
        for i in range(5):
            watch.stdout.readline()
        expect_equal([vesper.out('get', f'copy/k{i}') for i in range(5)],
                     [b'v%d' % i for i in range(5)], 'copies')
        watch.terminate()
        expect_equal(watch.wait(20 * SLOW), 0, 'exit code')
        watch.communicate()


@case('a time to live and a lease end, and a lease that is kept outlives its node')
def _(binary):
    with Cluster(binary, 3) as cluster:
        vesper = Command(cluster)
        vesper.out('put', 'short', 'x', '--ttl', '1ms')
        wait_for('the end of the key', lambda: vesper.run('get', 'short')[0] == 3)
        vesper.out('put', 'kept', 'x', '--ttl', '1h')
        vesper.out('put', 'kept', 'y', '--keep-ttl')
        expect('ttl_ms' in json.loads(vesper.out('get', 'kept', '-o', 'json')), 'no time to live')
        vesper.out('put', 'kept', 'z')
        expect('ttl_ms' not in json.loads(vesper.out('get', 'kept', '-o', 'json')), 'still there')
        lease = vesper.out('lease', 'grant', '2s').decode().strip()
        keep = vesper.start('lease', 'keep', lease, stderr=subprocess.PIPE)
        vesper.out('put', 'leased', 'x', '--lease', lease)
        first = cluster.nodes[0]
        first.kill()
        time.sleep(3)  # longer than the lease lasts by itself
        expect_equal(vesper.out('get', 'leased'), b'x', 'a lease that is kept')
        cluster.restart(first)
        keep.terminate()
        expect_equal(keep.wait(20 * SLOW), 0, 'an interrupted keep')
        keep.communicate()
        wait_for('the end of the lease', lambda: vesper.run('get', 'leased')[0] == 3)
        vesper.out('lease', 'renew', lease, code=1)
        vesper.out('put', 'leased', 'x', '--lease', lease, code=1)
        lease = vesper.out('lease', 'grant', '1h').decode().strip()
        vesper.out('put', 'leased', 'x', '--lease', lease)
        row = vesper.out('lease', 'list').decode().split()
        expect_equal((row[0], row[2:]), (lease, ['3600000', '1']), 'list')
        expect_equal(vesper.out('lease', 'end', lease), b'1\n', 'end')
        expect_equal(vesper.out('lease', 'list'), b'', 'no lease')


@case('commands take turns under a lock, and none is ever beside another')
def _(binary):
    with Cluster(binary, 3) as cluster:
        vesper = Command(cluster)
        # Fails if another one is there. mkdir is atomic.
        script = ('mkdir inside || exit 9; vesper put turn x --fence "a/b:$VESPER_FENCE"; '
                  'echo "$VESPER_FENCE"; rmdir inside')
        script = script.replace('vesper', binary)
        runs = [vesper.start('lock', 'a/b', '--', 'sh', '-c', script, stdout=subprocess.PIPE)
                for _ in range(8)]
        tokens = []
        for run in runs:
            out, _ = run.communicate(timeout=60 * SLOW)
            expect_equal(run.returncode, 0, 'exit code')
            tokens.append(out.split()[-1])
        expect_equal(len(set(tokens)), 8, 'tokens')
        expect_equal(vesper.out('lock', '--list'), b'', 'all released')
        holder = vesper.out('lock', 'n', '--ttl', '1m').decode().strip()
        vesper.out('lock', 'n', '--wait', '0', '--', 'true', code=4)
        vesper.out('lock', 'n', '--wait', '100ms', code=4)
        name, token, _, waiters = vesper.out('lock', '--list').decode().split()
        expect_equal((name, token, waiters), ('n', holder, '0'), 'list')
        expect_equal(vesper.out('lock', 'n', '--renew', holder), b'60000\n', 'renew')
        vesper.out('put', 'k', 'v', '--fence', f'n:{holder}')
        expect_equal(vesper.out('lock', 'n', '--release', holder), b'true\n', 'release')
        vesper.out('put', 'k', 'v', '--fence', f'n:{holder}', code=4)
        vesper.out('lock', 'n', '--renew', holder, code=4)


@case('a lock holder that is paused loses its lock, and its late write is refused')
def _(binary):
    with Cluster(binary, 3) as cluster:
        vesper = Command(cluster)
        script = (f'echo up; read line; {binary} put k late --fence "n:$VESPER_FENCE"; '
                  'echo "code $?"; exec sleep 600')
        paused = vesper.start('lock', 'n', '--ttl', '1s', '--', 'sh', '-c', script,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        expect_equal(paused.stdout.readline(), b'up\n', 'the holder')
        paused.send_signal(signal.SIGSTOP)  # what it runs goes on, as after a lost network
        next_one = f'{binary} put k new --fence "n:$VESPER_FENCE"'
        vesper.out('lock', 'n', '--', 'sh', '-c', next_one)
        paused.stdin.write(b'go\n')
        paused.stdin.flush()
        expect_equal(paused.stdout.readline(), b'code 4\n', 'the late write')
        expect_equal(vesper.out('get', 'k'), b'new', 'the value')
        paused.send_signal(signal.SIGCONT)
        _, err = paused.communicate(timeout=60 * SLOW)
        expect(paused.returncode == 125 and b'fenced' in err and b'the lock was lost' in err,
               f'{paused.returncode}: {err}')


@case('a lock outlives the nodes that it was renewed at, and a leader follows a leader')
def _(binary):
    with Cluster(binary, 3) as cluster:
        vesper = Command(cluster)
        leader = vesper.start('elect', 'primary', 'first', '--ttl', '3s', '--', 'cat',
                              stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_for('the leader', lambda: vesper.out('elect', '--list') != b'')
        token = vesper.out('elect', '--list').split()[1]
        follower = vesper.start('elect', 'primary', 'second', '--', 'sh', '-c',
                                f'{binary} elect --list -o table', stdout=subprocess.PIPE)
        wait_for('a waiter', lambda: vesper.out('elect', '--list').split()[3] == b'1')
        for node in cluster.nodes:
            node.kill()
            time.sleep(1.5)
            cluster.restart(node)
            cluster.wait_ready()
        expect_equal(vesper.out('elect', '--list').split()[1], token, 'the same leader')
        leader.stdin.close()
        expect_equal(leader.wait(20 * SLOW), 0, 'the end of the leader')
        leader.stderr.close()
        out, _ = follower.communicate(timeout=60 * SLOW)
        expect_equal(follower.returncode, 0, 'the next leader')
        expect_equal((out.split()[5], out.split()[-1]), (b'primary', b'second'), f'{out}')
