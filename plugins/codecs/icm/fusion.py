"""Feature fusion: a second layer that turns a machine codec's latents into a picture for people.

    base (frozen)       x ─ g_a ─► entropy model ─► y_b ───────────────┬──────► machine picture
                                                    │ ÷ inverse_gain   │
                                                    ▼                  │
    additional model    x ─ g_a ─ ×gain ─► y ─► entropy model given b ─┤
                            slices 1..m              │                 │
                                                     ▼                 ▼
    fusion              y_f,k = b_k + y_a,k for k ≤ m, b_k otherwise ─► ×inverse_gain ─ g_s ─► x_hat

The base is an `IcmNetwork` of n slices; the additional model codes m of n and owns the second
g_s (Shindo et al., arXiv 2405.09152).  Beyond that paper, each with its switch:

- `condition_on_base`: b, the base's latents in units of the additional model's steps, is part of
  every support, so what the base told is not paid for again;
- `residual`: the latents coded are y_a = y - b and not y_a = y.  Conditioned, the entropy model's
  mean may hold b anyway: y itself is then coded given b, and y_a = ŷ - b follows;
- `transforms_see_base`: g_a is given the machine picture beside x, so that it may leave out what
  that shows already; g_s is given y_f + f(y_f, b), f a small net, and the machine picture.  Where
  the base is coded more finely than the enhancement, both know more than y_f.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from workbench.errors import WorkbenchError

from . import lite
from .entropy import SliceEntropyModel
from .network import GainUnit, IcmNetwork, LiteConfig, Output, lambda_at

DEFAULT_BASE_LEVEL = 1.0


@dataclass(frozen=True)
class FusionConfig:
    """Dimensions of an additional model; stored in the weights file's header."""

    m: int = 4
    condition_on_base: bool = True
    residual: bool = True
    transforms_see_base: bool = True
    network: LiteConfig = field(default_factory=LiteConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.m <= self.network.slices:
            raise WorkbenchError(f"fusion: m {self.m} is outside 1..{self.network.slices} slices")

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> FusionConfig:
        """Inverse of `to_dict`."""
        network = values.get("network", {})
        assert isinstance(network, dict)
        return cls(**{**values, "network": LiteConfig.from_dict(network)})  # type: ignore[arg-type]


class Base(NamedTuple):
    """What both sides know of the base layer."""

    b: Tensor  # [B, M, h, w], its latents, in the additional model's steps
    picture: Tensor | None  # [B, 3, H, W], the machine picture, where transforms see it


class AdditionalNetwork(SliceEntropyModel):
    """The additional model and the fused g_s, `lite` transforms.

    Latents are [B, C, H/16, W/16]: C = M/n·m where it codes, M = the base's where it fuses.
    """

    stride, centred = IcmNetwork.stride, IcmNetwork.centred

    def __init__(self, config: FusionConfig) -> None:
        shape = config.network
        fused, n = shape.latent_channels, shape.hyper_channels
        own = fused // shape.slices * config.m
        super().__init__(
            h_a=lite.hyper_analysis(own, n),
            h_mean_s=lite.hyper_synthesis(own, n),
            h_scale_s=lite.hyper_synthesis(own, n),
            context=lite.Context,
            latent_channels=own,
            hyper_channels=n,
            slices=config.m,
            side_channels=fused if config.condition_on_base else 0,
        )
        self.config = config
        self.levels = len(shape.lambdas)
        self.own_channels = own
        self.g_a = lite.analysis(shape.widths, own, shape.depths)
        self.transforms_see_base = config.transforms_see_base
        if self.transforms_see_base:
            self.merge = lite.Context(2 * fused, fused)
            self.picture_to_g_a, self.picture_to_g_s = (lite.stem(shape.widths) for _ in range(2))
            # Training starts from plain fusion.
            for last in (self.merge[-1], self.picture_to_g_a[-1], self.picture_to_g_s[-1]):
                nn.init.zeros_(last.weight)  # type: ignore[arg-type]
                nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.g_s = lite.synthesis(shape.widths, fused, shape.depths)
        log_gain = shape.log_gains()
        self.gain = GainUnit(log_gain, own)
        self.inverse_gain = GainUnit(-log_gain, fused)
        # Whether b is taken off before coding, and whether it is put back by adding it.
        self._subtract = config.residual and not config.condition_on_base
        self._add = self._subtract or not config.residual

    def lambda_at(self, level: Tensor) -> Tensor:
        """λ of a rate level, log-linear between the configured ones.  [B] -> [B]."""
        return lambda_at(self.config.network.lambdas, level)

    def step(self, level: float) -> float:
        """Quantisation step: 1, gains do the rest."""
        return 1.0

    def in_own_steps(self, base: Tensor, level: Tensor) -> Tensor:
        """b: the base's latents, as its g_s sees them, in this model's steps.  [B, M, h, w]."""
        return base / self.inverse_gain(level)

    def side(self, b: Tensor) -> Tensor | None:
        """What the entropy model is given of b."""
        return b if self.config.condition_on_base else None

    def analyse_given(self, x: Tensor, base: Base, level: Tensor) -> Tensor:
        """Picture to the latents that are coded.  [B, 3, H, W] -> [B, C, H/16, W/16]."""
        features = self.g_a[: lite.STEM](x - 0.5)
        if base.picture is not None:
            features = features + self.picture_to_g_a(base.picture - 0.5)
        y = self.g_a[lite.STEM :](features).float() * self.gain(level)
        return y - base.b[:, : self.own_channels] if self._subtract else y

    def fuse(self, y_hat: Tensor, b: Tensor) -> Tensor:
        """Coded latents [B, C, h, w] into the base's [B, M, h, w]."""
        own, rest = b[:, : self.own_channels], b[:, self.own_channels :]
        return torch.cat([y_hat + own if self._add else y_hat, rest], dim=1)

    def synthesise_fused(self, fused: Tensor, base: Base, level: Tensor) -> Tensor:
        """Fused latents to picture, not clamped."""
        y = fused * self.inverse_gain(level)
        if base.picture is None:
            return self.g_s(y).float() + 0.5
        y = y + self.merge(torch.cat([y, base.b * self.inverse_gain(level)], dim=1))
        features = self.g_s[: -lite.HEAD](y) + self.picture_to_g_s(base.picture - 0.5)
        return self.g_s[-lite.HEAD :](features).float() + 0.5

    @torch.no_grad()
    def warm_start(self, state: dict[str, Tensor]) -> None:
        """Start from a trained `IcmNetwork`, or from another m: what fits is copied.

        A context net's first kernel reads [latent means, base, slices before]; the columns for
        the base start at zero where the other network had none.
        """
        # A `FusionNetwork`'s parameters have a prefix.
        state = {name.removeprefix("additional."): value for name, value in state.items()}
        own, old_own = self.own_channels, state["gain.log_gain"].shape[1]
        for name, value in self.state_dict().items():
            if name not in state or not value.is_floating_point():
                continue
            old = state[name]
            if name.startswith(("cc_", "lrp_")) and name.endswith(".0.weight"):
                index = int(name.split(".")[1]) + name.startswith("lrp_")
                before = index * self.slice_channels
                value[:, own : value.shape[1] - before] = 0
                _copy(value[:, :own], old[:, :old_own])
                for new_part, old_part in zip(
                    value[:, own:].tensor_split([value.shape[1] - own - before], dim=1),
                    old[:, old_own:].tensor_split([old.shape[1] - old_own - before], dim=1),
                    strict=True,
                ):
                    _copy(new_part, old_part)
            else:
                _copy(value, old)


def _copy(new: Tensor, old: Tensor) -> None:
    """Copy what two tensors have in common."""
    common = tuple(slice(min(n, o)) for n, o in zip(new.shape, old.shape, strict=True))
    new[common] = old[common]


class FusionNetwork(nn.Module):
    """What is trained: a frozen base and the additional model.

    Pictures are float [B, 3, H, W] in 0..1, H and W multiples of 64.
    """

    stride = IcmNetwork.stride

    def __init__(self, base: IcmNetwork, config: FusionConfig) -> None:
        super().__init__()
        shape, own = base.config, config.network
        if (shape.latent_channels, shape.slices) != (own.latent_channels, own.slices):
            raise WorkbenchError(
                f"fusion: the base has {shape.latent_channels} latent channels in {shape.slices} "
                f"slices, the recipe's network {own.latent_channels} in {own.slices}: use its own"
            )
        self.config = config
        self.base = base.requires_grad_(False)
        self.additional = AdditionalNetwork(config)

    @property
    def entropy_bottleneck(self) -> nn.Module:
        """The one that is trained."""
        return self.additional.entropy_bottleneck

    def lambda_at(self, level: Tensor) -> Tensor:
        """λ of an enhancement level.  [B] -> [B]."""
        return self.additional.lambda_at(level)

    def base_level(self, n: int, device: torch.device) -> Tensor:
        """Rate levels of the base, [B]: any in training, low ones more often; else the default."""
        if not self.training:
            return torch.full((n,), DEFAULT_BASE_LEVEL, device=device)
        return (len(self.base.config.lambdas) - 1) * torch.rand(n, device=device).square()

    def forward(
        self, x: Tensor, level: Tensor, base_level: Tensor | None = None, *, bfloat16: bool = False
    ) -> Output:
        """Training pass at one enhancement level a picture; bits are those of both layers."""
        if base_level is None:
            base_level = self.base_level(len(x), x.device)
        autocast = torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16)
        with torch.no_grad():
            with autocast:
                y_base = self.base.analyse(x, base_level)
            coded = self.base.code_latents(y_base)
            in_picture = self.base.in_picture_steps(coded.y_hat, base_level)
            picture = None
            if self.additional.transforms_see_base:
                with autocast:
                    picture = self.base.synthesise(coded.y_hat, base_level)
        model = self.additional
        base = Base(model.in_own_steps(in_picture, level), picture)
        with autocast:
            y = model.analyse_given(x, base, level)
        latents = model.code_latents(y, model.side(base.b))
        with autocast:
            x_hat = model.synthesise_fused(model.fuse(latents.y_hat, base.b), base, level)
        return Output(x_hat, coded.bits() + latents.bits())
