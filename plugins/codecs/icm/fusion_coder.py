"""Pictures to two layers and back: a base for machines, and what people need beside it."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.errors import StreamError

from .coder import PictureCoder, check_latents, check_stream, level_tensor
from .fusion import AdditionalNetwork
from .latents import LatentCoder, checksum, snap
from .network import IcmNetwork
from .pictures import to_input, to_picture
from .stream import EnhancementStream, layer_crc, snap_level


class FusionCoder:
    """compress and decompress over the layers `base` and `enhancement`.

    ::

        base layer ──► y_b ──► b, float64, on the latents' grid ─┬─► entropy model ──► y_a
                                                                 └─► fusion ◄──────────┘

    Args:
        base: the trained base and its `weights_id`.
        additional: the additional model and its `weights_id`.
        device: where they run.
        verify: decode whatever is encoded, and raise an error unless it comes back.
    """

    def __init__(
        self,
        base: tuple[IcmNetwork, bytes],
        additional: tuple[AdditionalNetwork, bytes],
        device: str = "cpu",
        *,
        verify: bool = False,
    ) -> None:
        self.base = PictureCoder(*base, device, verify=verify)
        network, self._weights_id = additional
        network = network.eval().requires_grad_(False)
        self._network = network.to(self.base.device, memory_format=torch.channels_last)
        self._latents = LatentCoder(self._network, verify=verify)
        # Both sides must agree on b to the last bit, as on all that the entropy model sees.
        self._base_gain, self._own_gain = (
            copy.deepcopy(n.inverse_gain).double() for n in (base[0], network)
        )

    @torch.inference_mode()
    def compress(
        self, picture: NDArray[np.uint8], base_level: float, level: float
    ) -> dict[str, bytes]:
        """uint8 [H, W, 3] at a rate level of the base and one of the enhancement."""
        stream, y_base = self.base.encode(picture, base_level)
        data = stream.to_bytes()
        level = snap_level(level)
        b = self._in_own_steps(y_base, stream.level, level)
        x = to_input(picture, IcmNetwork.stride, self.base.device)
        y = self._network.analyse(x, b.float(), level_tensor(level, self.base.device))
        coded = self._latents.encode(y, self._network.side(b))
        enhancement = EnhancementStream(
            self._weights_id, level, layer_crc(data), checksum(coded.y_hat), coded.payload
        )
        return {"base": data, "enhancement": enhancement.to_bytes()}

    @torch.inference_mode()
    def decompress(self, base: bytes, enhancement: bytes) -> NDArray[np.uint8]:
        """The picture for people, uint8 [H, W, 3].

        Raises:
            StreamError: a layer is damaged or of other weights, they do not belong together, or
                latents came out that were not encoded.
        """
        own = EnhancementStream.from_bytes(enhancement)
        check_stream(own, self._weights_id, len(self._network.config.network.lambdas))
        if own.base_crc != layer_crc(base):
            raise StreamError(
                "the enhancement layer was made for another base layer: use the two of one stream"
            )
        stream, y_base = self.base.decode(base)
        b = self._in_own_steps(y_base, stream.level, own.level)
        y_hat = self._latents.decode(own.payload, tuple(b.shape[2:]), self._network.side(b))
        check_latents(y_hat, own)
        fused = self._network.fuse(y_hat, b).float()
        x_hat = self._network.synthesise(fused, level_tensor(own.level, self.base.device))
        return to_picture(x_hat, stream.height, stream.width)

    def _in_own_steps(self, y_base: Tensor, base_level: float, level: float) -> Tensor:
        """b of `fusion`, float64 [1, M, h, w], on the latents' grid."""
        gain, own = (
            unit(level_tensor(value, self.base.device).double())
            for unit, value in ((self._base_gain, base_level), (self._own_gain, level))
        )
        return snap(y_base * gain / own)
