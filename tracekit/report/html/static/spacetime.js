"use strict";
// The space-time diagram: a lane per process, a mark per event, an arrow per message; left to right by causal depth or
// by recorded time.

const LANE = 44;
const TOP = 20;
const PAD = 26;
const MARK = 5;
const TERM_COLOURS = 6;
const LABELLED = 80; // up to so many events, messages are labelled; beyond, their ids stand in the records alone

// Shape says the kind, never colour alone. Each is a path around (0, 0).
const CIRCLE = `M${-MARK},0a${MARK},${MARK} 0 1,0 ${2 * MARK},0a${MARK},${MARK} 0 1,0 ${-2 * MARK},0`;
const DIAMOND = `M0,${-MARK - 2}L${MARK + 2},0L0,${MARK + 2}L${-MARK - 2},0Z`;
const SHAPES = {
  internal: { path: "M-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0", says: "local step" },
  send: { path: CIRCLE, says: "send" },
  receive: { path: CIRCLE, says: "receive", open: true },
  leader: { path: `M0,-8L8,6L-8,6Z`, says: "becomes leader" },
  crash: { path: "M-6,-6L6,6M-6,6L6,-6", says: "crash", line: true },
  restart: { path: "M-7,0L7,0M0,-7L0,7", says: "restart", line: true },
  invoke: { path: DIAMOND, says: "invocation", open: true },
  ok: { path: DIAMOND, says: "answered" },
  fail: { path: `${DIAMOND}M-4,-4L4,4`, says: "failed", open: true },
  info: { path: `${DIAMOND}M0,-2.5L0,2.5`, says: "outcome unknown", open: true },
  fault: { path: "M-4,-7L4,-7L4,7L-4,7Z", says: "fault", open: true },
  broken: { path: "M-7,-7L7,-7L7,7L-7,7Z", says: "rule broken here" },
};

function eventName(event) {
  const field = event.fields.find(([name]) => name === "name");
  return field ? String(field[1]) : "";
}

function shapeOf(event, broken) {
  if (broken) return "broken";
  return eventName(event).endsWith("become_leader") ? "leader" : event.kind;
}

class SpaceTime {
  // run: the data of one analysis; hooks: focused(event or null), selected(event or null).
  constructor(run, hooks) {
    this.run = run;
    this.hooks = hooks;
    this.labels = el("div", { class: "lane-labels" });
    this.canvas = el("div", { class: "canvas" });
    this.root = el("div", { class: "spacetime" }, this.labels, this.canvas);
    this.zoom = 1;
    this.axis = "causal";
    this.selected = null;
  }

  // events: those to show; witness: events in the order in which they are told; broken: the event at which the rule broke; ties: further edges as
  // {from, to, reason}.
  show(events, { witness = [], broken = null, ties = [] } = {}) {
    this.events = inOrder(events);
    this.story = witness;
    this.witness = new Set(witness);
    this.broken = broken;
    this.ties = ties;
    this.draw();
  }

