"""What the page of a report shows, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.rows import Rows
from workbench_reports import layout, provenance
from workbench_reports.aggregate import AGGREGATIONS, Measured
from workbench_reports.page import Section
from workbench_reports.panels import Anchor, Panel
from workbench_reports.reference import Reference
from workbench_reports.tables import Table, axis_label

Row = dict[str, Any]


@dataclass(frozen=True)
class Shown:
    """One panel with its deltas and figures (without suffix); ``notes`` belong to the curves."""

    panel: Panel
    bd: list[Row]
    matrix: list[Row]
    curves: Path
    heatmap: Path | None
    notes: list[str]


def bd_details(shown: Shown, method: str) -> Table:
    """Return the table of a panel's deltas."""
    return layout.bd_table(shown.bd, shown.panel.metric, shown.panel.title, method)


def make_sections(
    rows: Rows,
    measured: Measured,
    shown: Sequence[Shown],
    anchor: Anchor,
    rd: Row,
    bd: Row,
    headline: dict[str, list[Table]],
    references: Sequence[Reference],
) -> list[Section]:
    """Arrange everything: overview, a section a dataset, failures, sources, provenance."""
    sections = [
        Section(
            "What was run",
            [*provenance.summary(measured), str(anchor)],
            notes=rd["notes"],
            folded=[("Codecs, points and pictures", provenance.overview_table(measured))],
        )
    ]
    for dataset, title in measured.titles.items():
        tables = layout.rd_tables(rd["rows"], measured, dataset)
        sections.append(
            Section(
                f"Dataset {title}",
                tables=headline.get(dataset, []),
                parts=[
                    _panel_section(one, bd["method"])
                    for one in shown
                    if one.panel.dataset == dataset
                ],
                folded=[
                    (f"All points, {layout.AGGREGATION_TITLES[name]}", table)
                    for name, table in zip(AGGREGATIONS, tables, strict=True)
                ],
            )
        )
    if measured.failures:
        failures = provenance.failure_table(measured.failures)
        sections.append(Section("Failures", tables=[failures], prose=True))
    else:
        sections.append(Section("Failures", ["None: every cell that was run has a result."]))
    if references:
        sources = [": ".join(filter(None, (r.label, r.source, r.note))) for r in references]
        sections.append(Section("Published curves", notes=sources))
    runs = [provenance.run_table(rows.runs), provenance.version_table(rows.runs)]
    sections.append(Section("Provenance", tables=runs, prose=True))
    return sections


def _panel_section(one: Shown, method: str) -> Section:
    metric = one.panel.metric
    name = axis_label(metric.label, metric.unit)
    whom = layout.for_audience(one.panel.audience)
    folded: list[tuple[str, Table | tuple[Path, str]]] = []
    if one.bd:
        folded.append(("BD-rates, intervals and warnings", bd_details(one, method)))
    if one.heatmap:
        caption = (
            f"BD-rate in % of the column's codec against the row's, {name}, {method}; "
            "* with warnings (bd_matrix.csv), – no value"
        )
        folded.append(("BD-rate of every codec against every other", (one.heatmap, caption)))
    return Section(
        f"{name}{whom}",
        [f"{metric.description}."] if metric.description else [],
        figures=[(one.curves, f"{name} over rate on {one.panel.title}{whom}")],
        notes=one.notes,
        folded=folded,
    )
