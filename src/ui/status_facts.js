// What a node's /status says of it, as facts for people. Pure.

import {bytes, integer, long_duration} from "./format.js";

// [[name, text], ...]
export function status_facts(status) {
  const snapshot = status.snapshot;
  return [
    ["Version", status.version],
    ["Uptime", long_duration(status.uptime_ms / 1000)],
    ["Revision", integer(status.revision)],
    ["Keys", integer(status.keys)],
    ["Log in memory", `${integer(status.log?.first_index ?? 0)} to ${integer(status.last_index)}`],
    ["Log on disk", bytes(status.log?.file_bytes ?? NaN)],
    ["Snapshot on disk", snapshot ? bytes(snapshot.bytes) : "none yet"],
    ["Leases", integer(status.leases)],
    ["Locks", `${integer(status.locks)}, ${integer(status.lock_waiters)} waiting`],
    ["Watches", integer(status.watchers ?? 0)],
  ];
}
