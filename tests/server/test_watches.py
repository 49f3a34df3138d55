"""Watches and long polls of one node over raw sockets (docs/http-api.md)."""

import json
import os
import resource
import select
import signal
import socket
import sys
import threading
import time

import harness
from harness import Server, free_ports, memory
from test_contract import Running, problem
from test_peers import status, wait
import watching

LINES = ("Accept", "application/x-ndjson")


def watch(server, query="", headers=()):
    return watching.Watch(server.port, query, headers)


def put(server, key, value="v", query=""):
    status, _, body = server.request("PUT", "/kv/" + key + query, value)
    assert status == 200, body
    return json.loads(body)["revision"]


def txn(server, *then):
    status, _, body = server.request("POST", "/txn", json.dumps({"then": list(then)}))
    assert status == 200, body
    return json.loads(body)["revision"]


def test_events_come_as_they_are_committed(binary, directory):
    with Running(binary, directory) as s, watch(s, "?prefix=a/&key=b") as w:
        assert w.status == 200 and w.fields["content-type"] == "text/event-stream", w.fields
        assert w.fields["vary"] == "Accept" and w.fields["cache-control"] == "no-store", w.fields
        assert w.fields["vesper-revision"] == "1", w.fields
        first = w.block()
        assert first == {"comment": "keep-alive", "id": "1"}, first
        put(s, "a/1", "x")
        put(s, "c")
        put(s, "b", b"\xff\n")
        s.request("DELETE", "/kv/a/1")
        assert w.event() == ("put", "2", {"type": "put", "key": "a/1", "value": "x", "revision": 2,
                                          "create_revision": 2, "version": 1})
        assert w.event() == ("put", "4", {"type": "put", "key": "b", "value_base64": "/wo=",
                                          "revision": 4, "create_revision": 4, "version": 1})
        assert w.event() == ("delete", "5", {"type": "delete", "key": "a/1", "revision": 5})


def test_a_transaction_is_never_torn(binary, directory):
    with Running(binary, directory) as s:
        put(s, "a")
        revision = txn(s, {"put": {"key": "b", "value": "1"}}, {"delete": {"key": "a"}},
                       {"put": {"key": "x", "value": ""}}, {"put": {"key": "c", "value": "2"}})
        put(s, "d")
        with watch(s, "?key=a&key=b&key=c&key=d&prev&since=2") as w:
            events = w.events(4)
        ids = ["%d.1" % revision, "%d.2" % revision, str(revision), str(revision + 1)]
        assert [e[1] for e in events] == ids, events
        assert [e[2].get("more") for e in events] == [True, True, None, None], events
        assert events[1][2]["prev"]["value"] == "v" and "prev" not in events[0][2], events
        for i, last in enumerate(ids[:-1]):
            with watch(s, "?key=a&key=b&key=c&key=d&prev", [("Last-Event-ID", last)]) as w:
                assert w.events(3 - i) == events[i + 1:], last
            with watch(s, "?key=a&key=b&key=c&key=d&prev&since=" + last) as w:
                assert w.events(3 - i) == events[i + 1:], last


def test_lines_have_the_same_objects(binary, directory):
    with Running(binary, directory) as s:
        put(s, "a")
        txn(s, {"put": {"key": "a", "value": "1"}}, {"put": {"key": "b", "value": "2"}})
        for query, headers in (("?initial&format=ndjson", ()), ("?initial", (LINES,))):
            with watch(s, query, headers) as w:
                assert w.fields["content-type"] == "application/x-ndjson", w.fields
                assert ("vary" in w.fields) == (query == "?initial"), w.fields
                assert [w.line() for _ in range(3)] == [
                    {"type": "put", "key": "a", "value": "1", "revision": 3, "create_revision": 2,
                     "version": 2},
                    {"type": "put", "key": "b", "value": "2", "revision": 3, "create_revision": 3,
                     "version": 1},
                    {"type": "synced", "revision": 3}]
        with watch(s, "?since=2&format=ndjson") as w:
            first, second = w.line(), w.line()
            assert (first["part"], first["more"], first["revision"]) == (1, True, 3), first
            assert "part" not in second and "more" not in second, second


