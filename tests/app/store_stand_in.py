"""A store in memory that answers the collection's requests (docs/http-api.md) as far as the command
line uses them. For use as the answer of a Fake."""
import base64
import json
import urllib.parse
import zlib

from fake_server import chunked, problem, reply

MAX_DELETE = 10  # keys of one range delete
BATCH = 3  # lines of one batch of an import


def bytes_member(name, value):
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {name + "_base64": base64.b64encode(value).decode()}


def bytes_of(line, name):
    if name in line:
        return line[name].encode()
    return base64.b64decode(line[name + "_base64"], validate=True)


def line_of(content):
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


class Store:
    def __init__(self, page=1000):
        self.keys = {}  # key -> (value, json mark, revision, version)
        self.revision = 1
        self.page = page
        self.writes = []  # what each revision wrote or deleted

    def put(self, key, value, mark=False):
        self.revision += 1
        version = self.keys[key][3] + 1 if key in self.keys else 1
        self.keys[key] = (value, mark, self.revision, version)

    def version(self, key, keys_only=False):
        value, mark, revision, version = self.keys[key]
        out = bytes_member("key", key)
        if not keys_only:
            out.update(bytes_member("value", value))
            if mark:
                out["json"] = True
        out.update(revision=revision, create_revision=revision, version=version)
        return out

    def __call__(self, request, connection):
        path, _, query = request.target.partition("?")
        pairs = urllib.parse.parse_qsl(query, keep_blank_values=True, encoding="latin-1")
        parameters = {name: value.encode("latin-1") for name, value in pairs}
        parameters.pop("timeout", None)
        if path == "/readyz":
            return reply(200, "ok", "text/plain")
        if path != "/kv":
            return problem(404, "no_such_path")
        if request.method == "GET":
            return self.read(parameters)
        if request.method == "DELETE":
            return self.delete(parameters)
        return self.import_lines(request)

    def select(self, parameters):
        prefix = parameters.get("prefix", b"")
        start, end = parameters.get("start", b""), parameters.get("end")
        keys = [k for k in sorted(self.keys) if k.startswith(prefix) and k >= start]
        return [k for k in keys if end is None or k < end]

    def read(self, parameters):
        keys = self.select(parameters)
        if parameters.get("format") == b"ndjson":
            lines = [line_of(self.version(key)) for key in keys]
            return chunked(200, *lines, extra=f"Vesper-Revision: {self.revision}\r\n")
        if "count_only" in parameters:
            return reply(200, {"count": len(keys), "revision": self.revision})
        if "reverse" in parameters:
            keys.reverse()
        entries = self.fold(keys, parameters)
        at, _, scope = parameters.get("next", b"0").partition(b"-")
        at, same = int(at), b"%d" % zlib.crc32(repr([
            (name, value) for name, value in sorted(parameters.items()) if name != "next"
        ]).encode())
        if scope not in (b"", same):
            return problem(400, "invalid_parameter")
        limit = min(int(parameters.get("limit", b"1000")), self.page)
        page = entries[at:at + limit]
        body = {
            "kvs": [self.version(k, "keys_only" in parameters) for k, folded in page if not folded]
        }
        if "separator" in parameters:
            prefixes = [bytes_member("prefix", k) for k, folded in page if folded]
            for name in ("prefix", "prefix_base64"):
                body[name.replace("x", "xes", 1)] = [p[name] for p in prefixes if name in p]
        body.update(count=len(keys), revision=self.revision)
        if at + limit < len(entries):
            body["next"] = f"{at + limit}-{same.decode()}"
        return reply(200, body)

    @staticmethod
    def fold(keys, parameters):
        """(key or prefix, whether it is a prefix), in order and each once."""
        separator, begin = parameters.get("separator"), len(parameters.get("prefix", b""))
        entries = {}
        for key in keys:
            at = key.find(separator, begin) if separator else -1
            entry = (key, False) if at < 0 else (key[:at + len(separator)], True)
            entries.setdefault(entry)
        return list(entries)

    def delete(self, parameters):
        if not {"prefix", "start", "end", "all"} & set(parameters):
            return problem(400, "invalid_parameter")
        keys = self.select(parameters)
        if len(keys) > MAX_DELETE:
            return problem(413, "range_too_large", limit=MAX_DELETE, count=len(keys))
        for key in keys:
            del self.keys[key]
        if keys:
            self.revision += 1
            self.writes.append(keys)
        return reply(200, {"deleted": len(keys), "revision": self.revision})

    def import_lines(self, request):
        if request.headers.get("content-type") != "application/x-ndjson":
            return problem(415, "unsupported_media_type")
        lines = request.body.splitlines()
        out = []
        for first in range(0, len(lines), BATCH):
            batch = [json.loads(line) for line in lines[first:first + BATCH]]
            for number, line in enumerate(batch, first + 1):
                if not set(line) <= {"key", "key_base64", "value", "value_base64", "json"}:
                    error = {"detail": "why not", "line": number}
                    if not out:
                        return problem(400, "invalid_field", **error)
                    error.update(status=400, code="invalid_field")
                    return chunked(200, *out, line_of({"error": error}), ends=False)
                self.put(bytes_of(line, "key"), bytes_of(line, "value"), line.get("json", False))
            out.append(line_of({"lines": [first + 1, first + len(batch)],
                                "revision": self.revision}))
        out.append(line_of({"lines": len(lines), "keys": len(lines), "revision": self.revision}))
        return chunked(200, *out)
