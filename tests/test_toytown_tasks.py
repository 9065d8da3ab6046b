"""The toytown networks: what they learn, how it is read back, and what the shipped ones reach."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the toytown networks need torch")

from workbench.errors import WeightsError  # noqa: E402
from workbench_datasets.toytown.dataset import Toytown  # noqa: E402
from workbench_plugins.tasks.toytown import decode, model  # noqa: E402
from workbench_plugins.tasks.toytown.buffer import Sample, make_sample  # noqa: E402
from workbench_plugins.tasks.toytown.export import hours  # noqa: E402
from workbench_plugins.tasks.toytown.losses import focal, losses, overlap  # noqa: E402
from workbench_plugins.tasks.toytown.network import (  # noqa: E402
    DETECTOR_HEADS,
    HEADS,
    PANOPTIC_HEADS,
    SIDE_BINS,
    ToytownNet,
)
from workbench_plugins.tasks.toytown.plugin import (  # noqa: E402
    ToytownDetector,
    ToytownPanoptic,
    class_map,
)
from workbench_plugins.tasks.toytown.targets import targets  # noqa: E402
from workbench_plugins.tasks.toytown.train import Trainer, prepare  # noqa: E402


@pytest.fixture(scope="module")
def samples() -> Sequence[Sample]:
    return [make_sample("val", index) for index in range(4)]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_targets_of_one_box_are_where_it_is() -> None:
    instances = np.zeros((32, 32), np.uint8)
    instances[8:16, 4:20] = 1  # 16 wide, 8 high; its middle is (12, 12), cell (3, 3)
    maps = targets(instances, np.array([[4, 8, 16, 8]], np.float32), np.array([2]), 6)
    assert maps["heat"][2].argmax() == 3 * 8 + 3
    assert maps["heat"].max() == 1.0
    # Cell (3, 3) has its middle at (14, 14): 10 to the left side, 6 up, 6 right, 2 down.
    assert maps["sides"][:, 3, 3].tolist() == [10, 6, 6, 2]
    # Its cells share a weight of 1, the middle one most of it.
    assert maps["sides_mask"].sum() == pytest.approx(1.0)
    assert maps["sides_mask"].argmax() == 3 * 8 + 3
    # The mass centre is (12, 12) / 4 = (3, 3); the middle of cell (3, 3) is (3.5, 3.5).
    assert maps["offset"][:, 3, 3].tolist() == [-0.5, -0.5]
    assert maps["offset_mask"].sum() == 8  # 16 x 8 pixels are 4 x 2 cells


def test_giou_of_equal_boxes_is_one_and_of_a_quarter_a_quarter() -> None:
    whole = torch.tensor([[2.0, 2.0, 2.0, 2.0]])
    half = torch.tensor([[1.0, 1.0, 1.0, 1.0]])
    assert [float(value) for value in overlap(whole, whole)] == [1.0, 1.0]
    # The 2x2 box lies in the 4x4 box: IoU = 4 / 16, and the hull is the larger box.
    assert [float(value) for value in overlap(whole, half)] == [0.25, 0.25]
    # 2x2 boxes side by side, seen from the edge they share: nothing in common, no gap either.
    left, right = torch.tensor([[2.0, 1, 0, 1]]), torch.tensor([[0.0, 1, 2, 1]])
    assert [float(value) for value in overlap(left, right)] == [0.0, 0.0]


def test_distances_come_back_from_their_bins() -> None:
    distances = torch.tensor([0.0, 1.5, 10.0, 47.0, 399.0])
    place = decode.side_bins(distances)
    assert (place[0], place[-1] > SIDE_BINS - 1.1) == (0, True)
    # All weight on the two neighbours, shared as the place between them says.
    low = place.floor().long().clamp(max=SIDE_BINS - 2)
    share = torch.full((5, SIDE_BINS), 1e-12)
    share.scatter_(1, low[:, None], (low + 1 - place)[:, None].clamp(min=1e-12))
    share.scatter_(1, low[:, None] + 1, (place - low)[:, None].clamp(min=1e-12))
    assert torch.allclose(decode.side_distances(share.log()), distances, atol=1e-2)


def test_focal_loss_of_a_single_undecided_peak_is_what_the_paper_gives() -> None:
    # One peak at probability 1/2: -(1 - 1/2)^2 ln(1/2) = 0.25 * 0.693147.
    assert float(focal(torch.zeros(1), torch.ones(1))) == pytest.approx(0.25 * 0.693147, rel=1e-5)


def _perfect(sample: Sample) -> dict[str, torch.Tensor]:
    """Head outputs of a network that makes no mistake."""
    maps = targets(sample.instances, sample.boxes, sample.classes, 6)
    semantic = torch.from_numpy(sample.semantic[2::4, 2::4].astype(np.int64))
    semantic = torch.where(semantic == 255, 6, semantic)
    place = decode.side_bins(torch.from_numpy(maps["sides"]))[:, None]  # [4, 1, h, w]
    bins = torch.arange(SIDE_BINS)[None, :, None, None]
    share = (1 - (place - bins).abs()).clamp(min=1e-9)
    sure = torch.full((1, *maps["heat"].shape[1:]), 20.0)
    return {
        "heat": torch.logit(torch.from_numpy(maps["heat"]), eps=1e-6),
        "box": torch.cat([share.log().flatten(0, 1), sure]),
        "centre": torch.logit(torch.from_numpy(maps["centre"]), eps=1e-6),
        "offset": torch.from_numpy(maps["offset"]),
        "semantic": torch.nn.functional.one_hot(semantic, 11).permute(2, 0, 1) * 20.0,
    }


def test_boxes_of_perfect_maps_are_the_true_boxes(samples: Sequence[Sample]) -> None:
    for sample in samples:
        out = _perfect(sample)
        found = decode.boxes(out["heat"], out["box"], 512, 320)
        sure = found["boxes"][found["scores"] > 0.99]
        true = sample.boxes.copy()
        true[:, 2:] += true[:, :2]
        distances = np.abs(true[:, None] - sure[None]).max(axis=2).min(axis=1)
        # Two things whose middles share a cell cannot both keep it.
        assert (distances < 0.1).mean() >= 0.8


def test_segments_of_perfect_maps_are_nearly_the_true_segments(samples: Sequence[Sample]) -> None:
    task, data = ToytownPanoptic(), Toytown()
    predictions, truth = [], []
    for sample, item in zip(samples, data.items(), strict=False):
        out = _perfect(sample)
        one = decode.panoptic(out["semantic"], out["centre"], out["offset"], 512, 320)
        segments = [{"id": s["id"], "category_id": s["label"] + 1} for s in one["segments"]]
        predictions.append({"map": one["semantic"], "ids": one["ids"], "segments": segments})
        truth.append(data.load_target(item, "panoptic"))
    scores = task.evaluate(predictions, truth)
    # Maps of a quarter of the size blur outlines, which costs small things most.
    assert scores["toytown-panoptic.pq"] > 0.75
    assert scores["toytown-panoptic.rq"] > 0.9
    assert scores["toytown-panoptic.miou"] > 0.75


def test_the_class_map_of_panoptic_truth_is_the_semantic_truth() -> None:
    data = Toytown()
    item = data.items()[7]
    semantic = data.load_target(item, "semantic")
    found = class_map(data.load_target(item, "panoptic"))
    assert found["classes"] == semantic["classes"]
    judged = semantic["map"] != semantic["void"]
    assert np.array_equal(found["map"][judged], semantic["map"][judged])
    assert (found["map"][~judged] == found["void"]).all()


def test_a_few_steps_of_training_lower_the_loss(samples: Sequence[Sample]) -> None:
    torch.manual_seed(0)
    trainer = Trainer(lr=2e-3)
    ready = [prepare(sample, False, 1.0) for sample in samples[:2]]
    batch = {name: torch.from_numpy(np.stack([r[name] for r in ready])) for name in ready[0]}
    values = [trainer.update(batch, share=0.1)["loss"] for _ in range(12)]
    assert values[-1] < 0.7 * values[0]


def test_training_goes_on_from_a_checkpoint(tmp_path: Path, samples: Sequence[Sample]) -> None:
    torch.manual_seed(0)
    ready = prepare(samples[0], True, 1.1)
    batch = {name: torch.from_numpy(value[None]) for name, value in ready.items()}
    trainer = Trainer(lr=2e-3)
    trainer.update(batch, share=0.1)
    trainer.save(tmp_path / "checkpoint.pt")
    other = Trainer(lr=2e-3)
    other.load(tmp_path / "checkpoint.pt")
    assert other.step == 1
    torch.manual_seed(1)
    first = trainer.update(batch, share=0.1)["loss"]
    torch.manual_seed(1)
    assert other.update(batch, share=0.1)["loss"] == pytest.approx(first, rel=1e-3)


def test_a_detector_starts_from_what_both_networks_share(tmp_path: Path) -> None:
    torch.manual_seed(0)
    both = Trainer(lr=2e-3)
    both.rendered = 77
    both.save(tmp_path / "both.pt")
    torch.manual_seed(1)
    detector = Trainer(lr=2e-3, heads=DETECTOR_HEADS)
    detector.start_from(tmp_path / "both.pt")
    assert (detector.step, detector.rendered) == (0, 77)
    old = both.average.state_dict()
    assert set(detector.net.state_dict()) < set(old)
    assert all(torch.equal(value, old[name]) for name, value in detector.net.state_dict().items())


def test_training_time_is_the_sum_of_the_log(tmp_path: Path) -> None:
    rows = [{"step": 100, "step_s": 18.0}, {"step": 150, "step_s": 36.0}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    # 100 steps of 18 s and 50 of 36 s are 3600 s.
    assert hours(tmp_path / "log.jsonl") == pytest.approx(1.0)


def test_losses_of_a_picture_without_things_are_finite() -> None:
    sample = Sample(
        0,
        np.zeros((64, 64, 3), np.uint8),
        np.full((64, 64), 6, np.uint8),
        np.zeros((64, 64), np.uint8),
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.int64),
    )
    ready = prepare(sample, False, 1.0)
    batch = {name: torch.from_numpy(value[None]) for name, value in ready.items()}
    parts = losses(ToytownNet()(batch["image"]), batch)
    assert set(parts) == {*HEADS, "sides", "quality"}
    assert all(torch.isfinite(part) for part in parts.values())


@pytest.mark.parametrize("heads", [DETECTOR_HEADS, PANOPTIC_HEADS])
def test_a_saved_network_predicts_as_before(tmp_path: Path, heads: tuple[str, ...]) -> None:
    torch.manual_seed(3)
    net = ToytownNet().eval()
    path = tmp_path / "net.safetensors"
    model.save(path, net.state_dict(), heads)
    assert path.stat().st_size <= 4_000_000
    image = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        expected, found = net(image), model.load(path)(image)
    assert set(found) == set(heads)
    for name in heads:
        # Kernels are stored with 11 significant bits.
        assert torch.allclose(found[name], expected[name], atol=0.05)


def test_a_damaged_file_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"not weights")
    with pytest.raises(WeightsError, match=r"net\.safetensors: cannot be read"):
        model.load(path)


@pytest.mark.parametrize("size", [(37, 53), (1, 1), (320, 512)])
def test_pictures_of_any_size_get_predictions_of_their_size(size: tuple[int, int]) -> None:
    torch.manual_seed(3)
    predictor = model.Predictor(ToytownNet().eval())
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    [found] = predictor.panoptic([image])
    assert found["ids"].shape == found["map"].shape == size
    [boxes] = predictor.boxes([image])
    assert (boxes["boxes"][:, 2] <= size[1]).all()
    assert (boxes["boxes"][:, 3] <= size[0]).all()


def test_the_shipped_networks_reach_what_their_cards_say() -> None:
    # On the first 16 of the 64 scenes that the cards are about (there PQ 0.65, mIoU 0.77,
    # mAP 0.62), so with some slack.
    data = Toytown()
    items = data.items()[:16]
    images = [data.load(item) for item in items]
    values: dict[str, float | None] = {}
    for task in (ToytownDetector(), ToytownPanoptic()):
        assert task.weights_path().stat().st_size <= 4_000_000
        found = [prediction for image in images for prediction in task.predict([image])]
        values |= task.evaluate(found, [data.load_target(item, task.target) for item in items])
    assert (values["toytown-panoptic.pq"] or 0) > 0.58
    assert (values["toytown-panoptic.miou"] or 0) > 0.7
    assert (values["toytown-detector.box_map"] or 0) > 0.55


def test_a_coarsely_quantised_picture_costs_small_things_first() -> None:
    data, task = Toytown(), ToytownPanoptic()
    items = data.items()[:8]
    targets_ = [data.load_target(item, "panoptic") for item in items]
    images = [data.load(item) for item in items]
    # Means of 8x8 blocks keep streets and houses, and lose people and signs.
    coarse = [
        np.repeat(
            np.repeat(image.reshape(40, 8, 64, 8, 3).mean(axis=(1, 3)), 8, axis=0), 8, axis=1
        ).astype(np.uint8)
        for image in images
    ]
    clean, spoilt = (
        task.evaluate([p for image in batch for p in task.predict([image])], targets_)
        for batch in (images, coarse)
    )
    lost = {
        kind: 1
        - (spoilt[f"toytown-panoptic.pq_{kind}"] or 0) / (clean[f"toytown-panoptic.pq_{kind}"] or 1)
        for kind in ("things", "stuff")
    }
    assert lost["things"] > 1.5 * lost["stuff"] > 0
