"""The key by which a config asks for Python modules to be imported; here none ever is."""

from typing import Any

IMPORTS_KEY = "custom_imports"

# The published ConvNeXt configs import these for `mmcls.ConvNeXt`, a type that this package has itself.
_BUILT_IN = "mmcls.models"
_FLAG = "allow_failed_imports"


def is_built_in(value: Any) -> bool:
    """Whether `value` asks for nothing but modules whose types exist here anyway, so that it can stay as data."""
    if not isinstance(value, dict) or not set(value) <= {"imports", _FLAG}:
        return False
    imports, flag = value.get("imports"), value.get(_FLAG, False)
    modules = imports if isinstance(imports, (list, tuple)) else [imports]
    return isinstance(flag, bool) and len(modules) == 1 and modules[0] == _BUILT_IN
