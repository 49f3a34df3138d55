"""The data view of the web page in a real browser: browsing, editing with conflicts, history, what
expires, hostile keys, live changes, leases and locks."""

import base64
import json
import re

from browser import Page
from harness import Cluster, wait_for
from page_steps import (NO_CONNECTION, click, complaints, fill, go, is_dialog_open, judge_dialog,
                        key_route, press, shoot, tab_to, text_of, wait_text)
from runner import case, expect, expect_equal


def member(name, value):
    """A member of a JSON request: {"key": "a"}, or {"key_base64": "/w=="}."""
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {f'{name}_base64': base64.b64encode(value).decode()}


@case('the data view says what it cannot read, and reads it when its node is back')
def data_of_a_node_that_is_down(binary):
    with Cluster(binary, 1) as cluster:
        node = cluster.nodes[0]
        node.api().put('a', 'kept')
        with Page(node.url + '/ui/#/data') as page:
            wait_text(page, '1 key, at revision 2')
            node.kill()
            click(page, 'Reload')
            wait_text(page, 'The keys could not be read')
            go(page, '#/data?key=a')
            wait_text(page, 'The key could not be read')
            node.start()
            cluster.wait_ready()
            click(page, 'Try again', '.panel')
            wait_text(page, 'kept', '.value')
            click(page, 'Try again', '.browser')
            wait_text(page, '1 key, at revision 2')
            expect_equal(page.run('document.querySelector("a[download]").getAttribute("href")'),
                         '/kv/a?raw', 'the download')
            left = [one for one in complaints(page) if NO_CONNECTION not in one]
            expect_equal(left, [], 'complaints')


@case('the data view browses folders and pages, and finds keys by their prefix')
def browses(binary):
    with Cluster(binary, 1) as cluster:
        api = cluster.nodes[0].api()
        for i in range(250):
            api.put(f'many/{i:03}', 'x')
        api.put('app/config/port', '80')
        api.put('app/name', 'vesper')
        api.put('top', '1')
        with Page(cluster.nodes[0].url + '/ui/#/data') as page:
            wait_text(page, '253 keys')
            labels = '[...document.querySelectorAll(".list bdi")].map(one => one.innerText)'
            expect_equal(page.run(labels), ['app/', 'many/', 'top'], 'the root')
            click(page, '▸', '.list')  # the mark of the first folder
            wait_for('the folder', lambda: page.run(labels) == ['config/', 'name'])
            expect_equal(page.run('location.hash'), '#/data?at=app%2F', 'the address')
            click(page, 'All keys')
            wait_for('the root', lambda: page.run(labels) == ['app/', 'many/', 'top'])
            fill(page, 'input[type=search]', 'many/24')
            wait_for('the keys that begin with it',
                     lambda: page.run(labels) == [f'24{i}' for i in range(10)])
            # The same as people type it: a folder leaves the field as soon as it is complete.
            click(page, 'All keys')
            wait_for('the root', lambda: page.run(labels) == ['app/', 'many/', 'top'])
            page.run('document.querySelector("input[type=search]").focus()')
            for text, expected in (('ma', ['many/']), ('ny/', [f'{i:03}' for i in range(100)]),
                                   ('24', [f'24{i}' for i in range(10)])):
                page.call('Input.insertText', text=text)
                wait_for(f'what begins with {text}', lambda text=expected: page.run(labels) == text)
            expect_equal(page.run('location.hash'), '#/data?at=many%2F24', 'the address')
            go(page, '#/data?at=many%2F')
            wait_for('a page', lambda: len(page.run(labels)) == 100)
            click(page, 'Show more')
            wait_for('two pages', lambda: len(page.run(labels)) == 200)
            click(page, 'Show more')
            wait_for('all pages', lambda: page.run(labels) == [f'{i:03}' for i in range(250)])
            go(page, '#/data?at=nothing')
            wait_text(page, 'No keys here')
            go(page, key_route('app/name', at='app%2F'))
            wait_text(page, 'vesper', '.value')
            shoot(page, binary, 'data')
            expect_equal(complaints(page), [], 'complaints')


