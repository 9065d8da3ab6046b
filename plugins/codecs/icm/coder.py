"""Pictures to bytes and back with a trained network."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.errors import StreamError

from .latents import LatentCoder, checksum
from .network import IcmNetwork
from .pictures import Frame
from .refinement import refine
from .stream import EnhancementStream, IcmStream, snap_level
from .tcm import TcmNetwork


class PictureCoder:
    """compress and decompress.  A fresh instance with the same weights decodes from bytes.

    Every picture passes the networks alone: in a batch, convolutions may pick another
    algorithm and round the last bit differently.

    Args:
        network: the trained network, of whichever family.
        weights_id: what streams name its weights by.
        device: where it runs.
        verify: decode whatever is encoded, and raise an error unless it comes back.
        refined: search for better latents than the network's, see `refinement`.

    Attributes:
        network, latents: the network and the coder of its latents.
    """

    def __init__(
        self,
        network: IcmNetwork | TcmNetwork,
        weights_id: bytes,
        device: str = "cpu",
        *,
        verify: bool = False,
        refined: bool = False,
    ) -> None:
        network = network.eval().requires_grad_(False)
        self.device, self._refined = torch.device(device), refined
        self.network = network.to(self.device, memory_format=torch.channels_last)
        self._weights_id = weights_id
        self.latents = LatentCoder(self.network, verify=verify)

    def compress(self, picture: NDArray[np.uint8], level: float) -> bytes:
        """uint8 [H, W, 3] at a rate level 0..levels-1, to the nearest 1/50."""
        return self.encode(picture, level)[0].to_bytes()

    def decompress(self, data: bytes) -> NDArray[np.uint8]:
        """Inverse of `compress`: uint8 [H, W, 3].

        Raises:
            StreamError: damaged, of other weights, or decoded to other latents than encoded.
        """
        return self.synthesise(*self.decode(data))

    @torch.inference_mode()
    def encode(self, picture: NDArray[np.uint8], level: float) -> tuple[IcmStream, Tensor]:
        """(stream, latents float64 [1, M, h, w])."""
        height, width = picture.shape[:2]
        level = snap_level(level)
        frame, at = self._frame(height, width), level_tensor(level, self.device)
        x = frame.to_input(picture, self.device)
        y = self.network.analyse(x, at)
        if self._refined:
            y = refine(
                self.network,
                y,
                partial(self.network.synthesise, level=at),
                partial(frame.squared_error, x=x),
                float(self.network.lambda_at(at)),
            )
        coded = self.latents.encode(y, step=self.network.step(level))
        crc = checksum(coded.y_hat)
        stream = IcmStream(self._weights_id, level, width, height, crc, coded.payload)
        return stream, coded.y_hat

    @torch.inference_mode()
    def decode(self, data: bytes) -> tuple[IcmStream, Tensor]:
        """(stream, latents) from `encode`'s bytes."""
        stream = IcmStream.from_bytes(data)
        check_stream(stream, self._weights_id, self.network.levels)
        shape = self._frame(stream.height, stream.width).latents()
        y_hat = self.latents.decode(stream.payload, shape, step=self.network.step(stream.level))
        check_latents(y_hat, stream)
        return stream, y_hat

    @torch.inference_mode()
    def synthesise(self, stream: IcmStream, y_hat: Tensor) -> NDArray[np.uint8]:
        """The picture of decoded latents, uint8 [H, W, 3]."""
        level = level_tensor(stream.level, self.device)
        x_hat = self.network.synthesise(y_hat.float(), level)
        return self._frame(stream.height, stream.width).to_picture(x_hat)

    def _frame(self, height: int, width: int) -> Frame:
        return Frame(height, width, self.network.stride, self.network.centred)


def level_tensor(level: float, device: torch.device) -> Tensor:
    """A rate level as networks take it."""
    return torch.tensor([level], device=device)


def check_stream(stream: IcmStream | EnhancementStream, weights_id: bytes, levels: int) -> None:
    """Raise StreamError where a stream was not made by the network at hand."""
    if stream.weights_id != weights_id:
        raise StreamError(
            f"stream was made with weights {stream.weights_id.hex()}…, this decoder has "
            f"{weights_id.hex()}…: decode with the same codec and the same version of the weights"
        )
    if not 0 <= stream.level <= levels - 1:
        raise StreamError(f"stream has rate level {stream.level:g}, which the network lacks")


def check_latents(y_hat: Tensor, stream: IcmStream | EnhancementStream) -> None:
    """Raise StreamError where decoded latents are not those that were encoded."""
    if checksum(y_hat) != stream.latents_crc:
        raise StreamError(
            "decoded latents differ from the encoder's: this machine's arithmetic does not "
            "reproduce the entropy model; decode on the kind of device that encoded"
        )
