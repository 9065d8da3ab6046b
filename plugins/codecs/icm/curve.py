"""The rate-distortion curve of a training run on held-out pictures, redrawn as it goes."""

from __future__ import annotations

import csv
from itertools import groupby
from pathlib import Path

# Earlier curves than these would only cover the paper.
EARLIER = 5


def draw(held_out: Path, out: Path) -> None:
    """Read the log of held-out measurements and write a PNG: the last curve and some before it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with held_out.open(newline="") as file:
        rows = [
            {key: float(value) for key, value in row.items() if key is not None}
            for row in csv.DictReader(file)
        ]
    curves = [list(group) for _, group in groupby(rows, key=lambda row: row["step"])]
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot(
        xlabel="estimated rate, bit per pixel", ylabel="PSNR-RGB, dB", title=held_out.parent.name
    )
    for age, curve in enumerate(reversed(curves[-1 - EARLIER :])):
        axes.plot(
            [row["rate_bpp"] for row in curve],
            [row["psnr_db"] for row in curve],
            "o-",
            color="C0" if age == 0 else "0.6",
            alpha=1 / (1 + 0.5 * age),
            label=f"step {curve[0]['step']:.0f}",
        )
    axes.grid(alpha=0.3)
    axes.legend()
    part = out.with_suffix(".part.png")
    FigureCanvasAgg(figure).print_png(part)
    part.replace(out)
