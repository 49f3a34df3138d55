"""/openapi.json and a running node agree: every path, method, parameter, status and media type of
the document is asked for, and each reply is what the document says. That the document names every
endpoint is checked in tests/api/test_openapi.cpp."""

import json
import os
import re
import sys
from urllib.parse import quote

try:
    from openapi_contract import METHODS, Contract, send
except ModuleNotFoundError as missing:
    print("skipped: %s (Debian: python3-jsonschema)" % missing)
    sys.exit(77)

import harness
from test_contract import Running

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "src")
NDJSON = ("Content-Type", "application/x-ndjson")
LARGE = ("Content-Length", str(64 << 20))
ONCE = ("Idempotency-Key", "once")
KEY = "/kv/{key}"
LEASE, LOCK, ELECTION = "/leases/{id}", "/locks/{name}", "/elections/{name}"


def txn(*then, **more):
    return json.dumps({"then": list(then), **more})


# (path, method, what follows the path or replaces its parameter, status, body, header fields). They
# run in this order. "a" is written at revision 2. NEXT stands for the page token of the second page
# of the list at that path, LEASE for the newest lease, TOKEN and LEADER for the tokens of the
# holders of lock and election "n".
REQUESTS = [
    (KEY, "put", "a?timeout=5s", 200, "1"),
    (KEY, "put", "a?prev", 200, "2", ("If-Match", "*")),
    (KEY, "put", "b/c", 200, b"\xff", ("If-None-Match", "*"), ("Idempotency-Key", "put")),
    (KEY, "put", "b/c", 200, b"\xff", ("If-None-Match", "*"), ("Idempotency-Key", "put")),
    (KEY, "put", "n", 422, b"7", ("Idempotency-Key", "put")),
    (KEY, "put", "n", 200, b"7"),
    (KEY, "put", "%FF", 200, ""),
    (KEY, "put", "a?increment", 400, "1"),
    (KEY, "put", "a", 411),
    (KEY, "put", "a", 412, "1", ("If-Match", '"1"')),
    (KEY, "put", "a", 413, None, LARGE),
    (KEY, "put", "a", 415, "1", ("Content-Encoding", "gzip")),
    (KEY, "put", "", 400, "1"),
    (KEY, "get", "a", 200),
    (KEY, "get", "%FF", 200),
    (KEY, "get", "b%2Fc?raw", 200),
    (KEY, "get", "a?revision=2&min_revision=2&timeout=1s", 200),
    (KEY, "get", "a?consistency=stale&max_staleness=1h", 200, None, ("If-Match", '"3"')),
    (KEY, "get", "a?consistency=lease", 200, None, ("If-None-Match", '"1"')),
    (KEY, "get", "a?history&limit=1", 200),
    (KEY, "get", "a", 304, None, ("If-None-Match", "*")),
    (KEY, "get", "a?colour=red", 400),
    (KEY, "get", "a?wait=10ms&since=1", 200),
    (KEY, "get", "absent", 404),
    (KEY, "get", "a", 412, None, ("If-Match", '"1"')),
    (KEY, "head", "a?raw=0&history=0&timeout=1s", 200, None, ("If-Match", "*")),
    (KEY, "head", "a?consistency=stale&max_staleness=1h&min_revision=2&revision=3", 200, None,
     ("If-None-Match", '"9"')),
    (KEY, "head", "a?history&limit=1", 200),
    (KEY, "head", "a", 304, None, ("If-None-Match", '"3"')),
    (KEY, "head", "a?wait=10ms&since=1", 200),
    (KEY, "head", "absent", 404),
    (KEY, "post", "n?increment&timeout=1s", 200, None, ("Idempotency-Key", "post")),
    (KEY, "post", "n?increment=2", 422, None, ("Idempotency-Key", "post")),
    (KEY, "post", "n?min=5", 200, None, ("If-Match", "*")),
    (KEY, "post", "n?max=6", 200, None, ("If-None-Match", '"1"')),
    (KEY, "post", "l?append", 200, b"\xff"),
    (KEY, "post", "a?restore=2", 200),
    (KEY, "post", "a?restore=1", 200),
    (KEY, "post", "n", 400, "1"),
    (KEY, "post", "l?increment", 409),
    (KEY, "post", "l?append", 411),
    (KEY, "post", "n?increment", 412, None, ("If-None-Match", "*")),
    (KEY, "post", "l?append", 413, None, LARGE),
    (KEY, "post", "l?append", 415, "x", ("Content-Type", "multipart/form-data; boundary=x")),
    (KEY, "put", "large", 200, "v" * (80 << 10)),
    (KEY, "delete", "large?prev", 413, None, ONCE),
    (KEY, "delete", "large?prev&timeout=1s", 200, None, ("If-Match", "*")),
    (KEY, "delete", "large", 200, None, ("If-None-Match", "*"), ("Idempotency-Key", "delete")),
    (KEY, "delete", "a", 422, None, ("Idempotency-Key", "delete")),
    (KEY, "delete", "large", 412, None, ("If-Match", "*")),
    (KEY, "delete", "n?all", 400),
    (KEY, "get", "large?history", 200),
    (KEY, "options", "a", 204),

    ("/kv", "post", "?timeout=5s", 200, '{"key":"i/1","value":"1"}\n{"key":"i/2","value":"[1]",'
     '"json":true}\n{"key_base64":"/w==","value_base64":"/w=="}\n', NDJSON),
    ("/kv", "post", "", 400, '{"key":"i/1"}\n', NDJSON),
    ("/kv", "post", "", 411, None, NDJSON),
    ("/kv", "post", "", 413, '{"key":"i/3","value":"%s"}\n' % ("v" * (9 << 20)), NDJSON),
    ("/kv", "post", "", 415, "{}"),
    ("/kv", "get", "", 200),
    ("/kv", "get", "?prefix=i/&limit=1&reverse&keys_only&separator=2", 200),
    ("/kv", "get", "?start=a&end=z&revision=5&timeout=5s", 200),
    ("/kv", "get", "?consistency=stale&max_staleness=1h&min_revision=2&count_only", 200),
    ("/kv", "get", "?format=ndjson&separator=/", 200),
    ("/kv", "get", "?keys_only", 200, None, ("Accept", "application/x-ndjson")),
    ("/kv", "get", "?limit=1&next=NEXT", 200),
    ("/kv", "get", "?wait=10ms&since=0", 200),
    ("/kv", "get", "?wait=10ms", 304),
    ("/kv", "get", "?start=b&end=a", 400),
    ("/kv", "head", "?prefix=i/&limit=1&reverse&keys_only&separator=2&format=json", 200),
    ("/kv", "head", "?start=a&end=z&revision=5&timeout=5s", 200),
    ("/kv", "head", "?consistency=stale&max_staleness=1h&min_revision=2&count_only", 200),
    ("/kv", "head", "?limit=1&next=NEXT", 200),
    ("/kv", "head", "?wait=10ms&since=0", 200),
    ("/kv", "head", "?wait=10ms", 304),
    ("/kv", "options", "", 204),

    ("/watch", "get", "?prefix=i&key=a&lock=l&election=e&since=0&prev&events=put&format=ndjson",
     200),
    ("/watch", "get", "?prefix=i&prefix=a&initial", 200),
    ("/watch", "get", "?format=sse", 200, None, ("Last-Event-ID", "1")),
    ("/watch", "get", "?since=x", 400),
    ("/watch", "options", "", 204),
    ("/trace", "get", "", 200),
    ("/trace", "options", "", 204),

    ("/txn", "post", "?timeout=5s", 200, txn(
        {"put": {"key": "t", "value": "1", "prev": True, "keep_ttl": True}}, {"get": {"key": "t"}},
        {"get": {"key": "absent"}}, {"get": {"prefix": "", "limit": "2", "separator": "/"}},
        {"get": {"start": "a", "keys_only": True, "reverse": True, "revision": 3}},
        {"get": {"end": "z", "count_only": True}}, {"increment": {"key": "u", "by": "-5"}},
        {"min": {"key": "v", "value": 5}}, {"max": {"key": "w", "value": "5"}},
        {"append": {"key_base64": "AA==", "value_base64": "/w=="}},
        {"restore": {"key": "x", "revision": 2}}, {"delete": {"key": "n", "prev": True}},
        {"delete": {"prefix": "i/", "prev": True}}, {"txn": {"then": [], "else": []}},
        {"put": {"key": "y", "value": "{ }", "json": True}}, {"delete": {"key": "absent"}},
        **{"if": [{"key": "a", "exists": False}, {"key": "n", "value": "7", "op": "!="},
                  {"prefix": "z", "version": "0"}, {"start": "zz", "revision": 1, "op": ">"}],
           "else": [{"get": {"prefix_base64": "AA=="}}]}), ("Idempotency-Key", "txn")),
    ("/txn", "post", "", 200, txn({"put": {"key": "t", "keep_value": True}})),
    ("/txn", "post", "?consistency=stale&max_staleness=1h&min_revision=2", 200,
     txn({"get": {"key": "t"}})),
    ("/txn", "post", "", 400, txn({"put": {"key": "a"}})),
    ("/txn", "post", "", 400, txn({"put": {"key": "a", "value": "", "keep_value": True}})),
    ("/txn", "post", "", 400, txn({"put": {"key": "a", "key_base64": "YQ==", "value": ""}})),
    ("/txn", "post", "", 400, txn({"put": {"key": "a", "value": 1}})),
    ("/txn", "post", "", 400, txn({"put": {"key": "a", "value": "", "ttl": "1ns"}})),
    ("/txn", "post", "", 400, txn({"put": {"key_base64": "YQ", "value": ""}})),
    ("/txn", "post", "", 400, txn({"get": {}})),
    ("/txn", "post", "", 400, txn({"get": {"prefix": "", "limit": 10001}})),
    ("/txn", "post", "", 400, txn({"get": {"prefix": "", "separator": ""}})),
    ("/txn", "post", "", 400, txn({"increment": {"key": "n", "by": 0.5}})),
    ("/txn", "post", "", 400, txn({"increment": {"key": "n", "by": 2**63}})),
    ("/txn", "post", "", 400, txn({"restore": {"key": "n", "revision": 0}})),
    ("/txn", "post", "", 400, txn({"put": {"key": "a", "value": ""}, "get": {"key": "a"}})),
    ("/txn", "post", "", 400, txn({})),
    ("/txn", "post", "", 400, txn(**{"if": [{"key": "a"}]})),
    ("/txn", "post", "", 400, txn(**{"if": [{"version": 1}]})),
    ("/txn", "post", "", 400, txn(**{"if": [{"key": "a", "prefix": "a", "version": 1}]})),
    ("/txn", "post", "", 400, txn(**{"if": [{"key": "a", "version": 1, "exists": True}]})),
    ("/txn", "post", "", 400, txn(**{"if": [{"key": "a", "version": -1}]})),
    ("/txn", "post", "", 400, txn(**{"if": [{"key": "a", "version": 1, "op": "=="}]})),
    ("/txn", "post", "", 400, '{"if":[]}'),
    ("/txn", "post", "", 400, '{"then":[],"then_":[]}'),
    ("/txn", "post", "", 404, txn({"put": {"key": "absent", "keep_value": True}})),
    ("/txn", "post", "", 409, txn({"increment": {"key": "y"}})),
    ("/txn", "post", "", 413, txn({"put": {"key": "a", "value": "v" * (9 << 20)}})),
    ("/txn", "post", "", 415, "{}", ("Content-Encoding", "br")),
    ("/txn", "post", "", 422, txn({"get": {"key": "a"}}, {"put": {"key": "a", "value": ""}}),
     ("Idempotency-Key", "txn")),
    ("/txn", "options", "", 204),

    ("/kv", "delete", "?prefix=t&prev&timeout=1s", 200, None, ("Idempotency-Key", "range")),
    ("/kv", "delete", "?start=u&end=v", 200),
    ("/kv", "delete", "?prefix=v", 422, None, ("Idempotency-Key", "range")),
    ("/kv", "delete", "", 400),
    (KEY, "put", "large", 200, "v" * (80 << 10)),
    ("/kv", "delete", "?prefix=la&prev", 413, None, ONCE),
    ("/kv", "delete", "?all", 200),

    ("/compact", "post", "?revision=9&timeout=5s", 200, None, ("Idempotency-Key", "compact")),
    ("/compact", "post", "?revision=10", 422, None, ("Idempotency-Key", "compact")),
    ("/compact", "post", "?revision=2", 410),
    ("/compact", "post", "", 400),
    ("/compact", "options", "", 204),
    (KEY, "get", "a?revision=2", 410),
    (KEY, "post", "a?restore=2", 410),
    ("/kv", "get", "?revision=2", 410),
    ("/txn", "post", "", 410, txn({"get": {"key": "a", "revision": 2}})),

    ("/leases", "post", "?ttl=1h&timeout=5s", 200, None, ("Idempotency-Key", "lease")),
    ("/leases", "post", "?ttl=2h", 422, None, ("Idempotency-Key", "lease")),
    ("/leases", "post", "?ttl=1h", 200),
    ("/leases", "post", "", 400),
    ("/leases", "get", "?limit=1&timeout=1s", 200),
    ("/leases", "get", "?prefix=1", 200),
    ("/leases", "head", "?prefix=1", 200),
    ("/leases", "get", "?limit=1&next=NEXT", 200),
    ("/leases", "get", "?consistency=stale&max_staleness=1h&min_revision=2", 200),
    ("/leases", "get", "?limit=0", 400),
    ("/leases", "head", "?limit=1&timeout=1s", 200),
    ("/leases", "head", "?limit=1&next=NEXT", 200),
    ("/leases", "head", "?consistency=stale&max_staleness=1h&min_revision=2", 200),
    ("/leases", "options", "", 204),
    (LEASE, "put", "LEASE?timeout=1s", 200, None, ("Idempotency-Key", "renew")),
    (LEASE, "put", "LEASE?ttl=1s", 400),
    (LEASE, "put", "999999", 404),
    (LEASE, "put", "1", 422, None, ("Idempotency-Key", "renew")),
    (LEASE, "get", "LEASE?timeout=1s", 200),
    (LEASE, "get", "LEASE?consistency=stale&max_staleness=1h&min_revision=2", 200),
    (LEASE, "get", "LEASE?keys", 400),
    (LEASE, "get", "x", 404),
    (LEASE, "head", "LEASE?timeout=1s", 200),
    (LEASE, "head", "LEASE?consistency=stale&max_staleness=1h&min_revision=2", 200),
    (KEY, "put", "leased?lease=LEASE", 200, "1"),
    (KEY, "put", "leased?keep_ttl", 200, "2"),
    (KEY, "put", "leased?lease=999999", 409, "3"),
    (KEY, "put", "mortal?ttl=1h", 200, "1"),
    (KEY, "get", "leased", 200), (KEY, "get", "mortal", 200), (KEY, "get", "mortal?history", 200),
    ("/kv", "get", "?keys_only", 200),
    ("/kv", "get", "?format=ndjson", 200),
    ("/txn", "post", "", 409, txn({"put": {"key": "a", "value": "", "lease": 999999}})),
    (LEASE, "delete", "LEASE?fence=free:7", 412),
    (LEASE, "delete", "LEASE?timeout=1s", 200, None, ("Idempotency-Key", "end")),
    (LEASE, "delete", "LEASE", 200),
    ("/leases", "post", "?ttl=1h", 409, None, ("Idempotency-Key", "lease")),
    (LEASE, "delete", "1?ttl=1s", 400),
    (LEASE, "delete", "999999", 404),
    (LEASE, "delete", "1", 422, None, ("Idempotency-Key", "end")),
    (LEASE, "options", "1", 204),

    (LOCK, "post", "n?ttl=1h&wait=1s&timeout=5s", 200, None, ("Idempotency-Key", "lock")),
    (LOCK, "post", "n?ttl=2h", 422, None, ("Idempotency-Key", "lock")),
    (LOCK, "post", "n", 409),
    (LOCK, "post", "n?wait=0", 400),
    (LOCK, "put", "n?token=TOKEN&timeout=1s", 200, None, ("Idempotency-Key", "keep")),
    (LOCK, "put", "n", 400),
    (LOCK, "put", "n?token=1", 412),
    (LOCK, "put", "n?token=1", 422, None, ("Idempotency-Key", "keep")),
    (LOCK, "get", "n?timeout=1s", 200),
    (LOCK, "get", "free%FF?consistency=stale&max_staleness=1h&min_revision=2", 200),
    (LOCK, "get", "", 400),
    (LOCK, "head", "n?timeout=1s", 200),
    (LOCK, "head", "n?consistency=stale&max_staleness=1h&min_revision=2", 200),
    (LOCK, "options", "n", 204),
    (LOCK, "post", "n2", 200),
    ("/locks", "get", "?prefix=n&limit=1&timeout=1s", 200),
    ("/locks", "get", "?limit=1&next=NEXT", 200),
    ("/locks", "get", "?consistency=stale&max_staleness=1h&min_revision=2", 200),
    ("/locks", "get", "?limit=x", 400),
    ("/locks", "head", "?prefix=n&limit=1&timeout=1s", 200),
    ("/locks", "head", "?limit=1&next=NEXT", 200),
    ("/locks", "head", "?consistency=stale&max_staleness=1h&min_revision=2", 200),
    ("/locks", "options", "", 204),
    ("/leases", "post", "?ttl=1h", 200),
    (LEASE, "delete", "LEASE?fence=n:TOKEN", 200),
    (KEY, "put", "f?fence=n:TOKEN", 200, "1"),
    (KEY, "put", "f?fence=n:1", 412, "1"),
    (KEY, "post", "f?increment&fence=n:TOKEN", 200),
    (KEY, "post", "f?increment&fence=n:1", 412),
    (KEY, "delete", "f?fence=n:TOKEN", 200),
    (KEY, "delete", "f?fence=n:1", 412),
    ("/kv", "post", "?fence=n:TOKEN", 200, '{"key":"f/1","value":"1"}\n', NDJSON),
    ("/kv", "post", "?fence=n:1", 412, '{"key":"f/1","value":"1"}\n', NDJSON),
    ("/kv", "delete", "?prefix=f/&fence=n:TOKEN", 200),
    ("/kv", "delete", "?prefix=f/&fence=n:1", 412),
    ("/txn", "post", "?fence=n:TOKEN", 200,
     txn({"put": {"key": "f", "value": "1", "ttl": "1h"}},
         **{"if": [{"lock": "n", "token": 1}, {"lock_base64": "bg==", "token": "2"}],
            "else": [{"put": {"key": "g", "value": "2", "ttl": "1h"}}]})),
    ("/txn", "post", "?fence=n:1", 412, txn({"delete": {"key": "f"}})),
    ("/txn", "post", "", 400, txn(**{"if": [{"lock": "n"}]})),
    ("/txn", "post", "", 400, txn(**{"if": [{"lock": "n", "token": 1, "op": "="}]})),
    ("/txn", "post", "", 400, txn(**{"if": [{"lock": "n", "token": 1, "key": "n"}]})),
    ("/txn", "post", "", 400, txn({"put": {"key": "a", "value": "", "ttl": 5}})),
    ("/txn", "post", "", 400, txn({"put": {"key": "a", "value": "", "ttl": "1s", "lease": 1}})),
    ("/txn", "post", "", 400,
     txn({"put": {"key": "a", "value": "", "ttl": "1s", "keep_ttl": True}})),
    (LOCK, "delete", "n?token=TOKEN&timeout=1s", 200, None, ("Idempotency-Key", "release")),
    (LOCK, "delete", "n?token=1", 422, None, ("Idempotency-Key", "release")),
    (LOCK, "delete", "n?token=1", 200),
    (LOCK, "delete", "n", 400),
    # The grant that is repeated has lapsed.
    (LOCK, "post", "n?ttl=1h", 412, None, ("Idempotency-Key", "lock")),

    (ELECTION, "post", "n?ttl=1h&wait=1s&timeout=5s", 200, "a", ("Idempotency-Key", "elect")),
    (ELECTION, "post", "n?ttl=1h", 422, "b", ("Idempotency-Key", "elect")),
    (ELECTION, "post", "n", 409, "b"),
    (ELECTION, "post", "n?wait=11m", 400, "b"),
    (ELECTION, "post", "n", 413, "b" * 4097),
    (ELECTION, "post", "n", 415, "b", ("Content-Encoding", "gzip")),
    (ELECTION, "put", "n?token=LEADER&timeout=1s", 200, b"\xff", ("Idempotency-Key", "stay")),
    (ELECTION, "put", "n", 400),
    (ELECTION, "put", "n?token=1", 412),
    (ELECTION, "put", "n?token=1", 413, "b" * 4097),
    (ELECTION, "put", "n?token=1", 415, "b", ("Content-Type", "multipart/form-data; boundary=x")),
    (ELECTION, "put", "n?token=1", 422, None, ("Idempotency-Key", "stay")),
    (ELECTION, "get", "n?timeout=1s", 200),
    (ELECTION, "get", "free?consistency=stale&max_staleness=1h&min_revision=2", 200),
    (ELECTION, "get", "", 400),
    (ELECTION, "head", "n?timeout=1s", 200),
    (ELECTION, "head", "n?consistency=stale&max_staleness=1h&min_revision=2", 200),
    (ELECTION, "options", "n", 204),
    (ELECTION, "post", "%FF", 200, "a"),
    ("/elections", "get", "?prefix=n&limit=1&timeout=1s", 200),
    ("/elections", "get", "?limit=1&next=NEXT", 200),
    ("/elections", "get", "?consistency=stale&max_staleness=1h&min_revision=2", 200),
    ("/elections", "get", "?next=", 400),
    ("/elections", "head", "?prefix=n&limit=1&timeout=1s", 200),
    ("/elections", "head", "?limit=1&next=NEXT", 200),
    ("/elections", "head", "?consistency=stale&max_staleness=1h&min_revision=2", 200),
    ("/elections", "options", "", 204),
    (ELECTION, "delete", "n?token=LEADER&timeout=1s", 200, None, ("Idempotency-Key", "resign")),
    (ELECTION, "delete", "n?token=1", 422, None, ("Idempotency-Key", "resign")),
    (ELECTION, "delete", "n", 400),
    (ELECTION, "post", "n?ttl=1h", 412, "a", ("Idempotency-Key", "elect")),

    ("/request", "put", "", 200, '{"type":"put","payload":{"key":"s","value":{"x":[1]}}}',
     ("Idempotency-Key", "seed")),
    ("/request", "put", "", 422, '{"payload":{"key":"s","value":1}}', ("Idempotency-Key", "seed")),
    ("/request", "put", "", 400, '{"payload":{"key":"s"}}'),
    ("/request", "put", "", 411),
    ("/request", "put", "", 413, None, LARGE),
    ("/request", "put", "", 415, "{}", ("Content-Encoding", "gzip")),
    ("/request", "get", "", 200, '{"type":"get","payload":{"key":"s"}}'),
    ("/request", "get", "", 200, '{"type":"get","payload":{"key":"absent"}}'),
    ("/request", "get", "", 400, '{"payload":{}}'),
    ("/request", "get", "", 415, "{}", ("Content-Encoding", "gzip")),
    ("/request", "options", "", 204),

    ("/readyz", "get", "?verbose", 200), ("/readyz", "head", "?verbose", 200),
    ("/readyz", "options", "?verbose", 200),
    ("/livez", "options", "", 200),
    ("/cluster", "get", "?timeout=1s", 200), ("/cluster", "head", "?timeout=1s", 200),
    ("/cluster", "get", "?wait=1s", 400),
    ("/cluster", "options", "", 204),
    ("/cluster/members", "post", "?wait=1s&force&timeout=1s", 200, '{"promote":[0]}'),
    ("/cluster/members", "post", "", 200, '{"update":[{"id":0,"address":"http://127.0.0.1:1"}]}'),
    ("/cluster/members", "post", "", 400, '{}'),
    ("/cluster/members", "post", "", 400, '{"remove":[7]}'),
    ("/cluster/members", "post", "", 409, '{"remove":[0]}'),
    ("/cluster/members", "post", "", 409, '{"add":[{"address":"http://127.0.0.1:1"}]}'),
    ("/cluster/members", "post", "", 413, None, LARGE),
    ("/cluster/members", "post", "", 415, "{}", ("Content-Encoding", "gzip")),
    ("/cluster/members", "options", "", 204),
    ("/cluster/transfer", "post", "?to=0&timeout=1s", 200),
    ("/cluster/transfer", "post", "?to=7", 400),
    ("/cluster/transfer", "post", "", 409),
    ("/cluster/transfer", "options", "", 204),
]
GZIP, ANY = ("Accept-Encoding", "gzip"), ("If-None-Match", "*")
for page, rest in (("/ui", ""), ("/ui/{name}", ""), ("/ui/{name}", "app.js"),
                   ("/ui/{name}", "style.css"), ("/ui/{name}", "icon.svg"), ("/favicon.ico", "")):
    for method in ("get", "head"):
        REQUESTS += [(page, method, rest, 200, None, GZIP, ("If-None-Match", '"1"')),
                     (page, method, rest, 304, None, ANY), (page, method, rest + "?x", 400)]
    REQUESTS.append((page, "options", rest, 204))
