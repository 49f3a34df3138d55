// The keys of the picture, as in raftscope, and the list of them. They can be switched off, because
// single keys get in the way of speech input.

import {dialog} from "./dialog.js";
import {h} from "./dom.js";

const STORED = "vesper-keys";
const KEYS = [["Space", "pauses the picture, or lets it go on"], ["L", "back to live"],
  ["← →", "a tenth of a second back or on"], ["S F", "slower, faster"],
  ["0 to 9", "selects a node"], ["?", "this list"]];
// Elements that use keys themselves.
const BUSY = "input, select, textarea, button, a, summary, dialog, [role=button]";

function read_choice() {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    return true;
  }
}

function keep_choice(is_on) {
  try {
    localStorage.setItem(STORED, is_on ? "on" : "off");
  } catch {
    // Storage is off: the choice lasts until the view is closed.
  }
}

// `bar` is the time bar, and `select` selects a node by its id. Returns {element, show(), close()}.
export function picture_keys({bar, select}) {
  let is_on = read_choice();
  const box = h("input", {type: "checkbox", checked: is_on, onchange: () => {
    is_on = box.checked;
    keep_choice(is_on);
  }});
  const element = dialog("Keys",
    h("dl", {class: "keys"}, KEYS.map(([key, words]) => h("div", {}, h("dt", {}, h("kbd", {}, key)),
      h("dd", {}, words)))),
    h("label", {class: "row check"}, box, "Use these keys"),
    h("button", {type: "button", class: "primary gap-top", autofocus: true,
      onclick: () => element.close()}, "Close"));

  const ACTIONS = {
    " ": () => bar().toggle(), l: () => bar().go_live(), s: () => bar().change_speed(1),
    f: () => bar().change_speed(-1), ArrowLeft: () => bar().move(-100),
    ArrowRight: () => bar().move(100), "?": show,
  };

  function press(event) {
    if (!is_on || event.ctrlKey || event.metaKey || event.altKey || element.open) return;
    const on_control = event.target.closest?.(BUSY);
    if (on_control && (event.key === " " || event.key.startsWith("Arrow") ||
        on_control.matches("input, select, textarea"))) return;
    const act = /^[0-9]$/.test(event.key) ? () => select(Number(event.key))
      : ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  function show() {
    element.showModal();
  }

  document.addEventListener("keydown", press);
  return {
    element, show,
    close() {
      document.removeEventListener("keydown", press);
    },
  };
}
