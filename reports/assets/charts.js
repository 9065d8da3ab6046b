// Charts by Plotly: rate against a metric, scatters; the legend beside them is our own.

const RATE_TICKS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50];
const plotted = new Set();

/** Free what Plotly holds below a node. */
function purge(root) {
  for (const node of plotted) if (root.contains(node)) { Plotly.purge(node); plotted.delete(node); }
}

/**
 * Draw traces into a node that is in the page. Points tell their tooltip in `customdata`:
 * {title, lines, pick()}; `pick` is called on a click.
 */
function plot(node, traces, layout) {
  const [fg, soft, line] = ["--fg", "--soft", "--line"].map(variable);
  const axis = { gridcolor: line, linecolor: soft, zerolinecolor: line, tickcolor: soft, automargin: true, ticks: "outside",
    ticklen: 4, title: { standoff: 8, font: { size: 13 } } };
  const small = innerWidth < 640;
  const whole = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, autosize: true,
    font: { family: "system-ui, sans-serif", size: 12, color: fg }, hovermode: "closest", hoverdistance: 24,
    margin: { l: 54, r: 14, t: 8, b: 44 }, dragmode: small ? false : "zoom",
    ...layout, xaxis: { ...axis, fixedrange: small, ...layout.xaxis }, yaxis: { ...axis, fixedrange: small, ...layout.yaxis },
  };
  Plotly.newPlot(node, traces.map((t) => ({ hoverinfo: "none", ...t })), whole, {
    responsive: true, displaylogo: false, displayModeBar: small ? false : "hover",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  });
  plotted.add(node);
  const content = (event) => event.points[0].customdata;
  node.on("plotly_hover", (event) => {
    const found = content(event);
    if (found) showTip(event.event.clientX, event.event.clientY, found);
  });
  node.on("plotly_unhover", hideTip);
  node.on("plotly_click", (event) => content(event)?.pick?.());
}

/** The values of a curve in a panel, in the chosen aggregation; sets have the pooled one alone. */
function valuesOf(curve, metric) {
  const found = curve.values[metric];
  return found && (found[state.aggregation] || found.pooled);
}

/** All points of a panel that can be drawn: {curve, label, p, rate, value, ...}, by rising rate. */
function pointsOf(panel, rateName = "rate_bpp") {
  const found = [];
  panel.curves.forEach((index, k) => {
    const curve = D.curves[index];
    const values = valuesOf(curve, panel.metric);
    const rates = curve.rates[rateName]?.[state.aggregation];
    if (!values || !rates) return;
    curve.points.forEach((point, p) => {
      if (finite(values.value[p]) && finite(rates[p]) && rates[p] > 0) {
        found.push({ curve, index, label: panel.labels[k], point, p, rate: rates[p], value: values.value[p],
          low: values.low[p], high: values.high[p], n: values.n_images[p] });
      }
    });
  });
  return found.sort((a, b) => a.rate - b.rate);
}

/** Of points by rising rate, those that no cheaper one reaches: the Pareto front. */
function paretoFront(points, higherIsBetter) {
  let best = null;
  return points.filter(({ value }) => {
    const better = best === null || (higherIsBetter ? value > best : value < best);
    if (better) best = value;
    return better;
  });
}

function pointTip(point, metric, what = "") {
  const unit = metric.unit ? ` ${metric.unit}` : "";
  const lines = [`${significant(point.rate, 4)} bpp${what}`, `${metric.label}: ${number(point.value, metric.digits)}${unit}`];
  if (finite(point.low)) {
    lines.push(`${Math.round(100 * D.options.level)} % interval over pictures: ${number(point.low, metric.digits)} … ${number(point.high, metric.digits)}`);
  }
  const total = D.datasets[point.curve.dataset].images.length;
  lines.push(point.n < total ? `${point.n} of ${total} pictures only` : plural(point.n, "picture"));
  return { title: `${point.label} ${point.point}`, lines };
}

