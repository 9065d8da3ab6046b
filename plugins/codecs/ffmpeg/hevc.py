"""H.265 / HEVC intra pictures: libx265 through ffmpeg."""

from __future__ import annotations

import dataclasses
import re

import workbench
from workbench.errors import PluginError
from workbench_plugins.codecs.ffmpeg import annexb
from workbench_plugins.codecs.ffmpeg.annexb import Unit
from workbench_plugins.codecs.ffmpeg.intra import IntraCodec

_DROPPED = {35, 39, 40}  # access unit delimiter, SEI
IDR_W_RADL, IDR_N_LP = 19, 20

# H.265, 7.3.6.1, of the one intra slice of an IDR picture: first slice, no_output_of_prior_pics,
# PPS 0, slice type I, SAO for luma, SAO for chroma, the quantiser's difference (Exp-Golomb).
_SLICE_HEADER = re.compile(r"10" r"1" r"011" r"[01][01]" r"(0*)1")


class HevcIntra(IntraCodec):
    """H.265 / HEVC intra, Main 10 profile, 10 bit 4:2:0: x265, preset slow, tune psnr.

    10 bit because HEVC codes 8-bit material better that way and the colour conversion loses
    less. Constant quantiser, equal to the point's ``qp`` (x265 would lower it for intra
    pictures), no adaptive quantisation, no psychovisual optimisation.
    """

    name = "hevc-intra"
    citation = "ITU-T H.265; x265, https://www.x265.org"
    points = workbench.points("qp", [47, 43, 39, 35, 31, 27, 23, 19], limits=(0, 51))
    encoder = "libx265"
    decoder = "hevc"
    container = "hevc"
    bits = 10
    minimum = 64
    version_pattern = rb"HEVC encoder version (\S+)"

    @classmethod
    def options(cls, point: workbench.Point) -> dict[str, str | int | float]:
        # Wavefronts would add entry points, so that bytes would depend on the threads.
        params = (
            f"qp={point.qp}:ipratio=1:keyint=1:bframes=0:repeat-headers=1:info=0"
            ":wpp=0:pools=none:frame-threads=1"
        )
        return {"preset": "slow", "tune": "psnr", "x265-params": params}

    @classmethod
    def cut(cls, stream: bytes) -> list[bytes]:
        groups = annexb.access_units(stream, annexb.HEVC)
        return [
            annexb.join([_first(unit) for unit in group if unit.kind not in _DROPPED])
            for group in groups
        ]


class HevcIntra444(HevcIntra):
    """H.265 / HEVC intra, Main 4:4:4 10 profile: as ``hevc-intra``, chroma at full size.

    4:2:0 caps RGB quality and hurts saturated edges; RGB-PSNR at high rates, and comparisons
    with learned codecs, which code RGB, want 4:4:4.
    """

    name = "hevc-intra-444"
    halved = False


def _first(unit: Unit) -> Unit:
    """Make a picture's slice what it is at the start of a stream.

    x265 sets slice_loop_filter_across_slices_enabled_flag, which has no effect where a picture
    is one slice, to 1 or 0 by the picture's number. It ends the slice header; here it is 1.
    """
    if unit.kind not in (IDR_W_RADL, IDR_N_LP):
        if unit.kind in annexb.HEVC.pictures:
            raise PluginError(f"hevc-intra: libx265 wrote a picture of type {unit.kind}, not IDR")
        return unit
    data = bytearray(annexb.unescape(unit.data))
    bits = f"{int.from_bytes(data[2:12], 'big'):080b}"
    found = _SLICE_HEADER.match(bits)
    flag = found.end() + len(found[1]) if found else 0
    # Behind the flag stand a one and zeros up to the next byte.
    if not found or bits[flag + 1 : (flag // 8 + 1) * 8].strip("0") not in ("1", ""):
        raise PluginError(f"hevc-intra: libx265 wrote another slice header: {data[:8].hex()}")
    data[2 + flag // 8] |= 0x80 >> flag % 8
    return dataclasses.replace(unit, data=annexb.escape(bytes(data)))
