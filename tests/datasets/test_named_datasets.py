import json
import zlib

import numpy as np
import pytest

from mmseg.datasets import DATASETS, build_dataset
from mmseg.errors import ConfigError
from tests.datasets.files import write_image

LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]
SPLIT = ("PascalVOCDataset", "PascalContextDataset", "PascalContextDataset59")

# The last number: CRC-32 of the JSON of [CLASSES, PALETTE] of mmsegmentation 0.27.0.
NAMED = [
    ("ADE20KDataset", ".jpg", ".png", 150, True, 2554193420),
    ("COCOStuffDataset", ".jpg", "_labelTrainIds.png", 171, False, 2923264251),
    ("ChaseDB1Dataset", ".png", "_1stHO.png", 2, False, 1621331465),
    ("DRIVEDataset", ".png", "_manual1.png", 2, False, 1621331465),
    ("DarkZurichDataset", "_rgb_anon.png", "_gt_labelTrainIds.png", 19, False, 2299839532),
    ("HRFDataset", ".png", ".png", 2, False, 1621331465),
    ("ISPRSDataset", ".png", ".png", 6, True, 2034814349),
    ("LoveDADataset", ".png", ".png", 7, True, 767941858),
    ("NightDrivingDataset", "_leftImg8bit.png", "_gtCoarse_labelTrainIds.png", 19, False, 2299839532),
    ("PascalContextDataset", ".jpg", ".png", 60, False, 2180228482),
    ("PascalContextDataset59", ".jpg", ".png", 59, True, 918975090),
    ("PascalVOCDataset", ".jpg", ".png", 21, False, 876191018),
    ("PotsdamDataset", ".png", ".png", 6, True, 2034814349),
    ("STAREDataset", ".png", ".ah.png", 2, False, 1621331465),
    ("iSAIDDataset", ".png", "_instance_color_RGB.png", 16, False, 1822263481),
]


def write_pair(folder, img_suffix, seg_map_suffix, mask, name="a"):
    write_image(folder / "img" / (name + img_suffix), np.zeros(mask.shape + (3,), np.uint8))
    write_image(folder / "ann" / (name + seg_map_suffix), mask)


def described(kind, folder, **arguments):
    cfg = {"type": kind, "data_root": str(folder), "img_dir": "img", "ann_dir": "ann", "pipeline": LOAD, **arguments}
    if kind in SPLIT:
        (folder / "split.txt").write_text("a\n")
        cfg.setdefault("split", "split.txt")
    return cfg


@pytest.mark.parametrize("kind, img_suffix, seg_map_suffix, count, reduced, checksum", NAMED)
def test_classes_and_files_are_those_of_mmsegmentation(
    tmp_path, kind, img_suffix, seg_map_suffix, count, reduced, checksum
):
    mask = np.array([[0, 1, count if reduced else count - 1, 255]], np.uint8)
    write_pair(tmp_path, img_suffix, seg_map_suffix, mask)
    dataset = build_dataset(described(kind, tmp_path))
    assert len(dataset) == 1 and len(dataset.CLASSES) == len(dataset.PALETTE) == count
    assert zlib.crc32(json.dumps([list(dataset.CLASSES), dataset.PALETTE]).encode()) == checksum
    expected = [[255, 0, count - 1, 255]] if reduced else mask.tolist()
    assert dataset.reduce_zero_label is reduced
    assert dataset.get_gt_seg_map(0).tolist() == expected


@pytest.mark.parametrize("kind", SPLIT)
def test_pascal_needs_a_split(tmp_path, kind):
    cfg = described(kind, tmp_path)
    del cfg["split"]
    with pytest.raises(ConfigError, match=f"{kind}: .*split"):
        build_dataset(cfg)


def test_suffixes_can_be_given(tmp_path):
    write_pair(tmp_path, ".bmp", "_mask.png", np.array([[0, 1]], np.uint8))
    dataset = build_dataset(described("DRIVEDataset", tmp_path, img_suffix=".bmp", seg_map_suffix="_mask.png"))
    assert dataset[0]["gt_semantic_seg"].tolist() == [[0, 1]]


def test_camvid_void_is_ignored(tmp_path):
    write_pair(tmp_path, ".png", ".png", np.array([[0, 10, 11, 255]], np.uint8))
    dataset = build_dataset(described("CamVidDataset", tmp_path))
    assert len(dataset.CLASSES) == len(dataset.PALETTE) == 11
    assert dict(zip(dataset.CLASSES, dataset.PALETTE))["road"] == [128, 64, 128]
    assert dataset[0]["gt_semantic_seg"].tolist() == [[0, 10, 255, 255]]
    assert dataset.get_gt_seg_map(0).tolist() == [[0, 10, 255, 255]]
    chosen = build_dataset(described("CamVidDataset", tmp_path, classes=["bicyclist", "car"]))
    assert chosen[0]["gt_semantic_seg"].tolist() == [[255, 0, 255, 255]]


def test_all_are_registered():
    names = {row[0] for row in NAMED} | {"CityscapesDataset", "CamVidDataset", "CustomDataset", "IndexDataset"}
    assert names <= set(DATASETS.module_dict)
