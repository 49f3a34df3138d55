// The recorder of the page: folding events, states at any instant, the clock of the picture.
import assert from "node:assert/strict";
import {test} from "node:test";

import {Clock} from "../../src/ui/clock.js";
import {Silence, TICK} from "../../src/ui/silence.js";
import {KEPT, Trace} from "../../src/ui/trace.js";
import {add_run, cut_runs, EMPTY, fold, term_at} from "../../src/ui/trace_fold.js";

const STATE = {
  kind: "state", node: 0, at: 0, role: "follower", term: 3, voted_for: 2, leader: 2, first_index: 1,
  last_index: 5, commit_index: 4, applied_index: 4, snapshot_index: 0,
  configuration: {index: 1, joint: false, members: [{id: 0, address: "http://a:1", seat: "voter"}]},
  election: {deadline: 900, timeout_ms: 800},
  log: [{term: 1, from: 1, to: 3}, {term: 3, from: 4, to: 5}],
};
const after = (...events) => events.reduce(fold, fold(EMPTY, STATE)).nodes.get(0);
const own = (kind, more) => ({kind, node: 0, at: 1, ...more});

test("a state says all about a node, and the events after it change what they name", () => {
  const node = after();
  assert.equal(node.role, "follower");
  assert.equal(node.voted_for, 2);
  assert.equal(node.is_silent, false);
  assert.deepEqual(node.followers, []);
  assert.equal(after(own("commit", {index: 5})).commit_index, 5);
  assert.equal(after(own("apply", {index: 5})).applied_index, 5);
  assert.deepEqual(after(own("election", {deadline: 1000, timeout_ms: 500})).election,
    {deadline: 1000, timeout_ms: 500});
  assert.equal(after(own("election")).election, undefined);
  assert.deepEqual(after(own("configuration", {index: 7, joint: true, members: []})).configuration,
    {index: 7, joint: true, members: []});
});

test("a removed member is forgotten once that is committed, and can be added again", () => {
  const members = (...ids) => ids.map((id) => ({id, address: `http://a:${id}`, seat: "voter"}));
  const says = (node, index, ids, commit_index) => ({...STATE, node, commit_index,
    configuration: {index, joint: false, members: members(...ids)}});
  const ids_of = (cluster) => [...cluster.nodes.keys()].sort();
  const begin = [says(0, 1, [0, 1, 2], 4), says(1, 1, [0, 1, 2], 4), says(2, 1, [0, 1, 2], 4)];
  const removal = {node: 0, kind: "configuration", at: 2, index: 5, joint: false,
    members: members(0, 2)};
  const appended = [...begin, ...[0, 1, 2].map((node) => ({...removal, node}))]
    .reduce(fold, EMPTY);
  assert.deepEqual(ids_of(appended), [0, 1, 2], "it may still be undone");
  const committed = fold(appended, own("commit", {index: 5}));
  assert.deepEqual(ids_of(committed), [0, 2]);
  const late = [{node: 1, kind: "silent", at: 3}, {node: 1, kind: "commit", at: 3, index: 5},
    says(1, 1, [0, 1, 2], 4), says(2, 1, [0, 1, 2], 4)].reduce(fold, committed);
  assert.deepEqual(ids_of(late), [0, 2], "what it says later");
  const added = [{...removal, index: 7, members: members(0, 1, 2)}, says(1, 7, [0, 1, 2], 0)]
    .reduce(fold, late);
  assert.deepEqual(ids_of(added), [0, 1, 2]);
  // The silence of a new member may be known before the configuration that names it.
  const early = [says(0, 1, [0, 2], 4), {node: 1, kind: "silent", at: 3}, says(2, 7, [0, 1, 2], 8)]
    .reduce(fold, EMPTY);
  assert.equal(early.nodes.get(1).is_silent, true);
});

test("a vote belongs to its term, and a pre-vote is none", () => {
  assert.equal(after(own("vote", {term: 4, for: 1, pre_vote: false})).voted_for, 1);
  assert.equal(after(own("vote", {term: 4, for: 1, pre_vote: false})).term, 4);
  assert.equal(after(own("vote", {term: 4, for: 1, pre_vote: true})).voted_for, 2);
  assert.equal(after(own("role", {role: "follower", term: 4})).voted_for, undefined);
});

test("only a leader has followers, and only a candidate a tally", () => {
  const led = [own("role", {role: "leader", term: 4, leader: 0}),
    own("match", {follower: 2, index: 3}), own("match", {follower: 1, index: 2}),
    own("match", {follower: 2, index: 5})];
  assert.deepEqual(after(...led).followers, [
    {id: 1, state: "replicating", match_index: 2}, {id: 2, state: "replicating", match_index: 5}]);
  assert.deepEqual(after(...led, own("role", {role: "follower", term: 5})).followers, []);
  const tally = {term: 4, pre_vote: false, granted: [0], refused: [], needed: 2};
  const asked = [own("role", {role: "candidate", term: 4}), own("votes", tally)];
  assert.deepEqual(after(...asked).votes, tally);
  assert.equal(after(...asked, own("role", {role: "leader", term: 4, leader: 0})).votes, undefined);
});

