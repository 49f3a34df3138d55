"""What docs/http-api.md promises of POST /txn, against a node. What the reader refuses is in
tests/api/test_transaction_json.cpp."""

import base64
import json
import sys

import harness
from test_contract import Running, problem
from test_keys import ok, put


def txn(server, then, query="", headers=(), **more):
    body = json.dumps({"then": then, **more})
    return server.request("POST", "/txn" + query, body, headers)


def run(server, then, **more):
    return ok(txn(server, then, **more))


def status(server):
    return json.loads(server.request("GET", "/status")[2])


def get(key, **more):
    return {"get": {"key": key, **more}}


def write(key, value="", **more):
    return {"put": {"key": key, "value": value, **more}}


def test_all_writes_have_one_revision_and_gets_see_earlier_ones(binary, directory):
    with Running(binary, directory) as s:
        put(s, "d/1", "old")
        put(s, "gone", "x")
        reply = txn(s, [
            write("a", "1"), get("a"), {"get": {"prefix": "", "keys_only": True}},
            {"delete": {"prefix": "d/", "prev": True}}, get("d/1"), get("d/1", revision=2),
            {"delete": {"key": "gone", "prev": True}}, {"delete": {"key": "gone"}},
            {"increment": {"key": "n", "by": "-5"}},
            {"append": {"key_base64": "/w==", "value": "x"}},
            {"restore": {"key": "r", "revision": 2}}, write("j", " [ 1.0 ] ", json=True)])
        assert reply[1]["vesper-revision"] == "4" and "etag" not in reply[1], reply
        assert "vesper-consistency" not in reply[1], reply
        new = {"revision": 4, "create_revision": 4, "version": 1}
        old = {"key": "d/1", "value": "old", "revision": 2, "create_revision": 2, "version": 1}
        past = {"revision": 3, "create_revision": 3, "version": 1}
        assert ok(reply) == {"succeeded": True, "revision": 4, "results": [
            {"key": "a", **new}, {"key": "a", "value": "1", **new},
            {"kvs": [{"key": "a", **new},
                     {"key": "d/1", "revision": 2, "create_revision": 2, "version": 1},
                     {"key": "gone", **past}], "count": 3},
            {"deleted": 1, "revision": 4, "prev": [old]}, {"key": "d/1", "exists": False}, old,
            {"deleted": 1, "revision": 4, "prev": {"key": "gone", "value": "x", **past}},
            {"deleted": 0, "revision": 4},
            {"key": "n", "value": "-5", **new}, {"key_base64": "/w==", "value": "x", **new},
            {"deleted": 0, "revision": 4}, {"key": "j", **new}]}, reply
        assert ok(s.request("GET", "/kv/j"))["value"] == "[1.0]"
        # The history has each key once, at that revision.
        assert ok(s.request("GET", "/kv/d/1?history"))["versions"][0] == {
            "revision": 4, "deleted": True}


def test_compares_decide_which_branch_runs(binary, directory):
    with Running(binary, directory) as s:
        put(s, "a", "m")  # 2
        put(s, "d/1", "x")
        put(s, "d/2", "x")
        put(s, "d/2", "x")  # version 2
        holds = lambda **compare: run(s, [], **{"if": [compare], "else": []})["succeeded"]
        for op, less, equal, more in (("=", 0, 1, 0), ("!=", 1, 0, 1), ("<", 0, 0, 1),
                                      (">", 1, 0, 0)):
            for name, number in (("revision", 2), ("create_revision", 2), ("version", 1)):
                assert holds(key="a", op=op, **{name: number - 1}) == bool(less), (op, name)
                assert holds(key="a", op=op, **{name: str(number)}) == bool(equal), (op, name)
                assert holds(key="a", op=op, **{name: number + 1}) == bool(more), (op, name)
            for value, expected in (("a", less), ("m", equal), ("ma", more), ("z", more)):
                assert holds(key="a", op=op, value=value) == bool(expected), (op, value)
            assert holds(key="a", op=op, lease=0) == bool(equal)
            # A missing key: every number is 0, and no compare of its value holds.
            for name in ("revision", "create_revision", "version", "lease"):
                assert holds(key="no", op=op, **{name: 0}) == bool(equal), (op, name)
            assert not holds(key="no", op=op, value=""), op
            assert not holds(prefix="no/", op=op, value="x"), op
        assert holds(key="a", exists=True) and not holds(key="a", exists=False)
        assert holds(key="no", exists=False) and holds(key="no", exists=True, op="!=")
        # A range: every key of it.
        assert holds(prefix="d/", value="x") and not holds(prefix="d/", version=1)
        assert holds(start="d/", end="d/2", version=1) and holds(start="d/", version=0, op=">")
        assert holds(prefix="e/", exists=False) and holds(prefix="", exists=True)
        assert holds(end="b", value_base64=base64.b64encode(b"m").decode())
        # All of them must hold; none holds.
        both = [{"key": "a", "exists": True}, {"key": "no", "exists": True}]
        reply = run(s, [write("a")], **{"if": both, "else": [get("a")]})
        assert not reply["succeeded"] and reply["results"][0]["value"] == "m", reply
        assert run(s, [], **{"if": []}) == {"succeeded": True, "revision": 5, "results": []}
        assert run(s, [], **{"if": both}) == {"succeeded": False, "revision": 5, "results": []}


