"""Synthetic street scenes with their labels: small, quick to make, and different every time.

Each scene is drawn from far to near with a pinhole camera, at a multiple of its size, then lit, blurred, scaled down
and given noise. The same generator state gives the same scene.
"""

from dataclasses import dataclass
from typing import Tuple

import cv2
import numpy as np

from tools import street_objects as objects
from tools.street_canvas import (
    BUILDING,
    CLASSES,
    PAVEMENT,
    ROAD,
    SKY,
    TREE,
    UNLABELLED,
    Camera,
    Canvas,
    smooth_noise,
)

__all__ = ["CLASSES", "UNLABELLED", "Scene", "generate_scene"]

_OVERSAMPLING = 3
_FAREST = 70.0  # metres; the skyline stands there
_LEAST_PIXELS = 6
_ATTEMPTS = 60


@dataclass(frozen=True)
class Scene:
    """image: (H, W, 3) uint8 BGR. label: (H, W) uint8, an index into CLASSES, or UNLABELLED."""

    image: np.ndarray
    label: np.ndarray


@dataclass(frozen=True)
class _Street:
    """What the parts of one scene share. Lengths in metres."""

    road: float  # half the width of the road
    line: float  # distance of the house fronts from the middle
    sun: int  # the side the light comes from: -1 left, 1 right
    overcast: float  # 0: hard light, 1: none
    crossing: float  # depth of the zebra crossing, 0 for none


def generate_scene(rng: np.random.Generator, width: int = 192, height: int = 144, *, complete: bool = False) -> Scene:
    """Draw the next scene from `rng`, `width` by `height` pixels.

    complete: draw again until every class of CLASSES is in it, and some pixels are unlabelled.
    Raises ValueError when the picture is smaller than 32 x 24, and RuntimeError when no complete scene was found.
    """
    if width < 32 or height < 24:
        raise ValueError(f"a street scene of {width}x{height} pixels is too small to show anything; the least is 32x24")
    for _ in range(_ATTEMPTS if complete else 1):
        scene = _draw(rng, width, height)
        counts = np.bincount(scene.label.ravel(), minlength=256)
        if not complete or (counts[: len(CLASSES)].min() >= _LEAST_PIXELS and counts[UNLABELLED] > 0):
            return scene
    raise RuntimeError(f"{_ATTEMPTS} scenes of {width}x{height} pixels lacked a class each")


def _draw(rng: np.random.Generator, width: int, height: int) -> Scene:
    columns, rows = width * _OVERSAMPLING, height * _OVERSAMPLING
    street = _Street(
        road=rng.uniform(3.2, 4.6),
        line=0.0,
        sun=-1 if rng.random() < 0.5 else 1,
        overcast=float(np.clip(rng.uniform(-0.3, 1.2), 0, 1)),
        crossing=rng.uniform(6, 13) if rng.random() < 0.4 else 0.0,
    )
    street = _Street(**{**vars(street), "line": street.road + rng.uniform(2.6, 4.4)})
    camera = Camera(
        focal=columns * rng.uniform(0.62, 0.9),
        centre_x=columns * rng.uniform(0.36, 0.64),
        horizon=rows * rng.uniform(0.36, 0.5),
        x=rng.uniform(-0.4, 0.5) * street.road,
        height=rng.uniform(1.45, 2.1),
        bend=rng.uniform(-0.0022, 0.0022),
    )
    top, low = _sky_colours(rng, street.overcast)
    canvas = Canvas(columns, rows, haze=low, visibility=rng.uniform(90, 260))
    _draw_sky(rng, canvas, camera, top, low)
    _draw_skyline(rng, canvas, camera, street)
    _draw_ground(rng, canvas, camera, street)
    _draw_buildings(rng, canvas, camera, street)
    _draw_things(rng, canvas, camera, street)
    if rng.random() < 0.3:
        _draw_bonnet(rng, canvas)
    image = _develop(rng, canvas.image, width, height, street)
    middle = _OVERSAMPLING // 2
    label = canvas.label[middle::_OVERSAMPLING, middle::_OVERSAMPLING].copy()
    if rng.random() < 0.6:
        label[_tree_rim(label)] = UNLABELLED
    return Scene(image=image, label=label)


