"""Curves of a panel as LaTeX, for papers: a tikzpicture by pgfplots, with every point in it."""

from __future__ import annotations

import math
from typing import Any

from workbench_reports.aggregate import Aggregation, point_values, rates
from workbench_reports.panels import Panel
from workbench_reports.style import Style
from workbench_reports.tables import axis_label, escape_latex

PREAMBLE = "% \\usepackage[T1]{fontenc} \\usepackage{pgfplots} \\pgfplotsset{compat=1.17}"
MARKS = {
    "o": "*", "s": "square*", "^": "triangle*", "D": "diamond*",
    "v": "triangle*, mark options={rotate=180}", "<": "triangle*, mark options={rotate=90}",
    ">": "triangle*, mark options={rotate=270}",
    "p": "pentagon*", "X": "x", "P": "+", "h": "otimes*", "*": "star", "d": "diamond",
    "H": "oplus*",
}  # fmt: skip


def pgfplots(
    panel: Panel,
    styles: dict[tuple[str, str], Style],
    aggregation: Aggregation,
    log_rate: bool = False,
) -> str:
    """Return a tikzpicture of the panel's curves; single points are marks without a line.

    The enhancement's bits of layered codecs are dotted lines of their own.
    """
    metric = panel.metric
    kind = "semilogxaxis" if log_rate else "axis"
    y_label = axis_label(metric.label, metric.unit)
    if not metric.higher_is_better:
        y_label += ", lower is better"
    lines = [
        PREAMBLE,
        r"\begin{tikzpicture}",
        rf"\begin{{{kind}}}[",
        r"  width=\linewidth, height=0.7\linewidth, grid=major,",
        rf"  xlabel={{Rate [bpp]}}, ylabel={{{escape_latex(y_label)}}},",
        r"  legend pos=outer north east, legend cell align=left,",
        r"  legend style={font=\footnotesize},",
        "]",
    ]
    for label, series in panel.series.items():
        style = styles[series.codec, series.output]
        how: Any = aggregation if series.per_image(metric) else "pooled"
        scores = point_values(series, metric, how)
        valid = series.valid(metric, how)
        parts = {"rate_bpp": label}
        if series.enhancement_bpp is not None:
            parts["enhancement_bpp"] = f"{label}, enhancement only"
        for column, name in parts.items():
            rate = rates(series, column, aggregation, valid)[0]
            points = sorted(
                (float(r), s.value)
                for r, s in zip(rate, scores, strict=True)
                if s.value is not None and math.isfinite(r) and r > 0
            )
            if points:
                look = _look(style, column == "enhancement_bpp", len(points))
                coordinates = " ".join(f"({r:.6g},{value:.6g})" for r, value in points)
                lines += [
                    rf"\addplot[{look}] coordinates {{{coordinates}}};",
                    rf"\addlegendentry{{{escape_latex(name)}}}",
                ]
    return "\n".join([*lines, rf"\end{{{kind}}}", r"\end{tikzpicture}"]) + "\n"


def _look(style: Style, dotted: bool, n_points: int) -> str:
    red, green, blue = (round(255 * channel) for channel in style.colour)
    dashes = "dotted" if dotted else {0: "solid", 2: "dashed"}.get(len(style.dashes), "dashdotted")
    line = "only marks" if n_points == 1 else f"{dashes}, thick"
    colour = f"{{rgb,255:red,{red};green,{green};blue,{blue}}}"
    return f"color={colour}, {line}, mark={MARKS[style.marker]}"
