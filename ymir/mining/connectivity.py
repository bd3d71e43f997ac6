"""Connected components of label images, and merging the small ones, as PyTorch operators on the labels' device.

Nothing here depends on the order in which a device does things: what is summed are integers, and what is sorted has
distinct keys.
"""

from dataclasses import dataclass
from typing import Tuple

import torch

# Differences of colours are compared in sixteenths.
_STEPS = 16


def merge_small_components(labels: torch.Tensor, images: torch.Tensor, least_size: int) -> torch.Tensor:
    """Split labels into their 4-connected components and merge those that are too small into neighbours.

    A small component joins the neighbour whose mean colour is the most like its own, itself small or not; all do so
    at a time, as in Borůvka's algorithm for the least spanning tree. That is repeated until each has `least_size`
    pixels or is its whole image. No more than half of the small ones are left each time, so it ends.

    Args:
        labels: (B, H, W) integers.
        images: (B, H, W, 3) uint8, on the labels' device.
        least_size: in pixels.

    Returns:
        (B, H, W) int32 numbers of what the components became, from 0 in each image, in the order of their first
        pixels.
    """
    batch, height, width = labels.shape
    runs = _Runs.of(labels)
    component, first_run = _components(runs)
    count = len(first_run)
    one, other = component[runs.one], component[runs.other]
    low, high = _distinct(one, other)
    sums = _add(component, runs.sums(images), count)
    group = torch.arange(count, device=labels.device)
    while True:
        small = sums[:, 0] < least_size
        # Two that are large enough stay so.
        open_border = small[low] | small[high]
        low, high = low[open_border], high[open_border]
        if not len(low):
            break
        joins = _choose_neighbours(low, high, _difference(sums, low, high), small)
        group = joins[group]
        sums = _add(joins, sums, count)
        low, high = _distinct(joins[low], joins[high])
    number, first = _number(group)
    image = torch.div(runs.first_pixel[first_run], height * width, rounding_mode="floor")
    in_image = torch.bincount(image[first], minlength=batch)
    before = torch.cumsum(in_image, 0) - in_image
    return (number - before[image]).to(torch.int32)[component][runs.number]


def connected_components(labels: torch.Tensor) -> torch.Tensor:
    """The 4-connected components of equal labels.

    The runs of the rows are joined where they touch, by hooking trees and shortening paths (Shiloach, Vishkin: An
    O(log n) Parallel Connectivity Algorithm, Journal of Algorithms 1982).

    Args:
        labels: (B, H, W) integers.

    Returns:
        (B, H, W) int64 numbers, counted over the whole batch in the order of the components' first pixels.
    """
    runs = _Runs.of(labels)
    return _components(runs)[0][runs.number]


@dataclass(frozen=True)
class _Runs:
    """The runs of equal labels in the rows of a batch, R of them.

    number: (B, H, W) int64, which run each pixel is in.
    first_pixel: (R,) int64, row-major indices in the batch. label: (R,).
    one, other: (E,) int64, all pairs of runs that touch, each once, `one` being before `other`.
    """

    number: torch.Tensor
    first_pixel: torch.Tensor
    label: torch.Tensor
    one: torch.Tensor
    other: torch.Tensor

    @classmethod
    def of(cls, labels: torch.Tensor) -> "_Runs":
        begins = torch.ones(labels.shape, dtype=torch.bool, device=labels.device)
        begins[:, :, 1:] = labels[:, :, 1:] != labels[:, :, :-1]
        number = (torch.cumsum(begins.reshape(-1), 0) - 1).reshape(labels.shape)
        first_pixel = begins.reshape(-1).nonzero().squeeze(1)
        # Of two runs that touch, one begins at the first column that they share.
        touch = begins[:, 1:] | begins[:, :-1]
        follows = begins[:, :, 1:]
        return cls(
            number=number,
            first_pixel=first_pixel,
            label=labels.reshape(-1)[first_pixel],
            one=torch.cat([number[:, :-1][touch], number[:, :, :-1][follows]]),
            other=torch.cat([number[:, 1:][touch], number[:, :, 1:][follows]]),
        )

    def sums(self, images: torch.Tensor) -> torch.Tensor:
        """(R, 4) int64: each run's pixels, and the sums of their three colours."""
        bounds = torch.cat([self.first_pixel, self.first_pixel.new_full((1,), self.number.numel())])
        columns = [bounds[1:] - bounds[:-1]]
        for channel in range(3):
            before = torch.zeros(self.number.numel() + 1, dtype=torch.int64, device=images.device)
            torch.cumsum(images[..., channel].reshape(-1), 0, dtype=torch.int64, out=before[1:])
            columns.append(before[bounds[1:]] - before[bounds[:-1]])
        return torch.stack(columns, 1)


