"""``workbench diff``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.options import AsJson, Plugins, print_json

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 20
NAMES = ("codec", "point", "output", "quantity", "metric", "plugin", "dataset")


def diff(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="Run directory, before.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Run directory, after.")],
    everything: Annotated[
        bool, typer.Option("--all", help=f"All changes, not the first {SHOWN} of each kind.")
    ] = False,
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Say what changed between two runs, significant changes first.

    Example: `workbench diff run-before run-after`
    """
    from rich.console import Console

    from workbench import registry, rows
    from workbench_reports import comparable
    from workbench_reports.difference import difference

    comparable([run_a, run_b])
    known = rows.metrics_of(registry.load(plugin or ()))
    found = difference(rows.load(run_a), rows.load(run_b), known)
    if as_json:
        print_json(found)
    else:
        _print(Console(), found, None if everything else SHOWN)


def _print(console: Console, found: dict[str, Any], most: int | None) -> None:
    moved = found["changes"]
    clear = sum(row["significant"] for row in moved)
    console.print(
        f"{found['n_compared']} values compared: {found['n_same']} the same, {len(moved)} changed, "
        f"{clear} of them significantly",
        highlight=False,
    )
    _table(
        console, "BD-rate of the second run against the first",
        ["codec", "output", "metric", "BD-rate %", "95 % interval", ""],
        ([row["codec"], row["output"], row["metric"], _number(row["bd_rate_percent"]),
          _interval(row), _mark(row)]
         for row in found["curves"] if row["bd_rate_percent"] or row["reason"]), most,
    )  # fmt: skip
    _table(
        console, "Changes",
        ["codec", "point", "output", "quantity", "before", "after", "change", "95 % interval",
         "p", ""],
        ([row["codec"], row["point"], row["output"], row["quantity"], f"{row['before']:.4g}",
          f"{row['after']:.4g}", _number(row["change"]), _interval(row),
          "–" if row["p_adjusted"] is None else f"{row['p_adjusted']:.2g}", _mark(row)]
         for row in moved), most,
    )  # fmt: skip
    _table(
        console, "Decoded pictures that differ", ["codec", "point", "output", "pictures"],
        ([row["codec"], row["point"], row["output"], f"{row['n_differ']} of {row['n_images']}"]
         for row in found["pictures"]), most,
    )  # fmt: skip
    for when, title in (("only_before", "In the first run only"),
                        ("only_after", "In the second run only")):  # fmt: skip
        _table(
            console, title, ["dataset", "codec", "point", "output", "pictures"],
            ([row["dataset"], row["codec"], row["point"], row["output"], str(row["n_images"])]
             for row in found[when]), most,
        )  # fmt: skip
    _table(
        console, "Failures of one run alone", ["run", "codec", "point", "picture", "error"],
        ([{"before": "first", "after": "second"}[row["fails"]], row["codec"], row["point"],
          row["image"], row["error"]] for row in found["failures"]), most,
    )  # fmt: skip
    _table(
        console, "Plugins in another state", ["plugin", "versions", "code", "weights"],
        ([row["plugin"],
          ", ".join(f"{k} {old or 'none'} to {new or 'none'}"
                    for k, (old, new) in row["versions"].items()) or "–",
          "differs" if row["code_differs"] else "same",
          "differ" if row["weights_differ"] else "same"] for row in found["versions"]), most,
    )  # fmt: skip


def _table(
    console: Console,
    title: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    most: int | None,
) -> None:
    """Print a table; nothing where it has no rows."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    listed = list(rows)
    if not listed:
        return
    table = Table(title=Text(title), box=SIMPLE, title_justify="left", padding=(0, 1, 0, 0))
    for heading in headings:
        # In narrow terminals numbers are broken before names are, and nothing is left out.
        table.add_column(heading, overflow="fold", no_wrap=heading in NAMES)
    for row in listed[:most]:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    if most is not None and len(listed) > most:
        console.print(f"and {len(listed) - most} more: see them with --all", highlight=False)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3g}"


def _interval(row: dict[str, Any]) -> str:
    return "–" if row["low"] is None else f"{row['low']:+.3g} to {row['high']:+.3g}"


def _mark(row: dict[str, Any]) -> str:
    return "significant" if row["significant"] else ""
