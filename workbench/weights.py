"""Trained weights that plugins need: where they lie, whether they are right, fetching them.

A plugin lists its files as ``weights = (WeightFile(...), ...)``. They are looked for, by file
name, in the folders of ``WORKBENCH_WEIGHTS`` (several are separated as in ``PATH``) and then in the
user's cache. Nothing is fetched unless the user asks: ``workbench weights pull``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WeightsError

if TYPE_CHECKING:
    from http.client import HTTPResponse

SETTING = "WORKBENCH_WEIGHTS"
FINETUNED = ".safetensors"
CHUNK = 1 << 20
TIMEOUT_S = 60

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes there will be, None where unknown."""


@dataclass(frozen=True)
class WeightFile:
    """One file of weights.

    ``sha256`` holds all 64 hexadecimal digits, or the leading ones (at least 8) where upstream
    publishes no more: torchvision, for one, puts eight into its file names. ``size_mb`` is for
    people, in MiB.
    """

    name: str
    url: str
    sha256: str
    size_mb: float
    licence: str

    def __post_init__(self) -> None:
        digits = set(self.sha256) <= set("0123456789abcdef")
        if not digits or not 8 <= len(self.sha256) <= 64 or Path(self.name).name != self.name:
            raise WeightsError(
                f"weights {self.name!r}, sha256 {self.sha256!r}: a plain file name and 8 to 64 "
                "lower-case hexadecimal digits are needed"
            )


def folders() -> list[Path]:
    """Return the folders that are searched, in order; the last is the user's cache."""
    import platformdirs

    chosen = os.environ.get(SETTING, "").split(os.pathsep)
    cache = Path(platformdirs.user_cache_path("codec-workbench"), "weights")
    return [*(Path(name).expanduser() for name in chosen if name), cache]


def find(file: WeightFile) -> Path | None:
    """Return where a file lies, without reading it; None where it is missing."""
    return next((path for path in (f / file.name for f in folders()) if path.is_file()), None)


def finetuned() -> dict[str, Path]:
    """Return the files ``TASK+NAME.safetensors`` that lie in the folders, by ``TASK+NAME``."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob(f"*+*{FINETUNED}")):
            found.setdefault(path.name.removesuffix(FINETUNED), path)
    return found


def missing(files: Sequence[WeightFile]) -> str | None:
    """Return which of the files are missing and how to get them; None where all are there."""
    lacking = [file for file in files if find(file) is None]
    if not lacking:
        return None
    what = "; ".join(
        f"{file.name} ({file.size_mb:.0f} MiB, sha256 {_digits(file)}) from {file.url}"
        for file in lacking
    )
    names = " ".join(file.name for file in lacking)
    return f"needs weights: workbench weights pull {names}, or put {what} into {folders()[0]}"


def verified(file: WeightFile) -> Path:
    """Return where a file lies after checking its SHA-256, which is done once a process.

    Raises:
        WeightsError: the file is missing, unreadable, or not the one that is meant.
    """
    path = find(file)
    if path is None:
        raise WeightsError(f"{file.name}: {missing([file])}")
    found = sha256(path)
    if not found.startswith(file.sha256):
        raise WeightsError(
            f"{path}: its sha256 is {found}, expected {_digits(file)}: "
            f"delete it and run workbench weights pull {file.name}"
        )
    return path


def load(file: WeightFile) -> dict[str, Any]:
    """Return the tensors of a verified ``torch.save`` file, on the CPU; nothing in it is run."""
    import torch

    path = verified(file)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises nearly anything
        raise WeightsError(f"{path}: no state dictionary of tensors ({error})") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path}: holds {type(state).__name__}, expected a state dictionary")
    return state


def sha256(path: Path) -> str:
    """Return a file's SHA-256, remembered as long as its size and time stay the same."""
    try:
        status = path.stat()
        return _sha256(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from None


@lru_cache(maxsize=256)
def _sha256(path: Path, size: int, time_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pull(file: WeightFile, folder: Path | None = None, progress: Progress | None = None) -> Path:
    """Fetch a file, unless it lies there already, and return where it is.

    What arrives is kept as ``NAME.part``, so that a second call goes on where the first was cut
    off; it gets its name once its SHA-256 is right. Two processes may pull the same file.

    Args:
        folder: where to; by default the first of :func:`folders`.
        progress: called as data arrives.

    Raises:
        WeightsError: the network, the disk, or the SHA-256 of what came.
    """
    from http.client import HTTPException

    from filelock import FileLock

    target = (folder or folders()[0]) / file.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if target.is_file() and sha256(target).startswith(file.sha256):
                return target
            part = target.with_name(target.name + ".part")
            _download(file, part, progress)
            found = sha256(part)
            if not found.startswith(file.sha256):
                part.unlink()
                raise WeightsError(
                    f"{file.url}: what came has sha256 {found}, expected {_digits(file)}: "
                    "it was deleted; try again, or tell the plugin's author"
                )
            part.replace(target)
    except (OSError, HTTPException) as error:
        raise WeightsError(
            f"{file.name}: cannot be fetched from {file.url} into {target.parent} ({error}): "
            "pulling again goes on where it stopped"
        ) from None
    return target


def _download(file: WeightFile, part: Path, progress: Progress | None) -> None:
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    have = part.stat().st_size if part.is_file() else 0
    headers = {"User-Agent": "codec-workbench"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response: HTTPResponse = urlopen(Request(file.url, headers=headers), timeout=TIMEOUT_S)
    except HTTPError as error:
        with error:
            if error.code == 416 and have:  # nothing lies behind what is there: it is complete
                return
        raise
    with response:
        if response.status != 206:  # the server sends everything, from the start
            have = 0
        total = None if response.length is None else have + response.length
        with part.open("ab" if have else "wb") as out:
            while data := response.read(CHUNK):
                out.write(data)
                have += len(data)
                if progress:
                    progress(have, total)
    if total is not None and have < total:
        raise OSError(f"the connection ended after {have} of {total} bytes")


def _digits(file: WeightFile) -> str:
    return file.sha256 if len(file.sha256) == 64 else f"{file.sha256}..."
