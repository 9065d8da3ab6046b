"""Training pictures packed once into one memory-mapped file, and random crops from it.

A packed picture is uint8 [H, W, 5]: red, green, blue, edge share (0..255 = 0..1) and object
mask (0 or 255).  Edge shares play the part of Segment Anything's confidence α: the share of
human annotators who saw a boundary (BSDS500), or 255 on the outline of an instance mask
(COCO) or label region (CamVid).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from workbench.errors import WorkbenchError
from workbench.masks import outline

if TYPE_CHECKING:
    from workbench.api import Dataset

CHANNELS = 5
# CamVid's pole, sign, car, pedestrian and bicyclist: what a driver must see.
CAMVID_OBJECTS = (2, 6, 8, 9, 10)


class Picture(NamedTuple):
    """One training picture, before packing."""

    rgb: np.ndarray  # uint8 [H, W, 3]
    edges: np.ndarray  # uint8 [H, W], share of boundary
    objects: np.ndarray  # uint8 [H, W], 0 or 255


def _read(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _read_gray(path: Path) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


def bsds500(root: Path) -> Iterator[Picture]:
    """BSDS500's photographs with boundary shares.  No object masks: everything is object."""
    for path in sorted((root / "images").rglob("*.jpg")):
        edges = _read_gray(root / "boundaries" / path.parent.name / f"{path.stem}.png")
        yield Picture(_read(path), edges, np.full(edges.shape, 255, np.uint8))


def coco(root: Path) -> Iterator[Picture]:
    """COCO photographs with the outlines and the union of their instance masks."""
    from pycocotools.coco import COCO

    index = COCO(str(root / "instances.json"))
    for image_id in sorted(index.getImgIds()):
        rgb = _read(root / "images" / index.loadImgs(image_id)[0]["file_name"])
        edges = np.zeros(rgb.shape[:2], np.uint8)
        objects = np.zeros(rgb.shape[:2], np.uint8)
        for annotation in index.loadAnns(index.getAnnIds(image_id)):
            mask = index.annToMask(annotation)
            objects |= mask * np.uint8(255)
            edges |= outline(mask)
        yield Picture(rgb, edges, objects)


def camvid(root: Path) -> Iterator[Picture]:
    """CamVid street pictures with label outlines."""
    for path in sorted((root / "images").iterdir()):
        labels = _read_gray(root / "labels" / f"{path.stem}.png")
        objects = np.isin(labels, CAMVID_OBJECTS).astype(np.uint8) * 255
        yield Picture(_read(path), outline(labels), objects)


def dataset(pictures: Dataset, masks: Iterable[Path] = ()) -> Iterator[Picture]:
    """The pictures of any dataset, with the masks that ``workbench masks`` wrote of it.

    Without masks of a kind everything is edge, or object.

    Raises:
        WorkbenchError: a picture has no mask, or one of another size.
    """
    from workbench.masks import MaskFolder

    known = [MaskFolder.open(path) for path in masks]
    for item in pictures.items():
        if item.error:
            continue
        rgb = pictures.load(item)
        planes = {kind: np.full(rgb.shape[:2], 255, np.uint8) for kind in ("edges", "objects")}
        for folder in known:
            planes[folder.kind] = folder.read(item.name, rgb.shape[:2])
        yield Picture(rgb, planes["edges"], planes["objects"])


SOURCES = {"bsds500": bsds500, "coco": coco, "camvid": camvid}


def pack(sources: Iterable[tuple[str, Iterable[Picture]]], out: Path) -> int:
    """Write `out`.u8 and its index `out`.json, which is last; returns the number of pictures.

    `sources` are names and pictures, such as ``("coco", coco(folder))``.
    """
    records, offset = [], 0
    with out.with_suffix(".u8").open("wb") as file:
        for name, pictures in sources:
            for picture in pictures:
                block = np.dstack([picture.rgb, picture.edges, picture.objects])
                file.write(np.ascontiguousarray(block).tobytes())
                records.append({"source": name, "offset": offset, "shape": block.shape[:2]})
                offset += block.size
    out.with_suffix(".json").write_text(json.dumps(records))
    return len(records)


class PackedCrops:
    """Random crops of a packed file; batch `n` is a function of (seed, n) alone, so that a
    resumed training sees what an uninterrupted one would have seen."""

    def __init__(
        self,
        path: Path,
        crop: int,
        batch: int,
        seed: int,
        sources: tuple[str, ...] | None = None,
    ) -> None:
        try:
            self._data = np.memmap(path.with_suffix(".u8"), np.uint8, "r")
            records = json.loads(path.with_suffix(".json").read_text())
        except FileNotFoundError as error:
            raise WorkbenchError(
                f"{error.filename}: no such packed pictures: give a folder of pictures, or pack it"
            ) from None
        wanted = [r for r in records if sources is None or r["source"] in sources]
        self._records = [r for r in wanted if min(r["shape"]) >= crop]
        if not self._records:
            known = ", ".join(sorted({r["source"] for r in records}))
            raise WorkbenchError(
                f"{path}: no picture of {'any source' if sources is None else sources} has sides "
                f"of at least {crop}: it has {len(wanted)} smaller ones, and sources {known}"
            )
        self.crop, self.batch, self.seed = crop, batch, seed
        self.sources = tuple(sorted({r["source"] for r in self._records}))

    def _random_crop(self, rng: np.random.Generator) -> np.ndarray:
        record = self._records[rng.integers(len(self._records))]
        height, width = record["shape"]
        top = rng.integers(height - self.crop + 1)
        left = rng.integers(width - self.crop + 1)
        block = self._data[record["offset"] :][: height * width * CHANNELS]
        block = block.reshape(height, width, CHANNELS)
        return block[top : top + self.crop, left : left + self.crop]

    def __getitem__(self, number: int) -> np.ndarray:
        """Batch `number`, uint8 [B, crop, crop, 5].

        Of two candidates the one with more detail is taken half of the time: flat crops teach
        little.
        """
        rng = np.random.default_rng([self.seed, number])
        crops = []
        for _ in range(self.batch):
            crop = self._random_crop(rng)
            if rng.random() < 0.5:
                crop = max(crop, self._random_crop(rng), key=_detail)
            if rng.random() < 0.5:
                crop = crop[:, ::-1]
            if rng.random() < 0.5:
                crop = crop.transpose(1, 0, 2)
            crops.append(crop)
        return np.stack(crops)


def _detail(crop: np.ndarray) -> float:
    green = crop[::2, ::2, 1].astype(np.int16)
    return float(np.abs(np.diff(green, axis=0)).mean() + np.abs(np.diff(green, axis=1)).mean())
