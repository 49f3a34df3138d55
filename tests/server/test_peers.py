"""Who may take part in a cluster: handshakes over raw sockets, keys, identities, and that nothing
reaches Raft before the handshake has passed."""

import hmac
import json
import os
import shutil
import signal
import socket
import struct
import sys
import time

import harness
from harness import Server, free_ports

HELLO = {
    "Vesper-Protocol": "1-1", "Vesper-Features": "2", "Vesper-Cluster": "none",
    "Vesper-Term": "0", "Vesper-Last-Index": "0", "Vesper-From": "1", "Vesper-To": "0",
    "Vesper-Id": "1", "Vesper-Address": "http://127.0.0.1:1",
    "Vesper-Incarnation": "00000000000000aa", "Vesper-Standing": "welcome",
    "Vesper-Boot": "00000000000000bb", "Vesper-Boot-Number": "1", "Vesper-Boot-Seen": "none",
    "Vesper-List": "0000000000000000",
    "Vesper-Channel": "control", "Vesper-Auth": "none", "Vesper-Nonce": "0" * 31 + "1",
}


def cluster(binary, directory, count, flags=()):
    ports = free_ports(count)
    return [Server(binary, directory, ports, i, flags) for i in range(count)]


def status(server):
    return json.loads(server.request("GET", "/status")[2])


def wait(what, seconds=10, why=lambda: ""):
    end = time.monotonic() + seconds
    while True:
        try:
            value = what()
            if value:
                return value
        except OSError:
            pass
        assert time.monotonic() < end, "timed out; " + why()
        time.sleep(0.01)


def start_all(servers):
    for s in servers:
        s.start(wait=False)
    for s in servers:
        s.wait_ready()


def stop_all(servers):
    for s in servers:
        s.stop()


def dial(server, **changes):
    """(status, fields, body) of a handshake; body is empty for a 101."""
    hello = dict(HELLO)
    for name, value in changes.items():
        hello["Vesper-" + name] = value
    with server.connect() as c:
        c.send("GET /raft HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: vesper-raft/1\r\n"
               + "".join("%s: %s\r\n" % field for field in hello.items()) + "\r\n")
        code, fields = c.read_head()
        if code == 101:
            return code, fields, b""
        size = int(fields["content-length"])
        while len(c.buffer) < size:
            assert c.fill()
        return code, fields, c.buffer[:size]


def refused(reply, needle):
    code, fields, body = reply
    assert 400 <= code < 500, (code, body)
    detail = json.loads(body)["detail"]
    assert needle in detail, detail


def test_the_refusal_of_a_stranger_gives_the_reason_and_changes_no_state(binary, directory):
    servers = cluster(binary, directory, 3)
    start_all(servers)
    try:
        before = status(servers[0])
        known = before["cluster"]
        s = servers[0]
        other = known[:-1] + ("0" if known[-1] != "0" else "1")
        refused(dial(s, Cluster=other), "belongs to cluster")
        refused(dial(s, From="7", Id="7"), "is not a member")
        refused(dial(s, Cluster=known, From="none", Id="none"), "is not a member")
        refused(dial(s, Cluster=known), "is registered")
        refused(dial(s, Protocol="2-3"), "versions 2-3")
        refused(dial(s, Auth="hmac-sha256"), "peer key")
        refused(dial(s, Nonce="x"), "Vesper-Nonce")
        refused(dial(s, From="1073741825"), "highest number")
        refused(dial(s, Address="127.0.0.1:1"), "Vesper-Address")
        refused(dial(s, Standing="?"), "Vesper-Standing")
        text = s.log_text()
        assert "peer refused" in text and "belongs to cluster" in text, text
        lines = len(text.splitlines())
        for _ in range(5):
            refused(dial(s, From="7", Id="7"), "server 7")
        assert len(s.log_text().splitlines()) == lines, "a reason was logged again"
        after = status(servers[0])
        assert (before["term"], before["last_index"]) == (after["term"], after["last_index"])
    finally:
        stop_all(servers)


