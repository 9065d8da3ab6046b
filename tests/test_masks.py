"""Masks: every segmenter, folders that resume, the command, training on what it wrote."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import workbench
from workbench import images, registry
from workbench.cli import app
from workbench.errors import DatasetError, WorkbenchError
from workbench.masks import MaskFolder, MaskJob, contact_sheet, make_masks, outline
from workbench.testing import picture
from workbench_plugins.masks import annotated, sam


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        images.write(folder / f"{number}.png", picture(24, 32, number))
    return folder


@pytest.fixture
def boundaries(tmp_path: Path) -> Path:
    """Of picture n, the share of annotators who saw a boundary is n tenths everywhere."""
    folder = tmp_path / "boundaries" / "train"
    folder.mkdir(parents=True)
    for number in range(3):
        Image.fromarray(np.full((24, 32), round(25.5 * number), np.uint8)).save(
            folder / f"{number}.png"
        )
    return folder.parent


def job(pictures: Path, boundaries: Path, out: Path, alpha: float | None = None) -> MaskJob:
    return MaskJob("boundaries", f"folder:{pictures}", out, alpha, str(boundaries))


def test_an_outline_marks_label_changes_to_the_right_and_below() -> None:
    labels = np.array([[1, 1, 2], [1, 1, 2], [3, 3, 3]])
    # Column 1 differs from its right neighbour in two rows; row 1 differs from row 2 everywhere.
    np.testing.assert_array_equal(outline(labels) // 255, [[0, 1, 0], [1, 1, 1], [0, 0, 0]])


def test_shares_of_annotators_from_alpha_on_are_boundaries(
    pictures: Path, boundaries: Path, tmp_path: Path
) -> None:
    assert make_masks(job(pictures, boundaries, tmp_path / "masks", alpha=0.1)) == {}
    folder = MaskFolder.open(tmp_path / "masks")
    # Shares 0, 0.1 and 0.2, the second stored as 26/255.
    assert [int(folder.read(f"{n}.png", (24, 32)).max()) for n in range(3)] == [0, 255, 255]
    make_masks(job(pictures, boundaries, tmp_path / "shares"))
    shares = MaskFolder.open(tmp_path / "shares")
    assert [int(shares.read(f"{n}.png", (24, 32)).max()) for n in range(3)] == [0, 26, 51]


def test_boundaries_of_bsds500s_own_files_are_averaged_over_the_annotators(tmp_path: Path) -> None:
    from scipy.io import savemat

    drawn = np.empty((1, 2), object)
    for annotator in range(2):
        edges = np.zeros((4, 6), np.uint8)
        edges[: annotator + 1, 2] = 1
        drawn[0, annotator] = {"Boundaries": edges}
    savemat(tmp_path / "100.mat", {"groundTruth": drawn})
    item = workbench.Item("100.jpg", width=6, height=4)
    mask = annotated.Boundaries(annotations=str(tmp_path)).mask(workbench.Dataset(), item)
    # Row 0 was drawn by both, row 1 by one of two, 127.5 rounds to even.
    assert mask[:, 2].tolist() == [255, 128, 0, 0]
    assert mask.sum() == 255 + 128


def test_a_mask_that_is_there_is_not_made_again(
    pictures: Path, boundaries: Path, tmp_path: Path
) -> None:
    out = tmp_path / "masks"
    make_masks(job(pictures, boundaries, out))
    first = (out / "1.png.png").stat().st_mtime_ns
    (out / "2.png.png").unlink()
    done: list[tuple[int, int, str]] = []
    make_masks(job(pictures, boundaries, out), progress=lambda *what: done.append(what))
    assert done == [(3, 3, "2.png")]
    assert (out / "1.png.png").stat().st_mtime_ns == first


def test_a_folder_never_mixes_masks_of_two_settings(
    pictures: Path, boundaries: Path, tmp_path: Path
) -> None:
    out = tmp_path / "masks"
    make_masks(job(pictures, boundaries, out, alpha=0.1))
    with pytest.raises(WorkbenchError, match=r"made with alpha 0.1, not 0.2: choose another"):
        make_masks(job(pictures, boundaries, out, alpha=0.2))


def test_pictures_without_a_mask_are_told_and_the_others_made(
    pictures: Path, boundaries: Path, tmp_path: Path
) -> None:
    (boundaries / "train" / "0.png").write_bytes(b"no boundaries")
    (boundaries / "train" / "1.png").unlink()
    (pictures / "broken.png").write_bytes(b"no picture")
    failed = make_masks(job(pictures, boundaries, tmp_path / "masks"))
    assert set(failed) == {"0.png", "1.png", "broken.png"}
    assert f"{boundaries / 'train' / '0.png'}: holds no boundaries" in failed["0.png"]
    assert "has no 1.png or 1.mat" in failed["1.png"]
    assert (tmp_path / "masks" / "2.png.png").exists()


def test_worker_processes_write_the_masks_of_one_process(
    pictures: Path, boundaries: Path, tmp_path: Path
) -> None:
    alone, many = tmp_path / "alone", tmp_path / "many"
    make_masks(job(pictures, boundaries, alone))
    assert make_masks(job(pictures, boundaries, many), workers=2) == {}
    for file in sorted(alone.iterdir()):
        assert (many / file.name).read_bytes() == file.read_bytes()


def test_toytowns_masks_are_the_borders_of_its_segments(tmp_path: Path) -> None:
    spec = "toytown-stream:train:0-0"
    assert make_masks(MaskJob("toytown", spec, tmp_path / "masks")) == {}
    dataset = registry.load().dataset(spec)
    [item] = dataset.items()
    ids = dataset.load_target(item, "panoptic")["ids"]
    mask = MaskFolder.open(tmp_path / "masks").read(item.name, ids.shape)
    np.testing.assert_array_equal(mask, outline(ids))
    assert 0 < (mask > 0).mean() < 0.5


def test_exact_masks_take_no_alpha(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="toytown is exact and takes no --alpha"):
        make_masks(MaskJob("toytown", "toytown", tmp_path / "masks", alpha=0.5))


class Instances(workbench.Dataset):
    """One picture with a polygon and a run-length mask."""

    name = "instances"

    def load_target(self, item: workbench.Item, kind: str) -> object:
        square = [1, 1, 4, 1, 4, 4, 1, 4]  # x from 1 to 4, y from 1 to 4: 3 x 3 pixels
        runs = {"size": [6, 8], "counts": [42, 6]}  # column by column: the last of 8 columns
        crowd = {"id": 2, "segmentation": runs, "iscrowd": 1}
        return {"annotations": [{"id": 1, "segmentation": [square]}, crowd]}


def test_coco_instances_are_united_and_their_outlines_drawn() -> None:
    pytest.importorskip("faster_coco_eval", reason="the machine extra is not installed")
    item = workbench.Item("a.png", width=8, height=6)
    union = annotated.CocoInstances().mask(Instances(), item)
    expected = np.zeros((6, 8), np.uint8)
    expected[1:4, 1:4] = 255
    expected[:, 7] = 255
    np.testing.assert_array_equal(union, expected)
    edges = annotated.CocoOutlines().mask(Instances(), item)
    # The square's inside: its middle pixel has the neighbours of its own kind.
    assert edges[2, 2] == 0
    assert edges[2, 3] == 255
    assert annotated.CocoInstances.kind == "objects"
    assert annotated.CocoOutlines.kind == "edges"


def test_an_instance_without_a_segmentation_is_told() -> None:
    pytest.importorskip("faster_coco_eval", reason="the machine extra is not installed")
    item = workbench.Item("a.png", width=8, height=6)
    boxes = SimpleNamespace(load_target=lambda *_: {"annotations": [{"id": 7}]})
    with pytest.raises(DatasetError, match="annotation 7 has no segmentation"):
        annotated.CocoInstances().mask(boxes, item)  # type: ignore[arg-type]


def test_neighbouring_colours_of_the_map_always_give_a_canny_edge() -> None:
    pytest.importorskip("cv2", reason="the sam extra is not installed")
    colours = {sam.palette(n) for n in range(215)}
    assert len(colours) == 215
    assert (0, 0, 0) not in colours
    # The smallest step of the cube, 51, is the hardest: 4 * 51 = 204 > 200.
    painted = np.zeros((16, 16, 3), np.uint8)
    painted[:, 8:, 1] = 51
    edges = sam.canny(painted)
    assert (edges[2:-2].max(1) == 255).all()
    assert edges[:, :6].max() == 0
    assert edges[:, 10:].max() == 0


@pytest.fixture
def tiny_sam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[sam.SegmentAnything]:
    """Segment Anything with a small encoder and random weights in a verified file."""
    torch = pytest.importorskip("torch", reason="the sam extra is not installed")
    package = pytest.importorskip("segment_anything", reason="the sam extra is not installed")
    build_sam = pytest.importorskip("segment_anything.build_sam")
    from workbench import weights

    def build(checkpoint: None = None) -> object:
        return build_sam._build_sam(32, 1, 2, [], checkpoint)

    monkeypatch.setitem(package.sam_model_registry, "tiny", build)
    monkeypatch.setenv(weights.SETTING, str(tmp_path))
    monkeypatch.setattr(sam, "POINTS_PER_SIDE", 2)
    torch.manual_seed(0)
    torch.save(build().state_dict(), tmp_path / "tiny.pth")  # type: ignore[attr-defined]
    digest = weights.sha256(tmp_path / "tiny.pth")
    file = weights.WeightFile("tiny.pth", "https://example.org/tiny.pth", digest, 1.0, "none")
    return type("Tiny", (sam.SegmentAnything,), {"architecture": "tiny", "weights": (file,)})


def test_segment_anything_runs_through_its_own_mask_generator(
    tiny_sam: type[sam.SegmentAnything], pictures: Path
) -> None:
    dataset = registry.load().dataset(f"folder:{pictures}")
    [item, *_] = dataset.items()
    # Random weights predict an IoU of about 0: all masks are above -10, none above 0.99.
    keen, strict = tiny_sam(alpha=-10.0), tiny_sam(alpha=0.99)
    keen._generator.stability_score_thresh = 0.0
    mask = keen.mask(dataset, item)
    assert mask.shape == (24, 32)
    assert set(np.unique(mask)) <= {0, 255}
    assert keen._generator.generate(dataset.load(item))
    assert strict.mask(dataset, item).max() == 0


def test_the_record_of_sam_masks_holds_the_thresholds_and_the_hash_of_its_weights() -> None:
    settings = sam.SegmentAnythingB(alpha=0.48).settings()
    assert settings["alpha"] == 0.48
    assert settings["canny"] == [100, 200]
    assert settings["sam_vit_b_01ec64.pth"].startswith("ec2df627")


def test_sam_without_weights_names_the_command_that_fetches_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("segment_anything", reason="the sam extra is not installed")
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(WorkbenchError, match=r"workbench weights pull sam_vit_h_4b8939.pth"):
        make_masks(MaskJob("sam", "demo", tmp_path / "masks"))


def test_the_contact_sheet_shows_picture_overlay_and_mask(
    pictures: Path, boundaries: Path, tmp_path: Path
) -> None:
    made = job(pictures, boundaries, tmp_path / "masks", alpha=0.1)
    make_masks(made)
    assert contact_sheet(made, tmp_path / "sheet.png", height=24) == 3
    sheet = images.read(tmp_path / "sheet.png")
    assert sheet.shape == (3 * (24 + 4), 3 * 32, 3)
    np.testing.assert_array_equal(sheet[:24, :32], images.read(pictures / "0.png"))
    assert sheet[28 : 28 + 24, 64:].min() == 255  # picture 1 is all boundary


def test_the_command_lists_makes_and_previews(
    pictures: Path, boundaries: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app(["masks", "--list"], standalone_mode=False)
    assert "boundaries      edges: Boundaries drawn by people" in capsys.readouterr().out
    arguments = ["masks", "--segmenter", "boundaries", "--annotations", str(boundaries)]
    arguments += ["--dataset", f"folder:{pictures}", "--out", str(tmp_path / "masks")]
    app([*arguments, "--preview", str(tmp_path / "sheet.png"), "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["failed"] == {}
    assert (tmp_path / "sheet.png").exists()
    with pytest.raises(WorkbenchError, match=r"alpha 2 is outside 0..1"):
        app([*arguments, "--alpha", "2"], standalone_mode=False)


def test_a_mask_of_another_size_than_its_picture_is_refused(tmp_path: Path) -> None:
    folder = MaskFolder.create(tmp_path, {"kind": "edges"})
    folder.write("a", np.zeros((4, 6), np.uint8))
    with pytest.raises(WorkbenchError, match=r"is 6x4, the picture 8x4"):
        folder.read("a", (4, 8))
    with pytest.raises(WorkbenchError, match=r"b.png: No such file.*workbench masks makes it"):
        folder.read("b", (4, 8))
