"""Before and after ``workbench train``: ``python -m workbench_plugins.codecs.icm pack|export``.

pack   --source bsds500=DIR --source coco=DIR --source camvid=DIR --out FILE
export CHECKPOINT --recipe NAME --out DIR [--test kodak=DIR] [--anchors jpeg,webp]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import data, export, recipe


def _pair(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=FOLDER")
    return name, Path(folder)


def main() -> None:
    """Parse and run one command."""
    parser = argparse.ArgumentParser(prog="python -m workbench_plugins.codecs.icm")
    commands = parser.add_subparsers(dest="command", required=True)

    packing = commands.add_parser("pack", help="training pictures into one file")
    packing.add_argument("--source", action="append", type=_pair, required=True)
    packing.add_argument("--out", type=Path, required=True)

    exporting = commands.add_parser("export", help="a checkpoint into weights and a card")
    exporting.add_argument("checkpoint", type=Path)
    exporting.add_argument("--recipe", required=True, help="its name or file")
    exporting.add_argument("--out", type=Path, required=True)
    exporting.add_argument("--test", action="append", type=_pair, default=[])
    exporting.add_argument("--anchors", default="", help="codecs to compare with: jpeg,webp")

    args = parser.parse_args()
    if args.command == "pack":
        sources = ((name, data.SOURCES[name](root)) for name, root in args.source)
        print(f"{data.pack(sources, args.out)} pictures")
    else:
        loaded = recipe.load_recipe(recipe.find_recipe(args.recipe))
        anchors = [name for name in args.anchors.split(",") if name]
        export.ship(args.checkpoint, loaded, args.out, dict(args.test), anchors)


if __name__ == "__main__":
    main()
