// The clock of the picture: which instant of the trace is shown. It is live, slowed down or paused.
// Instants are milliseconds of the trace; `now` is that of the page's own clock. Pure.

const DELAY = 150;        // ms that the live picture runs after the events, so that all have come
const DRIFT = 0.001;      // how fast the estimate of the clocks' distance may grow
const JUMP = 5000;        // ms between an event and its expected time: another clock

// Speeds of the picture: 1 is real time.
export const SPEEDS = [1, 1 / 2, 1 / 5, 1 / 10, 1 / 20, 1 / 50, 1 / 100];

export class Clock {
  #distance;              // now - at of the fastest event of late
  #learned = 0;           // when it was estimated
  #shown = 0;             // the instant shown at #since, unless live
  #since = 0;
  #is_live = true;
  is_paused = false;
  speed = 1;

  // An event has arrived.
  arrived(at, now) {
    const distance = now - at;
    const expected = (this.#distance ?? distance) + (now - this.#learned) * DRIFT;
    this.#distance = Math.abs(distance - expected) > JUMP ? distance : Math.min(distance, expected);
    this.#learned = now;
  }

  get is_live() {
    return this.#is_live && !this.is_paused;
  }

  // The instant of the trace that it is now, or nothing before the first event.
  present(now) {
    return this.#distance === undefined ? undefined : now - this.#distance;
  }

  // The newest instant that may be shown, or nothing before the first event.
  live(now) {
    return this.#distance === undefined ? undefined : this.present(now) - DELAY;
  }

  // The instant to show, not before `oldest`, or nothing before the first event.
  read(now, oldest = -Infinity) {
    const live = this.live(now);
    if (live === undefined) return undefined;
    if (this.#is_live && !this.is_paused) return live;
    const shown = this.is_paused ? this.#shown
      : this.#shown + (now - this.#since) * this.speed;
    // A slower picture is level with the live one only when it begins.
    if (shown >= live && !this.is_paused && this.speed === 1) {
      this.#is_live = true;
      return live;
    }
    return Math.max(Math.min(shown, live), oldest);
  }

  #stay(at, now) {
    this.#shown = at;
    this.#since = now;
    this.#is_live = false;
  }

  pause(now) {
    this.#stay(this.read(now) ?? 0, now);
    this.is_paused = true;
  }

  // Goes on from the instant shown.
  play(now) {
    this.#since = now;
    this.is_paused = false;
  }

  // Shows another instant. A picture that moves goes on moving from there.
  seek(at, now) {
    this.#stay(at, now);
  }

  set_speed(speed, now) {
    const shown = this.read(now);
    if (shown !== undefined && !(this.is_live && speed === 1)) this.#stay(shown, now);
    this.speed = speed;
  }

  // Back to what happens now, in real time.
  go_live() {
    this.#is_live = true;
    this.is_paused = false;
    this.speed = 1;
  }
}
