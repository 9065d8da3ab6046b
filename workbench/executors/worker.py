"""A worker process: it reads pickled jobs from its standard input and answers on its output.

Started by :mod:`workbench.executors.pool` as a program of its own, so that nothing of the calling
program is imported again. The first message is a :class:`Start`, each
further one a job. An answer is :class:`Ready`, the rows of a job, or, at last, the host's own
error, a full disk for instance.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.measure import Rows, Setting
    from workbench.plan import Job

GIB = 1 << 30
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True)
class Start:
    """What a worker must know before its first job; ``codecs`` are those to tell the keys of."""

    setting: Setting
    import_path: Sequence[str]
    memory_gib: float | None = None
    codecs: Sequence[str] = ()


@dataclass(frozen=True)
class Ready:
    """The worker waits for jobs; the content keys of codecs as they are installed here."""

    keys: Mapping[str, str]


def main() -> None:
    """Serve jobs until the standard input ends."""
    jobs, answers = _take_over_standard_files()
    faulthandler.enable()
    _die_with_the_host()
    start: Start = pickle.load(jobs)
    sys.path += [folder for folder in start.import_path if folder not in sys.path]
    _limit_memory(start.memory_gib)
    try:
        from workbench.measure import Bench
        from workbench.provenance import plugin_key

        bench = Bench(start.setting)
        _answer(
            answers,
            Ready({name: plugin_key(bench.registry.codec(name)) for name in start.codecs}),
        )
        while True:
            try:
                job: Job = pickle.load(jobs)
            except EOFError:
                return
            rows = bench.run(job)
            if start.memory_gib is not None:
                _end_if_out_of_memory(rows, start.memory_gib)
            _answer(answers, rows)
    except WorkbenchError as error:
        _answer(answers, error)
    except Exception:
        _answer(answers, RuntimeError(f"in a worker process:\n{traceback.format_exc()}"))


def _take_over_standard_files() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes to the host out of the way of plugins, whose prints go to the log."""
    jobs = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return jobs, answers


def _answer(answers: BinaryIO, value: object) -> None:
    pickle.dump(value, answers, pickle.HIGHEST_PROTOCOL)
    answers.flush()


def _die_with_the_host() -> None:
    """End with the host, even in the middle of a job; elsewhere than on Linux after the job."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_memory(memory_gib: float | None) -> None:
    if memory_gib is None:
        return
    import resource

    n_bytes = int(memory_gib * GIB)
    # The private writable memory of this process, and of each that it starts: what leaks. The
    # address space would count files and the reservations of CUDA, too.
    resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, n_bytes))


def _end_if_out_of_memory(rows: Rows, memory_gib: float) -> None:
    """Give up this process where a cell ran out of memory: others may have leaked it before."""
    for _, row in rows:
        error = str(row.get("error") or "")
        if "memory" in error.lower() or "alloc" in error.lower():
            with contextlib.suppress(OSError):
                print(f"memory limit of {memory_gib:g} GiB: {error}", file=sys.stderr, flush=True)
            os._exit(1)
