"""The ImageNet networks under the learned measures, and their weights as torchvision has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench import weights
from workbench.errors import WeightsError
from workbench.weights import WeightFile

if TYPE_CHECKING:
    from torch import nn

SOURCE = "https://download.pytorch.org/models/"
LICENCE = "BSD-3-Clause (torchvision); trained on ImageNet"
# Upstream publishes the first eight digits of the SHA-256, in the file names.
ALEXNET = WeightFile(
    "alexnet-owt-7be5be79.pth", SOURCE + "alexnet-owt-7be5be79.pth", "7be5be79", 233.1, LICENCE
)
VGG16 = WeightFile("vgg16-397923af.pth", SOURCE + "vgg16-397923af.pth", "397923af", 527.8, LICENCE)


def alexnet_features() -> nn.Sequential:
    """Return AlexNet's convolutional part with its published weights, on the CPU."""
    return _features("alexnet", ALEXNET)


def vgg16_features() -> nn.Sequential:
    """Return the convolutional part of VGG-16 with its published weights, on the CPU."""
    return _features("vgg16", VGG16)


def _features(name: str, file: WeightFile) -> nn.Sequential:
    import torch
    import torchvision

    prefix = "features."
    state = weights.load(file)
    features: dict[str, Any] = {
        key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)
    }
    # On the meta device nothing is allocated for the classifier, nine tenths of the network.
    with torch.device("meta"):
        network: nn.Sequential = torchvision.models.get_model(name, weights=None).features
    try:
        network.load_state_dict(features, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"{file.name}: is not torchvision's {name} ({error})") from None
    return network.eval().requires_grad_(False)
