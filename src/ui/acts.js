// What --chaos lets people do to the cluster: POST /chaos does it, GET /chaos says what holds. A
// node says in /status whether it has them.

import {get, request} from "./api.js";

const INTERVAL = 500;           // ms between two readings of GET /chaos

export class Acts {
  state = undefined;            // the reply of GET /chaos; nothing if there is no --chaos
  #poll;
  #timer;
  #viewers = 0;

  constructor(poll) {
    this.#poll = poll;
  }

  get is_allowed() {
    return this.#poll.status?.chaos === true;
  }

  // Reads what holds until the function that this returns is called.
  watch() {
    if (++this.#viewers === 1) this.#turn();
    return () => {
      if (--this.#viewers === 0) clearTimeout(this.#timer);
    };
  }

  // Does it, and resolves when it has been carried out. Rejects as request() of api.js does.
  async act(what) {
    await request("POST", "/chaos", JSON.stringify(what));
    this.refresh();
  }

  // What holds of one node.
  of(id) {
    return this.state?.nodes.find((node) => node.id === id);
  }

  // Reads what holds now.
  async refresh() {
    try {
      this.state = await get("/chaos", 2000);
    } catch {
      // The node is down or starts again; the banner of the page says so.
    }
  }

  async #turn() {
    if (this.is_allowed && !document.hidden && this.#poll.down_since === undefined)
      await this.refresh();
    else if (!this.is_allowed) this.state = undefined;
    if (this.#viewers > 0) this.#timer = setTimeout(() => this.#turn(), INTERVAL);
  }
}
