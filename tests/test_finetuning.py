"""Networks trained further on coded pictures become tasks of their own."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench import images, registry
from workbench.errors import DatasetError, PluginError, WorkbenchError
from workbench.provenance import plugin_key

torch = pytest.importorskip("torch", reason="the extra machine is not installed")
torchvision = pytest.importorskip("torchvision", reason="the extra machine is not installed")
pytest.importorskip("safetensors", reason="the extra machine is not installed")

from safetensors.torch import load_file  # noqa: E402

from workbench.finetuning import Options, finetune  # noqa: E402
from workbench.weights import WeightFile  # noqa: E402
from workbench_plugins.tasks.detection.torchvision import SsdLite  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of weights that is searched, empty."""
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "weights"


@pytest.fixture
def options(tmp_path: Path, folder: Path) -> Options:
    return Options(
        "toytown-detector", "jpeg@quality5", "toytown-stream:train:0-1", tmp_path / "out",
        steps=8, lr=5e-4, batch=2, every=4,
    )  # fmt: skip


def losses(out: Path) -> list[float]:
    with (out / "log.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("task", ["toytown-detector", "toytown-panoptic"])
def test_a_few_steps_lower_the_loss_and_make_a_task(task: str, options: Options) -> None:
    calls: list[tuple[str, int, int]] = []
    name, path = finetune(
        replace(options, task=task),
        lambda stage, done, total, _: calls.append((stage, done, total)),
    )
    assert name == f"{task}+jpeg-quality5"
    assert path.name == f"{name}.safetensors"
    assert calls == [
        ("coding", 1, 2), ("coding", 2, 2), *(("training", step, 8) for step in range(1, 9)),
    ]  # fmt: skip
    first, last = losses(options.out)  # means of four steps each
    assert last < first
    found = registry.load()
    kind, original = found.task(name), found.task(task)
    assert kind.unavailable() is None
    assert plugin_key(kind) != plugin_key(original)
    assert [m.name.replace("+jpeg-quality5", "") for m in kind.metrics] == [
        m.name for m in original.metrics
    ]
    picture = images.read(next((options.out / "pictures").glob("*.png")))
    assert set(kind().predict([picture])[0]) == set(original().predict([picture])[0])
    assert kind in found.select_tasks("all")


def test_pictures_are_those_that_a_fresh_decoder_gives(options: Options) -> None:
    finetune(replace(options, steps=1))
    found = registry.load()
    codec, data = found.codec("jpeg"), found.dataset("toytown-stream:train:0-1")
    kept = {images.read(path).tobytes() for path in (options.out / "pictures").glob("*.png")}
    point = codec.points.find("5", "jpeg")
    expected = {
        codec().decode(codec().encode(data.load(item), point), "image").tobytes()
        for item in data.items()
    }
    assert kept == expected


def test_a_stopped_run_goes_on_as_if_it_had_not_been(options: Options, tmp_path: Path) -> None:
    whole = replace(options, out=tmp_path / "whole", name="whole", every=2, steps=4)
    _, path = finetune(whole)

    class Stop(Exception):
        pass

    def stop(stage: str, done: int, total: int, loss: float | None) -> None:
        if (stage, done) == ("training", 3):
            raise Stop

    halves = replace(whole, out=tmp_path / "halves", name="halves", pictures=whole.out / "pictures")
    with pytest.raises(Stop):
        finetune(halves, stop)
    steps: list[int] = []
    _, other = finetune(halves, lambda s, done, _t, _l: steps.append(done) if s[0] == "t" else None)
    assert steps == [3, 4]  # the checkpoint was written after two steps
    first, second = load_file(path), load_file(other)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not (halves.out / "pictures").exists()
    with pytest.raises(WorkbenchError, match=r"another run, whose lr, seed differ: give another"):
        finetune(replace(halves, lr=1e-3, seed=2))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"codec": "jpeg"}, WorkbenchError, "name one point of jpeg: jpeg@POINT, of quality5"),
        ({"codec": "jpeg@quality500"}, PluginError, "500 is outside"),
        ({"task": "psnr"}, PluginError, "psnr cannot be finetuned; these can: .*toytown-det"),
        ({"dataset": "demo"}, WorkbenchError, "learns from 'boxes'; demo has none"),
        ({"output": "human"}, WorkbenchError, "jpeg has no output 'human': image"),
        ({"name": "a+b"}, WorkbenchError, "name 'a.b' must be a word"),
    ],
)
def test_what_cannot_be_done_says_why(
    options: Options, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        finetune(replace(options, **change))


def test_a_file_of_an_unknown_task_is_refused_by_name(folder: Path) -> None:
    folder.mkdir()
    (folder / "nothing+mine.safetensors").write_bytes(b"")
    (folder / "psnr+mine.safetensors").write_bytes(b"")
    (folder / "toytown-detector+a b.safetensors").write_bytes(b"")
    refused = registry.load().refused
    assert "nothing+mine.safetensors: no task 'nothing'." in refused["nothing+mine"]
    assert "psnr cannot be finetuned" in refused["psnr+mine"]
    assert "must be a word" in refused["toytown-detector+a b"]


def test_the_command_line_trains_and_lists(workbench_cli: Callable[..., Any], folder: Path) -> None:
    done = workbench_cli(
        "finetune", "toytown-detector", "--codec", "webp@quality5", "--name", "mine", "--dataset",
        "toytown-stream:train:0-0", "--out", "out", "--steps", 1, "--batch", 1, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    path = folder / "toytown-detector+mine.safetensors"
    assert json.loads(done.stdout) == {"task": "toytown-detector+mine", "path": str(path)}
    listed = workbench_cli("list", "tasks").stdout
    assert "toytown-detector, finetuned on coded pictures" in listed


# -- torchvision ------------------------------------------------------------------------------


@pytest.fixture
def ssdlite(folder: Path, monkeypatch: pytest.MonkeyPatch) -> type[SsdLite]:
    """SSDlite with random weights in the place of the official ones."""
    import hashlib

    torch.manual_seed(1)
    network = torchvision.models.get_model(
        SsdLite.network, weights=None, weights_backbone=None, num_classes=91
    )
    folder.mkdir()
    file = folder / SsdLite.weights[0].name
    torch.save(network.state_dict(), file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setattr(SsdLite, "weights", (WeightFile(file.name, "https://x", sha256, 1, "-"),))
    return SsdLite


def test_a_detector_of_torchvision_learns_and_is_found_again(
    options: Options, ssdlite: type[SsdLite]
) -> None:
    few = replace(options, task="ssdlite", batch=1, steps=4, every=1, lr=1e-4)
    few = replace(few, dataset="toytown-stream:train:0-0")
    name, _ = finetune(few)
    told = losses(options.out)
    assert told[-1] < told[0]
    kind = registry.load().task(name)
    assert kind.unavailable() is None
    picture = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    before, after = ssdlite().predict([picture])[0], kind().predict([picture])[0]
    assert set(before) == set(after)
    assert plugin_key(kind) != plugin_key(ssdlite)


def test_outlines_of_every_kind_become_masks() -> None:
    from workbench_plugins.tasks.detection.finetune import _masks, _target

    square = {"segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]]}
    # Columns of three, zeros first: one zero, then two ones, then the rest.
    runs = {"segmentation": {"size": [3, 4], "counts": [1, 2, 9]}}
    found = _masks([square, runs], 3, 4)
    assert found[0].tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]]
    assert found[1].tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    with pytest.raises(DatasetError, match="an annotation has no outline"):
        _masks([{}], 3, 4)
    target = {
        "categories": [{"id": 7, "name": "car"}, {"id": 8, "name": "moon"}],
        "annotations": [
            {"bbox": [-5, 2, 10, 10], "category_id": 7},
            {"bbox": [0, 0, 9, 9], "category_id": 7, "iscrowd": 1},
            {"bbox": [0, 0, 9, 9], "category_id": 8},
            {"bbox": [70, 0, 9, 9], "category_id": 7},
        ],
    }
    kept = _target(target, {3: "car"}, False, (10, 60), "cpu")
    # Cut at the picture's edges; a crowd, an unknown category and a box outside are left out.
    assert kept["boxes"].tolist() == [[0, 2, 5, 10]]
    assert kept["labels"].tolist() == [3]
    with pytest.raises(DatasetError, match="knows none of the dataset's categories .car, moon"):
        _target(target, {1: "cat"}, False, (10, 60), "cpu")


def test_boxes_that_hide_each_other_or_lie_outside_can_be_learned_from() -> None:
    from workbench_plugins.tasks.toytown import finetune as toytown

    names = {1: "car"}
    boxes = [[0, 0, 8, 8], [2, 2, 4, 4], [2, 2, 4, 4], [-4, 0, 2, 8], [60, 60, 0.5, 9]]
    annotations = [{"bbox": box, "category_id": 1} for box in boxes]
    annotations.append({"bbox": [0, 0, 9, 9], "category_id": 1, "iscrowd": 1})
    (instances, kept, classes), _ = toytown._boxes(
        {"annotations": annotations}, names, np.zeros((64, 64, 3), np.uint8)
    )
    assert kept.tolist() == [[0, 0, 8, 8], [2, 2, 4, 4], [2, 2, 4, 4]]
    assert classes.tolist() == [2, 2, 2]
    assert {1, 3} <= set(instances.ravel().tolist())
