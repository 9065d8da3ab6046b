"""Datasets that are published as archives: fetched and unpacked, or placed by hand.

A manifest in ``manifests/`` lists ``archives``; each names the members to ``select``, the folder to
put them ``into`` and how many files (``n_files``) that makes. Archives whose publisher gives no
checksum, or wants people to register, are not fetched: the manifest says what to do ``by_hand``.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import workbench
from workbench.errors import DatasetError, PluginError
from workbench_datasets.cityscapes import Cityscapes
from workbench_datasets.coco_panoptic import CocoPanoptic
from workbench_datasets.files import Coco, Folder
from workbench_datasets.manifest import ManifestDataset
from workbench_datasets.visdrone import VisDrone

Progress = Callable[[int, int | None], None]


class ArchiveDataset(ManifestDataset):
    """A dataset out of archives, read by another dataset's loader once it is here."""

    def opened(self, folder: Path) -> workbench.Dataset:
        """Return the loader of what lies in ``folder``."""
        raise PluginError(f"{self.name}: a dataset of archives must define opened")

    def folders(self) -> list[Path]:
        # Datasets of one publisher may share a folder, and so what was fetched.
        return [folder.parent / self.manifest["folder"] for folder in super().folders()]

    @cached_property
    def _loader(self) -> workbench.Dataset:
        parts = self.manifest["archives"]
        complete = [f for f in self.folders() if all((f / p["into"]).is_dir() for p in parts)]
        if not complete:
            raise DatasetError(f"{self.name}: not here. {self._cure()}")
        for part in parts:
            found = sum(1 for path in (complete[0] / part["into"]).rglob("*") if path.is_file())
            if found < part["n_files"]:
                raise DatasetError(
                    f"{complete[0] / part['into']}: has {found} files, expected "
                    f"{part['n_files']}: delete the folder. {self._cure()}"
                )
        return self.opened(complete[0])

    def items(self) -> Sequence[workbench.Item]:
        return self._loader.items()

    def load_target(self, item: workbench.Item, kind: str) -> Any:
        return self._loader.load_target(item, kind)

    def _cure(self) -> str:
        manifest, folder = self.manifest, self.folders()[0]
        names = " and ".join(dict.fromkeys(part["name"] for part in manifest["archives"]))
        if "by_hand" in manifest:
            wanted = " and ".join(part["into"] for part in manifest["archives"])
            return (
                f"{manifest['by_hand']} Download {names} from {manifest['url']} and unpack, so "
                f"that {folder} holds {wanted}"
            )
        return f"Run workbench fetch {self.name}: {names} from {manifest['url']}"

    def fetch(self, progress: Progress | None = None) -> str:
        from workbench.weights import WeightFile, pull

        folder, manifest = self.folders()[0], self.manifest
        if "by_hand" in manifest:
            raise DatasetError(f"{self.name}: cannot be fetched. {self._cure()}")
        parts = [part for part in manifest["archives"] if not (folder / part["into"]).is_dir()]
        sizes = {part["name"]: part["n_bytes"] for part in parts}
        total, done = sum(sizes.values()), 0
        pulled = {}
        for part in parts:
            if part["name"] not in pulled:
                archive = WeightFile(
                    part["name"], manifest["url"] + part["path"], part["sha256"],
                    part["n_bytes"] / 2**20, manifest["licence"],
                )  # fmt: skip
                step = (lambda n, _, base=done: progress(base + n, total)) if progress else None
                pulled[part["name"]] = pull(archive, folder, step)
                done += part["n_bytes"]
            unpack(pulled[part["name"]], folder / part["into"], part["select"], part.get("inside"))
        for archive_path in pulled.values():
            archive_path.unlink()
        return str(folder)


