"""Runs that are stopped from outside: by the user, by a full disk, by each other."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from workbench import rows
from workbench.runner import Options, execute
from workbench.store import Store

from .conftest import children_of

SLOW = """
import os, time, zlib
import numpy as np
import workbench

class Slow(workbench.Codec):
    name = "slow"
    points = workbench.points("level", [1, 2, 3, 4])

    def encode(self, image, point):
        time.sleep(0.3)
        while point.level == 4 and not os.path.exists(os.environ.get("GO_ON", "/")):
            time.sleep(0.05)
        return zlib.compress(np.array(image.shape[:2], "<u4").tobytes() + image.tobytes())

    def decode(self, stream, output):
        raw = zlib.decompress(stream)
        return np.frombuffer(raw[8:], np.uint8).reshape(*np.frombuffer(raw[:8], "<u4"), 3)

@workbench.hookimpl
def workbench_codecs():
    return [Slow]
"""


@pytest.fixture
def command(photos: Path, tmp_path: Path) -> Sequence[str]:
    """A run of twelve cells that takes some four seconds."""
    (tmp_path / "slow.py").write_text(SLOW)
    return [
        sys.executable, "-m", "workbench", "run", "--codecs", "slow", "--tasks", "psnr",
        "--dataset", f"folder:{photos}", "--plugin", str(tmp_path / "slow.py"),
        "--out", str(tmp_path / "run"),
    ]  # fmt: skip


def wait_for_rows(run: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(path.stat().st_size for path in run.glob("journal-*")):
            return
        time.sleep(0.01)
    raise AssertionError("no row came within a minute")


def test_ctrl_c_keeps_finished_cells_and_says_how_to_go_on(
    command: Sequence[str], photos: Path, tmp_path: Path
) -> None:
    host = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in the background of a shell inherit that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for_rows(tmp_path / "run")
    host.send_signal(signal.SIGINT)
    _, told = host.communicate(timeout=30)
    assert host.returncode == 130
    assert "run again to go on" in told
    assert "Traceback" not in told
    options = Options("slow", "psnr", f"folder:{photos}", tmp_path / "run",
                      plugins=(str(tmp_path / "slow.py"),))  # fmt: skip
    summary = execute(options)
    assert 0 < summary.n_done_before < summary.n_cells == 12
    assert len(rows.load(tmp_path / "run").images) == 12


def test_a_second_run_in_the_same_directory_is_refused_and_the_first_goes_on(
    command: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first run waits at its last point until the second has been refused.
    monkeypatch.setenv("GO_ON", str(tmp_path / "go"))
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_rows(tmp_path / "run")
    second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    (tmp_path / "go").touch()
    assert second.returncode == 1
    assert "another run is writing here: wait for it" in second.stderr
    told, _ = first.communicate(timeout=60)
    assert first.returncode == 0
    assert "12 cells measured, 0 were done before, 0 failed" in told


def test_workers_end_when_the_host_is_killed(command: Sequence[str], tmp_path: Path) -> None:
    host = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    wait_for_rows(tmp_path / "run")
    children = children_of(host.pid)
    assert children
    host.kill()
    host.wait()
    deadline = time.monotonic() + 20
    while any(alive(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [child for child in children if alive(child)] == []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_disk_that_is_full_stops_the_run_in_one_line_and_loses_nothing(
    command: Sequence[str], photos: Path, tmp_path: Path
) -> None:
    # A limit on the size of files stands in for the disk: writing past it fails the same way.
    limited = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, resource.RLIM_INFINITY))\n"
        "sys.argv = sys.argv[1:]\nfrom workbench.cli import main\n"
        "if __name__ == '__main__': main()\n"
    )
    (tmp_path / "limited.py").write_text(limited)
    small = [a.replace("slow", "jpeg") if a == "slow" else a for a in command]
    arguments = [sys.executable, str(tmp_path / "limited.py"), *small[1:2], *small[3:]]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if "File too large" in line]
    assert "make room or choose another directory, then run again" in line
    assert "Traceback" not in done.stderr
    kept = Store(tmp_path / "run").frame("decoded")
    assert len(kept) > 0
    summary = execute(Options("jpeg", "psnr", f"folder:{photos}", tmp_path / "run"))
    assert summary.n_done_before + summary.n_measured == summary.n_cells
    assert rows.load(tmp_path / "run").images["psnr_rgb"].notna().all()
