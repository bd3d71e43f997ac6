import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ymir.journal.superpixel_bytes import pack_superpixels, unpack_superpixels

shapes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@settings(deadline=None)
@given(
    shapes.flatmap(lambda shape: arrays(np.int32, shape, elements=st.sampled_from([0, 1, 255, 256, 65536, 2**31 - 1])))
)
def test_any_labels_come_back(labels):
    found = unpack_superpixels(pack_superpixels(labels))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (400, 300)])
def test_long_runs_come_back(shape):
    labels = np.zeros(shape, np.int32)
    labels.reshape(-1)[-1] = 1
    np.testing.assert_array_equal(unpack_superpixels(pack_superpixels(labels)), labels)


def test_labels_in_the_shape_of_a_grid_take_a_fraction_of_a_byte_a_pixel():
    labels = (np.arange(360)[:, None] // 11 * 44 + np.arange(480) // 11).astype(np.int32)
    assert len(pack_superpixels(labels)) < labels.size / 10
