"""Runs the tests of the page's pure modules with Node.js: run.py NODE FILE... The last line is
"N passed, N failed"."""
import re
import subprocess
import sys


def main():
    done = subprocess.run([sys.argv[1], "--test", "--test-reporter=spec", *sys.argv[2:]],
                          capture_output=True, text=True, timeout=100)
    print(done.stdout + done.stderr)
    counts = [int(re.findall(r"^ℹ %s (\d+)$" % word, done.stdout, re.MULTILINE)[-1])
              for word in ("pass", "fail")]
    print("%d passed, %d failed" % tuple(counts))
    return done.returncode


sys.exit(main())