def test_the_present_state_comes_before_events(binary, directory):
    with Running(binary, directory) as s:
        for key in ("a/1", "a/2", "b"):
            put(s, key)
        with watch(s, "?prefix=a/&initial") as w:
            assert [(e[0], e[1], e[2].get("key")) for e in w.events(3)] == [
                ("put", None, "a/1"), ("put", None, "a/2"), ("synced", "4", None)]
            put(s, "a/3")
            assert w.event()[:2] == ("put", "5")
        # Last-Event-ID is stronger.
        with watch(s, "?prefix=a/&initial", [("Last-Event-ID", "4")]) as w:
            assert w.event()[:2] == ("put", "5")
        with watch(s, "?prefix=a/&since=1", [("Last-Event-ID", "4")]) as w:
            assert w.event()[:2] == ("put", "5")


def test_kinds_of_events(binary, directory):
    with Running(binary, directory) as s:
        put(s, "a")
        s.request("DELETE", "/kv/a")
        put(s, "a")
        with watch(s, "?since=0&events=put") as w:
            assert [e[:2] for e in w.events(2)] == [("put", "2"), ("put", "4")]
        with watch(s, "?since=0&events=delete&prev") as w:
            event = w.event()
            assert event[:2] == ("delete", "3") and event[2]["prev"]["version"] == 1, event


def test_a_large_value_arrives_whole_and_a_reader_that_does_not_read_costs_no_memory(
        binary, directory):
    with Running(binary, directory) as s:
        value = ("x\u00e9\"\n" * (1 << 20))[:3 << 20]
        watches = [watch(s, "?key=k") for _ in range(20)]
        for w in watches:
            w.block()
        put(s, "k", value.encode())
        assert watches[0].event()[2]["value"] == value
        before = memory(s)
        put(s, "k", value.encode() + b"\xff")
        assert "value_base64" in watches[0].event()[2]
        assert memory(s) - before < 30 << 20, (memory(s), before)
        for w in watches:
            w.close()


def test_history_that_is_gone_means_reset(binary, directory):
    with Running(binary, directory) as s:
        for i in range(9):
            put(s, "k", str(i))
        assert s.request("POST", "/compact?revision=8")[0] == 200
        with watch(s, "?key=k&since=7") as w:
            assert [e[1] for e in w.events(3)] == ["8", "9", "10"]
        revision = 10
        for query, headers in (("?key=k&since=6", ()), ("?key=k", [("Last-Event-ID", "7.1")]),
                               ("?key=k&since=99999", ())):
            with watch(s, query, headers) as w:
                reset, state, synced = w.events(3)
                assert reset == ("reset", None, {"revision": revision}), reset
                assert state[:2] == ("put", None) and state[2]["value"] == "8", state
                assert synced == ("synced", str(revision), {"revision": revision}), synced
                revision = put(s, "k", "8")
                assert w.event()[:2] == ("put", str(revision))
        with watch(s, "?key=k&since=99999") as w:
            assert w.event()[0] == "reset"


def test_a_client_that_does_not_read_is_cut_off_as_too_slow(binary, directory):
    with Running(binary, directory) as s:
        slow, idle = watch(s, "?prefix=k&since=1"), watch(s, "?key=other")
        idle.block()
        for i in range(60):
            put(s, "k%d" % (i % 3), "v" * 400_000)  # more than all buffers hold
        revision = json.loads(s.request("GET", "/kv?count_only")[2])["revision"]
        assert s.request("POST", "/compact?revision=%d" % revision)[0] == 200
        seen = []
        while True:
            kind, number, data = slow.event()
            if kind == "closed":
                break
            seen.append(int(number))
        assert data["code"] == "too_slow", data
        assert seen == list(range(2, 2 + len(seen))) and len(seen) < 60, seen
        try:
            slow.event()
            raise AssertionError("the stream goes on")
        except EOFError:
            pass
        with watch(s, "?prefix=k", [("Last-Event-ID", slow.last_id)]) as again:
            assert again.event()[0] == "reset"
        put(s, "other")
        assert idle.event()[0] == "put"
        page = s.request("GET", "/metrics")[2].decode()
        assert "\nvesper_watch_too_slow_total 1\n" in page, page
        assert "\nvesper_watch_resets_total 1\n" in page, page


