"""What all decode heads share: choice of their inputs, the classifier, losses and accuracy."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.builder import PIXEL_SAMPLERS, build_loss
from mmseg.models.layers import BaseModule, resize
from mmseg.models.layers.base_module import InitCfg
from mmseg.models.losses import accuracy

Cfg = Optional[Mapping[str, Any]]


class DecodeHead(BaseModule):
    """Base of the decode heads. A head defines `forward(features) -> logits`.

    Args:
        in_channels: channels of the input, or of each input where there are several.
        channels: channels before the classifier.
        num_classes: number of classes.
        out_channels: channels of the logits: `num_classes` (None), or 1 for two classes told apart by one sigmoid.
        threshold: with one output channel, the probability above which a pixel is of class 1; None is 0.3.
        dropout_ratio: of whole channels, before the classifier.
        conv_cfg, norm_cfg, act_cfg: types of the layers, as in ConvModule.
        in_index: which of the feature maps; a list with `input_transform`.
        input_transform: 'resize_concat' resizes the chosen maps to the first one's size and joins their channels;
            'multiple_select' hands them on as a list; None takes the one map.
        loss_decode: one loss or a list of them; losses of the same name are added.
        ignore_index: label of the pixels that do not count.
        sampler: chooses the pixels that count for the loss.
        align_corners: of every resizing.
        init_cfg: initial weights; as published, the classifier's are normal with a deviation of 0.01.

    Raises:
        ConfigError: the arguments do not fit one another.
    """

    # Whether a label map holds this head's classes; a head that makes its own target from it says False.
    predicts_label_classes = True

    def __init__(
        self,
        *,
        in_channels: Union[int, Sequence[int]],
        channels: int,
        num_classes: int,
        out_channels: Optional[int] = None,
        threshold: Optional[float] = None,
        dropout_ratio: float = 0.1,
        conv_cfg: Cfg = None,
        norm_cfg: Cfg = None,
        act_cfg: Cfg = {"type": "ReLU"},  # noqa: B006 - never changed
        in_index: Union[int, Sequence[int]] = -1,
        input_transform: Optional[str] = None,
        loss_decode: Union[Mapping[str, Any], Sequence[Mapping[str, Any]]] = {"type": "CrossEntropyLoss"},
        ignore_index: int = 255,
        sampler: Cfg = None,
        align_corners: bool = False,
        init_cfg: InitCfg = {"type": "Normal", "std": 0.01, "override": {"name": "conv_seg"}},  # noqa: B006
    ) -> None:
        super().__init__(init_cfg)
        name = type(self).__name__
        if out_channels is None:
            out_channels = num_classes
        if out_channels != num_classes and not (out_channels == 1 and num_classes == 2):
            raise ConfigError(
                f"{name}: out_channels is num_classes ({num_classes}), or 1 for two classes, not {out_channels}"
            )
        self.in_channels = _input_channels(name, in_channels, in_index, input_transform)
        self.input_transform = input_transform
        self.in_index = in_index
        self.channels = channels
        self.num_classes = num_classes
        self.out_channels = out_channels
        self.threshold = 0.3 if threshold is None and out_channels == 1 else threshold
        self.dropout_ratio = dropout_ratio
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.act_cfg = act_cfg
        self.ignore_index = ignore_index
        self.align_corners = align_corners
        self.loss_decode = nn.ModuleList(
            build_loss(cfg) for cfg in ([loss_decode] if isinstance(loss_decode, Mapping) else loss_decode)
        )
        if not self.loss_decode or any(loss.loss_name == "acc_seg" for loss in self.loss_decode):
            raise ConfigError(f"{name}: loss_decode is at least one loss, and none has the loss_name 'acc_seg'")
        self.sampler = None if sampler is None else PIXEL_SAMPLERS.build(sampler, context=self)
        self.conv_seg = nn.Conv2d(channels, out_channels, kernel_size=1)
        self.dropout = nn.Dropout2d(dropout_ratio) if dropout_ratio > 0 else None

    def select_inputs(self, features: Sequence[torch.Tensor]) -> Union[torch.Tensor, List[torch.Tensor]]:
        """The head's input among the feature maps (B, C_i, H_i, W_i), as `in_index` and `input_transform` say."""
        if self.input_transform is None:
            return features[self.in_index]
        chosen = [features[index] for index in self.in_index]
        if self.input_transform == "multiple_select":
            return chosen
        size = chosen[0].shape[2:]
        return torch.cat([resize(x, size=size, align_corners=self.align_corners) for x in chosen], dim=1)

    def cls_seg(self, features: torch.Tensor) -> torch.Tensor:
        """Classify each pixel: (B, channels, H, W) to logits (B, out_channels, H, W)."""
        if self.dropout is not None:
            features = self.dropout(features)
        return self.conv_seg(features)

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Feature maps to logits (B, out_channels, h, w)."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def loss(self, features: Sequence[torch.Tensor], label: torch.Tensor) -> Dict[str, torch.Tensor]:
        """Named losses and accuracies of the features against label (B, H, W), int64."""
        return self.losses(self.forward(features), label)

    def losses(self, logits: torch.Tensor, label: torch.Tensor) -> Dict[str, torch.Tensor]:
        """Losses by name, and the accuracy `acc_seg` in percent, of logits (B, C, h, w) against label (B, H, W)."""
        # In half precision the exponentials of the losses overflow.
        logits = resize(logits.float(), size=label.shape[1:], align_corners=self.align_corners)
        weight = None if self.sampler is None else self.sampler.sample(logits, label)
        named: Dict[str, torch.Tensor] = {}
        for loss in self.loss_decode:
            value = loss(logits, label, weight=weight, ignore_index=self.ignore_index)
            named[loss.loss_name] = named[loss.loss_name] + value if loss.loss_name in named else value
        threshold = 0.5 if self.threshold is None else self.threshold
        named["acc_seg"] = accuracy(logits, label, self.ignore_index, threshold)
        return named


def _input_channels(
    name: str,
    in_channels: Union[int, Sequence[int]],
    in_index: Union[int, Sequence[int]],
    input_transform: Optional[str],
) -> Union[int, List[int]]:
    """Channels of a head's input, after the check that channels and indices are both single or lists of one length."""
    if input_transform is None:
        if not isinstance(in_channels, int) or not isinstance(in_index, int):
            raise ConfigError(
                f"{name}: without input_transform, in_channels and in_index are single numbers, "
                f"not {in_channels!r} and {in_index!r}"
            )
        return in_channels
    if input_transform not in ("resize_concat", "multiple_select"):
        raise ConfigError(
            f"{name}: input_transform is 'resize_concat', 'multiple_select' or None, not {input_transform!r}"
        )
    if isinstance(in_channels, int) or isinstance(in_index, int) or len(in_channels) != len(in_index):
        raise ConfigError(
            f"{name}: with input_transform, in_channels and in_index are lists of the same length, "
            f"not {in_channels!r} and {in_index!r}"
        )
    return sum(in_channels) if input_transform == "resize_concat" else list(in_channels)
