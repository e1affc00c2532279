"use strict";
// Header, list of checks, keys, and what is shown at the right.

const LADDER = ["consistency", "session", "isolation"];

class App {
  constructor(runs) {
    this.runs = runs;
    this.axis = "causal";
    this.viewer = null;
    this.theme = "auto";
  }

  start() {
    this.setRun(0, this.fromAddress());
    document.addEventListener("keydown", (key) => this.key(key));
    window.addEventListener("hashchange", () => this.open(this.fromAddress() || this.first(), false));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.drawCharts());
  }

  setRun(index, target) {
    this.index = index;
    this.run = this.runs[index];
    const { run } = this;
    this.folded = new Set(run.verdict === "holds" ? ["absent"] : ["holds", "absent"]);
    document.title = `${MARKS[run.verdict]} ${run.verdict.toUpperCase()} ${visible(run.trace.path)} · tracekit`;
    this.drawHeader();
    this.open(target || this.first(), false);
    this.drawStrip();
  }

  // What to show first: the first violated required check, else the first unknown one, else a measured violation, else the run.
  first() {
    const pick = (verdict, required) => this.run.checks.find((c) => c.verdict === verdict && c.required === required);
    const check = pick("violated", true) || pick("unknown", true);
    return check ? { check: check.check, index: 0 } : { view: "run" };
  }

  fromAddress() {
    const [name, index] = decodeURIComponent(location.hash.slice(1)).split("/");
    if (name === "run" || name === "set-aside") return { view: name };
    const check = this.run ? this.run.checks.find((c) => c.check === name) : this.runs[0].checks.find((c) => c.check === name);
    if (!check) return null;
    return { check: name, index: Math.min(Math.max(0, (Number.parseInt(index, 10) || 1) - 1), Math.max(0, check.violations.length - 1)) };
  }

  open(target, remember = true) {
    this.target = target;
    if (this.viewer) this.viewer.close();
    const check = target.check ? this.run.checks.find((c) => c.check === target.check) : null;
    let panel;
    if (check) panel = check.violations.length ? violationPanel(this, this.run, check, target.index || 0) : checkPanel(check);
    else panel = target.view === "set-aside" ? setAsidePanel(this.run) : runPanel(this, this.run);
    const main = document.getElementById("panel");
    main.replaceChildren(panel.content);
    main.scrollTop = 0;
    this.viewer = panel.viewer;
    if (this.viewer) this.viewer.open();
    this.drawChecks();
    if (remember) history.replaceState(null, "", `#${encodeURIComponent(target.view || target.check)}${target.index ? `/${target.index + 1}` : ""}`);
  }

  step(by) {
    const check = this.target.check && this.run.checks.find((c) => c.check === this.target.check);
    if (!check || check.violations.length < 2) return;
    const count = check.violations.length;
    const index = ((this.target.index || 0) + by + count) % count;
    this.open({ check: check.check, index });
    this.say(`Violation ${index + 1} of ${check.violations_total}: ${check.violations[index].summary}`);
  }

  say(text) {
    document.getElementById("status").textContent = visible(text);
  }

  drawHeader() {
    const { run } = this;
    const counted = [["holds", "hold"], ["violated", "violated"], ["unknown", "unknown"]]
      .map(([verdict, word]) => el("span", { class: `tally ${run.counts[verdict] ? verdict : "none"}` }, el("b", {}, number(run.counts[verdict])), ` ${word}`));
    const setAside = run.trace.set_aside.count;
    const command = run.command || run.again;
    document.getElementById("top").replaceChildren(
      el("div", { class: "verdict-line" },
        el("h1", { class: `verdict ${run.verdict}` }, verdictMark(run.verdict), run.verdict.toUpperCase()),
        el("p", { class: "headline", title: run.headline }, traced(run.headline)),
        this.runs.length > 1 ? this.switcher() : el("span", { class: "path", title: run.trace.path }, traced(fileName(run.trace.path))),
        button("◐", () => this.switchTheme(), { class: "theme", "aria-label": "Light or dark", title: "light or dark" })),
      el("div", { class: "count-line" }, el("span", { class: "tallies", "aria-label": "Required checks" }, counted),
        run.trace.title && el("span", { class: "title" }, traced(run.trace.title)),
        el("span", {}, plural(run.trace.events, "event")),
        button(`${number(setAside)} set aside`, () => this.open({ view: "set-aside" }), { class: "link" }),
        el("span", { class: "spacer" }),
        command && button("copy the command", () => this.copy(command), { class: "copy", title: command }),
        button("keys", () => this.help(), { class: "link", "aria-label": "Keyboard" })));
  }

  switcher() {
    return el("label", { class: "switcher" }, el("span", { class: "muted" }, `${this.runs.length} recordings`), el("select", { "aria-label": "Recording",
      onchange: (event) => this.setRun(Number(event.target.value), null) },
      this.runs.map((run, k) => el("option", { value: String(k), selected: k === this.index }, `${MARKS[run.verdict]} ${shortened(run.trace.path, 60)}`))));
  }

  async copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      this.say("Command copied.");
    } catch {
      const field = el("textarea", { class: "offscreen", "aria-hidden": "true" });
      field.value = text;
      document.body.append(field);
      field.select();
      this.say(document.execCommand("copy") ? "Command copied." : `Copy it by hand: ${text}`);
      field.remove();
    }
    const copied = document.querySelector("button.copy");
    copied.textContent = "copied ✓";
    setTimeout(() => { copied.textContent = "copy the command"; }, 1600);
  }

  switchTheme() {
    const dark = this.theme === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : this.theme === "dark";
    this.theme = dark ? "light" : "dark";
    document.documentElement.dataset.theme = this.theme;
    this.drawCharts();
  }

  drawChecks() {
    const { run } = this;
    const required = run.checks.filter((c) => c.required && c.verdict !== "not-applicable");
    const of = (verdict) => required.filter((c) => c.verdict === verdict);
    const ladder = run.checks.filter((c) => LADDER.includes(c.family) && c.verdict !== "not-applicable");
    // A check that judges an undeclared bound is not-applicable and has measured all the same.
    const measures = (c) => c.remark && !required.includes(c);
    const measured = run.checks.filter((c) => measures(c) || (!c.required && !LADDER.includes(c.family) && c.verdict !== "not-applicable"));
    const absent = run.checks.filter((c) => c.verdict === "not-applicable" && !c.remark);
    const nav = document.getElementById("checks");
    const focused = nav.contains(document.activeElement) ? document.activeElement.dataset.item : null;
    const scrolled = nav.scrollTop;
    nav.replaceChildren(...[
      el("ul", {}, this.item({ view: "run" }, el("span", { class: "mark plain", "aria-hidden": "true" }, "↗"), "the run", plural(run.lanes.length, "process"))),
      this.section("required", of("violated").map((c) => this.checkItem(c)), of("unknown").map((c) => this.checkItem(c)), this.fold("holds", of("holds"), "hold", "holds"),
        !required.length && el("li", { class: "muted" }, "nothing examined")),
      ladder.some((c) => !c.required) && this.section("consistency", ladder.map((c) => this.checkItem(c, "", false))),
      measured.length > 0 && this.section("measured", measured.map((c) => this.checkItem(c, c.remark))),
      run.broken_assumptions.length > 0 && this.section("broken assumptions", run.broken_assumptions.map((a) => el("li", { class: "text warn" }, traced(a)))),
      this.section("rests on", run.rests_on.map((r) => el("li", { class: "text" }, traced(r)))),
      (run.not_checked.length > 0 || absent.length > 0) && this.section("not checked", run.not_checked.map((n) => el("li", { class: "text" }, traced(n))), this.fold("absent", absent, "have no events here", "has no events here")),
      run.again && this.section("again", el("li", { class: "text" }, el("code", {}, traced(run.again)))),
      el("p", { class: "tool" }, run.tool, run.seconds ? ` · ${run.seconds.toFixed(1)} s` : ""),
    ].filter(Boolean));
    nav.scrollTop = scrolled;
    if (focused) {
      const again = [...nav.querySelectorAll("[data-item]")].find((node) => node.dataset.item === focused);
      if (again) again.focus({ preventScroll: true });
    }
  }

  section(title, ...items) {
    return el("section", {}, el("h2", {}, title), el("ul", {}, items));
  }

  fold(name, checks, words, one) {
    if (!checks.length) return null;
    const open = !this.folded.has(name);
    const label = `${checks.length} ${checks.length === 1 ? one : words}`;
    return [el("li", {}, button([verdictMark(checks[0].verdict), el("span", { class: "name" }, label), el("span", { class: "extra" }, open ? "[−]" : "[+]")], () => {
      if (open) this.folded.add(name);
      else this.folded.delete(name);
      this.drawChecks();
    }, { class: "item fold", "aria-expanded": String(open), "data-item": `fold ${name}` })), open && checks.map((c) => this.checkItem(c))];
  }

  // Under a heading that says what they are about, checks go by their own names.
  checkItem(check, remark, withFamily = true) {
    const [family, name] = [check.family, check.check.slice(check.family.length + 1)];
    const extra = check.implied_by ? "implied" : check.violations_total ? number(check.violations_total) : "";
    return this.item({ check: check.check, index: 0 }, verdictMark(check.verdict), [withFamily && el("span", { class: "family" }, `${family}.`), el("span", { class: "own" }, name)], extra, remark,
      `${check.check}: ${check.verdict}`);
  }

  item(target, mark, name, extra, remark, label) {
    const current = target.check ? this.target.check === target.check : !this.target.check && this.target.view === target.view;
    return el("li", {}, button([mark, el("span", { class: Array.isArray(name) ? "name split" : "name" }, name), el("span", { class: "extra" }, extra), remark && el("span", { class: "remark" }, traced(remark))],
      () => this.open(target), { class: "item", "aria-current": current ? "true" : null, "aria-label": label, "data-item": target.check || target.view }));
  }

  drawStrip() {
    const strip = document.getElementById("strip");
    const { nodes, draw } = chartStrip(this, this.run);
    strip.replaceChildren(...nodes);
    this.drawCharts = draw;
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some((e) => e.isIntersecting)) return;
      seen.disconnect();
      draw();
    }, { rootMargin: "300px" });
    seen.observe(strip);
    window.onbeforeprint = () => { // paper is light
      document.documentElement.dataset.theme = "light";
      draw();
    };
    window.onafterprint = () => {
      document.documentElement.dataset.theme = this.theme;
      draw();
    };
  }

  key(key) {
    if (key.ctrlKey || key.metaKey || key.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) return;
    const all = [...document.querySelectorAll("#checks .item:not(.fold)")];
    const items = () => all.filter((node, k) => all.findIndex((other) => other.dataset.item === node.dataset.item) === k);
    const move = (by) => {
      const each = items();
      const at = each.findIndex((node) => node.getAttribute("aria-current"));
      const next = each[Math.min(each.length - 1, Math.max(0, at + by))];
      if (!next) return;
      next.click();
      const current = document.querySelector("#checks [aria-current]");
      if (current) current.scrollIntoView({ block: "nearest" });
    };
    const actions = {
      n: () => this.step(1), p: () => this.step(-1), j: () => move(1), k: () => move(-1), d: () => this.switchTheme(), "?": () => this.help(),
      c: () => this.viewer && this.viewer.setAxis("causal"), t: () => this.viewer && this.viewer.setAxis("time"),
      Escape: () => this.viewer && this.viewer.diagram.selected && this.viewer.diagram.select(null),
    };
    if (actions[key.key]) actions[key.key]();
  }

  help() {
    const keys = [["n  p", "next, previous violation"], ["j  k", "next, previous check"], ["← → ↑ ↓", "move between events of the diagram"],
      ["Enter", "select an event: its past and future stand out"], ["Esc", "select nothing"], ["c  t", "axis: causal order, time"], ["d", "light or dark"], ["?", "this list"]];
    const dialog = el("dialog", { "aria-label": "Keyboard", onclose: () => dialog.remove() }, el("h2", {}, "Keyboard"),
      el("dl", { class: "fields" }, keys.map(([name, what]) => [el("dt", {}, el("kbd", {}, name)), el("dd", {}, what)])),
      button("close", () => dialog.close()));
    document.body.append(dialog);
    dialog.showModal();
  }
}

function fileName(path) {
  return String(path).split("/").pop() || String(path);
}

new App(JSON.parse(document.getElementById("data").textContent).runs).start();
