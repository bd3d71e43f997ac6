"""LoveDA: land cover of cities and villages from the air (Wang et al., NeurIPS 2021, data sets and benchmarks)."""

from mmseg.datasets.builder import DATASETS
from mmseg.datasets.custom import CustomDataset

_COLOURS = {
    "background": (255, 255, 255),
    "building": (255, 0, 0),
    "road": (255, 255, 0),
    "water": (0, 0, 255),
    "barren": (159, 129, 183),
    "forest": (0, 255, 0),
    "agricultural": (255, 195, 128),
}


@DATASETS.register_module()
class LoveDADataset(CustomDataset):
    """Seven classes of land cover, counted from 1 in the masks.

    Args: see CustomDataset; the suffixes are those of the published files, 0 in a mask is no class.
    """

    CLASSES = tuple(_COLOURS)
    PALETTE = [list(colour) for colour in _COLOURS.values()]
    IMG_SUFFIX = ".png"
    REDUCE_ZERO_LABEL = True
