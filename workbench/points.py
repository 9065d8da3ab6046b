"""Rate points: the values of a codec's parameter that a run measures.

Imports nothing heavy: listing plugins goes through it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from workbench.errors import PluginError, did_you_mean


@dataclass(frozen=True)
class Point:
    """One rate point: a label such as ``qp32`` and the parameters behind it.

    Parameters read as attributes: ``point.qp``.
    """

    label: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.params[name]
        except KeyError:
            raise AttributeError(f"point {self.label!r} has no parameter {name!r}") from None

    def __reduce__(self) -> tuple[Any, ...]:
        return Point, (self.label, dict(self.params))


class Points(Sequence[Point]):
    """The rate points of a codec, low to high rate. Build them with :func:`points`.

    ``find`` also accepts values between the listed ones when ``limits`` are given.
    """

    def __init__(
        self,
        listed: Iterable[Point],
        parameter: str | None = None,
        limits: tuple[float, float] | None = None,
        integer: bool = False,
    ) -> None:
        self._listed = tuple(listed)
        self.parameter = parameter
        self.limits = limits
        self.integer = integer
        labels = [point.label for point in self._listed]
        if not labels or len(set(labels)) != len(labels):
            raise PluginError(f"points {labels} must be at least one, each with its own label")

    @overload
    def __getitem__(self, index: int) -> Point: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Point, ...]: ...
    def __getitem__(self, index: int | slice) -> Point | tuple[Point, ...]:
        return self._listed[index]

    def __len__(self) -> int:
        return len(self._listed)

    def find(self, label: str, codec: str = "codec") -> Point:
        """Return the point called ``label``; ``"32"`` is short for ``"qp32"``.

        Raises:
            PluginError: no such point, or a value outside the limits.
        """
        for point in self._listed:
            if label == point.label or f"{self.parameter}{label}" == point.label:
                return point
        match = re.fullmatch(rf"(?:{self.parameter})?(-?\d+(?:\.\d+)?)", label)
        if not (self.parameter and self.limits and match):
            hint = did_you_mean(label, [point.label for point in self._listed])
            raise PluginError(f"{codec}: no point {label!r}.{hint}")
        low, high = self.limits
        value = float(match[1])
        if not low <= value <= high or (self.integer and value != int(value)):
            kind = "whole numbers " if self.integer else ""
            raise PluginError(
                f"{codec}: {self.parameter} {match[1]} is outside {kind}{low:g}..{high:g}"
            )
        return _point(self.parameter, int(value) if self.integer else value)


def _point(parameter: str, value: float) -> Point:
    return Point(f"{parameter}{value:g}", {parameter: value})


def points(
    parameter: str, values: Iterable[float], *, limits: tuple[float, float] | None = None
) -> Points:
    """Rate points that differ in one parameter, listed from low to high rate.

    Args:
        parameter: the parameter's name; labels are name and value, ``qp32``.
        values: the values a run uses by default.
        limits: smallest and largest value allowed; any value between them may then be asked for.
    """
    listed = list(values)
    integer = all(isinstance(value, int) for value in listed)
    return Points([_point(parameter, value) for value in listed], parameter, limits, integer)
