"""The only place that counts bits and seconds.

A job is measured in this order: encode (timed), keep the stream, decode each output from the kept
bytes with an instance that never saw the pictures (timed), run the tasks. Rates are
``8 * len(bytes)`` of the layers an output needs, over the original's pixels; the container rate
adds the container's header. Rows come out as plain dicts, see ``store.TABLES``.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from workbench import plain, registry
from workbench.api import Codec, Dataset, Item, QualityTask, Task
from workbench.blobs import opened
from workbench.container import Stream
from workbench.contract import check_picture, from_stream, to_stream
from workbench.errors import PluginError, StoreError, WorkbenchError
from workbench.journal import Row
from workbench.plan import CHUNK_BYTES, Cell, Job
from workbench.timing import in_batches, unpack

if TYPE_CHECKING:
    from workbench.api import Picture

T = TypeVar("T")
Rows = list[tuple[str, Row]]
WARM_UP_SIZE = 64
TASK_WARM_UP_SIZE = 192  # five scales of MS-SSIM need 161


@dataclass(frozen=True)
class Setting:
    """What every worker of a run needs to know; picklable. ``blobs`` is a folder or URL."""

    blobs: str
    dataset: str
    data_root: str | None = None
    plugin_files: tuple[str, ...] = ()
    device: str = "cpu"
    threads: int = 1
    workers: int = 1
    task_keys: Mapping[str, str] = field(default_factory=dict)


class Bench:
    """Plugins built once a worker, and the measuring of jobs with them."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.blobs = opened(setting.blobs)
        self.registry = registry.load(setting.plugin_files)
        self.dataset: Dataset = self.registry.dataset(setting.dataset, setting.data_root)
        self._encoders: dict[str, Codec] = {}
        self._decoders: dict[str, Codec] = {}
        self._tasks: dict[str, Task] = {}
        self._pictures: dict[Item, Picture] = {}

    def run(self, job: Job) -> Rows:
        """Do a job; faults of plugins and pictures come back as rows with an error."""
        rows: Rows = []
        cells, images = self._images(job, rows)
        if not cells:
            return rows
        kept = [self._kept(cell) for cell in cells]
        # What was never coded, and what was found damaged, is coded now.
        due = [index for index, stream in enumerate(kept) if stream is None]
        fresh = self._encode(job, [cells[i] for i in due], [images[i] for i in due], rows)
        streams = dict(enumerate(kept)) | dict(zip(due, fresh, strict=True))
        if job.stage == "encode":
            return rows
        for output in cells[0].work:
            ready = [
                (cell, images[index], stream)
                for index, cell in enumerate(cells)
                if (stream := streams[index]) is not None
            ]
            self._decode(job, output, ready, rows)
        return rows

    # -- pictures -----------------------------------------------------------------------------

    def _images(self, job: Job, rows: Rows) -> tuple[list[Cell], list[Picture]]:
        cells, images = [], []
        for cell in job.cells:
            try:
                image = self._picture(cell.item)
                check_picture(image, cell.item.width, cell.item.height, self.setting.dataset)
            except Exception as error:
                rows.append(("coded", coded_row(self.setting, job, cell, error=error)))
            else:
                cells.append(cell)
                images.append(image)
        return cells, images

    def _picture(self, item: Item) -> Picture:
        """Read a picture, or take it from the last few, which are all of a chunk of the plan."""
        if item not in self._pictures:
            picture = self.dataset.load(item)
            while self._pictures and self._n_bytes() + picture.nbytes > CHUNK_BYTES:
                del self._pictures[next(iter(self._pictures))]
            self._pictures[item] = picture
        return self._pictures[item]

    def _n_bytes(self) -> int:
        return sum(picture.nbytes for picture in self._pictures.values())

    # -- encoding -----------------------------------------------------------------------------

    def _encode(
        self, job: Job, cells: Sequence[Cell], images: Sequence[Picture], rows: Rows
    ) -> list[Stream | None]:
        if not cells:
            return []
        try:
            codec = self._encoder(job.codec)
        except Exception as error:
            rows += [("coded", coded_row(self.setting, job, cell, error=error)) for cell in cells]
            return [None] * len(cells)
        results = in_batches(
            lambda some: codec.encode_many(some, job.point),
            images,
            codec.batch,
            self.setting.device,
        )
        streams: list[Stream | None] = []
        for cell, result in zip(cells, results, strict=True):
            try:
                payload, seconds, batch = unpack(result)
                stream = to_stream(codec, job.point, cell.item.width, cell.item.height, payload)
                sha256 = self.blobs.put(stream.to_bytes())
            except StoreError:
                raise  # the disk is full or gone: that is no fault of the codec
            except Exception as error:
                rows.append(("coded", coded_row(self.setting, job, cell, error=error)))
                streams.append(None)
                continue
            row = coded_row(self.setting, job, cell, stream, sha256, seconds, batch)
            rows.append(("coded", row))
            streams.append(stream)
        return streams

    def _kept(self, cell: Cell) -> Stream | None:
        if cell.stream is None:
            return None
        try:
            return Stream.from_bytes(self.blobs.get(cell.stream))
        except WorkbenchError:
            self.blobs.discard(cell.stream)
            return None

    # -- decoding -----------------------------------------------------------------------------

    def _decode(
        self,
        job: Job,
        output: str,
        ready: Sequence[tuple[Cell, Picture, Stream]],
        rows: Rows,
    ) -> None:
        if not ready:
            return
        import numpy as np
        import xxhash

        kind = self.registry.codec(job.codec)
        needs = kind.outputs[output].needs
        try:
            codec = self._decoder(job.codec)
            payloads = [from_stream(kind, stream, output) for _, _, stream in ready]
        except Exception as error:
            rows += [("decoded", _failed_output(cell, output, error)) for cell, _, _ in ready]
            return
        results = in_batches(
            lambda some: codec.decode_many(some, output), payloads, codec.batch, self.setting.device
        )
        pictures = []
        for (cell, image, stream), result in zip(ready, results, strict=True):
            try:
                picture, seconds, _ = unpack(result)
                check_picture(picture, cell.item.width, cell.item.height, job.codec)
            except Exception as error:
                rows.append(("decoded", _failed_output(cell, output, error)))
                continue
            pixels = cell.item.width * cell.item.height
            n_bytes, container = stream.n_bytes(needs), stream.container_bytes(needs)
            row = {
                "key": cell.key,
                "output": output,
                "audience": kind.outputs[output].audience,
                "needs": ",".join(needs),
                "n_bytes": n_bytes,
                "container_bytes": container,
                "rate_bpp": 8 * n_bytes / pixels,
                "container_rate_bpp": 8 * container / pixels,
                "decode_s": seconds,
                "picture_xxh3": xxhash.xxh3_128_hexdigest(np.ascontiguousarray(picture).data),
            }
            rows.append(("decoded", row))
            pictures.append((cell, image, picture))
        for task in ready[0][0].work[output]:
            self._score(task, output, pictures, rows)

    # -- scoring ------------------------------------------------------------------------------

    def _score(
        self, name: str, output: str, pictures: Sequence[tuple[Cell, Picture, Picture]], rows: Rows
    ) -> None:
        if not pictures:
            return
        try:
            task = self._task(name)
        except Exception as error:
            rows += [("scores", self._failed_score(c, output, name, error)) for c, _, _ in pictures]
            return
        if isinstance(task, QualityTask):
            compare = task.compare
            results = in_batches(
                lambda some: compare([a for a, _ in some], [b for _, b in some]),
                [(image, picture) for _, image, picture in pictures],
                task.batch,
                self.setting.device,
            )
        else:
            predict = task.predict
            results = in_batches(
                predict, [picture for _, _, picture in pictures], task.batch, self.setting.device
            )
        for (cell, _, _), result in zip(pictures, results, strict=True):
            try:
                value, seconds, _ = unpack(result)
                rows += self._score_rows(task, cell, output, value, seconds)
            except StoreError:
                raise
            except Exception as error:
                rows.append(("scores", self._failed_score(cell, output, name, error)))

    def _score_rows(
        self, task: Task, cell: Cell, output: str, value: Any, seconds: float
    ) -> Iterable[tuple[str, Row]]:
        row = {
            "key": cell.key,
            "output": output,
            "task": task.name,
            "task_key": self.setting.task_keys[task.name],
            "predict_s": seconds,
        }
        if not isinstance(task, QualityTask):
            row["prediction"] = self.blobs.put(plain.dumps(value))
            row["metric"] = ""
            return [("scores", row)]
        known = {metric.name for metric in task.metrics}
        if set(value) != known:
            raise PluginError(f"{task.name}: gave {sorted(value)}, declares {sorted(known)}")
        return [("scores", {**row, "metric": m, **finite(float(v))}) for m, v in value.items()]

    def _failed_score(self, cell: Cell, output: str, task: str, error: Exception) -> Row:
        return {
            "key": cell.key,
            "output": output,
            "task": task,
            "task_key": self.setting.task_keys[task],
            "metric": "",
            "error": describe(error),
        }

    # -- plugins, built on first use ----------------------------------------------------------

    def _encoder(self, name: str) -> Codec:
        if name not in self._encoders:
            codec = self._build_codec(name)
            self._warm_up(codec, self._decoder(name))
            self._encoders[name] = codec
        return self._encoders[name]

    def _decoder(self, name: str) -> Codec:
        if name not in self._decoders:
            self._decoders[name] = self._build_codec(name)
        return self._decoders[name]

    def _build_codec(self, name: str) -> Codec:
        return self.registry.codec(name)(self.setting.device, self.setting.threads)

    def _task(self, name: str) -> Task:
        if name not in self._tasks:
            task = self.registry.task(name)(self.setting.device, self.setting.threads)
            with contextlib.suppress(Exception):  # as with codecs, see _warm_up
                grey = [_grey(TASK_WARM_UP_SIZE)]
                if isinstance(task, QualityTask):
                    task.compare(grey, grey)
                else:
                    task.predict(grey)
            self._tasks[name] = task
        return self._tasks[name]

    def _warm_up(self, encoder: Codec, decoder: Codec) -> None:
        """Load libraries and networks before anything is timed."""
        point = encoder.points[0]
        # A codec that fails here fails on the real pictures too, and is reported there.
        with contextlib.suppress(Exception):
            payload = encoder.encode_many([_grey(WARM_UP_SIZE)], point)[0]
            stream = to_stream(encoder, point, WARM_UP_SIZE, WARM_UP_SIZE, payload)
            for output in encoder.outputs:
                decoder.decode_many([from_stream(type(encoder), stream, output)], output)


