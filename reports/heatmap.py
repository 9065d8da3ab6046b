"""The heat map of the BD-rates of all pairs of a panel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from workbench_reports.panels import Panel
from workbench_reports.style import LONGEST, plain, theme

CLIP = 2.0
"""The heat map's colours end at a quarter and at four times the rate: log2(1/4), log2(4)."""


def draw_matrix(panel: Panel, rows: Sequence[dict[str, Any]], method: str) -> Figure:
    """Draw the BD-rates of all pairs; columns and rows from the best curve to the worst."""
    labels = list(panel.comparable)
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
    with theme(), mpl.rc_context({"axes.grid": False}):
        longest = min(LONGEST, max(map(len, labels)))
        size = (1.6 + 0.07 * longest + 0.42 * n, 1.1 + 0.06 * longest + 0.34 * n)
        fig = Figure(figsize=size, layout="constrained")
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
            [math.log2(1 + t / 100) for t in ticks],
            labels=[f"{t:+d}".replace("-", "−") if t else "0" for t in ticks],
        )
        names = [plain(str(label)) for label in order]
        ax.set_xticks(np.arange(n) + 0.5, names, rotation=40, ha="right", rotation_mode="anchor")
        ax.set_yticks(np.arange(n) + 0.5, names, rotation=0)
        ax.tick_params(length=0, labelsize=8)
        ax.set_ylabel("anchor")
        ax.set_xlabel("codec compared with it")
        heading = f"{panel.title} · {panel.metric.label} · {method}"
        ax.set_title(plain(heading, 2 * LONGEST), loc="left", fontsize=8, color="0.35")
    return fig
