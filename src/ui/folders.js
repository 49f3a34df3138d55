// Prefixes as folders: where the parts of a prefix end. Names as in bytes.js. Pure.

import {shown} from "./bytes.js";

// The way to a prefix: [{name, label}, ...], outermost first, without the root. `name` is the
// prefix up to and including a separator. What follows the last separator is no folder.
export function crumbs_of(prefix, separator) {
  if (separator === "") return [];
  const crumbs = [];
  let begin = 0;
  for (;;) {
    const at = find(prefix, separator, begin);
    if (at < 0) return crumbs;
    const end = at + separator.length;
    crumbs.push({name: prefix.slice(0, end), label: shown(prefix.slice(begin, at))});
    begin = end;
  }
}

// The innermost folder of a prefix, "" for the root.
export function folder_of(prefix, separator) {
  return crumbs_of(prefix, separator).at(-1)?.name ?? "";
}

// The first place at or after `from` where the bytes of `part` stand. A match must not begin within
// a "%2F".
function find(name, part, from) {
  for (let at = from; at + part.length <= name.length; at += name[at] === "%" ? 3 : 1)
    if (name.startsWith(part, at)) return at;
  return -1;
}
