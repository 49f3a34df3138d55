"""Snapshots of a running node: its flags, what it shows of them, and damaged files at a start."""

import json
import os
import re
import sys
import time

import harness
from harness import Server, free_ports
from test_contract import check_metrics

FLAGS = ["--snapshot-entries", "50", "--log-tail-entries", "10", "--snapshot-bytes", "9999999"]


def status(server):
    return json.loads(server.request("GET", "/status")[2])


def data(server):
    return os.path.join(server.directory, "vesper-data", "0")


def snapshots(server):
    return sorted(f for f in os.listdir(data(server)) if f.startswith("snapshot-"))


def filled(binary, directory):
    """A node with two snapshots and a log that begins behind the older one, in memory, too."""
    server = Server(binary, directory, free_ports(1), flags=FLAGS).start()
    end = time.monotonic() + 20
    writes = 0
    while len(snapshots(server)) < 2 or status(server)["log"]["first_index"] < 50:
        assert time.monotonic() < end, server.log_text()
        assert server.request("PUT", "/kv/k%d" % (writes % 30), "v%d" % writes)[0] == 200
        writes += 1
    return server


def flip(server, name, offset):
    with open(os.path.join(data(server), name), "r+b") as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 0x10]))


def refused(server, pattern):
    """It does not start: exit code 11, and a line that says why."""
    server.start(wait=False)
    assert server.process.wait(10) == 11, server.log_text()
    assert re.search(pattern, server.log_text().splitlines()[-1]), server.log_text()


def test_flags_set_the_snapshot_interval_and_status_and_metrics_show_it(binary, directory):
    server = filled(binary, directory)
    limits = status(server)["limits"]
    assert (limits["snapshot_entries"], limits["snapshot_bytes"]) == (50, 9999999)
    assert (limits["log_tail_entries"], limits["log_tail_bytes"]) == (10, 16777216)
    seen = status(server)
    assert seen["snapshot"]["index"] % 50 == 0 and seen["snapshot"]["bytes"] > 0
    assert seen["snapshot"]["age_ms"] < 20000 and seen["log"]["compacted"] is True
    text = server.request("GET", "/metrics")[2].decode()
    check_metrics(text)
    assert "vesper_snapshot_index %d\n" % seen["snapshot"]["index"] in text
    for name in ("snapshot_bytes", "snapshot_age_seconds", "snapshots_taken_total",
                 "snapshots_failed_total", "log_first_index", "loop_longest_turn_seconds"):
        assert "\nvesper_%s " % name in text, name
    assert server.stop() == 0


def test_one_damaged_snapshot_is_skipped_and_two_are_refused(binary, directory):
    server = filled(binary, directory)
    seen = status(server)
    server.stop()
    newest = snapshots(server)[-1]
    flip(server, newest, 80)
    # What a crash left of one that was being written.
    for name in ("snapshot.tmp", "received.tmp"):
        with open(os.path.join(data(server), name), "wb") as f:
            f.write(b"half")
    server.start()
    again = status(server)
    assert again["digest"] == seen["digest"]
    assert again["snapshot"]["index"] < seen["snapshot"]["index"]
    assert "%s at offset 56: damaged" % newest in server.log_text()
    assert not [name for name in os.listdir(data(server)) if name.endswith(".tmp")]
    server.stop()
    for name in snapshots(server)[:-1]:
        flip(server, name, 80)
    refused(server, newest + " at offset 56: damaged")


def test_a_missing_newest_snapshot_is_skipped_and_missing_all_is_refused(binary, directory):
    server = filled(binary, directory)
    seen = status(server)
    server.stop()
    os.unlink(os.path.join(data(server), snapshots(server)[-1]))
    server.start()
    assert status(server)["digest"] == seen["digest"]
    server.stop()
    for name in snapshots(server):
        os.unlink(os.path.join(data(server), name))
    refused(server, "the log begins after entry [0-9]+, but the directory has no snapshot")


def test_a_snapshot_of_another_node_or_version_is_not_used(binary, directory):
    server = filled(binary, directory)
    server.stop()
    first, second = snapshots(server)[-2:]
    content = open(os.path.join(data(server), second), "rb").read()
    with open(os.path.join(data(server), first), "wb") as f:
        f.write(content)
    os.unlink(os.path.join(data(server), second))
    refused(server, first + " at offset 0: its head says that it is " + second)


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], os.path.abspath(sys.argv[1])))
