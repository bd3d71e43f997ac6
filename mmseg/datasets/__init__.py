"""Data sets of images and label masks, their transforms and loaders."""

from mmseg.datasets.builder import DATASETS, build_dataset
from mmseg.datasets.cityscapes import CityscapesDataset
from mmseg.datasets.custom import CustomDataset, IndexDataset
from mmseg.datasets.image_files import read_image, read_mask
from mmseg.datasets.loader import TestBatch, TestLoader, TrainLoader, build_test_loader, build_train_loader
from mmseg.datasets.palette import generate_palette
from mmseg.datasets.samplers import TrainSampler
from mmseg.datasets.segmentation import Draw, SegmentationDataset
from mmseg.datasets.transforms import TRANSFORMS, Compose

__all__ = [
    "DATASETS",
    "TRANSFORMS",
    "CityscapesDataset",
    "Compose",
    "CustomDataset",
    "Draw",
    "IndexDataset",
    "SegmentationDataset",
    "TestBatch",
    "TestLoader",
    "TrainLoader",
    "TrainSampler",
    "build_dataset",
    "build_test_loader",
    "build_train_loader",
    "generate_palette",
    "read_image",
    "read_mask",
]
