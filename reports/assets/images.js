// Per image: every picture at two points, as a scatter and a table; press one to look at it.

const perImage = { metric: null, a: null, b: null };

/** All per-image quantities of the dataset: [key, label, digits, values(curve)]. */
function quantities() {
  const curves = viewCurves().map(({ curve }) => curve);
  const found = Object.entries(D.metrics).filter(([name]) => curves.some((c) => c.images[name]))
    .map(([name, metric]) => [name, axisLabel(metric), metric.digits, (curve) => curve.images[name]]);
  for (const task of new Set(curves.flatMap((c) => Object.keys(c.disagreement || {})))) {
    found.push([`task:${task}`, `${task}: disagreement with the original`, 3, (curve) => curve.disagreement?.[task]]);
  }
  found.push(["rate_bpp", "rate [bpp]", 4, (curve) => curve.images.rate_bpp]);
  return found;
}

views.images = {
  title: "Per image",
  draw(root) {
    const all = quantities();
    const [key, label, digits, values] = all.find(([name]) => name === perImage.metric) || all[0];
    const points = viewCurves().filter(({ curve }) => values(curve)).flatMap(({ curve, index }) => curve.points.map((point, p) => [`${index}:${p}`, `${curve.label} ${point}`]));
    if (!points.length) return void root.append(h("p", {}, "Nothing has a value for single pictures yet."));
    const valid = (choice_) => points.some(([value]) => value === choice_);
    const middle = (index) => { const [i] = points[index][0].split(":"); return `${i}:${D.curves[i].points.length >> 1}`; };
    // Not a lossless codec's only point: nothing could be seen from it.
    const first = points.findIndex(([value]) => D.curves[value.split(":")[0]].points.length > 1);
    if (!valid(perImage.a)) perImage.a = middle(Math.max(0, first));
    if (!valid(perImage.b)) perImage.b = middle(points.length - 1);
    const set = (change_) => { Object.assign(perImage, change_); redraw(); };
    const read = (choice_, n, of) => { const [index, p] = choice_.split(":").map(Number); return of(D.curves[index])?.[p]?.[n] ?? null; };
    const name = (choice_) => points.find(([value]) => value === choice_)[1];
    const rate = (curve) => curve.images.rate_bpp;
    const rows = D.datasets[state.dataset].images.map((image, n) => {
      const [a, b] = [read(perImage.a, n, values), read(perImage.b, n, values)];
      return { n, name: image.name, a, b, difference: finite(a) && finite(b) ? b - a : null, rateA: read(perImage.a, n, rate), rateB: read(perImage.b, n, rate) };
    });
    const open = (n) => {
      viewer.image = n;
      viewer.panes = [perImage.a, perImage.b].map((c) => c.split(":").map(Number)).map(([curve, point]) => ({ curve, point }));
      go("pictures");
    };
    const there = written(state.dataset);
    const chart = h("div", { class: "chart tall" });
    root.append(h("h2", {}, "Every picture at two points"), h("div", { class: "controls" },
      field("Quantity", select("image-metric", all.map(([k, l]) => [k, l]), key, (metric) => set({ metric }))),
      field("A, across", select("image-a", points, perImage.a, (a) => set({ a }))),
      field("B, up", select("image-b", points, perImage.b, (b) => set({ b }))),
      button("image-swap", "Swap", () => set({ a: perImage.b, b: perImage.a }))), chart);
    const drawn = rows.filter((r) => finite(r.a) && finite(r.b));
    const ends = drawn.length ? [Math.min(...drawn.flatMap((r) => [r.a, r.b])), Math.max(...drawn.flatMap((r) => [r.a, r.b]))] : [0, 1];
    plot(chart, [
      { type: "scatter", mode: "lines", x: ends, y: ends, line: { color: variable("--soft"), width: 1, dash: "dash" }, hoverinfo: "skip" },
      { type: "scatter", mode: "markers", x: drawn.map((r) => r.a), y: drawn.map((r) => r.b), marker: { size: 9, color: PALETTE[isDark() ? "dark" : "light"][0], opacity: 0.75 },
        customdata: drawn.map((r) => ({ title: r.name, lines: [`${name(perImage.a)}: ${number(r.a, digits)}, ${number(r.rateA, 4)} bpp`, `${name(perImage.b)}: ${number(r.b, digits)}, ${number(r.rateB, 4)} bpp`, there.includes(r.n) ? "press to look at it" : "its picture is not in this report"], pick: () => there.includes(r.n) && open(r.n) })) },
    ], { xaxis: { title: { text: plain(`${name(perImage.a)}: ${label}`) } }, yaxis: { title: { text: plain(`${name(perImage.b)}: ${label}`) } } });
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-label", `${label} of ${plural(drawn.length, "picture")}; all values are in the table`);
    const columns = [
      { title: "picture", text: true, value: (r) => r.name, cell: (r) => (there.includes(r.n) ? h("button", { type: "button", "data-key": `open-${r.n}`, click: () => open(r.n) }, r.name) : r.name) },
      { title: `A: ${name(perImage.a)}`, value: (r) => r.a, cell: (r) => number(r.a, digits) },
      { title: `B: ${name(perImage.b)}`, value: (r) => r.b, cell: (r) => number(r.b, digits) },
      { title: `B ${MINUS} A`, value: (r) => r.difference, cell: (r) => number(r.difference, digits, true) },
      { title: "rate A [bpp]", value: (r) => r.rateA, cell: (r) => number(r.rateA, 4) },
      { title: "rate B [bpp]", value: (r) => r.rateB, cell: (r) => number(r.rateB, 4) },
    ];
    const every = sortable("images", columns, rows, `${label} of each picture`, [3, true]);
    every.classList.add("tall-table");
    root.append(every, h("p", { class: "small" }, "All rows: ", h("a", { href: "per_image.csv" }, "per_image.csv")));
  },
};
