"""The detail head of STDC (Fan et al., arXiv 2104.13188, section 3.3): it learns where classes meet."""

from typing import Any, Dict

import torch
import torch.nn as nn
import torch.nn.functional as F

from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.fcn_head import FCNHead


@HEADS.register_module()
class STDCHead(FCNHead):
    """An FCN head whose target is the boundaries between classes in place of the classes.

    Args:
        boundary_threshold: from which value on a fused Laplacian is a boundary.
        **kwargs: of FCNHead; two classes, 1 is a boundary.
    """

    # The label maps hold the classes of the data set, from which the head makes its own two.
    predicts_label_classes = False

    def __init__(self, *, boundary_threshold: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.boundary_threshold = boundary_threshold
        laplacian = torch.full((1, 1, 3, 3), -1.0)
        laplacian[..., 1, 1] = 8.0
        # Both are in published checkpoints, the one as a parameter and the other as a buffer.
        self.register_buffer("laplacian_kernel", laplacian)
        self.fusion_kernel = nn.Parameter(
            torch.tensor([6.0 / 10, 3.0 / 10, 1.0 / 10]).reshape(1, 3, 1, 1), requires_grad=False
        )

    @torch.no_grad()
    def boundaries(self, label: torch.Tensor) -> torch.Tensor:
        """The detail ground truth: 1 where the classes of a label map (B, H, W) meet, else 0. (B, H, W), int64.

        Laplacians at strides 1, 2 and 4 are made binary, brought to the full size, and their weighted sum is made
        binary again. A pixel to ignore is one more class here, and so is what is beyond the border.
        """
        classes = label.unsqueeze(1).to(self.laplacian_kernel)
        scales = []
        for stride in (1, 2, 4):
            laplacian = F.conv2d(classes, self.laplacian_kernel, stride=stride, padding=1)
            binary = (laplacian > self.boundary_threshold).to(laplacian)
            scales.append(F.interpolate(binary, size=label.shape[1:], mode="nearest"))
        fused = F.conv2d(torch.cat(scales, dim=1), self.fusion_kernel)
        return (fused.squeeze(1) > self.boundary_threshold).long()

    def losses(self, logits: torch.Tensor, label: torch.Tensor) -> Dict[str, torch.Tensor]:
        """Losses and accuracy of logits (B, 2, h, w) against the boundaries of label (B, H, W)."""
        return super().losses(logits, self.boundaries(label))
