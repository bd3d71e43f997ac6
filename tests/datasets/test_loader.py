import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from mmseg.datasets import IndexDataset, build_test_loader, build_train_loader
from mmseg.errors import ConfigError, DataError, ImageError
from tests.datasets.files import NORM, write_index, write_pairs

TRAIN = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations"},
    {"type": "Resize", "img_scale": (24, 16), "ratio_range": (0.5, 2.0)},
    {"type": "RandomCrop", "crop_size": (12, 16), "cat_max_ratio": 0.75},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "PhotoMetricDistortion"},
    {"type": "Normalize", **NORM},
    {"type": "Pad", "size": (12, 16), "pad_val": 0, "seg_pad_val": 255},
    {"type": "DefaultFormatBundle"},
    {"type": "Collect", "keys": ["img", "gt_semantic_seg"]},
]
VIEW = [
    {"type": "Resize", "keep_ratio": True},
    {"type": "RandomFlip"},
    {"type": "Normalize", **NORM},
    {"type": "ImageToTensor", "keys": ["img"]},
    {"type": "Collect", "keys": ["img"]},
]
TEST = [
    {"type": "LoadImageFromFile"},
    {"type": "MultiScaleFlipAug", "img_scale": (24, 24), "flip": True, "transforms": VIEW},
]


@pytest.fixture
def dataset(tmp_path):
    names = ["a", "图 像 二", "c", "d", "e"]
    pairs = write_pairs(tmp_path, [(16, 24), (24, 16), (30, 30), (10, 40), (16, 24)], names=names)
    return IndexDataset(write_index(tmp_path / "index.tsv", pairs), TRAIN)


@pytest.fixture
def test_set(tmp_path):
    pairs = write_pairs(tmp_path, [(16, 24), (16, 24), (24, 16), (16, 24), (16, 24), (32, 48)])
    return IndexDataset(write_index(tmp_path / "index.tsv", pairs), TEST, test_mode=True)


def train(dataset, count, **arguments):
    loader = build_train_loader(dataset, **{"samples_per_gpu": 2, "workers_per_gpu": 0, "seed": 1, **arguments})
    batches = list(islice(loader, count))
    loader.close()
    return batches


def assert_same(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b):
        assert x.keys() == y.keys()
        assert torch.equal(x["img"], y["img"]) and torch.equal(x["gt_semantic_seg"], y["gt_semantic_seg"])
        assert [meta["filename"] for meta in x["img_metas"]] == [meta["filename"] for meta in y["img_metas"]]


def test_train_batches(dataset):
    for batch in train(dataset, 4):
        assert batch["img"].shape == (2, 3, 12, 16) and batch["img"].dtype == torch.float32
        assert batch["gt_semantic_seg"].shape == (2, 1, 12, 16) and batch["gt_semantic_seg"].dtype == torch.int64
        assert len(batch["img_metas"]) == 2 and batch["img_metas"][0]["pad_shape"] == (12, 16, 3)
        assert set(batch["gt_semantic_seg"].unique().tolist()) <= {0, 1, 2, 3, 255}


def test_samples_do_not_depend_on_the_number_of_workers(dataset):
    alone = train(dataset, 8)
    for workers in (1, 3):
        assert_same(train(dataset, 8, workers_per_gpu=workers), alone)


def test_samples_depend_on_the_seed(dataset):
    assert not torch.equal(train(dataset, 1)[0]["img"], train(dataset, 1, seed=2)[0]["img"])


def test_resumed_run_sees_the_samples_of_an_uninterrupted_one(dataset):
    assert_same(train(dataset, 4, start_iteration=5, workers_per_gpu=1), train(dataset, 9)[5:])


def test_two_ranks_see_the_samples_of_one_with_twice_the_batch(dataset):
    whole = train(dataset, 4, samples_per_gpu=4)
    ranks = [train(dataset, 4, rank=rank, world_size=2, workers_per_gpu=rank) for rank in range(2)]
    joined = [
        {
            "img": torch.cat([x["img"], y["img"]]),
            "gt_semantic_seg": torch.cat([x["gt_semantic_seg"], y["gt_semantic_seg"]]),
            "img_metas": x["img_metas"] + y["img_metas"],
        }
        for x, y in zip(*ranks)
    ]
    assert_same(joined, whole)


