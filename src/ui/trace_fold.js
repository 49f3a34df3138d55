// What the events of GET /trace say about the cluster: folding an event into a state yields the
// next state. A state is never changed, so keeping one costs a reference. Pure.
//
// A cluster: {nodes: Map of id to node, committed: the newest configuration that is known to be
// committed, removed: ids of former members, is_lost, missed: {at, events}: how many events are
// missing, and since when the last ones}. A node has the members of the event `state`, and:
// is_silent, silent_since, unreachable (ids that it does not reach).

export const EMPTY = Object.freeze({nodes: new Map(), removed: [], is_lost: false});

const NEW_NODE = Object.freeze({
  role: "", term: 0, first_index: 1, last_index: 0, commit_index: 0, applied_index: 0,
  snapshot_index: 0, followers: [], log: [], unreachable: [], is_silent: false,
});

// ---- logs: runs [{term, from, to}] of entries with equal terms, in order of their index

// The runs of a log after its entries from `index` on were removed.
export function cut_runs(runs, index) {
  return runs.filter(({from}) => from < index)
    .map((run) => run.to < index ? run : {...run, to: index - 1});
}

// The runs of a log after it got new entries. These replace what it had from `from` on.
export function add_run(runs, {term, from, to}) {
  const kept = cut_runs(runs, from);
  const last = kept.at(-1);
  if (last === undefined || last.term !== term || last.to !== from - 1)
    return [...kept, {term, from, to}];
  return [...kept.slice(0, -1), {...last, to}];
}

// The term of the entry with this index, or nothing if the runs do not cover it.
export function term_at(runs, index) {
  return runs.find(({from, to}) => from <= index && index <= to)?.term;
}

// ---- events of one node

// What the node cannot reach follows its state. Of a timer that has been seen before, the whole
// time is known already.
function take_state({election}, {kind, node, at, ...all}) {
  const next = {...NEW_NODE, id: node, ...all};
  if (election !== undefined && election.deadline === all.election?.deadline)
    next.election = election;
  return next;
}

function take_role(node, {role, term, leader}) {
  const next = {...node, role, term, leader};
  if (term !== node.term) next.voted_for = undefined;
  if (role !== "leader") next.followers = [];
  if (role !== "candidate") next.votes = undefined;
  return next;
}

function take_snapshot(node, {index}) {
  const next = {...node, snapshot_index: index};
  if (index <= node.last_index) return next;
  // A snapshot from the leader has replaced the log.
  return {...next, log: [], first_index: index + 1, last_index: index, commit_index: index,
    applied_index: index};
}

function take_match(node, {follower, index}) {
  const is_it = ({id}) => id === follower;
  const known = node.followers.find(is_it) ?? {id: follower, state: "replicating"};
  return {...node,
    followers: [...node.followers.filter((one) => !is_it(one)), {...known, match_index: index}]
      .sort((a, b) => a.id - b.id)};
}

function take_vote(node, event) {
  if (event.pre_vote) return node;
  return {...node, voted_for: event.for, term: Math.max(node.term, event.term)};
}

const KINDS = {
  state: take_state,
  role: take_role,
  vote: take_vote,
  votes: (node, {term, pre_vote, granted, refused, needed}) =>
    ({...node, votes: {term, pre_vote, granted, refused, needed}}),
  append: (node, event) => ({...node, log: add_run(node.log, event), last_index: event.to}),
  truncate: (node, {from}) => ({...node, log: cut_runs(node.log, from), last_index: from - 1}),
  commit: (node, {index}) => ({...node, commit_index: index}),
  apply: (node, {index}) => ({...node, applied_index: index}),
  snapshot: take_snapshot,
  match: take_match,
  election: (node, {deadline, timeout_ms}) => ({...node,
    election: deadline === undefined ? undefined : {deadline, timeout_ms}}),
  configuration: (node, {index, joint, members}) =>
    ({...node, configuration: {index, joint, members}}),
  reachable: (node, {peer, reachable}) => ({...node,
    unreachable: [...node.unreachable.filter((id) => id !== peer), ...(reachable ? [] : [peer])]}),
  silent: (node, {at}) => ({...node, is_silent: true, silent_since: node.silent_since ?? at}),
};

// ---- the cluster

export const MISSED_FOR = 5000; // ms for which the picture says that it has missed events

function add_missed(missed, {at, events}) {
  const before = at - missed?.at < MISSED_FOR ? missed.events : 0;
  return {at, events: before + events};
}

const newer = (one, other) => other === undefined || one?.index > other.index ? one : other;

// The newest configuration that a node knows. It may not be committed yet.
export function newest_configuration({nodes}) {
  let newest;
  for (const {configuration} of nodes.values()) newest = newer(configuration, newest);
  return newest;
}

// Who belongs to the cluster: a Map of id to {id, address, seat}. Members of the newest
// configuration count, and until it is committed also those of the one before. Empty if none is
// known.
export function members_of(cluster) {
  return new Map([cluster.committed, newest_configuration(cluster)]
    .flatMap((one) => one?.members ?? []).map((one) => [one.id, one]));
}

// What may change who belongs to the cluster.
const OF_MEMBERSHIP = new Set(["state", "configuration", "commit"]);

// Forgets the nodes that were members of the cluster `before` and no longer are. A node that no
// configuration has named yet stays, because one that names it may still arrive.
function follow_members(cluster, before, {configuration, commit_index}) {
  const committed = configuration?.index <= commit_index
    ? newer(configuration, cluster.committed) : cluster.committed;
  const next = {...cluster, committed};
  const members = members_of(next);
  const removed = [...new Set([...cluster.removed, ...members_of(before).keys()])]
    .filter((id) => !members.has(id));
  if (removed.length === 0 && cluster.removed.length === 0) return next;
  return {...next, removed,
    nodes: new Map([...cluster.nodes].filter(([id]) => !removed.includes(id)))};
}

// The state after an event. An event of a kind that this page does not know changes nothing.
// {kind: "lost"} is the page's own: the stream broke off.
export function fold(cluster, event) {
  if (event.kind === "lost") return {...cluster, is_lost: true};
  if (event.kind === "dropped") return {...cluster, missed: add_missed(cluster.missed, event)};
  const take = KINDS[event.kind];
  if (take === undefined || cluster.removed.includes(event.node)) return cluster;
  const before = cluster.nodes.get(event.node) ?? {...NEW_NODE, id: event.node};
  const nodes = new Map(cluster.nodes);
  const node = take(before, event);
  nodes.set(event.node, node);
  const next = {...cluster, nodes, is_lost: false};
  return OF_MEMBERSHIP.has(event.kind) ? follow_members(next, cluster, node) : next;
}
