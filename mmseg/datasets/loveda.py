"""LoveDA: land cover of cities and villages from the air (Wang et al., NeurIPS 2021, data sets and benchmarks)."""

from typing import Any

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

    def __init__(
        self,
        *args: Any,
        img_suffix: str = ".png",
        seg_map_suffix: str = ".png",
        reduce_zero_label: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            reduce_zero_label=reduce_zero_label,
            **kwargs,
        )