REQUESTS.append(("/ui/{name}", "get", "no-such-file", 404))
for page in ("/status", "/livez", "/readyz", "/metrics", "/figures", "/", "/openapi.json"):
    REQUESTS += [(page, "get", "", 200), (page, "head", "", 200), (page, "get", "?x", 400)]
    if page not in ("/livez", "/readyz"):
        REQUESTS.append((page, "options", "", 204))
REQUESTS += [("/figures", method, "?since=1", 200) for method in ("get", "head")]
REQUESTS += [("/livez", "options", "?x", 400), ("/readyz", "options", "?x", 400)]
# SECRET stands for the secret of the last token that was made.
TOKENS, TOKEN = "/auth/tokens", "/auth/tokens/{name}"
WITH_TOKEN = ("Authorization", "Bearer SECRET")
METRICS = '"rules":[{"allow":"metrics"}]'
REQUESTS += [
    (TOKENS, "post", "?timeout=1s", 200, '{"name":"m","ttl":"30d",%s}' % METRICS),
    (TOKENS, "post", "", 409, '{"name":"m",%s}' % METRICS),
    (TOKENS, "post", "", 400, '{"name":"m"}'),
    (TOKENS, "post", "", 413, None, LARGE),
    (TOKENS, "post", "", 415, "{}", ("Content-Encoding", "gzip")),
    (TOKENS, "get", "?timeout=1s", 200), (TOKENS, "get", "?x", 400),
    (TOKENS, "head", "?timeout=1s", 200), (TOKENS, "options", "", 204),
    (TOKEN, "get", "m?timeout=1s", 200), (TOKEN, "get", "m?x", 400), (TOKEN, "get", "no", 404),
    (TOKEN, "head", "m?timeout=1s", 200), (TOKEN, "options", "m", 204),
    (TOKEN, "delete", "m?x", 400),
    (TOKEN, "delete", "m?timeout=1s", 200, None, ("Idempotency-Key", "revoke")),
    (TOKEN, "delete", "m", 404), (TOKEN, "delete", "n", 422, None, ("Idempotency-Key", "revoke")),
    ("/auth/enable", "options", "", 204), ("/auth/enable", "post", "?x", 400),
    ("/auth/enable", "post", "?timeout=1s", 200),
    ("/auth/enable", "post", "", 409, None, WITH_TOKEN),
    (TOKENS, "get", "", 401),
    ("/auth/disable", "options", "", 204), ("/auth/disable", "post", "?x", 400, None, WITH_TOKEN),
    ("/auth/disable", "post", "?timeout=1s", 200, None, WITH_TOKEN),
    ("/auth/disable", "post", "", 200, None, ("Idempotency-Key", "open")),
    ("/auth/disable", "post", "", 422, None, ("Idempotency-Key", "revoke")),
]

