"""Pictures to two layers and back: a base for machines, and what people need beside it."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.errors import StreamError

from .coder import PictureCoder, check_latents, check_stream, level_tensor
from .fusion import AdditionalNetwork, Base
from .latents import LatentCoder, checksum, snap
from .network import IcmNetwork
from .pictures import Frame
from .refinement import refine
from .stream import EnhancementStream, IcmStream, layer_crc, snap_level
from .tcm import TcmAdditional, TcmNetwork


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
        refined: search for better latents of the enhancement, see `refinement`.
    """

    def __init__(
        self,
        base: tuple[IcmNetwork | TcmNetwork, bytes],
        additional: tuple[AdditionalNetwork | TcmAdditional, bytes],
        device: str = "cpu",
        *,
        verify: bool = False,
        refined: bool = False,
    ) -> None:
        self._refined = refined
        self.base = PictureCoder(*base, device, verify=verify)
        network, self._weights_id = additional
        network = network.eval().requires_grad_(False)
        self.network = network.to(self.base.device, memory_format=torch.channels_last)
        self.latents = LatentCoder(self.network, verify=verify)

    @torch.inference_mode()
    def compress(
        self, picture: NDArray[np.uint8], base_level: float, level: float
    ) -> dict[str, bytes]:
        """uint8 [H, W, 3] at a rate level of the base and one of the enhancement."""
        stream, y_base = self.base.encode(picture, base_level)
        data, frame = stream.to_bytes(), self._frame(stream)
        level = snap_level(level)
        at = level_tensor(level, self.base.device)
        b = self._in_own_steps(y_base, stream.level, level)
        seen = self._for_transforms(b, y_base, stream.level)
        x = frame.to_input(picture, self.base.device)
        y = self.network.analyse_given(x, seen, at)
        if self._refined:
            y = refine(
                self.network,
                y,
                lambda y: self.network.synthesise_fused(self.network.fuse(y, seen.b), seen, at),
                partial(frame.squared_error, x=x),
                float(self.network.lambda_at(at)),
                self.network.side(seen.b),
            )
        coded = self.latents.encode(y, self.network.side(b), self.network.step(level))
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
        check_stream(own, self._weights_id, self.network.levels)
        if own.base_crc != layer_crc(base):
            raise StreamError(
                "the enhancement layer was made for another base layer: use the two of one stream"
            )
        stream, y_base = self.base.decode(base)
        b = self._in_own_steps(y_base, stream.level, own.level)
        shape, step = self._frame(stream).latents(), self.network.step(own.level)
        y_hat = self.latents.decode(own.payload, shape, self.network.side(b), step)
        check_latents(y_hat, own)
        fused = self.network.fuse(y_hat, b).float()
        seen = self._for_transforms(b, y_base, stream.level)
        level = level_tensor(own.level, self.base.device)
        return self._frame(stream).to_picture(self.network.synthesise_fused(fused, seen, level))

    def _for_transforms(self, b: Tensor, y_base: Tensor, base_level: float) -> Base:
        """The base in float32: unlike the entropy model, transforms need not repeat exactly."""
        if not self.network.transforms_see_base:
            return Base(b.float(), None)
        level = level_tensor(base_level, self.base.device)
        return Base(b.float(), self.base.network.synthesise(y_base.float(), level))

    def _frame(self, base: IcmStream) -> Frame:
        return Frame(base.height, base.width, self.network.stride, self.network.centred)

    def _in_own_steps(self, y_base: Tensor, base_level: float, level: float) -> Tensor:
        """b of `fusion`, float64 [1, M, h, w], on the latents' grid."""
        # Both sides must agree on b to the last bit, as on all that the entropy model sees.
        of_base, of_own = (
            level_tensor(value, self.base.device).double() for value in (base_level, level)
        )
        in_picture = self.base.latents.model.in_picture_steps(y_base, of_base)
        return snap(self.latents.model.in_own_steps(in_picture, of_own))
