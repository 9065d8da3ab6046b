"""Datasets whose files a manifest lists: address, SHA-256, licence. They are fetched on demand.

A manifest is a JSON file in ``manifests/``. Its files lie in a folder of the dataset's name below
``--data-root``, a folder of ``WORKBENCH_DATA``, or the user's cache, whichever has it first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import workbench
from workbench.errors import DatasetError
from workbench_datasets.files import describe_file

SETTING = "WORKBENCH_DATA"


class ManifestDataset(workbench.Dataset):
    """Pictures that a manifest lists, each checked against its SHA-256."""

    manifest_file: ClassVar[str]

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest: name, url, licence, citation, and files with name, sha256, n_bytes."""
        path = Path(__file__).parent / "manifests" / self.manifest_file
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def folders(self) -> list[Path]:
        """The folders that are searched, in order; the first is where files are fetched to."""
        import platformdirs

        chosen = [self.root] if self.root else []
        chosen += [part for part in os.environ.get(SETTING, "").split(os.pathsep) if part]
        cache = Path(platformdirs.user_cache_path("codec-workbench"), "datasets")
        return [Path(folder) / self.name for folder in [*chosen, cache]]

    def items(self) -> Sequence[workbench.Item]:
        files = self.manifest["files"]
        folder = next((f for f in self.folders() if (f / files[0]["name"]).is_file()), None)
        if folder is None:
            raise DatasetError(
                f"{self.name}: not here. Run workbench fetch {self.name}, or put its {len(files)} "
                f"files from {self.manifest['url']} into {self.folders()[0]}"
            )
        return [self._checked(describe_file(f["name"], folder / f["name"]), f) for f in files]

    def _checked(self, item: workbench.Item, file: dict[str, Any]) -> workbench.Item:
        if item.error or item.sha256 == file["sha256"]:
            return item
        error = (
            f"{item.path}: its sha256 is {item.sha256}, expected {file['sha256']}: "
            f"delete it and run workbench fetch {self.name}"
        )
        return workbench.Item(item.name, path=item.path, error=error)

    def fetch(self, progress: Callable[[int, int | None], None] | None = None) -> str:
        from workbench.weights import WeightFile, pull

        folder, manifest = self.folders()[0], self.manifest
        total = sum(file["n_bytes"] for file in manifest["files"])
        done = 0
        for file in manifest["files"]:
            url, size_mb = manifest["url"] + file["name"], file["n_bytes"] / 2**20
            entry = WeightFile(file["name"], url, file["sha256"], size_mb, manifest["licence"])
            pull(entry, folder)
            done += file["n_bytes"]
            if progress:
                progress(done, total)
        return str(folder)


class Kodak(ManifestDataset):
    """Kodak Lossless True Color Image Suite: 24 photographs of 768×512."""

    name = "kodak"
    manifest_file = "kodak.json"
    licence = "released by the Eastman Kodak Company for unrestricted use"
    citation = "Kodak Lossless True Color Image Suite, http://r0k.us/graphics/kodak"


@workbench.hookimpl
def workbench_datasets() -> Iterable[type[workbench.Dataset]]:
    return [Kodak]
