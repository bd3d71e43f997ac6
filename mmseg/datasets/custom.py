"""Data sets described by folders or by an index file."""

import os
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

from mmseg.datasets.builder import DATASETS
from mmseg.datasets.segmentation import SegmentationDataset, read_lines, read_numbered_lines
from mmseg.datasets.transforms.arguments import check_file_client
from mmseg.errors import ConfigError, DataError


@DATASETS.register_module()
class CustomDataset(SegmentationDataset):
    """Images in one folder, label masks of the same names in another.

    Args:
        pipeline: configs of the transforms.
        img_dir: folder of the images.
        img_suffix: end of the image names; like seg_map_suffix and reduce_zero_label by default the data set's own.
        ann_dir: folder of the masks; None is for test_mode only.
        seg_map_suffix: end of the mask names, in the place of img_suffix.
        split: text file with a name without suffix in each line; None: all images below img_dir, sorted by name.
        data_root: folder that img_dir, ann_dir and split are relative to.
        test_mode, ignore_index, reduce_zero_label, classes, palette, gt_seg_map_loader_cfg: see SegmentationDataset.
        file_client_args: only `dict(backend="disk")`.

    Raises:
        ConfigError: an argument is none of these.
        DataError: split or img_dir cannot be read, or there is no image.
    """

    # What a data set's published files are called, and how its masks count, unless the arguments say otherwise.
    IMG_SUFFIX = ".jpg"
    SEG_MAP_SUFFIX = ".png"
    REDUCE_ZERO_LABEL = False
    # Whether its folder holds more than one split.
    NEEDS_SPLIT = False

    def __init__(
        self,
        pipeline: Sequence[Any],
        img_dir: str,
        img_suffix: Optional[str] = None,
        ann_dir: Optional[str] = None,
        seg_map_suffix: Optional[str] = None,
        split: Optional[str] = None,
        data_root: Optional[str] = None,
        test_mode: bool = False,
        ignore_index: int = 255,
        reduce_zero_label: Optional[bool] = None,
        classes: Optional[Union[str, Sequence[str]]] = None,
        palette: Optional[Sequence[Sequence[int]]] = None,
        gt_seg_map_loader_cfg: Optional[Mapping[str, Any]] = None,
        file_client_args: Optional[Mapping[str, Any]] = None,
    ) -> None:
        check_file_client(self, file_client_args)
        img_suffix = self.IMG_SUFFIX if img_suffix is None else img_suffix
        seg_map_suffix = self.SEG_MAP_SUFFIX if seg_map_suffix is None else seg_map_suffix
        if split is None and self.NEEDS_SPLIT:
            raise ConfigError(f"{type(self).__name__}: split is needed, because its folder holds several")
        if ann_dir is None and not test_mode:
            raise ConfigError(f"{type(self).__name__}: ann_dir is needed unless test_mode is set")
        if data_root is not None:
            img_dir, ann_dir, split = (
                None if path is None else os.path.join(data_root, path) for path in (img_dir, ann_dir, split)
            )
        if split is None:
            images = _scan(img_dir, img_suffix)
            if not images:
                raise DataError(f"there is no image ending in {img_suffix!r} in the folder {img_dir}")
        else:
            images = [line.strip() + img_suffix for line in read_lines(split, "split file")]
            if not images:
                raise DataError(f"the split file {split} names no image")
        masks = None
        if ann_dir is not None:
            masks = [name[: len(name) - len(img_suffix)] + seg_map_suffix for name in images]
        super().__init__(
            pipeline=pipeline,
            images=images,
            masks=masks,
            img_prefix=img_dir,
            seg_prefix=ann_dir,
            classes=classes,
            palette=palette,
            test_mode=test_mode,
            ignore_index=ignore_index,
            reduce_zero_label=self.REDUCE_ZERO_LABEL if reduce_zero_label is None else reduce_zero_label,
            gt_seg_map_loader_cfg=gt_seg_map_loader_cfg,
        )


@DATASETS.register_module()
class IndexDataset(SegmentationDataset):
    """The images and label masks that an index file names: `IMAGE<TAB>MASK` in each line.

    Lines are split at the tab alone, so names may hold spaces; blank lines are skipped. In test mode the mask may be
    missing. An index without a line gives an empty data set.

    Args:
        index_file: the file, UTF-8.
        pipeline: configs of the transforms.
        data_root: folder that relative paths (and index_file) are relative to.
        test_mode, ignore_index, reduce_zero_label, classes, palette, gt_seg_map_loader_cfg: see SegmentationDataset.
        file_client_args: only `dict(backend="disk")`.

    Raises:
        ConfigError: an argument is none of these.
        DataError: the index file cannot be read or has a line of another form.
    """

    def __init__(
        self,
        index_file: str,
        pipeline: Sequence[Any],
        data_root: Optional[str] = None,
        test_mode: bool = False,
        ignore_index: int = 255,
        reduce_zero_label: bool = False,
        classes: Optional[Union[str, Sequence[str]]] = None,
        palette: Optional[Sequence[Sequence[int]]] = None,
        gt_seg_map_loader_cfg: Optional[Mapping[str, Any]] = None,
        file_client_args: Optional[Mapping[str, Any]] = None,
    ) -> None:
        check_file_client(self, file_client_args)
        if data_root is not None:
            index_file = os.path.join(data_root, index_file)
        pairs = read_index(index_file, masks_required=not test_mode)
        super().__init__(
            pipeline=pipeline,
            images=[image for image, _ in pairs],
            masks=[mask for _, mask in pairs],
            img_prefix=data_root,
            seg_prefix=data_root,
            classes=classes,
            palette=palette,
            test_mode=test_mode,
            ignore_index=ignore_index,
            reduce_zero_label=reduce_zero_label,
            gt_seg_map_loader_cfg=gt_seg_map_loader_cfg,
        )


def read_index(path: str, masks_required: bool) -> List[Tuple[str, Optional[str]]]:
    """The (image, mask or None) of each line of an index file. Raises DataError naming the file and the line."""
    form = "IMAGE<TAB>MASK" if masks_required else "IMAGE or IMAGE<TAB>MASK"
    pairs: List[Tuple[str, Optional[str]]] = []
    for number, line in read_numbered_lines(path, "index file"):
        fields = line.split("\t")
        if len(fields) > 2 or not fields[0].strip() or (masks_required and (len(fields) < 2 or not fields[1].strip())):
            raise DataError(f"line {number} of the index file {path} is {line!r}, but {form} is expected")
        mask = fields[1] if len(fields) == 2 and fields[1].strip() else None
        pairs.append((fields[0], mask))
    return pairs


def _scan(folder: str, suffix: str) -> List[str]:
    """Names relative to `folder` of all files below it that end in `suffix` and are not hidden, sorted."""
    if not os.path.isdir(folder):
        raise DataError(f"the folder of images {folder} does not exist")
    names = []
    for directory, subfolders, files in os.walk(folder, followlinks=True):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in files:
            if name.endswith(suffix) and not name.startswith("."):
                names.append(os.path.relpath(os.path.join(directory, name), folder))
    return sorted(names)
