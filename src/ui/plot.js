// A plot of a few lines over time, as SVG: axes with round values, a legend with the newest ones,
// and the values under the pointer. The arithmetic is in series.js.

import {h, observe_width, s, set_text} from "./dom.js";
import {long_duration} from "./format.js";
import {path_of, ticks, time_axis} from "./series.js";

const HEIGHT = 190, LEFT = 64, RIGHT = 20, TOP = 14, BOTTOM = 26;
const NARROW = 300;  // in pixels; below that only the ends of the time axis have labels

// A sample of a line, so that lines are told apart without colours.
function key_sample(at) {
  return s("svg", {width: 22, height: 4, "aria-hidden": "true"},
    s("path", {class: `line line-${at}`, d: "M1 2H21"}));
}

// `lines` is [{name, label}, ...]; `name` is that of a series. `show` turns a value into text, and
// `unit` is that of ticks(). `is_sum`: the lines are running sums, from the left end of the plot.
export function plot({title, about, lines, show, unit, least = 0, is_sum = false}) {
  const svg = s("svg", {class: "plot", role: "img"});
  const now_texts = lines.map(() => h("span", {class: "now"}));
  const caption = h("p", {}, about);
  const element = h("figure", {class: "card"},
    h("figcaption", {class: "plot-head"}, h("h2", {}, title), caption), svg,
    h("ul", {class: "legend"}, lines.map(({label}, i) =>
      h("li", {}, key_sample(i), h("span", {}, label), now_texts[i]))));
  const names = lines.map(({name}) => name);
  let width = 480, state, pointer;

  function axes(inner, bottom, values, {span, ticks: times}) {
    const top = values.at(-1);
    return [
      values.map((value) => {
        const y = bottom - value / top * (bottom - TOP);
        return [s("line", {class: "grid", x1: LEFT, x2: LEFT + inner, y1: y, y2: y}),
          s("text", {x: LEFT - 10, y: y + 4, "text-anchor": "end"}, show(value))];
      }),
      (inner < NARROW ? [span, 0] : times).map((ago) => s("text", {
        x: LEFT + inner * (1 - ago / span), y: HEIGHT - 6,
        "text-anchor": ago === span ? "start" : ago === 0 ? "end" : "middle",
      }, ago === 0 ? "now" : `−${ago === 60 && span === 60 ? "60 s" : long_duration(ago)}`)),
    ];
  }

  function draw() {
    if (state === undefined) return;
    const {series, to, axis} = state, from = to - axis.span;
    const inner = Math.max(60, width - LEFT - RIGHT), bottom = HEIGHT - BOTTOM;
    const values = ticks(Math.max(series.highest(names, from), least), unit);
    const box = {from, to, top: values.at(-1), width: inner, height: bottom - TOP};
    svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    svg.replaceChildren(...axes(inner, bottom, values, axis).flat(2),
      s("g", {transform: `translate(${LEFT} ${TOP})`},
        lines.map(({name}, i) =>
          s("path", {class: `line line-${i}`, d: path_of(series, name, box)})),
        marker(series, box)));
    const latest = lines.map(({name}) => series.last(name));
    latest.forEach((value, i) => {
      if (pointer === undefined) set_text(now_texts[i], show(value));
    });
    svg.setAttribute("aria-label", `${title} over the last ${long_duration(axis.span)}. Now: ` +
      lines.map(({label}, i) => `${label} ${show(latest[i])}`).join(", "));
  }

  // The sample nearest to the pointer: a line in the plot, and its values in the legend.
  function marker(series, box) {
    if (pointer === undefined) return [];
    const wanted = box.from + (pointer - LEFT) / box.width * (box.to - box.from);
    let nearest = Infinity;
    series.each(names[0], (time) => {
      if (Math.abs(time - wanted) < Math.abs(nearest - wanted)) nearest = time;
    });
    if (nearest < box.from || nearest === Infinity) return [];
    lines.forEach(({name}, i) => series.each(name, (time, value) => {
      if (time === nearest) set_text(now_texts[i], show(value));
    }));
    const x = (nearest - box.from) / (box.to - box.from) * box.width;
    return [s("line", {class: "grid", x1: x, x2: x, y1: 0, y2: box.height})];
  }

  function point(at) {
    pointer = at;
    draw();
  }
  svg.addEventListener("pointermove", (event) =>
    point((event.clientX - svg.getBoundingClientRect().left)));
  svg.addEventListener("pointerleave", () => point(undefined));
  const end_observation = observe_width(svg, (now) => {
    width = now;
    draw();
  });

  return {
    element,
    // `to` is the right end of the time axis, which shows `age` seconds at least.
    update(all, to, age) {
      const axis = time_axis(age);
      state = {series: is_sum ? all.sums(names, to - axis.span) : all, to, axis};
      draw();
    },
    close() {
      end_observation();
    },
  };
}
