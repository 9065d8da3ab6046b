"""GAN-finetuned ICM: one stream, two decoders, a picture for machines and one for people."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import workbench
from workbench import weights

from .plugin import FOLDER, IcmCodec

if TYPE_CHECKING:
    from workbench.api import Picture

    from .coder import PictureCoder


def weights_path(name: str) -> Path:
    """Where the weights of a codec of this package lie."""
    return FOLDER / f"{name}.safetensors"


class GanIcm(IcmCodec):
    """The streams of `taskloss-icm`, byte for byte, and a GAN-finetuned decoder for people.

    A codec that learnt from recognisers leaves checkerboards that they do not mind; the second
    decoder removes them.
    """

    name = "gan-icm"
    citation = "Le et al., Bridging the gap between image coding for machines and humans, ICIP 2022"
    base: ClassVar[str] = "taskloss-icm"
    """The codec whose encoder, probability model and first decoder are used as they are."""
    outputs = {  # noqa: RUF012
        "machine": workbench.Output(("main",), "machine"),
        "human": workbench.Output(("main",), "human"),
    }

    @classmethod
    def unavailable(cls) -> str | None:
        if reason := super().unavailable():
            return reason
        if not weights_path(cls.base).exists():
            return f"needs the weights of {cls.base}: {weights_path(cls.base)} is missing"
        return None

    @classmethod
    def fingerprint(cls) -> dict[str, str]:
        return {**super().fingerprint(), "base": weights.sha256(weights_path(cls.base))}

    @cached_property
    def _coder(self) -> PictureCoder:
        from .coder import PictureCoder
        from .weights import load_weights

        return PictureCoder(*load_weights(weights_path(self.base)), self.device, verify=self.verify)

    @cached_property
    def _human_coder(self) -> PictureCoder:
        from .coder import PictureCoder
        from .decoder import load_decoder
        from .weights import load_weights

        path = weights_path(self.base)
        network, weights_id = load_weights(path)
        network.g_s = load_decoder(self.weights_path(), network, weights.sha256(path))
        return PictureCoder(network, weights_id, self.device)

    def _coders(self) -> list[Any]:
        return [self._coder, self._human_coder]

    def decode(self, stream: bytes, output: str) -> Picture:
        self._set_threads()
        coder = self._human_coder if output == "human" else self._coder
        return coder.decompress(stream)


class GanIcmLi(GanIcm):
    """`gan-icm` with limited adversarial impact: a weaker, slower discriminator."""

    name = "gan-icm-li"


@workbench.hookimpl
def workbench_codecs() -> list[type[workbench.Codec]]:
    return [GanIcm, GanIcmLi]
