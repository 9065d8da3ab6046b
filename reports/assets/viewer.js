// Pictures: the original against any codec's decoded picture, side by side, by a slider, or their
// difference; zoom and pan in step; what the tasks saw drawn over.

const viewer = {
  image: null, mode: "side", sort: null, panes: [], split: 50, gain: 8, task: "",
  shown: { kept: true, lost: true, invented: true, classes: false, changed: true },
  at: { scale: 1, x: 0, y: 0 }, details: new Map(),
};
const ORIGINAL = "original";

/** A picture's detail file: a script in the folder, the only thing that a page on disk may load. */
window.workbenchDetail = (dataset, image, detail) => {
  viewer.details.set(`${dataset}-${image}`, detail);
  if (state.tab === "pictures") redraw();
};

function detailOf(dataset, image) {
  const key = `${dataset}-${image}`;
  if (!viewer.details.has(key)) {
    viewer.details.set(key, null);
    const script = h("script", { src: `pictures/${key}.js`, error: () => {
      viewer.details.set(key, { error: "its file is missing from the report's folder" });
      if (state.tab === "pictures") redraw();
    } });
    document.head.append(script);
  }
  return viewer.details.get(key);
}

const written = (dataset) => (D.live ? D.datasets[dataset].images.map((_, i) => i) : D.pictures[dataset] || []);
const viewCurves = () => D.curves.map((curve, index) => ({ curve, index })).filter(({ curve }) => curve.dataset === state.dataset);

/** The points of a codec that are in the folder, by their place. */
function pointsIn(detail, index) {
  return Object.keys(detail?.cells?.[index] || {}).map(Number);
}

/** Keep the panes to what this dataset has; at first the original beside the first codec. */
function settlePanes(detail) {
  const curves = viewCurves();
  const fits = (pane) => pane.curve === ORIGINAL || (curves.some(({ index }) => index === pane.curve) && pointsIn(detail, pane.curve).includes(pane.point));
  viewer.panes = viewer.panes.map((pane) => {
    if (fits(pane)) return pane;
    const own = pointsIn(detail, pane.curve);
    return own.length ? { ...pane, point: own.reduce((a, b) => (Math.abs(b - pane.point) < Math.abs(a - pane.point) ? b : a)) } : pane;
  }).filter(fits);
  if (viewer.panes.length < 2) {
    const first = curves.filter(({ index, curve }) => pointsIn(detail, index).length && curve.points.length > 1 && !state.hidden.has(curve.codec));
    const points = first.length ? pointsIn(detail, first[0].index) : [];
    viewer.panes = [{ curve: ORIGINAL, point: 0 }, ...(points.length ? [{ curve: first[0].index, point: points[Math.min(1, points.length - 1)] }] : [{ curve: ORIGINAL, point: 0 }])];
  }
}

const orders = () => {
  const curves = viewCurves().map(({ curve }) => curve);
  const tasks = [...new Set(curves.flatMap((c) => Object.keys(c.disagreement || {})))];
  const metrics = Object.keys(D.metrics).filter((name) => curves.some((c) => c.images[name]));
  return [
    ...tasks.map((task) => [`task:${task}`, `disagreement of ${task}`]),
    ...metrics.map((name) => [`spread:${name}`, `spread of codecs in ${D.metrics[name].label}`]),
    ["name", "name"],
  ];
};

/** How each picture ranks under the chosen order: [{n, score}], the most telling first. */
function ranked(order) {
  const images = D.datasets[state.dataset].images;
  const curves = viewCurves().map(({ curve }) => curve).filter((c) => !state.hidden.has(c.codec));
  const [kind, ...rest] = order.split(":");
  const name = rest.join(":");
  const mean = (values) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : null);
  const scores = images.map((_, n) => {
    if (kind === "task") return mean(curves.flatMap((c) => (c.disagreement?.[name] || []).map((row) => row[n])).filter(finite));
    if (kind === "spread") {
      const middle = curves.filter((c) => c.images[name] && c.points.length > 1).map((c) => c.images[name][c.points.length >> 1][n]).filter(finite);
      return middle.length > 1 ? Math.max(...middle) - Math.min(...middle) : null;
    }
    return null;
  });
  const list = images.map((_, n) => ({ n, score: scores[n] }));
  return kind === "name" ? list : list.sort((a, b) => (b.score ?? -1) - (a.score ?? -1));
}

