"""transformers' recognisers, offline: published code, small random networks, the real way in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench import registry
from workbench.errors import WeightsError

torch = pytest.importorskip("torch", reason="the extra transformers is not installed")
transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")

from workbench_plugins.tasks.transformers import detection, segmentation  # noqa: E402
from workbench_plugins.tasks.transformers.base import Pretrained  # noqa: E402
from workbench_plugins.tasks.transformers.snapshot import Snapshot  # noqa: E402

TASKS = [*detection.workbench_tasks(), *segmentation.workbench_tasks()]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
COCO_TABLE = {0: "N/A", 1: "person", 2: "bicycle", 3: "car"}
PANOPTIC_TABLE = {0: "person", 1: "car", 2: "sky-other-merged", 3: "wall-wood"}
SWIN = {
    "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1], "window_size": 2,
    "image_size": 32, "out_features": ["stage1", "stage2", "stage3", "stage4"],
}  # fmt: skip
# Grounding DINO's code knows these three tokens by their numbers.
WORDS = {101: "[CLS]", 102: "[SEP]", 1012: ".", 0: "[PAD]", 1: "[UNK]", 2: "person", 3: "traffic",
         4: "light", 5: "car"}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def detr() -> Any:
    config = transformers.DetrConfig(
        backbone_config={"model_type": "timm_backbone", "backbone": "resnet10t",
                         "features_only": True, "use_pretrained_backbone": False,
                         "out_indices": [1, 2, 3, 4]},
        d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=8, decoder_ffn_dim=8, num_queries=7,
        id2label=COCO_TABLE, label2id={v: k for k, v in COCO_TABLE.items()},
    )  # fmt: skip
    return transformers.DetrForObjectDetection(config)


def rt_detr() -> Any:
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = transformers.RTDetrConfig(
        backbone_config=backbone, encoder_hidden_dim=16, encoder_in_channels=[8, 8, 8],
        encoder_layers=1, encoder_ffn_dim=8, encoder_attention_heads=2, d_model=16,
        num_queries=7, decoder_in_channels=[16, 16, 16], decoder_ffn_dim=8, decoder_layers=1,
        decoder_attention_heads=2, num_denoising=0, hidden_expansion=0.5,
        id2label=dict(enumerate(["person", "bicycle", "car"])),
    )  # fmt: skip
    return transformers.RTDetrForObjectDetection(config)


def grounding_dino() -> Any:
    text = transformers.BertConfig(
        vocab_size=1013, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=8,
    )  # fmt: skip
    backbone = transformers.SwinConfig(**{**SWIN, "out_features": ["stage2", "stage3", "stage4"]})
    config = transformers.GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=32, encoder_layers=1, decoder_layers=2,
        encoder_ffn_dim=8, decoder_ffn_dim=8, encoder_attention_heads=2,
        decoder_attention_heads=2, num_queries=5, disable_custom_kernels=True,
    )  # fmt: skip
    return transformers.GroundingDinoForObjectDetection(config)


def mask2former() -> Any:
    config = transformers.Mask2FormerConfig(
        backbone_config=transformers.SwinConfig(**SWIN), feature_size=32, mask_feature_size=32,
        hidden_dim=32, encoder_feedforward_dim=8, encoder_layers=1, decoder_layers=2,
        num_attention_heads=2, dim_feedforward=8, num_queries=6, id2label=PANOPTIC_TABLE,
    )  # fmt: skip
    return transformers.Mask2FormerForUniversalSegmentation(config)


def oneformer() -> Any:
    config = transformers.OneFormerConfig(
        backbone_config=transformers.SwinConfig(**SWIN), num_queries=6, conv_dim=32, mask_dim=32,
        hidden_dim=32, encoder_feedforward_dim=8, encoder_layers=1, decoder_layers=2,
        num_attention_heads=2, dim_feedforward=8, query_dec_layers=1, text_encoder_width=32,
        text_encoder_num_layers=1, text_encoder_vocab_size=300, id2label=PANOPTIC_TABLE,
    )  # fmt: skip
    return transformers.OneFormerForUniversalSegmentation(config)


def segformer() -> Any:
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 8, 8], num_attention_heads=[1, 1, 1, 1],
        decoder_hidden_size=8, id2label=dict(enumerate(["wall", "building", "sky"])),
    )  # fmt: skip
    return transformers.SegformerForSemanticSegmentation(config)


SMALL = {"shortest_edge": 64, "longest_edge": 96}
NETWORKS: dict[str, tuple[type[Pretrained], Callable[[], Any], dict[str, Any]]] = {
    "detr": (detection.Detr, detr, {"size": SMALL}),
    "rt-detr": (detection.RtDetr, rt_detr, {"size": {"height": 64, "width": 64}}),
    "grounding-dino": (
        detection.GroundingDino, grounding_dino,
        {"size": {"shortest_edge": 128, "longest_edge": 192}},
    ),
    "mask2former": (segmentation.Mask2Former, mask2former, {"size": SMALL}),
    "oneformer": (
        segmentation.OneFormer, oneformer, {"size": SMALL, "class_info_file": "coco_panoptic.json"},
    ),
    "segformer": (segmentation.SegFormer, segformer, {"size": {"height": 64, "width": 64}}),
}  # fmt: skip


def put_snapshot(folder: Path, kind: type[Pretrained]) -> Path:
    """Write a small random network where the task's pinned snapshot is looked for."""
    _, network, preprocessing = NETWORKS[kind.name]
    torch.manual_seed(1)
    place = folder / f"{kind.snapshot.model.replace('/', '--')}@{kind.snapshot.commit(kind.name)}"
    network().save_pretrained(place)
    if kind.name == "oneformer":
        info = {key: {"name": name, "isthing": key < 2} for key, name in PANOPTIC_TABLE.items()}
        (place / "coco_panoptic.json").write_text(json.dumps(info))
        letters = "abcdefghijklmnopqrstuvwxyz"
        words = [*letters, *(letter + "</w>" for letter in letters)]
        vocabulary = [*words, "<|startoftext|>", "<|endoftext|>"]
        (place / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(vocabulary)}))
        (place / "merges.txt").write_text("#version: 0.2\n")
    processor = getattr(transformers, kind.processor)()
    if kind.name == "grounding-dino":
        vocabulary = {WORDS.get(i, f"[unused{i}]"): i for i in range(1013)}
        transformers.BertTokenizer(vocab=vocabulary).save_pretrained(place)
    processor.save_pretrained(place)
    settings = json.loads((place / "preprocessor_config.json").read_text())
    (place / "preprocessor_config.json").write_text(json.dumps({**settings, **preprocessing}))
    return place


