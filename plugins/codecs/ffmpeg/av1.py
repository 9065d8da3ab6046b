"""AV1 intra pictures: libaom through ffmpeg, decoded by dav1d."""

from __future__ import annotations

import workbench
from workbench_plugins.codecs.ffmpeg import obu
from workbench_plugins.codecs.ffmpeg.intra import IntraCodec


class Av1Intra(IntraCodec):
    """AV1 intra, Main profile, 10 bit 4:2:0: libaom, all-intra mode, cpu-used 6, tune psnr.

    Constant quality at the point's ``crf``, libaom's quantiser index 0..63 (not the qp of the
    other codecs). cpu-used 6 takes about 0.25 s for 768x512 on one core; 4 takes four times as
    long for 1 % of the rate.
    """

    name = "av1-intra"
    citation = "AV1 bitstream and decoding process specification, AOMedia; libaom; dav1d"
    points = workbench.points("crf", [61, 55, 48, 41, 34, 27, 20, 13], limits=(0, 63))
    encoder = "libaom-av1"
    decoder = "libdav1d"
    container = "obu"
    bits = 10
    version_pattern = rb"libaom-av1[^]]*\] v?(\d+\.\d+\S*)"

    @classmethod
    def options(cls, point: workbench.Point) -> dict[str, str | int | float]:
        # g 0: key pictures only. Row threads would make bytes depend on the threads.
        return {
            "usage": "allintra",
            "cpu-used": 6,
            "tune": "psnr",
            "crf": point.crf,
            "b:v": 0,
            "g": 0,
            "lag-in-frames": 0,
            "row-mt": 0,
        }

    @classmethod
    def cut(cls, stream: bytes) -> list[bytes]:
        return obu.temporal_units(stream)
