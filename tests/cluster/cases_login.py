"""The web page of a cluster that demands tokens: it asks for one, keeps it in memory only, and says
what a token may not do."""

import json

from browser import Page
from harness import Cluster, wait_for
from page_steps import (click, complaints, fill, go, judge_dialog, key_route, press, text_of,
                        wait_text)
from runner import case, expect, expect_equal

DIALOG = 'dialog.login'


class Tokens:
    """Enables the tokens of a cluster, and makes some."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.root = self.ask('POST', '/auth/enable')['token']

    def ask(self, method, path, body=None):
        fields = {'Authorization': f'Bearer {self.root}'} if hasattr(self, 'root') else {}
        api = self.cluster.nodes[0].api()
        try:
            reply = api.request(method, path, body and json.dumps(body).encode(), fields)
            expect_equal(reply.status, 200, f'{method} {path}')
            return reply.json()
        finally:
            api.close()

    def make(self, name, *rules):
        return self.ask('POST', '/auth/tokens', {'name': name, 'rules': rules})['token']


def log_in(page, token):
    wait_for('the page to ask', lambda: page.run(f'document.querySelector("{DIALOG}")?.open'))
    fill(page, f'{DIALOG} input', token)
    click(page, 'Use it', DIALOG)


def is_asked(page):
    return page.run(f'document.querySelector("{DIALOG}") !== null')


# What outlives a page, as one text.
STORED = '''(async () => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie,
  location.href, history.state, (await indexedDB.databases()).map(one => one.name),
  await caches.keys()]))()'''


def other_complaints(page):
    """A browser reports every 401 and 403, which are the point here."""
    return [one for one in complaints(page)
            if '401 (Unauthorized)' not in one and '403 (Forbidden)' not in one]


@case('the page asks for a token, says that one is wrong, and keeps the right one in memory only')
def asks(binary):
    with Cluster(binary, 3) as cluster:
        cluster.nodes[0].api().put('app/name', 'vesper')
        tokens = Tokens(cluster)
        with Page(cluster.nodes[0].url + '/ui/') as page:
            wait_text(page, 'needs a token', DIALOG)
            expect_equal(page.run('document.activeElement.type'), 'password', 'the focus')
            judge_dialog(page, binary, 'dialog-login')
            page.show_theme(dark=False, motion='no-preference')
            for _ in range(3):
                press(page, 'Escape')
                wait_for('the dialog, which nothing works without', lambda: page.run(
                    'document.querySelector("dialog.login").open &&'
                    'document.activeElement.type === "password"'))
            log_in(page, 'vsp_wrong')
            wait_text(page, 'revoked or expired', DIALOG)
            log_in(page, tokens.root)
            wait_for('the picture', lambda: page.run(
                'document.querySelectorAll(".ring .node:not(.unknown)").length') == 3)
            wait_for('a message under way', lambda: page.run(
                'document.querySelector(".ring .message") !== null'))
            for route, text in (('#/tour', 'Step 1 of 8'), ('#/data', 'app/'),
                                (key_route('app/name'), 'vesper'),
                                (key_route('app/name', tab='history'), 'version 1'),
                                ('#/data?pane=live', 'Listening'),
                                ('#/data?pane=leases', 'No leases'), ('#/health', 'No alarms')):
                go(page, route)
                wait_text(page, text)
            wait_for('a line in a plot', lambda: page.run(
                'document.querySelector(".plot path[d*=L]") !== null'))
            expect_equal(is_asked(page), False, 'whether it asks once more')
            stored = page.run(STORED)
            expect('vsp_' not in stored and tokens.root not in stored, stored)
            expect('vsp_' not in page.run('document.documentElement.outerHTML'), 'in the document')
            page.reload()
            wait_text(page, 'needs a token', DIALOG)
            expect_equal(other_complaints(page), [], 'complaints')


@case('the page asks again when its token is revoked, and goes on with another one')
def asks_again(binary):
    with Cluster(binary, 3) as cluster:
        tokens = Tokens(cluster)
        first = tokens.make('first', {'allow': 'read', 'prefix': ''}, {'allow': 'metrics'})
        second = tokens.make('second', {'allow': 'read', 'prefix': ''}, {'allow': 'metrics'})
        with Page(cluster.nodes[0].url + '/ui/') as page:
            log_in(page, first)
            wait_text(page, 'leads', '.ring')
            tokens.ask('DELETE', '/auth/tokens/first')
            wait_text(page, 'revoked or expired', DIALOG)
            log_in(page, second)
            wait_for('the picture to move', lambda: page.run(
                'document.querySelector(".ring:not(.lost) .message") !== null'))
            expect_equal(is_asked(page), False, 'whether it asks once more')
            expect_equal(other_complaints(page), [], 'complaints')


@case('with a token that may only read, the page shows what it may, and says what it may not')
def reads_only(binary):
    with Cluster(binary, 1) as cluster:
        api = cluster.nodes[0].api()
        api.put('app/name', 'vesper')
        api.put('secret', 'x')
        tokens = Tokens(cluster)
        reader = tokens.make('reader', {'allow': 'read', 'prefix': 'app/'})
        with Page(cluster.nodes[0].url + '/ui/' + key_route('app/name', at='app%2F')) as page:
            log_in(page, reader)
            wait_text(page, 'vesper', '.value')
            wait_text(page, 'name', '.list')
            click(page, 'Edit')
            fill(page, 'textarea', 'other')
            click(page, 'Save')
            wait_text(page, 'The key was not written')
            wait_text(page, '403 forbidden')
            expect_equal(page.run('document.querySelector("textarea").value'), 'other',
                         'what was typed')
            click(page, 'Cancel')
            click(page, 'Delete')
            click(page, 'Delete the key')
            wait_text(page, 'may not be deleted')
            go(page, key_route('secret'))
            wait_text(page, 'The key could not be read')
            go(page, '#/data?at=')
            wait_text(page, 'The keys could not be read')
            go(page, '#/data?pane=live')
            wait_text(page, 'This token may not read these keys')
            fill(page, 'input[type=search]', 'app/')
            wait_text(page, 'Listening')
            go(page, '#/data?pane=locks')
            wait_text(page, '403 forbidden')
            go(page, '#/health')
            wait_text(page, 'This token may not read /figures')
            go(page, '#/cluster')
            wait_text(page, 'leads', '.ring')
            expect_equal(is_asked(page), False, 'whether it asks once more')
            expect('vsp_' not in text_of(page, 'body'), 'the token is shown')
            expect_equal(other_complaints(page), [], 'complaints')
