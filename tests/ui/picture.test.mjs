// What the picture of the cluster shows: the scene, rows of logs, dots, sentences, and the ring.
import assert from "node:assert/strict";
import {test} from "node:test";

import {dots_at, FLIGHT, message_counts, place_of} from "../../src/ui/dots.js";
import {columns_of, log_rows} from "../../src/ui/log_rows.js";
import {ring_layout} from "../../src/ui/ring.js";
import {absence_text, colour_of, scene_of, scene_of_status, short_addresses,
  summary_of} from "../../src/ui/scene.js";
import {last_transitions, message_fields, sentence} from "../../src/ui/sentences.js";
import {EMPTY, fold} from "../../src/ui/trace_fold.js";

const MEMBERS = [0, 1, 2].map((id) => ({id, address: `http://h:500${id}`, seat: "voter"}));
function node(id, more = {}) {
  return {kind: "state", node: id, at: 0, role: "follower", term: 3, leader: 2, first_index: 1,
    last_index: 5, commit_index: 4, applied_index: 3, snapshot_index: 0,
    configuration: {index: 1, joint: false, members: MEMBERS},
    log: [{term: 1, from: 1, to: 3}, {term: 3, from: 4, to: 5}], ...more};
}
const LEADER = node(2, {role: "leader", commit_index: 5, followers: [
  {id: 0, match_index: 4, state: "replicating"}, {id: 1, match_index: 0, state: "probing"}]});
const cluster = (...events) => events.reduce(fold, EMPTY);

test("a scene names the leader, the nodes in order, and what is not known yet", () => {
  const scene = scene_of(cluster(LEADER, node(0)), 0, {serving: 0});
  assert.deepEqual(scene.nodes.map(({id}) => id), [0, 1, 2]);
  assert.equal(scene.leader, 2);
  assert.equal(scene.nodes[0].is_serving, true);
  assert.equal(scene.nodes[1].is_known, false);
  assert.equal(scene.nodes[2].is_leader, true);
  assert.equal(scene.nodes[2].short, ":5002");
  assert.equal(summary_of(scene), "Node 2 leads in term 3.");
});

test("of two leaders the one with the higher term counts, and a silent one does not", () => {
  const old = node(0, {role: "leader", term: 2});
  assert.equal(scene_of(cluster(old, LEADER), 0).leader, 2);
  const scene = scene_of(cluster(LEADER, {kind: "silent", node: 2, at: 1}), 1);
  assert.equal(scene.leader, undefined);
  assert.equal(scene.nodes[2].absence, "unreachable");
  assert.equal(scene.nodes[2].role, "leader", "its last state");
  const acts = {cuts: [], nodes: [{id: 2, running: false, paused: false, slow_disk_ms: 0}]};
  const silent = cluster(LEADER, {kind: "silent", node: 2, at: 1});
  const killed = scene_of(silent, 1, {acts}).nodes[2];
  assert.deepEqual([killed.absence, killed.cause], ["unreachable", "killed"]);
  assert.equal(absence_text(killed), "unreachable: killed");
  assert.equal(absence_text(scene.nodes[2]), "unreachable");
  assert.equal(absence_text(scene_of(cluster(LEADER), 0).nodes[2]), undefined);
});

test("a removed member leaves the picture, and keeps its address until then", () => {
  const addresses = new Map(MEMBERS.map(({id, address}) => [id, address]));
  const removal = {kind: "configuration", node: 2, at: 1, index: 6, joint: false,
    members: [MEMBERS[0], MEMBERS[2]]};
  const leaving = cluster(LEADER, node(0), node(1), removal);
  assert.deepEqual(scene_of(leaving, 1, {addresses}).nodes.map(({short}) => short),
    [":5000", ":5001", ":5002"]);
  const left = fold(leaving, {kind: "commit", node: 2, at: 2, index: 6});
  const scene = scene_of(left, 2, {addresses});
  assert.deepEqual(scene.nodes.map(({id, short}) => [id, short]), [[0, ":5000"], [2, ":5002"]],
    "although /status still names it");
});

