"""Loaders of ground truth, each on a tiny set in the dataset's own layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from workbench.errors import DatasetError, PluginError
from workbench_datasets.camvid import CamVid
from workbench_datasets.cityscapes import Cityscapes
from workbench_datasets.class_folders import ClassFolders
from workbench_datasets.coco_panoptic import CocoPanoptic
from workbench_datasets.labels import run_lengths
from workbench_datasets.openimages import OpenImages
from workbench_datasets.visdrone import VisDrone

WIDTH, HEIGHT = 8, 6


def save(path: Path, values: np.ndarray) -> None:
    """Write a picture or a label map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def picture(path: Path) -> None:
    """Write a grey picture of 8x6."""
    save(path, np.full((HEIGHT, WIDTH, 3), 128, np.uint8))


# -- CamVid -------------------------------------------------------------------------------------


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    picture(tmp_path / "images" / "one.png")
    labels = np.full((HEIGHT, WIDTH), 3, np.uint8)
    labels[0], labels[1] = 0, 11
    save(tmp_path / "labels" / "one.png", labels)
    return tmp_path


def test_camvid_gives_a_class_map_with_its_void_id(camvid: Path) -> None:
    dataset = CamVid(str(camvid))
    [item] = dataset.items()
    target = dataset.load_target(item, "semantic")
    assert target["map"].dtype == np.uint8
    # One row of sky, one unlabelled, four of road.
    assert np.bincount(target["map"].ravel()).tolist() == [8, 0, 0, 32] + [0] * 7 + [8]
    assert (target["classes"][3], len(target["classes"]), target["void"]) == ("road", 11, 11)


def test_camvid_label_map_of_another_size_names_file_and_cure(camvid: Path) -> None:
    save(camvid / "labels" / "one.png", np.zeros((3, 4), np.uint8))
    dataset = CamVid(str(camvid))
    with pytest.raises(DatasetError, match=r"one.png: 4x3, its picture is 8x6: a label map must"):
        dataset.load_target(dataset.items()[0], "semantic")


def test_camvid_refuses_unknown_ids_missing_maps_and_colour_maps(camvid: Path) -> None:
    dataset = CamVid(str(camvid))
    [item] = dataset.items()
    file = camvid / "labels" / "one.png"
    save(file, np.full((HEIGHT, WIDTH), 30, np.uint8))
    with pytest.raises(DatasetError, match="has the id 30, CamVid's are 0 to 11"):
        dataset.load_target(item, "semantic")
    picture(file)
    with pytest.raises(DatasetError, match="one id a pixel: convert it"):
        dataset.load_target(item, "semantic")
    file.unlink()
    with pytest.raises(DatasetError, match=r"one.png: no such label map: complete the dataset"):
        dataset.load_target(item, "semantic")


def test_camvid_without_its_folders_or_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="needs the folders images and labels"):
        CamVid(str(tmp_path)).items()
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    with pytest.raises(DatasetError, match="no pictures"):
        CamVid(str(tmp_path)).items()


def test_a_kind_of_ground_truth_that_a_dataset_lacks_is_refused(camvid: Path) -> None:
    dataset = CamVid(str(camvid))
    with pytest.raises(PluginError, match="no ground truth of kind 'boxes'"):
        dataset.load_target(dataset.items()[0], "boxes")


def test_shared_camvid_has_a_map_for_every_picture(shared: Path) -> None:
    dataset = CamVid(str(shared / "data" / "camvid" / "val"))
    items = dataset.items()
    assert [(item.width, item.height, item.error) for item in items] == [(480, 360, "")] * 26
    maps = [dataset.load_target(item, "semantic")["map"] for item in items]
    assert {m.shape for m in maps} == {(360, 480)}
    assert set(np.unique(maps).tolist()) == set(range(12))


# -- Cityscapes ---------------------------------------------------------------------------------


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    stem = "bonn_000001_000019"
    picture(tmp_path / "leftImg8bit" / "val" / "bonn" / f"{stem}_leftImg8bit.png")
    labels = np.full((HEIGHT, WIDTH), 7, np.uint8)  # road
    labels[0] = 3  # out of roi
    labels[2:4, 1:4] = 26  # two cars side by side
    labels[5, 5:] = 24  # a group of persons
    ids = labels.astype(np.uint16)
    ids[2:4, 1:3], ids[2:4, 3] = 26000, 26001
    folder = tmp_path / "gtFine" / "val" / "bonn"
    save(folder / f"{stem}_gtFine_labelIds.png", labels)
    save(folder / f"{stem}_gtFine_instanceIds.png", ids)
    return tmp_path


