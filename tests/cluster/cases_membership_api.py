"""Changes of the members as clients see them: POST /cluster/members, GET /cluster and
`vesper cluster`, over the nodes of the list."""

import json
import subprocess

from cases_members import start_joiner, verbose
from harness import SLOW, Cluster, free_ports, wait_for
from http_api import Broken, NotSent
from runner import case, expect, expect_equal


def change(node, body, query='?timeout=10s'):
    api = node.api(15 * SLOW)
    try:
        return api.request('POST', '/cluster/members' + query, json.dumps(body).encode())
    finally:
        api.close()


def changed(node, body, query='?timeout=10s'):
    """Asks until no other change is in progress, and expects a 200."""
    def ask():
        reply = change(node, body, query)
        if reply.status == 503 or (reply.status == 409 and reply.code == 'change_in_progress'):
            return None
        return reply
    reply = wait_for(f'no other change before {body}', ask)
    expect_equal(reply.status, 200, f'{body}: {reply}')
    result = reply.json()
    expect(not result['configuration']['joint'], lambda: f'{body}: {reply}')
    return result


def members(node):
    """The rows of GET /cluster by id."""
    reply = node.api().request('GET', '/cluster?timeout=2s')
    expect_equal(reply.status, 200, f'{reply}')
    return {row['id']: row for row in reply.json()['members']}


def retire(node):
    """A node that was removed learns it, and ends by itself."""
    node.begin_down()
    expect_equal(node.reap(10), 13, f'the exit code of {node}')


def expect_serving(cluster):
    for node in cluster.serving():
        expect_equal(node.api().put(f'by{node.id}', b'v').status, 200, f'a write to {node}')
        expect_equal(node.api().get(f'by{node.id}').status, 200, f'a read of {node}')


def vesper(cluster, *args):
    urls = ','.join(node.url for node in cluster.serving())
    return subprocess.run([cluster.binary, *args, '--endpoints', urls, '--timeout', '10s'],
                          capture_output=True, timeout=60 * SLOW, check=False)


@case('GET /cluster shows the same members on every node, and what the leader knows of them')
def _(binary):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        expect_equal(leader.api().put('name', b'v').status, 200, 'a write')

        def is_caught_up(node):
            rows = members(node)
            return (sorted(rows) == [0, 1, 2]
                    and all(row['state'] == 'replicating' and row['lag'] == 0 and row['voter']
                            and row['reachable'] and len(row['incarnation']) == 16
                            for row in rows.values()))
        for node in cluster.nodes:
            wait_for(f'{node} to show all members', lambda n=node: is_caught_up(n))
            rows = members(node)
            expect_equal([row['address'] for row in rows.values()], [n.url for n in cluster.nodes],
                         'the addresses')
            expect_equal([i for i, row in rows.items() if row.get('leader')], [leader.id],
                         'the leader')
        down = next(n for n in cluster.nodes if n is not leader)
        down.kill()
        for node in cluster.serving():
            wait_for('the member to be unreachable',
                     lambda n=node: members(n)[down.id]['state'] == 'unreachable')
        # The last one has no leader. It reports what it knows itself.
        leader.kill()
        last = cluster.serving()[0]

        def is_alone():
            rows = members(last)
            return rows if 'lag' not in rows[last.id] and not rows[leader.id]['reachable'] else None
        alone = wait_for('the leader to be missed', is_alone)
        expect('match_index' not in alone[leader.id], lambda: f'{alone}')
        expect('match_index' in alone[last.id], lambda: f'{alone}')


@case('a follower is removed, and the rest serves')
def _(binary):
    with Cluster(binary, 3) as cluster:
        out, asked = cluster.followers()
        changed(asked, {'remove': [out.id]})
        retire(out)
        cluster.wait_leader()
        for node in cluster.serving():
            expect_equal(sorted(members(node)), sorted(n.id for n in cluster.serving()), 'members')
        expect_serving(cluster)
        reply = change(asked, {'remove': [out.id]})
        expect_equal((reply.status, reply.code), (400, 'invalid_field'), f'{reply}')
        expect_equal(reply.json()['field'], 'remove[0]', f'{reply}')


