// Controls with accessible names, tooltips, sortable tables.

/** A control below its name; a group of buttons has its own, since a label would name its first one. */
function field(label, control) {
  return h(control.matches(".group") ? "div" : "label", { class: "field" }, label, control);
}

/** A select: `options` are [value, text] pairs; keeps the focus over redraws by its key. */
function select(key, options, value, pick, name) {
  const node = h("select", { "data-key": key, "aria-label": name, change: () => pick(node.value) },
    options.map(([v, text]) => h("option", { value: v }, text)));
  node.value = value;
  return node;
}

function check(key, label, value, pick) {
  const box = h("input", { type: "checkbox", checked: value, "data-key": key, change: () => pick(box.checked) });
  return h("label", { class: "check" }, box, label);
}

/** Buttons of which one is pressed. */
function choice(key, name, options, value, pick) {
  return h("div", { class: "group", role: "group", "aria-label": name }, options.map(([v, text]) =>
    h("button", { class: "button", type: "button", "aria-pressed": String(v === value), "data-key": `${key}-${v}`,
      click: () => pick(v) }, text)));
}

function button(key, text, click, attributes = {}) {
  return h("button", { class: "button", type: "button", "data-key": key, click, ...attributes }, text);
}

function panelSelect(name, label = "Metric") {
  const panels = panelsHere();
  const now = chosenPanel(name);
  return field(label, select(`${name}-panel`, panels.map((p, i) => [i, panelName(p)]), panels.indexOf(now), (i) => {
    const panel = panels[i];
    change({ panels: { ...state.panels, [name]: { metric: panel.metric, audience: panel.audience } } });
  }));
}

function methodSelect(panel) {
  return field("Interpolation", select("method", panel.matrix.methods.map((m) => [m, m]),
    methodIn(panel), (method) => change({ method })));
}
const methodIn = (panel) => (panel.matrix.methods.includes(state.method) ? state.method : panel.matrix.methods[0]);

function anchorSelect(panel) {
  const labels = panel.matrix.labels;
  const now = anchorIn(panel);
  const options = labels.map((label, i) => [i, label]);
  if (now < 0) options.unshift([-1, "no curve here"]);
  return field("Anchor", select("anchor", options, now, (i) => i >= 0 && setAnchor(curveOf(panel, labels[i]))));
}

// -- tooltips ------------------------------------------------------------------------------------

/** Show lines of text at a place: a title, lines, and maybe a list of warnings. */
function showTip(x, y, { title, lines = [], list = [] }) {
  const tip = document.getElementById("tip");
  tip.replaceChildren(h("b", {}, title), ...lines.map((line) => h("div", {}, line)),
    list.length ? h("ul", {}, list.map((text) => h("li", {}, text))) : "");
  tip.hidden = false;
  const { offsetWidth: w, offsetHeight: tall } = tip;
  const left = x + 14 + w > innerWidth ? x - w - 14 : x + 14;
  const top = y + 14 + tall > innerHeight ? y - tall - 10 : y + 14;
  tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
}
function hideTip() {
  document.getElementById("tip").hidden = true;
}

/** Give a node a tooltip on hover, focus and tap. */
function tipped(node, content) {
  const show = (event) => {
    const box = node.getBoundingClientRect();
    const mouse = event.type.startsWith("mouse");
    showTip(mouse ? event.clientX : box.left, mouse ? event.clientY : box.bottom, content());
  };
  node.addEventListener("mousemove", show);
  node.addEventListener("mouseleave", hideTip);
  node.addEventListener("focus", show);
  node.addEventListener("blur", hideTip);
  return node;
}

// -- tables --------------------------------------------------------------------------------------

/** A caption that stays in sight where its table is wider than the page. */
const captioned = (text) => h("caption", {}, h("span", {}, text));

const sorting = {};     // by table key: [column, descending]

/**
 * A table whose columns sort when their heading is pressed.
 * columns: {title, text: bool, value(row), cell(row) -> node or text}; the first is the row's name.
 */
function sortable(key, columns, rows, caption, sorted = [0, false]) {
  const [by, down] = sorting[key] || sorted;
  const order = [...rows].sort((a, b) => {
    const [x, y] = [columns[by].value(a), columns[by].value(b)];
    if (x === null || x === undefined || x === "–") return 1;
    if (y === null || y === undefined || y === "–") return -1;
    const less = typeof x === "string" || typeof y === "string"
      ? String(x).localeCompare(String(y), "en", { numeric: true }) : x - y;
    return down ? -less : less;
  });
  const head = columns.map((column, i) => h("th", {
    class: column.text ? null : "n", scope: "col",
    "aria-sort": i === by ? (down ? "descending" : "ascending") : "none",
  }, h("button", { type: "button", "data-key": `${key}-${i}`, click: () => {
    sorting[key] = [i, i === by ? !down : !column.text];
    redraw();
  } }, column.title, i === by ? (down ? " ▾" : " ▴") : "")));
  const body = order.map((row) => h("tr", { class: row.rowClass }, columns.map((column, i) =>
    h(i ? "td" : "th", { class: column.text ? null : "n", scope: i ? null : "row" }, column.cell(row)))));
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, captioned(caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

/** A plain table of texts. */
function table(headings, rows, caption, prose = false) {
  return h("div", { class: prose ? "wide prose" : "wide", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, captioned(caption),
      h("thead", {}, h("tr", {}, headings.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, i) => h(i ? "td" : "th", i ? {} : { scope: "row" }, cell)))))));
}

function notes(texts) {
  return texts.length ? h("ul", { class: "notes" }, texts.map((text) => h("li", {}, text))) : "";
}
