from collections import deque

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ymir.mining.connectivity import connected_components, merge_small_components


def plain_components(labels):
    """One flood fill for each component of one image, from its first pixel on."""
    found = np.full(labels.shape, -1, np.int64)
    for number, start in enumerate(iter(lambda: np.flatnonzero(found.reshape(-1) < 0)[:1].tolist(), [])):
        first = divmod(start[0], labels.shape[1])
        found[first] = number
        waiting = deque([first])
        while waiting:
            y, x = waiting.popleft()
            for neighbour in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= neighbour[0] < labels.shape[0] and 0 <= neighbour[1] < labels.shape[1]
                if inside and found[neighbour] < 0 and labels[neighbour] == labels[y, x]:
                    found[neighbour] = number
                    waiting.append(neighbour)
    return found


def plain_merge(labels, image, least_size):
    """The documented rule, one component after the other; equally similar borders in the order of their numbers."""
    group = plain_components(labels)
    while True:
        borders = set()
        for y, x in np.ndindex(group.shape):
            for other in ((y + 1, x), (y, x + 1)):
                if other[0] < group.shape[0] and other[1] < group.shape[1] and group[other] != group[y, x]:
                    borders.add(tuple(sorted((int(group[y, x]), int(group[other])))))
        size = {int(g): int((group == g).sum()) for g in np.unique(group)}
        mean = {g: image[group == g].astype(np.int64).sum(0) / size[g] for g in size}
        rank = {
            border: (round(16 * float(((mean[border[0]] - mean[border[1]]) ** 2).sum())), border) for border in borders
        }
        choice = {}
        for g in size:
            own = [border for border in borders if g in border]
            if size[g] < least_size and own:
                best = min(own, key=rank.__getitem__)
                choice[g] = best[0] if best[1] == g else best[1]
        if not choice:
            break
        roots = {g: choice.get(g, g) for g in size}
        roots = {g: g if roots[target] == g and g < target else target for g, target in roots.items()}
        for _ in size:
            roots = {g: roots[target] for g, target in roots.items()}
        group = np.vectorize(roots.__getitem__)(group)
    order = []
    for g in group.reshape(-1).tolist():
        if g not in order:
            order.append(g)
    return np.vectorize(order.index)(group)


def spiral(side):
    """A path one pixel wide, from the corner to the middle."""
    picture = np.zeros((side, side), np.uint8)
    y, x, down, right = 0, 0, 0, 1
    picture[0, 0] = 1
    while True:
        for _ in range(2):
            ahead = y + down, x + right
            beyond = y + 2 * down, x + 2 * right
            free = 0 <= ahead[0] < side and 0 <= ahead[1] < side and not picture[ahead]
            inside = 0 <= beyond[0] < side and 0 <= beyond[1] < side
            if free and not (inside and picture[beyond]):
                y, x = ahead
                picture[ahead] = 1
                break
            down, right = right, -down
        else:
            return picture


sides = st.integers(1, 9)
shapes = st.tuples(st.integers(1, 3), sides, sides)
few_labels = shapes.flatmap(lambda shape: arrays.arrays(np.int64, shape, elements=st.integers(0, 2)))


@given(few_labels)
def test_components_equal_flood_fill(labels):
    found = connected_components(torch.from_numpy(labels)).numpy()
    before = 0
    for image, component in zip(labels, found):
        expected = plain_components(image)
        np.testing.assert_array_equal(component, expected + before)
        before += expected.max() + 1


@pytest.mark.parametrize(
    "picture",
    [
        spiral(41),
        np.indices((40, 40)).sum(0).astype(np.uint8) % 2,
        np.tile(np.array([[1, 0], [1, 1]], np.uint8), (1, 400)),
        np.tile(np.array([[1, 1], [1, 0]], np.uint8), (1, 400)),
        np.random.default_rng(0).integers(0, 2, (300, 400), dtype=np.uint8),
    ],
    ids=["spiral", "checkerboard", "comb", "comb upside down", "noise"],
)
def test_long_and_many_components(picture):
    found = connected_components(torch.from_numpy(picture)[None])[0].numpy()
    expected = 0
    for value in (0, 1):
        count, by_opencv = cv2.connectedComponents((picture == value).astype(np.uint8), connectivity=4)
        expected += count - 1
        pairs = np.unique(np.stack([by_opencv[picture == value], found[picture == value]]), axis=1)
        assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
    assert found.max() + 1 == expected


@settings(max_examples=150, deadline=None)
@given(few_labels, st.integers(1, 30), st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 256]))
def test_merging_equals_the_plain_rule(labels, least_size, seed, num_colors):
    images = np.random.default_rng(seed).integers(0, num_colors, (*labels.shape, 3)).astype(np.uint8)
    found = merge_small_components(torch.from_numpy(labels), torch.from_numpy(images), least_size)
    assert found.dtype == torch.int32
    for image, label, result in zip(images, labels, found.numpy()):
        np.testing.assert_array_equal(result, plain_merge(label, image, least_size))


@pytest.mark.parametrize("num_labels", [2, 1000])
def test_all_are_large_enough_and_connected(num_labels):
    rng = np.random.default_rng(num_labels)
    labels = torch.from_numpy(rng.integers(0, num_labels, (2, 90, 70)))
    images = torch.from_numpy(rng.integers(0, 256, (2, 90, 70, 3), dtype=np.uint8))
    merged = merge_small_components(labels, images, 50)
    for image in merged:
        sizes = np.bincount(image.numpy().reshape(-1))
        assert sizes.min() >= 50 and len(sizes) > 1
        assert int(connected_components(image[None]).max()) + 1 == len(sizes)


def test_an_image_smaller_than_the_least_size_becomes_one():
    labels = torch.arange(12).reshape(1, 3, 4)
    assert not merge_small_components(labels, torch.zeros(1, 3, 4, 3, dtype=torch.uint8), 100).any()
