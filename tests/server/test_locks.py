"""Locks and elections over raw sockets (docs/http-api.md): on one node, and on three. What is
accepted is tested without a server, in tests/api; safety under faults in the simulator."""

import json
import signal
import sys
import time

import harness
from test_contract import Running, problem
from test_keys import ok
from test_leases import get
from test_once import key, same_answer
from test_peers import cluster, start_all, stop_all, wait


def acquire(server, name="n", query="?ttl=1h", body=None, headers=()):
    return ok(server.request("POST", "/locks/" + name + query, body, headers))["token"]


def release(server, token, name="n"):
    return ok(server.request("DELETE", "/locks/%s?token=%d" % (name, token)))["released"]


class Waiter:
    """A request that waits for a lock, on a connection of its own."""

    def __init__(self, server, target="/locks/n?ttl=1h&wait=30s", body=None, headers=()):
        self.connection = server.connect(40)
        self.connection.send_request("POST", target, body, headers)

    def answer(self):
        try:
            return self.connection.read_reply()
        finally:
            self.hang_up()

    def hang_up(self):
        self.connection.socket.close()


def queue_of(server, count, target="/locks/n"):
    """The places, once there are as many as these."""
    def state():
        shown = get(server, target)
        return shown if shown["waiters"] == len(shown["queue"]) == count else None
    return wait(state, why=lambda: str(get(server, target)))["queue"]


def test_a_lock_is_granted_kept_shown_and_released(binary, directory):
    with Running(binary, directory) as s:
        assert get(s, "/locks/n") == {"lock": "n", "queue": [], "waiters": 0, "revision": 1}
        reply = s.request("POST", "/locks/n")
        assert ok(reply) == {"token": 2, "ttl_ms": 15000}, reply
        assert reply[1]["vesper-revision"] == "2", "a grant is a revision"
        shown = get(s, "/locks/n")
        assert 0 < shown["holder"].pop("ttl_ms") <= 15000
        assert shown == {"lock": "n", "holder": {"token": 2}, "queue": [], "waiters": 0,
                         "revision": 2}, shown
        reply = s.request("PUT", "/locks/n?token=2")
        assert ok(reply) == {"token": 2, "ttl_ms": 15000}, reply
        assert reply[1]["vesper-revision"] == "2", "a renewal is none"
        for method in ("PUT", "DELETE"):
            refused = problem(s.request(method, "/locks/n"), 400, "invalid_parameter")
            assert refused["parameter"] == "token", refused
        reply = s.request("DELETE", "/locks/n?token=2")
        assert ok(reply) == {"released": True} and reply[1]["vesper-revision"] == "3", reply
        assert not release(s, 2) and not release(s, 77)
        assert problem(s.request("PUT", "/locks/n?token=2"), 412, "lock_lost").get("token") is None
        assert acquire(s) == 4, "the next token is larger"
        problem(s.request("GET", "/kv/n"), 404, "key_not_found")
        # A body is dropped.
        assert acquire(s, "other", "?ttl=1h", "value") == 5


def test_a_busy_lock_names_the_token_of_its_holder(binary, directory):
    with Running(binary, directory) as s:
        token = acquire(s)
        begun = time.monotonic()
        assert problem(s.request("POST", "/locks/n"), 409, "lock_busy")["token"] == token
        refused = s.request("PUT", "/locks/n?token=%d" % (token + 1))
        assert problem(refused, 412, "lock_lost")["token"] == token
        assert not release(s, token + 1)
        assert problem(s.request("POST", "/locks/n?wait=300ms"), 409, "lock_busy")["token"] == token
        assert time.monotonic() - begun >= 0.3, "it did not wait"
        assert get(s, "/locks/n")["waiters"] == 0


def test_names_are_like_those_of_keys(binary, directory):
    with Running(binary, directory) as s:
        for kind, member in (("/locks/", "lock"), ("/elections/", "election")):
            for name in ("a/b:c", "a%20b", "+", "%00", "x" * 4096):
                ok(s.request("POST", kind + name, ""))
            ok(s.request("POST", kind + "%ff", ""))
            assert get(s, kind + "%FF")[member + "_base64"] == "/w=="
            for name in ("", "x" * 4097, "x" * 5000):
                problem(s.request("POST", kind + name, ""), 400, "invalid_key")
            problem(s.request("POST", kind + "%f", ""), 400, "malformed")


