"""Time to live and leases over raw sockets (docs/http-api.md): on one node, and on three. What is
accepted is tested without a server, in tests/api; when things expire under faults, in the
simulator."""

import json
import signal
import sys
import time

import harness
from test_contract import Running, problem
from test_keys import ok
from test_once import key, same_answer
from test_peers import cluster, start_all, stop_all, wait
from test_ranges import NDJSON


def get(server, target):
    return ok(server.request("GET", target))


def grant(server, ttl, *headers):
    return ok(server.request("POST", "/leases?ttl=" + ttl, None, headers))["lease"]


def gone(server, target):
    return lambda: server.request("GET", target)[0] == 404


def txn(server, then, conditions=(), target="/txn"):
    body = json.dumps({"if": list(conditions), "then": then})
    return server.request("POST", target, body)


def test_a_key_with_a_time_to_live_expires_by_itself(binary, directory):
    with Running(binary, directory) as s:
        begun = time.monotonic()
        reply = ok(s.request("PUT", "/kv/a?ttl=700ms", "1"))
        assert reply == {"key": "a", "revision": 2, "create_revision": 2, "version": 1}
        assert 0 < get(s, "/kv/a")["ttl_ms"] <= 700
        wait(gone(s, "/kv/a"), why=s.log_text)
        assert time.monotonic() - begun >= 0.7, "it expired early"
        assert get(s, "/status")["revision"] == 3, "the end of a key is a revision"
        assert get(s, "/kv/a?history")["versions"][0] == {"revision": 3, "deleted": True}
        assert ok(s.request("PUT", "/kv/a", "2"))["version"] == 1


def test_what_is_left_of_a_time_to_live_is_shown_and_falls(binary, directory):
    with Running(binary, directory) as s:
        ok(s.request("PUT", "/kv/a?ttl=1h", "1"))
        left = get(s, "/kv/a")["ttl_ms"]
        assert 0 < left <= 3600_000, left
        wait(lambda: get(s, "/kv/a")["ttl_ms"] < left)
        shown = [get(s, "/kv?keys_only")["kvs"][0],
                 json.loads(s.request("GET", "/kv?format=ndjson")[2]),
                 ok(txn(s, [{"get": {"key": "a"}}]))["results"][0],
                 ok(txn(s, [{"get": {"prefix": "a"}}]))["results"][0]["kvs"][0],
                 get(s, "/kv/a?history")["versions"][0],
                 get(s, "/kv/a?consistency=stale"),
                 ok(s.request("PUT", "/kv/a?prev", "2"))["prev"]]
        for one in shown:
            assert 0 < one["ttl_ms"] < left, shown
        assert "ttl_ms" not in get(s, "/kv/a"), "a plain PUT keeps no time to live"


def test_what_keeps_the_time_to_live_of_a_key(binary, directory):
    with Running(binary, directory) as s:
        has_ttl = lambda: "ttl_ms" in get(s, "/kv/a")
        for method, target, body in (
                ("PUT", "/kv/a?keep_ttl", "2"), ("POST", "/kv/a?increment", None),
                ("POST", "/kv/a?append", "0"), ("POST", "/kv/a?max=7", None)):
            ok(s.request("PUT", "/kv/a?ttl=1h", "1"))
            ok(s.request(method, target, body))
            assert has_ttl(), target
        ok(txn(s, [{"put": {"key": "a", "value": "3", "keep_ttl": True}}]))
        assert has_ttl()
        ok(txn(s, [{"put": {"key": "a", "keep_value": True, "ttl": "2h"}}]))
        assert get(s, "/kv/a")["ttl_ms"] > 3600_000 and get(s, "/kv/a")["value"] == "3"
        ok(txn(s, [{"put": {"key": "a", "value": "3"}}]))
        assert not has_ttl()
        for target, body in (("/kv/a", "1"), ("/kv/a?keep_ttl=0", "1")):
            ok(s.request("PUT", "/kv/a?ttl=1h", "1"))
            ok(s.request("PUT", target, body))
            assert not has_ttl(), target
        ok(s.request("PUT", "/kv/a?ttl=1h", "1"))
        ok(s.request("PUT", "/request", '{"type":"put","payload":{"key":"a","value":"1"}}'))
        assert not has_ttl(), "PUT /request"
        ok(s.request("PUT", "/kv/a?keep_ttl", "1"))
        assert not has_ttl(), "there was none to keep"


