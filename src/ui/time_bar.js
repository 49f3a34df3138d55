// The controls of the picture's clock: pause, a slider over the last two minutes, speed, live.

import {SPEEDS} from "./clock.js";
import {h, set_text} from "./dom.js";
import {KEPT} from "./trace.js";

const STEP = 100;               // ms of the slider
const STEPS = KEPT / STEP;

const speed_name = (speed) => speed === 1 ? "full speed" : `1/${Math.round(1 / speed)} speed`;

// "live", "lost" or "12.3 s ago".
function age_text(age, {state}) {
  if (age === undefined) return state === "lost" ? "lost" : "live";
  return `${(age / 1000).toFixed(age < 10000 ? 2 : 1)} s ago`;
}

// `show_keys` opens the list of keys.
export function time_bar(recorder, show_keys) {
  const {clock, trace} = recorder;
  const now = () => performance.now();
  const pause = h("button", {type: "button", class: "pause", "aria-pressed": "false",
    onclick: toggle}, "Pause");
  const slider = h("input", {type: "range", min: 0, max: STEPS, step: 1, value: STEPS,
    "aria-label": "Instant that is shown, of the last two minutes", oninput: slide});
  const age = h("span", {class: "age"}, "live");
  const speed = h("select", {"aria-label": "Speed of the picture", onchange: () =>
    clock.set_speed(SPEEDS[speed.selectedIndex], now())},
  SPEEDS.map((one) => h("option", {}, speed_name(one))));
  const live = h("button", {type: "button", onclick: go_live}, "Live");
  const element = h("div", {class: "time-bar", role: "group", "aria-label": "Time"}, pause, slider,
    age, speed, live,
    h("button", {type: "button", class: "quiet icon-button", "aria-label": "Keys of this view",
      onclick: show_keys}, "?"));

  function toggle() {
    if (clock.is_paused) clock.play(now());
    else clock.pause(now());
    update();
  }

  function slide() {
    const end = clock.live(now());
    if (end === undefined) return;
    if (Number(slider.value) >= STEPS && !clock.is_paused) clock.go_live();
    else clock.seek(Math.max(end - (STEPS - slider.value) * STEP, trace.oldest ?? -Infinity),
      now());
    update();
  }

  function go_live() {
    clock.go_live();
    update();
  }

  // Goes `step` ms on or back, and stays there.
  function move(step) {
    const shown = clock.read(now(), trace.oldest);
    if (shown === undefined) return;
    clock.pause(now());
    clock.seek(Math.min(shown + step, clock.live(now())), now());
    update();
  }

  function change_speed(by) {
    const at = Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(clock.speed) + by));
    clock.set_speed(SPEEDS[at], now());
    update();
  }

  function update() {
    const end = clock.live(now()), shown = clock.read(now(), trace.oldest);
    const is_live = clock.is_live || end === undefined;
    pause.setAttribute("aria-pressed", String(clock.is_paused));
    set_text(pause, clock.is_paused ? "Play" : "Pause");
    set_text(age, age_text(is_live ? undefined : Math.max(0, end - shown), recorder));
    slider.setAttribute("aria-valuetext", age.textContent);
    const place = is_live ? STEPS : STEPS - Math.round((end - shown) / STEP);
    if (Number(slider.value) !== place) slider.value = place;
    speed.selectedIndex = SPEEDS.indexOf(clock.speed);
    live.disabled = is_live;
  }

  return {element, update, toggle, go_live, move, change_speed};
}