def test_random_bytes_on_the_peer_port_change_nothing(binary, directory):
    servers = cluster(binary, directory, 1)
    start_all(servers)
    try:
        s = servers[0]
        before = status(s)
        for seed in range(50):
            with s.connect() as c:
                c.send(os.urandom(300))
            with s.connect() as c:
                c.send("GET /raft HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                       "Upgrade: vesper-raft/1\r\n\r\n")
                assert c.read_head()[0] == 400
        after = status(s)
        assert (before["term"], before["last_index"]) == (after["term"], after["last_index"])
    finally:
        stop_all(servers)


def test_servers_connect_only_if_they_have_the_same_key(binary, directory):
    for name, text in (("key", "correct horse battery staple\n"), ("other", "x" * 32)):
        with open(os.path.join(directory, name), "w") as f:
            f.write(text)
        os.chmod(f.name, 0o600)
    key = ["--peer-key-file", os.path.join(directory, "key")]
    servers = cluster(binary, directory, 3, key + ["--found-after", "300ms"])
    servers[2].flags = ["--peer-key-file", os.path.join(directory, "other")]
    start_all(servers[:2])
    servers[2].start(wait=False)
    try:
        assert servers[0].request("PUT", "/kv/secret", "kept")[0] == 200
        wait(lambda: "a different peer key" in servers[2].log_text(), why=servers[2].log_text)
        wait(lambda: "peer key" in servers[0].log_text(), why=servers[0].log_text)
        assert servers[2].request("GET", "/readyz")[0] == 503
        assert "correct horse" not in servers[0].log_text()
        servers[2].stop()
        servers[2].flags = []
        servers[2].start(wait=False)
        wait(lambda: "with a peer key, but this server without" in servers[2].log_text())
        servers[2].stop()
        servers[2].flags = key
        servers[2].start()
        assert servers[2].request("GET", "/kv/secret?raw")[2] == b"kept"
    finally:
        stop_all(servers)


class PaperPeer:
    """Server 1 of two, written from docs/peer-protocol.md: knows the key, runs no Raft."""

    KEY = b"correct horse battery staple"

    def __init__(self, port):
        self.listener = socket.create_server(("127.0.0.1", port))
        self.listener.settimeout(10)
        self.hello = {"Protocol": "1-1", "Features": "2", "Cluster": "none", "Term": "0",
                      "Last-index": "0", "From": "1", "To": "0", "Id": "1",
                      "Address": "http://127.0.0.1:%d" % port, "Standing": "welcome",
                      "Incarnation": "%016x" % 0xaa, "Boot": "%016x" % 0xbb,
                      "Boot-number": "1", "Boot-seen": "none",
                      "Auth": "hmac-sha256", "Nonce": "%032x" % 12345}

    @staticmethod
    def number(text):
        return 0xffffffff if text == "none" else int(text)

    @staticmethod
    def transcript(*hellos):
        packed = b""
        for h in hellos:
            low, high = h["Protocol"].split("-")
            cluster = 0 if h["Cluster"] == "none" else int(h["Cluster"], 16)
            seen = ("0 0 0" if h["Boot-seen"] == "none" else h["Boot-seen"]).split()
            nonce = int(h["Nonce"], 16)
            mask = (1 << 64) - 1
            address = h["Address"].encode()
            packed += struct.pack("<IIIQQQQIII", int(low), int(high), int(h["Features"]),
                                  cluster >> 64, cluster & mask, int(h["Term"]),
                                  int(h["Last-index"]), PaperPeer.number(h["From"]),
                                  PaperPeer.number(h["To"]), PaperPeer.number(h["Id"]))
            packed += struct.pack("<I", len(address)) + address
            packed += struct.pack("<QQQQQQQBBBQQ", int(h["Incarnation"], 16), int(h["Boot"], 16),
                                  int(h["Boot-number"]), int(seen[0], 16), int(seen[1]),
                                  int(seen[2], 16), int(h["List"], 16), h["Channel"] == "bulk",
                                  h["Standing"] == "left", 1, nonce >> 64, nonce & mask)
        return packed

    def mac(self, label, transcript):
        return hmac.new(self.KEY, label + transcript, "sha256").digest()

    @staticmethod
    def hello_of(fields):
        return {name[len("vesper-"):].capitalize(): value for name, value in fields.items()
                if name.startswith("vesper-")}

    def accept(self):
        """Answers one dial: (connection, the channel, the key of its frames)."""
        c = harness.Connection.__new__(harness.Connection)
        c.socket, _ = self.listener.accept()
        c.socket.settimeout(10)
        c.buffer = b""
        lines, fields = read_request(c)
        theirs = self.hello_of(fields)
        ours = dict(self.hello, List=theirs["List"], Channel=theirs["Channel"])
        both = self.transcript(theirs, ours)
        c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
               "Upgrade: vesper-raft/1\r\n" +
               "".join("Vesper-%s: %s\r\n" % field for field in ours.items()) +
               "Vesper-Proof: %s\r\n\r\n" % self.mac(b"vesper-raft/1 acceptor\n", both).hex())
        return c, theirs, self.mac(b"vesper-raft/1 frames\n", both)

    def dial(self, server, list_hash, channel):
        c = server.connect()
        ours = dict(self.hello, List=list_hash, Channel=channel)
        c.send("GET /raft HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
               "Upgrade: vesper-raft/1\r\n" +
               "".join("Vesper-%s: %s\r\n" % field for field in ours.items()) + "\r\n")
        status, fields = c.read_head()
        assert status == 101, fields
        both = self.transcript(ours, self.hello_of(fields))
        proof = self.mac(b"vesper-raft/1 acceptor\n", both).hex()
        assert fields["vesper-proof"] == proof, "the acceptor does not prove the key"
        return c, self.mac(b"vesper-raft/1 frames\n", both)

    @staticmethod
    def frame(key, number, kind, body, flags=3):
        header = struct.pack("<IBBH", len(body), kind, flags, 0)
        tag = hmac.new(key, struct.pack("<Q", number) + header + body, "sha256").digest()[:16]
        return header + tag + body

    @classmethod
    def read_frame(cls, c, key, number):
        while len(c.buffer) < 24 or len(c.buffer) < 24 + struct.unpack("<I", c.buffer[:4])[0]:
            assert c.fill(), "closed"
        size = struct.unpack("<I", c.buffer[:4])[0]
        frame, c.buffer = c.buffer[:24 + size], c.buffer[24 + size:]
        kind, flags = frame[4], frame[5]
        assert frame == cls.frame(key, number, kind, frame[24:], flags), "a wrong tag"
        return kind, frame[24:]