def test_cityscapes_maps_label_ids_to_its_19_classes(cityscapes: Path) -> None:
    dataset = Cityscapes(str(cityscapes))
    [item] = dataset.items()
    assert item.name == "bonn/bonn_000001_000019_leftImg8bit.png"
    target = dataset.load_target(item, "semantic")
    assert len(target["classes"]) == 19
    # trainIds of cityscapesScripts: road 0, person 11, car 13; out of roi is void.
    assert [target["map"][y, x] for y, x in ((1, 0), (5, 7), (2, 1), (0, 0))] == [0, 11, 13, 255]
    assert [target["classes"][n] for n in (0, 11, 13)] == ["road", "person", "car"]


def test_cityscapes_boxes_are_instances_and_groups_are_crowds(cityscapes: Path) -> None:
    dataset = Cityscapes(f"{cityscapes}:val")
    target = dataset.load_target(dataset.items()[0], "boxes")
    found = [(a["category_id"], a["bbox"], a["area"], a["iscrowd"]) for a in target["annotations"]]
    assert found == [
        (24, [5.0, 5.0, 3.0, 1.0], 3, 1),
        (26, [1.0, 2.0, 2.0, 2.0], 4, 0),
        (26, [3.0, 2.0, 1.0, 2.0], 2, 0),
    ]
    assert [c["name"] for c in target["categories"]] == [
        "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
    ]  # fmt: skip
    assert target["image"] == {
        "id": 1, "file_name": "bonn/bonn_000001_000019_leftImg8bit.png", "width": 8, "height": 6,
    }  # fmt: skip


def test_cityscapes_panoptic_keeps_judged_segments_only(cityscapes: Path) -> None:
    dataset = Cityscapes(str(cityscapes))
    target = dataset.load_target(dataset.items()[0], "panoptic")
    segments = {s["id"]: (s["category_id"], s["iscrowd"], s["area"]) for s in target["segments"]}
    # 48 pixels: 8 out of roi, 6 of cars, 3 of persons, 31 of road.
    assert segments == {7: (7, 0, 31), 24: (24, 1, 3), 26000: (26, 0, 4), 26001: (26, 0, 2)}
    assert np.unique(target["ids"]).tolist() == [0, 7, 24, 26000, 26001]


def test_cityscapes_that_is_not_here_says_how_to_register(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"Register at https://www.cityscapes-dataset.com"):
        Cityscapes(str(tmp_path)).items()


# -- VisDrone -----------------------------------------------------------------------------------


@pytest.fixture
def visdrone(tmp_path: Path) -> Path:
    picture(tmp_path / "images" / "0001.jpg")
    (tmp_path / "annotations").mkdir()
    lines = [
        "0,0,2,3,1,4,0,0",  # a car
        "3,0,2,2,0,1,0,2",  # a pedestrian that is not to be counted
        "4,3,4,3,0,0,0,0",  # an ignored region
        "4,4,2,2,1,4,0,0",  # a car inside it
        "3,2,2,2,1,5,1,0,",  # a van, a quarter inside it; the line ends with a comma
        "1,1,0,2,1,4,0,0",  # without area
    ]
    (tmp_path / "annotations" / "0001.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_visdrone_treats_ignored_objects_as_its_evaluator_does(visdrone: Path) -> None:
    dataset = VisDrone(str(visdrone))
    target = dataset.load_target(dataset.items()[0], "boxes")
    found = [(a["category_id"], a["bbox"], a["iscrowd"]) for a in target["annotations"]]
    region = [4.0, 3.0, 4.0, 3.0]
    assert found == [
        (4, [0.0, 0.0, 2.0, 3.0], 0),
        (1, [3.0, 0.0, 2.0, 2.0], 1),
        *[(label, region, 1) for label in range(1, 11)],
        (5, [3.0, 2.0, 2.0, 2.0], 0),
    ]
    assert [a["id"] for a in target["annotations"]] == list(range(1, 14))
    assert target["annotations"][0]["area"] == 6
    assert target["categories"][3] == {"id": 4, "name": "car"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("20,0,2,2,1,4,0,0", r"0001.txt, line 1: box x 20, .* outside its 8x6 picture"),
        ("0,0,2,2,1,12,0,0", r"0001.txt, line 1: category 12"),
        ("0,0,2,2", r"0001.txt, line 1: '0,0,2,2' is not bbox_left,bbox_top"),
    ],
)
def test_a_faulty_line_of_visdrone_is_named(visdrone: Path, line: str, message: str) -> None:
    (visdrone / "annotations" / "0001.txt").write_text(line)
    dataset = VisDrone(str(visdrone))
    with pytest.raises(DatasetError, match=message):
        dataset.load_target(dataset.items()[0], "boxes")


