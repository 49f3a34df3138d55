"""The web page in a real browser, on real clusters: what its cluster and health views show, its
themes, and what holds for every view. It stays quiet: no error in its console, no request to
another origin. The data view is in cases_data.py. Screenshots of both themes are left in
build/screenshots."""

import json
import re

from browser import Page
from harness import Cluster, wait_for
from page_steps import (SIZES, axe_of, complaints, expect_accessible, go, key_route,
                        nameless, shoot, text_of, wait_leader, wait_text)
from runner import Failed, Skipped, case, expect, expect_equal


@case('the page shows the cluster and its health, without an error or a request elsewhere')
def shows_the_cluster(binary):
    with Cluster(binary, 3) as cluster:
        with Page(cluster.nodes[0].url + '/ui/') as page:
            leader = wait_leader(page, cluster)
            # The table follows the picture a few times a second.
            wait_text(page, 'leader', f'tbody tr:nth-child({leader.id + 1})')
            rows = page.run('[...document.querySelectorAll("tbody tr")].map(row => row.innerText)')
            expect_equal(len(rows), 3, 'members')
            for node in cluster.nodes:
                expect(f'127.0.0.1:{node.port}' in rows[node.id], rows)
            wait_text(page, cluster.nodes[0].status()['cluster'])
            shoot(page, binary, 'cluster')
            go(page, '#/health')
            wait_text(page, 'No alarms')
            wait_for('a line in a plot', lambda: page.run(
                'document.querySelector(".plot path[d*=L]") !== null'))
            links = page.run('[...document.querySelectorAll("[aria-label=Nodes] a")]'
                             '.map(one => [one.href, one.getAttribute("aria-current")])')
            expect_equal(links, [[node.url + '/ui/#/health', 'page' if node.id == 0 else None]
                                 for node in cluster.nodes], 'the health of each node')
            shoot(page, binary, 'health')
            expect_equal(page.run('document.title'), 'Health · Vesper', 'title')
            wait_text(page.window(cluster.nodes[0].url + '/ui#/health'), 'No alarms')
            expect_equal(complaints(page), [], 'complaints')


@case('the page shows the next leader when the leader is killed')
def shows_the_next_leader(binary):
    with Cluster(binary, 3) as cluster:
        leader = cluster.wait_leader()
        node = next(one for one in cluster.nodes if one is not leader)
        with Page(node.url + '/ui/') as page:
            wait_text(page, 'leads', '.ring')
            leader.kill()
            wait_leader(page, cluster)
            wait_for('the term', lambda: text_of(page, '.ring .term') ==
                     str(node.status()['term']))
            expect_equal(page.run('document.querySelectorAll(".ring .leader").length'), 1, 'ring')
            leader.start()
            cluster.wait_ready()
            expect_equal(complaints(page), [], 'complaints')


@case('the page says that the leader, a quorum or its own node is gone, and what to do')
def shows_what_is_down(binary):
    with Cluster(binary, 3) as cluster:
        own, *others = cluster.nodes
        with Page(own.url + '/ui/#/health') as page:
            wait_text(page, 'No alarms')
            for node in others:
                node.kill()
            wait_text(page, 'No leader, so no quorum')
            wait_text(page, 'What to do: 2 of 3 voters have to run')
            expect_equal(text_of(page, '#alarm-count'), '1', 'the badge')
            shoot(page, binary, 'no-quorum')
            own.kill()
            wait_text(page, 'Node 0 does not answer', '#banner')
            links = page.run('[...document.querySelectorAll("#banner a")].map(a => a.href)')
            expect_equal(links, [node.url + '/ui/#/health' for node in others], 'other nodes')
            shoot(page, binary, 'down')
            for node in cluster.nodes:
                node.start()
            wait_text(page, 'No alarms')
            expect_equal(text_of(page, '#banner'), '', 'the banner')
            # A browser also complains of the trace that ends in the middle.
            left = [one for one in complaints(page) if 'net::ERR_' not in one]
            expect_equal(left, [], 'complaints')


def first_path(page, title):
    """The first line of a plot, as the "d" of its path; each gap is a further M in it."""
    return page.run('[...document.querySelectorAll("figure")].find(one => '
                    f'one.querySelector("h2").innerText === {json.dumps(title)})'
                    '?.querySelector(".plot .line-0")?.getAttribute("d") ?? ""')