def read_request(c):
    while b"\r\n\r\n" not in c.buffer:
        assert c.fill()
    head, c.buffer = c.buffer.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    return lines[0], {n.lower(): v.strip() for n, v in (x.split(":", 1) for x in lines[1:])}


def test_a_peer_written_from_the_documentation_is_understood(binary, directory):
    with open(os.path.join(directory, "key"), "wb") as f:
        f.write(PaperPeer.KEY)
    os.chmod(os.path.join(directory, "key"), 0o600)
    server = cluster(binary, directory, 2, ["--peer-key-file", os.path.join(directory, "key")])[0]
    peer = PaperPeer(server.ports[1])
    server.start(wait=False)
    try:
        links = {}
        for _ in range(2):
            c, theirs, key = peer.accept()
            assert (theirs["From"], theirs["To"], theirs["Cluster"]) == ("0", "1", "none")
            assert (theirs["Id"], theirs["Standing"]) == ("0", "welcome"), theirs
            assert theirs["Address"] == "http://127.0.0.1:%d" % server.ports[0], theirs
            kind, body = peer.read_frame(c, key, 0)
            assert (kind, body) == (1, b""), "the dialler's proof"
            links[theirs["Channel"]] = (c, key)
        assert sorted(links) == ["bulk", "control"]
        # The other one has said that its log is empty, so it asks for a pre-vote in term 1.
        kind, body = peer.read_frame(*links["control"], 1)
        asked = struct.unpack("<BQBQQQQB", body)
        assert kind == 2 and asked == (1, 1, 1, 0, 0, 0, 0, 0), asked
        # Granted over a connection of our own; then it asks for the vote itself.
        own, key = peer.dial(server, theirs["List"], "control")
        own.send(peer.frame(key, 0, 1, b""))
        own.send(peer.frame(key, 1, 2, struct.pack("<BQQBB", 2, 0, 1, 1, 0)))
        number = 2
        while True:
            kind, body = peer.read_frame(*links["control"], number)
            number += 1
            if body[0] == 1 and body[9] == 0:
                break
        assert struct.unpack("<BQBQQQQB", body)[:3] == (1, 1, 0)
        # A frame whose tag does not fit ends the connection, and nothing of it is read.
        own.send(peer.frame(key, 7, 2, struct.pack("<BQQBB", 2, 1, 1, 0, 0)))
        assert own.at_end()
        assert status(server)["role"] != "leader"
    finally:
        server.stop()
        peer.listener.close()


