// Overview: what was run, headline BD-rates of each audience, one chart for humans, one for machines.

/** One cell of a matrix by kind and method: value, interval, reasons, warnings. */
function bdCell(panel, kind, anchor, test) {
  const found = panel.matrix[kind];
  const method = methodIn(panel);
  if (anchor < 0 || anchor === test) return null;
  const at = (part) => found[part][anchor][test];
  const text = (index) => (index === null ? null : D.strings[index]);
  const own = method === panel.matrix.methods[0];
  return {
    value: found.values[method][anchor][test], low: own ? at("low") : null, high: own ? at("high") : null,
    overlap: at("overlap"), n: at("n_images"), reason: text(at("reason")),
    intervalReason: own ? text(at("interval_reason")) : `drawn for ${panel.matrix.methods[0]} only`,
    warnings: at("warnings").map(text), method,
  };
}

/** What a tooltip says of a BD value. */
function bdTip(panel, kind, anchor, test) {
  const cell = bdCell(panel, kind, anchor, test);
  const metric = D.metrics[panel.metric];
  const names = panel.matrix.labels;
  const unit = kind === "rate" ? "%" : metric.unit;
  const digits = kind === "rate" ? 1 : metric.digits + 1;
  const show = (value) => `${number(value, digits, true)}${unit ? ` ${unit}` : ""}`;
  const title = `${names[test]} against ${names[anchor]}`;
  if (!cell) return { title: names[test], lines: ["the anchor itself"] };
  const what = kind === "rate" ? "BD-rate" : "BD-quality";
  if (!finite(cell.value)) {
    return { title, lines: [`no ${what} (${cell.method}): ${cell.reason || "this method gives no value"}`], list: cell.warnings };
  }
  const lines = [`${what}: ${show(cell.value)} (${cell.method})`];
  lines.push(finite(cell.low) ? `${Math.round(100 * D.options.level)} % interval: ${show(cell.low)} … ${show(cell.high)}` : `no interval: ${cell.intervalReason}`);
  lines.push(`common range ${Math.round(100 * (cell.overlap ?? 0))} %, ${plural(cell.n, "picture")}`);
  return { title, lines, list: cell.warnings };
}

function headline(panels, audience) {
  const labels = [];
  for (const panel of panels) for (const label of panel.matrix.labels) if (!labels.includes(label)) labels.push(label);
  const rows = labels.map((label) => ({
    label,
    cells: panels.map((panel) => {
      const [anchor, test] = [anchorIn(panel), panel.matrix.labels.indexOf(label)];
      return { panel, anchor, test, cell: test < 0 ? null : bdCell(panel, "rate", anchor, test) };
    }),
  }));
  for (const row of rows) if (row.cells.some((c) => c.anchor >= 0 && c.anchor === c.test)) row.rowClass = "anchor";
  const columns = [{ title: "codec", text: true, value: (row) => row.label, cell: (row) => row.label }];
  panels.forEach((panel, k) => columns.push({
    title: axisLabel(D.metrics[panel.metric]),
    value: (row) => (row.cells[k].cell ? row.cells[k].cell.value : row.cells[k].test >= 0 && row.rowClass ? 0 : null),
    cell: (row) => {
      const { anchor, test, cell } = row.cells[k];
      if (!cell) return anchor >= 0 && anchor === test ? "anchor" : "–";
      const node = h("span", { tabindex: "0" }, finite(cell.value) ? number(cell.value, 1, true) : "–",
        finite(cell.low) ? h("span", { class: "soft" }, ` [${number(cell.low, 1, true)}, ${number(cell.high, 1, true)}]`) : "",
        cell.warnings.length || cell.reason ? h("span", { class: "mark", title: "with warnings" }, " !") : "");
      return tipped(node, () => bdTip(panel, "rate", anchor, test));
    },
  }));
  const anchors = [...new Set(panels.map((p) => p.matrix.labels[anchorIn(p)]).filter(Boolean))].join(", ") || "none";
  return sortable(`headline-${audience}`, columns, rows,
    `BD-rate in % against ${anchors}, ${methodIn(panels[0])}, [${Math.round(100 * D.options.level)} % interval over pictures]; negative is less rate for the same quality, ! has a warning`, [1, false]);
}

views.overview = {
  title: "Overview",
  draw(root) {
    const dataset = D.datasets[state.dataset];
    const curves = D.curves.filter((c) => c.dataset === state.dataset);
    const failures = D.failures.filter((f) => f.dataset === dataset.name);
    const cells = curves.reduce((sum, c) => sum + c.n_images.reduce((a, b) => a + b, 0), 0);
    const missing = curves.reduce((sum, c) => sum + c.n_images.reduce((a, n) => a + dataset.images.length - n, 0), 0);
    const codecs = new Set(curves.map((c) => c.codec));
    const tile = (value, text, bad) => h("div", { class: bad ? "tile bad" : "tile" }, h("b", {}, value.toLocaleString("en")), h("span", {}, text));
    root.append(h("h2", {}, dataset.title === dataset.name ? dataset.title : `${dataset.title}`),
      h("div", { class: "tiles" }, tile(codecs.size, "codecs"), tile(dataset.images.length, "pictures"),
        tile(panelsHere().length, "metrics"), tile(cells, "decoded pictures"), tile(failures.length, "failed cells", failures.length),
        tile(missing, "cells without a picture", missing)));
    const all = [...D.notes];
    if (missing) all.push(`Partial: ${plural(missing, "cell")} of this dataset ${missing === 1 ? "has" : "have"} no decoded picture; curves say so at each point, and codecs are compared on the pictures that both have.`);
    root.append(...all.map((text) => h("p", { class: "warn" }, text)));
    const here = panelsHere();
    if (!here.length) {
      root.append(h("p", {}, "Nothing has a value here yet: see the failures under Provenance."));
      return;
    }
    const anchorPanel = here.find((p) => anchorIn(p) >= 0) || here[0];
    root.append(h("div", { class: "controls" }, anchorSelect(anchorPanel), methodSelect(anchorPanel),
      check("overview-log", "Logarithmic rate", state.log, (log) => change({ log }))));
    // A metric of whole sets is a machine's; of pictures, what people see.
    const forMachines = (p) => p.audience === "machine" || (p.audience === "any" && D.metrics[p.metric].pool === "set");
    const groups = [["For humans", here.filter((p) => !forMachines(p))], ["For machines", here.filter(forMachines)]]
      .filter(([, panels]) => panels.length);
    const pair = h("div", { class: "pair" });
    const draws = [];
    for (const [title, panels] of groups) {
      const key = `overview-${title}`;
      const wanted = state.panels[key];
      const panel = panels.find((p) => wanted && p.metric === wanted.metric && p.audience === wanted.audience) || panels[0];
      const chart = h("div", { class: "chart" });
      pair.append(h("section", { class: "card" }, h("h3", {}, title), h("div", { class: "controls" },
        field("Metric", select(key, panels.map((p, i) => [i, panelName(p)]), panels.indexOf(panel), (i) =>
          change({ panels: { ...state.panels, [key]: { metric: panels[i].metric, audience: panels[i].audience } } })))), chart));
      draws.push(() => curveChart(chart, panel, { uncompressed: true }));
    }
    root.append(pair, h("details", { open: innerWidth > 960 || null }, h("summary", {}, "Codecs shown"), legend(here)));
    for (const [title, panels] of groups) {
      root.append(h("h2", {}, `BD-rates ${title.toLowerCase()}`), headline(panels, title));
    }
    draws.forEach((draw) => draw());
  },
};
