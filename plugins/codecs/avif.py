"""AVIF through libavif and libaom."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import workbench
from workbench_plugins.codecs import _guard

if TYPE_CHECKING:
    from workbench.api import Picture


class Avif(workbench.Codec):
    """AVIF: AV1 still picture, 8 bit, 4:4:4, speed 6.

    4:4:4 and speed 6 are the defaults of libavif's own ``avifenc``. On 8 Kodak pictures 4:2:0 is
    capped at 44.4 dB, and speed 4 gains 0.2 to 0.4 dB for seven times the time. libavif tunes
    libaom for SSIM, not for PSNR. BT.601 matrix, full range. One thread unless more are asked for.

    Ceiling at quality 99, PSNR-RGB on 24 Kodak pictures: 48.8 dB (mean), 48.2 dB (worst); 100
    would switch to lossless RGB. Sides up to 32,768 pixels, libavif's limit.
    """

    name = "avif"
    citation = "AV1 Image File Format (AVIF) 1.1, Alliance for Open Media; encoder libavif, libaom"
    requires = ("imagecodecs",)
    points = workbench.points("quality", [5, 10, 20, 30, 40, 50, 60, 70, 80], limits=(0, 99))

    @classmethod
    def versions(cls) -> dict[str, str]:
        import imagecodecs

        return super().versions() | {"libavif": imagecodecs.avif_version()}

    def encode(self, image: Picture, point: workbench.Point) -> bytes:
        import imagecodecs

        image = _guard.encodable(self.name, image, 32_768)
        return bytes(
            imagecodecs.avif_encode(
                image, level=point.quality, speed=6, pixelformat="444", numthreads=self.threads
            )
        )

    def decode(self, stream: bytes, output: str) -> Picture:
        import imagecodecs

        size = _size(stream)
        # libavif scales a picture to what the container says, where the two differ.
        if size is None or size != _coded_size(stream):
            raise _guard.damaged(self.name, "no size, or two different ones")
        return _guard.decode(
            self.name, *size, imagecodecs.avif_decode, stream, numthreads=self.threads
        )


def _size(stream: bytes) -> tuple[int, int] | None:
    """(width, height) in the container's ``ispe`` property, ISO/IEC 23008-12 section 6.5.3."""
    box = stream[stream.find(b"ispe") :][:16]
    return struct.unpack(">8xII", box) if stream[4:12] == b"ftypavif" and len(box) == 16 else None


def _coded_size(stream: bytes) -> tuple[int, int] | None:
    """(width, height) in the AV1 sequence header, AV1 specification section 5.5.1."""
    _, found, header = stream.partition(b"mdat\x12\x00\x0a")  # temporal delimiter, then header
    text = "".join(f"{byte:08b}" for byte in header[1:9])  # behind the header's size: 64 bits
    if not found or len(text) < 64 or text[3:5] != "11":  # still picture, reduced header
        return None
    width_bits, height_bits = int(text[10:14], 2) + 1, int(text[14:18], 2) + 1
    middle = 18 + width_bits
    return int(text[18:middle], 2) + 1, int(text[middle : middle + height_bits], 2) + 1


@workbench.hookimpl
def workbench_codecs() -> list[type[workbench.Codec]]:
    return [Avif]
