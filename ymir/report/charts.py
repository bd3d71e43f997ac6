"""The charts of a report: HTML with inline SVG, legible at any width and without scripts."""

import math
from typing import List, NamedTuple, Optional, Sequence

import numpy as np

from ymir.report.formatting import counted, number, share, text

# Bins of a histogram at most, up to one more at each end.
_BINS = 48
# Counts are drawn on a logarithmic scale where the highest bar is more than so many times the lowest.
_LINEAR_RANGE = 200
# Units of the drawing, which is stretched to the width of the page.
_WIDTH, _HEIGHT = 1000, 200
# Classes beyond so many are folded away.
_CLASSES_SHOWN = 24


class Histogram(NamedTuple):
    """How many images score how much.

    Args:
        edges: (bins + 1,) float64, rising.
        counts: (bins,) int64, images with edges[i] <= score < edges[i + 1], in the last bin <=.
        first_kept: the first bin of kept images; bins where none is kept, 0 where all are.
        cut: the score of the last kept image, an edge of the histogram; None where all images are kept, or none.
        unscored: how many scores are NaN or infinite.
    """

    edges: np.ndarray
    counts: np.ndarray
    first_kept: int
    cut: Optional[float]
    unscored: int


def bin_scores(scores: np.ndarray, kept: int) -> Histogram:
    """The histogram of image scores, of which the `kept` highest are kept. No bin spans the cut between them."""
    scores = np.asarray(scores, np.float64).reshape(-1)
    # The difference of two finite numbers is to be one as well.
    finite = np.clip(scores[np.isfinite(scores)], -1e300, 1e300)
    unscored = len(scores) - len(finite)
    if not len(finite):
        return Histogram(np.zeros(1), np.zeros(0, np.int64), 0, None, unscored)
    cut = None
    if 0 < kept < len(finite):
        cut = float(np.partition(finite, len(finite) - kept)[len(finite) - kept])
    low, high = float(finite.min()), float(finite.max())
    width = (high - low) / _BINS
    anchor = low if cut is None else cut
    if not width > 0:
        anchor, width = low, 1.0
    bins = np.floor((finite - anchor) / width).astype(np.int64)
    first = int(bins.min())
    counts = np.bincount(bins - first)
    edges = anchor + width * np.arange(first, first + len(counts) + 1)
    at_cut = len(counts) if kept <= 0 else 0 if cut is None else -first
    return Histogram(edges, counts, at_cut, cut, unscored)


def score_chart(scores: np.ndarray, kept: int) -> str:
    """HTML: the histogram of image scores with the cut between the `kept` highest and the rest."""
    histogram = bin_scores(scores, kept)
    if not len(histogram.counts):
        return '<p class="empty">No image has a score.</p>'
    counts, edges = histogram.counts, histogram.edges
    scale = _CountScale(counts)
    step = _WIDTH / len(counts)
    bars = []
    for i, count in enumerate(counts.tolist()):
        if count:
            height = max(1.0, _HEIGHT * scale(count))
            name = "kept" if i >= histogram.first_kept else "rest"
            title = f"{counted(count, 'image')} from {number(edges[i])} to {number(edges[i + 1])}"
            bars.append(
                f'<rect class="{name}" x="{i * step + 0.1 * step:.2f}" y="{_HEIGHT - height:.2f}" '
                f'width="{0.8 * step:.2f}" height="{height:.2f}"><title>{text(title)}</title></rect>'
            )
    grid, labels = [], []
    for tick in scale.ticks():
        up = scale(tick)
        grid.append(f'<line x1="0" x2="{_WIDTH}" y1="{_HEIGHT * (1 - up):.2f}" y2="{_HEIGHT * (1 - up):.2f}"/>')
        labels.append(f'<span class="y" style="bottom:{100 * up:.2f}%">{number(tick)}</span>')
    low, span = float(edges[0]), float(edges[-1] - edges[0])
    for tick in _round_ticks(low, low + span, 7):
        labels.append(f'<span class="x" style="left:{100 * (tick - low) / span:.2f}%">{number(tick)}</span>')
    cut_line = ""
    if histogram.cut is not None:
        at = 100 * histogram.first_kept / len(counts)
        side = "left" if at < 50 else "right"
        cut_line = f'<div class="cut {side}" style="left:{at:.2f}%"><span>cut {number(histogram.cut)}</span></div>'
    summary = _summary(scores, histogram)
    unit = "images, logarithmic scale" if scale.logarithmic else "images"
    kept_name = "kept" if histogram.cut is None else "at or above the cut"
    legend = f'<span class="key kept"></span>{kept_name}' if kept > 0 else ""
    if histogram.first_kept > 0:
        legend += '<span class="key rest"></span>not kept'
    return (
        f'<div class="plot-head"><span>{unit}</span><span class="legend">{legend}</span></div>'
        f'<div class="plot"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{text(summary)}"><g class="grid">{"".join(grid)}</g>{"".join(bars)}</svg>'
        f'{"".join(labels)}{cut_line}</div><p class="axis">score of an image</p><p class="note">{text(summary)}</p>'
    )