def test_bad_requests(binary, directory):
    with Running(binary, directory, flags=["--max-watch-filters", "5"]) as s:
        for query, name in (("?since=-1", "since"), ("?since=7.0", "since"), ("?since=", "since"),
                            ("?since=7.", "since"), ("?since=9007199254740992", "since"),
                            ("?initial=2", "initial"), ("?events=all", "events"),
                            ("?format=json", "format"), ("?key=", "key"), ("?lock=", "lock"),
                            ("?key=" + "k" * 4097, "key"), ("?start=a", "start"),
                            ("?initial&since=3", "initial"), ("?wait=3s", "wait"),
                            ("?since=1&since=2", "since"), ("?timeout=1s", "timeout"),
                            ("?" + "&".join("key=k%d" % i for i in range(6)), "key")):
            value = problem(s.request("GET", "/watch" + query), 400, "invalid_parameter")
            assert value["parameter"] == name, (query, value)
        value = problem(s.request("GET", "/watch?" + "&".join(["key=a"] * 6)), 400,
                        "invalid_parameter")
        assert value["limit"] == 5, value
        for header in ("x", "7.", ".1", "7.2.3", "", "-1", "99999999999999999999"):
            value = problem(s.request("GET", "/watch", None, [("Last-Event-ID", header)]), 400,
                            "invalid_field")
            assert value["field"] == "Last-Event-ID", value
        problem(s.request("GET", "/watch", None, [("If-None-Match", '"1"')]), 400, "invalid_field")
        problem(s.request("POST", "/watch", ""), 405, "method_not_allowed")
        assert s.request("HEAD", "/watch")[0] == 405
        assert s.request("OPTIONS", "/watch")[1]["allow"] == "GET, OPTIONS"
        problem(s.request("GET", "/watch?" + "&".join("key=%d" % i for i in range(10_000))), 414,
                "uri_too_long")
        for query, name in (("?wait=0ms", "wait"), ("?wait=11m", "wait"), ("?wait=5", "wait"),
                            ("?since=3", "since"), ("?wait=1s&since=x", "since"),
                            ("?wait=1s&revision=2", "wait")):
            for path in ("/kv/k", "/kv"):
                value = problem(s.request("GET", path + query), 400, "invalid_parameter")
                assert value["parameter"] == name, (query, value)
        problem(s.request("GET", "/kv/k?wait=1s&history"), 400, "invalid_parameter")


def test_limits_are_flags_and_shown(binary, directory):
    flags = ["--max-watchers", "2", "--max-watch-filters", "7", "--max-waiters", "1"]
    with Running(binary, directory, flags=flags) as s:
        limits = status(s)["limits"]
        assert (limits["watchers"], limits["watch_filters"], limits["waiters"]) == (2, 7, 1)
        assert limits["all_watch_filters"] == 200, limits
        first = watch(s)
        with watch(s), watch(s) as third:
            assert third.status == 429 and third.problem["code"] == "overloaded", third.problem
            assert third.problem["limit"] == 2, third.problem
            first.close()
            wait(lambda: status(s)["watchers"] == 1, 20, s.log_text)
            with watch(s) as fourth:
                assert fourth.status == 200
        with s.connect() as c:
            c.send_request("GET", "/kv/k?wait=10m")
            wait(lambda: status(s)["waiters"] == 1, 20, s.log_text)
            problem(s.request("GET", "/kv/k?wait=1s"), 429, "overloaded")


def test_the_filters_of_all_watches_have_a_limit(binary, directory):
    flags = ["--max-watchers", "4", "--max-watch-filters", "1000"]
    with Running(binary, directory, flags=flags) as s:
        assert status(s)["limits"]["all_watch_filters"] == 400
        query = "?" + "&".join("key=%d" % i for i in range(500))
        # The first watch may have as many as one watch may have.
        with watch(s, query) as first, watch(s, "?key=a") as second:
            assert first.status == 200
            assert second.status == 429, second.status
            assert second.problem["limit"] == 400 and "filters" in second.problem["detail"]
        wait(lambda: status(s)["watchers"] == 0, 20, s.log_text)
        with watch(s, "?key=a") as second:
            assert second.status == 200


