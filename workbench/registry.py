"""Finds plugins, checks them, and turns what a user types into codecs, points and datasets.

Plugins come from the entry points of the group ``workbench`` and from local files. A plugin that
cannot be loaded or breaks the contract is refused by name and the others stay.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pluggy

from workbench import weights
from workbench.api import Codec, Dataset, Hooks, Plugin, Task
from workbench.errors import PluginError, WorkbenchError, did_you_mean
from workbench.points import Point
from workbench.training import Finetunable, Segmenter, Trainer

GROUP = "workbench"
P = TypeVar("P", bound=Plugin)


@dataclass(frozen=True)
class Registry:
    """The plugins that were found, by name, and the reasons why others were refused."""

    codecs: dict[str, type[Codec]] = field(default_factory=dict)
    families: dict[str, type[Codec]] = field(default_factory=dict)
    tasks: dict[str, type[Task]] = field(default_factory=dict)
    datasets: dict[str, type[Dataset]] = field(default_factory=dict)
    segmenters: dict[str, type[Segmenter]] = field(default_factory=dict)
    trainers: dict[str, type[Trainer]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    _made: dict[str, type[Codec]] = field(default_factory=dict, repr=False)

    def codec(self, name: str) -> type[Codec]:
        """Return the codec of this name, ``jpeg`` or a family's ``vvc-residual:jpeg``.

        Raises:
            PluginError: there is none; it names the nearest.
        """
        if name in self.codecs:
            return self.codecs[name]
        if name not in self._made:
            family, _, argument = name.partition(":")
            known = {**self.codecs, **self.families}
            kind = _lookup(known, family if family in self.families else name, "codec")
            if not argument:
                raise PluginError(f"{family} is a family of codecs: write {written(kind)}")
            made = kind.of(argument, self)
            if made.name != name or made.family:
                raise PluginError(f"{family}: made a codec called {made.name!r}, not {name!r}")
            _check_codec(made)
            self._made[name] = made
        return self._made[name]

    def task(self, name: str) -> type[Task]:
        """Return the task of this name; raise PluginError with the nearest name otherwise."""
        return _lookup(self.tasks, name, "task")

    def segmenter(self, name: str) -> type[Segmenter]:
        """Return the segmenter of this name, if it is available here; PluginError otherwise."""
        return _available(_lookup(self.segmenters, name, "segmenter"))

    def trainer(self, name: str) -> type[Trainer]:
        """Return the trainer of this name, if it is available here; PluginError otherwise."""
        return _available(_lookup(self.trainers, name, "trainer"))

    def dataset(self, spec: str, root: str | None = None) -> Dataset:
        """Open ``NAME`` or ``SCHEME:ARGUMENT``; ``root`` is the folder that holds datasets."""
        name, colon, argument = spec.partition(":")
        kind = _lookup(self.datasets, name, "dataset")
        if kind.scheme != bool(colon):
            usage = f"{name}:..." if kind.scheme else name
            raise PluginError(f"dataset {spec!r}: write {usage}")
        reason = kind.unavailable()
        if reason:
            raise PluginError(f"dataset {name!r} {reason}")
        return kind(argument, root)

    def select_codecs(self, spec: str | Iterable[str]) -> list[tuple[type[Codec], list[Point]]]:
        """Resolve ``all`` or ``jpeg,vvc-intra@qp32``: each codec with its points, once.

        ``all`` leaves out lossless codecs, families, those that want to be named, and those that
        are unavailable here; naming one of these last raises its reason.
        """
        chosen: dict[type[Codec], dict[str, Point]] = {}
        for name in _split(spec):
            if name == "all":
                for codec in self.codecs.values():
                    named = codec.lossless or codec.by_name_only
                    if not named and not codec.unavailable():
                        chosen.setdefault(codec, {}).update(
                            (point.label, point) for point in codec.points
                        )
                continue
            codec_name, _, label = name.partition("@")
            codec = _available(self.codec(codec_name))
            wanted = [codec.points.find(label, codec.name)] if label else codec.points
            chosen.setdefault(codec, {}).update((point.label, point) for point in wanted)
        return [(codec, list(points.values())) for codec, points in chosen.items()]

    def select_tasks(self, spec: str | Iterable[str]) -> list[type[Task]]:
        """Resolve ``all`` or ``psnr,ssim``; ``all`` leaves out what is unavailable here."""
        chosen: dict[str, type[Task]] = {}
        for name in _split(spec):
            if name == "all":
                chosen.update((k, t) for k, t in self.tasks.items() if not t.unavailable())
            else:
                chosen[name] = _available(self.task(name))
        return list(chosen.values())


def load(files: Sequence[str | Path] = ()) -> Registry:
    """Load installed plugins, and the local plugin ``files``."""
    manager = _installed()
    names = []
    try:
        for file in files:
            module = _load_file(Path(file))
            if not manager.is_registered(module):
                names.append(manager.register(module, module.__name__))
        return _collect(manager, local={str(name) for name in names})
    finally:
        # The manager of installed plugins is shared by all calls; local files are not.
        for name in names:
            manager.unregister(name=name)


@cache
def _installed() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(Hooks)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            manager.register(entry.load(), entry.name)
        except Exception as error:
            manager.set_blocked(entry.name)
            _broken_entries[entry.name] = f"cannot be loaded ({type(error).__name__}: {error})"
    return manager


_broken_entries: dict[str, str] = {}


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise PluginError(f"{path}: no such plugin file")
    path = path.resolve()
    name = "workbench_local_" + hashlib.sha256(str(path).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path}: a plugin file must be a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise PluginError(f"{path}: cannot be loaded ({type(error).__name__}: {error})") from error
    return module


def _collect(manager: pluggy.PluginManager, local: set[str]) -> Registry:
    registry = Registry(refused=dict(_broken_entries))
    kinds: tuple[tuple[str, type[Plugin], dict[str, Any]], ...] = (
        ("workbench_codecs", Codec, registry.codecs),
        ("workbench_tasks", Task, registry.tasks),
        ("workbench_datasets", Dataset, registry.datasets),
        ("workbench_segmenters", Segmenter, registry.segmenters),
        ("workbench_trainers", Trainer, registry.trainers),
    )
    for hook_name, base, found in kinds:
        hook = getattr(manager.hook, hook_name)
        for impl in sorted(hook.get_hookimpls(), key=lambda impl: str(impl.plugin_name)):
            try:
                for plugin in impl.function():
                    _add(plugin, base, found, registry.families)
            except Exception as error:
                reason = str(error) if isinstance(error, WorkbenchError) else repr(error)
                # A user who names a file wants to hear of its faults at once.
                if impl.plugin_name in local:
                    raise PluginError(f"{impl.plugin.__file__}: {reason}") from error
                registry.refused[impl.plugin_name] = reason
    _add_finetuned(registry)
    return registry


def _add_finetuned(registry: Registry) -> None:
    """Add the tasks that ``workbench finetune`` left in the folders of weights."""
    for name, path in weights.finetuned().items():
        try:
            base = registry.task(name.partition("+")[0])
            if not issubclass(base, Finetunable):
                raise PluginError(f"{base.name} cannot be finetuned")
            _add(base.finetuned(name, path), Task, registry.tasks, registry.families)
        except PluginError as error:
            registry.refused[name] = f"{path}: {error} (remove or rename the file)"


def written(codec: type[Codec]) -> str:
    """How a codec's name is written: ``jpeg``, or ``vvc-residual:CODEC`` of a family."""
    return f"{codec.name}:{codec.family}" if codec.family else codec.name


