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

  // Calls visit(time, value), oldest first.
  each(name, visit) {
    for (let i = 0; i < this.size; ++i) {
      const at = (this.begin + i) % this.capacity;
      visit(this.times[at], this.columns[name][at]);
    }
  }

  last(name) {
    return this.size === 0 ? NaN
      : this.columns[name][(this.begin + this.size - 1) % this.capacity];
  }

  // The largest value of these names that is not older than `since`; 0 if there is none.
  highest(names, since = -Infinity) {
    let most = 0;
    for (const name of names)
      this.each(name, (time, value) => {
        if (time >= since && value > most) most = value;
      });
    return most;
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

// The time axis after `open` seconds of samples: {span, ticks}, where `ticks` are seconds before
// now, the oldest first.
export function time_axis(open) {
  const [span, step] = SPANS.find(([one]) => open <= one) ?? SPANS.at(-1);
  return {span, ticks: Array.from({length: span / step + 1}, (_, i) => span - i * step)};
}

// The "d" of an SVG path through the samples since `from`, in a box of `width` by `height` whose
// axes end at `to` and `top`. A value that is NaN interrupts the line.
export function path_of(series, name, {from, to, top, width, height}) {
  let path = "", pen = "M";
  series.each(name, (time, value) => {
    if (time < from) return;
    if (Number.isNaN(value)) {
      pen = "M";
      return;
    }
    const x = (time - from) / (to - from) * width;
    const y = height - Math.min(value / top, 1) * height;
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  });
  return path;
}