def test_long_polls(binary, directory):
    with Running(binary, directory) as s:
        revision = put(s, "k")
        code, fields, body = s.request("GET", "/kv/k?wait=20ms")
        assert (code, body, fields["vesper-revision"]) == (304, b"", str(revision)), fields
        code, fields, _ = s.request("GET", "/kv?prefix=z&wait=20ms&since=%d" % revision)
        assert (code, fields["vesper-consistency"]) == (304, "linearizable"), fields
        # What has changed already is answered at once.
        assert s.request("GET", "/kv/k?wait=10m&since=1")[0] == 200
        assert s.request("GET", "/kv?wait=10m&since=%d&count_only" % (revision - 1))[0] == 200
        polls = [s.connect() for _ in range(4)]
        for c, target in zip(polls, ("/kv/k?wait=10m", "/kv?prefix=k&wait=10m&keys_only",
                                     "/kv/k?raw&wait=10m&consistency=stale",
                                     "/kv/other?wait=10m&since=%d" % (revision + 1))):
            c.send_request("GET", target)
        wait(lambda: status(s)["waiters"] == 4, 20, s.log_text)
        put(s, "unrelated")
        put(s, "other")
        code, fields, body = polls[3].read_reply()
        assert (code, fields["etag"]) == (200, '"%d"' % (revision + 2)), fields
        assert status(s)["waiters"] == 3
        put(s, "k", "new")
        assert json.loads(polls[0].read_reply()[2])["value"] == "new"
        assert json.loads(polls[1].read_reply()[2])["kvs"][0]["version"] == 2
        assert polls[2].read_reply()[2] == b"new"
        # The connection serves the next request.
        polls[0].send_request("GET", "/kv/k?wait=10m")
        wait(lambda: status(s)["waiters"] == 1, 20, s.log_text)
        s.request("DELETE", "/kv/k")
        problem(polls[0].read_reply(), 404, "key_not_found")
        s.request("POST", "/compact?revision=%d" % (revision + 4))
        assert s.request("GET", "/kv?wait=10m&since=1&count_only")[0] == 200
        for c in polls:
            c.socket.close()


def test_a_client_that_hangs_up_is_forgotten_at_once(binary, directory):
    with Running(binary, directory) as s:
        half, gone = s.connect(), s.connect()
        for c in (half, gone):
            c.send_request("GET", "/kv/k?wait=10m")
        wait(lambda: status(s)["waiters"] == 2, 20, s.log_text)
        half.socket.shutdown(socket.SHUT_WR)
        assert half.at_end()
        wait(lambda: status(s)["waiters"] == 1, 20, s.log_text)
        gone.socket.close()
        wait(lambda: status(s)["waiters"] == 0, 20, s.log_text)
        # An answer in front of it is still sent.
        c = s.connect()
        c.send(b"PUT /kv/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"
               b"GET /kv/other?wait=10m HTTP/1.1\r\nHost: x\r\n\r\n")
        c.socket.shutdown(socket.SHUT_WR)
        assert c.read_reply()[0] == 200
        assert c.at_end()
        wait(lambda: status(s)["waiters"] == 0, 20, s.log_text)


def test_a_thousand_watches_and_polls_that_hang_up_at_once(binary, directory):
    with Running(binary, directory) as s:
        watches = [watch(s, "?prefix=p%d/" % (i % 7)) for i in range(500)]
        polls = [s.connect() for _ in range(500)]
        for c in polls:
            c.send_request("GET", "/kv/k?wait=10m")
        wait(lambda: status(s)["waiters"] == 500, 20, s.log_text)
        assert status(s)["watchers"] == 500
        for w in watches:
            w.close()
        for c in polls:
            c.socket.close()
        wait(lambda: status(s)["watchers"] + status(s)["waiters"] == 0, 20, s.log_text)
        put(s, "k")


class Crowd:
    """Many clients of /watch in one thread, which reads whatever has come for any of them."""

    REQUEST = b"GET /watch?prefix=w/ HTTP/1.1\r\nHost: x\r\n\r\n"

    def __init__(self, port, count):
        self.poll, self.sockets, self.text = select.epoll(), {}, {}
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", port), 20)
            one.sendall(self.REQUEST)
            self.sockets[one.fileno()], self.text[one.fileno()] = one, b""
            self.poll.register(one, select.EPOLLIN)

    def read_until_all_have(self, part, patience=60):
        until = time.monotonic() + patience
        missing = {number for number, text in self.text.items() if part not in text}
        while missing:
            assert time.monotonic() < until, "%d did not get %r" % (len(missing), part)
            for number, _ in self.poll.poll(1):
                piece = self.sockets[number].recv(1 << 16)
                assert piece, self.text[number]
                self.text[number] += piece
                if part in self.text[number]:
                    missing.discard(number)

    def data(self):
        """The data of the events that each of them has got: all that differ."""
        return {tuple(line for line in text.split(b"\n") if line.startswith(b"data:"))
                for text in self.text.values()}

    def close(self):
        for one in self.sockets.values():
            one.close()
        self.poll.close()


