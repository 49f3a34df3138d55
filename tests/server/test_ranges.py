"""Ranges of keys over raw sockets (docs/http-api.md): pages, streams of lines, deletes."""

import base64
import json
import os
import signal
import sys
import time

import harness
from harness import Server, free_ports, memory
from test_contract import Running, problem

NDJSON = ("Content-Type", "application/x-ndjson")
LINES = ("Accept", "application/x-ndjson")


def import_lines(server, lines):
    body = "".join(json.dumps(line) + "\n" for line in lines)
    status, _, answer = server.request("POST", "/kv", body, [NDJSON])
    assert status == 200, answer
    return json.loads(answer.splitlines()[-1])["revision"]


def fill(server, count, form="k/%06d", value="v"):
    return import_lines(server, ({"key": form % i, "value": value} for i in range(count)))


def get(server, query, headers=()):
    status, _, body = server.request("GET", "/kv" + query, None, headers)
    assert status == 200, body
    assert body.endswith(b"\n"), body[-100:]
    return json.loads(body)


def keys(page):
    return [kv["key"] for kv in page["kvs"]]


def all_pages(server, query, between=lambda: None):
    """The keys, prefixes and counts of all pages."""
    found, prefixes, counts, more = [], [], set(), ""
    while True:
        page = get(server, query + more)
        found += keys(page)
        prefixes += page.get("prefixes", [])
        counts.add((page["count"], page["revision"]))
        if "next" not in page:
            return found, prefixes, counts
        more = "&next=" + page["next"]
        between()


def test_a_range_shows_its_keys_in_order_with_a_count_and_a_revision(binary, directory):
    with Running(binary, directory) as s:
        assert s.request("GET", "/kv")[2] == b'{"kvs":[],"count":0,"revision":1}\n'
        for key, value in (("b", "2"), ("a/1", "1"), ("a%FF", "x"), ("a/2", "%FF%FE")):
            body = bytes.fromhex(value.replace("%", "")) if "%" in value else value
            assert s.request("PUT", "/kv/" + key, body)[0] == 200
        status, fields, body = s.request("GET", "/kv")
        assert body == (
            b'{"kvs":[{"key":"a/1","value":"1","revision":3,"create_revision":3,"version":1},'
            b'{"key":"a/2","value_base64":"//4=","revision":5,"create_revision":5,"version":1},'
            b'{"key_base64":"Yf8=","value":"x","revision":4,"create_revision":4,"version":1},'
            b'{"key":"b","value":"2","revision":2,"create_revision":2,"version":1}],'
            b'"count":4,"revision":5}\n'), body
        assert fields["vesper-revision"] == "5" and fields["vary"] == "Accept", fields
        assert fields["vesper-consistency"] == "linearizable", fields
        assert fields["content-type"] == "application/json" and "etag" not in fields, fields
        assert s.request("HEAD", "/kv")[1]["content-length"] == str(len(body))
        assert "vary" not in s.request("GET", "/kv?format=json")[1]
        assert keys(get(s, "?prefix=a/")) == ["a/1", "a/2"]
        assert keys(get(s, "?prefix=a/&reverse")) == ["a/2", "a/1"]
        assert keys(get(s, "?start=b&end=c&keys_only=0")) == ["b"]
        assert keys(get(s, "?end=a/2")) == ["a/1"]
        assert keys(get(s, "?start=b")) == ["b"]
        assert get(s, "?prefix=zzz") == {"kvs": [], "count": 0, "revision": 5}
        assert get(s, "?prefix=a/&keys_only")["kvs"][0] == {
            "key": "a/1", "revision": 3, "create_revision": 3, "version": 1}
        assert get(s, "?count_only") == {"count": 4, "revision": 5}
        assert get(s, "?count_only&prefix=a&revision=3") == {"count": 1, "revision": 3}
        page = get(s, "?separator=/")
        assert page["prefixes"] == ["a/"] and len(page["kvs"]) == 2 and page["count"] == 4, page
        page = get(s, "?separator=%FF")
        assert page["prefixes"] == [] and page["prefixes_base64"] == ["Yf8="], page
        assert keys(get(s, "?revision=3")) == ["a/1", "b"]
        assert get(s, "?revision=1") == {"kvs": [], "count": 0, "revision": 1}
        value = problem(s.request("GET", "/kv?revision=6"), 400, "invalid_parameter")
        assert value["parameter"] == "revision", value
        assert get(s, "?consistency=stale&max_staleness=10s&limit=1")["count"] == 4
        assert get(s, "?min_revision=5&consistency=lease")["revision"] == 5
        problem(s.request("GET", "/kv?min_revision=6&timeout=20ms"), 503, "timeout")


