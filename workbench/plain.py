"""Predictions as bytes: JSON, with numpy arrays as base64 of their zlib-compressed bytes.

Loading runs no code, unlike pickle: a store may come from a stranger.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

ARRAY = "__array__"


def dumps(value: Any) -> bytes:
    """Serialise dicts, lists, strings, numbers, None and numpy arrays.

    Raises:
        TypeError: anything else is in it.
        ValueError: a float that is no finite number outside an array.
    """
    return json.dumps(value, default=_encode, allow_nan=False, separators=(",", ":")).encode()


def loads(data: bytes) -> Any:
    """Return what :func:`dumps` was given; tuples come back as lists."""
    return json.loads(data, object_hook=_decode)


def _encode(value: Any) -> Any:
    import numpy as np

    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        raw = zlib.compress(np.ascontiguousarray(value).tobytes(), 1)
        return {
            ARRAY: value.dtype.str,
            "shape": list(value.shape),
            "zlib": base64.b64encode(raw).decode(),
        }
    raise TypeError(f"{type(value).__name__} is not plain data: use dicts, lists, numbers, arrays")


def _decode(value: dict[str, Any]) -> Any:
    if ARRAY not in value:
        return value
    import numpy as np

    raw = zlib.decompress(base64.b64decode(value["zlib"]))
    return np.frombuffer(raw, dtype=np.dtype(value[ARRAY])).reshape(value["shape"]).copy()
