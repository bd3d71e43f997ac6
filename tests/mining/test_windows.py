import numpy as np
import pytest
import torch

from ymir.mining.windows import is_mixed, window_size, window_sum


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 5, 8, 20])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (5, 8), (12, 11)])
def test_windows_are_cut_at_the_border(shape, radius):
    image = np.random.default_rng(radius).integers(0, 3, shape).astype(np.int16)
    # Large constant areas, so that some windows are not mixed.
    image[: shape[0] // 2] = 1
    tensor = torch.from_numpy(image)
    sums, mixed = window_sum(tensor, radius), is_mixed(tensor, radius)
    assert sums.dtype == torch.int16
    sizes = window_size(*shape, radius, tensor.device)
    for y in range(shape[0]):
        for x in range(shape[1]):
            window = image[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
            assert int(sums[y, x]) == window.sum()
            assert bool(mixed[y, x]) == (window.min() != window.max())
            assert int(sizes[y, x]) == window.size


def test_a_large_value_does_not_spoil_the_sums_elsewhere():
    image = torch.full((40, 40), 1e-3)
    image[0, 0] = 1e9
    assert torch.allclose(window_sum(image, 1)[10:20, 10:20], torch.tensor(9e-3), rtol=1e-6)
