import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.datasets.transforms import RandomMosaic
from mmseg.errors import ConfigError

SIZES = [(20, 40), (50, 30), (24, 32), (13, 17)]


def parts_of(sizes, seed=0):
    rng = np.random.default_rng(seed)
    samples = []
    for height, width in sizes:
        mask = rng.integers(0, 200, (height, width), dtype=np.uint8)
        image = rng.integers(0, 200, (height, width, 3), dtype=np.uint8)
        samples.append({"img": image, "gt_semantic_seg": mask, "seg_fields": ["gt_semantic_seg"]})
    return samples


def mosaic(samples, seed=0, **arguments):
    transform = RandomMosaic(**{"prob": 1.0, **arguments})
    return transform(dict(samples[0], mix_results=samples[1:]), np.random.default_rng(seed))


def plain(arrays, img_scale, center, fill, interpolation):
    """Pixel by pixel: image i covers the rectangle that ends or begins at the centre."""
    height, width = img_scale
    x, y = center
    canvas = np.full((2 * height, 2 * width) + arrays[0].shape[2:], fill, np.uint8)
    for i, array in enumerate(arrays):
        factor = min(height / array.shape[0], width / array.shape[1])
        size = (int(array.shape[1] * factor), int(array.shape[0] * factor))
        scaled = cv2.resize(array, size, interpolation=interpolation)
        top = y - scaled.shape[0] if i in (0, 1) else y
        left = x - scaled.shape[1] if i in (0, 2) else x
        for row in range(scaled.shape[0]):
            for column in range(scaled.shape[1]):
                if 0 <= top + row < 2 * height and 0 <= left + column < 2 * width:
                    canvas[top + row, left + column] = scaled[row, column]
    return canvas


@pytest.mark.parametrize("ratio", [0.3, 0.7, 1.0, 1.45, 1.9])
@pytest.mark.parametrize("img_scale", [(24, 32), (30, 18)])
def test_equals_the_plain_version(img_scale, ratio):
    samples = parts_of(SIZES)
    result = mosaic(samples, img_scale=img_scale, center_ratio_range=(ratio, ratio), pad_val=250, seg_pad_val=251)
    center = (int(ratio * img_scale[1]), int(ratio * img_scale[0]))
    image = plain([s["img"] for s in samples], img_scale, center, 250, cv2.INTER_LINEAR)
    mask = plain([s["gt_semantic_seg"] for s in samples], img_scale, center, 251, cv2.INTER_NEAREST)
    np.testing.assert_array_equal(result["img"], image)
    np.testing.assert_array_equal(result["gt_semantic_seg"], mask)
    assert result["img_shape"] == result["pad_shape"] == (2 * img_scale[0], 2 * img_scale[1], 3)


def test_sides_are_rounded_down_as_in_mmsegmentation():
    samples = parts_of([(25, 40), (4, 4), (4, 4), (4, 4)])  # 25 * 25/40 = 15.6 rows
    result = mosaic(samples, img_scale=(40, 25), center_ratio_range=(1.0, 1.0), seg_pad_val=255)
    assert (result["gt_semantic_seg"][:40, :25] != 255).any(axis=1).sum() == 15


def test_the_point_and_the_probability_are_drawn():
    samples = parts_of([(8, 8)] * 4)
    first = mosaic(samples, img_scale=(8, 8))["img"]
    assert np.array_equal(first, mosaic(samples, img_scale=(8, 8))["img"])
    assert any(not np.array_equal(first, mosaic(samples, seed, img_scale=(8, 8))["img"]) for seed in range(1, 6))
    plain_count = sum(mosaic(samples, seed, prob=0.5)["img"].shape == (8, 8, 3) for seed in range(40))
    assert 8 < plain_count < 32
    assert mosaic(samples, prob=0.0)["img"] is samples[0]["img"]


def test_images_mixed_in_are_drawn_from_the_data_set():
    transform = RandomMosaic(prob=1.0)
    drawn = [transform.mix_indices(3, np.random.default_rng(seed)) for seed in range(30)]
    assert all(len(indices) == 3 for indices in drawn)
    assert {index for indices in drawn for index in indices} == {0, 1, 2}


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=4, max_size=4),
    img_scale=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    low=st.floats(0.01, 1.99),
    high=st.floats(0.01, 1.99),
)
def test_any_sizes_fit(sizes, img_scale, low, high):
    ratios = (min(low, high), max(low, high))
    result = mosaic(parts_of(sizes), img_scale=img_scale, center_ratio_range=ratios)
    assert result["img"].shape == (2 * img_scale[0], 2 * img_scale[1], 3)
    assert result["gt_semantic_seg"].shape == (2 * img_scale[0], 2 * img_scale[1])


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"prob": 1.5}, "prob must be"),
        ({"img_scale": (0, 4)}, "img_scale must be"),
        ({"img_scale": 640}, "img_scale must be"),
        ({"center_ratio_range": (1.5, 0.5)}, "center_ratio_range must be"),
        ({"center_ratio_range": (0.5, 2.5)}, "center_ratio_range must be"),
        ({"pad_val": "grey"}, "pad_val must be"),
        ({"seg_pad_val": 300}, "seg_pad_val must be"),
    ],
)
def test_wrong_arguments(arguments, words):
    with pytest.raises(ConfigError, match=words):
        RandomMosaic(**{"prob": 1.0, **arguments})


def test_it_says_where_it_belongs():
    with pytest.raises(ConfigError, match="in the pipeline of a MultiImageMixDataset"):
        RandomMosaic(prob=0.0)(parts_of([(4, 4)])[0], np.random.default_rng(0))


def test_images_of_different_channels_are_refused():
    samples = parts_of([(8, 8)] * 4)
    samples[2].update(img=samples[2]["gt_semantic_seg"], filename="grey.png")
    with pytest.raises(ConfigError, match=r"grey\.png has another number of channels"):
        mosaic(samples)
