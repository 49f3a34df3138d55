// Buttons for what --chaos lets people do to a node and its links. All of it is real: processes
// die, and messages are dropped.

import {describe} from "./api.js";
import {h, set_text} from "./dom.js";

const SLOW_MS = 50;             // of a slow disk

const ACTS = [
  ["kill", "Kill", ({running}) => running, "danger"],
  ["restart", "Restart", () => true],
  ["pause", "Freeze", ({running, paused}) => running && !paused],
  ["resume", "Unfreeze", ({paused}) => paused],
  ["isolate", "Isolate", ({isolated}) => !isolated],
  ["heal", "Heal its links", () => true],
  ["slow_disk", "Slow its disk", ({running}) => running],
  ["campaign", "Ask for an election", ({running, paused}) => running && !paused],
  ["transfer", "Hand leadership over to it", ({running, paused}) => running && !paused],
];

// `live` is {poll, acts}. Returns {element, show(node, scene)}.
export function hands_on({poll, acts}) {
  const state = h("p", {class: "small muted acts-state", role: "status"});
  const links = h("div", {class: "links"});
  const links_title = h("h3", {class: "gap-top"}, "Links");
  const buttons = new Map(ACTS.map(([name, label, , kind]) => [name, h("button", {
    type: "button", class: kind, "data-act": name, onclick: () => run(name)}, label)]));
  const element = h("section", {class: "hands-on gap-top", hidden: true,
    "aria-label": "Hands on"},
  h("h3", {}, "Hands on"), h("div", {class: "row"}, [...buttons.values()]),
  links_title, links, state);
  let shown, linked = "";

  async function act(what, words) {
    set_text(state, `${words} …`);
    try {
      await acts.act(what);
      set_text(state, `${words}: done.`);
    } catch (error) {
      set_text(state, `${words}: ${describe(error)}`);
    }
  }

  function run(name) {
    const id = shown.id;
    const {slow_disk_ms = 0} = acts.of(id) ?? {};
    const what = name === "transfer" ? {do: name, to: id}
      : name === "slow_disk" ? {do: name, node: id, ms: slow_disk_ms > 0 ? 0 : SLOW_MS}
        : {do: name, node: id};
    act(what, `${buttons.get(name).textContent} (node ${id})`);
  }

  function link_row(from, to) {
    const button = (label, words, what) => h("button", {type: "button", title: words,
      "aria-label": words, "data-link": `${what.from}-${what.to}${what.both ? "-both" : ""}`,
      onclick: () => act({do: "cut", ...what}, words)}, label);
    return h("div", {class: "row", "data-peer": to}, h("span", {class: "peer"}, `node ${to}`),
      button("Cut →", `Cut what node ${from} sends to node ${to}`, {from, to, both: false}),
      button("Cut ←", `Cut what node ${to} sends to node ${from}`,
        {from: to, to: from, both: false}),
      button("Cut both", `Cut both ways between nodes ${from} and ${to}`,
        {from, to, both: true}),
      h("span", {class: "muted small cut-state"}));
  }

  function show_links(id, scene) {
    const peers = scene.nodes.map((node) => node.id).filter((one) => one !== id);
    const key = `${id} ${peers}`;
    if (key !== linked) {
      linked = key;
      links_title.hidden = peers.length === 0;
      links.replaceChildren(...peers.map((peer) => link_row(id, peer)));
    }
    const is_cut = (from, to) =>
      acts.state.cuts.some((one) => one.from === from && one.to === to);
    peers.forEach((peer, i) => {
      const ways = [is_cut(id, peer) ? "→" : "", is_cut(peer, id) ? "←" : ""].join("");
      set_text(links.children[i].lastChild, ways === "" ? "whole" : `cut ${ways}`);
    });
  }

  return {
    element,
    // `node` is one of the scene, or nothing: then there is nothing to act on.
    show(node, scene) {
      shown = node;
      element.hidden = node === undefined || acts.state === undefined;
      if (element.hidden) return;
      const held = acts.of(node.id) ??
        {running: true, paused: false, isolated: false, slow_disk_ms: 0};
      const is_serving = node.id === poll.status?.id;
      for (const [name, , is_possible] of ACTS) {
        const button = buttons.get(name);
        // A frozen serving node could not pass on the wish to go on.
        button.disabled = !is_possible(held) || (is_serving && name === "pause");
      }
      set_text(buttons.get("slow_disk"), held.slow_disk_ms > 0 ? "Disk at full speed"
        : "Slow its disk");
      show_links(node.id, scene);
    },
  };
}
