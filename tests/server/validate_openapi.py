"""An off-the-shelf validator accepts the document that a node serves at /openapi.json. Skipped if
the validator is not installed: need_from_npm in scripts/lib/packages.sh does that.

validate_openapi.py VESPER VALIDATOR
"""

import os
import subprocess
import sys

import harness
from test_contract import Running


def test_a_validator_accepts_the_document(binary, directory):
    with Running(binary, directory) as server:
        status, _, body = server.request("GET", "/openapi.json")
    assert status == 200
    path = os.path.join(directory, "openapi.json")
    with open(path, "wb") as file:
        file.write(body)
    verdict = subprocess.run([VALIDATOR, path], capture_output=True, text=True, timeout=60)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    # It can also say no.
    with open(path, "wb") as file:
        file.write(body.replace(b'"operationId"', b'"operationid"', 1))
    verdict = subprocess.run([VALIDATOR, path], capture_output=True, text=True, timeout=60)
    assert verdict.returncode == 1 and "operationid" in verdict.stdout, verdict


if __name__ == "__main__":
    VALIDATOR = sys.argv.pop()
    if not os.path.exists(VALIDATOR):
        print("skipped: %s is not installed" % VALIDATOR)
        sys.exit(77)
    sys.exit(harness.run(sys.modules[__name__], sys.argv[1]))
