"""The head of PointRend (Kirillov et al., Image Segmentation as Rendering, arXiv 1912.08193)."""

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn as nn
import torch.nn.functional as F

from mmseg.errors import ConfigError
from mmseg.models.builder import HEADS
from mmseg.models.decode_heads.cascade_decode_head import CascadeDecodeHead
from mmseg.models.layers import ConvModule, resize
from mmseg.models.layers.base_module import InitCfg

Cfg = Optional[Mapping[str, Any]]


class TrainingPoints(NamedTuple):
    """Which points of an image count in training.

    Attributes:
        num_points: how many.
        oversample_ratio: how many times more are drawn to choose the uncertain ones from.
        importance_sample_ratio: share of the points that are chosen for being uncertain; the others are anywhere.
    """

    num_points: int
    oversample_ratio: float
    importance_sample_ratio: float


class Subdivision(NamedTuple):
    """How a prediction is refined.

    Attributes:
        subdivision_steps: how many times it is enlarged.
        subdivision_num_points: how many of its most uncertain pixels are then predicted anew.
        scale_factor: how much longer its sides get each time.
    """

    subdivision_steps: int
    subdivision_num_points: int
    scale_factor: float


@torch.no_grad()
def uncertainty(logits: torch.Tensor) -> torch.Tensor:
    """How close the two likeliest classes are: second logit minus first, at most 0.

    Of one channel, the logit of class 1 of two, it is minus its distance from 0.

    Args:
        logits: (B, C, ...).

    Returns:
        (B, ...).
    """
    if logits.shape[1] == 1:
        return -logits[:, 0].abs()
    # The second by a second pass over the channels, which is faster there than any partial sort.
    first = logits.max(dim=1, keepdim=True)
    second = logits.scatter(1, first.indices, float("-inf")).max(dim=1).values
    return second - first.values.squeeze(1)


def sample_points(
    features: torch.Tensor, points: torch.Tensor, *, mode: str = "bilinear", align_corners: bool = False
) -> torch.Tensor:
    """The features at points between pixels.

    Args:
        features: (B, C, H, W).
        points: (B, P, 2), x and y from 0 (left, top border) to 1 (right, bottom border).
        mode, align_corners: as in torch's grid_sample.

    Returns:
        (B, C, P).
    """
    # In half precision a coordinate would be off by pixels.
    precise = torch.promote_types(features.dtype, torch.float32)
    grid = (2 * points - 1).unsqueeze(2).to(precise)
    sampled = F.grid_sample(features.to(precise), grid, mode=mode, align_corners=align_corners)
    return sampled.squeeze(3).to(features.dtype)


@torch.no_grad()
def draw_training_points(logits: torch.Tensor, rule: TrainingPoints) -> torch.Tensor:
    """Points of an image that are uncertain by the logits (B, C, H, W), and some that are anywhere: (B, num_points, 2).

    The random numbers come from torch's generator.
    """
    batch = logits.shape[0]
    candidates = torch.rand(batch, int(rule.num_points * rule.oversample_ratio), 2, device=logits.device)
    num_uncertain = int(rule.importance_sample_ratio * rule.num_points)
    chosen = uncertainty(sample_points(logits, candidates)).topk(num_uncertain, dim=1).indices
    points = candidates.gather(1, chosen.unsqueeze(2).expand(-1, -1, 2))
    num_random = rule.num_points - num_uncertain
    if num_random == 0:
        return points
    return torch.cat([points, torch.rand(batch, num_random, 2, device=logits.device)], dim=1)


def most_uncertain_pixels(logits: torch.Tensor, num_points: int) -> Tuple[torch.Tensor, torch.Tensor]:
    """The `num_points` (or all) pixels of logits (B, C, H, W) that are the most uncertain.

    Returns:
        Their indices (B, P), row by row, and the points (B, P, 2) of their centres, as in `sample_points`.
    """
    height, width = logits.shape[2:]
    indices = uncertainty(logits).flatten(1).topk(min(num_points, height * width), dim=1).indices
    rows = torch.div(indices.double(), width).floor()
    columns = indices.double() - rows * width
    points = torch.stack([(columns + 0.5) / width, (rows + 0.5) / height], dim=2)
    return indices, points.float()


