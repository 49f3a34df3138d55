// The eight steps of the tour: what each says, what it does to the cluster, and what has to be seen
// before it is done. Pure: whatever touches the cluster is a function of `hands` (tour_hands.js).
// How a check is concluded from events and states is in tour_evidence.js.
//
// A step: {title, text, acts: [{label, after, run}], checks: [{say, seen, hint}], needs, keeps}.
//   acts    buttons; one can be pressed when the first `after` checks are seen
//   run     async (hands, memo): does it. `memo` carries what the checks ask about
//   checks  say(memo) is a sentence; seen(story) is true when it has come true in what was on show
//           since the step began; hint({memo, cluster}), if it is there, says what may be wrong
//           with a check that does not come true
//   needs   how many nodes the step takes
//   keeps   the step goes on with the memo and the broken links of the step before

import {alive, all_committed, appended_index, are_equal, has_removed, highest_term, is_whole,
  leader_in, leads, majority, split_behind, split_in, uncommitted_index} from "./tour_evidence.js";
import {term_at} from "./trace_fold.js";

const ids_of = (nodes) => nodes.map(({id}) => id).sort((a, b) => a - b);
const names = (ids) => ids.map((id) => `node ${id}`).join(" and ");

// ---- what several steps do

// Waits until somebody leads, and returns it.
async function settled(hands) {
  await hands.until("a leader", (cluster) => leader_in(cluster) !== undefined);
  return leader_in(hands.view());
}

// Moves leadership to node `id`, unless it leads already.
async function lead_by(hands, id) {
  const leader = await settled(hands);
  if (leader.id === id) return leader;
  await hands.act({do: "transfer", to: id});
  await hands.until(`node ${id} to lead`, (cluster) => leader_in(cluster)?.id === id);
  return leader_in(hands.view());
}

// Moves leadership away from the node that serves the page: when that one dies, nothing can be
// seen.
async function lead_elsewhere(hands) {
  const leader = await settled(hands);
  if (leader.id !== hands.serving) return leader;
  const other = ids_of(alive(hands.view())).find((id) => id !== hands.serving);
  return lead_by(hands, other);
}

// Cuts every link between two groups of nodes.
async function part(hands, some, others) {
  for (const from of some)
    for (const to of others) await hands.act({do: "cut", from, to, both: true});
}

const WRITES = 5;               // attempts

// Writes a key, again if no answer came: there may be no leader for a moment.
async function write(hands, key, value) {
  for (let i = 0; i < WRITES; ++i)
    if (await hands.write(key, value) === "success") return;
  throw new Error("no write was acknowledged");
}

// ---- the steps

// An event that proves that a leader is in touch with its followers.
function shows_contact({kind, message, messages, role, leader}) {
  if (kind === "rate") return messages.heartbeat > 0 || messages.append > 0;
  return (kind === "send" && (message === "heartbeat" || message === "append")) ||
    kind === "match" || (kind === "state" && role === "follower" && leader !== undefined);
}

const MEET = {
  title: "One node", needs: 1,
  text: ["Each circle is a node: a process with a log of its own, which it keeps on its disk. " +
    "The number of its term says how many elections it knows of.",
  "The arc around a node is its election timer. It runs down, and starts again whenever the " +
    "leader sends a heartbeat. A timer that runs out makes its node ask for votes.",
  "Select a node, with the mouse or with Tab and Enter, to see what it knows."],
  acts: [],
  checks: [
    {say: () => "All nodes can be heard.",
      seen: ({cluster}) => cluster.nodes.size > 0 && alive(cluster).length === cluster.nodes.size},
    {say: () => "A heartbeat has left the leader.",
      seen: ({events, cluster}) => cluster.nodes.size === 1 || events.some(shows_contact)},
    {say: () => "You have selected a node.", seen: ({memo}) => memo.selected !== undefined,
      hint: () => "Click a circle, or press the digit of its number."},
  ],
};

// The node that was to lead does. Then it has asked for votes and got them, even if the events that
// say so were lost.
function has_won({memo, ...story}) {
  return leads(story, ({node, term}) => node === memo.next && term > memo.term);
}

// Votes in a later term for the node that is to lead.
function votes_for({events, memo}) {
  return events.filter((event) => event.kind === "vote" && event.for === memo.next &&
    event.term > memo.term);
}

