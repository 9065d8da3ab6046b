"""Segmenters and classifiers, offline: published code with random weights of the same shapes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.errors import DatasetError, WeightsError
from workbench.weights import WeightFile
from workbench_plugins.tasks.segmentation.base import PanopticTask

torch = pytest.importorskip("torch", reason="the extra machine is not installed")
torchvision = pytest.importorskip("torchvision", reason="the extra machine is not installed")

from workbench_plugins.tasks import classification  # noqa: E402
from workbench_plugins.tasks.segmentation import torchvision_semantic  # noqa: E402

SEGMENTERS = torchvision_semantic.workbench_tasks()


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def put_weights(folder: Path, name: str, network: Any, extra: dict[str, Any]) -> WeightFile:
    """Save a network's state as if it were the published file."""
    file = folder / name
    torch.save({**network.state_dict(), **extra}, file)
    digits = hashlib.sha256(file.read_bytes()).hexdigest()
    return WeightFile(name, "https://example.org/" + name, digits, 1, "none")


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (37, 53, 3), np.uint8)


@pytest.fixture
def lraspp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> torchvision_semantic.LrAsppMobileNet:
    torch.manual_seed(1)
    network = torchvision.models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=21
    )
    # Without statistics of some input a random network says the same everywhere.
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.rand(2, 3, 192, 192) * 4 - 2)
    # What published files carry for training only is left out.
    extra = {"aux_classifier.0.weight": torch.zeros(1)}
    kind = torchvision_semantic.LrAsppMobileNet
    file = put_weights(tmp_path, kind.weights[0].name, network, extra)
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(kind, "weights", (file,))
    return kind()


def test_a_segmenter_gives_a_class_for_every_pixel_of_any_size(
    lraspp: torchvision_semantic.LrAsppMobileNet, picture: np.ndarray
) -> None:
    predictions = lraspp.predict([picture, picture[::-1].copy()])
    assert [p["map"].shape for p in predictions] == [(37, 53)] * 2
    assert predictions[0]["map"].dtype == np.uint8
    assert predictions[0]["map"].max() < len(lraspp.classes)
    assert not np.array_equal(predictions[0]["map"], predictions[1]["map"])
    assert len(np.unique(predictions[0]["map"])) > 3
    assert lraspp.predict([np.zeros((1, 1, 3), np.uint8)])[0]["map"].shape == (1, 1)


def test_a_segmenter_agrees_with_torchvision_used_by_hand(
    lraspp: torchvision_semantic.LrAsppMobileNet, picture: np.ndarray
) -> None:
    network = torchvision.models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=21
    )
    from workbench import weights

    state = weights.load(lraspp.weights[0])
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith("aux")})
    x = torch.from_numpy(picture).permute(2, 0, 1)[None]
    # Published: shorter side 520, ImageNet's mean and deviation. 53 * 520 / 37 = 744.9, cut.
    x = torchvision.transforms.functional.resize(x, [520, 744], antialias=True)
    x = torchvision.transforms.functional.normalize(
        x / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )
    with torch.inference_mode():
        scores = network.eval()(x)["out"]
        scores = torch.nn.functional.interpolate(scores, (37, 53), mode="bilinear")
    np.testing.assert_array_equal(scores.argmax(1)[0].numpy(), lraspp.predict([picture])[0]["map"])


def test_a_segmenter_that_is_its_own_reference_is_right_everywhere(
    lraspp: torchvision_semantic.LrAsppMobileNet, picture: np.ndarray
) -> None:
    predictions = lraspp.predict([picture])
    targets = [lraspp.as_target(prediction) for prediction in predictions]
    assert lraspp.evaluate(predictions, targets) == {
        "lraspp-mobilenet-v3.miou": 1.0, "lraspp-mobilenet-v3.pixel_accuracy": 1.0,
    }  # fmt: skip
    assert {metric.name for metric in lraspp.metrics} == set(lraspp.evaluate(predictions, targets))
    resampled = lraspp.resample(predictions, targets, np.array([[1], [2]]))
    assert resampled["lraspp-mobilenet-v3.miou"].tolist() == [1.0, 1.0]


def test_weights_of_another_network_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: np.ndarray
) -> None:
    kind = torchvision_semantic.LrAsppMobileNet
    file = put_weights(tmp_path, kind.weights[0].name, torch.nn.Linear(2, 2), {})
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(kind, "weights", (file,))
    with pytest.raises(WeightsError, match="lraspp_mobilenet_v3_large-d234d4ea.pth: is not torchv"):
        kind().predict([picture])