def test_pages_fit_together_while_writes_go_on(binary, directory):
    with Running(binary, directory) as s:
        fill(s, 200, "a/%03d")
        fill(s, 50, "b/%03d")
        revision = get(s, "?count_only")["revision"]
        changes = iter(range(10 ** 6))

        def change():
            n = next(changes)
            s.request("DELETE", "/kv/a/%03d" % (n * 7 % 200))
            s.request("PUT", "/kv/a/%03dx" % (n * 13 % 200), "new")
        names = ["a/%03d" % i for i in range(200)]
        assert all_pages(s, "?prefix=a/&limit=7", change)[0] == names
        # The revision of the first page is that of all pages.
        found, _, counts = all_pages(s, "?prefix=a/&limit=9&revision=%d" % revision, change)
        assert found == names and counts == {(200, revision)}, counts
        found, _, _ = all_pages(s, "?prefix=a/&limit=11&reverse&revision=%d" % revision, change)
        assert found == names[::-1]
        found, _, _ = all_pages(s, "?start=a/150&end=b/002&limit=10&revision=%d" % revision, change)
        assert found == names[150:] + ["b/000", "b/001"]
        found, prefixes, counts = all_pages(
            s, "?separator=/&limit=1&revision=%d" % revision, change)
        assert (found, prefixes) == ([], ["a/", "b/"]) and counts == {(250, revision)}, prefixes


def test_a_page_ends_at_eight_mebibytes(binary, directory):
    with Running(binary, directory) as s:
        value = "x" * (1 << 20)
        for i in range(12):
            assert s.request("PUT", "/kv/%02d" % i, value)[0] == 200
        found, _, _ = all_pages(s, "?limit=100")
        assert found == ["%02d" % i for i in range(12)]
        first = get(s, "?limit=100")
        assert len(first["kvs"]) == 8 and first["count"] == 12 and "next" in first
        assert len(get(s, "?limit=100&keys_only")["kvs"]) == 12
        second = get(s, "?limit=100&next=" + first["next"])
        assert keys(second) == ["%02d" % i for i in range(8, 12)] and "next" not in second


def test_a_token_is_refused_unless_it_belongs_to_the_request_and_the_cluster(binary, directory):
    other = os.path.join(directory, "other")
    os.mkdir(other)
    with Running(binary, directory) as s, Running(binary, other) as t:
        for server in (s, t):
            fill(server, 30)
        token = get(s, "?limit=10&prefix=k")["next"]
        assert len(get(s, "?limit=10&prefix=k&next=" + token)["kvs"]) == 10
        # How to read, and for how long, is no part of it.
        assert len(get(s, "?prefix=k&limit=10&consistency=stale&timeout=1s&format=json&next=" +
                       token)["kvs"]) == 10
        for query in ("limit=10", "limit=10&prefix=k/", "limit=11&prefix=k", "prefix=k",
                      "limit=10&prefix=k&reverse", "limit=10&prefix=k&keys_only",
                      "limit=10&prefix=k&separator=/", "limit=10&prefix=k&revision=2",
                      "limit=10&start=k"):
            value = problem(s.request("GET", "/kv?%s&next=%s" % (query, token)), 400,
                            "invalid_parameter")
            assert value["parameter"] == "next", value
            assert "other parameters" in value["detail"], value
        value = problem(t.request("GET", "/kv?limit=10&prefix=k&next=" + token), 400,
                        "invalid_parameter")
        assert value["parameter"] == "next" and "another cluster" in value["detail"], value
        for bad in (token[:-1], token + "A", token[1:], token.swapcase(), "x", "-", "a" * 9000,
                    base64.b64encode(b"\0" * 40).decode().replace("+", "-").replace("=", "")):
            value = problem(s.request("GET", "/kv?limit=10&prefix=k&next=" + bad), 400,
                            "invalid_parameter")
            assert value["parameter"] == "next", value
        # A token stays valid over a restart, and is gone with its revision.
        s.stop()
        s.start()
        assert len(get(s, "?limit=10&prefix=k&next=" + token)["kvs"]) == 10
        s.request("PUT", "/kv/z", "1")
        revision = get(s, "?count_only")["revision"]
        assert s.request("POST", "/compact?revision=%d" % revision)[0] == 200
        value = problem(s.request("GET", "/kv?limit=10&prefix=k&next=" + token), 410, "compacted")
        assert value["oldest_revision"] == revision, value
        problem(s.request("GET", "/kv?revision=2"), 410, "compacted")
        problem(s.request("GET", "/kv?revision=2&format=ndjson"), 410, "compacted")


