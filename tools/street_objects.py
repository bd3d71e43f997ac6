"""What stands in the synthetic street scenes: buildings, trees, cars, persons, poles, and things nobody annotated."""

from typing import List, Sequence, Tuple

import cv2
import numpy as np

from tools.street_canvas import BUILDING, CAR, PERSON, POLE, TREE, UNLABELLED, Camera, Canvas, Colour, smooth_noise

_WALLS = (
    (78, 92, 158),  # brick
    (70, 74, 120),  # dark brick
    (150, 190, 214),  # sandstone
    (176, 208, 226),  # cream plaster
    (150, 154, 158),  # concrete
    (196, 178, 158),  # pale blue plaster
    (150, 184, 164),  # pale green plaster
    (120, 160, 214),  # apricot plaster
    (188, 190, 194),  # white stone
)
_CAR_PAINTS = (
    (40, 40, 44),
    (200, 202, 204),
    (150, 148, 146),
    (46, 40, 168),
    (150, 84, 34),
    (70, 110, 60),
    (44, 168, 214),
    (226, 228, 230),
    (110, 60, 50),
)
_CLOTHES = (
    (40, 36, 36),
    (60, 50, 170),
    (170, 90, 40),
    (60, 150, 70),
    (210, 210, 212),
    (40, 180, 220),
    (150, 70, 130),
    (110, 100, 92),
    (84, 58, 40),
)
_SKINS = ((150, 180, 226), (110, 150, 204), (70, 104, 150), (44, 64, 96))
_LEAVES = ((44, 108, 62), (36, 92, 74), (58, 124, 96), (40, 78, 48), (36, 110, 140), (40, 84, 150))
_SIGNS = ((40, 36, 190), (170, 90, 30), (230, 232, 234), (40, 190, 230), (70, 130, 40))


def _pick(rng: np.random.Generator, colours: Sequence[Colour], spread: float = 14) -> np.ndarray:
    colour = np.asarray(colours[rng.integers(len(colours))], np.float32)
    return np.clip(colour + rng.normal(0, spread, 3) + rng.normal(0, spread), 8, 245).astype(np.float32)


def facade(rng: np.random.Generator, length: float, height: float, scale: float) -> np.ndarray:
    """Texture (h, w, 3), float32, of a front `length` by `height` metres, `scale` pixels per metre."""
    rows, columns = max(int(height * scale), 8), max(int(length * scale), 8)
    wall = _pick(rng, _WALLS)
    texture = np.empty((rows, columns, 3), np.float32)
    texture[:] = wall
    texture += 9 * smooth_noise(rng, rows, columns, max(scale * 2, 2), 2)[..., None]
    texture += 5 * rng.standard_normal((rows, columns, 1), dtype=np.float32)
    if rng.random() < 0.45:  # courses of bricks or boards
        course = max(int(scale * rng.uniform(0.25, 0.5)), 2)
        texture[::course] *= 0.88

    storey, bay = rng.uniform(2.7, 3.4), rng.uniform(1.7, 3.0)
    window = np.array([rng.uniform(0.4, 0.68) * bay, rng.uniform(0.42, 0.6) * storey])
    glassy = rng.random() < 0.15
    if glassy:
        window = np.array([0.9 * bay, 0.8 * storey])
    glass = _pick(rng, ((96, 74, 56), (70, 62, 54), (132, 112, 92)), 8)
    frame = wall * 0.55 if rng.random() < 0.4 else np.minimum(wall * 1.25 + 22, 250)
    margin = (length % bay) / 2
    for floor in range(1, int(height / storey)):
        for column in range(int(length / bay)):
            centre = np.array([margin + (column + 0.5) * bay, height - (floor + 0.5) * storey])
            _window(rng, texture, scale, centre, window, glass, frame)
    _ground_floor(rng, texture, scale, length, height, glass, frame)
    texture[: max(int(0.35 * scale), 1)] = wall * rng.uniform(0.6, 0.8)  # cornice
    return texture


