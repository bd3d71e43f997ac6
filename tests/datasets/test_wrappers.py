import os
from itertools import islice

import numpy as np
import pytest
import torch

from mmseg.datasets import (
    ClassBalancedDataset,
    ConcatDataset,
    Draw,
    MultiImageMixDataset,
    RepeatDataset,
    build_dataset,
    build_train_loader,
)
from mmseg.datasets.class_balanced_dataset import repeat_factors
from mmseg.errors import ConfigError, DataError
from tests.datasets.files import NORM, write_image, write_index, write_pairs

LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"}]
CROP = {"type": "RandomCrop", "crop_size": (8, 8)}
FORMAT = [{"type": "Normalize", **NORM}, {"type": "DefaultFormatBundle"}]
COLLECT = {"type": "Collect", "keys": ["img", "gt_semantic_seg"]}
CLASSES = ["a", "b", "c", "d"]


def custom(folder, **arguments):
    base = {"type": "CustomDataset", "img_dir": "images", "ann_dir": "masks", "img_suffix": ".png", "classes": CLASSES}
    return {**base, "data_root": str(folder), "pipeline": LOAD, **arguments}


def names(dataset):
    return [os.path.basename(path) for path in dataset.images]


@pytest.fixture
def two(tmp_path):
    """The configs of two data sets, of three and of two images."""
    for name, size in (("one", (10, 12)), ("two", (9, 14))):
        write_pairs(tmp_path / name, [size] * (3 if name == "one" else 2), names=[f"{name}{i}" for i in range(3)])
    return custom(tmp_path / "one"), custom(tmp_path / "two")


def same(a, b):
    return np.array_equal(a["img"], b["img"]) and np.array_equal(a["gt_semantic_seg"], b["gt_semantic_seg"])


def test_repeat(two):
    dataset = build_dataset({"type": "RepeatDataset", "times": 3, "dataset": dict(two[0], pipeline=[*LOAD, CROP])})
    assert isinstance(dataset, RepeatDataset) and len(dataset) == 9
    assert names(dataset) == ["one0.png", "one1.png", "one2.png"] * 3
    assert tuple(CLASSES) == dataset.CLASSES and len(dataset.PALETTE) == 4 and dataset.ignore_index == 255
    inner = build_dataset(dict(two[0], pipeline=[*LOAD, CROP]))
    assert same(dataset[Draw(5, 77, 7)], inner[Draw(5, 77, 1)])
    # At another position it is another crop.
    assert not all(same(dataset[Draw(5, 77, 7)], dataset[Draw(5, position, 7)]) for position in range(78, 84))
    assert np.array_equal(dataset.get_gt_seg_map(5), inner.get_gt_seg_map(2))
    assert os.path.basename(dataset.masks[4]) == "one1.png"
    with pytest.raises(IndexError):
        dataset[9]


def test_concat(two):
    cfg = {"type": "ConcatDataset", "datasets": list(two), "separate_eval": False}
    for dataset in (build_dataset(cfg), build_dataset(list(two)), build_dataset(two)):
        assert isinstance(dataset, ConcatDataset) and len(dataset) == 5
        assert names(dataset) == ["one0.png", "one1.png", "one2.png", "two0.png", "two1.png"]
        second = build_dataset(two[1])
        assert same(dataset[Draw(1, 2, 4)], second[Draw(1, 2, 1)])
        assert np.array_equal(dataset.get_gt_seg_map(3), second.get_gt_seg_map(0))
        assert tuple(CLASSES) == dataset.CLASSES


def test_an_empty_part_of_a_concatenation(tmp_path, two):
    index = write_index(tmp_path / "none.tsv", [])
    empty = {"type": "IndexDataset", "index_file": index, "pipeline": LOAD, "classes": CLASSES}
    dataset = build_dataset([empty, two[0], empty, two[1], empty])
    assert names(dataset) == ["one0.png", "one1.png", "one2.png", "two0.png", "two1.png"]


