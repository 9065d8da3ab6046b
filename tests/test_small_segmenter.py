"""The small segmenter: training on a tiny set, its files, its predictions, and CamVid's network."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workbench.errors import WeightsError
from workbench_datasets.camvid import CLASSES, CamVid

torch = pytest.importorskip("torch", reason="the extra learned is not installed")
pytest.importorskip("safetensors", reason="the extra learned is not installed")

from workbench_plugins.tasks.segmentation import small, train  # noqa: E402

# What the model card says.
CAMVID_MIOU = 0.610


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """CamVid's layout: two pictures of 64x48 whose upper half is blue sky, the lower grey road."""
    folder = tmp_path / "camvid"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for number in range(2):
        picture = np.full((48, 64, 3), 90, np.uint8)
        picture[:24] = (120, 170, 250)
        labels = np.full((48, 64), 3, np.uint8)
        labels[:24], labels[:, :4] = 0, 11
        Image.fromarray(picture).save(folder / "images" / f"{number}.png")
        Image.fromarray(labels).save(folder / "labels" / f"{number}.png")
    return folder


def test_training_lowers_the_loss_and_writes_a_file_that_predicts(
    halves: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "halves.safetensors"
    arguments = f"--dataset camvid:{halves} --judge camvid:{halves} --out {out} --steps 20"
    more = "--every 10 --batch 2 --crop 64 32 --lr 5e-3"
    monkeypatch.setattr(sys, "argv", ["train", *arguments.split(), *more.split()])
    train.main()
    first, second, judged = map(json.loads, capsys.readouterr().out.splitlines())
    assert second["loss"] < first["loss"]
    network, classes = small.load(out)
    assert classes == list(CLASSES)
    # What the file's float16 kernels give is what training judged, but for their rounding.
    assert train.Samples(f"camvid:{halves}").score(network)["miou"] == pytest.approx(
        judged["miou"], abs=0.02
    )
    assert sum(value.numel() for value in network.parameters()) < 1.1e6


def test_samples_leave_void_out_of_shares_and_pad_what_is_too_small(halves: Path) -> None:
    import random

    samples = train.Samples(f"camvid:{halves}")
    shares = samples.shares()
    # 24 rows of 60 judged columns each of sky (0) and road (3).
    assert shares[[0, 3]].tolist() == [0.5, 0.5]
    pictures, labels = samples.batch(3, 128, 96, random.Random(1))
    assert pictures.shape == (3, 3, 96, 128)
    assert labels.shape == (3, 96, 128)
    assert set(labels.unique().tolist()) <= {0, 3, 255}
    # No scale up to 1.5 makes 64x48 fill 128x96.
    assert (labels[:, -1, -1] == 255).all()


def test_a_segmenter_takes_pictures_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    file = tmp_path / "random.safetensors"
    small.save(file, small.build(len(CLASSES)).state_dict(), CLASSES)
    monkeypatch.setattr(small.CamVidSegmenter, "file", file)
    task = small.CamVidSegmenter()
    noise = np.random.default_rng(1).integers(0, 256, (2, 37, 53, 3), np.uint8)
    predictions = task.predict(list(noise))
    assert [p["map"].shape for p in predictions] == [(37, 53)] * 2
    assert task.predict([noise[0, :1, :1]])[0]["map"].shape == (1, 1)
    assert set(small.CamVidSegmenter.fingerprint()) == {"random.safetensors"}


def test_files_that_are_missing_damaged_or_of_other_classes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "other.safetensors"
    monkeypatch.setattr(small.CamVidSegmenter, "file", file)
    assert "needs weights: python -m workbench_plugins" in str(small.CamVidSegmenter.unavailable())
    with pytest.raises(WeightsError, match="other.safetensors: cannot be read"):
        small.load(file)
    file.write_bytes(b"no tensors")
    with pytest.raises(WeightsError, match="other.safetensors: cannot be read"):
        small.load(file)
    small.save(file, small.build(3).state_dict(), CLASSES)
    with pytest.raises(WeightsError, match="its tensors are not those of a small segmenter"):
        small.load(file)
    small.save(file, small.build(2).state_dict(), ["cat", "dog"])
    with pytest.raises(WeightsError, match=r"knows \['cat', 'dog'\], camvid-segmenter has"):
        small.CamVidSegmenter().predict([np.zeros((8, 8, 3), np.uint8)])


def test_the_shipped_network_reaches_its_miou_on_camvid(shared: Path) -> None:
    dataset = CamVid(str(shared / "data" / "camvid" / "val"))
    items = dataset.items()
    task = small.CamVidSegmenter()
    predictions = task.predict([dataset.load(item) for item in items])
    targets = [dataset.load_target(item, "semantic") for item in items]
    scores = task.evaluate(predictions, targets)
    assert scores["camvid-segmenter.miou"] == pytest.approx(CAMVID_MIOU, abs=0.003)
