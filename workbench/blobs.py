"""Streams and predictions as files named by the SHA-256 of their bytes, below ``DIR/blobs``."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from workbench.errors import StoreError, cannot_write


def put(root: Path, data: bytes) -> str:
    """Keep bytes below ``root`` and return their SHA-256; safe from several processes at once.

    Raises:
        StoreError: the disk is full, or cannot be written to.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    target = _path(root, sha256)
    if target.exists():
        return sha256
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        try:
            part.write_bytes(data)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise cannot_write(root, "write a stream", error) from error
    return sha256


def get(root: Path, sha256: str) -> bytes:
    """Return the bytes kept below ``root`` under this hash.

    Raises:
        StoreError: they are gone or damaged.
    """
    path = _path(root, sha256)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StoreError(f"{path}: damaged, its hash differs: delete it")
    return data


def _path(root: Path, sha256: str) -> Path:
    return root / "blobs" / sha256[:1] / sha256[1:]
