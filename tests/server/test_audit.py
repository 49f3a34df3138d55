"""The audit log of a server (docs/command-line.md): which requests have a line, what it says, and
how many lines refusals write."""

import json
import os
import signal
import socket
import sys
import time

import harness
from test_auth import add, enable, forbidden, prefix, unauthorized
from test_contract import Running
from test_keys import ok
from test_peers import dial, wait


def test_the_audit_log_has_acts_and_refusals(binary, directory):
    path = os.path.join(directory, "audit.log")
    with Running(binary, directory, ("--audit-log", path, "--audit-writes")) as s:
        root = enable(s)
        app = add(root, "app", ("write", prefix("a/")))
        ok(app.request("PUT", "/kv/a/1", "secret value"))
        forbidden(app.request("PUT", "/kv/b", "secret value"), "write")
        unauthorized(s.request("GET", "/kv/a"))
        root.request("GET", "/kv/a")
        os.rename(path, path + ".1")
        s.process.send_signal(signal.SIGHUP)
        wait(lambda: os.path.exists(path))
        ok(root.request("DELETE", "/auth/tokens/app"))
        with open(path + ".1") as f:
            text = f.read()
        lines = [json.loads(line) for line in text.splitlines()]
        shown = [(r.get("token"), r["method"], r["path"], r["status"]) for r in lines]
        assert shown == [(None, "POST", "/auth/enable", 200), ("root", "POST", "/auth/tokens", 200),
                         ("app", "PUT", "/kv/a/1", 200), ("app", "PUT", "/kv/b", 403),
                         (None, "GET", "/kv/a", 401)], shown
        assert all(r["from"].startswith("127.0.0.1:") and r["time"].endswith("Z") for r in lines)
        assert lines[2]["revision"] == 2 and lines[3]["code"] == "forbidden", lines
        for secret in ("secret value", root.token, app.token):
            assert secret not in text
        with open(path) as f:
            assert json.loads(f.read())["path"] == "/auth/tokens/app"
    assert os.stat(path).st_mode & 0o77 == 0, "others must not read it"
    s = harness.Server(binary, directory, harness.free_ports(1), flags=("--audit-log", directory))
    s.start(wait=False)
    assert s.process.wait(10) == 2, "a directory is no file"


