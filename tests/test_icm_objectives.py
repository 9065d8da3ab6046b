"""Training objectives by hand arithmetic, and the features of tasks that they draw on."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the learned codecs' libraries are not installed")
pytest.importorskip("compressai", reason="the learned codecs' libraries are not installed")

from workbench import registry  # noqa: E402
from workbench.errors import PluginError, WorkbenchError  # noqa: E402
from workbench_plugins.codecs.icm.objectives import (  # noqa: E402
    MS_SSIM_WEIGHT,
    Objective,
    feature_distance,
)

ZEROS = torch.zeros(1, 1, 8, 8)


def test_roi_counts_errors_on_objects_as_often_as_told() -> None:
    x, objects = torch.zeros(1, 3, 8, 8), ZEROS.clone()
    objects[..., :4, :] = 1
    x_hat = x + 0.1
    # Half of the picture has weight 5, half 1: mean weight 3, times 0.1² = 0.01.
    distortion = Objective("roi", inside=5).distortion()(x, x_hat, ZEROS, objects)
    assert float(distortion) == pytest.approx(0.03)


def test_object_masks_leave_the_floor_outside() -> None:
    x, objects = torch.zeros(1, 3, 8, 8), ZEROS.clone()
    objects[..., :2, :] = 1
    distortion = Objective("objects", floor=0.02).distortion()(x, x + 0.1, ZEROS, objects)
    # A quarter has weight 1, the rest 0.02: (0.25 + 0.75 · 0.02) · 0.01.
    assert float(distortion) == pytest.approx(0.00265)


def test_ms_ssim_is_nothing_for_equal_pictures_and_grows_with_noise() -> None:
    pytest.importorskip("pytorch_msssim", reason="the perceptual extra is not installed")
    torch.manual_seed(0)
    x = torch.nn.functional.interpolate(torch.rand(1, 3, 24, 24), (192, 192), mode="bilinear")
    distortion = Objective("ms-ssim").distortion()
    values = [
        float(distortion(x, x + s * torch.randn_like(x), ZEROS, ZEROS)) for s in (0, 0.02, 0.1)
    ]
    assert values[0] == pytest.approx(0, abs=1e-6)
    assert values[0] < values[1] < values[2] < MS_SSIM_WEIGHT


def test_ms_ssim_weights_put_compressais_pairs_of_lambda_on_one_axis() -> None:
    # Its first models: λ = 0.0018 for 255² · mse and 2.4 for 1 - MS-SSIM.
    assert pytest.approx(2.4) == 0.0018 * 255**2 * MS_SSIM_WEIGHT


def test_ms_ssim_of_small_crops_names_the_crop_that_works() -> None:
    pytest.importorskip("pytorch_msssim", reason="the perceptual extra is not installed")
    x = torch.zeros(1, 3, 128, 128)
    with pytest.raises(WorkbenchError, match=r"crops of 128x128 .* set crop to 192"):
        Objective("ms-ssim").distortion()(x, x, ZEROS, ZEROS)


def test_the_distance_of_features_is_their_relative_squared_difference() -> None:
    ours = [torch.tensor([[3.0, 4.0]]), torch.tensor([[2.0, 0.0]])]
    theirs = [torch.tensor([[3.0, 9.0]]), torch.tensor([[2.0, 0.0]])]
    # |(0, 5)|² / |(3, 4)|² = 25 / 25 = 1 in one map, 0 in the other.
    assert float(feature_distance(ours, theirs)) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["camvid-segmenter", "toytown-detector", "toytown-panoptic"])
def test_task_losses_reach_the_picture_and_leave_the_task_alone(name: str) -> None:
    if reason := registry.load().task(name).unavailable():
        pytest.skip(reason)
    torch.manual_seed(0)
    x = torch.rand(2, 3, 64, 64)
    x_hat = (x + 0.05 * torch.randn_like(x)).requires_grad_()
    objective = Objective("task", tasks=(name,), pixel=0.0, weight=1.0)
    distortion = objective.distortion()(x, x_hat, ZEROS, ZEROS)
    assert distortion.shape == (2,)
    assert (distortion > 0).all()
    distortion.sum().backward()
    assert x_hat.grad is not None
    assert float(x_hat.grad.abs().sum()) > 0
    same = objective.distortion()(x, x, ZEROS, ZEROS)
    assert same.tolist() == pytest.approx([0, 0])


def test_a_resnets_and_a_detectors_features_come_at_four_scales(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = pytest.importorskip("torchvision").models
    from workbench_plugins.tasks.classification import ResNet50
    from workbench_plugins.tasks.detection.torchvision import RetinaNet

    torch.manual_seed(0)
    x = torch.rand(1, 3, 64, 64, requires_grad=True)
    monkeypatch.setattr(ResNet50, "_network", models.resnet50().eval())
    maps = ResNet50().features(x)
    assert [m.shape[1:] for m in maps] == [
        (256, 16, 16), (512, 8, 8), (1024, 4, 4), (2048, 2, 2)
    ]  # fmt: skip
    network = models.detection.retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None)
    monkeypatch.setattr(RetinaNet, "_model", network.eval())
    pyramid = RetinaNet().features(x)
    assert [m.shape[1] for m in pyramid] == [256] * 5
    sum(m.square().mean() for m in [*maps, *pyramid]).backward()
    assert x.grad is not None


def test_a_task_without_features_and_an_unknown_objective_are_told() -> None:
    objective = Objective("task", tasks=("psnr",))
    with pytest.raises(PluginError, match="psnr: is not differentiable"):
        objective.distortion()(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), ZEROS, ZEROS)
    with pytest.raises(WorkbenchError, match=r"objective 'edge' is unknown. Did you mean 'edges'"):
        Objective("edge")
    with pytest.raises(WorkbenchError, match="name differentiable tasks"):
        Objective("task")


def test_cards_describe_every_objective() -> None:
    assert Objective("roi", inside=8).describe().endswith("w = 8 on objects, 1 elsewhere")
    assert "features f of a, b" in Objective("task", tasks=("a", "b")).describe()
    assert "share ≥ 0.3" in Objective("edges", alpha=0.3).describe()
