"""How figures look: colours, markers, dashes, fonts, files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from workbench_reports.aggregate import Series

# Seaborn's colour-blind-safe palette without its yellow (too light on white), its grey (published
# curves are grey), its brown and its light pink (too near orange and pink); and black.
COLOURS = [*(sns.color_palette("colorblind")[i] for i in (0, 3, 2, 1, 4, 9)), (0.1, 0.1, 0.1)]
MARKERS = ["o", "s", "^", "D", "v", "<", ">", "p", "X", "P", "h", "*", "d", "H"]
DASHES: list[Any] = ["", (5, 1.6), (8, 1.6, 1.5, 1.6)]
DOTTED = (1, 1.2)
LONGEST = 40  # characters of a name that a figure has room for
PNG_DPI = 200


@dataclass(frozen=True)
class Style:
    """How one output of one codec looks in every figure of a report."""

    colour: tuple[float, float, float]
    marker: str
    dashes: Any


def make_styles(series: Sequence[Series]) -> dict[tuple[str, str], Style]:
    """Give each codec a look of its own; further outputs for the same audience differ in markers.

    Codecs with layers come first, as total bits are drawn solid where there are others.
    """
    layered = {s.codec for s in series if s.enhancement_of}
    codecs = sorted(dict.fromkeys(s.codec for s in series), key=lambda codec: codec not in layered)
    styles = {}
    for i, codec in enumerate(codecs):
        outputs = dict.fromkeys((s.output, s.audience) for s in series if s.codec == codec)
        audiences = [audience for _, audience in outputs]
        for k, (output, audience) in enumerate(outputs):
            before = audiences[:k].count(audience)
            styles[codec, output] = Style(
                COLOURS[i % len(COLOURS)],
                MARKERS[(i + 5 * before) % len(MARKERS)],
                DASHES[i // len(COLOURS) % len(DASHES)],
            )
    return styles


def look_of(style: Style) -> dict[str, int]:
    """The same look as numbers of colour, marker and dashes, for pages with their own colours."""
    return {
        "colour": COLOURS.index(style.colour),
        "marker": MARKERS.index(style.marker),
        "dashes": DASHES.index(style.dashes),
    }


def plain(text: str, longest: int = LONGEST) -> str:
    """Return text that matplotlib draws as it is (no formulas), cut where it is very long."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return short.replace("$", r"\$")


def theme() -> Any:
    """Return a context in which figures look alike; nothing outside it changes."""
    style = {
        **sns.axes_style("ticks"),
        **sns.plotting_context("paper"),
        "axes.grid": True,
        "grid.color": "0.9",
        "grid.linewidth": 0.6,
        "axes.edgecolor": "0.35",
        "axes.linewidth": 0.8,
        "legend.fontsize": 8,
        "svg.hashsalt": "workbench",  # the same rows give the same bytes
    }
    return mpl.rc_context(style)


def save(fig: Figure, stem: Path) -> None:
    """Write ``stem.png`` and ``stem.svg``; the same figure gives the same bytes."""
    with theme():
        # The layout is worked out once, for both files: it takes longer than the drawing.
        engine = fig.get_layout_engine()
        if engine is not None:
            engine.execute(fig)
        fig.set_layout_engine("none")
        fig.savefig(stem.with_name(stem.name + ".png"), dpi=PNG_DPI)
        fig.savefig(stem.with_name(stem.name + ".svg"), metadata={"Date": None})
