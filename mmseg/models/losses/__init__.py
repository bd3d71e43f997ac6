"""Losses and the logged accuracy."""

from mmseg.models.losses.accuracy import accuracy
from mmseg.models.losses.cross_entropy_loss import CrossEntropyLoss, binary_cross_entropy, cross_entropy
from mmseg.models.losses.label_check import check_labels
from mmseg.models.losses.reduction import reduce_loss

__all__ = ["CrossEntropyLoss", "accuracy", "binary_cross_entropy", "check_labels", "cross_entropy", "reduce_loss"]
