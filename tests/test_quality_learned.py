"""LPIPS and DISTS against their papers' equations, over backbones with random weights.

Upstream's weights come over the network only; files of random weights take the same way through
the code: found in a folder, verified, loaded, cut into layers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from pathlib import Path

import numpy as np
import pytest

from workbench import images
from workbench.errors import ImageError, WeightsError
from workbench_plugins.tasks.quality import backbones, dists, lpips


def noisy_pair(height, width, seed=0):
    rng = np.random.default_rng(seed)
    original = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    noise = rng.normal(0, 12, original.shape)
    return original, images.to_uint8(original + noise)


def one(task, original, image):
    return task().compare([original], [image])[0]


@pytest.fixture
def random_weights(tmp_path, monkeypatch):
    """Write backbones of random weights, name them in the manifests; return them by name."""
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(tmp_path))
    generator = torch.Generator().manual_seed(3)
    networks = {}
    for name, file in (("alexnet", backbones.ALEXNET), ("vgg16", backbones.VGG16)):
        with torch.device("meta"):
            features = torchvision.models.get_model(name).features
        state = {}
        for key, tensor in features.state_dict().items():
            # He's initialisation, so that signals reach the last layer.
            scale = math.sqrt(2 / math.prod(tensor.shape[1:])) if tensor.ndim > 1 else 0.1
            state[key] = torch.randn(tensor.shape, generator=generator) * scale
        path = tmp_path / file.name
        torch.save({f"features.{key}": tensor for key, tensor in state.items()}, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        monkeypatch.setattr(
            backbones,
            {"alexnet": "ALEXNET", "vgg16": "VGG16"}[name],
            dataclasses.replace(file, sha256=digest),
        )
        features.load_state_dict(state, assign=True)
        networks[name] = features
    return networks


def layers(features, picture, mean, std, ends, pooling=None):
    """Return the activations behind the layers numbered ``ends``."""
    import torch

    x = torch.tensor(picture).permute(2, 0, 1)[None] / 255
    x = (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    found = []
    for number, layer in enumerate(features):
        x = pooling(x) if pooling and isinstance(layer, torch.nn.MaxPool2d) else layer(x)
        if number in ends:
            found.append(x)
    return found


def test_lpips_is_equation_1_of_zhang_et_al(random_weights):
    torch = pytest.importorskip("torch")
    package = pytest.importorskip("lpips")
    original, image = noisy_pair(64, 80)
    heads = torch.load(
        Path(package.__file__).parent / "weights/v0.1/alex.pth",
        map_location="cpu",
        weights_only=True,
    )
    # Of -1..1 inputs the package takes off (-.030, -.088, -.188) and divides by
    # (.458, .448, .450), which on 0..1 inputs is (.485, .456, .406) and (.229, .224, .225).
    ends, mean, std = (1, 4, 7, 9, 11), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    expected = 0.0
    with torch.inference_mode():
        pairs = zip(
            *(layers(random_weights["alexnet"], p, mean, std, ends) for p in (original, image)),
            strict=True,
        )
        for number, (x, y) in enumerate(pairs):
            x, y = (f / f.square().sum(1, keepdim=True).sqrt() for f in (x, y))
            weight = heads[f"lin{number}.model.1.weight"]
            expected += float(((x - y).square() * weight).sum(1).mean())
    values = lpips.Lpips().compare([original, original], [image, original])
    assert values[0]["lpips"] == pytest.approx(expected, rel=1e-4)
    assert values[0]["lpips"] > 1e-3
    assert values[1]["lpips"] == 0


def test_dists_is_equation_6_of_ding_et_al(random_weights):
    torch = pytest.importorskip("torch")
    torchmetrics = pytest.importorskip("torchmetrics")
    original, image = noisy_pair(48, 64)
    file = Path(torchmetrics.__file__).parent / "functional/image/dists_models/weights.pt"
    learned = torch.load(file, weights_only=True)
    total = learned["alpha"].sum() + learned["beta"].sum()
    # Their pooling is an L2 norm under a 3 x 3 Hann window with a step of 2 (Eq. 2):
    # hann(5) without its zeros is (.5, 1, .5), and the window's sum is 4.
    line = torch.tensor([0.5, 1, 0.5])
    window = torch.outer(line, line) / 4

    def pool(x):
        kernel = window.expand(x.shape[1], 1, 3, 3)
        squares = torch.nn.functional.conv2d(x**2, kernel, stride=2, padding=1, groups=x.shape[1])
        return (squares + 1e-12).sqrt()

    ends, mean, std = (3, 8, 15, 22, 29), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    similarity, channel = 0.0, 0
    with torch.inference_mode():
        stages = [
            [
                torch.tensor(picture).permute(2, 0, 1)[None] / 255,
                *layers(random_weights["vgg16"], picture, mean, std, ends, pool),
            ]
            for picture in (original, image)
        ]
        for x, y in zip(*stages, strict=True):
            c, (mx, my) = 1e-6, (f.mean((2, 3)) for f in (x, y))
            vx, vy = (f.var((2, 3), correction=0) for f in (x, y))
            covariance = (x * y).mean((2, 3)) - mx * my
            texture = (2 * mx * my + c) / (mx**2 + my**2 + c)
            structure = (2 * covariance + c) / (vx + vy + c)
            part = slice(channel, channel + x.shape[1])
            channel += x.shape[1]
            alpha, beta = (learned[key][0, part, 0, 0] / total for key in ("alpha", "beta"))
            similarity += float((alpha * texture + beta * structure).sum())
    values = dists.Dists().compare([original, original], [image, original])
    assert values[0]["dists"] == pytest.approx(1 - similarity, abs=1e-5)
    assert values[0]["dists"] > 1e-3
    assert values[1]["dists"] == pytest.approx(0, abs=1e-6)


@pytest.mark.usefixtures("random_weights")
def test_lpips_has_no_value_for_pictures_that_alexnet_cannot_see():
    pytest.importorskip("lpips")
    original, image = noisy_pair(31, 64)
    assert one(lpips.Lpips, original, image)["lpips"] > 0
    with pytest.raises(ImageError, match="64x30 has a side shorter than 31"):
        one(lpips.Lpips, original[:30], image[:30])


@pytest.mark.usefixtures("random_weights")
def test_weights_of_another_network_are_refused(monkeypatch):
    monkeypatch.setattr(backbones, "VGG16", backbones.ALEXNET)
    with pytest.raises(WeightsError, match="is not torchvision's vgg16"):
        backbones.vgg16_features()


@pytest.mark.usefixtures("random_weights")
def test_altered_weights_are_refused(tmp_path):
    pytest.importorskip("lpips")
    path = tmp_path / backbones.ALEXNET.name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"its sha256 is .* delete it and run"):
        one(lpips.Lpips, *noisy_pair(64, 64))


@pytest.mark.parametrize("task", [lpips.Lpips, dists.Dists], ids=["lpips", "dists"])
def test_missing_weights_make_a_measure_unavailable_with_the_cure(task, tmp_path, monkeypatch):
    for package in task.requires:
        pytest.importorskip(package)
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (file,) = task.weights
    reason = task.unavailable()
    assert f"workbench weights pull {file.name}" in reason
    assert file.url in reason
    assert str(tmp_path) in reason
    assert task.fingerprint() == {file.name: file.sha256}
    (tmp_path / file.name).touch()
    assert task.unavailable() is None