def test_lists_of_folders_and_splits(tmp_path, two):
    folders = dict(two[0], data_root=str(tmp_path), img_dir=["one/images", "two/images"])
    dataset = build_dataset(dict(folders, ann_dir=["one/masks", "two/masks"], separate_eval=False))
    assert isinstance(dataset, ConcatDataset) and len(dataset) == 5
    assert dataset[4]["gt_semantic_seg"].shape == (9, 14)

    (tmp_path / "one" / "train.txt").write_text("one2\n")
    (tmp_path / "one" / "more.txt").write_text("one0\none1\n")
    splits = dict(two[0], split=["train.txt", "more.txt"])
    assert names(build_dataset(splits)) == ["one2.png", "one0.png", "one1.png"]
    # As Pascal VOC with its further masks: the folder of masks goes with the split.
    dataset = build_dataset(dict(splits, ann_dir=["masks", "masks_aug"]))
    assert [os.path.basename(os.path.dirname(path)) for path in dataset.masks] == ["masks", "masks_aug", "masks_aug"]
    test_set = build_dataset(dict(folders, ann_dir=None, pipeline=LOAD[:1]), {"test_mode": True})
    assert len(test_set) == 5 and test_set.masks == [None] * 5
    repeated = build_dataset({"type": "RepeatDataset", "times": 2, "dataset": splits})
    assert names(repeated) == ["one2.png", "one0.png", "one1.png"] * 2


def test_wrong_lists(two):
    with pytest.raises(ConfigError, match="CustomDataset: lists .* img_dir has 2, split has 3 entries"):
        build_dataset(dict(two[0], img_dir=["a", "b"], split=["x", "y", "z"]))
    with pytest.raises(ConfigError, match="at least one data set"):
        build_dataset([])
    with pytest.raises(ConfigError, match="equally long"):
        build_dataset(dict(two[0], img_dir=[]))


def test_default_arguments_reach_the_data_sets_within(two):
    bare = [dict(part, pipeline=LOAD[:1]) for part in two]
    for cfg in (bare, {"type": "RepeatDataset", "times": 2, "dataset": {"type": "ConcatDataset", "datasets": bare}}):
        dataset = build_dataset(cfg, {"test_mode": True})
        assert "ann_info" not in dataset[4] and dataset.get_gt_seg_map(4).shape == (9, 14)


@pytest.mark.parametrize(
    "cfg, words",
    [
        ({"type": "RepeatDataset", "times": 0}, "times must be a positive integer"),
        ({"type": "RepeatDataset", "times": 2, "count": 1}, "RepeatDataset: .*count"),
        ({"type": "ClassBalancedDataset", "oversample_thr": 2}, "oversample_thr must be a number from 0 to 1"),
        ({"type": "ClassBalancedDataset", "oversample_thr": 0.1, "num_threads": 0}, "num_threads"),
        ({"type": "MultiImageMixDataset", "pipeline": {}}, "pipeline must be a list"),
        ({"type": "MultiImageMixDataset", "pipeline": [], "skip_type_keys": "Pad"}, "skip_type_keys"),
        ({"type": "MultiImageMixDataset", "pipeline": [{"type": "Mosaic"}]}, "no transform of type 'Mosaic'"),
    ],
)
def test_wrong_arguments(two, cfg, words):
    with pytest.raises(ConfigError, match=words):
        build_dataset(dict(cfg, dataset=two[0]))


def test_a_wrapper_needs_a_data_set():
    with pytest.raises(ConfigError, match="RepeatDataset: a data set is expected, not 3"):
        build_dataset({"type": "RepeatDataset", "times": 2, "dataset": 3})


def test_data_sets_of_different_classes_are_not_joined(two):
    with pytest.raises(ConfigError, match=r"differ in CLASSES: \('a', .*\) and \('x',"):
        build_dataset([two[0], dict(two[1], classes=["x", "b", "c", "d"])])
    with pytest.raises(ConfigError, match="differ in ignore_index: 255 and 254"):
        build_dataset([two[0], dict(two[1], ignore_index=254)])


