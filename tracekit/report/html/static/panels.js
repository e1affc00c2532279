"use strict";
// What stands at the right: a violation with its witness, a check, or the run itself.

const PAST_STEP = 40;
const ROWS = 500; // rows of an event table; more would be read by nobody and are said to be left out

// The diagram with its buttons, and beside it the details of the event that is pointed at.
class Viewer {
  constructor(app, run, { witness = [], ties = [], around = null, start, caption, everything = null }) {
    Object.assign(this, { app, run, witness, around, start, caption, everything });
    this.shown = new Set(start);
    this.pastShown = 0;
    this.broken = witness.length ? witness[witness.length - 1] : null;
    this.ties = ties;
    this.details = el("aside", { class: "details", "aria-label": "Event", "aria-live": "off" });
    this.diagram = new SpaceTime(run, {
      focused: (event) => this.point(event),
      selected: () => this.refresh(),
    });
    this.tools = el("div", { class: "tools", role: "toolbar", "aria-label": "Diagram" });
    this.note = el("p", { class: "note" });
    this.legend = el("div");
    this.head = el("div", { class: "tools head" });
    this.main = el("div", { class: "diagram" }, this.head, this.diagram.root, this.tools, this.note, this.legend);
    this.rows = new Map();
  }

  // Draws for the first time; the main element has to be in the page.
  open() {
    this.diagram.axis = this.app.axis === "time" && this.timed() ? "time" : "causal";
    this.redraw();
    this.point(null);
    if (this.broken) this.diagram.reveal(this.broken);
    this.observer = new ResizeObserver(() => {
      const width = this.diagram.canvas.clientWidth;
      if (this.drawnWidth !== undefined && Math.abs(width - this.drawnWidth) > 4) this.redraw();
    });
    this.observer.observe(this.diagram.canvas);
  }

  close() {
    if (this.observer) this.observer.disconnect();
  }

  timed() {
    return [...this.shown].some((event) => event.t !== null);
  }

  redraw() {
    this.drawnWidth = this.diagram.canvas.clientWidth;
    this.diagram.show([...this.shown], { witness: this.witness, broken: this.broken, ties: this.ties });
    this.refresh();
  }

  refresh() {
    this.drawTools();
    this.drawNote();
    this.legend.replaceChildren(this.diagram.legend());
    this.point(null);
  }

  drawTools() {
    const { diagram } = this;
    const toggle = (axis, label, hint) => button(label, () => this.setAxis(axis), {
      class: "toggle", "data-tool": axis, "aria-pressed": String(diagram.axis === axis), title: hint, disabled: axis === "time" && !this.timed() });
    const held = this.main.contains(document.activeElement) ? document.activeElement.dataset.tool : null;
    const tool = (name, label, action, properties) => button(label, action, { "data-tool": name, ...properties });
    this.tools.replaceChildren(
      el("span", { class: "count" }, this.caption(this)),
      el("span", { class: "group" }, this.growButtons(tool)));
    this.head.replaceChildren(
      el("span", { class: "group", role: "group", "aria-label": "Horizontal axis" }, el("span", { class: "muted" }, "axis"),
        toggle("causal", diagram.history ? "order" : "causal", "by happens-before (c)"), toggle("time", "time", `by ${this.run.time.label} (t)`)),
      el("span", { class: "muted says" }, diagram.axis === "time" ? `by ${this.run.time.label}` : diagram.history ? `in the order of ${this.run.time.label}; distances mean nothing` : `an event stands right of all that it depends on · ${this.run.order}`),
      el("span", { class: "group", role: "group", "aria-label": "Zoom" },
        tool("out", "−", () => this.setZoom(diagram.zoom / 1.5), { "aria-label": "Narrower" }),
        tool("in", "+", () => this.setZoom(diagram.zoom * 1.5), { "aria-label": "Wider" })));
    if (held) {
      const again = this.main.querySelector(`[data-tool="${held}"]:not(:disabled)`);
      if (again) again.focus();
    }
  }

