// What is known of the selected node or message: facts, and the last transitions as sentences.

import {fill_facts, h, set_text} from "./dom.js";
import {integer, long_duration} from "./format.js";
import {absence_text} from "./scene.js";
import {last_transitions, message_fields, message_name, sentence} from "./sentences.js";
import {status_facts} from "./status_facts.js";

const MOST = 14;                // sentences

const named = (id) => id === undefined ? "none" : `node ${id}`;

// What the trace says of a node.
function node_facts(node, scene) {
  const {election, first_index, last_index, followers} = node;
  return [
    ["Role", node.role], ["Term", integer(node.term)], ["Voted for", named(node.voted_for)],
    ["Leader", named(node.leader)],
    ["Log", last_index < first_index ? "empty"
      : `${integer(first_index)} to ${integer(last_index)}`],
    ["Committed", integer(node.commit_index)], ["Applied", integer(node.applied_index)],
    ["Snapshot", node.snapshot_index > 0 ? `up to ${integer(node.snapshot_index)}` : "none"],
    ["Election timer", election === undefined ? "does not run"
      : `${integer(Math.max(0, election.deadline - scene.time))} of ` +
        `${integer(election.timeout_ms)} ms left`],
    ["Followers", followers.length === 0 ? "–" : followers.map(({id, match_index, state}) =>
      `${id}: ${state}, ${integer(match_index)}`).join("; ")],
  ];
}

// `hands_on` is the panel of acts for a node; it is shown when the node can be acted on.
export function details({poll, recorder}, hands_on) {
  const title = h("h2", {}, "Node");
  const state = h("span", {class: "tag bad", hidden: true});
  const facts = h("dl", {class: "facts"});
  const more = h("dl", {class: "facts gap-top"}), ids = h("dl", {class: "facts wide gap-top"});
  const sentences = h("ol", {class: "sentences", tabindex: 0, "aria-label": "Last transitions"});
  const history = h("section", {class: "gap-top", "aria-label": "Last transitions"},
    h("h3", {}, "Last transitions"), sentences);
  const element = h("section", {class: "card", "aria-label": "Details"},
    h("div", {class: "card-head"}, title, state),
    h("div", {class: "card-body details"}, facts, hands_on.element, more, ids, history));
  let told;

  function tell(id, {time, cluster}) {
    const events = last_transitions(recorder.trace.back(time), id, MOST);
    const lines = events.map((event) => [((time - event.at) / 1000), event]);
    const key = `${id}: ${events.map(({at, kind}) => `${at} ${kind}`)}`;
    if (key !== told) {
      told = key;
      const {term} = cluster.nodes.get(id) ?? {};
      sentences.replaceChildren(...lines.map(([, event]) => h("li", {},
        h("span", {class: "muted ago"}), h("span", {}, sentence(event,
          event.kind === "truncate" ? term : undefined)))));
      if (lines.length === 0) sentences.append(h("li", {class: "muted"}, "None seen yet."));
    }
    lines.forEach(([age], i) =>
      set_text(sentences.children[i].firstChild, `${long_duration(age)} ago`));
  }

  function show_node(id, view) {
    const node = view.scene.nodes.find((one) => one.id === id);
    const traced = view.cluster.nodes.get(id);
    const status = poll.status?.id === id ? poll.status : undefined;
    set_text(title, `Node ${id}`);
    state.hidden = node?.absence === undefined;
    set_text(state, node === undefined ? "" : absence_text(node) ?? "");
    facts.classList.toggle("stale", node?.absence !== undefined);
    fill_facts(facts, traced === undefined ? [] : node_facts(traced, view.scene));
    fill_facts(more, status === undefined ? [] : status_facts(status));
    fill_facts(ids, status === undefined ? []
      : [["Cluster", status.cluster ?? "not founded yet"],
        [`Digest after entry ${integer(status.applied_index)}`, status.digest]]);
    if (status === undefined && traced === undefined)
      fill_facts(facts, [["Known", "only its address; its own page says more"]]);
    hands_on.show(node, view.scene);
    history.hidden = !view.has_trace;
    if (view.has_trace) tell(id, view);
  }

  function show_message(event) {
    set_text(title, message_name(event.message));
    state.hidden = true;
    fill_facts(facts, message_fields(event));
    fill_facts(more, []);
    fill_facts(ids, []);
    hands_on.show(undefined);
    history.hidden = true;
  }

  return {
    element,
    update(selection, view) {
      if (selection.message !== undefined) show_message(selection.message);
      else if (selection.node !== undefined) show_node(selection.node, view);
    },
  };
}