def test_only_a_proven_peer_is_believed_about_starts(binary, directory):
    with open(os.path.join(directory, "key"), "wb") as f:
        f.write(PaperPeer.KEY)
    os.chmod(os.path.join(directory, "key"), 0o600)
    server = cluster(binary, directory, 2, ["--peer-key-file", os.path.join(directory, "key")])[0]
    peer = PaperPeer(server.ports[1])
    server.start(wait=False)
    try:
        _, theirs, _ = peer.accept()
        assert (theirs["Boot-number"], theirs["Boot-seen"]) == ("1", "none")
        peer.hello["Boot-seen"] = theirs["Incarnation"] + " 9 00000000000000cc"
        own, key = peer.dial(server, theirs["List"], "control")
        own.send(peer.frame(bytes(32), 0, 1, b""))  # a wrong proof
        assert own.at_end()
        assert status(server)["id"] == 0
        assert "older copy" not in server.log_text(), server.log_text()
        # What was seen of another incarnation says nothing about this one.
        other = dict(peer.hello)
        peer.hello["Boot-seen"] = "00000000000000dd 9 00000000000000cc"
        own, key = peer.dial(server, theirs["List"], "control")
        own.send(peer.frame(key, 0, 1, b""))
        wait(lambda: peer.accept())  # it dials the peer that has shown up
        assert "older copy" not in server.log_text(), server.log_text()
        peer.hello = other
        own, key = peer.dial(server, theirs["List"], "control")
        own.send(peer.frame(key, 0, 1, b""))
        wait(lambda: "taking no part until a leader is heard" in server.log_text(),
             why=server.log_text)
        assert "this is start 1 of it, but server 1 has seen start 9" in server.log_text()
        # No leader shows that the others go on without it, so it keeps its files.
        data = os.listdir(os.path.join(directory, "vesper-data", "0"))
        assert "boot-number" in data and not any("set-aside" in name for name in data), data
    finally:
        server.stop()
        peer.listener.close()


def test_links_without_a_proof_do_not_fill_the_log(binary, directory):
    with open(os.path.join(directory, "key"), "wb") as f:
        f.write(PaperPeer.KEY)
    os.chmod(os.path.join(directory, "key"), 0o600)
    audit = os.path.join(directory, "audit.log")
    server = cluster(binary, directory, 2, ["--peer-key-file", os.path.join(directory, "key"),
                                            "--audit-log", audit])[0]
    peer = PaperPeer(server.ports[1])
    server.start(wait=False)
    try:
        _, theirs, _ = peer.accept()
        for _ in range(20):
            own, _ = peer.dial(server, theirs["List"], "control")
            own.send(peer.frame(bytes(32), 0, 1, b""))  # a wrong proof
            assert own.at_end()
        assert status(server)["id"] == 0
        lines = server.log_text().count("did not prove that it has the peer key")
        assert lines == 1, server.log_text()
        with open(audit) as f:
            first = json.loads(f.readline())
        assert (first["path"], first["status"], first["code"]) == ("/raft", 403, "peer_refused")
    finally:
        server.stop()
        peer.listener.close()


