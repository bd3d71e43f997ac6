import cv2
import numpy as np
import pytest

from mmseg.datasets.transforms import CLAHE, AdjustGamma, Normalize, PhotoMetricDistortion, Rerange, RGB2Gray
from mmseg.errors import ConfigError
from tests.datasets.files import MEAN, STD, random_image


def float_normalize(image):
    """The arithmetic of mmcv: float32 image, float64 scalars, by OpenCV."""
    image = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_BGR2RGB)
    mean = np.float64(np.array(MEAN, np.float32).reshape(1, -1))
    inverse = 1 / np.float64(np.array(STD, np.float32).reshape(1, -1))
    cv2.subtract(image, mean, image)
    cv2.multiply(image, inverse, image)
    return image


def test_normalize_equals_the_float_arithmetic_to_the_last_bit():
    image = random_image(64, 64)
    before = image.copy()
    sample = Normalize(mean=MEAN, std=STD)({"img": image})
    assert sample["img"].dtype == np.float32
    np.testing.assert_array_equal(sample["img"], float_normalize(before))
    np.testing.assert_allclose(
        sample["img"], (before[:, :, ::-1] - np.array(MEAN)) / np.array(STD), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_array_equal(image, before)
    norm = sample["img_norm_cfg"]
    np.testing.assert_array_equal(norm["mean"], np.array(MEAN, np.float32))
    np.testing.assert_array_equal(norm["std"], np.array(STD, np.float32))
    assert norm["to_rgb"] is True


def test_normalize_float_images_and_windows_of_larger_ones():
    image = random_image(64, 64)
    for given in (image.astype(np.float32), image.astype(np.float64)):
        np.testing.assert_array_equal(Normalize(mean=MEAN, std=STD)({"img": given})["img"], float_normalize(image))
        np.testing.assert_array_equal(given, image)
    window = image[3:20, 5:50]
    np.testing.assert_array_equal(Normalize(mean=MEAN, std=STD)({"img": window})["img"], float_normalize(window))


def test_normalize_without_rgb_and_with_other_channel_counts():
    image = np.array([[[10, 20, 30]]], np.uint8)
    assert Normalize([0, 10, 20], [1, 2, 5], to_rgb=False)({"img": image})["img"].tolist() == [[[10, 5, 2]]]
    assert Normalize([4], [2])({"img": image[:, :, 0]})["img"].tolist() == [[3]]
    many = np.arange(5, dtype=np.uint8).reshape(1, 1, 5)
    assert Normalize([1] * 5, [2] * 5)({"img": many})["img"].tolist() == [[[-0.5, 0, 0.5, 1, 1.5]]]
    with pytest.raises(ConfigError, match=r"mean has 3 numbers, but the image a\.png has 1 channels"):
        Normalize(MEAN, STD)({"img": image[:, :, 0], "filename": "a.png"})


def convert(image, factor=1.0, offset=0.0):
    return np.clip(image.astype(np.float32) * np.float32(factor) + np.float32(offset), 0, 255).astype(np.uint8)


def slow_distortion(image, rng):
    """Written out pixel by pixel in float, one step after the other."""
    if rng.integers(2):
        image = convert(image, offset=rng.uniform(-32, 32))
    contrast_first = rng.integers(2)
    contrast = rng.uniform(0.5, 1.5) if rng.integers(2) else None
    saturation = rng.uniform(0.5, 1.5) if rng.integers(2) else None
    hue = int(rng.integers(-18, 18)) if rng.integers(2) else None
    if contrast is not None and contrast_first:
        image = convert(image, contrast)
    if saturation is not None or hue is not None:
        hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        if saturation is not None:
            hsv[:, :, 1] = convert(hsv[:, :, 1], saturation)
        if hue is not None:
            hsv[:, :, 0] = (hsv[:, :, 0].astype(int) + hue) % 180
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    if contrast is not None and not contrast_first:
        image = convert(image, contrast)
    return image, (bool(contrast_first), contrast is not None, saturation is not None, hue is not None)


def test_photometric_distortion_equals_the_slow_one_in_every_combination():
    image = random_image(16, 16)
    before = image.copy()
    combinations = set()
    for seed in range(300):
        expected, combination = slow_distortion(before, np.random.default_rng(seed))
        combinations.add(combination)
        result = PhotoMetricDistortion()({"img": image}, np.random.default_rng(seed))["img"]
        assert result.dtype == np.uint8
        np.testing.assert_array_equal(result, expected)
    assert len(combinations) == 16
    np.testing.assert_array_equal(image, before)


def test_photometric_distortion_of_float_images_and_without_any_change():
    image = random_image(8, 8)
    none = PhotoMetricDistortion(brightness_delta=0, contrast_range=(1, 1), saturation_range=(1, 1), hue_delta=0)
    plain = [none({"img": image}, np.random.default_rng(seed))["img"] for seed in range(20)]
    # Converting to HSV and back alone moves values by a few levels.
    assert max(abs(result.astype(int) - image).max() for result in plain) <= 8
    for seed in range(5):
        as_float = PhotoMetricDistortion()({"img": image.astype(np.float32)}, np.random.default_rng(seed))["img"]
        np.testing.assert_array_equal(
            as_float, PhotoMetricDistortion()({"img": image}, np.random.default_rng(seed))["img"]
        )


def test_clahe_equalises_each_channel():
    image = random_image(32, 32)
    image[:, :, 1] //= 4
    result = CLAHE(clip_limit=2.0, tile_grid_size=(4, 4))({"img": image})["img"]
    expected = [cv2.createCLAHE(2.0, (4, 4)).apply(np.ascontiguousarray(image[:, :, i])) for i in range(3)]
    np.testing.assert_array_equal(result, np.dstack(expected))
    assert CLAHE()({"img": image[:, :, 0]})["img"].shape == (32, 32)


def test_adjust_gamma():
    image = np.array([[[0, 64, 255]]], np.uint8)
    assert AdjustGamma(gamma=2.0)({"img": image})["img"].tolist() == [[[0, 127, 255]]]  # sqrt(64 / 255) * 255 = 127.7
    np.testing.assert_array_equal(AdjustGamma()({"img": image})["img"], image)


def test_rerange():
    image = np.array([[10, 20, 50]], np.uint8)
    np.testing.assert_allclose(Rerange()({"img": image})["img"], [[0, 63.75, 255]])
    np.testing.assert_allclose(Rerange(min_value=-1, max_value=1)({"img": image})["img"], [[-1, -0.5, 1]])
    assert Rerange(min_value=3, max_value=4)({"img": np.full((2, 2), 9, np.uint8)})["img"].tolist() == [[3, 3], [3, 3]]


def test_rgb2gray():
    image = np.array([[[10, 20, 30]]], np.uint8)
    grey = 0.299 * 10 + 0.587 * 20 + 0.114 * 30
    sample = RGB2Gray()({"img": image})
    np.testing.assert_allclose(sample["img"], [[[grey] * 3]])
    sample = RGB2Gray(out_channels=1, weights=(1, 0, 0))({"img": image})
    assert sample["img"].tolist() == [[[10]]] and sample["img_shape"] == (1, 1, 1)
    with pytest.raises(ConfigError, match="RGB2Gray: weights must be 3 numbers"):
        RGB2Gray(weights=(1, 1))({"img": image})


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Normalize(mean=5, std=STD), "Normalize: mean"),
        (lambda: Normalize(mean=MEAN, std=[1, 2]), "Normalize: std must be as long as mean"),
        (lambda: Normalize(mean=MEAN, std=[1, 0, 1]), "Normalize: std"),
        (lambda: PhotoMetricDistortion(brightness_delta=-1), "PhotoMetricDistortion: brightness_delta"),
        (lambda: PhotoMetricDistortion(contrast_range=0.5), "PhotoMetricDistortion: contrast_range"),
        (lambda: PhotoMetricDistortion(saturation_range=(2, 1)), "PhotoMetricDistortion: saturation_range"),
        (lambda: PhotoMetricDistortion(hue_delta=1.5), "PhotoMetricDistortion: hue_delta"),
        (lambda: CLAHE(clip_limit="high"), "CLAHE: clip_limit"),
        (lambda: CLAHE(tile_grid_size=8), "CLAHE: tile_grid_size"),
        (lambda: AdjustGamma(gamma=0), "AdjustGamma: gamma"),
        (lambda: Rerange(min_value=5, max_value=5), "Rerange: max_value"),
        (lambda: RGB2Gray(out_channels=0), "RGB2Gray: out_channels"),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(ConfigError, match=words):
        make()
