"""One street scene from its name: layout, painting back to front, camera, ground truth."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from workbench_datasets.toytown.bodies import draw_body
from workbench_datasets.toytown.camera import bloom, expose, rain_streaks, wet_road
from workbench_datasets.toytown.classes import BY_NAME, VOID
from workbench_datasets.toytown.draws import Array, Draws
from workbench_datasets.toytown.furniture import furniture_layer, sign_layers
from workbench_datasets.toytown.houses import paint_block, paint_house
from workbench_datasets.toytown.layers import Canvas, Layer
from workbench_datasets.toytown.layout import House, Item, Street, draw_street
from workbench_datasets.toytown.people import cyclist_layer, person_layer
from workbench_datasets.toytown.plants import paint_hedge, paint_tree, shade_tree
from workbench_datasets.toytown.population import populate
from workbench_datasets.toytown.raster import WIDTH
from workbench_datasets.toytown.solids import shade_box
from workbench_datasets.toytown.street import Ground, paint_sky
from workbench_datasets.toytown.vehicles import vehicle_layer
from workbench_datasets.toytown.view import Light, View, draw_light, draw_view

VERSION = "1"
"""Part of every scene's seed: pictures change only when this does."""

SMALLEST_AREA_PX = 80
SMALLEST_SHARE = 0.25
"""Things of which fewer pixels, or a smaller share, are seen become void: too little to judge."""

CATEGORY = {"person": "person", "person_side": "person", "cyclist": "cyclist", "car": "car",
            "van": "car", "truck": "truck", "bus": "bus", "sign": "sign"}  # fmt: skip
VEHICLES = ("car", "van", "truck", "bus")


@dataclass(frozen=True)
class ToyObject:
    """One instance: `number` is its value in `Scene.instances`, `bbox` is x, y, width, height.

    `area` counts the pixels that are seen, `share` (0..1) is their part of all that would be in
    the picture if nothing stood in front.
    """

    number: int
    category: str
    bbox: tuple[int, int, int, int]
    area: int
    share: float
    distance_m: float


@dataclass(frozen=True)
class Scene:
    """A picture and all that is true about it.

    image: uint8 [320, 512, 3], sRGB. semantic: uint8 [320, 512], `train_id` of each pixel's class
    or 255. instances: uint16 [320, 512], 0 where there is no thing. objects: near ones last;
    remnants: what is too small or too hidden to judge, void in the semantic map, with the
    instance numbers after those of the objects.
    """

    name: str
    light: str
    image: Array
    semantic: Array
    instances: Array
    objects: tuple[ToyObject, ...]
    remnants: tuple[ToyObject, ...]


def scene_name(split: str, index: int) -> str:
    return f"toytown-{split}-{index:04d}"


def scene_key(split: str, index: int) -> str:
    """SHA-256 of what a scene is made from: its name and the generator's version."""
    return hashlib.sha256(f"toytown {VERSION} {scene_name(split, index)}".encode()).hexdigest()


def render(split: str, index: int) -> Scene:
    """The scene with this name, byte for byte the same on every machine.

    `split` is any word (`train` and `val` by convention), `index` any integer from 0.
    """
    if index < 0:
        raise ValueError(f"toytown: index {index} is below 0; scenes are numbered from 0")
    name = scene_name(split, index)
    draws = Draws("toytown", VERSION, split, index)
    view, light, street = draw_view(draws), draw_light(draws), draw_street(draws)
    populate(street, draws)
    street.items.sort(key=lambda item: -item.z)
    canvas = Canvas()
    paint_sky(canvas, view, light, draws)
    ground = Ground(view, street, light)
    _shadows(ground, street, light)
    ground.paint(canvas, draws)
    bare = canvas.semantic.copy()
    kinds = _paint_all(canvas, view, light, street, ground)
    if light.wet > 0.0:
        still = (canvas.semantic == bare)[ground.top :] & (
            bare[ground.top :] != BY_NAME["vegetation"].train_id
        )
        wet_road(canvas, view, light, ground, still.astype(np.float32))
    bloom(canvas)
    if light.kind == "rain":
        rain_streaks(canvas, light, draws)
    image = expose(canvas, light, draws)
    objects, remnants = _objects(canvas, kinds)
    return Scene(name, light.kind, image, canvas.semantic, canvas.instances, objects, remnants)


def _shadows(ground: Ground, street: Street, light: Light) -> None:
    if light.kind in ("sun", "dusk"):
        ground.house_shadow()
    for item in street.items:
        if item.kind == "tree":
            shade_tree(ground, item)
        elif item.kind in VEHICLES:
            body = draw_body(item)
            shade_box(ground, item, body.length, body.width, body.height)
        elif item.kind in ("person", "person_side"):
            shade_box(ground, item, 0.3, 0.4, 1.7)
        elif item.kind == "cyclist":
            shade_box(ground, item, 1.6, 0.35, 1.6)
        elif item.kind in ("bin", "bollard", "cabinet"):
            shade_box(ground, item, 0.4, 0.5, 1.0)
        elif item.kind in ("lamp", "sign", "signal"):
            shade_box(ground, item, 0.1, 0.1, 3.0)


