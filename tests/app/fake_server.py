"""An HTTP server that answers what a test wants, on a free port of the loopback."""
import json
import socket
import ssl
import threading


def reply(status, body, content_type="application/json", extra=""):
    if isinstance(body, (dict, list)):
        body = json.dumps(body, separators=(",", ":")) + "\n"
    if isinstance(body, str):
        body = body.encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n"
    head += f"Content-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def problem(status, code, **members):
    return reply(
        status,
        {"type": "about:blank", "status": status, "code": code, "detail": "why not", **members},
    )


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body


def chunk(body):
    return b"%x\r\n%s\r\n" % (len(body), body)


def chunked(status, *parts, extra="", ends=True):
    """A reply in chunks. It is cut off after the parts unless it `ends`."""
    head = f"HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n{extra}\r\n".encode()
    return head + b"".join(chunk(part) for part in parts) + (b"0\r\n\r\n" if ends else b"")


class Fake:
    """A server. `answer(request, connection)` returns the bytes to send, or None for none. Unless
    `reads_body`, the request has what came of its body with the head. A GET of /status gets
    `status`, and is not in `requests`."""

    def __init__(self, answer, reads_body=True, context=None):
        self.answer = answer
        self.reads_body = reads_body
        self.context = context  # of ssl; None: plain HTTP
        # What a command that looks for other members gets. None: that is for `answer`.
        self.status = problem(404, "no_such_path")
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, raw):
        try:
            connection = self.context.wrap_socket(raw, server_side=True) if self.context else raw
        except (ssl.SSLError, OSError):
            raw.close()
            return
        with connection:
            data = b""
            while b"\r\n\r\n" not in data:
                more = connection.recv(65536)
                if not more:
                    return
                data += more
            head, body = data.split(b"\r\n\r\n", 1)
            body = bytearray(body)
            lines = head.decode("latin-1").split("\r\n")
            method, target, _ = lines[0].split(" ")
            headers = {
                name.lower(): value.strip()
                for name, value in (line.split(":", 1) for line in lines[1:])
            }
            if self.reads_body and not self.read_body(connection, headers, body):
                return
            request = Request(method, target, headers, bytes(body))
            if target == "/status" and self.status is not None:
                return connection.sendall(self.status)
            self.requests.append(request)
            out = self.answer(request, connection)
            if out is not None:
                connection.sendall(out)
            if self.context and out is not None:
                self.say_end(connection)

    @staticmethod
    def say_end(connection):
        try:
            connection.unwrap()
        except (ssl.SSLError, OSError):
            pass  # the client has not waited for it

    def read_body(self, connection, headers, body):
        """Completes `body`. False if the connection ends before it does."""
        if headers.get("transfer-encoding") == "chunked":
            raw, body[:] = bytearray(body), b""
            while True:
                while b"\r\n" not in raw:
                    if not self.receive(connection, raw):
                        return False
                size, raw = raw.split(b"\r\n", 1)
                size = int(size, 16)
                while len(raw) < size + 2:
                    if not self.receive(connection, raw):
                        return False
                body += raw[:size]
                raw = raw[size + 2:]
                if size == 0:
                    return True
        while len(body) < int(headers.get("content-length", 0)):
            if not self.receive(connection, body):
                return False
        return True

    @staticmethod
    def receive(connection, buffer):
        more = connection.recv(65536)
        buffer += more
        return bool(more)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


_taken = []  # what refused_url() has given out


def refused_url():
    """An address at which nobody listens. The port stays taken until this process ends, so that no
    server of a test that runs at the same time gets it."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    _taken.append(taken)
    return f"http://127.0.0.1:{taken.getsockname()[1]}"
