"""Detectors: manifests, heads, the way of a picture through a network, torchvision's networks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from workbench import plain, weights
from workbench.errors import DatasetError, PluginError, WeightsError
from workbench_datasets.files import Coco
from workbench_plugins.tasks.detection import heads, manifest
from workbench_plugins.tasks.detection.base import Detector
from workbench_plugins.tasks.detection.classes import COCO
from workbench_plugins.tasks.detection.onnx import OnnxDetector, YoloxNano

pytest.importorskip("faster_coco_eval", reason="needs codec-workbench[machine]")
pytest.importorskip("cv2", reason="needs codec-workbench[machine]")

MANIFEST = """
classes = { 3 = "car", 6 = "bus" }
[input]
size = [64, 96]
order = "rgb"
mean = [0, 0, 0]
scale = [1, 1, 1]
placement = "top-left"
pad = 114
[head]
kind = "yolox"
strides = [32]
score_threshold = 0.1
nms_iou = 0.5
max_detections = 10
[weights]
name = "tiny.onnx"
url = "https://example.org/tiny.onnx"
sha256 = "0123456789abcdef"
size_mb = 1
licence = "Apache-2.0"
"""


@pytest.fixture
def described(tmp_path: Path) -> Any:
    """Write a manifest, some of its lines replaced, and read it."""

    def read(**changes: str) -> manifest.Manifest:
        lines = MANIFEST.splitlines()
        for key, value in changes.items():
            [at] = [i for i, line in enumerate(lines) if line.startswith(f"{key} =")]
            lines[at] = f"{key} = {value}" if value else ""
        file = tmp_path / "tiny.toml"
        file.write_text("\n".join(lines))
        return manifest.read(file)

    return read


# -- manifests -----------------------------------------------------------------------------------


def test_a_manifest_says_all_about_a_detector(described: Any) -> None:
    found = described()
    assert found.labels == [3, 6]
    assert found.size == (64, 96)
    assert found.weights.name == "tiny.onnx"
    assert described(classes='"coco"').classes == COCO


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": '"grb"'}, "order 'grb' is not one of rgb, bgr"),
        ({"kind": '"yolov9"'}, "kind 'yolov9' is not one of yolox, yolov5, yolov8"),
        ({"placement": '"left"'}, "placement 'left' is not one of top-left, centre, stretch"),
        ({"mean": "[0, 0]"}, r"mean \(0, 0\) must be 3 numbers"),
        ({"nms_iou": "1.5"}, r"nms_iou 1.5 is outside 0..1"),
        (
            {"strides": "[24]"},
            r"strides \[24\]: a yolox head, and no other, needs some",
        ),
        ({"kind": '"yolov8"'}, r"strides \[32\]: a yolox head, and no other"),
        ({"pad": ""}, "missing 1 required positional argument: 'pad'"),
        ({"classes": ""}, "lacks 'classes'"),
        ({"size": "64, 96"}, "is no TOML file"),
        ({"sha256": '"XYZ"'}, "8 to 64 lower-case hexadecimal digits"),
    ],
)
def test_a_faulty_manifest_is_refused_by_field(
    described: Any, change: dict[str, str], message: str
) -> None:
    with pytest.raises((PluginError, WeightsError), match=message):
        described(**change)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"none\.toml: no such detector manifest"):
        manifest.read(tmp_path / "none.toml")


# -- heads ---------------------------------------------------------------------------------------


def test_yolox_boxes_lie_on_the_grid(described: Any) -> None:
    # 64x96 at stride 32: 2 rows of 3 cells. The cell of row 1, column 2 is anchor 5.
    output = np.zeros((6, 7), np.float32)
    output[5] = [0.5, 0.25, np.log(0.5), np.log(1.5), 0.8, 0.1, 0.9]
    boxes, scores, classes = heads.decode(output, described())
    # Centre (2.5, 1.25)*32 = (80, 40), size (0.5, 1.5)*32 = (16, 48); score 0.8*0.9.
    assert boxes == pytest.approx(np.array([[72, 16, 88, 64]]))
    assert scores == pytest.approx([0.72])
    assert classes.tolist() == [1]


def test_yolov5_boxes_are_in_pixels_and_scores_products(described: Any) -> None:
    output = np.array([[40, 30, 20, 10, 0.5, 0.8, 0.1]], np.float32)
    boxes, scores, classes = heads.decode(output, described(kind='"yolov5"', strides=""))
    assert boxes == pytest.approx(np.array([[30, 25, 50, 35]]))
    assert scores == pytest.approx([0.4])
    assert classes.tolist() == [0]


def test_yolov8_has_anchors_last_and_no_objectness(described: Any) -> None:
    output = np.array([[40, 30, 20, 10, 0.3, 0.6], [80, 30, 20, 10, 0.05, 0.02]], np.float32).T
    boxes, scores, classes = heads.decode(output, described(kind='"yolov8"', strides=""))
    # The first anchor is above 0.1 in both classes, the second in none.
    assert boxes == pytest.approx(np.array([[30, 25, 50, 35]] * 2))
    assert scores == pytest.approx([0.6, 0.3])
    assert classes.tolist() == [1, 0]


def test_of_overlapping_boxes_of_a_class_the_surest_stays(described: Any) -> None:
    # Boxes of 20x10, shifted by 2: IoU 18/22 = 0.82; by 10: IoU 10/30 = 0.33.
    rows = [[40, 30, 20, 10, 1, s, 0] for s in (0.6,)] + [[42, 30, 20, 10, 1, 0.9, 0]]
    rows += [[50, 30, 20, 10, 1, 0.7, 0], [42, 30, 20, 10, 1, 0, 0.5]]
    output = np.array(rows, np.float32)
    found = described(kind='"yolov5"', strides="", max_detections="2")
    _, scores, classes = heads.decode(output, found)
    assert scores == pytest.approx([0.9, 0.7])
    _, scores, classes = heads.decode(output, dataclasses.replace(found, max_detections=10))
    assert scores == pytest.approx([0.9, 0.7, 0.5])  # another class does not count
    assert classes.tolist() == [0, 0, 1]


def test_a_picture_with_nothing_in_it_gives_no_boxes(described: Any) -> None:
    boxes, scores, classes = heads.decode(np.zeros((6, 7), np.float32), described())
    assert boxes.shape == (0, 4)
    assert len(scores) == len(classes) == 0


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (np.zeros((6, 85)), r"gave \[6, 85\] a picture; a yolox head with 2 classes has 6 anchors"),
        (np.zeros((5, 7)), "has 6 anchors of 7 values"),
        (np.full((6, 7), np.nan), "no finite numbers"),
    ],
)
def test_an_output_that_does_not_fit_the_manifest_is_an_error(
    described: Any, output: np.ndarray, message: str
) -> None:
    with pytest.raises(PluginError, match=message):
        heads.decode(output.astype(np.float32), described())


# -- from a picture to a prediction --------------------------------------------------------------


class FakeSession:
    """A network that finds one car in all of its input; it keeps what it was fed."""

    def __init__(self, batch: int | str) -> None:
        self.batch = batch
        self.fed: list[np.ndarray] = []

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="images", shape=[self.batch, 3, 64, 96])]

    def run(self, names: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        assert self.batch in ("N", len(feed["images"]))
        self.fed += list(feed["images"])
        row = [48, 32, 96, 64, 1, 0.9, 0]  # centre and size: the whole input
        return [np.tile(np.array([[row]], np.float32), (len(feed["images"]), 1, 1))]


@pytest.fixture
def tiny(described: Any) -> Any:
    """A detector over a fake network, its manifest changed as told."""

    def build(batch: int | str = "N", **changes: str) -> OnnxDetector:
        class Tiny(OnnxDetector):
            name = "tiny"
            description = described(**{"kind": '"yolov5"', "strides": ""} | changes)
            categories = description.classes

        detector = Tiny()
        detector.__dict__["_session"] = FakeSession(batch)
        return detector

    return build


@pytest.mark.parametrize(
    ("placement", "box"),
    [
        # 80x32 in 96x64: scaled by 1.2 to 96x38, 26 rows of padding.
        ("stretch", [0, 0, 80, 32]),
        ("top-left", [0, 0, 80, 32]),  # 64/1.2 = 53.3 rows, cut off at 32
        ("centre", [0, 0, 80, 32]),  # from -13/1.2 to 51/1.2, cut off at 0 and 32
    ],
)
def test_boxes_come_back_in_the_pixels_of_the_picture(
    tiny: Any, placement: str, box: list[int]
) -> None:
    detector = tiny(placement=f'"{placement}"')
    [found] = detector.predict([np.full((32, 80, 3), 200, np.uint8)])
    assert found["boxes"] == pytest.approx(np.array([box]))
    assert found["labels"].tolist() == [3]
    assert found["scores"] == pytest.approx([0.9])
    assert plain.loads(plain.dumps(found))["labels"].tolist() == [3]


def test_a_small_picture_is_enlarged_and_a_box_shrunk_with_it(tiny: Any) -> None:
    detector = tiny(placement='"top-left"')
    detector._session.run = lambda names, feed: [
        np.array([[[24, 32, 48, 64, 1, 0.9, 0]]], np.float32)
    ]
    [found] = detector.predict([np.zeros((16, 24, 3), np.uint8)])  # scaled by 4
    assert found["boxes"] == pytest.approx(np.array([[0, 0, 12, 16]]))


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (37, 53)])
def test_pictures_of_any_size_go_through(tiny: Any, size: tuple[int, int]) -> None:
    [found] = tiny().predict([np.zeros((*size, 3), np.uint8)])
    assert found["boxes"].max(initial=0) <= max(size)


def test_the_input_is_ordered_scaled_and_padded_as_described(tiny: Any) -> None:
    detector = tiny(order='"bgr"', mean="[10, 20, 30]", scale="[1, 0.5, 0.25]")
    picture = np.full((32, 96, 3), (110, 120, 130), np.uint8)
    detector.predict([picture])
    [fed] = detector._session.fed
    assert fed.shape == (3, 64, 96)
    # Blue first: (130-10)*1, (120-20)*0.5, (110-30)*0.25; below it the padding 114.
    assert fed[:, 0, 0] == pytest.approx([120, 50, 20])
    assert fed[:, 40, 0] == pytest.approx([104, 47, 21])


def test_a_fixed_batch_is_fed_one_by_one_and_a_free_one_at_once(tiny: Any) -> None:
    pictures = [np.full((64, 96, 3), v, np.uint8) for v in (10, 20, 30)]
    for batch in (1, "N"):
        detector = tiny(batch)
        assert len(detector.predict(pictures)) == 3
        assert [fed[0, 0, 0] for fed in detector._session.fed] == [10, 20, 30]


def test_a_file_that_is_no_network_is_named(
    described: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    file = tmp_path / "tiny.onnx"
    file.write_bytes(b"no network")
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(tmp_path))
    description = described()
    tiny_file = dataclasses.replace(description.weights, sha256=weights.sha256(file))

    class Tiny(OnnxDetector):
        name = "tiny"
        weights = (tiny_file,)

    Tiny.description = description
    with pytest.raises(WeightsError, match=r"tiny\.onnx: onnxruntime cannot load it"):
        Tiny().predict([np.zeros((8, 8, 3), np.uint8)])


def test_a_detector_of_ones_own_is_a_plugin_file_beside_its_manifest(tmp_path: Path) -> None:
    from workbench import registry

    (tmp_path / "mine.toml").write_text(MANIFEST)
    file = tmp_path / "mine.py"
    file.write_text(
        "import workbench\n"
        "from workbench_plugins.tasks.detection.onnx import OnnxDetector\n"
        "class Mine(OnnxDetector):\n    name = 'mine'\n    manifest = 'mine.toml'\n"
        "@workbench.hookimpl\ndef workbench_tasks():\n    return [Mine]\n"
    )
    mine = registry.load([file]).tasks["mine"]
    assert mine.categories == {3: "car", 6: "bus"}
    assert mine.metrics[0].name == "mine.box_map"
    reason = mine.unavailable()
    assert reason is not None
    assert "workbench weights pull tiny.onnx" in reason
    before = mine.fingerprint()
    (tmp_path / "mine.toml").write_text(MANIFEST.replace("pad = 114", "pad = 0"))
    assert mine.fingerprint() != before


# -- scoring -------------------------------------------------------------------------------------


class Known(Detector):
    name = "known"
    categories = {7: "car", 8: "cat"}  # noqa: RUF012


def target(name: str, label: int) -> dict[str, Any]:
    annotation = {"bbox": [0, 0, 50, 50], "category_id": label}
    return {"annotations": [annotation], "categories": [{"id": label, "name": name}]}


FOUND = {"boxes": np.array([[0, 0, 50, 50]]), "scores": np.array([0.9]), "labels": np.array([7])}


def test_labels_mean_the_category_of_the_same_name() -> None:
    scores = Known().evaluate([FOUND], [target("car", 2)])
    assert scores["known.box_map"] == pytest.approx(1)
    assert scores["known.box_f1"] == pytest.approx(1)
    assert set(scores) == {metric.name for metric in Known.metrics}


def test_a_dataset_without_a_known_category_is_an_error() -> None:
    with pytest.raises(DatasetError, match=r"knows none of the dataset's categories \(tram\)"):
        Known().evaluate([FOUND], [target("tram", 7)])


def test_sure_predictions_on_the_original_are_the_truth_where_it_has_none() -> None:
    unsure = {key: np.repeat(value, 2, 0) for key, value in FOUND.items()}
    unsure["scores"] = np.array([0.9, 0.4])
    truth = Known().as_target(unsure)
    assert [a["bbox"] for a in truth["annotations"]] == [[0, 0, 50, 50]]
    assert Known().evaluate([FOUND], [truth])["known.box_map"] == pytest.approx(1)


def test_resamples_have_every_metric() -> None:
    counts = np.array([[1, 1], [2, 0]])
    missed = {key: value[:0] for key, value in FOUND.items()}
    found = Known().resample([FOUND, missed], [target("car", 2)] * 2, counts)
    assert set(found) == {metric.name for metric in Known.metrics}
    # One of two found: recall 1/2 at precision 1 is 51 of 101 levels. Image 1 twice: all.
    assert found["known.box_map"] == pytest.approx([51 / 101, 1])


def test_masks_have_no_value_where_the_dataset_has_none() -> None:
    class Masks(Known):
        name = "masks"
        masks = True

    found = Masks().evaluate([FOUND | {"masks": ["unused"]}], [target("car", 2)])
    assert found["masks.box_map"] == pytest.approx(1)
    assert found["masks.mask_map"] is None


# -- YOLOX-Nano on photographs -------------------------------------------------------------------


@pytest.fixture
def photographs(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Coco:
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(shared / "weights"))
    folder = shared / "data/coco-mini/val"
    return Coco(f"{folder / 'images'}:{folder / 'instances.json'}")


def test_yolox_nano_reaches_its_map_on_the_original_pictures(photographs: Coco) -> None:
    items = photographs.items()
    detector = YoloxNano()
    found = [detector.predict([photographs.load(item)])[0] for item in items]
    stored = [plain.loads(plain.dumps(prediction)) for prediction in found]
    truth = [photographs.load_target(item, "boxes") for item in items]
    scores = detector.evaluate(stored, truth)
    # 0.321 was measured with this network by other code than ours.
    assert scores["yolox-nano.box_map"] == pytest.approx(0.321, abs=0.005)


# -- torchvision ---------------------------------------------------------------------------------


def sure_of_a_zebra(network: str) -> dict[str, Any]:
    """A state dictionary of made-up values, whose last layer sees COCO's category 24 everywhere.

    Each value stands in the file once, however large its tensor is.
    """
    import torch
    import torchvision

    with torch.device("meta"):  # only names and shapes are wanted
        model = torchvision.models.get_model(
            network, weights=None, weights_backbone=None, num_classes=91
        )
    state = {}
    for name, tensor in model.state_dict().items():
        if not tensor.ndim:  # a counter, which frozen normalisations lack
            continue
        one = 1.0 if name.endswith("running_var") else 0.001
        state[name] = torch.full((1,), one).expand(tensor.shape)
        last = "box_predictor.cls_score.bias", "classification_head.cls_logits.bias", ".1.bias"
        if name.endswith(last) and tensor.numel() % 91 == 0:
            state[name] = torch.full(tensor.shape, -6.0)
            state[name][24::91] = 6.0
    return state


@pytest.mark.parametrize("name", ["faster-rcnn", "mask-rcnn", "retinanet", "fcos", "ssdlite"])
def test_torchvision_detectors_run_on_the_files_they_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="needs codec-workbench[machine]")
    pytest.importorskip("torchvision", reason="needs codec-workbench[machine]")
    from workbench_plugins.tasks.detection import torchvision as networks

    [kind] = [task for task in networks.workbench_tasks() if task.name == name]
    [official] = kind.weights
    assert official.sha256 in official.name
    torch.save(sure_of_a_zebra(kind.network), tmp_path / official.name)
    own = dataclasses.replace(official, sha256=weights.sha256(tmp_path / official.name))
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(kind, "weights", (own,))
    if name != "ssdlite":  # which has a size of its own
        monkeypatch.setattr(kind, "settings", {"min_size": 48, "max_size": 64})
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    [found] = kind().predict([picture])
    assert len(found["boxes"]) == len(found["scores"]) == len(found["labels"]) > 0
    assert set(found["labels"].tolist()) == {24}
    assert (np.diff(found["scores"]) <= 0).all()
    assert (found["boxes"] >= 0).all()
    assert (found["boxes"] <= [64, 48, 64, 48]).all()
    stored = plain.loads(plain.dumps(found))
    truth = {"image": {"width": 64, "height": 48},
             "annotations": [{"bbox": [0, 0, 64, 48], "category_id": 24,
                              "segmentation": [[0, 0, 64, 0, 64, 48, 0, 48]]}],
             "categories": [{"id": 24, "name": "zebra"}]}  # fmt: skip
    scores = kind().evaluate([stored], [truth])
    assert set(scores) == {metric.name for metric in kind.metrics}
    assert all(value is None or 0 <= value <= 1 for value in scores.values())
    if kind.masks:
        assert found["masks"][0]["size"] == [48, 64]
        assert scores["mask-rcnn.mask_map"] is not None


def test_weights_of_another_network_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="needs codec-workbench[machine]")
    pytest.importorskip("torchvision", reason="needs codec-workbench[machine]")
    from workbench_plugins.tasks.detection.torchvision import SsdLite

    [official] = SsdLite.weights
    torch.save({"other.weight": torch.zeros(3)}, tmp_path / official.name)
    own = dataclasses.replace(official, sha256=weights.sha256(tmp_path / official.name))
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(SsdLite, "weights", (own,))
    with pytest.raises(WeightsError, match="is not torchvision's ssdlite320_mobilenet_v3_large"):
        SsdLite().predict([np.zeros((32, 32, 3), np.uint8)])


# -- COCO annotation files -----------------------------------------------------------------------


@pytest.fixture
def coco(photos: Path) -> Any:
    """Open an annotation file whose parts are replaced as told."""

    def build(**parts: Any) -> Coco:
        content = {
            "images": [
                {"id": 11, "file_name": "astronaut.png", "width": 128, "height": 96},
                {"id": 7, "file_name": "coffee.png", "width": 101, "height": 71},
            ],
            "annotations": [
                {"id": 1, "image_id": 7, "category_id": 90, "bbox": [90, 60, 30, 30], "iscrowd": 1}
            ],
            "categories": [{"id": 3, "name": "cup"}, {"id": 90, "name": "spoon"}],
        }
        file = photos / "instances.json"
        file.write_text(json.dumps(content | parts))
        return Coco(f"{photos}:{file}")

    return build


def annotation(**changes: Any) -> list[dict[str, Any]]:
    return [{"id": 5, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]} | changes]


def test_coco_keeps_crowds_gaps_boxes_over_the_edge_and_pictures_with_nothing(coco: Any) -> None:
    dataset = coco()
    empty, spoon = dataset.items()
    assert dataset.load_target(empty, "boxes")["annotations"] == []
    [entry] = dataset.load_target(spoon, "boxes")["annotations"]
    assert entry["iscrowd"] == 1
    assert entry["bbox"] == [90, 60, 30, 30]
    assert [c["id"] for c in dataset.load_target(spoon, "boxes")["categories"]] == [3, 90]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"annotations": annotation(image_id=8)},
            "annotation 5 names image 8, which is not",
        ),
        ({"annotations": annotation(category_id=4)}, "annotation 5 names category 4, which is not"),
        ({"annotations": annotation(bbox=[1, 2, -3, 4])}, r"has the box \[1, 2, -3, 4\]"),
        ({"annotations": annotation(bbox=[1, 2, 3])}, r"has the box \[1, 2, 3\]"),
        ({"annotations": [{"id": 5}]}, "an entry lacks 'image_id'"),
        ({"images": [{"id": 7, "file_name": "a"}] * 2}, "two images have the id 7"),
        ({"images": [{"id": i, "file_name": "a"} for i in (1, 7)]}, "a is listed twice"),
        ({"images": 3}, "not iterable or has another form"),
    ],
)
def test_a_coco_file_that_contradicts_itself_is_refused_before_the_run(
    coco: Any, parts: dict[str, Any], message: str
) -> None:
    with pytest.raises(DatasetError, match=r"instances\.json.*" + message):
        coco(**parts).items()


def test_a_file_that_is_no_coco_file_is_named(photos: Path) -> None:
    (photos / "list.json").write_text("[1, 2]")
    with pytest.raises(DatasetError, match=r"list\.json: not a COCO annotation file"):
        Coco(f"{photos}:{photos / 'list.json'}").items()
    with pytest.raises(DatasetError, match=r"none\.json: no such annotation file"):
        Coco(f"{photos}:{photos / 'none.json'}").items()


def test_missing_pictures_and_pictures_of_another_size_lose_nothing_else(coco: Any) -> None:
    images = [
        {"id": 1, "file_name": "astronaut.png", "width": 96, "height": 128},
        {"id": 2, "file_name": "gone.png", "width": 5, "height": 5},
        {"id": 7, "file_name": "coffee.png"},
    ]
    turned, whole, gone = coco(images=images).items()
    assert "is 128x96" in turned.error
    assert "has 96x128: take the picture that was annotated" in turned.error
    assert "gone.png" in gone.error
    assert whole.error == ""
