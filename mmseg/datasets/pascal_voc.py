"""Pascal VOC 2012 (Everingham et al., IJCV 2015), with or without the further masks of Hariharan et al., ICCV 2011."""

from mmseg.datasets.builder import DATASETS
from mmseg.datasets.custom import CustomDataset

_COLOURS = {
    "background": (0, 0, 0),
    "aeroplane": (128, 0, 0),
    "bicycle": (0, 128, 0),
    "bird": (128, 128, 0),
    "boat": (0, 0, 128),
    "bottle": (128, 0, 128),
    "bus": (0, 128, 128),
    "car": (128, 128, 128),
    "cat": (64, 0, 0),
    "chair": (192, 0, 0),
    "cow": (64, 128, 0),
    "diningtable": (192, 128, 0),
    "dog": (64, 0, 128),
    "horse": (192, 0, 128),
    "motorbike": (64, 128, 128),
    "person": (192, 128, 128),
    "pottedplant": (0, 64, 0),
    "sheep": (128, 64, 0),
    "sofa": (0, 192, 0),
    "train": (128, 192, 0),
    "tvmonitor": (0, 64, 128),
}


@DATASETS.register_module()
class PascalVOCDataset(CustomDataset):
    """The 20 object classes and the background; 255 in a mask is the border of an object.

    Args: see CustomDataset; the suffixes are those of the published files, and a split is needed.
    """

    CLASSES = tuple(_COLOURS)
    PALETTE = [list(colour) for colour in _COLOURS.values()]
    NEEDS_SPLIT = True