def _box(texture: np.ndarray, scale: float, low: Sequence[float], high: Sequence[float]) -> np.ndarray:
    """The view of `texture` between two corners in metres, from its top left."""
    x0, y0 = (max(int(round(value * scale)), 0) for value in low)
    x1, y1 = (max(int(round(value * scale)), 0) for value in high)
    return texture[y0:y1, x0:x1]


def _window(rng, texture, scale, centre, size, glass, frame) -> None:
    half = size / 2
    _box(texture, scale, centre - half - 0.13, centre + half + 0.13)[:] = frame
    pane = _box(texture, scale, centre - half, centre + half)
    shine = np.linspace(1.35, 0.8, pane.shape[0], dtype=np.float32)[:, None, None] if pane.size else 1.0
    lit = rng.random()
    if lit < 0.08:
        pane[:] = np.array((120, 196, 236), np.float32) * rng.uniform(0.75, 1.05)
    else:
        pane[:] = glass * shine * rng.uniform(0.7, 1.15)
    if 0.6 < lit < 0.85:  # a blind, half way down
        blind = _box(texture, scale, centre - half, centre + half * (1, rng.uniform(-0.6, 0.4)))
        blind[:] = blind * 0.35 + 130
    _box(texture, scale, centre - half * (0.06, 1), centre + half * (0.06, 1))[:] = frame
    _box(texture, scale, centre + half * (-1.2, 1.08), centre + half * (1.2, 1.26))[:] = frame * 0.8


def _ground_floor(rng, texture, scale, length, height, glass, frame) -> None:
    if rng.random() < 0.55:  # shops: large panes under an awning or a sign board
        x = 0.4
        while x + 2.0 < length:
            wide = min(rng.uniform(2.2, 4.0), length - x - 0.4)
            _box(texture, scale, (x, height - 2.7), (x + wide, height - 0.4))[:] = glass * rng.uniform(0.8, 1.6)
            board = _pick(rng, _CLOTHES + _SIGNS, 10)
            _box(texture, scale, (x - 0.1, height - 3.2), (x + wide + 0.1, height - 2.6))[:] = board
            if rng.random() < 0.4:
                stripes = _box(texture, scale, (x, height - 2.6), (x + wide, height - 2.2))
                stripes[:] = board * 0.8
                step = max(int(scale * 0.35), 1)
                for start in range(0, stripes.shape[1], 2 * step):
                    stripes[:, start : start + step] = 226
            x += wide + rng.uniform(0.4, 1.0)
    else:
        for x in np.arange(rng.uniform(0.6, 1.6), length - 1.2, rng.uniform(2.6, 3.6)):
            if rng.random() < 0.3:
                door = _pick(rng, ((40, 54, 82), (70, 44, 34), (48, 74, 40), (60, 60, 64)), 10)
                _box(texture, scale, (x - 0.12, height - 2.35), (x + 1.12, height))[:] = frame
                _box(texture, scale, (x, height - 2.2), (x + 1.0, height))[:] = door
            else:
                _window(rng, texture, scale, np.array([x + 0.5, height - 1.6]), np.array([1.0, 1.3]), glass, frame)


def draw_building(
    rng: np.random.Generator,
    canvas: Canvas,
    camera: Camera,
    *,
    side: int,
    line: float,
    near: float,
    far: float,
    height: float,
    lit: float,
) -> None:
    """A house on one side of the street: its front along the street from `near` to `far`, and the end that faces us.

    side: -1 left, 1 right. line: distance of the front from the street's middle, metres. lit: light on the front,
    about 1.
    """
    scale = float(np.clip(1.3 * camera.pixels_per_metre(max(near, 3.0)), 5, 26))
    x, depth = side * line, 12.0
    front = facade(rng, far - near, height, scale)
    end = facade(rng, depth, height, 0.6 * scale) if side * (x - camera.x) > 0 else None
    gable = height + (rng.uniform(1.5, 3.0) if rng.random() < 0.35 else 0.0)
    roof = _pick(rng, ((60, 66, 104), (70, 68, 66), (54, 58, 78)), 8)
    if gable > height:  # a roof that slopes up from the front
        ridge = [(x + side * 5, gable, far), (x + side * 5, gable, near)]
        eaves = [(x, height, near), (x, height, far)]
        canvas.fill(camera.project(ridge + eaves), roof * lit, BUILDING, (near + far) / 2)
        triangle = [(x, height, near), (x + side * 5, gable, near), (x + side * 10, height, near)]
        canvas.fill(camera.project(triangle), front.mean(axis=(0, 1)) * 0.8, BUILDING, near)
    if end is not None:
        corners = [(x, height, near), (x + side * depth, height, near), (x + side * depth, 0, near), (x, 0, near)]
        canvas.texture(canvas.hazed(end * 0.82, np.float32(near)), camera.project(corners), BUILDING)
    z = np.linspace(near, far, front.shape[1], dtype=np.float32)
    front = canvas.hazed(front * lit, z[None])
    corners = [(x, height, near), (x, height, far), (x, 0, far), (x, 0, near)]
    canvas.texture(front, camera.project(corners), BUILDING)


