"""Checks requests and replies against the OpenAPI document of a node, and remembers what was seen.
Knows OpenAPI and JSON Schema, but no endpoint."""

import http.client
import json
import re

import jsonschema

METHODS = ("get", "head", "put", "post", "delete", "options", "patch")
EVERY_REPLY = {"vesper-node", "vesper-leader"}  # info.description names them


class Contract:
    def __init__(self, document):
        self.document = document
        self.statuses = set()    # (path, method, status)
        self.bodies = set()      # (path, method, status, media type)
        self.parameters = set()  # (path, method, name), in requests that succeeded

    def resolve(self, node):
        while "$ref" in node:
            target = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    def operation(self, path, method):
        return self.document["paths"][path][method]

    def operations(self):
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield path, method, item[method]

    def parameters_of(self, path, method):
        both = self.document["paths"][path].get("parameters", []) + \
            self.operation(path, method).get("parameters", [])
        return [self.resolve(parameter) for parameter in both]

    def errors(self, schema, value):
        whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema],
                 "components": self.document["components"]}
        return [error.message[:300] for error in
                jsonschema.Draft202012Validator(whole).iter_errors(value)]

    # ---- what the document says of a request

    def body_is_valid(self, path, method, body):
        content = self.operation(path, method)["requestBody"]["content"]["application/json"]
        return not self.errors(content["schema"], json.loads(body))

    # ---- what it says of a reply

    def check(self, path, method, target, reply, used=()):
        """`used`: names of the parameters of the request."""
        status, fields, body = reply
        what = "%s %s -> %d %r" % (method.upper(), target, status, body[:300])
        responses = self.operation(path, method)["responses"]
        response = self.resolve(responses.get(str(status), responses["default"]))
        assert str(status) in responses or status >= 400, "not described: " + what
        self.check_fields(response, fields, what)
        media = self.check_body(response, method, fields, body, what)
        self.statuses.add((path, method, status))
        self.bodies.add((path, method, status, media))
        if status < 400:
            self.parameters.update((path, method, name) for name in used)

    def check_fields(self, response, fields, what):
        known = {name.lower(): self.resolve(header)
                 for name, header in response.get("headers", {}).items()}
        for name, value in fields.items():
            name = name.lower()
            ours = name.startswith("vesper-") or name in ("etag", "allow", "retry-after")
            if not ours or name in EVERY_REPLY:
                continue
            # An error may have Vesper-Revision, Allow and so on: `default` covers many of them.
            if name not in known:
                assert int(what.split(" -> ")[1][:3]) >= 400, "%s: header %s" % (what, name)
                continue
            schema = known[name]["schema"]
            wrong = self.errors(schema, value) and self.errors(schema, literal(value))
            assert not wrong, "%s: header %s: %s" % (what, name, wrong)

    def check_body(self, response, method, fields, body, what):
        if method == "head" or "content" not in response:
            assert body == b"", "a body: " + what
            return None
        media = fields["Content-Type"].split(";")[0]
        assert media in response["content"], "media type %s: %s" % (media, what)
        schema = response["content"][media].get("schema")
        if schema is None or not media.endswith("json"):
            return media
        lines = body.decode().splitlines() if media == "application/x-ndjson" else [body]
        for line in lines:
            wrong = self.errors(schema, json.loads(line))
            assert not wrong, "%s: %s" % (what, wrong)
        return media


def literal(value):
    """A header field as JSON, if it is a number or a boolean."""
    return json.loads(value) if re.fullmatch(r"[0-9]+|true|false", value) else value


def send(port, method, target, body=None, headers=(), endless=False):
    """One request on a connection of its own. Without a body it has no Content-Length either. Of
    an endless reply it returns the first part."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, target, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    if body is not None:
        body = body if isinstance(body, bytes) else body.encode()
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    reply = connection.getresponse()
    try:
        content = reply.read1(1 << 16) if endless else reply.read()
        return reply.status, dict(reply.getheaders()), content
    finally:
        connection.close()
