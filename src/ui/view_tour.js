// The guided tour: a few sentences beside the live picture. Each step does something to the real
// cluster, and is done when it has been seen in the trace. Addresses: "#/tour?step=3".

import {describe, Refused, Unreachable} from "./api.js";
import {Hands} from "./tour_hands.js";
import {hint_of} from "./tour_hints.js";
import {h, mark_current, notice, set_text} from "./dom.js";
import {live_picture} from "./live_picture.js";
import {route_of} from "./route.js";
import {STEPS} from "./tour_steps.js";

const SLOWLY = 0.1;             // speed of "see it again"
const SLOW = 1000;              // ms between two looks for a hint

const why = (error) => error instanceof Refused || error instanceof Unreachable ? describe(error)
  : `${error.message}.`;

function check_item() {
  const mark = h("span", {class: "mark", "aria-hidden": "true"});
  const words = h("span", {}), seen = h("span", {class: "visually-hidden"});
  const element = h("li", {}, mark, words, seen);
  return {
    element,
    show(text, is_seen) {
      set_text(words, text);
      set_text(mark, is_seen ? "✓" : "○");
      set_text(seen, is_seen ? " Seen." : " Not seen yet.");
      element.classList.toggle("seen", is_seen);
    },
  };
}

// What a cluster lacks that cannot be broken from this page.
function how_to_start(nodes) {
  return notice("", "This step changes the cluster",
    `It takes a cluster to play with, of ${nodes} nodes or more. Start one, and open the address ` +
    "that it prints:",
    h("pre", {class: "value"}, "vesper dev"));
}

