// The data of the page, what the reader has chosen, and small helpers. Everything that comes from
// the data is set as text, never as markup.

let D = JSON.parse(document.getElementById("data").textContent);
const MINUS = "\u2212";

/** What the reader has chosen; every view reads it, `change` redraws. */
const state = {
  tab: "overview", dataset: 0, hidden: new Set(), anchor: null, method: D.options.method,
  aggregation: D.options.aggregation, log: D.options.log_rate, panels: {},
};

const views = {};       // by tab: {title, draw(root)}; filled by the other files

/** Make an element: `h("td", {class: "n"}, "text", child)`. Functions become listeners. */
function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(key, value);
    else if (key === "checked" || key === "value" || key === "disabled") node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** Number with fixed digits and a real minus sign; a dash where there is none. */
function number(value, digits = 2, sign = false) {
  if (value === null || value === undefined) return "–";
  if (value === "inf") return "∞";
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? MINUS : sign ? "+" : "") + text;
}

/** Number with three significant digits, for quantities of any size. */
function significant(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(digits)));
}

const plural = (n, what) => `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
const finite = (value) => typeof value === "number";

/** Plotly reads a little markup in its texts; this takes it away. */
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

const PALETTE = {
  light: ["#0173b2", "#d55e00", "#029e73", "#c07a00", "#b85fa5", "#3a9bd6", "#1a1a1a"],
  dark: ["#4aa8e8", "#ff8a3d", "#2fd1a0", "#ffb940", "#e79ad8", "#8fd3ff", "#eeeeee"],
};
const SYMBOLS = ["circle", "square", "triangle-up", "diamond", "triangle-down", "triangle-left",
  "triangle-right", "pentagon", "x", "cross", "hexagon", "star", "diamond-tall", "hexagon2"];
const DASHES = ["solid", "dash", "dashdot"];

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
const colourOf = (curve) => PALETTE[isDark() ? "dark" : "light"][curve.style.colour];
const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const AUDIENCES = { human: "for humans", machine: "for machines", any: "" };
const axisLabel = (metric) => (metric.unit ? `${metric.label} [${metric.unit}]` : metric.label);

/** The panels of the chosen dataset: one a metric and audience. */
const panelsHere = () => D.panels.filter((panel) => panel.dataset === state.dataset);

function panelName(panel) {
  const several = panelsHere().filter((p) => p.metric === panel.metric).length > 1;
  const metric = axisLabel(D.metrics[panel.metric]);
  return several && panel.audience !== "any" ? `${metric}, ${AUDIENCES[panel.audience]}` : metric;
}

/** The panel chosen under a name; the first one that `fits` until then. */
function chosenPanel(name, fits = () => true) {
  const here = panelsHere();
  const key = state.panels[name];
  const found = here.find((p) => key && p.metric === key.metric && p.audience === key.audience);
  return found || here.find(fits) || here[0];
}

/** The chosen anchor's place in a panel's matrix; -1 where it has no curve there. */
function anchorIn(panel) {
  const wanted = state.anchor || { codec: D.anchor.codec, output: D.anchor.output };
  const fits = (curve) => curve.codec === wanted.codec && (!wanted.output || curve.output === wanted.output);
  return panel.matrix.labels.findIndex((label) => fits(curveOf(panel, label)));
}
const curveOf = (panel, label) => D.curves[panel.curves[panel.labels.indexOf(label)]];

function setAnchor(curve) {
  const outputs = D.curves.filter((c) => c.codec === curve.codec && c.dataset === curve.dataset);
  change({ anchor: { codec: curve.codec, output: outputs.length > 1 ? curve.output : "" } });
}

/** Take a choice over and draw the view again, the focus staying where it was. */
function change(choices) {
  Object.assign(state, choices);
  redraw();
}

function redraw() {
  const root = document.getElementById("panel");
  const focus = document.activeElement?.closest("[data-key]")?.dataset.key;
  const scroll = [scrollX, scrollY];
  hideTip();
  root.style.minHeight = `${root.offsetHeight}px`;   // no jump while the view is made anew
  purge(root);
  root.replaceChildren();
  drawHeader();
  views[state.tab].draw(root);
  root.style.minHeight = "";
  scrollTo(...scroll);
  if (focus) [...document.querySelectorAll("[data-key]")].find((n) => n.dataset.key === focus)?.focus({ preventScroll: true });
}

/** Whether a codec has been run without any loss, so that it marks the uncompressed quality. */
function isLevel(curve, panel) {
  const others = panel.curves.map((i) => D.curves[i]).filter((c) => c.points.length > 1);
  if (curve.points.length > 1 || !others.length) return false;
  const furthest = Math.max(...others.flatMap((c) => c.rates.rate_bpp.mean.filter(finite)));
  return curve.rates.rate_bpp.mean[0] > 1.1 * furthest;
}
