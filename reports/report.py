"""Writes a report: tables, figures and pages from the rows of runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from workbench.api import Metric
from workbench.bd.fit import check_method
from workbench.errors import WorkbenchError, did_you_mean
from workbench.rows import Rows
from workbench_reports import layout, page, tables
from workbench_reports.aggregate import AGGREGATIONS, Aggregation, Measured
from workbench_reports.collect import collect
from workbench_reports.compare import Comparison
from workbench_reports.curves import draw_curves
from workbench_reports.deltas import bd_rows, matrix_rows
from workbench_reports.heatmap import draw_matrix
from workbench_reports.panels import Anchor, find_anchor, make_panels
from workbench_reports.rd import flat, rd_rows
from workbench_reports.reference import Reference, load_reference
from workbench_reports.sections import Shown, bd_details, make_sections
from workbench_reports.style import make_styles, save

Row = dict[str, Any]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Options:
    """What to report.

    ``anchor`` is ``CODEC`` or ``CODEC/OUTPUT``; ``metrics`` leaves out all others when given;
    ``method`` is the BD method that gets intervals and the matrix.
    """

    anchor: str | None = None
    metrics: Sequence[str] = ()
    aggregation: Aggregation = "mean"
    method: str = "pchip"
    log_rate: bool = False
    references: Sequence[Path] = ()
    resamples: int = 1000
    level: float = 0.95


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
) -> Report:
    """Write a report into a folder.

    Args:
        rows: of one or more run directories.
        known: descriptions of metrics, see :func:`workbench.rows.metrics_of`.
        out: made if need be; files of an earlier report are replaced.

    Raises:
        WorkbenchError: no rows, an unknown anchor, metric or method, a bad reference file, or a
            folder that cannot be written.
    """
    options = options or Options()
    tell = progress or (lambda done, total, what: None)
    check_method(options.method)
    if options.aggregation not in get_args(Aggregation):
        raise WorkbenchError(
            f"aggregation {options.aggregation!r}: must be one of {', '.join(AGGREGATIONS)}"
        )
    references = [r for path in options.references for r in load_reference(Path(path))]
    measured = _measured(rows, known, options)
    anchor = find_anchor(measured, options.anchor)
    notes = [*measured.notes, *_reference_notes(references, measured)]
    folder = out / "figures"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shown = _show(measured, anchor, options, references, folder, tell)
        rd = {
            "metrics": {name: _described(m) for name, m in measured.metrics.items()},
            "rows": rd_rows(measured),
            "failures": measured.failures,
            "notes": notes,
        }
        bd = {
            "anchor": anchor.codec,
            "anchor_output": anchor.output or None,
            "aggregation": options.aggregation,
            "method": options.method,
            "interval": {"level": options.level, "resamples": options.resamples, "seed": 0},
            "rows": [row for one in shown for row in one.bd],
            "matrix": [row for one in shown for row in one.matrix],
        }
        headline = layout.headline(bd["rows"], measured, options.method)
        _write_tables(out, measured, shown, rd, bd, headline)
        sections = make_sections(rows, measured, shown, anchor, rd, bd, headline, references)
        title = "Rate-distortion report"
        _save(out / "report.md", page.markdown_page(title, sections, out))
        _save(out / "index.html", page.html_page(title, sections))
    except OSError as error:
        raise WorkbenchError(
            f"{out}: cannot be written ({error.strerror or error}): choose another --out"
        ) from error
    return Report(out, out / "index.html", rd, bd, str(anchor), headline, measured.failures, notes)


def _measured(rows: Rows, known: dict[str, Metric], options: Options) -> Measured:
    if rows.images.empty:
        raise WorkbenchError("no measured pictures here: make some with workbench run")
    measured = collect(rows, known)
    for name in options.metrics:
        if name not in measured.metrics:
            hint = did_you_mean(name, measured.metrics)
            raise WorkbenchError(f"--metric {name!r}: no values of it here.{hint}")
    if options.metrics:
        measured.metrics = {name: measured.metrics[name] for name in options.metrics}
    return measured


def _show(
    measured: Measured,
    anchor: Anchor,
    options: Options,
    references: Sequence[Reference],
    folder: Path,
    tell: Progress,
) -> list[Shown]:
    """Compare and draw every panel."""
    panels = make_panels(measured)
    styles = make_styles(measured.series)
    shown: list[Shown] = []
    taken: set[str] = set()
    for i, panel in enumerate(panels):
        tell(i, len(panels), panel.metric.label)
        comparison = Comparison(panel, options.aggregation, options.resamples)
        bd = bd_rows(comparison, anchor, options.method, options.level)
        matrix = matrix_rows(comparison, options.method)
        name = _slug(f"{panel.title}-{panel.metric.name}-{panel.audience}", taken)
        fitting = [r for r in references if r.fits(panel.dataset)]
        fig, notes = draw_curves(panel, styles, options.aggregation, fitting, options.log_rate)
        save(fig, folder / f"rd-{name}")
        heatmap = None
        if len(panel.comparable) > 1:
            heatmap = folder / f"bd-{name}"
            save(draw_matrix(panel, matrix, options.method), heatmap)
        shown.append(Shown(panel, bd, matrix, folder / f"rd-{name}", heatmap, notes))
    tell(len(panels), len(panels), "writing")
    return shown


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


def _reference_notes(references: Sequence[Reference], measured: Measured) -> list[str]:
    datasets = list(dict.fromkeys(s.dataset for s in measured.series))
    notes: dict[str, None] = {}
    for reference in references:
        if not any(reference.fits(dataset) for dataset in datasets):
            notes[
                f"published curves of {reference.dataset} are not drawn: "
                f"the datasets here are {', '.join(datasets)}"
            ] = None
        elif not any(reference.of(metric) for metric in measured.metrics.values()):
            notes[f"published {reference.label}: no metric measured here, not drawn"] = None
    return list(notes)


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


def _save(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
