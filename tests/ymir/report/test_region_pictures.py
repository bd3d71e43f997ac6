import cv2
import numpy as np
import pytest

from ymir.report.region_pictures import (
    NO_REGION,
    UNKNOWN_COLOUR,
    draw_overlay,
    encode_jpeg,
    region_outlines,
    thumbnail,
    window_labels,
)

RED, BLUE = [250, 0, 0], [0, 0, 240]


def grey_image(height, width, value=120):
    return np.full((height, width, 3), value, np.uint8)


def has_colour(picture, rgb):
    return (picture == np.array(rgb[::-1], np.uint8)).all(2)


def test_outlines_are_the_pixels_beside_another_value():
    labels = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 5, 1]])
    expected = np.array([[0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 1, 1]], bool)
    np.testing.assert_array_equal(region_outlines(labels), expected)
    np.testing.assert_array_equal(region_outlines(labels == 5), expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 4)])
def test_one_region_has_no_outline_within_the_image(shape):
    assert not region_outlines(np.ones(shape, np.int32)).any()


def test_windows_are_cut_at_the_border_of_the_image():
    labels = window_labels((4, 5), [0, 13], 1)
    # 13 is row 2, column 3.
    expected = np.array([[0, 0, -1, -1, -1], [0, 0, 13, 13, 13], [-1, -1, 13, 13, 13], [-1, -1, 13, 13, 13]])
    np.testing.assert_array_equal(labels, expected)
    assert labels.dtype == np.int32 and NO_REGION == -1


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (1, 900), (900, 1), (2, 2), (7, 300), (50, 60)])
@pytest.mark.parametrize("chosen", ["nothing", "everything", "some"])
@pytest.mark.parametrize("with_labels", [False, True])
def test_overlays_of_every_shape(shape, chosen, with_labels):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    mask = {"nothing": np.zeros, "everything": np.ones}.get(chosen, lambda s, d: rng.integers(0, 2, s).astype(d))
    mask = mask(shape, np.uint8) * 255
    labels = rng.integers(0, 9, shape, dtype=np.int32) if with_labels else None
    copies = image.copy(), mask.copy()
    picture = draw_overlay(image, mask, labels=labels, classes={i: i % 2 for i in range(9)}, palette=[RED, BLUE])
    assert picture.shape == image.shape and picture.dtype == np.uint8
    np.testing.assert_array_equal(image, copies[0])
    np.testing.assert_array_equal(mask, copies[1])
    if chosen == "nothing":
        assert picture.mean() < 0.7 * image.mean()


def test_regions_stay_as_they_are_and_the_rest_is_dimmed():
    image = np.random.default_rng(1).integers(60, 256, (200, 300, 3), dtype=np.uint8)
    mask = np.zeros((200, 300), np.uint8)
    mask[50:150, 100:200] = 255
    picture = draw_overlay(image, mask)
    np.testing.assert_array_equal(picture[60:140, 110:190], image[60:140, 110:190])
    outside = mask == 0
    outside[40:160, 90:210] = False
    assert (picture[outside].max(1) < 0.75 * image[outside].max(1)).all()


def test_outlines_have_the_colour_of_the_class():
    mask = np.zeros((100, 100), np.uint8)
    mask[20:50, 20:50] = mask[60:90, 60:90] = 255
    labels = np.zeros((100, 100), np.int32)
    labels[:, 55:] = 7
    picture = draw_overlay(grey_image(100, 100), mask, labels=labels, classes={0: 1, 7: 0}, palette=[RED, BLUE])
    frame = np.zeros((100, 100), bool)
    frame[20:50, 20:50] = True
    frame[21:49, 21:49] = False
    np.testing.assert_array_equal(has_colour(picture, BLUE), frame)
    np.testing.assert_array_equal(has_colour(picture, RED), np.roll(frame, (40, 40), (0, 1)))


