"""JPEG through libjpeg-turbo."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import workbench
from workbench_plugins.codecs import _guard

if TYPE_CHECKING:
    from workbench.api import Picture

# An 8x8 block costs at least a DC and an end-of-block code: 2 + 4 bits in luma, 2 + 2 in chroma
# (T.81 tables K.3 to K.6). A 4:2:0 unit of 16x16 pixels has 4 and 2 of them: 32 bits.
MOST_PIXELS_A_BYTE = 64


class Jpeg(workbench.Codec):
    """JPEG, 4:2:0, as Pillow writes it: baseline, standard Huffman tables.

    The bytes are those of Pillow's default ``save(quality=q)`` over libjpeg-turbo: that is what
    published JPEG curves are made with. Huffman tables optimised for each picture would save 36 %
    of the rate at quality 5, 4 % at 50 and 1 % at 85 (Kodak). Accurate integer DCT; BT.601 full
    range (JFIF); chroma is averaged down and interpolated up. One thread.

    Ceiling at quality 100, PSNR-RGB on 24 Kodak pictures: 44.9 dB (mean), 40.2 dB (worst).
    Floor there: 0.17 bpp at quality 1. Sides up to 65,500 pixels, libjpeg-turbo's limit.
    """

    name = "jpeg"
    citation = "ITU-T T.81 | ISO/IEC 10918-1; encoder libjpeg-turbo"
    requires = ("imagecodecs",)
    points = workbench.points("quality", [5, 10, 20, 35, 50, 65, 75, 85], limits=(1, 100))
    subsampling: ClassVar[str] = "420"

    @classmethod
    def versions(cls) -> dict[str, str]:
        import imagecodecs

        return super().versions() | {"libjpeg": imagecodecs.jpeg8_version()}

    def encode(self, image: Picture, point: workbench.Point) -> bytes:
        import imagecodecs

        image = _guard.encodable(self.name, image, 65_500)
        return bytes(
            imagecodecs.jpeg8_encode(
                image, level=point.quality, subsampling=self.subsampling, optimize=False
            )
        )

    def decode(self, stream: bytes, output: str) -> Picture:
        import imagecodecs

        width, height = self._size(stream)
        # libjpeg fills a cut stream with grey without an error. Entropy-coded data holds no
        # FF D9, so a stream that ends with it is whole; further scans would only burn time.
        if not stream.endswith(b"\xff\xd9") or stream.count(b"\xff\xda") != 1:
            raise _guard.damaged(self.name, "not one scan with an end-of-image marker")
        if width * height > MOST_PIXELS_A_BYTE * len(stream):
            raise _guard.damaged(self.name, f"{width}x{height} in {len(stream)} bytes")
        return _guard.decode(self.name, width, height, imagecodecs.jpeg8_decode, stream)

    def _size(self, stream: bytes) -> tuple[int, int]:
        """(width, height) in the frame header, T.81 section B.2.2."""
        at = 2  # behind the start-of-image marker
        while (marker := stream[at : at + 2]) != b"\xff\xc0":
            if stream[:2] != b"\xff\xd8" or marker[:1] != b"\xff":
                raise _guard.damaged(self.name, "no baseline frame header")
            at += 2 + int.from_bytes(stream[at + 2 : at + 4])
        return int.from_bytes(stream[at + 7 : at + 9]), int.from_bytes(stream[at + 5 : at + 7])


class Jpeg444(Jpeg):
    """JPEG without chroma subsampling; all else as ``jpeg``.

    Ceiling at quality 100, PSNR-RGB on 24 Kodak pictures: 50.5 dB (mean), 50.0 dB (worst).
    Floor there: 0.27 bpp at quality 1.
    """

    name = "jpeg-444"
    points = workbench.points("quality", [5, 10, 20, 35, 50, 65, 75, 80], limits=(1, 100))
    subsampling = "444"


@workbench.hookimpl
def workbench_codecs() -> list[type[workbench.Codec]]:
    return [Jpeg, Jpeg444]