test("a log grows, is truncated and gives way to a snapshot", () => {
  assert.deepEqual(after(own("append", {from: 6, to: 7, term: 3})).log,
    [{term: 1, from: 1, to: 3}, {term: 3, from: 4, to: 7}]);
  const cut = after(own("truncate", {from: 5}), own("append", {from: 5, to: 5, term: 4}));
  assert.deepEqual(cut.log,
    [{term: 1, from: 1, to: 3}, {term: 3, from: 4, to: 4}, {term: 4, from: 5, to: 5}]);
  assert.equal(cut.last_index, 5);
  assert.equal(after(own("truncate", {from: 3})).last_index, 2);
  const taken = after(own("snapshot", {index: 4}));
  assert.equal(taken.snapshot_index, 4);
  assert.equal(taken.last_index, 5);
  const installed = after(own("snapshot", {index: 90}));
  assert.deepEqual([installed.log, installed.first_index, installed.last_index], [[], 91, 90]);
});

test("runs of a log are joined, cut and replaced", () => {
  const runs = [{term: 1, from: 3, to: 5}];
  assert.deepEqual(add_run(runs, {term: 1, from: 6, to: 6}), [{term: 1, from: 3, to: 6}]);
  assert.deepEqual(add_run(runs, {term: 2, from: 5, to: 9}),
    [{term: 1, from: 3, to: 4}, {term: 2, from: 5, to: 9}]);
  assert.deepEqual(add_run(runs, {term: 2, from: 2, to: 2}), [{term: 2, from: 2, to: 2}]);
  assert.deepEqual(cut_runs(runs, 3), []);
  assert.equal(term_at(runs, 5), 1);
  assert.equal(term_at(runs, 6), undefined);
});

test("a silent node keeps its last state until its next one", () => {
  const silent = after(own("silent"));
  assert.equal(silent.is_silent, true);
  assert.equal(silent.last_index, 5);
  assert.equal(after(own("silent"), {...STATE, at: 9}).is_silent, false);
  const cluster = fold(fold(EMPTY, STATE), {kind: "lost", at: 1});
  assert.equal(cluster.is_lost, true);
  assert.equal(fold(cluster, own("commit", {index: 5})).is_lost, false);
});

test("a timer keeps its whole time when a state names what is left of it", () => {
  const again = {...STATE, at: 500, election: {deadline: 900, timeout_ms: 400}};
  assert.equal(after(again).election.timeout_ms, 800);
  const other = {...STATE, at: 500, election: {deadline: 901, timeout_ms: 400}};
  assert.equal(after(other).election.timeout_ms, 400);
  assert.equal(after({...STATE, election: undefined}).election, undefined);
});

test("what the page does not know changes nothing, and a state is never changed", () => {
  const before = fold(EMPTY, STATE);
  const copy = structuredClone(before);
  assert.equal(fold(before, own("another", {})), before);
  const missed = fold(before, {kind: "dropped", events: 57, node: 0, at: 7});
  assert.deepEqual(missed.missed, {at: 7, events: 57});
  // Gaps that follow each other are counted together.
  const more = fold(missed, {kind: "dropped", events: 3, node: 1, at: 900});
  assert.deepEqual(more.missed, {at: 900, events: 60});
  assert.equal(fold(more, {kind: "dropped", events: 2, node: 1, at: 9000}).missed.events, 2);
  for (const event of [own("commit", {index: 5}), own("append", {from: 6, to: 7, term: 3}),
    own("reachable", {peer: 1, reachable: false}), own("silent")]) fold(before, event);
  assert.deepEqual(before, copy);
});

// ---- the recorder

// Numbers from a seed, the same in every run.
function random(seed) {
  return () => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return seed / 0x7fffffff;
  };
}

test("the state at any instant is that of all events up to it, in whatever order they came", () => {
  const next = random(7), trace = new Trace(), arrived = [];
  for (let i = 0; i < 3000; ++i) {
    // Nodes are up to 40 ms late, and each one sends in order.
    const node = i % 3, event = {kind: "commit", node, at: i + node * 20, index: i};
    trace.take(event);
    arrived.push(event);
    if (i % 97 === 0) trace.state_at(next() * i);
  }
  const sorted = arrived.map((event, i) => ({event, i}))
    .sort((a, b) => a.event.at - b.event.at || a.i - b.i).map(({event}) => event);
  for (let round = 0; round < 100; ++round) {
    const time = next() * 3100;
    const expected = sorted.filter(({at}) => at <= time).reduce(fold, EMPTY);
    assert.deepEqual(trace.state_at(time), expected, `at ${time}`);
  }
  assert.deepEqual(trace.between(10, 12), sorted.filter(({at}) => at > 10 && at <= 12));
  assert.deepEqual(trace.back(100).next().value, sorted.filter(({at}) => at <= 100).at(-1));
  assert.equal([...trace.back(100)].length, sorted.filter(({at}) => at <= 100).length);
});