/** Draw a panel's curves. options: {published, enhancement, pareto, uncompressed, bars}. */
function curveChart(node, panel, options) {
  const metric = D.metrics[panel.metric];
  const visible = (curve) => !state.hidden.has(curve.codec);
  const all = pointsOf(panel);
  const traces = [];
  const shown = all.filter((point) => visible(point.curve));
  const levels = shown.filter((point) => isLevel(point.curve, panel));
  const drawn = shown.filter((point) => !levels.includes(point));
  const rates = drawn.map((p) => p.rate);
  const range = [Math.min(...rates), Math.max(...rates)];
  const line = (points, look, tip) => ({
    type: "scatter", mode: points.length > 1 ? "lines+markers" : "markers",
    x: points.map((p) => p.rate), y: points.map((p) => p.value), customdata: points.map(tip), ...look,
  });
  const front = options.pareto ? paretoFront(drawn, metric.higher_is_better) : [];
  if (front.length) {
    traces.push({ type: "scatter", mode: "lines", x: front.map((p) => p.rate), y: front.map((p) => p.value),
      line: { color: variable("--found"), width: 11 }, opacity: 0.4, hoverinfo: "skip" });
  }
  if (options.published) {
    panel.references.forEach((reference, k) => traces.push({
      type: "scatter", mode: "lines", x: reference.rate_bpp, y: reference.value,
      line: { color: variable("--soft"), width: 1.2, dash: ["dash", "dot", "longdash", "dashdot"][k % 4] },
      customdata: reference.rate_bpp.map((rate, i) => ({ title: `published: ${reference.label}`,
        lines: [`${significant(rate, 4)} bpp, ${number(reference.value[i], metric.digits)}`, reference.source, reference.note].filter(Boolean) })),
    }));
  }
  for (const label of panel.labels) {
    const own = drawn.filter((p) => p.label === label);
    if (!own.length) continue;
    const { curve } = own[0];
    const colour = colourOf(curve);
    const marker = { symbol: SYMBOLS[curve.style.marker], size: 8, color: colour };
    traces.push(line(own, {
      line: { color: colour, width: 2, dash: DASHES[curve.style.dashes] },
      marker: { ...marker, symbol: own.map((p) => marker.symbol + (p.n < D.datasets[curve.dataset].images.length ? "-open" : "")) },
      error_y: options.bars ? { type: "data", symmetric: false, thickness: 1, width: 3, color: colour,
        array: own.map((p) => (finite(p.high) ? p.high - p.value : 0)), arrayminus: own.map((p) => (finite(p.low) ? p.value - p.low : 0)) } : undefined,
      meta: label,
    }, (p) => pointTip(p, metric)));
  }
  if (options.enhancement) {
    for (const label of panel.labels) {
      const own = pointsOf(panel, "enhancement_bpp").filter((p) => p.label === label && visible(p.curve));
      if (!own.length) continue;
      const colour = colourOf(own[0].curve);
      traces.push(line(own, { line: { color: colour, width: 2, dash: "dot" }, marker: { symbol: SYMBOLS[own[0].curve.style.marker] + "-open", size: 7, color: colour },
        meta: `${label}, enhancement only` }, (p) => pointTip(p, metric, " of enhancement alone")));
      rates.push(...own.map((p) => p.rate));
      [range[0], range[1]] = [Math.min(...rates), Math.max(...rates)];
    }
  }
  const annotations = [];
  for (const level of options.uncompressed && drawn.length ? levels : []) {
    const tip = pointTip(level, metric);
    tip.lines.push("uncompressed or lossless: what the curves can reach");
    const ends = [range[0] / 1.2, range[1] * 1.05];
    const xs = Array.from({ length: 24 }, (_, i) => ends[0] + ((ends[1] - ends[0]) * i) / 23);
    traces.push({ type: "scatter", mode: "lines", x: xs, y: xs.map(() => level.value),
      line: { color: variable("--soft"), width: 1.5, dash: "dash" }, customdata: xs.map(() => tip), meta: level.label });
    annotations.push({ x: 1, xref: "paper", xanchor: "right", y: level.value, yanchor: "bottom", showarrow: false,
      font: { size: 11, color: variable("--soft") }, text: plain(`${level.label}, ${significant(level.rate)} bpp`), bgcolor: variable("--bg"), borderpad: 0, opacity: 0.85 });
  }
  const x = state.log
    ? { type: "log", tickvals: RATE_TICKS, ticktext: RATE_TICKS.map(String), range: [Math.log10(range[0] / 1.15), Math.log10(range[1] * 1.1)] }
    : { range: [0, range[1] * 1.04] };
  const y = { title: { text: plain(axisLabel(metric)) + (metric.higher_is_better ? "" : ", lower is better") } };
  // The measured curves decide what is seen; published ones that reach further are cut.
  const ends = (p) => [p.value, ...(options.bars ? [p.low, p.high].filter(finite) : [])];
  const seen = [...drawn.flatMap(ends), ...(options.uncompressed ? levels : []).map((p) => p.value)];
  if (seen.length) {
    const pad = 0.05 * (Math.max(...seen) - Math.min(...seen)) || 0.05 * Math.abs(seen[0]) || 1;
    y.range = [Math.min(...seen) - pad, Math.max(...seen) + pad];
  }
  plot(node, traces, { xaxis: { title: { text: "Rate [bpp]" }, ...(rates.length ? x : {}) }, yaxis: y, annotations });
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", `${metric.label} over rate, ${plural(new Set(drawn.map((p) => p.label)).size, "curve")}; all values are in the table of points`);
  return { front, drawn };
}

