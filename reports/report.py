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
from workbench_reports import curves, layout, page, provenance, tables
from workbench_reports.aggregate import AGGREGATIONS, Aggregation, Measured, collect
from workbench_reports.compare import (
    Comparison,
    Panel,
    bd_rows,
    find_anchor,
    make_panels,
    matrix_rows,
)
from workbench_reports.rd import flat, rd_rows
from workbench_reports.reference import Reference, load_reference

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
    """What was written: the data behind the tables, and where the files are."""

    out: Path
    page: Path
    rd: dict[str, Any]
    bd: dict[str, Any]
    headline: list[tables.Table]
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
    anchor, chosen = find_anchor(measured, options.anchor)
    panels = make_panels(measured)
    notes = [*measured.notes, *_reference_notes(references, measured)]
    folder = out / "figures"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = _compare(panels, measured, anchor, options, tell)
        stems = _draw(panels, measured, found, references, options, folder, tell)
        rd = {
            "metrics": {name: _described(m) for name, m in measured.metrics.items()},
            "rows": rd_rows(measured),
            "failures": measured.failures,
            "notes": notes,
        }
        bd = {
            "anchor": chosen,
            "aggregation": options.aggregation,
            "method": options.method,
            "interval": {"level": options.level, "resamples": options.resamples, "seed": 0},
            "rows": [row for one in found for row in one.bd],
            "matrix": [row for one in found for row in one.matrix],
        }
        headline = layout.headline(bd["rows"], measured, options.method)
        _write_tables(out, measured, panels, found, rd, bd, headline)
        sections = _sections(
            rows, measured, panels, found, stems, rd, bd, headline, references, notes
        )
        title = "Rate-distortion report"
        _save(out / "report.md", page.markdown_page(title, sections, out))
        _save(out / "index.html", page.html_page(title, sections))
    except OSError as error:
        raise WorkbenchError(
            f"{out}: cannot be written ({error.strerror or error}): choose another --out"
        ) from error
    return Report(out, out / "index.html", rd, bd, headline, measured.failures, notes)


@dataclass(frozen=True)
class _Found:
    """The deltas of one panel."""

    bd: list[Row]
    matrix: list[Row]


@dataclass(frozen=True)
class _Stems:
    """The figures of one panel, without suffix, and what the curves' caption must say."""

    curves: Path
    matrix: Path | None
    notes: list[str]


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


def _compare(
    panels: Sequence[Panel], measured: Measured, anchor: Any, options: Options, tell: Progress
) -> list[_Found]:
    found = []
    for i, panel in enumerate(panels):
        tell(i, 2 * len(panels), f"comparing {panel.metric.label}")
        comparison = Comparison(panel, options.aggregation, options.resamples)
        found.append(
            _Found(
                bd_rows(comparison, anchor, options.method, options.level),
                matrix_rows(comparison, options.method),
            )
        )
    return found


