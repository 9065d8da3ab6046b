"""RGB pictures to and from raw planar YCbCr, in float, rounded, never truncated.

Full-range ITU-R BT.709 YCbCr (:mod:`workbench.images`): no step of the range is lost, and no
stream says a range, since this module alone converts. 4:2:0 takes the mean of 2x2 chroma samples
(sited in the middle of the four) and goes back by cubic interpolation.

RGB-PSNR of this round trip without coding, the ceiling of any codec that uses it, over the 24
Kodak pictures:

============  ===================  =========
layout        lowest picture, dB   mean, dB
============  ===================  =========
4:4:4 10 bit  exact for every RGB  exact
4:4:4 8 bit   52.6                 53.2
4:2:0 10 bit  41.1                 47.0
4:2:0 8 bit   41.0                 46.3
============  ===================  =========
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import images
from workbench_plugins.codecs.ffmpeg.process import Raw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

# Keys' cubic convolution, a = -1/2 (IEEE Trans. ASSP 29, 1981), a quarter of a sample beside the
# nearest one: {samples away, towards the point: weight}.
CUBIC = {2: -3 / 128, 1: 29 / 128, 0: 111 / 128, -1: -9 / 128}

STRIP_ROWS = 256  # even; bounds the float copies of a big picture


@dataclass(frozen=True)
class Layout:
    """Bits a sample (8 or 10), and whether chroma is halved both ways (4:2:0) or not (4:4:4)."""

    bits: int
    halved: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype("u1" if self.bits == 8 else "<u2")

    def raw(self, width: int, height: int) -> Raw:
        """The raw format of a picture of a size that the layout can hold."""
        name = ("yuv420p" if self.halved else "yuv444p") + ("" if self.bits == 8 else "10le")
        samples = width * height * 3 // (2 if self.halved else 1)
        return Raw(width, height, name, samples * self.dtype.itemsize)


def to_planes(picture: Picture, layout: Layout, width: int, height: int) -> bytes:
    """Convert uint8 ``[h, w, 3]`` sRGB to the planes of a ``width`` x ``height`` picture.

    What the picture lacks to the right and below repeats its edge.
    """
    rows, columns = picture.shape[:2]
    peak = (1 << layout.bits) - 1
    step = 2 if layout.halved else 1
    luma = np.empty((height, width), layout.dtype)
    chroma = np.empty((2, height // step, width // step), layout.dtype)
    for top in range(0, height, STRIP_ROWS):
        bottom = min(top + STRIP_ROWS, height)
        index = np.minimum(np.arange(top, bottom), rows - 1)
        strip = np.pad(picture[index], ((0, 0), (0, width - columns), (0, 0)), mode="edge")
        planes = images.to_ycbcr(strip, layout.bits)  # [strip rows, W, 3]
        luma[top:bottom] = _quantise(planes[..., 0], peak)
        colour = np.moveaxis(planes[..., 1:], -1, 0)  # [2, strip rows, W]
        if layout.halved:
            colour = colour.reshape(2, (bottom - top) // 2, 2, width // 2, 2).mean(axis=(2, 4))
        chroma[:, top // step : bottom // step] = _quantise(colour, peak)
    return luma.tobytes() + chroma.tobytes()


def from_planes(
    data: bytes | memoryview, layout: Layout, raw: Raw, width: int, height: int
) -> Picture:
    """Convert planes to uint8 ``[height, width, 3]`` sRGB, cropped to the top left."""
    samples = np.frombuffer(data, layout.dtype)
    step = 2 if layout.halved else 1
    luma = samples[: raw.pixels].reshape(raw.height, raw.width)
    chroma = samples[raw.pixels :].reshape(2, raw.height // step, raw.width // step)
    picture = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, STRIP_ROWS):
        bottom = min(top + STRIP_ROWS, height)
        planes = np.empty((bottom - top, width, 3))
        planes[..., 0] = luma[top:bottom, :width]
        if layout.halved:
            colour = _interpolate(_interpolate(chroma, 1, top, bottom), 2, 0, width)
        else:
            colour = chroma[:, top:bottom, :width]
        planes[..., 1:] = np.moveaxis(colour, 0, -1)
        picture[top:bottom] = images.from_ycbcr(planes, layout.bits)
    return picture


def _quantise(values: NDArray[np.float64], peak: int) -> NDArray[np.float64]:
    return np.clip(np.rint(values), 0, peak)


def _interpolate(samples: NDArray[Any], axis: int, start: int, stop: int) -> NDArray[np.float64]:
    """Double an axis: positions ``start .. stop`` of the result, edges repeated."""
    position = np.arange(start, stop)
    near = position // 2
    ahead = np.where(position % 2 == 0, -1, 1)  # towards the nearer of the two neighbours
    last = samples.shape[axis] - 1
    taps = [
        weight * np.take(samples, np.clip(near + step * ahead, 0, last), axis)
        for step, weight in CUBIC.items()
    ]
    return np.add.reduce(taps)
