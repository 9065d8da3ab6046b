"""mIoU, panoptic quality and top-1 on examples worked by hand, and on resamples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from workbench.errors import DatasetError, PluginError
from workbench_plugins.metrics.classification import resampled_accuracy
from workbench_plugins.metrics.panoptic import PanopticQuality
from workbench_plugins.metrics.segmentation import Segmentation, match_classes

CLASSES = ["road", "car", "sky"]


def truth(rows: list[list[int]], classes: list[str] | None = None) -> dict[str, Any]:
    return {"map": np.array(rows, np.uint8), "classes": classes or CLASSES, "void": 9}


def said(rows: list[list[int]]) -> dict[str, Any]:
    return {"map": np.array(rows, np.uint8)}


# -- mIoU ---------------------------------------------------------------------------------------


def test_miou_is_the_mean_of_the_classes_that_occur_and_void_is_not_judged() -> None:
    # Judged pixels, truth -> said: road->road 2, road->car 1, car->car 2, car->road 1; the 9 is
    # void. road: 2 / (3 + 3 - 2) = 1/2; car: 2 / (3 + 3 - 2) = 1/2; sky occurs nowhere.
    one = Segmentation([said([[0, 0, 1, 2], [1, 1, 0, 0]])], [truth([[0, 0, 0, 9], [1, 1, 1, 9]])],
                       CLASSES)  # fmt: skip
    assert one.scores() == {"miou": 0.5, "pixel_accuracy": pytest.approx(4 / 6)}
    assert one.iou() == {"road": 0.5, "car": 0.5, "sky": None}


def test_miou_of_a_set_sums_pixels_before_it_divides() -> None:
    # Picture 1: road 4 of 4. Picture 2: truth is 4 cars, one of them said to be road.
    # road: 4 / 5, car: 3 / 4; the mean of the pictures' own values would be another number.
    pictures = Segmentation(
        [said([[0, 0, 0, 0]]), said([[1, 1, 1, 0]])],
        [truth([[0, 0, 0, 0]]), truth([[1, 1, 1, 1]])],
        CLASSES,
    )
    assert pictures.scores()["miou"] == pytest.approx((4 / 5 + 3 / 4) / 2)


def test_a_class_that_is_said_and_nowhere_true_has_an_iou_of_zero() -> None:
    # road: 3 / 4, sky: 0 / 1.
    scores = Segmentation([said([[0, 0, 0, 2]])], [truth([[0, 0, 0, 0]])], CLASSES).scores()
    assert scores["miou"] == pytest.approx(3 / 8)


def test_a_set_where_all_is_void_has_no_miou() -> None:
    scores = Segmentation([said([[0, 1]])], [truth([[9, 9]])], CLASSES).scores()
    assert scores == {"miou": None, "pixel_accuracy": None}


def test_resamples_of_miou_equal_the_evaluation_of_repeated_pictures() -> None:
    chance = np.random.default_rng(1)
    predictions = [{"map": chance.integers(0, 3, (5, 7), np.uint8)} for _ in range(4)]
    targets = [truth(chance.integers(0, 3, (5, 7)).tolist()) for _ in range(4)]
    counts = np.array([[1, 1, 1, 1], [0, 3, 1, 0], [2, 0, 0, 2]])
    values = Segmentation(predictions, targets, CLASSES).resampled(counts)
    for row, times in enumerate(counts):
        order = np.repeat(np.arange(4), times)
        again = Segmentation([predictions[i] for i in order], [targets[i] for i in order], CLASSES)
        for name, value in again.scores().items():
            assert values[name][row] == pytest.approx(value, rel=1e-12)


def test_classes_are_matched_by_name_whatever_their_order() -> None:
    # The task says 0 = Sky and 1 = road; "car" is not known to it, so truth there is not judged.
    pictures = Segmentation([said([[0, 1, 1, 1]])], [truth([[2, 0, 0, 1]])], ["Sky", "road"])
    assert pictures.iou() == {"road": 1.0, "sky": 1.0}
    assert pictures.scores()["pixel_accuracy"] == 1.0


def test_to_a_task_with_a_background_other_classes_are_background() -> None:
    # "road" and "sky" are background to the task. Said car where truth is road counts against car:
    # 1 / 2. The background itself is no class of the dataset, so it is not in the mean.
    pictures = Segmentation([said([[1, 1, 0, 0]])], [truth([[1, 0, 0, 2]])], ["background", "car"])
    assert pictures.iou() == {"car": 0.5}
    assert pictures.scores()["pixel_accuracy"] == pytest.approx(3 / 4)


def test_tables_without_a_class_in_common_are_refused() -> None:
    with pytest.raises(PluginError, match="no class in common: the task knows background, dog"):
        match_classes(["background", "dog"], ["road", "background"])


def test_maps_of_wrong_sizes_and_mixed_tables_are_refused() -> None:
    with pytest.raises(PluginError, match=r"a class map is \[1, 2\], its truth \[1, 3\]"):
        Segmentation([said([[0, 0]])], [truth([[0, 0, 0]])], CLASSES)
    with pytest.raises(DatasetError, match="have 2 tables of classes"):
        Segmentation([said([[0]])] * 2, [truth([[0]]), truth([[0]], ["road"])], CLASSES)


# -- PQ -----------------------------------------------------------------------------------------

CATEGORIES = [
    {"id": 1, "name": "person", "isthing": 1},
    {"id": 2, "name": "car", "isthing": 1},
    {"id": 7, "name": "road", "isthing": 0},
]


def segments(rows: list[list[int]], categories: dict[int, int], **crowd: int) -> dict[str, Any]:
    listed = [
        {"id": number, "category_id": category, "iscrowd": int(crowd.get("crowd") == number)}
        for number, category in categories.items()
    ]
    return {"ids": np.array(rows, np.int32), "segments": listed, "categories": CATEGORIES}


def counts_of(prediction: dict[str, Any], target: dict[str, Any]) -> list[list[float]]:
    """Overlap, matches, unmatched predictions, unmatched truth; a row a category."""
    counts: list[list[float]] = (
        PanopticQuality([prediction], [target], CATEGORIES).counts[0].tolist()
    )
    return counts


def test_panoptic_quality_of_a_worked_picture() -> None:
    # Truth: a person (10 pixels), a car (4) and road (10). Said: the person without one pixel and
    # with one of road, so that they share 9 of 11; no car, road instead; road has 9 + 4 pixels.
    # person: IoU 9 / 11. car: not found. road: 9 shared, union 10 + 13 - 9 = 14, IoU 9 / 14.
    target = segments([[1] * 10, [3] * 10, [2] * 4 + [0] * 6], {1: 1, 2: 2, 3: 7})
    prediction = segments([[5] * 9 + [0], [5] + [8] * 9, [8] * 4 + [0] * 6], {5: 1, 8: 7})
    assert counts_of(prediction, target) == [
        [pytest.approx(9 / 11), 1, 0, 0], [0, 0, 0, 1], [pytest.approx(9 / 14), 1, 0, 0],
    ]  # fmt: skip
    scores = PanopticQuality([prediction], [target], CATEGORIES).scores()
    # The car has PQ 0, SQ 0 (as in panopticapi) and RQ 0.
    assert scores["pq"] == pytest.approx((9 / 11 + 0 + 9 / 14) / 3)
    assert scores["sq"] == pytest.approx((9 / 11 + 0 + 9 / 14) / 3)
    assert scores["rq"] == pytest.approx(2 / 3)
    assert scores["pq_things"] == pytest.approx(9 / 22)
    assert scores["pq_stuff"] == pytest.approx(9 / 14)


def test_sq_and_rq_share_panoptic_quality() -> None:
    # Truth: three persons of 4, said: two. One is right to the pixel, one shares 3 of 4 (its
    # fourth pixel is void in the prediction), one is missed, and one is said where road is.
    # IoU 1 and 3/4, TP 2, FN 1, FP 1: PQ = 1.75 / (2 + .5 + .5), SQ = 0.875, RQ = 2 / 3.
    target = segments([[1] * 4 + [2] * 4 + [3] * 4, [9] * 12], {1: 1, 2: 1, 3: 1, 9: 7})
    prediction = segments(
        [[1] * 4 + [2] * 3 + [0] * 5, [4] * 3 + [9] * 9], {1: 1, 2: 1, 4: 1, 9: 7}
    )
    assert counts_of(prediction, target)[0] == [1.75, 2, 1, 1]
    quality = PanopticQuality([prediction], [target], CATEGORIES).scores()
    assert quality["pq_things"] == pytest.approx(1.75 / 3)
    # Road: IoU 9 / 12, a match.
    assert quality["sq"] == pytest.approx((0.875 + 0.75) / 2)
    assert quality["rq"] == pytest.approx((2 / 3 + 1) / 2)


def test_void_pixels_of_the_truth_count_for_neither_side() -> None:
    # The car has 4 pixels, 4 more are said to be car where truth is void: IoU 4 / (8 + 4 - 4 - 4).
    # The person lies in void with 3 of its 4 pixels, more than half: it is not counted.
    # Road shares 1 of its 5 pixels with the person: IoU 4 / (4 + 5 - 4).
    target = segments([[2] * 4 + [0] * 4, [0] * 3 + [7] * 5], {2: 2, 7: 7})
    prediction = segments([[2] * 8, [1] * 4 + [7] * 4], {2: 2, 1: 1, 7: 7})
    assert counts_of(prediction, target) == [
        [0, 0, 0, 0], [1.0, 1, 0, 0], [pytest.approx(4 / 5), 1, 0, 0],
    ]  # fmt: skip


def test_a_segment_half_in_void_still_counts_as_wrong() -> None:
    # Two of four pixels in void are a half, not more.
    target = segments([[0, 0, 7, 7, 7, 7, 7, 7]], {7: 7})
    prediction = segments([[1, 1, 1, 1, 7, 7, 7, 7]], {1: 1, 7: 7})
    assert counts_of(prediction, target)[0] == [0, 0, 1, 0]


def test_a_crowd_is_not_missed_and_excuses_its_own_category_only() -> None:
    # A crowd of persons (6 pixels), road (2). Said: a person and a car, 3 pixels each in the crowd.
    # The person is excused, the car is wrong, the crowd is not missed.
    target = segments([[1] * 6 + [7] * 2], {1: 1, 7: 7}, crowd=1)
    prediction = segments([[5] * 3 + [6] * 3 + [7] * 2], {5: 1, 6: 2, 7: 7})
    assert counts_of(prediction, target) == [[0, 0, 0, 0], [0, 0, 1, 0], [1.0, 1, 0, 0]]


def test_a_person_that_fills_a_crowd_is_no_match() -> None:
    target = segments([[1] * 6 + [7] * 2], {1: 1, 7: 7}, crowd=1)
    prediction = segments([[5] * 6 + [7] * 2], {5: 1, 7: 7})
    assert counts_of(prediction, target)[0] == [0, 0, 0, 0]


def test_an_overlap_of_exactly_half_is_no_match() -> None:
    # 2 shared, union 4.
    target = segments([[1, 1, 1, 7]], {1: 1, 7: 7})
    prediction = segments([[7, 5, 5, 5]], {5: 1, 7: 7})
    assert counts_of(prediction, target)[0] == [0, 0, 1, 1]


def test_resamples_of_panoptic_quality_equal_the_evaluation_of_repeated_pictures() -> None:
    chance = np.random.default_rng(2)

    def some() -> dict[str, Any]:
        rows = np.zeros((12, 12), np.int32)
        for number in (1, 2, 3):
            x, y = chance.integers(0, 6, 2)
            rows[y : y + 6, x : x + 6] = number
        kept = {n: c for n, c in {1: 1, 2: 2, 3: 7}.items() if (rows == n).any()}
        return segments(rows.tolist(), kept)

    targets = [some() for _ in range(5)]
    predictions = [
        {**t, "ids": np.roll(t["ids"], int(chance.integers(0, 3)), axis=1)} for t in targets
    ]
    counts = np.array([[1, 1, 1, 1, 1], [0, 3, 1, 0, 1], [5, 0, 0, 0, 0]])
    values = PanopticQuality(predictions, targets, CATEGORIES).resampled(counts)
    for row, times in enumerate(counts):
        order = np.repeat(np.arange(5), times)
        again = PanopticQuality([predictions[i] for i in order], [targets[i] for i in order],
                                CATEGORIES)  # fmt: skip
        for name, value in again.scores().items():
            assert values[name][row] == pytest.approx(value, rel=1e-12)


def test_categories_are_matched_by_name_and_unknown_ones_are_void() -> None:
    # To the task a car is 4 and persons do not exist: the true person is void.
    target = segments([[1, 1, 2, 2]], {1: 1, 2: 2})
    prediction = segments([[9, 9, 9, 9]], {9: 4})
    quality = PanopticQuality([prediction], [target], [{"id": 4, "name": "Car"}])
    # 2 shared, union 4 + 2 - 2 - 2 (in void).
    assert quality.counts.tolist() == [[[1.0, 1, 0, 0]]]


def test_maps_and_lists_of_segments_must_agree() -> None:
    target = segments([[1, 1]], {1: 1})
    with pytest.raises(PluginError, match=r"predicted segments \[3, 4\] are in the map"):
        counts_of(segments([[3, 3]], {4: 1}), target)
    with pytest.raises(PluginError, match=r"a segment map is \[1, 1\], its truth \[1, 2\]"):
        counts_of(segments([[1]], {1: 1}), target)
    with pytest.raises(PluginError, match="no category in common"):
        PanopticQuality([target], [target], [{"id": 1, "name": "zebra"}])


# -- top-1 --------------------------------------------------------------------------------------


def test_top1_and_top5_count_pictures() -> None:
    predictions = [{"labels": [3, 1, 2, 4, 5]}, {"labels": np.array([0, 9, 8, 7, 6])}]
    # All: 1 of 2 first, both among five. First twice: 2 of 2. Second thrice: 0 first.
    counts = np.array([[1, 1], [2, 0], [0, 3]])
    values = resampled_accuracy(predictions, [3, 6], counts)
    assert values["top1"].tolist() == [0.5, 1.0, 0.0]
    assert values["top5"].tolist() == [1.0, 1.0, 1.0]
