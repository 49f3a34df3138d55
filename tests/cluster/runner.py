"""A minimal test runner: named cases, one line each, `N passed, N failed` at the end."""

import os
import sys
import time
import traceback

CASES = []
SKIPPED = 77  # the exit code that meson takes for a skipped test


class Skipped(Exception):
    """Something that a case needs is missing; the text names it."""


class Failed(AssertionError):
    """A claim did not hold; the text says what was observed."""


def case(name, slow=False):
    """Registers a function under the claim that it tests. A slow one runs only with
    VESPER_FULL=1."""
    def register(function):
        function.slow = slow
        CASES.append((name, function))
        return function
    return register


def expect(condition, detail):
    if not condition:
        raise Failed(detail() if callable(detail) else detail)


def expect_equal(found, expected, what):
    if found != expected:
        raise Failed(f'{what}: found {found!r}, expected {expected!r}')


def run(only=(), *args):
    """Runs the cases whose name contains one of `only` (if empty: all); returns the exit code."""
    passed, failed, skipped = 0, [], 0
    for name, function in CASES:
        if only and not any(part in name for part in only):
            continue
        begin = time.monotonic()
        try:
            if function.slow and not only and os.environ.get('VESPER_FULL') != '1':
                raise Skipped('slow, scripts/test.sh --full runs it')
            function(*args)
        except Skipped as reason:
            skipped += 1
            print(f'skipped {name}: {reason}', flush=True)
        except Exception as error:  # a case may fail in any way; the others still run
            failed.append(name)
            print(f'FAILED {name} ({time.monotonic() - begin:.1f} s)', flush=True)
            if isinstance(error, Failed):
                where = traceback.extract_tb(error.__traceback__)
                at = next((f for f in reversed(where) if 'runner.py' not in f.filename), where[-1])
                print(f'{at.filename}:{at.lineno}: {error}', flush=True)
            else:
                traceback.print_exc(file=sys.stdout)
            for note in getattr(error, '__notes__', ()):
                print(note, flush=True)
        else:
            passed += 1
            print(f'ok     {name} ({time.monotonic() - begin:.1f} s)', flush=True)
    for name in failed:
        print(f'failed: {name}')
    print(f'{passed} passed, {len(failed)} failed', flush=True)
    if skipped and not failed and passed == 0:
        return SKIPPED
    return 1 if failed or passed == 0 else 0
