"""The share of faces that a detector still finds after coding."""

from __future__ import annotations

import numpy as np
import pytest

from workbench_plugins.tasks.faces import FacePrivacy, overlaps

pytest.importorskip("cv2", reason="the extra machine is not installed")


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    """A photograph of one face, about 100 pixels wide, near x 220, y 120."""
    from skimage import data

    return np.asarray(data.astronaut())[:256, 100:356]


def test_a_face_is_found_where_it_is(astronaut: np.ndarray) -> None:
    [found] = FacePrivacy().predict([astronaut])
    [(x, y, width, height)] = found["faces"].tolist()
    # The nose is near x 125, y 120 of the crop.
    assert x < 125 < x + width
    assert y < 120 < y + height


def test_a_face_that_coding_blurs_away_is_no_longer_found(astronaut: np.ndarray) -> None:
    task = FacePrivacy()
    # Squares of 32 pixels leave nothing of a face; every second row and column leaves it whole.
    blocks = astronaut.reshape(8, 32, 8, 32, 3).mean(axis=(1, 3)).astype(np.uint8)
    hidden = blocks.repeat(32, axis=0).repeat(32, axis=1)
    softened = astronaut[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)
    targets = [task.as_target(p) for p in task.predict([astronaut] * 2)]
    predictions = task.predict([hidden, softened])
    assert task.evaluate(predictions[:1], targets[:1]) == {"faces_found": 0.0}
    assert task.evaluate(predictions[1:], targets[1:]) == {"faces_found": 1.0}
    # Both: 1 of 2; the first thrice: 0 of 3; the second once: 1 of 1.
    values = task.resample(predictions, targets, np.array([[1, 1], [3, 0], [0, 1]]))
    assert values["faces_found"].tolist() == [0.5, 0.0, 1.0]


def test_without_faces_in_the_originals_there_is_no_value() -> None:
    task = FacePrivacy()
    predictions = task.predict([np.full((40, 60, 3), 90, np.uint8)])
    assert predictions[0]["faces"].shape == (0, 4)
    assert task.evaluate(predictions, predictions) == {"faces_found": None}


def test_overlap_of_boxes_is_intersection_over_union() -> None:
    # 10x10 boxes shifted by 5 share 50 of 150 pixels; shifted by 10 they share none.
    these = np.array([[0, 0, 10, 10]], np.int32)
    those = np.array([[5, 0, 10, 10], [10, 0, 10, 10], [0, 0, 10, 10]], np.int32)
    assert overlaps(these, those).tolist() == [[pytest.approx(1 / 3), 0.0, 1.0]]
