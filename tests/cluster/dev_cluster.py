"""A cluster of `vesper dev`, which lets its page kill, freeze and cut off nodes."""

import os
import shutil
import signal
import ssl
import subprocess
import tempfile

from harness import SLOW, TLS, running, wait_for
from http_api import Api
from ports import free_ports
from runner import Failed, expect_equal


def neighbours(count):
    """The first of `count` free ports that follow each other."""
    while True:
        ports = free_ports(count)
        if ports == list(range(ports[0], ports[0] + count)):
            return ports[0]


class DevCluster:
    """with DevCluster(binary, 5) as cluster: ...   `url` is that of node 0, without a path. With
    VESPER_TLS=1 it makes its own authority."""

    def __init__(self, binary, count):
        self.binary, self.count = binary, count

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix='vesper-test-')
        self.port = neighbours(self.count)
        self.url = f'{"https" if TLS else "http"}://127.0.0.1:{self.port}'
        self.data = os.path.join(self.dir, 'data')
        self.log = os.path.join(self.dir, 'dev.log')
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(
                [self.binary, 'dev', '--nodes', str(self.count), '--port', str(self.port),
                 '--dir', self.data, *(['--tls'] if TLS else [])],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        running[self.process.pid] = self.process
        try:
            expect_equal(self.process.stdout.readline().decode().strip(), self.url + '/ui/',
                         'what it prints')
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, kind, error, trace):
        code = self.end()
        if error is None:
            expect_equal(code, 0, 'the exit code of vesper dev')
            shutil.rmtree(self.dir)
        else:
            with open(self.log, encoding='utf-8', errors='replace') as log:
                print(f'{self.dir}: {log.read()[-2000:]}')

    def end(self):
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(20 * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed('vesper dev does not end') from None
        finally:
            running.pop(self.process.pid, None)
            self.process.stdout.close()
        return code

    def authority(self):
        return os.path.join(self.data, 'pki', 'ca.crt')

    def client_flags(self):
        """What a command needs to talk to its nodes."""
        return ['--endpoints', self.url, *(['--cacert', self.authority()] if TLS else [])]

    def api(self, node=0):
        tls = ssl.create_default_context(cafile=self.authority()) if TLS else None
        return Api(self.port + node, 5.0 * SLOW, tls=tls)

    def leader(self):
        """The id of the node that leads, as node 0 knows it."""
        def find():
            status = self.api().status()
            leads = [one['id'] for one in status['members'] if one['address'] == status['leader']]
            return leads
        return wait_for('a leader', find)[0]
