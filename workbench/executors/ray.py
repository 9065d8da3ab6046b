"""Runs jobs on a Ray cluster: one of this machine by default, many machines with an address.

Ray places actors by the resources that plugins state. Each actor keeps one worker process of
:mod:`workbench.executors.pool`, so that time limits, memory limits, retries and captured stderr
are those of local runs, and networks stay warm. What is left to this module is to keep actors
supplied, and to give the jobs of a lost node to others::

    dispatch ─► queue a need ─► actor (cores, GPUs, memory) ─► worker process ─► rows
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from workbench import provenance, registry
from workbench.api import Plugin, Resources
from workbench.errors import PluginError, WorkbenchError
from workbench.executors import dispatch
from workbench.executors.pool import LONGEST_WAIT_S, QUICK_S, Fault, Outcome, Pool
from workbench.executors.worker import GIB
from workbench.measure import Rows, Setting
from workbench.plan import Job

# Actors that end before they have begun, one after another: something is wrong with the cluster.
START_TRIES = 5
END_S = 10.0
CONNECT_S = 20.0


def run(
    setting: Setting,
    jobs: Iterable[Job],
    *,
    timeout_s: float,
    memory_gib: float | None = None,
    address: str | None = None,
) -> Iterator[tuple[Job, Rows]]:
    """Yield each job with its rows, as they finish, on up to ``setting.workers`` actors a need.

    Args:
        timeout_s, memory_gib: as for :func:`workbench.executors.processes.run`.
        address: of the cluster; None starts one on this machine and ends it afterwards.

    Raises:
        PluginError: Ray is not installed, no node has what a plugin needs, or a node has other
            versions of a plugin than this machine.
    """
    with _Cluster(setting, timeout_s, memory_gib, address) as cluster:
        yield from dispatch.run(cluster, setting, jobs)


@dataclass(eq=False)
class _Seat:
    """An actor with what it was asked for. ``started`` is None from when it is ready."""

    actor: Any
    need: Resources
    started: Any
    jobs: deque[tuple[Job, Any]] = field(default_factory=deque)


class _Cluster:
    def __init__(
        self, setting: Setting, timeout_s: float, memory_gib: float | None, address: str | None
    ) -> None:
        try:
            import ray
        except ImportError:
            raise PluginError(
                "--executor ray needs ray: pip install 'codec-workbench[ray]'"
            ) from None
        self.ray: Any = ray
        self.setting = setting
        self.registry = registry.load(setting.plugin_files)
        sources = {path: Path(path).read_text() for path in setting.plugin_files}
        self._arguments = (setting, sources, os.getcwd(), timeout_s, memory_gib)
        self._queues: dict[Resources, deque[Job]] = {}
        self._seats: list[_Seat] = []
        self._keys: dict[str, str] = {}
        self._seconds: dict[str, float] = {}
        self._n_false_starts = 0
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            self._connect(address)

    def _connect(self, address: str | None) -> None:
        _check_answers(address)
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address is None:
            cores = max(os.cpu_count() or 1, self.setting.workers * self.setting.threads)
            options |= {"num_cpus": cores, "include_dashboard": False}
        try:
            self.ray.init(address or "local", **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise WorkbenchError(f"Ray at {address or 'this machine'}: {error}") from error

    def __enter__(self) -> _Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            ends = [seat.actor.close.remote() for seat in self._seats if seat.started is None]
            if ends:
                self.ray.wait(ends, num_returns=len(ends), timeout=END_S)
        for seat in self._seats:
            self.ray.kill(seat.actor)
        if self._is_ours:
            self.ray.shutdown()

    # -- what dispatch calls ------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether jobs are out."""
        return any(self._queues.values()) or any(seat.jobs for seat in self._seats)

    def offer(self, job: Job) -> bool:
        """Take any job: it waits here until Ray has room for an actor with what it needs."""
        plugins = [self.registry.codec(job.codec)] + [
            self.registry.task(name) for names in job.cells[0].work.values() for name in names
        ]
        need = self._need(plugins)
        if need not in self._queues:
            self._check_feasible(need, plugins)
            self._queues[need] = deque()
        self._keys.setdefault(job.codec, provenance.plugin_key(plugins[0]))
        self._queues[need].append(job)
        return True

    def wait(self) -> list[tuple[Job, Outcome]]:
        """Wait until a job has ended, an actor is ready, or one is lost."""
        self._supply()
        due = [seat.started or seat.jobs[0][1] for seat in self._seats if seat.started or seat.jobs]
        self.ray.wait(due, num_returns=1, timeout=LONGEST_WAIT_S)
        # Without this second look each answer would cost a round of its own.
        there = set(self.ray.wait(due, num_returns=len(due), timeout=0)[0])
        ended: list[tuple[Job, Outcome]] = []
        for seat in list(self._seats):
            if seat.started in there:
                self._welcome(seat)
            elif seat.jobs and seat.jobs[0][1] in there:
                ended += self._collect(seat)
        return ended

    # -- needs --------------------------------------------------------------------------------

    def _need(self, plugins: Iterable[type[Plugin]]) -> Resources:
        stated = [plugin.resources for plugin in plugins]
        on_gpu = self.setting.device.startswith("cuda")
        return Resources(
            cores=max(self.setting.threads, *(r.cores for r in stated)),
            gpus=max(r.gpus for r in stated) if on_gpu else 0,
            memory_gib=max(r.memory_gib for r in stated),
        )

    def _check_feasible(self, need: Resources, plugins: Iterable[type[Plugin]]) -> None:
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        for node in nodes:
            if (
                node.get("CPU", 0) >= need.cores
                and node.get("GPU", 0) >= need.gpus
                and node.get("memory", 0) >= need.memory_gib * GIB
            ):
                return
        names = ", ".join(dict.fromkeys(plugin.name for plugin in plugins))
        raise PluginError(
            f"{names}: no node of the cluster has {need.cores:g} cores, {need.gpus:g} GPUs and "
            f"{need.memory_gib:g} GiB: start one that has, or lower --threads"
        )

    # -- actors -------------------------------------------------------------------------------

    def _supply(self) -> None:
        """Start actors for jobs that wait, and give those that are ready their next job."""
        for need, queue in self._queues.items():
            seats = [seat for seat in self._seats if seat.need == need]
            idle = [seat for seat in seats if not seat.jobs]
            for _ in range(min(self.setting.workers - len(seats), len(queue) - len(idle))):
                self._seats.append(self._start(need))
            for seat in sorted(seats, key=lambda seat: len(seat.jobs)):
                while queue and seat.started is None and len(seat.jobs) < 2:
                    job = queue[0]
                    if seat.jobs and self._seconds.get(job.codec, QUICK_S) >= QUICK_S:
                        break
                    seat.jobs.append((queue.popleft(), seat.actor.run.remote(job)))
        if any(self._queues.values()):
            # What jobs of other needs wait for.
            for seat in [s for s in self._seats if not s.jobs and not self._queues[s.need]]:
                self._drop(seat)

    def _start(self, need: Resources) -> _Seat:
        kind = self.ray.remote(
            num_cpus=need.cores, num_gpus=need.gpus, memory=int(need.memory_gib * GIB)
        )(_Actor)
        actor: Any = kind.remote(*self._arguments, list(self._keys))
        return _Seat(actor, need, actor.begin.remote())

    def _welcome(self, seat: _Seat) -> None:
        try:
            keys: Mapping[str, str] = self.ray.get(seat.started)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self.ray.exceptions.RayError as error:
            self._drop(seat)
            self._n_false_starts += 1
            if self._n_false_starts >= START_TRIES:
                raise WorkbenchError(f"Ray: actors do not start ({error})") from None
            return
        for name, key in keys.items():
            if key != self._keys[name]:
                raise PluginError(
                    f"{name}: a node of the cluster has another version of it, or of what it "
                    "uses: install the same everywhere"
                )
        self._n_false_starts = 0
        seat.started = None

    def _collect(self, seat: _Seat) -> list[tuple[Job, Outcome]]:
        job, answer = seat.jobs[0]
        try:
            rows, self._seconds[job.codec] = self.ray.get(answer)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self.ray.exceptions.RayError as error:
            self._drop(seat)
            reason = f"its node or actor was lost ({type(error).__name__})"
            others = [(other, Fault(innocent=True)) for other, _ in list(seat.jobs)[1:]]
            return [(job, Fault(reason, outside=True)), *others]
        seat.jobs.popleft()
        return [(job, rows)]

    def _drop(self, seat: _Seat) -> None:
        self.ray.kill(seat.actor)
        self._seats.remove(seat)


