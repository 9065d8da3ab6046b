"""What has changed from one run to another: significant changes first.

Cells are paired by dataset, picture, codec, point and output. The mean change of a quantity over
the pictures that both runs have comes with a 95 % interval (paired bootstrap) and the p-value of
Wilcoxon's signed-rank test. As many quantities are looked at, p-values are adjusted by Benjamini
and Hochberg's procedure; a change is called significant where the adjusted one is below 5 %.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from workbench import bd
from workbench.api import Metric
from workbench.errors import WorkbenchError
from workbench.rows import KEPT, Rows

CELL = ["dataset", "codec", "point", "output"]
TIMES = ("encode_s", "decode_s")
ALPHA = 0.05
RESAMPLES = 1000
Row = dict[str, Any]


def difference(before: Rows, after: Rows, known: dict[str, Metric]) -> dict[str, Any]:
    """Compare two runs.

    Returns:
        ``curves``: BD-rates of the second run's curves against the first's, a row a codec, output
        and per-image metric. ``changes``: a row a cell and quantity whose value is not the same.
        ``pictures``: cells whose decoded pictures differ. ``only_before``, ``only_after``: cells of
        one run alone. ``failures``: cells that fail in one run alone. ``versions``: plugins of
        another version or code. ``n_compared``, ``n_same``: cells and quantities.

    Raises:
        WorkbenchError: no dataset, or no cell, in common.
    """
    shared = before.items.keys() & after.items.keys()
    if not shared:
        raise WorkbenchError(
            f"the runs have no dataset in common: {', '.join(before.items)} and "
            f"{', '.join(after.items)}"
        )
    good = [_good(rows) for rows in (before, after)]
    both = good[0].merge(good[1], on=[*CELL, "image"], suffixes=("_before", "_after"))
    if both.empty:
        raise WorkbenchError("the runs have no cell in common: no codec at the same point")
    quantities = _quantities(good)
    changes = _changes(both, quantities) + _set_changes(before, after)
    moved = [row for row in changes if row["change"] or row["low"]]
    _adjust(moved)
    moved.sort(key=lambda r: (not r["significant"], -abs(r["relative"] or 0.0)))
    same = both["picture_xxh3_before"] == both["picture_xxh3_after"]
    pictures = both.assign(differs=~same).groupby(CELL, sort=False)["differs"]
    told = [
        dict(zip(CELL, key, strict=True)) | {"n_differ": int(n), "n_images": int(total)}
        for (key, n), total in zip(pictures.sum().items(), pictures.size(), strict=True)
        if n
    ]
    return {
        "curves": _curves(both, quantities, known),
        "changes": moved,
        "pictures": told,
        "only_before": _only(good[0], good[1]),
        "only_after": _only(good[1], good[0]),
        "failures": _failures(before, after),
        "versions": _versions(before, after),
        "n_compared": len(changes),
        "n_same": len(changes) - len(moved),
    }


def _good(rows: Rows) -> pd.DataFrame:
    images = rows.images
    found: pd.DataFrame = images[images["output"].notna() & images["error"].isna()]
    return found


def _quantities(good: list[pd.DataFrame]) -> list[str]:
    """Rates, times and the per-image metrics that both runs have."""
    metrics = [c for c in good[0].columns if c in good[1].columns and c not in KEPT]
    return ["rate_bpp", *metrics, *TIMES]


def _changes(both: pd.DataFrame, quantities: list[str]) -> list[Row]:
    made = []
    for key, group in both.groupby(CELL, sort=False):
        for name in quantities:
            pair = group[[f"{name}_before", f"{name}_after"]].to_numpy(dtype=float)
            pair = pair[np.isfinite(pair).all(axis=1)]
            if len(pair):
                made.append(dict(zip(CELL, key, strict=True)) | _change(name, pair))  # type: ignore[call-overload]
    return made


def _change(name: str, pair: NDArray[np.float64]) -> Row:
    """The mean change of paired values [N, 2]."""
    gaps = pair[:, 1] - pair[:, 0]
    low = high = p = None
    if np.any(gaps) and len(gaps) > 1:
        drawn = bd.resampling_weights(len(gaps), RESAMPLES) @ gaps
        low, high = (float(v) for v in np.quantile(drawn, [0.025, 0.975]))
        p = float(stats.wilcoxon(gaps).pvalue)
    mean = float(pair[:, 0].mean())
    change = float(gaps.mean())
    return {
        "quantity": name, "before": mean, "after": float(pair[:, 1].mean()), "change": change,
        "relative": change / abs(mean) if mean else None, "low": low, "high": high, "p": p,
        "n_images": len(pair),
    }  # fmt: skip


def _set_changes(before: Rows, after: Rows) -> list[Row]:
    """Changes of scores that only whole sets have, with the resamples that runs keep of them."""
    keys = [*CELL, "task", "metric", "reference"]
    newest = [rows.sets.drop_duplicates(keys, keep="last") for rows in (before, after)]
    both = newest[0].merge(newest[1], on=keys, suffixes=("_before", "_after"))
    made = []
    for row in both.to_dict("records"):
        values = [row["value_before"], row["value_after"]]
        if any(v is None or np.isnan(v) for v in values):
            continue
        low = high = p = None
        drawn = [row["resamples_before"], row["resamples_after"]]
        paired = all(isinstance(d, np.ndarray) for d in drawn) and (
            row["n_images_before"] == row["n_images_after"]
        )
        change = values[1] - values[0]
        if paired and change and len(drawn[0]) == len(drawn[1]):
            gaps = drawn[1] - drawn[0]
            gaps = gaps[np.isfinite(gaps)]
            low, high = (float(v) for v in np.quantile(gaps, [0.025, 0.975]))
            # How often the resamples say the opposite, on both sides; at least one in them.
            p = 2 * max(1, min(int((gaps <= 0).sum()), int((gaps >= 0).sum()))) / len(gaps)
        name = row["metric"] + ("@self" if row["reference"] == "self" else "")
        made.append(
            {k: row[k] for k in CELL}
            | {
                "quantity": name, "before": values[0], "after": values[1], "change": change,
                "relative": change / abs(values[0]) if values[0] else None, "low": low,
                "high": high, "p": None if p is None else min(1.0, p),
                "n_images": int(row["n_images_after"]),
            }
        )  # fmt: skip
    return made


def _adjust(rows: list[Row]) -> None:
    """Add ``p_adjusted`` and ``significant``; without a p-value nothing is called significant."""
    tested = [row for row in rows if row["p"] is not None and np.isfinite(row["p"])]
    if tested:
        adjusted = stats.false_discovery_control([row["p"] for row in tested])
        for row, p in zip(tested, adjusted, strict=True):
            row["p_adjusted"] = float(p)
    for row in rows:
        row.setdefault("p_adjusted", None)
        row["significant"] = row["p_adjusted"] is not None and row["p_adjusted"] < ALPHA


def _curves(both: pd.DataFrame, quantities: list[str], known: dict[str, Metric]) -> list[Row]:
    """BD-rate of each codec's curve in the second run against its curve in the first."""
    made = []
    metrics = [name for name in quantities if name in known]
    for (dataset, codec, output), group in both.groupby(["dataset", "codec", "output"], sort=False):
        for name in metrics:
            curves = [_grid(group, name, when) for when in ("before", "after")]
            whole = np.all([np.isfinite(c).all(axis=(0, 1)) for c in curves], axis=0)
            if whole.sum() < 2 or curves[0].shape[1] < 2:
                continue
            weights = bd.resampling_weights(int(whole.sum()), RESAMPLES)
            a, t = (
                bd.mean_curves(c[0][:, whole], c[1][:, whole], weights, f"{codec} {when}")
                for c, when in zip(curves, ("before", "after"), strict=True)
            )
            higher = known[name].higher_is_better
            found = bd.bootstrap(a, t, higher_is_better=higher)
            made.append(
                {
                    "dataset": dataset, "codec": codec, "output": output, "metric": name,
                    "bd_rate_percent": found.result.value, "low": found.low, "high": found.high,
                    "reason": found.result.reason, "n_images": int(whole.sum()),
                    "warnings": list(found.result.warnings),
                    "significant": found.low is not None and found.high is not None
                    and not found.low <= 0 <= found.high,
                }
            )  # fmt: skip
    made.sort(key=lambda r: (not r["significant"], -abs(r["bd_rate_percent"] or 0.0)))
    return made


