"""Exactly once (docs/http-api.md): what an Idempotency-Key does, over raw sockets."""

import json
import os
import signal
import sys

import harness
from test_contract import Running, problem


def key(value):
    return [("Idempotency-Key", value)]


def same_answer(first, again):
    """Status, body, revision and ETag of a reply, and the mark on the second one only."""
    assert "vesper-replayed" not in first[1], first
    assert again[1].get("vesper-replayed") == "true", again
    assert first[0] == again[0] and first[2] == again[2], (first, again)
    for name in ("etag", "vesper-revision", "cache-control", "content-type"):
        assert first[1].get(name) == again[1].get(name), (name, first, again)


def test_a_request_with_an_idempotency_key_is_applied_once(binary, directory):
    with Running(binary, directory) as s:
        def twice(method, target, body=None, headers=(), between=lambda: None):
            first = s.request(method, target, body, headers)
            between()
            again = s.request(method, target, body, headers)
            same_answer(first, again)
            return first
        overwrite = lambda: s.request("PUT", "/kv/a", "other")
        assert twice("PUT", "/kv/a", "1", key("k1"), overwrite)[1]["etag"] == '"2"'
        assert s.request("GET", "/kv/a?raw")[2] == b"other", "the refused request changed the value"
        # Decided, and otherwise by now: a failed condition, a delete, a delete of nothing.
        only_new = [("If-None-Match", "*")]
        reply = twice("PUT", "/kv/a", "2", key("k2") + only_new,
                      lambda: s.request("DELETE", "/kv/a"))
        assert problem(reply, 412, "precondition_failed")["current_revision"] == 3
        assert reply[1]["etag"] == '"3"'
        reply = twice("DELETE", "/kv/a", None, key("k3"), overwrite)
        assert reply[2] == b'{"deleted":0,"revision":4}\n', reply
        reply = twice("DELETE", "/kv/a", None, key("k4"), overwrite)
        assert reply[2] == b'{"deleted":1,"revision":6}\n', reply
        assert s.request("GET", "/kv/a?raw")[0] == 200
        seed = '{"type":"put","payload":{"key":"s","value":[1]}}'
        assert twice("PUT", "/request", seed, key("k5"))[2] == b'{"code":"success"}\n'
        assert json.loads(s.request("GET", "/kv/s")[2])["version"] == 1
        # How long an attempt may take, the Host and the spelling of the path are no part of it.
        s.request("PUT", "/kv/x%2Fy?timeout=1s", "v", key("k6"))
        reply = s.request("PUT", "/kv/x/y?timeout=2s", "v", key("k6"))
        assert reply[1].get("vesper-replayed") == "true", reply


def test_an_idempotency_key_is_valid_for_one_request_only(binary, directory):
    with Running(binary, directory) as s:
        assert s.request("PUT", "/kv/a", "1", key("k"))[0] == 200
        seed = '{"type":"put","payload":{"key":"a","value":"1"}}'
        for method, target, body, more in (
                ("PUT", "/kv/a", "2", []), ("PUT", "/kv/b", "1", []), ("DELETE", "/kv/a", None, []),
                ("PUT", "/kv/a", "1", [("If-Match", "*")]), ("PUT", "/request", seed, []),
                ("PUT", "/kv/a", "1", [("If-None-Match", '"7"')])):
            reply = s.request(method, target, body, key("k") + more)
            problem(reply, 422, "idempotency_key_reused")
            assert reply[1]["vesper-revision"] == "2" and "vesper-replayed" not in reply[1]
        assert s.request("GET", "/kv/a")[1]["etag"] == '"2"'
        assert s.request("GET", "/kv/b")[0] == 404
        same_answer((200, {"etag": '"2"', "vesper-revision": "2", "cache-control": "no-cache",
                           "content-type": "application/json"},
                     b'{"key":"a","revision":2,"create_revision":2,"version":1}\n'),
                    s.request("PUT", "/kv/a", "1", key("k")))


