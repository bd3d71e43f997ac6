"""A trained model on a data set with labels, image by image."""

from typing import Any, Dict, Iterator, Mapping, Union

import torch

from mmseg.config import Config
from mmseg.datasets import SegmentationDataset, build_dataset
from mmseg.engine.evaluator import LabelledPrediction, build_evaluation_loader, predict_labelled
from mmseg.errors import ConfigError
from mmseg.models import EncoderDecoder

# The scales at which mmsegmentation tests "multi-scale and flip".
MULTI_SCALE_RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)


def build_test_set(cfg: Config, split: str = "test") -> SegmentationDataset:
    """The data set `data.SPLIT` of a config, in test mode.

    Raises ConfigError where the config has none, and what building it raises.
    """
    data = cfg.get("data")
    if not isinstance(data, Mapping) or not data.get(split):
        raise ConfigError(f"{cfg.filename or 'the config'} has no data.{split} to test on")
    dataset = build_dataset(data[split], {"test_mode": True})
    if dataset.CLASSES is None:
        raise ConfigError(f"data.{split} has no classes: name them in data.{split}.classes")
    return dataset


def add_test_time_augmentation(cfg: Config, split: str = "test") -> None:
    """Make the pipeline of `data.SPLIT` test at six scales, plain and mirrored, as published "ms+flip" results do.

    Raises ConfigError where its pipeline has no MultiScaleFlipAug.
    """
    part = (cfg.get("data") or {}).get(split)
    options: Dict[str, Any] = {}
    for place, entry in _parts(part):
        for number, transform in enumerate(entry.get("pipeline") or []):
            if isinstance(transform, Mapping) and transform.get("type") == "MultiScaleFlipAug":
                key = f"data.{split}{place}.pipeline.{number}"
                options[f"{key}.img_ratios"] = list(MULTI_SCALE_RATIOS)
                options[f"{key}.flip"] = True
    if not options:
        raise ConfigError(f"data.{split} of {cfg.filename or 'the config'} has no MultiScaleFlipAug in its pipeline")
    cfg.merge_from_dict(options)


def _parts(part: Any) -> Iterator[Any]:
    """The data sets of a split with their places in it: one, or several in a list, and what they wrap."""
    entries = [("", part)] if isinstance(part, Mapping) else [(f".{i}", entry) for i, entry in enumerate(part or [])]
    for place, entry in entries:
        yield place, entry
        for key in ("dataset", "datasets"):
            if isinstance(entry, Mapping) and entry.get(key):
                yield from ((f"{place}.{key}{inner}", wrapped) for inner, wrapped in _parts(entry[key]))


def predict_dataset(
    model: EncoderDecoder,
    dataset: SegmentationDataset,
    *,
    device: Union[str, torch.device] = "cpu",
    samples_per_gpu: int = 1,
    workers_per_gpu: int = 0,
) -> Iterator[LabelledPrediction]:
    """Predict every image of a data set at its own size, in order.

    Args:
        model: in eval mode, on `device`.
        dataset: of `build_test_set`.

    Raises:
        DataError: a file cannot be read, or the size of a label is not that of its image; it names the files.
    """
    loader = build_evaluation_loader(dataset, samples_per_gpu=samples_per_gpu, workers_per_gpu=workers_per_gpu)
    try:
        yield from predict_labelled(model, loader, dataset, device)
    finally:
        loader.close()
