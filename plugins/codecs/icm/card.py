"""Model cards: what a weights file is, how it was trained, what was measured.  Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.weights import sha256

from .recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

LICENCES = {
    "bsds500": "BSDS500, 500 photographs, research use",
    "coco": "COCO 2017 train, 288 photographs, annotations CC BY 4.0, photographs Flickr terms",
    "camvid": "CamVid train, 184 street pictures, research use",
}
# What trained the checkpoints that do not say.
DEVICE = "at most two CPU cores that did other work too"


def card(recipe: Recipe, path: Path, network: nn.Module, state: dict[str, Any]) -> str:
    """The card without measurements; `state` is the checkpoint, `network` what is shipped of it."""
    n_parameters = sum(p.numel() for p in network.parameters())
    # Checkpoints older than the key were trained on all three.
    sources = state.get("sources") or recipe.sources or LICENCES
    data = "\n".join(f"- {LICENCES.get(source, f'dataset `{source}`')}" for source in sources)
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
| weights | exponential average, {_precision(recipe)} |

Trained on crops of:

{data}

The pictures are not part of this project. The weights may not be used where the terms of
these data sets forbid it.
"""


def _what(recipe: Recipe, millions: float) -> str:
    if recipe.gan:
        return (
            f"A second decoder, {millions:.2f} M parameters, for the streams of "
            f"`{recipe.gan.base}`, which stay as they are; its first {recipe.gan.layers} layers "
            "were trained."
        )
    if recipe.tcm:
        return (
            f"LIC-TCM's network, N = {recipe.tcm.n}, {millions:.2f} M parameters, "
            f"λ = {recipe.tcm.rate_lambda:g}."
        )
    levels = f"one checkpoint for rate levels 0 to {len(recipe.network.lambdas) - 1}"
    lambdas = ", ".join(f"{x:g}" for x in recipe.network.lambdas)
    if recipe.fusion:
        seen = "sees" if recipe.fusion.condition_on_base else "does not see"
        return (
            f"An additional model of {recipe.fusion.m} of {recipe.network.slices} slices over the "
            f"frozen `{recipe.fusion.base}`, {millions:.2f} M parameters with the fused decoder, "
            f"{levels};\n"
            f"λ = {lambdas}. Its entropy model {seen} the base's latents, its transforms "
            f"{'see' if recipe.fusion.transforms_see_base else 'do not see'} the machine picture."
        )
    return f"A `lite` network, {millions:.2f} M parameters, {levels};\nλ = {lambdas}."


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


def _precision(recipe: Recipe) -> str:
    return "float32" if recipe.tcm else "kernels float16, the rest float32"


def table(title: str, points: list[tuple[str, float, float]]) -> str:
    """One measured curve: (label, bit per pixel, PSNR-RGB in dB) a point."""
    rows = "\n".join(f"| {label} | {rate:.4f} | {psnr:.2f} |" for label, rate, psnr in points)
    return f"\n## {title}\n\n| point | bpp | PSNR-RGB, dB |\n|---|---|---|\n{rows}\n"
