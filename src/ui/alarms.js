// What is wrong, and what to do about it, from what the node that serves the page says. Pure.

import {bytes, count, integer, long_duration, seconds} from "./format.js";

const SLOW_FSYNC = 0.1;   // seconds; a leader with a much slower disk hands over
const LAGS = 1000;        // entries
const NEAR = 0.8;         // of a bound
const DAYS = 30;          // that a certificate is valid at least

export function majority_of(status) {
  const voters = status.members.filter((member) => member.voter).length;
  return {voters, needed: Math.floor(voters / 2) + 1};
}

function leadership(status) {
  if (status.leader !== null) return [];
  const {voters, needed} = majority_of(status);
  return [{
    kind: "bad", title: "No leader, so no quorum",
    text: `Node ${status.id} hears from no leader. Writes and linearizable reads wait, and then ` +
      "get 503.",
    todo: `${needed} of ${voters} voters have to run and to reach each other. Start those that ` +
      "are down, or repair the network; an election follows by itself.",
  }];
}

function state(status) {
  const found = [];
  if (status.diverged !== undefined) found.push({
    kind: "bad", title: "The state of this node has diverged",
    text: "Its digest differs from that of a majority after the same entry, so it answers 503.",
    todo: "Keep a copy of its data directory for a report, then replace the node. The other " +
      "nodes are not affected.",
  });
  for (const member of status.members)
    if (member.regressed === true) found.push({
      kind: "bad", title: `The disk of node ${member.id} went back in time`,
      text: "It lacks entries that this node has acknowledged, as after restoring an old copy.",
      todo: "Leave it running: it takes part again when it has caught up. Do not start a node " +
        "from an old copy of its data directory.",
    });
  if (status.cluster_seen !== undefined) found.push({
    kind: "bad", title: "Nodes of the list belong to another cluster",
    text: "This node has no data, and founds no second cluster.",
    todo: "Check --data-dir and the list; /readyz?verbose says more.",
  });
  if (status.list_mismatch !== undefined) found.push({
    kind: "warn", title: "The list does not name the members",
    text: `The log has ${count(status.list_mismatch.log_members, "member")}, the list of this ` +
      `node ${count(status.list_mismatch.list_servers, "server")}.`,
    todo: "Correct the list, and start the node again.",
  });
  return found;
}

function disk(status, fsync) {
  const found = [];
  if (status.log?.disk_full === true) found.push({
    kind: "bad", title: "The disk is full",
    text: "This node keeps voting, but stores no entries. Writes fail with 507 if the disks of " +
      "a majority are full.",
    todo: "Make space on the file system of its data directory. Service resumes by itself.",
  });
  if (fsync >= SLOW_FSYNC) found.push({
    kind: "warn", title: "The disk is slow",
    text: `Of the last writes to the log, 1 in 100 took ${seconds(fsync)} or longer.`,
    todo: "Find what else uses this disk. While this node leads, every write waits for a " +
      "majority of the disks; moving leadership away helps.",
  });
  return found;
}

function certificate(status) {
  const {days_left, reload_error} = status.tls ?? {};
  const found = [];
  const todo = "Replace the files of --tls-cert and --tls-key. The node reads them again itself.";
  if (days_left < 0) found.push({
    kind: "bad", title: "The certificate of this node has expired",
    text: "Clients and other nodes refuse new connections to it.", todo,
  });
  else if (days_left < DAYS) found.push({
    kind: days_left < DAYS / 4 ? "bad" : "warn",
    title: "The certificate of this node is about to expire",
    text: `It is valid for another ${count(days_left, "day")}. Then clients and other nodes ` +
      "refuse new connections to this node.", todo,
  });
  if (reload_error !== undefined) found.push({
    kind: "warn", title: "Changed certificate files cannot be used",
    text: `The certificates before stay in service: ${reload_error}.`,
    todo: "Correct the files. The node reads them again by itself.",
  });
  return found;
}

function bounds(status) {
  const found = [];
  const {quota, history, idempotency} = status;
  if (quota.state === "exceeded") found.push({
    kind: "bad", title: "The store has reached its quota",
    text: `${bytes(quota.used_bytes)} of ${bytes(quota.bytes)} are used. Writes that make the ` +
      "store grow are 507.",
    todo: "Delete keys, compact the history, or raise --store-bytes on every node.",
  });
  if (quota.state === "near") found.push({
    kind: "warn", title: "The store is near its quota",
    text: `${bytes(quota.used_bytes)} of ${bytes(quota.bytes)} are used.`,
    todo: "Delete keys, compact the history, or raise --store-bytes on every node.",
  });
  if (history.bytes >= NEAR * history.keep_bytes) found.push({
    kind: "warn", title: "The history is near its bound",
    text: `Old versions take ${bytes(history.bytes)} of ${bytes(history.keep_bytes)}. At the ` +
      `bound they are compacted before ${long_duration(history.keep_ms / 1000)} have passed.`,
    todo: "Watches and readers that are slow may lose their place. Raise --keep-history-bytes, " +
      "or write less often.",
  });
  if (idempotency.keys >= NEAR * idempotency.max) found.push({
    kind: "warn", title: "The table of Idempotency-Keys is nearly full",
    text: `${integer(idempotency.keys)} of ${integer(idempotency.max)} results are kept.`,
    todo: "Send fewer writes with an Idempotency-Key, or expect 429 idempotency_full.",
  });
  return found;
}

// What the trace says of a node: [{kind, title}, ...]. Of the serving node, /status says more.
export function traced_alarms({disk_full, disk_slow, diverged}) {
  return [
    [diverged, "bad", "The state has diverged"],
    [disk_full, "bad", "The disk is full"],
    [disk_slow, "warn", "The disk is slow"],
  ].filter(([holds]) => holds).map(([, kind, title]) => ({kind, title}));
}

function others(status, cluster) {
  const nodes = [...cluster.nodes.values()]
    .filter((node) => node.id !== status.id && !node.is_silent);
  return nodes.flatMap((node) => traced_alarms(node).map(({kind, title}) => ({
    kind, title: `Node ${node.id}: ${title.toLowerCase()}`,
    text: "That node says so in the trace.",
    todo: `Open the health view of node ${node.id}: it says more, and what to do.`,
  })));
}

// Alarms in the order of their weight: [{kind: "bad" | "warn", title, text, todo}, ...]. `status`
// is the reply of /status, or nothing before the first one. `down_for`: for how many seconds the
// node has not answered, or nothing. `fsync`: the p99 of the last seconds, or NaN.
// `cluster`: a state of trace_fold.js, or nothing without a trace.
export function alarms({status, down_for, fsync = NaN, cluster}) {
  const found = [];
  if (down_for !== undefined) found.push({
    kind: "bad", title: status ? `Node ${status.id} does not answer` : "The node does not answer",
    text: `For ${long_duration(down_for)}. What this page shows is the last that it said.`,
    todo: "Start it again, or open this page on another node: each serves it at /ui/.",
  });
  if (status === undefined || status.quota === undefined) return found;
  const lag = status.commit_index - status.applied_index;
  found.push(...leadership(status), ...state(status), ...disk(status, fsync),
    ...certificate(status), ...bounds(status));
  if (lag > LAGS) found.push({
    kind: "warn", title: `Node ${status.id} lags behind`,
    text: `${integer(lag)} committed entries are not applied yet.`,
    todo: "It catches up by itself unless its processor is too busy.",
  });
  if (cluster !== undefined) found.push(...others(status, cluster));
  return found.sort((a, b) => (a.kind === "bad" ? 0 : 1) - (b.kind === "bad" ? 0 : 1));
}
