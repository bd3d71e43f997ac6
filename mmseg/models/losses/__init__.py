"""Losses and the logged accuracy."""

from mmseg.models.losses.accuracy import accuracy
from mmseg.models.losses.cross_entropy_loss import CrossEntropyLoss, binary_cross_entropy, cross_entropy
from mmseg.models.losses.dice_loss import DiceLoss
from mmseg.models.losses.focal_loss import FocalLoss
from mmseg.models.losses.label_check import check_labels
from mmseg.models.losses.lovasz_loss import LovaszLoss
from mmseg.models.losses.ohem_pixel_sampler import OHEMPixelSampler
from mmseg.models.losses.reduction import reduce_loss
from mmseg.models.losses.tversky_loss import TverskyLoss

__all__ = [
    "TverskyLoss",
    "LovaszLoss",
    "FocalLoss",
    "DiceLoss",
    "CrossEntropyLoss",
    "OHEMPixelSampler",
    "accuracy",
    "binary_cross_entropy",
    "check_labels",
    "cross_entropy",
    "reduce_loss",
]
