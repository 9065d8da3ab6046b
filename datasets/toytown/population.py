"""What moves or stands in the street: traffic, parked cars, people, signs and other furniture."""

from __future__ import annotations

from workbench_datasets.toytown.draws import Draws
from workbench_datasets.toytown.layout import Item, Street


def populate(street: Street, draws: Draws) -> None:
    """Adds everything but houses and plants to the street."""
    roomy = street.right - street.left > 9.0
    parked = (roomy and draws.chance(0.55), roomy and draws.chance(0.55))
    place_traffic(street, draws, parked)
    place_crossing(street, draws)
    place_parked(street, draws, parked)
    place_walkers(street, draws)
    place_furniture(street, draws)


VEHICLES = ["car"] * 4 + ["van"] + ["truck"] * 2 + ["bus"] * 2 + ["cyclist"] * 3
"""Drawn from with equal chances: far more trucks, buses and cyclists than in a real street, so that
each class has enough examples among 64 pictures."""


def place_traffic(street: Street, draws: Draws, parked: tuple[bool, bool]) -> None:
    """Vehicles in both directions, spaced so that they do not run into each other."""
    left = street.left + 2.1 * parked[0]
    right = street.right - 2.1 * parked[1]
    middle = (left + right) / 2
    own_half, other_half = (middle + right) / 2, (middle + left) / 2
    if not street.drives_right:
        own_half, other_half = other_half, own_half
    for lane, away in ((own_half, True), (other_half, False)):
        z = draws.between(5.5, 30.0) if away else draws.between(5.0, 24.0)
        while z < 75.0:
            kind = draws.pick(VEHICLES)
            length = {"truck": 9.0, "bus": 12.0, "cyclist": 2.0}.get(kind, 4.6)
            shift = draws.between(-0.35, 0.35)
            if kind == "cyclist":
                shift = (1.1 if lane > middle else -1.1) + draws.between(-0.3, 0.3)
                z = min(z, draws.between(7.0, 32.0)) if z > 32.0 and draws.chance(0.8) else z
            near = {"truck": 5.0, "bus": 6.0}.get(kind, 1.0)
            heading = draws.between(-0.03, 0.03) if away else None
            street.items.append(
                Item(kind, lane + shift, z + near + length / 2, draws.whole(0, 1 << 30), heading)
            )
            z += near + length + draws.between(3.0, 26.0)


def place_crossing(street: Street, draws: Draws) -> None:
    """Vehicles seen from the side, on the cross street; people and cyclists that cross."""
    if street.cross is None:
        if draws.chance(0.35):
            z = draws.between(8.0, 24.0)
            street.items.append(
                Item(
                    draws.pick(["person_side", "person_side", "cyclist"]),
                    draws.between(street.left, street.right),
                    z,
                    draws.whole(0, 1 << 30),
                    draws.pick([-1.0, 1.0]),
                )
            )
        return
    near, far = street.cross
    for lane, heading in ((near + (far - near) * 0.27, -1.0), (near + (far - near) * 0.73, 1.0)):
        x = draws.between(-26.0, 4.0)
        for _ in range(draws.whole(0, 2)):
            kind = draws.pick(VEHICLES)
            length = {"truck": 9.0, "bus": 12.0, "cyclist": 2.0}.get(kind, 4.6)
            street.items.append(Item(kind, x + length / 2, lane, draws.whole(0, 1 << 30), heading))
            x += length + draws.between(2.0, 14.0)
    for _ in range(draws.whole(0, 3)):
        street.items.append(
            Item(
                "person_side",
                draws.between(street.left - 1.0, street.right + 1.0),
                near - draws.between(0.8, 2.8),
                draws.whole(0, 1 << 30),
            )
        )


def place_parked(street: Street, draws: Draws, parked: tuple[bool, bool]) -> None:
    for side, kerb, wanted in ((-1, street.left, parked[0]), (1, street.right, parked[1])):
        if not wanted:
            continue
        away = (side > 0) == street.drives_right
        z = draws.between(5.0, 16.0)
        while z < 65.0:
            kind = draws.pick(["car", "car", "car", "car", "van", "truck"])
            length = 9.0 if kind == "truck" else 4.6
            blocked = street.cross is not None and (
                street.cross[0] - 4.0 - length < z < street.cross[1] + 4.0
            )
            if not blocked and draws.chance(0.7):
                inset = 1.25 if kind == "truck" else 1.0
                street.items.append(
                    Item(
                        kind,
                        kerb - side * inset,
                        z + length / 2,
                        draws.whole(0, 1 << 30),
                        draws.between(-0.02, 0.02) if away else None,
                    )
                )
            z += length + draws.between(0.8, 5.0)


def place_walkers(street: Street, draws: Draws) -> None:
    crowd = draws.pick([1, 2, 3, 5, 8])
    for side, kerb, pave in (
        (-1, street.left, street.pave_left),
        (1, street.right, street.pave_right),
    ):
        for _ in range(draws.whole(0, crowd)):
            z = 5.0 + 40.0 * draws.unit() * draws.between(0.25, 1.0)
            x = kerb + side * draws.between(0.5, max(pave - 0.3, 0.9))
            kind = "person_side" if draws.chance(0.15) else "person"
            street.items.append(Item(kind, x, z, draws.whole(0, 1 << 30)))
            if draws.chance(0.3):
                street.items.append(
                    Item(
                        kind,
                        x + draws.between(0.45, 0.7),
                        z + draws.between(-0.2, 0.3),
                        draws.whole(0, 1 << 30),
                    )
                )


def place_furniture(street: Street, draws: Draws) -> None:
    """Lamp posts in a row; signs, traffic lights, bins, bollards and the like here and there."""
    lamp_side = draws.pick([-1, 1])
    gap, z = draws.between(18.0, 30.0), draws.between(7.0, 20.0)
    while z < 90.0:
        kerb = street.left if lamp_side < 0 else street.right
        street.items.append(Item("lamp", kerb + lamp_side * 0.5, z, draws.whole(0, 1 << 30)))
        z += gap
    for side, kerb, pave in (
        (-1, street.left, street.pave_left),
        (1, street.right, street.pave_right),
    ):
        for _ in range(draws.whole(0, 3)):
            street.items.append(
                Item(
                    "sign",
                    kerb + side * draws.between(0.35, 0.8),
                    draws.between(8.0, 36.0),
                    draws.whole(0, 1 << 30),
                )
            )
        for _ in range(draws.whole(0, 3)):
            street.items.append(
                Item(
                    draws.pick(["bin", "bollard", "bollard", "cabinet"]),
                    kerb + side * draws.pick([0.4, pave - 0.4]),
                    draws.between(5.0, 30.0),
                    draws.whole(0, 1 << 30),
                )
            )
        if street.cross is not None and draws.chance(0.7):
            street.items.append(
                Item("signal", kerb + side * 0.5, street.cross[0] - 1.0, draws.whole(0, 1 << 30))
            )
