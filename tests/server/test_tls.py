"""A server whose port speaks TLS, against openssl, curl and Python's ssl: what it serves, and what
it refuses."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import harness
from certificates import Pki
from harness import Connection, Server, free_ports
from test_peers import HELLO, wait


class SecureConnection(Connection):
    def __init__(self, port, timeout, context):
        super().__init__(port, timeout)
        self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")


class SecureServer(Server):
    """A node with a list of https:// lines."""

    def __init__(self, binary, directory, pki, flags=None, ports=None, node=0,
                 list_name="list.txt"):
        ports = ports or free_ports(1)
        path = os.path.join(directory, list_name)
        if not os.path.exists(path):
            with open(path, "w") as f:
                f.writelines("https://127.0.0.1:%d\n" % p for p in ports)
        super().__init__(binary, directory, ports, node, flags or pki.server_flags(), list_name)
        self.context = pki.context()

    def connect(self, timeout=10):
        return SecureConnection(self.port, timeout, self.context)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        code = self.stop()
        if kind is None:
            assert code == 0, "exit code %s:\n%s" % (code, self.log_text())


def s_client(server, *flags, text=b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):
    """(exit code, output) of openssl s_client that sends this text."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", "127.0.0.1:%d" % server.port, "-ign_eof", *flags],
        input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
    return done.returncode, done.stdout.decode(errors="replace")


def curl(server, path, *flags, scheme="https"):
    done = subprocess.run(
        ["curl", "-sS", "--max-time", "10", *flags,
         "%s://127.0.0.1:%d%s" % (scheme, server.port, path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_client_reads_and_writes_over_tls(binary, directory):
    pki = Pki(binary, directory)
    with SecureServer(binary, directory, pki) as s:
        status, fields, body = s.request("PUT", "/kv/name", "Kyle Chard")
        assert status == 200 and fields["vesper-leader"] == "https://127.0.0.1:%d" % s.port, fields
        assert s.request("GET", "/kv/name?raw")[2] == b"Kyle Chard"
        # Larger than a record, than the kernel's buffers and than what is encrypted at once.
        large = bytes(range(256)) * (8 << 12)
        assert s.request("PUT", "/kv/large", large)[0] == 200
        assert s.request("GET", "/kv/large?raw")[2] == large
        value = json.loads(s.request("GET", "/status")[2])
        assert value["address"] == "https://127.0.0.1:%d" % s.port, value
        assert value["members"][0]["address"] == value["address"], value
        assert value["tls"]["days_left"] > 800 and "reload_error" not in value["tls"], value
        cluster = json.loads(s.request("GET", "/cluster")[2])
        assert "http://" not in json.dumps(cluster), cluster
        metrics = s.request("GET", "/metrics")[2].decode()
        assert "\nvesper_tls_certificate_days_left %d\n" % value["tls"]["days_left"] in metrics
        assert "\nvesper_tls_reload_failed 0\n" in metrics


def test_requests_are_pipelined_and_streamed_over_one_session(binary, directory):
    pki = Pki(binary, directory)
    with SecureServer(binary, directory, pki) as s, s.connect() as c:
        for i in range(50):
            c.send_request("PUT", "/kv/%d" % i, b"x" * 1000)
        assert [c.read_reply()[0] for _ in range(50)] == [200] * 50
        c.send_request("GET", "/watch?key=w&format=ndjson")
        assert c.read_head()[0] == 200
        s.request("PUT", "/kv/w", "1")
        while b'"value":"1"' not in c.read_chunk():
            pass


def test_a_closing_message_follows_the_last_answer(binary, directory):
    pki = Pki(binary, directory)
    with SecureServer(binary, directory, pki) as s:
        with s.connect() as c:
            c.send_request("GET", "/livez", None, [("Connection", "close")])
            assert c.read_reply()[0] == 200
            # Python would raise an error if the connection ended without the message.
            assert c.socket.recv(10) == b""


def test_old_versions_and_weak_ciphers_are_refused(binary, directory):
    pki = Pki(binary, directory)
    trust = ["-CAfile", pki.path("ca.crt"), "-verify_return_error"]
    with SecureServer(binary, directory, pki) as s:
        for version in ("-tls1", "-tls1_1"):
            code, text = s_client(s, version, "-cipher", "ALL:@SECLEVEL=0", *trust)
            assert code != 0 and "HTTP/1.1" not in text, text
            assert "protocol version" in text, text
        for version, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            code, text = s_client(s, version, *trust)
            assert "HTTP/1.1 200" in text and "New, %s" % name in text, text
            assert "Verify return code: 0 (ok)" in text, text
        for cipher in ("AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA"):
            code, text = s_client(s, "-tls1_2", "-cipher", cipher, *trust)
            assert code != 0 and "handshake failure" in text, text
        code, text = s_client(s, "-alpn", "h2", *trust)
        assert code != 0 and "no application protocol" in text, text
        code, text = s_client(s, "-alpn", "h2,http/1.1", *trust)
        assert "ALPN protocol: http/1.1" in text, text


def test_sessions_are_neither_renegotiated_nor_resumed_nor_compressed(binary, directory):
    pki = Pki(binary, directory)
    with SecureServer(binary, directory, pki) as s:
        done = subprocess.run(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % s.port, "-tls1_2"],
            input=b"R\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n", stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=20)
        text = done.stdout.decode(errors="replace")
        assert "RENEGOTIATING" in text and "HTTP/1.1 200" not in text, text
        assert "no renegotiation" in text, text
        for version in ("-tls1_2", "-tls1_3"):
            code, text = s_client(s, version)
            assert "Compression: NONE" in text and "TLS session ticket:" not in text, text
        code, text = s_client(s, "-tls1_2", "-reconnect")
        assert "Reused" not in text and text.count("New, TLSv1.2") >= 6, text


def test_curl_refuses_a_wrong_authority_and_a_wrong_name(binary, directory):
    pki, other = Pki(binary, directory), Pki(binary, directory, name="other")
    with SecureServer(binary, directory, pki) as s:
        code, out, _ = curl(s, "/livez", "--cacert", pki.path("ca.crt"))
        assert code == 0, out
        code, _, error = curl(s, "/livez", "--cacert", other.path("ca.crt"))
        assert code == 60, error
        assert "does not trust the authority" in s.log_text(), s.log_text()
        code, _, error = curl(s, "/livez", "--cacert", pki.path("ca.crt"), "--connect-to",
                              "wrong.example:443:127.0.0.1:%d" % s.port)
        assert code == 0  # the name of the URL counts
        done = subprocess.run(
            ["curl", "-sS", "--cacert", pki.path("ca.crt"), "--connect-to",
             "wrong.example:443:127.0.0.1:%d" % s.port, "https://wrong.example/livez"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 60, done
        metrics = s.request("GET", "/metrics")[2].decode()
        failed = [l for l in metrics.split("\n") if l.startswith("vesper_tls_handshakes_failed")]
        assert int(failed[0].split()[1]) >= 1, failed


def test_plain_http_gets_a_readable_400(binary, directory):
    pki = Pki(binary, directory)
    with SecureServer(binary, directory, pki) as s:
        code, out, error = curl(s, "/kv/a", "-X", "PUT", "-d", "1", scheme="http")
        assert code == 0, error
        value = json.loads(out)
        assert (value["status"], value["code"]) == (400, "malformed"), value
        assert value["detail"] == "this port speaks TLS" and "https://" in value["hint"], value
        with Connection(s.port, 10) as c:
            c.send_request("GET", "/livez")
            status, fields, _ = c.read_reply()
            assert status == 400 and fields["connection"] == "close" and c.at_end(), fields
        for text in (b"nonsense\r\n\r\n", b"\x80\x2e\x01\x03\x01", b"\x00" * 20):
            with Connection(s.port, 10) as c:
                c.send(text)
                assert c.read_reply()[0] == 400
        assert s.request("GET", "/kv/a")[0] == 404, "the plain request was served"


def test_client_certificates(binary, directory):
    pki, other = Pki(binary, directory), Pki(binary, directory, name="other")
    flags = pki.server_flags("127.0.0.1", "--tls-client-ca", pki.path("ca.crt"))
    s = SecureServer(binary, directory, pki, flags)
    s.context = pki.context("client")
    with s:
        assert s.request("PUT", "/kv/a", "1")[0] == 200
        trust = ["--cacert", pki.path("ca.crt")]
        code, out, _ = curl(s, "/kv/a?raw", *trust, "--cert", pki.path("client.crt"), "--key",
                            pki.path("client.key"))
        assert (code, out) == (0, "1")
        code, out, error = curl(s, "/kv/a", *trust)
        assert code != 0 and not out, error
        code, out, error = curl(s, "/kv/a", *trust, "--cert", other.path("client.crt"), "--key",
                                other.path("client.key"))
        assert code != 0 and not out, error
        expired = pki.expired()
        code, out, error = curl(s, "/kv/a", *trust, "--cert", pki.path(expired + ".crt"), "--key",
                                pki.path(expired + ".key"))
        assert code != 0 and not out, error
        # curl may end before the server has read its last message.
        for line in ("the other side has no certificate", "certificate has expired", "CN=client"):
            wait(lambda line=line: line in s.log_text(), 10, s.log_text)


def test_certificates_of_peers_alone_serve_no_client(binary, directory):
    pki, clients = Pki(binary, directory), Pki(binary, directory, name="clients")
    flags = pki.server_flags("127.0.0.1", "--tls-client-ca", clients.path("ca.crt"))
    s = SecureServer(binary, directory, pki, flags)
    s.context.load_cert_chain(clients.path("client.crt"), clients.path("client.key"))
    with s:
        assert s.request("GET", "/livez")[0] == 200
        code, out, error = curl(s, "/kv/a", "--cacert", pki.path("ca.crt"), "--cert",
                                pki.path("127.0.0.1.crt"), "--key", pki.path("127.0.0.1.key"))
        assert json.loads(out)["code"] == "forbidden", (out, error)


def test_a_handshake_that_does_not_end_is_closed(binary, directory):
    pki = Pki(binary, directory)
    flags = pki.server_flags("127.0.0.1", "--header-timeout", "1s")
    with SecureServer(binary, directory, pki, flags) as s:
        idle = socket.create_connection(("127.0.0.1", s.port), 10)
        slow = socket.create_connection(("127.0.0.1", s.port), 10)
        slow.settimeout(0.1)
        hello = b"\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03" + b"r" * 200
        end, at = time.monotonic() + 8, 0
        while True:
            assert time.monotonic() < end, "a slow handshake was not closed"
            try:
                if at < len(hello):
                    slow.sendall(hello[at:at + 1])
                    at += 1
                if slow.recv(10) == b"":
                    break
            except socket.timeout:
                continue
            except OSError:
                break
        assert idle.recv(10) == b"", "an idle connection was not closed"
        assert s.request("GET", "/livez")[0] == 200


def test_the_name_that_a_client_asks_for_means_nothing(binary, directory):
    pki = Pki(binary, directory)
    with SecureServer(binary, directory, pki) as s:
        context = pki.context()
        context.check_hostname = False
        for name in ("nonsense.example", "a." * 120 + "example", None):
            with Connection(s.port, 10) as c:
                c.socket = context.wrap_socket(c.socket, server_hostname=name)
                c.send_request("GET", "/livez")
                assert c.read_reply()[0] == 200, name


class Sealer:
    """A connection whose records are made before they are sent."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), 20)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = server.context.wrap_bio(self.incoming, self.outgoing,
                                           server_hostname="127.0.0.1")
        self.until_it_works(self.tls.do_handshake)
        self.socket.sendall(self.outgoing.read())

    def until_it_works(self, act):
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                self.socket.sendall(self.outgoing.read())
                self.incoming.write(self.socket.recv(1 << 16))

    def records_of_a_byte(self, text):
        for byte in text:
            self.tls.write(bytes([byte]))
        return self.outgoing.read()

    def read(self):
        return self.until_it_works(lambda: self.tls.read(1 << 16))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def test_records_of_a_byte_delay_no_other_client(binary, directory):
    pki = Pki(binary, directory)
    with SecureServer(binary, directory, pki) as s, Sealer(s) as slow, s.connect(20) as other:
        # The body of a request that is refused at once is read and dropped. Then comes another one.
        records = slow.records_of_a_byte(b"POST /nothing HTTP/1.1\r\nHost: localhost\r\n"
                                         b"Content-Length: 100000\r\n\r\n" + b"x" * 100000
                                         + b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")

        def exchange():
            slow.socket.sendall(records)
            text = b""
            while b"HTTP/1.1 200" not in text:
                text += slow.read()

        thread = threading.Thread(target=exchange)
        answers = 0
        thread.start()
        while thread.is_alive():
            other.send_request("GET", "/livez")
            assert other.read_reply()[0] == 200
            answers += 1
        thread.join()
        # 100,000 records are at least 40 turns, and the other client is served in each.
        assert answers >= 5, answers


def test_a_client_may_update_its_keys_a_few_times(binary, directory):
    pki = Pki(binary, directory)
    with SecureServer(binary, directory, pki) as s:
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % s.port, "-tls1_3", "-msg"],
            bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        sent = 0
        with client:
            line = b"-"
            while line and sent < 1000:
                try:
                    client.stdin.write(b"K\n")  # asks the server to update its own keys, too
                except OSError:
                    break
                line = next((one for one in iter(client.stdout.readline, b"")
                             if one.startswith(b">>>") and b"KeyUpdate" in one), b"")
                sent += bool(line)
            client.kill()
        # The client sends some more before it sees the end.
        assert 32 < sent < 1000, sent
        wait(lambda: "updates its keys too often" in s.log_text(), why=s.log_text)
        assert s.request("GET", "/livez")[0] == 200