def test_a_put_with_a_time_to_live_is_its_own_request(binary, directory):
    with Running(binary, directory) as s:
        same_answer(*[s.request("PUT", "/kv/a?ttl=1h", "1", key("k")) for _ in range(2)])
        for target in ("/kv/a", "/kv/a?ttl=2h", "/kv/a?ttl=1h&fence=n:1", "/kv/a?keep_ttl"):
            problem(s.request("PUT", target, "1", key("k")), 422, "idempotency_key_reused")
        # The spelling of the duration does not matter.
        assert s.request("PUT", "/kv/a?ttl=60m", "1", key("k"))[1]["vesper-replayed"] == "true"
        refused = problem(s.request("PUT", "/kv/a?ttl=1h&lease=1", "1"), 400, "invalid_parameter")
        assert refused["parameter"] == "ttl"


def test_a_lease_is_granted_renewed_read_and_ended(binary, directory):
    with Running(binary, directory) as s:
        reply = s.request("POST", "/leases?ttl=1h")
        lease = ok(reply)
        assert set(lease) == {"lease", "ttl_ms"} and lease["ttl_ms"] == 3600_000, lease
        assert isinstance(lease["lease"], str) and int(lease["lease"]) > 0, lease
        assert reply[1]["vesper-revision"] == "1", "a grant takes no revision"
        at = "/leases/" + lease["lease"]
        for name in ("b", "a"):
            ok(s.request("PUT", "/kv/%s?lease=%s" % (name, lease["lease"]), "1"))
        assert get(s, "/kv/a")["lease"] == lease["lease"]
        ok(s.request("PUT", "/kv/a?keep_ttl", "2"))
        assert get(s, "/kv/a")["lease"] == lease["lease"]
        shown = get(s, at)
        assert 0 < shown.pop("ttl_ms") <= 3600_000
        assert shown == {"lease": lease["lease"], "granted_ttl_ms": 3600_000, "keys": 2}
        reply = s.request("PUT", at)
        assert ok(reply) == lease and reply[1]["vesper-revision"] == "4", reply
        reply = s.request("DELETE", at)
        assert ok(reply) == {"lease": lease["lease"], "deleted": 2, "revision": 5}, reply
        assert reply[1]["vesper-revision"] == "5", reply
        for name in ("a", "b"):
            problem(s.request("GET", "/kv/" + name), 404, "key_not_found")
        for method in ("GET", "PUT", "DELETE"):
            problem(s.request(method, at), 404, "lease_not_found")


def test_an_unknown_lease_is_404_at_its_path_and_409_elsewhere(binary, directory):
    with Running(binary, directory) as s:
        for name in ("7", "0", "-1", "x", "1.0", "18446744073709551616", "", "1/2", "%31"):
            for method in ("GET", "PUT", "DELETE"):
                problem(s.request(method, "/leases/" + name), 404, "lease_not_found")
        reply = s.request("PUT", "/kv/a?lease=7", "1")
        problem(reply, 409, "lease_not_found")
        assert reply[1]["vesper-revision"] == "1", reply
        refused = txn(s, [{"get": {"key": "b"}}, {"put": {"key": "a", "value": "", "lease": "7"}}])
        assert problem(refused, 409, "lease_not_found")["field"] == "then[1].put.lease"
        problem(s.request("GET", "/kv/a"), 404, "key_not_found")


