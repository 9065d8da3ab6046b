"""Predictions are keyed by what predicts: a changed metric scores them again, without a network."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench import registry, rows
from workbench.provenance import code_hash, plugin_key, prediction_key

TASK = """
import workbench


class Counter(workbench.Task):
    name = "counter"
    metrics = (
        workbench.Metric("counted", "Counted", "pictures", pool="set"),
        workbench.Metric("twice", "Twice", "twice as many", pool="set"),
    )
    predicts_without = ("counting.metrics",)

    def predict(self, images):
        with open("calls.txt", "a") as file:
            file.write("x" * len(images))
        return [{"mean": float(image.mean())} for image in images]

    def evaluate(self, predictions, targets):
        from counting.metrics.score import score

        return {"counted": score(predictions), "twice": 2 * score(predictions)}
"""
PLUGIN = """
import workbench
from counting.task import Counter


@workbench.hookimpl
def workbench_tasks():
    return [Counter]
"""


@pytest.fixture
def run(
    tmp_path: Path, photos: Path, workbench_cli: Callable[..., Any]
) -> Callable[[], tuple[int, float]]:
    """Run the task on three pictures; how often it predicted so far, and its score now."""
    package = tmp_path / "counting"
    (package / "metrics").mkdir(parents=True)
    for file in (package / "__init__.py", package / "metrics" / "__init__.py"):
        file.write_text("")
    (package / "task.py").write_text(TASK)
    (package / "metrics" / "score.py").write_text("def score(found): return len(found)\n")
    (tmp_path / "plugin.py").write_text(PLUGIN)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}

    def call() -> tuple[int, float]:
        done = workbench_cli(
            "run", "--codecs", "png", "--tasks", "counter", "--plugin", "plugin.py", "--dataset",
            f"folder:{photos}", "--out", "run", env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        sets = rows.load(tmp_path / "run").sets
        newest = sets[sets.metric == "counted"].value.iloc[-1]
        return len((tmp_path / "calls.txt").read_text()), newest

    return call


def test_a_changed_metric_scores_stored_predictions_again_without_predicting(
    run: Callable[[], tuple[int, float]], tmp_path: Path
) -> None:
    first, score = run()
    # Three pictures once each, however many metrics there are, after one grey picture to warm up.
    assert (first, score) == (4, 3)
    assert run() == (first, 3)
    (tmp_path / "counting" / "metrics" / "score.py").write_text(
        "def score(found): return 10 * len(found)\n"
    )
    assert run() == (first, 30)
    (tmp_path / "counting" / "metrics" / "score.py").write_text(
        "def score(found): return len(found)"
    )
    assert run() == (first, 3)


def test_a_changed_prediction_is_made_again(
    run: Callable[[], tuple[int, float]], tmp_path: Path
) -> None:
    first, _ = run()
    task = tmp_path / "counting" / "task.py"
    task.write_text(task.read_text().replace("image.mean()", "image.max()"))
    again, score = run()
    assert again > first
    assert score == 3


MACHINE = [
    "camvid-segmenter", "deeplabv3-resnet50", "detr", "face-privacy", "faster-rcnn", "mask2former",
    "resnet50", "toytown-detector", "toytown-panoptic", "yolox-nano",
]  # fmt: skip


@pytest.mark.parametrize("name", MACHINE)
def test_predictions_of_every_machine_task_outlive_its_metrics(name: str) -> None:
    task = registry.load().task(name)
    # The metrics' modules are in the one hash and not in the other.
    assert code_hash(task, task.predicts_without) != code_hash(task)


def test_codecs_and_other_tasks_have_one_key() -> None:
    task = registry.load().task("psnr")
    assert prediction_key(task) == plugin_key(task)
