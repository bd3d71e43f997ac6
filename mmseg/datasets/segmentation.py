"""The base of all data sets of images and label masks."""

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from mmseg.datasets.palette import generate_palette
from mmseg.datasets.transforms.compose import Compose
from mmseg.datasets.transforms.loading import LoadAnnotations
from mmseg.errors import ConfigError, DataError
from mmseg.regular_files import open_regular


class Draw(NamedTuple):
    """One training sample to be drawn: what the random numbers of its transforms depend on, and which image it is."""

    seed: int
    position: int  # counts the samples of the whole run, over all epochs and ranks
    index: int
    branch: Tuple[int, ...] = ()  # tells apart the images that one sample is made of

    def generator(self) -> np.random.Generator:
        """The generator of the random numbers of this draw, the same whenever and wherever it is asked for."""
        return np.random.default_rng([self.seed, self.position, *self.branch])

    def part(self, number: int, index: int) -> "Draw":
        """The draw of image `index` as part `number`, counted from 0, of this sample; it has a generator of its own."""
        # Not from 0 here, because numpy takes [seed, position, 0] for [seed, position].
        return self._replace(index=index, branch=(*self.branch, number + 1))


def as_draw(item: Union[int, Draw], length: int) -> Draw:
    """What `dataset[item]` draws: an index i is Draw(0, i, i). Raises IndexError unless it is below `length`."""
    draw = item if isinstance(item, Draw) else Draw(0, int(item), int(item))
    if not 0 <= draw.index < length:
        raise IndexError(f"there is no image {draw.index}: the data set has {length}")
    return draw


class SegmentationDataset:
    """Images with label masks, each going through a pipeline of transforms.

    `dataset[Draw(seed, position, index)]` draws from `default_rng([seed, position])`; `dataset[index]` is the same as
    `dataset[Draw(0, index, index)]`.

    Args:
        pipeline: configs of the transforms.
        images: file names.
        masks: the label mask of each image, None for an image without; or None altogether.
        img_prefix: folder that the image names are relative to.
        seg_prefix: folder that the mask names are relative to.
        classes: names of the classes, or a text file with one a line. Where the data set's class has CLASSES of its
            own they must be among those, and ids in the masks are mapped to the order given.
        palette: [R, G, B] of each class; default: that of the data set's class, otherwise `generate_palette`.
        test_mode: the pipeline gets no mask; it can still be had by `get_gt_seg_map`.
        ignore_index: label of pixels that do not count.
        reduce_zero_label: for `get_gt_seg_map`, 0 is no class and counting starts at 1.
        gt_seg_map_loader_cfg: arguments of the LoadAnnotations that `get_gt_seg_map` uses.

    Attributes:
        images: path of each image. masks: path of each mask, or None.
        CLASSES: names of the classes, or None. PALETTE: [R, G, B] of each, or None.
        label_map: old id to new id (-1: left out) where `classes` chooses from the CLASSES of the class, otherwise
            None.

    Raises:
        ConfigError: the pipeline, classes or palette are not as they should be.
    """

    CLASSES: Optional[Tuple[str, ...]] = None
    PALETTE: Optional[List[List[int]]] = None

    def __init__(
        self,
        *,
        pipeline: Sequence[Any],
        images: Sequence[str],
        masks: Optional[Sequence[Optional[str]]],
        img_prefix: Optional[str] = None,
        seg_prefix: Optional[str] = None,
        classes: Optional[Union[str, Sequence[str]]] = None,
        palette: Optional[Sequence[Sequence[int]]] = None,
        test_mode: bool = False,
        ignore_index: int = 255,
        reduce_zero_label: bool = False,
        gt_seg_map_loader_cfg: Optional[Mapping[str, Any]] = None,
    ) -> None:
        self.pipeline = Compose(pipeline)
        self.img_prefix = img_prefix
        self.seg_prefix = seg_prefix
        self._image_names = list(images)
        self._mask_names = [None] * len(self._image_names) if masks is None else list(masks)
        self.images = [_join(img_prefix, name) for name in self._image_names]
        self.masks = [None if name is None else _join(seg_prefix, name) for name in self._mask_names]
        self.test_mode = test_mode
        self.ignore_index = ignore_index
        self.reduce_zero_label = reduce_zero_label
        self.label_map: Optional[Dict[int, int]] = None
        self.CLASSES, self.PALETTE = self._resolve_classes(classes, palette)
        self._load_annotations = LoadAnnotations(
            **{"reduce_zero_label": reduce_zero_label, **(gt_seg_map_loader_cfg or {})}
        )

    def _resolve_classes(
        self, classes: Optional[Union[str, Sequence[str]]], palette: Optional[Sequence[Sequence[int]]]
    ) -> Tuple[Optional[Tuple[str, ...]], Optional[List[List[int]]]]:
        """CLASSES and PALETTE; sets label_map."""
        own_classes, own_palette = type(self).CLASSES, type(self).PALETTE
        names = own_classes if classes is None else _class_names(classes)
        if names is None:
            return None, None
        if own_classes is not None and classes is not None:
            unknown = [name for name in names if name not in own_classes]
            if unknown:
                raise ConfigError(f"classes: {unknown[0]!r} is none of the classes of {type(self).__name__}")
            self.label_map = {i: names.index(name) if name in names else -1 for i, name in enumerate(own_classes)}
        if palette is not None:
            return names, _checked_palette(palette, len(names))
        if own_palette is not None and own_classes is not None:
            return names, [list(own_palette[own_classes.index(name)]) for name in names]
        return names, generate_palette(len(names))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: Union[int, Draw]) -> Dict[str, Any]:
        """The sample as the pipeline leaves it. Raises ImageError or DataError when its files cannot be read."""
        draw = as_draw(item, len(self))
        return self.pipeline(self._sample(draw.index), draw.generator())

    def get_gt_seg_map(self, index: int) -> np.ndarray:
        """The label mask (H, W) uint8 of an image at the file's own size, as evaluation compares with it: ids mapped,
        255 ignored.

        Raises DataError when the image has no mask or the file cannot be read.
        """
        sample = self._sample(index)
        self._add_mask(sample, index)
        return self._load_annotations(sample)["gt_semantic_seg"]

    def _sample(self, index: int) -> Dict[str, Any]:
        """What the pipeline starts with."""
        sample: Dict[str, Any] = dict(
            img_info=dict(filename=self._image_names[index]),
            img_prefix=self.img_prefix,
            seg_prefix=self.seg_prefix,
            seg_fields=[],
            ignore_index=self.ignore_index,
        )
        if self.CLASSES is not None:
            sample["num_classes"] = len(self.CLASSES)
        if self.label_map is not None:
            sample["label_map"] = self.label_map
        if not self.test_mode:
            self._add_mask(sample, index)
        return sample

    def _add_mask(self, sample: Dict[str, Any], index: int) -> None:
        name = self._mask_names[index]
        if name is None:
            raise DataError(f"image {self.images[index]} has no label mask")
        sample["ann_info"] = dict(seg_map=name)


