"""Feature fusion: two layers that belong together, with small random networks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the learned codecs' libraries are not installed")
pytest.importorskip("compressai", reason="the learned codecs' libraries are not installed")

from workbench import testing  # noqa: E402
from workbench.errors import StreamError, WeightsError, WorkbenchError  # noqa: E402
from workbench.testing import picture  # noqa: E402
from workbench_plugins.codecs.icm.fusion import (  # noqa: E402
    AdditionalNetwork,
    Base,
    FusionConfig,
    FusionNetwork,
)
from workbench_plugins.codecs.icm.fusion_coder import FusionCoder  # noqa: E402
from workbench_plugins.codecs.icm.fusion_export import (  # noqa: E402
    TotalCoder,
    export_fusion,
)
from workbench_plugins.codecs.icm.fusion_plugin import SaIcmFusion  # noqa: E402
from workbench_plugins.codecs.icm.network import IcmNetwork, LiteConfig  # noqa: E402
from workbench_plugins.codecs.icm.plugin import SaIcm  # noqa: E402
from workbench_plugins.codecs.icm.stream import EnhancementStream  # noqa: E402
from workbench_plugins.codecs.icm.weights import (  # noqa: E402
    load_fusion,
    load_weights,
    save_fusion,
    save_weights,
)

SMALL = LiteConfig(latent_channels=40, hyper_channels=16, widths=(16, 24), depths=(1, 1, 0))


def base_network(seed: int = 0) -> IcmNetwork:
    torch.manual_seed(seed)
    network = IcmNetwork(SMALL)
    with torch.no_grad():
        # Random analysis gives latents near 0: larger ones exercise all scales.
        network.gain.log_gain += 4
        network.inverse_gain.log_gain -= 4
    return network.eval()


def additional_network(**switches: object) -> AdditionalNetwork:
    network = AdditionalNetwork(FusionConfig(network=SMALL, **switches))  # type: ignore[arg-type]
    network.warm_start(base_network(1).state_dict())
    return network.eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("weights")
    base, own = folder / "base.safetensors", folder / "fusion.safetensors"
    save_weights(base_network(), base)
    save_fusion(additional_network(), own, base)
    return base, own


def load(files: tuple[Path, Path], **options: bool) -> FusionCoder:
    base, own = files
    return FusionCoder(load_weights(base), load_fusion(own, base), **options)


@pytest.fixture(scope="module")
def coder(files: tuple[Path, Path]) -> FusionCoder:
    torch.set_num_threads(1)
    return load(files, verify=True)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (37, 53), (64, 130)])
def test_both_layers_give_a_picture_of_the_originals_size(
    coder: FusionCoder, height: int, width: int
) -> None:
    layers = coder.compress(picture(height, width), 1.0, 3.3)
    decoded = coder.decompress(**layers)
    assert (decoded.shape, decoded.dtype) == ((height, width, 3), np.uint8)


def test_the_base_layer_is_the_base_codecs_own_stream(coder: FusionCoder) -> None:
    image = picture(64, 96)
    for level in (0.0, 4.0):
        assert coder.compress(image, 2.0, level)["base"] == coder.base.compress(image, 2.0)


@pytest.mark.parametrize(
    ("m", "condition", "residual", "see"),
    [
        *((m, c, r, True) for m in (1, 5) for c in (True, False) for r in (True, False)),
        (4, True, True, False),
        (4, False, False, False),
    ],
)
def test_every_form_of_fusion_decodes_what_it_encoded(
    files: tuple[Path, Path], tmp_path: Path, m: int, condition: bool, residual: bool, see: bool
) -> None:
    network = additional_network(
        m=m, condition_on_base=condition, residual=residual, transforms_see_base=see
    )
    save_fusion(network, tmp_path / "own.safetensors", files[0])
    # verify: the encoder raises an error where its latents do not come back.
    coder = load((files[0], tmp_path / "own.safetensors"), verify=True)
    layers = coder.compress(picture(64, 64), 1.0, 4.0)
    assert coder.decompress(**layers).shape == (64, 64, 3)


def test_slices_behind_m_are_the_bases() -> None:
    network = additional_network(m=2)
    b = torch.randn(1, 40, 4, 4)
    y_hat = torch.randn(1, 16, 4, 4)  # 40 channels in 5 slices: two slices have 16
    assert torch.equal(network.fuse(y_hat, b)[:, 16:40], b[:, 16:])
    # Conditioned and residual: what is coded is the sum ŷ = b + y_a itself.
    assert torch.equal(network.fuse(y_hat, b)[:, :16], y_hat)


def test_transforms_that_see_the_base_start_as_plain_fusion() -> None:
    seeing, plain = (additional_network(m=2, transforms_see_base=see) for see in (True, False))
    plain.load_state_dict({k: v for k, v in seeing.state_dict().items() if k in plain.state_dict()})
    b, y_hat, level = torch.randn(1, 40, 4, 4), torch.randn(1, 16, 4, 4), torch.tensor([2.0])
    x, picture = torch.rand(2, 1, 3, 64, 64)
    other = b.clone()
    other[:, :16] += 1  # slices that plain fusion takes from the enhancement alone
    with torch.no_grad():
        of_seeing, of_plain = (
            [network.analyse_given(x, base, level),
             network.synthesise_fused(network.fuse(y_hat, b), base, level)]
            for network, base in ((seeing, Base(b, picture)), (plain, Base(b, None)))
        )  # fmt: skip
        assert torch.equal(of_seeing[0], of_plain[0])
        assert torch.equal(of_seeing[1], of_plain[1])
        seeing.merge[-1].weight.normal_()
        seeing.picture_to_g_a[-1].weight.normal_()
        seeing.picture_to_g_s[-1].weight.normal_()
        fused = seeing.fuse(y_hat, b)
        shown = seeing.synthesise_fused(fused, Base(b, picture), level)
        for changed in (Base(other, picture), Base(b, 1 - picture)):
            assert not torch.allclose(shown, seeing.synthesise_fused(fused, changed, level))
        of_one, of_other = (
            seeing.analyse_given(x, Base(b, shown), level) for shown in (picture, 1 - picture)
        )
        assert not torch.allclose(of_one, of_other)


def test_the_released_form_adds_the_coded_latents_to_the_bases() -> None:
    network = additional_network(
        m=2, condition_on_base=False, residual=False, transforms_see_base=False
    )
    b, y_hat = torch.randn(1, 40, 4, 4), torch.randn(1, 16, 4, 4)
    assert torch.equal(network.fuse(y_hat, b)[:, :16], b[:, :16] + y_hat)
    x = torch.rand(1, 3, 64, 64)
    level = torch.tensor([2.0])
    # g_a sees the picture only.
    one, other = (network.analyse_given(x, Base(c, None), level) for c in (b, -b))
    assert torch.equal(one, other)


def test_a_warm_start_with_all_slices_is_the_network_it_started_from() -> None:
    human = base_network(1)
    fusion = FusionNetwork(base_network(), FusionConfig(m=5, network=SMALL)).eval()
    fusion.additional.warm_start(human.state_dict())
    x, level = torch.rand(1, 3, 64, 64), torch.tensor([2.0])
    with torch.inference_mode():
        alone, fused = human(x, level), fusion(x, level)
        base = fusion.base(x, torch.tensor([1.0]))  # the level that is measured
    assert torch.allclose(alone.x_hat, fused.x_hat, atol=1e-5)
    assert torch.allclose(alone.bits + base.bits, fused.bits, rtol=1e-4)


def test_a_warm_start_from_another_m_keeps_what_the_base_says() -> None:
    four, two = additional_network(m=4), additional_network(m=2)
    with torch.no_grad():
        for parameter in four.parameters():
            parameter.normal_()
    two.warm_start(four.state_dict())
    # Supports: 8 channels a slice of means, 40 of the base, 8 a slice before.
    new, old = (n.cc_mean_transforms[1][0].weight for n in (two, four))
    assert torch.equal(new[:, 16:56], old[:, 32:72])
    assert torch.equal(new[:, 56:], old[:, 72:])
    assert torch.equal(new[:, :16], old[:, :16])


def test_training_leaves_the_base_alone() -> None:
    fusion = FusionNetwork(base_network(), FusionConfig(m=3, network=SMALL)).train()
    output = fusion(torch.rand(2, 3, 64, 64), torch.tensor([1.0, 3.0]))
    (output.bits.sum() + output.x_hat.sum()).backward()
    assert all(p.grad is None for p in fusion.base.parameters())
    assert fusion.additional.g_a[1].weight.grad.abs().sum() > 0


def test_an_enhancement_over_another_base_layer_is_refused(coder: FusionCoder) -> None:
    first, second = (coder.compress(picture(64, 64, seed), 1.0, 3.0) for seed in (0, 1))
    with pytest.raises(StreamError, match="made for another base layer"):
        coder.decompress(second["base"], first["enhancement"])


def test_swapped_layers_are_refused(coder: FusionCoder) -> None:
    layers = coder.compress(picture(64, 64), 1.0, 3.0)
    with pytest.raises(StreamError, match="checksum"):
        coder.decompress(layers["enhancement"], layers["base"])


def test_any_cut_or_flipped_enhancement_raises(coder: FusionCoder) -> None:
    layers = coder.compress(picture(64, 64), 1.0, 3.0)
    data = layers["enhancement"]
    for keep in (0, 5, 11, len(data) // 2, len(data) - 4, len(data) - 1):
        with pytest.raises(StreamError):
            coder.decompress(layers["base"], data[:keep])
    for bit in range(0, 8 * len(data), 37):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(StreamError):
            coder.decompress(layers["base"], bytes(broken))


def test_an_enhancement_of_other_weights_says_so(coder: FusionCoder) -> None:
    layers = coder.compress(picture(64, 64), 1.0, 3.0)
    own = EnhancementStream.from_bytes(layers["enhancement"])
    other = EnhancementStream(b"\0\1", own.level, own.base_crc, own.latents_crc, own.payload)
    with pytest.raises(StreamError, match="same version of the weights"):
        coder.decompress(layers["base"], other.to_bytes())


def test_weights_over_another_base_are_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    save_weights(base_network(7), tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="trained over a base of sha256"):
        load_fusion(files[1], tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="icm-fusion-1"):
        load_fusion(files[0], files[0])


def test_a_checkpoint_is_exported_over_the_base_it_was_trained_over(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    trained = FusionNetwork(load_weights(files[0])[0], FusionConfig(m=2, network=SMALL))
    state = {"ema": trained.state_dict(), "config": trained.config.to_dict()}
    export_fusion(state, tmp_path / "own.safetensors", files[0])
    coder = TotalCoder(tmp_path / "own.safetensors", files[0])
    layers = coder.compress(picture(20, 20), 2.0)
    assert coder.decompress(layers).shape == (20, 20, 3)
    save_weights(base_network(7), tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="was trained over other weights than other"):
        export_fusion(state, tmp_path / "own.safetensors", tmp_path / "other.safetensors")


def test_an_m_outside_the_slices_is_refused() -> None:
    with pytest.raises(WorkbenchError, match=r"m 6 is outside 1\.\.5"):
        FusionConfig(m=6)


def test_two_layers_decode_in_a_fresh_process_with_two_threads(
    coder: FusionCoder, files: tuple[Path, Path], tmp_path: Path
) -> None:
    layers = coder.compress(picture(100, 200), 2.0, 4.0)
    for name, data in layers.items():
        (tmp_path / name).write_bytes(data)
    code = f"""
