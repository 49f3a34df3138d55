#!/usr/bin/env python3
"""A stand-in for `vesper server`, as small as the tests of the tests allow. The nodes of a list
share one file under a lock, so that they are correct without consensus. STAND_IN_LIE makes them
wrong now and then in one way: stale (an old value is read), lose (an acknowledged write is
dropped), twice (a write takes effect again later). test_harness.py checks that the cluster tests
notice."""

import fcntl
import json
import os
import random
import signal
import socketserver
import sys
import urllib.parse

LIE = os.environ.get('STAND_IN_LIE', '')
NODE, LIST = int(sys.argv[2]), sys.argv[3]
FOLDER = os.path.dirname(LIST)
with open(LIST, encoding='ascii') as lines:
    URLS = lines.read().split()
RANDOM = random.Random(NODE)
OLD, AGAIN = {}, []  # the material for lies: old values, and writes to repeat


def lies(kind):
    return LIE == kind and RANDOM.random() < 0.03


def leader():
    """The node with the lowest id that runs."""
    for i, url in enumerate(URLS):
        try:
            with open(f'{FOLDER}/pid{i}', encoding='ascii') as f:
                if os.path.exists(f'/proc/{int(f.read())}'):
                    return i, url
        except (FileNotFoundError, ValueError):
            pass
    return NODE, URLS[NODE]


def transaction(change):
    """Runs change(store) on the shared store, exclusively, and saves the result."""
    with open(f'{FOLDER}/lock', 'a', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with open(f'{FOLDER}/store', encoding='utf-8') as f:
                store = json.load(f)
        except FileNotFoundError:
            store = {'revision': 1, 'items': {}}
        before = store['revision']
        result = change(store)
        if store['revision'] != before and not lies('lose'):
            with open(f'{FOLDER}/store.{NODE}', 'w', encoding='utf-8') as f:
                json.dump(store, f)
            os.rename(f'{FOLDER}/store.{NODE}', f'{FOLDER}/store')
        return result


def operate(store, method, key, headers, body):
    items = store['items']
    item = items.get(key)
    if method == 'GET':
        if lies('stale'):
            item = OLD.get(key, item)
        elif item and RANDOM.random() < 0.1:
            OLD[key] = item
        return (200, dict(item, key=key)) if item else (404, {'code': 'key_not_found'})
    wants, wants_not = headers.get('if-match'), headers.get('if-none-match')
    named = item and wants in ('*', f'"{item["revision"]}"')
    if (wants and not named) or (wants_not and item):
        return 412, {'code': 'precondition_failed',
                     'current_revision': item['revision'] if item else 0}
    if method == 'DELETE' and not item:
        return 200, {'deleted': 0, 'revision': store['revision']}
    store['revision'] += 1
    if method == 'DELETE':
        del items[key]
        return 200, {'deleted': 1, 'revision': store['revision']}
    items[key] = {'value': body.decode(), 'revision': store['revision']}
    if lies('twice'):
        AGAIN.append((method, key, {}, body))
    elif AGAIN and RANDOM.random() < 0.1:
        operate(store, *AGAIN.pop())
        return 200, {'key': key, 'revision': store['revision'] - 1}
    return 200, {'key': key, 'revision': store['revision']}


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            line = self.rfile.readline()
            if not line:
                return
            method, target, _ = line.decode().split()
            headers = {}
            while (line := self.rfile.readline().strip()):
                name, value = line.decode().split(':', 1)
                headers[name.lower()] = value.strip()
            body = self.rfile.read(int(headers.get('content-length', 0)))
            status, revision, out = self.answer(method, target.split('?')[0], headers, body)
            out = json.dumps(out).encode()
            self.wfile.write((f'HTTP/1.1 {status} X\r\nVesper-Revision: {revision}\r\n'
                              f'Content-Length: {len(out)}\r\n\r\n').encode() + out)

    def answer(self, method, path, headers, body):
        if path == '/readyz':
            return 200, 0, {}

        def change(store):
            if path == '/status':
                first, url = leader()
                return 200, store['revision'], {
                    'role': 'leader' if first == NODE else 'follower', 'term': 1 + first,
                    'leader': url, 'revision': store['revision'],
                    'applied_index': store['revision'], 'digest': 'one'}
            key = urllib.parse.unquote(path.removeprefix('/kv/'))
            status, out = operate(store, method, key, headers, body)
            return status, out.get('revision') if method != 'GET' and status == 200 else \
                store['revision'], out
        return transaction(change)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients connect and disconnect


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with open(f'{FOLDER}/pid{NODE}', 'w', encoding='ascii') as mine:
        mine.write(str(os.getpid()))
    Server(('127.0.0.1', int(URLS[NODE].rsplit(':', 1)[1])), Handler).serve_forever()
