// Numbers, sizes, durations and texts for people. Pure.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(count) {
  if (!Number.isFinite(count)) return "–";
  let unit = 0;
  while (count >= 1024 && unit + 1 < UNITS.length) {
    count /= 1024;
    ++unit;
  }
  return `${unit === 0 ? Math.round(count) : significant(count)} ${UNITS[unit]}`;
}

// Three significant digits, without an exponent.
export function significant(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const digits = size >= 100 || size === 0 ? 0 : size >= 10 ? 1 : 2;
  const text = value.toFixed(digits);
  return digits === 0 ? text : text.replace(/\.?0+$/, "");
}

// 1234567 as "1,234,567".
export function integer(value) {
  if (!Number.isFinite(value)) return "–";
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
}

// "4 rev": one thing, or many.
export function count(value, one, many = one + "s") {
  return `${integer(value)} ${value === 1 ? one : many}`;
}

export function seconds(value) {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0 s";
  if (value < 1e-3) return `${significant(value * 1e6)} µs`;
  if (value < 1) return `${significant(value * 1e3)} ms`;
  if (value < 60) return `${significant(value)} s`;
  return long_duration(value);
}

// "3 d 4 h", "2 h 5 min", "4 min 10 s", "9 s".
export function long_duration(value) {
  if (!Number.isFinite(value)) return "–";
  const whole = Math.max(0, Math.floor(value));
  const parts = [[Math.floor(whole / 86400), "d"], [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"], [whole % 60, "s"]];
  const first = parts.findIndex(([number]) => number !== 0);
  if (first < 0) return "0 s";
  return parts.slice(first, first + 2).filter(([number]) => number !== 0)
    .map(([number, unit]) => `${number} ${unit}`).join(" ");
}

// A duration as the API takes it: "10s", "500ms", "2h", "7d". Nothing if it is none.
export function is_duration(text) {
  return /^[1-9][0-9]*(ms|s|m|h|d)$/.test(text);
}

// Characters that show nothing, or that change how their neighbours are shown, as their code
// points. Text that only looks like another key must not pass for it.
const INVISIBLE = new RegExp("[\\u0000-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f" +
  "\\u1160\\u17b4\\u17b5\\u180b-\\u180e\\u200b-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u3164" +
  "\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb]", "g");

export function visible(text) {
  return text.replace(INVISIBLE, (character) => {
    const code = character.codePointAt(0).toString(16);
    return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u${code.padStart(4, "0")}`;
  });
}

// At most `limit` characters, with an ellipsis in place of the rest.
export function shorten(text, limit) {
  const characters = [...text.slice(0, 2 * limit + 2)];
  return characters.length <= limit ? text : characters.slice(0, limit - 1).join("") + "…";
}
