"""Pictures to bytes and back with a network of CompressAI's zoo.

Two coders. `ArrayCoder` is ours, for the networks without autoregression: arrays from end to end,
and whatever the entropy coder sees computed in float64, so that devices and thread counts agree.
Its payload is the CRC-32 of the coded symbols, then rANS words. `OwnCoder` is CompressAI's own
``compress`` and ``decompress``, for the autoregressive networks and those of variable rate: it
walks through the latents in Python, in float32, on one thread, so that streams decode with any
number of threads; another processor may fail to decode them. Its payload is CompressAI's strings,
each but the last behind its size as LEB128.
"""

from __future__ import annotations

import copy
import struct
import warnings
import zlib
from typing import TYPE_CHECKING, Any, Protocol

import constriction
import numpy as np
import torch
from torch import Tensor

from workbench.errors import StreamError
from workbench_plugins.codecs.ffmpeg.obu import leb128, to_leb128
from workbench_plugins.codecs.icm.entropy import scale_table
from workbench_plugins.codecs.icm.float64 import in_float64
from workbench_plugins.codecs.icm.tables import Tables, from_bytes, to_bytes

with warnings.catch_warnings():
    # CompressAI scripts a function on import, which newer versions of torch advise against.
    warnings.simplefilter("ignore", FutureWarning)
    from compressai.models import FactorizedPrior, MeanScaleHyperprior
    from compressai.zoo import image, image_vbr
    from compressai.zoo.pretrained import load_pretrained

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_REACH, MAX_REACH = 64, 4096
CRC = struct.Struct("<I")


def compressai_zoo() -> tuple[Any, Any, Any]:
    """CompressAI's zoo modules and its renaming of state dictionaries, imported quietly."""
    return image, image_vbr, load_pretrained


class Coder(Protocol):
    """x float32 [1, 3, H, W] in 0..1, sides multiples of 64, to bytes and back."""

    def compress(self, x: Tensor) -> bytes: ...

    def decompress(self, payload: bytes, height: int, width: int) -> Tensor: ...