  growButtons(tool) {
    const buttons = [];
    if (this.around) {
      const past = this.around.past.filter((e) => !this.shown.has(e));
      const next = past.slice(0, PAST_STEP);
      buttons.push(tool("past", next.length ? `+past ${next.length}` : "past: all here", () => this.add(next),
        { disabled: !next.length, title: `${plural(this.around.past_total, "event")} happen before the last one of the witness; this page carries the nearest ${number(this.around.past.length)}` }));
      const beside = this.around.concurrent.filter((e) => !this.shown.has(e));
      buttons.push(tool("concurrent", "+concurrent", () => this.add(beside),
        { disabled: !beside.length, title: "events that the last one of the witness neither depends on nor leads to, the nearest of each process" }));
      const after = this.around.future.filter((e) => !this.shown.has(e));
      buttons.push(tool("future", "+future", () => this.add(after), { disabled: !after.length, title: "events that depend on the last one of the witness, nearest first" }));
    }
    if (this.everything) {
      buttons.push(tool("all", "all", () => this.add(this.everything), { disabled: this.everything.every((e) => this.shown.has(e)), title: "the whole recording" }));
    }
    if (this.shown.size > new Set(this.start).size) {
      buttons.push(tool("less", "back", () => this.reset(), { title: "only what was shown at first" }));
    }
    return buttons;
  }

  drawNote() {
    const parts = [];
    const shown = new Set(this.diagram.lanes);
    const others = this.run.lanes.filter((lane, p) => !shown.has(p)).map((lane) => lane.name);
    if (others.length) parts.push(el("span", {}, "without events here: ", others.slice(0, 12).map((name, k) => [k ? ", " : "", traced(shortened(name, 24))]), others.length > 12 ? ` and ${others.length - 12} more` : ""));
    if (this.diagram.undrawn) parts.push(el("span", {}, this.diagram.axis === "time"
      ? `${plural(this.diagram.undrawn, "event")} without a recorded time: not drawn on this axis`
      : `${plural(this.diagram.undrawn, "fault event")} outside of causal order: see the axis “time”`));
    if (this.diagram.selected) {
      const { past, future, concurrent, outside } = this.diagram.relations();
      parts.push(el("span", { class: "relations" }, traced(this.diagram.selected.id), `: of the events shown, `, el("b", { class: "past" }, `◀ ${past} before`), ", ", el("b", { class: "future" }, `${future} after ▶`), `, ${concurrent} concurrent${outside ? `, ${outside} of unknown order` : ""}`));
    }
    if ([...this.shown].some((e) => e.unordered)) parts.push(el("span", {}, "Of some of these events it is not known what precedes them at other processes: the recording contradicts itself there, or is silent."));
    this.note.replaceChildren(...parts);
  }

  add(events) {
    for (const event of events) this.shown.add(event);
    this.redraw();
    if (this.broken) this.diagram.reveal(this.broken);
  }

  reset() {
    this.shown = new Set(this.start);
    this.redraw();
  }

  setAxis(axis) {
    if (axis === "time" && !this.timed()) return;
    this.app.axis = axis;
    this.diagram.axis = axis;
    this.redraw();
    if (this.broken) this.diagram.reveal(this.broken);
  }

  setZoom(zoom) {
    this.diagram.zoom = Math.min(40, Math.max(0.05, zoom));
    this.redraw();
    if (this.broken) this.diagram.reveal(this.broken);
  }

  // Shows an event's record; with null the selected one, else the one at which the rule broke.
  point(event) {
    const chosen = event || this.diagram.selected || this.broken;
    this.diagram.point_at(event);
    for (const [other, row] of this.rows) {
      row.classList.toggle("pointed", other === event);
      row.setAttribute("aria-selected", String(other === this.diagram.selected));
    }
    this.details.replaceChildren(chosen ? eventRecord(this.run, chosen) : el("p", { class: "muted" }, "Point at an event, or move to one with the arrow keys, to see its record."));
  }
}

