"""Scalable codecs over any codec of the workbench: its stream, and what people lack in it.

==========  =================================================================================
module      what it does
==========  =================================================================================
``layers``  what they share: base layer, points, checksum, the family over an inner codec
``vvc``     ``vvc-residual:CODEC``: a VVC inter picture that refers to the base's picture
``plain``   ``plain-residual:CODEC``: the difference as a picture
==========  =================================================================================
"""

from __future__ import annotations

import workbench
from workbench_plugins.codecs.icm.plugin import SaIcm
from workbench_plugins.codecs.residual.plain import PlainResidual
from workbench_plugins.codecs.residual.vvc import VvcResidual

__all__ = ["PlainResidual", "VvcResidual"]


@workbench.hookimpl
def workbench_codecs() -> list[type[workbench.Codec]]:
    return [PlainResidual, VvcResidual, VvcResidual.over(SaIcm, "sa-icm-vvc")]
