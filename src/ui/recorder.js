// Records GET /trace while a view shows it. A browser allows six connections to a node for all of
// its windows, so a hidden window closes its stream.

import {authorization} from "./api.js";
import {Clock} from "./clock.js";
import {EventReader} from "./event_reader.js";
import {Silence, TICK} from "./silence.js";
import {Trace} from "./trace.js";

const RETRY = 3000;             // ms, after a refusal of a node that has served a trace before
const RETRY_UNKNOWN = 10000;    // ms, of a node that never has: it may be an older one
const GIVE_UP = 3000;           // ms of silence, after which the connection is made again

export class Recorder {
  trace = new Trace();
  clock = new Clock();
  // "opening" until the first bytes; then "open", "lost" (silent, or it reconnects) or "refused".
  state = "opening";
  #viewers = 0;
  #source;
  #retry;
  #silence;
  #ticking;

  constructor() {
    document.addEventListener("visibilitychange", () => this.#follow());
  }

  // Records until the function that this returns is called.
  watch() {
    ++this.#viewers;
    this.#follow();
    return () => {
      --this.#viewers;
      this.#follow();
    };
  }

  get is_open() {
    return this.state === "open";
  }

  // The newest state of the cluster, or nothing while no trace comes.
  get newest() {
    return this.is_open && this.#source !== undefined ? this.trace.state_at(Infinity) : undefined;
  }

  #follow() {
    const is_wanted = this.#viewers > 0 && !document.hidden;
    if (is_wanted && this.#source === undefined) this.#open();
    if (!is_wanted) this.#close();
  }

  #open() {
    clearTimeout(this.#retry);
    if (this.is_open) this.state = "opening";
    this.#source = new EventReader("/trace", authorization);
    this.#silence = new Silence();
    this.#source.onheard = () => {
      this.#silence.heard();
      this.state = "open";
    };
    this.#source.onerror = (status) => this.#fail(status);
    this.#source.addEventListener("message", ({data}) => this.#take(JSON.parse(data)));
    this.#ticking = setInterval(() => this.#tick(), TICK);
  }

  #close() {
    clearTimeout(this.#retry);
    clearInterval(this.#ticking);
    this.#source?.close();
    this.#source = undefined;
  }

  #take(event) {
    const now = performance.now();
    this.trace.take(event);
    this.clock.arrived(event.at, now);
  }

  // A node that is frozen, or behind a network that drops everything, leaves the connection open.
  #tick() {
    this.#silence.tick();
    if (this.#silence.is_silent && this.state === "open") this.#lose();
    if (this.#silence.age < GIVE_UP) return;
    this.#close();
    this.#open();
  }

  #lose() {
    if (this.trace.newest !== undefined)
      this.trace.take({kind: "lost", at: this.trace.newest});
    this.state = "lost";
  }

  #fail(status) {
    const {trace} = this;
    if (this.state === "open") this.#lose();
    // The page asks for a token, and the next attempt, a second later, has it.
    if (status === undefined || status === 401) {
      this.state = this.state === "opening" ? "opening" : "lost";
      return;
    }
    // An older node, or one with too many viewers: ask less often.
    this.state = "refused";
    this.#close();
    this.#retry = setTimeout(() => this.#follow(),
      trace.newest === undefined ? RETRY_UNKNOWN : RETRY);
  }
}
