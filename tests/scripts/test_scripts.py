"""What scripts/cluster.sh and scripts/demo.sh promise, tried with a stand-in for the binary."""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = os.path.join(HERE, "../../scripts")
sys.path[:0] = [os.path.join(HERE, "../support")]

from ports import free_ports


class Cluster(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vesper scripts ")  # a path with spaces has to do
        self.addCleanup(subprocess.run, ["rm", "-rf", self.folder], check=True)
        binary = os.path.join(self.folder, "vesper")
        with open(binary, "w", encoding="utf-8") as file:
            stand_in = os.path.join(HERE, "stand_in.py")
            file.write(f"#!{sys.executable} -B\nimport runpy\n"
                       f"runpy.run_path({stand_in!r}, None, '__main__')\n")
        os.chmod(binary, 0o755)
        self.ports = free_ports(3)
        self.list = os.path.join(self.folder, "list.txt")
        with open(self.list, "w", encoding="utf-8-sig", newline="\r\n") as file:
            file.write("# three nodes\n\n")
            file.writelines(f"http://127.0.0.1:{port}/ \n" for port in self.ports)
        self.data = os.path.join(self.folder, "vesper-data")
        self.env = dict(os.environ, VESPER=binary)
        self.addCleanup(self.cluster, "stop")

    def script(self, name, *arguments, list=None):
        return subprocess.run(
            [os.path.join(SCRIPTS, name), *arguments, "--list", list or self.list], env=self.env,
            cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def cluster(self, *arguments, code=None):
        done = self.script("cluster.sh", *arguments)
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def pid(self, node):
        with open(os.path.join(self.data, f"{node}.pid"), encoding="utf-8") as file:
            return int(file.read())

    def alive(self, pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    def gone(self, pid):
        deadline = time.monotonic() + 5
        while self.alive(pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self.alive(pid)

    def test_start_and_stop_are_idempotent(self):
        self.cluster("start", code=0)
        pids = [self.pid(node) for node in range(3)]
        again = self.cluster("start", code=0)
        self.assertEqual(pids, [self.pid(node) for node in range(3)])
        self.assertEqual(again.stdout.count("already runs"), 3)
        self.cluster("status", code=0)
        self.cluster("stop", code=0)
        self.assertTrue(all(self.gone(pid) for pid in pids))
        self.cluster("stop", code=0)
        self.cluster("status", code=5)

    def test_kill_pause_resume_and_restart_do_what_they_say(self):
        self.cluster("start", code=0)
        first = self.pid(0)
        self.cluster("pause", "1", code=0)
        self.assertIn("paused", self.cluster("status").stdout)
        self.cluster("resume", "1", code=0)
        self.assertNotIn("paused", self.cluster("status").stdout)
        self.cluster("kill", "0", code=0)
        self.assertTrue(self.gone(first))
        self.assertIn("does not run", self.cluster("kill", "0", code=1).stderr)
        self.cluster("restart", "0", code=0)
        self.assertTrue(self.alive(self.pid(0)))
        self.cluster("pause", "2", code=0)
        self.cluster("stop", code=0)  # a paused node, too

    def test_a_pid_file_that_names_another_process_is_ignored(self):
        self.cluster("start", "2", code=0)
        self.cluster("stop", code=0)
        stranger = subprocess.Popen(["sleep", "60"])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        with open(os.path.join(self.data, "2.pid"), "w", encoding="utf-8") as file:
            file.write(f"{stranger.pid}\n")
        self.cluster("stop", code=0)
        self.assertEqual(self.cluster("kill", "2").returncode, 1)
        self.assertIsNone(stranger.poll())

    def test_wipe_needs_stopped_nodes_and_the_option_yes(self):
        self.cluster("start", code=0)
        self.assertIn("stop", self.cluster("wipe", "--yes", code=1).stderr)
        self.cluster("stop", code=0)
        self.assertIn("--yes", self.cluster("wipe", code=1).stderr)
        self.assertTrue(os.path.isdir(os.path.join(self.data, "0")))
        self.cluster("wipe", "--yes", code=0)
        self.assertFalse(os.path.exists(os.path.join(self.data, "0")))
        self.assertTrue(os.path.exists(self.list))

    def test_a_busy_port_is_named_before_anything_starts(self):
        with socket.socket() as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", self.ports[2]))
            held.listen()
            done = self.cluster("start", code=1)
            self.assertIn(f"http://127.0.0.1:{self.ports[2]} is in use", done.stderr)
            self.assertFalse(os.path.exists(os.path.join(self.data, "0.pid")))

    def test_the_reason_is_printed_if_a_node_refuses_to_start(self):
        os.makedirs(os.path.join(self.data, "1"))
        with open(os.path.join(self.data, "1", "refuse"), "w", encoding="utf-8"):
            pass
        done = self.cluster("start", code=1)
        self.assertIn("node 1 did not start: its data directory was refused", done.stderr)
        self.assertIn("another cluster's", done.stderr)

    def test_wrong_usage_ends_with_2_and_changes_nothing(self):
        for arguments in (["start", "3"], ["start", "x"], ["kill"], ["fly"], [], ["start", "-x"],
                          ["status", "1"], ["wipe", "1"], ["start", "01"]):
            self.cluster(*arguments, code=2)
        with open(self.list, "a", encoding="utf-8") as file:
            file.write("ftp://x\n")
        self.assertIn("list.txt:6", self.cluster("start", code=1).stderr)
        self.assertFalse(os.path.exists(self.data))

    def test_a_script_runs_through_a_symbolic_link(self):
        away = os.path.join(self.folder, "away")
        os.mkdir(away)
        for name in sorted(os.listdir(SCRIPTS)):
            if not name.endswith(".sh"):
                continue
            link, second = os.path.join(self.folder, name), os.path.join(away, name[:-3])
            os.symlink(os.path.abspath(os.path.join(SCRIPTS, name)), link)
            os.symlink(os.path.join("..", name), second)
            for script in (link, second):
                done = subprocess.run([script, "--help"], cwd=away, stdin=subprocess.DEVNULL,
                                      capture_output=True, text=True, timeout=60, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""), script)
                self.assertNotEqual(done.stdout, "")
        done = subprocess.run([os.path.join(away, "cluster"), "start", "--list", self.list],
                              env=self.env, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_same_list_by_another_path_is_the_same_cluster(self):
        self.cluster("start", code=0)
        pids = [self.pid(node) for node in range(3)]
        away = os.path.join(self.folder, "away")
        os.mkdir(away)
        link = os.path.join(away, "link.txt")
        os.symlink(self.list, link)
        for path in (link, "list.txt", "./away/../list.txt", self.folder + "//list.txt"):
            done = self.script("cluster.sh", "start", list=path)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(done.stdout.count("already runs"), 3, path)
            self.assertEqual(self.script("cluster.sh", "status", list=path).stdout.count("up, pid"),
                             3, path)
        self.assertEqual(self.script("cluster.sh", "kill", "0", list=link).returncode, 0)
        self.assertTrue(self.gone(pids[0]))
        done = self.script("cluster.sh", "stop", list="list.txt")
        self.assertEqual(done.returncode, 0)
        self.assertTrue(all(self.gone(pid) for pid in pids))
        self.assertEqual(os.listdir(away), ["link.txt"])

    def test_a_node_that_was_started_by_hand_is_found_by_list_id_and_data_folder(self):
        os.makedirs(self.data)
        node = subprocess.Popen([self.env["VESPER"], "server", "1", "list.txt", "--data-dir",
                                 "vesper-data/1"], cwd=self.folder, stdin=subprocess.DEVNULL)
        self.addCleanup(node.wait)
        self.addCleanup(node.kill)
        self.assertIn("node 1 already runs", self.cluster("start", code=0).stdout)
        os.remove(os.path.join(self.data, "2.pid"))
        self.assertEqual(self.cluster("stop", code=0).stdout.count("stopped"), 3)
        self.assertIsNotNone(node.wait(5))

    def test_stop_warns_of_nodes_that_it_does_not_stop(self):
        self.assertIn("no node of", self.cluster("stop", code=0).stdout)
        self.cluster("start", code=0)
        pid = self.pid(0)
        other = os.path.join(self.folder, "other data")
        where = f"process {pid}, with its data in {self.data}/0"
        for command in (["stop"], ["stop", "0"], ["kill", "0"], ["start"]):
            done = self.cluster(*command, "--data", other, code=1)
            self.assertIn(where, done.stderr, command)
        self.assertIn(where, self.cluster("status", "--data", other).stdout)
        self.assertTrue(self.alive(pid))
        self.assertFalse(os.path.exists(other))
        # A copy of the list is another list; that something listens is still seen.
        copy = os.path.join(self.folder, "copy.txt")
        with open(self.list, "rb") as source, open(copy, "wb") as target:
            target.write(source.read())
        done = self.script("cluster.sh", "stop", list=copy)
        self.assertEqual(done.returncode, 1)
        for port in self.ports:
            self.assertIn(f"nothing is stopped at http://127.0.0.1:{port}", done.stderr)
        self.assertTrue(self.alive(pid))

    def test_the_tour_succeeds_and_leaves_no_process(self):
        done = self.script("demo.sh", "--once")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count('"value":"Kyle Chard"'), 3)
        self.assertRegex(done.stdout, r"acknowledged \d+ ms after the kill")
        self.assertRegex(done.stdout, r"\$ \S.* client http://127\.0\.0\.1:\d+ name 'Kyle Chard'")
        self.assertIn("unreachable", done.stdout)
        for pid in re.findall(r"\$ kill -9 (\d+)", done.stdout):
            self.assertFalse(self.alive(int(pid)))
        self.assertEqual([name for name in os.listdir(self.data) if name.endswith(".pid")], [])
        again = self.script("demo.sh", "--once")
        self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
        self.assertIn("data of an earlier run", again.stdout)

    def test_the_tour_leaves_no_process_if_its_reader_ends(self):
        tour = subprocess.Popen([os.path.join(SCRIPTS, "demo.sh"), "--list", self.list],
                                env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                start_new_session=True)
        self.addCleanup(tour.wait)
        self.addCleanup(tour.kill)
        text = b""
        while b"a leader serves" not in text:
            line = tour.stdout.readline()
            self.assertTrue(line, text)
            text += line
        pids = [self.pid(node) for node in range(3)]
        tour.stdout.close()
        self.assertNotEqual(tour.wait(40), 0)
        self.assertTrue(all(self.gone(pid) for pid in pids))
        self.assertEqual([name for name in os.listdir(self.data) if name.endswith(".pid")], [])

    def test_the_tour_stays_up_until_it_is_interrupted(self):
        with open(os.path.join(self.folder, "out"), "w+", encoding="utf-8") as out:
            tour = subprocess.Popen([os.path.join(SCRIPTS, "demo.sh"), "--list", self.list],
                                    env=self.env, stdout=out, stderr=out, start_new_session=True)
            self.addCleanup(tour.wait)
            self.addCleanup(tour.kill)
            deadline = time.monotonic() + 40
            text = ""
            while "Ctrl-C ends it" not in text and time.monotonic() < deadline:
                time.sleep(0.05)
                out.seek(0)
                text = out.read()
            self.assertIn("Ctrl-C ends it", text)
            self.cluster("restart", "0", code=0)
            pids = [self.pid(node) for node in range(3)]
            os.killpg(tour.pid, signal.SIGINT)  # what a terminal does at Ctrl-C
            self.assertEqual(tour.wait(20), 130)
            self.assertTrue(all(self.gone(pid) for pid in pids))


if __name__ == "__main__":
    unittest.main()
