"""GAN finetuning: the discriminator, frozen streams, a second decoder's files and codec."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the learned codecs' libraries are not installed")
pytest.importorskip("compressai", reason="the learned codecs' libraries are not installed")
pytest.importorskip("lightning", reason="the training extra is not installed")

import workbench  # noqa: E402
from workbench import images  # noqa: E402
from workbench.errors import WeightsError, WorkbenchError  # noqa: E402
from workbench.testing import picture  # noqa: E402
from workbench.weights import sha256  # noqa: E402
from workbench_plugins.codecs.icm import gan  # noqa: E402
from workbench_plugins.codecs.icm.coder import PictureCoder  # noqa: E402
from workbench_plugins.codecs.icm.decoder import load_decoder, save_decoder  # noqa: E402
from workbench_plugins.codecs.icm.discriminator import (  # noqa: E402
    PatchDiscriminator,
    discriminator_loss,
    generator_loss,
    receptive_field,
)
from workbench_plugins.codecs.icm.export import ship  # noqa: E402
from workbench_plugins.codecs.icm.finetune import random_patches  # noqa: E402
from workbench_plugins.codecs.icm.network import IcmNetwork, LiteConfig  # noqa: E402
from workbench_plugins.codecs.icm.recipe import GanSettings, Recipe  # noqa: E402
from workbench_plugins.codecs.icm.train import Trainer  # noqa: E402
from workbench_plugins.codecs.icm.weights import load_weights, save_weights  # noqa: E402

SMALL = LiteConfig(latent_channels=20, hyper_channels=8, widths=(8, 12), depths=(1, 1, 0))


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The weights folder of the package, with a small random `taskloss-icm` in it."""
    torch.manual_seed(0)
    monkeypatch.setattr(gan, "FOLDER", tmp_path)
    monkeypatch.setattr("workbench_plugins.codecs.icm.plugin.FOLDER", tmp_path)
    network = IcmNetwork(SMALL)
    with torch.no_grad():
        # Random analysis gives latents near 0: larger ones give streams with something in them.
        network.gain.log_gain += 3
        network.inverse_gain.log_gain -= 3
    save_weights(network, tmp_path / "taskloss-icm.safetensors")
    return tmp_path / "taskloss-icm.safetensors"


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "packed"
    block = np.dstack([picture(96, 96), np.full((96, 96, 2), 255, np.uint8)])
    path.with_suffix(".u8").write_bytes(block.tobytes())
    record = {"source": "folder", "offset": 0, "shape": [96, 96]}
    path.with_suffix(".json").write_text(json.dumps([record]))
    return path


def recipe(steps: int = 3, layers: int = 2, adversarial: float = 0.1) -> Recipe:
    gan_settings = GanSettings(layers=layers, adversarial=adversarial, width=4, sides=(32, 64))
    return Recipe(
        "gan-icm",
        steps=steps,
        gan=gan_settings,
        network=SMALL,
        batch=2,
        crop=64,
        lr=1e-2,
        optimizer="adam",
        threads=1,
        bfloat16=False,
    )


def test_a_value_of_the_discriminator_sees_70_pixels() -> None:
    # pix2pix's 70x70: (((1 + 3) + 3) · ... ) by hand from the end: 1 → 4 → 7 → 16 → 34 → 70.
    strides = list(PatchDiscriminator.STRIDES)
    assert receptive_field([PatchDiscriminator.KERNEL] * 5, strides) == 70


def test_the_discriminator_judges_patches_of_32_to_128_pixels() -> None:
    # Strides 2, 2, 2 of 4x4 kernels halve; the two last take a pixel each: 128/8 - 2 = 14.
    judge = PatchDiscriminator(4)
    assert judge(torch.zeros(1, 3, 128, 128)).shape == (1, 1, 14, 14)
    assert judge(torch.zeros(1, 3, 32, 32)).shape == (1, 1, 2, 2)


def test_an_undecided_discriminator_costs_both_sides_ln_2() -> None:
    zero = torch.zeros(2, 1, 3, 3)
    assert float(discriminator_loss(zero, zero)) == pytest.approx(math.log(2))
    assert float(generator_loss(zero)) == pytest.approx(math.log(2))
    # A sure and right discriminator pays nothing, the generator much: softplus(20) is about 20.
    assert float(discriminator_loss(zero + 20, zero - 20)) == pytest.approx(0, abs=1e-6)
    assert float(generator_loss(zero - 20)) == pytest.approx(20)