const ELECT = {
  title: "A leader is elected", needs: 2,
  text: ["A node that wants to lead raises its term and asks the others for their votes. A " +
    "node gives one vote in a term, and only to a node with a log at least as complete as its " +
    "own. With the votes of a majority the node leads.",
  "Here the present leader tells another node to begin at once, as it does before it shuts " +
    "down. Watch the requests go out and the votes come back, and the colour of the new term " +
    "spread."],
  acts: [{label: "Hand leadership over", async run(hands, memo) {
    const leader = await settled(hands);
    memo.term = highest_term(hands.view());
    memo.next = ids_of(alive(hands.view())).find((id) =>
      id !== leader.id && id !== hands.serving) ??
      ids_of(alive(hands.view())).find((id) => id !== leader.id);
    await hands.act({do: "transfer", to: memo.next});
  }}],
  checks: [
    {say: ({next}) => `Node ${next ?? "…"} has asked for votes in a new term.`,
      seen: (story) => has_won(story) ||
        story.events.some(({kind, role, node, term}) => kind === "role" && role === "candidate" &&
          node === story.memo.next && term > story.memo.term) ||
        votes_for(story).some((event) => event.node === story.memo.next)},
    {say: () => "Another node has granted its vote.",
      seen: (story) => has_won(story) ||
        votes_for(story).some((event) => !event.pre_vote && event.node !== story.memo.next)},
    {say: ({next}) => `A majority has voted: node ${next ?? "…"} leads.`, seen: has_won},
  ],
};

// `memo.append` says which node has to append an entry. Keeps its index.
function has_appended({memo, ...story}) {
  if (memo.append !== undefined) memo.index ??= appended_index(story, memo.append);
  return memo.index !== undefined;
}

const REPLICATE = {
  title: "A write is replicated", needs: 1,
  text: ["A write becomes an entry in the leader's log, and the leader sends it to all others. " +
    "An entry that is on the disks of a majority is committed: it will survive whatever a " +
    "minority of the nodes does, and only now the client gets its answer.",
  "In the rows of logs, a dashed cell is an entry that its node does not yet know to be " +
    "committed. The thick line stands after the last committed entry."],
  acts: [{label: "Write a key", async run(hands, memo) {
    const leader = await settled(hands);
    memo.index = undefined;
    memo.is_answered = false;
    memo.leader = leader.id;
    memo.append = {node: leader.id, since: hands.now(), last: leader.last_index};
    await write(hands, "tour/greeting", "hello");
    memo.is_answered = true;
  }}],
  checks: [
    {say: ({leader, index}) =>
      `The leader, node ${leader ?? "…"}, has appended entry ${index ?? "…"}.`,
      seen: has_appended},
    {say: () => "A majority has it.",
      seen: ({cluster, memo}) => memo.index !== undefined &&
        alive(cluster).filter(({last_index}) => last_index >= memo.index).length >=
          majority(cluster.nodes.size)},
    {say: ({index}) => `Entry ${index ?? "…"} is committed, and the client has its answer.`,
      seen: ({cluster, memo}) => memo.is_answered === true &&
        cluster.nodes.get(memo.leader)?.commit_index >= memo.index},
    {say: () => "Every node has applied it.",
      seen: ({cluster, memo}) => memo.index !== undefined &&
        alive(cluster).every(({applied_index}) => applied_index >= memo.index)},
  ],
};

const KILL = {
  title: "The leader is killed", needs: 3,
  text: ["Nothing warns the others: no heartbeat comes, so their election timers run down. " +
    "When the first of these timers runs out, its node asks the others whether it could win, " +
    "and then for their votes. The timers are random, so that one is usually far ahead.",
  "Every committed entry is on the disks of a majority, and only a node with a complete log " +
    "gets the votes of a majority. So nothing that was acknowledged is lost."],
  acts: [
    {label: "Kill the leader", async run(hands, memo) {
      const leader = await lead_elsewhere(hands);
      memo.victim = leader.id;
      memo.term = highest_term(hands.view());
      memo.is_back = false;
      await hands.act({do: "kill", node: leader.id});
    }},
    {label: "Start it again", after: 2, async run(hands, memo) {
      await hands.act({do: "restart", node: memo.victim});
      memo.is_back = true;
    }},
  ],
  checks: [
    {say: ({victim}) => `Node ${victim ?? "…"} has fallen silent.`,
      seen: ({events, cluster, memo}) => events.some(({kind, node}) =>
        kind === "silent" && node === memo.victim) ||
        cluster.nodes.get(memo.victim)?.is_silent === true},
    {say: () => "Another node has been elected.",
      seen: ({memo, ...story}) => leads(story, ({node, term}) =>
        memo.victim !== undefined && node !== memo.victim && term > memo.term)},
    {say: ({victim}) => `Started again, node ${victim ?? "…"} follows the new leader.`,
      seen: ({cluster, memo}) => {
        const node = cluster.nodes.get(memo.victim);
        return memo.is_back === true && node !== undefined && !node.is_silent &&
          node.role === "follower" && leader_in(cluster)?.id === node.leader;
      }},
  ],
};

