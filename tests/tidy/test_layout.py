"""The rules of layout.py can fail: each known-bad snippet is found under its name, and what is good
is left alone. The counting of test cases (scripts/lib/count_tests.py) is held to the same.
"""
import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../scripts/lib")]
sys.dont_write_bytecode = True

import count_tests  # noqa: E402
import layout  # noqa: E402

HEAD = "// What lives here.\n"
GUARD = HEAD + "#pragma once\n"


def rules(path, source, **more):
    """The names of the rules that a file breaks, each once."""
    return sorted({finding.split(": ")[1] for finding in layout.check_file(path, source, **more)})


class IncludesAreEdgesOfTheTable(unittest.TestCase):
    def refused(self, path, header, rule):
        line = f"#include {header}\n"
        self.assertEqual(rules(path, HEAD + line), [rule])
        self.assertEqual(rules(path, HEAD + "// " + line), [], "a comment includes nothing")

    def taken(self, path, header):
        self.assertEqual(rules(path, HEAD + f"#include {header}\n"), [])

    def test_a_new_edge_is_found(self):
        self.refused("src/raft/x.cpp", '"kv/store.hpp"', "edge")
        self.refused("src/kv/x.cpp", '"raft/types.hpp"', "edge")
        self.refused("src/base/x.cpp", '"raft/types.hpp"', "edge")
        self.refused("src/crypto/x.cpp", '"io/loop.hpp"', "edge")
        self.refused("src/node/x.cpp", '"io/loop.hpp"', "edge")
        self.refused("src/peer/x.cpp", '"json/writer.hpp"', "edge")
        self.refused("src/api/x.cpp", '"io/loop.hpp"', "edge")
        self.refused("src/api/x.cpp", '"server/server.hpp"', "edge")
        self.refused("src/server/x.cpp", '"app/main.hpp"', "edge")
        self.refused("src/http/x.cpp", "<json/writer.hpp>", "edge")
        self.refused("src/io/x.cpp", '"storage/wal.hpp"', "edge")
        self.refused("tests/sim/x.cpp", '"http/parser.hpp"', "edge")

    def test_the_edges_of_the_table_are_allowed(self):
        self.taken("src/raft/x.cpp", '"base/ids.hpp"')
        self.taken("src/raft/x.cpp", '"raft/log.hpp"')
        self.taken("src/node/x.cpp", '"storage/wal.hpp"')
        self.taken("src/io/x.cpp", '"storage/fs.hpp"')
        self.taken("src/api/x.cpp", '"node/node.hpp"')
        self.taken("src/peer/x.cpp", '"io/stream.hpp"')
        self.taken("src/server/x.cpp", '"node/node.hpp"')
        self.taken("tests/sim/x.cpp", '"node/node.hpp"')
        self.taken("tests/http/x.cpp", '"json/writer.hpp"')

    def test_an_include_names_its_room(self):
        self.refused("src/raft/x.cpp", '"types.hpp"', "include")
        self.refused("src/raft/x.cpp", '"../base/ids.hpp"', "include")

    def test_the_pure_rooms_include_no_clock_thread_socket_or_file(self):
        for header in ("chrono", "random", "thread", "mutex", "atomic", "iostream", "fstream",
                       "sys/socket.h", "netinet/in.h", "unistd.h", "unordered_map", "time.h"):
            for room in layout.PURE:
                self.refused(f"src/{room}/x.cpp", f"<{header}>", "pure")
            self.taken("src/server/x.cpp", f"<{header}>")

    def test_a_library_is_included_by_its_room_only(self):
        self.refused("src/http/serializer.cpp", "<llhttp.h>", "library")
        self.refused("src/http/x.cpp", "<rapidjson/reader.h>", "library")
        self.refused("src/server/x.cpp", "<uv.h>", "library")
        self.refused("src/kv/x.cpp", "<xxhash.h>", "library")
        self.refused("src/kv/x.cpp", "<fmt/format.h>", "library")
        self.refused("src/server/x.cpp", "<spdlog/spdlog.h>", "library")
        self.refused("src/server/x.cpp", "<CLI/CLI.hpp>", "library")
        self.refused("src/io/x.cpp", "<openssl/hmac.h>", "library")
        self.refused("src/server/x.cpp", "<openssl/evp.h>", "library")
        self.refused("src/io/x.cpp", "<doctest/doctest.h>", "library")
        self.taken("src/http/parser.cpp", "<llhttp.h>")
        self.taken("src/crypto/x.cpp", "<openssl/evp.h>")
        self.taken("src/io/x.cpp", "<uv.h>")
        self.taken("src/kv/x.cpp", "<fmt/core.h>")


