"""H.266 / VVC intra pictures: libvvenc through ffmpeg."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import workbench
from workbench.errors import PluginError
from workbench_plugins.codecs.ffmpeg import annexb
from workbench_plugins.codecs.ffmpeg.annexb import Unit
from workbench_plugins.codecs.ffmpeg.intra import IntraCodec

if TYPE_CHECKING:
    from workbench.api import Picture

_DROPPED = {20, 23, 24}  # access unit delimiter, SEI
IDR_W_RADL, IDR_N_LP = 7, 8


class VvcIntra(IntraCodec):
    """H.266 / VVC intra, Main 10 profile, 10 bit 4:2:0: VVenC, preset fast, no perceptual QPA.

    Constant base quantiser ``qp``; VVenC codes intra pictures at ``qp - 3``. Temporal
    pre-filtering and block importance are off: every picture is coded by itself.
    """

    name = "vvc-intra"
    citation = "ITU-T H.266; Wieckowski et al., VVenC, IEEE ICMEW 2021"
    points = workbench.points("qp", [52, 47, 42, 37, 32, 27, 22], limits=(0, 63))
    encoder = "libvvenc"
    decoder = "vvc"
    container = "vvc"
    bits = 10
    # ffmpeg gives libvvenc one byte a pixel to write to: too little for noise in a small picture.
    minimum = 128
    version_pattern = rb"libvvenc version: (\S+)"

    @classmethod
    def options(cls, point: workbench.Point) -> dict[str, str | int | float]:
        # Without MaxParallelFrames=0 VVenC holds back its first four pictures, and when ffmpeg's
        # input ends just then it takes VVenC for finished and drops them all. MTProfile=0: else
        # eight threads or more would cut the picture into tiles, and change the bytes.
        params = (
            "IntraPeriod=1:GOPSize=1:DecodingRefreshType=idr:MCTF=0:BIM=0:ALFSpeed=0"
            ":MaxParallelFrames=0:MTProfile=0"
        )
        return {"preset": "fast", "qpa": 0, "qp": point.qp, "vvenc-params": params}

    def encode_many(
        self, images: Sequence[Picture], point: workbench.Point
    ) -> list[workbench.Payload]:
        try:
            return super().encode_many(images, point)
        except PluginError as error:
            raise PluginError(
                f"{error} (ffmpeg's libvvenc cannot write more than 8 bits a pixel: "
                f"where that is the reason, use a qp above {point.qp})"
            ) from None

    @classmethod
    def cut(cls, stream: bytes) -> list[bytes]:
        groups = annexb.access_units(stream, annexb.VVC)
        return [
            annexb.join([_first(unit) for unit in group if unit.kind not in _DROPPED])
            for group in groups
        ]


def _first(unit: Unit) -> Unit:
    """Make an IDR picture's slice what it is at the start of a stream: IDR_N_LP, count 0.

    Only two fields say a picture's position, both of fixed length. H.266, 7.3.1.2: the NAL
    unit's type is the five high bits of byte 1. 7.3.7 and 7.3.2.8: the slice header begins with
    the picture header: 1 (it is here), 1 (IRAP), non-reference, 0 (no GDR), 0 (no inter
    slices), 1 (parameter set 0), then the picture order count, 8 bits.
    """
    if unit.kind not in (IDR_W_RADL, IDR_N_LP):
        if unit.kind in annexb.VVC.pictures:
            raise PluginError(f"vvc-intra: libvvenc wrote a picture of type {unit.kind}, not IDR")
        return unit
    data = bytearray(annexb.unescape(unit.data))
    if data[2] & 0b11011100 != 0b11000100:
        raise PluginError(f"vvc-intra: libvvenc wrote another slice header: {data[:5].hex()}")
    data[1] = IDR_N_LP << 3 | data[1] & 0b111
    data[2] &= 0b11111100
    data[3] &= 0b00000011
    return dataclasses.replace(unit, kind=IDR_N_LP, data=annexb.escape(bytes(data)))
