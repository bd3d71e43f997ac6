"""The registry of data sets."""

from typing import Any, Mapping, Optional

from mmseg.registry import Registry

DATASETS = Registry("dataset")


def build_dataset(cfg: Mapping[str, Any], default_args: Optional[Mapping[str, Any]] = None) -> Any:
    """Build the data set that `cfg` describes, with `default_args` for the arguments that it does not name.

    Raises ConfigError when the type or an argument does not exist, DataError when the data are not as they should be.
    """
    return DATASETS.build(cfg, **(default_args or {}))
