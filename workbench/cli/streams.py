"""``workbench encode``, ``decode`` and ``info``: single pictures to and from ``.wbs`` files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import complete
from workbench.cli.options import AsJson, Device, Plugins, Threads, print_json
from workbench.container import Stream
from workbench.errors import PluginError, StreamError, did_you_mean


def encode(
    codec: Annotated[
        str,
        typer.Argument(help="Codec and point: `vvc-intra@qp32`.", autocompletion=complete.codec),
    ],
    source: Annotated[Path, typer.Argument(help="Picture to encode.")],
    target: Annotated[Path, typer.Argument(help="Stream file to write, `.wbs`.")],
    plugin: Plugins = None,
    device: Device = "cpu",
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Encode one picture to a stream file.

    Example: `workbench encode jpeg@quality75 photo.png photo.wbs`
    """
    from workbench import images, registry
    from workbench.contract import to_stream

    name, at, _ = codec.partition("@")
    found = registry.load(plugin or ())
    kind = found.codec(name)
    if not at:
        labels = ", ".join(point.label for point in kind.points)
        raise PluginError(f"{name}: which point? Write {name}@POINT with one of {labels}")
    [(kind, [point])] = found.select_codecs([codec])
    picture = images.read(source)
    height, width = picture.shape[:2]
    payload = kind(device, threads).encode_many([picture], point)[0]
    stream = to_stream(kind, point, width, height, payload)
    data = stream.to_bytes()
    part = target.with_name(target.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StreamError(f"{target}: cannot write ({error.strerror})") from None
    n_bytes = stream.n_bytes(stream.layers)
    rate = 8 * n_bytes / (width * height)
    if as_json:
        print_json({"file": str(target), "n_bytes": n_bytes, "container_bytes": len(data),
                    "rate_bpp": rate})  # fmt: skip
    else:
        typer.echo(f"{target}: {n_bytes} bytes, {rate:.4f} bpp ({len(data)} with the container)")


def decode(
    source: Annotated[Path, typer.Argument(help="Stream file, `.wbs`.")],
    target: Annotated[Path, typer.Argument(help="Picture to write, `.png`.")],
    output: Annotated[
        str | None, typer.Option(help="Which output, where there are several.")
    ] = None,
    plugin: Plugins = None,
    device: Device = "cpu",
    threads: Threads = 1,
) -> None:
    """Decode a stream file to a picture; nothing else is needed but the installed codec.

    Without --output: the one with the most layers that the file has.

    Example: `workbench decode photo.wbs photo.png`
    """
    from workbench import images, registry
    from workbench.contract import check_picture, from_stream

    stream = _read(source)
    found = registry.load(plugin or ())
    [(kind, _)] = found.select_codecs([stream.codec])
    name = output or max(
        (name for name, out in kind.outputs.items() if set(out.needs) <= set(stream.layers)),
        key=lambda name: len(kind.outputs[name].needs),
        default=next(iter(kind.outputs)),
    )
    if name not in kind.outputs:
        raise PluginError(f"{kind.name}: no output {name!r}.{did_you_mean(name, kind.outputs)}")
    payload = from_stream(kind, stream, name)
    picture = kind(device, threads).decode_many([payload], name)[0]
    check_picture(picture, stream.width, stream.height, kind.name)
    images.write(target, picture)
    typer.echo(f"{target}: {stream.width}x{stream.height}, output {name} of {stream.codec}")


def info(
    source: Annotated[Path, typer.Argument(help="Stream file, `.wbs`.")],
    as_json: AsJson = False,
) -> None:
    """Show what a stream file holds, without decoding it.

    Example: `workbench info photo.wbs`
    """
    stream = _read(source)
    pixels = stream.width * stream.height
    layers = {
        name: {"n_bytes": len(data), "rate_bpp": 8 * len(data) / pixels}
        for name, data in stream.layers.items()
    }
    container = stream.container_bytes(stream.layers)
    if as_json:
        print_json(
            {
                "codec": stream.codec, "point": stream.point, "width": stream.width,
                "height": stream.height, "layers": layers, "container_bytes": container,
            }
        )  # fmt: skip
        return
    typer.echo(f"{stream.codec}@{stream.point}, {stream.width}x{stream.height}")
    for name, layer in layers.items():
        typer.echo(f"  {name}: {layer['n_bytes']} bytes, {layer['rate_bpp']:.4f} bpp")
    typer.echo(f"  with the container: {container} bytes, {8 * container / pixels:.4f} bpp")


def _read(source: Path) -> Stream:
    try:
        return Stream.from_bytes(source.read_bytes())
    except OSError as error:
        raise StreamError(f"{source}: cannot be read ({error.strerror})") from None
    except StreamError as error:
        raise StreamError(f"{source}: {error}") from None
