// Changes as they happen, newest first: a bounded list, in a box that does not grow.

import {name_in, name_of_text, shown, value_in} from "./bytes.js";
import {empty, h, set_text} from "./dom.js";
import {count, integer, shorten} from "./format.js";
import {route_of} from "./route.js";
import {watch} from "./stream.js";
import {value_line} from "./value_view.js";

const MOST = 200;
const TYPING = 300;  // ms without a key stroke until the new prefix is watched

export function live_pane() {
  const rows = h("tbody", {});
  const state = h("span", {class: "muted small", role: "status"});
  const field = h("input", {type: "search", placeholder: "All keys", autocomplete: "off",
    spellcheck: "false"});
  const pause = h("button", {type: "button", "aria-pressed": "false", onclick: toggle}, "Pause");
  const nothing = h("div", {}, empty("Nothing has changed yet",
    "Writes and deletes appear here at the moment of their commit."));
  const table = h("table", {hidden: true},
    h("thead", {}, h("tr", {}, ["Time", "Change", "Key", "Value", "Revision"].map((name) =>
      h("th", {scope: "col", class: name === "Revision" ? "number" : ""}, name)))), rows);
  const element = h("section", {class: "card", "aria-label": "Live changes"},
    h("div", {class: "card-head row end"},
      h("label", {class: "grow"}, "Keys that begin with", field), pause,
      h("button", {type: "button", class: "quiet", onclick: clear}, "Clear")),
    h("div", {class: "tail scroll-x", tabindex: 0, role: "log", "aria-live": "off",
      "aria-label": "Changes"}, nothing, table),
    h("div", {class: "card-body"}, state));
  let stop = () => {}, seen = 0, held = [], is_paused = false, typing;
  let words = "";

  field.addEventListener("input", () => {
    stop();
    show_state("Connecting …");
    clear();
    clearTimeout(typing);
    typing = setTimeout(listen, TYPING);
  });

  function listen() {
    stop();
    show_state("Connecting …");
    stop = watch({prefix: name_of_text(field.value)}, undefined, {
      put: take, delete: take,
      stale: () => show_state("This node hears no leader: it may be behind."),
      fresh: () => show_state("Listening."),
      reset: () => show_state("Some changes were missed: their history is gone."),
    }, (is_open, status) => show_state(is_open ? "Listening."
      : status === 403 ? "This token may not read these keys." : "Connecting …"));
  }

  function take(change) {
    ++seen;
    const row = {change, at: new Date()};
    if (is_paused) {
      held.push(row);
      if (held.length > MOST) held.shift();
    } else {
      add(row);
    }
    show_state();
  }

  function add({change, at}) {
    const name = name_in(change);
    nothing.hidden = true;
    table.hidden = false;
    const kind = change.cause === "expired" ? "expired" : change.type;
    rows.prepend(h("tr", {},
      h("td", {class: "muted"}, at.toLocaleTimeString()),
      h("td", {}, h("span", {class: `tag ${kind === "put" ? "" : "warn"}`}, kind)),
      h("td", {}, h("a", {href: route_of("data", {key: name})},
        h("bdi", {}, shorten(shown(name), 80)))),
      h("td", {class: "mono"}, value_line(value_in(change))),
      h("td", {class: "number"}, integer(change.revision))));
    while (rows.children.length > MOST) rows.lastChild.remove();
  }

  function show_state(new_words = words) {
    words = new_words;
    const waiting = held.length === 0 ? "" : ` ${integer(held.length)} wait.`;
    set_text(state, `${words} ${count(seen, "change")} so far.${waiting}`);
  }

  function toggle() {
    is_paused = !is_paused;
    pause.setAttribute("aria-pressed", String(is_paused));
    set_text(pause, is_paused ? "Resume" : "Pause");
    if (!is_paused) {
      held.forEach(add);
      held = [];
    }
    show_state();
  }

  function clear() {
    rows.replaceChildren();
    held = [];
    nothing.hidden = false;
    table.hidden = true;
    show_state();
  }

  listen();
  return {
    element,
    close() {
      clearTimeout(typing);
      stop();
    },
  };
}
