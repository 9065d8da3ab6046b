"""Published curves to draw beside measured ones.

::

    {"dataset": "kodak", "aggregation": "...",
     "curves": {"jpeg (Pillow)": {"bpp": [...], "psnr_rgb_db": [...], "source": "...", "note": ""}}}

A metric's key is the metric's name, or its name and unit: ``psnr_rgb`` or ``psnr_rgb_db``.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.api import Metric
from workbench.errors import WorkbenchError
from workbench_reports.collect import short_name


@dataclass(frozen=True)
class Reference:
    """One published curve: rates and values by metric key, ascending in rate."""

    label: str
    dataset: str
    bpp: tuple[float, ...]
    values: dict[str, tuple[float, ...]]
    source: str
    note: str
    aggregation: str

    def fits(self, dataset: str) -> bool:
        """Whether it is about a dataset: the same name, or a folder of that name."""
        names = (dataset.lower(), short_name(dataset).lower())
        return not self.dataset or self.dataset.lower() in names

    def of(self, metric: Metric) -> tuple[float, ...] | None:
        """Return its values of a metric, one a rate, if it has any."""
        for key in (metric.name, f"{metric.name}_{metric.unit.lower()}"):
            if key in self.values:
                return self.values[key]
        return None


def load_reference(path: Path) -> list[Reference]:
    """Read the curves of one file.

    Raises:
        WorkbenchError: the file cannot be read or is not of the format above.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WorkbenchError(f"--reference {path}: {error.strerror}") from None
    except ValueError as error:
        raise WorkbenchError(f"--reference {path}: not JSON ({error})") from None
    curves = content.get("curves") if isinstance(content, dict) else None
    if not isinstance(curves, dict) or not curves:
        raise WorkbenchError(f'--reference {path}: has no "curves": {{label: {{"bpp": [...]}}}}')
    found = []
    for label, curve in curves.items():
        where = f"--reference {path}: curve {label!r}"
        if not isinstance(curve, dict):
            raise WorkbenchError(f"{where}: must be an object with bpp and metrics")
        bpp = _numbers(curve.get("bpp"), f"{where}: bpp")
        order = sorted(range(len(bpp)), key=bpp.__getitem__)
        values = {}
        for key, column in curve.items():
            if key == "bpp" or not isinstance(column, list):
                continue
            numbers = _numbers(column, f"{where}: {key}")
            if len(numbers) != len(bpp):
                raise WorkbenchError(f"{where}: {key} has {len(numbers)} values, bpp {len(bpp)}")
            values[key] = tuple(numbers[i] for i in order)
        found.append(
            Reference(
                str(label),
                str(content.get("dataset") or ""),
                tuple(bpp[i] for i in order),
                values,
                str(curve.get("source") or ""),
                str(curve.get("note") or ""),
                str(content.get("aggregation") or ""),
            )
        )
    return found


def _numbers(values: Any, what: str) -> list[float]:
    if not isinstance(values, list) or not values:
        raise WorkbenchError(f"{what}: must be a list of numbers")
    for value in values:
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise WorkbenchError(f"{what}: {value!r} is no finite number")
    return [float(value) for value in values]