# Points at the highest value of the first plot, and returns what the legend says then.
LEGEND_AT_PEAK = '''(() => {
  const svg = document.querySelector("svg.plot"), line = svg.querySelector(".line-0");
  const points = [...line.getAttribute("d").matchAll(/ ([\\d.]+)H([\\d.]+)|L([\\d.]+) ([\\d.]+)/g)]
    .map(([, y, x, other_x, other_y]) => ({x: x ?? other_x, y: Number(y ?? other_y)}));
  const {x} = points.reduce((best, one) => one.y < best.y ? one : best);
  const left = line.parentElement.transform.baseVal[0].matrix.e;
  svg.dispatchEvent(new PointerEvent("pointermove",
    {clientX: svg.getBoundingClientRect().left + left + Number(x)}));
  return svg.parentElement.querySelector(".legend .now").innerText;
})()'''


@case('the health view shows figures of before it was opened, and goes on after a restart')
def shows_the_past(binary):
    with Cluster(binary, 3) as cluster:
        node = cluster.wait_leader()
        api = node.api()

        def requests():
            samples = json.loads(node.api().request('GET', '/figures').body)['samples']
            return [sample['requests'] for sample in samples]
        for i in range(300):
            api.put('k', str(i))
        # The requests of the page are no load, so it cannot have seen any but these.
        wait_for('calm', lambda: sum(requests()) == 300 and requests()[-1] == 0, 30)
        with Page(node.url + '/ui/#/health') as page:
            wait_for('a line', lambda: 'L' in first_path(page, 'Throughput'))
            wait_for('calm', lambda: 'Now: Requests 0/s' in page.run(
                'document.querySelector("svg.plot").getAttribute("aria-label")'))
            peak = page.run(LEGEND_AT_PEAK)
            expect(peak.endswith('/s') and float(peak[:-2].replace(',', '')) > 20, peak)
            before = first_path(page, 'Memory').count('M')
            node.kill()
            node.start()

            def goes_on():
                line = first_path(page, 'Memory')
                return line.count('M') > before and 'L' in line.rpartition('M')[2]
            wait_for('a gap, and a line after it', goes_on, 30)
            expect(float(page.run(LEGEND_AT_PEAK)[:-2]) > 20, 'what the node has forgotten')
            expect_equal(sum(requests()), 0, 'requests since the restart')


@case('the health view says that a node of an older version keeps no figures')
def node_without_figures(binary):
    with Cluster(binary, 1) as cluster, Page(cluster.nodes[0].url + '/ui/#/health') as page:
        wait_text(page, 'No alarms')
        page.run('window.real_fetch = window.fetch; window.fetch = (target, ...rest) =>'
                 'real_fetch(target.startsWith("/figures") ? "/no-such-path" : target, ...rest);'
                 'true')
        wait_text(page, 'The version of this node is older than this page, and keeps none')
        expect_equal(page.run('document.querySelector(".plots").checkVisibility()'), False, 'plots')
        wait_text(page, 'No alarms')
        page.run('window.fetch = real_fetch; true')
        wait_for('plots', lambda: page.run('document.querySelector(".plots").checkVisibility()'))


@case('the theme follows the system until the switch says otherwise, and is kept')
def themes(binary):
    with Cluster(binary, 1) as cluster:
        with Page(cluster.nodes[0].url + '/ui/') as page:
            wait_text(page, 'This page asks')
            colour = 'getComputedStyle(document.body).backgroundColor'

            def system(value):
                page.call('Emulation.setEmulatedMedia', features=[
                    {'name': 'prefers-color-scheme', 'value': value}])
                return page.run(colour)
            light, dark = system('light'), system('dark')
            expect(light != dark, light)
            page.run('document.getElementById("theme").click()')
            expect_equal(page.run(colour), light, 'light although the system is dark')
            page.reload()
            expect_equal(page.run(colour), light, 'after a reload')
            page.run('document.getElementById("theme").click()')
            expect_equal(system('light'), dark, 'dark although the system is light')
            expect_equal(complaints(page), [], 'complaints')


VIEWS = ['#/cluster', '#/tour', '#/tour?step=4', '#/health', '#/data', key_route('a/b'),
         key_route('a/b', tab='history'), '#/data?new=1',
         '#/data?pane=live', '#/data?pane=leases', '#/data?pane=locks']


