// The steps of the tour: what each does to the cluster, and that its checks hold when the trace
// shows what the step is about, and not before.
import assert from "node:assert/strict";
import {test} from "node:test";

import {EMPTY, fold} from "../../src/ui/trace_fold.js";
import {has_removed, leader_in, majority, split_behind, split_in}
  from "../../src/ui/tour_evidence.js";
import {hint_of, PATIENCE} from "../../src/ui/tour_hints.js";
import {STEPS} from "../../src/ui/tour_steps.js";

const step_of = (title) => STEPS.find((step) => step.title === title);

// A cluster of five that does what the tests say. Node 0 serves the page and leads term 1.
class World {
  cluster = EMPTY;              // as it is shown
  truth = EMPTY;
  is_lossy = false;             // true: no event is shown; see repeat_states()
  events = [];
  acts = [];
  memo = {};
  time = 0;
  serving = 0;
  reply = "success";
  // What happens after an act: a function of it, for a test to replace.
  then = () => {};

  constructor(count = 5) {
    for (let id = 0; id < count; ++id)
      this.say({node: id, kind: "state", role: id === 0 ? "leader" : "follower", term: 1, leader: 0,
        first_index: 1, last_index: 3, commit_index: 3, applied_index: 3, snapshot_index: 0,
        log: [{term: 1, from: 1, to: 3}], ...(id === 0 && {followers: []})});
    this.events = [];
  }

  say(...events) {
    for (const event of events) {
      const timed = {at: ++this.time, ...event};
      this.time = timed.at;
      this.truth = fold(this.truth, timed);
      if (!this.is_lossy) this.show(timed);
    }
  }

  show(event) {
    this.cluster = fold(this.cluster, event);
    this.events.push(event);
  }

  // What nodes do each second, and after events were lost.
  repeat_states() {
    ++this.time;
    this.show({at: this.time, kind: "dropped", node: 0, events: 9});
    for (const [node, state] of this.truth.nodes)
      this.show({...state, at: this.time, node, id: node,
        kind: state.is_silent ? "silent" : "state"});
  }

  lead(id, term) {
    this.say({node: id, kind: "vote", term, for: id, pre_vote: false},
      {node: id, kind: "role", role: "candidate", term});
    const others = [...this.cluster.nodes.values()].filter((node) =>
      node.id !== id && !node.is_silent);
    for (const node of others)
      this.say({node: node.id, kind: "vote", term, for: id, pre_vote: false});
    this.say({node: id, kind: "role", role: "leader", term, leader: id});
    for (const node of others)
      this.say({node: node.id, kind: "role", role: "follower", term, leader: id});
  }

  // Appends an entry on these nodes.
  append(nodes, index, term) {
    for (const node of nodes) this.say({node, kind: "append", from: index, to: index, term});
  }

  commit(nodes, index) {
    for (const node of nodes)
      this.say({node, kind: "commit", index}, {node, kind: "apply", index});
  }

  hands() {
    return {
      serving: this.serving, view: () => this.cluster, events: () => this.events,
      now: () => this.time, at: async () => {}, repair: async () => this.then({do: "repair"}),
      act: async (what) => {
        this.acts.push(what);
        this.then(what);
      },
      write: async (key) => {
        this.then({do: "write", key});
        return this.reply;
      },
      until: async (what, holds) => {
        if (this.is_lossy && !holds(this.cluster)) this.repeat_states();
        this.time += holds(this.cluster) ? 0 : 3000;
        assert.ok(holds(this.cluster), `waited for ${what}`);
      },
    };
  }

  seen(step) {
    const {events, cluster, time, memo} = this;
    return step.checks.map((check) => check.seen({events, cluster, time, memo}));
  }

  async run(step, number = 0) {
    await step.acts[number].run(this.hands(), this.memo);
  }
}

const none = (step) => step.checks.map(() => false);
const all = (step) => step.checks.map(() => true);

test("there are eight steps, and each waits for something and says what", () => {
  assert.equal(STEPS.length, 8);
  assert.equal(new Set(STEPS.map(({title}) => title)).size, 8);
  for (const step of STEPS) {
    assert.ok(step.text.length >= 2 && step.checks.length >= 3, step.title);
    for (const check of step.checks) assert.match(check.say({}), /^[A-Z].*\.$/, step.title);
    for (const {label, after = 0} of step.acts)
      assert.ok(label.length > 5 && after < step.checks.length, label);
  }
  assert.equal(majority(5), 3);
  assert.equal(majority(4), 3);
});

