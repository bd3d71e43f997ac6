"""The registry of data sets."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from mmseg.errors import ConfigError
from mmseg.registry import Registry

DATASETS = Registry("dataset")

# Arguments that may each be a list, of which the i-th entries together describe one data set.
_PLACES = ("img_dir", "ann_dir", "split")


def build_dataset(
    cfg: Union[Mapping[str, Any], Sequence[Mapping[str, Any]]], default_args: Optional[Mapping[str, Any]] = None
) -> Any:
    """Build the data set that `cfg` describes, with `default_args` for the arguments that it does not name.

    A list stands for the ConcatDataset of its entries, and so does a data set whose `img_dir`, `ann_dir` or `split` is
    a list. The `dataset` or `datasets` of a wrapper are built first, and get `default_args` in its place.

    Raises ConfigError when the type or an argument does not exist, DataError when the data are not as they should be.
    """
    if isinstance(cfg, (list, tuple)):
        return DATASETS.build(dict(type="ConcatDataset", datasets=[build_dataset(part, default_args) for part in cfg]))
    if isinstance(cfg, Mapping):
        inner: Dict[str, Any] = {}
        if isinstance(cfg.get("dataset"), (Mapping, list, tuple)):
            inner["dataset"] = build_dataset(cfg["dataset"], default_args)
        if isinstance(cfg.get("datasets"), (list, tuple)):
            inner["datasets"] = [build_dataset(part, default_args) for part in cfg["datasets"]]
        if inner:
            return DATASETS.build({**cfg, **inner})
        if any(isinstance(cfg.get(key), (list, tuple)) for key in _PLACES):
            return _build_places(cfg, default_args)
    return DATASETS.build(cfg, **(default_args or {}))


def _build_places(cfg: Mapping[str, Any], default_args: Optional[Mapping[str, Any]]) -> Any:
    """The ConcatDataset of a data set with lists of folders or splits."""
    lists = {key: list(cfg[key]) for key in _PLACES if isinstance(cfg.get(key), (list, tuple))}
    lengths = {key: len(places) for key, places in lists.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        counts = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise ConfigError(f"{cfg.get('type')}: lists of folders and splits must be equally long, but {counts} entries")
    shared = {key: value for key, value in cfg.items() if key not in lists and key != "separate_eval"}
    parts: List[Any] = [
        build_dataset({**shared, **dict(zip(lists, places))}, default_args) for places in zip(*lists.values())
    ]
    wrapper = {key: cfg[key] for key in ("separate_eval",) if key in cfg}
    return DATASETS.build(dict(type="ConcatDataset", datasets=parts, **wrapper))