def test_a_wiped_server_is_taken_in_again_and_the_others_keep_serving(binary, directory):
    servers = cluster(binary, directory, 3)
    start_all(servers)
    try:
        servers[0].request("PUT", "/kv/w", "1")
        servers[2].stop(signal.SIGKILL)
        shutil.rmtree(os.path.join(directory, "vesper-data", "2"))
        servers[2].start(wait=False)
        assert servers[0].request("PUT", "/kv/w", "2")[0] == 200
        servers[2].wait_ready()
        assert servers[2].request("GET", "/kv/w?raw")[2] == b"2"
        wait(lambda: all(m["voter"] for m in status(servers[0])["members"]))
        assert "lost its disk" in servers[0].log_text() + servers[1].log_text()
    finally:
        stop_all(servers)


def test_the_second_of_two_servers_with_one_id_is_refused(binary, directory):
    servers = cluster(binary, directory, 3)
    start_all(servers)
    twin = Server(binary, directory, servers[0].ports, 2,
                  ["--data-dir", os.path.join(directory, "twin"), "--listen",
                   "127.0.0.1:%d" % free_ports(1)[0]])
    twin.log = os.path.join(directory, "twin.log")
    try:
        twin.start(wait=False)
        wait(lambda: "refused" in twin.log_text(), why=twin.log_text)
        text = wait(lambda: servers[0].log_text() if "peer refused" in servers[0].log_text()
                    else None)
        assert "server 2" in text
        assert servers[0].request("PUT", "/kv/t", "1")[0] == 200
    finally:
        stop_all(servers + [twin])


def test_strangers_cannot_fill_the_log(binary, directory):
    servers = cluster(binary, directory, 3)
    start_all(servers)
    try:
        s = servers[0]

        def refused():
            with open(s.log) as f:
                return f.read().count("peer refused")

        before = refused()
        for i in range(200):  # as a peer that it knows, each time for another reason
            assert dial(s, Cluster="%032x" % (2 + i))[0] == 403
        wait(lambda: refused() > before)
        assert s.request("PUT", "/kv/a", "1")[0] == 200
        assert refused() <= before + 16, refused()
    finally:
        stop_all(servers)


def test_a_server_with_another_list_is_refused_while_there_is_no_cluster(binary, directory):
    ports = free_ports(3)
    other = os.path.join(directory, "other.txt")
    with open(other, "w") as f:
        f.writelines("http://127.0.0.1:%d\n" % p for p in (ports[0], ports[1]))
    a = Server(binary, directory, ports, 0)
    b = Server(binary, directory, ports, 1, list_name="other.txt")
    try:
        a.start(wait=False)
        b.start(wait=False)
        wait(lambda: "a different list" in a.log_text() and "a different list" in b.log_text(),
             why=lambda: a.log_text() + b.log_text())
        assert a.request("GET", "/readyz")[0] == 503
    finally:
        stop_all([a, b])


def test_a_killed_leader_causes_a_short_delay_and_no_error(binary, directory):
    servers = cluster(binary, directory, 3)
    start_all(servers)
    try:
        slowest = 0
        for round_number in range(5):
            leader = wait(lambda: next((s for s in servers if status(s)["role"] == "leader"), None))
            other = next(s for s in servers if s is not leader)
            assert other.request("PUT", "/kv/f", "before%d" % round_number)[0] == 200
            leader.stop(signal.SIGKILL)
            begun = time.monotonic()
            reply = other.request("PUT", "/kv/f", "after%d" % round_number)
            assert reply[0] == 200, reply
            slowest = max(slowest, time.monotonic() - begun)
            leader.start()
            assert leader.request("GET", "/kv/f?raw")[2] == b"after%d" % round_number
        assert slowest < 1, "%.3f s" % slowest
    finally:
        stop_all(servers)


def test_a_large_value_is_sent_between_servers(binary, directory):
    servers = cluster(binary, directory, 3)
    start_all(servers)
    try:
        value = os.urandom(8 << 20)
        for s in servers:
            assert s.request("PUT", "/kv/large%d" % s.node, value)[0] == 200
        for s in servers:
            for node in range(3):
                assert s.request("GET", "/kv/large%d?raw" % node)[2] == value
        text = servers[0].request("GET", "/metrics")[2].decode()
        assert "vesper_peer_links_up 4" in text, text
    finally:
        stop_all(servers)


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], os.path.abspath(sys.argv[1])))
