"""Learning rates that fall from the last layer of a network to the first (ELECTRA, arXiv 2003.10555, section 3.1).

A layer with the number i has the rate lr * decay_rate ** (last - i): what was pre-trained well, near the image, is
changed little.
"""

from typing import Any, Callable, Dict, List, Mapping, Tuple

from torch import nn

from mmseg.errors import ConfigError

# `optimizer.constructor`, and what it calls the factor from one layer to the one before.
RATE_KEYS = {
    "LearningRateDecayOptimizerConstructor": "decay_rate",
    "LayerDecayOptimizerConstructor": "layer_decay_rate",
}
_BEFORE_THE_LAYERS = ("backbone.cls_token", "backbone.mask_token", "backbone.pos_embed")
# A third stage's blocks share their number in threes, as those who trained ConvNeXt first did.
_BLOCKS_A_LAYER = 3


def layer_decay_groups(
    model: nn.Module, constructor: str, cfg: Mapping[str, Any], *, lr: float, weight_decay: float
) -> List[Dict[str, Any]]:
    """Parameter groups for torch.optim, one for each layer and for whether the weight decay counts.

    Vectors (biases, scales of normalisation layers) have no weight decay. Parameters that are not trained are left out.

    Args:
        model: a segmentor with a `backbone` of the class ConvNeXt, BEiT or MAE.
        constructor: a key of `RATE_KEYS`.
        cfg: `num_layers`, the factor by the constructor's name for it, and `decay_type`: 'layer_wise', or 'stage_wise'
            for ConvNeXt, with all of a stage one layer.

    Raises:
        ConfigError: an unknown, missing or unusable entry, or a backbone whose layers are not known.
    """
    rate_key = RATE_KEYS[constructor]
    unknown = sorted(set(cfg) - {"num_layers", rate_key, "decay_type"})
    if unknown:
        raise ConfigError(
            f"optimizer.paramwise_cfg of {constructor} has no {unknown[0]!r}; known: num_layers, {rate_key}, decay_type"
        )
    num_layers, rate = cfg.get("num_layers"), cfg.get(rate_key)
    if not isinstance(num_layers, int) or isinstance(num_layers, bool) or num_layers < 1:
        raise ConfigError(f"optimizer.paramwise_cfg.num_layers must be a whole number above 0, not {num_layers!r}")
    if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not rate > 0:
        raise ConfigError(f"optimizer.paramwise_cfg.{rate_key} must be a number above 0, not {rate!r}")
    number_of = _numbering(model, cfg.get("decay_type", "layer_wise"))

    groups: Dict[Tuple[int, bool], Dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        layer = number_of(name, num_layers)
        if layer > num_layers + 1:
            raise ConfigError(
                f"optimizer.paramwise_cfg.num_layers is {num_layers}, but {name} is in layer {layer}: it must be larger"
            )
        decays = parameter.dim() != 1 and not name.endswith(".bias")
        group = groups.setdefault(
            (layer, decays),
            {
                "params": [],
                "lr": lr * rate ** (num_layers + 1 - layer),
                "weight_decay": weight_decay if decays else 0.0,
                "group_name": f"layer_{layer}_{'decay' if decays else 'no_decay'}",
            },
        )
        group["params"].append(parameter)
    return list(groups.values())


def _numbering(model: nn.Module, decay_type: Any) -> Callable[[str, int], int]:
    """From a parameter's name and `num_layers` to the number of its layer, 0 … num_layers + 1."""
    backbone = type(getattr(model, "backbone", None)).__name__
    numberings = {
        ("ConvNeXt", "layer_wise"): _convnext_layer,
        ("ConvNeXt", "stage_wise"): _convnext_stage,
        ("BEiT", "layer_wise"): _transformer_layer,
        ("MAE", "layer_wise"): _transformer_layer,
    }
    if decay_type not in ("layer_wise", "stage_wise"):
        raise ConfigError(
            f"optimizer.paramwise_cfg.decay_type must be 'layer_wise' or 'stage_wise', not {decay_type!r}"
        )
    if (backbone, decay_type) not in numberings:
        known = ", ".join(sorted(name for name, kind in numberings if kind == decay_type))
        raise ConfigError(f"the {decay_type} decay of the learning rate is for the backbones {known}, not {backbone}")
    return numberings[backbone, decay_type]


def _convnext_layer(name: str, num_layers: int) -> int:
    parts = name.split(".")
    if name.startswith("backbone.downsample_layers."):
        stage = int(parts[2])
        return (0, 2, 3, num_layers)[min(stage, 3)]
    if name.startswith("backbone.stages."):
        stage, block = int(parts[2]), int(parts[3])
        return (1, 2, 3 + block // _BLOCKS_A_LAYER, num_layers)[min(stage, 3)]
    return num_layers + 1


def _convnext_stage(name: str, num_layers: int) -> int:
    if name.startswith("backbone.downsample_layers."):
        return 0
    if name.startswith("backbone.stages."):
        return int(name.split(".")[2]) + 1
    return num_layers + 1


def _transformer_layer(name: str, num_layers: int) -> int:
    if name in _BEFORE_THE_LAYERS or name.startswith("backbone.patch_embed"):
        return 0
    if name.startswith("backbone.layers."):
        return int(name.split(".")[2]) + 1
    return num_layers + 1
