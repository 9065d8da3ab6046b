"""The codec workbench: image codecs and vision tasks side by side.

Plugin authors find everything in :mod:`workbench.api`, re-exported here. ``workbench.run`` runs a
comparison and returns a pandas DataFrame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.api import (
    Codec,
    Dataset,
    Item,
    Metric,
    Output,
    QualityTask,
    Resources,
    Task,
    hookimpl,
)
from workbench.errors import ImageError, StreamError
from workbench.points import Point, Points, points
from workbench.training import Finetunable, Segmenter, Trainer, TrainJob

if TYPE_CHECKING:
    from workbench.runner import run

__version__ = "0.1.0"
__all__ = [
    "Codec",
    "Dataset",
    "Finetunable",
    "ImageError",
    "Item",
    "Metric",
    "Output",
    "Point",
    "Points",
    "QualityTask",
    "Resources",
    "Segmenter",
    "StreamError",
    "Task",
    "TrainJob",
    "Trainer",
    "hookimpl",
    "points",
    "run",
]


def __getattr__(name: str) -> Any:
    # Running needs pandas; listing plugins must not wait for it.
    if name == "run":
        from workbench.runner import run

        return run
    raise AttributeError(f"module 'workbench' has no attribute {name!r}")
