"""Ground truth that is wrong or empty: named with its cure, and nothing else is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from workbench import rows
from workbench.errors import DatasetError
from workbench.runner import Options, execute
from workbench_datasets.cityscapes import Cityscapes
from workbench_plugins.metrics.panoptic import PanopticQuality

CATEGORIES = [{"id": 3, "name": "car", "isthing": 1}, {"id": 90, "name": "road", "isthing": 0}]


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.mark.parametrize("kind", ["semantic", "boxes", "panoptic"])
def test_a_label_map_of_another_size_is_named_whatever_is_read_from_it(
    tmp_path: Path, kind: str
) -> None:
    stem = "bonn_000001_000019"
    save(tmp_path / f"leftImg8bit/val/bonn/{stem}_leftImg8bit.png", np.zeros((6, 8, 3), np.uint8))
    for map_kind in ("labelIds", "instanceIds"):
        wrong = np.full((3, 4), 7, np.uint8)
        save(tmp_path / f"gtFine/val/bonn/{stem}_gtFine_{map_kind}.png", wrong)
    dataset = Cityscapes(str(tmp_path))
    with pytest.raises(DatasetError, match=rf"{stem}_gtFine_\w+.png: 4x3, its picture is 8x6"):
        dataset.load_target(dataset.items()[0], kind)


@pytest.mark.parametrize("said", ["nothing", "a car"])
def test_a_panoptic_picture_with_no_object_counts_what_is_said_there(said: str) -> None:
    empty = {"ids": np.zeros((4, 4), np.int32), "segments": []}
    truth = {**empty, "categories": CATEGORIES}
    prediction = empty
    if said == "a car":
        # All of the truth is void, and a segment in void is not counted (panopticapi).
        prediction = {"ids": np.ones((4, 4), np.int32), "segments": [{"id": 1, "category_id": 3}]}
    scores = PanopticQuality([prediction], [truth], CATEGORIES).scores()
    assert scores == dict.fromkeys(["pq", "sq", "rq", "pq_things", "pq_stuff"])


def test_one_bad_label_map_costs_its_sets_score_alone_until_it_is_mended(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra machine is not installed")
    crops = [data.astronaut()[:64, :96], data.coffee()[:64, :96]]
    labels = np.zeros((64, 96), np.uint8)
    for number, crop in enumerate(crops):
        save(tmp_path / f"set/images/{number}.png", np.ascontiguousarray(crop))
        save(tmp_path / f"set/labels/{number}.png", labels if number else labels[:32])
    options = Options(
        "jpeg@quality50", "psnr,camvid-segmenter", f"camvid:{tmp_path}/set", tmp_path / "run"
    )
    execute(options)
    found = rows.load(tmp_path / "run")
    assert found.images["psnr_rgb"].notna().tolist() == [True, True]
    assert found.sets["value"].isna().all()
    assert all("0.png: 96x32, its picture is 96x64" in reason for reason in found.sets["reason"])
    save(tmp_path / "set/labels/0.png", labels)
    again = execute(options)
    assert again.n_measured == 0
    newest = rows.load(tmp_path / "run").sets
    assert newest[newest["value"].notna()]["metric"].str.contains("miou").any()


def test_a_dataset_without_pictures_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    with pytest.raises(DatasetError, match=f"{tmp_path}/images: "):
        execute(Options("jpeg", "psnr", f"camvid:{tmp_path}", tmp_path / "run"))


def test_pictures_with_no_object_can_be_learned_from() -> None:
    torch = pytest.importorskip("torch", reason="the extra machine is not installed")
    from workbench_plugins.tasks.toytown.finetune import loss, trainable
    from workbench_plugins.tasks.toytown.network import DETECTOR_HEADS, PANOPTIC_HEADS, ToytownNet

    picture = np.full((33, 50, 3), 128, np.uint8)
    categories = [{"id": 1, "name": "car"}]
    boxes = {"annotations": [], "categories": categories}
    panoptic = {"ids": np.zeros((33, 50), np.int32), "segments": [], "categories": categories}
    for heads, target in ((DETECTOR_HEADS, boxes), (PANOPTIC_HEADS, panoptic)):
        value = loss(trainable(ToytownNet(heads)), picture, target)
        assert bool(torch.isfinite(value))
    with pytest.raises(DatasetError, match="has none of toytown's classes"):
        loss(ToytownNet(), picture, {**boxes, "categories": [{"id": 1, "name": "moon"}]})
