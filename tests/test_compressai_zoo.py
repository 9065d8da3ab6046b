"""CompressAI's zoo: released files by manifest, own checkpoints, complete streams.

The networks are small and have random weights.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the learned codecs' libraries are not installed")
pytest.importorskip("compressai", reason="the learned codecs' libraries are not installed")

from workbench.errors import StreamError, WeightsError  # noqa: E402
from workbench.testing import picture  # noqa: E402
from workbench.weights import WeightFile  # noqa: E402
from workbench_plugins.codecs import compressai_zoo  # noqa: E402
from workbench_plugins.codecs.compressai_zoo import checkpoints, coders  # noqa: E402

IMAGE, IMAGE_VBR, _ = coders.compressai_zoo()
CODECS = {codec.architecture: codec for codec in compressai_zoo.workbench_codecs()}
SMALL = (8, 12)


def small_network(architecture: str, seed: int = 0):
    torch.manual_seed(seed)
    network = IMAGE.model_architectures[architecture](*SMALL)
    with torch.no_grad():
        # Random analysis gives latents near 0: larger ones use the tables.
        for parameter in network.g_a[-1].parameters():
            parameter.mul_(40)
    return network


def save(network, folder: Path, name: str) -> Path:
    path = folder / "compressai" / f"{name}.pth.tar"
    path.parent.mkdir(exist_ok=True)
    torch.save({"state_dict": network.state_dict(), "epoch": 1}, path)
    return path


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Checkpoints of one's own: mbt2018-mean at quality 3 and mbt2018 at quality 1."""
    monkeypatch.setenv(checkpoints.SETTING, str(tmp_path))
    save(small_network("mbt2018-mean"), tmp_path, "mbt2018-mean-3")
    save(small_network("mbt2018"), tmp_path, "mbt2018-1")
    return tmp_path


def coded(architecture: str, quality: int, image: np.ndarray) -> bytes:
    codec = CODECS[architecture]
    return codec().encode(image, codec.points.find(f"quality{quality}"))


def test_the_manifest_is_compressais_own() -> None:
    for architecture, urls in IMAGE.model_urls.items():
        files = CODECS[architecture].weights
        assert [file.url for file in files] == [urls["mse"][q + 1] for q in range(len(files))]
    for architecture, urls in IMAGE_VBR.model_urls.items():
        assert [file.url for file in CODECS[architecture].weights] == [urls["mse"]]


def test_a_codec_without_weights_says_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(checkpoints.SETTING, raising=False)
    monkeypatch.setattr("workbench.weights.folders", lambda: [tmp_path])
    reason = CODECS["mbt2018-mean"].unavailable()
    assert reason is not None
    assert "workbench weights pull compressai:mbt2018-mean, or put your own into" in reason
    assert "compressai/mbt2018-mean-1.pth.tar" in reason


def test_a_checkpoint_makes_its_quality_available_and_others_name_their_file(own: Path) -> None:
    codec = CODECS["mbt2018-mean"]
    assert codec.unavailable() is None
    with pytest.raises(WeightsError, match="mbt2018-mean-4-6dba02a3.pth.tar"):
        coded("mbt2018-mean", 4, picture(8, 8))
    sha256 = hashlib.sha256((own / "compressai/mbt2018-mean-3.pth.tar").read_bytes()).hexdigest()
    assert codec.fingerprint()["mbt2018-mean-3-723404a8.pth.tar"] == sha256


def test_a_released_file_is_loaded_once_its_hash_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(checkpoints.SETTING, raising=False)
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(tmp_path))
    torch.save(small_network("mbt2018-mean").state_dict(), tmp_path / "small.pth.tar")
    sha256 = hashlib.sha256((tmp_path / "small.pth.tar").read_bytes()).hexdigest()
    right = WeightFile("small.pth.tar", "https://example.org", sha256[:8], 1, "none")
    monkeypatch.setattr(CODECS["mbt2018-mean"], "weights", (right,) * 8)
    assert CODECS["mbt2018-mean"].unavailable() is None
    stream = coded("mbt2018-mean", 1, picture(16, 16))
    assert CODECS["mbt2018-mean"]().decode(stream, "image").shape == (16, 16, 3)
    wrong = WeightFile("small.pth.tar", "https://example.org", "0" * 8, 1, "none")
    monkeypatch.setattr(CODECS["mbt2018-mean"], "weights", (wrong,) * 8)
    with pytest.raises(WeightsError, match="expected 00000000"):
        coded("mbt2018-mean", 1, picture(16, 16))


