"""The candidates of infer and mining as a data set: decoded and transformed in the loader's workers, in the order of
the index."""

import copy
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np
from torch.utils.data import Dataset

from mmseg.config import Config
from mmseg.datasets import Compose
from ymir.errors import PackageError
from ymir.images.header import image_shape

# What else a worker computes from the decoded (H, W, 3) BGR image; its result travels with the sample.
Prepare = Callable[[np.ndarray], Any]

Pipeline = Sequence[Mapping[str, Any]]

# Names of the ways to prepare an image for the network.
PLAIN = "plain"  # as the package says
AUGMENTED = "augmented"  # with the views of mmsegmentation's --aug-test

_AUGMENTED_RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)


class Companion(NamedTuple):
    """What travels with a candidate beside its views."""

    prepared: Dict[int, Any]  # what was computed from the decoded image, under the keys of `prepares`
    views: Dict[str, Tuple[int, int]]  # which of the views (first, end) belong to which pipeline


class CandidateDataset(Dataset):
    """Candidates by their position in the index.

    Args:
        images: paths of the images.
        pipelines: one or more test pipelines by name, whose views stand one after the other in a sample; their first
            transform, which loads the image, must be the same.
        prepares: what else to compute in the worker for each image.
        max_pixels: images of more pixels are refused before they are decoded.

    Raises (when a sample is asked for):
        ImageError: the image cannot be read, or is too large.
    """

    def __init__(
        self,
        images: Sequence[str],
        *,
        pipelines: Mapping[str, Pipeline],
        prepares: Mapping[int, Prepare],
        max_pixels: int,
    ) -> None:
        self._images = images
        self._decode = ImageDecoder(next(iter(pipelines.values())), max_pixels=max_pixels)
        self._transforms = {name: Compose(pipeline[1:]) for name, pipeline in pipelines.items()}
        self._prepares = dict(prepares)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, position: int) -> Dict[str, Any]:
        loaded = self._decode.sample(self._images[position])
        prepared = {key: prepare(loaded["img"]) for key, prepare in self._prepares.items()}
        images: List[Any] = []
        metas: List[Any] = []
        views = {}
        for name, transform in self._transforms.items():
            sample = transform(dict(loaded))
            first = len(images)
            images += _as_list(sample["img"])
            metas += _as_list(sample["img_metas"])
            views[name] = (first, len(images))
        return {"img": images, "img_metas": metas, "extra": Companion(prepared, views)}


class ImageDecoder:
    """Images as a test pipeline loads them, once their headers have been looked at.

    Args:
        pipeline: its first transform loads the image.
        max_pixels: images of more pixels are refused before they are decoded.
    """

    def __init__(self, pipeline: Pipeline, *, max_pixels: int) -> None:
        self._load = Compose(pipeline[:1])
        self._max_pixels = max_pixels

    def __call__(self, image: str) -> np.ndarray:
        """The image, (H, W, 3) uint8, BGR. Raises ImageError where it cannot be read, or is too large."""
        # A pipeline may load in floating point, which changes no value.
        return self.sample(image)["img"].astype(np.uint8, copy=False)

    def sample(self, image: str) -> Dict[str, Any]:
        """The sample that the first transform makes of the image, under the same conditions."""
        image_shape(Path(image), max_pixels=self._max_pixels)
        return self._load({"img_info": {"filename": image}, "img_prefix": None})


def test_pipeline(cfg: Config) -> Pipeline:
    """The pipeline with which a model package wants images prepared.

    Raises:
        PackageError: the package's config has none.
    """
    for split in ("test", "val"):
        dataset = cfg.get("data", {}).get(split)
        if isinstance(dataset, dict) and dataset.get("pipeline"):
            return dataset["pipeline"]
    if not cfg.get("test_pipeline"):
        raise PackageError(f"the model config {cfg.filename} has neither data.test.pipeline nor test_pipeline")
    return cfg["test_pipeline"]


def augmented_pipeline(pipeline: Pipeline) -> Pipeline:
    """A test pipeline with the views of mmsegmentation's --aug-test: six scales, each plain and mirrored.

    Raises:
        PackageError: the pipeline has no MultiScaleFlipAug.
    """
    pipeline = copy.deepcopy(pipeline)
    found = [transform for transform in pipeline if transform.get("type") == "MultiScaleFlipAug"]
    if not found:
        raise PackageError(
            "aug_test is True, but the test pipeline of the model's config has no MultiScaleFlipAug to make the views"
        )
    for transform in found:
        transform["img_ratios"] = list(_AUGMENTED_RATIOS)
        transform["flip"] = True
    return pipeline


def _as_list(entry: Any) -> List[Any]:
    return list(entry) if isinstance(entry, (list, tuple)) else [entry]
