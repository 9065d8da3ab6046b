// Curves: any metric over rate, with all that belongs to it.

const shownInCurves = { published: true, enhancement: true, uncompressed: true, pareto: false, bars: false };

views.curves = {
  title: "Curves",
  draw(root) {
    const panel = chosenPanel("curves");
    if (!panel) return void root.append(h("p", {}, "Nothing has a value here yet."));
    const metric = D.metrics[panel.metric];
    const curves = panel.curves.map((i) => D.curves[i]);
    const toggle = (name, label) => check(`curves-${name}`, label, shownInCurves[name], (on) => { shownInCurves[name] = on; redraw(); });
    const chart = h("div", { class: "chart tall" });
    const front = h("p", { class: "soft small", "aria-live": "polite" });
    const pooled = curves.some((c) => c.values[panel.metric]?.mean);
    root.append(
      h("h2", {}, panelName(panel)), h("p", { class: "soft" }, metric.description ? `${metric.description}.` : ""),
      h("div", { class: "controls" }, panelSelect("curves"),
        pooled ? field("Over pictures", choice("aggregation", "Aggregation", [["mean", "mean"], ["pooled", "pooled"]], state.aggregation, (aggregation) => change({ aggregation }))) : "",
        field("Rate", choice("log", "Rate axis", [[false, "linear"], [true, "log"]], state.log, (log) => change({ log })))),
      h("div", { class: "controls" },
        curves.some((c) => c.rates.enhancement_bpp) ? toggle("enhancement", "Enhancement bits alone (dotted)") : "",
        panel.references.length ? toggle("published", "Published curves") : "",
        curves.some((c) => isLevel(c, panel)) ? toggle("uncompressed", "Uncompressed") : "",
        toggle("pareto", "Pareto front"), toggle("bars", "Intervals")),
      h("div", { class: "beside" }, h("div", {}, chart, front), legend([panel])));
    const drawn = curveChart(chart, panel, shownInCurves);
    if (shownInCurves.pareto) {
      const share = new Map();
      drawn.front.forEach((p) => share.set(p.label, (share.get(p.label) || 0) + 1));
      front.textContent = `On the Pareto front: ${[...share].map(([label, n]) => `${label} (${plural(n, "point")})`).join(", ") || "nothing"}.`;
    }
    const links = panel.figures.curves ? ["png", "svg", "tex"].map((kind) => h("a", { href: encodeURI(`${panel.figures.curves}.${kind}`) }, { png: "PNG", svg: "SVG", tex: "LaTeX (pgfplots)" }[kind])) : [];
    if (links.length) root.append(h("p", { class: "small row" }, "This figure for papers: ", ...links));
    const partial = drawn.drawn.filter((p) => p.n < D.datasets[p.curve.dataset].images.length);
    if (partial.length) root.append(h("p", { class: "warn" }, `Open markers are of a part of the pictures: ${[...new Set(partial.map((p) => `${p.label} ${p.point} (${p.n})`))].join(", ")}.`));
    root.append(pointTable(panel, metric));
  },
};

function pointTable(panel, metric) {
  const rows = [];
  panel.curves.forEach((index, k) => {
    const curve = D.curves[index];
    const values = valuesOf(curve, panel.metric);
    curve.points.forEach((point, p) => rows.push({
      name: `${panel.labels[k]} ${point}`, order: k * 1000 + p, rate: curve.rates.rate_bpp[state.aggregation][p],
      extra: curve.rates.enhancement_bpp?.[state.aggregation][p], value: values?.value[p], low: values?.low[p], high: values?.high[p],
      n: values?.n_images[p], reason: values?.reasons[p] || (values ? null : "not measured"),
    }));
  });
  const columns = [
    { title: "codec and point", text: true, value: (r) => r.order, cell: (r) => r.name },
    { title: "rate [bpp]", value: (r) => r.rate, cell: (r) => number(r.rate, 4) },
    { title: axisLabel(metric), value: (r) => (finite(r.value) ? r.value : null), cell: (r) => (finite(r.value) ? number(r.value, metric.digits) : r.reason || "–") },
    { title: "interval", value: (r) => r.low, cell: (r) => (finite(r.low) ? `${number(r.low, metric.digits)} … ${number(r.high, metric.digits)}` : "–") },
    { title: "pictures", value: (r) => r.n, cell: (r) => String(r.n ?? 0) },
  ];
  if (rows.some((r) => finite(r.extra))) columns.splice(2, 0, { title: "enhancement [bpp]", value: (r) => r.extra, cell: (r) => number(r.extra, 4) });
  return h("details", {}, h("summary", {}, "All points as a table"), sortable("points", columns, rows, `${metric.label} at every point, ${state.aggregation}`));
}