def test_requests_in_records_of_a_byte_lose_nothing(binary, directory):
    pki = Pki(binary, directory)
    value = bytes(65 + i % 26 for i in range(300))
    head = "PUT /kv/%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300\r\n\r\n"
    with SecureServer(binary, directory, pki) as s, Sealer(s) as slow:
        # More than a turn decrypts, and more requests than a connection may have in flight.
        slow.socket.sendall(b"".join(
            slow.records_of_a_byte((head % i).encode() + value) for i in range(100)))
        text = b""
        while text.count(b"HTTP/1.1 200") < 100:
            text += slow.read()
        for i in (0, 50, 99):
            assert s.request("GET", "/kv/%d?raw" % i)[2] == value, i


def test_many_handshakes_at_once_all_succeed(binary, directory):
    pki = Pki(binary, directory)
    with SecureServer(binary, directory, pki) as s:
        sockets = []
        for _ in range(100):
            raw = socket.create_connection(("127.0.0.1", s.port), 10)
            secure = s.context.wrap_socket(raw, server_hostname="127.0.0.1",
                                           do_handshake_on_connect=False)
            secure.setblocking(False)
            sockets.append(secure)
        end, left = time.monotonic() + 20, list(sockets)
        while left:
            assert time.monotonic() < end, "%d handshakes hang" % len(left)
            for secure in list(left):
                try:
                    secure.do_handshake()
                    left.remove(secure)
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    pass
        for secure in sockets:
            secure.setblocking(True)
            secure.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        for secure in sockets:
            assert secure.recv(100).startswith(b"HTTP/1.1 200")
            secure.close()