/** Line and marker of a curve, as in the chart. */
function swatch(curve) {
  const colour = colourOf(curve);
  const dash = [null, "6 3", "7 3 2 3"][curve.style.dashes];
  const line = svg("line", { x1: 1, x2: 31, y1: 8, y2: 8, stroke: colour, "stroke-width": 2 });
  if (dash) line.setAttribute("stroke-dasharray", dash);
  const shapes = {
    circle: "M16 4a4 4 0 1 1-.01 0z", square: "M12 4h8v8h-8z", "triangle-up": "M16 3l5 9h-10z", diamond: "M16 3l5 5-5 5-5-5z",
    "triangle-down": "M16 13l5-9h-10z", "triangle-left": "M11 8l9-5v10z", "triangle-right": "M21 8l-9-5v10z",
    pentagon: "M16 3l5 4-2 6h-6l-2-6z", x: "M12 5l1-1 3 3 3-3 1 1-3 3 3 3-1 1-3-3-3 3-1-1 3-3z", cross: "M14.5 3h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z",
    hexagon: "M13.5 3.5h5l2.5 4.5-2.5 4.5h-5l-2.5-4.5z", star: "M16 2l1.6 4h4.2l-3.4 2.6 1.3 4.1-3.7-2.5-3.7 2.5 1.3-4.1-3.4-2.6h4.2z",
    "diamond-tall": "M16 2l3.5 6-3.5 6-3.5-6z", hexagon2: "M16 3l4.5 2.5v5l-4.5 2.5-4.5-2.5v-5z",
  };
  return svg("svg", { width: 32, height: 16, viewBox: "0 0 32 16", "aria-hidden": "true" }, line,
    svg("path", { d: shapes[SYMBOLS[curve.style.marker]], fill: colour }));
}

/** The legend: a checkbox a codec, all or none of them, one alone. Hidden codecs stay hidden in every view. */
function legend(panels) {
  const curves = [];
  for (const panel of panels) {
    panel.curves.forEach((index, k) => {
      if (!curves.some((c) => c.curve.codec === D.curves[index].codec)) curves.push({ curve: D.curves[index], label: panels.length > 1 ? D.curves[index].codec : panel.labels[k] });
    });
  }
  const codecs = curves.map(({ curve }) => curve.codec);
  const hide = (hidden) => change({ hidden: new Set(hidden) });
  return h("div", {},
    h("div", { class: "row" }, button("legend-all", "All", () => hide([])), button("legend-none", "None", () => hide(codecs))),
    h("ul", { class: "legend", "aria-label": "Codecs shown" }, curves.map(({ curve, label }) => {
      const off = state.hidden.has(curve.codec);
      const box = h("input", { type: "checkbox", checked: !off, "data-key": `legend-${curve.codec}`, change: () => {
        const hidden = new Set(state.hidden);
        if (!hidden.delete(curve.codec)) hidden.add(curve.codec);
        hide(hidden);
      } });
      return h("li", { class: off ? "off" : null }, h("label", {}, box, swatch(curve), h("span", {}, label)),
        h("button", { class: "only", type: "button", "data-key": `only-${curve.codec}`, "aria-label": `Only ${label}`,
          click: () => hide(codecs.filter((codec) => codec !== curve.codec)) }, "only"));
    })));
}