def _join(prefix: Optional[str], name: str) -> str:
    return name if prefix is None else os.path.join(prefix, name)


def _class_names(classes: Union[str, Sequence[str]]) -> Tuple[str, ...]:
    if isinstance(classes, str):
        names = tuple(line.strip() for line in read_lines(classes, "class list"))
    elif isinstance(classes, (list, tuple)) and all(isinstance(name, str) for name in classes):
        names = tuple(classes)
    else:
        raise ConfigError(f"classes must be a list of names or a text file with one a line, not {classes!r}")
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ConfigError(f"classes: {twice[0]!r} is named twice")
    if not names:
        raise ConfigError("classes must name at least one class, but it is empty")
    return names


def _checked_palette(palette: Any, num_classes: int) -> List[List[int]]:
    try:
        colours = np.asarray(palette, dtype=np.int64)
    except (TypeError, ValueError, OverflowError):
        colours = np.zeros(0, dtype=np.int64)
    if colours.shape != (num_classes, 3) or colours.min() < 0 or colours.max() > 255:
        raise ConfigError(f"palette must be {num_classes} colours [R, G, B] of 0 to 255, one a class, not {palette!r}")
    return [[int(channel) for channel in colour] for colour in colours]


def read_lines(path: str, kind: str) -> List[str]:
    """The lines of a UTF-8 text file that are not blank, without line ends. Raises DataError naming it as `kind`."""
    return [line for _, line in read_numbered_lines(path, kind)]


def read_numbered_lines(path: str, kind: str) -> List[Tuple[int, str]]:
    """Like `read_lines`, each with its number in the file, counted from 1."""
    try:
        with open_regular(path) as file:
            text = file.read().decode("utf-8-sig")
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise DataError(f"cannot read {kind} {path}: {reason}") from cause
    # Only \n and \r\n end a line: str.splitlines also splits at characters that may occur in a file name.
    lines = (line[:-1] if line.endswith("\r") else line for line in text.split("\n"))
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
