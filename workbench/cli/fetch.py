"""``workbench fetch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench import registry
from workbench.cli.bars import transfer_bar
from workbench.cli.options import AsJson, DataRoot, Plugins, print_json


def fetch(
    dataset: Annotated[str, typer.Argument(help="Dataset to fetch.")],
    data_root: DataRoot = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a dataset over the network and verify it; files that are there are kept.

    Example: `workbench fetch kodak --data-root /data`
    """
    found = registry.load(plugin or ()).dataset(dataset, str(data_root) if data_root else None)
    with transfer_bar(dataset) as progress:
        folder = Path(found.fetch(progress))
    if as_json:
        print_json({"dataset": dataset, "folder": str(folder)})
    else:
        typer.echo(folder)
