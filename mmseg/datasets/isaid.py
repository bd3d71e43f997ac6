"""iSAID: instances in aerial images (Zamir et al., CVPR workshops 2019), as classes of pixels."""

from mmseg.datasets.builder import DATASETS
from mmseg.datasets.custom import CustomDataset

_COLOURS = {
    "background": (0, 0, 0),
    "ship": (0, 0, 63),
    "store_tank": (0, 63, 63),
    "baseball_diamond": (0, 63, 0),
    "tennis_court": (0, 63, 127),
    "basketball_court": (0, 63, 191),
    "Ground_Track_Field": (0, 63, 255),
    "Bridge": (0, 127, 63),
    "Large_Vehicle": (0, 127, 127),
    "Small_Vehicle": (0, 0, 127),
    "Helicopter": (0, 0, 191),
    "Swimming_pool": (0, 0, 255),
    "Roundabout": (0, 191, 127),
    "Soccer_ball_field": (0, 127, 191),
    "plane": (0, 127, 255),
    "Harbor": (0, 100, 155),
}


@DATASETS.register_module()
class iSAIDDataset(CustomDataset):
    """The 15 object classes and the background, in images cut into tiles.

    Args: see CustomDataset; the suffixes are those of the published files.
    """

    CLASSES = tuple(_COLOURS)
    PALETTE = [list(colour) for colour in _COLOURS.values()]
    IMG_SUFFIX = ".png"
    SEG_MAP_SUFFIX = "_instance_color_RGB.png"
