"""The `tcm` networks: release-named checkpoints, against a plain computation of the same.

The reference below is written from the papers' description (LIC-TCM, Swin) over CompressAI's
blocks: one window at a time, the regions of shifted windows numbered as in Swin.
"""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the learned codecs' libraries are not installed")
pytest.importorskip("compressai", reason="the learned codecs' libraries are not installed")

import torch.nn.functional as F  # noqa: E402
from torch import Tensor  # noqa: E402

from workbench import registry  # noqa: E402
from workbench.errors import PluginError, StreamError, WeightsError  # noqa: E402
from workbench.testing import picture  # noqa: E402
from workbench_plugins.codecs.icm.coder import PictureCoder  # noqa: E402
from workbench_plugins.codecs.icm.fusion_coder import FusionCoder  # noqa: E402
from workbench_plugins.codecs.icm.stream import IcmStream  # noqa: E402
from workbench_plugins.codecs.icm.tcm import (  # noqa: E402
    TcmAdditional,
    TcmConfig,
    TcmNetwork,
)
from workbench_plugins.codecs.icm.tcm_weights import load_checkpoint  # noqa: E402

N = 32
StateDict = dict[str, Tensor]


# -- the reference ------------------------------------------------------------------------------


def part(state: StateDict, prefix: str) -> StateDict:
    return {k[len(prefix) + 1 :]: v for k, v in state.items() if k.startswith(prefix + ".")}


def compressai_block(state: StateDict, kind: str, *sizes: int):
    from compressai import layers

    block = getattr(layers, kind)(*sizes)
    block.load_state_dict(state)
    return block


