"""What docs/http-api.md promises of single keys beyond put, get and delete: old revisions, history,
restore, atomic operations and compaction, over raw sockets. Which parameters are accepted is tested
without a server, in tests/api/test_key_requests.cpp."""

import json
import os
import sys
import threading

import harness
from test_contract import Running, problem
from test_once import key, same_answer

LEAST, MOST = -2**63, 2**63 - 1


def ok(reply):
    status, _, body = reply
    assert status == 200, (status, body)
    assert body.endswith(b"\n") and body.count(b"\n") == 1, body
    return json.loads(body)


def put(server, name, value):
    return ok(server.request("PUT", "/kv/" + name, value))["revision"]


def test_old_revisions_stay_readable(binary, directory):
    with Running(binary, directory) as s:
        assert [put(s, "a", "1"), put(s, "b", "x"), put(s, "a", "2")] == [2, 3, 4]
        s.request("DELETE", "/kv/a")
        assert put(s, "a", "3") == 6
        value = lambda at: s.request("GET", "/kv/a?raw&revision=%d" % at)
        assert [value(at)[2] for at in (2, 3, 4, 6)] == [b"1", b"1", b"2", b"3"]
        reply = value(3)
        assert reply[1]["etag"] == '"2"' and reply[1]["vesper-revision"] == "6", reply
        assert ok(s.request("GET", "/kv/a?revision=3")) == {
            "key": "a", "value": "1", "revision": 2, "create_revision": 2, "version": 1}
        for absent in (1, 5):
            problem(value(absent), 404, "key_not_found")
        reply = s.request("GET", "/kv/a?revision=7")
        assert problem(reply, 400, "invalid_parameter")["parameter"] == "revision"
        assert reply[1]["vesper-revision"] == "6", reply
        # Conditions are decided on the version that is read.
        at = lambda revision, *h: s.request("GET", "/kv/a?revision=%d" % revision, None, h)
        assert at(3, ("If-None-Match", '"2"'))[0] == 304
        assert at(4, ("If-None-Match", '"2"'))[0] == 200
        problem(at(4, ("If-Match", '"6"')), 412, "precondition_failed")
        for level in ("linearizable", "lease", "stale"):
            reply = s.request("GET", "/kv/a?revision=3&consistency=" + level)
            assert ok(reply)["value"] == "1"
            assert reply[1]["vesper-consistency"] in (level, "linearizable"), reply


def test_a_local_read_waits_for_its_revision(binary, directory):
    with Running(binary, directory) as s:
        put(s, "a", "1")
        target = "/kv/a?consistency=stale&revision=3&timeout="
        problem(s.request("GET", target + "50ms"), 503, "timeout")
        replies = []
        reader = threading.Thread(
            target=lambda: replies.append(s.request("GET", target + "5s")))
        reader.start()
        put(s, "a", "2")
        reader.join()
        assert ok(replies[0])["value"] == "2", replies


def test_the_history_of_a_key(binary, directory):
    with Running(binary, directory) as s:
        problem(s.request("GET", "/kv/a?history"), 404, "key_not_found")
        put(s, "a", "1")
        put(s, "other", "x")
        put(s, "a", b"\xff")
        s.request("DELETE", "/kv/a")
        s.request("PUT", "/request", '{"type":"put","payload":{"key":"a","value":[1]}}')
        newest = {"value": "[1]", "json": True, "revision": 6, "create_revision": 6, "version": 1}
        reply = s.request("GET", "/kv/a?history")
        assert ok(reply) == {
            "key": "a", "oldest_revision": 1, "versions": [
                newest,
                {"revision": 5, "deleted": True},
                {"value_base64": "/w==", "revision": 4, "create_revision": 2, "version": 2},
                {"value": "1", "revision": 2, "create_revision": 2, "version": 1}]}, reply
        assert reply[1]["vesper-revision"] == "6" and "etag" not in reply[1], reply
        assert ok(s.request("GET", "/kv/a?history&limit=1")) == {
            "key": "a", "versions": [newest], "more": True, "oldest_revision": 1}
        assert "more" not in ok(s.request("GET", "/kv/a?history&limit=4"))
        assert s.request("HEAD", "/kv/a?history")[1]["content-length"] == str(len(reply[2]))
        s.request("DELETE", "/kv/a")
        assert ok(s.request("GET", "/kv/a?history"))["versions"][0] == {
            "revision": 7, "deleted": True}
        # Long values end the list early.
        for _ in range(4):
            put(s, "long", b"x" * (3 << 20))
        long = ok(s.request("GET", "/kv/long?history"))
        assert len(long["versions"]) == 2 and long["more"] is True
        put(s, "long", b"x" * (8 << 20))
        assert len(ok(s.request("GET", "/kv/long?history"))["versions"]) == 1


