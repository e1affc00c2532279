"use strict";
// Elements. Text reaches the page through text nodes and attributes only, never as markup.

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

// Characters that would be invisible, or would reorder the text around them (CVE-2021-42574), shown as their codes.
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function visible(text) {
  return String(text).replace(HIDDEN, (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

function shortened(text, longest) {
  const characters = [...visible(text)];
  return characters.length <= longest ? characters.join("") : characters.slice(0, longest - 1).join("") + "…";
}

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : visible(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(visible(child)));
  }
  return node;
}

function el(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

function svg(tag, properties, ...children) {
  return fill(document.createElementNS(SVG_NAMESPACE, tag), properties, children);
}

// Text of the trace: isolated, so that its direction does not spill over.
function traced(text, className) {
  return el("bdi", { class: className }, text);
}

function button(label, action, properties, ...children) {
  return el("button", { type: "button", onclick: action, ...properties }, label, ...children);
}

function number(value) {
  return typeof value === "number" ? value.toLocaleString("en-US") : value;
}

function plural(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : noun.endsWith("s") ? "es" : "s"}`;
}

// Units come in the plural: `1,018 commits`, `1 entry`.
function counted(count, units) {
  if (count !== 1) return `${number(count)} ${units}`;
  return `1 ${units.endsWith("ies") ? `${units.slice(0, -3)}y` : units.replace(/s$/, "")}`;
}

const TIME_UNITS = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];

// A time since the beginning, in the unit that fits the step between neighbours.
function timeText(value, unit, step) {
  if (!unit) return number(Math.round(value));
  const [size, name] = TIME_UNITS.find(([size]) => Math.max(step || value, 1) >= size) || TIME_UNITS[3];
  const digits = step ? Math.max(0, Math.min(3, Math.ceil(Math.log10(size / step)))) : 3;
  return `${(value / size).toLocaleString("en-US", { maximumFractionDigits: digits })} ${name}`;
}

const MARKS = { violated: "#", unknown: "?", holds: "✓", "not-applicable": "–" };

function verdictMark(verdict) {
  return el("span", { class: `mark ${verdict}`, "aria-hidden": "true" }, MARKS[verdict] || "–");
}
