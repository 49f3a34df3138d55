"""GET /figures of a running node: what its samples hold, and what a pause and a restart leave."""

import json
import os
import signal
import sys
import time

import harness
from test_contract import Running
from test_peers import wait


def samples_of(s, since=None):
    target = "/figures" if since is None else "/figures?since=%d" % since
    reply = json.loads(s.request("GET", target)[2])
    samples = reply["samples"]
    for before, after in zip(samples, samples[1:]):
        assert after["at_ms"] - after["covers_ms"] == before["at_ms"], (before, after)
    assert all(0 < one["covers_ms"] and one["at_ms"] <= reply["at_ms"] for one in samples), reply
    return samples


def test_figures_are_kept_and_the_requests_of_monitors_are_no_load(binary, directory):
    with Running(binary, directory) as s:
        for i in range(20):
            s.request("PUT", "/kv/f", "x" * 1000)
            for target in ("/status", "/metrics", "/figures", "/nothing"):
                s.request("GET", target)
        s.request("GET", "/kv/f")
        total = lambda name: sum(one[name] for one in samples_of(s))
        wait(lambda: total("requests") == 21, 30, s.log_text)
        busy = max(samples_of(s), key=lambda one: one["requests"])
        assert 0 < busy["p50_us"] <= busy["p99_us"] and 0 < busy["fsync_p50_us"], busy
        assert total("entries_applied") >= 20 and total("leader_changes") == 1, samples_of(s)
        idle = wait(lambda: [one for one in samples_of(s, busy["at_ms"]) if one["requests"] == 0])
        assert idle[-1]["store_bytes"] > 1000 and idle[-1]["log_file_bytes"] > 0, idle
        assert "p50_us" not in idle[-1] and "p99_us" not in idle[-1], idle
        # What was not recorded while the process stood still is one long sample.
        last = samples_of(s)[-1]["at_ms"]
        s.process.send_signal(signal.SIGSTOP)
        time.sleep(5)  # longer than two samples
        s.process.send_signal(signal.SIGCONT)
        paused = wait(lambda: samples_of(s, last))
        assert paused[0]["covers_ms"] >= 4900, paused
        # The clock goes on over a restart of the process, whose figures begin again.
        last = samples_of(s)[-1]["at_ms"]
        assert s.stop() == 0
        s.start()
        began = wait(lambda: samples_of(s, last))[0]
        assert began["at_ms"] - began["covers_ms"] > last, (began, last)
        assert total("requests") == 0


if __name__ == "__main__":
    sys.exit(harness.run(sys.modules[__name__], os.path.abspath(sys.argv[1])))
