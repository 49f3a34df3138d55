"""The web page in Firefox, if it is installed: every view of a real cluster, an election, an edit
and the tour. What the page does is tested in Chromium (cases_page.py, cases_picture.py,
cases_data.py, cases_hands_on.py); here it must do the same in another browser."""

import json
import os

from cases_hands_on import LEADER, lead_elsewhere, leader_on, pass_step, select
from dev_cluster import DevCluster
from firefox import FirefoxPage
from harness import Cluster, wait_for
from page_steps import SIZES, click, fill, go, key_route, text_of, wait_text
from runner import case, expect, expect_equal

VIEWS = {'#/cluster': 'Members', '#/tour': 'Step 1 of 8', '#/data': 'app/', '#/health': 'No alarms',
         key_route('app/name'): 'vesper', key_route('app/name', tab='history'): 'version 1',
         '#/data?pane=live': 'Listening', '#/data?pane=leases': 'No leases',
         '#/data?pane=locks': 'report', '#/data?pane=elections': 'No election has'}


@case('Firefox shows every view, wide and narrow, without a complaint')
def every_view(binary):
    folder = os.path.join(os.path.dirname(binary), 'screenshots')
    os.makedirs(folder, exist_ok=True)
    with Cluster(binary, 3) as cluster:
        api = cluster.nodes[0].api()
        api.put('app/name', 'vesper')
        api.request('POST', '/locks/report?ttl=1h')
        with FirefoxPage(cluster.nodes[0].url + '/ui/') as page:
            wait_for('three nodes', lambda: page.run(
                'document.querySelectorAll(".ring .node:not(.unknown)").length') == 3)
            wait_for('a message under way', lambda: page.run(
                'document.querySelector(".ring .message") !== null'))
            wait_for('three rows of logs', lambda: page.run(
                'document.querySelectorAll(".log-row .cell.applied").length') >= 3)
            for route, text in VIEWS.items():
                go(page, route)
                wait_text(page, text)
            wait_for('a line in a plot', lambda: (go(page, '#/health'), page.run(
                'document.querySelector(".plot path[d*=L]") !== null'))[-1])
            page.resize(*SIZES['narrow'])
            for place, route in enumerate(VIEWS):
                go(page, route)
                wait_text(page, VIEWS[route])
                wide = page.run('document.documentElement.scrollWidth - innerWidth')
                expect(wide <= 0, f'{route}: {wide} px wider than the window')
                page.screenshot(os.path.join(folder, f'firefox-{place}.png'))
            expect_equal(page.complaints(), [], 'complaints')


@case('in Firefox an edit is saved, and a conflict shows both versions')
def edit(binary):
    with Cluster(binary, 1) as cluster:
        api = cluster.nodes[0].api()
        api.put('doc', 'one')
        with FirefoxPage(cluster.nodes[0].url + '/ui/' + key_route('doc')) as page:
            wait_text(page, 'one', '.value')
            for text in ('two', 'three'):
                click(page, 'Edit')
                fill(page, 'textarea', text)
                if text == 'three':
                    api.put('doc', 'theirs')
                click(page, 'Save')
                if text == 'two':
                    wait_text(page, 'two', '.value')
            wait_text(page, 'The key has changed meanwhile')
            expect_equal(text_of(page, '.mine .value').strip(), 'three', 'the own version')
            expect_equal(text_of(page, '.theirs .value').strip(), 'theirs', 'the other version')
            click(page, 'Write mine over it')
            wait_for('the write', lambda: api.get('doc').json()['value'] == 'three')
            expect_equal(page.complaints(), [], 'complaints')


@case('in Firefox the live changes are connected at once, also when the watch is resumed')
def resumed_watch(binary):
    with Cluster(binary, 1) as cluster:
        node = cluster.nodes[0]
        with FirefoxPage(node.url + '/ui/#/data?pane=live') as page:
            wait_text(page, 'Listening')
            node.api().put('a', 'first')
            wait_text(page, 'first', '.tail')
            node.kill()
            wait_text(page, 'Connecting')
            node.start()
            cluster.wait_ready()
            # Nothing changes, and a silent stream says something only after 15 s.
            wait_text(page, 'Listening')
            node.api().put('a', 'second')
            wait_text(page, 'second', '.tail')
            wait_text(page, '2 changes so far')


@case('in Firefox the leader is killed, the next one is seen, and the tour begins')
def leader_and_tour(binary):
    with DevCluster(binary, 3) as cluster, FirefoxPage(cluster.url + '/ui/') as page:
        leader = lead_elsewhere(page)
        select(page, leader)
        click(page, 'Kill', '.hands-on')
        wait_for('the next leader', lambda: page.run(LEADER) not in (None, str(leader)))
        wait_text(page, 'unreachable: killed', f'.ring [data-node="{leader}"]')
        click(page, 'Restart', '.hands-on')
        wait_for('all nodes', lambda: page.run(
            'document.querySelectorAll(".ring .node:not(.absent)").length') == 3)
        leader_on(page)
        go(page, '#/tour')
        for step in (1, 2, 3):
            pass_step(page, step)
            click(page, 'Next', '.tour-step')
        wait_text(page, 'Step 4 of 8')
        expect_equal(page.run(f'location.hash === {json.dumps("#/tour?step=4")}'), True, 'address')
        expect_equal(page.complaints(), [], 'complaints')
