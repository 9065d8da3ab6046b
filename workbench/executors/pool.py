"""Worker processes of this machine, each with pipes of its own.

Workers share no lock and no queue, so one that dies at any moment, by its own fault or by
``kill -9``, harms none but itself.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import workbench
from workbench.errors import StoreError
from workbench.executors.worker import Ready, Start
from workbench.measure import Rows, Setting
from workbench.plan import Job

# A worker that finishes jobs faster than this gets the next one ahead of time, not to wait.
QUICK_S = 0.05
# Importing plugins takes a second or two, on a loaded machine with a cold disk much longer.
START_S = 120.0
END_S = 5.0  # for a process on its way out, which may still write its last words
START_TRIES = 20  # of workers that are killed from outside before they have begun
LONGEST_WAIT_S = 3600.0  # the system's limit is beyond it
# Not with -m: the classes of its messages would be those of a module called __main__.
PROGRAM = "from workbench.executors.worker import main; main()"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Fault:
    """Why a job has no rows. ``outside``: a kill from outside, which need not be its fault;
    ``innocent``: certainly not its fault."""

    reason: str = ""
    outside: bool = False
    innocent: bool = False


Outcome = Rows | Fault


class Pool:
    """Up to ``setting.workers`` processes; a dead one is replaced when there is work for it.

    Args:
        timeout_s: a cell may take this long; a job this long a cell.
        memory_gib: memory that a process may use, None for all there is.
        n_processes: another number than ``setting.workers``.
        codecs: those whose content keys :meth:`begin` tells.
    """

    def __init__(
        self,
        setting: Setting,
        *,
        timeout_s: float,
        memory_gib: float | None = None,
        n_processes: int | None = None,
        codecs: Sequence[str] = (),
    ) -> None:
        self.n_processes = n_processes or setting.workers
        self.timeout_s = timeout_s
        self._start = Start(setting, tuple(sys.path), memory_gib, codecs)
        self._workers: list[_Worker] = []
        self._answers: queue.SimpleQueue[tuple[_Worker, Any]] = queue.SimpleQueue()
        self._seconds: dict[str, float] = {}
        self._n_false_starts = 0
        self._logs = tempfile.TemporaryDirectory(prefix="workbench-")

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.end()
        self._logs.cleanup()

    def begin(self) -> Mapping[str, str]:
        """Start a worker before its first job; the keys of codecs, none where it has died."""
        worker = self._add()
        _, answer = self._answers.get()
        if isinstance(answer, Exception):
            raise answer
        if not isinstance(answer, Ready):
            self._bury(worker)
            return {}
        worker.is_ready = True
        return answer.keys

    def _add(self) -> _Worker:
        worker = _Worker(self._start, Path(self._logs.name), self._answers)
        self._workers.append(worker)
        return worker

    @property
    def busy(self) -> bool:
        """Whether jobs are out."""
        return any(worker.jobs for worker in self._workers)

    def offer(self, job: Job) -> bool:
        """Take a job if a worker is free for it, or will be in a moment."""
        worker = next((worker for worker in self._workers if not worker.jobs), None)
        if worker is None and len(self._workers) < self.n_processes:
            worker = self._add()
        if worker is None and self._seconds.get(job.codec, QUICK_S) < QUICK_S:
            quick = [w for w in self._workers if len(w.jobs) == 1 and w.is_ready]
            worker = quick[0] if quick else None
        if worker is None:
            return False
        worker.send(job)
        if len(worker.jobs) == 1:
            self._run_next(worker)
        return True

    def _run_next(self, worker: _Worker) -> None:
        worker.started = time.monotonic()
        allowed_s = self.timeout_s * len(worker.jobs[0].cells)
        worker.deadline = worker.started + allowed_s + (0 if worker.is_ready else START_S)

    def wait(self) -> list[tuple[Job, Outcome]]:
        """Wait until something happens; the jobs that ended, with their rows or faults.

        Raises:
            WorkbenchError: the run cannot go on: the disk is full, a plugin file is gone.
        """
        now = time.monotonic()
        working = [worker for worker in self._workers if worker.jobs]
        wait_s = min(worker.deadline for worker in working) - now
        try:
            worker, answer = self._answers.get(timeout=min(max(0.0, wait_s), LONGEST_WAIT_S))
        except queue.Empty:
            for worker in working:
                if worker.deadline <= time.monotonic():
                    worker.is_overdue = True
                    worker.kill()
                    worker.deadline = float("inf")  # its end is on the way
            return []
        if answer is _DEAD:
            return self._bury(worker)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Ready):
            worker.is_ready = True
            self._n_false_starts = 0
            self._run_next(worker)
            return []
        job = worker.jobs.popleft()
        self._seconds[job.codec] = time.monotonic() - worker.started
        if worker.jobs:
            self._run_next(worker)
        return [(job, answer)]

    def _bury(self, worker: _Worker) -> list[tuple[Job, Outcome]]:
        worker.await_own_end()
        worker.kill()  # and what it started and left behind
        code = worker.end()
        self._workers.remove(worker)
        ended: list[tuple[Job, Outcome]] = []
        if worker.jobs:
            ended.append((worker.jobs[0], self._fault(worker, code)))
            ended += [(job, Fault(innocent=True)) for job in list(worker.jobs)[1:]]
        return ended

    def _fault(self, worker: _Worker, code: int) -> Fault:
        words = worker.last_words()
        if worker.is_overdue:
            return Fault(
                f"took longer than {self.timeout_s:g} s: raise --timeout if it needs more{words}"
            )
        how = f"exit code {code}"
        if code < 0:
            how = f"signal {-code} ({signal.strsignal(-code)})"
        # Nobody kills himself: an operator does, or the system when memory runs out.
        outside = code in (-signal.SIGKILL, -signal.SIGTERM)
        if outside and not worker.is_ready:
            self._n_false_starts += 1
            if self._n_false_starts < START_TRIES:
                return Fault(innocent=True)
        return Fault(f"its process died with {how}{words}", outside)


_DEAD = object()


class _Worker:
    """A process, the jobs that it has (it runs the first), and a thread that reads its answers."""

    def __init__(
        self, start: Start, logs: Path, answers: queue.SimpleQueue[tuple[_Worker, Any]]
    ) -> None:
        self.jobs: deque[Job] = deque()
        self.is_ready = False
        self.is_overdue = False
        self.started = self.deadline = 0.0
        threads = {name: str(start.setting.threads) for name in THREAD_VARIABLES}
        root = str(Path(workbench.__file__).parents[1])
        inherited = os.environ.get("PYTHONPATH", "")
        path = root + (os.pathsep + inherited if inherited else "")
        handle, self._log = tempfile.mkstemp(dir=logs)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=handle,
                env={**os.environ, **threads, "PYTHONPATH": path},
                # A group of its own: Ctrl-C is for the host alone, and a kill takes along the
                # programs that the worker has started.
                start_new_session=True,
            )
        except OSError as error:
            raise StoreError(f"cannot start a worker process ({error.strerror})") from error
        finally:
            os.close(handle)
        self.reader = threading.Thread(target=self._read, args=[answers], daemon=True)
        self.reader.start()
        self._write(start)

    def send(self, job: Job) -> None:
        self.jobs.append(job)
        self._write(job)

    def _write(self, message: object) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # a dead worker is met when its answers end
            self.process.stdin.write(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
            self.process.stdin.flush()

    def _read(self, answers: queue.SimpleQueue[tuple[_Worker, Any]]) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as pipe:
            while True:
                try:
                    answer = pickle.load(pipe)
                except Exception:  # cut anywhere, a pickle may fail in any way
                    answers.put((self, _DEAD))
                    return
                answers.put((self, answer))

    def await_own_end(self) -> None:
        """Let a process whose answers ended go by itself: a kill would hide its exit code."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(END_S)

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> int:
        """Wait for a process that was killed or died; its exit code."""
        code = self.process.wait()
        self.reader.join()
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        return code

    def last_words(self) -> str:
        """The end of what it wrote to stderr, in one line."""
        text = Path(self._log).read_bytes()[-4096:].decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        fatal = [i for i, line in enumerate(lines) if line.startswith("Fatal Python error")]
        if fatal:
            # Of Python's own dump the reason and the innermost frame; before it, what was told.
            dump = lines[fatal[-1] :]
            frames = [line for line in dump if line.startswith("File ")]
            lines = lines[: fatal[-1]][-2:] + dump[:1] + frames[:1]
        return f": {' | '.join(lines[-4:])[-400:]}" if lines else ""
