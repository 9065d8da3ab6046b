"""Masks for training, a file a picture: what ``workbench masks`` writes and training reads.

A folder holds ``masks.json``, which says how its masks were made, and for a picture ``NAME`` the
file ``NAME.png``, 8-bit grey: 0..255 as a share of 0..1.  Several processes may fill a folder; a
mask that is there is not made again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from workbench import registry
from workbench.api import Item
from workbench.errors import ImageError, WorkbenchError
from workbench.measure import describe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RECORD = "masks.json"
# Beyond this many masks in the queue, work is only planned, not begun.
AHEAD = 4


def outline(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """255 where a pixel's label differs from its right or lower neighbour's.  [H, W]."""
    import numpy as np

    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    edge[:-1] |= labels[1:] != labels[:-1]
    return edge.astype(np.uint8) * np.uint8(255)


@dataclass(frozen=True)
class MaskFolder:
    """A folder of masks that were made in one way; ``kind`` is ``edges`` or ``objects``."""

    path: Path
    kind: str

    @classmethod
    def open(cls, path: Path) -> MaskFolder:
        """Open a folder for reading.

        Raises:
            WorkbenchError: it is no folder of masks.
        """
        try:
            return cls(path, json.loads((path / RECORD).read_text())["kind"])
        except (OSError, ValueError, KeyError) as error:
            raise WorkbenchError(
                f"{path}: holds no masks ({error}): workbench masks writes them"
            ) from None

    @classmethod
    def create(cls, path: Path, record: dict[str, Any]) -> MaskFolder:
        """Open a folder for writing, or one whose masks were made in the very same way.

        Raises:
            WorkbenchError: it holds other masks.
        """
        path.mkdir(parents=True, exist_ok=True)
        file = path / RECORD
        if file.exists():
            there = json.loads(file.read_text())
            if there != record:
                odd = next(k for k in {**there, **record} if there.get(k) != record.get(k))
                raise WorkbenchError(
                    f"{path}: holds masks made with {odd} {there.get(odd)!r}, not "
                    f"{record.get(odd)!r}: choose another folder"
                )
        else:
            file.write_text(json.dumps(record, indent=1))
        return cls(path, record["kind"])

    def file(self, name: str) -> Path:
        """Where the mask of a picture lies."""
        return self.path / f"{name}.png"

    def write(self, name: str, mask: NDArray[np.uint8]) -> None:
        """Store the mask of a picture, uint8 ``[H, W]``; whole or not at all."""
        from PIL import Image

        file = self.file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.{os.getpid()}.part")
        Image.fromarray(mask).save(part, "png")
        part.replace(file)

    def read(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return the mask of a picture, uint8 ``[H, W]``.

        Raises:
            WorkbenchError: there is none, or it is not of this shape.
        """
        import numpy as np
        from PIL import Image

        try:
            with Image.open(self.file(name)) as image:
                mask = np.asarray(image.convert("L"))
        except OSError as error:
            raise WorkbenchError(
                f"{self.file(name)}: {error.strerror or error}: workbench masks makes it"
            ) from None
        if mask.shape != tuple(shape):
            raise WorkbenchError(
                f"{self.file(name)}: is {mask.shape[1]}x{mask.shape[0]}, the picture "
                f"{shape[1]}x{shape[0]}: make the masks of these pictures"
            )
        return mask


@dataclass(frozen=True)
class MaskJob:
    """What to make masks of, and how; plain data that goes to worker processes."""

    segmenter: str
    dataset: str
    out: Path
    alpha: float | None = None
    annotations: str | None = None
    device: str = "cpu"
    threads: int = 1
    plugins: tuple[str, ...] = ()
    root: str | None = None
    limit: int | None = None


