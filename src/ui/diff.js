// What changed between two texts, line by line. Pure.

const MAX_EDITS = 1000;  // beyond that, everything between the common ends counts as changed

// Returns [{kind: "same" | "removed" | "added", text}, ...]: the shortest way from `before` to
// `after`, unless that has more than MAX_EDITS edits.
export function diff_lines(before, after) {
  const a = before === "" ? [] : before.split("\n");
  const b = after === "" ? [] : after.split("\n");
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) ++head;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head &&
         a[a.length - 1 - tail] === b[b.length - 1 - tail]) ++tail;
  const line = (kind) => (text) => ({kind, text});
  return [...a.slice(0, head).map(line("same")),
    ...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...a.slice(a.length - tail).map(line("same"))];
}

// Myers' greedy algorithm (An O(ND) Difference Algorithm, 1986): for each number of edits, how far
// each diagonal reaches; then the way back.
function middle(a, b) {
  const trace = [];
  let reach = new Map([[1, 0]]);
  for (let edits = 0; edits <= Math.min(a.length + b.length, MAX_EDITS); ++edits) {
    trace.push(reach);
    reach = new Map(reach);
    for (let k = -edits; k <= edits; k += 2) {
      let x = goes_down(reach, k, edits) ? reach.get(k + 1) : reach.get(k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) ++x;
      reach.set(k, x);
      if (x >= a.length && x - k >= b.length) return way_back(a, b, trace);
    }
  }
  return [...a.map((text) => ({kind: "removed", text})),
    ...b.map((text) => ({kind: "added", text}))];
}

function goes_down(reach, k, edits) {
  return k === -edits || (k !== edits && reach.get(k - 1) < reach.get(k + 1));
}

function way_back(a, b, trace) {
  const lines = [];
  let x = a.length, y = b.length;
  for (let edits = trace.length - 1; edits >= 0; --edits) {
    const reach = trace[edits], k = x - y;
    const from = goes_down(reach, k, edits) ? k + 1 : k - 1;
    const from_x = reach.get(from), from_y = from_x - from;
    while (x > from_x && y > from_y) {
      --y;
      lines.push({kind: "same", text: a[--x]});
    }
    if (edits === 0) break;
    if (x === from_x) lines.push({kind: "added", text: b[--y]});
    else lines.push({kind: "removed", text: a[--x]});
  }
  return lines.reverse();
}

// Replaces long runs of equal lines, except `context` lines beside each change, by
// {kind: "skipped", count}.
export function fold(lines, context = 3) {
  const near = new Array(lines.length).fill(false);
  lines.forEach((line, at) => {
    if (line.kind === "same") return;
    near.fill(true, Math.max(0, at - context), at + context + 1);
  });
  const folded = [];
  lines.forEach((line, at) => {
    if (near[at]) return folded.push(line);
    const last = folded.at(-1);
    if (last?.kind === "skipped") ++last.count;
    else folded.push({kind: "skipped", count: 1});
  });
  return folded;
}
