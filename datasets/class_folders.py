"""Pictures in a folder a class, as ImageNet's are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import workbench
from workbench.errors import DatasetError
from workbench_datasets.files import describe_file


class ClassFolders(workbench.Dataset):
    """Pictures with a class: ``class-folders:PATH``, where ``PATH/CLASS`` holds a class's pictures.

    ``label`` targets are ``label``, an index, and ``classes``, the folders in the order of their
    names.
    """

    name = "class-folders"
    scheme = True
    targets = ("label",)

    @cached_property
    def _classes(self) -> list[str]:
        folder = Path(self.argument)
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder")
        classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
        if not classes:
            raise DatasetError(f"{folder}: needs a folder a class, there is none")
        return classes

    def items(self) -> Sequence[workbench.Item]:
        from workbench import images

        root = Path(self.argument)
        paths = [
            path
            for name in self._classes
            for path in sorted((root / name).iterdir())
            if path.suffix.lower() in images.SUFFIXES
        ]
        if not paths:
            raise DatasetError(f"{root}: no pictures ({', '.join(images.SUFFIXES)}) in its folders")
        return [describe_file(f"{path.parent.name}/{path.name}", path) for path in paths]

    def load_target(self, item: workbench.Item, kind: str) -> Any:
        if kind != "label":
            return super().load_target(item, kind)
        label = self._classes.index(item.name.partition("/")[0])
        return {"label": label, "classes": self._classes}


@workbench.hookimpl
def workbench_datasets() -> Iterable[type[workbench.Dataset]]:
    """Return the dataset of this module."""
    return [ClassFolders]
