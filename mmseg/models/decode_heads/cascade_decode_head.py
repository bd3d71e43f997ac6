"""What the heads share that refine the logits of the head before them."""

from typing import Any, Dict, Mapping, Optional, Sequence

import torch

from mmseg.errors import ConfigError
from mmseg.models.decode_heads.decode_head import DecodeHead


class CascadeDecodeHead(DecodeHead):
    """Base of the heads after the first one of a CascadeEncoderDecoder. A head defines `refine`.

    Raises:
        ConfigError: in `forward` and `loss`, where there are no logits of a head before.
    """

    def configure(self, train_cfg: Mapping[str, Any], test_cfg: Mapping[str, Any]) -> None:
        """Take what this head needs of the model's `train_cfg` and `test_cfg`: nothing, unless a head says so."""

    def refine(self, features: Sequence[torch.Tensor], previous: torch.Tensor) -> torch.Tensor:
        """Feature maps and the logits (B, out_channels, h, w) of the head before to better logits."""
        raise NotImplementedError(f"{type(self).__name__} does not define refine")

    def refine_loss(
        self, features: Sequence[torch.Tensor], previous: torch.Tensor, label: torch.Tensor
    ) -> Dict[str, torch.Tensor]:
        """Named losses and accuracies of the refined logits against label (B, H, W), int64."""
        return self.losses(self.refine(features, previous), label)

    def forward(self, features: Sequence[torch.Tensor], previous: Optional[torch.Tensor] = None) -> torch.Tensor:
        """`refine`, where there is something to refine."""
        return self.refine(features, self._given(previous))

    def loss(
        self, features: Sequence[torch.Tensor], label: torch.Tensor, previous: Optional[torch.Tensor] = None
    ) -> Dict[str, torch.Tensor]:
        """`refine_loss`, where there is something to refine."""
        return self.refine_loss(features, self._given(previous), label)

    def _given(self, previous: Optional[torch.Tensor]) -> torch.Tensor:
        if previous is None:
            raise ConfigError(
                f"{type(self).__name__} refines the logits of a head before it: make it the second decode_head of a "
                "CascadeEncoderDecoder"
            )
        return previous
