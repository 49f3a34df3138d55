"""Locks and elections in memory, which answer as docs/http-api.md says as far as the command line
uses them. For use as the answer of a Fake; several fakes may share one."""
import threading
import time
import urllib.parse

from fake_server import problem, reply


class Holder:
    def __init__(self, token, ttl_ms, value):
        self.token, self.ttl_ms, self.value = token, ttl_ms, value
        self.deadline = time.monotonic() + ttl_ms / 1000


def milliseconds(text):
    for unit, factor in (("ms", 1), ("s", 1000), ("m", 60_000)):
        if text.endswith(unit):
            return int(text[:-len(unit)]) * factor
    raise ValueError(text)


class Locks:
    def __init__(self):
        self.change = threading.Condition()
        self.holders = {}  # path -> Holder
        self.granted = {}  # Idempotency-Key -> (path, token)
        self.token = 16
        self.refuse_renewals = None  # what a renewal gets in place of its answer
        self.log = []  # (method, path, parameters)

    def __call__(self, request, connection):
        path, _, query = request.target.partition("?")
        parameters = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        with self.change:
            self.log.append((request.method, path, parameters))
            if request.method == "POST":
                return self.acquire(path, parameters, request)
            if request.method == "PUT":
                return self.renew(path, parameters)
            if request.method == "DELETE":
                return self.release(path, parameters)
        return problem(405, "method_not_allowed")

    def holder(self, path):
        found = self.holders.get(path)
        if found and time.monotonic() >= found.deadline:
            del self.holders[path]
            return None
        return found

    def hold(self, path, ttl_ms=15_000, value=b""):
        """Another client holds it."""
        with self.change:
            self.token += 1
            self.holders[path] = Holder(self.token, ttl_ms, value)
            return self.token

    def free(self, path):
        with self.change:
            self.holders.pop(path, None)
            self.change.notify_all()

    def held(self, path):
        with self.change:
            found = self.holder(path)
            return found.token if found else None

    def requests(self, method):
        with self.change:
            return [entry for entry in self.log if entry[0] == method]

    def wait_for(self, method, count=1):
        deadline = time.monotonic() + 20
        while len(self.requests(method)) < count:
            assert time.monotonic() < deadline, f"no {count} requests {method}"
            time.sleep(0.01)

    def acquire(self, path, parameters, request):
        key = request.headers.get("idempotency-key")
        ttl = milliseconds(parameters.get("ttl", "15s"))
        until = time.monotonic() + milliseconds(parameters.get("wait", "0ms")) / 1000
        if key in self.granted:
            token = self.granted[key]
            found = self.holder(path)
            if not found or found.token != token:
                return problem(412, "lock_lost")
            return reply(200, {"token": token, "ttl_ms": found.ttl_ms})
        while self.holder(path):
            left = until - time.monotonic()
            if left <= 0:
                return problem(409, "lock_busy", token=self.holders[path].token)
            self.change.wait(min(left, 0.05))
        self.token += 1
        self.holders[path] = Holder(self.token, ttl, request.body)
        self.granted[key] = self.token
        return reply(200, {"token": self.token, "ttl_ms": ttl})

    def renew(self, path, parameters):
        if self.refuse_renewals:
            return self.refuse_renewals
        found = self.holder(path)
        if not found or found.token != int(parameters["token"]):
            return problem(412, "lock_lost")
        found.deadline = time.monotonic() + found.ttl_ms / 1000
        return reply(200, {"token": found.token, "ttl_ms": found.ttl_ms})

    def release(self, path, parameters):
        found = self.holder(path)
        held = bool(found) and found.token == int(parameters["token"])
        if held:
            del self.holders[path]
            self.change.notify_all()
        return reply(200, {"released": held})
