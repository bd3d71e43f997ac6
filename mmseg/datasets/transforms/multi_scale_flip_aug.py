"""Several views of one image at test time."""

from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np

from mmseg.datasets.transforms.arguments import is_positive, require
from mmseg.datasets.transforms.builder import TRANSFORMS
from mmseg.datasets.transforms.compose import Compose
from mmseg.datasets.transforms.geometric import RandomFlip
from mmseg.datasets.transforms.resize import Size, as_scales


@TRANSFORMS.register_module()
class MultiScaleFlipAug:
    """Apply transforms to several views of an image: at each scale, plain and mirrored.

    The views are in the order scale, then plain before mirrored, then direction.

    Args:
        transforms: configs of the transforms for each view; Resize takes its scale and RandomFlip its decision from
            here.
        img_scale: (width, height) or a list of them; None for the image's own size.
        img_ratios: a factor or a list of them, of img_scale (then a single one) or of the image's size.
        flip: add mirrored views.
        flip_direction: "horizontal", "vertical" or a list of them. As in mmsegmentation, the plain view comes once a
            direction.

    Returns (when called):
        For each key that the transforms leave, a list with the entry of each view.

    Raises:
        ConfigError: an argument is none of these.
    """

    def __init__(
        self,
        transforms: Sequence[Any],
        img_scale: Optional[Any],
        img_ratios: Optional[Union[float, Sequence[float]]] = None,
        flip: bool = False,
        flip_direction: Union[str, Sequence[str]] = "horizontal",
    ) -> None:
        self.transforms = Compose(transforms)
        ratios = [img_ratios] if is_positive(img_ratios) else img_ratios
        valid = isinstance(ratios, (list, tuple)) and len(ratios) > 0 and all(is_positive(ratio) for ratio in ratios)
        require(img_ratios is None or valid, self, "img_ratios", "a positive number or a list of them", img_ratios)
        require(
            img_scale is not None or img_ratios is not None, self, "img_ratios", "given where img_scale is None", None
        )
        scales = None if img_scale is None else as_scales(self, img_scale)
        if scales is not None and ratios is not None:
            require(
                len(scales) == 1, self, "img_scale", "a single (width, height) where img_ratios is given", img_scale
            )
            scales = _scaled(scales[0], ratios)
        directions = [flip_direction] if isinstance(flip_direction, str) else flip_direction
        valid = isinstance(directions, (list, tuple)) and len(directions) > 0
        valid = valid and all(direction in RandomFlip.CODES for direction in directions)
        require(valid, self, "flip_direction", "'horizontal', 'vertical' or a list of them", flip_direction)
        self.img_scale = scales
        self.img_ratios = ratios
        self.flip = flip
        self.flip_direction = list(directions)

    def __call__(self, sample: Dict[str, Any], rng: Optional[np.random.Generator] = None) -> Dict[str, List[Any]]:
        scales = self.img_scale
        if scales is None:
            height, width = sample["img"].shape[:2]
            scales = _scaled((width, height), self.img_ratios)
        views = []
        for scale in scales:
            for flip in (False, True) if self.flip else (False,):
                for direction in self.flip_direction:
                    view = dict(sample, scale=scale, flip=flip, flip_direction=direction)
                    view["seg_fields"] = list(sample.get("seg_fields", []))
                    views.append(self.transforms(view, rng))
        return {key: [view[key] for view in views] for key in views[0]}


def _scaled(size: Sequence[float], ratios: Sequence[float]) -> List[Size]:
    return [(max(int(size[0] * ratio), 1), max(int(size[1] * ratio), 1)) for ratio in ratios]
