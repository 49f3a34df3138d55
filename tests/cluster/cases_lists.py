"""Lists that changed between two starts: the log names the members, the list their addresses."""

import json
import subprocess

from cases_members import change, start_joiner
from harness import SLOW, Cluster, Node, free_ports, wait_for
from http_api import Broken, NotSent
from runner import case, expect, expect_equal


def move(cluster, node):
    """Gives a stopped node another port, and writes it into the list."""
    node.port = free_ports(1)[0]
    node.url = f'{cluster.scheme}://{node.host}:{node.port}'
    cluster.write_list()


def leads(node):
    """Makes the node the leader, with a transfer unless it leads already."""
    try:
        return node.api().request('POST', f'/cluster/transfer?to={node.id}').status == 200
    except (NotSent, Broken):
        return False


def vesper_status(cluster):
    done = subprocess.run([cluster.binary, 'status', '--json'], cwd=cluster.dir,
                          capture_output=True, timeout=30 * SLOW, check=False)
    return done.returncode, json.loads(done.stdout)


def write_and_kill(cluster):
    """Kills all nodes once each of them has the write of a key."""
    expect_equal(cluster.nodes[0].api().put('name', 'a').status, 200, 'a write')
    cluster.wait_equal()
    for node in cluster.nodes:
        node.kill()


def announced_leader(node):
    return node.api().request('GET', '/').headers.get('vesper-leader')


@case('a member that moved is announced at its address in the list, not at the one in the log')
def _(binary):
    with Cluster(binary, 3) as cluster:
        write_and_kill(cluster)
        for node in cluster.nodes[:2]:
            move(cluster, node)
        cluster.restart(*cluster.nodes)
        for node in cluster.nodes:
            # Each node leads in turn, so that each is announced as the leader.
            moved = cluster.nodes[2].api().request('POST', f'/cluster/transfer?to={node.id}')
            expect_equal((moved.status, moved.json()['leader']), (200, node.url), 'a transfer')
            expect(cluster.wait_leader() is node, 'another node leads')
            for teller in cluster.nodes:
                expect_equal(announced_leader(teller), node.url, f'Vesper-Leader of {teller}')
                status = teller.status()
                expect_equal(status['address'], teller.url, 'its own address')
                expect_equal([member['address'] for member in status['members']],
                             [n.url for n in cluster.nodes], f'members of {teller}')
            code, report = vesper_status(cluster)
            expect_equal((code, report['leader']), (0, node.url), 'vesper status')
            expect_equal([(n['id'], n['reachable']) for n in report['nodes']],
                         [(0, True), (1, True), (2, True)], 'the nodes of vesper status')


@case('a node whose list is older than a move announces the address in its own list')
def _(binary):
    with Cluster(binary, 3) as cluster:
        expect_equal(cluster.nodes[0].api().put('name', 'a').status, 200, 'a write')
        cluster.wait_equal()
        for node in cluster.nodes[:2]:
            node.kill()
        before = cluster.nodes[0].url
        move(cluster, cluster.nodes[0])
        moved, other, stale = cluster.nodes
        moved.start()
        other.start()
        # The node with the stale list cannot reach the one that moved, so it cannot lead it.
        wait_for('another one to lead', lambda: leads(other))
        cluster.wait_ready()
        expect_equal(stale.status()['members'][0]['address'], before, 'the address in its own list')
        expect_equal(moved.status()['address'], moved.url, 'the address that it reports for itself')
        code, report = vesper_status(cluster)
        expect_equal(code, 0, 'vesper status')
        expect_equal([n['id'] for n in report['nodes']], [0, 1, 2], 'one row for each node')
        expect(all(n['reachable'] for n in report['nodes']), f'{report}')


@case('a member that has moved is found by `vesper cluster update`, whatever the lists say')
def _(binary):
    with Cluster(binary, 3) as cluster:
        expect_equal(cluster.nodes[0].api().put('name', 'a').status, 200, 'a write')
        moved, *others = cluster.nodes
        port, url = free_ports(1)[0], cluster.nodes[0].url
        new = url.replace(str(moved.port), str(port))
        done = subprocess.run([cluster.binary, 'cluster', 'update', '0', new, '--endpoints',
                               others[0].url], capture_output=True, timeout=30 * SLOW, check=False)
        expect_equal(done.returncode, 0, f'{done}')
        moved.kill()
        listed = cluster.list
        moved.port, moved.url = port, new
        cluster.list += '.new'
        cluster.write_list()
        moved.start()
        cluster.list = listed
        cluster.wait_ready()
        # Each of the others has the old list, and its own link to the one that moved.
        for node in others:
            wait_for(f'{node} to lead', lambda n=node: leads(n))
            cluster.wait_ready()
            wait_for(f'{node} to reach all', lambda n=node: all(
                member['reachable']
                for member in n.api().request('GET', '/cluster').json()['members']))
            expect_equal(node.status()['members'][0]['address'], new, 'where it is reached')
        # At the old address it is found as well, and by its line in the lists first.
        moved.kill()
        moved.port, moved.url = int(url.rsplit(':', 1)[1]), url
        cluster.restart(moved)
        for node in others:
            wait_for('it to be reached there',
                     lambda n=node: n.status()['members'][0]['address'] == url)


def configuration_of(node):
    return node.api().request('GET', '/cluster').json()['configuration']


