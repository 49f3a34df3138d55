"""Members that come and go: members that recover from a lost disk without an operator, and servers
that are added and removed."""

import json
import os
import subprocess
import threading
import time

from checker import Op, check
from harness import LONG, SLOW, Cluster, Node, free_ports, wait_for
from http_api import Broken, NotSent
from runner import case, expect, expect_equal
from workload import Workload, take_in

SOME = 1000 if LONG else 200  # acknowledged writes between two faults


def rows(node):
    """The members in /status of the node: (id, voter)."""
    view = node.status() or {}
    return [(m['id'], m['voter']) for m in view.get('members', [])]


def heal(cluster, node):
    """Kills the node, loses its disk, and starts it again with the same command."""
    node.kill()
    node.wipe()
    node.start()


def wait_voters(cluster, ids):
    """Until every node that runs knows these members, all voters."""
    for node in cluster.serving():
        wait_for(f'{node} to know the voters {ids}',
                 lambda n=node: rows(n) == [(i, True) for i in ids], 20)


@case('a node that lost its disk is taken in again by itself and votes')
def _(binary):
    with Cluster(binary, 3) as cluster:
        expect_equal(cluster.nodes[0].api().put('name', 'a').status, 200, 'a write')
        cluster.wait_equal()
        lost, other = cluster.followers()
        leader = cluster.wait_leader()
        heal(cluster, lost)
        cluster.wait_ready()
        wait_voters(cluster, [0, 1, 2])
        expect_equal(lost.api().get('name').json()['value'], 'a', 'the value')
        expect('list_mismatch' not in leader.status(), 'a mismatch of the list')
        # Its vote counts: the majority needs it now.
        other.kill()
        expect_equal(leader.api().put('name', 'b').status, 200, 'a write that needs its vote')
        leader.kill()
        other.start()
        cluster.wait_leader()
        expect_equal(lost.api().get('name').json()['value'], 'b', 'the value of the new majority')
        cluster.restart(leader)
        wait_voters(cluster, [0, 1, 2])


@case('a leader that lost its disk is taken in again, and its restart with data changes nothing')
def _(binary):
    with Cluster(binary, 3) as cluster:
        lost = cluster.wait_leader()
        expect_equal(lost.api().put('name', 'a').status, 200, 'a write')
        cluster.wait_equal()
        heal(cluster, lost)
        cluster.wait_ready()
        wait_voters(cluster, [0, 1, 2])
        index = cluster.wait_leader().status()['last_index']
        lost.kill()
        cluster.restart(lost)
        wait_voters(cluster, [0, 1, 2])
        expect(cluster.wait_leader().status()['last_index'] <= index + 3, 'it was replaced again')


@case('a founder that came late and lost its disk reads the log from its start, and votes again')
def _(binary):
    with Cluster(binary, 3, ['--found-after', '300ms'], start=False) as cluster:
        late = cluster.nodes[2]
        for node in cluster.nodes[:2]:
            node.start()
        cluster.wait_ready(cluster.nodes[:2])
        cluster.restart(late)  # it is registered by an entry of its own
        wait_voters(cluster, [0, 1, 2])
        for _ in range(2):
            heal(cluster, late)
            cluster.wait_ready()
            wait_voters(cluster, [0, 1, 2])
        expect_equal(late.api().put('name', 'a').status, 200, 'a write through it')


@case('two nodes of five that lost their disks at once are taken in again')
def _(binary):
    with Cluster(binary, 5) as cluster:
        expect_equal(cluster.nodes[0].api().put('name', 'a').status, 200, 'a write')
        cluster.wait_equal()
        lost = cluster.followers()[:2]
        for node in lost:
            node.kill()
        for node in lost:
            node.wipe()
            node.start()
        cluster.wait_ready()
        wait_voters(cluster, [0, 1, 2, 3, 4])
        for node in lost:
            expect_equal(node.api().get('name').json()['value'], 'a', f'the value of {node}')


class JoinNode(Node):
    """A node that is not in the list: it is started with --join."""

    def command(self, extra):
        return [*self.prefix, self.cluster.binary, 'server', '--join', self.cluster.nodes[0].url,
                '--address', self.url, '--data-dir', self.dir, *self.tls_flags,
                *self.cluster.flags, *extra]


