"""When keys with a time to live are gone from linearizable reads, while a leader is frozen, killed
or cut off. Time without a leader does not count."""

import time

from harness import wait_for
from http_api import Broken, NotSent
from runner import expect, expect_equal

TTL = 2.0
LATE = 0.1  # the most that a key may outlive its time to live
# If more time passes between two acknowledged writes, the time between them counts as time without
# a leader. So a busy machine, which delays reads and writes alike, makes no key late.
GAP = 0.04


def attempt(node, method, key, query='', body=None):
    """The reply, or None if the node could not serve the request."""
    try:
        reply = node.api(1).request(method, f'/kv/{key}?timeout=200ms{query}', body, timeout=1)
    except (Broken, NotSent):
        return None
    return reply if reply.status in (200, 404) else None


class Observer:
    """Writes and reads through `nodes`, and keeps the times at which writes were acknowledged."""

    def __init__(self, nodes):
        self.nodes, self.acknowledged = nodes, []

    def put(self, key, query=''):
        """Puts until a node acknowledges it. Returns the reply, and when that attempt began."""
        def once():
            for node in self.nodes:
                began = time.monotonic()
                reply = attempt(node, 'PUT', key, query, b'x')
                if reply is not None:
                    self.acknowledged.append(time.monotonic())
                    return reply.json(), began
            return None
        return wait_for(f'a write of {key}', once)

    def uncounted(self, since, until):
        """The time without a leader in a span that begins and ends with an acknowledged write, or
        close to one."""
        times = [since, *(at for at in self.acknowledged if since < at < until), until]
        return sum(b - a for a, b in zip(times, times[1:]) if b - a > GAP)

    def check_gone(self, key, began, answered):
        """Reads until the key is gone. It was put between `began` and `answered`."""
        last_seen = answered

        def gone():
            nonlocal last_seen
            self.put('pulse')
            for node in self.nodes:
                start = time.monotonic()
                reply = attempt(node, 'GET', key)
                if reply is not None and reply.status == 404:
                    return time.monotonic()
                if reply is not None:
                    last_seen = start
            return None
        at = wait_for(f'{key} to expire', gone, 20)
        early = began + TTL - at
        expect(early < 0.001, f'{key} was gone {1000 * early:.0f} ms early')
        late = last_seen - answered - TTL - self.uncounted(answered, last_seen)
        expect(late < LATE, f'{key} was there {1000 * late:.0f} ms after its deadline')


def check_round(cluster, leader, others, turn, fault, mend):
    """`fault` takes `leader` away until `mend`. One key ends at its deadline. The other one gets a
    new time to live meanwhile, of which the old leader cannot know when it comes back."""
    observer = Observer(others)
    going, staying = f'going/{turn}', f'staying/{turn}'
    observer.put(staying, f'&ttl={TTL:.0f}s')
    _, began = observer.put(going, f'&ttl={TTL:.0f}s')
    answered = observer.acknowledged[-1]
    fault()
    expect(cluster.wait_leader(nodes=others) is not leader, 'no other leader')
    kept, _ = observer.put(staying, '&ttl=1h')
    observer.check_gone(going, began, answered)
    mend()
    cluster.wait_ready()
    cluster.wait_equal()
    for node in cluster.nodes:
        found = node.api().request('GET', f'/kv/{staying}').json()
        expect_equal(found['revision'], kept['revision'], f'the revision of {staying} at {node}')
