"""Pictures of a report: originals from their datasets, decoded ones from the stored streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import plain, registry
from workbench.api import Codec, Dataset, Item
from workbench.container import Stream
from workbench.contract import check_picture, from_stream
from workbench.errors import PluginError, StoreError, WorkbenchError
from workbench.rows import Rows
from workbench.store import Store

if TYPE_CHECKING:
    from workbench.api import Picture

Cell = Mapping[str, Any]
"""A row of ``Rows.images`` as a dict."""


@dataclass
class Gallery:
    """Opens what runs stored: ``folders`` are the run directories behind ``rows``."""

    folders: Sequence[Path]
    rows: Rows
    plugins: Sequence[str] = ()
    data_root: str | None = None
    _codecs: dict[str, Codec] = field(default_factory=dict)
    _datasets: dict[str, tuple[Dataset, dict[str, Item]]] = field(default_factory=dict)

    @cached_property
    def registry(self) -> registry.Registry:
        """The plugins that are installed, and the files that were named."""
        return registry.load(self.plugins)

    @cached_property
    def _stores(self) -> list[Store]:
        return [Store(folder) for folder in self.folders]

    def blob(self, sha256: str) -> bytes:
        """Return kept bytes from whichever run has them.

        Raises:
            StoreError: no run has them undamaged.
        """
        for store in self._stores[:-1]:
            try:
                return store.blob(sha256)
            except StoreError:
                continue
        return self._stores[-1].blob(sha256)

    @cached_property
    def prediction(self) -> Callable[[str], Any]:
        """Returns what a task stored for a picture, by its hash; the last few are kept."""
        return lru_cache(maxsize=128)(lambda sha256: plain.loads(self.blob(sha256)))

    def original(self, dataset: str, image: str) -> Picture:
        """Read a picture of a dataset, which must be the one that was measured.

        Raises:
            WorkbenchError: dataset or picture are gone, or the picture is another one.
        """
        data, items = self._dataset(dataset)
        known = {row["name"]: row for row in self.rows.items[dataset]}[image]
        item = items.get(image)
        if item is None or item.error:
            raise WorkbenchError(f"{dataset}: {image}: {item.error if item else 'no longer there'}")
        if item.sha256 != known["sha256"]:
            raise WorkbenchError(f"{dataset}: {image} is not the picture that was measured")
        return data.load(item)

    def decoded(self, cell: Cell) -> Picture:
        """Decode a stored stream; the picture must be the very one that was scored.

        Raises:
            WorkbenchError: the stream or the codec is missing, or it decodes to something else.
            Exception: whatever a codec raises.
        """
        import xxhash

        name, output = str(cell["codec"]), str(cell["output"])
        stream = Stream.from_bytes(self.blob(str(cell["stream"])))
        kind = self.registry.codec(name)
        if reason := kind.unavailable():
            raise WorkbenchError(f"{name} is not available here: {reason}")
        if name not in self._codecs:
            self._codecs[name] = kind()
        [picture] = self._codecs[name].decode_many([from_stream(kind, stream, output)], output)
        check_picture(picture, stream.width, stream.height, name)
        if xxhash.xxh3_128_hexdigest(picture.tobytes()) != cell["picture_xxh3"]:
            raise WorkbenchError(f"{name} here decodes to another picture than was scored")
        return picture

    def layers(self, cell: Cell) -> dict[str, int]:
        """Return the bytes of each layer that the cell's output needs."""
        stream = Stream.from_bytes(self.blob(str(cell["stream"])))
        needs = str(cell["needs"]).split(",")
        return {name: len(data) for name, data in stream.layers.items() if name in needs}

    def label_names(self, task: str) -> dict[Any, str]:
        """Return what a task's labels mean, as far as its plugin says so."""
        kind = self.registry.tasks.get(task)
        table = getattr(kind, "categories", None) or getattr(kind, "classes", None)
        if isinstance(table, Mapping):
            return dict(table)
        if isinstance(table, Sequence) and not isinstance(table, str):
            return {
                entry["id"] if isinstance(entry, Mapping) else i: str(
                    entry["name"] if isinstance(entry, Mapping) else entry
                )
                for i, entry in enumerate(table)
            }
        return {}

    def codecs(self, names: Iterable[str]) -> list[type[Codec]]:
        """Return those of the named codecs that are here, families over another one included."""
        found = []
        for name in names:
            with suppress(PluginError):  # of a plugin that is not installed any more
                found.append(self.registry.codec(name))
        return found

    def lossless(self, codec: str) -> bool:
        """Whether a codec decodes to the original, so that its predictions are the original's."""
        kind = self.registry.codecs.get(codec)
        return kind is not None and kind.lossless

    def _dataset(self, name: str) -> tuple[Dataset, dict[str, Item]]:
        if name not in self._datasets:
            data = self.registry.dataset(name, self.data_root or self._root_of(name))
            self._datasets[name] = data, {item.name: item for item in data.items()}
        return self._datasets[name]

    def _root_of(self, dataset: str) -> str | None:
        """The folder of datasets that the newest run of this one was told."""
        runs = sorted(self.rows.runs.values(), key=lambda run: str(run.get("started")))
        roots = [
            run.get("arguments", {}).get("data_root")
            for run in runs
            if run.get("dataset", {}).get("name") == dataset
        ]
        return next((root for root in reversed(roots) if root), None)
