"""Do the cluster tests notice faults? Workload and checker against a stand-in of the server that is
correct, and against the same one lying."""

import os
import shutil
import sys

from harness import Cluster
from runner import Failed, case, expect, run
from workload import Workload

STAND_IN = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'stand_in.py')


def run_against(lie, seed):
    """A kill under load against the stand-in; returns the failure that it caused, or None."""
    os.environ['STAND_IN_LIE'] = lie
    cluster = Cluster(STAND_IN, 3)
    try:
        with cluster, Workload(cluster, seed) as load:
            load.wait_acknowledged(150)
            victim = cluster.wait_leader()
            victim.kill()
            load.wait_acknowledged(50)
            cluster.restart(victim)
            load.wait_acknowledged(50)
            load.__exit__(None, None, None)
            load.verify()
            load.expect_no_errors_where_up()
    except Failed as failed:
        return failed
    finally:
        os.environ.pop('STAND_IN_LIE')
        shutil.rmtree(cluster.dir, ignore_errors=True)
    return None


@case('a correct store passes, even across a kill')
def _():
    found = run_against('', 1)
    expect(found is None, f'{found}\n{getattr(found, "__notes__", "")}')


def noticed(lie):
    for seed in (1, 2, 3):  # lies are occasional: three histories are certain to contain one
        found = run_against(lie, seed)
        if found is not None:
            expect('violations' in str(found), f'failed for another reason: {found}')
            return
    raise Failed(f'this lie was not noticed: {lie}')


@case('a stale read among a thousand operations is noticed')
def _():
    noticed('stale')


@case('an acknowledged write that is dropped is noticed')
def _():
    noticed('lose')


@case('a write that takes effect twice is noticed')
def _():
    noticed('twice')


if __name__ == '__main__':
    sys.exit(run(sys.argv[1:]))
