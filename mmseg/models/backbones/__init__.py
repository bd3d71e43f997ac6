"""Backbones: images to feature maps."""

from mmseg.models.backbones.bisenetv1 import BiSeNetV1
from mmseg.models.backbones.bisenetv2 import BiSeNetV2
from mmseg.models.backbones.convnext import ConvNeXt
from mmseg.models.backbones.fast_scnn import FastSCNN
from mmseg.models.backbones.hrnet import HRNet
from mmseg.models.backbones.mit import MixVisionTransformer
from mmseg.models.backbones.mobilenet_v2 import MobileNetV2
from mmseg.models.backbones.mobilenet_v3 import MobileNetV3
from mmseg.models.backbones.resnet import ResNet, ResNetV1c, ResNetV1d
from mmseg.models.backbones.resnext import ResNeXt
from mmseg.models.backbones.stdc import STDCContextPathNet, STDCNet
from mmseg.models.backbones.timm_backbone import TIMMBackbone
from mmseg.models.backbones.unet import UNet

__all__ = [
    "BiSeNetV1",
    "BiSeNetV2",
    "ConvNeXt",
    "FastSCNN",
    "HRNet",
    "MixVisionTransformer",
    "MobileNetV2",
    "MobileNetV3",
    "ResNeXt",
    "ResNet",
    "ResNetV1c",
    "ResNetV1d",
    "STDCContextPathNet",
    "STDCNet",
    "TIMMBackbone",
    "UNet",
]