def draw_tree(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, x: float, z: float, *, height: float, sun: int
) -> None:
    """A tree with its trunk at (x, z), `height` metres high; sun is the side the light comes from, -1 or 1."""
    _ground_shadow(canvas, camera, x - sun * 0.7, z, 0.3 * height, 0.16 * height, 0.68)
    radius = height * rng.uniform(0.24, 0.34)
    bark = _pick(rng, ((50, 66, 86), (66, 76, 84), (38, 48, 62)), 8)
    thick = 0.025 * height + 0.06
    trunk = [
        (x - thick, 0, z),
        (x - thick * 0.6, height * 0.7, z),
        (x + thick * 0.6, height * 0.7, z),
        (x + thick, 0, z),
    ]
    canvas.fill(camera.project(trunk), bark, TREE, z)
    lit_edge = [
        (x + sun * thick * part, y, z) for part, y in ((0.3, 0), (0.2, height * 0.6), (0.6, height * 0.6), (1, 0))
    ]
    canvas.fill(camera.project(lit_edge), bark * 1.3, TREE, z)
    scale = camera.pixels_per_metre(z)
    centre = camera.project([(x, height - radius * 1.1, z)])[0]
    draw_crown(rng, canvas, centre, (radius * scale, radius * 1.15 * scale), _pick(rng, _LEAVES, 10), sun, z)


def draw_crown(
    rng: np.random.Generator,
    canvas: Canvas,
    centre: Sequence[float],
    radii: Sequence[float],
    colour: np.ndarray,
    sun: int,
    z: float,
) -> None:
    """Leaves: an irregular blob of about the given radii, in pixels."""
    reach_x, reach_y = (int(np.ceil(1.35 * value)) + 2 for value in radii)
    if reach_x > 4 * canvas.width or reach_y > 4 * canvas.height:
        return
    mask = np.zeros((2 * reach_y, 2 * reach_x), np.float32)
    lumps = np.zeros_like(mask)
    for _ in range(16):
        angle, away = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0, 1)) * 0.72
        at = (int(reach_x + away * radii[0] * np.cos(angle)), int(reach_y + away * radii[1] * np.sin(angle)))
        size = (max(int(radii[0] * rng.uniform(0.3, 0.46)), 1), max(int(radii[1] * rng.uniform(0.3, 0.46)), 1))
        cv2.ellipse(mask, at, size, 0, 0, 360, 1.0, -1)
        light = rng.uniform(0.72, 1.0) + 0.22 * (at[0] / reach_x - 1) * sun - 0.3 * (at[1] / reach_y - 1)
        cv2.ellipse(lumps, at, size, 0, 0, 360, float(light), -1)
    leaf = max(0.12 * min(radii), 1.2)
    ragged = smooth_noise(rng, *mask.shape, leaf * 1.6, 2)
    soft = cv2.GaussianBlur(mask, (0, 0), leaf * 0.7)
    inside = (soft + 0.34 * ragged > 0.55) & (soft > 0.12)
    shading = cv2.GaussianBlur(np.where(mask > 0, lumps, 0.75), (0, 0), leaf * 0.5)
    shading = shading * (1 + 0.22 * smooth_noise(rng, *mask.shape, leaf, 2))
    colours = canvas.hazed(colour * 1.12 * shading[..., None], np.float32(z))
    canvas.paint(int(centre[0]) - reach_x, int(centre[1]) - reach_y, inside, colours, TREE)