def class_chart(
    names: Sequence[str],
    colours: Sequence[str],
    chosen: Sequence[float],
    pool: Optional[Sequence[float]] = None,
) -> str:
    """HTML: bars of the share that each class has in the regions to label, the largest first.

    Args:
        names: of the classes.
        colours: a CSS colour for each.
        chosen: how much of the regions to label was predicted as each class; any unit.
        pool: likewise of the whole pool, to compare with.
    """
    whole, pool_whole = sum(chosen), sum(pool) if pool is not None else 0
    pool = pool if pool is not None and pool_whole > 0 else None
    parts = [part / whole if whole > 0 else 0.0 for part in chosen]
    pool_parts = [part / pool_whole for part in pool] if pool is not None else [0.0] * len(parts)
    widest = max([*parts, *pool_parts, 0.0])
    order = sorted(range(len(parts)), key=lambda i: (-parts[i], -pool_parts[i], i))
    rows = []
    for i in order:
        if not parts[i] and not pool_parts[i]:
            continue
        numbers = f"<b>{share(parts[i], 1)}</b>"
        bars = f'<i class="bar" style="width:{100 * parts[i] / widest:.2f}%;background:{colours[i]}"></i>' * (
            parts[i] > 0
        )
        if pool is not None:
            numbers += f" <small>pool {share(pool_parts[i], 1)}</small>"
            bars += f'<i class="bar pool" style="width:{100 * pool_parts[i] / widest:.2f}%"></i>'
        rows.append(
            f'<tr><th scope="row"><bdi>{text(names[i])}</bdi></th><td class="bars" aria-hidden="true">{bars}</td>'
            f'<td class="num">{numbers}</td></tr>'
        )
    if not rows:
        return '<p class="empty">There are no regions to label.</p>'
    shown = f'<table class="classes">{"".join(rows[:_CLASSES_SHOWN])}</table>'
    if len(rows) > _CLASSES_SHOWN:
        rest = rows[_CLASSES_SHOWN:]
        shown += (
            f"<details><summary>{len(rest)} more classes</summary>"
            f'<table class="classes">{"".join(rest)}</table></details>'
        )
    return shown


class _CountScale:
    """Counts of images to heights from 0 to 1."""

    def __init__(self, counts: np.ndarray) -> None:
        self._top = int(counts.max())
        self.logarithmic = self._top > _LINEAR_RANGE * int(counts[counts > 0].min())

    def __call__(self, count: float) -> float:
        if self.logarithmic:
            return math.log10(1 + count) / math.log10(1 + self._top)
        return count / self._top

    def ticks(self) -> List[int]:
        if self.logarithmic:
            return [10**power for power in range(int(math.log10(self._top)) + 1)]
        return sorted({int(tick) for tick in _round_ticks(0, self._top, 4) if tick == int(tick) and tick > 0})


def _round_ticks(low: float, high: float, about: int) -> List[float]:
    """Round numbers from `low` to `high`, about so many."""
    raw = (high - low) / about
    if not raw > 0 or not math.isfinite(raw):
        return []
    power = 10.0 ** math.floor(math.log10(raw))
    if not power > 0:
        return []
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    first, last = math.ceil(low / step), math.floor(high / step)
    # Rounding errors at the end of a tick's digits would be printed.
    return [float(f"{i * step:.10g}") for i in range(first, last + 1)][: 4 * about]


def _summary(scores: np.ndarray, histogram: Histogram) -> str:
    finite = np.asarray(scores, np.float64).reshape(-1)
    finite = finite[np.isfinite(finite)]
    low, middle, high = (number(float(value)) for value in (finite.min(), np.median(finite), finite.max()))
    summary = f"{counted(len(finite), 'image')} with scores from {low} to {high}, median {middle}."
    if histogram.cut is not None:
        summary += f" The last image kept scores {number(histogram.cut)}."
    if histogram.unscored:
        summary += f" {counted(histogram.unscored, 'image')} without a score."
    return summary