export function tour_view(live) {
  const {recorder, acts, poll} = live;
  const {trace, clock} = recorder;
  const hands = new Hands(live);
  const memo = {};
  const picture = live_picture(live, show);
  const heading = h("h2", {}), number = h("p", {class: "muted small"});
  const text = h("div", {class: "stack"}), buttons = h("div", {class: "row gap-top"});
  const lacking = h("div", {class: "gap-top", hidden: true});
  const checks = h("ul", {class: "checks gap-top", "aria-label": "What to see",
    "aria-live": "polite"});
  const state = h("p", {class: "small muted tour-state", role: "status"});
  const hint = h("p", {class: "small tour-hint", role: "status"});
  const again = h("button", {type: "button", onclick: see_again}, "See it again slowly");
  const next = h("a", {class: "button", role: "link"}, "Next");
  const back = h("a", {class: "button quiet"}, "Back");
  const dots = STEPS.map(({title}, i) => h("a", {href: route_of("tour", {step: i + 1}),
    "aria-label": `Step ${i + 1}: ${title}`, title}, String(i + 1)));
  const element = h("div", {},
    h("div", {class: "view-head"}, h("h1", {}, "Tour"),
      h("nav", {class: "segments", "aria-label": "Steps"}, dots)),
    h("div", {class: "tour-grid"},
      h("section", {class: "card", "aria-label": "Step"},
        h("div", {class: "card-head"}, h("div", {}, number, heading)),
        h("div", {class: "card-body tour-step"}, text, lacking, buttons, state, checks,
          h("div", {class: "row gap-top"}, back, next, again), hint)),
      h("div", {}, picture.card, picture.logs)));
  const pressed = new Set();     // acts of this step
  let at, step, items = [], seen = [], acted_at;
  let is_ready = false, is_busy = false, is_open = true;
  let progress_at = 0;           // of the page's clock: when something was pressed or seen
  const looks = setInterval(show_hint, SLOW);

  picture.on_select((what) => { memo.selected = what.node; });

  function enter(index) {
    at = index;
    step = STEPS[index];
    seen = step.checks.map(() => false);
    pressed.clear();
    progress_at = performance.now();
    acted_at = undefined;
    hands.since = hands.now();
    forget();
    set_text(number, `Step ${index + 1} of ${STEPS.length}`);
    set_text(heading, step.title);
    text.replaceChildren(...step.text.map((words) => h("p", {}, words)));
    buttons.replaceChildren(...step.acts.map((act) =>
      h("button", {type: "button", class: "primary", onclick: () => run(act)}, act.label)));
    items = step.checks.map(check_item);
    checks.replaceChildren(...items.map((item) => item.element));
    mark_current(dots, (dot) => dot === dots[index], "step");
    back.hidden = index === 0;
    back.setAttribute("href", route_of("tour", {step: index}));
    next.setAttribute("href", index + 1 < STEPS.length ? route_of("tour", {step: index + 2})
      : "#/cluster");
    set_text(next, index + 1 < STEPS.length ? "Next" : "To the cluster");
    set_text(state, "");
    lacking.replaceChildren(how_to_start(Math.max(5, step.needs)));
    is_ready = step.keeps === true;
    show_marks();
  }

  // What the acts of this step have said.
  function forget() {
    if (!step.keeps) for (const name of Object.keys(memo)) delete memo[name];
  }

  // Runs one thing at a time, and says how it went.
  async function work(words, what) {
    const began = at;
    is_busy = true;
    set_text(hint, "");
    set_text(state, `${words} …`);
    show_marks();
    try {
      await what();
      if (at === began) set_text(state, "");
    } catch (error) {
      if (at === began) set_text(state, `${words}: ${why(error)}`);
    }
    is_busy = false;
    progress_at = performance.now();
    if (is_open) show_marks();
  }

  function run(act) {
    const is_first = act === step.acts[0];
    clock.go_live();
    acted_at = hands.now();
    pressed.add(act);
    const begins = is_first && !step.keeps;
    if (is_first) {
      hands.since = acted_at;
      seen = seen.map(() => false);
      forget();
    }
    work(act.label, async () => {
      // What the step has broken before, when its button is pressed again.
      if (begins) await hands.repair();
      await act.run(hands, memo);
    });
  }

  function see_again() {
    clock.seek(Math.max(acted_at ?? hands.since, trace.oldest ?? 0), performance.now());
    clock.play(performance.now());
    clock.set_speed(SLOWLY, performance.now());
  }

  function show(view) {
    if (step === undefined || !view.has_trace) return;
    if (!is_ready && !is_busy && acts.is_allowed) {
      is_ready = true;
      work("Everything is repaired", () => hands.repair());
    }
    const story = {events: trace.between(hands.since, view.time), cluster: view.cluster,
      time: view.time, memo};
    const before = seen;
    seen = seen.map((already, i) => already || step.checks[i].seen(story));
    if (seen.some((now, i) => now !== before[i])) progress_at = performance.now();
    show_marks();
  }

  // Says what is missing if nothing has happened for some time.
  function show_hint() {
    if (step === undefined) return;
    set_text(hint, is_busy ? "" : hint_of({step, seen, pressed, memo, cluster: hands.view(),
      can_act: can_act(), has_trace: recorder.is_open, is_live: clock.is_live,
      waited: performance.now() - progress_at}));
  }

  const can_act = () => acts.is_allowed && (poll.status?.members.length ?? 0) >= step.needs;

  function show_marks() {
    // What is broken is repaired first; otherwise the repair would undo the step.
    const may_act = can_act();
    const is_done = seen.every(Boolean);
    if (is_done) set_text(hint, "");
    step.checks.forEach((check, i) => items[i].show(check.say(memo), seen[i]));
    step.acts.forEach(({after = 0}, i) => {
      buttons.children[i].disabled = is_busy || !is_ready || !may_act ||
        !seen.slice(0, after).every(Boolean);
    });
    lacking.hidden = step.acts.length === 0 || may_act || poll.status === undefined;
    next.classList.toggle("primary", is_done);
    set_text(next, at + 1 === STEPS.length ? "To the cluster" : is_done ? "Next" : "Skip");
    again.disabled = acted_at === undefined || is_busy;
  }

  return {
    element,
    navigate({parameters}) {
      const wanted = Math.min(STEPS.length, Math.max(1, Number(parameters.step) || 1)) - 1;
      if (wanted !== at) enter(wanted);
    },
    close() {
      is_open = false;
      clearInterval(looks);
      picture.close();
    },
  };
}
