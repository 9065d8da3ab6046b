"""Latents to bytes and back, the same on every device, thread count and library version.

What the entropy coder sees must be equal on both sides to the last bit.  Everything the
decoder repeats (hyper synthesis, context nets, LRP) runs in float64, where devices and
thread counts differ by some 1e-15, and is then snapped to grids coarse against that: scale
indexes, and latents in steps of 2**-10.  A flip needs a value within 1e-15 of a grid
boundary; should one happen, the checksum of the latents tells.
"""

from __future__ import annotations

import copy
import zlib
from typing import NamedTuple

import constriction
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workbench.errors import StreamError

from .entropy import SliceEntropyModel, scale_table
from .float64 import in_float64
from .tables import Tables, from_bytes, to_bytes

GRID = 1024.0


class CodedLatents(NamedTuple):
    """Result of `LatentCoder.encode`."""

    payload: bytes
    y_hat: Tensor  # float64 [1, M, h, w]


class LatentCoder:
    """Entropy coder of one slice entropy model; holds a float64 copy of what decoders repeat.

    Args:
        model: the entropy model; the copy is the attribute of that name.
        verify: decode whatever is encoded, and raise an error unless it comes back.
    """

    def __init__(self, model: SliceEntropyModel, *, verify: bool = False) -> None:
        self._verify = verify
        self.model = in_float64(_what_decoders_repeat(model))
        self._h_a = model.h_a
        self._scale_tables = Tables.gaussian()
        self._z_tables = Tables.bottleneck(self.model.entropy_bottleneck)
        log_scales = scale_table().log()
        device = next(model.parameters()).device
        # σ takes the nearest scale on a logarithmic axis.
        self._boundaries = ((log_scales[1:] + log_scales[:-1]) / 2).exp().to(device)
        self._medians = self.model.entropy_bottleneck.quantiles[:, 0, 1][None, :, None, None]

    def _indexes(self, sigma: Tensor) -> NDArray[np.uint8]:
        indexes = torch.bucketize(sigma.contiguous(), self._boundaries)
        return indexes.to(torch.uint8).flatten().cpu().numpy()

    def _channels(self, n: int) -> NDArray[np.uint8]:
        return np.repeat(np.arange(self._medians.shape[1], dtype=np.uint8), n)

    @property
    def tables(self) -> tuple[Tables, Tables]:
        """The entropy coder's tables, of y and of z."""
        return self._scale_tables, self._z_tables

    @torch.inference_mode()
    def encode(self, y: Tensor, side: Tensor | None = None, step: float = 1.0) -> CodedLatents:
        """Code y [1, M, h, w], h and w multiples of 4, rounded in steps of `step`.

        `side` [1, S, h, w] is what the entropy model knows beforehand.
        """
        centred = self._h_a(y).double() - self._medians
        y = y.double().contiguous()
        channels = self._channels(centred.shape[2] * centred.shape[3])
        z = self._z_tables.clip(_integers(centred), channels)
        state = _Slices(self.model, self._z_hat(z, centred.shape), side, step)
        coded = []
        for index, y_slice in enumerate(y.chunk(self.model.slices, dim=1)):
            mu, sigma = state.parameters(index)
            indexes = self._indexes(sigma)
            symbols = self._scale_tables.clip(_integers((y_slice - mu) / step), indexes)
            coded.append((symbols, indexes))
            state.add(index, mu + step * _tensor(symbols, mu))
        coder = constriction.stream.stack.AnsCoder()
        for symbols, indexes in reversed(coded):
            self._scale_tables.push(coder, symbols, indexes)
        self._z_tables.push(coder, z, channels)
        result = CodedLatents(to_bytes(coder), state.y_hat())
        if self._verify:
            self._check(result, side, step)
        return result

    @torch.inference_mode()
    def decode(
        self,
        payload: bytes,
        shape: tuple[int, int],
        side: Tensor | None = None,
        step: float = 1.0,
    ) -> Tensor:
        """Inverse of `encode`; `shape` is (h, w).  Returns y_hat, float64 [1, M, h, w]."""
        coder = from_bytes(payload)
        height, width = shape[0] // 4, shape[1] // 4
        z = self._z_tables.pop(coder, self._channels(height * width))
        z_shape = torch.Size((1, self._medians.shape[1], height, width))
        state = _Slices(self.model, self._z_hat(z, z_shape), side, step)
        for index in range(self.model.slices):
            mu, sigma = state.parameters(index)
            symbols = self._scale_tables.pop(coder, self._indexes(sigma))
            state.add(index, mu + step * _tensor(symbols, mu))
        return state.y_hat()

    def _check(self, coded: CodedLatents, side: Tensor | None, step: float) -> None:
        height, width = coded.y_hat.shape[2:]
        decoded = self.decode(coded.payload, (height, width), side, step)
        if not torch.equal(decoded, coded.y_hat):
            raise StreamError(
                "verify: the stream just made does not decode to the encoder's latents: "
                "this machine's arithmetic does not repeat itself"
            )

    def _z_hat(self, z: NDArray[np.int32], shape: torch.Size) -> Tensor:
        values = torch.from_numpy(z).to(self._medians.device, torch.float64)
        return values.reshape(shape) + self._medians


class _Slices:
    """Walks through the slices, the same way in the encoder and in the decoder."""

    def __init__(
        self, model: SliceEntropyModel, z_hat: Tensor, side: Tensor | None, step: float
    ) -> None:
        self._model = model
        self._means, self._scales = model.hyper_parameters(z_hat)
        self._side = [] if side is None else [side.double()]
        self._y_hats: list[Tensor] = []
        self._step = step
        self._support = z_hat

    def parameters(self, index: int) -> tuple[Tensor, Tensor]:
        """(mu, sigma in steps) of the next slice."""
        self._support, mu, sigma = self._model.slice_parameters(
            index, self._means, self._scales, self._side + self._y_hats
        )
        return mu, sigma / self._step

    def add(self, index: int, y_hat: Tensor) -> None:
        """Take in the slice just coded."""
        refined = self._model.refine(index, self._support, y_hat, self._step)
        self._y_hats.append(snap(refined))

    def y_hat(self) -> Tensor:
        """All slices.  float64 [1, M, h, w], multiples of 1/GRID."""
        return torch.cat(self._y_hats, dim=1)


def snap(latents: Tensor) -> Tensor:
    """To the grid on which latents are the same everywhere."""
    return (latents * GRID).round() / GRID


def _what_decoders_repeat(model: SliceEntropyModel) -> SliceEntropyModel:
    """The same networks without the transforms, which are most of the memory of a large one."""
    shell = copy.copy(model)
    shell._modules = {n: m for n, m in model._modules.items() if n not in ("g_a", "g_s", "h_a")}
    return shell


def checksum(y_hat: Tensor) -> int:
    """CRC-32 of the latents, counted in grid steps as int32, little-endian."""
    steps = (y_hat * GRID).round().to(torch.int32).cpu().numpy()
    return zlib.crc32(np.ascontiguousarray(steps, dtype="<i4").tobytes())


def _integers(values: Tensor) -> NDArray[np.int32]:
    # Beyond any table's reach anyway; keeps the conversion defined.
    return values.round().clamp(-1e6, 1e6).to(torch.int32).flatten().cpu().numpy()


def _tensor(symbols: NDArray[np.int32], like: Tensor) -> Tensor:
    return torch.from_numpy(symbols).to(like).reshape(like.shape)