test("one node: its timer, a heartbeat, and the reader who selects it", () => {
  const step = step_of("One node"), world = new World();
  assert.deepEqual(world.seen(step), [true, false, false]);
  world.say({node: 0, kind: "send", to: 1, message: "heartbeat"});
  world.memo.selected = 2;
  assert.deepEqual(world.seen(step), all(step));
  world.say({node: 3, kind: "silent"});
  assert.equal(world.seen(step)[0], false);
});

test("a leader is elected after the present one hands over", async () => {
  const step = step_of("A leader is elected"), world = new World();
  assert.deepEqual(world.seen(step), none(step));
  await world.run(step);
  assert.deepEqual(world.acts, [{do: "transfer", to: 1}]);
  assert.deepEqual(world.seen(step), none(step));
  world.lead(2, 2);
  assert.deepEqual(world.seen(step), none(step), "another node than the one that was asked");
  world.lead(1, 3);
  assert.deepEqual(world.seen(step), all(step));
});

test("a write is replicated when a majority has it, and applied everywhere", async () => {
  const step = step_of("A write is replicated"), world = new World();
  world.then = () => world.append([0], 4, 1);
  await world.run(step);
  assert.deepEqual(world.seen(step), [true, false, false, false]);
  assert.match(step.checks[0].say(world.memo), /node 0, has appended entry 4/);
  world.append([1, 2], 4, 1);
  assert.deepEqual(world.seen(step), [true, true, false, false]);
  world.commit([0], 4);
  assert.deepEqual(world.seen(step), [true, true, true, false]);
  world.append([3, 4], 4, 1);
  world.commit([1, 2, 3, 4], 4);
  assert.deepEqual(world.seen(step), all(step));
});

test("the leader is killed, but never the node that serves the page", async () => {
  const step = step_of("The leader is killed"), world = new World();
  world.then = (what) => what.do === "transfer" && world.lead(what.to, 2);
  await world.run(step);
  assert.deepEqual(world.acts, [{do: "transfer", to: 1}, {do: "kill", node: 1}]);
  assert.deepEqual(world.seen(step), none(step));
  world.say({node: 1, kind: "silent"});
  assert.deepEqual(world.seen(step), [true, false, false]);
  world.lead(3, 3);
  assert.deepEqual(world.seen(step), [true, true, false]);
  await world.run(step, 1);
  assert.deepEqual(world.acts.at(-1), {do: "restart", node: 1});
  assert.equal(world.seen(step)[2], false);
  world.say({node: 1, kind: "state", role: "follower", term: 3, leader: 3, first_index: 1,
    last_index: 3, commit_index: 3, applied_index: 3, snapshot_index: 0, log: []});
  assert.deepEqual(world.seen(step), all(step));
});

const own_vote = (node, term, pre_vote = false) =>
  ({node, kind: "vote", term, for: node, pre_vote});

test("a vote is split when two nodes campaign in a term that ends without a leader", () => {
  const both = [own_vote(1, 2), own_vote(2, 2)], later = own_vote(2, 3);
  assert.equal(split_in([own_vote(1, 2), later], 1), undefined);
  assert.equal(split_in(both, 1), undefined, "one of them may still win");
  assert.deepEqual(split_in([...both, later], 1), {term: 2, nodes: [1, 2]});
  assert.equal(split_in([...both, later], 2), undefined, "of an earlier step");
  assert.equal(split_in([own_vote(1, 2), own_vote(2, 2, true), later], 1), undefined);
  assert.equal(split_in([...both, {node: 2, kind: "role", role: "leader", term: 2}, later], 1),
    undefined);
});