@case('an empty server at an address that a member has left is not taken for its new disk')
def _(binary):
    with Cluster(binary, 3) as cluster:
        write_and_kill(cluster)
        moved, *others = cluster.nodes
        stranger = Node(cluster, 'stranger', moved.port)
        stranger.id = moved.id
        listed = cluster.list
        cluster.list += '.old'
        cluster.write_list()
        old_list, cluster.list = cluster.list, listed
        move(cluster, moved)
        cluster.restart(*cluster.nodes)
        cluster.wait_ready()
        for node in others:
            wait_for('it to be reached at its new address',
                     lambda n=node: n.status()['members'][0]['address'] == moved.url)
        before = configuration_of(others[0])
        cluster.list = old_list
        stranger.start()
        cluster.list = listed
        # The log still names the old address, so the others look for the member there.
        moved.kill()
        for node in others:
            wait_for('the stranger to be met',
                     lambda n=node: 'a server without data' in n.log_text())
        expect_equal(cluster.wait_leader().api().put('name', 'b').status, 200, 'a write')
        moved.start()
        cluster.wait_ready()
        stranger.kill()
        cluster.wait_equal()
        expect_equal(configuration_of(others[0]), before, 'the members')
        for node in others:
            expect('lost its disk ->' not in node.log_text(), f'{node} has seen a lost disk')


def restart_with(cluster, listed):
    """Restarts all running nodes with a list of these nodes."""
    for node in cluster.nodes:
        if node.process is not None:
            node.kill()
    with open(cluster.list, 'w', encoding='ascii') as f:
        f.writelines(url + '\n' for url in listed)
    before = {node: len(node.log_text()) for node in cluster.nodes}
    for node in cluster.nodes[:len(listed)]:
        node.start()
    cluster.wait_ready()
    return before


def warnings(node, since):
    return [line for line in node.log_text()[since[node]:].splitlines()
            if 'but the list names' in line]


@case('a list with fewer or more servers than the log is reported at the start and in /status')
def _(binary):
    with Cluster(binary, 5) as cluster:
        expect_equal(cluster.nodes[0].api().put('name', 'a').status, 200, 'a write')
        cluster.wait_equal()
        five = [node.url for node in cluster.nodes]
        for node in cluster.nodes:
            expect('list_mismatch' not in node.status(), f'{node} reports a mismatch')
            expect('but the list names' not in node.log_text(), f'{node} warns of a mismatch')
        others = [f'{cluster.scheme}://127.0.0.1:{port}' for port in free_ports(2)]
        for listed, named, short in ((five[:3], 3, '3, 4'), (five + others, 7, '5, 6')):
            said = f'the log has 5 members, but the list names {named}'
            since = restart_with(cluster, listed)
            for node in cluster.serving():
                expect_equal(node.status().get('list_mismatch'),
                             {'log_members': 5, 'list_servers': len(listed)}, f'/status of {node}')
                lines = warnings(node, since)
                expect_equal(len(lines), 1, f'lines of {node}: {lines}')
                expect(' W ' in lines[0] and said in lines[0] and short in lines[0], lines[0])
        restart_with(cluster, five)
        for node in cluster.nodes:
            expect('list_mismatch' not in node.status(), f'{node} still reports a mismatch')


@case('a transfer to a server of the list that is not a member is refused')
def _(binary):
    with Cluster(binary, 3) as cluster:
        expect_equal(cluster.nodes[0].api().put('name', 'a').status, 200, 'a write')
        cluster.wait_equal()
        three = [node.url for node in cluster.nodes]
        restart_with(cluster, three + [f'{cluster.scheme}://127.0.0.1:{free_ports(1)[0]}'])
        reply = cluster.nodes[0].api().request('POST', '/cluster/transfer?to=3')
        expect_equal((reply.status, reply.code), (400, 'invalid_parameter'), f'{reply}')


@case('a wiped node is taken in although its list has another server where the leader is counted')
def _(binary):
    with Cluster(binary, 3) as cluster:
        cluster.wait_ready()
        _, replaced, wiped = cluster.nodes
        # Inside the cluster, the new disk of node 1 is member 3.
        replaced.kill()
        replaced.wipe()
        replaced.start()
        cluster.wait_ready()
        # The list gets a server 3, which nobody adds to the cluster.
        uninvited = Node(cluster, 3, free_ports(1)[0])
        with open(cluster.list, 'a', encoding='ascii') as f:
            f.write(uninvited.url + '\n')
        wiped.kill()
        wiped.wipe()
        uninvited.start()
        wait_for('node 1 to lead', lambda: leads(replaced))
        wait_for('the server that nobody adds',
                 lambda: 'is not a member' in uninvited.log_text())
        wiped.start()
        cluster.wait_ready()
        expect(cluster.wait_leader() is replaced, 'another node leads')
        uninvited.kill()
        cluster.wait_equal()


@case('a wiped node is taken in by a leader that was added later, wherever its list has that node')
def _(binary):
    for is_listed in (True, False):
        with Cluster(binary, 3) as cluster:
            cluster.wait_ready()
            # The first batch of the log that a new disk reads does not have the addition yet.
            for i in range(12):
                expect_equal(cluster.nodes[0].api().put(f'k{i}', 'x' * (1 << 17)).status, 200,
                             'a write')
            added = start_joiner(cluster)
            uninvited = Node(cluster, 3, free_ports(1)[0])
            change(cluster, json.dumps({'add': [{'address': added.url}]}))
            wait_for('the addition to vote', added.is_ready)
            with open(cluster.list, 'a', encoding='ascii') as f:
                f.write((added if is_listed else uninvited).url + '\n')
            wiped = cluster.nodes[1]
            wiped.kill()
            wiped.wipe()
            if not is_listed:
                uninvited.start()
            added.id = 3
            wait_for('the addition to lead', lambda node=added: leads(node))
            wiped.start()
            wait_for('the new disk', wiped.is_ready, 20)
            expect_equal(added.status()['role'], 'leader', 'the addition')
            for node in (added, uninvited):
                if node.process is not None:
                    node.kill()