def start_joiner(cluster, name='new', aliases=()):
    """`aliases`: other names of its host. Over TLS, its certificate has them, too."""
    node = JoinNode(cluster, name, free_ports(1)[0])
    if aliases and cluster.pki:
        names = cluster.pki.sign(name, [node.host, *aliases])
        node.tls_flags = cluster.pki.server_flags(names)
    node.start()
    wait_until_it_waits(node)
    return node


def verbose(node):
    try:
        return node.api().request('GET', '/readyz?verbose').body.decode()
    except (NotSent, Broken):
        return ''


def wait_until_it_waits(node):
    wait_for(f'{node} to wait', lambda: '[-]member waits to be added' in verbose(node))


def expect_no_member(node):
    seed = b'{"type":"put","payload":{"key":"name","value":"x"}}'
    for method, path, body in (('GET', '/kv/name', None), ('PUT', '/kv/name', b'x'),
                               ('GET', '/kv/name?consistency=stale', None), ('GET', '/kv', None),
                               ('PUT', '/request', seed), ('GET', '/request', seed),
                               ('POST', '/txn', b'{"then":[{"get":{"key":"name"}}]}'),
                               ('POST', '/leases?ttl=10s', None),
                               ('POST', '/locks/job?ttl=10s', None),
                               ('POST', '/compact?revision=1', None)):
        reply = node.api().request(method, path, body)
        expect_equal((reply.status, reply.code), (503, 'not_a_member'), f'{method} {path}')
        expect(f'vesper cluster add {node.url}' in reply.json()['detail'], f'{reply}')


@case('a node that was started with --join waits, serves nothing and founds nothing')
def _(binary):
    with Cluster(binary, 3) as cluster:
        expect_equal(cluster.nodes[0].api().put('name', 'a').status, 200, 'a write')
        node = start_joiner(cluster)
        try:
            for _ in range(2):
                expect_no_member(node)
                view = node.status()
                expect(view['id'] is None and view['address'] == node.url, f'{view}')
                expect(view['members'] == [] and 'cluster' not in view, f'{view}')
                expect_equal(rows(cluster.nodes[0]), [(0, True), (1, True), (2, True)], 'members')
                node.kill()
                node.start()
                wait_until_it_waits(node)
        finally:
            code = node.terminate(2)
        expect_equal(code, 0, 'the exit code')
        expect(not os.path.exists(os.path.join(cluster.dir, 'vesper-data')), 'a directory appeared')


def change(cluster, body, query='?wait=20s'):
    """POST /cluster/members on any node, until it is no longer premature."""
    def done():
        api = cluster.serving()[0].api(30)
        reply = api.request('POST', '/cluster/members' + query, body.encode())
        api.close()
        early = reply.status == 503 or reply.code == 'change_in_progress'
        expect(reply.status == 200 or early, f'{reply.status} {reply.body}')
        return reply if reply.status == 200 else None
    return wait_for(f'{body} to be done', done)


@case('a node is added, serves and votes, and ends with exit code 13 once it is removed')
def _(binary):
    with Cluster(binary, 3) as cluster:
        expect_equal(cluster.nodes[0].api().put('name', 'a').status, 200, 'a write')
        node = start_joiner(cluster)
        change(cluster, '{"add":[{"address":"%s"}]}' % node.url)
        wait_for(f'{node} to be ready', node.is_ready)
        expect_equal(node.status()['id'], 3, 'its id')
        expect_equal(node.api().get('name').json()['value'], 'a', 'the value')
        expect_equal(node.api().put('name', 'b').status, 200, 'a write through it')
        wait_voters(cluster, [0, 1, 2, 3])
        node.kill()
        node.start()  # the same flags are always right
        wait_for(f'{node} to be ready again', node.is_ready)
        # It comes back with an empty disk like any other member.
        heal(cluster, node)
        wait_for(f'{node} to be a voter again', lambda: rows(node) == [(i, True) for i in range(4)]
                 and node.is_ready(), 20)
        change(cluster, '{"remove":[3]}')
        expect_equal(node.reap(10), 13, 'the exit code of a removed node')
        expect(' E n3 this server has left cluster' in node.log_text(), 'no line says so')
        wait_voters(cluster, [0, 1, 2])
        expect_equal(cluster.nodes[1].api().put('name', 'c').status, 200, 'a write')
        # It was away when it was removed, and learns it from the others.
        node.start()
        expect_equal(node.reap(10), 13, 'the exit code when it is started again')
        for other in cluster.nodes:
            other.kill()
        node.start()
        expect_equal(node.reap(10), 13, 'the exit code when no other server can tell it')