test("a split vote is provoked, again if one candidate was faster", async () => {
  const step = step_of("A split vote"), world = new World();
  let tries = 0;
  world.serving = 4;
  world.then = (what) => {
    if (what.do === "pause") world.say({node: what.node, kind: "silent"});
    if (what.do === "repair") for (const node of world.memo.frozen)
      world.say({...world.cluster.nodes.get(node), node, kind: "state", role: "follower",
        is_silent: false});
    if (what.do !== "campaign") return;
    if (++tries === 2) world.lead(what.node, 2);
    else if (tries > 2) world.say(own_vote(what.node, 9));
    if (tries === 4) world.say({node: what.node, kind: "role", role: "candidate", term: 10});
  };
  await world.run(step);
  assert.equal(tries, 4);
  assert.deepEqual(world.memo.frozen, [2], "the second leader, and not the serving node");
  const second = world.acts.slice(world.acts.findLastIndex((what) => what.do === "cut"));
  assert.deepEqual(second, [{do: "cut", from: 0, to: 3, both: false},
    {do: "slow_disk", node: 0, ms: 100}, {do: "slow_disk", node: 1, ms: 140},
    {do: "pause", node: 2}, {do: "campaign", node: 0}, {do: "campaign", node: 1},
    {do: "slow_disk", node: 0, ms: 0}, {do: "slow_disk", node: 1, ms: 0}, {do: "heal"}]);
  assert.deepEqual(world.seen(step), [true, false, false]);
  assert.match(step.checks[0].say(world.memo), /^In term 9 node 0 and node 1 asked/);
  world.lead(1, 10);
  await world.run(step, 1);
  assert.deepEqual(world.acts.at(-1), {do: "resume", node: 2});
  world.say({...world.cluster.nodes.get(3), node: 2, kind: "state"});
  assert.deepEqual(world.seen(step), all(step));
});

test("a minority appends, and commits nothing", async () => {
  const step = step_of("A minority cannot commit"), world = new World();
  world.reply = "unknown";
  world.then = (what) => what.do === "write" && world.append([0, 1], 4, 1);
  await world.run(step);
  assert.deepEqual(world.memo.minority, [1, 0]);
  const cuts = world.acts.map(({from, to, both}) => `${from}-${to} ${both}`);
  assert.deepEqual(cuts, ["1-2 true", "1-3 true", "1-4 true", "0-2 true", "0-3 true", "0-4 true"],
    "the links of the leader last");
  assert.deepEqual(world.seen(step), [true, false, false, false]);
  for (const node of [2, 3, 4]) world.say({node, kind: "silent"});
  world.say({node: 0, kind: "role", role: "follower", term: 1});
  assert.deepEqual(world.seen(step), [true, true, true, false]);
  world.time += 3001;
  assert.deepEqual(world.seen(step), all(step));
  world.commit([0], 4);
  assert.equal(world.seen(step)[3], false);
});

test("the uncommitted entry is replaced when the links are whole", async () => {
  const step = step_of("The uncommitted entry is replaced"), world = new World();
  await assert.rejects(world.run(step), /the step before/);
  Object.assign(world.memo, {minority: [0, 1], leader: 0, term: 1, index: 4});
  world.append([0, 1], 4, 1);
  await world.run(step);
  assert.deepEqual(world.acts, [{do: "heal"}]);
  assert.deepEqual(world.seen(step), none(step));
  world.lead(3, 5);
  world.append([2, 3, 4], 4, 5);
  assert.deepEqual(world.seen(step), [true, false, false]);
  for (const node of [0, 1]) world.say({node, kind: "truncate", from: 4});
  world.append([0, 1], 4, 5);
  world.commit([0, 1, 2, 3, 4], 4);
  assert.deepEqual(world.seen(step), all(step));
});

test("a partition stops a minority only, and heals", async () => {
  const step = step_of("Partition and heal"), world = new World();
  let index = 3;
  world.then = (what) => {
    if (what.do !== "write") return;
    world.append([0, 3, 4], ++index, 1);
    world.commit([0, 3, 4], index);
  };
  await world.run(step);
  assert.deepEqual(world.memo.lost, [1, 2]);
  assert.equal(world.acts.length, 6);
  for (const node of [1, 2]) world.say({node, kind: "silent"});
  assert.deepEqual(world.seen(step), [true, true, false]);
  await world.run(step, 1);
  for (const node of [1, 2])
    world.say({...world.cluster.nodes.get(0), node, kind: "state", role: "follower"});
  assert.deepEqual(world.seen(step), [false, true, true], "they are heard again");
  assert.equal(leader_in(world.cluster).id, 0);
});