  draw() {
    this.place();
    const width = this.width;
    const height = TOP + this.lanes.length * LANE + 6;
    const drawing = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group",
      "aria-label": "Space-time diagram. Arrow keys move between events, Enter selects one." });
    this.taken = [];
    if (this.broken && this.x.has(this.broken)) { // as wide as "rule broken here", which always stands there
      const x = this.x.get(this.broken);
      this.free(x > this.width - 70 ? x - 96 : x - 53, this.y.get(this.broken.p) + 9, 106, 15);
    }
    for (const event of this.story) if (this.x.has(event)) this.free(this.x.get(event) - 9, this.y.get(event.p) - 22, 18, 14);
    for (const event of this.drawn) this.taken.push({ x: this.x.get(event) - 6, y: this.y.get(event.p) - 6, width: 12, height: 12 });
    drawing.append(this.axisGroup(height), this.railsGroup(), this.operationsGroup(), this.arrowsGroup(), this.tiesGroup(), this.termLabels, this.marksGroup());
    this.canvas.replaceChildren(drawing);
    this.drawLabels();
    this.highlight();
    if (this.selected && !this.marks.has(this.selected)) this.select(null);
  }

  // Whether a label fits where no other one stands; takes the place if so.
  free(x, y, width, height) {
    const clash = this.taken.some((t) => x < t.x + t.width && t.x < x + width && y < t.y + t.height && t.y < y + height);
    if (!clash) this.taken.push({ x, y, width, height });
    return !clash;
  }

  // Coordinates of every event that has a place on the axis.
  place() {
    const timed = this.axis === "time";
    const drawn = this.events.filter((e) => (timed ? e.t !== null : e.clock));
    this.undrawn = this.events.length - drawn.length;
    this.lanes = [...new Set(drawn.map((e) => e.p))].sort((a, b) => a - b);
    this.y = new Map(this.lanes.map((p, k) => [p, TOP + LANE * k + LANE / 2 + 4]));
    const room = Math.max(260, this.canvas.clientWidth || 600) - 2 * PAD - 12;
    if (timed) {
      const times = drawn.map((e) => e.t);
      this.first = times.reduce((a, b) => Math.min(a, b), Infinity);
      const span = Math.max(1, times.reduce((a, b) => Math.max(a, b), -Infinity) - this.first);
      const plot = Math.max(room, (drawn.length / this.lanes.length) * 14) * this.zoom;
      this.scale = plot / span;
      this.x = new Map(drawn.map((e) => [e, PAD + (e.t - this.first) * this.scale]));
      this.width = plot + 2 * PAD;
    } else {
      this.history = drawn.length > 0 && drawn.every((e) => e.t !== null && OPERATION.has(e.kind));
      const depth = causalDepths(drawn, this.history ? inRealTime(drawn) : this.story);
      const columns = [...depth.values()].reduce((a, b) => Math.max(a, b), 0);
      const step = Math.min(92, Math.max(22, room / Math.max(1, columns))) * this.zoom;
      this.x = new Map(drawn.map((e) => [e, PAD + depth.get(e) * step]));
      this.width = Math.max(columns * step + 2 * PAD, room + 2 * PAD);
    }
    this.drawn = drawn;
  }

  point(event) {
    return [this.x.get(event), this.y.get(event.p)];
  }

  axisGroup(height) {
    const group = svg("g", { class: "axis", "aria-hidden": "true" });
    if (this.axis !== "time") return group;
    const step = niceStep(90 / this.scale);
    for (let t = Math.ceil(this.first / step) * step; PAD + (t - this.first) * this.scale <= this.width; t += step) {
      const x = PAD + (t - this.first) * this.scale;
      group.append(svg("line", { x1: x, x2: x, y1: 16, y2: height }),
        svg("text", { x, y: 11, "text-anchor": "middle" }, timeText(t, this.run.time.unit, step)));
    }
    return group;
  }

  // The life of each process: coloured by Raft term where it is known, thick while it leads, dotted where events of the
  // process are left out, absent while it is down.
  railsGroup() {
    const group = svg("g", { class: "rails", "aria-hidden": "true" });
    this.termLabels = svg("g", { class: "terms", "aria-hidden": "true" });
    for (const p of this.lanes) {
      const y = this.y.get(p);
      const own = this.drawn.filter((e) => e.p === p).sort((a, b) => a.i - b.i);
      const x = (k) => this.x.get(own[k]);
      group.append(svg("line", { class: "rail", x1: 4, x2: x(0), y1: y, y2: y }));
      let termShown = null;
      own.forEach((event, k) => {
        const end = k + 1 < own.length ? x(k + 1) : this.width - 4;
        const hidden = (k + 1 < own.length ? own[k + 1].i : this.run.lanes[p].events) - event.i - 1;
        const down = event.kind === "crash";
        const term = event.term === undefined ? "" : ` term term-${termColour(event.term)}`;
        const leads = event.role === "leader" ? " leads" : event.role && event.role.includes("candidate") ? " stands" : "";
        const gap = hidden > 0 ? " gap" : "";
        const rail = svg("line", { class: `rail${down ? " down" : term + leads + gap}`, x1: x(k), x2: end, y1: y, y2: y });
        if (hidden > 0) rail.append(svg("title", {}, `${plural(hidden, "event")} of ${this.run.lanes[p].name} not shown`));
        group.append(rail);
        if (event.term !== undefined && event.term !== termShown && !down) {
          const what = `t${event.term}${event.role === "leader" ? " leader" : ""}`;
          if (this.free(x(k) - 3, y + 9, 7 * what.length, 12)) this.termLabels.append(svg("text", { class: `term-label term-${termColour(event.term)}`, x: x(k) - 3, y: y + 18 }, what));
          termShown = event.term;
        }
      });
    }
    return group;
  }

  // Operations as the intervals between invocation and completion; open at the right where no answer came.
  operationsGroup() {
    const group = svg("g", { class: "operations", "aria-hidden": "true" });
    for (const event of this.drawn) {
      if (event.kind !== "invoke") continue;
      const end = event.partner >= 0 ? this.run.events[event.partner] : null;
      const open = event.partner === undefined || (end && end.kind === "info");
      if (!open && !this.x.has(end)) continue;
      const [x, y] = this.point(event);
      const right = open ? this.width - 6 : this.x.get(end);
      const [asked, told] = [event, end || event].map((e) => e.text.replace(/^(invoke|ok|fail|info) /, ""));
      const text = shortened(asked.startsWith(told) ? asked : told, 30); // an answer that says nothing more: what was asked
      group.append(svg("rect", { class: `operation${open ? " unanswered" : ""}`, x, y: y - 8, width: Math.max(2, right - x), height: 16, rx: 8 }));
      if (this.free(x + 10, y - 6, 6.4 * text.length, 12) && 6.4 * text.length + 20 < right - x) {
        group.append(svg("text", { class: "operation-label", x: (x + right) / 2, y: y + 4, "text-anchor": "middle" }, text));
      }
    }
    return group;
  }

  arrowsGroup() {
    const group = svg("g", { class: "arrows", "aria-hidden": "true" });
    this.arrows = [];
    const received = new Set();
    const tied = new Set(this.ties.flatMap((t) => [t.from, t.to]));
    for (const event of this.drawn) {
      const [x, y] = this.point(event);
      for (const [number, name] of event.senders || []) {
        const sender = number >= 0 ? this.run.events[number] : null;
        if (!sender || !this.x.has(sender)) {
          if (!tied.has(event)) group.append(this.stub([x - 16, y - 13], [x, y], "stub", `sent at ${name}, not shown`));
          continue;
        }
        received.add(sender);
        const arrow = this.arrow(this.point(sender), this.point(event), this.drawn.length <= LABELLED ? messageOf(event) : null);
        this.arrows.push({ from: sender, to: event, node: arrow, message: true });
        group.append(arrow);
      }
      if (event.orphan || event.ambiguous) {
        group.append(this.stub([x - 16, y - 13], [x, y], "stub orphan", event.orphan ? "nobody is recorded to have sent this" : "several processes sent this id"));
      }
    }
    for (const event of this.drawn) {
      if (received.has(event) || !(event.lost || (event.reaches && !tied.has(event)))) continue;
      const [x, y] = this.point(event);
      const stub = this.stub([x, y], [x + 16, y + 13], event.lost ? "stub lost" : "stub",
        event.lost ? "received nowhere in this recording" : "received at an event that is not shown");
      if (event.lost) stub.append(svg("path", { d: `M${x + 13},${y + 10}l6,6m0,-6l-6,6` }));
      group.append(stub);
    }
    return group;
  }

  arrow([x1, y1], [x2, y2], label, longest = 12) {
    const length = Math.hypot(x2 - x1, y2 - y1) || 1;
    const [ux, uy] = [(x2 - x1) / length, (y2 - y1) / length];
    const [ex, ey] = [x2 - ux * (MARK + 2), y2 - uy * (MARK + 2)];
    const head = `M${ex},${ey}L${ex - 7 * ux + 3 * uy},${ey - 7 * uy - 3 * ux}L${ex - 7 * ux - 3 * uy},${ey - 7 * uy + 3 * ux}Z`;
    const group = svg("g", { class: "arrow" },
      svg("line", { x1: x1 + ux * MARK, y1: y1 + uy * MARK, x2: ex - ux * 4, y2: ey - uy * 4 }),
      svg("path", { d: head, class: "head" }));
    if (label !== null && label !== undefined) {
      const text = shortened(label, longest);
      const width = 6.2 * text.length;
      for (const along of [0.2, 0.35, 0.5, 0.65, 0.8]) { // nearer to the send: where arrows cross, their labels stay apart
        const [x, y] = [x1 + (x2 - x1) * along + 5, y1 + (y2 - y1) * along - 2];
        const end = x + width > this.width - 4;
        if (!this.free(end ? x - 10 - width : x, y - 9, width, 11)) continue;
        group.append(svg("text", { x: end ? x - 10 : x, y, class: "message", "text-anchor": end ? "end" : "start" }, text));
        break;
      }
    }
    return group;
  }

  stub([x1, y1], [x2, y2], className, why) {
    return svg("g", { class: className }, svg("line", { x1, y1, x2, y2 }), svg("title", {}, why));
  }

  // Ties that a violation names and that are neither a drawn message nor a lane.
  tiesGroup() {
    const group = svg("g", { class: "ties", "aria-hidden": "true" });
    for (const { from, to, reason } of this.ties) {
      if (!this.x.has(from) || !this.x.has(to) || from.p === to.p) continue;
      if (this.arrows.some((a) => a.message && (a.from === from || precedes(from, a.from)) && (a.to === to || precedes(a.to, to)))) continue;
      const [[x1, y1], [x2, y2]] = [this.point(from), this.point(to)];
      const ordered = precedes(from, to);
      const arrow = this.arrow([x1, y1], [x2, y2], reason.replace(/^messages? /, ""), 16);
      arrow.setAttribute("class", ordered ? "arrow tie" : "arrow tie loose");
      arrow.append(svg("title", {}, `${reason} (${ordered ? "through events that are not shown" : "not ordered by any message"})`));
      this.arrows.push({ from, to, node: arrow });
      group.append(arrow);
    }
    return group;
  }

  marksGroup() {
    const group = svg("g", { class: "marks" });
    this.marks = new Map();
    for (const event of this.drawn) {
      const broken = event === this.broken;
      const shape = SHAPES[shapeOf(event, broken)] || SHAPES.internal;
      const inWitness = this.witness.has(event);
      const [x, y] = this.point(event);
      const classes = ["event", shape.open && "open", shape.line && "line", inWitness && "witness", broken && "broken",
        event.kind === "fault" && "fault"].filter(Boolean).join(" ");
      const node = svg("g", { class: classes, transform: `translate(${x},${y})`, tabindex: "-1", role: "button",
        "aria-label": `${event.id}: ${event.text}${broken ? ", rule broken here" : inWitness ? ", in the witness" : ""}` },
        svg("rect", { class: "target", x: -10, y: -14, width: 20, height: 28 }),
        svg("path", { d: shape.path, class: "shape" }));
      const seq = event.id.slice(event.id.lastIndexOf(":") + 1);
      if (inWitness || this.free(x - 3 * seq.length, y - 21, 6 * seq.length, 11)) {
        node.append(svg("text", { class: "seq", x: 0, y: -12, "text-anchor": "middle" }, seq));
      }
      if (broken) {
        const end = x > this.width - 70;
        node.append(svg("text", { class: "here", x: end ? 10 : 0, y: 21, "text-anchor": end ? "end" : "middle" }, "rule broken here"));
      }
      node.addEventListener("mouseenter", () => this.hooks.focused(event));
      node.addEventListener("mouseleave", () => this.hooks.focused(null));
      node.addEventListener("focus", () => this.hooks.focused(event));
      node.addEventListener("click", () => this.select(this.selected === event ? null : event));
      node.addEventListener("keydown", (key) => this.key(key, event));
      this.marks.set(event, node);
      group.append(node);
    }
    const entry = this.broken && this.marks.get(this.broken) ? this.broken : this.drawn[0];
    if (entry) this.marks.get(entry).setAttribute("tabindex", "0");
    return group;
  }

  drawLabels() {
    this.labels.replaceChildren(el("div", { class: "lane-head" }), ...this.lanes.map((p) => {
      const name = this.run.lanes[p].name;
      return el("div", { class: "lane-label", title: name }, traced(shortened(name, 22)));
    }));
  }

  key(key, event) {
    const own = this.drawn.filter((e) => e.p === event.p).sort((a, b) => a.i - b.i);
    const across = (step) => {
      const lane = this.lanes[this.lanes.indexOf(event.p) + step];
      const there = this.drawn.filter((e) => e.p === lane);
      const distance = (e) => Math.abs(this.x.get(e) - this.x.get(event));
      return there.sort((a, b) => distance(a) - distance(b))[0];
    };
    const next = { ArrowRight: () => own[own.indexOf(event) + 1], ArrowLeft: () => own[own.indexOf(event) - 1],
      ArrowDown: () => across(1), ArrowUp: () => across(-1) }[key.key];
    if (next) {
      key.preventDefault();
      this.focus(next());
    } else if (key.key === "Enter" || key.key === " ") {
      key.preventDefault();
      this.select(this.selected === event ? null : event);
    }
  }

  focus(event) {
    const node = event && this.marks.get(event);
    if (!node) return;
    for (const other of this.marks.values()) other.setAttribute("tabindex", "-1");
    node.setAttribute("tabindex", "0");
    node.focus();
  }

  select(event) {
    this.selected = event;
    this.highlight();
    this.hooks.selected(event);
  }

  // Brings an event into the visible part, without moving the page.
  reveal(event) {
    if (!this.x || !this.x.has(event)) return;
    const x = this.x.get(event);
    const { scrollLeft, clientWidth } = this.canvas;
    if (x < scrollLeft + 30 || x > scrollLeft + clientWidth - 30) this.canvas.scrollLeft = x - clientWidth / 2;
  }

  point_at(event) {
    for (const [other, node] of this.marks) node.classList.toggle("pointed", other === event);
  }

  highlight() {
    const chosen = this.selected;
    this.root.classList.toggle("choosing", Boolean(chosen));
    for (const [event, node] of this.marks) {
      for (const name of ["self", "past", "future", "concurrent", "outside"]) node.classList.remove(name);
      if (chosen) node.classList.add(relation(chosen, event));
    }
    for (const { from, to, node } of this.arrows) {
      const inPast = chosen && (to === chosen || precedes(to, chosen));
      const inFuture = chosen && (from === chosen || precedes(chosen, from));
      node.classList.toggle("past", Boolean(inPast));
      node.classList.toggle("future", Boolean(inFuture));
    }
  }

  // How many of the shown events stand in which relation to the selected one.
  relations() {
    const found = { past: 0, future: 0, concurrent: 0, outside: 0 };
    if (this.selected) for (const event of this.marks.keys()) found[relation(this.selected, event)] += 1;
    return found;
  }

  legend() {
    const used = new Set(this.drawn.map((e) => shapeOf(e, e === this.broken)));
    const entries = [...used].map((name) => [name, SHAPES[name]]).filter(([, shape]) => shape);
    return el("ul", { class: "legend", "aria-label": "Legend" }, entries.map(([name, shape]) =>
      el("li", {}, svg("svg", { width: 18, height: 18, viewBox: "-9 -9 18 18", "aria-hidden": "true" },
        svg("g", { class: `event ${shape.open ? "open" : ""} ${shape.line ? "line" : ""} ${name === "broken" ? "broken" : ""} ${name === "fault" ? "fault" : ""}` },
          svg("path", { d: shape.path, class: "shape" }))), shape.says)),
      this.drawn.some((e) => e.term !== undefined) && el("li", {}, svg("svg", { width: 30, height: 12, viewBox: "0 0 30 12", "aria-hidden": "true" },
        svg("line", { class: "rail term term-1 leads", x1: 0, x2: 14, y1: 6, y2: 6 }),
        svg("line", { class: "rail term term-1", x1: 16, x2: 30, y1: 6, y2: 6 })), "leads · follows; colour: term"),
      this.root.querySelector(".rail.gap.term") && el("li", {}, svg("svg", { width: 22, height: 12, viewBox: "0 0 22 12", "aria-hidden": "true" },
        svg("line", { class: "rail term term-1 gap", x1: 0, x2: 22, y1: 6, y2: 6 })), "pale: events left out"));
  }
}

const OPERATION = new Set(["invoke", "ok", "fail", "info"]);

// By recorded time; of events at one moment, invocations first: then their operations overlap, as the order says.
function inRealTime(events) {
  return [...events].sort((a, b) => a.t - b.t || (b.kind === "invoke") - (a.kind === "invoke"));
}

function messageOf(event) {
  const field = event.fields.find(([name]) => name === "message");
  return field ? field[1] : null;
}

function termColour(term) {
  return ((Number(term) % TERM_COLOURS) + TERM_COLOURS) % TERM_COLOURS;
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  return [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) || power * 10;
}
