"""Mean intersection over union, and pixel accuracy, on sets and on resamples of the pictures.

Of a picture's confusion matrix only its diagonal and its margins are kept: they are all that the
measures need, and counts of a set or of a resample are weighted sums of them.

A prediction is ``{"map": uint8 [H, W] class indices}``. A target is ``{"map": uint8 [H, W],
"classes": names, "void": id of pixels that are not judged}``. Classes are matched by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench.errors import DatasetError, PluginError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BACKGROUND = "background"
NOT_JUDGED = -1


@dataclass(frozen=True)
class Matching:
    """How class ids of a target and of a prediction become indices of the shared classes.

    ``names`` are the shared classes. The index after the last stands for all other classes; truth
    there is ``NOT_JUDGED`` unless the task can answer "background".
    """

    names: list[str]
    of_truth: list[int]
    of_prediction: list[int]


def match_classes(predicted: Sequence[str], truth: Sequence[str]) -> Matching:
    """Match class tables by name, without regard to case.

    A task that knows a background (as Pascal VOC's networks) is judged on every pixel: what the
    dataset names and the task does not is background to it. One that does not is judged only
    where the truth is a class that it knows.

    Raises:
        PluginError: no class in common.
    """
    known, wanted = [[name.lower() for name in names] for names in (predicted, truth)]
    names = [name for name in wanted if name in known]
    if not set(names) - {BACKGROUND}:
        raise PluginError(
            f"no class in common: the task knows {', '.join(known)}; the dataset has "
            f"{', '.join(wanted)}: choose another pair, or --reference self"
        )
    index = {name: number for number, name in enumerate(names)}
    other = len(names)
    unknown = other if BACKGROUND in known and BACKGROUND not in index else NOT_JUDGED
    return Matching(
        names,
        [index.get(name, unknown) for name in wanted],
        [index.get(name, other) for name in known],
    )


class Segmentation:
    """Class maps of a set of pictures against the truth.

    Args:
        predictions, targets: one a picture, in one order; see the module.
        classes: what the indices of the predictions mean.

    Attributes:
        names: the classes that are judged, K of them.
        hits, truth, predicted: int64 [N, K + 1], pixels a picture and class that are right, that
            are of the class, that were said to be; the last column stands for other classes.

    Raises:
        DatasetError: targets whose class tables differ.
        PluginError: maps of other sizes than their targets', or no class in common.
    """

    def __init__(
        self, predictions: Sequence[Any], targets: Sequence[Any], classes: Sequence[str]
    ) -> None:
        import numpy as np

        tables = {(tuple(t["classes"]), t["void"]) for t in targets}
        if len(tables) != 1:
            raise DatasetError(f"the pictures have {len(tables)} tables of classes: one is needed")
        [(wanted, void)] = tables
        matching = match_classes(classes, wanted)
        self.names = matching.names
        of_truth = np.full(256, NOT_JUDGED)
        of_truth[: len(wanted)] = matching.of_truth
        of_truth[void] = NOT_JUDGED
        of_prediction = np.full(256, len(self.names))
        of_prediction[: len(classes)] = matching.of_prediction
        counts = [
            _counts(of_prediction, of_truth, len(self.names) + 1, prediction["map"], target["map"])
            for prediction, target in zip(predictions, targets, strict=True)
        ]
        self.hits, self.truth, self.predicted = np.stack(counts, axis=1)

    def scores(self) -> dict[str, float | None]:
        """Return ``miou`` and ``pixel_accuracy``, 0..1; None where nothing is judged."""
        import numpy as np

        values = self.resampled(np.ones((1, len(self.hits)), np.int64))
        return {n: None if np.isnan(v[0]) else float(v[0]) for n, v in values.items()}

    def iou(self) -> dict[str, float | None]:
        """Return the intersection over union a class; None for one that is nowhere."""
        import numpy as np

        values = self._iou(np.ones((1, len(self.hits)), np.int64))[0]
        return {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(self.names, values, strict=True)
        }

    def resampled(self, counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        """Return :meth:`scores` on resamples, each [R]; NaN where there is none.

        Args:
            counts: [R, N], how often each picture is in each resample.
        """
        iou = self._iou(counts)
        hits, truth = (counts @ which.sum(axis=1) for which in (self.hits, self.truth))
        return {"miou": mean_of_defined(iou), "pixel_accuracy": ratio(hits, truth)}

    def _iou(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        hits = counts @ self.hits[:, :-1]
        return ratio(hits, counts @ self._either - hits)

    @cached_property
    def _either(self) -> NDArray[np.int64]:
        either: NDArray[np.int64] = (self.truth + self.predicted)[:, :-1]
        return either


def _counts(
    of_prediction: NDArray[np.int64], of_truth: NDArray[np.int64], n: int, said: Any, true: Any
) -> NDArray[np.int64]:
    import numpy as np

    if said.shape != true.shape:
        raise PluginError(
            f"a class map is {list(said.shape)}, its truth {list(true.shape)}: "
            "a task must give one class a pixel of the picture"
        )
    judged = of_truth[true] != NOT_JUDGED
    t, p = of_truth[true[judged]], of_prediction[said[judged]]
    return np.stack([np.bincount(some, minlength=n) for some in (t[t == p], t, p)])


def ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    """Divide; NaN where ``below`` is 0."""
    import numpy as np

    out = np.full(np.shape(above), np.nan)
    return np.divide(above, below, out=out, where=np.asarray(below) != 0)


def mean_of_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis of what is no NaN; NaN where all are."""
    import numpy as np

    return ratio(np.nansum(values, axis=-1), (~np.isnan(values)).sum(axis=-1))
