"""Blood vessels of the retina: four small data sets of fundus photographs with one class and the background."""

from mmseg.datasets.builder import DATASETS
from mmseg.datasets.custom import CustomDataset

_COLOURS = {
    "background": (120, 120, 120),
    "vessel": (6, 230, 230),
}


@DATASETS.register_module()
class ChaseDB1Dataset(CustomDataset):
    """CHASE_DB1 (Fraz et al., IEEE TBME 2012); masks of the first of its two observers.

    Args: see CustomDataset; the suffixes are those of the published files.
    """

    CLASSES = tuple(_COLOURS)
    PALETTE = [list(colour) for colour in _COLOURS.values()]
    IMG_SUFFIX = ".png"
    SEG_MAP_SUFFIX = "_1stHO.png"


@DATASETS.register_module()
class DRIVEDataset(CustomDataset):
    """DRIVE (Staal et al., IEEE TMI 2004); masks of the first manual segmentation.

    Args: see CustomDataset; the suffixes are those of the published files.
    """

    CLASSES = tuple(_COLOURS)
    PALETTE = [list(colour) for colour in _COLOURS.values()]
    IMG_SUFFIX = ".png"
    SEG_MAP_SUFFIX = "_manual1.png"


@DATASETS.register_module()
class HRFDataset(CustomDataset):
    """HRF, high resolution fundus images (Budai et al., IJBI 2013).

    Args: see CustomDataset; the suffixes are those of the published files.
    """

    CLASSES = tuple(_COLOURS)
    PALETTE = [list(colour) for colour in _COLOURS.values()]
    IMG_SUFFIX = ".png"


@DATASETS.register_module()
class STAREDataset(CustomDataset):
    """STARE (Hoover et al., IEEE TMI 2000); masks by Adam Hoover.

    Args: see CustomDataset; the suffixes are those of the published files.
    """

    CLASSES = tuple(_COLOURS)
    PALETTE = [list(colour) for colour in _COLOURS.values()]
    IMG_SUFFIX = ".png"
    SEG_MAP_SUFFIX = ".ah.png"