@case('an edit in two windows ends in a conflict that shows both versions and loses neither')
def edits_conflict(binary):
    with Cluster(binary, 3) as cluster:
        node, other, _ = cluster.nodes
        api = node.api()
        first = api.put('doc', 'one\n').json()['revision']
        with Page(node.url + '/ui/' + key_route('doc')) as page:
            window = page.window(node.url + '/ui/' + key_route('doc'))
            for one in (page, window):
                wait_text(one, 'one', '.value')
                click(one, 'Edit')
                wait_for('the editor', lambda one=one: one.run(
                    'document.querySelector("textarea")?.value') == 'one\n')
            fill(page, 'textarea', 'mine\n')
            click(page, 'Save')
            wait_text(page, 'mine', '.value')
            fill(window, 'textarea', 'theirs\n')
            click(window, 'Save')
            wait_text(window, 'The key has changed meanwhile')
            expect_equal(text_of(window, '.mine .value').strip(), 'theirs', 'the own version')
            expect_equal(text_of(window, '.theirs .value').strip(), 'mine', 'the other version')
            stored = other.api().get('doc').json()
            expect_equal((stored['value'], stored['version']), ('mine\n', 2), 'the key')
            shoot(page, binary, 'conflict', window.session)
            click(window, 'Write mine over it')
            # The conflict shows this text, too, so the store tells when the write is done.
            wait_for('the write', lambda: other.api().get('doc').json()['value'] == 'theirs\n')
            wait_text(window, 'theirs', '.value')
            # The first window hears of it when it is seen again, without being asked.
            page.call('Page.bringToFront')
            wait_text(page, 'Somebody changed this key')
            click(page, 'Show it')
            wait_text(page, 'theirs', '.value')
            go(page, key_route('doc', tab='history'))
            click(page, f'rev {first}')
            click(page, 'Restore this version')
            wait_for('the first version', lambda: api.get('doc').json()['value'] == 'one\n')
            wait_text(page, 'version 4', '.versions')
            shoot(page, binary, 'history')
            expect_equal(complaints(page), [], 'complaints')


@case('keys are made, expire, are deleted and come back in the data view')
def makes_and_deletes(binary):
    with Cluster(binary, 1) as cluster:
        api = cluster.nodes[0].api()
        with Page(cluster.nodes[0].url + '/ui/#/data?at=app%2F') as page:
            wait_text(page, 'No keys here')
            click(page, 'New key')
            fill(page, 'input[name=key]', 'app/a b%')
            fill(page, 'textarea', '{"n": 12345678901234567890}')
            click(page, 'Create')
            wait_text(page, '12345678901234567890', '.json')
            expect_equal(api.get('app/a b%').json()['value'], '{"n": 12345678901234567890}', 'a')
            click(page, 'Edit')
            wait_for('the editor', lambda: page.run('document.querySelector("textarea") !== null'))
            page.run('''(() => {
                const life = document.querySelector("select[name=life]");
                life.value = "ttl";
                life.dispatchEvent(new Event("change"));
            })()''')
            fill(page, 'input[name=ttl]', 'soon')
            click(page, 'Save')
            wait_text(page, 'This is not a duration')
            fill(page, 'input[name=ttl]', '1h')
            click(page, 'Save')
            wait_for('what is left of the time to live', lambda: re.search(
                r'\bin (1 h|59 min)', text_of(page, '.facts')))
            click(page, 'Delete')
            wait_text(page, 'Delete this key?')
            click(page, 'Delete the key')
            wait_text(page, 'There is no such key')
            expect_equal(api.get('app/a b%').status, 404, 'the deleted key')
            click(page, 'History')
            click(page, 'rev 2')
            click(page, 'Restore this version')
            wait_for('the key', lambda: api.get('app/a b%').status == 200)
            wait_text(page, 'a b%', '.list')
            api.put('bytes', b'\xff\x00A')
            go(page, key_route('bytes'))
            wait_text(page, 'ff 00 41', '.value')
            click(page, 'Edit')
            fill(page, 'textarea', 'ff 0')
            click(page, 'Save')
            wait_text(page, 'This is not hex')
            fill(page, 'textarea', 'ff 00 42')
            click(page, 'Save')
            wait_text(page, 'ff 00 42', '.value')
            expect_equal(api.request('GET', '/kv/bytes?raw').body, b'\xff\x00B', 'the bytes')
            expect_equal(complaints(page), [], 'complaints')


