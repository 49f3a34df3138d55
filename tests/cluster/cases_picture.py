"""The moving picture of the web page, in a real browser on real clusters. What the picture computes
is tested by tests/ui; what --chaos adds is in cases_hands_on.py."""

import json
import statistics
import time

from browser import Page
from harness import SLOW, Cluster, wait_for
from page_steps import (NO_CONNECTION, SIZES, click, complaints, go, is_dialog_open, judge_dialog,
                        nameless, shoot, text_of, wait_leader, wait_text)
from page_steps import press as press_key
from runner import case, expect, expect_equal

LEADER = 'document.querySelector(".ring .node.leader")?.dataset.node'
MESSAGE = 'document.querySelector(".ring .message") !== null'
NEXT_FRAME = 'new Promise(done => setTimeout(() => requestAnimationFrame(done), 200))'


def open_leader(page):
    """Opens the leader of the picture with the keyboard, the next one if it loses its leadership,
    and returns its id once its details list its followers."""
    opened = None

    def shows_followers():
        nonlocal opened
        leader = page.run(LEADER)
        if leader is None:
            return False
        if leader != opened:
            page.run(f'''document.querySelector('.ring [data-node="{leader}"]')
              .dispatchEvent(new KeyboardEvent("keydown", {{key: "Enter", bubbles: true}}))''')
            opened = leader
        details = text_of(page, '[aria-label=Details]')
        return f'Node {leader}' in details and 'replicating' in details and \
            'leader' in text_of(page, f'.ring [data-node="{leader}"]')
    wait_for('the details of the leader', shows_followers)
    return opened


@case('the picture shows messages, timers, roles and the logs of all nodes')
def shows_raft(binary):
    with Cluster(binary, 3) as cluster, Page(cluster.nodes[0].url + '/ui/') as page:
        wait_for('three nodes', lambda: page.run(
            'document.querySelectorAll(".ring .node:not(.unknown)").length') == 3)
        wait_for('a message under way', lambda: page.run(MESSAGE))
        wait_for('the timers of the followers', lambda: page.run(
            'document.querySelectorAll(".ring .timer[d^=M]").length') == 2)
        for number in range(5):
            cluster.nodes[0].api().put('a', str(number))
        wait_for('three rows with the same entries', lambda: page.run(
            '[...document.querySelectorAll(".log-row")].filter(row => '
            'row.querySelectorAll(".cell.applied").length >= 6).length') == 3)
        wait_for('the marks of the followers', lambda: page.run(
            'document.querySelectorAll(".log-row .mark.match").length') == 2)
        leader = open_leader(page)
        node = next(one for one in cluster.nodes[1:] if str(one.id) != leader)
        node.kill()
        wait_text(page, 'unreachable', f'.ring [data-node="{node.id}"]')
        node.start()
        wait_for('it is back', lambda: page.run(
            f'document.querySelector(`.ring [data-node="{node.id}"]`).matches(":not(.absent)")'))
        expect_equal(nameless(page), [], 'without a name')
        expect_equal(complaints(page), [], 'complaints')


@case('the picture can be paused, stepped back, slowed down and resumed, also with keys')
def time_of_the_picture(binary):
    with Cluster(binary, 3) as cluster, Page(cluster.nodes[0].url + '/ui/') as page:
        # Another node than the one that serves the page has to lead, and then dies.
        while (leader := wait_leader(page, cluster)) is cluster.nodes[0]:
            leader.api().request('POST', '/cluster/transfer?to=1')
        go_through_time(cluster, leader, page)


