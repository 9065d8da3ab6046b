"""Codecs that leak, crash and hang take their worker down, not the run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from workbench import rows
from workbench.runner import execute

from .conftest import Comparison

LEAKS = """
_kept = []
def leak(self, image, point, encode=Tiny.encode):
    _kept.append(bytearray(60 << 20))  # two or three cells fill the limit
    return encode(self, image, point)
Tiny.encode = leak
"""
GREEDY = """
def greedy(self, image, point, encode=Tiny.encode):
    if point.step == 8:
        bytearray(4 << 30)
    return encode(self, image, point)
Tiny.encode = greedy
"""
SHOUTS = """
import os, sys
def shout(self, image, point):
    print("the table is 12 entries short", file=sys.stderr, flush=True)
    os.abort()
Tiny.encode = shout
"""


def plugin(comparison: Comparison, tmp_path: Path, more: str) -> str:
    file = tmp_path / "tiny.py"
    file.write_text(Path(comparison.options.plugins[0]).read_text() + more)
    return str(file)


@pytest.mark.skipif(sys.platform != "linux", reason="the memory limit is Linux's RLIMIT_DATA")
def test_a_leak_costs_workers_but_no_cell(comparison: Comparison, tmp_path: Path) -> None:
    options = comparison.into(
        tmp_path / "run", plugins=(plugin(comparison, tmp_path, LEAKS),), workers=2, limit=3,
        memory_gib=0.5,
    )  # fmt: skip
    summary = execute(options)
    assert (summary.n_measured, summary.n_failed) == (15, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="the memory limit is Linux's RLIMIT_DATA")
def test_a_cell_that_needs_more_than_the_limit_fails_alone(
    comparison: Comparison, tmp_path: Path
) -> None:
    options = comparison.into(
        tmp_path / "run", plugins=(plugin(comparison, tmp_path, GREEDY),), workers=1, limit=2,
        memory_gib=0.5,
    )  # fmt: skip
    assert execute(options).n_failed == 2
    frame = rows.load(tmp_path / "run").images
    failed = frame[frame["error"].notna()]
    assert set(failed["point"]) == {"step8"}
    assert all("memory limit of 0.5 GiB: MemoryError" in error for error in failed["error"])


def test_the_last_words_of_a_dead_worker_are_in_the_row(
    comparison: Comparison, tmp_path: Path
) -> None:
    options = comparison.into(
        tmp_path / "run", plugins=(plugin(comparison, tmp_path, SHOUTS),), workers=1, limit=1,
        codecs="tiny@step64",
    )  # fmt: skip
    assert execute(options).n_failed == 1
    [error] = rows.load(tmp_path / "run").images["error"]
    assert "signal 6 (Aborted): the table is 12 entries short | Fatal Python error" in error
    assert ", line " in error


def test_a_plugin_that_dies_when_it_is_imported_by_workers_fails_its_cells(
    comparison: Comparison, tmp_path: Path
) -> None:
    dies = (
        "\nimport os, sys\nif 'workbench.executors.worker' in ' '.join(sys.orig_argv): os._exit(7)"
    )
    options = comparison.into(
        tmp_path / "run", plugins=(plugin(comparison, tmp_path, dies),), workers=1, limit=1,
        codecs="tiny@step64",
    )  # fmt: skip
    assert execute(options).n_failed == 1
    [error] = rows.load(tmp_path / "run").images["error"]
    assert "its process died with exit code 7" in error
