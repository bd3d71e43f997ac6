"""Numbers without the last digits, which depend on the order of additions."""

import numpy as np


def without_rounding_errors(values: np.ndarray) -> np.ndarray:
    """float64 values rounded to 40 binary digits, so that equal means of other pixels, or of the same ones summed in
    another order, are equal numbers: they tie, and pass a threshold together."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(np.ldexp(mantissa, 40)), exponent - 40)
