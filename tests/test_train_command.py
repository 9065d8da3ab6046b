"""`workbench train`: recipes by name and path, data with masks, curves, several processes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the learned codecs' libraries are not installed")
pytest.importorskip("compressai", reason="the learned codecs' libraries are not installed")
pytest.importorskip("lightning", reason="the training extra is not installed")

from workbench import images  # noqa: E402
from workbench.cli import app  # noqa: E402
from workbench.errors import WorkbenchError  # noqa: E402
from workbench.masks import MaskFolder  # noqa: E402
from workbench.testing import picture  # noqa: E402
from workbench_plugins.codecs.icm.data import dataset  # noqa: E402
from workbench_plugins.codecs.icm.recipe import Recipe, find_recipe, load_recipe  # noqa: E402
from workbench_plugins.codecs.icm.train import Trainer  # noqa: E402

RECIPE = """
name: tiny
about: for tests
steps: 40
batch: 2
crop: 64
lr: 1.0e-2
warmup: 0.1
high_rates_first: 0.0
bfloat16: false
threads: 1
network: {latent_channels: 20, hyper_channels: 8, widths: [8, 12], depths: [1, 1, 0]}
objective: {name: edges, alpha: 0.5, radius: 1, floor: 0.1}
"""
WITHOUT_MASKS = RECIPE.replace("{name: edges, alpha: 0.5, radius: 1, floor: 0.1}", "{name: mse}")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(2):
        images.write(folder / f"{number}.png", picture(96, 80, number))
    return folder


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    folder = MaskFolder.create(tmp_path / "masks", {"kind": "edges"})
    for number in range(2):
        folder.write(f"{number}.png", np.full((96, 80), 200 * number, np.uint8))
    return folder.path


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def plain_file(tmp_path: Path) -> Path:
    path = tmp_path / "plain.yaml"
    path.write_text(WITHOUT_MASKS)
    return path


def rows(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def call(*arguments: object) -> None:
    app([str(argument) for argument in arguments], standalone_mode=False)


def test_a_recipe_by_path_lowers_its_loss_and_leaves_log_curve_and_checkpoint(
    pictures: Path, masks: Path, recipe_file: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "run"
    command = ["train", recipe_file, "--data", pictures, "--masks", masks, "--out", out]
    command += ["--device", "cpu", "--held-out", f"folder:{pictures}", "--held-out-limit", 1]
    call(*command, "--steps", 1)
    first = rows(out / "log.csv")[0]["loss"]
    call(*command)  # goes on where it stopped
    assert "40 steps in" in capsys.readouterr().out
    log = rows(out / "log.csv")
    assert [row["step"] for row in log] == [1, 40]
    assert log[-1]["loss"] < 0.6 * first
    curve = rows(out / "held_out.csv")
    assert [row["level"] for row in curve] == 2 * [0, 1, 2, 3, 4, 5]
    assert curve[-1]["psnr_db"] > curve[5]["psnr_db"]
    plot = images.read(out / "rd.png")
    assert plot.std() > 5  # something is drawn on it
    assert not list(out.glob("*.part*"))
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    assert {"network", "ema", "config", "step", "elapsed_s", "optimizers"} <= set(state)
    assert state["sources"] == ["folder"]


def test_packed_pictures_carry_the_masks_of_their_kind(
    pictures: Path, masks: Path, tmp_path: Path
) -> None:
    from workbench import registry

    found = list(dataset(registry.load().dataset(f"folder:{pictures}"), [masks]))
    assert [int(p.edges.max()) for p in found] == [0, 200]
    assert all((p.objects == 255).all() for p in found)  # no mask of objects: all is object
    np.testing.assert_array_equal(found[1].rgb, images.read(pictures / "1.png"))


def test_all_recipes_are_listed_with_a_line_about_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call("train", "--list", "--json")
    listed = json.loads(capsys.readouterr().out)
    assert {"lic-human", "sa-icm", "roi-icm", "taskloss-icm", "gan-icm", "gan-icm-li"} <= set(
        listed
    )
    assert all(entry["about"] for entry in listed.values())


def test_a_misspelt_recipe_gets_the_nearest_name(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"no recipe 'sa-icn'. Did you mean 'sa-icm'"):
        call("train", "sa-icn", "--data", pictures, "--out", tmp_path / "run", "--device", "cpu")
    with pytest.raises(WorkbenchError, match=r"nowhere.yaml: no such recipe"):
        find_recipe("nowhere.yaml")


@pytest.mark.parametrize(
    ("recipe", "kind"), [("sa-icm", "edges"), ("object-icm", "objects"), ("roi-icm", "objects")]
)
def test_an_objective_is_not_trained_without_the_masks_it_is_about(
    pictures: Path, tmp_path: Path, recipe: str, kind: str
) -> None:
    command = ["train", recipe, "--data", pictures, "--out", tmp_path / "run", "--device", "cpu"]
    with pytest.raises(WorkbenchError, match=f"{recipe}: trains on masks of {kind}: .* --masks"):
        call(*command)
    other = {"edges": "objects", "objects": "edges"}[kind]
    MaskFolder.create(tmp_path / "others", {"kind": other})
    with pytest.raises(WorkbenchError, match=f"trains on masks of {kind}"):
        call(*command, "--masks", tmp_path / "others")


def test_data_that_is_not_there_or_too_small_is_told(
    pictures: Path, plain_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with pytest.raises(WorkbenchError, match="no such packed pictures"):
        call("train", plain_file, "--data", tmp_path / "nothing", "--out", out, "--device", "cpu")
    (tmp_path / "small").mkdir()
    images.write(tmp_path / "small" / "a.png", picture(40, 70))
    with pytest.raises(WorkbenchError, match=r"sides of at least 64: it has 1 smaller ones"):
        call("train", plain_file, "--data", tmp_path / "small", "--out", out, "--device", "cpu")


def test_a_device_that_is_not_here_is_told(
    pictures: Path, recipe_file: Path, tmp_path: Path
) -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    with pytest.raises(WorkbenchError, match="device 'cuda'"):
        call("train", recipe_file, "--data", pictures, "--out", tmp_path / "r", "--device", "cuda")


def test_a_checkpoint_of_another_network_is_not_resumed(
    pictures: Path, plain_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    call("train", plain_file, "--data", pictures, "--out", out, "--device", "cpu", "--steps", 1,
         "--held-out-limit", 0)  # fmt: skip
    plain_file.write_text(WITHOUT_MASKS.replace("latent_channels: 20", "latent_channels: 40"))
    with pytest.raises(WorkbenchError, match="checkpoint.pt: does not fit recipe 'tiny'"):
        call("train", plain_file, "--data", pictures, "--out", out, "--device", "cpu")


def test_two_processes_average_their_gradients_and_write_one_log(
    pictures: Path, plain_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = ["train", plain_file, "--data", pictures, "--out", out, "--device", "cpu"]
    command += ["--devices", 2, "--steps", 3, "--held-out-limit", 0]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "workbench", *map(str, command)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [row["step"] for row in rows(out / "log.csv")] == [3]
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    assert state["step"] == 3
    assert all(torch.isfinite(value).all() for value in state["ema"].values())


def test_two_processes_take_the_batches_of_one_in_turn() -> None:
    class Fabric:
        world_size = 2

    trainer = Trainer.__new__(Trainer)
    trainer.fabric = Fabric()  # type: ignore[assignment]
    numbers = []
    for step in range(3):
        for rank in range(2):
            trainer.step = step
            trainer.fabric.global_rank = rank  # type: ignore[misc]
            numbers.append(trainer.batch_number)
    assert numbers == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
    [("cosine", 0.5, 0.5), ("cosine", 1.0, 0.0), ("step", 0.89, 1.0), ("step", 0.9, 0.1),
     ("step", 0.97, 0.01)],
)  # fmt: skip
def test_the_learning_rate_follows_the_used_share_of_the_budget(
    schedule: str, progress: float, expected: float
) -> None:
    class Halfway(Trainer):
        progress = None  # type: ignore[assignment]

    trainer = Halfway.__new__(Halfway)
    trainer.recipe = Recipe("r", steps=1, schedule=schedule)
    Halfway.progress = progress  # type: ignore[assignment]
    # Cosine: (1 + cos π/2) / 2 = 0.5. TCM: a tenth at 45 and 48 of 50 epochs, 0.9 and 0.96.
    assert trainer.decay() == pytest.approx(expected)


def test_recipes_say_what_is_wrong_with_them(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    for text, message in [
        ("name: r\nsteps: 1\noptimizer: sgd", "optimizer 'sgd' is not muon, adamw, adam"),
        ("name: r", "either minutes or steps"),
        ("- a\n- b", "a recipe is a list of keys and values"),
        ("name: r\nsteps: 1\ngan: {width: 4, layer: 3}", r"unknown keys \['layer'\]"),
        ("name: [", "cannot be read as YAML"),
    ]:
        path.write_text(text)
        with pytest.raises(WorkbenchError, match=message):
            load_recipe(path)


def test_pictures_of_ones_own_are_all_used_whatever_sources_a_recipe_names(
    pictures: Path, plain_file: Path, tmp_path: Path
) -> None:
    plain_file.write_text(WITHOUT_MASKS + "sources: [coco, camvid]\n")
    out = tmp_path / "run"
    call("train", plain_file, "--data", f"folder:{pictures}", "--out", out, "--device", "cpu",
         "--steps", 1, "--held-out-limit", 0)  # fmt: skip
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    assert state["sources"] == ["folder"]