def wait_refused_for(node, older):
    """Waits until a change and tokens are refused for the sake of the members `older`. The build of
    a member that has restarted is registered by an entry of the log, a moment after it serves."""
    def is_refused(path, body):
        reply = node.api().request('POST', path, body)
        expect_equal((reply.status, reply.code), (409, 'members_too_old'), f'POST {path}')
        expect(set(older) <= set(reply.json()['missing']), f'{reply.json()} spares an older build')
        return reply.json()['missing'] == older
    for path, body in (('/cluster/members', b'{"demote":[2]}'), ('/auth/enable', b'')):
        wait_for(f'POST {path} to name {older}', lambda: is_refused(path, body))


@case('members change once the last node is upgraded, and then no older build may join')
def _(binary):
    older = os.path.join(os.path.dirname(binary), 'tests', 'cluster', 'vesper-older')
    with Cluster(older, 3) as cluster:
        expect_equal(cluster.nodes[0].api().put('name', 'a').status, 200, 'a write')
        cluster.binary = binary
        for number, node in enumerate(cluster.nodes):
            wait_refused_for(cluster.nodes[0], list(range(number, 3)))
            expect_equal(node.terminate(), 0, f'exit code of {node}')
            cluster.restart(node)
            expect_equal(node.api().put('name', f'{number}').status, 200, 'a write')
        change(cluster, '{"demote":[2]}')
        wait_for('a learner', lambda: rows(cluster.nodes[0])[2] == (2, False))
        cluster.binary = older
        back = cluster.nodes[2]
        expect_equal(back.terminate(), 0, f'exit code of {back}')
        back.start()
        expect_equal(back.reap(10), 11, 'the exit code of the older build on newer data')
        expect('feature level 2, but this build has 1' in back.log_text(), 'no line says so')
        # An empty directory does not help: the others refuse it by name.
        back.wipe()
        back.start()
        wait_for('it to be refused', lambda: 'runs a build of feature level 1, but this cluster '
                 'needs 2' in back.log_text())
        back.kill()
        cluster.binary = binary
        cluster.restart(back)


@case('nodes lose their disks one after another under load, and nothing acknowledged is lost')
def _(binary):
    with Cluster(binary, 3) as cluster, Workload(cluster, 71) as load:
        load.wait_acknowledged(SOME)
        end = time.monotonic() + (300 if LONG else 0)
        turn = 0
        while turn < 3 or time.monotonic() < end:
            heal(cluster, cluster.nodes[turn % 3])
            cluster.wait_ready()
            wait_voters(cluster, [0, 1, 2])
            load.wait_acknowledged(SOME)
            turn += 1
        load.__exit__(None, None, None)
        load.verify()
        load.expect_no_errors_where_up()


class Mover(threading.Thread):
    """A client that writes to one of `nodes`, and moves on when its node serves no more. It sends
    each write under an idempotency key until it is acknowledged, like `vesper put`."""

    def __init__(self, load, number, nodes):
        super().__init__(daemon=True)
        self.load, self.number, self.nodes = load, number, nodes
        self.ops, self.failed, self.took = [], [], []
        self.at, self.api = number, None

    def run(self):
        while not self.load.stopping.is_set():
            key = f'once/mover-{self.number}-{len(self.ops)}'
            op = Op('put', key, key, invoked=time.monotonic_ns(), client=f'mover {self.number}',
                    node=self.nodes[self.at % len(self.nodes)].id)
            if not any(self.attempt(op) for _ in range(20 * len(self.nodes))):
                self.failed.append(op)
            op.completed = time.monotonic_ns()
            self.ops.append(op)
            self.took.append((op.completed - op.invoked) / 1e6)
        self.leave()

    def attempt(self, op):
        try:
            self.api = self.api or self.nodes[self.at % len(self.nodes)].api(self.load.timeout)
            reply = self.api.request('PUT', '/kv/' + op.key, op.value.encode(),
                                     {'Idempotency-Key': op.key})
            if reply.status == 200:
                take_in(op, reply)
                op.store = None  # of the first attempt
                return True
        except (NotSent, Broken):
            pass
        self.leave()
        self.at += 1
        return False

    def leave(self):
        if self.api is not None:
            self.api.close()
            self.api = None


