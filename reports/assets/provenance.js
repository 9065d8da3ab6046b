// Provenance: all that is needed to run it again, and what failed.

views.provenance = {
  title: "Provenance",
  draw(root) {
    const link = (name) => h("a", { href: name }, name);
    root.append(h("h2", {}, "Files"), h("p", { class: "row" }, ...["report.json", "per_image.csv", "rd.csv", "rd.md", "rd.tex", "bd.csv", "bd_matrix.csv", "bd.md", "bd.tex", "bd.json", "report.md"].map(link)));
    root.append(h("h2", {}, "Failures"));
    if (D.failures.length) {
      const told = new Map();
      for (const f of D.failures) {
        const key = [f.dataset, f.codec, f.point, f.output || "–", f.stage, f.error].map(String);
        const text = JSON.stringify(key);
        if (!told.has(text)) told.set(text, [...key, []]);
        told.get(text)[6].push(f.image);
      }
      const images = (list) => list.slice(0, 3).join(", ") + (list.length > 3 ? ` and ${list.length - 3} more` : "");
      root.append(table(["dataset", "codec", "point", "output", "stage", "pictures", "error"],
        [...told.values()].map(([d, c, p, o, s, error, list]) => [d, c, p, o, s, images(list), error]), plural(D.failures.length, "failed cell"), true));
    } else root.append(h("p", {}, "None: every cell that was run has a result."));
    const partial = D.curves.flatMap((c) => c.points.map((point, p) => [D.datasets[c.dataset], c, point, p]))
      .filter(([d, c, , p]) => c.n_images[p] < d.images.length);
    if (partial.length) {
      root.append(h("h3", {}, "Points without all pictures"), table(["dataset", "codec", "point", "pictures", "failed", "not run"],
        partial.map(([d, c, point, p]) => [d.title, c.label, point, `${c.n_images[p]} of ${d.images.length}`, String(c.n_failed[p]), String(d.images.length - c.n_images[p] - c.n_failed[p])]), "A cell that is neither measured nor failed was skipped or is still to come"));
    }
    root.append(h("h2", {}, "Runs"));
    for (const run of D.runs) {
      const facts_ = [["started", run.started], ["workbench", [run.workbench, run.commit && `commit ${run.commit}`].filter(Boolean).join(", ")],
        ["machine", [run.cpu, run.cores && plural(run.cores, "core"), run.platform].filter(Boolean).join(", ")], ["Python", run.python],
        ["dataset", run.dataset && `${run.dataset.name}, ${plural(run.dataset.n_images, "picture")}, hash ${run.dataset.sha256}`],
        ["workers and threads", run.arguments && `${run.arguments.workers} and ${run.arguments.threads}`]];
      const list = h("dl", { class: "facts" });
      for (const [name, value] of facts_) if (value) list.append(h("dt", {}, name), h("dd", {}, String(value)));
      root.append(h("h3", {}, run.run), run.command ? h("pre", {}, again(run.command)) : "", list);
    }
    const plugins = new Map();
    for (const run of D.runs) for (const [name, p] of Object.entries(run.plugins || {})) {
      const versions = Object.entries(p.versions || {}).map(([k, v]) => `${k} ${v}`).join(", ") || "–";
      const weights = Object.entries(p.fingerprint || {}).map(([k, v]) => `${k} ${String(v).slice(0, 16)}`).join(", ") || "–";
      plugins.set(JSON.stringify([name, versions, p.code, weights]), [name, versions, String(p.code || "–").slice(0, 16), weights]);
    }
    const rows = [...plugins.values()].sort((a, b) => a[0].localeCompare(b[0]));
    root.append(h("h2", {}, "Versions"), table(["plugin", "versions", "code hash", "weights and files"], rows, "Every plugin that ran, each state once", true));
    const sources = D.panels.flatMap((p) => p.references).filter((r, i, all) => all.findIndex((o) => o.label === r.label) === i);
    if (sources.length) root.append(h("h2", {}, "Published curves"), notes(sources.map((r) => [r.label, r.source, r.note].filter(Boolean).join(": "))));
  },
};

/** A command as it would be typed; the program without its folder, also where Python ran it by `-m`. */
function again(command) {
  const quote = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
  const words = command.map(String);
  const program = words[0].split("/").at(-1).replace(/^__main__\.py$/, "workbench");
  return [program, ...words.slice(1)].map(quote).join(" ");
}