def unpack(archive: Path, target: Path, select: str, inside: str | None = None) -> None:
    """Unpack the members whose name matches ``select`` into the folder ``target``, side by side.

    The folder appears once it is complete. ``inside`` names an archive within the archive.

    Raises:
        DatasetError: no member matches, the archive is damaged, or the disk fails.
    """
    part = target.with_name(target.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        with zipfile.ZipFile(archive) as outer:
            if inside is None:
                count = _extract(outer, part, select)
            else:
                with outer.open(inside) as file, zipfile.ZipFile(file) as inner:
                    count = _extract(inner, part, select)
        if not count:
            raise DatasetError(f"{archive}: has no {select}: it is not the archive that is meant")
        part.replace(target)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{archive}: cannot be unpacked into {target} ({error})") from None


def _extract(archive: zipfile.ZipFile, folder: Path, select: str) -> int:
    chosen = [
        member for member in archive.infolist()
        if fnmatch(member.filename, select) and not member.is_dir()
        # macOS adds a ._ file beside every file.
        and not PurePosixPath(member.filename).name.startswith("._")
    ]  # fmt: skip
    for member in chosen:
        path = folder / PurePosixPath(member.filename).name
        with archive.open(member) as source, path.open("wb") as out:
            shutil.copyfileobj(source, out)
    return len(chosen)


class CocoVal2017(ArchiveDataset):
    """COCO 2017, validation: 5000 pictures with boxes and masks of 80 classes."""

    name = "coco-val2017"
    manifest_file = "coco-val2017.json"
    licence = "annotations CC BY 4.0; pictures under Flickr's terms, each its author's"
    targets = Coco.targets
    citation = Coco.citation

    def opened(self, folder: Path) -> workbench.Dataset:
        return Coco(f"{folder / 'val2017'}:{folder / 'instances/instances_val2017.json'}")


class CocoPanopticVal2017(ArchiveDataset):
    """COCO 2017, validation: 5000 pictures with panoptic annotations of 133 classes."""

    name = "coco-panoptic-val2017"
    manifest_file = "coco-panoptic-val2017.json"
    licence = CocoVal2017.licence
    targets = CocoPanoptic.targets
    citation = CocoPanoptic.citation

    def opened(self, folder: Path) -> workbench.Dataset:
        return CocoPanoptic(
            f"{folder / 'val2017'}:{folder / 'panoptic/panoptic_val2017.json'}:"
            f"{folder / 'panoptic_val2017'}"
        )


class ClicProfessionalValid(ArchiveDataset):
    """CLIC 2020, professional validation: 41 photographs of up to 2048 pixels a side."""

    name = "clic-professional-valid"
    manifest_file = "clic-professional-valid.json"
    licence = "Unsplash licence"
    citation = "Challenge on Learned Image Compression 2020, http://compression.cc"

    def opened(self, folder: Path) -> workbench.Dataset:
        return Folder(str(folder / "valid"))


class VisDroneVal(ArchiveDataset):
    """VisDrone2019-DET, validation: 548 pictures from drones with boxes of 10 classes."""

    name = "visdrone-val"
    manifest_file = "visdrone-val.json"
    licence = VisDrone.licence
    targets = VisDrone.targets
    citation = VisDrone.citation

    def opened(self, folder: Path) -> workbench.Dataset:
        return VisDrone(str(folder))


class CityscapesVal(ArchiveDataset):
    """Cityscapes, validation: 500 street scenes of 2048×1024 with a class for every pixel."""

    name = "cityscapes-val"
    manifest_file = "cityscapes-val.json"
    licence = Cityscapes.licence
    targets = Cityscapes.targets
    citation = Cityscapes.citation

    def opened(self, folder: Path) -> workbench.Dataset:
        return Cityscapes(f"{folder}:val")


@workbench.hookimpl
def workbench_datasets() -> Iterable[type[workbench.Dataset]]:
    """Return the datasets of this module."""
    return [CocoVal2017, CocoPanopticVal2017, ClicProfessionalValid, VisDroneVal, CityscapesVal]
