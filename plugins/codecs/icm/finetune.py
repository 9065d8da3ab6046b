"""GAN finetuning: a second decoder for people over the streams of a machine codec.

    x ─ encoder ─► y_hat ─┬─ g_s, frozen ───────────────► machine picture
        frozen            └─ g_s', first layers trained ─► human picture ─┬─ MSE, patches
                                                                     x ───┴─ PatchGAN

Le et al., "Bridging the gap between image coding for machines and humans", ICIP 2022: encoder
and probability model stay as they are, so streams and rates do too; the first layers of the
decoder are updated by MSE and an adversarial loss on co-located random patches.
"""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workbench.errors import WorkbenchError
from workbench.weights import sha256

from .discriminator import PatchDiscriminator, discriminator_loss, generator_loss
from .gan import weights_path
from .learner import Batch, Learner, averaged_copy, descend, make_optimizers
from .network import IcmNetwork
from .recipe import GanSettings, Recipe
from .weights import load_weights

if TYPE_CHECKING:
    from lightning.fabric import Fabric

# Patches come in sides of this, so that few shapes occur.
SIDE_STEP = 16


class GanFinetuning(Learner):
    """The second decoder and its discriminator."""

    def __init__(self, recipe: Recipe, settings: GanSettings) -> None:
        path = weights_path(settings.base)
        self.recipe, self.settings = recipe, settings
        base, _ = load_weights(path)
        self.base: IcmNetwork = base.eval().requires_grad_(False)
        self.base_sha256 = sha256(path)
        self._before = digest(self.base)
        self.network: nn.Sequential = copy.deepcopy(base.g_s)
        freeze_behind(self.network, settings.layers)
        torch.manual_seed(recipe.seed)
        self.discriminator = PatchDiscriminator(settings.width)
        self.levels, self.stride = len(base.config.lambdas), base.stride

    def setup(self, fabric: Fabric) -> None:
        for module in (self.base, self.network, self.discriminator):
            module.to(fabric.device, memory_format=torch.channels_last)
        self.ema: nn.Sequential = averaged_copy(self.network)
        self._trained = [p for p in self.network.parameters() if p.requires_grad]
        optimizers = make_optimizers(self._trained, self.recipe)
        self.decoder, *wrapped = fabric.setup(self.network, *optimizers)
        settings = self.settings
        # Adam as in pix2pix: β₁ = 0.5.
        critic = torch.optim.Adam(
            self.discriminator.parameters(), settings.discriminator_lr * self.recipe.lr, (0.5, 0.99)
        )
        self.critic, self._critic_optimizer = fabric.setup(self.discriminator, critic)
        self._decoder_optimizers = list(wrapped)
        self.optimizers = [*wrapped, self._critic_optimizer]
        self.rates = [self.recipe.lr] * len(wrapped) + [settings.discriminator_lr * self.recipe.lr]

    def step(self, fabric: Fabric, batch: Batch, progress: float) -> dict[str, Tensor]:
        settings = self.settings
        with torch.no_grad():
            latents = self._latents(batch.x, batch.level)[1]
        with torch.autocast(fabric.device.type, torch.bfloat16, enabled=self.recipe.bfloat16):
            x_hat = self.decoder(latents)
        x_hat = x_hat.float() + 0.5
        real, fake = random_patches(batch.x, x_hat, settings)
        error = F.mse_loss(fake, real)
        # Gradients that the generator's pass leaves in the discriminator are dropped below.
        adversarial = generator_loss(self.critic(fake))
        loss = settings.mse * error + settings.adversarial * adversarial
        fabric.backward(loss)
        norm = descend(self._trained, self._decoder_optimizers, self.recipe.clip)
        self._critic_optimizer.zero_grad(set_to_none=True)
        critic = discriminator_loss(*self.critic(torch.cat([real, fake.detach()])).chunk(2))
        fabric.backward(critic)
        descend(list(self.discriminator.parameters()), [self._critic_optimizer], self.recipe.clip)
        return {
            "loss": loss,
            "mse": 255**2 * error,
            "adversarial": adversarial,
            "discriminator": critic,
            "norm": norm,
        }

    def _latents(self, x: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """(bits [B], what the decoder sees [B, M, H/16, W/16]) of the frozen codec."""
        base = self.base
        coded = base.code_latents(base.analyse(x, level))
        return coded.bits(), coded.y_hat * base.inverse_gain(level)

    def point(self, x: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        bits, latents = self._latents(x, level)
        return bits, self.ema(latents).float() + 0.5

    def config(self) -> dict[str, object]:
        return self.base.config.to_dict()

    def extra_state(self) -> dict[str, Any]:
        # Encoder, probability model and first decoder: what streams and rates hang on.
        assert digest(self.base) == self._before, "finetuning has changed the frozen codec"
        return {
            "discriminator": self.discriminator.state_dict(),
            "base": {"name": self.settings.base, "sha256": self.base_sha256},
        }

    def load_extra_state(self, state: dict[str, Any]) -> None:
        if state["base"]["sha256"] != self.base_sha256:
            raise WorkbenchError(
                f"recipe {self.recipe.name!r}: the weights of {self.settings.base!r} have changed "
                "since this run was started: train into another folder"
            )
        self.discriminator.load_state_dict(state["discriminator"])


def digest(network: nn.Module) -> str:
    """SHA-256 of all that a network holds."""
    found = hashlib.sha256()
    for value in network.state_dict().values():
        found.update(value.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def freeze_behind(decoder: nn.Sequential, layers: int) -> None:
    """Leave the first `layers` of a decoder trainable.

    Raises:
        WorkbenchError: the decoder has fewer.
    """
    if not 1 <= layers <= len(decoder):
        raise WorkbenchError(f"gan: layers {layers} is outside 1..{len(decoder)} of this decoder")
    for n, layer in enumerate(decoder):
        layer.requires_grad_(n < layers)


def random_patches(x: Tensor, x_hat: Tensor, settings: GanSettings) -> tuple[Tensor, Tensor]:
    """Co-located patches of originals and decoded pictures, of one random side and number.

    [B, 3, H, W] twice -> [B·n, 3, s, s] twice.  Drawn from torch's global generator.
    """
    fewest, most = settings.patches
    count = int(torch.randint(fewest, most + 1, ()))
    smallest, largest = settings.sides
    largest = min(largest, *x.shape[2:])
    steps = (largest - smallest) // SIDE_STEP
    side = smallest + SIDE_STEP * int(torch.randint(0, steps + 1, ()))
    pairs = []
    for _ in range(count):
        top = int(torch.randint(0, x.shape[2] - side + 1, ()))
        left = int(torch.randint(0, x.shape[3] - side + 1, ()))
        window = (..., slice(top, top + side), slice(left, left + side))
        pairs.append((x[window], x_hat[window]))
    real, fake = zip(*pairs, strict=True)
    return torch.cat(real), torch.cat(fake)
