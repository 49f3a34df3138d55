// Where the nodes of a cluster stand on a ring. Pure.

// Points on a circle, clockwise, the first one at the top: [{x, y}, ...].
export function ring(count, center, radius) {
  return Array.from({length: count}, (_, i) => {
    const angle = 2 * Math.PI * i / count - Math.PI / 2;
    return {
      x: round(center + radius * Math.cos(angle)),
      y: round(center + radius * Math.sin(angle)),
    };
  });
}

// The largest radius of a node, up to `most`, at which neighbours on a ring of this size keep a gap
// of a quarter of a node.
export function node_radius(count, radius, most) {
  if (count < 2) return most;
  const distance = 2 * radius * Math.sin(Math.PI / count);
  return Math.min(most, round(distance / 2.5));
}

const WIDEST = 520, NARROW = 400;  // px
const HALO = 12;                   // px around a node, for its timer
export const LABEL = 18;           // px below a node, for its address

// The picture for a card of this width: {places, radius, orbit, center, height} in px. It holds the
// nodes with their labels, and the circle on which they stand.
export function ring_layout(count, width) {
  const most = width < NARROW ? 31 : 42;
  const orbit = count === 1 ? 0 : Math.min(width, WIDEST) / 2 - most - HALO;
  const radius = node_radius(count, orbit, most);
  const top = radius + HALO;
  const center = {x: round(width / 2), y: round(top + orbit)};
  const places = ring(count, 0, orbit)
    .map(({x, y}) => ({x: round(center.x + x), y: round(center.y + y)}));
  const lowest = Math.max(...places.map(({y}) => y));
  const height = Math.max(lowest + radius + HALO + LABEL, center.y + orbit + HALO);
  return {places, radius, orbit, center, height: round(height)};
}

// The "d" of an SVG path: an arc around the origin from the top, clockwise, of `part` of a circle.
export function arc_path(radius, part) {
  if (part <= 0) return "";
  const angle = 2 * Math.PI * Math.min(part, 0.9999);
  const x = round(radius * Math.sin(angle)), y = round(-radius * Math.cos(angle));
  return `M0 ${-radius}A${radius} ${radius} 0 ${part > 0.5 ? 1 : 0} 1 ${x} ${y}`;
}

function round(value) {
  return Math.round(value * 100) / 100;
}
