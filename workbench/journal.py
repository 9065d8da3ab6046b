"""A file of rows that grows a line at a time; a line has a CRC-32 and holds what belongs together.

A line that was being written when the process ended is dropped when it is read, whole.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SYNC_S = 2.0  # rows are forced to the disk this often at most: a power cut costs those after it
Row = dict[str, Any]


class Journal:
    """A journal that is written; ``n_rows`` counts what it holds. All methods may raise OSError."""

    def __init__(self, path: Path) -> None:
        self.n_rows = 0
        self._file = open(path, "ab")  # noqa: SIM115
        self._synced = time.monotonic()
        sync(path.parent)

    def append(self, rows: list[tuple[str, Row]]) -> None:
        """Add rows, each with its table's name: all are read again, or none."""
        text = json.dumps(rows, allow_nan=False).encode()
        self._file.write(b"%08x %s\n" % (zlib.crc32(text), text))
        self._file.flush()
        self.n_rows += len(rows)
        if time.monotonic() - self._synced > SYNC_S:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read(paths: Iterable[Path]) -> Iterator[tuple[str, Row]]:
    """The rows of whole lines, with their tables' names.

    A journal that is gone by now was moved to parquet: who reads both begins with the journals.
    """
    for path in paths:
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            continue
        for line in lines:
            crc, _, text = line.rstrip(b"\n").partition(b" ")
            if line.endswith(b"\n") and crc == b"%08x" % zlib.crc32(text):
                yield from json.loads(text)


def sync(path: Path) -> None:
    """Force a file, or a folder's list of files, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
