"""Imports over raw sockets (docs/http-api.md): POST /kv with lines of any total size."""

import base64
import json
import os
import random
import signal
import sys
import threading
import time

import harness
from harness import Server, free_ports
from test_contract import Running, problem
from test_ranges import NDJSON, fill, get, keys, memory


def line(key, value="v", **more):
    return json.dumps({"key": key, "value": value, **more}) + "\n"


def answer_of(reply):
    """The lines of an answer with status 200."""
    status, fields, body = reply
    assert status == 200 and fields["content-type"] == "application/x-ndjson", reply
    return [json.loads(text) for text in body.splitlines()]


def post(server, body):
    return answer_of(server.request("POST", "/kv", body, [NDJSON]))


def begin(server, size=None, timeout=30):
    """A connection on which an import has begun; chunked if no size is given."""
    c = server.connect(timeout)
    length = "Content-Length: %d" % size if size is not None else "Transfer-Encoding: chunked"
    c.send("POST /kv HTTP/1.1\r\nHost: localhost\r\n"
           "Content-Type: application/x-ndjson\r\n%s\r\n\r\n"
           % length)
    return c


def send_chunk(c, text):
    data = text.encode()
    c.send(b"%x\r\n%s\r\n" % (len(data), data))


def read_cut_off(c):
    """The lines of an answer that an error has cut off."""
    status, fields = c.read_head()
    assert status == 200, status
    body, complete = c.read_chunks()
    assert not complete, body
    return [json.loads(text) for text in body.splitlines()]


def test_lines_are_written_and_the_answer_counts_them(binary, directory):
    with Running(binary, directory) as s:
        reply = s.request("POST", "/kv", line("a", "1") + line("b", "2"), [NDJSON])
        assert reply[2] == (b'{"lines":[1,2],"revision":2}\n'
                            b'{"lines":2,"keys":2,"revision":2}\n'), reply
        assert reply[1]["vesper-revision"] == "2" and "etag" not in reply[1], reply
        assert keys(get(s, "")) == ["a", "b"]
        # Blank lines count, the last line needs no line feed, and a key may come again.
        answer = post(s, "\n" + line("a", "3") + "\r\n" + line("a", "4").rstrip())
        assert answer[-1] == {"lines": 4, "keys": 2, "revision": 4}, answer
        assert s.request("GET", "/kv/a?raw")[2] == b"4"
        assert post(s, "") == [{"lines": 0, "keys": 0}]
        assert post(s, "\n\n") == [{"lines": 2, "keys": 0}]
        assert get(s, "?count_only")["revision"] == 4
        # Marks, bytes, and a put without a mark that clears it.
        post(s, '{"key_base64":"/w==","value_base64":"AP8="}\n' +
             line("j", ' {"x": [1.50]} ', json=True) + line("k", "1", json=False))
        assert s.request("GET", "/kv/%FF?raw")[2] == b"\x00\xff"
        assert json.loads(s.request("GET", "/kv/j")[2])["value"] == '{"x":[1.50]}'
        assert json.loads(s.request("GET", "/kv/j")[2])["json"] is True
        assert "json" not in json.loads(s.request("GET", "/kv/k")[2])
        post(s, line("j", "text"))
        assert "json" not in json.loads(s.request("GET", "/kv/j")[2])


def test_a_large_import_is_written_in_batches(binary, directory):
    with Running(binary, directory) as s:
        count = 25_000
        before = memory(s)
        answer = post(s, "".join(line("k/%06d" % i, "x" * 100) for i in range(count)))
        assert answer[-1]["lines"] == answer[-1]["keys"] == count, answer[-1]
        reached, revision = 0, 1
        for batch in answer[:-1]:
            first, last = batch["lines"]
            assert first == reached + 1 and last < first + 500, batch
            assert batch["revision"] == revision + 1, (batch, revision)
            reached, revision = last, batch["revision"]
        assert reached == count and answer[-1]["revision"] == revision
        assert get(s, "?count_only") == {"count": count, "revision": revision}
        assert len(answer) < 200, "the batches are small: %d" % len(answer)
        assert memory(s) - before < 64 << 20


