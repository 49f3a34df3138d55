"""GET /trace on real clusters: what one node tells of all of them (docs/http-api.md, "The
trace")."""

import json
import os
import socket
import sys
import threading
import time

from harness import SLOW, Cluster, wait_for
from runner import case, expect, expect_equal

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'server'))
from watching import Watch  # noqa: E402


class Trace(Watch):
    """Folds the events into the last known state of each node."""

    def __init__(self, node, timeout=20):
        super().__init__(node.port, timeout=timeout * SLOW, path='/trace', tls=node.tls)
        self.nodes, self.silent, self.seen = {}, set(), []

    def item(self):
        while 'data' not in (block := self.block()):
            pass
        expect('event' not in block, block)
        item = block['data']
        self.seen.append(item)
        self.fold(item)
        return item

    def fold(self, item):
        node, kind = item['node'], item['kind']
        if kind == 'state':
            self.nodes[node] = dict(item)
            self.silent.discard(node)
        elif kind == 'silent':
            self.silent.add(node)
        elif kind != 'dropped':
            expect(node in self.nodes and node not in self.silent, f'before its state: {item}')
        if kind == 'role':
            self.nodes[node].update({'leader': None, **item})
        elif kind == 'append':
            expect_equal(item['from'], self.nodes[node]['last_index'] + 1, f'{item}')
            self.nodes[node]['last_index'] = item['to']
        elif kind == 'truncate':
            self.nodes[node]['last_index'] = item['from'] - 1
        elif kind in ('commit', 'apply'):
            self.nodes[node]['applied_index' if kind == 'apply' else 'commit_index'] = item['index']

    def until(self, what, condition, seconds=10):
        """Reads until the condition holds. No read takes long: a state comes each second."""
        end = time.monotonic() + seconds * SLOW
        while not (found := condition()):
            expect(time.monotonic() < end, f'waited in vain for: {what}; {self.nodes}')
            self.item()
        return found

    def next_of(self, node, kind, seconds=10, **members):
        end = time.monotonic() + seconds * SLOW
        while True:
            item = self.item()
            if item['node'] == node and item['kind'] == kind and \
                    members.items() <= item.items():
                return item
            expect(time.monotonic() < end, f'no {kind} of node {node} with {members}')


def put(node, key, value='v'):
    api = node.api()
    try:
        reply = api.request('PUT', '/kv/' + key, value.encode())
        expect_equal(reply.status, 200, 'the status of a put')
    finally:
        api.close()


@case('a trace of any node shows the whole cluster, and a write on its way through it')
def _(binary):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        for node in cluster.nodes:
            with Trace(node) as trace:
                expect_equal((trace.status, trace.fields['content-type']),
                             (200, 'text/event-stream'), 'the answer')
                trace.until('a state of all', lambda: len(trace.nodes) == 3)
                for one in cluster.nodes:
                    state = trace.nodes[one.id]
                    expect_equal(state['role'], 'leader' if one is leader else 'follower', 'role')
                    expect_equal(state['leader'], leader.id, 'the leader')
                    expect_equal([(m['id'], m['address'], m['seat'])
                                  for m in state['configuration']['members']],
                                 [(n.id, n.url, 'voter') for n in cluster.nodes], 'members')
                    expect_equal('election' in state, one is not leader, f'{state}')
                last = trace.nodes[leader.id]['last_index']
                put(node, 'k')
                trace.next_of(leader.id, 'append', to=last + 1)
                trace.until('all to have applied it', lambda: all(
                    s['last_index'] == s['commit_index'] == s['applied_index'] == last + 1
                    for s in trace.nodes.values()))
                sent = [i for i in trace.seen if i['kind'] == 'send']
                expect({'append', 'append_reply', 'heartbeat'} <= {i['message'] for i in sent},
                       f'{sent}')
                expect({i['node'] for i in trace.seen} == {0, 1, 2}, 'nodes')


@case('times in a trace are those of one clock')
def _(binary):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        with Trace(cluster.followers()[0]) as trace:
            trace.until('a state of all', lambda: len(trace.nodes) == 3)
            # All processes of this machine have one clock: an offset that was measured is nearly 0.
            for _ in range(200):
                item = trace.item()
                age = time.clock_gettime(time.CLOCK_BOOTTIME) * 1000 - item['at']
                expect(-50 <= age <= 5000 * SLOW, f'{age} ms: {item}')
            follower = cluster.followers()[1].id
            timer = trace.next_of(follower, 'election')
            ahead = timer['deadline'] - timer['at']
            expect(0 < ahead <= 301 and abs(ahead - timer['timeout_ms']) < 50, f'{timer}')
            expect(leader.id != follower, 'a leader has no timer')


