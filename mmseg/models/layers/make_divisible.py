"""Channel counts that hardware likes."""

from typing import Optional


def make_divisible(value: float, divisor: int, min_value: Optional[int] = None, min_ratio: float = 0.9) -> int:
    """The multiple of `divisor` nearest to `value`, at least `min_value` and at least `min_ratio` of `value`.

    The rule of MobileNet (Howard et al., arXiv 1704.04861) for scaled widths. `min_value` None is `divisor`.
    """
    rounded = max(divisor if min_value is None else min_value, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < min_ratio * value else rounded
