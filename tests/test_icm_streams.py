"""The learned codecs' streams: round trips, other processes and threads, damage, small pictures."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the learned codecs' libraries are not installed")
pytest.importorskip("compressai", reason="the learned codecs' libraries are not installed")

from workbench.errors import StreamError, WeightsError  # noqa: E402
from workbench.testing import picture  # noqa: E402
from workbench_plugins.codecs.icm.coder import PictureCoder  # noqa: E402
from workbench_plugins.codecs.icm.entropy import SliceEntropyModel  # noqa: E402
from workbench_plugins.codecs.icm.float64 import ShiftedConv, in_float64  # noqa: E402
from workbench_plugins.codecs.icm.latents import checksum  # noqa: E402
from workbench_plugins.codecs.icm.network import IcmNetwork, LiteConfig  # noqa: E402
from workbench_plugins.codecs.icm.plugin import LicHuman  # noqa: E402
from workbench_plugins.codecs.icm.refinement import drawn_rounding  # noqa: E402
from workbench_plugins.codecs.icm.stream import IcmStream  # noqa: E402
from workbench_plugins.codecs.icm.tables import Tables, from_bytes, to_bytes  # noqa: E402
from workbench_plugins.codecs.icm.weights import load_weights, save_weights  # noqa: E402

SMALL = LiteConfig(latent_channels=40, hyper_channels=16, widths=(16, 24), depths=(1, 1, 0))


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = IcmNetwork(SMALL)
    with torch.no_grad():
        # Random analysis gives latents near 0: larger ones exercise all scales.
        network.gain.log_gain += 4
        network.inverse_gain.log_gain -= 4
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(network, path)
    return path


@pytest.fixture(scope="module")
def coder(weights_file: Path) -> PictureCoder:
    torch.set_num_threads(1)
    return PictureCoder(*load_weights(weights_file))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (37, 53), (64, 64), (130, 70)])
def test_pictures_of_any_size_come_back_in_their_size(
    coder: PictureCoder, height: int, width: int
) -> None:
    decoded = coder.decompress(coder.compress(picture(height, width), 2.3))
    assert decoded.shape == (height, width, 3)
    assert decoded.dtype == np.uint8


def test_the_decoder_sees_the_latents_and_picture_the_encoder_saw(coder: PictureCoder) -> None:
    image = picture(128, 128)
    stream = IcmStream.from_bytes(coder.compress(image, 5.0))
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        y = coder.network.analyse(x, torch.tensor([5.0]))
    coded = coder.latents.encode(y)
    decoded = coder.latents.decode(coded.payload, (8, 8))
    assert torch.equal(coded.y_hat, decoded)
    assert checksum(decoded) == stream.latents_crc
    # LRP moves a latent by at most 0.5 from its rounded place, which is within 0.5 of y.
    assert (decoded - y).abs().max() <= 1.001


def test_a_fresh_process_with_two_threads_decodes_the_same_pictures_alone_and_in_batches(
    coder: PictureCoder, weights_file: Path, tmp_path: Path
) -> None:
    # Made with one thread; eight pictures of one size, and a larger one.
    images = [picture(48, 64, seed) for seed in range(8)] + [picture(100, 200)]
    streams = [coder.compress(image, 0.6 * n) for n, image in enumerate(images)]
    (tmp_path / "streams").write_bytes(pickle.dumps(streams))
    code = f"""
import pickle
from pathlib import Path
from workbench_plugins.codecs.icm.plugin import LicHuman

class Small(LicHuman):
    @classmethod
    def weights_path(cls):
        return Path({str(weights_file)!r})

