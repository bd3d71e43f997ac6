"""Images of several channels that are made a few rows at a time: resized, cropped, flipped and averaged on demand."""

from typing import Iterable, List, Sequence, Tuple

import torch
import torch.nn.functional as F

from mmseg.errors import DataError
from mmseg.models.segmentors.encoder_decoder import PROBABILITY_FLOOR

Size = Tuple[int, int]


class RowSource:
    """An image (C, H, W) that gives any of its rows.

    The same rows may differ in the last digit when they are asked for together with others; who wants the same bits
    asks for the same rows.
    """

    def __init__(self, channels: int, size: Size, dtype: torch.dtype, device: torch.device) -> None:
        self.channels = channels
        self.size = size
        self.dtype = dtype
        self.device = device

    def rows(self, top: int, bottom: int) -> torch.Tensor:
        """Rows `top` to `bottom`, which does not count, (C, bottom - top, W). Not to be written to."""
        raise NotImplementedError


class TensorRows(RowSource):
    """The rows of a tensor (C, H, W), in float64 where it has that, else in float32."""

    def __init__(self, tensor: torch.Tensor) -> None:
        if tensor.dim() != 3 or 0 in tensor.shape:
            raise DataError(f"logits of one image have the shape (channels, height, width), not {tuple(tensor.shape)}")
        dtype = torch.float64 if tensor.dtype == torch.float64 else torch.float32
        super().__init__(int(tensor.shape[0]), (int(tensor.shape[1]), int(tensor.shape[2])), dtype, tensor.device)
        self.tensor = tensor.detach()

    def rows(self, top: int, bottom: int) -> torch.Tensor:
        return self.tensor[:, top:bottom].to(self.dtype)


class ResizedRows(RowSource):
    """Another source resized bilinearly, equal to torch's `interpolate` to rounding. (Versions of torch as old as 1.8
    take the first pixel where the result is to be one pixel high or wide; here that is so of the width alone.)

    The few source rows that are needed are interpolated along their length once, then between each other.

    Args:
        source: what to resize.
        size: (height, width) to resize to.
        align_corners: whether the centres of the corner pixels keep their places, else the corners of the image do.
    """

    def __init__(self, source: RowSource, size: Size, *, align_corners: bool) -> None:
        super().__init__(source.channels, size, source.dtype, source.device)
        self._source = source
        self._align_corners = align_corners
        upper, weight = _between(source.size[0], size[0], align_corners, source.dtype)
        self._upper: List[int] = upper.tolist()
        self._weight = weight.to(source.device)[:, None]

    def rows(self, top: int, bottom: int) -> torch.Tensor:
        source_height, source_width = self._source.size
        if source_height == self.size[0]:
            return self._stretch(self._source.rows(top, bottom))
        first, last = self._upper[top], min(self._upper[bottom - 1] + 1, source_height - 1)
        stretched = self._stretch(self._source.rows(first, last + 1))
        upper = [row - first for row in self._upper[top:bottom]]
        lower = [min(row + 1, last - first) for row in upper]
        blend = blend_by_pair if self.device.type == "cpu" else blend_at_once
        return blend(stretched, upper, lower, self._weight[top:bottom])

    def _stretch(self, rows: torch.Tensor) -> torch.Tensor:
        if rows.shape[2] == self.size[1]:
            return rows
        size = (int(rows.shape[1]), self.size[1])
        return F.interpolate(rows[None].contiguous(), size, mode="bilinear", align_corners=self._align_corners)[0]


def blend_by_pair(
    source: torch.Tensor, upper: Sequence[int], lower: Sequence[int], weight: torch.Tensor
) -> torch.Tensor:
    """Rows of weighted means of two rows each, in the way that is fast on a CPU: those between the same two rows of the
    source together, so that the two stay in the cache while all are written.

    Args:
        source: (C, h, W).
        upper, lower: n rows of the source.
        weight: (n, 1), of the lower ones.

    Returns:
        (C, n, W).
    """
    result = source.new_empty(source.shape[0], len(upper), source.shape[2])
    begin = 0
    while begin < len(upper):
        end = begin + 1
        while end < len(upper) and (upper[end], lower[end]) == (upper[begin], lower[begin]):
            end += 1
        above, below = (source[:, row[begin] : row[begin] + 1] for row in (upper, lower))
        torch.lerp(above, below, weight[begin:end], out=result[:, begin:end])
        begin = end
    return result