@pytest.mark.parametrize("kind", SEGMENTERS, ids=lambda kind: kind.name)
def test_every_segmenter_names_the_file_that_torchvision_publishes(
    kind: type[torchvision_semantic.TorchvisionSegmenter],
) -> None:
    published = torchvision.models.get_model_weights(kind.architecture)[
        torchvision_semantic.PUBLISHED
    ]
    assert kind.weights[0].url == published.url
    assert kind.weights[0].size_mb == pytest.approx(published.meta["_file_size"], abs=0.1)
    assert len(kind.classes) == len(published.meta["categories"])
    network = torchvision_semantic.build(kind.architecture)
    # The published counts include the second head, which the built network does not have.
    n_parameters = sum(value.numel() for value in network.parameters())
    assert 0.9 < n_parameters / published.meta["num_params"] <= 1


# -- classifiers --------------------------------------------------------------------------------


@pytest.fixture
def classifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> classification.MobileNetV3:
    torch.manual_seed(2)
    kind = classification.MobileNetV3
    network = torchvision.models.mobilenet_v3_large(weights=None)
    file = put_weights(tmp_path, kind.weights[0].name, network, {})
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(kind, "weights", (file,))
    return kind()


def test_a_classifier_gives_five_classes_with_falling_probabilities(
    classifier: classification.MobileNetV3, picture: np.ndarray
) -> None:
    predictions = classifier.predict([picture, picture[:, ::-1].copy()])
    for prediction in predictions:
        assert len(set(prediction["labels"])) == 5
        assert prediction["scores"] == sorted(prediction["scores"], reverse=True)
    own = [classifier.as_target(prediction) for prediction in predictions]
    assert classifier.evaluate(predictions, own) == {
        "mobilenet-v3-large.top1": 1.0, "mobilenet-v3-large.top5": 1.0,
    }  # fmt: skip


def test_a_classifier_finds_classes_by_name_or_by_their_place_among_a_thousand() -> None:
    task = classification.ResNet50()
    # torchvision's table: 0 is "tench", 1 "goldfish", 2 "great white shark".
    predictions = [{"labels": [1, 7, 8, 9, 2]}, {"labels": [0, 7, 8, 9, 4]}]
    names = ["Goldfish", "great_white_shark"]
    targets = [{"label": 0, "classes": names}, {"label": 1, "classes": names}]
    assert task.evaluate(predictions, targets) == {"resnet50.top1": 0.5, "resnet50.top5": 0.5}
    thousand = [{"label": label, "classes": [f"n{i:08d}" for i in range(1000)]} for label in (1, 2)]
    assert task.evaluate(predictions, thousand) == {"resnet50.top1": 0.5, "resnet50.top5": 0.5}
    with pytest.raises(DatasetError, match="resnet50 has no class 'unicorn': call classes as"):
        task.evaluate(predictions[:1], [{"label": 0, "classes": ["unicorn"]}])


@pytest.mark.parametrize("kind", classification.workbench_tasks(), ids=lambda kind: kind.name)
def test_every_classifier_names_the_file_that_torchvision_publishes(
    kind: type[classification.Classifier],
) -> None:
    published = torchvision.models.get_model_weights(kind.architecture)[classification.PUBLISHED]
    assert kind.weights[0].url == published.url
    assert kind.weights[0].size_mb == pytest.approx(published.meta["_file_size"], abs=0.1)


# -- panoptic base ------------------------------------------------------------------------------


class TwoHalves(PanopticTask):
    """Says that the left half is a car and the right half road."""

    name = "two-halves"
    categories = (
        {"id": 1, "name": "car", "isthing": 1}, {"id": 2, "name": "road", "isthing": 0},
    )  # fmt: skip

    def predict(self, images: Any) -> list[Any]:
        ids = np.ones(images[0].shape[:2], np.int32)
        ids[:, ids.shape[1] // 2 :] = 2
        segments = [{"id": 1, "category_id": 1}, {"id": 2, "category_id": 2}]
        return [{"ids": ids, "segments": segments}] * len(images)


def test_a_panoptic_task_is_judged_and_can_be_its_own_reference() -> None:
    task = TwoHalves()
    predictions = task.predict([np.zeros((4, 8, 3), np.uint8)])
    own = [task.as_target(prediction) for prediction in predictions]
    assert set(task.evaluate(predictions, own).values()) == {1.0}
    assert {metric.name for metric in task.metrics} == set(task.evaluate(predictions, own))
    # Car is 5 columns of 8 in truth, said to be 4: IoU 4 / 5; road 3 columns, said to be 4: 3 / 4.
    own[0]["ids"] = np.repeat([[1] * 5 + [2] * 3], 4, axis=0)
    assert task.evaluate(predictions, own)["two-halves.pq"] == pytest.approx((4 / 5 + 3 / 4) / 2)
    resampled = task.resample(predictions, own, np.array([[3]]))
    assert resampled["two-halves.pq_things"].tolist() == [pytest.approx(4 / 5)]
