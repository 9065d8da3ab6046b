"""The zoo's weights: the released files, or checkpoints of one's own, and loading them.

A checkpoint of one's own, trained with CompressAI, stands for a released file where it lies in
the folder that ``WORKBENCH_CHECKPOINTS`` names, as ``compressai/ARCHITECTURE-QUALITY.pth.tar``
(``compressai/mbt2018-mean-3.pth.tar``; without the quality for variable rate). It may be a state
dictionary, or hold one as ``state_dict``, as CompressAI's training script writes it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import weights
from workbench.errors import WeightsError
from workbench.weights import WeightFile

if TYPE_CHECKING:
    from torch import Tensor, nn

SETTING = "WORKBENCH_CHECKPOINTS"
URL = "https://compressai.s3.amazonaws.com/models/v1"
LICENCE = "BSD-3-Clause-Clear"


@dataclass(frozen=True)
class Release:
    """The released files of one architecture, trained for MSE: ``compressai.zoo``.

    Args:
        stem: what the file names begin with, before quality and hash.
        hashes: the start of each file's SHA-256, by quality from 1 on; file names end with it.
        sizes_mb: about the size of a file, and from which quality on: ``((1, 11), (6, 27))``.
        variable: one file for all qualities.
    """

    stem: str
    hashes: tuple[str, ...]
    sizes_mb: tuple[tuple[int, int], ...]
    variable: bool = False

    @property
    def qualities(self) -> int:
        """How many qualities there are, from 1 on."""
        return 8 if self.variable else len(self.hashes)

    def files(self) -> tuple[WeightFile, ...]:
        """The files, by quality; one where the rate is variable."""
        return tuple(self._file(quality) for quality in range(1, len(self.hashes) + 1))

    def _file(self, quality: int) -> WeightFile:
        number = "" if self.variable else f"-{quality}"
        name = f"{self.stem}{number}-{self.hashes[quality - 1]}.pth.tar"
        size = [mb for start, mb in self.sizes_mb if start <= quality][-1]
        return WeightFile(name, f"{URL}/{name}", self.hashes[quality - 1], size, LICENCE)


def _hashes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


RELEASES = {
    "bmshj2018-factorized": Release(
        "bmshj2018-factorized-prior",
        _hashes("446d5c7f 87279a02 5c6f152b 1ed4405a 866ba797 9b02ea3a 6dfd6734 5232faa3"),
        ((1, 11), (6, 27)),
    ),
    "bmshj2018-hyperprior": Release(
        "bmshj2018-hyperprior",
        _hashes("7eb97409 93677231 6d87be32 de1b779c f8b614e1 1ab9c41e 3804dcbd a583f0cf"),
        ((1, 19), (6, 45)),
    ),
    "mbt2018-mean": Release(
        "mbt2018-mean",
        _hashes("e522738d e54a039d 723404a8 6dba02a3 d504e8eb a19628ab d5d441d1 8089ae3e"),
        ((1, 27), (5, 67)),
    ),
    "mbt2018": Release(
        "mbt2018",
        _hashes("3f36cd77 43b70cdd 22901978 456e2af9 b4a046dd 7052e5ea 8ba2bf82 dd0097aa"),
        ((1, 61), (5, 117)),
    ),
    "cheng2020-anchor": Release(
        "cheng2020-anchor",
        _hashes("dad2ebff a29008eb e49be189 98b0b468 23852949 4c052b1a"),
        ((1, 48), (4, 109)),
    ),
    "cheng2020-attn": Release(
        "cheng2020_attn-mse",
        _hashes("465f2b64 e0805385 2d07bbdf f7b0ccf2 26c8920e 730501f2"),
        ((1, 53), (4, 120)),
    ),
    "bmshj2018-hyperprior-vbr": Release(
        "bmshj2018-hyperprior-mse-vbr", ("cddd26be",), ((1, 45),), variable=True
    ),
    "mbt2018-mean-vbr": Release("mbt2018-mean-mse-vbr", ("45d095e9",), ((1, 67),), variable=True),
    "mbt2018-vbr": Release("mbt2018-mse-vbr", ("f12581a1",), ((1, 117),), variable=True),
}


def own(architecture: str, number: int) -> Path | None:
    """Where a checkpoint of one's own lies; ``number`` is the quality, 0 for variable rate."""
    folder = os.environ.get(SETTING)
    if not folder:
        return None
    path = Path(own_name(architecture, number, folder)).expanduser()
    return path if path.is_file() else None


def own_name(architecture: str, number: int, folder: str = f"${SETTING}") -> str:
    """Where a checkpoint of one's own would lie."""
    name = f"{architecture}-{number}" if number else architecture
    return f"{folder}/compressai/{name}.pth.tar"


def load(architecture: str, number: int, file: WeightFile) -> tuple[nn.Module, bytes]:
    """(network, ready to code; the first two bytes of its file's SHA-256).

    Raises:
        WeightsError: the file is missing, damaged, of another architecture, or holds NaN.
    """
    path = own(architecture, number)
    state = weights.load(file) if path is None else _load_own(path)
    path = path or weights.verified(file)
    network = _network(architecture, state, path)
    network.update()
    return network.eval().requires_grad_(False), bytes.fromhex(weights.sha256(path)[:4])


def _load_own(path: Path) -> dict[str, Any]:
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises nearly anything
        raise WeightsError(f"{path}: no state dictionary of tensors ({error})") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict):
        raise WeightsError(f"{path}: holds {type(state).__name__}, expected a state dictionary")
    return state


def _network(architecture: str, state: dict[str, Tensor], path: Path) -> Any:
    import torch

    from workbench_plugins.codecs.compressai_zoo.coders import compressai_zoo

    image, image_vbr, load_pretrained = compressai_zoo()
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise WeightsError(f"{path}: {name} is {type(value).__name__}, expected a tensor")
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise WeightsError(f"{path}: {name} holds NaN or infinity: the weights are broken")
    kinds = {**image.model_architectures, **image_vbr.model_architectures}
    # These two were released with a hyperprior whose rate varies too.
    options = {"vr_entbttlnck": True} if architecture.endswith(("prior-vbr", "mean-vbr")) else {}
    try:
        return kinds[architecture].from_state_dict(load_pretrained(state), **options)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: of another architecture than {architecture}: {' '.join(str(error).split())}"
        ) from None
