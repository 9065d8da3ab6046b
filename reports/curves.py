"""Figures: rate-distortion curves of a panel, and the heat map of all BD-rates in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from workbench_reports.aggregate import Aggregation, Series, point_values, rates
from workbench_reports.compare import Panel
from workbench_reports.reference import Reference
from workbench_reports.tables import axis_label

# Seaborn's colour-blind-safe palette without its yellow (too light on white) and its grey
# (published curves are grey).
COLOURS = [sns.color_palette("colorblind")[i] for i in (0, 3, 2, 1, 4, 9, 5, 6)]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "d", "*", "H"]
DASHES: list[Any] = ["", (5, 1.6), (8, 1.6, 1.5, 1.6)]
DOTTED = (1, 1.2)
REFERENCE_DASHES = [(0, (5, 2)), (0, (2.5, 1.5)), (0, (7, 2, 1.5, 2))]
GREY = "0.4"
PNG_DPI = 200
CLIP = 2.0
"""The heat map's colours end at a quarter and at four times the rate: log2(1/4), log2(4)."""


@dataclass(frozen=True)
class Style:
    """How one output of one codec looks in every figure of a report."""

    colour: tuple[float, float, float]
    marker: str
    dashes: Any


def make_styles(series: Sequence[Series]) -> dict[tuple[str, str], Style]:
    """Give each (codec, output) a look of its own: colour, marker and dashes together."""
    styles = {}
    for i, key in enumerate(dict.fromkeys((s.codec, s.output) for s in series)):
        layered = any(s.enhancement_of for s in series if (s.codec, s.output) == key)
        # Total bits of layered codecs are solid, as the literature draws them.
        dashes = "" if layered else DASHES[i // len(COLOURS) % len(DASHES)]
        styles[key] = Style(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], dashes)
    return styles


def plain(text: str) -> str:
    """Return text that matplotlib draws as it is: a dollar sign starts no formula."""
    return text.replace("$", r"\$")


def draw_curves(
    panel: Panel,
    styles: dict[tuple[str, str], Style],
    aggregation: Aggregation,
    references: Sequence[Reference] = (),
    log_rate: bool = False,
) -> tuple[Figure, list[str]]:
    """Draw every curve of a panel with all its points; return the figure and its notes."""
    points, notes = _points(panel, aggregation)
    labels = list(dict.fromkeys(points["curve"]))
    looks = {label: styles[(s.codec, s.output)] for label, s in panel.series.items()}
    with _theme():
        n_entries = len(labels) + len(references) + 2
        fig = Figure(figsize=(7.4, max(4.2, 0.165 * n_entries + 0.5)), layout="constrained")
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
        _set_axes(ax, panel, points, log_rate)
        handles = _legend(ax, panel, points, looks)
        known = _draw_references(ax, panel, references, notes)
        title = f"{panel.dataset} · {_n_pictures(panel)} · " + (
            "mean of pictures" if aggregation == "mean" else "pooled"
        )
        ax.set_title(plain(title), loc="left", fontsize=8, color="0.35")
        if known:
            handles += [Line2D([], [], linestyle="", label="published:"), *known]
        legend = fig.legend(
            handles=handles, loc="outside right upper", frameon=False, handlelength=2.6,
            labelspacing=0.35, borderaxespad=0,
        )  # fmt: skip
        for text in legend.get_texts():
            text.set_color("0.35" if text.get_text() == "published:" else "black")
    return fig, notes


def _theme() -> Any:
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


def _points(panel: Panel, aggregation: Aggregation) -> tuple[pd.DataFrame, list[str]]:
    """Return all drawable points: curve, part (total or enhancement), rate, quality, partial."""
    found, notes = [], []
    for label, series in panel.series.items():
        valid = series.valid(panel.metric)
        values = point_values(
            series, panel.metric, aggregation if series.per_image(panel.metric) else "pooled"
        )
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
                            "partial": score.n_images < len(series.images),
                        }
                    )
    columns = ["curve", "part", "rate", "quality", "partial"]
    return pd.DataFrame(found, columns=columns).sort_values("rate", kind="stable"), notes


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


