"""The candidates of infer and mining as a data set: decoded and transformed in the loader's workers, in the order of
the index."""

from typing import Any, Callable, Dict, Mapping, Sequence

import numpy as np
from torch.utils.data import Dataset

from mmseg.config import Config
from mmseg.datasets import Compose
from ymir.errors import PackageError

# What else a worker computes from the decoded (H, W, 3) BGR image; its result travels with the sample.
Prepare = Callable[[np.ndarray], Any]


class CandidateDataset(Dataset):
    """Candidates by their position in the index.

    Args:
        images: paths of the images.
        pipeline: the model's test pipeline; its first transform loads the image.
        prepares: what else to compute in the worker for each image; the sample's "extra" holds the results under the
            same keys.
    """

    def __init__(
        self, images: Sequence[str], pipeline: Sequence[Mapping[str, Any]], prepares: Mapping[int, Prepare]
    ) -> None:
        self._images = images
        self._load = Compose(pipeline[:1])
        self._transform = Compose(pipeline[1:])
        self._prepares = dict(prepares)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, position: int) -> Dict[str, Any]:
        sample = self._load({"img_info": {"filename": self._images[position]}, "img_prefix": None})
        extra = {key: prepare(sample["img"]) for key, prepare in self._prepares.items()}
        return {**self._transform(sample), "extra": extra}


def test_pipeline(cfg: Config) -> Sequence[Mapping[str, Any]]:
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
