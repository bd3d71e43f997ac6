"""The logits of an image at its own size, made in bands of rows as they are consumed.

At 2048 x 1024 pixels and 19 classes all logits are 160 MB, most of which is interpolation. What comes after the network
needs each pixel once, so the network's own small logits are kept and a band at a time is made from them, small enough
to stay in a CPU's cache until it has been used.
"""

from functools import partial
from typing import Callable, Iterable, Iterator, List, Optional, Sequence, Tuple

import torch

from mmseg.engine.band_threads import run_in_threads
from mmseg.engine.row_sources import CroppedRows, FlippedRows, MeanRows, ResizedRows, RowSource, Size, TensorRows
from mmseg.engine.running_max import class_dtype, first_best, running_max
from mmseg.errors import DataError

# Bands from top to bottom: the row of the image at which each begins, and its logits (C, n, W).
Bands = Iterator[Tuple[int, torch.Tensor]]

# Values of a band: on a CPU few enough to stay in its cache and enough to keep its threads busy, elsewhere bounded by
# memory alone.
_BAND_ON_CPU = 1 << 19
_BAND_ELSEWHERE = 1 << 26


class LogitBands:
    """The logits of one image at its own size.

    Args:
        source: the logits, one channel for each class; or with `threshold` the log-odds of the second of two classes.
        threshold: the probability above which a pixel is of the second class, of a network with one output channel.
        members: the predictions whose mean this is.
    """

    def __init__(
        self,
        *,
        source: RowSource,
        threshold: Optional[float] = None,
        members: Sequence["LogitBands"] = (),
    ) -> None:
        if threshold is not None and source.channels != 1:
            raise DataError(f"a threshold tells two classes apart by one channel, not by {source.channels}")
        self._source = source
        self._threshold = threshold
        self._members = tuple(members)
        self._class_map: Optional[torch.Tensor] = None
        on_cpu = source.device.type == "cpu"
        values = _BAND_ON_CPU if on_cpu else _BAND_ELSEWHERE
        self._rows = min(source.size[0], max(1, values // (self.channels * source.size[1])))

    @classmethod
    def of(cls, logits: torch.Tensor, threshold: Optional[float] = None) -> "LogitBands":
        """Logits (C, H, W) that are there already. They are not copied as a whole."""
        return cls(source=TensorRows(logits), threshold=threshold)

    @classmethod
    def resized(
        cls,
        logits: torch.Tensor,
        *,
        input_size: Size,
        content_size: Size,
        size: Size,
        align_corners: bool,
        flip: Optional[str] = None,
        threshold: Optional[float] = None,
    ) -> "LogitBands":
        """A network's own logits, resized as `EncoderDecoder.inference` does.

        Args:
            logits: (C, h, w) as the network gives them.
            input_size: (height, width) of the network's input, to which they are resized first.
            content_size: (height, width) of what is not padding at the input's top left; the rest is cut off.
            size: (height, width) of the image, to which they are resized then.
            align_corners: of both.
            flip: 'horizontal' or 'vertical' where the input was mirrored; the result is mirrored back.
            threshold: as of LogitBands.
        """
        source: RowSource = TensorRows(logits)
        if source.size != tuple(input_size):
            source = ResizedRows(source, tuple(input_size), align_corners=align_corners)
        if source.size != tuple(content_size):
            source = CroppedRows(source, tuple(content_size))
        if source.size != tuple(size):
            source = ResizedRows(source, tuple(size), align_corners=align_corners)
        if flip is not None:
            source = FlippedRows(source, flip)
        return cls(source=source, threshold=threshold)

    @classmethod
    def mean(cls, members: Sequence["LogitBands"]) -> "LogitBands":
        """Logits whose probabilities are the mean of those of several predictions of the same image.

        Raises DataError where there is none, or they differ in size or channels.
        """
        if not members:
            raise DataError("the mean of predictions needs at least one")
        first = members[0]
        for member in members:
            if (member.channels, member.size) != (first.channels, first.size):
                raise DataError(
                    "predictions with one mean have the same channels and size, not "
                    f"{first.channels} of {first.size} and {member.channels} of {member.size}"
                )
        if len(members) == 1:
            return first
        source = MeanRows([member._source for member in members])
        return cls(source=source, threshold=first._threshold, members=members)

    @property
    def channels(self) -> int:
        """Number of classes."""
        return self._source.channels if self._threshold is None else 2

    @property
    def size(self) -> Size:
        """(height, width) of the image."""
        return self._source.size

    @property
    def device(self) -> torch.device:
        return self._source.device

    @property
    def dtype(self) -> torch.dtype:
        """float64 where the network computed in it, else float32."""
        return self._source.dtype

    def members(self) -> Tuple["LogitBands", ...]:
        """The single predictions whose mean this is: several views or samples, or this one alone."""
        return self._members or (self,)

    def bands(self, rows: Optional[int] = None) -> Bands:
        """All logits from top to bottom, each band made when it is asked for.

        Args:
            rows: height of a band (the last may be lower); None is a good one for the device. The logits are the same
                bits whatever it is.

        Yields:
            (row of the image at which the band begins, contiguous (channels, n, W) logits). One sigmoid channel x comes
            as the logits (0, x) of two classes. They are not to be written to.
        """
        if rows is not None and rows < 1:
            raise ValueError(f"a band has at least one row, not {rows}")
        tops = range(0, self.size[0], self._rows)
        if rows is None or rows == self._rows:
            for top, logits in self._bands(tops):
                yield top, logits.contiguous()
            return
        # Always made in the same pieces, because a pixel's last digit may depend on what is computed along with it.
        held: List[torch.Tensor] = []
        top = count = 0
        for _, logits in self._source_bands(tops):
            held.append(logits)
            count += logits.shape[1]
            if count < rows and top + count < self.size[0]:
                continue
            joined = torch.cat(held, dim=1) if len(held) > 1 else logits
            for band in joined.split(rows, dim=1):
                if band.shape[1] < rows and top + band.shape[1] < self.size[0]:
                    break
                yield top, self._by_class(band).contiguous()
                top += band.shape[1]
                count -= band.shape[1]
            held = [joined[:, joined.shape[1] - count :]] if count else []

    def consume(self, consumer: Callable[[Bands], None]) -> None:
        """Have a consumer go through all bands, on a CPU several at once.

        Args:
            consumer: is called for each of several parts of the image, in as many threads as torch may use here, with
                what `bands` yields for that part, of which the rows of one channel are contiguous at least.
        """
        tops = range(0, self.size[0], self._rows)
        parts = min(torch.get_num_threads(), len(tops)) if self.device.type == "cpu" else 1
        bounds = [len(tops) * part // parts for part in range(parts + 1)]
        run_in_threads([partial(consumer, self._bands(tops[begin:end])) for begin, end in zip(bounds[:-1], bounds[1:])])

    def tensor(self) -> torch.Tensor:
        """All logits at once, (channels, H, W). Not to be written to."""
        if self._threshold is None and isinstance(self._source, TensorRows):
            return self._source.rows(0, self.size[0])
        result = torch.empty((self.channels, *self.size), dtype=self.dtype, device=self.device)
        for top, band in self.bands():
            result[:, top : top + band.shape[1]] = band
        return result

    def class_map(self) -> torch.Tensor:
        """The class of each pixel: (H, W), of the narrowest integer type that holds the ids.

        It is the one of the highest logit, the lowest id on ties; where one channel tells two classes apart, the second
        where its probability is above the threshold. Computed once.
        """
        if self._class_map is None:
            result = torch.empty(self.size, dtype=class_dtype(self.channels), device=self.device)
            self.consume(partial(self._classify, result))
            self._class_map = result
        return self._class_map

    def remember_class_map(self, best: torch.Tensor) -> None:
        """Take over the class (H, W) of the highest logit, the lowest on ties, from who has gone through the bands.

        Nothing is taken over where a threshold decides on the class.
        """
        if self._threshold is None:
            self._class_map = best

    def _classify(self, result: torch.Tensor, bands: Bands) -> None:
        for top, band in bands:
            if self._threshold is None:
                classes = first_best(running_max(band.view(self.channels, -1)))
            else:
                classes = torch.sigmoid(band[1]) > self._threshold
            result[top : top + band.shape[1]] = classes.view(band.shape[1:])

    def _bands(self, tops: Iterable[int]) -> Bands:
        return ((top, self._by_class(logits)) for top, logits in self._source_bands(tops))

    def _source_bands(self, tops: Iterable[int]) -> Bands:
        for top in tops:
            yield top, self._source.rows(top, min(top + self._rows, self.size[0]))

    def _by_class(self, logits: torch.Tensor) -> torch.Tensor:
        if self._threshold is not None:
            return torch.cat([torch.zeros_like(logits), logits])
        return logits if logits[0].is_contiguous() else logits.contiguous()