def test_a_visdrone_picture_without_objects_has_no_annotations(visdrone: Path) -> None:
    (visdrone / "annotations" / "0001.txt").write_text("")
    dataset = VisDrone(str(visdrone))
    assert dataset.load_target(dataset.items()[0], "boxes")["annotations"] == []
    (visdrone / "annotations" / "0001.txt").unlink()
    with pytest.raises(DatasetError, match="0001.txt: no such annotation file"):
        dataset.load_target(dataset.items()[0], "boxes")


# -- Open Images --------------------------------------------------------------------------------

HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
)


@pytest.fixture
def openimages(tmp_path: Path) -> Path:
    picture(tmp_path / "images" / "00a1.jpg")
    (tmp_path / "boxes.csv").write_text(
        HEADER
        + "00a1,xclick,/m/01g317,1,0.25,0.5,0,0.5,0,0,0,0,0\n"
        + "00a1,xclick,/m/0k4j,1,0,1,0.5,1,0,0,1,0,0\n"
    )
    (tmp_path / "classes.csv").write_text("/m/01g317,Person\n/m/0k4j,Car\n")
    return tmp_path


def test_open_images_boxes_become_pixels_and_groups_become_crowds(openimages: Path) -> None:
    dataset = OpenImages(f"{openimages}/images:{openimages}/boxes.csv:{openimages}/classes.csv")
    [item] = dataset.items()
    target = dataset.load_target(item, "boxes")
    # 0.25..0.5 of 8 columns are 2..4, 0..0.5 of 6 rows are 0..3.
    assert [(a["category_id"], a["bbox"], a["iscrowd"]) for a in target["annotations"]] == [
        (1, [2.0, 0.0, 2.0, 3.0], 0), (2, [0.0, 3.0, 8.0, 3.0], 1),
    ]  # fmt: skip
    assert target["categories"] == [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}]


def test_open_images_without_descriptions_names_classes_by_label(openimages: Path) -> None:
    dataset = OpenImages(f"{openimages}/images:{openimages}/boxes.csv")
    target = dataset.load_target(dataset.items()[0], "boxes")
    assert target["categories"][0]["name"] == "/m/01g317"


def test_an_open_images_row_that_names_a_missing_picture_is_an_error_of_its_own(
    openimages: Path,
) -> None:
    with (openimages / "boxes.csv").open("a") as file:
        file.write("ffff,xclick,/m/0k4j,1,0,1,0,1,0,0,0,0,0\n")
    first, second = OpenImages(f"{openimages}/images:{openimages}/boxes.csv").items()
    assert (first.error, second.name) == ("", "ffff.jpg")
    assert "ffff.jpg: no such file" in second.error


def test_faulty_open_images_tables_are_refused(openimages: Path) -> None:
    table = openimages / "boxes.csv"
    argument = f"{openimages}/images:{table}"
    table.write_text(HEADER + "00a1,xclick,/m/0k4j,1,0,1.5,0,1,0,0,0,0,0\n")
    dataset = OpenImages(argument)
    with pytest.raises(DatasetError, match=r"boxes.csv, line 2: x 0..1.5, .*correct the row"):
        dataset.load_target(dataset.items()[0], "boxes")
    table.write_text(HEADER)
    with pytest.raises(DatasetError, match="needs rows with the columns ImageID"):
        OpenImages(argument).items()
    with pytest.raises(DatasetError, match="write openimages:IMAGES:BOXES.csv"):
        OpenImages("nothing").items()


# -- COCO panoptic ------------------------------------------------------------------------------


