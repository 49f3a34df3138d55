"""Tokens and rights over raw sockets (docs/http-api.md): on one node, and on three. What a request
needs is in tests/kv/test_access.cpp, safety under faults in the simulator."""

import base64
import json
import os
import subprocess
import sys
import time

import harness
from test_contract import Running, problem
from test_keys import ok
from test_locks import Waiter, queue_of
from test_peers import cluster, start_all, stop_all, wait


def bearer(token):
    return [("Authorization", "Bearer " + token)]


class Client:
    """Sends every request of a server with a token."""

    def __init__(self, server, token):
        self.server, self.token = server, token

    def request(self, method, target, body=None, headers=()):
        return self.server.request(method, target, body, list(headers) + bearer(self.token))

    def connect(self, *args):
        return self.server.connect(*args)


def enable(server):
    """Enables auth, and returns a client with the root token."""
    reply = ok(server.request("POST", "/auth/enable"))
    assert reply["name"] == "root" and reply["token"].startswith("vsp_"), reply
    return Client(server, reply["token"])


def add(root, name, *rules, **more):
    body = {"name": name, "rules": [{"allow": allow, **scope} for allow, scope in rules], **more}
    return Client(root.server, ok(root.request("POST", "/auth/tokens", json.dumps(body)))["token"])


def prefix(text):
    return {"prefix": text}


def unauthorized(reply):
    assert reply[1]["www-authenticate"] == "Bearer", reply
    return problem(reply, 401, "unauthorized")


def forbidden(reply, right):
    value = problem(reply, 403, "forbidden")
    assert value["right"] == right and right in value["detail"], value
    return value


# For each endpoint of the API description: a valid request, and the right that it needs.
# "open": no token; "any": any token.
REQUESTS = {
    "/request": [("GET", "/request", '{"type":"get","payload":{"key":"k"}}', "read"),
                 ("PUT", "/request", '{"type":"put","payload":{"key":"k","value":"v"}}', "write")],
    "/kv/{key}": [("GET", "/kv/k", None, "read"), ("HEAD", "/kv/k", None, "read"),
                  ("PUT", "/kv/k", "v", "write"), ("DELETE", "/kv/k", None, "write"),
                  ("POST", "/kv/k?increment", None, "write")],
    "/kv": [("GET", "/kv?prefix=k", None, "read"), ("HEAD", "/kv", None, "read"),
            ("DELETE", "/kv?prefix=k", None, "write"),
            ("POST", "/kv", '{"key":"k","value":"v"}\n', "write")],
    "/txn": [("POST", "/txn", '{"then":[{"get":{"key":"k"}}]}', "read"),
             ("POST", "/txn", '{"then":[{"put":{"key":"k","value":"v"}}]}', "write")],
    "/leases/{id}": [("GET", "/leases/9", None, "write"), ("HEAD", "/leases/9", None, "write"),
                     ("PUT", "/leases/9", None, "write"), ("DELETE", "/leases/9", None, "write")],
    "/leases": [("GET", "/leases", None, "write"), ("HEAD", "/leases", None, "write"),
                ("POST", "/leases?ttl=1s", None, "write")],
    "/locks/{name}": [(m, "/locks/n" + q, None, "lock") for m, q in (
        ("GET", ""), ("HEAD", ""), ("POST", ""), ("PUT", "?token=5"), ("DELETE", "?token=5"))],
    "/locks": [("GET", "/locks", None, "lock"), ("HEAD", "/locks", None, "lock")],
    "/elections/{name}": [(m, "/elections/n" + q, None, "lock") for m, q in (
        ("GET", ""), ("HEAD", ""), ("POST", ""), ("PUT", "?token=5"), ("DELETE", "?token=5"))],
    "/elections": [("GET", "/elections", None, "lock"), ("HEAD", "/elections", None, "lock")],
    "/watch": [("GET", "/watch?prefix=k", None, "read"), ("GET", "/watch?lock=n", None, "lock")],
    # Its reply would be a stream. Parameters are checked after credentials.
    "/trace": [("GET", "/trace?unknown", None, "any")],
    "/chaos": [("GET", "/chaos", None, "admin"),
               ("POST", "/chaos", '{"do":"campaign","node":0}', "admin")],
    "/status": [("GET", "/status", None, "any"), ("HEAD", "/status", None, "any")],
    "/livez": [("GET", "/livez", None, "open"), ("HEAD", "/livez", None, "open")],
    "/readyz": [("GET", "/readyz", None, "open"), ("HEAD", "/readyz", None, "open")],
    "/metrics": [("GET", "/metrics", None, "metrics"), ("HEAD", "/metrics", None, "metrics")],
    "/figures": [("GET", "/figures", None, "metrics"), ("HEAD", "/figures", None, "metrics")],
    "/": [("GET", "/", None, "any"), ("HEAD", "/", None, "any")],
    "/openapi.json": [("GET", "/openapi.json", None, "any"),
                      ("HEAD", "/openapi.json", None, "any")],
    "/ui": [("GET", "/ui", None, "open"), ("HEAD", "/ui", None, "open")],
    "/ui/{name}": [("GET", "/ui/app.js", None, "open"), ("HEAD", "/ui/app.js", None, "open")],
    "/favicon.ico": [("GET", "/favicon.ico", None, "open"), ("HEAD", "/favicon.ico", None, "open")],
    "/compact": [("POST", "/compact?revision=1", None, "admin")],
    "/cluster": [("GET", "/cluster", None, "any"), ("HEAD", "/cluster", None, "any")],
    "/cluster/members": [("POST", "/cluster/members", '{"remove":[7]}', "admin")],
    "/cluster/transfer": [("POST", "/cluster/transfer", None, "admin")],
    "/auth/enable": [("POST", "/auth/enable", None, "admin")],
    "/auth/disable": [("POST", "/auth/disable", None, "admin")],
    "/auth/tokens/{name}": [(m, "/auth/tokens/x", None, "admin")
                            for m in ("GET", "HEAD", "DELETE")],
    "/auth/tokens": [("GET", "/auth/tokens", None, "admin"),
                     ("HEAD", "/auth/tokens", None, "admin"),
                     ("POST", "/auth/tokens",
                      '{"name":"y","rules":[{"allow":"metrics"}]}', "admin")],
}
METHODS = ("get", "head", "put", "post", "delete")


