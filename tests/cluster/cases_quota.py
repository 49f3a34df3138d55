"""A store at its quota, and a history that time compacts."""

import json

from harness import Cluster, wait_for
from runner import case, expect, expect_equal

QUOTA = 1 << 20
VALUE = b'.' * 10_000


def quota_of(node):
    return node.status()['quota']


def figure(node, name):
    lines = node.api().request('GET', '/metrics').body.decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f'vesper_{name} '))


def fill(api):
    """Writes keys until the quota refuses one."""
    written = 0
    while True:
        reply = api.put(f'k/{written}', VALUE)
        if reply.status != 200:
            expect_equal((reply.status, reply.code), (507, 'quota_exceeded'), 'the refusal')
            return
        written += 1
        expect(written < 1000, 'the quota refuses nothing')


def judge_full(cluster):
    """What a store at its quota refuses on every node, and what it does not."""
    for node in cluster.nodes:
        api = node.api()
        txn = json.dumps({'then': [{'put': {'key': 'a', 'value': '1'}}]}).encode()
        line = b'{"key":"a","value":"1"}\n'
        ndjson = {'Content-Type': 'application/x-ndjson'}
        for reply in (api.put('a', '1'), api.request('POST', '/kv/n?increment'),
                      api.request('POST', '/kv/a?append', b'1'), api.request('POST', '/txn', txn),
                      api.request('POST', '/locks/a?ttl=1s')):
            expect_equal((reply.status, reply.code), (507, 'quota_exceeded'), f'{node}: a write')
        imported = api.request('POST', '/kv', line, ndjson)
        last = json.loads(imported.body.splitlines()[-1])
        expect_equal(last.get('error', last)['code'], 'quota_exceeded', f'{node}: an import')
        expect_equal(api.get('a').status, 404, 'what was refused')
        read = json.dumps({'then': [{'get': {'key': 'a'}}]}).encode()
        expect_equal(api.request('POST', '/txn', read).status, 200, 'a transaction that reads')
        wait_for(f'{node} to show it', lambda node=node: quota_of(node)['state'] == 'exceeded')
        expect_equal((figure(node, 'quota_near'), figure(node, 'quota_exceeded')), (1, 1),
                     'the figures')


def wait_for_room(node):
    wait_for('writes to be taken again', lambda: node.api().put('again', '1').status == 200, 20)
    wait_for('the quota to end', lambda: quota_of(node)['state'] == 'fine')
    expect_equal((figure(node, 'quota_near'), figure(node, 'quota_exceeded')), (0, 0),
                 'the figures')


@case('a store at its quota refuses what makes it grow, and deletes make room')
def deletes_make_room(binary):
    flags = ['--store-bytes', '1MiB', '--keep-history', '1s']
    with Cluster(binary, 3, flags) as cluster:
        node = cluster.nodes[0]
        api = node.api()
        while quota_of(node)['state'] == 'fine':
            expect(quota_of(node)['used_bytes'] < QUOTA // 100 * 81, 'no warning at 80 percent')
            expect_equal(api.put(f'near/{node.status()["revision"]}', VALUE).status, 200, 'a put')
        expect_equal(quota_of(node)['state'], 'near', 'the state')
        expect_equal((figure(node, 'quota_near'), figure(node, 'quota_exceeded')), (1, 0),
                     'the figures')
        fill(api)
        judge_full(cluster)
        # The last write is the one that deletes everything. Nothing that it replaced may stay.
        expect(api.request('DELETE', '/kv?all').json()['deleted'] > 90, 'few keys are deleted')
        wait_for_room(node)
        expect(quota_of(node)['used_bytes'] < 1000, 'the deleted keys still count')
        # The same for a delete of most of what is there, by keys, and for a client that compacts.
        fill(api)
        api.put('left', '1')
        expect(api.request('DELETE', '/kv?prefix=k/').json()['deleted'] > 90, 'few are deleted')
        revision = node.status()['revision']
        api.request('POST', f'/compact?revision={revision}')
        wait_for_room(cluster.nodes[1])
        cluster.wait_equal()
        expect('refuse writes that make it grow' in ''.join(n.log_text() for n in cluster.nodes),
               'no line in the log')


@case('the history of a store without writes is compacted when its time has come')
def compacts_in_time(binary):
    with Cluster(binary, 3, ['--keep-history', '1s']) as cluster:
        api = cluster.nodes[1].api()
        for value in '123':
            api.put('a', value)
        newest = api.put('b', '1').json()['revision']
        wait_for('the compaction',
                 lambda: all(n.status()['history']['oldest_revision'] == newest
                             for n in cluster.nodes))
        reply = api.get('a', f'?revision={newest - 1}')
        expect_equal((reply.status, reply.code, reply.json()['oldest_revision']),
                     (410, 'compacted', newest), 'an old revision')
        expect_equal(api.get('a', f'?revision={newest}').json()['value'], '3', 'the value')
        # Without a quota in the way, the revision counts writes only.
        expect_equal(cluster.wait_equal()['revision'], newest, 'the revision')
