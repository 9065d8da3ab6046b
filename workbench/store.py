"""A run directory: rows, coded streams and provenance; safe against kill -9 and full disks.

::

    DIR/store.json             format of the directory; where its blobs are, if not here
    DIR/lock, DIR/writer.json  held while a run writes; who that is
    DIR/damaged/               files that could not be read, set aside by the run that met them
    DIR/items.json             pictures of each dataset: name, hash, size
    DIR/progress.json          how far the last run is or came
    DIR/runs/*.json            provenance, one file a call of ``workbench run``
    DIR/rows/TABLE-*.parquet   rows; a row's key names it, later files win
    DIR/journal-*.jsonl        rows not yet in parquet, see :mod:`workbench.journal`
    DIR/blobs/a/bcdef...        streams and predictions, named by the SHA-256 of their bytes

Rows are appended to the journal as they come and moved to parquet when a run ends or the journal
grows long. Tables, see :data:`TABLES`: ``coded`` has a row a stream, ``decoded`` a row an output
of a stream, ``scores`` a row a metric of an output, ``sets`` a row a metric of a whole dataset.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from workbench import journal
from workbench.blobs import opened
from workbench.errors import StoreError, cannot_write
from workbench.journal import Journal, Row, sync
from workbench.progress import now, read_json, who_am_i

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMAT = 1
JOURNAL_ROWS = 5_000  # some 3 MB: rows are moved to parquet in pieces of this size
DAMAGED = "damaged"

_TEXT, _INT, _REAL = "string", "int64", "float64"
TABLES: dict[str, dict[str, str]] = {
    "coded": {
        "key": _TEXT, "codec": _TEXT, "point": _TEXT, "params": _TEXT, "image_sha256": _TEXT,
        "width": _INT, "height": _INT, "layers": _TEXT, "n_bytes": _INT, "stream": _TEXT,
        "encode_s": _REAL, "batch": _INT, "threads": _INT, "workers": _INT, "device": _TEXT,
        "run": _TEXT, "error": _TEXT,
    },
    "decoded": {
        "key": _TEXT, "output": _TEXT, "audience": _TEXT, "needs": _TEXT, "n_bytes": _INT,
        "container_bytes": _INT, "rate_bpp": _REAL, "container_rate_bpp": _REAL,
        "decode_s": _REAL, "picture_xxh3": _TEXT, "run": _TEXT, "error": _TEXT,
    },
    "scores": {
        "key": _TEXT, "output": _TEXT, "task": _TEXT, "task_key": _TEXT, "metric": _TEXT,
        "value": _REAL, "reason": _TEXT, "prediction": _TEXT, "predict_s": _REAL, "run": _TEXT,
        "error": _TEXT,
    },
    "sets": {
        "key": _TEXT, "dataset": _TEXT, "codec": _TEXT, "point": _TEXT, "output": _TEXT,
        "task": _TEXT, "metric": _TEXT, "reference": _TEXT, "value": _REAL, "reason": _TEXT,
        "n_images": _INT, "resamples": _TEXT, "run": _TEXT,
    },
}  # fmt: skip
IDENTITY = {
    "coded": ("key",),
    "decoded": ("key", "output"),
    "scores": ("key", "output", "task_key", "metric"),
    "sets": ("key", "metric"),
}


class Store:
    """A run directory, opened for reading, or by one process at a time for writing.

    Use as a context manager when writing: leaving it moves the journal into parquet. A writer
    sets damaged files aside and lists them in ``damaged``; a reader raises.

    Args:
        blobs: where streams and predictions of a new run directory go: a folder or URL that every
            worker reaches; None for the run directory itself.

    Raises:
        StoreError: no run directory, another format, locked by another run, or unwritable.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, write: bool = False, blobs: str | None = None
    ) -> None:
        self.path = Path(path)
        self.run = uuid.uuid4().hex[:12]
        self.damaged: list[str] = []
        self._began = now()
        self._journal: Journal | None = None
        self._lock: Any = None
        if write:
            self._prepare(blobs)
        place = self._check_format()
        if blobs is not None and place != blobs:
            self.close()
            raise StoreError(f"{self.path}: its streams are in {place or 'it'}, not in {blobs}")
        self.blobs = opened(place or str(self.path.resolve() / "blobs"))

    # -- opening and closing ------------------------------------------------------------------

    def _prepare(self, blobs: str | None) -> None:
        from filelock import FileLock, Timeout

        with self._writing("create"):
            known = {"store.json", "store.json.part", "rows", "runs", "blobs", "lock"}
            found = {path.name for path in self.path.iterdir()} if self.path.is_dir() else set()
            # A host that was killed as it began leaves some of these, but nothing else.
            if "store.json" not in found and found - known:
                raise StoreError(f"{self.path}: not empty and not a run directory: choose another")
            for folder in ("rows", "runs", "blobs"):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path / "lock")
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise StoreError(
                    f"{self.path}: another run is writing here: wait for it, or use another --out"
                    f"{self._told_writer()}"
                ) from None
            self._write_json("writer.json", who_am_i(), durable=False)
            self._set_aside_unreadable()
            if not (self.path / "store.json").exists():
                place = {} if blobs is None else {"blobs": blobs}
                self._write_json("store.json", {"format": FORMAT, **place})

    def _told_writer(self) -> str:
        try:
            writer = json.loads((self.path / "writer.json").read_text())
            return " (process {pid} on {host}, since {since})".format(**writer)
        except (OSError, ValueError, LookupError):
            return ""

    def _set_aside_unreadable(self) -> None:
        for path in [*self.path.glob("*.json"), *self.path.glob("runs/*.json")]:
            try:
                json.loads(path.read_text())
            except ValueError:
                self._set_aside(path, "it is no JSON")

    def _set_aside(self, path: Path, reason: str) -> None:
        """Move a file that cannot be read out of the way, so that what it held is redone."""
        (self.path / DAMAGED).mkdir(exist_ok=True)
        path.replace(self.path / DAMAGED / f"{self.run}-{path.name}")
        self.damaged.append(f"{path}: damaged ({reason}), moved to {self.path / DAMAGED}")

    def _check_format(self) -> str | None:
        """Where the blobs are, None for here."""
        try:
            about = json.loads((self.path / "store.json").read_text())
            found = about["format"]
        except FileNotFoundError:
            raise StoreError(
                f"{self.path}: no run directory: make one with workbench run"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self.path}/store.json: cannot be read ({error}): run again"
            ) from None
        if found != FORMAT:
            self.close()
            raise StoreError(
                f"{self.path}: store format {found}, this workbench reads format {FORMAT}: "
                "use the release that made it, or another directory"
            )
        place: str | None = about.get("blobs")
        return place

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            # What a failed run has in its journal is moved by the next one.
            if error is None or isinstance(error, KeyboardInterrupt):
                self.compact()
        finally:
            self.close()

    def close(self) -> None:
        """Close the journal and let the next writer in."""
        if self._journal is not None:
            with contextlib.suppress(OSError):  # a full disk was reported when it was met
                self._journal.close()
            self._journal = None
        if self._lock is not None:
            (self.path / "writer.json").unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    # -- writing ------------------------------------------------------------------------------

    def append(self, table: str, rows: Iterable[Row]) -> None:
        """Add rows to a table; they survive the end of this process from here on."""
        self.append_all((table, row) for row in rows)

    def append_all(self, rows: Iterable[tuple[str, Row]]) -> None:
        """Add rows, each with its table's name, all or none of them."""
        found = [(table, {"run": self.run, **row}) for table, row in rows]
        if not found:
            return
        with self._writing("append rows"):
            if self._journal is None:
                self._journal = Journal(self.path / f"journal-{self.run}.jsonl")
            self._journal.append(found)
        if self._journal.n_rows >= JOURNAL_ROWS:
            self.compact()

    def compact(self) -> None:
        """Move all journals into parquet files."""
        with self._writing("write rows"):
            if self._journal is not None:
                self._journal.close()
                self._journal = None
            journals = sorted(self.path.glob("journal-*.jsonl"))
            tables: dict[str, list[Row]] = {}
            for table, row in journal.read(journals):
                tables.setdefault(table, []).append(row)
            for table, rows in tables.items():
                self._write_parquet(table, rows)
            sync(self.path / "rows")
            # A crash before this line leaves rows twice, which reading makes one again.
            for path in journals:
                path.unlink()

    def _write_parquet(self, table: str, rows: list[Row]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Sorted by time of writing, so that the last of equal keys is the newest.
        known = sorted((self.path / "rows").glob(f"{table}-*.parquet"))
        serial = int(re.findall(r"-(\d+)-", known[-1].name)[0]) + 1 if known else 0
        name = self.path / "rows" / f"{table}-{serial:06d}-{uuid.uuid4().hex[:8]}.parquet"
        part = name.with_suffix(".part")
        pq.write_table(pa.Table.from_pylist(rows, schema=_schema(table)), part, compression="zstd",
                       write_page_checksum=True)  # fmt: skip
        sync(part)
        part.replace(name)

    def note_damage(self, text: str) -> Path:
        """Keep a list of what was redone; the path of the file."""
        path = self.path / DAMAGED / f"{self.run}-cells.txt"
        with self._writing("write the list of damaged cells"):
            path.parent.mkdir(exist_ok=True)
            with open(path, "a") as file:
                file.write(text)
        return path

    def write_progress(self, **figures: Any) -> None:
        """Tell how far this run is, for ``workbench status``."""
        with self._writing("write progress"):
            about = {**who_am_i(), "since": self._began, "told": now(), **figures}
            self._write_json("progress.json", about, durable=False)

    def put_blob(self, data: bytes) -> str:
        """Keep bytes under their own hash; return it."""
        return self.blobs.put(data)

    def add_items(self, dataset: str, items: Iterable[Row]) -> None:
        """Note the pictures of a dataset: dicts with name, sha256, width, height."""
        known = self.items()
        entry = {row["name"]: row for row in known.get(dataset, [])}
        entry.update((row["name"], row) for row in items)
        known[dataset] = list(entry.values())
        with self._writing("write the list of pictures"):
            self._write_json("items.json", known)

    def add_run(self, provenance: Row, run: str | None = None) -> None:
        """Keep the provenance of this call of ``workbench run``, or of another run."""
        with self._writing("write provenance"):
            self._write_json(f"runs/{run or self.run}.json", provenance)

    def _write_json(self, name: str, value: Any, durable: bool = True) -> None:
        target = self.path / name
        part = target.with_name(target.name + ".part")
        part.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")
        if durable:
            sync(part)
        part.replace(target)
        if durable:
            sync(target.parent)

    @contextlib.contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(self.path, what, error) from error

    # -- reading ------------------------------------------------------------------------------

    def items(self) -> dict[str, list[Row]]:
        """The pictures of each dataset that was run: dicts with name, sha256, width, height."""
        path = self.path / "items.json"
        return dict(read_json(path)) if path.exists() else {}

    def runs(self) -> dict[str, Row]:
        """Provenance by run."""
        paths = sorted((self.path / "runs").glob("*.json"))
        return {path.stem: read_json(path) for path in paths}

    def blob(self, sha256: str) -> bytes:
        """Return kept bytes.

        Raises:
            StoreError: they are gone or damaged.
        """
        return self.blobs.get(sha256)

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """All rows of a table, one a key: where a key comes twice, the newest."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = _schema(name)
        wanted = columns or schema.names
        reading = list(dict.fromkeys([*IDENTITY[name], *wanted]))
        # First of all: a running writer may move them to parquet while this reads.
        journals = sorted(self.path.glob("journal-*.jsonl"))
        fresh = [row for table, row in journal.read(journals) if table == name]
        parts = []
        for path in sorted((self.path / "rows").glob(f"{name}-*.parquet")):
            try:
                parts.append(pq.read_table(path, columns=reading, page_checksum_verification=True))
            except (pa.ArrowException, OSError, ValueError) as error:
                reason = str(error).splitlines()[0]
                if self._lock is None:
                    raise StoreError(
                        f"{path}: damaged ({reason}): run again; only its rows are measured again"
                    ) from None
                self._set_aside(path, reason)
        parts.append(pa.Table.from_pylist(fresh, schema=schema).select(reading))
        whole = pa.concat_tables(parts)
        return _newest(whole, IDENTITY[name]).select(wanted)

    def frame(self, name: str) -> pd.DataFrame:
        """All rows of a table as a pandas DataFrame."""
        frame: pd.DataFrame = self.table(name).to_pandas()
        return frame


def _schema(table: str) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.type_for_alias(kind)) for name, kind in TABLES[table].items()])


def _newest(table: pa.Table, identity: tuple[str, ...]) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    index = pa.array(np.arange(len(table)))
    last = table.append_column("_row", index).group_by(list(identity)).aggregate([("_row", "max")])
    return table.take(np.sort(last["_row_max"].to_numpy()))