def attention(state: StateDict, x: Tensor, head: int, w: int, shifted: bool) -> Tensor:
    height, width, channels = x.shape
    region = torch.zeros(height, width)
    if shifted:
        x = torch.roll(x, (-(w // 2), -(w // 2)), (0, 1))
        number = 0
        for rows in (slice(0, -w), slice(-w, -(w // 2)), slice(-(w // 2), None)):
            for columns in (slice(0, -w), slice(-w, -(w // 2)), slice(-(w // 2), None)):
                region[rows, columns] = number
                number += 1
    out = torch.zeros_like(x)
    table = state["relative_position_params"].tolist()
    positions = [(i, j) for i in range(w) for j in range(w)]
    biases = torch.tensor(
        [
            [[of[ai - bi + w - 1][aj - bj + w - 1] for bi, bj in positions] for ai, aj in positions]
            for of in table
        ]
    )
    for top in range(0, height, w):
        for left in range(0, width, w):
            tokens = x[top : top + w, left : left + w].reshape(w * w, channels)
            regions = region[top : top + w, left : left + w].reshape(-1)
            qkv = F.linear(tokens, state["embedding_layer.weight"], state["embedding_layer.bias"])
            results = []
            for h in range(channels // head):
                q, k, v = (
                    qkv[:, c * channels + h * head :][:, :head]
                    for c in range(3)  # all heads' queries, then keys, then values
                )
                scores = q @ k.T / head**0.5 + biases[h]
                scores[regions[:, None] != regions[None]] = -torch.inf
                results.append(scores.softmax(1) @ v)
            joined = F.linear(torch.cat(results, 1), state["linear.weight"], state["linear.bias"])
            out[top : top + w, left : left + w] = joined.reshape(w, w, channels)
    return torch.roll(out, (w // 2, w // 2), (0, 1)) if shifted else out


def trans(state: StateDict, x: Tensor, head: int, w: int, shifted: bool) -> Tensor:
    """[C, H, W] to the same."""
    x = x.permute(1, 2, 0)
    c = x.shape[-1]
    normed = F.layer_norm(x, (c,), state["ln1.weight"], state["ln1.bias"])
    x = x + attention(part(state, "msa"), normed, head, w, shifted)
    normed = F.layer_norm(x, (c,), state["ln2.weight"], state["ln2.bias"])
    hidden = F.gelu(F.linear(normed, state["mlp.0.weight"], state["mlp.0.bias"]))
    return (x + F.linear(hidden, state["mlp.2.weight"], state["mlp.2.bias"])).permute(2, 0, 1)


def conv_trans(state: StateDict, x: Tensor, head: int, w: int, shifted: bool) -> Tensor:
    c = x.shape[1] // 2
    split = F.conv2d(x, state["conv1_1.weight"], state["conv1_1.bias"])
    conv = compressai_block(part(state, "conv_block"), "ResidualBlock", c, c)(split[:, :c])
    conv = conv + split[:, :c]
    other = trans(part(state, "trans_block"), split[0, c:], head, w, shifted)[None]
    joined = torch.cat([conv, other], 1)
    return x + F.conv2d(joined, state["conv1_2.weight"], state["conv1_2.bias"])


def transform(state: StateDict, x: Tensor, heads: list[int], w: int, kind: str) -> Tensor:
    """g_a, h_a (kind: WithStride) or g_s, h_s (Upsample): stages, then a last convolution."""
    index = 0
    for head in heads:
        block = part(state, str(index))
        outputs, inputs = 2 * N, x.shape[1]
        x = compressai_block(block, f"ResidualBlock{kind}", inputs, outputs, 2)(x)
        for shifted in (False, True):
            index += 1
            x = conv_trans(part(state, str(index)), x, head, w, shifted)
        index += 1
    last = part(state, str(index))
    if kind == "WithStride":
        return F.conv2d(x, last["weight"], last["bias"], stride=2, padding=1)
    return F.pixel_shuffle(F.conv2d(x, last["0.weight"], last["0.bias"], padding=1), 2)


def sw_atten(state: StateDict, x: Tensor) -> Tensor:
    from compressai.layers import AttentionBlock

    gates = AttentionBlock(128)
    gates.load_state_dict({k: v for k, v in state.items() if k.startswith("conv_")})
    x = F.conv2d(x, state["in_conv.weight"], state["in_conv.bias"])
    z = trans(part(state, "non_local_block.block_1"), x[0], 16, 8, False)
    z = trans(part(state, "non_local_block.block_2"), z, 16, 8, True)[None]
    out = gates.conv_a(x) * torch.sigmoid(gates.conv_b(z)) + x
    return F.conv2d(out, state["out_conv.weight"], state["out_conv.bias"])


def context(state: StateDict, x: Tensor) -> Tensor:
    for index in (0, 2, 4):
        x = F.conv2d(x, state[f"{index}.weight"], state[f"{index}.bias"], padding=1)
        x = F.gelu(x) if index < 4 else x
    return x


def reference(state: StateDict, x: Tensor, slices: int) -> tuple[Tensor, Tensor, float]:
    """(y, ŷ, bits) of the release's forward pass in evaluation."""
    from compressai.entropy_models import EntropyBottleneck, GaussianConditional

    y = transform(part(state, "g_a"), x, [8, 16, 32], 8, "WithStride")
    z = transform(part(state, "h_a"), y, [32], 4, "WithStride")
    bottleneck = EntropyBottleneck(192).eval()
    bottleneck.load_state_dict(part(state, "entropy_bottleneck"))
    z_hat, z_likelihoods = bottleneck(z)
    means, scales = (
        transform(part(state, f"h_{which}_s"), z_hat, [32], 4, "Upsample")
        for which in ("mean", "scale")
    )
    bits = -z_likelihoods.log2().sum()
    known: list[Tensor] = []
    for i, y_slice in enumerate(y.chunk(slices, 1)):
        mean_support = sw_atten(part(state, f"atten_mean.{i}.0"), torch.cat([means, *known], 1))
        scale_support = sw_atten(part(state, f"atten_scale.{i}.0"), torch.cat([scales, *known], 1))
        mu = context(part(state, f"cc_mean_transforms.{i}"), mean_support)
        sigma = context(part(state, f"cc_scale_transforms.{i}"), scale_support)
        y_hat, likelihoods = GaussianConditional(None).eval()(y_slice, sigma, mu)
        bits = bits - likelihoods.log2().sum()
        support = torch.cat([mean_support, y_hat], 1)
        lrp = context(part(state, f"lrp_transforms.{i}"), support)
        known.append(y_hat + 0.5 * torch.tanh(lrp))
    return y, torch.cat(known, 1), float(bits)


# -- checkpoints --------------------------------------------------------------------------------


def random_network(kind: type[TcmNetwork], slices: int, seed: int = 0) -> TcmNetwork:
    torch.manual_seed(seed)
    network = kind(TcmConfig(N, slices)).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        # Biases of attention and norms start at 0 and 1: let all of them matter.
        if parameter.ndim < 4 and not name.startswith("entropy_bottleneck") and "gdn" not in name:
            parameter += 0.1 * torch.randn_like(parameter)
    # Latents that use the tables, and scales that suit them.
    network.g_a[-1].weight *= 3
    for context_net in network.cc_scale_transforms:
        context_net[-1].bias += 6
    return network


def save(network: TcmNetwork, path: Path, prefix: str = "module.") -> Path:
    """As LIC-TCM's training script does, with the names of older releases of CompressAI."""
    old = {
        prefix
        + name.replace("entropy_bottleneck.matrices.", "entropy_bottleneck._matrix")
        .replace("entropy_bottleneck.biases.", "entropy_bottleneck._bias")
        .replace("entropy_bottleneck.factors.", "entropy_bottleneck._factor"): value
        for name, value in network.state_dict().items()
    }
    milestones = collections.Counter([45, 48])
    path.parent.mkdir(exist_ok=True)
    torch.save({"epoch": 49, "state_dict": old, "lr_scheduler": {"milestones": milestones}}, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    save(random_network(TcmNetwork, 5), folder / "tcm/icm.pth.tar")
    save(random_network(TcmAdditional, 1, seed=1), folder / "tcm/ica.pth.tar", prefix="")
    return folder


@pytest.fixture(scope="module")
def machine(folder: Path) -> tuple[TcmNetwork, bytes]:
    return load_checkpoint(folder / "tcm/icm.pth.tar", TcmNetwork)


@pytest.fixture
def checkpoints(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_CHECKPOINTS", str(folder))
    return folder


# -- tests --------------------------------------------------------------------------------------


def test_parameters_are_as_many_as_published() -> None:
    # LIC-TCM, N = 128: 76.57 M; additional model of one slice: 45.92 M.
    for slices, millions in ((5, 76.57), (1, 45.92)):
        network = TcmNetwork(TcmConfig(128, slices))
        assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(
            millions, abs=0.005
        )


def test_a_release_named_checkpoint_gives_the_references_latents_picture_and_rate(
    folder: Path, machine: tuple[TcmNetwork, bytes]
) -> None:
    network, _ = machine
    state = random_network(TcmNetwork, 5).state_dict()
    x = torch.from_numpy(picture(128, 256)).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        y, y_hat, bits = reference(state, x, 5)
        x_hat = transform(part(state, "g_s"), y_hat, [32, 16, 8], 8, "Upsample")
        found = network.eval().code_latents(network.analyse(x, torch.tensor([3.0])))
        assert torch.allclose(network.analyse(x, torch.tensor([3.0])), y, atol=1e-3)
        # A value next to a half may round the other way.
        assert ((found.y_hat - y_hat).abs() > 1e-2).float().mean() < 1e-3
        assert float(found.bits()) == pytest.approx(bits, rel=1e-3)
        assert torch.allclose(network.synthesise(y_hat, torch.tensor([3.0])), x_hat, atol=1e-4)
        payload = PictureCoder(network, b"ab").latents.encode(y).payload
    # Real bytes take what the likelihoods say; the coder's tables have 64 scales.
    assert 8 * len(payload) == pytest.approx(bits, rel=0.02)


def test_an_additional_model_of_one_slice_is_added_to_the_bases_first(folder: Path) -> None:
    network, _ = load_checkpoint(folder / "tcm/ica.pth.tar", TcmAdditional)
    assert network.config == TcmConfig(N, 1)
    y_hat, base = torch.randn(1, 64, 8, 8), torch.randn(1, 320, 8, 8)
    fused = network.fuse(y_hat, base)
    assert torch.equal(fused[:, :64], base[:, :64] + y_hat)
    assert torch.equal(fused[:, 64:], base[:, 64:])


def test_pictures_come_back_in_their_size_and_larger_steps_cost_less(
    machine: tuple[TcmNetwork, bytes],
) -> None:
    coder = PictureCoder(*machine, verify=True)
    image = picture(37, 150)
    sizes = []
    for level in (0.0, 3.0, 5.0):
        data = coder.compress(image, level)
        assert coder.decompress(data).shape == (37, 150, 3)
        sizes.append(len(data))
    assert sizes == sorted(sizes)


def test_steps_round_latents_to_their_multiples(machine: tuple[TcmNetwork, bytes]) -> None:
    network, _ = machine
    # Level 3 is the release's own step, 1; two levels more halve it.
    assert [network.step(level) for level in (1, 3, 5)] == [2.0, 1.0, 0.5]


def test_two_released_networks_make_two_layers(
    folder: Path, machine: tuple[TcmNetwork, bytes]
) -> None:
    additional = load_checkpoint(folder / "tcm/ica.pth.tar", TcmAdditional)
    coder = FusionCoder(machine, additional, verify=True)
    layers = coder.compress(picture(40, 60), 3.0, 3.0)
    assert coder.decompress(**layers).shape == (40, 60, 3)
    assert coder.base.decompress(layers["base"]).shape == (40, 60, 3)


@pytest.mark.parametrize("name", ["tcm:icm", "tcm-fusion:icm+ica"])
def test_codecs_are_named_by_their_checkpoints(checkpoints: Path, name: str) -> None:
    kind = registry.load().codec(name)
    assert kind.unavailable() is None
    image = picture(20, 30)
    stream = kind().encode(image, kind.points[0])
    for output in kind.outputs:
        decoded = kind().decode(stream, output)
        assert (decoded.shape, decoded.dtype) == ((20, 30, 3), np.uint8)


def test_a_missing_checkpoint_says_where_it_belongs(checkpoints: Path) -> None:
    reason = registry.load().codec("tcm:nothing").unavailable()
    assert reason is not None
    assert "nothing.pth.tar" in reason
    with pytest.raises(PluginError, match="BASE\\+ADDITIONAL"):
        registry.load().codec("tcm-fusion:icm")


def test_a_stream_of_another_checkpoint_is_refused(machine: tuple[TcmNetwork, bytes]) -> None:
    coder = PictureCoder(*machine)
    stream = IcmStream.from_bytes(coder.compress(picture(8, 8), 3.0))
    other = IcmStream(b"\0\1", stream.level, 8, 8, stream.latents_crc, stream.payload)
    with pytest.raises(StreamError, match="same version of the weights"):
        coder.decompress(other.to_bytes())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"g_a.9.bias": None}, "lacks g_a.9.bias"),
        ({"more": torch.zeros(1)}, "has unknown more"),
        ({"g_a.9.bias": torch.full((64,), torch.nan)}, "g_a.9.bias holds NaN"),
        ({"g_a.9.bias": torch.zeros(7)}, r"g_a.9.bias is \[7\]"),
        ({"g_a.9.weight": None}, "of another architecture"),
        ({"g_a.9.weight": 3}, "no state dictionary of tensors"),
    ],
)
def test_broken_checkpoints_are_refused_by_name(
    folder: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    state = torch.load(folder / "tcm/ica.pth.tar", weights_only=True)["state_dict"]
    state = {name: value for name, value in {**state, **change}.items() if value is not None}
    torch.save({"state_dict": state}, tmp_path / "broken.pth.tar")
    with pytest.raises(WeightsError, match=message):
        load_checkpoint(tmp_path / "broken.pth.tar", TcmAdditional)


class Evil:
    def __reduce__(self):
        return print, ("this must not run",)


def test_code_inside_a_checkpoint_is_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth.tar")
    with pytest.raises(WeightsError, match="no checkpoint of tensors"):
        load_checkpoint(tmp_path / "evil.pth.tar", TcmNetwork)
    assert "must not run" not in capsys.readouterr().out
