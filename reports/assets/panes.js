// One picture of the viewer: its choice, its sheet with what was seen drawn over, its facts.

/** Codec and point of a pane. */
function chooser(detail, pane, k) {
  const curves = viewCurves().filter(({ index }) => pointsIn(detail, index).length);
  const codec = select(`pane-${k}-codec`, [[ORIGINAL, "original"], ...curves.map(({ curve, index }) => [index, curve.label])], pane.curve, (value) => {
    const index = value === ORIGINAL ? ORIGINAL : Number(value);
    const points = index === ORIGINAL ? [0] : pointsIn(detail, index);
    viewer.panes[k] = { curve: index, point: nearestRate(detail, pane, index, points) };
    redraw();
  }, `Codec of picture ${k + 1}`);
  if (pane.curve === ORIGINAL) return codec;
  const { points } = D.curves[pane.curve];
  return [codec, select(`pane-${k}-point`, pointsIn(detail, pane.curve).map((p) => [p, points[p]]), pane.point, (p) => { viewer.panes[k] = { ...pane, point: Number(p) }; redraw(); }, `Point of picture ${k + 1}`)];
}

/** The point of another codec whose rate of this picture is nearest: what a fair look needs. */
function nearestRate(detail, pane, index, points) {
  if (index === ORIGINAL) return 0;
  const rate = (i, p) => D.curves[i].images.rate_bpp[p][viewer.image];
  if (pane.curve === ORIGINAL) return points[Math.min(1, points.length - 1)];
  const wanted = Math.log(rate(pane.curve, pane.point));
  return points.reduce((a, b) => (Math.abs(Math.log(rate(index, b)) - wanted) < Math.abs(Math.log(rate(index, a)) - wanted) ? b : a));
}

function paneNode(detail, pane, k, content) {
  const remove = viewer.panes.length > 2 ? button(`pane-${k}-remove`, "×", () => { viewer.panes.splice(k, 1); redraw(); }, { "aria-label": `Remove picture ${k + 1}` }) : "";
  return h("figure", { class: "pane" }, h("div", { class: "controls" }, chooser(detail, pane, k), remove), viewport(content()), facts(detail, pane));
}

/** One picture with its predictions, at the size of the view. */
function sheet(detail, pane, overlay = true) {
  const cell = cellOf(detail, pane);
  const { width, height, name } = D.datasets[state.dataset].images[viewer.image];
  if (!cell?.file) return h("div", { class: "sheet" }, h("div", { class: "why" }, cell?.error || "not in this report"));
  const image = (file, alt) => h("img", { src: `pictures/${file}`, alt, draggable: "false", width, height });
  const node = h("div", { class: "sheet" }, image(cell.file, `${name}, ${paneName(pane)}`));
  const seen = cell.tasks?.[viewer.task];
  if (!overlay || !seen) return node;
  if (seen.classes && viewer.shown.classes) node.append(image(seen.classes, ""));
  if (seen.changed && viewer.shown.changed) node.append(image(seen.changed, ""));
  for (const [what, file] of Object.entries(seen.masks || {})) if (viewer.shown[what] !== false) node.append(image(file, ""));
  if (seen.boxes) node.append(boxLayer(seen.boxes, width, height));
  return node;
}

function boxLayer(boxes, width, height) {
  const layer = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const dashes = { lost: "7 4", invented: "2 3" };
  const size = Math.max(9, width / (innerWidth < 640 ? 28 : viewer.mode === "side" ? 45 : 80));
  const taken = [];     // where texts are: one that would cover another waits until one zooms in
  const texts = [];
  const claim = (x, y, long) => {
    const free = taken.every(([u, v, l]) => Math.abs(v - y) > size || x + long < u || u + l < x);
    if (free) taken.push([x, y, long]);
    return free;
  };
  for (const [x0, y0, x1, y1, score, label, what] of boxes) {
    if (viewer.shown[what] === false) continue;
    const colour = variable(`--${what}`);
    const box = svg("rect", { x: x0, y: y0, width: Math.max(0, x1 - x0), height: Math.max(0, y1 - y0), fill: "none", stroke: colour, style: "stroke-width: calc(2.5px / var(--scale, 1))", "vector-effect": "non-scaling-stroke" });
    if (dashes[what]) box.setAttribute("stroke-dasharray", dashes[what]);
    const text = `${label} ${score.toFixed(2)}`;
    const long = 0.6 * size * text.length;
    const x = Math.max(0, Math.min(x0 + 2, width - long));
    const places = [y0 > size + 2 ? y0 - 3 : y0 + size, y1 + size, y1 - 3];
    const y = places.find((at) => at < height && claim(x, at, long));
    layer.append(box);
    texts.push(svg("text", { x, y: y ?? places[0], class: y === undefined ? "crowded" : "", style: `font-size: calc(${size}px / var(--scale, 1))` }, text));
  }
  layer.append(...texts);
  return layer;
}

/** Rate, layers, quality and disagreement of this very picture. */
function facts(detail, pane) {
  const cell = cellOf(detail, pane);
  const image = D.datasets[state.dataset].images[viewer.image];
  const pixels = image.width * image.height;
  const list = h("dl", { class: "facts" });
  const fact = (name, value) => list.append(h("dt", {}, name), h("dd", {}, value));
  if (pane.curve === ORIGINAL) {
    fact("size", `${image.width} × ${image.height}`);
  } else {
    const curve = D.curves[pane.curve];
    fact("rate", `${number(curve.images.rate_bpp[pane.point][viewer.image], 4)} bpp`);
    for (const [layer, bytes] of Object.entries(cell?.layers || {})) fact(`layer ${layer}`, `${bytes.toLocaleString("en")} bytes, ${number((8 * bytes) / pixels, 4)} bpp`);
    for (const [name, metric] of Object.entries(D.metrics)) {
      const value = curve.images[name]?.[pane.point][viewer.image];
      if (value !== undefined && value !== null) fact(metric.label, `${number(value, metric.digits)}${metric.unit ? ` ${metric.unit}` : ""}`);
    }
  }
  for (const [task, seen] of Object.entries(cell?.tasks || {})) {
    if (seen.label) fact(task, seen.lost ? `${seen.label[0]} (was ${seen.lost})` : seen.label[0]);
    if (seen.boxes && pane.curve !== ORIGINAL) {
      const count = (what) => seen.boxes.filter((box) => box[6] === what).length;
      fact(task, count("found") ? `${count("found")} found; to compare with the original, run png, too` : `${count("kept")} kept, ${count("lost")} lost, ${count("invented")} invented`);
    }
    if (seen.boxes && pane.curve === ORIGINAL) fact(task, `${seen.boxes.length} found`);
    if (seen.classes && finite(seen.disagreement) && pane.curve !== ORIGINAL) fact(task, `${number(100 * seen.disagreement, 1)} % of pixels changed`);
  }
  if (cell?.error) fact("note", cell.error);
  return list;
}