def test_repeat_factors():
    # Class 0 is everywhere, 1 in two of eight images, 2 in one: sqrt(0.5 / 0.25), sqrt(0.5 / 0.125).
    present = [frozenset(c) for c in ([0], [0, 1], [0, 1, 2], [0], [0], [0], [0], [0])]
    assert repeat_factors(present, 0.5) == pytest.approx([1, 2**0.5, 2, 1, 1, 1, 1, 1])
    assert repeat_factors(present, 0.0) == [1] * 8
    assert repeat_factors([frozenset(), frozenset([3])], 1.0) == pytest.approx([1, 2**0.5])


def test_class_balancing(tmp_path):
    for i, labels in enumerate(
        ([0, 0, 255], [0, 1, 1], [0, 2, 255], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0] * 3, [0] * 3)
    ):
        write_image(tmp_path / "images" / f"{i}.png", np.zeros((1, 3, 3), np.uint8))
        write_image(tmp_path / "masks" / f"{i}.png", np.array([labels], np.uint8))
    cfg = {"type": "ClassBalancedDataset", "oversample_thr": 0.5, "dataset": custom(tmp_path)}
    dataset = build_dataset(cfg)
    assert isinstance(dataset, ClassBalancedDataset)
    assert dataset.repeats == [1, 2, 2, 1, 1, 1, 1, 1]  # an ignored pixel is no rare class
    assert [int(name[0]) for name in names(dataset)] == [0, 1, 1, 2, 2, 3, 4, 5, 6, 7]
    assert dataset[3]["gt_semantic_seg"].tolist() == [[0, 2, 255]]
    reduced = build_dataset(dict(cfg, dataset=custom(tmp_path, reduce_zero_label=True)))
    assert reduced.repeats == [1, 2, 2, 1, 1, 1, 1, 1]
    everything = build_dataset(dict(cfg, oversample_thr=1.0))
    assert everything.repeats == [1, 3, 3, 1, 1, 1, 1, 1]
    # Balancing sees what the data set within has become.
    doubled = build_dataset(dict(cfg, dataset={"type": "RepeatDataset", "times": 2, "dataset": custom(tmp_path)}))
    assert doubled.repeats == dataset.repeats * 2
    (tmp_path / "masks" / "5.png").unlink()
    with pytest.raises(DataError, match=r"5\.png"):
        build_dataset(cfg)


def mixed(inner, *, crop=(20, 24), **arguments):
    outer = [
        {"type": "RandomMosaic", "prob": 0.7, "img_scale": (16, 20)},
        {"type": "Resize", "img_scale": (40, 32), "ratio_range": (0.5, 1.5)},
        {"type": "RandomCrop", "crop_size": crop},
        {"type": "Pad", "size": crop},
        *FORMAT,
        COLLECT,
    ]
    return {"type": "MultiImageMixDataset", "dataset": inner, "pipeline": outer, **arguments}