def test_waiters_are_granted_the_lock_in_the_order_in_which_they_came(binary, directory):
    with Running(binary, directory) as s:
        token = acquire(s)
        waiters = []
        for i in range(5):
            waiters.append(Waiter(s))
            places = queue_of(s, i + 1)
        assert [p["place"] for p in places] == sorted(p["place"] for p in places)
        assert get(s, "/status")["lock_waiters"] == 5
        for left, waiter in zip(range(4, -1, -1), waiters):
            assert release(s, token)
            reply = waiter.answer()
            granted = ok(reply)
            assert granted["ttl_ms"] == 3600_000 and granted["token"] > token, granted
            assert reply[1]["vesper-revision"] == str(granted["token"]), reply
            assert get(s, "/locks/n")["holder"]["token"] == granted["token"]
            assert get(s, "/locks/n")["waiters"] == left, "one grant wakes one waiter"
            token = granted["token"]
        assert release(s, token)
        assert "holder" not in get(s, "/locks/n")


def test_a_waiter_that_hangs_up_leaves_the_queue(binary, directory):
    with Running(binary, directory) as s:
        token = acquire(s)
        first = Waiter(s)
        queue_of(s, 1)
        second = Waiter(s)
        queue_of(s, 2)
        first.hang_up()
        queue_of(s, 1)
        assert release(s, token)
        assert ok(second.answer())["token"] == get(s, "/locks/n")["holder"]["token"]


def test_ten_thousand_waiters_that_hang_up_at_once(binary, directory):
    count = 10_000
    with Running(binary, directory, ["--max-connections", str(count + 100)]) as s:
        token = acquire(s)
        clients = [s.connect() for _ in range(count)]
        request = b"POST /locks/n?ttl=1h&wait=10m HTTP/1.1\r\nHost: x\r\n\r\n"
        for c in clients:
            c.send(request)
        wait(lambda: get(s, "/status")["waiters"] == count, 30, s.log_text)
        assert get(s, "/locks/n")["waiters"] == count
        problem(s.request("POST", "/locks/n?wait=1s"), 429, "overloaded")
        for c in clients:
            c.socket.close()
        ok(s.request("PUT", "/kv/a", "served meanwhile"))
        wait(lambda: get(s, "/status")["waiters"] == get(s, "/locks/n")["waiters"] == 0, 30,
             s.log_text)
        assert release(s, token)
        assert "holder" not in get(s, "/locks/n"), "none of them has it"
        assert acquire(s) > token


def test_a_holder_that_does_not_renew_is_followed_by_the_next_waiter(binary, directory):
    with Running(binary, directory) as s:
        begun = time.monotonic()
        token = acquire(s, "n", "?ttl=500ms")
        waiter = Waiter(s)
        granted = ok(waiter.answer())["token"]
        assert time.monotonic() - begun >= 0.5, "it was granted early"
        assert granted > token
        assert problem(s.request("PUT", "/locks/n?token=%d" % token), 412,
                       "lock_lost")["token"] == granted
        assert not release(s, token)
        fence = "/kv/a?fence=n:%d"
        assert problem(s.request("PUT", fence % token, "late"), 412, "fenced")["token"] == granted
        ok(s.request("PUT", fence % granted, "1"))
        # Without a waiter it becomes free.
        last = acquire(s, "other", "?ttl=100ms")
        wait(lambda: "holder" not in get(s, "/locks/other"), why=s.log_text)
        problem(s.request("PUT", "/locks/other?token=%d" % last), 412, "lock_lost")