class FilesSayWhatTheyAre(unittest.TestCase):
    def test_a_file_of_src_begins_with_a_comment(self):
        self.assertEqual(rules("src/kv/x.hpp", "#pragma once\n"), ["head"])
        self.assertEqual(rules("src/kv/x.cpp", "int x();\n"), ["head"])
        self.assertEqual(rules("src/kv/x.cpp", "int x();\n", has_header=True), [])

    def test_a_header_is_guarded(self):
        self.assertEqual(rules("src/kv/x.hpp", HEAD), ["guard"])
        self.assertEqual(rules("src/kv/x.hpp", GUARD), [])

    def test_a_throw_is_found_in_code_and_ignored_in_comments_and_strings(self):
        self.assertEqual(rules("src/io/x.cpp", HEAD + "void f() { throw 1; }\n"), ["throw"])
        self.assertEqual(rules("src/io/x.cpp", HEAD + '// throw\nauto a = "throw";\n'), [])

    def test_format_to_is_found(self):
        self.assertEqual(rules("src/io/x.cpp", HEAD + "auto a = fmt::format_to(b);\n"), ["fmt"])

    def test_pure_rooms_have_no_unordered_container_and_no_static_state(self):
        for bad in ("std::unordered_map<int, int> m;", "thread_local int n;",
                    "int f() { static int calls = 0; return ++calls; }", "static Foo foo;"):
            self.assertEqual(rules("src/raft/x.cpp", HEAD + bad + "\n"), ["pure"], bad)
        for good in ("static constexpr int kN = 1;", "static Foo make(int n);",
                     "static const std::map<int, int> m;", "int n = static_cast<int>(m);"):
            self.assertEqual(rules("src/raft/x.cpp", HEAD + good + "\n"), [], good)

    def test_scripts_are_executable_and_strict_and_have_a_manual(self):
        good = "#!/usr/bin/env bash\n# Does it.\nset -euo pipefail\n"
        self.assertEqual(rules("scripts/x.sh", good, executable=True), [])
        self.assertEqual(rules("scripts/x.sh", good), ["script"])
        lax = "#!/bin/sh\n# Does it.\n"
        self.assertEqual(rules("scripts/x.sh", lax, executable=True), ["script"])
        self.assertEqual(rules("scripts/lib/x.sh", "# a\n# b\n"), [])
        self.assertEqual(rules("scripts/lib/x.sh", "# a\n# b\n", executable=True), ["script"])


