"""A cluster whose nodes and clients speak TLS, whatever VESPER_TLS says."""

import subprocess

from harness import SLOW, Cluster
from certificates import Pki  # noqa: I001  (harness names its folder)
from runner import expect_equal


class SecureCluster(Cluster):
    """A cluster with TLS and an authority of its own; `plain`: it does not use it yet."""

    def __init__(self, binary, count, plain=False, **more):
        super().__init__(binary, count, start=False, **more)
        self.pki = Pki(binary, self.dir)
        if not plain:
            for node in self.nodes:
                node.use(self.pki)
            self.write_list()

    def find_pki(self):
        return None

    def vesper(self, *words, code=0):
        done = subprocess.run([self.binary, *words, *self.pki.client_flags()], cwd=self.dir,
                              capture_output=True, text=True, timeout=30 * SLOW, check=False)
        expect_equal(done.returncode, code, f'exit code of {words}: {done.stderr}')
        return done.stdout

    def curl(self, node, path, *flags):
        done = subprocess.run(['curl', '-sS', '--cacert', self.pki.path('ca.crt'), *flags,
                               node.url + path], capture_output=True, text=True,
                              timeout=30 * SLOW, check=False)
        expect_equal(done.returncode, 0, f'exit code of curl: {done.stderr}')
        return done.stdout
