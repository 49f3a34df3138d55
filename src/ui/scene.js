// What the picture of the cluster shows at one instant: nodes, tally, links, in words and numbers.
// The trace says it; an older node has none, and then /status does, which knows less. Pure.

import {traced_alarms} from "./alarms.js";
import {integer} from "./format.js";
import {members_of, newest_configuration} from "./trace_fold.js";

export const TERM_COLOURS = 6;
const LAGS = 1000;        // entries

// The colour of a term, 0 to TERM_COLOURS - 1. Terms that follow each other differ.
export function colour_of(term) {
  return term % TERM_COLOURS;
}

const host_and_port = (address) => address.replace(/^https?:\/\//, "");

// Addresses as short as they can be told apart: ":5000" if all hosts are the same.
export function short_addresses(addresses) {
  const parts = addresses.map((address) => host_and_port(address).match(/^(.*)(:\d+)$/));
  const is_one_host = parts.every((part) => part !== null && part[1] === parts[0][1]);
  return addresses.map((address, i) =>
    is_one_host && addresses.length > 1 ? parts[i][2] : host_and_port(address));
}

// What is left of a node's election timer at `time`, 1 to 0, or nothing if none runs.
export function timer_left(node, time) {
  if (node.election === undefined || node.is_silent) return undefined;
  const left = (node.election.deadline - time) / node.election.timeout_ms;
  return Math.min(1, Math.max(0, left));
}

// The leader of the highest term, or nothing. A silent one leads no more as far as is known.
function leader_of(nodes) {
  let leader;
  for (const node of nodes.values())
    if (node.role === "leader" && !node.is_silent && !(node.term <= leader?.term)) leader = node;
  return leader;
}

function warnings_of(node, nodes, {leader, acts, alarms, serving}) {
  const found = [];
  const act = acts?.nodes.find(({id}) => id === node.id);
  if (act?.slow_disk_ms > 0) found.push(`slow disk: ${act.slow_disk_ms} ms for each write`);
  // Of the serving node, /status says more than the trace.
  const own = node.id === serving && alarms !== undefined ? alarms : traced_alarms(node);
  for (const {title} of own) found.push(title);
  const behind = (leader?.commit_index ?? 0) - node.applied_index;
  if (behind > LAGS) found.push(`${integer(behind)} entries behind`);
  // A silent node is marked itself. That the others do not reach it is no warning about them.
  const cut_off = node.unreachable.filter((id) => nodes.get(id)?.is_silent === false);
  if (cut_off.length > 0)
    found.push(`does not reach ${cut_off.map((id) => `node ${id}`).join(", ")}`);
  return found;
}

// Why a node says nothing, if /chaos knows it.
function cause_of({id, is_silent}, acts) {
  const act = acts?.nodes.find((one) => one.id === id);
  if (!is_silent || act === undefined) return undefined;
  return !act.running ? "killed" : act.paused ? "paused" : undefined;
}

// "unreachable: killed", or nothing for a node of the scene that can be heard.
export function absence_text({absence, cause}) {
  return cause === undefined ? absence : `${absence}: ${cause}`;
}

const SEATS = {incoming: "joining", outgoing: "leaving", learner: "learner"};

// What a joint configuration takes: a majority of the old voters, and one of the new voters. A node
// whose disk is replaced is in it twice.
function joint_majorities(members) {
  const majority = (seat_of_others) => {
    const ids = members.filter(({seat}) => seat === "voter" || seat === seat_of_others)
      .map(({id}) => id);
    return `${Math.floor(ids.length / 2) + 1} of nodes ${ids.join(", ")}`;
  };
  return `${majority("outgoing")}, and ${majority("incoming")}`;
}

// `cluster` is a state of trace_fold.js at `time`. What else is known: `serving` (an id), `acts`
// (the reply of GET /chaos), `alarms` of the serving node, `addresses` (a Map of id to address,
// until the trace has named the members), `timers_at` (the instant of which timers are shown).
export function scene_of(cluster, time, known = {}) {
  const {nodes} = cluster;
  const configuration = newest_configuration(cluster);
  const members = members_of(cluster);
  const ids = [...new Set([...members.keys(), ...nodes.keys(),
    ...(members.size === 0 ? known.addresses?.keys() ?? [] : [])])].sort((a, b) => a - b);
  const leader = leader_of(nodes);
  const short = short_addresses(ids.map((id) =>
    members.get(id)?.address ?? known.addresses?.get(id) ?? ""));
  return {
    time, leader: leader?.id, term: highest_term(nodes), is_joint: configuration?.joint === true,
    majorities: configuration?.joint ? joint_majorities(configuration.members) : undefined,
    is_lost: cluster.is_lost, tallies: tallies_of(nodes), cuts: known.acts?.cuts ?? [],
    nodes: ids.map((id, i) => {
      const node = nodes.get(id);
      const seat = members.get(id)?.seat;
      const place = {id, address: members.get(id)?.address ?? known.addresses?.get(id) ?? "",
        short: short[i], seat: SEATS[seat], is_serving: id === known.serving};
      // Of a node that was silent from the beginning only that is known.
      if (node === undefined || (node.role === "" && !node.is_silent))
        return {...place, is_known: false, role: "", warnings: []};
      return {...place, ...(node.role === "" ? {role: ""} : pick(node)),
        is_known: node.role !== "", is_leader: id === leader?.id,
        absence: cluster.is_lost || node.is_silent ? "unreachable" : undefined,
        cause: cluster.is_lost ? undefined : cause_of(node, known.acts),
        timer: timer_left(node, known.timers_at ?? time),
        warnings: warnings_of(node, nodes, {...known, leader})};
    }),
  };
}

function pick({role, term, voted_for, last_index, commit_index, applied_index, snapshot_index}) {
  return {role, term, voted_for, last_index, commit_index, applied_index, snapshot_index};
}

function highest_term(nodes) {
  return Math.max(0, ...[...nodes.values()].map(({term}) => term));
}

// The elections that run: [{id, term, pre_vote, granted, refused, needed}, ...].
function tallies_of(nodes) {
  return [...nodes.values()].filter(({votes, role, is_silent}) =>
    votes !== undefined && role !== "leader" && !is_silent)
    .map(({id, votes}) => ({id, ...votes}));
}

// The same from /status alone. Of the other members the serving node knows the address, and who
// leads.
export function scene_of_status(status) {
  const short = short_addresses(status.members.map(({address}) => address));
  return {
    time: 0, term: status.term, is_joint: false, is_lost: false, tallies: [], cuts: [],
    leader: status.members.find(({address}) => address === status.leader)?.id,
    nodes: status.members.map(({id, address, voter}, i) => {
      const is_serving = id === status.id;
      const is_leader = status.leader !== null && address === status.leader;
      const role = is_serving ? status.role : is_leader ? "leader" : "";
      const numbers = is_serving ? pick({...status, snapshot_index: status.snapshot?.index ?? 0})
        : {};
      return {...numbers, id, address, short: short[i], is_serving, is_leader, role,
        is_known: role !== "", warnings: [],
        term: is_serving || is_leader ? status.term : undefined,
        seat: voter ? undefined : "learner"};
    }),
  };
}

// One line for the whole picture.
export function summary_of({leader, term, tallies}) {
  if (leader !== undefined) return `Node ${leader} leads in term ${integer(term)}.`;
  if (tallies.length > 0)
    return `An election runs: ${tallies.map(({id}) => `node ${id}`).join(" and ")} ` +
      `${tallies.length === 1 ? "asks" : "ask"} for votes.`;
  return `No leader is known in term ${integer(term)}.`;
}
