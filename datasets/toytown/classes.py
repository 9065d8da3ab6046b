"""The class table of toytown: six things that are counted and five kinds of stuff."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ToyClass:
    """One class: its value in `Scene.semantic` and its category id in the COCO dictionaries.

    `train_id` counts from 0 (the value of a pixel in the semantic map, and the class index that
    networks predict); `category_id` is `train_id + 1`, since COCO ids count from 1.
    `colour` is an sRGB triple for drawings.
    """

    name: str
    train_id: int
    isthing: bool
    colour: tuple[int, int, int]

    @property
    def category_id(self) -> int:
        return self.train_id + 1


CLASSES: tuple[ToyClass, ...] = (
    ToyClass("person", 0, True, (220, 20, 60)),
    ToyClass("cyclist", 1, True, (255, 110, 0)),
    ToyClass("car", 2, True, (0, 0, 142)),
    ToyClass("truck", 3, True, (0, 80, 100)),
    ToyClass("bus", 4, True, (110, 60, 200)),
    ToyClass("sign", 5, True, (220, 220, 0)),
    ToyClass("road", 6, False, (128, 64, 128)),
    ToyClass("pavement", 7, False, (244, 35, 232)),
    ToyClass("building", 8, False, (90, 90, 90)),
    ToyClass("vegetation", 9, False, (107, 142, 35)),
    ToyClass("sky", 10, False, (70, 130, 180)),
)
THINGS: tuple[ToyClass, ...] = tuple(c for c in CLASSES if c.isthing)
STUFF: tuple[ToyClass, ...] = tuple(c for c in CLASSES if not c.isthing)
BY_NAME: dict[str, ToyClass] = {c.name: c for c in CLASSES}

VOID = 255
"""Value of `Scene.semantic` where nothing is judged: poles, street furniture, tiny remnants."""
