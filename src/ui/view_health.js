// Alarms first, each with what to do, then the figures that the serving node has kept. What is
// wrong with other nodes is in the trace.

import {alarms} from "./alarms.js";
import {h, notice, set_text} from "./dom.js";
import {KEPT} from "./figures.js";
import {bytes, integer, long_duration, seconds, significant} from "./format.js";
import {plot} from "./plot.js";
import {now} from "./poll.js";

const per_second = (value) => Number.isFinite(value) ? `${significant(value)}/s` : "–";

const PLOTS = [
  {
    title: "Throughput", about: "Requests and reads of this node; entries of the whole cluster",
    show: per_second, least: 4,
    lines: [{name: "requests", label: "Requests"}, {name: "reads", label: "Reads"},
      {name: "applied", label: "Entries applied"}],
  },
  {
    title: "Latency of requests", about: "From the head of a request to its reply",
    show: seconds, least: 0.001,
    lines: [{name: "p50", label: "p50"}, {name: "p99", label: "p99"}],
  },
  {
    title: "Disk", about: "One write and fdatasync of the log",
    show: seconds, least: 0.001,
    lines: [{name: "fsync50", label: "p50"}, {name: "fsync99", label: "p99"}],
  },
  {
    title: "Elections", about: "Counted from the left end of the plot",
    show: integer, unit: "count", least: 2, is_sum: true,
    lines: [{name: "leader_changes", label: "Changes of leader"},
      {name: "elections", label: "Campaigns of this node"}],
  },
  {
    title: "Memory", about: "What this node accounts for",
    show: bytes, unit: "bytes", least: 1024,
    lines: [{name: "store", label: "Keys and values"}, {name: "history", label: "Old versions"},
      {name: "log_memory", label: "Log"}],
  },
  {
    title: "Files", about: "Log and newest snapshot on disk",
    show: bytes, unit: "bytes", least: 1024,
    lines: [{name: "log_files", label: "Log"}, {name: "snapshot", label: "Snapshot"}],
  },
];

// In place of the plots.
function no_figures(why) {
  return h("div", {class: "gap-top", hidden: true}, notice("warn", "No figures", why));
}

export function health_view({poll, recorder}) {
  const summary = h("p", {});
  const alarm_list = h("section", {"aria-label": "Alarms", "aria-live": "polite"});
  const plots = PLOTS.map(plot);
  const board = h("section", {class: "plots gap-top", "aria-label": "Figures"},
    plots.map(({element}) => element));
  const forbidden = no_figures("This token may not read /figures: that takes the right " +
    "\"metrics\".");
  const is_old = no_figures("The version of this node is older than this page, and keeps none.");
  const nodes = h("nav", {class: "segments end", "aria-label": "Nodes", hidden: true});
  const element = h("div", {},
    h("div", {class: "view-head"}, h("h1", {}, "Health"), summary, nodes), alarm_list, forbidden,
    is_old, board);
  let shown = "", linked = "";
  const end_recording = recorder.watch();  // what the other nodes say of themselves

  // A page may ask its own node only, so each node shows its own figures.
  function show_nodes({id, members}) {
    const key = JSON.stringify([id, members.map((one) => [one.id, one.address])]);
    if (key === linked) return;
    linked = key;
    nodes.hidden = members.length < 2;
    nodes.replaceChildren(...members.map((one) => h("a", {
      href: one.id === id ? "#/health" : `${one.address}/ui/#/health`,
      "aria-current": one.id === id ? "page" : undefined}, `Node ${one.id}`)));
  }

  function show_alarms(found, is_down) {
    const key = JSON.stringify([is_down, ...found.map(({title}) => title)]);
    if (key === shown) {
      found.forEach(({text}, i) => {
        const paragraph = alarm_list.children[i]?.querySelector(".what");
        if (paragraph) set_text(paragraph, text);
      });
      return;
    }
    shown = key;
    alarm_list.replaceChildren(...found.map(show_alarm));
    if (found.length === 0 && !is_down) alarm_list.append(calm());
  }

  function show_alarm({kind, title, text, todo}) {
    return notice(kind, title, undefined, h("p", {class: "what"}, text),
      h("p", {}, h("strong", {}, "What to do: "), todo));
  }

  function calm() {
    return h("div", {class: "notice"},
      h("span", {class: "mark good", "aria-hidden": "true"}, "✓"),
      h("div", {}, h("strong", {}, "No alarms"),
        h("p", {class: "muted"}, "A leader serves, and no bound is near.")));
  }

  function update() {
    const {status, down_for, figures} = poll;
    const age = figures.age(now());
    set_text(summary, (status === undefined ? "" : `Node ${status.id}, `) +
      `the last ${long_duration(age)} of up to ${long_duration(KEPT)}`);
    forbidden.hidden = poll.refusal?.status !== 403;
    is_old.hidden = poll.refusal?.status !== 404;
    board.hidden = poll.refusal !== undefined;
    board.classList.toggle("stale", down_for !== undefined);
    if (status !== undefined) {
      show_nodes(status);
      // The frame of the page says that the node is down.
      const {fsync_p99: fsync} = poll;
      show_alarms(alarms({status, fsync, cluster: recorder.newest}), down_for !== undefined);
    }
    for (const one of plots) one.update(figures.series, now(), age);
  }

  return {
    element, update,
    close() {
      end_recording();
      for (const one of plots) one.close();
    },
  };
}
