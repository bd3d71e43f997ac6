"""Transforms one after the other."""

from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Union

import numpy as np

from mmseg.datasets.transforms.builder import TRANSFORMS
from mmseg.errors import ConfigError

Sample = Dict[str, Any]
Transform = Callable[..., Optional[Sample]]


class Compose:
    """A pipeline: applies transforms one after the other, all drawing from the same generator.

    Args:
        transforms: configs (dicts with `type`) or callables `transform(sample, rng)`.

    Raises:
        ConfigError: an element is neither, names an unknown type, or has a wrong argument.
    """

    def __init__(self, transforms: Sequence[Union[Mapping[str, Any], Transform]]) -> None:
        if isinstance(transforms, (str, Mapping)) or not isinstance(transforms, Sequence):
            raise ConfigError(f"a pipeline must be a list of transforms, not {transforms!r}")
        self.transforms = [self._build(transform) for transform in transforms]

    @staticmethod
    def _build(transform: Union[Mapping[str, Any], Transform]) -> Transform:
        if isinstance(transform, Mapping):
            return TRANSFORMS.build(transform)
        if callable(transform):
            return transform
        raise ConfigError(f"a transform must be a dict with the key 'type' or a callable, not {transform!r}")

    def __call__(self, sample: Sample, rng: Optional[np.random.Generator] = None) -> Optional[Sample]:
        """The sample after all transforms; None as soon as one of them returns None."""
        for transform in self.transforms:
            result = transform(sample, rng)
            if result is None:
                return None
            sample = result
        return sample

    def __repr__(self) -> str:
        return f"Compose([{', '.join(type(transform).__name__ for transform in self.transforms)}])"
