"""Which tables a report has: rows become headings and formatted cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.api import Metric
from workbench_reports.aggregate import AGGREGATIONS, Measured
from workbench_reports.tables import NONE, Table, axis_label

Row = dict[str, Any]
AGGREGATION_TITLES = {
    "mean": "mean of per-image values",
    "pooled": "pooled: total bits / total pixels, PSNR of the mean MSE",
}


def number(value: float | None, digits: int, sign: bool = False) -> str:
    """Return a rounded number, or a dash for None."""
    if value is None:
        return NONE
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


def digits_of(metric: Metric) -> int:
    """Decimals worth printing: 2 for decibels and percents, 4 for values about 1."""
    return 2 if metric.unit or metric.limits[1] == 100 else 4


def rd_tables(rows: Sequence[Row], measured: Measured, dataset: str) -> list[Table]:
    """Return the rate-distortion tables of a dataset, one an aggregation."""
    own = [row for row in rows if row["dataset"] == dataset]
    found = {name for row in own for name in row["metrics"]}
    metrics = [metric for name, metric in measured.metrics.items() if name in found]
    layered = any(row["enhancement_of"] for row in own)
    outputs = any(row["output"] not in (None, "image") for row in own)
    tables = []
    for aggregation in AGGREGATIONS:
        shown = [m for m in metrics if aggregation == "pooled" or m.pool != "set"]
        headings = ["codec", "point", *["output"] * outputs, "pictures", "bpp", "container bpp"]
        headings += ["enhancement bpp"] * layered
        headings += [axis_label(m.label, m.unit) for m in shown] + ["encode s", "decode s"]
        body = []
        for row in own:
            cells = [row["codec"], row["point"]]
            if outputs:
                cells.append(row["output"] or NONE)
            partial = row["n_images"] < row["n_dataset"]
            cells.append(
                f"{row['n_images']}/{row['n_dataset']}" if partial else f"{row['n_images']}"
            )
            cells.append(number(row[f"rate_bpp_{aggregation}"], 4))
            cells.append(number(row[f"container_rate_bpp_{aggregation}"], 4))
            if layered:
                cells.append(number(row[f"enhancement_bpp_{aggregation}"], 4))
            for metric in shown:
                score = row["metrics"].get(metric.name, {})
                cells.append(number(score.get(aggregation), digits_of(metric)))
            cells += [seconds(row["encode_s"]), seconds(row["decode_s"])]
            body.append(cells)
        title = f"{measured.titles[dataset]}: {AGGREGATION_TITLES[aggregation]}"
        notes = _rd_notes(own, [m.name for m in shown], aggregation)
        tables.append(Table(title, headings, body, 3 if outputs else 2, _blocks(own), notes))
    return tables


def _blocks(rows: Sequence[Row]) -> list[int]:
    sizes: dict[tuple[str, str | None], int] = {}
    for row in rows:
        key = (row["codec"], row["output"])
        sizes[key] = sizes.get(key, 0) + 1
    return list(sizes.values())


def _rd_notes(rows: Sequence[Row], metrics: Sequence[str], aggregation: str) -> list[str]:
    notes: dict[str, None] = {}
    for row in rows:
        name = f"{row['codec']} {row['point']}"
        for warning in row["warnings"]:
            notes[f"{name}: {warning}"] = None
        for metric in metrics:
            reason = row["metrics"].get(metric, {}).get(f"{aggregation}_reason")
            if reason:
                notes[f"{name}: {metric}: {reason}"] = None
    return list(notes)


def seconds(value: float | None) -> str:
    """Return seconds with three significant digits."""
    if value is None:
        return NONE
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def headline(rows: Sequence[Row], measured: Measured, method: str) -> dict[str, list[Table]]:
    """Return, by dataset, BD-rates of all codecs on all metrics: a table an audience."""
    tables: dict[str, list[Table]] = {}
    groups = dict.fromkeys((row["dataset"], row["audience"]) for row in rows)
    for dataset, audience in groups:
        own = [r for r in rows if r["dataset"] == dataset and r["audience"] == audience
               and r["method"] == method]  # fmt: skip
        names = [n for n in measured.metrics if any(r["metric"] == n for r in own)]
        cells = {(r["curve"], r["metric"]): r for r in own}
        curves = sorted(
            dict.fromkeys(r["curve"] for r in own), key=lambda c: _rank(c, names, cells)
        )
        body = [[c, *(bd_cell(cells.get((c, name))) for name in names)] for c in curves]
        anchors = ", ".join(dict.fromkeys(r["anchor"] for r in own if r["anchor"])) or NONE
        title = (
            f"{measured.titles[dataset]}{for_audience(audience)}: BD-rate against {anchors} in %"
        )
        labels = [axis_label(measured.metrics[n].label, measured.metrics[n].unit) for n in names]
        notes = [
            f"{method}, [95 % interval over pictures]; negative: less rate at the same quality; "
            "* with warnings, listed with the comparison"
        ]
        table = Table(title, ["codec", *labels], body, 1, (), notes)
        tables.setdefault(dataset, []).append(table)
    return tables


def for_audience(audience: str) -> str:
    """Return ``, for machines`` and the like; nothing for outputs that are for anyone."""
    return {"human": ", for humans", "machine": ", for machines"}.get(audience, "")


def _rank(
    curve: str, names: Sequence[str], cells: dict[tuple[str, str], Row]
) -> tuple[bool, float]:
    for name in names:
        value = cells[curve, name]["bd_rate_percent"] if (curve, name) in cells else None
        if value is not None:
            return False, value
    return True, 0.0


def bd_cell(row: Row | None) -> str:
    """Return ``-12.3 [-14.0, -10.1]*``; a dash where there is no value."""
    if row is None or row["bd_rate_percent"] is None:
        return NONE
    text = number(row["bd_rate_percent"], 1, sign=True)
    return text + interval(row, "bd_rate", 1) + ("*" if row["warnings"] else "")


def interval(row: Row, kind: str, digits: int) -> str:
    """Return `` [low, high]``, or nothing where there is no interval."""
    suffix = "_percent" if kind == "bd_rate" else ""
    low, high = row[f"{kind}_low{suffix}"], row[f"{kind}_high{suffix}"]
    if low is None:
        return ""
    return f" [{number(low, digits, sign=True)}, {number(high, digits, sign=True)}]"


def bd_table(rows: Sequence[Row], metric: Metric, title: str, method: str) -> Table:
    """Return the details of one panel: all methods, overlaps, points, warnings below."""
    own = [r for r in rows if r["method"] == method]
    others = list(dict.fromkeys(r["method"] for r in rows if r["method"] != method))
    by = {(r["curve"], r["method"]): r for r in rows}
    digits = digits_of(metric) + (1 if metric.unit else 0)
    unit = f" {metric.unit}" if metric.unit else ""
    body, notes = [], []
    for row in sorted(own, key=lambda r: (r["bd_rate_percent"] is None, r["bd_rate_percent"] or 0)):
        quality = number(row["bd_quality"], digits, sign=True)
        body.append([
            row["curve"],
            bd_cell(row).rstrip("*"),
            *(number(by[row["curve"], m]["bd_rate_percent"], 1, sign=True) for m in others),
            _percent(row["quality_overlap"]),
            quality + interval(row, "bd_quality", digits),
            _percent(row["rate_overlap"]),
            f"{row['n_points']}",
            f"{row['n_images']}",
        ])  # fmt: skip
        reasons = [(kind, row[f"{key}_reason"]) for kind, key in
                   (("BD-rate", "bd_rate"), ("BD-quality", "bd_quality"))]  # fmt: skip
        notes += [f"{row['curve']}: no {kind}: {why}" for kind, why in reasons if why]
        if row["bd_rate_percent"] is not None and row["bd_rate_low_percent"] is None:
            notes.append(f"{row['curve']}: no interval: {row['bd_rate_interval_reason']}")
        notes += [f"{row['curve']}: {warning}" for warning in row["warnings"]]
    first = own[0]
    heading = (
        f"{axis_label(metric.label, metric.unit)} against {first['anchor'] or NONE} on "
        f"{title}{for_audience(first['audience'])}, {first['aggregation']}"
    )
    headings = ["codec", f"BD-rate % ({method})", *others, "overlap %",
                f"BD-quality{unit}", "overlap %", "points", "pictures"]  # fmt: skip
    return Table(heading, headings, body, 1, (), _brief(notes))


def _brief(notes: Sequence[str]) -> list[str]:
    """Say once what every codec is told of the anchor's own curve."""
    told: dict[str, list[str]] = {}
    for note in notes:
        curve, _, text = note.partition(": ")
        told.setdefault(text, []).append(curve)
    return [
        f"{', '.join(curves)}: {text}" if len(curves) < 3 else f"{len(curves)} codecs: {text}"
        for text, curves in told.items()
    ]


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.0f}"