def test_a_lease_that_is_not_renewed_ends_with_its_keys(binary, directory):
    with Running(binary, directory) as s:
        lease = grant(s, "600ms")
        for name in ("a", "b"):
            ok(s.request("PUT", "/kv/%s?lease=%s" % (name, lease), "1"))
        ok(s.request("PUT", "/kv/c", "1"))
        renewed = time.monotonic()
        ok(s.request("PUT", "/leases/" + lease))
        wait(gone(s, "/leases/" + lease), why=s.log_text)
        assert time.monotonic() - renewed >= 0.6, "it ended early"
        assert [one["key"] for one in get(s, "/kv")["kvs"]] == ["c"]
        assert get(s, "/status")["revision"] == 5, "the keys of a lease end in one revision"
        assert get(s, "/status")["leases"] == 0
        problem(s.request("PUT", "/leases/" + lease), 404, "lease_not_found")


def test_a_repeated_grant_is_one_lease(binary, directory):
    with Running(binary, directory) as s:
        same_answer(*[s.request("POST", "/leases?ttl=1h", None, key("k")) for _ in range(2)])
        assert get(s, "/leases")["count"] == 1
        problem(s.request("POST", "/leases?ttl=2h", None, key("k")), 422, "idempotency_key_reused")
        lease = get(s, "/leases")["leases"][0]["lease"]
        same_answer(*[s.request("DELETE", "/leases/" + lease, None, key("d")) for _ in range(2)])
        same_answer(*[s.request("DELETE", "/leases/" + lease, None, key("e")) for _ in range(2)])
        # The grant is over, and no lease is in its path.
        again = s.request("POST", "/leases?ttl=1h", None, key("k"))
        problem(again, 409, "lease_not_found")
        assert again[1]["vesper-replayed"] == "true", again


def test_leases_are_listed_in_pages(binary, directory):
    with Running(binary, directory) as s:
        assert get(s, "/leases") == {"leases": [], "count": 0, "revision": 1}
        granted = [grant(s, "1h") for _ in range(25)]
        ok(s.request("PUT", "/kv/a?lease=" + granted[3], "1"))
        seen, target = [], "/leases?limit=10"
        while target:
            page = get(s, target)
            assert page["count"] == 25 and len(page["leases"]) <= 10, page
            seen += page["leases"]
            target = page.get("next") and "/leases?limit=10&next=" + page["next"]
        assert [one["lease"] for one in seen] == granted
        assert [one["keys"] for one in seen] == [int(i == 3) for i in range(25)]
        assert all(0 < one["ttl_ms"] <= one["granted_ttl_ms"] == 3600_000 for one in seen)
        assert get(s, "/status")["leases"] == 25
        for prefix in ("1", granted[0], granted[-1], "9" * 19):
            seen, target = [], "/leases?limit=2&prefix=" + prefix
            while target:
                page = get(s, target)
                assert "count" not in page and len(page["leases"]) <= 2, page
                seen += [one["lease"] for one in page["leases"]]
                target = page.get("next")
                target = target and "/leases?limit=2&prefix=%s&next=%s" % (prefix, target)
            assert seen == [one for one in granted if one.startswith(prefix)], (prefix, seen)
        assert get(s, "/leases?prefix=")["count"] == 25
        page = get(s, "/leases?limit=10")
        for target in ("/leases?limit=11&next=" + page["next"], "/leases?limit=10&next=x",
                       "/kv?limit=10&next=" + page["next"], "/locks?limit=10&next=" + page["next"],
                       "/leases?limit=10&prefix=1&next=" + page["next"],
                       "/leases?prefix=a", "/leases?prefix=0", "/leases?prefix=-1",
                       "/leases?prefix=1a", "/leases?prefix=18446744073709551616",
                       "/leases?limit=0", "/leases?limit=10001"):
            problem(s.request("GET", target), 400, "invalid_parameter")


def test_the_number_of_leases_is_limited(binary, directory):
    with Running(binary, directory, ["--max-leases", "2"]) as s:
        assert get(s, "/status")["limits"]["leases"] == 2
        first, _ = grant(s, "1h"), grant(s, "1h")
        refused = s.request("POST", "/leases?ttl=1h", None, key("k"))
        assert problem(refused, 429, "overloaded")["limit"] == 2
        ok(s.request("DELETE", "/leases/" + first))
        assert ok(s.request("POST", "/leases?ttl=1h", None, key("k"))), "a 429 is not kept"