_CAR_SHAPES = {
    # length, width, top of the body, and the cabin as (part of the length from the tail, metres above the ground)
    "saloon": (4.4, 1.78, 0.88, ((0.06, 0.88), (0.24, 1.42), (0.6, 1.44), (0.8, 0.92))),
    "hatchback": (3.8, 1.72, 0.9, ((0.0, 0.9), (0.1, 1.48), (0.6, 1.5), (0.82, 0.95))),
    "van": (4.9, 1.95, 1.05, ((0.0, 1.05), (0.03, 2.1), (0.72, 2.1), (0.9, 1.15))),
}


def draw_car(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, x: float, z: float, *, oncoming: bool, lit: float = 1.0
) -> None:
    """A car with the middle of its near face at (x, z); oncoming cars show their front."""
    length, width, belt, cabin = _CAR_SHAPES[("saloon", "hatchback", "hatchback", "van")[rng.integers(4)]]
    paint = _pick(rng, _CAR_PAINTS, 9) * lit
    glass = np.array((74, 62, 52), np.float32) * rng.uniform(0.7, 1.3)
    left, right = x - width / 2, x + width / 2
    cabin = [(1 - part, y) for part, y in cabin][::-1] if oncoming else list(cabin)
    cabin = [(z + part * length, y) for part, y in cabin]

    def fill(points: List[Tuple[float, float, float]], colour: Colour, hull: bool = False) -> None:
        draw = canvas.fill_hull if hull else canvas.fill
        draw(camera.project(points), colour, CAR, z)

    ground = [
        (left - 0.25, 0, z - 0.3),
        (right + 0.25, 0, z - 0.3),
        (right + 0.25, 0, z + length),
        (left - 0.25, 0, z + length),
    ]
    canvas.shade(camera.project(ground), 0.42)
    box = [(side, y, depth) for side in (left, right) for y in (0.3, belt) for depth in (z, z + length)]
    under = [(side, y, depth) for side in (left + 0.08, right - 0.08) for y in (0.1, 0.35) for depth in (z, z + length)]
    fill(under, (22, 20, 20), hull=True)
    fill(box, paint * 0.85, hull=True)
    inset = 0.16
    narrow = [(side, y, depth) for side in (left + inset, right - inset) for depth, y in cabin]
    fill(narrow, paint * 1.05, hull=True)

    if abs(x - camera.x) > width / 2:  # the flank that faces the camera
        flank = left if x > camera.x else right
        shade = paint * (0.78 if x > camera.x else 0.92)
        fill([(flank, 0.3, z), (flank, belt, z), (flank, belt, z + length), (flank, 0.3, z + length)], shade)
        inner = flank + (inset if x > camera.x else -inset)
        fill([(inner, y, depth) for depth, y in cabin], shade)
        middle = np.mean(cabin, axis=0)
        panes = [
            (inner, middle[1] + 0.72 * (y - middle[1]), middle[0] + 0.82 * (depth - middle[0])) for depth, y in cabin
        ]
        fill(panes, glass)
        post = z + 0.45 * length
        fill(
            [
                (inner, belt, post),
                (inner, cabin[1][1], post),
                (inner, cabin[1][1], post + 0.12),
                (inner, belt, post + 0.12),
            ],
            shade,
        )
        fill([(flank, 0.5, z), (flank, 0.58, z), (flank, 0.58, z + length), (flank, 0.5, z + length)], shade * 0.8)
        angles = np.linspace(0, 2 * np.pi, 19)[:-1]
        for part in (0.19, 0.81):
            for radius, colour in ((0.36, (26, 26, 28)), (0.2, (140, 140, 142))):
                wheel = [(flank, 0.34 + radius * np.sin(a), z + part * length + radius * np.cos(a)) for a in angles]
                fill(wheel, colour)

    def face(x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        fill([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)], colour)

    for wheel in (left + 0.06, right - 0.3):
        face(wheel, 0.0, wheel + 0.24, 0.4, (26, 26, 28))
    face(left, 0.3, right, belt, paint)
    (low_z, low_y), (high_z, high_y) = cabin[0], cabin[1]
    for grow, colour in ((0.0, paint * 1.08), (0.12, glass * 1.25)):
        bottom, top = low_y + 0.5 * grow, high_y - 0.7 * grow
        fill(
            [
                (left + inset * 0.6 + grow, bottom, low_z),
                (right - inset * 0.6 - grow, bottom, low_z),
                (right - inset * 1.5 - grow, top, high_z),
                (left + inset * 1.5 + grow, top, high_z),
            ],
            colour,
        )
    lamp = (222, 240, 246) if oncoming else (44, 36, 196)
    lamp_y = 0.6 if oncoming else 0.66
    face(left + 0.05, lamp_y, left + 0.38, lamp_y + 0.17, lamp)
    face(right - 0.38, lamp_y, right - 0.05, lamp_y + 0.17, lamp)
    face(left, 0.3, right, 0.42, paint * 0.45)
    if oncoming:
        face(x - 0.42, 0.5, x + 0.42, 0.66, (34, 34, 36))
    face(x - 0.26, 0.44, x + 0.26, 0.55, (214, 224, 226))