@HEADS.register_module()
class PointHead(CascadeDecodeHead):
    """Predict single points anew, from the features there and the coarse logits of the head before.

    In training these are points that the coarse logits are uncertain about; in prediction the coarse logits are
    enlarged step by step, and each time the most uncertain pixels are predicted anew. The model's `train_cfg` and
    `test_cfg` hold the arguments of TrainingPoints and Subdivision.

    Args:
        num_fcs: number of layers before the classifier.
        coarse_pred_each_layer: join the coarse logits to the input of every layer, not only of the first.
        conv_cfg, norm_cfg, act_cfg: types of the layers, which see points only: (B, C, P).
        init_cfg: initial weights; as published, the classifier's are normal with a deviation of 0.01.
        **kwargs: of DecodeHead, with lists as `in_channels` and `in_index`.
    """

    def __init__(
        self,
        *,
        num_fcs: int = 3,
        coarse_pred_each_layer: bool = True,
        conv_cfg: Cfg = {"type": "Conv1d"},  # noqa: B006 - never changed
        norm_cfg: Cfg = None,
        act_cfg: Cfg = {"type": "ReLU", "inplace": False},  # noqa: B006
        init_cfg: InitCfg = {"type": "Normal", "std": 0.01, "override": {"name": "fc_seg"}},  # noqa: B006
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("input_transform", "multiple_select")
        super().__init__(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg, init_cfg=init_cfg, **kwargs)
        if self.input_transform != "multiple_select":
            raise ConfigError(f"PointHead: input_transform is 'multiple_select', not {self.input_transform!r}")
        if not isinstance(num_fcs, int) or num_fcs < 0:
            raise ConfigError(f"PointHead: num_fcs is a whole number, 0 or more, not {num_fcs!r}")
        self.num_fcs = num_fcs
        self.coarse_pred_each_layer = coarse_pred_each_layer
        width = sum(self.in_channels) + self.out_channels
        self.fcs = nn.ModuleList()
        for _ in range(num_fcs):
            self.fcs.append(ConvModule(width, self.channels, 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg))
            width = self.channels + (self.out_channels if coarse_pred_each_layer else 0)
        self.fc_seg = nn.Conv1d(width, self.out_channels, kernel_size=1)
        del self.conv_seg
        self.dropout = nn.Dropout(self.dropout_ratio) if self.dropout_ratio > 0 else None
        self.training_points: Optional[TrainingPoints] = None
        self.subdivision: Optional[Subdivision] = None

    def configure(self, train_cfg: Mapping[str, Any], test_cfg: Mapping[str, Any]) -> None:
        """Take the arguments of TrainingPoints from `train_cfg`, those of Subdivision from `test_cfg`.

        Raises:
            ConfigError: some are there, but not all, or one is no sensible number.
        """
        values = _numbers("train_cfg", train_cfg, TrainingPoints._fields)
        if values is not None:
            self.training_points = TrainingPoints(*values)
            if self.training_points.oversample_ratio < 1 or not 0 <= self.training_points.importance_sample_ratio <= 1:
                raise ConfigError(
                    "train_cfg of PointHead: oversample_ratio is 1 or more and importance_sample_ratio from 0 to 1, "
                    f"not {self.training_points.oversample_ratio} and {self.training_points.importance_sample_ratio}"
                )
        values = _numbers("test_cfg", test_cfg, Subdivision._fields)
        if values is not None:
            self.subdivision = Subdivision(*values)
            if self.subdivision.scale_factor <= 0:
                raise ConfigError(
                    f"test_cfg of PointHead: scale_factor is above 0, not {self.subdivision.scale_factor}"
                )

    def cls_seg(self, features: torch.Tensor) -> torch.Tensor:
        """Classify each point: (B, C, P) to logits (B, out_channels, P)."""
        return self.fc_seg(features if self.dropout is None else self.dropout(features))

    def predict_points(
        self, features: Sequence[torch.Tensor], previous: torch.Tensor, points: torch.Tensor
    ) -> torch.Tensor:
        """Logits (B, out_channels, P) at points (B, P, 2), of the chosen feature maps and the coarse logits."""
        fine = [sample_points(x, points, align_corners=self.align_corners) for x in features]
        coarse = sample_points(previous, points, align_corners=self.align_corners)
        x = torch.cat([*fine, coarse], dim=1)
        for layer in self.fcs:
            x = layer(x)
            if self.coarse_pred_each_layer:
                x = torch.cat([x, coarse], dim=1)
        return self.cls_seg(x)

    def refine(self, features: Sequence[torch.Tensor], previous: torch.Tensor) -> torch.Tensor:
        """Coarse logits (B, out_channels, h, w) to finer ones, their sides longer by every step's scale factor."""
        if self.subdivision is None:
            raise ConfigError(f"PointHead needs in the model's test_cfg: {', '.join(Subdivision._fields)}")
        chosen = self.select_inputs(features)
        refined = previous
        for _ in range(self.subdivision.subdivision_steps):
            refined = resize(
                refined, scale_factor=self.subdivision.scale_factor, mode="bilinear", align_corners=self.align_corners
            )
            indices, points = most_uncertain_pixels(refined, self.subdivision.subdivision_num_points)
            logits = self.predict_points(chosen, previous, points).to(refined.dtype)
            places = indices.unsqueeze(1).expand(-1, logits.shape[1], -1)
            refined = refined.flatten(2).scatter(2, places, logits).view(refined.shape)
        return refined

    def refine_loss(
        self, features: Sequence[torch.Tensor], previous: torch.Tensor, label: torch.Tensor
    ) -> Dict[str, torch.Tensor]:
        """The losses at random points, by their names with `point` before them, and the accuracy `acc_point`."""
        if self.training_points is None:
            raise ConfigError(f"PointHead needs in the model's train_cfg: {', '.join(TrainingPoints._fields)}")
        points = draw_training_points(previous, self.training_points)
        logits = self.predict_points(self.select_inputs(features), previous, points)
        # As an image one pixel wide, the points are what any loss takes.
        label_there = sample_points(
            label.unsqueeze(1).float(), points, mode="nearest", align_corners=self.align_corners
        )
        losses = self.losses(logits.unsqueeze(3), label_there.long().permute(0, 2, 1))
        return {"acc_point" if name == "acc_seg" else f"point{name}": value for name, value in losses.items()}


def _numbers(place: str, cfg: Mapping[str, Any], names: Sequence[str]) -> Optional[List[float]]:
    """The numbers of these names in `cfg`; None where there is none of them."""
    if not any(name in cfg for name in names):
        return None
    values = []
    for name in names:
        value = cfg.get(name)
        whole = name not in ("oversample_ratio", "importance_sample_ratio", "scale_factor")
        lowest = 1 if name.endswith("num_points") else 0
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or value < lowest:
            kind = "whole number" if whole else "number"
            raise ConfigError(f"{place} of PointHead: {name} is a {kind} of at least {lowest}, not {value!r}")
        values.append(value)
    return values
