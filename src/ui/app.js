// The frame of the page: which view is shown, the banner, the theme, and what the tabs say.

import {Acts} from "./acts.js";
import {alarms} from "./alarms.js";
import {h, mark_current, notice, set_text} from "./dom.js";
import {long_duration} from "./format.js";
import {Poll} from "./poll.js";
import {Recorder} from "./recorder.js";
import {parse_route} from "./route.js";
import {cluster_view} from "./view_cluster.js";
import {data_view} from "./view_data.js";
import {health_view} from "./view_health.js";
import {tour_view} from "./view_tour.js";

// Opening a tab creates its view: {element, update(), navigate(route), close()}.
const VIEWS = {
  cluster: {make: cluster_view, title: "Cluster"},
  tour: {make: tour_view, title: "Tour"},
  data: {make: data_view, title: "Data"},
  health: {make: health_view, title: "Health"},
};

const main = document.getElementById("main");
const banner = document.getElementById("banner");
const poll = new Poll();
// What views show: what the serving node says of itself, the trace of all, what --chaos does.
const live = {poll, recorder: new Recorder(), acts: new Acts(poll)};
let shown = {name: undefined, view: undefined};

function navigate() {
  const route = parse_route(location.hash);
  const name = route.view in VIEWS ? route.view : "cluster";
  if (name !== shown.name) {
    shown.view?.close?.();
    const view = VIEWS[name].make(live);
    const is_first = shown.name === undefined;
    shown = {name, view};
    main.replaceChildren(view.element);
    if (!is_first) main.focus({preventScroll: true});
    window.scrollTo(0, 0);
    mark_current(document.querySelectorAll(".tabs a"), (tab) => tab.dataset.view === name);
  }
  shown.view.navigate?.(route);
  update();
}

function update() {
  const {status, down_for} = poll;
  const found = alarms({status, down_for, fsync: poll.fsync_p99, cluster: live.recorder.newest});
  const badge = document.getElementById("alarm-count");
  badge.hidden = found.length === 0;
  set_text(badge, String(found.length));
  badge.setAttribute("aria-label", `${found.length} alarms`);
  set_text(document.getElementById("node-chip"), status === undefined ? ""
    : `Node ${status.id} · ${status.address.replace(/^https?:\/\//, "")}`);
  document.title = `${VIEWS[shown.name].title} · Vesper`;
  show_banner(status, down_for);
  shown.view.update?.();
}

// Only for what makes everything else on the page old. The other alarms are in the health view.
function show_banner(status, down_for) {
  const key = down_for === undefined ? "" : "down";
  if (banner.dataset.key !== key) {
    banner.dataset.key = key;
    banner.replaceChildren();
    if (key === "down") banner.append(lost_banner(status));
  }
  const age = banner.querySelector(".age");
  if (age !== null) set_text(age, long_duration(down_for));
}

function lost_banner(status) {
  const others = (status?.members ?? []).filter((member) => member.id !== status.id);
  return notice("bad",
    status === undefined ? "The node does not answer" : `Node ${status.id} does not answer`,
    undefined,
    h("p", {}, "For ", h("span", {class: "age"}),
      ". The page keeps trying; what it shows is the last that the node said."),
    others.length === 0 ? null : h("p", {class: "row"},
      "Start the node again, or open this page on another one:",
      others.map((member) => h("a", {href: `${member.address}/ui/${location.hash}`},
        `node ${member.id}`))));
}

// ---- theme

const THEMES = {auto: ["◐", "system"], light: ["☀", "light"], dark: ["☾", "dark"]};
const theme_button = document.getElementById("theme");
let theme = document.documentElement.dataset.theme ?? "auto";

function show_theme() {
  const [sign, name] = THEMES[theme];
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  theme_button.textContent = sign;
  theme_button.title = `Theme: ${name}`;
  theme_button.setAttribute("aria-label", `Theme: ${name}. Change it`);
}

theme_button.addEventListener("click", () => {
  const names = Object.keys(THEMES);
  theme = names[(names.indexOf(theme) + 1) % names.length];
  try {
    localStorage.setItem("vesper-theme", theme);
  } catch {
    // Storage is off: the choice lasts until the page is closed.
  }
  show_theme();
});

show_theme();
window.addEventListener("hashchange", navigate);
poll.addEventListener("change", update);
// While the node is down, only the attempts to reach it end, seconds apart.
setInterval(() => {
  if (poll.down_since !== undefined) update();
}, 1000);
navigate();
poll.start();