@pytest.mark.parametrize(("architecture", "quality"), [("mbt2018-mean", 3), ("mbt2018", 1)])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (37, 70)])
def test_pictures_of_any_size_come_back_in_their_size(
    own: Path, architecture: str, quality: int, height: int, width: int
) -> None:
    stream = coded(architecture, quality, picture(height, width))
    decoded = CODECS[architecture]().decode(stream, "image")
    assert (decoded.shape, decoded.dtype) == ((height, width, 3), np.uint8)


@pytest.mark.parametrize(
    "architecture", ["bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean"]
)
def test_arrays_give_compressais_picture_at_its_rate(architecture: str) -> None:
    network = small_network(architecture).eval().requires_grad_(False)
    network.update()
    x = torch.from_numpy(picture(256, 256)).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        theirs = network.compress(x)
        expected = network.decompress(**theirs)["x_hat"]
        ours = coders.ArrayCoder(network)
        payload = ours.compress(x)
        found = ours.decompress(payload, 256, 256)
    # Means in float64 round another way now and then.
    assert (found.clamp(0, 1) - expected).abs().mean() < 1e-3
    n_bytes = sum(len(strings[0]) for strings in theirs["strings"])
    # Less is fine: random weights leave many symbols outside CompressAI's tables, where it pays.
    assert len(payload) < 1.001 * n_bytes


def test_a_fresh_process_with_two_threads_decodes_the_same_picture(
    own: Path, tmp_path: Path
) -> None:
    for architecture, quality in (("mbt2018-mean", 3), ("mbt2018", 1)):
        (tmp_path / architecture).write_bytes(coded(architecture, quality, picture(64, 100)))
    code = f"""
import numpy as np
from pathlib import Path
from workbench_plugins.codecs.compressai_zoo import workbench_codecs
folder = Path({str(tmp_path)!r})
for codec in workbench_codecs():
    stream = folder / codec.architecture
    if stream.exists():
        np.save(f"{{stream}}.npy", codec(threads=2).decode(stream.read_bytes(), "image"))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    for architecture in ("mbt2018-mean", "mbt2018"):
        here = CODECS[architecture]().decode((tmp_path / architecture).read_bytes(), "image")
        np.testing.assert_array_equal(np.load(tmp_path / f"{architecture}.npy"), here)


def test_cut_and_flipped_streams_raise(own: Path) -> None:
    stream = coded("mbt2018-mean", 3, picture(32, 32))
    decoder = CODECS["mbt2018-mean"]()
    for keep in (0, 4, 8, len(stream) // 2, len(stream) - 1):
        with pytest.raises(StreamError, match="cut or damaged"):
            decoder.decode(stream[:keep], "image")
    for position in range(0, len(stream), 11):
        broken = bytearray(stream)
        broken[position] ^= 4
        with pytest.raises(StreamError):
            decoder.decode(bytes(broken), "image")


def test_latents_other_than_the_encoders_raise_instead_of_showing_garbage() -> None:
    with torch.inference_mode():
        network = small_network("mbt2018-mean").eval()
        coder = coders.ArrayCoder(network)
        payload = coder.compress(torch.rand(1, 3, 64, 64))
        # Stands for another machine's arithmetic: scales that differ from the encoder's.
        coder._h_s[-1].bias += 1.0
        with pytest.raises(StreamError, match="differ from the encoder's"):
            coder.decompress(payload, 64, 64)


def test_a_stream_of_other_weights_is_refused(own: Path) -> None:
    stream = coded("mbt2018-mean", 3, picture(32, 32))
    save(small_network("mbt2018-mean", seed=1), own, "mbt2018-mean-3")
    with pytest.raises(StreamError, match="was made with weights"):
        CODECS["mbt2018-mean"]().decode(stream, "image")


def test_weights_of_another_architecture_or_with_nan_are_refused(own: Path) -> None:
    save(small_network("bmshj2018-factorized"), own, "mbt2018-mean-3")
    with pytest.raises(WeightsError, match="of another architecture than mbt2018-mean"):
        coded("mbt2018-mean", 3, picture(8, 8))
    network = small_network("mbt2018-mean")
    with torch.no_grad():
        network.h_a[0].bias[0] = float("nan")
    save(network, own, "mbt2018-mean-3")
    with pytest.raises(WeightsError, match="h_a.0.bias holds NaN"):
        coded("mbt2018-mean", 3, picture(8, 8))
    (own / "compressai/mbt2018-mean-3.pth.tar").write_bytes(b"no checkpoint")
    with pytest.raises(WeightsError, match="no state dictionary"):
        coded("mbt2018-mean", 3, picture(8, 8))