def go_through_time(cluster, leader, page):
    term = int(text_of(page, '.ring .term'))
    wait_for('a message under way', lambda: page.run(MESSAGE))
    cluster.nodes[leader.id].api().put('a', 'x')
    leader.kill()
    wait_for('the next term', lambda: int(text_of(page, '.ring .term')) > term)

    def press(key):
        page.run(f'''document.body.dispatchEvent(
          new KeyboardEvent("keydown", {{key: {json.dumps(key)}, bubbles: true}}))''')
    press(' ')
    wait_text(page, 'Play', '.time-bar')
    # Back to an instant at which the old leader leads and sends.
    for _ in range(200):
        if page.run(LEADER) == str(leader.id) and page.run(MESSAGE) and \
                int(text_of(page, '.ring .term')) == term:
            break
        press('ArrowLeft')
        page.run(NEXT_FRAME)
    wait_text(page, str(term), '.ring .term')
    wait_text(page, 'ago', '.time-bar')
    wait_for('the leader of that time', lambda: page.run(LEADER) == str(leader.id))
    # The picture stands, so its dots can be reached and opened with the keyboard.
    wait_for('a message that can be reached', lambda: page.run(
        'document.querySelector(".ring .message[tabindex]") !== null'))
    page.run('''document.querySelector(".ring .message").dispatchEvent(
      new KeyboardEvent("keydown", {key: "Enter", bubbles: true}))''')
    wait_text(page, 'from', '[aria-label=Details]')
    press('s')
    wait_for('half the speed', lambda: page.run(
        'document.querySelector(".time-bar select").selectedIndex') == 1)
    press(' ')
    wait_text(page, 'Pause', '.time-bar')
    press('l')
    wait_for('live', lambda: text_of(page, '.time-bar .age') == 'live')
    wait_for('the next term', lambda: int(text_of(page, '.ring .term')) > term)
    press('?')
    wait_for('the list of keys', lambda: is_dialog_open(page))
    click(page, 'Close', 'dialog[open]')
    expect_equal(complaints(page), [], 'complaints')


def time_to_see(page, selector, do):
    """Does something, and returns after how many ms a frame of the page matched. The page and this
    program read the same clock."""
    page.run(f'''window.seen_at = new Promise(done => {{
      const look = () => document.querySelector({json.dumps(selector)}) !== null
        ? done(Date.now()) : requestAnimationFrame(look);
      look();
    }}); true''')
    began = time.time() * 1000
    do()
    return page.run('window.seen_at') - began


WITHIN = 300 * SLOW  # ms in which a dead or frozen node is shown
TRIES = 5            # of which a busy machine may spoil some


@case('a killed node is shown as unreachable within 300 ms, with motion and without')
def killed_in_time(binary):
    with Cluster(binary, 3) as cluster, Page(cluster.nodes[0].url + '/ui/') as page:
        node = cluster.nodes[1]
        label = f'.ring [data-node="{node.id}"]'
        for motion in ('no-preference', 'reduce'):
            page.show_theme(False, motion=motion)
            took = []
            for _ in range(TRIES):
                wait_for('it is heard', lambda: page.run(
                    f'document.querySelector({json.dumps(label + ":not(.absent, .unknown)")})'
                    ' !== null'))
                took.append(time_to_see(page, label + '.absent', node.kill))
                expect('unreachable' in text_of(page, label), text_of(page, label))
                node.start()
            print(f'shown after {[round(one) for one in took]} ms, {motion}')
            expect(statistics.median(took) <= WITHIN, f'{motion}: shown after {took} ms')
        expect_equal(complaints(page), [], 'complaints')


@case('a page whose node is frozen says so within 300 ms, and for how long')
def frozen_serving_node(binary):
    with Cluster(binary, 3) as cluster, Page(cluster.nodes[0].url + '/ui/') as page:
        node, took = cluster.nodes[0], []
        for _ in range(TRIES):
            wait_leader(page, cluster)
            wait_text(page, 'live', '.time-bar .age')
            took.append(time_to_see(page, '.ring.lost .node.absent', node.pause))
            wait_text(page, 'lost', '.time-bar .age')
            if len(took) < TRIES:
                node.resume()
        print(f'shown after {[round(one) for one in took]} ms')
        expect(statistics.median(took) <= WITHIN, f'shown after {took} ms')
        wait_text(page, 'Node 0 does not answer', '#banner', timeout=20)
        ages = [text_of(page, '#banner .age')]
        expect(ages[0] != '0 s', 'the banner counts from the first question without an answer')

        def grows():
            if (age := text_of(page, '#banner .age')) != ages[-1]:
                ages.append(age)
            return len(ages) > 3
        wait_for('the age to grow', grows)
        seconds = [int(age.removesuffix(' s')) for age in ages]
        expect_equal([b - a for a, b in zip(seconds, seconds[1:])], [1, 1, 1], f'{ages}')
        node.resume()
        wait_for('the banner to go', lambda: text_of(page, '#banner') == '', 30)
        wait_text(page, 'live', '.time-bar .age')
        left = [one for one in complaints(page) if NO_CONNECTION not in one and
                'net::ERR_' not in one]
        expect_equal(left, [], 'complaints')