def test_patches_of_original_and_decoded_picture_lie_at_the_same_places() -> None:
    torch.manual_seed(1)
    x = torch.rand(2, 3, 96, 96)
    settings = GanSettings(patches=(1, 5), sides=(32, 64))
    sides, counts = set(), set()
    for _ in range(40):
        real, fake = random_patches(x, x + 1, settings)
        assert torch.equal(real + 1, fake)
        sides.add(real.shape[-1])
        counts.add(len(real) // 2)
    assert sides == {32, 48, 64}
    assert counts == {1, 2, 3, 4, 5}


def test_finetuning_changes_the_first_layers_of_the_second_decoder_and_nothing_else(
    base: Path, packed: Path, tmp_path: Path
) -> None:
    before, _ = load_weights(base)
    trainer = Trainer(recipe(), packed, tmp_path / "run")
    trainer.run()
    for name, value in trainer.learner.base.state_dict().items():  # type: ignore[attr-defined]
        assert torch.equal(value, before.state_dict()[name]), name
    changed = {
        name.partition(".")[0]
        for name, value in trainer.learner.network.state_dict().items()
        if not torch.equal(value, before.g_s.state_dict()[name])
    }
    # depths (1, 1, 0): layer 0 has no block and no weights; layers = 2 leaves 0 and 1 trainable.
    assert changed == {"1"}


def test_finetuning_lowers_the_error_of_the_decoded_patches(
    base: Path, packed: Path, tmp_path: Path
) -> None:
    trainer = Trainer(recipe(40, layers=6, adversarial=0.01), packed, tmp_path / "run")
    errors = [trainer.train_step()["mse"] for _ in range(40)]
    assert np.mean(errors[-8:]) < 0.8 * np.mean(errors[:8])


def test_a_resumed_finetuning_ends_with_the_decoder_of_an_uninterrupted_one(
    base: Path, packed: Path, tmp_path: Path
) -> None:
    whole = Trainer(recipe(4), packed, tmp_path / "whole").run()
    first = Trainer(recipe(4), packed, tmp_path / "parts")
    for _ in range(2):
        first.train_step()
    first.save()
    resumed = Trainer(recipe(4), packed, tmp_path / "parts").run()
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name


def test_a_run_is_not_resumed_over_other_weights_of_the_base(
    base: Path, packed: Path, tmp_path: Path
) -> None:
    Trainer(recipe(1), packed, tmp_path / "run").run()
    save_weights(IcmNetwork(SMALL), base)
    with pytest.raises(WorkbenchError, match="weights of 'taskloss-icm' have changed"):
        Trainer(recipe(1), packed, tmp_path / "run")


def test_the_codec_sends_the_streams_of_its_base_and_decodes_two_pictures(
    base: Path, packed: Path, tmp_path: Path
) -> None:
    trainer = Trainer(recipe(), packed, tmp_path / "run")
    before = PictureCoder(*load_weights(base)).compress(picture(37, 53), 2.0)
    trainer.run()
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    images.write(pictures / "a.png", picture(64, 64))
    path = ship(trainer.checkpoint_path, recipe(), tmp_path, {"mine": pictures}, [])
    assert "stay as they are" in path.with_suffix(".md").read_text()

    codec = gan.GanIcm()
    point = codec.points.find("2")
    stream = codec.encode(picture(37, 53), point)
    assert stream == before  # finetuning has changed no byte
    fresh = gan.GanIcm()
    machine, human = (fresh.decode(stream, output) for output in ("machine", "human"))
    np.testing.assert_array_equal(machine, PictureCoder(*load_weights(base)).decompress(before))
    assert human.shape == machine.shape
    assert (human != machine).any()


def test_a_decoder_made_for_other_weights_of_the_base_is_refused(
    base: Path, tmp_path: Path
) -> None:
    network, _ = load_weights(base)
    save_decoder(network.g_s, "taskloss-icm", sha256(base), tmp_path / "gan-icm.safetensors")
    decoder = load_decoder(tmp_path / "gan-icm.safetensors", network, sha256(base))
    for name, value in decoder.state_dict().items():
        assert torch.equal(value, network.g_s.state_dict()[name]), name
    with pytest.raises(
        WeightsError, match="was finetuned for weights .* of taskloss-icm, here are 0000"
    ):
        load_decoder(tmp_path / "gan-icm.safetensors", network, "0" * 64)


def test_both_outputs_of_the_codec_need_its_only_layer() -> None:
    assert gan.GanIcm.layers == ("main",)
    assert {o.audience for o in gan.GanIcm.outputs.values()} == {"machine", "human"}
    assert all(o.needs == ("main",) for o in gan.GanIcm.outputs.values())
    assert issubclass(gan.GanIcmLi, workbench.Codec)


def test_a_frozen_codec_that_has_changed_is_noticed_at_the_next_checkpoint(
    base: Path, packed: Path, tmp_path: Path
) -> None:
    trainer = Trainer(recipe(2), packed, tmp_path / "run")
    trainer.train_step()
    trainer.save()
    with torch.no_grad():
        trainer.learner.base.g_a[1].bias[0] += 1e-3  # type: ignore[attr-defined]
    with pytest.raises(AssertionError, match="has changed the frozen codec"):
        trainer.save()
