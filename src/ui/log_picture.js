// Draws rows of log entries: cells coloured by term, with marks for what is committed, applied, in
// a snapshot, and known by the leader to match. The layout is in log_rows.js.

import {h, observe_width, s} from "./dom.js";
import {integer} from "./format.js";
import {log_rows} from "./log_rows.js";

const LABEL = 58, CELL = 27, ROW = 34, HEIGHT = 22, TOP = 20, RIGHT = 12;
const NAMED_EVERY = 5;          // columns between two indexes above the rows

const MARKS = [
  ["commit", "committed", (x) => s("path", {class: "mark commit", d: `M${x} -3V${HEIGHT + 3}`})],
  ["applied", "applied", (x) => s("path", {class: "mark applied",
    d: `M${x} ${HEIGHT - 2}l5 8h-10Z`})],
  ["match", "known to match, says the leader", (x) => s("path", {class: "mark match",
    d: `M${x} -7l4 4l-4 4l-4 -4Z`})],
  ["snapshot", "snapshot", (x) => s("rect", {class: "mark snapshot", x: x - 4,
    y: HEIGHT / 2 - 4, width: 8, height: 8})],
];

function cell_parts({kind, term, colour}, i) {
  const x = LABEL + i * CELL;
  if (kind === "none") return [];
  if (kind === "compacted")
    return [s("rect", {class: "cell compacted", x: x + 1, y: 8, width: CELL - 2, height: 6})];
  return [s("rect", {class: `cell ${kind}`, "data-colour": colour, x: x + 1, y: 0, rx: 3,
    width: CELL - 2, height: HEIGHT}),
  s("text", {class: "cell-term", x: x + CELL / 2, y: 15}, String(term))];
}

function row_parts(row, i) {
  return s("g", {class: `log-row${row.is_silent ? " silent" : ""}`, role: "img",
    "aria-label": row.about, transform: `translate(0 ${TOP + i * ROW})`},
  s("text", {class: row.is_leader ? "row-name leader" : "row-name", x: 0, y: 15},
    `node ${row.id}`),
  row.cells.map(cell_parts),
  MARKS.map(([name, , draw]) => row[name] === undefined ? null
    : draw(LABEL + row[name] * CELL)));
}

const SAMPLE = 24;              // px, the width of a cell in the legend

function sample(kind, mark) {
  return s("svg", {class: "sample", width: 34, height: 40, viewBox: "-2 -9 34 40",
    "aria-hidden": "true"},
  s("rect", {class: `cell ${kind}`, "data-colour": 1, x: 0, y: 0, rx: 3, width: SAMPLE - 1,
    height: HEIGHT}), mark);
}

function legend() {
  return h("ul", {class: "legend"},
    h("li", {}, sample("applied"), "entry, in the colour of its term"),
    h("li", {}, sample("appended"), "not known to be committed"),
    MARKS.map(([, name, draw]) => h("li", {}, sample("applied", draw(SAMPLE)), name)));
}

export function log_picture() {
  const svg = s("svg", {class: "logs", role: "group", "aria-label": "Logs"});
  const element = h("section", {class: "card logs-card", "aria-label": "Logs"},
    h("div", {class: "card-head"}, h("h2", {}, "Logs")),
    h("div", {class: "card-body"}, svg, legend()));
  let width = 700, drawn = "", nodes = [];

  function draw() {
    const layout = log_rows(nodes, Math.max(4, Math.floor((width - LABEL - RIGHT) / CELL)));
    const key = JSON.stringify([width, layout]);
    if (key === drawn) return;
    drawn = key;
    const height = TOP + layout.rows.length * ROW;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", height);
    const indexes = [];
    for (let index = layout.first; index <= layout.last; ++index)
      if (index % NAMED_EVERY === 0 || layout.last < NAMED_EVERY)
        indexes.push(s("text", {class: "index", x: LABEL + (index - layout.first + 0.5) * CELL,
          y: 11}, integer(index)));
    svg.replaceChildren(...indexes, ...layout.rows.map(row_parts));
  }

  const end_observation = observe_width(svg, (now) => {
    width = now;
    draw();
  });

  return {
    element,
    // The nodes of a state of the trace, in the order of their ids.
    update(list) {
      nodes = list;
      draw();
    },
    close() {
      end_observation();
    },
  };
}
