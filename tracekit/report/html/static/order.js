"use strict";
// Happens-before among the events that the page carries: each has its vector timestamp (`clock`), its process (`p`) and
// its place there (`i`). Faults have no clock: they are outside of the order.

function precedes(first, second) {
  if (!first.clock || !second.clock) return false;
  if (first.p === second.p) return first.i < second.i;
  return second.clock[first.p] > first.i;
}

function relation(event, other) {
  if (event === other) return "self";
  if (!event.clock || !other.clock) return "outside";
  if (precedes(other, event)) return "past";
  return precedes(event, other) ? "future" : "concurrent";
}

// A linear extension: the sum of a vector timestamp grows along happens-before.
function inOrder(events) {
  const size = new Map(events.map((e) => [e, e.clock ? e.clock.reduce((a, b) => a + b, 0) : 0]));
  return [...events].sort((a, b) => size.get(a) - size.get(b) || a.p - b.p || a.i - b.i);
}

// Longest chain of the given events that ends in each: Map event -> depth from 0. O(n p log n).
function causalDepths(events) {
  const depth = new Map();
  const lanes = new Map();
  for (const event of inOrder(events.filter((e) => e.clock))) {
    let deepest = -1;
    for (const [p, lane] of lanes) {
      const known = p === event.p ? event.i : event.clock[p];
      let low = 0;
      let high = lane.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (lane[middle].i < known) low = middle + 1;
        else high = middle;
      }
      if (low > 0) deepest = Math.max(deepest, depth.get(lane[low - 1]));
    }
    depth.set(event, deepest + 1);
    if (!lanes.has(event.p)) lanes.set(event.p, []);
    lanes.get(event.p).push(event);
  }
  return depth;
}
