"""Networks that are cut, deaf on one side, lossy or flapping, between nodes in separate network
namespaces. Nothing is closed or reset: packets vanish. Each case checks the clients' history, and
that the nodes end up equal and all serve again within two seconds."""

import json
import os
import random
import time

from deadlines import check_round
from harness import LONG, SLOW, wait_for
from runner import case, expect, expect_equal
from workload import Scene
from world import PartedCluster, both_ways, run

ROUNDS = 6 if LONG else 2
SOME = 1000 if LONG else 300  # acknowledged writes in each state of the network


class Parted(Scene):
    """with Parted(binary, 5, seed) as scene: ...   A cluster, a network, and clients on every
    node."""

    def __init__(self, binary, count, seed):
        super().__init__(PartedCluster(binary, count), seed, SOME, clients=2 * count)

    def verify(self):
        super().verify()
        expect(self.cluster.switch.dropped() > 0, 'no packet was dropped')

    def cut(self, cuts, without=(), losses=()):
        """From now on the nodes in `without` are not expected to serve."""
        for node in without:
            node.begin_down()
        self.cluster.change(cuts, losses)

    def serves(self):
        self.load.wait_acknowledged(SOME)

    def heal(self):
        """All nodes serve again two seconds after the last packet was dropped."""
        since = time.monotonic_ns()
        self.cluster.heal()
        self.cluster.wait_ready()
        leader = self.cluster.wait_leader()
        every = {node.id for node in self.cluster.nodes}
        wait_for('an acknowledged write at every node',
                 lambda: {op.node for op in self.load.acknowledged(since)} == every)
        took = (time.monotonic_ns() - since) / 1e9
        expect(took < 2 * SLOW, f'{took:.2f} s until all nodes served again')
        return leader

    def term(self, node):
        return wait_for(f'{node} to answer', node.status)['term']


@case('an isolated leader is replaced, and gives no wrong answer')
def _(binary):
    with Parted(binary, 3, 1001) as scene:
        for _ in range(ROUNDS):
            old = scene.cluster.wait_leader()
            rest = scene.cluster.others(old)
            scene.cut(both_ways([old], rest), [old])
            expect(scene.cluster.wait_leader(2, rest) is not old, 'no other leader')
            wait_for('the isolated leader to step down', lambda old=old: not leads(old), 2)
            scene.serves()
            scene.heal()
            scene.serves()


def misses_leader(*nodes):
    for node in nodes:
        wait_for(f'{node} to miss its leader', lambda node=node: lonely(node), 2)


def lonely(node):
    view = node.status()
    return view is not None and view['leader'] is None


def leads(node):
    view = node.status()
    return view is None or view['role'] == 'leader'


@case('the cluster serves without an isolated follower, and its return causes no election')
def _(binary):
    with Parted(binary, 3, 1002) as scene:
        for turn in range(ROUNDS):
            leader = scene.cluster.wait_leader()
            term = scene.term(leader)
            victim = scene.cluster.followers()[turn % 2]
            scene.cut(both_ways([victim], scene.cluster.others(victim)), [victim])
            scene.serves()
            misses_leader(victim)
            scene.serves()
            scene.heal()
            expect_equal(scene.term(leader), term, 'the term (§9.6: its pre-votes were refused)')
            scene.serves()


@case('the larger part of five nodes keeps serving, whichever part had the leader')
def _(binary):
    with Parted(binary, 5, 1003) as scene:
        for turn in range(ROUNDS):
            leader = scene.cluster.wait_leader()
            others = scene.cluster.others(leader)
            small = [leader, others[0]] if turn % 2 == 0 else others[:2]
            large = scene.cluster.others(*small)
            scene.cut(both_ways(small, large), small)
            scene.cluster.wait_leader(2, large)
            scene.serves()
            scene.heal()
            scene.serves()