streams = pickle.loads(Path({str(tmp_path / "streams")!r}).read_bytes())
decoder = Small(threads=2)
together = decoder.decode_many(streams[:8], "image")
alone = [decoder.decode_many([stream], "image")[0] for stream in streams]
Path({str(tmp_path / "pictures")!r}).write_bytes(pickle.dumps((together, alone)))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    together, alone = pickle.loads((tmp_path / "pictures").read_bytes())
    expected = [coder.decompress(stream) for stream in streams]
    np.testing.assert_array_equal(together, expected[:8])
    for found, wanted in zip(alone, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_an_encoder_that_verifies_itself_refuses_what_does_not_come_back(
    weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coder = PictureCoder(*load_weights(weights_file), verify=True)
    assert coder.decompress(coder.compress(picture(20, 20), 3.0)).shape == (20, 20, 3)
    # Stands for arithmetic that does not repeat itself: the second pass sees other scales.
    passes = iter((0.0, 1.0))
    original = SliceEntropyModel.hyper_parameters

    def drifting(self: SliceEntropyModel, z_hat: torch.Tensor):
        means, scales = original(self, z_hat)
        return means, scales + next(passes)

    monkeypatch.setattr(SliceEntropyModel, "hyper_parameters", drifting)
    with pytest.raises(StreamError, match="does not decode to the encoder's latents"):
        coder.compress(picture(20, 20), 3.0)


def test_arithmetic_that_differs_in_the_last_bits_changes_nothing(
    coder: PictureCoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = picture(128, 128)
    data = coder.compress(image, 4.0)
    expected = coder.decompress(data)
    original = SliceEntropyModel.hyper_parameters

    def noisy(self: SliceEntropyModel, z_hat: torch.Tensor):
        # Devices and thread counts differ by some 1e-15 in float64; this is worse.
        return [v * (1 + 1e-13 * torch.randn_like(v)) for v in original(self, z_hat)]

    monkeypatch.setattr(SliceEntropyModel, "hyper_parameters", noisy)
    np.testing.assert_array_equal(coder.decompress(data), expected)


def test_a_stream_of_another_codec_is_refused(coder: PictureCoder) -> None:
    from workbench_plugins.codecs.jpeg import Jpeg

    with pytest.raises(StreamError):
        coder.decompress(Jpeg().encode(picture(64, 64), Jpeg.points[3]))


def test_any_cut_raises(coder: PictureCoder) -> None:
    data = coder.compress(picture(64, 64), 3.0)
    for keep in (0, 5, 12, 13, len(data) // 2, len(data) - 4, len(data) - 1):
        with pytest.raises(StreamError):
            coder.decompress(data[:keep])


def test_any_flipped_bit_raises(coder: PictureCoder) -> None:
    data = coder.compress(picture(64, 64), 3.0)
    for bit in range(0, 8 * len(data), 7):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(StreamError):
            coder.decompress(bytes(broken))


def test_latents_other_than_the_encoders_raise_instead_of_showing_garbage(
    coder: PictureCoder,
) -> None:
    stream = IcmStream.from_bytes(coder.compress(picture(64, 64), 3.0))
    other = IcmStream(
        stream.weights_id,
        stream.level,
        stream.width,
        stream.height,
        stream.latents_crc ^ 1,
        stream.payload,
    )
    with pytest.raises(StreamError, match="differ from the encoder's"):
        coder.decompress(other.to_bytes())


def test_a_stream_of_other_weights_says_so(coder: PictureCoder) -> None:
    other = PictureCoder(IcmNetwork(SMALL), b"\0\1")
    with pytest.raises(StreamError, match="same version of the weights"):
        other.decompress(coder.compress(picture(64, 64), 3.0))


def test_tables_return_what_was_pushed_at_near_the_entropy() -> None:
    rng = np.random.default_rng(0)
    tables = Tables.gaussian()
    # Index 40 of 64 log-spaced scales 0.11..256: 0.11 * (256 / 0.11) ** (40 / 63) = 15.11.
    indexes = np.full(20_000, 40, np.uint8)
    symbols = np.rint(rng.normal(0, 15.11, 20_000)).astype(np.int32)
    coder = from_bytes(b"")
    tables.push(coder, symbols, indexes)
    data = to_bytes(coder)
    np.testing.assert_array_equal(tables.pop(from_bytes(data), indexes), symbols)
    # Differential entropy of a Gaussian: log2(15.11 * sqrt(2 pi e)) = 5.965 bits.
    assert 8 * len(data) / 20_000 == pytest.approx(5.965, rel=0.01)


def test_tables_keep_symbols_of_mixed_scales_in_order() -> None:
    rng = np.random.default_rng(1)
    tables = Tables.gaussian()
    indexes = rng.integers(0, 64, 5000).astype(np.uint8)
    symbols = tables.clip(rng.integers(-3000, 3000, 5000).astype(np.int32), indexes)
    coder = from_bytes(b"")
    tables.push(coder, symbols, indexes)
    np.testing.assert_array_equal(tables.pop(from_bytes(to_bytes(coder)), indexes), symbols)


def test_weights_of_another_architecture_are_refused_by_name(
    weights_file: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    from workbench_plugins.codecs.icm.weights import load_tensors

    tensors = {name: value.float() for name, value in load_file(weights_file).items()}
    network = IcmNetwork(SMALL)
    with pytest.raises(WeightsError, match=r"lacks g_a\.1\.bias"):
        load_tensors(network, {k: v for k, v in tensors.items() if k != "g_a.1.bias"}, "x")
    with pytest.raises(WeightsError, match="has unknown extra"):
        load_tensors(network, {**tensors, "extra": torch.zeros(1)}, "x")
    with pytest.raises(WeightsError, match="NaN"):
        load_tensors(network, {**tensors, "g_a.1.bias": torch.full((16,), torch.nan)}, "x")
    foreign = tmp_path / "foreign.safetensors"
    save_file(tensors, foreign)
    with pytest.raises(WeightsError, match="lite family"):
        load_weights(foreign)
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(tmp_path / "broken.safetensors")


def test_a_profile_tells_parameters_operations_and_the_seconds_of_stages(
    weights_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LicHuman, "weights_path", lambda *_: weights_file)
    told = LicHuman().profile(picture(64, 64), LicHuman.points[2])
    n_parameters = sum(p.numel() for p in IcmNetwork(SMALL).parameters())
    assert told["parameters"] == f"{n_parameters / 1e6:.2f} M"
    seconds = re.match(
        r"(.+) s: transform (.+), entropy model (.+), coder (.+), rest (.+); (.+) kMAC/pixel",
        told["encode"],
    )
    assert seconds is not None
    total, *stages, kmac = map(float, seconds.groups())
    assert sum(stages) == pytest.approx(total, abs=0.003)
    # By hand, kMAC a pixel. g_a: conv3 48→16 at 1/4: 48·16·9/16 = 0.432; block of two conv3
    # 16→16: 0.288; conv3 16→24 to 1/8: 0.054; block 24→24: 0.162; conv3 24→40 to 1/16: 0.034.
    assert kmac > 0.432 + 0.288 + 0.054 + 0.162 + 0.034
    assert kmac < 10


@pytest.mark.parametrize(("inputs", "outputs"), [(5, 3), (96, 32), (3, 3), (2, 5)])
def test_convolutions_in_float64_are_what_they_were(inputs: int, outputs: int) -> None:
    torch.manual_seed(0)
    original = torch.nn.Sequential(torch.nn.Conv2d(inputs, outputs, 3, padding=1))
    made = in_float64(original)
    assert isinstance(made[0], ShiftedConv) == (outputs < inputs)
    x = torch.randn(2, inputs, 5, 7, dtype=torch.float64)
    assert torch.allclose(made(x), original.double()(x), rtol=1e-13, atol=1e-13)


def test_the_command_line_times_any_codec(workbench_cli: Callable[..., Any]) -> None:
    told = json.loads(workbench_cli("show", "codecs", "jpeg", "--profile", "--json").stdout)
    assert float(told["profile"]["encode_s"]) > 0
    assert float(told["profile"]["decode_s, image"]) > 0
    refused = workbench_cli("show", "tasks", "psnr", "--profile")
    assert "psnr: only codecs have a profile" in refused.stderr


def test_refinement_makes_streams_cheaper_that_any_decoder_takes(weights_file: Path) -> None:
    torch.set_num_threads(1)
    image, level = picture(70, 90), 2.0
    plain, searching = (
        PictureCoder(*load_weights(weights_file), refined=refined) for refined in (False, True)
    )
    rate_lambda = SMALL.lambdas[2]

    def cost(stream: bytes) -> float:
        error = (plain.decompress(stream).astype(float) - image) ** 2
        return 8 * len(stream) + rate_lambda * float(error.mean(2).sum())

    refined = searching.compress(image, level)
    assert cost(refined) < 0.97 * cost(plain.compress(image, level))
    # The search draws numbers, but the same ones each time, and leaves those of others alone.
    before = torch.get_rng_state()
    assert searching.compress(image, level) == refined
    assert torch.equal(torch.get_rng_state(), before)


def test_drawn_rounding_cools_down_to_rounding() -> None:
    x = torch.linspace(-2.4, 2.4, 481)
    torch.manual_seed(0)
    warm, cold = (drawn_rounding(x, torch.tensor(t)) for t in (0.5, 0.01))
    assert ((warm - x).abs() <= 1).all()
    assert not torch.allclose(warm, x.round(), atol=0.1)
    sure = (x - x.round()).abs() < 0.45
    assert torch.allclose(cold[sure], x.round()[sure], atol=1e-3)
