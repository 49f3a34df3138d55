"""Runs the cluster tests against a built binary: test_cluster.py BINARY [--only PART]...
VESPER_TEST_LONG=1: more rounds. VESPER_TEST_SLOW=3: bounds on time times three. VESPER_TEST_KEEP=1:
keep the directories also where nothing failed."""

import argparse
import os
import sys

import cases_faults  # noqa: F401  (importing registers the cases)
import cases_identity  # noqa: F401
import cases_once  # noqa: F401
import cases_reads  # noqa: F401
import cases_serving  # noqa: F401
from runner import CASES, run


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binary')
    parser.add_argument('--only', action='append', default=[], help='part of a case\'s name')
    parser.add_argument('--group', choices=['faults', 'identity', 'once', 'reads', 'serving'])
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        print(f'{options.binary} is not there: build it first (scripts/test.sh does)')
        return 2
    if options.group:
        CASES[:] = [c for c in CASES if c[1].__module__ == f'cases_{options.group}']
    return run(options.only, os.path.abspath(options.binary))


if __name__ == '__main__':
    sys.exit(main())
