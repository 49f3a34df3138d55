"""Clusters over TLS whose clients need tokens: what holds through changes of the leader, restarts
and snapshots, and what a revocation ends."""

import json
import os
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'server'))

from cases_snapshots import installs
from harness import SLOW, wait_for
from http_api import request_bytes
from runner import case, expect, expect_equal
from secure_cluster import SecureCluster
from watching import Watch

READ_WRITE = [{'allow': 'read', 'prefix': 'app/'}, {'allow': 'write', 'prefix': 'app/'}]
ADMIN = [{'allow': 'admin'}]


class GuardedCluster(SecureCluster):
    """A started cluster with tokens. The harness itself has root's."""

    def __enter__(self):
        super().__enter__()
        try:
            self.start()
            self.enable(self.nodes[0])
        except BaseException as error:
            self.end(error)
            raise
        return self

    def enable(self, by):
        """Makes clients need tokens, and a new token of root, which it returns."""
        reply = by.api(20 * SLOW).request('POST', '/auth/enable')
        expect_equal(reply.status, 200, f'{reply}')
        for node in self.nodes:
            node.token = reply.json()['token']
        return by.token

    def add(self, name, rules, node=None):
        """The secret of a new token."""
        body = json.dumps({'name': name, 'rules': rules}).encode()
        reply = (node or self.nodes[0]).api(20 * SLOW).request('POST', '/auth/tokens', body)
        expect_equal(reply.status, 200, f'{reply}')
        return reply.json()['token']

    def revoke(self, name, node=None):
        reply = (node or self.nodes[0]).api(20 * SLOW).request('DELETE', f'/auth/tokens/{name}')
        expect_equal(reply.status, 200, f'{reply}')


def expect_rights(cluster, app, gone):
    """`app` may use app/ and nothing else, on every node; `gone` is no token any more."""
    for node in cluster.serving():
        api = node.api(20 * SLOW, app)
        expect_equal(api.put('app/a', f'{node.id}').status, 200, f'a write through {node}')
        expect_equal(api.get('app/a', '?raw').body, f'{node.id}'.encode(), f'a read at {node}')
        for reply in (api.put('b', '1'), api.get('b'), api.request('POST', '/cluster/transfer')):
            expect_equal((reply.status, reply.code), (403, 'forbidden'), f'{reply} of {node}')
        for token in (gone, 'vsp_' + 'x' * 43):
            reply = node.api(20 * SLOW, token).get('app/a')
            expect_equal((reply.status, reply.code), (401, 'unauthorized'), f'{reply} of {node}')


@case('tokens hold through kill -9 of the leader, a restart of all nodes, and a snapshot')
def _(binary):
    flags = ['--snapshot-entries', '50', '--log-tail-entries', '10', '--log-tail-bytes', '1000']
    with GuardedCluster(binary, 3, flags=flags) as cluster:
        app = cluster.add('app', READ_WRITE, cluster.nodes[1])
        gone = cluster.add('gone', READ_WRITE, cluster.nodes[2])
        cluster.revoke('gone')
        expect_rights(cluster, app, gone)
        leader = cluster.wait_leader()
        leader.kill()
        cluster.wait_leader()
        expect_rights(cluster, app, gone)
        away = cluster.wait_leader()
        api = away.api(20 * SLOW, app)
        for i in range(200):
            expect_equal(api.put('app/fill', str(i)).status, 200, 'a write')
        before = installs(leader)
        leader.start()
        wait_for('the snapshot', lambda: installs(leader) > before, 30)
        cluster.wait_ready()
        expect_rights(cluster, app, gone)
        for node in cluster.nodes:
            node.kill()
        cluster.restart(*cluster.nodes)
        cluster.wait_leader()
        expect_rights(cluster, app, gone)
        cluster.wait_equal()


def put_while_it_lags(node, hand_out):
    """The reply to a write with the token that `hand_out()` returns, while the node stands still.
    When it goes on, it finds the write together with what the cluster did meanwhile."""
    api = node.api(40 * SLOW)
    expect_equal(api.request('GET', '/status').status, 200, f'a request to {node}')
    node.pause()
    token = hand_out()
    api.connection.send(request_bytes('PUT', '/kv/app/a', b'v',
                                      [('Authorization', f'Bearer {token}')]))
    node.resume()
    node.end_down()
    reply = api.connection.read('PUT', 40 * SLOW)
    api.close()
    return reply