# A parameter that no request takes.
UNKNOWN = {"no_such_parameter"}
# A load, a fault or a full disk is needed for these.
NOT_ASKED = {429, 503, 504, 507}
ELSEWHERE = "/chaos"  # needs a supervisor: tests/app/test_chaos.py checks it


def operations(contract):
    return [one for one in contract.operations() if one[0] != ELSEWHERE]


def document(server):
    return Contract(json.loads(send(server.port, "GET", "/openapi.json")[2]))


def target_of(path, rest, server):
    def asked(target):
        return json.loads(send(server.port, "GET", target)[2])

    if "NEXT" in rest:
        rest = rest.replace("NEXT", asked(path + "?limit=1")["next"])
    if "LEASE" in rest:
        rest = rest.replace("LEASE", asked("/leases")["leases"][-1]["lease"])
    if "TOKEN" in rest:
        rest = rest.replace("TOKEN", str(asked("/locks/n")["holder"]["token"]))
    if "LEADER" in rest:
        rest = rest.replace("LEADER", str(asked("/elections/n")["holder"]["token"]))
    return path.partition("{")[0] + rest


def example_of(path):
    """A path with a name that fits each kind of parameter."""
    return re.sub(r"\{\w+\}", "app.js" if path.startswith("/ui/") else "1", path)