def test_nested_transactions_are_decided_before_anything_is_written(binary, directory):
    with Running(binary, directory) as s:
        inner = {"if": [{"key": "a", "exists": False}], "then": [write("b", "1"), get("a")],
                 "else": [write("c")]}
        reply = run(s, [write("a", "1"), {"txn": inner}, get("b")])
        assert reply["results"][1]["succeeded"] is True, reply
        assert reply["results"][1]["results"][1]["value"] == "1", reply
        assert reply["results"][2]["value"] == "1" and reply["revision"] == 2, reply
        deep = {"then": [write("deep", "1")]}
        for _ in range(7):
            deep = {"then": [{"txn": deep}]}
        assert run(s, [{"txn": deep}])["revision"] == 3
        once = [("Idempotency-Key", "deep")]
        first, again = (txn(s, [{"txn": deep}], "", once) for _ in range(2))
        assert first[0] == 200 and again[2] == first[2], again
        assert again[1]["vesper-replayed"] == "true", again
        problem(txn(s, [{"txn": {"then": [{"txn": deep}]}}]), 400, "invalid_field")


def test_a_key_is_written_once_on_the_path_that_runs(binary, directory):
    with Running(binary, directory) as s:
        put(s, "n", "1")
        increment = {"increment": {"key": "n"}}
        for then, field in (
                ([write("a"), write("a")], "then[1].put.key"),
                ([write("n"), increment], "then[1].increment.key"),
                ([{"txn": {"then": [increment]}}, {"max": {"key": "n", "value": 1}}],
                 "then[1].max.key"),
                ([increment, {"txn": {"then": [get("n"), {"append": {"key": "n", "value": ""}}]}}],
                 "then[1].txn.then[1].append.key"),
                ([write("a"), {"delete": {"prefix": "", "all": True}}], None),
                ([{"delete": {"key": "n"}}, increment], None),
                ([{"delete": {"start": "m"}}, {"restore": {"key": "n", "revision": 2}}], None)):
            wrong = problem(txn(s, then), 400, "invalid_field")
            assert field is None or wrong["field"] == field, wrong
            assert wrong["field"].startswith("then["), wrong
        assert status(s)["revision"] == 2
        # What the other branch writes does not count, and delete over delete is one event.
        other = {"if": [{"key": "n", "exists": True}], "then": [], "else": [increment]}
        reply = run(s, [increment, {"txn": other}])
        assert reply["results"][0]["value"] == "2", reply
        reply = run(s, [{"delete": {"key": "n"}}, {"delete": {"prefix": "n"}},
                        {"txn": {"then": [{"delete": {"key": "n", "prev": True}}]}}])
        assert [r.get("deleted") for r in reply["results"]] == [1, 0, None], reply
        assert ok(s.request("GET", "/kv/n?history"))["versions"][0] == {
            "revision": 4, "deleted": True}


def test_a_failed_operation_undoes_the_others(binary, directory):
    with Running(binary, directory) as s:
        put(s, "text", "x")
        put(s, "most", str(2**63 - 1))
        before = status(s)["digest"]
        increments = lambda key: {"txn": {"then": [{"increment": {"key": key}}]}}
        for operation, code, kind, field in (
                (increments("text"), 409, "not_an_integer", "then[1].txn.then[0].increment.key"),
                (increments("most"), 409, "out_of_range", "then[1].txn.then[0].increment.by"),
                ({"put": {"key": "no", "keep_value": True}}, 404, "key_not_found",
                 "then[1].put.key"),
                ({"restore": {"key": "text", "revision": 9}}, 400, "invalid_field",
                 "then[1].restore.revision"),
                (get("text", revision=9), 400, "invalid_field", "then[1].get.revision")):
            reply = txn(s, [write("a", "1"), operation])
            wrong = problem(reply, code, kind)
            assert wrong["field"] == field, wrong
            assert reply[1]["vesper-revision"] == "3", reply
        problem(s.request("GET", "/kv/a"), 404, "key_not_found")
        assert status(s)["digest"] == before
        ok(s.request("POST", "/compact?revision=3"))
        wrong = problem(txn(s, [get("text", revision=2)]), 410, "compacted")
        assert wrong["oldest_revision"] == 3 and wrong["field"] == "then[0].get.revision", wrong


