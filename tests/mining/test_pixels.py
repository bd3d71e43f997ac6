import numpy as np
import pytest
import torch

from tests.mining import plain
from tests.mining.cases import make_logits
from ymir.mining.pixels import best_versus_second_best, entropy

METHODS = [(best_versus_second_best, plain.bvsb), (entropy, plain.entropy)]


@pytest.mark.parametrize("fast, slow", METHODS)
@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-9), (np.float32, 1e-4), (np.float16, 1e-4)])
def test_uncertainty_equals_the_plain_one(fast, slow, dtype, rtol):
    rng = np.random.default_rng(1)
    for _ in range(300):
        logits = make_logits(rng, dtype)
        found = fast(torch.from_numpy(logits))
        # Below the smallest normal number of float32 there is no relative precision to ask for.
        np.testing.assert_allclose(found.uncertainty.numpy(), slow(logits), rtol=rtol, atol=1e-37)
        np.testing.assert_array_equal(found.class_map.numpy(), np.argmax(logits, axis=0))


@pytest.mark.parametrize("fast, slow", METHODS)
@pytest.mark.parametrize("layout", ["channels last", "cropped"])
def test_memory_layout_and_pieces_make_no_difference(fast, slow, layout):
    rng = np.random.default_rng(2)
    # More than one piece, with a smaller last one.
    logits = torch.from_numpy(rng.standard_normal((3, 600, 800)))
    if layout == "channels last":
        view = logits.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    else:
        view = torch.nn.functional.pad(logits, (1, 2, 3, 4))[:, 3:-4, 1:-2]
    found = fast(view)
    np.testing.assert_allclose(found.uncertainty.numpy(), slow(logits.numpy()), rtol=1e-9)
    np.testing.assert_array_equal(found.class_map.numpy(), logits.argmax(0).numpy())


@pytest.mark.parametrize("fast, slow", METHODS)
@pytest.mark.parametrize("num_classes", [200, 300])
def test_many_classes(fast, slow, num_classes):
    logits = np.random.default_rng(3).standard_normal((num_classes, 6, 5))
    found = fast(torch.from_numpy(logits))
    np.testing.assert_allclose(found.uncertainty.numpy(), slow(logits), rtol=1e-9)
    np.testing.assert_array_equal(found.class_map.numpy(), np.argmax(logits, axis=0))


@pytest.mark.parametrize("method", [best_versus_second_best, entropy])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_broken_logits_show(method, bad):
    logits = torch.zeros(3, 2, 2)
    logits[1, 0, 1] = bad
    assert torch.isnan(method(logits).uncertainty).tolist() == [[False, True], [False, False]]
