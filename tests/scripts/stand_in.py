"""A stand-in for the `vesper` binary, for the tests of the scripts: `server ID LIST --data-dir DIR`
answers /status, /kv/ and /request on the address of its line; `client` and `status` ask it. The
"replicated" store is a file beside the data, and the leader is the lowest node that runs.
"""
import http.client
import http.server
import json
import os
import sys
import urllib.parse


def read_list(path):
    with open(path, encoding="utf-8-sig") as file:
        lines = [line.strip().rstrip("/") for line in file]
    return [line for line in lines if line and not line.startswith("#")]


def ask(url, method, path, body=None, timeout=1.0):
    host = urllib.parse.urlsplit(url).netloc
    connection = http.client.HTTPConnection(host, timeout=timeout)
    try:
        connection.request(method, path, body)
        return connection.getresponse().read().decode()
    except OSError:
        return None
    finally:
        connection.close()


class Node(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/status":
            leader = next((url for url in Node.urls if self.alive(url)), None)
            self.reply({"id": Node.id, "leader": leader})
        elif self.path == "/alive":
            self.reply({})
        elif self.path == "/request":
            key = json.loads(self.body())["payload"]["key"]
            self.reply({"code": "success", "payload": {"key": key, "value": self.load().get(key)}})
        else:
            key = self.path.removeprefix("/kv/")
            self.reply({"key": key, "value": self.load().get(key), "revision": 2})

    def do_PUT(self):
        if self.path == "/request":
            payload = json.loads(self.body())["payload"]
            self.store(payload["key"], payload["value"])
            self.reply({"code": "success"})
        else:
            self.store(self.path.removeprefix("/kv/"), self.body().decode())
            self.reply({"key": self.path.removeprefix("/kv/"), "revision": 2})

    def alive(self, url):
        return url == Node.urls[Node.id] or ask(url, "GET", "/alive", timeout=0.3) is not None

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def reply(self, value):
        data = (json.dumps(value, separators=(",", ":")) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def load(self):
        try:
            with open(Node.shared, encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def store(self, key, value):
        values = self.load()
        values[key] = value
        with open(Node.shared, "w", encoding="utf-8") as file:
            json.dump(values, file)

    def log_message(self, *words):
        pass


def serve(node, path, folder):
    Node.id, Node.urls = int(node), read_list(path)
    Node.shared = os.path.join(os.path.dirname(folder), "shared.json")
    os.makedirs(folder, exist_ok=True)
    if os.path.exists(os.path.join(folder, "refuse")):
        print("data directory refused: it is another cluster's", flush=True)
        return 11
    address = urllib.parse.urlsplit(Node.urls[Node.id])
    http.server.ThreadingHTTPServer.daemon_threads = True
    http.server.ThreadingHTTPServer((address.hostname, address.port), Node).serve_forever()
    return 0


def main(arguments):
    command, *rest = arguments
    if command == "server":
        return serve(rest[0], rest[1], rest[3])
    if command == "status":
        urls = rest[rest.index("--endpoints") + 1].split(",")
        answers = [ask(url, "GET", "/status") for url in urls]
        for url, answer in zip(urls, answers):
            print(url, (answer or "unreachable").strip())
        return 0 if sum(answer is not None for answer in answers) > len(urls) // 2 else 5
    payload = dict(zip(("key", "value"), rest[1:]))
    body = json.dumps({"payload": payload})
    answer = ask(rest[0], "PUT" if "value" in payload else "GET", "/request", body)
    print((answer or "").strip())
    return 0 if answer else 5


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
