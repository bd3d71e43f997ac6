"""Samples made of several images."""

from typing import Any, Dict, Mapping, Optional, Sequence, Union

from mmseg.datasets.builder import DATASETS
from mmseg.datasets.dataset_view import DatasetView
from mmseg.datasets.segmentation import Draw, as_draw
from mmseg.datasets.transforms.arguments import require
from mmseg.datasets.transforms.builder import TRANSFORMS
from mmseg.datasets.transforms.compose import Compose
from mmseg.errors import ConfigError


@DATASETS.register_module()
class MultiImageMixDataset(DatasetView):
    """The images of a data set after a second pipeline, whose transforms may take further images in.

    A transform that does has the method `mix_indices(length, rng)`, which gives the indices of the images that it wants
    beside the sample's own. They come through the pipeline of `dataset` and are in `sample["mix_results"]` while it
    runs. What is drawn for them depends on the seed and the position of the sample alone, as for any other.

    Args:
        dataset: the data set (in a config: the config of one, or a list of them), with the first pipeline.
        pipeline: configs of the transforms after that.
        skip_type_keys: types of transforms in `pipeline` to leave out.

    Raises:
        ConfigError: an argument is none of these.
    """

    def __init__(
        self,
        dataset: Any,
        pipeline: Sequence[Mapping[str, Any]],
        skip_type_keys: Optional[Sequence[str]] = None,
    ) -> None:
        super().__init__([dataset])
        skipped = () if skip_type_keys is None else skip_type_keys
        valid = isinstance(skipped, (list, tuple)) and all(isinstance(key, str) for key in skipped)
        require(valid, self, "skip_type_keys", "None or a list of names of transforms", skip_type_keys)
        if not isinstance(pipeline, (list, tuple)) or not all(isinstance(step, Mapping) for step in pipeline):
            raise ConfigError(f"MultiImageMixDataset: pipeline must be a list of transforms, not {pipeline!r}")
        for step in pipeline:
            TRANSFORMS.get(step.get("type"))  # one that is left out must exist too
        self.pipeline = Compose([step for step in pipeline if step["type"] not in skipped])

    def __len__(self) -> int:
        return len(self.datasets[0])

    def locate(self, index: int) -> Any:
        """The data set, and the index of the sample's first image in it."""
        return self.datasets[0], index

    def __getitem__(self, item: Union[int, Draw]) -> Dict[str, Any]:
        """The sample as the second pipeline leaves it."""
        draw = as_draw(item, len(self))
        dataset = self.datasets[0]
        # Part 0 is this pipeline's own, 1 the sample's own image, from 2 on are those mixed in.
        rng = draw.part(0, draw.index).generator()
        sample, parts = dataset[draw.part(1, draw.index)], 2
        for transform in self.pipeline.transforms:
            if hasattr(transform, "mix_indices"):
                indices = transform.mix_indices(len(dataset), rng)
                sample["mix_results"] = [
                    dataset[draw.part(parts + number, index)] for number, index in enumerate(indices)
                ]
                parts += len(indices)
            sample = transform(sample, rng)
            sample.pop("mix_results", None)
        return sample
