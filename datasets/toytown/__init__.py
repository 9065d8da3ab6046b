"""Toytown: procedural street scenes with perfect ground truth, free of any licence.

`render(split, index)` draws the scene with that name: 512x320 sRGB, with a semantic map, an
instance map and the list of objects. Six classes are things (person, cyclist, car, truck, bus,
sign), five are stuff (road, pavement, building, vegetation, sky); poles and street furniture are
void. The stream of any split is endless; `val` is its first 64 scenes.

Determinism: random numbers come from SHA-256 and from Philox's raw stream, and every float on the
way to a pixel comes from operations that IEEE 754 rounds exactly (+, -, *, /, sqrt, floor, min,
max), applied element by element: no library sine, exponential, power, sum or matrix product. The
same scene is therefore the same bytes on every machine; `VERSION` changes when pictures do.

Licence: the scenes are the program's own output and are dedicated to the public domain (CC0-1.0).
"""

from __future__ import annotations

from workbench_datasets.toytown.dataset import VAL_SCENES, Toytown, workbench_datasets

__all__ = ["VAL_SCENES", "Toytown", "workbench_datasets"]