import numpy as np, torch
torch.set_num_threads(2)
from pathlib import Path
from workbench_plugins.codecs.icm.fusion_coder import FusionCoder
from workbench_plugins.codecs.icm.weights import load_fusion, load_weights
base, own, folder = Path({str(files[0])!r}), Path({str(files[1])!r}), Path({str(tmp_path)!r})
coder = FusionCoder(load_weights(base), load_fusion(own, base))
layers = [(folder / name).read_bytes() for name in ("base", "enhancement")]
np.save(folder / "human.npy", coder.decompress(*layers))
np.save(folder / "machine.npy", coder.base.decompress(layers[0]))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    np.testing.assert_array_equal(np.load(tmp_path / "human.npy"), coder.decompress(**layers))
    machine = coder.base.decompress(layers["base"])
    np.testing.assert_array_equal(np.load(tmp_path / "machine.npy"), machine)


def test_the_codec_conforms_with_random_weights(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_VERIFY", "1")
    monkeypatch.setattr(SaIcm, "weights_path", lambda *_: files[0])
    monkeypatch.setattr(SaIcmFusion, "weights_path", lambda *_: files[1])
    assert SaIcmFusion.unavailable() is None
    # In this process: each check in one of its own takes a minute more.
    subject = testing._Subject(SaIcmFusion)
    for check in testing.CHECKS:
        if check is not testing.rate_and_quality_grow:  # random weights promise no quality
            check(subject)


def test_a_missing_layer_is_named(files: tuple[Path, Path]) -> None:
    with pytest.raises(StreamError, match="layer 'enhancement' is missing: human needs it"):
        SaIcmFusion().decode({"base": b""}, "human")


def test_points_are_pairs_of_rate_levels() -> None:
    point = SaIcmFusion.points.find("level2.5-level4")
    assert (point.base, point.enhancement) == ("level2.5", "level4")