test("a node that says that its disk or its state is bad has a warning, as /status does", () => {
  const state = cluster(LEADER, node(0, {disk_slow: true}), node(1, {disk_full: true}));
  const alarms = [{title: "The disk is slow for sure"}];
  const warnings = (known) => scene_of(state, 0, known).nodes.map((one) => one.warnings);
  assert.deepEqual(warnings({}), [["The disk is slow"], ["The disk is full"], []]);
  assert.deepEqual(warnings({serving: 0, alarms}),
    [["The disk is slow for sure"], ["The disk is full"], []]);
  assert.deepEqual(scene_of(fold(state, node(1)), 0).nodes[1].warnings, []);
});

test("an election shows its tally, a joint configuration its seats, a timer what is left", () => {
  const members = [{...MEMBERS[0]}, {...MEMBERS[1], seat: "outgoing"},
    {...MEMBERS[2], seat: "incoming"}, {id: 3, address: "http://h:5003", seat: "learner"}];
  const state = cluster(node(0, {configuration: {index: 9, joint: true, members}}),
    node(1, {role: "candidate", term: 4, election: {deadline: 500, timeout_ms: 400},
      votes: {pre_vote: false, granted: [1], refused: [], needed: 2}}));
  const scene = scene_of(state, 200);
  assert.equal(scene.is_joint, true);
  assert.deepEqual(scene.nodes.map(({seat}) => seat), [undefined, "leaving", "joining", "learner"]);
  assert.equal(scene.majorities, "2 of nodes 0, 1, and 2 of nodes 0, 2");
  assert.deepEqual(scene.tallies,
    [{id: 1, pre_vote: false, granted: [1], refused: [], needed: 2}]);
  assert.equal(scene.nodes[1].timer, 0.75);
  assert.equal(scene_of(state, 900).nodes[1].timer, 0);
  assert.equal(scene_of(state, 900, {timers_at: 200}).nodes[1].timer, 0.75,
    "timers may lag so that they do not move");
  assert.equal(scene.nodes[0].timer, undefined);
  assert.equal(summary_of(scene), "An election runs: node 1 asks for votes.");
});

test("a node far behind, with a slow disk or without a link says so", () => {
  const acts = {cuts: [], nodes: [{id: 0, running: true, paused: false, slow_disk_ms: 50}]};
  const state = cluster({...LEADER, commit_index: 5000, applied_index: 5000}, node(0), node(1),
    {kind: "reachable", node: 0, at: 1, peer: 1, reachable: false});
  assert.deepEqual(scene_of(state, 1, {acts, serving: 2}).nodes[0].warnings,
    ["slow disk: 50 ms for each write", "4,997 entries behind", "does not reach node 1"]);
  assert.deepEqual(scene_of(fold(state, {kind: "silent", node: 1, at: 2}), 2).nodes[0].warnings,
    ["4,997 entries behind"], "a silent node says so itself");
  assert.deepEqual(scene_of(state, 1, {alarms: [{title: "The disk is full"}], serving: 2})
    .nodes[2].warnings, ["The disk is full"]);
});

test("without a trace the scene is what /status says", () => {
  const status = {id: 0, role: "follower", term: 3, leader: "http://h:5002", last_index: 5,
    commit_index: 5, applied_index: 5,
    members: MEMBERS.map(({id, address}) => ({id, address, voter: id !== 1}))};
  const scene = scene_of_status(status);
  assert.equal(scene.leader, 2);
  assert.deepEqual(scene.nodes.map(({role}) => role), ["follower", "", "leader"]);
  assert.deepEqual(scene.nodes.map(({is_known}) => is_known), [true, false, true]);
  assert.equal(scene.nodes[1].seat, "learner");
});