def test_a_record_that_is_cut_off_changes_nothing(binary, directory):
    pki = Pki(binary, directory)
    with SecureServer(binary, directory, pki) as s:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = s.context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with socket.create_connection(("127.0.0.1", s.port), 10) as raw:
            while True:
                try:
                    session.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    raw.sendall(outgoing.read())
                    incoming.write(raw.recv(1 << 16))
            session.write(b"PUT /kv/cut HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
            raw.sendall(outgoing.read()[:-1])
            raw.shutdown(socket.SHUT_WR)
            while data := raw.recv(100):
                incoming.write(data)
            try:
                assert session.read() == b""
            except ssl.SSLError:
                pass
        assert s.request("GET", "/kv/cut")[0] == 404


def test_certificates_are_loaded_again(binary, directory):
    pki, other = Pki(binary, directory), Pki(binary, directory, name="other")
    s = SecureServer(binary, directory, pki)

    def serves(context):
        try:
            with SecureConnection(s.port, 10, context) as c:
                c.send_request("GET", "/livez")
                return c.read_reply()[0] == 200
        except ssl.SSLError:
            return False

    def replace(name, source):
        shutil.copy(source, pki.path("new"))
        os.rename(pki.path("new"), pki.path(name))

    with s:
        open_before = s.connect()
        old, new = pki.context(), other.context()
        assert serves(old) and not serves(new)
        # A key alone does not match: the old pair stays, and everyone is told.
        replace("127.0.0.1.key", other.path("127.0.0.1.key"))
        s.process.send_signal(signal.SIGHUP)
        told = lambda: json.loads(s.request("GET", "/status")[2])["tls"].get("reload_error")
        assert "does not belong" in wait(told), told()
        assert "keeping the certificates" in s.log_text(), s.log_text()
        assert b"\nvesper_tls_reload_failed 1\n" in s.request("GET", "/metrics")[2]
        assert serves(old)
        # The files are looked at now and then, without a signal.
        replace("127.0.0.1.crt", other.path("127.0.0.1.crt"))
        replace("ca.crt", other.path("ca.crt"))
        wait(lambda: serves(new), why=s.log_text)
        assert not serves(old)
        s.context = new
        assert told() is None and "are loaded again" in s.log_text()
        open_before.send_request("GET", "/livez")
        assert open_before.read_reply()[0] == 200, "a connection from before was closed"
        os.chmod(pki.path("127.0.0.1.key"), 0o644)
        s.process.send_signal(signal.SIGHUP)
        assert "chmod 600" in wait(told)
        assert s.process.poll() is None, "SIGHUP ended the server"


def ask_for_upgrade(server, context, address):
    """What a server that calls this address its own is told when it dials."""
    fields = {**HELLO, "Vesper-Address": address, "Connection": "Upgrade",
              "Upgrade": "vesper-raft/1"}
    with SecureConnection(server.port, 10, context) as c:
        c.send_request("GET", "/raft", None, fields.items())
        status, _, body = c.read_reply()
    value = json.loads(body)
    assert (status, value["code"]) == (403, "peer_refused"), value
    return value["detail"]


def test_only_the_certificate_of_a_member_makes_a_peer(binary, directory):
    pki, other = Pki(binary, directory), Pki(binary, directory, name="other")
    pki.add("stray.example")
    ports = free_ports(2)
    with open(os.path.join(directory, "list.txt"), "w") as f:
        f.write("https://127.0.0.1:%d\nhttps://localhost:%d\n" % tuple(ports))
    flags = pki.server_flags("127.0.0.1")
    s = SecureServer(binary, directory, pki, flags, ports).start(wait=False)
    try:
        wait(lambda: s.request("GET", "/status")[0] == 200)
        wait(lambda: b'"starting"' not in s.request("GET", "/kv/a?timeout=10ms")[2])
        mine, there = "https://127.0.0.1:1", "https://localhost:1"
        stranger = pki.context()
        stranger.load_cert_chain(other.path("127.0.0.1.crt"), other.path("127.0.0.1.key"))
        for context, address, why in (
                (pki.context(), mine, "presents no certificate"),
                (pki.context("client"), mine, "that of a client, and of no member"),
                (stranger, mine, "is not signed by an authority"),
                (pki.context("127.0.0.1"), there, "does not name localhost"),
                (pki.context("stray.example"), "https://stray.example:1", "which is no member"),
                # The next check that fails shows that these have passed.
                (pki.context("127.0.0.1"), mine, "a different list of servers"),
                (pki.context("localhost"), there, "a different list of servers")):
            told = ask_for_upgrade(s, context, address)
            assert why in told, (why, told)
            if "different list" not in why:
                assert "peer refused: " + told in s.log_text(), s.log_text()
        with Connection(s.port, 10) as c:
            c.send_request("GET", "/raft", None, [*HELLO.items(), ("Connection", "Upgrade"),
                                                  ("Upgrade", "vesper-raft/1")])
            assert c.read_reply()[0] == 400
    finally:
        s.stop()


def test_a_peer_key_works_over_tls(binary, directory):
    pki = Pki(binary, directory)
    key = os.path.join(directory, "key")
    with open(key, "w") as f:
        f.write("correct horse battery staple\n")
    os.chmod(key, 0o600)
    ports = free_ports(3)
    flags = pki.server_flags("127.0.0.1", "--peer-key-file", key)
    servers = [SecureServer(binary, directory, pki, flags, ports, i).start(wait=False)
               for i in range(3)]
    try:
        for s in servers:
            s.wait_ready()
        assert servers[0].request("PUT", "/kv/a", "1")[0] == 200
        assert servers[1].request("GET", "/kv/a?raw")[2] == b"1"
        told = ask_for_upgrade(servers[0], pki.context("127.0.0.1"), "https://127.0.0.1:1")
        assert "without a peer key" in told, told
    finally:
        for s in servers:
            s.stop()


def refused(binary, directory, lines, flags, *words):
    with open(os.path.join(directory, "refused.txt"), "w") as f:
        f.write(lines)
    done = subprocess.run(
        [binary, "server", "0", os.path.join(directory, "refused.txt"), *flags],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20)
    text = done.stdout.decode()
    assert done.returncode == 2, (done.returncode, text)
    for word in words:
        assert word in text, (word, text)


def test_a_server_does_not_start_without_what_its_list_needs(binary, directory):
    pki = Pki(binary, directory)
    flags = pki.server_flags()
    port, second = free_ports(2)
    secure, plain = "https://127.0.0.1:%d\n" % port, "http://127.0.0.1:%d\n" % second
    refused(binary, directory, secure, [], "needs --tls-cert")
    refused(binary, directory, plain, flags, "--tls-cert has no use")
    refused(binary, directory, secure, flags[:2], "need each other")
    refused(binary, directory, secure + plain, flags, "refused.txt:2:", "one scheme",
            "--allow-mixed")
    refused(binary, directory, secure + "http://127.0.0.1:%d\n" % port, flags, "refused.txt:2:",
            "also in line 1")
    refused(binary, directory, secure, flags[:1] + [pki.path("none")] + flags[2:], "none")
    refused(binary, directory, secure, flags[:3] + [pki.path("client.key")] + flags[4:],
            "does not belong")
    os.chmod(pki.path("127.0.0.1.key"), 0o604)
    refused(binary, directory, secure, flags, "127.0.0.1.key", "chmod 600")


def test_with_tls_alone_a_reachable_server_is_closed_until_it_has_tokens(binary, directory):
    pki = Pki(binary, directory)
    ports = free_ports(1)
    flags = pki.server_flags() + ["--listen", "0.0.0.0:%d" % ports[0]]
    with SecureServer(binary, directory, pki, flags, ports) as s:
        for method, path in (("PUT", "/kv/a"), ("GET", "/kv/a"), ("GET", "/status"),
                             ("GET", "/metrics"), ("GET", "/watch"), ("POST", "/auth/tokens"),
                             ("GET", "/ui/"), ("GET", "/favicon.ico"), ("OPTIONS", "/kv/a")):
            status, fields, body = s.request(method, path, "x" if method == "PUT" else None)
            assert (status, json.loads(body)["code"]) == (401, "unauthorized"), (path, body)
            assert fields["www-authenticate"].startswith("Bearer"), fields
        assert s.request("GET", "/livez")[0] == 200
        wait(lambda: s.request("GET", "/readyz")[0] == 200, 10, s.log_text)
        done = subprocess.run(
            [binary, "auth", "enable", "--endpoints", "https://127.0.0.1:%d" % s.port,
             "--cacert", pki.path("ca.crt")], stdout=subprocess.PIPE, timeout=20)
        assert done.returncode == 0
        bearer = [("Authorization", "Bearer " + done.stdout.decode().strip())]
        assert s.request("PUT", "/kv/a", "x", bearer)[0] == 200
        assert s.request("GET", "/kv/a")[0] == 401
        assert s.request("GET", "/ui/")[0] == 200
        s.stop()
        s.start()
        assert s.request("GET", "/kv/a?raw", None, bearer)[2] == b"x"


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], sys.argv[1]))
