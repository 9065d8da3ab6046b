"""Checks of what plugins return, and the way from payloads to streams and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.api import Codec, Payload
from workbench.container import Stream
from workbench.errors import PluginError
from workbench.points import Point


def to_stream(
    codec: Codec | type[Codec], point: Point, width: int, height: int, payload: Payload
) -> Stream:
    """Check what ``encode`` returned and name its layers.

    Raises:
        PluginError: no bytes, or other layers than the codec declares.
    """
    layers = payload if isinstance(payload, Mapping) else {codec.layers[0]: payload}
    if tuple(layers) != codec.layers:
        raise PluginError(
            f"{codec.name}: encode gave layers {tuple(layers)}, the codec declares {codec.layers}"
        )
    for name, data in layers.items():
        if not isinstance(data, bytes | bytearray | memoryview):
            kind = type(data).__name__
            raise PluginError(f"{codec.name}: layer {name!r} is {kind}, must be bytes")
    plain = {name: bytes(data) for name, data in layers.items()}
    return Stream(codec.name, point.label, width, height, plain)


def from_stream(codec: type[Codec], stream: Stream, output: str) -> Payload:
    """What ``decode`` gets: only the layers that the output needs; bytes if there is but one."""
    needed = stream.subset(codec.outputs[output].needs).layers
    return next(iter(needed.values())) if len(codec.layers) == 1 else needed


def check_picture(picture: Any, width: int, height: int, source: str) -> None:
    """Raise PluginError unless a picture is uint8 ``[height, width, 3]``."""
    import numpy as np

    shape = (height, width, 3)
    if not isinstance(picture, np.ndarray):
        raise PluginError(f"{source}: gave {type(picture).__name__}, must be a numpy array")
    if picture.dtype != np.uint8 or picture.shape != shape:
        raise PluginError(
            f"{source}: gave {picture.dtype} {list(picture.shape)}, must be uint8 {list(shape)}"
        )
