"""Cityscapes (Cordts et al., CVPR 2016), and two data sets of streets at night with its classes."""

from mmseg.datasets.builder import DATASETS
from mmseg.datasets.custom import CustomDataset


@DATASETS.register_module()
class CityscapesDataset(CustomDataset):
    """The 19 classes that the Cityscapes benchmark evaluates, as `labelTrainIds` masks.

    Args: see CustomDataset; the suffixes are those of the published files.
    """

    CLASSES = (
        "road",
        "sidewalk",
        "building",
        "wall",
        "fence",
        "pole",
        "traffic light",
        "traffic sign",
        "vegetation",
        "terrain",
        "sky",
        "person",
        "rider",
        "car",
        "truck",
        "bus",
        "train",
        "motorcycle",
        "bicycle",
    )

    PALETTE = [
        [128, 64, 128],
        [244, 35, 232],
        [70, 70, 70],
        [102, 102, 156],
        [190, 153, 153],
        [153, 153, 153],
        [250, 170, 30],
        [220, 220, 0],
        [107, 142, 35],
        [152, 251, 152],
        [70, 130, 180],
        [220, 20, 60],
        [255, 0, 0],
        [0, 0, 142],
        [0, 0, 70],
        [0, 60, 100],
        [0, 80, 100],
        [0, 0, 230],
        [119, 11, 32],
    ]

    IMG_SUFFIX = "_leftImg8bit.png"
    SEG_MAP_SUFFIX = "_gtFine_labelTrainIds.png"


@DATASETS.register_module()
class DarkZurichDataset(CityscapesDataset):
    """Dark Zurich (Sakaridis et al., ICCV 2019).

    Args: see CustomDataset; the suffixes are those of the published files.
    """

    IMG_SUFFIX = "_rgb_anon.png"
    SEG_MAP_SUFFIX = "_gt_labelTrainIds.png"


@DATASETS.register_module()
class NightDrivingDataset(CityscapesDataset):
    """Nighttime Driving (Dai and Van Gool, ITSC 2018).

    Args: see CustomDataset; the suffixes are those of the published files.
    """

    IMG_SUFFIX = "_leftImg8bit.png"
    SEG_MAP_SUFFIX = "_gtCoarse_labelTrainIds.png"
