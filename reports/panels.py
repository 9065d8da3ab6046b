"""Which curves may be compared, and with which anchor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.api import Metric
from workbench.errors import WorkbenchError, did_you_mean
from workbench_reports.aggregate import Measured, Series

DEFAULT_ANCHOR = "jpeg"


@dataclass(frozen=True)
class Panel:
    """Curves that may be compared: one dataset, one metric, one audience.

    ``series`` is by label: the codec, with its output where the codec has several here.
    ``title`` is the dataset's short name.
    """

    dataset: str
    title: str
    metric: Metric
    audience: str
    series: dict[str, Series]

    @property
    def comparable(self) -> dict[str, Series]:
        """The series that are curves: one point alone has no BD-rate."""
        return {label: s for label, s in self.series.items() if len(s.points) > 1}


@dataclass(frozen=True)
class Anchor:
    """The codec that others are compared with; ``output`` is empty where none was named."""

    codec: str
    output: str = ""
    by_default: bool = False

    def __str__(self) -> str:
        name = f"{self.codec}/{self.output}" if self.output else self.codec
        how = ", by default: --anchor names another" if self.by_default else ""
        return f"Anchor: {name}{how}."

    def label(self, panel: Panel) -> str | None:
        """The anchor's curve in a panel; of several outputs the first, if none was named."""
        for label, series in panel.comparable.items():
            if series.codec == self.codec and self.output in ("", series.output):
                return label
        return None


def find_anchor(measured: Measured, name: str | None) -> Anchor:
    """Resolve ``CODEC`` or ``CODEC/OUTPUT``; without a name jpeg, or the first curve.

    Raises:
        WorkbenchError: no such codec or output in the rows.
    """
    outputs: dict[str, list[str]] = {}
    for series in measured.series:
        outputs.setdefault(series.codec, []).append(series.output)
    if name is None:
        curves = [s.codec for s in measured.series if len(s.points) > 1] or list(outputs)
        codec = DEFAULT_ANCHOR if DEFAULT_ANCHOR in curves else curves[0]
        return Anchor(codec, by_default=True)
    if name in outputs:
        return Anchor(name)
    codec, _, output = name.rpartition("/")
    if codec not in outputs:
        raise WorkbenchError(f"--anchor {name!r}: no such codec here.{did_you_mean(name, outputs)}")
    if output not in outputs[codec]:
        hint = did_you_mean(output, set(outputs[codec]))
        raise WorkbenchError(f"--anchor {name!r}: {codec} has no output {output!r}.{hint}")
    return Anchor(codec, output)


def make_panels(measured: Measured) -> list[Panel]:
    """Group curves for comparison.

    Outputs for ``any`` audience stand beside those for humans and beside those for machines.
    """
    panels = []
    for dataset in dict.fromkeys(series.dataset for series in measured.series):
        for metric in measured.metrics.values():
            found = [s for s in measured.series if s.dataset == dataset and s.has(metric)]
            audiences = sorted({s.audience for s in found} - {"any"}) or ["any"]
            for audience in audiences:
                here = [s for s in found if s.audience in (audience, "any")]
                if here:
                    title = measured.titles[dataset]
                    panels.append(Panel(dataset, title, metric, audience, _labelled(here)))
    return panels


def _labelled(series: Sequence[Series]) -> dict[str, Series]:
    codecs = [s.codec for s in series]
    return {s.codec if codecs.count(s.codec) == 1 else f"{s.codec} ({s.output})": s for s in series}
