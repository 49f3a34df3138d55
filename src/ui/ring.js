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

function round(value) {
  return Math.round(value * 100) / 100;
}
