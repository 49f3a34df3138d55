// What GET /figures says, as series for the plots. Pure.

import {Series} from "./series.js";

export const KEPT = 15 * 60;  // s
const ROOM = 1000;            // samples and gaps; the node keeps 450

// Counts become rates, and microseconds seconds. What the sample lacks is undefined or NaN.
function values_of(sample) {
  const rate = (count) => count * 1000 / sample.covers_ms;
  return {
    requests: rate(sample.requests),
    reads: rate(sample.reads),
    applied: rate(sample.entries_applied),
    p50: sample.p50_us / 1e6,
    p99: sample.p99_us / 1e6,
    fsync50: sample.fsync_p50_us / 1e6,
    fsync99: sample.fsync_p99_us / 1e6,
    leader_changes: sample.leader_changes,
    elections: sample.elections,
    store: sample.store_bytes,
    history: sample.history_bytes,
    log_memory: sample.log_bytes,
    log_files: sample.log_file_bytes,
    snapshot: sample.snapshot_bytes,
  };
}

// The higher one of two in the middle. NaN if there is no value.
export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

export class Figures {
  newest = undefined;  // at_ms of the newest sample, to ask for what is newer
  series = new Series(Object.keys(values_of({})), ROOM);

  // Takes the samples of a reply that arrived at `now`, in seconds of the page's clock.
  take({at_ms, every_ms, samples}, now) {
    for (const sample of samples) {
      const ended = now - (at_ms - sample.at_ms) / 1000;
      // What is not known: the time between two processes, or one in which the process stood still.
      const is_gap = sample.at_ms - sample.covers_ms !== this.newest ||
        sample.covers_ms >= 2 * every_ms;
      if (is_gap) this.#push(ended - Math.min(sample.covers_ms, every_ms) / 1000, {});
      this.#push(ended, values_of(sample));
      this.newest = sample.at_ms;
    }
  }

  // For how many seconds there are figures, up to KEPT.
  age(now) {
    return this.series.size === 0 ? 0 : Math.min(now - this.series.time(0), KEPT);
  }

  // A reply may have taken longer than the next one.
  #push(time, values) {
    const {series} = this;
    const last = series.size === 0 ? -Infinity : series.time(series.size - 1);
    series.push(Math.max(time, last), values);
  }
}
