// Samples over time in a ring buffer, and how they become plots: scales, ticks and lines. Pure.

export class Series {
  // `names` are those of the values of a sample. The oldest sample is dropped beyond `capacity`.
  constructor(names, capacity) {
    this.capacity = capacity;
    this.begin = 0;
    this.size = 0;
    this.times = new Float64Array(capacity);
    this.columns = Object.fromEntries(
      names.map((name) => [name, new Float64Array(capacity).fill(NaN)]));
  }

  // `time` in seconds, not below that of the sample before. What `values` lacks is NaN.
  push(time, values) {
    const at = (this.begin + this.size) % this.capacity;
    if (this.size < this.capacity) ++this.size;
    else this.begin = (this.begin + 1) % this.capacity;
    this.times[at] = time;
    for (const [name, column] of Object.entries(this.columns)) column[at] = values[name] ?? NaN;
  }

  // Of sample `i`, 0: the oldest.
  time(i) {
    return this.times[(this.begin + i) % this.capacity];
  }

  value(name, i) {
    return this.columns[name][(this.begin + i) % this.capacity];
  }

  // Calls visit(time, value), oldest first.
  each(name, visit) {
    for (let i = 0; i < this.size; ++i) visit(this.time(i), this.value(name, i));
  }

  last(name) {
    return this.size === 0 ? NaN : this.value(name, this.size - 1);
  }

  // The running sums of these names from the first sample that is not older than `since`.
  sums(names, since) {
    const sums = new Series(names, this.capacity);
    const totals = Object.fromEntries(names.map((name) => [name, 0]));
    for (let i = 0; i < this.size; ++i) {
      if (this.time(i) < since) continue;
      sums.push(this.time(i), Object.fromEntries(names.map((name) => {
        const value = this.value(name, i);
        return [name, Number.isNaN(value) ? NaN : totals[name] += value];
      })));
    }
    return sums;
  }

  // The values that are known and not older than `since`, the oldest first.
  known(name, since = -Infinity) {
    const values = [];
    this.each(name, (time, value) => {
      if (time >= since && !Number.isNaN(value)) values.push(value);
    });
    return values;
  }

  // The largest of these values of several names; 0 if there is none.
  highest(names, since) {
    return Math.max(0, ...names.flatMap((name) => this.known(name, since)));
  }
}

const STEPS = [1, 2, 5, 10];
const BINARY_STEPS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

// Round values from 0 up to at least `most`, for an axis: three to six of them. `unit` is "bytes"
// for powers of 1024, "count" for whole numbers, or anything else.
export function ticks(most, unit = "") {
  if (!(most > 0)) most = 1;
  const base = unit === "bytes" ? 1024 : 10;
  const rough = Math.max(most / 4, unit === "count" || unit === "bytes" ? 1 : 0);
  const power = base ** Math.floor(Math.log(rough) / Math.log(base) + 1e-9);
  const steps = unit === "bytes" ? BINARY_STEPS : STEPS;
  const step = power * steps.find((one) => one * power >= rough * (1 - 1e-9));
  const count = Math.max(2, Math.ceil(most / step - 1e-9));
  return Array.from({length: count + 1}, (_, i) => i * step);
}

const SPANS = [[60, 20], [300, 60], [900, 300]];  // seconds, and between two ticks

// The time axis for samples of the last `age` seconds: {span, ticks}, where `ticks` are seconds
// before now, the oldest first.
export function time_axis(age) {
  const [span, step] = SPANS.find(([one]) => age <= one) ?? SPANS.at(-1);
  return {span, ticks: Array.from({length: span / step + 1}, (_, i) => span - i * step)};
}

// The "d" of an SVG path through the samples since `from`, in a box of `width` by `height` whose
// axes end at `to` and `top`. A value that is NaN interrupts the line. Each line begins at the time
// of the sample before, from which its first one counts, so that a single sample can be seen.
export function path_of(series, name, {from, to, top, width, height}) {
  let path = "", before, is_cut = true;
  const x_of = (time) => ((time - from) / (to - from) * width).toFixed(1);
  series.each(name, (time, value) => {
    if (time < from) return;
    const y = (height - Math.min(value / top, 1) * height).toFixed(1);
    if (!Number.isNaN(value))
      path += is_cut ? `M${x_of(before ?? time)} ${y}H${x_of(time)}` : `L${x_of(time)} ${y}`;
    is_cut = Number.isNaN(value);
    before = time;
  });
  return path;
}
