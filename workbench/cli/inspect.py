"""``workbench list`` and ``workbench show``."""

from __future__ import annotations

import inspect
from enum import StrEnum
from typing import Annotated, Any

import typer

from workbench import registry
from workbench.api import Codec, Dataset, Metric, Plugin, Task
from workbench.cli import complete
from workbench.cli.options import AsJson, Plugins, print_json
from workbench.errors import PluginError, did_you_mean


class Kind(StrEnum):
    """What can be listed."""

    codecs = "codecs"
    tasks = "tasks"
    datasets = "datasets"
    metrics = "metrics"


def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """List codecs, tasks, datasets or metrics, and what is not available here.

    Example: `workbench list codecs`
    """
    found = registry.load(plugin or ())
    if kind is Kind.metrics:
        entries = [
            _metric(metric, task) for task in found.tasks.values() for metric in task.metrics
        ]
    else:
        known: dict[str, type[Plugin]] = dict(getattr(found, kind.value))
        if kind is Kind.codecs:
            known.update(found.families)
        entries = [_brief(entry) for entry in known.values()]
    if as_json:
        print_json(entries)
        return
    width = max((len(entry["name"]) for entry in entries), default=0)
    for entry in sorted(entries, key=lambda entry: entry["name"]):
        reason = entry.get("unavailable")
        note = f"  [not available here: {reason}]" if reason else ""
        typer.echo(f"{entry['name']:{width}}  {entry['about']}{note}")
    for name, reason in found.refused.items():
        typer.echo(f"workbench: plugin {name!r} was refused: {reason}", err=True)


def show(
    kind: Annotated[Kind, typer.Argument(help="What it is.")],
    name: Annotated[str, typer.Argument(help="Its name.", autocompletion=complete.plugin)],
    plugin: Plugins = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Time a codec, by stages where it tells them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show all about one plugin: points, layers, outputs, needs, versions, citation.

    Example: `workbench show codecs vvc-intra`
    """
    found = registry.load(plugin or ())
    if kind is Kind.metrics:
        metrics = {m.name: _metric(m, t) for t in found.tasks.values() for m in t.metrics}
        if name not in metrics:
            raise PluginError(f"no metric {name!r}.{did_you_mean(name, metrics)}")
        details = metrics[name]
    else:
        known: dict[str, type[Plugin]] = dict(getattr(found, kind.value))
        if kind is Kind.codecs:
            known[name] = found.families.get(name) or found.codec(name)
        if name not in known:
            raise PluginError(f"no {kind.value[:-1]} {name!r}.{did_you_mean(name, known)}")
        details = _details(known[name])
        if profile:
            details["profile"] = _profile(known[name])
    if as_json:
        print_json(details)
        return
    for key, value in details.items():
        if value in (None, "", [], {}):
            continue
        text = value
        if isinstance(value, dict):
            text = "\n".join(f"{k}: {v}" for k, v in value.items())
        elif isinstance(value, list):
            text = "\n".join(map(str, value))
        indented = str(text).replace("\n", f"\n{'':13}")
        typer.echo(f"{key:12} {indented}")


def _brief(plugin: type[Plugin]) -> dict[str, Any]:
    about = (inspect.getdoc(plugin) or "").partition("\n")[0]
    name = registry.written(plugin) if issubclass(plugin, Codec) else plugin.name
    return {"name": name, "about": about, "unavailable": plugin.unavailable()}


def _details(plugin: type[Plugin]) -> dict[str, Any]:
    reason = plugin.unavailable()
    versions = {}
    if reason is None:
        try:
            versions = plugin.versions()
        except PluginError as error:  # what only shows when a program is asked, not listed
            reason = str(error)
    details: dict[str, Any] = {
        "name": plugin.name,
        "about": inspect.getdoc(plugin) or "",
        "available": "yes" if reason is None else f"no: {reason}",
        "citation": plugin.citation,
        "needs": ", ".join(plugin.requires),
        "module": plugin.__module__,
        "versions": versions,
    }
    if issubclass(plugin, Codec) and plugin.family:
        details["written as"] = registry.written(plugin)
    elif issubclass(plugin, Codec):
        points = plugin.points
        details["points"] = ", ".join(point.label for point in points)
        if points.limits:
            low, high = points.limits
            details["any point"] = f"{points.parameter} {low:g}..{high:g}"
        details["layers"] = ", ".join(plugin.layers)
        details["outputs"] = {
            name: f"needs {' + '.join(output.needs)}; for {output.audience} use"
            for name, output in plugin.outputs.items()
        }
    if issubclass(plugin, Task):
        details["audience"] = plugin.audience
        details["target"] = plugin.target
        details["metrics"] = {metric.name: metric.description for metric in plugin.metrics}
    if issubclass(plugin, Dataset):
        details["licence"] = plugin.licence
        details["targets"] = ", ".join(plugin.targets)
        details["written as"] = f"{plugin.name}:..." if plugin.scheme else plugin.name
    return details


PROFILED = (512, 768)
"""Height and width of the picture that codecs are timed on."""


def _profile(plugin: type[Plugin]) -> dict[str, str]:
    """Seconds of coding a synthetic picture once warm, and what the codec itself tells."""
    import time

    from workbench.testing import picture

    if not issubclass(plugin, Codec) or plugin.family:
        raise PluginError(f"{plugin.name}: only codecs have a profile")
    if reason := plugin.unavailable():
        raise PluginError(f"{plugin.name} {reason}")
    codec, image = plugin(), picture(*PROFILED)
    point = plugin.points[len(plugin.points) // 2]
    codec.encode_many([image], point)
    start = time.perf_counter()
    payload = codec.encode_many([image], point)[0]
    told = {
        "measured": f"{PROFILED[1]}x{PROFILED[0]}, {point.label}, one thread",
        "encode_s": f"{time.perf_counter() - start:.3f}",
    }
    for output in plugin.outputs:
        codec.decode_many([payload], output)
        start = time.perf_counter()
        codec.decode_many([payload], output)
        told[f"decode_s, {output}"] = f"{time.perf_counter() - start:.3f}"
    return told | codec.profile(image, point)


def _metric(metric: Metric, task: type[Task]) -> dict[str, Any]:
    return {
        "name": metric.name,
        "about": metric.description,
        "label": metric.label,
        "unit": metric.unit,
        "task": task.name,
        "higher_is_better": metric.higher_is_better,
        "limits": list(metric.limits),
        "pool": metric.pool,
        "unavailable": task.unavailable(),
    }
