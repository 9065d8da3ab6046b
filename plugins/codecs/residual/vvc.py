"""The picture as a VVC inter picture whose reference is the base layer's picture (VVC+M).

The encoder codes two frames, [x̂, x], and keeps only the second one's access unit. The decoder
codes [x̂, x̂] with the same settings. That gives the same parameter sets and the same first access
unit, byte for byte, behind which it puts the second one and decodes both::

    x̂ ─┬─► VVenC of [x̂, x] ──► access unit 0, access unit 1 ──► enhancement
       │                                           │
       └─► VVenC of [x̂, x̂] ─► access unit 0 ───────┴─► VVC decoder ──► second picture

The enhancement, behind the checksum of both layers::

    1      qp, VVenC's base quantiser
    4      CRC-32 of access unit 0, little-endian
    rest   access unit 1 without its delimiter and encoder messages
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import workbench
from workbench.errors import PluginError, StreamError
from workbench_plugins.codecs.ffmpeg import annexb, process
from workbench_plugins.codecs.ffmpeg.vvc import VvcIntra
from workbench_plugins.codecs.residual.layers import ResidualCodec

if TYPE_CHECKING:
    from workbench.api import Picture
    from workbench_plugins.codecs.ffmpeg.process import Raw

_DROPPED = {20, 23, 24}  # access unit delimiter, SEI
HEADER_BYTES = 5

# VVenC codes the reference this much finer than the base quantiser, so that it is nearly x̂; but
# no finer than at FINEST, since ffmpeg's libvvenc cannot write more than 8 bits a pixel.
REFERENCE_OFFSET = -12
FINEST = 10


class VvcResidual(ResidualCodec):
    """A VVC inter picture that refers to the base layer's picture.

    H.266 / VVC, Main 10 profile, 10 bit 4:2:0: VVenC, preset fast. The reference is that picture
    coded at ``qp - 12``. The inter picture gets a higher quantiser than ``qp``, as pictures of the
    highest temporal layer do: from about qp 30 on it says little more than "as the reference".

    Encoding makes sure that access unit 0 can be regenerated. A decoder elsewhere needs the same
    version of VVenC, and the inner codec's very picture; it raises an error if it has not.
    """

    name = "vvc-residual"
    citation = "Harell et al., VVC+M, arXiv 2305.10453; ITU-T H.266; VVenC, IEEE ICMEW 2021"
    requires = VvcIntra.requires
    enhancement_points = workbench.points("qp", [37, 32, 29, 26, 23, 20, 17], limits=(FINEST, 63))

    @classmethod
    def unavailable(cls) -> str | None:
        return super().unavailable() or VvcIntra.unavailable()

    @classmethod
    def versions(cls) -> dict[str, str]:
        return VvcIntra.versions()

    def enhance(self, image: Picture, base: Picture, point: workbench.Point) -> bytes:
        reference, inter = self._access_units(base, image, point.qp)
        if self._access_units(base, base, point.qp)[0] != reference:
            raise PluginError(
                f"{self.name}: libvvenc codes the reference picture differently when another "
                f"picture follows it, at qp {point.qp}: choose another qp"
            )
        return bytes([point.qp]) + _crc(reference) + inter

    def restore(self, base: Picture, data: bytes) -> Picture:
        from workbench_plugins.codecs.ffmpeg import colour

        height, width = base.shape[:2]
        qp, crc, inter = data[0], data[1:HEADER_BYTES], data[HEADER_BYTES:]
        reference, _ = self._access_units(base, base, qp)
        if _crc(reference) != crc:
            raise StreamError(
                f"{self.name}: libvvenc regenerates another reference picture here than where "
                "the stream was made: decode with the same version of imageio-ffmpeg"
            )
        raw = self._raw(base)
        planes = process.decode(
            reference + inter, raw, 2, container=VvcIntra.container, decoder=VvcIntra.decoder,
            threads=self.threads, codec=self.name,
        )  # fmt: skip
        second = memoryview(planes)[raw.frame_bytes :]
        return colour.from_planes(second, VvcIntra.layout(), raw, width, height)

    def _access_units(self, first: Picture, second: Picture, qp: int) -> tuple[bytes, bytes]:
        """Code two frames; return access unit 0 whole, and of access unit 1 what is needed."""
        from workbench_plugins.codecs.ffmpeg import colour

        raw = self._raw(first)
        frames = [
            colour.to_planes(picture, VvcIntra.layout(), raw.width, raw.height)
            for picture in (first, second)
        ]
        try:
            stream = process.encode(
                b"".join(frames), raw, encoder=VvcIntra.encoder, container=VvcIntra.container,
                options=_options(qp), threads=self.threads, codec=self.name,
            )  # fmt: skip
        except PluginError as error:
            raise PluginError(
                f"{error} (ffmpeg's libvvenc cannot write more than 8 bits a pixel: "
                f"where that is the reason, use a qp above {qp})"
            ) from None
        units = annexb.access_units(stream, annexb.VVC)
        if len(units) != 2:
            raise PluginError(f"{self.name}: libvvenc wrote {len(units)} access units, not 2")
        reference, inter = units
        return annexb.join(reference), annexb.join([u for u in inter if u.kind not in _DROPPED])

    def _raw(self, picture: Picture) -> Raw:
        # 4:2:0 needs even sides; smaller pictures than VvcIntra.minimum are too little for
        # ffmpeg's libvvenc. What is added repeats the edge and is cut off again.
        width, height = (
            max(side + side % 2, VvcIntra.minimum) for side in reversed(picture.shape[:2])
        )
        return VvcIntra.layout().raw(width, height)


def _options(qp: int) -> dict[str, str | int | float]:
    # POC0IDR: without it the second frame becomes the IDR picture. MCTF and BIM would make the
    # first frame depend on the second. The last four: the same bytes with any threads.
    offset = min(0, max(REFERENCE_OFFSET, FINEST - qp))
    params = (
        f"POC0IDR=1:MCTF=0:BIM=0:IntraQPOffset={offset}"
        ":MaxParallelFrames=0:WppBitEqual=1:IFP=0:MTProfile=0"
    )
    return {"preset": "fast", "qpa": 0, "qp": qp, "period": 2, "vvenc-params": params}


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "little")
