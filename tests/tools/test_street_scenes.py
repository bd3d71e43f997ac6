import numpy as np
import pytest

from tools.street_scenes import CLASSES, UNLABELLED, generate_scene


def scene(*seed, size=(96, 72), complete=False):
    return generate_scene(np.random.default_rng(seed), *size, complete=complete)


@pytest.mark.parametrize("size", [(64, 48), (192, 144), (75, 101)])
def test_a_scene_has_the_size_that_was_asked_for_and_labels_of_the_classes_only(size):
    made = scene(0, size=size)
    assert made.image.shape == (size[1], size[0], 3) and made.image.dtype == np.uint8
    assert made.label.shape == (size[1], size[0]) and made.label.dtype == np.uint8
    assert set(np.unique(made.label)) <= {*range(len(CLASSES)), UNLABELLED}


def test_the_same_generator_state_gives_the_same_scene():
    first, second = scene(3, 1), scene(3, 1)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.label, second.label)


def test_no_two_scenes_are_the_same():
    scenes = [scene(0, number, size=(64, 48)) for number in range(8)]
    assert len({made.image.tobytes() for made in scenes}) == 8
    assert len({made.label.tobytes() for made in scenes}) == 8


@pytest.mark.parametrize("size", [(48, 36), (192, 144)])
def test_a_complete_scene_shows_every_class_and_something_unlabelled(size):
    for seed in range(3):
        assert set(np.unique(scene(seed, size=size, complete=True).label)) == {*range(len(CLASSES)), UNLABELLED}


def test_a_street_looks_like_one():
    labels = np.stack([scene(1, number).label for number in range(6)])
    share = np.array([(labels == index).mean() for index in range(len(CLASSES))])
    sky, road, person, pole = (CLASSES.index(name) for name in ("sky", "road", "person", "pole"))
    assert 0.2 < share[road] < 0.6 and 0 < share[person] < 0.06 and 0 < share[pole] < 0.06
    rows = np.broadcast_to(np.arange(labels.shape[1])[None, :, None], labels.shape)
    assert rows[labels == sky].max() < rows[labels == road].mean()


def test_a_picture_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="20x20"):
        scene(0, size=(20, 20))
