"""The run directory: what survives, what is refused."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from workbench.errors import StoreError
from workbench.store import Store


def coded(key: str, **more: object) -> dict[str, object]:
    return {"key": key, "codec": "c", "point": "p", "n_bytes": 1, **more}


def keys(path: Path) -> list[str]:
    return Store(path).table("coded", ["key"]).to_pydict()["key"]


def test_rows_are_read_before_and_after_they_move_to_parquet(tmp_path: Path) -> None:
    with Store(tmp_path / "run", write=True) as store:
        store.append("coded", [coded("a"), coded("b")])
        assert keys(tmp_path / "run") == ["a", "b"]
    assert not list((tmp_path / "run").glob("journal-*"))
    assert keys(tmp_path / "run") == ["a", "b"]


def test_the_newest_row_of_a_key_wins(tmp_path: Path) -> None:
    for value in (1, 2, 3):
        with Store(tmp_path / "run", write=True) as store:
            store.append("coded", [coded("a", n_bytes=value), coded("b")])
    rows = Store(tmp_path / "run").frame("coded")
    assert rows.set_index("key")["n_bytes"].to_dict() == {"a": 3, "b": 1}


def test_a_journal_torn_at_any_byte_loses_at_most_its_last_row(tmp_path: Path) -> None:
    store = Store(tmp_path / "run", write=True)
    store.append("coded", [coded("a")])
    store.append("coded", [coded("b")])
    store.close()
    [journal] = (tmp_path / "run").glob("journal-*")
    whole = journal.read_bytes()
    first = whole.index(b"\n") + 1
    for kept in range(first, len(whole)):
        journal.write_bytes(whole[:kept])
        assert keys(tmp_path / "run") == ["a"]
    journal.write_bytes(whole)
    assert keys(tmp_path / "run") == ["a", "b"]


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    with (
        Store(tmp_path / "run", write=True),
        pytest.raises(StoreError, match="another run is writing here"),
    ):
        Store(tmp_path / "run", write=True)
    Store(tmp_path / "run", write=True).close()


def test_another_format_is_refused_by_number(tmp_path: Path) -> None:
    Store(tmp_path / "run", write=True).close()
    (tmp_path / "run" / "store.json").write_text(json.dumps({"format": 99}))
    for write in (False, True):
        with pytest.raises(StoreError, match="store format 99, this workbench reads format 1"):
            Store(tmp_path / "run", write=write)


def test_a_folder_of_other_things_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StoreError, match="not empty and not a run directory"):
        Store(tmp_path, write=True)
    with pytest.raises(StoreError, match="no run directory"):
        Store(tmp_path)


def test_a_path_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file: cannot create \(.*\): make room or choose"):
        Store(tmp_path / "file", write=True)


def test_a_full_disk_keeps_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "run", write=True)
    store.append("coded", [coded("a")])

    def full(rows: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store._journal, "append", full)
    with pytest.raises(StoreError, match="No space left on device.*finished cells are kept"):
        store.append("coded", [coded("b")])
    store.close()
    assert keys(tmp_path / "run") == ["a"]


def test_blobs_are_kept_once_and_damage_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path / "run", write=True)
    name = store.put_blob(b"stream")
    assert store.put_blob(b"stream") == name
    assert store.blob(name) == b"stream"
    [path] = (p for p in (tmp_path / "run" / "blobs").rglob("*") if p.is_file())
    path.write_bytes(b"strexm")
    with pytest.raises(StoreError, match="damaged, its hash differs"):
        store.blob(name)
    store.close()


def test_a_damaged_parquet_file_is_named_with_the_cure(tmp_path: Path) -> None:
    with Store(tmp_path / "run", write=True) as store:
        store.append("coded", [coded("a")])
    [path] = (tmp_path / "run" / "rows").glob("coded-*")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match="damaged .*run again; only its rows are measured again"):
        keys(tmp_path / "run")