def headers_for(target, method):
    return [("Content-Type", "application/x-ndjson")] if (method, target) == ("POST", "/kv") else []


def test_every_endpoint_needs_its_right(binary, directory):
    with Running(binary, directory, ["--chaos"]) as s:
        described = json.loads(s.request("GET", "/openapi.json")[2])["paths"]
        for path, methods in described.items():
            wanted = {m.upper() for m in METHODS if m in methods}
            had = {request[0] for request in REQUESTS.get(path, ())}
            assert wanted <= had, "%s: no request for %s" % (path, wanted - had)
        root = enable(s)
        # Each of the two has rights that none of the requests needs.
        other = add(root, "other", ("read", prefix("other/")), ("lock", prefix("other/")))
        writer = add(root, "writer", ("write", prefix("other/")))
        for requests in REQUESTS.values():
            for method, target, body, right in requests:
                ask = lambda by, key="k": by.request(
                    method, target.replace("/kv/k", "/kv/" + key), body,
                    headers_for(target, method))
                reply = ask(s)
                if right == "open":
                    assert reply[0] == 200, (method, target, reply)
                    continue
                assert reply[0] == 401 and reply[1]["www-authenticate"] == "Bearer", (target, reply)
                by = other if right in ("write", "admin", "metrics") else writer
                if right == "any":
                    assert ask(by)[0] == (400 if "unknown" in target else 200), (method, target)
                    continue
                reply = ask(by)
                assert reply[0] == 403, (method, target, reply)
                if method != "HEAD":
                    forbidden(reply, right)
                # The answer does not depend on whether the key exists.
                ok(root.request("PUT", "/kv/there", "v"))
                if target.startswith("/kv/k") and method != "HEAD":
                    there, absent = ask(by, "there"), ask(by, "absent")
                    assert there[0] == absent[0] == 403
                    assert there[2].replace(b"there", b"absent") == absent[2]
        for target in ("/kv/k", "/auth/tokens"):
            assert s.request("OPTIONS", target)[0] == 204


