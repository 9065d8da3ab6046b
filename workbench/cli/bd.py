"""``workbench bd``: BD-rate and BD-quality of two CSV files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import AsJson, print_json
from workbench.errors import WorkbenchError, did_you_mean

if TYPE_CHECKING:
    from workbench.bd import BDResult

RATE_WORDS = ("rate", "bpp", "bps")
MISSING = ("", "nan", "na", "null", "none")


def _methods() -> list[str]:
    # scipy takes longer to import than any other command takes to answer.
    from workbench.bd import METHODS

    return list(METHODS)


def bd(
    anchor: Annotated[Path, typer.Argument(help="CSV with the anchor's points.")],
    test: Annotated[Path, typer.Argument(help="CSV with the points to compare with it.")],
    method: Annotated[
        str,
        typer.Option(
            "--method",
            "-m",
            help="cubic, pchip, akima, or vcm-monotone-cubic (accuracies in percent).",
            autocompletion=_methods,
        ),
    ] = "pchip",
    rate: Annotated[
        str | None,
        typer.Option(help="Rate column. Default: the first with rate, bpp or bps in its name."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(help="Quality column, repeatable. Default: every other numeric column."),
    ] = None,
    lower_is_better: Annotated[
        list[str] | None,
        typer.Option(help="Quality column where lower is better, such as lpips; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two rate-distortion curves given as CSV files with a header.

    Each file holds one curve: a rate column, one or more quality columns, one line a point in any
    order. BD-rate is the average rate difference at equal quality in percent (negative: the test
    needs less), BD-quality the average quality difference at equal rate.

    Example: `workbench bd jpeg.csv webp.csv --metric lpips --lower-is-better lpips`
    """
    from workbench import bd as deltas

    curves = [_read(path, rate, metric) for path in (anchor, test)]
    names = [name for name in curves[0] if name in curves[1]]
    if not names:
        raise WorkbenchError(
            f"no quality column in common: {anchor} has {', '.join(curves[0])}; "
            f"{test} has {', '.join(curves[1])}"
        )
    for name in lower_is_better or []:
        if name not in names:
            raise WorkbenchError(
                f"--lower-is-better {name!r}: no such metric.{did_you_mean(name, names)}"
            )
    rows = []
    for name in names:
        # Two files of the same name in different folders need their paths to be told apart.
        a, t = (
            deltas.Curve(*columns[name], name=path.name if anchor.name != test.name else str(path))
            for path, columns in zip((anchor, test), curves, strict=True)
        )
        higher = name not in (lower_is_better or [])
        rows.append(
            (
                name,
                deltas.bd_rate(a, t, method=method, higher_is_better=higher),
                deltas.bd_quality(a, t, method=method, higher_is_better=higher),
            )
        )
    if as_json:
        plain = [
            {"metric": name, "bd_rate_percent": r.to_dict(), "bd_quality": q.to_dict()}
            for name, r, q in rows
        ]
        print_json(plain)
    else:
        _print(rows, method, anchor, test)


def _print(
    rows: list[tuple[str, BDResult, BDResult]], method: str, anchor: Path, test: Path
) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{test} against {anchor}, {method}")
    for heading in ("metric", "BD-rate %", "overlap %", "BD-quality", "overlap %", "points"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    notes: list[str] = []
    for name, rate, quality in rows:
        cells = [
            text
            for r in (rate, quality)
            for text in ("-" if r.value is None else f"{r.value:.4g}", f"{100 * r.overlap:.0f}")
        ]
        table.add_row(name, *cells, f"{rate.n_anchor}, {rate.n_test}")
        reasons = [
            f"no BD-{result.kind}: {result.reason}"
            for result in (rate, quality)
            if result.value is None
        ]
        warnings = dict.fromkeys(
            warning
            if warning in rate.warnings and warning in quality.warnings
            else f"BD-{result.kind}: {warning}"
            for result in (rate, quality)
            for warning in result.warnings
        )
        notes += [f"{name}: {note}" for note in [*reasons, *warnings]]
    console = Console()
    console.print(table)
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def _read(
    path: Path, rate: str | None, metrics: list[str] | None
) -> dict[str, tuple[list[float], list[float]]]:
    """Return {metric: (rates, qualities)}; a missing cell is NaN."""
    header, lines = _lines(path)
    columns = {name: _column(path, name, i, lines) for i, name in enumerate(header)}
    numeric = [name for name, values in columns.items() if values is not None]
    rate_like = [name for name in numeric if any(word in name.lower() for word in RATE_WORDS)]
    if rate is None and not rate_like:
        raise WorkbenchError(
            f"{path}: no numeric column with rate, bpp or bps in its name among "
            f"{', '.join(header)}: name one with --rate"
        )
    chosen = rate_like[0] if rate is None else rate
    wanted = metrics or [name for name in numeric if name not in (*rate_like, chosen)]
    for name in (chosen, *wanted):
        if name not in numeric:
            known = "holds no numbers" if name in columns else "is not there"
            raise WorkbenchError(f"{path}: column {name!r} {known}.{did_you_mean(name, numeric)}")
    if not wanted:
        raise WorkbenchError(f"{path}: no quality column beside {chosen!r}: {', '.join(header)}")
    return {name: (columns[chosen] or [], columns[name] or []) for name in wanted}


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header and the numbered lines below it, all with as many cells."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise WorkbenchError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WorkbenchError(f"{path}: not a text file: expected CSV with a header") from error
    first = text.lstrip().split("\n", 1)[0]
    reader = csv.reader(text.splitlines(keepends=True), delimiter=max(",;\t", key=first.count))
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except csv.Error as error:
        raise WorkbenchError(f"{path}:{reader.line_num}: {error}") from error
    if len(rows) < 2:
        raise WorkbenchError(f"{path}: needs a header and one line a point")
    header = rows[0][1]
    if doubled := sorted({name for name in header if header.count(name) > 1}):
        raise WorkbenchError(f"{path}: column {doubled[0]!r} occurs twice")
    for number, row in rows[1:]:
        if len(row) != len(header):
            raise WorkbenchError(
                f"{path}:{number}: {len(row)} cells, but the header has {len(header)}"
            )
    return header, rows[1:]


def _column(
    path: Path, name: str, index: int, lines: list[tuple[int, list[str]]]
) -> list[float] | None:
    """Return a column's numbers; None where no cell is one (a label)."""
    values: list[float] = []
    bad: list[tuple[int, str]] = []
    for number, row in lines:
        cell = row[index]
        try:
            values.append(float("nan") if cell.lower() in MISSING else float(cell))
        except ValueError:
            bad.append((number, cell))
    if len(bad) == len(lines):
        return None
    if bad:
        number, cell = bad[0]
        raise WorkbenchError(f"{path}:{number}: {name} {cell!r} is not a number")
    return values
