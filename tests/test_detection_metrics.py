"""COCO metrics: worked examples, pycocotools as the referee, resamples."""

from __future__ import annotations

import contextlib
import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.errors import DatasetError, PluginError

pytest.importorskip("faster_coco_eval", reason="needs codec-workbench[machine]")

from workbench_plugins.metrics.detection import AP_NAMES, CocoEvaluation, has_masks

Entry = dict[str, Any]
CATEGORIES = [{"id": 1, "name": "person"}, {"id": 44, "name": "bottle"}, {"id": 90, "name": "cup"}]
SQUARE, ELSEWHERE = [10, 10, 60, 60], [200, 200, 250, 250]  # both 50x50: medium


def target(
    *objects: tuple[list[float], int], crowd: tuple[list[float], int] | None = None
) -> Entry:
    """An image of 640x480 with objects: corners and category."""
    everything = [(*entry, 0) for entry in objects] + ([(*crowd, 1)] if crowd else [])
    annotations = [
        {"bbox": [x0, y0, x1 - x0, y1 - y0], "category_id": label, "iscrowd": is_crowd}
        for (x0, y0, x1, y1), label, is_crowd in everything
    ]
    image = {"width": 640, "height": 480}
    return {"image": image, "annotations": annotations, "categories": CATEGORIES}


def prediction(*found: tuple[list[float], float, int]) -> Entry:
    boxes, scores, labels = zip(*found, strict=True) if found else ([], [], [])
    return {"boxes": np.array(boxes), "scores": np.array(scores), "labels": np.array(labels, int)}


@pytest.fixture
def worked() -> CocoEvaluation:
    """Image 1: a hit (score .9), a false alarm (.8), a miss. Image 2: a hit (.7)."""
    return CocoEvaluation(
        [prediction((SQUARE, 0.9, 1), ([300, 10, 350, 60], 0.8, 1)), prediction((SQUARE, 0.7, 1))],
        [target((SQUARE, 1), (ELSEWHERE, 1)), target((SQUARE, 1))],
    )


def test_average_precision_of_a_worked_example(worked: CocoEvaluation) -> None:
    # Three objects. In the order of scores: hit, false, hit. Recall 1/3, 1/3, 2/3 at precision
    # 1, 1/2, 2/3. Of the 101 levels 0.00..0.33 (34) get precision 1, 0.34..0.66 (33) get 2/3.
    expected = (34 + 33 * 2 / 3) / 101
    found = worked.average_precision()
    assert [found[name] for name in ("map", "map50", "map75", "map_medium")] == pytest.approx(
        [expected] * 4
    )
    assert found["map_small"] is None
    assert found["map_large"] is None


def test_f1_counts_hits_false_alarms_and_misses_from_a_score_on(worked: CocoEvaluation) -> None:
    # 2 hits, 1 false alarm, 1 miss: 4 / (4 + 1 + 1). From 0.75 on: 1 hit, 1 false, 2 misses.
    assert worked.f1(0.5) == pytest.approx(2 / 3)
    assert worked.f1(0.75) == pytest.approx(2 / 5)


def test_resamples_of_a_worked_example(worked: CocoEvaluation) -> None:
    # Image 1 twice: 4 objects, recall 1/2 at precision 1, levels 0.00..0.50 (51).
    # Image 2 twice: all are found. F1: 4/(4+2+2) and 1.
    counts = np.array([[1, 1], [2, 0], [0, 2]])
    found = worked.resampled_average_precision(counts)
    assert found["map"] == pytest.approx([(34 + 22) / 101, 51 / 101, 1])
    assert np.isnan(found["map_small"]).all()
    assert worked.resampled_f1(counts, 0.5) == pytest.approx([2 / 3, 1 / 2, 1])


