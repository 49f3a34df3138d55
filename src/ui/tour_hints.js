// What the tour says when a check does not come true for some time: what is missing, and how to go
// on. No reader waits for ever. Pure.

import {leader_in} from "./tour_evidence.js";

export const PATIENCE = 6000;   // ms after the last progress of the step

const SKIP = "or skip the step";

function unheard(cluster) {
  const silent = [...cluster.nodes.values()].filter(({is_silent}) => is_silent)
    .map(({id}) => `node ${id}`);
  if (silent.length > 0)
    return `${silent.join(", ")} ${silent.length === 1 ? "is" : "are"} silent.`
      .replace(/^n/, "N");
  return leader_in(cluster) === undefined ? "No leader is known." : "";
}

// `situation`: the step and which of its checks are `seen`, the set of acts that were `pressed`,
// the memo, the newest state of the `cluster`, `can_act`, `has_trace` (events come), `is_live` (the
// picture shows the present), and the ms `waited` since something was pressed or seen. Empty if
// there is nothing to say.
export function hint_of({step, seen, pressed, memo, cluster, can_act, has_trace, is_live, waited}) {
  const missing = seen.indexOf(false);
  if (missing < 0 || waited < PATIENCE) return "";
  if (!has_trace)
    return `This page gets no events from its node, so nothing can be seen. Wait for it, ${SKIP}.`;
  if (!is_live) return "The picture does not show the present. Press “Live” to go on.";
  const possible = can_act ? step.acts.filter(({after = 0}) =>
    seen.slice(0, after).every(Boolean)) : [];
  const next = possible.find((act) => !pressed.has(act));
  if (next !== undefined) return `Press “${next.label}” to go on, ${SKIP}.`;
  const check = step.checks[missing];
  const why = check.hint?.({memo, cluster}) ?? unheard(cluster);
  const way = possible.length > 0 ? `Press “${possible[0].label}” again, ${SKIP}.`
    : "You can skip the step.";
  return [`Not seen yet: ${check.say(memo)}`, why, way].filter(Boolean).join(" ");
}