def test_the_order_of_checks(binary, directory):
    with Running(binary, directory) as s:
        root = enable(s)
        reader = add(root, "reader", ("read", prefix("a/")))
        problem(s.request("GET", "/nothing"), 404, "no_such_path")
        problem(s.request("PATCH", "/kv/a"), 405, "method_not_allowed")
        unauthorized(s.request("GET", "/kv/a?unknown"))
        problem(reader.request("GET", "/kv/a?unknown"), 400, "invalid_parameter")
        problem(reader.request("PUT", "/kv/a"), 411, "length_required")
        problem(reader.request("POST", "/txn", "{"), 400, "malformed")
        forbidden(reader.request("PUT", "/kv/a", "v"), "write")


def test_credentials_come_as_bearer_or_basic(binary, directory):
    with Running(binary, directory) as s:
        root = enable(s)
        ok(root.request("PUT", "/kv/a", "v"))
        ask = lambda value: s.request("GET", "/kv/a", None, [("Authorization", value)])
        basic = lambda text: base64.b64encode(text.encode()).decode()
        for value in ("Bearer " + root.token, "bearer   " + root.token,
                      "Basic " + basic("me:" + root.token), "basic " + basic(":" + root.token)):
            assert ok(ask(value))["value"] == "v", value
        for value in ("", "Bearer", "Bearer ", "Basic", "Basic !", "Basic " + basic(root.token),
                      "Token " + root.token, root.token, "Bearer a b", "Bearer " + "x" * 600):
            begun = time.monotonic()
            wrong = unauthorized(ask(value))
            assert root.token not in json.dumps(wrong), value
            assert time.monotonic() - begun < 0.5, "%s: it took long" % value
        unauthorized(s.request("GET", "/kv/a", None, bearer(root.token) * 2))


def test_a_wrong_token_waits_and_a_right_one_does_not(binary, directory):
    with Running(binary, directory) as s:
        root = enable(s)
        ok(root.request("PUT", "/kv/a", "v"))
        with s.connect() as c:
            c.send_request("PUT", "/kv/a", "w", bearer("vsp_" + "x" * 43))
            c.send_request("GET", "/kv/a", None, bearer(root.token))
            for _ in range(20):
                assert ok(root.request("GET", "/kv/a"))["value"] == "v"
            unauthorized(c.read_reply())
            assert ok(c.read_reply())["value"] == "v", "the connection goes on"


def test_a_wrong_token_behind_the_last_answer_of_a_connection_is_dropped(binary, directory):
    with Running(binary, directory) as s:
        root, wrong = enable(s), "vsp_" + "x" * 43
        ok(root.request("PUT", "/kv/a", "v"))
        with s.connect() as c:
            # In HTTP/1.0 a stream ends the connection.
            head = "GET %s HTTP/1.0\r\nConnection: keep-alive\r\nAuthorization: Bearer %s\r\n\r\n"
            c.send(head % ("/kv?format=ndjson", root.token) + head % ("/kv", wrong))
            assert c.read_head()[0] == 200
            while c.fill():
                pass
            assert b'"a"' in c.buffer and b"401" not in c.buffer, c.buffer
            # Wrong tokens are answered once a second, on all connections at once.
            unauthorized(s.request("GET", "/kv/a", None, bearer(wrong)))
            assert ok(root.request("GET", "/kv/a"))["value"] == "v"


