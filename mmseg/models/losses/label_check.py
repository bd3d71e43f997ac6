"""A check of label maps before they index into logits."""

import torch

from mmseg.errors import DataError


def check_labels(label: torch.Tensor, num_classes: int, ignore_index: int = 255) -> None:
    """Raise DataError where a label is neither of 0 … num_classes - 1 nor `ignore_index`.

    Without it such a label is a crash of the process on CUDA and an index error without a hint elsewhere.

    Args:
        label: (B, H, W), int64.
    """
    outside = (label < 0) | (label >= num_classes)
    outside &= label != ignore_index
    if bool(outside.any()):
        values = sorted(set(label[outside].tolist()))
        shown = ", ".join(map(str, values[:5])) + (" …" if len(values) > 5 else "")
        raise DataError(
            f"the label maps hold the value {shown}, but there are {num_classes} classes: "
            f"expected 0 to {num_classes - 1}, or {ignore_index} for pixels to ignore"
        )
