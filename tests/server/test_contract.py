"""What docs/http-api.md promises of one node's HTTP, over raw sockets: order of checks, codes,
shapes, pipelining, probes, browsers, the end. Framing and bodies are in test_framing.py."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import harness
from harness import Server, free_ports


def node(binary, directory, flags=()):
    return Server(binary, directory, free_ports(1), flags=flags).start()


def problem(reply, status, code):
    got, fields, body = reply
    assert got == status, (got, body)
    assert fields["content-type"] == "application/problem+json", fields
    value = json.loads(body)
    assert value["code"] == code, value
    assert value["status"] == status and value["type"] == "about:blank" and value["title"], value
    return value


class Running:
    """A node for the length of a with block, ended by SIGTERM with exit code 0."""

    def __init__(self, binary, directory, flags=()):
        self.server = Server(binary, directory, free_ports(1), flags=flags)

    def __enter__(self):
        return self.server.start()

    def __exit__(self, kind, *_):
        code = self.server.stop()
        if kind is None:
            assert code == 0, "exit code %s:\n%s" % (code, self.server.log_text())


def test_a_transfer_returns_the_leader_and_refuses_invalid_parameters(binary, directory):
    with Running(binary, directory) as s:
        assert s.request("PUT", "/kv/a", "1")[0] == 200
        status, fields, body = s.request("POST", "/cluster/transfer?to=0")
        assert status == 200, body
        term = json.loads(s.request("GET", "/status")[2])["term"]
        assert body == b'{"leader":"http://127.0.0.1:%d","term":%d}\n' % (s.port, term), body
        for target in ("to=1", "to=", "to=x", "to=-1", "to=0&to=0", "from=0"):
            problem(s.request("POST", "/cluster/transfer?" + target), 400, "invalid_parameter")
        reply = s.request("GET", "/cluster/transfer")
        problem(reply, 405, "method_not_allowed")
        assert reply[1]["allow"] == "POST, OPTIONS", reply[1]
        problem(s.request("POST", "/cluster/"), 404, "no_such_path")
        assert s.request("PUT", "/kv/a", "2")[0] == 200


def test_a_transfer_in_a_cluster_of_one_is_refused_at_once(binary, directory):
    with Running(binary, directory) as s:
        begun = time.monotonic()
        value = problem(s.request("POST", "/cluster/transfer"), 409, "no_other_member")
        assert time.monotonic() - begun < 1, "it waited for another leader"
        assert "retry_after_ms" not in value and value["detail"], value
        assert s.request("POST", "/cluster/transfer?to=0")[0] == 200, "it is already the leader"
        assert s.request("PUT", "/kv/a", "1")[0] == 200, "it kept leading"


def test_a_put_a_get_and_a_delete_have_the_shapes_of_the_contract(binary, directory):
    with Running(binary, directory) as s:
        status, fields, body = s.request("PUT", "/kv/name", "Kyle Chard")
        assert status == 200, body
        assert body == b'{"key":"name","revision":2,"create_revision":2,"version":1}\n', body
        assert fields["etag"] == '"2"' and fields["vesper-revision"] == "2"
        assert fields["cache-control"] == "no-cache" and fields["vesper-node"] == "0"
        assert fields["vesper-leader"] == "http://127.0.0.1:%d" % s.port
        assert fields["x-content-type-options"] == "nosniff" and "date" in fields
        status, fields, body = s.request("GET", "/kv/name")
        assert body == (b'{"key":"name","value":"Kyle Chard","revision":2,'
                        b'"create_revision":2,"version":1}\n'), body
        status, fields, body = s.request("GET", "/kv/name?raw")
        assert body == b"Kyle Chard" and fields["content-type"] == "application/octet-stream"
        assert fields["etag"] == '"2"'
        status, fields, body = s.request("DELETE", "/kv/name")
        assert (status, body) == (200, b'{"deleted":1,"revision":3}\n')
        status, fields, body = s.request("DELETE", "/kv/name")
        assert (status, body) == (200, b'{"deleted":0,"revision":3}\n')
        reply = s.request("GET", "/kv/name")
        problem(reply, 404, "key_not_found")
        assert reply[1]["vesper-revision"] == "3" and reply[1]["cache-control"] == "no-store"


def test_a_key_is_bytes(binary, directory):
    with Running(binary, directory) as s:
        s.request("PUT", "/kv/a%2Fb", "1")
        assert json.loads(s.request("GET", "/kv/a/b")[2])["value"] == "1"
        s.request("PUT", "/kv/a+b", "plus")
        assert json.loads(s.request("GET", "/kv/a%2Bb")[2])["key"] == "a+b"
        problem(s.request("GET", "/kv/a%20b"), 404, "key_not_found")
        s.request("PUT", "/kv/x/", "slash")
        problem(s.request("GET", "/kv/x"), 404, "key_not_found")
        s.request("PUT", "/kv/%00%ff", b"\x00\xfe")
        got = json.loads(s.request("GET", "/kv/%00%FF")[2])
        assert got["key_base64"] == "AP8=" and got["value_base64"] == "AP4=", got
        for method in ("GET", "HEAD", "PUT", "DELETE", "POST", "OPTIONS"):
            status = s.request(method, "/kv/", "x" if method == "PUT" else None)[0]
            assert status == 400, (method, status)
        problem(s.request("DELETE", "/kv/"), 400, "invalid_key")
        problem(s.request("GET", "/kv/%zz"), 400, "malformed")
        assert s.request("PUT", "/kv/" + "k" * 4096, "v")[0] == 200
        assert problem(s.request("GET", "/kv/" + "k" * 4097), 400, "invalid_key")["limit"] == 4096


def test_conditions_are_decided_together_with_the_write(binary, directory):
    with Running(binary, directory) as s:
        put = lambda value, *h: s.request("PUT", "/kv/c", value, h)
        assert put("1", ("If-None-Match", "*"))[0] == 200
        reply = put("2", ("If-None-Match", "*"))
        assert problem(reply, 412, "precondition_failed")["current_revision"] == 2
        assert reply[1]["etag"] == '"2"' and reply[1]["vesper-revision"] == "2"
        assert put("2", ("If-Match", '"2"'))[0] == 200
        assert put("3", ("If-Match", "3"))[0] == 200, "a bare number is accepted as a tag"
        assert put("4", ("If-Match", 'W/"4"'))[0] == 412, "weak tags never match in If-Match"
        assert put("4", ("If-Match", '"9", "4"'))[0] == 200
        assert s.request("GET", "/kv/c", None, [("If-None-Match", 'W/"5"')])[0] == 304
        status, fields, body = s.request("GET", "/kv/c", None, [("If-None-Match", '"5"')])
        assert status == 304 and fields["etag"] == '"5"' and "content-length" not in fields
        problem(s.request("GET", "/kv/c", None, [("If-Match", '"1"')]), 412, "precondition_failed")
        problem(s.request("GET", "/kv/none", None, [("If-Match", '"1"')]), 404, "key_not_found")
        reply = s.request("DELETE", "/kv/none", None, [("If-Match", "*")])
        assert problem(reply, 412, "precondition_failed")["current_revision"] == 0
        assert "etag" not in reply[1]
        assert problem(put("x", ("If-Match", "a,,")), 400, "invalid_field")["field"] == "If-Match"
        many = ", ".join('"%d"' % i for i in range(17))
        problem(put("x", ("If-Match", many)), 400, "invalid_field")


def test_a_reply_names_the_consistency_of_the_read(binary, directory):
    with Running(binary, directory) as s:
        s.request("PUT", "/kv/k", "v")
        for method, target, headers, status in (
                ("GET", "/kv/k?", [], 200), ("HEAD", "/kv/k?", [], 200),
                ("GET", "/kv/k?raw&", [], 200),
                ("GET", "/kv/none?", [], 404), ("GET", "/kv/k?", [("If-None-Match", '"2"')], 304),
                ("GET", "/kv/k?", [("If-Match", '"9"')], 412)):
            for level in ("linearizable", "lease", "stale"):
                got = s.request(method, target + "consistency=" + level, None, headers)
                assert got[0] == status, got
                # Alone, a node is its own majority.
                assert got[1]["vesper-consistency"] in (level, "linearizable"), got
                assert got[1]["vesper-revision"] == "2"
                assert ("vesper-staleness-ms" in got[1]) == (level == "stale"), got
            got = s.request(method, target.rstrip("?&"), None, headers)
            assert got[1]["vesper-consistency"] == "linearizable", got
        assert s.request("GET", "/kv/k?consistency=stale&max_staleness=1ms")[0] in (200, 503)
        both = "/kv/k?consistency=stale&max_staleness=1s&min_revision=2"
        assert s.request("GET", both)[0] == 200
        assert "vesper-consistency" not in s.request("PUT", "/kv/k", "v")[1]
        late = s.request("GET", "/kv/k?min_revision=9&timeout=50ms")
        assert "min_revision" in problem(late, 503, "timeout")["detail"]
        assert "vesper-consistency" not in late[1] and late[1]["retry-after"] == "1"


def test_read_levels_are_checked(binary, directory):
    with Running(binary, directory) as s:
        for query, parameter in (
                ("consistency=", "consistency"), ("consistency=Stale", "consistency"),
                ("consistency=stale&consistency=stale", "consistency"),
                ("consistency=strong", "consistency"), ("max_staleness=200ms", "max_staleness"),
                ("max_staleness=200ms&consistency=lease", "max_staleness"),
                ("consistency=linearizable&max_staleness=1s", "max_staleness"),
                ("consistency=stale&max_staleness=", "max_staleness"),
                ("consistency=stale&max_staleness=0ms", "max_staleness"),
                ("consistency=stale&max_staleness=200", "max_staleness"),
                ("min_revision=", "min_revision"), ("min_revision=0", "min_revision"),
                ("min_revision=-1", "min_revision"), ("min_revision=1.0", "min_revision"),
                ("min_revision=01", "min_revision"), ("min_revision=%2B1", "min_revision"),
                ("min_revision=9007199254740992", "min_revision"),
                ("min_revision=99999999999999999999", "min_revision")):
            value = problem(s.request("GET", "/kv/k?" + query), 400, "invalid_parameter")
            assert value["parameter"] == parameter, (query, value)
        most = "/kv/k?min_revision=9007199254740991&timeout=20ms"
        problem(s.request("GET", most), 503, "timeout")
        for name in ("consistency=stale", "max_staleness=1s", "min_revision=1"):
            for method, body in (("PUT", "v"), ("DELETE", None)):
                value = problem(s.request(method, "/kv/k?" + name, body), 400, "invalid_parameter")
                assert value["parameter"] == name.split("=")[0]
            problem(s.request("GET", "/request?" + name), 400, "invalid_parameter")


def test_invalid_requests_are_refused_in_the_order_of_the_checks(binary, directory):
    with Running(binary, directory) as s:
        value = problem(s.request("GET", "/kv/k?colour=red"), 400, "invalid_parameter")
        assert value["parameter"] == "colour"
        problem(s.request("GET", "/kv/k?raw&raw"), 400, "invalid_parameter")
        problem(s.request("GET", "/kv/k?raw=2"), 400, "invalid_parameter")
        problem(s.request("PUT", "/kv/k?raw", "v"), 400, "invalid_parameter")
        for bad in ("5", "9ms", "61s", "-1s", "1.5s", ""):
            problem(s.request("GET", "/kv/k?timeout=" + bad), 400, "invalid_parameter")
        assert s.request("GET", "/kv/k?timeout=10ms")[0] in (404, 503)
        problem(s.request("GET", "/kv/k?%zz"), 400, "malformed")
        problem(s.request("GET", "/kvs"), 404, "no_such_path")
        problem(s.request("GET", "/KV/a"), 404, "no_such_path")
        problem(s.request("GET", "/watches"), 404, "no_such_path")
        problem(s.request("GET", "/raft"), 404, "no_such_path")
        problem(s.request("GET", "/status?x=1"), 400, "invalid_parameter")
        problem(s.request("POST", "/kv/k?nonsense", "x"), 400, "invalid_parameter")
        reply = s.request("PATCH", "/kv/k?nonsense", "x")
        problem(reply, 405, "method_not_allowed")
        assert reply[1]["allow"] == "GET, HEAD, PUT, POST, DELETE, OPTIONS"
        problem(s.request("BREW", "/status"), 405, "method_not_allowed")
        status, fields, _ = s.request("OPTIONS", "/request")
        assert status == 204 and fields["allow"] == "GET, PUT, OPTIONS"
        problem(s.request("PUT", "/kv/k", "v", [("Content-Type", "multipart/form-data; b=1")]), 415,
                "unsupported_encoding")
        problem(s.request("PUT", "/kv/k", "v", [("Content-Encoding", "gzip")]), 415,
                "unsupported_encoding")
        problem(s.request("PUT", "/kv/k", "v", [("Content-Range", "bytes 0-1/2")]), 400,
                "invalid_field")
        problem(s.request("PUT", "/kv/k"), 411, "length_required")
        assert s.request("PUT", "/kv/k", "")[0] == 200
        assert s.request("GET", "/kv/k?raw")[2] == b""


def test_requests_of_browsers_from_other_origins_are_refused(binary, directory):
    with Running(binary, directory, ["--allow-host", "kv.example.org"]) as s:
        def host(value):
            with s.connect() as c:
                c.send("GET /livez HTTP/1.1\r\nHost: %s\r\n\r\n" % value)
                return c.read_reply()
        for ok in ("127.0.0.1", "[::1]:80", "localhost:1", "node7", "KV.example.org", "10.0.0.1",
                   "localhost.", "localhost.:80", "kv.example.org.:5000"):
            assert host(ok)[0] == 200, ok
        for other in ("evil.example.com", "evil.example.com.", "kv.example.org..", ".", ".."):
            problem(host(other), 421, "host_not_allowed")
        put = lambda *h: s.request("PUT", "/kv/o", "v", h)
        problem(put(("Origin", "http://evil.example.com")), 403, "cross_origin")
        problem(put(("Origin", "null")), 403, "cross_origin")
        problem(put(("Sec-Fetch-Site", "cross-site")), 403, "cross_origin")
        assert put(("Origin", "http://localhost"))[0] == 200
        assert put(("Sec-Fetch-Site", "none"))[0] == 200
        assert s.request("GET", "/kv/o", None, [("Origin", "http://evil.example.com")])[0] == 200


def test_the_seeds_endpoint_answers_as_the_seed_did(binary, directory):
    with Running(binary, directory) as s:
        def put(key, value):
            return s.request("PUT", "/request", json.dumps(
                {"type": "put", "payload": {"key": key, "value": value}}))
        def get(key):
            return s.request("GET", "/request",
                             json.dumps({"type": "get", "payload": {"key": key}}))
        assert put("name", "Kyle Chard")[::2] == (200, b'{"code":"success"}\n')
        assert json.loads(get("name")[2]) == {
            "code": "success", "payload": {"key": "name", "value": "Kyle Chard"}}
        assert json.loads(get("none")[2]) == {"code": "fail", "payload": {"key": "none"}}
        raw = b'{"type":"put","payload":{"key":"n","value":{"b":1e999999,"a":[1.50,-0,{"b":2}]}}}'
        assert s.request("PUT", "/request", raw)[0] == 200
        body = get("n")[2]
        assert b'"value":{"b":1e999999,"a":[1.50,-0,{"b":2}]}' in body, body
        shown = json.loads(s.request("GET", "/kv/n")[2])
        assert shown["json"] is True and shown["value"].startswith('{"b":1e999999')
        s.request("PUT", "/kv/n", "plain")
        assert "json" not in json.loads(s.request("GET", "/kv/n")[2])
        s.request("PUT", "/kv/bin", b"\xff")
        assert json.loads(get("bin")[2])["payload"] == {"key": "bin", "value_base64": "/w=="}
        problem(s.request("PUT", "/request", b"nonsense"), 400, "malformed")
        problem(s.request("GET", "/request"), 400, "malformed")
        problem(s.request("PUT", "/request", b'{"payload":{"key":""}}'), 400, "invalid_key")
        value = problem(s.request("PUT", "/request", b'{"payload":{"key":"k"}}'), 400,
                        "invalid_field")
        assert value["field"] == "payload.value", value
        problem(s.request("PUT", "/request", raw, [("If-Match", "*")]), 400, "invalid_field")
        problem(s.request("PUT", "/request?timeout=1s", raw), 400, "invalid_parameter")
        assert s.request("HEAD", "/request")[0] == 405


def test_head_gets_the_headers_of_get_and_no_body(binary, directory):
    with Running(binary, directory) as s:
        s.request("PUT", "/kv/h", "x" * 10000)
        for target in ("/kv/h", "/kv/h?raw", "/status", "/", "/kv/none"):
            with s.connect() as c:
                c.send_request("HEAD", target)
                status, fields, _ = c.read_reply(True)
                c.send_request("GET", target)
                again, with_body, body = c.read_reply()
                assert status == again, target
                assert int(fields["content-length"]) > 0
                if target != "/status":
                    assert int(fields["content-length"]) == len(body), target


def test_pipelined_requests_are_answered_in_order(binary, directory):
    with Running(binary, directory) as s, s.connect() as c:
        count = 300
        for i in range(count):
            c.send_request("PUT", "/kv/p", "v%d" % i)
            c.send_request("GET", "/kv/p?raw")
            c.send_request("GET", "/nowhere")
        for i in range(count):
            status, fields, body = c.read_reply()
            assert status == 200 and json.loads(body)["revision"] == i + 2, (i, body)
            assert c.read_reply()[2] == b"v%d" % i
            assert c.read_reply()[0] == 404


def resident_kb(server):
    with open("/proc/%d/status" % server.process.pid) as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def test_the_server_stops_reading_from_a_client_that_reads_nothing(binary, directory):
    with Running(binary, directory) as s:
        s.request("PUT", "/kv/big", b"x" * 100_000)
        before = resident_kb(s)
        with s.connect() as c:
            request = b"GET /kv/big?raw HTTP/1.1\r\nHost: a\r\n\r\n"
            c.socket.settimeout(1)
            sent = 0
            try:
                while sent < 64 << 20:
                    sent += c.socket.send(request * 1000)
            except (socket.timeout, BlockingIOError):
                pass
            assert sent < 64 << 20, "the server never stops reading requests"
            grown = resident_kb(s) - before
            assert grown < 48_000, "grew by %d kB" % grown
            assert s.request("GET", "/livez")[0] == 200


def admitted(server):
    """A connection that was served, once those that have just ended no longer count."""
    end = time.monotonic() + 5
    while True:
        c = server.connect()
        c.send_request("GET", "/livez")
        status, _, body = c.read_reply()
        if status == 200:
            return c
        c.socket.close()
        assert status == 429 and time.monotonic() < end, body


def test_a_connection_above_the_limit_gets_an_error(binary, directory):
    with Running(binary, directory, ["--max-connections", "10"]) as s:
        held = [admitted(s) for _ in range(10)]
        with s.connect() as late:
            late.send_request("GET", "/livez")
            reply = late.read_reply()
            assert problem(reply, 429, "overloaded")["retry_after_ms"] == 1000
            assert reply[1]["retry-after"] == "1" and late.at_end()
        held[0].socket.close()
        held[0] = admitted(s)
        for c in held:
            c.socket.close()


def test_a_shortage_of_descriptors_does_not_stop_the_node(binary, directory):
    import resource
    server = Server(binary, directory, free_ports(1))
    with open(server.log, "ab") as log:
        server.process = subprocess.Popen(
            [binary, "server", "0", server.list], stdout=log, stderr=log,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    server.wait_ready()
    flood = []
    for _ in range(200):
        flood.append(server.connect())
    time.sleep(0.2)
    for c in flood:
        c.socket.close()
    end = time.monotonic() + 5
    while True:
        try:
            assert server.request("PUT", "/kv/after", "flood")[0] == 200
            break
        except (OSError, AssertionError):
            assert time.monotonic() < end, server.log_text()
            time.sleep(0.05)
    assert server.stop() == 0


def test_status_probes_and_metrics_are_well_formed(binary, directory):
    with Running(binary, directory) as s:
        status = json.loads(s.request("GET", "/status")[2])
        assert status["id"] == 0 and status["role"] == "leader" and status["version"]
        assert re.fullmatch("[0-9a-f]{32}", status["cluster"])
        assert status["leader"] == status["address"] == "http://127.0.0.1:%d" % s.port
        assert status["members"] == [{"id": 0, "address": status["address"], "voter": True}]
        assert status["log"]["compacted"] is False and status["log"]["first_index"] == 1
        assert "snapshot" not in status and "receiving_snapshot" not in status
        assert s.request("GET", "/livez")[2] == b"ok\n"
        assert s.request("GET", "/readyz?verbose")[2] == (
            b"[+]log ok\n[+]member ok\n[+]leader ok\n[+]voter ok\n[+]applied ok\n"
            b"[+]state ok\n[+]running ok\n")
        assert json.loads(s.request("GET", "/")[2])["name"] == "vesper"
        s.request("PUT", "/kv/m", "1")
        text = s.request("GET", "/metrics")[2].decode()
        check_metrics(text)
        assert 'vesper_requests_total{route="kv",status="200"} 1' in text
        assert 'vesper_role{role="leader"} 1' in text


def test_options_on_a_probe_has_the_status_of_get(binary, directory):
    ready = Server(binary, directory, free_ports(1)).start()
    try:
        for target in ("/livez", "/readyz", "/readyz?verbose"):
            with ready.connect() as c:  # as HAProxy checks
                c.send("OPTIONS %s HTTP/1.0\r\n\r\n" % target)
                status, fields, _ = c.read_reply()
                assert status == 200 and fields["allow"] == "GET, HEAD, OPTIONS", (target, fields)
        problem(ready.request("OPTIONS", "/readyz?x"), 400, "invalid_parameter")
        assert ready.request("OPTIONS", "/status")[0] == 204
    finally:
        assert ready.stop() == 0
    alone = Server(binary, directory, free_ports(3), list_name="three.txt",
                   flags=["--data-dir", os.path.join(directory, "alone")]).start(wait=False)
    try:
        end = time.monotonic() + 10
        while True:
            try:
                assert alone.request("OPTIONS", "/livez")[0] == 200
                break
            except OSError:
                assert time.monotonic() < end, alone.log_text()
                time.sleep(0.01)
        got = alone.request("GET", "/readyz")
        status, fields, _ = alone.request("OPTIONS", "/readyz")
        assert got[0] == status == 503 and fields["allow"] == "GET, HEAD, OPTIONS", fields
        assert fields["retry-after"] == "1", fields
    finally:
        alone.stop()


def check_metrics(text):
    """The rules of the text format that a scraper stumbles over."""
    typed, seen = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in typed, name
            typed[name] = kind
        elif not line.startswith("# HELP "):
            found = re.fullmatch(r'([a-z_]+)(\{(?:[a-z_]+="[^"]*",?)+\})? (\S+)', line)
            assert found, line
            float(found.group(3))
            sample = line.rsplit(" ", 1)[0]
            assert sample not in seen, sample
            seen.add(sample)
            base = re.sub(r"_(bucket|sum|count)$", "", found.group(1))
            assert found.group(1) in typed or typed.get(base) == "histogram", line
            if typed.get(found.group(1)) == "counter":
                assert found.group(1).endswith("_total"), line


def test_sigterm_answers_what_is_in_flight_and_ends_within_a_second(binary, directory):
    server = node(binary, directory)
    connections = [server.connect() for _ in range(20)]
    for i, c in enumerate(connections):
        for k in range(20):
            c.send_request("PUT", "/kv/t%d" % i, "v%d" % k)
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 1, "took %.2f s" % (time.monotonic() - begun)
    answered = 0
    for c in connections:
        try:
            while True:
                status, fields, _ = c.read_reply()
                assert status in (200, 503), status
                answered += status == 200
        except (EOFError, ConnectionError):
            pass
    assert answered > 0
    server.start()
    # /status never waits; a linearizable read does, until what was acknowledged is applied again.
    server.request("GET", "/kv/t0")
    revision = json.loads(server.request("GET", "/status")[2])["revision"]
    assert revision - 1 >= answered, (revision, answered)
    server.stop()


def test_a_second_server_on_the_port_or_the_data_is_refused(binary, directory):
    first = node(binary, directory)
    def second(*flags):
        done = subprocess.run([binary, "server", "0", first.list] + list(flags),
                              stderr=subprocess.PIPE, stdout=subprocess.PIPE, timeout=10)
        return done.returncode, done.stderr.decode()
    other = os.path.join(directory, "other")
    code, text = second("--data-dir", other)
    assert code == 10 and "cannot listen on 127.0.0.1:%d" % first.port in text, text
    assert not os.path.exists(other), "a data directory was made although the port is in use"
    code, text = second("--listen", "127.0.0.1:%d" % free_ports(1)[0])
    assert code == 11 and "locked" in text, text
    code, text = second("--listen", "192.0.2.1:5000", "--insecure-clients")
    assert code == 10, text
    code, text = second("--listen", "127.0.0.1:%d" % free_ports(1)[0], "--data-dir", "/proc/no")
    assert code == 11 and "/proc" in text, text
    first.stop()


def test_a_public_address_needs_a_key(binary, directory):
    path = os.path.join(directory, "two.txt")
    with open(path, "w") as f:
        f.write("http://127.0.0.1:%d\nhttp://192.0.2.1:5000\n" % free_ports(1)[0])
    done = subprocess.run([binary, "server", "0", path], stderr=subprocess.PIPE, timeout=10)
    assert done.returncode == 2 and b"--insecure-peers" in done.stderr, done.stderr
    assert not os.path.exists(os.path.join(directory, "vesper-data"))


def test_a_public_address_needs_proof_of_its_clients(binary, directory):
    first = Server(binary, directory, free_ports(1))
    for flags in ([], ["--insecure-peers"]):
        for address in ("0.0.0.0", "192.0.2.1", "[::]"):
            done = subprocess.run(
                [binary, "server", "0", first.list, "--listen", address + ":5000"] + flags,
                stderr=subprocess.PIPE, timeout=10)
            assert done.returncode == 2, done
            for way_out in (b"--tls-client-ca", b"loopback", b"--insecure-clients"):
                assert way_out in done.stderr, done.stderr
    assert not os.path.exists(os.path.join(directory, "vesper-data"))


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], os.path.abspath(sys.argv[1])))