test("addresses are as short as they can be told apart", () => {
  assert.deepEqual(short_addresses(["http://a:1", "http://a:2"]), [":1", ":2"]);
  assert.deepEqual(short_addresses(["http://a:1", "http://b:1"]), ["a:1", "b:1"]);
  assert.deepEqual(short_addresses(["http://[::1]:1", "http://[::1]:2"]), [":1", ":2"]);
  assert.deepEqual(short_addresses(["http://a:1"]), ["a:1"]);
  assert.notEqual(colour_of(6), colour_of(7));
});

// ---- logs

const rows_of = (events, count) => log_rows([...cluster(...events).nodes.values()]
  .sort((a, b) => a.id - b.id), count);

test("rows of logs end at the longest log, coloured by term, with marks", () => {
  const {first, last, rows} = rows_of([node(0), node(1, {last_index: 2,
    log: [{term: 1, from: 1, to: 2}], commit_index: 2, applied_index: 2}), LEADER], 4);
  assert.deepEqual([first, last], [2, 5]);
  assert.deepEqual(rows[0].cells.map(({kind}) => kind),
    ["applied", "applied", "committed", "appended"]);
  assert.deepEqual(rows[0].cells.map(({term}) => term), [1, 1, 3, 3]);
  assert.deepEqual(rows[1].cells.map(({kind}) => kind), ["applied", "none", "none", "none"]);
  assert.equal(rows[0].commit, 3);
  assert.equal(rows[0].match, 3, "up to entry 4");
  assert.equal(rows[1].match, undefined, "nothing matches yet");
  assert.equal(rows[2].match, undefined, "a leader does not follow itself");
  assert.match(rows[0].about, /node 0: entries 1 to 5, committed up to 4/);
});

test("rows show where a snapshot stands, and an empty cluster has none", () => {
  const compacted = node(0, {first_index: 4, snapshot_index: 4, log: [{term: 3, from: 4, to: 5}]});
  const {rows} = rows_of([compacted], 4);
  assert.deepEqual(rows[0].cells.map(({kind}) => kind),
    ["compacted", "compacted", "committed", "appended"]);
  assert.equal(rows[0].snapshot, 3);
  assert.deepEqual(log_rows([], 10), {first: 1, last: 0, rows: []});
  assert.deepEqual(columns_of([{is_silent: true, last_index: 90}, {is_silent: false,
    last_index: 7}], 3), {first: 5, last: 7});
});

// ---- messages

const send = (at, more = {}) => ({kind: "send", node: 0, to: 1, message: "append", at, ...more});

test("a dot leaves when its message leaves, and is as fast at every speed", () => {
  assert.deepEqual(dots_at([send(100)], 99, FLIGHT), []);
  assert.equal(dots_at([send(100)], 100, FLIGHT)[0].part, 0);
  assert.equal(dots_at([send(100)], 100 + FLIGHT / 2, FLIGHT)[0].part, 0.5);
  assert.deepEqual(dots_at([send(100)], 100 + FLIGHT, FLIGHT), []);
  assert.equal(dots_at([send(100)], 100 + FLIGHT / 20, FLIGHT / 10)[0].part, 0.5);
});

test("of many messages a few are shown, always the same ones, and votes first", () => {
  const many = Array.from({length: 4000}, (_, i) => send(i / 10, {to: 1 + i % 40}));
  const vote = send(200, {message: "vote", to: 3});
  const all = [...many.slice(0, 2000), vote, ...many.slice(2000)];
  const shown = (time) => dots_at(all, time, FLIGHT);
  const now = shown(399), later = shown(409);
  assert.ok(now.length <= 90, String(now.length));
  assert.ok(now.some(({event}) => event === vote));
  const one_link = many.filter(({to}) => to === 1);
  const first = dots_at(one_link, 399, FLIGHT).map(({event}) => event);
  const second = dots_at(one_link, 409, FLIGHT).map(({event}) => event);
  assert.ok(first.length > 2 && first.length < 10, String(first.length));
  assert.deepEqual(second, first);
  assert.ok(later.length > 0);
});

