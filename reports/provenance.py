"""Tables of what was run, with what, and what failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench_reports.aggregate import Measured
from workbench_reports.tables import NONE, Table

Row = dict[str, Any]


def failure_table(failures: Sequence[Row]) -> Table:
    """Return every failed cell with its error; the same error of many pictures once."""
    told: dict[tuple[str, ...], list[str]] = {}
    for f in failures:
        key = (f["dataset"], f["codec"], f["point"], f["output"] or NONE, f["stage"], f["error"])
        told.setdefault(key, []).append(f["image"])
    body = [
        [*key[:5], ", ".join(images[:3]) + (f" and {len(images) - 3} more" if images[3:] else ""),
         key[5]]
        for key, images in told.items()
    ]  # fmt: skip
    headings = ["dataset", "codec", "point", "output", "stage", "pictures", "error"]
    return Table("", headings, body, len(headings))


def summary(measured: Measured) -> list[str]:
    """Say in a line a dataset how much was measured, and how much failed."""
    lines = []
    for dataset, title in measured.titles.items():
        own = [s for s in measured.series if s.dataset == dataset]
        n_failed = sum(1 for failure in measured.failures if failure["dataset"] == dataset)
        name = title if title == dataset else f"{title} ({dataset})"
        lines.append(
            f"{name}: {_count(len({s.codec for s in own}), 'codec')} on "
            f"{_count(len(own[0].images), 'picture')}, "
            f"{_count(n_failed, 'failed cell') if n_failed else 'no failures'}."
        )
    return lines


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def overview_table(measured: Measured) -> Table:
    """Return what was run: codecs with their points, pictures and failures."""
    body = []
    for s in measured.series:
        whole = int(s.ok.all(axis=0).sum())
        body.append([
            measured.titles[s.dataset], s.codec, s.output or NONE, s.audience or NONE,
            ", ".join(s.needs) or NONE, ", ".join(s.points), f"{whole}/{len(s.images)}",
            f"{int(s.failed.sum())}",
        ])  # fmt: skip
    headings = ["dataset", "codec", "output", "audience", "layers", "points",
                "pictures at all points", "failed cells"]  # fmt: skip
    return Table("", headings, body, 6)


def run_table(runs: dict[str, Row]) -> Table:
    """Return when, with which command and on which machine each run was made."""
    body = []
    for name, run in sorted(runs.items(), key=lambda item: str(item[1].get("started", ""))):
        arguments = run.get("arguments", {})
        command = run.get("command") or []
        body.append([
            name, str(run.get("started", NONE)), " ".join(map(str, command)) or NONE,
            str(run.get("workbench", NONE)), str(run.get("commit") or NONE)[:12],
            str(run.get("python", NONE)), str(run.get("platform", NONE)),
            f"{run.get('cpu', NONE)}, {run.get('cores', NONE)} cores",
            f"{arguments.get('workers', NONE)} / {arguments.get('threads', NONE)}",
            str(run.get("dataset", {}).get("sha256", NONE))[:12],
        ])  # fmt: skip
    headings = ["run", "started", "command", "workbench", "commit", "python", "platform",
                "machine", "workers / threads", "dataset hash"]  # fmt: skip
    return Table("", headings, body, len(headings))


def version_table(runs: dict[str, Row]) -> Table:
    """Return the versions and code hashes of every plugin that ran, each state once."""
    body: dict[tuple[str, ...], None] = {}
    for run in runs.values():
        for name, plugin in run.get("plugins", {}).items():
            versions = ", ".join(f"{k} {v}" for k, v in plugin.get("versions", {}).items())
            body[name, versions or NONE, str(plugin.get("code", NONE))[:12]] = None
    rows = [list(cells) for cells in sorted(body)]
    return Table("", ["plugin", "versions", "code hash"], rows, 3)