views.pictures = {
  title: "Pictures",
  draw(root) {
    const dataset = D.datasets[state.dataset];
    const there = written(state.dataset);
    if (!there.length) {
      root.append(h("h2", {}, "Pictures"), h("p", {}, "This report has no pictures of this dataset: make it with ", h("code", {}, "workbench report DIR --pictures 3"), ", or open the run with ", h("code", {}, "workbench serve DIR"), "."));
      return;
    }
    const options = orders();
    if (!options.some(([value]) => value === viewer.sort)) viewer.sort = options[0][0];
    const list = ranked(viewer.sort);
    if (!there.includes(viewer.image)) viewer.image = list.find(({ n }) => there.includes(n)).n;
    const detail = detailOf(state.dataset, viewer.image);
    const open = (n) => { viewer.image = n; viewer.at = { scale: 1, x: 0, y: 0 }; redraw(); };
    const digits = viewer.sort.startsWith("spread") ? D.metrics[viewer.sort.slice(7)].digits : 2;
    const items = list.map(({ n, score }) => h("li", {}, h("button", {
      type: "button", "data-key": `picture-${n}`, disabled: !there.includes(n), "aria-current": String(n === viewer.image),
      title: there.includes(n) ? null : "not among the pictures of this report: make it with more --pictures", click: () => open(n),
    }, h("span", {}, dataset.images[n].name), h("span", { class: "n" }, score === null ? "" : number(score, digits)))));
    const side = h("div", {}, field("Sort by", select("picture-sort", options, viewer.sort, (sort) => { viewer.sort = sort; redraw(); })),
      h("ul", { class: "list", "aria-label": "Pictures" }, items),
      h("p", { class: "soft small" }, `${there.length} of ${dataset.images.length} pictures can be opened. `, h("kbd", {}, "["), " ", h("kbd", {}, "]"), " previous and next, ", h("kbd", {}, "+"), " ", h("kbd", {}, MINUS), " zoom, ", h("kbd", {}, "0"), " whole picture, arrows move."));
    const main = h("div", {});
    root.append(h("h2", {}, dataset.images[viewer.image].name), h("div", { class: "viewer" }, side, main));
    if (!detail) return void main.append(h("p", { class: "soft", style: "min-height: 30rem" }, "loading…"));
    if (detail.error) return void main.append(h("p", { class: "warn" }, detail.error));
    settlePanes(detail);
    drawStage(main, detail);
  },
  keys(event) {
    const there = ranked(viewer.sort || "name").map(({ n }) => n).filter((n) => written(state.dataset).includes(n));
    const at = there.indexOf(viewer.image);
    const move = (dx, dy) => { viewer.at.x += dx; viewer.at.y += dy; place(); };
    const actions = {
      "[": () => { viewer.image = there[Math.max(0, at - 1)]; redraw(); },
      "]": () => { viewer.image = there[Math.min(there.length - 1, at + 1)]; redraw(); },
      "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5),
      0: () => { viewer.at = { scale: 1, x: 0, y: 0 }; place(); },
      ArrowLeft: () => move(40, 0), ArrowRight: () => move(-40, 0), ArrowUp: () => move(0, 40), ArrowDown: () => move(0, -40),
    };
    if (!actions[event.key] || !there.length || (event.key.startsWith("Arrow") && viewer.at.scale === 1)) return false;
    actions[event.key]();
    return true;
  },
};

function cellOf(detail, pane) {
  return pane.curve === ORIGINAL ? detail.original : detail.cells[pane.curve]?.[pane.point];
}
function paneName(pane) {
  if (pane.curve === ORIGINAL) return "original";
  const curve = D.curves[pane.curve];
  return `${curve.label} ${curve.points[pane.point]}`;
}

