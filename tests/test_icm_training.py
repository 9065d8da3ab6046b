"""Training of the learned codecs: objectives, optimiser, gain units, resume, a falling loss."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the learned codecs' libraries are not installed")
pytest.importorskip("compressai", reason="the learned codecs' libraries are not installed")

from workbench import images  # noqa: E402
from workbench.errors import WorkbenchError  # noqa: E402
from workbench.testing import picture  # noqa: E402
from workbench.weights import sha256  # noqa: E402
from workbench_plugins.codecs.icm import gan  # noqa: E402
from workbench_plugins.codecs.icm.data import PackedCrops  # noqa: E402
from workbench_plugins.codecs.icm.export import codec, export, ship  # noqa: E402
from workbench_plugins.codecs.icm.network import GainUnit, IcmNetwork, LiteConfig  # noqa: E402
from workbench_plugins.codecs.icm.objectives import Objective, edge_mask  # noqa: E402
from workbench_plugins.codecs.icm.optim import orthogonalise  # noqa: E402
from workbench_plugins.codecs.icm.recipe import (  # noqa: E402
    FusionSettings,
    Recipe,
    TcmSettings,
    load_recipe,
)
from workbench_plugins.codecs.icm.tcm import TcmNetwork  # noqa: E402
from workbench_plugins.codecs.icm.tcm_weights import load_checkpoint  # noqa: E402
from workbench_plugins.codecs.icm.train import Trainer  # noqa: E402
from workbench_plugins.codecs.icm.weights import (  # noqa: E402
    load_fusion,
    load_weights,
    save_weights,
)

RECIPES = Path(__file__).parents[1] / "plugins" / "codecs" / "icm" / "recipes"
SMALL = LiteConfig(latent_channels=20, hyper_channels=8, widths=(8, 12), depths=(1, 1, 0))


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "packed"
    records, offset = [], 0
    with path.with_suffix(".u8").open("wb") as file:
        for seed in range(3):
            block = np.dstack([picture(96, 128, seed), np.full((96, 128, 2), 255, np.uint8)])
            file.write(block.tobytes())
            records.append({"source": "bsds500", "offset": offset, "shape": [96, 128]})
            offset += block.size
    path.with_suffix(".json").write_text(json.dumps(records))
    return path


def recipe(steps: int, **settings: Any) -> Recipe:
    return Recipe(
        "test",
        steps=steps,
        network=SMALL,
        batch=2,
        crop=64,
        lr=1e-2,
        warmup=0.1,
        high_rates_first=0.0,
        bfloat16=False,
        threads=1,
        **settings,
    )


def test_a_short_run_lowers_the_loss(packed: Path, tmp_path: Path) -> None:
    trainer = Trainer(recipe(60), packed, tmp_path)
    losses = [trainer.train_step()["loss"] for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    packed: Path, tmp_path: Path
) -> None:
    whole = Trainer(recipe(6), packed, tmp_path / "whole").run()
    interrupted = Trainer(recipe(6), packed, tmp_path / "parts")
    for _ in range(3):
        interrupted.train_step()
    interrupted.save()
    resumed = Trainer(recipe(6), packed, tmp_path / "parts")
    assert resumed.step == 3
    for name, value in resumed.run().state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name


def test_a_batch_depends_on_the_seed_and_step_alone(packed: Path) -> None:
    first, second = (PackedCrops(packed, 64, 2, seed=5) for _ in range(2))
    first[0]
    np.testing.assert_array_equal(first[7], second[7])
    assert (first[7] != first[8]).any()


def test_a_level_between_two_gains_takes_their_geometric_mean() -> None:
    unit = GainUnit(torch.tensor([1.0, 4.0, 16.0]).log(), channels=3)
    gains = unit(torch.tensor([0.0, 0.5, 2.0]))
    # Halfway between 1 and 4: sqrt(1 * 4) = 2.
    torch.testing.assert_close(gains[:, 0, 0, 0], torch.tensor([1.0, 2.0, 16.0]))


def test_lambda_is_log_linear_between_levels() -> None:
    network = IcmNetwork(
        LiteConfig(
            latent_channels=20,
            hyper_channels=8,
            widths=(8, 12),
            depths=(0, 0, 0),
            lambdas=(0.01, 0.04),
        )
    )
    assert float(network.lambda_at(torch.tensor([0.5]))) == pytest.approx(0.02)


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((2, 12, 30), (2, 30, 12)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
        # Muon's coefficients trade exactness for speed: values land within about 0.7..1.2.
        assert values.min() > 0.5
        assert values.max() < 1.35


def test_the_edge_objective_ignores_errors_far_from_edges() -> None:
    x, edges = torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)
    edges[0, 0, 2, 2] = 0.6
    x_hat = torch.zeros_like(x)
    x_hat[..., 6, 6] = 1.0
    distortion = Objective("edges", alpha=0.5, radius=1).distortion()
    assert float(distortion(x, x_hat, edges, edges)) == 0
    x_hat[..., 3, 3] = 1.0  # one pixel from the edge: three channels of 192 values
    assert float(distortion(x, x_hat, edges, edges)) == pytest.approx(3 / 192)


def test_a_share_below_alpha_is_no_edge() -> None:
    edges = torch.tensor([[[[0.2, 0.5, 0.8]]]])
    assert edge_mask(edges, 0.5, 0).flatten().tolist() == [0, 1, 1]


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_recipes_load_under_their_own_name(path: Path) -> None:
    loaded = load_recipe(path)
    assert loaded.name == path.stem
    assert loaded.objective.distortion()


def test_a_recipe_with_an_unknown_key_lists_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("name: r\nsteps: 1\nlearning_rate: 1\n")
    with pytest.raises(WorkbenchError, match=r"unknown keys \['learning_rate'\]; known: .*'lr'"):
        load_recipe(path)


def test_an_exported_checkpoint_is_the_averaged_network_with_a_measured_card(
    packed: Path, tmp_path: Path
) -> None:
    trainer = Trainer(recipe(2), packed, tmp_path / "run")
    averaged = trainer.run()
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    images.write(pictures / "a.png", picture(64, 64))
    path = ship(trainer.checkpoint_path, recipe(2), tmp_path, {"mine": pictures}, [])
    exported, _ = load_weights(path)
    for name, value in averaged.named_parameters():
        # float16 keeps 11 bits, and steps of 2**-24 near 0.
        torch.testing.assert_close(exported.get_parameter(name), value, rtol=2**-11, atol=2**-24)
    text = path.with_suffix(".md").read_text()
    assert sha256(path) in text
    # One row a rate level, in the only measured table.
    assert [line[:9] for line in text.splitlines() if line.startswith("| level")] == [
        f"| level {n}" for n in range(6)
    ]


def test_a_warm_start_takes_the_averaged_weights_and_nothing_else(
    packed: Path, tmp_path: Path
) -> None:
    first = Trainer(recipe(3), packed, tmp_path / "first")
    averaged = first.run().state_dict()
    second = Trainer(
        replace(recipe(3), start_from="../first/checkpoint.pt"), packed, tmp_path / "second"
    )
    assert second.step == 0
    for name, value in second.learner.network.state_dict().items():
        assert torch.equal(value, averaged[name]), name


def test_tcms_network_is_trained_and_exported_as_its_release_is(
    packed: Path, tmp_path: Path
) -> None:
    small = replace(recipe(1), tcm=TcmSettings(n=32, rate_lambda=0.013), optimizer="adam")
    # Windows of 4 at 1/32 ask for crops of 128; the packed pictures are 96 pixels high.
    block = np.dstack([picture(128, 128), np.full((128, 128, 2), 255, np.uint8)])
    packed = tmp_path / "packed"
    packed.with_suffix(".u8").write_bytes(block.tobytes())
    record = {"source": "folder", "offset": 0, "shape": [128, 128]}
    packed.with_suffix(".json").write_text(json.dumps([record]))
    small = replace(small, crop=128, batch=1, lr=1e-4)
    trainer = Trainer(small, packed, tmp_path / "run")
    averaged = trainer.run().state_dict()
    path, card = export(trainer.checkpoint_path, small, tmp_path)
    network, _ = load_checkpoint(path, TcmNetwork)
    for name, value in network.named_parameters():
        assert torch.equal(value, averaged[name]), name
    assert "N = 32" in card
    assert "λ = 0.013" in card


def test_only_the_additional_model_of_a_fusion_is_trained_and_exported(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gan, "FOLDER", tmp_path)
    torch.manual_seed(0)
    save_weights(IcmNetwork(SMALL), tmp_path / "sa-icm.safetensors")
    base, _ = load_weights(tmp_path / "sa-icm.safetensors")
    fusing = recipe(3, fusion=FusionSettings(m=2))
    trainer = Trainer(fusing, packed, tmp_path / "run")
    trainer.run()
    trained = trainer.learner.network.state_dict()
    for name, value in base.state_dict().items():
        assert torch.equal(trained[f"base.{name}"], value), name
    path, card = export(trainer.checkpoint_path, fusing, tmp_path)
    network, _ = load_fusion(path, tmp_path / "sa-icm.safetensors")
    assert network.config.m == 2
    assert "An additional model of 2 of 5 slices over the frozen `sa-icm`" in card
    assert len(codec(path, fusing).encode(picture(64, 64), 2.0)) == 2
    # What was exported is a start for one with another m.
    other = recipe(1, fusion=FusionSettings(m=1), start_from=path.stem)
    start = Trainer(other, packed, tmp_path / "other").learner.network.state_dict()
    for name in ("g_s.1.0.weight", "h_a.0.bias", "merge.0.weight"):
        expected = network.state_dict()[name]
        assert torch.equal(start[f"additional.{name}"], expected), name


def test_a_run_may_start_from_the_shipped_weights_of_a_codec_and_needs_them_no_more_to_resume(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gan, "FOLDER", tmp_path)
    torch.manual_seed(3)
    shipped = tmp_path / "lic-human.safetensors"
    save_weights(IcmNetwork(SMALL), shipped)
    starting = recipe(2, start_from="lic-human")
    first = Trainer(starting, packed, tmp_path / "run")
    for name, value in load_weights(shipped)[0].named_parameters():
        assert torch.equal(first.learner.network.get_parameter(name), value), name
    first.train_step()
    first.save()
    shipped.unlink()
    assert Trainer(starting, packed, tmp_path / "run").step == 1
    with pytest.raises(WorkbenchError, match="lic-human"):
        Trainer(starting, packed, tmp_path / "other")
