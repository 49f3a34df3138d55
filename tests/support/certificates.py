"""Certificates for tests: those of `vesper pki`, and odd ones that only openssl makes."""

import os
import ssl
import subprocess


def run(*words, **options):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    assert done.returncode == 0, (words, done.stdout.decode(errors="replace"))
    return done.stdout.decode()


class Pki:
    """A directory with an authority, certificates for hosts, and one for a client."""

    def __init__(self, binary, directory, hosts="127.0.0.1,localhost", name="pki"):
        self.binary, self.directory = binary, os.path.join(directory, name)
        run(binary, "pki", "init", self.directory, "--hosts", hosts)

    def path(self, name):
        return os.path.join(self.directory, name)

    def add(self, hosts):
        run(self.binary, "pki", "add", self.directory, "--hosts", hosts)

    def server_flags(self, host="127.0.0.1", *more):
        if not os.path.exists(self.path(host + ".crt")):
            self.add(host)
        return ["--tls-cert", self.path(host + ".crt"), "--tls-key", self.path(host + ".key"),
                "--tls-ca", self.path("ca.crt"), *more]

    def client_flags(self, *more):
        return ["--cacert", self.path("ca.crt"), *more]

    def context(self, certificate=None):
        """A client's context for Python's ssl, with a certificate of this name."""
        context = ssl.create_default_context(cafile=self.path("ca.crt"))
        if certificate:
            context.load_cert_chain(self.path(certificate + ".crt"),
                                    self.path(certificate + ".key"))
        return context

    def server_context(self, host="127.0.0.1"):
        """A server's context for Python's ssl."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(host + ".crt"), self.path(host + ".key"))
        return context

    def sign(self, name, hosts, validity=("-days", "30")):
        """Makes NAME.crt, which names all of these hosts, and NAME.key: `vesper pki` makes a
        certificate for each host. Returns the name."""
        config, request = self.path(name + ".cnf"), self.path(name + ".csr")
        named = ",".join("%s:%s" % ("IP" if host[0].isdigit() else "DNS", host) for host in hosts)
        with open(config, "w") as f:
            f.write("[ca]\ndefault_ca=x\n[x]\ndatabase=%s\nserial=%s\nnew_certs_dir=%s\n"
                    "default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n"
                    "[ext]\nsubjectAltName=%s\nbasicConstraints=critical,CA:FALSE\n"
                    "authorityKeyIdentifier=keyid\n"
                    "extendedKeyUsage=serverAuth,clientAuth\n"
                    % (self.path("index"), self.path("serial"), self.directory, named))
        open(self.path("index"), "w").close()
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", self.path(name + ".key"), "-out", request, "-subj", "/CN=" + name)
        run("openssl", "ca", "-batch", "-notext", "-config", config, "-in", request, "-out",
            self.path(name + ".crt"), "-cert", self.path("ca.crt"), "-keyfile",
            self.path("ca.key"), "-extensions", "ext", "-create_serial", *validity)
        return name

    def expired(self, host="127.0.0.1", name="expired"):
        """NAME.crt and NAME.key: valid except for their dates."""
        return self.sign(name, [host], ("-startdate", "20200101000000Z",
                                        "-enddate", "20200201000000Z"))
