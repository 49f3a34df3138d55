"""What the web page does to a cluster of `vesper dev`: hands on, and the tour, in a real browser.
The picture itself is in cases_picture.py."""

import json
import re
import subprocess
import time

from browser import Page
from dev_cluster import DevCluster
from harness import SLOW, wait_for
from page_steps import (NO_CONNECTION, click, complaints, go, nameless, shoot, text_of, wait_text)
from runner import Failed, case, expect, expect_equal

LEADER = 'document.querySelector(".ring .node.leader")?.dataset.node'


def leader_on(page):
    return int(wait_for('a leader in the picture', lambda: page.run(LEADER)))


def select(page, node):
    page.run(f'''document.querySelector('.ring [data-node="{node}"]')
      .dispatchEvent(new MouseEvent("click", {{bubbles: true}}))''')
    wait_text(page, f'Node {node}', '[aria-label=Details] h2')


def act(page, node, label):
    select(page, node)
    click(page, label, '.hands-on')


def lead_elsewhere(page):
    """Moves leadership away from node 0, which serves the page; returns the leader."""
    if leader_on(page) == 0:
        act(page, 2, 'Hand leadership over to it')
        wait_for('the next leader', lambda: page.run(LEADER) == '2')
    return leader_on(page)


@case('the leader is killed through the page, which shows the next one within a second')
def kill_the_leader(binary):
    with DevCluster(binary, 5) as cluster, Page(cluster.url + '/ui/') as page:
        wait_for('five nodes', lambda: page.run(
            'document.querySelectorAll(".ring .node:not(.unknown)").length') == 5)
        wait_for('a message under way', lambda: page.run(
            'document.querySelector(".ring .message") !== null'))
        wait_for('an election timer', lambda: page.run(
            'document.querySelector(".ring .timer[d^=M]") !== null'))
        cluster.api().put('a', 'x')
        wait_for('five rows of logs', lambda: page.run(
            '[...document.querySelectorAll(".log-row")].filter(row => '
            'row.querySelectorAll(".cell.applied").length >= 2).length') == 5)
        leader = lead_elsewhere(page)
        select(page, leader)
        page.run(f'''window.next_leader = new Promise(done => {{
          let began;
          const look = () => {{
            const leads = document.querySelector(".ring .node.leader")?.dataset.node;
            if (leads !== undefined && leads !== "{leader}") done(performance.now() - began);
            else requestAnimationFrame(look);
          }};
          document.querySelector('[data-act=kill]').addEventListener("click", () => {{
            began = performance.now();
            look();
          }});
        }}); true''')
        click(page, 'Kill', '.hands-on')
        took = page.run('next_leader')
        wait_text(page, 'unreachable: killed', f'.ring [data-node="{leader}"]')
        expect(took < 1000 * SLOW, f'the next leader was shown after {took:.0f} ms')
        wait_text(page, 'has fallen silent', '.sentences')
        shoot(page, binary, 'killed')
        click(page, 'Restart', '.hands-on')
        wait_for('five nodes again', lambda: page.run(
            'document.querySelectorAll(".ring .node:not(.absent)").length') == 5)
        expect_equal(complaints(page), [], 'complaints')


@case('links are cut and healed, disks slowed and nodes frozen through the page')
def hands_on(binary):
    with DevCluster(binary, 3) as cluster, Page(cluster.url + '/ui/') as page:
        leader_on(page)
        expect_equal(cluster.api().status().get('chaos'), True, 'what /status says of /chaos')
        select(page, 1)
        wait_for('the button', lambda: page.run(
            'document.querySelector(`[data-link="1-2-both"]`)?.click() === undefined'
            '&& document.querySelector(`[data-link="1-2-both"]`) !== null'))
        wait_text(page, 'cut →←', '.hands-on [data-peer="2"]')
        wait_for('two lines', lambda: page.run(
            'document.querySelectorAll(".ring .cuts line").length') == 2)
        click(page, 'Heal all links')
        wait_text(page, 'whole', '.hands-on [data-peer="2"]')
        click(page, 'Slow its disk', '.hands-on')
        wait_for('a warning', lambda: 'slow disk: 50 ms' in (page.run(
            'document.querySelector(`.ring [data-node="1"]`).getAttribute("aria-label")')))
        click(page, 'Disk at full speed', '.hands-on')
        click(page, 'Freeze', '.hands-on')
        wait_text(page, 'unreachable: paused', '.ring [data-node="1"]')
        click(page, 'Unfreeze', '.hands-on')
        wait_for('it is heard again', lambda: page.run(
            'document.querySelector(`.ring [data-node="1"]`).matches(":not(.absent)")'))
        click(page, 'Write a key repeatedly')
        wait_text(page, '5 writes acknowledged', timeout=20)
        click(page, 'Stop writing')
        expect_equal(nameless(page), [], 'without a name')
        expect_equal(complaints(page), [], 'complaints')


@case('the page of one node says that the disk of another is slow')
def slow_disk_elsewhere(binary):
    with DevCluster(binary, 3) as cluster, Page(cluster.url + '/ui/') as page:
        other = lead_elsewhere(page)
        act = {'do': 'slow_disk', 'node': other, 'ms': 150}
        expect_equal(cluster.api().request('POST', '/chaos', json.dumps(act).encode()).status, 200,
                     'the reply')
        for value in 'xy':
            cluster.api().put('a', value)
        wait_for('a warning', lambda: 'The disk is slow' in page.run(
            f'document.querySelector(`.ring [data-node="{other}"]`).getAttribute("aria-label")'))
        go(page, '#/health')
        wait_text(page, f'Node {other}: the disk is slow', '[aria-label=Alarms]')
        wait_text(page, f'Open the health view of node {other}', '[aria-label=Alarms]')
        cluster.api().request('POST', '/chaos', json.dumps({**act, 'ms': 0}).encode())
        wait_for('the alarm to end', lambda: f'Node {other}:' not in text_of(
            page, '[aria-label=Alarms]'), 30)
        expect_equal(complaints(page), [], 'complaints')


