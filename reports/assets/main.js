// Header, tabs, keyboard, the live page; draws the first view.

const TABS = ["overview", "curves", "matrix", "pictures", "images", "cost", "provenance"];

function go(tab) {
  state.tab = tab;
  history.replaceState(null, "", `#${tab}`);
  redraw();
  scrollTo(0, 0);
}

function drawHeader() {
  const header = document.getElementById("header");
  const focus = header.contains(document.activeElement) && document.activeElement.dataset.key;
  const several = D.datasets.length > 1;
  const dataset = D.datasets[state.dataset];
  const codecs = new Set(D.curves.filter((c) => c.dataset === state.dataset).map((c) => c.codec)).size;
  const tabs = h("div", { role: "tablist", "aria-label": "Views", keydown: (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    go(TABS[(TABS.indexOf(state.tab) + step + TABS.length) % TABS.length]);
    header.querySelector('[aria-selected="true"]').focus();
  } }, TABS.map((tab) => h("button", { role: "tab", type: "button", id: `tab-${tab}`, "data-key": `tab-${tab}`, "aria-selected": String(tab === state.tab),
    "aria-controls": "panel", tabindex: tab === state.tab ? "0" : "-1", click: () => go(tab) }, views[tab].title)));
  const themes = ["auto", "light", "dark"];
  const theme = document.documentElement.dataset.theme || "auto";
  header.replaceChildren(h("div", { class: "bar" }, h("h1", {}, "Rate-distortion report"),
    h("span", { class: "summary" }, D.live ? h("span", { class: "live" }, "live · ") : "", `${dataset.title} · ${plural(codecs, "codec")} · ${plural(dataset.images.length, "picture")}`),
    several ? field("Dataset", select("dataset", D.datasets.map((d, i) => [i, d.title]), state.dataset, (i) => { viewer.image = null; viewer.panes = []; change({ dataset: Number(i), panels: {} }); })) : "",
    button("theme", `Theme: ${theme}`, () => {
      const next = themes[(themes.indexOf(theme) + 1) % 3];
      if (next === "auto") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = next;
      redraw();
    })), tabs);
  const panel = document.getElementById("panel");
  panel.setAttribute("role", "tabpanel");
  panel.setAttribute("aria-labelledby", `tab-${state.tab}`);
  const chosen = header.querySelector('[aria-selected="true"]');
  chosen.parentNode.scrollLeft = chosen.offsetLeft - 40;
  if (focus) [...header.querySelectorAll("[data-key]")].find((n) => n.dataset.key === focus)?.focus();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  if (event.key === "Escape") hideTip();
  const number_ = Number(event.key);
  if (views[state.tab].keys?.(event)) event.preventDefault();
  else if (number_ >= 1 && number_ <= TABS.length) go(TABS[number_ - 1]);
});
addEventListener("hashchange", () => { if (TABS.includes(location.hash.slice(1))) go(location.hash.slice(1)); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

/** While a run goes on, ask for its data again; what the reader has chosen stays. */
async function follow() {
  let tag = D.live.tag;
  for (;;) {
    await new Promise((wake) => setTimeout(wake, 1000 * D.live.every_s));
    try {
      const answer = await fetch("report.json", { headers: { "If-None-Match": tag } });
      if (answer.status !== 200) continue;
      tag = answer.headers.get("ETag");
      D = await answer.json();
      viewer.details.clear();
      redraw();
    } catch { /* the server has gone: the page stays as it is */ }
  }
}

if (TABS.includes(location.hash.slice(1))) state.tab = location.hash.slice(1);
redraw();
performance.mark("workbench-drawn");
document.documentElement.dataset.ready = "true";
if (D.live) follow();