def test_tokens_are_added_shown_and_revoked(binary, directory):
    with Running(binary, directory) as s:
        root = enable(s)
        problem(root.request("POST", "/auth/enable"), 409, "already_enabled")
        app = add(root, "app", ("read", prefix("a/")), ("write", {"key": "a/x"}), ttl="1h")
        shown = ok(root.request("GET", "/auth/tokens/app"))
        assert 0 < shown.pop("ttl_ms") <= 3_600_000
        assert shown == {"name": "app", "rules": [{"allow": "read", "prefix": "a/"},
                                                  {"allow": "write", "key": "a/x"}]}, shown
        listed = ok(root.request("GET", "/auth/tokens"))
        assert listed["enabled"] and [t["name"] for t in listed["tokens"]] == ["app", "root"]
        for text in (json.dumps(listed), s.request("GET", "/livez")[2].decode(), s.log_text()):
            assert root.token not in text and app.token not in text
        again = root.request("POST", "/auth/tokens", '{"name":"app","rules":[{"allow":"admin"}]}')
        problem(again, 409, "token_exists")
        for target in ("/auth/enable", "/auth/tokens"):
            problem(root.request("POST", target, "{}", [("Idempotency-Key", "k")]),
                    400, "invalid_field")
        assert app.request("PUT", "/kv/a/x", "v")[0] == 200
        assert app.request("GET", "/kv?prefix=a/")[0] == 200
        forbidden(app.request("GET", "/kv?prefix=a"), "read")
        forbidden(app.request("PUT", "/kv/a/y", "v"), "write")
        ok(root.request("DELETE", "/auth/tokens/app"))
        problem(root.request("DELETE", "/auth/tokens/app"), 404, "token_not_found")
        problem(root.request("GET", "/auth/tokens/app"), 404, "token_not_found")
        unauthorized(app.request("PUT", "/kv/a/x", "w"))
        assert root.request("GET", "/kv/a/x?raw")[2] == b"v"
        ok(root.request("POST", "/auth/disable"))
        assert s.request("GET", "/kv/a/x?raw")[2] == b"v"


def test_a_revocation_is_retried_with_its_key(binary, directory):
    with Running(binary, directory) as s:
        root = enable(s)
        add(root, "app", ("read", prefix("")))
        key = [("Idempotency-Key", "once")]
        first = root.request("DELETE", "/auth/tokens/app", None, key)
        assert ok(first) == {"name": "app", "tokens": 1}, first
        # Of another token with that name.
        app = add(root, "app", ("read", prefix("")))
        again = root.request("DELETE", "/auth/tokens/app", None, key)
        assert ok(again) == ok(first) and again[1]["vesper-replayed"] == "true", again
        assert app.request("GET", "/kv")[0] == 200
        problem(root.request("DELETE", "/auth/tokens/root", None, key), 422,
                "idempotency_key_reused")
        key = [("Idempotency-Key", "open")]
        first = root.request("POST", "/auth/disable", None, key)
        assert ok(first) == {"tokens": 2}, first
        for client in (root, s):
            again = client.request("POST", "/auth/disable", None, key)
            assert ok(again) == ok(first) and again[1]["vesper-replayed"] == "true", again


def test_write_shows_no_values(binary, directory):
    with Running(binary, directory) as s:
        root = enable(s)
        writer = add(root, "writer", ("write", prefix("")))
        ok(writer.request("PUT", "/kv/a", "secret"))
        for method, target, body in (
                ("GET", "/kv/a", None), ("GET", "/kv/a?history", None),
                ("GET", "/kv?keys_only", None),
                ("PUT", "/kv/a?prev", "v"), ("DELETE", "/kv/a?prev", None),
                ("POST", "/kv/a?append", "x"), ("POST", "/kv/a?restore=2", None),
                ("GET", "/watch", None),
                ("POST", "/txn", '{"if":[{"key":"a","value":"secret"}],"then":[]}'),
                ("POST", "/txn", '{"then":[],"else":[{"get":{"key":"a"}}]}')):
            reply = writer.request(method, target, body)
            forbidden(reply, "read")
            assert b"secret" not in reply[2], reply
        reply = ok(writer.request("POST", "/txn", '{"if":[{"key":"a","revision":2}],"then":['
                                  '{"put":{"key":"a","value":"w"}}]}'))
        assert reply["succeeded"], reply
        assert writer.request("PUT", "/kv/a", "v", [("If-Match", '"2"')])[0] == 412


