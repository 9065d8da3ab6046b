"""``workbench check``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from workbench.cli.options import AsJson, Plugins, print_json


def check(
    codec: Annotated[str, typer.Argument(help="A codec's name, or a plugin file.")],
    plugin: Plugins = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds a check may take.")] = 120,
    as_json: AsJson = False,
) -> None:
    """Check that a codec keeps the contract; exit code 1 if a check fails.

    Example: `workbench check my_codec.py`
    """
    from workbench.testing import check_codec, codecs_of_file

    files = list(plugin or ())
    names = [codec]
    if codec.endswith(".py"):
        names = codecs_of_file(codec)
        files.append(codec)
    results: list[dict[str, Any]] = []
    for name in names:
        for index, verdict in enumerate(check_codec(name, files, timeout)):
            results.append({"codec": name, **asdict(verdict)})
            if not as_json:
                typer.echo(f"  {verdict}" if index else f"{name}\n  {verdict}")
    if as_json:
        print_json(results)
    if not all(result["passed"] for result in results):
        raise typer.Exit(1)
