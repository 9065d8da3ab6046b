"""What the tasks of this package share: finding, loading and naming a network's classes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import workbench
from workbench.errors import WeightsError
from workbench_plugins.tasks.transformers.snapshot import Snapshot

if TYPE_CHECKING:
    from torch import nn

    from workbench.api import Picture

REQUIRES = ("torch", "torchvision", "transformers", "safetensors")
# Told, not guessed: three rows of pixels look like three channels.
PICTURES = {"return_tensors": "pt", "input_data_format": "channels_last"}
NO_CLASS = "N/A"  # DETR's table has it where COCO's ids have gaps


class Pretrained(workbench.Task):
    """A network of transformers: subclasses give ``snapshot`` and the names of its classes.

    Pictures are scaled and normalised by the snapshot's own image processor.
    """

    requires = REQUIRES
    extra = "transformers"
    batch = 1  # networks of this size fill a processor's caches alone
    snapshot: ClassVar[Snapshot]
    network: ClassVar[str]
    """Name of the model's class."""
    processor: ClassVar[str]
    """Name of the image processor's class."""

    @classmethod
    def unavailable(cls) -> str | None:
        """Say what is not installed, or which files of the snapshot are missing."""
        return cls.not_installed() or cls.snapshot.missing(cls.name)

    @classmethod
    def fingerprint(cls) -> dict[str, str]:
        """Return the SHA-256 of the snapshot's files."""
        return cls.snapshot.fingerprint(cls.name)

    @cached_property
    def _names(self) -> dict[int, str]:
        """The classes by their index in the network's output."""
        folder = self.snapshot.verified(self.name)
        table = json.loads((folder / "config.json").read_text())["id2label"]
        return {int(key): name for key, name in table.items() if name != NO_CLASS}

    @cached_property
    def _processor(self) -> Any:
        return self._pretrained(self.processor)

    @cached_property
    def _model(self) -> nn.Module:
        model, report = self._pretrained(
            self.network, use_safetensors=True, output_loading_info=True
        )
        odd = sorted(report["missing_keys"]) + [str(key) for key in report["mismatched_keys"]]
        if odd:
            raise WeightsError(
                f"{self.snapshot.verified(self.name)}: lacks {', '.join(odd[:3])} of a "
                f"{self.network}: fetch {self.snapshot.model} again"
            )
        network: nn.Module = model.eval().requires_grad_(False).to(self.device)
        return network

    def _pretrained(self, kind: str, **options: Any) -> Any:
        """Load one of the snapshot's parts.

        Raises:
            WeightsError: something is missing or damaged.
        """
        import transformers

        folder = self.snapshot.verified(self.name)
        transformers.utils.logging.disable_progress_bar()
        try:
            return getattr(transformers, kind).from_pretrained(
                folder, local_files_only=True, **options
            )
        except Exception as error:  # each fault of the library has a type of its own
            raise WeightsError(f"{folder}: transformers cannot load it ({error})") from None

    def _forward(self, images: Sequence[Picture], **texts: Any) -> Any:
        """Return the network's output for pictures of one size."""
        import torch

        torch.set_num_threads(self.threads)
        inputs = self._processor(images=list(images), **PICTURES).to(self.device)
        with torch.inference_mode():
            return self._model(**inputs, **texts)