const VOTE_DELAYS = [100, 140];  // ms, of the disks of the two candidates
const ELECTION_TIMEOUT = 150;   // ms, of `vesper dev`: a node refuses to vote after a heartbeat
const HEARTBEAT = 60;           // ms until the trace has the last heartbeat
const PATIENCE = 2000;          // ms until a try has failed
const TRIES = 8;

// When the last of these nodes heard from the leader: its timer was set again then.
function heard_at(cluster, ids) {
  return Math.max(...ids.map((id) => cluster.nodes.get(id)?.election)
    .map((timer) => timer === undefined ? 0 : timer.deadline - timer.timeout_ms));
}

// The split vote that this step has provoked, or nothing.
function find_split({events, cluster, memo}) {
  if (memo.term === undefined) return undefined;
  return split_in(events, memo.term) ??
    (memo.campaign && split_behind(cluster, memo.campaign));
}

// One try. True if the vote was split; otherwise the cluster is whole again.
//
// Two nodes campaign, one right after the other. Each votes for itself on its own disk before it
// asks the others, and both disks are slow, so both are candidates before anybody votes. Half of
// the others do not hear the first one and vote for the second one; the other half the reverse. The
// serving node hears both: its links carry the trace. It votes for the first one, because the disk
// of the second one is slower.
async function try_to_split(hands, memo) {
  const leader = await lead_elsewhere(hands);
  const awake = ids_of(alive(hands.view())).filter((id) => id !== leader.id);
  const [first, second, ...rest] = awake.filter((id) => id !== hands.serving);
  memo.frozen = [leader.id];
  for (const [i, to] of rest.entries())
    await hands.act({do: "cut", from: i % 2 === 0 ? first : second, to, both: false});
  for (const [i, node] of [first, second].entries())
    await hands.act({do: "slow_disk", node, ms: VOTE_DELAYS[i]});
  await hands.act({do: "pause", node: leader.id});
  const began = hands.now();
  // Until they have forgotten the leader, the others would refuse. Then their own timers begin to
  // run out.
  await hands.at(began + HEARTBEAT);
  await hands.at(heard_at(hands.view(), awake) + ELECTION_TIMEOUT + 2);
  memo.campaign = {term: highest_term(hands.view()), since: hands.now(), nodes: [first, second]};
  await hands.act({do: "campaign", node: first});
  await hands.act({do: "campaign", node: second});
  const is_split = () =>
    find_split({events: hands.events(), cluster: hands.view(), memo}) !== undefined;
  await hands.until("the end of the term", (cluster) => is_split() ||
    hands.now() > began + PATIENCE ||
    (leader_in(cluster) !== undefined && leader_in(cluster).id !== leader.id));
  const was_split = is_split();
  for (const node of [first, second]) await hands.act({do: "slow_disk", node, ms: 0});
  await hands.act({do: "heal"});
  if (!was_split) await hands.repair();
  return was_split;
}

