// Zoom and pan of the viewer's pictures, in step.

function viewport(...content) {
  const { width, height } = D.datasets[state.dataset].images[viewer.image];
  const node = h("div", { class: "view", style: `aspect-ratio: ${width} / ${height}; max-height: 78vh` }, ...content);
  let last = null;
  node.addEventListener("wheel", (event) => { event.preventDefault(); const box = node.getBoundingClientRect(); zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, event.clientX - box.left, event.clientY - box.top); }, { passive: false });
  node.addEventListener("pointerdown", (event) => { last = [event.clientX, event.clientY]; node.setPointerCapture(event.pointerId); });
  node.addEventListener("pointermove", (event) => {
    if (!last) return;
    viewer.at.x += event.clientX - last[0];
    viewer.at.y += event.clientY - last[1];
    last = [event.clientX, event.clientY];
    place();
  });
  const stop = () => { last = null; };
  node.addEventListener("pointerup", stop);
  node.addEventListener("pointercancel", stop);
  return node;
}

/** Zoom all views about a point in the first one; its middle by default. */
function zoom(factor, x, y) {
  const view = document.querySelector(".view");
  if (!view) return;
  const [cx, cy] = [x ?? view.clientWidth / 2, y ?? view.clientHeight / 2];
  const scale = Math.min(40, Math.max(1, viewer.at.scale * factor));
  const ratio = scale / viewer.at.scale;
  viewer.at = { scale, x: cx - (cx - viewer.at.x) * ratio, y: cy - (cy - viewer.at.y) * ratio };
  place();
}

function pixels() {
  const view = document.querySelector(".view");
  const { width } = D.datasets[state.dataset].images[viewer.image];
  viewer.at = { scale: Math.max(1, width / view.clientWidth / devicePixelRatio), x: 0, y: 0 };
  place();
}

function place() {
  const { at } = viewer;
  for (const view of document.querySelectorAll(".view")) {
    // A picture never leaves its view.
    at.x = Math.min(0, Math.max(view.clientWidth * (1 - at.scale), at.x));
    at.y = Math.min(0, Math.max(view.clientHeight * (1 - at.scale), at.y));
    view.classList.toggle("near", at.scale > 2);
    for (const node of view.querySelectorAll(".sheet")) {
      node.style.transform = `translate(${at.x}px, ${at.y}px) scale(${at.scale})`;
      node.style.setProperty("--scale", at.scale);   // lines and texts keep their size
    }
  }
}