@case('the list of keys is a dialog: it takes the focus, passes axe-core, and Esc closes it')
def list_of_keys(binary):
    with Cluster(binary, 1) as cluster, Page(cluster.nodes[0].url + '/ui/') as page:
        # Without a trace, the controls of the time are hidden.
        wait_for('the trace', lambda: page.run('document.querySelector(".log-row") !== null'))
        page.run('document.querySelector(".time-bar .icon-button").focus()')
        press_key(page, 'Enter')
        judge_dialog(page, binary, 'dialog-keys')
        press_key(page, 'Escape')
        wait_for('the dialog to close', lambda: not is_dialog_open(page))
        expect_equal(page.run('document.activeElement.innerText'), '?', 'where the focus is again')
        page.resize(*SIZES['narrow'])
        height = 'document.querySelector(".time-bar").offsetHeight'
        before = page.run(height)
        click(page, 'Pause')
        wait_text(page, 'ago', '.time-bar')
        expect_equal(page.run(height), before, 'the height of the controls')
        cut_off = page.run('''[...document.querySelectorAll(".members :is(th, td)")]
          .filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText)''')
        expect_equal(cut_off, [], 'what the table of members cuts off')
        expect_equal(complaints(page), [], 'complaints')


@case('without motion messages are counted, and without --chaos the tour says how to start')
def calm_and_without_chaos(binary):
    with Cluster(binary, 3) as cluster, Page(cluster.nodes[0].url + '/ui/') as page:
        page.call('Emulation.setEmulatedMedia', features=[
            {'name': 'prefers-reduced-motion', 'value': 'reduce'}])
        wait_text(page, 'your system asks for less motion')
        wait_for('counted heartbeats', lambda: int(page.run(
            'document.querySelector(".legend.messages li:nth-child(4) .now").innerText')) > 0)
        expect_equal(page.run('document.querySelectorAll(".ring .message").length'), 0, 'dots')
        expect_equal(cluster.nodes[0].status().get('chaos'), None, 'what /status says of /chaos')
        expect_equal(page.run('document.querySelector(".hands-on").hidden'), True, 'hands on')
        go(page, '#/tour?step=4')
        wait_text(page, 'vesper dev')
        expect_equal(page.run('document.querySelector(".tour-step button.primary").disabled'), True,
                     'the button of the step')
        wait_text(page, 'Not seen yet: Node … has fallen silent. You can skip', '.tour-hint', 20)
        expect_equal(complaints(page), [], 'complaints')


VIEWERS = 16  # of a trace; the next one is refused


@case('a page that gets no trace shows what /status says')
def without_a_trace(binary):
    with Cluster(binary, 3) as cluster:
        node = cluster.nodes[0]
        viewers = [node.connect() for _ in range(VIEWERS)]
        for viewer in viewers:
            viewer.send(b'GET /trace HTTP/1.1\r\nHost: localhost\r\n\r\n')
            expect_equal(viewer.socket.recv(12), b'HTTP/1.1 200', 'the reply to a viewer')
        with Page(node.url + '/ui/') as page:
            wait_text(page, 'This page gets no trace')
            wait_leader(page, cluster)
            expect_equal(page.run('document.querySelector(".time-bar").checkVisibility()'), False,
                         'the controls of the time')
            expect_equal(page.run('document.querySelectorAll("tbody tr").length'), 3, 'members')
            wait_text(page, 'Digest after entry', '[aria-label=Details]')
            shoot(page, binary, 'without-trace')
            left = [one for one in complaints(page) if '429' not in one]
            expect_equal(left, [], 'complaints')
            for viewer in viewers:
                viewer.close()
            wait_for('the trace', lambda: page.run(
                'document.querySelector(".time-bar").checkVisibility()'), 40)