def test_a_revoked_token_ends_its_watches_and_waits(binary, directory):
    with Running(binary, directory) as s:
        root = enable(s)
        app = add(root, "app", ("read", prefix("")), ("lock", prefix("")))
        ok(root.request("POST", "/locks/n?ttl=1h"))
        waiter = Waiter(s, headers=bearer(app.token))
        queue_of(root, 1)
        poll = s.connect(20)
        poll.send_request("GET", "/kv/a?wait=60s", None, bearer(app.token))
        watch = s.connect(20)
        watch.send_request("GET", "/watch?format=ndjson", None, bearer(app.token))
        assert watch.read_head()[0] == 200
        other = s.connect(20)
        other.send_request("GET", "/watch?format=ndjson", None, bearer(root.token))
        assert other.read_head()[0] == 200
        ok(root.request("DELETE", "/auth/tokens/app"))
        body, complete = watch.read_chunks()
        last = json.loads(body.splitlines()[-1])
        assert complete and last["type"] == "closed" and last["code"] == "unauthorized", body
        unauthorized(poll.read_reply())
        unauthorized(waiter.answer())
        queue_of(root, 0)
        ok(root.request("PUT", "/kv/a", "v"))
        while b'"key":"a"' not in other.read_chunk():
            pass  # the watch of another token goes on


def test_an_expired_token_ends(binary, directory):
    with Running(binary, directory) as s:
        root = enable(s)
        app = add(root, "app", ("read", prefix("")), ttl="700ms")
        watch = s.connect(20)
        watch.send_request("GET", "/watch?format=ndjson", None, bearer(app.token))
        assert watch.read_head()[0] == 200
        body, _ = watch.read_chunks()
        assert json.loads(body.splitlines()[-1])["code"] == "unauthorized", body
        unauthorized(app.request("GET", "/kv/a"))
        assert [t["name"] for t in ok(root.request("GET", "/auth/tokens"))["tokens"]] == ["root"]


def test_an_import_needs_write_for_each_line(binary, directory):
    with Running(binary, directory) as s:
        root = enable(s)
        app = add(root, "app", ("write", prefix("a/")))
        send = lambda lines: app.request("POST", "/kv", "".join(
            '{"key":"%s","value":"v"}\n' % name for name in lines),
            [("Content-Type", "application/x-ndjson")])
        assert json.loads(send(["a/1", "a/2"])[2].splitlines()[-1])["keys"] == 2
        forbidden(send(["a/3", "b"]), "write")
        assert root.request("GET", "/kv/a/3")[0] == 404, "a batch is written whole or not at all"


def test_the_body_of_a_token_is_checked(binary, directory):
    with Running(binary, directory) as s:
        root = enable(s)
        read = {"allow": "read", "prefix": "a"}
        for body, field in (
                ({"rules": [read]}, "name"), ({"name": "a b", "rules": [read]}, "name"),
                ({"name": "", "rules": [read]}, "name"), ({"name": 5, "rules": [read]}, "name"),
                ({"name": "x" * 65, "rules": [read]}, "name"), ({"name": "x"}, "rules"),
                ({"name": "x", "rules": []}, "rules"), ({"name": "x", "rules": {}}, "rules"),
                ({"name": "x", "rules": [read] * 65}, "rules"),
                ({"name": "x", "rules": [{"prefix": "a"}]}, "rules[0].allow"),
                ({"name": "x", "rules": [read, {"allow": "all"}]}, "rules[1].allow"),
                ({"name": "x", "rules": [{"allow": "read"}]}, "rules[0]"),
                ({"name": "x", "rules": [{"allow": "read", "prefix": "a", "key": "b"}]},
                 "rules[0]"),
                ({"name": "x", "rules": [{"allow": "admin", "prefix": ""}]}, "rules[0].prefix"),
                ({"name": "x", "rules": [{"allow": "read", "key": ""}]}, "rules[0].key"),
                ({"name": "x", "rules": [read], "ttl": "5"}, "ttl"),
                ({"name": "x", "rules": [read], "more": 1}, "more")):
            value = problem(root.request("POST", "/auth/tokens", json.dumps(body)),
                            400, "invalid_field")
            assert value["field"] == field, (body, value)


