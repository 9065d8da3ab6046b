"""Array-based rANS over tables of integer weights: no loop over symbols in Python.

Symbols that share a table are coded together, as one array: a stable radix sort by table
index groups them, and the decoder, which knows the indexes, undoes it.  The coder is
constriction's `AnsCoder`, a stack: what is pushed last is popped first.

Weights are integers, and constriction turns them into fixed point with additions and
multiplications only, so encoder and decoder agree on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import constriction
import numpy as np
from scipy.special import ndtr

from workbench.errors import StreamError

from .entropy import scale_table

if TYPE_CHECKING:
    from compressai.entropy_models import EntropyBottleneck
    from numpy.typing import NDArray

# Weights add up to about this; constriction's models have 24 bits.
WEIGHT_SUM = 1 << 22
# A support at least this wide on either side lets badly predicted symbols through: each
# possible symbol costs the others a 2**-22 share.
MIN_REACH = 64
SIGMAS = 8.0


class Tables:
    """Probability tables, each over the symbols -reach..reach of its own."""

    def __init__(self, pmfs: list[NDArray[np.float64]]) -> None:
        self.reach = np.array([len(pmf) // 2 for pmf in pmfs], np.int32)
        self._models = [
            constriction.stream.model.Categorical(
                np.maximum(np.rint(pmf * WEIGHT_SUM), 1.0), perfect=False
            )
            for pmf in pmfs
        ]

    @classmethod
    def gaussian(cls) -> Tables:
        """Zero-mean Gaussians over unit bins, one for each scale of the scale table."""
        pmfs = []
        for scale in scale_table().numpy():
            reach = max(int(np.ceil(SIGMAS * scale)), MIN_REACH)
            distance = np.abs(np.arange(-reach, reach + 1.0))
            # Differences of the lower tail keep precision far from the mean.
            pmfs.append(ndtr((0.5 - distance) / scale) - ndtr((-0.5 - distance) / scale))
        return cls(pmfs)

    @classmethod
    def bottleneck(cls, model: EntropyBottleneck) -> Tables:
        """One table a channel, around the median, of a float64 entropy bottleneck."""
        import torch

        offsets = torch.arange(-MIN_REACH, MIN_REACH + 1, dtype=torch.float64)
        with torch.inference_mode():
            values = offsets.to(model.quantiles) + model.quantiles[:, :, 1:2]
            likelihood, *_ = model._likelihood(values, stop_gradient=True)
        return cls(list(likelihood[:, 0].cpu().numpy()))

    def clip(self, symbols: NDArray[np.int32], indexes: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Limit symbols to what their tables hold."""
        reach = self.reach[indexes]
        return np.clip(symbols, -reach, reach)

    def _groups(self, indexes: NDArray[np.uint8]) -> tuple[NDArray[np.intp], list[tuple[int, ...]]]:
        # uint8 keys make numpy's stable sort a radix sort, ten times as fast as on int32.
        order = np.argsort(indexes, kind="stable")
        counts = np.bincount(indexes, minlength=len(self._models))
        ends = np.cumsum(counts)
        return order, [
            (int(i), int(ends[i] - counts[i]), int(ends[i])) for i in np.flatnonzero(counts)
        ]

    def push(self, coder: Any, symbols: NDArray[np.int32], indexes: NDArray[np.uint8]) -> None:
        """Put symbols [n] with table indexes [n] on the coder's stack."""
        order, groups = self._groups(indexes)
        shifted = (symbols + self.reach[indexes])[order]
        for index, start, end in reversed(groups):
            coder.encode_reverse(shifted[start:end], self._models[index])

    def pop(self, coder: Any, indexes: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Take back what `push` put there with the same indexes."""
        order, groups = self._groups(indexes)
        shifted = np.empty(len(indexes), np.int32)
        for index, start, end in groups:
            shifted[order[start:end]] = coder.decode(self._models[index], end - start)
        return shifted - self.reach[indexes]


def to_bytes(coder: Any) -> bytes:
    """The coder's state and words, little-endian."""
    return bytes(coder.get_compressed().astype("<u4").tobytes())


def from_bytes(payload: bytes) -> Any:
    """A coder that pops what was pushed before `to_bytes`.

    Raises:
        StreamError: no coder leaves such words.
    """
    words = np.frombuffer(payload, "<u4").astype(np.uint32)
    try:
        return constriction.stream.stack.AnsCoder(words)
    except ValueError as error:
        raise StreamError(f"stream is damaged: {error}") from None
