// What the serving node says of itself, asked once a second while the page is open, and the last 15
// minutes of it. Only this node is asked: a page may not talk to other origins.

import {get, request, Unreachable} from "./api.js";
import {gained, parse_metrics, quantile, sum} from "./metrics.js";
import {Series} from "./series.js";

const INTERVAL = 1000;           // ms, of /status
const METRICS_EVERY = 2;         // of these
export const KEPT = 15 * 60;     // s
const WINDOW = 5;                // readings of /metrics that a quantile covers

const SERIES = ["requests", "reads", "applied", "p50", "p99", "fsync50", "fsync99",
  "leader_changes", "elections", "store", "history", "log_memory", "log_files", "snapshot"];
// Requests of people and monitors, which are no load of the store, or which wait on purpose.
const NO_LOAD = new Set(["ui", "status", "metrics", "livez", "readyz", "root", "openapi", "none",
  "watch", "lock", "election", "cluster", "trace", "chaos"]);
const is_load = ({route}) => !NO_LOAD.has(route);

export class Poll extends EventTarget {
  status = undefined;     // the last reply of /status
  down_since = undefined; // when a question first got no answer, in seconds of now()
  began = now();
  series = new Series(SERIES, KEPT * 1000 / INTERVAL / METRICS_EVERY + 1);
  readings = [];          // {time, families}, the newest last
  may_read_metrics = true; // false: the token lacks the right
  first = undefined;      // the first reading, from which counts are shown

  start() {
    let round = 0;
    const turn = async () => {
      await this.ask(round++ % METRICS_EVERY === 0);
      setTimeout(turn, INTERVAL);
    };
    turn();
  }

  get down_for() {
    return this.down_since === undefined ? undefined : now() - this.down_since;
  }

  get fsync_p99() {
    return this.series.last("fsync99");
  }

  async ask(with_metrics) {
    const asked = now();
    try {
      const [status, text] = await Promise.all([
        get("/status", 3000), with_metrics ? metrics() : undefined]);
      this.status = status;
      this.down_since = undefined;
      if (with_metrics) this.may_read_metrics = text !== "";
      if (text) this.take(parse_metrics(text));
    } catch (error) {
      if (!(error instanceof Unreachable)) console.warn(error);
      this.down_since ??= asked;
      if (with_metrics) this.series.push(now(), {});
    }
    this.dispatchEvent(new Event("change"));
  }

  take(families) {
    const time = now();
    const last = this.readings.at(-1);
    const restarted = last && !(gained(last.families, families, "uptime_seconds") >= 0);
    if (restarted) this.readings = [];
    this.first = restarted ? families : this.first ?? families;
    this.readings.push({time, families});
    if (this.readings.length > WINDOW + 1) this.readings.shift();
    this.series.push(time, this.values(restarted ? undefined : last));
  }

  values(last) {
    const {time, families} = this.readings.at(-1);
    const oldest = this.readings.length > 1 ? this.readings[0].families : undefined;
    const rate = (name, fits) =>
      last === undefined ? NaN : gained(last.families, families, name, fits) / (time - last.time);
    const gauge = (name) => sum(families, name);
    return {
      requests: rate("requests_total", is_load),
      reads: rate("reads_total"),
      applied: rate("entries_applied_total"),
      p50: quantile(0.5, oldest, families, "request_seconds", is_load),
      p99: quantile(0.99, oldest, families, "request_seconds", is_load),
      fsync50: quantile(0.5, oldest, families, "fsync_seconds"),
      fsync99: quantile(0.99, oldest, families, "fsync_seconds"),
      leader_changes: gained(this.first, families, "leader_changes_total"),
      elections: gained(this.first, families, "elections_total"),
      store: gauge("store_bytes"),
      history: gauge("history_bytes"),
      log_memory: gauge("log_bytes"),
      log_files: gauge("wal_file_bytes"),
      snapshot: gauge("snapshot_bytes"),
    };
  }
}

// Empty if the token does not allow it: then the page has no curves.
async function metrics() {
  try {
    return await request("GET", "/metrics", undefined, 3000);
  } catch (error) {
    if (error.status === 403) return "";
    throw error;
  }
}

// Seconds of a clock that never goes back.
export function now() {
  return performance.now() / 1000;
}
