// What the steps of the tour do to the cluster, and how they wait for what the trace shows.

import {put_word} from "./api.js";

const LOOK = 50;                // ms between two looks at the trace
const PATIENCE = 20000;         // ms, of until()

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export class Hands {
  #live;
  since = 0;                    // the instant of the trace at which the step began

  constructor(live) {
    this.#live = live;
  }

  // The id of the node that serves the page.
  get serving() {
    return this.#live.poll.status?.id;
  }

  // Does what POST /chaos does.
  act(what) {
    return this.#live.acts.act(what);
  }

  // Writes a key through the serving node: "success", "fail" (certainly not written), or "unknown".
  write(key, value) {
    return put_word(key, value);
  }

  // The newest state of the cluster, as the trace has it.
  view() {
    return this.#live.recorder.trace.state_at(Infinity);
  }

  // All events since the step began.
  events() {
    return this.#live.recorder.trace.between(this.since, Infinity);
  }

  // The newest instant of the trace.
  now() {
    return this.#live.recorder.trace.newest ?? 0;
  }

  // Waits until an instant of the trace.
  async at(instant) {
    await pause(instant - this.#live.recorder.clock.present(performance.now()));
  }

  // Waits until holds(view()) is true. Rejects after 20 s.
  async until(what, holds) {
    const deadline = performance.now() + PATIENCE;
    while (!holds(this.view())) {
      if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
      await pause(LOOK);
    }
  }

  // Makes everything whole that --chaos has broken, and waits until all nodes can be heard. If
  // anything was broken, each node has to say again what it is: what was shown before may be old.
  async repair() {
    const {acts, poll, recorder: {trace}} = this.#live;
    await acts.refresh();
    const {nodes: processes = [], cuts = []} = acts.state ?? {};
    // `vesper dev` keeps the process of a node that has been removed.
    const nodes = processes.filter(({id}) =>
      poll.status?.members.some((member) => member.id === id) !== false);
    const began = this.now();
    const repairs = [];
    for (const {id, running, paused, slow_disk_ms} of nodes) {
      if (paused) repairs.push({do: "resume", node: id});
      if (!running) repairs.push({do: "restart", node: id});
      if (slow_disk_ms > 0) repairs.push({do: "slow_disk", node: id, ms: 0});
    }
    if (cuts.length > 0 || nodes.some(({isolated}) => isolated)) repairs.push({do: "heal"});
    for (const what of repairs) await this.act(what);
    const has_spoken = (id) => trace.between(began, Infinity).some(({kind, node}) =>
      kind === "state" && node === id);
    await this.until("all nodes", ({nodes: known}) =>
      known.size > 0 && [...known].every(([id, {is_silent}]) => !is_silent &&
        (repairs.length === 0 || has_spoken(id))));
  }
}