def test_prev_shows_what_a_write_replaced(binary, directory):
    with Running(binary, directory) as s:
        assert "prev" not in ok(s.request("PUT", "/kv/a?prev", "1"))
        assert "prev" not in ok(s.request("PUT", "/kv/a?prev=0", "2"))
        second = {"key": "a", "value": "2", "revision": 3, "create_revision": 2, "version": 2}
        assert ok(s.request("PUT", "/kv/a?prev", b"\x00\xff")) == {
            "key": "a", "revision": 4, "create_revision": 2, "version": 3, "prev": second}
        assert ok(s.request("DELETE", "/kv/a?prev")) == {
            "deleted": 1, "revision": 5, "prev": {
                "key": "a", "value_base64": "AP8=", "revision": 4, "create_revision": 2,
                "version": 3}}
        assert ok(s.request("DELETE", "/kv/a?prev")) == {"deleted": 0, "revision": 5}
        # A put with prev is another request than one without.
        assert s.request("PUT", "/kv/b?prev", "1", key("k"))[0] == 200
        problem(s.request("PUT", "/kv/b", "1", key("k")), 422, "idempotency_key_reused")
        same_answer(*[s.request("DELETE", "/kv/b?prev", None, key("k2")) for _ in range(2)])


def test_restore_writes_again_what_the_key_held(binary, directory):
    with Running(binary, directory) as s:
        put(s, "other", "x")  # 2
        s.request("PUT", "/request", '{"type":"put","payload":{"key":"a","value":{"b":1}}}')  # 3
        put(s, "a", "oops")  # 4
        reply = s.request("POST", "/kv/a?restore=3", None, [("If-Match", '"4"')])
        restored = ok(reply)
        assert restored == {"key": "a", "value": '{"b":1}', "json": True, "revision": 5,
                            "create_revision": 3, "version": 3}, restored
        assert reply[1]["etag"] == '"5"', reply
        problem(s.request("POST", "/kv/a?restore=3", None, [("If-Match", '"4"')]), 412,
                "precondition_failed")
        assert ok(s.request("POST", "/kv/a?restore=2")) == {"deleted": 1, "revision": 6}
        assert ok(s.request("POST", "/kv/a?restore=2")) == {"deleted": 0, "revision": 6}
        value = ok(s.request("POST", "/kv/a?restore=4"))
        assert (value["value"], value["version"], "json" in value) == ("oops", 1, False), value
        value = problem(s.request("POST", "/kv/a?restore=9"), 400, "invalid_parameter")
        assert value["parameter"] == "restore", value
        ok(s.request("POST", "/compact?revision=5"))
        value = problem(s.request("POST", "/kv/a?restore=4"), 410, "compacted")
        assert value["oldest_revision"] == 5, value
        assert ok(s.request("GET", "/kv/a"))["revision"] == 7, "a refusal changed something"


