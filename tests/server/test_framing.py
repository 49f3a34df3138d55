"""What docs/http-api.md promises of messages and connections, over raw sockets: heads, bodies,
chunks, limits, HTTP/1.0, slow clients, and the connection after a refusal."""

import json
import os
import socket
import sys

import harness
from test_contract import Running, problem


def test_expect_100_gets_a_100_only_if_the_head_is_valid(binary, directory):
    with Running(binary, directory) as s:
        with s.connect() as c:
            c.send("PUT /kv/e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                   "Expect: 100-continue\r\n\r\n")
            assert c.read_reply()[0] == 100
            c.send("hello")
            assert c.read_reply()[0] == 200
            c.send_request("GET", "/kv/e?raw")
            assert c.read_reply()[2] == b"hello"
        for target, status in (("/kv/e?x=1", 400), ("/kv/", 400)):
            with s.connect() as c:
                c.send("PUT %s HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                       "Expect: 100-continue\r\n\r\n" % target)
                got, fields, _ = c.read_reply()
                assert got == status and fields["connection"] == "close"
                assert c.at_end()
        with s.connect() as c:
            c.send("PUT /kv/e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: tea\r\n\r\n")
            problem(c.read_reply(), 417, "expectation_failed")


def test_a_refusal_keeps_the_connection_and_drops_the_body(binary, directory):
    with Running(binary, directory) as s, s.connect() as c:
        c.send_request("PUT", "/kv/r?bad=1", b"x" * 200_000)
        c.send_request("GET", "/livez")
        assert c.read_reply()[0] == 400
        assert c.read_reply()[0] == 200


def test_a_client_can_read_the_refusal_of_a_body_above_the_limit(binary, directory):
    with Running(binary, directory) as s:
        for head in ("Content-Length: 50000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"):
            with s.connect() as c:
                c.send("PUT /kv/big HTTP/1.1\r\nHost: a\r\n" + head)
                part = b"x" * (1 << 20)
                for _ in range(40):
                    c.send(b"%x\r\n%s\r\n" % (len(part), part) if "chunked" in head else part)
                reply = c.read_reply()
                assert problem(reply, 413, "value_too_large")["limit"] == 8 << 20
                assert reply[1]["connection"] == "close" and c.at_end()
        assert s.request("PUT", "/kv/big", b"x" * (8 << 20))[0] == 200
        assert len(s.request("GET", "/kv/big?raw")[2]) == 8 << 20
        assert json.loads(s.request("GET", "/kv/big")[2])["value"] == "x" * (8 << 20)
        with s.connect() as c:
            c.send_request("GET", "/kv/" + "k" * 40_000)
            problem(c.read_reply(), 414, "uri_too_long")
        with s.connect() as c:
            c.send_request("GET", "/livez", None, [("X-Long", "y" * 20_000)])
            problem(c.read_reply(), 431, "headers_too_large")


def test_a_framing_error_is_answered_and_nothing_after_it(binary, directory):
    hostile = [
        "GET /livez HTTP/1.1\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "PUT /kv/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "PUT /kv/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /livez HTTP/1.1\nHost: a\n\n",
        "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "a" * 100,
    ]
    with Running(binary, directory) as s:
        for text in hostile:
            with s.connect() as c:
                c.send(text.encode("latin-1") + b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
                status, fields, body = c.read_reply()
                assert 400 <= status < 600 and fields["connection"] == "close", (text, status)
                assert json.loads(body)["code"]
                assert c.at_end(), text
        problem_505 = s.connect()
        problem_505.send("GET / HTTP/2.0\r\nHost: a\r\n\r\n")
        problem(problem_505.read_reply(), 505, "http_version")
        problem_505.socket.close()


def test_http_1_0_and_connection_close_end_after_the_answer(binary, directory):
    with Running(binary, directory) as s:
        for text in ("GET /livez HTTP/1.0\r\n\r\n",
                     "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):
            with s.connect() as c:
                c.send(text)
                status, fields, body = c.read_reply()
                assert status == 200 and fields["connection"] == "close" and c.at_end()


def test_http_1_0_with_keep_alive_keeps_the_connection(binary, directory):
    with Running(binary, directory) as s:
        ask = "Connection: Keep-Alive\r\n"
        with s.connect() as c:
            c.send("PUT /kv/old HTTP/1.0\r\n%sContent-Length: 1\r\n\r\nx" % ask)
            status, fields, _ = c.read_reply()
            assert status == 200 and fields["connection"] == "keep-alive", fields
            # Pipelined: a HEAD, a refusal, a 304, and one that does not ask for more.
            c.send("HEAD /kv/old HTTP/1.0\r\n%s\r\n" % ask)
            c.send("GET /nowhere HTTP/1.0\r\n%s\r\n" % ask)
            c.send("GET /kv/old HTTP/1.0\r\n%sIf-None-Match: *\r\n\r\n" % ask)
            c.send("GET /kv/old?raw HTTP/1.0\r\n\r\nGET /livez HTTP/1.0\r\n\r\n")
            for status, to_head in ((200, True), (404, False), (304, False)):
                reply = c.read_reply(to_head)
                assert reply[0] == status and reply[1]["connection"] == "keep-alive", reply
            status, fields, body = c.read_reply()
            assert (status, body) == (200, b"x") and fields["connection"] == "close", fields
            assert c.at_end()
        with s.connect() as c:
            c.send("GET /livez HTTP/1.1\r\nHost: a\r\n%s\r\n" % ask)
            assert "connection" not in c.read_reply()[1], "HTTP/1.1 keep-alive was named"
            c.send("GET /livez HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n")
            assert c.read_reply()[1]["connection"] == "close" and c.at_end()


def test_chunk_extensions_and_trailers_are_dropped(binary, directory):
    chunked = "PUT /kv/t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Running(binary, directory) as s, s.connect() as c:
        c.send(chunked + '5;sign="a;b"\r\nhello\r\n0\r\nIf-Match: "9"\r\nConnection: close\r\n'
               'Content-Length: 50\r\n\r\n')
        c.send_request("GET", "/kv/t?raw")
        assert c.read_reply()[0] == 200, "a trailer was taken for a condition"
        assert c.read_reply()[2] == b"hello"
        for body, status, code in (
                ("1;a\nx", 400, "malformed"),
                ("1\r\nx\r\n0\r\nA: b\r\n c\r\n\r\n", 400, "malformed"),
                ("1;" + "a" * 20_000, 431, "headers_too_large"),
                ("1\r\nx\r\n0\r\nA: " + "b" * 20_000, 431, "headers_too_large"),
                ("1\r\nx\r\n0\r\n" + "A: b\r\n" * 101, 431, "headers_too_large")):
            with s.connect() as c:
                c.send(chunked + body)
                reply = c.read_reply()
                problem(reply, status, code)
                assert reply[1]["connection"] == "close" and c.at_end(), body[:20]
        assert s.request("GET", "/kv/t?raw")[2] == b"hello", "half a request took effect"


def test_half_a_line_that_nothing_could_complete_is_refused_at_once(binary, directory):
    with Running(binary, directory, ["--header-timeout", "60s"]) as s:
        for text in ("GET /livez HTTP/1.1\r\nHost: a\r\n\rZ", "GET /livez HTTP/1.1\rHost: a\r\r",
                     "GET /livez HTTP/1.1\r\nHost: a\r\nX: \x00", "GET /livez\r", "GET  /livez",
                     "GET /livez HTTP/1.1\r\nHost: a\r\n X", "GET /\x7f"):
            with s.connect(timeout=5) as c:
                c.send(text)
                problem(c.read_reply(), 400, "malformed")
                assert c.at_end(), text


def test_a_client_that_half_closes_gets_its_answers(binary, directory):
    with Running(binary, directory) as s, s.connect() as c:
        for i in range(10):
            c.send_request("PUT", "/kv/half", "v%d" % i)
        c.socket.shutdown(socket.SHUT_WR)
        for i in range(10):
            assert c.read_reply()[0] == 200
        assert c.at_end()


def test_slow_clients_are_disconnected(binary, directory):
    flags = ["--header-timeout", "1s", "--body-timeout", "1s", "--idle-timeout", "2s"]
    with Running(binary, directory, flags) as s:
        with s.connect() as head, s.connect() as body, s.connect() as idle, s.connect() as fresh:
            head.send("GET /livez HTTP/1.1\r\nHos")
            body.send("PUT /kv/s HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
            idle.send_request("GET", "/livez")
            assert idle.read_reply()[0] == 200
            reply = head.read_reply()
            problem(reply, 408, "request_timeout")
            assert head.at_end()
            problem(body.read_reply(), 408, "request_timeout")
            assert body.at_end() and fresh.at_end() and idle.at_end()


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], os.path.abspath(sys.argv[1])))