def panoptic_content() -> dict[str, Any]:
    return {
        "images": [{"id": 9, "file_name": "000000000009.jpg", "width": 8, "height": 6}],
        "annotations": [{
            "image_id": 9, "file_name": "000000000009.png",
            "segments_info": [
                {"id": 70000, "category_id": 1, "iscrowd": 0, "area": 8, "bbox": [0, 0, 8, 1]},
                {"id": 5, "category_id": 200, "iscrowd": 0, "area": 32, "bbox": [0, 2, 8, 4]},
            ],
        }],
        "categories": [
            {"id": 1, "name": "person", "isthing": 1}, {"id": 200, "name": "rug", "isthing": 0},
        ],
    }  # fmt: skip


@pytest.fixture
def panoptic(tmp_path: Path) -> Path:
    picture(tmp_path / "val" / "000000000009.jpg")
    ids = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    ids[0] = (112, 17, 1)  # 112 + 17 * 256 + 65536 = 70000
    ids[2:] = (5, 0, 0)
    save(tmp_path / "maps" / "000000000009.png", ids)
    (tmp_path / "panoptic.json").write_text(json.dumps(panoptic_content()))
    return tmp_path


def open_panoptic(folder: Path) -> CocoPanoptic:
    return CocoPanoptic(f"{folder}/val:{folder}/panoptic.json:{folder}/maps")


def test_coco_panoptic_reads_ids_from_colours(panoptic: Path) -> None:
    dataset = open_panoptic(panoptic)
    [item] = dataset.items()
    target = dataset.load_target(item, "panoptic")
    assert target["ids"].dtype == np.int32
    assert target["ids"][:3, 0].tolist() == [70000, 0, 5]
    assert [s["id"] for s in target["segments"]] == [70000, 5]
    assert [c["isthing"] for c in target["categories"]] == [1, 0]


def test_coco_panoptic_gives_class_maps_too(panoptic: Path) -> None:
    dataset = open_panoptic(panoptic)
    target = dataset.load_target(dataset.items()[0], "semantic")
    assert target["map"][:3, 0].tolist() == [0, 255, 1]
    assert (target["classes"], target["void"]) == (["person", "rug"], 255)


def test_coco_panoptic_map_and_file_must_belong_together(panoptic: Path) -> None:
    content = panoptic_content()
    content["annotations"][0]["segments_info"][1]["id"] = 6
    (panoptic / "panoptic.json").write_text(json.dumps(content))
    dataset = open_panoptic(panoptic)
    with pytest.raises(DatasetError, match=r"000000000009.png: segments \[5, 6\] are in the map"):
        dataset.load_target(dataset.items()[0], "panoptic")


def test_coco_panoptic_refuses_missing_pictures_and_empty_files(panoptic: Path) -> None:
    (panoptic / "val" / "000000000009.jpg").unlink()
    assert "no such file" in open_panoptic(panoptic).items()[0].error
    file = panoptic / "panoptic.json"
    file.write_text(json.dumps(panoptic_content() | {"images": []}))
    with pytest.raises(DatasetError, match="names image 9, which is not listed under images"):
        open_panoptic(panoptic).items()
    file.write_text(json.dumps(panoptic_content() | {"annotations": []}))
    with pytest.raises(DatasetError, match="lists no annotations"):
        open_panoptic(panoptic).items()
    file.write_text("{}")
    with pytest.raises(DatasetError, match="not a COCO panoptic file"):
        open_panoptic(panoptic).items()


# -- class folders ------------------------------------------------------------------------------


def test_class_folders_label_pictures_by_their_folder(tmp_path: Path) -> None:
    for name in ("tench/a.png", "goldfish/b.png", "goldfish/c.png"):
        picture(tmp_path / name)
    dataset = ClassFolders(str(tmp_path))
    items = dataset.items()
    assert [item.name for item in items] == ["goldfish/b.png", "goldfish/c.png", "tench/a.png"]
    classes = ["goldfish", "tench"]
    assert dataset.load_target(items[2], "label") == {"label": 1, "classes": classes}


def test_class_folders_without_folders_or_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="needs a folder a class"):
        ClassFolders(str(tmp_path)).items()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no pictures"):
        ClassFolders(str(tmp_path)).items()


def test_run_lengths_go_down_columns_and_start_with_zeros() -> None:
    mask = np.array([[1, 0, 0], [1, 1, 0]], bool)
    # Columns: 1 1 | 0 1 | 0 0 -> no zeros, two ones, one zero, one one, two zeros.
    assert run_lengths(mask) == {"size": [2, 3], "counts": [0, 2, 1, 1, 2]}