@case('a trace shows who dies, who is elected by which votes, and who comes back')
def _(binary):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        node, other = cluster.followers()
        with Trace(node) as trace:
            trace.until('a state of all', lambda: len(trace.nodes) == 3)
            term = trace.nodes[node.id]['term']
            leader.kill()
            killed = time.clock_gettime(time.CLOCK_BOOTTIME) * 1000
            silent = trace.next_of(leader.id, 'silent')
            after = time.clock_gettime(time.CLOCK_BOOTTIME) * 1000 - killed
            # 300 ms, and more on a machine that has other work to do.
            expect(after <= 300 * SLOW + 200, f'silent after {after} ms')
            expect(silent['at'] <= killed + 50, f'{silent}, killed at {killed}')
            trace.until('a new leader', lambda: any(
                i['kind'] == 'role' and i['role'] == 'leader' and i['term'] > term
                for i in trace.seen) or any(
                s['role'] == 'leader' and s['term'] > term for s in trace.nodes.values()))
            votes = [i for i in trace.seen if i['kind'] == 'vote' and i['term'] > term]
            winner = next(i['for'] for i in votes if not i['pre_vote'])
            expect(winner in (node.id, other.id), f'{votes}')
            tallies = [i for i in trace.seen if i['kind'] == 'votes']
            expect(tallies and all(i['needed'] == 2 for i in tallies), f'{tallies}')
            leader.start()
            back = trace.next_of(leader.id, 'state')
            expect(back['last_index'] >= 1, f'{back}')
            cluster.wait_ready()


@case('a node that is frozen becomes silent in a trace, and its state comes when it goes on')
def _(binary):
    with Cluster(binary, 3) as cluster:
        cluster.wait_leader()
        node, other = cluster.followers()
        with Trace(node) as trace:
            trace.until('a state of all', lambda: len(trace.nodes) == 3)
            other.pause()
            trace.next_of(other.id, 'silent')
            other.resume()
            trace.next_of(other.id, 'state')


SLOW_VIEWERS = 14


def connect_slowly(node):
    """A viewer that reads no more than the head of its reply. The kernel takes little for it."""
    viewer = socket.socket()
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    viewer.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    viewer.connect((node.host, node.port))
    if node.tls:
        viewer = node.tls.wrap_socket(viewer, server_hostname=node.host)
    viewer.sendall(b'GET /trace HTTP/1.1\r\nHost: localhost\r\n\r\n')
    expect_equal(viewer.recv(12), b'HTTP/1.1 200', 'the reply to a viewer')
    return viewer


def resident(node):
    """Bytes of memory."""
    with open(f'/proc/{node.process.pid}/statm', encoding='ascii') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def items_of(viewer):
    """What a viewer gets, which has read the first bytes of the reply."""
    viewer.settimeout(20 * SLOW)
    text = b''
    while True:
        data = viewer.recv(1 << 16)
        expect(data, 'the stream has ended')
        text += data
        *blocks, text = text.split(b'\n\n')
        for block in blocks:
            # A chunk may begin or end anywhere; an item that it cuts in two is left out.
            at = block.find(b'data: {')
            if at >= 0 and b'\r\n' not in block[at:]:
                yield json.loads(block[at + 6:])


@case('viewers that do not read cost bounded memory, miss what is counted, and then go on live')
def _(binary):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        with Trace(leader) as fast:
            fast.until('a state of all', lambda: len(fast.nodes) == 3)
            slow = [connect_slowly(leader) for _ in range(SLOW_VIEWERS)]
            before = resident(leader)
            stop = threading.Event()

            def write():
                api = leader.api()
                while not stop.wait(0.005):  # what is written takes memory, too
                    api.put('k', 'x')
                api.close()
            writer = threading.Thread(target=write)
            writer.start()
            try:
                # The ring has 1 MiB, some 3,300 events; their sockets and streams hold some more.
                fast.until('more events than a node keeps', lambda: len(fast.seen) > 7_000, 60)
                grown = resident(leader) - before
                end = time.clock_gettime(time.CLOCK_BOOTTIME) * 1000
                for viewer in slow:
                    missed, states = 0, set()
                    for item in items_of(viewer):
                        if item['kind'] == 'dropped':
                            missed += item['events']
                            states = set()
                        elif item['kind'] == 'state' and missed > 0:
                            states.add(item['node'])
                            expect(item['at'] > end - 5000 * SLOW, f'an old state: {item}')
                        if len(states) == 3:
                            break
                    expect(missed > 1000, f'{missed} events are said to be missing')
                    viewer.close()
            finally:
                stop.set()
                writer.join()
            # What they missed would be 14 times 0.8 MB of text.
            expect(grown < 8 << 20, f'the node has grown by {grown} bytes')
            expect_equal([item for item in fast.seen if item['kind'] == 'dropped'], [],
                         'what the viewer that reads has missed')


@case('a node refuses a seventeenth trace, and each ends with closed when the node stops')
def _(binary):
    with Cluster(binary, 1) as cluster:
        node = cluster.nodes[0]
        traces = [Trace(node) for _ in range(16)]
        expect_equal({t.status for t in traces}, {200}, 'the answers')
        with Trace(node) as more:
            expect_equal((more.status, more.problem['code']), (429, 'overloaded'), 'the refusal')
        traces[0].close()
        wait_for('room', lambda: Trace(node).status == 200)
        traces[1].until('a state', lambda: traces[1].nodes)
        expect_equal(node.terminate(5), 0, 'the exit code')
        while (block := traces[1].block()).get('event') != 'closed':
            pass
        expect_equal(block['data']['code'], 'shutting_down', json.dumps(block))
        for trace in traces:
            trace.close()
