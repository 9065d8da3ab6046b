"""What stands where: streets, houses, trees, traffic and people, in metres, before any drawing."""

from __future__ import annotations

from dataclasses import dataclass, field

from workbench_datasets.toytown.draws import Draws


@dataclass(frozen=True)
class House:
    """One building: its street front spans z0..z1 at |X| = `wall_m` on side -1 (left) or +1."""

    side: int
    wall_m: float
    z0: float
    z1: float
    height_m: float
    style: str
    seed: int


@dataclass(frozen=True)
class Item:
    """Anything that stands on the ground, apart from houses, at (x, z)."""

    kind: str
    x: float
    z: float
    seed: int
    # Heading as t = tan(angle / 2): 0 drives away from the camera, `None` drives towards it.
    heading: float | None = 0.0


@dataclass
class Street:
    """A straight street: kerbs at X = left < 0 and X = right > 0, house fronts beyond pavements."""

    left: float
    right: float
    pave_left: float
    pave_right: float
    end: float
    cross: tuple[float, float] | None
    drives_right: bool
    lawn: tuple[bool, bool]
    houses: list[House] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    def wall(self, side: int) -> float:
        """|X| of the back edge of the pavement on a side."""
        return -self.left + self.pave_left if side < 0 else self.right + self.pave_right


def draw_street(draws: Draws) -> Street:
    lanes = draws.pick([2, 2, 3])
    width = lanes * draws.between(3.0, 3.7) + draws.between(0.0, 3.5)
    drives_right = draws.chance(0.5)
    share = draws.between(0.62, 0.8) if drives_right else draws.between(0.2, 0.38)
    start = draws.between(12.0, 40.0)
    cross = (start, start + draws.between(6.0, 9.0)) if draws.chance(0.45) else None
    street = Street(
        left=-width * share,
        right=width * (1.0 - share),
        pave_left=draws.between(1.8, 4.5),
        pave_right=draws.between(1.8, 4.5),
        end=draws.between(70.0, 150.0),
        cross=cross,
        drives_right=drives_right,
        lawn=(False, False),
    )
    sides = [draws.pick(["town", "town", "suburb", "park"]) for _ in (0, 1)]
    street.lawn = (sides[0] != "town", sides[1] != "town")
    for side, kind in zip((-1, 1), sides, strict=True):
        _line_side(street, draws, side, kind)
    _close_end(street, draws)
    return street


def _line_side(street: Street, draws: Draws, side: int, kind: str) -> None:
    """Houses, gardens and trees from before the camera to the street's end."""
    z = draws.between(-6.0, 3.0)
    base = street.wall(side)
    styles = draws.pick([["brick", "plaster"], ["plaster", "shop"], ["shop", "brick", "office"],
                         ["office", "glass"], ["brick"], ["plaster", "brick", "shop"]])  # fmt: skip
    tall = draws.between(6.0, 13.0)
    while z < street.end:
        if street.cross and z < street.cross[1] + 2.0 and z + 5.0 > street.cross[0] - 2.0:
            z = street.cross[1] + 2.0
        length = draws.between(6.0, 16.0)
        if street.cross and z < street.cross[0]:
            length = min(length, street.cross[0] - 2.0 - z)
        if kind == "town":
            setback = draws.pick([0.0, 0.0, draws.between(0.0, 0.8)])
            if draws.chance(0.93):
                style = draws.pick(styles)
                height = tall * draws.between(0.75, 1.3) + (4.0 if style == "glass" else 0.0)
                street.houses.append(
                    House(
                        side, base + setback, z, z + length, height, style, draws.whole(0, 1 << 30)
                    )
                )
            z += length + (draws.between(1.5, 5.0) if draws.chance(0.15) else 0.0)
            continue
        if kind == "suburb":
            style = draws.pick(["brick", "plaster", "plaster"])
            setback = draws.between(2.5, 6.0)
            if draws.chance(0.85):
                street.houses.append(
                    House(
                        side,
                        base + setback,
                        z,
                        z + length,
                        draws.between(5.0, 8.0),
                        style,
                        draws.whole(0, 1 << 30),
                    )
                )
            if draws.chance(0.7):
                street.items.append(
                    Item(
                        "hedge",
                        side * (base + 0.5),
                        z + length / 2,
                        draws.whole(0, 1 << 30),
                        length * draws.between(0.3, 0.5),
                    )
                )
            if draws.chance(0.6):
                street.items.append(
                    Item(
                        "tree",
                        side * (base + draws.between(1.5, 3.0)),
                        z + length * draws.unit(),
                        draws.whole(0, 1 << 30),
                    )
                )
            z += length + draws.between(0.5, 5.0)
            continue
        for _ in range(2 if z < 60.0 else 1):
            street.items.append(
                Item(
                    "tree",
                    side * (base + draws.between(1.2, 9.0)),
                    z + length * draws.unit(),
                    draws.whole(0, 1 << 30),
                )
            )
        if draws.chance(0.6):
            street.items.append(
                Item(
                    "hedge",
                    side * (base + draws.between(0.6, 4.0)),
                    z + length / 2,
                    draws.whole(0, 1 << 30),
                    length * 0.5,
                )
            )
        z += length
    if kind == "town" and draws.chance(0.4):
        z = draws.between(6.0, 14.0)
        gap = draws.between(8.0, 16.0)
        while z < street.end:
            if not (street.cross and street.cross[0] - 2.5 < z < street.cross[1] + 2.5):
                kerb = street.left if side < 0 else street.right
                street.items.append(Item("tree", kerb + side * 0.8, z, draws.whole(0, 1 << 30)))
            z += gap


def _close_end(street: Street, draws: Draws) -> None:
    """Something beyond the street's end, so that it does not run into bare sky."""
    for _ in range(draws.whole(6, 12)):
        x = draws.between(-55.0, 55.0)
        street.items.append(
            Item(
                "tree" if draws.chance(0.6) else "block",
                x,
                street.end + draws.between(2.0, 40.0),
                draws.whole(0, 1 << 30),
            )
        )