def names_in(target, headers):
    names = {part.split("=")[0] for part in target.partition("?")[2].split("&")} - {""}
    return names | {name for name, _ in headers} | {"key", "id", "name"}


def ask_all(server, contract):
    secret = ""
    for path, method, rest, status, *more in REQUESTS:
        body = more[0] if more else None
        headers = [(name, value.replace("SECRET", secret)) for name, value in more[1:]]
        target = target_of(path, rest, server)
        endless = path in ("/watch", "/trace") and status == 200
        reply = send(server.port, method.upper(), target, body, headers, endless)
        assert reply[0] == status, (method, target, str(body)[:200], reply)
        if path.startswith("/auth") and method == "post" and status == 200:
            secret = json.loads(reply[2]).get("token", "")
        contract.check(path, method, target, reply, names_in(target, headers))
        if path in ("/txn", "/request") and isinstance(body, str) and status in (200, 400):
            # The schema of the body accepts what the node accepts, and refuses what it refuses.
            assert contract.body_is_valid(path, method, body) == (status == 200), body


def test_every_path_method_and_reply_is_as_described(binary, directory):
    with Running(binary, directory) as server:
        contract = document(server)
        ask_all(server, contract)
        asked = {(path, method) for path, method, _ in contract.statuses}
        for path, method, operation in operations(contract):
            assert (path, method) in asked, (method, path)
            for status, response in operation["responses"].items():
                if status == "default" or int(status) in NOT_ASKED:
                    continue
                assert (path, method, int(status)) in contract.statuses, (method, path, status)
                for media in contract.resolve(response).get("content", ()):
                    seen = (path, method, int(status), media) in contract.bodies
                    assert seen, (method, path, status, media)


