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

from workbench import bd, images, registry
from workbench.weights import sha256

from .coder import PictureCoder
from .decoder import load_decoder, save_decoder
from .gan import weights_path
from .network import IcmNetwork, LiteConfig
from .recipe import Recipe
from .weights import load_tensors, load_weights, save_weights

LICENCES = {
    "bsds500": "BSDS500, 500 photographs, research use",
    "coco": "COCO 2017 train, 288 photographs, annotations CC BY 4.0, photographs Flickr terms",
    "camvid": "CamVid train, 184 street pictures, research use",
}

OWN_DATA = "a folder of pictures of one's own"
# What trained the checkpoints that do not say.
DEVICE = "at most two CPU cores that did other work too"

Picture = NDArray[np.uint8]


class RatePoint(NamedTuple):
    """Means over the pictures of a set."""

    label: str
    rate_bpp: float
    psnr_db: float


def measure(
    label: str,
    encode: Callable[[Picture], bytes],
    decode: Callable[[bytes], Picture],
    pictures: list[Picture],
) -> RatePoint:
    """Code every picture; mean rate and mean RGB PSNR of the decoded pictures."""
    rates, qualities = [], []
    for picture in pictures:
        data = encode(picture)
        error = decode(data).astype(np.float64) - picture
        rates.append(8 * len(data) / (picture.shape[0] * picture.shape[1]))
        qualities.append(10 * np.log10(255**2 / np.mean(error**2)))
    return RatePoint(label, float(np.mean(rates)), float(np.mean(qualities)))


def network_curve(path: Path, recipe: Recipe, pictures: list[Picture]) -> list[RatePoint]:
    """One point a trained rate level; encoder and decoder are two instances."""
    encoder, decoder = _coders(path, recipe)
    levels = len(recipe.network.lambdas)

    def point(level: int) -> RatePoint:
        return measure(
            f"level {level}",
            lambda picture: encoder.compress(picture, level),
            decoder.decompress,
            pictures,
        )

    return [point(level) for level in range(levels)]


def _coders(path: Path, recipe: Recipe) -> tuple[PictureCoder, PictureCoder]:
    if recipe.gan is None:
        encoder, decoder = (PictureCoder(*load_weights(path)) for _ in range(2))
        return encoder, decoder
    base_path = weights_path(recipe.gan.base)
    network, weights_id = load_weights(base_path)
    network.g_s = load_decoder(path, network, sha256(base_path))
    return PictureCoder(*load_weights(base_path)), PictureCoder(network, weights_id)


def anchor_curve(name: str, pictures: list[Picture]) -> list[RatePoint]:
    """The default points of another codec of the workbench."""
    kind = registry.load().codec(name)
    encoder, decoder = kind(), kind()
    (output,) = kind.outputs
    return [
        measure(
            point.label,
            lambda picture, point=point: encoder.encode(picture, point),
            lambda data: decoder.decode(data, output),
            pictures,
        )
        for point in kind.points
    ]


def bd_rate_percent(anchor: list[RatePoint], test: list[RatePoint]) -> float | None:
    """PCHIP BD-rate of `test` against `anchor` over their common qualities."""
    curves = [bd.Curve([p.rate_bpp for p in c], [p.psnr_db for p in c]) for c in (anchor, test)]
    return bd.bd_rate(*curves, method="pchip").value


def card(recipe: Recipe, path: Path, network: torch.nn.Module, state: dict[str, Any]) -> str:
    """The card without measurements, Markdown."""
    n_parameters = sum(p.numel() for p in network.parameters())
    # Checkpoints older than the key were trained on all three.
    sources = state.get("sources") or recipe.sources or LICENCES
    data = "\n".join(f"- {LICENCES.get(source, OWN_DATA)}" for source in sources)
    return f"""# {recipe.name}

{_what(recipe, n_parameters / 1e6)}

| | |
|---|---|
| file | `{path.name}`, {path.stat().st_size / 2**20:.1f} MiB |
| sha256 | `{sha256(path)}` |
| recipe | `plugins/codecs/icm/recipes/{recipe.name}.yaml` |
| objective | {_objective(recipe)} |
| started from | {_start(recipe)} |
| steps | {state["step"]}, batch {recipe.batch} of {recipe.crop}×{recipe.crop} |
| training time | {state["elapsed_s"] / 3600:.2f} h on {state.get("device", DEVICE)} |
| weights | exponential average, kernels float16, the rest float32 |

Trained on crops of:

{data}

The photographs are not part of this project. The weights may not be used where the terms of
these data sets forbid it.
"""


def _what(recipe: Recipe, millions: float) -> str:
    if recipe.gan:
        return (
            f"A second decoder, {millions:.2f} M parameters, for the streams of "
            f"`{recipe.gan.base}`, which stay as they are; its first {recipe.gan.layers} layers "
            "were trained."
        )
    lambdas = ", ".join(f"{x:g}" for x in recipe.network.lambdas)
    return (
        f"A `lite` network, {millions:.2f} M parameters, one checkpoint for rate levels 0 to\n"
        f"{len(recipe.network.lambdas) - 1}; λ = {lambdas}."
    )


def _objective(recipe: Recipe) -> str:
    if not recipe.gan:
        return recipe.objective.describe()
    gan = recipe.gan
    return (
        f"{gan.mse:g} · mse + {gan.adversarial:g} · adversarial, on patches; the discriminator's "
        f"learning rate is {gan.discriminator_lr:g} times the decoder's"
    )


def _start(recipe: Recipe) -> str:
    if recipe.gan:
        return f"the decoder of {recipe.gan.base}"
    return recipe.start_from or "random weights"


def table(title: str, points: list[RatePoint]) -> str:
    """One measured curve, Markdown."""
    rows = "\n".join(f"| {p.label} | {p.rate_bpp:.4f} | {p.psnr_db:.2f} |" for p in points)
    return f"\n## {title}\n\n| point | bpp | PSNR-RGB, dB |\n|---|---|---|\n{rows}\n"


def export(checkpoint: Path, recipe: Recipe, out: Path) -> tuple[Path, str]:
    """Write the averaged weights of a checkpoint; returns the file and the card's first part."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{recipe.name}.safetensors"
    network = IcmNetwork(LiteConfig.from_dict(state["config"]))
    if recipe.gan:
        load_tensors(network.g_s, state["ema"], checkpoint.name)
        save_decoder(network.g_s, state["base"]["name"], state["base"]["sha256"], path)
        return path, card(recipe, path, network.g_s, state)
    load_tensors(network, state["ema"], checkpoint.name)
    save_weights(network, path)
    return path, card(recipe, path, network, state)


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
    path.with_suffix(".md").write_text(text)
    return path