def _sky_colours(rng: np.random.Generator, overcast: float) -> Tuple[np.ndarray, np.ndarray]:
    blue = np.array([rng.uniform(196, 236), rng.uniform(140, 172), rng.uniform(84, 124)], np.float32)
    pale = np.array([rng.uniform(226, 246), rng.uniform(212, 230), rng.uniform(190, 216)], np.float32)
    if rng.random() < 0.25:  # low sun
        pale = np.array([rng.uniform(150, 196), rng.uniform(188, 212), rng.uniform(228, 248)], np.float32)
    grey = np.array([204, 198, 192], np.float32) * rng.uniform(0.84, 1.12)
    return blue * (1 - overcast) + grey * 0.9 * overcast, pale * (1 - overcast) + grey * 1.05 * overcast


def _draw_sky(rng: np.random.Generator, canvas: Canvas, camera: Camera, top: np.ndarray, low: np.ndarray) -> None:
    down = np.clip(np.arange(canvas.height, dtype=np.float32) / max(camera.horizon, 1), 0, 1)[:, None, None]
    sky = top * (1 - down) + low * down
    noise = smooth_noise(rng, canvas.height, canvas.width // 2, canvas.height * rng.uniform(0.14, 0.3), 4)
    noise = cv2.resize(noise, (canvas.width, canvas.height), interpolation=cv2.INTER_LINEAR)
    cover = rng.uniform(-0.5, 0.6)
    clouds = np.clip((noise - cover) * 1.6, 0, 1)[..., None] * (0.3 + 0.7 * (1 - down))
    canvas.image[:] = np.clip(sky * (1 - clouds) + np.array((250, 248, 246)) * clouds, 0, 255).astype(np.uint8)
    canvas.label[:] = SKY


def _draw_skyline(rng: np.random.Generator, canvas: Canvas, camera: Camera, street: _Street) -> None:
    x = -1.2 * canvas.width
    base = camera.project([(0, 0, _FAREST)])[0, 1] + 2
    scale = camera.pixels_per_metre(_FAREST)
    while x < 2.2 * canvas.width:
        wide, high = rng.uniform(5, 14) * scale, rng.uniform(3, 17) * scale
        if rng.random() < 0.55:
            box = np.array([(x, base - high), (x + wide, base - high), (x + wide, base), (x, base)])
            canvas.fill(box, rng.uniform(80, 170) + rng.normal(0, 12, 3), BUILDING, _FAREST)
        else:
            colour = np.array((60, 104, 76), np.float32) * rng.uniform(0.7, 1.2)
            radii = (wide * 0.6, min(high, 8 * scale) * 0.7)
            objects.draw_crown(rng, canvas, (x + wide / 2, base - radii[1] * 0.6), radii, colour, street.sun, _FAREST)
        x += wide * rng.uniform(0.6, 1.0)


def _draw_ground(rng: np.random.Generator, canvas: Canvas, camera: Camera, street: _Street) -> None:
    first, x, z = camera.ground(canvas.width, canvas.height)
    near = np.exp(-z / 14)  # details vanish with the distance
    grain = rng.standard_normal((256, 256), dtype=np.float32)
    grain += cv2.GaussianBlur(grain, (0, 0), 3) * 6
    fine = grain[(z * 14).astype(np.int32) % 256, (x * 14).astype(np.int32) % 256]
    coarse = grain[(z * 1.5).astype(np.int32) % 256, (x * 2).astype(np.int32) % 256]

    asphalt = rng.uniform(74, 118) + np.array(rng.normal(0, 4, 3), np.float32)
    tracks = 4 * np.cos(2 * np.pi * x / (street.road / 2))
    road = asphalt + (5 * fine * near + 3 * coarse * near + tracks)[..., None]
    road = _road_markings(rng, road, x, z, street, fine)

    paving = np.array(((150, 160, 166), (168, 172, 174), (138, 152, 178), (128, 132, 136))[rng.integers(4)], np.float32)
    pavement = paving * rng.uniform(0.85, 1.1) + (6 * fine * near + 3 * coarse * near)[..., None]
    tile = rng.uniform(0.6, 1.1)
    joint = (np.mod(x, tile) < 0.06) | (np.mod(z, tile) < 0.06)
    pavement *= (1 - 0.3 * joint * near)[..., None]
    aside = np.abs(x)
    kerb = aside < street.road + 0.3
    pavement[kerb] = pavement[kerb] * 0.3 + 136

    on_road = aside < street.road
    colours = np.where(on_road[..., None], road, pavement)
    label = np.where(on_road, ROAD, PAVEMENT).astype(np.uint8)
    if rng.random() < 0.4:  # a grass verge, which nobody annotated
        inner = street.road + rng.uniform(0.4, 0.7)
        verge = (aside > inner) & (aside < inner + rng.uniform(0.7, 1.3)) & (x * street.sun > 0)
        grass = np.array((58, 128, 96), np.float32) * rng.uniform(0.7, 1.1)
        colours[verge] = (grass + (16 * fine * near)[..., None])[verge]
        label[verge] = UNLABELLED

    hard = 1 - street.overcast
    house_shadow = street.line - rng.uniform(1.5, 7.0) + 0.8 * np.sin(z / rng.uniform(2, 5) + rng.uniform(0, 6))
    depth = np.clip((x * street.sun - house_shadow) / 0.35, 0, 1)
    colours = colours * (1 - 0.45 * hard * depth)[..., None]
    z_full = np.broadcast_to(z, x.shape)
    canvas.image[first:] = np.clip(canvas.hazed(colours, z_full), 0, 255).astype(np.uint8)
    canvas.label[first:] = label


def _road_markings(
    rng: np.random.Generator, road: np.ndarray, x: np.ndarray, z: np.ndarray, street: _Street, fine: np.ndarray
) -> np.ndarray:
    paint = np.zeros_like(x)
    dash, gap = rng.uniform(2, 3.5), rng.uniform(2.5, 4)
    dashed = np.mod(z + rng.uniform(0, 6), dash + gap) < dash
    if rng.random() < 0.85:
        paint = np.maximum(paint, (np.abs(x) < 0.09) & (dashed | (rng.random() < 0.2)))
    if rng.random() < 0.5:
        paint = np.maximum(paint, np.abs(np.abs(x) - street.road + 0.35) < 0.07)
    if street.crossing:
        stripes = (np.mod(x + 10, 1.0) < 0.5) & (np.abs(z - street.crossing) < 1.5) & (np.abs(x) < street.road - 0.4)
        paint = np.maximum(paint, stripes)
    worn = np.clip(0.86 - 0.05 * fine, 0.3, 0.95) * paint
    road = road * (1 - worn[..., None]) + 222 * worn[..., None]
    for _ in range(rng.integers(0, 3)):  # patches of newer asphalt, and covers
        centre, size = (rng.uniform(-0.7, 0.7) * street.road, rng.uniform(4, 16)), rng.uniform(0.5, 1.6)
        patch = (np.abs(x - centre[0]) < size * 0.6) & (np.abs(z - centre[1]) < size)
        if rng.random() < 0.4:
            patch = (x - centre[0]) ** 2 + (z - centre[1]) ** 2 < 0.3**2
        road[patch] *= rng.uniform(0.7, 0.85)
    return road


def _draw_buildings(rng: np.random.Generator, canvas: Canvas, camera: Camera, street: _Street) -> None:
    hard = 1 - street.overcast
    for side in (-1, 1):
        lit = 1.0 + (0.08 if side != street.sun else -0.32) * hard
        far = rng.uniform(38, 58)
        tall = rng.uniform(6, 15)
        while far > 2.5:
            near = max(far - rng.uniform(6, 13), 0.8)
            height = float(np.clip(tall + rng.normal(0, 2.6), 4.2, 20))
            line = street.line + rng.uniform(0, 0.6)
            objects.draw_building(
                rng,
                canvas,
                camera,
                side=side,
                line=line,
                near=near,
                far=far,
                height=height,
                lit=lit * rng.uniform(0.92, 1.05),
            )
            far = near - (rng.uniform(2.5, 8) if rng.random() < 0.35 else 0.0)


def _draw_things(rng: np.random.Generator, canvas: Canvas, camera: Camera, street: _Street) -> None:
    """Everything that stands on the ground, the farthest first."""
    things = []

    def place(draw, x: float, z: float, **options) -> None:
        things.append((z, len(things), draw, x, options))

    for side in (-1, 1):
        kerb = street.road + 0.75
        z = rng.uniform(4.5, 10)
        while z < 42:
            kind = rng.random()
            if kind < 0.52 and rng.random() < 0.8:
                x = side * (kerb + rng.uniform(0, 0.8))
                place(objects.draw_tree, x, z, height=rng.uniform(3.6, 8.0), sun=street.sun)
            elif kind < 0.95:
                post = ("lamp", "sign", "light")[rng.integers(3)]
                place(objects.draw_pole, side * kerb, z, towards=-side, kind=post)
            z += rng.uniform(3.0, 8.0)
        for _ in range(rng.integers(1, 5)):
            x = side * rng.uniform(street.road + 0.6, street.line - 0.5)
            place(objects.draw_person, x, 4.5 + 20 * rng.random() ** 1.5, height=rng.uniform(1.5, 1.9))
        if rng.random() < 0.5:
            place(objects.draw_bin, side * (street.line - 0.6), rng.uniform(5, 16))
        z = rng.uniform(5, 16)
        while z < 40:  # parked at the kerb
            if rng.random() < 0.6:
                place(objects.draw_car, side * (street.road - 1.0), z, oncoming=side < 0, lit=rng.uniform(0.85, 1.05))
            z += rng.uniform(5.4, 9)
    for _ in range(rng.integers(1, 4)):
        side = -1 if rng.random() < 0.5 else 1
        x, z = side * rng.uniform(0.25, 0.42) * street.road, 6.5 + 26 * rng.random() ** 1.4
        place(objects.draw_car, x, z, oncoming=side < 0, lit=rng.uniform(0.9, 1.1))
    if street.crossing and rng.random() < 0.7:
        for _ in range(rng.integers(1, 4)):
            x = rng.uniform(-0.8, 0.8) * street.road
            place(objects.draw_person, x, street.crossing + rng.uniform(-1, 1), height=rng.uniform(1.5, 1.9))
    for z, _, draw, x, options in sorted(things, key=lambda thing: (-thing[0], thing[1])):
        draw(rng, canvas, camera, x, z, **options)


def _draw_bonnet(rng: np.random.Generator, canvas: Canvas) -> None:
    """The bonnet of the car that carries the camera, which belongs to no class."""
    centre = (canvas.width * rng.uniform(0.42, 0.58), canvas.height * rng.uniform(1.06, 1.12))
    radii = (canvas.width * rng.uniform(0.4, 0.56), canvas.height * rng.uniform(0.15, 0.2))
    colour = np.array(((60, 56, 54), (150, 150, 152), (40, 36, 120), (120, 76, 40))[rng.integers(4)], np.float32)
    canvas.ellipse(centre, radii, colour, UNLABELLED, 1.0)
    canvas.ellipse(
        (centre[0], centre[1] + 0.02 * canvas.height), (radii[0] * 0.86, radii[1] * 0.9), colour * 1.2, UNLABELLED, 1.0
    )


def _develop(rng: np.random.Generator, drawn: np.ndarray, width: int, height: int, street: _Street) -> np.ndarray:
    """From the drawing to the photograph: lens, light, sensor."""
    blur = rng.uniform(0.2, 0.65) * _OVERSAMPLING
    image = cv2.GaussianBlur(drawn, (0, 0), blur)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    across = np.linspace(-1, 1, width, dtype=np.float32)[None]
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    light = 1 + 0.1 * (1 - street.overcast) * street.sun * across - rng.uniform(0.02, 0.12) * (across**2 + down**2)
    image *= light[..., None] * rng.uniform(0.82, 1.12)
    image *= 1 + rng.normal(0, 0.025, 3).astype(np.float32)
    image = 255 * np.clip(image / 255, 0, 1) ** rng.uniform(0.85, 1.18)
    image += rng.uniform(1.5, 5) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def _tree_rim(label: np.ndarray) -> np.ndarray:
    """The pixels beside a tree, which a hurried annotator leaves out."""
    tree = (label == TREE).astype(np.uint8)
    around = cv2.dilate(tree, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    return (around > 0) & np.isin(label, (SKY, BUILDING, ROAD, PAVEMENT))
