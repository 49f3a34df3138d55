"""Small, stalled or failing disks for real processes: file systems in memory, and system calls that
strace delays or makes fail."""

import os
import random
import shutil
import signal
import subprocess

from harness import SLOW, Cluster, running, wait_for
from runner import Skipped, expect
from world import run

MIB = 1 << 20
# MiB per node. A segment of the log is 16 MiB: three of them fit beside the snapshots.
DISK = 96


class Injected:
    """with Injected(node, 'fdatasync:error=EIO'): ...   strace's inject on all threads of a running
    node; it ends with the block."""

    def __init__(self, node, *rules):
        self.node = node
        names = ','.join(rule.split(':')[0] for rule in rules)
        self.command = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', f'trace={names}']
        for rule in rules:
            self.command += ['-e', f'inject={rule}']

    def __enter__(self):
        pid = self.node.process.pid
        self.tracer = subprocess.Popen([*self.command, '-p', str(pid)], stdin=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE)
        running[self.tracer.pid] = self.tracer
        wait_for(f'strace to hold all threads of {self.node}, or its end',
                 lambda: self.holds_all(pid) or self.node.process.poll() is not None)
        return self

    def holds_all(self, pid):
        if self.tracer.poll() is not None:
            # A thread that is already traced may have met the injected error and ended the node.
            expect(self.node.process.poll() is not None,
                   lambda: f'strace: {self.tracer.stderr.read().decode()}')
            return True
        try:
            for thread in os.listdir(f'/proc/{pid}/task'):
                with open(f'/proc/{pid}/task/{thread}/status', encoding='ascii') as f:
                    if 'TracerPid:\t0\n' in f.read():
                        return False
        except (FileNotFoundError, ProcessLookupError):  # a thread, or the process, ended meanwhile
            return False
        return True

    def __exit__(self, *_):
        if self.tracer.poll() is None:
            self.tracer.send_signal(signal.SIGINT)
            try:
                self.tracer.wait(5)
            except subprocess.TimeoutExpired:  # in the middle of a long delay
                self.tracer.kill()
                self.tracer.wait()
        self.tracer.stderr.close()
        running.pop(self.tracer.pid)


class SmallDisks(Cluster):
    """A cluster with a separate file system of `mib` MiB for each data directory."""

    def __init__(self, binary, count, mib, **more):
        super().__init__(binary, count, start=False, **more)
        for node in self.nodes:
            os.mkdir(node.dir)
            run('mount', '-t', 'tmpfs', '-o', f'size={mib}m', 'none', node.dir)

    def __enter__(self):
        self.start_at_once = True
        return super().__enter__()

    def end(self, error):
        for node in self.nodes:
            run('umount', '--lazy', node.dir)
        super().end(error)


class RealDisk:
    """with RealDisk(node, mib) as disk: ...   Makes the data directory of a stopped node an ext4 of
    its own, which can fail as a whole."""

    def __init__(self, node, mib):
        self.node, self.image = node, node.dir + '.img'
        if not shutil.which('mkfs.ext4', path=os.environ['PATH'] + ':/usr/sbin:/sbin'):
            raise Skipped('needs mkfs.ext4')
        with open(self.image, 'wb') as f:
            f.truncate(mib * MIB)
        run('mkfs.ext4', '-q', self.image)
        os.makedirs(node.dir, exist_ok=True)
        try:
            run('mount', '-o', 'loop,errors=remount-ro', self.image, node.dir)
        except AssertionError as error:
            raise Skipped(f'needs permission to mount a file: {error}') from None

    def __enter__(self):
        return self

    def become_read_only(self):
        """Makes it read-only while in use, as after a device error, even for files open for
        writing."""
        run('mount', '-o', 'remount,abort', self.node.dir)

    def __exit__(self, *_):
        run('umount', '--lazy', self.node.dir)


def free_bytes(node):
    """Free bytes on the file system of its data."""
    space = os.statvfs(node.dir)
    return space.f_bfree * space.f_frsize


def fill_up(node, leave=0):
    """Lets something else take all free space, or all but a given amount."""
    with open(os.path.join(node.dir, 'ballast'), 'ab', buffering=0) as f:
        try:
            while leave == 0 or free_bytes(node) > leave:
                f.write(bytes(64 << 10))
        except OSError:
            pass


def has_spare(node):
    """True if the next segment of its log is there, whole."""
    path = os.path.join(node.dir, 'spare')
    return os.path.exists(path) and os.path.getsize(path) >= 16 * MIB


def make_space(node):
    os.remove(os.path.join(node.dir, 'ballast'))


def is_full(node):
    view = node.status()
    return view is not None and view['log']['disk_full']


def verified(load):
    load.__exit__(None, None, None)
    load.verify()


class Pour:
    """Writes large values over a few keys through one node, so that logs need new segments."""

    def __init__(self, node, seed):
        self.api, self.rng, self.count = node.api(10), random.Random(seed), 0

    def __call__(self, mib):
        """Returns the outcomes; stops at the first refusal."""
        for _ in range(4 * mib):
            self.count += 1
            reply = self.api.put(f'pour/{self.count % 16}', self.rng.randbytes(MIB // 4),
                                 '?timeout=5s', timeout=8 * SLOW)
            if reply.status != 200:
                return reply
        return None

    def until(self, what, condition):
        for _ in range(40):
            if condition():
                return
            refused = self(2)
            expect(refused is None, f'refused before {what}: {refused}')
        expect(False, f'80 MiB were written without {what}')