def draw_person(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, x: float, z: float, *, height: float = 1.75
) -> None:
    """Somebody who stands or walks at (x, z)."""
    _ground_shadow(canvas, camera, x, z, 0.42, 0.25, 0.6)
    top, trousers = _pick(rng, _CLOTHES, 10), _pick(rng, _CLOTHES[:4] + _CLOTHES[7:], 8)
    skin, hair = _pick(rng, _SKINS, 6), _pick(rng, ((30, 34, 44), (46, 72, 110), (120, 150, 170), (24, 24, 26)), 8)
    build, stride, sway = rng.uniform(0.9, 1.15), rng.uniform(0.03, 0.2), rng.uniform(-0.02, 0.02)

    def at(right: float, up: float) -> Tuple[float, float, float]:
        return x + right * build, up * height / 1.75, z

    def limb(start: Tuple[float, float], stop: Tuple[float, float], thick: float, colour: Colour) -> None:
        (x0, y0), (x1, y1) = start, stop
        corners = [at(x0 - thick, y0), at(x0 + thick, y0), at(x1 + thick * 0.8, y1), at(x1 - thick * 0.8, y1)]
        canvas.fill(camera.project(corners), colour, PERSON, z)

    limb((-0.09, 0.88), (-0.08 - stride, 0.06), 0.1, trousers * 0.8)
    limb((0.09, 0.88), (0.08 + stride, 0.06), 0.1, trousers)
    for foot in (-0.08 - stride, 0.08 + stride):
        limb((foot + 0.03, 0.08), (foot + 0.05, 0.0), 0.12, (30, 28, 30))
    limb((-0.24, 1.38), (-0.28 + stride * 0.5, 0.84), 0.065, top * 0.75)
    limb((0.24, 1.38), (0.28 - stride * 0.5, 0.84), 0.065, top * 0.9)
    torso = [at(-0.17, 0.8), at(0.17, 0.8), at(0.25, 1.4), at(0.12, 1.48), at(-0.12, 1.48), at(-0.25, 1.4)]
    canvas.fill(camera.project(torso), top, PERSON, z)
    shade = [at(-0.17, 0.8), at(-0.05, 0.8), at(-0.08, 1.46), at(-0.25, 1.4)]
    canvas.fill(camera.project(shade), top * 0.85, PERSON, z)
    limb((sway, 1.56), (0.0, 1.44), 0.06, skin * 0.85)
    scale = camera.pixels_per_metre(z) * height / 1.75
    head = camera.project([at(sway, 1.64)])[0]
    canvas.ellipse(head, (0.115 * scale, 0.14 * scale), hair, PERSON, z)
    canvas.ellipse(head + (0, 0.045 * scale), (0.09 * scale, 0.095 * scale), skin, PERSON, z)
    if rng.random() < 0.35:  # a bag
        bag = _pick(rng, _CLOTHES, 10)
        limb((0.3, 0.92), (0.3, 0.62), 0.11, bag)


