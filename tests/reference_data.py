"""Where the reference numbers and the street scenes lie that some tests compare with; they are not part of the tree."""

import os
from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared"

REFERENCE = Path(os.environ.get("YMIR_REFERENCE_DIR", _SHARED / "reference"))
CAMVID = Path(os.environ.get("YMIR_CAMVID_DIR", _SHARED / "camvid"))

needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason=f"there is no reference folder {REFERENCE}")
needs_camvid = pytest.mark.skipif(not CAMVID.is_dir(), reason=f"there is no folder {CAMVID}")
