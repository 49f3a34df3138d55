"""What scripts/golden.sh and scripts/replay.sh promise, with a stand-in for the binaries: what they
run, what they refuse, and that the code of the program is theirs. Nothing is built here. And that
the continuous integration of a forge runs what .ci/run runs.
"""
import os
import re
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.abspath(os.path.join(HERE, "../../scripts"))
GOLDEN = os.path.abspath(os.path.join(HERE, "../golden"))
SAYS = '#!/bin/sh\necho "update=${VESPER_GOLDEN_UPDATE-unset}"\nprintf "%s\\n" "$@"\nexit 7\n'


class Tool(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="vesper tools ")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.binary = os.path.join(self.folder, "says")
        with open(self.binary, "w", encoding="utf-8") as file:
            file.write(SAYS)
        os.chmod(self.binary, 0o755)

    def script(self, name, *arguments):
        env = dict(os.environ, VESPER_GOLDEN=self.binary, VESPER_SIM=self.binary)
        return subprocess.run([os.path.join(SCRIPTS, name), *arguments], env=env, cwd=self.folder,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False)

    def ran(self, name, *arguments):
        """What the program was asked for."""
        done = self.script(name, *arguments)
        self.assertEqual((done.returncode, done.stderr), (7, ""))
        return done.stdout.splitlines()

    def refused(self, name, *arguments):
        done = self.script(name, *arguments)
        self.assertEqual((done.returncode, done.stdout), (2, ""), arguments)
        self.assertIn(f"{name} --help", done.stderr)


class Golden(Tool):
    def test_it_runs_all_scripts_and_updates_only_on_request(self):
        self.assertEqual(self.ran("golden.sh"), ["update=0", GOLDEN])
        self.assertEqual(self.ran("golden.sh", "--update"), ["update=1", GOLDEN])

    def test_a_name_selects_each_script_once(self):
        named = [os.path.join(GOLDEN, name) for name in sorted(os.listdir(GOLDEN))
                 if name.endswith(".txt") and "lease" in name]
        self.assertGreater(len(named), 1)
        asked = self.ran("golden.sh", "lease", "--update", "leas")
        self.assertEqual((asked[0], sorted(asked[1:])), ("update=1", named))
        name = os.path.basename(named[0])
        for way in (name, name[:-4], f"tests/golden/{name}"):
            self.assertEqual(self.ran("golden.sh", way), ["update=0", named[0]])

    def test_wrong_usage_ends_with_2_and_runs_nothing(self):
        self.refused("golden.sh", "no such script")
        self.refused("golden.sh", "lease", "no such script")
        self.refused("golden.sh", "--fix")


class Replay(Tool):
    def test_it_asks_the_simulator_for_one_world_and_its_trace(self):
        self.assertEqual(self.ran("replay.sh", "645")[1:], ["--seed", "645", "--trace"])
        self.assertEqual(
            self.ran("replay.sh", "3", "--without", "crash,loss", "--messages")[1:],
            ["--seed", "3", "--trace", "--without", "crash,loss", "--messages"])

    def test_wrong_usage_ends_with_2_and_runs_nothing(self):
        for arguments in ([], ["x"], ["-1"], ["--messages"], ["3x"]):
            self.refused("replay.sh", *arguments)


class Integration(unittest.TestCase):
    def read(self, path):
        with open(os.path.join(SCRIPTS, "..", path), encoding="utf-8") as file:
            return file.read()

    def test_the_workflow_runs_exactly_the_two_commands_of_ci_run(self):
        ours = re.findall(r'^(?:exec )?"\$scripts/(\w+\.sh)"', self.read(".ci/run"), re.MULTILINE)
        self.assertEqual(ours, ["check.sh", "test.sh"])
        steps = re.findall(r"^ +- (\w+): (\S+)$", self.read(".github/workflows/ci.yml"),
                           re.MULTILINE)
        runs = [f"scripts/{name}" for name in ours]
        self.assertEqual([word for kind, word in steps if kind == "run"], runs)
        self.assertEqual([word.split("@")[0] for kind, word in steps if kind != "run"],
                         ["actions/checkout"])


if __name__ == "__main__":
    unittest.main()