def test_a_repeated_request_keeps_the_lock_or_the_place(binary, directory):
    with Running(binary, directory) as s:
        ask = lambda wait="": s.request("POST", "/locks/n?ttl=1h" + wait, None, key("k"))
        token = ok(ask())["token"]
        again = ask("&wait=1s&timeout=1s")
        assert ok(again)["token"] == token and again[1]["vesper-replayed"] == "true", again
        assert 0 < ok(again)["ttl_ms"] <= 3600_000
        problem(s.request("POST", "/locks/n?ttl=2h", None, key("k")), 422, "idempotency_key_reused")
        # A waiter comes back to its place.
        waiter = Waiter(s, headers=key("w"))
        place = queue_of(s, 1)[0]
        other = Waiter(s)
        queue_of(s, 2)
        waiter.hang_up()
        again = Waiter(s, headers=key("w"))
        assert queue_of(s, 2)[0] == place
        assert release(s, token)
        granted = ok(again.answer())["token"]
        assert granted == get(s, "/locks/n")["holder"]["token"]
        assert get(s, "/locks/n")["waiters"] == 1
        # A grant that has lapsed is not given again.
        problem(ask(), 412, "lock_lost")
        assert release(s, granted)
        ok(other.answer())
        # A late retry does not set the value of an election again.
        token = ok(s.request("POST", "/elections/e?ttl=1h", "one"))["token"]
        renew = lambda value: s.request("PUT", "/elections/e?token=%d" % token, value, key(value))
        first = renew("A")
        assert ok(first) == ok(renew("B")) == {"token": token, "ttl_ms": 3600_000}
        same_answer(first, renew("A"))
        assert get(s, "/elections/e")["holder"]["value"] == "B"
        busy = [s.request("POST", "/locks/n", None, key("busy")) for _ in range(2)]
        same_answer(*busy)
        problem(busy[0], 409, "lock_busy")


def pipeline(connection, *requests):
    for method, target, body in requests:
        connection.send_request(method, target, body)


def test_what_is_pipelined_after_a_waiting_request_begins_when_that_is_answered(binary, directory):
    with Running(binary, directory) as s, s.connect(40) as c, s.connect() as other:
        token = acquire(s)
        acquire(s, "m", "?ttl=700ms")
        # The write begins late, and yet has its time.
        pipeline(c, ("PUT", "/kv/a", "first"), ("POST", "/locks/n?ttl=1h&wait=30s", None),
                 ("PUT", "/kv/a?timeout=10ms", "second"), ("GET", "/kv/a", None),
                 ("POST", "/locks/m?ttl=1h&wait=30s", None), ("PUT", "/kv/b", "third"))
        queue_of(s, 1)
        assert ok(c.read_reply())["version"] == 1
        # Neither other connections nor this one's later requests take effect before their turn.
        other.send_request("PUT", "/kv/c", "other")
        ok(other.read_reply())
        assert get(s, "/kv/a")["value"] == "first"
        problem(s.request("GET", "/kv/b"), 404, "key_not_found")
        assert get(s, "/status")["waiters"] == 1
        wait(lambda: "holder" not in get(s, "/locks/m"), why=s.log_text)
        assert release(s, token)
        revisions = [ok(c.read_reply())["token"]]
        revisions.append(ok(c.read_reply())["revision"])
        read = ok(c.read_reply())
        assert (read["value"], read["version"]) == ("second", 2), read
        revisions.append(ok(c.read_reply())["token"])
        revisions.append(ok(c.read_reply())["revision"])
        assert revisions == sorted(revisions), revisions
        # A long poll holds what follows, too.
        pipeline(c, ("GET", "/kv/a?wait=30s", None), ("PUT", "/kv/a", "fourth"))
        wait(lambda: get(s, "/status")["waiters"] == 1)
        ok(s.request("PUT", "/kv/a", "third"))
        assert ok(c.read_reply())["value"] == "third"
        assert ok(c.read_reply())["version"] == 4


