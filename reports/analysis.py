"""Everything a report says, before any of it is written: series, deltas, matrices, page data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, get_args

from workbench.api import Metric
from workbench.bd.fit import check_method
from workbench.errors import WorkbenchError, did_you_mean
from workbench.rows import KEPT, Rows
from workbench_reports import data
from workbench_reports.aggregate import AGGREGATIONS, Aggregation, Measured, within
from workbench_reports.collect import collect, of_codecs
from workbench_reports.compare import Comparison
from workbench_reports.deltas import bd_rows
from workbench_reports.matrix import Matrix, make_matrix, matrix_rows
from workbench_reports.panel_data import Strings, panel_json
from workbench_reports.panels import Anchor, Panel, find_anchor, make_panels
from workbench_reports.reference import Reference, load_reference

Row = dict[str, Any]
Progress = Callable[[int, int, str], None]
PARALLEL_PAIRS = 1500
"""Below so many pairs of curves, starting worker processes takes longer than it saves."""


@dataclass(frozen=True)
class Options:
    """What to report.

    ``anchor`` is ``CODEC`` or ``CODEC/OUTPUT``; ``metrics`` and ``codecs`` leave out all others
    when given;
    ``method`` is the BD method that gets intervals; ``rates`` leaves out points whose mean rate is
    not in that range of bpp. ``pictures`` is how many of a dataset are
    written for the viewer and ``picture_points`` at how many points of a codec; None is all.
    """

    anchor: str | None = None
    metrics: Sequence[str] = ()
    codecs: Sequence[str] = ()
    aggregation: Aggregation = "mean"
    method: str = "pchip"
    rates: tuple[float, float] | None = None
    log_rate: bool = False
    references: Sequence[Path] = ()
    resamples: int = 1000
    level: float = 0.95
    pictures: int | None = 3
    picture_points: int | None = 4


@dataclass(frozen=True)
class Compared:
    """One panel with its deltas against the anchor and those of all pairs."""

    panel: Panel
    bd: list[Row]
    matrix: Matrix
    pairs: list[Row]


@dataclass(frozen=True)
class Analysis:
    """What a report is made of; ``notes`` say what was left out and why."""

    rows: Rows
    measured: Measured
    anchor: Anchor
    references: list[Reference]
    notes: list[str]
    compared: list[Compared]
    options: Options
    disagreements: list[dict[str, Any]] = field(default_factory=list)
    networks: dict[str, Row] = field(default_factory=dict)

    def fitting(self, panel: Panel) -> list[Reference]:
        """The published curves of a panel's dataset."""
        return [r for r in self.references if r.fits(panel.dataset)]


def analyse(
    rows: Rows,
    known: dict[str, Metric],
    options: Options,
    tell: Progress = lambda done, total, what: None,
    pool: Executor | Here | None = None,
) -> Analysis:
    """Arrange rows and compare all that may be compared, in ``pool`` where one is given.

    Raises:
        WorkbenchError: no rows, an unknown anchor, metric or method, or a bad reference file.
    """
    check_method(options.method)
    if options.aggregation not in get_args(Aggregation):
        raise WorkbenchError(
            f"aggregation {options.aggregation!r}: must be one of {', '.join(AGGREGATIONS)}"
        )
    references = [r for path in options.references for r in load_reference(Path(path))]
    measured = _measured(rows, known, options)
    anchor = find_anchor(measured, options.anchor)
    notes = [*measured.notes, *_version_notes(rows), *_reference_notes(references, measured)]
    panels = make_panels(measured)
    compared = []
    n = len(panels)
    todo = (pool or Here()).map(_compare, panels, [anchor] * n, [options] * n)
    for i, panel in enumerate(panels):
        tell(i, n, panel.metric.label)
        compared.append(next(todo))
    return Analysis(rows, measured, anchor, references, notes, compared, options)


def _compare(panel: Panel, anchor: Anchor, options: Options) -> Compared:
    comparison = Comparison(panel, options.aggregation, options.resamples)
    bd = bd_rows(comparison, anchor, options.method, options.level)
    matrix = make_matrix(comparison, options.method, options.level)
    return Compared(panel, bd, matrix, matrix_rows(comparison, matrix))


class Here:
    """Maps in this process, where a pool would not pay."""

    map = staticmethod(map)


@contextmanager
def workers(rows: Rows) -> Iterator[Executor | Here]:
    """Yield something with ``map``: worker processes where there is much to compare and draw."""
    cores = os.cpu_count() or 1
    curves = rows.images.groupby("dataset")["codec"].nunique()
    metrics = len([c for c in rows.images.columns if c not in KEPT]) + rows.sets["metric"].nunique()
    if (curves**2).sum() * metrics < PARALLEL_PAIRS or cores < 2:
        yield Here()
        return
    # Spawned, as the host's workers are: forking a process with threads may hang.
    with ProcessPoolExecutor(min(cores, 8), mp_context=get_context("spawn")) as pool:
        yield pool


def page_data(
    analysis: Analysis, figures: Sequence[Row] = (), extra: Row | None = None
) -> dict[str, Any]:
    """Return the page's data, see docs/report.md; ``figures`` names the files of each panel."""
    options = analysis.options
    curves, index = data.curves_json(
        analysis.measured, analysis.rows, options.level, options.resamples
    )
    for curve, by_task in zip(curves, analysis.disagreements, strict=False):
        curve["disagreement"] = {task: data.listed(v) for task, v in by_task.items()}
    strings = Strings()
    panels = [
        panel_json(
            one.panel, index, one.matrix, analysis.fitting(one.panel), strings,
            figures[i] if i < len(figures) else {},
        )
        for i, one in enumerate(analysis.compared)
    ]  # fmt: skip
    shown = {
        "aggregation": options.aggregation,
        "method": options.method,
        "log_rate": options.log_rate,
        "level": options.level,
        "resamples": options.resamples,
    }
    made = data.assemble(
        analysis.measured, analysis.rows, analysis.anchor, curves, panels, strings.listed, shown,
        analysis.notes,
    )  # fmt: skip
    return made | {"networks": analysis.networks} | (extra or {})


def _measured(rows: Rows, known: dict[str, Metric], options: Options) -> Measured:
    if rows.images.empty:
        raise WorkbenchError("no measured pictures here: make some with workbench run")
    measured = collect(of_codecs(rows, options.codecs) if options.codecs else rows, known)
    if options.rates:
        measured = within(measured, *options.rates)
    for name in options.metrics:
        if name not in measured.metrics:
            hint = did_you_mean(name, measured.metrics)
            raise WorkbenchError(f"--metric {name!r}: no values of it here.{hint}")
    if options.metrics:
        measured.metrics = {name: measured.metrics[name] for name in options.metrics}
    return measured


def _version_notes(rows: Rows) -> list[str]:
    """Say which plugins ran in several versions: rows of the same cell are then told apart."""
    states: dict[str, set[str]] = {}
    for run in rows.runs.values():
        for name, plugin in run.get("plugins", {}).items():
            state = [plugin.get(key) for key in ("versions", "code", "fingerprint")]
            states.setdefault(name, set()).add(repr(state))
    several = sorted(name for name, known in states.items() if len(known) > 1)
    if not several:
        return []
    return [
        f"run in several versions, see Provenance: {', '.join(several)}; "
        "of each cell the newest counts"
    ]


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