def test_an_overlap_of_062_counts_at_three_of_ten_thresholds() -> None:
    found = CocoEvaluation(
        [prediction(([0, 0, 100, 62], 0.9, 1))], [target(([0, 0, 100, 100], 1))]
    ).average_precision()
    assert found["map"] == pytest.approx(0.3)
    assert found["map50"] == pytest.approx(1)
    assert found["map75"] == pytest.approx(0)


def test_detections_in_a_crowd_region_are_neither_right_nor_wrong() -> None:
    inside = [([300 + 20 * i, 300, 310 + 20 * i, 310], 0.99, 1) for i in range(4)]
    found = CocoEvaluation(
        [prediction((SQUARE, 0.5, 1), *inside)],
        [target((SQUARE, 1), crowd=([300, 300, 400, 320], 1))],
    )
    assert found.average_precision()["map"] == pytest.approx(1)
    assert found.f1(0.5) == pytest.approx(1)


def test_a_set_without_objects_has_no_value() -> None:
    found = CocoEvaluation([prediction((SQUARE, 0.9, 1))], [target()])
    assert set(found.average_precision().values()) == {None}
    assert found.f1(0.5) == 0  # a false alarm and nothing else
    nothing = CocoEvaluation([prediction()], [target()])
    assert nothing.f1(0.5) is None
    assert np.isnan(nothing.resampled_average_precision(np.ones((2, 1), int))["map"]).all()


def test_a_set_without_detections_scores_zero() -> None:
    found = CocoEvaluation([prediction()], [target((SQUARE, 1))])
    assert found.average_precision()["map"] == 0
    assert found.f1(0.5) == 0


def test_categories_that_the_dataset_does_not_list_are_left_out() -> None:
    found = CocoEvaluation(
        [prediction((SQUARE, 0.9, 7), (SQUARE, 0.5, 90))], [target((SQUARE, 90))]
    )
    assert found.average_precision()["map"] == pytest.approx(1)


