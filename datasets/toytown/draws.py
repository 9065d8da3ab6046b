"""Random draws and noise textures that are the same bytes on every machine.

Single draws come from SHA-256 in counter mode, floods of noise from `Philox.random_raw` (numpy
promises the raw stream of a bit generator, not the streams of `Generator`). All that follows is
integer arithmetic and the operations that IEEE 754 rounds exactly (+, -, *, /, sqrt), element by
element.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from struct import unpack
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Array: TypeAlias = NDArray[Any]
"""A numpy array; what it holds is said where it matters."""
TILE = 256
"""Noise textures repeat after this many texels, so that coordinates wrap with a mask."""


class Draws:
    """A stream of random draws named by `key`; equal keys give equal draws everywhere."""

    def __init__(self, *key: object) -> None:
        self._key = "/".join(str(part) for part in key).encode()
        self._block = 0
        self._ready: list[int] = []

    def again(self) -> Draws:
        """A stream that gives what this one is about to give, and leaves this one as it is."""
        other = Draws()
        other._key, other._block, other._ready = self._key, self._block, list(self._ready)
        return other

    def unit(self) -> float:
        """A float in [0, 1) with 53 random bits."""
        if not self._ready:
            digest = hashlib.sha256(b"%s#%d" % (self._key, self._block)).digest()
            self._ready = list(unpack(">4Q", digest))
            self._block += 1
        return (self._ready.pop() >> 11) / 9007199254740992.0

    def between(self, low: float, high: float) -> float:
        """A float in [low, high)."""
        return low + (high - low) * self.unit()

    def whole(self, low: int, high: int) -> int:
        """An integer in [low, high], both included."""
        return low + int(self.unit() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        return self.unit() < probability

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self.unit() * len(options))]

    def octets(self, count: int) -> Array:
        """`count` random bytes, uint8 [count]."""
        digest = hashlib.sha256(b"%s#octets%d" % (self._key, self._block)).digest()
        self._block += 1
        bits = np.random.Philox(key=int.from_bytes(digest[:16], "big"))
        return bits.random_raw((count + 7) // 8).astype("<u8").view(np.uint8)[:count]


@cache
def cloud(name: str, first: int, octaves: int) -> Array:
    """Tileable value noise, float32 [256, 256] in [-1, 1]: `octaves` lattices from `first` cells.

    Each octave has twice the cells and 0.6 of the amplitude of the one before.
    """
    total = np.zeros((TILE, TILE), np.float32)
    amplitude, weight = 1.0, 0.0
    for octave in range(octaves):
        cells = first << octave
        lattice = Draws("cloud", name, octave).octets(cells * cells).reshape(cells, cells)
        values = (lattice.astype(np.float32) - 127.5) / 127.5
        steps = np.arange(TILE, dtype=np.float32) * (cells / TILE)
        low = np.floor(steps)
        t = steps - low
        t = t * t * (3.0 - 2.0 * t)
        i = low.astype(np.int64) % cells
        j = (i + 1) % cells
        rows = values[i] * (1.0 - t)[:, None] + values[j] * t[:, None]
        total += amplitude * (rows[:, i] * (1.0 - t) + rows[:, j] * t)
        weight += amplitude
        amplitude *= 0.6
    return np.clip(total * (1.6 / weight), -1.0, 1.0)


def sample(texture: Array, u: Array, v: Array) -> Array:
    """Nearest texels of a tileable texture at (u, v) in texels; the two broadcast."""
    rows = np.floor(v).astype(np.int32)
    rows &= TILE - 1
    rows *= TILE
    columns = np.floor(u).astype(np.int32)
    columns &= TILE - 1
    return texture.reshape(-1).take(rows + columns)