class ThingsStaySmall(unittest.TestCase):
    def lines(self, body, count):
        return body.replace("BODY", "  g();\n" * count)

    def assert_limit(self, body, path="src/kv/x.cpp", head=HEAD, rest=2):
        """`rest`: lines of the function beside its body."""
        limit = layout.MAX_FUNCTION - rest
        self.assertEqual(rules(path, head + self.lines(body, limit)), [])
        self.assertEqual(rules(path, head + self.lines(body, limit + 1)), ["function"])

    def test_a_function_of_70_lines_is_found_in_every_form(self):
        self.assert_limit("void f() {\nBODY}\n")
        self.assert_limit("namespace a::b {\nnamespace {\nvoid f(int n) noexcept {\nBODY}\n}\n}\n")
        self.assert_limit("class C : public B {\n public:\n  int f() const override {\nBODY}\n};\n")
        self.assert_limit("template <typename T>\nvoid f(T t) {\nBODY}\n", rest=3)
        self.assert_limit("C::C(int n) : n_(n), m_{1, 2} {\nBODY}\n")
        self.assert_limit('TEST_CASE("a claim (with brackets) {") {\nBODY}\n')
        self.assert_limit("void f() {\n  if (a) {\nBODY  } else {\n  }\n}\n", rest=5)
        self.assert_limit("auto f() -> int {\n  auto g = [] { return '}'; };\nBODY}\n", rest=3)
        self.assert_limit("// }\nvoid f() {\n  h(R\"({{{)\", \"}\", 1'000);\nBODY}\n", rest=3)

    def test_a_long_table_or_class_is_not_a_function(self):
        for text in ("const int table[] = {\nBODY};\n", "struct S {\nBODY};\n",
                     "namespace a {\nBODY}\n"):
            self.assertEqual(rules("src/kv/x.cpp", HEAD + self.lines(text, 100)), [])

    def test_a_function_of_70_lines_is_found_in_scripts_too(self):
        shell = "# a\n# b\nf() {\nBODY}\n"
        self.assert_limit(shell, path="scripts/lib/x.sh", head="")
        self.assert_limit("def f():\nBODY", path="tests/x.py", head="", rest=1)

    def test_a_file_of_600_lines_is_found(self):
        self.assertEqual(rules("src/kv/x.cpp", HEAD + "int a;\n" * 598), [])
        self.assertEqual(rules("src/kv/x.cpp", HEAD + "int a;\n" * 599), ["size"])

    def test_101_columns_and_stray_blanks_are_found(self):
        self.assertEqual(rules("src/kv/x.cpp", HEAD + "/" * 100 + "\n"), [])
        self.assertEqual(rules("src/kv/x.cpp", HEAD + "/" * 101 + "\n"), ["width"])
        self.assertEqual(rules("src/kv/x.cpp", HEAD + "int a; \n"), ["blank"])
        self.assertEqual(rules("src/kv/x.cpp", HEAD + "\tint a;\n"), ["blank"])


class TheTree(unittest.TestCase):
    def findings(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8") as file:
                    file.write(text)
            return list(layout.check_tree(root))

    def test_a_good_tree_has_no_finding(self):
        self.assertEqual(self.findings({
            "src/kv/x.hpp": GUARD, "src/kv/x.cpp": "int x();\n", "docs/a.md": "\t" * 200,
            "build-asan/x.cpp": "\t", ".git/x.cpp": "\t", "subprojects/other-1.0/x.cpp": "\t",
            "tests/fuzz/corpus/a/x.cpp": "\t", "vesper-data/0/x": "\t"}), [])

    def test_a_new_folder_or_room_and_a_bad_file_are_found(self):
        found = self.findings({
            "tools/x": "", "src/cache/x.hpp": GUARD, "tests/sim/x.cpp": '#include "io/loop.hpp"\n',
            "subprojects/packagefiles/a/meson.build": "a \n"})
        self.assertEqual([finding.split(": ")[1] for finding in found],
                         ["folder", "folder", "blank", "edge"])


class CasesAreCountedHonestly(unittest.TestCase):
    def counted(self, result, output):
        return count_tests.count(result, output)

    def test_the_output_of_the_runners_is_read(self):
        doctest = "[doctest] test cases:  5 |  4 passed | 1 failed | 7 skipped\n"
        self.assertEqual(self.counted("FAIL", doctest), (4, 1, 0))
        self.assertEqual(self.counted("OK", "Ran 3 tests in 0.1s\n\nOK (skipped=1)\n"), (2, 0, 1))
        failed = "Ran 9 tests in 1s\n\nFAILED (failures=1, errors=2)\n"
        self.assertEqual(self.counted("FAIL", failed), (6, 3, 0))
        self.assertEqual(self.counted("OK", "so\n12 passed, 0 failed\n"), (12, 0, 0))
        self.assertEqual(self.counted("OK", "whatever"), (1, 0, 0))

    def test_a_crash_after_good_cases_is_a_failure(self):
        good = "[doctest] test cases: 5 | 5 passed | 0 failed | 0 skipped\n"
        for result in ("FAIL", "ERROR", "TIMEOUT"):
            self.assertEqual(self.counted(result, good), (5, 1, 0))
        self.assertEqual(self.counted("TIMEOUT", ""), (0, 1, 0))

    def test_a_runner_that_ran_nothing_proves_nothing(self):
        none = "[doctest] test cases: 0 | 0 passed | 0 failed | 9 skipped\n"
        self.assertEqual(self.counted("OK", none), (0, 1, 0))
        self.assertEqual(self.counted("SKIP", ""), (0, 0, 1))


if __name__ == "__main__":
    unittest.main()
