"""Panoptic-DeepLab with boxes: a backbone of any kind, and heads for what is asked.

    image [B, 3, H, W] -> backbone: 1/2, and levels at 1/4, 1/8, 1/16, 1/32
        -> top-down sum to 1/4 (48 channels) -> smooth -> semantic [B, 11, H/4, W/4]
                                                       -> things -> heat [B, 6],
                                                                    centre [B, 1], offset [B, 2]
    half the picture's size, smooth -> box tower -> box [B, 4 * 16 + 1, H/4, W/4]

The panoptic heads and their grouping follow Panoptic-DeepLab (arXiv 1911.10194). Things are found
at the peaks of a heat map as in CenterNet (arXiv 1904.07850), with distances to the four sides as
in FCOS (arXiv 1904.01355), each a distribution over 16 distances as in generalised focal loss
(arXiv 2006.04388), and with the intersection over union that the box is expected to reach.
Both shipped toytown networks are small instances, each with the heads that it needs. The backbone
is our own small one, a stem and four stages, or one of torchvision's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

STRIDE = 4
SEMANTIC_CLASSES, THING_CLASSES = 11, 6
SIDE_BINS = 16
HEADS: dict[str, int] = {"semantic": SEMANTIC_CLASSES, "heat": THING_CLASSES,
                         "box": 4 * SIDE_BINS + 1, "centre": 1, "offset": 2}  # fmt: skip
STEM, TOWER = 24, 64
DETECTOR_HEADS = ("heat", "box")
PANOPTIC_HEADS = ("semantic", "centre", "offset")
# torchvision's backbones: the layers whose outputs are taken, at 1/2 to 1/32, and their channels.
RESNET = ("relu", "layer1", "layer2", "layer3", "layer4")
MOBILENET = ("features.1", "features.3", "features.6", "features.12", "features.16")
BACKBONES: dict[str, tuple[Sequence[str], Sequence[int]]] = {
    "resnet18": (RESNET, (64, 64, 128, 256, 512)),
    "resnet50": (RESNET, (64, 256, 512, 1024, 2048)),
    "mobilenet_v3_large": (MOBILENET, (16, 24, 40, 112, 960)),
}
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Block(nn.Module):
    """Residual block of two 3x3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


class BoxTower(nn.Module):
    """Features for boxes: what the picture shows there, and its edges at half the resolution."""

    def __init__(self, neck: int, fine: int, width: int) -> None:
        super().__init__()
        self.edges = nn.Conv2d(4 * fine, width, 1)
        self.first = nn.Conv2d(neck, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.second = conv(width, width)
        self.third = conv(width, width)

    def forward(self, shared: Tensor, fine: Tensor) -> Tensor:
        edges = self.edges(nn.functional.pixel_unshuffle(fine, 2))
        return self.third(self.second(torch.relu(self.norm(self.first(shared) + edges))))


class TorchvisionBackbone(nn.Module):
    """Features of one of torchvision's networks at 1/2, 1/4, 1/8, 1/16 and 1/32, untrained.

    A state dictionary of torchvision's fits ``body``, less the layers behind the last feature.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        import torchvision
        from torchvision.models.feature_extraction import create_feature_extractor

        nodes, self.widths = BACKBONES[name]
        network = torchvision.models.get_model(name, weights=None)
        self.body = create_feature_extractor(network, list(nodes))

    def forward(self, image: Tensor) -> list[Tensor]:
        mean = image.new_tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
        std = image.new_tensor(IMAGENET_STD).view(1, 3, 1, 1)
        return list(self.body((image - mean) / std).values())


class ToytownNet(nn.Module):
    """Maps RGB in 0..1 [B, 3, H, W], H and W multiples of 32, to a dictionary of head outputs.

    Args:
        heads: which of ``HEADS`` it has.
        widths, depths: channels and blocks of each stage of the ``small`` backbone.
        neck: channels of what the heads see.
        backbone: ``small``, or one of ``BACKBONES``.
        channels: outputs of heads where they are not toytown's, such as ``{"semantic": 19}``.

    Raises:
        ValueError: a backbone that is not known.
    """

    def __init__(
        self,
        heads: Sequence[str] = tuple(HEADS),
        widths: Sequence[int] = (32, 64, 96, 128),
        depths: Sequence[int] = (1, 2, 2, 1),
        neck: int = 48,
        backbone: str = "small",
        channels: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.backbone: TorchvisionBackbone | None = None
        fine = STEM
        if backbone == "small":
            self.stem = nn.Sequential(conv(3, STEM, stride=2), conv(STEM, widths[0], stride=2))
            stages: list[nn.Module] = []
            for k, (width, depth) in enumerate(zip(widths, depths, strict=True)):
                layers: list[nn.Module] = [conv(widths[k - 1], width, stride=2)] if k else []
                stages.append(nn.Sequential(*layers, *[Block(width) for _ in range(depth)]))
            self.stages = nn.ModuleList(stages)
        elif backbone in BACKBONES:
            self.backbone = TorchvisionBackbone(backbone)
            fine, *widths = self.backbone.widths
        else:
            raise ValueError(f"backbone {backbone!r} is none of small, {', '.join(BACKBONES)}")
        outputs = {**HEADS, **(channels or {})}
        self.laterals = nn.ModuleList([nn.Conv2d(width, neck, 1) for width in widths])
        self.smooth = conv(neck, neck)
        needs_things = any(name not in ("semantic", "box") for name in heads)
        self.things = conv(neck, neck) if needs_things else None
        self.tower = BoxTower(neck, fine, TOWER) if "box" in heads else None
        self.heads = nn.ModuleDict(
            {name: nn.Conv2d(TOWER if name == "box" else neck, outputs[name], 1) for name in heads}
        )
        for name in ("heat", "centre"):
            if name in self.heads:
                # Rare positives: start from a probability of 0.01, as in RetinaNet.
                nn.init.constant_(self.heads[name].bias, -4.6)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        fine, *levels = self._features(image)
        top = self.laterals[-1](levels[-1])
        for lateral, level in zip(list(self.laterals)[-2::-1], levels[-2::-1], strict=True):
            top = lateral(level) + nn.functional.interpolate(top, size=level.shape[-2:])
        shared = self.smooth(top)  # [B, neck, H/4, W/4]
        things = self.things(shared) if self.things is not None else shared
        inputs = {"semantic": shared}
        if self.tower is not None:
            inputs["box"] = self.tower(shared, fine)
        return {name: head(inputs.get(name, things)) for name, head in self.heads.items()}

    def _features(self, image: Tensor) -> list[Tensor]:
        """Features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the picture's size."""
        if self.backbone is not None:
            return self.backbone(image)
        features = [self.stem[0]((image - 0.45) * 4.0)]
        x = self.stem[1](features[0])
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