// ---- events that are lost

const run_lossy = async (title, prepare) => {
  const step = step_of(title), world = new World();
  world.is_lossy = true;
  prepare?.(world);
  await world.run(step);
  assert.notDeepEqual(world.seen(step), all(step), "nothing was shown yet");
  world.repeat_states();
  return {step, world};
};

test("without the events of a heartbeat, a follower that knows its leader proves it", () => {
  const step = step_of("One node"), world = new World();
  world.is_lossy = true;
  world.memo.selected = 0;
  world.say({node: 0, kind: "send", to: 1, message: "heartbeat"});
  assert.deepEqual(world.seen(step), [true, false, true]);
  world.repeat_states();
  assert.deepEqual(world.seen(step), all(step));
});

test("without the events of an election, the states show who won", async () => {
  const {step, world} = await run_lossy("A leader is elected", (one) => {
    one.then = ({to}) => one.lead(to, 2);
  });
  assert.deepEqual(world.seen(step), all(step));
});

test("without the events of a write, the states show its entry", async () => {
  const {step, world} = await run_lossy("A write is replicated", (one) => {
    one.then = () => one.append([0, 1, 2], 4, 1);
  });
  assert.deepEqual(world.seen(step), [true, true, false, false]);
  assert.equal(world.memo.index, 4);
  world.append([3, 4], 4, 1);
  world.commit([0, 1, 2, 3, 4], 4);
  world.repeat_states();
  assert.deepEqual(world.seen(step), all(step));
});

test("a write without an answer is repeated, and given up with a reason", async () => {
  const step = step_of("A write is replicated"), world = new World();
  let writes = 0;
  world.then = () => { world.reply = ++writes < 3 ? "unknown" : "success"; };
  await world.run(step);
  assert.equal(writes, 3);
  world.then = () => { world.reply = "fail"; };
  await assert.rejects(world.run(step), /no write was acknowledged/);
});

test("without the events of a killed leader, the states show the next one", async () => {
  const {step, world} = await run_lossy("The leader is killed", (one) => {
    one.serving = 4;
    one.then = ({do: what, node}) => {
      if (what === "kill") one.say({node, kind: "silent"});
    };
  });
  assert.deepEqual(world.seen(step), [true, false, false]);
  world.lead(3, 3);
  world.repeat_states();
  assert.deepEqual(world.seen(step), [true, true, false]);
  await world.run(step, 1);
  world.say({...world.truth.nodes.get(2), node: 0, kind: "state"});
  world.repeat_states();
  assert.deepEqual(world.seen(step), all(step));
});

test("without the events of a split vote, terms and logs show it", async () => {
  const step = step_of("A split vote"), world = new World();
  world.serving = 4;
  let campaigns = 0;
  world.then = (what) => {
    if (what.do === "pause") world.say({node: what.node, kind: "silent"});
    if (what.do !== "campaign" || ++campaigns !== 2) return;
    world.is_lossy = true;
    for (const node of [1, 2]) world.say(own_vote(node, 2));
    world.lead(1, 3);
    world.append([1, 2, 3, 4], 4, 3);
    world.repeat_states();
  };
  await world.run(step);
  assert.equal(campaigns, 2, "the first try was enough");
  assert.deepEqual(world.seen(step), [true, true, false]);
  assert.deepEqual(world.memo.split, {term: 2, nodes: [1, 2]});
  await world.run(step, 1);
  world.say({...world.truth.nodes.get(3), node: 0, kind: "state"});
  world.repeat_states();
  assert.deepEqual(world.seen(step), all(step));
});