def test_every_parameter_works_and_no_other_one_does(binary, directory):
    with Running(binary, directory) as server:
        contract = document(server)
        ask_all(server, contract)
        every = contract.document["components"]["parameters"].values()
        elsewhere = {one["name"] for one in every if one["in"] == "query"} | UNKNOWN
        for path, method, _ in operations(contract):
            for parameter in contract.parameters_of(path, method):
                used = (path, method, parameter["name"])
                assert used in contract.parameters, used
            if method == "options" and path not in ("/livez", "/readyz"):
                continue
            for name in elsewhere - {one["name"] for one in contract.parameters_of(path, method)}:
                target = example_of(path) + "?%s=1" % name
                reply = send(server.port, method.upper(), target)
                contract.check(path, method, target, reply)
                assert reply[0] == 400, (method, target, reply)
                if method != "head":
                    assert json.loads(reply[2])["parameter"] == name, (method, target, reply)


def test_a_method_that_is_not_described_is_refused(binary, directory):
    with Running(binary, directory) as server:
        contract = document(server)
        for path, item in contract.document["paths"].items():
            if path == ELSEWHERE:
                continue
            described = {method.upper() for method in item if method != "parameters"}
            for method in METHODS:
                if method in item:
                    continue
                reply = send(server.port, method.upper(), example_of(path), "")
                assert reply[0] == 405, (method, path, reply)
                assert set(reply[1]["Allow"].split(", ")) == described, (path, reply)


