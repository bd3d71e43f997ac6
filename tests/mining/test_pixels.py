import numpy as np
import pytest
import torch

from mmseg.engine.logit_bands import LogitBands
from mmseg.errors import ConfigError
from tests.mining import plain
from tests.mining.cases import make_logits
from ymir.mining.pixels import best_versus_second_best, entropy, least_confidence, margin
from ymir.mining.uncertainty import UNCERTAINTIES

METHODS = [
    (best_versus_second_best, plain.bvsb),
    (entropy, plain.entropy),
    (margin, plain.margin),
    (least_confidence, plain.least_confidence),
]


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


@pytest.mark.parametrize("fast, slow", METHODS)
@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("certainty", [0.1, 1.0, 10.0, 30.0, 80.0])
def test_nothing_cancels_where_the_network_is_nearly_certain(fast, slow, dtype, rtol, certainty):
    logits = np.random.default_rng(4).standard_normal((19, 20, 30)).astype(dtype)
    logits[7] += dtype(certainty)
    found = fast(torch.from_numpy(logits)).uncertainty.numpy()
    np.testing.assert_allclose(found, slow(logits), rtol=rtol)
    assert (found > 0).all()


@pytest.mark.parametrize("fast, slow", METHODS)
def test_half_precision_is_computed_in_float32(fast, slow):
    logits = torch.randn(5, 9, 7, generator=torch.Generator().manual_seed(5)).bfloat16() * 4
    found = fast(logits)
    assert found.uncertainty.dtype == torch.float32
    np.testing.assert_allclose(found.uncertainty.numpy(), slow(logits.float().numpy()), rtol=1e-4)


@pytest.mark.parametrize("fast, slow", METHODS)
def test_bands_of_logits_are_resized_on_the_way(fast, slow):
    small = torch.randn(19, 9, 64, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    size = (70, 1024)  # several bands
    bands = LogitBands.resized(small, input_size=size, content_size=size, size=size, align_corners=False)
    logits = torch.nn.functional.interpolate(small[None], size, mode="bilinear", align_corners=False)[0]
    found = fast(bands)
    np.testing.assert_allclose(found.uncertainty.numpy(), slow(logits.numpy()), rtol=1e-9)
    np.testing.assert_array_equal(found.class_map.numpy(), logits.argmax(0).numpy())
    # Nobody has to go through the bands again for it.
    assert bands.class_map() is found.class_map


@pytest.mark.parametrize("fast, slow", METHODS)
def test_one_sigmoid_channel_counts_as_two_classes(fast, slow):
    x = torch.linspace(-3, 3, 24, dtype=torch.float64).view(1, 4, 6)
    bands = LogitBands.of(x, threshold=0.3)
    found = fast(bands)
    np.testing.assert_allclose(found.uncertainty.numpy(), slow(np.stack([np.zeros((4, 6)), x[0].numpy()])), rtol=1e-9)
    # The more probable class here, the threshold's there.
    np.testing.assert_array_equal(found.class_map.numpy(), (x[0] > 0).numpy())
    np.testing.assert_array_equal(bands.class_map().numpy(), (torch.sigmoid(x[0]) > 0.3).numpy())


def test_the_logits_are_left_as_they_are():
    logits = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(7))
    before = logits.clone()
    for fast, _ in METHODS:
        fast(logits)
        assert torch.equal(logits, before)


def test_methods_by_name():
    named = [UNCERTAINTIES.get(name) for name in ("BvSB", "entropy", "margin", "least_confidence")]
    assert named == [fast for fast, _ in METHODS]
    with pytest.raises(ConfigError, match="variance"):
        UNCERTAINTIES.get("variance")


@pytest.mark.parametrize("method", [fast for fast, _ in METHODS])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_broken_logits_show(method, bad):
    logits = torch.zeros(3, 2, 2)
    logits[1, 0, 1] = bad
    assert torch.isnan(method(logits).uncertainty).tolist() == [[False, True], [False, False]]
