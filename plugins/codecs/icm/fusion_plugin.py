"""`sa-icm-fusion`: SA-ICM's streams as base layer, and an enhancement layer for people."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

import workbench
from workbench import weights
from workbench.errors import StreamError
from workbench_plugins.codecs.residual.layers import PairPoints

from .plugin import IcmCodec, SaIcm

if TYPE_CHECKING:
    from pathlib import Path

    from workbench.api import Picture

    from .fusion_coder import FusionCoder


class SaIcmFusion(IcmCodec):
    """Feature fusion over SA-ICM: machines take the base layer, people both.

    An additional model codes 4 of 5 latent slices given the base layer's latents; fused, they
    are decoded for people. Points are pairs of rate levels, ``level1-level3``: the base layer's,
    and the enhancement's. Any level of either, in steps of 1/50, may be asked for.
    """

    name = "sa-icm-fusion"
    citation = "Shindo, Watanabe, Tsubota, Watanabe, arXiv 2405.09152; gain units CVPR 2021"
    layers = ("base", "enhancement")
    outputs = {  # noqa: RUF012
        "machine": workbench.Output(("base",), "machine"),
        "human": workbench.Output(("base", "enhancement"), "human"),
    }
    points = PairPoints(SaIcm.points, IcmCodec.points)
    base: ClassVar[type[IcmCodec]] = SaIcm

    @classmethod
    def unavailable(cls) -> str | None:
        if reason := super().unavailable():
            return reason
        reason = cls.base.unavailable()
        return f"its base layer's codec {cls.base.name} {reason}" if reason else None

    @classmethod
    def fingerprint(cls) -> dict[str, str]:
        return {**super().fingerprint(), "base": weights.sha256(cls.base.weights_path())}

    @cached_property
    def _fusion(self) -> FusionCoder:
        from .fusion_coder import FusionCoder
        from .weights import load_fusion, load_weights

        base = self.base.weights_path()
        additional = load_fusion(self.weights_path(), base)
        options = {"verify": self.verify, "refined": self.refined}
        return FusionCoder(load_weights(base), additional, self.device, **options)

    def _coders(self) -> list[Any]:
        return [self._fusion.base, self._fusion]

    def encode(self, image: Picture, point: workbench.Point) -> dict[str, bytes]:
        self._set_threads()
        base, own = (self.base.points.find(point.params[layer]) for layer in self.layers)
        return self._fusion.compress(image, base.level, own.level)

    def decode(self, stream: Any, output: str) -> Picture:
        self._set_threads()
        for layer in self.outputs[output].needs:
            if layer not in stream:
                raise StreamError(f"{self.name}: layer {layer!r} is missing: {output} needs it")
        if output == "machine":
            return self._fusion.base.decompress(stream["base"])
        return self._fusion.decompress(stream["base"], stream["enhancement"])


class SaIcmFusionRefined(SaIcmFusion):
    """`sa-icm-fusion` with an encoder that searches each picture's enhancement, 200 passes long.

    Base layers are byte for byte those of `sa-icm`, and the decoder of `sa-icm-fusion` takes both.
    """

    name = f"{SaIcmFusion.name}-refined"
    citation = "Yang, Bamler, Mandt, Improving inference for neural image compression, NeurIPS 2020"
    refined = True
    by_name_only = True

    @classmethod
    def weights_path(cls) -> Path:
        return SaIcmFusion.weights_path()


def _variant(suffix: str, what: str) -> type[SaIcmFusion]:
    about = f"`{SaIcmFusion.name}`, but {what}."
    made = {
        "__module__": __name__,
        "__doc__": about,
        "name": f"{SaIcmFusion.name}-{suffix}",
        "by_name_only": True,
    }
    return cast("type[SaIcmFusion]", type("SaIcmFusion", (SaIcmFusion,), made))


@workbench.hookimpl
def workbench_codecs() -> list[type[workbench.Codec]]:
    return [
        SaIcmFusion,
        SaIcmFusionRefined,
        *(_variant(f"m{m}", f"with {m} of 5 slices") for m in (1, 2, 3, 5)),
        _variant("alone", "its entropy model does not see the base layer's latents"),
    ]
