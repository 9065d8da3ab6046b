"""Codecs of released checkpoints: ``tcm:NAME`` and ``tcm-fusion:BASE+ADDITIONAL``.

A checkpoint called NAME lies in the folder that ``WORKBENCH_CHECKPOINTS`` names, as
``tcm/NAME.pth.tar``: LIC-TCM's, SA-ICM's, or ICM-v1's `icm` and `ica`, as they were released.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import workbench
from workbench import weights
from workbench.errors import PluginError, WeightsError
from workbench_plugins.codecs.compressai_zoo.checkpoints import SETTING
from workbench_plugins.codecs.residual.layers import PairPoints

from .fusion_plugin import SaIcmFusion
from .plugin import IcmCodec

if TYPE_CHECKING:
    from workbench.registry import Registry

    from .coder import PictureCoder
    from .fusion_coder import FusionCoder

SUFFIX = ".pth.tar"


def where(name: str) -> Path:
    """Where a checkpoint lies, or would lie."""
    return Path(os.environ.get(SETTING, f"${SETTING}")).expanduser() / "tcm" / f"{name}{SUFFIX}"


def missing(*names: str) -> str | None:
    """Which checkpoints are not there, with the cure."""
    lacking = [str(where(name)) for name in names if not where(name).is_file()]
    return f"needs checkpoints: put them into {', '.join(lacking)}" if lacking else None


def fingerprints(*names: str) -> dict[str, str]:
    """SHA-256 of the checkpoints.

    Raises:
        WeightsError: one is missing.
    """
    if reason := missing(*names):
        raise WeightsError(reason)
    return {name: weights.sha256(where(name)) for name in names}


class Tcm(IcmCodec):
    """LIC-TCM or SA-ICM by a released checkpoint; slow on a processor.

    Level 3 is the network as trained. Other levels scale its quantisation step, by √2 a level,
    without training: near level 3 at little loss.
    """

    name = "tcm"
    family = "CHECKPOINT"
    citation = "Liu, Sun, Katto, CVPR 2023, arXiv 2303.14978; SA-ICM: arXiv 2403.04173"
    outputs = {"image": workbench.Output(("main",))}  # noqa: RUF012
    checkpoint: ClassVar[str] = ""

    @classmethod
    def of(cls, argument: str, registry: Registry) -> type[workbench.Codec]:
        return _make(cls, argument, checkpoint=argument)

    @classmethod
    def unavailable(cls) -> str | None:
        return cls.not_installed() or (missing(cls.checkpoint) if cls.checkpoint else None)

    @classmethod
    def fingerprint(cls) -> dict[str, str]:
        return fingerprints(cls.checkpoint)

    @cached_property
    def _coder(self) -> PictureCoder:
        from .coder import PictureCoder
        from .tcm import TcmNetwork
        from .tcm_weights import load_checkpoint

        loaded = load_checkpoint(where(self.checkpoint), TcmNetwork)
        return PictureCoder(*loaded, self.device, verify=self.verify)


class TcmFusion(SaIcmFusion):
    """Feature fusion by two released checkpoints, a machine codec's and an additional model's.

    As released, the additional model does not see the base; unlike there, both layers are real
    streams. Levels as of `tcm`.
    """

    name = "tcm-fusion"
    family = "BASE+ADDITIONAL"
    citation = "Shindo, Watanabe, Tsubota, Watanabe, arXiv 2405.09152"
    base = Tcm
    points = PairPoints(Tcm.points, Tcm.points)
    checkpoints: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, argument: str, registry: Registry) -> type[workbench.Codec]:
        names = tuple(argument.split("+"))
        if len(names) != 2 or not all(names):
            raise PluginError(f"{cls.name}:{argument}: write {cls.name}:{cls.family}")
        return _make(cls, argument, checkpoints=names)

    @classmethod
    def unavailable(cls) -> str | None:
        return cls.not_installed() or missing(*cls.checkpoints)

    @classmethod
    def fingerprint(cls) -> dict[str, str]:
        return fingerprints(*cls.checkpoints)

    @cached_property
    def _fusion(self) -> FusionCoder:
        from .fusion_coder import FusionCoder
        from .tcm import TcmAdditional, TcmNetwork
        from .tcm_weights import load_checkpoint

        base, additional = (where(name) for name in self.checkpoints)
        return FusionCoder(
            load_checkpoint(base, TcmNetwork),
            load_checkpoint(additional, TcmAdditional),
            self.device,
            verify=self.verify,
        )


def _make(kind: type[IcmCodec], argument: str, **attributes: Any) -> type[IcmCodec]:
    made = {
        "__module__": __name__,
        "__doc__": kind.__doc__,
        "name": f"{kind.name}:{argument}",
        "family": "",
        **attributes,
    }
    return cast("type[IcmCodec]", type(kind.__name__, (kind,), made))


@workbench.hookimpl
def workbench_codecs() -> list[type[workbench.Codec]]:
    return [Tcm, TcmFusion]
