"""Scores of whole sets: resamples, tasks as their own reference, faults of ground truth."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from workbench import rows, scoring
from workbench.bd import resampling_weights
from workbench.errors import WorkbenchError
from workbench.runner import Options, execute

PLUGINS = '''
import zlib
import numpy as np
import workbench


class Exact(workbench.Codec):
    """The picture as it is."""

    name = "exact"
    lossless = True
    points = workbench.Points([workbench.Point("only")])

    def encode(self, image, point):
        return np.array(image.shape[:2], "<u4").tobytes() + zlib.compress(image.tobytes(), 1)

    def decode(self, stream, output):
        height, width = np.frombuffer(stream[:8], "<u4")
        return np.frombuffer(zlib.decompress(stream[8:]), np.uint8).reshape(height, width, 3)


class Darker(Exact):
    """Every value halved."""

    name = "darker"
    lossless = False

    def encode(self, image, point):
        return super().encode(image // 2, point)


class Brightness(workbench.Task):
    """How near mean brightness comes to the truth: 1 - |difference| / 255, over all pictures."""

    name = "brightness"
    target = "means"
    metrics = (workbench.Metric("nearness", "Nearness", "", pool="set"),)

    def predict(self, images):
        return [{"mean": float(image.mean())} for image in images]

    def evaluate(self, predictions, targets):
        return {"nearness": float(self._each(predictions, targets).mean())}

    def resample(self, predictions, targets, counts):
        return {"nearness": counts @ self._each(predictions, targets) / counts.sum(1)}

    def as_target(self, prediction):
        return prediction["mean"]

    def _each(self, predictions, targets):
        return np.array([1 - abs(p["mean"] - t) / 255 for p, t in zip(predictions, targets)])


class Known(workbench.Dataset):
    """Three flat pictures whose brightness is known."""

    name = "known"
    targets = ("means",)

    def items(self):
        return [workbench.Item(f"p{v}", f"hash-of-{v}", 8, 8) for v in (200, 100, 50)]

    def load(self, item):
        return np.full((8, 8, 3), int(item.name[1:]), np.uint8)

    def load_target(self, item, kind):
        return TRUTH[item.name]


TRUTH = {"p50": 50, "p100": 100, "p200": 200}


@workbench.hookimpl
def workbench_codecs():
    return [Exact, Darker]


@workbench.hookimpl
def workbench_tasks():
    return [Brightness]


@workbench.hookimpl
def workbench_datasets():
    return [Known]
'''


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    file = tmp_path / "plugins.py"
    file.write_text(PLUGINS)
    return file


def run(out: Path, plugins: Path, codecs: str = "darker", **options: object) -> rows.Rows:
    execute(Options(codecs, "brightness", "known", out, plugins=(str(plugins),), **options))
    return rows.load(out)


def test_a_set_is_scored_with_its_resamples(tmp_path: Path, plugins: Path) -> None:
    [row] = run(tmp_path / "run", plugins).sets.to_dict("records")
    # Halved, p200, p100 and p50 are 100, 50 and 25 away.
    each = 1 - np.array([100, 50, 25]) / 255
    assert row["value"] == pytest.approx(each.mean())
    assert row["reference"] == "dataset"
    # In the order of the dataset's pictures, so that rates can be resampled alike.
    expected = resampling_weights(3, scoring.RESAMPLES) @ each
    assert row["resamples"] == pytest.approx(expected)


def test_all_codecs_see_the_same_resamples(tmp_path: Path, plugins: Path) -> None:
    sets = run(tmp_path / "run", plugins, "darker,exact").sets.set_index("codec")
    assert sets.loc["exact", "resamples"] == pytest.approx(np.ones(scoring.RESAMPLES))
    counts = scoring.resampling_counts(3)
    assert counts.sum(axis=1).tolist() == [3] * scoring.RESAMPLES
    assert np.array_equal(counts, scoring.resampling_counts(3))


def test_one_picture_is_not_resampled(tmp_path: Path, plugins: Path) -> None:
    [row] = run(tmp_path / "run", plugins, limit=1).sets.to_dict("records")
    assert row["value"] == pytest.approx(1 - 100 / 255)
    assert row["resamples"] is None


def test_a_task_can_be_its_own_reference_without_ground_truth(
    tmp_path: Path, plugins: Path, photos: Path
) -> None:
    out = tmp_path / "run"
    execute(
        Options("darker", "brightness", f"folder:{photos}", out, plugins=(str(plugins),),
                reference="self")
    )  # fmt: skip
    sets = rows.load(out).sets
    assert set(sets["reference"]) == {"self"}
    by_codec = sets.set_index("codec")["value"]
    assert len(by_codec) == 2  # the codec asked for, and the originals behind the reference
    assert by_codec.drop("darker").item() == 1
    assert by_codec["darker"] < 0.9


def test_both_references_stand_side_by_side(tmp_path: Path, plugins: Path) -> None:
    plugins.write_text(PLUGINS.replace('"p50": 50', '"p50": 60'))
    run(tmp_path / "run", plugins)
    sets = run(tmp_path / "run", plugins, reference="self").sets
    darker = sets[sets["codec"] == "darker"].set_index("reference")["value"]
    assert darker["dataset"] == pytest.approx(1 - (100 + 50 + 35) / 3 / 255)
    assert darker["self"] == pytest.approx(1 - (100 + 50 + 25) / 3 / 255)


def test_a_task_that_always_judges_by_the_originals_says_so(tmp_path: Path, plugins: Path) -> None:
    plugins.write_text(PLUGINS.replace('target = "means"', 'target = "self"'))
    sets = run(tmp_path / "run", plugins).sets
    assert set(sets["reference"]) == {"self"}
    assert set(sets["codec"]) >= {"darker"}
    assert len(sets) == 2


def test_all_codecs_leaves_out_lossless_ones(plugins: Path) -> None:
    from workbench import registry

    found = registry.load([plugins])
    names = [codec.name for codec, _ in found.select_codecs("all")]
    assert "darker" in names
    assert not [name for name in names if found.codecs[name].lossless]


def test_changed_ground_truth_is_scored_again(tmp_path: Path, plugins: Path) -> None:
    run(tmp_path / "run", plugins)
    plugins.write_text(PLUGINS.replace('"p50": 50', '"p50": 25'))
    values = run(tmp_path / "run", plugins).sets["value"].tolist()
    assert values == pytest.approx([1 - 175 / 3 / 255, 1 - 150 / 3 / 255])


FAULTS = {
    "return TRUTH[item.name]": ("return {}[item.name]", "KeyError"),
    "targets)])": ("targets[1:], strict=True)])", "ValueError"),
    '{"nearness": float': ('{"other": float', "declares"),
}


@pytest.mark.parametrize("good", FAULTS, ids=["target", "evaluate", "metrics"])
def test_a_fault_in_scoring_is_a_reason_and_stops_nothing(
    tmp_path: Path, plugins: Path, good: str
) -> None:
    bad, reason = FAULTS[good]
    plugins.write_text(PLUGINS.replace(good, bad))
    found = run(tmp_path / "run", plugins)
    [row] = found.sets.to_dict("records")
    assert np.isnan(row["value"])
    assert reason in row["reason"]
    assert found.images["error"].isna().all()


def test_self_reference_without_a_lossless_codec_says_what_is_missing() -> None:
    from workbench.registry import Registry
    from workbench.selection import _lossless

    with pytest.raises(WorkbenchError, match="needs a lossless codec"):
        _lossless(Registry())


def test_the_command_line_takes_the_reference(
    tmp_path: Path, plugins: Path, workbench_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = workbench_cli(
        "run", "--codecs", "darker", "--tasks", "brightness", "--dataset", "known",
        "--reference", "self", "--plugin", plugins, "--out", "run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(rows.load(tmp_path / "run").sets["reference"]) == {"self"}
    wrong = workbench_cli("run", "--reference", "nobody")
    assert wrong.returncode == 2
    assert "nobody" in wrong.stderr
