"""The exact percentile of more numbers than memory holds, by several passes over them."""

import math
from typing import Callable, Dict, Iterable, Iterator, List, Sequence, Tuple

import numpy as np

# The numbers in any division into arrays, as often as they are asked for.
Chunks = Callable[[], Iterable[np.ndarray]]

# Bits by which one pass narrows down where a number lies. A number has 64.
_DIGIT = 16
# Numbers worked on at once, and held at once in the end.
_BLOCK = 1 << 18
_MOST_HELD = 1 << 19


def streamed_percentile(chunks: Chunks, count: int, percent: float, *, most_held: int = _MOST_HELD) -> float:
    """The percentile, with linear interpolation, of `count` float64 numbers: what `numpy.percentile` gives for all of
    them at once, bit for bit, since both interpolate in the same way between the same two numbers.

    The two numbers are found by radix selection (Knuth: The Art of Computer Programming, volume 3, 5.2.5 and 5.3.3):
    each pass counts the next 16 bits of those numbers that agree with a wanted one in the bits before, until few
    enough are left to sort. A call takes one pass where `most_held` numbers are all, and at most four.

    Args:
        chunks: gives all the numbers anew at each call, one array after another; the order makes no difference.
        count: how many numbers there are, at least 1.
        percent: from 0 to 100.
        most_held: most numbers held in memory at once.

    Raises:
        ValueError: there are not `count` numbers, or one of them is NaN.
    """
    if count < 1:
        raise ValueError("there is no percentile of no numbers")
    position = (count - 1) * (percent / 100)
    lower = math.floor(position)
    upper = min(lower + 1, count - 1)
    low, high = _order_statistics(chunks, count, (lower, upper), most_held)
    share, difference = position - lower, high - low
    return high - difference * (1 - share) if share >= 0.5 else low + difference * share


def _order_statistics(chunks: Chunks, count: int, ranks: Sequence[int], most_held: int) -> List[float]:
    """The numbers of the given ranks, 0 being the smallest's."""
    # For each rank the leading bits of its number's key, and its rank among the numbers that begin so.
    found: List[Tuple[int, int]] = [(0, rank) for rank in ranks]
    shift, left = 64, count
    while shift and left > most_held:
        shift -= _DIGIT
        histograms = _histograms(chunks, count, {prefix for prefix, _ in found}, shift)
        narrowed, sizes = [], {}
        for prefix, rank in found:
            ends = np.cumsum(histograms[prefix])
            digit = int(np.searchsorted(ends, rank, side="right"))
            before = int(ends[digit - 1]) if digit else 0
            narrowed.append((prefix << _DIGIT | digit, rank - before))
            sizes[narrowed[-1][0]] = int(ends[digit]) - before
        found, left = narrowed, sum(sizes.values())
    if shift:
        held = _sorted_keys(chunks, count, {prefix for prefix, _ in found}, shift)
        keys = [int(held[prefix][rank]) for prefix, rank in found]
    else:
        keys = [prefix for prefix, _ in found]
    return [float(number) for number in _numbers(np.array(keys, dtype=np.uint64))]


def _histograms(chunks: Chunks, count: int, prefixes: Iterable[int], shift: int) -> Dict[int, np.ndarray]:
    """For each prefix the numbers of keys that begin so, by their next digit, which ends above bit `shift`."""
    histograms = {prefix: np.zeros(1 << _DIGIT, np.int64) for prefix in prefixes}
    for keys in _blocks_of_keys(chunks, count):
        for prefix, histogram in histograms.items():
            digits = _beginning_with(keys, prefix, shift + _DIGIT) >> np.uint64(shift)
            digits &= np.uint64((1 << _DIGIT) - 1)
            histogram += np.bincount(digits.astype(np.intp), minlength=1 << _DIGIT)
    return histograms


def _sorted_keys(chunks: Chunks, count: int, prefixes: Iterable[int], shift: int) -> Dict[int, np.ndarray]:
    parts: Dict[int, List[np.ndarray]] = {prefix: [] for prefix in prefixes}
    for keys in _blocks_of_keys(chunks, count):
        for prefix, part in parts.items():
            part.append(_beginning_with(keys, prefix, shift))
    return {prefix: np.sort(np.concatenate(part)) for prefix, part in parts.items()}


def _beginning_with(keys: np.ndarray, prefix: int, shift: int) -> np.ndarray:
    """Those keys whose bits from `shift` on are `prefix`, as a new array."""
    if shift == 64:
        return keys.copy()
    return keys[keys >> np.uint64(shift) == np.uint64(prefix)]


def _blocks_of_keys(chunks: Chunks, count: int) -> Iterator[np.ndarray]:
    """All numbers as keys, in arrays that are large enough to be worth a call each."""
    waiting: List[np.ndarray] = []
    size = total = 0
    for chunk in chunks():
        waiting.append(np.asarray(chunk, dtype=np.float64).reshape(-1))
        size += waiting[-1].size
        if size >= _BLOCK:
            yield _keys(np.concatenate(waiting))
            total += size
            waiting, size = [], 0
    if size:
        yield _keys(np.concatenate(waiting))
    if total + size != count:
        raise ValueError(f"there are {total + size} numbers and not {count}")


_SIGN = np.uint64(1 << 63)


def _keys(numbers: np.ndarray) -> np.ndarray:
    """uint64 keys that are in the order of the numbers."""
    if np.isnan(numbers).any():
        raise ValueError("there is no percentile of numbers that are NaN")
    # Adding 0 turns -0 into 0.
    bits = (numbers + 0.0).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _numbers(keys: np.ndarray) -> np.ndarray:
    return np.where(keys & _SIGN, keys ^ _SIGN, ~keys).view(np.float64)
