import numpy as np
import pytest
import torch

from mmseg.datasets.transforms import MultiScaleFlipAug
from mmseg.errors import ConfigError
from tests.datasets.files import NORM, random_image

VIEW = [
    {"type": "Resize", "keep_ratio": True},
    {"type": "RandomFlip"},
    {"type": "Normalize", **NORM},
    {"type": "ImageToTensor", "keys": ["img"]},
    {"type": "Collect", "keys": ["img"]},
]


def views_of(height=20, width=30, **arguments):
    sample = {"img": random_image(height, width), "filename": "a.png", "ori_shape": (height, width, 3)}
    return MultiScaleFlipAug(VIEW, **arguments)(sample)


def test_one_view():
    result = views_of(img_scale=(60, 40))
    assert [tuple(image.shape) for image in result["img"]] == [(3, 40, 60)]
    (meta,) = result["img_metas"]
    assert meta["flip"] is False and meta["ori_shape"] == (20, 30, 3) and meta["img_shape"] == (40, 60, 3)
    assert meta["filename"] == "a.png"


def test_order_is_scale_then_flip():
    result = views_of(img_scale=(60, 40), img_ratios=[0.5, 1.0], flip=True)
    assert [tuple(image.shape[1:]) for image in result["img"]] == [(20, 30), (20, 30), (40, 60), (40, 60)]
    assert [meta["flip"] for meta in result["img_metas"]] == [False, True, False, True]
    assert torch.equal(result["img"][1], result["img"][0].flip(2))
    assert torch.equal(result["img"][3], result["img"][2].flip(2))


def test_directions_come_within_flip():
    metas = views_of(img_scale=(60, 40), flip=True, flip_direction=["horizontal", "vertical"])["img_metas"]
    assert [(meta["flip"], meta["flip_direction"]) for meta in metas] == [
        (False, "horizontal"),
        (False, "vertical"),
        (True, "horizontal"),
        (True, "vertical"),
    ]


def test_ratios_of_the_own_size_and_lists_of_scales():
    assert [i.shape[1:] for i in views_of(img_scale=None, img_ratios=[1.0, 2.0])["img"]] == [(20, 30), (40, 60)]
    assert [i.shape[1:] for i in views_of(img_scale=None, img_ratios=0.5)["img"]] == [(10, 15)]
    assert [i.shape[1:] for i in views_of(img_scale=[(30, 20), (15, 10)])["img"]] == [(20, 30), (10, 15)]


def test_views_do_not_change_each_other():
    sample = {"img": random_image(20, 30)}
    before = sample["img"].copy()
    transforms = [{"type": "CLAHE"}, {"type": "RandomCutOut", "prob": 1, "n_holes": 1, "cutout_shape": (9, 9)}]
    collect = [{"type": "Collect", "keys": ["img"]}]
    MultiScaleFlipAug(transforms + collect, img_scale=(30, 20), flip=True)(sample, np.random.default_rng(0))
    np.testing.assert_array_equal(sample["img"], before)


@pytest.mark.parametrize(
    "arguments, argument",
    [
        ({"img_scale": None}, "img_ratios"),
        ({"img_scale": (30, 20), "img_ratios": [0]}, "img_ratios"),
        ({"img_scale": [(30, 20), (15, 10)], "img_ratios": [1.0]}, "img_scale"),
        ({"img_scale": 30}, "img_scale"),
        ({"img_scale": (30, 20), "flip_direction": "diagonal"}, "flip_direction"),
    ],
)
def test_bad_arguments(arguments, argument):
    with pytest.raises(ConfigError, match=f"MultiScaleFlipAug: {argument} must be"):
        MultiScaleFlipAug(VIEW, **arguments)
