"""Run directories that are cut, full, fought over, moved, merged."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.errors import StoreError
from workbench.merging import merge
from workbench.repair import repair
from workbench.runner import execute
from workbench.store import Store

from .conftest import Comparison, wait_until

N_CUTS = 40


def test_a_store_cut_at_random_positions_redoes_what_was_lost_and_no_more(
    comparison: Comparison, tmp_path: Path
) -> None:
    random.seed(40)
    whole = Path(comparison.options.out or "")
    files = sorted(
        p.relative_to(whole) for p in whole.rglob("*") if p.is_file() and p.stat().st_size
    )
    kinds = {file.parts[0] for file in files}
    assert {"blobs", "rows", "runs", "items.json", "store.json"} <= kinds
    # Every kind of file is hit, then files at random.
    chosen = [random.choice([f for f in files if f.parts[0] == kind]) for kind in sorted(kinds)]
    chosen += random.sample([file for file in files if file.parts[0] != "blobs"], 8)
    chosen += random.choices(files, k=N_CUTS - len(chosen))
    n_redone = 0
    for trial, file in enumerate(chosen):
        out = tmp_path / str(trial)
        shutil.copytree(whole, out)
        size = (out / file).stat().st_size
        os.truncate(out / file, random.randrange(size))
        if trial % 2:
            repair(out)
        summary = execute(comparison.into(out))
        comparison.assert_as_undisturbed(out)
        assert summary.n_failed == 0
        if file.parts[0] == "blobs":
            assert summary.n_measured <= 1, file
        n_redone += summary.n_measured
        shutil.rmtree(out)
    assert n_redone > 0


def test_damage_is_told_by_file_and_by_cell(comparison: Comparison, tmp_path: Path) -> None:
    shutil.copytree(comparison.options.out or "", tmp_path / "run")
    store = Store(tmp_path / "run")
    row = store.frame("coded").query("point == 'step16'").iloc[3]
    [item] = [i for i in next(iter(store.items().values())) if i["sha256"] == row["image_sha256"]]
    blob = tmp_path / "run" / "blobs" / row["stream"][:1] / row["stream"][1:]
    blob.write_bytes(b"x" + blob.read_bytes()[1:])  # as long as before
    found = repair(tmp_path / "run")
    assert found.cells == [f"tiny@step16 {item['name']}"]
    assert "its hash differs" in found.files[0]
    summary = execute(comparison.into(tmp_path / "run"))
    assert summary.n_measured == 1
    [line] = summary.damage
    assert line.startswith("1 cells had lost rows or streams and were redone: see ")
    assert Path(line.rpartition(" ")[2]).read_text() == f"tiny@step16 {item['name']}\n"
    comparison.assert_as_undisturbed(tmp_path / "run")


def test_a_damaged_file_of_rows_is_set_aside_by_the_next_run(
    comparison: Comparison, tmp_path: Path
) -> None:
    shutil.copytree(comparison.options.out or "", tmp_path / "run")
    [path] = (tmp_path / "run" / "rows").glob("coded-*")
    data = bytearray(path.read_bytes())
    data[200] ^= 1  # one bit, in the middle of a page
    path.write_bytes(data)
    with pytest.raises(StoreError, match="run again; only its rows are measured again"):
        Store(tmp_path / "run").table("coded")
    summary = execute(comparison.into(tmp_path / "run"))
    assert summary.n_measured == comparison.n_cells
    assert "damaged" in summary.damage[0]
    assert summary.damage[1].startswith(f"{comparison.n_cells} cells had lost rows")
    comparison.assert_as_undisturbed(tmp_path / "run")


def test_a_disk_that_fills_up_and_gets_room_again_loses_nothing(
    comparison: Comparison, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(disk)]
    if os.name != "posix" or os.geteuid() != 0 or subprocess.run(mount).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        full = comparison.host(disk / "run")
        _, told = full.communicate(timeout=60)
        assert full.returncode == 1
        assert "No space left on device" in told
        assert "make room or choose another directory, then run again" in told
        assert "Traceback" not in told
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        summary = execute(comparison.into(disk / "run"))
        assert summary.n_done_before > 0
        comparison.assert_as_undisturbed(disk / "run")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_of_two_hosts_on_one_store_one_writes_and_the_other_is_told_who(
    comparison: Comparison, tmp_path: Path, slowly: Callable[[float], None]
) -> None:
    slowly(0.03)
    first = comparison.host(tmp_path / "run")
    wait_until(lambda: (tmp_path / "run" / "writer.json").exists())
    second = comparison.host(tmp_path / "run")
    _, told = second.communicate(timeout=60)
    assert second.returncode == 1
    assert "another run is writing here" in told
    assert f"process {first.pid} on " in told
    first.communicate(timeout=60)
    assert first.returncode == 0
    comparison.assert_as_undisturbed(tmp_path / "run")


def test_of_two_hosts_that_start_at_once_one_writes(
    comparison: Comparison, tmp_path: Path, slowly: Callable[[float], None]
) -> None:
    slowly(0.1)  # six seconds: long enough for both to meet
    both = [comparison.host(tmp_path / "run") for _ in range(2)]
    for host in both:
        host.communicate(timeout=60)
    assert sorted(host.returncode for host in both) == [0, 1]
    comparison.assert_as_undisturbed(tmp_path / "run")


def test_a_reader_sees_every_row_while_a_writer_moves_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.store.JOURNAL_ROWS", 3)
    written = 0

    def write() -> None:
        nonlocal written
        with Store(tmp_path / "run", write=True) as store:
            for index in range(150):
                store.append("coded", [{"key": str(index)}])
                written = index + 1

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: written)
    n_looks = 0
    while writer.is_alive():
        before = written
        assert len(Store(tmp_path / "run").table("coded", ["key"])) >= before
        n_looks += 1
    writer.join()
    assert n_looks > 3
    assert len(Store(tmp_path / "run").table("coded")) == 150


JUMPY = """
import random, time
_time = time.time
random.seed(1)
# Up to four months either way, at every look at the clock.
time.time = lambda: _time() + random.uniform(-1e7, 1e7)
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_clock_that_jumps_changes_no_row(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    import time

    monkeypatch.setattr(time, "time", time.time)  # restored after the plugin has replaced it
    plugin = tmp_path / "tiny.py"
    plugin.write_text(Path(comparison.options.plugins[0]).read_text() + JUMPY)
    calm = comparison.into(tmp_path / "calm", plugins=(str(plugin),), workers=workers, limit=6)
    execute(calm)
    again = execute(comparison.into(tmp_path / "calm", plugins=(str(plugin),), workers=workers))
    assert again.n_done_before == 6 * 5
    # The plugin's code differs, so that its keys do; all else is as in a calm run.
    from .conftest import results

    for found, expected in zip(results(tmp_path / "calm"), comparison.expected, strict=True):
        columns = [c for c in expected.columns if c != "key"]
        by = [c for c in ("image", "point", "metric") if c in columns]
        a = found[found["n_images"] == 12] if "n_images" in columns else found
        left, right = (t.sort_values(by)[columns].reset_index(drop=True) for t in (a, expected))
        assert left.equals(right)


def test_shards_merge_to_the_whole(comparison: Comparison, tmp_path: Path) -> None:
    parts = [tmp_path / f"part{i}" for i in (1, 2, 3)]
    for i, part in enumerate(parts, 1):
        summary = execute(comparison.into(part, shard=f"{i}/3"))
        assert summary.n_measured == comparison.n_cells // 3
    merged = merge(parts, tmp_path / "whole")
    assert merged.damaged == 0
    summary = execute(comparison.into(tmp_path / "whole"))
    assert (summary.n_measured, summary.n_done_before) == (0, comparison.n_cells)
    comparison.assert_as_undisturbed(tmp_path / "whole")
    assert len(Store(tmp_path / "whole").runs()) == 4


def test_a_moved_run_goes_on(comparison: Comparison, tmp_path: Path) -> None:
    execute(comparison.into(tmp_path / "here", limit=5))
    shutil.move(tmp_path / "here", tmp_path / "there")
    summary = execute(comparison.into(tmp_path / "there"))
    assert summary.n_done_before == 5 * 5
    found = {row["n_images"] for row in Store(tmp_path / "there").table("sets").to_pylist()}
    assert found == {5, 12}


def test_a_merge_leaves_out_rows_whose_streams_are_damaged_and_prefers_results(
    comparison: Comparison, tmp_path: Path
) -> None:
    shutil.copytree(comparison.options.out or "", tmp_path / "a")
    stream = Store(tmp_path / "a").table("coded").to_pylist()[0]["stream"]
    (tmp_path / "a" / "blobs" / stream[:1] / stream[1:]).write_bytes(b"")
    with Store(tmp_path / "b", write=True) as store:
        rows = store_rows(tmp_path / "a")
        store.append("coded", [{**rows[1], "error": "failed", "stream": None}])
    merged = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert merged.damaged == 1
    kept = {row["key"]: row for row in Store(tmp_path / "c").table("coded").to_pylist()}
    assert len(kept) == comparison.n_cells - 1
    assert kept[rows[1]["key"]]["error"] is None
    assert execute(comparison.into(tmp_path / "c")).n_measured == 1
    comparison.assert_as_undisturbed(tmp_path / "c")


def store_rows(path: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = Store(path).table("coded").to_pylist()
    return found


@pytest.mark.parametrize("place", ["memory://bucket/streams", "file://{tmp}/elsewhere"])
def test_streams_may_live_elsewhere(comparison: Comparison, tmp_path: Path, place: str) -> None:
    pytest.importorskip("fsspec")
    url = place.format(tmp=tmp_path)
    workers = 2 if url.startswith("file") else 0  # memory is of one process
    execute(comparison.into(tmp_path / "run", blobs=url, workers=workers))
    comparison.assert_as_undisturbed(tmp_path / "run")
    assert not list((tmp_path / "run" / "blobs").rglob("*"))
    store = Store(tmp_path / "run")
    row = store.table("coded").to_pylist()[0]
    assert len(store.blob(row["stream"])) > row["n_bytes"]
    store.blobs.discard(row["stream"])
    with pytest.raises(StoreError, match="cannot be read"):
        store.blob(row["stream"])
    assert execute(comparison.into(tmp_path / "run")).n_measured == 1
    comparison.assert_as_undisturbed(tmp_path / "run")
    with pytest.raises(StoreError, match="its streams are in .*, not in s3://other"):
        execute(comparison.into(tmp_path / "run", blobs="s3://other"))
