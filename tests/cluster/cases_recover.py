"""`vesper recover`: a cluster that has lost the disks of a majority goes on from what is left."""

import contextlib
import hashlib
import http.server
import json
import os
import pty
import re
import shutil
import subprocess
import threading

from cases_members import change, rows, start_joiner
from cases_tokens import GuardedCluster
from cases_watches import watch
from harness import SLOW, Cluster, wait_for
from runner import case, expect, expect_equal
from secure_cluster import SecureCluster

LEAP = 1 << 32


def recover(binary, *args, code=0):
    """Runs the command without a terminal, and returns its stdout and stderr."""
    done = subprocess.run([binary, 'recover', *args], capture_output=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=30 * SLOW)
    out, err = done.stdout.decode(), done.stderr.decode()
    expect_equal(done.returncode, code, f'exit code; it said:\n{out}{err}')
    return out, err


def files_of(folder):
    """The digest of every file in a folder, except the spare, which each start removes."""
    found = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and name != 'spare':
            with open(path, 'rb') as file:
                found[name] = hashlib.sha256(file.read()).hexdigest()
    return found


def lose_majority(cluster):
    """Two of three servers lose their disks. Returns the third one and these; all are stopped."""
    survivor, *others = cluster.nodes
    for node in cluster.nodes:
        node.kill()
    for node in others:
        node.wipe()
    return cluster.nodes


@case('the last of three servers becomes a new cluster with everything that was acknowledged')
def _(binary):
    with Cluster(binary, 3, ['--snapshot-entries', '40']) as cluster:
        api = cluster.wait_leader().api()
        for n in range(100):
            expect_equal(api.put(f'k{n}', f'v{n}').status, 200, f'write {n}')
        token = api.request('POST', '/locks/job?ttl=60s').json()['token']
        expect_equal(api.put('guarded', 'x', f'?fence=job:{token}').status, 200, 'a fenced write')
        before = cluster.wait_equal()
        survivor, *others = lose_majority(cluster)
        out, _ = recover(binary, '--yes', survivor.dir)
        expect(re.search(rf'Everything up to entry \d+ was committed', out), out)
        expect('may be lost: they would be on node 1' in out, out)
        expect('vesper cluster add URL' in out, out)
        folder, = [name for name in os.listdir(survivor.dir) if name.startswith('set-aside-')]
        expect('wal-0000000000000001' in os.listdir(survivor.dir), os.listdir(survivor.dir))

        cluster.nodes = [survivor]
        survivor.start()
        cluster.wait_ready()
        now = survivor.status()
        expect(now['cluster'] != before['cluster'], 'the cluster id is the old one')
        expect_equal(now['revision'], before['revision'] + LEAP, 'the revision')
        api = survivor.api()
        for n in range(100):
            expect_equal(api.get(f'k{n}').json()['value'], f'v{n}', f'k{n}')
        # Nothing of the old cluster is valid: ids, old revisions, fences.
        old = api.get('k0', f'?revision={before["revision"]}')
        expect_equal((old.status, old.code), (410, 'compacted'), 'an old revision')
        expect_equal(old.json()['oldest_revision'], before['revision'] + LEAP, 'the oldest one')
        fenced = api.put('guarded', 'y', f'?fence=job:{token}')
        expect_equal(fenced.status, 412, 'an old fence')
        with watch(survivor, f'?since={before["revision"]}') as w:
            expect_equal(w.events(1)[0][0], 'reset', 'the first event of a watch')
        expect_equal(api.put('new', 'z').json()['revision'], before['revision'] + LEAP + 1,
                     'the revision of a write')
        survivor.kill()
        survivor.start()
        cluster.wait_ready()
        expect_equal(survivor.api().get('new').json()['value'], 'z', 'a write after a restart')
        # The others come back without data, and are added.
        for node in others:
            node.start()
        add = json.dumps({'add': [{'address': node.url} for node in others]}).encode()
        added = survivor.api(30 * SLOW).request('POST', '/cluster/members?wait=20s', add)
        expect_equal(added.status, 200, f'adding the others: {added}')
        cluster.nodes += others
        cluster.wait_ready()
        for node in others:
            expect_equal(node.api().put('through', node.url).status, 200, f'a write through {node}')
            expect_equal(node.api().get('k99').json()['value'], 'v99', 'an old key')
        cluster.wait_equal()
        # They are members like any other.
        others[0].kill()
        cluster.restart(others[0])
        others[1].kill()
        others[1].wipe()
        cluster.restart(others[1])
        wait_for('all to vote', lambda: [voter for _, voter in rows(survivor)] == [True] * 3)
        expect_equal(others[1].api().put('healed', 'x').status, 200, 'a write')
        cluster.wait_equal()
        survivor.kill()
        # The old files are a data directory, from which the same can be done again.
        out, _ = recover(binary, '--yes', os.path.join(survivor.dir, folder))
        expect(before['cluster'] in out, out)