def coded_row(
    setting: Setting,
    job: Job,
    cell: Cell,
    stream: Stream | None = None,
    sha256: str | None = None,
    seconds: float | None = None,
    batch: int | None = None,
    error: BaseException | str | None = None,
) -> Row:
    """The row of a coded, or of a failed, cell."""
    layers = {name: len(data) for name, data in stream.layers.items()} if stream else None
    return {
        "key": cell.key,
        "codec": job.codec,
        "point": job.point.label,
        "params": json.dumps(dict(job.point.params)),
        "image_sha256": cell.item.sha256,
        "width": cell.item.width,
        "height": cell.item.height,
        "layers": json.dumps(layers) if layers else None,
        "n_bytes": sum(layers.values()) if layers else None,
        "stream": sha256,
        "encode_s": seconds,
        "batch": batch,
        "threads": setting.threads,
        "workers": setting.workers,
        "device": setting.device,
        "error": None if error is None else describe(error),
    }


def finite(value: float) -> Row:
    """A value as it is stored: null with a reason where it is no finite number."""
    if math.isfinite(value):
        return {"value": value}
    return {"value": None, "reason": "identical pictures" if value > 0 else "not a number"}


def describe(error: BaseException | str) -> str:
    """One line for a row: our own messages as they are, others with their type."""
    if isinstance(error, str):
        return error
    text = " ".join(str(error).split()) or "no message"
    return text if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {text}"


def _grey(side: int) -> Picture:
    import numpy as np

    return np.full((side, side, 3), 128, np.uint8)


def _failed_output(cell: Cell, output: str, error: Exception) -> Row:
    return {"key": cell.key, "output": output, "error": describe(error)}