def test_a_stream_has_a_line_for_each_key(binary, directory):
    with Running(binary, directory) as s:
        import_lines(s, [{"key": "a", "value": "1"}, {"key": "b/1", "value": "{}", "json": True},
                         {"key": "b/2", "value": "\u00e4\n"},
                         {"key_base64": "/w==", "value_base64": "/w=="}])
        status, fields, body = s.request("GET", "/kv?format=ndjson")
        assert status == 200 and fields["content-type"] == "application/x-ndjson", fields
        assert fields["transfer-encoding"] == "chunked" and "vary" not in fields, fields
        assert fields["vesper-revision"] == "2", fields
        rest = b',"revision":2,"create_revision":2,"version":1}\n'
        assert body == (b'{"key":"a","value":"1"' + rest +
                        b'{"key":"b/1","value":"{}","json":true' + rest +
                        b'{"key":"b/2","value":"\xc3\xa4\\n"' + rest +
                        b'{"key_base64":"/w==","value_base64":"/w=="' + rest), body
        reply = s.request("GET", "/kv", None, [LINES])
        assert reply[2] == body and reply[1]["vary"] == "Accept", reply
        assert s.request("GET", "/kv?format=json", None, [LINES])[2].startswith(b'{"kvs":')
        lines = s.request("GET", "/kv?format=ndjson&separator=/&keys_only&reverse")[2].splitlines()
        assert [list(json.loads(line).items())[0] for line in lines] == [
            ("key_base64", "/w=="), ("prefix", "b/"), ("key", "a")], lines
        assert len(s.request("GET", "/kv?format=ndjson&limit=2")[2].splitlines()) == 2
        assert s.request("GET", "/kv?format=ndjson&prefix=none")[2] == b""
        reply = s.request("HEAD", "/kv?format=ndjson")
        assert reply[0] == 405 and reply[1]["allow"] == "GET, DELETE, POST, OPTIONS", reply
        # In HTTP/1.0 the end of the connection is the end of the stream.
        with s.connect() as c:
            c.send("GET /kv?format=ndjson HTTP/1.0\r\n\r\n")
            status, fields = c.read_head()
            assert status == 200 and "transfer-encoding" not in fields, fields
            while c.fill():
                pass
            assert c.buffer == body
        # The next request of the connection is answered after the stream.
        with s.connect() as c:
            c.send_request("GET", "/kv?format=ndjson")
            c.send_request("GET", "/kv?count_only")
            assert c.read_reply()[2] == body
            assert json.loads(c.read_reply()[2])["count"] == 4


def test_a_stream_shows_one_revision_and_costs_little_memory(binary, directory):
    with Running(binary, directory) as s:
        count = 100_000
        value = "x" * 200
        revision = fill(s, count, "k/%06d", value)
        before = memory(s)
        with s.connect(30) as c:
            c.send_request("GET", "/kv?format=ndjson")
            assert c.read_head()[1]["vesper-revision"] == str(revision)
            first = c.read_chunk()
            # The client stops reading: nothing piles up, and others are served.
            for i in range(0, 300):
                assert s.request("PUT", "/kv/k/%06d" % (count - 1 - i * 7), "new")[0] == 200
                s.request("DELETE", "/kv/k/%06d" % (count - 2 - i * 7))
            assert s.request("DELETE", "/kv?prefix=k/0999")[0] == 200
            time.sleep(0.3)
            assert memory(s) - before < 8 << 20, (before, memory(s))
            body, complete = c.read_chunks()
            assert complete
            lines = (first + body).splitlines()
            assert len(lines) == count
            for i, line in enumerate(lines):
                assert line.startswith(b'{"key":"k/%06d","value":"xxx' % i), line
        assert memory(s) - before < 8 << 20, (before, memory(s))