def test_loading_leaves_the_global_generators_alone(dataset):
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    train(dataset, 2)
    train(dataset, 2, workers_per_gpu=1)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("workers", [0, 2])
def test_error_of_a_sample_arrives_as_it_was_raised(dataset, workers):
    path = dataset.images[1]
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError) as caught:
        train(dataset, 5, workers_per_gpu=workers)
    assert type(caught.value) is ImageError
    assert str(caught.value) == f"cannot decode image {path}: it is damaged, truncated or of an unknown format"


@pytest.mark.parametrize("workers", [0, 1])
def test_images_of_different_sizes_in_a_batch(dataset, tmp_path, workers):
    pipeline = [step for step in TRAIN if step["type"] not in ("RandomCrop", "Pad")]
    sizes = IndexDataset(str(tmp_path / "index.tsv"), pipeline)
    with pytest.raises(DataError, match="use RandomCrop and Pad") as caught:
        train(sizes, 2, workers_per_gpu=workers)
    assert ".png (3, " in str(caught.value)


def test_test_batches_group_consecutive_samples_of_one_shape(test_set):
    loader = build_test_loader(test_set, samples_per_gpu=4, workers_per_gpu=0)
    assert len(loader) == 2
    first, second = list(loader)
    assert [batch.indices for batch in first] == [[0, 1], [2], [3]]
    assert [batch.indices for batch in second] == [[4, 5]]
    views = first[0].images
    assert [tuple(view.shape) for view in views] == [(2, 3, 16, 24)] * 2
    assert torch.equal(views[1], views[0].flip(3))
    assert [[meta["flip"] for meta in metas] for metas in first[0].metas] == [[False, False], [True, True]]
    assert first[1].metas[0][0]["filename"] == test_set.images[2]
    assert second[0].metas[1][1]["ori_shape"] == (32, 48, 3)
    assert first[0].extra == [None, None]
    for batch in first + second:
        for row, index in enumerate(batch.indices):
            expected = test_set[index]["img"]
            assert all(torch.equal(view[row], image) for view, image in zip(batch.images, expected))


def test_test_loader_with_workers_can_be_iterated_again(test_set):
    alone = list(build_test_loader(test_set, samples_per_gpu=2, workers_per_gpu=0))
    loader = build_test_loader(test_set, samples_per_gpu=2, workers_per_gpu=2)
    for _ in range(2):
        for item, expected in zip(loader, alone):
            assert [batch.indices for batch in item] == [batch.indices for batch in expected]
            for a, b in zip(item, expected):
                assert all(torch.equal(x, y) for x, y in zip(a.images, b.images))


@pytest.mark.parametrize("workers", [0, 2])
def test_test_loader_that_was_left_early_or_closed_starts_from_the_beginning(test_set, workers):
    loader = build_test_loader(test_set, samples_per_gpu=1, workers_per_gpu=workers)
    for item in loader:
        assert item[0].indices == [0]
        break
    assert [batch.indices for item in loader for batch in item] == [[i] for i in range(6)]
    loader.close()
    assert [batch.indices for item in loader for batch in item] == [[i] for i in range(6)]


def test_closed_train_loader_is_at_its_end(dataset):
    loader = build_train_loader(dataset, samples_per_gpu=2, workers_per_gpu=1, seed=1)
    next(loader)
    loader.close()
    assert list(loader) == []


def test_test_loader_of_chosen_indices(test_set):
    loader = build_test_loader(test_set, samples_per_gpu=2, workers_per_gpu=1, indices=[5, 0, 2])
    assert [[batch.indices for batch in item] for item in loader] == [[[5, 0]], [[2]]]
    assert list(build_test_loader(test_set, samples_per_gpu=2, workers_per_gpu=1, indices=[])) == []