def lines_of(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def test_the_audit_log_says_what_was_done(binary, directory):
    path = os.path.join(directory, "audit.log")
    with Running(binary, directory, ("--audit-log", path, "--audit-writes")) as s:
        root = enable(s)
        add(root, "app", ("write", prefix("a/")))
        ok(root.request("PUT", "/kv/a", "secret value"))
        ok(root.request("POST", "/compact?revision=2"))
        ok(root.request("DELETE", "/kv?prefix=a"))
        ok(root.request("POST", "/kv/n?min=71234567"))
        ok(root.request("PUT", "/request",
                        '{"type":"put","payload":{"key":"seed","value":"secret value"}}'))
        ok(root.request("POST", "/txn", '{"then":[{"put":{"key":"x","value":"secret value"}},'
                        '{"get":{"key":"y"}}],"else":[{"delete":{"prefix":"z/"}}]}'))
        unauthorized(s.request("GET", "/kv/a?token=" + root.token))
        unauthorized(s.request("GET", "/kv/" + "b" * 2000))
        assert root.request("POST", "/compact?revision=2&token=" + root.token)[0] == 400
        lines = lines_of(path)
        assert json.loads(lines[1]["body"])["name"] == "app", lines[1]
        assert lines[3]["query"] == "revision=2" and lines[4]["query"] == "prefix=a", lines
        assert lines[5]["path"] == "/kv/n" and "query" not in lines[5], lines
        assert lines[6]["keys"] == [{"key": "seed"}], lines
        assert lines[7]["keys"] == [{"key": "x"}, {"key": "z/"}], lines
        with open(path) as f:
            text = f.read()
        for secret in ("secret value", "71234567", root.token):
            assert secret not in text, secret


def test_refusals_in_a_loop_write_few_lines_to_the_audit_log(binary, directory):
    path = os.path.join(directory, "audit.log")
    with Running(binary, directory, ("--audit-log", path)) as s:
        root = enable(s)
        app = add(root, "app", ("write", prefix("a/")))
        before = len(lines_of(path))
        began = time.monotonic()
        for i in range(300):
            # Neither another connection nor another path makes another kind.
            unauthorized(s.request("GET", "/kv/" + "b" * 2000 + str(i)))
            forbidden(app.request("PUT", "/kv/b%d" % i, "v"), "write")
        lines = lambda: lines_of(path)[before:]
        count = lambda code: sum(r.get("refused", 1) for r in lines() if r.get("code") == code)
        wait(lambda: count("unauthorized") == count("forbidden") == 300)
        seconds = time.monotonic() - began
        # For each kind and second five lines at once, and one with the number of the others.
        assert len(lines()) <= 2 * 6 * (seconds + 2), (len(lines()), seconds)
        assert all(len(r.get("path", "")) <= 256 for r in lines())
        counted = [r for r in lines() if "refused" in r]
        assert {r.get("token") for r in counted} == {None, "app"}, counted
        assert all(r["from"] == "127.0.0.1" for r in counted), counted
        for i in range(20):  # acts are never counted together
            add(root, "more%d" % i, ("metrics", {}))
        assert sum(r.get("path") == "/auth/tokens" for r in lines()) == 20


def test_a_few_refusals_have_lines_of_their_own(binary, directory):
    path = os.path.join(directory, "audit.log")
    with Running(binary, directory, ("--audit-log", path)) as s:
        enable(s)
        for name in "abc":
            unauthorized(s.request("GET", "/kv/" + name))
        assert [r["path"] for r in lines_of(path)[1:]] == ["/kv/a", "/kv/b", "/kv/c"]


def test_what_the_store_refuses_has_its_code_in_the_audit_log(binary, directory):
    path = os.path.join(directory, "audit.log")
    with Running(binary, directory, ("--audit-log", path)) as s:
        root = enable(s)
        app = add(root, "app", ("write", prefix("a/")))
        lease = ok(root.request("POST", "/leases?ttl=1h"))["lease"]
        ok(root.request("PUT", "/kv/b?lease=" + lease, "v"))
        forbidden(app.request("DELETE", "/leases/" + lease), "write")
        assert root.request("POST", "/auth/enable")[0] == 409
        last = lines_of(path)[-2:]
        assert [(r["token"], r["path"], r["status"], r["code"]) for r in last] == [
            ("app", "/leases/" + lease, 403, "forbidden"),
            ("root", "/auth/enable", 409, "already_enabled")], last


def test_a_refused_peer_has_a_line(binary, directory):
    path = os.path.join(directory, "audit.log")
    key = os.path.join(directory, "key")
    with open(key, "w") as f:
        f.write("0123456789abcdef")
    os.chmod(key, 0o600)
    with Running(binary, directory, ("--audit-log", path)) as s:
        assert dial(s, Cluster="1" * 32)[0] == 403
        assert dial(s, Nonce="x")[0] == 400
        lines = lines_of(path)
        assert [(r["method"], r["path"], r["status"], r["code"]) for r in lines] == [
            ("GET", "/raft", 403, "peer_refused"), ("GET", "/raft", 400, "malformed")], lines
        assert all(r["from"].startswith("127.0.0.1:") for r in lines), lines
    folder = os.path.join(directory, "with a key")
    os.mkdir(folder)
    with Running(binary, folder, ("--audit-log", path, "--peer-key-file", key)) as s:
        assert dial(s)[0] == 403, "it has no key"
        assert len(lines_of(path)) == 3, lines_of(path)


def test_an_import_names_its_first_keys(binary, directory):
    path = os.path.join(directory, "audit.log")
    with Running(binary, directory, ("--audit-log", path, "--audit-writes")) as s:
        body = "".join('{"key":"k%d","value":"secret value"}\n' % i for i in range(20))
        ndjson = [("Content-Type", "application/x-ndjson")]
        status, _, reply = s.request("POST", "/kv", body, ndjson)
        assert status == 200, reply
        line = lines_of(path)[0]
        assert line["keys"] == [{"key": "k%d" % i} for i in range(16)], line
        assert "secret value" not in json.dumps(line)


def reset(connection):
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.socket.close()


def test_a_write_whose_client_resets_the_connection_has_a_line(binary, directory):
    path = os.path.join(directory, "audit.log")
    with Running(binary, directory, ("--audit-log", path, "--audit-writes")) as s:
        ok(s.request("POST", "/locks/n?ttl=1h"))
        c = s.connect()
        port = c.socket.getsockname()[1]
        c.send_request("POST", "/locks/n?ttl=1h&wait=30s")
        wait(lambda: s.metric("lock_waiters") == 1)
        reset(c)
        line = wait(lambda: lines_of(path)[1:])[0]
        assert (line["method"], line["path"]) == ("POST", "/locks/n"), line
        assert line["code"] == "outcome_unknown" and line["status"] == 504, line
        assert line["from"] == "127.0.0.1:%d" % port, line
        # A request that is incomplete does nothing, so it has no line.
        with s.connect() as c:
            c.send("POST /auth/enable HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n{")
        c = s.connect()
        c.send_request("POST", "/locks/n?ttl=1h&wait=30s")
        wait(lambda: s.metric("lock_waiters") == 1)
    lines = lines_of(path)
    assert [line["path"] for line in lines] == ["/locks/n"] * 3, lines


def test_an_act_whose_answer_was_not_written_has_a_line_with_its_outcome(binary, directory):
    path = os.path.join(directory, "audit.log")
    with Running(binary, directory, ("--audit-log", path)) as s:
        value = "x" * 1000000
        ok(s.request("PUT", "/kv/a", value))
        ok(s.request("PUT", "/kv/a", value))
        c = s.connect()
        # The client reads nothing, so the answer to the act waits for those to the reads.
        get = "GET /kv/a?raw HTTP/1.1\r\nHost: localhost\r\n\r\n"
        c.send(get * 30 + "POST /compact?revision=3 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait(lambda: s.request("GET", "/kv/a?revision=2")[0] == 410)
        assert lines_of(path) == []
        reset(c)
        line = wait(lambda: lines_of(path))[0]
        assert (line["path"], line["status"]) == ("/compact", 200), line
        assert line["query"] == "revision=3", line


def test_an_audit_log_that_takes_no_line_stops_nothing(binary, directory):
    path = os.path.join(directory, "audit.log")
    os.symlink("/dev/full", path)
    with Running(binary, directory, ("--audit-log", path, "--audit-writes")) as s:
        for i in range(3):
            ok(s.request("PUT", "/kv/a", str(i)))
        assert s.metric("audit_lines_dropped_total") == 3
        assert s.log_text().count("No space left on device") == 1, s.log_text()
        os.remove(path)
        s.process.send_signal(signal.SIGHUP)
        wait(lambda: os.path.exists(path))
        ok(s.request("PUT", "/kv/a", "4"))
        assert s.metric("audit_lines_dropped_total") == 3
        with open(path) as f:
            assert json.loads(f.read())["path"] == "/kv/a"
        assert s.log_text().count("it takes lines again") == 1, s.log_text()


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], sys.argv[1]))
