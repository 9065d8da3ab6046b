"""PNG: the original pictures as a codec."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import workbench
from workbench_plugins.codecs import _guard

if TYPE_CHECKING:
    from workbench.api import Picture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# libpng reads no further than the last row; the chunk behind it shows that nothing was cut off.
END = b"\0\0\0\0IEND\xaeB`\x82"


class Png(workbench.Codec):
    """PNG, zlib level 6: every value comes back as it was.

    Tasks that are their own reference (``--reference self``) take it from these pictures, and
    named in a run it gives the accuracy that no codec took from: the uncompressed line.
    """

    name = "png"
    citation = "ISO/IEC 15948; encoder libpng"
    requires = ("imagecodecs",)
    lossless = True
    points = workbench.Points([workbench.Point("lossless")])

    @classmethod
    def versions(cls) -> dict[str, str]:
        import imagecodecs

        return super().versions() | {"libpng": imagecodecs.png_version()}

    def encode(self, image: Picture, point: workbench.Point) -> bytes:
        import imagecodecs

        image = _guard.encodable(self.name, image, (1 << 31) - 1)
        return bytes(imagecodecs.png_encode(image, level=6))

    def decode(self, stream: bytes, output: str) -> Picture:
        import imagecodecs

        # The size stands in the header chunk, which always comes first.
        if stream[:8] != SIGNATURE or stream[-12:] != END or len(stream) < 36:
            raise _guard.damaged(self.name, "no whole PNG file")
        width, height = struct.unpack_from(">II", stream, 16)
        return _guard.decode(self.name, width, height, imagecodecs.png_decode, stream)


@workbench.hookimpl
def workbench_codecs() -> list[type[workbench.Codec]]:
    return [Png]
