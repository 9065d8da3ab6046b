"""``workbench plan``, ``status`` and ``merge``, from the command line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench import rows
from workbench.errors import WorkbenchError
from workbench.estimate import estimate
from workbench.executors.dispatch import shrinking
from workbench.plan import Job
from workbench.runner import Options, execute
from workbench.selection import select
from workbench.store import Store

Cli = Callable[..., subprocess.CompletedProcess[str]]


def test_a_plan_tells_time_and_bytes_of_what_was_measured(photos: Path, tmp_path: Path) -> None:
    execute(Options("jpeg@50", "psnr", f"folder:{photos}", tmp_path / "run", limit=2))
    frame = rows.load(tmp_path / "run").images
    found = estimate(Options("jpeg@50", "psnr", f"folder:{photos}", tmp_path / "run"))
    assert (found.n_cells, found.n_todo, found.n_done) == (3, 1, 2)
    [line] = found.lines
    assert (line.codec, line.n_cells, line.n_unknown) == ("jpeg", 1, 0)
    # The third picture at the rate of the first two, a pixel.
    sizes = {i["name"]: i["width"] * i["height"] for i in items(tmp_path / "run", photos)}
    pixels = sum(sizes[name] for name in frame["image"])
    [left] = [n for name, n in sizes.items() if name not in set(frame["image"])]
    assert line.n_bytes == pytest.approx(frame["n_bytes"].sum() / pixels * left, abs=1)
    spent = (frame["encode_s"] + frame["decode_s"]).sum() / pixels * left
    assert spent < line.seconds < spent + 1  # PSNR takes some, too


def items(run: Path, photos: Path) -> list[dict[str, object]]:
    from workbench.selection import listed

    found = select(Options("jpeg@50", "psnr", f"folder:{photos}", run)).items
    return [listed(item) for item in found]


def test_a_plan_runs_nothing_and_says_what_is_unknown(photos: Path, workbench_cli: Cli) -> None:
    done = workbench_cli("plan", "--codecs", "jpeg@50,webp", "--tasks", "psnr", "--dataset",
                         f"folder:{photos}", "--json")  # fmt: skip
    found = json.loads(done.stdout)
    assert found["n_todo"] == 3 + 3 * len(select(Options("webp", "psnr")).codecs[0][1])
    assert [line["n_unknown"] for line in found["lines"]] == [
        line["n_cells"] for line in found["lines"]
    ]
    told = workbench_cli("plan", "--codecs", "jpeg@50", "--tasks", "psnr", "--dataset",
                         f"folder:{photos}", "--probe", "--workers", 2)  # fmt: skip
    assert "3 cells: 3 to do, 0 done, 0 failed before" in told.stdout
    assert "Some 0:00:0" in told.stdout
    assert "on 2 workers" in told.stdout


def test_status_tells_running_runs_from_killed_ones(
    photos: Path, tmp_path: Path, workbench_cli: Cli
) -> None:
    run = tmp_path / "run"
    execute(Options("jpeg@50", "psnr", f"folder:{photos}", run))
    told = workbench_cli("status", "run").stdout
    assert "run: 3 streams, 0 failed cells" in told
    assert f"ended: process {os.getpid()} on " in told
    assert "3 of 3 cells, 0 of them failed" in told
    with Store(run, write=True) as store:
        store.write_progress(done=1, total=4, failed=0, now="jpeg@50")
        found = json.loads(workbench_cli("status", "run", "--json").stdout)
        assert found["state"] == "running"
        assert found["left_s"] >= 0
    # A killed run leaves the name of its writer behind; this process number is beyond any real.
    writer = {"host": os.uname().nodename, "pid": 2**22 + 1, "since": "2026-01-01T00:00:00+00:00"}
    (run / "writer.json").write_text(json.dumps(writer))
    assert json.loads(workbench_cli("status", "run", "--json").stdout)["state"] == "killed"
    repaired = workbench_cli("status", "run", "--repair")
    assert "3 streams and predictions read, 0 files damaged" in repaired.stdout
    assert workbench_cli("status", "nowhere").returncode == 1
    assert not (tmp_path / "nowhere").exists()


def test_shards_merge_on_the_command_line(photos: Path, tmp_path: Path, workbench_cli: Cli) -> None:
    for shard in ("1/2", "2/2"):
        workbench_cli("run", "--codecs", "jpeg@50", "--tasks", "psnr", "--dataset",
                      f"folder:{photos}", "--shard", shard, "--out", f"s{shard[0]}")  # fmt: skip
    told = workbench_cli("merge", "s1", "s2", "--out", "whole").stdout
    # Three pictures: a coded row, a decoded row and the PSNRs of RGB, Y and YUV each.
    assert told == "15 rows and 3 streams and predictions added to whole\n"
    frame = rows.load(tmp_path / "whole").images
    assert sorted(frame["image"]) == ["astronaut.png", "chelsea.png", "coffee.png"]


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "a/b", "1/0"])
def test_a_shard_that_is_none_is_refused(shard: str) -> None:
    with pytest.raises(WorkbenchError, match="must be i/n with i in 1..n"):
        select(Options("jpeg@50", "psnr", shard=shard))


def test_the_last_jobs_are_cut_so_that_workers_end_together() -> None:
    point = select(Options("jpeg@50", "psnr")).codecs[0][1][0]
    jobs = [Job("jpeg", point, tuple(range(8))) for _ in range(4)]  # type: ignore[arg-type]
    sizes = [len(job.cells) for job in shrinking(jobs, 32, 2)]
    # A job holds at most a quarter of what is left: of 32, 24, 16 (4 of 16, 3 of 12, 1 of a job
    # that held 8), then 8: 2, 1, 1, 1, 1, 1, 1.
    assert sizes == [8, 6, 2, 4, 3, 1, 2, 1, 1, 1, 1, 1, 1]
    assert [len(job.cells) for job in shrinking(jobs, 32, 1)] == [8, 8, 8, 8]
