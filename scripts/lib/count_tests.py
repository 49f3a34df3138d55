"""Counts the test cases of a `meson test` run, from its testlog.json: "PASSED FAILED SKIPPED".

A doctest binary and a Python unittest report how many cases they ran; a test that reports nothing
counts as one. A test that failed in any other way (crash, timeout, sanitizer) adds one failure to
those of its cases. Failed tests are named on stderr.
"""
import json
import re
import sys

DOCTEST = re.compile(
    r"test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed\s*\|\s*(\d+) skipped")
UNITTEST = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)
UNITTEST_FAILED = re.compile(r"^FAILED \((.*)\)$", re.MULTILINE)
UNITTEST_OK = re.compile(r"^OK(?: \((.*)\))?$", re.MULTILINE)
PLAIN = re.compile(r"^(\d+) passed, (\d+) failed$", re.MULTILINE)


def named_number(text, name):
    found = re.search(name + r"=(\d+)", text or "")
    return int(found.group(1)) if found else 0


def cases(output):
    """(passed, failed, skipped) as the output reports them, or None."""
    found = DOCTEST.search(output)
    if found:
        # Cases that a filter left out do not count as skipped.
        return int(found.group(2)), int(found.group(3)), 0
    found = UNITTEST.search(output)
    if found:
        ran = int(found.group(1))
        verdict = UNITTEST_FAILED.search(output) or UNITTEST_OK.search(output)
        words = verdict.group(1) if verdict else ""
        failed = named_number(words, "failures") + named_number(words, "errors")
        skipped = named_number(words, "skipped")
        return max(ran - failed - skipped, 0), failed, skipped
    found = PLAIN.findall(output)
    if found:
        return int(found[-1][0]), int(found[-1][1]), 0
    return None


def count(result, output):
    """(passed, failed, skipped) of one meson test."""
    if result == "SKIP":
        return 0, 0, 1
    good = result in ("OK", "EXPECTEDFAIL")
    spoken = cases(output)
    if spoken is None:
        return (1, 0, 0) if good else (0, 1, 0)
    passed, failed, skipped = spoken
    if not good and failed == 0:
        failed = 1
    if good and failed > 0:
        # The test reports failed cases but exited with 0: believe the worse of the two.
        return passed, failed, skipped
    if good and passed + skipped == 0:
        return 0, 1, 0  # a binary that ran no case at all proves nothing
    return passed, failed, skipped


def main(path):
    totals = [0, 0, 0]
    with open(path, encoding="utf-8") as log:
        for line in log:
            test = json.loads(line)
            output = test.get("stdout", "") + "\n" + test.get("stderr", "")
            counted = count(test["result"], output)
            if counted[1]:
                print(f"failed: {test['name']} ({test['result']})", file=sys.stderr)
            totals = [a + b for a, b in zip(totals, counted)]
    print(*totals)


if __name__ == "__main__":
    main(sys.argv[1])
