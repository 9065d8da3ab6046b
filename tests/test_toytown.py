"""Toytown: the same bytes everywhere, and ground truth that agrees with itself."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from workbench.errors import DatasetError
from workbench_datasets.toytown import truth
from workbench_datasets.toytown.classes import BY_NAME, CLASSES, VOID
from workbench_datasets.toytown.dataset import VAL_SCENES, Toytown, ToytownStream
from workbench_datasets.toytown.scene import SMALLEST_AREA_PX, Scene, render

# SHA-256 of image, semantic map and instance map (little-endian uint16) of version 1.
PINNED = {
    ("val", 0): (
        "9b079d804509e44cdccc0ccb8ea2f4e456c5be77e0db8f0b98d32e223407a936",
        "afc6bf1ff6b99a4e9a6ccd4343514ce3915316ee2f9c1f1b36d373a0b5b97e52",
        "e0f9736ab48b63e00fad94d205084cd8a593fa2d7807b52f8855f3102bfdfeb4",
    ),
    ("val", 1): (
        "1d2d71dc4662b4e4322cf2a07d265de5d44e10a8d2d9c29589a76c3c918af41e",
        "36b5e67ff18aa0debb88828b2e988c364987218af264fec600ee2a1612154d63",
        "cd670788e984db8618d472cc365922e24027291b7a2e35ec1b7c6459b76da943",
    ),
    ("val", 2): (
        "2440ab96e5b67beb130e3cde37c9a8903986b7e95610ffe9b84806031a89fa03",
        "2bd59acc03786b88b3bbe70bb6f5aa52b85481c4a4749b200608c63218b65242",
        "5dd012b2e7e2d3ab5d7cc5ee53659cf1bab92875e3a354841bac5be292f0624f",
    ),
    ("val", 3): (
        "cb4f8445d167eac41232b4c177b88401150e3952c4c25c43809c2dda672f5b04",
        "02abd29882ab2b97dff98f073a13ba4ff37ce1ebe7cfc62cc4a760762a3013cf",
        "1692dc388d0e0966db10aa4f0e2e1bc89a947bec2f913319870189b33f8f6778",
    ),
    ("train", 0): (
        "d9fed80d4eeab0b656632e603f10310a3ef8de09410a92e4c958029fb8919251",
        "2bbd79c4067ccbc0229a52c89d35dae3204c380c6346f58464f9f8b1d9d7a1b2",
        "347e881a9677cccfe33a0737d63fe0a5daaf15ed388b4d2a7db119a0284480ef",
    ),
}


@pytest.fixture(scope="module")
def scenes() -> Sequence[Scene]:
    return [render("val", index) for index in range(VAL_SCENES)]


@pytest.mark.parametrize(("split", "index"), PINNED)
def test_scenes_are_the_pinned_bytes(split: str, index: int) -> None:
    scene = render(split, index)
    maps = (scene.image, scene.semantic, scene.instances.astype("<u2"))
    assert tuple(hashlib.sha256(m.tobytes()).hexdigest() for m in maps) == PINNED[split, index]


def test_a_scene_does_not_depend_on_what_was_drawn_before() -> None:
    first = render("val", 3).image
    render("train", 12)
    assert np.array_equal(render("val", 3).image, first)


def test_scenes_differ_between_splits_and_indices() -> None:
    images = [render(*name).image.tobytes() for name in (("val", 0), ("val", 1), ("train", 0))]
    assert len(set(images)) == 3


def test_a_negative_index_is_refused() -> None:
    with pytest.raises(ValueError, match="index -1 is below 0"):
        render("val", -1)


def test_pictures_and_maps_have_the_stated_shapes(scenes: Sequence[Scene]) -> None:
    for scene in scenes:
        assert (scene.image.shape, scene.image.dtype) == ((320, 512, 3), np.uint8)
        assert (scene.semantic.shape, scene.semantic.dtype) == ((320, 512), np.uint8)
        assert (scene.instances.shape, scene.instances.dtype) == ((320, 512), np.uint16)


def test_every_object_is_where_its_box_and_area_say(scenes: Sequence[Scene]) -> None:
    for scene in scenes:
        for thing in scene.objects + scene.remnants:
            rows, columns = np.nonzero(scene.instances == thing.number)
            x, y, width, height = thing.bbox
            assert thing.area == len(rows) > 0
            assert (columns.min(), rows.min()) == (x, y)
            assert (columns.max(), rows.max()) == (x + width - 1, y + height - 1)


def test_semantic_and_instance_maps_agree(scenes: Sequence[Scene]) -> None:
    for scene in scenes:
        for thing in scene.objects:
            under = scene.semantic[scene.instances == thing.number]
            assert (under == BY_NAME[thing.category].train_id).all()
        for thing in scene.remnants:
            assert (scene.semantic[scene.instances == thing.number] == VOID).all()
        things = [c.train_id for c in CLASSES if c.isthing]
        covered = np.isin(scene.semantic, things)
        numbers = scene.instances[covered]
        assert numbers.all()
        assert numbers.max(initial=0) <= len(scene.objects)


def test_only_what_can_be_judged_is_an_object(scenes: Sequence[Scene]) -> None:
    assert all(o.area >= SMALLEST_AREA_PX for s in scenes for o in s.objects)
    assert all(0.25 <= o.share <= 1.0 for s in scenes for o in s.objects)


def test_val_shows_every_class_and_every_light(scenes: Sequence[Scene]) -> None:
    for kind in CLASSES:
        pictures = sum(bool((s.semantic == kind.train_id).any()) for s in scenes)
        assert pictures >= 16, f"{kind.name} is in only {pictures} of {len(scenes)} pictures"
    assert {s.light for s in scenes} == {"sun", "cloud", "dusk", "rain"}


def test_run_lengths_are_what_pycocotools_makes_of_the_mask(scenes: Sequence[Scene]) -> None:
    scene = max(scenes[:8], key=lambda s: len(s.objects))
    for entry in truth.instance_annotations(scene):
        mask = scene.instances == scene.instances[_inside(scene, entry["id"])]
        packed = coco_mask.frPyObjects(entry["segmentation"], 320, 512)
        assert np.array_equal(coco_mask.decode(packed).astype(bool), mask)
        assert coco_mask.area(packed) == entry["area"]
        assert coco_mask.toBbox(packed).tolist() == entry["bbox"]


def _inside(scene: Scene, number: int) -> tuple[int, int]:
    row, column = np.argwhere(scene.instances == number)[0]
    return int(row), int(column)


def test_panoptic_segments_cover_all_but_void(scenes: Sequence[Scene]) -> None:
    for scene in scenes[:16]:
        ids, segments = truth.panoptic(scene)
        assert np.array_equal(ids == 0, scene.semantic == VOID)
        assert sorted(s["id"] for s in segments) == [i for i in np.unique(ids) if i]
        for segment in segments:
            mask = ids == segment["id"]
            assert mask.sum() == segment["area"]
            assert set(scene.semantic[mask]) == {segment["category_id"] - 1}


def test_the_dataset_gives_pictures_and_all_its_targets() -> None:
    dataset = Toytown()
    items = dataset.items()
    assert len(items) == 64
    assert items[0].name == "toytown-val-0000"
    assert len({item.sha256 for item in items}) == 64
    scene = render("val", 5)
    assert np.array_equal(dataset.load(items[5]), scene.image)
    boxes = dataset.load_target(items[5], "boxes")
    assert len(boxes["annotations"]) == len(scene.objects) + len(scene.remnants)
    assert np.array_equal(dataset.load_target(items[5], "semantic")["map"], scene.semantic)
    assert (dataset.load_target(items[5], "panoptic")["ids"] > 0).any()


def test_a_stretch_of_the_stream_is_named_by_split_and_indices() -> None:
    stream = ToytownStream("train:7-9")
    assert [item.name for item in stream.items()] == [
        "toytown-train-0007",
        "toytown-train-0008",
        "toytown-train-0009",
    ]


@pytest.mark.parametrize("argument", ["", "train", "train:9-7", "train:-1-3", "Train:0-3"])
def test_a_stretch_that_cannot_be_read_is_refused(argument: str) -> None:
    with pytest.raises(DatasetError, match="write toytown-stream:SPLIT:FIRST-LAST"):
        ToytownStream(argument).items()


def test_listing_the_dataset_imports_no_numpy() -> None:
    code = "import sys, workbench_datasets.toytown; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
