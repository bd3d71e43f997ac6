"""Transforms of samples, with the names and arguments of mmsegmentation 0.x.

A transform is called as `transform(sample, rng=None)`: `sample` is a dict that it changes and returns, `rng` the numpy
Generator that random ones draw from. Arrays in the sample are never written into, since several views of an image may
share them.
"""

from mmseg.datasets.transforms.builder import TRANSFORMS
from mmseg.datasets.transforms.compose import Compose
from mmseg.datasets.transforms.formatting import (
    Collect,
    DefaultFormatBundle,
    ImageToTensor,
    ToDataContainer,
    ToTensor,
    Transpose,
)
from mmseg.datasets.transforms.geometric import Pad, RandomCrop, RandomCutOut, RandomFlip, RandomRotate
from mmseg.datasets.transforms.loading import LoadAnnotations, LoadImageFromFile
from mmseg.datasets.transforms.multi_scale_flip_aug import MultiScaleFlipAug
from mmseg.datasets.transforms.photometric import (
    CLAHE,
    AdjustGamma,
    Normalize,
    PhotoMetricDistortion,
    Rerange,
    RGB2Gray,
)
from mmseg.datasets.transforms.random_mosaic import RandomMosaic
from mmseg.datasets.transforms.resize import Resize, ResizeToMultiple, SegRescale

__all__ = [
    "CLAHE",
    "TRANSFORMS",
    "AdjustGamma",
    "Collect",
    "Compose",
    "DefaultFormatBundle",
    "ImageToTensor",
    "LoadAnnotations",
    "LoadImageFromFile",
    "MultiScaleFlipAug",
    "Normalize",
    "Pad",
    "PhotoMetricDistortion",
    "RGB2Gray",
    "RandomCrop",
    "RandomCutOut",
    "RandomFlip",
    "RandomMosaic",
    "RandomRotate",
    "Rerange",
    "Resize",
    "ResizeToMultiple",
    "SegRescale",
    "ToDataContainer",
    "ToTensor",
    "Transpose",
]
