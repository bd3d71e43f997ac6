"""Config files of mmsegmentation 0.x: read without being executed, changed by overrides, and written back."""

from mmseg.config.config import Config
from mmseg.config.config_dict import ConfigDict
from mmseg.config.overrides import parse_overrides, split_overrides
from mmseg.errors import ConfigError

__all__ = ["Config", "ConfigDict", "ConfigError", "parse_overrides", "split_overrides"]
