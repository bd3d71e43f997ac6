"""CamVid, the Cambridge driving videos (Brostow et al., Pattern Recognition Letters 2009)."""

from typing import Any

from mmseg.datasets.builder import DATASETS
from mmseg.datasets.custom import CustomDataset

_COLOURS = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign symbol": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}


@DATASETS.register_module()
class CamVidDataset(CustomDataset):
    """The 11 classes that SegNet (Badrinarayanan et al., TPAMI 2017) made of the 32, and most papers since take.

    Masks hold 0 to 10; 11, the void of SegNet's masks, counts as little as 255.

    Args: see CustomDataset; the suffixes are those of SegNet's files.
    """

    CLASSES = tuple(_COLOURS)
    PALETTE = [list(colour) for colour in _COLOURS.values()]
    VOID = 11
    IMG_SUFFIX = ".png"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_map = {**(self.label_map or {}), self.VOID: -1}