def test_ten_thousand_watches(binary, directory):
    count = 10_000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > count + 1000, "this test needs `ulimit -Hn 11100` or more"
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    flags = ["--max-connections", str(count + 50)]
    with Running(binary, directory, flags=flags) as s:
        crowd = Crowd(s.port, count)
        crowd.read_until_all_have(b"id: 1\n\n")
        assert status(s)["watchers"] == count
        with watch(s) as refused:
            assert refused.status == 429 and refused.problem["code"] == "overloaded"
        put(s, "other")
        for value in ("one", "two", "three"):
            put(s, "w/k", value)
            crowd.read_until_all_have(b'"value":"%s"' % value.encode())
        seen, *others = crowd.data()
        assert not others, "they have got different events"
        values = [json.loads(line[5:])["value"] for line in seen]
        assert values == ["one", "two", "three"], values
        crowd.close()
        wait(lambda: status(s)["watchers"] == 0, 60, s.log_text)


def test_one_event_reaches_all_watches(binary, directory):
    with Running(binary, directory) as s:
        watches = [watch(s, "?key=k") for _ in range(300)]
        for w in watches:
            w.block()
        for i in range(3):
            put(s, "k", str(i))
        for w in watches:
            assert [e[2]["value"] for e in w.events(3)] == ["0", "1", "2"]
            w.close()


def test_streams_end_with_closed_at_a_shutdown(binary, directory):
    server = Server(binary, directory, free_ports(1)).start()
    with watch(server) as events, watch(server, "?format=ndjson") as lines, server.connect() as c:
        c.send_request("GET", "/kv/k?wait=10m")
        wait(lambda: status(server)["waiters"] == 1, 20, server.log_text)
        server.process.send_signal(signal.SIGTERM)
        assert events.next_of("closed")[2]["code"] == "shutting_down"
        assert lines.line() == {"type": "progress", "revision": 1}
        assert lines.line()["code"] == "shutting_down"
        problem(c.read_reply(), 503, "shutting_down")
        for w in (events, lines):
            try:
                w.block()
                raise AssertionError("the stream goes on")
            except EOFError:
                assert w.complete
        assert server.process.wait(5) == 0
    server.stop()


def test_a_watch_resumes_over_kills_of_its_node(binary, directory):
    server = Server(binary, directory, free_ports(1)).start()
    stop, written = threading.Event(), []

    def write():
        while not stop.is_set():
            try:
                written.append(txn(server, {"put": {"key": "a", "value": "1"}},
                                   {"put": {"key": "b", "value": "2"}}))
            except (OSError, EOFError, AssertionError):
                time.sleep(0.01)
    writer = threading.Thread(target=write)
    writer.start()
    seen, last, kills = [], "1", 0
    try:
        while kills < 3:
            wanted = len(seen) + 41
            try:
                with watch(server, "?prefix=", [("Last-Event-ID", last)]) as w:
                    while len(seen) < wanted:
                        kind, number, _ = w.event()
                        if kind in ("stale", "fresh"):
                            continue
                        assert kind == "put", kind
                        last = number
                        seen.append(last)
                    server.stop(signal.SIGKILL)
                    server.start(wait=False)
                    kills += 1
            except (OSError, EOFError):
                time.sleep(0.01)
        stop.set()
        writer.join()
        server.wait_ready()
        final = put(server, "end")
        with watch(server, "?prefix=", [("Last-Event-ID", last)]) as w:
            while last != str(final):
                kind, number, _ = w.event()
                if kind == "put":
                    last = number
                    seen.append(last)
    finally:
        stop.set()
        writer.join()
        server.stop()
    assert seen == [i for r in range(2, final) for i in ("%d.1" % r, str(r))] + [str(final)], seen
    assert set(written) <= set(range(2, final))


def test_a_node_that_reads_its_log_takes_watches(binary, directory):
    server = Server(binary, directory, free_ports(1)).start()
    for n in range(3):
        lines = "".join(json.dumps({"key": "k%d/%d" % (n, i), "value": "v" * 1000}) + "\n"
                        for i in range(20_000))
        assert server.request("POST", "/kv", lines, [
            ("Content-Type", "application/x-ndjson")])[0] == 200
    revision = status(server)["revision"]
    server.stop(signal.SIGKILL)
    server.start(wait=False)
    w = None
    while w is None:
        try:
            w = watch(server, "?key=x&since=%d" % revision)
        except OSError:
            assert server.process.poll() is None, server.log_text()
            time.sleep(0.001)
    assert w.status == 200 and "vesper-revision" not in w.fields, w.fields
    server.wait_ready(60)
    put(server, "x")
    assert w.next_of("put")[1] == str(revision + 1)
    w.close()
    server.stop()


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], sys.argv[1]))