@case('three of three nodes are replaced by one request under load, and no write fails')
def _(binary):
    with Cluster(binary, 3) as cluster:
        load = Workload(cluster, 72, clients=0)
        old = list(cluster.nodes)
        new = [start_joiner(cluster, f'new{i}') for i in range(3)]
        movers = [Mover(load, i, old + new) for i in range(6)]
        for mover in movers:
            mover.start()
        wait_for('writes before the change', lambda: all(len(m.took) > SOME for m in movers))
        added = ','.join('{"address":"%s"}' % node.url for node in new)
        change(cluster, '{"add":[%s],"remove":[0,1,2]}' % added)
        for node in old:
            expect_equal(node.reap(10), 13, f'the exit code of {node}')
        cluster.nodes[:] = new
        cluster.wait_ready()
        before = [len(m.took) for m in movers]
        wait_for('writes after the change',
                 lambda: all(len(m.took) > n + SOME for m, n in zip(movers, before)))
        load.stopping.set()
        for mover in movers:
            mover.join()
            load.extra += mover.ops
        wait_voters(cluster, [3, 4, 5])
        cluster.wait_equal()
        load.read_everything()
        violations = check(load.ops())
        expect(not violations, lambda: f'{violations[:3]}')
        failed = [op for mover in movers for op in mover.failed]
        expect(not failed, lambda: f'{len(failed)} writes failed: {failed[:5]}')
        took = sorted(ms for mover in movers for ms in mover.took)
        p99 = took[len(took) * 99 // 100]
        expect(p99 < 100 * SLOW, f'p99 {p99:.1f} ms, the slowest {took[-5:]} ms')


def peer_ports(process):
    """The ports to which the process is connected."""
    sockets = set()
    for name in os.listdir(f'/proc/{process.pid}/fd'):
        try:
            sockets.add(os.readlink(f'/proc/{process.pid}/fd/{name}'))
        except FileNotFoundError:
            pass  # closed meanwhile
    with open('/proc/net/tcp', encoding='ascii') as table:
        rows_of_sockets = [line.split() for line in table][1:]
    return {int(row[2].rsplit(':', 1)[1], 16) for row in rows_of_sockets
            if row[3] == '01' and f'socket:[{row[9]}]' in sockets}


class LongCommands:
    """A watch, a lock, a client that waits for that lock, a lease and an export, with the first
    nodes of the cluster as their only endpoints."""

    KEYS = 12_000

    def __init__(self, cluster):
        self.cluster, self.events = cluster, 0
        urls = ','.join(node.url for node in cluster.nodes)
        self.environment = {**os.environ, 'VESPER_ENDPOINTS': urls}
        expect_equal(self.api().put('name', 'first').status, 200, 'a write')
        lines = b''.join(b'{"key":"k/%06d","value":"%s"}\n' % (i, b'v' * 2000)
                         for i in range(self.KEYS))
        self.run('import', '-', stdin=lines)
        self.lease = self.run('lease', 'grant', '6s').strip()
        self.watch = self.start('watch', 'event')
        self.lock = self.start('lock', 'job', '--ttl', '6s', '--', 'cat')
        wait_for('the lock to be held', lambda: self.ttl_of('/locks/job'))
        self.waiter = self.start('lock', 'job', '--ttl', '6s', '--', 'echo', 'granted')
        wait_for('the other client to wait',
                 lambda: self.get('/locks/job').get('waiters') == 1)
        self.keeper = self.start('lease', 'keep', self.lease)
        self.export = self.start('export', 'k/')
        self.exported = b''
        self.read_export()

    def start(self, *args):
        return subprocess.Popen([self.cluster.binary, *args], env=self.environment,
                                cwd=self.cluster.dir, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *args, stdin=b''):
        process = self.start(*args)
        out, err = process.communicate(stdin, 60 * SLOW)
        expect_equal((process.returncode, err), (0, b''), f'{args}')
        return out.decode()

    def all(self):
        return (self.watch, self.lock, self.waiter, self.keeper, self.export)

    def api(self):
        return self.cluster.serving()[0].api(10 * SLOW)

    def get(self, path):
        reply = self.api().request('GET', path)
        return reply.json() if reply.status == 200 else {}

    def ttl_of(self, path):
        found = self.get(path)
        return found.get('holder', found).get('ttl_ms')

    def wait_renewed(self, path):
        """Until it is renewed from now on: what is left of it grows."""
        left = [self.ttl_of(path)]

        def has_grown():
            left.append(self.ttl_of(path))
            expect(left[-1], lambda: f'{path} is lost')
            return left[-1] > left[-2]
        wait_for(f'{path} to be renewed', has_grown)

    def read_export(self):
        """More than what its pipe holds, so that it has read from its node since."""
        end = len(self.exported) + 300_000
        while len(self.exported) < end:
            part = os.read(self.export.stdout.fileno(), 65536)
            expect(part, 'the export has ended')
            self.exported += part

    def expect_event(self):
        self.events += 1
        expect_equal(self.api().put('event', str(self.events)).status, 200, 'a write')
        line = self.watch.stdout.readline().decode()
        expect(line.endswith(f'\t{self.events}\n'), lambda: f'event {self.events}: {line!r}')

    def have_left(self, node):
        """Until each is served by another node than this one, which has ended."""
        def is_elsewhere():
            return peer_ports(self.export) & {n.port for n in self.cluster.nodes}
        expect(node not in self.cluster.nodes, f'{node} has not left')
        while not is_elsewhere():
            self.read_export()
        self.read_export()
        self.expect_event()
        self.wait_renewed('/locks/job')
        self.wait_renewed(f'/leases/{self.lease}')
        wait_for('the other client to wait again',
                 lambda: peer_ports(self.waiter) & {n.port for n in self.cluster.nodes}, 30)

    def finish(self):
        out, err = self.lock.communicate(timeout=30 * SLOW)
        expect_equal((self.lock.returncode, out, err), (0, b'', b''), 'the lock')
        out, err = self.waiter.communicate(timeout=60 * SLOW)
        expect_equal((self.waiter.returncode, out, err), (0, b'granted\n', b''), 'who waited')
        expect(self.ttl_of(f'/leases/{self.lease}'), 'the lease is over')
        for process in (self.keeper, self.watch):
            process.terminate()
            _, err = process.communicate(timeout=10 * SLOW)
            expect_equal(process.returncode, 0, f'{process.args}: {err}')
        rest, err = self.export.communicate(timeout=60 * SLOW)
        expect_equal((self.export.returncode, err), (0, b''), 'the export')
        keys = [json.loads(line)['key'] for line in (self.exported + rest).splitlines()]
        expect_equal(keys, [f'k/{i:06}' for i in range(self.KEYS)], 'the exported keys')

    def end(self):
        for process in self.all():
            if process.poll() is None:
                process.kill()
            process.communicate()


@case('commands that run for long outlive all nodes that they were given')
def _(binary):
    with Cluster(binary, 3) as cluster:
        commands = LongCommands(cluster)
        try:
            for number, old in enumerate(list(cluster.nodes)):
                new = start_joiner(cluster, f'new{number}')
                change(cluster, '{"add":[{"address":"%s"}],"remove":[%d]}' % (new.url, old.id))
                expect_equal(old.reap(10), 13, f'the exit code of {old}')
                cluster.nodes[:] = [*(n for n in cluster.nodes if n is not old), new]
                cluster.wait_ready()
                commands.have_left(old)
            commands.finish()
        finally:
            commands.end()
