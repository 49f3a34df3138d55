"""Clusters of real processes on free loopback ports and temporary directories.

Waits are for conditions, never for time. Processes are ended by their pids. After a failure it
prints the tails of the logs and keeps the directory."""

import atexit
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), '../support')]

from certificates import Pki
from http_api import Api, Broken, Connection, NotSent
from ports import free_ports
from runner import Failed, expect

# A build with sanitizers, or a busy machine, is slower by this factor: time limits are multiplied.
SLOW = float(os.environ.get('VESPER_TEST_SLOW', '1'))
# A few seconds per case; VESPER_TEST_LONG=1 runs more rounds.
LONG = os.environ.get('VESPER_TEST_LONG', '') not in ('', '0')
# VESPER_TLS=1: every node and every client speaks TLS, with certificates of one authority.
TLS = os.environ.get('VESPER_TLS', '') not in ('', '0')
BUGS = re.compile('AddressSanitizer|LeakSanitizer|runtime error:|assertion failed|'
                  'terminate called')

made = []  # the authority of this process
running = {}  # pid -> Popen, for the clean-up at exit


def end_all():
    for process in list(running.values()):
        if process.poll() is None:
            process.kill()
            process.wait()


atexit.register(end_all)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
# A shell without job control starts background commands with SIGINT ignored. Commands that are
# started here would inherit that, and `vesper dev` respects it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def common_pki(binary):
    """Made once in a process. The commands that a test runs trust it."""
    if not made:
        folder = tempfile.mkdtemp(prefix='vesper-test-pki-')
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        made.append(Pki(binary, folder))
        os.environ['VESPER_CACERT'] = made[0].path('ca.crt')
    return made[0]


def wait_for(what, condition, timeout=10.0):
    """Polls until `condition()` returns something true, and returns that."""
    deadline = time.monotonic() + timeout * SLOW
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failed(f'waited {timeout * SLOW:.0f} s for: {what}')
        time.sleep(0.005)


class Node:
    def __init__(self, cluster, node_id, port, host='127.0.0.1'):
        self.cluster, self.id, self.port, self.host = cluster, node_id, port, host
        self.url = f'http://{host}:{port}'
        self.tls_flags = []  # of the server
        self.token = None  # of its clients
        self.dir = os.path.join(cluster.dir, f'node{node_id}')
        self.log = os.path.join(cluster.dir, f'node{node_id}.log')
        self.process = None
        self.tls = None  # the context of ssl with which its clients connect; None: plain
        self.prefix = []  # of the command, such as strace
        self.paused = False
        self.down = []  # spans [since, until) in monotonic ns in which it need not answer
        if cluster.pki:
            self.use(cluster.pki)

    def __repr__(self):
        return f'node {self.id} ({self.url})'

    def use(self, pki, *flags):
        """From its next start on it speaks TLS, with these certificates."""
        self.url = f'https://{self.host}:{self.port}'
        self.tls_flags = [*pki.server_flags(self.host), *flags]
        self.tls = pki.context()
        return self

    @property
    def up(self):
        return self.process is not None and not self.paused

    def command(self, extra):
        return [*self.prefix, *self.cluster.server_args(self), *extra]

    def start(self, extra=()):
        expect(self.process is None, f'{self} is already running')
        args = self.command(extra)
        with open(self.log, 'ab') as log:
            log.write(f'--- {" ".join(args)}\n'.encode())
            log.flush()
            self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        running[self.process.pid] = self.process

    def reap(self, timeout):
        """Waits for the end and returns the exit code (-9: by that signal)."""
        try:
            code = self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise Failed(f'{self} did not end within {timeout * SLOW:.1f} s') from None
        running.pop(self.process.pid, None)
        self.process, self.paused = None, False
        return code

    def begin_down(self):
        self.down.append([time.monotonic_ns(), None])

    def end_down(self):
        if self.down and self.down[-1][1] is None:
            self.down[-1][1] = time.monotonic_ns()

    def was_down(self, begin, end):
        """True if it was not serving at some instant between two readings of the clock."""
        return any(since <= end and (until is None or until >= begin)
                   for since, until in self.down)

    def kill(self):
        self.begin_down()
        self.process.kill()
        self.reap(10)

    def terminate(self, timeout=1.0):
        self.begin_down()
        self.process.send_signal(signal.SIGTERM)
        return self.reap(timeout)

    def state(self):
        with open(f'/proc/{self.process.pid}/stat', encoding='ascii', errors='replace') as f:
            return f.read().rsplit(')', 1)[1].split()[0]

    def pause(self):
        self.begin_down()
        self.process.send_signal(signal.SIGSTOP)
        wait_for(f'{self} to stop', lambda: self.state() == 'T')
        self.paused = True

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def wipe(self):
        expect(self.process is None, f'{self} still runs')
        shutil.rmtree(self.dir)

    def api(self, timeout=5.0, token=None):
        return Api(self.port, timeout, self.host, self.tls, token or self.token)

    def connect(self, timeout=5.0):
        return Connection(self.port, timeout, self.host, self.tls)

    def status(self):
        """The node's own view of its status, or None if it does not answer."""
        api = self.api(1.0 * SLOW)
        try:
            return api.status()
        except (NotSent, Broken, ValueError, AttributeError):
            return None
        finally:
            api.close()

    def is_ready(self):
        api = self.api(1.0 * SLOW)
        try:
            return api.request('GET', '/readyz').status == 200
        except (NotSent, Broken):
            return False
        finally:
            api.close()

    def log_text(self):
        try:
            with open(self.log, encoding='utf-8', errors='replace') as f:
                return f.read()
        except FileNotFoundError:
            return ''


