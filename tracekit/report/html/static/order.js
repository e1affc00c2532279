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
  if (precedes(event, other)) return "future";
  return event.unordered || other.unordered ? "outside" : "concurrent"; // outside: not known
}

// A linear extension: the sum of a vector timestamp grows along happens-before.
function inOrder(events) {
  const size = new Map(events.map((e) => [e, e.clock ? e.clock.reduce((a, b) => a + b, 0) : 0]));
  return [...events].sort((a, b) => size.get(a) - size.get(b) || a.p - b.p || a.i - b.i);
}

// The last of a lane's events that happens before another event, if any. The lane is in program order.
function lastBefore(lane, event) {
  const known = lane[0].p === event.p ? event.i : event.clock[lane[0].p];
  let low = 0;
  let high = lane.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lane[middle].i < known) low = middle + 1;
    else high = middle;
  }
  return low > 0 ? lane[low - 1] : null;
}

// Longest chain of the given events that ends in each: Map event -> depth from 0. O(n p log n).
// `story`: events told one after the other, in an order that respects happens-before; each comes after the one before.
function causalDepths(events, story = []) {
  const ordered = inOrder(events.filter((e) => e.clock));
  const lanes = new Map();
  for (const event of ordered) {
    if (!lanes.has(event.p)) lanes.set(event.p, []);
    lanes.get(event.p).push(event);
  }
  const before = new Map(story.slice(1).map((event, k) => [event, story[k]]));
  const depth = new Map();
  const visit = (event) => {
    if (depth.has(event)) return depth.get(event);
    depth.set(event, 0); // also ends the search where a story contradicts happens-before
    let deepest = before.has(event) && before.get(event).clock ? visit(before.get(event)) : -1;
    for (const lane of lanes.values()) {
      const last = lastBefore(lane, event);
      if (last) deepest = Math.max(deepest, visit(last));
    }
    depth.set(event, deepest + 1);
    return deepest + 1;
  };
  ordered.forEach(visit);
  return depth;
}