@case('five nodes in a ring, each connected to a different majority, keep their leader')
def _(binary):
    with Parted(binary, 5, 1004) as scene:
        nodes = scene.cluster.nodes
        for _ in range(ROUNDS):
            leader = scene.cluster.wait_leader()
            term = scene.term(leader)
            at = nodes.index(leader)
            across = [nodes[(at + 2) % 5], nodes[(at + 3) % 5]]
            cuts = [pair for i in range(5) for pair in both_ways([nodes[i]], [nodes[(i + 2) % 5]])]
            scene.cut(cuts, across)
            misses_leader(*across)
            scene.serves()
            expect_equal(scene.term(leader), term, 'the term in the ring')
            expect(leads(leader), 'the leader stepped down')
            scene.heal()
            scene.serves()


@case('cutting one link between leader and follower changes neither leader nor term')
def _(binary):
    with Parted(binary, 3, 1005) as scene:
        for turn in range(ROUNDS):
            leader = scene.cluster.wait_leader()
            term = scene.term(leader)
            victim = scene.cluster.followers()[turn % 2]
            scene.cut(both_ways([leader], [victim]), [victim])
            scene.serves()
            misses_leader(victim)
            scene.serves()
            expect_equal(scene.heal(), leader, 'the leader')
            expect_equal(scene.term(leader), term, 'the term')
            scene.serves()


@case('a time to live ends on time while leaders are cut off, and one that returns ends nothing')
def _(binary):
    with PartedCluster(binary, 3) as cluster:
        for turn in range(ROUNDS):
            leader = cluster.wait_leader()
            rest = cluster.others(leader)
            cut = both_ways([leader], rest)
            check_round(cluster, leader, rest, turn, lambda cut=cut: cluster.change(cut),
                        cluster.heal)
        expect(cluster.switch.dropped() > 0, 'no packet was dropped')


@case('a leader that receives nothing steps down and stops sending, and another one takes over')
def _(binary):
    with Parted(binary, 3, 1006) as scene:
        for _ in range(ROUNDS):
            old = scene.cluster.wait_leader()
            rest = scene.cluster.others(old)
            scene.cut([(node, old) for node in rest], [old])
            expect(scene.cluster.wait_leader(3, rest) is not old, 'no other leader')
            scene.serves()
            scene.heal()
            scene.serves()


@case('a leader whose messages do not arrive is replaced')
def _(binary):
    with Parted(binary, 3, 1007) as scene:
        for _ in range(ROUNDS):
            old = scene.cluster.wait_leader()
            rest = scene.cluster.others(old)
            scene.cut([(old, node) for node in rest], [old])
            expect(scene.cluster.wait_leader(3, rest) is not old, 'no other leader')
            scene.serves()
            scene.heal()
            scene.serves()


@case('after seconds of silence no client waits for a retransmission of TCP')
def _(binary):
    # TCP doubles its wait each time: three seconds after the first attempt, then three more.
    with Parted(binary, 3, 1014) as scene:
        old = scene.cluster.wait_leader()
        scene.cut([(old, node) for node in scene.cluster.others(old)], [old])
        end = time.monotonic() + 3.3
        while time.monotonic() < end:
            scene.serves()
        scene.heal()
        scene.serves()


