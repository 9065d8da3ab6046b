"""H.264 / AVC intra pictures: libx264 through ffmpeg."""

from __future__ import annotations

import dataclasses

import workbench
from workbench_plugins.codecs.ffmpeg import annexb
from workbench_plugins.codecs.ffmpeg.annexb import Unit
from workbench_plugins.codecs.ffmpeg.intra import IntraCodec

_DROPPED = {6, 9}  # SEI (x264 writes 600 bytes of its settings), access unit delimiter


class AvcIntra(IntraCodec):
    """H.264 / AVC intra, High profile, 8 bit 4:2:0: x264, preset veryslow, tune psnr.

    8 bit because that is the AVC which is deployed. Constant quantiser, equal to the point's
    ``qp`` (x264 would lower it for intra pictures), no adaptive quantisation, no psychovisual
    optimisation, as in the anchors that papers judge by PSNR.
    """

    name = "avc-intra"
    citation = "ITU-T H.264; x264, https://www.videolan.org/developers/x264.html"
    points = workbench.points("qp", [49, 45, 41, 37, 33, 29, 25, 21], limits=(0, 51))
    encoder = "libx264"
    decoder = "h264"
    container = "h264"
    bits = 8
    # x264 numbers successive IDR pictures 0, 1, 0, 1 (idr_pic_id), which makes a picture's bytes
    # depend on its position: the black pictures take the odd numbers.
    spaced = True
    version_pattern = rb"x264 - (core \d+)"

    @classmethod
    def options(cls, point: workbench.Point) -> dict[str, str | int | float]:
        return {
            "preset": "veryslow",
            "tune": "psnr",
            "qp": point.qp,
            "g": 1,
            "x264-params": "ipratio=1:bframes=0:sliced-threads=0",
        }

    @classmethod
    def cut(cls, stream: bytes) -> list[bytes]:
        groups = annexb.access_units(stream, annexb.AVC)
        return [
            annexb.join([_first(unit) for unit in group if unit.kind not in _DROPPED])
            for group in groups
        ]


def _first(unit: Unit) -> Unit:
    """Make a picture's slice what it is at the start of a stream.

    x264 sets the last bit of a slice, behind all that a decoder reads, by the picture's number:
    1 for the first.
    """
    if unit.kind not in annexb.AVC.pictures:
        return unit
    return dataclasses.replace(unit, data=unit.data[:-1] + bytes([unit.data[-1] | 1]))
