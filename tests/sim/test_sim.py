"""Tests build/vesper-sim from the command line: exit codes, the summary, replays."""
import json
import os
import subprocess
import sys
import unittest

SIM = ""


def run(*arguments):
    return subprocess.run([SIM, *arguments], capture_output=True, text=True, check=False,
                          timeout=300)


class Simulator(unittest.TestCase):
    def test_the_same_seeds_give_the_same_trace_in_other_processes(self):
        one = json.loads(run("--seeds", "12", "--jobs", "1", "--json").stdout)
        three = json.loads(run("--seeds", "12", "--jobs", "3", "--json").stdout)
        self.assertEqual(one["trace"], three["trace"])
        self.assertEqual(one["events"], three["events"])
        other = json.loads(run("--seeds", "12", "--first", "2", "--json").stdout)
        self.assertNotEqual(one["trace"], other["trace"])

    def test_the_printed_trace_is_reproducible(self):
        first = run("--seed", "4", "--trace", "--messages").stdout
        second = run("--seed", "4", "--trace", "--messages").stdout
        self.assertGreater(len(first.splitlines()), 1000)
        self.assertEqual(first, second)

    def test_the_summary_lists_what_was_exercised(self):
        ran = run("--seeds", "10", "--json")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        summary = json.loads(ran.stdout)
        for member in ("seeds", "failures", "simulated_seconds", "wall_seconds", "events"):
            self.assertIn(member, summary)
        self.assertEqual((summary["seeds"], summary["failures"]), (10, 0))
        for kind in ("leaders", "operations", "faults", "entries_committed", "starts"):
            self.assertGreater(summary["events"][kind], 0, kind)

    def test_rare_situations_are_provoked(self):
        ran = run("--seeds", "200", "--json")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        events = json.loads(ran.stdout)["events"]
        for kind in ("promises", "fault_ambush", "stretches", "hand_overs_in_the_calm",
                     "conflicts_behind_snapshots", "snapshots_replaced", "snapshots_fallen_back",
                     "idempotency_refused_full", "slow_followers", "slow_followers_behind",
                     "ranges_paged_through", "pages_compacted", "streams_in_pieces",
                     "streams_over_compactions", "streams_over_installs", "watches_resumed",
                     "watches_reset", "watches_synced", "watch_events", "polls_woken",
                     "polls_late", "polls_compacted", "polls_unchanged", "reads_of_the_past",
                     "reads_compacted", "transactions_nested", "conflicts", "restores",
                     "compactions", "compactions_by_hand", "quotas_reached",
                     "quotas_with_room_again", "quotas_with_an_empty_revision",
                     "writes_over_quota", "histories_compared",
                     "leases_granted", "leases_renewed", "leases_ended", "leases_not_found",
                     "locks_granted", "locks_granted_after_waiting", "locks_renewed",
                     "renewals_repeated",
                     "locks_released", "locks_busy", "locks_lost", "writes_within_fence",
                     "writes_fenced", "writes_unauthorized", "writes_forbidden",
                     "reads_unauthorized", "token_changes", "tokens_revoked",
                     "tables_at_limit", "keys_expired", "leased_keys_expired", "locks_expired",
                     "sessions_lapsed", "drills", "traces_opened", "trace_events",
                     "trace_silences", "copies_noticed", "copies_set_aside",
                     "changers_isolated", "upgrades"):
            self.assertGreater(events[kind], 0, kind)

    def test_a_failure_is_shrunk_and_the_printed_command_replays_it(self):
        ran = run("--seeds", "1", "--first", "3", "--plant")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("seed 3: wrong outcome", ran.stdout)
        replay = next(line for line in ran.stdout.splitlines() if "replay:" in line).split()[1:]
        self.assertEqual(replay[:2], ["scripts/replay.sh", "3"])
        self.assertIn("--without", replay)
        self.assertRegex(ran.stdout, r"\n  commit: ([0-9a-f]{12}|unknown)\n")
        again = run("--seed", *replay[1:], "--trace")
        self.assertEqual(again.returncode, 1)
        self.assertIn("wrong outcome", again.stdout)
        self.assertIn("asks server", again.stdout)

    def test_help_goes_to_stdout_and_ends_with_0(self):
        ran = run("--help")
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        self.assertIn("--seeds N", ran.stdout)
        self.assertIn("partition", ran.stdout)

    def test_invalid_arguments_end_with_2(self):
        for arguments in (["--seeds"], ["--seeds", "x"], ["--seeds", "0"], ["--seeds", "-1"],
                          ["--nonsense"], ["--jobs", "0"], ["--servers", "4"], ["extra"],
                          ["--without", "crash,nothing"], ["--trace"], ["--seed", "1x"]):
            ran = run(*arguments)
            self.assertEqual(ran.returncode, 2, arguments)
            self.assertIn("usage:", ran.stderr)
            self.assertEqual(ran.stdout, "")


if __name__ == "__main__":
    SIM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
