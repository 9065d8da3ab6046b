"""Streams and predictions as files named by the SHA-256 of their bytes.

They live in the run directory, or on any storage that fsspec reaches (``s3://bucket/folder``),
where workers of many machines write to it at once: equal names hold equal bytes.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from workbench.errors import PluginError, StoreError, cannot_write

LOCAL = "file://"


class Blobs(ABC):
    """A place of blobs. Damage is found when they are read: their hash then differs."""

    def __init__(self, place: str) -> None:
        self.place = place

    def put(self, data: bytes) -> str:
        """Keep bytes and return their SHA-256; safe from several processes at once.

        Raises:
            StoreError: the disk is full, or cannot be written to.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        self._write(sha256, data)
        return sha256

    def get(self, sha256: str) -> bytes:
        """Return the bytes kept under this hash.

        Raises:
            StoreError: they are gone or damaged.
        """
        data = self._read(sha256)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StoreError(f"{self._path(sha256)}: damaged, its hash differs: run again")
        return data

    @abstractmethod
    def _write(self, sha256: str, data: bytes) -> None:
        """Keep bytes, unless as many are there already."""

    @abstractmethod
    def _read(self, sha256: str) -> bytes:
        """Return what is kept, checked or not."""

    @abstractmethod
    def discard(self, sha256: str) -> None:
        """Remove a blob, if it is there."""

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """Bytes of every blob by its hash."""

    def _path(self, sha256: str) -> str:
        return f"{self.place}/{sha256[:1]}/{sha256[1:]}"


def opened(place: str) -> Blobs:
    """Open a folder, or a URL that fsspec understands.

    Raises:
        PluginError: fsspec, or what it needs for this kind of URL, is not installed.
    """
    if "://" in place and not place.startswith(LOCAL):
        return _Remote(place)
    return _Folder(place.removeprefix(LOCAL))


class _Folder(Blobs):
    def _write(self, sha256: str, data: bytes) -> None:
        target = self._path(sha256)
        try:
            if os.stat(target).st_size == len(data):
                return
        except OSError:
            pass  # it is not there yet, or writing will tell
        # Not the process number: machines that share a folder may have the same.
        part = f"{target}.{uuid.uuid4().hex[:8]}.part"
        try:
            try:
                file = open(part, "wb")  # noqa: SIM115
            except FileNotFoundError:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                file = open(part, "wb")  # noqa: SIM115
            with file:
                file.write(data)
            os.replace(part, target)
        except OSError as error:
            Path(part).unlink(missing_ok=True)
            raise cannot_write(self.place, "write a stream", error) from error

    def _read(self, sha256: str) -> bytes:
        path = self._path(sha256)
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({error.strerror}): run again") from None

    def discard(self, sha256: str) -> None:
        Path(self._path(sha256)).unlink(missing_ok=True)

    def sizes(self) -> dict[str, int]:
        found = {}
        for folder in Path(self.place).glob("?"):
            with os.scandir(folder) as entries:
                for entry in entries:
                    found[folder.name + entry.name] = entry.stat().st_size
        return found


class _Remote(Blobs):
    def __init__(self, place: str) -> None:
        super().__init__(place.rstrip("/"))
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise PluginError(
                f"{place}: needs fsspec: pip install 'codec-workbench[ray]'"
            ) from None
        try:
            files, self._root = url_to_fs(self.place)
        except (ImportError, ValueError) as error:
            raise PluginError(f"{place}: {error}") from None
        self._files: Any = files

    def _inside(self, sha256: str) -> str:
        return f"{self._root}/{sha256[:1]}/{sha256[1:]}"

    def _write(self, sha256: str, data: bytes) -> None:
        path = self._inside(sha256)
        try:
            if self._files.exists(path) and self._files.size(path) == len(data):
                return
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            # Object stores show an object when it is whole. On others a part may stay behind a
            # kill: it has another size, and is written again.
            self._files.pipe_file(path, data)
        except OSError as error:
            raise cannot_write(self.place, "write a stream", error) from error

    def _read(self, sha256: str) -> bytes:
        try:
            return bytes(self._files.cat_file(self._inside(sha256)))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StoreError(
                f"{self._path(sha256)}: cannot be read ({reason}): run again"
            ) from None

    def discard(self, sha256: str) -> None:
        path = self._inside(sha256)
        if self._files.exists(path):
            self._files.rm_file(path)

    def sizes(self) -> dict[str, int]:
        try:
            found = self._files.find(self._root, detail=True)
        except FileNotFoundError:
            return {}
        return {"".join(path.split("/")[-2:]): int(info["size"]) for path, info in found.items()}
