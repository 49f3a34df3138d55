// The keys of the store and what goes with them. This file has the frame: which pane is shown, and
// which key. Addresses: "#/data?at=PREFIX&key=NAME&tab=history", "#/data?pane=live".

import {h, mark_current} from "./dom.js";
import {holdings_pane} from "./holdings.js";
import {key_list} from "./key_list.js";
import {key_panel} from "./key_panel.js";
import {live_pane} from "./live_tail.js";
import {parse_name, name_of_text} from "./bytes.js";
import {route_of} from "./route.js";

const PANES = [["keys", "Keys"], ["live", "Live changes"], ["leases", "Leases"],
  ["locks", "Locks"], ["elections", "Elections"]];
const DEFAULT_SEPARATOR = name_of_text("/");

// The separator of folders is chosen for a page, not for an address.
let separator = DEFAULT_SEPARATOR;

function keys_pane() {
  let place = {};
  const list = key_list({
    // The address keeps the place, so that "back" works.
    go: (at) => { location.hash = route_of("data", {at}); },
    open: (key) => route_of("data", {at: place.at, key}),
    folder: (at) => route_of("data", {at}),
    create: () => { location.hash = route_of("data", {at: place.at, new: "1"}); },
    separate: (name) => {
      separator = name;
      list.show(place.at, separator, place.key);
    },
  });
  const panel = key_panel({
    changed: () => list.reload(),
    open: (key, tab) => { location.hash = route_of("data", {at: place.at, key, tab}); },
    close: () => { location.hash = route_of("data", {at: place.at}); },
    tab: (tab) => route_of("data", {at: place.at, key: place.key, tab}),
  });
  const element = h("div", {class: "data-grid"}, h("div", {class: "browser"}, list.element),
    h("div", {class: "panel"}, panel.element));
  return {
    element,
    navigate({parameters}) {
      place = {at: parse_name(parameters.at ?? ""), key: parse_name(parameters.key ?? "")};
      element.classList.toggle("has-key", place.key !== "" || parameters.new !== undefined);
      list.show(place.at, separator, place.key);
      if (parameters.new !== undefined) panel.create(place.at);
      else panel.show(place.key, parameters.tab);
    },
    close() {
      panel.close();
    },
  };
}

function make_pane(name) {
  if (name === "live") return live_pane();
  return name === "keys" ? keys_pane() : holdings_pane(name);
}

export function data_view() {
  const tabs = h("nav", {class: "segments", "aria-label": "Data"}, PANES.map(([name, label]) =>
    h("a", {href: route_of("data", {pane: name === "keys" ? "" : name}), "data-pane": name},
      label)));
  const body = h("div", {});
  const element = h("div", {},
    h("div", {class: "view-head row spread"}, h("h1", {}, "Data"), tabs), body);
  let shown, pane;

  return {
    element,
    navigate(route) {
      const wanted = route.parameters.pane;
      const name = PANES.some(([one]) => one === wanted) ? wanted : "keys";
      if (name !== shown) {
        pane?.close?.();
        shown = name;
        pane = make_pane(name);
        body.replaceChildren(pane.element);
        mark_current(tabs.children, (tab) => tab.dataset.pane === name);
      }
      pane.navigate?.(route);
    },
    close() {
      pane?.close?.();
    },
  };
}
