"""The part of the page's data that compares curves; docs/report.md has its schema."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from workbench_reports.data import Json, short
from workbench_reports.matrix import KINDS, Matrix
from workbench_reports.panels import Panel
from workbench_reports.reference import Reference


class Strings:
    """Texts that occur many times, each kept once: ``index`` finds or adds one."""

    def __init__(self) -> None:
        self.listed: list[str] = []
        self._known: dict[str, int] = {}

    def index(self, text: str) -> int:
        if text not in self._known:
            self._known[text] = len(self.listed)
            self.listed.append(text)
        return self._known[text]

    def indexes(self, texts: Iterable[str]) -> list[int]:
        return [self.index(text) for text in texts]


def panel_json(
    panel: Panel,
    index: dict[tuple[str, str, str], int],
    matrix: Matrix,
    references: Sequence[Reference],
    strings: Strings,
    figures: Json,
) -> Json:
    """One panel: its curves, published ones, and the matrix of its deltas."""
    datasets = dict.fromkeys(key[0] for key in index)
    found = []
    for reference in references:
        values = reference.of(panel.metric)
        if values is not None:
            found.append(
                {
                    "label": reference.label,
                    "source": reference.source,
                    "note": reference.note,
                    "aggregation": reference.aggregation,
                    "rate_bpp": list(reference.bpp),
                    "value": list(values),
                }
            )
    return {
        "dataset": list(datasets).index(panel.dataset),
        "metric": panel.metric.name,
        "audience": panel.audience,
        "curves": [index[s.dataset, s.codec, s.output] for s in panel.series.values()],
        "labels": list(panel.series),
        "references": found,
        "matrix": _matrix_json(matrix, strings),
        "figures": figures,
    }


def _matrix_json(matrix: Matrix, strings: Strings) -> Json:
    """Lists of [anchor][curve] in the order of ``labels``; null on the diagonal."""

    def table(kind: Any, of: Any) -> list[list[Any]]:
        pairs = matrix.pairs[kind]
        return [
            [of(pairs[a, t]) if (a, t) in pairs else None for t in matrix.labels]
            for a in matrix.labels
        ]

    def text(value: str | None) -> int | None:
        return None if value is None else strings.index(value)

    def by(method: str) -> Any:
        return lambda pair: short(pair.values[method])

    made: Json = {"labels": matrix.labels, "methods": matrix.methods}
    for kind in KINDS:
        made[kind] = {
            "values": {method: table(kind, by(method)) for method in matrix.methods},
            "low": table(kind, lambda p: short(p.low)),
            "high": table(kind, lambda p: short(p.high)),
            "overlap": table(kind, lambda p: None if p.overlap is None else round(p.overlap, 3)),
            "n_images": table(kind, lambda p: p.n_images),
            "reason": table(kind, lambda p: text(p.reason)),
            "interval_reason": table(kind, lambda p: text(p.interval_reason)),
            "warnings": table(kind, lambda p: strings.indexes(dict.fromkeys(p.warnings))),
        }
    return made
