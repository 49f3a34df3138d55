"""Writers and readers that record their requests and the replies.

Each client is a thread with a seed and one node. It never changes its node, so that a test can say
which node's clients saw an error. Every value that is written is unique."""

import contextlib
import json
import random
import threading
import time

from checker import NEVER, Op, check
from harness import SLOW, wait_for
from http_api import Broken, NotSent, escape_key, request_bytes
from runner import Failed, expect


def revision_of(etag):
    return int(etag.strip('"')) if etag else None


def take_in(op, reply):
    """Fills in the outcome of an operation from its reply."""
    store = reply.headers.get('vesper-revision')
    op.store = int(store) if store else None
    if reply.status == 200:
        body = reply.json()
        op.outcome = 'ok'
        if op.kind == 'delete':
            op.deleted = body['deleted']
            op.revision = body['revision'] if op.deleted else None
        else:
            op.revision = body['revision']
            if op.kind == 'get':
                op.value = body['value']
    elif reply.status == 404 and op.kind == 'get':
        op.outcome, op.value = 'ok', None
    elif reply.status == 412:
        op.outcome, op.revision = 'refused', reply.json()['current_revision']
    elif reply.status in (500, 504):
        op.outcome = 'unknown'
    else:
        op.outcome = 'failed'
    if op.kind == 'get':
        op.note = reply.headers.get('vesper-consistency', '')
    if op.outcome in ('failed', 'unknown'):
        op.note = f'{reply.status} {reply.code}'


HEADERS = {'absent': lambda c: {'If-None-Match': '*'}, 'exists': lambda c: {'If-Match': '*'},
           'match': lambda c: {'If-Match': f'"{c[1]}"'}}


def perform(api, op, timeout, query=''):
    """Carries out one operation and records it; never raises."""
    headers = HEADERS[op.condition[0]](op.condition) if op.condition else {}
    body = op.value.encode() if op.kind == 'put' else None
    op.invoked = time.monotonic_ns()
    try:
        reply = api.request(op.kind.upper(), f'/kv/{escape_key(op.key)}{query}', body, headers,
                            timeout)
        take_in(op, reply)
    except NotSent as error:
        op.outcome, op.note = 'failed', f'not sent: {error}'
    except Broken as error:
        op.outcome, op.note = 'unknown', f'broken: {error}'
    op.completed = time.monotonic_ns()
    return op


class Client(threading.Thread):
    def __init__(self, load, number, node, seed):
        super().__init__(daemon=True)
        self.load, self.number, self.node = load, number, node
        self.rng = random.Random(seed)
        self.api = node.api()
        self.ops = []
        self.count = 0
        self.last = {}  # key -> the last revision that this client saw
        self.error = None

    def next_op(self):
        self.count += 1
        rng, value = self.rng, f'{self.number}-{self.count}'
        if rng.random() < 0.3:  # a key of its own that is never overwritten, so that a loss shows
            op = Op('put', f'once/{value}', value, invoked=0)
        else:
            key = f'shared/{rng.randrange(self.load.keys)}'
            draw = rng.random()
            if draw < 0.4:
                op = Op('put', key, value, invoked=0)
            elif draw < 0.5:
                known = self.last.get(key)
                condition = ('match', known) if known else ('absent',)
                op = Op('put', key, value, invoked=0, condition=condition)
            elif draw < 0.55:
                op = Op('delete', key, invoked=0)
            else:
                op = Op('get', key, invoked=0)
        op.client, op.node = self.number, self.node.id
        return op

    def run(self):
        try:
            while not self.load.stopping.is_set():
                op = self.next_op()
                query = f'?timeout={int(self.load.timeout * 1000)}ms'
                if op.kind == 'get' and self.load.read_query:
                    query += '&' + self.load.read_query
                perform(self.api, op, self.load.timeout + 1 * SLOW, query)
                self.ops.append(op)
                if op.outcome == 'ok':
                    self.last[op.key] = op.revision
                elif op.outcome != 'refused':
                    self.load.stopping.wait(0.01)  # a stopped node refuses at once
        except Exception as error:  # the test reports it; it must not vanish with the thread
            self.error = error
        finally:
            self.api.close()