function eventRecord(run, event) {
  const lane = run.lanes[event.p];
  const rows = event.fields.map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)]);
  return el("div", {},
    el("h3", {}, traced(event.id, "id"), el("span", { class: "kind" }, event.kind)),
    el("p", { class: "what" }, traced(event.text)),
    event.source && el("p", { class: "source" }, traced(event.source)),
    el("dl", { class: "fields" },
      el("dt", {}, "place"), el("dd", {}, `event ${number(event.i)} of ${number(lane.events)} at `, traced(lane.name)),
      event.t !== null && (run.time.unit
        ? [el("dt", {}, "time"), el("dd", {}, timeText(event.t, run.time.unit), " from the start")]
        : [el("dt", {}, "order"), el("dd", {}, `${number(event.t)} after the first, by ${run.time.label}`)]),
      event.senders && [el("dt", {}, "sent at"), el("dd", {}, event.senders.map(([, name], k) => [k ? ", " : "", traced(name)]))],
      event.orphan && [el("dt", {}, "sent at"), el("dd", {}, "nowhere in this recording")],
      event.ambiguous && [el("dt", {}, "sent at"), el("dd", {}, "several processes: the id is not unique")],
      event.lost && [el("dt", {}, "received"), el("dd", {}, "nowhere in this recording")],
      rows.map(([name, value]) => [el("dt", {}, traced(name)), el("dd", {}, traced(value))])));
}

// The witness as a table, with the reason why one event comes before the next between the rows.
function witnessTable(viewer, violation, run) {
  const reasons = new Map(violation.edges.map((e) => [`${e.from}\u0000${e.to}`, e.reason]));
  const body = el("tbody");
  violation.witness.forEach((entry, k) => {
    const event = entry.number === null ? null : run.events[entry.number];
    const last = k === violation.witness.length - 1;
    const row = el("tr", { class: last ? "broken" : null, tabindex: event ? "0" : null },
      el("td", { class: "id" }, traced(entry.event)),
      el("td", {}, traced(entry.text), last && el("span", { class: "here" }, " ■ rule broken here"),
        !event && el("span", { class: "muted" }, " (not in this recording)"),
        entry.source && el("span", { class: "source" }, traced(entry.source))));
    if (event) {
      viewer.rows.set(event, row);
      const point = () => { viewer.point(event); viewer.diagram.reveal(event); };
      row.addEventListener("mouseenter", point);
      row.addEventListener("mouseleave", () => viewer.point(null));
      row.addEventListener("focus", point);
      row.addEventListener("click", () => viewer.diagram.select(viewer.diagram.selected === event ? null : event));
      row.addEventListener("keydown", (key) => { if (key.key === "Enter") viewer.diagram.select(event); });
    }
    if (k) {
      const reason = reasons.get(`${violation.witness[k - 1].event}\u0000${entry.event}`);
      if (reason) body.append(el("tr", { class: "edge" }, el("td", { "aria-hidden": "true" }, "│"), el("td", {}, traced(reason))));
    }
    body.append(row);
  });
  return el("table", { class: "witness" }, el("caption", {}, "Witness"),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "event"), el("th", { scope: "col" }, "what happened"))), body);
}

function facts(values, title) {
  const entries = Object.entries(values);
  if (!entries.length) return null;
  return el("section", { class: "facts" }, el("h3", {}, title), el("dl", { class: "fields" }, entries.map(([name, value]) => [
    el("dt", {}, traced(name.replace(/_/g, " "))), el("dd", {}, traced(value === null ? "–" : typeof value === "object" ? JSON.stringify(value) : number(value)))])));
}

function examinedText(check) {
  return Object.entries(check.examined).map(([unit, count]) => counted(count, unit)).join(", ") || "nothing";
}

function checkHead(check, navigation) {
  return el("div", { class: "check-head" }, verdictMark(check.verdict), el("h2", {}, check.check),
    el("span", { class: "reference" }, check.reference), navigation);
}

// The check's page (`tracekit explain`).
function explanation(check, open) {
  const entries = Object.entries(check.page);
  if (!entries.length) return null;
  const title = check.verdict === "violated" ? "Why is this wrong?" : "What this check means";
  return el("details", { class: "explain", id: "explain", open }, el("summary", {}, title),
    !open && el("p", { class: "lead" }, check.summary),
    el("div", { class: "explain-parts" }, entries.map(([heading, text]) => el("section", { class: heading === "Example" || heading === "Meaning" ? "wide" : null },
      el("h3", {}, heading), heading === "Example" ? el("pre", {}, text) : paragraphs(text)))));
}

