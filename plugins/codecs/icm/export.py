"""From a checkpoint to what is shipped: a weights file and its model card.

The card's figures come from real streams: each is decoded by an instance that was loaded from
the exported file and never saw the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench import bd, images, registry
from workbench.weights import sha256

from .card import card, table
from .coder import PictureCoder
from .decoder import load_decoder, save_decoder
from .fusion_export import TotalCoder, export_fusion
from .gan import weights_path
from .network import IcmNetwork, LiteConfig
from .recipe import Recipe
from .tcm import TRAINED_LEVEL, TcmConfig, TcmNetwork
from .tcm_weights import load_checkpoint
from .weights import load_tensors, load_weights, save_weights

Picture = NDArray[np.uint8]
Layers = dict[str, bytes]


class RatePoint(NamedTuple):
    """Means over the pictures of a set."""

    label: str
    rate_bpp: float
    psnr_db: float


def export(checkpoint: Path, recipe: Recipe, out: Path) -> tuple[Path, str]:
    """Write the averaged weights of a checkpoint; returns the file and the card's first part.

    Raises:
        WeightsError: the checkpoint is of another architecture than the recipe's.
    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{recipe.name}{'.pth.tar' if recipe.tcm else '.safetensors'}"
    network = _save(checkpoint.name, state, recipe, path)
    return path, card(recipe, path, network, state)


def _save(source: str, state: dict[str, Any], recipe: Recipe, path: Path) -> nn.Module:
    """Write the file in its format; returns what is in it."""
    averaged, config = state["ema"], state["config"]
    if recipe.tcm:
        # As LIC-TCM's own checkpoints, so that what loads those loads this.
        tcm = TcmNetwork(TcmConfig(recipe.tcm.n))
        load_tensors(tcm, averaged, source)
        torch.save({"state_dict": tcm.state_dict()}, path)
        return tcm
    if recipe.fusion:
        return export_fusion(state, path, weights_path(recipe.fusion.base))
    network = IcmNetwork(LiteConfig.from_dict(config))
    if recipe.gan:
        load_tensors(network.g_s, averaged, source)
        save_decoder(network.g_s, state["base"]["name"], state["base"]["sha256"], path)
        return network.g_s
    load_tensors(network, averaged, source)
    save_weights(network, path)
    return network


class Codec(NamedTuple):
    """An encoder and a decoder that share nothing but files, and their trained rate levels."""

    encode: Callable[[Picture, float], Layers]
    decode: Callable[[Layers], Picture]
    levels: list[float]


def codec(path: Path, recipe: Recipe) -> Codec:
    """The codec of an exported file; where it has two pictures, the one for people."""
    levels = [float(level) for level in range(len(recipe.network.lambdas))]
    if recipe.fusion:
        base = weights_path(recipe.fusion.base)
        over, under = (TotalCoder(path, base) for _ in range(2))
        return Codec(over.compress, under.decompress, levels)
    if recipe.tcm:
        loaded = [load_checkpoint(path, TcmNetwork) for _ in range(2)]
        encoder, decoder = (PictureCoder(*one) for one in loaded)
        levels = [float(TRAINED_LEVEL)]
    elif recipe.gan:
        base = weights_path(recipe.gan.base)
        network, weights_id = load_weights(base)
        network.g_s = load_decoder(path, network, sha256(base))
        encoder = PictureCoder(*load_weights(base))
        decoder = PictureCoder(network, weights_id)
    else:
        encoder, decoder = (PictureCoder(*load_weights(path)) for _ in range(2))
    return Codec(
        lambda picture, level: {"main": encoder.compress(picture, level)},
        lambda layers: decoder.decompress(layers["main"]),
        levels,
    )


def measure(
    label: str,
    encode: Callable[[Picture], Layers],
    decode: Callable[[Layers], Picture],
    pictures: list[Picture],
) -> RatePoint:
    """Code every picture; mean rate and mean RGB PSNR of the decoded pictures."""
    rates, qualities = [], []
    for picture in pictures:
        layers = encode(picture)
        error = decode(layers).astype(np.float64) - picture
        n_bytes = sum(map(len, layers.values()))
        rates.append(8 * n_bytes / (picture.shape[0] * picture.shape[1]))
        qualities.append(10 * np.log10(255**2 / np.mean(error**2)))
    return RatePoint(label, float(np.mean(rates)), float(np.mean(qualities)))


def network_curve(path: Path, recipe: Recipe, pictures: list[Picture]) -> list[RatePoint]:
    """One point a trained rate level."""
    made = codec(path, recipe)

    def point(level: float) -> RatePoint:
        return measure(
            f"level {level:g}", lambda picture: made.encode(picture, level), made.decode, pictures
        )

    return [point(level) for level in made.levels]


def anchor_curve(name: str, pictures: list[Picture]) -> list[RatePoint]:
    """The default points of another codec of the workbench, of one layer and output."""
    kind = registry.load().codec(name)
    encoder, decoder = kind(), kind()
    (output,) = kind.outputs

    def point(at: Any) -> RatePoint:
        return measure(
            at.label,
            lambda picture: {"main": bytes(encoder.encode(picture, at))},  # type: ignore[arg-type]
            lambda layers: decoder.decode(layers["main"], output),
            pictures,
        )

    return [point(at) for at in kind.points]


def bd_rate_percent(anchor: list[RatePoint], test: list[RatePoint]) -> float | None:
    """PCHIP BD-rate of `test` against `anchor` over their common qualities."""
    curves = [bd.Curve([p.rate_bpp for p in c], [p.psnr_db for p in c]) for c in (anchor, test)]
    return bd.bd_rate(*curves, method="pchip").value


def ship(
    checkpoint: Path, recipe: Recipe, out: Path, tests: dict[str, Path], anchors: list[str]
) -> Path:
    """Write weights and card; `tests` maps a set's name to its folder of pictures."""
    path, text = export(checkpoint, recipe, out)
    for name, folder in tests.items():
        files = sorted(file for file in folder.iterdir() if file.suffix in images.SUFFIXES)
        pictures = [images.read(file) for file in files]
        points = network_curve(path, recipe, pictures)
        text += table(f"{name}, mean of {len(files)} pictures, real streams", points)
        for anchor in anchors:
            value = bd_rate_percent(anchor_curve(anchor, pictures), points)
            shown = "undefined" if value is None else f"{value:+.1f} %"
            text += f"\nBD-rate (PSNR-RGB, PCHIP) against `{anchor}`: {shown}\n"
    (out / f"{recipe.name}.md").write_text(text)
    return path
