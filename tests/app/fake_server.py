"""An HTTP server that answers what a test wants, on a free port of the loopback."""
import json
import socket
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


class Fake:
    """A server. `answer(request, connection)` returns the bytes to send, or None for none."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
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
            while len(body) < int(headers.get("content-length", 0)):
                more = connection.recv(65536)
                if not more:
                    return
                body += more
            request = Request(method, target, headers, bytes(body))
            self.requests.append(request)
            out = self.answer(request, connection)
            if out is not None:
                connection.sendall(out)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def refused_url():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