def test_a_transaction_that_only_reads_takes_no_log_entry(binary, directory):
    with Running(binary, directory) as s:
        put(s, "a", "1")
        before = status(s)["last_index"]
        reads = [get("a"), {"get": {"prefix": ""}}, {"txn": {"then": [get("a")]}}]
        for query, level in (("", "linearizable"), ("?consistency=stale", "stale"),
                             ("?consistency=stale&max_staleness=1h&min_revision=2", "stale")):
            reply = txn(s, reads, query, [("Idempotency-Key", "ignored")])
            assert ok(reply)["results"][0]["value"] == "1"
            assert reply[1]["vesper-consistency"] == level, reply
            assert reply[1]["vesper-revision"] == "2", reply
        assert ok(txn(s, reads, "?consistency=lease"))["succeeded"]
        problem(txn(s, reads, "?consistency=stale&min_revision=3&timeout=20ms"), 503, "timeout")
        problem(txn(s, [get("a", revision=3)], "?consistency=stale&timeout=20ms"), 503, "timeout")
        assert status(s)["last_index"] == before
        # The read levels are not for a transaction that may write.
        for query in ("consistency=stale", "min_revision=1", "consistency=linearizable"):
            reply = txn(s, [get("a")], "?" + query, **{"else": [write("b")]})
            assert problem(reply, 400, "invalid_parameter")["parameter"] == query.split("=")[0]
        problem(txn(s, reads, "?max_staleness=1s"), 400, "invalid_parameter")
        problem(txn(s, reads, "?revision=2"), 400, "invalid_parameter")
        problem(txn(s, reads, "", [("If-Match", "*")]), 400, "invalid_field")


def test_a_repeated_transaction_gets_the_same_reply(binary, directory):
    with Running(binary, directory) as s:
        put(s, "a", "1")
        once = [("Idempotency-Key", "k")]
        then = [{"increment": {"key": "n"}}, {"get": {"prefix": ""}},
                {"delete": {"prefix": "a", "prev": True}}, {"txn": {"then": [get("a")]}}]
        first = txn(s, then, "", once)
        put(s, "a", "2")
        again = txn(s, then, "?timeout=1s", once)
        assert again[2] == first[2] and ok(again)["results"][0]["value"] == "1"
        assert again[1]["vesper-replayed"] == "true", again
        assert again[1]["vesper-revision"] == first[1]["vesper-revision"], again
        problem(txn(s, then[:1], "", once), 422, "idempotency_key_reused")
        refused = [("Idempotency-Key", "refused")]
        wrong = txn(s, [{"increment": {"key": "a"}}, write("a")], "", refused)
        problem(wrong, 400, "invalid_field")
        put(s, "text", "x")
        for _ in range(2):
            problem(txn(s, [{"increment": {"key": "text"}}], "", refused), 409, "not_an_integer")


def test_large_transactions_stay_within_their_bounds(binary, directory):
    with Running(binary, directory) as s:
        reply = run(s, [write("k/%04d" % i, "v" * 20) for i in range(4096)])
        assert len(reply["results"]) == 4096 and reply["revision"] == 2
        wrong = problem(txn(s, [get("a")] * 4097), 400, "invalid_field")
        assert (wrong["field"], wrong["limit"]) == ("then[4096]", 4096), wrong
        for i in range(2):
            run(s, [write("l%d/%04d" % (i, n)) for n in range(4096)])
        reply = txn(s, [{"delete": {"prefix": "l0"}}, {"delete": {"prefix": "k"}}])
        wrong = problem(reply, 413, "range_too_large")
        assert wrong["limit"] == 5000 and wrong["field"] == "then[1].delete", wrong
        once = [("Idempotency-Key", "k")]
        wrong = problem(txn(s, [{"delete": {"prefix": "k/", "prev": True}}], "", once), 413,
                        "reply_too_large")
        assert wrong["limit"] == 64 << 10, wrong
        assert status(s)["revision"] == 4
        reply = run(s, [{"get": {"prefix": "k/", "limit": 1, "separator": "9"}}])
        assert reply["results"][0]["more"] is True and reply["results"][0]["count"] == 4096
        large = "v" * (7 << 20)
        put(s, "big", large)
        wrong = problem(txn(s, [get("big"), get("big"), get("big")]), 413, "reply_too_large")
        assert wrong["field"] == "then[2].get", wrong
        reply = s.request("POST", "/txn", None, [("Content-Length", str((16 << 20) + 1))])
        assert problem(reply, 413, "body_too_large")["limit"] == 16 << 20


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], sys.argv[1]))
