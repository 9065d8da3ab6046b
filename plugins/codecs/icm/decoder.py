"""Weights files of second decoders: the layers of g_s, bound to the codec they belong to.

Kernels are float16, the rest float32, as in `weights`.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from workbench.errors import WeightsError

from .network import IcmNetwork
from .weights import load_tensors

FORMAT = "icm-decoder-1"


def save_decoder(decoder: nn.Module, base: str, base_sha256: str, path: Path) -> None:
    """Write a decoder for the streams of codec `base`, whose weights file has that hash."""
    tensors = {
        name: value.to("cpu", torch.float16 if value.ndim == 4 else torch.float32).contiguous()
        for name, value in decoder.state_dict().items()
    }
    header = {"format": FORMAT, "base": json.dumps({"name": base, "sha256": base_sha256})}
    save_file(tensors, path, metadata=header)


def load_decoder(path: Path, base: IcmNetwork, base_sha256: str) -> nn.Module:
    """The decoder of a file, shaped like the g_s of `base`.

    Raises:
        WeightsError: no such file, of another architecture, broken, or made for other weights of
            the base, whose latents it would not understand.
    """
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot be read as safetensors: {error}") from None
    if header.get("format") != FORMAT:
        raise WeightsError(f"{path}: format {header.get('format')!r} is not {FORMAT!r}")
    made_for = json.loads(header["base"])
    if made_for["sha256"] != base_sha256:
        raise WeightsError(
            f"{path}: was finetuned for weights {made_for['sha256'][:12]}… of "
            f"{made_for['name']}, here are {base_sha256[:12]}…: finetune it again"
        )
    decoder = copy.deepcopy(base.g_s)
    load_tensors(decoder, tensors, path.name)
    return decoder
