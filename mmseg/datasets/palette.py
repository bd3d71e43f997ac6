"""Colours of classes."""

import colorsys
from typing import List

_GOLDEN_RATIO = (5**0.5 - 1) / 2
_SATURATIONS = (0.75, 0.45, 0.95)
_VALUES = (0.95, 0.65, 0.8, 0.5)


def generate_palette(num_classes: int) -> List[List[int]]:
    """Colours for classes that come without: `num_classes` different [R, G, B] of 0 to 255, the same in every run.

    Hues go round the circle in steps of the golden ratio, so that neighbours differ strongly, while saturation and
    value alternate. Neither black nor white nor a grey occurs. A longer palette begins with the shorter ones.
    """
    palette: List[List[int]] = []
    step = 0
    while len(palette) < num_classes:
        hue = (0.58 + step * _GOLDEN_RATIO) % 1.0
        rgb = colorsys.hsv_to_rgb(hue, _SATURATIONS[step % len(_SATURATIONS)], _VALUES[step % len(_VALUES)])
        colour = [int(round(255 * channel)) for channel in rgb]
        if colour not in palette:
            palette.append(colour)
        step += 1
    return palette