def test_atomic_operations(binary, directory):
    with Running(binary, directory) as s:
        def post(query, body=None, headers=()):
            return s.request("POST", "/kv/n?" + query, body, headers)
        reply = post("increment")
        assert ok(reply) == {"key": "n", "value": "1", "revision": 2, "create_revision": 2,
                             "version": 1}, reply
        assert reply[1]["etag"] == '"2"' and reply[1]["vesper-revision"] == "2", reply
        value = lambda *a: ok(post(*a))["value"]
        assert value("increment=5") == "6" and value("increment=-10") == "-4"
        assert value("max=7") == "7" and value("max=3") == "7"
        assert value("min=-2") == "-2" and value("min=3") == "-2"
        assert value("append", "0") == "-20" and value("append", "") == "-20"
        assert value("increment=1", "a body that is dropped") == "-19"
        put(s, "n", str(MOST))
        problem(post("increment"), 409, "out_of_range")
        assert value("increment=%d" % LEAST) == "-1"
        assert value("min=%d" % LEAST) == str(LEAST)
        problem(post("increment=-1"), 409, "out_of_range")
        for text in ("", "x", "1.0", "01", "-0", "+1", " 1", "1\n", str(MOST + 1),
                     str(LEAST - 1), b"\xff"):
            before = put(s, "n", text)
            for query in ("increment", "min=1", "max=1"):
                problem(post(query), 409, "not_an_integer")
            assert ok(s.request("GET", "/kv/n"))["revision"] == before, text
        # Absent counts as empty; bytes stay bytes.
        reply = ok(s.request("POST", "/kv/l?append", b"\xff"))
        assert reply["value_base64"] == "/w==" and reply["version"] == 1, reply
        assert ok(s.request("POST", "/kv/absent?max=-5"))["value"] == "0"


def test_atomic_operations_and_the_mark_of_json(binary, directory):
    with Running(binary, directory) as s:
        s.request("PUT", "/request", '{"type":"put","payload":{"key":"n","value":41}}')
        assert ok(s.request("POST", "/kv/n?increment"))["json"] is True
        assert ok(s.request("POST", "/kv/n?max=7"))["json"] is True
        got = s.request("GET", "/request", '{"type":"get","payload":{"key":"n"}}')
        assert json.loads(got[2])["payload"]["value"] == 42
        assert "json" not in ok(s.request("POST", "/kv/n?append", "1"))
        assert "json" not in ok(s.request("GET", "/kv/n"))


def test_operations_have_conditions_and_are_carried_out_once(binary, directory):
    with Running(binary, directory) as s:
        put(s, "n", "1")
        assert s.request("POST", "/kv/n?increment", None, [("If-Match", '"2"')])[0] == 200
        reply = s.request("POST", "/kv/n?increment", None, [("If-Match", '"2"')])
        assert problem(reply, 412, "precondition_failed")["current_revision"] == 3
        assert reply[1]["etag"] == '"3"', reply
        new = [("If-None-Match", "*")]
        problem(s.request("POST", "/kv/n?append", "x", new), 412, "precondition_failed")
        assert s.request("POST", "/kv/new?append", "x", new)[0] == 200

        for number, (query, body) in enumerate((
                ("increment=5", None), ("append", "0"), ("min=3", None), ("max=9", None),
                ("restore=2", None))):
            send = lambda: s.request("POST", "/kv/n?" + query, body, key("k%d" % number))
            first = send()
            ok(first)
            put(s, "n", "7")
            same_answer(first, send())
            assert s.request("GET", "/kv/n?raw")[2] == b"7", query
        # A refusal that was decided is kept, too.
        put(s, "n", "x")
        first = s.request("POST", "/kv/n?increment", None, key("refused"))
        problem(first, 409, "not_an_integer")
        put(s, "n", "1")
        same_answer(first, s.request("POST", "/kv/n?increment", None, key("refused")))
        # The spelling of a request is no part of it; what it does is.
        assert s.request("POST", "/kv/n?increment", None, key("one"))[0] == 200
        reply = s.request("POST", "/kv/n?increment=1&timeout=1s", None, key("one"))
        assert reply[1].get("vesper-replayed") == "true", reply
        for other in ("increment=2", "max=1", "min=1", "append", "restore=1"):
            problem(s.request("POST", "/kv/n?" + other, "", key("one")), 422,
                    "idempotency_key_reused")


