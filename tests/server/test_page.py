"""The files of the web page at /ui/ as a browser gets them: bytes, tags, compression, and the
header fields that say what the page may do. The page itself is tested in a browser
(tests/cluster/cases_page.py)."""

import gzip
import os
import re
import sys

import harness
from test_contract import Running, problem
from test_peers import wait

FILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/ui")
TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8",
         "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
GZIP = ("Accept-Encoding", "gzip, deflate, br")


def paths():
    """Path -> file, for each file of the page."""
    found = {}
    for name in sorted(os.listdir(FILES)):
        if name.rpartition(".")[2] in TYPES:
            found["/ui/" + ("" if name == "index.html" else name)] = name
    assert "/ui/" in found and "/ui/app.js" in found, found
    return {**found, "/ui": "index.html", "/favicon.ico": "icon.svg"}


def answers(server, path):
    try:
        return server.request("GET", path)[0] == 200
    except OSError:
        return False


def source(name):
    with open(os.path.join(FILES, name), "rb") as file:
        return file.read()


def get(server, path, *headers):
    status, fields, body = server.request("GET", path, None, headers)
    return status, fields, body


def test_each_file_comes_as_it_is_and_compressed_for_those_who_accept_it(binary, directory):
    with Running(binary, directory) as s:
        for path, name in paths().items():
            status, plain, body = get(s, path)
            assert (status, body) == (200, source(name)), path
            assert plain["content-type"] == TYPES[name.rpartition(".")[2]], path
            assert "content-encoding" not in plain, path
            status, packed, body = get(s, path, GZIP)
            assert status == 200 and packed["content-encoding"] == "gzip", path
            assert gzip.decompress(body) == source(name), path
            assert int(packed["content-length"]) < int(plain["content-length"]), path
            assert packed["etag"] != plain["etag"], "one tag for two encodings: " + path
            for refused in ("gzip;q=0", "br", "identity"):
                fields = get(s, path, ("Accept-Encoding", refused))[1]
                assert "content-encoding" not in fields, (path, refused)


def test_a_browser_keeps_a_file_and_asks_whether_it_is_still_the_same(binary, directory):
    with Running(binary, directory) as s:
        for path in paths():
            for coding in ((), (GZIP,)):
                fields = get(s, path, *coding)[1]
                assert fields["cache-control"] == "no-cache", path
                assert fields["vary"] == "Accept-Encoding", path
                tag = fields["etag"]
                assert re.fullmatch(r'"[1-9][0-9]*"', tag), tag
                for known in (tag, "W/" + tag, '"1", ' + tag, "*"):
                    status, again, body = get(s, path, *coding, ("If-None-Match", known))
                    assert (status, body, again["etag"]) == (304, b"", tag), (path, known)
                    assert again["cache-control"] == "no-cache" and "vary" in again, path
                assert get(s, path, *coding, ("If-None-Match", '"1"'))[0] == 200, path
        problem(s.request("GET", "/ui/", None, [("If-None-Match", "x y")]), 400, "invalid_field")


def test_head_has_the_header_of_the_get(binary, directory):
    with Running(binary, directory) as s:
        for path in paths():
            for coding in ((), (GZIP,)):
                expected = get(s, path, *coding)[1]
                status, fields, body = s.request("HEAD", path, None, coding)
                assert (status, body) == (200, b""), path
                for one in (expected, fields):
                    one.pop("date")
                assert fields == expected, (path, fields, expected)


def test_the_page_may_load_from_its_own_origin_only_and_run_no_inline_script(binary, directory):
    with Running(binary, directory) as s:
        for path in paths():
            for headers in ((), (GZIP,), (("If-None-Match", "*"),)):
                fields = get(s, path, *headers)[1]
                policy = dict(part.strip().partition(" ")[::2]
                              for part in fields["content-security-policy"].split(";"))
                assert policy["default-src"] == "'none'", policy
                for source_list in ("script-src", "style-src", "img-src", "connect-src"):
                    assert policy[source_list] == "'self'", policy
                for refused in ("base-uri", "form-action", "frame-ancestors", "trusted-types"):
                    assert policy[refused] == "'none'", policy
                assert policy["require-trusted-types-for"] == "'script'", policy
                assert fields["referrer-policy"] == "no-referrer"
                assert fields["x-content-type-options"] == "nosniff"
        page = source("index.html").decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style", page), page
        for name in set(paths().values()):
            for url in re.findall(r"https?://[^\s\"'`)]*", source(name).decode()):
                assert url == "http://www.w3.org/2000/svg", "%s names %s" % (name, url)


def test_other_paths_and_methods_are_refused_as_everywhere(binary, directory):
    with Running(binary, directory) as s:
        for path in ("/ui/nothing.js", "/ui/index.html", "/ui//", "/ui/../status", "/ui/App.js",
                     "/ui/%61pp.js", "/ui/files.hpp", "/ui/package.json"):
            reply = s.request("GET", path)
            assert problem(reply, 404, "no_such_path")["hint"], path
            assert "content-security-policy" not in reply[1]
        for path in paths():
            assert s.request("OPTIONS", path)[0] == 204
            problem(s.request("POST", path, "x"), 405, "method_not_allowed")
            problem(s.request("GET", path + "?x"), 400, "invalid_parameter")
            with s.connect() as c:
                c.send("GET %s HTTP/1.1\r\nHost: evil.example\r\n\r\n" % path)
                problem(c.read_reply(), 421, "host_not_allowed")


def test_the_root_names_the_page(binary, directory):
    with Running(binary, directory) as s:
        assert b'"page":"/ui/"' in s.request("GET", "/")[2]


def test_a_node_serves_the_page_without_a_leader(binary, directory):
    server = harness.Server(binary, directory, harness.free_ports(3))
    try:
        server.start(wait=False)
        wait(lambda: answers(server, "/livez"), why=server.log_text)
        assert server.request("GET", "/readyz")[0] == 503
        assert server.request("GET", "/ui/")[0] == 200
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], sys.argv[1]))
