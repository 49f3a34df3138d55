"""What the checks of form share: the command line, and how findings are printed."""
import argparse


def report(description, check, good):
    """Runs check(root), prints a line a finding, or `good`. Returns the exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", default=".")
    findings = list(check(parser.parse_args().root))
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings" if findings else good)
    return 1 if findings else 0
