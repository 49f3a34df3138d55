"""A headless Chromium, driven over its debugging pipe (--remote-debugging-pipe: JSON messages, each
ended by a NUL byte, on descriptors 3 and 4), so that nothing but the browser is needed."""

import json
import os
import shutil
import subprocess
import tempfile
import time

from harness import running
from runner import Failed, Skipped


def find_chromium():
    for name in ('chromium', 'chromium-browser', 'google-chrome'):
        if shutil.which(name):
            return name
    raise Skipped('no chromium; scripts/deps.sh browser installs it')


class Page:
    """with Page(url) as page: page.run('document.title')"""

    def __init__(self, url):
        self.url, self.messages, self.buffer, self.number = url, [], b'', 0

    def __enter__(self):
        name = find_chromium()
        self.dir = tempfile.mkdtemp(prefix='vesper-browser-')
        theirs_in, self.out = os.pipe()
        self.inward, theirs_out = os.pipe()
        # The browser expects its ends of the pipes at 3 and 4. The shell puts them there, because
        # the descriptors here may be 3 and 4 themselves, the other way round.
        command = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.process = subprocess.Popen(
            ['bash', '-c', command, 'bash', name, '--headless=new', '--no-sandbox',
             '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
             f'--user-data-dir={self.dir}', '--remote-debugging-pipe', 'about:blank'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=(theirs_in, theirs_out))
        running[self.process.pid] = self.process
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            target = self.call('Target.createTarget', url=self.url)['targetId']
            self.session = self.call('Target.attachToTarget', targetId=target,
                                     flatten=True)['sessionId']
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        running.pop(self.process.pid, None)
        os.close(self.out)
        os.close(self.inward)
        shutil.rmtree(self.dir, ignore_errors=True)

    def call(self, method, timeout=30, **params):
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': params}
        if hasattr(self, 'session'):
            message['sessionId'] = self.session
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
            if time.monotonic() > deadline:
                raise Failed('the browser does not answer')
            data = os.read(self.inward, 1 << 16)
            if not data:
                raise Failed('the browser has ended')
            self.buffer += data
        text, self.buffer = self.buffer.split(b'\0', 1)
        return json.loads(text)

    def run(self, script):
        """The value of a JavaScript expression in the page."""
        result = self.call('Runtime.evaluate', expression=script, returnByValue=True)
        if 'exceptionDetails' in result:
            raise Failed(f'{script}: {result["exceptionDetails"]}')
        return result['result'].get('value')