@case('a delete is confirmed in a dialog, which Esc closes, and says what the store refuses')
def confirms_a_delete(binary):
    with Cluster(binary, 1) as cluster:
        api = cluster.nodes[0].api()
        api.put('app/name', 'kept')
        with Page(cluster.nodes[0].url + '/ui/' + key_route('app/name')) as page:
            def ask():
                wait_text(page, 'Created at')
                page.run('[...document.querySelectorAll(".panel .danger")].at(-1).focus()')
                press(page, 'Enter')
                wait_for('the dialog', lambda: is_dialog_open(page))
            ask()
            judge_dialog(page, binary, 'dialog-delete')
            press(page, 'Escape')
            wait_for('the dialog to close', lambda: not is_dialog_open(page))
            expect_equal(page.run('document.activeElement.innerText'), 'Delete',
                         'where the focus is again')
            ask()
            expect_equal(page.run('document.activeElement.innerText'), 'Keep it', 'the focus')
            press(page, 'Enter')
            wait_for('the dialog to close', lambda: not is_dialog_open(page))
            expect_equal(api.get('app/name').json()['value'], 'kept', 'the key')
            ask()
            api.put('app/name', 'theirs')
            click(page, 'Delete the key')
            wait_text(page, 'The key was not deleted')
            wait_text(page, 'theirs', '.value')
            ask()
            click(page, 'Delete the key')
            wait_text(page, 'There is no such key')
            expect_equal(page.run('document.activeElement.tagName'), 'H2', 'the focus')
            expect_equal(api.get('app/name').status, 404, 'the deleted key')
            expect_equal(complaints(page), [], 'complaints')


HOSTILE = ['<img src=x onerror=alert(1)>', '"><script>alert(1)</script>', "'; alert(1); //",
           'javascript:alert(1)', '\u202ecod.exe', 'a\nb\x00\x1b[31m', '..', '.', 'a/../b',
           '%2e%2e', '{{constructor.constructor("alert(1)")()}}', '#/health?key=x&at=y',
           '</textarea><b>', '\ufeff', '?raw', ' ', b'\xff\xfe<b>', '漢字/🙂', 'x' * 4096,
           '__proto__', '//evil.example/']


@case('hostile keys and values are shown as what they are, wherever they appear')
def hostile(binary):
    with Cluster(binary, 1) as cluster:
        api = cluster.nodes[0].api()
        with Page(cluster.nodes[0].url + '/ui/#/data?pane=live') as page:
            page.run('window.alert = () => { window.is_fooled = true; }')
            wait_text(page, 'Listening')
            for key in HOSTILE:
                value = key if isinstance(key, bytes) else key.encode()
                put = {'put': {**member('key', value), **member('value', value)}}
                reply = api.request('POST', '/txn', json.dumps({'then': [put]}).encode())
                expect_equal(reply.status, 200, key)
            wait_text(page, f'{len(HOSTILE)} changes so far')
            shoot(page, binary, 'hostile-live')
            before = page.run('document.querySelectorAll("script, img, b, iframe").length')
            for key in HOSTILE:
                raw = key if isinstance(key, bytes) else key.encode()
                go(page, '#/data')
                wait_text(page, 'No key is chosen')
                go(page, key_route(raw))
                wait_text(page, 'Created at')
                height = page.run('document.querySelector(".panel h2").offsetHeight')
                expect(height < 100, f'the title of {raw[:50]} takes {height} px')
                click(page, 'Hex')
                wait_text(page, ' '.join(f'{byte:02x}' for byte in raw[:16]), '.value')
            go(page, '#/data?at=')
            wait_text(page, '<img src=x onerror=alert(1)>', '.list')
            expect('\\u202ecod.exe' in text_of(page, '.list'), text_of(page, '.list'))
            shoot(page, binary, 'hostile-keys')
            expect_equal(page.run('document.querySelectorAll("script, img, b, iframe").length'),
                         before, 'elements that a key or a value has made')
            expect_equal(page.run('window.is_fooled === undefined'), True, 'no script ran')
            expect_equal(complaints(page), [], 'complaints')