def _draw(
    panels: Sequence[Panel],
    measured: Measured,
    found: Sequence[_Found],
    references: Sequence[Reference],
    options: Options,
    folder: Path,
    tell: Progress,
) -> list[_Stems]:
    styles = curves.make_styles(measured.series)
    stems: list[_Stems] = []
    taken: set[str] = set()
    for i, (panel, one) in enumerate(zip(panels, found, strict=True)):
        tell(len(panels) + i, 2 * len(panels), f"drawing {panel.metric.label}")
        name = _slug(f"{panel.dataset}-{panel.metric.name}-{panel.audience}", taken)
        fitting = [r for r in references if r.fits(panel.dataset)]
        fig, notes = curves.draw_curves(
            panel, styles, options.aggregation, fitting, options.log_rate
        )
        curves.save(fig, folder / f"rd-{name}")
        matrix = None
        if len(panel.series) > 1:
            matrix = folder / f"bd-{name}"
            curves.save(curves.draw_matrix(panel, one.matrix, options.method), matrix)
        stems.append(_Stems(folder / f"rd-{name}", matrix, notes))
    tell(2 * len(panels), 2 * len(panels), "writing")
    return stems


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
    panels: Sequence[Panel],
    found: Sequence[_Found],
    rd: Row,
    bd: Row,
    headline: Sequence[tables.Table],
) -> None:
    rows = [flat(row, measured.metrics) for row in rd["rows"]]
    _save(out / "rd.csv", tables.csv_text(rows, list(rows[0])))
    rd_tables = [
        table
        for dataset in dict.fromkeys(row["dataset"] for row in rows)
        for table in layout.rd_tables(rd["rows"], measured, dataset)
    ]
    details = [
        layout.bd_table(one.bd, panel.metric, bd["method"])
        for panel, one in zip(panels, found, strict=True)
        if one.bd
    ]
    for name, listed in (("rd", rd_tables), ("bd", [*headline, *details])):
        _save(out / f"{name}.md", "\n".join(map(tables.markdown, listed)))
        _save(out / f"{name}.tex", tables.LATEX_PREAMBLE + "\n".join(map(tables.latex, listed)))
    for name, listed_rows in (("bd", bd["rows"]), ("bd_matrix", bd["matrix"])):
        columns = list(listed_rows[0]) if listed_rows else ["dataset", "metric"]
        _save(out / f"{name}.csv", tables.csv_text(listed_rows, columns))
    for name, value in (("rd", rd), ("bd", bd)):
        _save(out / f"{name}.json", json.dumps(value, indent=1, allow_nan=False) + "\n")


def _sections(
    rows: Rows,
    measured: Measured,
    panels: Sequence[Panel],
    found: Sequence[_Found],
    stems: Sequence[_Stems],
    rd: Row,
    bd: Row,
    headline: Sequence[tables.Table],
    references: Sequence[Reference],
    notes: Sequence[str],
) -> list[page.Section]:
    sections = [
        page.Section(
            "What was run", [f"{bd['anchor']}."], [provenance.overview_table(measured)],
            notes=notes, prose=True,
        )
    ]  # fmt: skip
    for dataset in dict.fromkeys(s.dataset for s in measured.series):
        section = page.Section(f"Dataset {dataset}")
        section.tables = [t for t in headline if t.rows and t.title.startswith(f"{dataset}")]
        for panel, one, stem in zip(panels, found, stems, strict=True):
            if panel.dataset == dataset:
                section.parts.append(_panel_section(panel, one, stem, bd["method"]))
        section.folded = [
            (f"All points, {layout.AGGREGATION_TITLES[name]}", table)
            for name, table in zip(
                AGGREGATIONS, layout.rd_tables(rd["rows"], measured, dataset), strict=True
            )
        ]
        sections.append(section)
    failures = provenance.failure_table(measured.failures)
    text = [] if measured.failures else ["None: every cell that was run has a result."]
    sections.append(
        page.Section("Failures", text, [failures] if measured.failures else [], prose=True)
    )
    if references:
        sections.append(
            page.Section(
                "Published curves",
                notes=[": ".join(filter(None, (r.label, r.source, r.note))) for r in references],
            )
        )
    provenances = [provenance.run_table(rows.runs), provenance.version_table(rows.runs)]
    sections.append(page.Section("Provenance", tables=provenances, prose=True))
    return sections


def _panel_section(panel: Panel, one: _Found, stem: _Stems, method: str) -> page.Section:
    metric = panel.metric
    name = tables.axis_label(metric.label, metric.unit)
    caption = f"{name} over rate on {panel.dataset}{layout.for_audience(panel.audience)}"
    section = page.Section(
        f"{name}{layout.for_audience(panel.audience)}",
        [f"{metric.description}."] if metric.description else [],
        figures=[(stem.curves, caption)],
        notes=stem.notes,
    )
    folded: list[tuple[str, Any]] = []
    if one.bd:
        folded.append(("BD-rates, intervals and warnings", layout.bd_table(one.bd, metric, method)))
    if stem.matrix:
        folded.append(
            (
                "BD-rate of every codec against every other",
                (
                    stem.matrix,
                    f"BD-rate in % of the column's codec against the row's, {name}, {method}; "
                    "* with warnings (bd_matrix.csv), – no value",
                ),
            )
        )
    section.folded = folded
    return section


def _save(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