def test_every_write_of_keys_can_be_fenced(binary, directory):
    with Running(binary, directory) as s:
        token = ok(s.request("POST", "/locks/a%2Fb:c?ttl=1h"))["token"]
        writes = (("PUT", "/kv/a?", "1", ()), ("PUT", "/kv/a?prev&ttl=1h&", "1", ()),
                  ("POST", "/kv/n?increment&", None, ()), ("POST", "/kv/a?append&", "1", ()),
                  ("POST", "/kv/a?restore=%d&" % (token + 1), None, ()),
                  ("DELETE", "/kv/a?", None, ()), ("DELETE", "/kv?prefix=n&", None, ()),
                  ("POST", "/kv?", '{"key":"a","value":"1"}\n', [NDJSON]),
                  ("POST", "/txn?", '{"then":[{"put":{"key":"a","value":"1"}}]}', ()))
        for method, target, body, headers in writes:
            before = get(s, "/status")["revision"]
            fence = target + "fence=a/b:c:%d" % token
            status, _, answer = s.request(method, fence, body, headers)
            assert status == 200, (fence, answer)
            assert get(s, "/status")["revision"] == before + 1, fence
            for other, present in (("a/b:c:%d" % (token + 100), token), ("free:%d" % token, None)):
                refused = problem(s.request(method, target + "fence=" + other, body, headers),
                                  412, "fenced")
                assert refused.get("token") == present, (target, refused)
            assert get(s, "/status")["revision"] == before + 1, "a fenced write changed something"
        refused = txn(s, [{"get": {"key": "a"}}], (), "/txn?fence=a/b:c:%d" % token)
        assert problem(refused, 400, "invalid_parameter")["parameter"] == "fence"
        # A retry gets the same answer; another fence is another request.
        fence = "/kv/k?fence=a/b:c:%d" % token
        same_answer(*[s.request("PUT", fence, "1", key("k")) for _ in range(2)])
        problem(s.request("PUT", "/kv/k", "1", key("k")), 422, "idempotency_key_reused")
        # The end of a lease deletes its keys.
        lease = grant(s, "1h")
        ok(s.request("PUT", "/kv/leased?lease=" + lease, "1"))
        end = "/leases/%s?fence=" % lease
        assert problem(s.request("DELETE", end + "a/b:c:7"), 412, "fenced")["token"] == token
        assert get(s, "/kv/leased")["lease"] == lease
        problem(s.request("PUT", end + "a/b:c:%d" % token), 400, "invalid_parameter")
        assert ok(s.request("DELETE", end + "a/b:c:%d" % token))["deleted"] == 1
        ok(s.request("DELETE", "/locks/a/b:c?token=%d" % token))
        problem(s.request("PUT", fence, "2"), 412, "fenced")


def test_leases_and_times_to_live_survive_a_kill_and_a_change_of_leader(binary, directory):
    servers = cluster(binary, directory, 3)
    start_all(servers)
    try:
        follower = lambda: next(s for s in servers if s.process.poll() is None and
                                get(s, "/status")["role"] == "follower")
        lease = grant(follower(), "1h")
        ok(follower().request("PUT", "/kv/a?lease=" + lease, "1"))
        ok(follower().request("PUT", "/kv/b?ttl=1h", "1"))
        ok(follower().request("PUT", "/kv/c?ttl=1s", "1"))
        leader = next(s for s in servers if get(s, "/status")["role"] == "leader")
        leader.stop(signal.SIGKILL)
        other = next(s for s in servers if s is not leader)
        # Not: less than before. The next leader goes on from the last stamp of the clock that it
        # has seen, and time without a leader does not count.
        assert 3_500_000 < get(other, "/kv/b")["ttl_ms"] <= 3_600_000
        assert get(other, "/kv/a")["lease"] == lease
        leader.start()
        wait(gone(leader, "/kv/c"), why=leader.log_text)
        for s in servers:
            assert get(s, "/leases/" + lease)["keys"] == 1
        ok(leader.request("DELETE", "/leases/" + lease))
        for s in servers:
            problem(s.request("GET", "/kv/a"), 404, "key_not_found")
    finally:
        stop_all(servers)


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], sys.argv[1]))
