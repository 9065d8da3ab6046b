"""Train and ship: ``python -m workbench_plugins.codecs.icm pack|train|export``.

pack   --source bsds500=DIR --source coco=DIR --source camvid=DIR --out FILE
train  RECIPE.yaml --data FILE --out DIR [--held-out PICTURE ...]
export CHECKPOINT --recipe RECIPE.yaml --out DIR [--test kodak=DIR] [--anchors jpeg,webp]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import data, export, recipe, train


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

    training = commands.add_parser("train", help="run or resume a recipe")
    training.add_argument("recipe", type=Path)
    training.add_argument("--data", type=Path, required=True)
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--held-out", type=Path, nargs="*", default=[])

    exporting = commands.add_parser("export", help="a checkpoint into weights and a card")
    exporting.add_argument("checkpoint", type=Path)
    exporting.add_argument("--recipe", type=Path, required=True)
    exporting.add_argument("--out", type=Path, required=True)
    exporting.add_argument("--test", action="append", type=_pair, default=[])
    exporting.add_argument("--anchors", default="", help="codecs to compare with: jpeg,webp")

    args = parser.parse_args()
    if args.command == "pack":
        print(f"{data.pack(dict(args.source), args.out)} pictures")
    elif args.command == "train":
        loaded = recipe.load_recipe(args.recipe)
        train.train(loaded, args.data, args.out, held_out=args.held_out)
    else:
        loaded = recipe.load_recipe(args.recipe)
        anchors = [name for name in args.anchors.split(",") if name]
        export.ship(args.checkpoint, loaded, args.out, dict(args.test), anchors)


if __name__ == "__main__":
    main()