def _check_answers(address: str | None) -> None:
    """Raise WorkbenchError where nobody is at HOST:PORT: Ray itself tries for many minutes."""
    host, colon, port = (address or "").rpartition(":")
    if not colon or not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise WorkbenchError(
            f"Ray at {address}: nobody answers ({error}): start a cluster with ray start --head"
        ) from None


class _Actor:
    """Holds resources on a node, and the worker process that uses them."""

    def __init__(
        self,
        setting: Setting,
        sources: Mapping[str, str],
        folder: str,
        timeout_s: float,
        memory_gib: float | None,
        codecs: Sequence[str],
    ) -> None:
        # Datasets may be named relative to it.
        if os.path.isdir(folder):
            os.chdir(folder)
        self._folder = tempfile.TemporaryDirectory(prefix="workbench-")
        files = []
        for number, (path, text) in enumerate(sources.items()):
            copy = Path(self._folder.name) / str(number) / Path(path).name
            copy.parent.mkdir()
            copy.write_text(text)
            files.append(str(copy))
        # Ray shows an actor its own GPUs alone, the first of them as number 0.
        device = "cuda:0" if setting.device.startswith("cuda") else setting.device
        self.setting = replace(setting, plugin_files=tuple(files), device=device)
        self.pool = Pool(
            self.setting, timeout_s=timeout_s, memory_gib=memory_gib, n_processes=1, codecs=codecs
        )

    def begin(self) -> Mapping[str, str]:
        """Start the worker process; the content keys of codecs as installed on this node."""
        return self.pool.begin()

    def run(self, job: Job) -> tuple[Rows, float]:
        """Do a job, with the retries of any local run; its rows and seconds."""
        start = time.monotonic()
        parts = dispatch.run(self.pool, self.setting, [job])
        rows = [row for _, rows in parts for row in rows]
        return rows, time.monotonic() - start

    def close(self) -> None:
        """End the worker process and remove its files."""
        self.pool.__exit__(None, None, None)
        self._folder.cleanup()
