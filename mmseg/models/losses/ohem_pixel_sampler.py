"""Online hard example mining over pixels (Shrivastava et al., arXiv 1604.03540)."""

from typing import Any, Optional

import torch

from mmseg.errors import ConfigError
from mmseg.models.builder import PIXEL_SAMPLERS


@PIXEL_SAMPLERS.register_module()
class OHEMPixelSampler:
    """Lets the hardest pixels of a batch count for the loss, and the others not at all.

    Args:
        context: the head: it has `ignore_index`, and the losses `loss_decode`.
        thresh: pixels count whose label has a lower probability than this, and whatever it is, the `min_kept` * B
            pixels of the lowest. None takes the `min_kept` * B pixels of the highest loss.
        min_kept: pixels that count at least, on average over the B images of a batch.
    """

    def __init__(self, *, context: Any, thresh: Optional[float] = None, min_kept: int = 100000) -> None:
        if not isinstance(min_kept, int) or min_kept < 2:
            raise ConfigError(f"OHEMPixelSampler: min_kept is a whole number above 1, not {min_kept!r}")
        if thresh is not None and not isinstance(thresh, (int, float)):
            raise ConfigError(f"OHEMPixelSampler: thresh is a probability or None, not {thresh!r}")
        self.context = context
        self.thresh = thresh
        self.min_kept = min_kept

    @torch.no_grad()
    def sample(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """The weights of the pixels, (B, H, W), 0 or 1.

        Args:
            logits: (B, C, H, W), float; one channel is the logit of class 1 of two.
            label: (B, H, W), int64.

        Raises:
            ConfigError: without `thresh`, one of the losses has no value for each pixel.
        """
        valid = label != self.context.ignore_index
        kept = self.min_kept * len(logits)
        weight = torch.zeros(label.shape, dtype=logits.dtype, device=logits.device)
        if self.thresh is None:
            of_valid = self._pixel_losses(logits, label)[valid]
            chosen = torch.zeros_like(of_valid)
            chosen[of_valid.topk(min(kept, of_valid.numel()), sorted=False).indices] = 1
        else:
            of_valid = _label_probability(logits, label.masked_fill(~valid, 0))[valid]
            threshold = float(self.thresh)
            if of_valid.numel():
                rank = min(kept, of_valid.numel() - 1) + 1
                threshold = max(threshold, float(of_valid.topk(rank, largest=False, sorted=False).values.max()))
            chosen = (of_valid < threshold).to(logits.dtype)
        weight[valid] = chosen
        return weight

    def _pixel_losses(self, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """The sum of the head's losses at each pixel, (B, H, W)."""
        total = torch.zeros(label.shape, dtype=logits.dtype, device=logits.device)
        for loss in self.context.loss_decode:
            value = loss(logits, label, ignore_index=self.context.ignore_index, reduction_override="none")
            if value.dim() == 4:  # one term for each class
                value = value.sum(dim=1)
            if value.shape != label.shape:
                raise ConfigError(
                    f"OHEMPixelSampler without thresh needs losses that have a value for each pixel; "
                    f"{type(loss).__name__} has none"
                )
            total += value
        return total


def _label_probability(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """The probability of the label at each pixel, (B, H, W)."""
    if logits.shape[1] == 1:
        positive = torch.sigmoid(logits[:, 0])
        return torch.where(label == 1, positive, 1 - positive)
    return torch.softmax(logits, dim=1).gather(1, label.unsqueeze(1)).squeeze(1)
