// What --chaos offers for the cluster as a whole: a client that writes a key again and again, and
// the repair of all links.

import {describe, put_word} from "./api.js";
import {h, set_text} from "./dom.js";
import {integer} from "./format.js";

const KEY = "page/repeated";
const BETWEEN = 250;            // ms from a reply to the next write

// Writes a counter under one key until it is stopped. `changed` is called after each write.
class Writer {
  counts = {success: 0, fail: 0, unknown: 0};
  is_running = false;
  #changed;
  #timer;

  constructor(changed) {
    this.#changed = changed;
  }

  start() {
    this.is_running = true;
    this.#turn();
  }

  stop() {
    this.is_running = false;
    clearTimeout(this.#timer);
  }

  async #turn() {
    const number = this.counts.success + this.counts.fail + this.counts.unknown + 1;
    let outcome = "unknown";
    try {
      outcome = await put_word(KEY, String(number));
    } catch {
      outcome = "fail";  // the node refuses, for example because it is overloaded
    }
    ++this.counts[outcome];
    this.#changed();
    if (this.is_running) this.#timer = setTimeout(() => this.#turn(), BETWEEN);
  }
}

export function cluster_acts({acts}) {
  const state = h("p", {class: "small muted", role: "status"});
  const writer = new Writer(show_counts);
  const write = h("button", {type: "button", "aria-pressed": "false", onclick: toggle},
    "Write a key repeatedly");
  const heal = h("button", {type: "button", onclick: heal_all}, "Heal all links");
  const element = h("section", {class: "card", hidden: true, "aria-label": "Hands on the cluster"},
    h("div", {class: "card-head"}, write, heal), h("div", {class: "card-body"}, state));

  function show_counts() {
    const {success, fail, unknown} = writer.counts;
    set_text(state, success + fail + unknown === 0
      ? `Select a node to kill, freeze or isolate it. Writes go to the key ${KEY}.`
      : `${integer(success)} writes acknowledged, ${integer(fail)} certainly not done, ` +
        `${integer(unknown)} without an answer.`);
  }

  function toggle() {
    if (writer.is_running) writer.stop();
    else writer.start();
    write.setAttribute("aria-pressed", String(writer.is_running));
    set_text(write, writer.is_running ? "Stop writing" : "Write a key repeatedly");
  }

  async function heal_all() {
    try {
      await acts.act({do: "heal"});
      set_text(state, "All links are whole.");
    } catch (error) {
      set_text(state, describe(error));
    }
  }

  show_counts();
  return {
    element,
    update() {
      element.hidden = acts.state === undefined;
    },
    close() {
      writer.stop();
    },
  };
}
