"""Pictures to bytes and back with a trained network."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.errors import StreamError
from workbench.images import to_uint8

from .latents import LatentCoder, checksum
from .network import IcmNetwork
from .stream import IcmStream, snap_level


class PictureCoder:
    """compress and decompress.  A fresh instance with the same weights decodes from bytes.

    Every picture passes the networks alone: in a batch, convolutions may pick another
    algorithm and round the last bit differently.
    """

    def __init__(self, network: IcmNetwork, weights_id: bytes, device: str = "cpu") -> None:
        network = network.eval().requires_grad_(False)
        self._network = network.to(torch.device(device), memory_format=torch.channels_last)
        self._weights_id = weights_id
        self._latents = LatentCoder(self._network)
        self._device = torch.device(device)

    @torch.inference_mode()
    def compress(self, picture: NDArray[np.uint8], level: float) -> bytes:
        """uint8 [H, W, 3] at a rate level 0..levels-1, to the nearest 1/50."""
        height, width = picture.shape[:2]
        level = snap_level(level)
        x = torch.from_numpy(self._pad(picture)).to(self._device)
        x = (x.permute(2, 0, 1)[None].float() / 255).contiguous(memory_format=torch.channels_last)
        coded = self._latents.encode(self._network.analyse(x, self._level(level)))
        return IcmStream(
            self._weights_id, level, width, height, checksum(coded.y_hat), coded.payload
        ).to_bytes()

    @torch.inference_mode()
    def decompress(self, data: bytes) -> NDArray[np.uint8]:
        """Inverse of `compress`: uint8 [H, W, 3].

        Raises:
            StreamError: damaged, of other weights, or decoded to other latents than encoded.
        """
        stream = IcmStream.from_bytes(data)
        if stream.weights_id != self._weights_id:
            raise StreamError(
                f"stream was made with weights {stream.weights_id.hex()}…, this decoder has "
                f"{self._weights_id.hex()}…: decode with the same version of the weights"
            )
        if not 0 <= stream.level <= len(self._network.config.lambdas) - 1:
            raise StreamError(f"stream has rate level {stream.level:g}, which the network lacks")
        shape = (_padded(stream.height) // 16, _padded(stream.width) // 16)
        y_hat = self._latents.decode(stream.payload, shape)
        if checksum(y_hat) != stream.latents_crc:
            raise StreamError(
                "decoded latents differ from the encoder's: this machine's arithmetic does not "
                "reproduce the entropy model; decode on the kind of device that encoded"
            )
        x_hat = self._network.synthesise(y_hat.float(), self._level(stream.level))
        picture = x_hat[0].permute(1, 2, 0).cpu().numpy()
        return to_uint8(picture[: stream.height, : stream.width].astype(np.float64) * 255)

    def _level(self, level: float) -> Tensor:
        return torch.tensor([level], device=self._device)

    @staticmethod
    def _pad(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = picture.shape[:2]
        pads = ((0, _padded(height) - height), (0, _padded(width) - width), (0, 0))
        return np.pad(picture, pads, mode="edge")


def _padded(side: int) -> int:
    return -(-side // IcmNetwork.stride) * IcmNetwork.stride
