"""What one pass over the logits gives for each pixel: an uncertainty, and the class that the network gives it."""

from typing import Callable, NamedTuple, Union

import torch

from mmseg.engine.logit_bands import Bands, LogitBands
from mmseg.engine.running_max import class_dtype, first_best, running_max

# Logits (C, H, W), or log-probabilities, in any floating-point type, or what makes them band by band.
Logits = Union[torch.Tensor, LogitBands]


class PixelScores(NamedTuple):
    """One image's uncertainty (H, W), floating point, and class map (H, W), integer, the lowest id on ties."""

    uncertainty: torch.Tensor
    class_map: torch.Tensor


# From the best value (N,) of each pixel and all its other ones (C - 1, N) to the pixels' uncertainty (N,). It may
# overwrite the others.
_Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def best_versus_second_best(logits: Logits) -> PixelScores:
    """Best-versus-second-best uncertainty of each pixel: the second best class's probability over the best one's.

    Joshi, Porikli, Papanikolopoulos: Multi-class active learning for image classification, CVPR 2009, in the form of
    a ratio as RSAL takes it. The softmax's denominator cancels, so that it is exp(l2 - l1) of the two best logits.

    Args:
        logits: (C, H, W), or log-probabilities. With one class nothing is uncertain: 0.

    Returns:
        Values from 0 (certain) to 1 (a tie); NaN where the logits are NaN or +infinite.
    """
    return _by_band(logits, _best_versus_second_best)


def margin(logits: Logits) -> PixelScores:
    """Margin uncertainty of each pixel: 1 - (p1 - p2) of the two most probable classes.

    Scheffer, Decomain, Wrobel: Active hidden Markov models for information extraction, IDA 2001; also Joshi et al.,
    CVPR 2009. Turned round, so that a higher value is less certain.

    Args:
        logits: (C, H, W), or log-probabilities. With one class nothing is uncertain: 0.

    Returns:
        Values from 0 (certain) to 1 (a tie); NaN where the logits are NaN or +infinite.
    """
    return _by_band(logits, _margin)


def least_confidence(logits: Logits) -> PixelScores:
    """Least confidence of each pixel: 1 - p1 of the most probable class.

    Lewis, Gale: A sequential algorithm for training text classifiers, SIGIR 1994; in this form Settles: Active learning
    literature survey, 2009, section 3.1.

    Args:
        logits: (C, H, W), or log-probabilities.

    Returns:
        Values from 0 to 1 - 1 / C; NaN where the logits are NaN or +infinite.
    """
    return _by_band(logits, _least_confidence)


def entropy(logits: Logits) -> PixelScores:
    """Shannon entropy of each pixel's class probabilities, in nats.

    Args:
        logits: (C, H, W), or log-probabilities.

    Returns:
        Values from 0 to log C; NaN where the logits are NaN or +infinite.
    """
    return _by_band(logits, _entropy)


def _by_band(logits: Logits, score: _Score) -> PixelScores:
    if not isinstance(logits, LogitBands):
        logits = LogitBands.of(logits)
    uncertainty = torch.empty(logits.size, dtype=logits.dtype, device=logits.device)
    class_map = torch.empty(logits.size, dtype=class_dtype(logits.channels), device=logits.device)

    def consumer(bands: Bands) -> None:
        maxima = others = torch.empty(0, 0)
        for top, band in bands:
            values = band.view(len(band), -1)
            # Memory that is used again is in the cache already, and need not be got from the system.
            if maxima.shape != values.shape:
                maxima, others = torch.empty_like(values), torch.empty_like(values[1:])
            running_max(values, out=maxima)
            # What loses against the best before it, or is the best before and loses: all values of a pixel but its
            # best.
            torch.min(maxima[:-1], values[1:], out=others)
            best = maxima[-1]
            rows = slice(top, top + band.shape[1])
            # best - best is 0, and NaN where best is infinite, which must show.
            uncertainty[rows] = score(best, others).add_(best - best).view(band.shape[1:])
            class_map[rows] = first_best(maxima).view(band.shape[1:])

    logits.consume(consumer)
    logits.remember_class_map(class_map)
    return PixelScores(uncertainty, class_map)


# In these, e^(l - l1) of the other classes is their odds against the best class, and everything is made of sums of
# positive odds, so that nothing cancels where the network is nearly certain: p1 = 1 / (1 + sum of the odds).


def _best_versus_second_best(best: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    if not len(others):
        return torch.zeros_like(best)
    return others.amax(0).sub_(best).exp_()


def _margin(best: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    second = _best_versus_second_best(best, others)
    odds = _odds(best, others)
    return second.add_(odds).div_(odds.add_(1))


def _least_confidence(best: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    odds = _odds(best, others)
    return odds / (1 + odds)


def _odds(best: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return others.sub_(best).exp_().sum(0)


def _entropy(best: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    # -sum p log p = log z - sum d e^d / z with d = l - l1 and z = 1 + sum of the odds.
    # exp gives 0 below -800 even in float64; the bound only keeps 0 * -inf out.
    below = others.sub_(best).clamp_(min=-1e4)
    odds = below.exp()
    weighted = below.mul_(odds).sum(0)
    odds = odds.sum(0)
    return torch.log1p(odds).sub_(weighted.div_(1 + odds))
