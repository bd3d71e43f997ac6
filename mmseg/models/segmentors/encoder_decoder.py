"""The usual network for semantic segmentation: a backbone, maybe a neck, a decode head, maybe auxiliary heads."""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

import torch
import torch.nn as nn

from mmseg.errors import ConfigError, DataError
from mmseg.models.builder import SEGMENTORS, build_backbone, build_head, build_neck
from mmseg.models.decode_heads import DecodeHead
from mmseg.models.layers import BaseModule, resize
from mmseg.models.layers.base_module import InitCfg
from mmseg.models.losses import check_labels
from mmseg.models.segmentors.sliding_window import slide

HeadCfg = Union[Mapping[str, Any], Sequence[Mapping[str, Any]]]

# How far from 0 and 1 the mean probabilities of several views are kept, so that their logarithm is finite.
PROBABILITY_FLOOR = 1e-12


def total_loss(losses: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The loss to minimise: the sum of the entries with "loss" in their name, each by its mean. A scalar tensor."""
    terms = [value.mean() for name, value in losses.items() if "loss" in name]
    if not terms:
        raise ConfigError(f"none of the losses has 'loss' in its name: {', '.join(losses) or 'there are none'}")
    return sum(terms[1:], terms[0])


@SEGMENTORS.register_module()
class EncoderDecoder(BaseModule):
    """Backbone, neck, decode head and auxiliary heads.

    A network with another way from features to logits overrides `_build_decode_head`, `_decode` and `_decode_losses`.

    Args:
        backbone, neck, decode_head: configs of the parts.
        auxiliary_head: one further head, or a list of them, that count in training only.
        train_cfg: kept for the heads that read it.
        test_cfg: `mode` 'whole' or 'slide'; for the latter `crop_size` and `stride` (height, width) in pixels.
        pretrained: address of the backbone's weights, kept as `backbone.init_cfg` for the training to load.
        init_cfg: initial weights.

    Raises:
        ConfigError: a part does not exist or they do not fit.
    """

    def __init__(
        self,
        *,
        backbone: Mapping[str, Any],
        decode_head: HeadCfg,
        neck: Optional[Mapping[str, Any]] = None,
        auxiliary_head: Optional[HeadCfg] = None,
        train_cfg: Optional[Mapping[str, Any]] = None,
        test_cfg: Optional[Mapping[str, Any]] = None,
        pretrained: Optional[str] = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        self.train_cfg = dict(train_cfg or {})
        self.test_cfg = _checked_test_cfg(test_cfg)
        self.backbone = build_backbone(backbone)
        self.neck = None if neck is None else build_neck(neck)
        self.decode_head = self._build_decode_head(decode_head)
        self.auxiliary_head = _build_auxiliary_head(auxiliary_head)
        self.init_weights()
        if pretrained is not None:
            self.backbone.init_cfg = {"type": "Pretrained", "checkpoint": pretrained}

    def _build_decode_head(self, cfg: HeadCfg) -> nn.Module:
        if not isinstance(cfg, Mapping):
            raise ConfigError(f"decode_head of {type(self).__name__} is one dict with the key 'type', not {cfg!r}")
        return build_head(cfg)

    @property
    def final_head(self) -> DecodeHead:
        """The head whose logits are the prediction."""
        return self.decode_head

    @property
    def auxiliary_heads(self) -> Dict[str, DecodeHead]:
        """The auxiliary heads by the name they have in the log: `aux`, or `aux_0`, `aux_1` … of a list."""
        if self.auxiliary_head is None:
            return {}
        if isinstance(self.auxiliary_head, nn.ModuleList):
            return {f"aux_{index}": head for index, head in enumerate(self.auxiliary_head)}
        return {"aux": self.auxiliary_head}

    @property
    def num_classes(self) -> int:
        """Number of classes, also where one channel tells two apart."""
        return self.final_head.num_classes

    @property
    def out_channels(self) -> int:
        """Number of channels of the logits."""
        return self.final_head.out_channels

    @property
    def align_corners(self) -> bool:
        """How logits are resized."""
        return self.final_head.align_corners

    def extract_feat(self, image: torch.Tensor) -> Sequence[torch.Tensor]:
        """Image (B, 3, H, W), already normalised, to the feature maps that the heads see."""
        features = self.backbone(image)
        return features if self.neck is None else self.neck(features)

    @property
    def slides(self) -> bool:
        """Whether inference goes over sliding windows."""
        return self.test_cfg["mode"] == "slide"

    def decode(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Feature maps of `extract_feat` to the final logits (B, C, h, w), at the size that the heads give them."""
        return self._decode(features)

    def _decode(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Feature maps to the final logits (B, C, h, w)."""
        return self.decode_head(features)

    def _decode_losses(self, features: Sequence[torch.Tensor], label: torch.Tensor) -> Dict[str, torch.Tensor]:
        """The losses of everything that leads to the final logits, by their names in the log."""
        return _prefixed("decode", self.decode_head.loss(features, label))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Image (B, 3, H, W), already normalised, to logits (B, C, H, W), in one pass."""
        return resize(self._decode(self.extract_feat(image)), size=image.shape[2:], align_corners=self.align_corners)

    def loss(self, image: torch.Tensor, label: torch.Tensor) -> Dict[str, torch.Tensor]:
        """The named losses and accuracies, see `total_loss`.

        Args:
            image: (B, 3, H, W), already normalised.
            label: (B, H, W) or (B, 1, H, W), int64.

        Raises:
            DataError: the label's size is not the image's, or it holds a value that is no class.
        """
        if label.dim() == 4 and label.shape[1] == 1:
            label = label.squeeze(1)
        if label.dim() != 3 or label.shape[0] != image.shape[0] or label.shape[1:] != image.shape[2:]:
            raise DataError(
                f"the label maps have the shape {tuple(label.shape)}, but the images {tuple(image.shape)}: "
                "expected the same batch, height and width"
            )
        every_head = [self.final_head, *self.auxiliary_heads.values()]
        heads = [head for head in every_head if head.predicts_label_classes]
        for num_classes, ignore_index in {(head.num_classes, head.ignore_index) for head in heads}:
            check_labels(label, num_classes, ignore_index)
        features = self.extract_feat(image)
        losses = dict(self._decode_losses(features, label))
        for name, head in self.auxiliary_heads.items():
            losses.update(_prefixed(name, head.loss(features, label)))
        return losses

    @torch.no_grad()
    def raw_logits(self, image: torch.Tensor) -> torch.Tensor:
        """Logits in the way that `test_cfg` asks for, before they are resized.

        Args:
            image: (B, 3, H, W), already normalised.

        Returns:
            (B, C, h, w), of the size that the heads give them, which mostly is a fraction of the image's. Of sliding
            windows they are at the image's size, because windows overlap there.
        """
        if self.slides:
            return slide(self.forward, image, self.test_cfg["crop_size"], self.test_cfg["stride"])
        return self.decode(self.extract_feat(image))

    @torch.no_grad()
    def inference(
        self,
        image: torch.Tensor,
        size: Optional[Sequence[int]] = None,
        content_size: Optional[Sequence[int]] = None,
    ) -> torch.Tensor:
        """Logits in the way that `test_cfg` asks for.

        Args:
            image: (B, 3, H, W), already normalised.
            size: (height, width) of the result; None is the image's.
            content_size: (height, width) of what is not padding, at the top left of the image; None is all of it.
                Padding is cut off before the logits are resized.

        Returns:
            Logits (B, C, *size).
        """
        logits = resize(self.raw_logits(image), size=image.shape[2:], align_corners=self.align_corners)
        if content_size is not None:
            logits = logits[:, :, : content_size[0], : content_size[1]]
        return logits if size is None else resize(logits, size=size, align_corners=self.align_corners)

    @torch.no_grad()
    def inference_views(
        self,
        images: Sequence[torch.Tensor],
        flips: Sequence[Optional[str]],
        size: Sequence[int],
        content_sizes: Optional[Sequence[Optional[Sequence[int]]]] = None,
    ) -> torch.Tensor:
        """Test-time augmentation: logits whose probabilities are the mean over several views of the same images.

        Args:
            images: the views, each (B, 3, H_i, W_i).
            flips: for each view 'horizontal', 'vertical' or None: how it was flipped.
            size: (height, width) of the result.
            content_sizes: for each view, as in `inference`.

        Returns:
            (B, C, *size): the logarithm of the mean probabilities, or of their odds where one channel tells two
            classes apart.
        """
        if not images or len(images) != len(flips):
            raise DataError(
                f"there must be one flip for each view and at least one view: {len(images)} and {len(flips)}"
            )
        one_channel = self.out_channels == 1
        mean: Optional[torch.Tensor] = None
        for view, flip, content in zip(images, flips, content_sizes or [None] * len(images)):
            logits = self.inference(view, size, content)
            probabilities = torch.sigmoid(logits) if one_channel else torch.softmax(logits, dim=1)
            if flip is not None:
                if flip not in ("horizontal", "vertical"):
                    raise DataError(f"a view is flipped 'horizontal', 'vertical' or None, not {flip!r}")
                probabilities = probabilities.flip(3 if flip == "horizontal" else 2)
            mean = probabilities if mean is None else mean.add_(probabilities)
        mean.div_(len(images))
        if one_channel:  # in double precision, which tells 1 - 1e-12 from 1
            return torch.logit(mean.double(), eps=PROBABILITY_FLOOR).float()
        return mean.clamp_(min=PROBABILITY_FLOOR).log_()

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities of the classes of logits (B, C, h, w): softmax, or (1 - s, s) of one channel's sigmoid s."""
        if self.out_channels > 1:
            return torch.softmax(logits, dim=1)
        positive = torch.sigmoid(logits)
        return torch.cat([1 - positive, positive], dim=1)

    def class_map(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits (B, C, h, w) to the class of each pixel (B, h, w), int64; the first of equals."""
        if self.out_channels == 1:
            return (torch.sigmoid(logits[:, 0]) > self.final_head.threshold).long()
        # The same as argmax, which is ten times slower over channels on a CPU.
        return logits.max(dim=1).indices


def _prefixed(prefix: str, losses: Mapping[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": value for name, value in losses.items()}


def _build_auxiliary_head(cfg: Optional[HeadCfg]) -> Optional[nn.Module]:
    if cfg is None:
        return None
    if isinstance(cfg, Mapping):
        return build_head(cfg)
    heads: List[nn.Module] = [build_head(head) for head in cfg]
    return nn.ModuleList(heads) if heads else None


def _checked_test_cfg(test_cfg: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """`test_cfg` with `mode`, and for 'slide' with pairs of whole numbers as `crop_size` and `stride`."""
    checked = dict(test_cfg or {})
    checked.setdefault("mode", "whole")
    if checked["mode"] not in ("whole", "slide"):
        raise ConfigError(f"test_cfg: mode is 'whole' or 'slide', not {checked['mode']!r}")
    if checked["mode"] == "slide":
        for key in ("crop_size", "stride"):
            value = checked.get(key)
            pair = [value, value] if isinstance(value, int) else value
            sound = isinstance(pair, (list, tuple)) and len(pair) == 2
            if not sound or any(not isinstance(side, int) or side < 1 for side in pair):
                raise ConfigError(f"test_cfg: mode 'slide' needs {key} as (height, width) in pixels, not {value!r}")
            checked[key] = tuple(pair)
        if any(step > side for step, side in zip(checked["stride"], checked["crop_size"])):
            raise ConfigError(
                f"test_cfg: stride {checked['stride']} leaves gaps between windows of crop_size {checked['crop_size']}"
            )
    return checked