def test_what_follows_a_waiting_request_is_dropped_if_the_client_hangs_up(binary, directory):
    with Running(binary, directory) as s:
        token = acquire(s)
        with s.connect() as c:
            pipeline(c, ("POST", "/locks/n?wait=30s", None), ("PUT", "/kv/a", "1"))
            queue_of(s, 1)
        queue_of(s, 0)
        assert release(s, token)
        problem(s.request("GET", "/kv/a"), 404, "key_not_found")
        # A node that is asked to stop refuses it.
        acquire(s)
        with s.connect() as c:
            pipeline(c, ("POST", "/locks/n?wait=30s", None), ("PUT", "/kv/a", "1"))
            queue_of(s, 1)
            s.process.send_signal(signal.SIGTERM)
            problem(c.read_reply(), 504, "outcome_unknown")
            problem(c.read_reply(), 503, "shutting_down")


def test_a_place_whose_client_does_not_come_back_lapses(binary, directory):
    with Running(binary, directory) as s:
        acquire(s)
        waiter = Waiter(s, headers=key("w"))
        queue_of(s, 1)
        waiter.hang_up()
        queue_of(s, 0)


def test_the_numbers_of_locks_and_waiters_are_limited(binary, directory):
    with Running(binary, directory, ["--max-locks", "2", "--max-waiters", "1"]) as s:
        limits = get(s, "/status")["limits"]
        assert (limits["locks"], limits["waiters"]) == (2, 1)
        token = acquire(s)
        ok(s.request("POST", "/elections/n?ttl=1h", "me"))
        assert get(s, "/status")["locks"] == 2
        assert problem(s.request("POST", "/locks/m"), 429, "overloaded")["limit"] == 2
        waiter = Waiter(s)
        queue_of(s, 1)
        problem(s.request("POST", "/locks/n?wait=1s"), 429, "overloaded")
        assert release(s, token)
        ok(waiter.answer())


def test_an_election_is_a_lock_with_a_value(binary, directory):
    with Running(binary, directory) as s:
        at = "/elections/n"
        assert get(s, at) == {"election": "n", "queue": [], "waiters": 0, "revision": 1}
        first = ok(s.request("POST", at + "?ttl=1h", "http://a"))
        assert first == {"token": 2, "ttl_ms": 3600_000}
        second = Waiter(s, at + "?ttl=1h&wait=30s", b"\xff")
        queue_of(s, 1, at)
        shown = get(s, at)
        assert shown["holder"].pop("ttl_ms") > 0
        assert shown["holder"] == {"token": 2, "value": "http://a"}, shown
        assert problem(s.request("POST", at, "x"), 409, "lock_busy")["token"] == 2
        reply = s.request("PUT", at + "?token=2", "http://b")
        assert ok(reply) == first and reply[1]["vesper-revision"] == "3", reply
        for body in (None, "", "http://b"):
            reply = s.request("PUT", at + "?token=2", body)
            assert ok(reply) == first and reply[1]["vesper-revision"] == "3", reply
        assert get(s, at)["holder"]["value"] == "http://b"
        ok(s.request("PUT", "/kv/a?fence=n:2", "1"))
        assert ok(s.request("DELETE", at + "?token=2")) == {"released": True}
        token = ok(second.answer())["token"]
        assert get(s, at)["holder"]["token"] == token
        assert get(s, at)["holder"]["value_base64"] == "/w=="
        problem(s.request("PUT", at + "?token=2", "late"), 412, "lock_lost")
        problem(s.request("PUT", at + "?token=%d" % token, "v" * 4097), 413, "value_too_large")
        ok(s.request("PUT", at + "?token=%d" % token, "v" * 4096))
        # A lock of the same name is another one.
        assert "holder" not in get(s, "/locks/n")
        acquire(s)
        # The value is a part of the request.
        ok(s.request("POST", "/elections/m", "a", key("k")))
        problem(s.request("POST", "/elections/m", "b", key("k")), 422, "idempotency_key_reused")


def test_a_transaction_compares_the_holder_of_a_lock(binary, directory):
    with Running(binary, directory) as s:
        token = acquire(s)
        for held, succeeded in ((token, True), (token + 1, False)):
            body = json.dumps({"if": [{"lock": "n", "token": held}],
                               "then": [{"increment": {"key": "a"}}],
                               "else": [{"get": {"key": "a"}}]})
            assert ok(s.request("POST", "/txn", body))["succeeded"] is succeeded
        read = json.dumps({"if": [{"lock": "n", "token": token}], "then": []})
        assert ok(s.request("POST", "/txn", read))["succeeded"] is True
        release(s, token)
        assert ok(s.request("POST", "/txn", read))["succeeded"] is False


