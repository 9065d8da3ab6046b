"""JPEG XL through libjxl."""

from __future__ import annotations

from typing import TYPE_CHECKING

import workbench
from workbench_plugins.codecs import _guard

if TYPE_CHECKING:
    from workbench.api import Picture

# Width as a multiple of height, ISO/IEC 18181-1, SizeHeader; 0: the width is written out.
RATIOS = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class JpegXl(workbench.Codec):
    """JPEG XL, VarDCT in XYB, effort 7, a bare codestream.

    Effort 7 is the default of libjxl's own ``cjxl``. The points are Butteraugli distances, the
    encoder's own scale: libjxl optimises for that measure, not for PSNR. From distance 20 on it
    halves the resolution. One thread unless more are asked for.

    Ceiling at distance 0.01, PSNR-RGB on 24 Kodak pictures: 57.3 dB (mean), 54.7 dB (worst).
    Floor there: 0.13 bpp at distance 25, libjxl's largest. Sides up to 2**30 pixels.
    """

    name = "jpegxl"
    citation = "ISO/IEC 18181-1; encoder libjxl"
    requires = ("imagecodecs",)
    points = workbench.points(
        "distance", [25.0, 15.0, 10.0, 6.0, 4.0, 2.5, 1.5, 1.0], limits=(0.01, 25)
    )

    @classmethod
    def versions(cls) -> dict[str, str]:
        import imagecodecs

        return super().versions() | {"libjxl": imagecodecs.jpegxl_version()}

    def encode(self, image: Picture, point: workbench.Point) -> bytes:
        import imagecodecs

        image = _guard.encodable(self.name, image, 1 << 30)
        return bytes(
            imagecodecs.jpegxl_encode(
                image, distance=point.distance, lossless=False, effort=7, usecontainer=False,
                numthreads=self.threads,
            )
        )  # fmt: skip

    def decode(self, stream: bytes, output: str) -> Picture:
        import imagecodecs

        if stream[:2] != b"\xff\x0a":
            raise _guard.damaged(self.name, "no JPEG XL codestream")
        decoder = imagecodecs.jpegxl_decode
        return _guard.decode(self.name, *_size(stream), decoder, stream, numthreads=self.threads)


def _size(stream: bytes) -> tuple[int, int]:
    """(width, height) in the SizeHeader, which follows the two bytes of signature."""
    bits = int.from_bytes(stream[2:11], "little")

    def take(n_bits: int) -> int:
        nonlocal bits
        value = bits & ((1 << n_bits) - 1)
        bits >>= n_bits
        return value

    def side() -> int:
        return 8 * (take(5) + 1) if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = take(1)
    height = side()
    ratio = take(3)
    width = height * RATIOS[ratio][0] // RATIOS[ratio][1] if ratio else side()
    return width, height


@workbench.hookimpl
def workbench_codecs() -> list[type[workbench.Codec]]:
    return [JpegXl]
