"""``workbench serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import DataRoot, Plugins


def serve(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Run directories.")],
    host: Annotated[
        str, typer.Option(help="Address to serve at. Others than this machine's reach the network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8400,
    anchor: Annotated[
        str | None, typer.Option(help="`CODEC` or `CODEC/OUTPUT` to compare with.")
    ] = None,
    data_root: DataRoot = None,
    plugin: Plugins = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page.")] = False,
) -> None:
    """Show the report of runs in a browser, live while they go on. Nothing is written.

    Every picture can be looked at: streams are decoded when they are asked for.

    Example: `workbench serve run --open`
    """
    from workbench_reports import Options
    from workbench_reports.live import Live, is_loopback, server

    live = Live(folders, Options(anchor), plugin or (), str(data_root) if data_root else None)
    with server(live, host, port) as found:
        address = f"http://{f'[{host}]' if ':' in host else host}:{found.server_address[1]}/"
        typer.echo(f"Serving {address} (stop with Ctrl-C)")
        if not is_loopback(host):
            typer.echo(f"Anyone who reaches {host} can see it.", err=True)
        if open_page:
            typer.launch(address)
        try:
            found.serve_forever()
        except KeyboardInterrupt:
            typer.echo("stopped")