test("any event of a candidate proves it, and any of a leader that the vote was not split", () => {
  const later = own_vote(2, 3);
  const proofs = [{kind: "votes", node: 1, term: 2, pre_vote: false, granted: [1]},
    {kind: "vote", node: 4, term: 2, for: 1, pre_vote: false},
    {kind: "send", node: 1, to: 3, message: "vote", term: 2},
    {kind: "state", node: 1, term: 2, role: "candidate", voted_for: 1}];
  for (const proof of proofs)
    assert.deepEqual(split_in([proof, own_vote(2, 2), later], 1), {term: 2, nodes: [1, 2]},
      proof.kind);
  const wins = [{kind: "role", node: 3, role: "follower", term: 2, leader: 1},
    {kind: "append", node: 3, from: 4, to: 4, term: 2},
    {kind: "send", node: 1, to: 3, message: "heartbeat", term: 2},
    {kind: "state", node: 3, role: "follower", term: 2, leader: 1}];
  for (const win of wins)
    assert.equal(split_in([own_vote(1, 2), own_vote(2, 2), win, later], 1), undefined, win.kind);
  const world = new World();
  world.lead(1, 3);
  const campaign = {term: 1, since: 0, nodes: [1, 2]};
  assert.equal(split_behind(world.cluster, campaign), undefined, "no event was lost");
  world.repeat_states();
  assert.deepEqual(split_behind(world.cluster, campaign), {term: 2, nodes: [1, 2]});
  world.append([1], 4, 2);
  assert.equal(split_behind(world.cluster, campaign), undefined, "a leader of term 2 has written");
});

test("without the events of a minority, the states show its entry", async () => {
  const step = step_of("A minority cannot commit"), world = new World();
  world.reply = "unknown";
  world.is_lossy = true;
  world.then = (what) => what.do === "write" && world.append([0, 1], 4, 1);
  await world.run(step);
  assert.deepEqual(world.seen(step), [true, false, false, false]);
  for (const node of [2, 3, 4]) world.say({node, kind: "silent"});
  world.say({node: 0, kind: "role", role: "follower", term: 1});
  world.repeat_states();
  assert.deepEqual(world.seen(step), [true, true, true, false]);
  world.time += 3001;
  assert.deepEqual(world.seen(step), all(step));
});

test("a check does not depend on another one that was seen in an earlier try", async () => {
  const step = step_of("A minority cannot commit"), world = new World();
  world.reply = "unknown";
  world.then = (what) => what.do === "write" && world.append([0, 1], 4, 1);
  await world.run(step);
  world.say({node: 0, kind: "role", role: "follower", term: 1});
  const {events, cluster, memo} = world;
  const last = () => step.checks[3].seen({events, cluster, memo, time: world.time});
  assert.equal(last(), false);
  world.time += 3001;
  assert.equal(last(), true);
});

test("an entry under way when the leader was cut off is not taken for the write", async () => {
  const step = step_of("A minority cannot commit"), world = new World();
  world.reply = "unknown";
  world.then = (what) => {
    if (what.do !== "write") return;
    world.append([0, 1, 2], 4, 1);
    assert.equal(world.seen(step)[0], true);
    world.commit([0, 1, 2], 4);
    world.append([0, 1], 5, 1);
  };
  await world.run(step);
  assert.equal(world.memo.index, 5);
  for (const node of [2, 3, 4]) world.say({node, kind: "silent"});
  world.say({node: 0, kind: "role", role: "follower", term: 1});
  world.seen(step);
  world.time += 3001;
  assert.deepEqual(world.seen(step), all(step));
});

test("a new leader is not cut off before the entry of its term is committed", async () => {
  const step = step_of("A minority cannot commit"), world = new World();
  world.serving = 1;
  world.then = (what) => what.do === "transfer" && world.lead(1, 2);
  await assert.rejects(world.run(step), /the leader to commit/);
  assert.deepEqual(world.acts, [{do: "transfer", to: 1}]);
});

test("a leader that gives up before the write reaches it is cut off again", async () => {
  const step = step_of("A minority cannot commit"), world = new World();
  let writes = 0, repairs = 0;
  world.reply = "unknown";
  world.then = (what) => {
    if (what.do === "repair") ++repairs;
    if (what.do === "write" && ++writes === 3) world.append([0, 1], 4, 1);
  };
  await world.run(step);
  assert.deepEqual([writes, repairs], [3, 2]);
  world.commit([0, 1], 4);
  world.then = () => {};
  await assert.rejects(world.run(step), /gave up each time/);
});

