"""More load than the cluster can take: it keeps serving at capacity, and no leader is deposed."""

import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

from harness import LONG, SLOW, Cluster, wait_for
from http_api import Broken, NotSent, request_bytes
from runner import Skipped, case, expect, expect_equal

SECONDS = 6 if LONG else 2
# wrk does not wait after a refusal, and sends `depth` requests at a time on each connection.
PUTS = '''
local n, depth, value = 0, %d, string.rep("x", 256)
request = function()
  local batch = {}
  for i = 1, depth do
    n = n + 1
    batch[i] = wrk.format("PUT", "/kv/key" .. (n %% 1000), nil, value)
  end
  return table.concat(batch)
end
'''


def offer(node, connections, depth, seconds=SECONDS):
    """(acknowledged writes, refused writes) per second."""
    with tempfile.NamedTemporaryFile('w', suffix='.lua') as script:
        script.write(PUTS % depth)
        script.flush()
        out = subprocess.run(['wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '-s', script.name,
                              node.url], capture_output=True, text=True, check=True).stdout
    answers = int(re.search(r'(\d+) requests in', out).group(1))
    refused = re.search(r'Non-2xx or 3xx responses: (\d+)', out)
    refused = int(refused.group(1)) if refused else 0
    return (answers - refused) / seconds, refused / seconds


def overload(binary, connections, depth, flags=()):
    if not shutil.which('wrk'):
        raise Skipped('needs wrk')
    with Cluster(binary, 3, flags=flags) as cluster:
        leader = cluster.wait_leader()
        term = leader.status()['term']
        offer(leader, 64, 1, 1)  # warm
        peaks, goods, refusals = [], [], 0
        for _ in range(3):  # alternating, so that other load on the machine affects both
            peaks.append(offer(leader, 64, 1)[0])
            good, refused = offer(leader, connections, depth)
            goods.append(good)
            refusals += refused
        seen = f'peak {peaks}, overloaded {goods} a second, refused {refusals:.0f}'
        expect(statistics.median(goods) >= 0.8 * statistics.median(peaks), seen)
        cluster.wait_ready()
        expect_equal([node.status()['term'] for node in cluster.nodes], [term] * 3, f'term; {seen}')
        return refusals


@case('ten times the clients with sixteen writes each depose no leader and keep 80 % goodput')
def _(binary):
    overload(binary, 640, 16)


@case('ten times the limit in flight is refused in part, deposes no leader, keeps 80 % goodput')
def _(binary):
    refused = overload(binary, 640, 4, ['--max-inflight', '65536'])
    expect(refused > 0, 'nothing was refused, so there was no overload')


def put(number):
    return request_bytes('PUT', f'/kv/k{number}', b'x' * 900)


class Full:
    """with Full(binary) as full: ...   A leader at its limit of writes in flight."""

    def __init__(self, binary):
        self.cluster = Cluster(binary, 3, flags=['--max-inflight', '1000'])

    def __enter__(self):
        self.cluster.__enter__()
        self.leader = self.cluster.wait_leader()
        self.paused = self.cluster.followers()
        for node in self.paused:
            node.pause()
        self.first = self.leader.connect()
        self.first.send(put(0))
        wait_for('the first write to be in flight', self.in_flight)
        return self

    def __exit__(self, *error):
        self.first.close()
        self.cluster.__exit__(*error)

    def in_flight(self):
        text = self.leader.api().request('GET', '/metrics').body.decode()
        return re.search(r'^vesper_inflight_bytes [1-9]', text, re.MULTILINE)

    def resume(self):
        for node in self.paused:
            node.resume()


@case('a refused client is told when to retry, and its connection is not read earlier')
def _(binary):
    with Full(binary) as full:
        impatient = full.leader.connect()
        impatient.send(put(1))
        reply = impatient.read()
        expect_equal((reply.status, reply.code), (429, 'overloaded'), f'{reply}')
        expect_equal((reply.headers['retry-after'], reply.json()['retry_after_ms']), ('1', 1000),
                     'when to retry')
        begin = time.monotonic()
        full.resume()
        expect_equal(full.first.read().status, 200, 'the write that was in flight')
        impatient.send(put(2))
        expect_equal(impatient.read().status, 200, 'the write that did not wait')
        took = time.monotonic() - begin
        expect(0.9 < took < 2.5 * SLOW, f'answered after {took:.2f} s')
        impatient.close()


@case('SIGTERM also answers clients whose connections are held back')
def _(binary):
    with Full(binary) as full:
        held = full.leader.connect()
        held.send(put(1))
        expect_equal(held.read().status, 429, 'refused')
        held.send(put(2))
        time.sleep(0.05)  # so that the request arrives before the signal
        answers = []
        reader = threading.Thread(target=lambda: answers.append(read_or_none(held)))
        reader.start()
        expect_equal(full.leader.terminate(), 0, 'exit code')
        reader.join()
        expect(answers[0] is not None and answers[0].code == 'shutting_down', f'{answers}')
        full.resume()


def read_or_none(connection):
    try:
        return connection.read()
    except (Broken, NotSent):
        return None
