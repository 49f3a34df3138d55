// The layout of the logs: a row of cells for each node, one column for each index, ending at the
// longest log. Pure.

import {colour_of} from "./scene.js";
import {term_at} from "./trace_fold.js";

// The columns that fit: {first, last} indexes. The last one is the newest entry of any node that
// can be seen; a silent node does not hold the picture back.
export function columns_of(nodes, count) {
  const lasts = nodes.filter(({is_silent}) => !is_silent).map(({last_index}) => last_index);
  const last = Math.max(0, ...(lasts.length > 0 ? lasts : nodes.map((node) => node.last_index)));
  return {first: Math.max(1, last - count + 1), last};
}

function cell(node, index) {
  const term = term_at(node.log, index);
  if (term === undefined) {
    // A snapshot has taken the place of the entries that it covers.
    const is_compacted = index < node.first_index && index <= node.snapshot_index;
    return {index, kind: is_compacted ? "compacted" : "none"};
  }
  const kind = index <= node.applied_index ? "applied"
    : index <= node.commit_index ? "committed" : "appended";
  return {index, kind, term, colour: colour_of(term)};
}

// The rows: [{id, is_silent, is_leader, cells, commit, applied, snapshot, match}, ...]. A mark is
// the number of the column after which it stands (0 is before the first one), or nothing if it is
// out of sight. `match` is what the leader knows of this node's log.
export function log_rows(nodes, count) {
  const {first, last} = columns_of(nodes, count);
  const leader = nodes.filter(({role, is_silent}) => role === "leader" && !is_silent)
    .sort((a, b) => b.term - a.term)[0];
  const mark = (index) => index >= first - 1 && index <= last && index > 0 ? index - first + 1
    : undefined;
  const rows = nodes.map((node) => {
    const match = leader?.followers.find(({id}) => id === node.id)?.match_index;
    return {
      id: node.id, is_silent: node.is_silent, is_leader: node === leader,
      cells: Array.from({length: Math.max(0, last - first + 1)}, (_, i) => cell(node, first + i)),
      commit: mark(node.commit_index), applied: mark(node.applied_index),
      snapshot: mark(node.snapshot_index),
      match: match === undefined ? undefined : mark(match),
      about: about(node, match),
    };
  });
  return {first, last, rows};
}

// The row in words, for those who do not see it.
function about(node, match) {
  const words = [`node ${node.id}: entries ${node.first_index} to ${node.last_index}`,
    `committed up to ${node.commit_index}`, `applied up to ${node.applied_index}`];
  if (node.snapshot_index > 0) words.push(`snapshot up to ${node.snapshot_index}`);
  if (match !== undefined) words.push(`the leader knows it to match up to ${match}`);
  return words.join(", ");
}