@case('a follower that lags takes a token that was handed out a moment ago')
def _(binary):
    with GuardedCluster(binary, 3) as cluster:
        for i in range(4):
            leader, lagging = cluster.wait_leader(), cluster.followers()[i % 2]
            reply = put_while_it_lags(
                lagging, lambda i=i: cluster.add(f'app{i}', READ_WRITE, leader))
            expect_equal(reply.status, 200, f'{lagging}: {reply}')
            # Nor does it matter that the node believes that clients need none.
            reply = leader.api(20 * SLOW).request('POST', '/auth/disable')
            expect_equal(reply.status, 200, f'{reply}')
            cluster.wait_equal()
            reply = put_while_it_lags(lagging, lambda: cluster.enable(leader))
            expect_equal(reply.status, 200, f'{lagging}: {reply}')


@case('a token is valid on every node as soon as one has handed it out')
def _(binary):
    with GuardedCluster(binary, 3) as cluster:
        for i in range(30):
            app = cluster.add(f'app{i}', READ_WRITE, cluster.nodes[i % 3])
            for node in cluster.nodes:
                expect_equal(node.api(20 * SLOW, app).put('app/a', '1').status, 200, f'{node}')
                expect_equal(node.api(20 * SLOW, app).get('app/a').status, 200, f'{node}')


@case('a wrong token is answered slowly, and slows no other client')
def _(binary):
    with GuardedCluster(binary, 3) as cluster:
        app = cluster.add('app', READ_WRITE)
        node = cluster.followers()[0]
        wrong = node.api(20 * SLOW, 'vsp_' + 'x' * 43)
        began = time.monotonic()
        for _ in range(3):
            expect_equal(wrong.get('app/a').status, 401, 'a wrong token')
        # A connection has one wrong token in each second; the first is answered within one.
        expect(time.monotonic() - began > 1.9, 'wrong tokens are answered at once')
        slow, right = node.connect(20 * SLOW), node.api(20 * SLOW, app)
        slow.send(b'GET /kv/app/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer no\r\n\r\n')
        for i in range(20):
            expect_equal(right.put('app/a', str(i)).status, 200, 'a write with a right token')
        expect_equal(slow.read(timeout=20 * SLOW).status, 401, 'a wrong token')


def watch(node, token):
    stream = Watch(node.port, '?prefix=app/&format=ndjson', tls=node.tls,
                   headers=[('Authorization', f'Bearer {token}')], timeout=30 * SLOW)
    expect_equal(stream.status, 200, f'a watch at {node}')
    return stream


@case('a leader that loses its majority serves its tokens, and holds their writes, until the next')
def _(binary):
    with GuardedCluster(binary, 3) as cluster:
        app = cluster.add('app', READ_WRITE)
        leader, others = cluster.wait_leader(), cluster.followers()
        stream, api = watch(leader, app), leader.api(30 * SLOW, app)
        expect_equal(api.put('app/a', '1').status, 200, 'a write')
        for node in others:
            node.pause()
        wait_for('the leader to step down',
                 lambda: leader.api().request('GET', '/status').json()['role'] != 'leader')
        expect_equal(api.get('app/a', '?raw&consistency=stale').body, b'1', 'a stale read')
        api.connection.send(request_bytes('PUT', '/kv/app/a?timeout=30s', b'2',
                                          [('Authorization', f'Bearer {app}')]))
        stranger = leader.api(20 * SLOW, 'vsp_' + 'x' * 43)  # only a leader could know its token
        began = time.monotonic()
        for reply in (stranger.get('app/a', '?timeout=300ms'), stranger.seed('GET', 'app/a')):
            expect_equal(reply.status, 503, f'{reply}')
        expect(time.monotonic() - began < 3 * SLOW, 'a request outlasts its timeout')
        for node in others:
            node.resume()
            node.end_down()
        reply = api.connection.read('PUT', 30 * SLOW)
        expect_equal(reply.status, 200, f'{reply}')
        seen = []
        while len(seen) < 2:
            line = stream.line()
            expect(line['type'] != 'closed', f'a watch has ended: {line}')
            if line['type'] == 'put':
                seen.append(line['value'])
        expect_equal(seen, ['1', '2'], 'what the watch has shown')
        stream.close()