def _lit_at(ground: Ground, view: View, item: Item) -> float:
    """Share of sunlight at an item's foot, read from the shadow map beside it."""
    x, y = view.point(item.x, 0.0, item.z)
    row = min(max(int(y) + 2 - ground.top, 0), ground.lit.shape[0] - 1)
    column = min(max(int(x), 0), WIDTH - 1)
    return 1.0 if float(ground.open[row, column]) < 0.2 else float(ground.lit[row, column])


def _facing_sun(house: House, street: Street, light: Light) -> float:
    """Height up to which the houses opposite keep the sun from this house's street front."""
    sx, sy, _ = light.to_sun
    if (sx > 0) == (house.side > 0):
        return 0.0
    heights = [h.height_m for h in street.houses if h.side != house.side and h.z0 < house.z1 + 8.0
               and h.z1 > house.z0 - 8.0]  # fmt: skip
    if not heights:
        return -1.0
    return max(heights) - (street.wall(-1) + street.wall(1)) * sy / abs(sx)


def _paint_all(
    canvas: Canvas, view: View, light: Light, street: Street, ground: Ground
) -> dict[int, tuple[str, float, int]]:
    """Paints houses and items from far to near; gives what each instance is, by its number."""
    things: list[tuple[float, House | Item]] = [(house.z1, house) for house in street.houses]
    things += [(item.z, item) for item in street.items]
    things.sort(key=lambda pair: -pair[0])
    kinds: dict[int, tuple[str, float, int]] = {}
    for _, thing in things:
        if isinstance(thing, House):
            hidden_m = max(
                (h.height_m for h in street.houses if h.side == thing.side
                 and h.z0 < thing.z0 <= h.z1 + 0.2 and h.wall_m <= thing.wall_m), default=0.0,
            )  # fmt: skip
            paint_house(canvas, view, light, thing, _facing_sun(thing, street, light), hidden_m)
            continue
        lit = _lit_at(ground, view, thing)
        if thing.kind == "tree":
            paint_tree(canvas, view, light, thing, lit)
        elif thing.kind == "hedge":
            paint_hedge(canvas, view, light, thing, lit)
        elif thing.kind == "block":
            paint_block(canvas, view, light, thing)
        else:
            _paint_item(canvas, view, light, thing, lit, kinds)
    return kinds


def _paint_item(
    canvas: Canvas, view: View, light: Light, item: Item, lit: float,
    kinds: dict[int, tuple[str, float, int]],
) -> None:  # fmt: skip
    if item.z < 3.0:
        return
    haze = light.haze_share(item.z)
    layer: Layer
    if item.kind in VEHICLES:
        if item.z - draw_body(item).length / 2 < 2.0:
            return
        layer = vehicle_layer(view, light, item, lit)
    elif item.kind == "cyclist":
        layer = cyclist_layer(view, light, item, lit)
    elif item.kind in ("person", "person_side"):
        layer = person_layer(view, light, item, lit)
    elif item.kind == "sign":
        post, layer = sign_layers(view, light, item, lit)
        canvas.paste(post, light.horizon, haze, VOID)
    else:
        canvas.paste(furniture_layer(view, light, item, lit), light.horizon, haze, VOID)
        return
    number = len(kinds) + 1
    category = CATEGORY[item.kind]
    full = canvas.paste(layer, light.horizon, haze, BY_NAME[category].train_id, number)
    kinds[number] = (category, item.z, full)


def _objects(
    canvas: Canvas, kinds: dict[int, tuple[str, float, int]]
) -> tuple[tuple[ToyObject, ...], tuple[ToyObject, ...]]:
    """Measures what is seen of each instance; numbers objects from 1, then the remnants."""
    flat = canvas.instances.reshape(-1)
    areas = np.bincount(flat, minlength=len(kinds) + 1).tolist()

    def judged(number: int) -> bool:
        enough = SMALLEST_SHARE * kinds[number][2]
        return areas[number] >= SMALLEST_AREA_PX and areas[number] >= enough

    # The pixels of each instance, instance after instance: one sort instead of many masks.
    pixels = np.flatnonzero(flat)
    pixels = pixels[np.argsort(flat[pixels], kind="stable")]
    starts = np.cumsum([0, *areas[1:]]).tolist()
    seen = [number for number in kinds if areas[number]]
    order = sorted(seen, key=lambda number: not judged(number))
    new = np.zeros(len(kinds) + 1, np.uint16)
    found: list[ToyObject] = []
    for k, number in enumerate(order, 1):
        category, distance, full = kinds[number]
        rows, columns = np.divmod(pixels[starts[number - 1] : starts[number]], WIDTH)
        if not judged(number):
            canvas.semantic[rows, columns] = VOID
        new[number] = k
        x, y = int(columns.min()), int(rows[0])
        bbox = (x, y, int(columns.max()) - x + 1, int(rows[-1]) - y + 1)
        found.append(ToyObject(k, category, bbox, areas[number], areas[number] / full, distance))
    canvas.instances = new[canvas.instances]
    count = sum(judged(number) for number in seen)
    return tuple(found[:count]), tuple(found[count:])