# The parts of one page that break a rule, as texts.
BROKEN_RULES = '''(() => {
  const broken = [];
  const seen = (one) => one.checkVisibility() && one.getBoundingClientRect().width > 0;
  const all = [...document.querySelectorAll("*")];
  const ids = all.map(one => one.id).filter(Boolean);
  if (new Set(ids).size !== ids.length) broken.push("an id is used twice");
  const heads = all.filter(one => one.matches("h1") && seen(one));
  if (heads.length !== 1) broken.push(heads.length + " h1");
  if (document.documentElement.lang !== "en") broken.push("no language");
  if (document.querySelectorAll("main").length !== 1) broken.push("no main");
  for (const one of all.filter(one => one.matches("button, select, input, .tabs a") && seen(one))) {
    const {width, height} = one.getBoundingClientRect();
    if (one.type !== "checkbox" && (width < 24 || height < 22))
      broken.push(`${one.innerText || one.name} is ${width} by ${height}`);
  }
  for (const one of all.filter(one => one.matches("[tabindex]") && one.tabIndex > 0))
    broken.push("a tabindex above 0: " + one.outerHTML.slice(0, 80));
  for (const one of all.filter(one => one.matches("th") && !one.scope)) broken.push("a th");
  return broken;
})()'''


@case('every view has names for what can be operated, one heading, and targets large enough')
def accessible(binary):
    with Cluster(binary, 1) as cluster:
        api = cluster.nodes[0].api()
        for i in range(3):
            api.put('a/b', f'{{"n": {i}}}')
        api.request('POST', '/locks/n?ttl=1h')
        with Page(cluster.nodes[0].url + '/ui/') as page:
            wait_text(page, 'Members')
            for route in VIEWS:
                go(page, route)
                wait_for(f'{route}', lambda route=route: page.run(
                    f'location.hash === {json.dumps(route)} &&'
                    'document.querySelector(".skeleton") === null'))
                for size in SIZES.values():
                    page.resize(*size)
                    expect_equal(nameless(page), [], f'nameless elements in {route} at {size}')
                    expect_equal(page.run(BROKEN_RULES), [], f'{route} at {size}')
                    page.show_theme(dark=size == SIZES['narrow'])
                    expect_accessible(page, binary, f'{route} at {size}')
            expect_equal(complaints(page), [], 'complaints')


@case('axe-core is there, and finds a rule that is broken')
def axe_judges(binary):
    if axe_of(binary) is None:
        raise Skipped('no axe-core from npm; scripts/test.sh installs it')
    with Cluster(binary, 1) as cluster, Page(cluster.nodes[0].url + '/ui/') as page:
        wait_text(page, 'Members')
        page.run('document.getElementById("theme").removeAttribute("aria-label"),'
                 'document.getElementById("theme").removeAttribute("title"),'
                 'document.getElementById("theme").replaceChildren()')
        try:
            expect_accessible(page, binary, 'a button without a name')
        except Failed as error:
            expect('button-name' in str(error), error)
        else:
            raise Failed('axe-core finds a button without a name in order')


# Rows of the live changes make room for newer ones, within their box. An alarm makes room for
# itself: a machine that is busy has slow disks.
WATCH_SHIFTS = '''(() => {
  const alarms = () => [...document.querySelectorAll("[aria-label=Alarms] > *")]
    .map(one => one.querySelector("strong").innerText).join();
  const first_alarms = alarms();
  let is_same = true;
  window.shifts = [];
  new PerformanceObserver(list => {
    is_same &&= alarms() === first_alarms;
    for (const {node} of list.getEntries().flatMap(({sources}) => sources))
      if (is_same && node !== null && !(node.parentElement ?? node).closest(".tail"))
        shifts.push((node.parentElement ?? node).outerHTML.slice(0, 200));
  }).observe({type: "layout-shift"});
})()'''


@case('nothing moves while figures and changes stream in')
def calm(binary):
    with Cluster(binary, 3) as cluster:
        api = cluster.nodes[0].api()
        with Page(cluster.nodes[0].url + '/ui/') as page:
            wait_text(page, 'Members')

            def polls():
                return sum(event['method'] == 'Network.responseReceived' and
                           re.search(r'/figures(\?|$)', event['params']['response']['url'])
                           is not None
                           for event in page.events)

            for route in ('#/cluster', '#/tour', '#/health', '#/data?pane=live'):
                go(page, route)
                wait_for('the view', lambda: page.run(
                    'document.querySelector(".skeleton") === null &&'
                    'document.getElementById("node-chip").innerText !== ""') and polls() >= 2)
                page.run(WATCH_SHIFTS)
                before = polls()
                wait_for('another reading', lambda before=before: (
                    api.put('k', 'x' * 100), page.run('1'), polls() > before)[-1], 30)
                expect_equal(page.run('shifts'), [], f'what has moved in {route}')
                page.run('window.shifts = undefined')