@case('with a fifth of the packets lost, one way or both, the cluster is slower but correct')
def _(binary):
    with Parted(binary, 3, 1008) as scene:
        nodes = scene.cluster.nodes
        leader = scene.cluster.wait_leader()
        everybody = both_ways(nodes, nodes)
        for pairs in ([(leader, node) for node in scene.cluster.others(leader)],
                      [(node, leader) for node in scene.cluster.others(leader)], everybody):
            # TCP alone waits 200 ms before it sends again, and then twice as long. So followers may
            # lose their leader, and some requests reach their deadline.
            scene.cut((), nodes, [(pair, 20) for pair in pairs])
            scene.load.wait_acknowledged(SOME // 6, timeout=20)
            scene.heal()
        scene.serves()


@case('five nodes of which only one is connected to both halves keep their leader')
def _(binary):
    with Parted(binary, 5, 1009) as scene:
        for turn in range(ROUNDS):
            leader = scene.cluster.wait_leader()
            others = scene.cluster.others(leader)
            # The leader is on one side first, then it is the bridge.
            bridge = others[0] if turn % 2 == 0 else leader
            sides = [node for node in [leader, *others] if node is not bridge]
            left, right = sides[:2], sides[2:]
            term = scene.term(leader)
            beyond = right if leader is not bridge else ()
            scene.cut(both_ways(left, right), beyond)
            misses_leader(*beyond)
            scene.serves()
            expect_equal(scene.term(leader), term, 'the term over the bridge')
            expect(leads(leader), 'the leader stepped down')
            scene.heal()
            scene.serves()


@case('a star: only its hub sees a majority, so the hub leads',
      slow=True)
def _(binary):
    with Parted(binary, 5, 1010) as scene:
        for _ in range(ROUNDS):
            leader = scene.cluster.wait_leader()
            rim = scene.cluster.others(leader)
            hub = rim.pop()
            rim.append(leader)
            scene.cut(both_ways(rim, rim), scene.cluster.nodes)
            begin = time.monotonic()
            wait_for('the hub to lead', lambda hub=hub: leads(hub), 5)
            expect(time.monotonic() - begin < 3 * SLOW, 'the hub did not become leader in time')
            scene.serves()
            scene.heal()
            scene.serves()


def descriptors(node):
    return len(os.listdir(f'/proc/{node.process.pid}/fd'))


@case('a peer that vanishes without a word leaves nothing behind, however often',
      slow=True)
def _(binary):
    with Parted(binary, 3, 1011) as scene:
        cluster = scene.cluster
        before = {node: descriptors(node) for node in cluster.nodes}
        for turn in range(3 * ROUNDS):
            victim = cluster.followers()[turn % 2]
            scene.cut(both_ways([victim], cluster.others(victim)), [victim])
            # Its last packets are lost, including FIN and RST: its peers do not learn of its end.
            victim.kill()
            scene.serves()
            victim.start()
            scene.heal()
            scene.serves()
        rest = [node for node in cluster.nodes if node is not victim]
        for node in rest:
            wait_for(f'{node} to close half-open connections',
                     lambda node=node: descriptors(node) <= before[node] + 4, 5)


@case('a link that flaps five times a second costs no term',
      slow=True)
def _(binary):
    with Parted(binary, 3, 1012) as scene:
        leader = scene.cluster.wait_leader()
        victim = scene.cluster.followers()[0]
        term = scene.term(leader)
        flap(scene, both_ways([leader], [victim]), [victim])
        expect_equal(scene.heal(), leader, 'the leader')
        expect_equal(scene.term(leader), term, 'the term')
        scene.serves()


@case('a leader that is cut off five times a second is replaced only a few times')
def _(binary):
    with Parted(binary, 3, 1013) as scene:
        leader = scene.cluster.wait_leader()
        term = scene.term(leader)
        flap(scene, both_ways([leader], scene.cluster.others(leader)), scene.cluster.nodes)
        scene.heal()
        changes = max(scene.term(node) for node in scene.cluster.nodes) - term
        expect(changes <= 6, f'{changes} terms within three seconds')
        scene.serves()


@case('a machine that fails silently does not lock out its successor')
def _(binary):
    # No cluster yet: until its incarnation is registered, only the old connection represents it.
    flags = ['--found-after', '1h', '--log-level', 'debug']
    with PartedCluster(binary, 3, flags=flags, start=False) as cluster:
        first, last, dead = cluster.nodes
        inside(cluster, dead, 'echo 1 >/proc/sys/net/ipv4/tcp_orphan_retries')
        for node in (first, dead):
            node.start()
        wait_for('it to listen', first.status)
        wait_for('two of three to meet', lambda: 'no word from server 1 ' in first.api().request(
            'GET', '/readyz?verbose').body.decode())
        cluster.change(both_ways([dead], [first, last]))
        dead.kill()
        # Its kernel must not send a reset later, either: the machine is dead.
        wait_for('its sockets to be gone', lambda: not sockets_of(cluster, dead))
        expect('is gone' not in first.log_text(), 'the end of the process was seen')
        dead.wipe()
        cluster.heal()
        before = len(first.log_text())
        dead.start()
        wait_for('the successor to be accepted',
                 lambda: 'control link from server 2 is up' in first.log_text()[before:], 8)
        last.start()
        cluster.wait_ready()
        expect_equal(dead.api().put('name', 'a').status, 200, 'a write through the successor')


def inside(cluster, node, script):
    """The output of a shell command in the node's network."""
    return run(*cluster.switch.enter(node.id), 'sh', '-c', script)


def sockets_of(cluster, node):
    """Those that may still send something. One in TIME_WAIT may not, and stays for a minute."""
    lines = inside(cluster, node, 'cat /proc/net/tcp').splitlines()[1:]
    return [line for line in lines if line.split()[3] != '06']


def flap(scene, cuts, without):
    for node in without:
        node.begin_down()
    ticks = os.sysconf('SC_CLK_TCK')
    begin, used = time.monotonic(), sum(cpu(node) for node in scene.cluster.nodes)
    for turn in range(30):
        scene.cluster.change(cuts if turn % 2 == 0 else ())
        time.sleep(0.1)  # this rhythm is what the case tests
    used = (sum(cpu(node) for node in scene.cluster.nodes) - used) / ticks
    took = time.monotonic() - begin
    expect(used < 2 * took, f'{used:.1f} s of CPU in {took:.1f} s')
    scene.load.wait_acknowledged(SOME // 3, since=int(begin * 1e9))


def cpu(node):
    with open(f'/proc/{node.process.pid}/stat', encoding='ascii', errors='replace') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return int(fields[11]) + int(fields[12])


def sent_to(node):
    """Bytes that the bridge has passed to the node, including all headers."""
    shown = json.loads(run('ip', '-s', '-j', 'link', 'show', 'dev', f'port{node.id}'))
    return shown[0]['stats64']['tx']['bytes']


def have_equal_logs(*nodes):
    """A node behind a saturated link may not answer in time. Then it is asked again."""
    seen = [node.status() for node in nodes]
    return all(seen) and len({status['last_index'] for status in seen}) == 1


@case('the backlog of a follower behind a slow link is sent once, at 1, 4 and 50 MB/s')
def _(binary):
    with PartedCluster(binary, 3) as cluster:
        leader, slow = cluster.wait_leader(), cluster.followers()[0]
        port, api, rng = f'port{slow.id}', leader.api(10), random.Random(5)
        for rate, values in ((1, 60), (4, 120), (50, 240)):
            run('tc', 'qdisc', 'replace', 'dev', port, 'root', 'tbf', 'rate', f'{8 * rate}mbit',
                'burst', '64kb', 'latency', '60ms')
            before, log = sent_to(slow), leader.status()['log']['bytes']
            for n in range(values):
                expect_equal(api.put(f'k{n % 16}', rng.randbytes(100_000)).status, 200, 'a write')
            written = leader.status()['log']['bytes'] - log
            wait_for('the follower to have the log', lambda: have_equal_logs(leader, slow), 60)
            factor = (sent_to(slow) - before) / written
            # About 5 % of that are packet headers.
            expect(factor < 1.1, f'at {rate} MB/s {factor:.2f} times the backlog was sent')


@case('a node that is cut off takes no token for a wrong one that it may not know yet')
def _(binary):
    with PartedCluster(binary, 3, flags=['--request-timeout', '1s']) as cluster:
        reply = cluster.nodes[0].api(20 * SLOW).request('POST', '/auth/enable')
        for node in cluster.nodes:
            node.token = reply.json()['token']
        leader, away = cluster.wait_leader(), cluster.followers()[0]
        cluster.wait_equal()
        away.begin_down()
        cluster.change(both_ways([away], cluster.others(away)))
        body = b'{"name":"app","rules":[{"allow":"write","prefix":""}]}'
        fresh = leader.api(20 * SLOW).request('POST', '/auth/tokens', body).json()['token']
        api = away.api(20 * SLOW, fresh)
        for _ in range(2):
            reply = api.request('GET', '/status')
            expect(reply.status == 503 and reply.code in ('no_leader', 'timeout'), f'{reply}')
        reply = away.api(20 * SLOW).get('a', '?consistency=stale')
        expect_equal(reply.status, 404, 'a stale read with a token that the node knows')
        cluster.heal()
        cluster.wait_ready()
        expect_equal(api.put('a', '1').status, 200, 'a write with the fresh token')
        api.token = 'vsp_' + 'x' * 43
        expect_equal(api.put('a', '2').status, 401, 'a write with a wrong token')
