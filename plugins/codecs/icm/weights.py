"""Weights files: safetensors with the network's dimensions in the header.

Kernels are stored as float16, which halves a file at no measurable cost; vectors and the
entropy bottleneck stay float32.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from workbench.errors import WeightsError
from workbench.weights import sha256

from .fusion import AdditionalNetwork, FusionConfig
from .network import IcmNetwork, LiteConfig

FORMAT = "icm-lite-1"
FUSION_FORMAT = "icm-fusion-1"
# What CompressAI's coder keeps beside the parameters; ours derives its own tables.
_CODER_STATE = (
    *("_offset", "_quantized_cdf", "_cdf_length", "scale_table", "bound", "target"),
    "pedestal",  # GDN's constant
)


def _is_weight(name: str) -> bool:
    return not name.endswith(_CODER_STATE)


def write(network: torch.nn.Module, path: Path, header: dict[str, str]) -> None:
    """Write a network's parameters and a header that says what they are."""
    tensors = {}
    for name, value in network.state_dict().items():
        if _is_weight(name):
            half = value.ndim == 4
            tensors[name] = value.to("cpu", torch.float16 if half else torch.float32).contiguous()
    save_file(tensors, path, metadata=header)


def read(path: Path, *kinds: str) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """(tensors as float32, header) of a weights file of one of the formats `kinds`.

    Raises:
        WeightsError: no weights file, or of another format.
    """
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot be read as safetensors: {error}") from None
    if header.get("format") not in kinds:
        raise WeightsError(
            f"{path}: format {header.get('format')!r} is not {' or '.join(map(repr, kinds))}: "
            "use weights of the lite family"
        )
    return tensors, header


def weights_id(path: Path) -> bytes:
    """What streams name their weights by: the first two bytes of the file's SHA-256."""
    return bytes.fromhex(sha256(path)[:4])


def save_weights(network: IcmNetwork, path: Path) -> None:
    """Write `network` as a weights file."""
    write(network, path, {"format": FORMAT, "config": json.dumps(network.config.to_dict())})


def load_weights(path: Path) -> tuple[IcmNetwork, bytes]:
    """(network, `weights_id`).

    Raises:
        WeightsError: no weights file, of another architecture, keys missing or extra, or NaN.
    """
    tensors, header = read(path, FORMAT)
    network = IcmNetwork(LiteConfig.from_dict(json.loads(header["config"])))
    load_tensors(network, tensors, path.name)
    return network, weights_id(path)


def save_fusion(network: AdditionalNetwork, path: Path, base: Path) -> None:
    """Write an additional model; it is bound to the weights file of its base."""
    header = {"config": json.dumps(network.config.to_dict()), "base_sha256": sha256(base)}
    write(network, path, {"format": FUSION_FORMAT, **header})


def load_fusion(path: Path, base: Path) -> tuple[AdditionalNetwork, bytes]:
    """(additional model, `weights_id`).

    Raises:
        WeightsError: as for `load_weights`, or trained over another base.
    """
    tensors, header = read(path, FUSION_FORMAT)
    if header["base_sha256"] != sha256(base):
        raise WeightsError(
            f"{path.name}: was trained over a base of sha256 {header['base_sha256'][:12]}…, "
            f"{base.name} has {sha256(base)[:12]}…: train it anew over this base"
        )
    network = AdditionalNetwork(FusionConfig.from_dict(json.loads(header["config"])))
    load_tensors(network, tensors, path.name)
    return network, weights_id(path)


def load_tensors(network: torch.nn.Module, tensors: dict[str, torch.Tensor], source: str) -> None:
    """Fill `network`; every parameter must be there, finite, and of the right shape.

    Raises:
        WeightsError: naming the first offending key.
    """
    own = {name: value for name, value in network.state_dict().items() if _is_weight(name)}
    tensors = {name: value for name, value in tensors.items() if _is_weight(name)}
    for what, names in (
        ("lacks", own.keys() - tensors.keys()),
        ("has unknown", tensors.keys() - own.keys()),
    ):
        if names:
            raise WeightsError(
                f"{source}: {what} {sorted(names)[0]} and {len(names) - 1} more "
                "keys: it is of another architecture"
            )
    for name, value in tensors.items():
        if value.shape != own[name].shape:
            raise WeightsError(
                f"{source}: {name} is {list(value.shape)}, the network has "
                f"{list(own[name].shape)}: it is of another architecture"
            )
        if not torch.isfinite(value).all():
            raise WeightsError(f"{source}: {name} holds NaN or infinity: the weights are broken")
    network.load_state_dict(tensors, strict=False)
