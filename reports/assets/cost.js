// Cost: seconds a megapixel, the rate of accuracy bought with them, and the size of networks.

const cost = { side: "encode", kind: "rate" };

const average = (values) => { const known = values.filter(finite); return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null; };

views.cost = {
  title: "Cost",
  draw(root) {
    const panel = chosenPanel("cost", (p) => p.matrix.labels.length > 1);
    if (!panel) return void root.append(h("p", {}, "Nothing has a value here yet."));
    const metric = D.metrics[panel.metric];
    const anchor = anchorIn(panel);
    const rows = viewCurves().map(({ curve }) => {
      const label = panel.labels[panel.curves.indexOf(D.curves.indexOf(curve))];
      const t = panel.matrix.labels.indexOf(label);
      const cell = t < 0 ? null : bdCell(panel, "rate", anchor, t);
      return { curve, label: curve.label, encode: average(curve.encode_s_per_mp), decode: average(curve.decode_s_per_mp),
        bd: t >= 0 && t === anchor ? 0 : cell?.value ?? null, cell, t, network: D.networks[curve.codec] };
    });
    const chart = h("div", { class: "chart tall" });
    root.append(h("h2", {}, "What a better picture costs"),
      h("p", { class: "soft" }, `Seconds a megapixel to ${cost.side}, the mean over points and pictures, against the rate a codec needs for the same ${metric.label}: down and to the left is better.`),
      h("div", { class: "controls" }, panelSelect("cost"), panel.matrix.labels.length ? anchorSelect(panel) : "", methodSelect(panel),
        field("Time to", choice("side", "Which time", [["encode", "encode"], ["decode", "decode"]], cost.side, (side) => { cost.side = side; redraw(); }))),
      h("div", { class: "beside" }, chart, legend([panel])));
    const drawn = rows.filter((r) => finite(r.bd) && r[cost.side] > 0 && !state.hidden.has(r.curve.codec)).sort((a, b) => a[cost.side] - b[cost.side]);
    // Names of neighbours stand above and below by turns, so that they do not meet, and point inwards.
    const times = drawn.map((r) => Math.log(r[cost.side]));
    const across = (k) => (times[k] - times[0]) / (times.at(-1) - times[0] || 1);
    const inwards = (k) => (drawn.length < 2 ? "center" : across(k) < 0.25 ? "right" : across(k) > 0.75 ? "left" : "center");
    plot(chart, drawn.map((r, k) => ({
      type: "scatter", mode: "markers+text", x: [r[cost.side]], y: [r.bd], text: [plain(r.label)], textposition: `${k % 2 ? "bottom" : "top"} ${inwards(k)}`, textfont: { size: 11 }, cliponaxis: false,
      marker: { symbol: SYMBOLS[r.curve.style.marker], size: 12, color: colourOf(r.curve) },
      customdata: [{ title: r.label, lines: [`${significant(r.encode)} s a megapixel to encode, ${significant(r.decode)} s to decode`, `BD-rate ${number(r.bd, 1, true)} %`] }],
    })), { xaxis: { type: "log", title: { text: `${cost.side} [s a megapixel]` }, exponentformat: "none" }, yaxis: { title: { text: "BD-rate [%]" } } });
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-label", "Time against BD-rate; all values are in the table");
    const setting = (r, name) => (r.curve.setting[name] || []).join(", ") || "–";
    const network = (r, name) => (r.network && !r.network.error ? r.network[name] : null);
    const decoding = (r) => network(r, "decode_kmac_per_pixel")?.[r.curve.output] ?? null;
    const networks = rows.some((r) => r.network);
    const columns = [
      { title: "codec", text: true, value: (r) => r.label, cell: (r) => r.label },
      { title: "encode [s/MP]", value: (r) => r.encode, cell: (r) => significant(r.encode) },
      { title: "decode [s/MP]", value: (r) => r.decode, cell: (r) => significant(r.decode) },
      { title: "BD-rate [%]", value: (r) => r.bd, cell: (r) => (r.cell ? tipped(h("span", { tabindex: "0" }, number(r.bd, 1, true)), () => bdTip(panel, "rate", anchor, r.t)) : r.t >= 0 && r.t === anchor ? "anchor" : "–") },
      ...(networks ? [
        { title: "parameters", value: (r) => network(r, "parameters"), cell: (r) => (r.network?.error ? r.network.error : significant(network(r, "parameters"))) },
        { title: "encode [kMAC/pixel]", value: (r) => network(r, "encode_kmac_per_pixel"), cell: (r) => significant(network(r, "encode_kmac_per_pixel")) },
        { title: "decode [kMAC/pixel]", value: decoding, cell: (r) => significant(decoding(r)) },
      ] : []),
      ...["device", "threads", "workers", "batch"].map((name) => ({ title: name, text: true, value: (r) => setting(r, name), cell: (r) => setting(r, name) })),
    ];
    root.append(sortable("cost", columns, rows, "Means over all points and pictures", [1, false]));
    const mixed = rows.filter((r) => (r.curve.setting.workers || []).some((w) => w > 1) || (r.curve.setting.workers || []).length > 1);
    if (mixed.length) root.append(h("p", { class: "warn" }, `Measured beside other workers, so that times are upper bounds: ${mixed.map((r) => r.label).join(", ")}. Compare times of runs with one worker.`));
    if (networks) root.append(h("p", { class: "soft small" }, "kMAC a pixel: thousands of multiplications with additions in convolutions, matrix products and attention, counted by torch on a picture of 256 × 256; entropy coding runs outside torch and is not counted."));
  },
};