def test_long_values_are_streamed_in_parts(binary, directory):
    with Running(binary, directory) as s:
        texts = {"a": b"x" * (8 << 20), "b": "\u00e4\n\u20ac".encode() * 600_000,
                 "c": b"\x01" * (4 << 20), "d": b"x" * (1 << 20) + b"\xff", "e": b"small"}
        for key, value in texts.items():
            assert s.request("PUT", "/kv/" + key, value)[0] == 200
        with s.connect(30) as c:
            c.send_request("GET", "/kv?format=ndjson")
            assert c.read_head()[0] == 200
            time.sleep(0.3)
            body, complete = c.read_chunks()
        assert complete
        lines = [json.loads(line) for line in body.splitlines()]
        got = {line["key"]: line["value"].encode() if "value" in line
               else base64.b64decode(line["value_base64"]) for line in lines}
        assert got == texts


def test_a_shutdown_ends_a_stream_with_an_error_and_no_last_chunk(binary, directory):
    with Running(binary, directory) as s:
        fill(s, 60_000, "k/%06d", "x" * 200)
        with s.connect(30) as c:
            c.send_request("GET", "/kv?format=ndjson")
            assert c.read_head()[0] == 200
            first = c.read_chunk()
            s.process.send_signal(signal.SIGTERM)
            time.sleep(0.4)
            body, complete = c.read_chunks()
            assert not complete
            lines = (first + body).splitlines()
            assert len(lines) < 60_000
            error = json.loads(lines[-1])["error"]
            assert error["code"] == "shutting_down" and error["status"] == 503, error
            for line in lines[:-1]:
                assert json.loads(line)["value"] == "x" * 200


def test_a_delete_of_a_range_is_one_write(binary, directory):
    with Running(binary, directory) as s:
        revision = fill(s, 10)
        reply = s.request("DELETE", "/kv?prefix=k/00000")
        assert reply[2] == b'{"deleted":10,"revision":%d}\n' % (revision + 1), reply
        reply = s.request("DELETE", "/kv?prefix=k/00000")
        assert reply[2] == b'{"deleted":0,"revision":%d}\n' % (revision + 1), reply
        assert reply[1]["vesper-revision"] == str(revision + 1)
        assert keys(get(s, "?revision=%d" % revision)) == ["k/%06d" % i for i in range(10)]
        fill(s, 5)
        reply = s.request("DELETE", "/kv?start=k/000001&end=k/000003&prev")
        value = json.loads(reply[2])
        assert value["deleted"] == 2 and [p["key"] for p in value["prev"]] == [
            "k/000001", "k/000002"], value
        assert json.loads(s.request("DELETE", "/kv?prefix=none&prev")[2])["prev"] == []
        for query in ("", "?prefix=", "?all=0", "?prefix=&all=false"):
            value = problem(s.request("DELETE", "/kv" + query), 400, "invalid_parameter")
            assert value["parameter"] == "prefix" and "?all" in value["hint"], value
        assert get(s, "?count_only")["count"] == 3
        # With an Idempotency-Key it is applied once.
        key = [("Idempotency-Key", "k1")]
        first = s.request("DELETE", "/kv?prefix=k/000000", None, key)
        fill(s, 1)
        again = s.request("DELETE", "/kv?prefix=k%2F000000&timeout=1s", None, key)
        assert again[2] == first[2] and again[1]["vesper-replayed"] == "true", (first, again)
        for query in ("?prefix=k/000000&prev", "?prefix=k/00000", "?all"):
            problem(s.request("DELETE", "/kv" + query, None, key), 422, "idempotency_key_reused")
        assert json.loads(s.request("DELETE", "/kv?all")[2])["deleted"] == 3
        assert get(s, "?count_only")["count"] == 0


def test_a_delete_of_too_many_keys_deletes_nothing(binary, directory):
    with Running(binary, directory) as s:
        revision = fill(s, 5_001)
        for query in ("?all", "?prefix=k", "?start=k"):
            value = problem(s.request("DELETE", "/kv" + query), 413, "range_too_large")
            assert value["limit"] == 5_000 and value["count"] == 5_001, value
        assert get(s, "?count_only") == {"count": 5_001, "revision": revision}
        assert json.loads(s.request("DELETE", "/kv?end=k/005000")[2])["deleted"] == 5_000