def _add(
    plugin: Any, base: type[P], found: dict[str, type[P]], families: dict[str, type[Codec]]
) -> None:
    if not (isinstance(plugin, type) and issubclass(plugin, base)):
        raise PluginError(f"{plugin!r} is not a subclass of workbench.{base.__name__}")
    name = getattr(plugin, "name", None)
    if not isinstance(name, str) or not name or set(name) & set(",@ \t\n"):
        raise PluginError(f"{plugin.__name__}: name {name!r} must be a word without , @ or spaces")
    other: type[Plugin] | None = found.get(name)
    if issubclass(plugin, Codec):
        other = other or families.get(name)
    if other is not None and other is not plugin:
        raise PluginError(f"the name {name!r} is taken by {other.__module__}: choose another")
    if issubclass(plugin, Codec):
        if plugin.family:
            families[name] = plugin
            return
        _check_codec(plugin)
    if issubclass(plugin, Task):
        if not getattr(plugin, "metrics", None):
            raise PluginError(f"{name}: a task must list its metrics")
        if plugin.audience not in ("human", "machine", "any"):
            raise PluginError(f"{name}: audience {plugin.audience!r} is not human, machine or any")
    found[name] = plugin


def _check_codec(codec: type[Codec]) -> None:
    if not getattr(codec, "points", None):
        raise PluginError(f"{codec.name}: a codec must have points")
    for output, needs in codec.outputs.items():
        unknown = set(needs.needs) - set(codec.layers)
        if unknown or not needs.needs:
            raise PluginError(
                f"{codec.name}: output {output!r} needs layers {needs.needs}, "
                f"the codec has {codec.layers}"
            )


def _lookup(known: dict[str, type[P]], name: str, kind: str) -> type[P]:
    if name not in known:
        raise PluginError(f"no {kind} {name!r}.{did_you_mean(name, known)}")
    return known[name]


def _available(plugin: type[P]) -> type[P]:
    reason = plugin.unavailable()
    if reason:
        raise PluginError(f"{plugin.name} is not available here: {reason}")
    return plugin


def _split(spec: str | Iterable[str]) -> list[str]:
    parts = spec.split(",") if isinstance(spec, str) else list(spec)
    return [part.strip() for part in parts if part.strip()]
