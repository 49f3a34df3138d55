"""Makes the pictures of the web page for README.md: page_screenshots.py BINARY FOLDER. The cluster
has had two leaders and lacks a node, so that the picture has something to tell."""

import os
import sys

from browser import Page
from dev_cluster import DevCluster
from harness import wait_for
from page_steps import click, wait_text

WIDTH, HEIGHT = 1280, 1270
LEADER = 'document.querySelector(".ring .node.leader")?.dataset.node'


def tell_a_story(page, cluster):
    """A few writes, the end of the leader, and writes to the next one, which go on."""
    api = cluster.api()
    for number in range(6):
        api.put(f'app/{number}', 'x')
    wait_for('a leader', lambda: page.run(LEADER))
    if page.run(LEADER) == '0':
        api.request('POST', '/cluster/transfer?to=2')
        wait_for('another leader', lambda: page.run(LEADER) == '2')
    leader = page.run(LEADER)
    page.run(f'''document.querySelector('.ring [data-node="{leader}"]')
      .dispatchEvent(new MouseEvent("click", {{bubbles: true}}))''')
    click(page, 'Kill', '.hands-on')
    wait_for('the next leader', lambda: page.run(f'({LEADER} ?? "{leader}") !== "{leader}"'))
    wait_text(page, 'unreachable: killed', f'.ring [data-node="{leader}"]')
    page.run(f'''document.querySelector('.ring .node.leader')
      .dispatchEvent(new MouseEvent("click", {{bubbles: true}}))''')
    click(page, 'Write a key repeatedly')
    wait_text(page, '8 writes acknowledged', timeout=20)


def main():
    binary, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    with DevCluster(os.path.abspath(binary), 5) as cluster, Page(cluster.url + '/ui/') as page:
        page.resize(WIDTH, HEIGHT)
        page.call('Emulation.setScrollbarsHidden', hidden=True)
        tell_a_story(page, cluster)
        for theme in ('light', 'dark'):
            path = os.path.join(folder, f'cluster-{theme}.png')
            page.screenshot(path, WIDTH, HEIGHT, dark=theme == 'dark', motion='no-preference',
                            whole=False)
            print(path)


main()
