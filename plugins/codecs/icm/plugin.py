"""Learned codecs whose weights come with the workbench: one network, several objectives."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import workbench
from workbench import weights

if TYPE_CHECKING:
    from workbench.api import Picture

    from .coder import PictureCoder

FOLDER = Path(__file__).parents[2] / "weights"
VERIFY = "WORKBENCH_VERIFY"


class IcmCodec(workbench.Codec):
    """A `lite` network: padding, real rANS streams and rate levels between 0 and 5.

    Any level in steps of 1/50 may be asked for; all come from one file of weights. Streams
    decode to the same latents on other devices and thread counts, or raise an error. With
    ``WORKBENCH_VERIFY=1`` the encoder decodes every stream it makes and compares.
    """

    requires = ("torch", "compressai", "constriction", "safetensors", "scipy")
    extra = "learned"
    points = workbench.points("level", [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], limits=(0, 5))
    refined: ClassVar[bool] = False
    """Whether the encoder searches for better latents than the network's, see `refinement`."""

    @classmethod
    def weights_path(cls) -> Path:
        """Where this codec's weights lie."""
        return FOLDER / f"{cls.name}.safetensors"

    @classmethod
    def unavailable(cls) -> str | None:
        if reason := super().unavailable():
            return reason
        if not cls.weights_path().exists():
            return (
                f"has no trained weights: train plugins/codecs/icm/recipes/{cls.name}.yaml "
                f"and export them to {cls.weights_path()}"
            )
        return None

    @classmethod
    def fingerprint(cls) -> dict[str, str]:
        return {"weights": weights.sha256(cls.weights_path())}

    @property
    def verify(self) -> bool:
        """Whether the encoder makes sure that its streams decode; doubles its time."""
        return os.environ.get(VERIFY, "0") != "0"

    @cached_property
    def _coder(self) -> PictureCoder:
        from .coder import PictureCoder
        from .weights import load_weights

        loaded = load_weights(self.weights_path())
        return PictureCoder(*loaded, self.device, verify=self.verify, refined=self.refined)

    def encode(self, image: Picture, point: workbench.Point) -> bytes:
        self._set_threads()
        return self._coder.compress(image, point.level)

    def decode(self, stream: bytes, output: str) -> Picture:
        self._set_threads()
        return self._coder.decompress(stream)

    def profile(self, image: Picture, point: workbench.Point) -> dict[str, str]:
        from .profile import profile

        self._set_threads()
        output = list(self.outputs)[-1]
        coders = self._coders()
        return profile(
            lambda: self.encode(image, point),
            lambda stream: self.decode(stream, output),
            [coder.network for coder in coders],
            [coder.latents for coder in coders],
            image.shape[0] * image.shape[1],
        )

    def _coders(self) -> list[Any]:
        """All that have a network and its latent coder."""
        return [self._coder]

    def _set_threads(self) -> None:
        import torch

        torch.set_num_threads(self.threads)


class LicHuman(IcmCodec):
    """Learned codec for human vision: R + λ · mse(x, x̂)."""

    name = "lic-human"
    citation = "network after Liu, Sun, Katto, CVPR 2023, arXiv 2303.14978; gain units CVPR 2021"


class LicHumanRefined(LicHuman):
    """`lic-human` with an encoder that searches the latents of each picture, 200 passes long.

    Streams are those of `lic-human`, whose decoder takes them.
    """

    name = "lic-human-refined"
    citation = "Yang, Bamler, Mandt, Improving inference for neural image compression, NeurIPS 2020"
    refined = True
    by_name_only = True

    @classmethod
    def weights_path(cls) -> Path:
        return LicHuman.weights_path()


class SaIcm(IcmCodec):
    """SA-ICM: R + λ · mse(x ⊙ m, x̂ ⊙ m), m the edges of a segmentation; texture vanishes."""

    name = "sa-icm"
    citation = "Shindo, Watanabe, Tsubota, Watanabe, arXiv 2403.04173"
    outputs = {"image": workbench.Output(("main",), "machine")}  # noqa: RUF012


class ObjectIcm(IcmCodec):
    """Object-ICM: SA-ICM's loss with m the union of the objects' masks."""

    name = "object-icm"
    citation = "Shindo, Watanabe, Tsubota, Watanabe, arXiv 2403.04173"
    outputs = {"image": workbench.Output(("main",), "machine")}  # noqa: RUF012


class RoiIcm(IcmCodec):
    """ROI: R + λ · mse with more weight where objects are; the stream is an ordinary one."""

    name = "roi-icm"
    citation = "network after Liu, Sun, Katto, CVPR 2023, arXiv 2303.14978; gain units CVPR 2021"
    outputs = {"image": workbench.Output(("main",), "machine")}  # noqa: RUF012


class TasklossIcm(IcmCodec):
    """Task loss: R + λ · (mse + a frozen recogniser's distance between x and x̂)."""

    name = "taskloss-icm"
    citation = "Feng et al., image coding for machines with omnipotent features, ECCV 2022"
    outputs = {"image": workbench.Output(("main",), "machine")}  # noqa: RUF012


@workbench.hookimpl
def workbench_codecs() -> list[type[workbench.Codec]]:
    return [LicHuman, LicHumanRefined, SaIcm, ObjectIcm, RoiIcm, TasklossIcm]
