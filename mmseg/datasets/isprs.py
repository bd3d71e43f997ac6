"""The two cities of the ISPRS 2D semantic labelling contest, seen from the air: Potsdam and Vaihingen."""

from mmseg.datasets.builder import DATASETS
from mmseg.datasets.custom import CustomDataset

_COLOURS = {
    "impervious_surface": (255, 255, 255),
    "building": (0, 0, 255),
    "low_vegetation": (0, 255, 255),
    "tree": (0, 255, 0),
    "car": (255, 255, 0),
    "clutter": (255, 0, 0),
}


@DATASETS.register_module()
class PotsdamDataset(CustomDataset):
    """Potsdam, cut into tiles; six classes, counted from 1 in the masks.

    Args: see CustomDataset; the suffixes are those of the published files, 0 in a mask is no class.
    """

    CLASSES = tuple(_COLOURS)
    PALETTE = [list(colour) for colour in _COLOURS.values()]
    IMG_SUFFIX = ".png"
    REDUCE_ZERO_LABEL = True


@DATASETS.register_module()
class ISPRSDataset(CustomDataset):
    """Vaihingen, cut into tiles; six classes, counted from 1 in the masks.

    Args: see CustomDataset; the suffixes are those of the published files, 0 in a mask is no class.
    """

    CLASSES = tuple(_COLOURS)
    PALETTE = [list(colour) for colour in _COLOURS.values()]
    IMG_SUFFIX = ".png"
    REDUCE_ZERO_LABEL = True
