"""Bjontegaard deltas: the average distance between two rate-distortion curves.

::

    from workbench import bd

    anchor = bd.Curve(rate=[0.1, 0.2, 0.4, 0.8], quality=[28.0, 31.0, 34.0, 37.0], name="jpeg")
    test = bd.Curve(rate=[0.1, 0.2, 0.4, 0.8], quality=[29.0, 32.0, 35.0, 38.0], name="webp")
    bd.bd_rate(anchor, test).value      # percent; negative: test needs less rate
    bd.bd_quality(anchor, test).value   # unit of the quality: BD-PSNR, BD-mAP

Methods: ``cubic`` (VCEG-M33), ``pchip`` (JCT-VC's spreadsheet), ``akima`` (Herglotz et al.) join or
fit the measured points; ``vcm-monotone-cubic`` (MPEG VCM) replaces each curve by a smooth one
first. :mod:`workbench.bd.fit` has the equations. Every number comes with its warnings, and a number
that cannot be had is ``None`` with a reason.
"""

from __future__ import annotations

from workbench.bd.bootstrap import (
    BDInterval,
    ResampledCurves,
    bootstrap,
    mean_curves,
    pooled_curves,
    resampling_weights,
)
from workbench.bd.curve import Curve
from workbench.bd.delta import BDResult, bd_matrix, bd_quality, bd_rate
from workbench.bd.fit import METHODS

__all__ = [
    "METHODS",
    "BDInterval",
    "BDResult",
    "Curve",
    "ResampledCurves",
    "bd_matrix",
    "bd_quality",
    "bd_rate",
    "bootstrap",
    "mean_curves",
    "pooled_curves",
    "resampling_weights",
]
