// The recorder: the events of the last two minutes, ordered by time, and the state of the cluster
// at any instant of them. What an event means is in trace_fold.js. Pure.
//
// Events of different nodes arrive a little out of order. An event is inserted where its time
// belongs, but never before an earlier event of its own node, and at most WINDOW before the newest.

import {EMPTY, fold} from "./trace_fold.js";

export const KEPT = 120000;     // ms
const WINDOW = 1000;            // ms
// The events of KEPT of nine nodes under load, each of which tells of 190 a second, and some more.
// They take 30 MB.
const MOST = 250000;
const KEYFRAME_EVERY = 500;     // events
const JUMP = 10000;             // ms back in time: the clock is another one

export class Trace {
  #events = [];        // by `at`
  #dropped = 0;        // the number of the first event
  #base = EMPTY;       // the state before the first event
  #keyframes = [];     // {number, state}: the state before that event, in order
  #cursor = {number: 0, state: EMPTY};  // where the last reading ended
  #last_of = new Map();  // the newest time of each node
  keep_from = Infinity;  // an instant that is on show: nothing from there on is dropped for its age

  get newest() {
    return this.#events.at(-1)?.at;
  }

  get oldest() {
    return this.#events[0]?.at;
  }

  get size() {
    return this.#events.length;
  }

  // `at` in milliseconds of the serving node's clock. True if the event was recorded, false if the
  // clock has begun again and nothing but this event is left.
  take(event) {
    const begins_again = this.newest !== undefined && event.at < this.newest - JUMP;
    if (begins_again) this.#clear();
    const floor = Math.max(this.#last_of.get(event.node) ?? -Infinity,
      (this.newest ?? -Infinity) - WINDOW);
    const at = Math.max(event.at, floor);
    this.#last_of.set(event.node, at);
    const place = this.#after(at);
    this.#events.splice(place, 0, at === event.at ? event : {...event, at});
    this.#forget(this.#dropped + place);
    this.#trim();
    return !begins_again;
  }

  // The state at an instant: every event up to it is folded in.
  state_at(time) {
    const end = this.#dropped + this.#after(time);
    let {number, state} = this.#begin(end);
    while (number < end) {
      if (number % KEYFRAME_EVERY === 0 && number > (this.#keyframes.at(-1)?.number ?? 0))
        this.#keyframes.push({number, state});
      state = fold(state, this.#events[number - this.#dropped]);
      ++number;
    }
    this.#cursor = {number, state};
    return state;
  }

  // The events after `from`, up to `to`.
  between(from, to) {
    return this.#events.slice(this.#after(from), this.#after(to));
  }

  // Yields the events up to an instant, the newest first.
  *back(to) {
    for (let i = this.#after(to) - 1; i >= 0; --i) yield this.#events[i];
  }

  #clear() {
    this.#dropped += this.#events.length;
    this.#events = [];
    this.#base = EMPTY;
    this.#keyframes = [];
    this.#cursor = {number: this.#dropped, state: EMPTY};
    this.#last_of.clear();
  }

  // How many events are not after `time`. New events belong near the end.
  #after(time) {
    const events = this.#events;
    let low = 0, high = events.length;
    if (high > 0 && events[high - 1].at <= time) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (events[middle].at <= time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // Forgets the states that an event with this number changes.
  #forget(number) {
    while (this.#keyframes.length > 0 && this.#keyframes.at(-1).number > number)
      this.#keyframes.pop();
    if (this.#cursor.number > number) this.#cursor = {number: this.#dropped, state: this.#base};
  }

  // The nearest known state before event `end`.
  #begin(end) {
    const known = this.#keyframes.findLast(({number}) => number <= end) ??
      {number: this.#dropped, state: this.#base};
    const {number} = this.#cursor;
    return number <= end && number >= known.number ? this.#cursor : known;
  }

  // Drops what is too old, a keyframe's worth at a time. Of a trace with too many events, half of
  // that much is dropped even if somebody looks at it.
  #trim() {
    const limit = Math.min(this.newest - KEPT, this.keep_from);
    const is_old = this.#events[Math.min(KEYFRAME_EVERY, this.size - 1)].at < limit;
    if (this.size <= MOST && !(this.size > KEYFRAME_EVERY && is_old)) return;
    const first = this.#events.splice(0, KEYFRAME_EVERY);
    for (const event of first) this.#base = fold(this.#base, event);
    this.#dropped += first.length;
    this.#keyframes = this.#keyframes.filter(({number}) => number > this.#dropped);
    if (this.#cursor.number < this.#dropped)
      this.#cursor = {number: this.#dropped, state: this.#base};
  }
}