class _Maker:
    """A segmenter and its pictures, once a process."""

    _mine: ClassVar[_Maker]

    def __init__(self, job: MaskJob) -> None:
        found = registry.load(job.plugins)
        kind = found.segmenter(job.segmenter)
        if kind.annotated != (job.annotations is not None):
            need = "needs" if kind.annotated else "takes no"
            raise WorkbenchError(f"masks: {kind.name} {need} --annotations")
        self.segmenter = kind(job.alpha, job.annotations, job.device, job.threads)
        self.dataset = found.dataset(job.dataset, job.root)
        record = {
            "segmenter": kind.name,
            "kind": kind.kind,
            **self.segmenter.settings(),
        }
        self.folder = MaskFolder.create(job.out, record)

    def make(self, item: Item) -> str | None:
        """Make one mask; return what went wrong."""
        import numpy as np

        try:
            mask = self.segmenter.mask(self.dataset, item)
            if mask.dtype != np.uint8 or mask.shape != (item.height, item.width):
                raise WorkbenchError(
                    f"{self.segmenter.name}: gave {mask.dtype} {list(mask.shape)}, must be uint8 "
                    f"{[item.height, item.width]}"
                )
            self.folder.write(item.name, mask)
        except Exception as error:  # of a segmenter or a dataset: the other pictures go on
            return describe(error)
        return None

    @classmethod
    def start(cls, job: MaskJob) -> None:
        cls._mine = cls(job)

    @classmethod
    def work(cls, item: Item) -> tuple[str, str | None]:
        return item.name, cls._mine.make(item)


def make_masks(
    job: MaskJob, workers: int = 1, progress: Callable[[int, int, str], None] | None = None
) -> dict[str, str]:
    """Make the masks that are not there yet; return the reasons why some cannot be, by picture.

    Raises:
        WorkbenchError: the segmenter or dataset is not there, or the folder holds other masks.
    """
    maker = _Maker(job)
    items = list(maker.dataset.items())[: job.limit]
    failed = {item.name: item.error for item in items if item.error}
    todo = [i for i in items if not i.error and not maker.folder.file(i.name).exists()]
    done = len(items) - len(failed) - len(todo)
    if workers > 1 and maker.segmenter.device_bound and job.device != "cpu":
        raise WorkbenchError(f"masks: {job.segmenter} runs one worker a device, not {workers}")
    results = (
        _parallel(job, todo, workers) if workers > 1 else ((i.name, maker.make(i)) for i in todo)
    )
    for name, reason in results:
        done += 1
        if reason:
            failed[name] = reason
        if progress:
            progress(done, len(items), name)
    return failed


def _parallel(
    job: MaskJob, items: Sequence[Item], workers: int
) -> Iterator[tuple[str, str | None]]:
    import multiprocessing

    # A fork of a process in which torch has run may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _Maker.start, (job,)) as pool:
        waiting: set[Future[tuple[str, str | None]]] = set()
        for item in items:
            waiting.add(pool.submit(_Maker.work, item))
            if len(waiting) >= AHEAD * workers:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        yield from (future.result() for future in waiting)


def contact_sheet(job: MaskJob, file: Path, count: int = 12, height: int = 160) -> int:
    """Draw the first pictures side by side with their masks into a PNG; return how many.

    Raises:
        WorkbenchError: no mask is there to be shown.
    """
    import numpy as np
    from PIL import Image

    dataset = registry.load(job.plugins).dataset(job.dataset, job.root)
    folder = MaskFolder.open(job.out)
    rows: list[NDArray[np.uint8]] = []
    for item in dataset.items():
        if item.error or not folder.file(item.name).exists() or len(rows) == count:
            continue
        try:
            picture = dataset.load(item)
        except ImageError:
            continue
        mask = folder.read(item.name, picture.shape[:2])
        # The mask alone, and in red over the picture in grey.
        share = mask[..., None] / 255
        grey = picture.mean(2, keepdims=True).repeat(3, 2) * 0.7
        over = (grey * (1 - share) + np.array([255, 40, 40]) * share).round().astype(np.uint8)
        tiles = np.hstack([picture, over, mask[..., None].repeat(3, 2)])
        width = round(tiles.shape[1] * height / tiles.shape[0])
        rows.append(np.asarray(Image.fromarray(tiles).resize((width, height))))
    if not rows:
        raise WorkbenchError(f"{job.out}: has no masks of {job.dataset} to show")
    widest = max(row.shape[1] for row in rows)
    sheet = np.vstack([np.pad(r, ((0, 4), (0, widest - r.shape[1]), (0, 0))) for r in rows])
    Image.fromarray(sheet).save(file, "png")
    return len(rows)
