// Draws a scene: nodes on a ring with their election timers, messages as dots, cut links, and in
// the middle who leads or how an election stands. Elements are kept from frame to frame.

import {place_of} from "./dots.js";
import {s, set_text} from "./dom.js";
import {count, integer} from "./format.js";
import {arc_path, ring_layout} from "./ring.js";
import {absence_text, colour_of, summary_of} from "./scene.js";
import {message_name} from "./sentences.js";

const TIMER = 6;                // px between a node and its timer
const LEAST = 240;              // px, the width of the picture
const SMALL = 36;               // px, radius of a node below which texts are smaller
const SHAPES = {                // of dots, so that they are told apart without colours
  vote: "M0 -6L6 0L0 6L-6 0Z", snapshot: "M-5 -5H5V5H-5Z", other: "M0 -5L5 4H-5Z",
  heartbeat: "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z",
  append: "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z",
};

// A sample of a dot for a legend.
export function dot_sample(family) {
  return s("svg", {class: "sample", width: 16, height: 16, viewBox: "-8 -8 16 16",
    "aria-hidden": "true"}, s("path", {class: `dot ${family}`, d: SHAPES[family]}));
}

export function set_attribute(element, name, value) {
  if (value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

function text(kind) {
  return s("text", {class: kind});
}

const role_of = (node) => !node.is_known ? (node.seat ?? "voter") : node.role;

const term_of = (node) => node.term === undefined ? "" : `term ${node.term}`;
const label_of = (node) => absence_text(node) ??
  [node.short, node.seat].filter(Boolean).join(" · ");

// In words, for those who do not see the picture: first what it says, in the same order, so that
// people can name the node by what they see. In a small picture the neighbours leave no room above
// a node, and its marks take the place of its term.
function about(node, marks, is_small) {
  const address = node.address.replace(/^https?:\/\//, "");
  const term = term_of(node), label = label_of(node);
  const [told, untold] = is_small && marks !== "" ? [[marks, label], term]
    : [[term, label, marks], ""];
  return [`Node ${node.id}`, role_of(node), ...told, ...node.warnings, untold,
    node.is_known ? "" : "nothing is known of it yet", node.absence === undefined ? "" : node.seat,
    address === node.short ? "" : address].filter(Boolean).join(", ");
}

function node_element(id, select) {
  const timer = s("path", {class: "timer"});
  const halo = s("circle", {class: "halo"}), disc = s("circle", {class: "disc"});
  const name = text("id"), role = text("role"), term = text("node-term"), label = text("label");
  const votes = text("votes"), warning = s("title", {});
  const badge = s("g", {class: "badge-mark"}, warning, s("circle", {r: 9}),
    s("text", {y: 5}, "!"));
  const choose = (event) => {
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    select({node: id});
  };
  const element = s("g", {class: "node", role: "button", tabindex: 0, "data-node": id,
    onclick: choose, onkeydown: choose}, halo, timer, disc,
  // As text they are words, not one.
  name, " ", role, " ", term, " ", label, " ", votes, " ", badge);
  set_text(name, String(id));

  function place({x, y}, radius) {
    const is_small = radius < SMALL;
    set_attribute(element, "transform", `translate(${x} ${y})`);
    set_attribute(disc, "r", radius);
    set_attribute(halo, "r", radius + 9);
    const lines = is_small ? [-5, 8, 20] : [-8, 10, 25];
    [name, role, term].forEach((line, i) => set_attribute(line, "y", lines[i]));
    set_attribute(label, "y", radius + 24);
    set_attribute(votes, "y", -radius - 10);
    set_attribute(badge, "transform", `translate(${radius * 0.75} ${-radius * 0.75})`);
    element.classList.toggle("small", is_small);
  }

  function show(node, radius, marks, is_selected) {
    const kinds = {leader: node.is_leader && node.absence === undefined, serving: node.is_serving,
      unknown: !node.is_known, absent: node.absence !== undefined, seated: node.seat !== undefined,
      candidate: node.role === "candidate", selected: is_selected};
    for (const [kind, holds] of Object.entries(kinds))
      element.classList.toggle(kind, holds === true);
    set_attribute(element, "data-colour",
      node.term === undefined ? undefined : colour_of(node.term));
    set_attribute(element, "aria-pressed", is_selected);
    const is_small = radius < SMALL;
    set_attribute(element, "aria-label", about(node, marks, is_small));
    set_attribute(timer, "d", node.timer === undefined ? ""
      : arc_path(radius + TIMER, node.timer));
    set_text(role, role_of(node));
    set_text(term, is_small && marks !== "" ? marks : term_of(node));
    set_text(label, label_of(node));
    set_text(votes, is_small ? "" : marks);
    set_text(warning, node.warnings.join("; "));
    set_attribute(badge, "visibility", node.warnings.length > 0 ? undefined : "hidden");
  }
  return {element, place, show};
}

// What a voter has answered in the elections that run: "✓2" granted its vote to node 2.
function marks_of(id, tallies) {
  return tallies.map((tally) => tally.granted.includes(id) ? `✓${tally.id}`
    : tally.refused.includes(id) ? `✗${tally.id}` : "").filter(Boolean).join(" ");
}

function tally_text({id, granted, needed, pre_vote}, is_small) {
  const votes = `node ${id}: ${granted.length} of ${needed}`;
  return is_small ? votes : `${votes} ${pre_vote ? "pre-votes" : "votes"}`;
}

function middle() {
  const above = text("label"), term = text("term"), below = [text("label"), text("label")];
  const element = s("g", {class: "center"}, above, term, below);
  return {
    element,
    show({center: {x, y}, radius}, {leader, term: number, tallies, is_joint}) {
      // In a small picture the address of the first node takes the place of the first line.
      const is_small = radius < SMALL;
      [above, term, ...below].forEach((line, i) => {
        set_attribute(line, "x", x);
        set_attribute(line, "y", y + (is_small ? [0, 8, 28, 44] : [-28, 6, 30, 48])[i]);
      });
      set_attribute(above, "visibility", is_small ? "hidden" : undefined);
      element.classList.toggle("small", is_small);
      const lines = tallies.length > 0
        ? tallies.slice(0, 2).map((tally) => tally_text(tally, is_small))
        : [leader === undefined ? "no leader known" : `node ${leader} leads`,
          is_joint ? "joint configuration" : ""];
      set_text(above, tallies.length > 0 ? "Election" : "Term");
      set_text(term, integer(number));
      below.forEach((line, i) => set_text(line, lines[i] ?? ""));
      element.classList.toggle("election", tallies.length > 0);
    },
  };
}

function dot_element({event, family, is_reply}, select) {
  const choose = (happened) => {
    if (happened.type === "keydown" && happened.key !== "Enter" && happened.key !== " ") return;
    happened.preventDefault();
    select({message: event});
  };
  return s("g", {class: "message", role: "button", onpointerdown: choose, onkeydown: choose,
    "aria-label": `${message_name(event.message)} from node ${event.node} to node ${event.to}`},
  s("circle", {class: "target", r: 12}),
  s("path", {class: `dot ${family}${is_reply ? " reply" : ""}`, d: SHAPES[family]}));
}

// `select` is called with {node: id} or {message: event}.
export function ring_picture(select) {
  const orbit = s("circle", {class: "orbit"});
  const cuts = s("g", {class: "cuts"}), nodes = s("g", {}), dots = s("g", {});
  const center = middle();
  const svg = s("svg", {class: "ring", role: "group"}, orbit, cuts, center.element, nodes, dots);
  const of_node = new Map();     // id -> node_element
  const of_message = new Map();  // event -> element
  let width = 400, shown_ids = "", layout, cut_key = "";

  function arrange(ids) {
    const key = `${width} ${ids}`;
    if (key === shown_ids) return;
    shown_ids = key;
    layout = ring_layout(ids.length, width);
    set_attribute(svg, "viewBox", `0 0 ${width} ${layout.height}`);
    set_attribute(svg, "height", layout.height);
    for (const [id, {element}] of of_node)
      if (!ids.includes(id)) {
        element.remove();
        of_node.delete(id);
      }
    ids.forEach((id, i) => {
      if (!of_node.has(id)) {
        of_node.set(id, node_element(id, select));
        nodes.append(of_node.get(id).element);
      }
      of_node.get(id).place(layout.places[i], layout.radius);
    });
    const {x, y} = layout.center;
    for (const [name, value] of [["cx", x], ["cy", y], ["r", layout.orbit]])
      set_attribute(orbit, name, value);
    for (const part of [orbit, center.element])
      set_attribute(part, "visibility", ids.length > 1 ? undefined : "hidden");
    cut_key = "";
  }

  function show_cuts(list, spot) {
    const key = JSON.stringify(list);
    if (key === cut_key) return;
    cut_key = key;
    cuts.replaceChildren(...list.filter(({from, to}) => spot(from) && spot(to))
      .map(({from, to}) => {
        const at = (part) => place_of(spot(from), spot(to), layout.radius + 10, part);
        const [begin, end, cross] = [at(0), at(1), at(0.35)];
        return s("g", {}, s("title", {}, `Node ${from} cannot send to node ${to}`),
          s("line", {x1: begin.x, y1: begin.y, x2: end.x, y2: end.y}),
          s("text", {x: cross.x, y: cross.y + 5}, "✕"));
      }));
  }

  function show_dots(list, spot, can_be_reached) {
    const wanted = new Set(list.map(({event}) => event));
    for (const [event, element] of of_message)
      if (!wanted.has(event)) {
        element.remove();
        of_message.delete(event);
      }
    for (const dot of list) {
      const from = spot(dot.event.node), to = spot(dot.event.to);
      if (from === undefined || to === undefined) continue;
      let element = of_message.get(dot.event);
      if (element === undefined) {
        element = dot_element(dot, select);
        of_message.set(dot.event, element);
        dots.append(element);
      }
      const {x, y} = place_of(from, to, layout.radius, dot.part);
      element.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
      set_attribute(element, "tabindex", can_be_reached ? 0 : undefined);
    }
  }

  return {
    element: svg,
    // `selection` is {node} or {message}. Dots that stand still can be reached with the keyboard.
    update(scene, messages, selection, stands_still) {
      const ids = scene.nodes.map(({id}) => id);
      arrange(ids);
      const spot = (id) => layout.places[ids.indexOf(id)];
      for (const node of scene.nodes)
        of_node.get(node.id).show(node, layout.radius, marks_of(node.id, scene.tallies),
          selection?.node === node.id);
      center.show(layout, scene);
      show_cuts(scene.cuts, spot);
      show_dots(messages, spot, stands_still);
      for (const [event, element] of of_message)
        element.classList.toggle("selected", selection?.message === event);
      set_attribute(svg, "aria-label",
        `${count(ids.length, "node")} on a ring. ${summary_of(scene)}`);
      svg.classList.toggle("lost", scene.is_lost);
    },
    // Adapts to the width of the card. To be called a few times a second.
    measure() {
      width = Math.max(LEAST, Math.round(svg.getBoundingClientRect().width));
    },
  };
}
