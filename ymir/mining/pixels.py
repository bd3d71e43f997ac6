"""What one pass over the logits gives for each pixel: an uncertainty, and the class that the network gives it."""

from typing import Callable, NamedTuple, Tuple

import torch

# Pixels worked on at once on a CPU: enough to keep its threads busy between two steps, few enough to bound the memory.
_CHUNK_ON_CPU = 1 << 18
# And on an accelerator, where it only bounds the memory.
_CHUNK_ELSEWHERE = 1 << 22


class PixelScores(NamedTuple):
    """One image's uncertainty (H, W), floating point, and class map (H, W), integer, the lowest id on ties."""

    uncertainty: torch.Tensor
    class_map: torch.Tensor


# From a contiguous (C, N) piece of the logits to the uncertainty and the class of its N pixels.
_PieceScorer = Callable[[torch.Tensor], Tuple[torch.Tensor, torch.Tensor]]


def best_versus_second_best(logits: torch.Tensor) -> PixelScores:
    """Best-versus-second-best uncertainty of each pixel: the second best class's probability over the best one's.

    Joshi, Porikli, Papanikolopoulos: Multi-class active learning for image classification, CVPR 2009, in the form of
    a ratio as RSAL takes it. The softmax's denominator cancels, so that it is exp(l2 - l1) of the two best logits.

    Args:
        logits: (C, H, W), or log-probabilities. With one class nothing is uncertain: 0.

    Returns:
        Values from 0 (certain) to 1 (a tie); NaN where the logits are NaN or +infinite.
    """
    return _by_piece(logits, _best_versus_second_best)


def entropy(logits: torch.Tensor) -> PixelScores:
    """Shannon entropy of each pixel's class probabilities, in nats.

    Args:
        logits: (C, H, W), or log-probabilities.

    Returns:
        Values from 0 to log C; NaN where the logits are NaN or +infinite.
    """
    return _by_piece(logits, _entropy)


def _by_piece(logits: torch.Tensor, score: _PieceScorer) -> PixelScores:
    channels, height, width = logits.shape
    # Half precision has too few digits for sums of many pixels.
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    uncertainty = torch.empty(height, width, dtype=dtype, device=logits.device)
    class_map = torch.empty(height, width, dtype=_class_dtype(channels), device=logits.device)
    chunk = _CHUNK_ON_CPU if logits.device.type == "cpu" else _CHUNK_ELSEWHERE
    rows = max(1, chunk // width)
    for top in range(0, height, rows):
        piece = logits[:, top : top + rows].reshape(channels, -1).to(dtype).contiguous()
        values, classes = score(piece)
        uncertainty[top : top + rows] = values.view(-1, width)
        class_map[top : top + rows] = classes.view(-1, width)
    return PixelScores(uncertainty, class_map)


def _class_dtype(channels: int) -> torch.dtype:
    for dtype in (torch.uint8, torch.int16):
        if channels - 1 <= torch.iinfo(dtype).max:
            return dtype
    return torch.int32


def _best_versus_second_best(piece: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
    best, second, classes = _two_best(piece)
    # best - best is 0, and NaN where best is infinite, which must show.
    return second.sub_(best).exp_().add_(best.sub(best)), classes


def _two_best(piece: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The best and the second best value in each column of a (C, N) tensor, and the row of the best.

    Running maxima read each value once and in order, which on a CPU is several times as fast as topk or argmax over
    the first dimension.
    """
    best = piece[0].clone()
    second = torch.full_like(best, float("-inf"))
    loser = torch.empty_like(best)
    classes = torch.zeros(best.shape, dtype=_class_dtype(len(piece)), device=piece.device)
    for channel in range(1, len(piece)):
        values = piece[channel]
        classes.masked_fill_(values > best, channel)
        torch.min(values, best, out=loser)
        torch.max(second, loser, out=second)
        torch.max(best, values, out=best)
    return best, second, classes


def _entropy(piece: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
    best, _, classes = _two_best(piece)
    # -sum p log p = log z - sum e^d d / z with d = l - max l and z = sum e^d. Both parts are positive, and z - 1 is
    # summed without the best class's 1, so that nothing cancels where the network is nearly certain.
    # exp gives 0 below -800 even in float64; the bound only keeps 0 * -inf out.
    below = (piece - best).clamp_(min=-1e4)
    odds = below.exp()
    weighted = below.mul_(odds).sum(0)
    odds.scatter_(0, classes.long()[None], 0)
    others = odds.sum(0)
    return torch.log1p(others) - weighted / (1 + others), classes
