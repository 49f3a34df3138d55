"""Namespaces for network, mounts and processes, for tests that need them. Whatever a test makes in
them (bridges, rules, mounts, nodes) is gone when the test ends, however it ends. If user namespaces
are allowed, this needs no root."""

import json
import os
import shutil
import subprocess
import sys

from harness import Cluster, Node, running

INSIDE = 'VESPER_TEST_WORLD'
LACKING = 'skipped: needs permission to create network namespaces (root, ip, nft)'
PROBE = '''ip link add probe type bridge && ip link add probe0 type veth peer name probe1 &&
mount -t tmpfs none /mnt && nft 'add table bridge probe;
add chain bridge probe forward { type filter hook forward priority 0; };
add rule bridge probe forward numgen random mod 100 < 20 counter drop;' '''


def unshare():
    user = [] if os.geteuid() == 0 else ['--user', '--map-root-user']
    return ['unshare', *user, '--net', '--mount', '--pid', '--fork', '--kill-child',
            '--mount-proc']


def enter():
    """True inside the namespaces. Outside, it re-runs the program inside them, and returns (with
    False) only if they cannot be made."""
    if INSIDE in os.environ:
        run('ip', 'link', 'set', 'lo', 'up')
        return True
    os.environ['PATH'] += ':/usr/sbin:/sbin'  # ip and nft are there, and PATH may lack them
    if not all(shutil.which(tool) for tool in ('unshare', 'nsenter', 'ip', 'nft', 'mount')):
        return False
    if subprocess.run([*unshare(), 'sh', '-c', PROBE], capture_output=True).returncode != 0:
        return False
    os.environ[INSIDE] = '1'
    sys.stdout.flush()
    os.execvp('unshare', [*unshare(), sys.executable, *sys.argv])


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise AssertionError(f'{" ".join(command)}: {done.stderr}')
    return done.stdout


class Switch:
    """A bridge with one port for each node, which has its own network namespace, and one for the
    test, which reaches all nodes whatever is cut. Rules here decide, for each pair and direction,
    which packets pass. Dropped packets are not reported to either end."""

    SELF = '10.77.0.1'

    def __init__(self, count):
        self.cuts, self.losses, self.dropped_before = set(), {}, 0
        self.holders = []
        run('ip', 'link', 'add', 'name', 'switch', 'type', 'bridge')
        run('ip', 'addr', 'add', f'{self.SELF}/24', 'dev', 'switch')
        run('ip', 'link', 'set', 'dev', 'switch', 'up')
        for port in range(count):
            self.add_port(port)
        self.apply()

    @staticmethod
    def address(port):
        return f'10.77.0.{10 + port}'

    def enter(self, port):
        """The beginning of a command that runs at a port."""
        return ['nsenter', f'--net=/proc/{self.holders[port].pid}/ns/net', '--']

    def add_port(self, port):
        # A namespace lives as long as a process is in it.
        holder = subprocess.Popen(['unshare', '--net', 'sh', '-c', 'echo; exec sleep infinity'],
                                  stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        running[holder.pid] = holder
        self.holders.append(holder)
        holder.stdout.readline()
        holder.stdout.close()
        run('ip', 'link', 'add', f'port{port}', 'type', 'veth', 'peer', 'name', 'eth0', 'netns',
            str(holder.pid))
        run('ip', 'link', 'set', 'dev', f'port{port}', 'master', 'switch', 'up')
        run(*self.enter(port), 'ip', 'link', 'set', 'dev', 'lo', 'up')
        run(*self.enter(port), 'ip', 'addr', 'add', f'{self.address(port)}/24', 'dev', 'eth0')
        run(*self.enter(port), 'ip', 'link', 'set', 'dev', 'eth0', 'up')

    def close(self):
        for port, holder in enumerate(self.holders):
            # Remove it at once; with the namespace it would vanish later.
            run('ip', 'link', 'del', 'dev', f'port{port}')
            holder.kill()
            holder.wait()
            running.pop(holder.pid)
        run('ip', 'link', 'del', 'dev', 'switch')

    def apply(self):
        """Sets all rules at once: nft runs a file as one transaction."""
        rules = [f'ip saddr {a} ip daddr {b} counter drop' for a, b in sorted(self.cuts)]
        rules += [f'ip saddr {a} ip daddr {b} numgen random mod 100 < {percent} counter drop'
                  for (a, b), percent in sorted(self.losses.items())]
        chain = 'bridge vesper forward'
        run('nft', '-f', '-', input='\n'.join(
            ['add table bridge vesper',
             f'add chain {chain} {{ type filter hook forward priority 0; }}',
             f'flush chain {chain}', *(f'add rule {chain} {rule}' for rule in rules), '']))

    def dropped(self):
        """Packets dropped so far: a fault that dropped none did not happen."""
        listed = json.loads(run('nft', '-j', 'list', 'chain', 'bridge', 'vesper', 'forward'))
        return self.dropped_before + sum(
            part['counter']['packets'] for item in listed['nftables'] if 'rule' in item
            for part in item['rule']['expr'] if 'counter' in part)

    def change(self, cuts, losses=()):
        self.dropped_before = self.dropped()
        self.cuts, self.losses = set(cuts), dict(losses)
        self.apply()


class PartedNode(Node):
    def __init__(self, cluster, node_id):
        super().__init__(cluster, node_id, 5000, Switch.address(node_id))

    def command(self, extra):
        return [*self.cluster.switch.enter(self.id), *super().command(extra)]


class PartedCluster(Cluster):
    """A cluster with a network that can be cut. `pairs` are directions: (from, to)."""

    def __init__(self, binary, count, **more):
        self.switch = Switch(count)
        super().__init__(binary, count, **more)
        self.key = os.path.join(self.dir, 'peer.key')
        with open(self.key, 'w', encoding='ascii') as f:
            f.write('correct horse battery staple\n')
        os.chmod(self.key, 0o600)
        self.flags += ['--peer-key-file', self.key, '--insecure-clients']

    def make_nodes(self, count):
        return [PartedNode(self, i) for i in range(count)]

    def end(self, error):
        super().end(error)
        self.switch.close()

    def others(self, *nodes):
        return [node for node in self.nodes if node not in nodes]

    def change(self, cuts, losses=()):
        """From now on nothing passes in these directions, and in those of `losses` the given
        percentage of packets is dropped. Everything else passes."""
        def named(pair):
            return pair[0].host, pair[1].host
        self.switch.change({named(pair) for pair in cuts},
                           {named(pair): percent for pair, percent in losses})

    def heal(self):
        self.change(())


def both_ways(some, others):
    return [pair for a in some for b in others if a is not b for pair in ((a, b), (b, a))]
