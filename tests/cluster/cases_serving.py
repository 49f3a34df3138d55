"""The contract from outside (docs/http-api.md): what every node replies, and what one connection or
one client must not be able to do to the others."""

import json
import threading
import time

from harness import LONG, SLOW, Cluster, wait_for
from http_api import Broken, escape_key, request_bytes
from runner import case, expect, expect_equal

MIB = 1 << 20


@case('a follower serves writes and linearizable reads')
def _(binary):
    with Cluster(binary, 3) as cluster:
        apis = [node.api() for node in cluster.nodes]
        for turn in range(90):
            write, read = apis[turn % 3], apis[(turn + 1 + turn // 3) % 3]
            put = write.put('turn', str(turn))
            expect_equal(put.status, 200, f'{put}')
            got = read.get('turn')
            expect_equal(got.json()['value'], str(turn), 'the value on another node')
            expect_equal(got.headers['etag'], put.headers['etag'], 'ETag')
            expect(int(got.headers['vesper-revision']) >= put.json()['revision'], f'{got}')


@case('put, get and delete count revisions as documented')
def _(binary):
    with Cluster(binary, 3) as cluster:
        node = cluster.followers()[0]
        api = node.api()
        expect_equal(api.get('name').status, 404, 'absent')
        expect_equal(api.get('name').code, 'key_not_found', 'code')
        expect_equal(api.put('name', 'a').json(),
                     {'key': 'name', 'revision': 2, 'create_revision': 2, 'version': 1}, 'create')
        expect_equal(api.put('name', 'a').json(),
                     {'key': 'name', 'revision': 3, 'create_revision': 2, 'version': 2}, 'again')
        got = api.get('name')
        expect_equal(got.json(), {'key': 'name', 'value': 'a', 'revision': 3,
                                  'create_revision': 2, 'version': 2}, 'get')
        expect_equal(got.headers['etag'], '"3"', 'ETag')
        expect_equal(api.get('name', '?raw').body, b'a', 'raw')
        expect_equal(api.delete('name').json(), {'deleted': 1, 'revision': 4}, 'delete')
        expect_equal(api.delete('name').json(), {'deleted': 0, 'revision': 4}, 'delete of nothing')
        refused = api.delete('name', headers={'If-Match': '*'})
        expect_equal((refused.status, refused.json()['current_revision']), (412, 0), 'If-Match')
        expect_equal(api.put('name', 'b').json()['version'], 1, 'version after deletion')
        for header in ('vesper-node', 'vesper-leader', 'vesper-revision', 'date'):
            expect(header in got.headers, f'no {header} in {got}')
        expect_equal(got.headers['vesper-node'], str(node.id), 'Vesper-Node')
        unchanged = api.get('name', headers={'If-None-Match': '"5"'})
        expect_equal(unchanged.status, 304, 'If-None-Match of the current revision')


@case('of many concurrent writes that require an absent key exactly one succeeds')
def _(binary):
    with Cluster(binary, 3) as cluster:
        race_round(cluster, 'warm')
        for turn in range(30 if LONG else 10):
            race_round(cluster, f'race/{turn}')


def race_round(cluster, key):
    replies, barrier = [], threading.Barrier(9)

    def contend(node, value):
        api = node.api()
        barrier.wait()
        replies.append((value, api.put(key, value, headers={'If-None-Match': '*'})))
        api.close()
    threads = [threading.Thread(target=contend, args=(cluster.nodes[i % 3], str(i)))
               for i in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [(v, r) for v, r in replies if r.status == 200]
    losers = [r for _, r in replies if r.status == 412]
    expect_equal((len(winners), len(losers)), (1, 8), f'{key}: {replies}')
    value, won = winners[0]
    expect_equal(cluster.nodes[0].api().get(key).json()['value'], value, 'the stored value')
    for loser in losers:
        expect_equal(loser.json()['current_revision'], won.json()['revision'], 'current_revision')


@case("the seed's client gets its answers from every node")
def _(binary):
    with Cluster(binary, 3) as cluster:
        for node in cluster.nodes:
            api = node.api()
            key = f'name{node.id}'
            expect_equal(api.seed('GET', key).json(),
                         {'code': 'fail', 'payload': {'key': key}}, 'absent')
            expect_equal(api.seed('PUT', key, 'Kyle Chard').json(), {'code': 'success'}, 'put')
        for node in cluster.nodes:
            for other in cluster.nodes:
                expect_equal(node.api().seed('GET', f'name{other.id}').json(),
                             {'code': 'success', 'payload': {'key': f'name{other.id}',
                                                             'value': 'Kyle Chard'}}, 'get')
        api = cluster.followers()[0].api()
        value = {'b': [1, None, {'a': 'é'}], 'a': True}
        api.seed('PUT', 'json', value)
        expect_equal(json.dumps(api.seed('GET', 'json').json()['payload']['value']),
                     json.dumps(value), 'a JSON value, its members in their order')
        plain = cluster.nodes[0].api()
        expect_equal(plain.get('name0').json()['value'], 'Kyle Chard', 'one key space with /kv')
        plain.put('name0', 'changed')
        expect_equal(api.seed('GET', 'name0').json()['payload']['value'], 'changed', 'from /kv')
        bad = api.request('PUT', '/request', b'{"type":"put","payload":{"key":""}}')
        expect_equal(bad.status, 400, f'{bad}')
        expect('code' in bad.json(), f'{bad}')


@case("without a leader the seed's client gets an answer within 900 ms, and it is not a success")
def _(binary):
    with Cluster(binary, 3) as cluster:
        for left in (cluster.wait_leader(), cluster.followers()[0]):
            api = left.api()
            expect_equal(api.seed('PUT', 'name', 'before').json(), {'code': 'success'}, 'before')
            victims = [node for node in cluster.nodes if node is not left]
            for victim in victims:
                victim.pause()
            no_leader(api, 'name')
            wait_for('the node to notice that there is no leader',
                     lambda left=left: left.status()['leader'] is None)
            expect_equal(no_leader(api, 'name').json(), {'code': 'fail', 'reason': 'no_leader'},
                         'PUT after the node noticed that there is no leader')
            for victim in victims:
                victim.resume()
            cluster.wait_ready()
            cluster.wait_leader()


def no_leader(api, key):
    """One PUT and one GET; returns the reply to the PUT."""
    begin = time.monotonic()
    put = api.seed('PUT', key, 'after', timeout=3 * SLOW)
    middle = time.monotonic()
    get = api.seed('GET', key, timeout=3 * SLOW)
    took = (middle - begin, time.monotonic() - middle)
    expect(max(took) < 0.9 * SLOW + 0.05, f'{took} s')
    known = (200, {'code': 'fail', 'reason': 'no_leader'})
    expect((put.status, put.json()) == known or (put.status, put.code) == (504, 'outcome_unknown'),
           f'PUT without a leader: {put}')
    expect_equal((get.status, get.json()),
                 (200, {'code': 'fail', 'payload': {'key': key}, 'reason': 'no_leader'}), 'GET')
    return put


@case('a value of 8 MiB can be written to one node and read from all, a larger one is refused')
def _(binary):
    with Cluster(binary, 3) as cluster:
        value = bytes(range(256)) * (8 * MIB // 256)
        put = cluster.followers()[0].api(20).put('big', value, '?timeout=20s', timeout=20 * SLOW)
        expect_equal(put.status, 200, f'{put}')
        for node in cluster.nodes:
            got = node.api().get('big', '?raw', timeout=20 * SLOW)
            expect(got.status == 200 and got.body == value, f'{node}: {got}')
        for node in cluster.nodes:
            reply = node.api().put('big', value + b'x', timeout=20 * SLOW)
            expect_equal((reply.status, reply.code), (413, 'value_too_large'), f'{reply}')
            expect_equal(reply.json()['limit'], 8 * MIB, 'limit')
        cluster.wait_equal(20)


@case('large values can be written through all nodes at once')
def _(binary):
    with Cluster(binary, 3) as cluster:
        term = cluster.wait_leader().status()['term']
        value = b'v' * (4 * MIB)

        def write(node):
            api = node.api(30)
            for n in range(3):
                reply = api.put(f'big/{node.id}/{n}', value, '?timeout=30s', timeout=35 * SLOW)
                replies.append(reply.status)
        replies = []
        threads = [threading.Thread(target=write, args=(node,)) for node in cluster.nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect_equal(replies, [200] * 9, 'answers')
        cluster.wait_equal(30)
        # Large messages do not delay heartbeats. A busy machine may also lose a leader, though.
        if LONG and SLOW == 1:
            expect_equal(cluster.wait_leader().status()['term'], term, 'the term afterwards')


@case('pipelined requests take effect and are answered in order')
def _(binary):
    with Cluster(binary, 3) as cluster:
        for node in cluster.nodes:
            connection = node.connect()
            data, expected = b'', []
            for n in range(40):
                data += request_bytes('PUT', '/kv/pipe', str(n).encode())
                data += request_bytes('GET', '/kv/pipe')
                data += request_bytes('GET', '/kv/nothing?raw')
                expected += [(200, None), (200, str(n)), (404, None)]
            connection.send(data)
            last = 0
            for status, value in expected:
                reply = connection.read(timeout=10 * SLOW)
                expect_equal(reply.status, status, f'{reply}')
                if value is not None:
                    expect_equal(reply.json()['value'], value, 'a read after the write before it')
                revision = int(reply.headers['vesper-revision'])
                expect(revision >= last, f'{revision} after {last}')
                last = revision
            connection.close()


@case('a client that sends slowly does not delay others')
def _(binary):
    with Cluster(binary, 3) as cluster:
        node = cluster.wait_leader()
        head = node.connect()
        head.send(b'PUT /kv/slow HTTP/1.1\r\nHost: localhost\r\nContent-Le')
        body = node.connect()
        body.send(b'PUT /kv/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234')
        api = node.api()
        slowest = 0.0
        for n in range(50):
            begin = time.monotonic()
            expect_equal(api.put('quick', str(n)).status, 200, 'a quick client')
            slowest = max(slowest, time.monotonic() - begin)
        expect(slowest < 1 * SLOW, f'a quick client waited {slowest:.2f} s')
        body.send(b'56789')
        expect_equal(body.read().status, 200, 'the slow body, finished')
        head.send(b'ngth: 3\r\n\r\nabc')
        expect_equal(head.read().status, 200, 'the slow head, finished')
        expect_equal(api.get('slow').json()['value'], 'abc', 'the slow value')


@case('a client that does not read its answers does not delay others')
def _(binary):
    with Cluster(binary, 3) as cluster:
        node = cluster.wait_leader()
        api = node.api()
        api.put('large', b'x' * MIB)
        deaf = node.connect()
        deaf.send(request_bytes('GET', '/kv/large?raw') * 200)
        for n in range(50):
            expect_equal(api.put('quick', str(n)).status, 200, 'a quick client')
        for _ in range(200):
            expect_equal(len(deaf.read(timeout=10 * SLOW).body), MIB, 'the late answer')


@case('Expect: 100-continue gets a 100 before the body, or a 413 if the body is too large')
def _(binary):
    with Cluster(binary, 1) as cluster:
        node = cluster.nodes[0]
        connection = node.connect()
        head = 'PUT /kv/curl HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n'
        connection.send(f'{head}Content-Length: 5\r\n\r\n'.encode())
        expect_equal(connection.read().status, 100, 'before the body')
        connection.send(b'hello')
        expect_equal(connection.read().status, 200, 'after the body')
        connection.send(f'{head}Content-Length: {8 * MIB + 1}\r\n\r\n'.encode())
        reply = connection.read()
        expect_equal((reply.status, reply.code), (413, 'value_too_large'), f'{reply}')
        expect_equal(reply.headers.get('connection'), 'close', 'Connection')
        expect_equal(node.api().get('curl').json()['value'], 'hello', 'the value')


@case('HTTP/1.0 and Connection: close end the connection after the answer')
def _(binary):
    with Cluster(binary, 1) as cluster:
        node = cluster.nodes[0]
        for version, headers in (('HTTP/1.0', {}), ('HTTP/1.1', {'Connection': 'close'})):
            connection = node.connect()
            connection.send(request_bytes('PUT', '/kv/old', b'1', headers, version))
            expect_equal(connection.read().status, 200, version)
            expect(connection.at_end(), f'{version} {headers}: still open after the answer')


@case('keys are bytes: no path is normalized into another key')
def _(binary):
    with Cluster(binary, 1) as cluster:
        api = cluster.nodes[0].api()
        keys = [b'a/b', b'a//b', b'a/', b'/a', b'.', b'..', b'a/../b', b'a+b', b'a b', b'\0',
                b'\xff\xfe', 'é'.encode(), b'?', b'%41', b'k' * 4096]
        for key in keys:
            expect_equal(api.put(key, key.hex()).status, 200, f'put {key[:20]!r}')
        for key in keys:
            reply = api.get(key)
            expect_equal(reply.json()['value'], key.hex(), f'get {key[:20]!r}')
        expect_equal(api.request('GET', '/kv/a%2fb').json()['value'], b'a/b'.hex(), '%2f is /')
        expect_equal(api.request('DELETE', '/kv/').code, 'invalid_key', 'the empty key')
        expect_equal(api.get(b'k' * 4097).status, 400, 'a key of 4097 bytes')
        unread = api.request('GET', f'/kv/{escape_key(keys[10])}')
        expect('key_base64' in unread.json(), f'a key that is not UTF-8: {unread}')


@case('a request that could smuggle another is refused, and nothing after it is answered')
def _(binary):
    with Cluster(binary, 1) as cluster:
        node = cluster.nodes[0]
        put = 'PUT /kv/s HTTP/1.1\r\nHost: localhost\r\n'
        hostile = [
            f'{put}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
            f'{put}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
            f'{put}Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n',
            f'{put}Content-Length : 3\r\n\r\nabc',
            f'{put}X: a\r\n b\r\nContent-Length: 3\r\n\r\nabc',
            'GET /kv/s HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n',
            'GET /kv/s HTTP/1.1\r\n\r\n',
            'GET  /kv/s HTTP/1.1\r\nHost: localhost\r\n\r\n',
        ]
        for bytes_in in hostile:
            connection = node.connect()
            try:
                connection.send(bytes_in.encode() + request_bytes('GET', '/livez'))
                reply = connection.read()
            except Broken as broken:
                raise AssertionError(f'no answer to {bytes_in!r}') from broken
            expect_equal(reply.status, 400, f'{bytes_in!r}: {reply}')
            expect(connection.at_end(), f'{bytes_in!r}: something was answered after the 400')
        expect_equal(node.api().get('s').status, 404, 'nothing was written')


@case('status, livez, readyz and metrics answer on every node')
def _(binary):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        for node in cluster.nodes:
            view = node.status()
            expect_equal(view['role'], 'leader' if node is leader else 'follower', 'role')
            expect_equal([m['address'] for m in view['members']],
                         [n.url for n in cluster.nodes], 'members')
            for name in ('version', 'cluster', 'term', 'revision', 'last_index', 'commit_index',
                         'applied_index', 'digest', 'uptime_ms', 'limits'):
                expect(name in view, f'no {name} in {view}')
            api = node.api()
            expect_equal(api.request('GET', '/livez').status, 200, 'livez')
            ready = api.request('GET', '/readyz?verbose')
            expect(b'[+]' in ready.body, f'{ready}')
            metrics = api.request('GET', '/metrics').body.decode()
            expect('\nvesper_' in metrics, metrics[:300])
        expect_equal(len({node.status()['cluster'] for node in cluster.nodes}), 1, 'cluster ids')
