"""Runs the cluster tests against a built binary: test_cluster.py BINARY [--only PART]...
VESPER_TEST_LONG=1: more rounds. VESPER_TEST_SLOW=3: time limits times three. VESPER_TEST_KEEP=1:
keep the directories even if nothing failed. VESPER_TLS=1: nodes and clients speak TLS."""

import argparse
import os
import sys

import cases_browser  # noqa: F401  (importing registers the cases)
import cases_cli  # noqa: F401
import cases_copies  # noqa: F401
import cases_data  # noqa: F401
import cases_disks  # noqa: F401
import cases_examples  # noqa: F401
import cases_faults  # noqa: F401
import cases_firefox  # noqa: F401
import cases_hands_on  # noqa: F401
import cases_handover  # noqa: F401
import cases_identity  # noqa: F401
import cases_lists  # noqa: F401
import cases_login  # noqa: F401
import cases_members  # noqa: F401
import cases_membership_api  # noqa: F401
import cases_once  # noqa: F401
import cases_overload  # noqa: F401
import cases_page  # noqa: F401
import cases_partitions  # noqa: F401
import cases_quota  # noqa: F401
import cases_reads  # noqa: F401
import cases_picture  # noqa: F401
import cases_recover  # noqa: F401
import cases_rolling  # noqa: F401
import cases_serving  # noqa: F401
import cases_snapshots  # noqa: F401
import cases_tls  # noqa: F401
import cases_tokens  # noqa: F401
import cases_trace  # noqa: F401
import cases_watches  # noqa: F401
import world
from runner import CASES, SKIPPED, run

GROUPS = ['browser', 'cli', 'copies', 'data', 'disks', 'examples', 'faults', 'firefox',
          'hands_on', 'handover', 'identity', 'lists', 'login', 'members', 'membership_api', 'once',
          'overload', 'page', 'partitions', 'picture', 'quota', 'reads', 'recover', 'rolling',
          'serving', 'snapshots', 'tls', 'tokens', 'trace', 'watches']
IN_A_WORLD = {'disks', 'handover', 'partitions'}  # these need namespaces and mounts (world.py)


def group_of(case):
    return case[1].__module__.removeprefix('cases_')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('binary')
    parser.add_argument('--only', action='append', default=[], help='part of a case\'s name')
    parser.add_argument('--group', choices=GROUPS)
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        print(f'{options.binary} does not exist; scripts/build.sh builds it')
        return 2
    CASES[:] = [c for c in CASES if options.group in (None, group_of(c))]
    if any(group_of(c) in IN_A_WORLD for c in CASES) and not world.enter():
        print(world.LACKING)
        CASES[:] = [c for c in CASES if group_of(c) not in IN_A_WORLD]
        if not CASES:
            return SKIPPED
    return run(options.only, os.path.abspath(options.binary))


if __name__ == '__main__':
    sys.exit(main())
