import cv2
import numpy as np
import pytest

from mmseg.datasets.transforms import Resize, ResizeToMultiple, SegRescale
from mmseg.datasets.transforms.resize import rescaled_size
from mmseg.errors import ConfigError
from tests.datasets.files import random_image


def sample_of(height, width):
    image = random_image(height, width)
    return {"img": image, "gt_semantic_seg": image[:, :, 0] % 4, "seg_fields": ["gt_semantic_seg"]}


@pytest.mark.parametrize(
    "size, scale, expected",
    [
        ((5, 3), (7, 100), (12, 7)),  # min(100 / 5, 7 / 3)
        ((5, 3), (100, 7), (12, 7)),  # the order of the scale does not matter
        ((640, 480), (480, 360), (480, 360)),
        ((480, 640), (480, 360), (360, 480)),
        ((1000, 600), (1333, 800), (1333, 800)),
        ((3, 3), 0.5, (2, 2)),  # halves are rounded up
        ((1000, 1), (10, 10), (10, 1)),  # never empty
    ],
)
def test_rescaled_size(size, scale, expected):
    assert rescaled_size(size, scale) == expected


def test_values_of_bilinear_and_nearest():
    sample = {
        "img": np.array([[[0, 0, 10], [100, 40, 20]]], np.uint8),
        "gt_semantic_seg": np.array([[1, 2]], np.uint8),
        "seg_fields": ["gt_semantic_seg"],
    }
    result = Resize(img_scale=(4, 1), keep_ratio=False)(sample)
    np.testing.assert_array_equal(result["img"], [[[0, 0, 10], [25, 10, 13], [75, 30, 18], [100, 40, 20]]])
    assert result["gt_semantic_seg"].tolist() == [[1, 1, 2, 2]]


def test_entries_after_keep_ratio():
    result = Resize(img_scale=(30, 20))(sample_of(11, 17))
    # min(30 / 17, 20 / 11) = 30 / 17, so the height is int(11 * 30 / 17 + 0.5)
    assert result["img_shape"] == result["pad_shape"] == result["img"].shape == (19, 30, 3)
    assert result["gt_semantic_seg"].shape == (19, 30)
    assert result["scale"] == (30, 20) and result["keep_ratio"] is True
    assert result["scale_factor"].dtype == np.float32
    np.testing.assert_array_equal(result["scale_factor"], np.array([30 / 17, 19 / 11] * 2, np.float32))
    np.testing.assert_array_equal(result["img"], cv2.resize(random_image(11, 17), (30, 19)))


def test_without_keep_ratio_the_scale_is_the_size():
    result = Resize(img_scale=(9, 20), keep_ratio=False)(sample_of(11, 17))
    assert result["img"].shape == (20, 9, 3)
    np.testing.assert_array_equal(result["scale_factor"], np.array([9 / 17, 20 / 11] * 2, np.float32))


def test_min_size_is_the_least_short_edge():
    assert Resize(img_scale=(40, 10), min_size=20)(sample_of(10, 15))["img"].shape == (20, 30, 3)
    assert Resize(img_scale=(40, 10), min_size=20)(sample_of(15, 10))["img"].shape == (30, 20, 3)
    assert Resize(img_scale=(90, 30), min_size=20)(sample_of(10, 15))["img"].shape == (30, 45, 3)


def test_ratio_range_scales_img_scale_by_one_uniform_ratio():
    transform = Resize(img_scale=(200, 100), ratio_range=(0.5, 2.0), keep_ratio=False)
    ratios = []
    for seed in range(200):
        width, height = transform(sample_of(8, 8), np.random.default_rng(seed))["scale"]
        ratio = np.random.default_rng(seed).random() * 1.5 + 0.5
        assert (width, height) == (int(200 * ratio), int(100 * ratio))
        ratios.append(ratio)
    assert min(ratios) < 0.6 and max(ratios) > 1.9