def test_boxes_outside_the_picture_are_taken_as_they_are() -> None:
    box = [-40, -40, 30, 30]
    found = CocoEvaluation([prediction((box, 0.9, 1))], [target((box, 1))])
    assert found.average_precision()["map"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"scores": np.array([0.5, 0.4])}, "1 boxes, 2 scores, 1 labels"),
        ({"scores": np.array([np.nan])}, "no finite number"),
        ({"boxes": np.array([[0, 0, np.inf, 1]])}, "no finite number"),
    ],
)
def test_malformed_predictions_are_named(damage: Entry, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        CocoEvaluation([prediction((SQUARE, 0.9, 1)) | damage], [target((SQUARE, 1))])


def test_masks_need_outlines_in_the_ground_truth() -> None:
    assert not has_masks([target((SQUARE, 1))])
    with pytest.raises(DatasetError, match="has no segmentation"):
        CocoEvaluation([prediction() | {"masks": []}], [target((SQUARE, 1))], "segm")


# -- pycocotools as the referee ------------------------------------------------------------------


def drawn(seed: int, n_images: int = 12) -> tuple[list[Entry], list[Entry]]:
    """Objects of all sizes, crowds, boxes over the edge; detections near, doubled and false."""
    rng = np.random.default_rng(seed)
    targets, predictions = [], []
    for _ in range(n_images):
        corners = rng.uniform(-10, 400, (rng.integers(0, 7), 2))
        sizes = rng.choice([15, 60, 200], (len(corners), 1)) * rng.uniform(0.6, 1.5, corners.shape)
        boxes = np.concatenate([corners, corners + sizes], 1)
        labels = rng.choice([1, 44], len(boxes))  # no object is a cup
        truth = target(*zip(boxes.tolist(), labels.tolist(), strict=True))
        for annotation in truth["annotations"]:
            x, y, w, h = (float(v) for v in annotation["bbox"])
            annotation["iscrowd"] = int(rng.random() < 0.15)
            # The outline: the box without its lower right corner.
            annotation["segmentation"] = [
                [x, y, x + w, y, x + w, y + h / 2, x + w / 2, y + h / 2, x + w / 2, y + h, x, y + h]
            ]
        near = np.repeat(boxes, 2, 0) + rng.normal(0, 5, (2 * len(boxes), 4))
        false = rng.uniform(0, 200, (4, 2))
        found = np.concatenate([near, np.concatenate([false, false + 50], 1)])
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        classes = np.concatenate([np.repeat(labels, 2), rng.choice([1, 44, 90], 4)])
        predictions.append(
            {"boxes": found, "scores": rng.random(len(found)), "labels": classes,
             "masks": [square_mask(box) for box in found]}
        )  # fmt: skip
        targets.append(truth)
    return predictions, targets


def square_mask(box: np.ndarray) -> Entry:
    from pycocotools import mask

    picture = np.zeros((480, 640), np.uint8, order="F")
    x0, y0, x1, y1 = np.maximum(box, 0).astype(int)
    picture[y0:y1, x0:x1] = 1
    code = mask.encode(picture)
    return {"size": code["size"], "counts": code["counts"].decode()}


def referee(predictions: list[Entry], targets: list[Entry], kind: str) -> list[float]:
    """The first six numbers of pycocotools."""
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    truth, results = coco.COCO(), []
    annotations, images = [], []
    for i, (found, entry) in enumerate(zip(predictions, targets, strict=True), start=1):
        images.append(
            {"id": i, "width": entry["image"]["width"], "height": entry["image"]["height"]}
        )
        for a in entry["annotations"]:
            area = a.get("area", a["bbox"][2] * a["bbox"][3])
            annotations.append({**a, "area": area, "image_id": i, "id": len(annotations) + 1})
        for j, (x0, y0, x1, y1) in enumerate(found["boxes"].tolist()):
            result = {"image_id": i, "category_id": int(found["labels"][j]),
                      "score": float(found["scores"][j])}  # fmt: skip
            if kind == "bbox":
                results.append({**result, "bbox": [x0, y0, x1 - x0, y1 - y0]})
            else:
                results.append({**result, "segmentation": found["masks"][j]})
    with contextlib.redirect_stdout(io.StringIO()):
        truth.dataset = {"images": images, "annotations": annotations,
                         "categories": targets[0]["categories"]}  # fmt: skip
        truth.createIndex()
        evaluator = cocoeval.COCOeval(truth, truth.loadRes(results), kind)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return list(evaluator.stats[:6])


def values(found: dict[str, float | None]) -> list[float]:
    return [-1.0 if found[name] is None else float(found[name]) for name in AP_NAMES]


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(3))
def test_average_precision_equals_pycocotools(seed: int, kind: str) -> None:
    predictions, targets = drawn(seed)
    expected = referee(predictions, targets, kind)
    found = CocoEvaluation(predictions, targets, kind)
    assert 0.05 < expected[0] < 0.95  # neither nothing nor everything was found
    assert values(found.average_precision()) == pytest.approx(expected, abs=1e-9)
    ours = found.resampled_average_precision(np.ones((1, len(targets)), int))
    assert [ours[name][0] for name in AP_NAMES] == pytest.approx(expected, abs=1e-9)


def test_tied_scores_equal_pycocotools() -> None:
    predictions, targets = drawn(9)
    for entry in predictions:
        entry["scores"] = np.round(entry["scores"], 1)
    found = CocoEvaluation(predictions, targets)
    expected = referee(predictions, targets, "bbox")
    ours = found.resampled_average_precision(np.ones((1, len(targets)), int))
    assert [ours[name][0] for name in AP_NAMES] == pytest.approx(expected, abs=1e-9)


