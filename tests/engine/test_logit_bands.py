import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.engine.logit_bands import LogitBands
from mmseg.engine.row_sources import ResizedRows, TensorRows, blend_at_once, blend_by_pair
from mmseg.errors import DataError
from mmseg.models import build_segmentor
from tests.models.configs import tiny

SMALL = st.tuples(st.integers(1, 60), st.integers(1, 60))
# To a single row torch itself resizes in another way in old versions.
SIZE = st.tuples(st.integers(2, 60), st.integers(2, 60))


def assert_close(found, expected, rtol, atol):
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=rtol, atol=atol)


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def as_inference_does(logits, input_size, content_size, size, align_corners):
    """The chain of whole tensors."""

    def resize(x, size):
        return x if tuple(x.shape[2:]) == tuple(size) else F.interpolate(x, size, None, "bilinear", align_corners)

    content = resize(logits[None], input_size)[:, :, : content_size[0], : content_size[1]]
    return resize(content, size)[0]


def resized(logits, size, align_corners=False, **more):
    return LogitBands.resized(
        logits, input_size=size, content_size=size, size=size, align_corners=align_corners, **more
    )


@settings(max_examples=300, deadline=None)
@given(
    channels=st.integers(1, 4),
    small=SMALL,
    input_size=SIZE,
    padding=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    size=SIZE,
    align_corners=st.booleans(),
    precision=st.sampled_from([(torch.float32, 1e-5), (torch.float64, 1e-12)]),
    channels_last=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_resizing_whole_tensors(
    channels, small, input_size, padding, size, align_corners, precision, channels_last, seed
):
    dtype, tolerance = precision
    logits = noise(channels, *small, seed=seed, dtype=dtype)
    if channels_last:
        logits = logits.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    content = tuple(max(1, side - pad) for side, pad in zip(input_size, padding))
    bands = LogitBands.resized(
        logits, input_size=input_size, content_size=content, size=size, align_corners=align_corners
    )
    assert (bands.channels, bands.size, bands.dtype) == (channels, size, dtype)
    expected = as_inference_does(logits, input_size, content, size, align_corners)
    assert_close(bands.tensor(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("kind", ["up", "down", "twice", "mean", "flipped", "there already"])
def test_the_height_of_a_band_changes_no_bit(kind, align_corners):
    # Wide, and with many channels, so that there are several bands.
    logits, size = noise(32, 11, 40), (67, 1500)
    if kind == "down":
        bands = resized(noise(32, 90, 1600), size, align_corners)
    elif kind == "there already":
        bands = LogitBands.of(noise(32, *size))
    elif kind == "twice":
        bands = LogitBands.resized(
            logits, input_size=(40, 900), content_size=(38, 811), size=size, align_corners=align_corners
        )
    elif kind == "mean":
        bands = LogitBands.mean([resized(logits, size, align_corners), resized(logits.flip(0), size, align_corners)])
    else:
        bands = resized(logits, size, align_corners, flip="vertical" if kind == "flipped" else None)
    whole = bands.tensor()
    own = [band.shape[1] for _, band in bands.bands()]
    assert len(own) > 3
    for rows in (1, 2, 7, own[0], own[0] + 1, 3 * own[0] - 1, 66, 67, 1000):
        top = 0
        for begin, band in bands.bands(rows):
            assert begin == top and band.is_contiguous()
            assert band.shape[1] == min(rows, 67 - top)
            assert torch.equal(band, whole[:, top : top + band.shape[1]])
            top += band.shape[1]
        assert top == 67
    with pytest.raises(ValueError, match="at least one row"):
        next(bands.bands(0))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_consumer_gets_every_band_once_whatever_the_number_of_threads(threads):
    bands = resized(noise(16, 40, 64), (320, 2048), False)
    whole, seen = bands.tensor(), torch.full((16, 320, 2048), float("nan"))
    parts = []

    def consumer(part):
        tops = []
        for top, band in part:
            assert seen[:, top : top + band.shape[1]].isnan().all()
            seen[:, top : top + band.shape[1]] = band
            tops.append(top)
        parts.append(tops)

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        bands.consume(consumer)
        class_map = bands.class_map()
    finally:
        torch.set_num_threads(before)
    assert torch.equal(seen, whole)
    assert len(parts) == threads and all(tops == sorted(tops) for tops in parts)
    assert torch.equal(class_map.long(), whole.max(0).indices)


class WatchedRows(TensorRows):
    """Notes how many rows are asked for at once."""

    def __init__(self, tensor):
        super().__init__(tensor)
        self.asked = []

    def rows(self, top, bottom):
        self.asked.append((top, bottom))
        return super().rows(top, bottom)


def test_a_band_is_made_when_it_is_asked_for_and_from_few_rows():
    source = WatchedRows(noise(16, 40, 64))
    bands = LogitBands(source=ResizedRows(source, (320, 2048), align_corners=False)).bands()
    assert source.asked == []
    next(bands)
    ((top, bottom),) = source.asked
    assert top == 0 and bottom <= 4
    rest = list(bands)
    assert len(rest) == 19
    assert max(bottom - top for top, bottom in source.asked) <= 5
    assert source.asked[-1][1] == 40


@pytest.mark.parametrize("blend", [blend_by_pair, blend_at_once])
def test_rows_between_two_rows(blend):
    source = noise(3, 4, 5)
    upper, lower = [0, 0, 1, 1, 1, 3], [1, 1, 2, 2, 0, 3]
    weight = torch.tensor([0.25, 0.75, 0.0, 1.0, 0.5, 0.5])[:, None]
    expected = source[:, upper] * (1 - weight) + source[:, lower] * weight
    assert_close(blend(source, upper, lower, weight), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_on_a_gpu_as_on_the_cpu():
    logits = noise(19, 32, 64)
    for flip in (None, "horizontal"):
        here = LogitBands.resized(
            logits, input_size=(128, 256), content_size=(120, 250), size=(300, 517), align_corners=False, flip=flip
        )
        there = LogitBands.resized(
            logits.cuda(),
            input_size=(128, 256),
            content_size=(120, 250),
            size=(300, 517),
            align_corners=False,
            flip=flip,
        )
        assert_close(there.tensor().cpu(), here.tensor(), rtol=1e-5, atol=1e-5)
        assert there.class_map().device.type == "cuda"
        assert (there.class_map().cpu() == here.class_map()).double().mean() > 0.9999
        assert_close(LogitBands.mean([there, there]).tensor().cpu(), here.tensor().log_softmax(0), rtol=1e-4, atol=1e-4)


def test_logits_that_are_there_are_not_copied():
    logits = noise(3, 8, 9)
    bands = LogitBands.of(logits)
    assert bands.tensor().data_ptr() == logits.data_ptr()
    assert bands.device == logits.device
    assert torch.equal(bands.tensor(), logits)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32_before_it_is_resized(dtype):
    logits = noise(3, 8, 9, dtype=dtype)
    for bands, expected in (
        (LogitBands.of(logits), logits.float()),
        (resized(logits, (31, 22)), F.interpolate(logits.float()[None], (31, 22), None, "bilinear", False)[0]),
    ):
        assert bands.dtype == torch.float32
        assert_close(bands.tensor(), expected, rtol=1e-5, atol=1e-5)


def test_equal_logits_stay_equal():
    # Above each other, and of several classes at one pixel: a tie of the network stays one.
    column = torch.full((1, 5, 1), 0.1)
    assert torch.equal(resized(column, (41, 1)).tensor(), torch.full((1, 41, 1), 0.1))
    bands = resized(noise(1, 5, 7).expand(6, 5, 7), (41, 83))
    assert not bands.class_map().any()


def test_a_single_row_is_from_the_middle():
    logits = noise(3, 4, 5)
    assert_close(resized(logits, (1, 5)).tensor()[:, 0], logits[:, 1:3].mean(1), rtol=1e-6, atol=1e-6)
    assert torch.equal(resized(logits, (1, 5), align_corners=True).tensor()[:, 0], logits[:, 0])
    assert torch.equal(resized(logits[:, :1], (4, 5)).tensor(), logits[:, :1].expand(3, 4, 5))


@pytest.mark.parametrize(
    "channels, dtype", [(1, torch.uint8), (3, torch.uint8), (256, torch.uint8), (257, torch.int16)]
)
def test_class_map(channels, dtype):
    logits = torch.randint(0, 3, (channels, 30, 700), generator=torch.Generator().manual_seed(1)).float()
    found = LogitBands.of(logits).class_map()
    assert found.dtype == dtype
    first = (logits == logits.max(dim=0).values).int().numpy().argmax(axis=0)  # numpy takes the first of equals
    assert torch.equal(found.long(), torch.from_numpy(first))


def test_the_class_map_is_computed_once_or_handed_over():
    bands = LogitBands.of(noise(3, 4, 5))
    assert bands.class_map() is bands.class_map()
    handed = torch.zeros(4, 5, dtype=torch.uint8)
    bands.remember_class_map(handed)
    assert bands.class_map() is handed


def test_one_channel_with_a_threshold_is_two_classes():
    x = noise(1, 30, 40) * 3
    bands = LogitBands.of(x, threshold=0.3)
    assert (bands.channels, bands.size) == (2, (30, 40))
    assert torch.equal(bands.tensor(), torch.cat([torch.zeros_like(x), x]))
    assert [band.shape for _, band in bands.bands(16)] == [(2, 16, 40), (2, 14, 40)]
    expected = torch.sigmoid(x[0]) > 0.3
    bands.remember_class_map((x[0] > 0).to(torch.uint8))  # not what the threshold says
    assert torch.equal(bands.class_map().bool(), expected)
    with pytest.raises(DataError, match="one channel, not by 3"):
        LogitBands.of(noise(3, 4, 5), threshold=0.3)


@pytest.mark.parametrize("one_channel", [False, True])
def test_the_mean_of_views_is_that_of_inference_views(one_channel):
    cfg = tiny(num_classes=3)
    if one_channel:
        loss = {"type": "CrossEntropyLoss", "use_sigmoid": True}
        cfg["decode_head"].update(num_classes=2, out_channels=1, loss_decode=loss)
    torch.manual_seed(0)
    model = build_segmentor(cfg).eval()
    size, flips = (50, 60), [None, "horizontal", "vertical"]
    images = [noise(1, 3, 64, 64, seed=seed) for seed in range(3)]
    contents = [(60, 50), (64, 64), (33, 40)]
    expected = model.inference_views(images, flips, size, contents)
    threshold = model.final_head.threshold if one_channel else None
    views = [
        LogitBands.resized(
            model.raw_logits(image)[0],
            input_size=(64, 64),
            content_size=content,
            size=size,
            align_corners=model.align_corners,
            flip=flip,
            threshold=threshold,
        )
        for image, flip, content in zip(images, flips, contents)
    ]
    mean = LogitBands.mean(views)
    assert mean.members() == tuple(views)
    found = torch.softmax(mean.tensor(), dim=0)
    assert_close(found, model.probabilities(expected)[0], rtol=1e-5, atol=1e-6)
    assert torch.equal(mean.class_map().long(), model.class_map(expected)[0])


def test_a_certain_mean_is_finite():
    for threshold, logits in ((None, torch.tensor([200.0, -200.0]).view(2, 1, 1)), (0.3, torch.full((1, 1, 1), 200.0))):
        bands = LogitBands.of(logits, threshold)
        assert torch.isfinite(LogitBands.mean([bands, bands]).tensor()).all()


def test_a_single_member():
    bands = LogitBands.of(noise(3, 4, 5))
    assert bands.members() == (bands,)
    assert LogitBands.mean([bands]) is bands


def test_members_that_do_not_fit_are_refused():
    first = LogitBands.of(noise(3, 4, 5))
    with pytest.raises(DataError, match="at least one"):
        LogitBands.mean([])
    with pytest.raises(DataError, match=r"3 of \(4, 5\) and 3 of \(5, 4\)"):
        LogitBands.mean([first, LogitBands.of(noise(3, 5, 4))])
    with pytest.raises(DataError, match="diagonal"):
        resized(noise(3, 4, 5), (8, 8), flip="diagonal")
    for shape in ((4, 5), (1, 3, 4, 5), (3, 0, 5)):
        with pytest.raises(DataError, match="channels, height, width"):
            LogitBands.of(torch.zeros(shape))


def test_nan_spreads_no_further_than_its_neighbours():
    logits = torch.zeros(2, 6, 6)
    logits[1, 3, 3] = float("nan")
    found = torch.isnan(resized(logits, (24, 24)).tensor())
    expected = torch.isnan(F.interpolate(logits[None], (24, 24), None, "bilinear", False)[0])
    assert torch.equal(found, expected)
    assert 0 < int(found.sum()) < 100