class WithExtra:
    """What a caller may put around a data set to compute something of its own in the workers."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        return dict(self.dataset[index], extra=np.full((index + 1,), index))


def test_extra_travels_along(test_set):
    items = list(build_test_loader(WithExtra(test_set), samples_per_gpu=2, workers_per_gpu=1))
    extras = [extra for item in items for batch in item for extra in batch.extra]
    assert [extra.tolist() for extra in extras] == [[index] * (index + 1) for index in range(6)]


def test_single_view_without_multi_scale(test_set, tmp_path):
    plain = [{"type": "LoadImageFromFile"}, {"type": "DefaultFormatBundle"}, {"type": "Collect", "keys": ["img"]}]
    dataset = IndexDataset(str(tmp_path / "index.tsv"), plain, test_mode=True)
    ((batch,),) = build_test_loader(dataset, samples_per_gpu=2, workers_per_gpu=0, indices=[0, 1])
    assert [tuple(view.shape) for view in batch.images] == [(2, 3, 16, 24)]
    assert len(batch.metas) == 1 and len(batch.metas[0]) == 2


@pytest.mark.parametrize("workers", [0, 1])
def test_error_in_the_test_loader(test_set, workers):
    os.rename(test_set.images[3], test_set.images[3] + ".away")
    loader = build_test_loader(test_set, samples_per_gpu=2, workers_per_gpu=workers)
    with pytest.raises(ImageError, match=r"cannot read image .*003\.png: No such file"):
        list(loader)
    os.rename(test_set.images[3] + ".away", test_set.images[3])
    assert len(list(loader)) == 3
    loader.close()  # pytest keeps the frames of the error, and so the loader, in a cycle


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_pinned_where_there_is_a_gpu(dataset, test_set, workers):
    (batch,) = train(dataset, 1, workers_per_gpu=workers)
    assert batch["img"].is_pinned() and batch["gt_semantic_seg"].is_pinned()
    assert batch["img_metas"][0]["pad_shape"] == (12, 16, 3)
    item = next(iter(build_test_loader(test_set, samples_per_gpu=2, workers_per_gpu=workers)))
    assert all(view.is_pinned() for view in item[0].images)
    assert item[0].indices == [0, 1] and item[0].metas[0][0]["ori_shape"] == (16, 24, 3)


def test_bad_arguments(dataset, tmp_path):
    with pytest.raises(ConfigError, match="workers_per_gpu must be at least 0, not -1"):
        build_train_loader(dataset, samples_per_gpu=1, workers_per_gpu=-1, seed=0)
    with pytest.raises(ConfigError, match="samples_per_gpu must be at least 1, not 0"):
        build_test_loader(dataset, samples_per_gpu=0, workers_per_gpu=0)
    empty = IndexDataset(write_index(tmp_path / "empty.tsv", []), TRAIN)
    with pytest.raises(DataError, match="training set is empty"):
        build_train_loader(empty, samples_per_gpu=1, workers_per_gpu=0, seed=0)


SCRIPT = """
import sys
import cv2, numpy as np, torch
from mmseg.datasets import IndexDataset, build_test_loader, build_train_loader
from tests.datasets.test_loader import TEST, TRAIN

# Start the thread pools of OpenCV and of PyTorch, whose threads no forked worker has.
cv2.setNumThreads(4)
torch.set_num_threads(16)
image = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), dtype=np.uint8)
cv2.resize(cv2.GaussianBlur(image, (9, 9), 3), (3000, 3000))
torch.nn.functional.conv2d(torch.rand(2, 8, 256, 256), torch.rand(8, 8, 3, 3))
train = build_train_loader(IndexDataset(sys.argv[1], TRAIN), samples_per_gpu=2, workers_per_gpu=2, seed=0)
test = build_test_loader(IndexDataset(sys.argv[1], TEST, test_mode=True), samples_per_gpu=2, workers_per_gpu=2)
for _ in range(3):
    next(train)
    sizes = [len(item) for item in test]
    torch.nn.functional.conv2d(torch.rand(2, 8, 256, 256), torch.rand(8, 8, 3, 3))
assert torch.get_num_threads() == 16
print("through", sizes)
"""


def test_workers_run_after_the_parent_has_used_threads(dataset, tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "index.tsv")],
        cwd=str(Path(__file__).parents[2]),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        text=True,
    )
    assert result.returncode == 0, result.stdout
    assert "through [2, 2, 1]" in result.stdout
