// What the steps of the tour conclude from what is shown. An event of the trace can be lost, but
// each node repeats its state every second. So each conclusion follows from the states alone, or
// from any one of several events. Pure.
//
// `story` is {events, cluster, time, memo}: the events since the step began, and the state of the
// cluster at the instant that is shown.

import {term_at} from "./trace_fold.js";

export const majority = (count) => Math.floor(count / 2) + 1;

export const alive = (cluster) =>
  [...cluster.nodes.values()].filter(({is_silent}) => !is_silent);

export const highest_term = (cluster) =>
  Math.max(0, ...[...cluster.nodes.values()].map(({term}) => term));

// The leader of the highest term, if it can be heard.
export function leader_in(cluster) {
  return alive(cluster).filter(({role}) => role === "leader")
    .sort((a, b) => b.term - a.term)[0];
}

// True if a leader that `fits` accepts has been seen. `fits` gets {node, term}.
export function leads({events, cluster}, fits) {
  const {id, term} = leader_in(cluster) ?? {};
  return events.some((event) => event.kind === "role" && event.role === "leader" && fits(event)) ||
    (id !== undefined && fits({node: id, term}));
}

// True if all nodes can be heard and follow one leader.
export function is_whole(cluster) {
  const leader = leader_in(cluster);
  return leader !== undefined && alive(cluster).length === cluster.nodes.size &&
    alive(cluster).every((node) => node.term === leader.term && node.leader === leader.id);
}

// True if all nodes have committed all entries of the longest log.
export function are_equal(cluster) {
  const [first, ...others] = alive(cluster);
  return first !== undefined && others.length + 1 === cluster.nodes.size && others.every((node) =>
    node.last_index === first.last_index && node.commit_index === first.commit_index) &&
    first.commit_index === first.last_index;
}

// True if all nodes have committed the entry with this index. Then their logs are equal up to it.
export function all_committed(cluster, index) {
  return alive(cluster).length === cluster.nodes.size &&
    alive(cluster).every(({commit_index}) => commit_index >= index);
}

// The index of the first entry that `node` has appended after `since`, when its last entry was
// `last`. Nothing if it has appended none.
export function appended_index({events, cluster, time}, {node, since, last}) {
  const event = events.find(({kind, node: id, at}) =>
    kind === "append" && id === node && at > since);
  if (event !== undefined) return event.from;
  const is_longer = time > since && cluster.nodes.get(node)?.last_index > last;
  return is_longer ? last + 1 : undefined;
}

// The index of the first entry in the log of `node` that it does not know to be committed. Nothing
// if there is none.
export function uncommitted_index(cluster, node) {
  const {commit_index, last_index} = cluster.nodes.get(node) ?? {};
  return last_index > commit_index ? commit_index + 1 : undefined;
}

// True if `node` has lost the entry of `term` at `index`, which it had.
export function has_removed({events, cluster}, {node, index, term}) {
  const event = events.some(({kind, node: id, from}) =>
    kind === "truncate" && id === node && from <= index);
  const state = cluster.nodes.get(node);
  return event || (state !== undefined && state.log.length > 0 && !state.is_silent &&
    term_at(state.log, index) !== term);
}

// ---- a split vote

// Messages that carry the present term of their sender.
const OF_TERM = new Set(["vote", "append", "heartbeat"]);

// What an event proves about a term: {term, candidate, has_leader}, or nothing.
function proof_of(event) {
  const {kind, node, term} = event;
  if (event.pre_vote) return undefined;
  if (kind === "vote") return {term, candidate: event.for};
  if (kind === "votes") return {term, candidate: node};
  if (kind === "role") return {term, has_leader: event.leader !== undefined ||
    event.role === "leader"};
  if (kind === "state") return {term, has_leader: event.leader !== undefined,
    candidate: event.voted_for === node ? node : undefined};
  if (kind === "append") return {term, has_leader: true};
  if (kind === "send" && OF_TERM.has(event.message)) return {term,
    candidate: event.message === "vote" ? node : undefined,
    has_leader: event.message !== "vote"};
  return undefined;
}

// The first term after `since_term` that had two candidates and ended without a leader: {term,
// nodes}.
export function split_in(events, since_term) {
  const candidates = new Map();
  const led = new Set();
  let newest = 0;
  for (const event of events) {
    const {term, candidate, has_leader} = proof_of(event) ?? {};
    if (!(term > since_term)) continue;
    newest = Math.max(newest, term);
    if (has_leader) led.add(term);
    if (candidate !== undefined)
      candidates.set(term, new Set(candidates.get(term)).add(candidate));
  }
  for (const [term, nodes] of candidates)
    if (nodes.size > 1 && term < newest && !led.has(term))
      return {term, nodes: [...nodes].sort((a, b) => a - b)};
  return undefined;
}

// The same from terms and logs, if events are missing since `since`: `nodes` were told to campaign
// when the term was `term`. If a node leads in a term after the next one, and its log has no entry
// of the next one, no node has won there, because a leader begins its term with an entry.
export function split_behind(cluster, {term, since, nodes}) {
  const leader = leader_in(cluster);
  const was_split = cluster.missed?.at >= since && leader?.term > term + 1 &&
    leader.log.every((run) => run.term !== term + 1);
  return was_split ? {term: term + 1, nodes} : undefined;
}
