"""Video codecs as still-picture codecs, through the ffmpeg program.

========================  ==========================================================
module                    what it does
========================  ==========================================================
``avc hevc av1 vvc``      the codecs: encoder settings and rate points
``intra``                 what they share: batches, the stream's header, decoding
``process``               runs the ffmpeg program
``program``               the encoders that it has
``colour``                RGB to and from raw YCbCr planes
``annexb``, ``obu``       cutting a stream into pictures
========================  ==========================================================
"""

from __future__ import annotations

import workbench
from workbench_plugins.codecs.ffmpeg.av1 import Av1Intra
from workbench_plugins.codecs.ffmpeg.avc import AvcIntra
from workbench_plugins.codecs.ffmpeg.hevc import HevcIntra, HevcIntra444
from workbench_plugins.codecs.ffmpeg.vvc import VvcIntra

__all__ = ["Av1Intra", "AvcIntra", "HevcIntra", "HevcIntra444", "VvcIntra"]


@workbench.hookimpl
def workbench_codecs() -> list[type[workbench.Codec]]:
    return [AvcIntra, HevcIntra, HevcIntra444, Av1Intra, VvcIntra]