@case('a member is demoted and promoted again')
def _(binary):
    with Cluster(binary, 3) as cluster:
        one, asked = cluster.followers()
        changed(asked, {'demote': [one.id]})
        expect_equal(members(asked)[one.id]['voter'], False, 'the demoted member')
        expect_serving(cluster)
        result = changed(asked, {'promote': [one.id]}, '?wait=30s&timeout=10s')
        expect('pending' not in result, lambda: f'{result}')
        row = members(asked)[one.id]
        expect_equal((row['voter'], row.get('goal')), (True, None), 'the promoted member')
        expect_serving(cluster)


@case('the leader is removed by a request to itself, which is answered, and another one leads')
def _(binary):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        result = changed(leader, {'remove': [leader.id]}, '?wait=30s&timeout=10s')
        expect('pending' not in result, lambda: f'{result}')
        retire(leader)
        cluster.wait_leader()
        for node in cluster.serving():
            wait_for(f'{node} to show two members', lambda n=node: len(members(n)) == 2)
        expect_serving(cluster)


@case('a change that would lose the quorum is refused, unless it is forced')
def _(binary):
    with Cluster(binary, 3) as cluster:
        down, up = cluster.followers()
        leader = cluster.wait_leader()
        down.kill()
        wait_for('the leader to miss it',
                 lambda: members(leader)[down.id]['state'] == 'unreachable')

        def refusal():
            reply = change(up, {'remove': [up.id]}, '?timeout=1s')
            return reply if reply.status == 409 else None
        reply = wait_for('a refusal', refusal)
        expect_equal(reply.code, 'would_lose_quorum', f'{reply}')
        expect_equal(reply.json()['missing'], [down.id], f'{reply}')
        expect_equal(len(members(up)), 3, 'the members')
        # Forced, it begins, and cannot end before the missing member is back.
        reply = change(leader, {'remove': [up.id]}, '?force&timeout=1s')
        expect_equal((reply.status, reply.code), (504, 'outcome_unknown'), f'{reply}')
        down.start()

        def is_complete():
            try:
                return sorted(members(leader)) == sorted([leader.id, down.id])
            except (NotSent, Broken):
                return False
        wait_for('the change to be complete', is_complete)
        retire(up)
        cluster.wait_leader()
        expect_serving(cluster)


@case('vesper cluster shows and changes the members')
def _(binary):
    with Cluster(binary, 3) as cluster:
        one, asked = cluster.followers()
        shown = vesper(cluster, 'cluster')
        expect_equal(shown.returncode, 0, f'{shown}')
        lines = shown.stdout.decode().splitlines()
        expect_equal(len(lines), 4, f'{shown}')
        expect(lines[0].split() == 'ID NAME ADDRESS ROLE STATE MATCH LAG GOAL'.split(),
               lambda: f'{shown}')
        done = vesper(cluster, 'cluster', 'demote', str(one.id), '--wait', '20s', '-o', 'json')
        expect_equal(done.returncode, 0, f'{done}')
        expect(json.loads(done.stdout)['configuration']['index'] > 0, lambda: f'{done}')
        expect_equal(members(asked)[one.id]['voter'], False, 'the demoted member')
        taken = vesper(cluster, 'cluster', 'add', one.url)
        expect_equal(taken.returncode, 4, f'{taken}')
        expect(b'address_taken' in taken.stderr, lambda: f'{taken}')
        unknown = vesper(cluster, 'cluster', 'remove', '9')
        expect_equal(unknown.returncode, 1, f'{unknown}')


@case('an addition is taken in under another spelling of its address, also by the next leader')
def _(binary):
    with Cluster(binary, 3) as cluster:
        expect_equal(cluster.wait_leader().api().put('name', b'a').status, 200, 'a write')
        node = start_joiner(cluster, aliases=['localhost'])
        try:
            leader = cluster.wait_leader()
            # Not registered yet: its process does not answer.
            node.pause()
            changed(leader, {'add': [{'address': f'{cluster.scheme}://localhost:{node.port}'}]})
            leader.kill()
            second = cluster.wait_leader()
            node.resume()
            wait_for(f'{node} to be a voter', lambda: members(second)[3]['voter'], 20)
            wait_for(f'{node} to be ready', node.is_ready)
            expect_equal(node.api().get('name').json()['value'], 'a', 'the value')
            cluster.restart(leader)
        finally:
            node.kill()