def blend_at_once(
    source: torch.Tensor, upper: Sequence[int], lower: Sequence[int], weight: torch.Tensor
) -> torch.Tensor:
    """The same in a few large steps, as an accelerator wants it."""
    index = torch.tensor([upper, lower], device=source.device)
    return torch.lerp(source.index_select(1, index[0]), source.index_select(1, index[1]), weight)


def _between(
    length: int, new_length: int, align_corners: bool, dtype: torch.dtype
) -> Tuple[torch.Tensor, torch.Tensor]:
    """For each of `new_length` pixels along a line, the first of the two of `length` pixels that it lies between, and
    the weight of the second; in the precision `dtype`, as torch computes them."""
    position = torch.arange(new_length, dtype=dtype)
    if align_corners:
        position.mul_((length - 1) / (new_length - 1) if new_length > 1 else 0.0)
    else:
        position.add_(0.5).mul_(length / new_length).sub_(0.5).clamp_(min=0)
    first = position.floor().clamp_(max=length - 1)
    return first.long(), (position - first).clamp_(0, 1)


class CroppedRows(RowSource):
    """The part (height, width) of another source at its top left."""

    def __init__(self, source: RowSource, size: Size) -> None:
        super().__init__(source.channels, size, source.dtype, source.device)
        self._source = source

    def rows(self, top: int, bottom: int) -> torch.Tensor:
        return self._source.rows(top, bottom)[:, :, : self.size[1]]


class FlippedRows(RowSource):
    """Another source mirrored, 'horizontal' or 'vertical'."""

    def __init__(self, source: RowSource, direction: str) -> None:
        if direction not in ("horizontal", "vertical"):
            raise DataError(f"a view is flipped 'horizontal', 'vertical' or None, not {direction!r}")
        super().__init__(source.channels, source.size, source.dtype, source.device)
        self._source = source
        self._horizontal = direction == "horizontal"

    def rows(self, top: int, bottom: int) -> torch.Tensor:
        if self._horizontal:
            return self._source.rows(top, bottom).flip(2)
        height = self.size[0]
        return self._source.rows(height - bottom, height - top).flip(1)


class MeanRows(RowSource):
    """Logits whose probabilities are the mean of those of several sources of one size.

    Args:
        sources: logits, of one channel where that is to be taken as the log-odds of the second of two classes.
    """

    def __init__(self, sources: Sequence[RowSource]) -> None:
        first = sources[0]
        super().__init__(first.channels, first.size, first.dtype, first.device)
        self._sources = list(sources)

    def rows(self, top: int, bottom: int) -> torch.Tensor:
        rows = (source.rows(top, bottom) for source in self._sources)
        if self.channels == 1:
            mean = sum(torch.sigmoid(logits) for logits in rows) / len(self._sources)
            # Double precision tells 1 - 1e-12 from 1.
            return torch.logit(mean.double(), eps=PROBABILITY_FLOOR).to(self.dtype)
        return mean_logits(rows)


def mean_logits(several: Iterable[torch.Tensor]) -> torch.Tensor:
    """The logarithm of the mean of several predictions' probabilities, floored at 1e-12.

    Args:
        several: logits (C, ...) of one shape, at least one.

    Returns:
        Log-probabilities (C, ...).
    """
    mean, count = None, 0
    for logits in several:
        odds = (logits - logits.amax(0)).exp_()
        odds.div_(odds.sum(0))
        mean = odds if mean is None else mean.add_(odds)
        count += 1
    return mean.div_(count).clamp_(min=PROBABILITY_FLOOR).log_()