class ArrayCoder:
    """For the factorized prior and the hyperpriors with and without means.

    ::

        y ──► h_a ──► z ──► round ──► ẑ ──► h_s ──► σ, μ        (float64 from ẑ on)
        symbols of y = round(y − μ), ŷ = symbols + μ

    The factorized prior codes y as the others code z. Symbols outside a table, further from the
    median than the quantiles of CompressAI's training and than 64, are clipped.
    """

    def __init__(self, network: Any) -> None:
        self._network = network.to(memory_format=torch.channels_last)
        bottleneck = copy.deepcopy(network.entropy_bottleneck).double()
        self._tables = _bottleneck_tables(bottleneck)
        self._medians = bottleneck.quantiles[:, 0, 1][None, :, None, None]
        self._factorized = isinstance(network, FactorizedPrior)
        if not self._factorized:
            self._h_s = in_float64(network.h_s)
            self._means = isinstance(network, MeanScaleHyperprior)
            self._gaussians = Tables.gaussian()
            log_scales = scale_table().log()
            # σ takes the nearest scale on a logarithmic axis.
            self._boundaries = ((log_scales[1:] + log_scales[:-1]) / 2).exp().to(self._medians)

    def compress(self, x: Tensor) -> bytes:
        y = self._network.g_a(x.contiguous(memory_format=torch.channels_last))
        z = y if self._factorized else self._network.h_a(y if self._means else y.abs())
        centred = z.double() - self._medians
        channels = _channels(centred.shape)
        z_symbols = self._tables.clip(_integers(centred), channels)
        coder = constriction.stream.stack.AnsCoder()
        crc = zlib.crc32(z_symbols.astype("<i4").tobytes())
        if not self._factorized:
            mu, indexes = self._parameters(z_symbols, centred.shape)
            symbols = self._gaussians.clip(_integers(y - mu), indexes)
            crc = zlib.crc32(symbols.astype("<i4").tobytes(), crc)
            self._gaussians.push(coder, symbols, indexes)
        self._tables.push(coder, z_symbols, channels)
        return CRC.pack(crc) + to_bytes(coder)

    def decompress(self, payload: bytes, height: int, width: int) -> Tensor:
        if len(payload) < CRC.size or len(payload) % 4:
            raise StreamError(f"the payload of {len(payload)} bytes is cut: it is words of 4")
        coder = from_bytes(payload[CRC.size :])
        down = 16 if self._factorized else 64
        shape = torch.Size((1, self._medians.shape[1], height // down, width // down))
        channels = _channels(shape)
        z_symbols = self._tables.pop(coder, channels)
        crc = zlib.crc32(z_symbols.astype("<i4").tobytes())
        if self._factorized:
            y_hat = self._dequantised(z_symbols, shape)
        else:
            mu, indexes = self._parameters(z_symbols, shape)
            symbols = self._gaussians.pop(coder, indexes)
            crc = zlib.crc32(symbols.astype("<i4").tobytes(), crc)
            y_hat = mu + torch.from_numpy(symbols).to(mu).reshape(mu.shape)
        if CRC.pack(crc) != payload[: CRC.size]:
            raise StreamError(
                "decoded latents differ from the encoder's: this machine's arithmetic does not "
                "reproduce the entropy model; decode on the kind of device that encoded"
            )
        y_hat = y_hat.float().contiguous(memory_format=torch.channels_last)
        x_hat: Tensor = self._network.g_s(y_hat)
        return x_hat

    def _parameters(
        self, z_symbols: NDArray[np.int32], shape: torch.Size
    ) -> tuple[Tensor, NDArray[np.uint8]]:
        """(μ [1, M, h, w], scale indexes [n]), in float64 on both sides."""
        parameters = self._h_s(self._dequantised(z_symbols, shape))
        sigma = parameters.chunk(2, 1)[0] if self._means else parameters
        mu = parameters.chunk(2, 1)[1] if self._means else torch.zeros_like(parameters)
        indexes = torch.bucketize(sigma.contiguous(), self._boundaries)
        return mu, indexes.to(torch.uint8).flatten().cpu().numpy()

    def _dequantised(self, symbols: NDArray[np.int32], shape: torch.Size) -> Tensor:
        return torch.from_numpy(symbols).to(self._medians).reshape(shape) + self._medians


class OwnCoder:
    """CompressAI's own coder; ``options`` are further arguments of the network's methods."""

    def __init__(self, network: Any, **options: int) -> None:
        self._network = network
        self._options = options

    def compress(self, x: Tensor) -> bytes:
        coded = self._network.compress(x, **self._options)["strings"]
        *sized, last = (strings[0] for strings in coded)
        return b"".join(to_leb128(len(string)) + string for string in sized) + last

    def decompress(self, payload: bytes, height: int, width: int) -> Tensor:
        size, start = leb128(payload, 0)
        if start + size > len(payload):
            raise StreamError(f"the payload of {len(payload)} bytes is cut")
        strings = [[payload[start : start + size]], [payload[start + size :]]]
        shape = (height // 64, width // 64)
        x_hat: Tensor = self._network.decompress(strings, shape, **self._options)["x_hat"]
        return x_hat


def variable(network: Any, level: int) -> OwnCoder:
    """The coder of a network of variable rate at a level from 0 on."""
    # The tables of these networks' hyperprior depend on the level.
    network = copy.deepcopy(network)
    network.update(force=True, scale=network.Gain[level].abs())
    return OwnCoder(network, s=level)


def _bottleneck_tables(bottleneck: Any) -> Tables:
    """One table a channel, around its median, as wide as the trained quantiles."""
    quantiles = bottleneck.quantiles[:, 0]  # [C, 3]: lower tail, median, upper tail
    spread = torch.maximum(quantiles[:, 1] - quantiles[:, 0], quantiles[:, 2] - quantiles[:, 1])
    reach = spread.ceil().clamp(MIN_REACH, MAX_REACH).int().tolist()
    widest = max(reach)
    offsets = torch.arange(-widest, widest + 1).to(quantiles)
    with torch.inference_mode():
        values = offsets + bottleneck.quantiles[:, :, 1:2]  # [C, 1, 2 * widest + 1]
        likelihood, *_ = bottleneck._likelihood(values, stop_gradient=True)
    table = likelihood[:, 0].cpu().numpy()
    return Tables([row[widest - r : widest + r + 1] for row, r in zip(table, reach, strict=True)])


def _channels(shape: torch.Size) -> Any:
    # 16 bits where there are more than 256 channels: numpy's stable sort is a radix sort there too.
    kind = np.uint8 if shape[1] <= 256 else np.uint16
    return np.repeat(np.arange(shape[1], dtype=kind), shape[2] * shape[3])


def _integers(values: Tensor) -> NDArray[np.int32]:
    # Beyond any table's reach anyway; keeps the conversion defined.
    return values.round().clamp(-1e6, 1e6).to(torch.int32).flatten().cpu().numpy()