// Blank lines part paragraphs; a paragraph with deeper indentation keeps its lines.
function paragraphs(text) {
  return text.split(/\n\s*\n/).map((part) => (/^\s{2,}/m.test(part) ? el("pre", {}, part) : el("p", {}, part.replace(/\s*\n\s*/g, " "))));
}

function howDecided(check) {
  return el("p", { class: "how" }, "examined ", el("b", {}, examinedText(check)), check.method && [" · by ", check.method],
    check.implied_by && [" · not run: implied by ", el("b", {}, check.implied_by)], check.seconds > 0 && ` · ${check.seconds.toFixed(check.seconds < 10 ? 3 : 1)} s`,
    check.required ? " · required" : " · measured: claimed by nobody, so never a failure");
}

function violationPanel(app, run, check, index) {
  const violation = check.violations[index];
  const listed = check.violations.length;
  const position = el("span", { class: "position" }, `${index + 1} of ${number(check.violations_total)}`,
    check.violations_total > listed && el("span", { class: "muted" }, `, the first ${listed} listed`),
    el("span", { class: "group" },
      button("‹ p", () => app.step(-1), { "aria-label": "Previous violation (p)", disabled: listed < 2 }),
      button("n ›", () => app.step(1), { "aria-label": "Next violation (n)", disabled: listed < 2 })));
  const witness = violation.witness.filter((e) => e.number !== null).map((e) => run.events[e.number]);
  const byName = new Map(witness.map((e) => [e.id, e]));
  violation.witness.forEach((e) => { if (e.number !== null) byName.set(e.event, run.events[e.number]); });
  const around = violation.around && { ...violation.around, past: numbered(run, violation.around.past),
    concurrent: numbered(run, violation.around.concurrent), future: numbered(run, violation.around.future) };
  const viewer = new Viewer(app, run, {
    witness, around, start: [...witness, ...numbered(run, violation.partners)],
    ties: violation.edges.map((e) => ({ from: byName.get(e.from), to: byName.get(e.to), reason: e.reason })).filter((t) => t.from && t.to),
    everything: run.run.whole ? numbered(run, run.run.events) : null,
    caption: (v) => `${number(v.shown.size)} of ${plural(run.trace.events, "event")}${v.shown.size === new Set(v.start).size ? ": the witness" : ""}${violation.partners.length && v.shown.size === new Set(v.start).size ? " with its operations’ other ends" : ""}`,
  });
  const damage = violation.damage && el("p", { class: "damage" }, el("b", {}, "Damage: "), traced(violation.damage));
  if (damage) viewer.main.append(damage);
  const why = Object.keys(check.page).length ? button("why is this wrong?", () => {
    const page = document.getElementById("explain");
    page.open = true;
    page.scrollIntoView({ block: "start" });
    page.querySelector("summary").focus({ preventScroll: true });
  }, { class: "link" }) : null;
  const content = el("article", { class: "violation" },
    checkHead(check, position),
    el("p", { class: "summary" }, traced(violation.summary), " ", why),
    witness.length ? el("div", { class: "finding" }, viewer.main, el("div", { class: "side" }, witnessTable(viewer, violation, run), viewer.details))
      : [el("p", { class: "muted" }, "This violation names no events."), damage],
    witness.length > 0 && !around && el("p", { class: "note" }, "This page carries only the witness of this violation: it holds the surroundings of those before it, and has no room for more. ",
      el("code", {}, `tracekit analyze --check ${check.check}`), " makes a page of this check alone."),
    el("div", { class: "below" }, facts(violation.facts, "Facts"), facts(check.facts, "Measured"), reasonsBox(check)),
    howDecided(check), explanation(check, false));
  return { content, viewer: witness.length ? viewer : null };
}

function numbered(run, numbers) {
  return numbers.map((n) => run.events[n]);
}