@case('a revocation ends the watches of its token on every node, and no other')
def _(binary):
    with GuardedCluster(binary, 3) as cluster:
        app, other = cluster.add('app', READ_WRITE), cluster.add('other', READ_WRITE)
        ending = [watch(node, app) for node in cluster.nodes]
        lasting = [watch(node, other) for node in cluster.nodes]
        cluster.revoke('app')
        for stream in ending:
            last = {}
            while last.get('type') != 'closed':
                last = stream.line()
            expect_equal(last['code'], 'unauthorized', 'why a watch has ended')
            stream.close()
        api = cluster.nodes[0].api(20 * SLOW, other)
        expect_equal(api.put('app/a', '1').status, 200, 'a write')
        for stream in lasting:
            while stream.line().get('key') != 'app/a':
                pass
            stream.close()


@case('a follower that lags carries out nothing for an administrator whose token is revoked')
def _(binary):
    with GuardedCluster(binary, 3) as cluster:
        acts = [('/cluster/transfer?timeout=30s', None),
                ('/cluster/members?timeout=30s', b'{"remove":[%d]}')]
        for i, (path, body) in enumerate(acts * 2):
            leader = cluster.wait_leader()
            lagging, other = cluster.followers()
            ops = lagging.api(40 * SLOW, cluster.add(f'ops{i}', ADMIN))
            expect_equal(ops.request('GET', '/status').status, 200, 'the token is known there')
            lagging.pause()
            cluster.revoke(f'ops{i}', leader)
            # The follower finds the request and the revocation when it goes on.
            ops.connection.send(request_bytes('POST', path, body and body % other.id,
                                              [('Authorization', f'Bearer {ops.token}')]))
            lagging.resume()
            lagging.end_down()
            reply = ops.connection.read('POST', 40 * SLOW)
            expect_equal((reply.status, reply.code), (401, 'unauthorized'), f'{path}: {reply}')
            ops.close()
            cluster.wait_ready()
        shown = leader.api().request('GET', '/cluster').json()['members']
        expect_equal(len(shown), 3, 'members')


COMMANDS = [
    (['put', 'app/a', '1'], None), (['get', 'app/a'], None), (['increment', 'app/n'], None),
    (['append', 'app/a', 'x'], None), (['history', 'app/a'], None), (['list', 'app/'], None),
    (['txn'], '{"then":[{"get":{"key":"app/a"}}]}'), (['export'], None),
    (['import', '-'], '{"key":"app/i","value":"1"}\n'), (['lease', 'grant', '1m'], None),
    (['lease', 'list'], None), (['lock', 'l', '--', 'true'], None), (['lock', '--list'], None),
    (['elect', 'e', 'v', '--', 'true'], None), (['status'], None),
    (['top', '--once', '--interval', '100ms'], None), (['cluster'], None),
    (['cluster', 'transfer'], None), (['auth', 'token', 'list'], None), (['compact', '2'], None),
    (['delete', 'app/a'], None),
]


@case('every command takes a token file and a client certificate, and needs both')
def _(binary):
    cluster = GuardedCluster(binary, 3)
    for node in cluster.nodes:
        node.use(cluster.pki, '--tls-client-ca', cluster.pki.path('ca.crt'))
        node.tls = cluster.pki.context('client')
    with cluster:
        path = os.path.join(cluster.dir, 'root.token')
        with open(path, 'w', opener=lambda name, flags: os.open(name, flags, 0o600),
                  encoding='ascii') as f:
            f.write(cluster.nodes[0].token)
        proof = ['--cert', cluster.pki.path('client.crt'), '--key', cluster.pki.path('client.key')]
        token = ['--token-file', path]
        client = (['client', cluster.nodes[0].url, 'app/n'], None)
        for words, text in [*COMMANDS, client]:
            for code, flags in ((5, token), (7, proof), (0, [*proof, *token])):
                done = subprocess.run(
                    [binary, words[0], *cluster.pki.client_flags(), *flags, *words[1:]],
                    cwd=cluster.dir, input=text, capture_output=True, text=True,
                    timeout=60 * SLOW, check=False)
                expect_equal(done.returncode, code, f'{words} with {flags}: {done.stderr}')
            cluster.wait_leader()

