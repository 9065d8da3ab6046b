"""What describes a detector in ONNX form, read from a TOML file::

classes = "coco"                  # or a table in the network's order: { 3 = "car", 6 = "bus" }

[input]
size = [416, 416]                 # height, width in pixels
order = "bgr"                     # of the channels; or rgb
mean = [0, 0, 0]                  # input = (value 0..255 - mean) * scale, in that order
scale = [1, 1, 1]
placement = "top-left"            # of the scaled picture; or centre, or stretch (no padding)
pad = 114                         # value 0..255 around it

[head]
kind = "yolox"                    # or yolov5, yolov8: see heads.py
strides = [8, 16, 32]             # yolox only: of the grids, in the order of the output
score_threshold = 0.01
nms_iou = 0.65                    # of two boxes of a class that overlap more, one stays
max_detections = 100

[weights]
name = "yolox_nano.onnx"
url = "https://..."
sha256 = "e8af..."                # all 64 digits, or at least the first 8
size_mb = 3.5
licence = "Apache-2.0"
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import PluginError
from workbench.weights import WeightFile
from workbench_plugins.tasks.detection.classes import COCO

CHOICES = {
    "order": ("rgb", "bgr"),
    "placement": ("top-left", "centre", "stretch"),
    "kind": ("yolox", "yolov5", "yolov8"),
}
TABLES = ("input", "head", "weights")


@dataclass(frozen=True)
class Manifest:
    """A detector's description; fields as in the file."""

    classes: dict[int, str]
    size: tuple[int, int]
    order: str
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    placement: str
    pad: float
    kind: str
    score_threshold: float
    nms_iou: float
    max_detections: int
    weights: WeightFile
    strides: tuple[int, ...] = ()

    @property
    def labels(self) -> list[int]:
        """Category ids in the network's order."""
        return list(self.classes)


def read(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        PluginError: the file is missing, no TOML, or a field is missing, unknown or wrong.
    """
    try:
        content = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise PluginError(f"{path}: no such detector manifest") from None
    except (OSError, ValueError) as error:
        raise PluginError(f"{path}: is no TOML file ({error})") from None
    try:
        fields: dict[str, Any] = {**content["input"], **content["head"]}
        unknown = set(content) - {"classes", *TABLES}
        if unknown:
            raise PluginError(f"{path}: unknown entries {sorted(unknown)}")
        for key, value in fields.items():
            fields[key] = tuple(value) if isinstance(value, list) else value
        classes = content["classes"]
        manifest = Manifest(
            **fields,
            classes=COCO if classes == "coco" else {int(k): str(v) for k, v in classes.items()},
            weights=WeightFile(**content["weights"]),
        )
    except KeyError as error:
        raise PluginError(f"{path}: lacks {error}") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise PluginError(f"{path}: {str(error).replace('Manifest.__init__()', 'it')}") from None
    _check(path, manifest)
    return manifest


def _check(path: Path, manifest: Manifest) -> None:
    for field, choices in CHOICES.items():
        value = getattr(manifest, field)
        if value not in choices:
            raise PluginError(f"{path}: {field} {value!r} is not one of {', '.join(choices)}")
    for field, length in (("size", 2), ("mean", 3), ("scale", 3)):
        value = getattr(manifest, field)
        if not (isinstance(value, Sequence) and len(value) == length):
            raise PluginError(f"{path}: {field} {value!r} must be {length} numbers")
    for field in ("score_threshold", "nms_iou"):
        if not 0 <= getattr(manifest, field) <= 1:
            raise PluginError(f"{path}: {field} {getattr(manifest, field)!r} is outside 0..1")
    height, width = manifest.size
    uneven = [s for s in manifest.strides if s < 1 or height % s or width % s]
    if uneven or (manifest.kind == "yolox") != bool(manifest.strides):
        raise PluginError(
            f"{path}: strides {list(manifest.strides)}: a yolox head, and no other, needs some "
            f"that divide {height}x{width}"
        )