@case('the server that lost its majority and a wiped one of the old cluster do not disturb the new')
def _(binary):
    with Cluster(binary, 3) as cluster:
        expect_equal(cluster.wait_leader().api().put('a', 'b').status, 200, 'a write')
        cluster.wait_equal()
        for node in cluster.nodes:
            node.kill()
        first, second, third = cluster.nodes
        recover(binary, '--yes', first.dir)
        first.start()
        wait_for('the new cluster', first.is_ready)
        second.start()  # with the data of the old cluster
        third.start()
        wait_for('the old cluster to have a leader',
                 lambda: second.is_ready() and third.is_ready())
        clusters = [node.status()['cluster'] for node in cluster.nodes]
        expect(clusters[0] != clusters[1] == clusters[2], clusters)
        expect_equal(first.api().put('a', 'c').status, 200, 'a write in the new cluster')
        expect_equal(second.api().get('a').json()['value'], 'b', 'the value in the old one')


@case('recover compares the directories and takes the one with the most')
def _(binary):
    with Cluster(binary, 5) as cluster:
        leader = cluster.wait_leader()
        behind = cluster.followers()[0]
        expect_equal(leader.api().put('a', 'b').status, 200, 'a write')
        cluster.wait_equal()
        behind.kill()
        for n in range(10):
            expect_equal(leader.api().put(f'k{n}', 'v').status, 200, f'write {n}')
        cluster.wait_equal()
        for node in cluster.serving():
            node.kill()
        # Three of five are a majority: nothing is lost.
        two = [node for node in cluster.nodes if node is not behind][:2]
        out, err = recover(binary, behind.dir, two[0].dir, two[1].dir, code=2)
        expect('A majority of the voters is here: nothing that was acknowledged is lost' in out,
               out)
        expect('no terminal' in err and '--yes' in err, err)
        table = out.splitlines()[2:5]
        expect('best' in table[0] and behind.dir not in table[0], out)
        expect(re.search(rf'{re.escape(behind.dir)} .*lacks \d+ entries', out), out)
        # Nothing has changed: with the same directories, the cluster goes on.
        cluster.restart(*cluster.nodes)
        expect_equal(cluster.wait_leader().api().put('x', 'y').status, 200, 'a write')
        for node in cluster.nodes:
            node.kill()
        out, _ = recover(binary, '--yes', behind.dir, two[0].dir)
        expect('may be lost' in out, out)


@case('recover is refused for an old directory while the members that it does not name go on')
def _(binary):
    with Cluster(binary, 3) as cluster:
        expect_equal(cluster.wait_leader().api().put('a', 'b').status, 200, 'a write')
        cluster.wait_equal()
        gone = cluster.nodes[1:]
        gone[0].kill()
        old = gone[0].dir + '-old'
        shutil.copytree(gone[0].dir, old)
        cluster.restart(gone[0])
        new = [start_joiner(cluster, f'new{n}') for n in range(2)]
        added = ','.join('{"address":"%s"}' % node.url for node in new)
        change(cluster, '{"add":[%s],"remove":[1,2]}' % added)
        for node in gone:
            expect_equal(node.reap(10), 13, f'the exit code of {node}')
        cluster.nodes[1:] = new
        cluster.wait_ready()
        # Of the three servers that the directory names, one answers.
        _, err = recover(binary, '--yes', old, code=2)
        expect('runs and has a leader: 0 (' in err and ', 3 (' in err and ', 4 (' in err, err)