def test_examples_are_valid(binary, directory):
    with Running(binary, directory) as server:
        contract = document(server)
        components = contract.document["components"]
        for name, parameter in components["parameters"].items():
            if "example" in parameter:
                assert not contract.errors(parameter["schema"], parameter["example"]), name
        for path, method, operation in operations(contract):
            for media, content in operation.get("requestBody", {}).get("content", {}).items():
                if "example" in content:
                    wrong = contract.errors(content["schema"], content["example"])
                    assert not wrong, (path, method, wrong)
                    reply = send(server.port, method.upper(), path, json.dumps(content["example"]))
                    assert reply[0] == 200, reply


def test_the_problem_codes_are_those_of_the_source(binary, directory):
    with Running(binary, directory) as server:
        components = document(server).document["components"]
    described = set(components["schemas"]["Problem"]["properties"]["code"]["enum"])
    literals, named = set(), set()
    for folder, _, files in os.walk(SOURCE):
        for name in files:
            if name.endswith((".cpp", ".hpp")):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    text = file.read()
                literals.update(re.findall(r'"([a-z_]+)"', text))
                named.update(re.findall(r'\b(?:code|too_large) = "([a-z_]+)"', text))
    # A bug is answered with internal, and no code path is meant to have one.
    assert described - literals <= {"internal"}, described - literals
    assert named <= described, named - described
    for status in components["responses"].values():
        for content in status.get("content", {}).values():
            for part in content["schema"].get("allOf", ()):
                codes = part.get("properties", {}).get("code", {}).get("enum", ())
                assert set(codes) <= described, codes


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], sys.argv[1]))