def _legend(
    ax: Axes, panel: Panel, points: pd.DataFrame, looks: dict[str, Style]
) -> list[Line2D]:
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
            fewest = min(v.n_images for v in point_values(series, panel.metric, "pooled"))
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
    ax: Axes, panel: Panel, references: Sequence[Reference], notes: list[str]
) -> list[Line2D]:
    """Draw published curves that match; a letter on each line stands for its name."""
    handles: list[Line2D] = []
    matching = [(r, values) for r in references if (values := r.of(panel.metric)) is not None]
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    for k, (reference, values) in enumerate(matching):
        x, y = np.array(reference.bpp), np.array(values)
        seen = np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))
        if not seen.size:
            notes.append(f"published {reference.label} lies outside the figure")
            continue
        letter = chr(ord("a") + len(handles) % 26)
        # Letters at different places of neighbouring curves do not hide each other.
        share = 0.25 + 0.75 * (k % 4) / 3
        line = {
            "color": GREY, "linewidth": 0.8, "marker": f"${letter}$", "markersize": 5.5,
            "markeredgewidth": 0.2, "linestyle": REFERENCE_DASHES[k % len(REFERENCE_DASHES)],
        }  # fmt: skip
        at = int(seen[round(share * (seen.size - 1))])
        ax.plot(x, y, markevery=[at], zorder=1.5, **line)
        handles.append(Line2D([], [], label=plain(reference.label), **line))
    return handles


def draw_matrix(panel: Panel, rows: Sequence[dict[str, Any]], method: str) -> Figure:
    """Draw the BD-rates of all pairs; columns and rows from the best curve to the worst."""
    labels = list(panel.series)
    values = pd.DataFrame(np.nan, index=labels, columns=labels)
    texts = pd.DataFrame("–", index=labels, columns=labels)
    for row in rows:
        value, a, t = row["bd_rate_percent"], row["anchor"], row["curve"]
        if value is not None:
            values.loc[a, t] = math.log2(1 + value / 100)
            mark = "*" if row["warnings"] and a != t else ""
            texts.loc[a, t] = "0" if a == t else f"{value:+.0f}{mark}".replace("-", "−")
    order = values.mean().sort_values(na_position="last", kind="stable").index
    values, texts = values.loc[order, order], texts.loc[order, order]
    n = len(labels)
    with _theme(), mpl.rc_context({"axes.grid": False}):
        width = 2.2 + 0.42 * n
        fig = Figure(figsize=(width, 1.5 + 0.34 * n), layout="constrained")
        ax = fig.subplots()
        ax.set_facecolor("0.93")
        sns.heatmap(
            values, annot=texts, fmt="", cmap="vlag", vmin=-CLIP, vmax=CLIP, ax=ax,
            linewidths=0.6, linecolor="white", annot_kws={"fontsize": 7},
            cbar_kws={"label": "BD-rate [%]", "shrink": 0.8, "pad": 0.02},
            mask=values.isna(),
        )  # fmt: skip
        missing = values.isna().to_numpy()
        for row, column in zip(*np.nonzero(missing), strict=True):
            ax.text(column + 0.5, row + 0.5, "–", ha="center", va="center", fontsize=7)
        ticks = [-75, -50, 0, 100, 300]
        bar = ax.collections[0].colorbar
        assert bar is not None
        bar.set_ticks(
            [math.log2(1 + t / 100) for t in ticks], labels=[f"{t:+d}" if t else "0" for t in ticks]
        )
        names = [plain(str(label)) for label in order]
        ax.set_xticks(np.arange(n) + 0.5, names, rotation=40, ha="right", rotation_mode="anchor")
        ax.set_yticks(np.arange(n) + 0.5, names, rotation=0)
        ax.tick_params(length=0, labelsize=8)
        ax.set_ylabel("anchor")
        ax.set_xlabel("codec compared with it")
        heading = f"{panel.dataset} · {panel.metric.label} · {method}"
        ax.set_title(plain(heading), loc="left", fontsize=8, color="0.35")
    return fig


def save(fig: Figure, stem: Path) -> None:
    """Write ``stem.png`` and ``stem.svg``; the same figure gives the same bytes."""
    with _theme():
        fig.savefig(stem.with_name(stem.name + ".png"), dpi=PNG_DPI)
        fig.savefig(stem.with_name(stem.name + ".svg"), metadata={"Date": None})
