"""``workbench weights``: the trained weights that plugins need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from workbench import registry, weights
from workbench.cli.bars import transfer_bar
from workbench.cli.options import AsJson, Plugins, print_json
from workbench.errors import PluginError, WeightsError, did_you_mean
from workbench.weights import WeightFile

Known = dict[str, tuple[WeightFile, list[str]]]
"""By file name: the file, and the names of the plugins that need it."""

app = typer.Typer(
    no_args_is_help=True,
    help="Trained weights that plugins need: list, fetch and verify them.",
)
NAMES_HELP = "Names of weights, or of plugins for all that these need."
Names = Annotated[list[str] | None, typer.Argument(help=NAMES_HELP, metavar="[NAME]...")]


@app.command("list")
def list_(plugin: Plugins = None, as_json: AsJson = False) -> None:
    """List the weights that plugins need, who needs them, and where they lie.

    Example: `workbench weights list`
    """
    known = _known(plugin)
    entries = [_entry(file, needed_by) for file, needed_by in known.values()]
    if as_json:
        print_json(entries)
        return
    width = max((len(name) for name in known), default=0)
    for entry in entries:
        where = entry["path"] or "missing"
        size, needed_by = f"{entry['size_mb']:.0f} MiB", ", ".join(entry["needed_by"])
        typer.echo(f"{entry['name']:{width}}  {size:>9}  {needed_by}: {where}")


@app.command()
def pull(
    names: Annotated[list[str], typer.Argument(help=NAMES_HELP, metavar="NAME...")],
    to: Annotated[
        Path | None,
        typer.Option(help="Folder to put them into. Default: the first of 'weights path'."),
    ] = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Fetch weights over the network and verify them; a cut download goes on where it stopped.

    Example: `workbench weights pull lpips`
    """
    fetched = []
    for file in _chosen(names, _known(plugin)):
        with transfer_bar(file.name) as progress:
            path = weights.pull(file, to, progress)
        fetched.append({"name": file.name, "path": str(path)})
        if not as_json:
            typer.echo(path)
    if as_json:
        print_json(fetched)


@app.command()
def verify(names: Names = None, plugin: Plugins = None, as_json: AsJson = False) -> None:
    """Check the SHA-256 of the weights that are here, or of those named; exit code 1 on a fault.

    Example: `workbench weights verify`
    """
    known = _known(plugin)
    files = _chosen(names, known) if names else [f for f, _ in known.values() if weights.find(f)]
    verdicts: list[dict[str, Any]] = []
    for file in files:
        fault = None
        try:
            weights.verified(file)
        except WeightsError as error:
            fault = str(error)
        verdicts.append({"name": file.name, "ok": fault is None, "fault": fault})
        if not as_json:
            typer.echo(f"{file.name}: ok" if fault is None else fault)
    if as_json:
        print_json(verdicts)
    if not all(verdict["ok"] for verdict in verdicts):
        raise typer.Exit(1)


@app.command()
def path(names: Names = None, plugin: Plugins = None, as_json: AsJson = False) -> None:
    """Print where the named weights lie; without names, the folders that are searched, in order.

    Example: `WORKBENCH_WEIGHTS=/data/weights workbench weights path`
    """
    if names:
        found = [_where(file) for file in _chosen(names, _known(plugin))]
    else:
        found = weights.folders()
    if as_json:
        print_json([str(place) for place in found])
    else:
        for place in found:
            typer.echo(place)


def _known(plugin: list[str] | None) -> Known:
    found = registry.load(plugin or ())
    known: Known = {}
    for kind in (found.codecs, found.tasks, found.datasets, found.segmenters):
        for entry in kind.values():
            for file in entry.weights:
                other, needed_by = known.setdefault(file.name, (file, []))
                if other != file:
                    raise PluginError(
                        f"weights {file.name!r}: {needed_by[0]} and {entry.name} mean different "
                        "files: rename one"
                    )
                needed_by.append(entry.name)
    return dict(sorted(known.items()))


def _chosen(names: list[str], known: Known) -> list[WeightFile]:
    chosen: dict[str, WeightFile] = {}
    for name in names:
        files = [file for file, needed_by in known.values() if name in (file.name, *needed_by)]
        if not files:
            choice = {*known, *(owner for _, needed_by in known.values() for owner in needed_by)}
            raise PluginError(
                f"no weights {name!r}, and no plugin of that name needs any."
                f"{did_you_mean(name, choice)}"
            )
        chosen.update((file.name, file) for file in files)
    return list(chosen.values())


def _where(file: WeightFile) -> Path:
    place = weights.find(file)
    if place is None:
        raise WeightsError(f"{file.name}: {weights.missing([file])}")
    return place


def _entry(file: WeightFile, needed_by: list[str]) -> dict[str, Any]:
    place = weights.find(file)
    return {
        "name": file.name,
        "needed_by": needed_by,
        "size_mb": file.size_mb,
        "licence": file.licence,
        "url": file.url,
        "sha256": file.sha256,
        "path": None if place is None else str(place),
    }