def draw_pole(
    rng: np.random.Generator, canvas: Canvas, camera: Camera, x: float, z: float, *, towards: int, kind: str
) -> None:
    """A "lamp", "sign" or traffic "light" on its pole; towards is the side the street lies on, -1 or 1."""
    _ground_shadow(canvas, camera, x, z, 0.3, 0.15, 0.7)
    metal = _pick(rng, ((92, 92, 94), (60, 64, 62), (140, 140, 142)), 6)
    tall = {"lamp": rng.uniform(5.5, 7.5), "sign": rng.uniform(2.7, 3.3), "light": rng.uniform(3.2, 3.9)}[kind]
    half = 0.085

    def rectangle(x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        corners = [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]
        canvas.fill(camera.project(corners), colour, POLE, z)

    rectangle(x - half, 0, x + half, tall, metal)
    rectangle(x - half * 0.2, 0, x + half * 0.5, tall, metal * 1.3)
    rectangle(x - half * 1.7, 0, x + half * 1.7, 0.5, metal * 0.8)
    scale = camera.pixels_per_metre(z)
    if kind == "lamp":
        arm = x + towards * 1.6
        rectangle(min(x, arm), tall - 0.12, max(x, arm), tall, metal)
        rectangle(arm - 0.35, tall - 0.26, arm + 0.35, tall - 0.02, (190, 210, 216))
    elif kind == "light":
        rectangle(x - 0.24, tall - 1.1, x + 0.24, tall, (34, 36, 34))
        on = int(rng.integers(3))
        for place, colour in enumerate(((50, 50, 230), (50, 190, 240), (110, 220, 70))):
            glow = np.asarray(colour, np.float32) * (1.0 if place == on else 0.3)
            centre = camera.project([(x, tall - 0.22 - 0.33 * place, z)])[0]
            canvas.ellipse(centre, (0.13 * scale, 0.13 * scale), glow, POLE, z)
    else:
        centre = camera.project([(x, tall - 0.42, z)])[0]
        rim, plate = _pick(rng, _SIGNS, 6), np.array((232, 234, 236), np.float32)
        size = 0.44 * scale
        shape = rng.integers(3)
        corners = {0: 24, 1: 4, 2: 3}[int(shape)]
        angles = np.arange(corners) * 2 * np.pi / corners + (np.pi / 4 if corners == 4 else -np.pi / 2)
        ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        canvas.fill(centre + size * ring, rim, POLE, z)
        canvas.fill(centre + size * 0.66 * ring, plate if rng.random() < 0.7 else rim * 0.7, POLE, z)


def draw_bin(rng: np.random.Generator, canvas: Canvas, camera: Camera, x: float, z: float) -> None:
    """A bin or a box at the kerb that belongs to no class: its pixels stay unlabelled."""
    _ground_shadow(canvas, camera, x, z, 0.5, 0.3, 0.55)
    colour = _pick(rng, ((60, 90, 50), (110, 80, 50), (70, 70, 74), (40, 120, 190)), 8)
    wide, high = rng.uniform(0.5, 0.8), rng.uniform(0.9, 1.3)
    box = [(side, y, depth) for side in (x - wide / 2, x + wide / 2) for y in (0, high) for depth in (z, z + wide)]
    canvas.fill_hull(camera.project(box), colour * 0.75, UNLABELLED, z)
    for y0, y1, shade in ((0, high, 1.0), (high - 0.12, high, 1.35), (high * 0.35, high * 0.42, 0.7)):
        side = [(x - wide / 2, y0, z), (x + wide / 2, y0, z), (x + wide / 2, y1, z), (x - wide / 2, y1, z)]
        canvas.fill(camera.project(side), colour * shade, UNLABELLED, z)


def _ground_shadow(canvas: Canvas, camera: Camera, x: float, z: float, wide: float, deep: float, factor: float) -> None:
    angles = np.linspace(0, 2 * np.pi, 19)[:-1]
    ring = [(x + wide * np.cos(a), 0.0, z + deep * np.sin(a)) for a in angles]
    canvas.shade(camera.project(ring), factor)