def test_what_is_exported_is_imported_byte_for_byte(binary, directory):
    other = os.path.join(directory, "other")
    os.mkdir(other)
    rng = random.Random(7)
    with Running(binary, directory) as s, Running(binary, other) as t:
        for i in range(300):
            size = rng.choice((0, 1, 3, 10, 1000))
            key = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 12)))
            path = "/kv/" + "".join("%%%02X" % byte for byte in key)
            text = rng.randrange(3) == 0
            value = bytes(rng.randrange(128 if text else 256) for _ in range(size))
            assert s.request("PUT", path, value)[0] == 200
        for value in (1.5, None, {"a": [True, "\u20ac\n"]}):
            body = json.dumps({"type": "put", "payload": {"key": repr(value), "value": value}})
            assert s.request("PUT", "/request", body)[0] == 200
        assert s.request("PUT", "/kv/large", b"\x01" * (8 << 20))[0] == 200
        exported = s.request("GET", "/kv?format=ndjson")[2]
        lines = []
        for text in exported.splitlines():
            value = json.loads(text)
            lines.append(json.dumps({name: value[name] for name in value if name in
                                     ("key", "key_base64", "value", "value_base64", "json")}))
        answer = post(t, "\n".join(lines))
        assert answer[-1]["keys"] == len(lines)

        def content(server):
            found = []
            for text in server.request("GET", "/kv?format=ndjson")[2].splitlines():
                value = json.loads(text)
                for name in ("revision", "create_revision", "version"):
                    del value[name]
                found.append(value)
            return found
        assert content(s) == content(t)


def test_a_bad_first_line_is_a_plain_problem(binary, directory):
    cases = [
        ("x", "malformed", None), ("[]", "malformed", None), ("{", "malformed", None),
        ('"a"', "malformed", None), ("{}", "invalid_field", "key"),
        ("{\"key\":\"a\",\"value\":\"b\"}}", "malformed", None),
        ("{\"key\":\"a\",\"value\":\"b\"}{\"key\":\"a\",\"value\":\"b\"}", "malformed", None),
        ("{\"key\":\"a\",\"value\":\"b\",}", "malformed", None),
        ("{\"key\":\"\xff\"}", "malformed", None),
        ("{\"key\":\"\\ud800\",\"value\":\"\"}", "malformed", None),
        ("{\"key\":\"a\0b\",\"value\":\"\"}", "malformed", None), ("\ufeff{}", "malformed", None),
        (json.dumps({"key": "a"}), "invalid_field", "value"),
        (json.dumps({"value": "a"}), "invalid_field", "key"),
        (json.dumps({"key": "", "value": "a"}), "invalid_key", "key"),
        (json.dumps({"key": "k" * 4097, "value": "a"}), "invalid_key", "key"),
        (json.dumps({"key_base64": "", "value": "a"}), "invalid_key", "key_base64"),
        (json.dumps({"key_base64": "YQ", "value": "a"}), "invalid_field", "key_base64"),
        (json.dumps({"key_base64": "YR==", "value": "a"}), "invalid_field", "key_base64"),
        (json.dumps({"key": "a", "value_base64": "*"}), "invalid_field", "value_base64"),
        (json.dumps({"key": "a", "value": 1}), "invalid_field", "value"),
        (json.dumps({"key": "a", "value": None}), "invalid_field", "value"),
        (json.dumps({"key": "a", "value": ["b"]}), "invalid_field", "value"),
        (json.dumps({"key": ["a"], "value": "b"}), "invalid_field", "key"),
        (json.dumps({"key": "a", "value": "b", "json": 1}), "invalid_field", "json"),
        (json.dumps({"key": "a", "value": "{", "json": True}), "invalid_field", "value"),
        (json.dumps({"key": "a", "value": "[" * 65 + "]" * 65, "json": True}),
         "invalid_field", "value"),
        (json.dumps({"key": "a", "value": "b", "revision": 7}), "invalid_field", "revision"),
        (json.dumps({"key": "a", "value": "b", "lease": "7"}), "invalid_field", "lease"),
        ("{\"key\":\"a\",\"key\":\"a\",\"value\":\"b\"}", "invalid_field", "key"),
        ("{\"key\":\"a\",\"key_base64\":\"YQ==\",\"value\":\"b\"}", "invalid_field", "key_base64"),
        ("{\"key\":\"a\",\"value\":\"b\",\"value_base64\":\"\"}", "invalid_field", "value_base64"),
    ]
    with Running(binary, directory) as s:
        with s.connect() as c:
            for text, code, field in cases:
                # The body has arrived as a whole, so that the connection stays open.
                body = text.encode("latin-1") if "\xff" in text else text.encode()
                c.send_request("POST", "/kv", body + b"\n", [NDJSON])
                value = problem(c.read_reply(), 400, code)
                assert value.get("field") == field, (text, value)
                assert value["line"] == 1 and value["detail"].startswith("line 1, byte "), value
            c.send_request("POST", "/kv", line("a", "x" * ((8 << 20) + 1)), [NDJSON])
            value = problem(c.read_reply(), 413, "value_too_large")
            assert value["limit"] == 8 << 20 and value["line"] == 1, value
        assert get(s, "") == {"kvs": [], "count": 0, "revision": 1}
        problem(s.request("POST", "/kv", line("a"), [("Content-Type", "application/json")]), 415,
                "unsupported_media_type")
        problem(s.request("POST", "/kv", line("a")), 415, "unsupported_media_type")
        for name in ("Idempotency-Key", "If-Match", "If-None-Match"):
            value = problem(s.request("POST", "/kv", line("a"), [NDJSON, (name, "*")]), 400,
                            "invalid_field")
            assert value["field"] == name, value
        problem(s.request("POST", "/kv?from_line=2", line("a"), [NDJSON]), 400, "invalid_parameter")
        with s.connect() as c:
            c.send_request("POST", "/kv", None, [NDJSON])
            problem(c.read_reply(), 411, "length_required")


