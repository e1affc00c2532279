"use strict";
// Plotly charts below the finding: events over time with faults and violations, and who led which Raft term.

// After Okabe and Ito: told apart under every common colour blindness; pointing at a bar names each kind.
const KIND_COLOURS = {
  internal: "#a9b0b8", send: "#7cc4ea", receive: "#2a7fb8", invoke: "#e9b44c", ok: "#2f9e7c", fail: "#cc79a7", info: "#d9cc4a",
  crash: "#b93a00", restart: "#6a4fb0", fault: "#6b6b6b",
};

// Inflates the script that the page carries, once. The policy allows it by its hash.
let plotlyLoading = null;

function loadPlotly() {
  plotlyLoading = plotlyLoading || (async () => {
    const packed = atob(document.getElementById("plotly").textContent.trim());
    const bytes = Uint8Array.from(packed, (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    if (!window.Plotly) throw new Error("the browser refused the chart library");
    return window.Plotly;
  })();
  return plotlyLoading;
}

// Plotly reads a few tags in its texts; text of the trace has none.
function inertText(text, longest = 40) {
  return shortened(text, longest).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

// A colour of the style sheet as it is in the present theme.
function colour(name) {
  const probe = document.getElementById("status");
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  probe.style.color = "";
  return found;
}

function font() {
  return getComputedStyle(document.body).fontFamily;
}

function timeScale(run) {
  const unit = TIME_UNITS.find(([size]) => run.time.end >= size) || TIME_UNITS[3];
  return run.time.unit ? { factor: 1 / unit[0], suffix: ` ${unit[1]}` } : { factor: 1, suffix: "" };
}

function baseLayout(run, height) {
  const scale = timeScale(run);
  return {
    height, autosize: true, margin: { l: 52, r: 14, t: 6, b: 26 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: font(), size: 11, color: colour("--muted") }, showlegend: false, hovermode: "closest", dragmode: "zoom",
    hoverlabel: { font: { family: font(), size: 12 }, bgcolor: colour("--panel"), bordercolor: colour("--line-strong") },
    xaxis: { gridcolor: colour("--line"), zeroline: false, ticksuffix: scale.suffix, range: [0, Math.max(run.time.end, 1) * scale.factor], fixedrange: false },
    yaxis: { gridcolor: colour("--line"), zeroline: false, fixedrange: true },
  };
}

const CONFIG = { displayModeBar: false, responsive: true, displaylogo: false, showTips: false, doubleClick: "reset" };

function faultShapes(run, scale) {
  const end = run.time.end;
  return run.charts.faults.spans.filter((span) => span.kind === "fault").map((span) => ({
    type: "rect", xref: "x", yref: "paper", y0: 0, y1: 1, layer: "below",
    x0: span.start * scale.factor, x1: (span.end === null ? end : span.end) * scale.factor,
    fillcolor: colour("--fault-band"),
    line: { width: span.end === span.start ? 1 : 0, color: colour("--fault-line") },
  }));
}

// Times of the events at which rules broke, with what to show for each.
function violationPoints(run, scale) {
  const points = [];
  for (const check of run.checks) {
    check.violations.forEach((violation, index) => {
      const last = violation.witness[violation.witness.length - 1];
      const event = last && last.number !== null ? run.events[last.number] : null;
      if (event && event.t !== null) points.push({ x: event.t * scale.factor, check: check.check, index, id: event.id });
    });
  }
  return points;
}

async function eventsChart(app, run, node) {
  const scale = timeScale(run);
  const { starts, width, counts } = run.charts.events;
  // Places in an order are whole numbers: a bar stands around those that it counts.
  const first = run.time.unit ? 0 : -0.5;
  const x = starts.map((s) => (s + first + width / 2) * scale.factor);
  const traces = Object.entries(counts).map(([kind, y]) => ({
    type: "bar", name: kind, x, y, width: width * scale.factor * 0.96,
    marker: { color: KIND_COLOURS[kind], line: { width: 0 } },
    hovertemplate: `${kind}: %{y:,}<extra></extra>`,
  }));
  const points = violationPoints(run, scale);
  const top = starts.map((_, k) => Object.values(counts).reduce((sum, y) => sum + y[k], 0)).reduce((a, b) => Math.max(a, b), 1);
  if (points.length) {
    traces.push({ type: "scatter", mode: "markers", x: points.map((p) => p.x), y: points.map(() => top * 1.08), cliponaxis: false,
      marker: { symbol: "square", size: 10, color: colour("--violated"), line: { width: 1.5, color: colour("--panel") } },
      text: points.map((p) => inertText(`${p.check} at ${p.id}`, 70)), hovertemplate: "%{text}<extra></extra>" });
  }
  const layout = baseLayout(run, node.clientHeight || 130);
  Object.assign(layout, { barmode: "stack", bargap: 0, shapes: faultShapes(run, scale), hovermode: "x" });
  if (!run.time.unit) Object.assign(layout.xaxis, { tick0: 0, dtick: Math.ceil(starts.length * width / 10) });
  layout.xaxis.range = [first * scale.factor, (starts[starts.length - 1] + first + width) * scale.factor];
  layout.yaxis = { ...layout.yaxis, range: [0, top * 1.18], nticks: 4, tickformat: top < 1000 ? "d" : "~s", dtick: top <= 4 ? 1 : undefined };
  const spans = run.charts.faults.spans;
  if (spans.length) {
    traces.push({ type: "scatter", mode: "markers", x: spans.map((s) => s.start * scale.factor), y: spans.map(() => 0), cliponaxis: false,
      marker: { symbol: "triangle-up", size: 7, color: colour("--fault-line") },
      text: spans.map((s) => inertText(`${s.what} (${s.process})`, 70)), hovertemplate: "%{text}<extra></extra>" });
  }
  const plotly = await loadPlotly();
  await plotly.react(node, traces, layout, CONFIG);
  node.removeAllListeners("plotly_click");
  node.on("plotly_click", ({ points: clicked }) => {
    const hit = clicked.find((p) => p.curveNumber === Object.keys(counts).length && points.length);
    if (hit) app.open({ check: points[hit.pointNumber].check, index: points[hit.pointNumber].index });
  });
}

async function termsChart(run, node) {
  const scale = timeScale(run);
  const { processes, spans } = run.charts.terms;
  const groups = new Map();
  for (const [process, start, end, term, role] of spans) {
    const leads = role === "leader";
    const key = `${termColour(term)} ${leads}`;
    if (!groups.has(key)) groups.set(key, { term, leads, x: [], y: [], text: [] });
    const group = groups.get(key);
    const text = `${inertText(processes[process])}: term ${term}${role ? `, ${inertText(role)}` : ""}`;
    group.x.push(start * scale.factor, end * scale.factor, null);
    group.y.push(process, process, null);
    group.text.push(text, text, "");
  }
  const traces = [...groups.values()].sort((a, b) => a.leads - b.leads).map((group) => ({
    type: "scatter", mode: "lines", x: group.x, y: group.y, text: group.text, hovertemplate: "%{text}<extra></extra>", connectgaps: false,
    line: { color: colour(`--term-${termColour(group.term)}`), width: group.leads ? 11 : 2.5, shape: "linear" },
  }));
  const leaders = spans.filter(([, , , , role]) => role === "leader");
  if (leaders.length) {
    const few = leaders.length <= 40;
    traces.push({ type: "scatter", mode: few ? "markers+text" : "markers", x: leaders.map((s) => s[1] * scale.factor), y: leaders.map((s) => s[0]),
      marker: { symbol: "triangle-up", size: 8, color: colour("--ink") }, text: leaders.map((s) => `t${s[3]}`), cliponaxis: false,
      textposition: leaders.map((s) => (s[1] > 0.96 * run.time.end ? "top left" : "top right")),
      textfont: { size: 10, color: colour("--ink") }, hovertemplate: leaders.map((s) => `${inertText(processes[s[0]])} leads term ${s[3]}<extra></extra>`) });
  }
  const layout = baseLayout(run, node.clientHeight || 130);
  Object.assign(layout, { shapes: faultShapes(run, scale) });
  layout.margin.l = 20 + 7 * Math.min(12, Math.max(...processes.map((p) => [...p].length)));
  layout.yaxis = { ...layout.yaxis, tickvals: processes.map((_, k) => k), ticktext: processes.map((p) => inertText(p, 12)), range: [processes.length - 0.4, -0.7] };
  const plotly = await loadPlotly();
  await plotly.react(node, traces, layout, CONFIG);
}

// The strip: headings say what is drawn and what is not.
function chartStrip(app, run) {
  const { faults, terms, events } = run.charts;
  const notes = [`by ${run.time.label}`];
  if (events.absent) notes.push(`${plural(events.absent, "event")} without a time not counted`);
  if (faults.total > faults.shown) notes.push(`the first ${number(faults.shown)} of ${number(faults.total)} faults shown`);
  const legend = Object.keys(events.counts).map((kind) => el("li", {}, svg("svg", { width: 9, height: 9, "aria-hidden": "true" }, svg("rect", { width: 9, height: 9, fill: KIND_COLOURS[kind] })), kind));
  const eventsNode = el("div", { class: "chart", role: "img", "aria-label": `Events over time: ${Object.entries(events.counts).map(([kind, y]) => `${number(y.reduce((a, b) => a + b, 0))} ${kind}`).join(", ")}` });
  const termsNode = terms && el("div", { class: "chart", role: "img", "aria-label": `Raft terms: ${plural(terms.total, "span")} of one term and role, at ${plural(terms.processes.length, "process")}` });
  const strip = [
    el("figure", {}, el("figcaption", {}, el("b", {}, "events over time"), " ", el("span", { class: "muted" }, notes.join(" · ")),
      el("ul", { class: "legend" }, faults.spans.some((s) => s.kind === "fault") && el("li", {}, el("span", { class: "swatch" }), "under a fault"),
        faults.spans.some((s) => s.kind === "fault" && s.end === s.start) && el("li", {}, el("span", { "aria-hidden": "true" }, "│"), " fault of one moment"),
        run.checks.some((c) => c.violations.length) && el("li", {}, el("span", { class: "square" }, "■"), "violation"), legend)), eventsNode),
    terms && el("figure", {}, el("figcaption", {}, el("b", {}, "Raft terms"), " ", el("span", { class: "muted" },
      terms.roles ? "▲ thick: leads · thin: follows or stands · colour: term" : "no roles are recorded",
      terms.total > terms.shown ? ` · the first ${number(terms.shown)} of ${number(terms.total)} spans` : "")), termsNode),
  ];
  const draw = async () => {
    try {
      await eventsChart(app, run, eventsNode);
      if (termsNode) await termsChart(run, termsNode);
      document.documentElement.dataset.charts = "drawn";
    } catch (error) {
      document.documentElement.dataset.charts = "failed";
      eventsNode.replaceChildren(el("p", { class: "muted" }, `The charts cannot be drawn: ${error.message}`));
    }
  };
  return { nodes: strip.filter(Boolean), draw };
}