def test_bad_input_is_refused_by_name_and_harms_nobody(binary, directory):
    long = "k" * 4097
    bad_counts = ("", "0", "-1", "1.5", "1e3", "NaN", "9007199254740992", "9223372036854775808",
                  "18446744073709551616", "%00", "null", "1,2", "%D9%A3")
    refused = [("GET", "limit=" + n, "limit") for n in bad_counts + ("10001",)]
    refused += [("GET", "format=ndjson&limit=" + n, "limit") for n in bad_counts]
    refused += [("GET", "revision=" + n, "revision") for n in bad_counts]
    refused += [("GET", "min_revision=" + n, "min_revision") for n in bad_counts]
    refused += [("GET", query, name) for query, name in (
        ("separator=", "separator"), ("separator=" + long, "separator"), ("reverse=2", "reverse"),
        ("keys_only=no", "keys_only"), ("count_only=x", "count_only"), ("format=xml", "format"),
        ("format=", "format"), ("next=", "next"), ("next=%FF", "next"), ("next=%00", "next"),
        ("count_only&limit=5", "limit"), ("count_only&next=x", "next"),
        ("consistency=x", "consistency"),
        ("format=ndjson&next=AAAA", "next"), ("format=ndjson&count_only", "format"),
        ("max_staleness=1s", "max_staleness"), ("timeout=9ms", "timeout"), ("x=1", "x"),
        ("limit=1&limit=1", "limit"), ("history", "history"))]
    for method in ("GET", "DELETE"):
        refused += [(method, query, name) for query, name in (
            ("prefix=a&start=b", "start"), ("prefix=a&end=b", "end"), ("prefix=&end=b", "end"),
            ("start=b&end=a", "end"), ("start=a&end=a", "end"), ("start=%FF&end=a", "end"),
            ("start=", "start"), ("end=", "end"), ("prefix=" + long, "prefix"),
            ("start=" + long, "start"), ("end=" + long, "end"), ("prefix=a&prefix=a", "prefix"),
            ("key=a", "key"), ("prefix=a&all=2", "all"))]
    refused += [("DELETE", query, name) for query, name in (
        ("", "prefix"), ("prefix=", "prefix"), ("all&prefix=a", "all"),
        ("prefix=a&limit=1", "limit"),
        ("prefix=a&prev=2", "prev"), ("prefix=a&revision=2", "revision"))]
    with Running(binary, directory) as s:
        revision = fill(s, 5)
        with s.connect() as c:
            for method, query, name in refused:
                c.send_request(method, "/kv?" + query if query else "/kv")
                value = problem(c.read_reply(), 400, "invalid_parameter")
                assert value["parameter"] == name, (method, query, value)
            c.send_request("GET", "/kv?prefix=%zz")
            problem(c.read_reply(), 400, "malformed")
            for method in ("GET", "DELETE"):
                for field in (("If-Match", "*"), ("If-None-Match", '"7"')):
                    c.send_request(method, "/kv?prefix=a", None, [field])
                    assert problem(c.read_reply(), 400, "invalid_field")["field"] == field[0]
            for method in ("PUT", "PATCH", "TRACE"):
                c.send_request(method, "/kv", "")
                reply = c.read_reply()
                problem(reply, 405, "method_not_allowed")
                assert reply[1]["allow"] == "GET, HEAD, POST, DELETE, OPTIONS", reply
            c.send_request("GET", "/kv?count_only")
            assert json.loads(c.read_reply()[2]) == {"count": 5, "revision": revision}


def test_clients_that_do_not_read_their_streams_harm_nobody(binary, directory):
    with Running(binary, directory) as s:
        fill(s, 60_000, "k/%06d", "x" * 200)
        streams = []
        for _ in range(20):
            c = s.connect(60)
            c.send_request("GET", "/kv?format=ndjson")
            streams.append(c)
        before = memory(s)
        time.sleep(1)
        assert memory(s) - before < 16 << 20, (before, memory(s))
        begun = time.monotonic()
        assert s.request("PUT", "/kv/a", "1")[0] == 200
        assert time.monotonic() - begun < 1
        for c in streams[:10]:
            c.socket.close()
        streams[10].read_head()
        body, complete = streams[10].read_chunks()
        assert complete and body.count(b"\n") == 60_000
        for c in streams[10:]:
            c.socket.close()


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], sys.argv[1]))
