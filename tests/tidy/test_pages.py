"""pages.py can fail: each untruth in a page is found, and a good tree has no finding."""
import os
import sys
import tempfile
import unittest

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
sys.dont_write_bytecode = True

import pages  # noqa: E402

SCRIPT = "# It counts.\ncluster 3\n----\n"
GOOD = {
    "README.md": "# Vesper\n[tour](docs/tour.md), [web](https://x.org/y)\n```\n[no](link)\n```\n",
    "docs/tour.md": "# A tour\n\nFor a newcomer.\n\n"
                    "See `src/a.cpp: Raft::f` and [up](../README.md#x).\n",
    "src/a.cpp": "// docs/tour.md, \"A tour\", has more.\nvoid Raft::f() {}\n",
    "tests/golden/README.md": "# Scripts\n\n[x.txt](x.txt) is one;\nthis is it:\n\n"
                              f"```\n{SCRIPT}```\n\n"
                              "`cluster N`: servers. `seed=N`: of a cluster.\n",
    "tests/golden/x.txt": SCRIPT,
    "tests/golden/script.cpp": 'if (words[0] != "cluster") return;\nif (name == "seed") {}\n',
}


class ThePagesAreTrue(unittest.TestCase):
    def findings(self, changes):
        """Of the good tree, with a text in some of its files replaced by another one."""
        files = dict(GOOD)
        for path, (old, new) in changes.items():
            self.assertIn(old, files[path])
            files[path] = files[path].replace(old, new)
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8") as file:
                    file.write(text)
            return list(pages.check(root))

    def found(self, path, old, new, word):
        lines = self.findings({path: (old, new)})
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(word, lines[0])

    def test_a_good_tree_has_no_finding(self):
        self.assertEqual(self.findings({}), [])

    def test_a_function_that_does_not_exist_is_found(self):
        self.found("docs/tour.md", "Raft::f", "Raft::g", 'no function or test case "Raft::g"')
        self.found("docs/tour.md", "src/a.cpp", "src/b.cpp", "src/b.cpp does not exist")

    def test_a_link_that_leads_nowhere_is_found(self):
        self.found("docs/tour.md", "../README.md", "README.md", "leads nowhere")

    def test_a_page_that_does_not_say_who_it_is_for_is_found(self):
        self.found("docs/tour.md", "For a newcomer.", "This is a tour.", "who it is for")
        self.found("docs/tour.md", "newcomer.\n\n", "newcomer.\n", "who it is for")

    def test_a_page_that_the_index_does_not_list_is_found(self):
        self.found("README.md", "[tour](docs/tour.md)", "tour", "does not list docs/tour.md")

    def test_an_example_that_is_not_the_script_is_found(self):
        self.found("tests/golden/x.txt", "cluster 3", "cluster 5", "is not that of the file")
        self.found("tests/golden/README.md", "[x.txt](x.txt) is", "that is", "shows no script")

    def test_a_command_or_option_that_is_not_explained_is_found(self):
        self.found("tests/golden/script.cpp", '"seed"', '"heal"', "the command heal")
        self.found("tests/golden/script.cpp", '"cluster"', '"fresh"', "the command fresh")

    def test_a_page_that_a_comment_names_and_that_does_not_exist_is_found(self):
        self.found("src/a.cpp", "docs/tour.md", "docs/gone.md", "names docs/gone.md")
        self.found("src/a.cpp", "A tour", "Tours", 'the section "Tours"')


if __name__ == "__main__":
    unittest.main()