@case('an idle cluster has no load, although a page and `vesper top` watch it')
def watching_is_no_load(binary):
    with DevCluster(binary, 3) as cluster, Page(cluster.url + '/ui/') as page:
        leader_on(page)
        select(page, 1)
        top = subprocess.run([binary, 'top', '--once', '--interval', '3s',
                              *cluster.client_flags()], capture_output=True, timeout=60 * SLOW,
                             check=True)
        expect('load 0 requests/s' in top.stdout.decode(), top.stdout.decode())
        go(page, '#/health')
        requests = 'document.querySelector("[aria-label=Figures] .legend li").innerText'
        wait_for('the rate', lambda: '/s' in page.run(requests))
        expect(re.search(r'\b0/s', page.run(requests)), page.run(requests))
        expect_equal(complaints(page), [], 'complaints')


@case('a member that is removed leaves the picture and the table')
def remove_a_member(binary):
    with DevCluster(binary, 3) as cluster, Page(cluster.url + '/ui/') as page:
        lead_elsewhere(page)
        select(page, 1)
        # Refused, without effect, until the leader has heard from the nodes that are left.
        wait_for('the removal', lambda: cluster.api().request(
            'POST', '/cluster/members?timeout=30s', body=b'{"remove":[1]}').status == 200)
        wait_for('two nodes on the ring', lambda: page.run(
            '[...document.querySelectorAll(".ring .node")].map(node => node.dataset.node)')
            == ['0', '2'])
        wait_for('two rows', lambda: page.run(
            'document.querySelectorAll(".members tbody tr").length') == 2)
        # Nothing is selected any more, so the details are those of the node that serves the page.
        wait_text(page, 'Node 0', '[aria-label=Details] h2')
        expect_equal(page.run('document.querySelector(`.ring [data-node="2"] .label`).textContent'),
                     f':{cluster.port + 2}', 'the address of another node')
        expect_equal(complaints(page), [], 'complaints')


@case('a page comes back when the node that serves it was killed through it')
def kill_the_serving_node(binary):
    with DevCluster(binary, 3) as cluster, Page(cluster.url + '/ui/') as page:
        leader_on(page)
        act(page, 0, 'Kill')
        wait_text(page, 'Node 0 does not answer', '#banner', timeout=20)
        wait_for('the banner to go', lambda: text_of(page, '#banner') == '', 30)
        wait_for('the picture to be live', lambda: page.run(
            'document.querySelectorAll(".ring:not(.lost) .node:not(.absent)").length') == 3, 30)
        leader_on(page)
        left = [one for one in complaints(page) if NO_CONNECTION not in one and
                'net::ERR_' not in one]
        expect_equal(left, [], 'complaints')


def seen(page):
    return page.run('[...document.querySelectorAll(".checks li")]'
                    '.map(one => one.classList.contains("seen"))')


def wait_tour(page, what, holds):
    try:
        wait_for(what, holds, 60)
    except Failed as error:
        raise Failed(f'{error}: {text_of(page)[:1500]}') from None


def pass_step(page, step, again=False):
    """Does what a step of the tour asks for, and waits until all of it was seen. `again`: the first
    button twice, as readers do who have missed what they wanted to see."""
    wait_text(page, f'Step {step} of 8')
    if step == 1:
        wait_for('a node', lambda: page.run(LEADER))
        page.run('document.querySelector(".ring .node").dispatchEvent('
                 'new MouseEvent("click", {bubbles: true}))')
    acts = page.run('[...document.querySelectorAll(".tour-step .primary:not(a)")]'
                    '.map(button => button.innerText)')
    for label in acts[:1] * again + acts:
        wait_tour(page, label, lambda label=label: page.run(
            f'[...document.querySelectorAll(".tour-step button.primary")].some(button => '
            f'button.innerText === {json.dumps(label)} && !button.disabled)'))
        click(page, label, '.tour-step')
    tries = 0

    def passed():
        nonlocal tries
        if all(seen(page)):
            return True
        # On a busy machine a step may miss its moment: the page says so, and what to do.
        said = page.run('document.querySelector(".tour-step").innerText')
        if acts and tries < 3 and f'Press “{acts[0]}” again' in said:
            tries += 1
            click(page, acts[0], '.tour-step')
        return False
    wait_tour(page, f'step {step}', passed)


@case('the tour runs through all of its steps on a real cluster')
def whole_tour(binary):
    with DevCluster(binary, 5) as cluster, Page(cluster.url + '/ui/#/tour') as page:
        began = time.monotonic()
        for step in range(1, 9):
            pass_step(page, step, again=step in (4, 6))
            if step in (4, 6):
                shoot(page, binary, f'tour-{step}')
            if step < 8:
                click(page, 'Next', '.tour-step')
        print(f'the tour took {time.monotonic() - began:.0f} s')
        expect_equal(nameless(page), [], 'without a name')
        expect_equal(complaints(page), [], 'complaints')
