"""Which initial weights a backbone begins with."""

from typing import Any, List, Mapping, Optional

from mmseg.errors import ConfigError
from mmseg.models.layers.base_module import InitCfg

# Convolutions after He et al. (arXiv 1502.01852), normalisation without effect.
KAIMING: List[Mapping[str, Any]] = [
    {"type": "Kaiming", "layer": "Conv2d"},
    {"type": "Constant", "val": 1, "layer": ["_BatchNorm", "GroupNorm"]},
]


def choose_init_cfg(
    name: str, *, init_cfg: InitCfg, pretrained: Optional[str], default: List[Mapping[str, Any]] = KAIMING
) -> InitCfg:
    """The `init_cfg` of a backbone: the given one, that of the address `pretrained`, or else `default`.

    With weights from a file, `default` counts as well: for what the file does not hold.

    Args:
        name: of the backbone, for the message.

    Raises:
        ConfigError: both `init_cfg` and `pretrained` are given.
    """
    if pretrained is not None:
        if init_cfg is not None:
            raise ConfigError(f"{name}: give pretrained or init_cfg, not both")
        init_cfg = {"type": "Pretrained", "checkpoint": pretrained}
    if init_cfg is None:
        return default
    if isinstance(init_cfg, Mapping) and init_cfg.get("type") == "Pretrained":
        return [init_cfg, *default]
    return init_cfg