def test_an_idempotency_key_is_visible_ascii_or_a_quoted_string(binary, directory):
    with Running(binary, directory) as s:
        put = lambda value: s.request("PUT", "/kv/a", "1", key(value))
        for good in ("k", "8e03978e-40d5-43dd-bc93-6894a57f9324", "x" * 255, 'a"b', "!~", "a,b"):
            assert put(good)[0] == 200, good
            assert "vesper-replayed" in put(good)[1], good
        for quoted in ('"k"', '"%s"' % ("x" * 255), r'"a\"b"'):
            assert "vesper-replayed" in put(quoted)[1], quoted
        assert "vesper-replayed" not in put(r'"\\"')[1]
        assert "vesper-replayed" in put("\\")[1]
        for bad in ("", '""', '"', '"k', '"k"x', '"k";a=1', '"k", "l"', "a b", '"a b"', "x" * 256,
                    '"%s"' % ("x" * 256), "k\xe9", r'"\k"', '"k\\"', "a\tb"):
            assert problem(put(bad), 400, "invalid_field")["field"] == "Idempotency-Key", bad
        twice = key("k") + key("k")
        problem(s.request("PUT", "/kv/a", "1", twice), 400, "invalid_field")
        problem(s.request("PUT", "/request", '{"payload":{"key":"k","value":1}}', twice), 400,
                "invalid_field")
        # Not looked at on what is no write.
        for method, body in (("GET", None), ("HEAD", None), ("OPTIONS", None)):
            assert s.request(method, "/kv/a", body, key("") + key("a b"))[0] in (200, 204), method
        read = '{"type":"get","payload":{"key":"a"}}'
        for _ in range(2):
            status, fields, body = s.request("GET", "/request", read, key("k"))
            assert status == 200 and "vesper-replayed" not in fields, fields
        assert s.request("GET", "/kv/a", None, key("k"))[2] == s.request("GET", "/kv/a")[2]


def test_refusals_are_not_stored(binary, directory):
    with Running(binary, directory, ["--max-value", "1KiB"]) as s:
        problem(s.request("PUT", "/kv/a", "x" * 1025, key("k")), 413, "value_too_large")
        problem(s.request("PUT", "/kv/a?nonsense", "x", key("k")), 400, "invalid_parameter")
        assert s.request("PUT", "/kv/a", "x", key("k"))[0] == 200


def test_concurrent_requests_with_one_idempotency_key_get_the_same_answer(binary, directory):
    with Running(binary, directory) as s:
        with s.connect() as c:
            for _ in range(20):
                c.send_request("PUT", "/kv/a", "1", key("k"))
            replies = [c.read_reply() for _ in range(20)]
        for reply in replies[1:]:
            same_answer(replies[0], reply)
        shown = json.loads(s.request("GET", "/status")[2])["idempotency"]
        assert shown.pop("bytes") < 1000, shown
        assert shown == {"kept_ms": 600000, "max": 100000, "max_bytes": 64 << 20, "keys": 1}, shown
        text = s.request("GET", "/metrics")[2].decode()
        for line in ("vesper_idempotency_keys 1", "vesper_idempotency_replays_total 19",
                     'vesper_idempotency_refused_total{reason="full"} 0'):
            assert line + "\n" in text, line


def test_a_full_idempotency_table_refuses_new_keys_and_forgets_none(binary, directory):
    with Running(binary, directory) as s:
        most = json.loads(s.request("GET", "/status")[2])["idempotency"]["max"]
        request = "DELETE /kv/a HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: %d\r\n\r\n"
        connections = [s.connect() for _ in range(20)]
        for begin in range(0, most, 1000):
            for i, c in enumerate(connections):
                c.send("".join(request % (begin + 50 * i + n) for n in range(50)))
            for c in connections:
                for _ in range(50):
                    assert c.read_reply()[0] == 200
        for c in connections:
            c.socket.close()
        for _ in range(2):
            reply = s.request("PUT", "/kv/a", "1", key("new"))
            value = problem(reply, 429, "idempotency_full")
            assert value["retry_after_ms"] == 1000 and reply[1]["retry-after"] == "1", reply
            assert value["limit"] == most
            problem(s.request("PUT", "/request", '{"payload":{"key":"a","value":1}}', key("new")),
                    429, "idempotency_full")
        assert "vesper-replayed" in s.request("DELETE", "/kv/a", None, key("0"))[1]
        problem(s.request("DELETE", "/kv/b", None, key("0")), 422, "idempotency_key_reused")
        assert s.request("PUT", "/kv/a", "1")[2].startswith(b'{"key":"a","revision":2,')


def test_stored_replies_survive_a_kill(binary, directory):
    with Running(binary, directory) as s:
        first = s.request("PUT", "/kv/a", "1", key("k"))
        s.stop(signal.SIGKILL)
        s.start()
        same_answer(first, s.request("PUT", "/kv/a", "1", key("k")))


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], os.path.abspath(sys.argv[1])))