@case('live changes, leases, locks and elections are shown as they are')
def holdings(binary):
    with Cluster(binary, 3) as cluster:
        node, other, _ = cluster.nodes
        api = other.api(30)
        with Page(node.url + '/ui/#/data?pane=live') as page:
            wait_text(page, 'Listening')
            fill(page, 'input[type=search]', 'a/')
            wait_text(page, 'Listening')
            api.put('a/x', 'seen')
            api.put('b/x', 'elsewhere')
            api.put('a/y', 'last')
            wait_text(page, 'last', '.tail')
            expect('elsewhere' not in text_of(page, '.tail'), text_of(page, '.tail'))
            click(page, 'Pause')
            api.put('a/z', 'held')
            wait_text(page, '1 wait.')
            expect('held' not in text_of(page, '.tail'), text_of(page, '.tail'))
            click(page, 'Resume')
            wait_text(page, 'held', '.tail')
            lease = api.request('POST', '/leases?ttl=1h').json()['lease']
            go(page, '#/data?pane=leases')
            wait_text(page, lease, 'table')
            wait_for('what is left of the lease', lambda: re.search(
                r'\b(1 h|59 min)', text_of(page, 'table')))
            token = api.request('POST', '/locks/report%2Fx?ttl=1h').json()['token']
            go(page, '#/data?pane=locks')
            wait_text(page, str(token), 'table')
            click(page, 'report/x')
            wait_text(page, f'Held with token {token}')
            wait_text(page, 'Nobody waits.')
            api.request('POST', '/elections/primary?ttl=1h', b'http://10.0.0.7')
            go(page, '#/data?pane=elections')
            wait_text(page, 'http://10.0.0.7', 'table')
            expect_equal(complaints(page), [], 'complaints')


@case('a key is found, edited and saved with the keyboard alone')
def keyboard(binary):
    with Cluster(binary, 1) as cluster:
        api = cluster.nodes[0].api()
        api.put('app/name', 'old')
        with Page(cluster.nodes[0].url + '/ui/') as page:
            wait_text(page, 'Members')
            tab_to(page, 'Skip to content')
            tab_to(page, 'Data')
            press(page, 'Enter')
            wait_text(page, '1 key')
            tab_to(page, '▸')
            press(page, 'Enter')
            wait_text(page, 'rev 2')
            tab_to(page, '·')
            press(page, 'Enter')
            wait_text(page, 'old', '.value')
            tab_to(page, 'Edit')
            press(page, 'Enter')
            wait_for('the editor to have the focus', lambda: page.run(
                'document.activeElement.tagName') == 'TEXTAREA')
            page.call('Input.insertText', text='new ')
            tab_to(page, 'Save')
            press(page, 'Enter')
            wait_text(page, 'new', '.value')
            wait_for('the focus to come back', lambda: page.run(
                'document.activeElement.innerText') == 'Edit')
            expect('new' in api.get('app/name').json()['value'], api.get('app/name'))
