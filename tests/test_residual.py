"""Residual codecs: layers over any codec, VVC+M regenerated elsewhere, plain differences."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import workbench
from workbench import images, registry
from workbench.errors import PluginError, StreamError
from workbench.measure import to_stream
from workbench.provenance import plugin_key
from workbench.testing import check_codec, picture
from workbench_plugins.codecs.ffmpeg import colour, process
from workbench_plugins.codecs.ffmpeg.vvc import VvcIntra
from workbench_plugins.codecs.icm.plugin import SaIcm
from workbench_plugins.codecs.residual import PlainResidual, VvcResidual, vvc

JPEG = registry.load().codec("jpeg")
VVC_JPEG = registry.load().codec("vvc-residual:jpeg")
POINT = VVC_JPEG.points.find("quality20-qp23")


def test_points_are_pairs_of_which_any_may_be_asked_for() -> None:
    points = VVC_JPEG.points
    assert [p.label for p in points][:2] == ["quality20-qp37", "quality20-qp32"]
    assert points.find("quality33-qp18").params == {"base": "quality33", "enhancement": "qp18"}
    with pytest.raises(PluginError, match="quality 300 is outside whole numbers 1..100"):
        points.find("quality300-qp18")
    with pytest.raises(PluginError, match="qp 64 is outside whole numbers 10..63"):
        points.find("quality20-qp64")
    with pytest.raises(PluginError, match="no point 'qp32'"):
        points.find("qp32")


@pytest.mark.parametrize("name", ["vvc-residual:jpeg", "plain-residual:jpeg"])
def test_residual_codecs_conform(name: str) -> None:
    failed = [str(verdict) for verdict in check_codec(name) if not verdict.passed]
    assert not failed


@pytest.fixture(scope="module")
def coded() -> dict[str, bytes]:
    return VVC_JPEG().encode(picture(64, 96), POINT)


def test_the_base_layer_is_the_inner_codecs_own_stream(coded: dict[str, bytes]) -> None:
    own = JPEG().encode(picture(64, 96), JPEG.points.find("quality20"))
    assert coded["base"] == own
    machine = VVC_JPEG().decode({"base": own}, "machine")
    np.testing.assert_array_equal(machine, JPEG().decode(own, "image"))


def test_a_fresh_process_decodes_the_picture_of_the_encoders_own_stream(
    coded: dict[str, bytes], tmp_path: Path
) -> None:
    stream = to_stream(VVC_JPEG, POINT, 96, 64, coded)
    (tmp_path / "a.wbs").write_bytes(stream.to_bytes())
    decode = [sys.executable, "-m", "workbench", "decode", "a.wbs", "a.png", "--threads", "2"]
    subprocess.run(decode, cwd=tmp_path, check=True, timeout=120)
    # What the encoder wrote of [x̂, x], whole: nothing regenerated, nothing spliced.
    base = JPEG().decode(coded["base"], "image")
    raw = VvcIntra.layout().raw(128, 128)
    frames = [colour.to_planes(p, VvcIntra.layout(), 128, 128) for p in (base, picture(64, 96))]
    whole = process.encode(
        b"".join(frames), raw, encoder="libvvenc", container="vvc", options=vvc._options(23)
    )
    planes = process.decode(whole, raw, 2, container="vvc", decoder="vvc")
    second = memoryview(planes)[raw.frame_bytes :]
    own = colour.from_planes(second, VvcIntra.layout(), raw, 96, 64)
    np.testing.assert_array_equal(images.read(tmp_path / "a.png"), own)


@pytest.mark.parametrize("threads", [2, 8])
def test_threads_change_no_byte(coded: dict[str, bytes], threads: int) -> None:
    assert VVC_JPEG(threads=threads).encode(picture(64, 96), POINT) == coded


def test_layers_of_two_pictures_do_not_go_together(coded: dict[str, bytes]) -> None:
    other = JPEG().encode(picture(64, 96, seed=1), JPEG.points.find("quality20"))
    with pytest.raises(StreamError, match="belongs to another base layer"):
        VVC_JPEG().decode({**coded, "base": other}, "human")


def test_a_decoder_that_regenerates_another_reference_says_so(
    coded: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stands for another version of VVenC: the reference coded at a step of its own.
    monkeypatch.setattr(vvc, "REFERENCE_OFFSET", -6)
    with pytest.raises(StreamError, match="regenerates another reference picture"):
        VVC_JPEG().decode(coded, "human")


def test_an_encoder_refuses_what_no_decoder_could_regenerate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def depends_on_what_follows(self, first, second, qp):
        return second.tobytes(), b"inter"

    monkeypatch.setattr(VvcResidual, "_access_units", depends_on_what_follows)
    with pytest.raises(PluginError, match="differently when another picture follows"):
        VVC_JPEG().encode(picture(64, 96), POINT)


def test_the_content_key_covers_the_inner_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    before = plugin_key(VVC_JPEG)
    monkeypatch.setattr(JPEG, "versions", lambda: {"libjpeg": "another"})
    assert plugin_key(VVC_JPEG) != before


def test_sa_icm_vvc_says_that_its_base_layers_weights_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if SaIcm.not_installed():
        pytest.skip("the learned codecs' libraries are not installed")
    monkeypatch.setattr(SaIcm, "weights_path", classmethod(lambda cls: tmp_path / "none"))
    with pytest.raises(PluginError, match="codec sa-icm has no trained weights"):
        registry.load().select_codecs("sa-icm-vvc")


class Flat(workbench.Codec):
    """Decodes to grey level 10, whatever was coded."""

    name = "flat"
    points = workbench.points("q", [1])
    layers = ("a", "b")
    outputs: ClassVar = {"image": workbench.Output(("a", "b"))}

    def encode(self, image, point):
        return {"a": bytes(image.shape[:2]), "b": b"grey"}

    def decode(self, stream, output):
        assert stream["b"] == b"grey"
        return np.full((*stream["a"], 3), 10, np.uint8)


def test_layers_of_the_inner_codec_are_joined_behind_their_sizes() -> None:
    codec = PlainResidual.over(Flat, "plain-residual:flat")()
    coded = codec.encode(np.full((32, 48, 3), 100, np.uint8), codec.points[-1])
    # Layer a is two bytes, 32 and 48; b has no size before it.
    assert coded["base"] == b"\x02\0\0\0\x20\x30grey"
    assert (codec.decode({"base": coded["base"]}, "machine") == 10).all()
    with pytest.raises(StreamError, match="base layer is cut"):
        codec.decode({"base": b"\x09\0\0\0\x20\x30"}, "machine")


def test_a_plain_difference_is_added_back_and_clipped_at_127() -> None:
    codec = PlainResidual.over(Flat, "plain-residual:flat")()
    image = np.full((32, 48, 3), 100, np.uint8)
    image[:, 24:] = 200
    human = codec.decode(codec.encode(image, codec.points[-1]), "human").astype(int)
    # 10 + (100 - 10) = 100; 200 - 10 = 190 is over 127, so 10 + 127 = 137. AVIF may be 2 off.
    assert abs(human[:, :16] - 100).max() <= 2
    assert abs(human[:, 32:] - 137).max() <= 2
