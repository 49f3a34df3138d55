"""rules.py can fail: each kind of disagreement between docs/rules.md and a tree is found, and a
tree that agrees with its page has no finding.
"""
import os
import sys
import tempfile
import unittest

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
sys.dont_write_bytecode = True

import rules  # noqa: E402

PAGE = """# Rules
| letter | rules about |
|---|---|
| L | logs |

| code | rule | source | enforced by | proven by |
|---|---|---|---|---|
| L5 | One term only. | Raft 5 | `src/raft/leader.cpp: Raft::advance` | PROOF |
""".replace("PROOF", '`tests/raft/a.cpp: L5: it "is" so`')
CODE = "// L5: by counting.\nvoid Raft::advance(int n) {}\n"
TEST = 'TEST_CASE(\n    "L5: it \\"is\\" "\n    "so") {}\n'
GOOD = {"docs/rules.md": PAGE, "src/raft/leader.cpp": CODE, "tests/raft/a.cpp": TEST}


def findings(changes):
    """Of the good tree with some of its files changed."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**GOOD, **changes}.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        return list(rules.check(root))


class ThePageAndTheTreeAgree(unittest.TestCase):
    def found(self, changes, *words):
        lines = findings(changes)
        self.assertEqual(len(lines), 1, lines)
        for word in words:
            self.assertIn(word, lines[0])

    def test_a_good_tree_has_no_finding(self):
        self.assertEqual(findings({}), [])

    def test_a_code_that_is_not_listed_is_found_in_every_kind_of_text(self):
        for path in ("src/kv/x.hpp", "tests/x.py", "docs/x.md", "scripts/x.sh", "tests/a/x.txt",
                     "README.md"):
            self.found({path: "so\n(K7)\n"}, f"{path}:2", "K7 is not listed")

    def test_text_that_only_looks_like_a_code_is_ignored(self):
        text = "%C3%A9 \\xC3 U+D800 A0 W/8 0xB1 kE1 E1x L5\n"
        self.assertEqual(findings({"src/kv/x.hpp": text}), [])

    def test_a_listed_code_that_is_unused_is_found(self):
        unused = PAGE.splitlines()[-1].replace("| L5 |", "| L6 |")
        self.found({"docs/rules.md": PAGE + unused + "\n"}, "L6 is listed but not used")

    def test_a_code_that_is_listed_twice_is_found(self):
        self.found({"docs/rules.md": PAGE + PAGE.splitlines()[-1] + "\n"}, "L5 is listed twice")

    def test_a_letter_without_a_definition_is_found(self):
        self.found({"docs/rules.md": PAGE.replace("| L | logs |\n", "")}, "letter of L5")

    def test_a_function_or_file_that_does_not_exist_is_found(self):
        self.found({"src/raft/leader.cpp": "// L5\n// Raft::advance\n"}, '"Raft::advance"')
        self.found({"docs/rules.md": PAGE.replace("leader.cpp", "gone.cpp")}, "gone.cpp")

    def test_a_test_that_does_not_exist_is_found(self):
        self.found({"tests/raft/a.cpp": '// L5: it "is" so\n'}, '"L5: it "is" so"')

    def test_a_rule_without_a_function_or_a_test_is_found(self):
        self.found({"docs/rules.md": PAGE.replace("`src/raft/leader.cpp: Raft::advance`", "all")},
                   "names no function")
        self.found({"docs/rules.md": PAGE.replace('`tests/raft/a.cpp: L5: it "is" so`', "")},
                   "names no test")

    def test_a_mention_of_a_document_outside_the_repository_is_found(self):
        self.found({"src/kv/x.hpp": "// see DES" "IGN 3\n"}, "src/kv/x.hpp:1",
                   "not in the repository")


class FunctionsAreFound(unittest.TestCase):
    def test_a_function_is_found_in_every_form_of_declaration(self):
        for source, name in (("int Raft::f() {}", "Raft::f"), ("void f(int n) {}", "f"),
                             ("class Raft {\n  void f();\n};", "Raft::f"),
                             ("struct A { void f() {} };", "A::f")):
            self.assertTrue(rules.has_function(source, name), source)
        for source, name in (("int Raft::g() {}", "Raft::f"), ("// f()", "f"),
                             ("class Node {\n  void f();\n};", "Raft::f"), ("int f;", "f")):
            self.assertFalse(rules.has_function(source, name), source)


if __name__ == "__main__":
    unittest.main()