@case('a learner serves every read level, and neither votes nor leads')
def _(binary):
    with Cluster(binary, 3) as cluster:
        learner = start_joiner(cluster)
        cluster.nodes.append(learner)
        changed(cluster.nodes[0], {'add': [{'address': learner.url, 'learner': True}]})
        wait_for(f'{learner} to be ready', learner.is_ready)
        expect_equal((learner.status()['role'], members(learner)[3]['voter']), ('learner', False),
                     'its role')
        api = learner.api()
        expect_equal(api.put('name', b'a').status, 200, 'a write through it')
        for level, levels in (('linearizable', ['linearizable']), ('stale', ['stale']),
                              ('lease', ['lease', 'linearizable'])):
            reply = api.get('name', f'?consistency={level}')
            expect_equal(reply.status, 200, f'a read: {reply}')
            expect(reply.headers['vesper-consistency'] in levels, f'{level}: {reply.headers}')
        for node in cluster.serving():
            reply = node.api(15 * SLOW).request('POST', '/cluster/transfer?to=3')
            expect_equal((reply.status, reply.code), (400, 'invalid_parameter'), f'{reply}')
        # With the learner's vote, the last voter would have a majority of three, and of four.
        first, second, last = cluster.nodes[:3]
        first.kill()
        second.kill()
        for node in (last, learner):
            wait_for(f'{node} to miss the leader', lambda n=node: n.status()['leader'] is None)
            expect_equal(node.api().put('name', b'b', '?timeout=1s').status, 503, 'a write')
            reply = node.api().get('name', '?consistency=stale')
            expect_equal((reply.status, reply.json()['value']), (200, 'a'), f'{reply}')
        expect_equal(learner.status()['role'], 'learner', 'its role')
        cluster.restart(first, second)


@case('an addition that never catches up blocks no other member, and can be withdrawn')
def _(binary):
    with Cluster(binary, 3) as cluster:
        asked = cluster.nodes[0]
        beside, other = (start_joiner(cluster, f'new{n}') for n in range(2))
        cluster.nodes += [beside, other]
        nowhere = f'{cluster.scheme}://127.0.0.1:{free_ports(1)[0]}'
        both = {'add': [{'address': nowhere}, {'address': beside.url}]}
        result = changed(asked, both, '?wait=300ms&timeout=10s')
        expect_equal(result['pending'], [3, 4], 'who is waited for')
        # The other one has everything, but it votes only together with the one that is not there.
        lines = wait_for(f'{beside} to wait for nothing else', lambda: [
            line for lines in [verbose(beside).splitlines()] for line in lines
            if sum(each.startswith('[-]') for each in lines) == 1 and line.startswith('[-]')])
        expect_equal(lines, ['[-]voter catching up'], 'why it is not ready')
        expect_equal(beside.api().request('GET', '/readyz').status, 503, 'its readiness')
        result = changed(asked, {'add': [{'address': other.url}]}, '?wait=30s&timeout=10s')
        expect('pending' not in result, lambda: f'{result}')
        wait_for(f'{other} to be ready', other.is_ready)
        for goal, voter in (('demote', False), ('promote', True)):
            result = changed(asked, {goal: [2]}, '?wait=30s&timeout=10s')
            expect('pending' not in result, lambda: f'{result}')
            expect_equal(members(asked)[2]['voter'], voter, f'{goal}d')
        rows = members(asked)
        expect_equal([(i, rows[i]['voter'], rows[i].get('goal')) for i in sorted(rows)],
                     [(0, True, None), (1, True, None), (2, True, None), (3, False, 'vote'),
                      (4, False, 'vote'), (5, True, None)], 'the members')
        changed(asked, {'remove': [3]})
        wait_for(f'{beside} to be ready', beside.is_ready)
        expect_equal([i for i, row in members(asked).items() if not row['voter']], [],
                     'the learners')
        expect_serving(cluster)
