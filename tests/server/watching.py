"""A client of /watch, and of /trace: reads server-sent events or lines, and keeps the last id.
Standard library only; the tests of a single node and of clusters share it."""

import http.client
import json


class Watch:
    """At the end of the stream, its methods raise EOFError; `complete` says how it ended."""

    def __init__(self, port, query='', headers=(), timeout=20, host='127.0.0.1', path='/watch',
                 tls=None):
        if tls:
            self.connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=tls)
        else:
            self.connection = http.client.HTTPConnection(host, port, timeout=timeout)
        self.text, self.last_id, self.complete = bytearray(), None, False
        try:
            self.connection.request('GET', path + query, headers=dict(headers))
            self.reply = self.connection.getresponse()
        except http.client.HTTPException as error:
            raise EOFError('no answer') from error
        self.status = self.reply.status
        self.fields = {name.lower(): value for name, value in self.reply.getheaders()}
        self.problem = json.loads(self.reply.read()) if self.status != 200 else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.reply.close()
        self.connection.close()

    def _piece(self, end):
        searched = 0
        while (at := self.text.find(end, searched)) < 0:
            searched = max(0, len(self.text) - len(end) + 1)
            try:
                got = self.reply.read1(1 << 16)
            except http.client.HTTPException as error:
                raise EOFError('the stream was cut off') from error
            if not got:
                self.complete = True
                raise EOFError('the stream has ended')
            self.text += got
        piece = self.text[:at].decode()
        del self.text[:at + len(end)]
        return piece

    def line(self):
        """The next NDJSON line."""
        return json.loads(self._piece(b'\n'))

    def block(self):
        """The next block: {"comment", "event", "id", "data"}, as far as they are there."""
        block = {}
        for line in self._piece(b'\n\n').split('\n'):
            name, _, value = line.partition(':')
            assert name in ('', 'event', 'id', 'data'), line
            assert name not in block, line
            block[name or 'comment'] = value.removeprefix(' ')
        if 'id' in block:
            self.last_id = block['id']
        if 'data' in block:
            block['data'] = json.loads(block['data'])
        return block

    def event(self):
        """The next block that is an event: (type, id, data). Comments and bare ids pass by."""
        while True:
            block = self.block()
            if 'event' in block:
                return block['event'], block.get('id'), block['data']

    def events(self, count):
        return [self.event() for _ in range(count)]

    def next_of(self, kind):
        """The next event of this type."""
        while True:
            event = self.event()
            if event[0] == kind:
                return event