@pytest.fixture
def weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights, and no other, with commits for what is not pinned."""
    folder = tmp_path / "weights"
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(folder))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("WORKBENCH_REVISIONS", f"mask2former={COMMIT}, oneformer={COMMIT}")
    return folder


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (37, 53, 3), np.uint8)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_loaded_from_its_snapshot_and_predicts(
    name: str, weights_folder: Path, picture: np.ndarray
) -> None:
    kind = NETWORKS[name][0]
    assert "config.json" in str(kind.unavailable()) or "hf download" in str(kind.unavailable())
    put_snapshot(weights_folder, kind)
    assert kind.unavailable() is None
    task = kind()
    predictions = task.predict([picture, picture[:, ::-1].copy()])
    assert len(predictions) == 2
    for prediction in predictions:
        if isinstance(task, detection.TransformersDetector):
            boxes, scores = prediction["boxes"], prediction["scores"]
            assert boxes.shape == (len(scores), 4)
            assert len(scores) > 2
            assert (boxes >= 0).all()
            assert (boxes <= [53, 37, 53, 37]).all()
            assert (np.diff(scores) <= 0).all()
        elif isinstance(task, segmentation.SegFormer):
            assert prediction["map"].shape == (37, 53)
            assert prediction["map"].max() < 3
        else:
            assert prediction["ids"].shape == (37, 53)
            listed = {segment["id"] for segment in prediction["segments"]}
            assert set(np.unique(prediction["ids"]).tolist()) - {0} == listed
    assert [one.keys() for one in task.predict([picture[:1, :1].copy()])]
    assert task.as_target(predictions[0])


def test_detr_agrees_with_transformers_used_by_hand(
    weights_folder: Path, picture: np.ndarray
) -> None:
    place = put_snapshot(weights_folder, detection.Detr)
    model = transformers.AutoModelForObjectDetection.from_pretrained(place).eval()
    # Published preprocessing: shorter side to 64 here, 53 * 64 / 37 = 91.7; ImageNet's moments.
    processor = transformers.AutoImageProcessor.from_pretrained(place)
    x = processor(images=picture, return_tensors="pt", input_data_format="channels_last")
    assert x["pixel_values"].shape[-2:] == (64, 91)
    with torch.inference_mode():
        output = model(**x)
    scores, labels = output.logits.softmax(-1)[0, :, :-1].max(-1)  # the last means nothing
    order = scores.argsort(descending=True)
    centre, extent = output.pred_boxes[0].split(2, dim=-1)
    corners = torch.cat([centre - extent / 2, centre + extent / 2], 1) * torch.tensor([53, 37] * 2)
    found = detection.Detr().predict([picture])[0]
    np.testing.assert_allclose(found["scores"], scores[order], rtol=1e-5)
    np.testing.assert_array_equal(found["labels"], labels[order])
    expected = corners[order].numpy().clip(0, [53, 37, 53, 37])
    np.testing.assert_allclose(found["boxes"], expected, atol=1e-3)


def test_classes_are_named_by_the_snapshot(weights_folder: Path) -> None:
    put_snapshot(weights_folder, detection.Detr)
    assert detection.Detr().categories == {1: "person", 2: "bicycle", 3: "car"}
    put_snapshot(weights_folder, segmentation.Mask2Former)
    kinds = {c["name"]: c["isthing"] for c in segmentation.Mask2Former().categories}
    assert kinds == {"person": 1, "car": 1, "sky-other-merged": 0, "wall-wood": 0}


def test_a_prompt_of_two_words_shares_its_class_among_their_tokens(weights_folder: Path) -> None:
    class Two(detection.GroundingDino):
        name = "grounding-dino"
        categories = {4: "Person", 9: "traffic light"}  # noqa: RUF012

    put_snapshot(weights_folder, Two)
    tokens, spans = Two()._prompt
    # [CLS] person . traffic light . [SEP]
    assert tokens["input_ids"].tolist() == [[101, 2, 1012, 3, 4, 1012, 102]]
    assert spans.tolist() == [[0, 1, 0, 0, 0, 0, 0], [0, 0, 0, 0.5, 0.5, 0, 0]]
    found = Two().predict([np.zeros((20, 30, 3), np.uint8)])[0]
    assert len(found["scores"]) == 10  # five queries, two classes
    assert set(found["labels"].tolist()) == {4, 9}


def test_every_prompt_asks_for_the_classes_of_its_dataset() -> None:
    asked = {kind.name: list(kind.categories.values()) for kind in TASKS if "-dino" in kind.name}
    assert asked["grounding-dino-toytown"] == ["person", "cyclist", "car", "truck", "bus", "sign"]
    assert asked["grounding-dino-cityscapes"][0] == "person"
    assert len(asked["grounding-dino-cityscapes"]) == 8
    assert asked["grounding-dino-visdrone"][0] == "pedestrian"
    assert len(asked["grounding-dino"]) == 80


def test_segments_have_pixels_and_an_entry_each() -> None:
    found = {
        "segmentation": torch.tensor([[-1, 1], [1, 3]]),
        "segments_info": [
            {"id": 1, "label_id": 5, "was_fused": False, "score": 0.9},
            {"id": 2, "label_id": 6, "was_fused": False, "score": 0.9},
            {"id": 3, "label_id": 7, "was_fused": True, "score": 0.8},
        ],
    }
    one = segmentation._segments(found)
    assert one["ids"].tolist() == [[0, 1], [1, 3]]
    assert one["segments"] == [
        {"id": 1, "category_id": 5, "score": 0.9}, {"id": 3, "category_id": 7, "score": 0.8},
    ]  # fmt: skip


def test_other_weights_make_other_keys(weights_folder: Path) -> None:
    kind = segmentation.SegFormer
    place = put_snapshot(weights_folder, kind)
    before = kind.fingerprint()
    assert set(before) == set(kind.snapshot.files)
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-3}))
    after = kind.fingerprint()
    assert [name for name in before if before[name] != after[name]] == ["config.json"]


def test_the_hub_cache_is_searched_too(weights_folder: Path, tmp_path: Path) -> None:
    kind = segmentation.SegFormer
    place = put_snapshot(weights_folder, kind)
    cache = tmp_path / "hub" / f"models--{kind.snapshot.model.replace('/', '--')}" / "snapshots"
    cache.mkdir(parents=True)
    place.rename(cache / kind.snapshot.revision)
    assert kind.unavailable() is None
    assert kind.snapshot.folder(kind.name) == cache / kind.snapshot.revision


@pytest.mark.parametrize("damage", ["cut", "lacks a tensor", "pickle"])
def test_damaged_weights_are_refused_by_name(
    damage: str, weights_folder: Path, picture: np.ndarray
) -> None:
    from safetensors.torch import load_file, save_file

    place = put_snapshot(weights_folder, segmentation.SegFormer)
    file = place / "model.safetensors"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-1000])
        message = "transformers cannot load it"
    elif damage == "lacks a tensor":
        tensors = load_file(file)
        del tensors["decode_head.classifier.bias"]
        save_file(tensors, file, metadata={"format": "pt"})
        message = "lacks decode_head.classifier.bias of a SegformerForSemanticSegmentation"
    else:
        torch.save(load_file(file), place / "pytorch_model.bin")
        file.unlink()
        message = "segformer: needs nvidia/segformer-b0-finetuned-ade-512-512 at 489d5"
    with pytest.raises(WeightsError, match=message):
        segmentation.SegFormer().predict([picture])


def test_what_is_missing_says_which_files_from_where_into_which_folder(
    weights_folder: Path,
) -> None:
    reason = str(detection.Detr.unavailable())
    commit = "1d5f47bd3bdd2c4bbfa585418ffe6da5028b4c0b"
    assert "config.json preprocessor_config.json model.safetensors from " in reason
    assert f"https://huggingface.co/facebook/detr-resnet-50/tree/{commit}" in reason
    assert f"into {weights_folder}/facebook--detr-resnet-50@{commit}" in reason
    assert f"hf download facebook/detr-resnet-50 --revision {commit}" in reason


def test_an_unpinned_commit_must_be_named(
    weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKBENCH_REVISIONS")
    reason = str(segmentation.Mask2Former.unavailable())
    assert "no commit is pinned" in reason
    assert "WORKBENCH_REVISIONS=mask2former=COMMIT" in reason
    monkeypatch.setenv("WORKBENCH_REVISIONS", "mask2former=main")
    assert "mask2former=main is no commit" in str(segmentation.Mask2Former.unavailable())


@pytest.mark.parametrize("kind", TASKS, ids=lambda kind: kind.name)
def test_commits_are_whole_or_left_to_the_user(kind: type[Pretrained]) -> None:
    snapshot: Snapshot = kind.snapshot
    assert len(snapshot.revision) in (0, 40)
    assert "model.safetensors" in snapshot.files
    assert not any(name.endswith((".bin", ".pt", ".pth")) for name in snapshot.files)


def test_tasks_without_weights_are_no_obstacle_to_all(weights_folder: Path) -> None:
    found = registry.load()
    assert {kind.name for kind in TASKS} <= set(found.tasks)
    chosen = {kind.name for kind in found.select_tasks("all")}
    assert not chosen & {kind.name for kind in TASKS}
