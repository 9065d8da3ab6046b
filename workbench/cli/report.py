"""``workbench report``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.bars import Bar
from workbench.cli.options import AsJson, DataRoot, Plugins, print_json
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from rich.console import Console


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run directories.")],
    anchor: Annotated[
        str | None,
        typer.Option(help="`CODEC` or `CODEC/OUTPUT` to compare with. Default: jpeg if it ran."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to. Default: `DIR/report`.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Only this metric; repeatable. Default: all.")
    ] = None,
    codecs: Annotated[
        str | None, typer.Option(help="Only these of the codecs that ran: `jpeg,webp`.")
    ] = None,
    aggregation: Annotated[
        str, typer.Option(help="What curves and BD-rates are made of: `mean` or `pooled`.")
    ] = "mean",
    method: Annotated[
        str, typer.Option(help="BD method with intervals: `pchip`, `cubic` or `akima`.")
    ] = "pchip",
    rates: Annotated[
        str | None,
        typer.Option(metavar="LOW..HIGH", help="Only points between these rates: `0.1..0.8` bpp."),
    ] = None,
    log_rate: Annotated[
        bool, typer.Option("--log-rate", help="Logarithmic rate axis in the figures.")
    ] = False,
    reference: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.json", help="Published curves to draw; repeatable."),
    ] = None,
    pictures: Annotated[
        str, typer.Option(metavar="N|all", help="Pictures of a dataset to write for the viewer.")
    ] = "3",
    picture_points: Annotated[
        str, typer.Option(metavar="N|all", help="Points of a codec to write them at.")
    ] = "4",
    data_root: DataRoot = None,
    plugin: Plugins = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write tables, curves and BD-rates of one or more runs, with a page to explore them.

    Example: `workbench report run --anchor jpeg --reference kodak_published.json --open`
    """
    from rich.console import Console

    from workbench import registry, rows
    from workbench_reports import Gallery, Options, comparable, write

    known = rows.metrics_of(registry.load(plugin or ()))
    comparable(folders)
    loaded = rows.load(*folders)
    options = Options(
        anchor, tuple(metric or ()), tuple(codecs.split(",")) if codecs else (), aggregation,
        method, rate_range(rates), log_rate, tuple(reference or ()),
        pictures=how_many("--pictures", pictures),
        picture_points=how_many("--picture-points", picture_points),
    )  # fmt: skip
    gallery = Gallery(folders, loaded, plugin or (), str(data_root) if data_root else None)
    with Bar(quiet=as_json, transient=True) as bar:
        result = write(
            loaded, known, out or folders[0] / "report", options,
            lambda done, total, what: bar.update("report", done, total, label=what), gallery,
        )  # fmt: skip
    if as_json:
        print_json({"rd": result.rd, "bd": result.bd})
    else:
        _print(Console(), result)
    if open_page:
        typer.launch(str(result.page))


def how_many(option: str, text: str) -> int | None:
    """Return a number from 0, None for ``all``.

    Raises:
        WorkbenchError: it is neither.
    """
    if text == "all":
        return None
    if not text.isdecimal():
        raise WorkbenchError(f"{option} {text!r}: must be a whole number from 0, or all")
    return int(text)


def rate_range(text: str | None) -> tuple[float, float] | None:
    """Return both ends of ``LOW..HIGH``; None for none.

    Raises:
        WorkbenchError: it is no such text.
    """
    if text is None:
        return None
    low, _, high = text.partition("..")
    try:
        return float(low), float(high)
    except ValueError:
        raise WorkbenchError(
            f"--rates {text!r}: must be two rates in bpp with two dots between, as 0.1..0.8"
        ) from None


def _print(console: Console, result: Any) -> None:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    for summary in (table for tables in result.headline.values() for table in tables):
        widest = max([len(row[0]) for row in summary.rows], default=5)
        # Columns that do not fit beside each other make another table; intervals are in the report.
        fitting = max(1, (console.width - widest - 4) // 13)
        for start in range(1, len(summary.headings), fitting):
            some = slice(start, start + fitting)
            table = Table(title=Text(summary.title), box=SIMPLE, title_justify="left")
            table.add_column("codec", no_wrap=True)
            for heading in summary.headings[some]:
                table.add_column(Text(heading), justify="right", width=10, overflow="fold")
            for row in summary.rows:
                cells = (Text(re.sub(r" \[.*\]", "", cell)) for cell in row[some])
                table.add_row(Text(row[0]), *cells)
            console.print(table)
    lines = [result.anchor, *result.notes]
    if result.failures:
        lines.append(f"{len(result.failures)} failed cells, listed in the report")
    for line in [*lines, f"Report: {result.page}"]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
