// Events of the trace as sentences. Pure.

import {count, integer} from "./format.js";

const entries = (from, to) => from === to ? `entry ${integer(from)}`
  : `entries ${integer(from)} to ${integer(to)}`;

const ROLES = {
  leader: () => "became leader",
  candidate: () => "became a candidate",
  learner: ({leader}) => leader === undefined ? "is a learner"
    : `learns from node ${leader}`,
  follower: ({leader}) => leader === undefined ? "became a follower and knows no leader"
    : `follows node ${leader}`,
};

function vote({node, for: candidate, pre_vote}) {
  if (node === candidate) return pre_vote ? "asks whether it could win an election"
    : "votes for itself";
  return pre_vote ? `would vote for node ${candidate}` : `granted its vote to node ${candidate}`;
}

function configuration({joint, members}) {
  const seats = members.map(({id, seat}) => seat === "voter" ? String(id) : `${id} (${seat})`);
  return `${joint ? "joint configuration" : "configuration"} of nodes ${seats.join(", ")}`;
}

const KINDS = {
  role: (event) => ROLES[event.role]?.(event) ?? `became ${event.role}`,
  vote,
  votes: ({pre_vote, granted, refused, needed}) =>
    `has ${granted.length} of ${needed} needed ${pre_vote ? "pre-votes" : "votes"}` +
    (refused.length === 0 ? "" : `; ${count(refused.length, "node")} refused`),
  append: ({from, to, term}) => `appended ${entries(from, to)} of term ${term}`,
  truncate: ({from}) => `removed its entries from ${integer(from)} on: they were never committed`,
  commit: ({index}) => `knows that entry ${integer(index)} is committed`,
  snapshot: ({index}) => `has a snapshot up to entry ${integer(index)}`,
  configuration,
  reachable: ({peer, reachable}) => reachable ? `reaches node ${peer} again`
    : `does not reach node ${peer}`,
  silent: () => "has fallen silent: it is down, frozen or cut off",
};

// Kinds that a list of a node's history shows. The others come with every write or heartbeat.
const TRANSITIONS = new Set(["role", "vote", "votes", "truncate", "snapshot", "configuration",
  "reachable", "silent"]);

// The last transitions of a node, the newest first, `most` of them, from events in this order. A
// node says again and again what it cannot reach; the first time counts.
export function last_transitions(events, id, most) {
  const found = [];
  const reached = new Map();  // peer -> the newest `reachable` of it in `found`
  for (const event of events) {
    if (found.length === most) break;
    if (event.node !== id || !TRANSITIONS.has(event.kind)) continue;
    if (event.kind === "reachable") {
      const newer = reached.get(event.peer);
      if (newer?.reachable === event.reachable) found.splice(found.indexOf(newer), 1);
      reached.set(event.peer, event);
    }
    found.push(event);
  }
  return found;
}

// "term 4: granted its vote to node 2". `term` is that of the node if the event has none. Nothing
// for a kind without a sentence.
export function sentence(event, term) {
  const words = KINDS[event.kind]?.(event);
  if (words === undefined) return undefined;
  const known = event.kind === "append" ? term : event.term ?? term;
  return known === undefined || event.kind === "silent" ? words : `term ${known}: ${words}`;
}

// ---- messages

const MESSAGES = {
  pre_vote: "pre-vote request", pre_vote_reply: "pre-vote reply", vote: "vote request",
  vote_reply: "vote reply", append: "append", append_reply: "append reply",
  heartbeat: "heartbeat", heartbeat_reply: "heartbeat reply", snapshot: "snapshot",
  snapshot_reply: "snapshot reply", forward: "forwarded write", forward_reply: "reply to a forward",
  read: "read question", read_reply: "read reply", transfer: "transfer of leadership",
};

export function message_name(message) {
  return MESSAGES[message] ?? message.replaceAll("_", " ");
}

const COMMON = new Set(["node", "kind", "at", "to", "message"]);

// The fields of a message, for people: [[name, text], ...].
export function message_fields(event) {
  const own = Object.entries(event).filter(([name]) => !COMMON.has(name))
    .map(([name, value]) => [name.replaceAll("_", " "),
      typeof value === "number" ? integer(value) : typeof value === "boolean"
        ? (value ? "yes" : "no") : String(value)]);
  return [["from", `node ${event.node}`], ["to", `node ${event.to}`], ...own];
}
