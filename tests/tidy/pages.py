"""Keeps the pages true. A function or test that a page names as `path: name` exists, and so do the
targets of relative links and the pages and sections that comments cite. Each page of docs/ says at
its top who it is for, and README.md lists it. tests/golden/README.md names every command and shows
a script that is a test.

pages.py --root DIR prints one line a finding and ends with 1 if there is one.
"""
import os
import re
import sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
sys.dont_write_bytecode = True

import rules  # noqa: E402
from findings import report  # noqa: E402

GOLDEN = "tests/golden"
LINK = re.compile(r"\]\(([^)#\s]*)(?:#[^)]*)?\)")
FENCE = re.compile(r"^```[^\n]*\n.*?^```", re.MULTILINE | re.DOTALL)
FOR_WHOM = re.compile(r"# [^\n]+\n\nFor [^\n]+\.\n\n")
EXAMPLE = re.compile(r"^\[(\w+\.txt)\]\(\w+\.txt\)(?:[^\n]+\n)+\n```\n(.*?)^```",
                     re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r'\b(?:name|words\[0\]) [!=]= "([a-z_-]+)"')
# In a comment: docs/raft.md, or docs/raft.md, "Leases" for one of its sections.
MENTION = re.compile(r'\b(docs/[\w-]+\.md)\b(?:, "([^"\n]+)")?')


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def pages(root):
    """The pages of the repository, by path."""
    found = [name for name in sorted(os.listdir(root)) if name.endswith(".md")]
    folder = os.path.join(root, "docs")
    found += [f"docs/{name}" for name in sorted(os.listdir(folder)) if name.endswith(".md")]
    if os.path.exists(os.path.join(root, GOLDEN, "README.md")):
        found.append(f"{GOLDEN}/README.md")
    return found


def check_page(root, path, text):
    """References and links of one page."""
    if path != rules.PAGE:  # rules.py checks those of that page
        for reference in rules.references(text):
            problem = rules.problem_of(root, reference) if "/" in reference.path else None
            if problem:
                yield f"{path}: {problem}"
    for target in LINK.findall(FENCE.sub("", text)):
        if not target or "://" in target or target.startswith("mailto:"):
            continue
        if not os.path.exists(os.path.join(root, os.path.dirname(path), target)):
            yield f"{path}: the link to {target} leads nowhere"


def check_docs(root):
    """What every page of docs/ owes its reader."""
    readme = read(root, "README.md")
    for path in pages(root):
        if not path.startswith("docs/"):
            continue
        if not FOR_WHOM.match(read(root, path)):
            yield f"{path}: does not say in a line below its title who it is for (For ...)"
        if f"]({path})" not in readme:
            yield f"README.md: does not list {path}"


def check_golden(root):
    """The example of the script language is a script, and every command is explained."""
    path = f"{GOLDEN}/README.md"
    text = read(root, path)
    examples = EXAMPLE.findall(text)
    if not examples:
        yield f"{path}: shows no script"
    for name, shown in examples:
        if not os.path.exists(os.path.join(root, GOLDEN, name)):
            yield f"{path}: {name} does not exist"
        elif read(root, f"{GOLDEN}/{name}") != shown:
            yield f"{path}: its text of {name} is not that of the file"
    explained = set(re.findall(r"`([a-z_-]+)[^`]*`", FENCE.sub("", text)))
    for command in sorted(set(COMMAND.findall(read(root, f"{GOLDEN}/script.cpp"))) - explained):
        yield f"{path}: does not explain the command {command}"


def has_section(text, name):
    return re.search(rf"^#+ {re.escape(name)}$", text, re.MULTILINE) is not None


def check(root):
    """Every finding in a tree."""
    for path in pages(root):
        yield from check_page(root, path, read(root, path))
    yield from check_docs(root)
    yield from check_golden(root)
    for path, text in rules.texts(root):
        for page, section in sorted(set(MENTION.findall(text))):
            if not os.path.exists(os.path.join(root, page)):
                yield f"{path}: names {page}, which does not exist"
            elif section and not has_section(read(root, page), section):
                yield f'{path}: names the section "{section}", which {page} does not have'


if __name__ == "__main__":
    sys.exit(report(__doc__, check, "the pages are true"))
