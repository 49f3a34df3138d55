"""Clusters whose nodes and clients speak TLS."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import ssl
import struct
import subprocess
import termios
import threading
import time

from harness import SLOW, Cluster, Node, free_ports, running, wait_for
from certificates import Pki  # noqa: I001  (harness names its folder)
from http_api import Broken, NotSent
from runner import case, expect, expect_equal
from secure_cluster import SecureCluster


class Load:
    """Writes without an end, over one connection or over a new one for each, to one node after the
    other. Counts what failed."""

    def __init__(self, nodes, reconnects):
        self.nodes, self.reconnects = nodes, reconnects
        self.written, self.failures, self.ends = 0, [], threading.Event()
        self.longest = 0.0  # seconds of a write
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        apis = [node.api(10.0 * SLOW) for node in self.nodes]
        while not self.ends.is_set():
            api = apis[self.written % len(apis)]
            api.tls = self.nodes[self.written % len(apis)].tls
            began = time.monotonic()
            try:
                reply = api.put(f'load/{self.reconnects}', str(self.written))
                if reply.status != 200:
                    self.failures.append(repr(reply))
            except (NotSent, Broken) as error:
                self.failures.append(repr(error))
            self.longest = max(self.longest, time.monotonic() - began)
            self.written += 1
            if self.reconnects:
                api.close()

    def wait_more(self, count=50):
        target = self.written + count
        wait_for(f'{count} more writes', lambda: self.written >= target, 60)

    def stop(self):
        self.ends.set()
        self.thread.join()
        return self.failures


def is_logged(node, *parts):
    return all(re.search(part, node.log_text()) for part in parts)


@case('a cluster over TLS serves on every node, and survives kill -9 of its leader')
def _(binary):
    with SecureCluster(binary, 3) as cluster:
        leader = cluster.start()
        for i, node in enumerate(cluster.nodes):
            reply = json.loads(cluster.curl(node, f'/kv/{i}', '-X', 'PUT', '-d', f'v{i}'))
            expect_equal(reply['version'], 1, 'a put by curl')
        for node in cluster.nodes:
            expect_equal([cluster.curl(node, f'/kv/{i}?raw') for i in range(3)],
                         ['v0', 'v1', 'v2'], f'values at {node}')
            shown = node.status()
            expect_equal([shown['address'], shown['leader']], [node.url, leader.url], 'addresses')
            expect_equal([m['address'] for m in shown['members']],
                         [n.url for n in cluster.nodes], 'members')
        expect_equal(cluster.vesper('get', '0'), 'v0', 'vesper get, with the endpoints of the list')
        leader.kill()
        cluster.wait_leader()
        expect_equal(cluster.vesper('put', 'after', 'x').strip().isdigit(), True, 'a put')
        cluster.restart(leader)
        cluster.wait_equal()
        expect_equal(cluster.vesper('get', 'after', '--endpoints', leader.url), 'x', 'a get')
        report = json.loads(cluster.vesper('status', '--json'))
        expect_equal([n['reachable'] for n in report['nodes']], [True] * 3, 'vesper status')
        expect('http://' not in json.dumps(report), 'some address is announced without TLS')


@case('certificates are replaced under load, and no request fails')
def _(binary):
    with SecureCluster(binary, 3) as cluster:
        cluster.start()
        new = Pki(binary, cluster.dir, name='new')
        for name in ('ca.crt', 'ca.key'):
            shutil.copy(cluster.pki.path(name), new.path(name))
        for name in ('127.0.0.1.crt', '127.0.0.1.key'):
            os.remove(new.path(name))
        new.add('127.0.0.1')
        loads = [Load(cluster.nodes, reconnects) for reconnects in (False, True)]
        before = ssl.get_server_certificate(('127.0.0.1', cluster.nodes[0].port))
        for load in loads:
            load.wait_more()
        for name in ('127.0.0.1.key', '127.0.0.1.crt'):
            os.rename(new.path(name), cluster.pki.path(name))
            for load in loads:
                load.wait_more(5)
        for node in cluster.nodes:
            node.process.send_signal(signal.SIGHUP)
            wait_for('the new certificate', lambda node=node: before !=
                     ssl.get_server_certificate(('127.0.0.1', node.port)))
            for load in loads:
                load.wait_more()
        for load in loads:
            expect_equal(load.stop(), [], 'failed requests')
        # Links that are made from now on use the new certificates.
        leader = cluster.wait_leader()
        leader.kill()
        cluster.wait_leader()
        cluster.restart(leader)
        cluster.wait_equal()


@case('a storm of handshakes deposes no leader, and other clients write without a long wait')
def _(binary):
    # Each node shares the processor with two others and with those who make the storm.
    with SecureCluster(binary, 3, flags=['--election-timeout', '500ms']) as cluster:
        leader = cluster.start()
        load = Load(cluster.nodes, reconnects=False)
        load.wait_more()
        load.longest, term = 0.0, leader.status()['term']
        storms = [subprocess.Popen(['openssl', 's_time', '-new', '-time', '60', '-connect',
                                    f'127.0.0.1:{leader.port}'], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL) for _ in range(2)]
        try:
            def accepted():
                text = leader.api(10 * SLOW).request('GET', '/metrics').body.decode()
                return int(re.search(r'\nvesper_connections_accepted_total (\d+)', text).group(1))
            before = accepted()
            wait_for('a thousand handshakes', lambda: accepted() > before + 1000, 60)
            load.wait_more()
            for node in cluster.nodes:
                shown = node.api(10 * SLOW).status(10 * SLOW)
                expect_equal((shown['term'], shown['leader']), (term, leader.url), f'at {node}')
        finally:
            for storm in storms:
                storm.kill()
                storm.wait()
        expect_equal(load.stop(), [], 'failed requests')
        expect(load.longest < 2 * SLOW, f'a write took {load.longest:.2f} s')


@case('servers with certificates of different authorities refuse each other by name')
def _(binary):
    with SecureCluster(binary, 3) as cluster:
        other = Pki(binary, cluster.dir, name='other')
        stranger = cluster.nodes[1].use(other)
        for node in cluster.nodes:
            node.start()
        friends = [cluster.nodes[0], cluster.nodes[2]]
        cluster.wait_ready(friends, timeout=30)
        expect_equal(friends[0].api().put('a', '1').status, 200, 'a write')
        refuses = (r'link to server \d: TLS: the certificate of CN=127.0.0.1 \(signed by '
                   r'CN=Vesper authority [0-9a-f]{8}\) is not trusted')
        is_refused = r'does not trust the authority of this side.s certificate'
        for node in cluster.nodes:
            wait_for(f'{node} to say so', lambda node=node: is_logged(node, refuses, is_refused))
        expect_equal(stranger.is_ready(), False, 'the stranger is ready')
        expect_equal(stranger.status()['term'], 0, 'the term that the stranger heard of')


@case('a cluster goes over to TLS node by node, and no write fails')
def _(binary):
    with SecureCluster(binary, 3, plain=True) as cluster:
        cluster.start()
        expect_equal(cluster.nodes[0].api().put('a', '1').status, 200, 'a write')
        # First every port takes TLS as well, then the list says so, then plain ends.
        for flags, secure in ((['--allow-mixed'], False), (['--allow-mixed'], True), ([], True)):
            for node in cluster.nodes:
                others = [n for n in cluster.nodes if n is not node]
                node.terminate(5)
                if secure:
                    node.use(cluster.pki, *flags)
                    cluster.write_list()
                else:
                    node.tls_flags = [*cluster.pki.server_flags(), *flags]
                cluster.restart(node)
                for each in others:
                    expect_equal(each.api().put('a', '1').status, 200, 'a write meanwhile')
        for node in cluster.nodes:
            expect_equal(node.status()['leader'].startswith('https://'), True, 'the leader')
            expect('list_mismatch' not in node.status(), 'the change of the scheme is a mismatch')
            cluster.vesper('cluster', 'update', str(node.id), node.url)
        members = cluster.nodes[0].api().request('GET', '/cluster').json()['members']
        expect_equal([m['address'] for m in members], [n.url for n in cluster.nodes], '/cluster')


@case('the tour of scripts/demo.sh --tls ends well, twice')
def _(binary):
    with Cluster(binary, 3, start=False) as cluster:
        demo = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../scripts/demo.sh')
        for word in ('pki init', 'the certificates of an earlier run'):
            done = subprocess.run([demo, '--tls', '--once', '--list', cluster.list],
                                  env={**os.environ, 'VESPER': binary}, capture_output=True,
                                  text=True, timeout=120 * SLOW, check=False)
            expect_equal(done.returncode, 0, f'exit code: {done.stdout}{done.stderr}')
            for part in (word, 'https://', 'Kyle Chard', 'was acknowledged'):
                expect(part in done.stdout, f'{part} is missing: {done.stdout}')


@case('a node joins a cluster over TLS')
def _(binary):
    with SecureCluster(binary, 3) as cluster:
        cluster.start()
        expect_equal(cluster.nodes[0].api().put('a', '1').status, 200, 'a write')
        node = Node(cluster, 3, free_ports(1)[0]).use(cluster.pki)
        command = [binary, 'server', '--join', cluster.nodes[0].url, '--address', node.url,
                   '--data-dir', node.dir, *node.tls_flags]
        node.command = lambda extra: command
        node.start()
        cluster.nodes.append(node)
        wait_for('the node to answer', node.status)
        cluster.vesper('cluster', 'add', node.url, '--timeout', '30s',
                       '--endpoints', cluster.nodes[0].url)
        cluster.wait_ready()
        expect_equal(node.api().get('a', '?raw').body, b'1', 'a read at the new node')
        members = [m['address'] for m in cluster.nodes[0].status()['members']]
        expect_equal(members, [n.url for n in cluster.nodes], 'members')


def read_until(master, text):
    """Reads from a terminal until it has shown this."""
    seen, end = '', time.monotonic() + 20 * SLOW
    while text not in seen:
        expect(time.monotonic() < end, f'"{text}" is not on the screen: {seen[-2000:]}')
        if select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 1 << 16).decode()


@case('top shows over TLS who falls silent and who is elected')
def _(binary):
    with SecureCluster(binary, 3) as cluster:
        leader = cluster.start()
        others = ','.join(node.url for node in cluster.nodes if node is not leader)
        master, slave = pty.openpty()
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 120, 0, 0))
        top = subprocess.Popen([binary, 'top', '--endpoints', others, *cluster.pki.client_flags()],
                               cwd=cluster.dir, stdin=slave, stdout=slave,
                               stderr=subprocess.DEVNULL, env={**os.environ, 'TERM': 'xterm'})
        running[top.pid] = top
        try:
            read_until(master, 'heartbeats')
            leader.kill()
            read_until(master, 'became leader')
            os.write(master, b'q')
            expect_equal(top.wait(10 * SLOW), 0, 'the exit code of top')
        finally:
            top.kill()
            top.wait()
            running.pop(top.pid)
            os.close(master)
            os.close(slave)
