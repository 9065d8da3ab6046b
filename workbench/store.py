"""A run directory: rows, coded streams and provenance; safe against kill -9 and full disks.

::

    DIR/store.json             format of the directory
    DIR/items.json             pictures of each dataset: name, hash, size
    DIR/runs/*.json            provenance, one file a call of ``workbench run``
    DIR/rows/TABLE-*.parquet   rows; a row's key names it, later files win
    DIR/journal-*.jsonl        rows not yet in parquet, a CRC-32 a line; a torn last line is dropped
    DIR/blobs/a/bcdef...        streams and predictions, named by the SHA-256 of their bytes

Rows are appended to the journal as they come and moved to parquet when a run ends or the journal
grows long. Tables, see :data:`TABLES`: ``coded`` has a row a stream, ``decoded`` a row an output
of a stream, ``scores`` a row a metric of an output, ``sets`` a row a metric of a whole dataset.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from workbench import blobs
from workbench.errors import StoreError, cannot_write

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMAT = 1
JOURNAL_ROWS = 5_000  # some 3 MB: rows are moved to parquet in pieces of this size
Row = dict[str, Any]

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

    Use as a context manager when writing: leaving it moves the journal into parquet.

    Raises:
        StoreError: no run directory, another format, locked by another run, or unwritable.
    """

    def __init__(self, path: str | os.PathLike[str], *, write: bool = False) -> None:
        self.path = Path(path)
        self.run = uuid.uuid4().hex[:12]
        self._journal: Any = None
        self._journal_rows = 0
        self._lock: Any = None
        if write:
            self._prepare()
        self._check_format()

    # -- opening and closing ------------------------------------------------------------------

    def _prepare(self) -> None:
        from filelock import FileLock, Timeout

        with self._writing("create"):
            foreign = not (self.path / "store.json").exists()
            if foreign and self.path.is_dir() and any(self.path.iterdir()):
                raise StoreError(f"{self.path}: not empty and not a run directory: choose another")
            for folder in ("rows", "runs", "blobs"):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path / "lock")
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise StoreError(
                    f"{self.path}: another run is writing here: wait for it, or use another --out"
                ) from None
            if not (self.path / "store.json").exists():
                self._write_json("store.json", {"format": FORMAT})

    def _check_format(self) -> None:
        try:
            found = json.loads((self.path / "store.json").read_text())["format"]
        except FileNotFoundError:
            raise StoreError(
                f"{self.path}: no run directory: make one with workbench run"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self.path}/store.json: cannot be read ({error})") from None
        if found != FORMAT:
            self.close()
            raise StoreError(
                f"{self.path}: store format {found}, this workbench reads format {FORMAT}: "
                "use the release that made it, or another directory"
            )

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
            self._lock.release()
            self._lock = None

    # -- writing ------------------------------------------------------------------------------

    def append(self, table: str, rows: Iterable[Row]) -> None:
        """Add rows to a table; they survive the end of this process from here on."""
        lines = []
        for row in rows:
            text = json.dumps([table, {**row, "run": self.run}], allow_nan=False)
            lines.append(f"{zlib.crc32(text.encode()):08x} {text}\n")
        if not lines:
            return
        with self._writing("append rows"):
            if self._journal is None:
                path = self.path / f"journal-{self.run}.jsonl"
                self._journal = open(path, "a", encoding="utf-8")  # noqa: SIM115
            self._journal.write("".join(lines))
            self._journal.flush()
        self._journal_rows += len(lines)
        if self._journal_rows >= JOURNAL_ROWS:
            self.compact()

    def compact(self) -> None:
        """Move all journals into parquet files."""
        with self._writing("write rows"):
            if self._journal is not None:
                self._journal.close()
                self._journal = None
            self._journal_rows = 0
            journals = sorted(self.path.glob("journal-*.jsonl"))
            tables: dict[str, list[Row]] = {}
            for journal in journals:
                for table, row in _read_journal(journal):
                    tables.setdefault(table, []).append(row)
            for table, rows in tables.items():
                self._write_parquet(table, rows)
            _sync(self.path / "rows")
            # A crash before this line leaves rows twice, which reading makes one again.
            for journal in journals:
                journal.unlink()

    def _write_parquet(self, table: str, rows: list[Row]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Sorted by time of writing, so that the last of equal keys is the newest.
        serial = len(list((self.path / "rows").glob(f"{table}-*.parquet")))
        name = self.path / "rows" / f"{table}-{serial:06d}-{uuid.uuid4().hex[:8]}.parquet"
        part = name.with_suffix(".part")
        pq.write_table(pa.Table.from_pylist(rows, schema=_schema(table)), part, compression="zstd")
        _sync(part)
        part.replace(name)

    def put_blob(self, data: bytes) -> str:
        """Keep bytes under their own hash; return it."""
        return blobs.put(self.path, data)

    def add_items(self, dataset: str, items: Iterable[Row]) -> None:
        """Note the pictures of a dataset: dicts with name, sha256, width, height."""
        known = self.items()
        entry = {row["name"]: row for row in known.get(dataset, [])}
        entry.update((row["name"], row) for row in items)
        known[dataset] = list(entry.values())
        with self._writing("write the list of pictures"):
            self._write_json("items.json", known)

    def add_run(self, provenance: Row) -> None:
        """Keep the provenance of this call of ``workbench run``."""
        with self._writing("write provenance"):
            self._write_json(f"runs/{self.run}.json", provenance)

    def _write_json(self, name: str, value: Any) -> None:
        target = self.path / name
        part = target.with_name(target.name + ".part")
        part.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")
        _sync(part)
        part.replace(target)

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
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def runs(self) -> dict[str, Row]:
        """Provenance by run."""
        paths = sorted((self.path / "runs").glob("*.json"))
        return {path.stem: json.loads(path.read_text()) for path in paths}

    def blob(self, sha256: str) -> bytes:
        """Return kept bytes.

        Raises:
            StoreError: they are gone or damaged.
        """
        return blobs.get(self.path, sha256)

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """All rows of a table, one a key: where a key comes twice, the newest."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = _schema(name)
        wanted = columns or schema.names
        reading = list(dict.fromkeys([*IDENTITY[name], *wanted]))
        parts = []
        for path in sorted((self.path / "rows").glob(f"{name}-*.parquet")):
            try:
                parts.append(pq.read_table(path, columns=reading))
            except (pa.ArrowException, OSError) as error:
                raise StoreError(
                    f"{path}: damaged ({str(error).splitlines()[0]}): delete it and run again; "
                    "only its rows are measured again"
                ) from None
        fresh = [
            row
            for journal in sorted(self.path.glob("journal-*.jsonl"))
            for table, row in _read_journal(journal)
            if table == name
        ]
        parts.append(pa.Table.from_pylist(fresh, schema=schema).select(reading))
        whole = pa.concat_tables(parts)
        return _newest(whole, IDENTITY[name]).select(wanted)

    def frame(self, name: str) -> pd.DataFrame:
        """All rows of a table as a pandas DataFrame."""
        frame: pd.DataFrame = self.table(name).to_pandas()
        return frame


def _read_journal(path: Path) -> Iterator[tuple[str, Row]]:
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            crc, _, text = line.rstrip("\n").partition(" ")
            # Only a line that was being written when the process ended has a wrong checksum.
            if line.endswith("\n") and crc == f"{zlib.crc32(text.encode()):08x}":
                table, row = json.loads(text)
                yield table, row


def _schema(table: str) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.type_for_alias(kind)) for name, kind in TABLES[table].items()])


def _newest(table: pa.Table, identity: tuple[str, ...]) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    index = pa.array(np.arange(len(table)))
    last = table.append_column("_row", index).group_by(list(identity)).aggregate([("_row", "max")])
    return table.take(np.sort(last["_row_max"].to_numpy()))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