def test_curl_sends_a_token(binary, directory):
    with Running(binary, directory) as s:
        root = enable(s)
        url = "http://127.0.0.1:%d/kv/a" % s.port
        curl = lambda *args: subprocess.run(["curl", "-s", "-w", "%{http_code}", *args, url],
                                            capture_output=True, timeout=20).stdout
        assert curl("-o", "/dev/null") == b"401"
        assert curl("-H", "Authorization: Bearer " + root.token, "-X", "PUT", "-d", "v",
                    "-o", "/dev/null") == b"200"
        assert curl("-u", "me:" + root.token, "-G", "-d", "raw") == b"v200"


def test_tokens_survive_a_restart(binary, directory):
    with Running(binary, directory, ("--snapshot-entries", "10")) as s:
        root = enable(s)
        app = add(root, "app", ("write", prefix("a/")))
        for i in range(25):
            ok(app.request("PUT", "/kv/a/%d" % i, "v"))
        ok(root.request("DELETE", "/auth/tokens/app"))
        s.stop()
        s.start()
        unauthorized(s.request("GET", "/kv/a/1"))
        unauthorized(app.request("PUT", "/kv/a/1", "v"))
        assert ok(root.request("GET", "/kv/a/1"))["value"] == "v"


def vesper(server, *args, token=None, stdin=None):
    """(exit code, stdout, stderr) of a command."""
    env = {k: v for k, v in os.environ.items() if k != "VESPER_TOKEN"}
    if token is not None:
        env["VESPER_TOKEN"] = token
    done = subprocess.run([server.binary, *args, "--endpoints", "127.0.0.1:%d" % server.port],
                          input=stdin, capture_output=True, text=True, env=env, timeout=30)
    return done.returncode, done.stdout, done.stderr


def test_the_command_line_manages_and_sends_tokens(binary, directory):
    with Running(binary, directory) as s:
        code, root, _ = vesper(s, "auth", "enable")
        assert code == 0 and root.startswith("vsp_") and root.count("\n") == 1, root
        root = root.strip()
        code, out, err = vesper(s, "get", "a")
        assert (code, out) == (7, "") and "unauthorized" in err, (code, out, err)
        for survey in (("status",), ("top", "--once", "--interval", "100ms")):
            for token in (None, "vsp_" + "x" * 43):
                code, _, err = vesper(s, *survey, token=token)
                assert code == 7 and "(unauthorized)" in err, (survey, code, err)
        assert vesper(s, "put", "a/x", "1", token=root)[0] == 0
        code, app, _ = vesper(s, "auth", "token", "add", "app", "--read", "a/", "--write-key",
                              "a/y", "--ttl", "1h", token=root)
        assert code == 0 and app.startswith("vsp_"), app
        path = os.path.join(directory, "app.token")
        with open(path, "w") as f:
            f.write(app)
        os.chmod(path, 0o604)
        code, out, err = vesper(s, "get", "a/x", "--token-file", path)
        assert (code, out) == (2, "") and "chmod 600" in err and app.strip() not in err, err
        os.chmod(path, 0o600)
        assert vesper(s, "get", "a/x", "--token-file", path) == (0, "1", "")
        assert vesper(s, "get", "a/x", "--token-file", "-", stdin=app)[:2] == (0, "1")
        assert vesper(s, "put", "a/y", "-", "--token-file", "-", stdin=app + "value")[0] == 0
        assert vesper(s, "get", "a/y", token=root)[1] == "value"
        code, _, err = vesper(s, "put", "a/x", "2", "--token-file", path)
        assert code == 7 and "write" in err and app.strip() not in err, err
        code, out, _ = vesper(s, "get", "a/x", "--curl", "--token-file", path)
        assert code == 0 and "Bearer $VESPER_TOKEN" in out and app.strip() not in out, out
        code, out, _ = vesper(s, "auth", "token", "list", token=root)
        assert code == 0 and "read a/*, write a/y" in out and root not in out, out
        assert vesper(s, "auth", "token", "revoke", "app", token=root)[:2] == (0, "app\n")
        assert vesper(s, "get", "a/x", "--token-file", path)[0] == 7
        assert vesper(s, "status", token=root)[0] == 0
        assert vesper(s, "auth", "disable", token=root)[0] == 0
        assert vesper(s, "get", "a/x")[0] == 0
        for wrong in (("auth",), ("auth", "on"), ("auth", "enable", "x"), ("auth", "token"),
                      ("auth", "token", "add", "x"), ("auth", "token", "add", "a b", "--admin"),
                      ("auth", "token", "list", "x"), ("auth", "token", "revoke"),
                      ("auth", "enable", "--admin"), ("get", "a", "--token-file", "/nonexistent")):
            assert vesper(s, *wrong)[0] == 2, wrong
        assert vesper(s, "get", "a", token="two words")[0] == 2