class Cluster:
    """with Cluster(binary, 3) as cluster: ...   Starts the nodes and waits until all are ready."""

    def __init__(self, binary, count, flags=(), start=True):
        self.binary, self.flags = binary, list(flags)
        self.pki = self.find_pki()
        self.scheme = 'https' if self.pki else 'http'
        self.start_at_once = start
        self.dir = tempfile.mkdtemp(prefix='vesper-test-')
        self.nodes = self.make_nodes(count)
        self.list = os.path.join(self.dir, 'ip_list.txt')
        self.write_list()

    def find_pki(self):
        """The certificates of its nodes, or None: they speak in clear."""
        return common_pki(self.binary) if TLS else None

    def make_nodes(self, count):
        return [Node(self, i, port) for i, port in enumerate(free_ports(count))]

    def write_list(self):
        with open(self.list, 'w', encoding='ascii') as f:
            f.writelines(node.url + '\n' for node in self.nodes)

    def server_args(self, node):
        return [self.binary, 'server', str(node.id), self.list, '--data-dir', node.dir,
                *node.tls_flags, *self.flags]

    def __enter__(self):
        try:
            if self.start_at_once:
                self.start()
        except BaseException as error:
            self.end(error)
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is None:
            try:
                self.check_alive()
                self.check_logs()
            except Failed as failed:
                self.end(failed)
                raise
        self.end(error)

    def end(self, error):
        for node in self.nodes:
            if node.process is not None:
                node.process.kill()
                node.process.wait()
                running.pop(node.process.pid, None)
                node.process = None
        if error is not None:
            error.add_note(self.tails())
        if error is None and not os.environ.get('VESPER_TEST_KEEP'):
            shutil.rmtree(self.dir, ignore_errors=True)

    def tails(self, lines=25):
        text = [f'kept: {self.dir}']
        for node in self.nodes:
            text.append(f'--- {node}: the last lines of {node.log}')
            text += node.log_text().splitlines()[-lines:]
        return '\n'.join(text)

    def start(self):
        for node in self.nodes:
            if node.process is None:
                node.start()
        self.wait_ready()
        return self.wait_leader()

    def check_alive(self):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is not None:
                code = node.process.returncode
                node.reap(1)
                raise Failed(f'{node} ended by itself with {code}')

    def check_logs(self):
        for node in self.nodes:
            found = BUGS.search(node.log_text())
            expect(not found, lambda: f'{node} logged: {found.group(0)}')

    def serving(self):
        return [node for node in self.nodes if node.up]

    def find_leader(self, nodes=None):
        """The one leader that these nodes (default: all running ones) name, or None."""
        self.check_alive()
        up = nodes or self.serving()
        views = [node.status() for node in up]
        if not up or any(view is None or not view.get('leader') for view in views):
            return None
        if len({(view['term'], view['leader'].rstrip('/')) for view in views}) != 1:
            return None
        leader = next((n for n in up if n.url == views[0]['leader'].rstrip('/')), None)
        if leader is None or views[up.index(leader)]['role'] != 'leader':
            return None
        return leader

    def wait_leader(self, timeout=10.0, nodes=None):
        return wait_for(f'one leader that {nodes or "all running nodes"} name',
                        lambda: self.find_leader(nodes), timeout)

    def wait_ready(self, nodes=None, timeout=10.0):
        def ready():
            self.check_alive()
            return all(node.is_ready() for node in nodes or self.serving())
        wait_for('all running nodes to be ready', ready, timeout)
        for node in nodes or self.serving():
            node.end_down()

    def wait_equal(self, timeout=10.0):
        """Waits until all running nodes have applied the same index; then their stores are
        equal."""
        def equal():
            self.check_alive()
            views = [node.status() for node in self.serving()]
            if None in views or len({v['applied_index'] for v in views}) != 1:
                return None
            return views
        views = wait_for('equal applied_index on all nodes', equal, timeout)
        seen = {(v['digest'], v['revision']) for v in views}
        expect(len(seen) == 1, lambda: f'equal applied_index, different stores: {views}')
        return views[0]

    def followers(self):
        leader = self.wait_leader()
        return [node for node in self.serving() if node is not leader]

    def restart(self, *nodes):
        for node in nodes:
            node.start()
        self.wait_ready()
