"""Rate-distortion curves of a panel, with published ones beside them."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from workbench_reports.aggregate import Aggregation, point_values, rates
from workbench_reports.panels import Panel
from workbench_reports.reference import Reference
from workbench_reports.style import DOTTED, LONGEST, Style, plain, theme
from workbench_reports.tables import axis_label

REFERENCE_DASHES = [(0, (5, 2)), (0, (2.5, 1.5)), (0, (7, 2, 1.5, 2))]
GREY = "0.4"


def draw_curves(
    panel: Panel,
    styles: dict[tuple[str, str], Style],
    aggregation: Aggregation,
    references: Sequence[Reference] = (),
    log_rate: bool = False,
) -> tuple[Figure, list[str]]:
    """Draw every curve of a panel with all its points; return the figure and its notes.

    A codec of one point far to the right, such as a lossless one, is a line at its quality.
    """
    everything, notes = _points(panel, aggregation)
    curved = everything.loc[~everything["single"], "rate"]
    level = everything["single"] & (everything["rate"] > 1.1 * curved.max())
    points, levels = everything[~level], everything[level]
    labels = list(dict.fromkeys(everything["curve"]))
    looks = {label: styles[(s.codec, s.output)] for label, s in panel.series.items()}
    with theme():
        longest = min(LONGEST, max(map(len, [*labels, *(r.label for r in references)]), default=0))
        height = max(4.2, 0.165 * (len(labels) + len(references) + 2) + 0.5)
        fig = Figure(figsize=(6.2 + 0.07 * longest, height), layout="constrained")
        ax = fig.subplots()
        for part, kind in points.groupby("part", sort=False):
            # Seaborn takes dashes of markers drawn without lines for styles too: one call a part.
            here = {label: looks[label] for label in dict.fromkeys(kind["curve"])}
            sns.lineplot(
                kind, x="rate", y="quality", hue="curve", style="curve", ax=ax,
                palette={k: s.colour for k, s in here.items()},
                markers={k: s.marker for k, s in here.items()},
                dashes={k: DOTTED if part == "enhancement" else s.dashes
                        for k, s in here.items()},
                estimator=None, legend=False, linewidth=1.3, markersize=5.2,
                markeredgewidth=0.5,
            )  # fmt: skip
        partial = points[points["partial"]]
        for label, some in partial.groupby("curve", sort=False):
            look = looks[str(label)]
            ax.plot(some["rate"], some["quality"], look.marker, color="white", ms=5.2,
                    markeredgecolor=look.colour, markeredgewidth=1.2, zorder=5)  # fmt: skip
        lines = [
            ax.axhline(
                row["quality"], color=looks[row["curve"]].colour, linestyle=(0, (1, 2)),
                linewidth=1, label=f"{plain(row['curve'])} ({row['rate']:.3g} bpp)",
            )
            for row in levels.to_dict("records")
        ]  # fmt: skip
        _set_axes(ax, panel, points, log_rate)
        handles = [*lines, *_legend(ax, panel, points, looks)]
        known = _draw_references(ax, panel, points, references, notes)
        how = {"mean": "mean over pictures", "pooled": "pooled"}[aggregation]
        title = f"{panel.title} · {_n_pictures(panel)}"
        if panel.metric.pool != "set":
            title += f" · {how}"
        ax.set_title(plain(title, 2 * LONGEST), loc="left", fontsize=8, color="0.35")
        if known:
            handles += [Line2D([], [], linestyle="", label="published:"), *known]
        legend = fig.legend(
            handles=handles, loc="outside right upper", frameon=False, handlelength=2.6,
            labelspacing=0.35, borderaxespad=0,
        )  # fmt: skip
        for text in legend.get_texts():
            text.set_color("0.35" if text.get_text() == "published:" else "black")
    return fig, notes


def _points(panel: Panel, aggregation: Aggregation) -> tuple[pd.DataFrame, list[str]]:
    """Return all drawable points: curve, part (total or enhancement), rate, quality, partial."""
    found, notes = [], []
    for label, series in panel.series.items():
        how = aggregation if series.per_image(panel.metric) else "pooled"
        valid = series.valid(panel.metric, how)
        values = point_values(series, panel.metric, how)
        parts = {"total": "rate_bpp"}
        if series.enhancement_bpp is not None:
            parts["enhancement"] = "enhancement_bpp"
        for part, column in parts.items():
            rate = rates(series, column, aggregation, valid)[0]
            for p, score in enumerate(values):
                if score.value is None and part == "total":
                    notes.append(f"{label} {series.points[p]} is not drawn: {score.reason}")
                if score.value is not None and rate[p] > 0:
                    found.append(
                        {
                            "curve": label,
                            "part": part,
                            "rate": rate[p],
                            "quality": score.value,
                            "n_images": score.n_images,
                            "single": len(series.points) == 1,
                            "partial": score.n_images < len(series.images),
                        }
                    )
    columns = ["curve", "part", "rate", "quality", "n_images", "single", "partial"]
    kinds = {"rate": float, "quality": float, "single": bool, "partial": bool}
    frame = pd.DataFrame(found, columns=columns).astype(kinds)
    return frame.sort_values("rate", kind="stable"), notes


def _n_pictures(panel: Panel) -> str:
    n_images = max(len(s.images) for s in panel.series.values())
    return f"{n_images} picture{'' if n_images == 1 else 's'}"


def _set_axes(ax: Axes, panel: Panel, points: pd.DataFrame, log_rate: bool) -> None:
    ax.set_xlabel("Rate [bpp]")
    ax.set_ylabel(plain(axis_label(panel.metric.label, panel.metric.unit)))
    if not panel.metric.higher_is_better:
        ax.set_ylabel(ax.get_ylabel() + ", lower is better")
    sns.despine(ax=ax)
    if points.empty:
        return
    low, high = points["rate"].min(), points["rate"].max()
    if log_rate:
        ax.set_xscale("log")
        ax.set_xlim(low / 1.12, high * 1.12)
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        ax.xaxis.set_major_locator(FixedLocator([m * 10**d for d in decades for m in (1, 2, 5)]))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.set_xlim(0, high * 1.03)
    # Published curves that reach further are cut off here rather than squeeze the measured ones.
    ax.set_ylim(*ax.get_ylim())


def _legend(ax: Axes, panel: Panel, points: pd.DataFrame, looks: dict[str, Style]) -> list[Line2D]:
    """Return legend entries from the best curve in the middle of the figure to the worst."""
    total = points[points["part"] == "total"]
    if total.empty:
        return []
    middle = float(np.log(total["rate"]).median())
    sign = 1 if panel.metric.higher_is_better else -1

    def height(label: str) -> float:
        own = total[total["curve"] == label]
        return sign * float(np.interp(middle, np.log(own["rate"]), own["quality"]))

    handles = []
    for label in sorted(dict.fromkeys(total["curve"]), key=height, reverse=True):
        look, own = looks[label], points[points["curve"] == label]
        series = panel.series[label]
        text = plain(label)
        if own["partial"].any():
            fewest = int(own["n_images"].min())
            text += f" ({fewest} of {len(series.images)} pictures)"
        for part in dict.fromkeys(own["part"]):
            dotted = part == "enhancement"
            dashes = DOTTED if dotted else look.dashes
            handles.append(
                Line2D(
                    [], [], color=look.colour, marker=look.marker, markersize=5,
                    markeredgecolor="white", markeredgewidth=0.5, linewidth=1.3,
                    linestyle=(0, dashes) if dashes else "-",
                    label=f"{text}, enhancement only" if dotted else text,
                )
            )  # fmt: skip
    return handles


def _draw_references(
    ax: Axes,
    panel: Panel,
    points: pd.DataFrame,
    references: Sequence[Reference],
    notes: list[str],
) -> list[Line2D]:
    """Draw published curves that match; a letter on each line stands for its name."""
    handles: list[Line2D] = []
    matching = [(r, values) for r in references if (values := r.of(panel.metric)) is not None]
    to_axes = ax.transData + ax.transAxes.inverted()
    # Letters keep away from each other and from measured points.
    taken = [*to_axes.transform(points[["rate", "quality"]].to_numpy())]
    for k, (reference, values) in enumerate(matching):
        line = np.column_stack([reference.bpp, values])
        where = to_axes.transform(line)
        seen = np.flatnonzero(((where > 0.02) & (where < 0.98)).all(axis=1))
        if not seen.size:
            notes.append(f"published {reference.label} lies outside the figure")
            continue
        letter = string.ascii_letters[len(handles) % 52]
        look = {
            "color": GREY, "linewidth": 0.8,
            "linestyle": REFERENCE_DASHES[k % len(REFERENCE_DASHES)],
        }  # fmt: skip
        ax.plot(*line.T, zorder=1.5, **look)
        gaps = np.linalg.norm(where[seen, None] - np.array(taken)[None], axis=2).min(axis=1)
        at = seen[gaps.argmax()]
        taken.append(where[at])
        ax.text(
            *line[at], letter, fontsize=7, color="0.2", ha="center", va="center", zorder=4,
            bbox={"boxstyle": "circle,pad=0.12", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip
        handles.append(Line2D([], [], label=f"{letter}: {plain(reference.label)}", **look))
    return handles