def test_good_lines_before_a_bad_one_are_written(binary, directory):
    with Running(binary, directory) as s:
        body = line("a") + line("b") + "\n" + '{"key":"c"}\n' + line("d")
        with begin(s, len(body)) as c:
            c.send(body)
            answer = read_cut_off(c)
        assert answer[0] == {"lines": [1, 2], "revision": 2}, answer
        error = answer[1]["error"]
        assert len(answer) == 2 and error["line"] == 4 and error["field"] == "value", answer
        assert error["code"] == "invalid_field" and error["status"] == 400, answer
        assert keys(get(s, "")) == ["a", "b"]
        # Far into it, with much behind it.
        body = "".join(line("k%d" % i) for i in range(5000)) + "nonsense\n"
        rest = "".join(line("l%d" % i) for i in range(200_000))
        with begin(s, len(body) + len(rest)) as c:
            sender = threading.Thread(target=lambda: c.send(body + rest))
            sender.start()
            answer = read_cut_off(c)
            sender.join()
        assert answer[-1]["error"]["line"] == 5001 and answer[-2]["lines"][1] == 5000, answer[-2:]
        assert get(s, "?prefix=k&count_only")["count"] == 5000
        assert get(s, "?prefix=l&count_only")["count"] == 0


def test_a_line_of_a_hundred_mebibytes_is_refused_without_being_held(binary, directory):
    for text in ('{"key":"a","value":"', '{"key":"', '{"key":"a","value_base64":"', "",
                 '{"key":"a","value":"b"', '{"'):
        path = os.path.join(directory, "%d" % len(text))
        os.mkdir(path)
        filler = (b" " if text.endswith('"b"') or not text else b"A") * (1 << 20)
        with Running(binary, path) as s:
            before = memory(s)
            peak = [before]
            with begin(s, 100 << 20, timeout=60) as c:
                c.send(text)

                def send():
                    try:
                        for _ in range(100):
                            c.send(filler)
                    except OSError:
                        pass
                sender = threading.Thread(target=send)
                sender.start()
                status, fields = c.read_head()
                peak.append(memory(s))
                assert status in (400, 413), status
                assert fields["connection"] == "close", fields
                value = json.loads(c.buffer or (c.fill() and c.buffer))
                assert value["line"] == 1, value
                while c.fill():
                    pass
                sender.join()
            peak.append(memory(s))
            assert max(peak) - before < 40 << 20, (text, peak)
            assert get(s, "?count_only")["count"] == 0


def test_lines_are_written_as_they_come(binary, directory):
    with Running(binary, directory) as s:
        with begin(s) as c:
            send_chunk(c, line("a"))
            assert c.read_head()[0] == 200
            assert json.loads(c.read_chunk()) == {"lines": [1, 1], "revision": 2}
            assert s.request("GET", "/kv/a")[0] == 200
            send_chunk(c, line("b") + '{"key":"c",')
            assert json.loads(c.read_chunk()) == {"lines": [2, 2], "revision": 3}
            time.sleep(0.1)
            send_chunk(c, '"value":"x"}')
            c.send("0\r\n\r\n")
            body, complete = c.read_chunks()
            assert complete
            assert [json.loads(text) for text in body.splitlines()] == [
                {"lines": [3, 3], "revision": 4}, {"lines": 3, "keys": 3, "revision": 4}]
            # The connection goes on.
            c.send_request("GET", "/kv?count_only")
            assert json.loads(c.read_reply()[2])["count"] == 3