test("two minutes are kept, and what was before them still counts", () => {
  const trace = new Trace();
  trace.take({...STATE, at: 0});
  for (let at = 1; at <= 2 * KEPT; at += 40) trace.take({kind: "commit", node: 1, at, index: at});
  assert.ok(trace.newest - trace.oldest >= KEPT);
  assert.ok(trace.newest - trace.oldest < KEPT + 60000, String(trace.oldest));
  assert.equal(trace.state_at(trace.newest).nodes.get(0).term, 3);
  assert.equal(trace.state_at(trace.oldest).nodes.get(0).term, 3);
});

test("an instant on show is kept, but not without bound", () => {
  const trace = new Trace();
  trace.keep_from = 50;
  for (let at = 1; at <= 2 * KEPT; at += 20) trace.take({kind: "commit", node: 1, at, index: at});
  assert.ok(trace.oldest <= 50);
  for (let i = 0; i < 260000; ++i)
    trace.take({kind: "send", node: 1, to: 2, message: "append", at: 2 * KEPT + i / 100});
  assert.ok(trace.size <= 250000);
  assert.ok(trace.oldest > 50);
});

test("two minutes of nine nodes under load are kept", () => {
  const trace = new Trace();
  for (let i = 0; i < 130 * 1715; ++i)
    trace.take({kind: "send", node: i % 9, to: (i + 1) % 9, message: "append", at: i / 1.715});
  assert.ok(trace.newest - trace.oldest >= KEPT, `${trace.newest - trace.oldest} ms`);
});

test("an event that is much too late stays near the others, and another clock begins again", () => {
  const trace = new Trace();
  trace.take({kind: "commit", node: 0, at: 100000, index: 1});
  assert.equal(trace.take({kind: "commit", node: 1, at: 95000, index: 1}), true);
  assert.equal(trace.oldest, 99000);
  trace.take({kind: "commit", node: 0, at: 99950, index: 2});
  assert.equal(trace.newest, 100000, "a node's own events keep their order");
  assert.equal(trace.state_at(100000).nodes.get(0).commit_index, 2);
  assert.equal(trace.take({kind: "commit", node: 0, at: 5, index: 3}), false);
  assert.equal(trace.size, 1);
  assert.equal(trace.state_at(5).nodes.get(0).commit_index, 3);
  assert.equal(trace.state_at(5).nodes.get(1), undefined);
});

// ---- the clock

test("the live picture runs a little after the events, evenly", () => {
  const clock = new Clock();
  assert.equal(clock.read(1000), undefined);
  clock.arrived(5000, 1000);
  const first = clock.read(1000);
  assert.ok(first < 5000 && first > 4000);
  clock.arrived(5010, 1030);  // a slow one
  assert.ok(Math.abs(clock.read(1100) - first - 100) < 1);
  clock.arrived(5150, 1100);  // faster than all before: the clock was too slow
  assert.equal(clock.read(1100) - first, 150);
  clock.arrived(90000, 1200);  // another clock
  assert.equal(clock.read(1200), 90000 - 5000 + first);
});

test("a paused picture stands, a slow one goes slowly, and live is live again", () => {
  const clock = new Clock();
  clock.arrived(5000, 0);
  const live = (now) => clock.live(now);
  clock.pause(100);
  assert.equal(clock.read(900), live(100));
  assert.equal(clock.is_live, false);
  clock.seek(2000, 900);
  assert.equal(clock.read(1000), 2000);
  assert.equal(clock.read(1000, 2500), 2500, "not before what is kept");
  clock.set_speed(0.1, 1000);
  clock.play(1000);
  assert.equal(clock.read(2000), 2100);
  clock.set_speed(1, 2000);
  assert.equal(clock.read(2500), 2600);
  clock.go_live();
  assert.equal(clock.read(3000), live(3000));
  clock.set_speed(0.01, 3000);
  assert.equal(clock.is_live, false);
  assert.equal(clock.read(4000), live(3000) + 10);
});

test("a stream is silent after 200 ms of ticks without bytes, and until the next ones", () => {
  const silence = new Silence();
  const tick = (times) => {
    for (let i = 0; i < times; ++i) silence.tick();
  };
  tick(200 / TICK);
  assert.equal(silence.is_silent, false);
  silence.heard();
  tick(200 / TICK);
  assert.equal(silence.is_silent, false, "the bytes began another silence");
  tick(1);
  assert.equal(silence.is_silent, true);
  assert.equal(silence.age, 250);
  silence.heard();
  assert.equal(silence.is_silent, false);
});
