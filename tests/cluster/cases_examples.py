"""Runs the examples of README.md and docs/http-api.md in order, and compares the shape of what they
print with what the pages show: statuses, names of headers, names and types of JSON members, and
text without its numbers. An example is a line that begins with "$ " in a block of code; what
follows, up to the next one, is its output."""

import itertools
import json
import os
import re
import subprocess

from harness import SLOW, TLS, Cluster, wait_for
from runner import Skipped, case, expect, expect_equal

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..')

# Parts of commands that cannot be run here, each with the reason.
NOT_RUN = {
    '/watch?prefix=app/': 'the stream does not end',
    '/trace': 'the stream does not end',
    '&since=15': 'the page shows no output, and the request waits for 30 s',
    '/cluster/members': 'needs a server that joins; cases_membership_api.py adds and removes some',
    '/chaos': 'needs the nodes of vesper dev; cases_hands_on.py has them',
}
# Members whose values later commands repeat. What the page has there is replaced by what this
# cluster has given.
REPEATED = ('next', 'lease', 'token')
# Members whose values must be those of the page.
EXACT = ('code', 'status', 'succeeded', 'released', 'type')


class Example:
    def __init__(self, page, line, command):
        self.where, self.command, self.output = f'{page}:{line}', command, []

    @property
    def text(self):
        return '\n'.join(self.output).strip('\n')


def examples_of(page):
    found, inside = [], False
    with open(os.path.join(ROOT, page), encoding='utf-8') as f:
        for number, line in enumerate(f.read().splitlines(), 1):
            if line.startswith('```'):
                inside, running = not inside, False
            elif inside and line.startswith('$ '):
                found.append(Example(page, number, line[2:]))
                running = True
            elif inside and running:
                found[-1].output.append(line)
    return found


def kind_of(value):
    if isinstance(value, bool) or value is None:
        return 'true or false' if value is not None else 'null'
    return {dict: 'an object', list: 'a list', str: 'a string'}.get(type(value), 'a number')


def difference(shown, found, at='the reply'):
    """How the shape of `found` differs from `shown`, or None. Each element of a list must be like
    one of those shown."""
    if kind_of(shown) != kind_of(found):
        return f'{at} is {kind_of(found)}, the page shows {kind_of(shown)}'
    if isinstance(shown, dict):
        if set(shown) != set(found):
            return (f'{at} has {sorted(set(found) - set(shown))} more and lacks '
                    f'{sorted(set(shown) - set(found))}')
        for name in EXACT:
            if shown.get(name) != found.get(name):
                return f'{at}.{name} is {found[name]!r}, the page shows {shown[name]!r}'
        every = (difference(shown[name], found[name], f'{at}.{name}') for name in shown)
        return next(filter(None, every), None)
    if isinstance(shown, list):
        if bool(shown) != bool(found):
            return f'{at} has {len(found)} elements, the page shows {len(shown)}'
        for i, element in enumerate(found):
            wrong = [difference(one, element, f'{at}[{i}]') for one in shown]
            if all(wrong):
                return wrong[0]
    return None


def as_json(line):
    try:
        return json.loads(line)
    except ValueError:
        return None


def plain(line):
    """A line of text without what differs from run to run: numbers, and who leads."""
    line = re.sub(r'\b(leader|follower)\b', 'role', line)
    return re.sub(r'\s+', ' ', re.sub(r'\d+(\.\d+)?', '0', line)).strip()


def differences(shown, found):
    """Of what two runs of one command print."""
    shown, found = shown.splitlines(), found.replace('\r', '').strip('\n').splitlines()
    for i, (ours, theirs) in enumerate(itertools.zip_longest(shown, found), 1):
        if ours is None or theirs is None:
            yield f'{len(found)} lines, the page shows {len(shown)}: {found}'
            return
        if as_json(ours) is not None and as_json(theirs) is not None:
            wrong = difference(as_json(ours), as_json(theirs))
        else:
            header = re.match(r'[A-Z][\w-]+: ', ours)
            same = theirs.startswith(header[0]) if header else plain(ours) == plain(theirs)
            wrong = None if same else f'{theirs!r}, the page shows {ours!r}'
        if wrong:
            yield f'line {i}: {wrong}'


class Session:
    """Runs the commands of one page, one after the other."""

    def __init__(self, cluster, page):
        self.cluster, self.page = cluster, page
        self.env = {**os.environ, 'NO_COLOR': '1',
                    'VESPER_ENDPOINTS': ','.join(node.url for node in cluster.nodes)}
        self.replaced = {}  # what the page shows -> what this cluster has given

    def runnable(self, command):
        for node in self.cluster.nodes:
            command = command.replace(f'127.0.0.1:500{node.id}', f'127.0.0.1:{node.port}')
        command = command.replace('build/vesper', self.cluster.binary)
        for ours, theirs in self.replaced.items():
            command = re.sub(rf'(?<=[=:/]){re.escape(ours)}\b', theirs, command)
        return re.sub(r'(^|\| )curl ', r'\1curl -sS ', command)

    def run(self, example):
        made = re.fullmatch(r'cat ([\w.]+)', example.command)
        if made:  # a file that the page shows
            with open(os.path.join(self.cluster.dir, made[1]), 'w', encoding='utf-8') as f:
                f.write(example.text + '\n')
        done = subprocess.run(['sh', '-c', self.runnable(example.command)], env=self.env,
                              cwd=self.cluster.dir, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=30 * SLOW, check=False)
        printed = done.stdout + done.stderr
        self.remember(example.text, printed)
        return [f'{example.where}: {wrong}' for wrong in differences(example.text, printed)]

    def remember(self, shown, found):
        for ours, theirs in zip(shown.splitlines(), found.splitlines()):
            ours, theirs = as_json(ours), as_json(theirs)
            if not isinstance(ours, dict) or not isinstance(theirs, dict):
                continue
            for name in REPEATED:
                if name in ours and name in theirs:
                    self.replaced[str(ours[name])] = str(theirs[name])
            if str(theirs.get('token')).startswith('vsp_'):
                self.env.setdefault('VESPER_TOKEN', theirs['token'])

    def run_all(self):
        if TLS:
            raise Skipped('the examples speak in clear')
        wrong, unused = [], dict(NOT_RUN)
        for example in examples_of(self.page):
            reason = next((part for part in NOT_RUN if part in example.command), None)
            if reason:
                unused.pop(reason, None)
                continue
            wrong += self.run(example)
            if '/auth/tokens' in example.command:  # the examples after it have no token
                api = self.cluster.nodes[0].api(token=self.env['VESPER_TOKEN'])
                expect_equal(api.request('POST', '/auth/disable').status, 200, '/auth/disable')
                wait_for('all nodes to know', lambda: all(
                    node.api().request('GET', '/kv?count_only&consistency=stale').status == 200
                    for node in self.cluster.nodes))
        expect(not wrong, lambda: '\n'.join(wrong))
        return unused


@case('the examples of the README print what it shows')
def readme(binary):
    with Cluster(binary, 5) as cluster:
        Session(cluster, 'README.md').run_all()


@case('the examples of docs/http-api.md print what it shows')
def http_api(binary):
    with Cluster(binary, 3) as cluster:
        # The page shows some, and a young node has none yet.
        wait_for('figures', lambda: json.loads(
            cluster.nodes[0].api().request('GET', '/figures').body)['samples'])
        unused = Session(cluster, 'docs/http-api.md').run_all()
        expect(not unused, f'no example has these parts any more: {list(unused)}')