const SPLIT = {
  title: "A split vote", needs: 5,
  text: ["If two timers run out together, two nodes ask for votes in the same term. Each votes " +
    "for itself, and perhaps neither gets a majority. Then the term ends without a leader. " +
    "Both wait for another random time, and try again in the next term.",
  "That is rare, so this step helps. It freezes the leader, lets two nodes ask for votes " +
    "almost at the same instant, and keeps the requests of each from half of the others. If " +
    "another timer runs out too early, the step tries again."],
  acts: [
    {label: "Provoke a split vote", async run(hands, memo) {
      memo.term = highest_term(hands.view());
      memo.split = memo.campaign = undefined;
      memo.is_back = false;
      for (let i = 0; i < TRIES; ++i) if (await try_to_split(hands, memo)) return;
      throw new Error("one candidate was faster each time; try again");
    }},
    {label: "Let the frozen node go on", after: 2, async run(hands, memo) {
      for (const node of memo.frozen) await hands.act({do: "resume", node});
      memo.is_back = true;
    }},
  ],
  checks: [
    {say: ({split}) => split === undefined
      ? "Two nodes ask for votes in one term, and neither wins."
      : `In term ${split.term} ${names(split.nodes)} asked for votes, and neither won.`,
      seen: (story) => {
        story.memo.split ??= find_split(story);
        return story.memo.split !== undefined;
      }},
    {say: () => "In a later term a node has won.",
      seen: ({memo, ...story}) => memo.split !== undefined &&
        leads(story, ({term}) => term > memo.split.term)},
    {say: () => "All nodes can be heard, and follow one leader.",
      seen: ({cluster, memo}) => memo.is_back === true && is_whole(cluster)},
  ],
};

const MINORITY_WAIT = 3000;     // ms after the leader gave up, for the others to elect one

// One try. True if the leader has appended an entry that it cannot commit.
async function try_to_strand(hands, memo) {
  const leader = await lead_by(hands, hands.serving);
  const others = ids_of(alive(hands.view())).filter((id) => id !== leader.id);
  const count = others.length + 1;
  // The links of the leader come last: it gives up soon after.
  memo.minority = [...others.slice(0, count - majority(count) - 1), leader.id];
  memo.leader = leader.id;
  memo.term = leader.term;
  memo.index = memo.append = memo.stepped_down = undefined;
  // The trace tells of a leader before it tells of the entry with which its term begins.
  await hands.until("the leader to commit", (cluster) => {
    const {commit_index, last_index, log, term} = leader_in(cluster) ?? {};
    return commit_index === last_index && (log?.at(-1)?.term ?? term) === term;
  });
  const last = hands.view().nodes.get(leader.id).last_index;
  const began = hands.now();
  await part(hands, memo.minority, others.filter((id) => !memo.minority.includes(id)));
  memo.append = {node: leader.id, since: began, last};
  memo.reply = await hands.write("tour/promise", "never made");
  const entry = (cluster) => uncommitted_index(cluster, leader.id);
  await hands.until("the entry", (cluster) => entry(cluster) !== undefined ||
    hands.now() > began + PATIENCE);
  memo.index = entry(hands.view());
  return memo.index !== undefined && memo.reply !== "success";
}

// Keeps when that was seen first.
function has_stepped_down({cluster, memo, time}) {
  if (memo.index === undefined || cluster.nodes.get(memo.leader).role === "leader") return false;
  memo.stepped_down ??= time;
  return true;
}

const MINORITY = {
  title: "A minority cannot commit", needs: 3,
  text: ["Now the leader and fewer nodes than a majority are cut off from the others, and the " +
    "leader gets a write. It appends the entry but cannot commit it, however long the client " +
    "waits. The client gets no promise, and no one reads a value that may vanish.",
  "This page is served from the smaller side, so you see the others in grey. They are well, " +
    "and elect a leader of their own. The old leader notices that it hears from no majority, " +
    "and steps down."],
  acts: [{label: "Cut the leader off, and write", async run(hands, memo) {
    for (let i = 0; i < TRIES; ++i) {
      if (await try_to_strand(hands, memo)) return;
      await hands.repair();
    }
    throw new Error("the leader gave up each time before the write reached it; try again");
  }}],
  checks: [
    {say: ({leader, index}) => `Node ${leader ?? "…"} has appended entry ${index ?? "…"}.`,
      seen: has_appended,
      hint: ({memo}) => memo.append && `Node ${memo.leader} gave up before the write reached it.`},
    {say: () => "The other side has fallen silent.",
      seen: ({cluster, memo}) => memo.minority !== undefined &&
        alive(cluster).length === memo.minority.length},
    {say: () => "The old leader has stepped down.", seen: has_stepped_down},
    {say: ({index}) =>
      `Entry ${index ?? "…"} is still not committed, and the client has no answer.`,
      seen: (story) => has_stepped_down(story) && story.memo.reply !== "success" &&
        story.cluster.nodes.get(story.memo.leader).commit_index < story.memo.index &&
        story.time > story.memo.stepped_down + MINORITY_WAIT},
  ],
};

