"""Shell completion of the names of plugins and points. Loads no heavy library."""

from __future__ import annotations

from collections.abc import Callable

import typer

from workbench import registry

Completer = Callable[[str], list[str]]


def codec(incomplete: str) -> list[str]:
    """One codec, or one of its points: ``vv`` to ``vvc-intra``, ``jpeg@q`` to its points."""
    found = registry.load()
    name, at, _ = incomplete.partition("@")
    kinds = [*found.codecs.values(), *found.families.values()]
    if not at:
        return _begun([f"{k.name}:" if k.family else k.name for k in kinds], name)
    if name not in found.codecs:
        return []
    return _begun([f"{name}@{point.label}" for point in found.codecs[name].points], incomplete)


def codecs(incomplete: str) -> list[str]:
    """Codecs and points behind commas, or ``all``."""
    return _behind_commas(incomplete, lambda last: _begun(["all"], last) + codec(last))


def tasks(incomplete: str) -> list[str]:
    """Tasks behind commas, or ``all``."""
    return _behind_commas(incomplete, lambda last: _begun(["all", *registry.load().tasks], last))


def dataset(incomplete: str) -> list[str]:
    """A dataset's name, with its colon where it takes a path."""
    known = registry.load().datasets.values()
    return _begun([kind.name + (":" if kind.scheme else "") for kind in known], incomplete)


def recipe(incomplete: str) -> list[str]:
    """A recipe's name."""
    trainers = registry.load().trainers.values()
    return _begun([name for trainer in trainers for name in trainer.recipes()], incomplete)


def segmenter(incomplete: str) -> list[str]:
    """A segmenter's name."""
    return _begun(list(registry.load().segmenters), incomplete)


def plugin(context: typer.Context, incomplete: str) -> list[str]:
    """The name behind ``workbench show KIND``."""
    kind = str(context.params.get("kind", "codecs"))
    return _begun(list(getattr(registry.load(), kind, ())), incomplete)


def _begun(names: list[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


def _behind_commas(incomplete: str, complete: Completer) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in complete(last)]