def test_a_sender_that_stops_is_timed_out_and_keeps_what_it_sent(binary, directory):
    with Running(binary, directory, ["--body-timeout", "1s"]) as s:
        with begin(s) as c:
            send_chunk(c, line("a") + line("b") + '{"key":')
            answer = read_cut_off(c)
        assert answer[0]["lines"] == [1, 2], answer
        assert answer[1]["error"]["code"] == "request_timeout", answer
        assert answer[1]["error"]["line"] == 3, answer
        with begin(s) as c:
            send_chunk(c, '{"key":')
            problem(c.read_reply(), 408, "request_timeout")
        # A client that hangs up in the middle does not undo its lines.
        c = begin(s)
        send_chunk(c, line("c") + line("d") + '{"key":')
        c.socket.close()
        end = time.monotonic() + 5
        while get(s, "?count_only")["count"] < 4:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_a_client_that_does_not_read_the_answer_is_not_read(binary, directory):
    with Running(binary, directory) as s:
        before = memory(s)
        with begin(s) as c:
            c.socket.settimeout(1)
            sent = 0
            try:
                # A repeated key makes a batch, and so a line of the answer, of each line.
                while sent < 1_000_000:
                    send_chunk(c, line("a", str(sent)) * 200)
                    sent += 200
            except OSError:
                pass
            assert sent < 1_000_000, "all of it was taken"
            assert memory(s) - before < 32 << 20
            assert s.request("PUT", "/kv/other", "1")[0] == 200


def test_requests_after_an_import_take_effect_after_it(binary, directory):
    with Running(binary, directory) as s:
        for _ in range(5):
            # A key that repeats makes many batches, which are posted one after the other.
            body = "".join(line("a", str(i)) for i in range(300))
            with s.connect() as c:
                c.send_request("POST", "/kv", body, [NDJSON])
                c.send_request("PUT", "/kv/a", "last")
                c.send_request("GET", "/kv/a?raw")
                assert answer_of(c.read_reply())[-1]["keys"] == 300
                assert c.read_reply()[0] == 200
                assert c.read_reply()[2] == b"last"
            assert s.request("GET", "/kv/a?raw")[2] == b"last"


def test_without_a_leader_nothing_is_written(binary, directory):
    server = Server(binary, directory, free_ports(3))
    server.start(wait=False)
    try:
        end = time.monotonic() + 10
        while True:
            try:
                reply = server.request("POST", "/kv?timeout=50ms", line("a") * 5000, [NDJSON])
                if reply[0] != 503 or json.loads(reply[2])["code"] != "starting":
                    break
            except OSError:
                pass
            assert time.monotonic() < end
            time.sleep(0.05)
        value = problem(reply, 503, "no_leader")
        assert value["line"] == 1 and value["retry_after_ms"] == 1000, value
    finally:
        server.stop()


def test_a_shutdown_ends_an_import_after_what_was_written(binary, directory):
    with Running(binary, directory) as s:
        with begin(s) as c:
            send_chunk(c, line("a") + line("b"))
            assert c.read_head()[0] == 200
            assert json.loads(c.read_chunk())["lines"] == [1, 2]
            s.process.send_signal(signal.SIGTERM)
            body, complete = c.read_chunks()
            assert not complete
            error = json.loads(body.splitlines()[-1])["error"]
            assert error["code"] == "shutting_down" and error["line"] == 3, error
        assert s.process.wait(5) == 0
        s.start()
        assert keys(get(s, "")) == ["a", "b"]


def test_many_imports_and_others_share_a_node(binary, directory):
    with Running(binary, directory) as s:
        count, senders = 3000, 8
        failed = []

        def send(number):
            try:
                answer = post(s, "".join(line("%d/%05d" % (number, i), "x" * 50)
                                         for i in range(count)))
                assert answer[-1]["keys"] == count
            except Exception as error:
                failed.append(error)
        threads = [threading.Thread(target=send, args=(n,)) for n in range(senders)]
        for thread in threads:
            thread.start()
        slowest = 0
        while any(thread.is_alive() for thread in threads):
            begun = time.monotonic()
            assert s.request("PUT", "/kv/other", "1")[0] == 200
            slowest = max(slowest, time.monotonic() - begun)
        assert not failed, failed
        assert slowest < 1, slowest
        assert get(s, "?count_only")["count"] == count * senders + 1


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], sys.argv[1]))
