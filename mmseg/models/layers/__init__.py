"""The blocks that several papers share."""

from mmseg.models.layers.activation import ACTIVATION_LAYERS, build_activation_layer
from mmseg.models.layers.base_module import BaseModule
from mmseg.models.layers.conv_module import CONV_LAYERS, ConvModule, build_conv_layer
from mmseg.models.layers.depthwise_separable_conv_module import DepthwiseSeparableConvModule
from mmseg.models.layers.initialization import constant_init, initialize, kaiming_init, normal_init
from mmseg.models.layers.inverted_residual import InvertedResidual
from mmseg.models.layers.norm import NORM_LAYERS, build_norm_layer
from mmseg.models.layers.pyramid_pooling import PPM
from mmseg.models.layers.resize import resize

__all__ = [
    "ACTIVATION_LAYERS",
    "CONV_LAYERS",
    "NORM_LAYERS",
    "PPM",
    "BaseModule",
    "ConvModule",
    "DepthwiseSeparableConvModule",
    "InvertedResidual",
    "build_activation_layer",
    "build_conv_layer",
    "build_norm_layer",
    "constant_init",
    "initialize",
    "kaiming_init",
    "normal_init",
    "resize",
]