def _components(runs: _Runs) -> Tuple[torch.Tensor, torch.Tensor]:
    """The component of each run, numbered in the order of their first runs; and those first runs."""
    same = runs.label[runs.one] == runs.label[runs.other]
    root = _roots(runs.one[same], runs.other[same], len(runs.label))
    is_root = root == torch.arange(len(root), device=root.device)
    return (torch.cumsum(is_root, 0) - 1)[root], is_root.nonzero().squeeze(1)


def _roots(one: torch.Tensor, other: torch.Tensor, count: int) -> torch.Tensor:
    """For each of `count` nodes the lowest one that the edges (one, other) join it with."""
    parent = torch.arange(count, device=one.device)
    while True:
        low, high = torch.min(parent[one], parent[other]), torch.max(parent[one], parent[other])
        apart = low != high
        one, other, low, high = one[apart], other[apart], low[apart], high[apart]
        if not len(one):
            return parent
        # Each root takes the lowest that it meets: any would do, but with the lowest it takes the fewest rounds.
        edge = _first_of_each(high, low)
        parent[high[edge]] = low[edge]
        parent = _follow(parent)


def _follow(parent: torch.Tensor) -> torch.Tensor:
    """The end of the path of parents from each node."""
    while True:
        grandparent = parent[parent]
        if torch.equal(grandparent, parent):
            return parent
        parent = grandparent


def _first_of_each(group: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """For each group that occurs, in rising order, the index of an element with its lowest value."""
    order = torch.argsort(group * (value.max() + 1) + value)
    ordered = group[order]
    first = torch.ones(len(ordered), dtype=torch.bool, device=group.device)
    first[1:] = ordered[1:] != ordered[:-1]
    return order[first]


def _distinct(one: torch.Tensor, other: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
    """Each pair of different numbers once, the lower and the higher."""
    apart = one != other
    one, other = one[apart], other[apart]
    if not len(one):
        return one, other
    low, high = torch.min(one, other), torch.max(one, other)
    base = high.max() + 1
    pairs = torch.unique(low * base + high)
    low = torch.div(pairs, base, rounding_mode="floor")
    return low, pairs - low * base


def _add(target: torch.Tensor, values: torch.Tensor, count: int) -> torch.Tensor:
    return values.new_zeros((count, values.shape[1])).index_add_(0, target, values)


def _difference(sums: torch.Tensor, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The squared distance of the mean colours of two components, (E,) int64 in steps of 1 / _STEPS."""
    mean = sums[:, 1:].double() / sums[:, :1].clamp(min=1)
    return ((mean[one] - mean[other]).square().sum(1) * _STEPS).round().long()


def _choose_neighbours(
    low: torch.Tensor, high: torch.Tensor, difference: torch.Tensor, small: torch.Tensor
) -> torch.Tensor:
    """What each component becomes part of: itself where it is not small."""
    edge = torch.arange(len(low), device=low.device)
    # A strict order of the borders, the same from both sides, so that following choices never goes round in a circle
    # of more than two.
    place = torch.empty_like(edge)
    place[torch.argsort(difference * len(edge) + edge)] = edge
    one, other, place = torch.cat([low, high]), torch.cat([high, low]), torch.cat([place, place])
    chooses = small[one]
    one, other, place = one[chooses], other[chooses], place[chooses]
    best = _first_of_each(one, place)
    itself = torch.arange(len(small), device=low.device)
    target = itself.clone()
    target[one[best]] = other[best]
    mutual = (target[target] == itself) & (itself < target)
    return _follow(torch.where(mutual, itself, target))


def _number(group: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
    """For each member its group's number, in the order of the groups' first members; and those first members."""
    first = _first_of_each(group, torch.arange(len(group), device=group.device))
    first_of_group = torch.empty_like(group)
    first_of_group[group[first]] = first
    is_first = torch.zeros_like(group)
    is_first[first] = 1
    return (torch.cumsum(is_first, 0) - 1)[first_of_group[group]], torch.sort(first)[0]
