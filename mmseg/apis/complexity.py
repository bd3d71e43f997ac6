"""How large a network is and how much it computes."""

from typing import Dict, NamedTuple, Optional, Tuple

import torch
from torch import nn

from mmseg.models import EncoderDecoder
from mmseg.torch_compat import count_flops


class Complexity(NamedTuple):
    """Parameters and floating point operations, in all and by part.

    Attributes:
        parameters: of the whole network, auxiliary heads included.
        flops: of a prediction for one image, where a multiplication with its addition counts two, as convolutions,
            matrix products and attention have them (other operations count nothing); None where torch cannot count.
        parts: parameters of backbone, neck, decode_head and auxiliary_head, those that there are.
    """

    parameters: int
    flops: Optional[int]
    parts: Dict[str, int]


def complexity(model: EncoderDecoder, size: Tuple[int, int]) -> Complexity:
    """Count for one image of `size` (width, height) in pixels, which the forward pass gets on the model's device."""
    width, height = size
    image = torch.zeros(1, 3, height, width, device=next(model.parameters()).device)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            flops = count_flops(lambda: model(image))
    finally:
        model.train(was_training)
    parts = {name: _parameters(child) for name, child in model.named_children() if _parameters(child)}
    return Complexity(_parameters(model), flops, parts)


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
