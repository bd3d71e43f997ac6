import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.engine.metrics import ConfusionMatrix
from mmseg.errors import DataError
from tests.reference_data import REFERENCE, needs_reference

PER_CLASS = ("IoU", "Acc", "Dice", "Fscore", "Precision", "Recall")


@needs_reference
def test_agrees_with_upstream():
    reference = np.load(REFERENCE / "metrics.npz")
    expected = json.loads(str(reference["expected"]))
    confusion = ConfusionMatrix(19)
    for prediction, label in zip(reference["pred"], reference["label"]):
        confusion.update(torch.from_numpy(prediction), label)
    metrics = confusion.metrics()
    assert metrics.aAcc == pytest.approx(expected["aAcc"], rel=1e-6)
    for name in PER_CLASS:
        np.testing.assert_allclose(getattr(metrics, name), expected[name], rtol=1e-6)
        assert getattr(metrics, f"m{name}") == pytest.approx(np.nanmean(expected[name]), rel=1e-6)


def test_by_hand():
    confusion = ConfusionMatrix(4)
    confusion.update(np.array([[0, 0, 1], [1, 2, 3]]), np.array([[0, 1, 1], [1, 255, 1]]))
    assert confusion.counts.tolist() == [[1, 0, 0, 0], [1, 2, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    metrics = confusion.metrics()
    assert metrics.aAcc == pytest.approx(3 / 5)
    np.testing.assert_allclose(metrics.IoU, [1 / 2, 2 / 4, np.nan, 0])
    np.testing.assert_allclose(metrics.Acc, [1, 2 / 4, np.nan, np.nan])
    np.testing.assert_allclose(metrics.Precision, [1 / 2, 1, np.nan, 0])
    np.testing.assert_allclose(metrics.Dice, [2 / 3, 4 / 6, np.nan, 0])
    np.testing.assert_allclose(metrics.Fscore, [2 / 3, 2 / 3, np.nan, np.nan])
    assert metrics.mIoU == pytest.approx(1 / 3)
    assert metrics.mAcc == pytest.approx(3 / 4)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_equals_counting_pixel_by_pixel(data):
    num_classes = data.draw(st.integers(1, 5))
    ignore = data.draw(st.sampled_from([255, 254, -1]))
    size = data.draw(st.integers(0, 12))
    prediction = data.draw(st.lists(st.integers(0, num_classes - 1), min_size=size, max_size=size))
    values = st.one_of(st.integers(0, num_classes - 1), st.just(ignore))
    label = data.draw(st.lists(values, min_size=size, max_size=size))
    confusion = ConfusionMatrix(num_classes, ignore)
    confusion.update(torch.tensor(prediction, dtype=torch.int64), np.array(label, dtype=np.int64))
    expected = np.zeros((num_classes, num_classes), int)
    for p, t in zip(prediction, label):
        if t != ignore:
            expected[t, p] += 1
    assert confusion.counts.tolist() == expected.tolist()
    metrics = confusion.metrics()
    assert all(np.isfinite(value) for value in metrics.summary().values())
    json.dumps(metrics.to_dict(), allow_nan=False)


def test_adds_up_over_images_and_dtypes():
    once, twice = ConfusionMatrix(3), ConfusionMatrix(3)
    prediction, label = np.array([[0, 1, 2, 2]]), np.array([[0, 2, 2, 255]])
    once.update(np.hstack([prediction, prediction]), np.hstack([label, label]))
    twice.update(prediction.astype(np.uint8), label.astype(np.uint8))
    twice.update(torch.from_numpy(prediction).int(), label.astype(np.int32))
    assert torch.equal(once.counts, twice.counts)


def test_only_ignored_pixels_give_zeros():
    confusion = ConfusionMatrix(2)
    confusion.update(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8))
    metrics = confusion.metrics()
    assert set(metrics.summary().values()) == {0.0}
    assert metrics.to_dict()["IoU"] == [None, None]


def test_wrong_values_and_shapes_are_refused():
    confusion = ConfusionMatrix(3)
    with pytest.raises(DataError, match="label holds the value 7, expected 0 to 2"):
        confusion.update(np.zeros(2, np.uint8), np.array([0, 7], np.uint8))
    with pytest.raises(DataError, match="prediction holds the value 3"):
        confusion.update(np.array([3, 0]), np.array([0, 0]))
    with pytest.raises(DataError, match="shape"):
        confusion.update(np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(DataError, match="at least one class"):
        ConfusionMatrix(0)
    assert confusion.counts.sum() == 0


def test_a_wrong_prediction_does_not_count_where_the_label_is_ignored():
    confusion = ConfusionMatrix(3)
    confusion.update(np.array([9, 1]), np.array([255, 1]))
    assert confusion.counts.sum() == 1


def test_table():
    confusion = ConfusionMatrix(3)
    confusion.update(np.array([0, 1, 1]), np.array([0, 1, 0]))
    lines = confusion.metrics().table(["road", "car", "sky"]).splitlines()
    assert lines[0].split() == ["class", *PER_CLASS]
    assert lines[2].split() == ["road", "50.00", "50.00", "66.67", "66.67", "100.00", "50.00"]
    assert lines[4].split() == ["sky"] + ["-"] * 6
    assert lines[6].split()[:2] == ["mean", "50.00"]
    assert lines[7] == "all pixels: aAcc 66.67"
    with pytest.raises(DataError, match="2 class names"):
        confusion.metrics().table(["road", "car"])