def test_ratio_range_alone_scales_the_size_of_the_image():
    result = Resize(ratio_range=(2, 2))(sample_of(5, 7))
    assert result["img"].shape == (10, 14, 3)


def test_two_scales_span_a_range_of_both_edges():
    transform = Resize(img_scale=[(10, 40), (20, 60)], multiscale_mode="range")
    scales = [transform(sample_of(8, 8), np.random.default_rng(seed))["scale"] for seed in range(300)]
    assert {s[0] for s in scales} == set(range(40, 61))
    assert {s[1] for s in scales} == set(range(10, 21))


def test_value_mode_takes_one_of_the_scales():
    given = [(10, 40), (20, 60), (30, 30)]
    transform = Resize(img_scale=given, multiscale_mode="value")
    assert {transform(sample_of(8, 8), np.random.default_rng(seed))["scale"] for seed in range(40)} == set(given)


def test_scale_of_an_earlier_transform_is_taken():
    result = Resize(keep_ratio=True)(dict(sample_of(10, 20), scale=(40, 40)))
    assert result["img"].shape == (20, 40, 3)


def test_scale_may_be_a_list_of_two_numbers():
    assert Resize(img_scale=[30, 20])(sample_of(10, 10))["scale"] == (30, 20)


@pytest.mark.parametrize(
    "arguments, argument",
    [
        ({"img_scale": 4}, "img_scale"),
        ({"img_scale": [(1, 2), (3,)]}, "img_scale"),
        ({"img_scale": (0, 5)}, "img_scale"),
        ({"img_scale": [(1, 2), (3, 4)], "ratio_range": (1, 2)}, "img_scale"),
        ({"img_scale": [(1, 2), (3, 4), (5, 6)]}, "img_scale"),
        ({"img_scale": (1, 2), "multiscale_mode": "some"}, "multiscale_mode"),
        ({"img_scale": (1, 2), "ratio_range": (2, 1)}, "ratio_range"),
        ({"img_scale": (1, 2), "ratio_range": 0.5}, "ratio_range"),
        ({"img_scale": (1, 2), "min_size": -3}, "min_size"),
    ],
)
def test_bad_arguments(arguments, argument):
    with pytest.raises(ConfigError, match=f"Resize: {argument} must be"):
        Resize(**arguments)


def test_no_scale_at_all():
    with pytest.raises(ConfigError, match="Resize: img_scale or ratio_range"):
        Resize()(sample_of(4, 4))


def test_resize_to_multiple():
    result = ResizeToMultiple(size_divisor=8)(sample_of(9, 16))
    assert result["img"].shape == result["img_shape"] == result["pad_shape"] == (16, 16, 3)
    assert result["gt_semantic_seg"].shape == (16, 16)
    np.testing.assert_array_equal(result["img"], cv2.resize(random_image(9, 16), (16, 16)))
    nearest = ResizeToMultiple(size_divisor=8, interpolation="nearest")(sample_of(9, 16))["img"]
    np.testing.assert_array_equal(nearest, cv2.resize(random_image(9, 16), (16, 16), interpolation=cv2.INTER_NEAREST))
    with pytest.raises(ConfigError, match="ResizeToMultiple: interpolation"):
        ResizeToMultiple(interpolation="magic")
    with pytest.raises(ConfigError, match="ResizeToMultiple: size_divisor"):
        ResizeToMultiple(size_divisor=0)


def test_seg_rescale_leaves_the_image():
    sample = {"img": random_image(2, 4), "gt_semantic_seg": np.array([[1, 2], [3, 4]], np.uint8)}
    result = SegRescale(scale_factor=2)(dict(sample, seg_fields=["gt_semantic_seg"]))
    assert result["gt_semantic_seg"].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]
    assert result["img"].shape == (2, 4, 3)
    with pytest.raises(ConfigError, match="SegRescale: scale_factor"):
        SegRescale(scale_factor=0)