def test_mosaics_are_made_of_images_of_the_data_set(tmp_path):
    for i in range(6):
        write_image(tmp_path / "images" / f"{i}.png", np.full((8, 8, 3), 40 * i + 10, np.uint8))
        write_image(tmp_path / "masks" / f"{i}.png", np.full((8, 8), i % 4, np.uint8))
    outer = [{"type": "RandomMosaic", "prob": 1.0, "img_scale": (8, 8), "center_ratio_range": (1, 1)}]
    dataset = build_dataset({"type": "MultiImageMixDataset", "dataset": custom(tmp_path), "pipeline": outer})
    assert isinstance(dataset, MultiImageMixDataset) and len(dataset) == 6 and tuple(CLASSES) == dataset.CLASSES
    partners = set()
    for position in range(12):
        sample = dataset[Draw(0, position, 2)]
        shades = sample["img"][::8, ::8, 0]
        assert shades.shape == (2, 2) and shades[0, 0] == 90  # the sample's own image is left above
        assert np.array_equal(sample["gt_semantic_seg"][::8, ::8], (shades // 40) % 4)
        assert "mix_results" not in sample
        partners.add(tuple(shades.ravel()[1:]))
    assert len(partners) > 6
    assert same(dataset[Draw(0, 3, 2)], dataset[Draw(0, 3, 2)])


def test_each_image_of_a_mosaic_has_random_numbers_of_its_own(tmp_path):
    rng = np.random.default_rng(0)
    write_image(tmp_path / "images" / "0.png", rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    write_image(tmp_path / "masks" / "0.png", np.zeros((40, 40), np.uint8))
    outer = [{"type": "RandomMosaic", "prob": 1.0, "img_scale": (8, 8), "center_ratio_range": (1, 1)}]
    inner = custom(tmp_path, pipeline=[*LOAD, CROP])
    dataset = build_dataset({"type": "MultiImageMixDataset", "dataset": inner, "pipeline": outer})
    image = dataset[Draw(0, 0, 0)]["img"]
    crops = [image[:8, :8], image[:8, 8:], image[8:, :8], image[8:, 8:]]  # four of the one image there is
    assert len({crop.tobytes() for crop in crops}) == 4


def test_transforms_can_be_left_out(two):
    cfg = mixed(two[0], skip_type_keys=["RandomMosaic", "Resize", "RandomCrop", "Pad", "Normalize"])
    plain = build_dataset(two[0])[1]
    sample = build_dataset(cfg)[1]
    assert torch.equal(sample["img"], torch.from_numpy(plain["img"].transpose(2, 0, 1).astype(np.float32)))


def test_parts_of_a_draw_have_generators_of_their_own():
    draw = Draw(3, 5, 1)
    parts = [draw, draw.part(0, 1), draw.part(1, 1), draw.part(2, 0), draw.part(0, 1).part(0, 1), Draw(3, 6, 1)]
    assert len({part.generator().random() for part in parts}) == len(parts)
    assert draw.part(4, 9).generator().random() == draw.part(4, 2).generator().random()
    assert draw.generator().random() == np.random.default_rng([3, 5]).random()
    assert draw.part(4, 9) == Draw(3, 5, 9, (5,))


def stacked(two):
    """All wrappers around two data sets."""
    return mixed(
        {
            "type": "RepeatDataset",
            "times": 2,
            "dataset": {
                "type": "ClassBalancedDataset",
                "oversample_thr": 1.0,
                "dataset": [dict(part, pipeline=[*LOAD, CROP]) for part in two],
            },
        }
    )


def batches(dataset, count, **arguments):
    arguments = {"samples_per_gpu": 2, "workers_per_gpu": 0, "seed": 4, **arguments}
    loader = build_train_loader(dataset, **arguments)
    taken = [(batch["img"], batch["gt_semantic_seg"]) for batch in islice(loader, count)]
    loader.close()
    return taken


def equal(a, b):
    return len(a) == len(b) and all(torch.equal(x, y) for one, other in zip(a, b) for x, y in zip(one, other))


def test_samples_depend_on_seed_and_position_alone(two):
    dataset = build_dataset(stacked(two))
    alone = batches(dataset, 6)
    assert not equal(alone[:1], alone[1:2])
    assert equal(batches(dataset, 6, workers_per_gpu=2), alone)
    assert equal(batches(build_dataset(stacked(two)), 3, start_iteration=3), alone[3:])
    shares = [batches(dataset, 6, samples_per_gpu=1, rank=rank, world_size=2) for rank in (0, 1)]
    joined = [tuple(torch.cat(pair) for pair in zip(first, second)) for first, second in zip(*shares)]
    assert equal(joined, alone)
