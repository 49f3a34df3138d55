"""Steps of people on the web page, for the cases in cases_page.py and cases_data.py: what they see,
click, type and press. And what must hold on every page: complaints() and shoot()."""

import json
import os
from urllib.parse import quote

from harness import wait_for
from runner import Failed, expect, expect_equal

SIZES = {'wide': (1280, 900), 'narrow': (360, 780)}
# What a browser says of a node that is down; no page can prevent it.
NO_CONNECTION = 'net::ERR_CONNECTION_REFUSED'


def complaints(page):
    """What the browser's console says, and requests that left the origin of the page."""
    found = []
    for event in page.events:
        method, params = event['method'], event['params']
        if method == 'Runtime.exceptionThrown':
            found.append(json.dumps(params['exceptionDetails'])[:500])
        elif method == 'Runtime.consoleAPICalled' and params['type'] in ('error', 'warning'):
            found.append(json.dumps(params['args'])[:500])
        elif method == 'Log.entryAdded' and params['entry']['level'] in ('error', 'warning'):
            found.append(params['entry']['text'] + ' ' + params['entry'].get('url', ''))
        elif method == 'Network.requestWillBeSent':
            url = params['request']['url']
            if not url.startswith((page.url.partition('/ui/')[0] + '/', 'about:')):
                found.append('a request to ' + url)
    return found


def text_of(window, selector='main'):
    return window.run(f'''(() => {{
      const found = document.querySelector({json.dumps(selector)});
      return found?.innerText ?? found?.textContent ?? "";
    }})()''')


def wait_text(window, text, selector='main', timeout=10):
    try:
        wait_for('', lambda: text in text_of(window, selector), timeout)
    except Failed:
        raise Failed(f'"{text}" is not in {selector}: {text_of(window, selector)[:2000]}') from None


def wait_leader(page, cluster):
    """Waits until the picture names the leader that the nodes name. It may change meanwhile."""
    def named():
        leader = cluster.find_leader()
        return leader if leader and f'node {leader.id} leads' in text_of(page, '.ring') else None
    return wait_for('the leader in the picture', named)


def click(window, text, within='main', kinds='button, a, summary, [role=button]'):
    """Clicks what people would click, by its text."""
    script = f'''(() => {{
      const all = [...document.querySelectorAll({json.dumps(within)})]
        .flatMap(part => [...part.querySelectorAll({json.dumps(kinds)})])
        .filter(one => one.innerText?.trim().split("\\n")[0] === {json.dumps(text)} &&
                       !one.disabled && one.offsetParent !== null);
      all[0]?.click();
      return all.length;
    }})()'''
    wait_for(f'{text} to click in {within}: {text_of(window)[:2000]}', lambda: window.run(script))


def fill(window, selector, value):
    wait_for(f'{selector} to fill', lambda: window.run(f'''(() => {{
      const field = document.querySelector({json.dumps(selector)});
      if (field === null) return false;
      field.value = {json.dumps(value)};
      field.dispatchEvent(new Event("input", {{bubbles: true}}));
      return true;
    }})()'''))


def go(window, route):
    window.run(f'location.hash = {json.dumps(route)}')


def shoot(page, binary, name, session=''):
    """Screenshots in both themes and sizes. Nothing may be wider than the window. axe-core judges
    the wide one that is light, and the narrow one that is dark."""
    folder = os.path.join(os.path.dirname(binary), 'screenshots')
    os.makedirs(folder, exist_ok=True)
    for size, (width, height) in SIZES.items():
        for dark in (False, True):
            theme = 'dark' if dark else 'light'
            page.screenshot(os.path.join(folder, f'{name}-{size}-{theme}.png'), width, height, dark,
                            session)
            if dark == (size == 'narrow'):
                expect_accessible(page, binary, f'{name}, {size}, {theme}', session)
        wide = page.run('document.documentElement.scrollWidth - innerWidth', session)
        expect(wide <= 0, f'{name}, {width} px: {wide} px wider than the window')
    page.resize(*SIZES['wide'], session)


# The rules of WCAG 2.1 that axe-core can judge, up to level AA.
RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']


