"""Blood vessels of the retina: four small data sets of fundus photographs with one class and the background."""

from typing import Any

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

    def __init__(
        self,
        *args: Any,
        img_suffix: str = ".png",
        seg_map_suffix: str = "_1stHO.png",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            **kwargs,
        )


@DATASETS.register_module()
class DRIVEDataset(CustomDataset):
    """DRIVE (Staal et al., IEEE TMI 2004); masks of the first manual segmentation.

    Args: see CustomDataset; the suffixes are those of the published files.
    """

    CLASSES = tuple(_COLOURS)
    PALETTE = [list(colour) for colour in _COLOURS.values()]

    def __init__(
        self,
        *args: Any,
        img_suffix: str = ".png",
        seg_map_suffix: str = "_manual1.png",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            **kwargs,
        )


@DATASETS.register_module()
class HRFDataset(CustomDataset):
    """HRF, high resolution fundus images (Budai et al., IJBI 2013).

    Args: see CustomDataset; the suffixes are those of the published files.
    """

    CLASSES = tuple(_COLOURS)
    PALETTE = [list(colour) for colour in _COLOURS.values()]

    def __init__(
        self,
        *args: Any,
        img_suffix: str = ".png",
        seg_map_suffix: str = ".png",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            **kwargs,
        )


@DATASETS.register_module()
class STAREDataset(CustomDataset):
    """STARE (Hoover et al., IEEE TMI 2000); masks by Adam Hoover.

    Args: see CustomDataset; the suffixes are those of the published files.
    """

    CLASSES = tuple(_COLOURS)
    PALETTE = [list(colour) for colour in _COLOURS.values()]

    def __init__(
        self,
        *args: Any,
        img_suffix: str = ".png",
        seg_map_suffix: str = ".ah.png",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            **kwargs,
        )