class Workload:
    """with Workload(cluster, seed) as load: ...   Clients on all nodes, until the end of the
    block."""

    def __init__(self, cluster, seed, clients=6, keys=8, timeout=5.0, read_query=''):
        self.cluster, self.seed, self.keys, self.timeout = cluster, seed, keys, timeout
        self.read_query = read_query  # query of the clients' reads, such as consistency=lease
        self.stopping = threading.Event()
        self.extra = []
        self.clients = [Client(self, i, cluster.nodes[i % len(cluster.nodes)], seed * 1000 + i)
                        for i in range(clients)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, kind, error, trace):
        self.stopping.set()
        for client in self.clients:
            client.join()
        failed = next((c.error for c in self.clients if c.error), None)
        if error is not None:
            error.add_note(f'workload seed {self.seed}; {self.summary()}')
        elif failed is not None:
            raise failed

    def ops(self):
        return [op for client in self.clients for op in list(client.ops)] + self.extra

    def summary(self):
        counts = {}
        for op in self.ops():
            what = op.outcome if op.outcome in ('ok', 'refused') else f'{op.outcome} ({op.note})'
            counts[what] = counts.get(what, 0) + 1
        return ', '.join(f'{n} {what}' for what, n in sorted(counts.items()))

    def acknowledged(self, since=0):
        """Writes that were sent after `since` (monotonic ns) and acknowledged."""
        return [op for client in self.clients for op in reversed_until(client.ops, since)
                if op.outcome == 'ok' and op.kind != 'get']

    def wait_acknowledged(self, count, since=None, timeout=10.0):
        since = time.monotonic_ns() if since is None else since

        def enough():
            self.cluster.check_alive()
            return len(self.acknowledged(since)) >= count
        wait_for(f'{count} acknowledged writes', enough, timeout)

    def errors(self):
        return [op for op in self.ops() if op.outcome in ('failed', 'unknown')]

    def expect_no_errors_where_up(self):
        """Whose node stayed up has seen a delay at most (§3, what became of a write)."""
        nodes = {node.id: node for node in self.cluster.nodes}
        bad = [op for op in self.errors()
               if not nodes[op.node].was_down(op.invoked, op.completed)]
        expect(not bad, lambda: f'{len(bad)} errors at nodes that stayed up:\n' +
               '\n'.join(repr(op) for op in bad[:10]))

    def verify(self):
        """At the end: every acknowledged write is there, and the history is linearizable."""
        self.cluster.wait_ready()
        self.read_everything()
        self.cluster.wait_equal()
        found = check(self.ops())
        if found:
            raise Failed(f'seed {self.seed}: {len(found)} violations\n' +
                         '\n'.join(str(v) for v in found[:3]) + f'\n{self.dump()}')
        expect(self.acknowledged(), 'no write was acknowledged: nothing was proven')

    def read_everything(self):
        """Reads each key from some node, pipelined; these reads are part of the history."""
        keys = sorted({op.key for op in self.ops()})
        nodes = self.cluster.serving()
        for turn, node in enumerate(nodes):
            shared = [k for k in keys if k.startswith('shared/')]
            mine = shared + [k for k in keys[turn::len(nodes)] if k.startswith('once/')]
            for at in range(0, len(mine), 50):
                self.extra += pipelined_reads(node, mine[at:at + 50])

    def dump(self):
        """Writes the history to a file beside the logs."""
        path = f'{self.cluster.dir}/history-{self.seed}.jsonl'
        with open(path, 'w', encoding='utf-8') as f:
            for op in sorted(self.ops(), key=lambda o: o.invoked):
                row = {name: getattr(op, name) for name in Op.__slots__}
                row['completed'] = None if op.completed == NEVER else op.completed
                f.write(json.dumps(row) + '\n')
        return f'the history: {path}'


def reversed_until(ops, since):
    """The operations that began after `since`, without a scan of all older ones."""
    for i in range(len(ops) - 1, -1, -1):
        if ops[i].invoked < since:
            return
        yield ops[i]


def pipelined_reads(node, keys):
    ops = [Op('get', key, invoked=time.monotonic_ns(), client='final', node=node.id)
           for key in keys]
    connection = node.connect(5 * SLOW)
    try:
        connection.send(b''.join(request_bytes('GET', f'/kv/{escape_key(key)}') for key in keys))
        for op in ops:
            take_in(op, connection.read(timeout=5 * SLOW))
            op.completed = time.monotonic_ns()
            expect(op.outcome == 'ok', lambda op=op: f'a final read failed: {op}')
    finally:
        connection.close()
    return ops


class Scene:
    """with Scene(cluster, seed, some) as scene: ...   A cluster with clients. The block begins when
    `some` of their writes have been acknowledged. At its end the history is checked, unless it
    failed before, and the cluster learns whether it failed."""

    def __init__(self, cluster, seed, some, **more):
        self.cluster = cluster
        self.load = Workload(cluster, seed, **more)
        self.some = some

    def prepare(self):
        """Runs before the clients start."""

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.cluster)
            self.prepare()
            stack.push(self.judge)
            stack.enter_context(self.load)
            self.load.wait_acknowledged(self.some)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *ended):
        return self.stack.__exit__(*ended)

    def judge(self, kind, error, trace):
        """Runs after the last client has ended, and before the cluster ends."""
        del kind, trace
        if error is None:
            self.verify()

    def verify(self):
        self.load.verify()
        self.load.expect_no_errors_where_up()
