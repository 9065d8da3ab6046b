"""Lossy WebP through libwebp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import workbench
from workbench_plugins.codecs import _guard

if TYPE_CHECKING:
    from workbench.api import Picture

# A 16x16 macroblock costs at least its luma and chroma modes, whose probabilities are fixed in
# key frames (RFC 6386, section 11.2): 3.4 bits, or 600 pixels a byte. Doubled for safety.
MOST_PIXELS_A_BYTE = 1200


class Webp(workbench.Codec):
    """Lossy WebP (VP8 key frame), 4:2:0, method 4.

    The bytes are those of Pillow's default ``save(quality=q)``: that is what published WebP curves
    are made with. Method 6 would take 4 to 7 % fewer bytes at 0.1 to 0.2 dB less (Kodak). BT.601
    limited range, in libwebp's own conversion. One thread unless more are asked for.

    Ceiling at quality 100, PSNR-RGB on 24 Kodak pictures: 43.0 dB (mean), 39.6 dB (worst), set
    by 4:2:0 and limited range. Floor there: 0.11 bpp at quality 0. Sides up to 16,382 pixels,
    one less than the format allows: imagecodecs refuses 16,383.
    """

    name = "webp"
    citation = "RFC 9649; VP8: RFC 6386; encoder libwebp"
    requires = ("imagecodecs",)
    points = workbench.points("quality", [0, 5, 15, 30, 50, 70, 80, 90], limits=(0, 100))

    @classmethod
    def versions(cls) -> dict[str, str]:
        import imagecodecs

        return super().versions() | {"libwebp": imagecodecs.webp_version()}

    def encode(self, image: Picture, point: workbench.Point) -> bytes:
        import imagecodecs

        image = _guard.encodable(self.name, image, 16_382)
        return bytes(
            imagecodecs.webp_encode(
                image, level=point.quality, lossless=False, method=4, numthreads=self.threads
            )
        )

    def decode(self, stream: bytes, output: str) -> Picture:
        import imagecodecs

        # RFC 9649 section 2.5 (simple file format) and RFC 6386 section 9.1 (key frame header).
        whole = len(stream) == 8 + int.from_bytes(stream[4:8], "little")
        if not whole or stream[8:16] != b"WEBPVP8 " or stream[23:26] != b"\x9d\x01\x2a":
            raise _guard.damaged(self.name, "no whole lossy WebP file")
        width, height = (int.from_bytes(stream[i : i + 2], "little") & 0x3FFF for i in (26, 28))
        if width * height > MOST_PIXELS_A_BYTE * len(stream):
            raise _guard.damaged(self.name, f"{width}x{height} in {len(stream)} bytes")
        return _guard.decode(self.name, width, height, imagecodecs.webp_decode, stream)


@workbench.hookimpl
def workbench_codecs() -> list[type[workbench.Codec]]:
    return [Webp]