@pytest.mark.parametrize("classes", [None, {}, {1: 2}, {1: -1}, {900: 0}])
def test_regions_without_a_known_class_have_an_outline_too(classes):
    mask = np.zeros((100, 100), np.uint8)
    mask[20:50, 20:50] = 255
    picture = draw_overlay(grey_image(100, 100), mask, labels=mask // 255, classes=classes, palette=[RED, BLUE])
    assert has_colour(picture, UNKNOWN_COLOUR)[20, 20:50].all()


def test_neighbouring_regions_are_told_apart_by_their_labels():
    mask = np.zeros((100, 100), np.uint8)
    mask[20:80, 20:80] = 255
    labels = np.tile((np.arange(100) >= 50).astype(np.int32), (100, 1))
    colours = dict(classes={0: 0, 1: 1}, palette=[RED, BLUE])
    apart = draw_overlay(grey_image(100, 100), mask, labels=labels, **colours)
    assert has_colour(apart, RED)[30:70, 49].all() and has_colour(apart, BLUE)[30:70, 50].all()
    together = draw_overlay(grey_image(100, 100), mask)
    assert (together[30:70, 40:60] == 120).all()


def test_regions_at_the_border_of_the_image_are_closed():
    picture = draw_overlay(grey_image(60, 60), np.full((60, 60), 255, np.uint8))
    assert has_colour(picture, UNKNOWN_COLOUR)[[0, -1]].all()
    assert has_colour(picture, UNKNOWN_COLOUR)[:, [0, -1]].all()


def test_outlines_are_thicker_in_larger_images():
    def thickness(side):
        mask = np.zeros((side, side), np.uint8)
        mask[side // 4 : side // 2, side // 4 : side // 2] = 255
        row = has_colour(draw_overlay(grey_image(side, side), mask), UNKNOWN_COLOUR)[3 * side // 8]
        return row.sum() // 2

    assert [thickness(side) for side in (200, 500, 2000)] == [1, 2, 8]


def test_small_regions_have_a_ring_and_stay_visible():
    labels = window_labels((360, 480), [100 * 480 + 200, 250 * 480 + 300], 1)
    mask = np.where(labels == NO_REGION, 0, 255).astype(np.uint8)
    classes = {100 * 480 + 200: 0, 250 * 480 + 300: 1}
    picture = draw_overlay(grey_image(360, 480), mask, labels=labels, classes=classes, palette=[RED, BLUE])
    for (y, x), colour in (((100, 200), RED), ((250, 300), BLUE)):
        on_ring = np.argwhere(has_colour(picture, colour))
        distance = np.hypot(*(on_ring - (y, x)).T)
        assert distance.min() > 6 and distance.max() < 20
        # To the left, right, above and below.
        assert len({(dy > 0, dx > 0) for dy, dx in on_ring - (y, x)}) == 4
        assert (picture[y - 1 : y + 2, x - 1 : x + 2] == 120).all()


def test_large_regions_have_no_ring():
    mask = np.zeros((360, 480), np.uint8)
    mask[100:140, 100:140] = 255
    coloured = np.argwhere(has_colour(draw_overlay(grey_image(360, 480), mask), UNKNOWN_COLOUR))
    assert coloured.min() == 100 and coloured.max() == 139


def test_thumbnails_average_and_keep_the_proportions():
    checkered = np.indices((80, 200)).sum(0) % 2 * 200
    image = np.repeat(checkered[:, :, None], 3, 2).astype(np.uint8)
    small = thumbnail(image, 100)
    assert small.shape == (40, 100, 3)
    assert (small == 100).all()


@pytest.mark.parametrize(
    "shape, longest, expected", [((1, 900), 100, (1, 100)), ((900, 2), 100, (100, 1)), ((30, 40), 100, (30, 40))]
)
def test_thumbnails_of_slim_and_of_small_images(shape, longest, expected):
    assert thumbnail(grey_image(*shape), longest).shape == (*expected, 3)


@pytest.mark.parametrize("shape, expected", [((1, 1), (1, 1)), ((48, 64), (48, 64)), ((1, 70000), (1, 65500))])
def test_jpeg_holds_images_of_every_size(shape, expected):
    encoded = encode_jpeg(grey_image(*shape), 80)
    decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (*expected, 3)
    assert np.abs(decoded.astype(int) - 120).max() <= 3


def test_jpeg_of_lower_quality_is_smaller():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(encode_jpeg(noise, 20)) < len(encode_jpeg(noise, 90))