@case('recover asks on a terminal, and changes nothing without a yes')
def _(binary):
    with Cluster(binary, 3) as cluster:
        expect_equal(cluster.wait_leader().api().put('a', 'b').status, 200, 'a write')
        survivor = lose_majority(cluster)[0]
        segment = max(name for name in os.listdir(survivor.dir) if name.startswith('wal-'))
        os.utime(os.path.join(survivor.dir, segment), (86400, 86400))
        for answer, code in ((b'no\n', 1), (b'y\n', 1), (b'yes\n', 0)):
            ours, theirs = pty.openpty()
            process = subprocess.Popen([binary, 'recover', survivor.dir], stdin=theirs,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            os.close(theirs)
            os.write(ours, answer)
            out, err = process.communicate(timeout=30 * SLOW)
            os.close(ours)
            expect(b'1970-01-02T00:00:00Z' in out + err, lambda: f'another time: {out + err}')
            expect_equal(process.returncode, code, f'exit code after {answer}: {err}')
            expect(b'Type yes' in err, err)
            aside = [name for name in os.listdir(survivor.dir) if name.startswith('set-aside-')]
            expect_equal(len(aside), 1 if code == 0 else 0, 'folders')


@case('recover is refused while a majority runs that has no leader at the moment')
def _(binary):
    with Cluster(binary, 3) as cluster:
        expect_equal(cluster.wait_leader().api().put('a', 'b').status, 200, 'a write')
        cluster.wait_equal()
        stopped, *others = cluster.nodes
        for node in cluster.nodes:
            node.kill()
        for node in others:  # with different keys they do not speak to each other
            key = os.path.join(cluster.dir, f'key{node.id}')
            with open(key, 'w', encoding='ascii', opener=lambda *a: os.open(*a, 0o600)) as file:
                file.write(f'the key of node {node.id} alone\n')
            node.start(['--peer-key-file', key])
        for node in others:
            wait_for(f'{node} to have read its log',
                     lambda n=node: (n.status() or {}).get('cluster'))
        before = files_of(stopped.dir)
        _, err = recover(binary, '--yes', stopped.dir, code=2)
        expect('a majority of cluster' in err and 'wait until they have a leader' in err, err)
        expect_equal(files_of(stopped.dir), before, 'the files')


def copy_of_stopped(cluster):
    """Stops a follower whose log is whole. Returns a copy of its directory: that is what recovers
    beside a cluster that goes on."""
    expect_equal(cluster.wait_leader().api().put('a', 'b').status, 200, 'a write')
    cluster.wait_equal()
    stopped = cluster.followers()[0]
    stopped.kill()
    copy = stopped.dir + '-copy'
    shutil.copytree(stopped.dir, copy)
    return copy


def refused_beside(cluster, copy, *flags):
    """The members that serve are a majority, and do not say so. Returns what the command says."""
    before = files_of(copy)
    out, err = recover(cluster.binary, '--yes', *flags, copy, code=2)
    expect('a majority of cluster' in err and 'may run' in err, err)
    expect(all(node.url in err for node in cluster.serving()), err)
    expect_equal((out, files_of(copy)), ('', before), 'stdout and the files')
    return err


@case('recover is refused while a majority runs that answers nothing without a token')
def _(binary):
    with GuardedCluster(binary, 3) as cluster:
        copy = copy_of_stopped(cluster)
        err = refused_beside(cluster, copy)
        expect(err.count('this request needs a token') == 2 and '--token-file' in err, err)
        token = os.path.join(cluster.dir, 'root.token')
        with open(token, 'w', encoding='ascii', opener=lambda *a: os.open(*a, 0o600)) as file:
            file.write(cluster.nodes[0].token + '\n')
        # A token goes to no server that is not known.
        trust = cluster.pki.client_flags()
        err = refused_beside(cluster, copy, '--token-file', token,
                             '--cacert', os.path.join(cluster.pki.directory, 'client.crt'))
        expect(err.count('TLS: ') == 2 and '--cacert' in err, err)
        _, err = recover(binary, '--yes', '--token-file', token, *trust, copy, code=2)
        expect('runs and has a leader' in err, err)


@case('recover is refused while a majority runs that wants a client certificate')
def _(binary):
    with SecureCluster(binary, 3) as cluster:
        for node in cluster.nodes:
            node.use(cluster.pki, '--tls-client-ca', cluster.pki.path('ca.crt'))
            node.tls = cluster.pki.context('client')
        cluster.start()
        copy = copy_of_stopped(cluster)
        err = refused_beside(cluster, copy)
        expect(err.count('TLS: ') == 2 and '--cert and --key' in err, err)
        _, err = recover(binary, '--yes', '--cert', cluster.pki.path('client.crt'),
                         '--key', cluster.pki.path('client.key'), copy, code=2)
        expect('runs and has a leader' in err, err)


@case('recover is refused while a majority hangs, and names a single server that hangs')
def _(binary):
    with Cluster(binary, 3) as cluster:
        copy = copy_of_stopped(cluster)
        hung = cluster.serving()
        for node in hung:
            node.pause()
        before = files_of(copy)
        _, err = recover(binary, '--yes', copy, code=2)
        expect('may run' in err and err.count('in time') == 2 and 'has to be stopped' in err, err)
        expect_equal(files_of(copy), before, 'the files')
        hung[1].kill()
        out, _ = recover(binary, '--yes', copy)
        expect(f'Something listens at {hung[0].url}, but does not say what it is' in out, out)
        hung[0].kill()


class StillStarting(http.server.BaseHTTPRequestHandler):
    """A server that reads a log which takes it minutes."""

    def do_GET(self):
        body = b'{"id":0,"role":"follower","term":0,"leader":null,"starting":true,"members":[]}'
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def still_starting(cluster, node):
    """Such a server in the place of a node."""
    with http.server.ThreadingHTTPServer((node.host, node.port), StillStarting) as server:
        if cluster.pki:  # the thread of a connection does the handshake, not the one that accepts
            server.socket = cluster.pki.server_context(node.host).wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


@case('recover is refused while a majority may still be reading its logs')
def _(binary):
    with Cluster(binary, 3) as cluster, contextlib.ExitStack() as stack:
        copy = copy_of_stopped(cluster)
        before = files_of(copy)
        starting = cluster.serving()
        for node in starting:
            node.kill()
        for at, node in enumerate(starting):
            stack.enter_context(still_starting(cluster, node))
            if at == 0:
                out, _ = recover(binary, copy, code=2)
                expect(f'listens at {node.url}' in out and 'still reads its log' in out, out)
        _, err = recover(binary, '--yes', copy, code=2)
        expect('may run' in err and err.count('it still reads its log') == 2, err)
        expect_equal(files_of(copy), before, 'the files')


@case('recover is refused while a majority runs, and for locked, foreign and damaged directories')
def _(binary):
    with Cluster(binary, 3) as cluster, Cluster(binary, 3) as other:
        for each in (cluster, other):
            expect_equal(each.wait_leader().api().put('a', 'b').status, 200, 'a write')
            each.wait_equal()
        stopped = cluster.followers()[0]
        _, err = recover(binary, '--yes', stopped.dir, code=11)
        expect('locked: another vesper server uses it' in err, err)
        stopped.kill()
        before = files_of(stopped.dir)
        _, err = recover(binary, '--yes', stopped.dir, code=2)
        expect('a majority of cluster' in err and 'runs and has a leader' in err, err)
        expect_equal(files_of(stopped.dir), before, 'the files')
        for node in cluster.serving() + other.nodes:
            node.kill()
        foreign = other.nodes[0].dir
        _, err = recover(binary, '--yes', stopped.dir, foreign, code=11)
        expect(err.count('cluster') >= 2 and foreign in err, err)
        _, err = recover(binary, '--yes', os.path.join(cluster.dir, 'nowhere'), code=11)
        expect('not a directory' in err, err)
        os.mkdir(os.path.join(cluster.dir, 'empty'))
        _, err = recover(binary, '--yes', os.path.join(cluster.dir, 'empty'), code=11)
        expect('the directory has no log' in err, err)
        damaged = os.path.join(cluster.dir, 'damaged')
        shutil.copytree(stopped.dir, damaged)
        with open(os.path.join(damaged, 'wal-0000000000000001'), 'r+b') as log:
            log.seek(600)
            log.write(b'\xff\xff')
        _, err = recover(binary, '--yes', stopped.dir, damaged, code=11)
        expect(f'{damaged}: wal-0000000000000001 at offset' in err, err)
        expect_equal(files_of(stopped.dir), before, 'the files')


@case('a recovery that was interrupted is completed by the next start, or has changed nothing')
def _(binary):
    with Cluster(binary, 3) as cluster:
        expect_equal(cluster.wait_leader().api().put('a', 'b').status, 200, 'a write')
        before = cluster.wait_equal()
        survivor = lose_majority(cluster)[0]
        copy = survivor.dir + '-copy'
        shutil.copytree(survivor.dir, copy)
        # Something that was prepared only: the next start removes it.
        shutil.copytree(copy, os.path.join(survivor.dir, 'recovered.tmp'))
        cluster.nodes = [survivor]
        survivor.start()
        wait_for('the folder to be removed',
                 lambda: not os.path.exists(os.path.join(survivor.dir, 'recovered.tmp')))
        expect_equal(wait_for('its cluster', lambda: (survivor.status() or {}).get('cluster')),
                     before['cluster'], 'the cluster')
        survivor.kill()
        recover(binary, '--yes', survivor.dir)
        # As if the last step had not happened: the order is still in the directory.
        folder, = [name for name in os.listdir(survivor.dir) if name.startswith('set-aside-')]
        os.rename(os.path.join(survivor.dir, folder, 'set-aside.reason'),
                  os.path.join(survivor.dir, 'set-aside'))
        _, err = recover(binary, '--yes', survivor.dir, code=11)
        expect('is to be set aside' in err, err)
        survivor.start()
        cluster.wait_ready()
        view = survivor.status()
        expect(view['cluster'] != before['cluster'], json.dumps(view))
        expect_equal(view['revision'], before['revision'] + LEAP, 'the revision')
        expect_equal(survivor.api().get('a').json()['value'], 'b', 'the value')
