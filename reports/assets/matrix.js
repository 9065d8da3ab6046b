// BD matrix: every codec against every other one; press a row's name to make it the anchor.

const matrixState = { kind: "rate" };

/** Share of a colour, -1 (much worse) to 1 (much better), of a BD value. */
function merit(panel, kind, value, largest) {
  if (kind === "rate") return Math.max(-1, Math.min(1, -Math.log2(1 + value / 100) / 2));
  const sign = D.metrics[panel.metric].higher_is_better ? 1 : -1;
  return largest ? (sign * value) / largest : 0;
}
const shade = (share) => `color-mix(in oklab, var(--${share > 0 ? "better" : "worse"}) ${Math.round(62 * Math.abs(share))}%, var(--bg))`;

views.matrix = {
  title: "BD matrix",
  draw(root) {
    const panel = chosenPanel("matrix", (p) => p.matrix.labels.length > 1);
    if (!panel) return void root.append(h("p", {}, "Nothing can be compared yet."));
    const { kind } = matrixState;
    const metric = D.metrics[panel.metric];
    const { labels } = panel.matrix;
    const anchor = anchorIn(panel);
    root.append(h("h2", {}, `${kind === "rate" ? "BD-rate" : "BD-quality"} of every codec against every other`),
      h("p", { class: "soft" }, kind === "rate"
        ? "Percent of rate that the column's codec needs beyond the row's for the same quality: negative is less. Colours end at a quarter and at four times the rate."
        : `What the column's codec gives beyond the row's at the same rate${metric.unit ? `, in ${metric.unit}` : ""}.`),
      h("div", { class: "controls" }, panelSelect("matrix"),
        field("Compare", choice("kind", "Kind of delta", [["rate", "BD-rate"], ["quality", "BD-quality"]], kind, (k) => { matrixState.kind = k; redraw(); })),
        methodSelect(panel), labels.length ? anchorSelect(panel) : ""));
    if (labels.length < 2) {
      root.append(h("p", {}, "A comparison needs two codecs with two points at least."));
      return;
    }
    const cells = labels.map((_, a) => labels.map((_, t) => bdCell(panel, kind, a, t)));
    const values = cells.flat().filter((c) => c && finite(c.value)).map((c) => Math.abs(c.value));
    const largest = Math.max(0, ...values);
    const mean = (t) => {
      const own = labels.map((_, a) => cells[a][t]).filter((c) => c && finite(c.value)).map((c) => merit(panel, kind, c.value, largest));
      return own.length ? own.reduce((x, y) => x + y, 0) / own.length : -9;
    };
    const means = labels.map((_, t) => mean(t));
    const order = labels.map((_, i) => i).sort((a, b) => means[b] - means[a]);
    const box = h("div", { class: "box", "aria-live": "polite" }, "Hover over a cell, tap it, or move through the matrix with the arrow keys.");
    const tell = (a, t) => {
      const tip = bdTip(panel, kind, a, t);
      box.replaceChildren(h("b", {}, tip.title), ...tip.lines.map((line) => h("div", {}, line)), tip.list?.length ? notes(tip.list) : "");
    };
    const digits = (value) => (kind === "rate" ? (Math.abs(value) < 100 ? 1 : 0) : metric.digits);
    const cellNode = (a, t, row, column) => {
      const cell = cells[a][t];
      const attributes = { tabindex: row || column ? "-1" : "0", "data-row": row, "data-column": column };
      let text = "0";
      if (!cell) attributes.class = "same";
      else if (!finite(cell.value)) { attributes.class = "none"; text = "–"; }
      else {
        text = number(cell.value, digits(cell.value), true);
        attributes.style = `background: ${shade(merit(panel, kind, cell.value, largest))}`;
      }
      const warned = cell && (cell.warnings.length || cell.reason);
      const node = h("td", attributes, h("div", {}, text, warned ? h("span", { class: "mark", "aria-label": "with warnings" }, "!") : ""));
      node.addEventListener("focus", () => tell(a, t));
      return cell ? tipped(node, () => bdTip(panel, kind, a, t)) : node;
    };
    const name = (i, key) => h("button", { type: "button", "data-key": `matrix-${key}-${labels[i]}`, "aria-pressed": String(i === anchor),
      title: "make it the anchor", click: () => setAnchor(curveOf(panel, labels[i])) }, labels[i]);
    const grid = h("table", { class: "matrix", keydown: arrows },
      captioned(`${axisLabel(metric)}, ${methodIn(panel)}; – no value, ! with warnings. The best codec stands first.`),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "anchor ↓   codec →"), order.map((t) => h("th", { scope: "col" }, name(t, "column"))))),
      h("tbody", {}, order.map((a, row) => h("tr", { class: a === anchor ? "anchor" : null },
        h("th", { scope: "row" }, name(a, "row")), order.map((t, column) => cellNode(a, t, row, column))))));
    root.append(h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "BD matrix" }, grid), box);
    if (panel.figures.matrix) root.append(h("p", { class: "small row" }, "BD-rates for papers: ", h("a", { href: encodeURI(`${panel.figures.matrix}.png`) }, "PNG"), h("a", { href: encodeURI(`${panel.figures.matrix}.svg`) }, "SVG"), h("a", { href: "bd_matrix.csv" }, "CSV")));
    if (anchor >= 0) root.append(h("h3", {}, `Against ${labels[anchor]}`), anchorTable(panel, kind, anchor));
  },
};

/** Arrow keys move through the cells of a matrix. */
function arrows(event) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  const cell = event.target.closest("td");
  if (!step || !cell) return;
  const [row, column] = [Number(cell.dataset.row) + step[0], Number(cell.dataset.column) + step[1]];
  const next = event.currentTarget.querySelector(`td[data-row="${row}"][data-column="${column}"]`);
  if (!next) return;
  event.preventDefault();
  cell.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

function anchorTable(panel, kind, anchor) {
  const { labels, methods } = panel.matrix;
  const metric = D.metrics[panel.metric];
  const digits = kind === "rate" ? 1 : metric.digits + 1;
  const rows = labels.map((label, t) => ({ label, t, cell: bdCell(panel, kind, anchor, t) })).filter((row) => row.cell);
  const columns = [{ title: "codec", text: true, value: (r) => r.label, cell: (r) => r.label }];
  for (const method of methods) {
    const value = (r) => panel.matrix[kind].values[method][anchor][r.t];
    columns.push({ title: method, value, cell: (r) => number(value(r), digits, true) });
  }
  columns.push(
    { title: "interval", value: (r) => r.cell.low, cell: (r) => (finite(r.cell.low) ? `${number(r.cell.low, digits, true)} … ${number(r.cell.high, digits, true)}` : "–") },
    { title: "overlap %", value: (r) => r.cell.overlap, cell: (r) => (r.cell.overlap === null ? "–" : String(Math.round(100 * r.cell.overlap))) },
    { title: "pictures", value: (r) => r.cell.n, cell: (r) => String(r.cell.n) },
    { title: "warnings", text: true, value: (r) => r.cell.warnings.length, cell: (r) => notes([...(r.cell.reason ? [r.cell.reason] : []), ...r.cell.warnings]) || "–" });
  const what = kind === "rate" ? "BD-rate in %" : `BD-quality${metric.unit ? ` in ${metric.unit}` : ""}`;
  return sortable(`anchor-${kind}`, columns, rows, `${what} of ${axisLabel(metric)}, by every method`, [1, kind !== "rate"]);
}
