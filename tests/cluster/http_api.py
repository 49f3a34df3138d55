"""A small HTTP/1.1 client with deadlines that hides nothing: what was sent, whether it was sent,
and what was received. For tests only; it knows the contract (docs/http-api.md) but no process."""

import json
import socket
import time
import urllib.parse


class NotSent(Exception):
    """The connection could not be made: nothing was applied."""


class Broken(Exception):
    """The connection ended or the deadline passed before the reply: the outcome is unknown."""


class Reply:
    def __init__(self, version, status, headers, body):
        self.version, self.status, self.headers, self.body = version, status, headers, body

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The `code` of a problem body, or None."""
        try:
            return self.json().get('code')
        except (ValueError, AttributeError):
            return None

    def __repr__(self):
        return f'<{self.status} {self.headers} {self.body[:300]!r}>'


def escape_key(key):
    raw = key if isinstance(key, bytes) else key.encode()
    return urllib.parse.quote(raw, safe='/')


def request_bytes(method, target, body=None, headers=(), version='HTTP/1.1', host='localhost'):
    """The bytes of one request; a body other than None gets a Content-Length."""
    lines = [f'{method} {target} {version}', f'Host: {host}']
    lines += [f'{name}: {value}' for name, value in dict(headers).items()]
    if body is not None:
        lines.append(f'Content-Length: {len(body)}')
    return '\r\n'.join(lines).encode() + b'\r\n\r\n' + (body or b'')


class Connection:
    """One TCP connection, with TLS if there is a context. Every call has a deadline for the whole
    call, in seconds."""

    def __init__(self, port, timeout=5.0, host='127.0.0.1', tls=None):
        self.buffer = b''
        self.used = False
        try:
            self.socket = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise NotSent(str(error)) from error
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            try:
                self.socket = tls.wrap_socket(self.socket, server_hostname=host)
            except OSError as error:
                self.socket.close()
                raise NotSent(str(error)) from error

    def close(self):
        self.socket.close()

    def send(self, data, timeout=5.0):
        try:
            self.socket.settimeout(timeout)
            self.socket.sendall(data)
        except OSError as error:
            raise Broken(f'while sending: {error}') from error

    def more(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise Broken('no answer within the deadline')
        try:
            self.socket.settimeout(left)
            data = self.socket.recv(1 << 18)
        except OSError as error:
            raise Broken(f'while reading: {error}') from error
        if not data:
            raise Broken(f'closed with {len(self.buffer)} bytes of an answer')
        self.buffer += data

    def at_end(self, timeout=5.0):
        """True if the server closes without another byte; False if it sends or stays open."""
        try:
            self.socket.settimeout(timeout)
            return not self.buffer and self.socket.recv(1) == b''
        except ConnectionResetError:
            return True
        except OSError:
            return False

    def read(self, method='GET', timeout=5.0):
        """The next reply. A 100 Continue is a reply of its own."""
        deadline = time.monotonic() + timeout
        while b'\r\n\r\n' not in self.buffer:
            self.more(deadline)
        head, self.buffer = self.buffer.split(b'\r\n\r\n', 1)
        lines = head.decode('latin-1').split('\r\n')
        version, status = lines[0].split(' ')[:2]
        headers = {}
        for line in lines[1:]:
            name, value = line.split(':', 1)
            headers[name.strip().lower()] = value.strip()
        status = int(status)
        if status < 200 or status in (204, 304) or method == 'HEAD':
            return Reply(version, status, headers, b'')
        if headers.get('transfer-encoding') == 'chunked':
            return Reply(version, status, headers, self.chunks(deadline))
        if 'content-length' not in headers:
            return Reply(version, status, headers, self.rest(deadline))
        length = int(headers['content-length'])
        while len(self.buffer) < length:
            self.more(deadline)
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Reply(version, status, headers, body)

    def chunks(self, deadline):
        body = b''
        while True:
            while b'\r\n' not in self.buffer:
                self.more(deadline)
            size, self.buffer = self.buffer.split(b'\r\n', 1)
            size = int(size.split(b';')[0], 16)
            while len(self.buffer) < size + 2:
                self.more(deadline)
            body, self.buffer = body + self.buffer[:size], self.buffer[size + 2:]
            if size == 0:
                return body

    def rest(self, deadline):
        try:
            while True:
                self.more(deadline)
        except Broken as error:
            if 'closed' not in str(error):
                raise
        body, self.buffer = self.buffer, b''
        return body


class Api:
    """Requests to one node over one persistent connection, with a token if there is one."""

    def __init__(self, port, timeout=5.0, host='127.0.0.1', tls=None, token=None):
        self.port, self.host, self.timeout, self.connection = port, host, timeout, None
        self.tls, self.token = tls, token

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def request(self, method, target, body=None, headers=(), timeout=None):
        timeout = timeout or self.timeout
        if self.token:
            headers = {'Authorization': f'Bearer {self.token}', **dict(headers)}
        if self.connection is None:
            self.connection = Connection(self.port, timeout, self.host, self.tls)
        try:
            data = request_bytes(method, target, body, headers, host=f'{self.host}:{self.port}')
            self.connection.send(data, timeout)
            reply = self.connection.read(method, timeout)
        except Broken:
            self.close()
            raise
        if reply.headers.get('connection', '').lower() == 'close':
            self.close()
        return reply

    def get(self, key, query='', **more):
        return self.request('GET', f'/kv/{escape_key(key)}{query}', **more)

    def put(self, key, value, query='', **more):
        value = value if isinstance(value, bytes) else value.encode()
        return self.request('PUT', f'/kv/{escape_key(key)}{query}', value, **more)

    def delete(self, key, query='', **more):
        return self.request('DELETE', f'/kv/{escape_key(key)}{query}', **more)

    def status(self, timeout=1.0):
        return self.request('GET', '/status', timeout=timeout).json()

    def seed(self, method, key, *value, timeout=1.0):
        """A request of the seed project: JSON in the body even of a GET; gives up after 1 s."""
        payload = {'key': key, **({'value': value[0]} if value else {})}
        body = json.dumps({'type': method.lower(), 'payload': payload}).encode()
        return self.request(method, '/request', body, timeout=timeout,
                            headers={'Content-Type': 'application/json'})