def axe_of(binary):
    """The path of axe-core, or None if it is not installed."""
    path = os.path.join(os.path.dirname(binary), 'axe-core/node_modules/axe-core/axe.min.js')
    return path if os.path.exists(path) else None


def expect_accessible(page, binary, what, session=''):
    """axe-core finds nothing in the page as it is now. Without axe-core, this does nothing."""
    path = axe_of(binary)
    if path is None:
        return
    if not page.run('"axe" in window', session):
        with open(path, encoding='utf-8') as file:
            page.run(file.read() + ';true', session)
    found = page.run(f'''axe.run(document, {{runOnly: {json.dumps(RULES)},
      resultTypes: ["violations"]}}).then(({{violations}}) => violations.flatMap(one =>
        one.nodes.map(node =>
          `${{one.id}}: ${{node.html.slice(0, 150)}}: ${{node.failureSummary}}`)))
    ''', session)
    expect_equal(found, [], f'what axe-core says of {what}')


def judge_dialog(page, binary, name):
    """The open dialog has the focus, keeps it and fits the window, and axe-core finds nothing in
    it, in both themes and sizes. Leaves screenshots."""
    folder = os.path.join(os.path.dirname(binary), 'screenshots')
    os.makedirs(folder, exist_ok=True)
    has_focus = 'document.querySelector("dialog[open]")?.contains(document.activeElement) === true'
    wait_for(f'the dialog to have the focus: {name}', lambda: page.run(has_focus))
    for _ in range(5):
        press(page, 'Tab')
        expect(page.run(f'{has_focus} || document.activeElement === document.body'),
               f'{name}: Tab leaves the dialog')
    for size, (width, height) in SIZES.items():
        for dark in (False, True):
            what = f'{name}-{size}-{"dark" if dark else "light"}'
            page.screenshot(os.path.join(folder, f'{what}.png'), width, height, dark, whole=False)
            expect_accessible(page, binary, what)
            box = page.run('(({left, right, top, bottom}) => [left, right, top, bottom])'
                           '(document.querySelector("dialog[open]").getBoundingClientRect())')
            expect(box[0] >= 0 and box[1] <= width and box[2] >= 0 and box[3] <= height,
                   f'{what}: it is at {box}')
    expect_equal(nameless(page), [], f'nameless elements of {name}')
    page.resize(*SIZES['wide'])


def is_dialog_open(page):
    return page.run('document.querySelector("dialog[open]") !== null')


def key_route(key, **more):
    name = quote(key, safe='~')
    return '#/data?key=' + name + ''.join(f'&{one}={value}' for one, value in more.items())


# Of what people can operate or perceive: the roles that need a name.
NAMED_ROLES = {'button', 'link', 'textbox', 'searchbox', 'combobox', 'image', 'img', 'region',
               'navigation', 'log', 'checkbox'}


def nameless(page):
    """Elements in the tree for assistive technology that need a name and have none."""
    page.call('Accessibility.enable')
    found = []
    for node in page.call('Accessibility.getFullAXTree')['nodes']:
        role = node.get('role', {}).get('value')
        if node.get('ignored') or role not in NAMED_ROLES:
            continue
        if not node.get('name', {}).get('value', '').strip():
            found.append(role)
    return found


def press(page, key, code=None):
    for kind in ('rawKeyDown', 'char', 'keyUp') if key == 'Enter' else ('rawKeyDown', 'keyUp'):
        page.call('Input.dispatchKeyEvent', type=kind, key=key, code=code or key,
                  windowsVirtualKeyCode={'Tab': 9, 'Enter': 13, 'Escape': 27}[key],
                  text='\r' if kind == 'char' else '')


def tab_to(page, text, most=60):
    """Presses Tab until the focus is on what has this text, and shows it."""
    focused = ('document.activeElement?.innerText?.trim().split("\\n")[0] ??'
               'document.activeElement?.name ?? ""')
    passed = []
    for _ in range(most):
        press(page, 'Tab')
        passed.append(page.run(focused))
        if passed[-1] == text:
            outline = page.run('getComputedStyle(document.activeElement).outlineStyle')
            expect_equal(outline, 'solid', f'the outline of {text}')
            return
    raise Failed(f'Tab does not reach {text}, only {passed}')
