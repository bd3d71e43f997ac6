"""Data sets of images and label masks, their transforms and loaders."""

from mmseg.datasets.ade20k import ADE20KDataset
from mmseg.datasets.builder import DATASETS, build_dataset
from mmseg.datasets.camvid import CamVidDataset
from mmseg.datasets.cityscapes import CityscapesDataset, DarkZurichDataset, NightDrivingDataset
from mmseg.datasets.class_balanced_dataset import ClassBalancedDataset
from mmseg.datasets.coco_stuff import COCOStuffDataset
from mmseg.datasets.concat_dataset import ConcatDataset
from mmseg.datasets.custom import CustomDataset, IndexDataset
from mmseg.datasets.image_files import read_image, read_mask
from mmseg.datasets.isaid import iSAIDDataset
from mmseg.datasets.isprs import ISPRSDataset, PotsdamDataset
from mmseg.datasets.loader import (
    FailedSample,
    TestBatch,
    TestLoader,
    TrainLoader,
    build_test_loader,
    build_train_loader,
)
from mmseg.datasets.loveda import LoveDADataset
from mmseg.datasets.multi_image_mix_dataset import MultiImageMixDataset
from mmseg.datasets.palette import generate_palette
from mmseg.datasets.pascal_context import PascalContextDataset, PascalContextDataset59
from mmseg.datasets.pascal_voc import PascalVOCDataset
from mmseg.datasets.repeat_dataset import RepeatDataset
from mmseg.datasets.retinal_vessels import ChaseDB1Dataset, DRIVEDataset, HRFDataset, STAREDataset
from mmseg.datasets.samplers import TrainSampler
from mmseg.datasets.segmentation import Draw, SegmentationDataset
from mmseg.datasets.transforms import TRANSFORMS, Compose

__all__ = [
    "ADE20KDataset",
    "CamVidDataset",
    "ClassBalancedDataset",
    "COCOStuffDataset",
    "ConcatDataset",
    "iSAIDDataset",
    "ISPRSDataset",
    "PotsdamDataset",
    "LoveDADataset",
    "MultiImageMixDataset",
    "PascalContextDataset",
    "PascalContextDataset59",
    "PascalVOCDataset",
    "RepeatDataset",
    "ChaseDB1Dataset",
    "DRIVEDataset",
    "HRFDataset",
    "STAREDataset",
    "DarkZurichDataset",
    "NightDrivingDataset",
    "DATASETS",
    "TRANSFORMS",
    "CityscapesDataset",
    "Compose",
    "CustomDataset",
    "Draw",
    "IndexDataset",
    "SegmentationDataset",
    "FailedSample",
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