def test_increments_of_many_clients_add_up(binary, directory):
    clients, each = 16, 50
    with Running(binary, directory) as s:
        def work():
            with s.connect() as c:
                for _ in range(each):
                    c.send_request("POST", "/kv/n?increment")
                    assert c.read_reply()[0] == 200
        threads = [threading.Thread(target=work) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        got = ok(s.request("GET", "/kv/n"))
        assert (got["value"], got["version"]) == (str(clients * each), clients * each), got


def test_every_operation_takes_the_longest_key(binary, directory):
    with Running(binary, directory) as s:
        target = "/kv/" + "%ff" * 4096 + "?"
        assert ok(s.request("POST", target + "increment"))["value"] == "1"
        assert ok(s.request("POST", target + "append", "0"))["value"] == "10"
        assert ok(s.request("PUT", target + "prev", "2"))["prev"]["value"] == "10"
        assert ok(s.request("POST", target + "restore=2"))["value"] == "1"
        assert ok(s.request("DELETE", target + "prev", None, key("k")))["prev"]["value"] == "1"
        assert len(ok(s.request("GET", target + "history"))["versions"]) == 5


def test_bounds_of_values_and_replies(binary, directory):
    with Running(binary, directory) as s:
        most = 8 << 20
        put(s, "big", b"x" * (most - 1))
        reply = s.request("POST", "/kv/big?append", "y")
        assert len(ok(reply)["value"]) == most
        value = problem(s.request("POST", "/kv/big?append", "z"), 413, "value_too_large")
        assert value["limit"] == most, value
        # A reply that is kept for retries has a smaller bound.
        value = problem(s.request("DELETE", "/kv/big?prev", None, key("k")), 413,
                        "reply_too_large")
        assert value["limit"] == 65536, value
        assert s.request("HEAD", "/kv/big")[0] == 200
        assert s.request("DELETE", "/kv/big", None, key("k"))[0] == 200, "a refusal is not kept"


def test_compaction_by_hand(binary, directory):
    with Running(binary, directory) as s:
        for value in "1234":
            put(s, "a", value)  # 2 to 5
        s.request("DELETE", "/kv/a")  # 6
        put(s, "b", "x")  # 7
        compact = lambda to, *h: s.request("POST", "/compact?revision=%d" % to, None, h)
        assert compact(4)[2] == b'{"oldest_revision":4}\n'
        assert compact(4)[1]["vesper-revision"] == "7", "a compaction takes no revision"
        value = problem(compact(3), 410, "compacted")
        assert value["oldest_revision"] == 4, value
        value = problem(compact(8), 400, "invalid_parameter")
        assert value["parameter"] == "revision", value
        reply = s.request("GET", "/kv/a?revision=3")
        value = problem(reply, 410, "compacted")
        assert value["oldest_revision"] == 4 and reply[1]["vesper-revision"] == "7", reply
        assert ok(s.request("GET", "/kv/a?revision=4"))["value"] == "3"
        history = ok(s.request("GET", "/kv/a?history"))
        assert history["oldest_revision"] == 4, history
        assert [v["revision"] for v in history["versions"]] == [6, 5, 4], history
        same_answer(compact(6, *key("k")), compact(6, *key("k")))
        problem(compact(7, *key("k")), 422, "idempotency_key_reused")
        assert compact(7)[2] == b'{"oldest_revision":7}\n'
        problem(s.request("GET", "/kv/a?history"), 404, "key_not_found")
        problem(s.request("GET", "/kv/a"), 404, "key_not_found")
        assert ok(s.request("GET", "/kv/b?history"))["versions"][0]["revision"] == 7
        assert put(s, "b", "y") == 8


def test_history_survives_a_restart(binary, directory):
    with Running(binary, directory) as s:
        for value in "1234":
            put(s, "a", value)
        s.request("POST", "/compact?revision=3")
        before = s.request("GET", "/kv/a?history")[2]
        digest = json.loads(s.request("GET", "/status")[2])["digest"]
        assert s.stop() == 0
        s.start()
        assert s.request("GET", "/kv/a?history")[2] == before
        assert json.loads(s.request("GET", "/status")[2])["digest"] == digest


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], os.path.abspath(sys.argv[1])))
