"""Panoptic-DeepLab's network over other backbones than the shipped small one."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra machine is not installed")
pytest.importorskip("torchvision", reason="the extra machine is not installed")

from workbench_plugins.tasks.toytown import model  # noqa: E402
from workbench_plugins.tasks.toytown.network import (  # noqa: E402
    BACKBONES,
    HEADS,
    PANOPTIC_HEADS,
    TorchvisionBackbone,
    ToytownNet,
)
from workbench_plugins.tasks.toytown.plugin import FOLDER  # noqa: E402


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_backbone_gives_five_features_of_the_named_widths(backbone: str) -> None:
    network = TorchvisionBackbone(backbone).eval()
    with torch.inference_mode():
        features = network(torch.rand(1, 3, 64, 96))
    sizes = [(64 // stride, 96 // stride) for stride in (2, 4, 8, 16, 32)]
    assert [tuple(one.shape[-2:]) for one in features] == sizes
    assert [one.shape[1] for one in features] == list(network.widths)


@pytest.mark.parametrize("backbone", ["small", "resnet18", "mobilenet_v3_large"])
def test_heads_over_any_backbone_have_their_channels_at_a_quarter(backbone: str) -> None:
    heads = (*PANOPTIC_HEADS, "box")
    network = ToytownNet(heads, backbone=backbone, channels={"semantic": 19}).eval()
    with torch.inference_mode():
        out = network(torch.rand(2, 3, 64, 96))
    assert {name: tuple(value.shape) for name, value in out.items()} == {
        "semantic": (2, 19, 16, 24), "centre": (2, 1, 16, 24), "offset": (2, 2, 16, 24),
        "box": (2, HEADS["box"], 16, 24),
    }  # fmt: skip


def test_another_backbone_learns() -> None:
    torch.manual_seed(1)
    network = ToytownNet(("semantic",), neck=16, backbone="resnet18")
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    image = torch.rand(2, 3, 64, 64)
    labels = (image.mean(1)[:, ::4, ::4] > 0.5).long()
    losses = []
    for _ in range(6):
        loss = torch.nn.functional.cross_entropy(network(image)["semantic"], labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_the_shipped_files_fit_the_small_backbone() -> None:
    path: Path = FOLDER / "toytown-panoptic.safetensors"
    names = set(model.load(path).state_dict())
    assert {name.partition(".")[0] for name in names} == {
        "stem", "stages", "laterals", "smooth", "things", "heads",
    }  # fmt: skip


def test_an_unknown_backbone_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'vgg' is none of small, resnet18, resnet50, mobilenet"):
        ToytownNet(backbone="vgg")