const REPLACE = {
  title: "The uncommitted entry is replaced", needs: 3, keeps: true,
  text: ["When the links are whole again, the old leader hears of a higher term and follows. " +
    "Where its log has the uncommitted entry, the new leader's log has another one. The new " +
    "leader finds the last entry at which both logs agree, and the follower replaces what " +
    "comes after it.",
  "No client was promised the entry that goes. What was committed is the same on every node."],
  acts: [{label: "Heal the links", async run(hands, memo) {
    if (memo.minority === undefined) throw new Error("the step before has to be done first");
    memo.goal = undefined;
    await hands.act({do: "heal"});
  }}],
  checks: [
    {say: () => "All nodes can be heard, and follow one leader.",
      seen: ({cluster, memo}) => memo.minority !== undefined && is_whole(cluster) &&
        leader_in(cluster).term > memo.term},
    {say: ({leader, index}) => `Node ${leader ?? "…"} has removed its entry ${index ?? "…"}.`,
      seen: ({memo, ...story}) => memo.index !== undefined &&
        has_removed(story, {node: memo.leader, index: memo.index, term: memo.term}),
      hint: ({memo, cluster}) => is_kept(cluster, memo)
        ? "The entry was committed after all: no other node led when the links were healed. Go " +
          "back one step, and wait until all of it is seen." : undefined},
    {say: () => "All logs are equal again.",
      seen: ({cluster, memo}) => memo.minority !== undefined && have_caught_up(cluster, memo)},
  ],
};

// True if the entry that was to vanish is committed.
function is_kept(cluster, {leader, index, term}) {
  const {log = [], commit_index = 0} = cluster.nodes.get(leader) ?? {};
  return commit_index >= index && term_at(log, index) === term;
}

// True if all nodes have what was in the leader's log when they followed it again. Others may go
// on writing.
function have_caught_up(cluster, memo) {
  if (is_whole(cluster)) memo.goal ??= leader_in(cluster).last_index;
  return are_equal(cluster) || (memo.goal !== undefined && all_committed(cluster, memo.goal));
}

const PARTITION = {
  title: "Partition and heal", needs: 3,
  text: ["The same from the other side: a majority keeps working with the nodes that it has. " +
    "The nodes that are cut off fall behind. Their timers run out again and again, but they " +
    "only ask whether they could win, so their terms stay as they are.",
  "When the partition heals, the leader sends them the entries that they lack."],
  acts: [
    {label: "Cut a minority off, and write", async run(hands, memo) {
      const leader = await settled(hands);
      const nodes = ids_of(alive(hands.view()));
      memo.term = leader.term;
      memo.lost = nodes.filter((id) => id !== leader.id && id !== hands.serving)
        .slice(0, nodes.length - majority(nodes.length));
      memo.from = leader.commit_index;
      memo.is_healed = false;
      await part(hands, memo.lost, nodes.filter((id) => !memo.lost.includes(id)));
      for (const word of ["one", "two", "three"]) await write(hands, "tour/count", word);
    }},
    {label: "Heal the links", after: 2, async run(hands, memo) {
      memo.goal = undefined;
      await hands.act({do: "heal"});
      memo.is_healed = true;
    }},
  ],
  checks: [
    {say: ({lost}) => `${lost === undefined ? "A minority" : names(lost)} can no longer be heard.`
      .replace(/^n/, "N"),
      seen: ({cluster, memo}) => memo.lost?.every((id) =>
        cluster.nodes.get(id)?.is_silent) === true},
    {say: () => "The majority has committed three writes.",
      seen: ({cluster, memo}) => memo.lost !== undefined &&
        leader_in(cluster)?.commit_index >= memo.from + 3},
    {say: () => "Healed: those that were cut off have caught up, and the logs are equal.",
      seen: ({cluster, memo}) => memo.is_healed === true && have_caught_up(cluster, memo)},
  ],
};

export const STEPS = [MEET, ELECT, REPLICATE, KILL, SPLIT, MINORITY, REPLACE, PARTITION];