test("without the event of a truncation, the log shows that the entry is another one", async () => {
  const step = step_of("The uncommitted entry is replaced"), world = new World();
  Object.assign(world.memo, {minority: [1, 0], leader: 0, term: 1, index: 4});
  world.append([0, 1], 4, 1);
  world.is_lossy = true;
  await world.run(step);
  assert.deepEqual(world.seen(step), none(step));
  world.lead(3, 5);
  for (const node of [0, 1]) world.say({node, kind: "truncate", from: 4});
  world.append([0, 1, 2, 3, 4], 4, 5);
  world.commit([0, 1, 2, 3, 4], 4);
  world.repeat_states();
  assert.deepEqual(world.seen(step), all(step));
  const story = {events: [], cluster: world.cluster};
  assert.equal(has_removed(story, {node: 0, index: 4, term: 5}), false, "it has that one");
});

test("logs are equal again although others go on writing", async () => {
  const step = step_of("The uncommitted entry is replaced"), world = new World();
  Object.assign(world.memo, {minority: [1, 0], leader: 0, term: 1, index: 4});
  await world.run(step);
  world.lead(3, 5);
  world.append([2, 3, 4], 4, 5);
  assert.equal(world.seen(step)[2], false);
  world.append([0, 1, 2, 3, 4], 5, 5);
  world.commit([0, 1, 2, 3, 4], 4);
  assert.equal(world.seen(step)[2], true);
});

test("without the events of a partition, the states show who works on", async () => {
  let index = 3;
  const {step, world} = await run_lossy("Partition and heal", (one) => {
    one.then = (what) => {
      if (what.do !== "write") return;
      one.append([0, 3, 4], ++index, 1);
      one.commit([0, 3, 4], index);
    };
  });
  for (const node of [1, 2]) world.say({node, kind: "silent"});
  world.repeat_states();
  assert.deepEqual(world.seen(step), [true, true, false]);
  await world.run(step, 1);
  for (const node of [1, 2])
    world.say({...world.truth.nodes.get(0), node, kind: "state", role: "follower"});
  world.repeat_states();
  assert.equal(world.seen(step)[2], true);
});

// ---- what to do when nothing is seen

test("after some seconds each step says what is missing and how to go on", () => {
  const world = new World();
  world.say({node: 3, kind: "silent"});
  for (const step of STEPS)
    for (let missing = 0; missing < step.checks.length; ++missing) {
      const seen = step.checks.map((_, i) => i < missing);
      const ask = (more) => hint_of({step, seen, pressed: new Set(step.acts), memo: {},
        cluster: world.cluster, can_act: true, has_trace: true, is_live: true,
        waited: PATIENCE, ...more});
      const what = `${step.title}: ${missing}: ${ask()}`;
      assert.match(ask(), /^Not seen yet: [A-Z].*(skip the step)\.$/, what);
      assert.equal(ask({waited: PATIENCE - 1}), "", what);
      assert.equal(ask({seen: all(step)}), "", what);
      assert.doesNotMatch(ask({can_act: false}), /undefined|NaN/, what);
      assert.match(ask({has_trace: false}), /gets no events/, what);
      assert.match(ask({is_live: false}), /Press “Live”/, what);
      if (step.acts.length > 0)
        assert.match(ask({pressed: new Set()}), /^Press “.*” to go on/, what);
    }
});

test("a hint names what is wrong: a silent node, no leader, a write that was committed", () => {
  const hint = (title, missing, cluster, memo = {}) => {
    const step = step_of(title);
    return hint_of({step, seen: step.checks.map((_, i) => i < missing), memo, cluster,
      pressed: new Set(step.acts), can_act: true, has_trace: true, is_live: true,
      waited: PATIENCE});
  };
  const world = new World();
  world.say({node: 3, kind: "silent"}, {node: 4, kind: "silent"});
  assert.match(hint("One node", 0, world.cluster), /Node 3, node 4 are silent\./);
  world.say({node: 0, kind: "role", role: "follower", term: 1});
  const others = [3, 4].map((node) => ({...world.cluster.nodes.get(1), node, kind: "state"}));
  world.say(...others);
  assert.match(hint("A leader is elected", 0, world.cluster), /No leader is known\. Press “Hand/);
  world.append([0], 4, 1);
  world.commit([0], 4);
  assert.match(hint("The uncommitted entry is replaced", 1, world.cluster,
    {leader: 0, index: 4, term: 1}), /was committed after all/);
  assert.match(hint("A minority cannot commit", 0, world.cluster, {leader: 0, append: {}}),
    /Node 0 gave up before the write reached it\. Press “Cut the leader off/);
});