test("dots keep to the right of their link, between the edges of the nodes", () => {
  const a = {x: 0, y: 0}, b = {x: 100, y: 0};
  assert.deepEqual(place_of(a, b, 10, 0), {x: 10, y: 5});
  assert.deepEqual(place_of(a, b, 10, 1), {x: 90, y: 5});
  assert.deepEqual(place_of(b, a, 10, 0.5), {x: 50, y: -5});
});

test("messages are counted once, whether they were shown or only counted", () => {
  const counts = message_counts([send(10), send(20, {message: "vote"}), send(900),
    {kind: "rate", node: 0, at: 1000, messages: {append: 800, heartbeat_reply: 4}},
    send(950, {node: 1})]);
  assert.deepEqual(counts, {vote: 1, snapshot: 0, append: 802, heartbeat: 4, other: 0});
});

// ---- sentences

test("transitions are sentences", () => {
  const say = (kind, more, term) => sentence({kind, node: 1, at: 0, ...more}, term);
  assert.equal(say("vote", {term: 4, for: 2, pre_vote: false}),
    "term 4: granted its vote to node 2");
  assert.equal(say("vote", {term: 4, for: 1, pre_vote: false}), "term 4: votes for itself");
  assert.equal(say("role", {role: "leader", term: 4, leader: 1}), "term 4: became leader");
  assert.equal(say("role", {role: "follower", term: 4, leader: 0}), "term 4: follows node 0");
  assert.equal(say("votes", {term: 4, pre_vote: false, granted: [1, 2], refused: [0], needed: 3}),
    "term 4: has 2 of 3 needed votes; 1 node refused");
  assert.equal(say("append", {from: 7, to: 7, term: 3}, 4), "term 4: appended entry 7 of term 3");
  assert.equal(say("truncate", {from: 7}, 4),
    "term 4: removed its entries from 7 on: they were never committed");
  assert.match(say("silent", {}, 4), /^has fallen silent/);
  assert.equal(say("send", {}), undefined);
});

test("the last transitions of a node leave out what repeats itself", () => {
  const of = (kind, at, more) => ({kind, node: 1, at, ...more});
  const lost = (at, peer, reachable = false) => of("reachable", at, {peer, reachable});
  const events = [of("commit", 9), lost(8, 2), {...lost(8, 2), node: 0}, lost(7, 2), lost(7, 3),
    of("vote", 6), lost(5, 2), lost(4, 2, true), lost(3, 2), of("send", 2), of("role", 1)];
  assert.deepEqual(last_transitions(events, 1, 10).map(({at}) => at), [7, 6, 5, 4, 3, 1]);
  assert.equal(last_transitions(events, 1, 2).length, 2);
});

test("the fields of a message are those that it has", () => {
  assert.deepEqual(message_fields(send(5, {term: 3, prev_index: 1200, success: true})),
    [["from", "node 0"], ["to", "node 1"], ["term", "3"], ["prev index", "1,200"],
      ["success", "yes"]]);
});

// ---- the ring

test("nodes fit into the picture, whatever its width and their number", () => {
  for (const width of [280, 340, 520])
    for (const count of [1, 2, 3, 5, 7, 9]) {
      const {places, radius, orbit, center, height} = ring_layout(count, width);
      assert.equal(places.length, count);
      assert.ok(center.y + orbit <= height, `${width} ${count}: the circle`);
      for (const {x, y} of places) {
        assert.ok(x - radius >= 0 && x + radius <= width, `${width} ${count}`);
        assert.ok(y - radius >= 0 && y + radius <= height, `${width} ${count}`);
      }
      for (const [i, one] of places.entries())
        for (const other of places.slice(i + 1))
          assert.ok(Math.hypot(one.x - other.x, one.y - other.y) > 2 * radius, `${width} ${count}`);
    }
});