def test_a_resample_equals_the_evaluation_of_repeated_images() -> None:
    predictions, targets = drawn(5)
    counts = np.random.default_rng(0).multinomial(len(targets), np.full(len(targets), 1 / 12), 4)
    found = CocoEvaluation(predictions, targets)
    resampled = found.resampled_average_precision(counts)
    f1 = found.resampled_f1(counts, 0.5)
    for row, count in enumerate(counts):
        order = np.repeat(np.arange(len(targets)), count)
        again = CocoEvaluation([predictions[i] for i in order], [targets[i] for i in order])
        ours = np.nan_to_num([resampled[name][row] for name in AP_NAMES], nan=-1)
        assert ours == pytest.approx(values(again.average_precision()), abs=1e-9)
        assert f1[row] == pytest.approx(again.f1(0.5))


@pytest.fixture(scope="module")
def real(shared: Path) -> tuple[list[Entry], list[Entry]]:
    """The 79 pictures of coco-mini with their boxes and outlines, and disturbed copies of them."""
    content = json.loads((shared / "data/coco-mini/val/instances.json").read_text())
    rng = np.random.default_rng(1)
    targets, predictions = [], []
    for image in content["images"]:
        own = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        targets.append({"image": image, "annotations": own, "categories": content["categories"]})
        boxes = np.array([a["bbox"] for a in own] * 3).reshape(-1, 4)
        boxes = boxes * rng.normal(1, 0.1, boxes.shape)
        boxes[:, 2:] = boxes[:, :2] + np.maximum(boxes[:, 2:], 1)
        labels = np.array([a["category_id"] for a in own] * 3, int)
        others = [c["id"] for c in content["categories"]]
        labels = np.where(rng.random(len(labels)) < 0.2, rng.choice(others, len(labels)), labels)
        predictions.append({"boxes": boxes, "scores": rng.random(len(boxes)), "labels": labels})
    return predictions, targets


def test_average_precision_equals_pycocotools_on_real_annotations(
    real: tuple[list[Entry], list[Entry]],
) -> None:
    found = CocoEvaluation(*real)
    expected = referee(*real, "bbox")
    assert values(found.average_precision()) == pytest.approx(expected, abs=1e-6)
    ours = found.resampled_average_precision(np.ones((1, 79), int))
    assert [ours[name][0] for name in AP_NAMES] == pytest.approx(expected, abs=1e-6)


def test_mask_precision_equals_pycocotools_on_real_outlines(
    real: tuple[list[Entry], list[Entry]],
) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    _, targets = real
    predictions = []
    for entry in targets:
        height, width = entry["image"]["height"], entry["image"]["width"]
        codes = []
        for a in entry["annotations"]:
            outline = a["segmentation"]
            code = (
                mask.merge(mask.frPyObjects(outline, height, width))
                if isinstance(outline, list)
                else mask.frPyObjects(outline, height, width)
            )
            # Every other mask is moved by some pixels.
            shifted = np.roll(mask.decode(code), 3 * (a["id"] % 2), axis=1)
            code = mask.encode(np.asfortranarray(shifted))
            codes.append({"size": code["size"], "counts": code["counts"].decode()})
        n = len(codes)
        scores = (np.arange(n) * 7 % 11 + 1) / 12
        labels = np.array([a["category_id"] for a in entry["annotations"]], int)
        predictions.append(
            {"boxes": np.zeros((n, 4)), "scores": scores, "labels": labels, "masks": codes}
        )
    expected = referee(predictions, targets, "segm")
    found = CocoEvaluation(predictions, targets, "segm")
    assert 0.3 < expected[0] < 1
    assert values(found.average_precision()) == pytest.approx(expected, abs=1e-6)


def test_200_resamples_of_79_images_take_less_than_5_s(
    real: tuple[list[Entry], list[Entry]],
) -> None:
    counts = np.random.default_rng(0).multinomial(79, np.full(79, 1 / 79), 200)
    start = time.perf_counter()
    found = CocoEvaluation(*real).resampled_average_precision(counts)
    assert time.perf_counter() - start < 5
    assert 0.005 < found["map"].std() < 0.1
