"""A network whose decode heads each refine what the one before says: OCRNet and PointRend are such."""

from typing import Any, Dict, List, Mapping, Sequence

import torch
import torch.nn as nn

from mmseg.errors import ConfigError
from mmseg.models.builder import SEGMENTORS, build_head
from mmseg.models.decode_heads import CascadeDecodeHead, DecodeHead
from mmseg.models.segmentors.encoder_decoder import EncoderDecoder, HeadCfg


@SEGMENTORS.register_module()
class CascadeEncoderDecoder(EncoderDecoder):
    """EncoderDecoder with a list of decode heads; all see the features, and each after the first the logits before.

    Args:
        num_stages: the number of decode heads.
        **kwargs: of EncoderDecoder, with a list as `decode_head`.

    Raises:
        ConfigError: there are not `num_stages` heads, or a head is not where it can be.
    """

    def __init__(self, *, num_stages: int, **kwargs: Any) -> None:
        self.num_stages = num_stages
        super().__init__(**kwargs)

    def _build_decode_head(self, cfg: HeadCfg) -> nn.Module:
        if isinstance(cfg, Mapping) or not isinstance(cfg, (list, tuple)) or len(cfg) != self.num_stages or not cfg:
            found = f"a list of {len(cfg)}" if isinstance(cfg, (list, tuple)) else repr(cfg)
            raise ConfigError(
                f"decode_head of {type(self).__name__} is a list of num_stages ({self.num_stages}) dicts, not {found}"
            )
        heads: List[nn.Module] = [build_head(head) for head in cfg]
        for index, head in enumerate(heads):
            if isinstance(head, CascadeDecodeHead) != (index > 0):
                place = "first" if index == 0 else f"{index + 1}."
                what = "refines" if index == 0 else "does not refine"
                raise ConfigError(
                    f"{type(head).__name__} cannot be the {place} decode_head of {type(self).__name__}: it {what} the "
                    "logits of a head before it"
                )
            if isinstance(head, CascadeDecodeHead):
                head.configure(self.train_cfg, self.test_cfg)
        return nn.ModuleList(heads)

    @property
    def final_head(self) -> DecodeHead:
        """The last head."""
        return self.decode_head[-1]

    def _decode(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        first, *others = self.decode_head
        logits = first(features)
        for head in others:
            logits = head(features, logits)
        return logits

    def _decode_losses(self, features: Sequence[torch.Tensor], label: torch.Tensor) -> Dict[str, torch.Tensor]:
        """The losses of all heads, `decode_0.…` and so on; each head's logits are those its own loss is of."""
        first, *others = self.decode_head
        logits = first(features)
        by_head = [first.losses(logits, label)]
        for head in others:
            by_head.append(head.loss(features, label, logits))
            if head is not others[-1]:
                logits = head(features, logits)
        return {
            f"decode_{index}.{name}": value for index, losses in enumerate(by_head) for name, value in losses.items()
        }
