"""Writes a report: tables, figures, pictures and the page from the rows of runs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.api import Metric
from workbench.errors import WorkbenchError
from workbench.rows import KEPT, Rows
from workbench_reports import bundle, layout, page, tables
from workbench_reports.aggregate import Measured
from workbench_reports.analysis import (
    Analysis,
    Compared,
    Here,
    Options,
    Progress,
    analyse,
    page_data,
    workers,
)
from workbench_reports.curves import draw_curves
from workbench_reports.exhibit import Exhibit, spread_points, telling, writer
from workbench_reports.gallery import Gallery
from workbench_reports.heatmap import draw_matrix
from workbench_reports.networks import measure
from workbench_reports.pgfplots import pgfplots
from workbench_reports.rd import flat, rd_rows
from workbench_reports.reference import Reference
from workbench_reports.sections import Shown, bd_details, make_sections
from workbench_reports.style import Style, make_styles, save

Row = dict[str, Any]
TITLE = "Rate-distortion report"


@dataclass(frozen=True)
class Report:
    """What was written: the data behind the tables, and where the files are.

    ``anchor`` says which codec others were compared with, and whether by default.
    """

    out: Path
    page: Path
    rd: dict[str, Any]
    bd: dict[str, Any]
    anchor: str
    headline: dict[str, list[tables.Table]]
    failures: list[Row]
    notes: list[str]


def write(
    rows: Rows,
    known: dict[str, Metric],
    out: Path,
    options: Options | None = None,
    progress: Progress | None = None,
    gallery: Gallery | None = None,
) -> Report:
    """Write a report into a folder.

    Args:
        rows: of one or more run directories.
        known: descriptions of metrics, see :func:`workbench.rows.metrics_of`.
        out: made if need be; files of an earlier report are replaced.
        gallery: opens the run directories, for pictures and predictions; without one there are
            none of them in the report.

    Raises:
        WorkbenchError: no rows, an unknown anchor, metric or method, a bad reference file, or a
            folder that cannot be written.
    """
    options = options or Options()
    tell = progress or (lambda done, total, what: None)
    with workers(rows) as pool:
        analysis = analyse(rows, known, options, tell, pool)
        try:
            (out / "figures").mkdir(parents=True, exist_ok=True)
            shown = _draw(analysis, out / "figures", tell, pool)
        except OSError as error:
            raise _unwritable(out, error) from error
    try:
        rd = {
            "metrics": {name: _described(m) for name, m in analysis.measured.metrics.items()},
            "rows": rd_rows(analysis.measured),
            "failures": analysis.measured.failures,
            "notes": analysis.notes,
        }
        bd = {
            "anchor": analysis.anchor.codec,
            "anchor_output": analysis.anchor.output or None,
            "aggregation": options.aggregation,
            "method": options.method,
            "interval": {"level": options.level, "resamples": options.resamples, "seed": 0},
            "rows": [row for one in shown for row in one.bd],
            "matrix": [row for one in shown for row in one.matrix],
        }
        headline = layout.headline(bd["rows"], analysis.measured, options.method)
        _write_tables(out, analysis.measured, shown, rd, bd, headline)
        _write_rows(out / "per_image.csv", rows)
        sections = make_sections(
            rows, analysis.measured, shown, analysis.anchor, rd, bd, headline, analysis.references
        )
        _save(out / "report.md", page.markdown_page(TITLE, sections, out))
        _write_page(out, analysis, shown, gallery, tell)
    except OSError as error:
        raise _unwritable(out, error) from error
    return Report(
        out, out / "index.html", rd, bd, str(analysis.anchor), headline,
        analysis.measured.failures, analysis.notes,
    )  # fmt: skip


def _unwritable(out: Path, error: OSError) -> WorkbenchError:
    return WorkbenchError(
        f"{out}: cannot be written ({error.strerror or error}): choose another --out"
    )


def _draw(analysis: Analysis, folder: Path, tell: Progress, pool: Executor | Here) -> list[Shown]:
    """Draw every panel, and write it for LaTeX."""
    styles = make_styles(analysis.measured.series)
    taken: set[str] = set()
    calls = []
    for one in analysis.compared:
        panel = one.panel
        name = _slug(f"{panel.title}-{panel.metric.name}-{panel.audience}", taken)
        calls.append(
            (one, styles, analysis.fitting(panel), analysis.options, folder / f"rd-{name}",
             folder / f"bd-{name}")
        )  # fmt: skip
    shown = []
    done = pool.map(_draw_panel, calls)
    for i, one in enumerate(analysis.compared):
        tell(i, len(calls), f"figures of {one.panel.metric.label}")
        heatmap, notes = next(done)
        shown.append(Shown(one.panel, one.bd, one.pairs, calls[i][4], heatmap, notes))
    return shown


def _draw_panel(
    call: tuple[Compared, dict[tuple[str, str], Style], Sequence[Reference], Options, Path, Path],
) -> tuple[Path | None, list[str]]:
    one, styles, references, options, curves, heatmap = call
    fig, notes = draw_curves(one.panel, styles, options.aggregation, references, options.log_rate)
    save(fig, curves)
    _save(
        curves.with_name(curves.name + ".tex"),
        pgfplots(one.panel, styles, options.aggregation, options.log_rate),
    )
    if len(one.panel.comparable) < 2:
        return None, notes
    save(draw_matrix(one.panel, one.pairs, options.method), heatmap)
    return heatmap, notes


def _write_page(
    out: Path, analysis: Analysis, shown: Sequence[Shown], gallery: Gallery | None, tell: Progress
) -> None:
    figures = [
        {
            kind: path.relative_to(out).as_posix()
            for kind, path in (("curves", one.curves), ("matrix", one.heatmap))
            if path is not None
        }
        for one in shown
    ]
    extra: Row = {"pictures": {}}
    if gallery is not None:
        ran = dict.fromkeys(s.codec for s in analysis.measured.series)
        tell(0, 1, "networks")
        analysis = replace(analysis, networks=measure(gallery.codecs(ran)))
        exhibit = Exhibit(gallery, analysis.measured)
        tell(0, 1, "predictions")
        analysis = replace(
            analysis, disagreements=[exhibit.disagreement(s) for s in analysis.measured.series]
        )
        extra["pictures"] = _write_pictures(out / "pictures", analysis, exhibit, tell)
    made = page_data(analysis, figures, extra)
    _save(out / "report.json", bundle.json_text(made) + "\n")
    _save(out / "index.html", bundle.page(TITLE, made))


def _write_pictures(
    folder: Path, analysis: Analysis, exhibit: Exhibit, tell: Progress
) -> dict[str, Any]:
    """Write the pictures of the viewer; return by dataset number which ones have a detail file."""
    options = analysis.options
    written: dict[str, Any] = {}
    for d, dataset in enumerate(exhibit.datasets):
        own = [s for s in analysis.measured.series if s.dataset == dataset]
        order = telling(analysis.measured.series, dataset, analysis.disagreements)
        chosen = order[: options.pictures] if options.pictures is not None else order
        if chosen:
            folder.mkdir(parents=True, exist_ok=True)
        for k, n in enumerate(chosen):
            image = own[0].images[n]
            tell(k, len(chosen), f"picture {image}")
            found = exhibit.detail(
                dataset, image, writer(folder),
                lambda series, p: p in spread_points(len(series.points), options.picture_points),
            )  # fmt: skip
            _save(folder / f"{d}-{n}.js", detail_script(d, n, found))
        written[str(d)] = sorted(chosen)
    return written


def detail_script(dataset: int, image: int, detail: Row) -> str:
    """Return the file that the viewer loads: a script, as pages on disk may read nothing else."""
    return f"workbenchDetail({dataset}, {image}, {bundle.json_text(detail)});\n"


def _slug(text: str, taken: set[str]) -> str:
    """Return a file name of letters, digits, dots and dashes that no other figure has."""
    stem = re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")[-80:]
    name, serial = stem, 2
    while name.lower() in taken:
        name, serial = f"{stem}-{serial}", serial + 1
    taken.add(name.lower())
    return name


def _described(metric: Metric) -> Row:
    return {
        "label": metric.label,
        "description": metric.description,
        "unit": metric.unit,
        "higher_is_better": metric.higher_is_better,
        "pool": metric.pool,
    }


def _write_tables(
    out: Path,
    measured: Measured,
    shown: Sequence[Shown],
    rd: Row,
    bd: Row,
    headline: dict[str, list[tables.Table]],
) -> None:
    rows = [flat(row, measured.metrics) for row in rd["rows"]]
    _save(out / "rd.csv", tables.csv_text(rows, list(rows[0])))
    rd_tables = [
        table
        for dataset in measured.titles
        for table in layout.rd_tables(rd["rows"], measured, dataset)
    ]
    heads = [table for group in headline.values() for table in group]
    details = [bd_details(one, bd["method"]) for one in shown if one.bd]
    for name, listed in (("rd", rd_tables), ("bd", [*heads, *details])):
        _save(out / f"{name}.md", "\n".join(map(tables.markdown, listed)))
        _save(out / f"{name}.tex", tables.LATEX_PREAMBLE + "\n".join(map(tables.latex, listed)))
    for name, found in (("bd", bd["rows"]), ("bd_matrix", bd["matrix"])):
        columns = list(found[0]) if found else ["dataset", "metric"]
        _save(out / f"{name}.csv", tables.csv_text(found, columns))
    for name, value in (("rd", rd), ("bd", bd)):
        _save(out / f"{name}.json", json.dumps(value, indent=1, allow_nan=False) + "\n")


def _write_rows(path: Path, rows: Rows) -> None:
    """Write the rows of all pictures, without what only the store understands."""
    hidden = {"key", "stream", "picture_xxh3"}
    columns = [c for c in rows.images.columns if c not in hidden]
    ordered = [c for c in KEPT if c in columns] + [c for c in columns if c not in KEPT]
    rows.images[ordered].to_csv(path, index=False, lineterminator="\n")


def _save(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
