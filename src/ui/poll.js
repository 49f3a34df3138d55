// What the serving node says of itself: its status once a second while the page is open, and the
// figures that it keeps. Only this node is asked: a page may not talk to other origins.

import {get, Unreachable} from "./api.js";
import {Figures, median} from "./figures.js";

const INTERVAL = 1000;     // ms, of /status
const FIGURES_EVERY = 2;   // of these
const ALARM_WINDOW = 10;   // s

export class Poll extends EventTarget {
  status = undefined;     // the last reply of /status
  down_since = undefined; // when a question first got no answer, in seconds of now()
  figures = new Figures();
  refusal = undefined;    // why there are no figures: the error of /figures

  start() {
    let round = 0;
    const turn = async () => {
      await this.ask(round++ % FIGURES_EVERY === 0);
      setTimeout(turn, INTERVAL);
    };
    turn();
  }

  get down_for() {
    return this.down_since === undefined ? undefined : now() - this.down_since;
  }

  // The p99 of the last writes to the log, in seconds. NaN: there was none. One sample with a slow
  // write among several is no alarm yet.
  get fsync_p99() {
    return median(this.figures.series.known("fsync99", now() - ALARM_WINDOW));
  }

  async ask(with_figures) {
    const asked = now();
    try {
      const [status, figures] = await Promise.all([
        get("/status", 3000), with_figures ? this.ask_figures() : undefined]);
      this.status = status;
      this.down_since = undefined;
      if (figures !== undefined) this.figures.take(figures, now());
    } catch (error) {
      if (!(error instanceof Unreachable)) console.warn(error);
      this.down_since ??= asked;
    }
    this.dispatchEvent(new Event("change"));
  }

  // The samples that are new. Nothing if the token does not allow it, or if the node has none.
  async ask_figures() {
    const {newest} = this.figures;
    try {
      const reply = await get(newest === undefined ? "/figures" : `/figures?since=${newest}`, 3000);
      this.refusal = undefined;
      return reply;
    } catch (error) {
      if (error.status !== 403 && error.status !== 404) throw error;
      this.refusal = error;
      return undefined;
    }
  }
}

// Seconds of a clock that never goes back.
export function now() {
  return performance.now() / 1000;
}
