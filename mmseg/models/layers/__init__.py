"""The blocks that several papers share."""

from mmseg.models.layers.activation import ACTIVATION_LAYERS, build_activation_layer
from mmseg.models.layers.attention_refinement import AttentionRefinementModule
from mmseg.models.layers.base_module import BaseModule
from mmseg.models.layers.conv2d_adaptive_padding import Conv2dAdaptivePadding
from mmseg.models.layers.conv_module import CONV_LAYERS, ConvModule, build_conv_layer
from mmseg.models.layers.depthwise_separable_conv_module import DepthwiseSeparableConvModule
from mmseg.models.layers.freezing import fix_batch_norm, freeze
from mmseg.models.layers.initialization import constant_init, initialize, kaiming_init, normal_init
from mmseg.models.layers.inverted_residual import InvertedResidual
from mmseg.models.layers.inverted_residual_v3 import InvertedResidualV3
from mmseg.models.layers.make_divisible import make_divisible
from mmseg.models.layers.norm import NORM_LAYERS, build_norm_layer
from mmseg.models.layers.pyramid_pooling import PPM
from mmseg.models.layers.residual_block import BasicBlock, Bottleneck, ResLayer
from mmseg.models.layers.resize import resize
from mmseg.models.layers.se_layer import SELayer
from mmseg.models.layers.upsample import UPSAMPLE_LAYERS, DeconvModule, InterpConv, Upsample

__all__ = [
    "ACTIVATION_LAYERS",
    "CONV_LAYERS",
    "NORM_LAYERS",
    "PPM",
    "UPSAMPLE_LAYERS",
    "AttentionRefinementModule",
    "BaseModule",
    "BasicBlock",
    "Bottleneck",
    "Conv2dAdaptivePadding",
    "ConvModule",
    "DeconvModule",
    "DepthwiseSeparableConvModule",
    "InterpConv",
    "InvertedResidual",
    "InvertedResidualV3",
    "ResLayer",
    "SELayer",
    "Upsample",
    "build_activation_layer",
    "build_conv_layer",
    "build_norm_layer",
    "constant_init",
    "fix_batch_norm",
    "freeze",
    "initialize",
    "kaiming_init",
    "make_divisible",
    "normal_init",
    "resize",
]