def _grid(group: pd.DataFrame, name: str, when: str) -> NDArray[np.float64]:
    """Rates and values [2, P, N] of the pictures and points that both runs have."""
    tables = [
        group.pivot_table(index="point", columns="image", values=f"{c}_{when}", dropna=False)
        for c in ("rate_bpp", name)
    ]
    return np.stack([table.to_numpy(dtype=float) for table in tables])


def _only(one: pd.DataFrame, other: pd.DataFrame) -> list[Row]:
    """Cells that one run has and the other has not, with how many pictures of them."""
    keys = [*CELL, "image"]
    merged = one[keys].merge(other[keys], on=keys, how="left", indicator=True)
    left = merged[merged["_merge"] == "left_only"]
    return [
        dict(zip(CELL, key, strict=True)) | {"n_images": int(n)}  # type: ignore[call-overload]
        for key, n in left.groupby(CELL, sort=False).size().items()
    ]


def _failures(before: Rows, after: Rows) -> list[Row]:
    keys = ["dataset", "codec", "point", "image"]
    failed = [
        rows.images[rows.images["error"].notna()].drop_duplicates(keys).set_index(keys)["error"]
        for rows in (before, after)
    ]
    made = []
    for when, own, other in (("before", *failed), ("after", *failed[::-1])):
        for key, error in own[~own.index.isin(other.index)].items():
            made.append(dict(zip(keys, key, strict=True)) | {"fails": when, "error": error})  # type: ignore[call-overload]
    return made


def _versions(before: Rows, after: Rows) -> list[Row]:
    """Plugins that both runs used in another state, newest calls counting."""
    states = []
    for rows in (before, after):
        newest: dict[str, Row] = {}
        for run in sorted(rows.runs.values(), key=lambda run: str(run.get("started"))):
            newest |= run.get("plugins", {})
        states.append(newest)
    made = []
    for name in sorted(states[0].keys() & states[1].keys()):
        old, new = states[0][name], states[1][name]
        versions = {
            key: [old.get("versions", {}).get(key), new.get("versions", {}).get(key)]
            for key in {**old.get("versions", {}), **new.get("versions", {})}
            if old.get("versions", {}).get(key) != new.get("versions", {}).get(key)
        }
        row = {
            "plugin": name,
            "versions": versions,
            "code_differs": old.get("code") != new.get("code"),
            "weights_differ": old.get("fingerprint") != new.get("fingerprint"),
        }
        if versions or row["code_differs"] or row["weights_differ"]:
            made.append(row)
    return made
