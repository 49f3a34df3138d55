// Reads the text of /metrics, and computes rates and quantiles between two readings. Pure.

const LINE = /^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? (\S+)$/i;
const LABEL = /([a-z_][a-z0-9_]*)="((?:[^"\\]|\\.)*)"/gi;

// Returns {name: [{labels: {route: "kv"}, value: 7}, ...]}. Names lose their "vesper_".
export function parse_metrics(text) {
  const families = {};
  for (const line of text.split("\n")) {
    const match = line.startsWith("#") ? null : LINE.exec(line);
    if (match === null) continue;
    const [, name, labels = "", value] = match;
    const sample = {labels: {}, value: value === "+Inf" ? Infinity : Number(value)};
    for (const [, label, content] of labels.matchAll(LABEL)) sample.labels[label] = content;
    (families[name.replace(/^vesper_/, "")] ??= []).push(sample);
  }
  return families;
}

const everything = () => true;

// The sum of the samples that `fits` accepts. NaN if the family has none at all.
export function sum(families, name, fits = everything) {
  const samples = families?.[name];
  if (samples === undefined) return NaN;
  return samples.reduce((total, {labels, value}) => total + (fits(labels) ? value : 0), 0);
}

// What a counter gained from `before` to `after`. NaN if the node was restarted in between.
export function gained(before, after, name, fits = everything) {
  if (before === undefined) return NaN;
  const gain = sum(after, name, fits) - (name in before ? sum(before, name, fits) : 0);
  return gain < 0 ? NaN : gain;
}

// The buckets of a histogram, summed over its other labels: [[upper bound, count below it], ...].
function buckets_of(families, name, fits) {
  const counts = new Map();
  for (const {labels, value} of families?.[`${name}_bucket`] ?? []) {
    if (!fits(labels)) continue;
    const bound = labels.le === "+Inf" ? Infinity : Number(labels.le);
    counts.set(bound, (counts.get(bound) ?? 0) + value);
  }
  return [...counts].sort(([a], [b]) => a - b);
}

// The q-quantile (0 to 1) of what a histogram observed between two readings, interpolated within
// its bucket. In the last bucket, which has no bound, it is the bound before. NaN if nothing was
// observed.
export function quantile(q, before, after, name, fits = everything) {
  const earlier = new Map(buckets_of(before, name, fits));
  const gains = buckets_of(after, name, fits)
    .map(([bound, count]) => [bound, count - (earlier.get(bound) ?? 0)]);
  const total = gains.at(-1)?.[1] ?? 0;
  if (before === undefined || !(total > 0)) return NaN;
  let low = 0, below = 0;
  for (const [bound, count] of gains) {
    if (count >= q * total && count > below) {
      if (bound === Infinity) return low;
      return low + (bound - low) * (q * total - below) / (count - below);
    }
    low = bound === Infinity ? low : bound;
    below = Math.max(below, count);
  }
  return low;
}
