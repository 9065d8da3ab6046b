"""Progress bars on stderr, with a note and the remaining time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID


class Bar:
    """The progress of a command's stages, a line each.

    With a unit the note is the rate, "3.2 cells/s"; without a count a share is shown. A transient
    one leaves nothing behind.
    """

    def __init__(
        self, *, quiet: bool, unit: str = "", count: bool = True, transient: bool = False
    ) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._progress = _on_stderr(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn() if count else TaskProgressColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            quiet=quiet,
            transient=transient,
        )
        self._unit = unit
        self._stages: dict[str, TaskID] = {}

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *error: object) -> None:
        if self._stages:  # one that never began would print an empty line
            self._progress.stop()

    def update(
        self, stage: str, done: float, total: float, note: str = "", label: str = ""
    ) -> None:
        """Show how far a stage is, by `label` or its own name."""
        # Not before: errors of what was asked for are to stand alone on their line.
        self._progress.start()
        if stage not in self._stages:
            self._stages[stage] = self._progress.add_task(stage, total=total, note="")
        task = self._stages[stage]
        speed = self._progress.tasks[task].speed
        if self._unit and speed:
            note = f"{speed:.1f} {self._unit}/s"
        self._progress.update(
            task, completed=done, total=total, note=note, description=label or stage
        )


@contextmanager
def transfer_bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a download's bytes, rate and remaining time."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    with _on_stderr(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        transient=True,
    ) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _on_stderr(*columns: ProgressColumn, quiet: bool = False, transient: bool = False) -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(*columns, console=Console(stderr=True), disable=quiet, transient=transient)
