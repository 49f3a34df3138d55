"""Compares docs/rules.md with the tree: the page lists each rule code that a text of the tree uses,
and no other; each rule names a function that exists and a test that exists.

rules.py --root DIR prints one line a finding and ends with 1 if there is one. docs/rules.md names
functions and test cases as `path: name`. Another page may do the same: pages.py checks those.
"""
import os
import re
import sys
from typing import NamedTuple

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from findings import report  # noqa: E402

PAGE = "docs/rules.md"
FOLDERS = ("src", "tests", "docs", "scripts")
TEXTS = (".cpp", ".hpp", ".py", ".sh", ".md", ".txt")
SKIPPED = ("tests/tidy/", PAGE)  # they speak of codes, and use none

CODE = re.compile(r"(?<![\w\\%+/#&.])([A-Z])([1-9]\d?)(?![\w%])")
NOT_CODES = frozenset({"A0", "W7", "W8"})  # a byte in hexadecimal, weak entity tags
ROW = re.compile(r"^\| ([A-Z]\d+) \|(.*)\|$", re.MULTILINE)
LETTER = re.compile(r"^\| ([A-Z]) \|", re.MULTILINE)
REFERENCE = re.compile(r"`([\w./-]+\.(?:cpp|hpp|py|sh|txt))(?:: ([^`]+))?`")
STRING = re.compile(r'"((?:\\.|[^"\\\n])*)"')
DOCTEST = re.compile(r'\bTEST_CASE\(\s*((?:"(?:\\.|[^"\\\n])*"\s*)+)')
PYTEST = re.compile(r"^\s*def (test_\w+)", re.MULTILINE)
# A document that is not in the repository explains nothing to a reader of the repository.
ABSENT = re.compile(r"\bDESIGN\b")


class Reference(NamedTuple):
    path: str
    name: str  # of a function or a test case; empty: the file itself is meant


class Rule(NamedTuple):
    code: str
    text: str
    source: str
    enforced: list
    proven: list


def references(text):
    """The `path: name` in a text of Markdown."""
    return [Reference(path, name) for path, name in REFERENCE.findall(text)]


def read_rules(page):
    """The rows of the tables. A row that lacks a cell is a rule with empty ones."""
    for code, rest in ROW.findall(page):
        cells = [cell.strip() for cell in rest.split(" | ")] + [""] * 4
        yield Rule(code, cells[0], cells[1], references(cells[2]), references(cells[3]))


def test_cases(source):
    """The names of the doctest and unittest cases of a file."""
    cases = set(PYTEST.findall(source))
    for literals in DOCTEST.findall(source):
        name = "".join(STRING.findall(literals))
        cases.add(re.sub(r"\\(.)", r"\1", name))
    return cases


def has_function(source, name):
    """Whether a C++ file defines or declares `name`, which may be qualified by its class."""
    owner, _, member = name.rpartition("::")
    if not re.fullmatch(r"[\w:~]+", name):
        return False
    if owner and re.search(rf"\b{re.escape(name)}\s*\(", source):
        return True
    inside = not owner or re.search(rf"\b(class|struct)\s+{re.escape(owner)}\b", source)
    declared = re.search(rf"^[^/\n]*\b{re.escape(member)}\s*\(", source, re.MULTILINE)
    return bool(inside and declared)


def problem_of(root, reference):
    """What is wrong with a reference, or None."""
    full = os.path.join(root, reference.path)
    if not os.path.isfile(full):
        return f"{reference.path} does not exist"
    if not reference.name:
        return None
    with open(full, encoding="utf-8") as file:
        source = file.read()
    if reference.name in test_cases(source) or has_function(source, reference.name):
        return None
    return f'{reference.path} has no function or test case "{reference.name}"'


def check_rule(root, rule):
    if not rule.text or not rule.source:
        yield f"{rule.code}: has no text or no source"
    if not any(reference.path.startswith("src/") for reference in rule.enforced):
        yield f"{rule.code}: names no function of src/ that enforces it"
    if not any(reference.path.startswith("tests/") for reference in rule.proven):
        yield f"{rule.code}: names no test that proves it"
    for reference in [*rule.enforced, *rule.proven]:
        problem = problem_of(root, reference)
        if problem:
            yield f"{rule.code}: {problem}"


def texts(root):
    """Path and content of each text that may use a code, in a stable order."""
    paths = [name for name in sorted(os.listdir(root)) if name.endswith(".md")]
    for top in FOLDERS:
        for folder, subfolders, names in os.walk(os.path.join(root, top)):
            subfolders[:] = sorted(set(subfolders) - {"__pycache__", "corpus"})
            inside = os.path.relpath(folder, root).replace(os.sep, "/")
            paths += [f"{inside}/{name}" for name in sorted(names) if name.endswith(TEXTS)]
    for path in paths:
        if not path.startswith(SKIPPED):
            with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
                yield path, file.read()


def used_codes(root):
    """Code -> where it is used first. And the places that name a document which is not here."""
    used, absent = {}, []
    for path, text in texts(root):
        for match in CODE.finditer(text):
            code = match.group(0)
            if code not in NOT_CODES and code not in used:
                used[code] = f"{path}:{text.count(chr(10), 0, match.start()) + 1}"
        for match in ABSENT.finditer(text):
            absent.append(f"{path}:{text.count(chr(10), 0, match.start()) + 1}")
    return used, absent


def check(root):
    """Every finding in a tree."""
    with open(os.path.join(root, PAGE), encoding="utf-8") as file:
        page = file.read()
    rules = list(read_rules(page))
    letters = set(LETTER.findall(page))
    listed = [rule.code for rule in rules]
    used, absent = used_codes(root)
    for code in sorted({code for code in listed if listed.count(code) > 1}):
        yield f"{PAGE}: {code} is listed twice"
    for code in listed:
        if code[0] not in letters:
            yield f"{PAGE}: the letter of {code} is not defined"
        if code not in used:
            yield f"{PAGE}: {code} is listed but not used"
    for code in sorted(set(used) - set(listed)):
        yield f"{used[code]}: {code} is not listed in {PAGE}"
    for place in absent:
        yield f"{place}: names a document that is not in the repository"
    for rule in rules:
        for finding in check_rule(root, rule):
            yield f"{PAGE}: {finding}"


if __name__ == "__main__":
    sys.exit(report(__doc__, check, "every rule has a home"))