function drawStage(main, detail) {
  const tasks = [...new Set([detail.original, ...viewer.panes.map((p) => cellOf(detail, p))].flatMap((cell) => Object.keys(cell?.tasks || {})))];
  if (!tasks.includes(viewer.task)) viewer.task = tasks[0] || "";
  const set = (values) => { Object.assign(viewer, values); redraw(); };
  const toggle = (state_, label) => {
    const node = check(`show-${state_}`, "", viewer.shown[state_], (on) => { viewer.shown[state_] = on; redraw(); });
    node.append(h("span", { class: `key ${state_}` }), label);
    return node;
  };
  const seen = viewer.panes.map((p) => cellOf(detail, p)?.tasks?.[viewer.task]).filter(Boolean);
  const boxes = seen.some((t) => t.boxes);
  const maps = seen.some((t) => t.classes);
  main.append(h("div", { class: "controls" },
    field("Show", choice("mode", "How pictures are shown", [["side", "side by side"], ["slider", "slider"], ["difference", "difference"]], viewer.mode, (mode) => set({ mode }))),
    h("div", { class: "group", role: "group", "aria-label": "Zoom" }, button("zoom-out", MINUS, () => zoom(1 / 1.5), { "aria-label": "Zoom out" }), button("zoom-fit", "1:1", pixels, { "aria-label": "One picture pixel a screen pixel" }), button("zoom-whole", "whole", () => { viewer.at = { scale: 1, x: 0, y: 0 }; place(); }), button("zoom-in", "+", () => zoom(1.5), { "aria-label": "Zoom in" })),
    tasks.length ? field("Predictions of", select("task", [...tasks.map((t) => [t, t]), ["", "none"]], viewer.task, (task) => set({ task }))) : "",
    viewer.task && boxes ? h("div", { class: "row" }, toggle("kept", "kept"), toggle("lost", "lost"), toggle("invented", "invented")) : "",
    viewer.task && maps ? [check("show-classes", "classes", viewer.shown.classes, (on) => { viewer.shown.classes = on; redraw(); }), seen.some((t) => t.changed) ? check("show-changed", "changed pixels", viewer.shown.changed, (on) => { viewer.shown.changed = on; redraw(); }) : ""] : "",
    viewer.mode === "side" ? button("add-pane", "Add picture", () => { viewer.panes.push({ ...viewer.panes.at(-1) }); redraw(); }, { disabled: viewer.panes.length > 3 }) : ""));
  const stage = h("div", { class: "stage" });
  main.append(stage);
  if (viewer.mode === "side") {
    viewer.panes.forEach((pane, k) => stage.append(paneNode(detail, pane, k, () => sheet(detail, pane))));
  } else {
    const [a, b] = viewer.panes;
    const both = h("div", { class: "pane" }, h("div", { class: "controls" }, chooser(detail, a, 0), chooser(detail, b, 1)));
    if (viewer.mode === "slider") {
      const top = sheet(detail, b);
      const front = h("div", { class: "split" }, top);
      const edge = h("div", { class: "edge" });
      const cut = () => { front.style.clipPath = `inset(0 0 0 ${viewer.split}%)`; edge.style.left = `calc(${viewer.split}% - 1px)`; };
      const range = h("input", { type: "range", min: 0, max: 100, step: 0.5, value: viewer.split, "data-key": "split", "aria-label": `Slider between ${paneName(a)} and ${paneName(b)}`, input: () => { viewer.split = Number(range.value); cut(); } });
      const view = viewport(sheet(detail, a), front, edge, h("span", { class: "tag left" }, paneName(a)), h("span", { class: "tag right" }, paneName(b)));
      cut();
      both.append(range, view);
    } else {
      const node = h("div", { class: "difference", style: `filter: brightness(${viewer.gain})` }, sheet(detail, a, false), sheet(detail, b, false));
      node.lastChild.classList.add("minus");
      const range = h("input", { type: "range", min: 1, max: 32, step: 1, value: viewer.gain, "data-key": "gain", "aria-label": "Gain of the difference", input: () => { viewer.gain = Number(range.value); node.style.filter = `brightness(${viewer.gain})`; } });
      both.append(h("label", { class: "field" }, "Difference of each channel, made brighter", range), viewport(node));
    }
    both.append(h("div", { class: "pair" }, facts(detail, a), facts(detail, b)));
    stage.append(both);
  }
  place();
}
