#!/usr/bin/env python3
"""TLS of the commands: `vesper pki`, --cacert, --cert, --key, --insecure, and their variables."""
import os
import socket
import ssl
import stat
import subprocess
import sys
import threading
import unittest

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support")]

from certificates import Pki  # noqa: E402
from cli_case import VESPER, Cli  # noqa: E402
from fake_server import Fake, reply  # noqa: E402

VALUE = {"key": "a", "value": "1", "revision": 2, "create_revision": 2, "version": 1}


class Authority(Cli):
    """`vesper pki`."""

    def path(self, name):
        return os.path.join(self.folder.name, "pki", name)

    def contents(self):
        found = {}
        for name in os.listdir(self.path(".")):
            with open(self.path(name), "rb") as f:
                found[name] = f.read()
        return found

    def init(self, *more, code=0):
        result = self.vesper("pki", "init", "pki", *more)
        self.assertEqual(result.code, code, result.err)
        return result

    def openssl(self, *words):
        done = subprocess.run(
            ["openssl", *words], capture_output=True, text=True, check=False,
            cwd=os.path.join(self.folder.name, "pki"),
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def verify(self, name, purpose, *more):
        return self.openssl("verify", "-x509_strict", "-check_ss_sig", "-CAfile", "ca.crt",
                            "-purpose", purpose, *more, name + ".crt")

    def test_the_certificates_pass_the_strict_check(self):
        result = self.init("--hosts", "a.example,127.0.0.1,::1,A.EXAMPLE.")
        hosts = ["a.example", "127.0.0.1", "::1"]
        names = [f"{name}.{kind}" for name in ["ca", *hosts, "client"] for kind in ("key", "crt")]
        self.assertEqual(result.out.decode().split(), ["pki/" + name for name in names])
        self.assertEqual(sorted(os.listdir(self.path("."))), sorted(names))
        self.verify("a.example", "sslserver", "-verify_hostname", "a.example")
        self.verify("127.0.0.1", "sslserver", "-verify_ip", "127.0.0.1")
        self.verify("::1", "sslserver", "-verify_ip", "::1")
        for name in [*hosts, "client"]:
            self.verify(name, "sslclient")
        client = self.openssl("x509", "-in", "client.crt", "-noout", "-text")
        self.assertNotIn("TLS Web Server Authentication", client)
        self.assertIn("prime256v1", client)
        text = self.openssl("x509", "-in", "ca.crt", "-noout", "-text")
        for part in ("CA:TRUE", "Certificate Sign, CRL Sign", "prime256v1"):
            self.assertIn(part, text)
        for name in names:
            mode = stat.S_IMODE(os.stat(self.path(name)).st_mode)
            self.assertEqual(mode & 0o077 if name.endswith("key") else mode & 0o022, 0, name)
        self.assertEqual(stat.S_IMODE(os.stat(self.path(".")).st_mode), 0o700)
        for name in ["a.example", "client"]:
            key = self.openssl("pkey", "-in", name + ".key", "-pubout")
            self.assertEqual(key, self.openssl("x509", "-in", name + ".crt", "-noout", "-pubkey"))

    def test_no_file_is_overwritten(self):
        self.init("--hosts", "a")
        before = self.contents()
        self.assertIn("exists already", self.init("--hosts", "b", code=1).err)
        result = self.vesper("pki", "add", "pki", "--hosts", "b,a")
        self.assertEqual(result.code, 1, result.err)
        self.assertIn("a.key exists already; nothing was written", result.err)
        self.assertEqual(before, self.contents())

    def test_a_host_is_added_later(self):
        self.init("--hosts", "a")
        result = self.vesper("pki", "add", "pki", "--hosts", "b.example")
        self.assertEqual(result.out.decode().split(), ["pki/b.example.key", "pki/b.example.crt"])
        self.verify("b.example", "sslserver", "-verify_hostname", "b.example")
        os.remove(self.path("ca.key"))
        self.expect(self.vesper("pki", "add", "pki", "--hosts", "c"), 1)
        with open(self.path("ca.key"), "w") as f:
            f.write("nonsense")
        os.chmod(self.path("ca.key"), 0o604)
        result = self.vesper("pki", "add", "pki", "--hosts", "c")
        self.expect(result, 1)
        self.assertIn("chmod 600", result.err)
        os.chmod(self.path("ca.key"), 0o600)
        result = self.vesper("pki", "add", "pki", "--hosts", "c")
        self.expect(result, 1)
        self.assertIn("not a certificate and its key", result.err)

    def test_wrong_usage(self):
        for words in (["init", "pki"], ["init", "pki", "--hosts", ""], ["init", "--hosts", "a"],
                      ["make", "pki", "--hosts", "a"]):
            self.expect(self.vesper("pki", *words), 2)
        for host in ("a:5000", "https://a", "a b", "0.0.0.0", "::", "client", "ca", "a/../b",
                     "1.2.3"):
            result = self.vesper("pki", "init", "pki", "--hosts", "ok," + host)
            self.expect(result, 2)
            self.assertIn("--hosts", result.err)
        self.assertFalse(os.path.exists(self.path(".")))


class Clients(Cli):
    """The flags of the commands that talk to a cluster."""

    def setUp(self):
        super().setUp()
        self.pki = Pki(VESPER, self.folder.name)

    def secure(self, answer=None, certificate="127.0.0.1", demands=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pki.path(certificate + ".crt"),
                                self.pki.path(certificate + ".key"))
        if demands:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.pki.path("ca.crt"))
        answer = answer or reply(200, VALUE)
        fake = Fake(answer if callable(answer) else lambda request, connection: answer,
                    context=context)
        self.fakes.append(fake)
        return fake

    def get(self, fake, *flags, env=None):
        return self.vesper("get", "a", *flags, "--endpoints", fake.url, env=env)

    def test_a_command_trusts_only_the_given_authority(self):
        fake = self.secure(reply(200, "1", extra='ETag: "2"\r\n'))
        ca = self.pki.path("ca.crt")
        self.assertEqual(self.get(fake, "--cacert", ca).out, b"1")
        self.assertEqual(self.get(fake, env={"VESPER_CACERT": ca}).out, b"1")
        # `watch --exec` sets VESPER_KEY: it names a key of the store, not a file.
        self.assertEqual(self.get(fake, env={"VESPER_CACERT": ca, "VESPER_KEY": "a"}).out, b"1")
        self.assertEqual(self.get(fake, "--insecure").out, b"1")
        asked = len(fake.requests)
        other = Pki(VESPER, self.folder.name, name="other")
        for flags in ([], ["--cacert", other.path("ca.crt")]):
            result = self.get(fake, *flags)
            self.expect(result, 5)
            self.assertIn("TLS: the certificate of CN=127.0.0.1", result.err)
        # The flag wins over the variable.
        result = self.get(fake, "--cacert", other.path("ca.crt"), env={"VESPER_CACERT": ca})
        self.expect(result, 5)
        self.assertEqual(len(fake.requests), asked)

    def test_a_certificate_for_another_host_or_time_is_refused(self):
        self.pki.add("other.example")
        ca = self.pki.path("ca.crt")
        result = self.get(self.secure(certificate="other.example"), "--cacert", ca)
        self.expect(result, 5)
        self.assertIn("does not name 127.0.0.1", result.err)
        result = self.get(self.secure(certificate=self.pki.expired()), "--cacert", ca)
        self.expect(result, 5)
        self.assertIn("certificate has expired", result.err)

    def test_a_client_certificate_is_presented(self):
        fake = self.secure(reply(200, "1"), demands=True)
        trust = ["--cacert", self.pki.path("ca.crt")]
        own = ["--cert", self.pki.path("client.crt"), "--key", self.pki.path("client.key")]
        self.assertEqual(self.get(fake, *trust, *own).out, b"1")
        variables = {"VESPER_CLIENT_CERT": own[1], "VESPER_CLIENT_KEY": own[3]}
        self.assertEqual(self.get(fake, *trust, env=variables).out, b"1")
        # Without one nothing was applied: a write has failed, and its outcome is known.
        result = self.vesper("put", "a", "1", *trust, "--endpoints", fake.url)
        self.expect(result, 5)
        self.assertIn("certificate", result.err)

    def test_files_that_cannot_be_used_are_wrong_usage(self):
        fake = self.secure()
        ca = ["--cacert", self.pki.path("ca.crt")]
        for flags, word in (
            (["--cacert", "none.crt"], "--cacert: none.crt"),
            (["--cacert", self.pki.path("ca.key")], "no certificate"),
            ([*ca, "--cert", self.pki.path("client.crt")], "--cert and --key"),
            ([*ca, "--cert", self.pki.path("client.crt"), "--key",
              self.pki.path("127.0.0.1.key")], "does not belong"),
        ):
            result = self.get(fake, *flags)
            self.expect(result, 2)
            self.assertIn(word, result.err)
        self.assertEqual(fake.requests, [])

    def test_large_bodies_pass_in_both_directions(self):
        value = os.urandom(3 << 20)
        held = {}

        def answer(request, connection):
            if request.method == "PUT":
                held["value"] = request.body
                return reply(200, VALUE)
            return reply(200, held["value"], "application/octet-stream")

        fake = self.secure(answer)
        trust = ["--cacert", self.pki.path("ca.crt"), "--endpoints", fake.url]
        result = self.vesper("put", "a", "-", *trust, stdin=value)
        self.assertEqual((result.code, held["value"] == value), (0, True), result.err)
        self.assertEqual(self.vesper("get", "a", *trust).out, value)

    def test_an_answer_that_is_cut_off_is_no_answer(self):
        def cut(request, connection):
            connection.sendall(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\nhal")
            return None  # the connection ends without the closing message

        result = self.get(self.secure(cut), "--cacert", self.pki.path("ca.crt"))
        self.expect(result, 5)
        self.assertIn("cut off", result.err)

    def test_a_plain_server_is_recognized(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def refuse():
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1)
                    connection.sendall(reply(400, {"code": "malformed"}))
                    connection.recv(10_000)
            server = threading.Thread(target=refuse)
            server.start()
            url = "https://127.0.0.1:%d" % listener.getsockname()[1]
            result = self.vesper("get", "a", "--endpoints", url, "--timeout", "1s")
            server.join()
        self.expect(result, 5)
        self.assertIn("does not speak TLS", result.err)

    def test_curl_shows_the_flags(self):
        url = "https://127.0.0.1:5000"
        result = self.vesper("get", "a", "--curl", "--endpoints", url, "--cacert",
                             self.pki.path("ca.crt"), "--insecure",
                             env={"VESPER_CLIENT_CERT": self.pki.path("client.crt"),
                                  "VESPER_CLIENT_KEY": self.pki.path("client.key")})
        self.assertEqual(result.code, 0, result.err)
        line = result.out.decode()
        for part in (f"--cacert {self.pki.path('ca.crt')} ", " --insecure ",
                     f"--cert {self.pki.path('client.crt')} --key {self.pki.path('client.key')} "):
            self.assertIn(part, line)
        result = self.vesper("get", "a", "--curl", "--cacert", "x", "--endpoints",
                             url.replace("https:", "http:"))
        self.assertNotIn("--cacert", result.out.decode())


if __name__ == "__main__":
    unittest.main()
