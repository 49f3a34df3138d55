// Messages under way as dots: which are shown at an instant, how far each has come, and how many
// messages there were. The trace knows when a message left, not when it arrived, so every dot takes
// the same time. Pure.

export const FLIGHT = 450;      // ms of the picture, at any speed
const GAP = 75;                 // ms of the picture between two dots of a kind on one link
const HEARTBEAT_GAP = 150;      // the same for heartbeats, of which there are always some
const MOST = 90;                // dots
const SHOWN_PART = 250;         // ms that a `rate` covers

// Families of messages, for colours and the legend. What is rare comes first, and is dropped last.
export const FAMILIES = [
  ["vote", "votes", ["vote", "vote_reply", "pre_vote", "pre_vote_reply", "transfer"]],
  ["snapshot", "snapshots", ["snapshot", "snapshot_reply"]],
  ["append", "appends", ["append", "append_reply"]],
  ["heartbeat", "heartbeats", ["heartbeat", "heartbeat_reply"]],
  ["other", "others", []],
];

export function family_of(message) {
  return FAMILIES.find(([, , messages]) => messages.includes(message))?.[0] ?? "other";
}

const is_reply = (message) => message.endsWith("_reply");

// The dots at `time`, from the events since `time` - `flight`: [{event, part, family, is_reply},
// ...] with `part` from 0 (has just left) to 1. `flight` is in ms of the trace: FLIGHT times the
// speed of the picture. Of equal messages that follow each other closely on a link one is shown,
// the same one at every instant.
export function dots_at(events, time, flight) {
  const seen = new Set();
  const dots = [];
  for (const event of events) {
    if (event.kind !== "send" || event.at > time || event.at <= time - flight) continue;
    const family = family_of(event.message);
    const gap = flight * (family === "heartbeat" ? HEARTBEAT_GAP : GAP) / FLIGHT;
    const link = `${event.node} ${event.to} ${event.message} ${Math.floor(event.at / gap)}`;
    if (seen.has(link)) continue;
    seen.add(link);
    dots.push({event, part: (time - event.at) / flight, family,
      is_reply: is_reply(event.message)});
  }
  if (dots.length <= MOST) return dots;
  const weight = ({family}) => FAMILIES.findIndex(([name]) => name === family);
  return dots.sort((a, b) => weight(a) - weight(b)).slice(0, MOST);
}

// Where a dot is on its way from one point to another. It leaves and arrives at the edge of the
// nodes, and keeps to the right, so that the two directions of a link are apart.
export function place_of(from, to, radius, part) {
  const dx = to.x - from.x, dy = to.y - from.y;
  const distance = Math.hypot(dx, dy) || 1;
  const ux = dx / distance, uy = dy / distance;
  const side = 5;
  const along = radius + (distance - 2 * radius) * part;
  return {x: from.x + ux * along - uy * side, y: from.y + uy * along + ux * side};
}

// How many messages of each family there were: {vote: 3, append: 812, ...}. `events` are those of a
// span of time. A `rate` counts everything that its node sent in the 250 ms before it.
export function message_counts(events) {
  const covered = new Map();
  const counts = Object.fromEntries(FAMILIES.map(([name]) => [name, 0]));
  for (const {kind, node, at, messages} of events) {
    if (kind !== "rate") continue;
    covered.set(node, [...(covered.get(node) ?? []), at]);
    for (const [message, number] of Object.entries(messages))
      counts[family_of(message)] += number;
  }
  for (const {kind, node, at, message} of events) {
    if (kind !== "send") continue;
    const is_counted = covered.get(node)?.some((end) => at <= end && at > end - SHOWN_PART);
    if (!is_counted) ++counts[family_of(message)];
  }
  return counts;
}
