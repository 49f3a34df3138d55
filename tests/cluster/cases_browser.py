"""Watches in a real browser: its EventSource, over nodes that are killed."""

import json

from browser import Page
from harness import Cluster, wait_for
from runner import case, expect_equal

LISTEN = '''
window.seen = [];
window.states = [];
window.source = new EventSource('/watch?prefix=a/');
source.addEventListener('put', e => seen.push([e.lastEventId, JSON.parse(e.data).key]));
source.onopen = () => states.push('open');
source.onerror = () => states.push('error');
true
'''


@case('an EventSource resumes over a killed node, without a gap or a duplicate')
def event_source_resumes(binary):
    with Cluster(binary, 3) as cluster:
        node = cluster.nodes[0]
        other = cluster.nodes[1]
        with Page(node.url + '/') as page:
            wait_for('the page', lambda: page.run(
                f'location.protocol == "{cluster.scheme}:" && document.readyState == "complete"'))
            page.run(LISTEN)
            wait_for('the stream to open', lambda: page.run('states[0]') == 'open')
            expected = []

            def put(name):
                reply = other.api().put(name, 'x', '?timeout=10s', timeout=15).json()
                expected.append([str(reply['revision']), name])

            def seen():
                return json.loads(page.run('JSON.stringify(seen)'))
            for i in range(3):
                put(f'a/{i}')
            other.api().put('b/not-watched', 'x')
            wait_for('the first events', lambda: seen() == expected)
            node.kill()
            put('a/while-down')
            wait_for('the loss', lambda: page.run('states.includes("error")'))
            node.start()
            cluster.wait_ready()
            put('a/after')
            wait_for('the stream to resume', lambda: len(seen()) >= len(expected), 30)
            expect_equal(seen(), expected, 'events')