function reasonsBox(check) {
  if (!check.reasons.length) return null;
  return el("section", { class: "reasons" }, el("h3", {}, check.verdict === "unknown" ? "Why it is unknown" : "Beyond that, undecided"),
    el("ul", {}, check.reasons.map((r) => el("li", {}, traced(r)))),
    check.tried.length > 0 && [el("h3", {}, "What may help"), el("ul", {}, check.tried.map((t) => el("li", {}, el("code", {}, traced(t)))))]);
}

const VERDICT_WORDS = { holds: "HOLDS in this recording", unknown: "UNKNOWN: not decided, which is no pass", violated: "VIOLATED",
  "not-applicable": "NOT APPLICABLE: none of its events occur" };

function checkPanel(check) {
  const certificate = check.certificate;
  return { content: el("article", { class: "check" }, checkHead(check, null),
    el("p", { class: "summary" }, el("b", { class: `word ${check.verdict}` }, VERDICT_WORDS[check.verdict]), ". ", check.summary),
    howDecided(check), reasonsBox(check),
    check.verdict === "unknown" && !check.reasons.length && el("p", { class: "remark" }, "The property’s events occur in this recording, but nothing of them could be examined."), check.remark && el("p", { class: "remark" }, traced(check.remark)),
    facts(check.facts, "Measured"),
    certificate && el("details", { class: "certificate" }, el("summary", {}, `Certificate (${number(certificate.characters)} characters${certificate.cut ? ", its beginning" : ""})`),
      certificate.cut && el("p", { class: "note" }, "Cut off here; tracekit analyze --format json has the whole of it."), el("pre", {}, certificate.text)),
    explanation(check, true)), viewer: null };
}

// The run: its diagram, or the part of it that the page carries, with the facts of the recording.
function runPanel(app, run) {
  const shown = numbered(run, run.run.events);
  const part = run.run.whole ? `all ${plural(run.trace.events, "event")}` : `events 0 to ${number(shown.length)} of ${number(run.trace.events)}, by ${run.run.by}`;
  const viewer = new Viewer(app, run, { start: shown, caption: () => part });
  const content = el("article", { class: "run" },
    el("div", { class: "check-head" }, el("h2", {}, "the run"), el("span", { class: "reference" }, traced(run.trace.title))),
    !run.run.whole && el("p", { class: "note" }, `This page shows ${part}. The rest is in the recording: only surroundings of violations are carried along.`),
    !run.complete && el("p", { class: "note" }, "The recorder did not close this file: its last events may be missing."),
    run.inferred.length > 0 && el("p", { class: "note" }, "Inferred, not recorded: ", run.inferred.join("; ")),
    shown.length ? el("div", { class: "finding wide" }, viewer.main, el("div", { class: "side" }, viewer.details)) : el("p", { class: "muted" }, "The recording holds no events."));
  return { content, viewer: shown.length ? viewer : null };
}

// What was set aside, with places and reasons.
function setAsidePanel(run) {
  const { count, reasons, first } = run.trace.set_aside;
  return { content: el("article", { class: "set-aside" }, el("div", { class: "check-head" }, el("h2", {}, `${number(count)} set aside`)),
    el("p", { class: "summary" }, count ? "Rows and values of the recording that could not be used. Nothing was repaired or guessed." : "Every row and every value of the recording was used."),
    count > 0 && el("ul", { class: "counts" }, Object.entries(reasons).map(([reason, n]) => el("li", {}, el("b", {}, number(n)), " ", traced(reason)))),
    first.length > 0 && el("table", {}, el("caption", {}, `The first ${first.length}`), el("thead", {}, el("tr", {}, ["place", "field", "found", "why"].map((t) => el("th", { scope: "col" }, t)))),
      el("tbody", {}, first.slice(0, ROWS).map((entry) => el("tr", {}, el("td", {}, traced(entry.place || "")), el("td", {}, traced(entry.field || "row")),
        el("td", {}, el("code", {}, traced(entry.text || ""))), el("td", {}, traced(entry.reason || "")))))) ), viewer: null };
}
