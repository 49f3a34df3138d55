"""A headless Chromium, driven over its debugging pipe (--remote-debugging-pipe: JSON messages, each
ended by a NUL byte, on descriptors 3 and 4), so that nothing but the browser is needed."""

import atexit
import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from harness import TLS, running, wait_for
from runner import Failed, Skipped


def find_chromium():
    for name in ('chromium', 'chromium-browser', 'google-chrome'):
        if shutil.which(name):
            return name
    raise Skipped('no chromium; scripts/deps.sh test installs it')


def remove(folder):
    """Removes the folder of a browser that was killed, whose last writes may still be under way."""
    def gone():
        shutil.rmtree(folder, ignore_errors=True)
        return not os.path.exists(folder)
    wait_for(f'{folder} to be removed', gone)


def end(process, folder):
    """Ends a browser. Its helpers are in its session, and write to its folder for as long as they
    live."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    running.pop(process.pid, None)
    remove(folder)


class Shared:
    """The one browser of a test program, which begins with its first page."""

    def __init__(self, make):
        self.make, self.browser = make, None

    def get(self):
        if self.browser is None:
            self.browser = self.make()
            atexit.register(self.end)
        return self.browser

    def end(self):
        """The next page gets another one."""
        if self.browser is not None:
            self.browser.close()
            self.browser = None


class Browser:
    """The process, and the pipes to it. All pages of a program share one: each has a context of its
    own, with its own storage."""

    def __init__(self):
        name = find_chromium()
        self.buffer, self.number = b'', 0
        self.events = []
        self.dir = tempfile.mkdtemp(prefix='vesper-browser-')
        theirs_in, self.out = os.pipe()
        self.inward, theirs_out = os.pipe()
        # The browser expects its ends of the pipes at 3 and 4. The shell puts them there, because
        # the descriptors here may be 3 and 4 themselves, the other way round.
        command = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.process = subprocess.Popen(
            ['bash', '-c', command, 'bash', name, '--headless=new', '--no-sandbox',
             '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
             *(['--ignore-certificate-errors'] if TLS else []),
             f'--user-data-dir={self.dir}', '--remote-debugging-pipe', 'about:blank'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=(theirs_in, theirs_out), start_new_session=True)
        running[self.process.pid] = self.process
        os.close(theirs_in)
        os.close(theirs_out)

    def close(self):
        os.close(self.out)
        os.close(self.inward)
        end(self.process, self.dir)

    def call(self, method, timeout, session, params):
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': params}
        if session is not None:
            message['sessionId'] = session
        os.write(self.out, json.dumps(message).encode() + b'\0')
        deadline = time.monotonic() + timeout
        while True:
            reply = self.next_message(deadline)
            if reply.get('id') == self.number:
                if 'error' in reply:
                    raise Failed(f'{method}: {reply["error"]}')
                return reply['result']

    def next_message(self, deadline):
        while b'\0' not in self.buffer:
            left = deadline - time.monotonic()
            if left < 0 or not select.select([self.inward], [], [], left)[0]:
                raise Failed('the browser does not answer')
            data = os.read(self.inward, 1 << 16)
            if not data:
                raise Failed('the browser has ended')
            self.buffer += data
        text, self.buffer = self.buffer.split(b'\0', 1)
        message = json.loads(text)
        if 'method' in message:
            self.events.append(message)
        return message


shared = Shared(Browser)


class Page:
    """with Page(url) as page: page.run('document.title')"""

    def __init__(self, url):
        self.url = url
        self.events = []  # of the browser, for example of its console

    def __enter__(self):
        self.browser = shared.get()
        self.browser.events = self.events
        try:
            self.context = self.call('Target.createBrowserContext',
                                     session=None)['browserContextId']
            self.session = self.attach(self.url)
        except BaseException:
            shared.end()
            raise
        return self

    def attach(self, url):
        """The session of a new window. What its console and its network say goes to events."""
        target = self.call('Target.createTarget', session=None, url='about:blank',
                           browserContextId=self.context)['targetId']
        session = self.call('Target.attachToTarget', session=None, targetId=target,
                            flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self.call(f'{domain}.enable', session=session)
        self.resize(1280, 900, session)
        self.call('Page.navigate', session=session, url=url)
        return session

    def resize(self, width, height, session=''):
        self.call('Emulation.setDeviceMetricsOverride', session=session, width=width,
                  height=height, deviceScaleFactor=1, mobile=False)

    def show_theme(self, dark, session='', motion='reduce'):
        self.call('Emulation.setEmulatedMedia', session=session, features=[
            {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'},
            {'name': 'prefers-reduced-motion', 'value': motion}])

    def reload(self):
        """Loads the first window again, and waits until that is done."""
        def loads():
            return sum(event['method'] == 'Page.loadEventFired' and
                       event.get('sessionId') == self.session for event in self.events)
        self.run('window.is_old = true')
        self.call('Page.reload')
        deadline = time.monotonic() + 30
        seen = loads()
        while loads() == seen or self.run('window.is_old === true'):
            seen = loads()
            self.browser.next_message(deadline)

    def window(self, url):
        """Another window of this browser."""
        return Window(self, self.attach(url))

    def __exit__(self, *_):
        try:
            self.call('Target.disposeBrowserContext', session=None,
                      browserContextId=self.context)
        except Failed:
            shared.end()

    def call(self, method, timeout=30, session='', **params):
        """`session`: '' is the first window, None the browser itself."""
        return self.browser.call(method, timeout, self.session if session == '' else session,
                                 params)

    def run(self, script, session=''):
        """The value of a JavaScript expression in the page. A promise is awaited."""
        result = self.call('Runtime.evaluate', session=session, expression=script,
                           returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in result:
            raise Failed(f'{script}: {result["exceptionDetails"]}')
        return result['result'].get('value')

    def screenshot(self, path, width, height, dark, session='', motion='reduce', whole=True):
        """A PNG of the page, as a window of this size and theme shows it. Not `whole`: only what
        is in the window."""
        self.call('Page.bringToFront', session=session)  # others draw no frames
        self.resize(width, height, session)
        self.show_theme(dark, session, motion)
        # A frame, so that what follows the size has been drawn.
        self.run('new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))',
                 session)
        self.run('Promise.all(document.getAnimations().filter(one => one instanceof CSSTransition)'
                 '.map(one => one.finished)).then(() => true)', session)
        shot = self.call('Page.captureScreenshot', session=session, captureBeyondViewport=whole)
        with open(path, 'wb') as file:
            file.write(base64.b64decode(shot['data']))


class Window:
    """A window that Page.window() has opened."""

    def __init__(self, page, session):
        self.page, self.session = page, session

    def run(self, script):
        return self.page.run(script, self.session)