def test_locks_and_elections_are_listed_in_pages(binary, directory):
    with Running(binary, directory) as s:
        assert get(s, "/locks") == {"locks": [], "count": 0, "revision": 1}
        names = ["a"] + ["n/%02d" % i for i in range(25)] + ["z"]
        for name in names:
            acquire(s, name)
            ok(s.request("POST", "/elections/%s?ttl=1h" % name, "value of " + name))
        ok(s.request("POST", "/elections/n/%FF?ttl=1h", ""))
        released = get(s, "/locks/a")["holder"]["token"]
        release(s, released, "a")
        waiter = Waiter(s, "/locks/n/03?wait=30s")
        queue_of(s, 1, "/locks/n/03")
        for one in ("lock", "election"):
            path, all_ = "/%ss" % one, one + "s"
            seen, target = [], path + "?prefix=n/&limit=10"
            expected = names[1:26] + ([None] if one == "election" else [])
            while target:
                page = get(s, target)
                assert page["count"] == len(expected) and len(page[all_]) <= 10, page
                seen += page[all_]
                target = page.get("next") and path + "?prefix=n/&limit=10&next=" + page["next"]
            assert [entry.get(one) for entry in seen] == expected, seen
            assert all(entry["token"] > 1 and entry["ttl_ms"] > 0 for entry in seen)
            waiting = [entry.get(one) for entry in seen if entry["waiters"] == 1]
            assert waiting == (["n/03"] if one == "lock" else []), seen
        assert seen[-1] == {**seen[-1], "election_base64": "bi//", "value": ""}, seen[-1]
        assert seen[0]["value"] == "value of n/00"
        assert get(s, "/locks")["count"] == 26, "a lock that is free is not listed"
        page = get(s, "/locks?prefix=n/&limit=10")
        for target in ("/locks?limit=10&next=", "/locks?prefix=n/&limit=9&next=",
                       "/elections?prefix=n/&limit=10&next="):
            problem(s.request("GET", target + page["next"]), 400, "invalid_parameter")
        waiter.hang_up()


def leader_and_followers(servers):
    leader = wait(lambda: next((s for s in servers if get(s, "/status")["role"] == "leader"), None))
    return leader, [s for s in servers if s is not leader]


def test_a_waiter_on_a_follower_is_served_over_a_change_of_leader(binary, directory):
    servers = cluster(binary, directory, 3)
    start_all(servers)
    try:
        leader, (a, b) = leader_and_followers(servers)
        token = acquire(a)
        first = Waiter(b)
        queue_of(a, 1)
        second = Waiter(a)
        queue_of(b, 2)
        assert release(leader, token)
        token = ok(first.answer())["token"]
        assert get(a, "/locks/n")["holder"]["token"] == token
        leader.stop(signal.SIGKILL)
        assert get(a, "/locks/n")["waiters"] == 1, "its node keeps its place"
        assert release(b, token)
        token = ok(second.answer())["token"]
        assert get(b, "/locks/n")["holder"]["token"] == token
        leader.start()
        assert get(leader, "/locks/n")["holder"]["token"] == token
    finally:
        stop_all(servers)


def test_the_places_of_a_killed_node_lapse(binary, directory):
    servers = cluster(binary, directory, 3)
    start_all(servers)
    try:
        leader, (a, b) = leader_and_followers(servers)
        token = acquire(leader)
        lost = Waiter(a)
        queue_of(leader, 1)
        kept = Waiter(b)
        queue_of(leader, 2)
        a.stop(signal.SIGKILL)
        queue_of(leader, 1)
        assert release(leader, token)
        assert ok(kept.answer())["token"] == get(leader, "/locks/n")["holder"]["token"]
        lost.hang_up()
    finally:
        stop_all(servers)


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], sys.argv[1]))
