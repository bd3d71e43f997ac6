import math

import numpy as np
import pytest
import torch

from ymir.mining.share_entropy import share_entropy
from ymir.mining.windows import window_size


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (8, 11)])
@pytest.mark.parametrize("num_classes", [1, 2, 6, 255, 256])
def test_entropies_equal_the_definition(shape, radius, num_classes):
    rng = np.random.default_rng(radius)
    # The highest and the lowest ids, where a type's end may be.
    ids = np.array([0, num_classes - 1, num_classes // 2])
    class_map = ids[rng.integers(0, 3, shape)]
    at = torch.arange(class_map.size)
    size = window_size(*shape, radius, at.device).reshape(-1)
    tensor = torch.from_numpy(class_map.astype(np.uint8))
    found = share_entropy(tensor, num_classes, radius, at=at, size=size).reshape(shape)
    for y in range(shape[0]):
        for x in range(shape[1]):
            window = class_map[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
            shares = [np.count_nonzero(window == class_id) / window.size for class_id in np.unique(window)]
            expected = -math.fsum(share * math.log(share) for share in shares)
            assert float(found[y, x]) == pytest.approx(expected, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("radius", [1, 4])
def test_windows_that_hold_the_same_numbers_are_equal_to_the_last_digit(radius):
    side = 2 * radius + 1
    rng = np.random.default_rng(0)
    window = rng.integers(0, 4, side * side)
    centre = torch.tensor([radius * side + radius])
    found = set()
    for _ in range(50):
        renamed = rng.permutation(4)[rng.permutation(window)].reshape(side, side)
        tensor = torch.from_numpy(renamed.astype(np.uint8))
        found.add(float(share_entropy(tensor, 4, radius, at=centre, size=torch.tensor([side * side]))))
    assert len(found) == 1


def test_only_the_windows_asked_for_more_than_one_piece():
    class_map = torch.from_numpy(np.random.default_rng(1).integers(0, 5, (300, 400)).astype(np.uint8))
    size = window_size(300, 400, 1, class_map.device).reshape(-1)
    everything = torch.arange(300 * 400)
    whole = share_entropy(class_map, 5, 1, at=everything, size=size)
    some = everything[::3]
    assert torch.equal(share_entropy(class_map, 5, 1, at=some, size=size[some]), whole[some])