def test_the_root_token_is_reset_offline(binary, directory):
    audit = os.path.join(directory, "audit.log")
    with Running(binary, directory, ("--audit-log", audit)) as s:
        lost = enable(s)
        app = add(lost, "app", ("write", prefix("")))
        data = os.path.join(directory, "vesper-data", "0")
        reset = lambda: subprocess.run([binary, "recover", "--reset-root", data],
                                       capture_output=True, text=True, timeout=30)
        assert reset().returncode == 11, "the directory is in use"
        s.stop()
        done = reset()
        assert done.returncode == 0 and done.stdout.startswith("vsp_"), done
        s.start()
        root = Client(s, done.stdout.strip())
        wait(lambda: root.request("GET", "/auth/tokens")[0] == 200)
        unauthorized(lost.request("GET", "/auth/tokens"))
        assert app.request("PUT", "/kv/a", "v")[0] == 200, "the other tokens stay"
        s.stop()
        s.start()
        assert root.request("GET", "/auth/tokens")[0] == 200, "it is reset once"
        with open(audit) as f:
            acts = [json.loads(line).get("act") for line in f]
        assert acts.count("recover --reset-root") == 1, acts


def shows_nothing(server):
    """Whether a watch without a token is refused. If it begins, nothing but its end comes."""
    try:
        with server.connect(20) as c:
            c.send_request("GET", "/watch?initial&format=ndjson")
            head = c.read_head()
            if head[0] == 401:
                return True
            lines = [json.loads(line) for line in c.read_chunks()[0].splitlines()]
            assert head[0] == 200 and {line["type"] for line in lines} <= {"closed"}, lines
    except OSError:
        pass  # not listening yet
    return False


def test_a_node_that_reads_its_log_is_closed_if_tokens_were_needed(binary, directory):
    s = harness.Server(binary, directory, harness.free_ports(1))
    record = os.path.join(directory, "vesper-data", "0", "tokens-needed")
    s.start()
    try:
        root = enable(s)
        wait(lambda: os.path.exists(record))
        s.stop()
        s.start(wait=False)
        def is_ready():
            try:
                reply = s.request("GET", "/status")
            except OSError:
                return False  # not listening yet
            if reply[0] != 401:
                problem(reply, 503, "starting")
            return reply[0] == 401
        wait(is_ready)
        s.wait_ready()
        # Without the record, a watch may begin before the log is read. It shows nothing.
        ok(root.request("PUT", "/kv/a", "v"))
        s.stop()
        os.remove(record)
        s.start(wait=False)
        wait(lambda: shows_nothing(s))
        s.wait_ready()
        wait(lambda: os.path.exists(record))
        ok(root.request("POST", "/auth/disable"))
        wait(lambda: os.path.getsize(record) == 24)  # without content
    finally:
        s.stop()


def test_a_new_token_is_known_on_every_node_at_once(binary, directory):
    servers = cluster(binary, directory, 3)
    start_all(servers)
    try:
        root = enable(servers[0])
        for i in range(10):
            app = add(root, "app%d" % i, ("write", prefix("")))
            for s in servers:
                assert s.request("PUT", "/kv/a", "v", bearer(app.token))[0] == 200, (i, s.port)
            ok(root.request("DELETE", "/auth/tokens/app%d" % i))
            for s in servers:
                unauthorized(s.request("PUT", "/kv/a", "v", bearer(app.token)))
    finally:
        stop_all(servers)


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], sys.argv[1]))
