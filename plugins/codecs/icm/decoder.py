"""Weights files of second decoders: the layers of g_s, bound to the codec they belong to.

Kernels are float16, the rest float32, as in `weights`.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

from torch import nn

from workbench.errors import WeightsError

from .network import IcmNetwork
from .weights import load_tensors, read, write

FORMAT = "icm-decoder-1"


def save_decoder(decoder: nn.Module, base: str, base_sha256: str, path: Path) -> None:
    """Write a decoder for the streams of codec `base`, whose weights file has that hash."""
    made_for = json.dumps({"name": base, "sha256": base_sha256})
    write(decoder, path, {"format": FORMAT, "base": made_for})


def load_decoder(path: Path, base: IcmNetwork, base_sha256: str) -> nn.Module:
    """The decoder of a file, shaped like the g_s of `base`.

    Raises:
        WeightsError: no such file, of another architecture, broken, or made for other weights of
            the base, whose latents it would not understand.
    """
    tensors, header = read(path, FORMAT)
    made_for = json.loads(header["base"])
    if made_for["sha256"] != base_sha256:
        raise WeightsError(
            f"{path}: was finetuned for weights {made_for['sha256'][:12]}… of "
            f"{made_for['name']}, here are {base_sha256[:12]}…: finetune it again"
        )
    decoder = copy.deepcopy(base.g_s)
    load_tensors(decoder, tensors, path.name)
    return decoder
