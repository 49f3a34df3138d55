// Notices that a stream has fallen silent. It counts the ticks of a timer instead of time: a busy
// browser ticks late, and reads late as well, which says nothing about the stream. Pure.

export const TICK = 50;         // ms between two ticks
// The node writes each 100 ms at least. With one tick more and a frame, a reader sees the silence
// within 300 ms.
const SILENT_AFTER = 200;       // ms

export class Silence {
  #quiet = 0;                   // ms of ticks since the last bytes

  // Bytes have arrived.
  heard() {
    this.#quiet = 0;
  }

  tick() {
    this.#quiet += TICK;
  }

  // For how long nothing has arrived, in ms of ticks.
  get age() {
    return this.#quiet;
  }

  get is_silent() {
    return this.#quiet > SILENT_AFTER;
  }
}
