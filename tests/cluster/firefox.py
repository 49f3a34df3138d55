"""A headless Firefox, driven over Marionette: JSON arrays, each after its length and a colon, over
TCP. It has the part of the interface of browser.Page that page_steps needs."""

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

from browser import Shared, end
from harness import SLOW, TLS, running, wait_for
from page_steps import SIZES
from runner import Failed, Skipped

PREFERENCES = {
    'marionette.port': 0,  # a free one, which it writes to its folder
    'browser.shell.checkDefaultBrowser': False,
    'browser.startup.homepage_override.mstone': 'ignore',
    'browser.startup.page': 0,
    'datareporting.policy.dataSubmissionEnabled': False,
    'toolkit.telemetry.reportingpolicy.firstRun': False,
    'app.update.disabledForTesting': True,
    'app.normandy.enabled': False,
    'extensions.getAddons.cache.enabled': False,
    'network.captive-portal-service.enabled': False,
    'network.connectivity-service.enabled': False,
    'services.settings.server': 'data:,',
    'browser.safebrowsing.malware.enabled': False,
    'browser.safebrowsing.phishing.enabled': False,
    'browser.region.network.url': '',
    'browser.contentblocking.report.lockwise.enabled': False,
}


def find_firefox():
    for name in ('firefox-esr', 'firefox'):
        if shutil.which(name):
            return name
    raise Skipped('no firefox; scripts/deps.sh browser installs it')


class Firefox:
    """The process, and the connection to it. All pages of a program share one."""

    def __init__(self):
        name = find_firefox()
        self.buffer, self.number, self.socket = b'', 0, None
        self.dir = tempfile.mkdtemp(prefix='vesper-browser-')
        with open(os.path.join(self.dir, 'user.js'), 'w', encoding='ascii') as file:
            file.writelines(f'user_pref({json.dumps(name)}, {json.dumps(value)});\n'
                            for name, value in PREFERENCES.items())
        self.process = subprocess.Popen(
            [name, '--headless', '--no-remote', '--profile', self.dir, '--marionette',
             '--remote-allow-system-access', 'about:blank'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, 'HOME': self.dir}, start_new_session=True)
        running[self.process.pid] = self.process
        try:
            self.socket = socket.create_connection(('127.0.0.1', self.port()), 30)
            self.receive(time.monotonic() + 30 * SLOW)  # its greeting
            self.call('WebDriver:NewSession', acceptInsecureCerts=TLS)
            self.call('WebDriver:SetTimeouts', script=30000 * SLOW)
        except BaseException:
            self.close()
            raise

    def port(self):
        path = os.path.join(self.dir, 'MarionetteActivePort')

        def read():
            if not os.path.exists(path):
                return None
            with open(path, encoding='ascii') as file:
                return file.read()
        return int(wait_for('Firefox to listen', read, 60))

    def close(self):
        if self.socket is not None:
            self.socket.close()
        end(self.process, self.dir)

    def receive(self, deadline):
        while b':' not in self.buffer or \
                len(self.buffer) < self.buffer.index(b':') + 1 + int(self.buffer.split(b':')[0]):
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                data = self.socket.recv(1 << 16)
            except TimeoutError:
                raise Failed('the browser does not answer') from None
            if not data:
                raise Failed('the browser has ended')
            self.buffer += data
        size, _, rest = self.buffer.partition(b':')
        text, self.buffer = rest[:int(size)], rest[int(size):]
        return json.loads(text)

    def call(self, command, **parameters):
        self.number += 1
        text = json.dumps([0, self.number, command, parameters]).encode()
        self.socket.sendall(b'%d:%s' % (len(text), text))
        deadline = time.monotonic() + 60 * SLOW
        while True:
            kind, number, error, result = self.receive(deadline)
            if (kind, number) != (1, self.number):
                continue
            if error is not None:
                raise Failed(f'{command}: {error["error"]}: {error["message"]}')
            return result


shared = Shared(Firefox)


class FirefoxPage:
    """with FirefoxPage(url) as page: page.run('document.title')"""

    def __init__(self, url):
        self.url = url

    def __enter__(self):
        self.firefox = shared.get()
        self.resize(*SIZES['wide'])
        self.call('WebDriver:Navigate', url=self.url)
        return self

    def __exit__(self, *_):
        try:
            self.call('WebDriver:Navigate', url='about:blank')
        except Failed:
            shared.end()

    def call(self, command, **parameters):
        return self.firefox.call(command, **parameters)

    def run(self, script):
        """The value of a JavaScript expression in the page. A promise is awaited."""
        reply = self.call('WebDriver:ExecuteAsyncScript', sandbox=None, newSandbox=False, args=[],
                          script=f'''
            const done = arguments[arguments.length - 1];
            Promise.resolve().then(() => ({script})).then(
              value => done([true, value]), error => done([false, String(error)]));''')
        good, value = reply['value']
        if not good:
            raise Failed(f'{script}: {value}')
        return value

    def complaints(self):
        """What its console says of the page."""
        self.call('Marionette:SetContext', value='chrome')
        try:
            return self.run(f'''[
              ...Services.console.getMessageArray()
                .filter(one => one instanceof Ci.nsIScriptError &&
                  (one.sourceName ?? "").startsWith({json.dumps(self.url.partition('/ui/')[0])}))
                .map(one => `${{one.sourceName}}: ${{one.errorMessage}}`),
              ...Cc["@mozilla.org/consoleAPI-storage;1"].getService(Ci.nsIConsoleAPIStorage)
                .getEvents()
                .filter(one => ["error", "warn"].includes(one.level) &&
                  (one.filename ?? "").includes("/ui/"))
                .map(one => one.filename + ": " + one.arguments.map(String).join(" "))]''')
        finally:
            self.call('Marionette:SetContext', value='content')

    def resize(self, width, height):
        self.call('WebDriver:SetWindowRect', width=width, height=height)

    def screenshot(self, path):
        shot = self.call('WebDriver:TakeScreenshot', full=True, hash=False)
        with open(path, 'wb') as file:
            file.write(base64.b64decode(shot['value']))
